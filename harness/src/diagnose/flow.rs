//! The packets of the WAN sorted into flows: one for each pair of ends, as the WAN sees them, with
//! who said what to whom, when, and what became of it.
//!
//! Only what the peers say to each other is in a flow; further public hosts are not. A packet stands
//! on the WAN behind the sender's NATs and before the receiver's: that one was delivered says that
//! it came to the receiver's outermost NAT, not that this one let it in.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use punch::proto::time::MonoTime;

use crate::{
    packet,
    peers::Side,
    wan::{Fate, Packet, Traffic},
};

/// A peer as the WAN knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The address by which others reach it.
    pub(crate) address: IpAddr,
    /// NATs between its host and the WAN.
    pub(crate) nats: u8,
    /// How long its NAT remembers a SYN without an answer, where that is known to be short.
    pub(crate) forgets_after: Option<Duration>,
    /// Whether its NAT drops every SYN from outside, against RFC 5382 REQ-2.
    pub(crate) drops_syns: bool,
}

/// Who sent a packet: a peer's host, or a NAT in front of it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// The host itself.
    Host(Side),
    /// The NAT that many routers away from the WAN; 0 is the outermost.
    Nat(Side, u8),
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(side) => write!(f, "host {side}"),
            Self::Nat(side, 0) => write!(f, "NAT {side}"),
            Self::Nat(side, inner) => write!(f, "NAT {side} (inner {inner})"),
        }
    }
}

/// What a packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
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
    /// An ICMP error, by its name.
    Icmp(&'static str),
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syn => "SYN",
            Self::SynAck => "SYN-ACK",
            Self::Ack => "ACK",
            Self::Fin => "FIN",
            Self::Rst => "RST",
            Self::Icmp(name) => name,
        })
    }
}

/// A packet of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When it came to the WAN.
    pub(crate) at: MonoTime,
    /// Whose end it came from.
    pub(crate) from: Side,
    /// Who sent it.
    pub(crate) by: Speaker,
    /// What it says.
    pub(crate) says: Says,
    /// What became of it.
    pub(crate) fate: Fate,
    /// Whether its source is the sender's address on the WAN. NATs let some packets out as they
    /// are, such as a RST to a connection that they know nothing of; nobody can answer those.
    pub(crate) translated: bool,
    /// Bytes of data.
    pub(crate) data: usize,
    /// The refusal (RST or ICMP error) that answered it, by its place in the flow.
    pub(crate) refusal: Option<usize>,
    sequence: u32,
    /// What it acknowledges; of an ICMP error, the sequence number that it quotes.
    acknowledges: Option<u32>,
}

impl Seen {
    /// When it was handed to the other end's outermost NAT or host.
    pub(crate) fn delivered(&self) -> Option<MonoTime> {
        if let Fate::Delivered { at, .. } = self.fate { Some(at) } else { None }
    }

    /// Whether it is a SYN of its sender's, in whichever form.
    fn is_syn(&self) -> bool {
        matches!(self.says, Says::Syn | Says::SynAck)
    }

    /// Whether it accepts a SYN of the other side's.
    fn accepts(&self, syn: &Self) -> bool {
        let acknowledges = matches!(self.says, Says::SynAck | Says::Ack | Says::Fin);
        // Somewhat later numbers acknowledge data as well.
        const NEAR: u32 = 1 << 20;
        let beyond = |number: u32| number.wrapping_sub(syn.sequence.wrapping_add(1));
        acknowledges
            && self
                .acknowledges
                .is_some_and(|number| beyond(number) < NEAR)
    }

    /// Whether it refuses that SYN of the other side's.
    fn refuses(&self, syn: &Self) -> bool {
        match self.says {
            Says::Icmp(_) => self.acknowledges == Some(syn.sequence),
            // A RST without ACK belongs to a connection, and to no certain SYN (RFC 9293 3.5.2).
            Says::Rst => self.acknowledges == Some(syn.sequence.wrapping_add(1)),
            Says::Syn | Says::SynAck | Says::Ack | Says::Fin => false,
        }
    }
}

/// What passed between two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The ends of a and b, as the WAN sees them.
    pub(crate) ends: [SocketAddr; 2],
    /// The packets in the order in which they came to the WAN.
    pub(crate) packets: Vec<Seen>,
}

/// An ACK may take this long from the WAN to a host that then repeats its SYN no more.
const PASSAGE: Duration = Duration::from_millis(50);

impl Flow {
    /// The port of a side's end.
    pub(crate) fn port(&self, side: Side) -> u16 {
        self.ends[side.index()].port()
    }

    /// SYNs (without ACK) of a side.
    pub(crate) fn syns(&self, side: Side) -> impl Iterator<Item = &Seen> {
        self.packets
            .iter()
            .filter(move |seen| seen.from == side && seen.says == Says::Syn)
    }

    /// A side's first SYN.
    pub(crate) fn first_syn(&self, side: Side) -> Option<&Seen> {
        self.syns(side).next()
    }

    /// Whether both sides sent SYNs.
    pub(crate) fn is_mutual(&self) -> bool {
        Side::BOTH
            .into_iter()
            .all(|side| self.first_syn(side).is_some())
    }

    /// Bytes of data that a side sent, repeated ones included.
    pub(crate) fn data(&self, side: Side) -> usize {
        self.packets
            .iter()
            .filter(|seen| seen.from == side)
            .map(|seen| seen.data)
            .sum()
    }

