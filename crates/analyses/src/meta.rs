//! Meta-analysis: every centre fits a linear, logistic, Poisson or Cox model of its own patients, and
//! only the estimates combined over the centres are released.
//!
//! # Local step
//! Each centre fits the model to its own patients in double precision and weights each estimate with
//! the reciprocal of its variance. A centre with too few patients or outcomes for a model of its own,
//! too few with or without a level, or whose model has no maximum (separation) takes no part: it
//! brings zeros.
//!
//! # Secure step
//! Weighted sums of the estimates and of their squares over the centres are shares already: fixed
//! effects, Cochran's Q. The variance between centres (DerSimonian and Laird) is computed on shares,
//! and with it the weights of random effects, centre by centre.
//!
//! # Opens
//! To the centres: whether there are enough patients; which columns cannot be told apart; whether a
//! column or a patient stands apart; whether enough centres, with enough patients, can fit the model.
//! Not: which centres, or how many, take part; any centre's estimate or weight.
//!
//! # Release
//! For each coefficient the sums of weights and of weighted estimates, of fixed and of random
//! effects, Q and the variance between centres; how many centres took part.
//!
//! # Sources
//! DerSimonian and Laird (1986), Control. Clin. Trials 7:177; Higgins and Thompson (2002), Stat. Med.
//! 21:1539, for I2 and H2; R's `metafor::rma`.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{released, text};
use crate::design::{Model, Rows};
use crate::families::kind;
use crate::fit::{check_apart, check_columns, sound_inverse};
use crate::local_fit::LocalFit;
use crate::statistics::{p_chi_squared, wald};
use crate::table::{Cell, Table};
use konsil_cohort::design::{DesignMatrix, Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Policy, Release, admit, by_centre};
use konsil_kernels::{Family, Link, gram_sums};
use konsil_mpc::{Audience, Opening, Session, Shared, fixed, normalise};
use konsil_ring::{ONE, Word, encode};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 8] =
    [ADMITTED, UNSOUND, APART, TAKING_PART, FIXED, RANDOM, HETEROGENEITY, CENTRES];

const ADMITTED: Opening = Opening {
    name: "meta.admitted",
    says: "Whether cohort and outcome have enough patients and centres.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "meta.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "meta.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const TAKING_PART: Opening = Opening {
    name: "meta.taking_part",
    says: "Whether enough centres, with enough patients, can fit the model by themselves.",
    to: Audience::Centres,
};
const FIXED: Opening = released(
    "meta.fixed",
    "For each coefficient, the centres' weights added up, and their weighted estimates.",
);
const RANDOM: Opening = released("meta.random", "The same with the weights of random effects.");
const HETEROGENEITY: Opening = released(
    "meta.heterogeneity",
    "For each coefficient, Cochran's Q and the variance between centres.",
);
const CENTRES: Opening = released("meta.centres", "How many centres took part.");

/// A weight of an estimate beyond so many times the patients of the study: a fit without errors.
const WEIGHT_MAX: f64 = 1e3;

/// Centres that must take part beyond those of any other analysis.
const MORE_CENTRES: u64 = 3;

struct Meta {
    model: Model,
    /// Nothing for Cox regression.
    family: Option<Family>,
    title: &'static str,
    /// Centre and scale of the response.
    response: (f64, f64),
}

