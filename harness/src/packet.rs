//! IP packets as the bench reads them: addresses, hop limit, TCP headers, ICMP echoes and errors.
//!
//! Headers are enough: captures keep no more of most packets.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    Icmpv4Slice, Icmpv6Slice, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice,
};

/// Numbers of TCP and UDP in the IP header.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Length of an IPv6 header. Extension headers are not read: nothing in a lab sends any.
const IPV6_HEADER: usize = 40;

/// An IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Source; the port is 0 in ICMP.
    pub(crate) source: SocketAddr,
    /// Destination; the port is 0 in ICMP.
    pub(crate) destination: SocketAddr,
    /// Number of routers that may still pass the packet on: TTL (RFC 791) or hop limit (RFC 8200).
    pub(crate) hop_limit: u8,
    /// What the packet carries.
    pub(crate) payload: Payload,
}

/// Payload of an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A TCP segment.
    Tcp(Segment),
    /// A UDP datagram.
    Udp,
    /// An ICMP echo request or reply.
    Echo {
        /// Whether it is a reply.
        reply: bool,
        /// Its identifier.
        id: u16,
    },
    /// An ICMP error.
    IcmpError(IcmpError),
}

/// Header of a TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Segment {
    /// Sequence number.
    pub(crate) sequence: u32,
    /// Acknowledgment number, where the ACK flag is set.
    pub(crate) ack: Option<u32>,
    /// SYN flag.
    pub(crate) syn: bool,
    /// FIN flag.
    pub(crate) fin: bool,
    /// RST flag.
    pub(crate) rst: bool,
    /// Bytes of data, by the lengths in the headers.
    pub(crate) data: usize,
}

/// An ICMP error (RFC 792, RFC 4443).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpError {
    /// The kind of error.
    pub(crate) kind: IcmpErrorKind,
    /// Type and code in the header.
    pub(crate) type_and_code: (u8, u8),
    /// The packet that the error is about.
    pub(crate) quoted: Option<Quoted>,
}

/// Kind of an ICMP error, alike in ICMP and ICMPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IcmpErrorKind {
    /// No socket at the port.
    PortUnreachable,
    /// No such host.
    HostUnreachable,
    /// No route.
    NetworkUnreachable,
    /// Refused by a filter.
    AdminProhibited,
    /// Destination unreachable for another reason.
    DestinationUnreachable,
    /// The hop limit was used up.
    TimeExceeded,
    /// An error of another type, none of which says that a packet could not be delivered.
    Other,
}

/// Beginning of a packet that an ICMP error quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quoted {
    /// Source of the packet.
    pub(crate) source: SocketAddr,
    /// Destination of the packet.
    pub(crate) destination: SocketAddr,
    /// Protocol, if it has ports.
    pub(crate) transport: Option<Transport>,
    /// Sequence number, if the packet is a TCP segment.
    pub(crate) sequence: Option<u32>,
}

/// Transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// Name of the packet by which a host opens the way through its NAT.
    pub(crate) const fn opening(self) -> &'static str {
        match self {
            Self::Tcp => "SYN",
            Self::Udp => "datagram",
        }
    }
}

impl Packet {
    /// Reads an IP packet; `None` for a packet of no use to the bench, such as neighbour discovery.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let sliced = LaxSlicedPacket::from_ip(bytes).ok()?;
        let (source, destination) = addresses(bytes)?;
        let (hop_limit, above_ip) = match sliced.net? {
            LaxNetSlice::Ipv4(ip) => {
                let header = ip.header();
                let above_ip = usize::from(header.total_len()).saturating_sub(header.slice().len());
                (header.ttl(), above_ip)
            }
            LaxNetSlice::Ipv6(ip) => {
                (ip.header().hop_limit(), usize::from(ip.header().payload_length()))
            }
            LaxNetSlice::Arp(_) => return None,
        };
        let ((source_port, destination_port), payload) = match &sliced.transport? {
            TransportSlice::Tcp(tcp) => {
                let payload = Payload::Tcp(Segment::of(tcp, above_ip));
                ((tcp.source_port(), tcp.destination_port()), payload)
            }
            TransportSlice::Udp(udp) => ((udp.source_port(), udp.destination_port()), Payload::Udp),
            TransportSlice::Icmpv4(icmp) => ((0, 0), icmpv4(icmp)),
            TransportSlice::Icmpv6(icmp) => ((0, 0), icmpv6(icmp)?),
            TransportSlice::Igmp(_) => return None,
        };
        Some(Self {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
            hop_limit,
            payload,
        })
    }

    /// Whether this is the first packet of a connection: a SYN without ACK, or any datagram.
    pub(crate) fn opens(&self, transport: Transport) -> bool {
        match self.payload {
            Payload::Tcp(segment) => transport == Transport::Tcp && segment.opens(),
            Payload::Udp => transport == Transport::Udp,
            Payload::IcmpError(_) | Payload::Echo { .. } => false,
        }
    }

    /// The segment, if the packet carries TCP.
    pub(crate) fn segment(&self) -> Option<Segment> {
        match self.payload {
            Payload::Tcp(segment) => Some(segment),
            Payload::Udp | Payload::IcmpError(_) | Payload::Echo { .. } => None,
        }
    }
}

