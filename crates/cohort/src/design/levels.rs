//! Variables as categories: `cut`, `factor` with or without listed levels, `relevel`.

use super::typed::{Step, Type, Typed, Typing};
use crate::dictionary::{Variable, suggest};
use crate::formula::deparse::{general, number_text};
use crate::formula::{Argument, FormulaError, Node, Span, Syntax};

const NOT_YET: &str = "K0206";
const UNKNOWN_LEVEL: &str = "K0209";
const WRONG_TYPE: &str = "K0211";
const ARGUMENTS: &str = "K0212";

impl Typing<'_> {
    pub(super) fn cut(
        &mut self,
        arguments: &[Argument],
        span: &Span,
    ) -> Result<Typed, FormulaError> {
        let [of, breaks] = arguments else {
            let message = "cut() takes a variable and its breaks";
            let label = "as in cut(age, c(0, 50, 65, 120))";
            return Err(self.advise(ARGUMENTS, span, message, label));
        };
        let named = breaks.name.as_deref().is_none_or(|name| name == "breaks");
        if !named || of.name.is_some() {
            let message = "cut() takes breaks only".to_owned();
            return Err(self.error(NOT_YET, &breaks.value.span, message));
        }
        let (step, bounds) = self.number(&of.value)?;
        let Type::Numbers(mut points) = self.part(&breaks.value)?.kind else {
            let message = "the breaks of cut() must be listed";
            let label = "a number of intervals would depend on patients; use c(...)";
            return Err(self.advise(ARGUMENTS, &breaks.value.span, message, label));
        };
        points.sort_by(f64::total_cmp);
        let doubled = points.windows(2).any(|pair| pair.first() == pair.last());
        if points.len() < 2 || points.len() > 101 || doubled {
            let message = "cut() needs 2 to 101 different breaks".to_owned();
            return Err(self.error(ARGUMENTS, &breaks.value.span, message));
        }
        let within = bounds.is_some_and(|(low, high)| {
            points.first().is_some_and(|first| *first < low)
                && points.last().is_some_and(|last| *last >= high)
        });
        if !within {
            let name = of.value.deparse();
            self.notes
                .push(format!("patients with {name} outside the breaks of cut() are left out"));
        }
        Ok(Typed {
            step: Step::Cut(Box::new(step), points.clone()),
            kind: Type::Factor(interval_labels(&points)),
        })
    }

    pub(super) fn factor(&mut self, node: &Node) -> Result<Typed, FormulaError> {
        let typed = self.part(node)?;
        match (&typed.kind, &typed.step) {
            (Type::Factor(_), _) => Ok(typed),
            (Type::Logical { number: false }, _) => Ok(Typed {
                step: typed.step,
                kind: Type::Factor(vec!["FALSE".to_owned(), "TRUE".to_owned()]),
            }),
            (Type::Number(_) | Type::Logical { number: true }, Step::Variable(name)) => {
                let variable = self.dictionary.variable(name);
                match variable.and_then(|variable| self.codes(variable)) {
                    Some((levels, codes)) => Ok(Typed {
                        step: Step::Codes(Box::new(typed.step), codes),
                        kind: Type::Factor(levels),
                    }),
                    None => {
                        let message = format!("`{name}` has no public list of levels");
                        let label = "give it levels in the dictionary, or use cut()";
                        Err(self.advise(WRONG_TYPE, &node.span, &message, label))
                    }
                }
            }
            _ => {
                let message = "factor() of a calculated number has no public levels";
                Err(self.advise(WRONG_TYPE, &node.span, message, "use cut()"))
            }
        }
    }

    fn codes(&mut self, variable: &Variable) -> Option<(Vec<String>, Vec<f64>)> {
        let levels = variable.factor_levels()?;
        let codes: Option<Vec<f64>> = levels.iter().map(|code| code.parse().ok()).collect();
        if variable.levels.is_empty() && !variable.is_zero_one() {
            self.notes.push(format!(
                "levels of factor({}) are all integers from min to max of the dictionary",
                variable.name
            ));
        }
        Some((levels, codes?))
    }

    /// `factor(x, levels = c(..))`: these levels in this order; patients with others are left out.
    pub(super) fn factor_of_levels(
        &mut self,
        arguments: &[Argument],
    ) -> Result<Typed, FormulaError> {
        let [of, list] = arguments else {
            return Err(self.error(ARGUMENTS, &(0..1), "factor() takes a variable".to_owned()));
        };
        let node = &list.value;
        if list.name.as_deref().is_some_and(|name| name != "levels") || of.name.is_some() {
            let message = "factor() takes a variable and its levels only".to_owned();
            return Err(self.error(NOT_YET, &node.span, message));
        }
        let typed = self.part(&of.value)?;
        let (levels, codes) = match (self.part(node)?.kind, &typed.kind) {
            (Type::Numbers(numbers), Type::Number(_) | Type::Logical { number: true }) => {
                (numbers.iter().map(|it| number_text(*it)).collect::<Vec<_>>(), numbers)
            }
            (Type::Texts(texts), Type::Factor(known)) => {
                let codes = texts.iter().map(|text| self.code(known, text, node));
                let codes = codes.collect::<Result<Vec<_>, _>>()?;
                (texts, codes)
            }
            _ => {
                let message = "the levels do not fit the variable";
                let label = "numbers as in c(1, 2), categories in quotes as in c(\"I\", \"II\")";
                return Err(self.advise(WRONG_TYPE, &node.span, message, label));
            }
        };
        let doubled = (1..levels.len()).any(|at| levels[..at].contains(&levels[at]));
        if levels.len() < 2 || levels.len() > 100 || doubled {
            let message = "factor() needs 2 to 100 different levels".to_owned();
            return Err(self.error(ARGUMENTS, &node.span, message));
        }
        let name = of.value.deparse();
        self.notes.push(format!("patients with {name} of other levels are left out"));
        let step = Step::Listed(Box::new(typed.step), codes);
        Ok(Typed { step, kind: Type::Factor(levels) })
    }

    /// `relevel(x, ref = "level")`: the level that others are compared with comes first.
    pub(super) fn relevel(
        &mut self,
        arguments: &[Argument],
        span: &Span,
    ) -> Result<Typed, FormulaError> {
        let wrong = "relevel() takes a variable and the level to compare with";
        let [of, first] = arguments else {
            return Err(self.advise(ARGUMENTS, span, wrong, "as in relevel(stage, ref = \"II\")"));
        };
        let node = &first.value;
        let typed = self.factor(&of.value)?;
        let named = first.name.as_deref().is_none_or(|name| name == "ref");
        let (Syntax::Text(text), Type::Factor(levels), true) = (&node.what, typed.kind, named)
        else {
            return Err(self.advise(ARGUMENTS, span, wrong, "as in relevel(stage, ref = \"II\")"));
        };
        let code = self.code(&levels, text, node)?;
        let others = levels.iter().zip(0_u32..).map(|(level, at)| (level.clone(), f64::from(at)));
        let others = others.filter(|(_, at)| *at != code);
        let all = std::iter::once((text.clone(), code)).chain(others);
        let (levels, codes) = all.unzip();
        let step = Step::Listed(Box::new(typed.step), codes);
        Ok(Typed { step, kind: Type::Factor(levels) })
    }

    /// The number of a level.
    pub(super) fn code(
        &self,
        levels: &[String],
        text: &str,
        node: &Node,
    ) -> Result<f64, FormulaError> {
        let mut numbered = levels.iter().zip(0_u32..);
        if let Some((_, at)) = numbered.find(|(level, _)| *level == text) {
            return Ok(f64::from(at));
        }
        let shown: Vec<&str> = levels.iter().take(8).map(String::as_str).collect();
        let message = format!("`{text}` is not a level; levels are {}", shown.join(", "));
        let mut error = self.error(UNKNOWN_LEVEL, &node.span, message);
        if let Some(near) = suggest(text, levels.iter().map(String::as_str)) {
            error.label = format!("did you mean `{near}`?");
        }
        Err(error)
    }
}

/// R's labels `(a,b]`, with as many digits, from 3, as make neighbours differ.
fn interval_labels(points: &[f64]) -> Vec<String> {
    let mut texts = Vec::new();
    for digits in 3..=12 {
        texts = points.iter().map(|point| break_label(*point, digits)).collect();
        if texts.windows(2).all(|pair| pair.first() != pair.last()) {
            break;
        }
    }
    let pairs = texts.iter().zip(texts.iter().skip(1));
    pairs.map(|(from, to)| format!("({from},{to}]")).collect()
}

/// R pads positive infinity to the width of the negative one.
fn break_label(point: f64, digits: usize) -> String {
    let text = general(point, digits);
    if text == "Inf" {
        return " Inf".to_owned();
    }
    text
}
