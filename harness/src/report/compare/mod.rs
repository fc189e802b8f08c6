//! Two runs side by side, cell by cell: is the second one better, worse, or not shown to differ?
//!
//! A difference is judged by its interval alone: shown if the interval lies wholly on one side. With
//! a hundred cells, five of a hundred 95 % intervals would lie so by mere chance; therefore each
//! interval is as wide as it takes for all of them together to hold with 95 % (Bonferroni). Trials
//! that both runs have, with the same seed, are pairs: how far they go together is measured, and
//! narrows the interval. Trials with errors of the bench are in no figure, and times are those of
//! successes.

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

/// Medians that differ by less are not told apart: that is about as exact as the bench itself is,
/// in milliseconds.
pub(crate) const MIN_MS: f64 = 1.0;

/// What a comparison shows of the second run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// There is nothing to compare.
    NotComparable,
    /// The interval of the difference contains none, or too small a one.
    NoDifferenceShown,
    /// A higher rate, a shorter time.
    Better,
    /// A lower rate, a longer time.
    Worse,
}

/// A run that is compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunLabel {
    /// Version of the harness that ran it.
    pub harness: String,
    /// Start of the run, in Unix seconds.
    pub started_unix_s: f64,
    /// How many labs could stand at once: times depend on it.
    pub jobs: usize,
    /// Whether it came to its end: the rates of one that did not are too high.
    pub state: RunState,
}

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The two runs; differences are the second less the first.
    pub runs: [RunLabel; 2],
    /// How often all intervals together contain the true differences.
    pub confidence: f64,
    /// How many differences were judged.
    pub differences: usize,
    /// Smaller differences of medians are not told apart, in milliseconds.
    pub least_ms: f64,
    /// The worst of all.
    pub verdict: Change,
    /// Scenarios of both runs.
    pub scenarios: Vec<ScenarioComparison>,
    /// Scenarios, and cells of common scenarios, that only one of the runs has.
    pub only_in: [Vec<String>; 2],
}

/// A scenario of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ScenarioComparison {
    /// Its name, by which it was found.
    pub name: String,
    /// Its seeds: the same trials were run if they are equal, and if the scenario is the same.
    pub seeds: [u64; 2],
    /// Whether the text of the scenario is the same; absent if one run does not have it.
    pub same_text: Option<bool>,
    /// Cells of both, by their swept values.
    pub cells: Vec<CellComparison>,
}

/// A cell of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CellComparison {
    /// Swept path and its value.
    pub values: Vec<Assignment>,
    /// Success rates.
    pub rate: RateComparison,
    /// Medians of the times until connected.
    pub connected: TimeComparison,
    /// Medians of the times until bytes may flow.
    pub returned: TimeComparison,
}

impl CellComparison {
    /// What all its figures show.
    fn changes(&self) -> [Change; 3] {
        [self.rate.change, self.connected.change, self.returned.change]
    }
}

/// Two success rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RateComparison {
    /// Successes in the two runs.
    pub successes: [u64; 2],
    /// Trials with a verdict in the two runs.
    pub trials: [u64; 2],
    /// Trials with a verdict that are the same in both: their seeds are.
    pub pairs: u64,
    /// Second less first; absent if one has no trials.
    pub difference: Option<Difference>,
    /// What it shows.
    pub change: Change,
}

/// Two medians, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TimeComparison {
    /// The medians in the two runs, where there were successes that tell.
    pub p50_ms: [Option<f64>; 2],
    /// Second less first; absent if one has no median, or if the delays of the cells differ.
    pub difference: Option<Difference>,
    /// What it shows.
    pub change: Change,
}

/// Runs that have nothing in common, or are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompareError {
    /// The events of one are not those of a run.
    #[error("{run} run: {source}", run = if *.second { "second" } else { "first" })]
    Events {
        /// Whether it is the second.
        second: bool,
        /// Why.
        source: TallyError,
    },
    /// No cell is in both.
    #[error(
        "the runs have no cell in common, so nothing can be compared: the first has {first}, the \
         second {second}; cells are matched by the scenario's name and their swept values"
    )]
    NothingInCommon {
        /// What the first has.
        first: String,
        /// What the second has.
        second: String,
    },
}

