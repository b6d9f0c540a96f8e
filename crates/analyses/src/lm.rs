//! Linear regression over all centres.
//!
//! # Local step
//! Each centre sums the products of its columns with each other and with the response, moved and
//! scaled into the dictionary's ranges. Prior weights multiply a patient's products.
//!
//! # Secure step
//! The sums over the centres are shares already. `X'X` is inverted on shares; coefficients,
//! variances and residual sum of squares are computed on shares. Nothing is iterated, so that the
//! analysis is sealed. Only robust standard errors need residuals, which each centre computes from
//! opened coefficients: products of the patients', or the clusters', gradients are summed, and the
//! inverse put around them on shares.
//!
//! # Opens
//! To the centres: whether the cohort is large enough; which columns cannot be told apart; whether a
//! column or a patient stands too much apart; for robust standard errors, the coefficients. Not:
//! sums of any centre, residuals, leverages.
//!
//! # Release
//! Coefficients, the diagonal of the inverse of `X'X` (or of the robust variance), residual and total
//! sum of squares, number of patients and of clusters.
//!
//! # Sources
//! Normal equations on columns of a unit diagonal; Seber and Lee (2003), Linear Regression, 3 and 4. Robust: see
//! `sandwich`.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::{Clusters, Model, Rows};
use crate::fit::{
    VARIANCE_BITS, check_apart, reals, sound_inverse, standard_errors, tidy, variances,
};
use crate::sandwich::{Robust, clusters, counts, sandwich};
use crate::sealed::residual_squares;
use crate::statistics::{p_fisher, p_student, t_975};
use crate::table::{Cell, Table};
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{Family, Link, gram_sums, scores};
use konsil_mpc::linear::Inverse;
use konsil_mpc::{Audience, Opening, Session, Shared, fixed, normalise};
use konsil_ring::ULP;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 9] =
    [ADMITTED, UNSOUND, APART, FITTED, COEFFICIENTS, VARIANCES, SQUARES, COUNTS, WEIGHTS];

const ADMITTED: Opening = Opening {
    name: "lm.admitted",
    says: "Whether the cohort has enough patients and centres.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "lm.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "lm.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const FITTED: Opening = Opening {
    name: "lm.fitted",
    says: "For robust standard errors only: the coefficients.",
    to: Audience::Centres,
};
const COEFFICIENTS: Opening =
    Opening { name: "lm.coefficients", says: "The coefficients.", to: Audience::Researcher };
const VARIANCES: Opening = Opening {
    name: "lm.variances",
    says: "The variances of the coefficients, up to the residual variance.",
    to: Audience::Researcher,
};
const SQUARES: Opening = Opening {
    name: "lm.squares",
    says: "Residual and total sum of squares.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "lm.counts",
    says: "How many patients, and clusters, there are over all centres.",
    to: Audience::Researcher,
};

const WEIGHTS: Opening = Opening {
    name: "lm.weights",
    says: "With prior weights only: the sum of their logarithms, which AIC needs.",
    to: Audience::Researcher,
};

struct Lm {
    model: Model,
    robust: Option<Robust>,
    /// Centre and scale of the response.
    response: (f64, f64),
}

/// Checks a request.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let model = Model::new(request, dictionary)?;
    let response = match &model.design.response {
        Response::Numeric { centre, scale } if model.design.has_intercept => (*centre, *scale),
        Response::Numeric { centre, scale } => (0.0, centre.abs() + scale),
        _ => (0.0, 1.0),
    };
    let robust = Robust::of(request, &model)?;
    Ok(Box::new(Lm { model, robust, response }))
}

