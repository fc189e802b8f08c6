//! Reports of a run, for people and for programs.
//!
//! Every report is a function of the events in [`crate::event`] and can be made again from
//! `events.jsonl`. All verdicts follow the rules in [`expectation`]. A report reads no clock and
//! drops no trial: a trial that is in no rate is shown beside the rate.

pub(crate) mod cells_csv;
pub(crate) mod compare;
pub(crate) mod expectation;
pub(crate) mod folder;
pub(crate) mod github;
mod grid;
mod headline;
pub(crate) mod junit;
mod labels;
pub(crate) mod ladder;
pub(crate) mod log;
pub(crate) mod markdown;
pub(crate) mod progress;
pub(crate) mod sink;
pub(crate) mod summary;
mod table;
pub(crate) mod tally;
pub(crate) mod terminal;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod unprintable;
