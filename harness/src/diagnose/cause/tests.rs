//! Causes of invented trials.

use std::{net::Ipv4Addr, time::Duration};

use etherparse::PacketBuilder;
use punch::EventKind;

use super::*;
use crate::{
    diagnose::{
        times::syns,
        traffic_builder::{A, DELAY, Flags, TrafficBuilder, at},
    },
    named::Named,
    peers::{Pair, Side},
    wan::Fate,
};

fn cause(trial: &TrafficBuilder) -> String {
    let syns = Pair::from_fn(|side| syns(&trial.traffic, side));
    let peers = Pair::from_fn(|side| Evidence {
        exit: trial.exits[side],
        crashed: trial.exits[side].starts_with("signal"),
        failed: true,
        ran: [at(0), at(trial.ends_ms[side])],
        complaint: "",
        events: &trial.events[side],
        received: false,
        garbled: false,
        syns: &syns[side],
    });
    let case = Case {
        peers,
        locations: trial.locations,
        traffic: &trial.traffic,
        begin: at(0),
        delay: DELAY,
        timeout: Duration::from_secs(10),
    };
    let cause = find(&case);
    format!("{}: {}", cause.kind, cause.evidence)
}

#[test]
fn a_rst_to_the_later_syn_is_reported_with_the_times() {
    let mut trial = TrafficBuilder::new();
    let ports = [7; 2];
    trial
        .syn(100, Side::A, ports)
        .tcp(150, Side::B, ports, Flags::Rst, 64, b"")
        .syn(162, Side::B, ports)
        .tcp(212, Side::A, ports, Flags::Rst, 64, b"");
    insta::assert_snapshot!(cause(&trial), @"syn-answered-rst: b's first SYN on port 7 left 62 ms after a's; one-way delay 50 ms; NAT b answered RST to a's SYN, NAT a answered RST to b's SYN");
}

#[test]
fn a_rst_of_a_host_is_not_taken_for_one_of_its_nat() {
    let mut trial = TrafficBuilder::new();
    let ports = [7; 2];
    trial.syn(100, Side::A, ports).syn(120, Side::B, ports).tcp(
        170,
        Side::A,
        ports,
        Flags::Rst,
        63,
        b"",
    );
    insta::assert_snapshot!(cause(&trial), @"syn-answered-rst: b's first SYN on port 7 left 20 ms after a's; one-way delay 50 ms; host a answered RST to b's SYN");
}

#[test]
fn an_untranslated_refusal_is_reported_as_untranslated() {
    let mut trial = TrafficBuilder::new();
    let ports = [7; 2];
    trial.syn(100, Side::A, ports).syn(120, Side::B, ports);
    trial.tcp(170, Side::A, ports, Flags::Rst, 63, b"");
    let source = &mut trial.traffic.packets.last_mut().unwrap().bytes[12..16];
    source.copy_from_slice(&[100, 64, 1, 2]);
    insta::assert_snapshot!(cause(&trial), @"syn-answered-rst: b's first SYN on port 7 left 20 ms after a's; one-way delay 50 ms; host a answered RST to b's SYN (which left NAT a untranslated)");
}

#[test]
fn untranslated_packets_of_a_connection_are_its_cause() {
    let mut trial = TrafficBuilder::new();
    trial.connected(100, 7);
    for ms in [300, 400, 500] {
        trial.tcp(ms, Side::A, [7; 2], Flags::Ack, 63, b"hello");
        let source = &mut trial.traffic.packets.last_mut().unwrap().bytes[12..16];
        source.copy_from_slice(&[100, 64, 1, 2]);
    }
    insta::assert_snapshot!(cause(&trial), @"not-translated: on port 7 NAT a let 3 of a's 5 packets out untranslated, the first (ACK) 200 ms after the first packet of all: b cannot know whose they are");
    // Another connection was well, so that this one explains nothing.
    trial.connected(100, 8);
    assert!(cause(&trial).starts_with("bytes-missing: "), "{}", cause(&trial));
}

