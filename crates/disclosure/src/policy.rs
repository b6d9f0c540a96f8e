//! Thresholds, judged on shares.

use konsil_mpc::{MpcError, Opening, Session, Shared, fixed, linear};
use konsil_ring::encode_count;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The numbers of the disclosure rules in force. Part of what is approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Fewest patients, over all centres, behind any released number.
    pub threshold: u64,
    /// Fewest centres that must contribute patients.
    pub centres_min: u64,
    /// Whether a count of exactly 0 may be shown.
    pub zero_cells: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { threshold: 10, centres_min: 3, zero_cells: false }
    }
}

/// A policy that would protect nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// Fewer than three patients.
    ThresholdTooLow,
    /// With two centres each can subtract its own part from everything.
    TooFewCentres,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThresholdTooLow => "the threshold of patients must be at least 3",
            Self::TooFewCentres => {
                "at least 3 centres must contribute: with two, each can subtract its own part"
            }
        })
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Checks that the policy protects anything.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn check(&self) -> Result<(), PolicyError> {
        if self.threshold < 3 {
            Err(PolicyError::ThresholdTooLow)
        } else if self.centres_min < 3 {
            Err(PolicyError::TooFewCentres)
        } else {
            Ok(())
        }
    }
}

/// Why nothing is released. Says no count: that would reveal a small one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Too few patients over all centres, or too few centres with any.
    TooFew,
    /// The verdict could not be reached.
    Mpc(MpcError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew => {
                f.write_str("too few patients over all centres, or too few centres with patients")
            }
            Self::Mpc(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<MpcError> for Refusal {
    fn from(error: MpcError) -> Self {
        Self::Mpc(error)
    }
}

/// Opens to the centres whether the cohort is large enough: one number, 0 when it is.
///
/// `patients` are this centre's own; of each further count in `also` (events, say) there must be at
/// least as many over all centres as of patients. Cost: 5 + 1 + 1 rounds, whatever the cohort.
///
/// # Errors
/// [`Refusal::TooFew`], [`Refusal::Mpc`].
pub fn admit(
    session: &mut dyn Session,
    opening: Opening,
    policy: &Policy,
    (patients, also): (usize, &[u64]),
) -> Result<(), Refusal> {
    let patients = u64::try_from(patients).unwrap_or(u64::MAX);
    let mut mine = vec![encode_count(u64::from(patients > 0)), encode_count(patients)];
    mine.extend(also.iter().map(|count| encode_count(*count)));
    let counts = session.input(&mine)?;
    let mut bounds = vec![policy.threshold.wrapping_neg(); mine.len()];
    bounds[0] = policy.centres_min.wrapping_neg();
    let bounds: Vec<_> =
        bounds.into_iter().map(|it| i128::from(it.cast_signed()).cast_unsigned()).collect();
    let below = session.negative(&counts.plus(&session.constant(&bounds)))?;
    let below = session.to_integers(&below)?.total();
    let refused = linear::reaches(session, &below, 1)?;
    match session.open(opening, &refused)?.first() {
        Some(0) => Ok(()),
        _ => Err(Refusal::TooFew),
    }
}

/// For each count, 1 where it may be shown and 0 where it is too small. 5 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn large_enough(
    session: &mut dyn Session,
    policy: &Policy,
    counts: &Shared,
) -> Result<Shared, MpcError> {
    let large = linear::reaches(session, counts, policy.threshold)?;
    if !policy.zero_cells {
        return Ok(large);
    }
    let some = linear::reaches(session, counts, 1)?;
    let none = linear::complement(session, &some);
    Ok(large.plus(&none))
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

/// A cell that only fills up a row; larger than any count, smaller than a hidden one.
pub const FILLER: u128 = 1 << 40;

/// Verdicts for the cells of tables whose row totals are known: `verdicts` and, where the hidden
/// cells of a row have fewer patients together than the threshold, 0 for its smallest shown cell too,
/// because the total gives the sum of the hidden ones away. A shown 0 protects nothing and stays.
/// Cells `[row][len]`; fill up shorter rows with [`FILLER`] and verdict 1.
///
/// Rounds: 7 for each halving of a row, and 14.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn protect_rows(
    session: &mut dyn Session,
    policy: &Policy,
    (verdicts, counts): (&Shared, &Shared),
    len: usize,
) -> Result<Shared, MpcError> {
    if len == 0 || counts.len() != verdicts.len() || !counts.len().is_multiple_of(len) {
        return Err(MpcError::Shape { left: counts.len(), right: len });
    }
    let rows = counts.len() / len;
    let spread = |row: &Shared| row.pick((0..rows * len).map(|at| at / len));
    let totals = |cells: &Shared| {
        let row = |row: usize| cells.slice(row * len, (row + 1) * len).total();
        Shared::concat(&(0..rows).map(row).collect::<Vec<_>>())
    };
    let hidden = linear::complement(session, verdicts);
    let kept = session.multiply_raw(verdicts, counts)?;
    let patients = totals(&counts.minus(&kept));
    let enough = linear::reaches(session, &patients, policy.threshold)?;
    let any = linear::reaches(session, &totals(&hidden), 1)?;
    let too_few = session.multiply_raw(&any, &linear::complement(session, &enough))?;
    // of a hidden cell and of a shown 0 nothing is left here
    let empty = linear::reaches(session, &kept, 1)?;
    let empty = linear::complement(session, &empty);
    let ordered = kept.plus(&empty.times_integer(LAST));
    let smallest = row_minimum(session, &ordered, (rows, len))?;
    // above the smallest: ordered - smallest >= 1
    let above = linear::reaches(session, &ordered.minus(&spread(&smallest)), 1)?;
    let is_smallest = linear::complement(session, &above);
    let also_hidden = session.multiply_raw(&is_smallest, &spread(&too_few))?;
    let keep = linear::complement(session, &also_hidden);
    session.multiply_raw(verdicts, &keep)
}

/// Larger than [`FILLER`].
const LAST: i128 = 1 << 41;

/// The smallest of each row of `[rows][len]`.
fn row_minimum(
    session: &mut dyn Session,
    cells: &Shared,
    (rows, len): (usize, usize),
) -> Result<Shared, MpcError> {
    let negated = cells.negated().transposed(rows, len);
    let mut left: Vec<Shared> =
        (0..len).map(|at| negated.slice(at * rows, (at + 1) * rows)).collect();
    while left.len() > 1 {
        let pairs = left.chunks_exact(2);
        let rest = pairs.remainder().to_vec();
        let first = Shared::concat(pairs.clone().map(|pair| &pair[0]));
        let second = Shared::concat(pairs.clone().map(|pair| &pair[1]));
        let larger = fixed::maximum(session, &first, &second)?;
        left = (0..pairs.len()).map(|at| larger.slice(at * rows, (at + 1) * rows)).collect();
        left.extend(rest);
    }
    Ok(left.pop().unwrap_or_default().negated())
}
