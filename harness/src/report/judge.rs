//! Whether what was measured meets what was expected.
//!
//! A figure is judged by its interval, never by itself: it passes or fails only if the whole 95 %
//! interval lies on one side of the bound, and is inconclusive otherwise.

use crate::{
    report::summary::{CauseSummary, Judgement, Measured},
    scenario::{Bound, Criterion, MAX_TRIALS, Moment, Quantile, Sign, Time, TimeUnit},
    stats::{Bounds, CONFIDENCE, Interval, least, quantile, quantile_bounds, ranks, wilson},
};

/// How trials went that theory decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Decided {
    /// Trials with a verdict that theory says should, or should not, succeed.
    pub trials: u64,
    /// Those of them that went otherwise.
    pub otherwise: u64,
}

/// What the trials of a cell showed, as far as anything can be expected of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measures<'a> {
    /// Trials that succeeded.
    pub successes: u64,
    /// Trials with a verdict, without errors of the bench.
    pub trials: u64,
    /// How they went against theory.
    pub decided: Decided,
    /// Times of the successes, in any order.
    pub times: Samples<'a>,
    /// Why the others failed.
    pub failure_causes: &'a [CauseSummary],
}

impl Measures<'_> {
    fn failures(&self) -> u64 {
        self.trials - self.successes
    }
}

/// Times of successes: until up, connected, chosen and returned.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Samples<'a> {
    /// In milliseconds.
    pub ms: [&'a [f64]; 4],
    /// In round-trip times of each trial.
    pub rtt: [&'a [f64]; 4],
}

impl<'a> Samples<'a> {
    fn of(&self, time: Time) -> &'a [f64] {
        let samples = match time.unit {
            TimeUnit::Milliseconds => &self.ms,
            TimeUnit::RoundTrips => &self.rtt,
        };
        match time.moment {
            Moment::Up => samples[0],
            Moment::Connected => samples[1],
            Moment::Chosen => samples[2],
            Moment::Returned => samples[3],
        }
    }
}

/// Judges one cell. There is no judgement where theory is expected of trials of which it decides
/// none. What was measured is absent where there was nothing to measure, and for `theory` and
/// `causes`, which are on each single trial.
///
/// # Panics
///
/// If there are more successes than trials.
pub(crate) fn judge(
    criterion: &Criterion,
    of: &Measures<'_>,
) -> (Option<Judgement>, Option<Measured>) {
    let is_on_theory = matches!(criterion, Criterion::Theory | Criterion::AsTheorySays(_));
    if is_on_theory && of.decided.trials == 0 && of.trials > 0 {
        return (None, None);
    }
    let (judgement, measured) = judge_decidable(criterion, of);
    (Some(judgement), measured)
}

fn judge_decidable(criterion: &Criterion, of: &Measures<'_>) -> (Judgement, Option<Measured>) {
    let rate = |bound: &Bound, part: u64, all: u64| {
        (judge_rate(*bound, part, all), measured_rate(part, all))
    };
    match criterion {
        Criterion::Theory => (judge_theory(of.decided), None),
        Criterion::Success(bound) => rate(bound, of.successes, of.trials),
        Criterion::AsTheorySays(bound) => {
            rate(bound, of.decided.trials - of.decided.otherwise, of.decided.trials)
        }
        Criterion::Time(time, quantile, bound) => judge_time(*quantile, *bound, of.times.of(*time)),
        Criterion::Cause(kind, bound) => {
            let count = of.failure_causes.iter().filter(|cause| cause.kind == *kind);
            rate(bound, count.map(|cause| cause.count).sum(), of.failures())
        }
        Criterion::Causes(kinds) => (judge_causes(kinds, of), None),
    }
}

fn measured_rate(part: u64, all: u64) -> Option<Measured> {
    let Interval { low, high } = wilson(part, all);
    let interval = Bounds { low: Some(low), high: Some(high) };
    (all > 0).then(|| Measured { value: part as f64 / all as f64, interval, count: all })
}

/// Passes if every decided trial went as theory says, fails if one did not, and is inconclusive
/// without any.
fn judge_theory(decided: Decided) -> Judgement {
    match decided {
        Decided { otherwise: 1.., .. } => Judgement::Fail,
        Decided { trials: 0, .. } => Judgement::Inconclusive,
        Decided { .. } => Judgement::Pass,
    }
}

