//! Scenario files: TOML → checked types → cells.
//!
//! A file is parsed into a tree with the place of each key and value. For each combination of swept
//! values the tree is copied, the values are inserted at their paths, and the result is read and
//! checked. A swept value therefore passes the same checks as any other value, and each error
//! points at its line and column, in `[sweep]` for a swept value. The language itself is described
//! in `scenarios/README.md`.
//!
//! What always holds: a [`Scenario`] has at least one cell, every number is finite and within its
//! documented range, every placeholder of a command is known, every expectation selects a cell.
//! Only [`Scenario::read`] does I/O. Reading continues after a problem with a valid value in its
//! place, so that all mistakes of a scenario are reported at once.
//!
//! The tree is read by hand-written code ([`tree`], [`setup`]) rather than by serde, whose errors
//! are a text without structure, so that the mistake and the remedy could not be separated.

mod command;
mod criterion;
mod distribution;
mod error;
mod expect;
mod file;
mod filter;
mod key;
mod language;
mod layers;
mod load;
mod nat;
mod places;
mod precision;
pub(crate) mod schema;
mod setup;
mod source_map;
mod sweep;
#[cfg(test)]
mod tests;
mod to_toml;
mod tree;

use std::time::Duration;

use crate::{
    event::{Assignment, ExpectationPlan},
    peers::{Family, Pair, Side},
};

pub(crate) use crate::nat::Nat;
pub(crate) use command::{Placeholder, expand};
pub(crate) use criterion::{Bound, Criterion, Quantile, Sign, Time, TimeUnit};
pub(crate) use distribution::Distribution;
pub(crate) use error::{did_you_mean, list};
pub(crate) use expect::selects;
pub(crate) use filter::CellFilter;
pub(crate) use layers::Overrides;
pub(crate) use precision::{MAX_TRIALS, Precision, PrecisionCheck, half_width};
pub(crate) use punch::Rule;
pub(crate) use sweep::{label, same_value};

/// One question to the bench: setups, number of trials and expected answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scenario {
    /// Name: lower-case letters, digits and `-`. The stem of the file name unless it is given.
    pub name: String,
    /// Path of its file, as given.
    pub file: String,
    /// Question that the scenario answers.
    pub question: Option<String>,
    /// One text equal to the scenario with flags and extended files: read again, it gives the same
    /// scenario.
    pub source: String,
    /// Trials in each cell, 1 to 1,000,000; with a precision the least number.
    pub trials: u32,
    /// Condition for the end of a cell, if the number of trials is not fixed.
    pub precision: Option<Precision>,
    /// Seed of the run, if the file fixes it.
    pub seed: Option<u64>,
    /// Every combination of swept values, the first path varying slowest; one without a sweep.
    pub cells: Vec<Cell>,
    /// Expectations in the order of the file.
    pub expectations: Vec<ExpectationPlan>,
}

impl Scenario {
    /// Gives every cell this number of trials instead of the number in the file.
    pub(crate) fn fix_trials(&mut self, trials: u32) {
        self.trials = trials;
        self.precision = None;
    }

    /// Cells that an expectation selects.
    pub(crate) fn cells_of(&self, expectation: &ExpectationPlan) -> impl Iterator<Item = &Cell> {
        self.cells
            .iter()
            .filter(|cell| selects(&expectation.filter, &cell.values))
    }

    /// Keeps the selected cells, and the expectations that are on any of them.
    pub(crate) fn retain(&mut self, mut is_meant: impl FnMut(&str, &Cell) -> bool) {
        let Self { name, cells, expectations, .. } = self;
        cells.retain(|cell| is_meant(name, cell));
        expectations.retain(|expectation| {
            cells
                .iter()
                .any(|cell| selects(&expectation.filter, &cell.values))
        });
    }
}

/// One combination of swept values, and the setup it makes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// Swept paths and their values here, in the order of the file; empty without a sweep.
    pub values: Vec<Assignment>,
    /// Setup of the trials of this cell.
    pub setup: Setup,
}

