//! A machine that stands still while trials run.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::bench::{Bench, pause, wait_for};

/// Between the first SYNs of one peer and the start of the other nothing is due.
const WAITING: &str = "trials = 4\nseed = 1\n[wan]\ndelay_ms = 5\n[peer.b]\nstart_s = 3\n";

#[test]
fn trials_during_which_everything_stood_still_are_disturbed() {
    let bench = Bench::new();
    let running = bench.start(WAITING, &[]);
    let (guardian, inner) = (running.guardian(), running.inner());
    wait_for("the peers that start first", Duration::from_secs(10), || {
        let processes = bench.processes();
        let peers = processes.iter().filter(|process| process.parent() == Some(inner));
        (peers.count() == 4).then_some(())
    });
    pause(Duration::from_millis(500));
    let mut stopped = bench.processes();
    stopped.retain(|process| process.id() != guardian);
    for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
        for process in &stopped {
            kill(process.id(), signal).unwrap();
        }
        pause(Duration::from_millis(1200));
    }
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
