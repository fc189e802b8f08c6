//! Independent check of the catalogue: a program that shares no code with the harness makes routers
//! from the rules that `harness nats show` prints, and classifies them by their packets alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::test_dir::{TestDir, program, python};

/// Properties that a NAT has for each transport protocol.
const OF_TRANSPORTS: [&str; 6] =
    ["mapping", "filtering", "allocation", "delta", "block", "hairpin"];

/// Properties that exist for TCP only.
const OF_TCP: [&str; 5] = [
    "unsolicited",
    "simultaneous_open",
    "syn_timeout_s",
    "established_timeout_s",
    "close_timeout_s",
];

/// Property that only a NAT which sends ICMP errors shows.
const IF_SEEN: &str = "icmp_limit";

/// All properties of a NAT.
fn everything() -> impl Iterator<Item = &'static str> {
    OF_TRANSPORTS.into_iter().chain(OF_TCP).chain([IF_SEEN])
}

/// Keys of `harness nats show --json` with the rules of a NAT; all others describe it.
const RULES: [&str; 8] = [
    "nat",
    "program",
    "arguments",
    "stdin",
    "sysctls",
    "wan_interface",
    "wan_address",
    "lan_interface_prefix",
];

/// Properties in which a NAT differs from its description: `tcp.mapping`, `unsolicited`, ….
fn differences(described: &Value, found: &Value) -> BTreeSet<String> {
    let mut different = BTreeSet::new();
    for transport in ["tcp", "udp"] {
        for key in OF_TRANSPORTS {
            if found[transport][key] != described[key] {
                different.insert(format!("{transport}.{key}"));
            }
        }
    }
    let seen = found.get(IF_SEEN).map(|_| IF_SEEN);
    for key in OF_TCP.into_iter().chain(seen) {
        if found[key] != described[key] {
            different.insert(key.to_owned());
        }
    }
    different
}

/// Output of `harness nats show --json` for a NAT.
fn shown(dir: &TestDir, nat: &str) -> Value {
    let shown = dir.harness(&["nats", "show", nat, "--json"]);
    shown.assert_code(0);
    serde_json::from_str(&shown.stdout).unwrap()
}

/// Classification of NATs, by name. The classifier gets their rules without the descriptions.
fn classified(dir: &TestDir, nats: &[Value]) -> BTreeMap<String, Value> {
    let mut lines = String::new();
    for nat in nats {
        let mut rules = nat.clone();
        rules
            .as_object_mut()
            .unwrap()
            .retain(|key, _| RULES.contains(&key.as_str()));
        lines += &format!("{rules}\n");
    }
    let rules = dir.write("rules.jsonl", &lines);
    let mut command = dir.command(&python());
    // -B: no bytecode files beside the sources.
    command.args(["-B", &program("classify/main.py"), rules.to_str().unwrap()]);
    let ran = dir.spawn(command, dir.path("none")).wait();
    ran.assert_code(0);
    let found: BTreeMap<String, Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|nat: Value| (nat["nat"].as_str().unwrap().to_owned(), nat))
        .collect();
    assert_eq!(found.len(), nats.len(), "{ran:?}");
    found
}

#[test]
fn an_independent_program_classifies_every_nat_as_the_catalogue_does() {
    let dir = TestDir::new();
    let listed = dir.harness(&["nats", "--json"]);
    listed.assert_code(0);
    let list: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let described: BTreeMap<&str, &Value> = list
        .iter()
        .filter_map(|entry| Some((entry["name"].as_str()?, entry.get("behaviour")?)))
        .collect();
    assert!(described.len() >= 13, "all but the public host: {list:#?}");
    for (name, behaviour) in &described {
        let known = |key: &String| everything().any(|known| known == key);
        let unknown: Vec<_> = behaviour
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| !known(key))
            .collect();
        assert!(unknown.is_empty(), "{name}: nothing checks {unknown:?}");
    }
    let nats: Vec<Value> = described.keys().map(|name| shown(&dir, name)).collect();
    let found = classified(&dir, &nats);

    let wrong: Vec<_> = described
        .iter()
        .map(|(name, behaviour)| (name, differences(behaviour, &found[*name])))
        .filter(|(_, different)| !different.is_empty())
        .map(|(name, different)| format!("{name}: {different:?} in {}", found[*name]))
        .collect();
    assert!(wrong.is_empty(), "not what the catalogue says:\n{}", wrong.join("\n"));
    // No description fits another NAT, or it would say too little.
    for (name, found) in &found {
        for (other, behaviour) in &described {
            let fits = differences(behaviour, found).is_empty();
            assert_eq!(fits, name == other, "the rules of {name}, described as {other}");
        }
    }
}

