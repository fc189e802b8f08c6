//! Whether what was measured meets what was expected.
//!
//! A rate is judged by its interval, never by the bare rate: it passes or fails only if the whole
//! 95 % interval lies on one side of the bound, and is inconclusive otherwise.

use serde::{Deserialize, Serialize};

use crate::{
    report::stats::{Interval, wilson},
    scenario::Criterion,
};

/// What is known of an expectation; the greater one decides for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Judgement {
    /// It holds.
    Pass,
    /// The trials do not decide it.
    Inconclusive,
    /// It does not hold.
    Fail,
}

impl Judgement {
    /// The judgement of a whole from those of its parts: one failure fails it, else one
    /// inconclusive part leaves it open. `None` without parts.
    pub(crate) fn of_all(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().max()
    }
}

/// How trials went that theory decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Decided {
    /// Trials with a verdict that theory says should, or should not, succeed.
    pub trials: u64,
    /// Those of them that went otherwise.
    pub otherwise: u64,
}

/// Judges one cell; `trials` are those with a verdict, without errors of the bench.
///
/// # Panics
///
/// If there are more successes than trials.
pub(crate) fn judge(
    criterion: &Criterion,
    successes: u64,
    trials: u64,
    decided: Decided,
) -> Judgement {
    match *criterion {
        Criterion::Theory => judge_theory(decided),
        Criterion::AtLeast(_)
        | Criterion::MoreThan(_)
        | Criterion::AtMost(_)
        | Criterion::LessThan(_) => judge_rate(criterion, successes, trials),
    }
}

/// Passes if every decided trial went as theory says, fails if one did not, and is inconclusive if
/// theory decided none.
fn judge_theory(decided: Decided) -> Judgement {
    match decided {
        Decided { otherwise: 1.., .. } => Judgement::Fail,
        Decided { trials: 0, .. } => Judgement::Inconclusive,
        Decided { .. } => Judgement::Pass,
    }
}

fn judge_rate(criterion: &Criterion, successes: u64, trials: u64) -> Judgement {
    if trials == 0 {
        return Judgement::Inconclusive;
    }
    let Interval { low, high } = wilson(successes, trials);
    let failures = trials - successes;
    let (pass, fail) = match *criterion {
        Criterion::Theory => return Judgement::Inconclusive,
        // No interval of finitely many trials reaches the end, so these two are read as what their
        // author means: every trial succeeds, or none. One counter-example refutes them for good.
        Criterion::AtLeast(bound) if bound >= 1.0 => (failures == 0, failures > 0),
        Criterion::AtMost(bound) if bound <= 0.0 => (successes == 0, successes > 0),
        Criterion::AtLeast(bound) => (low >= bound, high < bound),
        Criterion::MoreThan(bound) => (low > bound, high <= bound),
        Criterion::AtMost(bound) => (high <= bound, low > bound),
        Criterion::LessThan(bound) => (high < bound, low >= bound),
    };
    match (pass, fail) {
        (true, _) => Judgement::Pass,
        (false, true) => Judgement::Fail,
        (false, false) => Judgement::Inconclusive,
    }
}

/// The greatest number of trials [`trials_to_decide`] suggests.
const MOST_TRIALS: u64 = 1_000_000;

/// About how many trials in a cell would decide a criterion on the rate if they went as those so
/// far, in two significant digits; `None` if no sensible number would: the rate is at the bound.
pub(crate) fn trials_to_decide(criterion: &Criterion, successes: u64, trials: u64) -> Option<u64> {
    if trials == 0 || *criterion == Criterion::Theory {
        return None;
    }
    let rate = successes as f64 / trials as f64;
    let decides = |count: u64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to count")]
        let expected = (rate * count as f64).round() as u64;
        judge_rate(criterion, expected.min(count), count) != Judgement::Inconclusive
    };
    let mut count = trials;
    while !decides(count) {
        if count >= MOST_TRIALS {
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
        judge(&criterion.parse().unwrap(), successes, trials, Decided::default())
    }

    fn theory(trials: u64, otherwise: u64) -> Judgement {
        judge(&Criterion::Theory, 0, trials, Decided { trials, otherwise })
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
        assert_eq!(theory(0, 0), Judgement::Inconclusive);
        assert_eq!(theory(1, 0), Judgement::Pass);
        assert_eq!(theory(1000, 1), Judgement::Fail);
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
        assert_eq!(trials_to_decide(&Criterion::AtLeast(0.95), 20, 20), Some(74));
        assert_eq!(trials_to_decide(&Criterion::AtLeast(0.95), 19, 20), None);
        assert_eq!(trials_to_decide(&Criterion::AtLeast(0.95), 0, 0), None);
        assert_eq!(trials_to_decide(&Criterion::Theory, 10, 20), None);
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
        fn opposite_bounds_never_both_pass((successes, trials) in counts(), bound in 0.0..=1.0) {
            let at_least = judge_rate(&Criterion::AtLeast(bound), successes, trials);
            let less = judge_rate(&Criterion::LessThan(bound), successes, trials);
            prop_assert!(!(at_least == Judgement::Pass && less == Judgement::Pass));
            let at_most = judge_rate(&Criterion::AtMost(bound), successes, trials);
            let more = judge_rate(&Criterion::MoreThan(bound), successes, trials);
            prop_assert!(!(at_most == Judgement::Pass && more == Judgement::Pass));
        }

        #[test]
        fn the_suggested_trials_decide((successes, trials) in counts(), bound in 0.01..0.99) {
            let criterion = Criterion::AtLeast(bound);
            if judge_rate(&criterion, successes, trials) == Judgement::Inconclusive
                && let Some(more) = trials_to_decide(&criterion, successes, trials)
            {
                let (successes, trials) = (successes as f64, trials as f64);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
                let expected = (successes / trials * more as f64).round() as u64;
                let judgement = judge_rate(&criterion, expected, more);
                prop_assert_ne!(judgement, Judgement::Inconclusive);
            }
        }
    }
}
