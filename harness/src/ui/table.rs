//! Tables with a heading of one or two lines.

use comfy_table::{
    Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle,
};

use crate::ui::style::Style;

/// Sign for a value that does not exist.
pub(crate) const NONE: &str = "–";

const LINES: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none().junction(' '));

/// A column with a heading of up to two lines.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    heading: [String; 2],
    alignment: CellAlignment,
    cells: Vec<String>,
}

impl Column {
    /// A column of words.
    pub(crate) fn left<Text: Into<String>>(heading: [Text; 2], cells: Vec<String>) -> Self {
        Self { heading: heading.map(Into::into), alignment: CellAlignment::Left, cells }
    }

    /// A column of figures.
    pub(crate) fn right<Text: Into<String>>(heading: [Text; 2], cells: Vec<String>) -> Self {
        Self { heading: heading.map(Into::into), alignment: CellAlignment::Right, cells }
    }
}

/// Colours a line of the finished table; `None` leaves the line unchanged. Colours in the cells
/// would count as width.
pub(crate) type Paint = fn(&str, Style) -> Option<String>;

/// Whether a table fits into the width without wrapping.
pub(crate) fn fits(columns: &[Column], style: Style) -> bool {
    lines(&table(columns))
        .iter()
        .all(|line| line.chars().count() <= style.width)
}

/// Text of a table. Cells are wrapped if the table is too wide.
pub(crate) fn lay_out(columns: &[Column], style: Style, paint: Paint) -> String {
    let mut table = table(columns);
    table.set_width(u16::try_from(style.width).unwrap_or(u16::MAX));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let lines = lines(&table);
    lines
        .iter()
        .map(|line| paint(line, style).unwrap_or_else(|| line.clone()) + "\n")
        .collect()
}

/// [`lay_out`] without colours.
pub(crate) fn plain(columns: &[Column], style: Style) -> String {
    lay_out(columns, style, |_, _| None)
}

fn table(columns: &[Column]) -> Table {
    let mut table = Table::new();
    table
        .load_style(LINES)
        .set_content_arrangement(ContentArrangement::Disabled);
    let heading = |column: &Column| {
        Cell::new(column.heading.join("\n").trim_end()).set_alignment(column.alignment)
    };
    table.set_header(columns.iter().map(heading));
    for row in 0..columns.first().map_or(0, |column| column.cells.len()) {
        table.add_row(columns.iter().map(|column| {
            Cell::new(column.cells.get(row).map_or(NONE, String::as_str))
                .set_alignment(column.alignment)
        }));
    }
    for column in table.column_iter_mut() {
        // With the space at the junction this makes two columns between cells.
        column.set_padding((1, 0));
    }
    table
}

fn lines(table: &Table) -> Vec<String> {
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> [Column; 2] {
        let words = ["home", "symmetric"].map(str::to_owned);
        let figures = ["5", "12"].map(str::to_owned);
        [Column::left(["NAT", ""], words.to_vec()), Column::right(["time", "s"], figures.to_vec())]
    }

    #[test]
    fn words_stand_left_and_figures_right() {
        let style = Style { width: 60, color: false, unicode: true };
        let expected = [
            " NAT        time",
            "               s",
            "────────────────",
            " home          5",
            " symmetric    12",
        ];
        assert_eq!(plain(&columns(), style).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_table_that_is_too_wide_wraps_its_cells() {
        let narrow = Style { width: 15, color: false, unicode: true };
        assert!(!fits(&columns(), narrow));
        let text = plain(&columns(), narrow);
        assert!(text.lines().all(|line| line.chars().count() <= 15), "{text}");
    }
}