/// Fails if one failure has another cause. Without failures there is none that could; without
/// trials nothing is known.
fn judge_causes(kinds: &[String], of: &Measures<'_>) -> Judgement {
    let other = |cause: &&CauseSummary| !kinds.contains(&cause.kind);
    match (of.failure_causes.iter().find(other), of.trials) {
        (Some(_), _) => Judgement::Fail,
        (None, 0) => Judgement::Inconclusive,
        (None, _) => Judgement::Pass,
    }
}

fn judge_time(at: Quantile, bound: Bound, sample: &[f64]) -> (Judgement, Option<Measured>) {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(value) = quantile(&sorted, at.share()) else {
        return (Judgement::Inconclusive, None);
    };
    let interval = quantile_bounds(&sorted, at.share(), CONFIDENCE);
    let (low, high) = (interval.low, interval.high);
    let limit = bound.value;
    let verdict = verdict(match bound.sign {
        Sign::AtMost => (high.is_some_and(|it| it <= limit), low.is_some_and(|it| it > limit)),
        Sign::LessThan => (high.is_some_and(|it| it < limit), low.is_some_and(|it| it >= limit)),
        Sign::AtLeast => (low.is_some_and(|it| it >= limit), high.is_some_and(|it| it < limit)),
        Sign::MoreThan => (low.is_some_and(|it| it > limit), high.is_some_and(|it| it <= limit)),
    });
    (verdict, Some(Measured { value, interval, count: sample.len() as u64 }))
}

fn judge_rate(bound: Bound, part: u64, all: u64) -> Judgement {
    if all == 0 {
        return Judgement::Inconclusive;
    }
    let Interval { low, high } = wilson(part, all);
    let rest = all - part;
    let limit = bound.value;
    verdict(match bound.sign {
        // No interval of finitely many trials reaches the end, so these two are read as what their
        // author means: every trial succeeds, or none. One counter-example refutes them for good.
        Sign::AtLeast if limit >= 1.0 => (rest == 0, rest > 0),
        Sign::AtMost if limit <= 0.0 => (part == 0, part > 0),
        Sign::AtLeast => (low >= limit, high < limit),
        Sign::MoreThan => (low > limit, high <= limit),
        Sign::AtMost => (high <= limit, low > limit),
        Sign::LessThan => (high < limit, low >= limit),
    })
}

fn verdict((pass, fail): (bool, bool)) -> Judgement {
    match (pass, fail) {
        (true, _) => Judgement::Pass,
        (false, true) => Judgement::Fail,
        (false, false) => Judgement::Inconclusive,
    }
}

/// How many of a number of trials may speak against a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// It passes with at most so many; `None` if so few trials can never prove it.
    pub passes_up_to: Option<u64>,
    /// It fails from so many on; `None` if so few trials can never refute it.
    pub fails_from: Option<u64>,
}

/// What `trials` allow a bound on a rate: failures for a lower one, successes for an upper one. By
/// the same rule that judges it.
pub(crate) fn rate_allowance(bound: Bound, trials: u64) -> Allowance {
    let judged = |against: u64| {
        let part = if bound.sign.is_lower() { trials - against } else { against };
        judge_rate(bound, part, trials)
    };
    // The more speaks against it, the worse it is judged.
    let passes_below = least(0, trials + 1, |against| judged(against) != Judgement::Pass);
    let fails_from = least(0, trials + 1, |against| judged(against) == Judgement::Fail);
    Allowance {
        passes_up_to: passes_below.checked_sub(1),
        fails_from: (fails_from <= trials).then_some(fails_from),
    }
}

/// What a number of successes allows a bound on a quantile of their times: slower ones for an upper
/// bound, faster ones for a lower one. By the same rule that judges it.
pub(crate) fn time_allowance(at: Quantile, bound: Bound, successes: u64) -> Allowance {
    let [low, high] = ranks(successes, at.share(), CONFIDENCE);
    if bound.sign.is_lower() {
        // It passes if the value of rank `low` meets it, fails if that of rank `high` does not.
        Allowance {
            passes_up_to: low.checked_sub(1),
            fails_from: (high <= successes).then_some(high),
        }
    } else {
        Allowance {
            passes_up_to: successes.checked_sub(high),
            fails_from: (low > 0).then(|| successes + 1 - low),
        }
    }
}

