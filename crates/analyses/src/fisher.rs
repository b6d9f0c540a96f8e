//! Fisher's exact test of a table.
//!
//! # Local step
//! Each centre counts its patients by both variables.
//!
//! # Secure step
//! The sums over the centres are shares already. An exact p value and the totals determine a small
//! table, so that it cannot be told without telling the cells: every cell must be large enough.
//!
//! # Opens
//! To the centres: whether every cell has enough patients.
//!
//! # Release
//! The cells, from which the researcher computes the test.
//!
//! # Sources
//! Fisher (1935), J. R. Stat. Soc. 98; conditional estimate and limits of the odds ratio: Cornfield
//! (1956), Proc. Third Berkeley Symp. 4. Tables of more than two by two: Freeman and Halton (1951),
//! Biometrika 38.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::chisq::cells_table;
use crate::compared::{admit_groups, admitted, release_is_short, released, text};
use crate::crossed::Crossed;
use crate::exact::{fourfold, table_p};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Opening, Session};
use konsil_ring::encode_count;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 2] = [ADMITTED, CELLS];

const ADMITTED: Opening = admitted("fisher.admitted");
const CELLS: Opening =
    released("fisher.cells", "The cells of the table, all of them large enough.");

struct Fisher {
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
    Ok(Box::new(Fisher { crossed: Crossed::new(request, dictionary)? }))
}

impl Analysis for Fisher {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (rows, columns) = self.crossed.shape();
        vec![format!("{} counts of a table of {rows} by {columns}", rows * columns)]
    }

    fn understood(&self) -> Vec<String> {
        self.crossed.understood()
    }

    fn statistics(&self) -> usize {
        let (rows, columns) = self.crossed.shape();
        rows * columns - 1
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
        admit_groups(session, ADMITTED, setting, (&counts, self.statistics()))?;
        let mine: Vec<_> = counts.iter().map(|count| encode_count(*count)).collect();
        let cells = session.input(&mine)?;
        Ok(session.release(CELLS, &cells)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let cells = release.counts(CELLS)?;
        let (rows, columns) = self.crossed.shape();
        if cells.len() != rows * columns {
            return Err(release_is_short(CELLS));
        }
        let method = text("Fisher's exact test");
        let mut notes = Vec::new();
        let tidy = if (rows, columns) == (2, 2) {
            let it = fourfold([cells[0], cells[1], cells[2], cells[3]]);
            Table::of_one(
                "tidy",
                [
                    ("estimate", Cell::Number(it.odds_ratio)),
                    ("p.value", Cell::Number(it.p_value)),
                    ("conf.low", Cell::Number(it.limits.0)),
                    ("conf.high", Cell::Number(it.limits.1)),
                    ("method", method),
                ],
            )
        } else {
            let p = table_p(&cells, columns);
            if p.is_none() {
                notes.push(
                    "too many tables have these totals to be counted one by one; the chi-squared \
                     test (chisq) is as good with so many patients"
                        .to_owned(),
                );
            }
            let p = p.map_or(Cell::Missing, Cell::Number);
            Table::of_one("tidy", [("p.value", p), ("method", method)])
        };
        Ok(Findings {
            title: "Fisher's exact test".to_owned(),
            tables: vec![tidy, cells_table(&self.crossed, &cells)],
            notes,
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
