//! What is sent through a NAT to find out what it does, and what was seen of it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::Socket;

use super::{
    bench::{Bench, Flow},
    icmp::IcmpProbes,
    packet::{self, IcmpError, Packet, Segment, Transport, What},
};
use crate::{
    nat::{Allocation, NatSpec},
    peers::Family,
};

/// Inside ports whose mappings are compared, above the first one. Random ports of so many do not
/// look like a block by chance, and sequential ones do not follow the order of these.
const MAPPED: [u16; 8] = [0, 3, 1, 7, 12, 5, 18, 9];

/// Inside ports for everything else, above the first one.
const FILTERED: u16 = 30;
const CONNECTS: u16 = 31;
const OPENS: u16 = 32;
const HAIRPIN_CLIENT: u16 = 33;
const HAIRPIN_SERVER: u16 = 34;
const ERRORS: u16 = 35;
pub(super) const REMEMBERED: u16 = 40;

/// Ports to which nobody inside has a mapping: they are below all that NATs allocate.
const UNMAPPED: [u16; 3] = [7, 9, 11];

/// SYNs from one address: twice as many as Linux answers at once.
const MANY: u16 = 12;

/// The sequence number with which remote hosts begin.
pub(super) const REMOTE_SEQ: u32 = 1000;

/// Everything that was seen of a NAT, apart from time-outs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) tcp: PerTransport,
    pub(super) udp: PerTransport,
    /// Whether a handshake from inside is completed.
    pub(super) connects: bool,
    /// Whether a SYN from outside meets one from inside, and is answered.
    pub(super) simultaneous_open: bool,
    /// Of many SYNs from one address, how many were answered with ICMP.
    pub(super) icmp_answers: usize,
    /// Whether an ICMP error about a mapping comes to the inside host.
    pub(super) icmp_errors: bool,
    /// Whether an inside host gets replies to echo requests.
    pub(super) icmp_echoes: bool,
}

/// What was seen with one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PerTransport {
    /// For each inside endpoint, where it seemed to be: towards one address, another port of it,
    /// and another address.
    pub(super) mappings: Vec<Mappings>,
    /// A second inside host on the same port towards the same destination: both outside endpoints.
    pub(super) second_same: Vec<[Option<SocketAddr>; 2]>,
    /// A second inside host on the same port towards another destination.
    pub(super) second_other: Vec<[Option<SocketAddr>; 2]>,
    /// Whether the endpoint that was sent to may answer.
    pub(super) contacted: bool,
    /// Whether another port of an address that was sent to comes in.
    pub(super) other_port: bool,
    /// Whether an address that was not sent to comes in.
    pub(super) stranger: bool,
    /// What became of packets to ports without a mapping.
    pub(super) unsolicited: Vec<Answer>,
    /// What the second inside host sees of the first one, which sends to its outside endpoint.
    pub(super) hairpin: Option<HairpinSeen>,
}

/// Where an inside endpoint seemed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mappings {
    pub(super) inside: SocketAddr,
    pub(super) outside: [Option<SocketAddr>; 3],
}

/// What became of an unsolicited packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Reset,
    Icmp(IcmpError),
    /// Somebody accepted it.
    Accepted,
    /// It came to an inside host.
    LetIn,
}

/// What the second inside host sees of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HairpinSeen {
    /// Where the packet seemed to come from.
    pub(super) source: SocketAddr,
    /// The inside endpoint of the sender.
    pub(super) inside: SocketAddr,
    /// Its outside endpoint, as others on the WAN see it.
    pub(super) outside: Option<SocketAddr>,
    /// Whether the answer came back to it; always with UDP, where nobody answers.
    pub(super) answered: bool,
}

/// The first of the inside ports that probes use, so that none lies in the NAT's block: a port in
/// its range would be kept, and look preserved.
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
    // A constant of 30,000 either way leaves the first one a port.
    [31_000, 50_000, 4000]
        .into_iter()
        .find(free)
        .unwrap_or(31_000)
}

/// Everything that was sent, to be looked up in what was seen.
#[derive(Debug)]
pub(super) struct Probes {
    family: Family,
    tcp: TransportProbes,
    udp: TransportProbes,
    connect: Flow,
    simultaneous: Flow,
    many: IpAddr,
    icmp: IcmpProbes,
}

#[derive(Debug)]
struct TransportProbes {
    mappings: Vec<Flow>,
    second_same: Vec<Flow>,
    second_other: Vec<Flow>,
    filter: Flow,
    stranger: SocketAddr,
    unsolicited: Vec<(SocketAddr, SocketAddr)>,
    hairpin: Option<HairpinProbe>,
}

