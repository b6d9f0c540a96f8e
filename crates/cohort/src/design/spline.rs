//! Splines with public knots: `ns` as in R's splines, `rcs` as in Hmisc.
//!
//! R takes boundary knots from the range of the patients and inner knots from their quantiles. Both
//! would tell patients' values: here knots are listed, or follow from the dictionary's range.
//!
//! Sources: de Boor (1978), A Practical Guide to Splines, ch. X (B-splines); Stone and Koo (1985),
//! Proc. ASA Stat. Comput. 45 (restricted cubic splines); Hastie and Tibshirani (1990), Generalized
//! Additive Models, 2.9 (natural splines).

use super::typed::{Type, Typed, Typing};
use crate::formula::{Argument, FormulaError, Span, Syntax};

const WRONG_TYPE: &str = "K0211";
const ARGUMENTS: &str = "K0212";
/// Most inner knots.
const KNOTS_MAX: usize = 20;
/// Largest knot: further out columns leave the range of fixed point.
const KNOT_MAX: f64 = 1e9;
/// Order of cubic splines.
const ORDER: usize = 4;
/// What is smaller is rounding error: a column is 0 there.
const NOTHING: f64 = 1e-12;

/// Columns of one number, linear beyond the outermost knots.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spline {
    /// Natural cubic splines.
    Natural {
        /// All knots, those at the boundaries four times.
        knots: Vec<f64>,
        /// For each column the factors of the B-splines but the first.
        factors: Vec<Vec<f64>>,
        /// Smallest and largest value by the dictionary.
        bounds: (f64, f64),
    },
    /// Truncated powers: the number itself, then a column for each knot but the last two.
    Restricted {
        /// Name of the number.
        name: String,
        /// The knots.
        knots: Vec<f64>,
        /// Smallest and largest value by the dictionary.
        bounds: (f64, f64),
    },
}

impl Spline {
    fn natural(inner: &[f64], boundary: (f64, f64), bounds: (f64, f64)) -> Self {
        let mut knots = vec![boundary.0; ORDER];
        knots.extend(inner);
        knots.extend([boundary.1; ORDER]);
        // the two linear conditions: no curvature at the boundaries
        let bend = |at: f64| {
            let mut bend = derivative(&knots, 2, at);
            bend.remove(0);
            bend
        };
        let reflections = reflections([bend(boundary.0), bend(boundary.1)]);
        let rows = knots.len() - ORDER - 1;
        let unit = |at: usize| {
            let mut column = vec![0.0; rows];
            column.iter_mut().skip(at).take(1).for_each(|it| *it = 1.0);
            reflected(&reflections, column)
        };
        let images: Vec<Vec<f64>> = (0..rows).map(unit).collect();
        let column = |at: usize| images.iter().filter_map(|image| image.get(at).copied()).collect();
        let factors = (2..rows).map(column).collect();
        Self::Natural { knots, factors, bounds }
    }

    /// What is added to the part's name for each column.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Natural { factors, .. } => (1..=factors.len()).map(|it| it.to_string()).collect(),
            Self::Restricted { name, knots, .. } => {
                (0..knots.len() - 1).map(|at| format!("{name}{}", "'".repeat(at))).collect()
            }
        }
    }

    /// A column's value.
    pub(super) fn column(&self, column: usize, x: f64) -> f64 {
        let value = match self {
            Self::Natural { knots, factors, .. } => {
                let factors = factors.get(column).map_or(&[][..], Vec::as_slice);
                let value = natural((knots, factors), x);
                let (first, next) = (knots.first(), knots.get(ORDER));
                match first.zip(next).filter(|(first, _)| **first == x) {
                    // whoever stands on the boundary belongs to those right of it: columns pick
                    // out patients by not being 0
                    Some((first, next)) if value.abs() < NOTHING => {
                        let beside = natural((knots, factors), first + (next - first) / 1e3);
                        return if beside.abs() < NOTHING { 0.0 } else { f64::MIN_POSITIVE };
                    }
                    _ => value,
                }
            }
            Self::Restricted { .. } if column == 0 => return x,
            Self::Restricted { knots, .. } => restricted(knots, column - 1, x),
        };
        if value.abs() < NOTHING { 0.0 } else { value }
    }

    /// Smallest and largest value of a column: it is a cubic between neighbouring knots.
    pub(super) fn range(&self, column: usize) -> (f64, f64) {
        let (knots, (low, high)) = match self {
            Self::Natural { knots, bounds, .. } | Self::Restricted { knots, bounds, .. } => {
                (knots, *bounds)
            }
        };
        let inside = knots.iter().copied().filter(|knot| low < *knot && *knot < high);
        let mut ends: Vec<f64> = [low, high].into_iter().chain(inside).collect();
        ends.sort_by(f64::total_cmp);
        ends.dedup();
        let mut range = (f64::INFINITY, f64::NEG_INFINITY);
        let mut meet = |value: f64| range = (range.0.min(value), range.1.max(value));
        for pair in ends.windows(2) {
            let &[from, to] = pair else {
                continue;
            };
            let at = |part: f64| self.column(column, from + part * (to - from));
            let (a, b, c, d) = (at(0.0), at(1.0 / 3.0), at(2.0 / 3.0), at(1.0));
            [a, d].into_iter().for_each(&mut meet);
            for turn in turns((a, b, c, d)) {
                meet(at(turn));
            }
        }
        // turning points are found to rounding error only
        let slack = 1e-9 * (range.1 - range.0);
        (range.0 - slack, range.1 + slack)
    }
}

