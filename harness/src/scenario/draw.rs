//! Values that are drawn anew for each trial.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use statrs::distribution::{ContinuousCDF, Normal};

/// A number: always the same, or drawn for each trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Draw {
    /// Always this.
    Fixed(f64),
    /// Evenly from the first to below the second; the first is not the greater one.
    Uniform(f64, f64),
    /// A normal distribution, cut off at its bounds.
    Normal {
        /// Mean before the cut, within the bounds.
        mean: f64,
        /// Standard deviation before the cut, above 0.
        sd: f64,
        /// No value is below it.
        low: f64,
        /// No value is above it.
        high: f64,
    },
    /// An exponential distribution that begins at its lower bound, cut off at the upper one: the
    /// wait for something that may come at any moment.
    Exponential {
        /// Mean distance from the lower bound before the cut, above 0.
        mean: f64,
        /// No value is below it.
        low: f64,
        /// No value is above it.
        high: f64,
    },
    /// One of these, each as likely as the others; at least one.
    Choice(Vec<f64>),
}

impl Draw {
    /// Draws a value.
    ///
    /// It takes exactly one `next_u64` from the generator, for a fixed value too, so that what is
    /// drawn after it does not depend on the kind of this one. The upper 53 bits n of that number
    /// make the value that a share of n / 2⁵³ of all others are below: see [`Draw::at`].
    pub(crate) fn sample(&self, rng: &mut ChaCha20Rng) -> f64 {
        /// 2⁻⁵³, exactly.
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        self.at((rng.next_u64() >> 11) as f64 * STEP)
    }

    /// The value in the middle: as many are below it as above.
    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The value below which a share of all values lies, from 0 to below 1: the inverse of the
    /// distribution function.
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
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn samples(draw: &Draw, count: usize) -> Vec<f64> {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        (0..count).map(|_| draw.sample(&mut rng)).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn deviation(values: &[f64]) -> f64 {
        let mean = mean(values);
        (values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    fn normal(mean: f64, sd: f64, low: f64, high: f64) -> Draw {
        Draw::Normal { mean, sd, low, high }
    }

    /// Every kind, each within 2 and 4.
    fn kinds() -> Vec<Draw> {
        vec![
            Draw::Fixed(3.0),
            Draw::Uniform(2.0, 4.0),
            normal(2.5, 9.0, 2.0, 4.0),
            Draw::Exponential { mean: 1.5, low: 2.0, high: 4.0 },
            Draw::Choice(vec![2.0, 3.5, 4.0]),
        ]
    }

    #[test]
    fn a_fixed_value_is_always_the_same() {
        assert_eq!(samples(&Draw::Fixed(1.5), 3), [1.5; 3]);
    }

    #[test]
    fn a_value_stays_within_its_bounds_and_fills_them() {
        for draw in kinds() {
            let drawn = samples(&draw, 10_000);
            assert!(drawn.iter().all(|value| (2.0..=4.0).contains(value)), "{draw:?}");
            if !matches!(draw, Draw::Fixed(_)) {
                assert!(drawn.iter().any(|value| *value < 2.01), "{draw:?}");
                assert!(drawn.iter().any(|value| *value > 3.99), "{draw:?}");
            }
        }
    }

    #[test]
    fn the_mean_and_the_deviation_are_those_of_the_distribution() {
        for (draw, expected_mean, expected_deviation) in [
            (Draw::Uniform(2.0, 4.0), 3.0, 2.0 / 12_f64.sqrt()),
            (normal(3.0, 0.5, -1e6, 1e6), 3.0, 0.5),
            (Draw::Exponential { mean: 2.0, low: 1.0, high: 1e6 }, 3.0, 2.0),
            (Draw::Choice(vec![0.0, 10.0]), 5.0, 5.0),
            // Cut off at its mean: half a normal distribution, sd · sqrt(2/π).
            (normal(0.0, 1.0, 0.0, 1e6), 0.797_88, (1.0 - 2.0 / std::f64::consts::PI).sqrt()),
        ] {
            let drawn = samples(&draw, 20_000);
            let (mean, deviation) = (mean(&drawn), deviation(&drawn));
            assert!((mean - expected_mean).abs() < 0.03 * expected_deviation, "{draw:?} {mean}");
            let ratio = deviation / expected_deviation;
            assert!((0.97..1.03).contains(&ratio), "{draw:?} {deviation}");
        }
    }

    #[test]
    fn a_median_has_half_of_the_values_below_it() {
        for draw in kinds().split_off(1) {
            let median = draw.median();
            let below = samples(&draw, 10_000)
                .iter()
                .filter(|value| **value < median)
                .count();
            let at_most = samples(&draw, 10_000)
                .iter()
                .filter(|value| **value <= median)
                .count();
            assert!(below < 5_200 && at_most > 4_800, "{draw:?} {below} {at_most}");
        }
    }

    #[test]
    fn bounds_that_are_equal_leave_no_choice() {
        assert_eq!(samples(&Draw::Uniform(1.0, 1.0), 2), [1.0, 1.0]);
        assert_eq!(samples(&normal(1.0, 2.0, 1.0, 1.0), 2), [1.0, 1.0]);
        assert_eq!(samples(&Draw::Exponential { mean: 2.0, low: 1.0, high: 1.0 }, 2), [1.0, 1.0]);
    }

    #[test]
    fn each_kind_takes_one_number_from_the_generator() {
        for draw in kinds() {
            let mut rng = ChaCha20Rng::from_seed([7; 32]);
            draw.sample(&mut rng);
            let mut other = ChaCha20Rng::from_seed([7; 32]);
            other.next_u64();
            assert_eq!(rng.next_u64(), other.next_u64(), "{draw:?}");
        }
    }

    /// The values come from another implementation of ChaCha20 (RFC 8439, nonce zero).
    #[test]
    fn a_seed_means_the_same_values_for_ever() {
        let drawn = samples(&Draw::Uniform(0.0, 1.0), 3);
        assert_eq!(drawn, [0.2576700652649109, 0.43935702292436196, 0.34246004113504636]);
    }

    /// Standard normal quantiles of those shares, and −ln(1 − share), from Python's `statistics` and `math`: another version of
    /// a crate must not draw others.
    #[test]
    fn a_seed_means_the_same_values_of_other_distributions_for_ever() {
        let close = |draw: Draw, expected: [f64; 3]| {
            for (drawn, expected) in samples(&draw, 3).iter().zip(expected) {
                assert!((drawn - expected).abs() < 1e-9, "{draw:?}: {drawn} {expected}");
            }
        };
        close(normal(0.0, 1.0, -1e6, 1e6), NORMAL);
        close(Draw::Exponential { mean: 1.0, low: 0.0, high: 1e6 }, EXPONENTIAL);
        assert_eq!(samples(&Draw::Choice(vec![1.0, 2.0, 3.0]), 3), [1.0, 2.0, 2.0]);
    }

    const NORMAL: [f64; 3] = [-0.650545175890062, -0.15259959316541524, -0.40575846153944495];
    const EXPONENTIAL: [f64; 3] = [0.2979614786677207, 0.5786709805504963, 0.41924974283778543];
}
