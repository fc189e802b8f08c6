//! Events of a run: the content of `events.jsonl`, one JSON object a line.
//!
//! Every report (table, summary, exit code) is a pure function of these events, so that a finished
//! or interrupted run can be reported again. The dispatcher is the only source of
//! events.

mod cause;

use serde::{Deserialize, Serialize};

pub(crate) use self::cause::CauseKind;
use crate::{moments::PerMoment, named::Named, peers::Pair};

/// Version of the event format; a reader refuses a newer one.
pub(crate) const SCHEMA: u32 = 1;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// Always the first line: everything about the scenarios that reports need.
    RunStarted(RunStarted),
    /// One trial is over, with any outcome.
    TrialFinished(Box<TrialFinished>),
    /// A cell with a precision gets more trials. For sinks that count trials during the run: the
    /// event precedes the trial that led to it, and is not in the log.
    #[serde(skip)]
    CellExtended(CellExtended),
    /// A cell with a precision has had enough trials.
    CellDecided(CellDecided),
    /// Always the last line, unless the harness was killed.
    RunFinished(RunFinished),
}

/// Plan of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunStarted {
    /// See [`SCHEMA`].
    pub(crate) schema: u32,
    /// Version of the harness.
    pub(crate) harness: String,
    /// Start of the run, in Unix seconds.
    pub(crate) started_unix_s: f64,
    /// Number of labs that may exist at once.
    pub(crate) jobs: usize,
    /// The scenarios, in the order of the command line.
    pub(crate) scenarios: Vec<ScenarioPlan>,
    /// Results of the verification of the NATs; empty without verification.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) nats: Vec<NatVerified>,
    /// Versions of what the NATs are made of; absent in logs of harnesses that did not note them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) machine: Option<Machine>,
}

/// Versions on the machine of a run: what a NAT does with a packet depends on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Machine {
    /// System and release, such as `Linux 6.12.3`.
    pub(crate) kernel: String,
    /// Version that `iptables-restore` names; absent if it is not installed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) iptables: Option<String>,
    /// Version that `nft` names; absent if it is not installed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) nft: Option<String>,
}

impl Machine {
    /// All versions, for people.
    pub(crate) fn versions(&self) -> Vec<&str> {
        let Self { kernel, iptables, nft } = self;
        std::iter::once(kernel)
            .chain(iptables)
            .chain(nft)
            .map(String::as_str)
            .collect()
    }
}

/// Result of the verification of a NAT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NatVerified {
    /// Name in the catalogue, with the differences from the entry of that name.
    pub(crate) nat: String,
    /// `ipv4` or `ipv6`.
    pub(crate) family: String,
    /// Number of properties that were probed.
    pub(crate) properties: usize,
    /// Properties that differ from the description, a clause each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) differences: Vec<String>,
    /// Reason why the NAT could not be verified.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) error: Option<String>,
}

/// One scenario with the overrides of the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScenarioPlan {
    /// Name, unique within the run.
    pub(crate) name: String,
    /// Path of its file, as given.
    pub(crate) file: String,
    /// Question of the scenario.
    pub(crate) question: Option<String>,
    /// The scenario as TOML: a replay does not need the file, which may change.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) source: Option<String>,
    /// Run seed: with cell label and trial index it determines every trial.
    pub(crate) seed: u64,
    /// Trials in each cell; with a precision, the minimum.
    pub(crate) trials: u32,
    /// Rule for the number of trials, if it is not fixed.
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

/// Reason why a cell with a precision got no more trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellDecided {
    /// Index into [`RunStarted::scenarios`].
    pub(crate) scenario: usize,
    /// Index into [`ScenarioPlan::cells`].
    pub(crate) cell: usize,
    /// Number of trials of the cell: those with lower indices.
    pub(crate) trials: u32,
    /// Half of the width of the interval of the cell's rate.
    pub(crate) half_width: f64,
    /// Whether the interval is narrow enough. Otherwise the cell has had the maximum of trials, or
    /// nothing but errors of the bench.
    pub(crate) is_narrow: bool,
}

/// One combination of swept values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellPlan {
    /// Swept paths and their values in this cell, in the order of the sweep; empty without a sweep.
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

/// An expectation: a criterion, and the cells that must meet it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExpectationPlan {
    /// Conditions that select the cells; empty for every cell.
    #[serde(rename = "where")]
    pub(crate) filter: Vec<Filter>,
    /// Criterion in the words of [`crate::scenario::Criterion`]: `>= 0.95` and `theory` are about
    /// the successes of a cell, other criteria begin with their subject. Logs of 0.1.0 may call
    /// this field `success`.
    #[serde(alias = "success")]
    pub(crate) expected: String,
    /// Line in the scenario's own file, from 1; absent if another file has the expectation.
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

