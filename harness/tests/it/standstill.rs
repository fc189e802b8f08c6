//! Stalls: a machine that stands still while trials run.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    processes::Process,
    test_dir::{TestDir, pause, wait_for},
};

/// Stops processes for a time.
fn stop(processes: &[Pid], time: Duration) {
    for (signal, then_wait) in [(Signal::SIGSTOP, time), (Signal::SIGCONT, Duration::ZERO)] {
        for process in processes {
            kill(*process, signal).unwrap();
        }
        pause(then_wait);
    }
}

/// Scenario in which nothing is due between the first SYNs of peer a and the start of peer b.
const WAITING: &str = "trials = 4\nseed = 1\n[wan]\ndelay_ms = 5\n[peer.b]\nstart_s = 3\n";

#[test]
fn trials_during_a_stall_are_disturbed() {
    let dir = TestDir::new();
    let running = dir.start(WAITING, &[]);
    let (guardian, inner) = (running.guardian(), running.inner());
    wait_for("the peers that start first", Duration::from_secs(10), || {
        let processes = dir.processes();
        let peers = processes
            .iter()
            .filter(|process| process.parent() == Some(inner) && !process.was_told("lab-init"));
        (peers.count() == 4).then_some(())
    });
    pause(Duration::from_millis(500));
    let mut stopped: Vec<Pid> = dir.processes().iter().map(Process::id).collect();
    stopped.retain(|process| *process != guardian);
    stop(&stopped, Duration::from_millis(1200));
    let ran = running.wait();
    ran.assert_code(0);
    assert_eq!(ran.trials().len(), 4);
    for trial in ran.trials() {
        assert_eq!(trial["verdict"], "success", "{trial}");
        let disturbed = trial["disturbed"].as_str().unwrap_or_default();
        assert!(disturbed.contains("the bench stood still"), "{trial}");
        assert!(trial["bench"]["stall_ms"].as_f64().unwrap() >= 1000.0, "{trial}");
    }
}

/// The stall exceeds the time-out of an established connection, so that the NAT seems to forget it
/// too early.
#[test]
fn a_nat_that_seemed_to_differ_during_a_stall_is_verified_again() {
    let dir = TestDir::new();
    let running = dir.start_harness(&["nats", "verify", "short-timeouts"], dir.path("none"));
    let inner = running.inner();
    pause(Duration::from_secs(1));
    stop(&[inner], Duration::from_millis(2600));
    let ran = running.wait();
    ran.assert_code(0);
    assert!(ran.stdout.contains("time-out when established"), "{}", ran.stdout);
}
