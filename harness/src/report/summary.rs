//! Figures of a run: the content of `summary.json`, and the source of all other reports.

use serde::{Deserialize, Serialize};

use crate::{
    event::{Assignment, BenchLateness, Filter, Machine, PrecisionPlan},
    exit::Exit,
    moments::PerMoment,
    named::Named,
    stats::{Bounds, Interval, Quantiles, quantile},
};

/// Version of the summary's format.
pub(crate) const SCHEMA: u32 = 1;

/// The format as a JSON Schema.
pub(crate) const JSON_SCHEMA: &str = include_str!("../../schemas/summary.json");

/// Summary of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Summary {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Version of the harness that ran the trials.
    pub harness: String,
    /// Start of the run, in Unix seconds.
    pub started_unix_s: f64,
    /// Versions on the machine that ran the trials; absent in runs of harnesses that did not note
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// Maximum of labs at the same time; with many labs, measured times mean little.
    pub jobs: usize,
    /// How the run ended.
    pub state: RunState,
    /// Duration of the run in seconds; unknown if it was killed.
    pub elapsed_s: Option<f64>,
    /// Number of times that building a lab was tried again; unknown if the run was killed.
    pub lab_retries: Option<u32>,
    /// Verdict on all expectations of all scenarios.
    pub verdict: Verdict,
    /// The scenarios, in the order of the command line.
    pub scenarios: Vec<ScenarioSummary>,
}

impl Summary {
    /// Exit code of the run. A run that was cut short is inconclusive at best, since the missing
    /// trials might fail.
    pub(crate) fn exit(&self) -> Exit {
        match (self.verdict, self.state) {
            (Verdict::Fail, _) => Exit::Failed,
            (Verdict::Inconclusive, _) => Exit::Inconclusive,
            (Verdict::Pass, RunState::Interrupted | RunState::Unfinished) => Exit::Inconclusive,
            (Verdict::Pass, RunState::Finished) => Exit::Success,
        }
    }
}

/// Result of an expectation. Of several verdicts, the greatest decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Verdict {
    /// The expectation holds.
    Pass,
    /// The trials do not decide the expectation.
    Inconclusive,
    /// The expectation does not hold.
    Fail,
}

impl Named for Verdict {
    const NAMES: &'static [(&'static str, Self)] =
        &[("pass", Self::Pass), ("inconclusive", Self::Inconclusive), ("fail", Self::Fail)];
}

impl Verdict {
    /// The verdict of a whole: `Fail` if one part fails, otherwise `Inconclusive` if one part is
    /// inconclusive. `None` without parts.
    pub(crate) fn of_all(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().max()
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RunState {
    /// All trials were run.
    Finished,
    /// A signal cut the run short; the trials in the log are complete.
    Interrupted,
    /// The log has no end: the harness was killed, or is still running.
    Unfinished,
}

/// One scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ScenarioSummary {
    /// Name, unique within the run.
    pub name: String,
    /// Path of the scenario file, as given.
    pub file: String,
    /// Question that the scenario answers.
    pub question: Option<String>,
    /// Run seed.
    pub seed: u64,
    /// Trials planned in each cell; an interrupted run has fewer.
    pub trials_per_cell: u32,
    /// Precision at which a cell has had enough trials, if the scenario has one; `trials_per_cell`
    /// is then the minimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<PrecisionPlan>,
    /// Verdict on all expectations. A scenario without expectations passes, unless a cell has
    /// nothing but errors of the bench.
    pub verdict: Verdict,
    /// Cells in the order of the sweep.
    pub cells: Vec<CellSummary>,
    /// Expectations in the order of the file.
    pub expectations: Vec<ExpectationSummary>,
}

/// One combination of swept values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CellSummary {
    /// Swept paths with their values; empty without a sweep.
    pub values: Vec<Assignment>,
    /// Round-trip time of the configured delays, in milliseconds.
    pub rtt_ms: f64,
    /// Trials run: successes, failures and errors.
    pub trials: u64,
    /// Trials that succeeded.
    pub successes: u64,
    /// Trials that failed.
    pub failures: u64,
    /// Trials in which the bench itself failed; never in the rate.
    pub errors: u64,
    /// Trials that the bench disturbed; they count by their outcome like all others.
    pub disturbed: u64,
    /// Share of successes in successes and failures, from 0 to 1; absent without either.
    pub rate: Option<f64>,
    /// 95 % interval of the rate.
    pub interval: Interval,
    /// Times of the successes.
    pub times: TimesSummary,
    /// Median of the time from the start of a peer to its first SYN, in milliseconds, over both
    /// peers of all successes and failures.
    pub spawn_to_syn_p50_ms: Option<f64>,
    /// Costs of the successes.
    #[serde(default)]
    pub cost: CostSummary,
    /// Costs of the failures, mostly until the peers gave up.
    #[serde(default)]
    pub cost_of_failures: CostSummary,
    /// Predictions for the successes and failures.
    pub theory: TheorySummary,
    /// Causes of the failures, most frequent first.
    pub failure_causes: Vec<CauseSummary>,
    /// Causes of the errors, most frequent first.
    pub error_causes: Vec<CauseSummary>,
    /// Disturbances by the bench, most frequent first, at most [`CellSummary::MAX_DISTURBANCES`]:
    /// their texts are free, so that all may differ.
    pub disturbances: Vec<CauseSummary>,
    /// Worst lateness of the bench in any trial.
    pub worst_lateness: BenchLateness,
    /// Verdict of all expectations on this cell; absent without any.
    pub verdict: Option<Verdict>,
}

