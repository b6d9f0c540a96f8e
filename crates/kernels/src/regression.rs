//! Sums that regressions need: Gram matrices, gradients, information, deviance.

use crate::Sums;
use konsil_ring::{EncodeError, Word};

/// `X'X` (lower triangle, row by row), `X'y` and `y'y` of one centre, fixed point.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GramSums {
    /// `x_j x_k` for `k <= j`.
    pub products: Vec<Word>,
    /// `x_j y`.
    pub with_response: Vec<Word>,
    /// `y`, and `y y`.
    pub response: [Word; 2],
}

/// The family of a generalised linear model, with its canonical link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 0/1 response, logit link.
    Binomial,
    /// Counts, log link.
    Poisson,
}

/// Sums at one set of coefficients at one centre, fixed point.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FitSums {
    /// `x_j (y - mu)`.
    pub gradient: Vec<Word>,
    /// `w x_j x_k` for `k <= j`.
    pub information: Vec<Word>,
    /// The deviance.
    pub deviance: Word,
}

impl std::fmt::Debug for GramSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GramSums[{}]", self.with_response.len())
    }
}

impl std::fmt::Debug for FitSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FitSums[{}]", self.gradient.len())
    }
}

/// Gram sums of rows `x` (`[n][columns]`) and response `y` (`[n]`).
///
/// # Errors
/// [`EncodeError`] for a term that is not finite or out of range.
pub fn gram_sums(x: &[f64], y: &[f64], columns: usize) -> Result<GramSums, EncodeError> {
    let pairs = columns * (columns + 1) / 2;
    let mut sums = Sums::new(pairs + columns + 2);
    let mut terms = vec![0.0; pairs + columns + 2];
    for (row, y) in x.chunks(columns.max(1)).zip(y) {
        let (products, rest) = terms.split_at_mut(pairs);
        triangle(row, 1.0, products);
        rest.iter_mut().zip(row).for_each(|(term, x)| *term = x * y);
        if let [.., first, second] = rest {
            (*first, *second) = (*y, y * y);
        }
        sums.add(&terms)?;
    }
    let mut products = sums.finish();
    let mut with_response = products.split_off(pairs);
    let response = with_response.split_off(columns);
    let response = response.first_chunk::<2>().copied().unwrap_or_default();
    Ok(GramSums { products, with_response, response })
}

/// Gradient, information and deviance of a model at coefficients `beta`.
///
/// `offset` is added to the linear predictor, `[n]` or empty. The linear predictor is bounded to
/// ±700 so that nothing overflows; a model that gets there has diverged and is reported as such.
///
/// # Errors
/// [`EncodeError`] for a term that is not finite or out of range.
pub fn fit_sums(
    family: Family,
    (x, y, offset): (&[f64], &[f64], &[f64]),
    beta: &[f64],
) -> Result<FitSums, EncodeError> {
    let columns = beta.len();
    let mut rows = Rows::new(columns);
    for (index, (row, y)) in x.chunks(columns.max(1)).zip(y).enumerate() {
        let predictor: f64 = row.iter().zip(beta).map(|(x, b)| x * b).sum();
        let predictor = predictor + offset.get(index).copied().unwrap_or(0.0);
        let (mean, weight, deviance) = unit(family, *y, predictor.clamp(-700.0, 700.0));
        rows.add(row, (weight, y - mean, deviance))?;
    }
    Ok(rows.finish())
}

/// Sums of information, gradient and deviance, row by row.
struct Rows {
    sums: Sums,
    terms: Vec<f64>,
    columns: usize,
}

impl Rows {
    fn new(columns: usize) -> Self {
        let count = columns * (columns + 1) / 2 + columns + 1;
        Self { sums: Sums::new(count), terms: vec![0.0; count], columns }
    }

    /// Adds `weight x x'`, `residual x` and the deviance of one patient.
    fn add(
        &mut self,
        row: &[f64],
        (weight, residual, deviance): (f64, f64, f64),
    ) -> Result<(), EncodeError> {
        let (information, rest) = self.terms.split_at_mut(self.columns * (self.columns + 1) / 2);
        triangle(row, weight, information);
        rest.iter_mut().zip(row).for_each(|(term, x)| *term = x * residual);
        if let Some(last) = rest.last_mut() {
            *last = deviance;
        }
        self.sums.add(&self.terms)
    }

    fn finish(self) -> FitSums {
        let mut information = self.sums.finish();
        let mut gradient = information.split_off(self.columns * (self.columns + 1) / 2);
        let deviance = gradient.pop().unwrap_or_default();
        FitSums { gradient, information, deviance }
    }
}

