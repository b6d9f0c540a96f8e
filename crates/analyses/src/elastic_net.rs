//! Penalised linear regression over all centres: ridge, lasso, elastic net, with cross-validation.
//!
//! # Local step
//! Each centre puts its patients into folds by a public rule and adds up, fold by fold, the columns,
//! the response and the products of every two of them.
//!
//! # Secure step
//! The sums over the centres are shares already, and so are those of the training sets: all patients,
//! and all without each fold. On shares every training set is standardised (variances by n), and the
//! coefficients of all penalties and training sets are computed at once: alternating directions, whose
//! number of steps is fixed beforehand, find which are not 0, and these solve linear equations. Ridge
//! regression needs the equations only. The penalties are public fractions of the least penalty that
//! leaves no column, which stays shared. Squared errors of each fold follow from its sums.
//!
//! # Opens
//! To the centres: whether cohort and folds are large enough; which columns cannot be told apart, or
//! are the same for all patients of a training set; whether a column or a patient stands apart; which
//! penalties are chosen. Not: any coefficient, any sum, errors.
//!
//! # Release
//! Coefficients at the two chosen penalties; for each penalty the error of cross-validation with its
//! standard error and the number of columns left; the largest penalty; number of patients; whether
//! all coefficients settled.
//!
//! # Sources
//! Friedman, Hastie and Tibshirani (2010), J. Stat. Softw. 33(1), whose conventions are kept (R's
//! `glmnet`, `cv.glmnet`); Boyd and others (2011), Found. Trends Mach. Learn. 3:1, 6.4.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::batched::smallest;
use crate::compared::{released, text};
use crate::design::{Model, Rows};
use crate::elastic_net_steps::{Penalties, Sets, Sums, errors, path, unscaled};
use crate::fit::{check_apart, sound_inverse, symmetric};
use crate::public_numbers::PublicNumbers;
use crate::table::{Cell, Table};
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{add_rounded, gram_sums, triangle};
use konsil_mpc::{Audience, Opening, Session, Shared, fixed, linear};
use konsil_ring::{Word, encode};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 12] = [
    ADMITTED,
    UNSOUND,
    APART,
    CONSTANT,
    LEAST,
    WITHIN,
    COEFFICIENTS,
    TOP,
    CURVE,
    LEFT,
    COUNTS,
    UNSETTLED,
];

const ADMITTED: Opening = to_centres(
    "elastic_net.admitted",
    "Whether the cohort and each fold have enough patients and centres.",
);
const UNSOUND: Opening = to_centres(
    "elastic_net.collinear",
    "For each column of the model, whether it is a combination of others.",
);
const APART: Opening = to_centres(
    "elastic_net.apart",
    "Whether a column or a patient of the model stands too much apart.",
);
const CONSTANT: Opening = to_centres(
    "elastic_net.constant",
    "For each column, whether it is the same for all patients of a training set.",
);
const LEAST: Opening =
    to_centres("elastic_net.least", "Which penalty has the least error of cross-validation.");
const WITHIN: Opening = to_centres(
    "elastic_net.within",
    "Which is the largest penalty whose error is within a standard error of the least.",
);
const COEFFICIENTS: Opening =
    released("elastic_net.coefficients", "The coefficients at the two chosen penalties.");
const TOP: Opening =
    released("elastic_net.top", "The largest penalty, and which two of the penalties are chosen.");
const CURVE: Opening = released(
    "elastic_net.curve",
    "For each penalty, the error of cross-validation and its standard error.",
);
const LEFT: Opening =
    released("elastic_net.left", "For each penalty, how many columns have a coefficient.");
const COUNTS: Opening = released("elastic_net.counts", "How many patients there are.");
const UNSETTLED: Opening =
    released("elastic_net.unsettled", "Whether some coefficient did not settle.");

const fn to_centres(name: &'static str, says: &'static str) -> Opening {
    Opening { name, says, to: Audience::Centres }
}

/// Steps, folds and penalties unless the request says otherwise.
const ITERATIONS: u32 = 40;
const FOLDS: u32 = 5;
const PENALTIES: usize = 25;
/// The smallest penalty in parts of the largest.
const RATIO: f64 = 1e-4;
/// An `alpha` below this has the largest penalty of this one, as in glmnet.
const ALPHA_LEAST: f64 = 1e-3;
/// Smallest sum of squares about the mean, in parts of the square of half the public range.
const SQUARES_MIN: f64 = 1e-6;

