//! Duration of a success, from events and packets on one clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use punch::{Event, EventKind, proto::time::MonoTime};

use crate::{
    event::Times,
    packet::{Packet, Transport},
    peers::{Pair, Side},
    wan::{Fate, Traffic},
};

/// The SYNs of a peer on the WAN.
#[derive(Debug, Default)]
pub(crate) struct Syns {
    /// When the first SYN left.
    pub(crate) first: Option<MonoTime>,
    /// Number of SYNs.
    pub(crate) count: u32,
    /// Destination ports.
    pub(crate) ports: BTreeSet<u16>,
}

/// The SYNs of a peer. Ports 0 and 1 of the WAN are the peers'.
pub(crate) fn syns(traffic: &Traffic, side: Side) -> Syns {
    let mut syns = Syns::default();
    let sent = traffic
        .packets
        .iter()
        .filter(|recorded| recorded.from == side.index());
    for recorded in sent {
        let Some(packet) = Packet::parse(&recorded.bytes) else { continue };
        if packet.opens(Transport::Tcp) {
            syns.first.get_or_insert(recorded.at);
            syns.count = syns.count.saturating_add(1);
            syns.ports.insert(packet.destination.port());
        }
    }
    syns
}

/// The times of a success, all from the later of the two first SYNs on the WAN. For peers that
/// report no events, the packets show when a connection was up and when it was up at both ends.
pub(crate) fn times(
    events: Pair<&[Event]>,
    first_syns: Pair<Option<MonoTime>>,
    traffic: &Traffic,
) -> Option<Times> {
    let start = first_syns[Side::A]?.max(first_syns[Side::B]?);
    let from_start = |at: MonoTime| milliseconds(at.since(start));
    let of_both = |pick: fn(&EventKind) -> bool| {
        let at = events.map(|events| when(events, pick));
        Some(from_start(at[Side::A]?.max(at[Side::B]?)))
    };
    let up = events
        .values()
        .filter_map(|events| when(events, |kind| matches!(kind, EventKind::Connected { .. })));
    let (packets_up, packets_connected) = up_by_packets(traffic).unzip();
    Some(Times {
        up_ms: up.min().or(packets_up).map(from_start),
        connected_ms: connected(events).or(packets_connected).map(from_start),
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
fn connected(events: Pair<&[Event]>) -> Option<MonoTime> {
    let up = events.map(ports_up);
    up[Side::A]
        .iter()
        .filter_map(|(port, at)| Some((*at).max(*up[Side::B].get(port)?)))
        .min()
}

/// When an established connection was first up at one of its ends, and when one was up at both.
///
/// An end is up with the first ACK delivered to it, which acknowledges its SYN.
fn up_by_packets(traffic: &Traffic) -> Option<(MonoTime, MonoTime)> {
    let mut up: BTreeMap<BTreeSet<SocketAddr>, BTreeMap<usize, MonoTime>> = BTreeMap::new();
    for recorded in &traffic.packets {
        let Fate::Delivered { to, at } = recorded.fate else { continue };
        if let Some(packet) = Packet::parse(&recorded.bytes)
            && let Some(segment) = packet.segment()
            && segment.ack.is_some()
            && !segment.rst
        {
            let ends = [packet.source, packet.destination].into();
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
    use crate::diagnose::traffic_builder::{Flags, TrafficBuilder};

    #[test]
    fn without_events_packets_tell_when_a_connection_was_up() {
        let mut trial = TrafficBuilder::new();
        let ports = [7; 2];
        trial.syn(0, Side::A, ports).syn(20, Side::B, ports);
        trial.tcp(50, Side::B, ports, Flags::SynAck, 64, b"");
        trial.tcp(70, Side::A, ports, Flags::SynAck, 64, b"");
        // A handshake that is never completed, though its SYN-ACK arrived first.
        trial
            .syn(1, Side::A, [8; 2])
            .tcp(30, Side::B, [8; 2], Flags::SynAck, 64, b"");
        let first = Pair::from_fn(|side| syns(&trial.traffic, side).first);
        let times = times(Pair::new(&[], &[]), first, &trial.traffic).unwrap();
        assert_eq!((times.up_ms, times.connected_ms), (Some(80.0), Some(100.0)));
        assert_eq!((times.chosen_ms, times.returned_ms), (None, None));
    }
}
