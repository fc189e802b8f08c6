//! From packets and events to rows in the order of time.

use std::collections::BTreeSet;

use punch::{Event, EventKind, proto::time::MonoTime};

use super::Story;
use crate::{
    diagnose::flow::{self, Flow, FlowPacket, PacketKind, PacketSender},
    packet::{self, IcmpErrorKind, Packet, Payload},
    peers::Side,
    wan::{Fate, RecordedPacket},
};

/// A column of the ladder, from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    PeerA,
    NatA,
    Wan,
    NatB,
    PeerB,
}

impl Column {
    pub(super) fn peer(side: Side) -> Self {
        if side == Side::A { Self::PeerA } else { Self::PeerB }
    }

    pub(super) fn nat(side: Side) -> Self {
        if side == Side::A { Self::NatA } else { Self::NatB }
    }
}

/// Rows with the same shape differ in time and ports only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// Something that a peer did.
    Note { side: Side, text: String },
    /// A packet on its way.
    Arrow {
        from: Column,
        to: Column,
        says: String,
        /// Why it goes no further; empty where it does.
        end: &'static str,
    },
}

/// A line of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) at: MonoTime,
    pub(super) shape: Shape,
    /// Ports in words, `7` or `7>8`; none for most notes.
    pub(super) ports: BTreeSet<String>,
}

pub(super) fn rows(story: &Story<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for side in Side::BOTH {
        let note = |at, text: String| Row {
            at,
            shape: Shape::Note { side, text },
            ports: BTreeSet::new(),
        };
        let index = side.index();
        rows.push(note(story.started[index], "started".to_owned()));
        rows.extend(
            story.events[index]
                .iter()
                .filter_map(|event| reported(side, event)),
        );
        let (at, how) = story.ended[index];
        rows.push(note(at, how.to_owned()));
    }
    let flows = flow::flows(story.traffic, &story.places);
    for flow in &flows {
        let spoke = Side::BOTH.map(|side| spoke(flow, side));
        for seen in &flow.packets {
            between_peers(&mut rows, story, flow, spoke, seen);
        }
    }
    for packet in &story.traffic.packets {
        if flow::flow_packet(packet, &story.places).is_none() {
            rows.extend(other(packet, story));
        }
    }
    rows.sort_by_key(|row| row.at);
    rows
}

/// A packet from one peer to the other: where it comes to the WAN, and where it arrives. `spoke` is
/// since when each side's NAT had reason to let the other in.
fn between_peers(
    rows: &mut Vec<Row>,
    story: &Story<'_>,
    flow: &Flow,
    spoke: [Option<MonoTime>; 2],
    seen: &FlowPacket,
) {
    let (side, other) = (seen.from, seen.from.other());
    let [own, others] = [flow.port(side), flow.port(other)];
    let mut ports = if own == others { own.to_string() } else { format!("{own}>{others}") };
    let mut says = if seen.data > 0 { "data".to_owned() } else { short(seen.kind).to_owned() };
    if !seen.translated {
        says += " raw";
    } else if seen.kind == PacketKind::Syn && own != others && aims_at(story, side, others) {
        says += " remapped";
        ports = format!("{others} as {own}");
    }
    let row = |at, from, to, end| Row {
        at,
        shape: Shape::Arrow { from, to, says: says.clone(), end },
        ports: [ports.clone()].into(),
    };
    let from = match seen.sender {
        PacketSender::Host(side) => Column::peer(side),
        PacketSender::Nat(side, _) => Column::nat(side),
    };
    rows.push(row(seen.at, from, Column::Wan, fate(seen.fate)));
    if let Some(at) = seen.delivered() {
        let open =
            story.places[other].nats == 0 || spoke[other.index()].is_some_and(|since| since <= at);
        let (to, end) = if gets_in(flow, seen, open) {
            (Column::peer(other), "")
        } else {
            (Column::nat(other), "not let in")
        };
        rows.push(row(at, Column::Wan, to, end));
    }
}

/// Whether a peer of ours uses that port: then its SYNs leave it by that port as well.
fn aims_at(story: &Story<'_>, side: Side, wanted: u16) -> bool {
    story.events[side.index()].iter().any(
        |event| matches!(&event.kind, EventKind::Ports { ports, .. } if ports.contains(&wanted)),
    )
}

/// Since when a side's NAT lets the other side's packets in, as far as can be told: since its first
/// packet, or from the beginning where its host accepts what it did not ask for.
fn spoke(flow: &Flow, side: Side) -> Option<MonoTime> {
    let first = flow.packets.iter().find(|seen| seen.from == side)?;
    Some(if first.kind == PacketKind::SynAck { MonoTime::from_nanos(0) } else { first.at })
}

/// Whether the receiver's NAT, open or not, passes a packet on: what answers it tells.
fn gets_in(flow: &Flow, seen: &FlowPacket, open: bool) -> bool {
    match seen.refusal.map(|refusal| flow.packets[refusal].sender) {
        Some(PacketSender::Nat(..)) => false,
        Some(PacketSender::Host(_)) => true,
        None => open && seen.translated,
    }
}

