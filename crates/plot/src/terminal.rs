//! Tables for the terminal.

use crate::table::{Align, Cell, Column};

/// Columns stand this far apart.
const GAP: usize = 2;
/// A shortened column keeps at least this many characters.
const SHORTEST: usize = 8;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalStyle {
    /// Characters in a line.
    pub width: usize,
    /// Whether it understands colours.
    pub colour: bool,
}

impl Default for TerminalStyle {
    fn default() -> Self {
        Self { width: 100, colour: false }
    }
}

/// A table with aligned columns, one line for each row and one for the headings.
///
/// A table that is too wide loses the ends of its words, in the first column of words first and
/// then in the others; numbers are never cut, so a very narrow terminal may still wrap a line.
/// Control characters are shown as `?`: a label cannot move the cursor or change a colour.
#[must_use]
pub fn table(columns: &[Column], rows: &[Vec<Cell>], style: &TerminalStyle) -> String {
    let headings: Vec<Cell> = columns.iter().map(|it| Cell::new(printable(&it.name))).collect();
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| printable_row(row, columns.len())).collect();
    let mut widths: Vec<usize> = headings.iter().map(|it| length(&it.text)).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = length(&cell.text).max(*width);
        }
    }
    fit(&mut widths, columns, style.width);
    let layout = Layout { columns, widths, colour: style.colour };
    let mut out = layout.line(&headings, true);
    for row in &rows {
        out.push_str(&layout.line(row, false));
    }
    out
}

/// Takes width from columns of words, from the first on, until the table fits.
fn fit(widths: &mut [usize], columns: &[Column], available: usize) {
    let gaps = GAP * widths.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(available);
    for (width, column) in widths.iter_mut().zip(columns) {
        if column.align == Align::Left {
            let taken = excess.min(width.saturating_sub(SHORTEST));
            *width -= taken;
            excess -= taken;
        }
    }
}

struct Layout<'a> {
    columns: &'a [Column],
    widths: Vec<usize>,
    colour: bool,
}

impl Layout<'_> {
    fn line(&self, cells: &[Cell], heading: bool) -> String {
        let mut out = String::new();
        for ((cell, column), width) in cells.iter().zip(self.columns).zip(&self.widths) {
            let text = shortened(&cell.text, *width);
            let padding = " ".repeat(width.saturating_sub(length(&text)));
            let text = self.painted(text, heading, cell.muted);
            match column.align {
                Align::Left => out.push_str(&format!("{text}{padding}")),
                Align::Right => out.push_str(&format!("{padding}{text}")),
            }
            out.push_str(&" ".repeat(GAP));
        }
        format!("{}\n", out.trim_end_matches(' '))
    }

    fn painted(&self, text: String, heading: bool, muted: bool) -> String {
        match (self.colour && !text.is_empty(), heading, muted) {
            (true, true, _) => format!("\u{1b}[1m{text}\u{1b}[0m"),
            (true, false, true) => format!("\u{1b}[2m{text}\u{1b}[0m"),
            _ => text,
        }
    }
}

/// At most `width` characters; the last one is `…` where some were cut.
fn shortened(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}\u{2026}", kept.trim_end())
}

fn printable_row(row: &[Cell], columns: usize) -> Vec<Cell> {
    let cells = row.iter().map(|cell| Cell { text: printable(&cell.text), muted: cell.muted });
    cells.chain(std::iter::repeat(Cell::default())).take(columns).collect()
}

fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> [Column; 3] {
        [Column::words("term"), Column::numbers("HR"), Column::numbers("p")]
    }

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec!["Age, per 10 years".into(), "1.42".into(), "<1e-16".into()],
            vec!["Sex: male".into(), "11.18".into(), Cell::muted("<10")],
        ]
    }

    #[test]
    fn words_lean_left_and_numbers_right() {
        let text = table(&columns(), &rows(), &TerminalStyle::default());
        let expected = "term                  HR       p\n\
                        Age, per 10 years   1.42  <1e-16\n\
                        Sex: male          11.18     <10\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_first_column_of_words_gives_way_and_numbers_do_not() {
        let style = TerminalStyle { width: 24, colour: false };
        let text = table(&columns(), &rows(), &style);
        assert!(text.lines().all(|line| line.chars().count() <= 24), "{text}");
        assert!(text.contains("Age, per\u{2026}   1.42  <1e-16"), "{text}");
    }

    #[test]
    fn withheld_entries_are_dim_and_stay_aligned() {
        let style = TerminalStyle { width: 100, colour: true };
        let text = table(&columns(), &rows(), &style);
        assert!(text.contains("11.18     \u{1b}[2m<10\u{1b}[0m\n"), "{text}");
    }

    #[test]
    fn a_label_cannot_steer_the_terminal() {
        let rows = [vec![Cell::new("a\u{1b}[2J\nb")]];
        let text = table(&columns(), &rows, &TerminalStyle { width: 80, colour: true });
        assert!(text.contains("a?[2J?b"), "{text}");
        assert_eq!(text.lines().count(), 2);
        assert_eq!(table(&[], &[], &TerminalStyle::default()), "\n");
    }
}
