//! Delay and loss of the WAN.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::{
    capture::{self, CapturedKind, CapturedPacket},
    test_dir::{FinishedRun, TestDir, python_command},
};

const DATAGRAMS: usize = 200;

const SINK: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// Scenario in which both peers send only numbered datagrams to a third host, evenly.
fn datagrams(delay_ms: f64, loss: f64) -> String {
    many_datagrams(delay_ms, loss, DATAGRAMS, 0.001)
}

/// Like [`datagrams`], with `count` datagrams, one each `pause_s`.
fn many_datagrams(delay_ms: f64, loss: f64, count: usize, pause_s: f64) -> String {
    let arguments = ["{host.sink}", &count.to_string(), &pause_s.to_string()];
    let command = python_command("datagrams.py", &arguments);
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
        command = {command}
        [host.sink]
        command = []
        "#
    )
}

fn capture_of(ran: &FinishedRun, trial: usize) -> Vec<CapturedPacket> {
    capture::read(&ran.out.join(format!("captures/datagrams-0-{trial}.pcapng")))
}

#[test]
fn packets_arrive_within_a_millisecond_after_the_delay() {
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
fn a_burst_of_packets_loses_none() {
    const BURST: usize = 2000;
    let dir = TestDir::new();
    let ran = dir.run(&many_datagrams(1.0, 0.0, BURST, 0.0), &["--capture", "--jobs", "1"]);
    for trial in [0, 1] {
        let packets = capture_of(&ran, trial);
        let sent = packets
            .iter()
            .filter(|packet| !packet.inbound && matches!(packet.kind, CapturedKind::Udp { .. }));
        assert_eq!(sent.count(), 2 * BURST);
    }
}

/// Time by which a datagram arrived after its delay; `None` for other packets.
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
    assert!(took >= delay, "{took:?} is too early");
    Some(took - delay)
}

/// For each datagram that a side sent, whether it was lost.
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
