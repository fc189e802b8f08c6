//! `harness nats verify`: every NAT has its properties, and every property that differs is named.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::test_dir::{self, FinishedRun, HARNESS, TestDir};

/// Names of NATs with the properties that differ, from the output of `nats verify --json`.
fn verdicts(ran: &FinishedRun) -> Vec<(String, BTreeSet<String>)> {
    let report: Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", ran.stdout, ran.stderr));
    let differing = |nat: &Value| {
        let all = nat["properties"]
            .as_array()
            .unwrap_or_else(|| panic!("{nat}"));
        assert!(all.len() >= 10, "{nat}");
        let wrong = all.iter().filter(|property| property["holds"] == false);
        wrong
            .map(|property| property["property"].as_str().unwrap().to_owned())
            .collect()
    };
    let nats = report.as_array().unwrap().iter();
    nats.map(|nat| (nat["nat"].as_str().unwrap().to_owned(), differing(nat)))
        .collect()
}

/// Verifies NATs and asserts that none differs.
fn assert_as_described(dir: &TestDir, arguments: &[&str], count: usize) {
    let ran = dir.harness(&[&["nats", "verify", "--json"], arguments].concat());
    let verdicts = verdicts(&ran);
    ran.assert_code(0);
    assert_eq!(verdicts.len(), count);
    for (nat, differing) in verdicts {
        assert_eq!(differing, BTreeSet::new(), "{nat}");
    }
}

#[test]
fn every_nat_of_the_catalogue_does_what_it_says() {
    assert_as_described(&TestDir::new(), &[], 13);
}

#[test]
fn every_ipv6_firewall_of_the_catalogue_does_what_it_says() {
    let dir = TestDir::new();
    assert_as_described(&dir, &["--ipv6"], 8);
    // A NAT that is open needs another probe of its memory.
    let open = "{ name = \"full-cone\", unsolicited = \"open\", syn_timeout_s = 1 }";
    assert_as_described(&dir, &["--ipv6", open], 1);
}

/// Program that keeps a processor busy until it is dropped.
struct BusyLoop(Child);

