//! Kaplan-Meier curves by group over all centres, with the log-rank test.
//!
//! # Local step
//! Each centre counts its events and censorings by group, and by stratum of the test, on the public
//! time grid of the dictionary.
//!
//! # Secure step
//! Patients at risk are running sums. Survival is a product over the grid of `1 - d/n`, Greenwood's
//! sum and the log-rank sums follow, all on shares; strata add up their log-rank sums, curves and
//! medians are of all strata together. The median and its limits are found on shares, and the mean
//! up to a public time is an area on shares, shown where enough patients are at risk at that time.
//! A point of the curve is shown when, since the last shown one, at least as many events have
//! happened as the policy's threshold and as many patients are still at risk, also without those who
//! may subtract their own.
//!
//! # Opens
//! To the centres: whether cohort and events are large enough. No count at any time.
//!
//! # Release
//! For each group: patients, events, median with limits, the points of the curve that may be shown;
//! the restricted mean with its variance, if asked; the log-rank statistic over all groups with enough
//! patients, that of a trend if asked, observed and expected events of those with enough events.
//! Groups that are too small: nothing.
//!
//! # Sources
//! Kaplan and Meier (1958); Greenwood (1926); limits (Kalbfleisch and Prentice 2002, 1.4); log-rank:
//! Mantel (1966), Peto and Peto (1972); trend: Tarone (1975), Biometrika 62:679; restricted mean:
//! Klein and Moeschberger (2003), Survival Analysis, 4.5.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::curves::{Columns, Exact, Leaving, Places, at_risk, own_at_risk, rounded, shown_points};
use crate::describe::of_group;
use crate::grid::TimeGrid;
use crate::km_steps::{
    Compared, Curves, Scale, curves, log_rank, medians, restricted_means, stretches,
};
use crate::statistics::Z_975;
use konsil_cohort::design::{GroupedSurvival, Picked};
use konsil_cohort::{Dataset, Dictionary, Formula};
use konsil_disclosure::{
    Applicants, Counts, Policy, Release, Rounding, admit, large_enough, suppress,
};
use konsil_mpc::linear::ORDER_MAX;
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 8] = [ADMITTED, GROUPS, MEDIANS, MEANS, CURVE, RISK, LOG_RANK, TREND];

const ADMITTED: Opening = Opening {
    name: "km.admitted",
    says: "Whether the cohort has enough patients, events and centres.",
    to: Audience::Centres,
};
const GROUPS: Opening = Opening {
    name: "km.groups",
    says: "Patients and events of each group over all centres, unless too few.",
    to: Audience::Researcher,
};
pub(crate) const MEDIANS: Opening = Opening {
    name: "km.medians",
    says: "Median survival of each group and its 95 % limits.",
    to: Audience::Researcher,
};
pub(crate) const MEANS: Opening = Opening {
    name: "km.means",
    says: "Mean survival of each group up to a public time, with its variance, where asked for.",
    to: Audience::Researcher,
};
pub(crate) const CURVE: Opening = Opening {
    name: "km.curve",
    says: "Survival and Greenwood's sum at times between which enough events happened.",
    to: Audience::Researcher,
};
pub(crate) const RISK: Opening = Opening {
    name: "km.risk",
    says: "Patients at risk, and events since the last shown time, at the same times.",
    to: Audience::Researcher,
};
const LOG_RANK: Opening = Opening {
    name: "km.logrank",
    says: "The log-rank statistic; observed and expected events of groups with enough events.",
    to: Audience::Researcher,
};

const TREND: Opening = Opening {
    name: "km.trend",
    says: "The log-rank statistic for a trend over the groups, where asked for.",
    to: Audience::Researcher,
};

/// Times at which the curve may be shown unless the request says otherwise.
const POINTS: u32 = 60;

/// Most counts of one kind: groups times strata times points.
const COUNTS_MAX: usize = 2_000_000;

