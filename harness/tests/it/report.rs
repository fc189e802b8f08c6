//! Reports: output and files of a run, and the same again from its events.

use std::{fs, path::Path, process::Stdio};

use crate::test_dir::{FinishedRun, HARNESS, TestDir};

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

fn assert_reported(ran: &FinishedRun) {
    ran.assert_code(0);
    assert!(ran.stdout.contains("Do they meet?"), "{}", ran.stdout);
    assert!(ran.stdout.contains("6/6 100 % [61.0–100]"), "{}", ran.stdout);
    let last = ran.stdout.lines().last().unwrap();
    assert!(last.starts_with("pass: 1 of 1 expectations met · 6 trials in "), "{last}");
    assert!(last.ends_with(ran.out.to_str().unwrap()), "{last}");
}

#[test]
fn a_run_prints_a_table_and_keeps_its_events_and_summary() {
    let dir = TestDir::new();
    let ran = dir.run(HELLO, &[]);
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

    let mut kept: Vec<_> = fs::read_dir(&ran.out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    kept.sort();
    assert_eq!(
        kept,
        ["cells.csv", "events.jsonl", "junit.xml", "summary.json", "summary.md"],
        "nothing temporary is left"
    );
}

#[test]
fn a_finished_run_is_reported_again_from_its_events_alone() {
    let dir = TestDir::new();
    let ran = dir.run(HELLO, &[]);
    let out = ran.out.to_str().unwrap();
    let summary = ran.summary();
    fs::remove_file(ran.out.join("summary.json")).unwrap();

    let again = dir.harness(&["report", out]);
    again.assert_code(0);
    assert_eq!(again.stdout, ran.stdout);
    let json = dir.harness(&["report", "--json", out]);
    json.assert_code(0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap(), summary);
    let file = ran.out.join("events.jsonl");
    assert_eq!(
        dir.harness(&["report", "--json", file.to_str().unwrap()])
            .stdout,
        json.stdout
    );
}

#[test]
fn json_on_standard_output_is_the_summary() {
    let dir = TestDir::new();
    let ran = dir.run(HELLO, &["--json", "--trials", "2", "--seed", "9"]);
    ran.assert_code(3);
    let printed: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(printed, ran.summary());
    let scenario = &printed["scenarios"][0];
    assert_eq!((&scenario["seed"], &scenario["trials_per_cell"]), (&9.into(), &2.into()));
}

#[test]
fn a_log_cut_off_in_the_middle_of_a_line_is_reported_up_to_there() {
    let dir = TestDir::new();
    let ran = dir.run(HELLO, &[]);
    let log = ran.out.join("events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    // The cut is in the line of the fifth trial, the sixth line of the log.
    let start = text.match_indices('\n').nth(4).unwrap().0;
    fs::write(&log, &text[..start + 100]).unwrap();

    let again = dir.harness(&["report", "--json", ran.out.to_str().unwrap()]);
    // Trials that did not run might have decided otherwise.
    again.assert_code(3);
    let summary: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(summary["state"], "unfinished");
    assert_eq!(summary["scenarios"][0]["cells"][0]["trials"], 4);
    let shown = dir.harness(&["report", ran.out.to_str().unwrap()]);
    assert!(shown.stdout.contains("4/4 100 %"), "{}", shown.stdout);
    assert!(
        shown
            .stdout
            .contains("4 trials so far (killed, or still running)"),
        "{shown:?}"
    );
}

#[test]
fn several_scenarios_share_a_run() {
    let dir = TestDir::new();
    let files = ["one", "two"].map(|name| {
        let text =
            format!("trials = 2\n[wan]\ndelay_ms = 2\n\n[punch]\nlisten = {}\n", name == "one");
        dir.write(&format!("{name}.toml"), &text)
            .to_str()
            .unwrap()
            .to_owned()
    });
    let out = dir.path("both");
    let [one, two] = &files;
    let arguments = ["run", one, two, "--out", out.to_str().unwrap()];
    let ran = dir.start_harness(&arguments, out.clone()).wait();
    ran.assert_code(0);
    let summary = ran.summary();
    let scenarios = summary["scenarios"].as_array().unwrap();
    let names: Vec<_> = scenarios.iter().map(|scenario| &scenario["name"]).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(ran.trials().len(), 4);
}

/// Options of `report` that print a file of the run's folder. JUnit is written, not printed.
const PRINTED: [(&str, &str); 3] =
    [("--json", "summary.json"), ("--csv", "cells.csv"), ("--markdown", "summary.md")];

#[test]
fn every_report_is_made_again_byte_for_byte_from_the_events_alone() {
    let dir = TestDir::new();
    let wanted = ["a.xml", "b.csv", "c.md"].map(|name| dir.path(name));
    let [junit, csv, markdown] = wanted.each_ref().map(|path| path.to_str().unwrap());
    let ran = dir.run(HELLO, &["--junit", junit, "--csv", csv, "--markdown", markdown]);
    assert_reported(&ran);
    let names = ["junit.xml", "cells.csv", "summary.md", "summary.json"];
    let kept = names.map(|name| fs::read_to_string(ran.out.join(name)).unwrap());
    for (path, kept) in wanted.iter().zip(&kept) {
        assert_eq!(&fs::read_to_string(path).unwrap(), kept, "{}", path.display());
    }
    assert!(kept[0].contains("<testcase name=\"success &gt;= 0.5\" classname=\"hello\">"));
    assert!(kept[1].starts_with("scenario,cell,rtt_ms,") && kept[1].lines().count() == 2);
    assert!(kept[2].starts_with("## ✅ harness: 1 of 1 expectations met · 6 trials in "));

    // In another folder that holds only the events.
    let elsewhere = dir.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(ran.out.join("events.jsonl"), elsewhere.join("events.jsonl")).unwrap();
    let moved = elsewhere.to_str().unwrap();
    for (option, name) in PRINTED {
        let again = dir.harness(&["report", moved, option]);
        again.assert_code(0);
        let index = names
            .iter()
            .position(|kept_name| *kept_name == name)
            .unwrap();
        assert_eq!(again.stdout, kept[index], "{option}");
    }
    let junit_again = dir.path("again.xml");
    dir.harness(&["report", moved, "--junit", junit_again.to_str().unwrap()])
        .assert_code(0);
    assert_eq!(fs::read_to_string(junit_again).unwrap(), kept[0]);
}

#[test]
fn github_actions_gets_annotations_and_a_summary() {
    let dir = TestDir::new();
    let text = HELLO.replace(">= 0.5", "< 0.1");
    dir.write("hello.toml", &text);
    let step = dir.write("step.md", "before\n");
    let out = dir.path("out");
    let run = |actions: &str| {
        let mut command = dir.command(HARNESS);
        command.args(["hello.toml", "--json", "--out", out.to_str().unwrap()]);
        command
            .env("GITHUB_ACTIONS", actions)
            .env("GITHUB_STEP_SUMMARY", &step);
        dir.spawn(command, out.clone()).wait()
    };
    let ran = run("true");
    ran.assert_code(1);
    let error = "::error file=hello.toml,line=11,title=hello%3A expectation failed::6/6 100 %25";
    assert!(ran.stderr.contains(error), "{}", ran.stderr);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap(), ran.summary());
    let kept = fs::read_to_string(ran.out.join("summary.md")).unwrap();
    assert!(kept.starts_with("## ❌ harness: 1 of 1 expectations failed"), "{kept}");
    assert_eq!(fs::read_to_string(&step).unwrap(), format!("before\n{kept}"));

    // The same again, from the events.
    let mut command = dir.command(HARNESS);
    command
        .args(["report", out.to_str().unwrap(), "--github"])
        .env("GITHUB_STEP_SUMMARY", &step);
    let again = dir.spawn(command, out.clone()).wait();
    again.assert_code(1);
    assert!(again.stdout.starts_with(error), "{}", again.stdout);
    assert_eq!(fs::read_to_string(&step).unwrap(), format!("before\n{kept}{kept}"));

    fs::remove_dir_all(&out).unwrap();
    let elsewhere = run("");
    assert!(!elsewhere.stderr.contains("::error"), "{}", elsewhere.stderr);
}

/// Copies a log, with the trials from index `from` on changed to failures.
fn with_failures(run: &Path, to: &Path, from: u64) {
    fs::create_dir(to).unwrap();
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let changed = text.lines().map(|line| {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event"] == "trial-finished" && event["trial"].as_u64().unwrap() >= from {
            event["verdict"] = "failure".into();
            event.as_object_mut().unwrap().remove("times");
        }
        event.to_string() + "\n"
    });
    fs::write(to.join("events.jsonl"), changed.collect::<String>()).unwrap();
}

