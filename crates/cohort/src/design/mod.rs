//! The columns of a model matrix, from a formula and the dictionary alone.
//!
//! [`Design::expand`] never sees a patient: names, number and public scaling of the columns are
//! the same at every centre. [`Design::matrix`] then fills in one centre's patients.

mod evaluate;
mod expand;
mod groups;
mod interval;
mod levels;
mod matrix;
mod pick;
mod spline;
mod typed;

pub use groups::{GroupedRows, GroupedSurvival};
pub use matrix::{DesignMatrix, SurvivalTimes};
pub use pick::Picked;

use crate::dictionary::Dictionary;
use crate::formula::terms;
use crate::formula::{Argument, Formula, FormulaError, Node, Syntax};
use expand::Builder;
use interval::Bounds;
use std::collections::HashSet;
use std::fmt::Write as _;
use typed::{Step, Type, Typed, Typing};

/// Most columns of a design.
pub const COLUMNS_MAX: usize = 1_000;
/// Most strata of a design at one centre.
pub const STRATA_MAX: usize = 10_000;

const TOO_LARGE: &str = "K0202";
const WRONG_PLACE: &str = "K0208";
const RESPONSE: &str = "K0210";
const WRONG_TYPE: &str = "K0211";
const EMPTY: &str = "K0213";
const ARGUMENTS: &str = "K0212";

/// One column of a model matrix, with public bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct DesignColumn {
    /// Name as R's `model.matrix` gives it: `(Intercept)`, `sexM`, `age:sexM`.
    pub name: String,
    /// Middle of the public range; 0 for intercept, dummies, and where no range is known.
    pub centre: f64,
    /// Half the public range; 1 where the centre is 0 for these reasons. Always above 0.
    pub scale: f64,
    /// Smallest and largest value that the dictionary allows.
    pub range: Option<(f64, f64)>,
    /// The column is the product of these; none for the intercept.
    product: Vec<Factor>,
}

/// One factor of a column.
#[derive(Debug, Clone, PartialEq)]
struct Factor {
    part: usize,
    takes: Takes,
}

/// What a column takes of a part.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Takes {
    /// Its number.
    Number,
    /// Whether it has this level.
    Level(f64),
    /// One of the columns of a spline.
    Column(usize),
}

impl Factor {
    /// What a patient's value of the part contributes to the column.
    fn value(&self, of: &Type, value: f64) -> f64 {
        match (self.takes, of) {
            (Takes::Level(level), _) => f64::from(u8::from(value == level)),
            (Takes::Column(column), Type::Spline(spline)) => spline.column(column, value),
            _ => value,
        }
    }
}

/// What a model explains.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Response {
    /// A number, with public centre and scale.
    Numeric {
        /// Middle of the public range, 0 where none is known.
        centre: f64,
        /// Half the public range, 1 where none is known.
        scale: f64,
    },
    /// 0 or 1: a condition, or a category, whose first level is 0 and all others 1.
    Binary,
    /// A category's level as a number: 0, 1 and so on in the dictionary's order.
    Levels(Vec<String>),
    /// A time until an event.
    Survival {
        /// Public bounds of the time of event or end of follow-up.
        time_range: Option<(f64, f64)>,
        /// Whether patients enter at a time of their own (`Surv(start, end, event)`).
        delayed_entry: bool,
    },
}

/// How the response is computed.
#[derive(Debug, Clone)]
enum Outcome {
    Value { step: Step, dichotomised: bool, levels: Vec<String> },
    Survival { start: Option<Step>, time: Step, event: Step },
}

/// An expanded formula: which columns a model has, at every centre alike. Public.
#[derive(Debug, Clone)]
pub struct Design {
    /// Columns in R's order.
    pub columns: Vec<DesignColumn>,
    /// What the model explains.
    pub response: Response,
    /// The offset as written, where there is one.
    pub offset: Option<String>,
    /// The strata as written, in order.
    pub strata: Vec<String>,
    /// Number of strata at each centre, empty ones included; 1 without strata.
    pub strata_count: usize,
    /// Whether each centre is a stratum of its own (`strata(centre)`).
    pub strata_by_centre: bool,
    /// Whether the first column is the intercept; never for survival.
    pub has_intercept: bool,
    formula: Formula,
    dictionary_hash: String,
    dictionary_title: String,
    used: Vec<String>,
    /// Variables that are read besides the formula's.
    besides: Vec<String>,
    notes: Vec<String>,
    /// Parts that columns are made of, with their number in the formula.
    parts: Vec<(usize, String, Typed)>,
    outcome: Outcome,
    outcome_text: String,
    offsets: Vec<(String, Step)>,
    /// Steps that give the index of a stratum, with the number of levels of each.
    strata_steps: Vec<(Step, usize)>,
}

