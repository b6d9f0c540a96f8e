//! Result tables, as they are written to CSV.

use serde::Serialize;

/// One entry of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing: suppressed, or not defined.
    Missing,
    /// A word.
    Text(String),
    /// A count or another whole number.
    Count(f64),
    /// A number, written with as many digits as it has.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl Cell {
    /// The entry as CSV text, unquoted; empty for a missing one, `TRUE`/`FALSE` for flags as R.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(number) => format!("{number:.0}"),
            Self::Number(number) if number.is_nan() => String::new(),
            Self::Number(number) if number.is_infinite() => {
                if *number > 0.0 { "Inf" } else { "-Inf" }.to_owned()
            }
            Self::Number(number) => format!("{number}"),
            Self::Flag(flag) => if *flag { "TRUE" } else { "FALSE" }.to_owned(),
        }
    }

    /// The entry as a number, where it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Count(number) | Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// A result table: `<analysis>.<name>.csv`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// `tidy`, `glance`, `km` or `ard`.
    pub name: &'static str,
    /// Column names, broom's where broom has them.
    pub columns: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(name: &'static str, columns: &[&'static str]) -> Self {
        Self { name, columns: columns.to_vec(), rows: Vec::new() }
    }

    /// A table of one row.
    pub(crate) fn of_one<const N: usize>(
        name: &'static str,
        cells: [(&'static str, Cell); N],
    ) -> Self {
        let (columns, row): (Vec<&'static str>, Vec<Cell>) = cells.into_iter().unzip();
        Self { name, columns, rows: vec![row] }
    }

    /// The entry of a row under a column name.
    #[must_use]
    pub fn get(&self, row: usize, column: &str) -> Option<&Cell> {
        let at = self.columns.iter().position(|it| *it == column)?;
        self.rows.get(row)?.get(at)
    }
}
