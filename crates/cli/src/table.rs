//! Aligned tables. Widths are counted in characters. The last cell of a row may run on to the right over columns its
//! row does not have, so a long text makes no column wide that it does not stand before.

use crate::output::{Look, Tone};
use crate::words::clean;

/// One cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// A cell in a tone.
    pub(crate) fn toned(tone: Tone, text: impl Into<String>) -> Cell {
        Cell { text: clean(&text.into()), tone, right: false }
    }

    /// A number, aligned at its end.
    pub(crate) fn number(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), tone: Tone::Plain, right: true }
    }

    /// The same cell in another tone.
    pub(crate) fn tone(self, tone: Tone) -> Cell {
        Cell { tone, ..self }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::toned(Tone::Plain, text)
    }
}

/// Rows of cells under headings. Rows can be taken out page by page: widths never shrink, so pages line up unless a
/// later one needs more room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    indent: usize,
    headings: Vec<&'static str>,
    headings_due: bool,
    widths: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table; an empty heading is no heading, and if all are empty there is no line of headings.
    pub(crate) fn new<const N: usize>(headings: [&'static str; N]) -> Table {
        let widths = headings.iter().map(|h| h.chars().count()).collect();
        Table {
            headings_due: headings.iter().any(|h| !h.is_empty()),
            headings: headings.to_vec(),
            widths,
            ..Table::default()
        }
    }

    /// The table with this many spaces before each line.
    pub(crate) fn indented(mut self, indent: usize) -> Table {
        self.indent = indent;
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        let last = cells.iter().rposition(|c| !c.text.is_empty());
        for (i, cell) in cells.iter().enumerate() {
            let runs_on = Some(i) == last && !cell.right;
            let width = if runs_on { 0 } else { cell.text.chars().count() };
            match self.widths.get_mut(i) {
                Some(known) => *known = (*known).max(width),
                None => self.widths.push(width),
            }
        }
        self.rows.push(cells);
    }

    /// Whether no row was added since the last time.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows added so far, headings before the first; they are then forgotten.
    pub(crate) fn take(&mut self, look: Look) -> String {
        let mut text = String::new();
        if std::mem::take(&mut self.headings_due) && !self.rows.is_empty() {
            let aligned_right = |i| self.rows.iter().any(|row| row.get(i).is_some_and(|c: &Cell| c.right));
            let headings: Vec<Cell> = self
                .headings
                .iter()
                .enumerate()
                .map(|(i, h)| Cell { text: (*h).to_owned(), tone: Tone::Bold, right: aligned_right(i) })
                .collect();
            self.line(&mut text, &headings, look);
        }
        for row in std::mem::take(&mut self.rows) {
            self.line(&mut text, &row, look);
        }
        text
    }

    fn line(&self, text: &mut String, cells: &[Cell], look: Look) {
        let mut line = " ".repeat(self.indent);
        let last = cells.iter().rposition(|c| !c.text.is_empty()).unwrap_or(0);
        for (i, cell) in cells.iter().enumerate().take(last + 1) {
            let width = self.widths.get(i).copied().unwrap_or(0);
            let padding = " ".repeat(width.saturating_sub(cell.text.chars().count()));
            if cell.right {
                line += &padding;
            }
            line += &look.paint(cell.tone, &cell.text);
            if i < last {
                if !cell.right {
                    line += &padding;
                }
                line += "  ";
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
