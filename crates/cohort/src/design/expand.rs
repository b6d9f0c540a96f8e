//! Terms to columns, by R's rules for dummies.

use super::interval;
use super::typed::{Step, Type, Typed, Typing};
use super::{
    ARGUMENTS, COLUMNS_MAX, DesignColumn, EMPTY, Factor, RESPONSE, STRATA_MAX, TOO_LARGE, Takes,
    WRONG_PLACE, WRONG_TYPE,
};
use crate::formula::terms::{Expansion, Part};
use crate::formula::{Argument, Formula, FormulaError, Node, Operator, Syntax};

/// Turns terms into columns.
pub(super) struct Builder<'a> {
    pub(super) typing: Typing<'a>,
    pub(super) expansion: Expansion,
    survival: bool,
    /// Typed parts by index; `None` for offsets and strata.
    pub(super) parts: Vec<Option<(String, Typed)>>,
    pub(super) offsets: Vec<(String, Step)>,
    pub(super) strata: Vec<(String, Step, usize)>,
    pub(super) by_centre: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(typing: Typing<'a>, expansion: Expansion, survival: bool) -> Self {
        Self {
            typing,
            expansion,
            survival,
            parts: Vec::new(),
            offsets: Vec::new(),
            strata: Vec::new(),
            by_centre: false,
        }
    }

    /// Types every part that a term uses, and takes offsets and strata out of the terms.
    pub(super) fn sort_out_parts(&mut self, left: &Node) -> Result<(), FormulaError> {
        let response = left.deparse();
        let mut special = 0;
        for (index, part) in self.expansion.parts.clone().iter().enumerate() {
            let bit = 1 << index;
            let mut entry = None;
            match &part.node.what {
                Syntax::Call(function, arguments) if function == "offset" => {
                    special |= bit;
                    self.offset(part, arguments)?;
                }
                Syntax::Call(function, arguments) if function == "strata" => {
                    special |= bit;
                    self.stratum(part, arguments)?;
                }
                _ if !self.expansion.terms.iter().any(|term| term & bit != 0) => {}
                _ if part.name == response => {
                    let message = "the response stands on the right side as well".to_owned();
                    return Err(self.typing.error(RESPONSE, &part.node.span, message));
                }
                _ => entry = Some((part.name.clone(), self.typing.part(&part.node)?)),
            }
            self.parts.push(entry);
        }
        for term in &self.expansion.terms {
            if term & special != 0 && term.count_ones() > 1 {
                let message = format!("`{}` is not available", self.expansion.label(*term));
                let span = self.typing.formula.right.span.clone();
                return Err(self.typing.error(WRONG_PLACE, &span, message));
            }
        }
        self.expansion.terms.retain(|term| term & special == 0);
        Ok(())
    }

    fn offset(&mut self, part: &Part, arguments: &[Argument]) -> Result<(), FormulaError> {
        let [Argument { name: None, value }] = arguments else {
            let message = "offset() takes one argument".to_owned();
            return Err(self.typing.error(ARGUMENTS, &part.node.span, message));
        };
        let (step, _) = self.typing.number(value)?;
        self.offsets.push((part.name.clone(), step));
        Ok(())
    }

    fn stratum(&mut self, part: &Part, arguments: &[Argument]) -> Result<(), FormulaError> {
        let (strata, by_centre) = strata_steps(&mut self.typing, part, arguments)?;
        self.strata.extend(strata);
        self.by_centre |= by_centre;
        Ok(())
    }

    pub(super) fn strata_count(&self) -> Result<usize, FormulaError> {
        strata_total(self.typing.formula, &self.strata)
    }

    pub(super) fn columns(&mut self) -> Result<Vec<DesignColumn>, FormulaError> {
        // A baseline hazard takes the place of the intercept, which R codes with and then drops.
        let intercept = self.expansion.intercept || self.survival;
        let mut columns = Vec::new();
        if intercept && !self.survival {
            columns.push(intercept_column());
        }
        let promoted = (!intercept).then(|| self.first_factor()).flatten();
        for (position, term) in self.expansion.terms.clone().into_iter().enumerate() {
            let mut products = vec![(String::new(), Vec::new())];
            for part in self.expansion.parts_of(term) {
                let all = promoted == Some((position, part))
                    || self.expansion.needs_all_levels(position, part);
                let variants = self.variants(part, all)?;
                products = cross(&products, &variants);
                if products.len() + columns.len() > COLUMNS_MAX {
                    let message = format!("the design has more than {COLUMNS_MAX} columns");
                    let span = self.typing.formula.right.span.clone();
                    return Err(self.typing.error(TOO_LARGE, &span, message));
                }
            }
            for (name, product) in products {
                columns.push(self.column(name, product, intercept));
            }
        }
        if columns.is_empty() {
            let span = self.typing.formula.right.span.clone();
            let message = "the model has no column to estimate".to_owned();
            return Err(self.typing.error(EMPTY, &span, message));
        }
        Ok(columns)
    }

    /// Without an intercept, R gives the first factor of the first term that has one all levels.
    fn first_factor(&self) -> Option<(usize, usize)> {
        let terms = self.expansion.terms.iter().enumerate();
        terms
            .flat_map(|(position, term)| {
                let parts = self.expansion.parts_of(*term);
                parts.map(move |part| (position, part))
            })
            .find(|(_, part)| self.levels(*part).is_some())
    }

    fn typed(&self, part: usize) -> Option<&(String, Typed)> {
        self.parts.get(part).and_then(Option::as_ref)
    }

    fn levels(&self, part: usize) -> Option<Vec<String>> {
        match &self.typed(part)?.1.kind {
            Type::Factor(levels) => Some(levels.clone()),
            Type::Logical { number: false } => Some(vec!["FALSE".to_owned(), "TRUE".to_owned()]),
            _ => None,
        }
    }

    /// Names and factors that a part contributes to the columns of a term.
    fn variants(&self, part: usize, all: bool) -> Result<Vec<(String, Factor)>, FormulaError> {
        let Some((name, typed)) = self.typed(part) else {
            return Ok(Vec::new());
        };
        let node = self.expansion.parts.get(part);
        let span = node.map_or(0..0, |part| part.node.span.clone());
        if let Some(levels) = self.levels(part) {
            if levels.len() < 2 {
                let message = format!("`{name}` has one level only and explains nothing");
                return Err(self.typing.error(WRONG_TYPE, &span, message));
            }
            let levels = levels.into_iter().zip(0_u32..);
            let dummies = levels.skip(usize::from(!all)).map(|(level, index)| {
                let takes = Takes::Level(f64::from(index));
                (format!("{name}{level}"), Factor { part, takes })
            });
            return Ok(dummies.collect());
        }
        if matches!(typed.kind, Type::Number(_) | Type::Logical { .. }) {
            return Ok(vec![(name.clone(), Factor { part, takes: Takes::Number })]);
        }
        if let Type::Spline(spline) = &typed.kind {
            let columns = spline.names().into_iter().enumerate();
            let columns = columns.map(|(at, column)| {
                (format!("{name}{column}"), Factor { part, takes: Takes::Column(at) })
            });
            return Ok(columns.collect());
        }
        let message = "a list or a text is not a term".to_owned();
        Err(self.typing.error(WRONG_TYPE, &span, message))
    }

    fn column(&self, name: String, product: Vec<Factor>, intercept: bool) -> DesignColumn {
        let numeric = product.iter().any(|factor| !matches!(factor.takes, Takes::Level(_)));
        let bounds = product.iter().map(|factor| {
            let kind = self.typed(factor.part).map(|(_, typed)| &typed.kind);
            match (factor.takes, kind) {
                (Takes::Number, Some(Type::Number(bounds))) => *bounds,
                (Takes::Column(column), Some(Type::Spline(spline))) => Some(spline.range(column)),
                _ => Some((0.0, 1.0)),
            }
        });
        let range = bounds.reduce(|a, b| interval::binary(Operator::Multiply, a, b));
        let range = range.flatten();
        // A column of 0 and 1 stays as it is, whether it is a dummy or a 0/1 variable.
        let (centre, scale) = if numeric && range != Some((0.0, 1.0)) {
            interval::centre_and_scale(range, intercept)
        } else {
            (0.0, 1.0)
        };
        DesignColumn { name, centre, scale, range, product }
    }
}

