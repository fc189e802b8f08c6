//! Confidence intervals of rates, and quantiles of samples with their confidence intervals.
//!
//! All intervals assume independent trials. Each trial has a seed and a lab of its own.

pub(crate) mod difference;

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// Default confidence of an interval: the probability that the interval contains the true value.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// Two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A confidence interval of a rate; both ends lie in 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The 95 % score interval of Wilson (1927), without continuity correction; 0 to 1 without trials.
///
/// The interval lies within 0 to 1, and has a width at the ends too: 20 successes of 20 prove only
/// 83.9 %. `low` is exactly 0 without successes, and `high` is exactly 1 without failures.
///
/// # Panics
///
/// More successes than trials.
pub(crate) fn wilson(successes: u64, trials: u64) -> Interval {
    wilson_with(Z, successes, trials)
}

/// [`wilson`] at another confidence, above 0 and below 1.
pub(crate) fn wilson_at(confidence: f64, successes: u64, trials: u64) -> Interval {
    wilson_with(Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence)), successes, trials)
}

fn wilson_with(z: f64, successes: u64, trials: u64) -> Interval {
    assert!(successes <= trials, "{successes} successes of {trials} trials");
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let n = trials as f64;
    let rate = successes as f64 / n;
    let z2 = z * z;
    let center = (rate + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
    let low = if successes == 0 { 0.0 } else { (center - half).max(0.0) };
    let high = if successes == trials { 1.0 } else { (center + half).min(1.0) };
    Interval { low, high }
}

/// The least number from `low` to `high` that has a property, by binary search: all greater numbers
/// must have the property too. `high` if no smaller number has it.
pub(crate) fn least(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// The `q` quantile of a sample in ascending order, `None` of an empty one.
///
/// Definition 7 of Hyndman and Fan (1996), as R and NumPy use by default: linear interpolation
/// between the order statistics around `(n − 1) · q`. The p99 of fewer than 100 values lies between
/// the two greatest values.
///
/// # Panics
///
/// `q` is not in 0 to 1.
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

/// Confidence interval of a quantile of the population. An end is absent if the sample is too small
/// to bound it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Bounds {
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// Distribution-free confidence interval of the `q` quantile, from a sample in ascending order. The
/// ends are order statistics. The number B of values below the true quantile is binomial with
/// probability `q`. The ranks `l` and `u` are chosen with P(l <= B < u) >= `confidence`, and at
/// most half of the remaining probability on either side (Conover, *Practical Nonparametric
/// Statistics*, 3rd edition, 3.2). Bounds on both sides need 6 values for the median, 36 for p90,
/// 368 for p99.
///
/// # Panics
/// `q` or `confidence` is not between 0 and 1.
pub(crate) fn quantile_bounds(sorted: &[f64], q: f64, confidence: f64) -> Bounds {
    assert!(0.0 < confidence && confidence < 1.0, "confidence {confidence}");
    debug_assert!(sorted.is_sorted(), "sample in ascending order");
    if sorted.is_empty() {
        return Bounds::default();
    }
    let [low, high] = ranks(sorted.len() as u64, q, confidence);
    let at = |rank: u64| {
        let index = usize::try_from(rank.checked_sub(1)?).ok()?;
        sorted.get(index).copied()
    };
    Bounds { low: at(low), high: at(high) }
}

/// Ranks of the order statistics that bound a quantile, counted from 1; 0 and `count` + 1 mean that
/// there is no bound.
pub(crate) fn ranks(count: u64, q: f64, confidence: f64) -> [u64; 2] {
    let below = Binomial::new(q, count).expect("a quantile is a probability");
    let outside = (1.0 - confidence) / 2.0;
    [below.inverse_cdf(outside), below.inverse_cdf(1.0 - outside) + 1]
}

/// Median and tail of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Quantiles {
    /// Values in the sample, at least one.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 90 % are at most this.
    pub p90: f64,
    /// 99 % are at most this.
    pub p99: f64,
    /// 95 % interval of the median.
    #[serde(default)]
    pub p50_interval: Bounds,
    /// 95 % interval of p90.
    #[serde(default)]
    pub p90_interval: Bounds,
    /// 95 % interval of p99.
    #[serde(default)]
    pub p99_interval: Bounds,
}

impl Quantiles {
    /// The quantiles of a sample in any order, `None` of an empty one.
    pub(crate) fn of(sample: &[f64]) -> Option<Self> {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        let bounds = |q| quantile_bounds(&sorted, q, CONFIDENCE);
        Some(Self {
            count: sorted.len() as u64,
            p50: quantile(&sorted, 0.50)?,
            p90: quantile(&sorted, 0.90)?,
            p99: quantile(&sorted, 0.99)?,
            p50_interval: bounds(0.50),
            p90_interval: bounds(0.90),
            p99_interval: bounds(0.99),
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
    fn twenty_successes_of_twenty_prove_only_83_9_percent() {
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
    fn without_trials_the_interval_is_0_to_1() {
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

    /// The ranks for the median in the tables of Altman, Machin, Bryant and Gardner, *Statistics
    /// with Confidence*, 2nd edition (2000).
    #[test]
    fn the_ranks_of_a_median_are_the_published_ones() {
        for (count, low, high) in
            [(5, 0, 6), (6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (20, 6, 15), (30, 10, 21)]
        {
            assert_eq!(ranks(count, 0.5, CONFIDENCE), [low, high], "{count}");
        }
        assert_eq!(ranks(100, 0.5, CONFIDENCE), [40, 61]);
    }

    /// Conover, *Practical Nonparametric Statistics*, 3.2: of 16 values the 9th and the 15th bound
    /// the upper quartile with a confidence of 0.9094. With at most 5 % on either side the upper
    /// one is the 16th.
    #[test]
    fn the_ranks_of_an_upper_quartile_are_those_of_the_textbook() {
        let below = Binomial::new(0.75, 16).unwrap();
        assert_close(below.cdf(14) - below.cdf(8), 0.9094, 4);
        assert_eq!(ranks(16, 0.75, 0.90), [9, 16]);
        assert_eq!(ranks(16, 0.75, 0.87), [9, 15]);
    }

    #[test]
    fn a_small_sample_does_not_bound_a_tail() {
        let sample = |count: u32| (1..=count).map(f64::from).collect::<Vec<_>>();
        let high = |count, q| quantile_bounds(&sample(count), q, CONFIDENCE).high;
        assert_eq!((high(5, 0.5), high(6, 0.5)), (None, Some(6.0)));
        assert_eq!((high(35, 0.9), high(36, 0.9)), (None, Some(36.0)));
        assert_eq!((high(367, 0.99), high(368, 0.99)), (None, Some(368.0)));
        assert_eq!(quantile_bounds(&sample(200), 0.99, CONFIDENCE).low, Some(195.0));
        assert_eq!(quantile_bounds(&[], 0.5, CONFIDENCE), Bounds::default());
        assert_eq!(quantile_bounds(&[7.0], 0.5, CONFIDENCE), Bounds::default());
    }

    #[test]
    fn a_higher_confidence_gives_a_wider_interval() {
        let wide = wilson_at(0.99, 81, 263);
        let narrow = wilson(81, 263);
        assert!(wide.low < narrow.low && narrow.high < wide.high);
        let same = wilson_at(CONFIDENCE, 81, 263);
        assert_close(same.low, narrow.low, 12);
        assert_close(same.high, narrow.high, 12);
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

        #[test]
        fn the_ranks_of_a_quantile_have_the_confidence_and_are_the_narrowest(
            count in 1..3_000_u64,
            q in 0.01..0.99_f64,
            confidence in 0.5..0.999_f64,
        ) {
            let [low, high] = ranks(count, q, confidence);
            prop_assert!(low < high && high <= count + 1);
            let below = Binomial::new(q, count).unwrap();
            let outside = (1.0 - confidence) / 2.0;
            let up_to = |rank: u64| if rank == 0 { 0.0 } else { below.cdf(rank - 1) };
            let slack = 1e-9;
            prop_assert!(up_to(low) <= outside + slack);
            prop_assert!(1.0 - up_to(high) <= outside + slack);
            prop_assert!(up_to(low + 1) >= outside - slack);
            prop_assert!(1.0 - up_to(high - 1) >= outside - slack);
        }
    }
}
