//! Cumulative incidences of competing causes by group over all centres, with Gray's test.
//!
//! # Local step
//! Each centre counts its events by cause, and its censorings, by group on the public time grid of the
//! dictionary. The status' first level in the dictionary means censored, the others are causes.
//!
//! # Secure step
//! Patients at risk are running sums. The incidence of a cause is a running sum over the grid of
//! survival times `d_j / n`; variances and Gray's scores with their covariance follow, on shares. A
//! point of a curve is shown when, since the last shown one, at least as many events of its cause have
//! happened as the policy's threshold and as many patients are still at risk, also without those who
//! may subtract their own.
//!
//! # Opens
//! To the centres: whether cohort and events are large enough. No count at any time.
//!
//! # Release
//! For each group: patients, events of each cause, the points of the curves that may be shown with
//! their variances; for each cause with enough events Gray's statistic over all groups with enough
//! patients. Groups that are too small: nothing.
//!
//! # Sources
//! Aalen and Johansen (1978), Scand. J. Stat. 5:141; variances: Marubini and Valsecchi (1995),
//! Analysing Survival Data, 10.4; test: Gray (1988), Ann. Stat. 16:1141, with weight 1.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::cuminc_steps::{Incidences, Shape, incidences};
use crate::curves::{Columns, Exact, Places, at_risk, own_at_risk, rounded, shown_points};
use crate::describe::of_group;
use crate::grid::TimeGrid;
use crate::km::shown_at_most;
use crate::km_steps::GREENWOOD_BITS;
use crate::statistics::p_chi_squared;
use crate::table::{Cell, Table};
use konsil_cohort::design::{GroupedSurvival, Picked};
use konsil_cohort::{Dataset, Dictionary, Formula};
use konsil_disclosure::{
    Applicants, Counts, Policy, Release, Rounding, admit, large_enough, suppress,
};
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 5] = [ADMITTED, GROUPS, CURVES, RISK, TESTS];

const ADMITTED: Opening = Opening {
    name: "cuminc.admitted",
    says: "Whether the cohort has enough patients, events and centres.",
    to: Audience::Centres,
};
const GROUPS: Opening = Opening {
    name: "cuminc.groups",
    says: "Patients of each group and its events of each cause over all centres, unless too few.",
    to: Audience::Researcher,
};
const CURVES: Opening = Opening {
    name: "cuminc.curves",
    says: "Incidence of each cause and its variance at times between which enough events happened.",
    to: Audience::Researcher,
};
const RISK: Opening = Opening {
    name: "cuminc.risk",
    says: "Patients at risk, and events of the cause since the last shown time, at the same times.",
    to: Audience::Researcher,
};
const TESTS: Opening = Opening {
    name: "cuminc.tests",
    says: "Gray's statistic of each cause with enough events.",
    to: Audience::Researcher,
};

/// Most numbers of the test: groups squared times causes times points.
const CELLS_MAX: usize = 2_000_000;

/// What one centre counts.
struct Local {
    /// Events, `[cause][group][point]`.
    deaths: Vec<Word>,
    /// Censorings, `[group][point]`.
    censored: Vec<Word>,
    /// Patients of each group, events of each cause in each group, events of each cause.
    sizes: Vec<Word>,
    all: usize,
    happened: u64,
}

struct Cuminc {
    plan: GroupedSurvival,
    grid: TimeGrid,
    shown: usize,
}

/// Checks a request: the status has levels, survival times have a public range and step.
///
/// # Errors
/// [`AnalysisError`] for a formula without causes, or a grid that is too fine.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let Some(text) = &request.formula else {
        return Err(error("needs a formula, such as `Surv(months, status) ~ arm`".to_owned()));
    };
    let plan = GroupedSurvival::plan_causes(&Formula::parse(text)?, dictionary)?;
    if !plan.strata.is_empty() || plan.strata_by_centre {
        return Err(error("compares groups without strata()".to_owned()));
    }
    let grid = TimeGrid::new(&plan.time, plan.time_range, dictionary).map_err(error)?;
    let (groups, causes) = (plan.labels.len(), plan.causes.len());
    if groups * groups * causes * grid.points > CELLS_MAX {
        let what = format!(
            "{} times, {groups} groups and {causes} causes are too many; declare coarser times, or \
             merge levels",
            grid.points
        );
        return Err(error(what));
    }
    let shown = shown_at_most(request, &grid)?;
    Ok(Box::new(Cuminc { plan, grid, shown }))
}

