//! What goes into an attempt and comes out of it.

use std::{net::IpAddr, time::Duration};

use crate::proto::{
    bucket::Buckets,
    election::{Role, Scheme},
    schedule::Schedule,
    wire::SessionTag,
};

/// The socket's number, unique within the attempt; it also names its connection in HELLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// How many fixed ports keep to 250 SYNs in any second, refused or not.
pub const MAX_FIXED_PORTS: usize = 64;

/// Where the ports come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortSource {
    /// From the clock.
    Clock {
        /// Clock to buckets.
        buckets: Buckets,
        /// Bucket to ports.
        schedule: Schedule,
    },
    /// Given, for callers who have signalling: at most [`MAX_FIXED_PORTS`], or the attempt sends
    /// more SYNs in a second than it should.
    Fixed(Vec<u16>),
}

/// What an attempt needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The peer's address as seen from here.
    pub peer: IpAddr,
    /// Where the ports come from.
    pub ports: PortSource,
    /// Tells pairs on the same addresses apart.
    pub session: SessionTag,
    /// How the connection is chosen.
    pub scheme: Scheme,
    /// Whether each port is listened on as well.
    pub listen: bool,
    /// How long to try before giving up.
    pub timeout: Duration,
    /// Seed of the random pauses.
    pub seed: [u8; 32],
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Listen on a port of the local address. Answer failure with
    /// [`Attempt::handle_no_listener`](super::Attempt::handle_no_listener), each accepted connection with
    /// [`Attempt::handle_accepted`](super::Attempt::handle_accepted).
    Listen {
        /// The port.
        port: u16,
    },
    /// Close the listener on a port.
    Unlisten {
        /// The port.
        port: u16,
    },
    /// Connect a fresh socket from local port `port` to the peer's port `port`. Answer with
    /// [`Attempt::handle_connected`](super::Attempt::handle_connected),
    /// [`Attempt::handle_refused`](super::Attempt::handle_refused) or, if the port cannot be bound,
    /// [`Attempt::handle_unavailable`](super::Attempt::handle_unavailable).
    Connect {
        /// Number of the new socket.
        socket: SocketId,
        /// The port.
        port: u16,
    },
    /// Close a connecting socket if it is still in SYN_SENT, and say so with
    /// [`Attempt::handle_abandoned`](super::Attempt::handle_abandoned); leave it alone in any other state, or where the state cannot
    /// be told.
    Abandon {
        /// The socket.
        socket: SocketId,
    },
    /// Send bytes on a connection; they fit into an empty send buffer.
    Send {
        /// The connection.
        socket: SocketId,
        /// The bytes, at most [`MAX_FRAME`](crate::proto::wire::MAX_FRAME).
        bytes: Vec<u8>,
    },
    /// Read what there is, send FIN and close: never a RST.
    Close {
        /// The connection.
        socket: SocketId,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This connection was chosen; all frames on it are read. Close everything else.
    Elected {
        /// The connection.
        socket: SocketId,
        /// This side's role.
        role: Role,
    },
    /// There is no connection, and there will be none.
    Failed(Failure),
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Failure {
    /// None of the ports could be bound.
    NothingBound,
    /// Every connect failed on this machine, for want of a route or of sockets.
    Unreachable,
    /// Nothing came back from the peer's address.
    NoAnswer,
    /// The peer's host or its NAT answered, always with a refusal.
    Refused,
    /// Connections stood, but no peer of this session spoke on them.
    NoPeer,
    /// A peer was met, but the two did not agree on a connection in time.
    ElectionLost,
    /// The two agreed on a connection, and it ended before it could be handed over.
    ConnectionLost,
}
