//! Table 1: the description of a cohort, whole or by groups.
//!
//! # Local step
//! Each centre counts its patients by group and level and adds up numeric variables by group.
//!
//! # Secure step
//! Every count is judged on shares before anything is revealed. Where the hidden levels of a group
//! have too few patients together, their smallest neighbour is hidden too, so that the size of the
//! group does not give them away.
//!
//! With noise there are no verdicts and no quartiles: each centre adds its part of the noise to its
//! own counts and sums, and all are released.
//!
//! # Opens
//! To the centres: whether the cohort is large enough; the path of the bisection for quartiles,
//! which is the quartiles themselves.
//!
//! # Release
//! Group sizes, counts by level, count, mean, standard deviation and quartiles by group. What is too
//! small is released as 0 with a mark; its value is opened to nobody.
//!
//! # Sources
//! Quantiles: Hyndman and Fan (1996), type 7. Secondary suppression: Hundepool et al. (2012),
//! Statistical Disclosure Control, 4.4.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::describe::{
    COUNTS_EACH, LocalCell, Names, Numeric, QUERIES_EACH, STATISTICS_EACH, describe, find,
    found_percent, has_levels, label, of_group, read_cell, with_noise,
};
use crate::table::{Cell, Table};
use crate::table1_compare::Comparison;
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary, Formula};
use konsil_disclosure::{
    Applicants, Counts, Described, FILLER, Policy, Release, admit, attack, large_enough,
    large_enough_or_zero, protect_table, suppress,
};
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::Word;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 9] =
    [ADMITTED, ATTACKED, FOUND, PATH, GROUPS, LEVELS, COUNTS, SUMS, PLACES];

const ADMITTED: Opening = Opening {
    name: "table1.admitted",
    says: "Whether the cohort has enough patients and centres.",
    to: Audience::Centres,
};
const ATTACKED: Opening = Opening {
    name: "table1.attacked",
    says: "Whether a membership attack on the numbers finds too many patients.",
    to: Audience::Centres,
};
const FOUND: Opening = Opening {
    name: "table1.found",
    says: "Which of 12 rates of members the attack reaches at 1 % false positives.",
    to: Audience::Researcher,
};
const PATH: Opening = Opening {
    name: "table1.quartile-path",
    says: "The quartiles of each group over all centres, bit by bit, of groups with enough patients.",
    to: Audience::Centres,
};
const GROUPS: Opening = Opening {
    name: "table1.groups",
    says: "How many patients each group has over all centres, unless too few.",
    to: Audience::Researcher,
};
const LEVELS: Opening = Opening {
    name: "table1.levels",
    says: "How many patients of each group have each level over all centres, unless too few.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "table1.counts",
    says: "How many patients of each group have a value and how many lack one, unless too few.",
    to: Audience::Researcher,
};
const SUMS: Opening = Opening {
    name: "table1.sums",
    says: "Sum and sum of squares by group over all centres, unless too few.",
    to: Audience::Researcher,
};
const PLACES: Opening = Opening {
    name: "table1.quartiles",
    says: "The order statistics next to the quartiles of each group, unless too few.",
    to: Audience::Researcher,
};

const NAMES: Names = Names { path: PATH, counts: COUNTS, sums: SUMS, places: PLACES };

/// A variable described by its levels.
struct Categorical {
    name: String,
    label: String,
    levels: Vec<String>,
}

enum Row {
    Numeric(Numeric),
    Categorical(Categorical),
}

struct Table1 {
    by: Option<Categorical>,
    rows: Vec<Row>,
    /// Whether groups are compared by standardised differences, and by tests.
    smd: bool,
    tests: bool,
}

