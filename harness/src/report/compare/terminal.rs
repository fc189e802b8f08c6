//! Text of a comparison for a terminal.

use std::path::Path;

use super::{CellComparison, Change, Comparison, ScenarioComparison, TimeComparison};
use crate::{
    report::{
        summary::RunState,
        table::value_columns,
        text::{CUT_SHORT, milliseconds, rate_parts},
    },
    stats::difference::Difference,
    ui::{
        escape::{escaped, shown},
        plural::count,
        style::{Ink, Style},
        table::{Column, NONE, fits, lay_out},
        wrap::paragraph,
    },
};

/// Number of cells up to which the table also lists those without a difference.
const MAX_ROWS: usize = 40;
/// Number of entries in a list of what only one run has; the rest is `and n more`.
const MAX_LISTED: usize = 5;

/// Text of a comparison; `full` lists all cells.
pub(crate) fn render(
    comparison: &Comparison,
    folders: [&Path; 2],
    full: bool,
    style: Style,
) -> String {
    let [first, second] = folders.map(shown);
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
            let more = match only.len().saturating_sub(MAX_LISTED) {
                0 => String::new(),
                unlisted => format!("; and {unlisted} more"),
            };
            out.push('\n');
            let beginning = format!("Only in the {which} run: ");
            out.push_str(&paragraph(&beginning, &format!("{listed}{more}"), style.width));
        }
    }
    out.push('\n');
    out.push_str(&last_line(comparison, style));
    style.encode(out)
}

/// Explanation of differences and intervals, with the number of pairs.
fn intervals(comparison: &Comparison) -> String {
    let Comparison { confidence, differences, least_ms, scenarios, .. } = comparison;
    let pairs: u64 = scenarios
        .iter()
        .flat_map(|scenario| &scenario.cells)
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
                .any(|change| *change > Change::NoDifferenceShown);
            // Times alone are often not comparable: a cell without a success has none.
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
    let mut out = format!(
        "{}: {cells} in both, {seeds}\n\n",
        style.paint(Ink::Bold, &escaped(&scenario.name))
    );
    if !shown.is_empty() {
        out.push_str(&tables(&shown, style));
    }
    if shown.len() < all {
        let rest = count((all - shown.len()) as u64, "cell");
        out.push_str(&format!("{rest} not shown to differ; --full lists all.\n"));
    }
    out
}

/// Selects the comparison of a time.
type SelectTime = fn(&CellComparison) -> &TimeComparison;

/// A table of rates, and one for each time that any cell has.
fn tables(cells: &[&CellComparison], style: Style) -> String {
    let swept: Vec<_> = cells.iter().map(|cell| &cell.values[..]).collect();
    let values = value_columns(&swept);
    let [with_percents, without] =
        [true, false].map(|percents| [values.clone(), rate_columns(cells, percents)].concat());
    let rates = if fits(&with_percents, style) { with_percents } else { without };
    let mut tables = vec![lay_out(&rates, style, paint)];
    let times: [(&str, SelectTime); 2] =
        [("connected", |cell| &cell.connected), ("returned", |cell| &cell.returned)];
    for (name, select) in times {
        if cells.iter().any(|cell| select(cell).p50_ms != [None, None]) {
            let columns = [values.clone(), time_columns(name, cells, select)].concat();
            tables.push(lay_out(&columns, style, paint));
        }
    }
    tables.join("\n")
}

/// The rates of both runs as counts, and as percentages too if `percents` is set.
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
    let difference = cells
        .iter()
        .map(|cell| difference_text(cell.rate.difference, |rate| signed(rate * 100.0, 1)));
    let changes = cells.iter().map(|cell| word(cell.rate.change).to_owned());
    vec![
        Column::right(["successes", "first"], run(0)),
        Column::right(["", "second"], run(1)),
        Column::right(["difference", "in % [interval]"], difference.collect()),
        Column::left(["", ""], changes.collect()),
    ]
}

fn time_columns(name: &str, cells: &[&CellComparison], select: SelectTime) -> Vec<Column> {
    let run = |run: usize| {
        let median = |cell: &&CellComparison| {
            select(cell).p50_ms[run].map_or_else(|| NONE.to_owned(), milliseconds)
        };
        cells.iter().map(median).collect()
    };
    let difference = cells
        .iter()
        .map(|cell| difference_text(select(cell).difference, |ms| signed(ms, 1)));
    let changes = cells
        .iter()
        .map(|cell| word(select(cell).change).to_owned());
    vec![
        Column::right([name, "first"], run(0)),
        Column::right(["p50 ms", "second"], run(1)),
        Column::right(["difference", "in ms [interval]"], difference.collect()),
        Column::left(["", ""], changes.collect()),
    ]
}

/// A number with its sign; a number that is rounded to zero has none.
fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    let zero = text.chars().all(|character| "+-0.".contains(character));
    if zero { text.trim_start_matches(['+', '-']).to_owned() } else { text }
}

/// A difference with its interval: `+2.0 [-1.5, +5.5]`; `?` is an end that the samples leave open.
fn difference_text(difference: Option<Difference>, number: impl Fn(f64) -> String) -> String {
    let Some(Difference { value, low, high }) = difference else { return NONE.to_owned() };
    let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), &number);
    format!("{} [{}, {}]", number(value), end(low), end(high))
}

/// Result of a comparison in one to three words.
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

/// Colours the result at the end of a table's line.
fn paint(line: &str, style: Style) -> Option<String> {
    let all = [Change::Worse, Change::Better, Change::NoDifferenceShown, Change::NotComparable];
    all.into_iter().find_map(|change| {
        let rest = line.strip_suffix(word(change))?;
        rest.ends_with(' ')
            .then(|| format!("{rest}{}", style.paint(ink(change), word(change))))
    })
}

/// The last line: the worst result, then the number of figures with each result.
fn last_line(comparison: &Comparison, style: Style) -> String {
    let cells = || {
        comparison
            .scenarios
            .iter()
            .flat_map(|scenario| &scenario.cells)
    };
    let number = |change: Change, of: fn(&CellComparison) -> Vec<Change>| {
        cells()
            .flat_map(of)
            .filter(|of_cell| *of_cell == change)
            .count()
    };
    let rate = |cell: &CellComparison| vec![cell.rate.change];
    let times = |cell: &CellComparison| vec![cell.connected.change, cell.returned.change];
    let part = |change: Change| {
        let (rates, times) = (number(change, rate), number(change, times));
        let all = [(rates, "rate"), (times, "median")];
        let named: Vec<_> = all
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, noun)| count(number, noun))
            .collect();
        (!named.is_empty()).then(|| format!("{} {}", named.join(" and "), in_sentence(change)))
    };
    let all = [Change::Worse, Change::Better, Change::NoDifferenceShown, Change::NotComparable];
    let parts: Vec<_> = all.into_iter().filter_map(part).collect();
    let verdict = comparison.verdict;
    let word = match verdict {
        Change::NoDifferenceShown => "no difference shown",
        Change::Worse | Change::Better | Change::NotComparable => word(verdict),
    };
    let line = paragraph(&format!("{word}: "), &parts.join(" · "), style.width);
    line.replacen(word, &style.paint(ink(verdict), word), 1)
}

/// Result of a comparison within a sentence.
fn in_sentence(change: Change) -> String {
    match change {
        Change::NoDifferenceShown => "not shown to differ".to_owned(),
        Change::Worse | Change::Better | Change::NotComparable => word(change).to_lowercase(),
    }
}
