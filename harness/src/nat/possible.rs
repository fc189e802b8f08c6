//! Contradictions between the behaviours of a NAT.

use super::{Allocation, Filtering, Hairpin, Mapping, NatSpec, PortBlock, Unsolicited, keys};
use crate::named::Named;

/// Fewest ports of a block: 16 sockets for each of two peers, and their repeats.
pub(crate) const MIN_BLOCK: u16 = 64;

/// Bounds of the constant of `fixed-delta`.
pub(crate) const DELTAS: std::ops::RangeInclusive<u16> = 1..=30_000;

/// Reason why a NAT cannot exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Impossible {
    /// The key of the behaviour that contradicts another one.
    pub(crate) key: &'static str,
    /// The contradiction.
    pub(crate) reason: String,
    /// What to write instead.
    pub(crate) instead: String,
}

/// The first contradiction in a NAT's behaviour, if there is one.
pub(crate) fn impossible(nat: &NatSpec) -> Option<Impossible> {
    mapping(nat)
        .or_else(|| filtering(nat))
        .or_else(|| hairpin(nat))
        .or_else(|| unsolicited(nat))
        .or_else(|| numbers(nat.allocation))
}

/// The first contradiction with IPv6, where nothing is translated.
pub(crate) fn impossible_with_ipv6(nat: &NatSpec) -> Option<Impossible> {
    (!nat.preserves_ports()).then(|| Impossible {
        key: keys::ALLOCATION,
        reason: format!(
            "with IPv6 nothing is translated, so that there cannot be {}",
            if nat.mapping == Mapping::EndpointIndependent {
                format!("allocation \"{}\"", nat.allocation.name())
            } else {
                format!("mapping \"{}\"", nat.mapping.name())
            }
        ),
        instead: "take \"ipv4\", or NATs that preserve ports".to_owned(),
    })
}

fn mapping(nat: &NatSpec) -> Option<Impossible> {
    (nat.allocation.follows_inside_port() && nat.mapping != Mapping::EndpointIndependent).then(
        || Impossible {
            key: keys::MAPPING,
            reason: format!(
                "allocation \"{}\" gives all destinations the same port, mapping \"{}\" does not",
                nat.allocation.name(),
                nat.mapping.name()
            ),
            instead:
                "take mapping \"endpoint-independent\", or allocation \"preserving\" (only the \
                      first destination has the inside port), \"random\", \"sequential\" or \
                      \"block\""
                    .to_owned(),
        },
    )
}

const ONE_OWNER: &str = "allocation \"preserving\", \"random\", \"sequential\" or \"block\"";

fn filtering(nat: &NatSpec) -> Option<Impossible> {
    if nat.filtering == Filtering::AddressAndPortDependent {
        return None;
    }
    if nat.allocation.follows_inside_port() {
        return Some(Impossible {
            key: keys::FILTERING,
            reason: format!(
                "with allocation \"{}\" two inside hosts can share an outside port: what others \
                 than the contacted send to it, which filtering \"{}\" lets in, has no one owner",
                nat.allocation.name(),
                nat.filtering.name()
            ),
            instead: format!(
                "take filtering \"address-and-port-dependent\", or {ONE_OWNER}, where each port \
                 has one owner"
            ),
        });
    }
    (!nat.simultaneous_open).then(|| Impossible {
        key: keys::SIMULTANEOUS_OPEN,
        reason: format!(
            "filtering \"{}\" lets in SYNs that nobody inside asked for, and `simultaneous_open = \
             false` none at all",
            nat.filtering.name()
        ),
        instead: "take filtering \"address-and-port-dependent\", or `simultaneous_open = true`"
            .to_owned(),
    })
}

fn hairpin(nat: &NatSpec) -> Option<Impossible> {
    (nat.hairpin != Hairpin::None && nat.allocation.follows_inside_port()).then(|| Impossible {
        key: keys::HAIRPIN,
        reason: format!(
            "with allocation \"{}\" two inside hosts can share an outside port: what a third sends \
             to it has no one owner",
            nat.allocation.name()
        ),
        instead: format!("take hairpin \"none\", or {ONE_OWNER}, where each port has one owner"),
    })
}

fn unsolicited(nat: &NatSpec) -> Option<Impossible> {
    (!nat.simultaneous_open && nat.unsolicited != Unsolicited::Drop).then(|| Impossible {
        key: keys::UNSOLICITED,
        reason: format!(
            "`simultaneous_open = false` drops every SYN from outside before anything looks at it, \
             so that none can be answered as unsolicited \"{}\" says",
            nat.unsolicited.name()
        ),
        instead: "take unsolicited \"drop\", or `simultaneous_open = true`".to_owned(),
    })
}

fn numbers(allocation: Allocation) -> Option<Impossible> {
    match allocation {
        Allocation::Block(PortBlock { first, last })
            if last < first || last - first < MIN_BLOCK - 1 =>
        {
            Some(Impossible {
                key: keys::BLOCK,
                reason: format!("a `block` from {first} to {last} has too few ports"),
                instead: format!(
                    "write the lowest port first, and at least {MIN_BLOCK} ports: `block = \
                     [61440, 61951]`"
                ),
            })
        }
        Allocation::FixedDelta(_)
        | Allocation::Block(_)
        | Allocation::Preserving
        | Allocation::PreservingOverloading
        | Allocation::Random
        | Allocation::Sequential => None,
    }
}
