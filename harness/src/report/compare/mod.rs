//! Comparison of two runs, cell by cell: the second run is better, worse, or not shown to differ.
//!
//! A difference counts as shown if its confidence interval lies wholly on one side of zero. Of 100
//! cells, about five 95 % intervals would do so by chance. Each interval is therefore widened until
//! all of them together hold with 95 % (Bonferroni correction). Trials with the same seed in both
//! runs are pairs; their correlation is measured, and narrows the interval. Trials with errors of
//! the bench are in no figure. Times are those of successes.

mod terminal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    event::{Assignment, Event, Outcome},
    report::{
        labels::full_label,
        summary::{CellSummary, RunState, ScenarioSummary, Summary},
        tally::{TallyError, summarize},
    },
    stats::{
        CONFIDENCE,
        difference::{self, Difference, Median, Pairs},
        quantile, quantile_bounds,
    },
    ui::plural::count,
};

pub(crate) use self::terminal::render;

/// Version of the comparison's format.
const SCHEMA: u32 = 1;

/// Least difference of two medians that counts, in milliseconds: about the accuracy of the bench.
pub(crate) const MIN_MS: f64 = 1.0;

/// Result of a comparison, for the second run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// One of the runs has no figure.
    NotComparable,
    /// The interval contains zero, or a difference that is too small to count.
    NoDifferenceShown,
    /// A higher rate, a shorter time.
    Better,
    /// A lower rate, a longer time.
    Worse,
}

/// Description of a compared run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunLabel {
    /// Version of the harness.
    pub harness: String,
    /// Start of the run, in Unix seconds.
    pub started_unix_s: f64,
    /// Maximum number of labs at once. Times depend on it.
    pub jobs: usize,
    /// Whether the run was completed. The rates of an incomplete run are too high.
    pub state: RunState,
}

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The two runs; differences are the second less the first.
    pub runs: [RunLabel; 2],
    /// Probability that all intervals together contain the true differences.
    pub confidence: f64,
    /// Number of compared figures.
    pub differences: usize,
    /// Least difference of two medians that counts, in milliseconds.
    pub least_ms: f64,
    /// The worst result of all figures.
    pub verdict: Change,
    /// Scenarios of both runs.
    pub scenarios: Vec<ScenarioComparison>,
    /// Scenarios, and cells of common scenarios, in the first run only and in the second only.
    pub only_in: [Vec<String>; 2],
}

/// A scenario of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ScenarioComparison {
    /// Name of the scenario, which is the same in both runs.
    pub name: String,
    /// Seeds of the scenario in the two runs. With equal seeds and equal texts, the trials are the
    /// same.
    pub seeds: [u64; 2],
    /// Whether the text of the scenario is the same; absent if a log does not contain the text.
    pub same_text: Option<bool>,
    /// Cells with the same swept values in both runs.
    pub cells: Vec<CellComparison>,
}

/// A cell of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CellComparison {
    /// Swept paths and their values.
    pub values: Vec<Assignment>,
    /// Success rates.
    pub rate: RateComparison,
    /// Medians of the times until connected.
    pub connected: TimeComparison,
    /// Medians of the times until bytes may flow.
    pub returned: TimeComparison,
}

impl CellComparison {
    /// Results of all figures of the cell.
    fn changes(&self) -> [Change; 3] {
        [self.rate.change, self.connected.change, self.returned.change]
    }
}

/// Two success rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RateComparison {
    /// Successes in the two runs.
    pub successes: [u64; 2],
    /// Successes and failures in the two runs.
    pub trials: [u64; 2],
    /// Number of trials, without errors of the bench, that have the same seed in both runs.
    pub pairs: u64,
    /// Second less first; absent if one of the runs has no trials.
    pub difference: Option<Difference>,
    /// Result for this figure.
    pub change: Change,
}

/// Two medians, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TimeComparison {
    /// Medians in the two runs; absent without a success that reports this time.
    pub p50_ms: [Option<f64>; 2],
    /// Second less first; absent if one of the runs has no median, or if the delays differ.
    pub difference: Option<Difference>,
    /// Result for this figure.
    pub change: Change,
}

