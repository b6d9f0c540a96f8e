//! Sums of models with a random intercept for each cluster: what a centre computes of its own clusters
//! at public parameters.
//!
//! A cluster of `n` patients has the column sums `s`, residuals `r` with the sum `t`, and the ratio `l`
//! of the intercepts' variance to the residuals'. Derivatives are those by `ln l`, divided by the unit,
//! which is `l` but at most 1, so that they keep their digits where `l` is small. At `l = 0`, the edge,
//! they are those by `l`.

use crate::regression::{Observed, predictor, triangle};
use crate::{Sums, add_rounded};
use konsil_ring::{EncodeError, Word};

/// Distance of the differences that second derivatives come from.
const STEP: f64 = 1e-5;
/// Newton steps for a cluster's intercept, at most.
const STEPS_MAX: usize = 60;
/// Largest such step.
const STRIDE: f64 = 4.0;

/// What derivatives by the logarithm of a ratio are divided by.
#[must_use]
pub fn unit(ratio: f64) -> f64 {
    ratio.min(1.0)
}

/// One centre's patients and their clusters.
#[derive(Clone, Copy)]
pub struct Intercepts<'a> {
    /// Columns, responses and offsets.
    pub observed: Observed<'a>,
    /// The number of each patient's cluster, `[n]`.
    pub clusters: &'a [usize],
    /// Columns.
    pub columns: usize,
}

impl std::fmt::Debug for Intercepts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Intercepts[{}]", self.clusters.len())
    }
}

/// Sums of the normal model, each with its first and second derivative.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LinearSums {
    /// `X'MX` with `M = I - l / (1 + n l) J`; lower triangles.
    pub matrices: [Vec<Word>; 3],
    /// `X'Mr`.
    pub vectors: [Vec<Word>; 3],
    /// `r'Mr`, its derivatives, then `ln(1 + n l)` and its derivatives.
    pub numbers: [Word; 6],
    /// The part of the information of `ln l` that is never below 0: `(n l / (1 + n l))^2`, divided by
    /// the unit.
    pub floor: Word,
}

/// Sums of the logistic model, by Laplace's approximation.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LaplaceSums {
    /// By the coefficients, then by `ln l`, divided by the root of the unit.
    pub gradient: Vec<Word>,
    /// Minus the second derivatives; lower triangle. The last row is divided by the root of the unit,
    /// its last element by the unit.
    pub information: Vec<Word>,
    /// The log likelihood.
    pub likelihood: Word,
    /// `(l w / (1 + l w))^2 / 2` with the sum `w` of the cluster's weights, divided by the unit.
    pub floor: Word,
}

impl std::fmt::Debug for LinearSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinearSums[{}]", self.vectors[0].len())
    }
}

impl std::fmt::Debug for LaplaceSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LaplaceSums[{}]", self.gradient.len())
    }
}

/// A cluster's intercept at its most likely, and what derivatives need of it.
struct Mode {
    intercept: f64,
    /// `y - mu`, `w`, `w (1 - 2 mu)` of each patient.
    patients: Vec<[f64; 3]>,
    /// Sum of the patients' log likelihoods.
    likelihood: f64,
}

/// Gradient and value of a cluster's approximate log likelihood.
struct Slopes {
    gradient: Vec<f64>,
    likelihood: f64,
    floor: f64,
}