impl BusyLoop {
    fn start() -> Self {
        Self(
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for BusyLoop {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The kernel drops packets to a new IPv6 address until one of its workers has run.
#[test]
fn firewalls_with_ipv6_are_probed_when_they_are_ready_on_a_busy_machine() {
    let dir = TestDir::alone();
    // Time-outs of this length are not verified, so that all these NATs are alike.
    let nats: Vec<String> = (60..140)
        .map(|seconds| format!("{{ syn_timeout_s = {seconds} }}"))
        .collect();
    let mut arguments = vec!["--ipv6"];
    arguments.extend(nats.iter().map(String::as_str));
    let _busy_loops: Vec<BusyLoop> = (0..8).map(|_| BusyLoop::start()).collect();
    assert_as_described(&dir, &arguments, nats.len());
}

/// Combinations of properties that no NAT of the catalogue has.
#[test]
fn nats_made_from_the_vocabulary_do_what_they_say() {
    let mut nats = Vec::new();
    for mapping in ["endpoint-independent", "address-dependent", "address-and-port-dependent"] {
        for (filtering, hairpin) in [
            ("endpoint-independent", "external"),
            ("address-dependent", "none"),
            ("address-and-port-dependent", "internal"),
        ] {
            for allocation in ["preserving", "random", "sequential", "block"] {
                nats.push(format!(
                    "{{ mapping = \"{mapping}\", filtering = \"{filtering}\", \
                     allocation = \"{allocation}\", hairpin = \"{hairpin}\" }}"
                ));
            }
        }
    }
    for answer in ["icmp-admin", "icmp-host"] {
        nats.push(format!("{{ unsolicited = \"{answer}\", icmp_limit = false }}"));
    }
    for answer in ["icmp-admin", "icmp-host", "reset", "open"] {
        nats.push(format!("{{ name = \"full-cone\", unsolicited = \"{answer}\" }}"));
    }
    nats.push("{ name = \"full-cone\", syn_timeout_s = 1, established_timeout_s = 2 }".to_owned());
    nats.push("{ simultaneous_open = false, allocation = \"sequential\" }".to_owned());
    nats.push("{ allocation = \"fixed-delta\", delta = 30000 }".to_owned());
    nats.push("{ allocation = \"block\", block = [30000, 31999] }".to_owned());
    let names: Vec<&str> = nats.iter().map(String::as_str).collect();
    assert_as_described(&TestDir::new(), &names, nats.len());
}

/// Described NAT, NAT built instead, and the properties in which they differ.
const SABOTAGES: &[(&str, &str, &[&str])] = &[
    (
        "symmetric",
        "{ mapping = \"endpoint-independent\", allocation = \"random\" }",
        &["mapping", "UDP mapping"],
    ),
    (
        "{ mapping = \"endpoint-independent\", allocation = \"random\" }",
        "{ mapping = \"address-dependent\", allocation = \"random\" }",
        &["mapping", "UDP mapping"],
    ),
    ("symmetric", "symmetric-sequential", &["allocation", "UDP allocation"]),
    ("symmetric-sequential", "symmetric-preserving", &["allocation", "UDP allocation"]),
    (
        "fixed-delta",
        "{ allocation = \"fixed-delta\", delta = 1001 }",
        &["allocation", "UDP allocation"],
    ),
    (
        "port-block",
        "{ allocation = \"block\", block = [51440, 51951] }",
        &["allocation", "UDP allocation"],
    ),
    (
        "home",
        "{ allocation = \"preserving\" }",
        &["second host, other destination", "UDP second host, other destination"],
    ),
    (
        "address-restricted",
        "{ name = \"full-cone\", hairpin = \"internal\" }",
        &["filtering", "UDP filtering"],
    ),
    (
        "address-restricted",
        "{ name = \"address-restricted\", filtering = \"address-and-port-dependent\" }",
        &["filtering", "UDP filtering"],
    ),
    ("full-cone", "{ name = \"full-cone\", hairpin = \"none\" }", &["hairpin", "UDP hairpin"]),
    ("full-cone", "{ name = \"full-cone\", hairpin = \"internal\" }", &["hairpin", "UDP hairpin"]),
    ("home", "home-reject", &["unsolicited"]),
    ("home-reject", "icmp-reject", &["unsolicited"]),
    ("icmp-reject", "{ unsolicited = \"icmp-admin\" }", &["unsolicited"]),
    ("{ unsolicited = \"icmp-host\" }", "home", &["unsolicited", "ICMP limit"]),
    ("linux-router", "home-reject", &["UDP unsolicited"]),
    ("icmp-reject", "{ unsolicited = \"icmp-port\", icmp_limit = false }", &["ICMP limit"]),
    ("home", "no-simultaneous-open", &["simultaneous open"]),
    ("no-simultaneous-open", "home", &["simultaneous open"]),
    ("{ syn_timeout_s = 2 }", "{ syn_timeout_s = 4 }", &["time-out of a SYN"]),
    (
        "{ established_timeout_s = 2 }",
        "{ established_timeout_s = 4 }",
        &["time-out when established"],
    ),
    ("{ close_timeout_s = 2 }", "{ close_timeout_s = 4 }", &["time-out when closed"]),
    ("{ close_timeout_s = 4 }", "{ close_timeout_s = 1 }", &["time-out when closed"]),
];

#[test]
fn every_property_that_is_not_as_described_is_named() {
    for several in SABOTAGES.chunks(6) {
        // Each has a folder of its own, so that none finds processes of another left.
        let dirs: Vec<TestDir> = several.iter().map(|_| TestDir::new()).collect();
        let running: Vec<_> = dirs
            .iter()
            .zip(several)
            .map(|(dir, (described, built, _))| {
                let arguments = ["nats", "verify", described, "--built", built, "--json"];
                dir.start_harness(&arguments, dir.path("none"))
            })
            .collect();
        for (running, (described, built, expected)) in running.into_iter().zip(several) {
            let ran = running.wait();
            let (_, differing) = verdicts(&ran).pop().unwrap();
            let expected = expected.iter().map(ToString::to_string).collect();
            assert_eq!(differing, expected, "{described}, built as {built}: {}", ran.stdout);
            ran.assert_code(1);
        }
    }
}

/// Replaces a program that loads rules by one that first changes the rules with `sed`. Returns the
/// `PATH` on which it is found.
fn tampered(dir: &TestDir, program: &str, script: &str) -> String {
    let folder = dir.path("tampered");
    fs::create_dir_all(&folder).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let usual = format!("{path}:/usr/sbin:/sbin");
    let text = format!("#!/bin/sh\nPATH={usual}\nsed '{script}' | {program} \"$@\"\n");
    let file = folder.join(program);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{path}", folder.display())
}

/// Rules changed on their way to the kernel, with faults that no NAT of the vocabulary has.
#[test]
fn rules_that_are_changed_on_their_way_to_the_kernel_are_noticed() {
    let tampering = [
        (
            "iptables-restore",
            false,
            "1i *raw\\n-A PREROUTING -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP\\nCOMMIT",
            &["connection", "simultaneous open"][..],
        ),
        (
            "iptables-restore",
            false,
            "1i *raw\\n-A PREROUTING -s 100.64.101.2 -p udp -j DROP\\nCOMMIT",
            &["UDP second host, same destination", "UDP second host, other destination"],
        ),
        (
            "iptables-restore",
            false,
            "1i *raw\\n-A PREROUTING -i wan -p icmp -j DROP\\nCOMMIT",
            &["ICMP errors", "ICMP echo"],
        ),
        (
            "ip6tables-restore",
            true,
            "1i *nat\\n-A POSTROUTING -o wan -p tcp -j MASQUERADE\\nCOMMIT",
            &["translation"],
        ),
    ];
    // At the same time: each waits for packets that never come.
    let dirs = tampering.each_ref().map(|_| TestDir::new());
    let running: Vec<_> = dirs
        .iter()
        .zip(&tampering)
        .map(|(dir, (program, ipv6, sed, _))| {
            let path = tampered(dir, program, sed);
            let mut command = dir.command(HARNESS);
            command
                .args(["nats", "verify", "home", "--json"])
                .env("PATH", path);
            if *ipv6 {
                command.arg("--ipv6");
            }
            dir.spawn(command, dir.path("none"))
        })
        .collect();
    for (running, (.., expected)) in running.into_iter().zip(tampering) {
        let ran = running.wait();
        let (_, differing) = verdicts(&ran).pop().unwrap();
        ran.assert_code(1);
        for property in expected {
            assert!(differing.contains(*property), "{property}: {differing:?}");
        }
    }
}

const TWO_NATS: &str = r#"
    name = "two"
    trials = 2
    seed = 1
    [wan]
    delay_ms = 2
    [sweep]
    "peer.a.nat" = ["home", "home-reject"]
"#;

#[test]
fn nothing_is_measured_on_a_nat_that_differs_from_its_description() {
    let dir = TestDir::new();
    let file = dir.write("two.toml", TWO_NATS);
    let path = tampered(&dir, "iptables-restore", "s/-j REJECT.*/-j DROP/");
    let run = |name: &str, option: Option<&str>| {
        let out = dir.path(name);
        let mut command = dir.command(HARNESS);
        command
            .arg(&file)
            .arg("--out")
            .arg(&out)
            .args(option)
            .env("PATH", &path);
        dir.spawn(command, out).wait()
    };
    let ran = run("verified", None);
    for trial in ran.trials() {
        let (verdict, kind) = match trial["cell"].as_u64().unwrap() {
            0 => ("success", &Value::Null),
            _ => ("error", &trial["cause"]["kind"]),
        };
        assert_eq!(trial["verdict"], verdict, "{trial}");
        assert!(kind.is_null() || kind == "nat", "{trial}");
    }
    let warning = "warning: nothing is measured on NAT home-reject: unsolicited should be \
        \"reset\", and was seen to be \"drop\"";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    assert!(ran.stdout.contains("was seen to be"), "{}", ran.stdout);
    ran.assert_code(3);
    let log = fs::read_to_string(ran.out.join("events.jsonl")).unwrap();
    let started: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let nats = started["nats"].as_array().unwrap();
    let names: Vec<_> = nats
        .iter()
        .map(|nat| nat["nat"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["home", "home-reject"]);
    assert_eq!(nats[0].get("differences"), None);
    assert_eq!(nats[1]["differences"].as_array().unwrap().len(), 1);

    let unverified = run("not-verified", Some("--no-verify"));
    let trials = unverified.trials();
    assert_eq!(trials.len(), 4);
    assert!(trials.iter().all(|trial| trial["verdict"] == "success"), "{trials:?}");
    unverified.assert_code(0);
}

#[test]
fn a_run_in_which_no_nat_is_as_described_does_not_start() {
    let dir = TestDir::new();
    let only = TWO_NATS.replace("\"home\", \"home-reject\"", "\"home-reject\"");
    let file = dir.write("one.toml", &only);
    let out = dir.path("out");
    let mut command = dir.command(HARNESS);
    let path = tampered(&dir, "iptables-restore", "s/-j REJECT.*/-j DROP/");
    command.arg(&file).arg("--out").arg(&out).env("PATH", path);
    let ran = dir.spawn(command, out.clone()).wait();
    ran.assert_code(5);
    assert!(
        ran.stderr
            .contains("NAT home-reject: unsolicited should be"),
        "{}",
        ran.stderr
    );
    assert!(!out.exists());
}

#[test]
fn if_the_kernel_refuses_the_rules_of_one_nat_the_others_are_measured() {
    let dir = TestDir::new();
    let file = dir.write("two.toml", &TWO_NATS.replace("home-reject", "full-cone"));
    // nft then fails with a message, as on a kernel that lacks a module.
    let path = tampered(&dir, "nft", "s/dnat/dnat to nowhere/");
    for option in [None, Some("--no-verify")] {
        let out = dir.path(option.unwrap_or("verified"));
        let mut command = dir.command(HARNESS);
        command
            .arg(&file)
            .arg("--out")
            .arg(&out)
            .args(option)
            .env("PATH", &path);
        let ran = dir.spawn(command, out).wait();
        ran.assert_code(3);
        for trial in ran.trials() {
            let expected = if trial["cell"] == 0 { "success" } else { "error" };
            assert_eq!(trial["verdict"], expected, "{trial}");
        }
        let warning = "warning: nothing is measured on NAT full-cone: ";
        assert!(ran.stderr.contains(warning), "{}", ran.stderr);
        assert!(ran.stdout.contains("rules of NAT"), "{}", ran.stdout);
    }
}

#[test]
fn the_script_of_nats_show_makes_the_nat() {
    let dir = TestDir::new();
    let list: Value = serde_json::from_str(&dir.harness(&["nats", "--json"]).stdout).unwrap();
    for entry in list.as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let shown = dir.harness(&["nats", "show", name]);
        shown.assert_code(0);
        let mut shell = Command::new("unshare")
            .args(["--net", "sh", "-eu"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .spawn()
            .unwrap();
        let rules = "\nnft list ruleset\n";
        let script = shown.stdout.clone() + rules;
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        let done = shell.wait_with_output().unwrap();
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        let loaded = String::from_utf8_lossy(&done.stdout).contains("srcnat");
        assert_eq!(loaded, name != "none", "{name}");
    }
}

#[test]
fn an_unknown_or_impossible_nat_is_refused_with_a_suggestion() {
    let dir = TestDir::new();
    for (arguments, message) in [
        (&["show", "hoem"][..], "there is no NAT \"hoem\": did you mean `home`?"),
        (&["verify", "home", "symetric"], "did you mean `symmetric`?"),
        (&["verify", "none"], "there is nothing to verify"),
        (&["show", "symmetric", "--ipv6"], "with IPv6 nothing is translated"),
        (&["verify", "{ mapping = \"address-dependent\" }"], "contradicts the rest of this NAT"),
        (&["show", "{ unsolicited = 1 }"], "must be a string"),
        (&["verify", "{ nat = "], "that is not a NAT"),
    ] {
        let ran = dir.harness(&[&["nats"], arguments].concat());
        ran.assert_code(2);
        assert!(ran.stderr.contains(message), "{message}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn an_interrupt_ends_a_verification_at_once() {
    let dir = TestDir::new();
    let running = dir.start_harness(&["nats", "verify", "short-timeouts"], dir.path("none"));
    // The isolated process exists: the verification has begun.
    running.inner();
    let begun = test_dir::now();
    running.signal(Signal::SIGINT);
    let ran = running.wait();
    ran.assert_code(130);
    assert!(begun.elapsed() < Duration::from_secs(3), "the time-outs of the NAT alone take longer");
    assert!(ran.stderr.contains("interrupted"), "{}", ran.stderr);
}
