//! Cohort definitions: which patients a study is about.
//!
//! The language is a small part of SQL: comparisons, `AND`, `OR`, `NOT`, `IN`, `BETWEEN`,
//! `IS NULL`, arithmetic, and `abs`, `coalesce`, `least`, `greatest`. It is parsed by DataFusion's
//! SQL parser, then checked against this list, so that nothing else of SQL is ever executed.
//! A condition on a missing value is neither true nor false, and keeps no patient.

mod check;
mod execute;
mod sql;

use crate::dataset::Dataset;
use crate::dictionary::Dictionary;
use crate::error::{CohortError, Diagnostic};
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::ops::Range;

/// Longest cohort definition, in characters.
pub const PREDICATE_CHARS_MAX: usize = 4_096;
/// Deepest nesting of a cohort definition.
pub const PREDICATE_DEPTH_MAX: usize = 32;

/// Enough for the deepest tree of 4,096 characters; only what is used takes memory.
const STACK_BYTES: usize = 64 << 20;

const SYNTAX: &str = "K0301";
const TOO_LARGE: &str = "K0302";

/// A checked cohort definition, such as `dx_ad and age >= 50`. Public.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    condition: Condition,
    dictionary_hash: String,
}

impl Predicate {
    /// Parses a definition and checks it against the dictionary.
    ///
    /// # Errors
    /// [`CohortError::Predicate`] with the place in the text: not SQL, longer than 4,096
    /// characters, nested deeper than 32, a name that is no variable or an identifier, a text that
    /// is no level, equality of numbers with decimals, or any construct outside of the list above.
    pub fn parse(text: &str, dictionary: &Dictionary) -> Result<Self, CohortError> {
        let condition = parse(text, dictionary)
            .map_err(|diagnostic| CohortError::Predicate(Box::new(diagnostic)))?;
        Ok(Self { condition, dictionary_hash: dictionary.hash() })
    }

    /// The patients for whom the definition is true, in their order.
    ///
    /// # Errors
    /// [`CohortError::OtherDictionary`], and [`CohortError::WrongKind`] for a variable that was
    /// not in the imported file.
    pub fn apply(&self, dataset: &Dataset) -> Result<Dataset, CohortError> {
        dataset.check_dictionary(&self.dictionary_hash)?;
        execute::apply(&self.condition, dataset)
    }

    /// The definition in one canonical spelling, which parses to the same definition.
    #[must_use]
    pub fn to_sql(&self) -> String {
        sql::condition(&self.condition, false)
    }

    /// Names of the variables that the definition reads, sorted.
    #[must_use]
    pub fn variables_used(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.condition.collect_names(&mut names);
        names.sort();
        names.dedup();
        names
    }
}

/// A condition on one patient.
#[derive(Debug, Clone, PartialEq)]
enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Constant(bool),
    /// A boolean variable, or an integer one that is 0 or 1.
    Flag {
        name: String,
        boolean: bool,
    },
    Compare(Comparison, Number, Number),
    /// A category has one of the levels, by code and index.
    Levels {
        name: String,
        levels: Vec<(String, u32)>,
        negated: bool,
    },
    OneOf {
        number: Number,
        values: Vec<f64>,
        negated: bool,
    },
    Between {
        number: Number,
        low: Number,
        high: Number,
        negated: bool,
    },
    Missing {
        name: String,
        negated: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A number computed from one patient.
#[derive(Debug, Clone, PartialEq)]
enum Number {
    Variable { name: String, boolean: bool },
    Literal(f64),
    Negative(Box<Number>),
    Arithmetic(Arithmetic, Box<Number>, Box<Number>),
    Call(Function, Vec<Number>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Abs,
    Coalesce,
    Least,
    Greatest,
}

impl Function {
    const ALL: [Self; 4] = [Self::Abs, Self::Coalesce, Self::Least, Self::Greatest];

    fn word(self) -> &'static str {
        match self {
            Self::Abs => "abs",
            Self::Coalesce => "coalesce",
            Self::Least => "least",
            Self::Greatest => "greatest",
        }
    }
}

impl Condition {
    fn collect_names(&self, names: &mut Vec<String>) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.collect_names(names));
            }
            Self::Not(inner) => inner.collect_names(names),
            Self::Constant(_) => {}
            Self::Flag { name, .. } | Self::Levels { name, .. } | Self::Missing { name, .. } => {
                names.push(name.clone());
            }
            Self::Compare(_, left, right) => {
                left.collect_names(names);
                right.collect_names(names);
            }
            Self::OneOf { number, .. } => number.collect_names(names),
            Self::Between { number, low, high, .. } => {
                number.collect_names(names);
                low.collect_names(names);
                high.collect_names(names);
            }
        }
    }
}

