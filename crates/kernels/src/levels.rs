//! Sums of regressions whose response has levels: proportional odds, and multinomial logit.
//!
//! A patient's response is the number of the level, from 0.

use crate::Sums;
use crate::regression::{FitSums, Observed, triangle};
use konsil_ring::EncodeError;

/// Linear predictors are bounded by this so that nothing overflows.
const PREDICTOR_MAX: f64 = 700.0;

/// `ln(1 + exp x)`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One patient's terms: gradient, triangle of the information, deviance.
struct Terms {
    gradient: Vec<f64>,
    information: Vec<f64>,
    deviance: f64,
}

impl Terms {
    fn new(order: usize) -> Self {
        let information = vec![0.0; order * (order + 1) / 2];
        Self { gradient: vec![0.0; order], information, deviance: 0.0 }
    }

    fn clear(&mut self) {
        self.gradient.fill(0.0);
        self.information.fill(0.0);
        self.deviance = 0.0;
    }

    /// Adds to a diagonal or lower element of the information.
    fn add(&mut self, row: usize, column: usize, term: f64) {
        if let Some(sum) = self.information.get_mut(row * (row + 1) / 2 + column) {
            *sum += term;
        }
    }
}

/// Adds up the terms of all patients.
fn sums(
    observed: Observed<'_>,
    (columns, order): (usize, usize),
    mut fill: impl FnMut((&[f64], f64, f64, f64), &mut Terms),
) -> Result<FitSums, EncodeError> {
    let mut terms = Terms::new(order);
    let pairs = terms.information.len();
    let mut sums = Sums::new(pairs + order + 1);
    let mut row = Vec::with_capacity(pairs + order + 1);
    for patient in observed.patients(columns) {
        terms.clear();
        fill(patient, &mut terms);
        row.clear();
        row.extend(&terms.information);
        row.extend(&terms.gradient);
        row.push(terms.deviance);
        sums.add(&row)?;
    }
    let mut information = sums.finish();
    let mut gradient = information.split_off(pairs);
    let deviance = gradient.pop().unwrap_or_default();
    Ok(FitSums { gradient, information, deviance, pearson: 0 })
}

/// Gradient, observed information and deviance of proportional odds: the logit of the probability of
/// a level up to `k` is `thresholds[k] - x beta`. Parameters are the thresholds, then `beta`.
///
/// With the bounds `a` above and `b` below a level, its probability is `F(a) (1 - F(b)) (1 - exp(b -
/// a))`: two logistic terms, and one of the distance between thresholds. The first column of
/// `observed.x` is a constant, which is not read.
///
/// # Errors
/// [`EncodeError`] for a term that is not finite or out of range.
pub fn proportional_odds(
    observed: Observed<'_>,
    thresholds: &[f64],
    beta: &[f64],
) -> Result<FitSums, EncodeError> {
    let (count, order) = (thresholds.len(), thresholds.len() + beta.len());
    sums(observed, (1 + beta.len(), order), |(row, y, offset, weight), terms| {
        let x = row.get(1..).unwrap_or_default();
        let eta: f64 = x.iter().zip(beta).map(|(x, b)| x * b).sum::<f64>() + offset;
        let bound = |at: usize| {
            thresholds.get(at).map(|it| (it - eta).clamp(-PREDICTOR_MAX, PREDICTOR_MAX))
        };
        let (mut slope, mut curvature) = (0.0, 0.0);
        let mut known = [None; 2];
        for (at, threshold) in (0..count).enumerate() {
            let below = f64::from(u32::try_from(threshold).unwrap_or(u32::MAX)) - y;
            // the threshold above the level, or the one below it
            let sign = if below == 0.0 { 1.0 } else { -1.0 };
            let Some(value) = bound(at).filter(|_| below == 0.0 || below == -1.0) else {
                continue;
            };
            let (rest, spread) = (logistic(-sign * value), logistic(value) * logistic(-value));
            terms.deviance += 2.0 * weight * softplus(-sign * value);
            terms.gradient[at] += weight * sign * rest;
            terms.add(at, at, weight * spread);
            for (column, x) in x.iter().enumerate() {
                terms.add(count + column, at, -weight * spread * x);
            }
            slope -= weight * sign * rest;
            curvature += weight * spread;
            known[usize::from(sign > 0.0)] = Some((at, value));
        }
        if let [Some((low, b)), Some((high, a))] = known {
            let gap = a - b;
            let inverse = 1.0 / gap.exp_m1();
            terms.deviance -= 2.0 * weight * (-(-gap).exp_m1()).ln();
            terms.gradient[high] += weight * inverse;
            terms.gradient[low] -= weight * inverse;
            let second = weight * inverse * (1.0 + inverse);
            terms.add(high, high, second);
            terms.add(low, low, second);
            terms.add(high, low, -second);
        }
        for (column, x_j) in x.iter().enumerate() {
            terms.gradient[count + column] += slope * x_j;
            for (other, x_k) in x.iter().enumerate().take(column + 1) {
                terms.add(count + column, count + other, curvature * x_j * x_k);
            }
        }
    })
}

