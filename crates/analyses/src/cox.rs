//! Cox proportional hazards regression over all centres, ties by Efron or Breslow.
//!
//! # Local step
//! Each centre sums `exp(x beta)`, `x exp(x beta)` and `x x' exp(x beta)` over its patients at risk
//! at every point of the dictionary's time grid, in every stratum; for Efron's ties also over those
//! who have the event there.
//!
//! # Secure step
//! The sums are added under sharing and stay shared, as do the number of events at each time and the
//! number at risk. Means over the risk sets, gradient, information and the Newton step follow on
//! shares, as does the logarithm of the partial likelihood.
//!
//! # Opens
//! To the centres: whether cohort and events are large enough, whether columns can be told apart,
//! whether a column or a patient stands apart, whether some time has more events than Efron's method
//! is prepared for, and the change of the coefficients in each step. Nothing else about any time.
//!
//! # Release
//! Coefficients and their variances, the partial likelihood without and with the covariates,
//! patients, events.
//!
//! # Sources
//! Cox (1972), J. R. Stat. Soc. B 34:187; ties: Breslow (1974), Biometrics 30:89, and
//! Efron (1977), J. Am. Stat. Assoc. 72:557; strata and left
//! truncation: Therneau and Grambsch (2000), Modeling Survival Data, 3.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::cox_steps::Course;
use crate::design::Model;
use crate::fit::{
    VARIANCE_BITS, inverse_again, reals, standard_errors, symmetric, tidy, variances,
};
use crate::grid::TimeGrid;
use crate::statistics::{Z_975, p_chi_squared, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::{DesignMatrix, Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Candidates, Release, Supports, admit, stand_apart};
use konsil_kernels::{FollowUp, gram_sums, leverage_rows, risk_sums};
use konsil_mpc::linear::{complement, inverse};
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, encode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 9] =
    [ADMITTED, UNSOUND, APART, TIES, STEP, COEFFICIENTS, VARIANCES, LIKELIHOOD, COUNTS];

const ADMITTED: Opening = Opening {
    name: "cox.admitted",
    says: "Whether the cohort has enough patients, events and centres.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "cox.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "cox.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const TIES: Opening = Opening {
    name: "cox.ties",
    says: "Whether some time has more events than Efron's method is prepared for.",
    to: Audience::Centres,
};
const STEP: Opening = Opening {
    name: "cox.step",
    says: "The change of the coefficients in each Newton step.",
    to: Audience::Centres,
};
const COEFFICIENTS: Opening = Opening {
    name: "cox.coefficients",
    says: "The coefficients, and the size of the last Newton step.",
    to: Audience::Researcher,
};
const VARIANCES: Opening = Opening {
    name: "cox.variances",
    says: "The variances of the coefficients.",
    to: Audience::Researcher,
};
const LIKELIHOOD: Opening = Opening {
    name: "cox.likelihood",
    says: "The logarithm of the partial likelihood, without and with the covariates.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "cox.counts",
    says: "How many patients and events there are over all centres.",
    to: Audience::Researcher,
};

/// Newton steps unless the request says otherwise.
const ITERATIONS: u32 = 8;
/// A scaled coefficient of this size has diverged.
const DIVERGED: f64 = 30.0;
/// Most events at one time that Efron's method is ever prepared for.
const LAYERS_MAX: usize = 1024;
/// Most sums over risk sets: points times strata times columns and their products.
const SUMS_MAX: usize = 2_000_000;

struct Cox {
    model: Model,
    grid: TimeGrid,
    time: String,
    iterations: u32,
    efron: bool,
    ties_max: Option<usize>,
}

/// One centre's patients.
struct Local {
    x: Vec<f64>,
    offset: Vec<f64>,
    /// By stratum: which patients, and their follow-up.
    strata: Vec<(Vec<usize>, Vec<FollowUp>)>,
    supports: Supports,
    events: u64,
}

