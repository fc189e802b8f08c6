//! What the trials of a run share.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use tokio::sync::Semaphore;

use super::{record::Captures, refused::Refused};
use crate::stalls::Stalls;

/// Why no trial can be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    /// This process cannot be found.
    #[error("/proc is not mounted: {0}")]
    Process(io::Error),
    /// Nothing would notice when the bench stands still.
    #[error("no thread can be started: {0}")]
    Stalls(io::Error),
    /// Nothing would run the trials.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
}

/// What all trials of a run share.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Labs being built at once: the kernel's network lock makes more of them slower.
    pub(crate) builders: Semaphore,
    /// This process as the mounted `/proc` numbers it.
    pub(crate) process: PathBuf,
    /// Captures, if asked for.
    pub(crate) captures: Option<Captures>,
    /// NATs on which nothing is measured.
    pub(crate) refused: Vec<Refused>,
    /// When the bench itself stood still.
    pub(crate) stalls: Stalls,
}

impl Bench {
    /// For trials of this process, which must be isolated.
    ///
    /// # Errors
    /// See [`ContextError`].
    pub(crate) fn new(captures: Option<Captures>) -> Result<Self, ContextError> {
        let myself = fs::read_link("/proc/self").map_err(ContextError::Process)?;
        // More wait for the kernel's network lock, spinning: with 8 on 2 cores a lab costs twice
        // the processor time, and packets are late.
        let builders = Semaphore::new(cores());
        let stalls = Stalls::watch().map_err(ContextError::Stalls)?;
        let process = Path::new("/proc").join(myself);
        Ok(Self { builders, process, captures, refused: Vec::new(), stalls })
    }
}

/// The threads that run trials.
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
