//! Which patients columns and groups pick out, among all patients of a cohort.
//!
//! A patient belongs to a set by the variables that make the set, whatever else of the patient is
//! missing: the same column picks out the same patients in every model.

use super::evaluate::{Frame, evaluate};
use super::matrix::level_index;
use super::spline::Spline;
use super::typed::{Step, Type, Typed};
use super::{Design, DesignColumn, Factor, GroupedSurvival, Takes};
use crate::dataset::Dataset;
use crate::error::CohortError;
use std::collections::HashMap;

/// A set of a centre's patients: one entry for each row of the data set, `None` where the variables
/// that make the set are missing. Patient data.
pub type Picked = Vec<Option<bool>>;

impl Design {
    /// For each of the `columns`, by number, the patients in whom it is not 0.
    ///
    /// # Errors
    /// [`CohortError::OtherDictionary`] for a data set of another dictionary.
    pub fn picked(&self, dataset: &Dataset, columns: &[usize]) -> Result<Vec<Picked>, CohortError> {
        let frame = whole_frame(dataset, &self.used, &self.dictionary_hash)?;
        let part = |(number, _, it): &(usize, String, Typed)| {
            (*number, (it.kind.clone(), known(&it.step, &frame)))
        };
        let parts: HashMap<usize, (Type, Vec<f64>)> = self.parts.iter().map(part).collect();
        let column = |at: &usize| self.columns.get(*at);
        Ok(columns.iter().filter_map(column).map(|it| picked(it, &parts, frame.rows)).collect())
    }
}

impl Design {
    /// The number that a column is as it stands: the first column of a restricted spline.
    #[must_use]
    pub fn straight(&self, column: usize) -> Option<String> {
        let [Factor { part, takes: Takes::Column(0) }] = &self.columns.get(column)?.product[..]
        else {
            return None;
        };
        let (.., typed) = self.parts.iter().find(|(number, ..)| number == part)?;
        match &typed.kind {
            Type::Spline(Spline::Restricted { name, .. }) => Some(name.clone()),
            _ => None,
        }
    }

    /// Whom the formula itself leaves in: not those without an interval of a `cut` or a level of a
    /// `factor`, though their variables are known.
    ///
    /// # Errors
    /// As [`Design::picked`].
    pub fn left_in(&self, dataset: &Dataset) -> Result<Picked, CohortError> {
        let frame = whole_frame(dataset, &self.used, &self.dictionary_hash)?;
        let mut set = vec![Some(true); frame.rows];
        let parts = self.parts.iter().map(|(_, _, it)| &it.step);
        let strata = self.strata_steps.iter().map(|(step, _)| step);
        let choosing =
            |step: &&Step| matches!(step, Step::Cut(..) | Step::Listed(..) | Step::Codes(..));
        for step in parts.chain(strata).filter(choosing) {
            // where a variable is missing, nothing is chosen
            let reads: Vec<&Vec<f64>> =
                step.reads().into_iter().filter_map(|name| frame.columns.get(name)).collect();
            for (row, (entry, value)) in set.iter_mut().zip(evaluate(step, &frame)).enumerate() {
                let missing = reads.iter().any(|it| it.get(row).is_some_and(|it| it.is_nan()));
                if value.is_nan() && !missing {
                    *entry = Some(false);
                }
            }
        }
        Ok(set)
    }
}

impl GroupedSurvival {
    /// The group of each patient, `None` where it is missing.
    ///
    /// # Errors
    /// As [`Design::picked`].
    pub fn groups(&self, dataset: &Dataset) -> Result<Vec<Option<u32>>, CohortError> {
        let Some(step) = &self.group_step else {
            return Ok(vec![Some(0); dataset.rows()]);
        };
        let frame = whole_frame(dataset, &self.used, &self.dictionary_hash)?;
        let group = |value: f64| (!value.is_nan()).then(|| level_index(value));
        Ok(known(step, &frame).into_iter().map(group).collect())
    }
}

fn picked(column: &DesignColumn, parts: &HashMap<usize, (Type, Vec<f64>)>, rows: usize) -> Picked {
    let mut set = vec![Some(true); rows];
    for factor in &column.product {
        let Some((kind, values)) = parts.get(&factor.part) else {
            continue;
        };
        for (entry, value) in set.iter_mut().zip(values) {
            let holds = factor.value(kind, *value) != 0.0;
            *entry = entry.filter(|_| !value.is_nan()).map(|so_far| so_far && holds);
        }
    }
    set
}

/// Values of a step, NaN for patients who miss a variable that it reads.
fn known(step: &Step, frame: &Frame) -> Vec<f64> {
    let mut values = evaluate(step, frame);
    for name in step.reads() {
        let column = frame.columns.get(name).into_iter().flatten();
        for (value, read) in values.iter_mut().zip(column) {
            if read.is_nan() {
                *value = f64::NAN;
            }
        }
    }
    values
}

/// The used variables of all patients.
fn whole_frame(
    dataset: &Dataset,
    used: &[String],
    dictionary_hash: &str,
) -> Result<Frame, CohortError> {
    dataset.check_dictionary(dictionary_hash)?;
    let column = |name: &String| Ok((name.clone(), dataset.values(name)?));
    let columns = used.iter().map(column).collect::<Result<_, CohortError>>()?;
    let places: Vec<usize> = (0..dataset.rows()).collect();
    Ok(Frame { rows: places.len(), places, columns })
}