/// Checks a request: survival times have a public range and step.
///
/// # Errors
/// [`AnalysisError`] for a formula that is no survival model, or a grid that is too fine.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let model = Model::survival(request, dictionary)?;
    let Response::Survival { time_range, .. } = model.design.response else {
        return Err(error("needs Surv(time, event) on the left of `~`".to_owned()));
    };
    let time = model.design.time().unwrap_or_default();
    let grid = TimeGrid::new(&time, time_range, dictionary).map_err(error)?;
    let iterations = request.iterations.unwrap_or(ITERATIONS);
    if !(2..=50).contains(&iterations) {
        return Err(error("needs between 2 and 50 iterations".to_owned()));
    }
    let efron = match request.ties.as_deref() {
        Some("efron") => true,
        None | Some("breslow") => false,
        Some(_) => return Err(error("knows the ties efron and breslow".to_owned())),
    };
    let ties_max = request.ties_max.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
    if ties_max.is_some_and(|it| !efron || !(1..=LAYERS_MAX).contains(&it)) {
        let what = format!("takes ties_max from 1 to {LAYERS_MAX}, with ties = \"efron\"");
        return Err(error(what));
    }
    Ok(Box::new(Cox { model, grid, time, iterations, efron, ties_max }))
}

impl Cox {
    /// Strata over all centres, and which is the first of centre `me`.
    fn strata(&self, (me, centres): (usize, usize)) -> (usize, usize) {
        let each = self.model.design.strata_count;
        if self.model.design.strata_by_centre { (centres * each, me * each) } else { (each, 0) }
    }

    fn local(&self, patients: Patients<'_>, first: usize) -> Result<Local, AnalysisError> {
        let count = first + self.model.design.strata_count;
        let mut local = Local {
            x: Vec::new(),
            offset: Vec::new(),
            strata: vec![(Vec::new(), Vec::new()); count],
            supports: Supports::none(self.model.picking()),
            events: 0,
        };
        let Some(dataset) = patients else {
            return Ok(local);
        };
        let DesignMatrix { mut x, survival, offset, strata, .. } =
            self.model.design.matrix(dataset)?;
        local.supports = self.model.supports(&x);
        self.model.scale(&mut x);
        let times = survival.iter().flat_map(|it| it.time.iter().zip(&it.event));
        for (at, (time, event)) in times.enumerate() {
            // at risk after the start of follow-up, up to its end
            let start = survival.as_ref().and_then(|it| it.start.as_ref()?.get(at));
            let from = start.map_or(0, |start| self.grid.place(*start) + 1);
            let to = self.grid.place(*time);
            let stratum = strata.get(at).and_then(|it| usize::try_from(*it).ok()).unwrap_or(0);
            if let Some((rows, follow_up)) = local.strata.get_mut(first + stratum) {
                rows.push(at);
                follow_up.push(FollowUp { from: from.min(to), to, event: *event });
            }
            local.events += u64::from(*event);
        }
        (local.x, local.offset) = (x, offset);
        Ok(local)
    }

    /// This centre's sums over its risk sets, `[column][stratum][point]`.
    fn sums(&self, own: &Local, beta: &[f64], strata: usize) -> Result<Vec<Word>, AnalysisError> {
        let (p, points) = (beta.len(), self.grid.points);
        let both = 1 + usize::from(self.efron);
        let mut columns = vec![vec![0; strata * points]; both * (1 + p + p * (p + 1) / 2)];
        for (stratum, (rows, follow_up)) in own.strata.iter().enumerate() {
            let x: Vec<f64> = (rows.iter())
                .flat_map(|row| own.x.get(row * p..(row + 1) * p).unwrap_or_default())
                .copied()
                .collect();
            let offset: Vec<f64> =
                rows.iter().filter_map(|row| own.offset.get(*row)).copied().collect();
            let sums = risk_sums((&x, &offset), follow_up, beta, points)?;
            let all = sums.columns.iter().chain(&sums.of_events);
            for (into, column) in columns.iter_mut().zip(all) {
                into[stratum * points..(stratum + 1) * points].copy_from_slice(column);
            }
        }
        Ok(columns.concat())
    }

    /// Events and patients at risk, `[2][stratum][point]`, then the events' columns.
    fn course(&self, own: &Local, strata: usize) -> Result<Vec<Word>, AnalysisError> {
        let (p, points) = (self.model.order(), self.grid.points);
        let mut counts = vec![0; 2 * strata * points];
        let mut event_x = vec![0; p];
        for (stratum, (rows, follow_up)) in own.strata.iter().enumerate() {
            for (row, it) in rows.iter().zip(follow_up) {
                if it.event {
                    counts[stratum * points + it.to] += 1;
                    let x = own.x.get(row * p..(row + 1) * p).unwrap_or_default();
                    konsil_kernels::add_rounded(&mut event_x, x)?;
                }
                for at in it.from..=it.to {
                    counts[(strata + stratum) * points + at] += 1;
                }
            }
        }
        Ok([counts, event_x].concat())
    }

