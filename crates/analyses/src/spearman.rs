//! Spearman's rank correlation of two numbers.
//!
//! # Local step
//! Each centre counts its patients at each pair of points of the two public grids.
//!
//! # Secure step
//! The counts are shares; mean ranks of both numbers follow from running sums of the row and column
//! totals. The sum of the products of both ranks over all pairs of points is a product of shares.
//!
//! # Opens
//! To the centres: whether there are enough patients.
//!
//! # Release
//! Number of patients, four times the sum of the products of ranks, the sums of `t^3 - t` over the
//! ties of both numbers.
//!
//! # Sources
//! Spearman (1904), Am. J. Psychol. 15; with ties, Pearson's correlation of mean ranks: Kendall and
//! Gibbons (1990), Rank Correlation Methods, 3.8.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{
    admit_groups, admitted, check_cells, doubled_ranks, grid_words, number, release_is_short,
    released, text, tied,
};
use crate::describe::Numeric;
use crate::statistics::p_student;
use crate::table::{Cell, Table};
use konsil_cohort::Dictionary;
use konsil_disclosure::Release;
use konsil_mpc::{Opening, Session, Shared};
use konsil_ring::Word;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 3] = [ADMITTED, COUNTS, RANKS];

const ADMITTED: Opening = admitted("spearman.admitted");
const COUNTS: Opening = released("spearman.counts", "How many patients have both values.");
const RANKS: Opening = released(
    "spearman.ranks",
    "The sum of the products of ranks, and the corrections for ties of both numbers.",
);

struct Spearman {
    first: Numeric,
    second: Numeric,
}

/// Checks a request: two numbers whose grids have few enough pairs of points.
///
/// # Errors
/// [`AnalysisError`] for anything else.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let [first, second] = &request.variables[..] else {
        return Err(error("takes two numbers; give `variables = [a, b]`".to_owned()));
    };
    let first = number(dictionary, first).map_err(error)?;
    let second = number(dictionary, second).map_err(error)?;
    check_cells(request, &first, second.grid.points)?;
    Ok(Box::new(Spearman { first, second }))
}

impl Analysis for Spearman {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec!["number of patients, 1 rank correlation, 2 corrections for ties".to_owned()]
    }

    fn understood(&self) -> Vec<String> {
        vec![grid_words(&self.first), grid_words(&self.second)]
    }

    fn statistics(&self) -> usize {
        3
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let (known, counts) = self.counts(patients)?;
        admit_groups(session, ADMITTED, setting, (&[known], self.statistics()))?;
        let (height, width) = (points(&self.first), points(&self.second));
        let counts = session.input(&counts)?;
        let turned = counts.transposed(height, width);
        let rows = sums_of_rows(&counts, (height, width));
        let columns = sums_of_rows(&turned, (width, height));
        let (row_ranks, column_ranks) =
            (doubled_ranks(session, &rows), doubled_ranks(session, &columns));
        let of_rows = session.dot_raw(&counts, &column_ranks.repeat(height), width)?;
        let sum = session.dot_raw(&of_rows, &row_ranks, height)?;
        let (first, second) = (tied(session, &rows)?, tied(session, &columns)?);
        session.release(COUNTS, &rows.total())?;
        Ok(session.release(RANKS, &Shared::concat([&sum, &first, &second]))?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let n = release.counts(COUNTS)?.first().copied().unwrap_or(f64::NAN);
        let ranks = release.counts(RANKS)?;
        let &[fourfold, first, second] = &ranks[..] else {
            return Err(release_is_short(RANKS));
        };
        let covariance = fourfold / 4.0 - n * (n + 1.0).powi(2) / 4.0;
        let squares = |ties: f64| (n * n * n - n - ties) / 12.0;
        let rho = covariance / (squares(first) * squares(second)).sqrt();
        let df = n - 2.0;
        let t = rho * (df / (1.0 - rho * rho).max(0.0)).sqrt();
        let tidy = Table::of_one(
            "tidy",
            [
                ("estimate", Cell::Number(rho)),
                ("statistic", Cell::Number(t)),
                ("p.value", Cell::Number(p_student(t, df))),
                ("nobs", Cell::Count(n)),
                ("method", text("Spearman's rank correlation, t approximation")),
            ],
        );
        Ok(Findings {
            title: "Spearman's rank correlation".to_owned(),
            tables: vec![tidy],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

fn points(numeric: &Numeric) -> usize {
    usize::try_from(numeric.grid.points).unwrap_or(usize::MAX)
}

fn sums_of_rows(counts: &Shared, (rows, columns): (usize, usize)) -> Shared {
    let row = |at: usize| counts.slice(at * columns, (at + 1) * columns).total();
    Shared::concat(&(0..rows).map(row).collect::<Vec<_>>())
}

impl Spearman {
    /// This centre's patients with both values, and how many are at each pair of points.
    fn counts(&self, patients: Patients<'_>) -> Result<(u64, Vec<Word>), AnalysisError> {
        let (height, width) = (points(&self.first), points(&self.second));
        let mut counts = vec![0; height * width];
        let mut known = 0;
        if let Some(dataset) = patients {
            let (first, second) =
                (dataset.numeric(&self.first.name)?, dataset.numeric(&self.second.name)?);
            for pair in first.into_iter().zip(second) {
                if let (Some(first), Some(second)) = pair {
                    counts[self.first.place(first) * width + self.second.place(second)] += 1;
                    known += 1;
                }
            }
        }
        Ok((known, counts))
    }
}
