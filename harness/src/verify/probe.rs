//! Probes that are sent through a NAT, and their results.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::Socket;

use super::{
    builders,
    icmp::IcmpProbes,
    rig::{NatRig, ProbeFlow},
};
use crate::{
    nat::{Allocation, NatSpec},
    packet::{IcmpError, Packet, Payload, Segment, Transport},
    peers::Family,
};

/// Inside ports whose mappings are compared, as offsets from the first one. There are enough of
/// them that random outside ports do not look like a block by chance, and sequential outside ports
/// do not follow their order.
const MAPPED: [u16; 8] = [0, 3, 1, 7, 12, 5, 18, 9];

/// Inside ports of all other probes, as offsets from the first one.
const FILTERED: u16 = 30;
const CONNECTS: u16 = 31;
const OPENS: u16 = 32;
const HAIRPIN_CLIENT: u16 = 33;
const HAIRPIN_SERVER: u16 = 34;
const ERRORS: u16 = 35;
pub(super) const REMEMBERED: u16 = 40;

/// Outside ports without a mapping: they are below all ports that NATs allocate.
const UNMAPPED: [u16; 3] = [7, 9, 11];

/// SYNs from one address: twice the number that Linux answers at once.
const FLOOD: u16 = 12;

/// Initial sequence number of remote hosts.
pub(super) const REMOTE_SEQ: u32 = 1000;

/// Results of all probes but those of time-outs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProbeResults {
    pub(super) tcp: PerTransport,
    pub(super) udp: PerTransport,
    /// Whether a handshake from inside is completed.
    pub(super) connects: bool,
    /// Whether a SYN from outside meets one from inside, and is answered.
    pub(super) simultaneous_open: bool,
    /// Number of ICMP answers to [`FLOOD`] SYNs from one address.
    pub(super) icmp_answers: usize,
    /// Whether an ICMP error about a mapping comes to the inside host.
    pub(super) icmp_errors: bool,
    /// Whether an inside host gets replies to echo requests.
    pub(super) icmp_echoes: bool,
}

/// Results of the probes with one transport protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PerTransport {
    /// The outside endpoints of each inside endpoint.
    pub(super) mappings: Vec<Mappings>,
    /// Outside endpoints of two inside hosts that send from the same port to the same destination.
    pub(super) second_same: Vec<[Option<SocketAddr>; 2]>,
    /// Outside endpoints of two inside hosts that send from the same port to different
    /// destinations.
    pub(super) second_other: Vec<[Option<SocketAddr>; 2]>,
    /// Whether a packet from the endpoint that was sent to comes in.
    pub(super) contacted: bool,
    /// Whether a packet from another port of an address that was sent to comes in.
    pub(super) other_port: bool,
    /// Whether a packet from an address that was not sent to comes in.
    pub(super) stranger: bool,
    /// Answers to packets to ports without a mapping.
    pub(super) unsolicited: Vec<Answer>,
    /// The packet of the first inside host to the outside endpoint of the second one, if it came.
    pub(super) hairpin: Option<HairpinResult>,
}

/// Outside endpoints of an inside endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mappings {
    pub(super) inside: SocketAddr,
    /// Towards one address, another port of that address, and another address.
    pub(super) outside: [Option<SocketAddr>; 3],
}

/// Answer to an unsolicited packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Reset,
    Icmp(IcmpError),
    /// A socket accepted the packet.
    Accepted,
    /// The packet came to an inside host.
    LetIn,
}

/// A hairpinned packet, as the second inside host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HairpinResult {
    /// Source of the packet.
    pub(super) source: SocketAddr,
    /// Inside endpoint of the sender.
    pub(super) inside: SocketAddr,
    /// Outside endpoint of the sender, as seen on the WAN.
    pub(super) outside: Option<SocketAddr>,
    /// Whether the answer came back to the sender; always true with UDP, which has no answers.
    pub(super) answered: bool,
}

