//! Sums of Weibull and exponential regression of times to an event.
//!
//! With the logarithm `y` of the time, columns `x`, and `e` 1 for an event: `z = (y - x beta) / sigma`
//! and the log likelihood of a patient is `e (z - ln sigma) - exp z`, but for a constant. In
//! `a = 1 / sigma` and `b = beta / sigma` it is concave, so that steps are taken there.

use crate::Sums;
use crate::regression::{FitSums, triangle};
use konsil_ring::EncodeError;

/// One centre's patients.
#[derive(Clone, Copy)]
pub struct Lifetimes<'a> {
    /// Columns, the constant first, `[n][columns]`.
    pub x: &'a [f64],
    /// Logarithms of the times less the offsets, `[n]`.
    pub y: &'a [f64],
    /// Whether the event happened, `[n]`.
    pub event: &'a [bool],
    /// Case weights, `[n]` or empty for 1.
    pub weights: &'a [f64],
}

impl std::fmt::Debug for Lifetimes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lifetimes[{}]", self.y.len())
    }
}

/// `z` beyond this has diverged; bounded so that nothing overflows.
const PREDICTOR_MAX: f64 = 30.0;

/// A patient's terms: of the gradient, and of the information's triangle.
struct Terms {
    gradient: Vec<f64>,
    information: Vec<f64>,
    last: f64,
}

/// Makes the terms of a patient with these `x`, `y`, `e` and weight.
type Fill<'a> = dyn Fn((&[f64], f64, f64, f64), &mut Terms) + 'a;