struct ElasticNet {
    model: Model,
    /// Centre and scale of the response.
    response: (f64, f64),
    alpha: f64,
    /// The only penalty.
    lambda: Option<f64>,
    folds: usize,
    seed: u32,
    iterations: u32,
}

/// Checks a request: a number, a model with an intercept.
///
/// # Errors
/// [`AnalysisError`] for anything else.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let model = Model::new(request, dictionary)?;
    let Response::Numeric { centre, scale } = model.design.response else {
        return Err(error("needs a number on the left of `~`"));
    };
    if !model.design.has_intercept || model.design.offset.is_some() || model.order() < 2 {
        return Err(error("needs an intercept and a column, and takes no offset"));
    }
    let alpha = request.alpha.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&alpha) {
        return Err(error("needs an alpha from 0 (ridge) to 1 (lasso)"));
    }
    if request.lambda.is_some_and(|it| !(it > 0.0 && it / scale < 1e6)) {
        return Err(error("needs a lambda above 0"));
    }
    let folds = request.folds.unwrap_or(FOLDS);
    let iterations = request.iterations.unwrap_or(ITERATIONS);
    let seed = request.seed.unwrap_or(1);
    if !(3..=10).contains(&folds) {
        return Err(error("needs 3 to 10 folds"));
    }
    if !(10..=200).contains(&iterations) || !(1..=2_000_000_000).contains(&seed) {
        return Err(error("needs 10 to 200 iterations and a seed from 1 to 2000000000"));
    }
    Ok(Box::new(ElasticNet {
        model,
        response: (centre, scale),
        alpha,
        lambda: request.lambda,
        folds: usize::try_from(folds).unwrap_or(usize::MAX),
        seed,
        iterations,
    }))
}

impl ElasticNet {
    fn ratios(&self) -> Vec<f64> {
        if self.lambda.is_some() {
            return vec![1.0];
        }
        let last = (PENALTIES - 1) as f64;
        (0..PENALTIES).map(|at| RATIO.powf(at as f64 / last)).collect()
    }

    /// This centre's rows with the response moved and scaled, and their folds.
    fn local(
        &self,
        session: &dyn Session,
        patients: Patients<'_>,
    ) -> Result<(Rows, Vec<usize>), AnalysisError> {
        let mut rows = self.model.rows(patients)?;
        let (centre, scale) = self.response;
        rows.y.iter_mut().for_each(|y| *y = (*y - centre) / scale);
        let own = u32::try_from(session.party()).unwrap_or(0);
        let folds = PublicNumbers::new(self.seed + own).folds(rows.y.len(), self.folds);
        Ok((rows, folds))
    }

    fn admitted(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (rows, folds): (&Rows, &[usize]),
    ) -> Result<(), AnalysisError> {
        let mut sizes = vec![0_u64; self.folds];
        folds.iter().for_each(|fold| sizes[*fold] += 1);
        // coefficients at two penalties
        let parameters = 2 * self.model.order();
        let applicants =
            Applicants { patients: rows.y.len(), parameters, statistics: 0, also: &sizes };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let gram = gram_sums(rows.observed(), self.model.order())?;
        let gram = session.input(&gram.products)?;
        let inverse = sound_inverse(session, UNSOUND, &self.model, &gram)?;
        check_apart(session, APART, (&self.model, setting), (rows, &[]), &inverse)
    }

    fn sums(
        &self,
        session: &mut dyn Session,
        (rows, folds): (&Rows, &[usize]),
    ) -> Result<Sums, AnalysisError> {
        let (q, order) = (self.model.order(), self.model.order());
        let pairs = q * (q + 1) / 2;
        let mut n: Vec<Word> = vec![0; self.folds];
        let mut firsts = vec![0; self.folds * q];
        let mut products = vec![0; self.folds * pairs];
        let mut terms = vec![0.0; pairs];
        for ((row, y), fold) in rows.x.chunks(order).zip(&rows.y).zip(folds) {
            let values: Vec<f64> = row.iter().skip(1).copied().chain([*y]).collect();
            n[*fold] += 1;
            add_rounded(&mut firsts[fold * q..(fold + 1) * q], &values)?;
            triangle(&values, 1.0, &mut terms);
            add_rounded(&mut products[fold * pairs..(fold + 1) * pairs], &terms)?;
        }
        let (n, firsts) = (session.input(&n)?, session.input(&firsts)?);
        let products = session.input(&products)?;
        let full = |at: usize| symmetric(&products.slice(at * pairs, (at + 1) * pairs), q);
        let products = Shared::concat(&(0..self.folds).map(full).collect::<Vec<_>>());
        Ok(Sums { n, firsts, products, folds: self.folds, q })
    }

