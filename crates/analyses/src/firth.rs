//! Firth's penalised logistic regression over all centres: finite under separation.
//!
//! # Local step
//! At public coefficients each centre sums gradient, information and deviance of its own rows, and
//! the third-order products `(1/2 - pi) w x_j x_k x_l`, in fixed point.
//!
//! # Secure step
//! The information matrix is inverted on shares. The penalty's gradient `sum x_j h (1/2 - pi)`, with
//! leverages `h = w x' I^-1 x`, is the product of the shared inverse with the pooled third-order sums,
//! so that no leverage is ever computed. A Newton step on the penalised gradient, a fixed number of
//! times; at the end the determinant of the information by a Cholesky factor on shares.
//!
//! # Opens
//! To the centres: whether cohort and both outcomes are large enough; which columns cannot be told
//! apart; whether a column or a patient stands too much apart; the change of the coefficients in each
//! step. Not: any centre's sums, the information, leverages.
//!
//! # Release
//! Coefficients, their variances, deviance, logarithm of the information's determinant, number of
//! patients and of events.
//!
//! # Sources
//! Firth (1993), Biometrika 80:27; Heinze and Schemper (2002), Stat. Med. 21:2409, eq. 1 and 2.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::{Model, Rows};
use crate::fit::{
    VARIANCE_BITS, check_apart, inverse_again, reals, sound_inverse, standard_errors, symmetric,
    tidy, variances,
};
use crate::glm::{Glm, Pooled};
use crate::statistics::{Z_975, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{Family, Sums, fit_sums, predictor, triangle};
use konsil_mpc::linear::{Inverse, cholesky};
use konsil_mpc::{Audience, Opening, Session, Shared, fixed, transcendental};
use konsil_ring::{Word, decode, encode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 8] =
    [ADMITTED, UNSOUND, APART, STEP, COEFFICIENTS, VARIANCES, LIKELIHOOD, COUNTS];

const ADMITTED: Opening = Opening {
    name: "firth.admitted",
    says: "Whether cohort and outcome have enough patients and centres.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "firth.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "firth.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const STEP: Opening = Opening {
    name: "firth.step",
    says: "The change of the coefficients in each Newton step.",
    to: Audience::Centres,
};
const COEFFICIENTS: Opening = Opening {
    name: "firth.coefficients",
    says: "The coefficients, and the size of the last Newton step.",
    to: Audience::Researcher,
};
const VARIANCES: Opening = Opening {
    name: "firth.variances",
    says: "The variances of the coefficients.",
    to: Audience::Researcher,
};
const LIKELIHOOD: Opening = Opening {
    name: "firth.likelihood",
    says: "The deviance, and the logarithm of the information's determinant.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "firth.counts",
    says: "How many patients and events there are over all centres.",
    to: Audience::Researcher,
};

/// Newton steps unless the request says otherwise: under separation they take longer.
const ITERATIONS: u32 = 25;
/// Most columns: third-order sums grow with their third power.
const COLUMNS_MAX: usize = 24;
/// Longest step of a coefficient; a longer one is shortened as a whole.
const STEP_MAX: f64 = 2.0;

struct Firth {
    model: Model,
    iterations: u32,
}

/// Checks a request.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary, or a response that is not 0/1.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let iterations = request.iterations.unwrap_or(ITERATIONS);
    let Glm { model, .. } = Glm::new(&Request { iterations: None, ..request.clone() }, dictionary)?;
    if !(2..=50).contains(&iterations) {
        return Err(AnalysisError::request(request, "needs between 2 and 50 iterations"));
    }
    if model.order() > COLUMNS_MAX {
        let what = format!("has {} columns; at most {COLUMNS_MAX} are possible", model.order());
        return Err(AnalysisError::request(request, what));
    }
    Ok(Box::new(Firth { model, iterations }))
}

impl Firth {
    /// The penalised fit: the coefficients and the size of the last step.
    fn fit(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        rows: &Rows,
    ) -> Result<(Vec<Word>, f64), AnalysisError> {
        let order = self.model.order();
        let mut beta: Vec<Word> = vec![0; order];
        let mut last = 0.0_f64;
        for step in 0..self.iterations {
            let own = reals(&beta);
            let sums = fit_sums(Family::Binomial, rows.observed(), &own)?;
            let Pooled { gradient, information, .. } = Glm::pooled(session, &sums)?;
            let cubes = session.input(&cubes(rows, &own)?)?;
            let inverse = if step == 0 {
                let inverse = sound_inverse(session, UNSOUND, &self.model, &information)?;
                let weights = vec![0.25; rows.y.len()];
                check_apart(session, APART, (&self.model, setting), (rows, &weights), &inverse)?;
                inverse
            } else {
                inverse_again(session, &self.model, &information, None)?
            };
            let penalised = gradient.plus(&penalty(session, &cubes, &inverse)?);
            let change = inverse.times(session, &penalised)?;
            let change = session.open(STEP, &change)?;
            last = reals(&change).iter().fold(0.0, |most: f64, it| it.abs().max(most));
            let shorter = (STEP_MAX / last).min(1.0);
            for (beta, change) in beta.iter_mut().zip(change) {
                *beta = beta.wrapping_add(encode(decode(change) * shorter)?);
            }
        }
        Ok((beta, last))
    }
}

