//! The model of a scan without variants of a survival time: Cox regression, exact on a few public
//! windows of time, events within a window tied (Breslow).
//!
//! Of window `j` let `d_j` be the events, and `S0_j`, `S1_j` the sums of `e = exp(x b)` and of `x e` over
//! the patients at risk. A patient whose follow-up ends in window `w` has the hazard
//! `L = sum_{j <= w} d_j / S0_j`, weighs `W = e L` and leaves `M = d - W`. Score and information of a
//! variant `g` are `sum M g` and
//!
//! `sum W g^2 - sum_j (sum W g c_j)^2 - i' I^-1 i`, with `c_j = sqrt(d_j) / (S0_j L)` of those at risk in
//! window `j`, 0 of others, `i = sum W g (x - m)`, `m = sum_{j <= w} d_j S1_j / S0_j^2 / L`,
//!
//! `I` being the covariates' information: what the windows and the covariates explain is projected out
//! as squares of sums with columns, as in logistic regression. Adding a constant to `g` changes neither.
//!
//! # Sources
//! Cox (1972), J. R. Stat. Soc. B 34:187; ties: Breslow (1974), Biometrics 30:89; martingale residuals
//! and score test: Therneau and Grambsch (2000), Modeling Survival Data, 3.1, 4.2.

use crate::analysis::{AnalysisError, Request};
use crate::cox::{DIVERGED, ITERATIONS, STEP};
use crate::cox_local::Local;
use crate::cox_steps::Course;
use crate::design::{Model, Rows};
use crate::fit::{check_columns, inverse_again, reals};
use crate::grid::TimeGrid;
use crate::gwas::{ADMITTED, APART, COVARIATES, RISKS, UNSOUND, WINDOWS};
use crate::gwas_block::score_lift;
use crate::gwas_local::{Columns, Linked, Target, turned};
use crate::gwas_null::{Fitted, Frame, Null, SETTLED, factor, put_beside};
use crate::gwas_windows::{Leaving, PLACES_MAX, WINDOWS_MAX, Windows, windows};
use konsil_cohort::design::{Design, DesignMatrix, Response};
use konsil_cohort::{Dictionary, Formula};
use konsil_disclosure::{Applicants, Rounding, Supports, admit};
use konsil_kernels::FollowUp;
use konsil_mpc::Session;
use konsil_ring::{Word, encode_count};

/// Linear predictors are kept within these bounds, as in the sums over the patients at risk.
const PREDICTOR_MAX: f64 = 14.0;

/// A survival time: the model of the formula, and with all covariates.
pub(crate) struct Survival {
    pub(crate) models: [Model; 2],
    grid: TimeGrid,
    time: String,
    pub(crate) iterations: u32,
}

/// One centre's rows of the model. Patient data.
#[derive(Default)]
struct Own {
    /// Events as the response.
    rows: Rows,
    /// The last point of the grid of each patient.
    points: Vec<usize>,
    /// Whom columns pick out, `[row][set]`.
    picked: Vec<bool>,
}

