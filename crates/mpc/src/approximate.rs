//! Polynomials that stand for functions, made at run time from basic arithmetic and the portable
//! `libm`, so that every party gets the same bits on every machine.

use konsil_ring::{EncodeError, Word, encode};

/// Coefficients, lowest first, of the polynomial in `u` of `[-1, 1]` that interpolates `function`
/// over `[from, to]` at the Chebyshev nodes.
pub(crate) fn interpolate(
    function: impl Fn(f64) -> f64,
    (from, to): (f64, f64),
    degree: usize,
) -> Vec<f64> {
    let count = degree + 1;
    let nodes: Vec<f64> = (0..count)
        .map(|j| libm::cos(std::f64::consts::PI * (j as f64 + 0.5) / count as f64))
        .collect();
    let values: Vec<f64> =
        (nodes.iter()).map(|u| function(f64::midpoint(from, to) + u * (to - from) / 2.0)).collect();
    let mut coefficients = vec![0.0; count];
    // T_k in powers of u, by the recurrence T_{k+1} = 2 u T_k - T_{k-1}
    let mut before = vec![0.0; count];
    let mut chebyshev = vec![0.0; count];
    chebyshev[0] = 1.0;
    for k in 0..count {
        let at = |j: usize| std::f64::consts::PI * k as f64 * (j as f64 + 0.5) / count as f64;
        let sum: f64 = values.iter().enumerate().map(|(j, v)| v * libm::cos(at(j))).sum();
        let weight = if k == 0 { 1.0 } else { 2.0 } * sum / count as f64;
        for (coefficient, power) in coefficients.iter_mut().zip(&chebyshev) {
            *coefficient += weight * power;
        }
        let factor = if k == 0 { 1.0 } else { 2.0 };
        let next = (0..count)
            .map(|i| if i == 0 { 0.0 } else { factor * chebyshev[i - 1] } - before[i])
            .collect();
        before = std::mem::replace(&mut chebyshev, next);
    }
    coefficients
}

/// The coefficients in fixed point.
pub(crate) fn encoded(coefficients: &[f64]) -> Result<Vec<Word>, EncodeError> {
    coefficients.iter().map(|coefficient| encode(*coefficient)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The bounds that the operations' comments state rest on these.
    #[test]
    fn interpolants_are_as_good_as_stated() {
        let worst = |f: &dyn Fn(f64) -> f64, (from, to): (f64, f64), degree| {
            let polynomial = interpolate(f, (from, to), degree);
            (0..=1000).fold(0.0_f64, |worst, step| {
                let u = f64::from(step) / 500.0 - 1.0;
                let value = polynomial.iter().rev().fold(0.0, |sum, c| sum * u + c);
                worst.max((value - f(f64::midpoint(from, to) + u * (to - from) / 2.0)).abs())
            })
        };
        assert!(worst(&libm::exp2, (0.0, 1.0), 9) < 1e-13);
        assert!(worst(&libm::log, (0.5, 1.0), 16) < 1e-13);
        let logistic = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        assert!(worst(&logistic, (0.0, 1.0), 8) < 3e-11);
    }
}
