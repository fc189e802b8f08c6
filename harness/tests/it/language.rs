//! Scenario language in real runs: distributions, sweeps, filters and precision in the log.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::test_dir::{FinishedRun, TestDir};

/// One cell always fails, the other always succeeds.
const PRECISE: &str = r#"
precision = 0.25
trials_max = 12
seed = 3

[wan]
delay_ms = { uniform = [1, 5] }

[punch]
timeout_s = 1.5

[peer.a]
clock_offset_s = { choice = [0, 1] }

[[sweep.zip]]
"peer.a.nat" = ["home", "symmetric"]
"peer.b.nat" = ["home", "symmetric"]

[[expect]]
where = { "peer.b.nat" = "home" }
connected_rtt = { p10 = "<= 1000" }

[[expect]]
where = { "peer.b.nat" = "symmetric" }
cause = { "port-remapped" = ">= 0.5" }
"#;

/// The events of one kind.
fn events(ran: &FinishedRun, kind: &str) -> Vec<Value> {
    ran.events()
        .into_iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

/// Round-trip time and clock offset of each trial, by cell and index.
fn trials(ran: &FinishedRun) -> BTreeMap<(u64, u64), (Value, Value)> {
    let key = |trial: &Value| (trial["cell"].as_u64().unwrap(), trial["trial"].as_u64().unwrap());
    events(ran, "trial-finished")
        .iter()
        .map(|trial| {
            let offset = trial["peers"][0]["clock_offset_s"].clone();
            (key(trial), (trial["rtt_ms"].clone(), offset))
        })
        .collect()
}

#[test]
fn a_cell_stops_when_its_interval_is_narrow_and_the_log_says_so() {
    let dir = TestDir::new();
    let [one, other] = ["8", "24"].map(|jobs| dir.run(PRECISE, &["--jobs", jobs]));
    let of_one = trials(&one);
    // With four equal results the interval is ± 0.245.
    assert_eq!(of_one.len(), 2 * 4, "{}", one.stdout);
    assert_eq!(
        of_one,
        trials(&other),
        "trials and their random values do not depend on the number of jobs"
    );
    for (rtt_ms, offset) in of_one.values() {
        assert!((2.0..10.0).contains(&rtt_ms.as_f64().unwrap()), "{rtt_ms}");
        assert!([0.0, 1.0].contains(&offset.as_f64().unwrap()), "{offset}");
    }
    let mut decided = events(&one, "cell-decided");
    decided.sort_by_key(|event| event["cell"].as_u64());
    assert_eq!(decided.len(), 2, "{decided:?}");
    for (cell, event) in decided.iter().enumerate() {
        assert_eq!(event["cell"], cell);
        assert_eq!((&event["trials"], &event["is_narrow"]), (&4.into(), &true.into()), "{event}");
        assert!(event["half_width"].as_f64().unwrap() <= 0.25);
    }
    let summary = one.summary();
    let expectations = summary["scenarios"][0]["expectations"].as_array().unwrap();
    let demands: Vec<_> = expectations
        .iter()
        .map(|expectation| expectation["expected"].as_str().unwrap())
        .collect();
    assert_eq!(demands, ["connected_rtt p10 <= 1000", "cause port-remapped >= 0.5"]);
    assert_eq!(expectations[0]["verdict"], "pass", "{}", one.stdout);
    assert_eq!(expectations[1]["verdict"], "pass", "{}", one.stdout);
    let measured = &expectations[1]["cells"][0]["measured"];
    assert_eq!((&measured["value"], &measured["count"]), (&1.0.into(), &4.into()));
}

#[test]
fn a_filter_selects_cells_without_changing_their_trials() {
    let dir = TestDir::new();
    let home = ["--trials", "2", "--filter", "a.nat=hom?,b.nat=home|none"];
    let ran = dir.run(PRECISE, &[&home[..], &["--set", "punch.timeout_s=2"]].concat());
    ran.assert_code(0);
    let all = dir.run(PRECISE, &["--trials", "2"]);
    assert!(events(&ran, "cell-decided").is_empty());
    let [few_seeds, all_seeds] = [&ran, &all].map(|run| {
        let finished = events(run, "trial-finished");
        let seeds = finished
            .iter()
            .map(|trial| trial["seed"].as_str().unwrap().to_owned());
        seeds.collect::<BTreeSet<_>>()
    });
    assert_eq!((few_seeds.len(), all_seeds.len()), (2, 4));
    assert!(few_seeds.is_subset(&all_seeds), "a trial is the same with and without a filter");
    let plan = &events(&ran, "run-started")[0]["scenarios"][0];
    assert_eq!(plan["cells"].as_array().unwrap().len(), 1);
    assert_eq!(plan["expectations"].as_array().unwrap().len(), 1, "only on the selected cells");

    // The log holds the scenario with the flags applied.
    let replay = dir.harness(&["replay", ran.out.to_str().unwrap(), "0.0.1"]);
    replay.assert_code(0);
    assert!(replay.stdout.contains("as in the run: success"), "{}", replay.stdout);
}

#[test]
fn a_filter_that_selects_nothing_is_4() {
    let dir = TestDir::new();
    dir.write("two.toml", "trials = 1\n[sweep]\n\"wan.delay_ms\" = [1, 2]\n");
    for command in ["run", "check", "list"] {
        let ran = dir.harness(&[command, "two.toml", "--filter", "delay_ms=3"]);
        ran.assert_code(4);
        assert!(ran.stderr.contains("--filter selects no cell"), "{}", ran.stderr);
        let ran = dir.harness(&[command, "two.toml", "--filter", "delay=1"]);
        ran.assert_code(2);
        assert!(
            ran.stderr
                .contains("`delay` is not swept: did you mean `delay_ms`?"),
            "{ran:?}"
        );
    }
    let ran = dir.harness(&["list", "two.toml", "--filter", "delay_ms=2.0", "--cells"]);
    ran.assert_code(0);
    assert!(ran.stdout.ends_with("    wan.delay_ms=2\n"), "{}", ran.stdout);
}

#[test]
fn a_million_cells_need_yes_and_are_counted_before_any_is_made() {
    let dir = TestDir::new();
    dir.write(
        "many.toml",
        "trials = 3\n[sweep]\n\"wan.delay_ms\" = { from = 1, to = 1000, step = 1 }\n\
         \"peer.b.start_s\" = { from = 1, to = 1000, step = 1 }\n",
    );
    for command in ["run", "check", "list"] {
        let ran = dir.harness(&[command, "many.toml"]);
        ran.assert_code(2);
        assert!(ran.stderr.contains("the sweep has 1000000 cells"), "{}", ran.stderr);
        assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    }
    let ten = "sweep.peer.b.start_s={ from = 1, to = 11, step = 1 }";
    let ran = dir.harness(&["list", "many.toml", "--yes", "--set", ten, "--json"]);
    ran.assert_code(0);
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(listed[0]["cells"], 11_000);
}

#[test]
fn check_names_every_mistake_and_the_failures_that_each_expectation_allows() {
    let dir = TestDir::new();
    dir.write("base.toml", "trials = 200\n[wan]\nloss = 5\n");
    dir.write("wrong.toml", "extends = \"base.toml\"\n[peer.a]\nnat = \"hoem\"\nstart_s = -1\n");
    let ran = dir.harness(&["check", "wrong.toml", "--set", "wan.dealy_ms=3"]);
    ran.assert_code(2);
    for place in ["wrong.toml:3:7", "wrong.toml:4:11", "base.toml:3:8", "--set:1:5"] {
        assert!(ran.stderr.contains(&format!("{place}]")), "{place}: {}", ran.stderr);
    }
    assert!(
        ran.stderr
            .contains("1 of 1 scenarios are invalid, 4 problems"),
        "{}",
        ran.stderr
    );

    dir.write(
        "right.toml",
        "extends = \"base.toml\"\n[wan]\nloss = 0.5\n[[expect]]\nsuccess = \">= 0.95\"\n\
         connected_ms = { p50 = \"<= 60\" }\ncauses = [\"syn-lost\"]\n",
    );
    let ran = dir.harness(&["check", "right.toml"]);
    ran.assert_code(0);
    for line in [
        "right.toml: 1 cell x 200 trials = 200 trials",
        "success >= 0.95: with 200 trials passes with at most 3 failures, fails from 17 on",
        "connected_ms p50 <= 60: with 200 successes passes with at most 85 slower ones, fails from \
         115 on",
        "causes syn-lost: fails with the first failure of another cause",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
}

#[test]
fn the_schema_and_the_completions_of_three_shells_are_printed() {
    let dir = TestDir::new();
    let ran = dir.harness(&["schema"]);
    ran.assert_code(0);
    let schema: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(schema["title"], "harness scenario");
    for shell in ["bash", "zsh", "fish"] {
        let ran = dir.harness(&["completions", shell]);
        ran.assert_code(0);
        assert!(ran.stdout.contains("filter"), "{shell}");
    }
    dir.harness(&["completions", "tcsh"]).assert_code(2);
}
