//! Confidence intervals of the difference between two samples that may contain pairs: trials with
//! the same seed, and therefore with the same clocks, starts and delays.
//!
//! The intervals of the two figures are combined by the MOVER method, which Newcombe gave for
//! rates, and Zou and Donner for any figure ("Construction of confidence limits about effect
//! measures: a general approach", Statistics in Medicine 27 (2008) 1693–1702). If `a` and `b` are
//! the distances of the two figures from the ends of their intervals, and `r` is the correlation of
//! the figures, then the end of the difference is at the distance `sqrt(a² + b² - 2·r·a·b)`.

use serde::{Deserialize, Serialize};

use super::{Bounds, wilson_at};

/// A difference, second less first, with its interval. An end is absent if a sample is too small to
/// bound it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// Second less first.
    pub value: f64,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
}

/// Number of successes, and number of successes and failures.
pub(crate) type Proportion = (u64, u64);

/// Numbers of pairs by whether the first member, the second, both or neither have a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pairs {
    pub both: u64,
    pub only_first: u64,
    pub only_second: u64,
    pub neither: u64,
}

impl Pairs {
    /// Number of pairs.
    pub(crate) fn count(self) -> u64 {
        self.both + self.only_first + self.only_second + self.neither
    }

    /// Correlation of two means or medians of samples of these sizes that have these pairs in
    /// common. The correlation of the pairs is phi with a continuity correction. Members of one
    /// sample only are uncorrelated.
    fn correlation(self, sizes: [u64; 2]) -> f64 {
        let [both, only_first, only_second, neither] =
            [self.both, self.only_first, self.only_second, self.neither].map(|count| count as f64);
        let margins = (both + only_first)
            * (only_second + neither)
            * (both + only_second)
            * (only_first + neither);
        if margins == 0.0 {
            return 0.0;
        }
        let count = self.count() as f64;
        let product = both * neither - only_first * only_second;
        let corrected = if product > 0.0 { (product - count / 2.0).max(0.0) } else { product };
        let [first, second] = sizes.map(|count| count as f64);
        corrected / margins.sqrt() * count / (first * second).sqrt()
    }
}

impl FromIterator<(bool, bool)> for Pairs {
    fn from_iter<T: IntoIterator<Item = (bool, bool)>>(all: T) -> Self {
        let mut pairs = Self::default();
        for pair in all {
            *match pair {
                (true, true) => &mut pairs.both,
                (true, false) => &mut pairs.only_first,
                (false, true) => &mut pairs.only_second,
                (false, false) => &mut pairs.neither,
            } += 1;
        }
        pairs
    }
}

/// Difference of two rates with its score interval; `pairs` are the trials of both samples that
/// have the same seed. `None` if a sample has no trials. Without pairs, this is method 10 of
/// Newcombe, "Interval estimation for the difference between independent proportions: comparison of
/// eleven methods", Statistics in Medicine 17 (1998) 873–890. With pairs only, this is method 10 of
/// Newcombe, "Improved confidence intervals for the difference between binomial proportions based
/// on paired data", same volume, 2635–2650.
///
/// # Panics
///
/// More successes than trials.
pub(crate) fn of_rates(
    first: Proportion,
    second: Proportion,
    pairs: Pairs,
    confidence: f64,
) -> Option<Difference> {
    if first.1 == 0 || second.1 == 0 {
        return None;
    }
    let figure = |(successes, trials)| {
        let interval = wilson_at(confidence, successes, trials);
        let bounds = Bounds { low: Some(interval.low), high: Some(interval.high) };
        (successes as f64 / trials as f64, bounds)
    };
    Some(of_correlated(figure(first), figure(second), pairs.correlation([first.1, second.1])))
}

/// A median, the interval of the median, and the size of the sample.
pub(crate) type Median = (f64, Bounds, u64);

/// Difference of two medians, whose intervals have the same confidence; `pairs` are the values of
/// both samples that have the same seed, by whether a value is above the median of its sample.
pub(crate) fn of_medians(first: Median, second: Median, pairs: Pairs) -> Difference {
    let ((one, one_bounds, one_size), (other, other_bounds, other_size)) = (first, second);
    let correlation = pairs.correlation([one_size, other_size]);
    of_correlated((one, one_bounds), (other, other_bounds), correlation)
}

