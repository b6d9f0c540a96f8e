//! R's model formulas: text to syntax tree, and R's rules for expanding it to terms.
//!
//! The accepted language is R's, minus what would have to look at patients to know its columns
//! (`scale`, `poly`, knots at quantiles): [`Formula::parse`] reads syntax, [`crate::Design::expand`] gives it a
//! meaning under a dictionary.

pub(crate) mod deparse;
mod lexer;
mod parser;
pub(crate) mod terms;

pub use crate::error::Diagnostic as FormulaError;
use std::ops::Range;

/// Longest formula, in bytes.
pub const FORMULA_BYTES_MAX: usize = 4_096;
/// Deepest nesting of a formula.
pub const FORMULA_DEPTH_MAX: usize = 48;

/// A model formula such as `Surv(months, died) ~ age + sex`. Public.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    pub(crate) text: String,
    pub(crate) response: Option<Node>,
    pub(crate) right: Node,
}

impl Formula {
    /// Reads a formula; the left side may be absent (`~ age + sex`).
    ///
    /// # Errors
    /// A [`FormulaError`] with the bytes to blame: not R's syntax, longer than 4,096 bytes, or
    /// nested deeper than 48.
    ///
    /// ```
    /// let formula = konsil_cohort::Formula::parse("hba1c ~ age*sex")?;
    /// assert_eq!(formula.to_string(), "hba1c ~ age * sex");
    /// # Ok::<(), konsil_cohort::FormulaError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        parser::parse(text)
    }

    /// The formula as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The models that R's `anova` compares, term by term: without any term, with the first, with
    /// the first two, and so on; an offset is in all of them.
    ///
    /// # Errors
    /// A [`FormulaError`] for a formula without a response or without an intercept.
    pub fn sequence(&self, dictionary: &crate::Dictionary) -> Result<Vec<String>, FormulaError> {
        let Some(left) = &self.response else {
            let message = "a model needs a response on the left of `~`".to_owned();
            return Err(self.error("K0210", &(0..1), message));
        };
        let expansion = terms::expand(self, &crate::design::dot(left, dictionary))?;
        if !expansion.intercept {
            let message = "a comparison term by term needs the intercept".to_owned();
            return Err(self.error("K0208", &self.right.span, message));
        }
        let special = |name: &str| name.starts_with("offset(");
        let offsets = expansion.parts.iter().map(|part| part.name.clone());
        let mut kept: Vec<String> = offsets.filter(|name| special(name)).collect();
        kept.insert(0, "1".to_owned());
        let mut all = vec![format!("{} ~ {}", left.deparse(), kept.join(" + "))];
        for term in &expansion.terms {
            let label = expansion.label(*term);
            if !special(&label) {
                kept.push(label);
                all.push(format!("{} ~ {}", left.deparse(), kept.join(" + ")));
            }
        }
        Ok(all)
    }

    pub(crate) fn error(&self, code: &'static str, span: &Span, message: String) -> FormulaError {
        FormulaError {
            code,
            message,
            origin: "formula",
            text: self.text.clone(),
            span: span.clone(),
            label: String::new(),
        }
    }
}

impl std::fmt::Display for Formula {
    /// The formula in R's spacing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(response) = &self.response {
            write!(f, "{} ", deparse::deparse(response))?;
        }
        write!(f, "~ {}", deparse::deparse(&self.right))
    }
}

pub(crate) type Span = Range<usize>;

/// One node of the syntax tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) what: Syntax,
    pub(crate) span: Span,
}

impl Node {
    /// The node as R would write it; R names columns and variables so.
    pub(crate) fn deparse(&self) -> String {
        deparse::deparse(self)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Syntax {
    Number(f64),
    Text(String),
    Logical(bool),
    /// A name; `.` stands for all variables not on the left side.
    Name(String),
    Parenthesis(Box<Node>),
    Unary(Operator, Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(String, Vec<Argument>),
}

/// An argument of a call, with its name where one is given (`breaks = c(1, 2)`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    pub(crate) name: Option<String>,
    pub(crate) value: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Colon,
    In,
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Not,
}

impl Operator {
    /// How the operator is written by R, with R's spaces.
    pub(crate) fn deparsed(self) -> &'static str {
        match self {
            Self::Add => " + ",
            Self::Subtract => " - ",
            Self::Multiply => " * ",
            Self::Divide => "/",
            Self::Power => "^",
            Self::Colon => ":",
            Self::In => " %in% ",
            Self::Equal => " == ",
            Self::Unequal => " != ",
            Self::Less => " < ",
            Self::LessEqual => " <= ",
            Self::Greater => " > ",
            Self::GreaterEqual => " >= ",
            Self::And => " & ",
            Self::Or => " | ",
            Self::Not => "!",
        }
    }

    pub(crate) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::Unequal
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
        )
    }

    pub(crate) fn is_logical(self) -> bool {
        self.is_comparison() || matches!(self, Self::And | Self::Or | Self::Not)
    }
}
