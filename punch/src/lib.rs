//! TCP hole punching between two computers that know nothing but each other's address.
//!
//! Both derive the same ports from the clock, and simultaneous open does the rest: no server, no
//! signalling. It works behind NATs that preserve ports, as most home routers do.
//!
//! ```no_run
//! use std::io::Write;
//!
//! // On the other side the same, with this side's address.
//! let mut connection = punch::Puncher::new().connect("203.0.113.7".parse()?)?;
//! connection.stream().write_all(b"hello")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! From another thread, [`Puncher::canceller`] ends the wait:
//!
//! ```
//! use std::thread;
//!
//! let puncher = punch::Puncher::new().bind("127.0.0.1".parse()?);
//! let canceller = puncher.canceller();
//! let waiting = thread::spawn(move || puncher.connect("127.0.0.77".parse().unwrap()));
//! canceller.cancel();
//! assert!(matches!(waiting.join().unwrap(), Err(punch::Error::Cancelled)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! From tokio, wait on a thread for blocking work and go on with the plain stream:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tokio::io::AsyncWriteExt;
//!
//! # let (near, far) = ("127.0.0.1".parse()?, "127.0.0.78".parse()?);
//! # let session = "example for tokio";
//! # let other = punch::Puncher::new().session(session).bind(far);
//! # let other = std::thread::spawn(move || other.connect(near).map(|c| c.into_stream()));
//! let puncher = punch::Puncher::new().session(session).bind(near);
//! let connection = tokio::task::spawn_blocking(move || puncher.connect(far)).await??;
//! let stream = connection.into_stream();
//! stream.set_nonblocking(true)?;
//! let mut stream = tokio::net::TcpStream::from_std(stream)?;
//! stream.write_all(b"hello").await?;
//! # drop(other.join().unwrap()?);
//! # Ok(())
//! # }
//! ```
//!
//! [`Puncher`] is the way in. [`proto`] is the algorithm alone, without I/O and without clock, for
//! simulators and other event loops. `PROTOCOL.md` beside this crate states the exact rules.

#![deny(missing_docs)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod driver;
pub mod proto;

pub use crate::{
    driver::{Canceller, ClosingSockets, Connection, ElectionKind, Error, Puncher},
    proto::{
        attempt::MAX_FIXED_PORTS,
        bucket::Rule,
        connection::{Failure, Role},
        event::{Event, EventKind},
        schedule::Schedule,
        time::ClockOffset,
    },
};

/// The example of the README, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
