use proptest::prelude::*;

use super::*;
use crate::{
    event::{Outcome, Prediction},
    report::fixture::{
        caused, cell, event, expect, finished, predicted, scenario, skew, started, trial, trials,
    },
};

fn one_cell(success: &[&str], events: impl IntoIterator<Item = Event>) -> Summary {
    let mut plan = scenario("home", 200, vec![cell(&[])]);
    plan.expectations = success
        .iter()
        .map(|success| expect(success, None))
        .collect();
    let events: Vec<_> = [started(vec![plan])].into_iter().chain(events).collect();
    summarize(&events).unwrap()
}

fn exit_code(success: &[&str], events: impl IntoIterator<Item = Event>) -> u8 {
    one_cell(success, events.into_iter().chain([finished(false)]))
        .exit()
        .code()
}

#[test]
fn a_small_run_in_full() {
    let failed = caused(trial(0, 3, Outcome::Failure), "peer-crashed", "b: signal 11");
    let mut disturbed = predicted(trial(0, 4, Outcome::Success), Prediction::ShouldNot);
    disturbed.disturbed = Some("peer b started late".to_owned());
    disturbed.bench.start_ms = 40.5;
    let mut events: Vec<_> = trials(0, 2, 3).collect();
    events.extend([event(failed), event(disturbed), event(trial(0, 5, Outcome::Error))]);
    events.push(finished(false));
    let summary = one_cell(&[">= 0.95", "theory"], events);
    insta::assert_snapshot!(serde_json::to_string_pretty(&summary).unwrap());
}

#[test]
fn failure_beats_inconclusive_in_the_exit_code() {
    let all = || trials(0, 200, 200);
    assert_eq!(exit_code(&[], all()), 0);
    assert_eq!(exit_code(&[">= 0.95"], all()), 0);
    assert_eq!(exit_code(&[">= 0.95", ">= 0.99"], all()), 3);
    assert_eq!(exit_code(&[">= 0.99", "< 0.5"], all()), 1);
}

#[test]
fn nothing_but_errors_is_inconclusive_even_if_nothing_was_expected() {
    let errors = || (0..20).map(|number| event(trial(0, number, Outcome::Error)));
    assert_eq!(exit_code(&[], errors()), 3);
    assert_eq!(exit_code(&["theory"], errors()), 3);
    assert_eq!(exit_code(&[], []), 0);
}

#[test]
fn errors_are_in_no_rate_and_no_theory() {
    let errors = (200..260).map(|number| event(trial(0, number, Outcome::Error)));
    let events = trials(0, 200, 200).chain(errors).chain([finished(false)]);
    let summary = one_cell(&[">= 0.95"], events);
    let cell = &summary.scenarios[0].cells[0];
    assert_eq!((cell.trials, cell.errors, cell.rate), (260, 60, Some(1.0)));
    assert_eq!(cell.theory.should, 200);
    assert_eq!(summary.exit().code(), 0);
}

#[test]
fn theory_is_inconclusive_if_it_decides_no_trial() {
    let depends = (0..20)
        .map(|number| event(predicted(trial(0, number, Outcome::Failure), Prediction::Depends)));
    assert_eq!(exit_code(&["theory"], depends), 3);
    assert_eq!(exit_code(&["theory"], trials(0, 19, 20)), 1);
}

