//! Kaplan-Meier curves by group over all centres, with the log-rank test.
//!
//! # Local step
//! Each centre counts its events and censorings by group on the public time grid of the dictionary.
//!
//! # Secure step
//! Patients at risk are running sums. Survival is a product over the grid of `1 - d/n`, Greenwood's
//! sum and the log-rank sums follow, all on shares. The median and its limits are found on shares.
//! A point of the curve is shown when, since the last shown one, at least as many events have
//! happened as the policy's threshold and as many patients are still at risk, also without those who
//! may subtract their own.
//!
//! # Opens
//! To the centres: whether cohort and events are large enough. No count at any time.
//!
//! # Release
//! For each group: patients, events, median with limits, the points of the curve that may be shown;
//! the log-rank statistic over all groups with enough patients, observed and expected events of
//! those with enough events. Groups that are too small: nothing.
//!
//! # Sources
//! Kaplan and Meier (1958); Greenwood (1926); limits on the log scale (Kalbfleisch and Prentice
//! 2002, 1.4); log-rank: Mantel (1966), Peto and Peto (1972).

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::describe::of_group;
use crate::grid::TimeGrid;
use crate::km_steps::{GREENWOOD_BITS, curves, log_rank, medians, rounded, shown_points};
use crate::statistics::{Z_975, p_chi_squared};
use crate::table::{Cell, Table};
use konsil_cohort::design::{GroupedSurvival, Picked};
use konsil_cohort::{Dataset, Dictionary, Formula};
use konsil_disclosure::{Applicants, Counts, Release, Rounding, admit, large_enough, suppress};
use konsil_kernels::grid_counts;
use konsil_mpc::linear::ORDER_MAX;
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 6] = [ADMITTED, GROUPS, MEDIANS, CURVE, RISK, LOG_RANK];

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
const MEDIANS: Opening = Opening {
    name: "km.medians",
    says: "Median survival of each group and its 95 % limits.",
    to: Audience::Researcher,
};
const CURVE: Opening = Opening {
    name: "km.curve",
    says: "Survival and Greenwood's sum at times between which enough events happened.",
    to: Audience::Researcher,
};
const RISK: Opening = Opening {
    name: "km.risk",
    says: "Patients at risk, and events since the last shown time, at the same times.",
    to: Audience::Researcher,
};
const LOG_RANK: Opening = Opening {
    name: "km.logrank",
    says: "The log-rank statistic; observed and expected events of groups with enough events.",
    to: Audience::Researcher,
};

/// Times at which the curve may be shown unless the request says otherwise.
const POINTS: u32 = 60;

/// What one centre counts.
struct Local {
    /// Events, then censorings, `[group][point]`.
    counts: Vec<Word>,
    /// Patients, then events, of each group.
    sizes: Vec<Word>,
    all: usize,
    happened: u64,
}

struct Km {
    plan: GroupedSurvival,
    start: f64,
    step: f64,
    points: usize,
    shown: usize,
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
    let TimeGrid { start: low, step, points } =
        TimeGrid::new(&plan.time, plan.time_range, dictionary).map_err(error)?;
    let shown = request.points.unwrap_or(POINTS);
    if !(2..=1000).contains(&shown) {
        return Err(error("shows between 2 and 1000 points".to_owned()));
    }
    let shown = usize::try_from(shown).unwrap_or(points).min(points);
    Ok(Box::new(Km { plan, start: low, step, points, shown }))
}

impl Km {
    fn groups(&self) -> usize {
        self.plan.labels.len()
    }

    /// Grid places at which the curve may be shown: evenly spread, the last one included.
    fn places(&self) -> Vec<usize> {
        (1..=self.shown).map(|at| at * self.points / self.shown - 1).collect()
    }

    fn time(&self, place: f64) -> f64 {
        // whole multiples of the step, without the dust of binary fractions
        ((self.start + place * self.step) * 1e9).round() / 1e9
    }

