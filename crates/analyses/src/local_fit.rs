//! A generalised linear or Cox model of one centre's patients alone, fitted at home in double
//! precision.

use crate::design::{Model, Rows};
use konsil_kernels::{Family, predictor, scores};

/// Newton steps after which a model that still moves has no maximum.
const STEPS_MAX: usize = 40;
/// A step of this part of the coefficients is the last.
const SETTLED: f64 = 1e-11;
/// A linear predictor of this size means a probability of 0 or 1 to 13 digits.
const DIVERGED: f64 = 30.0;
/// A pivot below this part of its column's sum of squares belongs to a combination of others.
const DEPENDENT: f64 = 1e-10;

/// What a fit at home ends with: raw coefficients and their variances.
pub(crate) struct LocalFit {
    pub(crate) estimates: Vec<f64>,
    pub(crate) variances: Vec<f64>,
}

/// Gradient and information, the full matrix.
struct Sums {
    gradient: Vec<f64>,
    information: Vec<f64>,
}

impl LocalFit {
    /// Fits the rows of a centre; nothing where columns are combinations of others, a coefficient
    /// runs to infinity, or there are no more patients than columns.
    pub(crate) fn new(model: &Model, family: Family, rows: &Rows) -> Option<Self> {
        let order = model.order();
        let (beta, information) = at_maximum(family, rows, order)?;
        let bounded = matches!(family, Family::Gaussian(_));
        let covariance = inverse(&information, order)?;
        let dispersion = if bounded { dispersion(family, rows, &beta) } else { 1.0 };
        let raw = model.raw(&beta);
        let mut variances: Vec<f64> = model
            .columns
            .iter()
            .enumerate()
            .map(|(at, (_, scale))| dispersion * covariance[at * (order + 1)] / (scale * scale))
            .collect();
        if model.design.has_intercept {
            let factors = model.intercept_factors();
            let form = (0..order * order)
                .map(|at| factors[at / order] * covariance[at] * factors[at % order]);
            variances[0] = dispersion * form.sum::<f64>();
        }
        let sound = raw.iter().chain(&variances).all(|it| it.is_finite());
        (sound && variances.iter().all(|it| *it > 0.0))
            .then_some(Self { estimates: raw, variances })
    }
}

/// Coefficients of the scaled columns and their information, the full matrix; nothing as above.
pub(crate) fn at_maximum(
    family: Family,
    rows: &Rows,
    order: usize,
) -> Option<(Vec<f64>, Vec<f64>)> {
    if rows.y.len() <= order {
        return None;
    }
    let mut beta = solve(&start(family, rows, order))?;
    for step in 0.. {
        let sums = sums_at(family, rows, &beta);
        let change = solve(&sums)?;
        beta.iter_mut().zip(&change).for_each(|(beta, change)| *beta += change);
        let largest = |all: &[f64]| all.iter().fold(0.0, |most: f64, it| most.max(it.abs()));
        if !largest(&beta).is_finite() || step > STEPS_MAX {
            return None;
        }
        if largest(&change) <= SETTLED * (1.0 + largest(&beta)) {
            break;
        }
    }
    let bounded = matches!(family, Family::Gaussian(_));
    if !bounded && beta.iter().any(|it| it.abs() > DIVERGED) {
        return None;
    }
    let information = sums_at(family, rows, &beta).information;
    Some((beta, information))
}

impl LocalFit {
    /// Fits Cox regression with ties by Efron to the rows of a centre and their times; `y` is 1 for an
    /// event. Nothing as above.
    pub(crate) fn cox(model: &Model, rows: &Rows, times: &[f64]) -> Option<Self> {
        let order = model.order();
        let mut latest: Vec<usize> = (0..rows.y.len()).collect();
        latest.sort_by(|left, right| times[*right].total_cmp(&times[*left]));
        let mut beta = vec![0.0; order];
        for step in 0.. {
            let sums = partial_sums(rows, (times, &latest), &beta);
            let change = solve(&sums)?;
            beta.iter_mut().zip(&change).for_each(|(beta, change)| *beta += change);
            let largest = |all: &[f64]| all.iter().fold(0.0, |most: f64, it| most.max(it.abs()));
            let reached: f64 = beta.iter().map(|it| it.abs()).sum();
            if reached.is_nan() || largest(&beta) > DIVERGED || step > STEPS_MAX {
                return None;
            }
            if largest(&change) <= SETTLED * (1.0 + largest(&beta)) {
                break;
            }
        }
        let information = partial_sums(rows, (times, &latest), &beta).information;
        let covariance = inverse(&information, order)?;
        let scales = model.columns.iter().enumerate();
        let variances: Vec<f64> =
            scales.map(|(at, (_, scale))| covariance[at * (order + 1)] / (scale * scale)).collect();
        let sound = variances.iter().all(|it| it.is_finite() && *it > 0.0);
        sound.then(|| Self { estimates: model.raw(&beta), variances })
    }
}

