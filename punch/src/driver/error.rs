//! [`Error`]: why [`Puncher::connect`](super::Puncher::connect) has returned no connection.

use std::{
    error, fmt,
    io::{self, ErrorKind},
    net::IpAddr,
};

use crate::proto::{attempt::MAX_FIXED_PORTS, connection::Failure};

/// Reason for which there is no connection.
///
/// The text of an error does not contain that of its [`source`](error::Error::source). A program
/// that prints an error should print its sources too.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be a peer's: it is unspecified, multicast or broadcast.
    InvalidPeer(IpAddr),
    /// The address is link-local, and [`Puncher::scope_id`](super::Puncher::scope_id) names no
    /// interface.
    NoScope(IpAddr),
    /// The peer's address is the one from which this machine would punch.
    OwnAddress(IpAddr),
    /// This machine has no route to the peer.
    NoRoute(io::Error),
    /// The address to bind does not belong to this machine.
    NotLocal(IpAddr),
    /// Sockets cannot be bound to the interface: there is none of this name, or this user or system
    /// cannot.
    Interface {
        /// Name of the interface.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// The maximum segment size is out of its range.
    Mss,
    /// One address is IPv4 and the other is IPv6.
    MixedFamilies {
        /// This side's address.
        local: IpAddr,
        /// The peer's address.
        peer: IpAddr,
    },
    /// The number of fixed ports is not 1 to [`MAX_FIXED_PORTS`], or one of them is 0.
    FixedPorts,
    /// Both sides have the same WAN address, so that neither leads the `wan-ip` election.
    EqualWanAddresses(IpAddr),
    /// The attempt ended without a connection.
    Failed(Failure),
    /// [`Canceller::cancel`](super::Canceller::cancel) was called.
    Cancelled,
    /// A system call failed for a reason that does not depend on the peer.
    Io(io::Error),
}

impl Error {
    /// Whether the options or the address are impossible, so that another try cannot succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::InvalidPeer(_)
            | Self::NoScope(_)
            | Self::OwnAddress(_)
            | Self::NotLocal(_)
            | Self::Interface { .. }
            | Self::Mss
            | Self::MixedFamilies { .. }
            | Self::FixedPorts
            | Self::EqualWanAddresses(_) => true,
            Self::NoRoute(_) | Self::Failed(_) | Self::Cancelled | Self::Io(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidPeer(address) => write!(
                f,
                "{address} cannot be a peer: give the address of one host, as seen from here"
            ),
            Self::NoScope(address) => write!(
                f,
                "{address} is link-local: say through which interface, such as {address}%eth0"
            ),
            Self::OwnAddress(address) => {
                write!(f, "{address} is this machine itself: give the peer's address")
            }
            Self::NoRoute(_) => write!(f, "this machine has no route to the peer"),
            Self::NotLocal(address) => write!(
                f,
                "{address} is no address of this machine; leave it out to use the usual one"
            ),
            Self::MixedFamilies { local, peer } => {
                write!(f, "{local} and {peer} are not of the same family: both IPv4, or both IPv6")
            }
            Self::Interface { name, .. } => write!(
                f,
                "interface {name}: sockets cannot be bound to it (`ip link` lists the names)"
            ),
            Self::Mss => write!(f, "the maximum segment size must be from 88 to 9000 bytes"),
            Self::FixedPorts => {
                write!(f, "fixed ports: give 1 to {MAX_FIXED_PORTS} of them, each from 1 to 65535")
            }
            Self::EqualWanAddresses(address) => write!(
                f,
                "both WAN addresses are {address}, so that neither leads; use the nonce election"
            ),
            Self::Failed(_) => write!(f, "not connected"),
            Self::Cancelled => write!(f, "cancelled"),
            Self::Io(_) => write!(f, "system error"),
        }
    }
}

impl From<Error> for io::Error {
    /// Wraps the error. Its kind follows from the reason; an error of the system keeps its kind.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::InvalidPeer(_)
            | Error::NoScope(_)
            | Error::OwnAddress(_)
            | Error::Interface { .. }
            | Error::Mss
            | Error::MixedFamilies { .. }
            | Error::FixedPorts
            | Error::EqualWanAddresses(_) => ErrorKind::InvalidInput,
            Error::NotLocal(_) => ErrorKind::AddrNotAvailable,
            Error::Failed(failure) => match failure {
                Failure::NothingBound => ErrorKind::AddrInUse,
                Failure::Unreachable => ErrorKind::HostUnreachable,
                Failure::Refused => ErrorKind::ConnectionRefused,
                Failure::NoAnswer
                | Failure::NoHandshake
                | Failure::NoPeer
                | Failure::ElectionLost => ErrorKind::TimedOut,
                Failure::ConnectionLost => ErrorKind::ConnectionReset,
            },
            // Not `Interrupted`, after which many callers try again.
            Error::Cancelled => ErrorKind::Other,
            Error::NoRoute(error) | Error::Io(error) => error.kind(),
        };
        Self::new(kind, error)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NoRoute(error) | Self::Io(error) | Self::Interface { source: error, .. } => {
                Some(error)
            }
            Self::Failed(failure) => Some(failure),
            Self::InvalidPeer(_)
            | Self::NoScope(_)
            | Self::OwnAddress(_)
            | Self::NotLocal(_)
            | Self::Mss
            | Self::MixedFamilies { .. }
            | Self::FixedPorts
            | Self::EqualWanAddresses(_)
            | Self::Cancelled => None,
        }
    }
}