/// Where a cubic through values at 0, 1/3, 2/3 and 1 turns, within 0 and 1.
fn turns((a, b, c, d): (f64, f64, f64, f64)) -> Vec<f64> {
    let cube = 4.5 * (d - 3.0 * c + 3.0 * b - a);
    let square = 4.5 * (c - 2.0 * b + a) - cube;
    let slope = d - a - square - cube;
    let (half, product) = (square / (3.0 * cube), slope / (3.0 * cube));
    let root = (half * half - product).max(0.0).sqrt();
    let simple = -slope / (2.0 * square);
    let all = [-half - root, -half + root, simple];
    all.into_iter().filter(|it| (0.0..=1.0).contains(it)).collect()
}

fn natural((knots, factors): (&[f64], &[f64]), x: f64) -> f64 {
    let basis = extended(knots, x);
    basis.iter().skip(1).zip(factors).map(|(basis, factor)| basis * factor).sum()
}

fn restricted(knots: &[f64], at: usize, x: f64) -> f64 {
    let knot = |at: usize| knots.get(at).copied().unwrap_or(f64::NAN);
    let count = knots.len();
    let (first, before, last) = (knot(0), knot(count - 2), knot(count - 1));
    let cube = |from: f64| (x - from).max(0.0).powi(3);
    let own = knot(at);
    let bent = cube(own) - cube(before) * (last - own) / (last - before)
        + cube(last) * (before - own) / (last - before);
    bent / (last - first).powi(2)
}

/// All B-splines of an order at `x`, which lies within the boundary knots.
fn basis(knots: &[f64], order: usize, x: f64) -> Vec<f64> {
    let knot = |at: usize| knots.get(at).copied().unwrap_or(f64::NAN);
    // at the right boundary the last interval counts
    let last = knots.len() - ORDER - 1;
    let span = (ORDER - 1..=last).rev().find(|at| knot(*at) <= x).unwrap_or(ORDER - 1);
    let mut values = vec![0.0; knots.len() - 1];
    values.iter_mut().skip(span).take(1).for_each(|it| *it = 1.0);
    for degree in 1..order {
        let part = |value: f64, above: f64, below: f64| {
            if below > 0.0 { value * above / below } else { 0.0 }
        };
        let next = values.windows(2).enumerate().map(|(at, pair)| {
            let (left, right) = (knot(at), knot(at + degree + 1));
            let &[own, neighbour] = pair else {
                return 0.0;
            };
            part(own, x - left, knot(at + degree) - left)
                + part(neighbour, right - x, right - knot(at + 1))
        });
        values = next.collect();
    }
    values
}