impl Number {
    fn collect_names(&self, names: &mut Vec<String>) {
        match self {
            Self::Variable { name, .. } => names.push(name.clone()),
            Self::Literal(_) => {}
            Self::Negative(inner) => inner.collect_names(names),
            Self::Arithmetic(_, left, right) => {
                left.collect_names(names);
                right.collect_names(names);
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|a| a.collect_names(names)),
        }
    }
}

/// Parses on a thread of its own with a large stack: a chain such as `x + 1 + 1 ...` gives a tree
/// as deep as the chain is long, which the SQL library walks by recursion.
fn parse(text: &str, dictionary: &Dictionary) -> Result<Condition, Diagnostic> {
    let source = Source { text };
    source.check_size()?;
    let checker = check::Checker { source: &source, dictionary };
    let gave_up = || {
        let message = "the SQL parser gave up on this text";
        source.error(SYNTAX, 0..text.len(), message)
    };
    std::thread::scope(|scope| {
        let work = || checker.whole(&source.sql()?);
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|_| gave_up())?;
        thread.join().map_err(|_| gave_up())?
    })
}

/// The text of a definition, for places in errors.
struct Source<'a> {
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, code: &'static str, span: Range<usize>, message: &str) -> Diagnostic {
        Diagnostic {
            code,
            message: message.to_owned(),
            origin: "where",
            text: self.text.to_owned(),
            span,
            label: String::new(),
        }
    }

    /// Byte offset of a line and column, both counted from 1, in characters; 0 is "not known".
    fn offset(&self, line: u64, column: u64) -> Option<usize> {
        let (line, column) = (line.checked_sub(1)?, column.checked_sub(1)?);
        let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
        let start: usize = self.text.split_inclusive('\n').take(line).map(str::len).sum();
        let rest = self.text.get(start..)?;
        let within = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
        Some(start + within)
    }

    /// Refuses what could make the parser go too deep, before the parser sees it.
    fn check_size(&self) -> Result<(), Diagnostic> {
        if self.text.chars().count() > PREDICATE_CHARS_MAX {
            let message = "the definition is longer than 4,096 characters";
            let mut error = self.error(TOO_LARGE, 0..0, message);
            error.text.clear();
            return Err(error);
        }
        let (mut depth, mut quote) = (0_usize, None);
        let mut before = ' ';
        for (at, letter) in self.text.char_indices() {
            let here = at..at + letter.len_utf8();
            match (quote, letter) {
                (Some(open), _) if open == letter => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(letter),
                (None, '(' | '[' | '{') => depth += 1,
                (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
                (None, '-') if before == '-' => {
                    return Err(self.error(SYNTAX, here, "comments are not allowed"));
                }
                (None, '*') if before == '/' => {
                    return Err(self.error(SYNTAX, here, "comments are not allowed"));
                }
                _ => {}
            }
            if depth > PREDICATE_DEPTH_MAX {
                let message = "the definition is nested deeper than 32";
                return Err(self.error(TOO_LARGE, here, message));
            }
            before = letter;
        }
        Ok(())
    }

    fn sql(&self) -> Result<Expr, Diagnostic> {
        let all = 0..self.text.len();
        let refused = |error: ParserError| match error {
            ParserError::RecursionLimitExceeded => {
                self.error(TOO_LARGE, all.clone(), "the definition is nested too deep")
            }
            ParserError::TokenizerError(what) | ParserError::ParserError(what) => {
                self.error(SYNTAX, self.place_in(&what), &format!("not SQL: {what}"))
            }
        };
        let mut parser = Parser::new(&GenericDialect {})
            .with_recursion_limit(PREDICATE_DEPTH_MAX * 2)
            .try_with_sql(self.text)
            .map_err(refused)?;
        let expression = parser.parse_expr().map_err(refused)?;
        let next = parser.peek_token();
        if next.token == Token::EOF {
            return Ok(expression);
        }
        let start = self.offset(next.span.start.line, next.span.start.column);
        let end = self.offset(next.span.end.line, next.span.end.column);
        let start = start.unwrap_or(0);
        let span = start..end.unwrap_or(start).max(start);
        Err(self.error(SYNTAX, span, "expected AND, OR or the end here"))
    }

    /// The place that the parser names at the end of its message, such as `Line: 1, Column: 8`.
    fn place_in(&self, what: &str) -> Range<usize> {
        let number_after = |word: &str| {
            let (_, rest) = what.rsplit_once(word)?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        };
        let line = number_after("Line: ").unwrap_or(1);
        let column = number_after("Column: ").unwrap_or(1);
        let start = self.offset(line, column).unwrap_or(0);
        let letter = self.text.get(start..).and_then(|rest| rest.chars().next());
        start..start + letter.map_or(0, char::len_utf8)
    }
}
