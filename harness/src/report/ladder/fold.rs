//! Making a long ladder short.

use std::{collections::BTreeMap, time::Duration};

use punch::proto::time::MonoTime;

use super::rows::{Row, Shape};

/// Equal rows within this time become one, with all their ports.
const TOGETHER: Duration = Duration::from_millis(2);

/// How often a row is shown before repeats of it are only counted.
const SHOWN: u32 = 3;

/// Fewer repeats in a row than these are shown after all.
const MAX_REPEATS_SHOWN: usize = 3;

/// A line of the folded ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Row(Row),
    /// Rows that are all of shapes shown before.
    Repeats {
        from: MonoTime,
        until: MonoTime,
        /// How many of each shape.
        counts: BTreeMap<Shape, usize>,
    },
}

/// Puts rows of the same shape that are close in time into one.
pub(super) fn together(rows: Vec<Row>) -> Vec<Row> {
    let mut folded: Vec<Row> = Vec::new();
    for row in rows {
        let near = |earlier: &&mut Row| row.at.since(earlier.at) <= TOGETHER;
        let alike = folded
            .iter_mut()
            .rev()
            .take_while(near)
            .find(|earlier| earlier.shape == row.shape && !row.ports.is_empty());
        match alike {
            Some(earlier) => earlier.ports.extend(row.ports),
            None => folded.push(row),
        }
    }
    folded
}

/// Counts rows whose shapes have been shown often enough.
pub(super) fn repeats(rows: Vec<Row>) -> Vec<Line> {
    let mut shown: BTreeMap<Shape, u32> = BTreeMap::new();
    let mut lines = Vec::new();
    let mut hidden: Vec<Row> = Vec::new();
    for row in rows {
        let times = shown.entry(row.shape.clone()).or_default();
        *times += 1;
        if *times > SHOWN {
            hidden.push(row);
        } else {
            lines.extend(counted(std::mem::take(&mut hidden)));
            lines.push(Line::Row(row));
        }
    }
    lines.extend(counted(hidden));
    lines
}

fn counted(hidden: Vec<Row>) -> Vec<Line> {
    let (Some(first), Some(last)) = (hidden.first(), hidden.last()) else { return Vec::new() };
    if hidden.len() <= MAX_REPEATS_SHOWN {
        return hidden.into_iter().map(Line::Row).collect();
    }
    let (from, until) = (first.at, last.at);
    let mut counts = BTreeMap::new();
    for row in hidden {
        *counts.entry(row.shape).or_default() += row.ports.len().max(1);
    }
    vec![Line::Repeats { from, until, counts }]
}
