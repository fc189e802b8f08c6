//! Catalogue of the NATs that users meet, by name.

use super::{
    Allocation, BLOCK, DELTA, Filtering, Hairpin, Mapping, Nat, NatSpec, Timeouts, Unsolicited,
    keys,
};
use crate::named::Named;

/// A NAT of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CatalogueEntry {
    /// Name in scenarios.
    pub(crate) name: &'static str,
    /// The equipment that the NAT stands for, in one line.
    pub(crate) summary: &'static str,
    /// Behaviour; `None` for a public host, which has no NAT.
    pub(crate) spec: Option<NatSpec>,
}

/// The most common home router. All other NATs are defined by their differences to it.
pub(crate) const HOME: NatSpec = NatSpec {
    name: "home",
    mapping: Mapping::EndpointIndependent,
    filtering: Filtering::AddressAndPortDependent,
    allocation: Allocation::PreservingOverloading,
    unsolicited: Unsolicited::Drop,
    simultaneous_open: true,
    hairpin: Hairpin::None,
    timeouts: Timeouts { syn_s: None, established_s: None, close_s: None },
    icmp_limit: true,
};

const fn entry(summary: &'static str, spec: NatSpec) -> CatalogueEntry {
    CatalogueEntry { name: spec.name, summary, spec: Some(spec) }
}

/// Every NAT that a scenario can name.
pub(crate) const CATALOGUE: &[CatalogueEntry] = &[
    CatalogueEntry { name: "none", summary: "no NAT: the peer is a public host", spec: None },
    entry(
        "a home router as most are (Linux, OpenWrt with DROP): unsolicited SYNs are dropped",
        HOME,
    ),
    entry(
        "OpenWrt as it comes: an explicit REJECT with a TCP reset",
        NatSpec { name: "home-reject", unsolicited: Unsolicited::Reset, ..HOME },
    ),
    entry(
        "a Linux router without a firewall towards the WAN: its kernel answers with RST",
        NatSpec { name: "linux-router", unsolicited: Unsolicited::Open, ..HOME },
    ),
    entry(
        "a firewall with iptables' plain REJECT: ICMP port unreachable",
        NatSpec { name: "icmp-reject", unsolicited: Unsolicited::IcmpPort, ..HOME },
    ),
    entry(
        "\"full cone\", as game consoles like it: whoever sends to a mapped port is let in",
        NatSpec {
            name: "full-cone",
            filtering: Filtering::EndpointIndependent,
            allocation: Allocation::Preserving,
            hairpin: Hairpin::External,
            ..HOME
        },
    ),
    entry(
        "\"address-restricted cone\": addresses that were sent to are let in from any port",
        NatSpec {
            name: "address-restricted",
            filtering: Filtering::AddressDependent,
            allocation: Allocation::Preserving,
            hairpin: Hairpin::Internal,
            ..HOME
        },
    ),
    entry(
        "enterprise firewalls (pf, Cisco, Fortinet): a new random port for every destination",
        NatSpec {
            name: "symmetric",
            mapping: Mapping::AddressAndPortDependent,
            allocation: Allocation::Random,
            ..HOME
        },
    ),
    entry(
        "older carrier and enterprise NATs: the next port for every destination, so that it can be \
         predicted",
        NatSpec {
            name: "symmetric-sequential",
            mapping: Mapping::AddressAndPortDependent,
            allocation: Allocation::Sequential,
            ..HOME
        },
    ),
    entry(
        "symmetric, but the first destination of an inside port keeps that port",
        NatSpec {
            name: "symmetric-preserving",
            mapping: Mapping::AddressAndPortDependent,
            allocation: Allocation::Preserving,
            ..HOME
        },
    ),
    entry(
        "NATs that shift all ports by a constant",
        NatSpec { name: "fixed-delta", allocation: Allocation::FixedDelta(DELTA), ..HOME },
    ),
    entry(
        "carrier-grade NAT: each subscriber has a block of ports, all outside of the inside ports",
        NatSpec { name: "port-block", allocation: Allocation::Block(BLOCK), ..HOME },
    ),
    entry(
        "firewalls with SYN tracking: no SYN from outside ever, against RFC 5382 REQ-2",
        NatSpec { name: "no-simultaneous-open", simultaneous_open: false, ..HOME },
    ),
    entry(
        "cheap routers with small tables: connections are forgotten within seconds",
        NatSpec {
            name: "short-timeouts",
            timeouts: Timeouts { syn_s: Some(2), established_s: Some(3), close_s: Some(1) },
            ..HOME
        },
    ),
];

