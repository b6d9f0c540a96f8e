//! Pearson's chi-squared test of independence.
//!
//! # Local step
//! Each centre counts its patients by both variables.
//!
//! # Secure step
//! The statistic is `n (sum of O^2 / (R C) - 1)`, with row totals `R` and column totals `C`: every
//! count is divided by both totals on shares. Cells are not opened, so that they may be small; row
//! and column totals must be large enough. A table of two by two has one degree of freedom, so that
//! statistic and totals give its cells away: there the cells must be large enough as well, and are
//! released.
//!
//! # Opens
//! To the centres: whether rows and columns (and the cells of two by two) have enough patients.
//!
//! # Release
//! Number of patients and the statistic; of two by two the cells.
//!
//! # Sources
//! Pearson (1900), Phil. Mag. 50; correction for continuity: Yates (1934), Suppl. J. R. Stat. Soc. 1;
//! Cramer (1946), Mathematical Methods of Statistics, 21.9.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{admitted, release_is_short, released, text};
use crate::crossed::Crossed;
use crate::statistics::{Z_975, p_chi_squared};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_mpc::{Opening, Session, Shared, fixed, normalise};
use konsil_ring::encode_count;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 4] = [ADMITTED, COUNTS, STATISTIC, CELLS];

const ADMITTED: Opening = admitted("chisq.admitted");
const COUNTS: Opening = released("chisq.counts", "How many patients there are.");
const STATISTIC: Opening = released("chisq.statistic", "The chi-squared statistic per patient.");
const CELLS: Opening =
    released("chisq.cells", "The cells of a table of two by two, all of them large enough.");

struct ChiSquared {
    crossed: Crossed,
}

/// Checks a request: `rows ~ columns`, both with levels.
///
/// # Errors
/// [`AnalysisError`] for anything else.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    Ok(Box::new(ChiSquared { crossed: Crossed::new(request, dictionary)? }))
}

impl Analysis for ChiSquared {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (rows, columns) = self.crossed.shape();
        let cells = if self.is_fourfold() { ", 4 counts" } else { "" };
        vec![format!("number of patients, 1 statistic of a table of {rows} by {columns}{cells}")]
    }

    fn understood(&self) -> Vec<String> {
        self.crossed.understood()
    }

    fn statistics(&self) -> usize {
        if self.is_fourfold() { 3 } else { 1 }
    }

    fn sets(&self) -> usize {
        self.crossed.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.crossed.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let counts = self.crossed.counts(patients)?;
        let mut also = self.crossed.margins(&counts);
        if self.is_fourfold() {
            also.extend(&counts);
        }
        let known = counts.iter().sum::<u64>();
        let applicants = Applicants {
            patients: usize::try_from(known).unwrap_or(usize::MAX),
            parameters: 0,
            statistics: self.statistics(),
            also: &also,
        };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let mine: Vec<_> = counts.iter().map(|count| encode_count(*count)).collect();
        let cells = session.input(&mine)?;
        session.release(COUNTS, &cells.total())?;
        if self.is_fourfold() {
            return Ok(session.release(CELLS, &cells)?);
        }
        let statistic = self.per_patient(session, &cells)?;
        Ok(session.release(STATISTIC, &statistic)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let n = release.counts(COUNTS)?.first().copied().unwrap_or(f64::NAN);
        let (rows, columns) = self.crossed.shape();
        let df = (rows as f64 - 1.0) * (columns as f64 - 1.0);
        if self.is_fourfold() {
            let cells = release.counts(CELLS)?;
            let &[a, b, c, d] = &cells[..] else {
                return Err(release_is_short(CELLS));
            };
            let tables = self.fourfold([a, b, c, d]);
            return Ok(findings(tables));
        }
        let phi = release.reals(STATISTIC)?.first().copied().unwrap_or(f64::NAN).max(0.0);
        let cramer = (phi / (rows.min(columns) as f64 - 1.0)).sqrt();
        let tidy = Table::of_one(
            "tidy",
            [
                ("statistic", Cell::Number(n * phi)),
                ("p.value", Cell::Number(p_chi_squared(n * phi, df))),
                ("parameter", Cell::Count(df)),
                ("cramer.v", Cell::Number(cramer)),
                ("nobs", Cell::Count(n)),
                ("method", text("Pearson's chi-squared test")),
            ],
        );
        Ok(findings(vec![tidy]))
    }
}