#[derive(Debug)]
struct HairpinProbe {
    client: Flow,
    server: Flow,
    /// From the client to where the server seems to be, and who answers there with TCP; kept open
    /// until the end.
    _through: (Option<Socket>, Vec<Flow>),
}

impl Probes {
    /// Sends everything.
    ///
    /// # Errors
    /// The kernel refuses a socket, or a descriptor failed.
    pub(super) fn send(bench: &mut Bench, nat: &NatSpec) -> io::Result<Self> {
        let first = first_port(nat);
        let tcp = TransportProbes::open(bench, Transport::Tcp, first)?;
        let udp = TransportProbes::open(bench, Transport::Udp, first)?;
        let connect = bench.open(0, Transport::Tcp, first + CONNECTS)?;
        let simultaneous = bench.open(0, Transport::Tcp, first + OPENS)?;
        let many = bench.fresh_address();
        let icmp = IcmpProbes::send(bench, first + ERRORS)?;
        let all = Self { family: bench.family, tcp, udp, connect, simultaneous, many, icmp };
        all.inject(bench)?;
        Ok(all)
    }

    fn inject(&self, bench: &Bench) -> io::Result<()> {
        self.tcp.inject(bench)?;
        self.udp.inject(bench)?;
        if let Some(to) = self.simultaneous.outside {
            bench.inject_first(Transport::Tcp, self.simultaneous.remote, to)?;
        }
        if let Some(to) = self.connect.outside {
            let segment = syn_ack(self.connect.seq);
            bench.inject(&packet::tcp(self.connect.remote, to, segment))?;
        }
        let to = SocketAddr::new(unmapped(bench), UNMAPPED[0]);
        for port in 0..MANY {
            bench.inject_first(Transport::Tcp, SocketAddr::new(self.many, 2000 + port), to)?;
        }
        Ok(())
    }

    /// What has been seen so far: a pure function of the packets.
    pub(super) fn seen(&self, bench: &Bench) -> Seen {
        let (connect, simultaneous) = (&self.connect, &self.simultaneous);
        let from_us = |flow: &Flow, what: &dyn Fn(Segment) -> bool| {
            bench.outside.iter().any(|packet| {
                packet.destination == flow.remote
                    && Some(packet.source) == flow.outside
                    && packet.segment().is_some_and(what)
            })
        };
        let to_many = |packet: &&Packet| {
            packet.destination.ip() == self.many && matches!(packet.what, What::Unreachable { .. })
        };
        Seen {
            tcp: self.tcp.seen(bench, self.family),
            udp: self.udp.seen(bench, self.family),
            connects: from_us(connect, &|it| it.ack.is_some() && !it.syn && !it.rst),
            simultaneous_open: came(bench, simultaneous.remote, simultaneous.inside)
                && from_us(simultaneous, &|it| it.syn && it.ack.is_some()),
            icmp_answers: bench.outside.iter().filter(to_many).count(),
            icmp_errors: self.icmp.passes_errors(bench),
            icmp_echoes: self.icmp.echoes(bench),
        }
    }
}

/// The answer of a remote host to a SYN.
pub(super) fn syn_ack(seq: u32) -> Segment {
    Segment { seq: REMOTE_SEQ, ack: Some(seq.wrapping_add(1)), syn: true, ..Segment::default() }
}

/// Whether a packet from there came to an inside endpoint of the first host.
fn came(bench: &Bench, from: SocketAddr, to: SocketAddr) -> bool {
    bench.inside[0]
        .iter()
        .any(|packet| packet.source == from && packet.destination == to)
}

/// Where unsolicited packets are sent: to the NAT, or where nothing is translated to a host behind
/// it.
fn unmapped(bench: &Bench) -> IpAddr {
    match bench.family {
        Family::V4 => bench.wan,
        Family::V6 => bench.host(0),
    }
}