/// What one centre counts.
struct Local {
    /// Events, then censorings, `[group][stratum][point]`.
    counts: Vec<Word>,
    /// Events of all strata, `[group][point]`.
    events: Vec<Word>,
    /// Patients at risk in all strata, `[group][point]`.
    at_risk: Vec<Word>,
    /// Patients, then events, of each group.
    sizes: Vec<Word>,
    all: usize,
    happened: u64,
}

pub(crate) struct Km {
    pub(crate) plan: GroupedSurvival,
    pub(crate) grid: TimeGrid,
    pub(crate) shown: usize,
    pub(crate) scale: Scale,
    /// Time up to which the mean is taken.
    pub(crate) horizon: Option<f64>,
    trend: bool,
}

/// Checks a request: survival times have a public range and step.
///
/// # Errors
/// [`AnalysisError`] for a formula that is no grouped survival, or a grid that is too fine.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let Some(text) = &request.formula else {
        return Err(error("needs a formula, such as `Surv(months, died) ~ arm`".to_owned()));
    };
    let plan = GroupedSurvival::plan(&Formula::parse(text)?, dictionary)?;
    if plan.labels.len() > ORDER_MAX {
        return Err(error(format!("compares more than {ORDER_MAX} groups; merge levels")));
    }
    let grid = TimeGrid::new(&plan.time, plan.time_range, dictionary).map_err(error)?;
    let shown = shown_at_most(request, &grid)?;
    let scale = match request.conf_type.as_deref() {
        None | Some("log") => Scale::Log,
        Some("log-log") => Scale::LogLog,
        Some("plain") => Scale::Plain,
        Some(_) => return Err(error("knows conf_type log, log-log and plain".to_owned())),
    };
    let stretch = grid.start >= 0.0 && request.rmean.is_none_or(|it| it > 0.0 && it <= grid.last());
    if request.rmean.is_some() && !stretch {
        let what =
            "takes rmean after time 0 and within the range of the time, which begins at 0 or later";
        return Err(error(what.to_owned()));
    }
    if plan.labels.len() < 2 && (request.trend || !plan.strata.is_empty() || plan.strata_by_centre)
    {
        return Err(error("needs groups for a trend or strata".to_owned()));
    }
    Ok(Box::new(Km { plan, grid, shown, scale, horizon: request.rmean, trend: request.trend }))
}

/// How many points of a curve may be shown.
pub(crate) fn shown_at_most(request: &Request, grid: &TimeGrid) -> Result<usize, AnalysisError> {
    let shown = request.points.unwrap_or(POINTS);
    if !(2..=1000).contains(&shown) {
        return Err(AnalysisError::request(request, "shows between 2 and 1000 points"));
    }
    Ok(usize::try_from(shown).unwrap_or(grid.points).min(grid.points))
}

impl Km {
    pub(crate) fn groups(&self) -> usize {
        self.plan.labels.len()
    }

    /// Strata over all centres, and which is the first of centre `me`.
    fn strata(&self, (me, centres): (usize, usize)) -> (usize, usize) {
        let each = self.plan.strata_count;
        if self.plan.strata_by_centre { (centres * each, me * each) } else { (each, 0) }
    }

    /// This centre's counts.
    fn counts(
        &self,
        patients: Patients<'_>,
        (strata, first): (usize, usize),
    ) -> Result<Local, AnalysisError> {
        let (groups, points) = (self.groups(), self.grid.points);
        let half = groups * strata * points;
        let mut counts = vec![0; 2 * half];
        let (mut events, mut censored) = (vec![0; groups * points], vec![0; groups * points]);
        let (mut sizes, mut happenings) = (vec![0_u64; groups], vec![0_u64; groups]);
        if let Some(dataset) = patients {
            let rows = self.plan.rows(dataset)?;
            for (at, (time, event)) in rows.time.iter().zip(&rows.event).enumerate() {
                let index = |of: &[u32]| of.get(at).and_then(|it| usize::try_from(*it).ok());
                let (group, stratum) = (index(&rows.group), index(&rows.stratum));
                let (group, stratum) = (group.unwrap_or(0), first + stratum.unwrap_or(0));
                let place = self.grid.place(*time);
                counts[usize::from(!event) * half + (group * strata + stratum) * points + place] +=
                    1;
                let column = if *event { &mut events } else { &mut censored };
                column[group * points + place] += 1;
                sizes[group] += 1;
                happenings[group] += u64::from(*event);
            }
        }
        let (all, happened) = (sizes.iter().sum::<u64>(), happenings.iter().sum());
        sizes.extend(happenings);
        let sizes = sizes.into_iter().map(encode_count).collect();
        let all = usize::try_from(all).unwrap_or(usize::MAX);
        let at_risk = own_at_risk(&events, &censored, points);
        Ok(Local { counts, events, at_risk, sizes, all, happened })
    }