#[test]
fn runs_are_compared_and_the_exit_code_says_whether_anything_is_worse() {
    let dir = TestDir::new();
    let ran = dir.run(HELLO, &["--trials", "20"]);
    ran.assert_code(0);
    let worse = dir.path("worse");
    with_failures(&ran.out, &worse, 4);
    let [first, second] = [&ran.out, &worse].map(|path| path.to_str().unwrap());

    let same = dir.harness(&["compare", first, first]);
    same.assert_code(0);
    assert!(
        same.stdout
            .contains("no difference shown: 1 rate and 2 medians"),
        "{}",
        same.stdout
    );
    let compared = dir.harness(&["compare", first, second]);
    compared.assert_code(1);
    assert!(
        compared
            .stdout
            .contains("20/20 100 %  4/20 20.0 %  -80.0 ["),
        "{}",
        compared.stdout
    );
    assert!(compared.stdout.contains("WORSE: 1 rate worse"), "{}", compared.stdout);
    let better = dir.harness(&["compare", second, first, "--json"]);
    better.assert_code(0);
    let json: serde_json::Value = serde_json::from_str(&better.stdout).unwrap();
    assert_eq!(json["verdict"], "better");
    assert_eq!(json["scenarios"][0]["cells"][0]["rate"]["change"], "better");
}

#[test]
fn standard_output_on_a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let dir = TestDir::new();
    let ran = dir.run(HELLO, &[]);
    let command = || {
        let mut command = dir.command(HARNESS);
        command
            .args(["report", ran.out.to_str().unwrap(), "--csv"])
            .stderr(Stdio::piped());
        command
    };
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = command().stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("cannot write to standard output: No space left"), "{stderr}");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command().stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn on_a_full_disk_the_old_report_stays() {
    let dir = TestDir::new();
    let ran = dir.run(HELLO, &[]);
    let small = dir.path("small");
    fs::create_dir(&small).unwrap();
    // A full folder with an old report, in a mount namespace that ends with the harness.
    let script = "mount -t tmpfs -o size=8k tmpfs small && echo old > small/x.xml && \
        head -c 4096 /dev/zero > small/filler && \
        \"$HARNESS\" report \"$RUN\" --junit small/x.xml > /dev/null; \
        code=$?; cat small/x.xml; ls small; exit $code";
    let mut command = dir.command("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .env("HARNESS", HARNESS)
        .env("RUN", &ran.out);
    let full = dir.spawn(command, small).wait();
    full.assert_code(5);
    assert!(
        full.stderr
            .contains("cannot write small/x.xml: No space left"),
        "{}",
        full.stderr
    );
    assert_eq!(full.stdout, "old\nfiller\nx.xml\n");
}