impl Intercepts<'_> {
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

    fn row(&self, at: usize) -> &[f64] {
        self.observed.x.get(at * self.columns..(at + 1) * self.columns).unwrap_or_default()
    }

    fn response(&self, at: usize) -> f64 {
        self.observed.y.get(at).copied().unwrap_or(0.0)
    }

    fn offset(&self, at: usize) -> f64 {
        self.observed.offset.get(at).copied().unwrap_or(0.0)
    }

    /// Sums of the normal model at coefficients `beta` and the ratio of variances.
    ///
    /// # Errors
    /// [`EncodeError`] for a term that is not finite or out of range.
    pub fn linear(&self, beta: &[f64], ratio: f64) -> Result<LinearSums, EncodeError> {
        let pairs = self.columns * (self.columns + 1) / 2;
        let mut sums = Sums::new(3 * pairs + 3 * self.columns);
        let mut last = [0; 7];
        // the ratio divided by the unit
        let scale = ratio.max(1.0);
        let mut products = vec![0.0; pairs];
        for group in self.groups() {
            let (mut gram, mut with) = (vec![0.0; pairs], vec![0.0; self.columns]);
            let (mut columns, mut total, mut squares) = (vec![0.0; self.columns], 0.0, 0.0);
            for at in &group {
                let row = self.row(*at);
                let fitted: f64 = row.iter().zip(beta).map(|(x, b)| x * b).sum();
                let residual = self.response(*at) - self.offset(*at) - fitted;
                triangle(row, 1.0, &mut products);
                gram.iter_mut().zip(&products).for_each(|(sum, term)| *sum += term);
                for ((sum, column), x) in with.iter_mut().zip(&mut columns).zip(row) {
                    *sum += x * residual;
                    *column += x;
                }
                total += residual;
                squares += residual * residual;
            }
            let size = group.len() as f64;
            let part = 1.0 / (1.0 + size * ratio);
            let common = ratio * part;
            let first = scale * part * part;
            let second = first * part * (1.0 - size * ratio);
            triangle(&columns, 1.0, &mut products);
            let mut terms = Vec::with_capacity(3 * pairs + 3 * self.columns);
            terms.extend(gram.iter().zip(&products).map(|(sum, term)| sum - common * term));
            terms.extend(products.iter().map(|term| -first * term));
            terms.extend(products.iter().map(|term| -second * term));
            terms.extend(with.iter().zip(&columns).map(|(sum, s)| sum - common * s * total));
            terms.extend(columns.iter().map(|s| -first * s * total));
            terms.extend(columns.iter().map(|s| -second * s * total));
            sums.add(&terms)?;
            let square = total * total;
            let slope = size * scale * part;
            let (curvature, floor) = (slope * part, slope * size * ratio * part);
            let quadratic = [squares - common * square, -first * square, -second * square];
            let logarithm = [(size * ratio).ln_1p(), slope, curvature];
            add_rounded(&mut last, &[&quadratic[..], &logarithm, &[floor]].concat())?;
        }
        let mut rest = sums.finish();
        let mut next = |count: usize| rest.drain(..count).collect::<Vec<Word>>();
        let matrices = [next(pairs), next(pairs), next(pairs)];
        let vectors = [next(self.columns), next(self.columns), next(self.columns)];
        let [a, b, c, d, e, f, floor] = last;
        Ok(LinearSums { matrices, vectors, numbers: [a, b, c, d, e, f], floor })
    }

    /// Sums of the logistic model at coefficients `beta` and a variance above 0 of the intercepts.
    ///
    /// # Errors
    /// As [`Intercepts::linear`].
    pub fn laplace(&self, beta: &[f64], variance: f64) -> Result<LaplaceSums, EncodeError> {
        let order = self.columns + 1;
        let pairs = order * (order + 1) / 2;
        let mut sums = Sums::new(order + pairs + 2);
        for group in self.groups() {
            let (at, log) = (beta, variance.ln());
            let here = self.slopes(&group, at, variance);
            let mut information = vec![0.0; order * order];
            for (place, line) in information.chunks_mut(order).enumerate() {
                let moved = |by: f64| match place < self.columns {
                    true => {
                        let mut beta = beta.to_vec();
                        beta[place] += by;
                        self.slopes(&group, &beta, variance)
                    }
                    false => self.slopes(&group, beta, (log + by).exp()),
                };
                let (up, down) = (moved(STEP), moved(-STEP));
                let differences = up.gradient.iter().zip(&down.gradient);
                let minus = differences.map(|(up, down)| (down - up) / (2.0 * STEP));
                line.iter_mut().zip(minus).for_each(|(cell, term)| *cell = term);
            }
            let root = unit(variance).sqrt();
            let divisor = |place: usize| if place < self.columns { 1.0 } else { root };
            let mut terms = here.gradient;
            if let Some(last) = terms.last_mut() {
                *last /= root;
            }
            for row in 0..order {
                for column in 0..=row {
                    let both = [(row, column), (column, row)];
                    let both = both.map(|(i, j)| information.get(i * order + j).copied());
                    let mean = both.into_iter().flatten().sum::<f64>() / 2.0;
                    terms.push(mean / (divisor(row) * divisor(column)));
                }
            }
            terms.extend([here.likelihood, here.floor / (root * root)]);
            sums.add(&terms)?;
        }
        let mut gradient = sums.finish();
        let mut information = gradient.split_off(order);
        let floor = information.pop().unwrap_or_default();
        let likelihood = information.pop().unwrap_or_default();
        Ok(LaplaceSums { gradient, information, likelihood, floor })
    }

    /// The derivative of the log likelihood of the logistic model by the variance where it is 0.
    ///
    /// # Errors
    /// As [`Intercepts::linear`].
    pub fn edge(&self, beta: &[f64]) -> Result<Word, EncodeError> {
        let mut sum = [0];
        for group in self.groups() {
            let (mut total, mut weight) = (0.0, 0.0);
            for at in &group {
                let mean = mean(predictor(self.row(*at), beta, self.offset(*at)));
                total += self.response(*at) - mean;
                weight += mean * (1.0 - mean);
            }
            add_rounded(&mut sum, &[(total * total - weight) / 2.0])?;
        }
        Ok(sum[0])
    }

    /// The most likely intercept of a cluster.
    fn mode(&self, group: &[usize], beta: &[f64], variance: f64) -> Mode {
        let patients: Vec<(f64, f64)> = group
            .iter()
            .map(|at| (self.response(*at), predictor(self.row(*at), beta, self.offset(*at))))
            .collect();
        let mut intercept = 0.0;
        for _ in 0..STEPS_MAX {
            let (mut slope, mut weight) = (-intercept / variance, 1.0 / variance);
            for (y, fixed) in &patients {
                let mean = mean(fixed + intercept);
                slope += y - mean;
                weight += mean * (1.0 - mean);
            }
            let step = (slope / weight).clamp(-STRIDE, STRIDE);
            intercept += step;
            if step.abs() <= 1e-15 * (1.0 + intercept.abs()) {
                break;
            }
        }
        let terms = |(y, fixed): &(f64, f64)| {
            let mean = mean(fixed + intercept);
            let weight = mean * (1.0 - mean);
            [y - mean, weight, weight * (1.0 - 2.0 * mean)]
        };
        let likelihood = |(y, fixed): &(f64, f64)| {
            let eta = fixed + intercept;
            y * eta - eta.max(0.0) - (-eta.abs()).exp().ln_1p()
        };
        let total = patients.iter().map(likelihood).sum();
        Mode { intercept, patients: patients.iter().map(terms).collect(), likelihood: total }
    }

    /// Gradient of a cluster by the coefficients and the logarithm of the variance.
    fn slopes(&self, group: &[usize], beta: &[f64], variance: f64) -> Slopes {
        let mode = self.mode(group, beta, variance);
        let (mut weight, mut skew) = (0.0, 0.0);
        let mut direct = vec![0.0; self.columns];
        let (mut weighted, mut skewed) = (direct.clone(), direct.clone());
        for (at, [rest, w, third]) in group.iter().zip(&mode.patients) {
            weight += w;
            skew += third;
            let columns = direct.iter_mut().zip(&mut weighted).zip(&mut skewed).zip(self.row(*at));
            for (((direct, weighted), skewed), x) in columns {
                *direct += rest * x;
                *weighted += w * x;
                *skewed += third * x;
            }
        }
        let spread = 1.0 + variance * weight;
        let half = 0.5 * variance / spread;
        let each = direct.iter().zip(&weighted).zip(&skewed);
        let mut gradient: Vec<f64> = each
            .map(|((direct, weighted), skewed)| {
                // the intercept moves with the coefficient
                let moves = -variance * weighted / spread;
                direct - half * (skewed + skew * moves)
            })
            .collect();
        let b = mode.intercept;
        let quadratic = b * b / (2.0 * variance);
        gradient.push(quadratic - half * (weight + skew * b / spread));
        let part = variance * weight / spread;
        let likelihood = mode.likelihood - quadratic - 0.5 * (variance * weight).ln_1p();
        Slopes { gradient, likelihood, floor: part * part / 2.0 }
    }
}

