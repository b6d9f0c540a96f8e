//! R's expansion of a formula into terms.
//!
//! A term is a set of variables, written as bits; a variable is any part of the formula that R
//! evaluates as a whole, such as `age`, `log(age)` or `I(age/10)`. The rules are those of R's
//! `terms.formula`: operators build lists of terms, doubles go, terms are ordered by degree.

use super::{Formula, FormulaError, Node, Operator, Span, Syntax};
use std::collections::HashSet;

const NOT_A_TERM: &str = "K0204";
const TOO_LARGE: &str = "K0202";
/// Bits of a term.
const VARIABLES_MAX: usize = 120;
/// Most terms of an expanded formula, also while expanding.
const TERMS_MAX: usize = 2_000;
const POWER_MAX: f64 = 10.0;

/// A term as the set of its variables, bit `i` for variable `i`.
pub(crate) type Term = u128;

/// A part of the formula that is evaluated as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The text that R names it by.
    pub(crate) name: String,
    pub(crate) node: Node,
}

/// A formula's right side, expanded.
#[derive(Debug)]
pub(crate) struct Expansion {
    /// Parts in order of appearance; `offset` and `strata` among them.
    pub(crate) parts: Vec<Part>,
    /// Terms ordered by degree, then by appearance.
    pub(crate) terms: Vec<Term>,
    pub(crate) intercept: bool,
}

/// Expands the right side; `dot` lists the names that `.` stands for.
pub(crate) fn expand(formula: &Formula, dot: &[String]) -> Result<Expansion, FormulaError> {
    let mut encoder = Encoder { formula, dot, parts: Vec::new(), intercept: true, adding: true };
    let mut terms = encoder.encode(&formula.right)?;
    // A stable sort keeps the order of appearance within a degree.
    terms.sort_by_key(|term| term.count_ones());
    Ok(Expansion { parts: encoder.parts, terms, intercept: encoder.intercept })
}

struct Encoder<'a> {
    formula: &'a Formula,
    dot: &'a [String],
    parts: Vec<Part>,
    intercept: bool,
    /// Whether a bare `1` adds the intercept; inside `- ( )` it takes it away.
    adding: bool,
}

impl Encoder<'_> {
    fn encode(&mut self, node: &Node) -> Result<Vec<Term>, FormulaError> {
        match &node.what {
            Syntax::Number(number) => self.intercept(*number, node),
            Syntax::Name(name) if name == "." => self.dot(node),
            Syntax::Parenthesis(inner) => self.encode(inner),
            Syntax::Unary(Operator::Add, inner) => self.encode(inner),
            Syntax::Unary(Operator::Subtract, inner) => {
                self.taking_away(inner)?;
                Ok(Vec::new())
            }
            Syntax::Binary(operator, left, right) if !operator.is_logical() => {
                self.binary(*operator, left, right)
            }
            Syntax::Text(_) | Syntax::Logical(_) => {
                let message = "a constant is not a term".to_owned();
                Err(self.formula.error(NOT_A_TERM, &node.span, message))
            }
            Syntax::Name(_) | Syntax::Call(..) | Syntax::Binary(..) | Syntax::Unary(..) => {
                Ok(vec![self.part(node.deparse(), node)?])
            }
        }
    }

    fn intercept(&mut self, number: f64, node: &Node) -> Result<Vec<Term>, FormulaError> {
        if number == 1.0 {
            self.intercept = self.adding;
        } else if number == 0.0 {
            self.intercept = !self.adding;
        } else {
            let message = "a number other than 0 and 1 is not a term".to_owned();
            let mut error = self.formula.error(NOT_A_TERM, &node.span, message);
            "arithmetic goes inside I( )".clone_into(&mut error.label);
            return Err(error);
        }
        Ok(Vec::new())
    }

    fn dot(&mut self, node: &Node) -> Result<Vec<Term>, FormulaError> {
        let names = self.dot.to_vec();
        let mut terms = Vec::new();
        for name in names {
            let column = Node { what: Syntax::Name(name.clone()), span: node.span.clone() };
            terms.push(self.part(name, &column)?);
        }
        Ok(terms)
    }

    /// The term of one part alone; the same text is the same part.
    fn part(&mut self, name: String, node: &Node) -> Result<Term, FormulaError> {
        let known = self.parts.iter().position(|part| part.name == name);
        let index = known.unwrap_or(self.parts.len());
        if index >= VARIABLES_MAX {
            let message = format!("more than {VARIABLES_MAX} different variables in one formula");
            return Err(self.formula.error(TOO_LARGE, &node.span, message));
        }
        if known.is_none() {
            self.parts.push(Part { name, node: node.clone() });
        }
        Ok(1 << index)
    }

    fn taking_away(&mut self, node: &Node) -> Result<Vec<Term>, FormulaError> {
        self.adding = !self.adding;
        let terms = self.encode(node);
        self.adding = !self.adding;
        terms
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &Node,
        right: &Node,
    ) -> Result<Vec<Term>, FormulaError> {
        if operator == Operator::Power {
            return self.power(left, right);
        }
        let span = left.span.start..right.span.end;
        let first = self.encode(left)?;
        if operator == Operator::Subtract {
            let gone: HashSet<Term> = self.taking_away(right)?.into_iter().collect();
            let kept = first.into_iter().filter(|term| !gone.contains(term));
            return Ok(kept.collect());
        }
        let second = self.encode(right)?;
        let all = |terms: &[Term]| terms.iter().fold(0, |all, term| all | term);
        match operator {
            Operator::Add => self.distinct(first.into_iter().chain(second), &span),
            Operator::Colon => self.distinct(products(&first, &second), &span),
            Operator::Multiply => {
                let both = first.iter().chain(&second).copied();
                self.distinct(both.chain(products(&first, &second)), &span)
            }
            Operator::Divide => {
                let whole = all(&first);
                let nested = second.iter().map(|term| term | whole);
                self.distinct(first.iter().copied().chain(nested), &span)
            }
            _ => {
                let whole = all(&second);
                self.distinct(first.iter().map(|term| term | whole), &span)
            }
        }
    }

    fn power(&mut self, left: &Node, right: &Node) -> Result<Vec<Term>, FormulaError> {
        let mut exponent = right;
        while let Syntax::Parenthesis(inner) = &exponent.what {
            exponent = inner;
        }
        let times = match exponent.what {
            Syntax::Number(n) if n.fract() == 0.0 && (1.0..=POWER_MAX).contains(&n) => n,
            _ => {
                let message = "a power of terms is a whole number from 1 to 10".to_owned();
                let mut error = self.formula.error(NOT_A_TERM, &right.span, message);
                "arithmetic goes inside I( )".clone_into(&mut error.label);
                return Err(error);
            }
        };
        let span = left.span.start..right.span.end;
        let once = self.encode(left)?;
        let mut terms = once.clone();
        let mut done = 1.0;
        while done < times {
            terms = self.distinct(products(&terms, &once), &span)?;
            done += 1.0;
        }
        Ok(terms)
    }

    /// Drops doubles and keeps the order of first appearance.
    fn distinct(
        &self,
        terms: impl Iterator<Item = Term>,
        span: &Span,
    ) -> Result<Vec<Term>, FormulaError> {
        let mut seen = HashSet::new();
        let mut kept = Vec::new();
        for term in terms {
            if seen.insert(term) {
                kept.push(term);
            }
            if kept.len() > TERMS_MAX {
                let message = format!("the formula expands to more than {TERMS_MAX} terms");
                return Err(self.formula.error(TOO_LARGE, span, message));
            }
        }
        Ok(kept)
    }
}

