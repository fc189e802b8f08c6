//! Markdown report of a run, for a pull request or the summary of a CI job: expectations,
//! unexpected results with their causes, and all cells in a folded section.

use std::fmt::Write as _;

use crate::{
    report::{
        expectation::ExpectationText,
        grid::{Grid, Mark, short_percent},
        headline,
        labels::{Labels, replay},
        summary::{CauseSummary, CellSummary, RunState, ScenarioSummary, Summary, Verdict},
        text::{CUT_SHORT, milliseconds, rate, short_values},
    },
    stats::Quantiles,
    ui::escape::is_unprintable,
};

/// Number of entries in a list; the rest is `and n more`.
const MAX_LISTED: usize = 10;
/// Number of cells in the folded table. GitHub refuses comments of more than 65536 characters.
const MAX_CELLS: usize = 150;
/// Maximum number of columns of a heat map that is readable on GitHub.
const MAX_COLUMNS: usize = 25;

/// The whole report. The commands in it name the folder of the run `RUN`, so that the same events
/// give the same bytes wherever they are kept.
pub(crate) fn render(summary: &Summary) -> String {
    let mut out = format!("## {}\n", headline(summary));
    if summary.state != RunState::Finished {
        let _infallible = writeln!(out, "\nIncomplete: {CUT_SHORT}");
    }
    for (index, scenario) in summary.scenarios.iter().enumerate() {
        out.push_str(&ScenarioSection { labels: Labels::new(index, scenario), scenario }.render());
    }
    if let Some(machine) = &summary.machine {
        let _infallible = writeln!(out, "\nMachine: {}", escaped(&machine.versions().join(" · ")));
    }
    out
}

/// The verdict, and the facts on the run.
fn headline(summary: &Summary) -> String {
    let facts = headline::facts(summary).join(" · ");
    if headline::has_no_verdict(summary) {
        return format!("harness: {facts}");
    }
    format!("{} harness: {facts}", sign(summary.verdict))
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Fail => "❌",
        Verdict::Inconclusive => "❔",
    }
}

/// Section of a scenario.
struct ScenarioSection<'a> {
    labels: Labels<'a>,
    scenario: &'a ScenarioSummary,
}

