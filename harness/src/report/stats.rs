//! Interval of a rate and quantiles of a sample.

use serde::{Deserialize, Serialize};

/// Two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A confidence interval of a rate; both ends lie in 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The 95 % score interval of Wilson (1927), without continuity correction; 0 to 1 without trials.
///
/// It never leaves 0 to 1 and stays honest at the ends: 20 successes of 20 prove only 83.9 %. The
/// end that is reached is exact: no success gives a `low` of 0, no failure a `high` of 1.
///
/// # Panics
///
/// If there are more successes than trials.
pub(crate) fn wilson(successes: u64, trials: u64) -> Interval {
    assert!(successes <= trials, "{successes} successes of {trials} trials");
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let n = trials as f64;
    let rate = successes as f64 / n;
    let z2 = Z * Z;
    let center = (rate + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
    let low = if successes == 0 { 0.0 } else { (center - half).max(0.0) };
    let high = if successes == trials { 1.0 } else { (center + half).min(1.0) };
    Interval { low, high }
}

/// The `q` quantile of a sample in ascending order, `None` of an empty one.
///
/// Definition 7 of Hyndman and Fan (1996), as R and NumPy use by default: linear interpolation
/// between the order statistics around `(n − 1) · q`. Mind that p99 of fewer than 100 values lies
/// between the two greatest.
///
/// # Panics
///
/// If `q` is not in 0 to 1.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    assert!((0.0..=1.0).contains(&q), "quantile {q}");
    debug_assert!(sorted.is_sorted(), "sample in ascending order");
    let last = sorted.len().checked_sub(1)?;
    let position = last as f64 * q;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to len - 1")]
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let weight = position - position.floor();
    Some(sorted[below] + (sorted[above] - sorted[below]) * weight)
}

/// Median and tail of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    /// Values in the sample, at least one.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 90 % are at most this.
    pub p90: f64,
    /// 99 % are at most this.
    pub p99: f64,
}

impl Quantiles {
    /// The quantiles of a sample in any order, `None` of an empty one.
    pub(crate) fn of(sample: &[f64]) -> Option<Self> {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            count: sorted.len() as u64,
            p50: quantile(&sorted, 0.50)?,
            p90: quantile(&sorted, 0.90)?,
            p99: quantile(&sorted, 0.99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_close(actual: f64, expected: f64, digits: i32) {
        let tolerance = 0.500_001 * 10_f64.powi(-digits);
        assert!((actual - expected).abs() <= tolerance, "{actual} instead of {expected}");
    }

    /// Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
    /// Medicine 17 (1998), table I, method 3.
    #[test]
    fn wilson_gives_the_published_intervals() {
        for (successes, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = wilson(successes, trials);
            assert_close(interval.low, low, 4);
            assert_close(interval.high, high, 4);
        }
    }

    #[test]
    fn twenty_of_twenty_prove_only_83_9_percent() {
        let interval = wilson(20, 20);
        assert_close(interval.low, 0.839, 3);
        assert_eq!(interval.high, 1.0);
    }

    #[test]
    fn wilson_of_197_in_200_is_as_the_documentation_shows() {
        let interval = wilson(197, 200);
        assert_close(interval.low, 0.957, 3);
        assert_close(interval.high, 0.995, 3);
    }

    #[test]
    fn without_trials_nothing_is_known() {
        assert_eq!(wilson(0, 0), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn quantiles_interpolate_as_r_and_numpy_do() {
        let sample = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&sample, 0.0), Some(1.0));
        assert_eq!(quantile(&sample, 0.5), Some(2.5));
        assert_close(quantile(&sample, 0.9).unwrap(), 3.7, 9);
        assert_eq!(quantile(&sample, 1.0), Some(4.0));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn quantiles_do_not_need_order() {
        let quantiles = Quantiles::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((quantiles.count, quantiles.p50), (3, 2.0));
        assert_eq!(Quantiles::of(&[]), None);
    }

    prop_compose! {
        fn counts()(trials in 1..100_000_u64)(successes in 0..=trials, trials in Just(trials))
            -> (u64, u64)
        {
            (successes, trials)
        }
    }

    proptest! {
        #[test]
        fn wilson_contains_the_rate_and_stays_within_0_and_1((successes, trials) in counts()) {
            let Interval { low, high } = wilson(successes, trials);
            let rate = successes as f64 / trials as f64;
            prop_assert!(0.0 <= low && low <= rate && rate <= high && high <= 1.0);
            prop_assert!(low < high);
        }

        #[test]
        fn wilson_is_symmetric_in_success_and_failure((successes, trials) in counts()) {
            let one = wilson(successes, trials);
            let other = wilson(trials - successes, trials);
            prop_assert!((one.low - (1.0 - other.high)).abs() < 1e-12);
            prop_assert!((one.high - (1.0 - other.low)).abs() < 1e-12);
        }

        #[test]
        fn wilson_narrows_with_more_trials_at_the_same_rate(
            (successes, trials) in counts(),
            factor in 2..100_u64,
        ) {
            let few = wilson(successes, trials);
            let many = wilson(successes * factor, trials * factor);
            prop_assert!(many.high - many.low < few.high - few.low);
        }

        #[test]
        fn wilson_rises_with_each_success((successes, trials) in counts()) {
            prop_assume!(successes < trials);
            let fewer = wilson(successes, trials);
            let more = wilson(successes + 1, trials);
            prop_assert!(fewer.low < more.low && fewer.high < more.high || more.high == 1.0);
        }

        #[test]
        fn quantiles_lie_within_the_sample_and_rise(
            sample in prop::collection::vec(-1e6..1e6_f64, 1..200),
        ) {
            let least = sample.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = sample.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let quantiles = Quantiles::of(&sample).unwrap();
            let slack = 1e-6;
            prop_assert!(least - slack <= quantiles.p50 && quantiles.p99 <= greatest + slack);
            prop_assert!(quantiles.p50 <= quantiles.p90 + slack);
            prop_assert!(quantiles.p90 <= quantiles.p99 + slack);
        }
    }
}
