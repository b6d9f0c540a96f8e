//! Survival by groups, as a Kaplan–Meier estimate needs it: `Surv(time, event) ~ group`; and with
//! several causes, as cumulative incidences need it.

use super::expand::{Strata, factor_step, strata_steps, strata_total};
use super::matrix::{Values, frame, keep_complete, level_index, stratum_of};
use super::typed::{Step, Typing};
use super::{ARGUMENTS, Outcome, RESPONSE, WRONG_PLACE, outcome};
use crate::dataset::Dataset;
use crate::dictionary::Dictionary;
use crate::error::CohortError;
use crate::formula::terms::{self, Expansion};
use crate::formula::{Formula, FormulaError, Node, Syntax};
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
    /// Names of the causes, without that of censoring; empty where the event is one of one kind.
    pub causes: Vec<String>,
    /// The strata as written, in order.
    pub strata: Vec<String>,
    /// Number of strata at each centre, empty ones included; 1 without strata.
    pub strata_count: usize,
    /// Whether each centre is a stratum of its own (`strata(centre)`).
    pub strata_by_centre: bool,
    /// Remarks for people who read the plan.
    pub notes: Vec<String>,
    pub(super) used: Vec<String>,
    pub(super) dictionary_hash: String,
    time_step: Step,
    event_step: Step,
    pub(super) group_step: Option<Step>,
    /// Steps that give the index of a stratum, with the number of levels of each.
    strata_steps: Vec<(Step, usize)>,
}

/// Follow-up and group of each complete patient. Patient data.
#[derive(Clone, PartialEq)]
pub struct GroupedRows {
    /// Time of the event or end of follow-up.
    pub time: Vec<f64>,
    /// Whether the event happened.
    pub event: Vec<bool>,
    /// Why the event happened: 1 for the first cause, 0 where it did not.
    pub cause: Vec<u32>,
    /// Index of the group among the labels.
    pub group: Vec<u32>,
    /// Index of the stratum, below `GroupedSurvival::strata_count`.
    pub stratum: Vec<u32>,
    /// Patients left out because a used variable is missing.
    pub left_out_missing: usize,
}

impl fmt::Debug for GroupedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupedRows({})", self.time.len())
    }
}

impl GroupedSurvival {
    /// Plans `Surv(time, event) ~ group` or `Surv(time, event) ~ 1`, either with `+ strata(..)`.
    ///
    /// # Errors
    /// A [`FormulaError`] where the left side is not `Surv(time, event)`, and where the right side
    /// is more than one variable with public levels, and strata.
    pub fn plan(formula: &Formula, dictionary: &Dictionary) -> Result<Self, FormulaError> {
        let mut typing = Typing { formula, dictionary, used: Vec::new(), notes: Vec::new() };
        let left = survival_side(formula)?;
        let (outcome, time_range) = outcome(&mut typing, left)?;
        let Outcome::Survival { start: None, time, event } = outcome else {
            return Err(needed(formula, left));
        };
        Self::of(typing, left, (time, event, time_range))
    }

    /// Plans `Surv(time, status) ~ group` with a status whose first level in the dictionary means
    /// censored and whose other levels are causes; strata as in [`GroupedSurvival::plan`].
    ///
    /// # Errors
    /// As [`GroupedSurvival::plan`], and for a status without public levels or with fewer than two
    /// causes.
    pub fn plan_causes(formula: &Formula, dictionary: &Dictionary) -> Result<Self, FormulaError> {
        let mut typing = Typing { formula, dictionary, used: Vec::new(), notes: Vec::new() };
        let left = survival_side(formula)?;
        let Syntax::Call(_, arguments) = &left.what else {
            return Err(needed(formula, left));
        };
        let [time, status] = arguments.as_slice() else {
            return Err(needed(formula, left));
        };
        let (time, time_range) = typing.number(&time.value)?;
        let (status_step, levels) = factor_step(&mut typing, &status.value)?;
        let Some((censored, causes)) = levels.split_first().filter(|(_, causes)| causes.len() > 1)
        else {
            let message =
                "the status needs a level for censored and two causes at least".to_owned();
            return Err(formula.error(ARGUMENTS, &status.value.span, message));
        };
        typing.notes.push(format!("`{censored}` means censored"));
        let mut plan = Self::of(typing, left, (time, status_step, time_range))?;
        plan.causes = causes.to_vec();
        Ok(plan)
    }

