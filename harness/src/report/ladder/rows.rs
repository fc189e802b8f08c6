//! Rows of the ladder, made of packets and events and sorted by time.

use std::collections::BTreeSet;

use punch::{Event, EventKind, proto::time::MonoTime};

use super::LadderInput;
use crate::{
    diagnose::flow::{self, Flow, FlowPacket, PacketKind, PacketSender},
    packet::{self, IcmpErrorKind, Packet, Payload, Transport},
    peers::{Pair, Side},
    wan::{Fate, RecordedPacket},
};

/// Vertical line of the ladder that stands for one host or network, from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lifeline {
    PeerA,
    NatA,
    Wan,
    NatB,
    PeerB,
}

impl Lifeline {
    pub(super) fn peer(side: Side) -> Self {
        if side == Side::A { Self::PeerA } else { Self::PeerB }
    }

    pub(super) fn nat(side: Side) -> Self {
        if side == Side::A { Self::NatA } else { Self::NatB }
    }
}

/// Content of a row, apart from time and ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// Action or event of a peer.
    Note { side: Side, text: String },
    /// Way of a packet from one lifeline to another.
    Arrow {
        from: Lifeline,
        to: Lifeline,
        text: String,
        /// Reason why the packet goes no further; empty if the packet goes on or arrives.
        stop: &'static str,
    },
}

/// A row of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) at: MonoTime,
    pub(super) shape: Shape,
    /// Ports as text, `7` or `7>8`; none for most notes.
    pub(super) ports: BTreeSet<String>,
}

pub(super) fn rows(input: &LadderInput<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for side in Side::BOTH {
        let note = |at, text: String| Row {
            at,
            shape: Shape::Note { side, text },
            ports: BTreeSet::new(),
        };
        rows.push(note(input.started[side], "started".to_owned()));
        rows.extend(
            input.events[side]
                .iter()
                .filter_map(|event| event_note(side, event)),
        );
        let (at, exit) = input.ended[side];
        rows.push(note(at, exit.to_owned()));
    }
    let flows = flow::flows(input.traffic, &input.locations, Transport::Tcp);
    for flow in &flows {
        let open_since = Pair::from_fn(|side| open_since(flow, side));
        for packet in &flow.packets {
            push_peer_packet(&mut rows, input, flow, open_since, packet);
        }
    }
    for packet in &input.traffic.packets {
        if flow::flow_packet(packet, &input.locations, Transport::Tcp).is_none() {
            rows.extend(other_packet(packet, input));
        }
    }
    rows.sort_by_key(|row| row.at);
    rows
}

/// Adds the rows of a packet from one peer to the other: to the WAN, and from the WAN to the other
/// side if it is delivered. `open_since` is the result of [`open_since`] for each side.
fn push_peer_packet(
    rows: &mut Vec<Row>,
    input: &LadderInput<'_>,
    flow: &Flow,
    open_since: Pair<Option<MonoTime>>,
    packet: &FlowPacket,
) {
    let (side, other) = (packet.from, packet.from.other());
    let [own, others] = [flow.port(side), flow.port(other)];
    let mut ports = if own == others { own.to_string() } else { format!("{own}>{others}") };
    let mut text = if packet.data > 0 { "data" } else { short(packet.kind) }.to_owned();
    if !packet.translated {
        text += " raw";
    } else if packet.kind == PacketKind::Syn && own != others && uses_port(input, side, others) {
        text += " remapped";
        ports = format!("{others} as {own}");
    }
    let row = |at, from, to, stop| Row {
        at,
        shape: Shape::Arrow { from, to, text: text.clone(), stop },
        ports: [ports.clone()].into(),
    };
    let from = match packet.sender {
        PacketSender::Host(side) => Lifeline::peer(side),
        PacketSender::Nat(side, _) => Lifeline::nat(side),
    };
    rows.push(row(packet.at, from, Lifeline::Wan, stop(packet.fate)));
    if let Some(at) = packet.delivered() {
        let open =
            input.locations[other].nats == 0 || open_since[other].is_some_and(|since| since <= at);
        let (to, stop) = if passes_nat(flow, packet, open) {
            (Lifeline::peer(other), "")
        } else {
            (Lifeline::nat(other), "not let in")
        };
        rows.push(row(at, Lifeline::Wan, to, stop));
    }
}

