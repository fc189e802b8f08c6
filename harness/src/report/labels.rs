//! Names of the cells and the trials of a scenario in reports.

use std::{cmp::Reverse, collections::BTreeMap, ops::Range, path::Path};

use serde_json::Value;

use crate::{
    event::{Assignment, Filter, PrecisionPlan},
    report::{
        grid::distinct,
        summary::{CauseSummary, CellSummary, ScenarioSummary, Unexpected},
        text::{cell_label, short_names, value},
    },
    scenario::same_value,
    ui::{plural::count, shell::quoted_path},
};

/// A scenario with the names of its cells and trials.
#[derive(Debug)]
pub(super) struct Labels<'a> {
    /// The scenario.
    pub scenario: &'a ScenarioSummary,
    /// Short names of the swept paths, in their order.
    pub names: Vec<String>,
    index: usize,
}

/// A cause in all cells of a scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct CauseCount<'a> {
    /// Number of trials.
    pub count: u64,
    /// Index of the first cell that has the cause.
    pub cell: usize,
    /// The cause in that cell.
    pub first: &'a CauseSummary,
}

impl<'a> Labels<'a> {
    /// The labels of the scenario with this index in the run.
    pub(super) fn new(index: usize, scenario: &'a ScenarioSummary) -> Self {
        let paths: Vec<_> = scenario
            .cells
            .first()
            .into_iter()
            .flat_map(|cell| &cell.values)
            .map(|assignment| assignment.path.as_str())
            .collect();
        Self { scenario, names: short_names(&paths), index }
    }

    /// The values of a cell: `rule = rolling, clock_offset_s = 40`; empty without a sweep.
    pub(super) fn cell(&self, cell: usize) -> String {
        match self.scenario.cells.get(cell) {
            Some(cell) => cell_label(&cell.values, &self.names),
            None => String::new(),
        }
    }

    /// ` at rule = rolling`; empty without a sweep.
    pub(super) fn at_cell(&self, cell: usize) -> String {
        match self.cell(cell) {
            label if label.is_empty() => label,
            label => format!(" at {label}"),
        }
    }

    /// Name of a trial for `harness replay`: the indices of scenario, cell and trial.
    pub(super) fn trial(&self, cell: usize, trial: u32) -> String {
        format!("{}.{cell}.{trial}", self.index)
    }

    /// Trials of a cell that went against theory: their number, in which way, and the first ones.
    pub(super) fn against_theory(&self, cell: usize) -> Vec<(u64, &'static str, String)> {
        let Some(CellSummary { theory, .. }) = self.scenario.cells.get(cell) else {
            return Vec::new();
        };
        let both = [
            ("failed, should have succeeded", &theory.unexpected_failures),
            ("succeeded, should have failed", &theory.unexpected_successes),
        ];
        let some = both
            .into_iter()
            .filter(|(_, unexpected)| unexpected.count > 0);
        some.map(|(what, unexpected)| (unexpected.count, what, self.trials(cell, unexpected)))
            .collect()
    }

    /// Names of the listed trials: `trials 0.3.1, 0.3.7, …`.
    fn trials(&self, cell: usize, unexpected: &Unexpected) -> String {
        let listed: Vec<_> = unexpected
            .trials
            .iter()
            .map(|&trial| self.trial(cell, trial))
            .collect();
        let noun = if listed.len() == 1 { "trial" } else { "trials" };
        let more = if unexpected.count > listed.len() as u64 { ", …" } else { "" };
        format!("{noun} {}{more}", listed.join(", "))
    }

    /// Number of planned trials: `200 trials in each of 18 cells`.
    pub(super) fn how_many_trials(&self) -> String {
        let trials = match self.scenario.precision {
            None => count(u64::from(self.scenario.trials_per_cell), "trial"),
            Some(PrecisionPlan { half_width, trials_max }) => {
                let least = self.scenario.trials_per_cell;
                let is_wide = |cell: &&CellSummary| {
                    (cell.interval.high - cell.interval.low) / 2.0 > half_width
                };
                let missed = match self.scenario.cells.iter().filter(is_wide).count() {
                    0 => String::new(),
                    cells => format!(" (not reached in {})", count(cells, "cell")),
                };
                format!("precision {half_width} by {least} to {trials_max} trials{missed}")
            }
        };
        match self.scenario.cells.len() {
            1 => trials,
            cells => format!("{trials} in each of {cells} cells"),
        }
    }

    /// Condition that selects the cells of an expectation: `rule = rolling, loss = 0 or 0.1`, or
    /// `a.nat neither none nor home` where that is shorter; empty for all cells.
    pub(super) fn condition(&self, filters: &[Filter]) -> String {
        let conditions = filters
            .iter()
            .filter_map(|filter| self.condition_on(filter));
        conditions.collect::<Vec<_>>().join(", ")
    }

