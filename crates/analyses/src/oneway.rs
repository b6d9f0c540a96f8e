//! One-way analysis of variance, and Welch's test of equal means.
//!
//! # Local step
//! Each centre counts its patients by group and adds up their values and squares, moved and scaled
//! into the dictionary's range.
//!
//! # Secure step
//! The sums over the centres are shares already. Whether each group has enough patients, and whether
//! one patient makes too much of a sum, is judged on shares.
//!
//! # Opens
//! To the centres: whether each group has enough patients; whether one patient has too large a part.
//!
//! # Release
//! Number of patients, sum and sum of squares of each group, from which means, standard deviations
//! and tests follow.
//!
//! # Sources
//! Fisher (1925), Statistical Methods for Research Workers, 7; Welch (1951), Biometrika 38,
//! equation 21; effect sizes as Olejnik and Algina (2003), Psychol. Methods 8.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{Compared, admitted, released, text};
use crate::moments::{GroupMoments, MomentNames, release_moments};
use crate::statistics::p_fisher;
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Audience, Opening, Session};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 4] = [ADMITTED, EVEN, COUNTS, SUMS];

const ADMITTED: Opening = admitted("oneway.admitted");
const EVEN: Opening = Opening {
    name: "oneway.uneven",
    says: "Whether one patient has too large a part in the sum of a group.",
    to: Audience::Centres,
};
const COUNTS: Opening = released("oneway.counts", "How many patients each group has.");
const SUMS: Opening =
    released("oneway.sums", "Sum and sum of squares of each group over all centres.");
const NAMES: MomentNames =
    MomentNames { admitted: ADMITTED, even: EVEN, counts: COUNTS, sums: SUMS };

struct Oneway {
    compared: Compared,
}

/// Checks a request: `y ~ group`.
///
/// # Errors
/// [`AnalysisError`] for anything else, and for more than 20 groups.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    Ok(Box::new(Oneway { compared: Compared::new(request, dictionary, 2..=20)? }))
}

impl Analysis for Oneway {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let groups = self.compared.groups();
        vec![format!("{groups} group sizes, {groups} means, {groups} standard deviations, 2 tests")]
    }

    fn understood(&self) -> Vec<String> {
        self.compared.understood()
    }

    fn statistics(&self) -> usize {
        2 * self.compared.groups()
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
        release_moments(session, setting, NAMES, (&self.compared.numeric, &values))
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let groups = GroupMoments::read(release, NAMES, &self.compared.numeric)?;
        let tables = vec![tests(&groups), GroupMoments::table(&groups, &self.compared)];
        Ok(Findings {
            title: "Analysis of variance".to_owned(),
            tables,
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

fn tests(groups: &[GroupMoments]) -> Table {
    let k = groups.len() as f64;
    let n: f64 = groups.iter().map(|it| it.n).sum();
    let mean = groups.iter().map(|it| it.n * it.mean).sum::<f64>() / n;
    let between: f64 = groups.iter().map(|it| it.n * (it.mean - mean).powi(2)).sum();
    let within: f64 = groups.iter().map(|it| (it.n - 1.0) * it.variance).sum();
    let (df, residual) = (k - 1.0, n - k);
    let statistic = between / df / (within / residual);
    let weight = |it: &GroupMoments| it.n / it.variance;
    let total: f64 = groups.iter().map(weight).sum();
    let centre = groups.iter().map(|it| weight(it) * it.mean).sum::<f64>() / total;
    let spread: f64 = groups.iter().map(|it| weight(it) * (it.mean - centre).powi(2)).sum();
    let lack = |it: &GroupMoments| (1.0 - weight(it) / total).powi(2) / (it.n - 1.0);
    let lack: f64 = groups.iter().map(lack).sum::<f64>() / (k * k - 1.0);
    let welch = spread / (df * (1.0 + 2.0 * (k - 2.0) * lack));
    let welch_df = 1.0 / (3.0 * lack);
    let eta = between / (between + within);
    let omega = (between - df * within / residual) / (between + within + within / residual);
    let columns = [
        "method",
        "statistic",
        "num.df",
        "den.df",
        "p.value",
        "sumsq",
        "sumsq.residual",
        "eta.squared",
        "omega.squared",
    ];
    let mut table = Table::new("tidy", &columns);
    let row = |method: &str, statistic: f64, den_df: f64| {
        let mut row = vec![text(method)];
        row.extend([statistic, df, den_df, p_fisher(statistic, df, den_df)].map(Cell::Number));
        row
    };
    let mut first = row("One-way analysis of variance", statistic, residual);
    first.extend([between, within, eta, omega].map(Cell::Number));
    let mut second = row("Welch's test, variances not assumed equal", welch, welch_df);
    second.extend([Cell::Missing, Cell::Missing, Cell::Missing, Cell::Missing]);
    table.rows.extend([first, second]);
    table
}
