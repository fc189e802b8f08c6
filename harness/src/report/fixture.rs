//! Runs for the tests of reports.

use serde_json::Value;

use crate::{
    event::{
        Assignment, BenchLateness, Cause, CellPlan, Event, ExpectationPlan, Filter, Outcome,
        PeerReport, Prediction, RunFinished, RunStarted, SCHEMA, ScenarioPlan, Theory, Times,
        TrialFinished,
    },
    peers::Pair,
};

/// A scenario with the cells of the given values.
pub(crate) fn scenario(name: &str, trials: u32, cells: Vec<CellPlan>) -> ScenarioPlan {
    ScenarioPlan {
        name: name.to_owned(),
        file: format!("scenarios/{name}.toml"),
        question: None,
        source: None,
        seed: 42,
        trials,
        precision: None,
        cells,
        expectations: Vec::new(),
    }
}

/// A cell with RTT 50 ms.
pub(crate) fn cell(values: &[(&str, Value)]) -> CellPlan {
    let assign = |(path, value): &(&str, Value)| Assignment {
        path: (*path).to_owned(),
        value: value.clone(),
    };
    CellPlan { values: values.iter().map(assign).collect(), rtt_ms: 50.0 }
}

/// An expectation on the cells where the path has the value.
pub(crate) fn expect(expected: &str, condition: Option<(&str, Value)>) -> ExpectationPlan {
    let filter =
        |(path, value): (&str, Value)| Filter { path: path.to_owned(), values: vec![value] };
    ExpectationPlan {
        filter: condition.map(filter).into_iter().collect(),
        expected: expected.to_owned(),
        line: Some(7),
    }
}

/// A run of the scenarios that has just started.
pub(crate) fn started(scenarios: Vec<ScenarioPlan>) -> Event {
    Event::RunStarted(RunStarted {
        schema: SCHEMA,
        harness: "0.1.0".to_owned(),
        started_unix_s: 1_767_225_600.25,
        jobs: 8,
        scenarios,
        nats: Vec::new(),
        machine: None,
    })
}

/// The end of a run.
pub(crate) fn finished(interrupted: bool) -> Event {
    Event::RunFinished(RunFinished { interrupted, elapsed_s: 34.2, lab_retries: 0 })
}

/// A trial of the first scenario, with times if it is a success and a cause if it is not.
pub(crate) fn trial(cell: usize, index: u32, outcome: Outcome) -> TrialFinished {
    let success = outcome == Outcome::Success;
    let jitter = f64::from(index % 10) / 4.0;
    let cause = |kind: &str, evidence: &str| {
        Some(Cause { kind: kind.to_owned(), evidence: evidence.to_owned() })
    };
    TrialFinished {
        scenario: 0,
        cell,
        trial: index,
        seed: format!("{index:016x}"),
        outcome,
        cause: match outcome {
            Outcome::Success => None,
            Outcome::Failure => cause("syn-lost", "both SYNs to port 2741 were lost"),
            Outcome::Error => cause("lab-build", "iptables-restore: line 4 failed"),
        },
        theory: Theory { prediction: Prediction::Should, reason: "a port in common".to_owned() },
        times: success.then_some(Times {
            up_ms: Some(50.2 + jitter),
            connected_ms: Some(50.4 + jitter),
            chosen_ms: Some(101.0 + jitter),
            returned_ms: Some(151.2 + 2.0 * jitter),
        }),
        disturbed: None,
        bench: BenchLateness { wan_ms: 0.2, start_ms: 0.4, stall_ms: 0.0 },
        rtt_ms: None,
        epoch_unix_s: 1_767_225_600.0,
        peers: Pair::from_fn(|_| PeerReport {
            spawn_to_syn_ms: Some(3.0 + jitter),
            exit: "exit 0".to_owned(),
            syns: 8,
            cpu_ms: Some(7.5),
            ..PeerReport::default()
        }),
    }
}

/// The trial with another prediction.
pub(crate) fn predicted(mut trial: TrialFinished, prediction: Prediction) -> TrialFinished {
    trial.theory.prediction = prediction;
    trial
}