/// A packet to or from a public host, or to nobody.
fn other(packet: &RecordedPacket, story: &Story<'_>) -> Vec<Row> {
    // What systems say to their neighbours (MLD, RFC 3810) tells nothing of the peers.
    if packet::destination(&packet.bytes).is_some_and(|to| to.is_multicast()) {
        return Vec::new();
    }
    let says = match Packet::parse(&packet.bytes).map(|packet| packet.payload) {
        Some(Payload::Tcp(segment)) => match (segment.rst, segment.syn, segment.ack) {
            (true, _, _) => "RST",
            (_, true, None) => "SYN",
            (_, true, Some(_)) => "SYN-ACK",
            (_, false, _) if segment.data > 0 => "data",
            (_, false, _) => "ACK",
        },
        Some(Payload::IcmpError(error)) if error.undelivered_segment().is_some() => "ICMP",
        Some(Payload::IcmpError(_) | Payload::Echo { .. } | Payload::Udp) | None => "other",
    };
    let side = |port: usize| Side::BOTH.into_iter().find(|side| side.index() == port);
    let name = |port: usize| {
        let name = story.traffic.ports.get(port).map_or("?", String::as_str);
        name.strip_prefix("host-").unwrap_or(name)
    };
    let address =
        || packet::destination(&packet.bytes).map_or_else(String::new, |to| to.to_string());
    let row = |at, from, to, says: String, end| Row {
        at,
        shape: Shape::Arrow { from, to, says, end },
        ports: BTreeSet::new(),
    };
    let mut rows = Vec::new();
    if let Some(sender) = side(packet.from) {
        let to = match packet.fate {
            Fate::Delivered { to, .. } | Fate::InFlight { to } => name(to).to_owned(),
            Fate::Lost | Fate::NoRoute | Fate::Refused => address(),
        };
        let says = format!("{says} to {to}");
        rows.push(row(packet.at, Column::peer(sender), Column::Wan, says, fate(packet.fate)));
    }
    if let Fate::Delivered { to, at } = packet.fate
        && let Some(receiver) = side(to)
    {
        let says = format!("{says} from {}", name(packet.from));
        rows.push(row(at, Column::Wan, Column::peer(receiver), says, ""));
    }
    rows
}

fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Delivered { .. } => "",
        Fate::InFlight { .. } => "on its way at the end",
        Fate::Lost => "lost",
        Fate::NoRoute => "no route",
        Fate::Refused => "not taken",
    }
}

/// Short enough for an arrow.
fn short(kind: PacketKind) -> &'static str {
    match kind {
        PacketKind::Syn => "SYN",
        PacketKind::SynAck => "SYN-ACK",
        PacketKind::Ack => "ACK",
        PacketKind::Fin => "FIN",
        PacketKind::Rst => "RST",
        PacketKind::Icmp(IcmpErrorKind::PortUnreachable) => "ICMP port",
        PacketKind::Icmp(IcmpErrorKind::HostUnreachable) => "ICMP host",
        PacketKind::Icmp(IcmpErrorKind::AdminProhibited) => "ICMP admin",
        PacketKind::Icmp(_) => "ICMP",
    }
}

/// What a peer reports, where the packets do not show it.
#[expect(clippy::wildcard_enum_match_arm, reason = "of all the rest, the packets say as much")]
fn reported(side: Side, event: &Event) -> Option<Row> {
    let (text, port) = match &event.kind {
        EventKind::Ports { buckets, ports } => {
            let buckets: Vec<String> = buckets.iter().map(i64::to_string).collect();
            let of = if buckets.is_empty() { "fixed".to_owned() } else { buckets.join(", ") };
            (format!("{} ports of {of}", ports.len()), None)
        }
        EventKind::Unavailable { port, .. } => ("not bound".to_owned(), Some(*port)),
        EventKind::Refused { port, .. } => ("refused".to_owned(), Some(*port)),
        EventKind::Connected { port, accepted: false, .. } => ("connected".to_owned(), Some(*port)),
        EventKind::Connected { port, accepted: true, .. } => ("accepted".to_owned(), Some(*port)),
        EventKind::Hello { port, .. } => ("HELLO heard".to_owned(), Some(*port)),
        EventKind::Rejected { port, .. } => ("rejected".to_owned(), Some(*port)),
        EventKind::Disconnected { port } => ("disconnected".to_owned(), Some(*port)),
        EventKind::Decided { port, .. } => ("decided".to_owned(), Some(*port)),
        EventKind::Returned { local, .. } => ("returned".to_owned(), Some(local.port())),
        EventKind::Failed { .. } => ("gave up".to_owned(), None),
        _ => return None,
    };
    Some(Row {
        at: event.at,
        shape: Shape::Note { side, text },
        ports: port.map(|port| port.to_string()).into_iter().collect(),
    })
}