    /// This centre's counts.
    fn counts(&self, patients: Patients<'_>) -> Result<Local, AnalysisError> {
        let mut events = Vec::with_capacity(2 * self.groups() * self.points);
        let mut censored = Vec::with_capacity(self.groups() * self.points);
        let (mut sizes, mut happenings) = (Vec::new(), Vec::new());
        let rows = patients.map(|dataset| self.plan.rows(dataset)).transpose()?;
        for group in 0..self.groups() {
            let mine = rows.iter().flat_map(|rows| {
                let times = rows.time.iter().zip(&rows.event).zip(&rows.group);
                times.filter(move |(_, of)| usize::try_from(**of) == Ok(group))
            });
            let mine: Vec<(f64, bool)> = mine.map(|((time, event), _)| (*time, *event)).collect();
            let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
            sizes.push(count(mine.len()));
            happenings.push(count(mine.iter().filter(|(_, event)| *event).count()));
            let counts = grid_counts(mine, (self.start, self.step), self.points);
            events.extend(counts.events);
            censored.extend(counts.censored);
        }
        events.extend(censored);
        let (all, happened) = (sizes.iter().sum::<u64>(), happenings.iter().sum());
        sizes.extend(happenings);
        let sizes = sizes.into_iter().map(encode_count).collect();
        let all = usize::try_from(all).unwrap_or(usize::MAX);
        Ok(Local { counts: events, sizes, all, happened })
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
        let grid = TimeGrid { start: self.start, step: self.step, points: self.points };
        let grid = grid.describe(&self.plan.time);
        let groups = format!("groups: {}", self.plan.labels.join(", "));
        [grid, groups].into_iter().chain(self.plan.notes.iter().cloned()).collect()
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
        let own = self.counts(patients)?;
        let also = [own.happened];
        let applicants = Applicants { patients: own.all, also: &also, ..Applicants::default() };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let pooled = session.input(&own.counts)?;
        let half = self.groups() * self.points;
        let exact = (pooled.slice(0, half), pooled.slice(half, 2 * half));
        let shape = (self.groups(), self.points);
        let counts = rounded(session, &setting.policy, &exact, shape)?;
        let curves = curves(session, &counts, shape)?;
        let sizes = Counts::input(session, &setting.policy, &own.sizes)?;
        let verdicts = large_enough(session, &setting.policy, &sizes)?;
        let sizes = curves.sizes();
        // a group shows its size when it is large enough, all else when it also has the events
        let events = verdicts.slice(self.groups(), 2 * self.groups());
        let both = session.multiply_raw(&verdicts.slice(0, self.groups()), &events)?;
        let taking_part = verdicts.slice(0, self.groups());
        let verdicts = Shared::concat([&taking_part, &both]);
        let masked = suppress(session, &verdicts, &sizes)?;
        session.release(GROUPS, &Shared::concat([&verdicts, &masked]))?;
        let medians = medians(session, &curves, Z_975)?;
        let medians = suppress(session, &both.repeat(4), &medians)?;
        session.release(MEDIANS, &medians)?;
        let (policy, places) = (&setting.policy, self.places());
        let shown = shown_points(session, policy, (&curves, &exact), (&own.counts, &places))?;
        session.release(CURVE, &shown.values)?;
        let rounding = encode_count(u64::from(policy.rounding != Rounding::None));
        let rounding = session.constant(&[rounding]);
        session.release(RISK, &Shared::concat([&shown.counts, &rounding]))?;
        if self.groups() > 1 {
            let sums = log_rank(session, &curves, (&taking_part, &both))?;
            session.release(LOG_RANK, &sums)?;
        }
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let groups = self.groups();
        let sizes = release.counts(GROUPS)?;
        let medians = release.counts(MEDIANS)?;
        let of = |values: &[f64], row: usize, group: usize| {
            values.get(row * groups + group).copied().unwrap_or(0.0)
        };
        let mut tidy = Table::new(
            "tidy",
            &["strata", "records", "events", "median", "conf.low", "conf.high", "suppressed"],
        );
        let name = |label: &String| match &self.plan.group {
            Some(group) => format!("{group}={label}"),
            None => label.clone(),
        };
        for (group, label) in self.plan.labels.iter().enumerate() {
            let (sized, full) = (of(&sizes, 0, group) > 0.5, of(&sizes, 1, group) > 0.5);
            let count = |row: usize, shown: bool| {
                if shown { Cell::Count(of(&sizes, row, group)) } else { Cell::Missing }
            };
            // place + 1, and 0 where the curve does not get there
            let time = |row: usize| {
                let place = Some(of(&medians, row, group)).filter(|it| full && *it > 0.5);
                place.map(|place| self.time(place - 1.0))
            };
            let cell = |time: Option<f64>| time.map_or(Cell::Missing, Cell::Number);
            let median = time(0).map(|level| f64::midpoint(level, time(1).unwrap_or(level)));
            let row = [
                count(2, sized),
                count(3, full),
                cell(median),
                cell(time(2)),
                cell(time(3)),
                Cell::Flag(!full),
            ];
            tidy.rows.push([vec![Cell::Text(name(label))], row.to_vec()].concat());
        }
        let mut tables = vec![tidy, self.curve_table(release, &name)?];
        if groups > 1 {
            tables.push(self.test_table(&release.reals(LOG_RANK)?, &sizes));
        }
        let notes = vec![
            "points of the curve with too few events since the last one are not shown".to_owned(),
        ];
        Ok(Findings { title: "Kaplan-Meier".to_owned(), tables, notes, found_percent_below: None })
    }
}

