//! The cells of all scenarios as CSV (RFC 4180), one line a cell, for spreadsheets and plots.

use csv::{Terminator, WriterBuilder};
use serde_json::Value;

use crate::{
    moments::Moment,
    named::Named,
    report::summary::{CellSummary, CostSummary, ScenarioSummary, Summary, Typical, Verdict},
    stats::{Bounds, Quantiles},
};

/// Columns before those of the swept paths.
const FIRST: [&str; 2] = ["scenario", "cell"];

/// Columns between those of the swept paths and those of the times.
const COUNTS: [&str; 18] = [
    "rtt_ms",
    "trials",
    "successes",
    "failures",
    "errors",
    "disturbed",
    "rate",
    "rate_low",
    "rate_high",
    "theory_should",
    "theory_should_not",
    "theory_depends",
    "unexpected_failures",
    "unexpected_successes",
    "first_cause",
    "first_cause_count",
    "verdict",
    "spawn_to_syn_p50_ms",
];

/// The last columns: costs of the busier peer of each success, then of each failure.
const COSTS: [&str; 8] = [
    "success_syns_p50",
    "success_syns_max",
    "success_cpu_ms_p50",
    "success_cpu_ms_max",
    "failure_syns_p50",
    "failure_syns_max",
    "failure_cpu_ms_p50",
    "failure_cpu_ms_max",
];

/// The whole report. A figure that does not exist is empty. Each swept path is a column.
pub(crate) fn render(summary: &Summary) -> String {
    let mut paths: Vec<&str> = Vec::new();
    let cells = || {
        summary
            .scenarios
            .iter()
            .flat_map(|scenario| &scenario.cells)
    };
    for assignment in cells().flat_map(|cell| &cell.values) {
        if !paths.contains(&&*assignment.path) {
            paths.push(&assignment.path);
        }
    }
    let mut out = WriterBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    let mut write = |record: Vec<String>| {
        out.write_record(record.into_iter().map(no_formula))
            .expect("all lines have the columns of the first, in memory");
    };
    let times = Moment::ALL.into_iter().flat_map(|moment| {
        ["p50", "p90", "p99"].into_iter().flat_map(move |quantile| {
            ["", "_low", "_high"].map(|end| format!("{}_ms_{quantile}{end}", moment.name()))
        })
    });
    let names = FIRST
        .iter()
        .chain(&paths)
        .chain(&COUNTS)
        .map(|name| (*name).to_owned());
    let costs = COSTS.iter().map(|name| (*name).to_owned());
    write(names.chain(times).chain(costs).collect());
    for scenario in &summary.scenarios {
        for (index, cell) in scenario.cells.iter().enumerate() {
            write(line(scenario, index, cell, &paths));
        }
    }
    let bytes = out.into_inner().expect("memory is always flushed");
    String::from_utf8(bytes).expect("only text was written")
}

fn line(
    scenario: &ScenarioSummary,
    index: usize,
    cell: &CellSummary,
    paths: &[&str],
) -> Vec<String> {
    let mut line = vec![scenario.name.clone(), index.to_string()];
    line.extend(paths.iter().map(|path| {
        let assignment = cell
            .values
            .iter()
            .find(|assignment| assignment.path == *path);
        match assignment.map(|assignment| &assignment.value) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    }));
    let interval = (cell.rated() > 0).then_some(cell.interval);
    let theory = &cell.theory;
    let cause = cell.failure_causes.first();
    line.extend([
        cell.rtt_ms.to_string(),
        cell.trials.to_string(),
        cell.successes.to_string(),
        cell.failures.to_string(),
        cell.errors.to_string(),
        cell.disturbed.to_string(),
        figure(cell.rate),
        figure(interval.map(|interval| interval.low)),
        figure(interval.map(|interval| interval.high)),
        theory.should.to_string(),
        theory.should_not.to_string(),
        theory.depends.to_string(),
        theory.unexpected_failures.count.to_string(),
        theory.unexpected_successes.count.to_string(),
        cause.map_or_else(String::new, |cause| cause.kind.clone()),
        cause.map_or_else(String::new, |cause| cause.count.to_string()),
        cell.verdict.map_or("", Verdict::name).to_owned(),
        figure(cell.spawn_to_syn_p50_ms),
    ]);
    let times = cell.times.per_moment().into_iter();
    line.extend(times.flat_map(|(_, all)| quantiles(all)));
    line.extend(
        [cell.cost, cell.cost_of_failures]
            .into_iter()
            .flat_map(costs),
    );
    line
}

