//! Linear and logistic regression where covariates are missing: multiple imputation by chained
//! equations, combined by Rubin's rules.
//!
//! # Local step
//! Each centre fills missing values with drawn ones of its own patients at first. In turn, for each
//! incomplete variable and each imputation, it draws a bootstrap sample of its patients who have the
//! variable, with secret randomness, and adds up what a regression on all other variables of the
//! formula needs. With the opened regression it imputes its own missing values: the predicted number
//! and a normal residual, cut to the dictionary's range, or one of two values by chance. At last it
//! adds up what the model of the request needs, in each completed set.
//!
//! # Secure step
//! The sums over the centres are shares already. All imputations are solved at once on shares: linear
//! regressions directly, logistic ones by Newton steps. The numbers of cycles, imputations and steps
//! are fixed beforehand.
//!
//! # Opens
//! To the centres: whether there are enough patients, and enough who have each variable; which columns
//! cannot be told apart; whether a column or a patient stands apart; of each imputation and cycle, the
//! coefficients and the residual variance of the regression of a bootstrap sample (of logistic ones,
//! their change in each step); for a logistic model, the change of its coefficients in each completed
//! set and step. Not: any centre's sums, how many values are missing, any value.
//!
//! # Release
//! Coefficients and their variances in each completed set, number of patients. The researcher's
//! program combines them.
//!
//! # Sources
//! van Buuren (2018), Flexible Imputation of Missing Data, 3.2, 3.6, 4.5; R's `mice` with the methods
//! `norm.boot` and `logreg.boot`; Rubin (1987); Barnard and Rubin (1999), Biometrika 86:948.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::batched::Inverses;
use crate::compared::{released, text};
use crate::design::Rows;
use crate::fit::{VARIANCE_BITS, check_apart, reals, sound_inverse};
use crate::impute_models::{Regression, Target, freedom, inverted};
use crate::impute_pool::pool;
use crate::impute_sets::Completed;
use crate::statistics::{p_student, t_975};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{Family, fit_sums, gram_sums, predictor};
use konsil_mpc::{Audience, Opening, Session, Shared, normalise};
use konsil_ring::{Word, encode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 9] =
    [ADMITTED, UNSOUND, APART, REGRESSION, LOGISTIC, STEP, COEFFICIENTS, VARIANCES, COUNTS];

const ADMITTED: Opening = to_centres(
    "impute.admitted",
    "Whether enough patients and centres have the outcome, and each incomplete variable.",
);
const UNSOUND: Opening = to_centres(
    "impute.collinear",
    "For each column of the models, whether it is a combination of others.",
);
const APART: Opening = to_centres(
    "impute.apart",
    "Whether a column or a patient of the models stands too much apart.",
);
const REGRESSION: Opening = to_centres(
    "impute.regression",
    "For each imputation and cycle, coefficients and residual variance of a bootstrap sample's \
     regression of an incomplete number on the other variables.",
);
const LOGISTIC: Opening = to_centres(
    "impute.logistic",
    "The same of an incomplete variable of two values: the change of the coefficients in each step.",
);
const STEP: Opening = to_centres(
    "impute.step",
    "Of a logistic model, the change of its coefficients in each completed set and step.",
);
const COEFFICIENTS: Opening =
    released("impute.coefficients", "The coefficients in each completed set.");
const VARIANCES: Opening =
    released("impute.variances", "The variances of the coefficients in each completed set.");
const COUNTS: Opening = released("impute.counts", "How many patients the models are of.");

const fn to_centres(name: &'static str, says: &'static str) -> Opening {
    Opening { name, says, to: Audience::Centres }
}

/// Imputations, cycles, and Newton steps of the model unless the request says otherwise.
const IMPUTATIONS: u32 = 5;
const CYCLES: u32 = 5;
const ITERATIONS: u32 = 8;
/// Newton steps of a logistic imputation model, in the first cycle and in later ones, which begin
/// where the one before ended.
const STEPS_FIRST: u32 = 7;
const STEPS_LATER: u32 = 4;
struct Impute {
    analysed: Regression,
    targets: Vec<Target>,
    /// Variables that patients must have.
    needed: Vec<String>,
    imputations: usize,
    cycles: u32,
    iterations: u32,
}

