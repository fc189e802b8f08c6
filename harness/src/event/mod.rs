//! The events of a run: what `events.jsonl` holds, one JSON object a line.
//!
//! Every report (table, summary, exit code) is a pure function of these events, so that a finished
//! or interrupted run can be reported again. The dispatcher is their only source.

mod cause;

use serde::{Deserialize, Serialize};

pub(crate) use self::cause::CauseKind;
use crate::{named::Named, peers::Pair};

/// Version of the event format; a reader refuses a newer one.
pub(crate) const SCHEMA: u32 = 1;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// Always the first line: everything that reports need to know of the scenarios.
    RunStarted(RunStarted),
    /// One trial is over, whatever its outcome.
    TrialFinished(Box<TrialFinished>),
    /// A cell with a precision gets more trials. Comes before the trial that led to it, and is for
    /// those who count trials during the run: logs do not hold it.
    #[serde(skip)]
    CellExtended(CellExtended),
    /// A cell with a precision has had enough trials.
    CellDecided(CellDecided),
    /// Always the last line, unless the harness was killed.
    RunFinished(RunFinished),
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunStarted {
    /// See [`SCHEMA`].
    pub(crate) schema: u32,
    /// Version of the harness.
    pub(crate) harness: String,
    /// Start of the run, in Unix seconds.
    pub(crate) started_unix_s: f64,
    /// How many labs may stand at once.
    pub(crate) jobs: usize,
    /// The scenarios, in the order of the command line.
    pub(crate) scenarios: Vec<ScenarioPlan>,
    /// What the verification of their NATs found out; empty where it was left out.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) nats: Vec<NatVerified>,
}

/// What was found out about a NAT before anything was measured on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NatVerified {
    /// Its name, and how it differs from the one of the catalogue that has it.
    pub(crate) nat: String,
    /// `ipv4` or `ipv6`.
    pub(crate) family: String,
    /// How many properties were looked at.
    pub(crate) properties: usize,
    /// Those that are not as described, a clause each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) differences: Vec<String>,
    /// Why it could not be verified.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) error: Option<String>,
}

/// One scenario as it is run: after overrides from the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScenarioPlan {
    /// Name, unique within the run.
    pub(crate) name: String,
    /// Path of its file, as given.
    pub(crate) file: String,
    /// What it asks.
    pub(crate) question: Option<String>,
    /// The scenario itself as TOML, so that trials can be replayed whatever becomes of its file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) source: Option<String>,
    /// Run seed: with cell label and trial index it determines every trial.
    pub(crate) seed: u64,
    /// Trials in each cell; with a precision the fewest.
    pub(crate) trials: u32,
    /// When a cell has had enough trials, if that is not their number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) precision: Option<PrecisionPlan>,
    /// Cells in the order of the sweep.
    pub(crate) cells: Vec<CellPlan>,
    /// Expectations in the order of the file.
    pub(crate) expectations: Vec<ExpectationPlan>,
}

/// When the cells of a scenario have had enough trials; see [`crate::scenario::Precision`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PrecisionPlan {
    /// Half of the width that the 95 % interval of the rate may have.
    pub(crate) half_width: f64,
    /// Trials after which a cell stops in any case.
    pub(crate) trials_max: u32,
}

/// More trials for a cell with a precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellExtended {
    /// Index into [`RunStarted::scenarios`].
    pub(crate) scenario: usize,
    /// Index into [`ScenarioPlan::cells`].
    pub(crate) cell: usize,
    /// Number of trials that are added.
    pub(crate) trials: u32,
}

/// Why a cell with a precision got no more trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellDecided {
    /// Index into [`RunStarted::scenarios`].
    pub(crate) scenario: usize,
    /// Index into [`ScenarioPlan::cells`].
    pub(crate) cell: usize,
    /// How many trials it has had: those with the indices below this.
    pub(crate) trials: u32,
    /// Half of the width of the interval of its rate.
    pub(crate) half_width: f64,
    /// Whether that is narrow enough; otherwise it has had the most trials it may have, or nothing
    /// but errors of the bench.
    pub(crate) is_narrow: bool,
}

/// One combination of swept values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellPlan {
    /// Swept path and its value in this cell, in the order of the sweep; empty without a sweep.
    pub(crate) values: Vec<Assignment>,
    /// Round-trip time of the configured delays between the peers, in milliseconds.
    pub(crate) rtt_ms: f64,
}

/// A swept path and its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Assignment {
    /// Dotted path into the scenario, such as `peer.b.clock_offset_s`.
    pub(crate) path: String,
    /// The value, as in the file.
    pub(crate) value: serde_json::Value,
}

/// An expectation: which cells, and what must hold in each of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExpectationPlan {
    /// Cells whose values are among these; empty for every cell.
    #[serde(rename = "where")]
    pub(crate) filter: Vec<Filter>,
    /// What must hold, in words that [`crate::scenario::Criterion`] reads: `>= 0.95` and `theory` are
    /// on the success of each cell, others begin with what they are on. Logs of 0.1.0 may call it
    /// `success`.
    #[serde(alias = "success")]
    pub(crate) expected: String,
    /// Its line in the scenario's own file, from 1; absent where it comes from another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) line: Option<usize>,
}

