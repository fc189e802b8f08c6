//! Verdict of an expectation on one cell.
//!
//! The interval of a figure decides, not the figure: the expectation passes or fails only if the
//! whole 95 % interval lies on one side of the bound, and is inconclusive otherwise.

use crate::{
    moments::PerMoment,
    report::summary::{CauseSummary, Measured, Verdict},
    scenario::{Bound, Criterion, Quantile, Sign, Time, TimeUnit},
    stats::{Bounds, CONFIDENCE, Interval, quantile, quantile_bounds, wilson},
};

/// Trials that theory decides, without errors of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TheoryCounts {
    /// Number of the trials.
    pub decided: u64,
    /// Number of those that did not end as predicted.
    pub unexpected: u64,
}

impl TheoryCounts {
    fn as_predicted(self) -> u64 {
        self.decided - self.unexpected
    }
}

/// Results of a cell, as far as expectations use them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CellMeasures<'a> {
    /// Trials that succeeded.
    pub successes: u64,
    /// Trials in the rate: successes and failures.
    pub trials: u64,
    /// Trials that theory decides.
    pub theory: TheoryCounts,
    /// Times of the successes.
    pub times: TimeSamples<'a>,
    /// Causes of the failures.
    pub failure_causes: &'a [CauseSummary],
}

impl CellMeasures<'_> {
    fn failures(&self) -> u64 {
        self.trials - self.successes
    }
}

/// Times of successes until each moment, in any order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TimeSamples<'a> {
    /// Times in milliseconds.
    pub ms: PerMoment<&'a [f64]>,
    /// Times in round-trip times of each trial.
    pub rtt: PerMoment<&'a [f64]>,
}

impl<'a> TimeSamples<'a> {
    fn of(&self, time: Time) -> &'a [f64] {
        match time.unit {
            TimeUnit::Milliseconds => self.ms[time.moment],
            TimeUnit::RoundTrips => self.rtt[time.moment],
        }
    }
}

/// Verdict of a criterion on a cell, with the figure that was compared with the bound.
///
/// There is no verdict if the criterion is on theory, and theory decides none of the trials. There
/// is no figure without values, nor for `theory` and `causes`, which are on each single trial.
///
/// # Panics
///
/// If there are more successes than trials.
pub(crate) fn judge(
    criterion: &Criterion,
    cell: &CellMeasures<'_>,
) -> (Option<Verdict>, Option<Measured>) {
    let is_on_theory = matches!(criterion, Criterion::Theory | Criterion::AsTheorySays(_));
    if is_on_theory && cell.theory.decided == 0 && cell.trials > 0 {
        return (None, None);
    }
    let (verdict, measured) = judge_decidable(criterion, cell);
    (Some(verdict), measured)
}

fn judge_decidable(criterion: &Criterion, cell: &CellMeasures<'_>) -> (Verdict, Option<Measured>) {
    let rate = |bound: &Bound, part: u64, all: u64| {
        (judge_rate(*bound, part, all), measured_rate(part, all))
    };
    match criterion {
        Criterion::Theory => (judge_theory(cell.theory), None),
        Criterion::Success(bound) => rate(bound, cell.successes, cell.trials),
        Criterion::AsTheorySays(bound) => {
            rate(bound, cell.theory.as_predicted(), cell.theory.decided)
        }
        Criterion::Time(time, quantile, bound) => {
            judge_time(*quantile, *bound, cell.times.of(*time))
        }
        Criterion::Cause(kind, bound) => {
            let matching = cell
                .failure_causes
                .iter()
                .filter(|cause| cause.kind == *kind);
            rate(bound, matching.map(|cause| cause.count).sum(), cell.failures())
        }
        Criterion::Causes(kinds) => (judge_causes(kinds, cell), None),
    }
}

fn measured_rate(part: u64, all: u64) -> Option<Measured> {
    let Interval { low, high } = wilson(part, all);
    let interval = Bounds { low: Some(low), high: Some(high) };
    (all > 0).then(|| Measured { value: part as f64 / all as f64, interval, count: all })
}

