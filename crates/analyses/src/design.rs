//! Regression designs: public scaling, local model matrices, and the way back to raw coefficients.

use crate::analysis::{AnalysisError, Patients, Request};
use konsil_cohort::design::{Design, DesignMatrix, Response};
use konsil_cohort::{Dictionary, Formula};
use konsil_mpc::linear::ORDER_MAX;

/// A design with one way to move and scale each column, fixed by the dictionary.
pub(crate) struct Model {
    pub(crate) design: Design,
    /// Centre and scale of each column: the engine works with `(x - centre) / scale`.
    pub(crate) columns: Vec<(f64, f64)>,
}

/// One centre's rows, moved and scaled.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
    pub(crate) offset: Vec<f64>,
}

impl Model {
    /// Expands the request's formula. `what` names the analysis in errors.
    pub(crate) fn new(request: &Request, dictionary: &Dictionary) -> Result<Self, AnalysisError> {
        let Some(text) = &request.formula else {
            let what = "needs a formula, such as `y ~ age + sex`";
            return Err(AnalysisError::request(request, what));
        };
        let design = Design::expand(&Formula::parse(text)?, dictionary)?;
        if matches!(design.response, Response::Survival { .. }) {
            let what = "has a survival response; use km";
            return Err(AnalysisError::request(request, what));
        }
        if !design.strata.is_empty() {
            return Err(AnalysisError::request(request, "strata() has no meaning in this model"));
        }
        let terms = design.columns.len();
        if terms > ORDER_MAX {
            let what =
                format!("has {terms} columns after expansion; at most {ORDER_MAX} are possible");
            return Err(AnalysisError::request(request, what));
        }
        // without an intercept a moved column would be another model
        let centred = design.has_intercept;
        let scaling = |column: &konsil_cohort::design::DesignColumn| {
            let centre = if centred { column.centre } else { 0.0 };
            let reach = column.range.map_or(column.scale, |(low, high)| low.abs().max(high.abs()));
            let scale = if centred { column.scale } else { reach };
            (centre, if scale > 0.0 { scale } else { 1.0 })
        };
        let columns = design.columns.iter().map(scaling).collect();
        Ok(Self { design, columns })
    }

    pub(crate) fn order(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.design.columns.iter().map(|column| column.name.as_str())
    }

    /// This centre's complete rows.
    pub(crate) fn rows(&self, patients: Patients<'_>) -> Result<Rows, AnalysisError> {
        let Some(dataset) = patients else {
            return Ok(Rows::default());
        };
        let DesignMatrix { mut x, y, offset, .. } = self.design.matrix(dataset)?;
        for row in x.chunks_mut(self.order().max(1)) {
            for (value, (centre, scale)) in row.iter_mut().zip(&self.columns) {
                *value = (*value - centre) / scale;
            }
        }
        let offset = if self.design.offset.is_some() { offset } else { Vec::new() };
        Ok(Rows { x, y, offset })
    }

    /// The row of public factors that gives the raw intercept from the scaled coefficients:
    /// `beta_0 - sum beta_j centre_j / scale_j`.
    pub(crate) fn intercept_factors(&self) -> Vec<f64> {
        let factor = |(at, (centre, scale)): (usize, &(f64, f64))| {
            if at == 0 { 1.0 } else { -centre / scale }
        };
        self.columns.iter().enumerate().map(factor).collect()
    }

    /// Raw coefficients from scaled ones.
    pub(crate) fn raw(&self, scaled: &[f64]) -> Vec<f64> {
        let each = scaled.iter().zip(&self.columns).map(|(beta, (_, scale))| beta / scale);
        let mut raw: Vec<f64> = each.collect();
        if self.design.has_intercept {
            let factors = self.intercept_factors();
            raw[0] = scaled.iter().zip(&factors).map(|(beta, factor)| beta * factor).sum();
        }
        raw
    }

    /// How the formula was understood, line by line.
    pub(crate) fn understood(&self) -> Vec<String> {
        self.design.describe().lines().map(str::to_owned).collect()
    }
}
