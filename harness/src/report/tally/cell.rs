//! Sums of the trials of a cell.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    event::{BenchLateness, Cause, CellPlan, Outcome, Prediction, TrialFinished},
    moments::PerMoment,
    peers::Side,
    report::{
        expectation::{CellMeasures, TheoryCounts, TimeSamples},
        summary::{CauseSummary, CellSummary, CostSummary, TheorySummary, Typical, Unexpected},
    },
    stats::{Quantiles, wilson},
};

/// Trials of a cell so far.
#[derive(Debug, Clone, Default)]
pub(super) struct CellTally {
    /// Round-trip time of trials that record none.
    rtt_ms: f64,
    /// Indices of the trials so far.
    seen: BTreeSet<u32>,
    successes: u64,
    failures: u64,
    errors: u64,
    /// Times of the successes in milliseconds.
    times_ms: PerMoment<Vec<f64>>,
    /// Times of the successes in round-trip times.
    times_rtt: PerMoment<Vec<f64>>,
    spawn_to_syn_ms: Vec<f64>,
    cost: CostTally,
    cost_of_failures: CostTally,
    failure_causes: CauseTally,
    error_causes: CauseTally,
    disturbances: CauseTally,
    should: u64,
    should_not: u64,
    depends: u64,
    unexpected_failures: Vec<u32>,
    unexpected_successes: Vec<u32>,
    worst_lateness: BenchLateness,
}

impl CellTally {
    pub(super) fn new(plan: &CellPlan) -> Self {
        Self { rtt_ms: plan.rtt_ms, ..Self::default() }
    }

    /// Results as expectations use them; `summary` is that of the same trials.
    pub(super) fn measures<'a>(&'a self, summary: &'a CellSummary) -> CellMeasures<'a> {
        let theory = &summary.theory;
        CellMeasures {
            successes: summary.successes,
            trials: summary.rated(),
            theory: TheoryCounts { decided: theory.decided(), unexpected: theory.unexpected() },
            times: TimeSamples {
                ms: self.times_ms.as_ref().map(Vec::as_slice),
                rtt: self.times_rtt.as_ref().map(Vec::as_slice),
            },
            failure_causes: &summary.failure_causes,
        }
    }

    /// Adds a trial; false, without a change, if a trial with its index was added before.
    #[must_use]
    pub(super) fn add(&mut self, trial: &TrialFinished) -> bool {
        if !self.seen.insert(trial.trial) {
            return false;
        }
        self.add_result(trial);
        if let Some(reason) = &trial.disturbed {
            self.disturbances.add(trial.trial, reason, "");
        }
        let worst = &mut self.worst_lateness;
        worst.wan_ms = worst.wan_ms.max(trial.bench.wan_ms);
        worst.start_ms = worst.start_ms.max(trial.bench.start_ms);
        worst.stall_ms = worst.stall_ms.max(trial.bench.stall_ms);
        true
    }

    fn add_result(&mut self, trial: &TrialFinished) {
        match trial.outcome {
            Outcome::Success => {
                self.successes += 1;
                self.add_times(trial);
                self.cost.add(trial);
            }
            Outcome::Failure => {
                self.failures += 1;
                self.cost_of_failures.add(trial);
                self.failure_causes.add_cause(trial);
            }
            Outcome::Error => {
                self.errors += 1;
                self.error_causes.add_cause(trial);
            }
        }
        if trial.outcome != Outcome::Error {
            self.add_theory(trial);
            self.spawn_to_syn_ms
                .extend(trial.peers.values().filter_map(|peer| peer.spawn_to_syn_ms));
        }
    }

    fn add_times(&mut self, trial: &TrialFinished) {
        let Some(times) = trial.times else { return };
        let rtt_ms = trial.rtt_ms.unwrap_or(self.rtt_ms);
        for (moment, time_ms) in times.per_moment() {
            self.times_ms[moment].extend(time_ms);
            self.times_rtt[moment].extend(time_ms.map(|time_ms| time_ms / rtt_ms));
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

    /// The figures so far, without a verdict.
    pub(super) fn summary(&self, plan: &CellPlan) -> CellSummary {
        let rated = self.successes + self.failures;
        let mut disturbances = self.disturbances.summary();
        let disturbed = disturbances.iter().map(|cause| cause.count).sum();
        disturbances.truncate(CellSummary::MAX_DISTURBANCES);
        CellSummary {
            values: plan.values.clone(),
            rtt_ms: plan.rtt_ms,
            trials: rated + self.errors,
            successes: self.successes,
            failures: self.failures,
            errors: self.errors,
            disturbed,
            rate: (rated > 0).then(|| self.successes as f64 / rated as f64),
            interval: wilson(self.successes, rated),
            times: self
                .times_ms
                .as_ref()
                .map(|sample| Quantiles::of(sample))
                .into(),
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

/// Costs of trials, of the busier peer of each.
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
        // A figure of one peer alone might be that of the less busy one.
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

/// Causes by kind.
#[derive(Debug, Clone, Default)]
struct CauseTally(BTreeMap<String, CauseEntry>);

#[derive(Debug, Clone)]
struct CauseEntry {
    count: u64,
    /// First trial by index, with its evidence.
    trial: u32,
    evidence: String,
}

impl CauseTally {
    fn add_cause(&mut self, trial: &TrialFinished) {
        let (kind, evidence) = match &trial.cause {
            Some(Cause { kind, evidence }) => (kind.as_str(), evidence.as_str()),
            None => ("unknown", "no cause was recorded"),
        };
        self.add(trial.trial, kind, evidence);
    }

    fn add(&mut self, trial: u32, kind: &str, evidence: &str) {
        let entry = self.0.entry(kind.to_owned()).or_insert_with(|| CauseEntry {
            count: 0,
            trial,
            evidence: evidence.to_owned(),
        });
        entry.count += 1;
        if trial < entry.trial {
            entry.trial = trial;
            evidence.clone_into(&mut entry.evidence);
        }
    }

    /// The causes, most frequent first.
    fn summary(&self) -> Vec<CauseSummary> {
        let mut causes: Vec<_> = self
            .0
            .iter()
            .map(|(kind, CauseEntry { count, trial, evidence })| CauseSummary {
                kind: kind.clone(),
                count: *count,
                trial: *trial,
                evidence: evidence.clone(),
            })
            .collect();
        causes.sort_by_key(|cause| Reverse(cause.count));
        causes
    }
}
