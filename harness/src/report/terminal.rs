//! The report for people, in a terminal or a log of a CI job.
//!
//! For each scenario the question, the table of its cells, then what deserves attention: each
//! expectation with what was measured, trials against theory, the causes of failures, and
//! what the bench itself did wrong. The last line is the verdict on everything.

use std::{collections::BTreeMap, path::Path};

use crate::{
    event::PrecisionPlan,
    report::{
        judge::{Judgement, trials_to_decide},
        measured,
        style::{Ink, Style},
        summary::{
            CauseSummary, CellSummary, CellVerdict, ExpectationSummary, RunState, ScenarioSummary,
            Summary, Unexpected,
        },
        table::{self, ink, word},
        text::{cell_label, count, duration, paragraph, rate, rtt, short_names, value},
    },
    scenario::Criterion,
};

/// Kinds of cause, and cells, that are listed before `and n more`.
const MOST_LISTED: usize = 8;

/// The whole report; `folder` is where the run is kept, shown in the last line.
pub(crate) fn render(summary: &Summary, folder: Option<&Path>, style: Style) -> String {
    let mut out = String::new();
    for scenario in &summary.scenarios {
        out.push_str(&ScenarioReport::new(scenario, style).render());
        out.push('\n');
    }
    if summary.state != RunState::Finished {
        out.push_str(&paragraph("Incomplete: ", SURVIVORS, style.width));
        out.push('\n');
    }
    out.push_str(&last_line(summary, folder, style));
    style.encode(out)
}

/// Why the rates of a run that was cut short are to be read with care.
const SURVIVORS: &str = "trials that were still running are left out. A failure lasts longer than \
    a success, so that the rates are too high, and most so where few trials are over.";

/// One scenario and what its parts need in common.
struct ScenarioReport<'a> {
    scenario: &'a ScenarioSummary,
    style: Style,
    /// Short names of the swept paths, in their order.
    names: Vec<String>,
}

impl<'a> ScenarioReport<'a> {
    fn new(scenario: &'a ScenarioSummary, style: Style) -> Self {
        let paths = scenario.cells.first().map_or(&[][..], |cell| &cell.values);
        let paths: Vec<_> = paths.iter().map(|assignment| assignment.path.as_str()).collect();
        Self { scenario, style, names: short_names(&paths) }
    }

    fn render(&self) -> String {
        let sections = [
            self.expectations(),
            self.against_theory(),
            self.failures(),
            self.causes("Bench errors (in no rate)", |cell| &cell.error_causes),
            self.disturbances(),
        ];
        let mut out = self.heading();
        out.push('\n');
        out.push_str(&table::render(self.scenario, self.style));
        for section in sections.iter().filter(|section| !section.is_empty()) {
            out.push('\n');
            out.push_str(section);
        }
        out
    }

    fn heading(&self) -> String {
        let ScenarioSummary { name, question, seed, file, trials_per_cell, cells, .. } =
            self.scenario;
        let title = self.style.paint(Ink::Bold, name);
        let question = question.as_deref().unwrap_or_default();
        let mut out = match question {
            "" => title + "\n",
            // The escape sequences of the title would count as width.
            question => paragraph(&format!("{name}: "), question, self.style.width).replacen(
                name.as_str(),
                &title,
                1,
            ),
        };
        let mut facts = vec![file.clone(), format!("seed {seed}"), self.trials()];
        if *trials_per_cell > 0
            && cells.iter().any(|cell| cell.trials < u64::from(*trials_per_cell))
        {
            facts.push(match cells.iter().map(|cell| cell.trials).sum() {
                0 => "no trial run".to_owned(),
                run => format!("only {} run", trials(run)),
            });
        }
        if let Some(rtt_ms) = self.common_rtt_ms() {
            facts.push(format!("RTT {} ms", rtt(rtt_ms)));
        }
        let facts = paragraph("", &facts.join(" · "), self.style.width);
        out.extend(facts.lines().map(|line| self.style.paint(Ink::Faint, line) + "\n"));
        out
    }

    fn trials(&self) -> String {
        let trials = count(u64::from(self.scenario.trials_per_cell), "trial");
        let trials = match self.scenario.precision {
            None => trials,
            Some(PrecisionPlan { half_width, trials_max }) => {
                let least = self.scenario.trials_per_cell;
                format!("± {half_width} by {least} to {trials_max} trials")
            }
        };
        match self.scenario.cells.len() {
            1 => trials,
            cells => format!("{trials} in each of {cells} cells"),
        }
    }

    fn common_rtt_ms(&self) -> Option<f64> {
        let (first, rest) = self.scenario.cells.split_first()?;
        rest.iter().all(|cell| cell.rtt_ms == first.rtt_ms).then_some(first.rtt_ms)
    }

    fn title(&self, text: &str) -> String {
        self.style.paint(Ink::Bold, text) + "\n"
    }