/// One centre's estimates in the engine's units, with their weights; zeros where it takes no part.
struct Brought {
    takes_part: bool,
    estimates: Vec<f64>,
    weights: Vec<f64>,
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
    if request.formula.as_ref().is_some_and(|it| it.trim_start().starts_with("Surv(")) {
        return prepare_cox(request, dictionary);
    }
    let family = request.family.clone().or_else(|| Some("gaussian".to_owned()));
    let kind = kind(&Request { family, ..request.clone() })?;
    let family = kind.family;
    let model = Model::new(request, dictionary)?;
    let known =
        matches!(family, Family::Binomial | Family::Poisson | Family::Gaussian(Link::Identity));
    if !known || (kind.dispersion && !matches!(family, Family::Gaussian(_))) {
        return Err(error("knows the families gaussian, binomial and poisson"));
    }
    let (binary, response) = match &model.design.response {
        Response::Numeric { centre, scale } => {
            let moved = if model.design.has_intercept { *centre } else { 0.0 };
            let scale = if moved == *centre { *scale } else { centre.abs() + scale };
            (*centre == 0.5 && scale == 0.5, (moved, scale))
        }
        _ => (true, (0.0, 1.0)),
    };
    let numeric = matches!(model.design.response, Response::Numeric { .. });
    if family == Family::Binomial && !binary {
        return Err(error(
            "needs a response of two levels, or one that is 0 or 1 by the dictionary",
        ));
    }
    if family != Family::Binomial && !numeric {
        return Err(error("needs a number on the left of `~`, or the family binomial"));
    }
    let gaussian = matches!(family, Family::Gaussian(_));
    let response = if gaussian { response } else { (0.0, 1.0) };
    Ok(Box::new(Meta { model, family: Some(family), title: kind.title, response }))
}

