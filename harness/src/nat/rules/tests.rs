//! The text of rules, for every NAT of the catalogue and every behaviour beside it.

use std::net::{IpAddr, Ipv4Addr};

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

fn shown(family: Family, nat: &NatSpec) -> String {
    let Rules { tool, text, sysctls } = rules(family, ADDRESS, nat);
    let sysctls: Vec<String> = sysctls
        .iter()
        .map(|it| format!("{}={}\n", it.name, it.value))
        .collect();
    // Of the long list of ports, the ends are enough.
    let text = match (text.find(", 2 : 40002"), text.find(", 1022 : 41022")) {
        (Some(from), Some(to)) => format!("{}, …{}", &text[..from], &text[to..]),
        _ => text,
    };
    format!("== {family:?} {}\n{}{text}\n", tool.program(), sysctls.concat())
}

#[test]
fn the_rules_of_the_catalogue_are_these() {
    let mut text = String::new();
    for spec in CATALOGUE.iter().filter_map(|entry| entry.spec) {
        text += &shown(Family::V4, &spec);
        if impossible_with_ipv6(&spec).is_none() {
            text += &shown(Family::V6, &spec);
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_rules_of_behaviours_beside_the_catalogue_are_these() {
    let mut text = String::new();
    for (_, unsolicited) in Unsolicited::NAMES {
        let nat = NatSpec { unsolicited: *unsolicited, ..HOME };
        text += &shown(Family::V4, &nat);
        text += &shown(Family::V6, &nat);
        let timeouts = Timeouts { syn_s: Some(5), ..Timeouts::default() };
        let nat = NatSpec {
            allocation: Allocation::Preserving,
            filtering: Filtering::AddressDependent,
            timeouts,
            ..nat
        };
        text += &shown(Family::V4, &nat);
        text += &shown(Family::V6, &nat);
    }
    insta::assert_snapshot!(text);
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
                    // The first line is the NAT's description.
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
