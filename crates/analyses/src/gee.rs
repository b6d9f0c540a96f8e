//! Generalised estimating equations for patients who belong together, over all centres.
//!
//! # Local step
//! At public coefficients and a public correlation each centre computes, for each cluster of its own
//! patients, gradient and information with the inverse of the working correlation, the products of
//! the clusters' gradients, and sums of squares and of products of pairs of Pearson's residuals. Every
//! cluster's terms are rounded to fixed point. A cluster lies within a centre, or is one.
//!
//! # Secure step
//! The sums over the centres are shares already. The information is inverted on shares and multiplied
//! with the gradient: a step of the coefficients. Scale and correlation are moments of the residuals:
//! the mean of their squares, and the mean of the products of pairs divided by it. The first steps take
//! patients to be independent. The number of steps is fixed beforehand. The variance puts the inverse
//! around the products of the clusters' gradients.
//!
//! # Opens
//! To the centres: whether cohort, outcomes and clusters are enough; which columns cannot be told
//! apart; whether a column or a patient stands apart; the change of the coefficients, and the
//! correlation, in each step; whether the correlation is one for clusters of all sizes. Not: any
//! centre's sums, the scale, the pooled gradient, the information, sizes of clusters.
//!
//! # Release
//! Coefficients, their variances, correlation, scale, number of patients and of clusters.
//!
//! # Sources
//! Liang and Zeger (1986), Biometrika 73:13; moments as R's geepack has them: Halekoh, Hojsgaard and
//! Yan (2006), J. Stat. Softw. 15(2).

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::{Clusters, Model, Rows};
use crate::families::kind;
use crate::fit::{
    VARIANCE_BITS, check_apart, inverse_again, reals, sound_inverse, standard_errors, symmetric,
    tidy, variances,
};
use crate::levelled::settled;
use crate::sandwich::{around, cluster_rules, clusters};
use crate::statistics::{Z_975, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Refusal, Release, admit, require};
use konsil_kernels::{Correlated, Family, Link, gram_sums, scores, start_sums};
use konsil_mpc::linear::{complement, reaches};
use konsil_mpc::{Audience, Opening, Session, Shared, normalise};
use konsil_ring::{Word, decode, encode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 10] = [
    ADMITTED,
    UNSOUND,
    APART,
    STEP,
    CORRELATION,
    IMPROPER,
    COEFFICIENTS,
    VARIANCES,
    MOMENTS,
    COUNTS,
];

const ADMITTED: Opening = Opening {
    name: "gee.admitted",
    says: "Whether cohort, outcomes and clusters are enough.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "gee.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "gee.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const STEP: Opening = Opening {
    name: "gee.step",
    says: "The change of the coefficients in each step.",
    to: Audience::Centres,
};
const CORRELATION: Opening = Opening {
    name: "gee.correlation",
    says: "The correlation of patients of the same cluster, in each step that reckons with one.",
    to: Audience::Centres,
};
const IMPROPER: Opening = Opening {
    name: "gee.improper",
    says: "Whether so negative a correlation is impossible for the largest clusters.",
    to: Audience::Centres,
};
const COEFFICIENTS: Opening = Opening {
    name: "gee.coefficients",
    says: "The coefficients, and the size of the last step.",
    to: Audience::Researcher,
};
const VARIANCES: Opening = Opening {
    name: "gee.variances",
    says: "The variances of the coefficients.",
    to: Audience::Researcher,
};
const MOMENTS: Opening = Opening {
    name: "gee.moments",
    says: "The scale, and the correlation of patients of the same cluster.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "gee.counts",
    says: "How many patients and clusters there are over all centres.",
    to: Audience::Researcher,
};

/// Steps unless the request says otherwise.
const ITERATIONS: u32 = 16;
/// Steps before the first correlation.
const STEPS_INDEPENDENT: u32 = 4;
/// A linear predictor of this size means a probability of 0 or 1 to 13 digits.
const DIVERGED: f64 = 30.0;
/// What is said of correlations that are none.
const NO_CORRELATION: &str = "there is no such correlation within clusters, as of clusters that have a \
                              column each; use corstr independence";

