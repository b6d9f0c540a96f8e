//! Logistic and Poisson regression over all centres.
//!
//! # Local step
//! At public coefficients each centre computes gradient, information matrix and deviance of its own
//! rows in double precision and rounds every patient's terms to fixed point.
//!
//! # Secure step
//! The sums over the centres are shares already. The information matrix is inverted on shares and
//! multiplied with the gradient: a Newton step. The number of steps is fixed beforehand. With
//! `sealed` the coefficients stay shared and the local step runs on shares too.
//!
//! # Opens
//! To the centres: whether cohort and both outcomes are large enough; which columns cannot be told
//! apart; whether a column or a patient stands too much apart; unless sealed, the change of the coefficients in each step. Not: any centre's sums, the
//! pooled gradient, the information matrix.
//!
//! # Release
//! Coefficients, their variances, deviance, number of patients and sum of the responses.
//!
//! # Sources
//! McCullagh and Nelder (1989), Generalized Linear Models, 2.5. Start values as in R's `glm`.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::{Model, Rows};
use crate::fit::{
    VARIANCE_BITS, check_apart, inverse_again, reals, sound_inverse, standard_errors, tidy,
    variances,
};
use crate::sealed::{Ends, sealed_fit};
use crate::statistics::{Z_975, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{Family, FitSums, fit_sums, start_sums, start_weights};
use konsil_mpc::linear::Inverse;
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, encode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 9] =
    [ADMITTED, UNSOUND, APART, STEP, COEFFICIENTS, VARIANCES, DEVIANCE, COUNTS, CONSTANTS];

const ADMITTED: Opening = Opening {
    name: "glm.admitted",
    says: "Whether cohort and outcome have enough patients and centres.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "glm.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "glm.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const STEP: Opening = Opening {
    name: "glm.step",
    says: "The change of the coefficients in each Newton step (not when sealed).",
    to: Audience::Centres,
};
const COEFFICIENTS: Opening = Opening {
    name: "glm.coefficients",
    says: "The coefficients, and the size of the last Newton step.",
    to: Audience::Researcher,
};
const VARIANCES: Opening = Opening {
    name: "glm.variances",
    says: "The variances of the coefficients.",
    to: Audience::Researcher,
};
const DEVIANCE: Opening =
    Opening { name: "glm.deviance", says: "The deviance of the model.", to: Audience::Researcher };
const COUNTS: Opening = Opening {
    name: "glm.counts",
    says: "How many patients there are over all centres.",
    to: Audience::Researcher,
};
const CONSTANTS: Opening = Opening {
    name: "glm.constants",
    says: "Sum of the responses; for Poisson two sums that null deviance and AIC need.",
    to: Audience::Researcher,
};

/// Newton steps unless the request says otherwise.
const ITERATIONS: u32 = 10;
/// Newton steps before which even a model with a maximum may still move.
const STEPS_TO_SETTLE: u32 = 6;
/// A linear predictor of this size means a probability of 0 or 1 to 13 digits.
const DIVERGED: f64 = 30.0;

/// A prepared model.
pub(crate) struct Glm {
    pub(crate) model: Model,
    pub(crate) family: Family,
    pub(crate) iterations: u32,
    sealed: bool,
}

/// Checks a request.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary or the family.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let model = Model::new(request, dictionary)?;
    let family = match request.family.as_deref() {
        None | Some("binomial") => Family::Binomial,
        Some("poisson") => Family::Poisson,
        Some(_) => return Err(error("knows the families binomial and poisson")),
    };
    let binary = match &model.design.response {
        Response::Binary => true,
        Response::Numeric { centre, scale } => (*centre, *scale) == (0.5, 0.5),
        _ => false,
    };
    if family == Family::Binomial && !binary {
        return Err(error(
            "needs a response of two levels, or one that is 0 or 1 by the dictionary",
        ));
    }
    let iterations = request.iterations.unwrap_or(ITERATIONS);
    if !(2..=50).contains(&iterations) {
        return Err(error("needs between 2 and 50 iterations"));
    }
    if request.sealed && model.design.offset.is_some() {
        return Err(error("cannot have an offset when sealed"));
    }
    Ok(Box::new(Glm { model, family, iterations, sealed: request.sealed }))
}

