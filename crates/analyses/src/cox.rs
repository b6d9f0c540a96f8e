//! Cox proportional hazards regression over all centres, ties by Efron or Breslow.
//!
//! # Local step
//! Each centre sums `exp(x beta)`, `x exp(x beta)` and `x x' exp(x beta)` over its patients at risk
//! at every point of the dictionary's time grid, in every stratum; for Efron's ties also over those
//! who have the event there. Case weights are factors of the risk. For robust variances it sums second
//! moments of its patients at the points where their follow-up ends, or sums of each cluster.
//!
//! # Secure step
//! The sums are added under sharing and stay shared, as do the number of events at each time and the
//! number at risk. Means over the risk sets, gradient, information and the Newton step follow on
//! shares, as does the logarithm of the partial likelihood. So do, where asked for: the sum of squared
//! scores of patients or clusters between two inverse informations; the score test for coefficients
//! that change in proportion to time; the concordance, by comparing pairs of patients; the baseline's
//! cumulative hazard, a running sum over the grid, of which a point is shown by the rules of survival
//! curves.
//!
//! # Opens
//! To the centres: whether cohort and events are large enough, whether columns can be told apart,
//! whether a column or a patient stands apart, whether some time has more events than Efron's method
//! is prepared for, and the change of the coefficients in each step. Nothing else about any time.
//!
//! # Release
//! Coefficients and their variances, the partial likelihood without and with the covariates,
//! patients, events; where asked for robust variances, statistics of the test of proportional hazards,
//! the concordance, points of the baseline's hazard with patients at risk and events since the last
//! one.
//!
//! # Sources
//! Cox (1972), J. R. Stat. Soc. B 34:187; ties: Breslow (1974), Biometrics 30:89, and Efron (1977), J.
//! Am. Stat. Assoc. 72:557; strata and left truncation: Therneau and Grambsch (2000), Modeling Survival Data, 3; robust variances: Lin and Wei
//! (1989), J. Am. Stat. Assoc. 84:1074; proportional hazards: Grambsch and Therneau (1994),
//! Biometrika 81:515, as a score test; hazard: Breslow (1974), Efron (1977).

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::cox_concordance::{PAIRS_MAX, concordance, pairs};
use crate::cox_local::Local;
use crate::cox_steps::{Course, Parts};
use crate::design::{Clusters, Model};
use crate::fit::{check_columns, inverse_again, reals, variances};
use crate::grid::TimeGrid;
use crate::km::shown_at_most;
use konsil_cohort::design::{DesignMatrix, Picked, Response};
use konsil_cohort::{Dataset, Dictionary, Kind};
use konsil_disclosure::{Applicants, Release, Rounding, Supports, admit};
use konsil_kernels::FollowUp;
use konsil_mpc::linear::Inverse;
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, encode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 14] = [
    ADMITTED,
    UNSOUND,
    APART,
    TIES,
    STEP,
    COEFFICIENTS,
    VARIANCES,
    LIKELIHOOD,
    COUNTS,
    ROBUST,
    PROPORTIONAL,
    CONCORDANCE,
    BASELINE,
    RISK,
];

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
pub(crate) const STEP: Opening = Opening {
    name: "cox.step",
    says: "The change of the coefficients in each Newton step.",
    to: Audience::Centres,
};
pub(crate) const COEFFICIENTS: Opening = Opening {
    name: "cox.coefficients",
    says: "The coefficients, and the size of the last Newton step.",
    to: Audience::Researcher,
};
pub(crate) const VARIANCES: Opening = Opening {
    name: "cox.variances",
    says: "The variances of the coefficients.",
    to: Audience::Researcher,
};
pub(crate) const LIKELIHOOD: Opening = Opening {
    name: "cox.likelihood",
    says: "The logarithm of the partial likelihood, without and with the covariates.",
    to: Audience::Researcher,
};
pub(crate) const COUNTS: Opening = Opening {
    name: "cox.counts",
    says: "How many patients and events there are over all centres.",
    to: Audience::Researcher,
};

