//! Standard errors that hold for unequal variances, or for patients who belong together.
//!
//! With `B` the inverse of the information and `s_i x_i` a patient's gradient, the variance is
//! `B M B`. `M` is `sum s_i^2 x_i x_i'` (HC0; HC1 times `n / (n - p)`), each term divided by `1 - h_i`
//! (HC2) or its square (HC3) with the leverage `h_i`, or the sum over clusters of the products of
//! their gradients (times `G / (G - 1) (n - 1) / (n - p)`). Gradients are local at open coefficients;
//! leverages are computed on shares, since the inverse stays shared.
//!
//! MacKinnon and White (1985), J. Econometrics 29, 305; Zeileis (2004), J. Stat. Softw. 11(10), eq. 7;
//! Zeileis, Koell and Graham (2020), J. Stat. Softw. 95(1), eq. 10.

use crate::analysis::{AnalysisError, Request, Setting};
use crate::design::{Clusters, Model, Rows};
use crate::fit::symmetric;
use crate::sealed::{encoded, mask_pairs};
use konsil_disclosure::Policy;
use konsil_kernels::{Sums, triangle};
use konsil_mpc::linear::{self, Inverse};
use konsil_mpc::{Session, Shared, fixed, normalise};
use konsil_ring::{FRACTION_BITS, ONE, encode_count};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Robust {
    /// Each patient for itself; the power of `1 - h` that divides, and whether `n / (n - p)` is due.
    Patients { power: u8, corrected: bool },
    /// Clusters.
    Clusters,
}

impl Robust {
    /// What the request asks for.
    pub(crate) fn of(request: &Request, model: &Model) -> Result<Option<Self>, AnalysisError> {
        let error = |what: &str| Err(AnalysisError::request(request, what));
        let clustered = *model.clusters() != Clusters::None;
        let (power, corrected) = match request.robust.as_deref() {
            None => return Ok(clustered.then_some(Self::Clusters)),
            Some(_) if clustered => return error("takes either robust or cluster"),
            Some("HC0") => (0, false),
            Some("HC1") => (0, true),
            Some("HC2") => (1, false),
            Some("HC3") => (2, false),
            Some(_) => return error("knows the robust standard errors HC0, HC1, HC2 and HC3"),
        };
        Ok(Some(Self::Patients { power, corrected }))
    }

    /// The factor for few patients or clusters.
    pub(crate) fn factor(self, patients: f64, parameters: f64, clusters: f64) -> f64 {
        match self {
            Self::Patients { corrected: false, .. } => 1.0,
            Self::Patients { .. } => patients / (patients - parameters),
            Self::Clusters => {
                clusters / (clusters - 1.0) * (patients - 1.0) / (patients - parameters)
            }
        }
    }

    /// What a note in the report says.
    pub(crate) fn note(self) -> String {
        match self {
            Self::Patients { power: 0, corrected: false } => "standard errors are HC0".to_owned(),
            Self::Patients { power: 0, .. } => "standard errors are HC1".to_owned(),
            Self::Patients { power: 1, .. } => "standard errors are HC2".to_owned(),
            Self::Patients { .. } => "standard errors are HC3".to_owned(),
            Self::Clusters => "standard errors are for clusters".to_owned(),
        }
    }
}

/// The rules for a model that tells how much clusters differ. Where these are the centres, two more
/// must take part: from mean and spread of three centres, each could compute the other two's.
pub(crate) fn cluster_rules(policy: &Policy, clusters: &Clusters) -> Policy {
    let more = if *clusters == Clusters::Centre { 2 } else { 0 };
    Policy { centres_min: policy.centres_min + more, ..policy.clone() }
}

/// This centre's number of clusters.
pub(crate) fn clusters(rows: &Rows) -> u64 {
    let most = rows.clusters.iter().max();
    most.map_or(0, |most| u64::try_from(most + 1).unwrap_or(u64::MAX))
}

/// The counts that are released with a model: patients, and clusters where there are any.
pub(crate) fn counts(
    session: &mut dyn Session,
    rows: &Rows,
    robust: Option<Robust>,
) -> Result<Shared, AnalysisError> {
    let patients = encode_count(u64::try_from(rows.y.len()).unwrap_or(u64::MAX));
    let both = [patients, encode_count(clusters(rows))];
    let mine = if robust == Some(Robust::Clusters) { &both[..] } else { &both[..1] };
    Ok(session.input(mine)?)
}

/// `B M B` in the scales of the inverse, from each patient's score and weight in the information.
///
/// Rounds: 8 for HC0, HC1 and clusters; 45 more for HC2 and HC3, where each centre masks the products
/// of its columns, `[rows][pairs]`.
pub(crate) fn sandwich(
    session: &mut dyn Session,
    (robust, setting): (Robust, &Setting),
    rows: &Rows,
    (scores, weights): (&[f64], &[f64]),
    inverse: &Inverse,
) -> Result<Inverse, AnalysisError> {
    let order = inverse.scales.len();
    let meat = match robust {
        Robust::Patients { power: 0, .. } => {
            let scored = rows.x.chunks(order.max(1)).zip(scores);
            let mut sums = Sums::new(order * (order + 1) / 2);
            let mut terms = vec![0.0; order * (order + 1) / 2];
            for (row, score) in scored {
                triangle(row, score * score, &mut terms);
                sums.add(&terms)?;
            }
            session.input(&sums.finish())?
        }
        Robust::Patients { power, .. } => {
            leveraged(session, setting, rows, (scores, weights, power), inverse)?
        }
        Robust::Clusters => session.input(&clustered(rows, scores, order)?)?,
    };
    around(session, &symmetric(&meat, order), inverse)
}