#[test]
fn a_cell_of_which_theory_decides_nothing_leaves_the_verdict_to_the_others() {
    let with = |expected: &str, second: Vec<Event>| {
        let mut plan =
            scenario("pairs", 20, [1, 2].map(|value| cell(&[("a", value.into())])).into());
        plan.expectations = vec![expect(expected, None)];
        let events = [started(vec![plan])]
            .into_iter()
            .chain(trials(0, 20, 20))
            .chain(second);
        let events: Vec<_> = events.chain([finished(false)]).collect();
        summarize(&events).unwrap()
    };
    let open = |outcome| {
        let trials = (0..20).map(|number| trial(1, number, outcome));
        trials
            .map(|trial| event(predicted(trial, Prediction::Depends)))
            .collect::<Vec<_>>()
    };
    for expected in ["theory", "theory >= 0.8"] {
        let summary = with(expected, open(Outcome::Failure));
        let scenario = &summary.scenarios[0];
        let verdicts = [Some(Verdict::Pass), None];
        assert_eq!(
            scenario
                .cells
                .iter()
                .map(|cell| cell.verdict)
                .collect::<Vec<_>>(),
            verdicts
        );
        let judged = &scenario.expectations[0].cells;
        assert_eq!(judged.iter().map(|cell| cell.verdict).collect::<Vec<_>>(), verdicts);
        assert_eq!(summary.exit().code(), 0, "{expected}");
        // Trials that were not run, or are errors of the bench, are not undecided by theory.
        assert_eq!(with(expected, Vec::new()).exit().code(), 3, "{expected}");
        assert_eq!(with(expected, open(Outcome::Error)).exit().code(), 3, "{expected}");
    }
    assert_eq!(with("theory", trials(1, 19, 20).collect()).exit().code(), 1);
}

#[test]
fn an_expectation_that_no_cell_matches_is_inconclusive() {
    let mut plan = scenario("home", 1, vec![cell(&[("wan.loss", 0.5.into())])]);
    plan.expectations = vec![expect(">= 0", Some(("wan.loss", 0.25.into())))];
    let events = [started(vec![plan]), event(trial(0, 0, Outcome::Success)), finished(false)];
    assert_eq!(summarize(&events).unwrap().exit().code(), 3);
}

#[test]
fn where_takes_5_and_5_0_for_the_same() {
    let mut plan = scenario("home", 1, vec![cell(&[("wan.delay_ms", 5.into())])]);
    plan.expectations = vec![expect(">= 1", Some(("wan.delay_ms", 5.0.into())))];
    let events = [started(vec![plan]), event(trial(0, 0, Outcome::Success)), finished(false)];
    assert_eq!(summarize(&events).unwrap().exit().code(), 0);
}

#[test]
fn a_log_without_end_is_unfinished() {
    assert_eq!(one_cell(&[], []).state, RunState::Unfinished);
    assert_eq!(one_cell(&[], [finished(true)]).state, RunState::Interrupted);
    assert_eq!(one_cell(&[], [finished(false)]).state, RunState::Finished);
}

#[test]
fn events_that_do_not_belong_together_are_refused() {
    let start = || started(vec![scenario("home", 1, vec![cell(&[])])]);
    let of = |events: &[Event]| summarize(events).unwrap_err();
    assert_eq!(of(&[]), TallyError::NotStarted);
    assert_eq!(of(&[finished(false)]), TallyError::NotStarted);
    assert_eq!(of(&[start(), start()]), TallyError::SecondStart);
    let stranger = event(trial(1, 0, Outcome::Success));
    let once = || event(trial(0, 7, Outcome::Success));
    assert_eq!(
        of(&[start(), once(), once()]).to_string(),
        "trial 0.0.7 is told of twice: were logs put together? report each run by itself"
    );
    let unknown = TallyError::UnknownCell { scenario: 0, cell: 1, trial: 0 };
    assert_eq!(of(&[start(), stranger]), unknown);
    let mut plan = scenario("home", 1, Vec::new());
    plan.expectations = vec![expect("always", None)];
    assert_eq!(
        of(&[started(vec![plan])]).to_string(),
        "scenario `home` expects `always`, which is no criterion"
    );
}

#[test]
fn a_summary_survives_json() {
    let summary = summarize(&skew()).unwrap();
    let json = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_order_of_trials_does_not_matter(
        shuffled in Just(skew().split_off(1)).prop_shuffle(),
    ) {
        let mut events = skew();
        let summary = summarize(&events).unwrap();
        events.splice(1.., shuffled);
        prop_assert_eq!(summarize(&events).unwrap(), summary);
    }
}
