//! The loop that carries packets.

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
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{Fate, Impairment, Keep, Network, Packet, Traffic, WanEnd};
use crate::packet;

/// Packets read from one port before due deliveries are looked at again.
const BURST: usize = 64;

/// Largest IP packet that a TUN device hands over.
const MAX_PACKET: usize = 65_536;

const HEADERS: usize = 128;
const MAX_PACKETS: usize = 20_000;
const MAX_BYTES: usize = 256 << 20;

/// Everything the loop holds.
pub(super) struct Line {
    ends: Vec<End>,
    delay: Duration,
    loss: f64,
    keep: Keep,
    kept_bytes: usize,
    due: BinaryHeap<Reverse<Due>>,
    next: u64,
    traffic: Traffic,
}

struct End {
    network: Network,
    tun: File,
    rng: ChaCha20Rng,
}

/// A packet on its way; ordered by time, then by arrival.
struct Due {
    at: MonoTime,
    number: u64,
    to: usize,
    /// Its place in the record, if it has one.
    record: Option<usize>,
    bytes: Vec<u8>,
}

impl Due {
    fn order(&self) -> (MonoTime, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Line {
    pub(super) fn new(ends: Vec<WanEnd>, impairment: &Impairment, keep: Keep) -> Self {
        let mut traffic = Traffic::default();
        let mut opened = Vec::new();
        for (number, end) in (0_u64..).zip(ends) {
            let mut rng = ChaCha20Rng::from_seed(impairment.seed);
            rng.set_stream(number);
            traffic.ports.push(end.name);
            opened.push(End { network: end.network, tun: File::from(end.tun), rng });
        }
        let Impairment { delay, loss, .. } = *impairment;
        let due = BinaryHeap::new();
        Self { ends: opened, delay, loss, keep, kept_bytes: 0, due, next: 0, traffic }
    }

    /// Carries packets until `stop`; returns what passed, and the descriptors to be closed.
    pub(super) fn carry(
        mut self,
        poller: &Poller,
        stop: &AtomicBool,
    ) -> (io::Result<Traffic>, Vec<OwnedFd>) {
        let result = self.run(poller, stop);
        for end in &self.ends {
            // Not registered after an early error: then there is nothing to delete.
            let _ = poller.delete(&end.tun);
        }
        let ports = self.ends.into_iter().map(|end| end.tun.into()).collect();
        (result.map(|()| self.traffic), ports)
    }

    fn run(&mut self, poller: &Poller, stop: &AtomicBool) -> io::Result<()> {
        for (key, end) in self.ends.iter().enumerate() {
            // SAFETY: `carry` deletes it from the poller before it is closed.
            unsafe { poller.add_with_mode(&end.tun, Event::readable(key), PollMode::Level)? };
        }
        let mut events = Events::new();
        let mut buffer = vec![0; MAX_PACKET];
        while !stop.load(Ordering::Acquire) {
            let wait = self
                .due
                .peek()
                .map(|Reverse(first)| first.at.since(monotonic_now()));
            events.clear();
            poller.wait(&mut events, wait)?;
            for event in events.iter() {
                self.take(event.key, &mut buffer)?;
            }
            self.deliver();
        }
        Ok(())
    }

    /// Reads what a port has to say.
    fn take(&mut self, from: usize, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..BURST {
            match (&self.ends[from].tun).read(buffer) {
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
            .ends
            .iter()
            .position(|end| destination.is_some_and(|to| end.network.contains(to)));
        let fate = match to {
            None => Fate::NoRoute,
            Some(_) if self.draw(from) < self.loss => Fate::Lost,
            Some(to) => Fate::InFlight { to },
        };
        let record = self.record(now, from, fate, bytes);
        if let Fate::InFlight { to } = fate {
            let number = self.next;
            self.next += 1;
            let due = Due { at: now + self.delay, number, to, record, bytes: bytes.to_vec() };
            self.due.push(Reverse(due));
        }
    }

    /// Uniform in [0, 1). Each packet to somebody takes one number; those to nobody take none, since
    /// kernels send them when they like (IPv6 to multicast groups), and the others are to be the same.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    fn draw(&mut self, from: usize) -> f64 {
        (self.ends[from].rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn record(&mut self, at: MonoTime, from: usize, fate: Fate, bytes: &[u8]) -> Option<usize> {
        let (kept, room) = match self.keep {
            Keep::Headers => (bytes.len().min(HEADERS), self.traffic.packets.len() < MAX_PACKETS),
            Keep::Everything => (bytes.len(), self.kept_bytes + bytes.len() <= MAX_BYTES),
        };
        if !room {
            self.traffic.not_kept += 1;
            return None;
        }
        self.kept_bytes += kept;
        let packet = Packet { at, from, fate, length: bytes.len(), bytes: bytes[..kept].into() };
        self.traffic.packets.push(packet);
        Some(self.traffic.packets.len() - 1)
    }

    /// Writes what is due.
    fn deliver(&mut self) {
        loop {
            let now = monotonic_now();
            match self.due.peek() {
                Some(Reverse(first)) if first.at <= now => {}
                _ => return,
            }
            let Some(Reverse(due)) = self.due.pop() else { return };
            let written = (&self.ends[due.to].tun).write(&due.bytes);
            let fate = match written {
                Ok(_) => Fate::Delivered { to: due.to, at: now },
                Err(_) => Fate::Refused,
            };
            if let Some(record) = due.record {
                self.traffic.packets[record].fate = fate;
            }
            self.traffic.lateness = self.traffic.lateness.max(now.since(due.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn end(address: IpAddr) -> WanEnd {
        let tun = File::open("/dev/null").unwrap().into();
        WanEnd { name: address.to_string(), network: Network { address, prefix: 32 }, tun }
    }

    #[test]
    fn packets_to_nobody_do_not_change_which_others_are_lost() {
        let [own, other, nobody] = [1, 2, 3].map(|host| Ipv4Addr::new(192, 0, 2, host));
        let packet = |to: Ipv4Addr| {
            let mut bytes = [0; 20];
            bytes[0] = 0x45;
            bytes[16..].copy_from_slice(&to.octets());
            bytes
        };
        let impairment = Impairment { delay: Duration::ZERO, loss: 0.5, seed: [7; 32] };
        let fates = |to_nobody: usize| {
            let ends = vec![end(own.into()), end(other.into())];
            let mut line = Line::new(ends, &impairment, Keep::Headers);
            for _ in 0..32 {
                for _ in 0..to_nobody {
                    line.accept(0, &packet(nobody));
                }
                line.accept(0, &packet(other));
            }
            let fates = line.traffic.packets.iter().map(|packet| packet.fate);
            fates
                .filter(|fate| *fate != Fate::NoRoute)
                .collect::<Vec<_>>()
        };
        let alone = fates(0);
        assert!(alone.contains(&Fate::Lost) && alone.contains(&Fate::InFlight { to: 1 }));
        assert_eq!(alone, fates(1));
    }
}
