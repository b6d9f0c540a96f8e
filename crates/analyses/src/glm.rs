//! Generalised linear regression over all centres: logistic, Poisson, gamma, negative binomial.
//!
//! # Local step
//! At public coefficients each centre computes gradient, information matrix, deviance and Pearson's
//! statistic of its own rows in double precision and rounds every patient's terms to fixed point.
//! Prior weights multiply a patient's terms.
//!
//! # Secure step
//! The sums over the centres are shares already. The information matrix is inverted on shares and
//! multiplied with the gradient: a Newton step. The number of steps is fixed beforehand. With
//! `sealed` the coefficients stay shared and the local step runs on shares too. The size `theta` of a
//! negative binomial model is stepped beside the coefficients. Robust standard errors sum the
//! products of the patients', or the clusters', gradients and put the inverse around them on shares.
//!
//! # Opens
//! To the centres: whether cohort and both outcomes are large enough; which columns cannot be told
//! apart; whether a column or a patient stands too much apart; unless sealed, the change of the
//! coefficients, and of `theta`, in each step. Not: any centre's sums, the pooled gradient, the
//! information matrix, leverages.
//!
//! # Release
//! Coefficients, their variances, deviance, Pearson's statistic where the dispersion is estimated,
//! `theta`, number of patients and of clusters, sums of the responses.
//!
//! # Sources
//! McCullagh and Nelder (1989), Generalized Linear Models, 2.5. Start values as in R's `glm`. Theta:
//! Venables and Ripley (2002), Modern Applied Statistics with S, 7.4. Robust: see `sandwich`.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::{Clusters, Model, Rows};
use crate::families::{Kind, kind};
use crate::fit::{check_apart, inverse_again, reals, sound_inverse, variances};
use crate::glm_theta::{first_theta, theta_sums};
use crate::sandwich::{Robust, clusters, counts, sandwich};
use crate::sealed::{Ends, Theta, sealed_fit};
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{Family, FitSums, Link, fit_sums, scores, start_sums, start_weights};
use konsil_mpc::linear::Inverse;
use konsil_mpc::{Audience, Opening, Session, Shared, fixed, normalise};
use konsil_ring::{Word, decode, encode};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 12] = [
    ADMITTED,
    UNSOUND,
    APART,
    STEP,
    COEFFICIENTS,
    VARIANCES,
    DEVIANCE,
    COUNTS,
    CONSTANTS,
    PEARSON,
    THETA_STEP,
    THETA,
];

