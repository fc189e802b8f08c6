//! The keys of the language, and what to say about one that it does not have.

use std::ops::Range;

use super::error::{Problem, did_you_mean, list};

/// The top level.
pub(super) const ROOT: &[&str] = &[
    "extends",
    "name",
    "question",
    "trials",
    "precision",
    "trials_max",
    "seed",
    "wan",
    "punch",
    "peer",
    "subject",
    "host",
    "sweep",
    "expect",
];
/// Those of them that are sections.
const SECTIONS: &[&str] = &["wan", "punch", "peer", "subject", "host", "sweep", "expect"];
/// `[wan]`
pub(super) const WAN: &[&str] = &["family", "delay_ms", "loss"];
/// `[punch]`
pub(super) const PUNCH: &[&str] = &["rule", "election", "timeout_s", "max_clock_error_s", "listen"];
/// `[peer]`
pub(super) const PEERS: &[&str] = &super::SIDES;
/// `[peer.a]` and `[peer.b]`
pub(super) const PEER: &[&str] = &["nat", "clock_offset_s", "start_s", "taken_ports"];
/// `[peer.a.nat]`
pub(super) const NAT: &[&str] = &[
    "name",
    "mapping",
    "filtering",
    "allocation",
    "delta",
    "block",
    "unsolicited",
    "simultaneous_open",
    "hairpin",
    "syn_timeout_s",
    "established_timeout_s",
    "close_timeout_s",
    "icmp_limit",
];
/// `start_s = { … }`
pub(super) const DRAW: &[&str] = &["uniform", "normal", "exponential", "choice"];
/// `{ normal = { … } }`
pub(super) const NORMAL: &[&str] = &["mean", "sd", "min", "max"];
/// `{ exponential = { … } }`
pub(super) const EXPONENTIAL: &[&str] = &["mean", "min", "max"];
/// `[subject]` and `[host.NAME]`
pub(super) const COMMAND: &[&str] = &["command"];
/// `[[expect]]`
pub(super) const EXPECT: &[&str] = &[
    "where",
    "success",
    "theory",
    "up_ms",
    "up_rtt",
    "connected_ms",
    "connected_rtt",
    "chosen_ms",
    "chosen_rtt",
    "returned_ms",
    "returned_rtt",
    "cause",
    "causes",
];

/// Where each key belongs, to say so when it stands elsewhere. Top-level keys first.
const HOMES: &[(&str, &[&str])] = &[
    ("", ROOT),
    ("[wan]", WAN),
    ("[punch]", PUNCH),
    ("[peer.a] or [peer.b]", PEER),
    ("[subject] or [host.NAME]", COMMAND),
    ("[[expect]]", EXPECT),
    ("[peer.a.nat] or [peer.b.nat]", NAT),
];

/// A key whose value is a number.
#[derive(Debug)]
pub(super) struct Number {
    pub key: &'static str,
    /// What it is, in a few words that continue "is".
    pub meaning: &'static str,
    /// In words, such as `seconds`; empty for a fraction.
    pub unit: &'static str,
    pub min: f64,
    pub max: f64,
    pub default: f64,
    /// As it could stand in a file.
    pub example: &'static str,
}

impl Number {
    /// `milliseconds from 0 to 10000`
    pub(super) fn range(&self) -> String {
        let blank = if self.unit.is_empty() { "" } else { " " };
        format!("{}{blank}from {} to {}", self.unit, self.min, self.max)
    }

    /// What would be right, in a sentence.
    pub(super) fn help(&self) -> String {
        format!(
            "`{0}` is {1}: {2}, such as `{0} = {3}`",
            self.key,
            self.meaning,
            self.range(),
            self.example
        )
    }
}

pub(super) const DELAY: Number = Number {
    key: "delay_ms",
    meaning: "the one-way delay between any two WAN ports",
    unit: "milliseconds",
    min: 0.0,
    max: 10_000.0,
    default: 25.0,
    example: "25",
};
pub(super) const PRECISION: Number = Number {
    key: "precision",
    meaning: "half of the width that the interval of a rate may have",
    unit: "",
    min: 0.001,
    max: 0.5,
    default: 0.5,
    example: "0.02",
};
pub(super) const LOSS: Number = Number {
    key: "loss",
    meaning: "the fraction of packets that the WAN loses",
    unit: "",
    min: 0.0,
    max: 1.0,
    default: 0.0,
    example: "0.1",
};
pub(super) const TIMEOUT: Number = Number {
    key: "timeout_s",
    meaning: "how long a peer tries",
    unit: "seconds",
    min: 0.1,
    max: 3600.0,
    default: 10.0,
    example: "10",
};
pub(super) const MAX_CLOCK_ERROR: Number = Number {
    key: "max_clock_error_s",
    meaning: "the clock error that the buckets are made for",
    unit: "seconds",
    min: 0.0,
    max: 3600.0,
    default: 20.0,
    example: "20",
};
pub(super) const CLOCK_OFFSET: Number = Number {
    key: "clock_offset_s",
    meaning: "how far the peer's clock is ahead of true time",
    unit: "seconds",
    min: -1e6,
    max: 1e6,
    default: 0.0,
    example: "5",
};
pub(super) const START: Number = Number {
    key: "start_s",
    meaning: "when the peer is started, after the begin of the trial",
    unit: "seconds",
    min: 0.0,
    max: 3600.0,
    default: 0.0,
    example: "2",
};

/// What [`is_name`] asks for.
pub(super) const NAME_HELP: &str =
    "a name has 1 to 64 characters out of the letters a to z, the digits and `-`";

/// Whether a scenario or a host may be called so: names appear in paths of files and in commands.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

/// A dotted path, one key longer.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A key that its section does not have.
pub(super) fn unknown(section: &str, key: &str, known: &[&str], span: Range<usize>) -> Problem {
    let listed = if section.is_empty() {
        format!("top-level keys are {}", list(known))
    } else {
        format!("keys of `{section}` are {}", list(known))
    };
    let home = HOMES
        .iter()
        .find(|(_, keys)| keys.contains(&key))
        .map(|(home, _)| *home);
    let advice = match home {
        Some("") if SECTIONS.contains(&key) => format!("[{key}] is a section of its own; "),
        Some("") => format!("`{key}` is a top-level key: write it above the first [section]; "),
        Some(home) => format!("`{key}` belongs in {home}; "),
        None if section == "peer" => {
            let help = "a scenario has two peers: [peer.a] and [peer.b]";
            return Problem::new(span, format!("there is no peer `{key}`"), "unknown peer", help);
        }
        None => did_you_mean(key, known),
    };
    let message = format!("unknown key `{}`", join(section, key));
    Problem::new(span, message, "unknown key", advice + &listed)
}
