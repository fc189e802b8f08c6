//! Signals that end a run: SIGINT, SIGQUIT, SIGTERM and SIGHUP.

use std::{future::pending, io, time::Duration};

use nix::sys::signal::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::spawn_blocking,
    time::sleep,
};

use crate::isolate;

/// Signals that follow each other faster are one: `timeout` and process groups send several.
const BURST_INTERVAL: Duration = Duration::from_millis(300);

/// Result of work that a signal may cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interruptible<T> {
    /// The work came to its end.
    Done(T),
    /// This signal came first.
    Interrupted(Signal),
}

/// The kernel does not let this process catch signals.
#[derive(Debug, thiserror::Error)]
#[error("signals cannot be caught: {0}")]
pub(crate) struct SignalError(#[from] io::Error);

/// Receiver of the signals that end a run; a burst of them counts as one.
#[derive(Debug)]
pub(super) struct Signals(mpsc::UnboundedReceiver<Signal>);

impl Signals {
    /// Catches the signals from this moment on, within a runtime.
    ///
    /// # Errors
    /// See [`SignalError`].
    pub(super) fn catch() -> Result<Self, SignalError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut quit = signal(SignalKind::quit())?;
        isolate::hear_signals()?;
        let mut next = async move || {
            tokio::select! {
                _ = interrupt.recv() => Signal::SIGINT,
                _ = terminate.recv() => Signal::SIGTERM,
                _ = hang_up.recv() => Signal::SIGHUP,
                _ = quit.recv() => Signal::SIGQUIT,
            }
        };
        tokio::spawn(async move {
            while sender.send(next().await).is_ok() {
                let burst_end = sleep(BURST_INTERVAL);
                tokio::pin!(burst_end);
                let mut in_burst = true;
                while in_burst {
                    tokio::select! {
                        () = &mut burst_end => in_burst = false,
                        _ = next() => {}
                    }
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            // The sending task ends with the runtime only.
            None => pending().await,
        }
    }

    /// Does `work` to its end, or drops it at the next signal.
    pub(super) async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Interruptible<T> {
        tokio::select! {
            biased;
            signal = self.next() => Interruptible::Interrupted(signal),
            done = work => Interruptible::Done(done),
        }
    }
}

/// Does blocking work on a thread. After a signal the work goes on, for a process that is about to
/// end.
///
/// # Errors
/// See [`SignalError`].
pub(crate) fn interruptible<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Interruptible<T>, SignalError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::catch()?;
        let working = spawn_blocking(work);
        let ended = signals
            .unless(async { working.await.expect("a panic there is one here") })
            .await;
        Ok(ended)
    });
    // Dropping the runtime would wait for the blocking task.
    runtime.shutdown_background();
    ended
}
