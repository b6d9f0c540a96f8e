//! Sums of estimating equations of patients who belong together in clusters.
//!
//! With `r = (y - mu) / sqrt(w)`, `z = sqrt(w) x` and the working correlation `R` of a cluster, its part
//! of the gradient is `Z' R^-1 r` and of the information `Z' R^-1 Z`. All pairs of a cluster have the
//! correlation `a`, so that `R^-1 = (I - c J) / (1 - a)` with `c = a / (1 + (n - 1) a)`.

use crate::regression::triangle;
use crate::{Sums, add_rounded};
use konsil_ring::{EncodeError, Word};

/// The smallest eigenvalue that a cluster's correlation is taken to have.
const EIGENVALUE_MIN: f64 = 1e-3;

/// Patients of one centre at some coefficients.
#[derive(Clone, Copy)]
pub struct Correlated<'a> {
    /// `[n][columns]`.
    pub x: &'a [f64],
    /// `y - mu`, `[n]`.
    pub scores: &'a [f64],
    /// Variance function, which is the derivative of the mean by the linear predictor, `[n]`.
    pub weights: &'a [f64],
    /// The number of each patient's cluster, `[n]`.
    pub clusters: &'a [usize],
    /// Columns.
    pub columns: usize,
}

impl std::fmt::Debug for Correlated<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Correlated[{}]", self.scores.len())
    }
}

/// What the estimating equations need of one centre, fixed point.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EquationSums {
    /// `[columns]`.
    pub gradient: Vec<Word>,
    /// Lower triangle, row by row.
    pub information: Vec<Word>,
    /// The sum over clusters of the products of their gradients; lower triangle.
    pub meat: Vec<Word>,
    /// Clusters whose correlation is no correlation: `1 + (n - 1) a` is not above 0.
    pub improper: u64,
}

impl std::fmt::Debug for EquationSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EquationSums[{}]", self.gradient.len())
    }
}

impl Correlated<'_> {
    /// Patients of each cluster.
    fn groups(&self) -> Vec<Vec<usize>> {
        let count = self.clusters.iter().max().map_or(0, |most| most + 1);
        let mut groups = vec![Vec::new(); count];
        for (at, cluster) in self.clusters.iter().enumerate() {
            if let Some(group) = groups.get_mut(*cluster) {
                group.push(at);
            }
        }
        groups
    }

    /// `r` and `sqrt(w)` of a patient.
    fn patient(&self, at: usize) -> (f64, f64) {
        let get = |all: &[f64]| all.get(at).copied().unwrap_or(0.0);
        let root = get(self.weights).sqrt();
        (get(self.scores) / root, root)
    }

    /// `sum r^2`, and the sum of `r s` over the pairs of patients of a cluster, fixed point; the
    /// number of these pairs.
    ///
    /// # Errors
    /// [`EncodeError`] for a term that is not finite or out of range.
    pub fn moments(&self) -> Result<([Word; 2], u64), EncodeError> {
        let (mut sums, mut pairs) = ([0; 2], 0_u64);
        for group in self.groups() {
            let (mut total, mut squares) = (0.0, 0.0);
            for at in &group {
                let (r, _) = self.patient(*at);
                total += r;
                squares += r * r;
            }
            add_rounded(&mut sums, &[squares, (total * total - squares) / 2.0])?;
            let size = u64::try_from(group.len()).unwrap_or(u64::MAX);
            pairs = pairs.saturating_add(size.saturating_mul(size.saturating_sub(1)) / 2);
        }
        Ok((sums, pairs))
    }

    /// Gradient, information, and the products of the clusters' gradients, at a correlation `a`.
    ///
    /// # Errors
    /// As [`Correlated::moments`].
    pub fn equations(&self, a: f64) -> Result<EquationSums, EncodeError> {
        let triangular = self.columns * (self.columns + 1) / 2;
        let mut sums = Sums::new(self.columns + 2 * triangular);
        let mut products = vec![0.0; triangular];
        let mut improper = 0;
        for group in self.groups() {
            let mut gradient = vec![0.0; self.columns];
            let mut information = vec![0.0; triangular];
            let mut columns = vec![0.0; self.columns];
            let mut total = 0.0;
            for at in &group {
                let (r, root) = self.patient(*at);
                let row = self.x.chunks(self.columns.max(1)).nth(*at).unwrap_or_default();
                triangle(row, root * root, &mut products);
                information.iter_mut().zip(&products).for_each(|(sum, term)| *sum += term);
                for ((sum, column), x) in gradient.iter_mut().zip(&mut columns).zip(row) {
                    *sum += root * x * r;
                    *column += root * x;
                }
                total += r;
            }
            let eigenvalue = 1.0 + (group.len() as f64 - 1.0) * a;
            improper += u64::from(eigenvalue <= 0.0);
            let common = a / eigenvalue.max(EIGENVALUE_MIN);
            triangle(&columns, common, &mut products);
            let scale = 1.0 / (1.0 - a);
            for (sum, column) in gradient.iter_mut().zip(&columns) {
                *sum = scale * (*sum - common * column * total);
            }
            for (sum, term) in information.iter_mut().zip(&products) {
                *sum = scale * (*sum - term);
            }
            triangle(&gradient, 1.0, &mut products);
            sums.add(&[gradient.as_slice(), &information, &products].concat())?;
        }
        let mut gradient = sums.finish();
        let mut information = gradient.split_off(self.columns);
        let meat = information.split_off(triangular);
        Ok(EquationSums { gradient, information, meat, improper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_ring::decode;

    // Three patients, two of them together: against the inverse of their correlation, by hand.
    #[test]
    fn equations_are_those_of_the_inverse_correlation() {
        let own = Correlated {
            x: &[1.0, 0.5, 1.0, -1.0, 1.0, 2.0],
            scores: &[0.4, -0.2, 0.3],
            weights: &[1.0, 4.0, 1.0],
            clusters: &[0, 1, 0],
            columns: 2,
        };
        let (moments, pairs) = own.moments().unwrap();
        assert!((decode(moments[0]) - (0.16 + 0.01 + 0.09)).abs() < 1e-9);
        assert!((decode(moments[1]) - 0.12).abs() < 1e-9);
        assert_eq!(pairs, 1);
        let a = 0.25;
        let inverse = |i: usize, j: usize| (if i == j { 1.0 } else { -a }) / (1.0 - a * a);
        // of the pair, both by both
        let form = |left: [f64; 2], right: [f64; 2]| {
            let one = |(i, l): (usize, &f64)| -> f64 {
                right.iter().enumerate().map(|(j, r)| l * inverse(i, j) * r).sum()
            };
            left.iter().enumerate().map(one).sum::<f64>()
        };
        let (ones, slopes, r) = ([1.0, 1.0], [0.5, 2.0], [0.4, 0.3]);
        let sums = own.equations(a).unwrap();
        assert!((decode(sums.gradient[0]) - (form(ones, r) - 0.2)).abs() < 1e-9);
        assert!((decode(sums.gradient[1]) - (form(slopes, r) + 0.2)).abs() < 1e-9);
        assert!((decode(sums.information[2]) - (form(slopes, slopes) + 4.0)).abs() < 1e-9);
        assert_eq!(own.equations(-1.5).unwrap().improper, 1);
        assert_eq!(sums.improper, 0);
    }
}
