//! The shared backend's protocols, chunk by chunk: what is masked, opened and put together.

use crate::circuits;
use crate::correlation::Kind;
use crate::engine::{SharedSession, split};
use crate::monomials::Gate;
use crate::session::{MpcError, Session};
use crate::shared::Shared;
use konsil_ring::{Word, lanes_to_words};

const TOP: Word = 1 << 127;

/// Words of a matrix product that are worked on at a time.
const PRODUCT_CHUNK: usize = 1 << 18;

impl SharedSession {
    /// Runs `step` on chunks of columns of one length.
    pub(crate) fn chunked(
        &mut self,
        columns: &[&Shared],
        chunk: usize,
        mut step: impl FnMut(&mut Self, &[&[Word]]) -> Result<Vec<Word>, MpcError>,
    ) -> Result<Shared, MpcError> {
        let len = columns.first().map_or(0, |column| column.len());
        if let Some(other) = columns.iter().find(|column| column.len() != len) {
            return Err(MpcError::Shape { left: len, right: other.len() });
        }
        let mut part = Vec::with_capacity(len);
        for start in (0..len).step_by(chunk.max(1)) {
            let end = (start + chunk).min(len);
            let pieces: Vec<&[Word]> =
                columns.iter().map(|column| &column.part[start..end]).collect();
            part.append(&mut step(self, &pieces)?);
        }
        Ok(Shared::from_part(part))
    }

    /// Puts parts together in the width in force.
    fn exchange(&mut self, part: Vec<Word>) -> Result<Vec<Word>, MpcError> {
        self.party.exchange_narrow(part, self.width)
    }

    pub(crate) fn multiply_chunk(&mut self, a: &[Word], b: &[Word]) -> Result<Vec<Word>, MpcError> {
        let len = a.len();
        let drawn = self.party.draw(Kind::Triple { len })?;
        if self.party.is_dry() {
            self.exchange(vec![0; 2 * len])?;
            return Ok(vec![0; len]);
        }
        let (masks, mut result) = split(drawn.words, drawn.free);
        let values = a.iter().chain(b);
        let opened = values.zip(&masks).map(|(x, mask)| x.wrapping_sub(*mask)).collect();
        let opened = self.exchange(opened)?;
        let (d, e) = opened.split_at(len);
        let (mask_a, mask_b) = masks.split_at(len);
        let first = Word::from(self.is_first());
        for (i, result) in result.iter_mut().enumerate() {
            let with_b = mask_b[i].wrapping_add(e[i].wrapping_mul(first));
            let sum = d[i].wrapping_mul(with_b).wrapping_add(e[i].wrapping_mul(mask_a[i]));
            *result = result.wrapping_add(sum);
        }
        Ok(result)
    }

    pub(crate) fn square_chunk(&mut self, a: &[Word]) -> Result<Vec<Word>, MpcError> {
        let drawn = self.party.draw(Kind::Square { len: a.len() })?;
        if self.party.is_dry() {
            return self.exchange(vec![0; a.len()]);
        }
        let (masks, mut result) = split(drawn.words, drawn.free);
        let opened = a.iter().zip(&masks).map(|(x, mask)| x.wrapping_sub(*mask)).collect();
        let opened = self.exchange(opened)?;
        let first = Word::from(self.is_first());
        for ((result, d), mask) in result.iter_mut().zip(&opened).zip(&masks) {
            let cross = mask.wrapping_mul(2).wrapping_add(d.wrapping_mul(first));
            *result = result.wrapping_add(d.wrapping_mul(cross));
        }
        Ok(result)
    }

    pub(crate) fn dot_chunk(
        &mut self,
        a: &[Word],
        b: &[Word],
        len: usize,
    ) -> Result<Vec<Word>, MpcError> {
        let (rows, cells) = (a.len() / len.max(1), a.len());
        let drawn = self.party.draw(Kind::Dot { rows, len })?;
        if self.party.is_dry() {
            self.exchange(vec![0; 2 * cells])?;
            return Ok(vec![0; rows]);
        }
        let (masks, mut result) = split(drawn.words, drawn.free);
        let values = a.iter().chain(b);
        let opened = values.zip(&masks).map(|(x, mask)| x.wrapping_sub(*mask)).collect();
        let opened = self.exchange(opened)?;
        let (d, e) = opened.split_at(cells);
        let (mask_a, mask_b) = masks.split_at(cells);
        let first = Word::from(self.is_first());
        for (row, result) in result.iter_mut().enumerate() {
            for i in row * len..(row + 1) * len {
                let with_b = mask_b[i].wrapping_add(e[i].wrapping_mul(first));
                let sum = d[i].wrapping_mul(with_b).wrapping_add(e[i].wrapping_mul(mask_a[i]));
                *result = result.wrapping_add(sum);
            }
        }
        Ok(result)
    }

