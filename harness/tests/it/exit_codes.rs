//! Exit codes of `harness`, each with its message.

use std::{fs, os::unix::fs::symlink};

use serde_json::{Value, json};

use crate::test_dir::{HARNESS, TestDir, read_json};

#[test]
fn an_expectation_that_fails_is_1() {
    let dir = TestDir::new();
    let ran = dir.run(
        r#"
        trials = 6
        seed = 3
        [punch]
        rule = "article"
        timeout_s = 0.5
        [peer.b]
        clock_offset_s = 40
        [[expect]]
        success = ">= 0.95"
        "#,
        &[],
    );
    ran.assert_code(1);
    assert!(ran.stdout.contains("FAIL: 1 of 1 expectations failed"), "{}", ran.stdout);
    assert!(ran.stdout.contains("buckets-disjoint"), "{}", ran.stdout);
    assert_eq!(ran.summary()["verdict"], "fail");
}

#[test]
fn too_few_trials_to_tell_are_3() {
    let dir = TestDir::new();
    let ran = dir.run("trials = 3\n[wan]\ndelay_ms = 5\n[[expect]]\nsuccess = \">= 0.95\"\n", &[]);
    ran.assert_code(3);
    assert!(
        ran.stderr
            .contains("warning: scenario-0: 3 trials in a cell cannot prove"),
        "{ran:?}"
    );
    assert_eq!(ran.summary()["verdict"], "inconclusive");
}

/// Invalid scenarios, each with the place and a part of its message.
const INVALID: &[(&str, &str, &str)] = &[
    ("trials = 1\n[wan]\ndelay_m = 5\n", "3:1", "did you mean `delay_ms`?"),
    ("trials = \"many\"\n", "1:10", "must be a whole number, not a string"),
    ("trials = 1\n[wan]\ndelay_ms = -1\n", "3:12", "milliseconds from 0 to 10000"),
    ("trials = 1\n[wan]\ndelay_ms = 1e300\n", "3:12", "milliseconds from 0 to 10000"),
    ("trials = 1\n[wan]\ndelay_ms = nan\n", "3:12", "milliseconds from 0 to 10000"),
    ("trials = 1\n[wan]\nloss = 1.5\n", "3:8", "from 0 to 1"),
    ("trials = 1\n[peer.a]\nnat = \"hom\"\n", "3:7", "there is no NAT \"hom\""),
    ("trials = 1\n[sweep]\n\"wan.loss\" = []\n", "3:14", "has no values"),
    ("trials = 1\n[sweep]\n\"wan.delay_ms\" = [1, -1]\n", "3:22", "milliseconds from 0 to 10000"),
    ("trials = 0\n", "1:10", "must be from 1 to 1000000"),
    ("trials = 1\n[subject]\ncommand = []\n", "3:11", "does not name a program"),
    ("trials = 1\n[subject]\ncommand = [\"x\", \"{per}\"]\n", "3:17", "`{peer}`"),
    ("trials = 1\n[[expect]]\nsuccess = \">= 95\"\n", "3:11", "success"),
    ("trials = 1\n[wan\n", "2:5", "not TOML"),
];

#[test]
fn an_invalid_scenario_is_2_and_its_message_points_at_the_place() {
    let dir = TestDir::new();
    for (number, (text, place, words)) in INVALID.iter().enumerate() {
        let name = format!("bad-{number}.toml");
        dir.write(&name, text);
        for command in [&["check"][..], &["run"], &[]] {
            let ran = dir.harness(&[command, &[&name]].concat());
            ran.assert_code(2);
            assert!(ran.stderr.contains(&format!("{name}:{place}]")), "{text}: {}", ran.stderr);
            // The message is wrapped to the terminal's width.
            let message = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(message.contains(words), "{text}: {message}");
            assert_eq!(ran.stdout, "");
        }
    }
    assert!(!dir.path("target").exists(), "no folder for a run that cannot be");
}