pub(crate) const ROBUST: Opening = Opening {
    name: "cox.robust",
    says: "The robust variances of the coefficients, where asked for.",
    to: Audience::Researcher,
};
pub(crate) const PROPORTIONAL: Opening = Opening {
    name: "cox.proportional",
    says: "The statistics of the test of proportional hazards, where asked for.",
    to: Audience::Researcher,
};
pub(crate) const CONCORDANCE: Opening = Opening {
    name: "cox.concordance",
    says: "Harrell's concordance, where asked for.",
    to: Audience::Researcher,
};
pub(crate) const BASELINE: Opening = Opening {
    name: "cox.baseline",
    says: "The baseline's cumulative hazard, where asked for, at times between which enough events happened.",
    to: Audience::Researcher,
};
pub(crate) const RISK: Opening = Opening {
    name: "cox.risk",
    says: "Patients at risk, and events since the last shown time, at the same times.",
    to: Audience::Researcher,
};

/// Newton steps unless the request says otherwise.
pub(crate) const ITERATIONS: u32 = 8;
/// A scaled coefficient of this size has diverged.
pub(crate) const DIVERGED: f64 = 30.0;
/// Most events at one time that Efron's method is ever prepared for.
const LAYERS_MAX: usize = 1024;
/// Most sums over risk sets: points times strata times columns and their products.
const SUMS_MAX: usize = 2_000_000;

pub(crate) struct Cox {
    pub(crate) model: Model,
    pub(crate) grid: TimeGrid,
    time: String,
    pub(crate) iterations: u32,
    efron: bool,
    ties_max: Option<usize>,
    /// Whether variances are robust.
    pub(crate) robust: bool,
    /// Values of the variable that makes clusters; one for the centre.
    pub(crate) clusters: Vec<f64>,
    /// Whether hazards are tested for being proportional.
    pub(crate) proportional: bool,
    /// Whether Harrell's concordance is computed.
    pub(crate) concordance: bool,
    /// How many points of the baseline may be shown; none where it is not asked for.
    pub(crate) baseline: Option<usize>,
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
    let clusters = clusters(&model, request, dictionary)?;
    let robust = match request.robust.as_deref() {
        None => *model.clusters() != Clusters::None,
        Some("HC0") => true,
        Some(_) => return Err(error("knows robust = \"HC0\", and cluster".to_owned())),
    };
    let alone = *model.clusters() == Clusters::None;
    let response = &model.design.response;
    let late = matches!(response, Response::Survival { delayed_entry: true, .. });
    if robust && alone && late {
        let what = "needs cluster for robust variances of patients who enter late";
        return Err(error(what.to_owned()));
    }
    let stratified = !model.design.strata.is_empty() || model.design.strata_by_centre;
    if request.baseline && stratified {
        return Err(error("shows a baseline of models without strata only".to_owned()));
    }
    let plain = !stratified && !late && !model.is_weighted();
    if request.concordance && !plain {
        let what = "has a concordance without strata, weights and late entry only";
        return Err(error(what.to_owned()));
    }
    let baseline = request.baseline.then(|| shown_at_most(request, &grid)).transpose()?;
    Ok(Box::new(Cox {
        model,
        grid,
        time,
        iterations,
        efron,
        ties_max,
        robust,
        clusters,
        proportional: request.zph,
        concordance: request.concordance,
        baseline,
    }))
}

