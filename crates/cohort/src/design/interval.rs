//! Interval arithmetic: public bounds of an expression from the dictionary's bounds.

use crate::formula::Operator;

/// Smallest and largest value that an expression can take; `None` where not known or not finite.
pub(super) type Bounds = Option<(f64, f64)>;

pub(super) fn negate(bounds: Bounds) -> Bounds {
    bounds.map(|(low, high)| (-high, -low))
}

/// Bounds of `left operator right`, for the arithmetic operators.
pub(super) fn binary(operator: Operator, left: Bounds, right: Bounds) -> Bounds {
    let ((a, b), (c, d)) = left.zip(right)?;
    let bounds = match operator {
        Operator::Add => (a + c, b + d),
        Operator::Subtract => (a - d, b - c),
        Operator::Multiply => hull(&[a * c, a * d, b * c, b * d])?,
        Operator::Divide if c > 0.0 || d < 0.0 => hull(&[a / c, a / d, b / c, b / d])?,
        Operator::Power => power((a, b), (c, d))?,
        _ => return None,
    };
    finite(bounds)
}

fn power((a, b): (f64, f64), (c, d): (f64, f64)) -> Bounds {
    let corners = [a.powf(c), a.powf(d), b.powf(c), b.powf(d)];
    if a > 0.0 || (a >= 0.0 && c >= 0.0) {
        return hull(&corners);
    }
    let whole = c == d && c.fract() == 0.0 && c >= 1.0;
    let (low, high) = whole.then(|| hull(&corners)).flatten()?;
    let even = c.rem_euclid(2.0) == 0.0;
    // An even power turns at zero.
    let low = if even && b >= 0.0 { 0.0 } else { low };
    Some((low, high))
}

pub(super) fn log(bounds: Bounds) -> Bounds {
    let (low, high) = bounds.filter(|(low, _)| *low > 0.0)?;
    finite((low.ln(), high.ln()))
}

pub(super) fn exp(bounds: Bounds) -> Bounds {
    let (low, high) = bounds?;
    finite((low.exp(), high.exp()))
}

pub(super) fn sqrt(bounds: Bounds) -> Bounds {
    let (low, high) = bounds.filter(|(low, _)| *low >= 0.0)?;
    finite((low.sqrt(), high.sqrt()))
}

pub(super) fn abs(bounds: Bounds) -> Bounds {
    let (low, high) = bounds?;
    if low >= 0.0 {
        return Some((low, high));
    }
    Some((if high < 0.0 { -high } else { 0.0 }, (-low).max(high)))
}

pub(super) fn pmin(left: Bounds, right: Bounds) -> Bounds {
    let ((a, b), (c, d)) = left.zip(right)?;
    Some((a.min(c), b.min(d)))
}

pub(super) fn pmax(left: Bounds, right: Bounds) -> Bounds {
    let ((a, b), (c, d)) = left.zip(right)?;
    Some((a.max(c), b.max(d)))
}

/// Public centre and half-width of bounds; 0 and 1 where they are unknown or a single point.
///
/// Without `centred` the centre is 0 and the scale the largest absolute value: taking a constant
/// off a column changes a model that has no intercept.
pub(super) fn centre_and_scale(bounds: Bounds, centred: bool) -> (f64, f64) {
    let Some((low, high)) = bounds else {
        return (0.0, 1.0);
    };
    if !centred {
        let largest = low.abs().max(high.abs());
        return (0.0, if largest > 0.0 { largest } else { 1.0 });
    }
    let (centre, scale) = (low / 2.0 + high / 2.0, high / 2.0 - low / 2.0);
    if scale > 0.0 { (centre, scale) } else { (0.0, 1.0) }
}

fn hull(corners: &[f64]) -> Bounds {
    let low = corners.iter().copied().reduce(f64::min)?;
    let high = corners.iter().copied().reduce(f64::max)?;
    finite((low, high))
}

fn finite((low, high): (f64, f64)) -> Bounds {
    (low.is_finite() && high.is_finite()).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_follow_the_signs() {
        let x = Some((-2.0, 3.0));
        let two = Some((2.0, 2.0));
        assert_eq!(binary(Operator::Power, x, two), Some((0.0, 9.0)));
        assert_eq!(binary(Operator::Multiply, x, x), Some((-6.0, 9.0)));
        assert_eq!(binary(Operator::Divide, two, x), None);
        assert_eq!(binary(Operator::Power, x, Some((3.0, 3.0))), Some((-8.0, 27.0)));
        assert_eq!(abs(x), Some((0.0, 3.0)));
        assert_eq!(log(x), None);
        assert_eq!(exp(Some((0.0, 1e4))), None);
        assert_eq!(centre_and_scale(Some((18.0, 110.0)), true), (64.0, 46.0));
        assert_eq!(centre_and_scale(Some((5.0, 5.0)), true), (0.0, 1.0));
        assert_eq!(centre_and_scale(x, false), (0.0, 3.0));
    }
}
