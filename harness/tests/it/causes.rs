//! Causes of failures: for each, a lab that makes it certain, and the evidence that is reported.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::test_dir::{TestDir, program, python};

/// Lab in which one cause is certain.
struct CertainCause {
    name: &'static str,
    /// Rest of the scenario, below `trials` and `[wan]`.
    scenario: &'static str,
    /// First argument of the subject `caused.py`; with an empty one, the subject is `punch`.
    behaviour: &'static str,
    kind: &'static str,
    /// Parts of the evidence; `#` stands for a number.
    evidence: &'static [&'static str],
}

const CERTAIN: &[CertainCause] = &[
    CertainCause {
        name: "crash",
        scenario: "[subject]\ncommand = ['/bin/sh', '-c', 'kill -SEGV $$']",
        behaviour: "",
        kind: "peer-crashed",
        evidence: &["peer a ended with signal 11 after # ms"],
    },
    CertainCause {
        name: "garble",
        scenario: "[subject]\ncommand = ['/bin/sh', '-c', 'echo garbage']",
        behaviour: "",
        kind: "bytes-differ",
        evidence: &["what came out of peer a is not what went in"],
    },
    CertainCause {
        name: "bad-end",
        scenario: "[punch]\ntimeout_s = 2",
        behaviour: "then-fail",
        kind: "ended-badly",
        evidence: &[
            "the bytes came out of both peers, but a ended with exit 1, saying \"changed my mind\"",
        ],
    },
    CertainCause {
        name: "ports-taken",
        // Shorter than the time for which the ports of a lane stay the same.
        scenario: "[punch]\ntimeout_s = 0.5\n[peer.b]\ntaken_ports = 64",
        behaviour: "",
        kind: "nothing-bound",
        evidence: &["peer b could bind none of its ports: port # and # more (Address"],
    },
    CertainCause {
        name: "silence",
        scenario: "[punch]\ntimeout_s = 0.3\n[subject]\ncommand = ['/bin/sh', '-c', 'exit 4']",
        behaviour: "",
        kind: "no-syn",
        evidence: &["no SYN of peer a came to the WAN; it ended with exit 4"],
    },
    CertainCause {
        name: "elsewhere",
        scenario: "[punch]\ntimeout_s = 0.5\n[subject]\ncommand = ['/bin/sh', '-c', \
            'timeout 0.3 sh -c \": < /dev/tcp/192.0.2.99/80\" || \
            timeout 0.3 bash -c \": < /dev/tcp/192.0.2.99/80\"; exit 1']",
        behaviour: "",
        kind: "no-syn",
        // On a busy machine the subject lives long enough to repeat its SYN.
        evidence: &[
            "peer a sent # SYN",
            ", none of them for peer b (# to addresses that nobody has)",
        ],
    },
    CertainCause {
        name: "apart",
        scenario: "[punch]\ntimeout_s = 0.5\n[peer.b]\nstart_s = 1",
        behaviour: "",
        kind: "never-together",
        evidence: &[
            "a ran for # ms and ended # ms before b's first SYN left: b was started # ms after a",
        ],
    },
    CertainCause {
        name: "clocks",
        scenario: "[punch]\ntimeout_s = 0.5\n[peer.b]\nclock_offset_s = 100",
        behaviour: "",
        kind: "buckets-disjoint",
        evidence: &[
            "a used buckets #, #",
            ", b buckets #, #",
            ": no port in common at any time; b's clock was # s ahead of a's",
        ],
    },
    CertainCause {
        name: "ports",
        scenario: "[punch]\ntimeout_s = 0.5",
        behaviour: "other-ports",
        kind: "no-common-port",
        evidence: &["a sent SYNs to port 4321 of b, b to port 4322 of a: none in common"],
    },
    CertainCause {
        name: "remap",
        scenario: "[punch]\ntimeout_s = 0.5\n[peer.a]\nnat = 'symmetric'",
        behaviour: "",
        kind: "port-remapped",
        evidence: &["NAT a sent a's SYN from port #, b expected # (and # more alike)"],
    },
    CertainCause {
        name: "remap-of-a-foreign-puncher",
        scenario: "[punch]\ntimeout_s = 0.5\n[peer.a]\nnat = 'symmetric'\n\
            [peer.b]\nnat = 'symmetric'",
        behaviour: "once",
        kind: "port-remapped",
        evidence: &["NAT a sent a's SYN from port #, b expected 4321; \
             NAT b sent b's SYN from port #, a expected 4321"],
    },
    CertainCause {
        name: "reset",
        scenario: "[punch]\ntimeout_s = 4\n[peer.a]\nnat = 'linux-router'\n\
            [peer.b]\nnat = 'linux-router'\nstart_s = 2.5",
        behaviour: "once",
        kind: "syn-answered-rst",
        evidence: &["b's first SYN on port 4321 left # ms after a's; one-way delay 10 ms; \
             NAT b answered RST to a's SYN, NAT a answered RST to b's SYN"],
    },
    CertainCause {
        name: "reset-with-ipv6",
        scenario: "family = 'ipv6'\n[punch]\ntimeout_s = 4\n[peer.a]\nnat = 'home-reject'\n\
            [peer.b]\nnat = 'home-reject'\nstart_s = 2.5",
        behaviour: "once",
        kind: "syn-answered-rst",
        evidence: &["NAT b answered RST to a's SYN, NAT a answered RST to b's SYN"],
    },
    CertainCause {
        // Without a firewall, the host itself answers.
        name: "reset-by-hosts",
        scenario: "family = 'ipv6'\n[punch]\ntimeout_s = 4\n[peer.a]\nnat = 'linux-router'\n\
            [peer.b]\nnat = 'linux-router'\nstart_s = 2.5",
        behaviour: "once",
        kind: "syn-answered-rst",
        evidence: &["host b answered RST to a's SYN, host a answered RST to b's SYN"],
    },
    CertainCause {
        name: "icmp-with-ipv6",
        scenario: "family = 'ipv6'\n[punch]\ntimeout_s = 4\n[peer.b]\nnat = 'icmp-reject'\n\
            start_s = 2.5",
        behaviour: "once",
        kind: "syn-answered-icmp",
        evidence: &["NAT b answered ICMP port unreachable to a's SYN"],
    },
    CertainCause {
        name: "icmp",
        scenario: "[punch]\ntimeout_s = 4\n[peer.a]\nnat = 'icmp-reject'\n\
            [peer.b]\nnat = 'icmp-reject'\nstart_s = 2.5",
        behaviour: "once",
        kind: "syn-answered-icmp",
        evidence: &["b's first SYN on port 4321 left # ms after a's; one-way delay 10 ms; \
             NAT b answered ICMP port unreachable to a's SYN, \
             host a answered RST to "],
    },
    CertainCause {
        name: "loss",
        scenario: "loss = 1\n[punch]\ntimeout_s = 0.5",
        behaviour: "",
        kind: "syn-lost",
        evidence: &["the # SYNs of a and # of b that could have passed were all lost; \
             in all, the WAN lost # of # SYNs of a and # of # SYNs of b"],
    },
    CertainCause {
        name: "late",
        scenario: "[punch]\ntimeout_s = 4\n[peer.a]\nnat = { name = 'home', syn_timeout_s = 1 }\n\
            [peer.b]\nstart_s = 2.2",
        behaviour: "one-syn",
        kind: "mapping-expired",
        evidence: &[
            "NAT a forgets a SYN after 1000 ms; on port 4321 b's SYN came # ms after a's last one",
        ],
    },
    CertainCause {
        name: "no-simultaneous-open",
        scenario: "[punch]\ntimeout_s = 0.7\n\
            [peer.a]\nnat = { name = 'home', simultaneous_open = false }\n\
            [peer.b]\nnat = { name = 'home', simultaneous_open = false }\nstart_s = 0.2",
        behaviour: "",
        kind: "nat-drops-syns",
        evidence: &["NAT a drops every SYN from outside: # SYNs of b that could have passed"],
    },
    CertainCause {
        name: "swallowed",
        scenario: "[punch]\ntimeout_s = 4\n[peer.b]\nstart_s = 1",
        behaviour: "deaf",
        kind: "syn-unanswered",
        evidence: &["b's first SYN on port 4321 left # ms after a's; one-way delay 10 ms; \
             of the SYNs that could have passed, # of a and # of b arrived on port 4321, \
             and nothing answered them"],
    },
    CertainCause {
        name: "half-open",
        scenario: "[punch]\ntimeout_s = 4\n[peer.b]\nstart_s = 1",
        behaviour: "half-deaf",
        kind: "handshake-incomplete",
        evidence: &[
            // Either host may be the first to receive the other's SYN.
            "on port 4321 host ",
            "'s SYN with SYN-ACK, sent # times, 0 of them lost; ",
        ],
    },
    CertainCause {
        name: "raw",
        scenario: "[punch]\ntimeout_s = 3\n[peer.b]\nstart_s = 1.2",
        behaviour: "syn-then-listen",
        kind: "not-translated",
        evidence: &[
            "on port 4321 NAT a let # of a's # packets out untranslated, the first (SYN-ACK) # ms \
             after the first packet of all: b cannot know whose they are",
        ],
    },
    CertainCause {
        name: "split",
        scenario: "[punch]\ntimeout_s = 2",
        behaviour: "split",
        kind: "election-disagreed",
        evidence: &[
            "a sent its # bytes on port 4001, b its # bytes on port 4002; 2 connections stood",
        ],
    },
    CertainCause {
        name: "mute",
        scenario: "[punch]\ntimeout_s = 1.5",
        behaviour: "mute",
        kind: "bytes-missing",
        evidence: &[
            "1 connection stood, the first on port 4321 # ms after the later start; \
             a sent # bytes",
            "; b sent 0 bytes",
        ],
    },
    CertainCause {
        // The handshake takes a round trip, and the election at least half of one.
        name: "hasty",
        scenario: "delay_ms = 600\n[punch]\ntimeout_s = 1.5",
        behaviour: "",
        kind: "no-peer",
        evidence: &[
            "16 connections stood, the first on port # # ms after the later start",
            "; a sent # bytes and ended with exit 1 # ms later",
            "; b sent # bytes and ended with exit 1 # ms later",
        ],
    },
    CertainCause {
        // The SYNs cross. a is connected 1.6 s after its start, b 1.95 s. b receives a's frame at
        // 2.4 s, before its own deadline; b's answer would reach a at 2.75 s, after a's deadline.
        name: "too-late",
        scenario: "delay_ms = 800\n[punch]\ntimeout_s = 2.4\n[peer.b]\nstart_s = 0.35",
        behaviour: "",
        kind: "election-lost",
        evidence: &[
            " connections stood, the first on port # # ms after the later start",
            // A late connection may be reset.
            "; a sent # bytes",
            " and ended with exit 1 # ms later; b sent # bytes",
            " and ended with exit 1 # ms later",
        ],
    },
    CertainCause {
        name: "udp-remap",
        scenario: "[punch]\ntimeout_s = 1\n[peer.a]\nnat = 'symmetric'\n\
            [peer.b]\nnat = 'symmetric'",
        behaviour: "udp-steady",
        kind: "port-remapped",
        evidence: &["NAT a sent a's datagram from port #, b expected 4321; \
             NAT b sent b's datagram from port #, a expected 4321"],
    },
    CertainCause {
        name: "udp-apart",
        scenario: "[punch]\ntimeout_s = 0.5\n[peer.b]\nstart_s = 4",
        behaviour: "udp-steady",
        kind: "never-together",
        evidence: &["a ran for # ms and ended # ms before b's first datagram left"],
    },
    CertainCause {
        name: "udp-ports",
        scenario: "[punch]\ntimeout_s = 0.5",
        behaviour: "udp-other-ports",
        kind: "no-common-port",
        evidence: &["a sent datagrams to port 4321 of b, b to port 4322 of a: none in common"],
    },
    CertainCause {
        name: "udp-loss",
        scenario: "loss = 1\n[punch]\ntimeout_s = 0.5",
        behaviour: "udp-steady",
        kind: "datagrams-lost",
        evidence: &["the # datagrams of a and # of b that could have passed were all lost"],
    },
    CertainCause {
        name: "udp-elsewhere",
        scenario: "[punch]\ntimeout_s = 0.5",
        behaviour: "udp-elsewhere",
        kind: "no-syn",
        evidence: &[
            "peer a sent # datagram",
            ", none of them for peer b (# to addresses that nobody has)",
        ],
    },
    CertainCause {
        name: "udp-closed",
        scenario: "[punch]\ntimeout_s = 1",
        behaviour: "udp-closed",
        kind: "datagrams-answered-icmp",
        evidence: &["host b answered ICMP port unreachable to # of a's # datagrams"],
    },
    CertainCause {
        name: "udp-deaf",
        scenario: "[punch]\ntimeout_s = 1",
        behaviour: "udp-deaf",
        kind: "bytes-missing",
        evidence: &[
            "datagrams came through both ways on port 4321, # ms after the later start; # datagrams \
             of a came through, a received nothing and ended with exit 1; # datagrams of b",
        ],
    },
    CertainCause {
        // Linux forgets a datagram after 30 s.
        name: "udp-late",
        scenario: "[punch]\ntimeout_s = 33\n[peer.b]\nstart_s = 31",
        behaviour: "udp-one",
        kind: "mapping-expired",
        evidence: &[
            "NAT a forgets a datagram after 30000 ms; on port 4321 b's datagram came # ms after \
             a's last one",
        ],
    },
];