/// The sums of the first weighted least-squares step, from means near the responses instead of
/// coefficients: `gradient` is `x_j w z` with the working response `z`, the deviance is left at 0.
///
/// Start values as R's `glm` has them: `(y + 1/2) / 2` and `y + 0.1`.
///
/// # Errors
/// [`EncodeError`] for a term that is not finite or out of range.
pub fn start_sums(
    family: Family,
    (x, y, offset): (&[f64], &[f64], &[f64]),
    columns: usize,
) -> Result<FitSums, EncodeError> {
    let mut rows = Rows::new(columns);
    for (index, (row, y)) in x.chunks(columns.max(1)).zip(y).enumerate() {
        let (predictor, mean, weight) = start(family, *y);
        let offset = offset.get(index).copied().unwrap_or(0.0);
        let working = weight * (predictor - offset) + (y - mean);
        rows.add(row, (weight, working, 0.0))?;
    }
    Ok(rows.finish())
}

/// Predictor, mean and weight that the first step starts from.
fn start(family: Family, y: f64) -> (f64, f64, f64) {
    match family {
        Family::Binomial => {
            let mean = f64::midpoint(y, 0.5);
            ((mean / (1.0 - mean)).ln(), mean, mean * (1.0 - mean))
        }
        Family::Poisson => ((y + 0.1).ln(), y + 0.1, y + 0.1),
    }
}

/// The weights of [`start_sums`], a patient each.
#[must_use]
pub fn start_weights(family: Family, y: &[f64]) -> Vec<f64> {
    y.iter().map(|y| start(family, *y).2).collect()
}

/// Mean, weight and unit deviance of one patient (McCullagh and Nelder 1989, chapters 2, 4, 6).
fn unit(family: Family, y: f64, predictor: f64) -> (f64, f64, f64) {
    match family {
        Family::Binomial => {
            let small = (-predictor.abs()).exp();
            let mean = if predictor >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            let weight = small / ((1.0 + small) * (1.0 + small));
            // -2 log likelihood, without cancellation for large predictors
            let against = if y > 0.5 { -predictor } else { predictor };
            (mean, weight, 2.0 * (against.max(0.0) + small.ln_1p()))
        }
        Family::Poisson => {
            let mean = predictor.exp();
            let log_ratio = if y > 0.0 { y * (y.ln() - predictor) } else { 0.0 };
            (mean, mean, 2.0 * (log_ratio - (y - mean)))
        }
    }
}

/// `weight x_j x_k` for `k <= j`, row by row, of one patient.
pub fn triangle(row: &[f64], weight: f64, terms: &mut [f64]) {
    let mut at = 0;
    for (j, x) in row.iter().enumerate() {
        let scaled = weight * x;
        for (term, other) in terms[at..].iter_mut().zip(&row[..=j]) {
            *term = scaled * other;
        }
        at += j + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn add(a: &FitSums, b: &FitSums) -> FitSums {
        let plus = |a: &[Word], b: &[Word]| -> Vec<Word> {
            a.iter().zip(b).map(|(a, b)| a.wrapping_add(*b)).collect()
        };
        FitSums {
            gradient: plus(&a.gradient, &b.gradient),
            information: plus(&a.information, &b.information),
            deviance: a.deviance.wrapping_add(b.deviance),
        }
    }

    proptest! {
        // The same bytes from one partition, two or seven: the answer cannot depend on the split.
        #[test]
        fn partitions_do_not_matter(
            rows in prop::collection::vec((prop::array::uniform3(-3.0..3.0_f64), 0..2_u8), 7..60),
            beta in prop::array::uniform3(-1.0..1.0_f64),
        ) {
            let x: Vec<f64> = rows.iter().flat_map(|(x, _)| *x).collect();
            let y: Vec<f64> = rows.iter().map(|(_, y)| f64::from(*y)).collect();
            for family in [Family::Binomial, Family::Poisson] {
                let whole = fit_sums(family, (&x, &y, &[]), &beta).unwrap();
                for parts in [2, 7] {
                    let size = y.len().div_ceil(parts);
                    let pieces = x.chunks(3 * size).zip(y.chunks(size));
                    let sum = pieces
                        .map(|(x, y)| fit_sums(family, (x, y, &[]), &beta).unwrap())
                        .reduce(|a, b| add(&a, &b));
                    prop_assert_eq!(sum.as_ref(), Some(&whole));
                }
            }
        }
    }
}
