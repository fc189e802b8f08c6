//! A comparison for people.

use std::path::Path;

use super::{CellComparison, Change, Comparison, ScenarioComparison, TimeComparison};
use crate::{
    report::{
        summary::RunState,
        table::value_columns,
        text::{CUT_SHORT, milliseconds, rate_parts},
    },
    ui::{
        plural::count,
        style::{Ink, Style},
        table::{Column, NONE, fits, lay_out},
        wrap::paragraph,
    },
};

/// Cells that are listed before those without a difference are left out.
const MAX_ROWS: usize = 40;
/// What only one run has, listed before `and n more`.
const MAX_LISTED: usize = 5;

/// The whole comparison; `full` lists every cell, however many.
pub(crate) fn render(
    comparison: &Comparison,
    folders: [&Path; 2],
    full: bool,
    style: Style,
) -> String {
    let [first, second] = folders.map(|folder| folder.display().to_string());
    let title = style.paint(Ink::Bold, "compare");
    let mut out = format!("{title}: {first} (first) with {second} (second)\n");
    out.push_str(&paragraph("", &intervals(comparison), style.width));
    for (run, which) in comparison.runs.iter().zip(["first", "second"]) {
        if run.state != RunState::Finished {
            let text = format!("The {which} run was cut short: {CUT_SHORT}");
            out.push_str(&paragraph("", &text, style.width));
        }
    }
    let [first, second] = comparison.runs.each_ref().map(|run| run.jobs);
    if first != second {
        let text = format!(
            "Up to {first} labs stood at once in the first run, {second} in the second: times \
             depend on it."
        );
        out.push_str(&paragraph("", &text, style.width));
    }
    for scenario in &comparison.scenarios {
        out.push('\n');
        out.push_str(&render_scenario(scenario, full, style));
    }
    for (only, which) in comparison.only_in.iter().zip(["first", "second"]) {
        if !only.is_empty() {
            let listed = only
                .iter()
                .take(MAX_LISTED)
                .cloned()
                .collect::<Vec<_>>()
                .join("; ");
            let more = only.len().saturating_sub(MAX_LISTED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            out.push('\n');
            let first = format!("Only in the {which} run: ");
            out.push_str(&paragraph(&first, &format!("{listed}{more}"), style.width));
        }
    }
    out.push('\n');
    out.push_str(&last_line(comparison, style));
    style.encode(out)
}

fn intervals(comparison: &Comparison) -> String {
    let Comparison { confidence, differences, least_ms, scenarios, .. } = comparison;
    let pairs: u64 = scenarios
        .iter()
        .flat_map(|it| &it.cells)
        .map(|cell| cell.rate.pairs)
        .sum();
    let paired = match pairs {
        0 => String::new(),
        pairs => format!(
            " {} in both runs, with the same seed: they count as pairs.",
            count(pairs, ("trial is", "trials are"))
        ),
    };
    format!(
        "Differences are the second less the first; the intervals of all {differences} hold together \
         with {} %. Medians count as different from {least_ms} ms on.{paired}",
        confidence * 100.0,
    )
}

fn render_scenario(scenario: &ScenarioComparison, full: bool, style: Style) -> String {
    let all = scenario.cells.len();
    let mut shown: Vec<&CellComparison> = scenario.cells.iter().collect();
    if all > MAX_ROWS && !full {
        shown.retain(|cell| {
            let differs = cell
                .changes()
                .iter()
                .any(|it| *it > Change::NoDifferenceShown);
            // Where nothing succeeds there are no times to compare, which is no news.
            differs || cell.rate.change == Change::NotComparable
        });
    }
    let seeds = match (scenario.seeds, scenario.same_text) {
        ([first, second], _) if first != second => format!("seeds {first} and {second}"),
        ([seed, _], Some(true)) => format!("the same trials (seed {seed})"),
        ([seed, _], Some(false)) => format!("seed {seed}, but the scenario differs"),
        ([seed, _], None) => format!("seed {seed} in both"),
    };
    let cells = count(all, "cell");
    let mut out =
        format!("{}: {cells} in both, {seeds}\n\n", style.paint(Ink::Bold, &scenario.name));
    if !shown.is_empty() {
        out.push_str(&tables(&shown, style));
    }
    if shown.len() < all {
        let rest = count((all - shown.len()) as u64, "cell");
        out.push_str(&format!("{rest} not shown to differ; --full lists all.\n"));
    }
    out
}

/// A time figure of a cell.
type Figure = fn(&CellComparison) -> &TimeComparison;

/// Rates, and times where there are any.
fn tables(cells: &[&CellComparison], style: Style) -> String {
    let swept: Vec<_> = cells.iter().map(|cell| &cell.values[..]).collect();
    let values = value_columns(&swept);
    let rates = |percents| [values.clone(), rate_columns(cells, percents)].concat();
    let rates = [true, false].map(rates);
    let [rich, plain] = &rates;
    let rates = if fits(rich, style) { rich } else { plain };
    let mut tables = vec![lay_out(rates, style, paint)];
    let figures: [(&str, Figure); 2] =
        [("connected", |cell| &cell.connected), ("returned", |cell| &cell.returned)];
    for (name, of) in figures {
        if cells.iter().any(|cell| of(cell).p50_ms != [None, None]) {
            let columns = [values.clone(), time_columns(name, cells, of)].concat();
            tables.push(lay_out(&columns, style, paint));
        }
    }
    tables.join("\n")
}

/// The rates of the runs, as counts alone or with percents too.
fn rate_columns(cells: &[&CellComparison], percents: bool) -> Vec<Column> {
    let run = |run: usize| {
        let rate = |cell: &&CellComparison| {
            let (successes, trials) = (cell.rate.successes[run], cell.rate.trials[run]);
            if trials == 0 {
                return "no result".to_owned();
            }
            let [count, percent, _] = rate_parts(successes, trials);
            if percents { format!("{count} {percent}") } else { count }
        };
        cells.iter().map(rate).collect()
    };
    let difference = cells.iter().map(|cell| {
        let shown = |rate: f64| signed(rate * 100.0, 1);
        cell.rate.difference.map_or_else(
            || NONE.to_owned(),
            |it| format!("{} {}", shown(it.value), interval(it.low, it.high, shown)),
        )
    });
    let changes = cells.iter().map(|cell| word(cell.rate.change).to_owned());
    vec![
        Column::right(["successes", "first"], run(0)),
        Column::right(["", "second"], run(1)),
        Column::right(["difference", "in % [interval]"], difference.collect()),
        Column::left(["", ""], changes.collect()),
    ]
}

fn time_columns(name: &str, cells: &[&CellComparison], of: Figure) -> Vec<Column> {
    let run = |run: usize| {
        let median = |cell: &&CellComparison| {
            of(cell).p50_ms[run].map_or_else(|| NONE.to_owned(), milliseconds)
        };
        cells.iter().map(median).collect()
    };
    let difference = cells.iter().map(|cell| {
        let shown = |ms: f64| signed(ms, 1);
        of(cell).difference.map_or_else(
            || NONE.to_owned(),
            |it| format!("{} {}", shown(it.value), interval(it.low, it.high, shown)),
        )
    });
    let changes = cells.iter().map(|cell| word(of(cell).change).to_owned());
    vec![
        Column::right([name, "first"], run(0)),
        Column::right(["p50 ms", "second"], run(1)),
        Column::right(["difference", "in ms [interval]"], difference.collect()),
        Column::left(["", ""], changes.collect()),
    ]
}

/// A number that always has its sign; a rounded zero has none.
fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    let zero = text.chars().all(|character| "+-0.".contains(character));
    if zero { text.trim_start_matches(['+', '-']).to_owned() } else { text }
}

