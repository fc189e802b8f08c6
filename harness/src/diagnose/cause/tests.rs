//! Causes of made-up trials.

use std::net::Ipv4Addr;

use etherparse::{PacketBuilder, icmpv4::DestUnreachableHeader, ip_number};
use punch::EventKind;

use super::*;
use crate::{
    diagnose::tape::{A, DELAY, Flags, Tape, at},
    named::Named,
    wan::Fate,
};

fn cause(tape: &Tape) -> String {
    let syns = [0, 1].map(|peer| crate::diagnose::times::syns(&tape.traffic, peer));
    let peers = Side::BOTH.map(|side| {
        let index = side.index();
        Evidence {
            exit: tape.exits[index],
            crashed: tape.exits[index].starts_with("signal"),
            failed: true,
            ran: [at(0), at(tape.ends_ms[index])],
            complaint: "",
            events: &tape.events[index],
            received: false,
            garbled: false,
            syns: &syns[index],
        }
    });
    let case = Case {
        peers,
        places: tape.places,
        traffic: &tape.traffic,
        begin: at(0),
        delay: DELAY,
        timeout: Duration::from_secs(10),
    };
    let cause = find(&case);
    format!("{}: {}", cause.kind, cause.evidence)
}

#[test]
fn a_rst_to_the_later_syn_is_told_with_the_times() {
    let mut tape = Tape::new();
    let ports = [7; 2];
    tape.syn(100, Side::A, ports)
        .tcp(150, Side::B, ports, Flags::Rst, 64, b"")
        .syn(162, Side::B, ports)
        .tcp(212, Side::A, ports, Flags::Rst, 64, b"");
    insta::assert_snapshot!(cause(&tape), @"syn-answered-rst: b's first SYN on port 7 left 62 ms after a's; one-way delay 50 ms; NAT b answered RST to a's SYN, NAT a answered RST to b's SYN");
}

#[test]
fn a_host_that_answers_is_told_from_its_nat() {
    let mut tape = Tape::new();
    let ports = [7; 2];
    tape.syn(100, Side::A, ports).syn(120, Side::B, ports).tcp(
        170,
        Side::A,
        ports,
        Flags::Rst,
        63,
        b"",
    );
    insta::assert_snapshot!(cause(&tape), @"syn-answered-rst: b's first SYN on port 7 left 20 ms after a's; one-way delay 50 ms; host a answered RST to b's SYN");
}

#[test]
fn an_answer_that_a_nat_lets_out_untranslated_is_an_answer_that_says_so() {
    let mut tape = Tape::new();
    let ports = [7; 2];
    tape.syn(100, Side::A, ports).syn(120, Side::B, ports);
    tape.tcp(170, Side::A, ports, Flags::Rst, 63, b"");
    let source = &mut tape.traffic.packets.last_mut().unwrap().bytes[12..16];
    source.copy_from_slice(&[100, 64, 1, 2]);
    insta::assert_snapshot!(cause(&tape), @"syn-answered-rst: b's first SYN on port 7 left 20 ms after a's; one-way delay 50 ms; host a answered RST to b's SYN (which left NAT a untranslated)");
}

#[test]
fn a_connection_whose_packets_a_nat_does_not_translate_is_told_so() {
    let mut tape = Tape::new();
    tape.connected(100, 7);
    for ms in [300, 400, 500] {
        tape.tcp(ms, Side::A, [7; 2], Flags::Ack, 63, b"hello");
        let source = &mut tape.traffic.packets.last_mut().unwrap().bytes[12..16];
        source.copy_from_slice(&[100, 64, 1, 2]);
    }
    insta::assert_snapshot!(cause(&tape), @"not-translated: on port 7 NAT a let 3 of a's 5 packets out untranslated, the first (ACK) 200 ms after the first packet of all: b cannot know whose they are");
    // Another connection was well, so that this one explains nothing.
    tape.connected(100, 8);
    assert!(cause(&tape).starts_with("bytes-missing: "), "{}", cause(&tape));
}

