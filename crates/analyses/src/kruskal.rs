//! Kruskal and Wallis' rank test of several groups.
//!
//! # Local step
//! Each centre counts its patients of each group at each point of the number's public grid.
//!
//! # Secure step
//! Mean ranks follow from running sums of the counts, which are shares; the rank sums of the groups
//! and the correction for ties are products of shares. No count of a point is opened.
//!
//! # Opens
//! To the centres: whether each group has enough patients.
//!
//! # Release
//! Group sizes, twice the rank sum of each group, the sum of `t^3 - t` over ties.
//!
//! # Sources
//! Kruskal and Wallis (1952), J. Am. Stat. Assoc. 47, equations 1.1 and 1.2; pairs: Dunn (1964),
//! Technometrics 6, with Holm (1979), Scand. J. Stat. 6.

use crate::adjust::holm;
use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{
    Compared, admit_groups, admitted, doubled_ranks, group_totals, over_groups, released, sizes,
    text, tied,
};
use crate::statistics::{p_chi_squared, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Opening, Session};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 4] = [ADMITTED, COUNTS, RANKS, TIES];

const ADMITTED: Opening = admitted("kruskal.admitted");
const COUNTS: Opening = released("kruskal.counts", "How many patients each group has.");
const RANKS: Opening = released("kruskal.ranks", "The rank sum of each group.");
const TIES: Opening = released("kruskal.ties", "The correction for ties.");

struct Kruskal {
    compared: Compared,
}

/// Checks a request: `y ~ group`.
///
/// # Errors
/// [`AnalysisError`] for anything else, and for a grid with too many points.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    Ok(Box::new(Kruskal { compared: Compared::ranked(request, dictionary, 2..=20)? }))
}

impl Analysis for Kruskal {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let groups = self.compared.groups();
        vec![format!("{groups} group sizes, {groups} rank sums, 1 correction for ties")]
    }

    fn understood(&self) -> Vec<String> {
        self.compared.understood_on_grid()
    }

    fn statistics(&self) -> usize {
        self.compared.groups()
    }

    fn sets(&self) -> usize {
        self.compared.groups()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.compared.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let values = self.compared.values(patients)?;
        admit_groups(session, ADMITTED, setting, (&sizes(&values), self.statistics()))?;
        let points = self.compared.points();
        let counts = session.input(&self.compared.histogram(&values))?;
        let all = over_groups(&counts, points);
        let ranks = doubled_ranks(session, &all).repeat(values.len());
        let sums = session.dot_raw(&counts, &ranks, points)?;
        let ties = tied(session, &all)?;
        session.release(COUNTS, &group_totals(&counts, points))?;
        session.release(RANKS, &sums)?;
        Ok(session.release(TIES, &ties)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (counts, sums) = (release.counts(COUNTS)?, release.counts(RANKS)?);
        let ties = release.counts(TIES)?.first().copied().unwrap_or(f64::NAN);
        let n: f64 = counts.iter().sum();
        let mean_ranks: Vec<f64> =
            counts.iter().zip(&sums).map(|(n, doubled)| doubled / 2.0 / n).collect();
        let middle = (n + 1.0) / 2.0;
        let spread = |(n, mean): (&f64, &f64)| n * (mean - middle).powi(2);
        let spread: f64 = counts.iter().zip(&mean_ranks).map(spread).sum();
        let untied = 1.0 - ties / (n * n * n - n);
        let statistic = 12.0 * spread / (n * (n + 1.0)) / untied;
        let df = counts.len() as f64 - 1.0;
        let tidy = Table::of_one(
            "tidy",
            [
                ("statistic", Cell::Number(statistic)),
                ("p.value", Cell::Number(p_chi_squared(statistic, df))),
                ("parameter", Cell::Count(df)),
                ("epsilon.squared", Cell::Number(statistic / (n - 1.0))),
                ("nobs", Cell::Count(n)),
                ("method", text("Kruskal-Wallis rank sum test")),
            ],
        );
        let mut groups = Table::new("groups", &["group", "n", "mean.rank"]);
        for (at, (n, mean)) in counts.iter().zip(&mean_ranks).enumerate() {
            let name = text(self.compared.group(at));
            groups.rows.push(vec![name, Cell::Count(*n), Cell::Number(*mean)]);
        }
        let variance = n * (n + 1.0) / 12.0 * untied;
        let pairs = self.pairs((&counts, &mean_ranks), variance);
        Ok(Findings {
            title: "Kruskal-Wallis test".to_owned(),
            tables: vec![tidy, groups, pairs],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

impl Kruskal {
    /// Dunn's comparison of every two groups, p values adjusted by Holm's method.
    fn pairs(&self, (counts, means): (&[f64], &[f64]), variance: f64) -> Table {
        let mut table = Table::new("pairs", &["contrast", "statistic", "p.value", "adj.p.value"]);
        let mut tests = Vec::new();
        for second in 1..counts.len() {
            for first in 0..second {
                let error = (variance * (1.0 / counts[first] + 1.0 / counts[second])).sqrt();
                let z = (means[first] - means[second]) / error;
                let (a, b) = (self.compared.group(first), self.compared.group(second));
                tests.push((format!("{a} - {b}"), z, p_normal(z)));
            }
        }
        let p: Vec<f64> = tests.iter().map(|it| it.2).collect();
        for ((name, z, p), adjusted) in tests.into_iter().zip(holm(&p)) {
            let numbers = [z, p, adjusted].map(Cell::Number);
            table.rows.push([Cell::Text(name)].into_iter().chain(numbers).collect());
        }
        table
    }
}
