//! Linear algebra on shared matrices, row by row, in fixed point.

use crate::fixed::{add_public, at_least, multiply, subtract_from};
use crate::normalise::inverse_sqrt;
use crate::session::{MpcError, Session};
use crate::shared::{Bits, Shared};
use crate::steps::matrix_raw;
use konsil_ring::{FRACTION_BITS, ONE, Word, encode};

/// Squarings of the remainder: enough for a smallest eigenvalue of `order * 1e-7` of the matrix
/// with unit diagonal.
const SQUARINGS: usize = 28;

/// Newton-Schulz steps afterwards, which take out the rounding of the squarings.
const CORRECTIONS: usize = 3;

/// Order of the largest matrix that is inverted.
pub const ORDER_MAX: usize = 64;

/// The product of two fixed-point matrices. Error `k + 1` units. 2 rounds (one more for each block
/// of columns beyond the first), m·k + k·n + m·n words opened.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn product(
    session: &mut dyn Session,
    left: &Shared,
    right: &Shared,
    shape: (usize, usize, usize),
) -> Result<Shared, MpcError> {
    let raw = matrix_raw(session, left, right, shape)?;
    session.truncate(raw, FRACTION_BITS)
}

/// The inverse `D X D` of a symmetric positive definite matrix, in parts of moderate size.
#[derive(Debug)]
pub struct Inverse {
    /// `X`, the inverse of the matrix scaled to a unit diagonal, `[order][order]`.
    pub scaled: Shared,
    /// The diagonal of `D`: the inverse roots of the matrix's diagonal, `[order]`.
    pub scales: Shared,
    /// The diagonal of the scaled matrix times `X`: 1 in each column that can be told apart.
    image: Shared,
    order: usize,
}

/// Inverts a symmetric positive definite matrix of order 1 to 64.
///
/// The matrix is scaled to a unit diagonal, see [`inverse_scaled`]. 38 + 2 + 70 rounds, whatever
/// the order.
///
/// # Errors
/// [`MpcError::Shape`] for an order out of range, [`MpcError::Wire`].
pub fn inverse(
    session: &mut dyn Session,
    matrix: &Shared,
    order: usize,
) -> Result<Inverse, MpcError> {
    let diagonal = matrix.pick((0..order).map(|i| i * (order + 1)));
    let scales = inverse_sqrt(session, &diagonal)?;
    inverse_scaled(session, matrix, scales)
}

/// Inverts a symmetric positive definite matrix with known scales: `D H D` must have a diagonal of
/// at most 1.9, and of at least a hundredth for good digits.
///
/// From `X = I / order` and the remainder `R = I - H X`: `X <- X + X R`, `R <- R R`, 28 times, two
/// products at once; then `X <- X (2 I - H X)` three times (Schulz 1933; Ben-Israel and Cohen
/// 1966). Error of `X`: about `order * condition * 2^-40`. 2 + 2 * 28 + 4 * 3 rounds.
///
/// # Errors
/// As [`inverse`].
pub fn inverse_scaled(
    session: &mut dyn Session,
    matrix: &Shared,
    scales: Shared,
) -> Result<Inverse, MpcError> {
    let order = scales.len();
    let cells = order * order;
    if order == 0 || order > ORDER_MAX || matrix.len() != cells {
        return Err(MpcError::Shape { left: matrix.len(), right: cells });
    }
    let by_row = scales.pick((0..cells).map(|at| at / order));
    let half = multiply(session, matrix, &by_row)?;
    let unit = multiply(session, &half, &scales.repeat(order))?;
    let start = encode(1.0 / order as f64)?;
    let diagonal = |value: Word| -> Vec<Word> {
        (0..cells).map(|at| if at / order == at % order { value } else { 0 }).collect()
    };
    let mut x = session.constant(&diagonal(start));
    let first = session.truncate(unit.times_integer(start.cast_signed()), FRACTION_BITS)?;
    let mut remainder = session.constant(&diagonal(ONE)).minus(&first);
    for _ in 0..SQUARINGS {
        let both = Shared::concat([&x, &remainder]);
        let masked = session.masks(&[(&both, (2 * order, order)), (&remainder, (order, order))])?;
        let [left, right] = masked.as_slice() else {
            return Err(MpcError::Shape { left: masked.len(), right: 2 });
        };
        let raw = session.product(left, false, right)?;
        let products = session.truncate(raw, FRACTION_BITS)?;
        x = x.plus(&products.slice(0, cells));
        remainder = products.slice(cells, 2 * cells);
    }
    let masked = session.mask(&unit, (order, order))?;
    let twice = session.constant(&diagonal(2 * ONE));
    let mut image = Shared::zeros(cells);
    for _ in 0..CORRECTIONS {
        let masked_x = session.mask(&x, (order, order))?;
        let raw = session.product(&masked, false, &masked_x)?;
        image = session.truncate(raw, FRACTION_BITS)?;
        let correction = session.mask(&twice.minus(&image), (order, order))?;
        let raw = session.product(&masked_x, false, &correction)?;
        x = session.truncate(raw, FRACTION_BITS)?;
    }
    let image = image.pick((0..order).map(|i| i * (order + 1)));
    Ok(Inverse { scaled: x, scales, image, order })
}

impl Inverse {
    /// For each column, whether the inverse stands: 0 where the column is, to six digits, a linear
    /// combination of others. 4 rounds.
    ///
    /// # Errors
    /// [`MpcError::Wire`].
    pub fn sound(&self, session: &mut dyn Session) -> Result<Bits, MpcError> {
        at_least(session, &self.image, encode(1.0 - 1e-6)?)
    }

