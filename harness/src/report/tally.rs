//! Folds the events of a run into its [`Summary`].
//!
//! The order of the trials does not matter: the same trials give the same summary with any number
//! of jobs, in shards and from a merged log.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    event::{
        BenchLateness, Cause, CellPlan, Event, ExpectationPlan, Outcome, Prediction, RunFinished,
        RunStarted, ScenarioPlan, TrialFinished,
    },
    peers::Side,
    report::{
        judge::{Decided, Measures, Samples, judge},
        sink::{Sink, SinkError},
        summary::{
            CauseSummary, CellSummary, CellVerdict, CostSummary, ExpectationSummary, Judgement,
            RunState, SCHEMA, ScenarioSummary, Summary, TheorySummary, TimesSummary, Typical,
            Unexpected,
        },
    },
    scenario::{Criterion, selects},
    stats::{Quantiles, wilson},
};

/// Folds the events of a run; their order does not matter except for the first one.
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

/// Events that do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TallyError {
    /// The first event tells what is run; without it nothing else can be understood.
    #[error("the events do not begin with the start of a run")]
    NotStarted,
    /// A run starts once.
    #[error("a second run starts within the events of the first; report each run by itself")]
    SecondStart,
    /// A trial of a cell that was not planned.
    #[error("trial {trial} belongs to cell {cell} of scenario {scenario}, which the run never had")]
    UnknownCell {
        /// Index of the scenario.
        scenario: usize,
        /// Index of the cell.
        cell: usize,
        /// Index of the trial.
        trial: u32,
    },
    /// A trial is run once.
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
    /// A criterion that no expectation can have.
    #[error("scenario `{scenario}` expects `{criterion}`, which is no criterion")]
    Criterion {
        /// Name of the scenario.
        scenario: String,
        /// The text.
        criterion: String,
    },
}

/// A run so far.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    started: RunStarted,
    scenarios: Vec<ScenarioTally>,
    finished: Option<RunFinished>,
}

