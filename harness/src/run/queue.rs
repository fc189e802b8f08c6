//! Order in which trials are started.
//!
//! Scenarios run one after the other. Within a scenario, every cell gets its first trial before any
//! cell gets its second, so that an interrupted run has measured all cells alike. A cell with a
//! precision waits at each number of trials after which its interval is computed; other cells
//! continue in that time, those of the next scenario too.
//!
//! What always holds: the selection of a cell's trials depends on the cell's plan and on the
//! results of its own trials only, see [`crate::scenario::Precision`]; their order in time depends
//! on more.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use super::{observation::TrialSpec, randomness::TrialSeed};
use crate::{
    event::{CellDecided, Outcome, TrialFinished},
    scenario::{Precision, PrecisionCheck, Scenario, half_width},
};

/// Trials that are still to be started.
#[derive(Debug)]
pub(crate) struct Queue<'a> {
    scenarios: &'a [(Scenario, u64)],
    /// The next trial of each cell that has one: scenario, index of the trial, cell.
    ready: BinaryHeap<Reverse<(usize, u32, usize)>>,
    /// Cells with a precision that is not decided, by scenario and cell.
    watched: BTreeMap<(usize, usize), Watched>,
}

/// Counts of a cell with a precision.
#[derive(Debug)]
struct Watched {
    precision: Precision,
    /// Number of trials after which the cell is decided or extended.
    until: u32,
    finished: u32,
    successes: u64,
    /// Number of trials without those that ended in an error of the bench.
    measured: u64,
}

/// Decision on a cell with a precision.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    /// The cell has had enough trials.
    Enough(CellDecided),
    /// The cell gets this number of further trials.
    More(u32),
}

impl<'a> Queue<'a> {
    /// Queue with all trials of scenarios, which come with their run seeds.
    pub(crate) fn new(scenarios: &'a [(Scenario, u64)]) -> Self {
        let mut queue = Self { scenarios, ready: BinaryHeap::new(), watched: BTreeMap::new() };
        for (number, (scenario, _)) in scenarios.iter().enumerate() {
            for cell in 0..scenario.cells.len() {
                queue.ready.push(Reverse((number, 0, cell)));
                if let Some(precision) = scenario.precision {
                    let until = scenario.trials;
                    let watched =
                        Watched { precision, until, finished: 0, successes: 0, measured: 0 };
                    queue.watched.insert((number, cell), watched);
                }
            }
        }
        queue
    }

    /// Whether there is a trial to start. [`Queue::finished`] may add trials.
    pub(crate) fn has_next(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the next trial.
    pub(crate) fn next(&mut self) -> Option<TrialSpec> {
        let Reverse((number, trial, cell)) = self.ready.pop()?;
        let (scenario, run_seed) = &self.scenarios[number];
        let until = self
            .watched
            .get(&(number, cell))
            .map_or(scenario.trials, |watched| watched.until);
        if trial + 1 < until {
            self.ready.push(Reverse((number, trial + 1, cell)));
        }
        let setup = Arc::new(scenario.cells[cell].setup.clone());
        let seed = TrialSeed::new(*run_seed, &scenario.cells[cell], trial);
        Some(TrialSpec::new(scenario, [number, cell], trial, seed, setup))
    }

    /// Counts a finished trial, and decides on its cell if it is time to.
    pub(crate) fn finished(&mut self, trial: &TrialFinished) -> Option<Decision> {
        let &TrialFinished { scenario, cell, outcome, .. } = trial;
        let watched = self.watched.get_mut(&(scenario, cell))?;
        watched.finished += 1;
        watched.measured += u64::from(outcome != Outcome::Error);
        watched.successes += u64::from(outcome == Outcome::Success);
        if watched.finished < watched.until {
            return None;
        }
        let Watched { precision, until: trials, successes, measured, .. } = *watched;
        let check = precision.check(successes, measured, trials);
        if let PrecisionCheck::GoOn(until) = check {
            watched.until = until;
            self.ready.push(Reverse((scenario, trials, cell)));
            return Some(Decision::More(until - trials));
        }
        self.watched.remove(&(scenario, cell));
        let is_narrow = check == PrecisionCheck::Narrow;
        let half_width = half_width(successes, measured);
        Some(Decision::Enough(CellDecided { scenario, cell, trials, half_width, is_narrow }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn scenarios(texts: &[&str]) -> Vec<(Scenario, u64)> {
        let parse = |text: &&str| (Scenario::parse("test.toml", text).unwrap(), 1);
        texts.iter().map(parse).collect()
    }

    /// Runs all trials, `jobs` at once, the last started ending first; `succeeds` gets cell and
    /// index.
    fn run(
        scenarios: &[(Scenario, u64)],
        jobs: usize,
        succeeds: impl Fn(usize, u32) -> bool,
    ) -> (Vec<(usize, usize, u32)>, Vec<CellDecided>) {
        let mut queue = Queue::new(scenarios);
        let (mut started, mut decided, mut running) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            while running.len() < jobs
                && let Some(trial) = queue.next()
            {
                started.push((trial.scenario, trial.cell, trial.trial));
                running.push(trial);
            }
            let Some(TrialSpec { scenario, cell, trial, .. }) = running.pop() else { break };
            let success = succeeds(cell, trial);
            let outcome = if success { Outcome::Success } else { Outcome::Failure };
            let over = TrialFinished { scenario, ..fixture::trial(cell, trial, outcome) };
            if let Some(Decision::Enough(event)) = queue.finished(&over) {
                decided.push(event);
            }
        }
        assert!(!queue.has_next());
        (started, decided)
    }

    #[test]
    fn all_cells_have_their_first_trial_before_any_has_its_second() {
        let two = scenarios(&["trials = 2\n[sweep]\n\"wan.loss\" = [0, 0.5]", "trials = 1"]);
        let (started, decided) = run(&two, 1, |_, _| true);
        assert_eq!(started, [(0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 0)]);
        assert_eq!(decided, []);
    }

    const PRECISE: &str = "precision = 0.1\ntrials_max = 60\n[sweep]\n\"wan.loss\" = [0, 0.5]";

    #[test]
    fn a_cell_goes_on_until_its_interval_is_narrow() {
        let (started, decided) =
            run(&scenarios(&[PRECISE]), 1, |cell, index| cell == 0 || index.is_multiple_of(2));
        let trials = |cell| started.iter().filter(|trial| trial.1 == cell).count();
        assert_eq!([trials(0), trials(1)], [16, 60]);
        let [first, second] = decided.as_slice() else { panic!("two decisions") };
        assert_eq!((first.cell, first.trials, first.is_narrow), (0, 16, true));
        assert!(first.half_width <= 0.1);
        assert_eq!((second.cell, second.trials, second.is_narrow), (1, 60, false));
        assert!(second.half_width > 0.1);
    }

    #[test]
    fn which_trials_run_does_not_depend_on_the_jobs_or_on_the_order() {
        let succeeds = |cell: usize, index: u32| cell == 1 || !index.is_multiple_of(5);
        let all = |jobs| {
            let (mut started, decided) = run(&scenarios(&[PRECISE, PRECISE]), jobs, succeeds);
            started.sort_unstable();
            (started, decided.len())
        };
        assert_eq!(all(1), all(48));
        assert_eq!(all(7), all(48));
        assert_eq!(all(1).1, 4);
    }
}