/// Sums of `(1/2 - pi) w x_j x_k x_l`, for each `j` the lower triangle of `k` and `l`.
fn cubes(rows: &Rows, beta: &[f64]) -> Result<Vec<Word>, AnalysisError> {
    let order = beta.len();
    let pairs = order * (order + 1) / 2;
    let mut sums = Sums::new(order * pairs);
    let mut terms = vec![0.0; order * pairs];
    for (row, _, offset, _) in rows.observed().patients(order) {
        let small = (-predictor(row, beta, offset).abs()).exp();
        let weight = small / ((1.0 + small) * (1.0 + small));
        let half = (1.0 - small) / (1.0 + small) / 2.0;
        let apart = if predictor(row, beta, offset) > 0.0 { -half } else { half };
        for (x, terms) in row.iter().zip(terms.chunks_mut(pairs.max(1))) {
            triangle(row, weight * apart * x, terms);
        }
        sums.add(&terms)?;
    }
    Ok(sums.finish())
}

/// `sum h (1/2 - pi) x_j` for each `j`. 6 rounds.
fn penalty(
    session: &mut dyn Session,
    cubes: &Shared,
    inverse: &Inverse,
) -> Result<Shared, AnalysisError> {
    let order = inverse.scales.len();
    let by_row = inverse.scales.pick((0..order * order).map(|at| at / order));
    let half = fixed::multiply(session, &inverse.scaled, &by_row)?;
    let whole = fixed::multiply(session, &half, &inverse.scales.repeat(order))?;
    let cells = (0..order).flat_map(|row| (0..=row).map(move |column| (row, column)));
    let cells: Vec<(usize, usize)> = cells.collect();
    let twice: Vec<i128> = cells.iter().map(|(i, k)| if i == k { 1 } else { 2 }).collect();
    let weights = whole.pick(cells.iter().map(|(i, k)| i * order + k)).times_integers(&twice);
    Ok(fixed::dot(session, cubes, &weights.repeat(order), weights.len())?)
}

impl Analysis for Firth {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (p, steps) = (self.model.order(), self.iterations);
        vec![
            format!(
                "{p} coefficients, {p} standard errors, penalised likelihood, patients, events"
            ),
            format!("to the centres: the coefficients after each of {steps} steps"),
        ]
    }

    fn understood(&self) -> Vec<String> {
        self.model.understood()
    }

    fn sets(&self) -> usize {
        self.model.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.model.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let rows = self.model.rows(patients)?;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let events = rows.y.iter().filter(|y| **y > 0.0).count();
        let also = [count(events), count(rows.y.len() - events)];
        let parameters = self.model.order();
        let applicants =
            Applicants { patients: rows.y.len(), parameters, statistics: 0, also: &also };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let (beta, last) = self.fit(session, setting, &rows)?;
        let sums = fit_sums(Family::Binomial, rows.observed(), &reals(&beta))?;
        let Pooled { information, deviance, .. } = Glm::pooled(session, &sums)?;
        let inverse = inverse_again(session, &self.model, &information, None)?;
        let variances = variances(session, &self.model, &inverse)?;
        let order = self.model.order();
        let (_, roots) = cholesky(session, &symmetric(&information, order), order)?;
        let determinant = transcendental::ln(session, &roots)?.total().times_integer(-2);
        let beta = session.constant(&beta);
        let last = session.constant(&[encode(last)?]);
        let counts = session.input(&[count(rows.y.len()), count(events)].map(encode_count))?;
        session.release(COEFFICIENTS, &Shared::concat([&beta, &last]))?;
        session.release(VARIANCES, &variances)?;
        session.release(LIKELIHOOD, &Shared::concat([&deviance, &determinant]))?;
        Ok(session.release(COUNTS, &counts)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut scaled = release.reals(COEFFICIENTS)?;
        let last = scaled.pop().unwrap_or(f64::NAN);
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let estimates = self.model.raw(&scaled);
        let errors = standard_errors(&self.model, &variances, 1.0);
        let tidy = tidy(&self.model, &estimates, &errors, (Z_975, &p_normal, true));
        let at = |all: &[f64], place: usize| all.get(place).copied().unwrap_or(f64::NAN);
        let parts = release.reals(LIKELIHOOD)?;
        // moving a column leaves the determinant as it is, scaling it does not
        let scales = self.model.columns.iter().map(|(_, scale)| 2.0 * scale.ln()).sum::<f64>();
        let penalised = (at(&parts, 1) + scales - at(&parts, 0)) / 2.0;
        let counts = release.counts(COUNTS)?;
        let converged = last < 1e-6;
        let cells = [
            ("logLik.penalised", Cell::Number(penalised)),
            ("deviance", Cell::Number(at(&parts, 0))),
            ("nobs", Cell::Count(at(&counts, 0))),
            ("nevent", Cell::Count(at(&counts, 1))),
            ("iter", Cell::Count(f64::from(self.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        let unsettled =
            format!("not converged: the last step still changed a coefficient by {last:.2e}");
        Ok(Findings {
            title: "Firth's penalised logistic regression".to_owned(),
            tables: vec![tidy, Table::of_one("glance", cells)],
            notes: if converged { Vec::new() } else { vec![unsettled] },
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