impl Cell {
    /// The swept values in one line, such as `punch.rule=rolling, peer.b.clock_offset_s=5`; empty
    /// without a sweep.
    pub(crate) fn label(&self) -> String {
        label(&self.values)
    }
}

/// A NAT by its name, or as the inline table of a scenario.
///
/// # Errors
/// The mistakes in the text, and what would be right.
pub(crate) fn nat_from_text(text: &str) -> Result<Nat, error::Error> {
    let value = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        toml::Value::from(text).to_string()
    };
    let scenario = Scenario::parse("nat", &format!("trials = 1\n[peer.a]\nnat = {value}\n"))?;
    Ok(scenario.cells[0].setup.peers[Side::A].nat.clone())
}

/// Setup of a trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setup {
    /// The network between the outermost NATs.
    pub wan: WanSetup,
    /// The peers a and b.
    pub peers: Pair<PeerSetup>,
    /// Settings of `punch`. Another puncher gets only the time limit.
    pub punch: PunchSetup,
    /// The puncher under test, if it is not `punch`.
    pub subject: Option<Subject>,
    /// Further public hosts, in the order of the file.
    pub hosts: Vec<HostSetup>,
    /// Distributions of values other than the starts. The fields of these values hold the medians
    /// until a trial replaces them: [`Setup::set`].
    pub random: Vec<(RandomKey, Distribution)>,
}

/// A number of a setup that may have a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RandomKey {
    /// [`WanSetup::delay`], in milliseconds.
    Delay,
    /// [`PeerSetup::clock_offset_s`] of a peer.
    ClockOffset(Side),
}

impl RandomKey {
    /// Path in a scenario.
    pub(crate) fn path(self) -> String {
        match self {
            Self::Delay => "wan.delay_ms".to_owned(),
            Self::ClockOffset(side) => format!("peer.{side}.clock_offset_s"),
        }
    }
}

impl Setup {
    /// Replaces a median by the value of a trial.
    pub(crate) fn set(&mut self, key: RandomKey, value: f64) {
        match key {
            RandomKey::Delay => self.wan.delay = Duration::from_secs_f64(value / 1000.0),
            RandomKey::ClockOffset(side) => self.peers[side].clock_offset_s = value,
        }
    }
}

/// The network between the outermost NATs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WanSetup {
    /// Whether everything is IPv4 or IPv6.
    pub family: Family,
    /// One-way delay between any two WAN ports, at most 10 s.
    pub delay: Duration,
    /// Probability from 0 to 1 that a packet is lost, independently of all others.
    pub loss: f64,
}

impl WanSetup {
    /// Round-trip time between any two WAN ports: the delay both ways.
    pub(crate) fn rtt(&self) -> Duration {
        2 * self.delay
    }
}

/// One of the two peers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PeerSetup {
    /// NAT between the peer and the WAN.
    pub nat: Nat,
    /// Clock of the peer minus true time, in seconds.
    pub clock_offset_s: f64,
    /// Start of the peer after the begin of the trial, in seconds.
    pub start: Distribution,
    /// Number of scheduled ports that another program on the host of the peer holds.
    pub taken_ports: usize,
}

/// Settings of `punch`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PunchSetup {
    /// Rule that selects the buckets of the ports.
    pub rule: Rule,
    /// Agreement of both sides on one connection.
    pub election: ElectionScheme,
    /// Duration of an attempt, in seconds from the start of the peer.
    pub timeout_s: f64,
    /// The clock error that the buckets are made for, in seconds.
    pub max_clock_error_s: f64,
    /// Whether each port also has a listener.
    pub listen: bool,
}

/// Agreement of both sides on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElectionScheme {
    /// HELLO, COMMIT and ACK; the greater nonce leads.
    Nonce,
    /// The greater WAN address leads: the election of the article.
    WanIp,
}

/// A puncher other than `punch`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subject {
    /// Program and arguments, with placeholders for [`expand`]; never empty.
    pub command: Vec<String>,
}

/// A further public host on the WAN.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostSetup {
    /// Name, unique: lower-case letters, digits and `-`.
    pub name: String,
    /// Command during each trial, with placeholders for [`expand`]; may be empty.
    pub command: Vec<String>,
}
