//! The cells of a two-dimensional sweep as rows and columns, for heat maps.

use serde_json::Value;

use crate::report::summary::{CellSummary, ScenarioSummary, Verdict};

/// A two-dimensional sweep.
#[derive(Debug, PartialEq)]
pub(super) struct Grid<'a> {
    /// Index of the swept path that varies from row to row.
    pub row_path: usize,
    /// Index of the swept path that varies from column to column.
    pub column_path: usize,
    /// Values of the rows from top to bottom.
    pub rows: Vec<&'a Value>,
    /// Values of the columns from left to right.
    pub columns: Vec<&'a Value>,
    /// Indices of the cells, row by row; a sweep of pairs fills only a part.
    pub cells: Vec<Vec<Option<usize>>>,
}

impl<'a> Grid<'a> {
    /// Grid of a scenario, if two swept paths identify every cell and no single path does.
    pub(super) fn of(scenario: &'a ScenarioSummary) -> Option<Self> {
        let cells = &scenario.cells;
        let paths = cells.first()?.values.len();
        if cells.iter().any(|cell| cell.values.len() != paths) {
            return None;
        }
        let lists: Vec<_> = (0..paths).map(|path| distinct(cells, path)).collect();
        if lists.iter().any(|values| values.len() == cells.len()) {
            return None;
        }
        let pairs = (0..paths).flat_map(|row| (row + 1..paths).map(move |column| (row, column)));
        pairs.into_iter().find_map(|(row, column)| {
            Self::with(cells, (row, &lists[row]), (column, &lists[column]))
        })
    }

