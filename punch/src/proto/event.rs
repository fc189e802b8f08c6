//! What an attempt reports of itself: for progress messages, for `--events` and for the harness.

use std::net::SocketAddr;

use super::{
    bucket::Rule,
    connection::{Failure, Reject, Role},
    time::MonoTime,
};

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Event {
    /// Monotonic time in nanoseconds (`CLOCK_MONOTONIC` where there is one).
    #[cfg_attr(feature = "serde", serde(rename = "t_ns"))]
    pub at: MonoTime,
    /// What happened. Flattened so that a line is one flat object: easy to filter.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "snake_case")
)]
#[non_exhaustive]
pub enum EventKind {
    /// The attempt begins.
    Started {
        /// The peer's address.
        peer: String,
        /// The rule in use; absent with fixed ports.
        #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none", default))]
        rule: Option<Rule>,
        /// What the (offset) wall clock reads, in nanoseconds since the Unix epoch.
        wall_ns: i64,
    },
    /// The ports in use from here on.
    Ports {
        /// Buckets they come from; empty with fixed ports.
        buckets: Vec<i64>,
        /// The ports.
        ports: Vec<u16>,
    },
    /// A port is left out, since it could not be bound.
    Unavailable {
        /// The port.
        port: u16,
        /// What the system said.
        error: String,
    },
    /// No listener on this port: it only connects.
    NoListener {
        /// The port.
        port: u16,
        /// What the system said.
        error: String,
    },
    /// A connect: a SYN leaves with a fresh socket.
    Connect {
        /// The port, local and remote.
        port: u16,
    },
    /// A connect was answered by a RST or an ICMP error, or failed at once.
    Refused {
        /// The port.
        port: u16,
        /// What the system said.
        error: String,
    },
    /// A connection stands.
    Connected {
        /// Its local port.
        port: u16,
        /// Local address and port.
        local: SocketAddr,
        /// Remote address and port.
        remote: SocketAddr,
        /// Whether it came in at a listener.
        accepted: bool,
    },
    /// The peer said HELLO on a connection.
    Hello {
        /// Its local port.
        port: u16,
        /// The peer's own local port.
        peer_port: u16,
        /// This side's role.
        role: Role,
    },
    /// A connection was given up.
    Rejected {
        /// Its local port.
        port: u16,
        /// Why.
        reason: Reject,
    },
    /// A connection ended before one was chosen.
    Disconnected {
        /// Its local port.
        port: u16,
    },
    /// It is this connection: the follower has taken it, or the leader has read the answer to its
    /// COMMIT.
    Decided {
        /// Local port of the chosen connection.
        port: u16,
        /// This side's role.
        role: Role,
    },
    /// The connection is handed over.
    Returned {
        /// Local address and port.
        local: SocketAddr,
        /// Remote address and port.
        remote: SocketAddr,
        /// This side's role.
        role: Role,
    },
    /// The attempt is over without a connection.
    Failed {
        /// Why.
        reason: Failure,
    },
}
