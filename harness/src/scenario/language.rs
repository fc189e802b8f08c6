//! The scenario language in one table: every section, its keys, and all that is said of them.
//!
//! The reader's known keys and help texts, the JSON Schema, the paths that a sweep may vary and the
//! tables of `scenarios/README.md` follow from it. A new key is one entry here and one field that
//! the reader fills from it by its name; tests fail on an entry that nothing reads.

use super::criterion::{Bound, Time, TimeUnit};
use super::key::{DefaultValue, KEY, Key, Kind, NumberRange, Section, names};
use super::precision::MAX_TRIALS;
use super::{ElectionScheme, Family, Rule};
use crate::nat::possible::DELTAS;
use crate::nat::{Allocation, Filtering, Hairpin, Mapping, Unsolicited, keys};

/// The top level.
pub(super) static ROOT: Section = Section {
    about: "a scenario of harness: one question to the bench",
    keys: &[
        Key {
            name: "extends",
            kind: Kind::File,
            about: "another scenario file, seen from the folder of this one",
            note: ", that this one is put over",
            see: "#one-file-on-top-of-another",
            example: "\"base.toml\"",
            help: "`extends` is the path of another scenario file, seen from the folder of this \
                one: extends = \"base.toml\"",
            ..KEY
        },
        Key {
            name: "name",
            kind: Kind::Name,
            default: DefaultValue::Words("stem of the file name"),
            about: "what reports call the scenario",
            ..KEY
        },
        Key {
            name: "question",
            kind: Kind::Text,
            about: "what the scenario asks",
            example: "\"How much loss does it survive?\"",
            ..KEY
        },
        Key {
            name: "trials",
            kind: Kind::Whole { unit: "", min: 1, max: MAX_TRIALS as u64 },
            default: DefaultValue::Required,
            about: "how often each cell is tried",
            note: "; with `precision` at least, and not required",
            example: "100",
            help: "`trials` says how often each cell is tried, a whole number from 1 to 1000000: \
                write `trials = 100` above the first [section]",
            ..KEY
        },
        Key {
            name: "precision",
            kind: Kind::Number(NumberRange { unit: "", min: 0.001, max: 0.5 }),
            about: "half of the width that the interval of a rate may have",
            see: "#how-many-trials",
            example: "0.02",
            ..KEY
        },
        Key {
            name: "trials_max",
            kind: Kind::Whole { unit: "", min: 1, max: MAX_TRIALS as u64 },
            default: DefaultValue::Words("what the worst rate needs"),
            about: "how often each cell is tried at most",
            note: "; only with `precision`",
            example: "1000",
            help: "with `precision = 0.02` each cell is tried until half of the width of its \
                interval is at most that, but at least `trials` and at most `trials_max` times",
            ..KEY
        },
        Key {
            name: "seed",
            kind: Kind::Whole { unit: "", min: 0, max: u64::MAX },
            default: DefaultValue::Words("drawn for each run"),
            about: "the number that all random values of a run follow from",
            note: ": with it, runs repeat the same trials",
            example: "42",
            help: "`seed` is a whole number from 0 to 18446744073709551615, such as `seed = 42`; \
                without it each run draws its own",
            ..KEY
        },
        Key { name: "wan", kind: Kind::Section(&WAN), ..KEY },
        Key { name: "punch", kind: Kind::Section(&PUNCH), ..KEY },
        Key { name: "peer", kind: Kind::Section(&PEERS), ..KEY },
        Key { name: "subject", kind: Kind::Section(&SUBJECT), ..KEY },
        Key {
            name: "host",
            kind: Kind::Named(&HOST),
            about: "further public hosts on the WAN, by name",
            help: HOST_HELP,
            ..KEY
        },
        Key {
            name: "sweep",
            kind: Kind::Sweep,
            about: "paths and their values; every combination is a cell",
            help: "write a path in quotes and a list of values, or a range: \
                \"peer.b.clock_offset_s\" = [0, 5, 10] or { from = 0, to = 10, step = 5 }",
            ..KEY
        },
        Key {
            name: "expect",
            kind: Kind::List(&EXPECT),
            about: "what is expected, each of all cells or of some",
            help: "an expectation is written in double brackets, [[expect]], and below it what is \
                expected, `success = \">= 0.95\"` or `connected_ms = { p50 = \"<= 55\" }`, and, \
                for some cells only, `where = { \"punch.rule\" = \"rolling\" }`",
            ..KEY
        },
    ],
};

