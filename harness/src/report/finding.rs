//! What an expectation says, and what was found: the measured value first.

use crate::{
    report::{
        judge::{Judgement, trials_to_decide},
        labels::Labels,
        measured,
        summary::{CellSummary, CellVerdict, ExpectationSummary},
        text::rate,
    },
    scenario::Criterion,
    words::count,
};

/// An expectation and what was measured, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Whether it holds.
    pub verdict: Judgement,
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

impl Finding {
    /// What was found of an expectation in all its cells.
    pub(super) fn of(expectation: &ExpectationSummary, labels: &Labels<'_>) -> Self {
        let worst = worst_cell(expectation, &labels.scenario.cells);
        let (measured, remark) = match worst {
            None => ("nothing measured".to_owned(), "no cell of the sweep has these values".into()),
            Some(_) if is_theory(expectation) => by_theory(expectation, &labels.scenario.cells),
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

    /// What was found of an expectation in one cell.
    pub(super) fn in_cell(
        expectation: &ExpectationSummary,
        at: CellVerdict,
        cell: &CellSummary,
    ) -> Self {
        let theory = &cell.theory;
        let measured = measured_in(expectation, at, cell);
        let (measured, remark) = if is_theory(expectation) {
            let decided = theory.decided();
            let measured =
                format!("{} of {} as theory says", decided - theory.otherwise(), trials(decided));
            (measured, String::new())
        } else if at.verdict == Judgement::Inconclusive {
            (measured, how_to_decide(expectation, at, cell))
        } else {
            (measured, String::new())
        };
        let (expected, condition) = (expectation.expected.clone(), String::new());
        let cell = Some(at.cell);
        Self { verdict: at.verdict, measured, expected, condition, remark, cell }
    }

    /// `197/200 98.5 % [95.7–99.5], expected >= 0.95 where rule = rolling`.
    pub(super) fn sentence(&self) -> String {
        let Self { measured, expected, condition, .. } = self;
        let condition =
            if condition.is_empty() { String::new() } else { format!(" where {condition}") };
        format!("{measured}, expected {expected}{condition}")
    }
}

fn is_theory(expectation: &ExpectationSummary) -> bool {
    expectation.expected == "theory"
}

fn by_theory(expectation: &ExpectationSummary, cells: &[CellSummary]) -> (String, String) {
    let (mut decided, mut otherwise, mut depends) = (0, 0, 0);
    for cell in expectation.cells.iter().filter_map(|it| cells.get(it.cell)) {
        decided += cell.theory.decided();
        otherwise += cell.theory.otherwise();
        depends += cell.theory.depends;
    }
    let measured = format!("{} of {} as theory says", decided - otherwise, trials(decided));
    let undecided = expectation.cells.iter().filter(|it| it.verdict == Judgement::Inconclusive);
    let remark = match (undecided.count(), depends) {
        (0, 0) => String::new(),
        (0, depends) => format!("{} more that theory does not decide", trials(depends)),
        (cells, _) => format!("in {} theory decided no trial", count(cells, "cell")),
    };
    (measured, remark)
}

fn by_rate(
    expectation: &ExpectationSummary,
    worst: CellVerdict,
    labels: &Labels<'_>,
) -> (String, String) {
    let Some(cell) = labels.scenario.cells.get(worst.cell) else { return Default::default() };
    let mut remarks = Vec::new();
    let all = expectation.cells.len();
    if all > 1 {
        let alike = expectation.cells.iter().filter(|it| it.verdict == worst.verdict).count();
        let verb = match (worst.verdict, alike) {
            (Judgement::Pass, 1) => "passes",
            (Judgement::Pass, _) => "pass",
            (Judgement::Fail, 1) => "fails",
            (Judgement::Fail, _) => "fail",
            (Judgement::Inconclusive, 1) => "is inconclusive",
            (Judgement::Inconclusive, _) => "are inconclusive",
        };
        let at_cell = labels.at_cell(worst.cell);
        let worst = if alike == 1 { "" } else { " the worst" };
        remarks.push(format!("{alike} of {all} cells {verb},{worst}{at_cell}"));
    }
    if worst.verdict == Judgement::Inconclusive {
        remarks.push(how_to_decide(expectation, worst, cell));
    }
    (measured_in(expectation, worst, cell), remarks.join(". "))
}

/// What was measured in a cell, in the terms of the expectation.
fn measured_in(expectation: &ExpectationSummary, at: CellVerdict, cell: &CellSummary) -> String {
    match expectation.expected.parse() {
        Ok(criterion) => measured::words(&criterion, &at, cell),
        Err(_) => rate(cell.successes, cell.judged()),
    }
}

fn trials(number: u64) -> String {
    count(number, "trial")
}

/// The cell that decides an expectation: the worst verdict, then the rate farthest on the wrong
/// side; the first of equals.
fn worst_cell(expectation: &ExpectationSummary, cells: &[CellSummary]) -> Option<CellVerdict> {
    let upper_bound = expectation.expected.contains('<');
    let badness = |verdict: &CellVerdict| {
        let rate = cells.get(verdict.cell).and_then(|cell| cell.rate);
        let figure = verdict.measured.map(|it| it.value).or(rate).unwrap_or(0.0);
        if upper_bound { figure } else { -figure }
    };
    let worse = |one: &&CellVerdict, other: &&CellVerdict| {
        let by_verdict = one.verdict.cmp(&other.verdict);
        by_verdict.then(badness(one).total_cmp(&badness(other))).then(other.cell.cmp(&one.cell))
    };
    expectation.cells.iter().max_by(worse).copied()
}

/// What to do about an expectation that the trials of the cell leave open.
fn how_to_decide(expectation: &ExpectationSummary, at: CellVerdict, cell: &CellSummary) -> String {
    let is_measured = at.measured.is_some();
    if cell.trials == 0 {
        return "No trial was run there".to_owned();
    }
    if cell.judged() == 0 {
        return "Every trial there ended in an error of the bench".to_owned();
    }
    let criterion = expectation.expected.parse().ok();
    if matches!(criterion, Some(Criterion::Time(..))) && cell.successes > 0 && !is_measured {
        return "What runs there does not report it, and packets do not tell it".to_owned();
    }
    if !matches!(criterion, None | Some(Criterion::Success(_))) {
        return "More trials may decide it".to_owned();
    }
    let enough =
        criterion.and_then(|criterion| trials_to_decide(&criterion, cell.successes, cell.judged()));
    match enough {
        Some(enough) => {
            format!("The interval spans the bound: at this rate, --trials {enough} would decide it")
        }
        None => "The rate is at the bound: more trials at this rate would not decide it".to_owned(),
    }
}
