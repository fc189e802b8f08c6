//! Text for an expectation: measured value, bound, and what to do if it is inconclusive.

use super::{allowance::trials_to_decide, measured};
use crate::{
    report::{
        labels::Labels,
        summary::{CellSummary, ExpectationSummary, JudgedCell, Verdict},
    },
    scenario::Criterion,
    ui::plural::count,
};

/// Parts of the text for an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct ExpectationText {
    /// Verdict on the cell, or on all cells.
    pub verdict: Verdict,
    /// Measured value, in the cell that decides or in all cells.
    pub measured: String,
    /// Criterion, such as `>= 0.95`.
    pub expected: String,
    /// Cells to which the expectation applies; empty for all.
    pub condition: String,
    /// The deciding cell, and what would decide an inconclusive expectation; may be empty.
    pub remark: String,
    /// Index of the cell that decides, if there is one.
    pub cell: Option<usize>,
}

impl ExpectationText {
    /// Text for an expectation on all its cells.
    pub(in crate::report) fn of(expectation: &ExpectationSummary, labels: &Labels<'_>) -> Self {
        let worst = worst_cell(expectation, &labels.scenario.cells);
        let (measured, remark) = match worst {
            None => ("nothing measured".to_owned(), "No cell of the sweep has these values".into()),
            Some(_) if criterion(expectation) == Criterion::Theory => {
                on_theory(&cells_of(expectation, labels))
            }
            Some(worst) => on_bound(expectation, worst, labels),
        };
        Self {
            verdict: expectation.verdict,
            measured,
            expected: expectation.expected.clone(),
            condition: labels.condition(&expectation.filter),
            remark,
            cell: worst.map(|worst| worst.cell),
        }
    }

    /// Text for an expectation on one cell; `None` if the cell has no verdict.
    pub(in crate::report) fn in_cell(
        expectation: &ExpectationSummary,
        at: JudgedCell,
        cell: &CellSummary,
    ) -> Option<Self> {
        let verdict = at.verdict?;
        let (measured, remark) = if criterion(expectation) == Criterion::Theory {
            on_theory(&[cell])
        } else if verdict == Verdict::Inconclusive {
            (measured_in(expectation, at, cell), how_to_decide(expectation, at, cell))
        } else {
            (measured_in(expectation, at, cell), String::new())
        };
        let (expected, condition) = (expectation.expected.clone(), String::new());
        Some(Self { verdict, measured, expected, condition, remark, cell: Some(at.cell) })
    }

    /// The text without the remark:
    /// `197/200 98.5 % [95.7–99.5] succeeded, expected >= 0.95 where rule = rolling`.
    pub(in crate::report) fn sentence(&self) -> String {
        let Self { measured, expected, condition, .. } = self;
        let bound = if expected == "theory" { "of all" } else { expected };
        let filter =
            if condition.is_empty() { String::new() } else { format!(" where {condition}") };
        format!("{measured}, expected {bound}{filter}")
    }
}

fn criterion(expectation: &ExpectationSummary) -> Criterion {
    expectation
        .expected
        .parse()
        .expect("the tally refuses what is no criterion")
}

fn cells_of<'a>(expectation: &ExpectationSummary, labels: &Labels<'a>) -> Vec<&'a CellSummary> {
    let cells = &labels.scenario.cells;
    expectation
        .cells
        .iter()
        .filter_map(|judged| cells.get(judged.cell))
        .collect()
}

/// Measured value and remark for `theory`, from the trials that theory decides.
fn on_theory(cells: &[&CellSummary]) -> (String, String) {
    let decided: u64 = cells.iter().map(|cell| cell.theory.decided()).sum();
    let unexpected: u64 = cells.iter().map(|cell| cell.theory.unexpected()).sum();
    let measured = format!("{} of {} as theory says", decided - unexpected, trials(decided));
    let mut remarks = Vec::from_iter(left_open(cells));
    let without = cells.iter().filter(|cell| cell.rated() == 0).count();
    if without > 0 {
        remarks.push(format!("There is no result of {}", count(without, "cell")));
    }
    (measured, remarks.join(". "))
}

