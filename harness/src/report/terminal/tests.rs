use std::path::Path;

use super::*;
use crate::{
    event::{Event, Outcome, PrecisionPlan, Prediction, Times},
    peers::Side,
    report::{
        fixture::{
            caused, cell, event, expect, finished, matrix, predicted, scenario, skew, started,
            trial, trials,
        },
        tally::summarize,
    },
};

const PLAIN: Style = Style { width: 100, color: false, unicode: true };

fn view(style: Style) -> View<'static> {
    let folder = Some(Path::new("target/harness/20260101-000000-skew"));
    View { folder, style, full: false }
}

fn shown(events: &[Event], style: Style) -> String {
    let summary = summarize(events).unwrap();
    let text = render(&summary, view(style));
    for line in text.lines().filter(|_| !style.color) {
        // The path of the folder is never broken.
        let last_line = line.contains("target/harness/");
        assert!(last_line || line.chars().count() <= style.width, "too wide: {line}");
    }
    text
}

/// A run of one scenario that asks nothing special.
fn run(name: &str, cells: usize, success: &[&str], events: Vec<Event>) -> Vec<Event> {
    let cells = (0..cells).map(|index| {
        let nats = ["home", "symmetric", "cgnat"];
        if cells == 1 { cell(&[]) } else { cell(&[("peer.a.nat", nats[index].into())]) }
    });
    let mut plan = scenario(name, 200, cells.collect());
    plan.question = Some(format!("Does {name} work?"));
    plan.expectations = success
        .iter()
        .map(|success| expect(success, None))
        .collect();
    [started(vec![plan])].into_iter().chain(events).collect()
}

#[test]
fn a_single_cell_without_sweep() {
    let mut events = run("home", 1, &[">= 0.95", "theory"], trials(0, 200, 200).collect());
    events.push(finished(false));
    insta::assert_snapshot!(shown(&events, PLAIN));
}

#[test]
fn a_sweep_in_two_dimensions_with_theory() {
    insta::assert_snapshot!(shown(&skew(), PLAIN));
}

#[test]
fn a_sweep_on_a_narrow_terminal_gets_two_tables() {
    insta::assert_snapshot!(shown(&skew(), Style { width: 80, ..PLAIN }));
}

#[test]
fn a_sweep_on_a_wide_terminal_counts_in_round_trips_too() {
    insta::assert_snapshot!(shown(&skew(), Style { width: 130, ..PLAIN }));
}

#[test]
fn failures_with_causes_and_against_theory() {
    let mut events: Vec<_> = trials(0, 197, 200).collect();
    events.extend((0..200).map(|number| {
        let failed = trial(1, number, Outcome::Failure);
        let evidence =
            "NAT A mapped port 2741 to 61022, so b's SYN to 203.0.113.1:2741 was dropped";
        let failed = caused(failed, "port-remapped", evidence);
        let prediction = Prediction::ShouldNot;
        match number {
            0..6 => event(predicted(trial(1, number, Outcome::Success), prediction)),
            6..9 => event(caused(predicted(failed, prediction), "peer-crashed", "b: signal 11")),
            _ => event(predicted(failed, prediction)),
        }
    }));
    events.extend(trials(2, 200, 200));
    events.push(finished(false));
    insta::assert_snapshot!(shown(&run("mix", 3, &["theory", ">= 0.9"], events), PLAIN));
}

#[test]
fn errors_and_disturbed_trials_are_never_silent() {
    let mut events: Vec<_> = trials(0, 188, 188).collect();
    events.extend((188..200).map(|number| event(trial(0, number, Outcome::Error))));
    events.extend((0..200).map(|number| event(trial(1, number, Outcome::Error))));
    events.extend((0..200).map(|number| {
        let mut trial = trial(2, number, Outcome::Success);
        trial.disturbed = (number % 50 == 7).then(|| "the WAN delivered too late".to_owned());
        event(trial)
    }));
    events.push(finished(false));
    insta::assert_snapshot!(shown(&run("busy", 3, &[">= 0.9"], events), PLAIN));
}

#[test]
fn an_interrupted_run() {
    let mut events: Vec<_> = trials(0, 200, 200).chain(trials(1, 40, 41)).collect();
    events.push(finished(true));
    insta::assert_snapshot!(shown(&run("cut", 3, &[">= 0.95", "theory"], events), PLAIN));
}

