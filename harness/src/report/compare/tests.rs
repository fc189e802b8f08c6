use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::{
    event::{CellPlan, Outcome, ScenarioPlan, TrialFinished},
    report::fixture::{cell, event, finished, matrix, scenario, skew, started, trial, trials},
    ui::style::Style,
};

const PLAIN: Style = Style { width: 100, color: false, unicode: true };

fn compared(first: &[Event], second: &[Event]) -> Comparison {
    compare(first, second, MIN_MS).unwrap()
}

fn shown(comparison: &Comparison, style: Style) -> String {
    let folders = [Path::new("runs/old"), Path::new("runs/new")];
    let text = render(comparison, folders, false, style);
    for line in text.lines().filter(|_| !style.color) {
        assert!(line.chars().count() <= style.width, "too wide: {line}");
    }
    text
}

fn plan(name: &str, delays: &[i64]) -> ScenarioPlan {
    let cells = delays
        .iter()
        .map(|&delay| cell(&[("wan.delay_ms", delay.into())]));
    scenario(name, 200, cells.collect())
}

fn run(plan: ScenarioPlan, events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    [started(vec![plan])]
        .into_iter()
        .chain(events)
        .chain([finished(false)])
        .collect()
}

fn slower(by_ms: f64) -> impl Iterator<Item = Event> {
    (0..200).map(move |number| {
        let mut trial = trial(0, number, Outcome::Success);
        let times = trial.times.as_mut().unwrap();
        times.connected_ms = times.connected_ms.map(|ms| ms + by_ms);
        event(trial)
    })
}

#[test]
fn a_lower_rate_is_worse_and_a_higher_one_better() {
    let first = run(plan("x", &[1, 2, 3]), trials(0, 200, 200).chain(trials(1, 150, 200)));
    let second = run(plan("x", &[1, 2, 3]), trials(0, 150, 200).chain(trials(1, 200, 200)));
    let comparison = compared(&first, &second);
    let changes = |comparison: &Comparison| -> Vec<Change> {
        comparison.scenarios[0]
            .cells
            .iter()
            .map(|cell| cell.rate.change)
            .collect()
    };
    assert_eq!(changes(&comparison), [Change::Worse, Change::Better, Change::NotComparable]);
    assert_eq!(comparison.verdict, Change::Worse);
    let back = compared(&second, &first);
    assert_eq!(changes(&back), [Change::Better, Change::Worse, Change::NotComparable]);
}

#[test]
fn a_run_does_not_differ_from_itself() {
    let comparison = compared(&matrix(), &matrix());
    assert_eq!(comparison.differences, 3 * 105);
    let changes = comparison.scenarios[0]
        .cells
        .iter()
        .flat_map(CellComparison::changes);
    assert!(
        changes
            .clone()
            .any(|change| change == Change::NoDifferenceShown)
    );
    assert!(
        changes
            .clone()
            .all(|change| change <= Change::NoDifferenceShown)
    );
    assert_eq!(comparison.verdict, Change::NoDifferenceShown);
}

/// The same run with other seeds.
fn reseeded(mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        if let Event::TrialFinished(trial) = event {
            trial.seed = format!("f{}", trial.seed);
        }
    }
    events
}

#[test]
fn trials_with_the_same_seed_show_a_smaller_difference() {
    let first = run(plan("x", &[1]), trials(0, 100, 200));
    let second = run(plan("x", &[1]), trials(0, 86, 200));
    let rate = |second: &[Event]| compared(&first, second).scenarios[0].cells[0].rate.clone();
    let paired = rate(&second);
    assert_eq!((paired.pairs, paired.change), (200, Change::Worse), "{paired:?}");
    let unpaired = rate(&reseeded(second.clone()));
    assert_eq!((unpaired.pairs, unpaired.change), (0, Change::NoDifferenceShown), "{unpaired:?}");
    // The first trials of a longer run are those of a shorter one.
    let longer = run(plan("x", &[1]), trials(0, 86, 300));
    assert_eq!(rate(&longer).pairs, 200);
    let text = |second: &[Event]| shown(&compared(&first, second), PLAIN);
    assert!(text(&second).contains("200 trials are in both runs"), "{}", text(&second));
    assert!(!text(&reseeded(second)).contains("pairs"));
}