/// The first inside port of the probes. No inside port lies in the NAT's block: the NAT would keep
/// such a port, and look like one that preserves ports.
pub(super) fn first_port(nat: &NatSpec) -> u16 {
    const USED: u16 = 100;
    let free = |first: &u16| match nat.allocation {
        Allocation::Block(block) => *first > block.last || first + USED < block.first,
        Allocation::Preserving
        | Allocation::PreservingOverloading
        | Allocation::Random
        | Allocation::Sequential
        | Allocation::FixedDelta(_) => true,
    };
    // With a delta of 30,000 either way the first one still has an outside port.
    [31_000, 50_000, 4000]
        .into_iter()
        .find(free)
        .unwrap_or(31_000)
}

/// All probes that were sent, from which the results are computed.
#[derive(Debug)]
pub(super) struct Probes {
    family: Family,
    tcp: TransportProbes,
    udp: TransportProbes,
    connect: ProbeFlow,
    simultaneous: ProbeFlow,
    /// Source of the flood of SYNs.
    flooder: IpAddr,
    icmp: IcmpProbes,
}

#[derive(Debug)]
struct TransportProbes {
    mappings: Vec<ProbeFlow>,
    second_same: Vec<ProbeFlow>,
    second_other: Vec<ProbeFlow>,
    filter: ProbeFlow,
    stranger: SocketAddr,
    unsolicited: Vec<(SocketAddr, SocketAddr)>,
    hairpin: Option<HairpinProbe>,
}

#[derive(Debug)]
struct HairpinProbe {
    client: ProbeFlow,
    server: ProbeFlow,
    /// The server's listener with TCP, and the client's socket to the server's outside endpoint;
    /// held open until the end.
    _sockets: (Option<Socket>, Vec<ProbeFlow>),
}

impl Probes {
    /// Sends all probes.
    ///
    /// # Errors
    /// The kernel refuses a socket, or a descriptor failed.
    pub(super) fn send(rig: &mut NatRig, nat: &NatSpec) -> io::Result<Self> {
        let first = first_port(nat);
        let tcp = TransportProbes::open(rig, Transport::Tcp, first)?;
        let udp = TransportProbes::open(rig, Transport::Udp, first)?;
        let connect = rig.open(0, Transport::Tcp, first + CONNECTS)?;
        let simultaneous = rig.open(0, Transport::Tcp, first + OPENS)?;
        let flooder = rig.fresh_address();
        let icmp = IcmpProbes::send(rig, first + ERRORS)?;
        let all = Self { family: rig.family, tcp, udp, connect, simultaneous, flooder, icmp };
        all.inject(rig)?;
        Ok(all)
    }

    fn inject(&self, rig: &NatRig) -> io::Result<()> {
        self.tcp.inject(rig)?;
        self.udp.inject(rig)?;
        if let Some(to) = self.simultaneous.outside {
            rig.inject_first(Transport::Tcp, self.simultaneous.remote, to)?;
        }
        if let Some(to) = self.connect.outside {
            let segment = syn_ack(self.connect.sequence);
            rig.inject(&builders::tcp(self.connect.remote, to, segment))?;
        }
        let to = SocketAddr::new(unmapped(rig), UNMAPPED[0]);
        for port in 0..FLOOD {
            rig.inject_first(Transport::Tcp, SocketAddr::new(self.flooder, 2000 + port), to)?;
        }
        Ok(())
    }

