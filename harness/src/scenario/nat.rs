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
/// All of them map and filter as Linux MASQUERADE does: endpoint-independent mapping that keeps
/// the port, address-and-port-dependent filtering (RFC 4787 sections 4 and 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NatSpec {
    /// Its name in the catalogue.
    pub name: String,
    /// What it answers to a SYN that nobody inside asked for.
    pub unsolicited: Unsolicited,
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
    /// What it stands for, in one line.
    pub summary: &'static str,
}

/// Every NAT that a scenario can name.
pub(crate) const CATALOGUE: &[CatalogueEntry] = &[
    CatalogueEntry {
        name: "none",
        unsolicited: None,
        summary: "no NAT: the peer is a public host",
    },
    CatalogueEntry {
        name: "home",
        unsolicited: Some(Unsolicited::Drop),
        summary: "a home router as most are: unsolicited SYNs are dropped",
    },
    CatalogueEntry {
        name: "home-reject",
        unsolicited: Some(Unsolicited::Reset),
        summary: "OpenWrt style: an explicit REJECT with a TCP reset",
    },
    CatalogueEntry {
        name: "linux-router",
        unsolicited: Some(Unsolicited::Reset),
        summary: "MASQUERADE and an open INPUT chain: the kernel itself answers with RST",
    },
    CatalogueEntry {
        name: "icmp-reject",
        unsolicited: Some(Unsolicited::IcmpPort),
        summary: "an explicit REJECT with ICMP port unreachable",
    },
];

impl Nat {
    /// What a peer is behind unless the scenario says otherwise.
    pub(super) fn home() -> Self {
        Self::behind("home", Unsolicited::Drop)
    }

    /// The NAT of that name in the [`CATALOGUE`].
    pub(super) fn named(name: &str) -> Option<Self> {
        let entry = CATALOGUE.iter().find(|entry| entry.name == name)?;
        Some(match entry.unsolicited {
            Some(unsolicited) => Self::behind(entry.name, unsolicited),
            None => Self::Public,
        })
    }

    fn behind(name: &str, unsolicited: Unsolicited) -> Self {
        Self::Behind(NatSpec { name: name.to_owned(), unsolicited })
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