/// Remark on the trials that theory does not decide, if there are any.
fn left_open(cells: &[&CellSummary]) -> Option<String> {
    let open: u64 = cells.iter().map(|cell| cell.theory.depends).sum();
    let decided: u64 = cells.iter().map(|cell| cell.theory.decided()).sum();
    match (open, decided) {
        (0, _) => None,
        (open, 0) => Some(format!("Theory leaves all {} open", trials(open))),
        (open, _) => Some(format!("Theory leaves {} open", count(open, "more trial"))),
    }
}

/// Measured value and remark for a bound, from the worst cell.
fn on_bound(
    expectation: &ExpectationSummary,
    worst: JudgedCell,
    labels: &Labels<'_>,
) -> (String, String) {
    let Some(cell) = labels.scenario.cells.get(worst.cell) else { return Default::default() };
    let mut remarks = Vec::new();
    let all = expectation
        .cells
        .iter()
        .filter(|judged| judged.verdict.is_some())
        .count();
    if all > 1 {
        let alike = expectation
            .cells
            .iter()
            .filter(|judged| judged.verdict == worst.verdict)
            .count();
        let verb = match (worst.verdict, alike) {
            (Some(Verdict::Pass), 1) => "passes",
            (Some(Verdict::Pass), _) => "pass",
            (Some(Verdict::Fail), 1) => "fails",
            (Some(Verdict::Fail), _) => "fail",
            (Some(Verdict::Inconclusive) | None, 1) => "is inconclusive",
            (Some(Verdict::Inconclusive) | None, _) => "are inconclusive",
        };
        let at_cell = labels.at_cell(worst.cell);
        let example = if alike == 1 { "" } else { " the worst" };
        remarks.push(format!("{alike} of {all} cells {verb},{example}{at_cell}"));
    }
    if worst.verdict == Some(Verdict::Inconclusive) {
        remarks.push(how_to_decide(expectation, worst, cell));
    }
    if matches!(criterion(expectation), Criterion::AsTheorySays(_)) {
        remarks.extend(left_open(&cells_of(expectation, labels)));
    }
    (measured_in(expectation, worst, cell), remarks.join(". "))
}

/// Value measured in a cell, in the terms of the expectation.
fn measured_in(expectation: &ExpectationSummary, at: JudgedCell, cell: &CellSummary) -> String {
    measured::text(&criterion(expectation), &at, cell)
}

fn trials(number: u64) -> String {
    count(number, "trial")
}

/// The cell that decides an expectation: that with the worst verdict, then with the value farthest
/// on the wrong side of the bound; the first of equal cells.
fn worst_cell(expectation: &ExpectationSummary, cells: &[CellSummary]) -> Option<JudgedCell> {
    let upper_bound = expectation.expected.contains('<');
    let badness = |judged: &JudgedCell| {
        let rate = cells.get(judged.cell).and_then(|cell| cell.rate);
        let figure = judged
            .measured
            .map(|measured| measured.value)
            .or(rate)
            .unwrap_or(0.0);
        if upper_bound { figure } else { -figure }
    };
    let worse = |one: &&JudgedCell, other: &&JudgedCell| {
        let by_verdict = one.verdict.cmp(&other.verdict);
        by_verdict
            .then(badness(one).total_cmp(&badness(other)))
            .then(other.cell.cmp(&one.cell))
    };
    expectation.cells.iter().max_by(worse).copied()
}

/// Remark on an expectation that is inconclusive in a cell: the reason, or what would decide it.
fn how_to_decide(expectation: &ExpectationSummary, at: JudgedCell, cell: &CellSummary) -> String {
    let is_measured = at.measured.is_some();
    if cell.trials == 0 {
        return "No trial was run there".to_owned();
    }
    if cell.has_only_errors() {
        return "Every trial there ended in an error of the bench".to_owned();
    }
    let criterion = criterion(expectation);
    if matches!(criterion, Criterion::Time(..)) && cell.successes > 0 && !is_measured {
        return "What runs there does not report it, and packets do not tell it".to_owned();
    }
    let Criterion::Success(bound) = criterion else {
        return "More trials may decide it".to_owned();
    };
    let enough = trials_to_decide(bound, cell.successes, cell.rated());
    match enough {
        Some(enough) => {
            format!("The interval spans the bound: at this rate, --trials {enough} would decide it")
        }
        None => "The rate is at the bound: more trials at this rate would not decide it".to_owned(),
    }
}
