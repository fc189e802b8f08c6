//! What an attempt has seen.

use super::Failure;

/// What has been seen, to tell why an attempt failed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connects: u32,
    pub(super) local_errors: u32,
    pub(super) answers: u32,
    pub(super) connections: u32,
    pub(super) hellos: u32,
}

impl Tally {
    /// Why the attempt failed, now that its time is over.
    pub(super) fn reason(&self) -> Failure {
        if self.hellos > 0 {
            Failure::ElectionLost
        } else if self.connections > 0 {
            Failure::NoPeer
        } else if self.answers > 0 {
            Failure::Refused
        } else if self.local_errors > 0 && self.local_errors == self.connects {
            Failure::Unreachable
        } else {
            Failure::NoAnswer
        }
    }
}