fn quantiles(of: Option<Quantiles>) -> [String; 9] {
    let with = |value: fn(&Quantiles) -> f64, bounds: fn(&Quantiles) -> Bounds| {
        let Bounds { low, high } = of.as_ref().map(bounds).unwrap_or_default();
        [of.as_ref().map(value), low, high].map(figure)
    };
    let [p50, p90, p99] = [
        with(|all| all.p50, |all| all.p50_interval),
        with(|all| all.p90, |all| all.p90_interval),
        with(|all| all.p99, |all| all.p99_interval),
    ];
    let mut all = p50.into_iter().chain(p90).chain(p99);
    std::array::from_fn(|_| all.next().unwrap_or_default())
}

fn costs(of: CostSummary) -> [String; 4] {
    let typical = |of: Option<Typical>| [of.map(|of| of.p50), of.map(|of| of.max)].map(figure);
    let ([syns_p50, syns_max], [cpu_p50, cpu_max]) = (typical(of.syns), typical(of.cpu_ms));
    [syns_p50, syns_max, cpu_p50, cpu_max]
}

/// A field that a spreadsheet takes for text or a number, never for a formula: an apostrophe before
/// what would begin one.
fn no_formula(field: String) -> String {
    let begins_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if begins_formula && field.parse::<f64>().is_err() { format!("'{field}") } else { field }
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Outcome,
        report::{
            fixture::{cell, event, finished, scenario, skew, started, trial},
            tally::summarize,
        },
    };

    fn records(events: &[crate::event::Event]) -> Vec<Vec<String>> {
        let text = render(&summarize(events).unwrap());
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes());
        reader
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect()
    }

    fn column<'a>(records: &'a [Vec<String>], name: &str) -> Vec<&'a str> {
        let index = records[0].iter().position(|column| column == name).unwrap();
        records[1..]
            .iter()
            .map(|record| record[index].as_str())
            .collect()
    }

    #[test]
    fn a_line_for_each_cell() {
        let records = records(&skew());
        assert_eq!(records.len(), 11);
        assert_eq!(column(&records, "punch.rule")[4..6], ["article", "rolling"]);
        assert_eq!(column(&records, "successes")[..3], ["200", "184", "167"]);
        assert_eq!(column(&records, "rate")[1], "0.92");
        assert_eq!(column(&records, "first_cause")[1], "no-common-port");
        assert_eq!(column(&records, "verdict")[..3], ["pass", "inconclusive", "fail"]);
        assert_eq!(column(&records, "connected_ms_p99_high")[0], "", "200 values bound no p99");
        assert_ne!(column(&records, "connected_ms_p50_low")[0], "");
        assert_ne!(column(&records, "up_ms_p50")[0], "");
        assert_eq!(column(&records, "success_cpu_ms_max")[0], "7.5");
        assert_eq!(column(&records, "failure_syns_p50")[..2], ["", "8"]);
    }

    #[test]
    fn what_is_not_known_is_empty_and_any_text_survives() {
        let odd = "a, \"b\"\nc";
        let cells = vec![cell(&[("subject.command", odd.into())])];
        let plans = vec![scenario("one", 1, cells), scenario("two, too", 1, vec![cell(&[])])];
        let events = [started(plans), event(trial(0, 0, Outcome::Error)), finished(false)];
        let records = records(&events);
        assert_eq!(column(&records, "scenario"), ["one", "two, too"]);
        assert_eq!(column(&records, "subject.command"), [odd, ""]);
        for name in
            ["rate", "rate_low", "rate_high", "verdict", "connected_ms_p50", "success_syns_max"]
        {
            assert_eq!(column(&records, name), ["", ""], "{name}");
        }
        assert_eq!(column(&records, "errors"), ["1", "0"]);
    }

    #[test]
    fn a_run_without_cells_has_its_header() {
        let events = [started(vec![scenario("none", 1, Vec::new())])];
        assert_eq!(records(&events).len(), 1);
    }
}
