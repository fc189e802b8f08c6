//! The dispatcher: starts trials as labs become free, and writes every event in one place.
//!
//! What always holds: an event is on disk before anything is shown of it; after the first signal
//! nothing is started; when it returns, all labs are gone.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use punch::{driver::clock::monotonic_now, proto::time::MonoTime};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    context::Bench,
    queue::{Decision, Queue},
    trial::{self, Finished},
};
use crate::{
    event::{Event, RunFinished, TrialFinished},
    isolate,
    report::{
        log::{EventLog, LogError},
        progress::Progress,
    },
    scenario::Scenario,
};

/// Signals that follow each other faster are one: `timeout` and process groups send several.
const SAME_SIGNAL: Duration = Duration::from_millis(300);

/// How long the last labs may take to go.
const REMOVAL: Duration = Duration::from_secs(10);

/// What is run.
pub(crate) struct Dispatch<'a> {
    /// Scenarios and their run seeds.
    pub(crate) scenarios: &'a [(Scenario, u64)],
    /// Labs that may stand at once.
    pub(crate) jobs: usize,
    /// What trials share.
    pub(crate) bench: Arc<Bench>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every trial was run.
    Complete,
    /// A signal cut it short: 128 and its number.
    Interrupted(u8),
}

/// Why a run could not go on. What was measured is in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The results cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Signals cannot be caught.
    #[error("signals cannot be caught: {0}")]
    Signals(std::io::Error),
}

/// A signal that ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop(pub(super) u8);

/// Runs all trials, writing events to `log` and telling `observer` of each; `tick` is called about
/// once a second.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn run(
    dispatch: &Dispatch<'_>,
    log: &mut EventLog,
    progress: &mut Progress<impl std::io::Write>,
    mut observer: impl FnMut(&Event),
) -> Result<Ended, RunError> {
    let begun = monotonic_now();
    let mut signals = catch_signals().map_err(RunError::Signals)?;
    let labs = Arc::new(Semaphore::new(dispatch.jobs));
    let mut queue = Queue::new(dispatch.scenarios);
    let mut running = JoinSet::new();
    let mut retries = 0;
    let mut stopped = None;
    let mut unwritten = None;
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);

    while stopped.is_none() && unwritten.is_none() && (queue.has_next() || !running.is_empty()) {
        tokio::select! {
            biased;
            stop = signals.recv() => stopped = stop,
            Some(done) = running.join_next(), if !running.is_empty() => {
                let (finished, again): Finished = done.expect("a trial neither panics nor is aborted");
                retries += again;
                let (events, more) = over(&mut queue, finished);
                progress.expect_more(u64::from(more));
                for event in events {
                    if let Err(error) = log.append(&event) {
                        unwritten = Some(error);
                        break;
                    }
                    observer(&event);
                    progress.add(&event, elapsed(begun));
                }
            }
            lab = free(&labs), if queue.has_next() => {
                if let Some(trial) = queue.next() {
                    let bench = Arc::clone(&dispatch.bench);
                    running.spawn(async move { trial::run(&bench, &trial, lab).await });
                }
            }
            _ = clock.tick() => progress.tick(elapsed(begun)),
        }
    }
    if stopped.is_some() {
        progress.message("interrupted: cleaning up (once more to leave at once)");
    }
    let tidy = async {
        running.shutdown().await;
        // Every lab holds a permit until its last descriptor is closed.
        let all = u32::try_from(dispatch.jobs).unwrap_or(u32::MAX);
        let _ = timeout(REMOVAL, labs.acquire_many(all)).await;
    };
    tokio::select! {
        () = tidy => {}
        Some(Stop(code)) = signals.recv() => std::process::exit(i32::from(code)),
    }
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    let event = Event::RunFinished(RunFinished {
        interrupted: stopped.is_some(),
        elapsed_s: elapsed(begun).as_secs_f64(),
        lab_retries: retries,
    });
    log.append(&event)?;
    observer(&event);
    Ok(stopped.map_or(Ended::Complete, |Stop(code)| Ended::Interrupted(code)))
}

/// What the log gets to hold of a trial that is over, and how many more its cell gets.
fn over(queue: &mut Queue<'_>, finished: TrialFinished) -> (Vec<Event>, u32) {
    let decision = queue.finished(&finished);
    let finished = Event::TrialFinished(Box::new(finished));
    match decision {
        None => (vec![finished], 0),
        Some(Decision::More(trials)) => (vec![finished], trials),
        Some(Decision::Enough(decided)) => (vec![finished, Event::CellDecided(decided)], 0),
    }
}

fn elapsed(begun: MonoTime) -> Duration {
    monotonic_now().since(begun)
}

fn free(labs: &Arc<Semaphore>) -> impl Future<Output = OwnedSemaphorePermit> + use<> {
    let labs = Arc::clone(labs);
    async move {
        labs.acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }
}

/// SIGINT, SIGQUIT, SIGTERM and SIGHUP, with bursts taken as one.
pub(super) fn catch_signals() -> std::io::Result<mpsc::UnboundedReceiver<Stop>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    isolate::hear_signals()?;
    tokio::spawn(async move {
        loop {
            let stop = tokio::select! {
                _ = interrupt.recv() => Stop(130),
                _ = terminate.recv() => Stop(143),
                _ = hang_up.recv() => Stop(129),
                _ = quit.recv() => Stop(131),
            };
            if sender.send(stop).is_err() {
                return;
            }
            let burst = async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hang_up.recv() => {}
                        _ = quit.recv() => {}
                    }
                }
            };
            tokio::select! {
                () = sleep(SAME_SIGNAL) => {}
                () = burst => {}
            }
        }
    });
    Ok(receiver)
}

impl fmt::Debug for Dispatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch")
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}
