//! Exponential, logarithm and logistic function on shares.

use crate::approximate::{encoded, interpolate};
use crate::fixed::{add_public, at_least, polynomial, powers, scale};
use crate::normalise::{place_number, to_octave};
use crate::session::{MpcError, Session};
use crate::shared::Shared;
use konsil_ring::{FRACTION_BITS, ONE, Word, encode};

/// `exp(x)` for `-44 <= x <= 28`. Error: relative 2^-36 plus one unit. 20 rounds.
///
/// `x / ln 2` is split into an integer, whose power of two is looked up, and a fraction.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn exp(session: &mut dyn Session, x: &Shared) -> Result<Shared, MpcError> {
    const OFFSET: Word = 64;
    let binary = scale(session, x, std::f64::consts::LOG2_E)?;
    let positive = add_public(session, &binary, OFFSET << FRACTION_BITS);
    let start = usize::try_from(FRACTION_BITS).unwrap_or(0);
    let index = session.bits(&positive, start, start + 7)?;
    let (low, high) = index.split_at(3);
    // 2^(i - 64 + 40) for i = 8 high + low; nothing below one unit
    let high_powers = (0..16).map(|high| if high < 3 { 0 } else { 1 << (8 * high - 24) }).collect();
    let highs = session.lookup(high, &[high_powers, (0..16).map(|high| 8 * high).collect()])?;
    let lows = session.lookup(low, &[(0..8).map(|low| 1 << low).collect(), (0..8).collect()])?;
    let power = session.multiply_raw(&highs[0], &lows[0])?;
    let integer = highs[1].plus(&lows[1]);
    let fraction = positive.minus(&integer.integer_to_fixed());
    let u = add_public(session, &fraction.times_integer(2), ONE.wrapping_neg());
    let value = polynomial(session, &u, &interpolate(libm::exp2, (0.0, 1.0), 9))?;
    let moved = session.multiply_raw(&value, &power)?;
    session.truncate(moved, FRACTION_BITS)
}

/// The natural logarithm for `2^-40 <= x < 2^44`. Error at most 40 units (4e-11). 24 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn ln(session: &mut dyn Session, x: &Shared) -> Result<Shared, MpcError> {
    let (octave, _, place) = to_octave(session, x)?;
    let place = place_number(session, &place)?;
    let u = add_public(session, &octave.times_integer(4), (3 * ONE).wrapping_neg());
    let of_octave = polynomial(session, &u, &interpolate(libm::log, (0.5, 1.0), 16))?;
    // x = octave * 2^(place + 1 - 40)
    let exponent = add_public(session, &place, 39_u128.wrapping_neg());
    let ln2 = encode(std::f64::consts::LN_2)?.cast_signed();
    Ok(of_octave.plus(&exponent.times_integer(ln2)))
}

/// `1 / (1 + exp(-x))` for `|x| < 2^44`. Error at most 1e-10. 17 rounds.
///
/// `[-32, 32)` is cut into 64 pieces with a polynomial of degree 8 each, whose coefficients are
/// looked up at the secret piece; outside, the function is 0 or 1 to 1.3e-14.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn logistic(session: &mut dyn Session, x: &Shared) -> Result<Shared, MpcError> {
    const HALF_RANGE: u32 = 32;
    const DEGREE: usize = 8;
    let lanes = x.len();
    let offset = Word::from(HALF_RANGE) << FRACTION_BITS;
    let positive = add_public(session, x, offset);
    let beyond = add_public(session, x, offset.wrapping_neg());
    let above = at_least(session, &Shared::concat([&positive, &beyond]), 0)?;
    let above = session.to_integers(&above)?;
    let (from_low, from_high) = (above.slice(0, lanes), above.slice(lanes, 2 * lanes));
    let start = usize::try_from(FRACTION_BITS).unwrap_or(0);
    let index = session.bits(&positive, start, start + 6)?;
    let mut tables = vec![Vec::new(); DEGREE + 1];
    for piece in 0..2 * HALF_RANGE {
        let from = f64::from(piece) - f64::from(HALF_RANGE);
        let function = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let coefficients = encoded(&interpolate(function, (from, from + 1.0), DEGREE))?;
        tables.iter_mut().zip(coefficients).for_each(|(table, entry)| table.push(entry));
    }
    tables.push((0..u128::from(2 * HALF_RANGE)).map(|piece| piece << FRACTION_BITS).collect());
    let mut looked_up = session.lookup(&index, &tables)?;
    let piece = looked_up.pop().unwrap_or_default();
    let u = add_public(session, &positive.minus(&piece).times_integer(2), ONE.wrapping_neg());
    let powers = powers(session, &u, DEGREE)?;
    let by_row = |columns: &[Shared]| Shared::concat(columns).transposed(columns.len(), lanes);
    let raw = session.dot_raw(&by_row(&looked_up[1..]), &by_row(&powers), DEGREE)?;
    let value = session.truncate(raw, FRACTION_BITS)?.plus(&looked_up[0]);
    let inside = from_low.minus(&from_high);
    let inner = session.multiply_raw(&value, &inside)?;
    Ok(inner.plus(&from_high.integer_to_fixed()))
}
