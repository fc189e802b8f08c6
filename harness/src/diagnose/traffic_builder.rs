//! Invented trials for tests: traffic as a WAN would record it, packet by packet.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use etherparse::{PacketBuilder, PacketBuilderStep, icmpv4::DestUnreachableHeader};
use punch::{Event, EventKind, proto::time::MonoTime};

use super::flow::PeerLocation;
use crate::{
    peers::{Pair, Side},
    wan::{Fate, RecordedPacket, Traffic},
};

pub(crate) const A: [u8; 4] = [198, 51, 100, 1];
pub(crate) const B: [u8; 4] = [203, 0, 113, 1];
pub(crate) const DELAY: Duration = Duration::from_millis(50);

pub(crate) fn at(ms: u64) -> MonoTime {
    MonoTime::from_nanos(ms * 1_000_000)
}

/// A trial that is being built. Each peer is behind one NAT, and delivery takes [`DELAY`].
pub(crate) struct TrafficBuilder {
    pub(crate) traffic: Traffic,
    pub(crate) locations: Pair<PeerLocation>,
    pub(crate) exits: Pair<&'static str>,
    pub(crate) ends_ms: Pair<u64>,
    pub(crate) events: Pair<Vec<Event>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Flags {
    Syn,
    SynAck,
    Ack,
    Rst,
}

impl TrafficBuilder {
    pub(crate) fn new() -> Self {
        let location = |address: [u8; 4]| PeerLocation {
            address: IpAddr::from(Ipv4Addr::from(address)),
            nats: 1,
            forgets_after: None,
            forgets_datagram_after: None,
            drops_syns: false,
        };
        Self {
            traffic: Traffic::default(),
            locations: Pair::new(location(A), location(B)),
            exits: Pair::new("exit 1", "exit 1"),
            ends_ms: Pair::new(10_000, 10_000),
            events: Pair::default(),
        }
    }

    pub(crate) fn address(side: Side) -> [u8; 4] {
        if side == Side::A { A } else { B }
    }

    /// The initial sequence number of a side.
    pub(crate) fn isn(side: Side) -> u32 {
        if side == Side::A { 1000 } else { 7000 }
    }

    pub(crate) fn ip(side: Side, ttl: u8) -> PacketBuilderStep<etherparse::IpHeaders> {
        PacketBuilder::ipv4(Self::address(side), Self::address(side.other()), ttl)
    }

    pub(crate) fn record(&mut self, ms: u64, side: Side, lost: bool, bytes: Vec<u8>) {
        let to = side.other().index();
        let fate = if lost { Fate::Lost } else { Fate::Delivered { to, at: at(ms) + DELAY } };
        let packet = RecordedPacket {
            at: at(ms),
            from: side.index(),
            fate,
            length: bytes.len(),
            bytes: bytes.into_boxed_slice(),
        };
        self.traffic.packets.push(packet);
    }

    /// A segment from one port to another. `ttl` is 63 from a host and 64 from its NAT.
    pub(crate) fn tcp(
        &mut self,
        ms: u64,
        side: Side,
        ports: [u16; 2],
        flags: Flags,
        ttl: u8,
        data: &[u8],
    ) -> &mut Self {
        let (own, others) = (Self::isn(side), Self::isn(side.other()) + 1);
        let plain = Self::ip(side, ttl).tcp(ports[0], ports[1], own, 64_000);
        let builder = match flags {
            Flags::Syn => plain.syn(),
            Flags::SynAck => plain.syn().ack(others),
            Flags::Ack => plain.ack(others),
            Flags::Rst => plain.rst().ack(others),
        };
        let mut bytes = Vec::new();
        builder.write(&mut bytes, data).unwrap();
        self.record(ms, side, false, bytes);
        self
    }

    pub(crate) fn syn(&mut self, ms: u64, side: Side, ports: [u16; 2]) -> &mut Self {
        self.tcp(ms, side, ports, Flags::Syn, 63, b"")
    }

    /// A datagram from one port to another, from a host.
    pub(crate) fn datagram(&mut self, ms: u64, side: Side, ports: [u16; 2]) -> &mut Self {
        let mut bytes = Vec::new();
        let builder = Self::ip(side, 63).udp(ports[0], ports[1]);
        builder.write(&mut bytes, b"hello").unwrap();
        self.record(ms, side, false, bytes);
        self
    }

    /// An ICMP error of a side's NAT about a datagram to the port.
    pub(crate) fn icmp_about_datagram(&mut self, ms: u64, side: Side, port: u16) -> &mut Self {
        let mut quoted = Vec::new();
        let datagram = Self::ip(side.other(), 63).udp(port, port);
        datagram.write(&mut quoted, b"hello").unwrap();
        self.icmp_with(ms, side, &quoted)
    }

    /// Makes the last packet a lost one.
    pub(crate) fn lost(&mut self) -> &mut Self {
        self.traffic.packets.last_mut().unwrap().fate = Fate::Lost;
        self
    }

    /// An ICMP error of a side's NAT: a SYN to the port could not be delivered.
    pub(crate) fn icmp(&mut self, ms: u64, side: Side, port: u16) -> &mut Self {
        let mut quoted = Vec::new();
        let isn = Self::isn(side.other());
        let syn = Self::ip(side.other(), 63)
            .tcp(port, port, isn, 64_000)
            .syn();
        syn.write(&mut quoted, b"").unwrap();
        self.icmp_with(ms, side, &quoted)
    }

    fn icmp_with(&mut self, ms: u64, side: Side, quoted: &[u8]) -> &mut Self {
        let mut bytes = Vec::new();
        let error = etherparse::Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port);
        Self::ip(side, 64)
            .icmpv4(error)
            .write(&mut bytes, &quoted[..28])
            .unwrap();
        self.record(ms, side, false, bytes);
        self
    }

    /// A whole handshake on a port: a's SYN is not let in, b's is.
    pub(crate) fn connected(&mut self, ms: u64, port: u16) -> &mut Self {
        let ports = [port; 2];
        self.syn(ms, Side::A, ports)
            .syn(ms + 60, Side::B, ports)
            .tcp(ms + 110, Side::A, ports, Flags::SynAck, 63, b"")
            .tcp(ms + 160, Side::B, ports, Flags::Ack, 63, b"")
    }

    pub(crate) fn event(&mut self, ms: u64, side: Side, kind: EventKind) -> &mut Self {
        self.events[side].push(Event { at: at(ms), kind });
        self
    }

    pub(crate) fn ports(&mut self, ms: u64, side: Side, bucket: i64, ports: &[u16]) -> &mut Self {
        let kind = EventKind::Ports { buckets: vec![bucket], ports: ports.to_vec() };
        self.event(ms, side, kind)
    }
}
