//! Expectations: their verdicts, and the words in which reports state them.

mod allowance;
mod judge;
mod measured;
mod text;

pub(crate) use allowance::{Allowance, rate_allowance, time_allowance};
pub(super) use judge::{CellMeasures, TheoryCounts, TimeSamples, judge};
pub(super) use text::ExpectationText;