/// Result of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrialFinished {
    /// Index into [`RunStarted::scenarios`].
    pub(crate) scenario: usize,
    /// Index into [`ScenarioPlan::cells`].
    pub(crate) cell: usize,
    /// Index of the trial within its cell, from 0.
    pub(crate) trial: u32,
    /// Seed of the trial, 16 hexadecimal digits.
    pub(crate) seed: String,
    /// Success, failure or error.
    #[serde(rename = "verdict")]
    pub(crate) outcome: Outcome,
    /// Cause of a failure, or of an error of the bench.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cause: Option<Cause>,
    /// Prediction of the outcome.
    pub(crate) theory: Theory,
    /// Times of a success, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) times: Option<Times>,
    /// Reasons why this trial counts as disturbed by the bench, if there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) disturbed: Option<String>,
    /// Lateness of the bench in this trial.
    pub(crate) bench: BenchLateness,
    /// Round-trip time of the configured delays in this trial, in milliseconds, if the scenario
    /// gives the delay as a distribution.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rtt_ms: Option<f64>,
    /// Virtual epoch: reading of an exact clock at the begin of the trial, in Unix seconds.
    pub(crate) epoch_unix_s: f64,
    /// Reports on the peers.
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
    /// The bytes did not come through.
    Failure,
    /// The bench itself failed: counted apart, never in a rate.
    Error,
}

impl Named for Outcome {
    const NAMES: &'static [(&'static str, Self)] =
        &[("success", Self::Success), ("failure", Self::Failure), ("error", Self::Error)];
}

/// Cause of a trial without success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cause {
    /// Short name to count by, such as `no-common-port`.
    pub(crate) kind: String,
    /// Evidence in one sentence.
    pub(crate) evidence: String,
}

/// Expected outcome by theory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Theory {
    /// The prediction.
    pub(crate) prediction: Prediction,
    /// Reason in one clause.
    pub(crate) reason: String,
}

/// Prediction of the outcome of a trial, with the reason.
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
    /// First port up on either side, as the peers report; otherwise as the packets of the
    /// established connections show.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) up_ms: Option<f64>,
    /// First port up on both sides, as the peers report; otherwise as the packets show.
    pub(crate) connected_ms: Option<f64>,
    /// Answer to the COMMIT: both sides know the chosen connection.
    pub(crate) chosen_ms: Option<f64>,
    /// Connection returned on both sides: bytes may flow.
    pub(crate) returned_ms: Option<f64>,
}

impl Times {
    /// The time until each moment, in milliseconds.
    pub(crate) fn per_moment(self) -> PerMoment<Option<f64>> {
        let Self { up_ms, connected_ms, chosen_ms, returned_ms } = self;
        PerMoment { up: up_ms, connected: connected_ms, chosen: chosen_ms, returned: returned_ms }
    }
}

/// How late the bench itself was.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BenchLateness {
    /// Worst delivery of a packet after its time, in milliseconds.
    pub(crate) wan_ms: f64,
    /// Worst start of a peer after its time, in milliseconds.
    pub(crate) start_ms: f64,
    /// The longest time for which the bench itself did not run, in milliseconds; 0 if none.
    #[serde(default)]
    pub(crate) stall_ms: f64,
}

/// Report on one peer of a trial.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct PeerReport {
    /// Clock of the peer minus true time, in seconds.
    pub(crate) clock_offset_s: f64,
    /// Start of the peer after the begin of the trial, in seconds.
    pub(crate) start_s: f64,
    /// Time from the start to the first SYN on the WAN, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) spawn_to_syn_ms: Option<f64>,
    /// End of the process: `exit 0`, `signal 9`, `killed by the harness`.
    pub(crate) exit: String,
    /// Ports that the peer opened, or to which it sent SYNs if it reports no events.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) ports: Vec<u16>,
    /// Number of SYNs of the peer on the WAN.
    pub(crate) syns: u32,
    /// Processor time of the process, in user and kernel mode, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cpu_ms: Option<f64>,
}

/// End of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunFinished {
    /// Whether a signal cut the run short.
    pub(crate) interrupted: bool,
    /// Duration of the run in seconds.
    pub(crate) elapsed_s: f64,
    /// Number of times that building a lab was tried again.
    pub(crate) lab_retries: u32,
}