fn interval(low: Option<f64>, high: Option<f64>, shown: impl Fn(f64) -> String) -> String {
    let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), &shown);
    format!("[{}, {}]", end(low), end(high))
}

/// What a comparison shows, in a word or three.
fn word(change: Change) -> &'static str {
    match change {
        Change::Worse => "WORSE",
        Change::Better => "better",
        Change::NoDifferenceShown => "none shown",
        Change::NotComparable => "not comparable",
    }
}

fn ink(change: Change) -> Ink {
    match change {
        Change::Worse => Ink::Bad,
        Change::Better => Ink::Good,
        Change::NoDifferenceShown => Ink::Faint,
        Change::NotComparable => Ink::Doubtful,
    }
}

/// Colours what a line of a table ends in.
fn paint(line: &str, style: Style) -> Option<String> {
    let all = [Change::Worse, Change::Better, Change::NoDifferenceShown, Change::NotComparable];
    all.into_iter().find_map(|change| {
        let rest = line.strip_suffix(word(change))?;
        rest.ends_with(' ')
            .then(|| format!("{rest}{}", style.paint(ink(change), word(change))))
    })
}

fn last_line(comparison: &Comparison, style: Style) -> String {
    let cells = || {
        comparison
            .scenarios
            .iter()
            .flat_map(|scenario| &scenario.cells)
    };
    let number = |change: Change, of: fn(&CellComparison) -> Vec<Change>| {
        cells().flat_map(of).filter(|it| *it == change).count()
    };
    let rate = |cell: &CellComparison| vec![cell.rate.change];
    let times = |cell: &CellComparison| vec![cell.connected.change, cell.returned.change];
    let part = |change: Change| {
        let (rates, times) = (number(change, rate), number(change, times));
        let all = [(rates, "rate"), (times, "median")];
        let named = all.into_iter().filter(|(number, _)| *number > 0);
        let named: Vec<_> = named.map(|(number, what)| count(number, what)).collect();
        (!named.is_empty()).then(|| format!("{} {}", named.join(" and "), lower(change)))
    };
    let parts = [Change::Worse, Change::Better, Change::NoDifferenceShown, Change::NotComparable];
    let parts: Vec<_> = parts.into_iter().filter_map(part).collect();
    let verdict = comparison.verdict;
    let word = match verdict {
        Change::NoDifferenceShown => "no difference shown",
        Change::Worse | Change::Better | Change::NotComparable => word(verdict),
    };
    let line = paragraph(&format!("{word}: "), &parts.join(" · "), style.width);
    line.replacen(word, &style.paint(ink(verdict), word), 1)
}

fn lower(change: Change) -> String {
    match change {
        Change::NoDifferenceShown => "not shown to differ".to_owned(),
        Change::Worse | Change::Better | Change::NotComparable => word(change).to_lowercase(),
    }
}