/// Checks a request: which covariates are incomplete must be said.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary, or variables that cannot be
/// imputed.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let logistic = match request.family.as_deref() {
        None | Some("gaussian") => false,
        Some("binomial") => true,
        Some(_) => return Err(error("knows the families gaussian and binomial".to_owned())),
    };
    let analysed = Regression::new(request, dictionary)?;
    if analysed.logistic != logistic && !analysed.is_zero_one() {
        let wanted = if logistic { "two values" } else { "a number" };
        return Err(error(format!("needs a response of {wanted} for this family")));
    }
    let analysed = Regression { logistic, ..analysed }.with_scales();
    let used = analysed.model.design.variables_used().to_vec();
    let names = &request.incomplete;
    if names.is_empty() || names.len() > 10 {
        return Err(error("needs the names of 1 to 10 incomplete covariates".to_owned()));
    }
    let outcome = request.formula.as_deref().and_then(|it| it.split_once('~'));
    let outcome = outcome.map(|(left, _)| left.trim().to_owned());
    let Some(outcome) = outcome.filter(|it| dictionary.variable(it).is_some()) else {
        return Err(error("needs a variable as it is on the left of `~`".to_owned()));
    };
    if analysed.model.design.offset.is_some() {
        return Err(error("takes no offset".to_owned()));
    }
    let mut targets = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        if !used.contains(name) || *name == outcome || names[..at].contains(name) {
            return Err(error(format!("`{name}` must be a covariate of the formula, named once")));
        }
        targets.push(Target::new(request, dictionary, (name, &used))?);
    }
    let whole = |value: Option<u32>, usual: u32, (least, most): (u32, u32), what: &str| {
        let value = value.unwrap_or(usual);
        let fits = (least..=most).contains(&value);
        fits.then_some(value).ok_or_else(|| error(format!("needs {least} to {most} {what}")))
    };
    let imputations = whole(request.imputations, IMPUTATIONS, (2, 50), "imputations")?;
    let cycles = whole(request.cycles, CYCLES, (1, 20), "cycles")?;
    let iterations = whole(request.iterations, ITERATIONS, (4, 50), "iterations")?;
    let needed = used.into_iter().filter(|it| !names.contains(it)).collect();
    let imputations = usize::try_from(imputations).unwrap_or(usize::MAX);
    Ok(Box::new(Impute { analysed, targets, needed, imputations, cycles, iterations }))
}

impl Impute {
    fn completed(&self, patients: Patients<'_>) -> Result<Option<Completed>, AnalysisError> {
        let Some(dataset) = patients else {
            return Ok(None);
        };
        let names: Vec<String> = self.targets.iter().map(|it| it.name.clone()).collect();
        let middle = |it: &Target| {
            if it.regression.logistic { 0.0 } else { f64::midpoint(it.range.0, it.range.1) }
        };
        let middles: Vec<f64> = self.targets.iter().map(middle).collect();
        let incomplete = (names.as_slice(), middles.as_slice());
        Completed::new(dataset, &self.needed, incomplete, self.imputations).map(Some)
    }

    /// The rows of each completed set under a regression.
    fn all_rows(
        &self,
        regression: &Regression,
        completed: Option<&Completed>,
    ) -> Result<Vec<Rows>, AnalysisError> {
        let set = |at: usize| completed.and_then(|it| it.sets.get(at));
        (0..self.imputations).map(|at| regression.rows(set(at))).collect()
    }

    /// Judges the patients, then the columns of the models as they are first filled.
    fn judge(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        completed: Option<&Completed>,
    ) -> Result<(), AnalysisError> {
        let first = completed.and_then(|it| it.sets.first());
        let rows = self.analysed.rows(first)?;
        let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        let mut also = Vec::new();
        if self.analysed.logistic {
            let events = rows.y.iter().filter(|y| **y > 0.0).count();
            also.extend([count(events), count(rows.y.len() - events)]);
        }
        let mut of_targets = Vec::with_capacity(self.targets.len());
        for (at, target) in self.targets.iter().enumerate() {
            let mut rows = target.regression.rows(first)?;
            if let Some(missing) = completed.and_then(|it| it.missing.get(at)) {
                rows.weights = missing.iter().map(|it| f64::from(u8::from(!it))).collect();
            }
            let known = rows.y.iter().zip(&rows.weights).filter(|(_, known)| **known > 0.0);
            let ones = known.clone().filter(|(y, _)| **y > 0.0).count();
            let known = known.count();
            also.push(count(known));
            if target.regression.logistic {
                also.extend([count(ones), count(known - ones)]);
            }
            of_targets.push(rows);
        }
        // the draws of one imputation model differ by the secret choice of patients only
        let drawn: usize = self.targets.iter().map(|it| it.regression.order() + 1).sum();
        let parameters = self.analysed.order() + drawn;
        let applicants =
            Applicants { patients: rows.y.len(), parameters, statistics: 0, also: &also };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let models = std::iter::once(&self.analysed.model)
            .chain(self.targets.iter().map(|it| &it.regression.model));
        for (model, rows) in models.zip(std::iter::once(&rows).chain(&of_targets)) {
            let gram = gram_sums(rows.observed(), model.order())?;
            let gram = session.input(&gram.products)?;
            let inverse = sound_inverse(session, UNSOUND, model, &gram)?;
            check_apart(session, APART, (model, setting), (rows, &rows.weights), &inverse)?;
        }
        Ok(())
    }

