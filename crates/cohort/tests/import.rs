//! Import: what is read, what is found, and that nothing is imported by halves.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use konsil_cohort::{
    CohortError, Dataset, Dictionary, ImportOptions, ImportReport, import, split_by,
};
use proptest::prelude::*;
use std::fs;

const DICTIONARY: &str = "\
name,type,levels,min,max,decimals,missing,sensitivity
id,category,,,,,,identifier
age,integer,,18,110,,-99,quasi
sex,category,F=female|M=male,,,,9,quasi
crp,number,,0,100,1,NA|-1,
died,boolean,,,,,,
";
const GOOD: &str = "id,age,sex,crp,died\na,40,F,1.5,true\nb,-99,9,NA,\nc,60,M,-0,0\n";

fn dictionary() -> Dictionary {
    Dictionary::parse("hmsp@4", DICTIONARY).unwrap()
}

fn import_file(
    name: &str,
    content: &[u8],
    options: &ImportOptions,
) -> Result<(Dataset, ImportReport), CohortError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    import(&path, &dictionary(), options)
}

fn import_text(content: &str) -> Result<(Dataset, ImportReport), CohortError> {
    import_file("p.csv", content.as_bytes(), &ImportOptions::new("p"))
}

fn report(content: &str) -> ImportReport {
    match import_text(content) {
        Err(CohortError::CheckFailed(report)) => *report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_file_is_imported() {
    let (dataset, report) = import_text(GOOD).unwrap();
    assert_eq!(dataset.rows(), 3);
    assert_eq!(dataset.column_names(), ["age", "sex", "crp", "died"]);
    assert_eq!(dataset.numeric("age").unwrap(), [Some(40.0), None, Some(60.0)]);
    assert_eq!(dataset.levels("sex").unwrap(), [Some(0), None, Some(1)]);
    let crp = dataset.numeric("crp").unwrap();
    assert_eq!(crp[..2], [Some(1.5), None]);
    assert!(crp[2].unwrap().is_sign_positive());
    assert_eq!(dataset.levels("died").unwrap(), [Some(1), None, Some(0)]);
    assert_eq!(report.findings_total, 0);
    assert!(report.to_text().contains("5 of 5 columns match dictionary hmsp v4"));
    assert!(dataset.numeric("sex").is_err());
    assert!(dataset.numeric("id").is_err());
    assert!(dataset.levels("age").is_err());
    assert_eq!(format!("{dataset:?}"), "Dataset(\"p\", 3 x 4)");
}

/// What can be named: not the pseudonyms, which follow the spelling of identifiers.
fn columns(dataset: &Dataset) -> String {
    let column = |name: &String| format!("{name} {:?}", dataset.batch().column_by_name(name));
    dataset.column_names().iter().map(column).collect()
}

#[test]
fn delimiters_encodings_and_line_ends_are_understood() {
    let (first, _) = import_text(GOOD).unwrap();
    let semicolons = GOOD.replace(',', ";").replace("1.5", "1,5");
    let tabs = GOOD.replace(',', "\t");
    let crlf = GOOD.replace('\n', "\r\n");
    let mark = format!("\u{feff}{GOOD}");
    let quotes = GOOD.replace("a,40", "\"a\n\"\"x\"\"\",\"40\"");
    let no_end = GOOD.trim_end().to_owned();
    for text in [semicolons, crlf, mark, quotes, no_end] {
        let (dataset, _) = import_text(&text).unwrap();
        assert_eq!(columns(&dataset), columns(&first), "{text}");
    }
    let options = ImportOptions::new("p");
    let (dataset, _) = import_file("p.tsv", tabs.as_bytes(), &options).unwrap();
    assert_eq!(dataset.batch(), first.batch());
    let latin = b"id,age,sex,crp,died\nJ\xfcrgen,40,F,1.5,1\n";
    let (_, report) = import_file("p.csv", latin, &options).unwrap();
    assert!(report.format.contains("Windows-1252"));
    let (_, report) = import_text(&GOOD.replace(',', ";")).unwrap();
    assert!(report.to_text().contains("(UTF-8, ';', decimal comma)"));
}

// Every finding: column, code, row; and nothing is imported.
#[test]
fn cells_that_contradict_the_dictionary_are_found() {
    let cases = [
        ("x,17,F,1,1", "age", "K0101"),
        ("x,111,F,1,1", "age", "K0101"),
        ("x,40.5,F,1,1", "age", "K0104"),
        ("x,abc,F,1,1", "age", "K0102"),
        ("x,40,d,1,1", "sex", "K0114"),
        ("x,40,F,NaN,1", "crp", "K0103"),
        ("x,40,F,-Inf,1", "crp", "K0103"),
        ("x,40,F,1e400,1", "crp", "K0103"),
        ("x,40,F,1e-310,1", "crp", "K0103"),
        ("x,40,F,\"1,5\",1", "crp", "K0102"),
        ("x,40,F,<0.6,1", "crp", "K0102"),
        ("x,40,F,1,maybe", "died", "K0105"),
        ("a,40,F,1,1", "id", "K0106"),
    ];
    for (row, column, code) in cases {
        let report = report(&format!("{GOOD}{row}\n"));
        assert_eq!(report.findings_total, 1, "{row}");
        assert_eq!(report.findings[0].row, 5, "{row}");
        assert_eq!(report.findings[0].column, column, "{row}");
        assert_eq!(report.groups[0].code, code, "{row}");
        let text = report.to_text();
        assert!(text.contains("No rows were stored."), "{text}");
    }
}

#[test]
fn the_report_looks_as_promised() {
    let report = report("zimmer,id,age,sex,crp,died\n1,a,40,d,1,1\n2,b,41,d,1,1\n3,c,42,F,101,1\n");
    let text = report.to_text();
    let expected = "  ✗ sex: 2 rows have \"d\", not a level of hmsp v4 (F, M)";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("--map 'sex.d=missing'   ·   konsil explain K0114"), "{text}");
    assert!(text.contains("not in dictionary, left out: zimmer"), "{text}");
    assert!(text.contains("✗ crp: 1 row above the maximum 100"), "{text}");
}

// The report stays at the centre; the error around it may not.
#[test]
fn errors_do_not_quote_cells() {
    let error = import_text(&format!("{GOOD}x,40,Sesame,1,1\n")).unwrap_err();
    let shown = format!("{error} {error:?} {error:#?}");
    assert!(!shown.contains("Sesame"), "{shown}");
}

#[test]
fn texts_can_be_mapped() {
    let text = format!("{GOOD}d,50,d,1,1\ne,51,m,1,1\n");
    let with = |map: &[&str]| {
        let options = ImportOptions {
            map: map.iter().map(|&m| m.to_owned()).collect(),
            ..ImportOptions::new("p")
        };
        import_file("p.csv", text.as_bytes(), &options)
    };
    let (dataset, _) = with(&["sex.d=missing", "sex.m=M"]).unwrap();
    assert_eq!(dataset.levels("sex").unwrap()[3..], [None, Some(1)]);
    assert!(matches!(with(&["sex.d=missing"]), Err(CohortError::CheckFailed(_))));
    for option in ["sex.d", "sxe.d=missing", "sex=missing", "sex.d=X"] {
        let error = with(&[option]).unwrap_err();
        assert!(matches!(error, CohortError::Mapping { .. }), "{option}: {error}");
    }
}

#[test]
fn columns_are_matched_by_name() {
    let error = import_text("id,age,sex,Died?\na,40,F,1\n").unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("`crp`") && shown.contains("`died` (is it `Died?`?)"), "{shown}");
    let options = ImportOptions { allow_missing_columns: true, ..ImportOptions::new("p") };
    let text = b"age,extra,died\n40,7,1\n";
    let (dataset, report) = import_file("p.csv", text, &options).unwrap();
    assert_eq!(report.missing_columns, ["id", "sex", "crp"]);
    assert_eq!(report.left_out, ["extra"]);
    assert_eq!(dataset.numeric("crp").unwrap(), [None]);
    let none = import_file("p.csv", b"foo,bar\n1,2\n", &options).unwrap_err();
    assert!(matches!(none, CohortError::MissingColumns { .. }));
}