#[test]
fn every_cause_is_described() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    for (name, _) in CauseKind::NAMES {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn an_icmp_error_is_matched_with_the_segment_that_it_quotes() {
    let mut trial = TrafficBuilder::new();
    trial
        .syn(100, Side::A, [7; 2])
        .syn(110, Side::B, [7; 2])
        .icmp(150, Side::B, 7)
        .icmp(160, Side::A, 7);
    insta::assert_snapshot!(cause(&trial), @"syn-answered-icmp: b's first SYN on port 7 left 10 ms after a's; one-way delay 50 ms; NAT b answered ICMP port unreachable to a's SYN, NAT a answered ICMP port unreachable to b's SYN");
}

#[test]
fn a_rst_of_another_connection_refuses_nothing() {
    let mut trial = TrafficBuilder::new();
    trial
        .syn(100, Side::A, [7; 2])
        .syn(200, Side::B, [7; 2])
        .tcp(260, Side::A, [7; 2], Flags::Rst, 64, b"");
    // It acknowledges what b never sent.
    let rst = trial.traffic.packets.last_mut().unwrap();
    rst.bytes[20 + 8] ^= 0xFF;
    insta::assert_snapshot!(cause(&trial), @"syn-unanswered: b's first SYN on port 7 left 100 ms after a's; one-way delay 50 ms; of the SYNs that could have passed, 0 of a and 1 of b arrived on port 7, and nothing answered them");
}

#[test]
fn only_syns_that_could_have_passed_are_counted_as_lost() {
    let mut trial = TrafficBuilder::new();
    // The first one arrives before b has sent anything: that it was not lost means nothing.
    trial.syn(100, Side::A, [7; 2]);
    trial
        .syn(200, Side::B, [7; 2])
        .lost()
        .syn(1100, Side::A, [7; 2])
        .lost();
    insta::assert_snapshot!(cause(&trial), @"syn-lost: the 1 SYN of a and 1 of b that could have passed were all lost; in all, the WAN lost 1 of 2 SYNs of a and 1 of 1 SYN of b");
}

#[test]
fn a_syn_after_the_time_out_finds_an_expired_mapping() {
    let mut trial = TrafficBuilder::new();
    trial.locations[Side::A].forgets_after = Some(Duration::from_secs(1));
    trial.syn(100, Side::A, [7; 2]).syn(2000, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&trial), @"mapping-expired: NAT a forgets a SYN after 1000 ms; on port 7 b's SYN came 1950 ms after a's last one");
    // In time, it is something else.
    trial.locations[Side::A].forgets_after = Some(Duration::from_secs(3));
    assert!(cause(&trial).starts_with("syn-unanswered: "), "{}", cause(&trial));
}

#[test]
fn a_nat_that_drops_all_syns_is_the_cause_if_no_other_syn_arrived() {
    let mut trial = TrafficBuilder::new();
    trial.locations[Side::A].drops_syns = true;
    trial.syn(100, Side::A, [7; 2]).syn(200, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&trial), @"nat-drops-syns: NAT a drops every SYN from outside: 1 SYN of b that could have passed");
    // This one could have passed at b, whose NAT is well.
    trial.syn(1100, Side::A, [7; 2]);
    assert!(cause(&trial).starts_with("syn-unanswered: "), "{}", cause(&trial));
}

#[test]
fn equal_targets_and_other_sources_are_a_remap() {
    let mut trial = TrafficBuilder::new();
    trial
        .syn(100, Side::A, [50_001, 7])
        .syn(100, Side::A, [50_002, 8]);
    trial.syn(110, Side::B, [7; 2]).syn(110, Side::B, [8; 2]);
    insta::assert_snapshot!(cause(&trial), @"port-remapped: NAT a sent a's SYN from port 50001, b expected 7 (and 1 more alike)");
}

#[test]
fn with_different_targets_a_remap_is_seen_at_the_end_that_agrees() {
    let mut trial = TrafficBuilder::new();
    trial
        .syn(100, Side::A, [50_001, 7])
        .syn(110, Side::B, [7, 9]);
    insta::assert_snapshot!(cause(&trial), @"port-remapped: NAT a sent a's SYN from port 50001, b expected 9");
}

#[test]
fn flows_with_nothing_in_common_are_not_a_remap() {
    let mut trial = TrafficBuilder::new();
    trial.syn(100, Side::A, [7; 2]).syn(110, Side::B, [8; 2]);
    insta::assert_snapshot!(cause(&trial), @"no-common-port: a sent SYNs to port 7 of b, b to port 8 of a: none in common");
}