/// Whether a request's formula has a survival time.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary.
pub(crate) fn is_survival(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<bool, AnalysisError> {
    let Some(text) = &request.formula else { return Ok(false) };
    let design = Design::expand(&Formula::parse(text)?, dictionary)?;
    Ok(matches!(design.response, Response::Survival { .. }))
}

impl Survival {
    /// Checks a request; `names` are further covariates.
    ///
    /// # Errors
    /// [`AnalysisError`] for a time without a public grid, or anything that survival times do not take.
    pub(crate) fn of(
        request: &Request,
        dictionary: &Dictionary,
        names: &[String],
    ) -> Result<Self, AnalysisError> {
        let error = |what: String| AnalysisError::request(request, what);
        let refused = [
            ("sealed", request.sealed),
            ("meta", request.meta),
            ("background", request.background.is_some()),
            ("traits", !request.traits.is_empty()),
            ("correct", request.correct.is_some()),
            ("family", request.family.is_some()),
        ];
        if let Some((option, _)) = refused.iter().find(|(_, given)| *given) {
            return Err(error(format!("tests a survival time without `{option}`")));
        }
        let (model, range) = Model::plain_survival(request, dictionary)?;
        let time = model.design.time().unwrap_or_default();
        let grid = TimeGrid::new(&time, range, dictionary).map_err(error)?;
        let iterations = request.iterations.unwrap_or(ITERATIONS);
        if !(2..=50).contains(&iterations) {
            return Err(error("needs between 2 and 50 iterations".to_owned()));
        }
        let whole = model.with_names(names);
        Ok(Self { models: [model, whole], grid, time, iterations })
    }

    /// How the request was understood, line by line.
    pub(crate) fn understood(&self) -> Vec<String> {
        let mut lines = self.models[0].understood();
        lines.push(self.grid.describe(&self.time));
        lines.push(format!(
            "times are coarsened to at most {WINDOWS_MAX} windows, events within a window tied \
             (Breslow)"
        ));
        lines
    }

    /// What it reveals to the centres.
    pub(crate) fn reveals(&self) -> String {
        let order = self.models[1].order();
        format!(
            "to the centres: the {order} coefficients of the covariates after each of {} steps, and \
             {} numbers of their information; at most {WINDOWS_MAX} windows of time, in each the \
             events and {} sums over the patients at risk",
            self.iterations,
            order * (order + 1) / 2,
            1 + order
        )
    }

    /// This centre's patients who have genotypes and all values.
    fn own(&self, linked: Option<&Linked>) -> Result<Own, AnalysisError> {
        let model = &self.models[0];
        let mut own = Own::default();
        own.rows.supports = Supports::none(model.picking());
        let Some(linked) = linked else { return Ok(own) };
        let DesignMatrix { mut x, survival, kept, .. } = model.design.matrix(&linked.patients)?;
        if let Some(survival) = survival {
            own.points = survival.time.iter().map(|it| self.grid.place(*it)).collect();
            own.rows.y = survival.event.iter().map(|it| f64::from(u8::from(*it))).collect();
        }
        own.rows.supports = model.supports(&x);
        own.picked = model.picked(&x);
        model.scale(&mut x);
        (own.rows.x, own.rows.kept) = (x, kept);
        Ok(own)
    }

    /// Finds the windows, fits the model on them, and makes the columns of each patient.
    pub(crate) fn fit(
        &self,
        null: &Null,
        session: &mut dyn Session,
        frame: &Frame<'_>,
    ) -> Result<Fitted, AnalysisError> {
        let setting = frame.setting;
        let [given, model] = &self.models;
        if setting.policy.rounding != Rounding::None {
            let what = "tests no survival time where counts of curves are rounded".to_owned();
            return Err(AnalysisError::Request { id: "gwas".to_owned(), what });
        }
        let mut own = self.own(frame.linked)?;
        let order = model.order();
        let (patients, events) = (own.rows.y.len(), own.events());
        let parameters = (order + WINDOWS_MAX).max(frame.axes.parameters());
        let also = [events];
        let applicants = Applicants { patients, parameters, statistics: 0, also: &also };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let eigenvalues = put_beside(session, frame, (&mut own.rows, given.order()))?;
        let with_one = own.rows.x.chunks(order.max(1)).flat_map(|row| [&[1.0], row].concat());
        let with_one: Vec<f64> = with_one.collect();
        let columns = (with_one.as_slice(), &own.rows.supports);
        check_columns(session, (UNSOUND, APART), (model, setting), columns)?;
        let mut places = self.grid.places(PLACES_MAX.min(self.grid.points));
        places.pop();
        let leaving = own.leaving(given.picking());
        let windows = windows(session, setting, &places, &leaving)?;
        let found = self.found(session, &own.local(&windows, order))?;
        let mut fitted = null.planned(frame, eigenvalues);
        if let Some(linked) = frame.linked.filter(|_| patients > 0) {
            let lift = score_lift(setting, true);
            fitted.target = found.target(linked, (&own.rows, order), &own.ends(&windows), lift)?;
        }
        let count = encode_count(u64::try_from(windows.count()).unwrap_or(0));
        let counts = session.constant(&[windows.events, count]);
        fitted.squares = counts.integer_to_fixed();
        fitted.thresholds = null.thresholds(session, frame, &fitted)?;
        Ok(fitted)
    }

    /// Newton steps on the windows; then what all centres learn at the end.
    fn found(&self, session: &mut dyn Session, local: &Local) -> Result<Found, AnalysisError> {
        let model = &self.models[1];
        let order = model.order();
        let (counts, event_x) = (local.counts(), local.event_columns(&[])?);
        let course = session.input(&[counts.as_slice(), &event_x].concat())?;
        let happened = course.slice(0, WINDOWS_MAX);
        let events = session.open(WINDOWS, &happened)?;
        let events = events.iter().map(|it| *it as f64).collect();
        let mut found = Found { events, ..Found::default() };
        let at_risk = course.slice(WINDOWS_MAX, 2 * WINDOWS_MAX);
        let event_x = course.slice(2 * WINDOWS_MAX, course.len());
        let course = Course::new(session, (happened, &at_risk), event_x, 0, None)?;
        let mut beta: Vec<Word> = vec![0; order];
        let (mut before, mut last) = (0.0, 0.0_f64);
        for _ in 0..self.iterations {
            let sums = session.input(&local.sums(&reals(&beta), false)?)?;
            let (gradient, information) = course.newton(session, &sums)?;
            let inverse = inverse_again(session, model, &information, None)?;
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
        if last > SETTLED {
            let what = "the model without variants did not; ask for more `iterations`";
            return Err(AnalysisError::Unsettled { what });
        }
        found.beta = reals(&beta);
        let sums = session.input(&local.sums(&found.beta, false)?)?;
        found.risks = reals(&session.open(RISKS, &sums.slice(0, (1 + order) * WINDOWS_MAX))?);
        let information = course.means(session, &sums)?.information(session)?;
        found.information = reals(&session.open(COVARIATES, &information)?);
        Ok(found)
    }
}

impl Own {
    fn events(&self) -> u64 {
        u64::try_from(self.rows.y.iter().filter(|it| **it > 0.0).count()).unwrap_or(u64::MAX)
    }

    fn leaving(&self, sets: usize) -> Leaving<'_> {
        Leaving { points: &self.points, events: &self.rows.y, picked: &self.picked, sets }
    }

    /// The window in which each patient's follow-up ends.
    fn ends(&self, windows: &Windows) -> Vec<usize> {
        self.points.iter().map(|it| windows.of(*it)).collect()
    }

    /// The patients of a Cox model whose points are the windows.
    fn local(&self, windows: &Windows, order: usize) -> Local {
        let ends = self.ends(windows).into_iter().zip(&self.rows.y);
        let follow_up = ends.map(|(to, event)| FollowUp { from: 0, to, event: *event > 0.0 });
        Local {
            x: self.rows.x.clone(),
            offset: Vec::new(),
            weights: Vec::new(),
            clusters: Vec::new(),
            strata: vec![((0..self.rows.y.len()).collect(), follow_up.collect())],
            supports: Supports::none(0),
            events: self.events(),
            p: order,
            points: WINDOWS_MAX,
        }
    }
}

/// What all centres know of the model without variants.
#[derive(Default)]
struct Found {
    beta: Vec<f64>,
    /// Of each window.
    events: Vec<f64>,
    /// Sums over the patients at risk, of risks, then of each covariate times the risk:
    /// `[1 + covariate][window]`.
    risks: Vec<f64>,
    /// A triangle.
    information: Vec<f64>,
}

/// Sums over the windows up to one of them.
#[derive(Clone, Default)]
struct Risen {
    hazard: f64,
    /// Of each covariate.
    means: Vec<f64>,
    /// `sqrt(d_j) / S0_j` of each window up to this, 0 of later ones.
    roots: Vec<f64>,
}

impl Found {
    /// For each window.
    fn risen(&self, order: usize) -> Vec<Risen> {
        let mut so_far =
            Risen { hazard: 0.0, means: vec![0.0; order], roots: vec![0.0; WINDOWS_MAX] };
        let at = |column: usize, window: usize| {
            self.risks.get(column * WINDOWS_MAX + window).copied().unwrap_or(0.0)
        };
        let events = self.events.iter().enumerate();
        let each = events.map(|(window, events)| {
            let risk = at(0, window);
            if risk > 0.0 {
                so_far.hazard += events / risk;
                so_far.roots[window] = events.sqrt() / risk;
                for (column, mean) in so_far.means.iter_mut().enumerate() {
                    *mean += events * at(1 + column, window) / (risk * risk);
                }
            }
            so_far.clone()
        });
        each.collect()
    }

    /// What variants are compared with.
    fn target(
        &self,
        linked: &Linked,
        (rows, order): (&Rows, usize),
        ends: &[usize],
        lift: u32,
    ) -> Result<Target, AnalysisError> {
        let lower = factor(&self.information, order)?;
        let risen = self.risen(order);
        let (mut rest, mut weights) = (Vec::new(), Vec::new());
        let mut covariates = Vec::new();
        for (at, (event, end)) in rows.y.iter().zip(ends).enumerate() {
            let Some(Risen { hazard, means, roots }) = risen.get(*end) else { continue };
            let x = rows.x.get(at * order..(at + 1) * order).unwrap_or_default();
            let predictor: f64 = x.iter().zip(&self.beta).map(|(x, beta)| x * beta).sum();
            let weight = predictor.clamp(-PREDICTOR_MAX, PREDICTOR_MAX).exp() * hazard;
            weights.push(weight);
            rest.push(event - weight);
            // before the first event nobody has a weight
            let each = if *hazard > 0.0 { hazard.recip() } else { 0.0 };
            let centred: Vec<f64> = x.iter().zip(means).map(|(x, mean)| x - mean * each).collect();
            covariates.extend(turned(&centred, &lower, order));
            covariates.extend(roots.iter().map(|it| it * each));
        }
        let (traits, order) = ([rest], order + WINDOWS_MAX);
        let (traits, weights, covariates) =
            (traits.as_slice(), Some(weights.as_slice()), &covariates);
        let columns = Columns { traits, weights, covariates, order, lift };
        Ok(Target::new(linked, rows, columns))
    }
}
