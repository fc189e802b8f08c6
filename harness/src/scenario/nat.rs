//! The NATs that a scenario can name.

use super::tree::Named;

/// What stands between a peer and the WAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nat {
    /// Nothing: the peer is a public host (`nat = "none"`).
    Public,
    /// A NAT.
    Behind(NatSpec),
}

/// A NAT and how it behaves.
///
/// All of them filter as Linux MASQUERADE does: address-and-port-dependent (RFC 4787 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NatSpec {
    /// Its name in the catalogue.
    pub name: String,
    /// What it answers to a SYN that nobody inside asked for.
    pub unsolicited: Unsolicited,
    /// Which outside port it gives to a flow.
    pub allocation: Allocation,
    /// How long it remembers a SYN without an answer, in whole seconds; the kernel's 120 s if not
    /// given.
    pub syn_timeout_s: Option<u32>,
    /// Whether it limits how many ICMP errors it sends, as Linux does: six at once to one address,
    /// then one a second. Without the limit every single SYN is answered.
    pub icmp_limit: bool,
}

/// Which outside port a NAT gives to a flow (RFC 4787 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// `preserving`: the inside port, the same for all destinations (endpoint-independent mapping).
    Preserving,
    /// `random`: a new random one for every destination (address-and-port-dependent mapping).
    Random,
}

impl Named for Allocation {
    const NAMES: &'static [(&'static str, Self)] =
        &[("preserving", Self::Preserving), ("random", Self::Random)];
}

/// What a NAT answers to an unsolicited SYN (RFC 5382 REQ-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsolicited {
    /// `drop`: nothing.
    Drop,
    /// `reset`: RST.
    Reset,
    /// `icmp-port`: ICMP port unreachable.
    IcmpPort,
    /// `icmp-admin`: ICMP communication administratively prohibited.
    IcmpAdmin,
}

impl Named for Unsolicited {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("drop", Self::Drop),
        ("reset", Self::Reset),
        ("icmp-port", Self::IcmpPort),
        ("icmp-admin", Self::IcmpAdmin),
    ];
}

/// A NAT of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CatalogueEntry {
    /// What scenarios call it.
    pub name: &'static str,
    /// What it answers to unsolicited SYNs, unless the scenario says otherwise; `None` for a
    /// public host, which has no NAT.
    pub unsolicited: Option<Unsolicited>,
    /// Which outside port it gives to a flow.
    pub allocation: Allocation,
    /// What it stands for, in one line.
    pub summary: &'static str,
}

/// Every NAT that a scenario can name.
pub(crate) const CATALOGUE: &[CatalogueEntry] = &[
    CatalogueEntry {
        name: "none",
        unsolicited: None,
        allocation: Allocation::Preserving,
        summary: "no NAT: the peer is a public host",
    },
    CatalogueEntry {
        name: "home",
        unsolicited: Some(Unsolicited::Drop),
        allocation: Allocation::Preserving,
        summary: "a home router as most are: unsolicited SYNs are dropped",
    },
    CatalogueEntry {
        name: "home-reject",
        unsolicited: Some(Unsolicited::Reset),
        allocation: Allocation::Preserving,
        summary: "OpenWrt style: an explicit REJECT with a TCP reset",
    },
    CatalogueEntry {
        name: "linux-router",
        unsolicited: Some(Unsolicited::Reset),
        allocation: Allocation::Preserving,
        summary: "a router without a firewall towards the WAN, which answers with RST (here by a REJECT)",
    },
    CatalogueEntry {
        name: "icmp-reject",
        unsolicited: Some(Unsolicited::IcmpPort),
        allocation: Allocation::Preserving,
        summary: "an explicit REJECT with ICMP port unreachable",
    },
    CatalogueEntry {
        name: "symmetric",
        unsolicited: Some(Unsolicited::Drop),
        allocation: Allocation::Random,
        summary: "a new random port for every destination: equal ports never meet behind two of it",
    },
];

impl NatSpec {
    /// A home router that answers unsolicited SYNs so.
    pub(crate) fn home(unsolicited: Unsolicited) -> Self {
        Self {
            name: "home".to_owned(),
            unsolicited,
            allocation: Allocation::Preserving,
            syn_timeout_s: None,
            icmp_limit: true,
        }
    }
}

impl Nat {
    /// What a peer is behind unless the scenario says otherwise.
    pub(super) fn home() -> Self {
        Self::named("home").expect("the catalogue has it")
    }

    /// The NAT of that name in the [`CATALOGUE`].
    pub(super) fn named(name: &str) -> Option<Self> {
        let entry = CATALOGUE.iter().find(|entry| entry.name == name)?;
        Some(match entry.unsolicited {
            Some(unsolicited) => Self::Behind(NatSpec {
                name: entry.name.to_owned(),
                unsolicited,
                allocation: entry.allocation,
                syn_timeout_s: None,
                icmp_limit: true,
            }),
            None => Self::Public,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_behind_the_home_nat_of_the_catalogue_by_default() {
        assert_eq!(Nat::named("home"), Some(Nat::home()));
    }

    #[test]
    fn every_name_of_the_catalogue_is_found_and_no_other() {
        for entry in CATALOGUE {
            assert!(Nat::named(entry.name).is_some(), "{}", entry.name);
        }
        assert_eq!(Nat::named("Home"), None);
        assert_eq!(Nat::named(""), None);
    }
}