#[test]
fn an_inconclusive_run() {
    let mut events: Vec<_> = trials(0, 20, 20).collect();
    events.push(finished(false));
    insta::assert_snapshot!(shown(&run("short", 1, &[">= 0.95", "< 0.9"], events), PLAIN));
}

#[test]
fn a_run_without_trials() {
    insta::assert_snapshot!(shown(&run("nothing", 2, &[">= 0.95"], Vec::new()), PLAIN));
}

#[test]
fn a_subject_that_theory_knows_nothing_of_and_reports_no_times() {
    let all = (0..50).map(|number| {
        let mut trial = predicted(trial(0, number, Outcome::Success), Prediction::Depends);
        trial.times = None;
        event(trial)
    });
    let mut events: Vec<_> = all.collect();
    events.push(finished(false));
    insta::assert_snapshot!(shown(&run("foreign", 1, &[], events), PLAIN));
}

#[test]
fn colours_mark_titles_and_verdicts_only() {
    let mut events = run("home", 1, &[">= 0.95", "<= 0.5"], trials(0, 200, 200).collect());
    events.push(finished(false));
    let text = shown(&events, Style { color: true, ..PLAIN });
    insta::assert_snapshot!(text.replace('\x1b', "␛"));
}

#[test]
fn without_unicode_the_report_is_ascii() {
    let text = shown(&skew(), Style { unicode: false, ..PLAIN });
    assert!(text.is_ascii());
    assert!(text.contains("184/200 92.0 % [87.4-95.0]"), "{text}");
}

#[test]
fn several_scenarios_with_different_round_trips() {
    let delays = [2, 50];
    let cells = delays.map(|delay| {
        let mut plan = cell(&[("wan.delay_ms", delay.into()), ("punch.listen", true.into())]);
        plan.rtt_ms = 2.0 * f64::from(delay);
        plan
    });
    let mut delay = scenario("delay", 100, cells.to_vec());
    delay.expectations = vec![expect("<= 0.5", Some(("wan.delay_ms", 50.into())))];
    delay
        .expectations
        .push(expect(">= 1", Some(("wan.delay_ms", 7.into()))));
    let second = scenario("second", 10, vec![cell(&[])]);
    let mut events = vec![started(vec![delay, second])];
    events.extend(trials(0, 90, 100).chain(trials(1, 51, 100)));
    events.extend((0..10).map(|number| {
        let mut trial = predicted(trial(0, number, Outcome::Success), Prediction::Depends);
        trial.scenario = 1;
        event(trial)
    }));
    insta::assert_snapshot!(shown(&events, PLAIN));
}

#[test]
fn a_matrix_of_fourteen_nats_fits_80_columns() {
    insta::assert_snapshot!(shown(&matrix(), Style { width: 80, ..PLAIN }));
}

#[test]
fn a_matrix_of_fourteen_nats_on_a_wide_terminal() {
    insta::assert_snapshot!(shown(&matrix(), Style { width: 160, ..PLAIN }));
}

#[test]
fn a_matrix_too_wide_for_any_heat_map_has_its_table() {
    let text = shown(&matrix(), Style { width: 60, ..PLAIN });
    assert!(!text.contains("Successes in %"), "{text}");
    assert!(text.lines().count() > 105, "{text}");
}

#[test]
fn a_heat_map_marks_what_is_wrong_and_shades_what_is_measured() {
    let values = ["a long name of a rule", "another long name of a rule", "x"];
    let cells = values.iter().flat_map(|&rule| {
        [1, 2].map(|number| cell(&[("rule", rule.into()), ("number", number.into())]))
    });
    let mut plan = scenario("marks", 50, cells.collect());
    plan.expectations = vec![expect(">= 0.9", None)];
    let mut events = vec![started(vec![plan])];
    let depends = |index: usize, number: u32, outcome: Outcome| {
        event(predicted(trial(index, number, outcome), Prediction::Depends))
    };
    events.extend((0..50).map(|number| depends(0, number, Outcome::Success)));
    events.extend((0..50).map(|number| depends(1, number, Outcome::Failure)));
    events.extend((0..5).map(|number| depends(2, number, Outcome::Success)));
    events.extend((0..50).map(|number| depends(3, number, Outcome::Error)));
    events.extend(trials(4, 30, 50));
    let text = shown(&events, Style { color: true, ..PLAIN });
    insta::assert_snapshot!(text.split("\n\n").nth(1).unwrap().replace('\x1b', "␛"));
    let turned = shown(&events, Style { width: 60, ..PLAIN });
    insta::assert_snapshot!(turned.split("\n\n").nth(1).unwrap());
}