fn intercept_column() -> DesignColumn {
    DesignColumn {
        name: "(Intercept)".to_owned(),
        centre: 0.0,
        scale: 1.0,
        range: Some((1.0, 1.0)),
        product: Vec::new(),
    }
}

/// All products, the earlier part varying fastest, as R orders the columns of an interaction.
fn cross(
    before: &[(String, Vec<Factor>)],
    variants: &[(String, Factor)],
) -> Vec<(String, Vec<Factor>)> {
    let mut products = Vec::with_capacity(before.len() * variants.len());
    for (name, factor) in variants {
        for (prefix, factors) in before {
            let separator = if prefix.is_empty() { "" } else { ":" };
            let mut factors = factors.clone();
            factors.push(factor.clone());
            products.push((format!("{prefix}{separator}{name}"), factors));
        }
    }
    products
}

/// Strata as written, the step of each, its number of levels.
pub(super) type Strata = Vec<(String, Step, usize)>;

/// The strata of one `strata(..)`, with the number of levels of each; and whether each centre is one
/// of its own.
pub(super) fn strata_steps(
    typing: &mut Typing<'_>,
    part: &Part,
    arguments: &[Argument],
) -> Result<(Strata, bool), FormulaError> {
    if arguments.is_empty() {
        let message = "strata() needs a variable".to_owned();
        return Err(typing.error(ARGUMENTS, &part.node.span, message));
    }
    let (mut strata, mut by_centre) = (Vec::new(), false);
    for argument in arguments {
        let node = &argument.value;
        let text = node.deparse();
        if text == "centre" && typing.dictionary.variable("centre").is_none() {
            by_centre = true;
            typing.notes.push("each centre is a stratum of its own".to_owned());
            continue;
        }
        let (step, levels) = factor_step(typing, node)?;
        strata.push((text, step, levels.len()));
    }
    Ok((strata, by_centre))
}

/// Number of strata at each centre.
pub(super) fn strata_total(
    formula: &Formula,
    strata: &[(String, Step, usize)],
) -> Result<usize, FormulaError> {
    let counts = strata.iter().map(|(_, _, count)| *count);
    let product = counts.fold(1_usize, usize::saturating_mul);
    if product > STRATA_MAX {
        let message = format!("{product} strata, more than {STRATA_MAX}");
        return Err(formula.error(TOO_LARGE, &formula.right.span, message));
    }
    Ok(product)
}

/// A part as a factor, for strata and groups.
pub(super) fn factor_step(
    typing: &mut Typing<'_>,
    node: &Node,
) -> Result<(Step, Vec<String>), FormulaError> {
    let call = Node {
        what: Syntax::Call("factor".to_owned(), vec![Argument { name: None, value: node.clone() }]),
        span: node.span.clone(),
    };
    let typed = typing.part(&call)?;
    match typed.kind {
        Type::Factor(levels) => Ok((typed.step, levels)),
        _ => {
            let message = "a variable with levels is needed here".to_owned();
            Err(typing.error(WRONG_TYPE, &node.span, message))
        }
    }
}
