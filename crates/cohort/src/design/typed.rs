//! A formula's parts under a dictionary: what type they have, and how to compute them.

use super::interval::{self, Bounds};
use super::spline::Spline;
use crate::dictionary::{Dictionary, Kind, suggest};
use crate::formula::{Argument, Formula, FormulaError, Node, Operator, Span, Syntax};

const UNKNOWN_VARIABLE: &str = "K0203";
const IDENTIFIER: &str = "K0205";
const NOT_YET: &str = "K0206";
const UNKNOWN_FUNCTION: &str = "K0207";
const WRONG_PLACE: &str = "K0208";
const WRONG_TYPE: &str = "K0211";
const ARGUMENTS: &str = "K0212";

const FUNCTIONS: [&str; 19] = [
    "I",
    "C",
    "log",
    "log2",
    "log10",
    "exp",
    "sqrt",
    "abs",
    "pmin",
    "pmax",
    "cut",
    "factor",
    "as.factor",
    "relevel",
    "ns",
    "rcs",
    "offset",
    "strata",
    "Surv",
];
const FUNCTIONS_NOT_YET: [&str; 10] = [
    "scale",
    "poly",
    "bs",
    "cluster",
    "frailty",
    "ordered",
    "interaction",
    "ifelse",
    "tt",
    "pspline",
];

/// What a part's values are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Number(Bounds),
    /// True or false; the flag says whether R knows it as a number 0 or 1.
    Logical {
        number: bool,
    },
    /// Index into levels.
    Factor(Vec<String>),
    Text(String),
    Numbers(Vec<f64>),
    Texts(Vec<String>),
    /// Several columns of one number; the step computes the number itself.
    Spline(Spline),
}

/// How to compute a part, one value for each patient.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Variable(String),
    Constant(f64),
    Negate(Box<Step>),
    Not(Box<Step>),
    Binary(Operator, Box<Step>, Box<Step>),
    Function(Function, Box<Step>),
    Extreme {
        largest: bool,
        of: Vec<Step>,
    },
    /// Index of a value among the codes, which are all that it can have.
    Codes(Box<Step>, Vec<f64>),
    /// Index of a value among the listed ones; none elsewhere.
    Listed(Box<Step>, Vec<f64>),
    /// Index of the interval `(breaks[i], breaks[i + 1]]`; none outside.
    Cut(Box<Step>, Vec<f64>),
}