impl Cuminc {
    fn shape(&self) -> Shape {
        let (groups, causes) = (self.plan.labels.len(), self.plan.causes.len());
        Shape { groups, causes, points: self.grid.points }
    }

    /// This centre's counts.
    fn counts(&self, patients: Patients<'_>) -> Result<Local, AnalysisError> {
        let Shape { groups, causes, points } = self.shape();
        let mut deaths = vec![0; causes * groups * points];
        let mut censored = vec![0; groups * points];
        let mut sizes = vec![0_u64; groups + causes * groups + causes];
        if let Some(dataset) = patients {
            let rows = self.plan.rows(dataset)?;
            for (at, time) in rows.time.iter().enumerate() {
                let index =
                    |of: &[u32]| of.get(at).and_then(|it| usize::try_from(*it).ok()).unwrap_or(0);
                let (group, place) = (index(&rows.group), self.grid.place(*time));
                sizes[group] += 1;
                match index(&rows.cause).checked_sub(1) {
                    None => censored[group * points + place] += 1,
                    Some(cause) => {
                        deaths[(cause * groups + group) * points + place] += 1;
                        sizes[groups + cause * groups + group] += 1;
                        sizes[groups + causes * groups + cause] += 1;
                    }
                }
            }
        }
        let all = usize::try_from(sizes.iter().take(groups).sum::<u64>()).unwrap_or(usize::MAX);
        let happened = sizes.iter().skip(groups + causes * groups).sum();
        let sizes = sizes.into_iter().map(encode_count).collect();
        Ok(Local { deaths, censored, sizes, all, happened })
    }

    /// Releases sizes and events; gives the verdicts on groups, and on causes.
    fn release_sizes(
        &self,
        session: &mut dyn Session,
        policy: &Policy,
        (own, incidences): (&Local, &Incidences),
    ) -> Result<(Shared, Shared), AnalysisError> {
        let Shape { groups, causes, points } = self.shape();
        let sizes = Counts::input(session, policy, &own.sizes)?;
        let verdicts = large_enough(session, policy, &sizes)?;
        let taking_part = verdicts.slice(0, groups);
        let events = verdicts.slice(groups, groups + causes * groups);
        let both = session.multiply_raw(&taking_part.repeat(causes), &events)?;
        let shown = Shared::concat([&taking_part, &both]);
        // of rounded counts, where there is rounding
        let firsts = incidences.at_risk.pick((0..groups).map(|group| group * points));
        let row = |at: usize| incidences.deaths.slice(at * points, (at + 1) * points).total();
        let totals = Shared::concat(&(0..causes * groups).map(row).collect::<Vec<_>>());
        let masked = suppress(session, &shown, &Shared::concat([&firsts, &totals]))?;
        session.release(GROUPS, &Shared::concat([&shown, &masked]))?;
        Ok((taking_part, verdicts.slice(groups + causes * groups, verdicts.len())))
    }