    /// When a side's end of the connection was up: its SYN is acknowledged, it has acknowledged
    /// the other's, and repeats its own no more. One that has repeated its SYN in spite of an
    /// earlier acknowledgment does not hear them: then only an ACK of its own shows that it is up,
    /// since there may have been no time for another repeat.
    pub(crate) fn up(&self, side: Side) -> Option<MonoTime> {
        let syns_of = |side: Side| -> Vec<&Seen> {
            self.packets
                .iter()
                .filter(|seen| seen.from == side && seen.is_syn())
                .collect()
        };
        let (own, others) = (syns_of(side), syns_of(side.other()));
        let sent = self.packets.iter().filter(|seen| seen.from == side);
        if !sent
            .clone()
            .any(|seen| others.iter().any(|syn| seen.accepts(syn)))
        {
            return None;
        }
        let heard = self
            .packets
            .iter()
            .filter(|seen| seen.from != side && seen.translated);
        let mut ignored = false;
        let mut up = None;
        for seen in heard {
            let Some(at) = seen.delivered() else { continue };
            let mut accepted = own
                .iter()
                .filter(|syn| syn.at <= seen.at && seen.accepts(syn));
            let Some(syn) = accepted.next() else { continue };
            let again = |other: &&Seen| other.sequence == syn.sequence && other.at > at + PASSAGE;
            if own.iter().copied().any(|other| again(&other)) {
                ignored = true;
            } else {
                up = Some(up.map_or(at, |earlier: MonoTime| earlier.min(at)));
            }
        }
        let answers = |at: MonoTime| sent.clone().any(|it| it.says == Says::Ack && it.at >= at);
        up.filter(|at| !ignored || answers(*at))
    }

    /// When both ends were up.
    pub(crate) fn complete(&self) -> Option<MonoTime> {
        let [a, b] = Side::BOTH.map(|side| self.up(side));
        Some(a?.max(b?))
    }

    /// Notes for each refusal which SYN it answers: the latest that had arrived by then.
    fn match_refusals(&mut self) {
        // SYNs that nothing has refused: few, however long the flow is.
        let mut open: Vec<usize> = Vec::new();
        for index in 0..self.packets.len() {
            let seen = &self.packets[index];
            if seen.is_syn() {
                open.push(index);
            }
            if !matches!(seen.says, Says::Rst | Says::Icmp(_)) {
                continue;
            }
            let answered = open.iter().rposition(|syn| {
                let syn = &self.packets[*syn];
                let arrived = syn.delivered().is_some_and(|at| at <= seen.at);
                syn.from != seen.from && arrived && seen.refuses(syn)
            });
            if let Some(answered) = answered {
                let syn = open.remove(answered);
                self.packets[syn].refusal = Some(index);
            }
        }
    }
}

/// The flows between the peers, by their ends. Ports 0 and 1 of the WAN are the peers'.
pub(crate) fn flows(traffic: &Traffic, places: &[Place; 2]) -> Vec<Flow> {
    let mut flows: BTreeMap<[SocketAddr; 2], Flow> = BTreeMap::new();
    for packet in &traffic.packets {
        let Some((ends, seen)) = seen(packet, places) else { continue };
        let empty = || Flow { ends, packets: Vec::new() };
        flows.entry(ends).or_insert_with(empty).packets.push(seen);
    }
    let mut flows: Vec<Flow> = flows.into_values().collect();
    flows.iter_mut().for_each(Flow::match_refusals);
    flows
}

/// A packet of one peer's to the other, and the ends of its flow.
pub(crate) fn seen(packet: &Packet, places: &[Place; 2]) -> Option<([SocketAddr; 2], Seen)> {
    let from = match packet.from {
        0 => Side::A,
        1 => Side::B,
        _ => return None,
    };
    let (here, there, says, sequence, acknowledges, data);
    if let Some(segment) = packet::segment(&packet.bytes) {
        (here, there) = (segment.source, segment.destination);
        says = match (segment.rst, segment.syn, segment.ack, segment.fin) {
            (true, _, _, _) => Says::Rst,
            (_, true, false, _) => Says::Syn,
            (_, true, true, _) => Says::SynAck,
            (_, false, _, true) => Says::Fin,
            (_, false, _, false) => Says::Ack,
        };
        sequence = segment.sequence;
        acknowledges = segment.ack.then_some(segment.acknowledges);
        // Data of a RST is text for people (RFC 9293 3.5.3).
        data = if segment.rst { 0 } else { segment.data };
    } else {
        let error = packet::icmp_error(&packet.bytes)?;
        (here, there) = (error.destination, error.source);
        says = Says::Icmp(error.says);
        (sequence, acknowledges, data) = (0, Some(error.sequence), 0);
    }
    let place = places[from.index()];
    if there.ip() != places[from.other().index()].address {
        return None;
    }
    let translated = here.ip() == place.address;
    let here = SocketAddr::new(place.address, here.port());
    let by = speaker(from, place, packet::hop_limit(&packet.bytes)?);
    let ends = if from == Side::A { [here, there] } else { [there, here] };
    let seen = Seen {
        at: packet.at,
        from,
        by,
        says,
        fate: packet.fate,
        translated,
        data,
        refusal: None,
        sequence,
        acknowledges,
    };
    Some((ends, seen))
}

/// Who sent a packet with that hop limit left: every router on its way took one from the sender's
/// initial value, which systems choose to be 64, 128 or 255.
fn speaker(side: Side, place: Place, left: u8) -> Speaker {
    let initial = [64, 128]
        .into_iter()
        .find(|initial| *initial >= left)
        .unwrap_or(255);
    let routers = initial - left;
    if routers < place.nats { Speaker::Nat(side, routers) } else { Speaker::Host(side) }
}
