//! What an expectation says, and what was found: the measured value first.

use super::{allowance::trials_to_decide, measured};
use crate::{
    report::{
        labels::Labels,
        summary::{CellSummary, ExpectationSummary, JudgedCell, Verdict},
    },
    scenario::Criterion,
    ui::plural::count,
};

/// An expectation and what was measured, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct ExpectationText {
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was measured: in the cell that decides, or in all.
    pub measured: String,
    /// What was expected: `>= 0.95`.
    pub expected: String,
    /// The cells that it is about; empty for all.
    pub condition: String,
    /// Where, and what would decide it; may be empty.
    pub remark: String,
    /// The cell that decides, if any does.
    pub cell: Option<usize>,
}

impl ExpectationText {
    /// What was found of an expectation in all its cells.
    pub(in crate::report) fn of(expectation: &ExpectationSummary, labels: &Labels<'_>) -> Self {
        let worst = worst_cell(expectation, &labels.scenario.cells);
        let (measured, remark) = match worst {
            None => ("nothing measured".to_owned(), "No cell of the sweep has these values".into()),
            Some(_) if criterion(expectation) == Criterion::Theory => {
                against_theory(&cells_of(expectation, labels))
            }
            Some(worst) => by_rate(expectation, worst, labels),
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

    /// What was found of an expectation in one cell; `None` where there was nothing to judge.
    pub(in crate::report) fn in_cell(
        expectation: &ExpectationSummary,
        at: JudgedCell,
        cell: &CellSummary,
    ) -> Option<Self> {
        let verdict = at.verdict?;
        let (measured, remark) = if criterion(expectation) == Criterion::Theory {
            against_theory(&[cell])
        } else if verdict == Verdict::Inconclusive {
            (measured_in(expectation, at, cell), how_to_decide(expectation, at, cell))
        } else {
            (measured_in(expectation, at, cell), String::new())
        };
        let (expected, condition) = (expectation.expected.clone(), String::new());
        Some(Self { verdict, measured, expected, condition, remark, cell: Some(at.cell) })
    }

    /// `197/200 98.5 % [95.7–99.5] succeeded, expected >= 0.95 where rule = rolling`.
    pub(in crate::report) fn sentence(&self) -> String {
        let Self { measured, expected, condition, .. } = self;
        let expected = if expected == "theory" { "of all" } else { expected };
        let condition =
            if condition.is_empty() { String::new() } else { format!(" where {condition}") };
        format!("{measured}, expected {expected}{condition}")
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
        .filter_map(|it| cells.get(it.cell))
        .collect()
}

/// How the trials went that theory decides, and how many there were of others.
fn against_theory(cells: &[&CellSummary]) -> (String, String) {
    let sum = |of: fn(&CellSummary) -> u64| cells.iter().map(|cell| of(cell)).sum::<u64>();
    let (decided, otherwise) = (sum(|it| it.theory.decided()), sum(|it| it.theory.unexpected()));
    let measured = format!("{} of {} as theory says", decided - otherwise, trials(decided));
    let mut remarks = Vec::from_iter(left_open(cells));
    let without = cells.iter().filter(|cell| cell.rated() == 0).count();
    if without > 0 {
        remarks.push(format!("There is no result of {}", count(without, "cell")));
    }
    (measured, remarks.join(". "))
}

/// The trials that theory does not decide, if there are any.
fn left_open(cells: &[&CellSummary]) -> Option<String> {
    let open: u64 = cells.iter().map(|cell| cell.theory.depends).sum();
    let decided: u64 = cells.iter().map(|cell| cell.theory.decided()).sum();
    match (open, decided) {
        (0, _) => None,
        (open, 0) => Some(format!("Theory leaves all {} open", trials(open))),
        (open, _) => Some(format!("Theory leaves {} open", count(open, "more trial"))),
    }
}

fn by_rate(
    expectation: &ExpectationSummary,
    worst: JudgedCell,
    labels: &Labels<'_>,
) -> (String, String) {
    let Some(cell) = labels.scenario.cells.get(worst.cell) else { return Default::default() };
    let mut remarks = Vec::new();
    let all = expectation
        .cells
        .iter()
        .filter(|it| it.verdict.is_some())
        .count();
    if all > 1 {
        let alike = expectation
            .cells
            .iter()
            .filter(|it| it.verdict == worst.verdict)
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
        let worst = if alike == 1 { "" } else { " the worst" };
        remarks.push(format!("{alike} of {all} cells {verb},{worst}{at_cell}"));
    }
    if worst.verdict == Some(Verdict::Inconclusive) {
        remarks.push(how_to_decide(expectation, worst, cell));
    }
    if matches!(criterion(expectation), Criterion::AsTheorySays(_)) {
        remarks.extend(left_open(&cells_of(expectation, labels)));
    }
    (measured_in(expectation, worst, cell), remarks.join(". "))
}

/// What was measured in a cell, in the terms of the expectation.
fn measured_in(expectation: &ExpectationSummary, at: JudgedCell, cell: &CellSummary) -> String {
    measured::words(&criterion(expectation), &at, cell)
}

fn trials(number: u64) -> String {
    count(number, "trial")
}

/// The cell that decides an expectation: the worst verdict, then the rate farthest on the wrong
/// side; the first of equals.
fn worst_cell(expectation: &ExpectationSummary, cells: &[CellSummary]) -> Option<JudgedCell> {
    let upper_bound = expectation.expected.contains('<');
    let badness = |verdict: &JudgedCell| {
        let rate = cells.get(verdict.cell).and_then(|cell| cell.rate);
        let figure = verdict.measured.map(|it| it.value).or(rate).unwrap_or(0.0);
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

/// What to do about an expectation that the trials of the cell leave open.
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
