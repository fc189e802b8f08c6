//! Record of what passed the WAN.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use punch::proto::time::MonoTime;

/// Record of everything that passed the WAN.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Names of the ports; packets refer to them by index.
    pub(crate) ports: Vec<String>,
    /// Packets in the order in which they came in.
    pub(crate) packets: Vec<RecordedPacket>,
    /// Number of packets that were carried but not kept, since there were too many.
    pub(crate) not_kept: u64,
    /// Number of packets that were not carried, since too many were on their way.
    pub(crate) overflowed: u64,
    /// Bytes of whole packets in the record.
    pub(crate) kept: KeptBytes,
    /// The worst lateness of a delivery.
    pub(crate) lateness: Duration,
}

/// Bytes of whole packets that the records of all labs may keep at once.
const MAX_KEPT: usize = 1 << 30;

/// Bytes of whole packets in the records of all labs.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Bytes of whole packets in one record, a part of those of all labs.
#[derive(Debug, Default)]
pub(crate) struct KeptBytes(usize);

impl KeptBytes {
    /// Takes room for some more bytes: up to `limit` in this record, and [`MAX_KEPT`] in all.
    pub(super) fn take(&mut self, bytes: usize, limit: usize) -> bool {
        let fits = |all: usize| Some(all + bytes).filter(|sum| *sum <= MAX_KEPT);
        let has_room = self.0 + bytes <= limit
            && KEPT
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
                .is_ok();
        if has_room {
            self.0 += bytes;
        }
        has_room
    }
}

impl Drop for KeptBytes {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// One packet of the record.
#[derive(Debug, Clone)]
pub(crate) struct RecordedPacket {
    /// When the packet came in.
    pub(crate) at: MonoTime,
    /// Index of the port that the packet came from.
    pub(crate) from: usize,
    /// What became of the packet.
    pub(crate) fate: Fate,
    /// Length on the wire.
    pub(crate) length: usize,
    /// All bytes, or the first ones.
    pub(crate) bytes: Box<[u8]>,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Still on the way when the WAN ended.
    InFlight {
        /// Index of the destination port.
        to: usize,
    },
    /// Handed to a port.
    Delivered {
        /// Index of the port.
        to: usize,
        /// When the packet was handed over.
        at: MonoTime,
    },
    /// Lost, as the scenario asks.
    Lost,
    /// To an address that no port owns.
    NoRoute,
    /// Not taken by the destination port, or too much was on its way already.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_records_together_have_a_limit_and_give_back_what_they_took() {
        let mut records: Vec<KeptBytes> = (0..5).map(|_| KeptBytes::default()).collect();
        let limit = MAX_KEPT / 4;
        for record in &mut records[..4] {
            assert!(!record.take(limit + 1, limit));
            assert!(record.take(limit, limit));
            assert!(!record.take(1, limit));
        }
        assert!(!records[4].take(1, limit));
        drop(records.pop());
        drop(records.remove(0));
        assert!(KeptBytes::default().take(limit, limit));
    }
}