static WAN: Section = Section {
    about: "the network between the outermost NATs",
    keys: &[
        Key {
            name: "family",
            kind: Kind::Choice(names::<Family>),
            default: DefaultValue::Name("ipv4"),
            about: "the version of IP",
            note: "; with IPv6 each NAT becomes a stateful firewall that translates nothing and \
                answers as the NAT would",
            ..KEY
        },
        Key {
            name: "delay_ms",
            kind: Kind::Distribution(NumberRange { unit: "milliseconds", min: 0.0, max: 10_000.0 }),
            default: DefaultValue::Number(25.0),
            about: "the one-way delay between any two WAN ports",
            note: "; the round-trip time is twice this. All packets of a trial have the same delay",
            example: "25",
            ..KEY
        },
        Key {
            name: "loss",
            kind: Kind::Number(NumberRange { unit: "", min: 0.0, max: 1.0 }),
            default: DefaultValue::Number(0.0),
            about: "the fraction of packets that the WAN loses",
            note: ", each independently",
            example: "0.1",
            ..KEY
        },
    ],
};

static PUNCH: Section = Section {
    about: "settings of our own puncher",
    keys: &[
        Key {
            name: "rule",
            kind: Kind::Choice(names::<Rule>),
            default: DefaultValue::Name("rolling"),
            about: "which buckets of time the ports come from",
            ..KEY
        },
        Key {
            name: "election",
            kind: Kind::Choice(names::<ElectionScheme>),
            default: DefaultValue::Name("nonce"),
            about: "how both sides agree on one connection",
            ..KEY
        },
        Key {
            name: "timeout_s",
            kind: Kind::Number(NumberRange { unit: "seconds", min: 0.1, max: 3600.0 }),
            default: DefaultValue::Number(10.0),
            about: "how long a peer tries",
            note: ", from its own start",
            example: "10",
            ..KEY
        },
        Key {
            name: "max_clock_error_s",
            kind: Kind::Number(NumberRange { unit: "seconds", min: 0.0, max: 3600.0 }),
            default: DefaultValue::Number(20.0),
            about: "the clock error that the buckets are made for",
            example: "20",
            ..KEY
        },
        Key {
            name: "listen",
            kind: Kind::Flag,
            default: DefaultValue::Flag(true),
            about: "whether each port also has a listener",
            ..KEY
        },
    ],
};

static PEERS: Section = Section {
    about: "the two peers",
    keys: &[
        Key { name: "a", kind: Kind::Section(&PEER), ..KEY },
        Key { name: "b", kind: Kind::Section(&PEER), ..KEY },
    ],
};

static PEER: Section = Section {
    about: "one of the two peers",
    keys: &[
        Key {
            name: "nat",
            kind: Kind::Nat(&NAT),
            default: DefaultValue::Name("home"),
            about: "what stands between the peer and the WAN",
            see: "#nats",
            ..KEY
        },
        Key {
            name: "clock_offset_s",
            kind: Kind::Distribution(NumberRange { unit: "seconds", min: -1e6, max: 1e6 }),
            default: DefaultValue::Number(0.0),
            about: "how far the peer's clock is ahead of true time",
            example: "5",
            ..KEY
        },
        Key {
            name: "start_s",
            kind: Kind::Distribution(NumberRange { unit: "seconds", min: 0.0, max: 3600.0 }),
            default: DefaultValue::Number(0.0),
            about: "when the peer is started, after the begin of the trial",
            example: "2",
            ..KEY
        },
        Key {
            name: "taken_ports",
            kind: Kind::Whole { unit: "", min: 0, max: 64 },
            default: DefaultValue::Whole(0),
            about: "how many of the peer's scheduled ports another program on its host holds when \
                it starts",
            note: ": the lowest ones",
            example: "3",
            ..KEY
        },
    ],
};

