//! A centre's file as columns of text, before any typing.

use super::text::{self, Encoding};
use crate::error::CohortError;
use datafusion::arrow::array::{
    Array, ArrayRef, Float32Array, Float64Array, StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Most columns of a file.
const COLUMNS_MAX: usize = 10_000;
/// Largest file, also after unpacking; below the 2 GiB that one Arrow text column can hold.
const BYTES_MAX: u64 = 1 << 30;
/// A record added at the end of the text: a quote left open would swallow it.
const SENTINEL: &str = "konsil-end-of-table";

/// Cells of a file as text, column by column. Patient data.
pub(crate) struct Table {
    pub(crate) headers: Vec<String>,
    columns: Vec<StringArray>,
    pub(crate) rows: usize,
    pub(crate) delimiter: u8,
    pub(crate) decimal_comma: bool,
    /// How the file was read, for the report.
    pub(crate) format: String,
}

impl Table {
    /// Texts of one column, empty where the file has no value.
    pub(crate) fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let array = self.columns.get(column);
        array.into_iter().flat_map(|array| array.iter().map(Option::unwrap_or_default))
    }
}

/// Reads a `.csv`, `.tsv`, `.txt` or `.parquet` file.
pub(crate) fn read_table(path: &Path) -> Result<Table, CohortError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let table = match extension.to_ascii_lowercase().as_str() {
        "csv" | "tsv" | "txt" => read_text(path)?,
        "parquet" => read_parquet(path)?,
        _ => {
            let what = "unknown kind of file; give .csv, .tsv or .parquet";
            return Err(CohortError::table(path, None, what));
        }
    };
    let mut seen = HashSet::new();
    for header in &table.headers {
        if !seen.insert(header) {
            let what = format!("column `{header}` stands twice in the header; rename one");
            return Err(CohortError::table(path, Some(1), what));
        }
    }
    Ok(table)
}

fn read_text(path: &Path) -> Result<Table, CohortError> {
    let failed = |source| CohortError::io(path, source);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BYTES_MAX {
        let what = "larger than 1 GiB; split it or convert it to Parquet";
        return Err(CohortError::table(path, None, what));
    }
    let (text, encoding) =
        text::decode(&bytes).map_err(|(line, what)| CohortError::table(path, line, what))?;
    drop(bytes);
    parse_text(path, &text, encoding)
}

fn parse_text(path: &Path, content: &str, encoding: Encoding) -> Result<Table, CohortError> {
    let refused = |line, what: String| CohortError::table(path, line, what);
    let tabbed = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tsv"));
    let delimiter = if tabbed { b'\t' } else { text::delimiter_of(content) };
    let end = format!("\n{SENTINEL}\n");
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(content.as_bytes().chain(end.as_bytes()));
    let mut record = csv::StringRecord::new();
    let mut next = |record: &mut csv::StringRecord| -> Result<bool, CohortError> {
        let more = reader.read_record(record);
        let more = more.map_err(|_| refused(None, "the text is no table".to_owned()))?;
        let swallowed = |record: &csv::StringRecord| record.iter().any(|f| f.contains(SENTINEL));
        if more && (record.len() != 1 || record.get(0) != Some(SENTINEL)) && swallowed(record) {
            let line = record.position().map(csv::Position::line);
            return Err(refused(line, "a quote is opened and never closed".to_owned()));
        }
        Ok(more && record.get(0) != Some(SENTINEL))
    };
    if !next(&mut record)? {
        return Err(refused(None, "the file is empty".to_owned()));
    }
    if record.len() > COLUMNS_MAX {
        let what = format!("{} columns, more than {COLUMNS_MAX}", record.len());
        return Err(refused(Some(1), what));
    }
    let headers: Vec<String> =
        record.iter().zip(1..).map(|(header, number)| header_name(header, number)).collect();
    let mut builders: Vec<StringBuilder> = headers.iter().map(|_| StringBuilder::new()).collect();
    let mut rows = 0;
    while next(&mut record)? {
        if record.len() != headers.len() {
            let what = format!(
                "{} fields, the header has {}; a field that contains `{}` needs quotes",
                record.len(),
                headers.len(),
                char::from(delimiter).escape_default()
            );
            return Err(refused(record.position().map(csv::Position::line), what));
        }
        for (builder, field) in builders.iter_mut().zip(&record) {
            builder.append_value(field);
        }
        rows += 1;
    }
    let decimal_comma = delimiter == b';';
    let comma = if decimal_comma { ", decimal comma" } else { "" };
    let shown = char::from(delimiter).escape_default();
    Ok(Table {
        headers,
        columns: builders.iter_mut().map(StringBuilder::finish).collect(),
        rows,
        delimiter,
        decimal_comma,
        format: format!("{}, '{shown}'{comma}", encoding.word()),
    })
}