impl Glm {
    /// Gradient and information as shares of the pooled sums.
    pub(crate) fn pooled(
        session: &mut dyn Session,
        sums: &FitSums,
    ) -> Result<(Shared, Shared, Shared), AnalysisError> {
        let mine = [sums.gradient.as_slice(), &sums.information, &[sums.deviance]].concat();
        let pooled = session.input(&mine)?;
        let (p, end) = (sums.gradient.len(), pooled.len() - 1);
        Ok((pooled.slice(0, p), pooled.slice(p, end), pooled.slice(end, end + 1)))
    }

    /// Scales that serve for all steps: the weights of a binomial model start at 3/16 for everyone
    /// and never exceed 1/4, so that the diagonal stays below 4/3. Poisson weights have no bound.
    pub(crate) fn lasting_scales(&self, first: &Inverse) -> Option<Shared> {
        (self.family == Family::Binomial).then(|| first.scales.clone())
    }

    /// Newton steps with opened coefficients.
    fn open_fit(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        rows: &Rows,
    ) -> Result<Ends, AnalysisError> {
        let order = self.model.order();
        let data = (rows.x.as_slice(), rows.y.as_slice(), rows.offset.as_slice());
        let mut beta: Vec<Word> = vec![0; order];
        let (mut before, mut last) = (0.0, 0.0_f64);
        let mut scales = None;
        for step in 0..self.iterations {
            let sums = if step == 0 {
                start_sums(self.family, data, order)?
            } else {
                fit_sums(self.family, data, &reals(&beta))?
            };
            let (gradient, information, _) = Self::pooled(session, &sums)?;
            let inverse = if step == 0 {
                let first = self.first_inverse(session, setting, rows, &information)?;
                scales = self.lasting_scales(&first);
                first
            } else {
                inverse_again(session, &self.model, &information, scales.as_ref())?
            };
            let change = inverse.times(session, &gradient)?;
            let change = session.open(STEP, &change)?;
            beta.iter_mut().zip(&change).for_each(|(b, c)| *b = b.wrapping_add(*c));
            before = last;
            last = reals(&change).iter().fold(0.0, |largest, change| change.abs().max(largest));
            if reals(&beta).iter().any(|beta| beta.abs() > DIVERGED) {
                return Err(AnalysisError::Separation);
            }
        }
        // near a maximum a step is the square of the one before; on the way to infinity they are alike
        if self.iterations >= STEPS_TO_SETTLE && last > 0.1 && last > before / 2.0 {
            return Err(AnalysisError::Separation);
        }
        let sums = fit_sums(self.family, data, &reals(&beta))?;
        let (_, information, deviance) = Self::pooled(session, &sums)?;
        let inverse = inverse_again(session, &self.model, &information, None)?;
        let variances = variances(session, &self.model, &inverse)?;
        let coefficients = session.constant(&beta);
        let last = session.constant(&[encode(last)?]);
        Ok(Ends { coefficients, last, variances, deviance })
    }
}

impl Glm {
    /// The inverse of the first step's information, with the verdicts on columns and patients.
    pub(crate) fn first_inverse(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        rows: &Rows,
        information: &Shared,
    ) -> Result<Inverse, AnalysisError> {
        let inverse = sound_inverse(session, UNSOUND, &self.model, information)?;
        let weights = start_weights(self.family, &rows.y);
        check_apart(session, APART, (&self.model, setting), (rows, &weights), &inverse)?;
        Ok(inverse)
    }
}

/// Sums of the responses that null deviance and AIC need: `y`, and for counts `y ln y`, `ln y!`.
fn constants(family: Family, y: &[f64]) -> Result<[Word; 3], AnalysisError> {
    let mut sums = [0; 3];
    for y in y {
        let (entropy, factorial) = match family {
            Family::Binomial => (0.0, 0.0),
            Family::Poisson => (if *y > 0.0 { y * y.ln() } else { 0.0 }, libm::lgamma(y + 1.0)),
        };
        konsil_kernels::add_rounded(&mut sums, &[*y, entropy, factorial])?;
    }
    Ok(sums)
}

