//! Tests of whole files: the scenarios that are read, and the reports on mistakes.

use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::{error::Error, *};
use crate::{
    named::Named,
    nat::{Allocation, Unsolicited, catalogue::CATALOGUE},
};

mod broken;
mod language;
mod layers;
mod never_panics;
mod readme;
mod right;
mod table;
mod unreadable;
mod wrong;

/// The scenario of a text that must be right.
fn parse(text: &str) -> Scenario {
    match Scenario::parse("test.toml", text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{}", rendered(&error)),
    }
}

fn rendered(error: &Error) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::none())
        .with_width(100)
        .render_report(&mut report, error)
        .unwrap();
    report
}

/// The report on a text that must be wrong.
fn report(text: &str) -> String {
    rendered(&Scenario::parse("test.toml", text).expect_err("this is no scenario"))
}

/// The report on wrong lines in an otherwise right file.
fn report_of(lines: &str) -> String {
    report(&format!("trials = 10\n{lines}\n"))
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file that uses all of the language.
const EVERYTHING: &str = r#"
name = "all-keys"
question = "Is every key read?"
trials = 7
precision = 0.1
trials_max = 90
seed = 18446744073709551615

[wan]
family = "ipv4"
delay_ms = 12.5
loss = 0.1

[punch]
rule = "article"
election = "wan-ip"
timeout_s = 30
max_clock_error_s = 5
listen = false

[peer.a]
nat = { name = "home-reject", unsolicited = "icmp-admin" }
taken_ports = 3
clock_offset_s = { normal = { mean = -3, sd = 1.5, min = -10, max = 4 } }
start_s = { uniform = [0, 2] }

[peer.b]
nat = "none"
clock_offset_s = { choice = [-1, 2.5] }
start_s = { exponential = { mean = 2, min = 1, max = 9 } }

[subject]
command = ["python3", "their.py", "{peer}", "--stun={host.stun}", "{{}}"]

[host.stun]
command = ["stun-server", "{self}"]

[host.silent]
command = []

[sweep]
"wan.loss" = [0, 0.5]

[[sweep.zip]]
"wan.delay_ms" = { from = 5, to = 10, step = 5 }
punch.timeout_s = [1, 2]

[[expect]]
where = { "wan.loss" = 0.0 }
success = ">= 0.9"

[[expect]]
where = { "wan.loss" = { not = 0.5 } }
success = "theory"
theory = ">= 0.99"
up_ms = { p50 = "<= 28" }
up_rtt = { p90 = "< 1.5" }
connected_ms = { p50 = "<= 54.5", "p99.9" = "< 90" }
connected_rtt = { p50 = "<= 1.1" }
chosen_ms = { p90 = "> 5" }
chosen_rtt = { p90 = ">= 0.5" }
returned_ms = { p50 = "<= 200" }
returned_rtt = { p50 = "<= 4" }
cause = { syn-lost = ">= 0.5" }
causes = ["syn-lost", "unknown"]
"#;

/// A file that uses all behaviours of a NAT.
const NATS: &str = r#"
trials = 1

[peer.a.nat]
mapping = "endpoint-independent"
filtering = "address-dependent"
allocation = "block"
block = [2000, 2999]
unsolicited = "icmp-host"
hairpin = "internal"
syn_timeout_s = 5
established_timeout_s = 7440
close_timeout_s = 240
icmp_limit = false

[peer.b.nat]
name = "symmetric"
allocation = "fixed-delta"
delta = 7
simultaneous_open = false
"#;