/// `[peer.a.nat]`; without a key the NAT of that `name` decides.
pub(super) static NAT: Section = Section {
    about: "a NAT, and what differs from the catalogue",
    keys: &[
        Key {
            name: keys::NAME,
            kind: Kind::NatName,
            about: "its name in the catalogue; `home` without it",
            ..KEY
        },
        Key {
            name: keys::MAPPING,
            kind: Kind::Choice(names::<Mapping>),
            about: "for which destinations an inside endpoint keeps its outside port",
            ..KEY
        },
        Key {
            name: keys::FILTERING,
            kind: Kind::Choice(names::<Filtering>),
            about: "from whom a mapping lets packets in",
            ..KEY
        },
        Key {
            name: keys::ALLOCATION,
            kind: Kind::Choice(names::<Allocation>),
            about: "which outside port a new mapping gets",
            ..KEY
        },
        Key {
            name: keys::DELTA,
            kind: Kind::Whole { unit: "", min: *DELTAS.start() as u64, max: *DELTAS.end() as u64 },
            about: "what the allocation `fixed-delta` adds to the inside port",
            note: " (1000)",
            example: "1000",
            ..KEY
        },
        Key {
            name: keys::BLOCK,
            kind: Kind::Ports,
            about: "the lowest and the highest outside port of the allocation `block`",
            note: " ([61440, 61951])",
            example: "[61440, 61951]",
            ..KEY
        },
        Key {
            name: keys::UNSOLICITED,
            kind: Kind::Choice(names::<Unsolicited>),
            about: "the answer to a SYN that no mapping lets in",
            note: "; with `open` there is no firewall, and the router itself answers (TCP with \
                RST; with IPv6 everything is let in)",
            ..KEY
        },
        Key {
            name: keys::SIMULTANEOUS_OPEN,
            kind: Kind::Flag,
            about: "whether a SYN from outside may meet one from inside, or every SYN from outside \
                is dropped",
            ..KEY
        },
        Key {
            name: keys::HAIRPIN,
            kind: Kind::Choice(names::<Hairpin>),
            about: "whether inside hosts reach each other by their outside addresses",
            note: ", and which source address they see",
            ..KEY
        },
        Key {
            about: "how long the NAT remembers a SYN that nobody answers",
            note: " (the kernel's 120)",
            ..timeout(keys::SYN_TIMEOUT_S)
        },
        Key {
            about: "how long the NAT remembers an idle connection",
            note: " (the kernel's 5 days)",
            ..timeout(keys::ESTABLISHED_TIMEOUT_S)
        },
        Key {
            about: "how long the NAT remembers a connection that was closed",
            note: " (the kernel's 10 to 120)",
            ..timeout(keys::CLOSE_TIMEOUT_S)
        },
        Key {
            name: keys::ICMP_LIMIT,
            kind: Kind::Flag,
            about: "whether the NAT limits its ICMP errors as Linux does, or answers every single \
                SYN",
            note: ". The limit is six at once to one address, then one a second; `false` needs a \
                cell in which the NAT answers with ICMP",
            ..KEY
        },
    ],
};

const fn timeout(name: &'static str) -> Key {
    /// A day.
    const MAX_TIMEOUT_S: u64 = 86_400;
    Key {
        name,
        kind: Kind::Whole { unit: "seconds", min: 1, max: MAX_TIMEOUT_S },
        example: "5",
        ..KEY
    }
}

/// The table of a value that is drawn.
pub(super) static DISTRIBUTION: Section = Section {
    about: "drawn anew for each trial",
    keys: &[
        Key {
            name: "uniform",
            kind: Kind::Interval,
            about: "an even distribution from the first to the second",
            example: "[0, 2]",
            ..KEY
        },
        Key {
            name: "normal",
            kind: Kind::Table(&NORMAL),
            about: "a normal distribution, cut off at `min` and `max`",
            note: ", between which `mean` lies; without them at the range of the key",
            example: "{ mean = 1, sd = 0.5 }",
            ..KEY
        },
        Key {
            name: "exponential",
            kind: Kind::Table(&EXPONENTIAL),
            about: "an exponential distribution from `min` on, cut off at `max`",
            note: ": the wait for something that may come at any moment. `mean` is the mean \
                distance from `min`, which is 0 if it is not given",
            example: "{ mean = 2 }",
            ..KEY
        },
        Key {
            name: "choice",
            kind: Kind::Values,
            about: "one of these, each as likely",
            example: "[0, 1, 5]",
            ..KEY
        },
    ],
};

static NORMAL: Section = Section {
    about: "",
    keys: &[
        Key { name: "mean", kind: Kind::Value, default: DefaultValue::Required, ..KEY },
        Key { name: "sd", kind: Kind::Width, default: DefaultValue::Required, ..KEY },
        Key { name: "min", kind: Kind::Value, ..KEY },
        Key { name: "max", kind: Kind::Value, ..KEY },
    ],
};

static EXPONENTIAL: Section = Section {
    about: "",
    keys: &[
        Key { name: "mean", kind: Kind::Width, default: DefaultValue::Required, ..KEY },
        Key { name: "min", kind: Kind::Value, ..KEY },
        Key { name: "max", kind: Kind::Value, ..KEY },
    ],
};

static SUBJECT: Section = Section {
    about: "the puncher under test, instead of our own",
    keys: &[Key {
        name: "command",
        kind: Kind::Command { min: 1 },
        default: DefaultValue::Required,
        about: "program and arguments, with placeholders",
        see: "#commands",
        example: "[\"python3\", \"their.py\", \"{peer}\"]",
        help: "the program under test and its arguments: `command = [\"python3\", \"their.py\", \
            \"{peer}\"]`; without [subject], our own punch is tested",
        ..KEY
    }],
};

/// `[host.NAME]`
pub(super) static HOST: Section = Section {
    about: "a further public host",
    keys: &[Key {
        name: "command",
        kind: Kind::Command { min: 0 },
        default: DefaultValue::Required,
        about: "what runs there, with placeholders; empty where nothing does",
        see: "#commands",
        example: "[\"stun-server\", \"{self}\"]",
        help: HOST_HELP,
        ..KEY
    }],
};

