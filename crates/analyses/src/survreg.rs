//! Weibull and exponential regression of times to an event over all centres.
//!
//! # Local step
//! At public parameters each centre computes gradient and information of its own patients, at the end
//! their log likelihood, in double precision and rounds every patient's terms to fixed point.
//!
//! # Secure step
//! The sums over the centres are shares already. The information is inverted on shares and multiplied
//! with the gradient: a Newton step in `1 / sigma` and `beta / sigma`, in which the likelihood is
//! concave. The number of steps is fixed beforehand. Variances come from the observed information in
//! `beta` and `ln sigma` at the end. A model of the intercept alone is fitted too.
//!
//! # Opens
//! To the centres: whether cohort and events are large enough; which columns cannot be told apart;
//! whether a column or a patient stands apart; the change of the parameters in each step of both
//! models. Not: any centre's sums, the pooled gradient, the information.
//!
//! # Release
//! Coefficients, the logarithm of the scale, their variances, the log likelihood without and with the
//! columns, patients, events.
//!
//! # Sources
//! Kalbfleisch and Prentice (2002), The Statistical Analysis of Failure Time Data, 3.6; concavity:
//! Burridge (1981), J. R. Stat. Soc. B 43:41.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::Model;
use crate::fit::{VARIANCE_BITS, check_columns, reals, symmetric};
use crate::statistics::{p_chi_squared, wald};
use crate::table::{Cell, Table};
use konsil_cohort::design::{DesignMatrix, Picked};
use konsil_cohort::{CohortError, Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, Supports, admit};
use konsil_kernels::{FitSums, Lifetimes};
use konsil_mpc::linear::inverse;
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, encode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 9] =
    [ADMITTED, UNSOUND, APART, STEP, NULL_STEP, COEFFICIENTS, VARIANCES, LIKELIHOOD, COUNTS];

const ADMITTED: Opening = Opening {
    name: "survreg.admitted",
    says: "Whether the cohort has enough patients, events and centres.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "survreg.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "survreg.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const STEP: Opening = Opening {
    name: "survreg.step",
    says: "The change of the parameters in each Newton step.",
    to: Audience::Centres,
};
const NULL_STEP: Opening = Opening {
    name: "survreg.nullstep",
    says: "The same for the model of the intercept alone.",
    to: Audience::Centres,
};
const COEFFICIENTS: Opening = Opening {
    name: "survreg.coefficients",
    says: "The coefficients, the logarithm of the scale, and the size of the last Newton step.",
    to: Audience::Researcher,
};
const VARIANCES: Opening = Opening {
    name: "survreg.variances",
    says: "The variances of the coefficients and of the logarithm of the scale.",
    to: Audience::Researcher,
};
const LIKELIHOOD: Opening = Opening {
    name: "survreg.likelihood",
    says: "The log likelihood, without and with the columns.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "survreg.counts",
    says: "How many patients and events there are over all centres.",
    to: Audience::Researcher,
};

/// Newton steps unless the request says otherwise.
const ITERATIONS: u32 = 12;
/// Largest change of a parameter in one step: what is far from the maximum overshoots otherwise.
const STRIDE: f64 = 3.0;
/// A scaled parameter of this size has diverged.
const DIVERGED: f64 = 200.0;

struct Survreg {
    model: Model,
    iterations: u32,
    /// Whether the scale is estimated: Weibull; otherwise it is 1.
    free: bool,
    /// The logarithm of the time less the first, divided by the second, is within -1 and 1.
    moved: (f64, f64),
}

/// One centre's patients.
struct Local {
    /// Columns with the constant first, `[patient][1 + p]`.
    x: Vec<f64>,
    y: Vec<f64>,
    event: Vec<bool>,
    weights: Vec<f64>,
    supports: Supports,
    /// The weighted sum of the logarithms of the events' times.
    log_times: f64,
}

/// What a fit ends with: `b` and `a`, and the size of the last step.
struct Fit {
    theta: Vec<f64>,
    last: f64,
}