    /// This centre's sum of the events' linear predictors.
    fn predictors(own: &Local, beta: &[f64]) -> f64 {
        let p = beta.len();
        let predictor = |row: usize| -> f64 {
            let x = own.x.get(row * p..(row + 1) * p).unwrap_or_default();
            let eta: f64 = x.iter().zip(beta).map(|(x, b)| x * b).sum();
            eta + own.offset.get(row).copied().unwrap_or(0.0)
        };
        let all = own.strata.iter().flat_map(|(rows, follow_up)| rows.iter().zip(follow_up));
        all.filter(|(_, it)| it.event).map(|(row, _)| predictor(*row)).sum()
    }

    /// Verdicts on columns and patients, from the Gram matrix of the columns and a constant.
    fn check(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        own: &Local,
    ) -> Result<(), AnalysisError> {
        let p = self.model.order();
        let with_one: Vec<f64> = own.x.chunks(p).flat_map(|row| [row, &[1.0]].concat()).collect();
        let y = vec![0.0; with_one.len() / (p + 1)];
        let gram = gram_sums(&with_one, &y, p + 1)?;
        let gram = session.input(&gram.products)?;
        let inverse = inverse(session, &symmetric(&gram, p + 1), p + 1)?;
        let sound = inverse.sound(session)?;
        let sound = session.to_integers(&sound)?;
        let unsound = complement(session, &sound);
        let opened = session.open(UNSOUND, &unsound)?;
        let names = self.model.names().zip(&opened).filter(|(_, unsound)| **unsound != 0);
        let columns: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
        if opened.iter().any(|it| *it != 0) {
            return Err(AnalysisError::Collinear { columns });
        }
        let percent = usize::try_from(setting.policy.leverage_percent_max).unwrap_or(100).max(1);
        let count = (100 * (p + 1)).div_ceil(percent);
        let rows = leverage_rows(&with_one, &[], p + 1, count);
        let candidates = Candidates { supports: &own.supports, rows: &rows };
        Ok(stand_apart(session, APART, &setting.policy, &candidates, &inverse)?)
    }
}

