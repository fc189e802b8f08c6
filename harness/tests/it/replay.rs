//! `harness replay`: a trial run again from its log, with ladder and capture.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use pcap_file::pcapng::{
    PcapNgReader,
    blocks::{
        interface_description::InterfaceDescriptionOption, section_header::SectionHeaderOption,
    },
};
use serde_json::Value;

use crate::{
    capture,
    test_dir::{FinishedRun, TestDir},
};

/// Scenario that succeeds in cell 0 and fails in cell 1, whose NAT changes ports.
const SCENARIO: &str = r#"
name = "both"
trials = 2
seed = 7
[wan]
delay_ms = 10
[punch]
timeout_s = 0.7
[peer.a]
clock_offset_s = 0.5
[sweep]
"peer.a.nat" = ["home", "symmetric"]
"#;

fn replay(dir: &TestDir, run: &Path, trial: &str) -> FinishedRun {
    dir.harness(&["replay", run.to_str().unwrap(), trial])
}

/// Time of day (UTC) as in ladders, without milliseconds.
fn time_of_day(unix_s: f64) -> String {
    let seconds = |per: f64, of: f64| (unix_s / per).rem_euclid(of).floor();
    format!("{:02}:{:02}:{:02}.", seconds(3600.0, 24.0), seconds(60.0, 60.0), seconds(1.0, 60.0))
}

#[test]
fn a_trial_is_replayed_from_its_log_alone() {
    let dir = TestDir::new();
    let ran = dir.run(SCENARIO, &["--capture=failed"]);
    ran.assert_code(0);
    let failed = ran
        .trials()
        .into_iter()
        .find(|trial| trial["cell"] == 1)
        .unwrap();
    assert_eq!(failed["cause"]["kind"], "port-remapped", "{failed}");
    let ladder = fs::read_to_string(ran.out.join("captures/both-1-0.ladder.txt")).unwrap();
    assert!(ladder.starts_with("trial 0.1.0 of both (peer.a.nat=symmetric), seed "), "{ladder}");
    assert!(ladder.contains("SYN remapped"), "{ladder}");
    assert!(!ran.out.join("captures/both-0-0.ladder.txt").exists(), "it succeeded");

    // The log holds the scenario, so that the file may change.
    dir.write("scenario-0.toml", "trials = 1\nnonsense");
    let again = replay(&dir, &ran.out, "0.1.0");
    again.assert_code(0);
    let shown = &again.stdout;
    let seed = failed["seed"].as_str().unwrap();
    assert!(shown.starts_with(ladder.lines().next().unwrap()) && shown.contains(seed), "{shown}");
    assert!(shown.contains("as in the run: failure: port-remapped: NAT a sent"), "{shown}");
    let epoch = failed["epoch_unix_s"].as_f64().unwrap();
    let clocks = [epoch + 0.5, epoch].map(time_of_day);
    let started = shown.lines().find(|line| line.contains("started")).unwrap();
    assert!(clocks.iter().all(|clock| started.contains(clock)), "{clocks:?}: {started}");
    assert!(
        fs::read_to_string(ran.out.join("replays/both-1-0.ladder.txt"))
            .unwrap()
            .len()
            > 1000
    );
    check_capture(&ran.out.join("replays/both-1-0.pcapng"), seed);

    let success = replay(&dir, &ran.out, "0.0.1");
    success.assert_code(0);
    assert!(success.stdout.contains("as in the run: success"), "{}", success.stdout);
    for arrow in ["├──────SYN × ", "SYN-ACK × ", "HELLO heard", "returned "] {
        assert!(success.stdout.contains(arrow), "{arrow}: {}", success.stdout);
    }
    refusals(&dir, &ran);
}

