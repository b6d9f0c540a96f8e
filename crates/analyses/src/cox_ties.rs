//! Efron's ties on shares, without a step for each possible event at a time.
//!
//! Of `d` events at a time that are the part `delta` of their risk set, everything follows from
//! `G(delta) = sum_l f / (1 - f delta)`, `f = l / d`, l from 0 to d - 1, and its derivative: with
//! `q = 1 / (1 - f delta)` the sums over l are `q: d + delta G`, `f q: G`,
//! `q^2: d + 2 delta G + delta^2 G'`, `f q^2: G + delta G'`, `f^2 q^2: G'`, and the logarithms of
//! `1 - f delta` add up to minus the integral of `G`.
//!
//! `G` is a polynomial in each of a few public pieces of `1 - delta`, which get smaller towards 0, where
//! its poles are near. The coefficients of all pieces for the secret `d` are looked up once and masked
//! once; at each step the secret piece picks those that hold.

use konsil_mpc::{Masked, MpcError, Session, Shared, fixed};
use konsil_ring::{ONE, Word, encode};

/// Degree of the polynomials. A piece `[a, 3a/2]` has its nearest pole at four half widths from its
/// end, so that 12 coefficients leave 1e-12.
const DEGREE: usize = 11;
/// Coefficients, and the sum of the logarithms at the piece's middle.
const ROWS: usize = DEGREE + 2;

/// Ties at each point, up to a public number of them.
pub(crate) struct Ties {
    pub(crate) layers: usize,
    /// Events at each point, fixed point.
    events: Shared,
    pieces: Vec<Piece>,
    /// `[ROWS][piece]` for each point.
    tables: Vec<Masked>,
}

/// A stretch of `u = 1 - delta`, from `start` on.
struct Piece {
    start: f64,
    middle: f64,
    /// Half its length is `2^-fineness`.
    fineness: u32,
}

impl Piece {
    fn half(&self) -> f64 {
        0.5_f64.powi(i32::try_from(self.fineness).unwrap_or(0))
    }
}

/// Where polynomials serve up to `layers` events: `[0, 2^-j]`, then two for each octave up to 1.
fn pieces(layers: usize) -> Vec<Piece> {
    let mut octaves = 1;
    while layers >> (octaves - 1) > 0 {
        octaves += 1;
    }
    let power = |fineness: u32| 0.5_f64.powi(i32::try_from(fineness).unwrap_or(0));
    let mut all = vec![Piece { start: 0.0, middle: power(octaves + 1), fineness: octaves + 1 }];
    for octave in (1..=octaves).rev() {
        let (start, fineness) = (power(octave), octave + 2);
        for half in [0.0, 1.0] {
            let start = start * (1.0 + 0.5 * half);
            all.push(Piece { start, middle: start + power(fineness), fineness });
        }
    }
    all
}

/// Coefficients of `G` for `d` events in powers of `(u - middle) / half`, then the sum of the
/// logarithms at the middle. Interpolated at Chebyshev's points.
fn coefficients(events: usize, piece: &Piece) -> [f64; ROWS] {
    let count = DEGREE + 1;
    let part = |l: usize| l as f64 / events.max(1) as f64;
    let g = |u: f64| (1..events).map(|l| part(l) / (1.0 - part(l) * (1.0 - u))).sum::<f64>();
    let angle = |at: usize| (at as f64 + 0.5) * std::f64::consts::PI / count as f64;
    let values: Vec<f64> =
        (0..count).map(|at| g(piece.middle + piece.half() * libm::cos(angle(at)))).collect();
    let mut sum = [0.0; ROWS];
    // Chebyshev's polynomials in powers, one after the other
    let (mut before, mut now) = ([0.0; ROWS], [0.0; ROWS]);
    now[0] = 1.0;
    for k in 0..count {
        let nodes = values.iter().enumerate();
        let weight: f64 =
            nodes.map(|(at, value)| value * libm::cos(k as f64 * angle(at))).sum::<f64>();
        let weight = weight * if k == 0 { 1.0 } else { 2.0 } / count as f64;
        sum.iter_mut().zip(&now).for_each(|(sum, term)| *sum += weight * term);
        let factor = if k == 0 { 1.0 } else { 2.0 };
        let mut next = [0.0; ROWS];
        next.iter_mut().skip(1).zip(&now).for_each(|(next, term)| *next = factor * term);
        next.iter_mut().zip(&before).for_each(|(next, term)| *next -= term);
        (before, now) = (now, next);
    }
    let delta = 1.0 - piece.middle;
    sum[ROWS - 1] = (1..events).map(|l| libm::log1p(-part(l) * delta)).sum();
    sum
}

/// A polynomial at each point.
struct At {
    /// `delta`, `[point]`.
    delta: Shared,
    /// Powers of the place within the piece, from the first on, `[power][point]`.
    powers: Vec<Shared>,
    /// Coefficients, then the sum of the logarithms, `[ROWS][point]`.
    coefficients: Vec<Shared>,
    /// 1 for the piece that holds, `[piece][point]`, integers.
    chosen: Vec<Shared>,
}

