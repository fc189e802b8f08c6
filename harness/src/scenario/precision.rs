//! Number of trials of a cell: fixed, or as many as make its interval narrow enough.
//!
//! With `precision`, a cell is checked after its first `trials` trials, and again each time the
//! number of trials has grown by a quarter. The cell ends when half of the width of its 95 % Wilson
//! interval is at most `precision`, after `trials_max` trials, or if all trials are errors of the
//! bench. Each check covers all trials with the lowest indices and no others. Which trials run
//! therefore depends on the results of these trials only, not on the order in which they ended, on
//! the number of jobs or on other cells.
//!
//! The rule depends on the width of the interval, not on its position or on an expectation: a cell
//! cannot end at the moment that suits an expectation. Such fixed-width intervals cover the true
//! rate about as often as intervals of a fixed number of trials (Chow and Robbins, *On the
//! asymptotic theory of fixed-width sequential confidence intervals*, Annals of Mathematical
//! Statistics 36, 1965), and a little less often near a rate of 0 or 1, where few trials may look
//! narrow too soon by chance.

use crate::stats::{self, Interval, wilson};

/// Greatest number of trials of a cell.
pub(crate) const MAX_TRIALS: u32 = 1_000_000;

/// Condition for the end of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Precision {
    /// Upper bound of half of the width of the interval, above 0.
    pub half_width: f64,
    /// Number of trials after which the cell ends in any case.
    pub trials_max: u32,
}

impl Precision {
    /// PrecisionCheck after the first `trials` trials, of which `judged` are no errors of the
    /// bench.
    pub(crate) fn check(&self, successes: u64, judged: u64, trials: u32) -> PrecisionCheck {
        if half_width(successes, judged) <= self.half_width {
            PrecisionCheck::Narrow
        } else if trials >= self.trials_max || judged == 0 {
            PrecisionCheck::Exhausted
        } else {
            let more = trials.saturating_add(trials.div_ceil(4));
            PrecisionCheck::GoOn(more.min(self.trials_max))
        }
    }
}

/// Result of a check of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PrecisionCheck {
    /// The interval is narrow enough.
    Narrow,
    /// The interval is too wide, but the cell has had `trials_max` trials, or all of them were
    /// errors of the bench.
    Exhausted,
    /// The interval is too wide: the next check is after this number of trials.
    GoOn(u32),
}

/// Half of the width of the 95 % Wilson interval.
pub(crate) fn half_width(successes: u64, trials: u64) -> f64 {
    let Interval { low, high } = wilson(successes, trials);
    (high - low) / 2.0
}

/// Least number of trials that can be enough: all of them have the same outcome.
pub(super) fn fewest(half_width_max: f64) -> u32 {
    least(|trials| half_width(0, trials) <= half_width_max)
}

/// Greatest number of trials that can be needed: half of them succeed.
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
        assert_eq!(precision.check(93, 93, 93), PrecisionCheck::Narrow);
        assert_eq!(precision.check(92, 93, 93), PrecisionCheck::GoOn(117));
        assert_eq!(precision.check(100, 117, 117), PrecisionCheck::GoOn(120));
        assert_eq!(precision.check(100, 120, 120), PrecisionCheck::Exhausted);
        assert_eq!(precision.check(0, 1, 93), PrecisionCheck::GoOn(117));
        assert_eq!(
            precision.check(0, 0, 93),
            PrecisionCheck::Exhausted,
            "nothing but errors of the bench"
        );
    }

    proptest! {
        /// At every rate, the required number of trials lies between the two limits.
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