    fn with(
        cells: &'a [CellSummary],
        (row_path, rows): (usize, &[&'a Value]),
        (column_path, columns): (usize, &[&'a Value]),
    ) -> Option<Self> {
        let (mut rows, mut columns) = (rows.to_vec(), columns.to_vec());
        let partial = rows.len() * columns.len() > cells.len();
        if partial && same_kind(cells, row_path, column_path) {
            // Unordered pairs make a triangle only if rows and columns have the same order.
            rows = merged(&rows, &columns);
            columns.clone_from(&rows);
        }
        let mut grid = vec![vec![None; columns.len()]; rows.len()];
        for (index, cell) in cells.iter().enumerate() {
            let place = |path: usize, values: &[&Value]| {
                values
                    .iter()
                    .position(|&value| *value == cell.values[path].value)
            };
            let (row, column) = (place(row_path, &rows)?, place(column_path, &columns)?);
            if grid[row][column].replace(index).is_some() {
                return None;
            }
        }
        Some(Self { row_path, column_path, rows, columns, cells: grid })
    }

    /// Whether rows and columns have the same values, so that one legend explains both.
    pub(super) fn is_square(&self) -> bool {
        self.rows == self.columns
    }

    /// The grid with rows and columns exchanged.
    pub(super) fn transposed(&self) -> Self {
        let cells = (0..self.columns.len())
            .map(|column| self.cells.iter().map(|row| row[column]).collect())
            .collect();
        Self {
            row_path: self.column_path,
            column_path: self.row_path,
            rows: self.columns.clone(),
            columns: self.rows.clone(),
            cells,
        }
    }
}

/// Mark of a cell in a heat map: the first variant that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// Trials failed that should have succeeded.
    FailedAgainstTheory,
    /// Trials succeeded that should have failed.
    SucceededAgainstTheory,
    /// An expectation failed.
    Failed,
    /// An expectation is inconclusive.
    Inconclusive,
    /// Nothing calls for attention.
    None,
}

impl Mark {
    pub(super) fn of(cell: &CellSummary) -> Self {
        if cell.theory.unexpected_failures.count > 0 {
            Self::FailedAgainstTheory
        } else if cell.theory.unexpected_successes.count > 0 {
            Self::SucceededAgainstTheory
        } else {
            match cell.verdict {
                Some(Verdict::Fail) => Self::Failed,
                Some(Verdict::Inconclusive) => Self::Inconclusive,
                Some(Verdict::Pass) | None => Self::None,
            }
        }
    }

    /// Sign of the mark, one column wide.
    pub(super) fn sign(self) -> char {
        match self {
            Self::FailedAgainstTheory => '▼',
            Self::SucceededAgainstTheory => '▲',
            Self::Failed => '!',
            Self::Inconclusive => '?',
            Self::None => ' ',
        }
    }

    /// Meaning of the sign.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::FailedAgainstTheory => "failed against theory",
            Self::SucceededAgainstTheory => "succeeded against theory",
            Self::Failed => "expectation failed",
            Self::Inconclusive => "inconclusive",
            Self::None => "",
        }
    }
}

/// A rate in percent with at most three characters; `0` and `100` are exact.
pub(super) fn short_percent(rate: f64) -> String {
    let percent = rate * 100.0;
    match percent {
        0.0 | 100.0 => format!("{percent:.0}"),
        _ if percent <= 0.5 => "<1".to_owned(),
        _ if percent >= 99.5 => ">99".to_owned(),
        _ => format!("{percent:.0}"),
    }
}

/// Distinct values of a swept path, in the order of the cells.
pub(super) fn distinct(cells: &[CellSummary], path: usize) -> Vec<&Value> {
    let mut values: Vec<&Value> = Vec::new();
    for cell in cells {
        let value = &cell.values[path].value;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// Whether two paths end in the same key, such as `peer.a.nat` and `peer.b.nat`.
fn same_kind(cells: &[CellSummary], one: usize, other: usize) -> bool {
    let Some(first) = cells.first() else { return false };
    let [one, other] = [one, other].map(|path| first.values[path].path.rsplit('.').next());
    one == other
}

/// All values of both lists, in an order that agrees with both if possible.
fn merged<'a>(rows: &[&'a Value], columns: &[&'a Value]) -> Vec<&'a Value> {
    let mut all = rows.to_vec();
    let mut after = 0;
    for value in columns {
        if let Some(known) = all.iter().position(|other| other == value) {
            after = known + 1;
        } else {
            all.insert(after, value);
            after += 1;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::CellPlan,
        report::{
            fixture::{cell, scenario, started},
            tally::summarize,
        },
    };

    fn summary(cells: Vec<CellPlan>) -> ScenarioSummary {
        let events = [started(vec![scenario("grid", 10, cells)])];
        summarize(&events).unwrap().scenarios.remove(0)
    }

    fn pair(a: &str, b: &str) -> CellPlan {
        cell(&[("peer.a.nat", a.into()), ("peer.b.nat", b.into())])
    }

    fn values<'a>(values: &[&'a Value]) -> Vec<&'a str> {
        values.iter().map(|value| value.as_str().unwrap()).collect()
    }

    #[test]
    fn a_product_of_two_lists_fills_the_grid() {
        let cells = ["x", "y"].iter().flat_map(|&rule| {
            [0, 5, 10].map(|offset| cell(&[("rule", rule.into()), ("offset", offset.into())]))
        });
        let scenario = summary(cells.collect());
        let grid = Grid::of(&scenario).unwrap();
        assert_eq!((grid.rows.len(), grid.columns.len()), (2, 3));
        assert_eq!(grid.cells[1], [Some(3), Some(4), Some(5)]);
        assert_eq!(grid.transposed().cells[2], [Some(2), Some(5)]);
    }

    #[test]
    fn unordered_pairs_of_either_half_make_a_triangle() {
        let upper = [("h", "h"), ("h", "r"), ("h", "s"), ("r", "r"), ("r", "s"), ("s", "s")];
        let scenario = summary(upper.iter().map(|(a, b)| pair(a, b)).collect());
        let grid = Grid::of(&scenario).unwrap();
        assert!(grid.is_square());
        assert_eq!(grid.cells[2], [None, None, Some(5)]);
        // Without pairs of equal values, neither side has all values.
        let strict = [("h", "r"), ("h", "s"), ("r", "s")];
        let scenario = summary(strict.iter().map(|(a, b)| pair(a, b)).collect());
        let grid = Grid::of(&scenario).unwrap();
        assert_eq!(values(&grid.rows), ["h", "r", "s"]);
        assert_eq!(
            grid.cells,
            [[None, Some(0), Some(1)], [None, None, Some(2)], [None, None, None]]
        );
        let lower = [("r", "h"), ("s", "h"), ("s", "r")];
        let scenario = summary(lower.iter().map(|(a, b)| pair(a, b)).collect());
        assert_eq!(values(&Grid::of(&scenario).unwrap().rows), ["h", "r", "s"]);
    }

    #[test]
    fn a_sweep_in_one_dimension_or_three_has_no_grid() {
        let line = [1, 2].map(|delay| cell(&[("delay", delay.into()), ("rule", "x".into())]));
        assert_eq!(Grid::of(&summary(line.to_vec())), None);
        let zipped = [(1, 0.1), (2, 0.2)]
            .map(|(delay, loss)| cell(&[("a", delay.into()), ("b", loss.into())]));
        assert_eq!(Grid::of(&summary(zipped.to_vec())), None);
        let cube = (0..8).map(|number| {
            let bit = |bit: u32| Value::from((number >> bit) & 1);
            cell(&[("a", bit(0)), ("b", bit(1)), ("c", bit(2))])
        });
        assert_eq!(Grid::of(&summary(cube.collect())), None);
        assert_eq!(Grid::of(&summary(vec![cell(&[])])), None);
    }

    #[test]
    fn a_path_that_follows_another_is_no_dimension() {
        let cells = [(1, 0.1), (2, 0.2)].iter().flat_map(|&(delay, loss)| {
            ["x", "y"].map(|rule| {
                cell(&[("delay", delay.into()), ("loss", loss.into()), ("rule", rule.into())])
            })
        });
        let scenario = summary(cells.collect());
        let grid = Grid::of(&scenario).unwrap();
        assert_eq!((grid.row_path, grid.column_path), (0, 2));
    }

    #[test]
    fn a_short_rate_never_hides_an_exception() {
        let shown = [0.0, 0.001, 0.005, 0.5, 0.994, 0.996, 1.0].map(short_percent);
        assert_eq!(shown, ["0", "<1", "<1", "50", "99", ">99", "100"]);
    }
}