impl Ties {
    /// Looks up and masks the polynomials. About 8 rounds; a look-up among the next power of two above
    /// `layers` and `13` masked numbers a piece for each point.
    pub(crate) fn new(
        session: &mut dyn Session,
        events: &Shared,
        layers: usize,
    ) -> Result<Self, MpcError> {
        let pieces = pieces(layers);
        let mut bits = 1;
        while layers >> bits > 0 {
            bits += 1;
        }
        let index = session.bits(events, 0, bits)?;
        let mut tables = vec![Vec::with_capacity(1 << bits); ROWS * pieces.len()];
        for count in 0..1_usize << bits {
            // more events than are prepared for end the analysis
            let count = if count > layers { 0 } else { count };
            for (at, piece) in pieces.iter().enumerate() {
                for (row, value) in coefficients(count, piece).into_iter().enumerate() {
                    if let Some(table) = tables.get_mut(row * pieces.len() + at) {
                        table.push(encode(value)?);
                    }
                }
            }
        }
        let looked_up = session.lookup(&index, &tables)?;
        let by_point = Shared::concat(&looked_up).transposed(looked_up.len(), events.len());
        let width = looked_up.len();
        let matrices: Vec<Shared> = (0..events.len())
            .map(|point| by_point.slice(point * width, (point + 1) * width))
            .collect();
        let shaped: Vec<(&Shared, (usize, usize))> =
            matrices.iter().map(|matrix| (matrix, (ROWS, pieces.len()))).collect();
        let tables = session.masks(&shaped)?;
        Ok(Self { layers, events: events.integer_to_fixed(), pieces, tables })
    }

    /// The polynomials that hold at the events' parts of the risk sets. About 20 rounds.
    fn at(&self, session: &mut dyn Session, delta: &Shared, degree: usize) -> Result<At, MpcError> {
        let (points, count) = (delta.len(), self.pieces.len());
        let rest = fixed::subtract_from(session, ONE, delta);
        let inner: Vec<Word> = (self.pieces.iter().skip(1))
            .map(|piece| Ok(encode(piece.start)?.wrapping_neg()))
            .collect::<Result<_, MpcError>>()?;
        let tests = inner.iter().map(|bound| fixed::add_public(session, &rest, *bound));
        let tests = Shared::concat(&tests.collect::<Vec<_>>());
        let below = session.negative(&tests)?;
        let below = session.to_integers(&below)?;
        let below = |at: usize| below.slice(at * points, (at + 1) * points);
        let ones = session.constant(&vec![1; points]);
        // below the next piece and not below this one
        let chosen: Vec<Shared> = (0..count)
            .map(|at| {
                let end = if at + 1 < count { below(at) } else { ones.clone() };
                if at == 0 { end } else { end.minus(&below(at - 1)) }
            })
            .collect();
        let fine = self.over_pieces(&chosen, &|piece| Ok(1 << piece.fineness))?;
        let middle = self.over_pieces(&chosen, &|piece| {
            Ok(encode(piece.middle / piece.half())?.cast_signed())
        })?;
        let place = session.multiply_raw(&fine, &rest)?.minus(&middle);
        let powers = fixed::powers(session, &place, degree)?;
        let by_point = Shared::concat(&chosen).transposed(count, points);
        let columns: Vec<Shared> =
            (0..points).map(|point| by_point.slice(point * count, (point + 1) * count)).collect();
        let shaped: Vec<(&Shared, (usize, usize))> =
            columns.iter().map(|column| (column, (count, 1))).collect();
        let masked = session.masks(&shaped)?;
        let products = self.tables.iter().zip(&masked);
        let products = products.map(|(table, column)| session.product(table, false, column));
        let products = products.collect::<Result<Vec<_>, _>>()?;
        let rows = Shared::concat(&products).transposed(points, ROWS);
        let row = |at: usize| rows.slice(at * points, (at + 1) * points);
        let coefficients = (0..ROWS).map(row).collect();
        Ok(At { delta: delta.clone(), powers, coefficients, chosen })
    }

    /// A public integer of the piece that holds, `[point]`.
    fn over_pieces(
        &self,
        chosen: &[Shared],
        value: &dyn Fn(&Piece) -> Result<i128, MpcError>,
    ) -> Result<Shared, MpcError> {
        let mut sum = Shared::zeros(chosen.first().map_or(0, Shared::len));
        for (piece, chosen) in self.pieces.iter().zip(chosen) {
            sum = sum.plus(&chosen.times_integer(value(piece)?));
        }
        Ok(sum)
    }