/// A NAT, a replacement in its rules (text in JSON), and the properties that change with it.
type Sabotage = (&'static str, &'static str, &'static str, &'static [&'static str]);

const SABOTAGES: &[Sabotage] = &[
    ("home", "-j DROP", "-j ACCEPT", &["unsolicited"]),
    ("home-reject", "tcp-reset", "icmp-admin-prohibited", &["unsolicited"]),
    ("icmp-reject", "icmp-port-", "icmp-host-", &["unsolicited"]),
    (
        "icmp-reject",
        r#""sysctls":{"#,
        r#""sysctls":{"net/ipv4/icmp_ratelimit":"0","#,
        &["icmp_limit"],
    ),
    ("no-simultaneous-open", "--syn -j DROP", "--syn -j ACCEPT", &["simultaneous_open"]),
    ("fixed-delta", ":1000-65535", ":1001-65535", &["tcp.delta", "udp.delta"]),
    ("port-block", "61440-61951", "61441-61951", &["tcp.block", "udp.block"]),
    (
        "port-block",
        "-A POSTROUTING -o wan -p tcp",
        "-A POSTROUTING -d 198.51.100.2 -p tcp -j MASQUERADE --to-ports 2000-2999\\n\
         -A POSTROUTING -o wan -p tcp",
        // One outside host gets another block.
        &["tcp.mapping"],
    ),
    (
        "symmetric",
        " --random-fully",
        "",
        &["tcp.allocation", "tcp.mapping", "udp.allocation", "udp.mapping"],
    ),
    (
        "symmetric-preserving",
        "th sport != @owner",
        "th sport == @owner",
        &["tcp.allocation", "udp.allocation"],
    ),
    (
        "address-restricted",
        "meta l4proto . th dport . ip saddr @contacted dnat",
        "dnat",
        &["tcp.filtering", "udp.filtering"],
    ),
    ("full-cone", "ct mark 1 meta", "ct mark 2 meta", &["tcp.hairpin", "udp.hairpin"]),
    ("short-timeouts", r#"_syn_sent":"2""#, r#"_syn_sent":"3""#, &["syn_timeout_s"]),
    ("short-timeouts", r#"_established":"3""#, r#"_established":"4""#, &["established_timeout_s"]),
    ("short-timeouts", r#"_time_wait":"1""#, r#"_time_wait":"2""#, &["close_timeout_s"]),
];

#[test]
fn the_classifier_notices_a_change_of_each_property() {
    let dir = TestDir::new();
    for property in everything() {
        let is_property = |named: &&str| named.trim_start_matches("tcp.") == property;
        let sabotaged = SABOTAGES
            .iter()
            .flat_map(|sabotage| sabotage.3)
            .any(is_property);
        assert!(sabotaged, "no sabotage changes {property}");
    }
    let (mut nats, mut cases) = (Vec::new(), Vec::new());
    for (number, (name, from, to, expected)) in SABOTAGES.iter().enumerate() {
        let nat = shown(&dir, name);
        let text = nat.to_string();
        let mut sabotaged: Value = serde_json::from_str(&text.replace(from, to)).unwrap();
        assert_ne!(sabotaged, nat, "{name} has {from:?} in its rules");
        let label = format!("{number}: {name} with {to:?} for {from:?}");
        sabotaged["nat"] = label.as_str().into();
        nats.push(sabotaged);
        cases.push((label, nat["behaviour"].clone(), *expected));
    }
    let found = classified(&dir, &nats);
    for (label, behaviour, expected) in cases {
        let different = differences(&behaviour, &found[&label]);
        let names: Vec<&str> = different.iter().map(String::as_str).collect();
        assert_eq!(names, expected, "{label}: {}", found[&label]);
    }
}