    /// Releases the points of the curves that may be shown.
    fn release_curves(
        &self,
        session: &mut dyn Session,
        policy: &Policy,
        (own, exact, incidences): (&Local, (&Shared, &Shared), &Incidences),
    ) -> Result<(), AnalysisError> {
        let Shape { groups, causes, points } = self.shape();
        let at = self.grid.places(self.shown);
        let places = Places { curves: causes * groups, points, at: &at };
        let mut leaving = own.censored.clone();
        for deaths in own.deaths.chunks(groups * points) {
            leaving.iter_mut().zip(deaths).for_each(|(sum, it)| *sum = sum.wrapping_add(*it));
        }
        let own_at_risk = own_at_risk(&leaving, &vec![0; leaving.len()], points);
        let judged = Exact {
            events: exact.0,
            at_risk: &exact.1.repeat(causes),
            own_events: &own.deaths,
            own_at_risk: &own_at_risk.repeat(causes),
        };
        let variances = incidences.variances(session, &|column| places.of(column))?;
        let columns = Columns {
            values: &[places.of(&incidences.incidence), variances],
            happened: places.happened(&incidences.deaths),
            at_risk: places.of(&incidences.at_risk.repeat(causes)),
        };
        let shown = shown_points(session, policy, places, &judged, &columns)?;
        session.release(CURVES, &shown.values)?;
        let rounding = encode_count(u64::from(policy.rounding != Rounding::None));
        let rounding = session.constant(&[rounding]);
        Ok(session.release(RISK, &Shared::concat([&shown.counts, &rounding]))?)
    }
}

/// Patients at risk from the events of all causes and the censorings, `[group][point]`.
fn pooled_risk(deaths: &Shared, censored: &Shared, shape: Shape) -> Shared {
    let cells = shape.groups * shape.points;
    let all = (0..shape.causes).fold(Shared::zeros(cells), |sum, cause| {
        sum.plus(&deaths.slice(cause * cells, (cause + 1) * cells))
    });
    at_risk(&(all, censored.clone()), (shape.groups, shape.points))
}

impl Analysis for Cuminc {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (Shape { groups, causes, .. }, shown) = (self.shape(), self.shown);
        let mut lines = vec![format!(
            "{} curves of at most {shown} points with variances, patients, events; groups, causes and points with few events suppressed",
            groups * causes
        )];
        if groups > 1 {
            lines.push(format!("Gray's statistic for {causes} causes, unless too few events"));
        }
        lines
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = vec![
            self.grid.describe(&self.plan.time),
            format!("groups: {}", self.plan.labels.join(", ")),
            format!("causes: {}", self.plan.causes.join(", ")),
        ];
        lines.extend(self.plan.notes.iter().cloned());
        lines
    }

    fn sets(&self) -> usize {
        self.plan.labels.len()
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
        let (policy, shape) = (&setting.policy, self.shape());
        let own = self.counts(patients)?;
        let also = [own.happened];
        let applicants = Applicants { patients: own.all, also: &also, ..Applicants::default() };
        admit(session, ADMITTED, policy, applicants)?;
        let deaths = session.input(&own.deaths)?;
        let censored = session.input(&own.censored)?;
        let exact_risk = pooled_risk(&deaths, &censored, shape);
        let exact = (deaths, censored);
        let (shown_deaths, shown_censored) = rounded(session, policy, &exact, shape.points)?;
        let risk = pooled_risk(&shown_deaths, &shown_censored, shape);
        let incidences = incidences(session, (&shown_deaths, &risk), shape)?;
        let (taking_part, causes) = self.release_sizes(session, policy, (&own, &incidences))?;
        let exact = (&exact.0, &exact_risk);
        self.release_curves(session, policy, (&own, exact, &incidences))?;
        if shape.groups > 1 {
            let statistics = incidences.gray(session, &taking_part)?;
            let statistics = suppress(session, &causes, &statistics)?;
            session.release(TESTS, &Shared::concat([&causes, &statistics]))?;
        }
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut tables = vec![self.tidy(release)?, self.curve_table(release)?];
        if self.plan.labels.len() > 1 {
            tables.push(self.test_table(release)?);
        }
        let notes = vec![
            "points of a curve with too few events of its cause since the last one are not shown"
                .to_owned(),
        ];
        let title = "Cumulative incidence".to_owned();
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }
}

impl Cuminc {
    /// The name of a group, as R writes it.
    fn name(&self, label: &str) -> Cell {
        Cell::Text(match &self.plan.group {
            Some(group) => format!("{group}={label}"),
            None => label.to_owned(),
        })
    }

