//! What was measured for an expectation, in words: `p50 53.1 ms [52.8–53.6] of 200`.

use crate::{
    report::{
        summary::{CellSummary, JudgedCell, Measured},
        text::rate,
    },
    scenario::{Criterion, TimeUnit},
    stats::Bounds,
    ui::plural::count,
};

/// What a cell showed of what a criterion is on.
pub(super) fn words(criterion: &Criterion, verdict: &JudgedCell, cell: &CellSummary) -> String {
    match criterion {
        Criterion::Success(_) | Criterion::Theory => match cell.rated() {
            0 => "no result".to_owned(),
            judged => format!("{} succeeded", rate(cell.successes, judged)),
        },
        Criterion::AsTheorySays(_) => match (cell.theory.decided(), cell.theory.unexpected()) {
            (0, _) => "no trial that theory decides".to_owned(),
            (decided, otherwise) => {
                format!("{} as theory says", rate(decided - otherwise, decided))
            }
        },
        Criterion::Time(time, quantile, _) => {
            let Some(Measured { value, interval, count }) = verdict.measured else {
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
            let figure = |figure| figures(figure, time.unit);
            let Bounds { low, high } = interval;
            let end = |end: Option<f64>| end.map_or("?".to_owned(), figure);
            let (value, low, high) = (figure(value), end(low), end(high));
            format!("{quantile} {value} {unit} [{low}–{high}] of {count}")
        }
        Criterion::Cause(kind, _) => {
            if cell.failures == 0 {
                return "no failure to have a cause".to_owned();
            }
            let with = cell
                .failure_causes
                .iter()
                .filter(|cause| cause.kind == *kind);
            let with = with.map(|cause| cause.count).sum();
            format!("{} of the failures", rate(with, cell.failures))
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

fn figures(value: f64, unit: TimeUnit) -> String {
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
    fn what_was_measured_comes_first_whatever_was_expected() {
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