/// The entry with a name.
pub(crate) fn find(name: &str) -> Option<&'static CatalogueEntry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

/// All names, in the order of the catalogue.
pub(crate) fn names() -> Vec<&'static str> {
    CATALOGUE.iter().map(|entry| entry.name).collect()
}

impl NatSpec {
    /// A home router with this answer to unsolicited SYNs.
    pub(crate) fn home(unsolicited: Unsolicited) -> Self {
        Self { unsolicited, ..HOME }
    }

    /// Differences to the NAT of the catalogue that has the same name: `key = value`, as a scenario
    /// writes it.
    pub(super) fn differences(&self) -> Vec<String> {
        let base = find(self.name).and_then(|entry| entry.spec).unwrap_or(HOME);
        let mut all = Vec::new();
        let mut named = |key: &str, own: &str, base: &str| {
            if own != base {
                all.push(format!("{key} = \"{own}\""));
            }
        };
        named(keys::MAPPING, self.mapping.name(), base.mapping.name());
        named(keys::FILTERING, self.filtering.name(), base.filtering.name());
        named(keys::ALLOCATION, &self.allocation.to_string(), &base.allocation.to_string());
        named(keys::UNSOLICITED, self.unsolicited.name(), base.unsolicited.name());
        named(keys::HAIRPIN, self.hairpin.name(), base.hairpin.name());
        let mut plain = |key: &str, own: String, base: String| {
            if own != base {
                all.push(format!("{key} = {own}"));
            }
        };
        let flag = |value: bool| value.to_string();
        plain(keys::SIMULTANEOUS_OPEN, flag(self.simultaneous_open), flag(base.simultaneous_open));
        let seconds = |value: Option<u32>| value.map_or("default".to_owned(), |s| s.to_string());
        let (own, other) = (self.timeouts, base.timeouts);
        plain(keys::SYN_TIMEOUT_S, seconds(own.syn_s), seconds(other.syn_s));
        plain(
            keys::ESTABLISHED_TIMEOUT_S,
            seconds(own.established_s),
            seconds(other.established_s),
        );
        plain(keys::CLOSE_TIMEOUT_S, seconds(own.close_s), seconds(other.close_s));
        plain(keys::ICMP_LIMIT, flag(self.icmp_limit), flag(base.icmp_limit));
        all
    }
}

impl Nat {
    /// The default NAT of a peer.
    pub(crate) fn home() -> Self {
        Self::Behind(HOME)
    }

    /// The NAT with a name of the catalogue.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let entry = find(name)?;
        Some(entry.spec.map_or(Self::Public, Self::Behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::{Sender, possible::impossible};

    #[test]
    fn every_name_is_found_and_no_other() {
        for entry in CATALOGUE {
            assert_eq!(find(entry.name), Some(entry));
            assert_eq!(Nat::named(entry.name).unwrap().spec().copied(), entry.spec);
        }
        assert_eq!(find("Home"), None);
        assert_eq!(find(""), None);
        assert_eq!(Nat::named("home"), Some(Nat::home()));
    }

    #[test]
    fn every_nat_of_the_catalogue_is_possible_and_differs_from_all_others() {
        let specs: Vec<NatSpec> = CATALOGUE.iter().filter_map(|entry| entry.spec).collect();
        for (index, spec) in specs.iter().enumerate() {
            assert_eq!(impossible(spec), None, "{spec}");
            assert_eq!(spec.to_string(), spec.name, "no difference to itself");
            for other in &specs[..index] {
                assert_ne!(NatSpec { name: other.name, ..*spec }, *other, "{spec}");
            }
        }
    }

    #[test]
    fn the_nats_of_the_catalogue_have_the_properties_of_their_kind() {
        let spec = |name: &str| find(name).unwrap().spec.unwrap();
        assert!(spec("home").preserves_ports());
        assert!(!spec("symmetric-preserving").preserves_ports());
        assert_eq!(spec("fixed-delta").first_outside_port(2024), Some(3024));
        assert_eq!(spec("fixed-delta").first_outside_port(65_000), None);
        assert_eq!(spec("symmetric").first_outside_port(2024), None);
        assert!(spec("full-cone").forwards_syn(Sender::OtherPort));
        assert!(spec("address-restricted").forwards_syn(Sender::OtherPort));
        assert!(!spec("home").forwards_syn(Sender::OtherPort));
        assert!(!spec("no-simultaneous-open").forwards_syn(Sender::Contacted));
        assert!(spec("no-simultaneous-open").forwards(Sender::Contacted));
        assert!(spec("linux-router").answers_unsolicited());
    }
}