// Files that are no tables: the error names the line where there is one.
#[test]
fn damaged_files_are_refused() {
    let cases: [(&str, &[u8], Option<u64>, &str); 12] = [
        ("p.csv", b"", None, "empty"),
        ("p.csv", b"id,age\na,1\nb\n", Some(3), "1 fields"),
        ("p.csv", b"id,age\n\"a\nb\",1\nb,2,3\n", Some(4), "3 fields"),
        ("p.csv", b"id,age\na,1\nb,\x002\n", Some(3), "NUL"),
        ("p.csv", b"id,age\na,\"1\nb,2\nc,3\n", Some(2), "never closed"),
        ("p.csv", b"id,age,age\na,1,1\n", Some(1), "twice"),
        ("p.csv", b"\xff\xfei\0d\0", None, "UTF-16"),
        ("p.csv", b"PK\x03\x04", None, "workbook"),
        ("p.csv", b"id,age\na,\x81\xff\n", Some(2), "neither"),
        ("p.xlsx", b"", None, "unknown kind"),
        ("p.parquet", b"PAR1 not really PAR1", None, "Parquet"),
        ("p.parquet", b"", None, "Parquet"),
    ];
    for (name, content, line, word) in cases {
        match import_file(name, content, &ImportOptions::new("p")).unwrap_err() {
            CohortError::Table { line: found, what, .. } => {
                assert_eq!(found, line, "{what}");
                assert!(what.contains(word), "{what}");
            }
            other => panic!("{word}: {other}"),
        }
    }
    let wide: Vec<String> = (0..10_001).map(|column| format!("c{column}")).collect();
    let error = import_text(&format!("{}\n", wide.join(","))).unwrap_err();
    assert!(error.to_string().contains("more than 10000"), "{error}");
    let absent =
        import(std::path::Path::new("absent.csv"), &dictionary(), &ImportOptions::default());
    assert!(matches!(absent, Err(CohortError::Io { .. })));
}