/// About how many trials in a cell would decide a bound on the rate if they went as those so far, in
/// two significant digits; `None` if no sensible number would: the rate is at the bound.
pub(crate) fn trials_to_decide(bound: Bound, successes: u64, trials: u64) -> Option<u64> {
    if trials == 0 {
        return None;
    }
    let rate = successes as f64 / trials as f64;
    let decides = |count: u64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to count")]
        let expected = (rate * count as f64).round() as u64;
        judge_rate(bound, expected.min(count), count) != Judgement::Inconclusive
    };
    let mut count = trials;
    while !decides(count) {
        if count >= u64::from(MAX_TRIALS) {
            return None;
        }
        count = round_up(count + count.div_ceil(20));
    }
    Some(count)
}

/// Rounds up to two significant digits.
fn round_up(count: u64) -> u64 {
    let unit = 10_u64.pow(count.max(1).ilog10().saturating_sub(1));
    count.div_ceil(unit) * unit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(criterion: &str, successes: u64, trials: u64) -> Judgement {
        let measures = Measures { successes, trials, ..Measures::default() };
        judge(&criterion.parse().unwrap(), &measures).0.unwrap()
    }

    fn theory(trials: u64, decided: u64, otherwise: u64) -> Option<Judgement> {
        let decided = Decided { trials: decided, otherwise };
        judge(&Criterion::Theory, &Measures { trials, decided, ..Measures::default() }).0
    }

    fn bound(sign: Sign, value: f64) -> Bound {
        Bound { sign, value }
    }

    fn time(criterion: &str, sample: &[f64]) -> Judgement {
        let times = Samples { ms: [&[], sample, &[], &[]], rtt: [sample, &[], &[], sample] };
        judge(&criterion.parse().unwrap(), &Measures { times, ..Measures::default() })
            .0
            .unwrap()
    }

    fn causes(criterion: &str, trials: u64, causes: &[(&str, u64)]) -> Judgement {
        let failed: u64 = causes.iter().map(|(_, count)| count).sum();
        let cause = |(kind, count): &(&str, u64)| CauseSummary {
            kind: (*kind).to_owned(),
            count: *count,
            trial: 0,
            evidence: String::new(),
        };
        let failure_causes: &[_] = &causes.iter().map(cause).collect::<Vec<_>>();
        let successes = trials - failed;
        let measures = Measures { successes, trials, failure_causes, ..Measures::default() };
        judge(&criterion.parse().unwrap(), &measures).0.unwrap()
    }

    #[test]
    fn a_quantile_is_judged_by_its_interval() {
        // The interval of the median of 100 values reaches from the 40th to the 61st.
        let sample: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(time("connected_ms p50 <= 61", &sample), Judgement::Pass);
        assert_eq!(time("connected_ms p50 < 61", &sample), Judgement::Inconclusive);
        assert_eq!(time("connected_ms p50 <= 50", &sample), Judgement::Inconclusive);
        assert_eq!(time("connected_ms p50 <= 40", &sample), Judgement::Inconclusive);
        assert_eq!(time("connected_ms p50 < 40", &sample), Judgement::Fail);
        assert_eq!(time("connected_ms p50 >= 40", &sample), Judgement::Pass);
        assert_eq!(time("connected_ms p50 > 61", &sample), Judgement::Fail);
        assert_eq!(time("returned_rtt p50 <= 61", &sample), Judgement::Pass);
        assert_eq!(time("returned_ms p50 <= 61", &sample), Judgement::Inconclusive, "no values");
        assert_eq!(time("up_rtt p50 <= 61", &sample), Judgement::Pass);
        assert_eq!(time("up_ms p50 <= 61", &sample), Judgement::Inconclusive, "no values");
    }

    #[test]
    fn a_tail_needs_many_values() {
        let sample = vec![5.0; 368];
        assert_eq!(time("connected_ms p99 <= 5", &sample), Judgement::Pass);
        assert_eq!(time("connected_ms p99 <= 5", &sample[1..]), Judgement::Inconclusive);
    }

    #[test]
    fn a_cause_is_judged_by_its_share_of_the_failures() {
        let share = "cause refused >= 0.9";
        assert_eq!(causes(share, 100, &[("refused", 60)]), Judgement::Pass);
        assert_eq!(causes(share, 100, &[("refused", 10)]), Judgement::Inconclusive);
        assert_eq!(causes(share, 100, &[("refused", 20), ("no-peer", 20)]), Judgement::Fail);
        assert_eq!(causes(share, 100, &[]), Judgement::Inconclusive);
    }

    #[test]
    fn one_other_cause_is_too_many_where_they_are_listed() {
        let only = "causes refused, no-peer";
        assert_eq!(causes(only, 100, &[("refused", 1)]), Judgement::Pass);
        assert_eq!(causes(only, 100, &[("refused", 20), ("no-answer", 1)]), Judgement::Fail);
        assert_eq!(causes(only, 100, &[]), Judgement::Pass);
        assert_eq!(causes(only, 0, &[]), Judgement::Inconclusive);
    }

    #[test]
    fn a_share_of_theory_forgives_some_trials() {
        let decided = Decided { trials: 1000, otherwise: 1 };
        let measures = Measures { decided, ..Measures::default() };
        let judged = |text: &str| judge(&text.parse().unwrap(), &measures).0.unwrap();
        assert_eq!(judged("theory >= 0.99"), Judgement::Pass);
        assert_eq!(judged("theory"), Judgement::Fail);
    }

    #[test]
    fn an_allowance_says_what_two_hundred_trials_may_do() {
        let allowed = rate_allowance(bound(Sign::AtLeast, 0.95), 200);
        assert_eq!(allowed, Allowance { passes_up_to: Some(3), fails_from: Some(17) });
        let allowed = rate_allowance(bound(Sign::AtLeast, 0.95), 20);
        assert_eq!(allowed, Allowance { passes_up_to: None, fails_from: Some(3) });
        let allowed = rate_allowance(bound(Sign::AtLeast, 1.0), 20);
        assert_eq!(allowed, Allowance { passes_up_to: Some(0), fails_from: Some(1) });
        let allowed = time_allowance("p50".parse().unwrap(), bound(Sign::AtMost, 5.0), 100);
        assert_eq!(allowed, Allowance { passes_up_to: Some(39), fails_from: Some(61) });
        let allowed = time_allowance("p99".parse().unwrap(), bound(Sign::AtMost, 5.0), 100);
        assert_eq!(allowed.passes_up_to, None);
    }

    #[test]
    fn a_lower_bound_passes_below_the_interval_and_fails_above_it() {
        assert_eq!(rate(">= 0.95", 200, 200), Judgement::Pass);
        assert_eq!(rate(">= 0.95", 195, 200), Judgement::Inconclusive);
        assert_eq!(rate(">= 0.95", 180, 200), Judgement::Fail);
        assert_eq!(rate("> 0.95", 200, 200), Judgement::Pass);
        assert_eq!(rate("> 0.95", 180, 200), Judgement::Fail);
    }

    #[test]
    fn an_upper_bound_passes_above_the_interval_and_fails_below_it() {
        assert_eq!(rate("<= 0.1", 5, 200), Judgement::Pass);
        assert_eq!(rate("<= 0.1", 20, 200), Judgement::Inconclusive);
        assert_eq!(rate("<= 0.1", 40, 200), Judgement::Fail);
        assert_eq!(rate("< 0.1", 5, 200), Judgement::Pass);
        assert_eq!(rate("< 0.1", 40, 200), Judgement::Fail);
    }

    #[test]
    fn a_bound_at_the_end_means_every_trial_or_none() {
        assert_eq!(rate(">= 1", 20, 20), Judgement::Pass);
        assert_eq!(rate(">= 1", 1999, 2000), Judgement::Fail);
        assert_eq!(rate("<= 0", 0, 20), Judgement::Pass);
        assert_eq!(rate("<= 0", 1, 2000), Judgement::Fail);
    }

    #[test]
    fn a_strict_bound_at_the_end_is_met_by_one_example_and_never_refuted() {
        assert_eq!(rate("> 0", 1, 20), Judgement::Pass);
        assert_eq!(rate("> 0", 0, 20), Judgement::Inconclusive);
        assert_eq!(rate("< 1", 19, 20), Judgement::Pass);
        assert_eq!(rate("< 1", 20, 20), Judgement::Inconclusive);
    }

    #[test]
    fn few_trials_are_inconclusive_even_if_all_succeed() {
        assert_eq!(rate(">= 0.95", 20, 20), Judgement::Inconclusive);
        assert_eq!(rate(">= 0.95", 0, 0), Judgement::Inconclusive);
        assert_eq!(rate(">= 1", 0, 0), Judgement::Inconclusive);
    }

    #[test]
    fn theory_fails_by_one_trial_and_needs_one_to_pass() {
        assert_eq!(theory(0, 0, 0), Some(Judgement::Inconclusive));
        assert_eq!(theory(1000, 0, 0), None);
        assert_eq!(theory(1000, 1, 0), Some(Judgement::Pass));
        assert_eq!(theory(1000, 1000, 1), Some(Judgement::Fail));
    }

    #[test]
    fn failure_beats_inconclusive_beats_pass() {
        use Judgement::{Fail, Inconclusive, Pass};
        assert_eq!(Judgement::of_all([Pass, Inconclusive, Fail]), Some(Fail));
        assert_eq!(Judgement::of_all([Inconclusive, Pass]), Some(Inconclusive));
        assert_eq!(Judgement::of_all([Pass, Pass]), Some(Pass));
        assert_eq!(Judgement::of_all([]), None);
    }

    #[test]
    fn suggests_trials_that_would_decide() {
        // 73 of 73 are the fewest.
        let at_least = bound(Sign::AtLeast, 0.95);
        assert_eq!(trials_to_decide(at_least, 20, 20), Some(74));
        assert_eq!(trials_to_decide(at_least, 19, 20), None);
        assert_eq!(trials_to_decide(at_least, 0, 0), None);
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
            let at_least = judge_rate(Bound { sign: Sign::AtLeast, value: limit }, successes, trials);
            let less = judge_rate(Bound { sign: Sign::LessThan, value: limit }, successes, trials);
            prop_assert!(!(at_least == Judgement::Pass && less == Judgement::Pass));
            let at_most = judge_rate(Bound { sign: Sign::AtMost, value: limit }, successes, trials);
            let more = judge_rate(Bound { sign: Sign::MoreThan, value: limit }, successes, trials);
            prop_assert!(!(at_most == Judgement::Pass && more == Judgement::Pass));
        }

        #[test]
        fn an_allowance_is_where_the_judgement_changes(
            trials in 1..400_u64,
            limit in 0.0..=1.0,
            lower: bool,
        ) {
            let bound = bound(if lower { Sign::AtLeast } else { Sign::AtMost }, limit);
            let Allowance { passes_up_to, fails_from } = rate_allowance(bound, trials);
            for against in 0..=trials {
                let part = if lower { trials - against } else { against };
                let expected = match against {
                    _ if passes_up_to.is_some_and(|most| against <= most) => Judgement::Pass,
                    _ if fails_from.is_some_and(|least| against >= least) => Judgement::Fail,
                    _ => Judgement::Inconclusive,
                };
                prop_assert_eq!(judge_rate(bound, part, trials), expected);
            }
        }

        #[test]
        fn the_allowance_of_a_time_is_where_the_judgement_changes(
            successes in 1..200_u64,
            against in 0..200_u64,
            percent in 1..100_u32,
            lower: bool,
        ) {
            let against = against.min(successes);
            let at: Quantile = format!("p{percent}").parse().unwrap();
            let bound = bound(if lower { Sign::AtLeast } else { Sign::AtMost }, 2.0);
            let Allowance { passes_up_to, fails_from } = time_allowance(at, bound, successes);
            let other = if lower { 1.0 } else { 3.0 };
            let sample: Vec<f64> =
                (0..successes).map(|index| if index < against { other } else { 2.0 }).collect();
            let expected = match against {
                _ if passes_up_to.is_some_and(|most| against <= most) => Judgement::Pass,
                _ if fails_from.is_some_and(|least| against >= least) => Judgement::Fail,
                _ => Judgement::Inconclusive,
            };
            prop_assert_eq!(judge_time(at, bound, &sample).0, expected);
        }

        #[test]
        fn the_suggested_trials_decide((successes, trials) in counts(), limit in 0.01..0.99) {
            let bound = bound(Sign::AtLeast, limit);
            if judge_rate(bound, successes, trials) == Judgement::Inconclusive
                && let Some(more) = trials_to_decide(bound, successes, trials)
            {
                let (successes, trials) = (successes as f64, trials as f64);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
                let expected = (successes / trials * more as f64).round() as u64;
                let judgement = judge_rate(bound, expected, more);
                prop_assert_ne!(judgement, Judgement::Inconclusive);
            }
        }
    }
}