fn of_correlated(first: (f64, Bounds), second: (f64, Bounds), correlation: f64) -> Difference {
    let (one, one_bounds) = first;
    let (other, other_bounds) = second;
    let value = other - one;
    let distance = |end: Option<f64>, opposite: Option<f64>| {
        let (a, b) = (other - end?, one - opposite?);
        // `a` and `b` have opposite signs, so that their product is not positive.
        Some((a * a + 2.0 * correlation * a * b + b * b).max(0.0).sqrt())
    };
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
    use crate::stats::CONFIDENCE;

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
            let difference = of_rates(second, first, Pairs::default(), CONFIDENCE).unwrap();
            let [shown_low, shown_high] = [difference.low, difference.high].map(Option::unwrap);
            assert!((shown_low - low).abs() < 5.1e-5, "{first:?} {second:?}: {difference:?}");
            assert!((shown_high - high).abs() < 5.1e-5, "{first:?} {second:?}: {difference:?}");
        }
    }

    fn paired([both, only_first, only_second, neither]: [u64; 4]) -> Difference {
        let pairs = Pairs { both, only_first, only_second, neither };
        let [first, second] = [both + only_first, both + only_second];
        of_rates((first, pairs.count()), (second, pairs.count()), pairs, CONFIDENCE).unwrap()
    }

    /// Fagerland, Lydersen and Laake, *Statistical Analysis of Contingency Tables* (2017), chapter
    /// 8, "Newcombe square-and-add", as its R package `contingencytables` has them: airway
    /// hyper-responsiveness (Bentur et al. 2009) and complete response (Cavo et al. 2012), first
    /// less second.
    #[test]
    fn rates_of_pairs_differ_as_published() {
        for (counts, low, high) in
            [([1, 1, 7, 12], -0.5069, -0.0256), ([59, 6, 16, 80], -0.1186, -0.0046)]
        {
            let difference = paired(counts);
            let [shown_low, shown_high] = [difference.low, difference.high].map(Option::unwrap);
            assert!((shown_low + high).abs() < 5.1e-5, "{counts:?}: {difference:?}");
            assert!((shown_high + low).abs() < 5.1e-5, "{counts:?}: {difference:?}");
        }
    }

    #[test]
    fn more_equal_pairs_make_the_interval_narrower() {
        let width = |alike: u64| {
            let pairs = Pairs { both: alike / 2, neither: alike / 2, ..Pairs::default() };
            let difference = of_rates((50, 100), (50, 100), pairs, CONFIDENCE).unwrap();
            difference.high.unwrap() - difference.low.unwrap()
        };
        assert!(width(100) < width(50) && width(50) < width(0));
        assert!(width(100) < 0.25 * width(0), "{} {}", width(100), width(0));
        // Equal numbers of equal and different pairs: no correlation.
        assert_eq!(
            paired([25; 4]),
            of_rates((50, 100), (50, 100), Pairs::default(), CONFIDENCE).unwrap()
        );
        // Only different pairs.
        assert!(paired([0, 50, 50, 0]).high > paired([25; 4]).high);
    }

    #[test]
    fn correlated_pairs_make_the_interval_of_medians_narrower() {
        let figure = (10.0, Bounds { low: Some(9.0), high: Some(12.0) }, 100);
        let high = |pairs: Pairs| of_medians(figure, figure, pairs).high.unwrap();
        let together = Pairs { both: 50, neither: 50, ..Pairs::default() };
        assert!(high(together) < high(Pairs::default()));
    }

    #[test]
    fn without_trials_there_is_no_difference() {
        assert_eq!(of_rates((0, 0), (1, 1), Pairs::default(), CONFIDENCE), None);
        assert_eq!(of_rates((1, 1), (0, 0), Pairs::default(), CONFIDENCE), None);
    }

    #[test]
    fn a_sample_without_a_bound_leaves_the_end_open() {
        let bounded = (10.0, Bounds { low: Some(9.0), high: Some(12.0) }, 8);
        let half = (20.0, Bounds { low: Some(18.0), high: None }, 5);
        let difference = of_medians(bounded, half, Pairs::default());
        assert_eq!(difference.high, None);
        assert!((difference.low.unwrap() - (10.0 - 8.0_f64.sqrt())).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn exchanging_the_samples_changes_the_sign(
            [both, only_first, only_second] in [0..200_u64, 0..200_u64, 0..200_u64],
            neither in 1..200_u64,
            more_first in 0..100_u64,
            more_second in 0..100_u64,
        ) {
            let pairs = Pairs { both, only_first, only_second, neither };
            let back = Pairs { only_first: only_second, only_second: only_first, ..pairs };
            let first = (both + only_first, pairs.count() + more_first);
            let second = (both + only_second, pairs.count() + more_second);
            let one = of_rates(first, second, pairs, CONFIDENCE).unwrap();
            let other = of_rates(second, first, back, CONFIDENCE).unwrap();
            let [low, high] = [one.low, one.high].map(Option::unwrap);
            prop_assert!((low + other.high.unwrap()).abs() < 1e-12);
            prop_assert!(low <= one.value && one.value <= high);
            prop_assert!((one.value + other.value).abs() < 1e-12);
        }
    }
}