/// A header without name, as R writes for row names, is named by its place.
fn header_name(header: &str, number: usize) -> String {
    let header = header.trim();
    if header.is_empty() {
        return format!("(column {number})");
    }
    header.to_owned()
}

fn read_parquet(path: &Path) -> Result<Table, CohortError> {
    // A damaged file may trip an assertion in the reader; that must not end the process.
    let read = catch_unwind(AssertUnwindSafe(|| parquet_columns(path)));
    read.unwrap_or_else(|_| {
        let what = "damaged: the Parquet reader gave up";
        Err(CohortError::table(path, None, what))
    })
}

fn parquet_columns(path: &Path) -> Result<Table, CohortError> {
    let refused = |what: &str| CohortError::table(path, None, what);
    let file = File::open(path).map_err(|source| CohortError::io(path, source))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|_| refused("not a Parquet file, or damaged"))?;
    let groups = builder.metadata().row_groups();
    let unpacked = groups.iter().map(|group| group.total_byte_size().max(0));
    let unpacked = unpacked.fold(0_i64, i64::saturating_add);
    if u64::try_from(unpacked).unwrap_or(u64::MAX) > BYTES_MAX {
        return Err(refused("larger than 1 GiB when unpacked; split it"));
    }
    let schema = builder.schema().clone();
    if schema.fields().len() > COLUMNS_MAX {
        return Err(refused("more than 10000 columns"));
    }
    let headers: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let mut builders: Vec<StringBuilder> = headers.iter().map(|_| StringBuilder::new()).collect();
    let mut rows = 0;
    let reader = builder.build().map_err(|_| refused("the Parquet file cannot be read"))?;
    for batch in reader {
        let batch = batch.map_err(|_| refused("the Parquet file is damaged"))?;
        for ((builder, array), header) in builders.iter_mut().zip(batch.columns()).zip(&headers) {
            append_texts(builder, array).ok_or_else(|| {
                refused(&format!("column `{header}` holds lists or records, not values"))
            })?;
        }
        rows += batch.num_rows();
    }
    Ok(Table {
        headers,
        columns: builders.iter_mut().map(StringBuilder::finish).collect(),
        rows,
        delimiter: b',',
        decimal_comma: false,
        format: "Parquet".to_owned(),
    })
}

/// Values as text: numbers with all their digits, and whole ones without a point.
fn append_texts(builder: &mut StringBuilder, array: &ArrayRef) -> Option<()> {
    let any = array.as_any();
    if let Some(numbers) = any.downcast_ref::<Float64Array>() {
        builder.extend(numbers.iter().map(|value| value.map(|v| format!("{v}"))));
        return Some(());
    }
    if let Some(numbers) = any.downcast_ref::<Float32Array>() {
        builder.extend(numbers.iter().map(|value| value.map(|v| format!("{v}"))));
        return Some(());
    }
    let texts = cast(array, &DataType::Utf8).ok()?;
    // The cast leaves nothing out: a value that became none would be a silent loss.
    if texts.null_count() != array.logical_null_count() {
        return None;
    }
    let texts = texts.as_any().downcast_ref::<StringArray>()?;
    builder.extend(texts.iter());
    Some(())
}
