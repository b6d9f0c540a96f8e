//! The size of a negative binomial model.
//!
//! # Sources
//! Venables and Ripley (2002), Modern Applied Statistics with S, 7.4.

use crate::analysis::AnalysisError;
use crate::design::Rows;
use crate::glm::THETA_STEP;
use konsil_kernels::theta_terms;
use konsil_mpc::{Session, Shared, fixed, normalise};
use konsil_ring::{Word, decode};

/// Score and information of theta, per relative change, and the log likelihood, over all centres.
pub(crate) fn theta_sums(
    session: &mut dyn Session,
    rows: &Rows,
    beta: &[f64],
    theta: f64,
) -> Result<Shared, AnalysisError> {
    let mut sums = [0; 3];
    for (row, y, offset, weight) in rows.observed().patients(beta.len()) {
        let terms = theta_terms(y, konsil_kernels::predictor(row, beta, offset), theta);
        konsil_kernels::add_rounded(&mut sums, &terms.map(|term| weight * term))?;
    }
    Ok(session.input(&sums)?)
}

/// The moment estimate of theta at Poisson means: `n / sum (y / mu - 1)^2`.
pub(crate) fn first_theta(
    session: &mut dyn Session,
    rows: &Rows,
    beta: &[f64],
) -> Result<f64, AnalysisError> {
    let mut sums = [0; 2];
    for (row, y, offset, weight) in rows.observed().patients(beta.len()) {
        let apart = y / konsil_kernels::predictor(row, beta, offset).exp() - 1.0;
        konsil_kernels::add_rounded(&mut sums, &[weight, weight * apart * apart])?;
    }
    let sums = session.input(&sums)?;
    let apart = fixed::add_public(session, &sums.slice(1, 2), LITTLE);
    let theta = normalise::divide(session, &sums.slice(0, 1), &apart)?;
    let opened = session.open(THETA_STEP, &theta)?;
    Ok(opened.first().map_or(1.0, |it| decode(*it)))
}

/// A millionth, so that nothing is divided by 0.
const LITTLE: Word = 1 << 20;
