//! A centre's file into a data set: checked cell by cell against the dictionary, never guessed.
//!
//! Either the whole file fits the dictionary, or nothing is imported and a local report says which
//! rows do not fit.

mod cell;
mod report;
mod split;
mod table;
pub(crate) mod text;

pub use report::{FINDINGS_MAX, Finding, FindingGroup, ImportReport};
pub use split::split_by;
pub(crate) use table::{Table, read_table};

use crate::dataset::{Dataset, batch_of};
use crate::dictionary::{Dictionary, Kind, Variable, clean_name, suggest};
use crate::error::CohortError;
use crate::pseudonym::{self, Pseudonym, fresh, nameless};
use cell::{Cell, Column, Refusal};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, UInt32Array, new_null_array,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Most groups of findings; further texts of a column are counted together.
const GROUPS_MAX: usize = 200;

/// How a file is imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Name of the data set.
    pub name: String,
    /// Import although variables have no column; they are then missing for every patient.
    pub allow_missing_columns: bool,
    /// Replacements such as `sex.d=missing` or `sex.m=M`.
    pub map: Vec<String>,
}

impl ImportOptions {
    /// Options that refuse whatever does not fit.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// Reads a `.csv`, `.tsv` or `.parquet` file of patients and checks every cell.
///
/// # Errors
/// [`CohortError::CheckFailed`] with the report where a cell contradicts the dictionary,
/// [`CohortError::MissingColumns`], [`CohortError::Mapping`], [`CohortError::Io`], and
/// [`CohortError::Table`] for a file that is no table.
pub fn import(
    path: &Path,
    dictionary: &Dictionary,
    options: &ImportOptions,
) -> Result<(Dataset, ImportReport), CohortError> {
    let table = read_table(path)?;
    let map = mapping(&options.map, dictionary)?;
    let file = path.file_name().map(|name| name.to_string_lossy());
    let mut import = Import {
        path,
        table: &table,
        dictionary,
        map,
        report: ImportReport {
            file: file.unwrap_or_default().into_owned(),
            format: table.format.clone(),
            dictionary: dictionary.title(),
            rows: table.rows,
            ..ImportReport::default()
        },
    };
    let places = import.match_columns(options.allow_missing_columns)?;
    let mut columns = Vec::new();
    for (variable, place) in dictionary.variables.iter().zip(places) {
        match place {
            Some(place) if variable.is_identifier() => {
                let patients = import.identifier(variable, place);
                // the first identifier names the patient
                if columns.iter().all(|(name, _)| name != pseudonym::FRESH) {
                    columns.push((pseudonym::FRESH.to_owned(), pseudonym_column(&patients)?));
                }
            }
            Some(place) => columns.push((variable.name.clone(), import.column(variable, place))),
            None if variable.is_identifier() => {}
            None => {
                let kind = crate::dataset::arrow_type(variable.kind);
                columns.push((variable.name.clone(), new_null_array(&kind, table.rows)));
            }
        }
    }
    if columns.iter().all(|(name, _)| name != pseudonym::FRESH) {
        let rows: Vec<Pseudonym> = (0..table.rows).map(nameless).collect();
        columns.push((pseudonym::ROWS.to_owned(), pseudonym_column(&rows)?));
    }
    let report = import.report;
    if report.findings_total > 0 {
        return Err(CohortError::CheckFailed(Box::new(report)));
    }
    let batch = batch_of(columns, table.rows)?;
    let dataset = Dataset::new(&options.name, Arc::new(dictionary.clone()), batch)?;
    Ok((dataset, report))
}

fn pseudonym_column(pseudonyms: &[Pseudonym]) -> Result<ArrayRef, CohortError> {
    pseudonym::array(pseudonyms)
        .ok_or(CohortError::Internal { what: "pseudonyms could not be made" })
}

type Replacements<'a> = HashMap<&'a str, HashMap<&'a str, Option<&'a str>>>;

/// Reads `variable.text=target`; a variable's own name may contain dots, so the longest wins.
fn mapping<'a>(
    options: &'a [String],
    dictionary: &'a Dictionary,
) -> Result<Replacements<'a>, CohortError> {
    let mut replacements: Replacements<'a> = HashMap::new();
    for option in options {
        let refused =
            |what: &str| CohortError::Mapping { option: option.clone(), what: what.to_owned() };
        let Some((from, target)) = option.rsplit_once('=') else {
            return Err(refused("write it as in 'sex.d=missing'"));
        };
        let named = dictionary.variables.iter().filter_map(|variable| {
            let rest = from.strip_prefix(variable.name.as_str())?;
            Some((variable, rest.strip_prefix('.')?))
        });
        let Some((variable, text)) = named.max_by_key(|(variable, _)| variable.name.len()) else {
            let name = from.split('.').next().unwrap_or(from);
            let near = dictionary.suggestion(name);
            let hint = near.map(|near| format!("; did you mean `{near}`?"));
            let what = format!("no variable `{name}`{}", hint.unwrap_or_default());
            return Err(refused(&what));
        };
        let target = target.trim();
        let to_level = variable.kind == Kind::Category && target != "missing";
        if to_level && variable.level(target).is_none() {
            let codes = variable.levels.iter().map(|level| level.code.as_str());
            let near = suggest(target, codes).map(|near| format!("; did you mean `{near}`?"));
            let what = format!("`{target}` is not a level{}", near.unwrap_or_default());
            return Err(refused(&what));
        }
        let target = (target != "missing").then_some(target);
        let texts = replacements.entry(variable.name.as_str()).or_default();
        texts.insert(text.trim(), target);
    }
    Ok(replacements)
}