/// Checks a request: `by` has levels, every variable has levels or a public range.
///
/// # Errors
/// [`AnalysisError::Request`] naming the variable.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let (by, variables) = match &request.formula {
        Some(text) => sides(text).map_err(error)?,
        None => (request.by.clone(), request.variables.clone()),
    };
    if variables.is_empty() {
        return Err(error("names no variables; give `variables = [..]` or a formula".to_owned()));
    }
    let categorical = |name: &str| {
        let variable = find(dictionary, name)?;
        let levels = variable.factor_levels();
        let levels = levels.ok_or_else(|| format!("`{name}` has no levels in the dictionary"))?;
        Ok::<_, String>(Categorical { name: name.to_owned(), label: label(variable), levels })
    };
    let row = |name: &String| {
        let variable = find(dictionary, name)?;
        // 0 and 1 are levels: counts, not quartiles
        if has_levels(variable) || variable.is_zero_one() {
            categorical(name).map(Row::Categorical)
        } else {
            Numeric::new(variable).map(Row::Numeric)
        }
    };
    let rows = variables.iter().map(row).collect::<Result<_, _>>().map_err(error)?;
    let by = by.as_deref().map(categorical).transpose().map_err(error)?;
    let (smd, tests) = (request.smd, request.tests);
    if (smd || tests) && by.as_ref().is_none_or(|by| by.levels.len() < 2) {
        return Err(error("needs groups to compare, as in `arm ~ age + sex`".to_owned()));
    }
    Ok(Box::new(Table1 { by, rows, smd, tests }))
}

/// Group and variables of a formula `group ~ a + b`, or `~ a + b`. Only plain names.
pub(crate) fn sides(text: &str) -> Result<(Option<String>, Vec<String>), String> {
    Formula::parse(text).map_err(|error| error.render())?;
    let (left, right) = text.split_once('~').unwrap_or(("", text));
    let names: Vec<String> = right.split('+').map(|name| name.trim().to_owned()).collect();
    let plain = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
    };
    let left = left.trim();
    let left_fits = left.is_empty() || left == "1" || plain(left);
    if !left_fits || !names.iter().all(|name| plain(name)) {
        return Err("takes names of variables only: `group ~ age + sex`".to_owned());
    }
    Ok(((left != "1" && !left.is_empty()).then(|| left.to_owned()), names))
}

impl Table1 {
    fn groups(&self) -> Vec<String> {
        self.by.as_ref().map_or_else(|| vec!["Overall".to_owned()], |by| by.levels.clone())
    }

    fn numeric(&self) -> impl Iterator<Item = &Numeric> {
        self.rows.iter().filter_map(|row| match row {
            Row::Numeric(numeric) => Some(numeric),
            Row::Categorical(_) => None,
        })
    }

    fn categorical(&self) -> impl Iterator<Item = &Categorical> {
        self.rows.iter().filter_map(|row| match row {
            Row::Numeric(_) => None,
            Row::Categorical(categorical) => Some(categorical),
        })
    }

    /// Cells of a row of levels: the longest variable's levels, and those without a value.
    fn width(&self) -> usize {
        self.categorical().map(|it| it.levels.len()).max().map_or(0, |levels| levels + 1)
    }

    /// Numbers of one patient's that are released with noise: the group, a level of each variable, and
    /// those of numeric variables.
    fn queries(&self) -> usize {
        1 + self.categorical().count() + QUERIES_EACH * self.numeric().count()
    }

    /// For each patient its group; those without one are left out.
    fn membership(&self, dataset: &Dataset) -> Result<Vec<Option<usize>>, AnalysisError> {
        let Some(by) = &self.by else {
            return Ok(vec![Some(0); dataset.rows()]);
        };
        let levels = dataset.levels(&by.name)?;
        Ok(levels.into_iter().map(|level| usize::try_from(level?).ok()).collect())
    }

    /// Counts `[variable][group][width]`, the last cell of a row without a value.
    fn level_counts(
        &self,
        patients: Patients<'_>,
        groups: &[Option<usize>],
    ) -> Result<Vec<Word>, AnalysisError> {
        let (count, width) = (self.groups().len(), self.width());
        let mut counts = vec![0; self.categorical().count() * count * width];
        let Some(dataset) = patients else {
            return Ok(counts);
        };
        for (at, variable) in self.categorical().enumerate() {
            for (level, group) in dataset.levels(&variable.name)?.into_iter().zip(groups) {
                let Some(group) = group else { continue };
                let level = level.and_then(|level| usize::try_from(level).ok());
                let place = (at * count + group) * width + level.unwrap_or(width - 1);
                counts[place] += 1;
            }
        }
        Ok(counts)
    }