/// Checks a request: survival times have a public range.
///
/// # Errors
/// [`AnalysisError`] for a formula that is no survival model, with strata or late entry.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let (model, time_range) = Model::plain_survival(request, dictionary)?;
    let time = model.design.time().unwrap_or_default();
    let step = dictionary.variable(&time).and_then(|it| it.step()).unwrap_or(1.0);
    let Some((low, high)) = time_range.filter(|(_, high)| *high > step) else {
        return Err(error(format!("`{time}` needs min and max in the dictionary")));
    };
    let (low, high) = (low.max(step).ln(), high.ln());
    let half = ((high - low) / 2.0).max(0.5);
    let free = match request.dist.as_deref() {
        None | Some("weibull") => true,
        Some("exponential") => false,
        Some(_) => return Err(error("knows the distributions weibull and exponential".to_owned())),
    };
    let iterations = request.iterations.unwrap_or(ITERATIONS);
    if !(2..=50).contains(&iterations) {
        return Err(error("needs between 2 and 50 iterations".to_owned()));
    }
    Ok(Box::new(Survreg { model, iterations, free, moved: (f64::midpoint(low, high), half) }))
}

impl Survreg {
    /// Columns with the constant.
    fn columns(&self) -> usize {
        1 + self.model.order()
    }

    /// `1 / sigma` in units of the moved logarithm of time, where `sigma` is 1.
    fn unit(&self) -> f64 {
        self.moved.1
    }

    fn local(&self, patients: Patients<'_>) -> Result<Local, AnalysisError> {
        let mut local = Local {
            x: Vec::new(),
            y: Vec::new(),
            event: Vec::new(),
            weights: Vec::new(),
            supports: Supports::none(self.model.picking()),
            log_times: 0.0,
        };
        let Some(dataset) = patients else {
            return Ok(local);
        };
        let DesignMatrix { x, survival, offset, besides, .. } =
            self.model.design.matrix(dataset)?;
        let (p, survival) = (self.model.order(), survival.into_iter());
        let weights = if self.model.is_weighted() { besides.into_iter().next() } else { None };
        let mut kept = Vec::new();
        let (middle, half) = self.moved;
        let times = survival.flat_map(|it| it.time.into_iter().zip(it.event));
        for ((at, (time, event)), row) in times.enumerate().zip(x.chunks(p.max(1))) {
            let weight = weights.as_ref().map(|it| it.get(at).copied().unwrap_or(0.0));
            // who has weight 0 takes no part, as in R
            if weight.is_some_and(|it| it <= 0.0) {
                continue;
            }
            if time <= 0.0 {
                let time = self.model.design.time().unwrap_or_default();
                return Err(CohortError::NotFinite { term: format!("log({time})") }.into());
            }
            let offset = offset.get(at).copied().unwrap_or(0.0);
            local.y.push((time.ln() - offset - middle) / half);
            local.event.push(event);
            local.log_times += f64::from(u8::from(event)) * weight.unwrap_or(1.0) * time.ln();
            local.weights.extend(weight);
            kept.extend(row);
        }
        local.supports = self.model.supports(&kept);
        self.model.scale(&mut kept);
        local.x = kept.chunks(p.max(1)).flat_map(|row| [&[1.0], row].concat()).collect();
        Ok(local)
    }

    /// Newton steps with opened parameters, on the columns of `data` or on the constant alone.
    fn fit(
        &self,
        session: &mut dyn Session,
        data: Lifetimes<'_>,
        (opening, columns): (Opening, usize),
    ) -> Result<Fit, AnalysisError> {
        let mut theta = vec![0.0; columns];
        theta.push(self.unit());
        let (mut before, mut last) = (0.0, 0.0_f64);
        for step in 0..self.iterations {
            let sums = match step {
                0 => data.start(columns, self.unit(), self.free)?,
                _ => data.step(&theta, self.free)?,
            };
            let order = sums.gradient.len();
            let (gradient, information, _) = pooled(session, &sums)?;
            let inverse = inverse(session, &symmetric(&information, order), order)?;
            let change = inverse.times(session, &gradient)?;
            let change = reals(&session.open(opening, &change)?);
            before = last;
            last = change.iter().fold(0.0, |largest, change| change.abs().max(largest));
            let shorter = (STRIDE / last).min(1.0);
            let (a, slope) = (theta[columns], change.get(columns).copied().unwrap_or(0.0));
            // the first step is a solution, not a change
            let factor = if step == 0 { 1.0 } else { shorter };
            theta.iter_mut().zip(&change).for_each(|(theta, change)| *theta += factor * change);
            theta[columns] = (a + factor * slope).max(a / 3.0);
            if theta.iter().any(|theta| theta.abs() > DIVERGED) {
                return Err(AnalysisError::Separation);
            }
        }
        // near a maximum a step is the square of the one before; on the way to infinity they are alike
        if last > 0.1 && last > before / 2.0 {
            return Err(AnalysisError::Separation);
        }
        Ok(Fit { theta, last })
    }

