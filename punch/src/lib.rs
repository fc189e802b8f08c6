//! TCP hole punching between two computers that know nothing but each other's address.
//!
//! Both derive the same ports from the clock, and simultaneous open does the rest: no server, no
//! signalling. It works behind NATs that preserve ports, as most home routers do.
//!
//! [`Puncher`] is the way in. [`core`] is the algorithm alone, without I/O and without clock, for
//! simulators and other event loops. `PROTOCOL.md` beside this crate states the exact rules.

#![deny(missing_docs)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod core;
pub mod io;

pub use crate::core::attempt::Failure;
pub use crate::core::event::Event;
pub use crate::{
    core::{bucket::Rule, election::Role, schedule::Schedule, time::ClockOffset},
    io::{Canceller, Connection, ElectionKind, Error, Losers, Puncher},
};
