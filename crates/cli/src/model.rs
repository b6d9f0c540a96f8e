//! Fitted models as files: written beside the results, judged by `validate`, applied by `predict`.

use crate::data::read_dictionary;
use crate::failure::Failure;
use crate::screen::Screen;
use clap::Args;
use konsil_analyses::{Cell, Findings, Request};
use konsil_cohort::design::Design;
use konsil_cohort::{Dictionary, Formula, ImportOptions, Kind, Variable, import};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The format of model files.
const SCHEMA: &str = "konsil.model.v1";

/// The column of row numbers that `predict` adds to a file for itself.
const ROW: &str = "konsil_row";

/// A fitted model. Public: nothing in it but what was released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    schema: String,
    /// `glm`, `lm` or `cox`.
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    pub(crate) formula: String,
    /// The study that it comes from.
    study: String,
    study_hash: String,
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Term {
    term: String,
    estimate: f64,
    std_error: f64,
}

impl Model {
    /// The model of an analysis, where it is one that predicts.
    pub(crate) fn of(
        request: &Request,
        findings: &Findings,
        (study, study_hash): (&str, &str),
    ) -> Option<Self> {
        let formula = request.formula.clone()?;
        if !matches!(request.kind.as_str(), "glm" | "lm" | "cox") {
            return None;
        }
        let table = findings.tables.iter().find(|it| it.name == "tidy")?;
        let number = |row: usize, column: &str| table.get(row, column).and_then(Cell::number);
        let term = |row: usize| {
            let term = table.get(row, "term").map(Cell::text)?;
            let (estimate, std_error) = (number(row, "estimate")?, number(row, "std.error")?);
            Some(Term { term, estimate, std_error })
        };
        Some(Self {
            schema: SCHEMA.to_owned(),
            kind: request.kind.clone(),
            family: request.family.clone(),
            formula,
            study: study.to_owned(),
            study_hash: study_hash.to_owned(),
            terms: (0..table.rows.len()).map(term).collect::<Option<_>>()?,
        })
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        let wrong =
            |what: String| Failure::usage(format!("{} is no model file: {what}", path.display()));
        let model: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if model.schema != SCHEMA {
            return Err(wrong(format!("schema `{}`, this build reads {SCHEMA}", model.schema)));
        }
        if model.terms.iter().any(|it| !it.estimate.is_finite()) {
            return Err(wrong("a coefficient is no number".to_owned()));
        }
        Ok(model)
    }

    /// Whether it is about times until an event.
    pub(crate) fn is_survival(&self) -> bool {
        self.kind == "cox"
    }

    /// The coefficients in the order of the table.
    pub(crate) fn coefficients(&self) -> Vec<f64> {
        self.terms.iter().map(|it| it.estimate).collect()
    }

    /// What the model says for a linear predictor, and what that is called.
    fn prediction(&self, predictor: f64) -> (&'static str, f64) {
        match (self.kind.as_str(), self.family.as_deref()) {
            ("lm", _) => ("mean", predictor),
            ("cox", _) => ("hazard.ratio", predictor.exp()),
            (_, Some("poisson")) => ("rate", predictor.exp()),
            _ => ("risk", 1.0 / (1.0 + (-predictor).exp())),
        }
    }
}

/// Options of `konsil predict`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PredictOptions {
    /// The model file of a result: `results/glm.model.json`.
    model: PathBuf,
    /// The patients: a CSV file with the model's variables. It is read here and sent nowhere.
    file: PathBuf,
    /// The dictionary that the file follows.
    #[arg(long, value_name = "CSV")]
    dict: PathBuf,
    /// The file to write: the patients' rows and the predictions.
    #[arg(short, long, default_value = "predictions.csv")]
    out: PathBuf,
}