impl Km {
    fn curve_table(
        &self,
        release: &Release,
        name: &dyn Fn(&String) -> String,
    ) -> Result<Table, AnalysisError> {
        let groups = self.groups();
        let values = release.reals(CURVE)?;
        let errors = release.reals_scaled(CURVE, GREENWOOD_BITS)?;
        let counts = release.counts(RISK)?;
        let rounded = counts.last().is_some_and(|it| *it > 0.5);
        let mut table = Table::new(
            "km",
            &[
                "strata",
                "time",
                "n.risk",
                "n.event",
                "n.censor",
                "surv",
                "std.err",
                "lower",
                "upper",
                "n.risk.rounded",
            ],
        );
        for (group, label) in self.plan.labels.iter().enumerate() {
            for (at, place) in self.places().into_iter().enumerate() {
                let (Some(value), Some(count)) = (
                    values.get(2 * (at * groups + group)..).and_then(<[f64]>::first_chunk::<2>),
                    counts.get(3 * (at * groups + group)..).and_then(<[f64]>::first_chunk::<3>),
                ) else {
                    continue;
                };
                if count[0] < 0.5 {
                    continue;
                }
                let (survival, squared) = (value[0], errors[2 * (at * groups + group) + 1]);
                // from where nobody survives there is no error
                let (survival, error) = if squared < 1.0 {
                    (survival, squared.max(0.0).sqrt())
                } else {
                    (0.0, f64::NAN)
                };
                let upper = survival * (Z_975 * error).exp();
                table.rows.push(vec![
                    Cell::Text(name(label)),
                    Cell::Number(self.time(place as f64)),
                    Cell::Count(count[1]),
                    Cell::Count(count[2]),
                    Cell::Missing,
                    Cell::Number(survival),
                    // of the logarithm, as in R's survfit object
                    Cell::Number(error),
                    Cell::Number(survival * (-Z_975 * error).exp()),
                    Cell::Number(if upper > 1.0 { 1.0 } else { upper }),
                    Cell::Flag(rounded),
                ]);
            }
        }
        Ok(table)
    }

    /// The log-rank test from its statistic and the groups' verdicts.
    fn test_table(&self, sums: &[f64], sizes: &[f64]) -> Table {
        const COLUMNS: [&str; 6] =
            ["statistic.log", "df", "p.value.log", "strata", "observed", "expected"];
        let groups = self.groups();
        let mut table = Table::new("glance", &COLUMNS);
        let verdict = |at: usize| sizes.get(at).is_some_and(|verdict| *verdict > 0.5);
        let taking_part = (0..groups).filter(|group| verdict(*group)).count();
        let df = taking_part.saturating_sub(1) as f64;
        let statistic = sums.first().copied().filter(|_| taking_part > 1).map(|it| it.max(0.0));
        for (group, label) in self.plan.labels.iter().enumerate() {
            let number = |at: usize| match sums.get(at) {
                Some(value) if verdict(groups + group) => Cell::Number(*value),
                _ => Cell::Missing,
            };
            table.rows.push(vec![
                statistic.map_or(Cell::Missing, Cell::Number),
                Cell::Count(df),
                statistic.map_or(Cell::Missing, |it| Cell::Number(p_chi_squared(it, df))),
                Cell::Text(label.clone()),
                number(1 + group),
                number(1 + groups + group),
            ]);
        }
        table
    }
}