/// Whether a peer reports this port as one of its own. `punch` sends from the port that it sends
/// to.
fn uses_port(input: &LadderInput<'_>, side: Side, wanted: u16) -> bool {
    input.events[side].iter().any(
        |event| matches!(&event.kind, EventKind::Ports { ports, .. } if ports.contains(&wanted)),
    )
}

/// Time from which the NAT of a side probably lets packets of the other side in: the first packet
/// of the side, or the beginning if that packet is a SYN-ACK, which answers an unsolicited SYN.
fn open_since(flow: &Flow, side: Side) -> Option<MonoTime> {
    let first = flow.packets.iter().find(|packet| packet.from == side)?;
    Some(if first.kind == PacketKind::SynAck { MonoTime::from_nanos(0) } else { first.at })
}

/// Whether the receiver's NAT passes a packet on. The sender of a refusal decides; without a
/// refusal, `open` tells whether the NAT lets packets of this flow in.
fn passes_nat(flow: &Flow, packet: &FlowPacket, open: bool) -> bool {
    match packet.refusal.map(|refusal| flow.packets[refusal].sender) {
        Some(PacketSender::Nat(..)) => false,
        Some(PacketSender::Host(_)) => true,
        None => open && packet.translated,
    }
}

/// Rows of a packet to or from a public host, or to an address that no host has.
fn other_packet(packet: &RecordedPacket, input: &LadderInput<'_>) -> Vec<Row> {
    // Multicast between neighbours, such as MLD (RFC 3810), has nothing to do with the peers.
    if packet::destination(&packet.bytes).is_some_and(|to| to.is_multicast()) {
        return Vec::new();
    }
    let kind = match Packet::parse(&packet.bytes).map(|packet| packet.payload) {
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
        let name = input.traffic.ports.get(port).map_or("?", String::as_str);
        name.strip_prefix("host-").unwrap_or(name)
    };
    let address =
        || packet::destination(&packet.bytes).map_or_else(String::new, |to| to.to_string());
    let row = |at, from, to, text: String, stop| Row {
        at,
        shape: Shape::Arrow { from, to, text, stop },
        ports: BTreeSet::new(),
    };
    let mut rows = Vec::new();
    if let Some(sender) = side(packet.from) {
        let to = match packet.fate {
            Fate::Delivered { to, .. } | Fate::InFlight { to } => name(to).to_owned(),
            Fate::Lost | Fate::NoRoute | Fate::Refused => address(),
        };
        let text = format!("{kind} to {to}");
        rows.push(row(packet.at, Lifeline::peer(sender), Lifeline::Wan, text, stop(packet.fate)));
    }
    if let Fate::Delivered { to, at } = packet.fate
        && let Some(receiver) = side(to)
    {
        let text = format!("{kind} from {}", name(packet.from));
        rows.push(row(at, Lifeline::Wan, Lifeline::peer(receiver), text, ""));
    }
    rows
}

/// Reason why a packet with this fate stops at the WAN; empty if it is delivered.
fn stop(fate: Fate) -> &'static str {
    match fate {
        Fate::Delivered { .. } => "",
        Fate::InFlight { .. } => "on its way at the end",
        Fate::Lost => "lost",
        Fate::NoRoute => "no route",
        Fate::Refused => "not taken",
    }
}

/// Name of a kind of packet that is short enough for an arrow.
fn short(kind: PacketKind) -> &'static str {
    match kind {
        PacketKind::Syn => "SYN",
        PacketKind::SynAck => "SYN-ACK",
        PacketKind::Ack => "ACK",
        PacketKind::Fin => "FIN",
        PacketKind::Rst => "RST",
        PacketKind::Datagram => "UDP",
        PacketKind::Icmp(IcmpErrorKind::PortUnreachable) => "ICMP port",
        PacketKind::Icmp(IcmpErrorKind::HostUnreachable) => "ICMP host",
        PacketKind::Icmp(IcmpErrorKind::AdminProhibited) => "ICMP admin",
        PacketKind::Icmp(_) => "ICMP",
    }
}

/// Note for an event of a peer, unless the packets show the same.
#[expect(clippy::wildcard_enum_match_arm, reason = "packets show all other events")]
fn event_note(side: Side, event: &Event) -> Option<Row> {
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