    /// The results so far: a pure function of the packets.
    pub(super) fn results(&self, rig: &NatRig) -> ProbeResults {
        let (connect, simultaneous) = (&self.connect, &self.simultaneous);
        let from_us = |flow: &ProbeFlow, what: &dyn Fn(Segment) -> bool| {
            rig.outside.iter().any(|packet| {
                packet.destination == flow.remote
                    && Some(packet.source) == flow.outside
                    && packet.segment().is_some_and(what)
            })
        };
        let to_flooder = |packet: &&Packet| {
            packet.destination.ip() == self.flooder
                && matches!(packet.payload, Payload::IcmpError(_))
        };
        ProbeResults {
            tcp: self.tcp.results(rig, self.family),
            udp: self.udp.results(rig, self.family),
            connects: from_us(connect, &|segment| {
                segment.ack.is_some() && !segment.syn && !segment.rst
            }),
            simultaneous_open: came(rig, simultaneous.remote, simultaneous.inside)
                && from_us(simultaneous, &|segment| segment.syn && segment.ack.is_some()),
            icmp_answers: rig.outside.iter().filter(to_flooder).count(),
            icmp_errors: self.icmp.passes_errors(rig),
            icmp_echoes: self.icmp.echoes(rig),
        }
    }
}

/// The SYN-ACK of a remote host.
pub(super) fn syn_ack(sequence: u32) -> Segment {
    Segment {
        sequence: REMOTE_SEQ,
        ack: Some(sequence.wrapping_add(1)),
        syn: true,
        ..Segment::default()
    }
}

/// Whether a packet came from one endpoint to another on the first inside host.
fn came(rig: &NatRig, from: SocketAddr, to: SocketAddr) -> bool {
    rig.inside[0]
        .iter()
        .any(|packet| packet.source == from && packet.destination == to)
}

/// Destination of unsolicited packets: the NAT, or a host behind it where nothing is translated.
fn unmapped(rig: &NatRig) -> IpAddr {
    match rig.family {
        Family::V4 => rig.wan,
        Family::V6 => rig.host(0),
    }
}

impl TransportProbes {
    /// Sends the probes from inside.
    fn open(rig: &mut NatRig, transport: Transport, first: u16) -> io::Result<Self> {
        let mut wanted = Vec::new();
        for port in MAPPED.map(|offset| first + offset) {
            let (one, other) = (rig.fresh_address(), rig.fresh_address());
            for remote in [(one, 80), (one, 81), (other, 80)] {
                wanted.push((transport, port, SocketAddr::from(remote)));
            }
        }
        // No other probe comes in between, so that sequential ports have no gaps.
        let mut mappings = rig.start(0, &wanted)?;
        rig.wait_for_first_packets(&mut mappings)?;

        let filter = rig.open(0, transport, first + FILTERED)?;
        let (mut second_same, mut second_other, mut hairpin) = (Vec::new(), Vec::new(), None);
        if rig.family == Family::V4 {
            let mut firsts = wanted.iter().step_by(3);
            let same: Vec<_> = firsts.by_ref().take(3).copied().collect();
            second_same = rig.start(1, &same)?;
            let mut other = Vec::new();
            for (_, port, _) in firsts.take(3) {
                other.push((transport, *port, SocketAddr::new(rig.fresh_address(), 80)));
            }
            second_other = rig.start(1, &other)?;
            rig.wait_for_first_packets(&mut second_same)?;
            rig.wait_for_first_packets(&mut second_other)?;
            hairpin = Some(HairpinProbe::open(rig, transport, first)?);
        }
        let stranger = SocketAddr::new(rig.fresh_address(), 80);
        let to = unmapped(rig);
        let unsolicited = UNMAPPED
            .map(|port| (SocketAddr::new(rig.fresh_address(), 4000), SocketAddr::new(to, port)));
        Ok(Self {
            mappings,
            second_same,
            second_other,
            filter,
            stranger,
            unsolicited: unsolicited.to_vec(),
            hairpin,
        })
    }

    /// Sends the probes from outside.
    fn inject(&self, rig: &NatRig) -> io::Result<()> {
        let ProbeFlow { transport, remote, outside, .. } = self.filter;
        if let Some(to) = outside {
            for from in [SocketAddr::new(remote.ip(), 81), self.stranger] {
                rig.inject_first(transport, from, to)?;
            }
            // With TCP this would be a simultaneous open, which has a probe of its own.
            if transport == Transport::Udp {
                rig.inject_first(transport, remote, to)?;
            }
        }
        for (from, to) in &self.unsolicited {
            rig.inject_first(transport, *from, *to)?;
        }
        Ok(())
    }