/// The derivatives of all cubic B-splines at `x`.
fn derivative(knots: &[f64], times: usize, x: f64) -> Vec<f64> {
    let knot = |at: usize| knots.get(at).copied().unwrap_or(f64::NAN);
    let mut values = basis(knots, ORDER - times, x);
    for degree in ORDER - times..ORDER {
        let part = |value: f64, width: f64| if width > 0.0 { value / width } else { 0.0 };
        let next = values.windows(2).enumerate().map(|(at, pair)| {
            let &[own, neighbour] = pair else {
                return 0.0;
            };
            let own = part(own, knot(at + degree) - knot(at));
            let neighbour = part(neighbour, knot(at + degree + 1) - knot(at + 1));
            f64::from(u8::try_from(degree).unwrap_or(0)) * (own - neighbour)
        });
        values = next.collect();
    }
    values
}

/// Cubic B-splines, continued by straight lines beyond the boundaries.
fn extended(knots: &[f64], x: f64) -> Vec<f64> {
    let (low, high) = (knots.first(), knots.last());
    let end = x.clamp(low.copied().unwrap_or(x), high.copied().unwrap_or(x));
    let mut values = basis(knots, ORDER, end);
    if end != x {
        let slopes = derivative(knots, 1, end);
        values.iter_mut().zip(slopes).for_each(|(value, slope)| *value += (x - end) * slope);
    }
    values
}

/// Householder reflections that turn two columns into a triangle, with the signs of LINPACK's dqrdc.
fn reflections(mut columns: [Vec<f64>; 2]) -> [Vec<f64>; 2] {
    for at in 0..2 {
        let column = &mut columns[at];
        column.iter_mut().take(at).for_each(|it| *it = 0.0);
        let first = column.get(at).copied().unwrap_or(0.0);
        let length = column.iter().map(|it| it * it).sum::<f64>().sqrt();
        let signed = if first < 0.0 { -length } else { length };
        column.iter_mut().for_each(|it| *it /= signed);
        column.iter_mut().skip(at).take(1).for_each(|it| *it += 1.0);
        if at == 0 {
            let [first, second] = &mut columns;
            reflect(first, 0, second);
        }
    }
    columns
}

fn reflect(by: &[f64], from: usize, column: &mut [f64]) {
    let product: f64 = by.iter().zip(column.iter()).skip(from).map(|(a, b)| a * b).sum();
    let factor = -product / by.get(from).copied().unwrap_or(1.0);
    column.iter_mut().zip(by).skip(from).for_each(|(value, by)| *value += factor * by);
}

fn reflected(by: &[Vec<f64>; 2], mut column: Vec<f64>) -> Vec<f64> {
    for (from, by) in by.iter().enumerate() {
        reflect(by, from, &mut column);
    }
    column
}