/// Compares the runs with these events.
///
/// # Errors
///
/// If one of them is no run, or if they have no cell in common.
pub(crate) fn compare(
    first: &[Event],
    second: &[Event],
    least_ms: f64,
) -> Result<Comparison, CompareError> {
    let [first, second] = [Run::new(first, false)?, Run::new(second, true)?];
    let pairs = pairs(&first.summary, &second.summary);
    let figures: usize = pairs
        .iter()
        .map(|pair| 1 + 2 * usize::from(pair.cells[0].rtt_ms == pair.cells[1].rtt_ms))
        .sum();
    if pairs.is_empty() {
        let [first, second] = [&first, &second].map(|run| contents(&run.summary));
        return Err(CompareError::NothingInCommon { first, second });
    }
    #[expect(clippy::cast_precision_loss, reason = "not so many cells")]
    let each = 1.0 - (1.0 - CONFIDENCE) / figures as f64;
    let judge = Judge { runs: [&first, &second], confidence: each, least_ms };
    let mut scenarios: Vec<ScenarioComparison> = Vec::new();
    for pair in &pairs {
        let cell = judge.cell(pair);
        match scenarios
            .iter_mut()
            .find(|scenario| scenario.name == *name(pair))
        {
            Some(scenario) => scenario.cells.push(cell),
            None => scenarios.push(ScenarioComparison {
                name: name(pair).clone(),
                seeds: pair.scenarios.map(|scenario| scenario.seed),
                same_text: match [&first, &second].map(|run| run.texts.get(name(pair))) {
                    [Some(first), Some(second)] => Some(first == second),
                    _ => None,
                },
                cells: vec![cell],
            }),
        }
    }
    let changes = scenarios
        .iter()
        .flat_map(|it| &it.cells)
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

/// A run and how its trials went.
struct Run<'a> {
    summary: Summary,
    /// Trials with a verdict, by scenario and cell.
    trials: BTreeMap<(usize, usize), TrialResults<'a>>,
    /// What the scenarios say, by their names.
    texts: BTreeMap<String, String>,
}

/// How the trials of a cell went, by their indices and seeds.
type TrialResults<'a> = BTreeMap<(u32, &'a str), TrialResult>;

/// How a trial went.
#[derive(Debug, Clone, Copy)]
struct TrialResult {
    is_success: bool,
    /// Times until connected and returned, of a success that has them.
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
                    texts
                        .extend(plans.filter_map(|it| Some((it.name.clone(), it.source.clone()?))));
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
        let Summary { harness, started_unix_s, jobs, state, .. } = &self.summary;
        let (started_unix_s, jobs, state) = (*started_unix_s, *jobs, *state);
        RunLabel { harness: harness.clone(), started_unix_s, jobs, state }
    }
}

/// A cell of both runs, and where it is.
struct Pair<'a> {
    scenarios: [&'a ScenarioSummary; 2],
    cells: [&'a CellSummary; 2],
    places: [(usize, usize); 2],
}

fn name<'a>(pair: &Pair<'a>) -> &'a String {
    &pair.scenarios[0].name
}

fn pairs<'a>(first: &'a Summary, second: &'a Summary) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for (index, scenario) in first.scenarios.iter().enumerate() {
        let found = second
            .scenarios
            .iter()
            .position(|other| other.name == scenario.name);
        let Some(other_index) = found else { continue };
        let other = &second.scenarios[other_index];
        let labels: BTreeMap<String, usize> = other
            .cells
            .iter()
            .enumerate()
            .map(|(index, cell)| (key(cell), index))
            .collect();
        for (place, cell) in scenario.cells.iter().enumerate() {
            if let Some(&other_place) = labels.get(&key(cell)) {
                pairs.push(Pair {
                    scenarios: [scenario, other],
                    cells: [cell, &other.cells[other_place]],
                    places: [(index, place), (other_index, other_place)],
                });
            }
        }
    }
    pairs
}