#[test]
fn medians_differ_from_the_least_difference_on() {
    let first = run(plan("x", &[1]), slower(0.0));
    let change = |by_ms: f64| {
        let second = run(plan("x", &[1]), slower(by_ms));
        compared(&first, &second).scenarios[0].cells[0]
            .connected
            .change
    };
    assert_eq!(change(0.9), Change::NoDifferenceShown);
    assert_eq!(change(5.0), Change::Worse);
    assert_eq!(change(-5.0), Change::Better);
    let second = run(plan("x", &[1]), slower(5.0));
    let tolerant = compare(&first, &second, 10.0).unwrap();
    assert_eq!(tolerant.verdict, Change::NoDifferenceShown);
}

#[test]
fn times_of_other_delays_are_not_compared() {
    let first = run(plan("x", &[1]), slower(0.0));
    let mut other = plan("x", &[1]);
    other.cells[0].rtt_ms = 80.0;
    let second = run(other, slower(30.0));
    let cell = &compared(&first, &second).scenarios[0].cells[0];
    assert_eq!(cell.connected.change, Change::NotComparable);
    assert_eq!(cell.rate.change, Change::NoDifferenceShown);
}

#[test]
fn a_hundred_cells_need_a_greater_difference_than_one() {
    let change = |cells: i64| {
        let delays: Vec<i64> = (0..cells).collect();
        let of = |successes: u32| {
            let rest = (1..delays.len()).flat_map(|cell| trials(cell, 200, 200));
            run(plan("x", &delays), trials(0, successes, 200).chain(rest))
        };
        compared(&of(200), &of(192)).scenarios[0].cells[0]
            .rate
            .change
    };
    assert_eq!(change(1), Change::Worse);
    assert_eq!(change(100), Change::NoDifferenceShown);
}

#[test]
fn cells_are_matched_by_their_values_in_any_order() {
    let values = |pairs: [(&str, serde_json::Value); 2]| cell(&pairs);
    let one = [values([("a", 5.into()), ("b", "x".into())]), cell(&[("a", 6.into())])];
    let other: Vec<CellPlan> = vec![values([("b", "x".into()), ("a", 5.0.into())])];
    let first = run(scenario("x", 200, one.to_vec()), trials(0, 200, 200));
    let second = run(scenario("x", 200, other), trials(0, 100, 200));
    let comparison = compared(&first, &second);
    assert_eq!(comparison.scenarios[0].cells.len(), 1);
    assert_eq!(comparison.verdict, Change::Worse);
    assert_eq!(comparison.only_in, [vec!["x at a=6".to_owned()], Vec::new()]);
}

#[test]
fn runs_without_a_common_cell_are_refused() {
    let first = run(plan("x", &[1, 2]), []);
    let second = run(plan("y", &[1]), []);
    assert_eq!(
        compare(&first, &second, MIN_MS).unwrap_err().to_string(),
        "the runs have no cell in common, so nothing can be compared: the first has x (2 cells), \
         the second y (1 cell); cells are matched by the scenario's name and their swept values"
    );
    let third = run(plan("x", &[3]), []);
    assert!(compare(&first, &third, MIN_MS).is_err());
    let error = compare(&first, &[], MIN_MS).unwrap_err().to_string();
    assert_eq!(error, "second run: the events do not begin with the start of a run");
}

#[test]
fn errors_of_the_bench_are_in_no_figure() {
    let first = run(plan("x", &[1]), trials(0, 200, 200));
    let errors = (200..400).map(|number| event(trial(0, number, Outcome::Error)));
    let second = run(plan("x", &[1]), trials(0, 200, 200).chain(errors));
    assert_eq!(compared(&first, &second).scenarios[0].cells[0].rate.trials, [200, 200]);
}