    fn release_levels(
        &self,
        session: &mut dyn Session,
        policy: &Policy,
        counts: &[Word],
    ) -> Result<(), AnalysisError> {
        let (groups, width) = (self.groups().len(), self.width());
        let mut counts = Counts::input(session, policy, counts)?;
        let filler: Vec<Word> = (self.categorical())
            .flat_map(|it| {
                let used = it.levels.len();
                let cell = move |at| {
                    if at < used || at + 1 == width { 0 } else { FILLER }
                };
                (0..groups).flat_map(move |_| (0..width).map(cell))
            })
            .collect();
        counts.total = counts.total.plus(&session.constant(&filler));
        // nobody without a value is no small cell
        let last: Vec<bool> =
            (0..counts.total.len()).map(|at| (at + 1).is_multiple_of(width)).collect();
        let verdicts = large_enough_or_zero(session, policy, (&counts, &last))?;
        let counts = counts.total;
        let verdicts = protect_table(session, policy, (&verdicts, &counts), (groups, width))?;
        let masked = suppress(session, &verdicts, &counts)?;
        let both = Shared::concat([&verdicts, &masked]).transposed(2, counts.len());
        Ok(session.release(LEVELS, &both)?)
    }
}

impl Analysis for Table1 {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let groups = self.groups().len();
        let levels: usize = self.categorical().map(|it| it.levels.len() + 1).sum();
        let cells = groups * (1 + levels);
        let numeric = groups * self.numeric().count();
        vec![
            format!("{cells} counts, small ones and what would give them away suppressed"),
            format!(
                "mean, standard deviation and 3 quartiles {numeric} times, unless too few patients"
            ),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let by = self.by.as_ref().map(|by| format!("by {}: {}", by.name, by.levels.join(", ")));
        let rows = self.rows.iter().map(|row| match row {
            Row::Numeric(it) => format!("{} ({})", it.name, it.label),
            Row::Categorical(it) => format!("{} ({}): {}", it.name, it.label, it.levels.join(", ")),
        });
        by.into_iter().chain(rows).collect()
    }

    fn statistics(&self) -> usize {
        let levels: usize = self.categorical().map(|it| it.levels.len().saturating_sub(1)).sum();
        self.groups().len() * (levels + STATISTICS_EACH * self.numeric().count())
    }

    fn takes_noise(&self) -> bool {
        true
    }