    fn tidy(&self, release: &Release) -> Result<Table, AnalysisError> {
        let groups = self.plan.labels.len();
        let sizes = release.counts(GROUPS)?;
        let (verdicts, counts) = sizes.split_at(sizes.len() / 2);
        let cell = |at: usize| match (verdicts.get(at), counts.get(at)) {
            (Some(verdict), Some(count)) if *verdict > 0.5 => Cell::Count(*count),
            _ => Cell::Missing,
        };
        let columns = ["strata", "outcome", "records", "events", "suppressed"];
        let mut table = Table::new("tidy", &columns);
        for (cause, outcome) in self.plan.causes.iter().enumerate() {
            for (group, label) in self.plan.labels.iter().enumerate() {
                let events = cell(groups + cause * groups + group);
                let hidden = matches!(events, Cell::Missing);
                let outcome = Cell::Text(outcome.clone());
                let row = [self.name(label), outcome, cell(group), events, Cell::Flag(hidden)];
                table.rows.push(row.to_vec());
            }
        }
        Ok(table)
    }

    fn curve_table(&self, release: &Release) -> Result<Table, AnalysisError> {
        let (groups, curves) =
            (self.plan.labels.len(), self.plan.labels.len() * self.plan.causes.len());
        let values = release.reals(CURVES)?;
        let variances = release.reals_scaled(CURVES, GREENWOOD_BITS)?;
        let counts = release.counts(RISK)?;
        let rounded = counts.last().is_some_and(|it| *it > 0.5);
        let columns = [
            "strata",
            "outcome",
            "time",
            "n.risk",
            "n.event",
            "estimate",
            "std.error",
            "n.risk.rounded",
        ];
        let mut table = Table::new("cuminc", &columns);
        for (cause, outcome) in self.plan.causes.iter().enumerate() {
            for (group, label) in self.plan.labels.iter().enumerate() {
                for (at, place) in self.grid.places(self.shown).into_iter().enumerate() {
                    let curve = at * curves + cause * groups + group;
                    let (Some([estimate, _]), Some([_, variance]), Some([shown, risk, events])) = (
                        values.get(2 * curve..).and_then(<[f64]>::first_chunk::<2>),
                        variances.get(2 * curve..).and_then(<[f64]>::first_chunk::<2>),
                        counts.get(3 * curve..).and_then(<[f64]>::first_chunk::<3>),
                    ) else {
                        continue;
                    };
                    if *shown < 0.5 {
                        continue;
                    }
                    table.rows.push(vec![
                        self.name(label),
                        Cell::Text(outcome.clone()),
                        Cell::Number(self.grid.time(place as f64)),
                        Cell::Count(*risk),
                        Cell::Count(*events),
                        Cell::Number(*estimate),
                        Cell::Number(variance.max(0.0).sqrt()),
                        Cell::Flag(rounded),
                    ]);
                }
            }
        }
        Ok(table)
    }

    fn test_table(&self, release: &Release) -> Result<Table, AnalysisError> {
        let (groups, causes) = (self.plan.labels.len(), self.plan.causes.len());
        let verdicts = release.counts(TESTS)?;
        let statistics = release.reals(TESTS)?;
        let sizes = release.counts(GROUPS)?;
        let taking_part = sizes.iter().take(groups).filter(|verdict| **verdict > 0.5).count();
        let df = taking_part.saturating_sub(1) as f64;
        let mut table = Table::new("glance", &["outcome", "statistic", "df", "p.value"]);
        for (cause, outcome) in self.plan.causes.iter().enumerate() {
            let enough = verdicts.get(cause).is_some_and(|it| *it > 0.5) && taking_part > 1;
            let statistic = statistics.get(causes + cause).copied().filter(|_| enough);
            let statistic = statistic.map(|it| it.max(0.0));
            let number = |it: Option<f64>| it.map_or(Cell::Missing, Cell::Number);
            table.rows.push(vec![
                Cell::Text(outcome.clone()),
                number(statistic),
                Cell::Count(df),
                number(statistic.map(|it| p_chi_squared(it, df))),
            ]);
        }
        Ok(table)
    }
}
