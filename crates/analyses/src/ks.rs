//! Kolmogorov and Smirnov's test of two groups.
//!
//! # Local step
//! Each centre counts its patients of each group at each point of the number's public grid.
//!
//! # Secure step
//! `n2 C1(v) - n1 C2(v)`, the difference of the distribution functions times both group sizes, is
//! computed on shares at every point, and the largest of its magnitudes by comparisons on shares.
//!
//! # Opens
//! To the centres: whether each group has enough patients.
//!
//! # Release
//! Group sizes and that largest magnitude.
//!
//! # Sources
//! Smirnov (1948), Ann. Math. Stat. 19, for the limiting distribution.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{
    Compared, admit_groups, admitted, group_totals, release_is_short, released, sizes, text,
};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Opening, Session, Shared, fixed};
use std::f64::consts::PI;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 3] = [ADMITTED, COUNTS, DISTANCE];

const ADMITTED: Opening = admitted("ks.admitted");
const COUNTS: Opening = released("ks.counts", "How many patients each group has.");
const DISTANCE: Opening =
    released("ks.distance", "The largest difference of the two distribution functions.");

struct Ks {
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
    Ok(Box::new(Ks { compared: Compared::ranked(request, dictionary, 2..=2)? }))
}

impl Analysis for Ks {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec!["2 group sizes, 1 largest difference".to_owned()]
    }

    fn understood(&self) -> Vec<String> {
        self.compared.understood_on_grid()
    }

    fn statistics(&self) -> usize {
        1
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
        let totals = group_totals(&counts, points);
        let below = |at: usize| counts.slice(at * points, (at + 1) * points).running_sums();
        let size = |at: usize| totals.slice(at, at + 1).repeat(points);
        let (functions, sizes) =
            (Shared::concat([&below(0), &below(1)]), Shared::concat([&size(1), &size(0)]));
        let products = session.multiply_raw(&functions, &sizes)?;
        let apart = products.slice(0, points).minus(&products.slice(points, 2 * points));
        let largest = fixed::largest(session, &Shared::concat([&apart, &apart.negated()]))?;
        session.release(COUNTS, &totals)?;
        Ok(session.release(DISTANCE, &largest)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (counts, largest) = (release.counts(COUNTS)?, release.counts(DISTANCE)?);
        let (&[first, second], &[largest]) = (&counts[..], &largest[..]) else {
            return Err(release_is_short(DISTANCE));
        };
        let distance = largest / (first * second);
        let scaled = (first * second / (first + second)).sqrt() * distance;
        let tidy = Table::of_one(
            "tidy",
            [
                ("statistic", Cell::Number(distance)),
                ("p.value", Cell::Number(p_kolmogorov(scaled))),
                ("n.first", Cell::Count(first)),
                ("n.second", Cell::Count(second)),
                ("method", text("Asymptotic two-sample Kolmogorov-Smirnov test")),
            ],
        );
        Ok(Findings {
            title: "Kolmogorov-Smirnov test".to_owned(),
            tables: vec![tidy],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

/// The upper tail of Kolmogorov's distribution; of its two series the one that converges faster.
fn p_kolmogorov(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.0 {
        let term = |k: i32| (-(f64::from(2 * k - 1) * PI / x).powi(2) / 8.0).exp();
        return 1.0 - (2.0 * PI).sqrt() / x * (1..=20).map(term).sum::<f64>();
    }
    let term = |k: i32| {
        let tail = (-2.0 * (f64::from(k) * x).powi(2)).exp();
        if k % 2 == 1 { tail } else { -tail }
    };
    2.0 * (1..=20).map(term).sum::<f64>()
}
