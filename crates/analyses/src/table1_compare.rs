//! What Table 1 says of differences between its groups, from the numbers that it shows anyway:
//! standardised mean differences and tests. Nothing more is opened.
//!
//! # Sources
//! Numbers: Austin (2009), Stat. Med. 28:3083, eq. 1. Levels: Yang and Dalton (2012), SAS Global Forum
//! 335, the Mahalanobis distance of two multinomial samples. More than two groups: the mean over pairs.

use crate::describe::Described;
use crate::statistics::{p_chi_squared, p_fisher};
use crate::table::{Cell, Table};

/// Writes one row for each variable.
pub(crate) struct Comparison {
    pub(crate) smd: bool,
    pub(crate) tests: bool,
    table: Table,
}

/// A test's name, statistic, degrees of freedom and p value.
type Test = (&'static str, f64, [Option<f64>; 2], f64);

impl Comparison {
    pub(crate) fn new(smd: bool, tests: bool) -> Self {
        let mut columns = vec!["variable"];
        if smd {
            columns.push("smd");
        }
        if tests {
            columns.extend(["method", "statistic", "df", "df.residual", "p.value"]);
        }
        Self { smd, tests, table: Table::new("comparison", &columns) }
    }

    /// The table, where one was asked for.
    pub(crate) fn finish(self) -> Option<Table> {
        (self.smd || self.tests).then_some(self.table)
    }

    /// A numeric variable, described in each group.
    pub(crate) fn numeric(&mut self, name: &str, groups: &[Described]) {
        let of = |it: &Described| Some((it.known?, it.mean?, it.deviation?));
        let groups: Option<Vec<(f64, f64, f64)>> = groups.iter().map(of).collect();
        let smd = groups.as_deref().and_then(|groups| over_pairs(groups, numeric_distance));
        let test = groups.as_deref().and_then(one_way);
        self.write(name, smd, test);
    }

    /// A variable with levels: the counts of its levels in each group.
    pub(crate) fn levels(&mut self, name: &str, groups: &[Vec<Option<f64>>]) {
        let known = |counts: &Vec<Option<f64>>| counts.iter().copied().collect();
        let groups: Option<Vec<Vec<f64>>> = groups.iter().map(known).collect();
        let smd = groups.as_deref().and_then(|it| over_pairs(it, |a, b| levels_distance(a, b)));
        let test = groups.as_deref().and_then(crossed);
        self.write(name, smd, test);
    }

    fn write(&mut self, name: &str, smd: Option<f64>, test: Option<Test>) {
        let number = |value: Option<f64>| value.map_or(Cell::Missing, Cell::Number);
        let mut row = vec![Cell::Text(name.to_owned())];
        if self.smd {
            row.push(number(smd));
        }
        if self.tests {
            let (method, statistic, [first, second], p) =
                test.unwrap_or(("numbers are suppressed", f64::NAN, [None; 2], f64::NAN));
            let count = |value: Option<f64>| value.map_or(Cell::Missing, Cell::Count);
            row.extend([
                Cell::Text(method.to_owned()),
                Cell::Number(statistic),
                count(first),
                count(second),
                Cell::Number(p),
            ]);
        }
        self.table.rows.push(row);
    }
}

/// The mean over all pairs of groups.
fn over_pairs<T>(groups: &[T], distance: impl Fn(&T, &T) -> f64) -> Option<f64> {
    let mut all = Vec::new();
    for (at, second) in groups.iter().enumerate() {
        all.extend(groups.iter().take(at).map(|first| distance(first, second)));
    }
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

fn numeric_distance(a: &(f64, f64, f64), b: &(f64, f64, f64)) -> f64 {
    let ((_, mean, sd), (_, other, other_sd)) = (a, b);
    let spread = f64::midpoint(sd * sd, other_sd * other_sd).sqrt();
    let apart = (mean - other).abs();
    if apart == 0.0 { 0.0 } else { apart / spread }
}

/// Distance of two groups' shares of levels, the first level left out, and levels that neither has.
fn levels_distance(first: &[f64], second: &[f64]) -> f64 {
    let sums: (f64, f64) = (first.iter().sum(), second.iter().sum());
    let shares = first.iter().zip(second).filter(|(a, b)| **a + **b > 0.0);
    let shares: Vec<(f64, f64)> = shares.skip(1).map(|(a, b)| (a / sums.0, b / sums.1)).collect();
    let size = shares.len();
    let mut matrix = vec![0.0; size * size];
    for (i, a) in shares.iter().enumerate() {
        for (j, b) in shares.iter().enumerate() {
            let own = if i == j { f64::midpoint(a.0, a.1) } else { 0.0 };
            matrix[i * size + j] = own - f64::midpoint(a.0 * b.0, a.1 * b.1);
        }
    }
    let apart: Vec<f64> = shares.iter().map(|(a, b)| a - b).collect();
    if apart.iter().all(|it| *it == 0.0) {
        return 0.0;
    }
    let solved = solved(matrix, apart.clone());
    apart.iter().zip(&solved).map(|(a, b)| a * b).sum::<f64>().sqrt()
}

/// Solves a small symmetric system by elimination; not a number where it is singular.
fn solved(mut matrix: Vec<f64>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for at in 0..size {
        let pivot = matrix[at * size + at];
        for row in at + 1..size {
            let factor = matrix[row * size + at] / pivot;
            for column in at..size {
                matrix[row * size + column] -= factor * matrix[at * size + column];
            }
            right[row] -= factor * right[at];
        }
    }
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|it| matrix[at * size + it] * right[it]).sum();
        right[at] = (right[at] - known) / matrix[at * size + at];
    }
    right
}