    /// Counts of all strata together, `[group][point]`.
    fn over_strata(&self, column: &Shared, strata: usize) -> Shared {
        let points = self.grid.points;
        let row = |group: usize| {
            let at = |stratum: usize| (group * strata + stratum) * points;
            (0..strata).fold(Shared::zeros(points), |sum, stratum| {
                sum.plus(&column.slice(at(stratum), at(stratum) + points))
            })
        };
        Shared::concat(&(0..self.groups()).map(row).collect::<Vec<_>>())
    }

    /// The test's counts: those of the curves, or by strata.
    fn compared(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (pooled, curves, strata): (&Shared, &Curves, usize),
    ) -> Result<Compared, AnalysisError> {
        let (groups, points) = (self.groups(), self.grid.points);
        if strata == 1 {
            let (events, at_risk) = (curves.events.clone(), curves.at_risk.clone());
            return Ok(Compared { events, at_risk, groups, times: points });
        }
        let half = groups * strata * points;
        let exact = (pooled.slice(0, half), pooled.slice(half, 2 * half));
        let shape = (groups * strata, points);
        let counts = rounded(session, &setting.policy, &exact, points)?;
        let at_risk = at_risk(&counts, shape);
        Ok(Compared { events: counts.0, at_risk, groups, times: strata * points })
    }

    /// Restricted means of the groups that may show them and have enough patients at risk at the end.
    fn means(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (curves, own): (&Curves, &Local),
        horizon: f64,
    ) -> Result<(Shared, Shared), AnalysisError> {
        let (groups, points) = (self.groups(), self.grid.points);
        let (start, step) = (self.grid.start, self.grid.step);
        let last = (0..points).rfind(|at| self.grid.time(*at as f64) <= horizon).unwrap_or(0);
        let at_end = Places { curves: groups, points, at: &[last] };
        let at_risk = Counts::input(session, &setting.policy, &at_end.own(&own.at_risk))?;
        let enough = large_enough(session, &setting.policy, &at_risk)?;
        let stretches = stretches((start / step, horizon / step), points);
        Ok((enough, restricted_means(session, curves, &stretches)?))
    }

    /// Releases the points of the curves that may be shown.
    fn release_curves(
        &self,
        session: &mut dyn Session,
        policy: &Policy,
        (curves, exact, own): (&Curves, &Leaving, &Local),
    ) -> Result<(), AnalysisError> {
        let (groups, points) = (self.groups(), self.grid.points);
        let at = self.grid.places(self.shown);
        let places = Places { curves: groups, points, at: &at };
        let judged = Exact {
            events: &exact.0,
            at_risk: &at_risk(exact, (groups, points)),
            own_events: &own.events,
            own_at_risk: &own.at_risk,
        };
        let columns = Columns {
            values: &[places.of(&curves.survival), places.of(&curves.greenwood)],
            happened: places.happened(&curves.events),
            at_risk: places.of(&curves.at_risk),
        };
        let shown = shown_points(session, policy, places, &judged, &columns)?;
        session.release(CURVE, &shown.values)?;
        let rounding = encode_count(u64::from(policy.rounding != Rounding::None));
        let rounding = session.constant(&[rounding]);
        Ok(session.release(RISK, &Shared::concat([&shown.counts, &rounding]))?)
    }
}

