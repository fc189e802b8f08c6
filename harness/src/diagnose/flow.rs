//! The packets of the WAN sorted into flows: one flow for each pair of ends, as the WAN sees them,
//! with the sender, the time and the fate of every packet.
//!
//! A flow holds only packets between the peers, none to or from further public hosts. The WAN sees
//! a packet behind the sender's NATs and before the receiver's: a delivered packet has reached the
//! receiver's outermost NAT, which need not have let it in.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use punch::proto::time::MonoTime;

use crate::{
    packet::{IcmpErrorKind, Packet, Payload, Segment, Transport},
    peers::{Pair, Side},
    wan::{Fate, RecordedPacket, Traffic},
};

/// A peer as the WAN knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerLocation {
    /// The address by which others reach the peer.
    pub(crate) address: IpAddr,
    /// Number of NATs between the peer's host and the WAN.
    pub(crate) nats: u8,
    /// How long the peer's NAT remembers a SYN without an answer, where that is known to be short.
    pub(crate) forgets_after: Option<Duration>,
    /// How long the peer's NAT remembers a datagram without an answer, if nothing else lets in an
    /// answer after that.
    pub(crate) forgets_datagram_after: Option<Duration>,
    /// Whether the peer's NAT drops every SYN from outside, against RFC 5382 REQ-2.
    pub(crate) drops_syns: bool,
}

/// Sender of a packet: the host of a peer, or a NAT in front of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketSender {
    /// The host.
    Host(Side),
    /// The NAT with this many routers between itself and the WAN; 0 is the outermost.
    Nat(Side, u8),
}

impl fmt::Display for PacketSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(side) => write!(f, "host {side}"),
            Self::Nat(side, 0) => write!(f, "NAT {side}"),
            Self::Nat(side, inner) => write!(f, "NAT {side} (inner {inner})"),
        }
    }
}

/// Kind of a packet: the flags of a TCP segment, a datagram, or an ICMP error about one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketKind {
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// ACK, with or without data.
    Ack,
    /// FIN.
    Fin,
    /// RST.
    Rst,
    /// A UDP datagram.
    Datagram,
    /// An ICMP error.
    Icmp(IcmpErrorKind),
}

impl fmt::Display for PacketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syn => "SYN",
            Self::SynAck => "SYN-ACK",
            Self::Ack => "ACK",
            Self::Fin => "FIN",
            Self::Rst => "RST",
            Self::Datagram => "datagram",
            Self::Icmp(kind) => kind.name(),
        })
    }
}

impl PacketKind {
    fn of(segment: Segment) -> Self {
        match segment {
            Segment { rst: true, .. } => Self::Rst,
            Segment { syn: true, ack: None, .. } => Self::Syn,
            Segment { syn: true, ack: Some(_), .. } => Self::SynAck,
            Segment { fin: true, .. } => Self::Fin,
            Segment { .. } => Self::Ack,
        }
    }
}

/// A packet of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlowPacket {
    /// When the packet came to the WAN.
    pub(crate) at: MonoTime,
    /// The side from which the packet came to the WAN.
    pub(crate) from: Side,
    /// The host or NAT that sent the packet.
    pub(crate) sender: PacketSender,
    /// The kind of packet.
    pub(crate) kind: PacketKind,
    /// What became of the packet.
    pub(crate) fate: Fate,
    /// Whether the source is the sender's address on the WAN. NATs let some packets out
    /// untranslated, such as a RST to an unknown connection; the receiver cannot answer those.
    pub(crate) translated: bool,
    /// Bytes of data.
    pub(crate) data: usize,
    /// The refusal (RST or ICMP error) that answered the packet, by its index in the flow.
    pub(crate) refusal: Option<usize>,
    sequence: u32,
    /// The acknowledgment number; of an ICMP error, the quoted sequence number.
    acknowledges: Option<u32>,
}

impl FlowPacket {
    /// When the packet was handed to the outermost NAT, or the host, of the other side.
    pub(crate) fn delivered(&self) -> Option<MonoTime> {
        if let Fate::Delivered { at, .. } = self.fate { Some(at) } else { None }
    }

    /// Whether the packet opens the way through the sender's NAT and asks for an answer: a SYN
    /// without ACK, or any datagram.
    fn is_opening(&self) -> bool {
        matches!(self.kind, PacketKind::Syn | PacketKind::Datagram)
    }

    /// Whether the packet has a SYN flag, with or without ACK.
    fn is_syn(&self) -> bool {
        matches!(self.kind, PacketKind::Syn | PacketKind::SynAck)
    }

