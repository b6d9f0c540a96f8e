//! Steps of models with random intercepts, on shares.
//!
//! With the information `A` of the coefficients, their gradient `b` and the criterion `D` (minus twice
//! the log likelihood), a step of the coefficients is `d = A^-1 b`. The variance is stepped by the slope
//! and the curvature of `D` by the logarithm of the variance `v`, where the coefficients are at their
//! best for each `v`. Linear, with `q = r'Mr - b'd` and `m` degrees of freedom:
//!
//! `D = sum ln(1 + n l) + ln |A| + m ln q`, `q' = c' - 2 b''d + d'A'd`,
//! `q'' = c'' - 2 b'''d + d'A''d - 2 w'A^-1 w` with `w = b' - A'd`,
//! `(ln |A|)' = tr A^-1 A'`, `(ln |A|)'' = tr A^-1 A'' - tr A^-1 A' A^-1 A'`,
//!
//! the last two for the restricted likelihood only. Derivatives come divided by a public unit, so that
//! products of two first ones are multiplied with it.

use crate::analysis::AnalysisError;
use crate::fit::{reals, symmetric, variances};
use crate::levelled::variances_of;
use crate::mixed::{EDGE, Mixed, STEP};
use konsil_kernels::{Family, Intercepts, LinearSums, fit_sums, start_sums, unit};
use konsil_mpc::linear::{Inverse, cholesky, inverse, product};
use konsil_mpc::{Session, Shared, fixed, normalise, transcendental};
use konsil_ring::{ONE, Word, decode, encode};

/// Steps of a logistic model without random intercepts, before those with them.
const STEPS_PLAIN: u32 = 6;
/// Bounds of the logarithm of the variance.
const BOUNDS: (f64, f64) = (-20.0, 9.0);
/// The logarithm of the variance that steps start from.
const START: f64 = -1.5;
/// Largest change of the logarithm of the variance in one step.
const STRIDE: f64 = 3.0;
/// A linear predictor of this size means a probability of 0 or 1 to 13 digits.
const DIVERGED: f64 = 30.0;
/// A curvature is taken to be at least this part of the information that is never below 0.
const CURVATURE_MIN: f64 = 0.05;
/// What a curvature is at least, so that nothing is divided by 0.
const LITTLE: Word = 1 << 8;

/// What a fit ends with, on shares.
pub(crate) struct Ends {
    /// Coefficients, variance of the intercepts, size of the last step.
    pub(crate) coefficients: Shared,
    pub(crate) variances: Shared,
    /// Log likelihood of a logistic model; `q` and the logarithms of the determinants of a linear one.
    pub(crate) likelihood: Shared,
}

/// Coefficients and the logarithm of the variance, known to the centres, with the bounds between which
/// it lies.
struct At {
    beta: Vec<f64>,
    log: f64,
    bounds: (f64, f64),
    /// Whether the variance is 0.
    edge: bool,
    last: f64,
    before: f64,
}

/// What a step needs, on shares.
struct Step {
    inverse: Inverse,
    /// Change of the coefficients.
    beta: Shared,
    /// Change of the logarithm of the variance.
    log: Shared,
    /// Of a linear model: the quadratic form at the best coefficients, and the slope of the criterion.
    quadratic: Shared,
    slope: Shared,
}

/// Runs all steps.
pub(crate) fn fit(
    session: &mut dyn Session,
    mixed: &Mixed,
    own: Intercepts<'_>,
    patients: &Shared,
) -> Result<Ends, AnalysisError> {
    let mut at = At::new(own.columns);
    // the degrees of freedom, whether all patients count or not
    let lost = if mixed.restricted { own.columns } else { 0 };
    let lost = encode(lost as f64)?.wrapping_neg();
    let freedom = fixed::add_public(session, &patients.integer_to_fixed(), lost);
    if mixed.logistic {
        for step in 0..STEPS_PLAIN {
            plain_step(session, own, (step, &mut at))?;
        }
        let edge = session.input(&[own.edge(&at.beta)?])?;
        at.open_edge(session, &edge.negated())?;
    } else {
        // residuals are taken from these coefficients in all steps, so that no others are opened
        let first = linear_step(session, (mixed, own), (&at, 0.0), &freedom)?;
        let opened = session.open(STEP, &first.beta)?;
        at.take(&reals(&opened), 0.0);
        at.open_edge(session, &first.slope)?;
    }
    for _ in 0..mixed.iterations {
        if mixed.logistic {
            let step = laplace_step(session, own, &at)?;
            let opened = session.open(STEP, &Shared::concat([&step.beta, &step.log]))?;
            let (log, beta) = opened.split_last().unwrap_or((&0, &[]));
            at.take(&reals(beta), decode(*log) / unit(at.variance()).max(f64::MIN_POSITIVE).sqrt());
            at.check_bounds()?;
        } else {
            let step = linear_step(session, (mixed, own), (&at, at.variance()), &freedom)?;
            let log = reals(&session.open(STEP, &step.log)?);
            at.take(&[], log.first().copied().unwrap_or(0.0));
        }
    }
    at.check_settled()?;
    if mixed.logistic {
        laplace_ends(session, mixed, own, &at)
    } else {
        linear_ends(session, mixed, (own, &at), &freedom)
    }
}

