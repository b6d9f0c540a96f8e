//! Sums over the patients at risk at each point of a time grid, for Cox regression.

use crate::regression::triangle;
use konsil_ring::{EncodeError, Word, encode};

/// One patient's follow-up on the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// First point at which the patient is at risk.
    pub from: usize,
    /// Last point at which the patient is at risk: that of the event, or of the censoring.
    pub to: usize,
    /// Whether the event happened there.
    pub event: bool,
}

/// One centre's sums for one stratum, columns of `points` numbers each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RiskSums {
    /// `sum exp(eta)`, then `sum x_k exp(eta)`, then the triangle `sum x_k x_l exp(eta)`.
    pub columns: Vec<Vec<Word>>,
    /// The same over the patients who have the event at the point.
    pub of_events: Vec<Vec<Word>>,
}

/// Linear predictors are kept within these bounds, so that sums over a million patients stay in
/// range; a model that gets there has diverged.
const PREDICTOR_MAX: f64 = 14.0;

/// Sums over the patients at risk, `[column][point]`. `x` is `[patient][p]`, `offset` empty or
/// `[patient]`. Every sum is rounded once.
///
/// # Errors
/// [`EncodeError`] for a sum that is not finite or out of range.
pub fn risk_sums(
    (x, offset): (&[f64], &[f64]),
    follow_up: &[FollowUp],
    beta: &[f64],
    points: usize,
) -> Result<RiskSums, EncodeError> {
    let p = beta.len();
    let count = 1 + p + p * (p + 1) / 2;
    // what changes from one point to the one before: who ends there comes in, who begins after it goes
    let mut steps = vec![0.0; count * (points + 1)];
    let mut events = vec![0.0; count * points];
    let mut terms = vec![0.0; count];
    for (at, it) in follow_up.iter().enumerate() {
        let row = x.get(at * p..(at + 1) * p).unwrap_or_default();
        let eta: f64 = row.iter().zip(beta).map(|(x, b)| x * b).sum();
        let eta = eta + offset.get(at).copied().unwrap_or(0.0);
        let risk = eta.clamp(-PREDICTOR_MAX, PREDICTOR_MAX).exp();
        terms[0] = risk;
        terms[1..=p].iter_mut().zip(row).for_each(|(term, x)| *term = x * risk);
        triangle(row, risk, &mut terms[1 + p..]);
        for (column, term) in terms.iter().enumerate() {
            steps[column * (points + 1) + it.to.min(points - 1)] += term;
            if it.event {
                events[column * points + it.to.min(points - 1)] += term;
            }
            if let Some(before) = it.from.checked_sub(1) {
                steps[column * (points + 1) + before.min(points - 1)] -= term;
            }
        }
    }
    let column = |steps: &[f64]| -> Result<Vec<Word>, EncodeError> {
        let mut sums = vec![0; points];
        let mut sum = 0.0;
        for (place, step) in sums.iter_mut().zip(steps).rev() {
            sum += step;
            *place = encode(sum)?;
        }
        Ok(sums)
    };
    let columns = steps.chunks(points + 1).map(|steps| column(&steps[..points]));
    let encoded = |sums: &[f64]| sums.iter().map(|it| encode(*it)).collect::<Result<_, _>>();
    Ok(RiskSums {
        columns: columns.collect::<Result<_, _>>()?,
        of_events: events.chunks(points).map(encoded).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_ring::decode;

    #[test]
    fn each_patient_counts_while_at_risk() {
        let follow_up = [
            FollowUp { from: 0, to: 1, event: true },
            FollowUp { from: 1, to: 3, event: false },
            FollowUp { from: 2, to: 2, event: true },
        ];
        let sums = risk_sums((&[1.0, -1.0, 0.5], &[]), &follow_up, &[0.0], 4).unwrap();
        let column = |at: usize| sums.columns[at].iter().map(|it| decode(*it)).collect::<Vec<_>>();
        assert_eq!(column(0), [1.0, 2.0, 2.0, 1.0]);
        assert_eq!(column(1), [1.0, 0.0, -0.5, -1.0]);
        assert_eq!(column(2), [1.0, 2.0, 1.25, 1.0]);
        let events: Vec<f64> = sums.of_events[1].iter().map(|it| decode(*it)).collect();
        assert_eq!(events, [0.0, 1.0, 0.5, 0.0]);
        let sums = risk_sums((&[1.0, -1.0, 0.5], &[0.5, 0.0, 0.0]), &follow_up, &[2.0], 4).unwrap();
        assert!((decode(sums.columns[0][0]) - 2.5_f64.exp()).abs() < 1e-9);
        // nobody
        let none = risk_sums((&[], &[]), &[], &[0.0], 4).unwrap();
        assert!(none.columns.iter().flatten().all(|it| *it == 0));
    }
}
