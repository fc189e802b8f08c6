//! Whether a trial should have succeeded ([`oracle`]), and why it did not ([`cause`]), and
//! how long it took ([`times`]).
//!
//! All are pure functions of what is known of a trial.

pub(crate) mod cause;
pub(crate) mod flow;
pub(crate) mod oracle;
pub(crate) mod times;