/// Values of the variable that makes clusters, as a data set has them; one for the centre.
fn clusters(
    model: &Model,
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Vec<f64>, AnalysisError> {
    let Clusters::Variable(name) = model.clusters() else {
        return Ok(vec![0.0]);
    };
    let variable = dictionary.variable(name);
    let levels = variable.and_then(|it| it.factor_levels()).unwrap_or_default();
    let codes: Option<Vec<f64>> = levels.iter().map(|it| it.parse().ok()).collect();
    let category = variable.is_some_and(|it| it.kind == Kind::Category);
    let places = (0..levels.len()).map(|at| at as f64).collect();
    let values = if category { places } else { codes.unwrap_or(places) };
    if values.is_empty() {
        let what = format!("needs a public list of levels for cluster; `{name}` has none");
        return Err(AnalysisError::request(request, what));
    }
    Ok(values)
}

impl Cox {
    /// Strata over all centres, and which is the first of centre `me`.
    fn strata(&self, (me, centres): (usize, usize)) -> (usize, usize) {
        let each = self.model.design.strata_count;
        if self.model.design.strata_by_centre { (centres * each, me * each) } else { (each, 0) }
    }

    fn local(
        &self,
        patients: Patients<'_>,
        strata: usize,
        first: usize,
    ) -> Result<Local, AnalysisError> {
        let mut local = Local {
            x: Vec::new(),
            offset: Vec::new(),
            weights: Vec::new(),
            clusters: Vec::new(),
            strata: vec![(Vec::new(), Vec::new()); strata],
            supports: Supports::none(self.model.picking()),
            events: 0,
            p: self.model.order(),
            points: self.grid.points,
        };
        let Some(dataset) = patients else {
            return Ok(local);
        };
        let DesignMatrix { x, survival, offset, strata, besides, .. } =
            self.model.design.matrix(dataset)?;
        let mut besides = besides.into_iter();
        let weights = if self.model.is_weighted() { besides.next() } else { None };
        let clusters = besides.next().unwrap_or_default();
        let place = |value: &f64| self.clusters.iter().position(|it| it == value).unwrap_or(0);
        let mut rows = Vec::new();
        let times = survival.iter().flat_map(|it| it.time.iter().zip(&it.event));
        for (at, (time, event)) in times.enumerate() {
            let weight = weights.as_ref().map(|it| it.get(at).copied().unwrap_or(0.0));
            // who has weight 0 takes no part, as in R
            if weight.is_some_and(|it| it <= 0.0) {
                continue;
            }
            // at risk after the start of follow-up, up to its end
            let start = survival.as_ref().and_then(|it| it.start.as_ref()?.get(at));
            let from = start.map_or(0, |start| self.grid.place(*start) + 1);
            let to = self.grid.place(*time);
            let stratum = strata.get(at).and_then(|it| usize::try_from(*it).ok()).unwrap_or(0);
            if let Some((members, follow_up)) = local.strata.get_mut(first + stratum) {
                members.push(rows.len());
                follow_up.push(FollowUp { from: from.min(to), to, event: *event });
            }
            local.events += u64::from(*event);
            local.weights.extend(weight);
            local.offset.push(offset.get(at).copied().unwrap_or(0.0));
            local.clusters.extend(clusters.get(at).map(place));
            rows.push(at);
        }
        let row = |at: &usize| x.get(at * local.p..(at + 1) * local.p).unwrap_or_default();
        local.x = rows.iter().flat_map(row).copied().collect();
        local.supports = self.model.supports(&local.x);
        self.model.scale(&mut local.x);
        Ok(local)
    }
}

impl Cox {
    /// Refuses what is too large, and a baseline of exact counts where counts are rounded.
    fn check_size(
        &self,
        setting: &Setting,
        (strata, centres): (usize, usize),
    ) -> Result<(), AnalysisError> {
        let error = |what: String| Err(AnalysisError::Request { id: "cox".to_owned(), what });
        if self.baseline.is_some() && setting.policy.rounding != Rounding::None {
            return error("shows no baseline where counts of curves are rounded".to_owned());
        }
        let (p, points) = (self.model.order(), strata * self.grid.points);
        let layered = self.ties_max.unwrap_or(0) * points;
        let clusters = if self.robust { self.clusters.len() * centres } else { 0 };
        let sizes = [points * (1 + p + p * (p + 1) / 2), layered, clusters * points * (p + 2)];
        if sizes.iter().any(|size| *size > SUMS_MAX) {
            return error(format!(
                "{points} times and strata with {p} columns are too many; declare coarser times, or \
                 ask for fewer strata, clusters or columns"
            ));
        }
        if self.concordance && pairs(&setting.rows_at_most) > PAIRS_MAX {
            return error(format!(
                "compares up to {PAIRS_MAX} pairs of patients of different centres for a concordance; \
                 there are more"
            ));
        }
        Ok(())
    }
}

impl Analysis for Cox {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.model.order();
        let mut lines = vec![
            format!(
                "{p} log hazard ratios, {p} standard errors, 1 likelihood ratio, patients, events"
            ),
            format!("to the centres: the coefficients after each of {} steps", self.iterations),
        ];
        if self.robust {
            lines.push(format!("{p} robust standard errors"));
        }
        if self.proportional {
            lines.push(format!("{} statistics of a test of proportional hazards", p + 1));
        }
        if self.concordance {
            lines.push("Harrell's concordance".to_owned());
        }
        if let Some(shown) = self.baseline {
            lines.push(format!(
                "a baseline hazard of at most {shown} points; points with few events suppressed"
            ));
        }
        lines
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
        self.check_size(setting, (strata, session.parties()))?;
        let points = strata * self.grid.points;
        let own = self.local(patients, strata, first)?;
        let known = own.x.len() / p.max(1);
        let events = [own.events];
        let applicants =
            Applicants { patients: known, parameters: p, statistics: 0, also: &events };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let with_one = own.x.chunks(p.max(1)).flat_map(|row| [&[1.0], row].concat());
        let with_one: Vec<f64> = with_one.collect();
        let openings = (UNSOUND, APART);
        check_columns(session, openings, (&self.model, setting), (&with_one, &own.supports))?;
        let counts = own.counts();
        let event_x = own.event_columns(&[])?;
        let course = session.input(&[counts.as_slice(), &event_x].concat())?;
        let (happened, at_risk) = (course.slice(0, points), course.slice(points, 2 * points));
        let event_x = course.slice(2 * points, course.len());
        let weights = match self.model.is_weighted() {
            true => Some(session.input(&own.event_weights()?)?),
            false => None,
        };
        let usual = || layers(points, &setting.rows_at_most);
        let layers = if self.efron { self.ties_max.unwrap_or_else(usual) } else { 0 };
        let exact = (happened.clone(), &at_risk);
        let course = Course::new(session, exact, event_x, layers, weights)?;
        if self.efron {
            let more = course.too_many_ties(session)?;
            if session.open(TIES, &more)?.first() != Some(&0) {
                return Err(AnalysisError::Ties { most: layers });
            }
        }
        let fit = self.fit(session, &own, &course)?;
        let patients = encode_count(u64::try_from(known).unwrap_or(u64::MAX));
        let totals = session.input(&[patients, encode_count(own.events)])?;
        session.release(COEFFICIENTS, &fit.coefficients)?;
        session.release(VARIANCES, &fit.variances)?;
        session.release(LIKELIHOOD, &fit.likelihood)?;
        session.release(COUNTS, &totals)?;
        self.release_extras(session, (&own, strata), (&fit, &course))?;
        if self.concordance {
            let beta = reals(&fit.beta);
            let concordance = concordance(session, (&own, &beta), &setting.rows_at_most)?;
            session.release(CONCORDANCE, &concordance)?;
        }
        if let Some(shown) = self.baseline {
            let exact = (&happened, &at_risk, counts.as_slice());
            self.release_baseline(session, setting, (exact, &fit.parts), shown)?;
        }
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        self.findings(release)
    }
}