impl Segment {
    fn of(tcp: &TcpSlice<'_>, above_ip: usize) -> Self {
        Self {
            sequence: tcp.sequence_number(),
            ack: tcp.ack().then(|| tcp.acknowledgment_number()),
            syn: tcp.syn(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            data: above_ip.saturating_sub(tcp.header_len()),
        }
    }

    /// Whether this segment opens a connection: SYN without ACK.
    pub(crate) fn opens(&self) -> bool {
        self.syn && self.ack.is_none()
    }
}

impl IcmpError {
    /// The TCP segment that could not be delivered, with its sequence number, if the error is about
    /// one.
    pub(crate) fn undelivered_segment(&self) -> Option<(Quoted, u32)> {
        let quoted = self.quoted.filter(|_| self.kind != IcmpErrorKind::Other)?;
        Some((quoted, quoted.sequence?))
    }
}

impl IcmpError {
    /// The datagram that could not be delivered, if the error is about one.
    pub(crate) fn undelivered_datagram(&self) -> Option<Quoted> {
        let quoted = self.quoted.filter(|_| self.kind != IcmpErrorKind::Other)?;
        (quoted.transport == Some(Transport::Udp)).then_some(quoted)
    }
}

impl IcmpErrorKind {
    /// The error in words, such as `ICMP port unreachable`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PortUnreachable => "ICMP port unreachable",
            Self::HostUnreachable => "ICMP host unreachable",
            Self::NetworkUnreachable => "ICMP network unreachable",
            Self::AdminProhibited => "ICMP administratively prohibited",
            Self::DestinationUnreachable => "ICMP destination unreachable",
            Self::TimeExceeded => "ICMP time exceeded",
            Self::Other => "ICMP error",
        }
    }
}

/// The destination of an IP packet.
pub(crate) fn destination(packet: &[u8]) -> Option<IpAddr> {
    addresses(packet).map(|(_, destination)| destination)
}

/// Source and destination of an IP packet, of which the header may be all there is.
fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let ipv4 = |at: usize| {
        let octets = packet.get(at..at + 4)?;
        <[u8; 4]>::try_from(octets).ok().map(IpAddr::from)
    };
    let ipv6 = |at: usize| {
        let octets = packet.get(at..at + 16)?;
        <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
    };
    match packet.first()? >> 4 {
        4 => Some((ipv4(12)?, ipv4(16)?)),
        6 => Some((ipv6(8)?, ipv6(24)?)),
        _ => None,
    }
}

fn icmpv4(icmp: &Icmpv4Slice<'_>) -> Payload {
    let kind = match (icmp.type_u8(), icmp.code_u8()) {
        (message @ (0 | 8), _) => return echo(message == 0, icmp.bytes5to8()),
        (3, 0) => IcmpErrorKind::NetworkUnreachable,
        (3, 1) => IcmpErrorKind::HostUnreachable,
        (3, 3) => IcmpErrorKind::PortUnreachable,
        (3, 13) => IcmpErrorKind::AdminProhibited,
        (3, _) => IcmpErrorKind::DestinationUnreachable,
        (11, _) => IcmpErrorKind::TimeExceeded,
        _ => IcmpErrorKind::Other,
    };
    let type_and_code = (icmp.type_u8(), icmp.code_u8());
    Payload::IcmpError(IcmpError { kind, type_and_code, quoted: quoted(icmp.payload()) })
}