#[test]
fn of_too_many_conspicuous_cells_the_worst_are_listed() {
    let mut events = matrix();
    for event in &mut events {
        if let Event::TrialFinished(trial) = event
            && trial.cell < 60
            && trial.trial == 0
        {
            trial.outcome = Outcome::Error;
            trial.times = None;
        }
    }
    let text = shown(&events, PLAIN);
    let is_cell = |line: &&str| line.contains("/49 ") || line.contains("/50 ");
    assert_eq!(text.lines().filter(is_cell).count(), 40, "{text}");
    let against = " symmetric-preserving  symmetric-preserving  1/50  2.0 %";
    assert!(text.lines().any(|line| line.starts_with(against)), "{text}");
    assert!(
        text.contains("65 cells are left out; 21 more cells call for attention too."),
        "{text}"
    );
}

#[test]
fn the_full_report_lists_every_cell() {
    let summary = summarize(&matrix()).unwrap();
    let text = render(&summary, View { full: true, ..view(PLAIN) });
    assert!(text.contains("Successes in %"));
    assert_eq!(text.lines().filter(|line| line.contains("/50 ")).count(), 105, "{text}");
}

/// Two subjects, of which one needs more SYNs and does not tell its processor time.
fn subjects() -> Vec<Event> {
    let cells = ["ours {peer}", "theirs --both {peer}"]
        .map(|command| cell(&[("subject.command", command.into())]));
    let mut events = vec![started(vec![scenario("subjects", 5, cells.to_vec())])];
    events.extend(trials(0, 5, 5));
    events.extend((0..5).map(|number| {
        let outcome = if number < 3 { Outcome::Success } else { Outcome::Failure };
        let mut trial = trial(1, number, outcome);
        trial.peers[Side::B].syns = 40 + number;
        trial.peers[Side::A].cpu_ms = None;
        event(trial)
    }));
    events.push(finished(false));
    events
}

#[test]
fn a_time_without_any_value_is_not_said_to_need_more_trials() {
    let all = (0..6).map(|number| {
        let mut trial = trial(0, number, Outcome::Success);
        trial.times = trial.times.map(|times| Times { chosen_ms: None, ..times });
        event(trial)
    });
    let text = shown(&run("foreign", 1, &["chosen_ms p50 <= 90"], all.collect()), PLAIN);
    assert!(text.contains("none of the 6 successes has such a time, expected chosen_ms"), "{text}");
    assert!(text.contains("What runs there does not report it"), "{text}");
}

#[test]
fn costs_of_subjects_are_compared() {
    insta::assert_snapshot!(shown(&subjects(), PLAIN));
}

#[test]
fn a_full_report_has_the_costs_of_trials() {
    let summary = summarize(&skew()).unwrap();
    assert!(!render(&summary, view(PLAIN)).contains("Cost of a trial"));
    let text = render(&summary, View { full: true, ..view(PLAIN) });
    insta::assert_snapshot!(
        text.split("\n\n")
            .find(|line| line.starts_with("Cost"))
            .unwrap()
    );
}

#[test]
fn a_precision_that_was_not_reached_is_reported() {
    let mut plan = scenario("precise", 16, vec![cell(&[("wan.loss", 0.into())])]);
    plan.cells.push(cell(&[("wan.loss", 1.into())]));
    plan.precision = Some(PrecisionPlan { half_width: 0.1, trials_max: 60 });
    let mut events = vec![started(vec![plan])];
    events.extend(trials(0, 16, 16).chain(trials(1, 30, 60)));
    let text = shown(&events, PLAIN);
    let words = "precision 0.1 by 16 to 60 trials (not reached in 1 cell) in each of 2 cells";
    // The line is wrapped.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(words), "{text}");
}