#[test]
fn one_run_names_all_invalid_scenarios() {
    let dir = TestDir::new();
    dir.write("first.toml", "trials = 0\n");
    dir.write("second.toml", "trials = 1\nseeds = 1\n");
    let ran = dir.harness(&["first.toml", "second.toml", "third.toml"]);
    ran.assert_code(2);
    for words in
        ["first.toml:1:10", "second.toml:2:1", "third.toml", "3 of 3 scenarios are invalid"]
    {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_2() {
    let dir = TestDir::new();
    fs::write(dir.path("binary.toml"), [0xFF, 0xFE, 0]).unwrap();
    fs::create_dir(dir.path("folder.toml")).unwrap();
    for name in ["missing.toml", "binary.toml", "folder.toml", "/dev/zero"] {
        let ran = dir.harness(&[name]);
        ran.assert_code(2);
        assert!(ran.stderr.contains(name), "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_fifo_is_2_without_a_wait_for_its_writer() {
    let dir = TestDir::new();
    let make = dir.command("mkfifo").arg("fifo.toml").status();
    assert!(make.unwrap().success());
    dir.write("child.toml", "extends = \"fifo.toml\"\ntrials = 1\n");
    for arguments in
        [&["check", "fifo.toml"][..], &["check", "child.toml"], &["report", "fifo.toml"]]
    {
        let ran = dir.harness(arguments);
        ran.assert_code(2);
        assert!(ran.stderr.contains("it is a FIFO or pipe"), "{}", ran.stderr);
    }
}

#[test]
fn control_characters_in_the_names_of_files_are_shown_only() {
    let dir = TestDir::new();
    let name = "a\u{1b}[31m\nb.toml";
    dir.write(name, "name = \"x\"\ntrials = 1\n[wan]\ndelay_ms = 1\n");
    let wrong = "c\u{1b}[31m\nd.toml";
    dir.write(wrong, "name = \"x\"\ntrials = 0\n");
    let missing = "e\u{1b}[31m\n.toml";
    let out = "f\u{1b}[31m\n";
    for (arguments, code) in [
        (&["list", "--cells", name][..], 0),
        (&["check", name], 0),
        (&["check", wrong, missing], 2),
        (&["report", missing], 2),
        (&[name, "--out", out], 0),
        (&["report", "--github", out], 0),
        (&["report", out], 0),
        (&["compare", out, out], 0),
        (&["replay", out, "0.0.0"], 0),
    ] {
        let ran = dir.harness(arguments);
        ran.assert_code(code);
        let text = ran.stdout + &ran.stderr;
        assert!(!text.contains('\u{1b}'), "{arguments:?}: {text:?}");
        let is_broken = text
            .lines()
            .any(|line| line == ".toml" || line.starts_with("b.toml"));
        assert!(!is_broken, "{arguments:?}: {text}");
    }
}

#[test]
fn captures_never_follow_links() {
    let dir = TestDir::new();
    dir.write(
        "s.toml",
        "trials = 1\nseed = 1\n[wan]\ndelay_ms = 1\nloss = 1\n[punch]\ntimeout_s = 0.2\n",
    );
    fs::create_dir_all(dir.path("out/captures")).unwrap();
    for name in ["s-0-0.pcapng", "s-0-0.ladder.txt"] {
        let kept = dir.write(&format!("kept-{name}"), "kept");
        symlink(kept, dir.path("out/captures").join(name)).unwrap();
    }
    let ran = dir.harness(&["s.toml", "--capture", "--no-verify", "--out", "out"]);
    ran.assert_code(0);
    for name in ["s-0-0.pcapng", "s-0-0.ladder.txt"] {
        assert_eq!(fs::read(dir.path(&format!("kept-{name}"))).unwrap(), b"kept");
        let written = dir.path("out/captures").join(name);
        assert!(written.symlink_metadata().unwrap().is_file(), "{name}");
        assert!(fs::read(written).unwrap().len() > 100, "{name}");
    }
    // Nor do the folders themselves.
    fs::create_dir(dir.path("elsewhere")).unwrap();
    for (link, arguments) in [
        ("link", &["s.toml", "--out", "link"][..]),
        ("run/captures", &["s.toml", "--capture", "--out", "run"]),
        ("out/replays", &["replay", "out", "0.0.0"]),
    ] {
        let link = dir.path(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(dir.path("elsewhere"), link).unwrap();
        let ran = dir.harness(arguments);
        assert!(matches!(ran.code(), 2 | 5), "{ran:?}");
        assert!(ran.stderr.contains("it is a link"), "{}", ran.stderr);
        assert_eq!(fs::read_dir(dir.path("elsewhere")).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn two_scenarios_of_the_same_name_are_2() {
    let dir = TestDir::new();
    for file in ["one.toml", "two.toml"] {
        dir.write(file, "name = \"twin\"\ntrials = 1\n");
    }
    for files in [["one.toml", "two.toml"], ["one.toml", "one.toml"]] {
        let ran = dir.harness(&files);
        ran.assert_code(2);
        assert!(ran.stderr.contains("two scenarios are named \"twin\""), "{}", ran.stderr);
    }
}

#[test]
fn a_folder_that_already_holds_a_run_is_2_and_is_not_changed() {
    let dir = TestDir::new();
    dir.write("hello.toml", "trials = 1\n[wan]\ndelay_ms = 1\n");
    let out = dir.path("out");
    let arguments = ["hello.toml", "--out", out.to_str().unwrap()];
    dir.harness(&arguments).assert_code(0);
    let kept = || ["events.jsonl", "summary.json"].map(|name| fs::read(out.join(name)).unwrap());
    let before = kept();

    let again = dir.harness(&arguments);
    again.assert_code(2);
    assert!(again.stderr.contains("already holds a run"), "{}", again.stderr);
    assert_eq!(kept(), before);
}

#[test]
fn a_folder_that_cannot_be_written_is_2_before_any_trial_runs() {
    let dir = TestDir::new();
    dir.write("hello.toml", "trials = 1\n");
    dir.write("file", "");
    for out in ["file", "file/below", "/proc/nowhere"] {
        let ran = dir.harness(&["hello.toml", "--out", out]);
        ran.assert_code(2);
        assert!(ran.stderr.contains(&format!("cannot write to {out}")), "{}", ran.stderr);
    }
}

#[test]
fn wrong_usage_is_2_and_the_message_names_the_mistake() {
    let dir = TestDir::new();
    dir.write("hello.toml", "trials = 1\n");
    dir.write("foreign.jsonl", "{\"level\":\"info\",\"msg\":\"started\"}\n");
    for folder in ["empty", "newer", "old", "other"] {
        fs::create_dir(dir.path(folder)).unwrap();
    }
    dir.write("newer/events.jsonl", "{\"event\":\"run-started\",\"schema\":99}\n");
    for (folder, name) in [("old", "one"), ("other", "two")] {
        let start = json!({
            "event": "run-started", "schema": 1, "harness": "0.1.0", "started_unix_s": 0.0,
            "jobs": 1, "scenarios": [{
                "name": name, "file": "x.toml", "question": null, "seed": 1, "trials": 1,
                "cells": [{"values": [], "rtt_ms": 10.0}], "expectations": [],
            }],
        });
        dir.write(&format!("{folder}/events.jsonl"), &format!("{start}\n"));
    }
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage: harness [OPTIONS] <FILE>..."),
        (&["run"], "<FILE>..."),
        (&["hello.toml", "--jobs", "0"], "'--jobs <N>': 0 is not in 1..=1000"),
        (&["hello.toml", "--trials", "0"], "'--trials <N>': 0 is not in 1..=1000000"),
        (&["hello.toml", "--trials", "many"], "'--trials <N>'"),
        (&["hello.toml", "--seed", "x"], "'--seed <N>'"),
        (&["hello.toml", "--capture=some"], "[possible values: all, failed]"),
        (&["hello.toml", "--nonsense"], "'--nonsense'"),
        (&["report", "nowhere"], "cannot read nowhere"),
        (&["report", "hello.toml"], "hello.toml is no log of a run"),
        (&["report"], "there is no run in target/harness: run a scenario, or name a folder"),
        (&["report", "empty"], "empty holds no run: there is no events.jsonl in it"),
        (&["report", "foreign.jsonl"], "foreign.jsonl is no log of a run"),
        (&["report", "newer"], "newer/events.jsonl has format 99"),
        (&["report", "--csv", "--json"], "'--csv' cannot be used with '--json'"),
        (&["hello.toml", "--junit", "nowhere/x.xml"], "cannot write nowhere/x.xml"),
        (&["hello.toml", "--csv", "empty"], "cannot write empty"),
        (&["hello.toml", "--markdown", "hello.toml/x"], "cannot write hello.toml/x"),
        (&["compare", "old"], "<SECOND>"),
        (&["compare", "old", "nowhere"], "cannot read nowhere"),
        (&["compare", "foreign.jsonl", "old"], "foreign.jsonl is no log of a run"),
        (&["compare", "old", "newer"], "newer/events.jsonl has format 99"),
        (&["compare", "old", "other"], "the runs have no cell in common"),
        (&["compare", "old", "old", "--least-ms", "-1"], "0 to 1000000"),
    ];
    for (arguments, words) in cases {
        let ran = dir.harness(arguments);
        ran.assert_code(2);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}

#[test]
fn check_counts_the_trials_and_runs_none() {
    let dir = TestDir::new();
    let text = "trials = 5\n[sweep]\n\"wan.delay_ms\" = [1, 2, 3]\n\
        [[expect]]\nsuccess = \">= 0.9\"\n\
        theory = \">= 0.3\"\nconnected_rtt = { p50 = \">= 1\", p99 = \"<= 2\" }\n";
    dir.write("counted.toml", text);
    let ran = dir.harness(&["check", "counted.toml"]);
    ran.assert_code(0);
    assert!(
        ran.stdout
            .contains("counted.toml: 3 cells x 5 trials = 15 trials"),
        "{}",
        ran.stdout
    );
    let warnings: Vec<_> = ran
        .stdout
        .lines()
        .filter(|line| line.contains("warning"))
        .map(str::trim)
        .collect();
    assert_eq!(
        warnings,
        [
            "warning: 5 trials in a cell cannot prove success >= 0.9, whatever they show; 35 could",
            "warning: 5 trials in a cell cannot prove connected_rtt p50 >= 1, whatever they show; \
             6 could",
            "warning: 5 trials in a cell cannot prove connected_rtt p99 <= 2, whatever they show; \
             368 could",
        ],
        "{}",
        ran.stdout
    );
    assert!(!dir.path("target").exists());
}

#[test]
fn on_a_full_disk_the_finished_trials_stay_in_the_log() {
    let dir = TestDir::new();
    let scenario = dir.write("full.toml", "trials = 400\n[wan]\ndelay_ms = 1\n");
    // A folder with room for 64 KiB, in a mount namespace that ends with the harness.
    let folder = dir.path("small");
    fs::create_dir(&folder).unwrap();
    let command = format!(
        "mount -t tmpfs -o size=64k tmpfs {0} && \"$HARNESS\" {1} --out {0}/run; code=$?; \
         \"$HARNESS\" report {0}/run --json > {2}; exit $code",
        folder.display(),
        scenario.display(),
        dir.path("report").display(),
    );
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", &command])
        .env("HARNESS", HARNESS)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    let report: Value = read_json(&dir.path("report"));
    let trials = report["scenarios"][0]["cells"][0]["trials"]
        .as_u64()
        .unwrap();
    assert!(trials > 10, "{report}");
}