    fn sets(&self) -> usize {
        self.by.as_ref().map_or(1, |by| by.levels.len())
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let groups = self.membership(patients)?;
        Ok((0..self.sets()).map(|group| of_group(&groups, group)).collect())
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let groups = match patients {
            Some(dataset) => self.membership(dataset)?,
            None => Vec::new(),
        };
        let known = groups.iter().flatten().count();
        let statistics = if setting.noise.is_some() { 0 } else { self.statistics() };
        let applicants = Applicants { patients: known, statistics, ..Applicants::default() };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let mut sizes = vec![0; self.groups().len()];
        groups.iter().flatten().for_each(|group| sizes[*group] += 1);
        if setting.noise.is_some() {
            self.release_noised(
                session,
                setting,
                (&sizes, &self.level_counts(patients, &groups)?),
            )?;
            return self.describe_numeric(session, setting, (patients, &groups));
        }
        self.withstand(session, &setting.policy, (patients, &groups))?;
        let sizes = Counts::input(session, &setting.policy, &sizes)?;
        // no total over the groups is released, so that none protects another
        let verdicts = large_enough(session, &setting.policy, &sizes)?;
        let masked = suppress(session, &verdicts, &sizes.total)?;
        let both = Shared::concat([&verdicts, &masked]).transposed(2, verdicts.len());
        session.release(GROUPS, &both)?;
        let counts = self.level_counts(patients, &groups)?;
        if !counts.is_empty() {
            self.release_levels(session, &setting.policy, &counts)?;
        }
        self.describe_numeric(session, setting, (patients, &groups))
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut writer =
            Writer { table: Table::new("ard", &COLUMNS), by: self.by.as_ref(), hidden: 0 };
        let groups = self.groups();
        let sizes = release.counts(GROUPS)?;
        let sizes: Vec<Option<f64>> = sizes.chunks(2).map(shown).collect();
        for (group, size) in groups.iter().zip(&sizes) {
            writer.write(group, ("..ard_total_n..", ""), ("total_n", "N", "N"), (*size, 0));
        }
        let categorical = self.categorical().count() > 0;
        let levels = if categorical { release.counts(LEVELS)? } else { Vec::new() };
        let numeric = self.numeric().count() > 0;
        let (counts, sums, places) = if numeric {
            (release.counts(COUNTS)?, release.reals(SUMS)?, release.counts(PLACES)?)
        } else {
            Default::default()
        };
        let mut level_rows = levels.chunks(2 * self.width().max(1));
        let mut cells = counts.chunks(COUNTS_EACH).zip(sums.chunks(2)).zip(places.chunks(6));
        let mut comparison = Comparison::new(self.smd, self.tests);
        for row in &self.rows {
            let (mut all_levels, mut all_described) = (Vec::new(), Vec::new());
            for (group, size) in groups.iter().zip(&sizes) {
                match row {
                    Row::Categorical(variable) => {
                        let cells: Vec<Option<f64>> =
                            level_rows.next().unwrap_or_default().chunks(2).map(shown).collect();
                        writer.levels(group, variable, &cells, *size);
                        let known = cells.into_iter().take(variable.levels.len());
                        all_levels.push(known.collect());
                    }
                    Row::Numeric(variable) => {
                        let Some(((counts, sums), places)) = cells.next() else {
                            continue;
                        };
                        let described = read_cell(variable, counts, sums, places);
                        writer.numeric(group, variable, &described);
                        all_described.push(described);
                    }
                }
            }
            match row {
                Row::Categorical(it) => comparison.levels(&it.name, &all_levels),
                Row::Numeric(it) => comparison.numeric(&it.name, &all_described),
            }
        }
        let mut notes = Vec::new();
        if writer.hidden > 0 {
            notes.push(format!(
                "{} numbers suppressed: small, or they would give a small one away",
                writer.hidden
            ));
        }
        Ok(Findings {
            title: "Table 1".to_owned(),
            tables: std::iter::once(writer.table).chain(comparison.finish()).collect(),
            notes,
            found_percent_below: found_percent(release, FOUND)?,
            scans: Vec::new(),
        })
    }
}

impl Table1 {
    /// Group sizes and counts of levels with noise; no verdicts, which would be exact.
    fn release_noised(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (sizes, levels): (&[Word], &[Word]),
    ) -> Result<(), AnalysisError> {
        for (opening, label, mine) in [(GROUPS, "groups", sizes), (LEVELS, "levels", levels)] {
            if mine.is_empty() {
                continue;
            }
            let counts = with_noise(session, setting, (label, 1.0, self.queries()), mine)?;
            let one = session.constant(&vec![1; mine.len()]);
            let both = Shared::concat([&one, &counts]).transposed(2, mine.len());
            session.release(opening, &both)?;
        }
        Ok(())
    }