/// One-way analysis of variance with equal variances.
fn one_way(groups: &[(f64, f64, f64)]) -> Option<Test> {
    let n: f64 = groups.iter().map(|(n, ..)| n).sum();
    let mean = groups.iter().map(|(n, mean, _)| n * mean).sum::<f64>() / n;
    let between: f64 = groups.iter().map(|(n, own, _)| n * (own - mean).powi(2)).sum();
    let within: f64 = groups.iter().map(|(n, _, sd)| (n - 1.0) * sd * sd).sum();
    let count = groups.len() as f64;
    let (first, second) = (count - 1.0, n - count);
    let statistic = between / first / (within / second);
    let p = p_fisher(statistic, first, second);
    (groups.len() > 1).then_some(("F test", statistic, [Some(first), Some(second)], p))
}

/// Pearson's test, with Yates' correction for two groups and two levels, as R's `chisq.test`.
fn crossed(groups: &[Vec<f64>]) -> Option<Test> {
    let rows: Vec<f64> = groups.iter().map(|counts| counts.iter().sum()).collect();
    let levels = groups.first()?.len();
    let total = |at: usize| groups.iter().filter_map(|counts| counts.get(at)).sum::<f64>();
    let columns: Vec<f64> = (0..levels).map(total).collect();
    let used = columns.iter().filter(|it| **it > 0.0).count();
    if groups.len() < 2 || used < 2 || rows.contains(&0.0) {
        return Some(("one level only", f64::NAN, [None; 2], f64::NAN));
    }
    let n: f64 = rows.iter().sum();
    let cells = groups.iter().zip(&rows).flat_map(|(counts, row)| {
        let cells = counts.iter().zip(&columns).filter(|(_, column)| **column > 0.0);
        cells.map(move |(count, column)| ((count - row * column / n).abs(), row * column / n))
    });
    let cells: Vec<(f64, f64)> = cells.collect();
    let fourfold = groups.len() == 2 && used == 2;
    let least = cells.iter().fold(0.5, |least: f64, (apart, _)| least.min(*apart));
    let correction = if fourfold { least } else { 0.0 };
    let statistic = cells.iter().map(|(apart, it)| (apart - correction).powi(2) / it).sum();
    let df = (groups.len() - 1) as f64 * (used - 1) as f64;
    let method = if fourfold { "chi-squared test, Yates' correction" } else { "chi-squared test" };
    Some((method, statistic, [Some(df), None], p_chi_squared(statistic, df)))
}
