//! Heat map of a two-dimensional sweep: one rate for each cell, readable without colours.

use crate::{
    report::{
        grid::{Grid, Mark, short_percent},
        labels::Labels,
        summary::CellSummary,
        text::{cut, percent, short_values},
    },
    stats::wilson,
    ui::{
        plural::count,
        style::{Ink, Style},
        wrap::paragraph,
    },
};

/// Columns between the names of rows and the rates.
const GAP: usize = 1;
/// Columns of a rate and its mark.
const FIGURE: usize = 4;
/// Minimum width to which names of rows are cut.
const MIN_NAME: usize = 8;

/// Heat map of the scenario; empty if the sweep does not have two dimensions, or if the terminal is
/// too narrow.
pub(super) fn render(labels: &Labels<'_>, style: Style) -> String {
    let Some(grid) = Grid::of(labels.scenario) else { return String::new() };
    let upright = Layout::new(&grid, labels, style.width);
    let turned = grid.transposed();
    let layout = upright.or_else(|| Layout::new(&turned, labels, style.width));
    layout.map_or_else(String::new, |layout| layout.render(style))
}

/// Headings of the columns.
enum Heads {
    /// The values of the columns.
    Values(Vec<String>),
    /// Keys, which the names of the rows or a legend explain.
    Keys(Vec<String>),
}

/// A heat map with the widths of its parts.
struct Layout<'a> {
    grid: &'a Grid<'a>,
    labels: &'a Labels<'a>,
    row_names: Vec<String>,
    /// Width of the row names.
    row_width: usize,
    heads: Heads,
    /// Width of a column.
    column_width: usize,
}

impl<'a> Layout<'a> {
    /// A layout with values as headings if they fit, otherwise with keys; `None` if neither fits.
    fn new(grid: &'a Grid<'a>, labels: &'a Labels<'a>, width: usize) -> Option<Self> {
        let (rows, columns) = (short_values(&grid.rows), short_values(&grid.columns));
        let longest = |names: &[String]| names.iter().map(|name| name.chars().count()).max();
        let path = labels.names[grid.row_path].chars().count();
        let row_width = longest(&rows)?.max(path);
        let widest = longest(&columns)? + 1;
        let used =
            |row_width: usize, column_width: usize| row_width + GAP + column_width * columns.len();
        let widths = (FIGURE..=FIGURE + 2).rev();
        let by_value = widths.clone().map(|column| column.max(widest));
        if let Some(column_width) = by_value
            .into_iter()
            .find(|&column| used(row_width, column) <= width)
        {
            let heads = Heads::Values(columns);
            return Some(Self { grid, labels, row_names: rows, row_width, heads, column_width });
        }
        let (keys, rows) = if grid.is_square() {
            let digits = rows.len().to_string().len();
            let keyed_rows = rows
                .iter()
                .enumerate()
                .map(|(index, name)| format!("{:>digits$} {name}", index + 1));
            ((1..=columns.len()).map(|key| key.to_string()).collect(), keyed_rows.collect())
        } else {
            ((0..columns.len()).map(letters).collect::<Vec<_>>(), rows)
        };
        let full_width = longest(&rows)?.max(path);
        let column_width = widths
            .into_iter()
            .find(|&column| used(full_width, column) <= width)
            .unwrap_or(FIGURE);
        let room = width.checked_sub(used(0, column_width))?;
        if room < full_width.min(MIN_NAME) {
            return None;
        }
        let row_width = full_width.min(room);
        let heads = Heads::Keys(keys);
        Some(Self { grid, labels, row_names: rows, row_width, heads, column_width })
    }

    fn render(&self, style: Style) -> String {
        let mut out = style.paint(Ink::Bold, "Successes in %") + &self.basis() + "\n";
        let column_name = &self.labels.names[self.grid.column_path];
        // Headings are above the rates; the last character of a column is the mark.
        let indent = self.row_width + GAP + self.column_width - FIGURE;
        out.push_str(&format!("{:indent$}{column_name}\n", ""));
        let row_name = cut(&self.labels.names[self.grid.row_path], self.row_width);
        out.push_str(&format!("{row_name:width$}{:GAP$}", "", width = self.row_width));
        let (Heads::Values(heads) | Heads::Keys(heads)) = &self.heads;
        let heads: String = heads
            .iter()
            .map(|head| format!("{head:>width$} ", width = self.column_width - 1))
            .collect();
        out.push_str(heads.trim_end());
        out.push('\n');
        for (name, cells) in self.row_names.iter().zip(&self.grid.cells) {
            let name = cut(name, self.row_width);
            let figures: String = cells.iter().map(|cell| self.figure(*cell, style)).collect();
            let line = format!("{name:width$}{:GAP$}{figures}", "", width = self.row_width);
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.push_str(&self.legend(style));
        out
    }

    /// Number of trials behind the rates: 100 % of few trials proves less than 100 % of many.
    fn basis(&self) -> String {
        let judged = || self.labels.scenario.cells.iter().map(CellSummary::rated);
        match (judged().min(), judged().max()) {
            (Some(least @ 1..), Some(most)) if least == most => {
                let proven = percent(wilson(most, most).low);
                let trials = count(most, "trial");
                format!(" of {trials} a cell ({most} of {most} prove {proven} %)")
            }
            (Some(least), Some(most)) => format!(" of {least} to {most} trials a cell"),
            _ => String::new(),
        }
    }

    fn figure(&self, cell: Option<usize>, style: Style) -> String {
        let Some(cell) = cell.and_then(|index| self.labels.scenario.cells.get(index)) else {
            return " ".repeat(self.column_width);
        };
        let rate = match cell.rate {
            Some(rate) => short_percent(rate),
            None if cell.errors > 0 => "err".to_owned(),
            None => "–".to_owned(),
        };
        let text =
            format!("{rate:>width$}{}", Mark::of(cell).sign(), width = self.column_width - 1);
        match cell.rate {
            Some(rate) => style.shade(rate, Mark::of(cell) != Mark::None, &text),
            None => text,
        }
    }

    /// Explanation of the signs that occur, and of keys that the rows do not explain.
    fn legend(&self, style: Style) -> String {
        let cells = &self.labels.scenario.cells;
        let mut parts = Vec::new();
        let mut marks: Vec<_> = cells.iter().map(Mark::of).collect();
        marks.sort();
        marks.dedup();
        let meant = marks.iter().filter(|&&mark| mark != Mark::None);
        parts.extend(meant.map(|mark| format!("{} {}", mark.sign(), mark.meaning())));
        if cells
            .iter()
            .any(|cell| cell.rate.is_none() && cell.errors > 0)
        {
            parts.push("err only errors of the bench".to_owned());
        }
        if cells.iter().any(|cell| cell.trials == 0) {
            parts.push("– no trial".to_owned());
        }
        let mut out = String::new();
        if let (Heads::Keys(keys), false) = (&self.heads, self.grid.is_square()) {
            let explained: Vec<_> = keys
                .iter()
                .zip(short_values(&self.grid.columns))
                .map(|(key, name)| format!("{key} {name}"))
                .collect();
            out.push_str(&paragraph(" ", &explained.join(" · "), style.width));
        }
        if !parts.is_empty() {
            out.push_str(&paragraph(" ", &parts.join(", "), style.width));
        }
        out
    }
}

/// Key of a column: `a` to `z`, then `aa` and so on.
fn letters(mut index: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b"abcdefghijklmnopqrstuvwxyz"[index % 26]));
        index /= 26;
        if index == 0 {
            return letters.iter().rev().collect();
        }
        index -= 1;
    }
}