impl Design {
    /// The same with a further column that does not come from the data set: its name only, for what is
    /// said of the model. Its values are the caller's.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        let (centre, scale, range) = (0.0, 1.0, None);
        let column =
            DesignColumn { name: name.to_owned(), centre, scale, range, product: Vec::new() };
        self.columns.push(column);
        self
    }

    /// Expands a formula under a dictionary, by R's rules; patients are not looked at.
    ///
    /// # Errors
    /// A [`FormulaError`] for unknown variables, levels and functions, identifiers, parts of a
    /// wrong type, a missing response, no columns or more than 1,000 of them.
    pub fn expand(formula: &Formula, dictionary: &Dictionary) -> Result<Self, FormulaError> {
        let mut typing = Typing { formula, dictionary, used: Vec::new(), notes: Vec::new() };
        let Some(left) = &formula.response else {
            let message = "a model needs a response on the left of `~`".to_owned();
            return Err(formula.error(RESPONSE, &(0..1), message));
        };
        let (outcome, bounds) = outcome(&mut typing, left)?;
        let expansion = terms::expand(formula, &dot(left, dictionary))?;
        let survival = matches!(outcome, Outcome::Survival { .. });
        let mut builder = Builder::new(typing, expansion, survival);
        builder.sort_out_parts(left)?;
        let columns = builder.columns()?;
        let has_intercept = builder.expansion.intercept && !survival;
        let response = response(&outcome, bounds, has_intercept);
        let strata_count = builder.strata_count()?;
        let strata = builder.strata.iter().map(|(name, ..)| name.clone());
        let offsets: Vec<&str> = builder.offsets.iter().map(|(n, _)| n.as_str()).collect();
        Ok(Self {
            columns,
            response,
            offset: (!offsets.is_empty()).then(|| offsets.join(" + ")),
            strata: strata.collect(),
            strata_count,
            strata_by_centre: builder.by_centre,
            has_intercept,
            formula: formula.clone(),
            dictionary_hash: dictionary.hash(),
            dictionary_title: dictionary.title(),
            outcome,
            outcome_text: left.deparse(),
            strata_steps: builder.strata.into_iter().map(|(_, s, n)| (s, n)).collect(),
            offsets: builder.offsets,
            used: builder.typing.used,
            besides: Vec::new(),
            notes: builder.typing.notes,
            parts: numbered(builder.parts),
        })
    }

    /// Names of all variables that the formula reads, in order of appearance.
    #[must_use]
    pub fn variables_used(&self) -> &[String] {
        &self.used
    }

    /// The same design, which also reads a variable of the dictionary: patients who miss it are left
    /// out, and [`DesignMatrix::besides`] has its values.
    #[must_use]
    pub fn reading(mut self, name: &str) -> Self {
        if !self.used.iter().any(|used| used == name) {
            self.used.push(name.to_owned());
        }
        self.besides.push(name.to_owned());
        self
    }

    /// The same design with all levels of its response instead of the first against the others;
    /// `None` where the response is no category.
    #[must_use]
    pub fn by_levels(mut self) -> Option<Self> {
        let Outcome::Value { dichotomised, levels, .. } = &mut self.outcome else {
            return None;
        };
        if levels.is_empty() {
            return None;
        }
        *dichotomised = false;
        self.response = Response::Levels(levels.clone());
        Some(self)
    }

    /// The levels of a response that has levels; none otherwise.
    #[must_use]
    pub fn response_levels(&self) -> &[String] {
        match &self.response {
            Response::Levels(levels) => levels,
            _ => &[],
        }
    }

    /// The formula that was expanded.
    #[must_use]
    pub fn formula(&self) -> &Formula {
        &self.formula
    }

    /// The time of a survival response as written, usually a variable.
    #[must_use]
    pub fn time(&self) -> Option<String> {
        let Syntax::Call(_, arguments) = &self.formula.response.as_ref()?.what else {
            return None;
        };
        let survival = matches!(self.outcome, Outcome::Survival { .. });
        let at = arguments.len().checked_sub(2).filter(|_| survival)?;
        Some(arguments.get(at)?.value.deparse())
    }

    /// Hash of the dictionary that the design was expanded under.
    #[must_use]
    pub fn dictionary_hash(&self) -> &str {
        &self.dictionary_hash
    }

    /// Remarks for people who read the plan.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The expanded design as a plan shows it: response, columns with scaling, offset, strata.
    #[must_use]
    pub fn describe(&self) -> String {
        let response = match &self.response {
            Response::Numeric { .. } => "a number".to_owned(),
            Response::Binary => "0 or 1".to_owned(),
            Response::Levels(levels) => levels.join(", "),
            Response::Survival { delayed_entry: true, .. } => {
                "time to event, delayed entry".to_owned()
            }
            Response::Survival { .. } => "time to event".to_owned(),
        };
        // Writing to a String cannot fail.
        let mut out = format!("formula    {}\n", self.formula);
        let _ = writeln!(out, "dictionary {}", self.dictionary_title);
        let _ = writeln!(out, "response   {}, {response}", self.outcome_text);
        if let Some(offset) = &self.offset {
            let _ = writeln!(out, "offset     {offset}");
        }
        if !self.strata.is_empty() {
            let strata = self.strata.join(", ");
            let _ = writeln!(out, "strata     {strata} ({} each centre)", self.strata_count);
        }
        let _ = writeln!(out, "columns    {}", self.columns.len());
        let names = self.columns.iter().map(|column| column.name.chars().count());
        let width = names.max().unwrap_or(0).min(40);
        for (number, column) in self.columns.iter().enumerate() {
            let number = number + 1;
            let line = match column.range {
                Some((low, high)) => format!("{low} to {high}"),
                None => "range unknown".to_owned(),
            };
            let _ = writeln!(out, "  {number:>3}  {:width$}  {line}", column.name);
        }
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }
}

