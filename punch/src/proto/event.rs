//! Events by which an attempt reports its progress.

use std::net::{IpAddr, SocketAddr};

use super::{
    bucket::Rule,
    connection::{Failure, Reject, Role},
    statistics::Statistics,
    time::MonoTime,
};

/// An event of an attempt, with its time.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Event {
    /// Monotonic time in nanoseconds (`CLOCK_BOOTTIME` on Linux).
    #[cfg_attr(feature = "serde", serde(rename = "t_ns"))]
    pub at: MonoTime,
    /// The event. As JSON its fields stand beside `t_ns`, in one flat object.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub kind: EventKind,
}

/// Kind of an event, with its details.
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
        /// Reading of the wall clock, offset included, in nanoseconds since the Unix epoch.
        wall_ns: i64,
    },
    /// The local address is found, or has changed.
    LocalAddress {
        /// The address from which the attempt connects.
        address: IpAddr,
        /// The address from which this machine would connect to the peer, if it is another one: the
        /// user's address belongs to another network than the route to the peer.
        #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none", default))]
        usual: Option<IpAddr>,
    },
    /// The ports in use change.
    Ports {
        /// Buckets in use; empty with fixed ports.
        buckets: Vec<i64>,
        /// All ports in use.
        ports: Vec<u16>,
    },
    /// A port cannot be bound, and is left out.
    Unavailable {
        /// The port.
        port: u16,
        /// Error text of the system.
        error: String,
    },
    /// A port cannot be listened on. It still connects.
    NoListener {
        /// The port.
        port: u16,
        /// Error text of the system.
        error: String,
    },
    /// A fresh socket connects: a SYN leaves.
    Connect {
        /// The port, local and remote.
        port: u16,
    },
    /// A connect is refused: a RST or an ICMP error has arrived, or the connect failed on this
    /// machine.
    Refused {
        /// The port.
        port: u16,
        /// Error text of the system.
        error: String,
    },
    /// A connection is established.
    Connected {
        /// Its local port.
        port: u16,
        /// Local address and port.
        local: SocketAddr,
        /// Remote address and port.
        remote: SocketAddr,
        /// Whether a listener has accepted it.
        accepted: bool,
    },
    /// The HELLO of the peer has arrived on a connection.
    Hello {
        /// Its local port.
        port: u16,
        /// The peer's own local port.
        peer_port: u16,
        /// This side's role.
        role: Role,
    },
    /// The election rejects a connection.
    Rejected {
        /// Its local port.
        port: u16,
        /// Reason.
        reason: Reject,
    },
    /// A connection ends before one is chosen.
    Disconnected {
        /// Its local port.
        port: u16,
    },
    /// The connection is chosen: this side, the follower, takes it, or this side, the leader, has
    /// read an ACK that names it.
    Decided {
        /// Local port of the chosen connection.
        port: u16,
        /// This side's role.
        role: Role,
    },
    /// The chosen connection is handed over to the user.
    Returned {
        /// Local address and port.
        local: SocketAddr,
        /// Remote address and port.
        remote: SocketAddr,
        /// This side's role.
        role: Role,
    },
    /// What the attempt has sent and received, right before it fails.
    Statistics(Statistics),
    /// The attempt ends without a connection.
    Failed {
        /// Reason.
        reason: Failure,
    },
}