    /// Whether the packet acknowledges this SYN of the other side.
    fn accepts(&self, syn: &Self) -> bool {
        // An acknowledgment of data has a somewhat higher number.
        const MAX_DATA: u32 = 1 << 20;
        let acknowledges =
            matches!(self.kind, PacketKind::SynAck | PacketKind::Ack | PacketKind::Fin);
        let beyond = |number: u32| number.wrapping_sub(syn.sequence.wrapping_add(1));
        acknowledges
            && self
                .acknowledges
                .is_some_and(|number| beyond(number) < MAX_DATA)
    }

    /// Whether the packet refuses this SYN or datagram of the other side.
    fn refuses(&self, syn: &Self) -> bool {
        match self.kind {
            // An error about a datagram has nothing that tells it from others of the same ends.
            PacketKind::Icmp(_) if syn.kind == PacketKind::Datagram => true,
            PacketKind::Icmp(_) => self.acknowledges == Some(syn.sequence),
            // A RST without ACK belongs to a connection, not to a particular SYN (RFC 9293 3.5.2).
            PacketKind::Rst => self.acknowledges == Some(syn.sequence.wrapping_add(1)),
            PacketKind::Syn
            | PacketKind::SynAck
            | PacketKind::Ack
            | PacketKind::Fin
            | PacketKind::Datagram => false,
        }
    }
}

/// All packets of a transport protocol between two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The transport protocol.
    pub(crate) transport: Transport,
    /// The ends of a and b, as the WAN sees them.
    pub(crate) ends: Pair<SocketAddr>,
    /// The packets in the order in which they came to the WAN.
    pub(crate) packets: Vec<FlowPacket>,
}

/// Longest time that an ACK takes from the WAN to a host, which from then on repeats its SYN no
/// more.
const MAX_PASSAGE: Duration = Duration::from_millis(50);

impl Flow {
    /// The port of a side's end.
    pub(crate) fn port(&self, side: Side) -> u16 {
        self.ends[side].port()
    }

    /// Packets that came from a side.
    fn sent_by(&self, side: Side) -> impl Iterator<Item = &FlowPacket> {
        self.packets
            .iter()
            .filter(move |packet| packet.from == side)
    }

    /// SYNs (without ACK) of a side, or its datagrams.
    pub(crate) fn openings(&self, side: Side) -> impl Iterator<Item = &FlowPacket> {
        self.sent_by(side).filter(|packet| packet.is_opening())
    }

    /// The first SYN or datagram of a side.
    pub(crate) fn first_opening(&self, side: Side) -> Option<&FlowPacket> {
        self.openings(side).next()
    }

    /// Whether both sides sent SYNs, or datagrams.
    pub(crate) fn is_mutual(&self) -> bool {
        Side::BOTH
            .into_iter()
            .all(|side| self.first_opening(side).is_some())
    }

    /// Bytes of data that a side sent, retransmissions included.
    pub(crate) fn data(&self, side: Side) -> usize {
        self.sent_by(side).map(|packet| packet.data).sum()
    }

    /// When a side's end of the connection was up: the side has acknowledged a SYN of the other
    /// one, has received an acknowledgment of its own SYN, and repeats that SYN no more.
    ///
    /// A side that repeats its SYN in spite of an acknowledgment does not receive acknowledgments.
    /// Then only a later ACK of that side shows that it is up, since after the last acknowledgment
    /// there may have been no time for another repeat.
    pub(crate) fn up(&self, side: Side) -> Option<MonoTime> {
        let syns_of = |side: Side| -> Vec<&FlowPacket> {
            self.sent_by(side)
                .filter(|packet| packet.is_syn())
                .collect()
        };
        let (own, others) = (syns_of(side), syns_of(side.other()));
        let accepts_any = |packet: &FlowPacket| others.iter().any(|syn| packet.accepts(syn));
        if !self.sent_by(side).any(accepts_any) {
            return None;
        }
        let received = self
            .sent_by(side.other())
            .filter(|packet| packet.translated);
        let mut ignored = false;
        let mut up: Option<MonoTime> = None;
        for packet in received {
            let Some(at) = packet.delivered() else { continue };
            let mut accepted = own
                .iter()
                .filter(|syn| syn.at <= packet.at && packet.accepts(syn));
            let Some(syn) = accepted.next() else { continue };
            let repeated = own
                .iter()
                .any(|other| other.sequence == syn.sequence && other.at > at + MAX_PASSAGE);
            if repeated {
                ignored = true;
            } else {
                up = Some(up.map_or(at, |earlier| earlier.min(at)));
            }
        }
        let acknowledges_after = |at: MonoTime| {
            self.sent_by(side)
                .any(|packet| packet.kind == PacketKind::Ack && packet.at >= at)
        };
        up.filter(|at| !ignored || acknowledges_after(*at))
    }

    /// When both ends were up.
    pub(crate) fn complete(&self) -> Option<MonoTime> {
        Some(self.up(Side::A)?.max(self.up(Side::B)?))
    }