/// Reason why two runs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompareError {
    /// The events of one run are inconsistent.
    #[error("{run} run: {source}", run = if *.second { "second" } else { "first" })]
    Events {
        /// Whether the second run is meant.
        second: bool,
        /// Reason.
        source: TallyError,
    },
    /// No cell is in both runs.
    #[error(
        "the runs have no cell in common, so nothing can be compared: the first has {first}, the \
         second {second}; cells are matched by the scenario's name and their swept values"
    )]
    NothingInCommon {
        /// Contents of the first run.
        first: String,
        /// Contents of the second run.
        second: String,
    },
}

/// Compares the runs with these events.
///
/// # Errors
///
/// The events of one run are inconsistent, or the runs have no cell in common.
pub(crate) fn compare(
    first: &[Event],
    second: &[Event],
    least_ms: f64,
) -> Result<Comparison, CompareError> {
    let [first, second] = [Run::new(first, false)?, Run::new(second, true)?];
    let common_cells = common_cells(&first.summary, &second.summary);
    let figures: usize = common_cells
        .iter()
        .map(|cell| 1 + 2 * usize::from(cell.has_equal_rtts()))
        .sum();
    if common_cells.is_empty() {
        let [first, second] = [&first, &second].map(|run| contents(&run.summary));
        return Err(CompareError::NothingInCommon { first, second });
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let confidence_of_each = 1.0 - (1.0 - CONFIDENCE) / figures as f64;
    let comparer = Comparer { runs: [&first, &second], confidence: confidence_of_each, least_ms };
    let mut scenarios: Vec<ScenarioComparison> = Vec::new();
    for common in &common_cells {
        let cell = comparer.cell(common);
        let name = common.scenario_name();
        match scenarios.iter_mut().find(|scenario| scenario.name == name) {
            Some(scenario) => scenario.cells.push(cell),
            None => scenarios.push(ScenarioComparison {
                name: name.to_owned(),
                seeds: common.scenarios.map(|scenario| scenario.seed),
                same_text: match [&first, &second].map(|run| run.texts.get(name)) {
                    [Some(first), Some(second)] => Some(first == second),
                    _ => None,
                },
                cells: vec![cell],
            }),
        }
    }
    let changes = scenarios
        .iter()
        .flat_map(|scenario| &scenario.cells)
        .flat_map(CellComparison::changes);
    Ok(Comparison {
        schema: SCHEMA,
        confidence: CONFIDENCE,
        differences: figures,
        least_ms,
        verdict: changes.max().unwrap_or(Change::NotComparable),
        scenarios,
        only_in: [
            missing(&first.summary, &second.summary),
            missing(&second.summary, &first.summary),
        ],
        runs: [first.label(), second.label()],
    })
}

/// A run with the results of its trials.
struct Run<'a> {
    summary: Summary,
    /// Successes and failures, by scenario and cell.
    trials: BTreeMap<(usize, usize), TrialResults<'a>>,
    /// Texts of the scenarios, by name.
    texts: BTreeMap<String, String>,
}

/// Results of the trials of a cell, by index and seed.
type TrialResults<'a> = BTreeMap<(u32, &'a str), TrialResult>;

/// Result of a trial.
#[derive(Debug, Clone, Copy)]
struct TrialResult {
    is_success: bool,
    /// Times until connected and until returned; absent without a success that reports them.
    times_ms: [Option<f64>; 2],
}

