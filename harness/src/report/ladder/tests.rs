use std::time::Duration;

use etherparse::PacketBuilder;
use punch::{ClockOffset, EventKind, proto::time::WallTime};

use super::*;
use crate::{
    diagnose::tape::{self, Flags, Tape, at},
    peers::Side::{A, B},
    wan::{Fate, Packet},
};

fn rendered(tape: &Tape) -> String {
    let skew = |seconds| ClockOffset::from_secs_f64(seconds).unwrap();
    render(&Story {
        title: vec!["trial 0.0.0 of a test".to_owned()],
        begin: at(0),
        epoch: WallTime::from_secs(1_700_000_000) - Duration::from_millis(1),
        skews: [skew(0.0), skew(-3600.0)],
        places: tape.places,
        traffic: &tape.traffic,
        events: tape.events.each_ref().map(Vec::as_slice),
        started: [at(0), at(30)],
        ended: [0, 1].map(|side| (at(tape.ends_ms[side]), tape.exits[side])),
    })
}

#[test]
fn every_fate_of_a_packet_has_its_arrow() {
    let mut tape = Tape::new();
    let ports = [7; 2];
    tape.ports(1, A, 41, &[7, 8]);
    tape.syn(100, A, ports).syn(110, B, ports).lost();
    tape.tcp(150, B, ports, Flags::Rst, 64, b"");
    tape.syn(200, B, ports)
        .tcp(250, A, ports, Flags::Rst, 63, b"");
    tape.syn(300, A, [50_000, 8]).syn(301, A, [50_001, 7]);
    tape.icmp(400, B, 7);
    tape.connected(1000, 9)
        .tcp(1200, A, [9; 2], Flags::Ack, 63, b"hello");
    tape.syn(2000, B, [7; 2]);
    tape.traffic.packets.last_mut().unwrap().fate = Fate::InFlight { to: 0 };
    tape.event(
        1150,
        A,
        EventKind::Returned {
            local: ([100, 64, 1, 2], 9).into(),
            remote: ([203, 0, 113, 1], 9).into(),
            role: punch::proto::election::Role::Leader,
        },
    );
    tape.traffic.not_kept = 5;
    insta::assert_snapshot!(rendered(&tape));
}

#[test]
fn repeats_are_counted_and_what_is_new_is_shown() {
    let mut tape = Tape::new();
    for round in 0..40 {
        let ms = 100 + round * 200;
        for port in [7, 8, 9] {
            tape.syn(ms, A, [port; 2])
                .tcp(ms + 50, B, [port; 2], Flags::Rst, 64, b"");
        }
    }
    tape.syn(9000, A, [10; 2]).lost();
    insta::assert_snapshot!(rendered(&tape));
}

#[test]
fn a_public_host_has_no_nat_in_front() {
    let mut tape = Tape::new();
    tape.places[1].nats = 0;
    tape.syn(100, A, [7; 2])
        .tcp(150, B, [7; 2], Flags::Rst, 64, b"");
    insta::assert_snapshot!(rendered(&tape));
}

#[test]
fn packets_to_public_hosts_and_to_nobody_say_where_they_go() {
    let mut tape = Tape::new();
    tape.traffic.ports = ["a-wan", "b-wan", "host-stun"].map(str::to_owned).into();
    let mut from = |ms, source: [u8; 4], destination: [u8; 4], port: usize, fate: Fate| {
        let mut bytes = Vec::new();
        let syn = PacketBuilder::ipv4(source, destination, 63)
            .tcp(7, 9, 1, 64_000)
            .syn();
        syn.write(&mut bytes, b"").unwrap();
        let bytes = bytes.into_boxed_slice();
        let packet = Packet { at: at(ms), from: port, fate, length: bytes.len(), bytes };
        tape.traffic.packets.push(packet);
    };
    let host = [192, 0, 2, 10];
    let delivered = |ms, to| Fate::Delivered { to, at: at(ms) };
    from(100, tape::A, host, 0, delivered(150, 2));
    from(200, host, tape::A, 2, delivered(250, 0));
    from(300, tape::A, [192, 0, 2, 99], 0, Fate::NoRoute);
    // Neighbours only.
    from(400, tape::A, [224, 0, 0, 22], 0, Fate::NoRoute);
    insta::assert_snapshot!(rendered(&tape));
}
