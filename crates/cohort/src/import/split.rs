//! One file of many centres cut into one file for each.

use super::table::read_table;
use super::text::quoted;
use crate::error::CohortError;
use std::collections::BTreeMap;
use std::path::Path;

/// Most centres in one file.
const CENTRES_MAX: usize = 1_000;

/// Splits a file by the column that names the centre: one CSV (UTF-8) for each, in the
/// order of the sorted names. The column stays, for dictionaries that have it as a variable. Names become `a-z0-9-`.
///
/// The delimiter stays as it was, and with it the meaning of a decimal comma.
///
/// # Errors
/// [`CohortError::Table`] for an unreadable file, a missing column, a row without a centre, two
/// names that become the same one, and more than 1,000 centres.
pub fn split_by(path: &Path, column: &str) -> Result<Vec<(String, Vec<u8>)>, CohortError> {
    let table = read_table(path)?;
    let refused = |line, what: String| CohortError::table(path, line, what);
    let Some(place) = table.headers.iter().position(|header| header == column) else {
        let what = format!("no column `{column}`; the columns are {}", table.headers.join(", "));
        return Err(refused(Some(1), what));
    };
    let mut rows_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, centre) in table.cells(place).enumerate() {
        let centre = centre.trim();
        if slug(centre).is_empty() {
            let what = format!("row {} names no centre in column `{column}`", row + 2);
            return Err(refused(None, what));
        }
        rows_of.entry(centre).or_default().push(row);
        if rows_of.len() > CENTRES_MAX {
            let what = format!("more than {CENTRES_MAX} values in column `{column}`");
            return Err(refused(None, what));
        }
    }
    let columns: Vec<Vec<&str>> =
        (0..table.headers.len()).map(|at| table.cells(at).collect()).collect();
    let separator = char::from(table.delimiter).to_string();
    let line = |fields: Vec<&str>| {
        let fields: Vec<String> = fields.iter().map(|f| quoted(f, table.delimiter)).collect();
        format!("{}\n", fields.join(&separator))
    };
    let header = line(table.headers.iter().map(String::as_str).collect());
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for (centre, rows) in rows_of {
        let name = slug(centre);
        if parts.iter().any(|(known, _)| *known == name) {
            let what = format!("two values of column `{column}` become the name `{name}`");
            return Err(refused(None, what));
        }
        let mut csv = header.clone();
        for row in rows {
            let fields = columns.iter().map(|cells| cells.get(row).copied().unwrap_or(""));
            csv.push_str(&line(fields.collect()));
        }
        parts.push((name, csv.into_bytes()));
    }
    Ok(parts)
}

/// A name of a-z, 0-9 and single dashes.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.to_lowercase().chars() {
        let plain = match letter {
            'ä' => "ae",
            'ö' => "oe",
            'ü' => "ue",
            'ß' => "ss",
            _ if letter.is_ascii_alphanumeric() => {
                slug.push(letter);
                continue;
            }
            _ if slug.is_empty() || slug.ends_with('-') => continue,
            _ => "-",
        };
        slug.push_str(plain);
    }
    slug.trim_end_matches('-').to_owned()
}
