//! Answers of NATs to unsolicited SYNs, from the packets on the WAN; public peers; captures.

use std::{net::IpAddr, time::Duration};

use crate::{
    capture::{self, CapturedKind, CapturedPacket},
    test_dir::TestDir,
};

/// Values of the sweep, the first key of the scenario.
const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

const ANSWERS: [&str; 4] = ["drop", "reset", "icmp-port", "icmp-admin"];

/// A SYN that arrives within this time before a limit may be answered after it.
const MOMENT: Duration = Duration::from_millis(20);

fn one_side_late(late: &str) -> String {
    format!(
        r#"
        name = "late-{late}"
        trials = 1
        seed = 1
        [wan]
        delay_ms = 10
        [punch]
        timeout_s = 5
        [peer.{late}]
        start_s = 2
        [sweep]
        "wan.family" = {FAMILIES:?}
        "peer.{late}.nat.unsolicited" = {ANSWERS:?}
        # No limit: every SYN is answered and can be checked.
        "peer.{late}.nat.icmp_limit" = [false]
        "#
    )
}

/// One peer starts two seconds late: until then, all SYNs of the other are unsolicited.
#[test]
fn an_unsolicited_syn_gets_the_answer_that_the_scenario_names() {
    let dir = TestDir::new();
    let out = dir.path("out");
    let files =
        ["a", "b"].map(|late| dir.write(&format!("late-{late}.toml"), &one_side_late(late)));
    let mut arguments: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    arguments.extend(["--capture", "--out", out.to_str().unwrap()]);
    let ran = dir.start_harness(&arguments, out.clone()).wait();
    ran.assert_code(0);
    for (late, side) in ["a", "b"].iter().enumerate() {
        for cell in 0..FAMILIES.len() * ANSWERS.len() {
            let capture = out.join(format!("captures/late-{side}-{cell}-0.pcapng"));
            println!("{}", capture.display());
            assert_answers(&capture::read(&capture), late, ANSWERS[cell % ANSWERS.len()]);
        }
    }
}

fn assert_answers(packets: &[CapturedPacket], late: usize, answer: &str) {
    let interface = ["a-wan", "b-wan"][late];
    let own_start = packets
        .iter()
        .find(|seen| !seen.inbound && seen.interface == interface && is_syn(seen))
        .unwrap_or_else(|| panic!("the late peer has sent SYNs: {packets:#?}"))
        .at;
    let before = |limit: Duration| {
        let at_the_nat =
            move |seen: &&CapturedPacket| seen.interface == interface && seen.at < limit;
        packets.iter().filter(at_the_nat)
    };
    let unsolicited: Vec<&CapturedPacket> = before(own_start).filter(|seen| seen.inbound).collect();
    assert!(unsolicited.len() >= 16, "16 ports, and repeats: {unsolicited:#?}");
    assert!(unsolicited.iter().all(|seen| is_syn(seen)), "only SYNs come: {unsolicited:#?}");
    let source: IpAddr = unsolicited[0].source;
    // With IPv6, the kernel also sends to multicast groups, which the WAN does not route.
    let routed = |seen: &&CapturedPacket| !seen.inbound && seen.comment != "no route";
    let answers: Vec<&CapturedPacket> = before(own_start).filter(routed).collect();
    for seen in &answers {
        assert_eq!(seen.destination, source, "{seen:?}");
        if source.is_ipv4() {
            assert_eq!(seen.source, unsolicited[0].destination, "the NAT itself: {seen:?}");
        }
        let right = match answer {
            "drop" => false,
            "reset" => matches!(seen.kind, CapturedKind::Reset { .. }),
            "icmp-port" => seen.kind == CapturedKind::PortUnreachable,
            "icmp-admin" => seen.kind == CapturedKind::AdminProhibited,
            other => panic!("{other}"),
        };
        assert!(right, "{answer}: {seen:?}");
    }
    if answer != "drop" {
        let due = before(own_start - MOMENT)
            .filter(|packet| packet.inbound)
            .count();
        assert!(answers.len() >= due, "{answer}: {} for {due} SYNs", answers.len());
        assert!(answers.len() <= unsolicited.len(), "{answer}: each SYN is answered once");
    }
}

fn is_syn(seen: &CapturedPacket) -> bool {
    matches!(seen.kind, CapturedKind::Syn { .. })
}

#[test]
fn a_public_peer_connects_with_any_other() {
    let dir = TestDir::new();
    let ran = dir.run(
        r#"
        trials = 2
        seed = 1
        [wan]
        delay_ms = 5
        [punch]
        timeout_s = 4
        [peer.b]
        start_s = 0.2
        [sweep]
        "peer.a.nat" = ["none", "home-reject"]
        "peer.b.nat" = ["none", "home"]
        "punch.listen" = [true, false]
        "#,
        &["--capture"],
    );
    ran.assert_code(0);
    for trial in ran.trials() {
        assert_eq!(trial["verdict"], "success", "{trial}");
    }
    // With both peers public, b's own kernel refuses SYNs until b starts.
    let packets = capture::read(&ran.out.join("captures/scenario-0-0-0.pcapng"));
    let refused = |packet: &CapturedPacket| {
        !packet.inbound
            && packet.interface == "b-wan"
            && matches!(packet.kind, CapturedKind::Reset { .. })
    };
    assert!(packets.iter().any(refused), "{packets:#?}");
}

#[test]
fn with_capture_failed_only_failures_are_captured() {
    let dir = TestDir::new();
    let ran = dir.run(
        r#"
        trials = 1
        seed = 1
        [wan]
        delay_ms = 1
        [punch]
        timeout_s = 0.5
        [sweep]
        "wan.loss" = [0, 1]
        "#,
        &["--capture=failed"],
    );
    ran.assert_code(0);
    let captures = std::fs::read_dir(ran.out.join("captures")).unwrap();
    let mut names: Vec<_> = captures.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["scenario-0-1-0.ladder.txt", "scenario-0-1-0.pcapng"]);
    let seen = capture::read(&ran.out.join("captures/scenario-0-1-0.pcapng"));
    assert!(
        seen.iter()
            .all(|seen| is_syn(seen) && seen.comment == "lost"),
        "{seen:#?}"
    );
}
