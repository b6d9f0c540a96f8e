//! Division and roots of any magnitude: a number is moved into one binary octave by a secret power
//! of two, worked on there by Newton's method, and moved back.

use crate::fixed::{add_public, multiply, polynomial, subtract_from};
use crate::monomials::Gate;
use crate::session::{MpcError, Session};
use crate::shared::{Bits, Shared};
use konsil_ring::{FRACTION_BITS, ONE, Word};

/// Bits of the numbers that can be normalised: `0 < x < 2^44` in real units.
const WIDTH: usize = 84;
const DIGITS: usize = WIDTH / 4;

/// The place of a number's top bit, `4 * digit + within`, as secret bits, lowest first.
pub(crate) struct Place {
    digit: Vec<Bits>,
    within: Vec<Bits>,
}

/// Finds the top bit of `0 < x < 2^84`; for 0 the place reads 0. 10 rounds.
pub(crate) fn top_place(session: &mut dyn Session, x: &Shared) -> Result<Place, MpcError> {
    let lanes = x.len();
    let bits = session.bits(x, 0, WIDTH)?;
    let clear: Vec<Bits> = bits.iter().map(|bit| session.not(bit)).collect();
    // variables of a digit from its highest bit down, all digits side by side
    let variable =
        |place: usize| Bits::stack((0..DIGITS).map(|digit| &clear[4 * digit + 3 - place]));
    let variables: Vec<Bits> = (0..4).map(variable).collect();
    let products = session.gate(Gate::Prefix(4), &variables)?;
    let high = session.not(&products[0]);
    let low = high.xor(&variables[0]).xor(&products[1]);
    // all digits from the highest down to this one are 0
    let mut empty_down_to = products[2].unstack(lanes);
    empty_down_to.reverse();
    prefix_products(session, &mut empty_down_to)?;
    let nothing_above = session.not(&Bits::zeros(lanes));
    let is_top: Vec<Bits> = (0..DIGITS)
        .map(|digit| {
            let at = DIGITS - 1 - digit;
            let above = if at == 0 { &nothing_above } else { &empty_down_to[at - 1] };
            above.xor(&empty_down_to[at])
        })
        .collect();
    let is_top_twice = Bits::stack(is_top.iter().chain(&is_top));
    let within = Bits::stack([&low, &high]);
    let chosen = session.gate(Gate::Prefix(2), &[is_top_twice, within])?;
    let chosen = chosen.first().map(|bits| bits.unstack(lanes)).unwrap_or_default();
    let any = |bits: &[Bits]| bits.iter().fold(Bits::zeros(lanes), |sum, bit| sum.xor(bit));
    let digit = (0..5)
        .map(|place| {
            let digits = (0..DIGITS).filter(|digit| digit >> place & 1 == 1);
            digits.fold(Bits::zeros(lanes), |sum, digit| sum.xor(&is_top[digit]))
        })
        .collect();
    Ok(Place { digit, within: vec![any(&chosen[..DIGITS]), any(&chosen[DIGITS..])] })
}

/// Replaces each plane by the product of all up to and with it. Sklansky's tree, four at a time.
fn prefix_products(session: &mut dyn Session, planes: &mut [Bits]) -> Result<(), MpcError> {
    let lanes = planes.first().map_or(0, Bits::len);
    let mut size = 1;
    while size < planes.len() {
        let before = planes.to_vec();
        let mut batches = Vec::new();
        let mut targets = Vec::new();
        for block in 1..4_usize {
            let places: Vec<usize> =
                (0..planes.len()).filter(|at| at / size % 4 == block).collect();
            if places.is_empty() {
                continue;
            }
            let factor = |lower: usize| {
                Bits::stack(places.iter().map(|at| {
                    let start = at / (4 * size) * (4 * size);
                    if lower == block {
                        &before[*at]
                    } else {
                        &before[start + (lower + 1) * size - 1]
                    }
                }))
            };
            let factors: Vec<Bits> = (0..=block).map(factor).collect();
            let arity = u8::try_from(factors.len()).unwrap_or(u8::MAX);
            batches.push((Gate::Prefix(arity), factors));
            targets.push(places);
        }
        for (places, products) in targets.into_iter().zip(session.gates(&batches)?) {
            let all = products.last().map(|bits| bits.unstack(lanes)).unwrap_or_default();
            places.into_iter().zip(all).for_each(|(at, product)| planes[at] = product);
        }
        size *= 4;
    }
    Ok(())
}

/// What a digit, or a place within one, adds to an exponent.
type Exponent<'a> = &'a dyn Fn(u32) -> u32;

