//! Wilcoxon's rank sum test of two groups (Mann and Whitney's U).
//!
//! # Local step
//! Each centre counts its patients of each group at each point of the number's public grid.
//!
//! # Secure step
//! Mean ranks follow from running sums of the counts, which are shares; the rank sum of the first
//! group and the correction for ties are products of shares. No count of a point is opened.
//!
//! # Opens
//! To the centres: whether each group has enough patients.
//!
//! # Release
//! Group sizes, twice the rank sum of the first group, the sum of `t^3 - t` over ties.
//!
//! # Sources
//! Mann and Whitney (1947), Ann. Math. Stat. 18; variance with ties and correction for continuity:
//! Hollander and Wolfe (1999), Nonparametric Statistical Methods, 4.1; rank-biserial correlation:
//! Kerby (2014), Compr. Psychol. 3.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{
    Compared, admit_groups, admitted, doubled_ranks, group_totals, over_groups, release_is_short,
    released, sign, sizes, text, tied,
};
use crate::statistics::p_normal;
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Opening, Session, Shared};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 3] = [ADMITTED, COUNTS, RANKS];

const ADMITTED: Opening = admitted("wilcox.admitted");
const COUNTS: Opening = released("wilcox.counts", "How many patients each group has.");
const RANKS: Opening =
    released("wilcox.ranks", "The rank sum of the first group, and the correction for ties.");

struct Wilcox {
    compared: Compared,
}

/// Checks a request: `y ~ group` of two levels.
///
/// # Errors
/// [`AnalysisError`] for anything else, and for a grid with too many points.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    Ok(Box::new(Wilcox { compared: Compared::ranked(request, dictionary, 2..=2)? }))
}

impl Analysis for Wilcox {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec!["2 group sizes, 1 rank sum, 1 correction for ties".to_owned()]
    }

    fn understood(&self) -> Vec<String> {
        self.compared.understood_on_grid()
    }

    fn statistics(&self) -> usize {
        2
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
        let ranks = doubled_ranks(session, &all);
        let sum = session.dot_raw(&counts.slice(0, points), &ranks, points)?;
        let ties = tied(session, &all)?;
        session.release(COUNTS, &group_totals(&counts, points))?;
        Ok(session.release(RANKS, &Shared::concat([&sum, &ties]))?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (counts, ranks) = (release.counts(COUNTS)?, release.counts(RANKS)?);
        let (&[first, second], &[doubled, ties]) = (&counts[..], &ranks[..]) else {
            return Err(release_is_short(RANKS));
        };
        let (n, pairs) = (first + second, first * second);
        let statistic = doubled / 2.0 - first * (first + 1.0) / 2.0;
        let sigma = (pairs / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)))).sqrt();
        let distance = statistic - pairs / 2.0;
        let z = (distance - 0.5 * sign(distance)) / sigma;
        let tidy = Table::of_one(
            "tidy",
            [
                ("statistic", Cell::Number(statistic)),
                ("p.value", Cell::Number(p_normal(z))),
                ("z", Cell::Number(z)),
                ("prob.superiority", Cell::Number(statistic / pairs)),
                ("rank.biserial", Cell::Number(2.0 * statistic / pairs - 1.0)),
                ("n.first", Cell::Count(first)),
                ("n.second", Cell::Count(second)),
                ("method", text("Wilcoxon rank sum test with continuity correction")),
            ],
        );
        Ok(Findings {
            title: "Wilcoxon rank sum test".to_owned(),
            tables: vec![tidy],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
