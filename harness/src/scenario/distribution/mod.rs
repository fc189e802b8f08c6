//! Distributions of values that are drawn anew for each trial.

mod read;

use rand_chacha::ChaCha20Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::uniform::uniform;

/// Distribution of a number; a fixed number is one too.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Distribution {
    /// Always this value.
    Fixed(f64),
    /// Uniform from the first value to below the second, which is not less than the first.
    Uniform(f64, f64),
    /// A normal distribution, cut off at its bounds.
    Normal {
        /// Mean before the cut, within the bounds.
        mean: f64,
        /// Standard deviation before the cut, above 0.
        sd: f64,
        /// Lower bound of all values.
        low: f64,
        /// Upper bound of all values.
        high: f64,
    },
    /// An exponential distribution from the lower bound on, cut off at the upper bound: the wait
    /// for an event that may come at any moment.
    Exponential {
        /// Mean distance from the lower bound before the cut, above 0.
        mean: f64,
        /// Lower bound of all values.
        low: f64,
        /// Upper bound of all values.
        high: f64,
    },
    /// One of these values, at least one, each with the same probability.
    Choice(Vec<f64>),
}

impl Distribution {
    /// Draws a value.
    ///
    /// Every kind takes exactly one `next_u64` from the generator, a fixed value too: later draws
    /// do not depend on the kind of this distribution.
    pub(crate) fn sample(&self, rng: &mut ChaCha20Rng) -> f64 {
        self.at(uniform(rng))
    }