impl CellSummary {
    /// Maximum of listed disturbances.
    pub(crate) const MAX_DISTURBANCES: usize = 10;

    /// Number of trials in the rate: successes and failures.
    pub(crate) fn rated(&self) -> u64 {
        self.successes + self.failures
    }

    /// Whether there are trials, and all ended in an error of the bench.
    pub(crate) fn has_only_errors(&self) -> bool {
        self.trials > 0 && self.rated() == 0
    }
}

/// Times of the successes, in milliseconds from the later peer's first SYN on the WAN. A time that
/// no success has is absent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TimesSummary {
    /// First port up on either side.
    #[serde(default)]
    pub up_ms: Option<Quantiles>,
    /// First port up on both sides.
    pub connected_ms: Option<Quantiles>,
    /// Both sides know the chosen connection.
    pub chosen_ms: Option<Quantiles>,
    /// Bytes may flow on both sides.
    pub returned_ms: Option<Quantiles>,
}

impl TimesSummary {
    /// The quantiles of the time until each moment.
    pub(crate) fn per_moment(self) -> PerMoment<Option<Quantiles>> {
        let Self { up_ms, connected_ms, chosen_ms, returned_ms } = self;
        PerMoment { up: up_ms, connected: connected_ms, chosen: chosen_ms, returned: returned_ms }
    }
}

impl From<PerMoment<Option<Quantiles>>> for TimesSummary {
    fn from(times: PerMoment<Option<Quantiles>>) -> Self {
        let PerMoment { up, connected, chosen, returned } = times;
        Self { up_ms: up, connected_ms: connected, chosen_ms: chosen, returned_ms: returned }
    }
}

/// Costs of the busier peer of each trial, without errors of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CostSummary {
    /// SYNs that the peer sent on the WAN; absent without trials.
    pub syns: Option<Typical>,
    /// Processor time of the peer's process in milliseconds, in user and kernel mode, as counted by
    /// the kernel; absent if unknown.
    pub cpu_ms: Option<Typical>,
}

/// Median and maximum of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Typical {
    /// Median.
    pub p50: f64,
    /// Maximum.
    pub max: f64,
}

impl Typical {
    /// Median and maximum of a sample in any order; `None` of an empty sample.
    pub(crate) fn of(sample: &[f64]) -> Option<Self> {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self { p50: quantile(&sorted, 0.5)?, max: *sorted.last()? })
    }
}

/// Predictions for trials, without errors of the bench.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TheorySummary {
    /// Trials that must succeed by theory.
    pub should: u64,
    /// Trials that must fail by theory.
    pub should_not: u64,
    /// Trials that theory does not decide.
    pub depends: u64,
    /// Trials that failed although they should succeed.
    pub unexpected_failures: Unexpected,
    /// Trials that succeeded although they should fail.
    pub unexpected_successes: Unexpected,
}

impl TheorySummary {
    /// Number of trials that theory decides.
    pub(crate) fn decided(&self) -> u64 {
        self.should + self.should_not
    }

    /// Number of trials that failed as predicted.
    pub(crate) fn predicted_failures(&self) -> u64 {
        self.should_not - self.unexpected_successes.count
    }

    /// Number of trials that did not end as predicted.
    pub(crate) fn unexpected(&self) -> u64 {
        self.unexpected_failures.count + self.unexpected_successes.count
    }
}

/// Trials that did not end as predicted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Unexpected {
    /// Number of trials.
    pub count: u64,
    /// The first indices of these trials within the cell, at most [`Unexpected::MAX_TRIALS`].
    pub trials: Vec<u32>,
}

impl Unexpected {
    /// Maximum of listed indices.
    pub(crate) const MAX_TRIALS: usize = 5;
}