impl TransportProbes {
    /// Opens everything from inside.
    fn open(bench: &mut Bench, transport: Transport, first: u16) -> io::Result<Self> {
        let mut wanted = Vec::new();
        for port in MAPPED.map(|offset| first + offset) {
            let (one, other) = (bench.fresh_address(), bench.fresh_address());
            for remote in [(one, 80), (one, 81), (other, 80)] {
                wanted.push((transport, port, SocketAddr::from(remote)));
            }
        }
        // Nothing else in between: sequential ports have no gaps.
        let mut mappings = bench.start(0, &wanted)?;
        bench.meet(&mut mappings)?;

        let filter = bench.open(0, transport, first + FILTERED)?;
        let (mut second_same, mut second_other, mut hairpin) = (Vec::new(), Vec::new(), None);
        if bench.family == Family::V4 {
            let mut firsts = wanted.iter().step_by(3);
            let same: Vec<_> = firsts.by_ref().take(3).copied().collect();
            second_same = bench.start(1, &same)?;
            let mut other = Vec::new();
            for (_, port, _) in firsts.take(3) {
                other.push((transport, *port, SocketAddr::new(bench.fresh_address(), 80)));
            }
            second_other = bench.start(1, &other)?;
            bench.meet(&mut second_same)?;
            bench.meet(&mut second_other)?;
            hairpin = Some(HairpinProbe::open(bench, transport, first)?);
        }
        let stranger = SocketAddr::new(bench.fresh_address(), 80);
        let to = unmapped(bench);
        let unsolicited = UNMAPPED
            .map(|port| (SocketAddr::new(bench.fresh_address(), 4000), SocketAddr::new(to, port)));
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

    /// Sends everything from outside.
    fn inject(&self, bench: &Bench) -> io::Result<()> {
        let Flow { transport, remote, outside, .. } = self.filter;
        if let Some(to) = outside {
            for from in [SocketAddr::new(remote.ip(), 81), self.stranger] {
                bench.inject_first(transport, from, to)?;
            }
            // With TCP this would be a simultaneous open, which is looked at by itself.
            if transport == Transport::Udp {
                bench.inject_first(transport, remote, to)?;
            }
        }
        for (from, to) in &self.unsolicited {
            bench.inject_first(transport, *from, *to)?;
        }
        Ok(())
    }

    fn seen(&self, bench: &Bench, family: Family) -> PerTransport {
        let Flow { inside, remote, .. } = self.filter;
        let of_both = |second: &[Flow], first: usize| {
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
            contacted: came(bench, remote, inside),
            other_port: came(bench, SocketAddr::new(remote.ip(), 81), inside),
            stranger: came(bench, self.stranger, inside),
            unsolicited: self
                .unsolicited
                .iter()
                .map(|(from, to)| answer(bench, *from, *to))
                .collect(),
            hairpin: match family {
                Family::V4 => self.hairpin.as_ref().and_then(|probe| probe.seen(bench)),
                Family::V6 => None,
            },
        }
    }
}

impl HairpinProbe {
    fn open(bench: &mut Bench, transport: Transport, first: u16) -> io::Result<Self> {
        let client = bench.open(0, transport, first + HAIRPIN_CLIENT)?;
        let server = bench.open(1, transport, first + HAIRPIN_SERVER)?;
        let listener = match transport {
            Transport::Tcp => Some(bench.listen(1, first + HAIRPIN_SERVER)?),
            Transport::Udp => None,
        };
        let through = match server.outside {
            Some(to) => bench.start(0, &[(transport, first + HAIRPIN_CLIENT, to)])?,
            None => Vec::new(),
        };
        Ok(Self { client, server, _through: (listener, through) })
    }

    fn seen(&self, bench: &Bench) -> Option<HairpinSeen> {
        let Self { client, server, .. } = self;
        let packet = bench.inside[1]
            .iter()
            .find(|packet| packet.destination == server.inside && packet.opens(server.transport))?;
        let answered = client.transport == Transport::Udp
            || bench.inside[0].iter().any(|packet| {
                packet.destination == client.inside
                    && Some(packet.source) == server.outside
                    && packet
                        .segment()
                        .is_some_and(|it| it.syn && it.ack.is_some())
            });
        Some(HairpinSeen {
            source: packet.source,
            inside: client.inside,
            outside: client.outside,
            answered,
        })
    }
}

/// What became of an unsolicited packet.
fn answer(bench: &Bench, from: SocketAddr, to: SocketAddr) -> Answer {
    let came = bench
        .inside
        .iter()
        .flatten()
        .any(|packet| packet.source == from);
    if came {
        return Answer::LetIn;
    }
    let mut answers = bench.outside.iter().filter_map(|packet| match packet.what {
        What::Segment(it) if packet.destination == from => {
            Some(if it.rst { Answer::Reset } else { Answer::Accepted })
        }
        What::Datagram if packet.destination == from => Some(Answer::Accepted),
        What::Unreachable { error, about }
            if packet.destination.ip() == from.ip() && about == Some(to) =>
        {
            Some(Answer::Icmp(error))
        }
        What::Segment(_) | What::Datagram | What::Unreachable { .. } | What::Echo { .. } => None,
    });
    answers.next().unwrap_or(Answer::Nothing)
}
