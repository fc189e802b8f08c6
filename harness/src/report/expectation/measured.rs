//! Text for a measured value: `p50 53.1 ms [52.8–53.6] of 200`.

use crate::{
    report::{
        summary::{CellSummary, JudgedCell, Measured},
        text::rate,
    },
    scenario::{Criterion, TimeUnit},
    ui::plural::count,
};

/// Text for the value that a criterion compares, in a cell.
pub(super) fn text(criterion: &Criterion, judged: &JudgedCell, cell: &CellSummary) -> String {
    match criterion {
        Criterion::Success(_) | Criterion::Theory => match cell.rated() {
            0 => "no result".to_owned(),
            rated => format!("{} succeeded", rate(cell.successes, rated)),
        },
        Criterion::AsTheorySays(_) => match (cell.theory.decided(), cell.theory.unexpected()) {
            (0, _) => "no trial that theory decides".to_owned(),
            (decided, unexpected) => {
                format!("{} as theory says", rate(decided - unexpected, decided))
            }
        },
        Criterion::Time(time, quantile, _) => {
            let Some(Measured { value, interval, count }) = judged.measured else {
                return match cell.successes {
                    0 => "no success to take a time of".to_owned(),
                    1 => "the one success has no such time".to_owned(),
                    all => format!("none of the {all} successes has such a time"),
                };
            };
            let unit = match time.unit {
                TimeUnit::Milliseconds => "ms",
                TimeUnit::RoundTrips => "RTT",
            };
            let end = |end: Option<f64>| end.map_or("?".to_owned(), |end| figure(end, time.unit));
            let value = figure(value, time.unit);
            let (low, high) = (end(interval.low), end(interval.high));
            format!("{quantile} {value} {unit} [{low}–{high}] of {count}")
        }
        Criterion::Cause(kind, _) => {
            if cell.failures == 0 {
                return "no failure to have a cause".to_owned();
            }
            let matching = cell
                .failure_causes
                .iter()
                .filter(|cause| cause.kind == *kind)
                .map(|cause| cause.count)
                .sum();
            format!("{} of the failures", rate(matching, cell.failures))
        }
        Criterion::Causes(kinds) => {
            let others: Vec<_> = cell
                .failure_causes
                .iter()
                .filter(|cause| !kinds.contains(&cause.kind))
                .collect();
            let all = count(cell.failures, "failure");
            if others.is_empty() {
                return format!("{all}, none of another cause");
            }
            let each = others
                .iter()
                .map(|cause| format!("{} × {}", cause.count, cause.kind));
            format!("{all}, of other causes {}", each.collect::<Vec<_>>().join(", "))
        }
    }
}

fn figure(value: f64, unit: TimeUnit) -> String {
    match unit {
        TimeUnit::Milliseconds => format!("{value:.1}"),
        TimeUnit::RoundTrips => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        event::Outcome,
        report::{
            fixture::{caused, cell, event, expect, finished, scenario, started, trial, trials},
            tally::summarize,
            terminal,
        },
        ui::style::Style,
    };

    #[test]
    fn the_measured_value_comes_first_for_every_criterion() {
        let mut plan = scenario(
            "home",
            203,
            [0.0, 0.5]
                .map(|loss| cell(&[("wan.loss", loss.into())]))
                .to_vec(),
        );
        let expected = [
            "connected_ms p50 <= 54",
            "connected_rtt p90 <= 1",
            "connected_ms p99 <= 65",
            "returned_ms p50 >= 100",
            "cause syn-lost >= 0.5",
            "cause refused <= 0.9",
            "causes syn-lost, refused",
            "causes refused",
            "theory >= 0.9",
        ];
        plan.expectations = expected.iter().map(|text| expect(text, None)).collect();
        let mut events = vec![started(vec![plan])];
        events.extend(trials(0, 200, 203));
        let refused = caused(trial(0, 203, Outcome::Failure), "refused", "a: refused");
        events.extend([event(refused), finished(false)]);
        let summary = summarize(&events).unwrap();
        let style = Style::detect(false, |_| None, None);
        let view = terminal::View { folder: None, style, full: false };
        insta::assert_snapshot!(terminal::render(&summary, view));
    }
}