    pub(crate) fn truncate_chunk(&mut self, x: &mut [Word], shift: u32) -> Result<(), MpcError> {
        const OFFSET: Word = 1 << 126;
        let drawn = self.party.draw(Kind::Truncate { len: x.len(), shift })?;
        if self.party.is_dry() {
            self.party.exchange(vec![0; x.len()], false)?;
            return Ok(());
        }
        let (masks, tail) = drawn.words.split_at(drawn.free);
        let first = self.is_first();
        let offset = if first { OFFSET } else { 0 };
        let masked = |(x, mask): (&Word, &Word)| x.wrapping_add(*mask).wrapping_add(offset);
        let opened = self.party.exchange(x.iter().zip(masks).map(masked).collect(), false)?;
        let (low, tops) = tail.split_at(x.len());
        let tops: &[u64] = bytemuck::cast_slice(tops);
        let unit = 1 << (127 - shift);
        let shifted_offset = if first { OFFSET >> shift } else { 0 };
        for (((x, c), low), top) in x.iter_mut().zip(&opened).zip(low).zip(tops) {
            // v = msb(c) XOR msb(r), in units of 2^(127-shift)
            let top = Word::from(*top).wrapping_mul(unit);
            let (carry, public) = if c & TOP == 0 { (top, 0) } else { (top.wrapping_neg(), unit) };
            let public = public.wrapping_add((c & !TOP) >> shift);
            let public = if first { public } else { 0 };
            *x = public.wrapping_add(carry).wrapping_sub(*low).wrapping_sub(shifted_offset);
        }
        Ok(())
    }

    /// Opens `x` under a mask and hands the opened planes and the mask's digit products to `step`.
    pub(crate) fn open_digits(
        &mut self,
        x: &Shared,
        digits: usize,
    ) -> Result<circuits::Digits, MpcError> {
        let lanes = x.len();
        let words = lanes_to_words(lanes);
        let drawn = self.party.draw(Kind::Borrow { lanes, digits })?;
        if self.party.is_dry() {
            self.exchange(vec![0; lanes])?;
            return Ok(circuits::Digits::zeros(words, digits));
        }
        let (masks, monomials) = split(drawn.words, drawn.free);
        let opened = x.part.iter().zip(&masks).map(|(x, mask)| x.wrapping_add(*mask)).collect();
        let opened = self.exchange(opened)?;
        Ok(circuits::Digits::new(&opened, monomials, self.ones()))
    }

    /// The products of several batches of gates in one exchange. Variables and products are planes
    /// that stand one after another.
    pub(crate) fn gate_words(
        &mut self,
        batches: &[(Gate, Vec<u128>)],
    ) -> Result<Vec<Vec<u128>>, MpcError> {
        let mut drawn = Vec::with_capacity(batches.len());
        let mut masked: Vec<u128> = Vec::new();
        for (gate, variables) in batches {
            let words = variables.len() / gate.variables();
            let masks = self.party.draw(Kind::Gates { gate: *gate, words })?;
            if self.party.is_dry() {
                masked.resize(masked.len() + variables.len(), 0);
            } else {
                masked.extend(variables.iter().zip(&masks.words).map(|(v, mask)| v ^ mask));
            }
            drawn.push(masks);
        }
        let opened = self.party.exchange(masked, true)?;
        let mut at = 0;
        let mut products = Vec::with_capacity(batches.len());
        for ((gate, variables), masks) in batches.iter().zip(drawn) {
            let words = variables.len() / gate.variables();
            if self.party.is_dry() {
                products.push(vec![0; gate.products().len() * words]);
                continue;
            }
            let own = &opened[at..at + variables.len()];
            products.push(circuits::evaluate(*gate, words, own, &masks.words, self.ones()));
            at += variables.len();
        }
        Ok(products)
    }
}

/// The raw product of shared matrices: `left` is masked once, `right` block of columns by block.
///
/// Opens m·k + k·n words, one round for each block of columns and one for `left`.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn matrix_raw(
    session: &mut dyn Session,
    left: &Shared,
    right: &Shared,
    (m, k, n): (usize, usize, usize),
) -> Result<Shared, MpcError> {
    if left.len() != m * k || right.len() != k * n {
        return Err(MpcError::Shape { left: left.len(), right: right.len() });
    }
    let masked_left = session.mask(left, (m, k))?;
    let block = (PRODUCT_CHUNK / m.max(1)).max(1);
    if n <= block {
        let masked_right = session.mask(right, (k, n))?;
        return session.product(&masked_left, false, &masked_right);
    }
    let mut result = vec![0; m * n];
    for start in (0..n).step_by(block) {
        let width = (n - start).min(block);
        let columns =
            right.pick((0..k).flat_map(|row| (start..start + width).map(move |j| row * n + j)));
        let masked_right = session.mask(&columns, (k, width))?;
        let product = session.product(&masked_left, false, &masked_right)?;
        for (row, words) in product.part.chunks(width).enumerate() {
            result[row * n + start..][..width].copy_from_slice(words);
        }
    }
    Ok(Shared::from_part(result))
}