    fn refuse_constant(&self, session: &mut dyn Session, sets: &Sets) -> Result<(), AnalysisError> {
        let q = self.model.order();
        let enough = fixed::at_least(session, &sets.squares, encode(SQUARES_MIN)?)?;
        let enough = session.to_integers(&enough)?;
        let none = linear::complement(session, &enough);
        let over = (0..sets.count)
            .fold(Shared::zeros(q), |all, at| all.plus(&none.slice(at * q, (at + 1) * q)));
        let constant = linear::reaches(session, &over, 1)?;
        let opened = session.open(CONSTANT, &constant)?;
        let names = self.model.names().skip(1).chain(["the response"]);
        let named = names.zip(opened).filter(|(_, constant)| *constant != 0);
        let columns: Vec<String> = named.map(|(name, _)| name.to_owned()).collect();
        if columns.is_empty() { Ok(()) } else { Err(AnalysisError::Constant { columns }) }
    }

    /// The largest penalty, and all of them in each set's own units.
    fn penalties(
        &self,
        session: &mut dyn Session,
        sets: &Sets,
    ) -> Result<(Shared, Penalties), AnalysisError> {
        let ratios = self.ratios();
        let top = match self.lambda {
            Some(lambda) => session.constant(&[encode(lambda / self.response.1)?]),
            None => {
                let top = sets.top(session)?;
                fixed::scale(session, &top, 1.0 / self.alpha.max(ALPHA_LEAST))?
            }
        };
        let lambdas = fixed::scale_each(session, &top.repeat(ratios.len()), &ratios)?;
        let roots = sets.response(&sets.roots);
        let by_set = roots.pick((0..sets.count * ratios.len()).map(|at| at / ratios.len()));
        let lambdas = fixed::multiply(session, &lambdas.repeat(sets.count), &by_set)?;
        Ok((top, Penalties { lambdas, alpha: self.alpha, count: ratios.len() }))
    }

    /// The chosen penalties: of the least error, and the largest within a standard error of it.
    fn choose(
        session: &mut dyn Session,
        (mean, error): (&Shared, &Shared),
    ) -> Result<[usize; 2], AnalysisError> {
        if mean.len() < 2 {
            return Ok([0, 0]);
        }
        let least = smallest(session, LEAST, (mean, 0.0))?;
        let bound = mean.slice(least, least + 1).plus(&error.slice(least, least + 1));
        let above = fixed::less(session, &bound.repeat(mean.len()), mean)?;
        let within = session.not(&above);
        let within = session.to_integers(&within)?;
        let reached = linear::reaches(session, &within.running_sums(), 1)?;
        let opened = session.open(WITHIN, &reached)?;
        Ok([least, opened.iter().position(|it| *it != 0).unwrap_or(least)])
    }

    /// Releases the coefficients at the chosen penalties, the intercepts first. 2 rounds.
    fn release_coefficients(
        &self,
        session: &mut dyn Session,
        (sets, coefficients): (&Sets, &Shared),
        chosen: [usize; 2],
    ) -> Result<(), AnalysisError> {
        let p = self.model.order() - 1;
        let picked = chosen.map(|at| coefficients.slice(at * p, (at + 1) * p));
        let slopes = Shared::concat(&picked);
        let means = sets.columns(&sets.means).slice(0, p);
        let explained = fixed::dot(session, &slopes, &means.repeat(2), p)?;
        let mean = sets.response(&sets.means).slice(0, 1);
        let intercepts = mean.repeat(2).minus(&explained);
        Ok(session.release(COEFFICIENTS, &Shared::concat([&intercepts, &slopes]))?)
    }
}

