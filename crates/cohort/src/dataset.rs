//! A centre's patients as typed columns.

use crate::dictionary::{Dictionary, Kind};
use crate::error::CohortError;
use crate::genotypes::Genotypes;
use crate::pseudonym::{self, Pseudonym};
use crate::store::Key;
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, UInt32Array,
};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use std::fmt;
use std::sync::Arc;

/// The patients of one centre, checked against a dictionary. Patient data.
///
/// Columns are Arrow arrays: numbers `Float64`, integers `Int64`, categories `UInt32` (index of
/// the level), booleans `Boolean`, all nullable. Identifiers are never among them.
#[derive(Clone)]
pub struct Dataset {
    name: String,
    dictionary: Arc<Dictionary>,
    dictionary_hash: String,
    batch: RecordBatch,
    genotypes: Option<Arc<dyn Genotypes>>,
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, columns) = (self.batch.num_rows(), self.column_names().len());
        write!(f, "Dataset({:?}, {rows} x {columns})", self.name)
    }
}

impl Dataset {
    pub(crate) fn new(
        name: &str,
        dictionary: Arc<Dictionary>,
        batch: RecordBatch,
    ) -> Result<Self, CohortError> {
        for field in batch.schema().fields() {
            if is_hidden(field.name()) && *field.data_type() == pseudonym::data_type() {
                continue;
            }
            let variable = dictionary.require(field.name())?;
            if *field.data_type() != arrow_type(variable.kind) || variable.is_identifier() {
                return Err(CohortError::WrongKind {
                    name: field.name().clone(),
                    what: "is stored as another type than the dictionary says".to_owned(),
                });
            }
        }
        Ok(Self {
            name: name.to_owned(),
            dictionary_hash: dictionary.hash(),
            dictionary,
            batch,
            genotypes: None,
        })
    }

    /// Name of the data set at its centre.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of patients.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The dictionary that the patients were checked against.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// Hash of the dictionary.
    #[must_use]
    pub fn dictionary_hash(&self) -> &str {
        &self.dictionary_hash
    }

