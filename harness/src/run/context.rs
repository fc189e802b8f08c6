//! Resources that the trials of a run share.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use tokio::sync::Semaphore;

use super::record::Captures;
use crate::{nat::NatSpec, peers::Family, scenario::Setup, stalls::Stalls};

/// Why no trial can be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    /// This process cannot be found.
    #[error("/proc is not mounted: {0}")]
    Process(io::Error),
    /// The thread that detects stalls cannot be started.
    #[error("no thread can be started: {0}")]
    Stalls(io::Error),
    /// Nothing would run the trials.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
}

/// Resources that all trials of a run share.
#[derive(Debug)]
pub(crate) struct RunContext {
    /// Limit of the labs that are being built: the kernel's network lock makes more of them slower.
    pub(crate) builders: Semaphore,
    /// Folder of this process in the mounted `/proc`.
    pub(crate) process: PathBuf,
    /// Captures, if asked for.
    pub(crate) captures: Option<Captures>,
    /// NATs on which nothing is measured.
    pub(crate) refused: Vec<RefusedNat>,
    /// Record of the times at which the bench itself stood still.
    pub(crate) stalls: Stalls,
}

impl RunContext {
    /// Context for trials of this process, which must be isolated; without captures.
    ///
    /// # Errors
    /// See [`ContextError`].
    pub(crate) fn new() -> Result<Self, ContextError> {
        let pid = fs::read_link("/proc/self").map_err(ContextError::Process)?;
        // More builders wait for the kernel's network lock, spinning: with 8 on 2 cores a lab costs
        // twice the processor time, and packets are late.
        let builders = Semaphore::new(cores());
        let stalls = Stalls::watch().map_err(ContextError::Stalls)?;
        let process = Path::new("/proc").join(pid);
        Ok(Self { builders, process, captures: None, refused: Vec::new(), stalls })
    }
}

/// NAT on which nothing is measured: it cannot be built, or does not do what it says.
#[derive(Debug, Clone)]
pub(crate) struct RefusedNat {
    /// Version of IP in which the NAT is refused.
    pub(crate) family: Family,
    /// The NAT.
    pub(crate) nat: NatSpec,
    /// Reason, in words.
    pub(crate) reason: String,
    /// Remedy, in words.
    pub(crate) remedy: String,
}

/// Reason why the trials of a setup cannot be run, if one of its NATs is refused.
pub(crate) fn refusal(refused: &[RefusedNat], setup: &Setup) -> Option<String> {
    let stands_in_setup = |candidate: &&RefusedNat| {
        let mut nats = setup.peers.values().filter_map(|peer| peer.nat.spec());
        setup.wan.family == candidate.family && nats.any(|nat| *nat == candidate.nat)
    };
    let found = refused.iter().find(stands_in_setup)?;
    Some(format!("NAT {}: {}", found.nat, found.reason))
}

/// Runtime with the threads that run trials.
///
/// # Errors
/// They cannot be started.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, ContextError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores())
        .enable_all()
        .build()
        .map_err(ContextError::Threads)
}

fn cores() -> usize {
    thread::available_parallelism()
        .map_or(2, usize::from)
        .max(2)
}
