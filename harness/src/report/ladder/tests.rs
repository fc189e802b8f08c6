use std::time::Duration;

use etherparse::PacketBuilder;
use punch::{ClockOffset, EventKind, proto::time::WallTime};

use super::*;
use crate::{
    diagnose::traffic_builder::{self, Flags, TrafficBuilder, at},
    peers::Side::{A, B},
    wan::{Fate, RecordedPacket},
};

fn rendered(trial: &TrafficBuilder) -> String {
    let skew = |seconds| ClockOffset::from_secs_f64(seconds).unwrap();
    render(&LadderInput {
        title: vec!["trial 0.0.0 of a test".to_owned()],
        begin: at(0),
        epoch: WallTime::from_secs(1_700_000_000) - Duration::from_millis(1),
        skews: Pair::new(skew(0.0), skew(-3600.0)),
        locations: trial.locations,
        traffic: &trial.traffic,
        events: trial.events.as_ref().map(Vec::as_slice),
        started: Pair::new(at(0), at(30)),
        ended: Pair::from_fn(|side| (at(trial.ends_ms[side]), trial.exits[side])),
    })
}

#[test]
fn every_fate_of_a_packet_has_its_arrow() {
    let mut trial = TrafficBuilder::new();
    let ports = [7; 2];
    trial.ports(1, A, 41, &[7, 8]);
    trial.syn(100, A, ports).syn(110, B, ports).lost();
    trial.tcp(150, B, ports, Flags::Rst, 64, b"");
    trial
        .syn(200, B, ports)
        .tcp(250, A, ports, Flags::Rst, 63, b"");
    trial.syn(300, A, [50_000, 8]).syn(301, A, [50_001, 7]);
    trial.icmp(400, B, 7);
    trial
        .connected(1000, 9)
        .tcp(1200, A, [9; 2], Flags::Ack, 63, b"hello");
    trial.syn(2000, B, [7; 2]);
    trial.traffic.packets.last_mut().unwrap().fate = Fate::InFlight { to: 0 };
    trial.event(
        1150,
        A,
        EventKind::Returned {
            local: ([100, 64, 1, 2], 9).into(),
            remote: ([203, 0, 113, 1], 9).into(),
            role: punch::proto::connection::Role::Leader,
        },
    );
    trial.traffic.not_kept = 5;
    insta::assert_snapshot!(rendered(&trial));
}

#[test]
fn repeats_are_counted_and_what_is_new_is_shown() {
    let mut trial = TrafficBuilder::new();
    for round in 0..40 {
        let ms = 100 + round * 200;
        for port in [7, 8, 9] {
            trial
                .syn(ms, A, [port; 2])
                .tcp(ms + 50, B, [port; 2], Flags::Rst, 64, b"");
        }
    }
    trial.syn(9000, A, [10; 2]).lost();
    insta::assert_snapshot!(rendered(&trial));
}

#[test]
fn a_public_host_has_no_nat_in_front() {
    let mut trial = TrafficBuilder::new();
    trial.locations[B].nats = 0;
    trial
        .syn(100, A, [7; 2])
        .tcp(150, B, [7; 2], Flags::Rst, 64, b"");
    insta::assert_snapshot!(rendered(&trial));
}

#[test]
fn packets_to_public_hosts_and_to_nobody_say_where_they_go() {
    let mut trial = TrafficBuilder::new();
    trial.traffic.ports = ["a-wan", "b-wan", "host-stun"].map(str::to_owned).into();
    let mut from = |ms, source: [u8; 4], destination: [u8; 4], port: usize, fate: Fate| {
        let mut bytes = Vec::new();
        let syn = PacketBuilder::ipv4(source, destination, 63)
            .tcp(7, 9, 1, 64_000)
            .syn();
        syn.write(&mut bytes, b"").unwrap();
        let bytes = bytes.into_boxed_slice();
        let packet = RecordedPacket { at: at(ms), from: port, fate, length: bytes.len(), bytes };
        trial.traffic.packets.push(packet);
    };
    let host = [192, 0, 2, 10];
    let delivered = |ms, to| Fate::Delivered { to, at: at(ms) };
    from(100, traffic_builder::A, host, 0, delivered(150, 2));
    from(200, host, traffic_builder::A, 2, delivered(250, 0));
    from(300, traffic_builder::A, [192, 0, 2, 99], 0, Fate::NoRoute);
    // Neighbours only.
    from(400, traffic_builder::A, [224, 0, 0, 22], 0, Fate::NoRoute);
    insta::assert_snapshot!(rendered(&trial));
}
