//! Computes a part's values, one for each patient, column by column.

use super::typed::{Function, Step};
use crate::formula::Operator;
use std::collections::HashMap;

/// Values of the used variables for the patients without a missing one.
///
/// Numbers as they are, false and true as 0 and 1, categories as index of their level.
pub(super) struct Frame {
    pub(super) rows: usize,
    /// Which rows of the data set they are.
    pub(super) places: Vec<usize>,
    pub(super) columns: HashMap<String, Vec<f64>>,
}

/// Values of a step; a patient outside all intervals of `cut` gets NaN.
pub(super) fn evaluate(step: &Step, frame: &Frame) -> Vec<f64> {
    match step {
        Step::Variable(name) => match frame.columns.get(name) {
            Some(column) => column.clone(),
            // The frame holds every variable that typing met; NaN is refused by the caller.
            None => vec![f64::NAN; frame.rows],
        },
        Step::Constant(number) => vec![*number; frame.rows],
        Step::Negate(inner) => map(evaluate(inner, frame), |x| 0.0 - x),
        Step::Not(inner) => map(evaluate(inner, frame), |x| truth(x == 0.0)),
        Step::Binary(operator, left, right) => {
            let mut values = evaluate(left, frame);
            let right = evaluate(right, frame);
            let apply = arithmetic(*operator);
            for (value, right) in values.iter_mut().zip(right) {
                *value = apply(*value, right);
            }
            values
        }
        Step::Function(function, inner) => {
            let apply: fn(f64) -> f64 = match function {
                Function::Log => f64::ln,
                Function::Log2 => f64::log2,
                Function::Log10 => f64::log10,
                Function::Exp => f64::exp,
                Function::Sqrt => f64::sqrt,
                Function::Abs => f64::abs,
            };
            map(evaluate(inner, frame), apply)
        }
        Step::Extreme { largest, of } => extreme(*largest, of, frame),
        Step::Codes(inner, codes) | Step::Listed(inner, codes) => {
            map(evaluate(inner, frame), |x| index(codes.iter().position(|code| *code == x)))
        }
        Step::Cut(inner, breaks) => map(evaluate(inner, frame), |x| interval_of(x, breaks)),
    }
}

fn map(mut values: Vec<f64>, apply: impl Fn(f64) -> f64) -> Vec<f64> {
    for value in &mut values {
        *value = apply(*value);
    }
    values
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn arithmetic(operator: Operator) -> fn(f64, f64) -> f64 {
    match operator {
        Operator::Add => |a, b| a + b,
        Operator::Subtract => |a, b| a - b,
        Operator::Multiply => |a, b| a * b,
        Operator::Divide => |a, b| a / b,
        Operator::Power => f64::powf,
        Operator::Equal => |a, b| truth(a == b),
        Operator::Unequal => |a, b| truth(a != b),
        Operator::Less => |a, b| truth(a < b),
        Operator::LessEqual => |a, b| truth(a <= b),
        Operator::Greater => |a, b| truth(a > b),
        Operator::GreaterEqual => |a, b| truth(a >= b),
        Operator::And => |a, b| truth(a != 0.0 && b != 0.0),
        Operator::Or => |a, b| truth(a != 0.0 || b != 0.0),
        // Typing lets none of these reach arithmetic; NaN is refused by the caller.
        Operator::Not | Operator::Colon | Operator::In => |_, _| f64::NAN,
    }
}

fn extreme(largest: bool, of: &[Step], frame: &Frame) -> Vec<f64> {
    let mut columns = of.iter().map(|step| evaluate(step, frame));
    let mut values = columns.next().unwrap_or_else(|| vec![f64::NAN; frame.rows]);
    for column in columns {
        for (value, other) in values.iter_mut().zip(column) {
            // A NaN must stay one, which f64::max would hide.
            let replace = if largest { other > *value } else { other < *value };
            if replace || other.is_nan() {
                *value = other;
            }
        }
    }
    values
}

fn interval_of(value: f64, breaks: &[f64]) -> f64 {
    let pairs = breaks.iter().zip(breaks.iter().skip(1));
    let mut intervals = pairs.map(|(from, to)| *from < value && value <= *to);
    index(intervals.position(|inside| inside))
}

fn index(position: Option<usize>) -> f64 {
    position.and_then(|position| u32::try_from(position).ok()).map_or(f64::NAN, f64::from)
}