/// The swept values of a cell whatever their order, with 5 and 5.0 the same.
fn key(cell: &CellSummary) -> String {
    let value = |value: &serde_json::Value| match value.as_f64() {
        Some(number) => number.to_string(),
        None => value.to_string(),
    };
    let mut parts: Vec<_> = cell
        .values
        .iter()
        .map(|it| format!("{}={}", it.path, value(&it.value)))
        .collect();
    parts.sort();
    parts.join("\n")
}

/// What a run has that the other has not.
fn missing(run: &Summary, other: &Summary) -> Vec<String> {
    let mut missing = Vec::new();
    for scenario in &run.scenarios {
        match other.scenarios.iter().find(|it| it.name == scenario.name) {
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

/// `skew (10 cells), hello (1 cell)`.
fn contents(summary: &Summary) -> String {
    let scenario =
        |it: &ScenarioSummary| format!("{} ({})", it.name, count(it.cells.len(), "cell"));
    match summary.scenarios.len() {
        0 => "none".to_owned(),
        _ => summary
            .scenarios
            .iter()
            .map(scenario)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

struct Judge<'a> {
    runs: [&'a Run<'a>; 2],
    /// Of each interval.
    confidence: f64,
    least_ms: f64,
}

impl Judge<'_> {
    fn cell(&self, pair: &Pair<'_>) -> CellComparison {
        CellComparison {
            values: pair.cells[0].values.clone(),
            rate: self.rate(pair),
            connected: self.time(pair, 0),
            returned: self.time(pair, 1),
        }
    }

    /// The results of the trials that both cells have.
    fn common(&self, pair: &Pair<'_>) -> Vec<[TrialResult; 2]> {
        let [first, second] = [0, 1].map(|run| self.runs[run].trials.get(&pair.places[run]));
        let (Some(first), Some(second)) = (first, second) else { return Vec::new() };
        first
            .iter()
            .filter_map(|(trial, &one)| Some([one, *second.get(trial)?]))
            .collect()
    }

    fn rate(&self, pair: &Pair<'_>) -> RateComparison {
        let [first, second] = pair.cells.map(|cell| (cell.successes, cell.rated()));
        let common = self.common(pair).into_iter();
        let pairs: Pairs = common
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

    fn time(&self, pair: &Pair<'_>, figure: usize) -> TimeComparison {
        let medians: [Option<Median>; 2] = [0, 1].map(|run| {
            let trials = self.runs[run].trials.get(&pair.places[run])?.values();
            let mut sample: Vec<_> = trials.filter_map(|trial| trial.times_ms[figure]).collect();
            sample.sort_by(f64::total_cmp);
            let bounds = quantile_bounds(&sample, 0.5, self.confidence);
            Some((quantile(&sample, 0.5)?, bounds, sample.len() as u64))
        });
        // Other delays give other times, whatever the subject does.
        let alike = pair.cells[0].rtt_ms == pair.cells[1].rtt_ms;
        let difference = match medians {
            [Some(first), Some(second)] if alike => {
                let common = self.common(pair).into_iter();
                let is_slow = |[one, other]: [TrialResult; 2]| {
                    Some((one.times_ms[figure]? > first.0, other.times_ms[figure]? > second.0))
                };
                Some(difference::of_medians(first, second, common.filter_map(is_slow).collect()))
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

/// What a difference shows: `more` or `less` if its interval lies beyond `least` on that side.
fn change(difference: Option<Difference>, least: f64, more: Change, less: Change) -> Change {
    match difference {
        None | Some(Difference { low: None, high: None, .. }) => Change::NotComparable,
        Some(Difference { low: Some(low), .. }) if low > least => more,
        Some(Difference { high: Some(high), .. }) if high < -least => less,
        Some(_) => Change::NoDifferenceShown,
    }
}