struct Gee {
    model: Model,
    family: Family,
    exchangeable: bool,
    iterations: u32,
    /// What responses are divided by, so that they are about 1.
    unit: f64,
}

/// Coefficients and correlation; known to the centres.
struct At {
    beta: Vec<Word>,
    correlation: f64,
}

/// Checks a request.
///
/// # Errors
/// [`AnalysisError`] for a family, link or correlation that is not available, and without clusters.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let kind = kind(request)?;
    let model = Model::new(request, dictionary)?;
    let family = match request.family.as_deref() {
        None | Some("binomial" | "poisson" | "gaussian") => kind.family,
        Some(_) => return Err(error("knows the families binomial, poisson and gaussian")),
    };
    let (binary, unit) = match &model.design.response {
        Response::Binary => (true, 1.0),
        Response::Numeric { centre, scale } => {
            ((*centre, *scale) == (0.5, 0.5), centre.abs() + scale)
        }
        _ => (false, 1.0),
    };
    if family == Family::Binomial && !binary {
        return Err(error("needs a response of two levels, or one that is 0 or 1"));
    }
    if *model.clusters() == Clusters::None {
        return Err(error("needs clusters: the name of a variable, or cluster = \"centre\""));
    }
    let exchangeable = match request.corstr.as_deref() {
        None | Some("exchangeable") => true,
        Some("independence") => false,
        Some(_) => return Err(error("knows the correlations exchangeable and independence")),
    };
    let iterations = request.iterations.unwrap_or(ITERATIONS);
    if !(6..=50).contains(&iterations) {
        return Err(error("needs between 6 and 50 iterations"));
    }
    let unit = if family == Family::Gaussian(Link::Identity) { unit } else { 1.0 };
    Ok(Box::new(Gee { model, family, exchangeable, iterations, unit }))
}

