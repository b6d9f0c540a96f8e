//! A first dictionary from a centre's own file.

use super::{Dictionary, Kind, Level, Sensitivity, Variable, clean_name};
use crate::dictionary::read;
use crate::error::CohortError;
use crate::import::text;
use crate::import::{Table, read_table};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// Most levels that a text column becomes a category with.
const LEVELS_INFERRED_MAX: usize = 60;
/// Widest span of integers that counts as a code and keeps its bounds.
const CODE_SPAN_MAX: f64 = 12.0;
const DECIMALS_CAP: usize = 6;
/// Below so many rows, a category may well have another value in each.
const ROWS_FOR_UNIQUE: usize = 6;
const MISSING_WORDS: [&str; 8] = ["NA", "N/A", "n/a", "NULL", "null", "NaN", "nan", "."];
const QUASI: [&str; 8] = ["age", "sex", "gender", "zip", "plz", "postcode", "alter", "geschlecht"];

pub(super) fn infer(name: &str, path: &Path) -> Result<Dictionary, CohortError> {
    let table = read_table(path)?;
    let mut dictionary = read::parse(name, "name,type\n")?;
    let mut names = HashSet::new();
    for (index, header) in table.headers.iter().enumerate() {
        let cleaned = clean_name(header);
        if !names.insert(cleaned.clone()) {
            let what = format!("two columns would be the variable `{cleaned}`; rename one");
            return Err(CohortError::table(path, Some(1), what));
        }
        dictionary.variables.push(variable(&table, index, &cleaned, header));
    }
    Ok(dictionary)
}

fn variable(table: &Table, index: usize, name: &str, header: &str) -> Variable {
    let cells: Vec<&str> =
        table.cells(index).map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let lower = name.to_lowercase();
    let mut variable =
        if matches!(lower.as_str(), "id" | "patient_id" | "patientid" | "pid" | "record_id") {
            identifier(name)
        } else {
            numeric(&cells, name, table.decimal_comma)
                .or_else(|| boolean(&cells, name))
                .unwrap_or_else(|| category(&cells, name))
        };
    if header.trim() != name {
        header.trim().clone_into(&mut variable.label);
    }
    if !variable.is_identifier() && QUASI.contains(&lower.as_str()) {
        variable.sensitivity = Sensitivity::Quasi;
    }
    variable
}

fn identifier(name: &str) -> Variable {
    let mut variable = Variable::new(name, Kind::Category);
    variable.sensitivity = Sensitivity::Identifier;
    variable
}

/// A number or an integer, if every cell that is not a word for missing is one.
fn numeric(cells: &[&str], name: &str, decimal_comma: bool) -> Option<Variable> {
    let (words, cells): (Vec<&str>, Vec<&str>) =
        cells.iter().copied().partition(|cell| MISSING_WORDS.contains(cell));
    let numbers: Option<Vec<f64>> = cells
        .iter()
        .map(|cell| text::number(cell, decimal_comma).filter(|number| number.is_finite()))
        .collect();
    let numbers = numbers?;
    let words: BTreeSet<&str> = words.into_iter().collect();
    let missing: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let mut variable = Variable::new(name, Kind::Number);
    variable.missing = missing;
    let lowest = numbers.iter().copied().reduce(f64::min);
    let highest = numbers.iter().copied().reduce(f64::max);
    let Some((lowest, highest)) = lowest.zip(highest) else {
        "no value in the file".clone_into(&mut variable.notes);
        return Some(variable);
    };
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= 1e15;
    if numbers.iter().all(whole) {
        variable.kind = Kind::Integer;
        if highest - lowest <= CODE_SPAN_MAX {
            (variable.min, variable.max) = (Some(lowest), Some(highest));
            return Some(variable);
        }
    } else {
        let decimals = cells.iter().map(|cell| decimals_of(cell)).max();
        let decimals = decimals.unwrap_or(0).min(DECIMALS_CAP);
        variable.decimals = u8::try_from(decimals).ok();
    }
    let (min, max) = outward(lowest, highest);
    if variable.kind == Kind::Integer {
        (variable.min, variable.max) = (Some(min.floor()), Some(max.ceil()));
    } else {
        (variable.min, variable.max) = (Some(min), Some(max));
    }
    Some(variable)
}