    /// Tries a membership attack on the numbers of every group.
    fn withstand(
        &self,
        session: &mut dyn Session,
        policy: &Policy,
        (patients, groups): (Patients<'_>, &[Option<usize>]),
    ) -> Result<(), AnalysisError> {
        let mut columns: Vec<(&Row, usize)> = Vec::new();
        for row in &self.rows {
            // the last level follows from the others
            let numbers = match row {
                Row::Numeric(_) => 2,
                Row::Categorical(it) => it.levels.len().saturating_sub(1),
            };
            columns.extend((0..numbers).map(|at| (row, at)));
        }
        let mut values = Vec::with_capacity(columns.len());
        for (row, at) in &columns {
            values.push(match (row, patients) {
                (_, None) => Vec::new(),
                (Row::Numeric(it), Some(dataset)) => {
                    it.scaled(&dataset.numeric(&it.name)?, *at == 1)
                }
                (Row::Categorical(it), Some(dataset)) => {
                    let has = |level: u32| f64::from(u8::from(usize::try_from(level) == Ok(*at)));
                    let levels = dataset.levels(&it.name)?.into_iter();
                    levels.map(|level| level.map_or(f64::NAN, has)).collect()
                }
            });
        }
        let column = |at: usize| -> Vec<f64> {
            let group = at / columns.len().max(1);
            let values = values.get(at % columns.len().max(1)).into_iter().flatten();
            let of_group = |(value, of): (&f64, &Option<usize>)| {
                if *of == Some(group) { *value } else { f64::NAN }
            };
            values.zip(groups).map(of_group).collect()
        };
        let counts: Vec<bool> =
            columns.iter().map(|(row, _)| matches!(row, Row::Categorical(_))).collect();
        let counts = counts.repeat(self.groups().len());
        let described = Described { counts: &counts, patients: groups.len(), column: &column };
        Ok(attack(session, (ATTACKED, FOUND), policy, &described)?)
    }

    fn describe_numeric(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (patients, groups): (Patients<'_>, &[Option<usize>]),
    ) -> Result<(), AnalysisError> {
        let mut cells = Vec::new();
        for numeric in self.numeric() {
            let column = match patients {
                Some(dataset) => dataset.numeric(&numeric.name)?,
                None => Vec::new(),
            };
            for group in 0..self.groups().len() {
                let values = column.iter().zip(groups).filter(|(_, of)| **of == Some(group));
                cells
                    .push(LocalCell { numeric, values: values.map(|(value, _)| *value).collect() });
            }
        }
        if cells.is_empty() {
            return Ok(());
        }
        describe(session, (setting, self.queries()), NAMES, &cells)
    }
}

/// A released count with its verdict.
fn shown(pair: &[f64]) -> Option<f64> {
    match pair {
        [verdict, count] if *verdict > 0.5 => Some(*count),
        _ => None,
    }
}

const COLUMNS: [&str; 10] = [
    "group1",
    "group1_level",
    "variable",
    "variable_level",
    "context",
    "stat_name",
    "stat_label",
    "stat",
    "stat_fmt",
    "suppressed",
];

/// Writes rows of the analysis results data set (CDISC ARD, long form).
struct Writer<'a> {
    table: Table,
    by: Option<&'a Categorical>,
    hidden: usize,
}

impl Writer<'_> {
    fn write(
        &mut self,
        group: &str,
        (variable, level): (&str, &str),
        (context, name, label): (&str, &str, &str),
        (value, digits): (Option<f64>, usize),
    ) {
        let text = |text: &str| Cell::Text(text.to_owned());
        let formatted = match value {
            Some(value) if name == "p" => format!("{:.1}%", 100.0 * value),
            Some(value) => format!("{value:.digits$}"),
            None => "suppressed".to_owned(),
        };
        self.hidden += usize::from(value.is_none());
        self.table.rows.push(vec![
            self.by.map_or(Cell::Missing, |by| text(&by.name)),
            self.by.map_or(Cell::Missing, |_| text(group)),
            text(variable),
            text(level),
            text(context),
            text(name),
            text(label),
            value.map_or(Cell::Missing, Cell::Number),
            Cell::Text(formatted),
            Cell::Flag(value.is_none()),
        ]);
    }

    fn levels(
        &mut self,
        group: &str,
        variable: &Categorical,
        cells: &[Option<f64>],
        size: Option<f64>,
    ) {
        let missing = cells.last().copied().flatten();
        let known = size.zip(missing).map(|(size, missing)| size - missing);
        let name = variable.name.as_str();
        for (level, count) in variable.levels.iter().zip(cells) {
            self.write(group, (name, level), ("categorical", "n", "n"), (*count, 0));
            let share = count.zip(known).map(|(count, known)| count / known);
            self.write(group, (name, level), ("categorical", "p", "%"), (share, 1));
        }
        self.write(group, (name, ""), ("missing", "N_miss", "Missing"), (missing, 0));
    }

    fn numeric(&mut self, group: &str, variable: &Numeric, it: &crate::describe::Described) {
        let name = (variable.name.as_str(), "");
        let quartile = |at: usize| it.quartiles.map(|quartiles| quartiles[at]);
        let statistics = [
            ("N", "N", it.known, 0),
            ("mean", "Mean", it.mean, 2),
            ("sd", "SD", it.deviation, 2),
            ("median", "Median", quartile(1), 2),
            ("p25", "Q1", quartile(0), 2),
            ("p75", "Q3", quartile(2), 2),
        ];
        for (stat, label, value, digits) in statistics {
            self.write(group, name, ("continuous", stat, label), (value, digits));
        }
        self.write(group, name, ("missing", "N_miss", "Missing"), (it.missing, 0));
    }
}
