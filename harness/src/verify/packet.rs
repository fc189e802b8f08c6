//! Packets that verification reads and writes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpNumber, Ipv4Header,
    Ipv6FlowLabel, Ipv6Header, LaxSlicedPacket, PacketBuilder, PacketBuilderStep, TcpHeader,
    TransportSlice,
};

use crate::{packet::addresses, peers::Family};

/// Receive window of the segments that are written.
const WINDOW: u16 = 64_000;

const HOPS: u8 = 64;

/// What there is of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    /// Source; the port is 0 in ICMP.
    pub(super) source: SocketAddr,
    /// Destination; the port is 0 in ICMP.
    pub(super) destination: SocketAddr,
    /// What it carries.
    pub(super) what: What,
}

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A TCP segment.
    Segment(Segment),
    /// A UDP datagram.
    Datagram,
    /// An ICMP echo request or reply.
    Echo {
        /// Whether it is a reply.
        reply: bool,
        /// Its identifier.
        id: u16,
    },
    /// An ICMP error about a packet to `about`.
    Unreachable {
        /// What it says.
        error: IcmpError,
        /// The destination of the packet that it is about.
        about: Option<SocketAddr>,
    },
}

/// A TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Segment {
    pub(super) seq: u32,
    /// The acknowledgement, where the ACK flag is set.
    pub(super) ack: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
}

/// An ICMP error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IcmpError {
    Port,
    Admin,
    Host,
    Other(u8, u8),
}

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

impl Packet {
    /// Reads an IP packet; `None` for what verification has no use for.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let sliced = LaxSlicedPacket::from_ip(bytes).ok()?;
        let (source, destination) = addresses(bytes)?;
        let ends = |from, to| (SocketAddr::new(source, from), SocketAddr::new(destination, to));
        let ((source, destination), what) = match sliced.transport? {
            TransportSlice::Tcp(tcp) => {
                let segment = Segment {
                    seq: tcp.sequence_number(),
                    ack: tcp.ack().then(|| tcp.acknowledgment_number()),
                    syn: tcp.syn(),
                    fin: tcp.fin(),
                    rst: tcp.rst(),
                };
                (ends(tcp.source_port(), tcp.destination_port()), What::Segment(segment))
            }
            TransportSlice::Udp(udp) => {
                (ends(udp.source_port(), udp.destination_port()), What::Datagram)
            }
            TransportSlice::Icmpv4(icmp) if matches!(icmp.type_u8(), 0 | 8) => {
                (ends(0, 0), echo(icmp.type_u8() == 0, icmp.bytes5to8()))
            }
            TransportSlice::Icmpv6(icmp) if matches!(icmp.type_u8(), 128 | 129) => {
                (ends(0, 0), echo(icmp.type_u8() == 129, icmp.bytes5to8()))
            }
            TransportSlice::Icmpv4(icmp) => {
                let error = match (icmp.type_u8(), icmp.code_u8()) {
                    (3, 3) => IcmpError::Port,
                    (3, 13) => IcmpError::Admin,
                    (3, 1) => IcmpError::Host,
                    (kind, code) => IcmpError::Other(kind, code),
                };
                (ends(0, 0), What::Unreachable { error, about: about(icmp.payload()) })
            }
            TransportSlice::Icmpv6(icmp) => {
                let error = match (icmp.type_u8(), icmp.code_u8()) {
                    (1, 4) => IcmpError::Port,
                    (1, 1) => IcmpError::Admin,
                    (1, 3) => IcmpError::Host,
                    // Neighbours and routers talk like this all the time.
                    (128.., _) => return None,
                    (kind, code) => IcmpError::Other(kind, code),
                };
                (ends(0, 0), What::Unreachable { error, about: about(icmp.payload()) })
            }
            TransportSlice::Igmp(_) => return None,
        };
        Some(Self { source, destination, what })
    }

    /// Whether it is the first packet of a connection: a SYN, or any datagram.
    pub(super) fn opens(&self, transport: Transport) -> bool {
        match self.what {
            What::Segment(it) => transport == Transport::Tcp && it.syn && it.ack.is_none(),
            What::Datagram => transport == Transport::Udp,
            What::Unreachable { .. } | What::Echo { .. } => false,
        }
    }

    /// The segment, if it is TCP.
    pub(super) fn segment(&self) -> Option<Segment> {
        match self.what {
            What::Segment(segment) => Some(segment),
            What::Datagram | What::Unreachable { .. } | What::Echo { .. } => None,
        }
    }
}

fn echo(reply: bool, rest: [u8; 4]) -> What {
    let [high, low, ..] = rest;
    What::Echo { reply, id: u16::from_be_bytes([high, low]) }
}

/// The destination of the packet that an ICMP error quotes, of which eight bytes of transport are
/// there at least.
fn about(quoted: &[u8]) -> Option<SocketAddr> {
    let (_, address) = addresses(quoted)?;
    let transport = match address {
        IpAddr::V4(_) => usize::from(quoted[0] & 15) * 4,
        IpAddr::V6(_) => 40,
    };
    let port: [u8; 2] = quoted.get(transport + 2..transport + 4)?.try_into().ok()?;
    Some(SocketAddr::new(address, u16::from_be_bytes(port)))
}