/// Gradient, information and deviance of the multinomial logit against level 0. `beta` holds the
/// coefficients of level 1, then of level 2 and so on, `columns` each.
///
/// # Errors
/// As [`proportional_odds`].
pub fn multinomial(
    observed: Observed<'_>,
    columns: usize,
    beta: &[f64],
) -> Result<FitSums, EncodeError> {
    let mut products = vec![0.0; columns * (columns + 1) / 2];
    sums(observed, (columns, beta.len()), |(row, y, _, weight), terms| {
        let predictors: Vec<f64> = beta
            .chunks(columns.max(1))
            .map(|own| row.iter().zip(own).map(|(x, b)| x * b).sum::<f64>())
            .collect();
        let largest = predictors.iter().fold(0.0_f64, |most, it| most.max(*it));
        let total =
            (-largest).exp() + predictors.iter().map(|it| (it - largest).exp()).sum::<f64>();
        let chances: Vec<f64> = predictors.iter().map(|it| (it - largest).exp() / total).collect();
        let mut own = 0.0;
        triangle(row, weight, &mut products);
        for ((level, chance), number) in chances.iter().enumerate().zip(1_u32..) {
            let hit = f64::from(u8::from(f64::from(number) == y));
            own += hit * predictors.get(level).copied().unwrap_or(0.0);
            let gradient = terms.gradient.iter_mut().skip(level * columns).zip(row);
            gradient.for_each(|(sum, x)| *sum = weight * (hit - chance) * x);
            for (other, second) in chances.iter().enumerate().take(level + 1) {
                let factor = chance * (f64::from(u8::from(level == other)) - second);
                for j in 0..columns {
                    let most = if level == other { j + 1 } else { columns };
                    for k in 0..most {
                        let (high, low) = (j.max(k), j.min(k));
                        let product = products.get(high * (high + 1) / 2 + low);
                        let term = factor * product.copied().unwrap_or(0.0);
                        terms.add(level * columns + j, other * columns + k, term);
                    }
                }
            }
        }
        terms.deviance = 2.0 * weight * (largest + total.ln() - own);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_ring::decode;

    const X: [f64; 15] =
        [1.0, 0.5, -0.2, 1.0, -0.7, 0.9, 1.0, 0.1, 0.3, 1.0, 0.9, -0.8, 1.0, -0.4, -0.5];
    const Y: [f64; 5] = [0.0, 2.0, 1.0, 3.0, 1.0];

    fn observed() -> Observed<'static> {
        Observed { x: &X, y: &Y, offset: &[], weights: &[1.0, 2.0, 1.0, 0.5, 1.0] }
    }

    /// Gradient and information against differences of the deviance.
    fn check(order: usize, at: &[f64], sums: &dyn Fn(&[f64]) -> FitSums) {
        let h = 1e-3;
        let value = |moves: &[(usize, f64)]| {
            let mut theta = at.to_vec();
            moves.iter().for_each(|(place, by)| theta[*place] += by);
            -decode(sums(&theta).deviance) / 2.0
        };
        let found = sums(at);
        for i in 0..order {
            let slope = (value(&[(i, h)]) - value(&[(i, -h)])) / (2.0 * h);
            assert!((decode(found.gradient[i]) - slope).abs() < 1e-5, "{i}");
            for j in 0..=i {
                let mixed = value(&[(i, h), (j, h)]) + value(&[(i, -h), (j, -h)])
                    - value(&[(i, h), (j, -h)])
                    - value(&[(i, -h), (j, h)]);
                let second = mixed / (4.0 * h * h);
                let got = decode(found.information[i * (i + 1) / 2 + j]);
                assert!((got + second).abs() < 1e-4, "{i} {j}: {got} {second}");
            }
        }
    }

    #[test]
    fn sums_are_derivatives() {
        let odds = |theta: &[f64]| proportional_odds(observed(), &theta[..3], &theta[3..]).unwrap();
        check(5, &[-1.2, 0.3, 1.0, 0.4, -0.6], &odds);
        let logits = |theta: &[f64]| multinomial(observed(), 3, theta).unwrap();
        check(9, &[0.2, -0.5, 0.1, 0.7, 0.3, -0.4, -0.3, 0.2, 0.6], &logits);
    }

    // Predictors far out overflow nothing: the fit says that it diverged instead.
    #[test]
    fn sums_far_out_are_finite() {
        assert!(proportional_odds(observed(), &[-900.0, 2.0, 900.0], &[400.0, 30.0]).is_ok());
        assert!(multinomial(observed(), 3, &[900.0; 9]).is_ok());
    }
}