impl Lifetimes<'_> {
    /// Adds up the terms of all patients. `order` is the number of parameters.
    fn sums(
        self,
        (columns, order): (usize, usize),
        fill: &Fill<'_>,
    ) -> Result<FitSums, EncodeError> {
        let pairs = order * (order + 1) / 2;
        let mut terms =
            Terms { gradient: vec![0.0; order], information: vec![0.0; pairs], last: 0.0 };
        let mut sums = Sums::new(pairs + order + 1);
        let mut row = Vec::with_capacity(pairs + order + 1);
        let patients = self.x.chunks(columns.max(1)).zip(self.y).zip(self.event);
        for (at, ((x, y), event)) in patients.enumerate() {
            let weight = self.weights.get(at).copied().unwrap_or(1.0);
            fill((x, *y, f64::from(u8::from(*event)), weight), &mut terms);
            row.clear();
            row.extend(&terms.information);
            row.extend(&terms.gradient);
            row.push(terms.last);
            sums.add(&row)?;
        }
        let mut information = sums.finish();
        let mut gradient = information.split_off(pairs);
        let deviance = gradient.pop().unwrap_or_default();
        Ok(FitSums { gradient, information, deviance, pearson: 0 })
    }

    /// The first weighted least-squares step for `b` at a fixed `a`, from means near the events
    /// instead of coefficients; `a` itself, where it is `free`, gets no gradient.
    ///
    /// # Errors
    /// [`EncodeError`] for a term that is not finite or out of range.
    pub fn start(self, columns: usize, a: f64, free: bool) -> Result<FitSums, EncodeError> {
        let order = columns + usize::from(free);
        self.sums((columns, order), &|(x, y, event, weight), terms| {
            let mean = event + 0.1;
            let target = mean * (a * y - mean.ln()) - (event - mean);
            let own = terms.gradient.iter_mut().zip(x);
            own.for_each(|(term, x)| *term = weight * target * x);
            triangle(x, weight * mean, &mut terms.information);
            if free && let Some(last) = terms.information.last_mut() {
                *last = weight * mean;
            }
        })
    }

    /// Gradient and information in `b` and, where it is `free`, `a`; the last of `theta` is `a`.
    ///
    /// # Errors
    /// As [`Lifetimes::start`].
    pub fn step(self, theta: &[f64], free: bool) -> Result<FitSums, EncodeError> {
        let (a, b) = theta.split_last().unwrap_or((&1.0, &[]));
        let (columns, order) = (b.len(), b.len() + usize::from(free));
        self.sums((columns, order), &|(x, y, event, weight), terms| {
            let linear: f64 = x.iter().zip(b).map(|(x, b)| x * b).sum();
            let z = (a * y - linear).clamp(-2.0 * PREDICTOR_MAX, PREDICTOR_MAX);
            let mean = weight * z.exp();
            let event = weight * event;
            let rest = event - mean;
            let signed: Vec<f64> = x.iter().map(|x| -x).chain([y]).take(order).collect();
            let own = terms.gradient.iter_mut().zip(&signed);
            own.for_each(|(term, v)| *term = v * rest);
            triangle(&signed, mean, &mut terms.information);
            if free {
                if let Some(last) = terms.gradient.last_mut() {
                    *last += event / a;
                }
                if let Some(last) = terms.information.last_mut() {
                    *last += event / (a * a);
                }
            }
        })
    }

    /// The observed information in `beta` and, where it is `free`, `ln sigma`, at the ends of the
    /// steps; `deviance` is the log likelihood but for its constants.
    ///
    /// # Errors
    /// As [`Lifetimes::start`].
    pub fn end(self, theta: &[f64], free: bool) -> Result<FitSums, EncodeError> {
        let (a, b) = theta.split_last().unwrap_or((&1.0, &[]));
        let (columns, order) = (b.len(), b.len() + usize::from(free));
        self.sums((columns, order), &|(x, y, event, weight), terms| {
            let linear: f64 = x.iter().zip(b).map(|(x, b)| x * b).sum();
            let z = (a * y - linear).clamp(-2.0 * PREDICTOR_MAX, PREDICTOR_MAX);
            let mean = z.exp();
            terms.last = weight * (event * (z + a.ln()) - mean);
            triangle(x, weight * mean * a * a, &mut terms.information);
            if free {
                let mixed = z * mean - (event - mean);
                let first = terms.information.len() - order;
                let row = terms.information.iter_mut().skip(first);
                let scaled = x.iter().map(|x| x * a).chain([z]);
                row.zip(scaled).for_each(|(term, x)| *term = weight * mixed * x);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_ring::decode;

    fn likelihood(data: Lifetimes<'_>, beta: &[f64], log_scale: f64) -> f64 {
        let a = (-log_scale).exp();
        let theta: Vec<f64> = beta.iter().map(|it| it * a).chain([a]).collect();
        decode(data.end(&theta, true).unwrap().deviance)
    }

    // Second derivatives of the likelihood, by differences; the gradient as well.
    #[test]
    fn sums_are_derivatives() {
        let x = [1.0, 0.5, 1.0, -0.7, 1.0, 0.1, 1.0, 0.9];
        let y = [0.3, -0.2, 0.8, 0.5];
        let data = Lifetimes {
            x: &x,
            y: &y,
            event: &[true, false, true, true],
            weights: &[1.0, 2.0, 1.0, 0.5],
        };
        let (beta, scale, h) = ([0.4, 0.2], -0.3_f64, 1e-3);
        let at = |d: [f64; 3]| likelihood(data, &[beta[0] + d[0], beta[1] + d[1]], scale + d[2]);
        let a = (-scale).exp();
        let theta = [beta[0] * a, beta[1] * a, a];
        let information = data.end(&theta, true).unwrap().information;
        for (i, j, place) in [(0, 0, 0), (1, 0, 1), (1, 1, 2), (2, 0, 3), (2, 1, 4), (2, 2, 5)] {
            let mut sum = 0.0;
            for (signs, sign) in
                [((1.0, 1.0), 1.0), ((1.0, -1.0), -1.0), ((-1.0, 1.0), -1.0), ((-1.0, -1.0), 1.0)]
            {
                let mut d = [0.0; 3];
                d[i] += signs.0 * h;
                d[j] += signs.1 * h;
                sum += sign * at(d);
            }
            let second = sum / (4.0 * h * h);
            assert!((decode(information[place]) + second).abs() < 1e-4, "{i} {j}");
        }
        let gradient = data.step(&theta, true).unwrap().gradient;
        let value = |theta: [f64; 3]| decode(data.end(&theta, true).unwrap().deviance);
        for at in 0..3 {
            let (mut up, mut down) = (theta, theta);
            up[at] += h;
            down[at] -= h;
            let slope = (value(up) - value(down)) / (2.0 * h);
            assert!((decode(gradient[at]) - slope).abs() < 1e-4);
        }
    }
}