struct Import<'a> {
    path: &'a Path,
    table: &'a Table,
    dictionary: &'a Dictionary,
    map: Replacements<'a>,
    report: ImportReport,
}

impl Import<'_> {
    /// Place of each variable's column in the file; a header may differ in odd characters.
    fn match_columns(&mut self, allow_missing: bool) -> Result<Vec<Option<usize>>, CohortError> {
        let headers = &self.table.headers;
        let mut taken = vec![false; headers.len()];
        let mut places = Vec::new();
        for variable in &self.dictionary.variables {
            let exact = headers.iter().position(|header| *header == variable.name);
            let near = || headers.iter().position(|h| clean_name(h) == variable.name);
            let place = exact.or_else(near).filter(|place| taken.get(*place) == Some(&false));
            if let Some(taken) = place.and_then(|place| taken.get_mut(place)) {
                *taken = true;
                self.report.matched.push(variable.name.clone());
            }
            places.push(place);
        }
        let free = headers.iter().zip(&taken).filter(|(_, taken)| !**taken);
        self.report.left_out = free.map(|(header, _)| header.clone()).collect();
        let without = self.dictionary.variables.iter().zip(&places);
        let missing: Vec<String> = without
            .filter(|(_, place)| place.is_none())
            .map(|(variable, _)| variable.name.clone())
            .collect();
        if self.report.matched.is_empty() || (!missing.is_empty() && !allow_missing) {
            let left_out = &self.report.left_out;
            let named = missing.iter().map(|name| {
                let near = suggest(name, left_out.iter().map(String::as_str));
                match near {
                    Some(near) => format!("`{name}` (is it `{near}`?)"),
                    None => format!("`{name}`"),
                }
            });
            return Err(CohortError::MissingColumns {
                file: self.path.to_owned(),
                dictionary: self.dictionary.title(),
                columns: named.collect(),
            });
        }
        self.report.missing_columns = missing;
        Ok(places)
    }

    fn column(&mut self, variable: &Variable, place: usize) -> ArrayRef {
        let table = self.table;
        let mut rules = Column::new(variable, self.dictionary.title(), table.decimal_comma);
        let map = self.map.get(variable.name.as_str()).cloned();
        rules.map = map.unwrap_or_default();
        let mut cells = Vec::with_capacity(table.rows);
        let mut refusals = Vec::new();
        let mut finer = 0_usize;
        for (text, row) in table.cells(place).zip(2..) {
            match rules.check(text) {
                Ok(cell) => {
                    finer += usize::from(has_more_decimals(variable, cell));
                    cells.push(cell);
                }
                Err(refusal) => {
                    cells.push(Cell::Missing);
                    refusals.push((row, text, refusal));
                }
            }
        }
        for (row, text, refusal) in refusals {
            self.find(&variable.name, row, text, refusal);
        }
        if let Some(decimals) = variable.decimals.filter(|_| finer > 0) {
            self.report.notes.push(format!(
                "{}: {finer} values have more than {decimals} decimals, kept as they are",
                variable.name
            ));
        }
        let missing = |cell: &Cell| matches!(cell, Cell::Missing);
        if !cells.is_empty() && cells.iter().all(missing) {
            let note = format!("{}: missing for every patient", variable.name);
            self.report.notes.push(note);
        }
        array(variable.kind, &cells)
    }

    fn find(&mut self, column: &str, row: usize, text: &str, refusal: Refusal) {
        let report = &mut self.report;
        report.findings_total += 1;
        if report.findings.len() < FINDINGS_MAX {
            report.findings.push(Finding { row, column: column.to_owned(), what: refusal.what });
        }
        let full = report.groups.len() >= GROUPS_MAX;
        let known = report.groups.iter_mut().find(|group| {
            group.column == column
                && group.code == refusal.code
                && (full || group.what == refusal.group)
        });
        if let Some(group) = known {
            group.rows += 1;
            return;
        }
        let map = format!("{column}.{}=missing", text.trim());
        let writable = map.chars().count() <= 80 && !map.contains(['\'', '\n', '\r']);
        report.groups.push(FindingGroup {
            column: column.to_owned(),
            code: refusal.code,
            what: refusal.group,
            rows: 1,
            map: (refusal.mappable && writable).then_some(map),
        });
    }

    /// Looks for a patient who stands in the file twice; the column itself is not kept.
    /// Looks for doubles; gives a pseudonym of each row's patient.
    fn identifier(&mut self, variable: &Variable, place: usize) -> Vec<Pseudonym> {
        let mut first_rows: HashMap<&str, usize> = HashMap::new();
        let mut empty = 0_usize;
        let mut repeated = Vec::new();
        let mut patients = Vec::with_capacity(self.table.rows);
        let table = self.table;
        for (text, row) in table.cells(place).zip(2_usize..) {
            let text = text.trim();
            let named = !(text.is_empty() || variable.missing.iter().any(|code| code == text));
            patients.push(if named { fresh(text) } else { nameless(row) });
            if text.is_empty() || variable.missing.iter().any(|code| code == text) {
                empty += 1;
                continue;
            }
            if let Some(first) = first_rows.get(text) {
                repeated.push((row, *first));
            } else {
                first_rows.insert(text, row);
            }
        }
        for (row, first) in repeated {
            let refusal = Refusal {
                code: "K0106",
                what: format!("repeats the patient of row {first}"),
                group: "repeat a patient of an earlier row".to_owned(),
                mappable: false,
            };
            self.find(&variable.name, row, "", refusal);
        }
        let name = &variable.name;
        if empty > 0 {
            let note = format!("{name}: {empty} rows have none; doubles among them go unnoticed");
            self.report.notes.push(note);
        }
        let note = format!("{name}: used to look for doubles; only a pseudonym is stored");
        self.report.notes.push(note);
        patients
    }
}

fn has_more_decimals(variable: &Variable, cell: Cell) -> bool {
    let (Cell::Number(value), Some(step)) = (cell, variable.step()) else {
        return false;
    };
    let steps = value / step;
    (steps - steps.round()).abs() > 1e-6 * steps.abs().max(1.0)
}

fn array(kind: Kind, cells: &[Cell]) -> ArrayRef {
    match kind {
        Kind::Number => {
            let values = cells.iter().map(|cell| match cell {
                Cell::Number(value) => Some(*value),
                _ => None,
            });
            Arc::new(Float64Array::from_iter(values))
        }
        Kind::Integer => {
            let values = cells.iter().map(|cell| match cell {
                Cell::Integer(value) => Some(*value),
                _ => None,
            });
            Arc::new(Int64Array::from_iter(values))
        }
        Kind::Category => {
            let values = cells.iter().map(|cell| match cell {
                Cell::Level(value) => Some(*value),
                _ => None,
            });
            Arc::new(UInt32Array::from_iter(values))
        }
        Kind::Boolean => {
            let values = cells.iter().map(|cell| match cell {
                Cell::Flag(value) => Some(*value),
                _ => None,
            });
            Arc::new(BooleanArray::from_iter(values))
        }
    }
}
