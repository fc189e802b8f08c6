//! Types that the state machines share: number of a socket, role, reasons.

use std::fmt;

/// Number of a socket, unique within its attempt. HELLO names the connection by this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// Role of a side in the election. There are two, one for each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Role {
    /// Decides with which peer to connect: the side with the larger nonce, or with the greater WAN
    /// address.
    Leader,
    /// Accepts the leader's decision. In the `nonce` election it then chooses the connection.
    Follower,
}

/// Reason for which the election rejects a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Reject {
    /// The other end is this attempt itself.
    #[cfg_attr(feature = "serde", serde(rename = "oneself"))]
    SelfConnection,
    /// The bytes belong to another protocol, or to another version of this one.
    Garbage,
    /// The peer belongs to another session, or has sent a frame that this run does not expect.
    Stranger,
    /// The other end did not say HELLO in time, or did not answer a COMMIT.
    Silent,
}

/// Reason for which an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Failure {
    /// None of the ports could be bound.
    NothingBound,
    /// Every connect failed on this machine: no route is known, or no socket is left.
    Unreachable,
    /// Nothing arrived from the peer's address.
    NoAnswer,
    /// The peer's host or its NAT answered, and always with a refusal.
    Refused,
    /// SYNs arrived from the peer's address, but no handshake was completed.
    NoHandshake,
    /// Connections were established, but no peer of this session spoke on them.
    NoPeer,
    /// A peer was met, but the two did not agree on a connection in time.
    ElectionLost,
    /// The two agreed on a connection, and it ended before it could be handed over.
    ConnectionLost,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingBound => "none of the ports could be used: other programs hold them",
            Self::Unreachable => "no packet could leave this machine",
            Self::NoAnswer => "nothing came back from the peer's address",
            Self::Refused => "every connect was refused",
            Self::NoHandshake => {
                "packets of the peer arrived here, and no connection was completed"
            }
            Self::NoPeer => "something accepts connections, but no peer spoke on them",
            Self::ElectionLost => {
                "the peer was met, but the two did not agree on a connection in time"
            }
            Self::ConnectionLost => "the two agreed on a connection, and it ended at once",
        })
    }
}

impl std::error::Error for Failure {}