pub(crate) const ADMITTED: Opening = Opening {
    name: "glm.admitted",
    says: "Whether cohort and outcome have enough patients and centres.",
    to: Audience::Centres,
};
pub(crate) const UNSOUND: Opening = Opening {
    name: "glm.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
pub(crate) const APART: Opening = Opening {
    name: "glm.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
pub(crate) const STEP: Opening = Opening {
    name: "glm.step",
    says: "The change of the coefficients in each Newton step (not when sealed).",
    to: Audience::Centres,
};
pub(crate) const COEFFICIENTS: Opening = Opening {
    name: "glm.coefficients",
    says: "The coefficients, and the size of the last Newton step.",
    to: Audience::Researcher,
};
pub(crate) const VARIANCES: Opening = Opening {
    name: "glm.variances",
    says: "The variances of the coefficients.",
    to: Audience::Researcher,
};
pub(crate) const DEVIANCE: Opening =
    Opening { name: "glm.deviance", says: "The deviance of the model.", to: Audience::Researcher };
pub(crate) const COUNTS: Opening = Opening {
    name: "glm.counts",
    says: "How many patients, and clusters, there are over all centres.",
    to: Audience::Researcher,
};
pub(crate) const CONSTANTS: Opening = Opening {
    name: "glm.constants",
    says: "Sum of the responses and of the weights; two sums that null deviance and AIC need.",
    to: Audience::Researcher,
};

pub(crate) const PEARSON: Opening = Opening {
    name: "glm.pearson",
    says: "Pearson's statistic, where the dispersion is estimated.",
    to: Audience::Researcher,
};
pub(crate) const THETA_STEP: Opening = Opening {
    name: "glm.theta_step",
    says: "Of a negative binomial model: the first theta, and its change in each step.",
    to: Audience::Centres,
};
pub(crate) const THETA: Opening = Opening {
    name: "glm.theta",
    says: "Of a negative binomial model: theta, its information, the log likelihood.",
    to: Audience::Researcher,
};

/// Newton steps unless the request says otherwise.
const ITERATIONS: u32 = 10;
/// The same for a negative binomial model.
const ITERATIONS_THETA: u32 = 24;
/// Steps of a Poisson model before the first theta.
const STEPS_POISSON: u32 = 4;
/// A theta beyond which counts vary as Poisson's.
const THETA_MOST: f64 = 1e5;
/// Newton steps before which even a model with a maximum may still move.
const STEPS_TO_SETTLE: u32 = 6;
/// A linear predictor of this size means a probability of 0 or 1 to 13 digits.
const DIVERGED: f64 = 30.0;

/// What is said of counts without a theta.
const NO_THETA: &str = "the counts vary no more than Poisson's, so that theta runs to infinity; use \
                        the family poisson";

/// A prepared model.
pub(crate) struct Glm {
    pub(crate) model: Model,
    pub(crate) kind: Kind,
    /// What responses are divided by, so that they are about 1.
    pub(crate) unit: f64,
    pub(crate) iterations: u32,
    pub(crate) robust: Option<Robust>,
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
    match request.validate.as_deref() {
        None => Ok(Box::new(Glm::new(request, dictionary)?)),
        Some("centre") if request.family.as_deref() == Some("binomial") => {
            crate::leave_out::prepare(request, dictionary)
        }
        Some(_) => {
            let what = "can be validated by `centre` only, with family binomial";
            Err(AnalysisError::request(request, what))
        }
    }
}

impl Glm {
    /// Checks a request.
    pub(crate) fn new(request: &Request, dictionary: &Dictionary) -> Result<Self, AnalysisError> {
        let error = |what: &str| AnalysisError::request(request, what);
        let kind = kind(request)?;
        let model = Model::new(request, dictionary)?;
        let binary = match &model.design.response {
            Response::Binary => true,
            Response::Numeric { centre, scale } => (*centre, *scale) == (0.5, 0.5),
            _ => false,
        };
        if kind.family == Family::Binomial && !binary {
            return Err(error(
                "needs a response of two levels, or one that is 0 or 1 by the dictionary",
            ));
        }
        let theta = matches!(kind.family, Family::NegativeBinomial { .. });
        let usual = if theta { ITERATIONS_THETA } else { ITERATIONS };
        let iterations = request.iterations.unwrap_or(usual);
        if !(2..=50).contains(&iterations) || (theta && iterations < 12) {
            return Err(error(
                "needs between 2 and 50 iterations, for negative_binomial 12 at least",
            ));
        }
        let robust = Robust::of(request, &model)?;
        let plain = matches!(kind.family, Family::Binomial | Family::Poisson) && !kind.dispersion;
        let simple = plain && robust.is_none() && !model.is_weighted();
        if request.sealed && (!simple || model.design.offset.is_some()) {
            return Err(error(
                "can be sealed for binomial and poisson only, without offset, weights and robust \
                 standard errors",
            ));
        }
        let unit = match (&kind.family, &model.design.response) {
            (Family::Gamma(Link::Log), _) => 1.0,
            (Family::Gaussian(_) | Family::Gamma(_), Response::Numeric { centre, scale }) => {
                centre.abs() + scale
            }
            _ => 1.0,
        };
        Ok(Self { model, kind, unit, iterations, robust, sealed: request.sealed })
    }

    /// The same analysis of a model with further columns.
    pub(crate) fn of_model(self, model: Model) -> Self {
        Self { model, ..self }
    }

    /// Divides the responses by the unit.
    fn to_unit(&self, rows: &mut Rows) {
        let (Family::Gaussian(link) | Family::Gamma(link)) = self.kind.family else {
            return;
        };
        rows.y.iter_mut().for_each(|y| *y /= self.unit);
        match link {
            Link::Identity => rows.offset.iter_mut().for_each(|it| *it /= self.unit),
            Link::Inverse => rows.offset.iter_mut().for_each(|it| *it *= self.unit),
            Link::Log => {
                rows.offset.resize(rows.y.len(), 0.0);
                rows.offset.iter_mut().for_each(|it| *it -= self.unit.ln());
            }
        }
    }

    /// What coefficients of divided responses are multiplied by.
    pub(crate) fn factor(&self) -> f64 {
        match self.kind.family {
            Family::Gaussian(Link::Identity) | Family::Gamma(Link::Identity) => self.unit,
            Family::Gaussian(Link::Inverse) | Family::Gamma(Link::Inverse) => 1.0 / self.unit,
            _ => 1.0,
        }
    }

    /// Sums over the centres, as shares.
    pub(crate) fn pooled(
        session: &mut dyn Session,
        sums: &FitSums,
    ) -> Result<Pooled, AnalysisError> {
        let ends = [sums.deviance, sums.pearson];
        let mine = [sums.gradient.as_slice(), &sums.information, &ends].concat();
        let pooled = session.input(&mine)?;
        let (p, end) = (sums.gradient.len(), pooled.len() - 2);
        Ok(Pooled {
            gradient: pooled.slice(0, p),
            information: pooled.slice(p, end),
            deviance: pooled.slice(end, end + 1),
            pearson: pooled.slice(end + 1, end + 2),
        })
    }

    /// Scales that serve for all steps: the weights of a binomial model start at 3/16 for everyone
    /// and never exceed 1/4, so that the diagonal stays below 4/3. Other weights have no bound.
    pub(crate) fn lasting_scales(&self, first: &Inverse) -> Option<Shared> {
        (self.kind.family == Family::Binomial).then(|| first.scales.clone())
    }

    /// Newton steps with opened coefficients.
    pub(crate) fn open_fit(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        rows: &Rows,
    ) -> Result<Ends, AnalysisError> {
        let observed = rows.observed();
        let steps = self.steps(session, setting, (rows, self.iterations, 0))?;
        steps.check_settled(self.iterations, self.kind)?;
        let family = match steps.theta {
            Some(theta) => Family::NegativeBinomial { theta },
            None => self.kind.family,
        };
        let beta = reals(&steps.beta);
        let pooled = Self::pooled(session, &fit_sums(family, observed, &beta)?)?;
        let mut inverse = inverse_again(session, &self.model, &pooled.information, None)?;
        if let Some(robust) = self.robust {
            let (scores, weights) = scores(family, observed, &beta);
            let own = (scores.as_slice(), weights.as_slice());
            inverse = sandwich(session, (robust, setting), rows, own, &inverse)?;
        }
        let variances = variances(session, &self.model, &inverse)?;
        let theta = match steps.theta {
            Some(theta) => Some(Theta { theta, sums: theta_sums(session, rows, &beta, theta)? }),
            None => None,
        };
        let coefficients = session.constant(&steps.beta);
        let last = session.constant(&[encode(steps.last)?]);
        let Pooled { deviance, pearson, .. } = pooled;
        Ok(Ends { coefficients, last, variances, deviance, pearson, theta })
    }

    /// The coefficients, in units of the scaled columns, after so many Newton steps and as many more as
    /// are `alike`: with the last inverse, so that they cost little; and the size of the last step.
    pub(crate) fn found(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (rows, newton, alike): (&Rows, u32, u32),
    ) -> Result<(Vec<f64>, f64), AnalysisError> {
        let steps = self.steps(session, setting, (rows, newton, alike))?;
        steps.check_settled(newton + alike, self.kind)?;
        Ok((reals(&steps.beta), steps.last))
    }

    fn steps(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (rows, newton, alike): (&Rows, u32, u32),
    ) -> Result<Steps, AnalysisError> {
        let observed = rows.observed();
        let order = self.model.order();
        let mut steps = Steps { beta: vec![0; order], ..Steps::default() };
        let mut scales = None;
        let mut last: Option<Inverse> = None;
        for step in 0..newton + alike {
            let family = self.family_at(session, step, rows, &mut steps)?;
            let sums = if step == 0 {
                start_sums(family, observed, order)?
            } else {
                fit_sums(family, observed, &reals(&steps.beta))?
            };
            let pooled = Self::pooled(session, &sums)?;
            let inverse = match last.take() {
                None => {
                    let first = self.first_inverse(session, setting, rows, &pooled.information)?;
                    scales = self.lasting_scales(&first);
                    first
                }
                Some(last) if step >= newton => last,
                Some(_) => {
                    inverse_again(session, &self.model, &pooled.information, scales.as_ref())?
                }
            };
            let change = inverse.times(session, &pooled.gradient)?;
            last = Some(inverse);
            steps.take(&session.open(STEP, &change)?);
            self.check_bounds(&steps)?;
        }
        Ok(steps)
    }

    /// The family at a step; a negative binomial model starts as Poisson's, and steps theta.
    fn family_at(
        &self,
        session: &mut dyn Session,
        step: u32,
        rows: &Rows,
        steps: &mut Steps,
    ) -> Result<Family, AnalysisError> {
        if !matches!(self.kind.family, Family::NegativeBinomial { .. }) {
            return Ok(self.kind.family);
        }
        if step < STEPS_POISSON {
            return Ok(Family::Poisson);
        }
        let beta = reals(&steps.beta);
        let theta = match steps.theta {
            None => {
                let theta = first_theta(session, rows, &beta)?;
                steps.theta_last = 1.0;
                theta
            }
            Some(theta) => {
                let sums = theta_sums(session, rows, &beta, theta)?;
                let least = session.constant(&[encode(1e-3)?]);
                let information = fixed::maximum(session, &sums.slice(1, 2), &least)?;
                let change = normalise::divide(session, &sums.slice(0, 1), &information)?;
                let opened = session.open(THETA_STEP, &change)?;
                let change = opened.first().map_or(0.0, |it| decode(*it)).clamp(-0.75, 3.0);
                steps.theta_last = change.abs();
                theta * (1.0 + change)
            }
        };
        if theta > THETA_MOST || !theta.is_finite() {
            return Err(AnalysisError::Unsettled { what: NO_THETA });
        }
        steps.theta = Some(theta.max(1e-6));
        Ok(Family::NegativeBinomial { theta: theta.max(1e-6) })
    }

    fn check_bounds(&self, steps: &Steps) -> Result<(), AnalysisError> {
        let log_scale = !matches!(self.kind.family, Family::Gaussian(_) | Family::Gamma(_));
        let beyond = reals(&steps.beta).iter().any(|beta| beta.abs() > DIVERGED);
        if log_scale && beyond { Err(AnalysisError::Separation) } else { Ok(()) }
    }
}

/// Sums at one set of coefficients over all centres.
pub(crate) struct Pooled {
    pub(crate) gradient: Shared,
    pub(crate) information: Shared,
    pub(crate) deviance: Shared,
    pub(crate) pearson: Shared,
}

/// How far the steps have come; known to the centres.
#[derive(Default)]
struct Steps {
    beta: Vec<Word>,
    theta: Option<f64>,
    /// Sizes of the last step of the coefficients, of that before, and of theta's last one.
    last: f64,
    before: f64,
    theta_last: f64,
}

impl Steps {
    fn take(&mut self, change: &[Word]) {
        self.beta.iter_mut().zip(change).for_each(|(b, c)| *b = b.wrapping_add(*c));
        self.before = self.last;
        let size = reals(change).iter().fold(0.0, |most: f64, change| change.abs().max(most));
        self.last = size.max(self.theta_last);
    }

    /// Near a maximum a step is the square of the one before; on the way to infinity they are alike.
    fn check_settled(&self, iterations: u32, kind: Kind) -> Result<(), AnalysisError> {
        let moves =
            iterations >= STEPS_TO_SETTLE && self.last > 0.1 && self.last > self.before / 2.0;
        match kind.family {
            _ if !moves => Ok(()),
            Family::NegativeBinomial { .. } if self.theta_last >= self.last => {
                Err(AnalysisError::Unsettled { what: NO_THETA })
            }
            Family::Gaussian(_) | Family::Gamma(_) => Err(AnalysisError::Unsettled {
                what: "the coefficients did not settle; try the log link, or fewer columns",
            }),
            _ => Err(AnalysisError::Separation),
        }
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
        let weights = start_weights(self.kind.family, rows.observed());
        check_apart(session, APART, (&self.model, setting), (rows, &weights), &inverse)?;
        Ok(inverse)
    }

    /// The patients, admitted to the analysis.
    pub(crate) fn admitted(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<Rows, AnalysisError> {
        let mut rows = self.model.rows(patients)?;
        if !rows.y.iter().all(|y| self.kind.family.allows(*y)) {
            let what = "the response of some patients does not fit the family".to_owned();
            return Err(AnalysisError::Request { id: "glm".to_owned(), what });
        }
        let events = u64::try_from(rows.y.iter().filter(|y| **y > 0.0).count()).unwrap_or(u64::MAX);
        let others = u64::try_from(rows.y.len()).unwrap_or(u64::MAX).saturating_sub(events);
        let mut also = match self.kind.family {
            Family::Binomial => vec![events, others],
            Family::Gaussian(_) => Vec::new(),
            _ => vec![events],
        };
        if matches!(self.model.clusters(), Clusters::Variable(_)) {
            also.push(clusters(&rows));
        }
        let parameters = self.model.order();
        let applicants =
            Applicants { patients: rows.y.len(), parameters, statistics: 0, also: &also };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        self.to_unit(&mut rows);
        Ok(rows)
    }

    /// Sums that null deviance and AIC need: `w y`; by family two more; `w`.
    fn constants(&self, rows: &Rows, theta: Option<f64>) -> Result<[Word; 4], AnalysisError> {
        let mut sums = [0; 4];
        let entropy = |y: f64| if y > 0.0 { y * y.ln() } else { 0.0 };
        for (_, y, _, w) in rows.observed().patients(self.model.order()) {
            let (first, second) = match self.kind.family {
                Family::Binomial => (0.0, 0.0),
                Family::Poisson => (entropy(y), libm::lgamma(y + 1.0)),
                Family::NegativeBinomial { .. } => {
                    (entropy(y), entropy(y + theta.unwrap_or_default()))
                }
                Family::Gaussian(_) => (y * y, w.ln() / w),
                Family::Gamma(_) => (y.ln(), 0.0),
            };
            konsil_kernels::add_rounded(&mut sums, &[w * y, w * first, w * second, w])?;
        }
        Ok(sums)
    }
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
        if matches!(self.kind.family, Family::NegativeBinomial { .. }) {
            lines.push(
                "theta and its standard error; to the centres: theta in each step".to_owned(),
            );
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
        let rows = self.admitted(session, setting, patients)?;
        let ends = if self.sealed {
            sealed_fit(session, self, setting, &rows)?
        } else {
            self.open_fit(session, setting, &rows)?
        };
        let counts = counts(session, &rows, self.robust)?;
        let theta = ends.theta.as_ref().map(|it| it.theta);
        let constants = session.input(&self.constants(&rows, theta)?)?;
        session.release(COEFFICIENTS, &Shared::concat([&ends.coefficients, &ends.last]))?;
        session.release(VARIANCES, &ends.variances)?;
        session.release(DEVIANCE, &ends.deviance)?;
        session.release(COUNTS, &counts)?;
        session.release(CONSTANTS, &constants)?;
        if self.kind.dispersion {
            session.release(PEARSON, &ends.pearson)?;
        }
        if let Some(Theta { theta, sums }) = &ends.theta {
            let theta = session.constant(&[encode(*theta)?]);
            session.release(THETA, &Shared::concat([&theta, &sums.slice(1, 3)]))?;
        }
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        self.findings(release)
    }
}