/// The trial with another cause.
pub(crate) fn caused(mut trial: TrialFinished, kind: &str, evidence: &str) -> TrialFinished {
    trial.cause = Some(Cause { kind: kind.to_owned(), evidence: evidence.to_owned() });
    trial
}

/// The event of a trial.
pub(crate) fn event(trial: TrialFinished) -> Event {
    Event::TrialFinished(Box::new(trial))
}

/// Events of `all` trials of a cell, of which the first ones succeed.
pub(crate) fn trials(cell: usize, successes: u32, all: u32) -> impl Iterator<Item = Event> {
    (0..all).map(move |index| {
        let outcome = if index < successes { Outcome::Success } else { Outcome::Failure };
        event(trial(cell, index, outcome))
    })
}

/// Run of two rules at five clock offsets, 200 trials each; all but one cell agree with theory.
pub(crate) fn skew() -> Vec<Event> {
    let rules = ["article", "rolling"];
    let offsets = [0, 5, 10, 20, 40];
    let cells = rules.iter().flat_map(|&rule| {
        offsets.iter().map(move |&offset| {
            cell(&[("punch.rule", rule.into()), ("peer.b.clock_offset_s", offset.into())])
        })
    });
    let mut plan = scenario("skew", 200, cells.collect());
    plan.question = Some("How much clock skew does each bucket rule survive?".to_owned());
    plan.expectations = vec![
        expect(">= 0.95", Some(("punch.rule", "rolling".into()))),
        expect("theory", None),
        expect(">= 0.95", Some(("punch.rule", "article".into()))),
    ];
    let mut events = vec![started(vec![plan])];
    for (index, successes) in [200, 184, 167, 133, 66, 200, 200, 200, 200, 200]
        .iter()
        .enumerate()
    {
        events.extend((0..200).map(|number| {
            let (outcome, prediction) = if number < *successes {
                (Outcome::Success, Prediction::Should)
            } else {
                (Outcome::Failure, Prediction::ShouldNot)
            };
            let evidence = "a used bucket 29453760, b used bucket 29453761; no port in common";
            let trial = predicted(trial(index, number, outcome), prediction);
            let failed = outcome == Outcome::Failure;
            event(if failed { caused(trial, "no-common-port", evidence) } else { trial })
        }));
    }
    events.push(finished(false));
    events
}

/// Run of every NAT with every other; all but two pairs agree with theory.
pub(super) fn matrix() -> Vec<Event> {
    let nats = [
        "none",
        "home",
        "home-reject",
        "linux-router",
        "icmp-reject",
        "full-cone",
        "address-restricted",
        "symmetric",
        "symmetric-sequential",
        "symmetric-preserving",
        "fixed-delta",
        "port-block",
        "no-simultaneous-open",
        "short-timeouts",
    ];
    let pairs: Vec<_> = (0..nats.len())
        .flat_map(|a| (a..nats.len()).map(move |b| (a, b)))
        .collect();
    let cells = pairs
        .iter()
        .map(|&(a, b)| cell(&[("peer.a.nat", nats[a].into()), ("peer.b.nat", nats[b].into())]));
    let mut plan = scenario("matrix", 50, cells.collect());
    plan.question = Some("Which NATs does punch get through?".to_owned());
    plan.expectations = vec![expect("theory", None)];
    let mut events = vec![started(vec![plan])];
    for (index, &(a, b)) in pairs.iter().enumerate() {
        let hard = |nat: usize| (7..=11).contains(&nat);
        let (wanted, prediction) = match (a, b) {
            (0, _) => (50, Prediction::Should),
            (3, 4) => (23, Prediction::Depends),
            _ if hard(a) || hard(b) || a == 12 || b == 12 => (0, Prediction::ShouldNot),
            _ => (50, Prediction::Should),
        };
        let successes = match (a, b) {
            (1, 13) => 48,
            (9, 9) => 1,
            _ => wanted,
        };
        events.extend((0..50).map(|number| {
            let outcome = if number < successes { Outcome::Success } else { Outcome::Failure };
            event(predicted(trial(index, number, outcome), prediction))
        }));
    }
    events.push(finished(false));
    events
}
