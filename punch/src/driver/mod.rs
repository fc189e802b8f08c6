//! The driver of the protocol: clock, sockets, and one thread that waits for events.

pub mod clock;
mod closing;
mod event_loop;
#[cfg(feature = "ntp")]
pub mod ntp;
mod puncher;
mod retransmit;
mod socket;
#[cfg(all(test, target_os = "linux"))]
mod testing;

pub use self::{
    closing::ClosingSockets,
    puncher::{Canceller, Connection, ElectionKind, Error, Puncher},
};
