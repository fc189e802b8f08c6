//! The heat map of a two-dimensional sweep: one figure a cell, readable without colours.

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

/// Columns between the names of rows and the figures.
const GAP: usize = 1;
/// Columns of a figure and its mark.
const FIGURE: usize = 4;
/// Names of rows are cut here if there is no room for more.
const MIN_NAME: usize = 8;

/// The heat map of the scenario; empty if its sweep has not two dimensions, or if there is no room
/// for it.
pub(super) fn render(labels: &Labels<'_>, style: Style) -> String {
    let Some(grid) = Grid::of(labels.scenario) else { return String::new() };
    let upright = Layout::new(&grid, labels, style.width);
    let turned = grid.transposed();
    let layout = upright.or_else(|| Layout::new(&turned, labels, style.width));
    layout.map_or_else(String::new, |layout| layout.render(style))
}

/// How a column is called.
enum Heads {
    /// By its value.
    Values(Vec<String>),
    /// By a key that the rows or a legend explain.
    Keys(Vec<String>),
}

struct Layout<'a> {
    grid: &'a Grid<'a>,
    labels: &'a Labels<'a>,
    row_names: Vec<String>,
    /// Columns of all row names.
    row_width: usize,
    heads: Heads,
    /// Columns of each column.
    column_width: usize,
}

impl<'a> Layout<'a> {
    /// Names the columns by their values if they fit, else by keys; `None` if nothing fits.
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
            let numbered = rows.iter().enumerate();
            let keyed = numbered.map(|(index, name)| format!("{:>digits$} {name}", index + 1));
            ((1..=columns.len()).map(|key| key.to_string()).collect(), keyed.collect())
        } else {
            ((0..columns.len()).map(letters).collect::<Vec<_>>(), rows)
        };
        let row_width = longest(&rows)?.max(path);
        let column_width = widths
            .into_iter()
            .find(|&column| used(row_width, column) <= width)
            .unwrap_or(FIGURE);
        let room = width.checked_sub(used(0, column_width))?;
        if room < row_width.min(MIN_NAME) {
            return None;
        }
        let row_width = row_width.min(room);
        let heads = Heads::Keys(keys);
        Some(Self { grid, labels, row_names: rows, row_width, heads, column_width })
    }

    fn render(&self, style: Style) -> String {
        let mut out = style.paint(Ink::Bold, "Successes in %") + &self.basis() + "\n";
        let column_name = &self.labels.names[self.grid.column_path];
        // The heads stand over the figures, whose last column is the mark's.
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

    /// What the figures stand on: without it, 100 of few trials looks like 100 of many.
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
        let figure = match cell.rate {
            Some(rate) => short_percent(rate),
            None if cell.errors > 0 => "err".to_owned(),
            None => "–".to_owned(),
        };
        let text =
            format!("{figure:>width$}{}", Mark::of(cell).sign(), width = self.column_width - 1);
        match cell.rate {
            Some(rate) => style.shade(rate, Mark::of(cell) != Mark::None, &text),
            None => text,
        }
    }

    /// Whatever signs occur, and the keys of columns that are no rows.
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
            let keyed = keys.iter().zip(short_values(&self.grid.columns));
            let keyed: Vec<_> = keyed.map(|(key, name)| format!("{key} {name}")).collect();
            out.push_str(&paragraph(" ", &keyed.join(" · "), style.width));
        }
        if !parts.is_empty() {
            out.push_str(&paragraph(" ", &parts.join(", "), style.width));
        }
        out
    }
}

/// `a` to `z`, then `aa` and so on.
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