impl Analysis for Km {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (groups, shown) = (self.groups(), self.shown);
        let mut lines = vec![format!(
            "{groups} curves of at most {shown} points, medians with limits, patients, events; groups and points with few events suppressed"
        )];
        if groups > 1 {
            lines.push(format!(
                "log-rank statistic; observed and expected events of {groups} groups, unless too few"
            ));
        }
        lines
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = vec![
            self.grid.describe(&self.plan.time),
            format!("groups: {}", self.plan.labels.join(", ")),
        ];
        if !self.plan.strata.is_empty() {
            lines.push(format!("test by strata of {}", self.plan.strata.join(", ")));
        }
        lines.extend(self.plan.notes.iter().cloned());
        lines
    }

    fn sets(&self) -> usize {
        self.groups()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let groups = self.plan.groups(patients)?;
        let groups = groups.into_iter().map(|it| usize::try_from(it?).ok()).collect::<Vec<_>>();
        Ok((0..self.sets()).map(|group| of_group(&groups, group)).collect())
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let place = (session.party(), session.parties());
        let (groups, points, policy) = (self.groups(), self.grid.points, &setting.policy);
        let (strata, first) = self.strata(place);
        if groups * strata * points > COUNTS_MAX {
            let what = format!(
                "{points} times of {groups} groups in {strata} strata are too many; declare coarser \
                 times, or ask for fewer strata"
            );
            return Err(AnalysisError::Request { id: "km".to_owned(), what });
        }
        let own = self.counts(patients, (strata, first))?;
        let also = [own.happened];
        let applicants = Applicants { patients: own.all, also: &also, ..Applicants::default() };
        admit(session, ADMITTED, policy, applicants)?;
        let pooled = session.input(&own.counts)?;
        let half = groups * strata * points;
        let exact = (
            self.over_strata(&pooled.slice(0, half), strata),
            self.over_strata(&pooled.slice(half, 2 * half), strata),
        );
        let shape = (groups, points);
        let counts = rounded(session, policy, &exact, points)?;
        let curves = curves(session, &counts, shape)?;
        let sizes = Counts::input(session, policy, &own.sizes)?;
        let verdicts = large_enough(session, policy, &sizes)?;
        let sizes = curves.sizes();
        // a group shows its size when it is large enough, all else when it also has the events
        let events = verdicts.slice(groups, 2 * groups);
        let taking_part = verdicts.slice(0, groups);
        let both = session.multiply_raw(&taking_part, &events)?;
        let verdicts = Shared::concat([&taking_part, &both]);
        let masked = suppress(session, &verdicts, &sizes)?;
        session.release(GROUPS, &Shared::concat([&verdicts, &masked]))?;
        let medians = medians(session, &curves, (self.scale, Z_975))?;
        let medians = suppress(session, &both.repeat(4), &medians)?;
        session.release(MEDIANS, &medians)?;
        if let Some(horizon) = self.horizon {
            let (enough, means) = self.means(session, setting, (&curves, &own), horizon)?;
            let enough = session.multiply_raw(&enough, &both)?;
            let means = suppress(session, &enough.repeat(2), &means)?;
            session.release(MEANS, &Shared::concat([&enough, &means]))?;
        }
        self.release_curves(session, policy, (&curves, &exact, &own))?;
        if groups > 1 {
            let compared = self.compared(session, setting, (&pooled, &curves, strata))?;
            let (sums, trend) = log_rank(session, &compared, (&taking_part, &both), self.trend)?;
            session.release(LOG_RANK, &sums)?;
            if self.trend {
                session.release(TREND, &trend)?;
            }
        }
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let groups = self.groups();
        let sizes = release.counts(GROUPS)?;
        let mut tables = vec![self.tidy(release, &sizes)?, self.curve_table(release)?];
        if groups > 1 {
            tables.push(self.test_table(&release.reals(LOG_RANK)?, &sizes));
        }
        if self.trend {
            tables.push(self.trend_table(&release.reals(TREND)?, &sizes));
        }
        let notes = vec![
            "points of the curve with too few events since the last one are not shown".to_owned(),
        ];
        Ok(Findings {
            title: "Kaplan-Meier".to_owned(),
            tables,
            notes,
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
