//! Random values of a trial, drawn at once from its seed.

use std::{fmt, hash::Hasher, sync::Arc};

use punch::proto::time::WallTime;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{
    peers::Pair,
    scenario::{Cell, Distribution, RandomKey, Setup},
};

/// Earliest virtual epoch: 2023-11-14, in Unix seconds.
const FIRST_EPOCH_S: i64 = 1_700_000_000;

/// Range of the virtual epochs in seconds (some three years): the position of the clocks within the
/// bucket is then uniform for any window.
const EPOCH_RANGE_S: u64 = 100_000_000;

/// Seed of a trial; with the setup of the cell it determines everything but the timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrialSeed(pub(crate) u64);

impl TrialSeed {
    /// 64-bit FNV-1a of the run seed, the cell's label and the index of the trial: other cells and
    /// the order in which trials run do not change it.
    pub(crate) fn new(run_seed: u64, cell: &Cell, trial: u32) -> Self {
        let mut hasher = fnv::FnvHasher::default();
        hasher.write(&run_seed.to_le_bytes());
        hasher.write(cell.label().as_bytes());
        hasher.write(&[0xFF]);
        hasher.write(&trial.to_le_bytes());
        Self(hasher.finish())
    }

    /// Seed of one value in the trial, by the value's name.
    fn of(self, name: &str) -> u64 {
        let mut hasher = fnv::FnvHasher::default();
        hasher.write(&self.0.to_le_bytes());
        hasher.write(name.as_bytes());
        hasher.finish()
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for TrialSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Random values of a trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Randomness {
    /// Reading of an exact clock at the begin of the trial.
    pub(crate) epoch: WallTime,
    /// Start of each peer after the begin of the trial, in seconds.
    pub(crate) start_s: Pair<f64>,
    /// Values that the scenario gives as distributions.
    pub(crate) sampled: Vec<(RandomKey, f64)>,
    /// Seeds of the peers' own randomness.
    pub(crate) peer_seeds: Pair<u64>,
    /// Line that each peer is given to send.
    pub(crate) tokens: Pair<String>,
    /// Seed of the WAN's losses.
    pub(crate) wan_seed: [u8; 32],
}

impl Randomness {
    /// Draws in a fixed order. A value that a scenario gives as a distribution comes from a
    /// generator of its own path, so that all other values of the trial are the same without it.
    pub(crate) fn new(seed: TrialSeed, setup: &Setup) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed.0);
        let second = i64::try_from(rng.next_u64() % EPOCH_RANGE_S).unwrap_or_default();
        let nanos = i64::from(rng.next_u32() % 1_000_000_000);
        let epoch = (FIRST_EPOCH_S + second) * 1_000_000_000 + nanos;
        let start_s = Pair::from_fn(|side| setup.peers[side].start.sample(&mut rng));
        let peer_seeds = Pair::from_fn(|_| rng.next_u64());
        let tokens = Pair::from_fn(|side| {
            format!("from {side}: {:016x}{:016x}\n", rng.next_u64(), rng.next_u64())
        });
        let mut wan_seed = [0; 32];
        rng.fill_bytes(&mut wan_seed);
        let sample = |(key, distribution): &(RandomKey, Distribution)| {
            let mut own_rng = ChaCha20Rng::seed_from_u64(seed.of(&key.path()));
            (*key, distribution.sample(&mut own_rng))
        };
        let sampled = setup.random.iter().map(sample).collect();
        Self { epoch: WallTime::from_nanos(epoch), start_s, sampled, peer_seeds, tokens, wan_seed }
    }

    /// The setup with the sampled values in place of the distributions.
    pub(crate) fn applied_to(&self, setup: &Arc<Setup>) -> Arc<Setup> {
        if self.sampled.is_empty() {
            return Arc::clone(setup);
        }
        let mut own = Setup::clone(setup);
        for (key, value) in &self.sampled {
            own.set(*key, *value);
        }
        Arc::new(own)
    }

    /// Whether the delay of this trial is a sampled value.
    pub(crate) fn has_own_delay(&self) -> bool {
        self.sampled.iter().any(|(key, _)| *key == RandomKey::Delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn randomness(text: &str, trial: u32) -> Randomness {
        let text = format!("trials = 1\n{text}");
        let scenario = Scenario::parse("test.toml", &text).unwrap();
        let cell = &scenario.cells[0];
        Randomness::new(TrialSeed::new(42, cell, trial), &cell.setup)
    }

    #[test]
    fn a_sampled_value_leaves_all_other_values_as_they_are() {
        let plain = randomness("", 0);
        assert!(plain.sampled.is_empty());
        let both = randomness(
            "[wan]\ndelay_ms = { uniform = [10, 50] }\n\
             [peer.b]\nclock_offset_s = { normal = { mean = 0, sd = 5 } }",
            0,
        );
        assert_eq!(Randomness { sampled: Vec::new(), ..both.clone() }, plain);
        let only = randomness("[peer.b]\nclock_offset_s = { normal = { mean = 0, sd = 5 } }", 0);
        assert_eq!(both.sampled[1], only.sampled[0]);
    }

    #[test]
    fn each_trial_and_each_path_has_a_value_of_its_own() {
        let text = "[peer.a]\nclock_offset_s = { uniform = [0, 5] }\n\
            [peer.b]\nclock_offset_s = { uniform = [0, 5] }\n[wan]\ndelay_ms = { choice = [7] }";
        let [one, other] = [0, 1].map(|trial| randomness(text, trial));
        assert_ne!(one.sampled, other.sampled);
        let [(_, delay), (_, a), (_, b)] = one.sampled[..] else { panic!("three draws") };
        assert!(a != b && (0.0..5.0).contains(&a), "{a} {b}");
        assert_eq!(delay, 7.0);
        let scenario = Scenario::parse("test.toml", &format!("trials = 1\n{text}")).unwrap();
        let setup = one.applied_to(&Arc::new(scenario.cells[0].setup.clone()));
        assert_eq!(setup.peers.as_ref().map(|peer| peer.clock_offset_s), Pair::new(a, b));
        assert_eq!(setup.wan.rtt(), std::time::Duration::from_millis(14));
    }

    /// Values of the first version: a seed in a bug report stays useful.
    #[test]
    fn a_seed_gives_the_same_trial_in_every_version() {
        let drawn = randomness("[peer.b]\nstart_s = { uniform = [0, 2] }", 7);
        assert_eq!(drawn.epoch.as_nanos(), 1_734_331_857_848_708_126);
        assert_eq!(drawn.start_s, Pair::new(0.0, 1.4628926779122018));
        assert_eq!(
            drawn.peer_seeds,
            Pair::new(13_124_803_998_501_302_680, 16_865_175_008_887_903_055)
        );
    }
}