impl ScenarioSection<'_> {
    fn render(&self) -> String {
        let ScenarioSummary { name, file, seed, .. } = self.scenario;
        let question = self
            .scenario
            .question
            .as_deref()
            .map_or_else(String::new, escaped);
        let colon = if question.is_empty() { "" } else { ": " };
        let mut out = format!("\n### {}{colon}{question}\n\n", escaped(name));
        let trials = self.labels.how_many_trials();
        let _infallible = writeln!(out, "{} · seed {seed} · {trials}", code(file));
        let map = self.heat_map();
        let cells = self.cells();
        let all = if cells.is_empty() { String::new() } else { fold(&self.how_many(), &cells) };
        let (overview, folded) = match (&*map, self.scenario.cells.len()) {
            ("", 0..=MAX_LISTED) => (cells, String::new()),
            _ => (map, all),
        };
        let sections = [
            self.expectations(),
            overview,
            self.against_theory(),
            self.causes("Why trials failed", |cell| &cell.failure_causes),
            self.causes("Errors of the bench, in no rate", |cell| &cell.error_causes),
            self.causes("Disturbed by the bench, in the rates", |cell| &cell.disturbances),
            self.replay(),
            folded,
        ];
        for section in sections.iter().filter(|section| !section.is_empty()) {
            out.push('\n');
            out.push_str(section);
        }
        out
    }

    fn expectations(&self) -> String {
        let rows = self.scenario.expectations.iter().map(|expectation| {
            let text = ExpectationText::of(expectation, &self.labels);
            let remark = if text.remark.is_empty() {
                String::new()
            } else {
                format!("<br>{}", escaped(&text.remark))
            };
            let measured = format!("{}{remark}", escaped(&text.measured));
            let expected = code(&text.expected);
            [sign(text.verdict).to_owned(), measured, expected, escaped(&text.condition)]
        });
        table(&["", "measured", "expected", "where"], rows.collect())
    }

    fn heat_map(&self) -> String {
        let Some(upright) = Grid::of(self.scenario) else { return String::new() };
        let too_wide = upright.columns.len() > MAX_COLUMNS;
        let grid = if too_wide { upright.transposed() } else { upright };
        if grid.columns.len() > MAX_COLUMNS {
            return String::new();
        }
        let names = &self.labels.names;
        let corner = format!("{} ↓ {} →", names[grid.row_path], names[grid.column_path]);
        let heads: Vec<_> = [escaped(&corner)]
            .into_iter()
            .chain(
                short_values(&grid.columns)
                    .iter()
                    .map(|value| escaped(value)),
            )
            .collect();
        let row_names = short_values(&grid.rows);
        let rows = row_names.iter().zip(&grid.cells).map(|(row, cells)| {
            let figures = cells.iter().map(|cell| {
                let cell = cell.and_then(|index| self.scenario.cells.get(index));
                cell.map_or_else(String::new, figure)
            });
            [format!("**{}**", escaped(row))]
                .into_iter()
                .chain(figures)
                .collect::<Vec<_>>()
        });
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        let rows: Vec<_> = rows.collect();
        let mut marks: Vec<_> = self.scenario.cells.iter().map(Mark::of).collect();
        marks.sort();
        marks.dedup();
        let meant = marks.iter().filter(|&&mark| mark != Mark::None);
        let meant: Vec<_> = meant
            .map(|mark| format!("{} {}", mark.sign(), mark.meaning()))
            .collect();
        let legend =
            if meant.is_empty() { String::new() } else { format!("; {}", meant.join(", ")) };
        format!("{}\nSuccesses in %{legend}.\n", table(&heads, rows))
    }

    fn how_many(&self) -> String {
        match self.scenario.cells.len() {
            cells @ 0..=MAX_CELLS => format!("All {cells} cells"),
            cells => format!("The first {MAX_CELLS} of {cells} cells"),
        }
    }

    fn cells(&self) -> String {
        let cells = &self.scenario.cells;
        let has_verdict = cells.iter().any(|cell| cell.verdict.is_some());
        // Without a sweep the only cell has no name.
        let has_labels = !self.labels.names.is_empty();
        let rows = cells
            .iter()
            .take(MAX_CELLS)
            .enumerate()
            .map(|(index, cell)| {
                let times = [cell.times.connected_ms, cell.times.returned_ms].map(quantiles);
                let [connected, returned] = times;
                let label = has_labels.then(|| escaped(&self.labels.cell(index)));
                let mut row = Vec::from_iter(label);
                row.extend([
                    escaped(&rate(cell.successes, cell.rated())),
                    match cell.theory.decided() {
                        0 => "–".to_owned(),
                        _ => cell.theory.unexpected().to_string(),
                    },
                    cell.errors.to_string(),
                    connected,
                    returned,
                ]);
                if has_verdict {
                    row.push(cell.verdict.map_or("", sign).to_owned());
                }
                row
            });
        let mut heads = if has_labels { vec!["cell"] } else { Vec::new() };
        heads.extend([
            "successes [95 % interval]",
            "against theory",
            "bench errors",
            "connected ms p50 / p90 / p99",
            "returned ms p50 / p90 / p99",
        ]);
        if has_verdict {
            heads.push("");
        }
        table(&heads, rows.collect())
    }

    fn against_theory(&self) -> String {
        let mut lines = Vec::new();
        for index in 0..self.scenario.cells.len() {
            let at = self.labels.at_cell(index);
            for (count, what, trials) in self.labels.against_theory(index) {
                lines.push(escaped(&format!("{count} × {what}{at}: {trials}")));
            }
        }
        list("Against theory", lines)
    }

    fn causes(&self, title: &str, of: fn(&CellSummary) -> &Vec<CauseSummary>) -> String {
        let lines = self.labels.causes(of).into_iter().map(|cause| {
            let at = self.labels.at_cell(cause.cell);
            let trial = self.labels.trial(cause.cell, cause.first.trial);
            let CauseSummary { kind, .. } = cause.first;
            let evidence = cause.first.evidence.trim_end_matches('.');
            let colon = if evidence.is_empty() { "" } else { ": " };
            let text = escaped(&format!("{colon}{evidence} (trial {trial}{at})"));
            format!("{} × **{}**{text}", cause.count, escaped(kind))
        });
        list(title, lines.collect())
    }

    fn replay(&self) -> String {
        self.labels
            .example_trial()
            .map_or_else(String::new, |trial| {
                format!("To see a trial again, packet by packet: {}\n", code(&replay(None, &trial)))
            })
    }
}

fn figure(cell: &CellSummary) -> String {
    let rate = match cell.rate {
        Some(rate) => escaped(&short_percent(rate)),
        None if cell.errors > 0 => "err".to_owned(),
        None => "–".to_owned(),
    };
    format!("{rate}{}", Mark::of(cell).sign())
        .trim_end()
        .to_owned()
}

fn quantiles(of: Option<Quantiles>) -> String {
    let Some(Quantiles { p50, p90, p99, .. }) = of else { return "–".to_owned() };
    [p50, p90, p99].map(milliseconds).join(" / ")
}

fn table<Row: AsRef<[String]>>(heads: &[&str], rows: Vec<Row>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for row in rows {
        let _infallible = writeln!(out, "| {} |", row.as_ref().join(" | "));
    }
    out
}

fn list(title: &str, mut lines: Vec<String>) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let more = lines.len().saturating_sub(MAX_LISTED);
    lines.truncate(MAX_LISTED);
    let mut out = format!("**{title}**\n\n");
    for line in lines {
        let _infallible = writeln!(out, "- {line}");
    }
    if more > 0 {
        let _infallible = writeln!(out, "- and {more} more");
    }
    out
}

fn fold(title: &str, text: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{text}\n</details>\n")
}

/// Text with the characters escaped that are special in Markdown, HTML and tables.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' | '*' | '`' | '[' | ']' | '\\' | '~' | '#' | '@' => {
                out.push('\\');
                out.push(character);
            }
            control if is_unprintable(control) => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// Text as inline code. Backticks, which would end the code, and control characters are left out;
/// the bar of tables is escaped.
fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|character| *character != '`' && !is_unprintable(*character))
        .collect();
    format!("`{}`", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests;
