//! Comparison of nested linear or generalised linear models over all centres.
//!
//! # Local step
//! As in `lm` and `glm`, for each model: products of columns, or gradient, information and deviance
//! at public coefficients. All models have the same patients: those who miss no variable of any.
//!
//! # Secure step
//! Each model is fitted on its own: linear ones by an inverse on shares, others by Newton steps.
//!
//! # Opens
//! To the centres, for each model: what `lm`, or `glm`, opens: verdicts on size, columns and patients;
//! of generalised models also the change of the coefficients in each step. No coefficient of a linear
//! model.
//!
//! # Release
//! For each model the residual sum of squares, or the deviance; Pearson's statistic of the last where
//! the dispersion is estimated; the number of patients.
//!
//! # Sources
//! Chambers and Hastie (1992), Statistical Models in S, 4.3 and 6.3.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::fit::{check_apart, sound_inverse};
use crate::glm::{self, Glm};
use crate::sealed::residual_squares;
use crate::statistics::{p_chi_squared, p_fisher};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary, Formula};
use konsil_disclosure::Release;
use konsil_kernels::{Family, Link, gram_sums};
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::encode_count;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 8] =
    [glm::ADMITTED, glm::UNSOUND, glm::APART, glm::STEP, glm::THETA_STEP, FITS, PEARSON, COUNTS];

const FITS: Opening = Opening {
    name: "anova.fits",
    says: "The residual sum of squares, or the deviance, of each model.",
    to: Audience::Researcher,
};
const PEARSON: Opening = Opening {
    name: "anova.pearson",
    says: "Pearson's statistic of the last model, where the dispersion is estimated.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "anova.counts",
    says: "How many patients there are over all centres.",
    to: Audience::Researcher,
};

/// Most models.
const MODELS_MAX: usize = 20;

struct Anova {
    /// From the smallest to the largest.
    models: Vec<Glm>,
    formulas: Vec<String>,
    linear: bool,
}

/// Checks a request.
///
/// # Errors
/// [`AnalysisError`] for formulas that do not fit the dictionary or each other.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let formulas = match (&request.formula, request.models.as_slice()) {
        (Some(formula), []) => Formula::parse(formula)?.sequence(dictionary)?,
        (None, models) => models.to_vec(),
        _ => return Err(error("takes either one formula, term by term, or models")),
    };
    if formulas.len() < 2 || formulas.len() > MODELS_MAX {
        return Err(error("compares 2 to 20 models: a formula with terms, or models"));
    }
    let linear = request.family.is_none();
    let family = request.family.clone().or_else(|| Some("gaussian".to_owned()));
    if family.as_deref() == Some("negative_binomial") {
        return Err(error("has no negative_binomial: each model would have a theta of its own"));
    }
    let mut models = Vec::with_capacity(formulas.len());
    for formula in &formulas {
        let one = Request {
            formula: Some(formula.clone()),
            family: family.clone(),
            models: Vec::new(),
            ..request.clone()
        };
        models.push(Glm::new(&one, dictionary)?);
    }
    let orders: Vec<usize> = models.iter().map(|it| it.model.order()).collect();
    if !orders.is_sorted_by(|a, b| a < b) {
        return Err(error("compares models from the smallest to the largest"));
    }
    let mut responses = formulas.iter().map(|it| it.split('~').next().map(str::trim));
    let first = responses.next().flatten();
    if responses.any(|it| it != first) {
        return Err(error("compares models of one response"));
    }
    let used: Vec<String> =
        models.iter().flat_map(|it| it.model.design.variables_used().to_vec()).collect();
    models.iter_mut().for_each(|it| it.model.also_complete_in(&used));
    Ok(Box::new(Anova { models, formulas, linear }))
}

