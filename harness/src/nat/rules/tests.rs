//! Rules of every NAT of the catalogue, and of behaviours beside it.

use std::net::{IpAddr, Ipv4Addr};

use similar::{DiffOp, TextDiff};

use super::*;
use crate::{
    named::Named,
    nat::{
        Timeouts, Unsolicited,
        catalogue::{CATALOGUE, HOME},
        possible::{impossible, impossible_with_ipv6},
    },
};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// The rules of several NATs. For each program of each family, the first NAT is listed in full, and
/// every other one as a diff to it, so that a change shows what it means for a behaviour.
#[derive(Default)]
struct Listing {
    bases: Vec<(Family, Tool, NatSpec, String)>,
    text: String,
}

impl Listing {
    fn add(&mut self, family: Family, nat: NatSpec) {
        let Rules { tool, text, sysctls } = rules(family, ADDRESS, &nat);
        let sysctls: String = sysctls
            .iter()
            .map(|Sysctl { name, value }| format!("{name}={value}\n"))
            .collect();
        let (description, rules) = text.split_once('\n').unwrap();
        assert_eq!(description, format!("# {nat}"));
        let all = sysctls + &abbreviated(rules);
        let heading = format!("== {family:?} {}: {nat}", tool.program());
        let base = self
            .bases
            .iter()
            .find(|(base_family, base_tool, ..)| (*base_family, *base_tool) == (family, tool));
        if let Some((_, _, base, base_rules)) = base {
            let changes = difference(base_rules, &all);
            self.text += &format!("{heading}\n   as a diff to {base}\n{changes}\n");
        } else {
            self.text += &format!("{heading}\n{all}\n");
            self.bases.push((family, tool, nat, all));
        }
    }
}

/// Rules with only the ends of the long list of sequential ports.
fn abbreviated(rules: &str) -> String {
    match (rules.find(", 2 : 40002"), rules.find(", 1022 : 41022")) {
        (Some(from), Some(to)) => format!("{}, …{}", &rules[..from], &rules[to..]),
        _ => rules.to_owned(),
    }
}

/// The lines that differ, each group with the line before and after.
fn difference(base: &str, other: &str) -> String {
    let diff = TextDiff::from_lines(base, other);
    let groups = diff.grouped_ops(1);
    let group = |ops: &Vec<DiffOp>| -> String {
        ops.iter()
            .flat_map(|op| diff.iter_changes(op))
            .map(|change| format!("{}{}", change.tag(), change.value()))
            .collect()
    };
    let groups: Vec<String> = groups.iter().map(group).collect();
    groups.join(" …\n")
}

#[test]
fn rules_of_the_catalogue() {
    let mut listing = Listing::default();
    for spec in CATALOGUE.iter().filter_map(|entry| entry.spec) {
        listing.add(Family::V4, spec);
        if impossible_with_ipv6(&spec).is_none() {
            listing.add(Family::V6, spec);
        }
    }
    insta::assert_snapshot!(listing.text);
}

#[test]
fn rules_of_behaviours_beside_the_catalogue() {
    let mut listing = Listing::default();
    let timeouts = Timeouts { syn_s: Some(5), ..Timeouts::default() };
    for (_, unsolicited) in Unsolicited::NAMES {
        let iptables = NatSpec { unsolicited: *unsolicited, ..HOME };
        let nft = NatSpec {
            allocation: Allocation::Preserving,
            filtering: Filtering::AddressDependent,
            timeouts,
            ..iptables
        };
        for nat in [iptables, nft] {
            listing.add(Family::V4, nat);
            listing.add(Family::V6, nat);
        }
    }
    insta::assert_snapshot!(listing.text);
}

#[test]
fn two_different_nats_have_different_rules() {
    let mut seen: Vec<(Rules, NatSpec)> = Vec::new();
    for (_, mapping) in Mapping::NAMES {
        for (_, filtering) in Filtering::NAMES {
            for (_, allocation) in Allocation::NAMES {
                for (_, hairpin) in Hairpin::NAMES {
                    let nat = NatSpec {
                        mapping: *mapping,
                        filtering: *filtering,
                        allocation: *allocation,
                        hairpin: *hairpin,
                        ..HOME
                    };
                    if impossible(&nat).is_some() {
                        continue;
                    }
                    let mut rules = rules(Family::V4, ADDRESS, &nat);
                    // The first line describes the NAT.
                    rules.text = rules.text.lines().skip(1).collect();
                    let same = seen.iter().find(|(other, _)| *other == rules);
                    assert!(same.is_none(), "{nat} has the rules of {}", same.unwrap().1);
                    seen.push((rules, nat));
                }
            }
        }
    }
    assert_eq!(seen.len(), 4 * 27 + 2, "all possible combinations");
}
