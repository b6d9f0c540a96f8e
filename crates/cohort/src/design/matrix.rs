//! One centre's model matrix: complete cases only.

use super::evaluate::{Frame, evaluate};
use super::typed::Step;
use super::{Design, Outcome};
use crate::dataset::Dataset;
use crate::error::CohortError;
use std::fmt;

/// Patients of one centre as numbers, in the columns of a [`Design`]. Patient data.
///
/// Values are as recorded; centring and scaling are up to the analysis.
#[derive(Clone, PartialEq)]
pub struct DesignMatrix {
    /// Number of patients.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Values, row by row: `x[row * columns + column]`.
    pub x: Vec<f64>,
    /// The response of each patient; empty for survival.
    pub y: Vec<f64>,
    /// Times and events; only for survival.
    pub survival: Option<SurvivalTimes>,
    /// Sum of the offsets of each patient; 0 without offset.
    pub offset: Vec<f64>,
    /// Index of the stratum of each patient, below `Design::strata_count`; 0 without strata.
    pub strata: Vec<u32>,
    /// Values of each variable that is read besides the formula's: categories as the index of their
    /// level.
    pub besides: Vec<Vec<f64>>,
    /// Patients left out because a used variable is missing.
    pub left_out_missing: usize,
    /// Which rows of the data set are in.
    pub kept: Vec<usize>,
}

/// Follow-up of each patient. Patient data.
#[derive(Clone, PartialEq)]
pub struct SurvivalTimes {
    /// Start of follow-up, where patients enter at a time of their own.
    pub start: Option<Vec<f64>>,
    /// Time of the event or end of follow-up.
    pub time: Vec<f64>,
    /// Whether the event happened.
    pub event: Vec<bool>,
}

impl fmt::Debug for DesignMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DesignMatrix({} x {})", self.rows, self.columns)
    }
}

impl fmt::Debug for SurvivalTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SurvivalTimes({})", self.time.len())
    }
}

/// Values of one part, under the name to blame if they are not finite.
pub(super) struct Values {
    pub(super) name: String,
    pub(super) values: Vec<f64>,
    /// Whether NaN means that the patient has no level and is left out.
    pub(super) may_lack: bool,
}

impl Values {
    pub(super) fn of(name: &str, step: &Step, frame: &Frame) -> Self {
        Self {
            name: name.to_owned(),
            values: evaluate(step, frame),
            may_lack: matches!(step, Step::Cut(..) | Step::Codes(..) | Step::Listed(..)),
        }
    }
}

impl Design {
    /// Computes the model matrix of a centre's patients.
    ///
    /// Patients with a missing value in any variable of the formula, or outside the breaks of a
    /// `cut()`, are left out and counted, as R's `na.omit` does. (R would keep a patient for
    /// `x & y` with `x` false and `y` missing; here a missing variable always counts. A variable
    /// that the formula takes away again, as in `a + b - b`, counts for R and does not here.)
    ///
    /// # Errors
    /// [`CohortError::OtherDictionary`] for a data set of another dictionary,
    /// [`CohortError::NotFinite`] for a term such as `log(x)` at 0, and
    /// [`CohortError::StartAfterEnd`].
    pub fn matrix(&self, dataset: &Dataset) -> Result<DesignMatrix, CohortError> {
        let frame = frame(dataset, &self.used, &self.dictionary_hash)?;
        let mut all: Vec<Values> = Vec::new();
        for (_, name, typed) in &self.parts {
            all.push(Values::of(name, &typed.step, &frame));
        }
        let parts_end = all.len();
        for (name, step) in &self.offsets {
            all.push(Values::of(name, step, &frame));
        }
        let offsets_end = all.len();
        for (name, (step, _)) in self.strata.iter().zip(&self.strata_steps) {
            all.push(Values::of(name, step, &frame));
        }
        let strata_end = all.len();
        for step in self.outcome.steps() {
            all.push(Values::of(&self.outcome_text, step, &frame));
        }
        let outcome_end = all.len();
        for name in &self.besides {
            all.push(Values::of(name, &Step::Variable(name.clone()), &frame));
        }
        let kept = keep_complete(&mut all, frame.rows)?;
        let kept: Vec<usize> =
            kept.iter().filter_map(|at| frame.places.get(*at).copied()).collect();
        let rows = kept.len();
        let besides = all.split_off(outcome_end);
        let outcome = all.split_off(strata_end);
        let strata = all.split_off(offsets_end);
        let offsets = all.split_off(parts_end);
        let (y, survival) = self.outcome_values(outcome)?;
        Ok(DesignMatrix {
            rows,
            columns: self.columns.len(),
            x: self.fill(rows, &all),
            y,
            survival,
            offset: total(rows, &offsets),
            strata: stratum_of(rows, &strata, &self.strata_steps),
            besides: besides.into_iter().map(|it| it.values).collect(),
            left_out_missing: dataset.rows() - rows,
            kept,
        })
    }