/// `B M B` for a symmetric matrix `M`, in the scales of the inverse. 8 rounds.
pub(crate) fn around(
    session: &mut dyn Session,
    meat: &Shared,
    inverse: &Inverse,
) -> Result<Inverse, AnalysisError> {
    let order = inverse.scales.len();
    let by_row = inverse.scales.pick((0..order * order).map(|at| at / order));
    let half = fixed::multiply(session, meat, &by_row)?;
    let scaled = fixed::multiply(session, &half, &inverse.scales.repeat(order))?;
    let shape = (order, order, order);
    let half = linear::product(session, &inverse.scaled, &scaled, shape)?;
    let whole = linear::product(session, &half, &inverse.scaled, shape)?;
    Ok(inverse.around(whole))
}

/// Sum over this centre's clusters of the products of their gradients.
fn clustered(rows: &Rows, scores: &[f64], order: usize) -> Result<Vec<u128>, AnalysisError> {
    let groups = rows.clusters.iter().max().map_or(0, |most| most + 1);
    let mut gradients = vec![0.0; groups * order];
    let each = rows.x.chunks(order.max(1)).zip(scores).zip(&rows.clusters);
    for ((row, score), cluster) in each {
        let into = gradients.iter_mut().skip(cluster * order).zip(row);
        into.for_each(|(sum, x)| *sum += score * x);
    }
    let mut sums = Sums::new(order * (order + 1) / 2);
    let mut terms = vec![0.0; order * (order + 1) / 2];
    for gradient in gradients.chunks(order.max(1)) {
        triangle(gradient, 1.0, &mut terms);
        sums.add(&terms)?;
    }
    Ok(sums.finish())
}

/// Sum of `s^2 x x' / (1 - h)^power` with leverages on shares.
fn leveraged(
    session: &mut dyn Session,
    setting: &Setting,
    rows: &Rows,
    (scores, weights, power): (&[f64], &[f64], u8),
    inverse: &Inverse,
) -> Result<Shared, AnalysisError> {
    let order = inverse.scales.len();
    let pairs = order * (order + 1) / 2;
    let masked = mask_pairs(session, &setting.rows_at_most, &rows.x, order)?;
    // x' B x: off the diagonal each pair counts twice
    let by_row = inverse.scales.pick((0..order * order).map(|at| at / order));
    let half = fixed::multiply(session, &inverse.scaled, &by_row)?;
    let bread = fixed::multiply(session, &half, &inverse.scales.repeat(order))?;
    let cells = (0..order).flat_map(|row| (0..=row).map(move |column| (row, column)));
    let places: Vec<(usize, usize)> = cells.collect();
    let twice: Vec<i128> = places.iter().map(|(i, k)| if i == k { 1 } else { 2 }).collect();
    let bread = bread.pick(places.iter().map(|(i, k)| i * order + k)).times_integers(&twice);
    let bread = session.mask(&bread, (pairs, 1))?;
    let mut forms = Vec::with_capacity(masked.len());
    for own in &masked {
        forms.push(session.product(own, false, &bread)?);
    }
    let forms = session.truncate(Shared::concat(&forms), FRACTION_BITS)?;
    let filled = |values: &[f64], session: &mut dyn Session| -> Result<Shared, AnalysisError> {
        let before: usize = setting.rows_at_most.iter().take(session.party()).sum();
        let mut all = vec![0; setting.rows_at_most.iter().sum()];
        let places = all.iter_mut().skip(before);
        places.zip(encoded(values.iter().copied())?).for_each(|(place, value)| *place = value);
        Ok(session.input(&all)?)
    };
    let weights = filled(weights, session)?;
    let leverages = fixed::multiply(session, &forms, &weights)?;
    let rest = fixed::subtract_from(session, ONE, &leverages);
    let inverted = normalise::reciprocal(session, &rest)?;
    let squares: Vec<f64> = scores.iter().map(|score| score * score).collect();
    let mut terms = filled(&squares, session)?;
    for _ in 0..power {
        terms = fixed::multiply(session, &terms, &inverted)?;
    }
    let (mut meat, mut start) = (Shared::zeros(pairs), 0);
    for own in &masked {
        let end = start + own.shape().0;
        let column = session.mask(&terms.slice(start, end), (own.shape().0, 1))?;
        meat = meat.plus(&session.product(own, true, &column)?);
        start = end;
    }
    Ok(session.truncate(meat, FRACTION_BITS)?)
}
