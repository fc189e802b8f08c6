//! Folds the events of a run into its [`Summary`].
//!
//! The order of the trials does not matter: the same trials give the same summary with any number
//! of jobs, in shards and from a merged log.

mod cell;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::cell::CellTally;
use crate::{
    event::{Event, ExpectationPlan, RunFinished, RunStarted, ScenarioPlan, TrialFinished},
    report::{
        expectation::judge,
        sink::{Sink, SinkError},
        summary::{
            CellSummary, ExpectationSummary, JudgedCell, RunState, SCHEMA, ScenarioSummary,
            Summary, Verdict,
        },
    },
    scenario::{Criterion, selects},
};

/// Summary of the events of a run. The first event must be the start; the order of the others does
/// not matter.
///
/// # Errors
///
/// If the events do not belong together: see [`TallyError`].
pub(crate) fn summarize(events: &[Event]) -> Result<Summary, TallyError> {
    let (first, rest) = events.split_first().ok_or(TallyError::NotStarted)?;
    let Event::RunStarted(started) = first else {
        return Err(TallyError::NotStarted);
    };
    let mut tally = Tally::new(started)?;
    for event in rest {
        tally.add(event)?;
    }
    Ok(tally.summary())
}

/// Reason why events do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TallyError {
    /// The first event is not the start of the run, which describes the scenarios.
    #[error("the events do not begin with the start of a run")]
    NotStarted,
    /// A second start of a run.
    #[error("a second run starts within the events of the first; report each run by itself")]
    SecondStart,
    /// A trial of a cell that is not in the plan.
    #[error("trial {trial} belongs to cell {cell} of scenario {scenario}, which the run never had")]
    UnknownCell {
        /// Index of the scenario.
        scenario: usize,
        /// Index of the cell.
        cell: usize,
        /// Index of the trial.
        trial: u32,
    },
    /// A second result of a trial.
    #[error(
        "trial {scenario}.{cell}.{trial} is told of twice: were logs put together? report each run \
         by itself"
    )]
    Twice {
        /// Index of the scenario.
        scenario: usize,
        /// Index of the cell.
        cell: usize,
        /// Index of the trial.
        trial: u32,
    },
    /// A text that is no criterion.
    #[error("scenario `{scenario}` expects `{criterion}`, which is no criterion")]
    Criterion {
        /// Name of the scenario.
        scenario: String,
        /// Text of the expectation.
        criterion: String,
    },
}

/// Figures of a run so far.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    started: RunStarted,
    scenarios: Vec<ScenarioTally>,
    finished: Option<RunFinished>,
}

impl Tally {
    /// The tally of a run without trials.
    ///
    /// # Errors
    ///
    /// If a criterion cannot be read.
    pub(crate) fn new(started: &RunStarted) -> Result<Self, TallyError> {
        let scenarios = started
            .scenarios
            .iter()
            .map(ScenarioTally::new)
            .collect::<Result<_, _>>()?;
        Ok(Self { started: started.clone(), scenarios, finished: None })
    }

    /// Adds an event after the start of the run.
    ///
    /// # Errors
    ///
    /// If the event does not belong to the run; the tally stays unchanged.
    pub(crate) fn add(&mut self, event: &Event) -> Result<(), TallyError> {
        match event {
            Event::RunStarted(_) => return Err(TallyError::SecondStart),
            Event::TrialFinished(trial) => {
                if !self.cell(trial)?.add(trial) {
                    let &TrialFinished { scenario, cell, trial, .. } = &**trial;
                    return Err(TallyError::Twice { scenario, cell, trial });
                }
            }
            // The trials of the cell imply both.
            Event::CellExtended(_) | Event::CellDecided(_) => {}
            Event::RunFinished(finished) => self.finished = Some(finished.clone()),
        }
        Ok(())
    }

    fn cell(&mut self, trial: &TrialFinished) -> Result<&mut CellTally, TallyError> {
        let &TrialFinished { scenario, cell, trial, .. } = trial;
        self.scenarios
            .get_mut(scenario)
            .and_then(|scenario| scenario.cells.get_mut(cell))
            .ok_or(TallyError::UnknownCell { scenario, cell, trial })
    }

