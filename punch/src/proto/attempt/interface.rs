//! What goes into an attempt and comes out of it.

use std::{net::IpAddr, time::Duration};

use crate::proto::{
    bucket::{Buckets, Rule},
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
#[non_exhaustive]
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

/// Options of an attempt.
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) peer: IpAddr,
    pub(super) scheme: Scheme,
    pub(super) seed: [u8; 32],
    pub(super) ports: PortSource,
    pub(super) session: SessionTag,
    pub(super) listen: bool,
    pub(super) timeout: Duration,
}

impl Config {
    /// Options for an attempt to reach the address `peer`, as seen from here. `scheme` says how the
    /// connection is chosen; `seed` is that of the random pauses.
    ///
    /// The defaults: the ports of the `rolling` rule for clocks within 20 s, the default session,
    /// listeners, 30 s.
    pub fn new(peer: IpAddr, scheme: Scheme, seed: [u8; 32]) -> Self {
        let buckets = Buckets::new(Rule::default(), Buckets::DEFAULT_CLOCK_ERROR);
        Self {
            peer: peer.to_canonical(),
            scheme,
            seed,
            ports: PortSource::Clock { buckets, schedule: Schedule::default() },
            session: SessionTag::default(),
            listen: true,
            timeout: Self::DEFAULT_TIMEOUT,
        }
    }

    /// The default timeout, 30 s.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    /// Sets the source of the ports.
    #[must_use]
    pub fn ports(mut self, ports: PortSource) -> Self {
        self.ports = ports;
        self
    }

    /// Sets the session, which keeps pairs of peers on the same addresses apart. A session in
    /// [`Scheme::Nonce`] has to be the same.
    #[must_use]
    pub fn session(mut self, session: SessionTag) -> Self {
        self.session = session;
        self
    }

    /// Sets whether the attempt listens on its ports as well. Under the `article` rule it must not.
    #[must_use]
    pub fn listen(mut self, listen: bool) -> Self {
        self.listen = listen;
        self
    }

    /// Sets the time after which the attempt takes no new decision.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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

/// Origin of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedBy {
    /// The network: a RST or an ICMP error has answered the SYN.
    Network,
    /// This host: the connect could not begin, and nothing was sent.
    Host,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