impl Analysis for Glm {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.model.order();
        let mut lines = vec![format!(
            "{p} coefficients, {p} standard errors, deviance, patients, sum of responses"
        )];
        if !self.sealed {
            lines.push(format!(
                "to the centres: the coefficients after each of {} steps",
                self.iterations
            ));
        }
        lines
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
        let fits = |y: &f64| match self.family {
            Family::Binomial => *y == 0.0 || *y == 1.0,
            Family::Poisson => *y >= 0.0 && y.fract() == 0.0,
        };
        if !rows.y.iter().all(fits) {
            let what = "the response of some patients does not fit the family".to_owned();
            return Err(AnalysisError::Request { id: "glm".to_owned(), what });
        }
        let events = u64::try_from(rows.y.iter().filter(|y| **y > 0.0).count()).unwrap_or(u64::MAX);
        let others = u64::try_from(rows.y.len()).unwrap_or(u64::MAX).saturating_sub(events);
        let both = [events, others];
        let also = if self.family == Family::Binomial { &both[..] } else { &both[..1] };
        let parameters = self.model.order();
        let applicants = Applicants { patients: rows.y.len(), parameters, statistics: 0, also };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let ends = if self.sealed {
            sealed_fit(session, self, setting, &rows)?
        } else {
            self.open_fit(session, setting, &rows)?
        };
        let patients = encode_count(u64::try_from(rows.y.len()).unwrap_or(u64::MAX));
        let counts = session.input(&[patients])?;
        let constants = session.input(&constants(self.family, &rows.y)?)?;
        session.release(COEFFICIENTS, &Shared::concat([&ends.coefficients, &ends.last]))?;
        session.release(VARIANCES, &ends.variances)?;
        session.release(DEVIANCE, &ends.deviance)?;
        session.release(COUNTS, &counts)?;
        Ok(session.release(CONSTANTS, &constants)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut scaled = release.reals(COEFFICIENTS)?;
        let last = scaled.pop().unwrap_or(f64::NAN);
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let estimates = self.model.raw(&scaled);
        let errors = standard_errors(&self.model, &variances, 1.0);
        let tidy = tidy(&self.model, &estimates, &errors, (Z_975, &p_normal, true));
        let converged = last < 1e-6;
        let glance = self.glance(release, converged)?;
        let family = if self.family == Family::Binomial { "Logistic" } else { "Poisson" };
        let mut notes = Vec::new();
        if !converged {
            notes.push(format!(
                "not converged: the last step still changed a coefficient by {last:.2e}"
            ));
        }
        Ok(Findings {
            title: format!("{family} regression"),
            tables: vec![tidy, glance],
            notes,
            found_percent_below: None,
        })
    }
}

impl Glm {
    /// One line about the model as a whole, in broom's columns.
    fn glance(&self, release: &Release, converged: bool) -> Result<Table, AnalysisError> {
        let number = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
        let deviance = number(&release.reals(DEVIANCE)?, 0);
        let n = number(&release.counts(COUNTS)?, 0);
        let constants = release.reals(CONSTANTS)?;
        let [total, entropy, factorials] = [0, 1, 2].map(|at| number(&constants, at));
        let parameters = self.model.order() as f64;
        let (null, aic) = match self.family {
            Family::Binomial => {
                let share = total / n;
                let null = -2.0 * (total * share.ln() + (n - total) * (1.0 - share).ln());
                (null, deviance + 2.0 * parameters)
            }
            Family::Poisson => {
                // log likelihood = (saturated one) - deviance / 2
                let saturated = entropy - total - factorials;
                let null = 2.0 * (entropy - total * (total / n).ln());
                (null, deviance - 2.0 * saturated + 2.0 * parameters)
            }
        };
        let likelihood = parameters - aic / 2.0;
        let plain = self.model.design.has_intercept && self.model.design.offset.is_none();
        let cell = |shown: bool, cell: Cell| if shown { cell } else { Cell::Missing };
        let binomial = self.family == Family::Binomial;
        let cells = [
            ("null.deviance", cell(plain, Cell::Number(null))),
            ("df.null", cell(plain, Cell::Count(n - 1.0))),
            ("logLik", Cell::Number(likelihood)),
            ("AIC", Cell::Number(aic)),
            ("BIC", Cell::Number(parameters * n.ln() - 2.0 * likelihood)),
            ("deviance", Cell::Number(deviance)),
            ("df.residual", Cell::Count(n - parameters)),
            ("nobs", Cell::Count(n)),
            ("nevent", cell(binomial, Cell::Count(total))),
            ("iter", Cell::Count(f64::from(self.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        Ok(Table::of_one("glance", cells))
    }
}
