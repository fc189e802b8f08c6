//! Packets that verification writes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpNumber, Ipv4Header,
    Ipv6FlowLabel, Ipv6Header, PacketBuilder, PacketBuilderStep, TcpHeader,
};

use crate::{packet::Segment, peers::Family};

/// Receive window of all segments.
const WINDOW: u16 = 64_000;

/// Hop limit of all packets.
const HOP_LIMIT: u8 = 64;

/// An IP packet with a TCP segment without data.
pub(super) fn tcp(from: SocketAddr, to: SocketAddr, segment: Segment) -> Vec<u8> {
    let mut header = TcpHeader::new(from.port(), to.port(), segment.sequence, WINDOW);
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

/// An ICMP host unreachable about the packet `about`.
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

/// An ICMP echo request without IP header, for a raw socket.
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
            let header = Ipv4Header::new(0, HOP_LIMIT, IpNumber::TCP, from.octets(), to.octets())
                .expect("no payload is not too much");
            etherparse::IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
        }
        (from, to) => {
            let header = Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: 0,
                next_header: IpNumber::TCP,
                hop_limit: HOP_LIMIT,
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
    use crate::packet::{IcmpErrorKind, Packet, Payload, Transport};

    #[test]
    fn a_packet_that_was_built_is_parsed_again() {
        for (from, to) in [
            ("192.0.2.1:80", "198.51.100.1:31000"),
            ("[2001:db8:ffff::1]:80", "[2001:db8:1::2]:31000"),
        ] {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            let segment = Segment { sequence: 7, ack: Some(9), syn: true, ..Segment::default() };
            let written = tcp(from, to, segment);
            let parsed = Packet::parse(&written).unwrap();
            assert_eq!((parsed.source, parsed.destination), (from, to));
            assert_eq!(parsed.payload, Payload::Tcp(segment));
            assert!(!parsed.opens(Transport::Tcp));
            let datagram = Packet::parse(&udp(from, to)).unwrap();
            assert_eq!((datagram.source, datagram.destination), (from, to));
            assert!(datagram.opens(Transport::Udp) && !datagram.opens(Transport::Tcp));
            let answer = Packet::parse(&host_unreachable(from.ip(), to.ip(), &written)).unwrap();
            let Payload::IcmpError(error) = answer.payload else { panic!("{answer:?}") };
            assert_eq!(error.kind, IcmpErrorKind::HostUnreachable);
            assert_eq!(error.quoted.unwrap().destination, to);
            let reply = Packet::parse(&echo_reply(from.ip(), to.ip(), 5)).unwrap();
            assert_eq!(reply.payload, Payload::Echo { reply: true, id: 5 });
        }
    }
}