/// Writes the scenarios of [`CERTAIN`] and returns their paths.
fn write_all(dir: &TestDir) -> Vec<String> {
    let [python, caused] = [python(), program("caused.py")];
    let write = |certain: &CertainCause| {
        let delay = if certain.scenario.contains("delay_ms") { "" } else { "delay_ms = 10\n" };
        let subject = if certain.behaviour.is_empty() {
            String::new()
        } else {
            let behaviour = certain.behaviour;
            format!(
                "\n[subject]\ncommand = ['{python}', '-I', '-S', '{caused}', '{behaviour}', \
                 '{{side}}', '{{peer}}', '{{timeout_s}}']\n"
            )
        };
        // With this seed, the clocks are in the middle of a bucket.
        let text = format!("trials = 1\nseed = 3\n[wan]\n{delay}{}{subject}", certain.scenario);
        let file = dir.write(&format!("{}.toml", certain.name), &text);
        file.to_str().unwrap().to_owned()
    };
    CERTAIN.iter().map(write).collect()
}

/// Whether `text` contains `part`, in which `#` stands for one number.
fn has(text: &str, part: &str) -> bool {
    text.char_indices().any(|(at, _)| begins(&text[at..], part))
}

/// Whether `text` begins with `part`, in which `#` stands for one number.
fn begins(text: &str, part: &str) -> bool {
    let Some((before, after)) = part.split_once('#') else { return text.starts_with(part) };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let is_number = |character: char| character.is_ascii_digit() || character == '.';
    let length = rest
        .find(|character| !is_number(character))
        .unwrap_or(rest.len());
    length > 0 && begins(&rest[length..], after)
}

