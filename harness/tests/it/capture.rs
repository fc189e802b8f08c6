//! Reader of captures: the packets on the WAN.

use std::{fs::File, net::IpAddr, path::Path, time::Duration};

use etherparse::{
    Icmpv4Type, Icmpv6Type, NetSlice, SlicedPacket, TransportSlice,
    icmpv4::DestUnreachableHeader as Unreachable, icmpv6::DestUnreachableCode as Unreachable6,
};
use pcap_file::pcapng::{
    Block, PcapNgReader,
    blocks::{
        enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
        interface_description::InterfaceDescriptionOption,
    },
};

/// Packet of a capture, at one of the WAN's interfaces.
#[derive(Debug, Clone)]
pub(crate) struct CapturedPacket {
    /// Virtual time of the trial, since the Unix epoch.
    pub(crate) at: Duration,
    /// Name of the interface: `a-wan`, `b-wan`, or a host's name.
    pub(crate) interface: String,
    /// Direction: `true` from the WAN into the interface.
    pub(crate) inbound: bool,
    pub(crate) comment: String,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) kind: CapturedKind,
}

/// Kind of a packet, as far as tests distinguish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CapturedKind {
    Syn { port: u16 },
    Reset { port: u16 },
    OtherTcp,
    PortUnreachable,
    AdminProhibited,
    Udp { payload: Vec<u8> },
    Other(String),
}

/// All packets of a capture, in file order.
pub(crate) fn read(path: &Path) -> Vec<CapturedPacket> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = PcapNgReader::new(file).unwrap();
    let mut names = Vec::new();
    let mut seen = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(interface) => {
                names.extend(interface.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                }));
            }
            Block::EnhancedPacket(packet) => seen.push(parse(&packet, &names)),
            other => panic!("a block that the harness should not write: {other:?}"),
        }
    }
    seen
}

fn parse(block: &EnhancedPacketBlock<'_>, names: &[String]) -> CapturedPacket {
    let (mut inbound, mut comment) = (None, String::new());
    for option in &block.options {
        match option {
            EnhancedPacketOption::Flags(flags) => inbound = Some(flags & 3 == 1),
            EnhancedPacketOption::Comment(text) => comment = text.to_string(),
            _ => {}
        }
    }
    let packet = SlicedPacket::from_ip(&block.data).unwrap();
    let (source, destination) = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        Some(NetSlice::Ipv6(ip)) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        other => panic!("not IP: {other:?}"),
    };
    assert_eq!(usize::try_from(block.original_len).unwrap(), block.data.len(), "kept in full");
    CapturedPacket {
        at: block.timestamp,
        interface: names[usize::try_from(block.interface_id).unwrap()].clone(),
        inbound: inbound.expect("every packet has a direction"),
        comment,
        source,
        destination,
        kind: kind(&packet),
    }
}

fn kind(packet: &SlicedPacket<'_>) -> CapturedKind {
    match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) if tcp.syn() && !tcp.ack() => {
            CapturedKind::Syn { port: tcp.destination_port() }
        }
        Some(TransportSlice::Tcp(tcp)) if tcp.rst() => {
            CapturedKind::Reset { port: tcp.source_port() }
        }
        Some(TransportSlice::Tcp(_)) => CapturedKind::OtherTcp,
        Some(TransportSlice::Udp(udp)) => CapturedKind::Udp { payload: udp.payload().to_vec() },
        Some(TransportSlice::Icmpv4(icmp)) => match icmp.icmp_type() {
            Icmpv4Type::DestinationUnreachable(Unreachable::Port) => CapturedKind::PortUnreachable,
            Icmpv4Type::DestinationUnreachable(Unreachable::FilterProhibited) => {
                CapturedKind::AdminProhibited
            }
            other => CapturedKind::Other(format!("{other:?}")),
        },
        Some(TransportSlice::Icmpv6(icmp)) => match icmp.icmp_type() {
            Icmpv6Type::DestinationUnreachable(Unreachable6::Port) => CapturedKind::PortUnreachable,
            Icmpv6Type::DestinationUnreachable(Unreachable6::Prohibited) => {
                CapturedKind::AdminProhibited
            }
            other => CapturedKind::Other(format!("{other:?}")),
        },
        other => CapturedKind::Other(format!("{other:?}")),
    }
}
