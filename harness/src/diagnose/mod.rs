//! Analysis of a trial: whether it should have succeeded ([`prediction`]), why it failed
//! ([`cause`], from the packets as [`flow`] sorts them), and how long it took ([`times`]).
//!
//! All are pure functions of the setup of a trial and what was observed of it.

pub(crate) mod cause;
pub(crate) mod flow;
pub(crate) mod prediction;
mod reach;
pub(crate) mod times;
#[cfg(test)]
pub(crate) mod traffic_builder;
