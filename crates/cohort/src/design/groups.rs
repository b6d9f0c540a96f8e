//! Survival by groups, as a Kaplan–Meier estimate needs it: `Surv(time, event) ~ group`.

use super::expand::factor_step;
use super::matrix::{Values, frame, keep_complete, level_index};
use super::typed::{Step, Typing};
use super::{Outcome, RESPONSE, WRONG_PLACE, outcome};
use crate::dataset::Dataset;
use crate::dictionary::Dictionary;
use crate::error::CohortError;
use crate::formula::terms;
use crate::formula::{Formula, FormulaError};
use std::fmt;

/// A plan for survival by groups, from public information alone.
#[derive(Debug, Clone)]
pub struct GroupedSurvival {
    /// The time as written, usually a variable.
    pub time: String,
    /// The event as written, usually a variable.
    pub event: String,
    /// Public bounds of the time.
    pub time_range: Option<(f64, f64)>,
    /// The grouping as written; `None` for `~ 1`.
    pub group: Option<String>,
    /// Labels of the groups in the dictionary's order; `All` for `~ 1`.
    pub labels: Vec<String>,
    /// Remarks for people who read the plan.
    pub notes: Vec<String>,
    pub(super) used: Vec<String>,
    pub(super) dictionary_hash: String,
    time_step: Step,
    event_step: Step,
    pub(super) group_step: Option<Step>,
}

/// Follow-up and group of each complete patient. Patient data.
#[derive(Clone, PartialEq)]
pub struct GroupedRows {
    /// Time of the event or end of follow-up.
    pub time: Vec<f64>,
    /// Whether the event happened.
    pub event: Vec<bool>,
    /// Index of the group among the labels.
    pub group: Vec<u32>,
    /// Patients left out because a used variable is missing.
    pub left_out_missing: usize,
}

impl fmt::Debug for GroupedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupedRows({})", self.time.len())
    }
}

impl GroupedSurvival {
    /// Plans `Surv(time, event) ~ group` or `Surv(time, event) ~ 1`.
    ///
    /// # Errors
    /// A [`FormulaError`] where the left side is not `Surv(time, event)`, and where the right side
    /// is more than one variable with public levels.
    pub fn plan(formula: &Formula, dictionary: &Dictionary) -> Result<Self, FormulaError> {
        let mut typing = Typing { formula, dictionary, used: Vec::new(), notes: Vec::new() };
        let needed = |span| {
            let message = "Surv(time, event) is needed on the left of `~`".to_owned();
            formula.error(RESPONSE, &span, message)
        };
        let Some(left) = &formula.response else {
            return Err(needed(0..1));
        };
        let (outcome, time_range) = outcome(&mut typing, left)?;
        let Outcome::Survival { start: None, time: time_step, event: event_step } = outcome else {
            return Err(needed(left.span.clone()));
        };
        let crate::formula::Syntax::Call(_, arguments) = &left.what else {
            return Err(needed(left.span.clone()));
        };
        let mut written = arguments.iter().map(|argument| argument.value.deparse());
        let (time, event) = (written.next(), written.next());
        let expansion = terms::expand(formula, &[])?;
        let (group, labels, group_step) = match expansion.terms.as_slice() {
            [] => (None, vec!["All".to_owned()], None),
            [term] if term.count_ones() == 1 => {
                let mut parts = expansion.parts_of(*term);
                let part = parts.next().and_then(|part| expansion.parts.get(part));
                let Some(part) = part else {
                    return Err(needed(left.span.clone()));
                };
                let (step, labels) = factor_step(&mut typing, &part.node)?;
                (Some(part.name.clone()), labels, Some(step))
            }
            _ => {
                let message = "groups come from one variable".to_owned();
                return Err(formula.error(WRONG_PLACE, &formula.right.span, message));
            }
        };
        Ok(Self {
            time: time.unwrap_or_default(),
            event: event.unwrap_or_default(),
            time_range,
            group,
            labels,
            notes: typing.notes,
            used: typing.used,
            dictionary_hash: dictionary.hash(),
            time_step,
            event_step,
            group_step,
        })
    }

    /// Names of all variables that the formula reads, in order of appearance.
    #[must_use]
    pub fn variables_used(&self) -> &[String] {
        &self.used
    }

    /// Follow-up and group of a centre's patients; patients with a missing value are left out.
    ///
    /// # Errors
    /// As [`crate::Design::matrix`].
    pub fn rows(&self, dataset: &Dataset) -> Result<GroupedRows, CohortError> {
        let frame = frame(dataset, &self.used, &self.dictionary_hash)?;
        let mut all = vec![
            Values::of(&self.time, &self.time_step, &frame),
            Values::of(&self.event, &self.event_step, &frame),
        ];
        if let (Some(name), Some(step)) = (&self.group, &self.group_step) {
            all.push(Values::of(name, step, &frame));
        }
        let rows = keep_complete(&mut all, frame.rows)?;
        let mut columns = all.into_iter().map(|values| values.values);
        let time = columns.next().unwrap_or_default();
        let event = columns.next().unwrap_or_default();
        let group = columns.next().unwrap_or_else(|| vec![0.0; rows]);
        Ok(GroupedRows {
            time,
            event: event.into_iter().map(|value| value != 0.0).collect(),
            group: group.into_iter().map(level_index).collect(),
            left_out_missing: dataset.rows() - rows,
        })
    }
}