/// Checks the messages about runs and trials that cannot be replayed.
fn refusals(dir: &TestDir, ran: &FinishedRun) {
    let run = |name: &str, change: &dyn Fn(Value) -> Value| {
        let folder = dir.path(name);
        fs::create_dir(&folder).unwrap();
        let lines: Vec<String> = ran
            .events()
            .into_iter()
            .map(|event| change(event).to_string() + "\n")
            .collect();
        fs::write(folder.join("events.jsonl"), lines.concat()).unwrap();
        folder
    };
    let without_source = run("without-source", &|mut event| {
        if let Some(scenario) = event.pointer_mut("/scenarios/0") {
            scenario.as_object_mut().unwrap().remove("source");
        }
        event
    });
    let other_cells = run("other-cells", &|mut event| {
        if let Some(source) = event.pointer_mut("/scenarios/0/source") {
            *source = source
                .as_str()
                .unwrap()
                .replace("symmetric", "linux-router")
                .into();
        }
        event
    });
    let other_language = run("other-language", &|mut event| {
        if let Some(source) = event.pointer_mut("/scenarios/0/source") {
            *source = format!("from_the_future = 1\n{}", source.as_str().unwrap()).into();
        }
        event
    });
    let other_seed = run("other-seed", &|mut event| {
        if event["event"] == "trial-finished" {
            event["seed"] = "0000000000000001".into();
        }
        event
    });
    for (run, trial, message) in [
        (&ran.out, "1.0.0", "there is no scenario 1: the run's are 0 to 0"),
        (&ran.out, "0.2.0", "both has no cell 2: its are 0 to 1"),
        (&ran.out, "0.0.2", "each cell of both has trials 0 to 1: there is no 2"),
        (&ran.out, "0.0", "SCENARIO.CELL.TRIAL, three numbers from 0 such as 0.3.17"),
        (&dir.path("nowhere"), "0.0.0", "cannot read"),
        (&without_source, "0.0.0", "the log does not hold the scenario both"),
        (&other_cells, "0.0.0", "has other cells for this harness"),
        (&other_language, "0.0.0", "unknown key `from_the_future`"),
        (&other_seed, "0.0.0", "the trial had the seed 0000000000000001"),
    ] {
        let refused = replay(dir, run, trial);
        refused.assert_code(2);
        assert!(refused.stderr.contains(message), "{message}: {}", refused.stderr);
    }
    let run_folder = ran.out.to_str().unwrap();
    let unwritable = dir.harness(&["replay", run_folder, "0.0.0", "--out", "/proc/nowhere"]);
    unwritable.assert_code(5);
    assert!(
        unwritable
            .stderr
            .contains("choose another folder with --out"),
        "{unwritable:?}"
    );

    let other_verdict = run("other-verdict", &|mut event| {
        if event["cell"] == 0 {
            event["verdict"] = "failure".into();
        }
        event
    });
    let different = replay(dir, &other_verdict, "0.0.0");
    different.assert_code(1);
    assert!(different.stdout.contains("DIFFERENT from the run: failure"), "{}", different.stdout);
}

/// Checks the names of interfaces and the comments of a capture.
fn check_capture(path: &Path, seed: &str) {
    let packets = capture::read(path);
    assert!(packets.iter().any(|packet| packet.inbound) && packets.len() >= 32, "{packets:?}");
    let mut reader = PcapNgReader::new(File::open(path).unwrap()).unwrap();
    while let Some(block) = reader.next_block() {
        block.unwrap();
    }
    let commented = |option: &SectionHeaderOption<'_>| match option {
        SectionHeaderOption::Comment(text) => Some(text.to_string()),
        _ => None,
    };
    let section = reader.section();
    let comment = section.options.iter().find_map(commented).unwrap();
    for part in ["trial 0.1.0 of both", seed, "NATs: a symmetric, b home", "port-remapped"] {
        assert!(comment.contains(part), "{part}: {comment}");
    }
    let described = |option: &InterfaceDescriptionOption<'_>| match option {
        InterfaceDescriptionOption::IfDescription(text) => Some(text.to_string()),
        _ => None,
    };
    let interfaces = reader.interfaces().iter();
    let behind: Vec<String> = interfaces
        .filter_map(|interface| interface.options.iter().find_map(described))
        .collect();
    assert_eq!(behind, ["peer a behind its NAT symmetric", "peer b behind its NAT home"]);
    check_with_tshark(path);
}

/// Checks that tshark, if installed, reads the whole capture without complaint. The content is
/// checked above in any case.
fn check_with_tshark(path: &Path) {
    let fields = ["frame.interface_name", "frame.interface_description", "frame.comment"];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-T", "fields"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let Ok(output) = command.output() else { return };
    let stderr = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.contains("RunningHarness as user") && !line.is_empty())
        .collect();
    assert!(output.status.success() && complaints.is_empty(), "{stderr}");
    let shown = String::from_utf8_lossy(&output.stdout);
    for line in ["a-wan\tpeer a behind its NAT symmetric\tto b-wan", "b-wan\tpeer b behind"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}