fn prepare_cox(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let model = Model::survival(request, dictionary)?;
    let design = &model.design;
    let late = matches!(design.response, Response::Survival { delayed_entry: true, .. });
    let strata = !design.strata.is_empty() || design.strata_by_centre;
    if late || strata || design.offset.is_some() || request.weights.is_some() {
        return Err(error(
            "takes no weights, offset, strata() or patients who enter late with Surv(); each centre \
             is a stratum of its own",
        ));
    }
    if request.family.is_some() {
        return Err(error("takes a family without Surv() only"));
    }
    Ok(Box::new(Meta { model, family: None, title: "Cox regression", response: (0.0, 1.0) }))
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Meta {
    /// This centre's rows; of survival the response is 1 for an event, and the times stand beside.
    fn local(&self, patients: Patients<'_>) -> Result<(Rows, Vec<f64>), AnalysisError> {
        let (Some(dataset), None) = (patients, self.family) else {
            return Ok((self.model.rows(patients)?, Vec::new()));
        };
        let DesignMatrix { mut x, survival, .. } = self.model.design.matrix(dataset)?;
        let (times, events) = survival.map(|it| (it.time, it.event)).unwrap_or_default();
        let supports = self.model.supports(&x);
        self.model.scale(&mut x);
        let y = events.into_iter().map(|event| f64::from(u8::from(event))).collect();
        Ok((Rows { x, y, supports, ..Rows::default() }, times))
    }

    /// Outcomes of each kind, where the family counts them.
    fn outcomes(&self, rows: &Rows) -> Vec<u64> {
        let events = wide(rows.y.iter().filter(|y| **y > 0.0).count());
        match self.family {
            Some(Family::Binomial) => vec![events, wide(rows.y.len()).saturating_sub(events)],
            Some(Family::Poisson) | None => vec![events],
            _ => Vec::new(),
        }
    }

    /// Whether the rules would allow a model of this centre's patients alone.
    fn allowed(&self, policy: &Policy, rows: &Rows) -> bool {
        let patients = wide(rows.y.len());
        let enough = |count: &u64| *count >= policy.threshold;
        let picked = (0..rows.supports.sets).map(|set| {
            let with = rows.supports.common.get(set * (set + 3) / 2).copied().unwrap_or(0);
            enough(&with) && enough(&patients.saturating_sub(with))
        });
        patients >= policy.patients_min(self.model.order())
            && self.outcomes(rows).iter().all(enough)
            && picked.into_iter().all(|enough| enough)
    }

    /// This centre's own model.
    fn own(&self, setting: &Setting, (rows, times): (&Rows, &[f64])) -> Brought {
        let order = self.model.order();
        let none = || Brought {
            takes_part: false,
            estimates: vec![0.0; order],
            weights: vec![0.0; order],
        };
        if !self.allowed(&setting.policy, rows) {
            return none();
        }
        let fit = match self.family {
            Some(family) => LocalFit::new(&self.model, family, rows),
            None => LocalFit::cox(&self.model, rows, times),
        };
        let Some(fit) = fit else {
            return none();
        };
        let (mut estimates, mut weights) = (Vec::new(), Vec::new());
        let fitted = fit.estimates.iter().zip(&fit.variances).enumerate();
        for (at, (estimate, variance)) in fitted {
            let (unit, moved) = self.unit(at);
            estimates.push(estimate / unit - moved);
            weights.push(unit * unit / variance);
        }
        let most = WEIGHT_MAX * self.patients_at_most(setting);
        let sound = weights.iter().all(|it| (1e-6..most).contains(it))
            && estimates.iter().all(|it| it.abs() < 1e4);
        if sound { Brought { takes_part: true, estimates, weights } } else { none() }
    }

    /// What a coefficient is divided by for the engine, and what is taken from it then.
    fn unit(&self, at: usize) -> (f64, f64) {
        let (centre, scale) = self.response;
        let intercept = self.model.design.has_intercept && at == 0;
        let (_, column) = self.model.columns.get(at).copied().unwrap_or((0.0, 1.0));
        if intercept { (scale, centre / scale) } else { (scale / column, 0.0) }
    }

    /// Public.
    fn patients_at_most(&self, setting: &Setting) -> f64 {
        setting.rows_at_most.iter().sum::<usize>().max(1) as f64
    }

    /// Judges cohort and columns, and whether enough centres can fit the model.
    fn judge(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (rows, times): (&Rows, &[f64]),
    ) -> Result<Brought, AnalysisError> {
        let parameters = self.model.order();
        let also = self.outcomes(rows);
        let all = Applicants { patients: rows.y.len(), parameters, statistics: 0, also: &also };
        admit(session, ADMITTED, &setting.policy, all)?;
        if self.family.is_some() {
            let gram = gram_sums(rows.observed(), parameters)?;
            let gram = session.input(&gram.products)?;
            let inverse = sound_inverse(session, UNSOUND, &self.model, &gram)?;
            let prior = rows.weights.as_slice();
            check_apart(session, APART, (&self.model, setting), (rows, prior), &inverse)?;
        } else {
            let with_one = rows.x.chunks(parameters).flat_map(|row| [&[1.0], row].concat());
            let with_one: Vec<f64> = with_one.collect();
            let openings = (UNSOUND, APART);
            let own = (with_one.as_slice(), &rows.supports);
            check_columns(session, openings, (&self.model, setting), own)?;
        }
        let own = self.own(setting, (rows, times));
        let none = vec![0; also.len()];
        let fits =
            if own.takes_part { all } else { Applicants { patients: 0, also: &none, ..all } };
        // six numbers of each coefficient are released, of two from every centre: whoever knows one
        // centre's leaves enough unknown ones only where five more took part
        let policy = &setting.policy;
        let policy = Policy { centres_min: policy.centres_min + MORE_CENTRES, ..policy.clone() };
        admit(session, TAKING_PART, &policy, fits)?;
        Ok(own)
    }

    /// Sums of fixed effects, Q, variance between centres, sums of random effects. About 110 rounds.
    fn combine(
        &self,
        session: &mut dyn Session,
        (own, scale): (&Brought, f64),
        centres: &Shared,
    ) -> Result<[Shared; 3], AnalysisError> {
        let p = self.model.order();
        let encoded = |numbers: &mut dyn Iterator<Item = f64>| -> Result<Vec<Word>, AnalysisError> {
            Ok(numbers.map(encode).collect::<Result<_, _>>()?)
        };
        let pairs = || own.weights.iter().zip(&own.estimates);
        let mut mine = encoded(&mut own.weights.iter().copied())?;
        let weights = by_centre(session, &mine)?;
        let estimates = encoded(&mut own.estimates.iter().copied())?;
        let estimates = by_centre(session, &estimates)?;
        mine.extend(encoded(&mut pairs().map(|(w, y)| w * y))?);
        mine.extend(encoded(&mut pairs().map(|(w, y)| w * y * y))?);
        mine.extend(encoded(&mut pairs().map(|(w, _)| w * w / scale))?);
        let sums = session.input(&mine)?;
        let part = |at: usize| sums.slice(at * p, (at + 1) * p);
        let fixed_sums = sums.slice(0, 2 * p);
        let both = Shared::concat([&part(1), &part(3)]);
        let by_weight = normalise::divide_each(session, &both, &part(0))?;
        let explained = fixed::multiply(session, &part(1), &by_weight.slice(0, p))?;
        let q = part(2).minus(&explained);
        let against = fixed::scale(session, &by_weight.slice(p, 2 * p), scale)?;
        let freedom = fixed::add_public(session, centres, Word::MAX).integer_to_fixed();
        let above = q.minus(&freedom.repeat(p));
        let above = fixed::maximum(session, &above, &Shared::zeros(p))?;
        let between = normalise::divide(session, &above, &part(0).minus(&against))?;
        let count = weights.len() / p.max(1);
        let grown = fixed::multiply(session, &weights, &between.repeat(count))?;
        let grown = fixed::add_public(session, &grown, ONE);
        let random = normalise::divide(session, &weights, &grown)?;
        let weighted = fixed::multiply(session, &random, &estimates)?;
        let over = |all: &Shared| {
            (0..count).fold(Shared::zeros(p), |sum, at| sum.plus(&all.slice(at * p, (at + 1) * p)))
        };
        let random = Shared::concat([&over(&random), &over(&weighted)]);
        Ok([fixed_sums, random, Shared::concat([&q, &between])])
    }
}

impl Analysis for Meta {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.model.order();
        vec![format!(
            "{p} coefficients with standard errors by fixed and by random effects, {p} Q, {p} \
             variances between centres, number of centres; no centre's estimate"
        )]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.model.understood();
        lines.push(format!(
            "{} at each centre alone, where it has enough patients and outcomes; the others are \
             left out",
            self.title
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
        let (rows, times) = self.local(patients)?;
        if !rows.y.iter().all(|y| self.family.is_none_or(|family| family.allows(*y))) {
            let what = "the response of some patients does not fit the family".to_owned();
            return Err(AnalysisError::Request { id: "meta".to_owned(), what });
        }
        let own = self.judge(session, setting, (&rows, &times))?;
        let centres = session.input(&[Word::from(own.takes_part)])?;
        let scale = self.patients_at_most(setting);
        let [fixed, random, spread] = self.combine(session, (&own, scale), &centres)?;
        session.release(FIXED, &fixed)?;
        session.release(RANDOM, &random)?;
        session.release(HETEROGENEITY, &spread)?;
        Ok(session.release(CENTRES, &centres)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (fixed, random) = (release.reals(FIXED)?, release.reals(RANDOM)?);
        let spread = release.reals(HETEROGENEITY)?;
        let centres = release.counts(CENTRES)?.first().copied().unwrap_or(f64::NAN);
        let p = self.model.order();
        let at = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
        let columns = [
            "term",
            "method",
            "estimate",
            "std.error",
            "statistic",
            "p.value",
            "conf.low",
            "conf.high",
        ];
        let mut tidy = Table::new("tidy", &columns);
        let columns = ["term", "Q", "df", "p.value", "I2", "H2", "tau2"];
        let mut heterogeneity = Table::new("heterogeneity", &columns);
        for (place, name) in self.model.names().enumerate() {
            let (unit, moved) = self.unit(place);
            for (method, sums) in [("fixed", &fixed), ("random", &random)] {
                let (weight, sum) = (at(sums, place), at(sums, p + place));
                let estimate = unit * (sum / weight + moved);
                let error = unit / weight.sqrt();
                let numbers = wald(estimate, error).map(Cell::Number);
                tidy.rows.push([vec![text(name), text(method)], numbers.to_vec()].concat());
            }
            let (q, df) = (at(&spread, place).max(0.0), centres - 1.0);
            let tau2 = at(&spread, p + place) * unit * unit;
            let numbers = [p_chi_squared(q, df), 100.0 * (1.0 - df / q).max(0.0), q / df, tau2];
            let mut row = vec![text(name), Cell::Number(q), Cell::Count(df)];
            row.extend(numbers.map(Cell::Number));
            heterogeneity.rows.push(row);
        }
        let glance = Table::of_one("glance", [("k", Cell::Count(centres))]);
        let notes = vec![
            "the estimate of the pooled patients: ask for lm, glm or cox with the same formula in the \
             same study"
                .to_owned(),
        ];
        let title = format!("Meta-analysis of {} models", self.title.to_lowercase());
        let tables = vec![tidy, heterogeneity, glance];
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }
}