impl Tally {
    /// A run without trials.
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
    /// If it is not of this run; the tally is unchanged then.
    pub(crate) fn add(&mut self, event: &Event) -> Result<(), TallyError> {
        match event {
            Event::RunStarted(_) => return Err(TallyError::SecondStart),
            Event::TrialFinished(trial) => {
                let cell = self.cell(trial)?;
                if !cell.seen.insert(trial.trial) {
                    let &TrialFinished { scenario, cell, trial, .. } = &**trial;
                    return Err(TallyError::Twice { scenario, cell, trial });
                }
                cell.add(trial);
            }
            // Which trials there are says the same.
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
            jobs: started.jobs,
            state,
            elapsed_s: self.finished.as_ref().map(|finished| finished.elapsed_s),
            lab_retries: self.finished.as_ref().map(|finished| finished.lab_retries),
            verdict: Judgement::of_all(scenarios.iter().map(|scenario| scenario.verdict))
                .unwrap_or(Judgement::Pass),
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
            let verdicts = expectations
                .iter()
                .flat_map(|expectation| &expectation.cells);
            let verdicts = verdicts.filter(|verdict| verdict.cell == index);
            cell.verdict = Judgement::of_all(verdicts.filter_map(|verdict| verdict.verdict));
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
    let mut verdicts: Vec<_> = cells
        .iter()
        .zip(tallies)
        .enumerate()
        .filter(|(_, (cell, _))| selects(&plan.filter, &cell.values))
        .map(|(index, (cell, tally))| {
            let theory = &cell.theory;
            let measures = Measures {
                successes: cell.successes,
                trials: cell.judged(),
                decided: Decided { trials: theory.decided(), otherwise: theory.otherwise() },
                times: tally.samples(),
                failure_causes: &cell.failure_causes,
            };
            let (verdict, measured) = judge(criterion, &measures);
            CellVerdict { cell: index, verdict, measured }
        })
        .collect();
    if verdicts.iter().all(|it| it.verdict.is_none()) {
        // Theory decides nothing at all: it was not put to the test.
        verdicts
            .iter_mut()
            .for_each(|it| it.verdict = Some(Judgement::Inconclusive));
    }
    ExpectationSummary {
        filter: plan.filter.clone(),
        expected: plan.expected.clone(),
        line: plan.line,
        verdict: Judgement::of_all(verdicts.iter().filter_map(|it| it.verdict))
            .unwrap_or(Judgement::Inconclusive),
        cells: verdicts,
    }
}

/// A cell that gave nothing but errors of the bench has shown nothing, expected or not.
fn judge_scenario(expectations: &[ExpectationSummary], cells: &[CellSummary]) -> Judgement {
    let expected = expectations.iter().map(|expectation| expectation.verdict);
    let only_errors = cells
        .iter()
        .filter(|cell| cell.is_spoiled())
        .map(|_| Judgement::Inconclusive);
    Judgement::of_all(expected.chain(only_errors)).unwrap_or(Judgement::Pass)
}

#[derive(Debug, Clone, Default)]
struct CellTally {
    /// Round-trip time of trials that do not say theirs.
    rtt_ms: f64,
    /// Indices of the trials so far.
    seen: BTreeSet<u32>,
    /// Times until up, connected, chosen and returned, in round-trip times.
    in_rtt: [Vec<f64>; 4],
    successes: u64,
    failures: u64,
    errors: u64,
    up_ms: Vec<f64>,
    connected_ms: Vec<f64>,
    chosen_ms: Vec<f64>,
    returned_ms: Vec<f64>,
    spawn_to_syn_ms: Vec<f64>,
    cost: CostTally,
    cost_of_failures: CostTally,
    failure_causes: Causes,
    error_causes: Causes,
    disturbances: Causes,
    should: u64,
    should_not: u64,
    depends: u64,
    unexpected_failures: Vec<u32>,
    unexpected_successes: Vec<u32>,
    worst_lateness: BenchLateness,
}

impl CellTally {
    fn new(plan: &CellPlan) -> Self {
        Self { rtt_ms: plan.rtt_ms, ..Self::default() }
    }

    fn samples(&self) -> Samples<'_> {
        Samples {
            ms: [&self.up_ms, &self.connected_ms, &self.chosen_ms, &self.returned_ms],
            rtt: self.in_rtt.each_ref().map(Vec::as_slice),
        }
    }

    fn add(&mut self, trial: &TrialFinished) {
        match trial.outcome {
            Outcome::Success => {
                self.successes += 1;
                self.add_times(trial);
                self.cost.add(trial);
            }
            Outcome::Failure => {
                self.failures += 1;
                self.cost_of_failures.add(trial);
                self.failure_causes.add(trial.trial, trial.cause.as_ref());
            }
            Outcome::Error => {
                self.errors += 1;
                self.error_causes.add(trial.trial, trial.cause.as_ref());
            }
        }
        if trial.outcome != Outcome::Error {
            self.add_theory(trial);
            self.spawn_to_syn_ms
                .extend(trial.peers.values().filter_map(|peer| peer.spawn_to_syn_ms));
        }
        if let Some(reason) = &trial.disturbed {
            let cause = Cause { kind: reason.clone(), evidence: String::new() };
            self.disturbances.add(trial.trial, Some(&cause));
        }
        let worst = &mut self.worst_lateness;
        worst.wan_ms = worst.wan_ms.max(trial.bench.wan_ms);
        worst.start_ms = worst.start_ms.max(trial.bench.start_ms);
        worst.stall_ms = worst.stall_ms.max(trial.bench.stall_ms);
    }

    fn add_times(&mut self, trial: &TrialFinished) {
        if let Some(times) = trial.times {
            self.up_ms.extend(times.up_ms);
            self.connected_ms.extend(times.connected_ms);
            self.chosen_ms.extend(times.chosen_ms);
            self.returned_ms.extend(times.returned_ms);
            let rtt_ms = trial.rtt_ms.unwrap_or(self.rtt_ms);
            let all_ms = [times.up_ms, times.connected_ms, times.chosen_ms, times.returned_ms];
            for (in_rtt, ms) in self.in_rtt.iter_mut().zip(all_ms) {
                in_rtt.extend(ms.map(|ms| ms / rtt_ms));
            }
        }
    }

    fn add_theory(&mut self, trial: &TrialFinished) {
        let prediction = trial.theory.prediction;
        match prediction {
            Prediction::Should => self.should += 1,
            Prediction::ShouldNot => self.should_not += 1,
            Prediction::Depends => self.depends += 1,
        }
        match (prediction, trial.outcome) {
            (Prediction::Should, Outcome::Failure) => self.unexpected_failures.push(trial.trial),
            (Prediction::ShouldNot, Outcome::Success) => {
                self.unexpected_successes.push(trial.trial);
            }
            _ => {}
        }
    }

    fn summary(&self, plan: &CellPlan) -> CellSummary {
        let judged = self.successes + self.failures;
        let mut disturbances = self.disturbances.summary();
        let disturbed = disturbances.iter().map(|cause| cause.count).sum();
        disturbances.truncate(CellSummary::MAX_DISTURBANCES);
        CellSummary {
            values: plan.values.clone(),
            rtt_ms: plan.rtt_ms,
            trials: judged + self.errors,
            successes: self.successes,
            failures: self.failures,
            errors: self.errors,
            disturbed,
            rate: (judged > 0).then(|| self.successes as f64 / judged as f64),
            interval: wilson(self.successes, judged),
            times: TimesSummary {
                up_ms: Quantiles::of(&self.up_ms),
                connected_ms: Quantiles::of(&self.connected_ms),
                chosen_ms: Quantiles::of(&self.chosen_ms),
                returned_ms: Quantiles::of(&self.returned_ms),
            },
            spawn_to_syn_p50_ms: Quantiles::of(&self.spawn_to_syn_ms).map(|all| all.p50),
            cost: self.cost.summary(),
            cost_of_failures: self.cost_of_failures.summary(),
            theory: TheorySummary {
                should: self.should,
                should_not: self.should_not,
                depends: self.depends,
                unexpected_failures: unexpected(&self.unexpected_failures),
                unexpected_successes: unexpected(&self.unexpected_successes),
            },
            failure_causes: self.failure_causes.summary(),
            error_causes: self.error_causes.summary(),
            disturbances,
            worst_lateness: self.worst_lateness,
            verdict: None,
        }
    }
}

/// What trials cost the busier peer of each.
#[derive(Debug, Clone, Default)]
struct CostTally {
    syns: Vec<f64>,
    cpu_ms: Vec<f64>,
}

impl CostTally {
    fn add(&mut self, trial: &TrialFinished) {
        self.syns.extend(
            trial
                .peers
                .values()
                .map(|peer| f64::from(peer.syns))
                .reduce(f64::max),
        );
        // One figure alone might be that of the idler peer.
        let peers = &trial.peers;
        let both_ms = peers[Side::A].cpu_ms.zip(peers[Side::B].cpu_ms);
        self.cpu_ms.extend(both_ms.map(|(a, b)| a.max(b)));
    }