/// One condition of an expectation's `where`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Filter {
    /// A swept path.
    pub(crate) path: String,
    /// Accepted values (one or several).
    pub(crate) values: Vec<serde_json::Value>,
}

/// The result of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrialFinished {
    /// Index into [`RunStarted::scenarios`].
    pub(crate) scenario: usize,
    /// Index into [`ScenarioPlan::cells`].
    pub(crate) cell: usize,
    /// Index of the trial within its cell, from 0.
    pub(crate) trial: u32,
    /// The trial's seed, 16 hexadecimal digits.
    pub(crate) seed: String,
    /// Success, failure or error.
    #[serde(rename = "verdict")]
    pub(crate) outcome: Outcome,
    /// Why it failed, or what went wrong with the bench.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cause: Option<Cause>,
    /// What the oracle says should have happened.
    pub(crate) theory: Theory,
    /// Times of a success, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) times: Option<Times>,
    /// Why the bench disturbed this trial, if it did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) disturbed: Option<String>,
    /// The worst lateness of the bench in this trial, in milliseconds.
    pub(crate) bench: BenchLateness,
    /// Round-trip time of the configured delays in this trial, in milliseconds, if it was drawn; that
    /// of the cell otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rtt_ms: Option<f64>,
    /// Virtual epoch of the trial: what an exact clock reads at its begin, in Unix seconds.
    pub(crate) epoch_unix_s: f64,
    /// The two peers, a and b.
    pub(crate) peers: Pair<PeerReport>,
}

impl TrialFinished {
    /// Outcome and cause in one line: `failure: syn-lost: both SYNs to port 2741 were lost`.
    pub(crate) fn headline(&self) -> String {
        let outcome = self.outcome.name();
        match &self.cause {
            Some(Cause { kind, evidence }) => format!("{outcome}: {kind}: {evidence}"),
            None => outcome.to_owned(),
        }
    }
}

/// Outcome of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Both ends hold the same connection, and bytes went through it in both directions.
    Success,
    /// The subject did not achieve that.
    Failure,
    /// The bench itself failed: counted apart, never in a rate.
    Error,
}

impl Named for Outcome {
    const NAMES: &'static [(&'static str, Self)] =
        &[("success", Self::Success), ("failure", Self::Failure), ("error", Self::Error)];
}

/// Why a trial did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cause {
    /// Short name to count by, such as `no-common-port`.
    pub(crate) kind: String,
    /// The evidence, one sentence.
    pub(crate) evidence: String,
}

/// What should happen, by theory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Theory {
    /// The prediction.
    pub(crate) prediction: Prediction,
    /// Its reason, one clause.
    pub(crate) reason: String,
}

/// A prediction of the oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Prediction {
    /// The trial must succeed.
    Should,
    /// The trial must fail.
    ShouldNot,
    /// Theory does not decide it.
    Depends,
}

/// Times of a success in milliseconds, all from the later peer's first SYN on the WAN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Times {
    /// The first port up on either side: as the peers report, or else as the packets tell of the
    /// connections that stood.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) up_ms: Option<f64>,
    /// The first port up on both sides: as the peers report, or else as the packets tell.
    pub(crate) connected_ms: Option<f64>,
    /// The COMMIT answered: both sides know which connection it is.
    pub(crate) chosen_ms: Option<f64>,
    /// Both sides handed the connection over: bytes may flow.
    pub(crate) returned_ms: Option<f64>,
}

/// How late the bench itself was.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BenchLateness {
    /// Worst delivery of a packet after its time, in milliseconds.
    pub(crate) wan_ms: f64,
    /// Worst start of a peer after its time, in milliseconds.
    pub(crate) start_ms: f64,
    /// The longest time for which the bench itself did not run, in milliseconds; 0 if it always did.
    #[serde(default)]
    pub(crate) stall_ms: f64,
}

/// What one peer did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct PeerReport {
    /// Its clock minus true time, in seconds.
    pub(crate) clock_offset_s: f64,
    /// When it was started after the begin of the trial, in seconds.
    pub(crate) start_s: f64,
    /// From its start to its first SYN on the WAN, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) spawn_to_syn_ms: Option<f64>,
    /// How it ended: `exit 0`, `signal 9`, `killed by the harness`.
    pub(crate) exit: String,
    /// Ports it opened, where it reports them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) ports: Vec<u16>,
    /// SYNs it sent on the WAN.
    pub(crate) syns: u32,
    /// Processor time of its process, in user and kernel mode, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cpu_ms: Option<f64>,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunFinished {
    /// Whether a signal cut it short.
    pub(crate) interrupted: bool,
    /// Duration of the run in seconds.
    pub(crate) elapsed_s: f64,
    /// How often building a lab had to be tried again.
    pub(crate) lab_retries: u32,
}