fn numbered(parts: Vec<Option<(String, Typed)>>) -> Vec<(usize, String, Typed)> {
    let numbered = parts.into_iter().enumerate();
    numbered.filter_map(|(number, part)| part.map(|(name, typed)| (number, name, typed))).collect()
}

fn response(outcome: &Outcome, bounds: Bounds, has_intercept: bool) -> Response {
    match outcome {
        Outcome::Survival { start, .. } => {
            Response::Survival { time_range: bounds, delayed_entry: start.is_some() }
        }
        Outcome::Value { dichotomised: true, .. } => Response::Binary,
        Outcome::Value { .. } => {
            let (centre, scale) = interval::centre_and_scale(bounds, has_intercept);
            Response::Numeric { centre, scale }
        }
    }
}

/// Names that `.` stands for: all variables of the dictionary but identifiers and the left side's.
pub(crate) fn dot(left: &Node, dictionary: &Dictionary) -> Vec<String> {
    let mut on_left = HashSet::new();
    collect_names(left, &mut on_left);
    let variables = dictionary.variables.iter();
    let free = variables.filter(|v| !v.is_identifier() && !on_left.contains(v.name.as_str()));
    free.map(|variable| variable.name.clone()).collect()
}

fn collect_names<'a>(node: &'a Node, names: &mut HashSet<&'a str>) {
    match &node.what {
        Syntax::Name(name) => {
            names.insert(name);
        }
        Syntax::Parenthesis(inner) | Syntax::Unary(_, inner) => collect_names(inner, names),
        Syntax::Binary(_, left, right) => {
            collect_names(left, names);
            collect_names(right, names);
        }
        Syntax::Call(_, arguments) => {
            for argument in arguments {
                collect_names(&argument.value, names);
            }
        }
        Syntax::Number(_) | Syntax::Text(_) | Syntax::Logical(_) => {}
    }
}

/// The response, with public bounds of its number or time.
fn outcome(typing: &mut Typing<'_>, left: &Node) -> Result<(Outcome, Bounds), FormulaError> {
    if let Syntax::Call(function, arguments) = &left.what
        && function == "Surv"
    {
        return survival(typing, arguments, left);
    }
    let typed = typing.part(left)?;
    let mut levels = Vec::new();
    let (dichotomised, bounds) = match typed.kind {
        Type::Number(bounds) => (false, bounds),
        Type::Logical { .. } => (true, Some((0.0, 1.0))),
        Type::Factor(known) if !matches!(typed.step, Step::Cut(..) | Step::Listed(..)) => {
            levels = known;
            (true, Some((0.0, 1.0)))
        }
        Type::Factor(_) | Type::Text(_) | Type::Numbers(_) | Type::Texts(_) | Type::Spline(_) => {
            let message = "the response must be a number, a condition or a category".to_owned();
            return Err(typing.error(RESPONSE, &left.span, message));
        }
    };
    let step = typed.step;
    Ok((Outcome::Value { step, dichotomised, levels }, bounds))
}

fn survival(
    typing: &mut Typing<'_>,
    arguments: &[Argument],
    left: &Node,
) -> Result<(Outcome, Bounds), FormulaError> {
    if let Some(named) = arguments.iter().find(|argument| argument.name.is_some()) {
        let message = "Surv() takes its arguments without names".to_owned();
        return Err(typing.error(ARGUMENTS, &named.value.span, message));
    }
    let (start, time, event) = match arguments {
        [time, event] => (None, &time.value, &event.value),
        [start, time, event] => (Some(&start.value), &time.value, &event.value),
        _ => {
            let message = "Surv() takes time and event, or start, end and event".to_owned();
            return Err(typing.error(ARGUMENTS, &left.span, message));
        }
    };
    let start = match start {
        Some(start) => Some(typing.number(start)?.0),
        None => None,
    };
    let (time, bounds) = typing.number(time)?;
    let event = typing.condition(event).map_err(|mut error| {
        if error.code == WRONG_TYPE && error.message.starts_with("a condition") {
            "the event of Surv() is true or false, or 0 or 1".clone_into(&mut error.message);
            "write a condition, as in status == \"dead\"".clone_into(&mut error.label);
        }
        error
    })?;
    Ok((Outcome::Survival { start, time, event }, bounds))
}
