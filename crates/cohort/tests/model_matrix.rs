//! Designs against R: names of the columns and their values, for the formulas of `vectors/`.
//!
//! `vectors/model_matrix.R` (R 4.2, survival 3.5) wrote the patients and the expected columns.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use konsil_cohort::{Dataset, Design, Dictionary, Formula, ImportOptions, import};
use std::fs;
use std::path::PathBuf;

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

fn patients() -> (Dictionary, Dataset) {
    let text = fs::read_to_string(vector("dictionary.csv")).unwrap();
    let dictionary = Dictionary::parse("vectors@1", &text).unwrap();
    let options = ImportOptions::new("patients");
    let (dataset, _) = import(&vector("patients.csv"), &dictionary, &options).unwrap();
    (dictionary, dataset)
}

/// Sum over the patients of position * value, for each column, as the script computes it.
fn weighted_sums(design: &Design, dataset: &Dataset) -> (usize, Vec<f64>) {
    let matrix = design.matrix(dataset).unwrap();
    assert_eq!(matrix.x.len(), matrix.rows * matrix.columns);
    let mut sums = vec![0.0; matrix.columns];
    let mut position = 0.0;
    for row in matrix.x.chunks(matrix.columns) {
        position += 1.0;
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += position * value;
        }
    }
    (matrix.rows, sums)
}

// What a term is called and which dummies it gets must be R's, or results are misread.
#[test]
fn designs_are_those_of_r() {
    let (dictionary, dataset) = patients();
    let expected = fs::read_to_string(vector("model_matrix.tsv")).unwrap();
    let mut formulas = 0;
    for line in expected.lines() {
        let mut fields = line.split('\t');
        let text = fields.next().unwrap();
        let rows: usize = fields.next().unwrap().parse().unwrap();
        let fields: Vec<&str> = fields.collect();
        let formula = Formula::parse(text).unwrap_or_else(|e| panic!("{}", e.render()));
        let design =
            Design::expand(&formula, &dictionary).unwrap_or_else(|e| panic!("{}", e.render()));
        let names: Vec<&str> = design.columns.iter().map(|c| c.name.as_str()).collect();
        let expected_names: Vec<&str> = fields.iter().step_by(2).copied().collect();
        assert_eq!(names, expected_names, "{text}");
        let (found_rows, sums) = weighted_sums(&design, &dataset);
        assert_eq!(found_rows, rows, "{text}");
        for ((sum, field), name) in sums.iter().zip(fields.iter().skip(1).step_by(2)).zip(names) {
            let expected: f64 = field.parse().unwrap();
            let close = (sum - expected).abs() <= 1e-11 * expected.abs().max(1.0);
            assert!(close, "{text}: {name}: {sum}, not {expected}");
        }
        formulas += 1;
    }
    assert!(formulas >= 40);
}

// A value outside its public range would wrap around in fixed point.
#[test]
fn values_stay_in_their_public_range() {
    let (dictionary, dataset) = patients();
    let formulas = fs::read_to_string(vector("formulas.txt")).unwrap();
    for text in formulas.lines() {
        let design = Design::expand(&Formula::parse(text).unwrap(), &dictionary).unwrap();
        let matrix = design.matrix(&dataset).unwrap();
        for row in matrix.x.chunks(matrix.columns) {
            for (value, column) in row.iter().zip(&design.columns) {
                assert!(column.scale > 0.0);
                let Some((low, high)) = column.range else {
                    continue;
                };
                let slack = 1e-12 * high.abs().max(low.abs());
                assert!((low - slack..=high + slack).contains(value), "{text}: {}", column.name);
            }
        }
    }
}