    /// Imputes one variable in all sets.
    fn impute(
        &self,
        session: &mut dyn Session,
        (place, betas, steps): (usize, &mut Vec<Vec<f64>>, u32),
        completed: &mut Option<Completed>,
    ) -> Result<(), AnalysisError> {
        let target = &self.targets[place];
        let regression = &target.regression;
        let mut sets = self.all_rows(regression, completed.as_ref())?;
        let mut known = 0;
        if let Some(Completed { missing, draws, .. }) = completed {
            known = missing[place].iter().filter(|it| !**it).count();
            sets.iter_mut().for_each(|rows| rows.weights = draws.sample(&missing[place]));
        }
        let mut spreads = vec![0.0; sets.len()];
        if regression.logistic {
            regression.logistic(session, (&sets, LOGISTIC), (betas, steps))?;
        } else {
            let (coefficients, squares, _) = regression.linear(session, &sets)?;
            let known = session.input(&[encode_count(u64::try_from(known).unwrap_or(0))])?;
            let freedom = freedom(session, &known, regression.order() + 1);
            let variances =
                normalise::divide(session, &squares, &freedom.repeat(self.imputations))?;
            let opened = session.open(REGRESSION, &Shared::concat([&coefficients, &variances]))?;
            let opened = reals(&opened);
            let (coefficients, variances) = opened.split_at(coefficients.len());
            *betas = coefficients.chunks(regression.order()).map(<[f64]>::to_vec).collect();
            spreads = variances.iter().map(|it| it.max(0.0).sqrt()).collect();
        }
        let Some(completed) = completed else {
            return Ok(());
        };
        let order = regression.order();
        let (centre, scale) = regression.response;
        for (set, ((rows, beta), spread)) in sets.iter().zip(betas).zip(spreads).enumerate() {
            let beta = &*beta;
            completed.impute((set, place), &target.name, |patient, draws| {
                let row = rows.x.get(patient * order..(patient + 1) * order).unwrap_or_default();
                let mean = predictor(row, beta, 0.0);
                if regression.logistic {
                    let chance = 1.0 / (1.0 + (-mean).exp());
                    return f64::from(u8::from(draws.even() < chance));
                }
                let value = centre + scale * (mean + spread * draws.normal());
                value.clamp(target.range.0, target.range.1)
            })?;
        }
        Ok(())
    }

    /// Fits the model in each completed set: scaled coefficients, variances with 60 fractional bits.
    fn fit(
        &self,
        session: &mut dyn Session,
        sets: &[Rows],
    ) -> Result<(Shared, Shared, Shared), AnalysisError> {
        let (analysed, order) = (&self.analysed, self.analysed.order());
        let count = |rows: &Rows| encode_count(u64::try_from(rows.y.len()).unwrap_or(0));
        let counts: Vec<Word> = sets.iter().map(count).collect();
        let counts = session.input(&counts)?;
        if analysed.logistic {
            let mut betas = Vec::new();
            analysed.logistic(session, (sets, STEP), (&mut betas, self.iterations))?;
            let sums = sets.iter().zip(&betas);
            let sums = sums.map(|(rows, beta)| fit_sums(Family::Binomial, rows.observed(), beta));
            let sums = sums.collect::<Result<Vec<_>, _>>()?;
            let (_, inverses) = inverted(session, &sums, order)?;
            let words = betas.iter().flatten().map(|beta| encode(*beta));
            let coefficients = session.constant(&words.collect::<Result<Vec<_>, _>>()?);
            return Ok((coefficients, self.variances(session, &inverses)?, counts));
        }
        let (coefficients, squares, inverses) = analysed.linear(session, sets)?;
        let freedom = freedom(session, &counts, order);
        let dispersion = normalise::divide(session, &squares, &freedom)?;
        let variances = self.variances(session, &inverses)?;
        let each = dispersion.pick((0..variances.len()).map(|at| at / order));
        let raw = session.multiply_raw(&variances, &each)?;
        let variances = session.truncate(raw, konsil_ring::FRACTION_BITS)?;
        Ok((coefficients, variances, counts))
    }

    /// Variances up to the dispersion: of the raw intercept, of the scaled columns. 5 rounds.
    fn variances(
        &self,
        session: &mut dyn Session,
        inverses: &Inverses,
    ) -> Result<Shared, AnalysisError> {
        let order = self.analysed.order();
        let full = inverses.all_60(session)?;
        let factors = self.analysed.model.intercept_factors();
        let mut weights = Vec::with_capacity(order * order);
        for left in &factors {
            for right in &factors {
                weights.push(encode(left * right)?.cast_signed());
            }
        }
        let cells = order * order;
        let forms: Vec<Shared> = (0..self.imputations)
            .map(|at| full.slice(at * cells, (at + 1) * cells).times_integers(&weights).total())
            .collect();
        let intercepts = session.truncate(Shared::concat(&forms), konsil_ring::FRACTION_BITS)?;
        let diagonal = full.pick(
            (0..self.imputations * order).map(|at| at / order * cells + at % order * (order + 1)),
        );
        let places: Vec<usize> = (0..self.imputations).map(|at| at * order).collect();
        Ok(diagonal.replaced(&places, &intercepts))
    }
}

