//! Text report of a run, for a terminal or the log of a CI job.
//!
//! For each scenario: the question, the table of cells, each expectation with the measured value,
//! trials against theory, causes of failures, and faults of the bench. The last line is the verdict
//! on the whole run.

mod heat_map;

use std::path::Path;

use crate::{
    report::{
        expectation::ExpectationText,
        grid::Mark,
        headline,
        labels::{CauseCount, Labels, replay},
        summary::{
            CauseSummary, CellSummary, ExpectationSummary, RunState, ScenarioSummary, Summary,
        },
        table::{self, ink, word},
        text::{CUT_SHORT, rtt},
    },
    ui::{
        escape::{escaped, shown},
        plural::count,
        style::{Ink, Style},
        wrap::paragraph,
    },
};

/// Number of entries in a list; the rest is `and n more`.
const MAX_LISTED: usize = 8;

/// Subject and verb of a sentence on further cells.
const CALLS: (&str, &str) = ("more cell calls", "more cells call");

/// Number of cells in the table if a heat map shows all cells.
const MAX_ROWS: usize = 40;

/// Options of the report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// Folder of the run, for the last line and for commands.
    pub folder: Option<&'a Path>,
    /// Abilities of the terminal.
    pub style: Style,
    /// Whether the table lists all cells beside a heat map, and costs are shown in any case.
    pub full: bool,
}

/// The whole report.
pub(crate) fn render(summary: &Summary, view: View<'_>) -> String {
    let style = view.style;
    let mut out = String::new();
    for (index, scenario) in summary.scenarios.iter().enumerate() {
        out.push_str(&ScenarioReport::new(index, scenario, view).render());
        out.push('\n');
    }
    if summary.state != RunState::Finished {
        out.push_str(&paragraph("Incomplete: ", CUT_SHORT, style.width));
        out.push('\n');
    }
    if let Some(machine) = &summary.machine {
        let versions = machine.versions().join(" · ");
        let versions = paragraph("Machine: ", &versions, style.width);
        out.push_str(&style.paint(Ink::Faint, versions.trim_end()));
        out.push('\n');
    }
    out.push_str(&last_line(summary, view.folder, style));
    style.encode(out)
}

/// Report of one scenario.
struct ScenarioReport<'a> {
    scenario: &'a ScenarioSummary,
    style: Style,
    labels: Labels<'a>,
    view: View<'a>,
}

impl<'a> ScenarioReport<'a> {
    fn new(index: usize, scenario: &'a ScenarioSummary, view: View<'a>) -> Self {
        let View { style, .. } = view;
        Self { scenario, style, labels: Labels::new(index, scenario), view }
    }

    fn render(&self) -> String {
        let sections = [
            self.costs(),
            self.expectations(),
            self.against_theory(),
            self.failures(),
            self.causes("Bench errors (in no rate)", |cell| &cell.error_causes),
            self.disturbances(),
            self.replay(),
        ];
        let mut out = self.heading();
        let map = heat_map::render(&self.labels, self.style);
        let (table, more) = self.table(!map.is_empty());
        for section in [map, table, more] {
            if !section.is_empty() {
                out.push('\n');
                out.push_str(&section);
            }
        }
        for section in sections.iter().filter(|section| !section.is_empty()) {
            out.push('\n');
            out.push_str(section);
        }
        out
    }