    /// Median.
    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// Quantile of a probability from 0 to below 1: the inverse of the distribution function.
    fn at(&self, share: f64) -> f64 {
        match self {
            Self::Fixed(value) => *value,
            Self::Uniform(low, high) => low + (high - low) * share,
            Self::Normal { mean, sd, low, high } => {
                let normal = Normal::standard();
                let [below, above] = [low, high].map(|bound| normal.cdf((bound - mean) / sd));
                let deviations = normal.inverse_cdf(below + (above - below) * share);
                (mean + sd * deviations).clamp(*low, *high)
            }
            Self::Exponential { mean, low, high } => {
                let within = -(-(high - low) / mean).exp_m1();
                (low - mean * (-share * within).ln_1p()).clamp(*low, *high)
            }
            Self::Choice(values) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "from 0 to below the number of values"
                )]
                let index = (share * values.len() as f64) as usize;
                values[index.min(values.len() - 1)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn samples(distribution: &Distribution, count: usize) -> Vec<f64> {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        (0..count).map(|_| distribution.sample(&mut rng)).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn deviation(values: &[f64]) -> f64 {
        let mean = mean(values);
        (values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / values.len() as f64)
            .sqrt()
    }

    fn normal(mean: f64, sd: f64, low: f64, high: f64) -> Distribution {
        Distribution::Normal { mean, sd, low, high }
    }

    /// A distribution of each kind, with values from 2 to 4.
    fn kinds() -> Vec<Distribution> {
        vec![
            Distribution::Fixed(3.0),
            Distribution::Uniform(2.0, 4.0),
            normal(2.5, 9.0, 2.0, 4.0),
            Distribution::Exponential { mean: 1.5, low: 2.0, high: 4.0 },
            Distribution::Choice(vec![2.0, 3.5, 4.0]),
        ]
    }

    #[test]
    fn a_fixed_value_is_always_the_same() {
        assert_eq!(samples(&Distribution::Fixed(1.5), 3), [1.5; 3]);
    }

    #[test]
    fn a_value_stays_within_its_bounds_and_fills_them() {
        for distribution in kinds() {
            let values = samples(&distribution, 10_000);
            assert!(values.iter().all(|value| (2.0..=4.0).contains(value)), "{distribution:?}");
            if !matches!(distribution, Distribution::Fixed(_)) {
                assert!(values.iter().any(|value| *value < 2.01), "{distribution:?}");
                assert!(values.iter().any(|value| *value > 3.99), "{distribution:?}");
            }
        }
    }

    #[test]
    fn the_mean_and_the_deviation_are_those_of_the_distribution() {
        for (distribution, expected_mean, expected_deviation) in [
            (Distribution::Uniform(2.0, 4.0), 3.0, 2.0 / 12_f64.sqrt()),
            (normal(3.0, 0.5, -1e6, 1e6), 3.0, 0.5),
            (Distribution::Exponential { mean: 2.0, low: 1.0, high: 1e6 }, 3.0, 2.0),
            (Distribution::Choice(vec![0.0, 10.0]), 5.0, 5.0),
            // Cut off at its mean: half a normal distribution, sd · sqrt(2/π).
            (normal(0.0, 1.0, 0.0, 1e6), 0.797_88, (1.0 - 2.0 / std::f64::consts::PI).sqrt()),
        ] {
            let values = samples(&distribution, 20_000);
            let (mean, deviation) = (mean(&values), deviation(&values));
            assert!(
                (mean - expected_mean).abs() < 0.03 * expected_deviation,
                "{distribution:?} {mean}"
            );
            let ratio = deviation / expected_deviation;
            assert!((0.97..1.03).contains(&ratio), "{distribution:?} {deviation}");
        }
    }

    #[test]
    fn a_median_has_half_of_the_values_below_it() {
        for distribution in kinds().split_off(1) {
            let median = distribution.median();
            let below = samples(&distribution, 10_000)
                .iter()
                .filter(|value| **value < median)
                .count();
            let at_most = samples(&distribution, 10_000)
                .iter()
                .filter(|value| **value <= median)
                .count();
            assert!(below < 5_200 && at_most > 4_800, "{distribution:?} {below} {at_most}");
        }
    }

    #[test]
    fn bounds_that_are_equal_leave_no_choice() {
        assert_eq!(samples(&Distribution::Uniform(1.0, 1.0), 2), [1.0, 1.0]);
        assert_eq!(samples(&normal(1.0, 2.0, 1.0, 1.0), 2), [1.0, 1.0]);
        assert_eq!(
            samples(&Distribution::Exponential { mean: 2.0, low: 1.0, high: 1.0 }, 2),
            [1.0, 1.0]
        );
    }

    #[test]
    fn each_kind_takes_one_number_from_the_generator() {
        for distribution in kinds() {
            let mut rng = ChaCha20Rng::from_seed([7; 32]);
            distribution.sample(&mut rng);
            let mut other = ChaCha20Rng::from_seed([7; 32]);
            other.next_u64();
            assert_eq!(rng.next_u64(), other.next_u64(), "{distribution:?}");
        }
    }

    /// The values come from another implementation of ChaCha20 (RFC 8439, nonce zero).
    #[test]
    fn a_seed_means_the_same_values_for_ever() {
        let values = samples(&Distribution::Uniform(0.0, 1.0), 3);
        assert_eq!(values, [0.2576700652649109, 0.43935702292436196, 0.34246004113504636]);
    }

    /// Standard normal quantiles of the same probabilities p, and −ln(1 − p), from Python's
    /// `statistics` and `math`: another version of a crate must not draw other values.
    #[test]
    fn a_seed_means_the_same_values_of_other_distributions_for_ever() {
        let close = |distribution: Distribution, expected: [f64; 3]| {
            for (sample, expected) in samples(&distribution, 3).iter().zip(expected) {
                assert!((sample - expected).abs() < 1e-9, "{distribution:?}: {sample} {expected}");
            }
        };
        close(normal(0.0, 1.0, -1e6, 1e6), NORMAL);
        close(Distribution::Exponential { mean: 1.0, low: 0.0, high: 1e6 }, EXPONENTIAL);
        assert_eq!(samples(&Distribution::Choice(vec![1.0, 2.0, 3.0]), 3), [1.0, 2.0, 2.0]);
    }

    const NORMAL: [f64; 3] = [-0.650545175890062, -0.15259959316541524, -0.40575846153944495];
    const EXPONENTIAL: [f64; 3] = [0.2979614786677207, 0.5786709805504963, 0.41924974283778543];
}