fn findings(tables: Vec<Table>) -> Findings {
    let title = "Chi-squared test".to_owned();
    Findings { title, tables, notes: Vec::new(), found_percent_below: None, scans: Vec::new() }
}

impl ChiSquared {
    fn is_fourfold(&self) -> bool {
        self.crossed.shape() == (2, 2)
    }

    /// `sum of O^2 / (R C) - 1`. Totals are not 0 after admission. Error about `cells 2^-37`. 36
    /// rounds.
    fn per_patient(
        &self,
        session: &mut dyn Session,
        cells: &Shared,
    ) -> Result<Shared, AnalysisError> {
        let (rows, columns) = self.crossed.shape();
        let row = |at: usize| cells.slice(at * columns, (at + 1) * columns).total();
        let row_totals = Shared::concat(&(0..rows).map(row).collect::<Vec<_>>());
        let column = |at: usize| cells.pick((0..rows).map(|row| row * columns + at)).total();
        let column_totals = Shared::concat(&(0..columns).map(column).collect::<Vec<_>>());
        let of_rows = row_totals.pick((0..rows * columns).map(|at| at / columns));
        let of_columns = column_totals.pick((0..rows * columns).map(|at| at % columns));
        let numerators = Shared::concat([cells, cells]).integer_to_fixed();
        let denominators = Shared::concat([&of_rows, &of_columns]).integer_to_fixed();
        let parts = normalise::divide(session, &numerators, &denominators)?;
        let (left, right) = (parts.slice(0, cells.len()), parts.slice(cells.len(), parts.len()));
        let sum = fixed::dot(session, &left, &right, cells.len())?;
        Ok(sum.minus(&session.constant(&[konsil_ring::ONE])))
    }

    fn fourfold(&self, [a, b, c, d]: [f64; 4]) -> Vec<Table> {
        let n = a + b + c + d;
        let totals = (a + b) * (c + d) * (a + c) * (b + d);
        let apart = (a * d - b * c).abs();
        let plain = n * apart * apart / totals;
        let corrected = n * (apart - (n / 2.0).min(apart)).powi(2) / totals;
        let (ratio, error) = (a * d / (b * c), (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d).sqrt());
        let limit = |side: f64| (ratio.ln() + side * Z_975 * error).exp();
        let tidy = Table::of_one(
            "tidy",
            [
                ("statistic", Cell::Number(corrected)),
                ("p.value", Cell::Number(p_chi_squared(corrected, 1.0))),
                ("parameter", Cell::Count(1.0)),
                ("statistic.uncorrected", Cell::Number(plain)),
                ("p.value.uncorrected", Cell::Number(p_chi_squared(plain, 1.0))),
                ("odds.ratio", Cell::Number(ratio)),
                ("conf.low", Cell::Number(limit(-1.0))),
                ("conf.high", Cell::Number(limit(1.0))),
                ("cramer.v", Cell::Number((plain / n).sqrt())),
                ("nobs", Cell::Count(n)),
                ("method", text("Pearson's chi-squared test with Yates' continuity correction")),
            ],
        );
        vec![tidy, cells_table(&self.crossed, &[a, b, c, d])]
    }
}

/// The cells in long form.
pub(crate) fn cells_table(crossed: &Crossed, cells: &[f64]) -> Table {
    let mut table = Table::new("cells", &["row", "column", "n"]);
    let (_, columns) = crossed.shape();
    for (at, count) in cells.iter().enumerate() {
        let row = crossed.rows.levels.get(at / columns).map_or("", String::as_str);
        let column = crossed.columns.levels.get(at % columns).map_or("", String::as_str);
        table.rows.push(vec![text(row), text(column), Cell::Count(*count)]);
    }
    table
}
