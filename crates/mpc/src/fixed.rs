//! Arithmetic and comparison of fixed-point columns.
//!
//! `n` is the number of elements; rounds are those of the mesh. Every product needs `|x y| < 2^46`.

use crate::approximate::encoded;
use crate::session::{MpcError, Session};
use crate::shared::{Bits, Shared};
use konsil_ring::{FRACTION_BITS, ONE, Word, encode};

/// `a * b`. Error at most one unit (2^-40). 2 rounds, 3n words opened, n triples, n truncations.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn multiply(session: &mut dyn Session, a: &Shared, b: &Shared) -> Result<Shared, MpcError> {
    let product = session.multiply_raw(a, b)?;
    session.truncate(product, FRACTION_BITS)
}

/// `a * a`. Error at most one unit. 2 rounds, 2n words opened.
///
/// # Errors
/// As [`multiply`].
pub fn square(session: &mut dyn Session, a: &Shared) -> Result<Shared, MpcError> {
    let product = session.square_raw(a)?;
    session.truncate(product, FRACTION_BITS)
}

/// Every element times a public real. Error one unit plus 2^-41 of `a`. 1 round, n words.
///
/// # Errors
/// As [`multiply`], and [`MpcError::Encode`] for a factor without an encoding.
pub fn scale(session: &mut dyn Session, a: &Shared, factor: f64) -> Result<Shared, MpcError> {
    let raw = a.times_integer(encode(factor)?.cast_signed());
    session.truncate(raw, FRACTION_BITS)
}

/// Element `i` times the public real `factors[i]`. As [`scale`].
///
/// # Errors
/// As [`scale`].
pub fn scale_each(
    session: &mut dyn Session,
    a: &Shared,
    factors: &[f64],
) -> Result<Shared, MpcError> {
    let factors = encoded(factors)?.into_iter().map(Word::cast_signed).collect::<Vec<_>>();
    session.truncate(a.times_integers(&factors), FRACTION_BITS)
}

/// Adds a public fixed-point or integer constant to every element. No messages.
#[must_use]
pub fn add_public(session: &dyn Session, a: &Shared, constant: Word) -> Shared {
    a.plus(&session.constant(&vec![constant; a.len()]))
}

/// The public constant minus every element. No messages.
#[must_use]
pub fn subtract_from(session: &dyn Session, constant: Word, a: &Shared) -> Shared {
    session.constant(&vec![constant; a.len()]).minus(a)
}

/// Whether `a < b`, element by element, for `|a - b| < 2^127`. 4 rounds.
///
/// # Errors
/// As [`multiply`].
pub fn less(session: &mut dyn Session, a: &Shared, b: &Shared) -> Result<Bits, MpcError> {
    session.negative(&a.minus(b))
}

/// Whether `a >= bound` for a public integer or fixed-point `bound`. 4 rounds.
///
/// # Errors
/// As [`multiply`].
pub fn at_least(session: &mut dyn Session, a: &Shared, bound: Word) -> Result<Bits, MpcError> {
    let difference = add_public(session, a, bound.wrapping_neg());
    let below = session.negative(&difference)?;
    Ok(session.not(&below))
}

/// `a` where `choice` is 1, `b` where it is 0. 1 round.
///
/// # Errors
/// As [`multiply`].
pub fn select(
    session: &mut dyn Session,
    choice: &Shared,
    a: &Shared,
    b: &Shared,
) -> Result<Shared, MpcError> {
    Ok(session.multiply_raw(choice, &a.minus(b))?.plus(b))
}

/// The larger of two, element by element. 6 rounds.
///
/// # Errors
/// As [`multiply`].
pub fn maximum(session: &mut dyn Session, a: &Shared, b: &Shared) -> Result<Shared, MpcError> {
    let below = less(session, a, b)?;
    let choice = session.to_integers(&below)?;
    select(session, &choice, b, a)
}

/// The largest of a column, by halving. 6 rounds for each halving.
///
/// # Errors
/// As [`multiply`].
pub fn largest(session: &mut dyn Session, a: &Shared) -> Result<Shared, MpcError> {
    let mut left = a.clone();
    while left.len() > 1 {
        let half = left.len() / 2;
        let rest = left.slice(2 * half, left.len());
        let larger = maximum(session, &left.slice(0, half), &left.slice(half, 2 * half))?;
        left = Shared::concat([&larger, &rest]);
    }
    Ok(left)
}

/// Sums over rows of `len` of products. Error one unit. 2 rounds.
///
/// # Errors
/// As [`multiply`].
pub fn dot(
    session: &mut dyn Session,
    a: &Shared,
    b: &Shared,
    len: usize,
) -> Result<Shared, MpcError> {
    let raw = session.dot_raw(a, b, len)?;
    session.truncate(raw, FRACTION_BITS)
}

/// The powers `u, u^2, .. u^degree`, for `|u| <= 1`. Error of each at most 4 units. 2 rounds for
/// each doubling.
///
/// # Errors
/// As [`multiply`].
pub fn powers(
    session: &mut dyn Session,
    u: &Shared,
    degree: usize,
) -> Result<Vec<Shared>, MpcError> {
    let mut powers = vec![u.clone()];
    while powers.len() < degree {
        let known = powers.len();
        let more = known.min(degree - known);
        let top = powers.last().cloned().unwrap_or_default();
        let lower = Shared::concat(&powers[..more]);
        let product = multiply(session, &top.repeat(more), &lower)?;
        powers.extend((0..more).map(|k| product.slice(k * u.len(), (k + 1) * u.len())));
    }
    Ok(powers)
}

/// A polynomial with public coefficients, lowest first, for `|u| <= 1`. Error at most four units
/// times the sum of the coefficients' magnitudes. 1 round after the powers.
///
/// # Errors
/// As [`multiply`].
pub fn polynomial(
    session: &mut dyn Session,
    u: &Shared,
    coefficients: &[f64],
) -> Result<Shared, MpcError> {
    let (constant, rest) = coefficients.split_first().unwrap_or((&0.0, &[]));
    let mut sum = session.constant(&vec![encode(*constant)?.wrapping_mul(ONE); u.len()]);
    for (power, coefficient) in powers(session, u, rest.len())?.iter().zip(rest) {
        sum = sum.plus(&power.times_integer(encode(*coefficient)?.cast_signed()));
    }
    session.truncate(sum, FRACTION_BITS)
}
