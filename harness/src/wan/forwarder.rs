//! The loop that forwards packets.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use polling::{Event, Events, PollMode, Poller};
use punch::{driver::clock::monotonic_now, proto::time::MonoTime};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::{
    network::{Network, WanInterface},
    traffic::{Fate, RecordedPacket, Traffic},
};
use crate::{packet, uniform::uniform};

/// Packets read from one port before due deliveries are looked at again.
const MAX_BURST: usize = 64;

/// Largest IP packet that a TUN device hands over, in bytes.
const MAX_PACKET: usize = 65_536;

/// Bytes of each packet that are kept as its headers.
const HEADERS: usize = 128;

/// Packets of which the headers are kept.
const MAX_PACKETS: usize = 20_000;

/// Bytes kept of whole packets, in one lab.
const MAX_BYTES: usize = 256 << 20;

/// Bytes of packets that may be on their way in one lab: 5 Gbit/s at 100 ms.
const MAX_PENDING: usize = 64 << 20;

/// Delay and loss of the WAN.
#[derive(Debug, Clone)]
pub(crate) struct Impairment {
    /// One-way delay between any two ports.
    pub(crate) delay: Duration,
    /// Probability that a packet is lost, independently of all others.
    pub(crate) loss: f64,
    /// Seed of all decisions.
    pub(crate) seed: [u8; 32],
}

/// How much of each packet the record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaptureDepth {
    /// Headers, of the first 20,000 packets: enough for a diagnosis.
    Headers,
    /// Whole packets, up to 256 MiB, and 1 GiB in all labs.
    Everything,
}

/// State of the loop.
pub(super) struct Forwarder {
    ports: Vec<WanPort>,
    delay: Duration,
    loss: f64,
    depth: CaptureDepth,
    pending: BinaryHeap<Reverse<Delivery>>,
    pending_bytes: usize,
    next_number: u64,
    traffic: Traffic,
}

/// A port of the WAN: the TUN device of a NAT or public host.
struct WanPort {
    network: Network,
    tun: File,
    rng: ChaCha20Rng,
}

/// A packet on its way. Deliveries are ordered by time, then by arrival.
struct Delivery {
    due: MonoTime,
    number: u64,
    to: usize,
    /// Index in the record, if the packet is kept.
    record: Option<usize>,
    bytes: Vec<u8>,
}