impl At {
    fn new(columns: usize) -> Self {
        let (beta, bounds) = (vec![0.0; columns], BOUNDS);
        Self { beta, log: START, bounds, edge: false, last: 0.0, before: 0.0 }
    }

    fn variance(&self) -> f64 {
        if self.edge { 0.0 } else { self.log.exp() }
    }

    /// Opens whether the criterion rises where the variance is 0: then there is no variance.
    fn open_edge(
        &mut self,
        session: &mut dyn Session,
        slope: &Shared,
    ) -> Result<(), AnalysisError> {
        let falls = session.negative(slope)?;
        let rises = session.not(&falls);
        let rises = session.to_integers(&rises)?;
        self.edge = session.open(EDGE, &rises)?.first() == Some(&1);
        Ok(())
    }

    /// Takes the opened changes of the coefficients and of the logarithm of the variance; the sign of the
    /// latter narrows the bounds.
    fn take(&mut self, beta: &[f64], log: f64) {
        self.beta.iter_mut().zip(beta).for_each(|(beta, change)| *beta += change);
        let log = if self.edge { 0.0 } else { log };
        self.before = self.last;
        self.last = beta.iter().fold(log.abs(), |most, change| change.abs().max(most));
        if log > 0.0 {
            self.bounds.0 = self.log;
        } else if log < 0.0 {
            self.bounds.1 = self.log;
        }
        let next = self.log + log.clamp(-STRIDE, STRIDE);
        let (low, high) = self.bounds;
        self.log = if next >= low && next <= high { next } else { f64::midpoint(low, high) };
    }

    /// A logistic model whose coefficients run to infinity.
    fn check_bounds(&self) -> Result<(), AnalysisError> {
        let beyond = self.beta.iter().any(|beta| beta.abs() > DIVERGED);
        if beyond { Err(AnalysisError::Separation) } else { Ok(()) }
    }

    /// Near a maximum a step is the square of the one before; on the way to infinity they are alike.
    fn check_settled(&self) -> Result<(), AnalysisError> {
        if self.last > 0.1 && self.last > self.before / 2.0 {
            let what = "the variance of the clusters did not settle; merge clusters, or leave a column \
                        out that differs between clusters only";
            return Err(AnalysisError::Unsettled { what });
        }
        Ok(())
    }
}

/// A step of the coefficients alone, of logistic regression.
fn plain_step(
    session: &mut dyn Session,
    own: Intercepts<'_>,
    (step, at): (u32, &mut At),
) -> Result<(), AnalysisError> {
    let family = Family::Binomial;
    let sums = match step {
        0 => start_sums(family, own.observed, own.columns)?,
        _ => fit_sums(family, own.observed, &at.beta)?,
    };
    let gradient = session.input(&sums.gradient)?;
    let information = session.input(&sums.information)?;
    let inverse = inverse(session, &symmetric(&information, own.columns), own.columns)?;
    let change = inverse.times(session, &gradient)?;
    let opened = session.open(STEP, &change)?;
    at.take(&reals(&opened), 0.0);
    at.check_bounds()
}

/// `-slope / curvature`, where the curvature is at least a part of `floor`.
fn bounded(
    session: &mut dyn Session,
    (slope, curvature): (&Shared, &Shared),
    floor: &Shared,
) -> Result<Shared, AnalysisError> {
    let least = fixed::scale(session, floor, CURVATURE_MIN)?;
    let least = fixed::add_public(session, &least, LITTLE);
    let curvature = fixed::maximum(session, curvature, &least)?;
    Ok(normalise::divide(session, &slope.negated(), &curvature)?)
}

/// Sums over all centres as shares, in pieces of these lengths.
fn pooled<const N: usize>(
    session: &mut dyn Session,
    pieces: [&[Word]; N],
) -> Result<[Shared; N], AnalysisError> {
    let all = session.input(&pieces.concat())?;
    let mut start = 0;
    Ok(pieces.map(|piece| {
        start += piece.len();
        all.slice(start - piece.len(), start)
    }))
}

