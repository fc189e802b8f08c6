//! Work on threads that an interrupt ends.

use super::dispatch::{RunError, Stop, catch_signals};

/// Does blocking work, unless a signal comes first.
///
/// # Errors
/// Signals cannot be caught. An interrupt is no error, but the exit code for it; the work then goes
/// on, for a process that is about to end.
pub(crate) fn interruptible<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Result<T, u8>, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Signals)?;
    let ended = runtime.block_on(async {
        let mut signals = catch_signals().map_err(RunError::Signals)?;
        let working = tokio::task::spawn_blocking(work);
        Ok(tokio::select! {
            biased;
            stop = signals.recv() => Err(stop.map_or(1, |Stop(code)| code)),
            done = working => Ok(done.expect("a panic there is one here")),
        })
    });
    // It would wait for the work.
    runtime.shutdown_background();
    ended
}
