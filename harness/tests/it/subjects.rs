//! Subjects other than `punch`, well and ill behaved.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde_json::Value;

use crate::test_dir::{HARNESS, TestDir, now, pause, python, python_command, wait_for};

#[test]
fn a_foreign_puncher_connects_and_its_bytes_are_the_proof() {
    let dir = TestDir::new();
    let article = python_command("article.py", &["{peer}", "4321", "{timeout_s}"]);
    let ran = dir.run(
        &format!(
            r#"
            trials = 2
            [wan]
            delay_ms = 5
            [punch]
            timeout_s = 5
            [peer.b]
            start_s = 0.1
            [subject]
            command = {article}
            [sweep]
            "peer.a.nat" = ["home", "linux-router"]
            "#
        ),
        &[],
    );
    ran.assert_code(0);
    for trial in ran.trials() {
        assert_eq!(trial["verdict"], "success", "{trial}");
        assert_eq!(trial["theory"]["prediction"], "depends", "{trial}");
        assert!(trial["peers"][0]["syns"].as_u64().unwrap() >= 1, "{trial}");
        // The packets show when it was connected; later steps only the subject knows.
        assert!(trial["times"]["connected_ms"].as_f64().unwrap() >= 10.0, "{trial}");
        assert_eq!(trial["times"]["returned_ms"], Value::Null, "{trial}");
    }
}

