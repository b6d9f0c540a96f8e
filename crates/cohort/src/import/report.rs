//! What an import found, for the centre's own eyes.

use serde::Serialize;
use std::fmt;
use std::fmt::Write as _;

/// Most findings that are listed one by one.
pub const FINDINGS_MAX: usize = 1_000;
/// Most lines of findings in the text of a report.
const LINES_MAX: usize = 40;

/// One cell that contradicts the dictionary. Stays at the centre.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Row as a spreadsheet counts it: the header is row 1.
    pub row: usize,
    /// The variable.
    pub column: String,
    /// What is wrong; may quote the cell.
    pub what: String,
}

/// Findings of one kind in one column. Stays at the centre.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct FindingGroup {
    /// The variable.
    pub column: String,
    /// Code for `konsil explain`.
    pub code: &'static str,
    /// What is wrong; may quote the cell.
    pub what: String,
    /// Number of rows.
    pub rows: usize,
    /// The option that would import these rows with a missing value, where there is one.
    pub map: Option<String>,
}

/// Report of an import. It may quote cells, so it stays at the centre.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct ImportReport {
    /// Name of the file, without folder.
    pub file: String,
    /// How the file was read: encoding, delimiter, decimal comma.
    pub format: String,
    /// The dictionary, with version.
    pub dictionary: String,
    /// Rows of the file, the header not counted.
    pub rows: usize,
    /// Variables that a column was found for.
    pub matched: Vec<String>,
    /// Columns that are not in the dictionary.
    pub left_out: Vec<String>,
    /// Variables without a column.
    pub missing_columns: Vec<String>,
    /// Remarks that do not stop the import.
    pub notes: Vec<String>,
    /// The first findings, cell by cell.
    pub findings: Vec<Finding>,
    /// Number of all findings; nothing is imported unless it is 0.
    pub findings_total: usize,
    /// All findings, grouped.
    pub groups: Vec<FindingGroup>,
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Finding(row {}, {:?})", self.row, self.column)
    }
}

impl fmt::Debug for FindingGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FindingGroup({:?}, {}, {} rows)", self.column, self.code, self.rows)
    }
}

impl fmt::Debug for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.findings_total;
        write!(f, "ImportReport({} rows, {total} findings)", self.rows)
    }
}

impl ImportReport {
    /// The report as the command shows it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let reading = format!("Reading {}  ({})", self.file, self.format);
        // Writing to a String cannot fail.
        let mut out = format!("{reading:<56}{:>14} rows\n", thousands(self.rows));
        let columns = self.matched.len() + self.left_out.len();
        let matched = self.matched.len();
        let _ = writeln!(
            out,
            "  ✓ {matched} of {columns} columns match dictionary {}",
            self.dictionary
        );
        for note in &self.notes {
            let _ = writeln!(out, "  ! {note}");
        }
        for group in self.groups.iter().take(LINES_MAX) {
            let rows = thousands(group.rows);
            let plural = if group.rows == 1 { "row" } else { "rows" };
            let line = format!("  ✗ {}: {rows} {plural} {}", group.column, group.what);
            let _ = writeln!(out, "{line:<66} {}", group.code);
        }
        if self.groups.len() > LINES_MAX {
            let more = self.groups.len() - LINES_MAX;
            let _ = writeln!(out, "  ✗ and {more} more kinds of findings");
        }
        if !self.missing_columns.is_empty() {
            let _ = writeln!(
                out,
                "  - without a column, all missing: {}",
                self.missing_columns.join(", ")
            );
        }
        if !self.left_out.is_empty() {
            let names = self.left_out.join(", ");
            let _ = writeln!(out, "  - not in dictionary, left out: {names}");
        }
        if self.findings_total > 0 {
            out.push_str(&self.advice());
        }
        out
    }

    fn advice(&self) -> String {
        let map = self.groups.iter().find_map(|group| group.map.as_deref());
        let code = self.groups.first().map_or("K0114", |group| group.code);
        match map {
            Some(map) => format!(
                "\nNo rows were stored. Fix the file, or:  --map '{map}'   ·   konsil explain {code}\n"
            ),
            None => {
                format!("\nNo rows were stored. Fix the file.   konsil explain {code}\n")
            }
        }
    }
}

/// A count with commas between thousands.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
