//! Dispatcher of a run: starts trials as labs become free, and is the only source of events.
//!
//! What always holds: every sink gets the events in the same order, and none gets an event that an
//! earlier sink could not keep; after the first signal nothing is started; when [`run`] returns,
//! all labs are gone.

use std::{fmt, sync::Arc, time::Duration};

use punch::{driver::clock::monotonic_now, proto::time::MonoTime};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    context::RunContext,
    interrupt::{Interruptible, SignalError, Signals},
    lab_slots::LabSlots,
    queue::{Decision, Queue},
    trial::{self, Finished},
};
use crate::{
    event::{CellExtended, Event, RunFinished, TrialFinished},
    exit::Exit,
    report::sink::{Sink, SinkError},
    scenario::Scenario,
};

/// Time between two calls of [`Sink::tick`].
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Trials to run.
pub(crate) struct Dispatch<'a> {
    /// Scenarios and their run seeds.
    pub(crate) scenarios: &'a [(Scenario, u64)],
    /// Number of labs that may exist at once.
    pub(crate) jobs: usize,
    /// What the trials share.
    pub(crate) context: Arc<RunContext>,
}

/// Reason why a run could not go on. The log holds the results so far.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The results cannot be written.
    #[error("{0}")]
    Results(#[from] SinkError),
    /// Signals cannot be caught.
    #[error(transparent)]
    Signals(#[from] SignalError),
}

/// Sinks of a run, all with the same clock.
struct Sinks<'a, 'b> {
    sinks: &'a mut [&'b mut dyn Sink],
    begun: MonoTime,
}

/// Runs all trials. The sinks get each event in their order: the log comes first, so that an event
/// is on disk before anything is shown of it.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn run(
    dispatch: &Dispatch<'_>,
    sinks: &mut [&mut dyn Sink],
) -> Result<Interruptible<()>, RunError> {
    let mut sinks = Sinks { sinks, begun: monotonic_now() };
    let mut signals = Signals::catch()?;
    let slots = LabSlots::new(dispatch.jobs);
    let mut queue = Queue::new(dispatch.scenarios);
    let mut running = JoinSet::new();
    let mut lab_retries = 0;
    let mut stopped = None;
    let mut written = Ok(());
    let mut clock = interval(TICK_INTERVAL);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);

    while stopped.is_none() && written.is_ok() && (queue.has_next() || !running.is_empty()) {
        tokio::select! {
            biased;
            signal = signals.next() => stopped = Some(signal),
            Some(done) = running.join_next(), if !running.is_empty() => {
                let done: Finished = done.expect("a trial neither panics nor is aborted");
                lab_retries += done.lab_retries;
                let events = events_after(&mut queue, done.event);
                written = events.iter().try_for_each(|event| sinks.event(event));
            }
            slot = slots.take(), if queue.has_next() => {
                if let Some(trial) = queue.next() {
                    let context = Arc::clone(&dispatch.context);
                    running.spawn(async move { trial::run(&context, &trial, slot).await });
                }
            }
            _ = clock.tick() => sinks.tick(),
        }
    }
    if stopped.is_some() {
        sinks.message("interrupted: cleaning up (once more to leave at once)");
    }
    let clean_up = async {
        running.shutdown().await;
        slots.all_free().await;
    };
    if let Interruptible::Interrupted(signal) = signals.unless(clean_up).await {
        std::process::exit(Exit::Interrupted(signal).code().into());
    }
    written?;
    sinks.event(&Event::RunFinished(RunFinished {
        interrupted: stopped.is_some(),
        elapsed_s: sinks.elapsed().as_secs_f64(),
        lab_retries,
    }))?;
    Ok(stopped.map_or(Interruptible::Done(()), Interruptible::Interrupted))
}

/// The events that a finished trial leads to.
fn events_after(queue: &mut Queue<'_>, trial: TrialFinished) -> Vec<Event> {
    let TrialFinished { scenario, cell, .. } = trial;
    let decision = queue.finished(&trial);
    let finished = Event::TrialFinished(Box::new(trial));
    match decision {
        None => vec![finished],
        Some(Decision::More(trials)) => {
            let extended = CellExtended { scenario, cell, trials };
            vec![Event::CellExtended(extended), finished]
        }
        Some(Decision::Enough(decided)) => vec![finished, Event::CellDecided(decided)],
    }
}

impl Sinks<'_, '_> {
    fn elapsed(&self) -> Duration {
        monotonic_now().since(self.begun)
    }

    fn event(&mut self, event: &Event) -> Result<(), SinkError> {
        let elapsed = self.elapsed();
        self.sinks
            .iter_mut()
            .try_for_each(|sink| sink.event(event, elapsed))
    }

    fn tick(&mut self) {
        let elapsed = self.elapsed();
        self.sinks.iter_mut().for_each(|sink| sink.tick(elapsed));
    }

    fn message(&mut self, text: &str) {
        self.sinks.iter_mut().for_each(|sink| sink.message(text));
    }
}

impl fmt::Debug for Dispatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch")
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}