    /// Where a trial belongs, by the values of its cell; empty if there is only one.
    fn at_cell(&self, index: usize) -> String {
        match self.scenario.cells.get(index) {
            Some(cell) if !cell.values.is_empty() => {
                format!(" at {}", cell_label(&cell.values, &self.names))
            }
            _ => String::new(),
        }
    }

    fn expectations(&self) -> String {
        let all: String =
            self.scenario.expectations.iter().map(|it| self.expectation(it)).collect();
        if all.is_empty() { all } else { self.title("Expectations") + &all }
    }

    fn expectation(&self, expectation: &ExpectationSummary) -> String {
        let verdict = word(expectation.verdict);
        let (measured, remark) = match worst_cell(expectation, &self.scenario.cells) {
            None => ("nothing measured".to_owned(), "no cell of the sweep has these values".into()),
            Some(_) if expectation.success == "theory" => self.measured_by_theory(expectation),
            Some(worst) => self.measured_rate(expectation, worst),
        };
        let filters = expectation.filter.iter().map(|filter| {
            let values: Vec<_> = filter.values.iter().map(value).collect();
            format!("{} = {}", self.name_of(&filter.path), values.join(" or "))
        });
        let filters: Vec<_> = filters.collect();
        let condition = if filters.is_empty() {
            String::new()
        } else {
            format!(" where {}", filters.join(", "))
        };
        let text = format!("{measured}, expected {}{condition}", expectation.success);
        let indent = format!("  {:14}", "");
        let mut out = paragraph(&format!("  {verdict:14}"), &text, self.style.width);
        if !remark.is_empty() {
            out.push_str(&paragraph(&indent, &remark, self.style.width));
        }
        out.replacen(verdict, &self.style.paint(ink(expectation.verdict), verdict), 1)
    }

    fn name_of<'b>(&'b self, path: &'b str) -> &'b str {
        let values = self.scenario.cells.first().map_or(&[][..], |cell| &cell.values);
        let position = values.iter().position(|assignment| assignment.path == path);
        position.and_then(|position| self.names.get(position)).map_or(path, String::as_str)
    }

    fn measured_by_theory(&self, expectation: &ExpectationSummary) -> (String, String) {
        let cells = expectation.cells.iter().filter_map(|it| self.scenario.cells.get(it.cell));
        let (mut decided, mut otherwise, mut depends) = (0, 0, 0);
        for cell in cells {
            decided += cell.theory.decided();
            otherwise += cell.theory.otherwise();
            depends += cell.theory.depends;
        }
        let measured = format!("{} of {} as theory says", decided - otherwise, trials(decided));
        let undecided = expectation.cells.iter().filter(|it| it.verdict == Judgement::Inconclusive);
        let remark = match (undecided.count(), depends) {
            (0, 0) => String::new(),
            (0, depends) => format!("{} more that theory does not decide", trials(depends)),
            (cells, _) => {
                format!("in {} theory decided no trial", count(cells as u64, "cell"))
            }
        };
        (measured, remark)
    }

    fn measured_rate(
        &self,
        expectation: &ExpectationSummary,
        worst: CellVerdict,
    ) -> (String, String) {
        let Some(cell) = self.scenario.cells.get(worst.cell) else { return Default::default() };
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
            let at_cell = self.at_cell(worst.cell);
            let worst = if alike == 1 { "" } else { " the worst" };
            remarks.push(format!("{alike} of {all} cells {verb},{worst}{at_cell}"));
        }
        if worst.verdict == Judgement::Inconclusive {
            remarks.push(how_to_decide(expectation, cell));
        }
        let measured = match expectation.success.parse() {
            Ok(criterion) => measured::words(&criterion, &worst, cell),
            Err(_) => rate(cell.successes, cell.judged()),
        };
        (measured, remarks.join(". "))
    }

    fn against_theory(&self) -> String {
        let mut lines = Vec::new();
        for (index, cell) in self.scenario.cells.iter().enumerate() {
            let theory = &cell.theory;
            let at_cell = self.at_cell(index);
            let mut add = |what: &str, unexpected: &Unexpected| {
                if unexpected.count > 0 {
                    let trials = listed(unexpected);
                    let text = format!("{what}: {trials}{at_cell}");
                    let first = format!("  {:>4} × ", unexpected.count);
                    lines.push(paragraph(&first, &text, self.style.width));
                }
            };
            add("failed, should have succeeded", &theory.unexpected_failures);
            add("succeeded, should have failed", &theory.unexpected_successes);
        }
        self.section("Against theory", lines)
    }

    fn causes(&self, title: &str, of: fn(&CellSummary) -> &Vec<CauseSummary>) -> String {
        let mut all: BTreeMap<&str, (u64, usize, &CauseSummary)> = BTreeMap::new();
        for (index, cell) in self.scenario.cells.iter().enumerate() {
            for cause in of(cell) {
                all.entry(&cause.kind).or_insert((0, index, cause)).0 += cause.count;
            }
        }
        let mut all: Vec<_> = all.into_values().collect();
        all.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
        let lines = all.into_iter().map(|(count, index, cause)| {
            let CauseSummary { kind, trial, evidence, .. } = cause;
            let example = format!("trial {trial}{}", self.at_cell(index));
            let text = match evidence.trim_end_matches('.') {
                "" => format!("{kind} ({example})"),
                evidence => format!("{kind}: {evidence} ({example})"),
            };
            paragraph(&format!("  {count:>4} × "), &text, self.style.width)
        });
        self.section(title, lines.collect())
    }

    fn failures(&self) -> String {
        let cells = &self.scenario.cells;
        let all: u64 = cells.iter().map(|cell| cell.failures).sum();
        let against: u64 = cells.iter().map(|cell| cell.theory.unexpected_failures.count).sum();
        let decided = cells.iter().any(|cell| cell.theory.decided() > 0);
        let title = match (decided, against) {
            (false, _) => format!("Failures: {all}"),
            (true, 0) => format!("Failures: {all}, none of them against theory"),
            (true, against) if against == all => format!("Failures: {all}, all against theory"),
            (true, against) => format!("Failures: {all}, {against} of them against theory"),
        };
        self.causes(&title, |cell| &cell.failure_causes)
    }

    fn disturbances(&self) -> String {
        let disturbed: u64 = self.scenario.cells.iter().map(|cell| cell.disturbed).sum();
        let title = format!("Disturbed by the bench: {} (in the rates)", trials(disturbed));
        self.causes(&title, |cell| &cell.disturbances)
    }

    fn section(&self, title: &str, mut lines: Vec<String>) -> String {
        if lines.is_empty() {
            return String::new();
        }
        let more = lines.len().saturating_sub(MOST_LISTED);
        lines.truncate(MOST_LISTED);
        if more > 0 {
            lines.push(format!("  and {more} more, see summary.json\n"));
        }
        self.title(title) + &lines.concat()
    }
}