    fn condition_on(&self, Filter { path, values: accepted }: &Filter) -> Option<String> {
        let cells = &self.scenario.cells;
        let paths = cells.first().map_or(&[][..], |cell| &cell.values);
        let Some(index) = paths.iter().position(|assignment| assignment.path == *path) else {
            return Some(equation(path, accepted));
        };
        let name = &self.names[index];
        let is_accepted = |value: &&Value| accepted.iter().any(|other| same_value(other, value));
        let (selected, others): (Vec<_>, Vec<_>) =
            distinct(cells, index).into_iter().partition(is_accepted);
        match (&selected[..], &others[..]) {
            ([], _) => Some(equation(name, accepted)),
            (_, []) => None,
            ([_, _, ..], [other]) => Some(format!("{name} not {}", value(other))),
            _ if others.len() < selected.len() => {
                Some(format!("{name} neither {}", joined(others, " nor ")))
            }
            _ => Some(equation(name, selected)),
        }
    }

    /// The causes of all cells together, most frequent first.
    pub(super) fn causes(&self, of: fn(&CellSummary) -> &Vec<CauseSummary>) -> Vec<CauseCount<'a>> {
        let mut by_kind: BTreeMap<&str, CauseCount<'a>> = BTreeMap::new();
        for (cell, summary) in self.scenario.cells.iter().enumerate() {
            for first in of(summary) {
                by_kind
                    .entry(&first.kind)
                    .or_insert(CauseCount { count: 0, cell, first })
                    .count += first.count;
            }
        }
        let mut causes: Vec<_> = by_kind.into_values().collect();
        causes.sort_by_key(|cause| Reverse(cause.count));
        causes
    }

    /// The trial to look at first: one that failed against theory, otherwise one that succeeded
    /// against theory, otherwise any that failed.
    pub(super) fn example_trial(&self) -> Option<String> {
        self.example_trial_among(0..self.scenario.cells.len())
    }

    /// The trial of a cell to look at first.
    pub(super) fn example_trial_of(&self, cell: usize) -> Option<String> {
        self.example_trial_among(cell..cell + 1)
    }

    fn example_trial_among(&self, cells: Range<usize>) -> Option<String> {
        let first = |of: fn(&CellSummary) -> Option<u32>| {
            cells
                .clone()
                .find_map(|index| Some((index, of(self.scenario.cells.get(index)?)?)))
        };
        first(|cell| cell.theory.unexpected_failures.trials.first().copied())
            .or_else(|| first(|cell| cell.theory.unexpected_successes.trials.first().copied()))
            .or_else(|| first(|cell| Some(cell.failure_causes.first()?.trial)))
            .map(|(cell, trial)| self.trial(cell, trial))
    }
}

/// `loss = 0 or 0.1`
fn equation<'v>(name: &str, values: impl IntoIterator<Item = &'v Value>) -> String {
    format!("{name} = {}", joined(values, " or "))
}

fn joined<'v>(values: impl IntoIterator<Item = &'v Value>, between: &str) -> String {
    values
        .into_iter()
        .map(value)
        .collect::<Vec<_>>()
        .join(between)
}

/// Label of swept values with their whole paths: `punch.rule=rolling, peer.b.clock_offset_s=5`.
pub(super) fn full_label(values: &[Assignment]) -> String {
    let part =
        |assignment: &Assignment| format!("{}={}", assignment.path, value(&assignment.value));
    values.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// The command that runs a trial again and shows its packets.
pub(super) fn replay(folder: Option<&Path>, trial: &str) -> String {
    let run = folder.map_or_else(|| "RUN".to_owned(), quoted_path);
    format!("harness replay {run} {trial}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        fixture::{cell, scenario, started},
        tally::summarize,
    };

    #[test]
    fn a_condition_is_told_by_what_it_leaves_out_where_that_is_less() {
        let cells = [0, 1, 2, 3, 4].map(|loss| cell(&[("wan.loss", loss.into())]));
        let events = [started(vec![scenario("home", 1, cells.to_vec())])];
        let summary = summarize(&events).unwrap();
        let labels = Labels::new(0, &summary.scenarios[0]);
        let told = |path: &str, values: &[f64]| {
            let accepted = values.iter().map(|&value| value.into());
            labels.condition(&[Filter { path: path.to_owned(), values: accepted.collect() }])
        };
        assert_eq!(told("wan.loss", &[0.0]), "loss = 0");
        assert_eq!(told("wan.loss", &[0.0, 4.0]), "loss = 0 or 4");
        assert_eq!(told("wan.loss", &[0.0, 4.0, 1.0]), "loss neither 2 nor 3");
        assert_eq!(told("wan.loss", &[0.0, 4.0, 1.0, 2.0]), "loss not 3");
        assert_eq!(told("wan.loss", &[0.0, 4.0, 1.0, 2.0, 3.0]), "");
        // A value that a filter of the command line left out does not count.
        assert_eq!(told("wan.loss", &[0.0, 9.0]), "loss = 0");
        assert_eq!(told("wan.loss", &[8.0, 9.0]), "loss = 8.0 or 9.0");
        assert_eq!(told("wan.delay_ms", &[5.0]), "wan.delay_ms = 5.0");
    }
}
