//! Regression with a random intercept for each cluster, linear and logistic, over all centres.
//!
//! # Local step
//! A cluster lies within a centre, or is one, so that its likelihood is the centre's own: at public
//! coefficients and a public variance of the intercepts each centre computes the sums of its clusters.
//! Linear: sums of squares and products, and their first and second derivatives by the ratio of the
//! variances. Logistic: gradient and second derivatives of Laplace's approximation, the latter by
//! differences of the gradient. Every cluster's terms are rounded to fixed point.
//!
//! # Secure step
//! The sums over the centres are shares already. On shares the information of the coefficients is
//! inverted, and the slope of the likelihood (restricted, unless `ml`) by the logarithm of the variance
//! is divided by its curvature, both with the coefficients at their best: a step of the coefficients and
//! one of the variance. Steps are kept between bounds that their signs narrow down, in public. Before
//! them the slope where the variance is 0 tells whether there is one. Their number is fixed beforehand.
//!
//! # Opens
//! To the centres: whether cohort, outcomes and clusters are enough; which columns cannot be told apart;
//! whether a column or a patient stands apart; whether the variance of the intercepts is 0. Linear: the
//! coefficients without random intercepts, and the change of the logarithm of the variance in each step,
//! but no further coefficients: sums of a centre that is a cluster would follow from many of them.
//! Logistic: the changes of the coefficients and of that logarithm in each step. Not: any centre's sums,
//! the slope, the information, intercepts or sizes of clusters.
//!
//! # Release
//! Coefficients, their variances, the variance of the intercepts, the residual sum of squares, the log
//! likelihood, number of patients and of clusters. No cluster's intercept.
//!
//! # Sources
//! Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), eq. 34 and 41; Laplace: Breslow and
//! Clayton (1993), J. Am. Stat. Assoc. 88:9; slope at the edge: Lin (1997), Biometrika 84:309.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::{Clusters, Model, Rows};
use crate::fit::{check_apart, sound_inverse};
use crate::mixed_steps::{Ends, fit};
use crate::sandwich::{cluster_rules, clusters};
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{Intercepts, gram_sums};
use konsil_mpc::{Audience, Opening, Session};
use konsil_ring::encode_count;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 9] =
    [ADMITTED, UNSOUND, APART, EDGE, STEP, COEFFICIENTS, VARIANCES, LIKELIHOOD, COUNTS];

const ADMITTED: Opening = Opening {
    name: "mixed.admitted",
    says: "Whether cohort, outcomes and clusters are enough.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "mixed.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "mixed.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
pub(crate) const EDGE: Opening = Opening {
    name: "mixed.edge",
    says: "Whether clusters differ no more than by chance: the variance of the intercepts is 0.",
    to: Audience::Centres,
};
pub(crate) const STEP: Opening = Opening {
    name: "mixed.step",
    says: "The change of the logarithm of the variance of the intercepts in each step; of the \
           coefficients in each step of a logistic model, in the first of a linear one.",
    to: Audience::Centres,
};
pub(crate) const COEFFICIENTS: Opening = Opening {
    name: "mixed.coefficients",
    says: "The coefficients, the variance of the intercepts (divided by the residuals'), the size of \
           the last step.",
    to: Audience::Researcher,
};
pub(crate) const VARIANCES: Opening = Opening {
    name: "mixed.variances",
    says: "The variances of the coefficients.",
    to: Audience::Researcher,
};
pub(crate) const LIKELIHOOD: Opening = Opening {
    name: "mixed.likelihood",
    says: "The log likelihood; of a linear model, its sum of squares and its determinants.",
    to: Audience::Researcher,
};
pub(crate) const COUNTS: Opening = Opening {
    name: "mixed.counts",
    says: "How many patients and clusters there are over all centres.",
    to: Audience::Researcher,
};

/// Steps unless the request says otherwise.
const ITERATIONS: u32 = 16;
/// Most columns of a linear model: the determinant of its information takes 42 rounds a column.
const COLUMNS_MAX: usize = 40;

/// A prepared model.
pub(crate) struct Mixed {
    pub(crate) model: Model,
    /// Whether the response is 0 or 1.
    pub(crate) logistic: bool,
    /// Whether the likelihood of a linear model is restricted (REML).
    pub(crate) restricted: bool,
    pub(crate) iterations: u32,
    /// The response less the first, divided by the second, is within -1 and 1; of a linear model.
    pub(crate) moved: (f64, f64),
}

/// Checks a request.
///
/// # Errors
/// [`AnalysisError`] for a response that does not fit the family, and without clusters.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let model = Model::new(request, dictionary)?;
    let logistic = match request.family.as_deref() {
        None | Some("gaussian") => false,
        Some("binomial") => true,
        Some(_) => return Err(error("knows the families gaussian and binomial")),
    };
    let (binary, moved) = match &model.design.response {
        Response::Numeric { centre, scale } => {
            let reach = if model.design.has_intercept {
                (*centre, *scale)
            } else {
                (0.0, centre.abs() + scale)
            };
            ((*centre, *scale) == (0.5, 0.5), reach)
        }
        _ => (true, (0.0, 1.0)),
    };
    if logistic && !binary {
        return Err(error("needs a response of two levels, or one that is 0 or 1"));
    }
    if logistic && request.ml {
        return Err(error("of a logistic model is always by maximum likelihood; leave ml out"));
    }
    if *model.clusters() == Clusters::None {
        return Err(error("needs clusters: the name of a variable, or cluster = \"centre\""));
    }
    let iterations = request.iterations.unwrap_or(ITERATIONS);
    if !(8..=50).contains(&iterations) {
        return Err(error("needs between 8 and 50 iterations"));
    }
    if model.order() > COLUMNS_MAX {
        let what = format!("has {} columns; at most {COLUMNS_MAX} are possible", model.order());
        return Err(AnalysisError::request(request, what));
    }
    let restricted = !logistic && !request.ml;
    let moved = if logistic { (0.0, 1.0) } else { moved };
    Ok(Box::new(Mixed { model, logistic, restricted, iterations, moved }))
}

