//! Many small problems at once on shares: products, inverses, the smallest of a column.

use crate::analysis::AnalysisError;
use konsil_mpc::{Masked, MpcError, Opening, Session, Shared, fixed, linear, normalise};
use konsil_ring::{FRACTION_BITS, ONE, Word, encode};

/// As in the inverse of one matrix: enough for a smallest eigenvalue of `order * 1e-7`.
const SQUARINGS: usize = 28;
const CORRECTIONS: usize = 3;

/// Masks `[count][rows][columns]`, matrix by matrix. 1 round.
pub(crate) fn mask_all(
    session: &mut dyn Session,
    matrices: &Shared,
    shape: (usize, usize),
) -> Result<Vec<Masked>, MpcError> {
    let len = (shape.0 * shape.1).max(1);
    let count = matrices.len() / len;
    let parts: Vec<Shared> =
        (0..count).map(|at| matrices.slice(at * len, (at + 1) * len)).collect();
    let parts: Vec<(&Shared, (usize, usize))> = parts.iter().map(|it| (it, shape)).collect();
    session.masks(&parts)
}

/// The raw products of matrices, pair by pair. No messages.
pub(crate) fn raw_products(
    session: &mut dyn Session,
    left: &[Masked],
    right: &[Masked],
) -> Result<Shared, MpcError> {
    let mut products = Vec::with_capacity(left.len());
    for (left, right) in left.iter().zip(right) {
        products.push(session.product(left, false, right)?);
    }
    Ok(Shared::concat(&products))
}

/// The products of `[count][rows][columns]` with masked matrices. Error `columns + 1` units. 2
/// rounds.
pub(crate) fn products(
    session: &mut dyn Session,
    (left, shape): (&Shared, (usize, usize)),
    right: &[Masked],
) -> Result<Shared, MpcError> {
    let left = mask_all(session, left, shape)?;
    let raw = raw_products(session, &left, right)?;
    session.truncate(raw, FRACTION_BITS)
}

/// The inverses of symmetric positive definite matrices of unit diagonal, `[count][order][order]`, by
/// the steps of `konsil_mpc::linear::inverse_scaled`. 68 rounds, however many.
pub(crate) fn inverses(
    session: &mut dyn Session,
    unit: &Shared,
    order: usize,
) -> Result<Shared, MpcError> {
    let cells = (order * order).max(1);
    let count = unit.len() / cells;
    let start = encode(1.0 / order.max(1) as f64)?;
    let diagonal = |value: Word| -> Vec<Word> {
        let one = (0..cells).map(|at| if at / order == at % order { value } else { 0 });
        one.collect::<Vec<_>>().repeat(count)
    };
    let mut x = session.constant(&diagonal(start));
    let first = session.truncate(unit.times_integer(start.cast_signed()), FRACTION_BITS)?;
    let mut remainder = session.constant(&diagonal(ONE)).minus(&first);
    for _ in 0..SQUARINGS {
        let one = |all: &Shared, at: usize| all.slice(at * cells, (at + 1) * cells);
        let both: Vec<Shared> =
            (0..count).flat_map(|at| [one(&x, at), one(&remainder, at)]).collect();
        let both = Shared::concat(&both);
        let mut masked = mask_all(session, &both, (2 * order, order))?;
        let right = mask_all(session, &remainder, (order, order))?;
        let raw = raw_products(session, &masked, &right)?;
        masked.clear();
        let products = session.truncate(raw, FRACTION_BITS)?;
        let half = |side: usize| {
            products
                .pick((0..count * cells).map(|at| (2 * (at / cells) + side) * cells + at % cells))
        };
        x = x.plus(&half(0));
        remainder = half(1);
    }
    let masked = mask_all(session, unit, (order, order))?;
    let twice = session.constant(&diagonal(2 * ONE));
    for _ in 0..CORRECTIONS {
        let masked_x = mask_all(session, &x, (order, order))?;
        let raw = raw_products(session, &masked, &masked_x)?;
        let image = session.truncate(raw, FRACTION_BITS)?;
        let correction = mask_all(session, &twice.minus(&image), (order, order))?;
        let raw = raw_products(session, &masked_x, &correction)?;
        x = session.truncate(raw, FRACTION_BITS)?;
    }
    Ok(x)
}

