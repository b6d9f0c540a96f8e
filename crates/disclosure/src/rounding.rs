//! Rounding of counts on shares (R9).

use konsil_mpc::linear::complement;
use konsil_mpc::{MpcError, Session, Shared, fixed};
use konsil_ring::Word;

/// Counts of one midpoint.
const WIDTH: i128 = 6;

/// Fractional bits of the reciprocal, enough for counts below 2^32 to be off by one at most.
const RECIPROCAL_BITS: u32 = 40;
const RECIPROCAL: i128 = (1 << RECIPROCAL_BITS) / WIDTH;

/// Counts to midpoints of six, `6 ceil(c / 6) - 3`, and 0 to 0: of a rounded count nobody can tell
/// which of six it was. For counts below 2^32. 6 rounds: 1 word, then 3 comparisons, for each count.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn midpoints(session: &mut dyn Session, counts: &Shared) -> Result<Shared, MpcError> {
    let len = counts.len();
    let above = fixed::add_public(session, counts, (WIDTH - 1).cast_unsigned());
    // floor(above / 6), or one off: truncation is off by a unit, and the reciprocal is rounded
    let near = session.truncate(above.times_integer(RECIPROCAL), RECIPROCAL_BITS)?;
    let rest = above.minus(&near.times_integer(WIDTH));
    let beyond = fixed::add_public(session, &rest, (-WIDTH).cast_unsigned());
    let none = fixed::add_public(session, counts, Word::MAX);
    let signs = session.negative(&Shared::concat([&rest, &beyond, &none]))?;
    let signs = session.to_integers(&signs)?;
    let sign = |at: usize| signs.slice(at * len, (at + 1) * len);
    let high = complement(session, &sign(1));
    let sixes = near.minus(&sign(0)).plus(&high);
    let some = complement(session, &sign(2));
    Ok(sixes.times_integer(WIDTH).minus(&some.times_integer(WIDTH / 2)))
}
