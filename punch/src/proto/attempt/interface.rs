//! Options, actions and outcome of an attempt.

use std::{net::IpAddr, time::Duration};

use crate::proto::{
    bucket::{Buckets, Rule},
    connection::{Failure, Role, SocketId},
    election::Scheme,
    schedule::Schedule,
    wire::SessionTag,
};

/// Maximum number of fixed ports. With more, an attempt might send more than 250 SYNs in a second.
pub const MAX_FIXED_PORTS: usize = 64;

/// Source of the ports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortSource {
    /// The clock.
    Clock {
        /// Clock to buckets.
        buckets: Buckets,
        /// Bucket to ports.
        schedule: Schedule,
    },
    /// A list, for callers who have signalling. It should have at most [`MAX_FIXED_PORTS`] ports.
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
    /// Options of an attempt to reach the address `peer`, as seen from here. `scheme` is the
    /// election, and `seed` that of the random pauses.
    ///
    /// The defaults: the ports of the `rolling` rule for clocks within 20 s, the default session,
    /// listeners on all ports, a time-out of 120 s.
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

    /// The default time-out, 120 s: enough for two people on the phone, of whom one has to find the
    /// other's address in what was said, type it, and mend a slip.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

    /// Sets the source of the ports.
    #[must_use]
    pub fn ports(mut self, ports: PortSource) -> Self {
        self.ports = ports;
        self
    }

    /// Sets the session, which keeps pairs of peers on the same addresses apart. The session in
    /// [`Scheme::Nonce`] must be the same.
    #[must_use]
    pub fn session(mut self, session: SessionTag) -> Self {
        self.session = session;
        self
    }

    /// Sets whether the attempt listens on its ports as well. Under the `article` rule it must not
    /// listen.
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

/// An action that the caller must perform.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Listen on a port of the local address. Report failure by
    /// [`Attempt::handle_no_listener`](super::Attempt::handle_no_listener), and each accepted
    /// connection by [`Attempt::handle_accepted`](super::Attempt::handle_accepted).
    Listen {
        /// The port.
        port: u16,
    },
    /// Close the listener on a port.
    Unlisten {
        /// The port.
        port: u16,
    },
    /// Connect a fresh socket from local port `port` to the peer's port `port`. Report the result
    /// by [`Attempt::handle_connected`](super::Attempt::handle_connected),
    /// [`Attempt::handle_refused`](super::Attempt::handle_refused) or, if the port cannot be bound,
    /// [`Attempt::handle_unavailable`](super::Attempt::handle_unavailable).
    Connect {
        /// Number of the new socket.
        socket: SocketId,
        /// The port.
        port: u16,
    },
    /// Close a connecting socket if it is in SYN_SENT, and report that by
    /// [`Attempt::handle_abandoned`](super::Attempt::handle_abandoned). If it is in any other
    /// state, or the system does not tell, do nothing.
    Abandon {
        /// The socket.
        socket: SocketId,
    },
    /// Look whether a connecting socket is in SYN_RECV, and if so report it by
    /// [`Attempt::handle_half_open`](super::Attempt::handle_half_open). Do nothing if the system
    /// does not tell the state.
    Inspect {
        /// The socket.
        socket: SocketId,
    },
    /// Close a connecting socket at once, with a RST if it is in SYN_RECV (`SO_LINGER` with a time
    /// of 0), and report it by [`Attempt::handle_abandoned`](super::Attempt::handle_abandoned). Do
    /// nothing if it has connected.
    Reset {
        /// The socket.
        socket: SocketId,
    },
    /// Send bytes on a connection. They fit into an empty send buffer.
    Send {
        /// The connection.
        socket: SocketId,
        /// The bytes, at most [`MAX_FRAME`](crate::proto::wire::MAX_FRAME).
        bytes: Vec<u8>,
    },
    /// Close a connection without a RST: send FIN, and read to its end.
    Close {
        /// The connection.
        socket: SocketId,
    },
}

/// Origin of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedBy {
    /// The network: a RST or an ICMP error has arrived in answer to the SYN.
    Network,
    /// This host: the connect failed at once, and nothing was sent.
    Host,
}

/// Result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A connection was chosen, and all frames on it are read. The caller must close all others.
    Elected {
        /// The connection.
        socket: SocketId,
        /// This side's role.
        role: Role,
    },
    /// The attempt has ended without a connection.
    Failed(Failure),
}