    fn summary(&self) -> CostSummary {
        CostSummary { syns: Typical::of(&self.syns), cpu_ms: Typical::of(&self.cpu_ms) }
    }
}

fn unexpected(trials: &[u32]) -> Unexpected {
    let mut first = trials.to_vec();
    first.sort_unstable();
    first.truncate(Unexpected::MAX_TRIALS);
    Unexpected { count: trials.len() as u64, trials: first }
}

/// Causes by kind, each with how often it was found and its first trial by index.
#[derive(Debug, Clone, Default)]
struct Causes(BTreeMap<String, (u64, u32, String)>);

impl Causes {
    fn add(&mut self, trial: u32, cause: Option<&Cause>) {
        let (kind, evidence) = match cause {
            Some(cause) => (cause.kind.as_str(), cause.evidence.as_str()),
            None => ("unknown", "no cause was recorded"),
        };
        let (count, first, example) = self
            .0
            .entry(kind.to_owned())
            .or_insert_with(|| (0, trial, evidence.to_owned()));
        *count += 1;
        if trial < *first {
            *first = trial;
            evidence.clone_into(example);
        }
    }

    fn summary(&self) -> Vec<CauseSummary> {
        let mut causes: Vec<_> = self
            .0
            .iter()
            .map(|(kind, (count, trial, evidence))| CauseSummary {
                kind: kind.clone(),
                count: *count,
                trial: *trial,
                evidence: evidence.clone(),
            })
            .collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
        causes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::fixture::{
        caused, cell, event, expect, finished, predicted, scenario, skew, started, trial, trials,
    };

    fn one_cell(success: &[&str], events: impl IntoIterator<Item = Event>) -> Summary {
        let mut plan = scenario("home", 200, vec![cell(&[])]);
        plan.expectations = success
            .iter()
            .map(|success| expect(success, None))
            .collect();
        let events: Vec<_> = [started(vec![plan])].into_iter().chain(events).collect();
        summarize(&events).unwrap()
    }

    fn exit_code(success: &[&str], events: impl IntoIterator<Item = Event>) -> u8 {
        one_cell(success, events.into_iter().chain([finished(false)]))
            .exit()
            .code()
    }

    #[test]
    fn a_small_run_in_full() {
        let failed = caused(trial(0, 3, Outcome::Failure), "peer-crashed", "b: signal 11");
        let mut disturbed = predicted(trial(0, 4, Outcome::Success), Prediction::ShouldNot);
        disturbed.disturbed = Some("peer b started late".to_owned());
        disturbed.bench.start_ms = 40.5;
        let mut events: Vec<_> = trials(0, 2, 3).collect();
        events.extend([event(failed), event(disturbed), event(trial(0, 5, Outcome::Error))]);
        events.push(finished(false));
        let summary = one_cell(&[">= 0.95", "theory"], events);
        insta::assert_snapshot!(serde_json::to_string_pretty(&summary).unwrap());
    }

    #[test]
    fn failure_beats_inconclusive_in_the_exit_code() {
        let all = || trials(0, 200, 200);
        assert_eq!(exit_code(&[], all()), 0);
        assert_eq!(exit_code(&[">= 0.95"], all()), 0);
        assert_eq!(exit_code(&[">= 0.95", ">= 0.99"], all()), 3);
        assert_eq!(exit_code(&[">= 0.99", "< 0.5"], all()), 1);
    }

    #[test]
    fn nothing_but_errors_is_inconclusive_even_if_nothing_was_expected() {
        let errors = || (0..20).map(|number| event(trial(0, number, Outcome::Error)));
        assert_eq!(exit_code(&[], errors()), 3);
        assert_eq!(exit_code(&["theory"], errors()), 3);
        assert_eq!(exit_code(&[], []), 0);
    }

    #[test]
    fn errors_are_in_no_rate_and_no_theory() {
        let errors = (200..260).map(|number| event(trial(0, number, Outcome::Error)));
        let events = trials(0, 200, 200).chain(errors).chain([finished(false)]);
        let summary = one_cell(&[">= 0.95"], events);
        let cell = &summary.scenarios[0].cells[0];
        assert_eq!((cell.trials, cell.errors, cell.rate), (260, 60, Some(1.0)));
        assert_eq!(cell.theory.should, 200);
        assert_eq!(summary.exit().code(), 0);
    }

    #[test]
    fn theory_is_inconclusive_if_it_decides_no_trial() {
        let depends = (0..20).map(|number| {
            event(predicted(trial(0, number, Outcome::Failure), Prediction::Depends))
        });
        assert_eq!(exit_code(&["theory"], depends), 3);
        assert_eq!(exit_code(&["theory"], trials(0, 19, 20)), 1);
    }

    #[test]
    fn a_cell_of_which_theory_decides_nothing_leaves_the_verdict_to_the_others() {
        let with = |expected: &str, second: Vec<Event>| {
            let mut plan = scenario("pairs", 20, [1, 2].map(|it| cell(&[("a", it.into())])).into());
            plan.expectations = vec![expect(expected, None)];
            let events = [started(vec![plan])]
                .into_iter()
                .chain(trials(0, 20, 20))
                .chain(second);
            let events: Vec<_> = events.chain([finished(false)]).collect();
            summarize(&events).unwrap()
        };
        let open = |outcome| {
            let trials = (0..20).map(|number| trial(1, number, outcome));
            trials
                .map(|it| event(predicted(it, Prediction::Depends)))
                .collect::<Vec<_>>()
        };
        for expected in ["theory", "theory >= 0.8"] {
            let summary = with(expected, open(Outcome::Failure));
            let scenario = &summary.scenarios[0];
            let verdicts = [Some(Judgement::Pass), None];
            assert_eq!(
                scenario
                    .cells
                    .iter()
                    .map(|it| it.verdict)
                    .collect::<Vec<_>>(),
                verdicts
            );
            let judged = &scenario.expectations[0].cells;
            assert_eq!(judged.iter().map(|it| it.verdict).collect::<Vec<_>>(), verdicts);
            assert_eq!(summary.exit().code(), 0, "{expected}");
            // What was never run, or spoiled by the bench, is not what theory leaves open.
            assert_eq!(with(expected, Vec::new()).exit().code(), 3, "{expected}");
            assert_eq!(with(expected, open(Outcome::Error)).exit().code(), 3, "{expected}");
        }
        assert_eq!(with("theory", trials(1, 19, 20).collect()).exit().code(), 1);
    }

    #[test]
    fn an_expectation_that_no_cell_matches_is_inconclusive() {
        let mut plan = scenario("home", 1, vec![cell(&[("wan.loss", 0.5.into())])]);
        plan.expectations = vec![expect(">= 0", Some(("wan.loss", 0.25.into())))];
        let events = [started(vec![plan]), event(trial(0, 0, Outcome::Success)), finished(false)];
        assert_eq!(summarize(&events).unwrap().exit().code(), 3);
    }

    #[test]
    fn where_takes_5_and_5_0_for_the_same() {
        let mut plan = scenario("home", 1, vec![cell(&[("wan.delay_ms", 5.into())])]);
        plan.expectations = vec![expect(">= 1", Some(("wan.delay_ms", 5.0.into())))];
        let events = [started(vec![plan]), event(trial(0, 0, Outcome::Success)), finished(false)];
        assert_eq!(summarize(&events).unwrap().exit().code(), 0);
    }

    #[test]
    fn a_log_without_end_is_unfinished() {
        assert_eq!(one_cell(&[], []).state, RunState::Unfinished);
        assert_eq!(one_cell(&[], [finished(true)]).state, RunState::Interrupted);
        assert_eq!(one_cell(&[], [finished(false)]).state, RunState::Finished);
    }

    #[test]
    fn events_that_do_not_belong_together_are_refused() {
        let start = || started(vec![scenario("home", 1, vec![cell(&[])])]);
        let of = |events: &[Event]| summarize(events).unwrap_err();
        assert_eq!(of(&[]), TallyError::NotStarted);
        assert_eq!(of(&[finished(false)]), TallyError::NotStarted);
        assert_eq!(of(&[start(), start()]), TallyError::SecondStart);
        let stranger = event(trial(1, 0, Outcome::Success));
        let once = || event(trial(0, 7, Outcome::Success));
        assert_eq!(
            of(&[start(), once(), once()]).to_string(),
            "trial 0.0.7 is told of twice: were logs put together? report each run by itself"
        );
        let unknown = TallyError::UnknownCell { scenario: 0, cell: 1, trial: 0 };
        assert_eq!(of(&[start(), stranger]), unknown);
        let mut plan = scenario("home", 1, Vec::new());
        plan.expectations = vec![expect("always", None)];
        assert_eq!(
            of(&[started(vec![plan])]).to_string(),
            "scenario `home` expects `always`, which is no criterion"
        );
    }

    #[test]
    fn a_summary_survives_json() {
        let summary = summarize(&skew()).unwrap();
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn the_order_of_trials_does_not_matter(
            shuffled in Just(skew().split_off(1)).prop_shuffle(),
        ) {
            let mut events = skew();
            let summary = summarize(&events).unwrap();
            events.splice(1.., shuffled);
            prop_assert_eq!(summarize(&events).unwrap(), summary);
        }
    }
}