#[test]
fn lists_of_findings_are_capped() {
    let mut text = "id,age,sex,crp,died\n".to_owned();
    for row in 0..3_000 {
        text.push_str(&format!("p{row},bad{row},X,1,1\n"));
    }
    let report = report(&text);
    assert_eq!(report.findings_total, 6_000);
    assert_eq!(report.findings.len(), 1_000);
    assert!(report.groups.len() <= 202);
    let counted: usize = report.groups.iter().map(|group| group.rows).sum();
    assert_eq!(counted, 6_000);
    assert!(report.to_text().lines().count() < 60);
}

#[test]
fn notes_tell_what_stays_unseen() {
    let text = "id,age,sex,crp,died\na,,F,1.25,1\n,,M,1,1\n";
    let (_, report) = import_text(text).unwrap();
    let notes = report.notes.join("\n");
    assert!(notes.contains("age: missing for every patient"), "{notes}");
    assert!(notes.contains("crp: 1 values have more than 1 decimals"), "{notes}");
    assert!(notes.contains("id: 1 rows have none"), "{notes}");
}

#[test]
fn parquet_is_read_like_text() {
    use datafusion::arrow::array::{
        ArrayRef, BooleanArray, Float64Array, ListArray, RecordBatch, StringArray,
    };
    use datafusion::arrow::datatypes::Int32Type;
    use datafusion::parquet::arrow::ArrowWriter;
    use std::sync::Arc;
    let (first, _) = import_text(GOOD).unwrap();
    let age = Float64Array::from(vec![Some(40.0), Some(-99.0), Some(60.0)]);
    let crp = Float64Array::from(vec![Some(1.5), None, Some(-0.0)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
        ("age", Arc::new(age)),
        ("sex", Arc::new(StringArray::from(vec!["F", "9", "M"]))),
        ("crp", Arc::new(crp)),
        ("died", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
    ];
    let write = |columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    };
    let bytes = write(columns.clone());
    let options = ImportOptions::new("p");
    let (dataset, _) = import_file("p.parquet", &bytes, &options).unwrap();
    assert_eq!(dataset.batch(), first.batch());
    for cut in (0..bytes.len()).step_by(37) {
        assert!(import_file("p.parquet", &bytes[..cut], &options).is_err());
    }
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), None, None]);
    let mut nested = columns;
    nested.push(("list", Arc::new(list)));
    let error = import_file("p.parquet", &write(nested), &options);
    assert!(error.is_err() || error.is_ok_and(|(_, r)| r.left_out == ["list"]));
}

#[test]
fn one_file_is_split_by_centre() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.csv");
    let text = "id;centre;crp\na;München Süd;1,5\nb;Berlin;2\nc;München Süd;\"x;y\"\n";
    fs::write(&path, text).unwrap();
    let parts = split_by(&path, "centre").unwrap();
    let expected = [
        ("berlin".to_owned(), b"id;centre;crp\nb;Berlin;2\n".to_vec()),
        (
            "muenchen-sued".to_owned(),
            "id;centre;crp\na;München Süd;1,5\nc;München Süd;\"x;y\"\n".into(),
        ),
    ];
    assert_eq!(parts, expected);
    assert!(split_by(&path, "center").is_err());
    for text in ["id,centre\na,\n", "id,centre\na,A b\nb,a-B\n", "id,centre\na,!!\n"] {
        fs::write(&path, text).unwrap();
        assert!(split_by(&path, "centre").is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_imported_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let options = ImportOptions { allow_missing_columns: true, ..ImportOptions::new("p") };
        let _ = import_file("p.csv", &bytes, &options);
        let mut text = GOOD.as_bytes().to_vec();
        text.extend_from_slice(&bytes);
        let _ = import_file("p.csv", &text, &options);
    }

    // A row is either in the data set or the whole file is refused; none is lost.
    #[test]
    fn no_row_is_lost(rows in prop::collection::vec("[a-c\",;\n0-9 ]{0,12}", 0..8)) {
        let text = format!("age,id\n{}\n", rows.join("\n"));
        let options = ImportOptions { allow_missing_columns: true, ..ImportOptions::new("p") };
        if let Ok((dataset, report)) = import_file("p.csv", text.as_bytes(), &options) {
            prop_assert_eq!(dataset.rows(), report.rows);
        }
    }
}