fn products<'a>(first: &'a [Term], second: &'a [Term]) -> impl Iterator<Item = Term> + 'a {
    first.iter().flat_map(move |left| second.iter().map(move |right| left | right))
}

impl Expansion {
    /// Whether the part needs a dummy for every level in this term, the reference included.
    ///
    /// R's rule: all levels, unless an earlier term contains the rest of this term; a factor
    /// alone always leaves out its reference.
    pub(crate) fn needs_all_levels(&self, position: usize, part: usize) -> bool {
        let Some(term) = self.terms.get(position) else {
            return false;
        };
        let rest = term & !(1 << part);
        if rest == 0 {
            return false;
        }
        let mut earlier = self.terms.iter().take(position);
        !earlier.any(|earlier| rest & !earlier == 0)
    }

    /// Indices of the parts of a term, in order of appearance in the formula.
    pub(crate) fn parts_of(&self, term: Term) -> impl Iterator<Item = usize> {
        (0..self.parts.len()).filter(move |part| term >> part & 1 == 1)
    }

    /// R's label of a term: its parts joined by `:`.
    pub(crate) fn label(&self, term: Term) -> String {
        let names: Vec<&str> = self
            .parts_of(term)
            .filter_map(|part| self.parts.get(part))
            .map(|part| part.name.as_str())
            .collect();
        names.join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::{Formula, expand};

    fn labels(text: &str) -> (String, bool) {
        let formula = Formula::parse(text).unwrap();
        let dot = ["p".to_owned(), "q".to_owned()];
        let expansion = expand(&formula, &dot).unwrap();
        let labels: Vec<String> =
            expansion.terms.iter().map(|term| expansion.label(*term)).collect();
        (labels.join(" "), expansion.intercept)
    }

    // The expected labels are those of R's terms().
    #[test]
    fn operators_expand_as_in_r() {
        let cases = [
            ("y ~ a*b", "a b a:b", true),
            ("y ~ a:b + b", "b a:b", true),
            ("y ~ b + a:b", "b b:a", true),
            ("y ~ (a+b+c)^2", "a b c a:b a:c b:c", true),
            ("y ~ a/b", "a a:b", true),
            ("y ~ (a+b)/c", "a b a:b:c", true),
            ("y ~ a %in% b", "a:b", true),
            ("y ~ a*b*c - a:b:c", "a b c a:b a:c b:c", true),
            ("y ~ a - 1", "a", false),
            ("y ~ 0 + a", "a", false),
            ("y ~ -1 + a + 1", "a", true),
            ("y ~ a + a + log(a)", "a log(a)", true),
            ("y ~ . - p", "q", true),
            ("y ~ (a + b) - (1 + b)", "a", false),
            ("~ (a+b)**3", "a b a:b", true),
        ];
        for (text, terms, intercept) in cases {
            assert_eq!(labels(text), (terms.to_owned(), intercept), "{text}");
        }
    }

    #[test]
    fn exploding_formulas_are_refused() {
        let names: Vec<String> = (0..60).map(|n| format!("v{n}")).collect();
        let text = format!("y ~ ({})^10", names.join("+"));
        let formula = Formula::parse(&text).unwrap();
        assert_eq!(expand(&formula, &[]).unwrap_err().code, "K0202");
    }
}