    /// Names of the columns, in order.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        let schema = self.batch.schema();
        let names = schema.fields().iter().map(|f| f.name().clone());
        names.filter(|name| !is_hidden(name)).collect()
    }

    /// The pseudonym of each patient, where the imported file had an identifier.
    #[must_use]
    pub fn pseudonyms(&self) -> Option<Vec<Pseudonym>> {
        self.hidden(&[pseudonym::KEYED, pseudonym::FRESH])
    }

    /// What each patient is known again by: the pseudonym, or, without identifiers, the row's place in
    /// the imported file, whatever was left out since.
    #[must_use]
    pub fn members(&self) -> Vec<Pseudonym> {
        let rows = || (0..self.rows()).map(pseudonym::nameless).collect();
        let known = self.pseudonyms().or_else(|| self.hidden(&[pseudonym::ROWS]));
        known.unwrap_or_else(rows)
    }

    /// The same patients with genotypes, which are found by pseudonym.
    #[must_use]
    pub fn with_genotypes(self, genotypes: Arc<dyn Genotypes>) -> Self {
        Self { genotypes: Some(genotypes), ..self }
    }

    /// The genotypes, of these patients and others, in an order of their own.
    #[must_use]
    pub fn genotypes(&self) -> Option<&Arc<dyn Genotypes>> {
        self.genotypes.as_ref()
    }

    fn hidden(&self, names: &[&str]) -> Option<Vec<Pseudonym>> {
        let column = names.iter().find_map(|name| self.batch.column_by_name(name))?;
        Some(pseudonym::values(column))
    }

    /// The patients for whom `keep` is true; missing places keep nobody.
    ///
    /// # Errors
    /// [`CohortError::Internal`].
    pub fn keep(&self, keep: &[bool]) -> Result<Self, CohortError> {
        let mask: Vec<bool> =
            (0..self.rows()).map(|row| keep.get(row).copied().unwrap_or(false)).collect();
        let batch = filter_record_batch(&self.batch, &BooleanArray::from(mask))
            .map_err(|_| CohortError::Internal { what: "patients could not be left out" })?;
        Ok(self.with_batch(batch))
    }

    /// The same data set with pseudonyms under a centre's key.
    pub(crate) fn under(&self, key: &Key) -> Result<Self, CohortError> {
        let failed = || CohortError::Internal { what: "pseudonyms could not be made" };
        let schema = self.batch.schema();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (field, array) in schema.fields().iter().zip(self.batch.columns()) {
            columns.push(if field.name() == pseudonym::FRESH {
                let array = pseudonym::under(key, array).ok_or_else(failed)?;
                (pseudonym::KEYED.to_owned(), array)
            } else {
                (field.name().clone(), Arc::clone(array))
            });
        }
        Ok(self.with_batch(batch_of(columns, self.rows())?))
    }

    /// The same patients with other values of a variable, such as imputed ones; of a category the
    /// index of the level. Numbers need not be those that the dictionary could store.
    ///
    /// # Errors
    /// [`CohortError::UnknownVariable`]; [`CohortError::WrongKind`] for an identifier;
    /// [`CohortError::Internal`] for another number of patients.
    pub fn completed(&self, name: &str, values: &[f64]) -> Result<Self, CohortError> {
        self.has_column(name)?;
        let kind = self.dictionary.require(name)?.kind;
        let whole = values.iter().all(|value| value.fract() == 0.0 && value.abs() < 1e15);
        #[expect(clippy::cast_possible_truncation, reason = "whole and small, see above")]
        let integers = || values.iter().map(|value| *value as i64);
        let array: ArrayRef = match kind {
            Kind::Category => Arc::new(UInt32Array::from_iter_values(
                integers().map(|value| u32::try_from(value).unwrap_or(0)),
            )),
            Kind::Boolean => {
                Arc::new(BooleanArray::from_iter(values.iter().map(|value| Some(*value != 0.0))))
            }
            Kind::Integer if whole => Arc::new(Int64Array::from_iter_values(integers())),
            Kind::Integer | Kind::Number => {
                Arc::new(Float64Array::from_iter_values(values.iter().copied()))
            }
        };
        let schema = self.batch.schema();
        let columns = schema.fields().iter().zip(self.batch.columns()).map(|(field, old)| {
            let new = field.name() == name;
            (field.name().clone(), Arc::clone(if new { &array } else { old }))
        });
        Ok(self.with_batch(batch_of(columns.collect(), self.rows())?))
    }

    /// The same patients with values of a number that was computed at the centre, such as a score,
    /// rounded to the dictionary's decimals; the column need not have been in the imported file.
    ///
    /// # Errors
    /// [`CohortError::UnknownVariable`]; [`CohortError::WrongKind`] for what is no number, and for
    /// values outside the dictionary's range; [`CohortError::Internal`] for another number of
    /// patients.
    pub fn with_numbers(&self, name: &str, values: &[Option<f64>]) -> Result<Self, CohortError> {
        let variable = self.dictionary.require(name)?;
        if variable.kind != Kind::Number || variable.is_identifier() {
            return Err(wrong(name, "is no number in the dictionary"));
        }
        let rounded = |value: f64| {
            let per = variable.step().map_or(1.0, |it| (1.0 / it).round());
            if variable.step().is_some() { (value * per).round() / per } else { value }
        };
        let values: Vec<Option<f64>> = values.iter().map(|it| it.map(rounded)).collect();
        let (low, high) = variable.range().unwrap_or((f64::MIN, f64::MAX));
        let outside = values.iter().flatten().filter(|it| !(low..=high).contains(*it)).count();
        if outside > 0 {
            let what = format!(
                "has {outside} values outside the dictionary's range; agree on a wider one"
            );
            return Err(wrong(name, &what));
        }
        let array: ArrayRef = Arc::new(Float64Array::from(values));
        let schema = self.batch.schema();
        let mut columns: Vec<(String, ArrayRef)> = schema
            .fields()
            .iter()
            .zip(self.batch.columns())
            .map(|(field, old)| (field.name().clone(), Arc::clone(old)))
            .collect();
        match columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = array,
            None => columns.push((name.to_owned(), array)),
        }
        Ok(self.with_batch(batch_of(columns, self.rows())?))
    }

    /// The same patients with a number that was computed at the centre, under a dictionary that is this
    /// one's with that variable, and perhaps others, behind.
    ///
    /// # Errors
    /// As [`Dataset::with_numbers`]; [`CohortError::OtherDictionary`] for a dictionary that does not
    /// begin as this one.
    pub fn with_computed(
        &self,
        dictionary: &Dictionary,
        name: &str,
        values: &[Option<f64>],
    ) -> Result<Self, CohortError> {
        if !dictionary.variables.starts_with(&self.dictionary.variables) {
            self.check_dictionary(&dictionary.hash())?;
        }
        let (dictionary_hash, dictionary) = (dictionary.hash(), Arc::new(dictionary.clone()));
        Self { dictionary_hash, dictionary, ..self.clone() }.with_numbers(name, values)
    }

    /// Names of the columns in which any patient has a value: a variable that was not in the
    /// imported file is a column without values.
    #[must_use]
    pub fn filled_columns(&self) -> Vec<String> {
        let filled = |name: &String| {
            let column = self.batch.column_by_name(name);
            column.is_some_and(|column| column.null_count() < column.len())
        };
        self.column_names().into_iter().filter(filled).collect()
    }

    /// The columns as Arrow arrays.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Values of a number or integer, and 0 and 1 of a boolean, one for each patient.
    ///
    /// # Errors
    /// [`CohortError::UnknownVariable`]; [`CohortError::WrongKind`] for a category, an
    /// identifier, and a variable that was not in the imported file.
    pub fn numeric(&self, name: &str) -> Result<Vec<Option<f64>>, CohortError> {
        if self.dictionary.require(name)?.kind == Kind::Category {
            return Err(wrong(name, "is a category, not a number"));
        }
        let values = self.values(name)?;
        Ok(values.into_iter().map(|v| (!v.is_nan()).then_some(v)).collect())
    }

    /// Index of the level of each patient: of a category, a boolean (false, true), or an integer
    /// with public levels; see [`crate::Variable::factor_levels`].
    ///
    /// # Errors
    /// As [`Dataset::numeric`], for a variable without public levels.
    pub fn levels(&self, name: &str) -> Result<Vec<Option<u32>>, CohortError> {
        let variable = self.dictionary.require(name)?;
        let column = self.column(name)?;
        if let Some(indices) = column.as_any().downcast_ref::<UInt32Array>() {
            return Ok(indices.iter().collect());
        }
        if let Some(flags) = column.as_any().downcast_ref::<BooleanArray>() {
            return Ok(flags.iter().map(|flag| flag.map(u32::from)).collect());
        }
        let levels = variable.factor_levels();
        let codes = levels.and_then(|levels| {
            let codes = levels.iter().map(|code| code.parse::<i64>());
            codes.collect::<Result<Vec<i64>, _>>().ok()
        });
        let integers = column.as_any().downcast_ref::<Int64Array>();
        let Some((codes, integers)) = codes.zip(integers) else {
            return Err(wrong(name, "has no public list of levels"));
        };
        let index = |value: i64| {
            let position = codes.iter().position(|code| *code == value)?;
            u32::try_from(position).ok()
        };
        Ok(integers.iter().map(|value| value.and_then(index)).collect())
    }

    /// Values as numbers, categories as index of the level, NaN where missing.
    pub(crate) fn values(&self, name: &str) -> Result<Vec<f64>, CohortError> {
        let column = self.column(name)?;
        let any = column.as_any();
        if let Some(numbers) = any.downcast_ref::<Float64Array>() {
            return Ok(numbers.iter().map(|v| v.unwrap_or(f64::NAN)).collect());
        }
        if let Some(indices) = any.downcast_ref::<UInt32Array>() {
            let values = indices.iter().map(|v| v.map_or(f64::NAN, f64::from));
            return Ok(values.collect());
        }
        if let Some(flags) = any.downcast_ref::<BooleanArray>() {
            let values = flags.iter().map(|v| v.map_or(f64::NAN, |v| f64::from(u8::from(v))));
            return Ok(values.collect());
        }
        if let Some(integers) = any.downcast_ref::<Int64Array>() {
            return Ok(integers.iter().map(|v| v.map_or(f64::NAN, exact)).collect());
        }
        Err(CohortError::Internal { what: "a data set has a column of an unknown type" })
    }

    pub(crate) fn check_dictionary(&self, expected: &str) -> Result<(), CohortError> {
        if self.dictionary_hash == expected {
            return Ok(());
        }
        let first = |hash: &str| hash.chars().take(12).collect();
        Err(CohortError::OtherDictionary {
            dataset: self.name.clone(),
            found: first(&self.dictionary_hash),
            expected: first(expected),
        })
    }

    pub(crate) fn with_batch(&self, batch: RecordBatch) -> Self {
        Self { batch, ..self.clone() }
    }

    pub(crate) fn has_column(&self, name: &str) -> Result<(), CohortError> {
        self.column(name).map(|_| ())
    }

    fn column(&self, name: &str) -> Result<&ArrayRef, CohortError> {
        let variable = self.dictionary.require(name)?;
        if variable.is_identifier() {
            return Err(wrong(name, "identifies patients and cannot be analysed"));
        }
        self.batch.column_by_name(name).ok_or_else(|| wrong(name, "was not in the imported file"))
    }
}

/// An imported integer as a floating-point number; both halves of the split are exact, and import
/// keeps integers within `2^53`.
fn exact(value: i64) -> f64 {
    let high = i32::try_from(value >> 32).unwrap_or(0);
    let low = u32::try_from(value & 0xffff_ffff).unwrap_or(0);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

fn is_hidden(name: &str) -> bool {
    [pseudonym::KEYED, pseudonym::FRESH, pseudonym::ROWS].contains(&name)
}

fn wrong(name: &str, what: &str) -> CohortError {
    CohortError::WrongKind { name: name.to_owned(), what: what.to_owned() }
}

pub(crate) fn arrow_type(kind: Kind) -> DataType {
    match kind {
        Kind::Number => DataType::Float64,
        Kind::Integer => DataType::Int64,
        Kind::Category => DataType::UInt32,
        Kind::Boolean => DataType::Boolean,
    }
}

/// A batch of nullable columns; without columns it still has its number of rows.
pub(crate) fn batch_of(
    columns: Vec<(String, ArrayRef)>,
    rows: usize,
) -> Result<RecordBatch, CohortError> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|_| CohortError::Internal { what: "columns of one data set differ in length" })
}
