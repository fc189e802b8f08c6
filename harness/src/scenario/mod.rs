//! Scenarios: what is asked of the test bench.

pub(crate) mod criterion;