/// An IP packet with a TCP segment.
pub(super) fn tcp(from: SocketAddr, to: SocketAddr, segment: Segment) -> Vec<u8> {
    let mut header = TcpHeader::new(from.port(), to.port(), segment.seq, WINDOW);
    (header.syn, header.fin, header.rst) = (segment.syn, segment.fin, segment.rst);
    header.ack = segment.ack.is_some();
    header.acknowledgment_number = segment.ack.unwrap_or(0);
    let builder = ip(from.ip(), to.ip()).tcp_header(header);
    let mut bytes = Vec::with_capacity(builder.size(0));
    builder
        .write(&mut bytes, &[])
        .expect("a vector takes whatever is written");
    bytes
}

/// An IP packet with a UDP datagram.
pub(super) fn udp(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let payload = b"probe";
    let builder = ip(from.ip(), to.ip()).udp(from.port(), to.port());
    let mut bytes = Vec::with_capacity(builder.size(payload.len()));
    builder
        .write(&mut bytes, payload)
        .expect("a vector takes whatever is written");
    bytes
}

/// An ICMP error that a host cannot be reached, about this packet.
pub(super) fn host_unreachable(from: IpAddr, to: IpAddr, about: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = match from {
        IpAddr::V4(_) => ip(from, to)
            .icmpv4_raw(3, 1, [0; 4])
            .write(&mut bytes, about),
        IpAddr::V6(_) => ip(from, to)
            .icmpv6_raw(1, 3, [0; 4])
            .write(&mut bytes, about),
    };
    written.expect("a vector takes whatever is written");
    bytes
}

/// An ICMP echo reply.
pub(super) fn echo_reply(from: IpAddr, to: IpAddr, id: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = match from {
        IpAddr::V4(_) => ip(from, to).icmpv4_echo_reply(id, 1).write(&mut bytes, &[]),
        IpAddr::V6(_) => ip(from, to).icmpv6_echo_reply(id, 1).write(&mut bytes, &[]),
    };
    written.expect("a vector takes whatever is written");
    bytes
}

/// An ICMP echo request, without IP header, as a raw socket takes it.
pub(super) fn echo_request(family: Family, id: u16) -> Vec<u8> {
    let echo = IcmpEchoHeader { id, seq: 1 };
    match family {
        Family::V4 => Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(echo), &[])
            .to_bytes()
            .to_vec(),
        // The kernel adds the checksum, which depends on the addresses.
        Family::V6 => Icmpv6Header::new(Icmpv6Type::EchoRequest(echo))
            .to_bytes()
            .to_vec(),
    }
}

fn ip(from: IpAddr, to: IpAddr) -> PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ip(match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let header = Ipv4Header::new(0, HOPS, IpNumber::TCP, from.octets(), to.octets())
                .expect("no payload is not too much");
            etherparse::IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
        }
        (from, to) => {
            let header = Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: 0,
                next_header: IpNumber::TCP,
                hop_limit: HOPS,
                source: v6(from).octets(),
                destination: v6(to).octets(),
            };
            etherparse::IpHeaders::Ipv6(header, etherparse::Ipv6Extensions::default())
        }
    })
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (from, to) in [
            ("192.0.2.1:80", "198.51.100.1:31000"),
            ("[2001:db8:ffff::1]:80", "[2001:db8:1::2]:31000"),
        ] {
            let (source, destination) = (end(from), end(to));
            let segment = Segment { seq: 7, ack: Some(9), syn: true, ..Segment::default() };
            let parsed = Packet::parse(&tcp(source, destination, segment)).unwrap();
            assert_eq!(parsed, Packet { source, destination, what: What::Segment(segment) });
            assert!(!parsed.opens(Transport::Tcp));
            let parsed = Packet::parse(&udp(source, destination)).unwrap();
            assert_eq!(parsed, Packet { source, destination, what: What::Datagram });
            assert!(parsed.opens(Transport::Udp) && !parsed.opens(Transport::Tcp));
        }
    }

    #[test]
    fn an_icmp_error_tells_what_it_is_about() {
        let quoted = tcp(end("192.0.2.1:80"), end("198.51.100.1:9"), Segment::default());
        for (code, error) in [(3, IcmpError::Port), (13, IcmpError::Admin), (1, IcmpError::Host)] {
            let builder = PacketBuilder::ipv4([198, 51, 100, 1], [192, 0, 2, 1], 64)
                .icmpv4_raw(3, code, [0; 4]);
            let mut bytes = Vec::new();
            builder.write(&mut bytes, &quoted[..28]).unwrap();
            let parsed = Packet::parse(&bytes).unwrap();
            let about = Some(end("198.51.100.1:9"));
            assert_eq!(parsed.what, What::Unreachable { error, about });
        }
    }
}