impl Delivery {
    fn order(&self) -> (MonoTime, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Delivery {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Delivery {}

impl PartialOrd for Delivery {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delivery {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Forwarder {
    pub(super) fn new(
        interfaces: Vec<WanInterface>,
        impairment: &Impairment,
        depth: CaptureDepth,
    ) -> Self {
        let mut traffic = Traffic::default();
        let mut ports = Vec::new();
        for (number, interface) in (0_u64..).zip(interfaces) {
            let mut rng = ChaCha20Rng::from_seed(impairment.seed);
            rng.set_stream(number);
            traffic.ports.push(interface.name);
            let tun = File::from(interface.tun);
            ports.push(WanPort { network: interface.network, tun, rng });
        }
        let Impairment { delay, loss, .. } = *impairment;
        let pending = BinaryHeap::new();
        Self { ports, delay, loss, depth, pending, pending_bytes: 0, next_number: 0, traffic }
    }

    /// Forwards packets until `stop`; returns what passed, and the descriptors to be closed.
    pub(super) fn run(
        mut self,
        poller: &Poller,
        stop: &AtomicBool,
    ) -> (io::Result<Traffic>, Vec<OwnedFd>) {
        let result = self.forward(poller, stop);
        for port in &self.ports {
            // Deleting fails if an early error kept the descriptor from being registered.
            let _ = poller.delete(&port.tun);
        }
        let descriptors = self.ports.into_iter().map(|port| port.tun.into()).collect();
        (result.map(|()| self.traffic), descriptors)
    }

    fn forward(&mut self, poller: &Poller, stop: &AtomicBool) -> io::Result<()> {
        for (key, port) in self.ports.iter().enumerate() {
            // SAFETY: `run` deletes the descriptor from the poller before it is closed.
            unsafe { poller.add_with_mode(&port.tun, Event::readable(key), PollMode::Level)? };
        }
        let mut events = Events::new();
        let mut buffer = vec![0; MAX_PACKET];
        while !stop.load(Ordering::Acquire) {
            let wait = self
                .pending
                .peek()
                .map(|Reverse(first)| first.due.since(monotonic_now()));
            events.clear();
            poller.wait(&mut events, wait)?;
            for event in events.iter() {
                self.read_port(event.key, &mut buffer)?;
            }
            self.deliver();
        }
        Ok(())
    }

    /// Reads packets from a port.
    fn read_port(&mut self, from: usize, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..MAX_BURST {
            match (&self.ports[from].tun).read(buffer) {
                Ok(length) => self.accept(from, &buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Decides what becomes of a packet.
    fn accept(&mut self, from: usize, bytes: &[u8]) {
        let now = monotonic_now();
        let destination = packet::destination(bytes);
        let to = self
            .ports
            .iter()
            .position(|port| destination.is_some_and(|to| port.network.contains(to)));
        let fate = match to {
            None => Fate::NoRoute,
            Some(_) if self.draw(from) < self.loss => Fate::Lost,
            Some(_) if self.pending_bytes + bytes.len() > MAX_PENDING => {
                self.traffic.overflowed += 1;
                Fate::Refused
            }
            Some(to) => Fate::InFlight { to },
        };
        let record = self.record(now, from, fate, bytes);
        if let Fate::InFlight { to } = fate {
            let number = self.next_number;
            self.next_number += 1;
            self.pending_bytes += bytes.len();
            let due = now + self.delay;
            let delivery = Delivery { due, number, to, record, bytes: bytes.to_vec() };
            self.pending.push(Reverse(delivery));
        }
    }

    /// Uniform in [0, 1). Each packet to a port takes one number. Packets to no port take none:
    /// kernels send such packets at any time (IPv6 to multicast groups), and the fates of all
    /// others must not depend on that.
    fn draw(&mut self, from: usize) -> f64 {
        uniform(&mut self.ports[from].rng)
    }

    fn record(&mut self, at: MonoTime, from: usize, fate: Fate, bytes: &[u8]) -> Option<usize> {
        let (kept, room) = match self.depth {
            CaptureDepth::Headers => {
                (bytes.len().min(HEADERS), self.traffic.packets.len() < MAX_PACKETS)
            }
            CaptureDepth::Everything => {
                (bytes.len(), self.traffic.kept.take(bytes.len(), MAX_BYTES))
            }
        };
        if !room {
            self.traffic.not_kept += 1;
            return None;
        }
        let packet =
            RecordedPacket { at, from, fate, length: bytes.len(), bytes: bytes[..kept].into() };
        self.traffic.packets.push(packet);
        Some(self.traffic.packets.len() - 1)
    }

    /// Writes the packets that are due.
    fn deliver(&mut self) {
        loop {
            let now = monotonic_now();
            match self.pending.peek() {
                Some(Reverse(first)) if first.due <= now => {}
                _ => return,
            }
            let Some(Reverse(delivery)) = self.pending.pop() else { return };
            self.pending_bytes -= delivery.bytes.len();
            let written = (&self.ports[delivery.to].tun).write(&delivery.bytes);
            let fate = match written {
                Ok(_) => Fate::Delivered { to: delivery.to, at: now },
                Err(_) => Fate::Refused,
            };
            if let Some(record) = delivery.record {
                self.traffic.packets[record].fate = fate;
            }
            self.traffic.lateness = self.traffic.lateness.max(now.since(delivery.due));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn interface(address: IpAddr) -> WanInterface {
        let tun = File::open("/dev/null").unwrap().into();
        WanInterface { name: address.to_string(), network: Network { address, prefix: 32 }, tun }
    }

    #[test]
    fn what_is_on_its_way_has_a_limit() {
        let [own, other] = [1, 2].map(|host| Ipv4Addr::new(192, 0, 2, host));
        let interfaces = vec![interface(own.into()), interface(other.into())];
        let impairment = Impairment { delay: Duration::from_secs(10), loss: 0.0, seed: [7; 32] };
        let mut forwarder = Forwarder::new(interfaces, &impairment, CaptureDepth::Headers);
        let mut packet = vec![0; 1 << 20];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&other.octets());
        for _ in 0..70 {
            forwarder.accept(0, &packet);
        }
        assert_eq!((forwarder.pending.len(), forwarder.traffic.overflowed), (64, 6));
        assert_eq!(forwarder.traffic.packets[69].fate, Fate::Refused);
    }

    #[test]
    fn packets_to_no_port_do_not_change_which_others_are_lost() {
        let [own, other, unowned] = [1, 2, 3].map(|host| Ipv4Addr::new(192, 0, 2, host));
        let packet = |to: Ipv4Addr| {
            let mut bytes = [0; 20];
            bytes[0] = 0x45;
            bytes[16..].copy_from_slice(&to.octets());
            bytes
        };
        let impairment = Impairment { delay: Duration::ZERO, loss: 0.5, seed: [7; 32] };
        let fates = |to_no_port: usize| {
            let interfaces = vec![interface(own.into()), interface(other.into())];
            let mut forwarder = Forwarder::new(interfaces, &impairment, CaptureDepth::Headers);
            for _ in 0..32 {
                for _ in 0..to_no_port {
                    forwarder.accept(0, &packet(unowned));
                }
                forwarder.accept(0, &packet(other));
            }
            let packets = forwarder.traffic.packets.iter();
            packets
                .map(|packet| packet.fate)
                .filter(|fate| *fate != Fate::NoRoute)
                .collect::<Vec<_>>()
        };
        let alone = fates(0);
        assert!(alone.contains(&Fate::Lost) && alone.contains(&Fate::InFlight { to: 1 }));
        assert_eq!(alone, fates(1));
    }
}