/// Passes if all decided trials ended as predicted, fails if one did not, and is inconclusive
/// without decided trials.
fn judge_theory(theory: TheoryCounts) -> Verdict {
    match theory {
        TheoryCounts { unexpected: 1.., .. } => Verdict::Fail,
        TheoryCounts { decided: 0, .. } => Verdict::Inconclusive,
        TheoryCounts { .. } => Verdict::Pass,
    }
}

/// Fails if one failure has a cause that is not listed, passes otherwise, and is inconclusive
/// without trials.
fn judge_causes(kinds: &[String], cell: &CellMeasures<'_>) -> Verdict {
    let is_other = |cause: &CauseSummary| !kinds.contains(&cause.kind);
    match (cell.failure_causes.iter().any(is_other), cell.trials) {
        (true, _) => Verdict::Fail,
        (false, 0) => Verdict::Inconclusive,
        (false, _) => Verdict::Pass,
    }
}

/// Verdict of a bound on a quantile of a sample.
pub(super) fn judge_time(
    at: Quantile,
    bound: Bound,
    sample: &[f64],
) -> (Verdict, Option<Measured>) {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(value) = quantile(&sorted, at.share()) else {
        return (Verdict::Inconclusive, None);
    };
    let interval = quantile_bounds(&sorted, at.share(), CONFIDENCE);
    let Bounds { low, high } = interval;
    let limit = bound.value;
    let verdict = verdict_of(match bound.sign {
        Sign::AtMost => (high.is_some_and(|end| end <= limit), low.is_some_and(|end| end > limit)),
        Sign::LessThan => {
            (high.is_some_and(|end| end < limit), low.is_some_and(|end| end >= limit))
        }
        Sign::AtLeast => (low.is_some_and(|end| end >= limit), high.is_some_and(|end| end < limit)),
        Sign::MoreThan => {
            (low.is_some_and(|end| end > limit), high.is_some_and(|end| end <= limit))
        }
    });
    (verdict, Some(Measured { value, interval, count: sample.len() as u64 }))
}

/// Verdict of a bound on the share of `part` in `all`.
pub(super) fn judge_rate(bound: Bound, part: u64, all: u64) -> Verdict {
    if all == 0 {
        return Verdict::Inconclusive;
    }
    let Interval { low, high } = wilson(part, all);
    let rest = all - part;
    let limit = bound.value;
    verdict_of(match bound.sign {
        // No interval of finitely many trials reaches the limits 0 and 1, so these bounds are read
        // as what their author means: no trial, or every trial. One counter-example refutes them.
        Sign::AtLeast if limit >= 1.0 => (rest == 0, rest > 0),
        Sign::AtMost if limit <= 0.0 => (part == 0, part > 0),
        Sign::AtLeast => (low >= limit, high < limit),
        Sign::MoreThan => (low > limit, high <= limit),
        Sign::AtMost => (high <= limit, low > limit),
        Sign::LessThan => (high < limit, low >= limit),
    })
}

