//! The shell around the core: clock, sockets, and one thread that waits for events.

pub mod clock;
mod drain;
#[cfg(feature = "ntp")]
pub mod ntp;
mod pace;
mod puncher;
mod run;
mod socket;
#[cfg(all(test, target_os = "linux"))]
mod testing;

pub use puncher::{Canceller, Connection, ElectionKind, Error, Losers, Puncher};