    fn results(&self, rig: &NatRig, family: Family) -> PerTransport {
        let ProbeFlow { inside, remote, .. } = self.filter;
        let of_both = |second: &[ProbeFlow], first: usize| {
            let pairs = second.iter().enumerate();
            pairs
                .map(|(index, flow)| [self.mappings[(first + index) * 3].outside, flow.outside])
                .collect()
        };
        PerTransport {
            mappings: self
                .mappings
                .chunks_exact(3)
                .map(|flows| Mappings {
                    inside: flows[0].inside,
                    outside: [flows[0].outside, flows[1].outside, flows[2].outside],
                })
                .collect(),
            second_same: of_both(&self.second_same, 0),
            second_other: of_both(&self.second_other, 3),
            contacted: came(rig, remote, inside),
            other_port: came(rig, SocketAddr::new(remote.ip(), 81), inside),
            stranger: came(rig, self.stranger, inside),
            unsolicited: self
                .unsolicited
                .iter()
                .map(|(from, to)| answer(rig, *from, *to))
                .collect(),
            hairpin: match family {
                Family::V4 => self.hairpin.as_ref().and_then(|probe| probe.result(rig)),
                Family::V6 => None,
            },
        }
    }
}

impl HairpinProbe {
    fn open(rig: &mut NatRig, transport: Transport, first: u16) -> io::Result<Self> {
        let client = rig.open(0, transport, first + HAIRPIN_CLIENT)?;
        let server = rig.open(1, transport, first + HAIRPIN_SERVER)?;
        let listener = match transport {
            Transport::Tcp => Some(rig.listen(1, first + HAIRPIN_SERVER)?),
            Transport::Udp => None,
        };
        let through = match server.outside {
            Some(to) => rig.start(0, &[(transport, first + HAIRPIN_CLIENT, to)])?,
            None => Vec::new(),
        };
        Ok(Self { client, server, _sockets: (listener, through) })
    }

    fn result(&self, rig: &NatRig) -> Option<HairpinResult> {
        let Self { client, server, .. } = self;
        let packet = rig.inside[1]
            .iter()
            .find(|packet| packet.destination == server.inside && packet.opens(server.transport))?;
        let answered = client.transport == Transport::Udp
            || rig.inside[0].iter().any(|packet| {
                packet.destination == client.inside
                    && Some(packet.source) == server.outside
                    && packet
                        .segment()
                        .is_some_and(|segment| segment.syn && segment.ack.is_some())
            });
        Some(HairpinResult {
            source: packet.source,
            inside: client.inside,
            outside: client.outside,
            answered,
        })
    }
}

/// The answer to an unsolicited packet.
fn answer(rig: &NatRig, from: SocketAddr, to: SocketAddr) -> Answer {
    let came = rig
        .inside
        .iter()
        .flatten()
        .any(|packet| packet.source == from);
    if came {
        return Answer::LetIn;
    }
    let mut answers = rig
        .outside
        .iter()
        .filter_map(|packet| match packet.payload {
            Payload::Tcp(segment) if packet.destination == from => {
                Some(if segment.rst { Answer::Reset } else { Answer::Accepted })
            }
            Payload::Udp if packet.destination == from => Some(Answer::Accepted),
            Payload::IcmpError(error)
                if packet.destination.ip() == from.ip()
                    && error.quoted.is_some_and(|quoted| quoted.destination == to) =>
            {
                Some(Answer::Icmp(error))
            }
            Payload::Tcp(_) | Payload::Udp | Payload::IcmpError(_) | Payload::Echo { .. } => None,
        });
    answers.next().unwrap_or(Answer::Nothing)
}