impl<'a> Run<'a> {
    fn new(events: &'a [Event], second: bool) -> Result<Self, CompareError> {
        let summary =
            summarize(events).map_err(|source| CompareError::Events { second, source })?;
        let mut trials: BTreeMap<_, TrialResults<'_>> = BTreeMap::new();
        let mut texts = BTreeMap::new();
        for event in events {
            match event {
                Event::RunStarted(started) => {
                    let plans = started.scenarios.iter();
                    texts.extend(
                        plans.filter_map(|plan| Some((plan.name.clone(), plan.source.clone()?))),
                    );
                }
                Event::TrialFinished(trial) => {
                    if trial.outcome == Outcome::Error {
                        continue;
                    }
                    let result = TrialResult {
                        is_success: trial.outcome == Outcome::Success,
                        times_ms: [
                            trial.times.and_then(|times| times.connected_ms),
                            trial.times.and_then(|times| times.returned_ms),
                        ],
                    };
                    let cell = trials.entry((trial.scenario, trial.cell)).or_default();
                    cell.insert((trial.trial, trial.seed.as_str()), result);
                }
                Event::CellExtended(_) | Event::CellDecided(_) | Event::RunFinished(_) => {}
            }
        }
        Ok(Self { summary, trials, texts })
    }

    fn label(&self) -> RunLabel {
        let Summary { ref harness, started_unix_s, jobs, state, .. } = self.summary;
        RunLabel { harness: harness.clone(), started_unix_s, jobs, state }
    }
}

/// A cell of both runs, with its scenario and its indices in each.
struct CommonCell<'a> {
    scenarios: [&'a ScenarioSummary; 2],
    cells: [&'a CellSummary; 2],
    /// Index of the scenario and index of the cell, as in [`Run::trials`].
    indices: [(usize, usize); 2],
}

impl<'a> CommonCell<'a> {
    /// Name of the scenario in both runs.
    fn scenario_name(&self) -> &'a str {
        &self.scenarios[0].name
    }

    /// Whether the round-trip times are equal. Times are compared only then, since they depend on
    /// the delays.
    fn has_equal_rtts(&self) -> bool {
        self.cells[0].rtt_ms == self.cells[1].rtt_ms
    }
}

/// The cells of both runs, matched by the scenario's name and the swept values.
fn common_cells<'a>(first: &'a Summary, second: &'a Summary) -> Vec<CommonCell<'a>> {
    let mut common_cells = Vec::new();
    for (index, scenario) in first.scenarios.iter().enumerate() {
        let found = second
            .scenarios
            .iter()
            .position(|other| other.name == scenario.name);
        let Some(other_index) = found else { continue };
        let other = &second.scenarios[other_index];
        let other_cells: BTreeMap<String, usize> = other
            .cells
            .iter()
            .enumerate()
            .map(|(index, cell)| (key(cell), index))
            .collect();
        for (cell_index, cell) in scenario.cells.iter().enumerate() {
            if let Some(&other_cell_index) = other_cells.get(&key(cell)) {
                common_cells.push(CommonCell {
                    scenarios: [scenario, other],
                    cells: [cell, &other.cells[other_cell_index]],
                    indices: [(index, cell_index), (other_index, other_cell_index)],
                });
            }
        }
    }
    common_cells
}

/// The swept values of a cell, independent of their order; 5 and 5.0 are equal.
fn key(cell: &CellSummary) -> String {
    let value = |value: &serde_json::Value| match value.as_f64() {
        Some(number) => number.to_string(),
        None => value.to_string(),
    };
    let mut parts: Vec<_> = cell
        .values
        .iter()
        .map(|assignment| format!("{}={}", assignment.path, value(&assignment.value)))
        .collect();
    parts.sort();
    parts.join("\n")
}

/// Scenarios and cells of a run that the other run lacks.
fn missing(run: &Summary, other: &Summary) -> Vec<String> {
    let mut missing = Vec::new();
    for scenario in &run.scenarios {
        let found = other
            .scenarios
            .iter()
            .find(|other| other.name == scenario.name);
        match found {
            None => missing.push(scenario.name.clone()),
            Some(other) => {
                let known: Vec<_> = other.cells.iter().map(key).collect();
                let new = scenario
                    .cells
                    .iter()
                    .filter(|cell| !known.contains(&key(cell)));
                missing.extend(new.map(|cell| match full_label(&cell.values) {
                    label if label.is_empty() => format!("{} without a sweep", scenario.name),
                    label => format!("{} at {label}", scenario.name),
                }));
            }
        }
    }
    missing
}