#[test]
fn a_bucket_used_at_different_times_is_not_common() {
    let mut trial = TrafficBuilder::new();
    let started = |wall_ns| EventKind::Started { peer: String::new(), rule: None, wall_ns };
    trial
        .event(0, Side::A, started(0))
        .event(0, Side::B, started(-42_500_000_000));
    trial
        .ports(0, Side::A, 41, &[7])
        .ports(500, Side::A, 42, &[8]);
    trial
        .ports(0, Side::B, 40, &[6])
        .ports(600, Side::B, 41, &[7]);
    trial.syn(10, Side::A, [7; 2]).syn(600, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&trial), @"buckets-disjoint: a used buckets 41, 42, b buckets 40, 41: no port in common at any time; a's clock was 42.500 s ahead of b's");
}

#[test]
fn staggered_starts_alone_can_make_buckets_disjoint() {
    let mut trial = TrafficBuilder::new();
    let started = |wall_ns| EventKind::Started { peer: String::new(), rule: None, wall_ns };
    trial
        .event(0, Side::A, started(5_000_000_000))
        .ports(0, Side::A, 41, &[7]);
    trial
        .event(9900, Side::B, started(14_900_000_000))
        .ports(9900, Side::B, 42, &[8]);
    trial.syn(10, Side::A, [7; 2]).syn(9910, Side::B, [8; 2]);
    insta::assert_snapshot!(cause(&trial), @"buckets-disjoint: a used bucket 41, b bucket 42: no port in common at any time; their clocks agreed; b started 9.900 s after a, and each read its clock at its start alone");
}

#[test]
fn a_lost_syn_ack_leaves_the_handshake_incomplete() {
    let mut trial = TrafficBuilder::new();
    let ports = [7; 2];
    trial.syn(100, Side::A, ports).syn(200, Side::B, ports);
    trial
        .tcp(250, Side::A, ports, Flags::SynAck, 63, b"")
        .lost();
    trial
        .tcp(1250, Side::A, ports, Flags::SynAck, 63, b"")
        .lost();
    insta::assert_snapshot!(cause(&trial), @"handshake-incomplete: on port 7 host a answered b's SYN with SYN-ACK, sent 2 times, 2 of them lost; b never acknowledged it");
}

#[test]
fn a_syn_repeated_after_an_ack_shows_that_the_ack_was_ignored() {
    let mut trial = TrafficBuilder::new();
    trial
        .connected(100, 7)
        .tcp(1200, Side::A, [7; 2], Flags::SynAck, 63, b"");
    let cause = cause(&trial);
    assert!(cause.starts_with("handshake-incomplete: "), "{cause}");
}

#[test]
fn an_end_that_ignored_a_syn_ack_is_up_only_after_an_ack_of_its_own() {
    let mut trial = TrafficBuilder::new();
    let ports = [7; 2];
    trial.syn(100, Side::A, ports).syn(110, Side::B, ports);
    for ms in [160, 1160, 3160] {
        trial.tcp(ms, Side::A, ports, Flags::SynAck, 63, b"");
        trial.tcp(ms, Side::B, ports, Flags::SynAck, 63, b"");
    }
    assert!(cause(&trial).starts_with("handshake-incomplete: "), "{}", cause(&trial));
    // An ACK of each says otherwise.
    trial.tcp(3210, Side::A, ports, Flags::Ack, 63, b"");
    trial.tcp(3210, Side::B, ports, Flags::Ack, 63, b"");
    assert!(cause(&trial).starts_with("bytes-missing: "), "{}", cause(&trial));
}

#[test]
fn data_on_different_connections_is_a_disagreement() {
    let mut trial = TrafficBuilder::new();
    trial.connected(100, 7).connected(100, 8);
    trial.tcp(300, Side::A, [7; 2], Flags::Ack, 63, b"hello");
    trial.tcp(300, Side::B, [8; 2], Flags::Ack, 63, b"bye");
    insta::assert_snapshot!(cause(&trial), @"election-disagreed: a sent its 5 bytes on port 7, b its 3 bytes on port 8; 2 connections stood");
}