/// A step of a linear model at a ratio of variances; where it is 0, the slope is by the ratio.
fn linear_step(
    session: &mut dyn Session,
    (mixed, own): (&Mixed, Intercepts<'_>),
    (at, ratio): (&At, f64),
    freedom: &Shared,
) -> Result<Step, AnalysisError> {
    let p = own.columns;
    let LinearSums { matrices, vectors, numbers, floor } = own.linear(&at.beta, ratio)?;
    let [a, a_first, a_second] = &matrices;
    let [b, b_first, b_second] = &vectors;
    let pieces = [&a[..], a_first, a_second, b, b_first, b_second, &numbers, &[floor]];
    let [a, a_first, a_second, b, b_first, b_second, numbers, floor] = pooled(session, pieces)?;
    let inverse = inverse(session, &symmetric(&a, p), p)?;
    // everything in the scales of the inverse
    let by_row = inverse.scales.pick((0..p * p).map(|at| at / p)).repeat(2);
    let both = Shared::concat([&symmetric(&a_first, p), &symmetric(&a_second, p)]);
    let both = fixed::multiply(session, &both, &by_row)?;
    let both = fixed::multiply(session, &both, &inverse.scales.repeat(2 * p))?;
    let vectors = Shared::concat([&b, &b_first, &b_second]);
    let vectors = fixed::multiply(session, &vectors, &inverse.scales.repeat(3))?;
    let [b, b_first, b_second] = [0, 1, 2].map(|k| vectors.slice(k * p, (k + 1) * p));
    let step = product(session, &inverse.scaled, &b, (p, p, 1))?;
    let images = product(session, &both, &step, (2 * p, p, 1))?;
    let rest = b_first.minus(&images.slice(0, p));
    let solved = product(session, &inverse.scaled, &rest, (p, p, 1))?;
    let left = Shared::concat([&b, &b_first, &b_second, &images, &rest]);
    let right = Shared::concat([&step.repeat(5), &solved]);
    let dots = fixed::dot(session, &left, &right, p)?;
    let dot = |k: usize| dots.slice(k, k + 1);
    let number = |k: usize| numbers.slice(k, k + 1);
    let quadratic = number(0).minus(&dot(0));
    let first = number(1).minus(&dot(1).times_integer(2)).plus(&dot(3));
    let second = number(2).minus(&dot(2).times_integer(2)).plus(&dot(4));
    let twice = fixed::scale(session, &dot(5), 2.0 * unit(ratio))?;
    let second = second.minus(&twice);
    let ratios = Shared::concat([&first, &second]);
    let ratios = normalise::divide_each(session, &ratios, &quadratic)?;
    let square = fixed::square(session, &ratios.slice(0, 1))?;
    let square = fixed::scale(session, &square, unit(ratio))?;
    let curved = ratios.slice(1, 2).minus(&square);
    let logs = Shared::concat([&ratios.slice(0, 1), &curved]);
    let logs = fixed::multiply(session, &logs, &freedom.repeat(2))?;
    let (mut slope, mut curvature) =
        (number(4).plus(&logs.slice(0, 1)), number(5).plus(&logs.slice(1, 2)));
    if mixed.restricted {
        let (trace, second) = determinant(session, &inverse, (&both, ratio))?;
        (slope, curvature) = (slope.plus(&trace), curvature.plus(&second));
    }
    let log = bounded(session, (&slope, &curvature), &floor)?;
    let beta = fixed::multiply(session, &inverse.scales, &step)?;
    Ok(Step { inverse, beta, log, quadratic, slope })
}

/// Derivatives of `ln |A|` from those of `A`, both in the scales of the inverse.
fn determinant(
    session: &mut dyn Session,
    inverse: &Inverse,
    (both, ratio): (&Shared, f64),
) -> Result<(Shared, Shared), AnalysisError> {
    let p = inverse.scales.len();
    let cells = p * p;
    let first = product(session, &inverse.scaled, &both.slice(0, cells), (p, p, p))?;
    let trace = first.pick((0..p).map(|i| i * (p + 1))).total();
    let left = Shared::concat([&inverse.scaled, &first]);
    let right = Shared::concat([&both.slice(cells, 2 * cells), &first.transposed(p, p)]);
    let traces = fixed::dot(session, &left, &right, cells)?;
    let square = fixed::scale(session, &traces.slice(1, 2), unit(ratio))?;
    Ok((trace, traces.slice(0, 1).minus(&square)))
}

/// What is released of a linear model.
fn linear_ends(
    session: &mut dyn Session,
    mixed: &Mixed,
    (own, at): (Intercepts<'_>, &At),
    freedom: &Shared,
) -> Result<Ends, AnalysisError> {
    let (p, ratio) = (own.columns, at.variance());
    let step = linear_step(session, (mixed, own), (at, ratio), freedom)?;
    let sums = own.linear(&at.beta, ratio)?;
    let [matrix, logs] = pooled(session, [&sums.matrices[0], &sums.numbers[3..4]])?;
    let mut determinants = logs;
    if mixed.restricted {
        let (_, roots) = cholesky(session, &symmetric(&matrix, p), p)?;
        let logs = transcendental::ln(session, &roots)?;
        determinants = determinants.minus(&logs.total().times_integer(2));
    }
    let beta: Vec<Word> = at.beta.iter().map(|it| encode(*it)).collect::<Result<_, _>>()?;
    let beta = session.constant(&beta).plus(&step.beta);
    let rest = session.constant(&[encode(ratio)?, encode(at.last)?]);
    Ok(Ends {
        coefficients: Shared::concat([&beta, &rest]),
        variances: variances(session, &mixed.model, &step.inverse)?,
        likelihood: Shared::concat([&step.quadratic, &determinants]),
    })
}

/// Gradient, information and likelihood of a logistic model; at the edge those without intercepts.
fn laplace_sums(
    session: &mut dyn Session,
    own: Intercepts<'_>,
    at: &At,
) -> Result<[Shared; 4], AnalysisError> {
    if !at.edge {
        let sums = own.laplace(&at.beta, at.variance())?;
        let ends = [&sums.gradient[..], &sums.information, &[sums.likelihood], &[sums.floor]];
        return pooled(session, ends);
    }
    let sums = fit_sums(Family::Binomial, own.observed, &at.beta)?;
    let likelihood = encode(-decode(sums.deviance) / 2.0)?;
    let [gradient, information, likelihood] =
        pooled(session, [&sums.gradient[..], &sums.information, &[likelihood]])?;
    let mut last = vec![0; own.columns + 1];
    if let Some(diagonal) = last.last_mut() {
        *diagonal = ONE;
    }
    let last = session.constant(&last);
    let nothing = session.constant(&[0]);
    Ok([
        Shared::concat([&gradient, &nothing]),
        Shared::concat([&information, &last]),
        likelihood,
        nothing,
    ])
}

/// A step of a logistic model: slope and curvature with the coefficients at their best.
fn laplace_step(
    session: &mut dyn Session,
    own: Intercepts<'_>,
    at: &At,
) -> Result<Step, AnalysisError> {
    let p = own.columns;
    let [gradient, information, _, floor] = laplace_sums(session, own, at)?;
    let triangle = p * (p + 1) / 2;
    let inverse = inverse(session, &symmetric(&information.slice(0, triangle), p), p)?;
    let mixed = information.slice(triangle, triangle + p);
    let beta = inverse.times(session, &gradient.slice(0, p))?;
    let moves = inverse.times(session, &mixed)?;
    let dots = fixed::dot(session, &mixed.repeat(2), &Shared::concat([&beta, &moves]), p)?;
    let slope = dots.slice(0, 1).minus(&gradient.slice(p, p + 1));
    let curvature = information.slice(triangle + p, triangle + p + 1).minus(&dots.slice(1, 2));
    let log = bounded(session, (&slope, &curvature), &floor)?;
    Ok(Step { inverse, beta, log, quadratic: Shared::zeros(0), slope })
}

/// What is released of a logistic model.
fn laplace_ends(
    session: &mut dyn Session,
    mixed: &Mixed,
    own: Intercepts<'_>,
    at: &At,
) -> Result<Ends, AnalysisError> {
    let p = own.columns;
    let [_, information, likelihood, _] = laplace_sums(session, own, at)?;
    let inverse = inverse(session, &symmetric(&information, p + 1), p + 1)?;
    let row = |column: usize| {
        let mut row = vec![0.0; p + 1];
        match column {
            0 if mixed.model.design.has_intercept => {
                row[..p].copy_from_slice(&mixed.model.intercept_factors());
            }
            _ => row[column] = 1.0,
        }
        row
    };
    let rows: Vec<Vec<f64>> = (0..p).map(row).collect();
    let mut words: Vec<Word> = at.beta.iter().map(|it| encode(*it)).collect::<Result<_, _>>()?;
    words.extend([encode(at.variance())?, encode(at.last)?]);
    Ok(Ends {
        coefficients: session.constant(&words),
        variances: variances_of(session, &inverse, &rows)?,
        likelihood,
    })
}
