//! Number of trials against an expectation that still lets it pass, and trials that decide it.

use super::judge::judge_rate;
use crate::{
    report::summary::Verdict,
    scenario::{Bound, MAX_TRIALS, Quantile},
    stats::{CONFIDENCE, least, ranks},
};

/// Limits on the number of trials that go against a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Maximum at which the bound passes; `None` if the trials are too few to prove it.
    pub passes_up_to: Option<u64>,
    /// Minimum at which the bound fails; `None` if the trials are too few to refute it.
    pub fails_from: Option<u64>,
}

/// Allowance of a bound on a rate at a number of trials: failures for a lower bound, successes for
/// an upper bound. Follows from the rule that judges rates.
pub(crate) fn rate_allowance(bound: Bound, trials: u64) -> Allowance {
    let judged = |against: u64| {
        let part = if bound.sign.is_lower() { trials - against } else { against };
        judge_rate(bound, part, trials)
    };
    // The verdict gets worse with the number of trials against the bound.
    let passes_below = least(0, trials + 1, |against| judged(against) != Verdict::Pass);
    let fails_from = least(0, trials + 1, |against| judged(against) == Verdict::Fail);
    Allowance {
        passes_up_to: passes_below.checked_sub(1),
        fails_from: (fails_from <= trials).then_some(fails_from),
    }
}

/// Allowance of a bound on a quantile of the times of a number of successes: slower successes for
/// an upper bound, faster ones for a lower bound. Follows from the rule that judges times.
pub(crate) fn time_allowance(at: Quantile, bound: Bound, successes: u64) -> Allowance {
    let [low, high] = ranks(successes, at.share(), CONFIDENCE);
    if bound.sign.is_lower() {
        // The bound passes if the value of rank `low` meets it, and fails if that of rank `high`
        // does not.
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

/// Approximate number of trials in a cell that would decide a bound on the rate, at the rate of the
/// trials so far, in two significant digits. `None` if no practical number would: the rate is at
/// the bound.
pub(crate) fn trials_to_decide(bound: Bound, successes: u64, trials: u64) -> Option<u64> {
    if trials == 0 {
        return None;
    }
    let rate = successes as f64 / trials as f64;
    let decides = |count: u64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to count")]
        let expected = (rate * count as f64).round() as u64;
        judge_rate(bound, expected.min(count), count) != Verdict::Inconclusive
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

/// The number, rounded up to two significant digits.
fn round_up(count: u64) -> u64 {
    let unit = 10_u64.pow(count.max(1).ilog10().saturating_sub(1));
    count.div_ceil(unit) * unit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{report::expectation::judge::judge_time, scenario::Sign};

    fn bound(sign: Sign, value: f64) -> Bound {
        Bound { sign, value }
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
        fn an_allowance_is_where_the_verdict_changes(
            trials in 1..400_u64,
            limit in 0.0..=1.0,
            lower: bool,
        ) {
            let bound = bound(if lower { Sign::AtLeast } else { Sign::AtMost }, limit);
            let Allowance { passes_up_to, fails_from } = rate_allowance(bound, trials);
            for against in 0..=trials {
                let part = if lower { trials - against } else { against };
                let expected = match against {
                    _ if passes_up_to.is_some_and(|most| against <= most) => Verdict::Pass,
                    _ if fails_from.is_some_and(|least| against >= least) => Verdict::Fail,
                    _ => Verdict::Inconclusive,
                };
                prop_assert_eq!(judge_rate(bound, part, trials), expected);
            }
        }

        #[test]
        fn the_allowance_of_a_time_is_where_the_verdict_changes(
            (successes, against) in (1..200_u64, 0..200_u64)
                .prop_map(|(successes, against)| (successes, against.min(successes))),
            percent in 1..100_u32,
            lower: bool,
        ) {
            let at: Quantile = format!("p{percent}").parse().unwrap();
            let bound = bound(if lower { Sign::AtLeast } else { Sign::AtMost }, 2.0);
            let Allowance { passes_up_to, fails_from } = time_allowance(at, bound, successes);
            let other = if lower { 1.0 } else { 3.0 };
            let sample: Vec<f64> =
                (0..successes).map(|index| if index < against { other } else { 2.0 }).collect();
            let expected = match against {
                _ if passes_up_to.is_some_and(|most| against <= most) => Verdict::Pass,
                _ if fails_from.is_some_and(|least| against >= least) => Verdict::Fail,
                _ => Verdict::Inconclusive,
            };
            prop_assert_eq!(judge_time(at, bound, &sample).0, expected);
        }

        #[test]
        fn the_suggested_trials_decide((successes, trials) in counts(), limit in 0.01..0.99) {
            let bound = bound(Sign::AtLeast, limit);
            if judge_rate(bound, successes, trials) == Verdict::Inconclusive
                && let Some(more) = trials_to_decide(bound, successes, trials)
            {
                let rate = successes as f64 / trials as f64;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
                let expected = (rate * more as f64).round() as u64;
                prop_assert_ne!(judge_rate(bound, expected, more), Verdict::Inconclusive);
            }
        }
    }
}
