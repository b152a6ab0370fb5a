//! Tables that fit the screen; text that is too long goes on in the next line of
//! its cell, so that nothing is cut off.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement};

use crate::output::Output;
use crate::text::clean;

/// Rows under a header.
pub(crate) struct Table {
    inner: comfy_table::Table,
}

/// What a cell means, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Waiting,
}

impl Table {
    pub(crate) fn new(out: &Output, header: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).force_no_tty();
        inner.set_width(out.width);
        if out.paint.0 {
            inner.enforce_styling();
        }
        let cells = header.iter().map(|h| Cell::new(h.to_uppercase()).add_attribute(Attribute::Dim));
        inner.set_header(cells.collect::<Vec<_>>());
        Self { inner }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        let cells = cells.into_iter().map(|(text, tone)| {
            // Text may come from a repository or a program.
            let cell = Cell::new(text.lines().map(clean).collect::<Vec<_>>().join("\n"));
            match tone {
                Tone::Plain => cell,
                Tone::Good => cell.fg(Color::Green),
                Tone::Bad => cell.fg(Color::Red),
                Tone::Waiting => cell.fg(Color::Yellow),
            }
        });
        self.inner.add_row(cells.collect::<Vec<_>>());
    }

    pub(crate) fn plain_row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.row(cells.into_iter().map(|text| (text, Tone::Plain)));
    }

    /// Ids and addresses are copied from the screen: the column's text stays in one line, and others give way.
    pub(crate) fn keep_whole(&mut self, column: usize) {
        if let Some(column) = self.inner.column_mut(column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }

    pub(crate) fn render(&self) -> String {
        let lines: Vec<String> =
            self.inner.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Paint;

    #[test]
    fn a_table_fits_and_cuts_nothing_off() {
        let out = Output {
            json: false,
            quiet: false,
            paint: Paint(false),
            remark_paint: Paint(false),
            live: false,
            width: 40,
        };
        let mut table = Table::new(&out, &["app", "state"]);
        let long = "it failed since the server of the database could not be found anywhere";
        table.plain_row(["shop".to_owned(), long.to_owned()]);
        table.keep_whole(0);
        let text = table.render();
        assert!(text.lines().all(|l| l.chars().count() <= 40), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("APP STATE shop") && words.ends_with(long), "{text}");
    }
}
