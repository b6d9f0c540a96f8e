//! Sums that regressions need: Gram matrices, gradients, information, deviance.

use crate::{Family, Sums};
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

/// One centre's patients as a regression needs them.
#[derive(Clone, Copy, Default)]
pub struct Observed<'a> {
    /// `[n][columns]`.
    pub x: &'a [f64],
    /// `[n]`.
    pub y: &'a [f64],
    /// Added to the linear predictor, `[n]` or empty for 0.
    pub offset: &'a [f64],
    /// Prior weights, `[n]` or empty for 1.
    pub weights: &'a [f64],
}

impl std::fmt::Debug for Observed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Observed[{}]", self.y.len())
    }
}

impl<'a> Observed<'a> {
    /// Row, response, offset and weight of each patient.
    pub fn patients(self, columns: usize) -> impl Iterator<Item = (&'a [f64], f64, f64, f64)> {
        let at = |all: &[f64], index: usize, none: f64| all.get(index).copied().unwrap_or(none);
        let rows = self.x.chunks(columns.max(1)).zip(self.y).enumerate();
        rows.map(move |(index, (row, y))| {
            (row, *y, at(self.offset, index, 0.0), at(self.weights, index, 1.0))
        })
    }
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
    /// Pearson's statistic.
    pub pearson: Word,
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

/// Gram sums of the patients, each times its weight; the offset is not read.
///
/// # Errors
/// [`EncodeError`] for a term that is not finite or out of range.
pub fn gram_sums(observed: Observed<'_>, columns: usize) -> Result<GramSums, EncodeError> {
    let pairs = columns * (columns + 1) / 2;
    let mut sums = Sums::new(pairs + columns + 2);
    let mut terms = vec![0.0; pairs + columns + 2];
    for (row, y, _, weight) in observed.patients(columns) {
        let (products, rest) = terms.split_at_mut(pairs);
        triangle(row, weight, products);
        let weighted = weight * y;
        rest.iter_mut().zip(row).for_each(|(term, x)| *term = x * weighted);
        if let [.., first, second] = rest {
            (*first, *second) = (weighted, weighted * y);
        }
        sums.add(&terms)?;
    }
    let mut products = sums.finish();
    let mut with_response = products.split_off(pairs);
    let response = with_response.split_off(columns);
    let response = response.first_chunk::<2>().copied().unwrap_or_default();
    Ok(GramSums { products, with_response, response })
}

/// Gradient, information, deviance and Pearson's statistic of a model at coefficients `beta`.
///
/// The linear predictor is bounded to ±700 so that nothing overflows; a model that gets there has
/// diverged and is reported as such.
///
/// # Errors
/// [`EncodeError`] for a term that is not finite or out of range.
pub fn fit_sums(
    family: Family,
    observed: Observed<'_>,
    beta: &[f64],
) -> Result<FitSums, EncodeError> {
    let mut rows = Rows::new(beta.len());
    for (row, y, offset, weight) in observed.patients(beta.len()) {
        let unit = family.unit(y, predictor(row, beta, offset));
        let rest = [weight * unit.score, weight * unit.deviance, weight * unit.pearson];
        rows.add(row, weight * unit.weight, rest)?;
    }
    Ok(rows.finish())
}

/// Each patient's score and weight in the information at coefficients `beta`: the gradient is the sum
/// of `score x`, the information that of `weight x x'`.
#[must_use]
pub fn scores(family: Family, observed: Observed<'_>, beta: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let patients = observed.patients(beta.len());
    let each = patients.map(|(row, y, offset, weight)| {
        let unit = family.unit(y, predictor(row, beta, offset));
        (weight * unit.score, weight * unit.weight)
    });
    each.unzip()
}

/// `x beta + offset`, bounded.
#[must_use]
pub fn predictor(row: &[f64], beta: &[f64], offset: f64) -> f64 {
    let sum: f64 = row.iter().zip(beta).map(|(x, b)| x * b).sum();
    (sum + offset).clamp(-700.0, 700.0)
}

/// Sums of information, gradient, deviance and Pearson's statistic, row by row.
struct Rows {
    sums: Sums,
    terms: Vec<f64>,
    columns: usize,
}

impl Rows {
    fn new(columns: usize) -> Self {
        let count = columns * (columns + 1) / 2 + columns + 2;
        Self { sums: Sums::new(count), terms: vec![0.0; count], columns }
    }

    /// Adds `weight x x'`, `score x`, deviance and Pearson's statistic of one patient.
    fn add(&mut self, row: &[f64], weight: f64, rest: [f64; 3]) -> Result<(), EncodeError> {
        let [score, deviance, pearson] = rest;
        let (information, rest) = self.terms.split_at_mut(self.columns * (self.columns + 1) / 2);
        triangle(row, weight, information);
        rest.iter_mut().zip(row).for_each(|(term, x)| *term = x * score);
        if let [.., first, second] = rest {
            (*first, *second) = (deviance, pearson);
        }
        self.sums.add(&self.terms)
    }

    fn finish(self) -> FitSums {
        let mut information = self.sums.finish();
        let mut gradient = information.split_off(self.columns * (self.columns + 1) / 2);
        let pearson = gradient.pop().unwrap_or_default();
        let deviance = gradient.pop().unwrap_or_default();
        FitSums { gradient, information, deviance, pearson }
    }
}

/// The sums of the first weighted least-squares step, from means near the responses instead of
/// coefficients: `gradient` is `x_j w z` with the working response `z`, the deviance is left at 0.
///
/// Start values as R's `glm` has them: `(y + 1/2) / 2`, `y + 0.1` for counts, `y` for numbers.
///
/// # Errors
/// [`EncodeError`] for a term that is not finite or out of range.
pub fn start_sums(
    family: Family,
    observed: Observed<'_>,
    columns: usize,
) -> Result<FitSums, EncodeError> {
    let mut rows = Rows::new(columns);
    for (row, y, offset, prior) in observed.patients(columns) {
        let (weight, working) = family.start_terms(y, offset);
        rows.add(row, prior * weight, [prior * working, 0.0, 0.0])?;
    }
    Ok(rows.finish())
}

/// The weights of [`start_sums`], a patient each.
#[must_use]
pub fn start_weights(family: Family, observed: Observed<'_>) -> Vec<f64> {
    let prior = |at: usize| observed.weights.get(at).copied().unwrap_or(1.0);
    let each = observed.y.iter().enumerate();
    each.map(|(at, y)| prior(at) * family.start_terms(*y, 0.0).0).collect()
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
            pearson: a.pearson.wrapping_add(b.pearson),
        }
    }

    fn seen<'a>(x: &'a [f64], y: &'a [f64]) -> Observed<'a> {
        Observed { x, y, ..Observed::default() }
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
                let whole = fit_sums(family, seen(&x, &y), &beta).unwrap();
                for parts in [2, 7] {
                    let size = y.len().div_ceil(parts);
                    let pieces = x.chunks(3 * size).zip(y.chunks(size));
                    let sum = pieces
                        .map(|(x, y)| fit_sums(family, seen(x, y), &beta).unwrap())
                        .reduce(|a, b| add(&a, &b));
                    prop_assert_eq!(sum.as_ref(), Some(&whole));
                }
            }
        }
    }
}
