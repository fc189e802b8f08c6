//! The algorithm, without I/O, without a clock and without randomness of its own.
//!
//! [`Attempt`](attempt::Attempt) is the state machine of one attempt. A program that has its own
//! event loop, or simulates a network, calls `handle_*` when something happens, and takes what to
//! do from `poll_*`; the documentation of [`attempt`] states the order of the calls, and
//! `examples/own_event_loop` shows a complete loop.
//!
//! Its parts can be used alone:
//!
//! | module | content |
//! |---|---|
//! | [`bucket`] | from the clock to buckets |
//! | [`schedule`] | from a bucket to ports |
//! | [`election`] | the choice of one connection, the same on both sides |
//! | [`wire`] | the frames of the election |
//! | [`event`] | progress of an attempt |
//! | [`statistics`] | what an attempt has sent and received |
//!
//! Time comes in as an argument, in the two types of [`time`], and randomness as a seed. The same
//! inputs in the same order always give the same outputs.

pub mod attempt;
pub mod bucket;
pub mod connection;
pub mod election;
pub mod event;
mod names;
pub mod schedule;
pub mod statistics;
pub mod time;
pub mod wire;

pub use self::names::UnknownName;