const HOST_HELP: &str = "a further host has a name: write [host.NAME] and below it \
    `command = [\"program\", \"argument\"]`, or `command = []` for a host where nothing runs";

/// What the values of a command have in common.
pub(super) static ARGUMENTS: Key = Key {
    help: "a command is a list of strings, the program and each of its arguments: \
        [\"python3\", \"their.py\", \"{peer}\"]",
    ..KEY
};

/// `[sweep.zip]`
pub(super) static ZIP: Key = Key {
    name: "zip",
    kind: Kind::Zip,
    about: "groups of paths whose lists go together",
    help: "paths whose lists go together stand below [[sweep.zip]]: the first values of all make \
        one cell, the second values the next",
    ..KEY
};

/// The values of a path that follow each other by a step.
pub(super) static RANGE: Key = Key {
    kind: Kind::Table(&RANGE_KEYS),
    about: "from one number to another by a step",
    help: "a range is written { from = 0, to = 40, step = 5 }: `to` belongs to it where the steps \
        meet it",
    ..KEY
};

/// The keys of [`RANGE`].
pub(super) static RANGE_KEYS: Section = Section {
    about: "",
    keys: &[
        Key { name: "from", kind: Kind::AnyNumber, default: DefaultValue::Required, ..KEY },
        Key { name: "to", kind: Kind::AnyNumber, default: DefaultValue::Required, ..KEY },
        Key { name: "step", kind: Kind::AnyNumber, default: DefaultValue::Required, ..KEY },
    ],
};

/// `[[expect]]`
pub(super) static EXPECT: Section = Section {
    about: "an expectation",
    keys: &[
        Key {
            name: "where",
            kind: Kind::Conditions,
            about: "swept paths, each with one of its values or a list of them; or with \
                `{ not = … }`, all of its values but these",
            example: "{ \"punch.rule\" = \"rolling\", \"peer.b.clock_offset_s\" = [0, 5] }",
            help: "`where` is a table of swept paths and their values: \
                where = { \"punch.rule\" = \"rolling\", \"peer.b.clock_offset_s\" = [0, 5] }; all \
                but some are { not = [0, 5] }",
            ..KEY
        },
        Key {
            name: "success",
            kind: Kind::Success,
            about: "a bound on the success rate",
            note: "; or `\"theory\"`: each trial that theory decides ends as predicted",
            example: "\">= 0.95\"",
            help: "write a comparison (>=, >, <= or <) and a rate from 0 to 1, such as \
                \">= 0.95\", or \"theory\"",
            ..KEY
        },
        Key {
            name: "theory",
            about: "a bound on the share of the trials that theory decides which end as predicted",
            example: "\">= 0.99\"",
            ..RATE
        },
        time(0),
        time(1),
        time(2),
        time(3),
        time(4),
        time(5),
        time(6),
        time(7),
        Key {
            name: "cause",
            kind: Kind::Shares,
            about: "bounds on the shares that causes have of all failures",
            see: "#causes-of-failures",
            example: "{ \"buckets-disjoint\" = \">= 0.9\" }",
            help: "write causes and their shares of all failures: \
                cause = { \"buckets-disjoint\" = \">= 0.9\" }",
            ..KEY
        },
        Key {
            name: "causes",
            kind: Kind::Causes,
            about: "all causes that failures may have",
            see: "#causes-of-failures",
            example: "[\"buckets-disjoint\"]",
            help: "`causes` lists all causes that failures may have: \
                causes = [\"buckets-disjoint\"]",
            ..KEY
        },
    ],
};

/// What all bounds on rates have in common.
pub(super) static SHARE: Key = RATE;
const RATE: Key = Key { kind: Kind::Rate, help: Bound::RATE_HELP, ..KEY };

/// The key of a time. The names are in [`Time::KEYS`], since events are read by the same names.
const fn time(index: usize) -> Key {
    let (name, time) = Time::KEYS[index];
    Key {
        name,
        kind: Kind::Quantiles(time),
        example: match time.unit {
            TimeUnit::Milliseconds => "{ p50 = \"<= 54.5\", p99 = \"<= 65\" }",
            TimeUnit::RoundTrips => "{ p50 = \"<= 1.1\", p99 = \"<= 1.3\" }",
        },
        help: "write quantiles and their bounds: connected_ms = { p50 = \"<= 54.5\", \
            p99 = \"<= 65\" }",
        ..KEY
    }
}

/// `{ not = … }`, in a condition.
pub(super) static NEGATION: Section = Section {
    about: "",
    keys: &[Key { name: "not", kind: Kind::Conditions, default: DefaultValue::Required, ..KEY }],
};