    fn fill(&self, rows: usize, parts: &[Values]) -> Vec<f64> {
        let mut x = vec![1.0; rows * self.columns.len()];
        for (at, column) in self.columns.iter().enumerate() {
            for factor in &column.product {
                let mut numbered = self.parts.iter().zip(parts);
                let found = numbered.find(|((number, ..), _)| *number == factor.part);
                let Some(((.., typed), part)) = found else {
                    continue;
                };
                let cells = x.iter_mut().skip(at).step_by(self.columns.len());
                for (cell, value) in cells.zip(&part.values) {
                    *cell *= factor.value(&typed.kind, *value);
                }
            }
        }
        // A product with a dummy of 0 may be -0, which no later step should meet.
        for cell in &mut x {
            *cell += 0.0;
        }
        x
    }

    fn outcome_values(
        &self,
        values: Vec<Values>,
    ) -> Result<(Vec<f64>, Option<SurvivalTimes>), CohortError> {
        let mut columns = values.into_iter().map(|values| values.values);
        let mut next = || columns.next().unwrap_or_default();
        match &self.outcome {
            Outcome::Value { dichotomised, .. } => {
                let mut y = next();
                if *dichotomised {
                    for value in &mut y {
                        *value = f64::from(u8::from(*value != 0.0));
                    }
                }
                Ok((y, None))
            }
            Outcome::Survival { start, .. } => {
                let start = start.as_ref().map(|_| next());
                let time = next();
                let event = next().into_iter().map(|value| value != 0.0).collect();
                if let Some(start) = &start
                    && start.iter().zip(&time).any(|(start, time)| start >= time)
                {
                    return Err(CohortError::StartAfterEnd { term: self.outcome_text.clone() });
                }
                Ok((Vec::new(), Some(SurvivalTimes { start, time, event })))
            }
        }
    }
}

impl Outcome {
    fn steps(&self) -> Vec<&Step> {
        match self {
            Self::Value { step, .. } => vec![step],
            Self::Survival { start, time, event } => start.iter().chain([time, event]).collect(),
        }
    }
}

fn total(rows: usize, offsets: &[Values]) -> Vec<f64> {
    let mut sum = vec![0.0; rows];
    for offset in offsets {
        for (sum, value) in sum.iter_mut().zip(&offset.values) {
            *sum += value;
        }
    }
    sum
}

/// The index of each patient's stratum, from the levels of each part.
pub(super) fn stratum_of(rows: usize, strata: &[Values], steps: &[(Step, usize)]) -> Vec<u32> {
    let mut index = vec![0_u32; rows];
    for (values, (_, levels)) in strata.iter().zip(steps) {
        let levels = u32::try_from(*levels).unwrap_or(u32::MAX);
        for (index, value) in index.iter_mut().zip(&values.values) {
            *index = index.saturating_mul(levels) + level_index(*value);
        }
    }
    index
}

/// A level's index from its number; indices are small whole numbers by construction.
pub(super) fn level_index(value: f64) -> u32 {
    let mut index = 0_u32;
    // Levels are at most a thousand, and a loop needs no cast from a floating-point number.
    while f64::from(index) < value {
        index += 1;
    }
    index
}

/// The used variables of the patients that miss none of them.
pub(super) fn frame(
    dataset: &Dataset,
    used: &[String],
    dictionary_hash: &str,
) -> Result<Frame, CohortError> {
    dataset.check_dictionary(dictionary_hash)?;
    let mut columns = Vec::new();
    for name in used {
        columns.push(dataset.values(name)?);
    }
    let complete: Vec<bool> = (0..dataset.rows())
        .map(|row| columns.iter().all(|column| column.get(row).is_some_and(|v| !v.is_nan())))
        .collect();
    let places: Vec<usize> =
        complete.iter().enumerate().filter_map(|(row, it)| it.then_some(row)).collect();
    let columns = used.iter().zip(columns).map(|(name, column)| {
        let kept = column.into_iter().zip(&complete);
        let kept = kept.filter(|(_, complete)| **complete).map(|(value, _)| value);
        (name.clone(), kept.collect())
    });
    Ok(Frame { rows: places.len(), columns: columns.collect(), places })
}

/// Drops patients without a level, then refuses what is not finite. Returns the number kept.
pub(super) fn keep_complete(all: &mut [Values], rows: usize) -> Result<Vec<usize>, CohortError> {
    let mut keep = vec![true; rows];
    for values in all.iter().filter(|values| values.may_lack) {
        for (keep, value) in keep.iter_mut().zip(&values.values) {
            *keep &= !value.is_nan();
        }
    }
    for values in all.iter_mut() {
        let mut kept = keep.iter();
        values.values.retain(|_| kept.next().copied().unwrap_or(false));
        if values.values.iter().any(|value| !value.is_finite()) {
            return Err(CohortError::NotFinite { term: values.name.clone() });
        }
    }
    Ok(keep.into_iter().enumerate().filter_map(|(row, keep)| keep.then_some(row)).collect())
}
