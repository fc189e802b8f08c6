//! Identity of a trial, and everything that was observed of it.

use std::{sync::Arc, time::Duration};

use punch::{ClockOffset, Event, proto::time::MonoTime};

use super::{peer::PeerRun, randomness::TrialSeed};
use crate::{
    diagnose::flow::PeerLocation,
    peers::Pair,
    scenario::{Cell, Scenario, Setup},
    wan::Traffic,
};

/// Everything that determines a trial.
#[derive(Debug, Clone)]
pub(crate) struct TrialSpec {
    /// Index of the scenario in its run.
    pub(crate) scenario: usize,
    /// Index of the cell in its scenario.
    pub(crate) cell: usize,
    /// Index of the trial in its cell.
    pub(crate) trial: u32,
    pub(crate) seed: TrialSeed,
    pub(crate) setup: Arc<Setup>,
    /// Scenario, cell and index, for the names of captures.
    pub(crate) slug: String,
    /// Scenario and swept values, for people.
    pub(crate) title: String,
}

impl TrialSpec {
    /// Trial of a scenario; the two indices are that of the scenario and that of the cell.
    pub(crate) fn new(
        scenario: &Scenario,
        [index, cell]: [usize; 2],
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
        Self { scenario: index, cell, trial, seed, setup, slug, title }
    }

    /// Argument of `harness replay` for this trial: `0.3.17` is trial 17 of cell 3 of the first
    /// scenario.
    pub(crate) fn id(&self) -> String {
        format!("{}.{}.{}", self.scenario, self.cell, self.trial)
    }
}

/// Everything that was observed of a trial.
pub(super) struct Observation {
    /// Begin of the trial.
    pub(super) begin: MonoTime,
    /// Packets on the WAN.
    pub(super) traffic: Traffic,
    /// Processes of the peers.
    pub(super) peers: Pair<PeerRun>,
    /// Events that the peers wrote.
    pub(super) events: Pair<Vec<Event>>,
    /// Planned starts of the peers, from the begin.
    pub(super) starts: Pair<Duration>,
    /// Longest time for which the bench did not run.
    pub(super) stall: Duration,
    /// Places of the peers on the WAN.
    pub(super) locations: Pair<PeerLocation>,
}

/// Clock offset from the seconds of a scenario.
pub(super) fn skew(seconds: f64) -> ClockOffset {
    ClockOffset::from_secs_f64(seconds).expect("the scenario was checked to have sane offsets")
}