/// Connects `punch --profile article` with an independent program that was written from the text of
/// the article, each on either side of the lab.
#[test]
fn punch_connects_with_the_article_as_a_program_on_either_side() {
    let dir = TestDir::new();
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/programs");
    let article = programs.join("article.py").canonicalize().unwrap();
    let python = python();
    let clocks = "--wan-ip={self} --clock-offset={clock_offset_s} --timeout={timeout_s} {peer}";
    let command = |articles_side: &str| {
        format!(
            "if [ {{side}} = {articles_side} ]; then exec {python} {} {clocks}; \
             else exec {HARNESS} peer --profile=article --quiet {clocks}; fi",
            article.display()
        )
    };
    let ran = dir.run(
        &format!(
            r#"
            trials = 3
            # No trial with this seed begins at the edge of a window, where peers may differ.
            seed = 1
            [wan]
            delay_ms = 5
            [punch]
            timeout_s = 8
            [peer.b]
            start_s = 0.1
            [sweep]
            "peer.b.nat" = ["home", "home-reject"]
            "subject.command" = [
                ["/bin/sh", "-c", "{}"],
                ["/bin/sh", "-c", "{}"],
            ]
            "#,
            command("a"),
            command("b"),
        ),
        &[],
    );
    ran.assert_code(0);
    let failed: Vec<_> = ran
        .trials()
        .into_iter()
        .filter(|t| t["verdict"] != "success")
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Sends 64 MiB in both directions at once, through two NATs.
#[test]
fn a_large_transfer_arrives_whole_in_both_directions() {
    const LENGTH: usize = 64 << 20;
    const SIDES: [(&str, &str); 2] = [("a", "b"), ("b", "a")];
    let dir = TestDir::new();
    // The line of the harness is sent first and printed after all the rest has arrived.
    let script = dir.write(
        "transfer.sh",
        r#"folder=$1 side=$2; shift 2
        { read -r line; echo "$line"; exec cat "$folder/sent-$side"; } | "$@" |
        { read -r line; cat > "$folder/received-$side"; echo "$line"; }"#,
    );
    for (side, _) in SIDES {
        let make = format!("head -c {LENGTH} /dev/urandom > sent-{side}");
        assert!(
            dir.command("/bin/sh")
                .args(["-c", &make])
                .status()
                .unwrap()
                .success()
        );
    }
    let ran = dir.run(
        &format!(
            r#"
            trials = 1
            [wan]
            delay_ms = 2
            [punch]
            timeout_s = 30
            [subject]
            command = [
                "/bin/sh", "{}", "{}", "{{side}}",
                "{HARNESS}", "peer", "--quiet", "--clock-offset={{clock_offset_s}}", "{{peer}}",
            ]
            "#,
            script.display(),
            script.parent().unwrap().display(),
        ),
        &[],
    );
    ran.assert_code(0);
    assert_eq!(ran.trials()[0]["verdict"], "success", "{ran:?}");
    for (sender, receiver) in SIDES {
        let sent = fs::read(dir.path(&format!("sent-{sender}"))).unwrap();
        let received = fs::read(dir.path(&format!("received-{receiver}"))).unwrap();
        assert_eq!((sent.len(), received.len()), (LENGTH, LENGTH));
        assert!(sent == received, "from {sender} to {receiver}");
    }
}

#[test]
fn each_placeholder_has_the_value_of_its_peer() {
    let dir = TestDir::new();
    let log = dir.path("placeholders");
    let ran = dir.run(
        &format!(
            r#"
            trials = 1
            seed = 1
            [punch]
            timeout_s = 1.5
            [peer.b]
            clock_offset_s = 7.5
            [subject]
            command = [
                "/bin/sh", "-c",
                '''echo "{{side}} {{self}} {{peer}}" \
                    "{{timeout_s}} {{host.extra}} {{clock_offset_s}}" >> {}''',
            ]
            [host.extra]
            command = []
            "#,
            log.display()
        ),
        &[],
    );
    let mut told: Vec<Vec<String>> = fs::read_to_string(log)
        .unwrap()
        .lines()
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect();
    told.sort();
    assert_eq!(told[0][..5], ["a", "198.51.100.1", "203.0.113.1", "1.5", "192.0.2.10"]);
    assert_eq!(told[1][..5], ["b", "203.0.113.1", "198.51.100.1", "1.5", "192.0.2.10"]);
    // The machine's clock plus the offset is the trial's clock, for b 7.5 s ahead.
    let offsets = told
        .iter()
        .map(|words| words[5].parse::<f64>().unwrap())
        .collect::<Vec<_>>();
    assert!((offsets[1] - offsets[0] - 7.5).abs() < 0.001, "{offsets:?}");
    assert_eq!(ran.trials()[0]["verdict"], "failure");
}

/// Kind and evidence of the cause of a failed trial, and the exit of peer a.
fn failure(trial: &Value) -> [&str; 3] {
    assert_eq!(trial["verdict"], "failure", "{trial}");
    [&trial["cause"]["kind"], &trial["cause"]["evidence"], &trial["peers"][0]["exit"]]
        .map(|value| value.as_str().unwrap())
}

#[test]
fn a_subject_that_misbehaves_fails_its_own_trial_and_the_cause_says_how() {
    let dir = TestDir::new();
    let mark = dir.mark();
    let commands: BTreeMap<&str, String> = BTreeMap::from([
        ("crashes", r#"["/bin/sh", "-c", "kill -SEGV $$"]"#.to_owned()),
        ("exits", r#"["/bin/sh", "-c", "echo no idea >&2; exit 3"]"#.to_owned()),
        ("garbles", r#"["/bin/sh", "-c", "echo garbage"]"#.to_owned()),
        ("never-ends", format!(r#"["/bin/sh", "-c", "sleep 1000; : {mark}"]"#)),
        (
            "shouts",
            r#"["/bin/sh", "-c", "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2"]"#
                .to_owned(),
        ),
        (
            "daemonises",
            format!(
                r#"["/bin/sh", "-c", "env -i setsid sh -c 'sleep 1000; : {mark}-daemon' & exit 0"]"#
            ),
        ),
    ]);
    let sweep: Vec<&str> = commands.values().map(String::as_str).collect();
    let scenario = format!(
        r#"
        trials = 1
        [wan]
        delay_ms = 1
        [punch]
        timeout_s = 0.5
        [sweep]
        "subject.command" = [{}]
        "#,
        sweep.join(", ")
    );
    let begun = now();
    let running = dir.start(&scenario, &[]);
    wait_for("two daemons", Duration::from_secs(10), || {
        let processes = dir.processes();
        let daemons = processes
            .iter()
            .filter(|process| process.was_told("-daemon"));
        (daemons.count() == 2).then_some(())
    });
    let ran = running.wait();
    ran.assert_code(0);
    assert!(begun.elapsed() < Duration::from_secs(15), "trials end at their limit: {ran:?}");
    for (name, trial) in commands.keys().zip(&ran.trials()) {
        let [kind, evidence, exit] = failure(trial);
        let expected = match *name {
            "crashes" => ["peer-crashed", "signal 11", "signal 11"],
            "exits" => ["no-syn", "no idea", "exit 3"],
            "garbles" | "shouts" => ["bytes-differ", "what came out of peer a", "exit 0"],
            "never-ends" => ["no-syn", "killed by the harness", "killed by the harness"],
            "daemonises" => ["no-syn", "no SYN of peer a", "exit 0"],
            other => panic!("{other}"),
        };
        assert_eq!([kind, exit], [expected[0], expected[2]], "{name}: {trial}");
        assert!(evidence.contains(expected[1]), "{name}: {trial}");
    }
}

/// A process that is left would go on punching and hold its lab during the following trials.
#[test]
fn processes_of_a_peer_end_with_its_trial() {
    let dir = TestDir::new();
    let scenario = r#"
        trials = 4
        [wan]
        delay_ms = 1
        [subject]
        command = ["/bin/sh", "-c", "/bin/sleep 1000 & sleep 0.2"]
        "#;
    let mut running = dir.start(scenario, &["--jobs", "1"]);
    let mut max_sleeping = 0;
    while !running.has_ended() {
        let processes = dir.processes();
        let sleeping = processes
            .iter()
            .filter(|process| process.runs("/bin/sleep"));
        max_sleeping = max_sleeping.max(sleeping.count());
        pause(Duration::from_millis(10));
    }
    running.wait();
    assert!((1..=2).contains(&max_sleeping), "one for each of two peers, not {max_sleeping}");
}

#[test]
fn a_subject_that_does_not_exist_is_named_before_any_trial_runs() {
    let dir = TestDir::new();
    let plain = dir.write("plain-file", "not a program");
    for program in ["no-such-puncher", "/nowhere/puncher", "./puncher", plain.to_str().unwrap()] {
        let scenario = format!("trials = 50\n[subject]\ncommand = [\"{program}\", \"{{peer}}\"]\n");
        let ran = dir.start(&scenario, &[]).wait();
        ran.assert_code(5);
        assert!(ran.stderr.contains(program), "{}", ran.stderr);
        assert!(ran.stderr.lines().count() <= 5, "one message: {}", ran.stderr);
        assert!(!ran.out.exists(), "no run has started");
    }
}

#[test]
fn a_public_host_whose_program_does_not_exist_is_named_too() {
    let dir = TestDir::new();
    let scenario = "trials = 1\n[host.stun]\ncommand = [\"no-such-server\"]\n";
    let ran = dir.start(scenario, &[]).wait();
    ran.assert_code(5);
    assert!(ran.stderr.contains("no-such-server"), "{}", ran.stderr);
}
