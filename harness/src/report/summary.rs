//! The figures of a run: what `summary.json` holds, and what every human report shows.

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

/// The figures of a run.
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
    /// How many labs could stand at once: time figures mean little with many.
    pub jobs: usize,
    /// Whether the run came to its end.
    pub state: RunState,
    /// Duration of the run in seconds; unknown if it was killed.
    pub elapsed_s: Option<f64>,
    /// How often building a lab had to be tried again; unknown if the run was killed.
    pub lab_retries: Option<u32>,
    /// All expectations of all scenarios together.
    pub verdict: Verdict,
    /// The scenarios, in the order of the command line.
    pub scenarios: Vec<ScenarioSummary>,
}

impl Summary {
    /// Exit by the expectations. A run that was cut short is inconclusive at best: the trials that
    /// were not run might have gone otherwise.
    pub(crate) fn exit(&self) -> Exit {
        match (self.verdict, self.state) {
            (Verdict::Fail, _) => Exit::Failed,
            (Verdict::Inconclusive, _) => Exit::Inconclusive,
            (Verdict::Pass, RunState::Interrupted | RunState::Unfinished) => Exit::Inconclusive,
            (Verdict::Pass, RunState::Finished) => Exit::Success,
        }
    }
}

/// What is known of an expectation; the greater one decides for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Verdict {
    /// It holds.
    Pass,
    /// The trials do not decide it.
    Inconclusive,
    /// It does not hold.
    Fail,
}

impl Named for Verdict {
    const NAMES: &'static [(&'static str, Self)] =
        &[("pass", Self::Pass), ("inconclusive", Self::Inconclusive), ("fail", Self::Fail)];
}

impl Verdict {
    /// The verdict of a whole from those of its parts: one failure fails it, else one
    /// inconclusive part leaves it open. `None` without parts.
    pub(crate) fn of_all(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().max()
    }
}

/// Whether a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RunState {
    /// It ended by itself.
    Finished,
    /// A signal cut it short; what ran is complete.
    Interrupted,
    /// The log has no end: the harness was killed, or still runs.
    Unfinished,
}

/// One scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ScenarioSummary {
    /// Name, unique within the run.
    pub name: String,
    /// Path of its file, as given.
    pub file: String,
    /// What it asks.
    pub question: Option<String>,
    /// Run seed.
    pub seed: u64,
    /// Trials planned in each cell; an interrupted run has fewer.
    pub trials_per_cell: u32,
    /// When a cell has had enough trials, if that is not their number: then `trials_per_cell` is
    /// the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<PrecisionPlan>,
    /// Its expectations together. Without any it passes, unless a cell gave nothing but errors.
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
    /// Swept path and its value; empty without a sweep.
    pub values: Vec<Assignment>,
    /// Round-trip time of the configured delays, in milliseconds.
    pub rtt_ms: f64,
    /// Trials run: successes, failures and errors.
    pub trials: u64,
    /// Trials that succeeded.
    pub successes: u64,
    /// Trials that failed.
    pub failures: u64,
    /// Trials the bench itself spoiled; never in the rate.
    pub errors: u64,
    /// Trials the bench disturbed; they count by their verdict like the others.
    pub disturbed: u64,
    /// Successes among successes and failures, from 0 to 1; absent if there are neither.
    pub rate: Option<f64>,
    /// 95 % interval of the rate.
    pub interval: Interval,
    /// Times of the successes.
    pub times: TimesSummary,
    /// Median, over both peers of all trials with a verdict, of the time from start to first SYN,
    /// in milliseconds.
    pub spawn_to_syn_p50_ms: Option<f64>,
    /// What the successes cost.
    #[serde(default)]
    pub cost: CostSummary,
    /// What the failures cost: mostly until the peers gave up.
    #[serde(default)]
    pub cost_of_failures: CostSummary,
    /// What theory says of the trials with a verdict.
    pub theory: TheorySummary,
    /// Why trials failed, most frequent first.
    pub failure_causes: Vec<CauseSummary>,
    /// Why trials could not be judged, most frequent first.
    pub error_causes: Vec<CauseSummary>,
    /// How the bench disturbed trials, most frequent first, at most
    /// [`CellSummary::MAX_DISTURBANCES`]: their text is free, so all may differ.
    pub disturbances: Vec<CauseSummary>,
    /// The worst lateness of the bench in any trial.
    pub worst_lateness: BenchLateness,
    /// The expectations that apply to this cell together; absent if none does.
    pub verdict: Option<Verdict>,
}