fn icmpv6(icmp: &Icmpv6Slice<'_>) -> Option<Payload> {
    let kind = match (icmp.type_u8(), icmp.code_u8()) {
        (message @ (128 | 129), _) => return Some(echo(message == 129, icmp.bytes5to8())),
        // Other informational messages: neighbour and router discovery, at any time.
        (130.., _) => return None,
        (1, 0) => IcmpErrorKind::NetworkUnreachable,
        (1, 1) => IcmpErrorKind::AdminProhibited,
        (1, 3) => IcmpErrorKind::HostUnreachable,
        (1, 4) => IcmpErrorKind::PortUnreachable,
        (1, _) => IcmpErrorKind::DestinationUnreachable,
        (3, _) => IcmpErrorKind::TimeExceeded,
        _ => IcmpErrorKind::Other,
    };
    let type_and_code = (icmp.type_u8(), icmp.code_u8());
    Some(Payload::IcmpError(IcmpError { kind, type_and_code, quoted: quoted(icmp.payload()) }))
}

fn echo(reply: bool, rest_of_header: [u8; 4]) -> Payload {
    let [high, low, ..] = rest_of_header;
    Payload::Echo { reply, id: u16::from_be_bytes([high, low]) }
}

/// Reads the packet that an ICMP error quotes: the IP header and at least eight bytes of transport.
fn quoted(packet: &[u8]) -> Option<Quoted> {
    let (source, destination) = addresses(packet)?;
    let (protocol, header_length) = match destination {
        IpAddr::V4(_) => (*packet.get(9)?, usize::from(packet.first()? & 0xF) * 4),
        IpAddr::V6(_) => (*packet.get(6)?, IPV6_HEADER),
    };
    let transport = packet.get(header_length..header_length + 8)?;
    let port = |at: usize| u16::from_be_bytes([transport[at], transport[at + 1]]);
    let sequence = u32::from_be_bytes([transport[4], transport[5], transport[6], transport[7]]);
    let transport = match protocol {
        TCP => Some(Transport::Tcp),
        UDP => Some(Transport::Udp),
        _ => None,
    };
    Some(Quoted {
        source: SocketAddr::new(source, port(0)),
        destination: SocketAddr::new(destination, port(2)),
        transport,
        sequence: (protocol == TCP).then_some(sequence),
    })
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    fn error_about(code: u8, quoted: &[u8]) -> IcmpError {
        let builder =
            PacketBuilder::ipv4([198, 51, 100, 1], [192, 0, 2, 1], 64).icmpv4_raw(3, code, [0; 4]);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, quoted).unwrap();
        let payload = Packet::parse(&bytes).unwrap().payload;
        let Payload::IcmpError(error) = payload else { panic!("{payload:?}") };
        error
    }

    #[test]
    fn a_segment_is_read_with_its_hop_limit_and_the_length_of_its_data() {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 63)
            .tcp(7, 9, 1000, 64_000)
            .ack(7001)
            .write(&mut bytes, b"hello")
            .unwrap();
        let whole = Packet::parse(&bytes).unwrap();
        assert_eq!((whole.source.port(), whole.destination.port()), (7, 9));
        assert_eq!(whole.hop_limit, 63);
        let segment = Segment { sequence: 1000, ack: Some(7001), data: 5, ..Segment::default() };
        assert_eq!(whole.payload, Payload::Tcp(segment));
        // The headers alone give the same.
        assert_eq!(Packet::parse(&bytes[..40]), Some(whole));
    }

    #[test]
    fn an_icmp_error_tells_which_packet_it_is_about() {
        let mut syn = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64)
            .tcp(80, 9, 1000, 64_000)
            .syn()
            .write(&mut syn, b"")
            .unwrap();
        for (code, kind) in [
            (3, IcmpErrorKind::PortUnreachable),
            (13, IcmpErrorKind::AdminProhibited),
            (1, IcmpErrorKind::HostUnreachable),
            (0, IcmpErrorKind::NetworkUnreachable),
            (4, IcmpErrorKind::DestinationUnreachable),
        ] {
            let error = error_about(code, &syn[..28]);
            assert_eq!((error.kind, error.type_and_code), (kind, (3, code)));
            let (quoted, sequence) = error.undelivered_segment().unwrap();
            assert_eq!(quoted.destination, "198.51.100.1:9".parse().unwrap());
            assert_eq!((quoted.source.port(), sequence), (80, 1000));
        }
    }

    #[test]
    fn an_icmp_error_about_a_datagram_is_about_no_segment() {
        let mut datagram = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64)
            .udp(7, 9)
            .write(&mut datagram, b"x")
            .unwrap();
        let error = error_about(3, &datagram);
        assert_eq!(error.quoted.unwrap().destination.port(), 9);
        assert_eq!(error.undelivered_segment(), None);
        assert_eq!(error.undelivered_datagram(), error.quoted);
    }
}