    /// The figures so far.
    pub(crate) fn summary(&self) -> Summary {
        let started = &self.started;
        let scenarios: Vec<_> = started
            .scenarios
            .iter()
            .zip(&self.scenarios)
            .map(|(plan, tally)| tally.summary(plan))
            .collect();
        let state = match &self.finished {
            Some(RunFinished { interrupted: false, .. }) => RunState::Finished,
            Some(RunFinished { interrupted: true, .. }) => RunState::Interrupted,
            None => RunState::Unfinished,
        };
        Summary {
            schema: SCHEMA,
            harness: started.harness.clone(),
            started_unix_s: started.started_unix_s,
            machine: started.machine.clone(),
            jobs: started.jobs,
            state,
            elapsed_s: self.finished.as_ref().map(|finished| finished.elapsed_s),
            lab_retries: self.finished.as_ref().map(|finished| finished.lab_retries),
            verdict: Verdict::of_all(scenarios.iter().map(|scenario| scenario.verdict))
                .unwrap_or(Verdict::Pass),
            scenarios,
        }
    }
}

impl Sink for Tally {
    fn event(&mut self, event: &Event, _elapsed: Duration) -> Result<(), SinkError> {
        self.add(event)
            .expect("the dispatcher's events are those of this plan");
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct ScenarioTally {
    /// One for each expectation.
    criteria: Vec<Criterion>,
    /// One for each cell.
    cells: Vec<CellTally>,
}

impl ScenarioTally {
    fn new(plan: &ScenarioPlan) -> Result<Self, TallyError> {
        let criteria = plan.expectations.iter().map(|expectation| {
            expectation
                .expected
                .parse()
                .map_err(|_| TallyError::Criterion {
                    scenario: plan.name.clone(),
                    criterion: expectation.expected.clone(),
                })
        });
        Ok(Self {
            criteria: criteria.collect::<Result<_, _>>()?,
            cells: plan.cells.iter().map(CellTally::new).collect(),
        })
    }

    fn summary(&self, plan: &ScenarioPlan) -> ScenarioSummary {
        let mut cells: Vec<_> = plan
            .cells
            .iter()
            .zip(&self.cells)
            .map(|(plan, tally)| tally.summary(plan))
            .collect();
        let expectations: Vec<_> = plan
            .expectations
            .iter()
            .zip(&self.criteria)
            .map(|(plan, criterion)| judge_expectation(plan, criterion, &cells, &self.cells))
            .collect();
        for (index, cell) in cells.iter_mut().enumerate() {
            let judged = expectations
                .iter()
                .flat_map(|expectation| &expectation.cells)
                .filter(|judged| judged.cell == index);
            cell.verdict = Verdict::of_all(judged.filter_map(|judged| judged.verdict));
        }
        let verdict = judge_scenario(&expectations, &cells);
        ScenarioSummary {
            name: plan.name.clone(),
            file: plan.file.clone(),
            question: plan.question.clone(),
            seed: plan.seed,
            trials_per_cell: plan.trials,
            precision: plan.precision,
            verdict,
            cells,
            expectations,
        }
    }
}

fn judge_expectation(
    plan: &ExpectationPlan,
    criterion: &Criterion,
    cells: &[CellSummary],
    tallies: &[CellTally],
) -> ExpectationSummary {
    let mut judged: Vec<_> = cells
        .iter()
        .zip(tallies)
        .enumerate()
        .filter(|(_, (cell, _))| selects(&plan.filter, &cell.values))
        .map(|(index, (cell, tally))| {
            let (verdict, measured) = judge(criterion, &tally.measures(cell));
            JudgedCell { cell: index, verdict, measured }
        })
        .collect();
    if judged.iter().all(|cell| cell.verdict.is_none()) {
        // Theory decides no trial of any cell, so the trials do not test it.
        for cell in &mut judged {
            cell.verdict = Some(Verdict::Inconclusive);
        }
    }
    ExpectationSummary {
        filter: plan.filter.clone(),
        expected: plan.expected.clone(),
        line: plan.line,
        verdict: Verdict::of_all(judged.iter().filter_map(|cell| cell.verdict))
            .unwrap_or(Verdict::Inconclusive),
        cells: judged,
    }
}

/// Verdict of a scenario. A cell with nothing but errors of the bench is inconclusive, even without
/// an expectation.
fn judge_scenario(expectations: &[ExpectationSummary], cells: &[CellSummary]) -> Verdict {
    let expected = expectations.iter().map(|expectation| expectation.verdict);
    let only_errors = cells
        .iter()
        .filter(|cell| cell.has_only_errors())
        .map(|_| Verdict::Inconclusive);
    Verdict::of_all(expected.chain(only_errors)).unwrap_or(Verdict::Pass)
}
