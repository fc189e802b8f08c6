//! Everything random in a trial, drawn at once from its seed.

use std::{fmt, hash::Hasher};

use punch::core::time::WallTime;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::scenario::{Cell, Setup};

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
    /// Seeds of the peers' own randomness.
    pub(crate) peer_seeds: [u64; 2],
    /// The line that each peer is given to send.
    pub(crate) tokens: [String; 2],
    /// Seed of what the WAN does.
    pub(crate) wan_seed: [u8; 32],
}

impl Draws {
    /// Draws in a fixed order.
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
        Self { epoch: WallTime::from_nanos(epoch), start_s, peer_seeds, tokens, wan_seed }
    }
}