/// Powers of two with the secret exponents `exponent(digit, within)`, each an integer from 0 to
/// 126 that is a sum `of_digit(digit) + of_within(within)`. 2 rounds.
fn secret_powers(
    session: &mut dyn Session,
    place: &Place,
    exponents: &[(Exponent<'_>, Exponent<'_>)],
) -> Result<Vec<Shared>, MpcError> {
    let table = |size: u32, exponent: &dyn Fn(u32) -> u32| -> Vec<Word> {
        (0..size).map(|at| 1_u128.checked_shl(exponent(at)).unwrap_or(0)).collect()
    };
    let digits: Vec<_> = exponents.iter().map(|(digit, _)| table(32, digit)).collect();
    let withins: Vec<_> = exponents.iter().map(|(_, within)| table(4, within)).collect();
    let digits = Shared::concat(&session.lookup(&place.digit, &digits)?);
    let withins = Shared::concat(&session.lookup(&place.within, &withins)?);
    let product = session.multiply_raw(&digits, &withins)?;
    let lanes = place.digit.first().map_or(0, Bits::len);
    Ok((0..exponents.len()).map(|at| product.slice(at * lanes, (at + 1) * lanes)).collect())
}

/// `x` as `b * 2^(place + 1 - 84)` with `b` in `[1/2, 1)`, and the power of two `2^(83 - place)`.
pub(crate) fn to_octave(
    session: &mut dyn Session,
    x: &Shared,
) -> Result<(Shared, Shared, Place), MpcError> {
    let place = top_place(session, x)?;
    let of_digit = |digit: u32| 80_u32.saturating_sub(4 * digit);
    let of_within = |within: u32| 3 - within;
    let power = secret_powers(session, &place, &[(&of_digit, &of_within)])?.remove(0);
    let moved = session.multiply_raw(x, &power)?;
    let octave = session.truncate(moved, 84 - FRACTION_BITS)?;
    Ok((octave, power, place))
}

/// `1 / b` for `b` of `[1/2, 1]`, without bits: a parabola that is off by 1/99, squared three
/// times. Error at most 4 units. 14 rounds, 7 products.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn bounded_reciprocal(session: &mut dyn Session, b: &Shared) -> Result<Shared, MpcError> {
    // 1 - b y = -T3(4b - 3)/99, the smallest possible on the octave
    let mut y = polynomial(session, b, &[420.0 / 99.0, -576.0 / 99.0, 256.0 / 99.0])?;
    for _ in 0..3 {
        y = newton_reciprocal(session, b, &y)?;
    }
    Ok(y)
}

fn newton_reciprocal(
    session: &mut dyn Session,
    b: &Shared,
    y: &Shared,
) -> Result<Shared, MpcError> {
    let product = multiply(session, b, y)?;
    let correction = subtract_from(session, 2 * ONE, &product);
    multiply(session, y, &correction)
}

/// `1 / x` for `2^-40 <= x < 2^44`; for 0 the result is meaningless but finite. Error: relative
/// 2^-37 plus one unit. 29 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn reciprocal(session: &mut dyn Session, x: &Shared) -> Result<Shared, MpcError> {
    let (octave, power, _) = to_octave(session, x)?;
    let inverse = bounded_reciprocal(session, &octave)?;
    let moved = session.multiply_raw(&inverse, &power)?;
    session.truncate(moved, 44)
}

/// `a / x` for `0 < x < 2^44` and a quotient below 2^41. Error: relative 2^-37 plus one unit plus
/// `2^-40 / x`. 31 rounds.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn divide(session: &mut dyn Session, a: &Shared, x: &Shared) -> Result<Shared, MpcError> {
    let (octave, power, _) = to_octave(session, x)?;
    let inverse = bounded_reciprocal(session, &octave)?;
    let quotient = multiply(session, a, &inverse)?;
    let moved = session.multiply_raw(&quotient, &power)?;
    session.truncate(moved, 44)
}

/// Each of `columns`, as long as `x`, divided by `x`: as [`divide`], but what depends on `x` only is
/// computed once. 31 rounds.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn divide_each(
    session: &mut dyn Session,
    columns: &Shared,
    x: &Shared,
) -> Result<Shared, MpcError> {
    let times = columns.len() / x.len().max(1);
    let (octave, power, _) = to_octave(session, x)?;
    let inverse = bounded_reciprocal(session, &octave)?;
    let quotients = multiply(session, columns, &inverse.repeat(times))?;
    let moved = session.multiply_raw(&quotients, &power.repeat(times))?;
    session.truncate(moved, 44)
}

