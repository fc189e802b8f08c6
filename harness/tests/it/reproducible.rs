//! Reproducibility: the same seed gives the same trials.

use serde_json::Value;

use crate::test_dir::{FinishedRun, TestDir};

const RANDOM: &str = r#"
trials = 3

[wan]
delay_ms = 5

[punch]
timeout_s = 0.8

[peer.b]
start_s = { uniform = [0, 0.4] }
clock_offset_s = 10

[sweep]
"punch.rule" = ["article", "rolling"]
"#;

/// Values of a trial that do not depend on the speed of the machine.
fn reproducible_values(trial: &Value) -> Value {
    let peers: Vec<_> = trial["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| [peer["ports"].clone(), peer["clock_offset_s"].clone()])
        .collect();
    let same = ["cell", "trial", "seed", "verdict", "theory", "epoch_unix_s"];
    let mut all: Vec<Value> = same.iter().map(|key| trial[*key].clone()).collect();
    all.push(serde_json::to_value(peers).unwrap());
    all.into()
}

fn start_s(trial: &Value, peer: usize) -> f64 {
    trial["peers"][peer]["start_s"].as_f64().unwrap()
}

fn assert_same(first: &FinishedRun, second: &FinishedRun) {
    let [first, second] = [first, second].map(FinishedRun::trials);
    assert_eq!(first.len(), 6);
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(reproducible_values(first), reproducible_values(second));
        // The log has the actual start of a peer, and its lateness.
        let late = |trial: &Value| trial["bench"]["start_ms"].as_f64().unwrap() / 1000.0;
        let tolerance = late(first).max(late(second)) + 1e-6;
        for peer in [0, 1] {
            let apart = (start_s(first, peer) - start_s(second, peer)).abs();
            assert!(apart <= tolerance, "{apart} s apart: {first}\n{second}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trials_and_another_one_others() {
    let dir = TestDir::new();
    let first = dir.run(RANDOM, &["--seed", "5"]);
    // The number of jobs changes the order of trials, and nothing else.
    let second = dir.run(RANDOM, &["--seed", "5", "--jobs", "2"]);
    assert_same(&first, &second);
    let other = dir.run(RANDOM, &["--seed", "6"]);
    for (trial, other) in first.trials().iter().zip(&other.trials()) {
        assert_ne!(trial["seed"], other["seed"]);
        assert_ne!(trial["epoch_unix_s"], other["epoch_unix_s"]);
        assert_ne!(trial["peers"][0]["ports"], other["peers"][0]["ports"]);
    }
    let delays: Vec<f64> = first
        .trials()
        .iter()
        .map(|trial| start_s(trial, 1))
        .collect();
    assert!(
        delays.iter().any(|delay| (delay - delays[0]).abs() > 0.05),
        "each trial has its own: {delays:?}"
    );
}

#[test]
fn a_run_without_a_seed_chooses_one_and_prints_it() {
    let dir = TestDir::new();
    let text = "trials = 1\n[wan]\ndelay_ms = 1\n";
    let runs = [dir.run(text, &[]), dir.run(text, &[])];
    let seeds = runs
        .each_ref()
        .map(|ran| ran.events()[0]["scenarios"][0]["seed"].clone());
    assert_ne!(seeds[0], seeds[1]);
    for (ran, seed) in runs.iter().zip(&seeds) {
        assert!(ran.stderr.contains(&format!("seed {seed}\n")), "{}", ran.stderr);
        assert!(ran.stdout.contains(&format!("seed {seed} ")), "{}", ran.stdout);
    }
    let again = dir.run(text, &["--seed", &seeds[0].to_string()]);
    assert_same_ports(&runs[0], &again);
}

fn assert_same_ports(first: &FinishedRun, second: &FinishedRun) {
    let ports = |ran: &FinishedRun| ran.trials()[0]["peers"][0]["ports"].clone();
    assert_eq!(ports(first), ports(second));
}
