//! Intervals of a difference between two independent samples.
//!
//! Both put the intervals of the single figures together by the method that Newcombe found for
//! rates and Zou and Donner for any figure ("Construction of confidence limits about effect
//! measures: a general approach", Statistics in Medicine 27 (2008) 1693–1702): each end of the
//! difference is as far from it as the root of the squared distances of the two ends that make it.

use serde::{Deserialize, Serialize};

use super::stats::{Bounds, wilson_at};

/// A difference, second less first, and its interval. An end is absent where a sample is too small
/// to tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// Second less first.
    pub value: f64,
    /// It is at least this.
    pub low: Option<f64>,
    /// It is at most this.
    pub high: Option<f64>,
}

/// Successes and trials with a verdict.
pub(crate) type Counts = (u64, u64);

/// The difference of two rates with its score interval: method 10 of Newcombe, "Interval estimation
/// for the difference between independent proportions: comparison of eleven methods", Statistics in
/// Medicine 17 (1998) 873–890. `None` if one of them has no trials.
///
/// # Panics
///
/// If there are more successes than trials.
pub(crate) fn of_rates(first: Counts, second: Counts, confidence: f64) -> Option<Difference> {
    if first.1 == 0 || second.1 == 0 {
        return None;
    }
    let figure = |(successes, trials)| {
        let interval = wilson_at(confidence, successes, trials);
        let bounds = Bounds { low: Some(interval.low), high: Some(interval.high) };
        (successes as f64 / trials as f64, bounds)
    };
    Some(of_figures(figure(first), figure(second)))
}

/// The difference of two figures from an interval of each, at the confidence of both.
pub(crate) fn of_figures(first: (f64, Bounds), second: (f64, Bounds)) -> Difference {
    let (one, one_bounds) = first;
    let (other, other_bounds) = second;
    let value = other - one;
    let distance = |a: Option<f64>, b: Option<f64>| Some((other - a?).hypot(one - b?));
    Difference {
        value,
        low: distance(other_bounds.low, one_bounds.high).map(|distance| value - distance),
        high: distance(other_bounds.high, one_bounds.low).map(|distance| value + distance),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::stats::CONFIDENCE;

    /// Newcombe (1998), table II, method 10; its differences are first less second.
    #[test]
    fn rates_differ_as_published() {
        for (first, second, low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((6, 7), (2, 7), 0.0582, 0.8062),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((0, 10), (0, 10), -0.2775, 0.2775),
            ((10, 10), (0, 20), 0.6791, 1.0),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ] {
            let difference = of_rates(second, first, CONFIDENCE).unwrap();
            let [shown_low, shown_high] = [difference.low, difference.high].map(Option::unwrap);
            assert!((shown_low - low).abs() < 5.1e-5, "{first:?} {second:?}: {difference:?}");
            assert!((shown_high - high).abs() < 5.1e-5, "{first:?} {second:?}: {difference:?}");
        }
    }

    #[test]
    fn without_trials_there_is_no_difference() {
        assert_eq!(of_rates((0, 0), (1, 1), CONFIDENCE), None);
        assert_eq!(of_rates((1, 1), (0, 0), CONFIDENCE), None);
    }

    #[test]
    fn an_end_that_one_sample_leaves_open_is_open() {
        let bounded = (10.0, Bounds { low: Some(9.0), high: Some(12.0) });
        let half = (20.0, Bounds { low: Some(18.0), high: None });
        let difference = of_figures(bounded, half);
        assert_eq!(difference.high, None);
        assert!((difference.low.unwrap() - (10.0 - 8.0_f64.sqrt())).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_difference_turns_its_sign_with_the_order(
            (a, n) in (1..500_u64).prop_flat_map(|n| (0..=n, Just(n))),
            (b, m) in (1..500_u64).prop_flat_map(|n| (0..=n, Just(n))),
        ) {
            let one = of_rates((a, n), (b, m), CONFIDENCE).unwrap();
            let other = of_rates((b, m), (a, n), CONFIDENCE).unwrap();
            let [low, high] = [one.low, one.high].map(Option::unwrap);
            prop_assert!((low + other.high.unwrap()).abs() < 1e-12);
            prop_assert!(-1.0 <= low && low <= one.value && one.value <= high && high <= 1.0);
            prop_assert!((one.value + other.value).abs() < 1e-12);
        }
    }
}
