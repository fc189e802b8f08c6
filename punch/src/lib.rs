//! TCP hole punching between two computers, each of which knows only the other's address.
//!
//! Both sides derive the same ports from the clock and connect to each other at the same time
//! (simultaneous open). There is no server and no signalling. Both NATs must preserve ports, as
//! most home routers do.
//!
//! [`Puncher::connect`] returns a [`Connection`], which implements [`Read`](std::io::Read) and
//! [`Write`](std::io::Write):
//!
//! ```no_run
//! use std::io::{Read, Write};
//!
//! use punch::Puncher;
//!
//! // The other side runs the same program with this side's WAN address.
//! let mut connection = Puncher::new().connect("203.0.113.7".parse()?)?;
//! connection.write_all(b"hello")?;
//! let mut greeting = [0; 5];
//! connection.read_exact(&mut greeting)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! | part | content |
//! |---|---|
//! | [`Puncher`] | options and [`connect`](Puncher::connect), which blocks the calling thread |
//! | [`Connection`] | the TCP connection to the peer |
//! | [`Canceller`] | ends the wait from another thread |
//! | [`Error`], [`Failure`] | reasons for which there is no connection |
//! | [`Event`] | progress, for [`Puncher::connect_observed`] |
//! | [`proto`] | the algorithm alone, without I/O and clock, for simulators and other event loops |
//! | [`driver`] | the clock, sockets and event loop around it |
//!
//! `PROTOCOL.md` in this package states the exact rules. The folder `examples` has a chat, a
//! program for tokio, and [`proto`] in an event loop of its own.
//!
//! # Cancellation
//!
//! A [`Canceller`] ends [`Puncher::connect`] from another thread:
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
//! # Tokio
//!
//! The attempt runs on a thread for blocking work. Afterwards the plain stream is given to tokio:
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
//! let plain = connection.into_stream();
//! plain.set_nonblocking(true)?;
//! let mut stream = tokio::net::TcpStream::from_std(plain)?;
//! stream.write_all(b"hello").await?;
//! # drop(other.join().unwrap()?);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! None is on by default. `mt19937` adds the port schedule of the article's published program,
//! `ntp` the module `driver::ntp` (offset of the clock, from a time server), and `serde`
//! `Serialize` and `Deserialize` for events and other plain types.

#![deny(missing_docs)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod driver;
pub mod proto;

#[doc(inline)]
pub use crate::driver::{
    Canceller, ClosingSockets, Connection, ElectionKind, Error, Keepalive, Puncher,
};
#[doc(inline)]
pub use crate::proto::{
    UnknownName,
    attempt::MAX_FIXED_PORTS,
    bucket::Rule,
    connection::{Failure, Role},
    event::{Event, EventKind},
    schedule::Schedule,
    time::ClockOffset,
};

/// The example of the README, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
