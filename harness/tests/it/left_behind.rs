//! Interrupted and killed runs: the exit code, the partial results, and nothing left behind.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::{
    processes::{Footprint, zombies_of},
    test_dir::{
        FinishedRun, HARNESS, REMOVAL, RunningHarness, TestDir, interfaces, pause, wait_for,
    },
};

/// Three trials that end at once, and three in which peer a waits 50 s for peer b.
const LONG: &str = r#"
trials = 3
seed = 1

[wan]
delay_ms = 5

[punch]
timeout_s = 60

[sweep]
"peer.b.start_s" = [0, 50]
"#;

/// Events of [`LONG`] when only the long trials are left.
const ONLY_LONG: usize = 4;

/// Time limit for an interrupted harness to clean up.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// State of the machine before a run, and what the run occupied.
struct Before {
    interfaces: Vec<String>,
    footprint: Footprint,
}

/// Starts [`LONG`] and waits until only the long trials are left.
fn halfway(dir: &TestDir) -> (RunningHarness<'_>, Before) {
    let interfaces = interfaces().unwrap();
    let mut running = dir.start(LONG, &[]);
    running.wait_for_lines(ONLY_LONG);
    let footprint = Footprint::of(&dir.processes());
    assert!(footprint.network.len() >= 12, "three labs of four: {footprint:?}");
    assert!(!footprint.remains().is_empty(), "nothing remains of a run that is going on");
    (running, Before { interfaces, footprint })
}

fn assert_nothing_left(dir: &TestDir, before: &Before) {
    dir.assert_nothing_left();
    assert_eq!(before.footprint.remains(), Vec::<String>::new());
    assert_eq!(interfaces().unwrap(), before.interfaces);
}

fn assert_interrupted(ran: &FinishedRun, code: i32) {
    ran.assert_code(code);
    let events = ran.events();
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["interrupted"]), (&"run-finished".into(), &true.into()));
    assert_eq!(ran.trials().len(), 3, "the finished trials");
    assert_eq!(ran.summary()["state"], "interrupted");
    assert!(ran.stdout.contains("3 trials, interrupted after"), "{}", ran.stdout);
    assert!(ran.stderr.contains("interrupted: cleaning up"), "{}", ran.stderr);
}

#[test]
fn an_interrupted_run_keeps_what_it_has_and_ends_with_130() {
    let dir = TestDir::new();
    let (running, before) = halfway(&dir);
    running.signal(Signal::SIGINT);
    let ran = running.wait_at_most(CLEAN_UP);
    assert_interrupted(&ran, 130);
    assert_nothing_left(&dir, &before);

    let report = dir.harness(&["report", "--json", ran.out.to_str().unwrap()]);
    let summary: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(summary, ran.summary());
}

#[test]
fn a_terminated_run_keeps_what_it_has_and_ends_with_143() {
    let dir = TestDir::new();
    let (running, before) = halfway(&dir);
    running.signal(Signal::SIGTERM);
    let ran = running.wait_at_most(CLEAN_UP);
    assert_interrupted(&ran, 143);
    assert_nothing_left(&dir, &before);
}

/// A terminal signals the whole process group, as `timeout` does. The harness and its guardian both
/// receive the signal, which counts once.
#[test]
fn an_interrupt_of_the_whole_process_group_counts_once() {
    let dir = TestDir::new();
    let (running, before) = halfway(&dir);
    running.signal_group(Signal::SIGINT);
    let ran = running.wait_at_most(CLEAN_UP);
    assert_interrupted(&ran, 130);
    assert_nothing_left(&dir, &before);
}

/// Clean-up waits for labs that are being built; here, the rules of one are never applied.
#[test]
fn a_second_interrupt_leaves_at_once() {
    let dir = TestDir::new();
    let stuck = dir.path("stuck");
    fs::create_dir(dir.path("bin")).unwrap();
    let text = format!(
        "#!/bin/sh
         [ ! -e {} ] || exec sleep 1000
         PATH=/usr/sbin:/sbin:/usr/local/sbin:$PATH
         exec iptables-restore \"$@\"",
        stuck.display()
    );
    let program = dir.write("bin/iptables-restore", &text);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();

    dir.write("many.toml", "trials = 1000\n[wan]\ndelay_ms = 1\n");
    let mut command = dir.command(HARNESS);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", dir.path("bin").display()));
    command.args(["many.toml", "--jobs", "1", "--out", "out"]);
    let mut running = dir.spawn(command, dir.path("out"));
    running.wait_for_lines(2);
    fs::write(stuck, "").unwrap();
    let waiting = || {
        dir.processes()
            .iter()
            .any(|process| process.runs("sleep"))
            .then_some(())
    };
    wait_for("rules that are not applied", Duration::from_secs(10), waiting);

    running.signal(Signal::SIGINT);
    // The harness takes two signals within a shorter time as one.
    pause(Duration::from_millis(500));
    assert!(!running.has_ended(), "ended without cleaning up");
    running.signal(Signal::SIGINT);
    running
        .wait_at_most(Duration::from_secs(2))
        .assert_code(130);
}

