//! What the bench reads in a packet: addresses, TCP headers, and of ICMP errors which segment they
//! are about.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    Icmpv4Type, Icmpv6Type, LaxNetSlice, LaxSlicedPacket, TransportSlice,
    icmpv4::DestUnreachableHeader as Unreachable4, icmpv6::DestUnreachableCode as Unreachable6,
};

/// A TCP segment, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Source address and port.
    pub(crate) source: SocketAddr,
    /// Destination address and port.
    pub(crate) destination: SocketAddr,
    /// SYN flag.
    pub(crate) syn: bool,
    /// ACK flag.
    pub(crate) ack: bool,
    /// RST flag.
    pub(crate) rst: bool,
    /// FIN flag.
    pub(crate) fin: bool,
    /// Sequence number.
    pub(crate) sequence: u32,
    /// Acknowledgment number; means something with [`Segment::ack`] only.
    pub(crate) acknowledges: u32,
    /// Bytes of data, by the lengths in the headers.
    pub(crate) data: usize,
}

impl Segment {
    /// Whether this opens a connection: SYN without ACK.
    pub(crate) fn opens(&self) -> bool {
        self.syn && !self.ack
    }
}

/// An ICMP error, and the segment that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpError {
    /// What it says, such as `ICMP port unreachable`.
    pub(crate) says: &'static str,
    /// Source of the segment.
    pub(crate) source: SocketAddr,
    /// Destination of the segment.
    pub(crate) destination: SocketAddr,
    /// Sequence number of the segment.
    pub(crate) sequence: u32,
}

/// The destination of an IP packet.
pub(crate) fn destination(packet: &[u8]) -> Option<IpAddr> {
    addresses(packet).map(|(_, destination)| destination)
}

/// Source and destination of an IP packet.
pub(crate) fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let four = |at: usize| {
        packet
            .get(at..at + 4)
            .and_then(|b| <[u8; 4]>::try_from(b).ok())
    };
    let sixteen = |at: usize| {
        packet
            .get(at..at + 16)
            .and_then(|b| <[u8; 16]>::try_from(b).ok())
    };
    match packet.first()? >> 4 {
        4 => Some((four(12)?.into(), four(16)?.into())),
        6 => Some((sixteen(8)?.into(), sixteen(24)?.into())),
        _ => None,
    }
}

/// How many routers a packet may still pass: TTL (RFC 791) or hop limit (RFC 8200).
pub(crate) fn hop_limit(packet: &[u8]) -> Option<u8> {
    match packet.first()? >> 4 {
        4 => packet.get(8).copied(),
        6 => packet.get(7).copied(),
        _ => None,
    }
}

/// The TCP segment in an IP packet, of which the headers are enough.
pub(crate) fn segment(packet: &[u8]) -> Option<Segment> {
    let sliced = LaxSlicedPacket::from_ip(packet).ok()?;
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { return None };
    let (source, destination) = addresses(packet)?;
    let above_ip = match sliced.net? {
        LaxNetSlice::Ipv4(ip) => {
            usize::from(ip.header().total_len()).saturating_sub(ip.header().slice().len())
        }
        // Extension headers would count as data: nothing in a lab sends any.
        LaxNetSlice::Ipv6(ip) => usize::from(ip.header().payload_length()),
        LaxNetSlice::Arp(_) => return None,
    };
    Some(Segment {
        source: SocketAddr::new(source, tcp.source_port()),
        destination: SocketAddr::new(destination, tcp.destination_port()),
        syn: tcp.syn(),
        ack: tcp.ack(),
        rst: tcp.rst(),
        fin: tcp.fin(),
        sequence: tcp.sequence_number(),
        acknowledges: tcp.acknowledgment_number(),
        data: above_ip.saturating_sub(tcp.header_len()),
    })
}

/// The ICMP error in an IP packet that says a TCP segment could not be delivered (RFC 792,
/// RFC 4443): it quotes at least the segment's ports and sequence number.
pub(crate) fn icmp_error(packet: &[u8]) -> Option<IcmpError> {
    let sliced = LaxSlicedPacket::from_ip(packet).ok()?;
    let (says, quoted) = match &sliced.transport {
        Some(TransportSlice::Icmpv4(icmp)) => (icmpv4_says(&icmp.icmp_type())?, icmp.payload()),
        Some(TransportSlice::Icmpv6(icmp)) => (icmpv6_says(&icmp.icmp_type())?, icmp.payload()),
        _ => return None,
    };
    const TCP: u8 = 6;
    let (protocol, header) = match quoted.first()? >> 4 {
        4 => (*quoted.get(9)?, usize::from(quoted.first()? & 0xF) * 4),
        6 => (*quoted.get(6)?, 40),
        _ => return None,
    };
    let (source, destination) = addresses(quoted)?;
    let tcp = quoted.get(header..header + 8).filter(|_| protocol == TCP)?;
    let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    Some(IcmpError {
        says,
        source: SocketAddr::new(source, port(0)),
        destination: SocketAddr::new(destination, port(2)),
        sequence: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other code is an error of its own kind")]
fn icmpv4_says(kind: &Icmpv4Type) -> Option<&'static str> {
    Some(match kind {
        Icmpv4Type::DestinationUnreachable(code) => match code {
            Unreachable4::Port => "ICMP port unreachable",
            Unreachable4::Host => "ICMP host unreachable",
            Unreachable4::Network => "ICMP network unreachable",
            Unreachable4::FilterProhibited => "ICMP administratively prohibited",
            _ => "ICMP destination unreachable",
        },
        Icmpv4Type::TimeExceeded(_) => "ICMP time exceeded",
        _ => return None,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other code is an error of its own kind")]
fn icmpv6_says(kind: &Icmpv6Type) -> Option<&'static str> {
    Some(match kind {
        Icmpv6Type::DestinationUnreachable(code) => match code {
            Unreachable6::Port => "ICMP port unreachable",
            Unreachable6::Address => "ICMP host unreachable",
            Unreachable6::NoRoute => "ICMP network unreachable",
            Unreachable6::Prohibited => "ICMP administratively prohibited",
            _ => "ICMP destination unreachable",
        },
        Icmpv6Type::TimeExceeded(_) => "ICMP time exceeded",
        _ => return None,
    })
}
