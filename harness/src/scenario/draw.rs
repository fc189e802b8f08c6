//! Values that are drawn anew for each trial.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

/// A number of seconds: always the same, or drawn for each trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Draw {
    /// Always this.
    Fixed(f64),
    /// Evenly from the first to below the second; the first is not the greater one.
    Uniform(f64, f64),
}

impl Draw {
    /// Draws a value, in seconds.
    ///
    /// It takes exactly one `next_u64` from the generator, for a fixed value too, so that what is
    /// drawn after it does not depend on the kind of this one. The upper 53 bits n of that number
    /// make a uniform value low + (high − low) · n / 2⁵³. This is written out, rather than left to
    /// a crate of distributions, so that a seed means the same trial with any version of any crate.
    pub(crate) fn sample(&self, rng: &mut ChaCha20Rng) -> f64 {
        /// 2⁻⁵³, exactly.
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        let unit = (rng.next_u64() >> 11) as f64 * STEP;
        match *self {
            Self::Fixed(value) => value,
            Self::Uniform(low, high) => low + (high - low) * unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn samples(draw: Draw, count: usize) -> Vec<f64> {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        (0..count).map(|_| draw.sample(&mut rng)).collect()
    }

    #[test]
    fn a_fixed_value_is_always_the_same() {
        assert_eq!(samples(Draw::Fixed(1.5), 3), [1.5; 3]);
    }

    #[test]
    fn a_uniform_value_stays_within_its_bounds_and_fills_them() {
        let drawn = samples(Draw::Uniform(2.0, 4.0), 10_000);
        assert!(drawn.iter().all(|value| (2.0..4.0).contains(value)));
        let mean = drawn.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 3.0).abs() < 0.03, "{mean}");
        assert!(drawn.iter().any(|value| *value < 2.01));
        assert!(drawn.iter().any(|value| *value > 3.99));
    }

    #[test]
    fn bounds_that_are_equal_leave_no_choice() {
        assert_eq!(samples(Draw::Uniform(1.0, 1.0), 2), [1.0, 1.0]);
    }

    #[test]
    fn each_kind_takes_one_number_from_the_generator() {
        let after = |draw: Draw| {
            let mut rng = ChaCha20Rng::from_seed([7; 32]);
            draw.sample(&mut rng);
            rng.next_u64()
        };
        assert_eq!(after(Draw::Fixed(0.0)), after(Draw::Uniform(0.0, 9.0)));
    }

    /// The values come from another implementation of ChaCha20 (RFC 8439, nonce zero).
    #[test]
    fn a_seed_means_the_same_values_for_ever() {
        let drawn = samples(Draw::Uniform(0.0, 1.0), 3);
        assert_eq!(drawn, [0.2576700652649109, 0.43935702292436196, 0.34246004113504636]);
    }
}