fn verdict_of((passes, fails): (bool, bool)) -> Verdict {
    match (passes, fails) {
        (true, _) => Verdict::Pass,
        (false, true) => Verdict::Fail,
        (false, false) => Verdict::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(criterion: &str, successes: u64, trials: u64) -> Verdict {
        let measures = CellMeasures { successes, trials, ..CellMeasures::default() };
        judge(&criterion.parse().unwrap(), &measures).0.unwrap()
    }

    fn theory(trials: u64, decided: u64, unexpected: u64) -> Option<Verdict> {
        let theory = TheoryCounts { decided, unexpected };
        judge(&Criterion::Theory, &CellMeasures { trials, theory, ..CellMeasures::default() }).0
    }

    fn time(criterion: &str, sample: &[f64]) -> Verdict {
        let none = PerMoment::default();
        let times = TimeSamples {
            ms: PerMoment { connected: sample, ..none },
            rtt: PerMoment { up: sample, returned: sample, ..none },
        };
        judge(&criterion.parse().unwrap(), &CellMeasures { times, ..CellMeasures::default() })
            .0
            .unwrap()
    }

    fn causes(criterion: &str, trials: u64, causes: &[(&str, u64)]) -> Verdict {
        let failed: u64 = causes.iter().map(|(_, count)| count).sum();
        let cause = |(kind, count): &(&str, u64)| CauseSummary {
            kind: (*kind).to_owned(),
            count: *count,
            trial: 0,
            evidence: String::new(),
        };
        let failure_causes: &[_] = &causes.iter().map(cause).collect::<Vec<_>>();
        let successes = trials - failed;
        let measures =
            CellMeasures { successes, trials, failure_causes, ..CellMeasures::default() };
        judge(&criterion.parse().unwrap(), &measures).0.unwrap()
    }

    #[test]
    fn a_quantile_is_judged_by_its_interval() {
        // The interval of the median of 100 values reaches from the 40th to the 61st.
        let sample: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(time("connected_ms p50 <= 61", &sample), Verdict::Pass);
        assert_eq!(time("connected_ms p50 < 61", &sample), Verdict::Inconclusive);
        assert_eq!(time("connected_ms p50 <= 50", &sample), Verdict::Inconclusive);
        assert_eq!(time("connected_ms p50 <= 40", &sample), Verdict::Inconclusive);
        assert_eq!(time("connected_ms p50 < 40", &sample), Verdict::Fail);
        assert_eq!(time("connected_ms p50 >= 40", &sample), Verdict::Pass);
        assert_eq!(time("connected_ms p50 > 61", &sample), Verdict::Fail);
        assert_eq!(time("returned_rtt p50 <= 61", &sample), Verdict::Pass);
        assert_eq!(time("returned_ms p50 <= 61", &sample), Verdict::Inconclusive, "no values");
        assert_eq!(time("up_rtt p50 <= 61", &sample), Verdict::Pass);
        assert_eq!(time("up_ms p50 <= 61", &sample), Verdict::Inconclusive, "no values");
    }

    #[test]
    fn a_tail_needs_many_values() {
        let sample = vec![5.0; 368];
        assert_eq!(time("connected_ms p99 <= 5", &sample), Verdict::Pass);
        assert_eq!(time("connected_ms p99 <= 5", &sample[1..]), Verdict::Inconclusive);
    }

    #[test]
    fn a_cause_is_judged_by_its_share_of_the_failures() {
        let share = "cause refused >= 0.9";
        assert_eq!(causes(share, 100, &[("refused", 60)]), Verdict::Pass);
        assert_eq!(causes(share, 100, &[("refused", 10)]), Verdict::Inconclusive);
        assert_eq!(causes(share, 100, &[("refused", 20), ("no-peer", 20)]), Verdict::Fail);
        assert_eq!(causes(share, 100, &[]), Verdict::Inconclusive);
    }

    #[test]
    fn one_other_cause_is_too_many_where_they_are_listed() {
        let only = "causes refused, no-peer";
        assert_eq!(causes(only, 100, &[("refused", 1)]), Verdict::Pass);
        assert_eq!(causes(only, 100, &[("refused", 20), ("no-answer", 1)]), Verdict::Fail);
        assert_eq!(causes(only, 100, &[]), Verdict::Pass);
        assert_eq!(causes(only, 0, &[]), Verdict::Inconclusive);
    }

    #[test]
    fn a_share_of_theory_forgives_some_trials() {
        let theory = TheoryCounts { decided: 1000, unexpected: 1 };
        let measures = CellMeasures { theory, ..CellMeasures::default() };
        let judged = |text: &str| judge(&text.parse().unwrap(), &measures).0.unwrap();
        assert_eq!(judged("theory >= 0.99"), Verdict::Pass);
        assert_eq!(judged("theory"), Verdict::Fail);
    }

    #[test]
    fn a_lower_bound_passes_below_the_interval_and_fails_above_it() {
        assert_eq!(rate(">= 0.95", 200, 200), Verdict::Pass);
        assert_eq!(rate(">= 0.95", 195, 200), Verdict::Inconclusive);
        assert_eq!(rate(">= 0.95", 180, 200), Verdict::Fail);
        assert_eq!(rate("> 0.95", 200, 200), Verdict::Pass);
        assert_eq!(rate("> 0.95", 180, 200), Verdict::Fail);
    }

    #[test]
    fn an_upper_bound_passes_above_the_interval_and_fails_below_it() {
        assert_eq!(rate("<= 0.1", 5, 200), Verdict::Pass);
        assert_eq!(rate("<= 0.1", 20, 200), Verdict::Inconclusive);
        assert_eq!(rate("<= 0.1", 40, 200), Verdict::Fail);
        assert_eq!(rate("< 0.1", 5, 200), Verdict::Pass);
        assert_eq!(rate("< 0.1", 40, 200), Verdict::Fail);
    }

    #[test]
    fn a_bound_at_the_end_means_every_trial_or_none() {
        assert_eq!(rate(">= 1", 20, 20), Verdict::Pass);
        assert_eq!(rate(">= 1", 1999, 2000), Verdict::Fail);
        assert_eq!(rate("<= 0", 0, 20), Verdict::Pass);
        assert_eq!(rate("<= 0", 1, 2000), Verdict::Fail);
    }

    #[test]
    fn a_strict_bound_at_the_end_is_met_by_one_example_and_never_refuted() {
        assert_eq!(rate("> 0", 1, 20), Verdict::Pass);
        assert_eq!(rate("> 0", 0, 20), Verdict::Inconclusive);
        assert_eq!(rate("< 1", 19, 20), Verdict::Pass);
        assert_eq!(rate("< 1", 20, 20), Verdict::Inconclusive);
    }

    #[test]
    fn few_trials_are_inconclusive_even_if_all_succeed() {
        assert_eq!(rate(">= 0.95", 20, 20), Verdict::Inconclusive);
        assert_eq!(rate(">= 0.95", 0, 0), Verdict::Inconclusive);
        assert_eq!(rate(">= 1", 0, 0), Verdict::Inconclusive);
    }

    #[test]
    fn theory_fails_by_one_trial_and_needs_one_to_pass() {
        assert_eq!(theory(0, 0, 0), Some(Verdict::Inconclusive));
        assert_eq!(theory(1000, 0, 0), None);
        assert_eq!(theory(1000, 1, 0), Some(Verdict::Pass));
        assert_eq!(theory(1000, 1000, 1), Some(Verdict::Fail));
    }

    #[test]
    fn failure_beats_inconclusive_beats_pass() {
        use Verdict::{Fail, Inconclusive, Pass};
        assert_eq!(Verdict::of_all([Pass, Inconclusive, Fail]), Some(Fail));
        assert_eq!(Verdict::of_all([Inconclusive, Pass]), Some(Inconclusive));
        assert_eq!(Verdict::of_all([Pass, Pass]), Some(Pass));
        assert_eq!(Verdict::of_all([]), None);
    }

    prop_compose! {
        fn counts()(trials in 1..3_000_u64)(successes in 0..=trials, trials in Just(trials))
            -> (u64, u64)
        {
            (successes, trials)
        }
    }

    proptest! {
        #[test]
        fn opposite_bounds_never_both_pass((successes, trials) in counts(), limit in 0.0..=1.0) {
            let passes = |sign| {
                let bound = Bound { sign, value: limit };
                judge_rate(bound, successes, trials) == Verdict::Pass
            };
            prop_assert!(!(passes(Sign::AtLeast) && passes(Sign::LessThan)));
            prop_assert!(!(passes(Sign::AtMost) && passes(Sign::MoreThan)));
        }
    }
}