/// Applies a model to a file of patients, on this computer.
pub(crate) fn predict(options: &PredictOptions, screen: &Screen) -> Result<(), Failure> {
    let model = Model::read(&options.model)?;
    let dictionary = read_dictionary(&options.dict)?;
    let (header, records) = read_table(&options.file)?;
    let predictors = predictors(&model, dictionary, (&header, &records))?;
    let known = predictors.iter().flatten().count();
    let column = model.prediction(0.0).0;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fail = |_| Failure::process("the predictions cannot be written");
    let mut names = header;
    names.extend(["linear.predictor".to_owned(), column.to_owned()]);
    writer.write_record(&names).map_err(fail)?;
    for (record, predictor) in records.iter().zip(&predictors) {
        let mut cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let both = predictor.map(|it| (it, model.prediction(it).1));
        cells.push(both.map(|it| it.0.to_string()).unwrap_or_default());
        cells.push(both.map(|it| it.1.to_string()).unwrap_or_default());
        writer.write_record(&cells).map_err(fail)?;
    }
    let bytes = writer.into_inner().map_err(|_| Failure::process("the predictions were lost"))?;
    konsil_node::write_private(&options.out, &bytes)?;
    let without = predictors.len() - known;
    screen.note(&format!(
        "✓ {}  {known} predictions ({column}), {without} patients lack a value",
        options.out.display()
    ));
    screen.json_line(&serde_json::json!({
        "schema": "konsil.predict.v1", "predicted": known, "without": without, "column": column,
    }));
    Ok(())
}

fn read_table(path: &Path) -> Result<(Vec<String>, Vec<csv::StringRecord>), Failure> {
    let wrong = |error: csv::Error| Failure::usage(format!("{}: {error}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(wrong)?;
    let header = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    let records = reader.records().collect::<Result<_, _>>().map_err(wrong)?;
    Ok((header, records))
}

/// The linear predictor of each record; none where it lacks a value of the model.
fn predictors(
    model: &Model,
    mut dictionary: Dictionary,
    (header, records): (&[String], &[csv::StringRecord]),
) -> Result<Vec<Option<f64>>, Failure> {
    // the row's number stands where the model has its response, so that each result finds its row
    let mut row = Variable::new(ROW, Kind::Integer);
    (row.min, row.max) = (Some(0.0), Some(records.len() as f64));
    dictionary.variables.push(row);
    let folder = tempfile::tempdir().map_err(|error| Failure::file(Path::new("temp"), &error))?;
    let path = folder.path().join("patients.csv");
    let mut writer = csv::Writer::from_path(&path)
        .map_err(|_| Failure::process("no place for a temporary file"))?;
    let fail = |_| Failure::process("a temporary file cannot be written");
    let kept: Vec<usize> = (0..header.len())
        .filter(|at| dictionary.variable(&header[*at]).is_some_and(|it| !it.is_identifier()))
        .collect();
    let names = kept.iter().map(|at| header[*at].as_str());
    writer.write_record(names.chain([ROW])).map_err(fail)?;
    for (number, record) in records.iter().enumerate() {
        let number = number.to_string();
        let cells = kept.iter().map(|at| record.get(*at).unwrap_or_default());
        writer.write_record(cells.chain([number.as_str()])).map_err(fail)?;
    }
    writer.flush().map_err(|error| Failure::file(&path, &error))?;
    drop(writer);
    let options = ImportOptions { allow_missing_columns: true, ..ImportOptions::new("predict") };
    dictionary.variables.retain(|it| !it.is_identifier());
    let (dataset, _) = import(&path, &dictionary, &options)?;
    let right = model.formula.split_once('~').map_or("", |it| it.1);
    let design = Design::expand(&Formula::parse(&format!("{ROW} ~ {right}"))?, &dictionary)?;
    let coefficient =
        |name: &str| model.terms.iter().find(|it| it.term == name).map(|it| it.estimate);
    let mut factors = Vec::with_capacity(design.columns.len());
    for column in &design.columns {
        let alone = column.name == "(Intercept)" && model.kind == "cox";
        let found = coefficient(&column.name).or(alone.then_some(0.0));
        factors.push(found.ok_or_else(|| {
            let what = "the model has no coefficient for it; is it another dictionary?";
            Failure::usage(format!("column `{}`: {what}", column.name))
        })?);
    }
    let matrix = design.matrix(&dataset)?;
    let mut predictors = vec![None; records.len()];
    for (at, values) in matrix.x.chunks(matrix.columns.max(1)).enumerate() {
        let sum: f64 = values.iter().zip(&factors).map(|(x, beta)| x * beta).sum();
        let offset = matrix.offset.get(at).copied().unwrap_or(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a row's number, as it was written"
        )]
        let place = matrix.y.get(at).map_or(usize::MAX, |row| *row as usize);
        if let Some(predictor) = predictors.get_mut(place) {
            *predictor = Some(sum + offset);
        }
    }
    Ok(predictors)
}