#[test]
fn every_cause_is_described() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for (name, _) in CauseKind::NAMES {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn icmp_is_matched_with_the_segment_that_it_quotes() {
    let mut tape = Tape::new();
    tape.syn(100, Side::A, [7; 2])
        .syn(110, Side::B, [7; 2])
        .icmp(150, Side::B, 7)
        .icmp(160, Side::A, 7);
    insta::assert_snapshot!(cause(&tape), @"syn-answered-icmp: b's first SYN on port 7 left 10 ms after a's; one-way delay 50 ms; NAT b answered ICMP port unreachable to a's SYN, NAT a answered ICMP port unreachable to b's SYN");
}

#[test]
fn a_rst_of_another_connection_refuses_nothing() {
    let mut tape = Tape::new();
    tape.syn(100, Side::A, [7; 2])
        .syn(200, Side::B, [7; 2])
        .tcp(260, Side::A, [7; 2], Flags::Rst, 64, b"");
    // It acknowledges what b never sent.
    let rst = tape.traffic.packets.last_mut().unwrap();
    rst.bytes[20 + 8] ^= 0xFF;
    insta::assert_snapshot!(cause(&tape), @"syn-unanswered: b's first SYN on port 7 left 100 ms after a's; one-way delay 50 ms; of the SYNs that could have passed, 0 of a and 1 of b arrived on port 7, and nothing answered them");
}

#[test]
fn syns_that_could_have_passed_are_told_from_those_that_could_not() {
    let mut tape = Tape::new();
    // The first one arrives before b has sent anything: that it was not lost means nothing.
    tape.syn(100, Side::A, [7; 2]);
    tape.syn(200, Side::B, [7; 2])
        .lost()
        .syn(1100, Side::A, [7; 2])
        .lost();
    insta::assert_snapshot!(cause(&tape), @"syn-lost: the 1 SYN of a and 1 of b that could have passed were all lost; in all, the WAN lost 1 of 2 SYNs of a and 1 of 1 SYN of b");
}

#[test]
fn a_nat_that_forgets_is_told_by_its_time() {
    let mut tape = Tape::new();
    tape.places[0].forgets_after = Some(Duration::from_secs(1));
    tape.syn(100, Side::A, [7; 2]).syn(2000, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&tape), @"mapping-expired: NAT a forgets a SYN after 1000 ms; on port 7 b's SYN came 1950 ms after a's last one");
    // In time, it is something else.
    tape.places[0].forgets_after = Some(Duration::from_secs(3));
    assert!(cause(&tape).starts_with("syn-unanswered: "), "{}", cause(&tape));
}

#[test]
fn a_nat_that_lets_no_syn_in_is_told_where_the_other_could_not_help() {
    let mut tape = Tape::new();
    tape.places[0].drops_syns = true;
    tape.syn(100, Side::A, [7; 2]).syn(200, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&tape), @"nat-drops-syns: NAT a drops every SYN from outside: 1 SYN of b that could have passed");
    // This one could have passed at b, whose NAT is well.
    tape.syn(1100, Side::A, [7; 2]);
    assert!(cause(&tape).starts_with("syn-unanswered: "), "{}", cause(&tape));
}

#[test]
fn equal_targets_from_other_sources_are_a_remap() {
    let mut tape = Tape::new();
    tape.syn(100, Side::A, [50_001, 7])
        .syn(100, Side::A, [50_002, 8]);
    tape.syn(110, Side::B, [7; 2]).syn(110, Side::B, [8; 2]);
    insta::assert_snapshot!(cause(&tape), @"port-remapped: NAT a sent a's SYN from port 50001, b expected 7 (and 1 more alike)");
}

#[test]
fn a_remap_shows_by_the_end_that_agrees_where_targets_differ() {
    let mut tape = Tape::new();
    tape.syn(100, Side::A, [50_001, 7])
        .syn(110, Side::B, [7, 9]);
    insta::assert_snapshot!(cause(&tape), @"port-remapped: NAT a sent a's SYN from port 50001, b expected 9");
}

#[test]
fn nothing_in_common_is_not_a_remap() {
    let mut tape = Tape::new();
    tape.syn(100, Side::A, [7; 2]).syn(110, Side::B, [8; 2]);
    insta::assert_snapshot!(cause(&tape), @"no-common-port: a sent SYNs to port 7 of b, b to port 8 of a: none in common");
}

#[test]
fn buckets_in_common_at_different_times_are_none() {
    let mut tape = Tape::new();
    let started = |wall_ns| EventKind::Started { peer: String::new(), rule: None, wall_ns };
    tape.event(0, Side::A, started(0))
        .event(0, Side::B, started(-42_500_000_000));
    tape.ports(0, Side::A, 41, &[7])
        .ports(500, Side::A, 42, &[8]);
    tape.ports(0, Side::B, 40, &[6])
        .ports(600, Side::B, 41, &[7]);
    tape.syn(10, Side::A, [7; 2]).syn(600, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&tape), @"buckets-disjoint: a used buckets 41, 42, b buckets 40, 41: no port in common at any time; a's clock was 42.500 s ahead of b's");
}