impl Analysis for Cox {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.model.order();
        vec![
            format!(
                "{p} log hazard ratios, {p} standard errors, 1 likelihood ratio, patients, events"
            ),
            format!("to the centres: the coefficients after each of {} steps", self.iterations),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.model.understood();
        lines.push(self.grid.describe(&self.time));
        lines.push(match (self.efron, self.ties_max) {
            (false, _) => "ties by Breslow (ties = \"efron\" is what R does unasked)".to_owned(),
            (true, None) => "ties by Efron".to_owned(),
            (true, Some(most)) => format!("ties by Efron, at most {most} events at a time"),
        });
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
        let (p, place) = (self.model.order(), (session.party(), session.parties()));
        let (strata, first) = self.strata(place);
        let points = strata * self.grid.points;
        let layered = self.ties_max.unwrap_or(0) * points;
        if points * (1 + p + p * (p + 1) / 2) > SUMS_MAX || layered > SUMS_MAX {
            let what = format!(
                "{points} times and strata with {p} columns are too many; declare coarser times, or \
                 ask for fewer strata or columns"
            );
            return Err(AnalysisError::Request { id: "cox".to_owned(), what });
        }
        let own = self.local(patients, first)?;
        let known = own.x.len() / p.max(1);
        let events = [own.events];
        let applicants =
            Applicants { patients: known, parameters: p, statistics: 0, also: &events };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        self.check(session, setting, &own)?;
        let course = session.input(&self.course(&own, strata)?)?;
        let (happened, at_risk) = (course.slice(0, points), course.slice(points, 2 * points));
        let event_x = course.slice(2 * points, course.len());
        let usual = || layers(points, &setting.rows_at_most);
        let layers = if self.efron { self.ties_max.unwrap_or_else(usual) } else { 0 };
        let course = Course::new(session, (happened, &at_risk), event_x, layers)?;
        if self.efron {
            let more = course.too_many_ties(session)?;
            if session.open(TIES, &more)?.first() != Some(&0) {
                return Err(AnalysisError::Ties { most: layers });
            }
        }
        let fit = self.fit(session, (&own, strata), &course)?;
        let patients = encode_count(u64::try_from(known).unwrap_or(u64::MAX));
        let counts = session.input(&[patients, encode_count(own.events)])?;
        session.release(COEFFICIENTS, &fit.coefficients)?;
        session.release(VARIANCES, &fit.variances)?;
        session.release(LIKELIHOOD, &fit.likelihood)?;
        Ok(session.release(COUNTS, &counts)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut scaled = release.reals(COEFFICIENTS)?;
        let last = scaled.pop().unwrap_or(f64::NAN);
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let estimates = self.model.raw(&scaled);
        let errors = standard_errors(&self.model, &variances, 1.0);
        let tidy = tidy(&self.model, &estimates, &errors, (Z_975, &p_normal, true));
        let number = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
        let likelihood = release.reals(LIKELIHOOD)?;
        let (null, full) = (number(&likelihood, 0), number(&likelihood, 1));
        let counts = release.counts(COUNTS)?;
        let (n, events) = (number(&counts, 0), number(&counts, 1));
        let (converged, p) = (last < 1e-6, self.model.order() as f64);
        let ratio = 2.0 * (full - null);
        let cells = [
            ("n", Cell::Count(n)),
            ("nevent", Cell::Count(events)),
            ("statistic.log", Cell::Number(ratio)),
            ("p.value.log", Cell::Number(p_chi_squared(ratio, p))),
            ("df", Cell::Count(p)),
            ("logLik.null", Cell::Number(null)),
            ("logLik", Cell::Number(full)),
            ("AIC", Cell::Number(2.0 * (p - full))),
            ("BIC", Cell::Number(p * events.ln() - 2.0 * full)),
            ("nobs", Cell::Count(n)),
            ("iter", Cell::Count(f64::from(self.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        let mut notes = Vec::new();
        if !converged {
            notes.push(format!(
                "not converged: the last step still changed a coefficient by {last:.2e}"
            ));
        }
        let tables = vec![tidy, Table::of_one("glance", cells)];
        let title = "Cox regression".to_owned();
        Ok(Findings { title, tables, notes, found_percent_below: None })
    }
}

/// Most events at one time that Efron's method is prepared for, from public sizes: four times as many
/// as there were if all patients had one, evenly spread, and six; 256 unless asked for more.
fn layers(points: usize, rows_at_most: &[usize]) -> usize {
    let rows: usize = rows_at_most.iter().sum();
    (rows.saturating_mul(4) / points.max(1) + 6).min(256)
}

/// What the fit ends with.
struct Ends {
    /// Scaled coefficients and the size of the last step.
    coefficients: Shared,
    variances: Shared,
    likelihood: Shared,
}

impl Cox {
    /// Newton steps with opened coefficients.
    fn fit(
        &self,
        session: &mut dyn Session,
        (own, strata): (&Local, usize),
        course: &Course,
    ) -> Result<Ends, AnalysisError> {
        let mut beta: Vec<Word> = vec![0; self.model.order()];
        let (mut before, mut last) = (0.0, 0.0_f64);
        let mut null = None;
        for _ in 0..self.iterations {
            let sums = session.input(&self.sums(own, &reals(&beta), strata)?)?;
            if null.is_none() {
                null = Some(self.likelihood(session, own, (&beta, course, &sums))?);
            }
            let (gradient, information) = course.newton(session, &sums)?;
            let inverse = inverse_again(session, &self.model, &information, None)?;
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
        if last > 0.1 && last > before / 2.0 {
            return Err(AnalysisError::Separation);
        }
        let sums = session.input(&self.sums(own, &reals(&beta), strata)?)?;
        let full = self.likelihood(session, own, (&beta, course, &sums))?;
        let (_, information) = course.newton(session, &sums)?;
        let inverse = inverse_again(session, &self.model, &information, None)?;
        let variances = variances(session, &self.model, &inverse)?;
        let coefficients = session.constant(&[beta, vec![encode(last)?]].concat());
        let likelihood = Shared::concat([&null.unwrap_or_default(), &full]);
        Ok(Ends { coefficients, variances, likelihood })
    }

    /// The logarithm of the partial likelihood.
    fn likelihood(
        &self,
        session: &mut dyn Session,
        own: &Local,
        (beta, course, sums): (&[Word], &Course, &Shared),
    ) -> Result<Shared, AnalysisError> {
        let own = session.input(&[encode(Self::predictors(own, &reals(beta)))?])?;
        Ok(own.minus(&course.log_risks(session, sums)?))
    }
}