impl CellSummary {
    /// How many kinds of disturbance are listed.
    pub(crate) const MAX_DISTURBANCES: usize = 10;

    /// Trials with a verdict: those in the rate.
    pub(crate) fn rated(&self) -> u64 {
        self.successes + self.failures
    }

    /// Whether trials were run, but every one ended in an error of the bench.
    pub(crate) fn has_only_errors(&self) -> bool {
        self.trials > 0 && self.rated() == 0
    }
}

/// Times of the successes, in milliseconds from the later peer's first SYN on the WAN; each is
/// absent where no success had it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TimesSummary {
    /// The first port up on either side.
    #[serde(default)]
    pub up_ms: Option<Quantiles>,
    /// The first port up on both sides.
    pub connected_ms: Option<Quantiles>,
    /// Both sides know which connection it is.
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

/// What trials cost the busier peer of each; errors of the bench are left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CostSummary {
    /// SYNs that it sent on the WAN; absent without trials.
    pub syns: Option<Typical>,
    /// Processor time of its process in milliseconds, in user and kernel mode, as the kernel tells it;
    /// absent where that is not known.
    pub cpu_ms: Option<Typical>,
}

/// The median and the greatest of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Typical {
    /// The median.
    pub p50: f64,
    /// The greatest.
    pub max: f64,
}

impl Typical {
    /// Those of a sample in any order; `None` of an empty one.
    pub(crate) fn of(sample: &[f64]) -> Option<Self> {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self { p50: quantile(&sorted, 0.5)?, max: *sorted.last()? })
    }
}

/// What theory says of the trials with a verdict; errors of the bench are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TheorySummary {
    /// Trials that must succeed.
    pub should: u64,
    /// Trials that must fail.
    pub should_not: u64,
    /// Trials theory does not decide.
    pub depends: u64,
    /// Trials that failed though they should not have.
    pub unexpected_failures: Unexpected,
    /// Trials that succeeded though they should not have.
    pub unexpected_successes: Unexpected,
}

impl TheorySummary {
    /// Trials that theory decides.
    pub(crate) fn decided(&self) -> u64 {
        self.should + self.should_not
    }

    /// Trials that failed as theory says.
    pub(crate) fn predicted_failures(&self) -> u64 {
        self.should_not - self.unexpected_successes.count
    }

    /// Trials that went otherwise than theory says.
    pub(crate) fn unexpected(&self) -> u64 {
        self.unexpected_failures.count + self.unexpected_successes.count
    }
}

/// Trials that went against theory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Unexpected {
    /// How many.
    pub count: u64,
    /// The first of their indices within the cell, at most [`Unexpected::MAX_TRIALS`].
    pub trials: Vec<u32>,
}

impl Unexpected {
    /// How many indices are listed.
    pub(crate) const MAX_TRIALS: usize = 5;
}

/// One cause and how often it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CauseSummary {
    /// Short name; for a disturbance its description.
    pub kind: String,
    /// How many trials.
    pub count: u64,
    /// The first of them by index within the cell.
    pub trial: u32,
    /// The evidence of that trial.
    pub evidence: String,
}

/// One expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExpectationSummary {
    /// Cells whose values are among these; empty for every cell.
    #[serde(rename = "where")]
    pub filter: Vec<Filter>,
    /// What must hold in each cell: `>= 0.95` and `theory` are on its successes, others begin with
    /// what they are on, such as `connected_ms p50 <= 54.5`.
    #[serde(alias = "success")]
    pub expected: String,
    /// Its line in the scenario's own file, from 1; absent where it comes from another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Over all its cells; inconclusive if it applies to none.
    pub verdict: Verdict,
    /// The cells it applies to.
    pub cells: Vec<JudgedCell>,
}

/// Verdict of an expectation on one cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct JudgedCell {
    /// Index into [`ScenarioSummary::cells`].
    pub cell: usize,
    /// Whether the expectation holds there; absent where it is on theory, which decides none of the
    /// cell's trials though it does decide others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The figure that was judged; absent where there was none, or each trial was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// The figure that a bound was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Measured {
    /// What it is: a share from 0 to 1, a time in the unit of the criterion.
    pub value: f64,
    /// Its 95 % interval; an end is absent where the trials are too few to tell.
    pub interval: Bounds,
    /// How many trials it comes from.
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
