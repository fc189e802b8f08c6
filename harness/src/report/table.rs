//! The table of a scenario's cells.

use crate::{
    event::Assignment,
    report::{
        summary::{CellSummary, Typical, Verdict},
        text::{milliseconds, percent, rate_parts, rtt, short_names, short_values, two_lines},
    },
    stats::{Bounds, Quantiles},
    ui::{
        style::{Ink, Style},
        table::{Column, NONE, fits, lay_out, plain},
    },
};

/// Table of a scenario's cells in the most detailed layout that fits. One table is preferred; two,
/// one of rates and one of times, are used if one is too wide. Intervals of the quantiles and
/// medians in RTTs are left out first. Each line ends in a line feed.
pub(super) fn render(cells: &[CellSummary], style: Style) -> String {
    let swept: Vec<&[Assignment]> = cells.iter().map(|cell| &cell.values[..]).collect();
    let mut values = value_columns(&swept);
    values.extend(rtt_column(cells));
    let (values, rates, verdicts) =
        (&values[..], &rate_columns(cells)[..], &verdict_columns(cells)[..]);
    let [full, rich, plain] = [Detail::Intervals, Detail::RoundTrips, Detail::Quantiles]
        .map(|detail| time_columns(cells, detail));
    let layouts = [
        vec![[values, rates, &full, verdicts].concat()],
        vec![[values, rates, &rich, verdicts].concat()],
        vec![[values, rates, &plain, verdicts].concat()],
        vec![[values, rates, verdicts].concat(), [values, &full].concat()],
        vec![[values, rates, verdicts].concat(), [values, &rich].concat()],
        vec![[values, rates, verdicts].concat(), [values, &plain].concat()],
    ];
    let all_fit = |tables: &&Vec<Vec<Column>>| tables.iter().all(|columns| fits(columns, style));
    let [.., narrowest] = &layouts;
    let tables = layouts.iter().find(all_fit).unwrap_or(narrowest);
    let with_figures = tables.iter().filter(|columns| columns.len() > values.len());
    let rendered = with_figures.map(|columns| lay_out(columns, style, painted_verdict));
    rendered.collect::<Vec<_>>().join("\n")
}

/// Table of what the trials of each cell cost the busier peer; empty if no cost is known.
pub(super) fn costs(cells: &[CellSummary], style: Style) -> String {
    let swept: Vec<&[Assignment]> = cells.iter().map(|cell| &cell.values[..]).collect();
    let figures: [([&str; 2], SelectCost, FormatNumber); 4] = [
        (["success", "SYNs"], |cell| cell.cost.syns, |value| format!("{value}")),
        (["success", "CPU ms"], |cell| cell.cost.cpu_ms, milliseconds),
        (["failure", "SYNs"], |cell| cell.cost_of_failures.syns, |value| format!("{value}")),
        (["failure", "CPU ms"], |cell| cell.cost_of_failures.cpu_ms, milliseconds),
    ];
    let shown = figures
        .iter()
        .filter(|(_, of, _)| cells.iter().any(|cell| of(cell).is_some()));
    let figures: Vec<_> = shown
        .map(|(heading, of, show)| {
            let text = |Typical { p50, max }| format!("{} / {}", show(p50), show(max));
            let cells = cells
                .iter()
                .map(|cell| of(cell).map_or(NONE.to_owned(), text));
            Column::right(*heading, cells.collect())
        })
        .collect();
    if figures.is_empty() {
        return String::new();
    }
    plain(&[value_columns(&swept), figures].concat(), style)
}

/// Selects a cost of a cell.
type SelectCost = fn(&CellSummary) -> Option<Typical>;
/// Formats a number.
type FormatNumber = fn(f64) -> String;