    /// What is left out of the kernel's likelihood: `-sum w e (ln half + ln t)`.
    fn constant(&self, own: &Local) -> Result<Word, AnalysisError> {
        let weight = |at: usize| own.weights.get(at).copied().unwrap_or(1.0);
        let events = own.event.iter().enumerate().filter(|(_, event)| **event);
        let events: f64 = events.map(|(at, _)| weight(at)).sum();
        Ok(encode(-events * self.moved.1.ln() - own.log_times)?)
    }

    /// Variances in units of the moved logarithm of time: of the raw intercept, the columns, the
    /// logarithm of the scale; 60 fractional bits.
    fn variances(
        &self,
        session: &mut dyn Session,
        information: &Shared,
        order: usize,
    ) -> Result<Shared, AnalysisError> {
        let inverse = inverse(session, &symmetric(information, order), order)?;
        let full = inverse.all_60(session)?;
        let columns = self.model.columns.iter().map(|(centre, scale)| -centre / scale);
        let mut factors: Vec<f64> = std::iter::once(1.0).chain(columns).collect();
        factors.resize(order, 0.0);
        let mut weights = Vec::with_capacity(order * order);
        for left in &factors {
            for right in &factors {
                weights.push(encode(left * right)?.cast_signed());
            }
        }
        let intercept = session.truncate(full.times_integers(&weights).total(), 40)?;
        let others = full.pick((1..order).map(|at| at * (order + 1)));
        Ok(Shared::concat([&intercept, &others]))
    }
}

/// Gradient, information and likelihood as shares of the pooled sums.
fn pooled(
    session: &mut dyn Session,
    sums: &FitSums,
) -> Result<(Shared, Shared, Shared), AnalysisError> {
    let mine = [sums.gradient.as_slice(), &sums.information, &[sums.deviance]].concat();
    let pooled = session.input(&mine)?;
    let (order, end) = (sums.gradient.len(), pooled.len() - 1);
    Ok((pooled.slice(0, order), pooled.slice(order, end), pooled.slice(end, end + 1)))
}