    /// The plan of what stands on the right of `~`.
    fn of(
        mut typing: Typing<'_>,
        left: &Node,
        (time_step, event_step, time_range): (Step, Step, Option<(f64, f64)>),
    ) -> Result<Self, FormulaError> {
        let (formula, dictionary) = (typing.formula, typing.dictionary);
        let Syntax::Call(_, arguments) = &left.what else {
            return Err(needed(formula, left));
        };
        let mut written = arguments.iter().map(|argument| argument.value.deparse());
        let (time, event) = (written.next(), written.next());
        let mut expansion = terms::expand(formula, &[])?;
        let (strata, strata_by_centre) = take_strata(&mut typing, &mut expansion)?;
        let (group, labels, group_step) = grouping(&mut typing, &expansion)?;
        Ok(Self {
            time: time.unwrap_or_default(),
            event: event.unwrap_or_default(),
            time_range,
            group,
            labels,
            causes: Vec::new(),
            strata: strata.iter().map(|(name, ..)| name.clone()).collect(),
            strata_count: strata_total(formula, &strata)?,
            strata_by_centre,
            notes: typing.notes,
            used: typing.used,
            dictionary_hash: dictionary.hash(),
            time_step,
            event_step,
            group_step,
            strata_steps: strata.into_iter().map(|(_, step, levels)| (step, levels)).collect(),
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
        let strata_start = all.len();
        for (name, (step, _)) in self.strata.iter().zip(&self.strata_steps) {
            all.push(Values::of(name, step, &frame));
        }
        let rows = keep_complete(&mut all, frame.rows)?.len();
        let stratum = stratum_of(rows, &all.split_off(strata_start), &self.strata_steps);
        let mut columns = all.into_iter().map(|values| values.values);
        let time = columns.next().unwrap_or_default();
        let event = columns.next().unwrap_or_default();
        let group = columns.next().unwrap_or_else(|| vec![0.0; rows]);
        Ok(GroupedRows {
            time,
            cause: event.iter().map(|value| level_index(*value)).collect(),
            event: event.into_iter().map(|value| value != 0.0).collect(),
            group: group.into_iter().map(level_index).collect(),
            stratum,
            left_out_missing: dataset.rows() - rows,
        })
    }
}

fn needed(formula: &Formula, left: &Node) -> FormulaError {
    let message = "Surv(time, event) is needed on the left of `~`".to_owned();
    formula.error(RESPONSE, &left.span, message)
}

/// The left side, where it is a call of `Surv`.
fn survival_side(formula: &Formula) -> Result<&Node, FormulaError> {
    let Some(left) = &formula.response else {
        let message = "Surv(time, event) is needed on the left of `~`".to_owned();
        return Err(formula.error(RESPONSE, &(0..1), message));
    };
    match &left.what {
        Syntax::Call(function, _) if function == "Surv" => Ok(left),
        _ => Err(needed(formula, left)),
    }
}

/// Takes `strata(..)` out of the terms.
fn take_strata(
    typing: &mut Typing<'_>,
    expansion: &mut Expansion,
) -> Result<(Strata, bool), FormulaError> {
    let (mut strata, mut by_centre, mut special) = (Vec::new(), false, 0);
    for (index, part) in expansion.parts.iter().enumerate() {
        if let Syntax::Call(function, arguments) = &part.node.what
            && function == "strata"
        {
            special |= 1 << index;
            let (more, centre) = strata_steps(typing, part, arguments)?;
            strata.extend(more);
            by_centre |= centre;
        }
    }
    for term in &expansion.terms {
        if term & special != 0 && term.count_ones() > 1 {
            let message = format!("`{}` is not available", expansion.label(*term));
            let span = typing.formula.right.span.clone();
            return Err(typing.error(WRONG_PLACE, &span, message));
        }
    }
    expansion.terms.retain(|term| term & special == 0);
    Ok((strata, by_centre))
}

/// Name, labels and step of the one variable that makes the groups.
type Grouping = (Option<String>, Vec<String>, Option<Step>);

fn grouping(typing: &mut Typing<'_>, expansion: &Expansion) -> Result<Grouping, FormulaError> {
    let message = "groups come from one variable".to_owned();
    let wrong = typing.error(WRONG_PLACE, &typing.formula.right.span, message);
    match expansion.terms.as_slice() {
        [] => Ok((None, vec!["All".to_owned()], None)),
        [term] if term.count_ones() == 1 => {
            let part = expansion.parts_of(*term).next();
            let Some(part) = part.and_then(|part| expansion.parts.get(part)) else {
                return Err(wrong);
            };
            let (step, labels) = factor_step(typing, &part.node)?;
            Ok((Some(part.name.clone()), labels, Some(step)))
        }
        _ => Err(wrong),
    }
}