#[test]
fn a_stagger_alone_may_put_peers_into_different_buckets() {
    let mut tape = Tape::new();
    let started = |wall_ns| EventKind::Started { peer: String::new(), rule: None, wall_ns };
    tape.event(0, Side::A, started(5_000_000_000))
        .ports(0, Side::A, 41, &[7]);
    tape.event(9900, Side::B, started(14_900_000_000))
        .ports(9900, Side::B, 42, &[8]);
    tape.syn(10, Side::A, [7; 2]).syn(9910, Side::B, [8; 2]);
    insta::assert_snapshot!(cause(&tape), @"buckets-disjoint: a used bucket 41, b bucket 42: no port in common at any time; their clocks agreed; b started 9.900 s after a, and each read its clock at its start alone");
}

#[test]
fn a_syn_ack_that_is_lost_leaves_a_handshake_half_done() {
    let mut tape = Tape::new();
    let ports = [7; 2];
    tape.syn(100, Side::A, ports).syn(200, Side::B, ports);
    tape.tcp(250, Side::A, ports, Flags::SynAck, 63, b"").lost();
    tape.tcp(1250, Side::A, ports, Flags::SynAck, 63, b"")
        .lost();
    insta::assert_snapshot!(cause(&tape), @"handshake-incomplete: on port 7 host a answered b's SYN with SYN-ACK, sent 2 times, 2 of them lost; b never acknowledged it");
}

#[test]
fn an_ack_after_which_the_syn_is_repeated_was_not_taken() {
    let mut tape = Tape::new();
    tape.connected(100, 7)
        .tcp(1200, Side::A, [7; 2], Flags::SynAck, 63, b"");
    let cause = cause(&tape);
    assert!(cause.starts_with("handshake-incomplete: "), "{cause}");
}

#[test]
fn ends_that_hear_no_syn_ack_are_not_up_since_they_had_no_time_for_another() {
    let mut tape = Tape::new();
    let ports = [7; 2];
    tape.syn(100, Side::A, ports).syn(110, Side::B, ports);
    for ms in [160, 1160, 3160] {
        tape.tcp(ms, Side::A, ports, Flags::SynAck, 63, b"");
        tape.tcp(ms, Side::B, ports, Flags::SynAck, 63, b"");
    }
    assert!(cause(&tape).starts_with("handshake-incomplete: "), "{}", cause(&tape));
    // An ACK of each says otherwise.
    tape.tcp(3210, Side::A, ports, Flags::Ack, 63, b"");
    tape.tcp(3210, Side::B, ports, Flags::Ack, 63, b"");
    assert!(cause(&tape).starts_with("bytes-missing: "), "{}", cause(&tape));
}

#[test]
fn data_on_different_connections_is_a_disagreement() {
    let mut tape = Tape::new();
    tape.connected(100, 7).connected(100, 8);
    tape.tcp(300, Side::A, [7; 2], Flags::Ack, 63, b"hello");
    tape.tcp(300, Side::B, [8; 2], Flags::Ack, 63, b"bye");
    insta::assert_snapshot!(cause(&tape), @"election-disagreed: a sent its 5 bytes on port 7, b its 3 bytes on port 8; 2 connections stood");
}

#[test]
fn choices_that_differ_are_a_disagreement_and_equal_ones_are_not() {
    use punch::proto::election::Role;
    let end = |side: Side, port: u16| (Ipv4Addr::from(Tape::address(side)), port).into();
    let inside = |port: u16| ([100, 64, 1, 2], port).into();
    let chosen = |other: Side, port: u16, role| EventKind::Returned {
        local: inside(port),
        remote: end(other, port),
        role,
    };
    let mut tape = Tape::new();
    tape.connected(100, 7).connected(100, 8);
    tape.ports(0, Side::A, 1, &[7, 8])
        .ports(0, Side::B, 1, &[7, 8]);
    tape.event(400, Side::A, chosen(Side::B, 7, Role::Leader));
    tape.event(450, Side::B, chosen(Side::A, 8, Role::Follower));
    insta::assert_snapshot!(cause(&tape), @"election-disagreed: a chose the connection with b's port 7, b that with a's port 8; 2 stood");
    tape.events[1].pop();
    tape.event(450, Side::B, chosen(Side::A, 7, Role::Follower));
    assert!(cause(&tape).starts_with("bytes-missing: "), "{}", cause(&tape));
}

