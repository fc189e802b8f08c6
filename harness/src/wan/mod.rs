//! The user-space internet of one lab: packets between TUN descriptors, with delay and loss.
//!
//! One thread a lab reads every packet that a NAT or a public host sends into its WAN interface,
//! decides its fate from generators seeded by the trial (one for each port, so that the order in
//! which two ports speak changes nothing), and writes it to the port that owns the destination
//! address when its time has come. It sees and records everything.
//!
//! Known limits: no reordering, duplication or rate; a packet to an address that no port owns
//! vanishes.

pub(crate) mod capture;
mod line;
mod network;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use polling::Poller;
use punch::proto::time::MonoTime;

use self::line::Line;
pub(crate) use self::network::{Network, WanEnd};

/// What the WAN does to packets.
#[derive(Debug, Clone)]
pub(crate) struct Impairment {
    /// One-way delay between any two ports.
    pub(crate) delay: Duration,
    /// Probability that a packet is lost, independently of all others.
    pub(crate) loss: f64,
    /// Seed of all decisions.
    pub(crate) seed: [u8; 32],
}

/// How much of each packet is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Headers, of the first 20,000 packets: enough to tell what happened.
    Headers,
    /// All of it, up to 256 MiB.
    Everything,
}

/// What passed the WAN.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Names of the ports; packets refer to them by index.
    pub(crate) ports: Vec<String>,
    /// Packets in the order in which they came in.
    pub(crate) packets: Vec<Packet>,
    /// Packets that were carried but not kept, since there were too many.
    pub(crate) not_kept: u64,
    /// The worst lateness of a delivery.
    pub(crate) lateness: Duration,
}

/// One packet.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    /// When it came in.
    pub(crate) at: MonoTime,
    /// Index of the port it came from.
    pub(crate) from: usize,
    /// What became of it.
    pub(crate) fate: Fate,
    /// Its length on the wire.
    pub(crate) length: usize,
    /// Its bytes, or the first of them.
    pub(crate) bytes: Box<[u8]>,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// On its way when the WAN ended.
    InFlight {
        /// Index of the port it went to.
        to: usize,
    },
    /// Handed to a port.
    Delivered {
        /// Index of the port.
        to: usize,
        /// When.
        at: MonoTime,
    },
    /// Lost, as the scenario asks.
    Lost,
    /// To an address that nobody owns.
    NoRoute,
    /// The port would not take it.
    Refused,
}

/// A WAN at work; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Wan {
    control: Arc<Control>,
    result: tokio::sync::oneshot::Receiver<io::Result<Traffic>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Control {
    stop: AtomicBool,
    poller: Poller,
}

impl Wan {
    /// Starts carrying packets. `guard` is dropped when the descriptors are closed, which takes
    /// the kernel some 30 ms each after the traffic has been handed over.
    ///
    /// # Errors
    /// No poller or no thread.
    pub(crate) fn start(
        ends: Vec<WanEnd>,
        impairment: Impairment,
        keep: Keep,
        guard: impl Send + 'static,
    ) -> io::Result<Self> {
        let control = Arc::new(Control { stop: AtomicBool::new(false), poller: Poller::new()? });
        let (sender, result) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&control);
        let thread = thread::Builder::new().name("wan".into()).spawn(move || {
            let line = Line::new(ends, &impairment, keep);
            // Where nobody waits for the traffic, nobody needs it.
            let (traffic, ports) = line.carry(&shared.poller, &shared.stop);
            let _ = sender.send(traffic);
            drop(ports);
            drop(guard);
        })?;
        Ok(Self { control, result, thread: Some(thread) })
    }

    /// Ends the WAN and returns what passed. The descriptors are closed in the background.
    ///
    /// # Errors
    /// The WAN ended early: a descriptor failed.
    pub(crate) async fn finish(mut self) -> io::Result<Traffic> {
        self.control.stop()?;
        drop(self.thread.take());
        (&mut self.result)
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the WAN thread panicked")))
    }
}

impl Control {
    fn stop(&self) -> io::Result<()> {
        self.stop.store(true, Ordering::Release);
        self.poller.notify()
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        // A WAN that cannot be woken ends with the process.
        let _ = self.control.stop();
    }
}