fn mean(predictor: f64) -> f64 {
    1.0 / (1.0 + (-predictor).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_ring::decode;

    const X: [f64; 12] = [1.0, 0.5, 1.0, -0.2, 1.0, 0.9, 1.0, -0.7, 1.0, 0.1, 1.0, 0.4];
    const CLUSTERS: [usize; 6] = [0, 1, 0, 0, 1, 2];

    fn intercepts(y: &'static [f64]) -> Intercepts<'static> {
        let observed =
            Observed { x: &X, y, offset: &[0.1, 0.0, -0.2, 0.0, 0.3, 0.0], weights: &[] };
        Intercepts { observed, clusters: &CLUSTERS, columns: 2 }
    }

    // First and second derivatives are those of the sums before them.
    #[test]
    fn linear_sums_are_derivatives() {
        let own = intercepts(&[0.3, -0.2, 0.8, 0.5, 0.0, 1.1]);
        let at = |log: f64| own.linear(&[0.2, 0.4], log.exp()).unwrap();
        let check = |sums: &dyn Fn(&LinearSums, usize) -> f64| {
            for log in [-0.7_f64, 0.9] {
                let h = 1e-3;
                let value = |log: f64, order: usize| {
                    let unit = if order == 0 { 1.0 } else { unit(log.exp()) };
                    sums(&at(log), order) * unit
                };
                for order in 0..2 {
                    let slope = (value(log + h, order) - value(log - h, order)) / (2.0 * h);
                    assert!((slope - value(log, order + 1)).abs() < 1e-5, "{order}");
                }
            }
        };
        for place in 0..3 {
            check(&|it, order| decode(it.matrices[order][place]));
        }
        check(&|it, order| decode(it.vectors[order][1]));
        check(&|it, order| decode(it.numbers[order]));
        check(&|it, order| decode(it.numbers[3 + order]));
        // at the edge, by the ratio itself
        let (edge, near) = (own.linear(&[0.2, 0.4], 0.0).unwrap(), own.linear(&[0.2, 0.4], 1e-5));
        let near = near.unwrap();
        for at in [0, 3] {
            let slope = (decode(near.numbers[at]) - decode(edge.numbers[at])) / 1e-5;
            assert!((slope - decode(edge.numbers[at + 1])).abs() < 1e-3);
        }
    }

    #[test]
    fn laplace_sums_are_derivatives() {
        let own = intercepts(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        let theta = [0.2, 0.4, -0.3];
        let at = |by: &[(usize, f64)]| {
            let mut theta = theta;
            by.iter().for_each(|(place, by)| theta[*place] += by);
            own.laplace(&theta[..2], theta[2].exp()).unwrap()
        };
        let (here, h) = (at(&[]), 1e-3);
        let root = |place: usize, log: f64| if place < 2 { 1.0 } else { unit(log.exp()).sqrt() };
        let own_root = |place: usize| root(place, theta[2]);
        for i in 0..3 {
            let (up, down) = (at(&[(i, h)]), at(&[(i, -h)]));
            let slope = (decode(up.likelihood) - decode(down.likelihood)) / (2.0 * h);
            assert!((slope - decode(here.gradient[i]) * own_root(i)).abs() < 1e-6, "{i}");
            for j in 0..=i {
                let moved = if i == 2 { h } else { 0.0 };
                let up = decode(up.gradient[j]) * root(j, theta[2] + moved);
                let down = decode(down.gradient[j]) * root(j, theta[2] - moved);
                let slope = (up - down) / (2.0 * h);
                let got = decode(here.information[i * (i + 1) / 2 + j]);
                assert!((slope + got * own_root(i) * own_root(j)).abs() < 1e-5, "{i} {j}");
            }
        }
        let near = decode(own.laplace(&[0.2, 0.4], 1e-6).unwrap().gradient[2]) / 1e-3;
        assert!((near - decode(own.edge(&[0.2, 0.4]).unwrap())).abs() < 1e-3);
    }
}
