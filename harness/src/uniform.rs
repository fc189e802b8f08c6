//! Uniform random numbers. The values of a seed never change: no crate's own sampling is used.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

/// A number from 0 to below 1: the upper 53 bits of one `next_u64`, divided by 2⁵³.
pub(crate) fn uniform(rng: &mut ChaCha20Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    /// The values come from another implementation of ChaCha20 (RFC 8439, nonce zero).
    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let numbers = [(); 3].map(|()| uniform(&mut rng));
        assert_eq!(numbers, [0.2576700652649109, 0.43935702292436196, 0.34246004113504636]);
    }
}