impl Anova {
    /// Residual sum of squares, or deviance, and Pearson's statistic of one model; its patients.
    fn fit(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (glm, patients): (&Glm, Patients<'_>),
    ) -> Result<(Shared, Shared, usize), AnalysisError> {
        let mut rows = glm.admitted(session, setting, patients)?;
        let n = rows.y.len();
        if !self.linear {
            let ends = glm.open_fit(session, setting, &rows)?;
            return Ok((ends.deviance, ends.pearson, n));
        }
        let offsets = std::mem::take(&mut rows.offset);
        rows.y.iter_mut().zip(offsets).for_each(|(y, offset)| *y -= offset);
        let order = glm.model.order();
        let sums = gram_sums(rows.observed(), order)?;
        let mine = [&sums.products[..], &sums.with_response, &sums.response[1..]].concat();
        let pooled = session.input(&mine)?;
        let pairs = sums.products.len();
        let with_response = pooled.slice(pairs, pairs + order);
        let squares = pooled.slice(pairs + order, pairs + order + 1);
        let (model, products) = (&glm.model, pooled.slice(0, pairs));
        let inverse = sound_inverse(session, glm::UNSOUND, model, &products)?;
        let own = (&rows, rows.weights.as_slice());
        check_apart(session, glm::APART, (model, setting), own, &inverse)?;
        let beta = inverse.times(session, &with_response)?;
        let residual = residual_squares(session, (&squares, &with_response), &beta)?;
        Ok((residual.clone(), residual, n))
    }

    fn dispersed(&self) -> bool {
        self.models.last().is_some_and(|it| it.kind.dispersion)
    }
}

impl Analysis for Anova {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let count = self.models.len();
        let mut lines = vec![format!("{count} sums of squares or deviances, patients")];
        if !self.linear {
            lines.push("to the centres: the coefficients after each step of each model".to_owned());
        }
        lines
    }

    fn understood(&self) -> Vec<String> {
        let each = self.models.iter().flat_map(|it| it.model.understood());
        each.collect()
    }

    fn sets(&self) -> usize {
        self.models.iter().map(|it| it.model.sets()).sum()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let mut all = Vec::new();
        for glm in &self.models {
            all.extend(glm.model.pick(patients)?);
        }
        Ok(all)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let (mut fits, mut pearson, mut n) = (Vec::new(), Shared::zeros(1), 0);
        for glm in &self.models {
            let (fit, last, count) = self.fit(session, setting, (glm, patients))?;
            fits.push(fit);
            (pearson, n) = (last, count);
        }
        let counts = session.input(&[encode_count(u64::try_from(n).unwrap_or(u64::MAX))])?;
        session.release(FITS, &Shared::concat(&fits))?;
        if self.dispersed() {
            session.release(PEARSON, &pearson)?;
        }
        Ok(session.release(COUNTS, &counts)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let n = release.counts(COUNTS)?.first().copied().unwrap_or(f64::NAN);
        let unit = self.models.first().map_or(1.0, |it| it.unit);
        let squared = match self.models.first().map(|it| it.kind.family) {
            Some(Family::Gaussian(Link::Identity | Link::Log | Link::Inverse)) => unit * unit,
            _ => 1.0,
        };
        let fits: Vec<f64> = release.reals(FITS)?.iter().map(|it| it * squared).collect();
        let orders: Vec<f64> = self.models.iter().map(|it| it.model.order() as f64).collect();
        let rest = n - orders.last().copied().unwrap_or(f64::NAN);
        let dispersion = if self.dispersed() {
            release.reals(PEARSON)?.first().copied().unwrap_or(f64::NAN) * squared / rest
        } else {
            1.0
        };
        let columns =
            ["model", "df.residual", "residual", "df", "explained", "statistic", "p.value"];
        let mut table = Table::new("anova", &columns);
        let mut before: Option<(f64, f64)> = None;
        for ((formula, fit), order) in self.formulas.iter().zip(&fits).zip(&orders) {
            let mut row =
                vec![Cell::Text(formula.clone()), Cell::Count(n - order), Cell::Number(*fit)];
            match before {
                None => row.extend([Cell::Missing, Cell::Missing, Cell::Missing, Cell::Missing]),
                Some((fit_before, order_before)) => {
                    let (df, explained) = (order - order_before, fit_before - fit);
                    let (statistic, p) = if self.dispersed() {
                        let statistic = explained / df / dispersion;
                        (statistic, p_fisher(statistic, df, rest))
                    } else {
                        (explained, p_chi_squared(explained, df))
                    };
                    let numbers = [explained, statistic, p].map(Cell::Number);
                    row.push(Cell::Count(df));
                    row.extend(numbers);
                }
            }
            before = Some((*fit, *order));
            table.rows.push(row);
        }
        let test = if self.dispersed() { "F" } else { "likelihood ratio (chi-squared)" };
        Ok(Findings {
            title: "Comparison of nested models".to_owned(),
            tables: vec![table],
            notes: vec![format!("statistic: {test}")],
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
