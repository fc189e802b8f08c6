//! How long a success took, from events and packets on one clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use punch::{Event, EventKind, proto::time::MonoTime};

use crate::{
    event::Times,
    packet,
    wan::{Fate, Traffic},
};

/// The SYNs of a peer on the WAN.
#[derive(Debug, Default)]
pub(crate) struct Syns {
    /// When the first one left.
    pub(crate) first: Option<MonoTime>,
    /// How many there were.
    pub(crate) count: u32,
    /// Ports to which they went.
    pub(crate) ports: BTreeSet<u16>,
}

/// A peer's SYNs. Ends 0 and 1 of the WAN are the peers'.
pub(crate) fn syns(traffic: &Traffic, peer: usize) -> Syns {
    let mut syns = Syns::default();
    for packet in traffic.packets.iter().filter(|packet| packet.from == peer) {
        if let Some(segment) = packet::segment(&packet.bytes).filter(packet::Segment::opens) {
            syns.first.get_or_insert(packet.at);
            syns.count = syns.count.saturating_add(1);
            syns.ports.insert(segment.destination.port());
        }
    }
    syns
}

/// The times of a success, all from the later of the two first SYNs on the WAN. Where the peers
/// report no events, the packets tell when they were up and connected.
pub(crate) fn times(
    events: [&[Event]; 2],
    first_syns: [Option<MonoTime>; 2],
    traffic: &Traffic,
) -> Option<Times> {
    let [Some(a), Some(b)] = first_syns else { return None };
    let start = a.max(b);
    let from_start = |at: MonoTime| milliseconds(at.since(start));
    let of_both = |pick: fn(&EventKind) -> bool| {
        let [a, b] = events.map(|events| when(events, pick));
        Some(from_start(a?.max(b?)))
    };
    let up = events
        .iter()
        .filter_map(|events| when(events, |kind| matches!(kind, EventKind::Connected { .. })));
    let (seen_up, seen_connected) = seen(traffic).unzip();
    Some(Times {
        up_ms: up.min().or(seen_up).map(from_start),
        connected_ms: connected(events).or(seen_connected).map(from_start),
        chosen_ms: of_both(|kind| matches!(kind, EventKind::Decided { .. })),
        returned_ms: of_both(|kind| matches!(kind, EventKind::Returned { .. })),
    })
}

/// Milliseconds with their fraction.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn when(events: &[Event], pick: fn(&EventKind) -> bool) -> Option<MonoTime> {
    events
        .iter()
        .find(|event| pick(&event.kind))
        .map(|event| event.at)
}

/// When the first port was up on both sides.
fn connected(events: [&[Event]; 2]) -> Option<MonoTime> {
    let [a, b] = events.map(ports_up);
    a.iter()
        .filter_map(|(port, at)| Some((*at).max(*b.get(port)?)))
        .min()
}

/// When a connection that stood was first up at one of its ends, and when one was at both, by what
/// was delivered to them: an end is up with the first ACK, since it acknowledges its SYN.
fn seen(traffic: &Traffic) -> Option<(MonoTime, MonoTime)> {
    let mut up: BTreeMap<BTreeSet<SocketAddr>, BTreeMap<usize, MonoTime>> = BTreeMap::new();
    for packet in &traffic.packets {
        let Fate::Delivered { to, at } = packet.fate else { continue };
        if let Some(segment) = packet::segment(&packet.bytes)
            && segment.ack
            && !segment.rst
        {
            let ends = [segment.source, segment.destination].into();
            up.entry(ends).or_default().entry(to).or_insert(at);
        }
    }
    let both = || up.values().filter(|ends| ends.len() == 2);
    let first = both()
        .filter_map(|ends| ends.values().copied().min())
        .min()?;
    Some((
        first,
        both()
            .filter_map(|ends| ends.values().copied().max())
            .min()?,
    ))
}

/// When each local port was first up.
fn ports_up(events: &[Event]) -> BTreeMap<u16, MonoTime> {
    let mut up = BTreeMap::new();
    for event in events {
        if let EventKind::Connected { port, .. } = event.kind {
            up.entry(port).or_insert(event.at);
        }
    }
    up
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diagnose::tape::{Flags, Tape},
        peers::Side,
    };

    #[test]
    fn packets_tell_when_a_puncher_without_events_was_up_and_connected() {
        let mut tape = Tape::new();
        let ports = [7; 2];
        tape.syn(0, Side::A, ports).syn(20, Side::B, ports);
        tape.tcp(50, Side::B, ports, Flags::SynAck, 64, b"");
        tape.tcp(70, Side::A, ports, Flags::SynAck, 64, b"");
        // Nothing comes of this one, though its SYN-ACK arrived first.
        tape.syn(1, Side::A, [8; 2])
            .tcp(30, Side::B, [8; 2], Flags::SynAck, 64, b"");
        let first = [0, 1].map(|peer| syns(&tape.traffic, peer).first);
        let times = times([&[], &[]], first, &tape.traffic).unwrap();
        assert_eq!((times.up_ms, times.connected_ms), (Some(80.0), Some(100.0)));
        assert_eq!((times.chosen_ms, times.returned_ms), (None, None));
    }
}