fn trials(number: u64) -> String {
    count(number, "trial")
}

fn listed(unexpected: &Unexpected) -> String {
    let indices: Vec<_> = unexpected.trials.iter().map(u32::to_string).collect();
    let noun = if indices.len() == 1 { "trial" } else { "trials" };
    let more = if unexpected.count > indices.len() as u64 { ", …" } else { "" };
    format!("{noun} {}{more}", indices.join(", "))
}

/// The cell that decides an expectation: the worst verdict, then the rate farthest on the wrong
/// side; the first of equals.
fn worst_cell(expectation: &ExpectationSummary, cells: &[CellSummary]) -> Option<CellVerdict> {
    let upper_bound = expectation.success.contains('<');
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
fn how_to_decide(expectation: &ExpectationSummary, cell: &CellSummary) -> String {
    if cell.trials == 0 {
        return "No trial was run there".to_owned();
    }
    if cell.judged() == 0 {
        return "Every trial there ended in an error of the bench".to_owned();
    }
    let criterion = expectation.success.parse().ok();
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

fn last_line(summary: &Summary, folder: Option<&Path>, style: Style) -> String {
    let expectations: Vec<_> =
        summary.scenarios.iter().flat_map(|scenario| &scenario.expectations).collect();
    let number = |verdict| expectations.iter().filter(|it| it.verdict == verdict).count();
    let (failed, open) = (number(Judgement::Fail), number(Judgement::Inconclusive));
    let result = match (expectations.len(), failed, open) {
        (0, ..) => "nothing was expected".to_owned(),
        (all, 0, 0) => format!("{all} of {all} expectations met"),
        (all, 0, open) => format!("{open} of {all} expectations inconclusive"),
        (all, failed, 0) => format!("{failed} of {all} expectations failed"),
        (all, failed, open) => {
            format!("{failed} of {all} expectations failed, {open} inconclusive")
        }
    };
    let cells = || summary.scenarios.iter().flat_map(|scenario| &scenario.cells);
    let mut facts = vec![result];
    let only_errors = cells().filter(|cell| cell.trials > 0 && cell.judged() == 0).count();
    if only_errors > 0 {
        facts.push(format!("{} with errors only", count(only_errors as u64, "cell")));
    }
    let run = trials(cells().map(|cell| cell.trials).sum());
    facts.push(match (summary.state, summary.elapsed_s) {
        (RunState::Finished, Some(elapsed_s)) => format!("{run} in {}", duration(elapsed_s)),
        (RunState::Interrupted, Some(elapsed_s)) => {
            format!("{run}, interrupted after {}", duration(elapsed_s))
        }
        (RunState::Finished | RunState::Interrupted, None) => run,
        (RunState::Unfinished, _) => format!("{run} so far (killed, or still running)"),
    });
    if let Some(retries @ 1..) = summary.lab_retries {
        facts.push(format!("labs rebuilt {}", count(u64::from(retries), "time")));
    }
    facts.extend(folder.map(|folder| folder.display().to_string()));
    let verdict = if expectations.is_empty() && summary.verdict == Judgement::Pass {
        "no verdict".to_owned()
    } else {
        style.paint(ink(summary.verdict), word(summary.verdict))
    };
    format!("{verdict}: {}\n", facts.join(" · "))
}

#[cfg(test)]
mod tests;