#[test]
fn differing_seeds_texts_and_jobs_are_reported() {
    let text = |first: Option<&str>, second: Option<&str>, jobs: usize| {
        let [first, mut second] = [first, second].map(|source| {
            let mut plan = plan("x", &[1]);
            plan.source = source.map(str::to_owned);
            run(plan, slower(0.0))
        });
        let Event::RunStarted(started) = &mut second[0] else { panic!("the start") };
        started.jobs = jobs;
        shown(&compared(&first, &second), PLAIN)
    };
    assert!(text(Some("a"), Some("a"), 8).contains("the same trials (seed 42)"));
    assert!(text(Some("a"), Some("b"), 8).contains("seed 42, but the scenario differs"));
    assert!(text(None, Some("b"), 8).contains("seed 42 in both"));
    assert!(!text(None, None, 8).contains("at once"));
    assert!(text(None, None, 2).contains("Up to 8 labs stood at once in the first run, 2 in the"));
}

/// The skew sweep with a lower rate in one cell, later times in another, other values in the last
/// cell, and a further scenario.
fn changed() -> Vec<Event> {
    let mut events = skew();
    let change = |trial: &mut TrialFinished| {
        if trial.cell == 5 && trial.trial < 60 {
            trial.outcome = Outcome::Failure;
            trial.times = None;
        }
        if trial.cell == 6 {
            let times = trial.times.as_mut().unwrap();
            times.returned_ms = times.returned_ms.map(|ms| ms + 12.5);
        }
    };
    for event in &mut events {
        match event {
            Event::TrialFinished(trial) => change(trial),
            Event::RunStarted(started) => {
                started.scenarios[0].cells[9].values[1].value = 80.into();
                started
                    .scenarios
                    .push(scenario("another", 5, vec![cell(&[])]));
            }
            Event::CellExtended(_) | Event::CellDecided(_) | Event::RunFinished(_) => {}
        }
    }
    events
}

#[test]
fn a_comparison_as_text_and_as_json() {
    let comparison = compared(&skew(), &changed());
    insta::assert_snapshot!(shown(&comparison, PLAIN));
    insta::assert_snapshot!(shown(&comparison, Style { width: 72, ..PLAIN }));
    let color = shown(&comparison, Style { color: true, ..PLAIN });
    assert!(color.contains("\x1b[1m\x1b[31mWORSE\x1b[0m"), "{color}");
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&comparison.scenarios[0].cells[5]).unwrap()
    );
}

#[test]
fn of_many_cells_only_those_that_differ_are_listed() {
    let mut events = matrix();
    for event in &mut events {
        if let Event::TrialFinished(trial) = event
            && trial.cell == 3
        {
            trial.outcome = Outcome::Failure;
            trial.times = None;
        }
    }
    let comparison = compared(&matrix(), &events);
    let text = shown(&comparison, PLAIN);
    let rows = |text: &str| text.lines().filter(|line| line.contains("/50 ")).count();
    assert_eq!(rows(&text), 1, "{text}");
    assert!(text.contains("104 cells not shown to differ; --full lists all."), "{text}");
    let full = render(&comparison, [Path::new("a"), Path::new("b")], true, PLAIN);
    assert_eq!(rows(&full), 105, "{full}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn exchanging_the_runs_exchanges_better_and_worse(
        one in 0..=200_u32,
        other in 0..=200_u32,
    ) {
        let run = |successes| run(plan("x", &[1]), trials(0, successes, 200));
        let there = compared(&run(one), &run(other)).scenarios[0].cells[0].rate.change;
        let back = compared(&run(other), &run(one)).scenarios[0].cells[0].rate.change;
        let expected = match there {
            Change::Better => Change::Worse,
            Change::Worse => Change::Better,
            same @ (Change::NoDifferenceShown | Change::NotComparable) => same,
        };
        prop_assert_eq!(back, expected);
    }
}