impl Mixed {
    /// The patients, admitted to the analysis, with the response moved and scaled.
    fn admitted(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<Rows, AnalysisError> {
        let mut rows = self.model.rows(patients)?;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let events = number(rows.y.iter().filter(|y| **y > 0.0).count());
        let mut also =
            if self.logistic { vec![events, number(rows.y.len()) - events] } else { Vec::new() };
        // clusters of one patient each tell nothing of what they have in common
        also.push(number(rows.y.len()) - clusters(&rows));
        if matches!(self.model.clusters(), Clusters::Variable(_)) {
            also.push(clusters(&rows));
        }
        let (patients, parameters) = (rows.y.len(), self.parameters());
        let applicants = Applicants { patients, parameters, statistics: 0, also: &also };
        let policy = cluster_rules(&setting.policy, self.model.clusters());
        admit(session, ADMITTED, &policy, applicants)?;
        let (middle, half) = self.moved;
        rows.y.iter_mut().for_each(|y| *y = (*y - middle) / half);
        rows.offset.iter_mut().for_each(|it| *it /= half);
        let gram = gram_sums(rows.observed(), self.model.order())?;
        let gram = session.input(&gram.products)?;
        let inverse = sound_inverse(session, UNSOUND, &self.model, &gram)?;
        check_apart(session, APART, (&self.model, setting), (&rows, &[]), &inverse)?;
        Ok(rows)
    }

    /// Coefficients and variances.
    pub(crate) fn parameters(&self) -> usize {
        self.model.order() + if self.logistic { 1 } else { 2 }
    }

    /// Where clusters come from, in words.
    pub(crate) fn group(&self) -> &str {
        match self.model.clusters() {
            Clusters::Variable(name) => name,
            _ => "centre",
        }
    }
}

impl Analysis for Mixed {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.model.order();
        let residual = if self.logistic { "" } else { ", residual variance" };
        let opened = match self.logistic {
            true => "coefficients and that variance after each of",
            false => "the coefficients without random intercepts; that variance after each of",
        };
        vec![
            format!(
                "{p} coefficients, {p} standard errors, variance of the intercepts{residual}, log \
                 likelihood, patients, clusters"
            ),
            format!(
                "to the centres: whether the variance of the intercepts is 0; {opened} {} steps",
                self.iterations
            ),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.model.understood();
        let within = match self.model.clusters() {
            Clusters::Variable(name) => format!("{name}, within each centre"),
            _ => "each centre (at least two more of them than other analyses need)".to_owned(),
        };
        let by = match (self.logistic, self.restricted) {
            (true, _) => "logistic, by Laplace's approximation",
            (_, true) => "linear, by restricted maximum likelihood",
            _ => "linear, by maximum likelihood",
        };
        lines.push(format!("random intercept   {within}; {by}"));
        lines
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
        let known = u64::try_from(rows.y.len()).unwrap_or(u64::MAX);
        let counts = session.input(&[encode_count(known), encode_count(clusters(&rows))])?;
        let own = Intercepts {
            observed: rows.observed(),
            clusters: &rows.clusters,
            columns: self.model.order(),
        };
        let Ends { coefficients, variances, likelihood } =
            fit(session, self, own, &counts.slice(0, 1))?;
        session.release(COEFFICIENTS, &coefficients)?;
        session.release(VARIANCES, &variances)?;
        session.release(LIKELIHOOD, &likelihood)?;
        Ok(session.release(COUNTS, &counts)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        self.findings(release)
    }
}
