//! Everything random in a trial, drawn at once from its seed.

use std::{fmt, hash::Hasher, sync::Arc};

use punch::proto::time::WallTime;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::scenario::{Cell, Drawn, Setup};

/// Earliest virtual epoch: 2023-11-14, in Unix seconds.
const FIRST_EPOCH_S: i64 = 1_700_000_000;

/// Virtual epochs are spread over this many seconds (some three years), so that the position of
/// the clocks within the bucket is uniform for any window.
const EPOCHS_S: u64 = 100_000_000;

/// The seed of one trial; with the setup of its cell it determines everything but the timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrialSeed(pub(crate) u64);

impl TrialSeed {
    /// The seed of a trial: 64-bit FNV-1a of the run seed, the cell's label and the index, so that
    /// it depends neither on other cells nor on the order in which trials run.
    pub(crate) fn new(run_seed: u64, cell: &Cell, trial: u32) -> Self {
        let mut hasher = fnv::FnvHasher::default();
        hasher.write(&run_seed.to_le_bytes());
        hasher.write(cell.label().as_bytes());
        hasher.write(&[0xFF]);
        hasher.write(&trial.to_le_bytes());
        Self(hasher.finish())
    }

    /// The seed of one thing in the trial, by its name.
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

/// What was drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draws {
    /// What an exact clock reads when the trial begins.
    pub(crate) epoch: WallTime,
    /// When each peer is started after the begin of the trial, in seconds.
    pub(crate) start_s: [f64; 2],
    /// What else the scenario has drawn.
    pub(crate) drawn: Vec<(Drawn, f64)>,
    /// Seeds of the peers' own randomness.
    pub(crate) peer_seeds: [u64; 2],
    /// The line that each peer is given to send.
    pub(crate) tokens: [String; 2],
    /// Seed of what the WAN does.
    pub(crate) wan_seed: [u8; 32],
}

impl Draws {
    /// Draws in a fixed order. What a scenario need not have drawn comes from a generator of its own
    /// path, so that everything else of a trial stays the same with and without it.
    pub(crate) fn new(seed: TrialSeed, setup: &Setup) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed.0);
        let second = i64::try_from(rng.next_u64() % EPOCHS_S).unwrap_or_default();
        let nanos = i64::from(rng.next_u32() % 1_000_000_000);
        let epoch = (FIRST_EPOCH_S + second) * 1_000_000_000 + nanos;
        let start_s = [0, 1].map(|side: usize| setup.peers[side].start.sample(&mut rng));
        let peer_seeds = [rng.next_u64(), rng.next_u64()];
        let tokens = ["a", "b"]
            .map(|side| format!("from {side}: {:016x}{:016x}\n", rng.next_u64(), rng.next_u64()));
        let mut wan_seed = [0; 32];
        rng.fill_bytes(&mut wan_seed);
        let drawn = setup.drawn.iter().map(|(what, draw)| {
            (*what, draw.sample(&mut ChaCha20Rng::seed_from_u64(seed.of(&what.path()))))
        });
        let drawn = drawn.collect();
        Self { epoch: WallTime::from_nanos(epoch), start_s, drawn, peer_seeds, tokens, wan_seed }
    }

    /// The setup with what was drawn in its place.
    pub(crate) fn put_into(&self, setup: &Arc<Setup>) -> Arc<Setup> {
        if self.drawn.is_empty() {
            return Arc::clone(setup);
        }
        let mut own = Setup::clone(setup);
        for (what, value) in &self.drawn {
            own.put(*what, *value);
        }
        Arc::new(own)
    }

    /// Whether the delay was drawn.
    pub(crate) fn has_own_delay(&self) -> bool {
        self.drawn.iter().any(|(what, _)| *what == Drawn::Delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn draws(text: &str, trial: u32) -> Draws {
        let text = format!("trials = 1\n{text}");
        let scenario = Scenario::parse("test.toml", &text).unwrap();
        let cell = &scenario.cells[0];
        Draws::new(TrialSeed::new(42, cell, trial), &cell.setup)
    }

    #[test]
    fn what_a_path_has_drawn_leaves_everything_else_as_it_is() {
        let plain = draws("", 0);
        assert!(plain.drawn.is_empty());
        let both = draws(
            "[wan]\ndelay_ms = { uniform = [10, 50] }\n\
             [peer.b]\nclock_offset_s = { normal = { mean = 0, sd = 5 } }",
            0,
        );
        assert_eq!(Draws { drawn: Vec::new(), ..both.clone() }, plain);
        let only = draws("[peer.b]\nclock_offset_s = { normal = { mean = 0, sd = 5 } }", 0);
        assert_eq!(both.drawn[1], only.drawn[0]);
    }

    #[test]
    fn each_trial_and_each_path_draws_its_own_and_puts_it_in_its_place() {
        let text = "[peer.a]\nclock_offset_s = { uniform = [0, 5] }\n\
            [peer.b]\nclock_offset_s = { uniform = [0, 5] }\n[wan]\ndelay_ms = { choice = [7] }";
        let [one, other] = [0, 1].map(|trial| draws(text, trial));
        assert_ne!(one.drawn, other.drawn);
        let [(_, delay), (_, a), (_, b)] = one.drawn[..] else { panic!("three draws") };
        assert!(a != b && (0.0..5.0).contains(&a), "{a} {b}");
        assert_eq!(delay, 7.0);
        let scenario = Scenario::parse("test.toml", &format!("trials = 1\n{text}")).unwrap();
        let setup = one.put_into(&Arc::new(scenario.cells[0].setup.clone()));
        assert_eq!(setup.peers.each_ref().map(|peer| peer.clock_offset_s), [a, b]);
        assert_eq!(setup.wan.rtt(), std::time::Duration::from_millis(14));
    }

    /// As the first version drew them: a seed in a bug report stays worth something.
    #[test]
    fn a_seed_means_the_same_trial_for_ever() {
        let draws = draws("[peer.b]\nstart_s = { uniform = [0, 2] }", 7);
        assert_eq!(draws.epoch.as_nanos(), 1_734_331_857_848_708_126);
        assert_eq!(draws.start_s, [0.0, 1.4628926779122018]);
        assert_eq!(draws.peer_seeds, [13_124_803_998_501_302_680, 16_865_175_008_887_903_055]);
    }
}