impl Gee {
    /// The patients, admitted to the analysis.
    fn admitted(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<Rows, AnalysisError> {
        let mut rows = self.model.rows(patients)?;
        if !rows.y.iter().all(|y| self.family.allows(*y)) {
            let what = "the response of some patients does not fit the family".to_owned();
            return Err(AnalysisError::Request { id: "gee".to_owned(), what });
        }
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let events = number(rows.y.iter().filter(|y| **y > 0.0).count());
        let mut also = match self.family {
            Family::Binomial => vec![events, number(rows.y.len()) - events],
            Family::Poisson => vec![events],
            _ => Vec::new(),
        };
        if matches!(self.model.clusters(), Clusters::Variable(_)) {
            also.push(clusters(&rows));
        }
        if self.exchangeable {
            // the correlation is that of patients who share a cluster: not of a pair or two
            also.push(number(rows.y.len()).saturating_sub(clusters(&rows)));
        }
        let (patients, parameters) = (rows.y.len(), self.model.order() + 1);
        let applicants = Applicants { patients, parameters, statistics: 0, also: &also };
        let policy = cluster_rules(&setting.policy, self.model.clusters());
        admit(session, ADMITTED, &policy, applicants)?;
        rows.y.iter_mut().for_each(|y| *y /= self.unit);
        rows.offset.iter_mut().for_each(|it| *it /= self.unit);
        let gram = gram_sums(rows.observed(), self.model.order())?;
        let gram = session.input(&gram.products)?;
        let inverse = sound_inverse(session, UNSOUND, &self.model, &gram)?;
        check_apart(session, APART, (&self.model, setting), (&rows, &[]), &inverse)?;
        Ok(rows)
    }

    /// Scale and correlation at coefficients, on shares.
    fn moments(
        &self,
        session: &mut dyn Session,
        rows: &Rows,
        beta: &[Word],
    ) -> Result<Shared, AnalysisError> {
        let (scores, weights) = scores(self.family, rows.observed(), &reals(beta));
        let ([squares, products], pairs) = self.correlated(rows, (&scores, &weights)).moments()?;
        let sums = session.input(&[squares, products])?;
        let known = u64::try_from(rows.y.len()).unwrap_or(u64::MAX);
        let counts = session.input(&[encode_count(known), encode_count(pairs)])?;
        let means = normalise::divide(session, &sums, &counts.integer_to_fixed())?;
        let scale = means.slice(0, 1);
        let correlation = normalise::divide(session, &means.slice(1, 2), &scale)?;
        Ok(Shared::concat([&scale, &correlation]))
    }

    fn correlated<'a>(
        &self,
        rows: &'a Rows,
        (scores, weights): (&'a [f64], &'a [f64]),
    ) -> Correlated<'a> {
        let (x, clusters, columns) = (&rows.x, &rows.clusters, self.model.order());
        Correlated { x, scores, weights, clusters, columns }
    }

    /// Opens the correlation at coefficients; scale and correlation stay shares.
    fn open_correlation(
        &self,
        session: &mut dyn Session,
        rows: &Rows,
        at: &mut At,
    ) -> Result<Shared, AnalysisError> {
        let moments = self.moments(session, rows, &at.beta)?;
        if !self.exchangeable {
            return Ok(moments.slice(0, 1));
        }
        let opened = session.open(CORRELATION, &moments.slice(1, 2))?;
        at.correlation = opened.first().map_or(0.0, |it| decode(*it));
        if at.correlation.abs() > 0.999 {
            return Err(AnalysisError::Unsettled { what: NO_CORRELATION });
        }
        Ok(moments)
    }

    /// Steps of coefficients and correlation; their end, and the size of the last step.
    fn steps(&self, session: &mut dyn Session, rows: &Rows) -> Result<(At, f64), AnalysisError> {
        let order = self.model.order();
        let mut at = At { beta: vec![0; order], correlation: 0.0 };
        let (mut last, mut before) = (0.0_f64, 0.0);
        for step in 0..self.iterations {
            let earlier = at.correlation;
            if step >= STEPS_INDEPENDENT && self.exchangeable {
                self.open_correlation(session, rows, &mut at)?;
            }
            let (gradient, information) = if step == 0 {
                let sums = start_sums(self.family, rows.observed(), order)?;
                (sums.gradient, sums.information)
            } else {
                let (scores, weights) = scores(self.family, rows.observed(), &reals(&at.beta));
                let own = self.correlated(rows, (&scores, &weights));
                let sums = own.equations(at.correlation)?;
                (sums.gradient, sums.information)
            };
            let gradient = session.input(&gradient)?;
            let information = session.input(&information)?;
            let inverse = inverse_again(session, &self.model, &information, None)?;
            let change = inverse.times(session, &gradient)?;
            let change = session.open(STEP, &change)?;
            at.beta.iter_mut().zip(&change).for_each(|(b, c)| *b = b.wrapping_add(*c));
            before = last;
            let moved = (at.correlation - earlier).abs();
            last = reals(&change).iter().fold(moved, |most, change| change.abs().max(most));
            let beyond = reals(&at.beta).iter().any(|beta| beta.abs() > DIVERGED);
            if beyond && self.family != Family::Gaussian(Link::Identity) {
                return Err(AnalysisError::Separation);
            }
        }
        if last > 0.1 && last > before / 2.0 {
            return Err(match self.family {
                Family::Gaussian(_) => AnalysisError::Unsettled { what: NO_CORRELATION },
                _ => AnalysisError::Separation,
            });
        }
        Ok((at, last))
    }
}