/// No interrupt is lost, from the first moment on.
#[test]
fn an_interrupt_during_the_start_ends_the_run() {
    let dir = TestDir::new();
    for delay_ms in [0, 2, 5, 10, 20, 40, 80, 160] {
        let running = dir.start(LONG, &[]);
        pause(Duration::from_millis(delay_ms));
        running.signal(Signal::SIGINT);
        let ran = running.wait_at_most(CLEAN_UP);
        ran.assert_code(130);
    }
}

/// Checks that the log of a killed run, which lacks its last event, can be reported.
fn assert_readable(dir: &TestDir, ran: &FinishedRun) {
    let report = dir.harness(&["report", "--json", ran.out.to_str().unwrap()]);
    let summary: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(summary["state"], "unfinished");
    assert_eq!(summary["scenarios"][0]["cells"][0]["trials"], 3);
}

#[test]
fn nothing_survives_a_killed_guardian() {
    let dir = TestDir::new();
    let (running, before) = halfway(&dir);
    kill(running.guardian(), Signal::SIGKILL).unwrap();
    let ran = running.reap(Duration::from_secs(1));
    ran.assert_code(137);
    let all_gone = || dir.processes().is_empty().then_some(());
    wait_for("all processes to go", REMOVAL, all_gone);
    assert_nothing_left(&dir, &before);
    assert_readable(&dir, &ran);
}

#[test]
fn nothing_survives_a_killed_harness() {
    let dir = TestDir::new();
    let (running, before) = halfway(&dir);
    kill(running.inner(), Signal::SIGKILL).unwrap();
    let ran = running.wait_at_most(REMOVAL);
    ran.assert_code(137);
    assert_nothing_left(&dir, &before);
    assert_readable(&dir, &ran);
}

#[test]
fn nothing_survives_a_killed_init() {
    let dir = TestDir::new();
    let (running, before) = halfway(&dir);
    kill(running.init(), Signal::SIGKILL).unwrap();
    let ran = running.wait_at_most(REMOVAL);
    ran.assert_code(137);
    assert_nothing_left(&dir, &before);
    assert_readable(&dir, &ran);
}

/// Leaves processes behind in every way: children whose parent has ended, one in a session of its
/// own, and some that end at once.
const ORPHANS: &str = r#"
trials = 8
seed = 1

[wan]
delay_ms = 2

[punch]
timeout_s = 1

[host.server]
command = ["/bin/sh", "-c", "setsid sleep 1000 & exec sleep 1000"]

[subject]
command = ["/bin/sh", "-c", """
for i in 1 2 3 4 5; do (sleep 0.02 &); done
setsid sh -c 'sleep 1000 &'
nohup setsid sleep 1000 > /dev/null 2>&1 &
kill -TERM 1
exit 0"""]
"#;

/// Processes that each trial of [`ORPHANS`] leaves: two of each peer, two of the host.
const LEFT_BY_A_TRIAL: usize = 6;

#[test]
fn nothing_that_a_trial_leaves_behind_outlives_it_and_no_zombies_gather() {
    let dir = TestDir::new();
    let mut running = dir.start(ORPHANS, &["--jobs", "1", "--no-verify"]);
    let (mut most_survivors, mut most_zombies) = (0, 0);
    while !running.has_ended() {
        let processes = dir.processes();
        let survivors = processes
            .iter()
            .filter(|process| process.was_told("sleep 1000"))
            .count();
        most_survivors = most_survivors.max(survivors);
        most_zombies = most_zombies.max(zombies_of(&processes));
        pause(Duration::from_millis(5));
    }
    let ran = running.wait();
    // The subjects end without a SYN, and none of them ends the run.
    ran.assert_code(0);
    assert_eq!(ran.trials().len(), 8);
    for trial in ran.trials() {
        assert_eq!(trial["cause"]["kind"], "no-syn", "{trial}");
    }
    assert!((1..=LEFT_BY_A_TRIAL).contains(&most_survivors), "{most_survivors} at once");
    // Each trial leaves ten that end at once; for a moment a process is a zombie anyway.
    assert!(most_zombies < 20, "{most_zombies} zombies at once");
}

/// Process 1 of the run reaps what its own children leave, such as the programs that load rules.
#[test]
fn what_the_harness_itself_inherits_is_reaped() {
    let dir = TestDir::new();
    fs::create_dir(dir.path("bin")).unwrap();
    let text = "#!/bin/sh
         (for i in 1 2 3 4 5; do (sleep 0.02 &); done) > /dev/null 2>&1
         PATH=/usr/sbin:/sbin:/usr/local/sbin:$PATH
         exec iptables-restore \"$@\"";
    let program = dir.write("bin/iptables-restore", text);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    dir.write("many.toml", "trials = 10\n[wan]\ndelay_ms = 1\n");
    let mut command = dir.command(HARNESS);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", dir.path("bin").display()));
    command.args(["many.toml", "--jobs", "1", "--no-verify", "--out", "out"]);
    let mut running = dir.spawn(command, dir.path("out"));
    let mut most = 0;
    while !running.has_ended() {
        most = most.max(zombies_of(&dir.processes()));
        pause(Duration::from_millis(5));
    }
    running.wait().assert_code(0);
    assert!(most < 25, "{most} zombies at once, of 100");
}