impl Typing<'_> {
    /// `ns(x, df)`, `ns(x, knots = c(..))`, either with `Boundary.knots = c(low, high)`.
    pub(super) fn natural_spline(
        &mut self,
        arguments: &[Argument],
        span: &Span,
    ) -> Result<Typed, FormulaError> {
        let label = "as in ns(age, 3) or ns(age, knots = c(40, 60), Boundary.knots = c(20, 80))";
        let wrong = "ns() takes a number, and df or knots";
        let Some((of, others)) = arguments.split_first().filter(|(of, _)| of.name.is_none()) else {
            return Err(self.advise(ARGUMENTS, span, wrong, label));
        };
        let (step, bounds) = self.number(&of.value)?;
        let name = of.value.deparse();
        let bounds = self.known(bounds, &name, span)?;
        let (mut inner, mut boundary, mut df) = (Vec::new(), bounds, None);
        for argument in others {
            match (argument.name.as_deref(), &argument.value.what) {
                (None | Some("df"), Syntax::Number(number)) => df = Some(*number),
                (Some("knots"), _) => inner = self.knots(argument)?,
                (Some("Boundary.knots"), _) => match *self.knots(argument)? {
                    [low, high] if low < high => boundary = (low, high),
                    _ => return Err(self.advise(ARGUMENTS, &argument.value.span, wrong, label)),
                },
                _ => return Err(self.advise(ARGUMENTS, &argument.value.span, wrong, label)),
            }
        }
        if df.is_some() != inner.is_empty() {
            return Err(self.advise(ARGUMENTS, span, wrong, label));
        }
        if let Some(df) = df {
            let within = df.fract() == 0.0 && (1.0..=21.0).contains(&df);
            let message = "the df of ns() is a whole number from 1 to 21".to_owned();
            if !within {
                return Err(self.error(ARGUMENTS, span, message));
            }
            let step = (boundary.1 - boundary.0) / df;
            let at = (1_u8..21).map(f64::from).take_while(|at| *at < df);
            inner = at.map(|at| boundary.0 + step * at).collect();
        }
        let outside = inner.iter().any(|knot| *knot <= boundary.0 || *knot >= boundary.1);
        if outside {
            let message = "the knots of ns() lie between the boundary knots";
            return Err(self.advise(ARGUMENTS, span, message, label));
        }
        self.tell(&name, &inner, Some(boundary));
        let kind = Type::Spline(Spline::natural(&inner, boundary, bounds));
        Ok(Typed { step, kind })
    }

    /// `rcs(x, c(..))` with 3 knots or more, or `rcs(x, count)`.
    pub(super) fn restricted_spline(
        &mut self,
        arguments: &[Argument],
        span: &Span,
    ) -> Result<Typed, FormulaError> {
        let label = "as in rcs(age, c(30, 50, 70)) or rcs(age, 4)";
        let wrong = "rcs() takes a number and its knots";
        let [Argument { name: None, value: of }, list @ Argument { name: None, value }] = arguments
        else {
            return Err(self.advise(ARGUMENTS, span, wrong, label));
        };
        let (step, bounds) = self.number(of)?;
        let name = of.deparse();
        let bounds = self.known(bounds, &name, span)?;
        let knots = match value.what {
            Syntax::Number(count) if count.fract() == 0.0 && (3.0..=20.0).contains(&count) => {
                // in the middles of as many parts of the dictionary's range
                let step = (bounds.1 - bounds.0) / count;
                let at = (0_u8..20).map(f64::from).take_while(|at| *at < count);
                at.map(|at| bounds.0 + step * (at + 0.5)).collect()
            }
            Syntax::Number(_) => return Err(self.advise(ARGUMENTS, &value.span, wrong, label)),
            _ => self.knots(list)?,
        };
        if knots.len() < 3 {
            let message = "rcs() needs three knots at least";
            return Err(self.advise(ARGUMENTS, &value.span, message, label));
        }
        self.tell(&name, &knots, None);
        Ok(Typed { step, kind: Type::Spline(Spline::Restricted { name, knots, bounds }) })
    }

    fn known(
        &self,
        bounds: Option<(f64, f64)>,
        name: &str,
        span: &Span,
    ) -> Result<(f64, f64), FormulaError> {
        bounds.filter(|(low, high)| low < high).ok_or_else(|| {
            let message = format!("a spline of {name} needs its smallest and largest value");
            let label = "give it min and max in the dictionary";
            self.advise(WRONG_TYPE, span, &message, label)
        })
    }

    /// Knots as listed, in order.
    fn knots(&mut self, argument: &Argument) -> Result<Vec<f64>, FormulaError> {
        let span = &argument.value.span;
        let mut knots = match (self.part(&argument.value)?.kind, &argument.value.what) {
            (Type::Numbers(knots), _) => knots,
            (_, Syntax::Number(knot)) => vec![*knot],
            _ => {
                let message = "knots are listed, as in c(40, 60)".to_owned();
                return Err(self.error(ARGUMENTS, span, message));
            }
        };
        knots.sort_by(f64::total_cmp);
        let doubled = knots.windows(2).any(|pair| pair.first() == pair.last());
        let far = knots.iter().any(|knot| knot.is_nan() || knot.abs() > KNOT_MAX);
        if knots.is_empty() || knots.len() > KNOTS_MAX || doubled || far {
            let message = format!("a spline has 1 to {KNOTS_MAX} different knots below 10^9");
            return Err(self.error(ARGUMENTS, span, message));
        }
        Ok(knots)
    }

    fn tell(&mut self, name: &str, knots: &[f64], boundary: Option<(f64, f64)>) {
        let text = |knots: &[f64]| {
            let knots = knots.iter().map(|it| crate::formula::deparse::number_text(*it));
            knots.collect::<Vec<_>>().join(", ")
        };
        let inner = if knots.is_empty() { "none".to_owned() } else { text(knots) };
        let ends = boundary.map(|(low, high)| format!(", boundaries {}", text(&[low, high])));
        let note = format!("knots of {name}: {inner}{}", ends.unwrap_or_default());
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