fn decimals_of(cell: &str) -> usize {
    let (mantissa, exponent) = cell.split_once(['e', 'E']).unwrap_or((cell, "0"));
    let after = mantissa.split_once(['.', ',']).map_or(0, |(_, digits)| digits.len());
    let after = i64::try_from(after).unwrap_or(0) - exponent.parse::<i64>().unwrap_or(0);
    usize::try_from(after.max(0)).unwrap_or(0)
}

/// Bounds a twentieth of the span further out, then rounded outward to two significant digits.
///
/// The widening comes first because rounding alone would leave an extreme such as 98 as it is.
fn outward(lowest: f64, highest: f64) -> (f64, f64) {
    let span = highest - lowest;
    let margin = if span > 0.0 { span / 20.0 } else { (highest.abs() / 20.0).max(0.05) };
    let mut min = two_digits(lowest - margin, f64::floor);
    let max = two_digits(highest + margin, f64::ceil);
    if lowest >= 0.0 {
        min = min.max(0.0);
    }
    (min, max)
}

fn two_digits(value: f64, round: fn(f64) -> f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value.clamp(f64::MIN, f64::MAX);
    }
    let digits = value.abs().log10().floor() - 1.0;
    // Powers of ten below one are not exact: multiplying by the inverse keeps 0.3 a short number.
    let rounded = if digits < 0.0 {
        let scale = 10_f64.powf(-digits);
        round(value * scale) / scale
    } else {
        let scale = 10_f64.powf(digits);
        round(value / scale) * scale
    };
    if rounded.is_finite() { rounded } else { value }
}

fn boolean(cells: &[&str], name: &str) -> Option<Variable> {
    let (words, cells): (Vec<&str>, Vec<&str>) =
        cells.iter().copied().partition(|cell| MISSING_WORDS.contains(cell));
    let mut lower = cells.iter().map(|cell| cell.to_ascii_lowercase());
    if !lower.all(|cell| cell == "true" || cell == "false") {
        return None;
    }
    let words: BTreeSet<&str> = words.into_iter().collect();
    let mut variable = Variable::new(name, Kind::Boolean);
    variable.missing = words.into_iter().map(str::to_owned).collect();
    Some(variable)
}

fn category(cells: &[&str], name: &str) -> Variable {
    let (words, cells): (Vec<&str>, Vec<&str>) =
        cells.iter().copied().partition(|cell| MISSING_WORDS.contains(cell));
    let values: BTreeSet<&str> = cells.iter().copied().collect();
    let one_each = values.len() == cells.len() && cells.len() >= ROWS_FOR_UNIQUE;
    if values.len() > LEVELS_INFERRED_MAX || one_each {
        return identifier(name);
    }
    let mut variable = Variable::new(name, Kind::Category);
    variable.levels = values
        .into_iter()
        .map(|value| Level { code: value.to_owned(), label: value.to_owned() })
        .collect();
    let words: BTreeSet<&str> = words.into_iter().collect();
    variable.missing = words.into_iter().map(str::to_owned).collect();
    variable
}

#[cfg(test)]
mod tests {
    use super::{decimals_of, outward};

    // A patient's exact extreme must not stand in a public dictionary.
    #[test]
    fn bounds_go_outward_and_never_stay() {
        for (lowest, highest) in [(23.0, 98.0), (0.31, 7.99), (1013.2, 1044.7), (5.0, 5.0)] {
            let (min, max) = outward(lowest, highest);
            assert!(min < lowest && max > highest, "{min} {max}");
        }
        assert_eq!(outward(23.0, 98.0), (19.0, 110.0));
        assert_eq!(outward(0.1, 90.0).0, 0.0);
        assert!(outward(-3.0, 90.0).0 < -3.0);
        assert_eq!(outward(0.0, 0.5), (0.0, 0.53));
    }

    #[test]
    fn decimals_count_the_exponent() {
        assert_eq!(decimals_of("1.25"), 2);
        assert_eq!(decimals_of("1,5"), 1);
        assert_eq!(decimals_of("1.5e-3"), 4);
        assert_eq!(decimals_of("15e1"), 0);
    }
}
