//! The driver of [`proto`](crate::proto): clock, sockets, and an event loop on the calling thread.
//!
//! Its main types, [`Puncher`] and [`Connection`], are at the root of the crate as well.

mod canceller;
pub mod clock;
mod closing;
mod connection;
mod error;
mod event_loop;
mod keepalive;
mod local_address;
#[cfg(feature = "ntp")]
pub mod ntp;
mod puncher;
mod retransmit;
mod socket;
#[cfg(all(test, target_os = "linux"))]
mod testing;

pub use self::{
    canceller::Canceller,
    closing::ClosingSockets,
    connection::Connection,
    error::Error,
    keepalive::Keepalive,
    puncher::{ElectionKind, Puncher},
};