/// A column for each swept path.
pub(super) fn value_columns(cells: &[&[Assignment]]) -> Vec<Column> {
    let Some(first) = cells.first() else { return Vec::new() };
    let paths: Vec<_> = first
        .iter()
        .map(|assignment| assignment.path.as_str())
        .collect();
    let names = short_names(&paths);
    let column = |(index, name): (usize, &String)| {
        let values: Vec<_> = cells
            .iter()
            .filter_map(|cell| Some(&cell.get(index)?.value))
            .collect();
        let numeric = values.iter().all(|value| value.is_number());
        let column = if numeric { Column::right } else { Column::left };
        column(two_lines(name), short_values(&values))
    };
    names.iter().enumerate().map(column).collect()
}

/// Column of the round-trip times, if they differ.
fn rtt_column(cells: &[CellSummary]) -> Option<Column> {
    let first = cells.first()?;
    cells
        .iter()
        .any(|cell| cell.rtt_ms != first.rtt_ms)
        .then(|| {
            let rtts = cells.iter().map(|cell| rtt(cell.rtt_ms)).collect();
            Column::right(["RTT", "ms"], rtts)
        })
}

fn rate_columns(cells: &[CellSummary]) -> Vec<Column> {
    let mut columns = vec![Column::left(["successes", "[95 % interval]"], rates(cells))];
    columns.extend(count_column(["bench", "errors"], cells.iter().map(|cell| cell.errors)));
    columns.extend(count_column(["dis-", "turbed"], cells.iter().map(|cell| cell.disturbed)));
    if cells.iter().any(|cell| cell.theory.decided() > 0) {
        let predictions = cells.iter().map(prediction).collect();
        columns.push(Column::right(["theory", "says"], predictions));
    }
    let unexpected = cells.iter().map(|cell| cell.theory.unexpected());
    columns.extend(count_column(["against", "theory"], unexpected));
    columns
}

/// Column of a number of anomalies; none if all are 0, which is the common case and saves room.
fn count_column(heading: [&str; 2], counts: impl Iterator<Item = u64>) -> Option<Column> {
    let counts: Vec<_> = counts.collect();
    let cells = counts.iter().map(u64::to_string).collect();
    counts
        .iter()
        .any(|&count| count > 0)
        .then(|| Column::right(heading, cells))
}