impl Lm {
    /// The patients, admitted to the analysis, with moved and scaled responses.
    fn admitted(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<Rows, AnalysisError> {
        let mut rows = self.model.rows(patients)?;
        let clustered = matches!(self.model.clusters(), Clusters::Variable(_));
        let groups = [clusters(&rows)];
        let also = if clustered { &groups[..] } else { &[] };
        let parameters = self.model.order();
        let applicants = Applicants { patients: rows.y.len(), parameters, statistics: 0, also };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let offset = |at: usize| rows.offset.get(at).copied().unwrap_or(0.0);
        let (centre, scale) = self.response;
        let moved = rows.y.iter().enumerate().map(|(at, y)| (y - offset(at) - centre) / scale);
        rows.y = moved.collect();
        rows.offset = Vec::new();
        Ok(rows)
    }

    /// The variances that the request asks for.
    fn variances(
        &self,
        session: &mut dyn Session,
        (setting, rows): (&Setting, &Rows),
        (beta, inverse): (&Shared, &Inverse),
    ) -> Result<Shared, AnalysisError> {
        let Some(robust) = self.robust else {
            return Ok(variances(session, &self.model, inverse)?);
        };
        let beta = reals(&session.open(FITTED, beta)?);
        let (scores, weights) = scores(Family::Gaussian(Link::Identity), rows.observed(), &beta);
        let own = (scores.as_slice(), weights.as_slice());
        let inverse = sandwich(session, (robust, setting), rows, own, inverse)?;
        Ok(variances(session, &self.model, &inverse)?)
    }
}

impl Analysis for Lm {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.model.order();
        let mut lines =
            vec![format!("{p} coefficients, {p} standard errors, 2 sums of squares, patients")];
        if self.robust.is_some() {
            lines.push(format!("to the centres: the {p} coefficients"));
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
        let order = self.model.order();
        let sums = gram_sums(rows.observed(), order)?;
        let mut weights = [0; 2];
        for (_, _, _, weight) in rows.observed().patients(order) {
            konsil_kernels::add_rounded(&mut weights, &[weight, weight.ln()])?;
        }
        let mine = [&sums.products[..], &sums.with_response, &sums.response, &weights].concat();
        let pooled = session.input(&mine)?;
        let products = pooled.slice(0, sums.products.len());
        let rest = pooled.slice(sums.products.len(), pooled.len());
        let with_response = rest.slice(0, order);
        let at = |place: usize| rest.slice(order + place, order + place + 1);
        let (total, squares, weight, logarithms) = (at(0), at(1), at(2), at(3));
        let inverse = sound_inverse(session, UNSOUND, &self.model, &products)?;
        check_apart(session, APART, (&self.model, setting), (&rows, &rows.weights), &inverse)?;
        let beta = inverse.times(session, &with_response)?;
        let variances = self.variances(session, (setting, &rows), (&beta, &inverse))?;
        let residual = residual_squares(session, (&squares, &with_response), &beta)?;
        let about_mean = if self.model.design.has_intercept {
            let mean = normalise::divide(session, &total, &weight)?;
            squares.minus(&fixed::multiply(session, &total, &mean)?)
        } else {
            squares
        };
        session.release(COEFFICIENTS, &beta)?;
        session.release(VARIANCES, &variances)?;
        session.release(SQUARES, &Shared::concat([&residual, &about_mean]))?;
        let counts = counts(session, &rows, self.robust)?;
        session.release(COUNTS, &counts)?;
        if self.model.is_weighted() {
            session.release(WEIGHTS, &logarithms)?;
        }
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (centre, scale) = self.response;
        let scaled = release.reals(COEFFICIENTS)?;
        let mut estimates: Vec<f64> =
            self.model.raw(&scaled).iter().map(|estimate| estimate * scale).collect();
        let intercept = self.model.design.has_intercept;
        if let Some(first) = estimates.first_mut().filter(|_| intercept) {
            *first += centre;
        }
        let squares = release.reals(SQUARES)?;
        let counts = release.counts(COUNTS)?;
        let count = |at: usize| counts.get(at).copied().unwrap_or(f64::NAN);
        let n = count(0);
        let logarithms = if self.model.is_weighted() {
            release.reals(WEIGHTS)?.first().copied().unwrap_or(f64::NAN)
        } else {
            0.0
        };
        // every patient's square was rounded to a unit: less than a few for each is nothing
        let noise = 4.0 * n * ULP;
        let number = |at: usize| match squares.get(at) {
            Some(square) if *square < noise => 0.0,
            Some(square) => square * scale * scale,
            None => f64::NAN,
        };
        let (residual, total) = (number(0), number(1));
        let p = estimates.len() as f64;
        let (df, df_model) = (n - p, p - f64::from(u8::from(intercept)));
        let variance = residual / df;
        let diagonal = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let spread = match self.robust {
            Some(robust) => robust.factor(n, p, count(1)) * scale * scale,
            None => variance,
        };
        let errors = standard_errors(&self.model, &diagonal, spread);
        let p_value = |t: f64| p_student(t, df);
        let tidy = tidy(&self.model, &estimates, &errors, (t_975(df), &p_value, false));
        let r_squared = 1.0 - residual / total;
        let statistic = (total - residual) / df_model / variance;
        let adjusted = 1.0 - (1.0 - r_squared) * (n - f64::from(u8::from(intercept))) / df;
        let spread = (2.0 * std::f64::consts::PI * residual / n).ln();
        let likelihood = (logarithms - n * (spread + 1.0)) / 2.0;
        let glance = Table::of_one(
            "glance",
            [
                ("r.squared", Cell::Number(r_squared)),
                ("adj.r.squared", Cell::Number(adjusted)),
                ("sigma", Cell::Number(variance.sqrt())),
                ("statistic", Cell::Number(statistic)),
                ("p.value", Cell::Number(p_fisher(statistic, df_model, df))),
                ("df", Cell::Count(df_model)),
                ("logLik", Cell::Number(likelihood)),
                ("AIC", Cell::Number(2.0 * (p + 1.0) - 2.0 * likelihood)),
                ("BIC", Cell::Number((p + 1.0) * n.ln() - 2.0 * likelihood)),
                ("deviance", Cell::Number(residual)),
                ("df.residual", Cell::Count(df)),
                ("nobs", Cell::Count(n)),
            ],
        );
        let title = "Linear regression".to_owned();
        Ok(Findings {
            title,
            tables: vec![tidy, glance],
            notes: self.robust.map(|it| it.note()).into_iter().collect(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
