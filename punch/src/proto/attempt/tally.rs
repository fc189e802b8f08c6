//! Counts of an attempt, from which the reason of its failure follows.

use crate::proto::connection::Failure;

/// Number of events of each kind since the attempt began.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Sockets that were told to connect.
    pub(super) connects: u64,
    /// Connects that failed on this machine.
    pub(super) local_errors: u64,
    /// Refusals from the network.
    pub(super) refusals: u64,
    /// Established connections.
    pub(super) connections: u64,
    /// Valid HELLOs.
    pub(super) hellos: u64,
}

impl Tally {
    /// Reason of the failure, once the deadline has passed.
    pub(super) fn failure(&self) -> Failure {
        if self.hellos > 0 {
            Failure::ElectionLost
        } else if self.connections > 0 {
            Failure::NoPeer
        } else if self.refusals > 0 {
            Failure::Refused
        } else if self.local_errors > 0 && self.local_errors == self.connects {
            Failure::Unreachable
        } else {
            Failure::NoAnswer
        }
    }
}
