//! Whether a trial should have succeeded ([`oracle`]), and why it did not ([`cause`], from the
//! packets as [`flow`] sorts them), and how long it took ([`times`]).
//!
//! All are pure functions of what is known of a trial.

pub(crate) mod cause;
pub(crate) mod flow;
pub(crate) mod oracle;
#[cfg(test)]
pub(crate) mod tape;
pub(crate) mod times;
mod ways;
