//! What a run prints and keeps, and that it can be reported again.

use std::fs;

use crate::bench::{Bench, Ran};

const HELLO: &str = r#"
name = "hello"
question = "Do they meet?"
trials = 6
seed = 1

[wan]
delay_ms = 5

[[expect]]
success = ">= 0.5"
"#;

fn assert_reported(ran: &Ran) {
    ran.assert_code(0);
    assert!(ran.stdout.contains("Do they meet?"), "{}", ran.stdout);
    assert!(ran.stdout.contains("6/6 100 % [61.0–100]"), "{}", ran.stdout);
    let last = ran.stdout.lines().last().unwrap();
    assert!(last.starts_with("pass: 1 of 1 expectations met · 6 trials in "), "{last}");
    assert!(last.ends_with(ran.out.to_str().unwrap()), "{last}");
}

#[test]
fn a_run_prints_a_table_and_keeps_its_events_and_summary() {
    let bench = Bench::new();
    let ran = bench.run(HELLO, &[]);
    assert_reported(&ran);
    let size = "hello: 1 cell x 6 trials = 6 trials, seed 1\n";
    assert!(ran.stderr.ends_with(size), "{}", ran.stderr);

    let events = ran.events();
    assert_eq!(events.len(), 8);
    let first = &events[0];
    assert_eq!(first["event"], "run-started");
    assert_eq!(first["schema"], 1);
    assert_eq!(first["scenarios"][0]["name"], "hello");
    let last = events.last().unwrap();
    assert_eq!(last["event"], "run-finished");
    assert_eq!(last["interrupted"], false);
    for (index, trial) in ran.trials().iter().enumerate() {
        assert_eq!(trial["trial"], index);
        assert_eq!(trial["verdict"], "success", "{trial}");
        assert_eq!(trial["theory"]["prediction"], "should", "{trial}");
    }

    let summary = ran.summary();
    assert_eq!(summary["state"], "finished");
    assert_eq!(summary["verdict"], "pass");
    let cell = &summary["scenarios"][0]["cells"][0];
    assert_eq!((&cell["trials"], &cell["successes"]), (&6.into(), &6.into()));
    assert_eq!(cell["rtt_ms"], 10.0);

    let mut kept: Vec<_> =
        fs::read_dir(&ran.out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(
        kept,
        ["cells.csv", "events.jsonl", "junit.xml", "summary.json", "summary.md"],
        "nothing temporary is left"
    );
}

#[test]
fn a_finished_run_is_reported_again_from_its_events_alone() {
    let bench = Bench::new();
    let ran = bench.run(HELLO, &[]);
    let out = ran.out.to_str().unwrap();
    let summary = ran.summary();
    fs::remove_file(ran.out.join("summary.json")).unwrap();

    let again = bench.harness(&["report", out]);
    again.assert_code(0);
    assert_eq!(again.stdout, ran.stdout);
    let json = bench.harness(&["report", "--json", out]);
    json.assert_code(0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap(), summary);
    let file = ran.out.join("events.jsonl");
    assert_eq!(bench.harness(&["report", "--json", file.to_str().unwrap()]).stdout, json.stdout);
}

#[test]
fn json_on_standard_output_is_the_summary() {
    let bench = Bench::new();
    let ran = bench.run(HELLO, &["--json", "--trials", "2", "--seed", "9"]);
    ran.assert_code(3);
    let printed: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(printed, ran.summary());
    let scenario = &printed["scenarios"][0];
    assert_eq!((&scenario["seed"], &scenario["trials_per_cell"]), (&9.into(), &2.into()));
}

#[test]
fn a_log_cut_off_in_the_middle_of_a_line_is_reported_up_to_there() {
    let bench = Bench::new();
    let ran = bench.run(HELLO, &[]);
    let log = ran.out.join("events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    // Into the line of the fifth trial, after the start and four others.
    let start = text.match_indices('\n').nth(4).unwrap().0;
    fs::write(&log, &text[..start + 100]).unwrap();

    let again = bench.harness(&["report", "--json", ran.out.to_str().unwrap()]);
    // What was not run might have gone otherwise.
    again.assert_code(3);
    let summary: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(summary["state"], "unfinished");
    assert_eq!(summary["scenarios"][0]["cells"][0]["trials"], 4);
    let shown = bench.harness(&["report", ran.out.to_str().unwrap()]);
    assert!(shown.stdout.contains("4/4 100 %"), "{}", shown.stdout);
    assert!(shown.stdout.contains("4 trials so far (killed, or still running)"), "{shown:?}");
}

#[test]
fn several_scenarios_share_a_run() {
    let bench = Bench::new();
    let files = ["one", "two"].map(|name| {
        let text =
            format!("trials = 2\n[wan]\ndelay_ms = 2\n\n[punch]\nlisten = {}\n", name == "one");
        bench.write(&format!("{name}.toml"), &text).to_str().unwrap().to_owned()
    });
    let out = bench.path("both");
    let [one, two] = &files;
    let arguments = ["run", one, two, "--out", out.to_str().unwrap()];
    let ran = bench.start_harness(&arguments, out.clone()).wait();
    ran.assert_code(0);
    let names: Vec<_> = ran.summary()["scenarios"].as_array().unwrap().clone();
    assert_eq!(names.iter().map(|it| &it["name"]).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(ran.trials().len(), 4);
}