    /// A matrix with the same scales around it: `D other D`. No messages.
    #[must_use]
    pub fn around(&self, other: Shared) -> Self {
        Self {
            scaled: other,
            scales: self.scales.clone(),
            image: self.image.clone(),
            order: self.order,
        }
    }

    /// The inverse times a column. Error: that of `X` times the scaled column. 6 rounds.
    ///
    /// # Errors
    /// [`MpcError::Shape`], [`MpcError::Wire`].
    pub fn times(&self, session: &mut dyn Session, column: &Shared) -> Result<Shared, MpcError> {
        let scaled = multiply(session, &self.scales, column)?;
        let image = product(session, &self.scaled, &scaled, (self.order, self.order, 1))?;
        multiply(session, &self.scales, &image)
    }

    /// The whole inverse with 60 fractional bits, because variances are small. 4 rounds.
    ///
    /// # Errors
    /// [`MpcError::Wire`].
    pub fn all_60(&self, session: &mut dyn Session) -> Result<Shared, MpcError> {
        let cells = self.order * self.order;
        let by_row = self.scales.pick((0..cells).map(|at| at / self.order));
        let raw = session.multiply_raw(&self.scaled, &by_row)?;
        let fine = session.truncate(raw, 20)?;
        let raw = session.multiply_raw(&fine, &self.scales.repeat(self.order))?;
        session.truncate(raw, FRACTION_BITS)
    }
}

/// The lower triangle `L` with `L L' = matrix`, and the inverses of its diagonal.
///
/// Right-looking, column by column; the order times 41 rounds. Error about `condition * 2^-40`.
/// The upper triangle of the result is 0.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn cholesky(
    session: &mut dyn Session,
    matrix: &Shared,
    order: usize,
) -> Result<(Shared, Shared), MpcError> {
    if order == 0 || order > ORDER_MAX || matrix.len() != order * order {
        return Err(MpcError::Shape { left: matrix.len(), right: order * order });
    }
    let mut rest = matrix.clone();
    let mut lower = Shared::zeros(order * order);
    let mut inverses = Vec::with_capacity(order);
    for j in 0..order {
        let column = rest.pick((j..order).map(|i| i * order + j));
        let inverse = inverse_sqrt(session, &column.slice(0, 1))?;
        let column = multiply(session, &column, &inverse.repeat(order - j))?;
        for (i, part) in (j..order).zip(&column.part) {
            lower.part[i * order + j] = *part;
        }
        inverses.push(inverse);
        let below: Vec<(usize, usize)> =
            (j + 1..order).flat_map(|i| (j + 1..order).map(move |k| (i, k))).collect();
        let left = column.pick(below.iter().map(|(i, _)| i - j));
        let right = column.pick(below.iter().map(|(_, k)| k - j));
        let update = multiply(session, &left, &right)?;
        for ((i, k), part) in below.into_iter().zip(&update.part) {
            let at = i * order + k;
            rest.part[at] = rest.part[at].wrapping_sub(*part);
        }
    }
    Ok((lower, Shared::concat(&inverses)))
}

/// Solves `L y = b` for a lower triangle with known inverse diagonal. The order times 4 rounds.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn solve_lower(
    session: &mut dyn Session,
    lower: &Shared,
    inverses: &Shared,
    right: &Shared,
) -> Result<Shared, MpcError> {
    let order = right.len();
    if lower.len() != order * order || inverses.len() != order {
        return Err(MpcError::Shape { left: lower.len(), right: order * order });
    }
    let mut rest = right.clone();
    let mut solution = Vec::with_capacity(order);
    for j in 0..order {
        let value = multiply(session, &rest.slice(j, j + 1), &inverses.slice(j, j + 1))?;
        if j + 1 < order {
            let column = lower.pick((j + 1..order).map(|i| i * order + j));
            let update = multiply(session, &column, &value.repeat(order - j - 1))?;
            for (i, part) in (j + 1..order).zip(&update.part) {
                rest.part[i] = rest.part[i].wrapping_sub(*part);
            }
        }
        solution.push(value);
    }
    Ok(Shared::concat(&solution))
}

/// Solves `L' x = y`, the upper triangle being the transpose of `lower`. The order times 4 rounds.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn solve_upper(
    session: &mut dyn Session,
    lower: &Shared,
    inverses: &Shared,
    right: &Shared,
) -> Result<Shared, MpcError> {
    let order = right.len();
    if lower.len() != order * order {
        return Err(MpcError::Shape { left: lower.len(), right: order * order });
    }
    // the transpose, read from the far corner, is a lower triangle
    let turned = lower.pick((0..order * order).map(|at| {
        let (i, j) = (order - 1 - at / order, order - 1 - at % order);
        j * order + i
    }));
    let backwards = |column: &Shared| column.pick((0..column.len()).rev());
    let solution = solve_lower(session, &turned, &backwards(inverses), &backwards(right))?;
    Ok(backwards(&solution))
}

/// `1 - x` of a column of shared verdicts. No messages.
#[must_use]
pub fn complement(session: &dyn Session, x: &Shared) -> Shared {
    subtract_from(session, 1, x)
}

/// Whether at least `least` of the integers add up: a verdict for thresholds. 5 rounds.
///
/// # Errors
/// [`MpcError::Wire`].
pub fn reaches(session: &mut dyn Session, counts: &Shared, least: u64) -> Result<Shared, MpcError> {
    let shifted = add_public(session, counts, Word::from(least).wrapping_neg());
    let below = session.negative(&shifted)?;
    let bits = session.not(&below);
    session.to_integers(&bits)
}