/// Counts, rates and intervals of all cells, each part aligned.
fn rates(cells: &[CellSummary]) -> Vec<String> {
    let parts: Vec<_> = cells
        .iter()
        .map(|cell| (cell.rated() > 0).then(|| rate_parts(cell.successes, cell.rated())))
        .collect();
    let width = |part: usize| {
        parts
            .iter()
            .flatten()
            .map(|parts| parts[part].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (counts, percents) = (width(0), width(1));
    let line = |(parts, cell): (&Option<[String; 3]>, &CellSummary)| match parts {
        Some([count, percent, interval]) => {
            format!("{count:>counts$} {percent:>percents$} {interval}")
        }
        None if cell.trials == 0 => "no trials".to_owned(),
        None => "no result".to_owned(),
    };
    parts.iter().zip(cells).map(line).collect()
}

/// The predicted rate: from the trials that should succeed to those that may.
fn prediction(cell: &CellSummary) -> String {
    let judged = cell.rated() as f64;
    let theory = &cell.theory;
    match (theory.decided(), theory.depends) {
        (0, 0) => NONE.to_owned(),
        (0, _) => "depends".to_owned(),
        (_, 0) => format!("{} %", percent(theory.should as f64 / judged)),
        (_, depends) => format!(
            "{}–{} %",
            percent(theory.should as f64 / judged),
            percent((theory.should + depends) as f64 / judged)
        ),
    }
}

/// Selects the quantiles of a time.
type SelectQuantiles = fn(&CellSummary) -> Option<Quantiles>;

/// Level of detail for times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// The three quantiles.
    Quantiles,
    /// Also the median in round-trip times.
    RoundTrips,
    /// Also the interval of each quantile.
    Intervals,
}

fn time_columns(cells: &[CellSummary], detail: Detail) -> Vec<Column> {
    let figures: [(&str, SelectQuantiles); 2] = [
        ("connected ms", |cell| cell.times.connected_ms),
        ("returned ms", |cell| cell.times.returned_ms),
    ];
    let shown = figures
        .iter()
        .filter(|(_, select)| cells.iter().any(|cell| select(cell).is_some()));
    shown
        .map(|(name, select)| time_column(name, *select, cells, detail))
        .collect()
}

/// Column of the quantiles of a time, each aligned under its name, with the median in RTTs if
/// `detail` includes it.
fn time_column(
    name: &str,
    select: SelectQuantiles,
    cells: &[CellSummary],
    detail: Detail,
) -> Column {
    let parts = |cell: &CellSummary| -> Vec<String> {
        let Some(figure) = select(cell) else { return Vec::new() };
        let quantiles = [
            (figure.p50, figure.p50_interval),
            (figure.p90, figure.p90_interval),
            (figure.p99, figure.p99_interval),
        ];
        let shown = |(value, bounds)| match detail {
            Detail::Intervals => format!("{} {}", milliseconds(value), interval(bounds)),
            Detail::Quantiles | Detail::RoundTrips => milliseconds(value),
        };
        let mut parts: Vec<_> = quantiles.into_iter().map(shown).collect();
        if detail >= Detail::RoundTrips {
            let rtts = figure.p50 / cell.rtt_ms;
            parts.push(if rtts.is_finite() { format!("{rtts:.2}") } else { NONE.to_owned() });
        }
        parts
    };
    let names: &[&str] = match detail {
        Detail::Quantiles => &["p50", "p90", "p99"],
        Detail::RoundTrips | Detail::Intervals => &["p50", "p90", "p99", "p50/RTT"],
    };
    let heading: Vec<_> = names.iter().copied().map(str::to_owned).collect();
    let rows: Vec<_> = [heading]
        .into_iter()
        .chain(cells.iter().map(parts))
        .collect();
    let width = |index: usize| {
        rows.iter()
            .filter_map(|row| row.get(index))
            .map(|part| part.chars().count())
            .max()
    };
    let join = |row: &Vec<String>| {
        let aligned = row.iter().enumerate().map(|(index, part)| {
            let width = width(index).unwrap_or(0);
            format!("{part:>width$}")
        });
        if row.is_empty() { NONE.to_owned() } else { aligned.collect::<Vec<_>>().join(" ") }
    };
    let mut lines: Vec<_> = rows.iter().map(join).collect();
    let aligned_names = lines.remove(0);
    Column::right([name.to_owned(), aligned_names], lines)
}

/// An interval: `[51–53]`. `?` is an end that a small sample leaves open.
fn interval(bounds: Bounds) -> String {
    match (bounds.low, bounds.high) {
        (Some(low), Some(high)) => format!("[{}–{}]", milliseconds(low), milliseconds(high)),
        (Some(low), None) => format!("[{}–?]", milliseconds(low)),
        (None, Some(high)) => format!("[?–{}]", milliseconds(high)),
        (None, None) => "[?]".to_owned(),
    }
}

fn verdict_columns(cells: &[CellSummary]) -> Vec<Column> {
    if cells.iter().all(|cell| cell.verdict.is_none()) {
        return Vec::new();
    }
    let words = cells
        .iter()
        .map(|cell| cell.verdict.map_or(NONE, word).to_owned())
        .collect();
    vec![Column::left(["verdict", ""], words)]
}

/// A verdict in one word. A failure is in capitals, so that it is conspicuous without colours too.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// The ink of a verdict.
pub(super) fn ink(verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Pass => Ink::Good,
        Verdict::Fail => Ink::Bad,
        Verdict::Inconclusive => Ink::Doubtful,
    }
}

/// Colours the verdict, which is the last word of its line.
fn painted_verdict(line: &str, style: Style) -> Option<String> {
    let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive];
    verdicts.into_iter().find_map(|verdict| {
        let rest = line.strip_suffix(word(verdict))?;
        rest.ends_with(' ')
            .then(|| rest.to_owned() + &style.paint(ink(verdict), word(verdict)))
    })
}