    /// Notes for each SYN or datagram the refusal that answers it. A refusal answers the latest one
    /// that had arrived by then.
    fn match_refusals(&mut self) {
        // SYNs without a refusal are few, however long the flow is.
        let mut open: Vec<usize> = Vec::new();
        for index in 0..self.packets.len() {
            let packet = &self.packets[index];
            if packet.is_syn() || packet.is_opening() {
                open.push(index);
            }
            if !matches!(packet.kind, PacketKind::Rst | PacketKind::Icmp(_)) {
                continue;
            }
            let answered = open.iter().rposition(|syn| {
                let syn = &self.packets[*syn];
                let arrived = syn.delivered().is_some_and(|at| at <= packet.at);
                syn.from != packet.from && arrived && packet.refuses(syn)
            });
            if let Some(answered) = answered {
                let syn = open.remove(answered);
                self.packets[syn].refusal = Some(index);
            }
        }
    }
}

/// The flows of a transport protocol between the peers, in the order of their ends. Ports 0 and 1
/// of the WAN are the peers'.
pub(crate) fn flows(
    traffic: &Traffic,
    locations: &Pair<PeerLocation>,
    transport: Transport,
) -> Vec<Flow> {
    let mut by_ends: BTreeMap<Pair<SocketAddr>, Flow> = BTreeMap::new();
    for recorded in &traffic.packets {
        let Some((ends, packet)) = flow_packet(recorded, locations, transport) else { continue };
        let empty = || Flow { transport, ends, packets: Vec::new() };
        let flow = by_ends.entry(ends).or_insert_with(empty);
        flow.packets.push(packet);
    }
    let mut flows: Vec<Flow> = by_ends.into_values().collect();
    flows.iter_mut().for_each(Flow::match_refusals);
    flows
}

/// A packet of a transport protocol from one peer to the other, with the ends of its flow; `None`
/// for other packets.
pub(crate) fn flow_packet(
    recorded: &RecordedPacket,
    locations: &Pair<PeerLocation>,
    transport: Transport,
) -> Option<(Pair<SocketAddr>, FlowPacket)> {
    let from = match recorded.from {
        0 => Side::A,
        1 => Side::B,
        _ => return None,
    };
    let packet = Packet::parse(&recorded.bytes)?;
    let (here, there, kind, sequence, acknowledges, data);
    match packet.payload {
        Payload::Tcp(segment) if transport == Transport::Tcp => {
            (here, there) = (packet.source, packet.destination);
            kind = PacketKind::of(segment);
            (sequence, acknowledges) = (segment.sequence, segment.ack);
            // Data of a RST is text for people (RFC 9293 3.5.3).
            data = if segment.rst { 0 } else { segment.data };
        }
        Payload::Udp if transport == Transport::Udp => {
            (here, there) = (packet.source, packet.destination);
            kind = PacketKind::Datagram;
            (sequence, acknowledges, data) = (0, None, 0);
        }
        Payload::IcmpError(error) if transport == Transport::Udp => {
            let datagram = error.undelivered_datagram()?;
            (here, there) = (datagram.destination, datagram.source);
            kind = PacketKind::Icmp(error.kind);
            (sequence, acknowledges, data) = (0, None, 0);
        }
        Payload::IcmpError(error) => {
            let (segment, quoted_sequence) = error.undelivered_segment()?;
            (here, there) = (segment.destination, segment.source);
            kind = PacketKind::Icmp(error.kind);
            (sequence, acknowledges, data) = (0, Some(quoted_sequence), 0);
        }
        Payload::Tcp(_) | Payload::Udp | Payload::Echo { .. } => return None,
    }
    let location = locations[from];
    if there.ip() != locations[from.other()].address {
        return None;
    }
    let own_end = SocketAddr::new(location.address, here.port());
    let ends = match from {
        Side::A => Pair::new(own_end, there),
        Side::B => Pair::new(there, own_end),
    };
    let flow_packet = FlowPacket {
        at: recorded.at,
        from,
        sender: sender(from, location, packet.hop_limit),
        kind,
        fate: recorded.fate,
        translated: here.ip() == location.address,
        data,
        refusal: None,
        sequence,
        acknowledges,
    };
    Some((ends, flow_packet))
}

/// The sender of a packet that came to the WAN with this hop limit. Every router on the way has
/// taken one from the initial value, which systems choose to be 64, 128 or 255.
fn sender(side: Side, location: PeerLocation, hop_limit: u8) -> PacketSender {
    let initial = [64, 128]
        .into_iter()
        .find(|initial| *initial >= hop_limit)
        .unwrap_or(255);
    let routers = initial - hop_limit;
    if routers < location.nats {
        PacketSender::Nat(side, routers)
    } else {
        PacketSender::Host(side)
    }
}