#[test]
fn each_cause_is_named_where_it_is_certain() {
    let dir = TestDir::new();
    let files = write_all(&dir);
    let mut arguments: Vec<&str> = files.iter().map(String::as_str).collect();
    // Few enough at once that each starts in time.
    arguments.extend(["--out", "out", "--jobs", "8"]);
    let ran = dir.start_harness(&arguments, dir.path("out")).wait();
    ran.assert_code(0);

    let plan = &ran.events()[0];
    let found: BTreeMap<String, Value> = ran
        .trials()
        .into_iter()
        .map(|trial| {
            let scenario = usize::try_from(trial["scenario"].as_u64().unwrap()).unwrap();
            (
                plan["scenarios"][scenario]["name"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
                trial,
            )
        })
        .collect();
    let mut wrong = Vec::new();
    for certain in CERTAIN {
        let trial = &found[certain.name];
        let evidence = trial["cause"]["evidence"].as_str().unwrap_or_default();
        println!("{}: {}: {evidence}", certain.name, trial["cause"]["kind"]);
        let told = certain.evidence.iter().all(|part| has(evidence, part));
        if trial["verdict"] != "failure" || trial["cause"]["kind"] != certain.kind || !told {
            let found = (&trial["verdict"], &trial["cause"]);
            wrong.push(format!("{}: {found:?}, not {}: {told}", certain.name, certain.kind));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
