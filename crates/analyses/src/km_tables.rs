//! The tables of Kaplan-Meier curves, from released numbers.

use crate::analysis::AnalysisError;
use crate::km::{CURVE, Km, MEANS, MEDIANS, RISK};
use crate::km_steps::GREENWOOD_BITS;
use crate::statistics::{Z_975, p_chi_squared};
use crate::table::{Cell, Table};
use konsil_disclosure::Release;

impl Km {
    /// The name of a curve, as R writes it.
    fn name(&self, label: &str) -> String {
        match &self.plan.group {
            Some(group) => format!("{group}={label}"),
            None => label.to_owned(),
        }
    }

    /// Sizes, medians and, where asked for, means. `sizes` are verdicts, then counts.
    pub(crate) fn tidy(&self, release: &Release, sizes: &[f64]) -> Result<Table, AnalysisError> {
        let groups = self.groups();
        let medians = release.counts(MEDIANS)?;
        let of = |values: &[f64], row: usize, group: usize| {
            values.get(row * groups + group).copied().unwrap_or(0.0)
        };
        let mut columns =
            vec!["strata", "records", "events", "median", "conf.low", "conf.high", "suppressed"];
        if self.horizon.is_some() {
            columns.extend(["rmean", "rmean.std.error"]);
        }
        let mut tidy = Table::new("tidy", &columns);
        let means = self.means_of(release)?;
        for (group, label) in self.plan.labels.iter().enumerate() {
            let (sized, full) = (of(sizes, 0, group) > 0.5, of(sizes, 1, group) > 0.5);
            let count = |row: usize, shown: bool| {
                if shown { Cell::Count(of(sizes, row, group)) } else { Cell::Missing }
            };
            // place + 1, and 0 where the curve does not get there
            let time = |row: usize| {
                let place = Some(of(&medians, row, group)).filter(|it| full && *it > 0.5);
                place.map(|place| self.grid.time(place - 1.0))
            };
            let cell = |time: Option<f64>| time.map_or(Cell::Missing, Cell::Number);
            let median = time(0).map(|level| f64::midpoint(level, time(1).unwrap_or(level)));
            let mut row = vec![
                Cell::Text(self.name(label)),
                count(2, sized),
                count(3, full),
                cell(median),
                cell(time(2)),
                cell(time(3)),
                Cell::Flag(!full),
            ];
            row.extend(means.get(group).into_iter().flatten().cloned());
            tidy.rows.push(row);
        }
        Ok(tidy)
    }

    /// Mean and standard error of each group; none where no mean was asked for.
    fn means_of(&self, release: &Release) -> Result<Vec<[Cell; 2]>, AnalysisError> {
        let Some(horizon) = self.horizon else {
            return Ok(Vec::new());
        };
        let groups = self.groups();
        let (verdicts, means) = (release.counts(MEANS)?, release.reals(MEANS)?);
        let squares = release.reals_scaled(MEANS, GREENWOOD_BITS)?;
        let of = |values: &[f64], row: usize, group: usize| {
            values.get(row * groups + group).copied().unwrap_or(0.0)
        };
        let cells = (0..groups).map(|group| {
            if of(&verdicts, 0, group) < 0.5 {
                return [Cell::Missing, Cell::Missing];
            }
            let error = of(&squares, 2, group).max(0.0).sqrt();
            [of(&means, 1, group), error].map(|part| Cell::Number(part * horizon))
        });
        Ok(cells.collect())
    }

    pub(crate) fn curve_table(&self, release: &Release) -> Result<Table, AnalysisError> {
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
            for (at, place) in self.grid.places(self.shown).into_iter().enumerate() {
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
                let (lower, upper) = self.scale.limits(survival, error, Z_975);
                table.rows.push(vec![
                    Cell::Text(self.name(label)),
                    Cell::Number(self.grid.time(place as f64)),
                    Cell::Count(count[1]),
                    Cell::Count(count[2]),
                    Cell::Missing,
                    Cell::Number(survival),
                    // of the logarithm, as in R's survfit object
                    Cell::Number(error),
                    Cell::Number(lower),
                    Cell::Number(upper),
                    Cell::Flag(rounded),
                ]);
            }
        }
        Ok(table)
    }

    /// How many groups take part in the test.
    fn taking_part(&self, sizes: &[f64]) -> usize {
        sizes.iter().take(self.groups()).filter(|verdict| **verdict > 0.5).count()
    }

    /// The log-rank test from its statistic and the groups' verdicts.
    pub(crate) fn test_table(&self, sums: &[f64], sizes: &[f64]) -> Table {
        const COLUMNS: [&str; 6] =
            ["statistic.log", "df", "p.value.log", "strata", "observed", "expected"];
        let groups = self.groups();
        let mut table = Table::new("glance", &COLUMNS);
        let verdict = |at: usize| sizes.get(at).is_some_and(|verdict| *verdict > 0.5);
        let taking_part = self.taking_part(sizes);
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

    /// The test for a trend over the groups.
    pub(crate) fn trend_table(&self, statistic: &[f64], sizes: &[f64]) -> Table {
        let some = self.taking_part(sizes) > 1;
        let statistic = statistic.first().copied().filter(|_| some).map(|it| it.max(0.0));
        let cells = [
            ("statistic", statistic.map_or(Cell::Missing, Cell::Number)),
            ("df", Cell::Count(1.0)),
            ("p.value", statistic.map_or(Cell::Missing, |it| Cell::Number(p_chi_squared(it, 1.0)))),
        ];
        Table::of_one("trend", cells)
    }
}