impl Analysis for ElasticNet {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (p, count) = (self.model.order(), self.ratios().len());
        vec![
            format!(
                "{p} coefficients at two penalties, errors of cross-validation of {count} penalties \
                 with standard errors and numbers of columns, the largest penalty, patients"
            ),
            "to the centres: which two penalties are chosen".to_owned(),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.model.understood();
        let kind = match self.alpha {
            0.0 => "ridge".to_owned(),
            1.0 => "lasso".to_owned(),
            alpha => format!("elastic net, alpha {alpha}"),
        };
        lines.push(format!(
            "{kind}; columns standardised; {} folds within the centres from the public seed {}",
            self.folds, self.seed
        ));
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
        let (rows, folds) = self.local(session, patients)?;
        self.admitted(session, setting, (&rows, &folds))?;
        let sums = self.sums(session, (&rows, &folds))?;
        let sets = Sets::new(session, &sums)?;
        self.refuse_constant(session, &sets)?;
        let (top, penalties) = self.penalties(session, &sets)?;
        let path = path(session, &sets, &penalties, self.iterations)?;
        let count = penalties.count;
        let coefficients = unscaled(session, &sets, (&path, count))?;
        let (mean, error) = errors(session, (&sums, &sets), (&coefficients, count))?;
        let chosen = Self::choose(session, (&mean, &error))?;
        self.release_coefficients(session, (&sets, &coefficients), chosen)?;
        let places = chosen.iter().map(|at| encode(*at as f64));
        let places = session.constant(&places.collect::<Result<Vec<_>, _>>()?);
        session.release(TOP, &Shared::concat([&top, &places]))?;
        session.release(CURVE, &Shared::concat([&mean, &error]))?;
        let p = self.model.order() - 1;
        let left = |at: usize| path.active.slice(at * p, (at + 1) * p).total();
        session.release(LEFT, &Shared::concat(&(0..count).map(left).collect::<Vec<_>>()))?;
        session.release(COUNTS, &sets.n.slice(0, 1))?;
        Ok(session.release(UNSETTLED, &path.unsettled)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let at = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
        let (centre, scale) = self.response;
        let top = release.reals(TOP)?;
        let ratios = self.ratios();
        let lambda = |place: f64| {
            let found = ratios.iter().enumerate().find(|(at, _)| *at as f64 == place);
            found.map_or(f64::NAN, |(_, ratio)| scale * at(&top, 0) * ratio)
        };
        let chosen = [lambda(at(&top, 1)), lambda(at(&top, 2))];
        let coefficients = release.reals(COEFFICIENTS)?;
        let mut tidy = Table::new("tidy", &["term", "lambda", "penalty", "estimate"]);
        let p = self.model.order() - 1;
        for (side, name) in ["lambda.min", "lambda.1se"].into_iter().enumerate() {
            let slopes = coefficients.get(2 + side * p..2 + (side + 1) * p).unwrap_or_default();
            let mut scaled = vec![at(&coefficients, side)];
            scaled.extend(slopes);
            let mut raw: Vec<f64> = self.model.raw(&scaled).iter().map(|it| scale * it).collect();
            raw.iter_mut().take(1).for_each(|it| *it += centre);
            for (term, estimate) in self.model.names().zip(raw) {
                let numbers = [chosen[side], estimate].map(Cell::Number);
                let [penalty, estimate] = numbers;
                tidy.rows.push(vec![text(term), text(name), penalty, estimate]);
            }
        }
        let (curve, left) = (release.reals(CURVE)?, release.counts(LEFT)?);
        let columns = ["lambda", "estimate", "std.error", "conf.low", "conf.high", "nzero"];
        let mut table = Table::new("curve", &columns);
        for (place, ratio) in ratios.iter().enumerate() {
            let squared = scale * scale;
            let (mean, error) =
                (squared * at(&curve, place), squared * at(&curve, ratios.len() + place));
            let penalty = scale * at(&top, 0) * ratio;
            let numbers = [penalty, mean, error, mean - error, mean + error].map(Cell::Number);
            table.rows.push([numbers.to_vec(), vec![Cell::Count(at(&left, place))]].concat());
        }
        let settled = release.counts(UNSETTLED)?.first() == Some(&0.0);
        let glance = Table::of_one(
            "glance",
            [
                ("lambda.min", Cell::Number(chosen[0])),
                ("lambda.1se", Cell::Number(chosen[1])),
                ("nobs", Cell::Count(at(&release.counts(COUNTS)?, 0))),
                ("converged", Cell::Flag(settled)),
            ],
        );
        let mut notes = Vec::new();
        if !settled {
            notes.push("some coefficients did not settle: ask for more iterations".to_owned());
        }
        let title = match self.alpha {
            0.0 => "Ridge regression",
            1.0 => "Lasso regression",
            _ => "Elastic net regression",
        };
        let tables = vec![tidy, table, glance];
        Ok(Findings {
            title: title.to_owned(),
            tables,
            notes,
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