impl Step {
    /// Names of the variables that it reads.
    pub(super) fn reads(&self) -> Vec<&str> {
        match self {
            Self::Variable(name) => vec![name],
            Self::Constant(_) => Vec::new(),
            Self::Negate(inner)
            | Self::Not(inner)
            | Self::Function(_, inner)
            | Self::Codes(inner, _)
            | Self::Listed(inner, _)
            | Self::Cut(inner, _) => inner.reads(),
            Self::Binary(_, left, right) => [left.reads(), right.reads()].concat(),
            Self::Extreme { of, .. } => of.iter().flat_map(Self::reads).collect(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Function {
    Log,
    Log2,
    Log10,
    Exp,
    Sqrt,
    Abs,
}

/// A part with its type.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub(super) step: Step,
    pub(super) kind: Type,
}

/// Gives parts of one formula their types under one dictionary.
pub(super) struct Typing<'a> {
    pub(super) formula: &'a Formula,
    pub(super) dictionary: &'a Dictionary,
    /// Names of the variables met so far, in order.
    pub(super) used: Vec<String>,
    /// Remarks for the plan.
    pub(super) notes: Vec<String>,
}

impl Typing<'_> {
    pub(super) fn error(&self, code: &'static str, span: &Span, message: String) -> FormulaError {
        self.formula.error(code, span, message)
    }

    pub(super) fn advise(
        &self,
        code: &'static str,
        span: &Span,
        message: &str,
        label: &str,
    ) -> FormulaError {
        let mut error = self.error(code, span, message.to_owned());
        label.clone_into(&mut error.label);
        error
    }

    pub(super) fn part(&mut self, node: &Node) -> Result<Typed, FormulaError> {
        match &node.what {
            Syntax::Number(number) => Ok(constant(*number)),
            Syntax::Text(text) => {
                Ok(Typed { step: Step::Constant(0.0), kind: Type::Text(text.clone()) })
            }
            Syntax::Logical(value) => Ok(Typed {
                step: Step::Constant(f64::from(u8::from(*value))),
                kind: Type::Logical { number: false },
            }),
            Syntax::Name(name) => self.variable(name, &node.span),
            Syntax::Parenthesis(inner) => self.part(inner),
            Syntax::Unary(operator, inner) => self.unary(*operator, inner),
            Syntax::Binary(operator, left, right) if operator.is_comparison() => {
                self.comparison(*operator, left, right)
            }
            Syntax::Binary(operator, left, right) if operator.is_logical() => {
                let (a, b) = (self.condition(left)?, self.condition(right)?);
                Ok(logical(Step::Binary(*operator, Box::new(a), Box::new(b))))
            }
            Syntax::Binary(operator @ (Operator::Colon | Operator::In), ..) => {
                let message = format!("`{}` inside a call", operator.deparsed().trim());
                let label = "only between terms, not in arithmetic";
                Err(self.advise(WRONG_PLACE, &node.span, &message, label))
            }
            Syntax::Binary(operator, left, right) => {
                let ((a, a_bounds), (b, b_bounds)) = (self.number(left)?, self.number(right)?);
                Ok(Typed {
                    step: Step::Binary(*operator, Box::new(a), Box::new(b)),
                    kind: Type::Number(interval::binary(*operator, a_bounds, b_bounds)),
                })
            }
            Syntax::Call(function, arguments) => self.call(function, arguments, &node.span),
        }
    }

    fn variable(&mut self, name: &str, span: &Span) -> Result<Typed, FormulaError> {
        let Some(variable) = self.dictionary.variable(name) else {
            return Err(self.unknown(name, span));
        };
        if variable.is_identifier() {
            let message = format!("`{name}` identifies patients and cannot be analysed");
            return Err(self.error(IDENTIFIER, span, message));
        }
        if !self.used.iter().any(|used| used == name) {
            self.used.push(name.to_owned());
        }
        let kind = match variable.kind {
            Kind::Boolean => Type::Logical { number: false },
            Kind::Integer if variable.is_zero_one() => Type::Logical { number: true },
            Kind::Number | Kind::Integer => Type::Number(variable.range()),
            Kind::Category => Type::Factor(variable.factor_levels().unwrap_or_default()),
        };
        Ok(Typed { step: Step::Variable(name.to_owned()), kind })
    }

    fn unknown(&self, name: &str, span: &Span) -> FormulaError {
        let title = self.dictionary.title();
        let message = format!("no variable `{name}` in dictionary {title}");
        let mut error = self.error(UNKNOWN_VARIABLE, span, message);
        if let Some(near) = self.dictionary.suggestion(name) {
            error.label = format!("did you mean `{near}`?");
        }
        error
    }

    fn unary(&mut self, operator: Operator, inner: &Node) -> Result<Typed, FormulaError> {
        if operator == Operator::Not {
            let step = self.condition(inner)?;
            return Ok(logical(Step::Not(Box::new(step))));
        }
        let (step, bounds) = self.number(inner)?;
        if operator == Operator::Add {
            return Ok(Typed { step, kind: Type::Number(bounds) });
        }
        Ok(Typed {
            step: Step::Negate(Box::new(step)),
            kind: Type::Number(interval::negate(bounds)),
        })
    }

    /// A part that must be a number; true and false count as 1 and 0.
    pub(super) fn number(&mut self, node: &Node) -> Result<(Step, Bounds), FormulaError> {
        let typed = self.part(node)?;
        match typed.kind {
            Type::Number(bounds) => Ok((typed.step, bounds)),
            Type::Logical { .. } => Ok((typed.step, Some((0.0, 1.0)))),
            Type::Factor(_) => {
                let message = "a category cannot be calculated with";
                let label = "compare it with a level, as in sex == \"F\"";
                Err(self.advise(WRONG_TYPE, &node.span, message, label))
            }
            Type::Text(_) | Type::Numbers(_) | Type::Texts(_) | Type::Spline(_) => {
                Err(self.error(WRONG_TYPE, &node.span, "a number is needed here".to_owned()))
            }
        }
    }

    /// A part that must be true or false.
    pub(super) fn condition(&mut self, node: &Node) -> Result<Step, FormulaError> {
        let typed = self.part(node)?;
        if matches!(typed.kind, Type::Logical { .. }) {
            return Ok(typed.step);
        }
        let message = "a condition is needed here";
        let label = "compare with something, as in x > 0 or x == \"level\"";
        Err(self.advise(WRONG_TYPE, &node.span, message, label))
    }

    fn comparison(
        &mut self,
        operator: Operator,
        left: &Node,
        right: &Node,
    ) -> Result<Typed, FormulaError> {
        let (a, b) = (self.part(left)?, self.part(right)?);
        let (a, b) = match (&a.kind, &b.kind) {
            (Type::Factor(levels), Type::Text(text)) => {
                let level = self.level(operator, levels, text, right)?;
                (self.uncut(a.step, left)?, level)
            }
            (Type::Text(text), Type::Factor(levels)) => {
                let level = self.level(operator, levels, text, left)?;
                (level, self.uncut(b.step, right)?)
            }
            (Type::Factor(_), _) => return Err(self.level_needed(right)),
            (_, Type::Factor(_)) => return Err(self.level_needed(left)),
            _ => {
                self.comparable(&a.kind, left)?;
                self.comparable(&b.kind, right)?;
                (a.step, b.step)
            }
        };
        Ok(logical(Step::Binary(operator, Box::new(a), Box::new(b))))
    }

    fn comparable(&self, kind: &Type, node: &Node) -> Result<(), FormulaError> {
        match kind {
            Type::Number(_) | Type::Logical { .. } => Ok(()),
            _ => Err(self.error(WRONG_TYPE, &node.span, "a number is needed here".to_owned())),
        }
    }

    fn level_needed(&self, node: &Node) -> FormulaError {
        let message = "a category is compared with one of its levels in quotes";
        self.advise(WRONG_TYPE, &node.span, message, "")
    }

    /// Intervals and listed levels may leave a patient without one, which a comparison could not
    /// show.
    fn uncut(&self, step: Step, node: &Node) -> Result<Step, FormulaError> {
        if matches!(step, Step::Cut(..) | Step::Listed(..)) {
            let message = "the result of cut() and of factor() with levels cannot be compared";
            let label = "compare the variable itself";
            return Err(self.advise(NOT_YET, &node.span, message, label));
        }
        Ok(step)
    }

    fn level(
        &self,
        operator: Operator,
        levels: &[String],
        text: &str,
        node: &Node,
    ) -> Result<Step, FormulaError> {
        if !matches!(operator, Operator::Equal | Operator::Unequal) {
            let message = "levels of a category have no order";
            return Err(self.advise(WRONG_TYPE, &node.span, message, "use == or !="));
        }
        Ok(Step::Constant(self.code(levels, text, node)?))
    }

    fn call(
        &mut self,
        function: &str,
        arguments: &[Argument],
        span: &Span,
    ) -> Result<Typed, FormulaError> {
        match function {
            "I" => self.part(self.only(function, arguments, span)?),
            "factor" if arguments.len() == 2 => self.factor_of_levels(arguments),
            "relevel" => self.relevel(arguments, span),
            "C" | "factor" | "as.factor" => {
                let inner = self.only(function, arguments, span)?;
                self.factor(inner)
            }
            "ns" => self.natural_spline(arguments, span),
            "rcs" => self.restricted_spline(arguments, span),
            "log" if arguments.len() == 2 => self.log_to_base(arguments),
            "log" | "log2" | "log10" | "exp" | "sqrt" | "abs" => {
                let inner = self.only(function, arguments, span)?;
                self.function(function, inner)
            }
            "pmin" | "pmax" => self.extreme(function == "pmax", arguments, span),
            "cut" => self.cut(arguments, span),
            "c" => self.numbers(arguments),
            "offset" | "strata" | "Surv" => {
                let message = format!("`{function}()` cannot stand here");
                let label = if function == "Surv" {
                    "only alone on the left of ~"
                } else {
                    "only as a term of its own on the right of ~"
                };
                Err(self.advise(WRONG_PLACE, span, &message, label))
            }
            _ if FUNCTIONS_NOT_YET.contains(&function) => {
                let message = format!("`{function}()` is not available yet");
                let label = match function {
                    "scale" => "use a fixed centre and unit, as in I((age - 60)/10)",
                    "poly" => "use powers, as in age + I(age^2)",
                    "bs" => "use ns() or rcs()",
                    _ => "",
                };
                Err(self.advise(NOT_YET, span, &message, label))
            }
            _ => {
                let message = format!("unknown function `{function}()`");
                let label = suggest(function, FUNCTIONS)
                    .map(|near| format!("did you mean `{near}`?"))
                    .unwrap_or_default();
                Err(self.advise(UNKNOWN_FUNCTION, span, &message, &label))
            }
        }
    }

    pub(super) fn only<'n>(
        &self,
        function: &str,
        arguments: &'n [Argument],
        span: &Span,
    ) -> Result<&'n Node, FormulaError> {
        match arguments {
            [Argument { name: None, value }] => Ok(value),
            _ => {
                let message = format!("`{function}()` takes one argument here");
                Err(self.error(ARGUMENTS, span, message))
            }
        }
    }

    fn function(&mut self, function: &str, inner: &Node) -> Result<Typed, FormulaError> {
        let (step, bounds) = self.number(inner)?;
        let log_scaled = |base: f64| interval::log(bounds).map(|(a, b)| (a / base, b / base));
        let (function, bounds) = match function {
            "log" => (Function::Log, interval::log(bounds)),
            "log2" => (Function::Log2, log_scaled(2.0_f64.ln())),
            "log10" => (Function::Log10, log_scaled(10.0_f64.ln())),
            "exp" => (Function::Exp, interval::exp(bounds)),
            "sqrt" => (Function::Sqrt, interval::sqrt(bounds)),
            _ => (Function::Abs, interval::abs(bounds)),
        };
        Ok(Typed { step: Step::Function(function, Box::new(step)), kind: Type::Number(bounds) })
    }

    fn log_to_base(&mut self, arguments: &[Argument]) -> Result<Typed, FormulaError> {
        let [of, base] = arguments else {
            return Ok(constant(0.0));
        };
        let value = self.function("log", &of.value)?;
        let node = &base.value;
        let Syntax::Number(base) = node.what else {
            let message = "the base of a logarithm is a number".to_owned();
            return Err(self.error(ARGUMENTS, &node.span, message));
        };
        if base <= 0.0 || base == 1.0 {
            let message = "the base of a logarithm is above 0 and not 1".to_owned();
            return Err(self.error(ARGUMENTS, &node.span, message));
        }
        let Type::Number(bounds) = value.kind else {
            return Ok(value);
        };
        let factor = base.ln();
        let kind = Type::Number(interval::binary(Operator::Divide, bounds, Some((factor, factor))));
        let divisor = Box::new(Step::Constant(factor));
        Ok(Typed { step: Step::Binary(Operator::Divide, Box::new(value.step), divisor), kind })
    }

    fn extreme(
        &mut self,
        largest: bool,
        arguments: &[Argument],
        span: &Span,
    ) -> Result<Typed, FormulaError> {
        let mut of = Vec::new();
        let mut all: Option<Bounds> = None;
        for argument in arguments {
            if argument.name.is_some() {
                let message = "this argument is not available yet".to_owned();
                return Err(self.error(NOT_YET, &argument.value.span, message));
            }
            let (step, bounds) = self.number(&argument.value)?;
            of.push(step);
            all = Some(match all {
                None => bounds,
                Some(before) if largest => interval::pmax(before, bounds),
                Some(before) => interval::pmin(before, bounds),
            });
        }
        let Some(bounds) = all else {
            let message = "pmin() and pmax() need arguments".to_owned();
            return Err(self.error(ARGUMENTS, span, message));
        };
        Ok(Typed { step: Step::Extreme { largest, of }, kind: Type::Number(bounds) })
    }

    fn numbers(&mut self, arguments: &[Argument]) -> Result<Typed, FormulaError> {
        let text = |argument: &Argument| match &argument.value.what {
            Syntax::Text(text) => Some(text.clone()),
            _ => None,
        };
        if let Some(texts) = arguments.iter().map(text).collect::<Option<Vec<String>>>() {
            return Ok(Typed { step: Step::Constant(0.0), kind: Type::Texts(texts) });
        }
        let mut numbers = Vec::new();
        for argument in arguments {
            let node = &argument.value;
            let (negative, bare) = match &node.what {
                Syntax::Unary(Operator::Subtract, inner) => (true, &inner.what),
                what => (false, what),
            };
            let size = match bare {
                Syntax::Number(number) => *number,
                Syntax::Name(name) if name == "Inf" => f64::INFINITY,
                _ => {
                    let message = "c() holds plain numbers here".to_owned();
                    return Err(self.error(ARGUMENTS, &node.span, message));
                }
            };
            numbers.push(if negative { -size } else { size });
        }
        Ok(Typed { step: Step::Constant(0.0), kind: Type::Numbers(numbers) })
    }
}

fn constant(number: f64) -> Typed {
    Typed { step: Step::Constant(number), kind: Type::Number(Some((number, number))) }
}

fn logical(step: Step) -> Typed {
    Typed { step, kind: Type::Logical { number: false } }
}