/// `1 / sqrt(b)` for `b` of `[1/4, 1]`: a parabola that is off by 0.0241, three Newton steps.
/// Error at most 8 units.
fn bounded_inverse_root(session: &mut dyn Session, b: &Shared) -> Result<Shared, MpcError> {
    // minimax for the relative error in u = (b - 5/8) / (3/8), written in b
    const IN_U: [f64; 3] =
        [1.257_549_290_720_260_8, -0.463_954_806_909_933_5, 0.230_442_183_160_834_2];
    const STRETCH: f64 = 8.0 / 3.0;
    const SHIFT: f64 = 5.0 / 3.0;
    let start = [
        IN_U[0] - IN_U[1] * SHIFT + IN_U[2] * SHIFT * SHIFT,
        STRETCH * (IN_U[1] - 2.0 * IN_U[2] * SHIFT),
        STRETCH * STRETCH * IN_U[2],
    ];
    let mut y = polynomial(session, b, &start)?;
    for _ in 0..3 {
        let square = crate::fixed::square(session, &y)?;
        let product = multiply(session, b, &square)?;
        let correction = subtract_from(session, 3 * ONE, &product);
        let raw = session.multiply_raw(&y, &correction)?;
        y = session.truncate(raw, FRACTION_BITS + 1)?;
    }
    Ok(y)
}

/// What both roots need: `b` in `[1/4, 1)`, `1/sqrt(b)` and two secret powers of two.
fn roots(
    session: &mut dyn Session,
    x: &Shared,
) -> Result<(Shared, Shared, Shared, Shared), MpcError> {
    let place = top_place(session, x)?;
    let even: &dyn Fn(u32) -> u32 = &|digit| 80_u32.saturating_sub(4 * digit);
    let even_within: &dyn Fn(u32) -> u32 = &|within| 2 - within / 2 * 2;
    let half_down: &dyn Fn(u32) -> u32 = &|digit| 40_u32.saturating_sub(2 * digit);
    let half_down_within: &dyn Fn(u32) -> u32 = &|within| 1 - within / 2;
    let half_up: &dyn Fn(u32) -> u32 = &|digit| 2 * digit;
    let half_up_within: &dyn Fn(u32) -> u32 = &|within| within / 2;
    let exponents = [(even, even_within), (half_down, half_down_within), (half_up, half_up_within)];
    let mut powers = secret_powers(session, &place, &exponents)?;
    let (up, down, power) = (powers.remove(2), powers.remove(1), powers.remove(0));
    let moved = session.multiply_raw(x, &power)?;
    let octaves = session.truncate(moved, 84 - FRACTION_BITS)?;
    let inverse = bounded_inverse_root(session, &octaves)?;
    Ok((octaves, inverse, down, up))
}

/// `1 / sqrt(x)` for `2^-40 <= x < 2^44`. Error: relative 2^-36 plus one unit. 37 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn inverse_sqrt(session: &mut dyn Session, x: &Shared) -> Result<Shared, MpcError> {
    let (_, inverse, down, _) = roots(session, x)?;
    let moved = session.multiply_raw(&inverse, &down)?;
    session.truncate(moved, 22)
}

/// `sqrt(x)` for `0 <= x < 2^44`. Error: relative 2^-36 plus one unit. 39 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn sqrt(session: &mut dyn Session, x: &Shared) -> Result<Shared, MpcError> {
    let (octaves, inverse, _, up) = roots(session, x)?;
    let root = multiply(session, &octaves, &inverse)?;
    let moved = session.multiply_raw(&root, &up)?;
    session.truncate(moved, 19)
}

/// The place of the top bit as an integer. 1 round.
pub(crate) fn place_number(session: &mut dyn Session, place: &Place) -> Result<Shared, MpcError> {
    let digits: Vec<Word> = (0..32).map(|digit| 4 * digit).collect();
    let digit = session.lookup(&place.digit, &[digits])?.remove(0);
    let within = session.lookup(&place.within, &[(0..4).collect()])?.remove(0);
    Ok(digit.plus(&within))
}

/// Whether a column of integers is 0, element by element, for `|x| < 2^126`. 6 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn is_zero(session: &mut dyn Session, x: &Shared) -> Result<Shared, MpcError> {
    let both = Shared::concat([x, &x.negated()]);
    let below = session.negative(&add_public(session, &both, Word::MAX))?;
    // x - 1 < 0 and -x - 1 < 0 only for 0
    let below = session.to_integers(&below)?;
    session.multiply_raw(&below.slice(0, x.len()), &below.slice(x.len(), 2 * x.len()))
}
