//! Wilcoxon's signed rank test of pairs, or of one sample.
//!
//! # Local step
//! Each centre counts its patients at each absolute difference on the public grid, all of them and
//! those with a positive difference; differences of 0 are left out.
//!
//! # Secure step
//! Mean ranks follow from running sums of the counts, which are shares; the rank sum of the positive
//! differences and the correction for ties are products of shares.
//!
//! # Opens
//! To the centres: whether there are enough patients with a difference.
//!
//! # Release
//! Number of differences, twice the rank sum of the positive ones, the sum of `t^3 - t` over ties.
//!
//! # Sources
//! Wilcoxon (1945), Biometrics Bull. 1; variance with ties: Hollander and Wolfe (1999),
//! Nonparametric Statistical Methods, 3.1.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{
    Compared, admit_groups, admitted, doubled_ranks, release_is_short, released, sign, text, tied,
};
use crate::statistics::p_normal;
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Opening, Session, Shared};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 3] = [ADMITTED, COUNTS, RANKS];

const ADMITTED: Opening = admitted("signed_rank.admitted");
const COUNTS: Opening =
    released("signed_rank.counts", "How many patients have a difference that is not 0.");
const RANKS: Opening = released(
    "signed_rank.ranks",
    "The rank sum of the positive differences, and the correction for ties.",
);

struct SignedRank {
    compared: Compared,
    mu: f64,
}

/// Checks a request: two variables of the same patients, or `y ~ 1` with `mu`.
///
/// # Errors
/// [`AnalysisError`] for anything else, and for a grid with too many points.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let compared = if request.variables.is_empty() {
        Compared::new(request, dictionary, 1..=1)?
    } else {
        Compared::paired(request, dictionary)?
    }
    .on_grid(request)?;
    let mu = request.mu.unwrap_or(0.0);
    let place = mu / compared.numeric.grid.step;
    if !place.is_finite() || (place - place.round()).abs() > 1e-6 {
        return Err(AnalysisError::request(request, "needs a `mu` on the grid of the variable"));
    }
    Ok(Box::new(SignedRank { compared, mu }))
}

impl Analysis for SignedRank {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec!["number of differences, 1 rank sum, 1 correction for ties".to_owned()]
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
        let step = self.compared.numeric.grid.step;
        let steps = |value: &f64| ((value - self.mu) / step).round();
        let moved: Vec<f64> = values.iter().flatten().map(steps).filter(|it| *it != 0.0).collect();
        let known = u64::try_from(moved.len()).unwrap_or(u64::MAX);
        admit_groups(session, ADMITTED, setting, (&[known], self.statistics()))?;
        let points = self.points();
        let mut counts = vec![0; 2 * points];
        for distance in moved {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an absolute number of steps, clamped to the grid"
            )]
            let place = (distance.abs() as usize).min(points) - 1;
            counts[place] += 1;
            counts[points + place] += u128::from(distance > 0.0);
        }
        let counts = session.input(&counts)?;
        let (all, positive) = (counts.slice(0, points), counts.slice(points, 2 * points));
        let ranks = doubled_ranks(session, &all);
        let sum = session.dot_raw(&positive, &ranks, points)?;
        let ties = tied(session, &all)?;
        session.release(COUNTS, &all.total())?;
        Ok(session.release(RANKS, &Shared::concat([&sum, &ties]))?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (counts, ranks) = (release.counts(COUNTS)?, release.counts(RANKS)?);
        let (&[n], &[doubled, ties]) = (&counts[..], &ranks[..]) else {
            return Err(release_is_short(RANKS));
        };
        let statistic = doubled / 2.0;
        let sigma = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0).sqrt();
        let distance = statistic - n * (n + 1.0) / 4.0;
        let z = (distance - 0.5 * sign(distance)) / sigma;
        let biserial = 4.0 * distance / (n * (n + 1.0));
        let tidy = Table::of_one(
            "tidy",
            [
                ("statistic", Cell::Number(statistic)),
                ("p.value", Cell::Number(p_normal(z))),
                ("z", Cell::Number(z)),
                ("rank.biserial", Cell::Number(biserial)),
                ("n", Cell::Count(n)),
                ("method", text("Wilcoxon signed rank test with continuity correction")),
            ],
        );
        Ok(Findings {
            title: "Wilcoxon signed rank test".to_owned(),
            tables: vec![tidy],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

impl SignedRank {
    /// Points of the grid of absolute differences, 0 left out.
    fn points(&self) -> usize {
        let steps = (self.mu / self.compared.numeric.grid.step).abs();
        let range = self.compared.numeric.grid;
        let reach = (range.start / range.step).abs().max(range.points as f64) + steps + 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a grid of at most 2^18 points, moved by a finite number"
        )]
        let points = reach.min(f64::from(1 << 20)) as usize;
        points
    }
}
