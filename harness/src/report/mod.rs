//! Reports: what a run has shown, for people and for programs.
//!
//! Everything here is a function of the events in [`crate::event`]: whoever holds `events.jsonl`
//! can make each report again. A report adds no judgement of its own beyond the rules in
//! [`judge`], reads no clock, and never drops a trial: what is not in a rate is shown beside it.

pub(crate) mod cells_csv;
pub(crate) mod compare;
mod finding;
pub(crate) mod folder;
pub(crate) mod github;
mod grid;
pub(crate) mod judge;
pub(crate) mod junit;
mod labels;
pub(crate) mod ladder;
pub(crate) mod log;
pub(crate) mod markdown;
mod measured;
mod outcome;
pub(crate) mod progress;
pub(crate) mod sink;
pub(crate) mod summary;
mod table;
pub(crate) mod tally;
pub(crate) mod terminal;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod fixture;
