//! Which trial it is, and everything that was seen of it.

use std::{sync::Arc, time::Duration};

use punch::{ClockOffset, Event, proto::time::MonoTime};

use super::{draws::TrialSeed, peer::Ended};
use crate::{
    diagnose::flow::Place,
    scenario::{Cell, Scenario, Setup},
    wan::Traffic,
};

/// Which trial this is.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) scenario: usize,
    pub(crate) cell: usize,
    pub(crate) trial: u32,
    pub(crate) seed: TrialSeed,
    pub(crate) setup: Arc<Setup>,
    /// Scenario, cell and index, for the names of captures.
    pub(crate) slug: String,
    /// Scenario and swept values, for people.
    pub(crate) title: String,
}

impl Trial {
    /// A trial of the scenario, whose number in the run and whose cell are given.
    pub(crate) fn new(
        scenario: &Scenario,
        [number, cell]: [usize; 2],
        trial: u32,
        seed: TrialSeed,
        setup: Arc<Setup>,
    ) -> Self {
        let label = scenario
            .cells
            .get(cell)
            .map(Cell::label)
            .unwrap_or_default();
        let title = match label.as_str() {
            "" => scenario.name.clone(),
            label => format!("{} ({label})", scenario.name),
        };
        let slug = format!("{}-{cell}-{trial}", scenario.name);
        Self { scenario: number, cell, trial, seed, setup, slug, title }
    }

    /// By which `harness replay` finds it in its run: `0.3.17` is trial 17 of cell 3 of the first
    /// scenario.
    pub(crate) fn id(&self) -> String {
        format!("{}.{}.{}", self.scenario, self.cell, self.trial)
    }
}

/// Everything that was seen of a trial.
pub(super) struct Seen {
    pub(super) begin: MonoTime,
    pub(super) traffic: Traffic,
    pub(super) peers: [Ended; 2],
    pub(super) events: [Vec<Event>; 2],
    /// Planned starts, after the begin.
    pub(super) starts: [Duration; 2],
    /// The longest time for which the bench did not run.
    pub(super) stall: Duration,
    /// Where the peers are on the WAN.
    pub(super) places: [Place; 2],
}

/// A clock offset of a scenario.
pub(super) fn skew(seconds: f64) -> ClockOffset {
    ClockOffset::from_secs_f64(seconds).expect("the scenario was checked to have sane offsets")
}
