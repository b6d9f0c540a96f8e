//! What analyses of two variables with levels share.

use crate::analysis::{AnalysisError, Patients, Request};
use crate::compared::Factor;
use crate::describe::of_group;
use crate::table1::sides;
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};

/// Most cells of a table.
const CELLS_MAX: usize = 400;

/// Two variables with levels, and perhaps strata.
#[derive(Clone, Debug)]
pub(crate) struct Crossed {
    pub(crate) rows: Factor,
    pub(crate) columns: Factor,
}

impl Crossed {
    /// `rows ~ columns`, or two names.
    pub(crate) fn new(request: &Request, dictionary: &Dictionary) -> Result<Self, AnalysisError> {
        let error = |what: String| AnalysisError::request(request, what);
        let names = match &request.formula {
            Some(text) => {
                let (left, right) = sides(text).map_err(error)?;
                left.into_iter().chain(right).collect()
            }
            None => request.variables.clone(),
        };
        let [rows, columns] = &names[..] else {
            return Err(error("takes two variables with levels: `died ~ arm`".to_owned()));
        };
        if rows == columns {
            return Err(error(format!("crosses `{rows}` with itself")));
        }
        let factor = |name: &String| Factor::new(dictionary, name).map_err(error);
        let crossed = Self { rows: factor(rows)?, columns: factor(columns)? };
        let (rows, columns) = crossed.shape();
        if rows < 2 || columns < 2 || rows * columns > CELLS_MAX {
            return Err(error(format!(
                "crosses {rows} with {columns} levels; 4 to {CELLS_MAX} cells are possible"
            )));
        }
        Ok(crossed)
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.rows.levels.len(), self.columns.levels.len())
    }

    /// This centre's table, row by row; patients without one of the values are left out.
    pub(crate) fn counts(&self, patients: Patients<'_>) -> Result<Vec<u64>, AnalysisError> {
        let (rows, columns) = self.shape();
        let mut counts = vec![0; rows * columns];
        let Some(dataset) = patients else {
            return Ok(counts);
        };
        for pair in self.rows.of(dataset)?.into_iter().zip(self.columns.of(dataset)?) {
            if let (Some(row), Some(column)) = pair
                && let Some(count) = counts.get_mut(row * columns + column)
            {
                *count += 1;
            }
        }
        Ok(counts)
    }

    /// Totals of the rows, then of the columns.
    pub(crate) fn margins(&self, counts: &[u64]) -> Vec<u64> {
        let (rows, columns) = self.shape();
        let row = |at: usize| counts.iter().skip(at * columns).take(columns).sum();
        let column = |at: usize| counts.iter().skip(at).step_by(columns).sum();
        (0..rows).map(row).chain((0..columns).map(column)).collect()
    }

    /// The patients of each row, then of each column.
    pub(crate) fn pick(&self, dataset: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let (rows, columns) = (self.rows.of(dataset)?, self.columns.of(dataset)?);
        let (height, width) = self.shape();
        let rows = (0..height).map(|at| of_group(&rows, at));
        Ok(rows.chain((0..width).map(|at| of_group(&columns, at))).collect())
    }

    /// As [`crate::Analysis::sets`].
    pub(crate) fn sets(&self) -> usize {
        self.rows.levels.len() + self.columns.levels.len()
    }

    /// As [`crate::Analysis::understood`].
    pub(crate) fn understood(&self) -> Vec<String> {
        vec![
            format!("rows {}", self.rows.understood()),
            format!("columns {}", self.columns.understood()),
        ]
    }
}
