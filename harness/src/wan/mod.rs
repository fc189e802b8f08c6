//! The user-space internet of one lab: packets between TUN descriptors, with delay and loss.
//!
//! One thread a lab reads every packet that a NAT or a public host sends into its WAN interface,
//! decides the packet's fate, and after the delay writes the packet to the port that owns the
//! destination address. The generators of random fates are seeded by the trial, one for each port,
//! so that the order in which two ports send changes nothing. The thread records every packet.
//!
//! At most 64 MiB are on their way in a lab; the trial in which more would be counts as disturbed.
//!
//! Known limits: no reordering, no duplication, no limit of the rate; a packet to an address that
//! no port owns vanishes.

pub(crate) mod capture;
mod forwarder;
mod network;
mod traffic;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use polling::Poller;

use self::forwarder::Forwarder;
pub(crate) use self::{
    forwarder::{CaptureDepth, Impairment},
    network::{Network, WanInterface},
    traffic::{Fate, RecordedPacket, Traffic},
};

/// A running WAN; it ends when this value is dropped.
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
    /// Starts forwarding packets. `guard` is dropped when the descriptors are closed, after the
    /// traffic has been handed over; closing takes the kernel some 30 ms for each.
    ///
    /// # Errors
    /// No poller or no thread.
    pub(crate) fn start(
        interfaces: Vec<WanInterface>,
        impairment: Impairment,
        depth: CaptureDepth,
        guard: impl Send + 'static,
    ) -> io::Result<Self> {
        let control = Arc::new(Control { stop: AtomicBool::new(false), poller: Poller::new()? });
        let (sender, result) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&control);
        let thread = thread::Builder::new().name("wan".into()).spawn(move || {
            let forwarder = Forwarder::new(interfaces, &impairment, depth);
            // Sending fails if no receiver waits for the traffic.
            let (traffic, ports) = forwarder.run(&shared.poller, &shared.stop);
            let _ = sender.send(traffic);
            drop(ports);
            drop(guard);
        })?;
        Ok(Self { control, result, thread: Some(thread) })
    }

    /// Ends the WAN and returns what passed. Another thread closes the descriptors.
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
