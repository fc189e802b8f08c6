//! Record of what passed the WAN.

use std::time::Duration;

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
    /// The worst lateness of a delivery.
    pub(crate) lateness: Duration,
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
    /// Not taken by the destination port.
    Refused,
}
