//! Counts of an attempt, from which the reason of its failure follows.

use std::time::Duration;

use super::connection::{Failure, Reject};

/// What an attempt has sent and received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Statistics {
    /// Sockets that were told to connect. Each sends one SYN, which the kernel may repeat.
    pub connects: u64,
    /// Connects whose port another program on this machine holds.
    pub unavailable: u64,
    /// Connects that failed on this machine for another reason, and sent nothing.
    pub local_errors: u64,
    /// SYNs that were answered with a RST or an ICMP error.
    pub refusals: u64,
    /// Time from a SYN to its refusal, the shortest of all, in nanoseconds. A refusal that comes
    /// sooner than a packet can travel to the peer is not the peer's.
    pub fastest_refusal_ns: Option<u64>,
    /// Sockets that received a SYN from the peer's address, and whose handshake was not completed
    /// in time.
    pub half_open: u64,
    /// Established connections.
    pub connections: u64,
    /// Connections on which nobody said HELLO in time, or answered.
    pub silent: u64,
    /// Connections on which something else than this protocol was spoken.
    pub garbage: u64,
    /// Connections with a peer of another session.
    pub strangers: u64,
    /// Connections on which a peer of this session said HELLO.
    pub hellos: u64,
}

impl Statistics {
    /// Counts a refusal that arrived this long after its SYN.
    pub(super) fn count_refusal(&mut self, after: Duration) {
        self.refusals += 1;
        let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        let fastest = self.fastest_refusal_ns.unwrap_or(u64::MAX);
        self.fastest_refusal_ns = Some(fastest.min(nanos));
    }

    /// Counts a connection that the election has rejected.
    pub(super) fn count_rejection(&mut self, reason: Reject) {
        match reason {
            Reject::Silent => self.silent += 1,
            Reject::Garbage => self.garbage += 1,
            Reject::Stranger => self.strangers += 1,
            Reject::SelfConnection => {}
        }
    }

    /// Reason of the failure, once the deadline has passed.
    pub(super) fn failure(&self) -> Failure {
        if self.hellos > 0 {
            Failure::ElectionLost
        } else if self.connections > 0 {
            Failure::NoPeer
        } else if self.half_open > 0 {
            Failure::NoHandshake
        } else if self.refusals > 0 {
            Failure::Refused
        } else if self.unavailable > 0 && self.unavailable == self.connects {
            Failure::NothingBound
        } else if self.local_errors > 0 && self.local_errors + self.unavailable == self.connects {
            Failure::Unreachable
        } else {
            Failure::NoAnswer
        }
    }
}
