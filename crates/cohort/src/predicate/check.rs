//! SQL against the list of what a cohort definition may say.

use super::{
    Arithmetic, Comparison, Condition, Function, Number, PREDICATE_DEPTH_MAX, Source, TOO_LARGE,
};
use crate::dictionary::{Dictionary, Kind, Variable, suggest};
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned,
    UnaryOperator, Value,
};
use std::ops::Range;

const UNKNOWN_VARIABLE: &str = "K0303";
const IDENTIFIER: &str = "K0304";
const NOT_ALLOWED: &str = "K0305";
const WRONG_TYPE: &str = "K0306";
const FLOAT_EQUALITY: &str = "K0307";
const UNKNOWN_LEVEL: &str = "K0309";

pub(super) struct Checker<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) dictionary: &'a Dictionary,
}

/// What an expression turned out to be.
enum Checked {
    /// A number; whether it is a whole one, so that equality has a meaning.
    Number {
        number: Number,
        whole: bool,
    },
    Condition(Condition),
    Category(String),
    Text(String),
}

impl Checker<'_> {
    pub(super) fn whole(&self, expression: &Expr) -> Result<Condition, Diagnostic> {
        self.condition(expression, 0)
    }

    fn span(&self, expression: &impl Spanned) -> Range<usize> {
        let span = expression.span();
        let start = self.source.offset(span.start.line, span.start.column);
        let end = self.source.offset(span.end.line, span.end.column);
        match start.zip(end) {
            Some((start, end)) if start < end => start..end,
            _ => 0..self.source.text.len(),
        }
    }

    fn error(&self, code: &'static str, place: &impl Spanned, message: &str) -> Diagnostic {
        self.source.error(code, self.span(place), message)
    }

    fn condition(&self, expression: &Expr, depth: usize) -> Result<Condition, Diagnostic> {
        match self.check(expression, depth)? {
            Checked::Condition(condition) => Ok(condition),
            Checked::Number { number: Number::Variable { name, boolean }, .. }
                if self.is_zero_one(&name) =>
            {
                Ok(Condition::Flag { name, boolean })
            }
            _ => {
                let message = "a condition is needed here, such as age >= 50";
                Err(self.error(WRONG_TYPE, expression, message))
            }
        }
    }

    fn is_zero_one(&self, name: &str) -> bool {
        self.dictionary.variable(name).is_some_and(Variable::is_zero_one)
    }

    fn number(&self, expression: &Expr, depth: usize) -> Result<(Number, bool), Diagnostic> {
        match self.check(expression, depth)? {
            Checked::Number { number, whole } => Ok((number, whole)),
            Checked::Condition(Condition::Flag { name, boolean }) => {
                Ok((Number::Variable { name, boolean }, true))
            }
            Checked::Category(name) => {
                let message = format!("`{name}` is a category; a number is needed here");
                Err(self.error(WRONG_TYPE, expression, &message))
            }
            Checked::Text(_) | Checked::Condition(_) => {
                Err(self.error(WRONG_TYPE, expression, "a number is needed here"))
            }
        }
    }

    fn check(&self, expression: &Expr, depth: usize) -> Result<Checked, Diagnostic> {
        if depth > PREDICATE_DEPTH_MAX {
            let message = "the definition is nested deeper than 32";
            return Err(self.error(TOO_LARGE, expression, message));
        }
        let deeper = depth + 1;
        match expression {
            Expr::Identifier(ident) => self.variable(&ident.value, expression),
            Expr::CompoundIdentifier(idents) => {
                let parts: Vec<&str> = idents.iter().map(|ident| ident.value.as_str()).collect();
                self.variable(&parts.join("."), expression)
            }
            Expr::Nested(inner) => self.check(inner, deeper),
            Expr::Value(value) => self.literal(&value.value, expression),
            Expr::UnaryOp { op, expr } => self.unary(op, expr, expression, deeper),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, expression, deeper),
            Expr::IsNull(inner) => self.missing(inner, false, deeper),
            Expr::IsNotNull(inner) => self.missing(inner, true, deeper),
            Expr::InList { expr, list, negated } => self.list(expr, list, *negated, deeper),
            Expr::Between { expr, negated, low, high } => {
                let condition = Condition::Between {
                    number: self.number(expr, deeper)?.0,
                    low: self.number(low, deeper)?.0,
                    high: self.number(high, deeper)?.0,
                    negated: *negated,
                };
                Ok(Checked::Condition(condition))
            }
            Expr::Function(function) => self.call(function, expression, deeper),
            _ => Err(self.not_allowed(expression)),
        }
    }

    fn not_allowed(&self, place: &impl Spanned) -> Diagnostic {
        let mut error =
            self.error(NOT_ALLOWED, place, "this is not allowed in a cohort definition");
        "allowed are comparisons, AND, OR, NOT, IN, BETWEEN, IS NULL, + - * /, abs, coalesce, \
         least, greatest"
            .clone_into(&mut error.label);
        error
    }

    fn variable(&self, name: &str, place: &impl Spanned) -> Result<Checked, Diagnostic> {
        let Some(variable) = self.dictionary.variable(name) else {
            let title = self.dictionary.title();
            let message = format!("no variable `{name}` in dictionary {title}");
            let mut error = self.error(UNKNOWN_VARIABLE, place, &message);
            error.label = match self.dictionary.suggestion(name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "texts stand in single quotes".to_owned(),
            };
            return Err(error);
        };
        if variable.is_identifier() {
            let message = format!("`{name}` identifies patients and cannot define a cohort");
            return Err(self.error(IDENTIFIER, place, &message));
        }
        let name = name.to_owned();
        Ok(match variable.kind {
            Kind::Boolean => Checked::Condition(Condition::Flag { name, boolean: true }),
            Kind::Category => Checked::Category(name),
            Kind::Number | Kind::Integer => Checked::Number {
                whole: variable.kind == Kind::Integer,
                number: Number::Variable { name, boolean: false },
            },
        })
    }

    fn literal(&self, value: &Value, place: &Expr) -> Result<Checked, Diagnostic> {
        match value {
            Value::Number(digits, false) => {
                let value = digits.to_string().parse::<f64>().ok();
                let Some(value) = value.filter(|value| value.is_finite()) else {
                    return Err(self.error(WRONG_TYPE, place, "the number is too large"));
                };
                Ok(Checked::Number {
                    number: Number::Literal(value),
                    // Whether equality has a meaning is up to the other side.
                    whole: true,
                })
            }
            Value::SingleQuotedString(text) => Ok(Checked::Text(text.clone())),
            Value::Boolean(value) => Ok(Checked::Condition(Condition::Constant(*value))),
            _ => Err(self.not_allowed(place)),
        }
    }

    fn unary(
        &self,
        op: &UnaryOperator,
        inner: &Expr,
        place: &Expr,
        depth: usize,
    ) -> Result<Checked, Diagnostic> {
        match op {
            UnaryOperator::Not => {
                let inner = Box::new(self.condition(inner, depth)?);
                Ok(Checked::Condition(Condition::Not(inner)))
            }
            UnaryOperator::Plus | UnaryOperator::Minus => {
                let (number, whole) = self.number(inner, depth)?;
                let number = match (op, number) {
                    (UnaryOperator::Plus, number) => number,
                    (_, Number::Literal(value)) => Number::Literal(0.0 - value),
                    (_, number) => Number::Negative(Box::new(number)),
                };
                Ok(Checked::Number { number, whole })
            }
            _ => Err(self.not_allowed(place)),
        }
    }

    fn binary(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        place: &Expr,
        depth: usize,
    ) -> Result<Checked, Diagnostic> {
        let comparison = match op {
            BinaryOperator::And | BinaryOperator::Or => return self.chain(op, place, depth),
            BinaryOperator::Plus => return self.arithmetic(Arithmetic::Add, left, right, depth),
            BinaryOperator::Minus => {
                return self.arithmetic(Arithmetic::Subtract, left, right, depth);
            }
            BinaryOperator::Multiply => {
                return self.arithmetic(Arithmetic::Multiply, left, right, depth);
            }
            BinaryOperator::Divide => {
                return self.arithmetic(Arithmetic::Divide, left, right, depth);
            }
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::Unequal,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterEqual,
            _ => return Err(self.not_allowed(place)),
        };
        let condition = self.comparison(comparison, (left, right), place, depth)?;
        Ok(Checked::Condition(condition))
    }

    /// `a AND b AND c` as one list: a long chain is no deep nesting.
    fn chain(
        &self,
        op: &BinaryOperator,
        whole: &Expr,
        depth: usize,
    ) -> Result<Checked, Diagnostic> {
        let mut parts = Vec::new();
        let mut rest = whole;
        while let Expr::BinaryOp { left, op: next, right } = rest
            && next == op
        {
            parts.push(self.condition(right, depth)?);
            rest = left;
        }
        parts.push(self.condition(rest, depth)?);
        parts.reverse();
        Ok(Checked::Condition(match op {
            BinaryOperator::And => Condition::And(parts),
            _ => Condition::Or(parts),
        }))
    }

    fn arithmetic(
        &self,
        arithmetic: Arithmetic,
        left: &Expr,
        right: &Expr,
        depth: usize,
    ) -> Result<Checked, Diagnostic> {
        let (left, left_whole) = self.number(left, depth)?;
        let (right, right_whole) = self.number(right, depth)?;
        Ok(Checked::Number {
            number: Number::Arithmetic(arithmetic, Box::new(left), Box::new(right)),
            whole: left_whole && right_whole && arithmetic != Arithmetic::Divide,
        })
    }

    fn comparison(
        &self,
        comparison: Comparison,
        (left, right): (&Expr, &Expr),
        place: &Expr,
        depth: usize,
    ) -> Result<Condition, Diagnostic> {
        let equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
        let negated = comparison == Comparison::Unequal;
        let checked = (self.check(left, depth)?, self.check(right, depth)?);
        match checked {
            (Checked::Category(name), Checked::Text(text))
            | (Checked::Text(text), Checked::Category(name)) => {
                if !equality {
                    let message = "levels of a category have no order; use =, <> or IN";
                    return Err(self.error(WRONG_TYPE, place, message));
                }
                let text_place = if is_text(right) { right } else { left };
                let level = self.level(&name, text, text_place)?;
                Ok(Condition::Levels { name, levels: vec![level], negated })
            }
            (Checked::Condition(condition), Checked::Condition(Condition::Constant(value)))
            | (Checked::Condition(Condition::Constant(value)), Checked::Condition(condition))
                if equality =>
            {
                Ok(if value == negated { Condition::Not(Box::new(condition)) } else { condition })
            }
            (Checked::Category(name), _) | (_, Checked::Category(name)) => {
                let message =
                    format!("`{name}` is a category: compare it with a level in single quotes");
                Err(self.error(WRONG_TYPE, place, &message))
            }
            _ => {
                let (a, a_whole) = self.number(left, depth)?;
                let (b, b_whole) = self.number(right, depth)?;
                if equality && !(a_whole && b_whole) {
                    return Err(self.float_equality(place));
                }
                Ok(Condition::Compare(comparison, a, b))
            }
        }
    }

    fn float_equality(&self, place: &impl Spanned) -> Diagnostic {
        let message = "numbers with decimals are not compared for equality";
        let mut error = self.error(FLOAT_EQUALITY, place, message);
        "use a range, as in x BETWEEN 6.45 AND 6.55".clone_into(&mut error.label);
        error
    }

    fn level(&self, name: &str, text: String, place: &Expr) -> Result<(String, u32), Diagnostic> {
        let levels = self.dictionary.variable(name).map(|v| v.levels.as_slice());
        let levels = levels.unwrap_or_default();
        let index = levels.iter().position(|level| level.code == text);
        if let Some(index) = index.and_then(|index| u32::try_from(index).ok()) {
            return Ok((text, index));
        }
        let codes: Vec<&str> = levels.iter().map(|level| level.code.as_str()).collect();
        let shown = codes.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        let message = format!("'{text}' is not a level of `{name}`; levels are {shown}");
        let mut error = self.error(UNKNOWN_LEVEL, place, &message);
        if let Some(near) = suggest(&text, codes) {
            error.label = format!("did you mean '{near}'?");
        }
        Err(error)
    }

    fn missing(&self, inner: &Expr, negated: bool, depth: usize) -> Result<Checked, Diagnostic> {
        let (Checked::Category(name)
        | Checked::Condition(Condition::Flag { name, .. })
        | Checked::Number { number: Number::Variable { name, .. }, .. }) =
            self.check(inner, depth)?
        else {
            let message = "IS NULL stands after a variable";
            return Err(self.error(WRONG_TYPE, inner, message));
        };
        Ok(Checked::Condition(Condition::Missing { name, negated }))
    }

    fn list(
        &self,
        of: &Expr,
        list: &[Expr],
        negated: bool,
        depth: usize,
    ) -> Result<Checked, Diagnostic> {
        if let Checked::Category(name) = self.check(of, depth)? {
            let mut levels = Vec::new();
            for item in list {
                let Checked::Text(text) = self.check(item, depth)? else {
                    let message = "a list of levels in single quotes is needed here";
                    return Err(self.error(WRONG_TYPE, item, message));
                };
                levels.push(self.level(&name, text, item)?);
            }
            return Ok(Checked::Condition(Condition::Levels { name, levels, negated }));
        }
        let (number, whole) = self.number(of, depth)?;
        if !whole {
            return Err(self.float_equality(of));
        }
        let mut values = Vec::new();
        for item in list {
            let (Number::Literal(value), _) = self.number(item, depth)? else {
                let message = "a list of plain numbers is needed here";
                return Err(self.error(WRONG_TYPE, item, message));
            };
            values.push(value);
        }
        Ok(Checked::Condition(Condition::OneOf { number, values, negated }))
    }

    fn call(
        &self,
        function: &ast::Function,
        place: &Expr,
        depth: usize,
    ) -> Result<Checked, Diagnostic> {
        let name = function.name.to_string().to_lowercase();
        let known = Function::ALL.into_iter().find(|known| known.word() == name);
        let plain = function.filter.is_none()
            && function.over.is_none()
            && function.null_treatment.is_none()
            && function.within_group.is_empty()
            && matches!(function.parameters, FunctionArguments::None)
            && !function.uses_odbc_syntax;
        let (Some(known), true, FunctionArguments::List(arguments)) =
            (known, plain, &function.args)
        else {
            return Err(self.not_allowed(place));
        };
        if arguments.duplicate_treatment.is_some() || !arguments.clauses.is_empty() {
            return Err(self.not_allowed(place));
        }
        let mut numbers = Vec::new();
        let mut all_whole = true;
        for argument in &arguments.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
                return Err(self.not_allowed(place));
            };
            let (number, whole) = self.number(argument, depth)?;
            numbers.push(number);
            all_whole &= whole;
        }
        let count_fits = match known {
            Function::Abs => numbers.len() == 1,
            Function::Coalesce | Function::Least | Function::Greatest => !numbers.is_empty(),
        };
        if !count_fits {
            let message = format!("wrong number of arguments of {}()", known.word());
            return Err(self.error(WRONG_TYPE, place, &message));
        }
        Ok(Checked::Number { number: Number::Call(known, numbers), whole: all_whole })
    }
}

fn is_text(expression: &Expr) -> bool {
    match expression {
        Expr::Value(value) => matches!(value.value, Value::SingleQuotedString(_)),
        Expr::Nested(inner) => is_text(inner),
        _ => false,
    }
}
