//! The algorithm: no I/O, no clock, no randomness of its own.
//!
//! [`Attempt`](attempt::Attempt) is the whole of it; its parts are [`bucket`] (clock to bucket),
//! [`schedule`] (bucket to ports), [`election`] (which connection) and [`wire`] (frames). Time
//! comes in as an argument, in the two types of [`time`]; randomness comes in as a seed. What always
//! holds: the same inputs in the same order give the same outputs.

pub mod attempt;
pub mod bucket;
pub mod connection;
pub mod election;
pub mod event;
pub mod schedule;
pub mod time;
pub mod wire;