impl Analysis for Impute {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (p, m) = (self.analysed.order(), self.imputations);
        let mut lines = vec![format!(
            "{p} coefficients and {p} variances in each of {m} completed sets, patients"
        )];
        for target in &self.targets {
            let what = if target.regression.logistic { "" } else { " and a variance" };
            lines.push(format!(
                "to the centres: in each of {} cycles, {m} times {} coefficients{what} of a bootstrap \
                 sample's regression of {}",
                self.cycles,
                target.regression.order(),
                target.name
            ));
        }
        if self.analysed.logistic {
            lines.push(format!(
                "to the centres: {m} times {p} coefficients after each of {} steps",
                self.iterations
            ));
        }
        lines
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.analysed.model.understood();
        for target in &self.targets {
            let kind = if target.regression.logistic { "logistic" } else { "linear" };
            let columns: Vec<&str> = target.regression.model.names().skip(1).collect();
            lines.push(format!(
                "{} is imputed by {kind} regression on {}",
                target.name,
                columns.join(", ")
            ));
        }
        lines.push(format!("{} imputations of {} cycles", self.imputations, self.cycles));
        lines
    }

    fn sets(&self) -> usize {
        self.analysed.model.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.analysed.model.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let mut completed = self.completed(patients)?;
        self.judge(session, setting, completed.as_ref())?;
        let mut betas = vec![Vec::new(); self.targets.len()];
        for cycle in 0..self.cycles {
            let steps = if cycle == 0 { STEPS_FIRST } else { STEPS_LATER };
            for (place, betas) in betas.iter_mut().enumerate() {
                self.impute(session, (place, betas, steps), &mut completed)?;
            }
        }
        let sets = self.all_rows(&self.analysed, completed.as_ref())?;
        let (coefficients, variances, counts) = self.fit(session, &sets)?;
        session.release(COEFFICIENTS, &coefficients)?;
        session.release(VARIANCES, &variances)?;
        Ok(session.release(COUNTS, &counts.slice(0, 1))?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (model, order) = (&self.analysed.model, self.analysed.order());
        let (centre, scale) = self.analysed.response;
        let scaled = release.reals(COEFFICIENTS)?;
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let n = release.counts(COUNTS)?.first().copied().unwrap_or(f64::NAN);
        let raw: Vec<Vec<f64>> = scaled.chunks(order).map(|it| model.raw(it)).collect();
        let columns = [
            "term",
            "estimate",
            "std.error",
            "statistic",
            "df",
            "p.value",
            "conf.low",
            "conf.high",
            "ubar",
            "b",
            "riv",
            "lambda",
            "fmi",
        ];
        let mut tidy = Table::new("tidy", &columns);
        for (at, (name, (_, unit))) in model.names().zip(&model.columns).enumerate() {
            let moved = if at == 0 { centre } else { 0.0 };
            let factor = scale / if at == 0 { 1.0 } else { *unit };
            let of = |it: &Vec<f64>| it.get(at).map_or(f64::NAN, |it| scale * it + moved);
            let estimates: Vec<f64> = raw.iter().map(of).collect();
            let own = variances.iter().skip(at).step_by(order);
            let own: Vec<f64> = own.map(|it| it * factor * factor).collect();
            let it = pool(&estimates, &own, n - order as f64);
            let (t, reach) = (it.estimate / it.error, t_975(it.df) * it.error);
            let numbers = [
                it.estimate,
                it.error,
                t,
                it.df,
                p_student(t, it.df),
                it.estimate - reach,
                it.estimate + reach,
                it.within,
                it.between,
                it.riv,
                it.lambda,
                it.fmi,
            ];
            tidy.rows.push([vec![text(name)], numbers.map(Cell::Number).to_vec()].concat());
        }
        let cells = [
            ("nimp", Cell::Count(self.imputations as f64)),
            ("cycles", Cell::Count(f64::from(self.cycles))),
            ("nobs", Cell::Count(n)),
        ];
        let glance = Table::of_one("glance", cells);
        let kind = if self.analysed.logistic { "Logistic" } else { "Linear" };
        let notes = vec![
            "values are drawn with secret randomness: asked again, the numbers differ a little; more \
             imputations make them steadier"
                .to_owned(),
        ];
        let title = format!("{kind} regression after multiple imputation");
        Ok(Findings {
            title,
            tables: vec![tidy, glance],
            notes,
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