#[test]
fn a_connection_without_agreement_is_told_by_what_the_peers_report() {
    let mut tape = Tape::new();
    tape.connected(100, 7);
    tape.ports(0, Side::A, 1, &[7]).ports(0, Side::B, 1, &[7]);
    tape.event(10_000, Side::A, EventKind::Failed { reason: punch::Failure::NoPeer });
    assert!(cause(&tape).starts_with("no-peer: 1 connection stood"), "{}", cause(&tape));
    tape.event(10_000, Side::B, EventKind::Failed { reason: punch::Failure::ElectionLost });
    insta::assert_snapshot!(cause(&tape), @"election-lost: 1 connection stood, the first on port 7 310 ms after the later start; a sent 0 bytes and ended with exit 1 9690 ms later; b sent 0 bytes and ended with exit 1 9690 ms later");
}

#[test]
fn peers_of_which_one_had_ended_never_met() {
    let mut tape = Tape::new();
    tape.ends_ms = [10_000, 13_000];
    tape.syn(100, Side::A, [7; 2]).syn(10_100, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&tape), @"never-together: a ran for 10000 ms and ended 100 ms before b's first SYN left: b was started 0 ms after a");
    // It was still there, but the SYN was on its way.
    tape.ends_ms[0] = 10_120;
    insta::assert_snapshot!(cause(&tape), @"never-together: a ran for 10120 ms and ended 20 ms after b's first SYN left, which takes 50 ms: b was started 0 ms after a");
}

#[test]
fn one_that_gave_up_since_it_was_refused_is_told_by_the_refusal() {
    let mut tape = Tape::new();
    tape.ends_ms = [160, 10_000];
    tape.syn(100, Side::A, [7; 2])
        .tcp(150, Side::B, [7; 2], Flags::Rst, 64, b"");
    tape.syn(300, Side::B, [7; 2])
        .tcp(350, Side::A, [7; 2], Flags::Rst, 64, b"");
    assert!(cause(&tape).starts_with("syn-answered-rst: "), "{}", cause(&tape));
}

#[test]
fn what_the_processes_did_comes_first() {
    let mut tape = Tape::new();
    tape.syn(100, Side::A, [7; 2]);
    insta::assert_snapshot!(cause(&tape), @"no-syn: no SYN of peer b came to the WAN; it ended with exit 1");
    tape.exits[1] = "signal 11";
    insta::assert_snapshot!(cause(&tape), @"peer-crashed: peer b ended with signal 11 after 10000 ms");
}

#[test]
fn what_cannot_be_told_is_unknown() {
    let mut tape = Tape::new();
    tape.syn(100, Side::A, [7; 2]).syn(110, Side::B, [7; 2]);
    for packet in &mut tape.traffic.packets {
        packet.fate = Fate::InFlight { to: 1 - packet.from };
    }
    tape.traffic.not_kept = 3;
    insta::assert_snapshot!(cause(&tape), @"unknown: a sent 1 SYN, received nothing, ended with exit 1; b sent 1 SYN, received nothing, ended with exit 1; 3 more packets were not kept");
}

#[test]
fn traffic_with_public_hosts_is_not_between_the_peers() {
    let mut tape = Tape::new();
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(A, [192, 0, 2, 10], 63)
        .tcp(7, 7, 1, 64_000)
        .syn()
        .write(&mut bytes, b"")
        .unwrap();
    tape.record(100, Side::A, false, bytes);
    tape.syn(100, Side::B, [7; 2]);
    insta::assert_snapshot!(cause(&tape), @"no-syn: peer a sent 1 SYN, none of them for peer b; it ended with exit 1");
}

#[test]
fn an_icmp_message_that_quotes_no_tcp_is_no_answer() {
    let mut bytes = Vec::new();
    let mut quoted = Vec::new();
    Tape::ip(Side::A, 63)
        .udp(7, 7)
        .write(&mut quoted, b"x")
        .unwrap();
    assert_eq!(quoted[9], ip_number::UDP.0);
    let error = etherparse::Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port);
    Tape::ip(Side::B, 64)
        .icmpv4(error)
        .write(&mut bytes, &quoted)
        .unwrap();
    assert_eq!(crate::packet::icmp_error(&bytes), None);
}
