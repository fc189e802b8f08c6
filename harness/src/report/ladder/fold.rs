//! Folding of a long ladder: rows of the same shape are merged, and repeats are counted.

use std::{collections::BTreeMap, time::Duration};

use punch::proto::time::MonoTime;

use super::rows::{Row, Shape};

/// Rows of the same shape within this time become one, with all their ports.
const MERGE_INTERVAL: Duration = Duration::from_millis(2);

/// Number of rows of a shape that are shown before further ones are only counted.
const MAX_SHOWN: u32 = 3;

/// A sequence of at most this number of repeats is shown all the same.
const MAX_REPEATS_SHOWN: usize = 3;

/// A line of the folded ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LadderLine {
    Row(Row),
    /// Consecutive rows, all of shapes that were shown before.
    Repeats {
        from: MonoTime,
        until: MonoTime,
        /// Number of rows, or of their ports, by shape.
        counts: BTreeMap<Shape, usize>,
    },
}

/// Merges rows of the same shape that are close in time.
pub(super) fn merged(rows: Vec<Row>) -> Vec<Row> {
    let mut merged: Vec<Row> = Vec::new();
    for row in rows {
        let near = |earlier: &&mut Row| row.at.since(earlier.at) <= MERGE_INTERVAL;
        let alike = merged
            .iter_mut()
            .rev()
            .take_while(near)
            .find(|earlier| earlier.shape == row.shape && !row.ports.is_empty());
        match alike {
            Some(earlier) => earlier.ports.extend(row.ports),
            None => merged.push(row),
        }
    }
    merged
}

/// Replaces repeats by their numbers.
pub(super) fn folded(rows: Vec<Row>) -> Vec<LadderLine> {
    let mut shown: BTreeMap<Shape, u32> = BTreeMap::new();
    let mut lines = Vec::new();
    let mut hidden: Vec<Row> = Vec::new();
    for row in rows {
        let times = shown.entry(row.shape.clone()).or_default();
        *times += 1;
        if *times > MAX_SHOWN {
            hidden.push(row);
        } else {
            lines.extend(fold_repeats(std::mem::take(&mut hidden)));
            lines.push(LadderLine::Row(row));
        }
    }
    lines.extend(fold_repeats(hidden));
    lines
}

/// Lines for consecutive repeats: one with their numbers, or the rows themselves if they are few.
fn fold_repeats(hidden: Vec<Row>) -> Vec<LadderLine> {
    let (Some(first), Some(last)) = (hidden.first(), hidden.last()) else { return Vec::new() };
    if hidden.len() <= MAX_REPEATS_SHOWN {
        return hidden.into_iter().map(LadderLine::Row).collect();
    }
    let (from, until) = (first.at, last.at);
    let mut counts = BTreeMap::new();
    for row in hidden {
        *counts.entry(row.shape).or_default() += row.ports.len().max(1);
    }
    vec![LadderLine::Repeats { from, until, counts }]
}
