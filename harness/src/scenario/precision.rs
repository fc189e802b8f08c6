//! How many trials a cell has: a fixed number, or as many as its interval needs to be narrow.
//!
//! With `precision`, a cell is looked at after its first `trials` trials, and then each time their
//! number has grown by a quarter, until half of the width of its 95 % Wilson interval is at most
//! `precision`, or it has had `trials_max`, or nothing but errors of the bench. Each look is at all
//! of the trials with the lowest indices and at no other, so that which trials run depends on what
//! these showed, and never on the order in which they ended, on the number of jobs or on other cells.
//!
//! The rule asks only how wide the interval is, not where it lies nor what is expected of it: it
//! cannot stop at the moment that suits an expectation. Such fixed-width intervals cover the true
//! rate about as often as those of a fixed number of trials (Chow and Robbins, *On the asymptotic
//! theory of fixed-width sequential confidence intervals*, Annals of Mathematical Statistics 36,
//! 1965); a little less near a rate of 0 or 1, where few trials by chance look narrow too soon.

use crate::stats::{self, Interval, wilson};

/// No cell has more trials.
pub(crate) const MAX_TRIALS: u32 = 1_000_000;

/// When a cell has had enough trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Precision {
    /// Half of the width that the interval may have at most, above 0.
    pub half_width: f64,
    /// Trials after which it stops in any case.
    pub trials_max: u32,
}

impl Precision {
    /// What to do after all of the first `trials` trials are over, of which `judged` have a verdict.
    pub(crate) fn look(&self, successes: u64, judged: u64, trials: u32) -> Look {
        if half_width(successes, judged) <= self.half_width {
            Look::Narrow
        } else if trials >= self.trials_max || judged == 0 {
            Look::Exhausted
        } else {
            let more = trials.saturating_add(trials.div_ceil(4));
            Look::GoOn(more.min(self.trials_max))
        }
    }
}

/// What a look at a cell shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Its interval is narrow enough.
    Narrow,
    /// It is not, but the cell has had the most trials it may have, or all of them were errors of
    /// the bench.
    Exhausted,
    /// It is not: the next look is after so many trials.
    GoOn(u32),
}

/// Half of the width of the 95 % Wilson interval.
pub(crate) fn half_width(successes: u64, trials: u64) -> f64 {
    let Interval { low, high } = wilson(successes, trials);
    (high - low) / 2.0
}

/// The fewest trials that could be enough: all of them go alike.
pub(super) fn fewest(half_width_max: f64) -> u32 {
    least(|trials| half_width(0, trials) <= half_width_max)
}

/// The most trials that could be needed: half of them succeed.
pub(super) fn most(half_width_max: f64) -> u32 {
    least(|trials| half_width(trials / 2, trials) <= half_width_max)
}

fn least(is_enough: impl Fn(u64) -> bool) -> u32 {
    let trials = stats::least(1, u64::from(MAX_TRIALS), is_enough);
    u32::try_from(trials).expect("at most MAX_TRIALS")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_precision_of_two_per_cent_takes_93_to_2398_trials() {
        assert_eq!(fewest(0.02), 93);
        // z² / (4 · 0.02²) − z² = 2397.07
        assert_eq!(most(0.02), 2398);
    }

    #[test]
    fn a_cell_goes_on_until_it_is_narrow_or_exhausted() {
        let precision = Precision { half_width: 0.02, trials_max: 120 };
        assert_eq!(precision.look(93, 93, 93), Look::Narrow);
        assert_eq!(precision.look(92, 93, 93), Look::GoOn(117));
        assert_eq!(precision.look(100, 117, 117), Look::GoOn(120));
        assert_eq!(precision.look(100, 120, 120), Look::Exhausted);
        assert_eq!(precision.look(0, 1, 93), Look::GoOn(117));
        assert_eq!(precision.look(0, 0, 93), Look::Exhausted, "nothing but errors of the bench");
    }

    proptest! {
        /// Whatever the rate, the trials between the two numbers are enough, and no fewer.
        #[test]
        fn the_default_limits_are_never_in_the_way(rate in 0.0..=1.0_f64, half in 0.01..0.3) {
            let most = u64::from(most(half));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to most")]
            let successes = (rate * most as f64).round() as u64;
            // An odd number of trials splits a hair narrower than the even one before it.
            prop_assert!(half_width(successes, most) <= half + 1e-4);
            let fewer = u64::from(fewest(half)) - 1;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to most")]
            let successes = (rate * fewer as f64).round() as u64;
            prop_assert!(half_width(successes, fewer) > half);
        }
    }
}
