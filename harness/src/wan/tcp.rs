//! What the bench reads in a packet.

use std::net::{IpAddr, SocketAddr};

use etherparse::TransportSlice;

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
}

impl Segment {
    /// Whether this opens a connection: SYN without ACK.
    pub(crate) fn opens(&self) -> bool {
        self.syn && !self.ack
    }
}

/// The destination of an IP packet.
pub(crate) fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => packet.get(16..20).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(IpAddr::from),
        6 => packet.get(24..40).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(IpAddr::from),
        _ => None,
    }
}

/// The TCP segment in an IP packet, of which the headers are enough.
pub(crate) fn segment(packet: &[u8]) -> Option<Segment> {
    let sliced = etherparse::LaxSlicedPacket::from_ip(packet).ok()?;
    let (source, destination) = match sliced.net? {
        etherparse::LaxNetSlice::Ipv4(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        etherparse::LaxNetSlice::Ipv6(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        _ => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { return None };
    let address = |ip: IpAddr, port| SocketAddr::new(ip, port);
    Some(Segment {
        source: address(source, tcp.source_port()),
        destination: address(destination, tcp.destination_port()),
        syn: tcp.syn(),
        ack: tcp.ack(),
        rst: tcp.rst(),
    })
}
