//! The WAN is as late as it is told to be, and loses what the seed says.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::{
    capture::{self, CapturedKind, CapturedPacket},
    test_dir::{FinishedRun, TestDir, program, python},
};

const DATAGRAMS: usize = 200;

const SINK: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// Both peers send numbered datagrams to a third host, evenly, and nothing else.
fn datagrams(delay_ms: f64, loss: f64) -> String {
    many_datagrams(delay_ms, loss, DATAGRAMS, 0.001)
}

/// The same with that many of them, and so many seconds from one to the next.
fn many_datagrams(delay_ms: f64, loss: f64, count: usize, pause_s: f64) -> String {
    let [python, datagrams] = [python(), program("datagrams.py")];
    format!(
        r#"
        name = "datagrams"
        trials = 2
        seed = 1
        [wan]
        delay_ms = {delay_ms}
        loss = {loss}
        [peer.a]
        nat = "none"
        [peer.b]
        nat = "none"
        [subject]
        command = ["{python}", "{datagrams}", "{{host.sink}}", "{count}", "{pause_s}"]
        [host.sink]
        command = []
        "#
    )
}

fn capture_of(ran: &FinishedRun, trial: usize) -> Vec<CapturedPacket> {
    capture::read(&ran.out.join(format!("captures/datagrams-0-{trial}.pcapng")))
}

#[test]
fn a_packet_arrives_after_the_delay_and_never_before_it() {
    const DELAY: Duration = Duration::from_micros(12_300);
    let dir = TestDir::new();
    let ran = dir.run(&datagrams(12.3, 0.0), &["--capture", "--jobs", "1"]);
    let seen = capture_of(&ran, 0);
    let mut late: Vec<Duration> = seen
        .iter()
        .filter_map(|sent| lateness(sent, &seen, DELAY))
        .collect();
    assert!(late.len() >= DATAGRAMS, "{} of {}", late.len(), seen.len());
    late.sort();
    let p50 = late[late.len() / 2];
    assert!(p50 < Duration::from_millis(1), "median {p50:?}, worst {:?}", late.last());
}

#[test]
fn a_burst_of_packets_is_carried_whole() {
    const BURST: usize = 2000;
    let dir = TestDir::new();
    let ran = dir.run(&many_datagrams(1.0, 0.0, BURST, 0.0), &["--capture", "--jobs", "1"]);
    for trial in [0, 1] {
        let sent = capture_of(&ran, trial);
        let sent = sent
            .iter()
            .filter(|it| !it.inbound && matches!(it.kind, CapturedKind::Udp { .. }));
        assert_eq!(sent.count(), 2 * BURST);
    }
}

/// How long after its time a datagram arrived; nothing for other packets.
fn lateness(sent: &CapturedPacket, all: &[CapturedPacket], delay: Duration) -> Option<Duration> {
    let CapturedKind::Udp { payload } = &sent.kind else { return None };
    if sent.inbound {
        return None;
    }
    assert!(sent.comment.starts_with("to host-sink after "), "{}", sent.comment);
    assert_eq!(sent.destination, SINK);
    let same = |seen: &&CapturedPacket| seen.kind == sent.kind && seen.source == sent.source;
    let arrived = all
        .iter()
        .find(|seen| seen.inbound && seen.interface == "host-sink" && same(seen))
        .unwrap_or_else(|| panic!("nothing is lost: {:?}", String::from_utf8_lossy(payload)));
    let took = arrived.at - sent.at;
    Some(
        took.checked_sub(delay)
            .unwrap_or_else(|| panic!("{took:?} is too early")),
    )
}

/// Which datagrams of a side were lost.
fn lost(seen: &[CapturedPacket], interface: &str) -> Vec<bool> {
    let sent = |seen: &&CapturedPacket| {
        !seen.inbound
            && seen.interface == interface
            && matches!(seen.kind, CapturedKind::Udp { .. })
    };
    let lost: Vec<bool> = seen
        .iter()
        .filter(sent)
        .map(|seen| seen.comment == "lost")
        .collect();
    assert_eq!(lost.len(), DATAGRAMS);
    lost
}

#[test]
fn which_packets_are_lost_follows_from_the_seed() {
    let dir = TestDir::new();
    let runs = [1, 2].map(|_| dir.run(&datagrams(1.0, 0.3), &["--capture"]));
    let all = runs.each_ref().map(|ran| {
        [0, 1].map(|trial| {
            let seen = capture_of(ran, trial);
            ["a-wan", "b-wan"].map(|interface| lost(&seen, interface))
        })
    });
    assert_eq!(all[0], all[1], "the same seed loses the same packets");
    let patterns = all[0].as_flattened();
    for (number, pattern) in patterns.iter().enumerate() {
        assert!(!patterns[..number].contains(pattern), "each side and trial has its own");
        let count = pattern.iter().filter(|lost| **lost).count();
        assert!((35..=85).contains(&count), "{count} of 200 at 0.3: over four deviations off");
    }
}