/// Most events at one time that Efron's method is prepared for, from public sizes: four times as many
/// as there were if all patients had one, evenly spread, and six; 256 unless asked for more.
fn layers(points: usize, rows_at_most: &[usize]) -> usize {
    let rows: usize = rows_at_most.iter().sum();
    (rows.saturating_mul(4) / points.max(1) + 6).min(256)
}

/// What the fit ends with.
pub(crate) struct Ends {
    /// Scaled coefficients.
    pub(crate) beta: Vec<Word>,
    /// Scaled coefficients and the size of the last step.
    coefficients: Shared,
    variances: Shared,
    likelihood: Shared,
    pub(crate) parts: Parts,
    /// The inverse information.
    pub(crate) inverse: Inverse,
}

impl Cox {
    /// Newton steps with opened coefficients.
    fn fit(
        &self,
        session: &mut dyn Session,
        own: &Local,
        course: &Course,
    ) -> Result<Ends, AnalysisError> {
        let mut beta: Vec<Word> = vec![0; self.model.order()];
        let (mut before, mut last) = (0.0, 0.0_f64);
        let mut null = None;
        for _ in 0..self.iterations {
            let sums = session.input(&own.sums(&reals(&beta), self.efron)?)?;
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
        let sums = session.input(&own.sums(&reals(&beta), self.efron)?)?;
        let full = self.likelihood(session, own, (&beta, course, &sums))?;
        let parts = course.means(session, &sums)?;
        let information = parts.information(session)?;
        let inverse = inverse_again(session, &self.model, &information, None)?;
        let variances = variances(session, &self.model, &inverse)?;
        let coefficients = session.constant(&[beta.as_slice(), &[encode(last)?]].concat());
        let likelihood = Shared::concat([&null.unwrap_or_default(), &full]);
        Ok(Ends { beta, coefficients, variances, likelihood, parts, inverse })
    }

    /// The logarithm of the partial likelihood.
    fn likelihood(
        &self,
        session: &mut dyn Session,
        own: &Local,
        (beta, course, sums): (&[Word], &Course, &Shared),
    ) -> Result<Shared, AnalysisError> {
        let own = session.input(&[encode(own.predictors(&reals(beta)))?])?;
        Ok(own.minus(&course.log_risks(session, sums)?))
    }
}
