//! Differencing between cohorts (R6, R13): two results about nearly the same patients are a result
//! about the few in whom they differ.

use crate::policy::{Policy, Refusal};
use crate::verdicts::{decide, none_or_enough};
use konsil_mpc::{Audience, Opening, Session};
use konsil_ring::{Word, encode_count};

/// Opens whether cohorts of the study differ from each other, or from those of earlier releases, by
/// a few patients.
pub const DIFFERENCES: Opening = Opening {
    name: "study.differences",
    says: "Whether cohorts of this study and of earlier releases differ by too few patients.",
    to: Audience::Centres,
};

/// Opens one number, 0 when each of the pooled `differences` is 0 or reaches the threshold.
///
/// `mine` are this centre's: for every pair of cohorts that the study makes comparable, its patients
/// in one of them only. 5 + 6 rounds; none for a study without pairs.
///
/// # Errors
/// [`Refusal::Differencing`], [`Refusal::Mpc`].
pub fn compare_cohorts(
    session: &mut dyn Session,
    policy: &Policy,
    mine: &[u64],
) -> Result<(), Refusal> {
    if mine.is_empty() {
        return Ok(());
    }
    let mine: Vec<Word> = mine.iter().map(|count| encode_count(*count)).collect();
    let counts = session.input(&mine)?;
    let few = none_or_enough(session, policy, &counts)?;
    decide(session, DIFFERENCES, &few, Refusal::Differencing)
}
