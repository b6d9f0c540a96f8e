//! Verdicts on shares: is a cohort, is a count large enough to be shown?
//!
//! A count is judged as a whole and without the patients of those who may subtract them (R1, R2): a
//! centre knows its own patients, so that what it learns from a count is what is left without them.

use crate::policy::{Policy, Refusal, Residual};
use konsil_mpc::{MpcError, Opening, Session, Shared, fixed, linear};
use konsil_ring::{Word, encode_count};

/// Counts over all centres, and what each centre brings to them.
#[derive(Debug)]
pub struct Counts {
    /// The pooled counts.
    pub total: Shared,
    /// `[centre][count]`; empty where nobody subtracts.
    parts: Shared,
    centres: usize,
}

impl Counts {
    /// Counts from this centre's own. No messages.
    ///
    /// # Errors
    /// As [`Session::input`].
    pub fn input(
        session: &mut dyn Session,
        policy: &Policy,
        mine: &[Word],
    ) -> Result<Self, MpcError> {
        let total = session.input(mine)?;
        if policy.residual == Residual::None {
            return Ok(Self { total, parts: Shared::default(), centres: 0 });
        }
        Ok(Self { total, parts: by_centre(session, mine)?, centres: session.parties() })
    }

    /// Counts of these totals and parts, `[centre][count]`, that were computed from others.
    #[must_use]
    pub fn of(total: Shared, parts: Shared) -> Self {
        let centres = parts.len().checked_div(total.len()).unwrap_or(0);
        Self { total, parts, centres }
    }

    /// What has to be large enough, or nothing, besides the totals: `[centre][count]`.
    pub(crate) fn residuals(&self, policy: &Policy) -> Shared {
        match policy.residual {
            Residual::None => Shared::default(),
            Residual::AllButOne => self.parts.clone(),
            Residual::OneCentre => self.total.repeat(self.centres).minus(&self.parts),
        }
    }
}

/// A column in which each centre's numbers stand at its own place, `[centre][len]`. No messages.
///
/// # Errors
/// As [`Session::input`].
pub fn by_centre(session: &mut dyn Session, mine: &[Word]) -> Result<Shared, MpcError> {
    let (me, centres, len) = (session.party(), session.parties(), mine.len());
    let mut placed = vec![0; centres * len];
    placed[me * len..(me + 1) * len].copy_from_slice(mine);
    session.input(&placed)
}

pub(crate) fn less_than(session: &dyn Session, counts: &Shared, bound: u64) -> Shared {
    fixed::add_public(session, counts, Word::from(bound).wrapping_neg())
}

/// For each count, 1 where it is below the threshold, then for each whether it is 0. 5 rounds.
fn below(
    session: &mut dyn Session,
    policy: &Policy,
    counts: &Shared,
) -> Result<(Shared, Shared), MpcError> {
    let tests = [less_than(session, counts, policy.threshold), less_than(session, counts, 1)];
    let below = session.negative(&Shared::concat(&tests))?;
    let below = session.to_integers(&below)?;
    Ok((below.slice(0, counts.len()), below.slice(counts.len(), 2 * counts.len())))
}

/// For each count, 1 where it is neither 0 nor large enough. 5 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub(crate) fn none_or_enough(
    session: &mut dyn Session,
    policy: &Policy,
    counts: &Shared,
) -> Result<Shared, MpcError> {
    let (small, none) = below(session, policy, counts)?;
    Ok(small.minus(&none))
}

/// The sum over the rows of `[row][len]`. No messages.
pub(crate) fn over_rows(cells: &Shared, len: usize) -> Shared {
    let rows = cells.len().checked_div(len).unwrap_or(0);
    let row = |at: usize| cells.slice(at * len, (at + 1) * len);
    (0..rows).fold(Shared::zeros(len), |sum, at| sum.plus(&row(at)))
}

/// For each count, how many of it and its residuals are too small; a residual of 0 is not.
/// `zeros[j]` is 1 where a total of 0 is not too small either. 5 rounds.
fn too_small(
    session: &mut dyn Session,
    policy: &Policy,
    counts: &Counts,
    zeros: &[i128],
) -> Result<Shared, MpcError> {
    let all = Shared::concat([&counts.total, &counts.residuals(policy)]);
    let (small, none) = below(session, policy, &all)?;
    let mut allowed = zeros.to_vec();
    allowed.resize(all.len(), 1);
    Ok(over_rows(&small.minus(&none.times_integers(&allowed)), counts.total.len()))
}

/// For each sum of magnitudes, 1 where no patient has too large a part of it (R3), 0 otherwise.
/// `largest` and `sums` are this centre's, fixed point. 10 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn evenly_made(
    session: &mut dyn Session,
    policy: &Policy,
    (largest, sums): (&[Word], &[Word]),
) -> Result<Shared, MpcError> {
    let sums = session.input(sums)?;
    let largest = by_centre(session, largest)?;
    // negative where a centre's largest has too much
    let room = sums.times_integer(i128::from(policy.patient_percent_max));
    let room = room.repeat(session.parties()).minus(&largest.times_integer(100));
    let above = session.negative(&room)?;
    let above = session.to_integers(&above)?;
    let any = linear::reaches(session, &over_rows(&above, sums.len()), 1)?;
    Ok(linear::complement(session, &any))
}

