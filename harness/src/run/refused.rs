//! NATs on which nothing is measured: they cannot be built, or do not do what they say.

use crate::{nat::NatSpec, peers::Family, scenario::Setup};

/// A NAT on which nothing is measured.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// The version of IP in which it is not.
    pub(crate) family: Family,
    /// The NAT.
    pub(crate) nat: NatSpec,
    /// Why.
    pub(crate) reason: String,
}

/// Why the trials of a setup cannot be run, if they cannot.
pub(crate) fn refusal(refused: &[Refused], setup: &Setup) -> Option<String> {
    let behind = |it: &&Refused| {
        let mut nats = setup.peers.iter().filter_map(|peer| peer.nat.spec());
        setup.wan.family == it.family && nats.any(|nat| *nat == it.nat)
    };
    let found = refused.iter().find(behind)?;
    Some(format!("NAT {}: {}", found.nat, found.reason))
}