/// The inverses `D X D` of symmetric positive definite matrices.
pub(crate) struct Inverses {
    /// `X`, `[count][order][order]`.
    scaled: Shared,
    /// `D`, `[count][order]`.
    scales: Shared,
    order: usize,
}

impl Inverses {
    /// Inverts `[count][order][order]`. 110 rounds.
    pub(crate) fn new(
        session: &mut dyn Session,
        matrices: &Shared,
        order: usize,
    ) -> Result<Self, MpcError> {
        let count = matrices.len() / (order * order).max(1);
        let diagonal = matrices.pick(
            (0..count * order).map(|at| at / order * order * order + at % order * (order + 1)),
        );
        let scales = normalise::inverse_sqrt(session, &diagonal)?;
        let half = fixed::multiply(session, matrices, &Self::by_row(&scales, order))?;
        let unit = fixed::multiply(session, &half, &Self::by_column(&scales, order))?;
        Ok(Self { scaled: inverses(session, &unit, order)?, scales, order })
    }

    fn by_row(scales: &Shared, order: usize) -> Shared {
        scales.pick((0..scales.len() * order).map(|at| at / order))
    }

    fn by_column(scales: &Shared, order: usize) -> Shared {
        let cells = order * order;
        scales.pick((0..scales.len() * order).map(|at| at / cells * order + at % order))
    }

    /// The inverses times `[count][order]`. 6 rounds.
    pub(crate) fn times(
        &self,
        session: &mut dyn Session,
        columns: &Shared,
    ) -> Result<Shared, MpcError> {
        let scaled = fixed::multiply(session, &self.scales, columns)?;
        let masked = mask_all(session, &self.scaled, (self.order, self.order))?;
        let image = products(session, (&scaled, (1, self.order)), &masked)?;
        fixed::multiply(session, &self.scales, &image)
    }

    /// All entries with 60 fractional bits. 4 rounds.
    pub(crate) fn all_60(&self, session: &mut dyn Session) -> Result<Shared, MpcError> {
        let raw = session.multiply_raw(&self.scaled, &Self::by_row(&self.scales, self.order))?;
        let fine = session.truncate(raw, 20)?;
        let raw = session.multiply_raw(&fine, &Self::by_column(&self.scales, self.order))?;
        session.truncate(raw, FRACTION_BITS)
    }
}

/// Opens which number is the smallest, the first of those that differ by less than `equal`. 11
/// rounds.
pub(crate) fn smallest(
    session: &mut dyn Session,
    opening: Opening,
    (numbers, equal): (&Shared, f64),
) -> Result<usize, AnalysisError> {
    let count = numbers.len();
    if count < 2 {
        return Ok(0);
    }
    let pairs: Vec<(usize, usize)> =
        (1..count).flat_map(|later| (0..later).map(move |it| (it, later))).collect();
    let earlier = numbers.pick(pairs.iter().map(|it| it.0));
    let later = numbers.pick(pairs.iter().map(|it| it.1));
    let later = fixed::add_public(session, &later, encode(equal)?);
    let smaller = fixed::less(session, &later, &earlier)?;
    let smaller = session.to_integers(&smaller)?;
    let not = linear::complement(session, &smaller);
    let lost = |number: usize| {
        let places = |side: fn(&(usize, usize)) -> usize| {
            let fits = pairs.iter().enumerate().filter(|(_, it)| side(it) == number);
            fits.map(|(at, _)| at).collect::<Vec<_>>()
        };
        smaller.pick(places(|it| it.0)).total().plus(&not.pick(places(|it| it.1)).total())
    };
    let lost: Vec<Shared> = (0..count).map(lost).collect();
    let lost = linear::reaches(session, &Shared::concat(&lost), 1)?;
    let opened = session.open(opening, &lost)?;
    Ok(opened.iter().position(|lost| *lost == 0).unwrap_or(0))
}
