//! Failures that an expectation allows at a number of trials, in words, by the rule of the judge.

use crate::{
    event::ExpectationPlan,
    report::expectation::{Allowance, rate_allowance, time_allowance},
    scenario::{Bound, Criterion, MAX_TRIALS, Scenario},
    stats::least,
    ui::plural::{Noun, count},
};

/// One line for each expectation of a scenario.
pub(super) fn lines(scenario: &Scenario) -> Vec<String> {
    let line = |expectation: &ExpectationPlan| {
        let criterion: Criterion = expectation.expected.parse().ok()?;
        let subject = subject(&criterion);
        let meant = scenario.cells_of(expectation).count();
        let cells = match (meant, scenario.cells.len()) {
            (_, 1) => String::new(),
            (meant, all) if meant == all => format!(" in each of {all} cells"),
            (meant, all) => format!(" in {meant} of {all} cells"),
        };
        Some(format!("{subject}{criterion}{cells}: {}", allowed(&criterion, max_trials(scenario))))
    };
    scenario.expectations.iter().filter_map(line).collect()
}

/// Warnings about expectations that even the best result would leave inconclusive.
pub(super) fn undecidable(scenario: &Scenario) -> Vec<String> {
    // A cell with a precision stops after the minimum of trials if all outcomes are equal.
    let trials = u64::from(scenario.trials);
    let warning = |expectation: &ExpectationPlan| {
        let criterion: Criterion = expectation.expected.parse().ok()?;
        if allowance(&criterion, trials)?.passes_up_to.is_some() {
            return None;
        }
        let subject = subject(&criterion);
        let enough =
            least_to_prove(&criterion).map_or_else(String::new, |least| format!("; {least} could"));
        if scenario.precision.is_some() {
            return Some(format!(
                "a cell may be narrow enough after {trials} trials, which cannot prove \
                 {subject}{criterion}, whatever they show{enough}: set `trials`, the fewest \
                 there are"
            ));
        }
        Some(format!(
            "{trials} trials in a cell cannot prove {subject}{criterion}, whatever they \
             show{enough}"
        ))
    };
    scenario.expectations.iter().filter_map(warning).collect()
}

/// Allowance of a criterion whose figure comes from all trials; `None` for other criteria.
fn allowance(criterion: &Criterion, trials: u64) -> Option<Allowance> {
    match criterion {
        Criterion::Success(bound) | Criterion::AsTheorySays(bound) => {
            Some(rate_allowance(*bound, trials))
        }
        Criterion::Time(_, quantile, bound) => Some(time_allowance(*quantile, *bound, trials)),
        Criterion::Theory | Criterion::Cause(..) | Criterion::Causes(_) => None,
    }
}

/// Minimum of trials that can prove a criterion; `None` if more than [`MAX_TRIALS`] are needed.
fn least_to_prove(criterion: &Criterion) -> Option<u64> {
    let proves = |trials| {
        allowance(criterion, trials).is_some_and(|allowance| allowance.passes_up_to.is_some())
    };
    Some(least(1, u64::from(MAX_TRIALS), proves)).filter(|trials| proves(*trials))
}

/// Subject of a criterion whose text lacks one.
fn subject(criterion: &Criterion) -> &'static str {
    if matches!(criterion, Criterion::Success(_)) { "success " } else { "" }
}

/// Maximum of trials in a cell.
fn max_trials(scenario: &Scenario) -> u64 {
    u64::from(
        scenario
            .precision
            .map_or(scenario.trials, |precision| precision.trials_max),
    )
}

fn allowed(criterion: &Criterion, trials: u64) -> String {
    let with = |noun: Noun<'_>| count(trials, noun);
    match criterion {
        Criterion::Theory => "fails with the first trial that goes otherwise".to_owned(),
        Criterion::Causes(_) => "fails with the first failure of another cause".to_owned(),
        Criterion::Success(bound) => {
            let against = if bound.sign.is_lower() { "failure".into() } else { SUCCESS };
            words(&with("trial".into()), rate_allowance(*bound, trials), against)
        }
        Criterion::AsTheorySays(bound) => {
            let against = if bound.sign.is_lower() { OTHERWISE } else { AS_IT_SAYS };
            words(&with("decided trial".into()), rate_allowance(*bound, trials), against)
        }
        Criterion::Time(_, quantile, bound) => {
            let against = if bound.sign.is_lower() { "faster one" } else { "slower one" };
            words(&with(SUCCESS), time_allowance(*quantile, *bound, trials), against.into())
        }
        Criterion::Cause(_, bound) => share_of_failures(*bound, trials),
    }
}

const SUCCESS: Noun<'_> = Noun::Irregular("success", "successes");
const OTHERWISE: Noun<'_> = Noun::Irregular("trial otherwise", "trials otherwise");
const AS_IT_SAYS: Noun<'_> = Noun::Irregular("trial as it says", "trials as it says");

fn words(with: &str, allowance: Allowance, against: Noun<'_>) -> String {
    let Allowance { passes_up_to, fails_from } = allowance;
    let fails = match fails_from {
        Some(least) => format!("fails from {least} on"),
        None => "never fails".to_owned(),
    };
    match passes_up_to {
        Some(0) => format!("with {with} passes without any {}, {fails}", against.singular()),
        Some(most) => format!("with {with} passes with at most {}, {fails}", count(most, against)),
        None => {
            let fails = fails_from.map_or("it never fails".to_owned(), |least| {
                format!("fails from {} on", count(least, against))
            });
            format!("{with} cannot prove it, whatever they show; {fails}")
        }
    }
}

/// Allowance of a criterion on a share of the failures, whose number is not known yet.
fn share_of_failures(bound: Bound, trials: u64) -> String {
    let enough = (1..=trials).find(|all| rate_allowance(bound, *all).passes_up_to.is_some());
    let alike = if bound.sign.is_lower() { "all with" } else { "none with" };
    match enough {
        Some(enough) => {
            format!("passes with {} or more, {alike} this cause", count(enough, "failure"))
        }
        None => format!("cannot be proven by {}, even if every one fails", count(trials, "trial")),
    }
}