impl Analysis for Survreg {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.columns();
        let scale = if self.free { ", the scale with its error" } else { "" };
        vec![
            format!(
                "{p} coefficients, {p} standard errors{scale}, log likelihood without and with the \
                 columns, patients, events"
            ),
            format!("to the centres: the parameters after each of {} steps", self.iterations),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.model.understood();
        let kind = if self.free { "Weibull" } else { "exponential" };
        lines.push(format!("{kind} distribution, with an intercept, of the time"));
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
        let (own, columns) = (self.local(patients)?, self.columns());
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let known = own.y.len();
        let events = [number(own.event.iter().filter(|it| **it).count())];
        let parameters = columns + usize::from(self.free);
        let applicants = Applicants { patients: known, parameters, statistics: 0, also: &events };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let openings = (UNSOUND, APART);
        check_columns(session, openings, (&self.model, setting), (&own.x, &own.supports))?;
        let (event, weights) = (own.event.as_slice(), own.weights.as_slice());
        let ones = vec![1.0; known];
        let empty = Lifetimes { x: &ones, y: &own.y, event, weights };
        let data = Lifetimes { x: &own.x, ..empty };
        let null = self.fit(session, empty, (NULL_STEP, 1))?;
        let fit = self.fit(session, data, (STEP, columns))?;
        let constant = session.input(&[self.constant(&own)?])?;
        let (_, _, without) = pooled(session, &empty.end(&null.theta, self.free)?)?;
        let ends = data.end(&fit.theta, self.free)?;
        let (_, information, with) = pooled(session, &ends)?;
        let variances = self.variances(session, &information, ends.gradient.len())?;
        let a = fit.theta[columns];
        let mut coefficients: Vec<Word> =
            fit.theta[..columns].iter().map(|b| encode(b / a)).collect::<Result<_, _>>()?;
        coefficients.extend([encode(-a.ln())?, encode(fit.last.max(null.last))?]);
        let coefficients = session.constant(&coefficients);
        let counts = [encode_count(number(known)), encode_count(events[0])];
        let counts = session.input(&counts)?;
        session.release(COEFFICIENTS, &coefficients)?;
        session.release(VARIANCES, &variances)?;
        let likelihood = Shared::concat([&without, &with]).plus(&constant.repeat(2));
        session.release(LIKELIHOOD, &likelihood)?;
        Ok(session.release(COUNTS, &counts)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let scaled = release.reals(COEFFICIENTS)?;
        let last = scaled.last().copied().unwrap_or(f64::NAN);
        let converged = last < 1e-6;
        let mut notes = Vec::new();
        if !converged {
            notes.push(format!(
                "not converged: the last step still changed a parameter by {last:.2e}"
            ));
        }
        let kind = if self.free { "Weibull" } else { "Exponential" };
        let log_scale = scaled.get(self.columns()).copied().unwrap_or(f64::NAN);
        let log_scale = log_scale + self.moved.1.ln();
        let tables = vec![
            self.tidy(release, &scaled, log_scale)?,
            self.glance(release, log_scale, converged)?,
        ];
        let title = format!("{kind} regression");
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }
}

impl Survreg {
    fn tidy(
        &self,
        release: &Release,
        scaled: &[f64],
        log_scale: f64,
    ) -> Result<Table, AnalysisError> {
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let (middle, half) = self.moved;
        let errors: Vec<f64> = variances.iter().map(|it| it.max(0.0).sqrt()).collect();
        let (first, slopes) = scaled.split_first().unwrap_or((&f64::NAN, &[]));
        let mut rows = Vec::new();
        let mut intercept = half * first + middle;
        let columns = self.model.names().zip(&self.model.columns);
        for (((name, (centre, scale)), slope), error) in
            columns.zip(slopes).zip(errors.iter().skip(1))
        {
            let estimate = half * slope / scale;
            intercept -= estimate * centre;
            rows.push((name.to_owned(), estimate, half * error / scale));
        }
        let error = errors.first().map_or(f64::NAN, |it| half * it);
        rows.insert(0, ("(Intercept)".to_owned(), intercept, error));
        if self.free {
            let error = errors.last().copied().unwrap_or(f64::NAN);
            rows.push(("Log(scale)".to_owned(), log_scale, error));
        }
        let columns =
            ["term", "estimate", "std.error", "statistic", "p.value", "conf.low", "conf.high"];
        let mut table = Table::new("tidy", &columns);
        for (name, estimate, error) in rows {
            let numbers = wald(estimate, error).map(Cell::Number);
            table.rows.push([vec![Cell::Text(name)], numbers.to_vec()].concat());
        }
        Ok(table)
    }

    fn glance(
        &self,
        release: &Release,
        log_scale: f64,
        converged: bool,
    ) -> Result<Table, AnalysisError> {
        let number = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
        let likelihood = release.reals(LIKELIHOOD)?;
        let (null, full) = (number(&likelihood, 0), number(&likelihood, 1));
        let counts = release.counts(COUNTS)?;
        let (n, events) = (number(&counts, 0), number(&counts, 1));
        let (tested, df) =
            (self.model.order() as f64, (self.columns() + usize::from(self.free)) as f64);
        let ratio = 2.0 * (full - null);
        let scale = if self.free { log_scale.exp() } else { 1.0 };
        let cells = [
            ("scale", Cell::Number(scale)),
            ("df", Cell::Count(df)),
            ("statistic", Cell::Number(ratio)),
            ("p.value", Cell::Number(p_chi_squared(ratio, tested))),
            ("logLik.null", Cell::Number(null)),
            ("logLik", Cell::Number(full)),
            ("AIC", Cell::Number(2.0 * (df - full))),
            ("BIC", Cell::Number(df * n.ln() - 2.0 * full)),
            ("df.residual", Cell::Count(n - df)),
            ("nobs", Cell::Count(n)),
            ("nevent", Cell::Count(events)),
            ("iter", Cell::Count(f64::from(self.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        Ok(Table::of_one("glance", cells))
    }
}