    /// The table, and a sentence on the cells that the table leaves out. If a heat map shows more
    /// than [`MAX_ROWS`] cells, the table contains only those that call for attention.
    fn table(&self, has_map: bool) -> (String, String) {
        let cells = &self.scenario.cells;
        let all = || table::render(cells, self.style);
        if !has_map || cells.len() <= MAX_ROWS || self.view.full {
            return (all(), String::new());
        }
        let mut shown: Vec<_> = cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| calls_for_attention(cell))
            .collect();
        let remarkable = shown.len();
        // The worst cells are kept, in their original order.
        shown.sort_by_key(|(_, cell)| Mark::of(cell));
        shown.truncate(MAX_ROWS);
        shown.sort_by_key(|(index, _)| *index);
        let shown: Vec<_> = shown.into_iter().map(|(_, cell)| cell.clone()).collect();
        let more = match (remarkable, cells.len() - shown.len()) {
            (0, all) => format!(
                "None of the {all} cells calls for attention; `harness report --full` lists them."
            ),
            (some, rest) if some == shown.len() => {
                format!(
                    "{} for no attention; `harness report --full` lists all.",
                    count(rest, CALLS)
                )
            }
            (some, rest) => format!(
                "{rest} cells are left out; {} for attention too. `harness report --full` lists all.",
                count(some - shown.len(), CALLS)
            ),
        };
        let table =
            if shown.is_empty() { String::new() } else { table::render(&shown, self.style) };
        (table, paragraph("", &more, self.style.width))
    }

    /// Costs of the peers, if subjects are compared or the report is full.
    fn costs(&self) -> String {
        let cells = &self.scenario.cells;
        let swept = cells.first().map_or(&[][..], |cell| &cell.values);
        if !self.view.full
            && swept
                .iter()
                .all(|assignment| assignment.path != "subject.command")
        {
            return String::new();
        }
        match table::costs(cells, self.style) {
            table if table.is_empty() => table,
            table => self.title("Cost of a trial to its busier peer (median / worst)") + &table,
        }
    }

    fn heading(&self) -> String {
        let ScenarioSummary { name, question, seed, file, trials_per_cell, cells, .. } =
            self.scenario;
        let name = escaped(name);
        let title = self.style.paint(Ink::Bold, &name);
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
        let mut facts = vec![file.clone(), format!("seed {seed}"), self.labels.how_many_trials()];
        if *trials_per_cell > 0
            && cells
                .iter()
                .any(|cell| cell.trials < u64::from(*trials_per_cell))
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
        out.extend(
            facts
                .lines()
                .map(|line| self.style.paint(Ink::Faint, line) + "\n"),
        );
        out
    }

    fn common_rtt_ms(&self) -> Option<f64> {
        let (first, rest) = self.scenario.cells.split_first()?;
        rest.iter()
            .all(|cell| cell.rtt_ms == first.rtt_ms)
            .then_some(first.rtt_ms)
    }

    fn title(&self, text: &str) -> String {
        let text = paragraph("", text, self.style.width);
        self.style.paint(Ink::Bold, text.trim_end()) + "\n"
    }

    fn expectations(&self) -> String {
        let all: String = self
            .scenario
            .expectations
            .iter()
            .map(|expectation| self.expectation(expectation))
            .collect();
        if all.is_empty() { all } else { self.title("Expectations") + &all }
    }

    fn expectation(&self, expectation: &ExpectationSummary) -> String {
        let text = ExpectationText::of(expectation, &self.labels);
        let verdict = word(text.verdict);
        let indent = format!("  {:14}", "");
        let first = format!("  {verdict:14}");
        let mut out = paragraph(&first, &text.sentence(), self.style.width);
        if !text.remark.is_empty() {
            out.push_str(&paragraph(&indent, &text.remark, self.style.width));
        }
        out.replacen(verdict, &self.style.paint(ink(text.verdict), verdict), 1)
    }

    fn against_theory(&self) -> String {
        let mut lines = Vec::new();
        for index in 0..self.scenario.cells.len() {
            let at_cell = self.labels.at_cell(index);
            for (count, what, trials) in self.labels.against_theory(index) {
                let text = format!("{what}{at_cell}: {trials}");
                lines.push(paragraph(&format!("  {count:>4} × "), &text, self.style.width));
            }
        }
        self.section("Against theory", lines)
    }

    fn causes(&self, title: &str, of: fn(&CellSummary) -> &Vec<CauseSummary>) -> String {
        let lines = self
            .labels
            .causes(of)
            .into_iter()
            .map(|CauseCount { count, cell, first }| {
                let CauseSummary { kind, trial, evidence, .. } = first;
                let id = self.labels.trial(cell, *trial);
                let example = format!("trial {id}{}", self.labels.at_cell(cell));
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
        let against: u64 = cells
            .iter()
            .map(|cell| cell.theory.unexpected_failures.count)
            .sum();
        let predicted: u64 = cells
            .iter()
            .map(|cell| cell.theory.predicted_failures())
            .sum();
        let counts = [
            (against, "against theory"),
            (predicted, "as theory says"),
            (all - against - predicted, "that it leaves open"),
        ];
        let parts: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, which)| format!("{count} {which}"))
            .collect();
        let title = match &parts[..] {
            _ if against + predicted == 0 => format!("Failures: {all}"),
            [_] if against == 0 => format!("Failures: {all}, all as theory says"),
            [_] => format!("Failures: {all}, all against theory"),
            parts => format!("Failures: {all} ({})", parts.join(", ")),
        };
        self.causes(&title, |cell| &cell.failure_causes)
    }

    fn disturbances(&self) -> String {
        let sum = |of: fn(&CellSummary) -> u64| self.scenario.cells.iter().map(of).sum::<u64>();
        let (disturbed, all) = (sum(|cell| cell.disturbed), sum(|cell| cell.trials));
        let title = format!(
            "Disturbed by the bench: {disturbed} of {}, in the rates all the same (fewer with a \
             smaller --jobs)",
            trials(all)
        );
        self.causes(&title, |cell| &cell.disturbances)
    }

    fn replay(&self) -> String {
        let Some(trial) = self.labels.example_trial() else { return String::new() };
        let command = replay(self.view.folder, &trial);
        // Not wrapped, so that the command can be copied.
        format!("{}  {command}\n", self.title("To see a trial again, packet by packet"))
    }

    fn section(&self, title: &str, mut lines: Vec<String>) -> String {
        if lines.is_empty() {
            return String::new();
        }
        let more = lines.len().saturating_sub(MAX_LISTED);
        lines.truncate(MAX_LISTED);
        if more > 0 {
            lines.push(format!("  and {more} more, see summary.json\n"));
        }
        self.title(title) + &lines.concat()
    }
}

/// Whether a reader should look at a cell: the result is unexpected, or the bench failed. Disturbed
/// trials do not count; they are common on a busy machine and have a section of their own.
fn calls_for_attention(cell: &CellSummary) -> bool {
    Mark::of(cell) != Mark::None || cell.errors > 0 || cell.trials == 0
}

fn trials(number: u64) -> String {
    count(number, "trial")
}

fn last_line(summary: &Summary, folder: Option<&Path>, style: Style) -> String {
    let mut facts = headline::facts(summary);
    facts.extend(folder.map(shown));
    let verdict = if headline::has_no_verdict(summary) {
        "no verdict".to_owned()
    } else {
        style.paint(ink(summary.verdict), word(summary.verdict))
    };
    format!("{verdict}: {}\n", facts.join(" · "))
}

#[cfg(test)]
mod tests;