#[test]
fn different_choices_are_a_disagreement_and_equal_ones_are_not() {
    use punch::Role;
    let end = |side: Side, port: u16| (Ipv4Addr::from(TrafficBuilder::address(side)), port).into();
    let inside = |port: u16| ([100, 64, 1, 2], port).into();
    let chosen = |other: Side, port: u16, role| EventKind::Returned {
        local: inside(port),
        remote: end(other, port),
        role,
    };
    let mut trial = TrafficBuilder::new();
    trial.connected(100, 7).connected(100, 8);
    trial
        .ports(0, Side::A, 1, &[7, 8])
        .ports(0, Side::B, 1, &[7, 8]);
    trial.event(400, Side::A, chosen(Side::B, 7, Role::Leader));
    trial.event(450, Side::B, chosen(Side::A, 8, Role::Follower));
    insta::assert_snapshot!(cause(&trial), @"election-disagreed: a chose the connection with b's port 7, b that with a's port 8; 2 stood");
    trial.events[Side::B].pop();
    trial.event(450, Side::B, chosen(Side::A, 7, Role::Follower));
    assert!(cause(&trial).starts_with("bytes-missing: "), "{}", cause(&trial));
}

#[test]
fn a_failed_election_is_named_by_what_the_peers_report() {
    let mut trial = TrafficBuilder::new();
    trial.connected(100, 7);
    trial.ports(0, Side::A, 1, &[7]).ports(0, Side::B, 1, &[7]);
    trial.event(10_000, Side::A, EventKind::Failed { reason: punch::Failure::NoPeer });
    assert!(cause(&trial).starts_with("no-peer: 1 connection stood"), "{}", cause(&trial));
    trial.event(10_000, Side::B, EventKind::Failed { reason: punch::Failure::ElectionLost });
    insta::assert_snapshot!(cause(&trial), @"election-lost: 1 connection stood, the first on port 7 310 ms after the later start; a sent 0 bytes and ended with exit 1 9690 ms later; b sent 0 bytes and ended with exit 1 9690 ms later");
}

#[test]
fn a_peer_that_ended_before_the_other_began_never_met_it() {
    let mut trial = TrafficBuilder::new();
    trial.ends_ms = Pair::new(10_000, 13_000);
    trial.syn(100, Side::A, [7; 2]).syn(10_100, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&trial), @"never-together: a ran for 10000 ms and ended 100 ms before b's first SYN left: b was started 0 ms after a");
    // It was still there, but the SYN was on its way.
    trial.ends_ms[Side::A] = 10_120;
    insta::assert_snapshot!(cause(&trial), @"never-together: a ran for 10120 ms and ended 20 ms after b's first SYN left, which takes 50 ms: b was started 0 ms after a");
}

#[test]
fn a_peer_that_gave_up_after_a_refusal_failed_by_the_refusal() {
    let mut trial = TrafficBuilder::new();
    trial.ends_ms = Pair::new(160, 10_000);
    trial
        .syn(100, Side::A, [7; 2])
        .tcp(150, Side::B, [7; 2], Flags::Rst, 64, b"");
    trial
        .syn(300, Side::B, [7; 2])
        .tcp(350, Side::A, [7; 2], Flags::Rst, 64, b"");
    assert!(cause(&trial).starts_with("syn-answered-rst: "), "{}", cause(&trial));
}

#[test]
fn a_cause_in_the_process_comes_first() {
    let mut trial = TrafficBuilder::new();
    trial.syn(100, Side::A, [7; 2]);
    insta::assert_snapshot!(cause(&trial), @"no-syn: no SYN of peer b came to the WAN; it ended with exit 1");
    trial.exits[Side::B] = "signal 11";
    insta::assert_snapshot!(cause(&trial), @"peer-crashed: peer b ended with signal 11 after 10000 ms");
}

#[test]
fn a_trial_to_which_no_rule_applies_is_unknown() {
    let mut trial = TrafficBuilder::new();
    trial.syn(100, Side::A, [7; 2]).syn(110, Side::B, [7; 2]);
    for packet in &mut trial.traffic.packets {
        packet.fate = Fate::InFlight { to: 1 - packet.from };
    }
    trial.traffic.not_kept = 3;
    insta::assert_snapshot!(cause(&trial), @"unknown: a sent 1 SYN, received nothing, ended with exit 1; b sent 1 SYN, received nothing, ended with exit 1; 3 more packets were not kept");
}