impl Analysis for Gee {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.model.order();
        let (released, opened) =
            if self.exchangeable { (", correlation", " and the correlation") } else { ("", "") };
        vec![
            format!("{p} coefficients, {p} standard errors, scale{released}, patients, clusters"),
            format!(
                "to the centres: the coefficients{opened} after each of {} steps",
                self.iterations
            ),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.model.understood();
        let kind = if self.exchangeable { "exchangeable" } else { "independence" };
        let by = match self.model.clusters() {
            Clusters::Variable(name) => format!("{name}, within each centre"),
            _ => "each centre (at least two more of them than other analyses need)".to_owned(),
        };
        lines.push(format!("clusters   {by}; working correlation {kind}"));
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
        let (mut at, last) = self.steps(session, &rows)?;
        let moments = self.open_correlation(session, &rows, &mut at)?;
        let (scores, weights) = scores(self.family, rows.observed(), &reals(&at.beta));
        let sums = self.correlated(&rows, (&scores, &weights)).equations(at.correlation)?;
        if self.exchangeable {
            let improper = session.input(&[encode_count(sums.improper)])?;
            let any = reaches(session, &improper, 1)?;
            let proper = complement(session, &any);
            require(session, IMPROPER, &proper, Refusal::TooFew).map_err(
                |refusal| match refusal {
                    Refusal::TooFew => AnalysisError::Unsettled { what: NO_CORRELATION },
                    other => other.into(),
                },
            )?;
        }
        let information = session.input(&sums.information)?;
        let meat = session.input(&sums.meat)?;
        let inverse = inverse_again(session, &self.model, &information, None)?;
        let robust = around(session, &symmetric(&meat, self.model.order()), &inverse)?;
        let variances = variances(session, &self.model, &robust)?;
        let known = u64::try_from(rows.y.len()).unwrap_or(u64::MAX);
        let counts = session.input(&[encode_count(known), encode_count(clusters(&rows))])?;
        at.beta.push(encode(last)?);
        let coefficients = session.constant(&at.beta);
        session.release(COEFFICIENTS, &coefficients)?;
        session.release(VARIANCES, &variances)?;
        session.release(MOMENTS, &moments)?;
        Ok(session.release(COUNTS, &counts)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut scaled = release.reals(COEFFICIENTS)?;
        let (converged, mut notes) = settled(scaled.pop().unwrap_or(f64::NAN));
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let number = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
        let (moments, counts) = (release.reals(MOMENTS)?, release.counts(COUNTS)?);
        let estimates: Vec<f64> = self.model.raw(&scaled).iter().map(|it| it * self.unit).collect();
        let errors = standard_errors(&self.model, &variances, self.unit * self.unit);
        let exponentiate = self.family != Family::Gaussian(Link::Identity);
        let mut table = tidy(&self.model, &estimates, &errors, (Z_975, &p_normal, exponentiate));
        // Wald's statistic, as geepack has it
        if let Some(place) = table.columns.iter().position(|it| *it == "statistic") {
            for cell in table.rows.iter_mut().filter_map(|row| row.get_mut(place)) {
                *cell = cell.number().map_or(Cell::Missing, |it| Cell::Number(it * it));
            }
        }
        let (n, clusters) = (number(&counts, 0), number(&counts, 1));
        let correlation =
            if self.exchangeable { Cell::Number(number(&moments, 1)) } else { Cell::Missing };
        let scale = number(&moments, 0) * self.unit * self.unit;
        let cells = [
            ("alpha", correlation),
            ("gamma", Cell::Number(scale)),
            ("n.clusters", Cell::Count(clusters)),
            ("df.residual", Cell::Count(n - self.model.order() as f64)),
            ("nobs", Cell::Count(n)),
            ("iter", Cell::Count(f64::from(self.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        notes.push("standard errors are for clusters, without a correction for few".to_owned());
        if clusters < 20.0 {
            notes.push("so few clusters give standard errors that are too small".to_owned());
        }
        let title = "Generalised estimating equations".to_owned();
        let tables = vec![table, Table::of_one("glance", cells)];
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }
}