/// Scenarios of a run with their numbers of cells: `skew (10 cells), hello (1 cell)`.
fn contents(summary: &Summary) -> String {
    let text = |scenario: &ScenarioSummary| {
        format!("{} ({})", scenario.name, count(scenario.cells.len(), "cell"))
    };
    match summary.scenarios.len() {
        0 => "none".to_owned(),
        _ => summary
            .scenarios
            .iter()
            .map(text)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Compares the figures of a cell.
struct Comparer<'a> {
    runs: [&'a Run<'a>; 2],
    /// Confidence of each single interval.
    confidence: f64,
    /// See [`Comparison::least_ms`].
    least_ms: f64,
}

impl Comparer<'_> {
    fn cell(&self, common: &CommonCell<'_>) -> CellComparison {
        CellComparison {
            values: common.cells[0].values.clone(),
            rate: self.rate(common),
            connected: self.time(common, 0),
            returned: self.time(common, 1),
        }
    }

    /// Results of the pairs: trials with the same index and seed in both runs.
    fn paired_results(&self, common: &CommonCell<'_>) -> Vec<[TrialResult; 2]> {
        let trials = [0, 1].map(|run| self.runs[run].trials.get(&common.indices[run]));
        let [Some(first), Some(second)] = trials else { return Vec::new() };
        first
            .iter()
            .filter_map(|(trial, &one)| Some([one, *second.get(trial)?]))
            .collect()
    }

    fn rate(&self, common: &CommonCell<'_>) -> RateComparison {
        let [first, second] = common.cells.map(|cell| (cell.successes, cell.rated()));
        let pairs: Pairs = self
            .paired_results(common)
            .into_iter()
            .map(|[one, other]| (one.is_success, other.is_success))
            .collect();
        let difference = difference::of_rates(first, second, pairs, self.confidence);
        RateComparison {
            successes: [first.0, second.0],
            trials: [first.1, second.1],
            pairs: pairs.count(),
            difference,
            change: change(difference, 0.0, Change::Better, Change::Worse),
        }
    }

    /// Compares the medians of a time; `figure` is its index in [`TrialResult::times_ms`].
    fn time(&self, common: &CommonCell<'_>, figure: usize) -> TimeComparison {
        let medians: [Option<Median>; 2] = [0, 1].map(|run| {
            let trials = self.runs[run].trials.get(&common.indices[run])?.values();
            let mut sample: Vec<_> = trials.filter_map(|trial| trial.times_ms[figure]).collect();
            sample.sort_by(f64::total_cmp);
            let bounds = quantile_bounds(&sample, 0.5, self.confidence);
            Some((quantile(&sample, 0.5)?, bounds, sample.len() as u64))
        });
        let difference = match medians {
            [Some(first), Some(second)] if common.has_equal_rtts() => {
                let are_above_median = |[one, other]: [TrialResult; 2]| {
                    Some((one.times_ms[figure]? > first.0, other.times_ms[figure]? > second.0))
                };
                let pairs = self
                    .paired_results(common)
                    .into_iter()
                    .filter_map(are_above_median)
                    .collect();
                Some(difference::of_medians(first, second, pairs))
            }
            _ => None,
        };
        TimeComparison {
            p50_ms: medians.map(|median| median.map(|(value, ..)| value)),
            difference,
            change: change(difference, self.least_ms, Change::Worse, Change::Better),
        }
    }
}

/// Result for a difference: `more` if its interval lies above `least`, `less` if below `-least`.
fn change(difference: Option<Difference>, least: f64, more: Change, less: Change) -> Change {
    match difference {
        None | Some(Difference { low: None, high: None, .. }) => Change::NotComparable,
        Some(Difference { low: Some(low), .. }) if low > least => more,
        Some(Difference { high: Some(high), .. }) if high < -least => less,
        Some(_) => Change::NoDifferenceShown,
    }
}
