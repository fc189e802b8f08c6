//! One trial alone.

use std::time::Duration;

use tokio::{sync::Semaphore, time::timeout};

use super::{
    context::Bench,
    dispatch::{RunError, Stop, catch_signals},
    observation::Trial,
    trial,
};
use crate::event::TrialFinished;

/// How long the lab may take to go.
const REMOVAL: Duration = Duration::from_secs(10);

/// Runs one trial, and removes its lab.
///
/// # Errors
/// Signals cannot be caught. An interrupt is no error, but the exit code for it.
pub(crate) async fn single(
    bench: &Bench,
    trial: &Trial,
) -> Result<Result<TrialFinished, u8>, RunError> {
    let mut signals = catch_signals().map_err(RunError::Signals)?;
    let labs = std::sync::Arc::new(Semaphore::new(1));
    let lab = std::sync::Arc::clone(&labs).acquire_owned().await;
    let lab = lab.expect("the semaphore is never closed");
    let ended = tokio::select! {
        biased;
        stop = signals.recv() => Err(stop.map_or(1, |Stop(code)| code)),
        (finished, _) = trial::run(bench, trial, lab) => Ok(finished),
    };
    // The lab holds the permit until its last descriptor is closed.
    let _ = timeout(REMOVAL, labs.acquire()).await;
    Ok(ended)
}