#[test]
fn traffic_with_public_hosts_is_not_between_the_peers() {
    let mut trial = TrafficBuilder::new();
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(A, [192, 0, 2, 10], 63)
        .tcp(7, 7, 1, 64_000)
        .syn()
        .write(&mut bytes, b"")
        .unwrap();
    trial.record(100, Side::A, false, bytes);
    trial.syn(100, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&trial), @"no-syn: peer a sent 1 SYN, none of them for peer b; it ended with exit 1");
}

#[test]
fn datagrams_tell_the_causes_that_syns_tell() {
    let udp = |ports: [u16; 2], times: [u64; 2]| {
        let mut trial = TrafficBuilder::new();
        trial
            .datagram(times[0], Side::A, ports)
            .datagram(times[1], Side::B, [ports[1]; 2]);
        trial
    };
    insta::assert_snapshot!(cause(&udp([50_001, 7], [100, 110])), @"port-remapped: NAT a sent a's datagram from port 50001, b expected 7");
    let mut trial = udp([7, 7], [100, 31_000]);
    trial.ends_ms = Pair::new(40_000, 40_000);
    for side in Side::BOTH {
        trial.locations[side].forgets_datagram_after = Some(Duration::from_secs(30));
    }
    insta::assert_snapshot!(cause(&trial), @"mapping-expired: NAT a forgets a datagram after 30000 ms; on port 7 b's datagram came 30950 ms after a's last one");
    let mut trial = udp([7, 7], [100, 10_100]);
    trial.ends_ms = Pair::new(10_000, 13_000);
    insta::assert_snapshot!(cause(&trial), @"never-together: a ran for 10000 ms and ended 100 ms before b's first datagram left: b was started 0 ms after a");
    let mut trial = TrafficBuilder::new();
    trial
        .datagram(100, Side::A, [7; 2])
        .datagram(110, Side::B, [8; 2]);
    insta::assert_snapshot!(cause(&trial), @"no-common-port: a sent datagrams to port 7 of b, b to port 8 of a: none in common");
    trial.traffic.packets.pop();
    insta::assert_snapshot!(cause(&trial), @"no-syn: no datagram of peer b came to the WAN; it ended with exit 1");
}

#[test]
fn the_fate_of_datagrams_that_could_have_passed_is_told() {
    let mut trial = TrafficBuilder::new();
    trial.datagram(100, Side::A, [7; 2]);
    trial.datagram(200, Side::B, [7; 2]).lost();
    trial.datagram(300, Side::A, [7; 2]).lost();
    insta::assert_snapshot!(cause(&trial), @"datagrams-lost: the 1 datagram of a and 1 of b that could have passed were all lost; in all, the WAN lost 1 of 2 datagrams of a and 1 of 1 datagram of b");
    trial.datagram(400, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&trial), @"datagrams-unanswered: b's first datagram on port 7 left 100 ms after a's; one-way delay 50 ms; of the datagrams that could have passed, 0 of a and 1 of b arrived, and nothing answered them");
    trial.icmp_about_datagram(460, Side::A, 7);
    insta::assert_snapshot!(cause(&trial), @"datagrams-answered-icmp: b's first datagram on port 7 left 100 ms after a's; one-way delay 50 ms; NAT a answered ICMP port unreachable to 1 of b's 2 datagrams");
    // Later ones without an error may have been refused as well.
    trial
        .datagram(500, Side::A, [7; 2])
        .datagram(520, Side::B, [7; 2]);
    let refused = cause(&trial);
    assert!(refused.starts_with("datagrams-answered-icmp: "), "{refused}");
    let mut trial = TrafficBuilder::new();
    trial
        .datagram(500, Side::A, [7; 2])
        .datagram(520, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&trial), @"bytes-missing: datagrams came through both ways on port 7, 570 ms after the later start; 1 datagram of a came through, a received nothing and ended with exit 1; 1 datagram of b came through, b received nothing and ended with exit 1");
}

#[test]
fn peers_that_use_both_protocols_are_judged_by_the_one_that_both_use() {
    let mut trial = TrafficBuilder::new();
    trial
        .datagram(100, Side::A, [7; 2])
        .datagram(110, Side::B, [7; 2])
        .syn(120, Side::A, [7; 2]);
    assert!(cause(&trial).starts_with("bytes-missing: datagrams"), "{}", cause(&trial));
    trial.syn(130, Side::B, [7; 2]);
    assert!(cause(&trial).starts_with("syn-unanswered: "), "{}", cause(&trial));
}