/// Gradient and information of the partial likelihood, ties by Efron (1977, J. Am. Stat. Assoc.
/// 72:557). `latest` are the patients by falling times.
fn partial_sums(rows: &Rows, (times, latest): (&[f64], &[usize]), beta: &[f64]) -> Sums {
    let order = beta.len();
    let row = |at: usize| rows.x.get(at * order..(at + 1) * order).unwrap_or_default();
    let mut sums = Sums::new(order);
    let mut at_risk = RiskSet::new(order);
    for tied in latest.chunk_by(|left, right| times[*left] == times[*right]) {
        let mut events = RiskSet::new(order);
        let mut count = 0_u32;
        for patient in tied {
            let x = row(*patient);
            let risk = predictor(x, beta, 0.0).exp();
            at_risk.add(x, risk);
            if rows.y[*patient] > 0.0 {
                events.add(x, risk);
                count += 1;
                sums.gradient.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            }
        }
        for before in 0..count {
            let part = f64::from(before) / f64::from(count);
            let less = |all: f64, events: f64| all - part * events;
            let total = less(at_risk.total, events.total);
            let firsts = at_risk.firsts.iter().zip(&events.firsts);
            let mean: Vec<f64> = firsts.map(|(all, own)| less(*all, *own) / total).collect();
            sums.gradient.iter_mut().zip(&mean).for_each(|(sum, mean)| *sum -= mean);
            let seconds = at_risk.seconds.iter().zip(&events.seconds).enumerate();
            for ((cell, (all, own)), sum) in seconds.zip(&mut sums.information) {
                *sum += less(*all, *own) / total - mean[cell / order] * mean[cell % order];
            }
        }
    }
    sums
}

/// Weighted sums over patients of 1, of the columns, and of their products.
struct RiskSet {
    total: f64,
    firsts: Vec<f64>,
    seconds: Vec<f64>,
}

impl RiskSet {
    fn new(order: usize) -> Self {
        Self { total: 0.0, firsts: vec![0.0; order], seconds: vec![0.0; order * order] }
    }

    fn add(&mut self, x: &[f64], risk: f64) {
        self.total += risk;
        self.firsts.iter_mut().zip(x).for_each(|(sum, x)| *sum += risk * x);
        for (left, sums) in x.iter().zip(self.seconds.chunks_mut(x.len().max(1))) {
            sums.iter_mut().zip(x).for_each(|(sum, right)| *sum += risk * left * right);
        }
    }
}

/// Residual sum of squares by degrees of freedom.
fn dispersion(family: Family, rows: &Rows, beta: &[f64]) -> f64 {
    let (scores, weights) = scores(family, rows.observed(), beta);
    let squares: f64 = scores.iter().zip(&weights).map(|(score, it)| score * score / it).sum();
    squares / (rows.y.len() - beta.len()) as f64
}

/// The first weighted least-squares step, from means near the responses as R's `glm` has them.
fn start(family: Family, rows: &Rows, order: usize) -> Sums {
    let mut sums = Sums::new(order);
    for (row, y, offset, prior) in rows.observed().patients(order) {
        let (weight, working) = match family {
            Family::Binomial => {
                let mean = f64::midpoint(y, 0.5);
                let weight = mean * (1.0 - mean);
                (weight, (mean / (1.0 - mean)).ln() + (y - mean) / weight)
            }
            Family::Poisson => (y + 0.1, (y + 0.1).ln() - 0.1 / (y + 0.1)),
            _ => (1.0, y),
        };
        sums.add(row, prior * weight, prior * weight * (working - offset));
    }
    sums
}

fn sums_at(family: Family, rows: &Rows, beta: &[f64]) -> Sums {
    let (scores, weights) = scores(family, rows.observed(), beta);
    let mut sums = Sums::new(beta.len());
    let patients = rows.x.chunks(beta.len().max(1)).zip(scores.into_iter().zip(weights));
    patients.for_each(|(row, (score, weight))| sums.add(row, weight, score));
    sums
}

impl Sums {
    fn new(order: usize) -> Self {
        Self { gradient: vec![0.0; order], information: vec![0.0; order * order] }
    }

    fn add(&mut self, row: &[f64], weight: f64, score: f64) {
        let order = self.gradient.len();
        self.gradient.iter_mut().zip(row).for_each(|(sum, x)| *sum += score * x);
        for (left, sums) in row.iter().zip(self.information.chunks_mut(order.max(1))) {
            sums.iter_mut().zip(row).for_each(|(sum, right)| *sum += weight * left * right);
        }
    }
}

/// The lower triangle `L` with `L L'` a symmetric matrix; nothing where it is singular.
pub(crate) fn cholesky(matrix: &[f64], order: usize) -> Option<Vec<f64>> {
    let mut lower = vec![0.0; order * order];
    for i in 0..order {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i * order + k] * lower[j * order + k]).sum();
            let rest = matrix[i * order + j] - known;
            if i > j {
                lower[i * order + j] = rest / lower[j * order + j];
            } else if rest > DEPENDENT * matrix[i * order + i] && rest.is_finite() {
                lower[i * order + i] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(lower)
}

/// Solves `L L' x = right`.
pub(crate) fn solve_with(lower: &[f64], right: &[f64]) -> Vec<f64> {
    let order = right.len();
    let mut x = right.to_vec();
    for i in 0..order {
        let known: f64 = (0..i).map(|k| lower[i * order + k] * x[k]).sum();
        x[i] = (x[i] - known) / lower[i * order + i];
    }
    for i in (0..order).rev() {
        let known: f64 = (i + 1..order).map(|k| lower[k * order + i] * x[k]).sum();
        x[i] = (x[i] - known) / lower[i * order + i];
    }
    x
}

fn solve(sums: &Sums) -> Option<Vec<f64>> {
    let lower = cholesky(&sums.information, sums.gradient.len())?;
    Some(solve_with(&lower, &sums.gradient))
}

fn inverse(matrix: &[f64], order: usize) -> Option<Vec<f64>> {
    let lower = cholesky(matrix, order)?;
    let unit = |at: usize| (0..order).map(|it| f64::from(u8::from(it == at))).collect::<Vec<_>>();
    Some((0..order).flat_map(|at| solve_with(&lower, &unit(at))).collect())
}