    /// Sums of `q`, `f q`, `q^2`, `f q^2`, `f^2 q^2` at each point, from the events' parts of the risk
    /// sets. About 30 rounds. Errors: 2^-34 of `G` and `G'`.
    pub(crate) fn weights(
        &self,
        session: &mut dyn Session,
        parts: &Shared,
    ) -> Result<[Shared; 5], MpcError> {
        let at = self.at(session, parts, DEGREE)?;
        let value = at.sum(session, (1, DEGREE), &|_| 1)?.plus(&at.coefficients[0]);
        // d/d delta = -(1 / half) d/d place; the first coefficient's derivative is that of no power
        let slope = at.sum(session, (2, DEGREE), &|k| k)?.plus(&at.coefficients[1]);
        let fine = self.over_pieces(&at.chosen, &|piece| Ok(-(1 << piece.fineness)))?;
        let slope = session.multiply_raw(&fine, &slope)?;
        let both = Shared::concat([&value, &slope]);
        let moved = fixed::multiply(session, &both, &at.delta.repeat(2))?;
        let (first, second) = (moved.slice(0, value.len()), moved.slice(value.len(), moved.len()));
        let twice = fixed::multiply(session, &second, &at.delta)?;
        let q = self.events.plus(&first);
        let squares = q.plus(&first).plus(&twice);
        Ok([q, value.clone(), squares, value.plus(&second), slope])
    }

    /// The sum of the logarithms of what is left of the risk set at each point.
    pub(crate) fn logarithms(
        &self,
        session: &mut dyn Session,
        parts: &Shared,
    ) -> Result<Shared, MpcError> {
        let at = self.at(session, parts, DEGREE + 1)?;
        let middle = &at.coefficients[ROWS - 1];
        // the integral of the powers, from the middle on
        let mut parts = Vec::new();
        for k in 0..=DEGREE {
            let factor = encode(1.0 / (k + 1) as f64)?.cast_signed();
            parts.push(at.coefficients[k].times_integer(factor));
        }
        let scaled = session.truncate(Shared::concat(&parts), 40)?;
        let points = middle.len();
        let rows = scaled.transposed(DEGREE + 1, points);
        let powers = Shared::concat(&at.powers).transposed(DEGREE + 1, points);
        let sum = fixed::dot(session, &rows, &powers, DEGREE + 1)?;
        let half = |piece: &Piece| Ok(encode(piece.half())?.cast_signed());
        let half = self.over_pieces(&at.chosen, &half)?;
        Ok(middle.plus(&fixed::multiply(session, &half, &sum)?))
    }
}

impl At {
    /// `sum factor(k) c_k place^(k - factor's power)` over a range of coefficients: with the first of
    /// them goes the first power.
    fn sum(
        &self,
        session: &mut dyn Session,
        (first, last): (usize, usize),
        factor: &dyn Fn(i128) -> i128,
    ) -> Result<Shared, MpcError> {
        let count = last - first + 1;
        let points = self.delta.len();
        let scaled = |k: usize| {
            let factor = factor(i128::try_from(k).unwrap_or(0));
            self.coefficients[k].times_integer(factor)
        };
        let rows = Shared::concat(&(first..=last).map(scaled).collect::<Vec<_>>());
        let powers = Shared::concat(self.powers.iter().take(count));
        fixed::dot(
            session,
            &rows.transposed(count, points),
            &powers.transposed(count, points),
            count,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Value, slope and integral of the polynomials, from many events at a time to the pole's end.
    #[test]
    fn polynomials_are_the_sums_over_ties() {
        for layers in [1, 6, 46, 256] {
            let pieces = pieces(layers);
            for events in [1, 2, layers / 2, layers] {
                for step in 0..=200_u32 {
                    let u = (f64::from(step) / 200.0).powi(3);
                    let piece = pieces.iter().rfind(|piece| piece.start <= u).unwrap();
                    let place = (u - piece.middle) / piece.half();
                    assert!(place.abs() <= 1.0 + 1e-12, "{u} {place}");
                    let c = coefficients(events, piece);
                    let terms = || (1..events).map(|l| l as f64 / events as f64);
                    let left = |f: f64| 1.0 - f * (1.0 - u);
                    let g: f64 = terms().map(|f| f / left(f)).sum();
                    let slope: f64 = terms().map(|f| (f / left(f)).powi(2)).sum();
                    let logs: f64 = terms().map(|f| left(f).ln()).sum();
                    let power = |k: usize| place.powi(i32::try_from(k).unwrap());
                    let value: f64 = (0..=DEGREE).map(|k| c[k] * power(k)).sum();
                    let derived: f64 = (1..=DEGREE).map(|k| k as f64 * c[k] * power(k - 1)).sum();
                    let integral: f64 =
                        (0..=DEGREE).map(|k| c[k] * power(k + 1) / (k + 1) as f64).sum();
                    let close =
                        |a: f64, b: f64, bound: f64| (a - b).abs() <= bound * (1.0 + b.abs());
                    assert!(close(value, g, 1e-10), "{layers} {events} {u}: {value} {g}");
                    let derived = -derived / piece.half();
                    assert!(
                        close(derived, slope, 1e-8),
                        "{layers} {events} {u}: {derived} {slope}"
                    );
                    let sum = c[ROWS - 1] + piece.half() * integral;
                    assert!(close(sum, logs, 1e-10), "{layers} {events} {u}: {sum} {logs}");
                }
            }
        }
    }
}
