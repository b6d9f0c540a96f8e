//! Sums that regressions need: Gram matrices, gradients, information, deviance.

use crate::add_rounded;
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
    let mut products = vec![0; columns * (columns + 1) / 2];
    let mut with_response = vec![0; columns];
    let mut response = [0; 2];
    let mut terms = vec![0.0; products.len()];
    for (row, y) in x.chunks(columns.max(1)).zip(y) {
        triangle(row, 1.0, &mut terms);
        add_rounded(&mut products, &terms)?;
        let cross: Vec<f64> = row.iter().map(|x| x * y).collect();
        add_rounded(&mut with_response, &cross)?;
        add_rounded(&mut response, &[*y, y * y])?;
    }
    Ok(GramSums {
        products,
        with_response,
        response,
    })
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
    let mut sums = FitSums {
        gradient: vec![0; columns],
        information: vec![0; columns * (columns + 1) / 2],
        deviance: 0,
    };
    let mut terms = vec![0.0; sums.information.len()];
    let mut gradient = vec![0.0; columns];
    for (index, (row, y)) in x.chunks(columns.max(1)).zip(y).enumerate() {
        let predictor: f64 = row.iter().zip(beta).map(|(x, b)| x * b).sum();
        let predictor = predictor + offset.get(index).copied().unwrap_or(0.0);
        let (mean, weight, deviance) = unit(family, *y, predictor.clamp(-700.0, 700.0));
        triangle(row, weight, &mut terms);
        add_rounded(&mut sums.information, &terms)?;
        gradient
            .iter_mut()
            .zip(row)
            .for_each(|(g, x)| *g = x * (y - mean));
        add_rounded(&mut sums.gradient, &gradient)?;
        add_rounded(std::slice::from_mut(&mut sums.deviance), &[deviance])?;
    }
    Ok(sums)
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
    let mut sums = FitSums {
        gradient: vec![0; columns],
        information: vec![0; columns * (columns + 1) / 2],
        deviance: 0,
    };
    let mut terms = vec![0.0; sums.information.len()];
    let mut gradient = vec![0.0; columns];
    for (index, (row, y)) in x.chunks(columns.max(1)).zip(y).enumerate() {
        let (predictor, mean, weight) = match family {
            Family::Binomial => {
                let mean = f64::midpoint(*y, 0.5);
                ((mean / (1.0 - mean)).ln(), mean, mean * (1.0 - mean))
            }
            Family::Poisson => ((y + 0.1).ln(), y + 0.1, y + 0.1),
        };
        let offset = offset.get(index).copied().unwrap_or(0.0);
        let working = weight * (predictor - offset) + (y - mean);
        triangle(row, weight, &mut terms);
        add_rounded(&mut sums.information, &terms)?;
        gradient
            .iter_mut()
            .zip(row)
            .for_each(|(g, x)| *g = x * working);
        add_rounded(&mut sums.gradient, &gradient)?;
    }
    Ok(sums)
}

/// Mean, weight and unit deviance of one patient (McCullagh and Nelder 1989, chapters 2, 4, 6).
fn unit(family: Family, y: f64, predictor: f64) -> (f64, f64, f64) {
    match family {
        Family::Binomial => {
            let small = (-predictor.abs()).exp();
            let mean = if predictor >= 0.0 {
                1.0 / (1.0 + small)
            } else {
                small / (1.0 + small)
            };
            let weight = small / ((1.0 + small) * (1.0 + small));
            // -2 log likelihood, without cancellation for large predictors
            let against = if y > 0.5 { -predictor } else { predictor };
            (mean, weight, 2.0 * (against.max(0.0) + small.ln_1p()))
        }
        Family::Poisson => {
            let mean = predictor.exp();
            let log_ratio = if y > 0.0 {
                y * (y.ln() - predictor)
            } else {
                0.0
            };
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