/// For each count, 1 where it may be shown and 0 where it is too small, or what is left of it
/// without the patients of those who subtract. `zeros` says where a count of 0 may be shown
/// whatever the policy. 10 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn large_enough_or_zero(
    session: &mut dyn Session,
    policy: &Policy,
    (counts, zeros): (&Counts, &[bool]),
) -> Result<Shared, MpcError> {
    let zeros: Vec<i128> =
        zeros.iter().map(|zero| i128::from(*zero || policy.zero_cells)).collect();
    let bad = too_small(session, policy, counts, &zeros)?;
    let any = linear::reaches(session, &bad, 1)?;
    Ok(linear::complement(session, &any))
}

/// For each count, 1 where it may be shown. As [`large_enough_or_zero`].
///
/// # Errors
/// [`MpcError::Wire`].
pub fn large_enough(
    session: &mut dyn Session,
    policy: &Policy,
    counts: &Counts,
) -> Result<Shared, MpcError> {
    large_enough_or_zero(session, policy, (counts, &vec![false; counts.total.len()]))
}

/// Numbers where their verdict is 1, and 0 where it is 0: a suppressed number leaves no trace in
/// what is released. 1 round.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn suppress(
    session: &mut dyn Session,
    verdicts: &Shared,
    numbers: &Shared,
) -> Result<Shared, MpcError> {
    fixed::select(session, verdicts, numbers, &Shared::zeros(numbers.len()))
}

/// What an analysis brings to its admission at one centre.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applicants<'a> {
    /// This centre's patients.
    pub patients: usize,
    /// Parameters of the model; 0 for a description.
    pub parameters: usize,
    /// Independent numbers that describe the patients: means, squares, quartiles, counts of levels.
    pub statistics: usize,
    /// Further counts that must be as large as the threshold: events, say.
    pub also: &'a [u64],
}

/// Opens to the centres whether the cohort is large enough: one number, 0 when it is.
///
/// R1: patients, and each further count, reach the threshold over all centres; enough centres have
/// any. R2: also without those who subtract. R3: no centre has nearly all patients. R4: enough
/// patients for the model's parameters, and for so many numbers about them. Cost: 5 + 5 + 6 rounds,
/// whatever the cohort.
///
/// # Errors
/// [`Refusal::TooFew`], [`Refusal::Mpc`].
pub fn admit(
    session: &mut dyn Session,
    opening: Opening,
    policy: &Policy,
    applicants: Applicants<'_>,
) -> Result<(), Refusal> {
    let patients = u64::try_from(applicants.patients).unwrap_or(u64::MAX);
    let mut mine = vec![encode_count(patients)];
    mine.extend(applicants.also.iter().map(|count| encode_count(*count)));
    let counts = Counts::input(session, policy, &mine)?;
    let small = too_small(session, policy, &counts, &vec![0; mine.len()])?;
    let some = session.input(&[encode_count(u64::from(patients > 0))])?;
    let all = counts.total.slice(0, 1);
    let own = by_centre(session, &mine[..1])?;
    // a centre's hundredfold and the allowed part of all: negative where it has too much
    let room = all.times_integer(i128::from(policy.centre_percent_max));
    let room = room.repeat(own.len()).minus(&own.times_integer(100));
    let exposed = policy.patients_exposed_min(applicants.statistics);
    let patients_min = policy.patients_min(applicants.parameters).max(exposed);
    let tests = [
        less_than(session, &some, policy.centres_min),
        less_than(session, &all, patients_min),
        room,
    ];
    let below = session.negative(&Shared::concat(&tests))?;
    let below = session.to_integers(&below)?;
    decide(session, opening, &Shared::concat([&small, &below]), Refusal::TooFew)
}

/// Opens one number, 0 when all verdicts are 1. 6 rounds.
///
/// # Errors
/// `refusal` otherwise; [`Refusal::Mpc`].
pub fn require(
    session: &mut dyn Session,
    opening: Opening,
    verdicts: &Shared,
    refusal: Refusal,
) -> Result<(), Refusal> {
    let bad = linear::complement(session, verdicts);
    decide(session, opening, &bad, refusal)
}

/// Opens one number, 0 when all of `bad`, none of them negative, are 0. 6 rounds.
///
/// # Errors
/// `refusal` otherwise; [`Refusal::Mpc`].
pub(crate) fn decide(
    session: &mut dyn Session,
    opening: Opening,
    bad: &Shared,
    refusal: Refusal,
) -> Result<(), Refusal> {
    let refused = linear::reaches(session, &bad.total(), 1)?;
    match session.open(opening, &refused)?.first() {
        Some(0) => Ok(()),
        _ => Err(refusal),
    }
}
