//! What goes into an attempt and comes out of it.

use std::{net::IpAddr, time::Duration};

use crate::proto::{
    bucket::Buckets,
    connection::{Failure, Role, SocketId},
    election::Scheme,
    schedule::Schedule,
    wire::SessionTag,
};

/// Maximum number of fixed ports: with more of them an attempt would send more than 250 SYNs in a
/// second, refused or not.
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