/// One cause of some trials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CauseSummary {
    /// Short name; the description for a disturbance.
    pub kind: String,
    /// Number of trials.
    pub count: u64,
    /// First trial by index within the cell.
    pub trial: u32,
    /// Evidence of the first trial.
    pub evidence: String,
}

/// One expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExpectationSummary {
    /// Conditions that select the cells; empty for all cells.
    #[serde(rename = "where")]
    pub filter: Vec<Filter>,
    /// Criterion for each cell: `>= 0.95` and `theory` are on the successes, others begin with
    /// their subject, such as `connected_ms p50 <= 54.5`.
    #[serde(alias = "success")]
    pub expected: String,
    /// Line in the scenario's own file, from 1; absent for an expectation of another file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Verdict on all cells; inconclusive without cells.
    pub verdict: Verdict,
    /// Cells to which the expectation applies.
    pub cells: Vec<JudgedCell>,
}

/// Verdict of an expectation on one cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct JudgedCell {
    /// Index into [`ScenarioSummary::cells`].
    pub cell: usize,
    /// Verdict on the cell. Absent if the expectation is on theory, and theory decides trials of
    /// other cells but none of this cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Figure that was compared with the bound; absent without values, or if each trial is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// Figure that is compared with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Measured {
    /// The figure: a share from 0 to 1, or a time in the unit of the criterion.
    pub value: f64,
    /// 95 % interval of the figure; an end is absent if the trials are too few to tell.
    pub interval: Bounds,
    /// Number of trials behind the figure.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        event::Event,
        report::{
            fixture::{matrix, skew, started},
            tally::summarize,
        },
    };

    fn as_json(events: &[Event]) -> Value {
        serde_json::to_value(summarize(events).unwrap()).unwrap()
    }

    #[test]
    fn the_machine_is_in_the_summary_and_in_the_reports_and_old_logs_have_none() {
        let Event::RunStarted(plan) = started(Vec::new()) else { panic!("a start") };
        let old = serde_json::to_string(&Event::RunStarted(plan.clone())).unwrap();
        assert!(!old.contains("machine"), "{old}");
        let old = summarize(&[serde_json::from_str(&old).unwrap()]).unwrap();
        assert_eq!(old.machine, None);
        let machine = Machine {
            kernel: "Linux 6.1".to_owned(),
            iptables: Some("iptables v1.8.9 (nf_tables)".to_owned()),
            nft: None,
        };
        let start = Event::RunStarted(crate::event::RunStarted { machine: Some(machine), ..plan });
        let line = serde_json::to_string(&start).unwrap();
        let summary = summarize(&[serde_json::from_str(&line).unwrap()]).unwrap();
        let json = serde_json::to_value(&summary).unwrap();
        assert!(is_valid(&json), "{json:#}");
        assert_eq!(
            json["machine"],
            json!({"kernel": "Linux 6.1", "iptables": "iptables v1.8.9 (nf_tables)"})
        );
        let markdown = crate::report::markdown::render(&summary);
        assert!(markdown.contains("Machine: Linux 6.1 · iptables v1.8.9"), "{markdown}");
    }

    fn is_valid(summary: &Value) -> bool {
        let schema = serde_json::from_str(JSON_SCHEMA).unwrap();
        jsonschema::validator_for(&schema)
            .unwrap()
            .is_valid(summary)
    }

    #[test]
    fn the_committed_schema_is_that_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/summary.json");
        let mut schema = schemars::schema_for!(Summary);
        schema.insert("title".to_owned(), "summary.json of harness".into());
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == text, "schemas/summary.json is old: run once with UPDATE_SCHEMA=1");
    }

    #[test]
    fn the_schema_accepts_every_summary() {
        for events in [skew(), matrix(), skew()[..70].to_vec(), vec![started(Vec::new())]] {
            let summary = as_json(&events);
            assert!(is_valid(&summary), "{summary:#}");
        }
    }

    #[test]
    fn the_schema_refuses_what_is_no_summary() {
        let summary = as_json(&skew());
        let with = |pointer: &str, value: Value| {
            let mut wrong = summary.clone();
            *wrong.pointer_mut(pointer).unwrap() = value;
            wrong
        };
        for (pointer, value) in [
            ("/verdict", json!("perhaps")),
            ("/state", json!("half")),
            ("/scenarios", json!({})),
            ("/scenarios/0/cells/0/successes", json!("many")),
            ("/scenarios/0/cells/0/successes", json!(-1)),
            ("/scenarios/0/cells/0/times/connected_ms/p50", json!(null)),
            ("/scenarios/0/cells/0/theory", json!({"should": 1})),
        ] {
            assert!(!is_valid(&with(pointer, value)), "{pointer}");
        }
        assert!(!is_valid(&json!({})));
    }
}
