//! The shared backend: what the operations of a session do with shares.

use crate::circuits;
use crate::correlation::{Kind, Product};
use crate::matrix;
use crate::monomials::Gate;
use crate::party::{Links, Party, Topology};
use crate::session::{Audience, Cost, Ledger, Masked, MpcError, Opening, Session};
use crate::shared::{Bits, Shared};
use crate::wire::Traffic;
use konsil_ring::{LANES, Word, lanes_to_words};

/// Elements that are worked on at a time: small enough for the caches, large enough that the
/// network's fixed costs vanish.
pub(crate) const CHUNK: usize = 1 << 14;

/// Words of a matrix product that are worked on at a time.
const PRODUCT_CHUNK: usize = 1 << 18;

/// Words that an owner sends in one message.
const OWN_CHUNK: usize = 1 << 19;

const TOP: Word = 1 << 127;

/// A session on shares, live or dry.
#[derive(Debug)]
pub struct SharedSession {
    party: Party,
    manifest: Vec<Opening>,
    ledger: Ledger,
    released: Vec<(Opening, Vec<Word>)>,
}

impl SharedSession {
    /// A session over real links. Only what `manifest` lists can be opened or released.
    #[must_use]
    pub fn live(links: Links, topology: Topology, manifest: &[Opening]) -> Self {
        Self::new(Party::live(links, topology), manifest)
    }

    /// A session without links, on zeros: costs, correlations and ledger of a program beforehand.
    /// Everything that is opened reads as 0.
    #[must_use]
    pub fn dry(me: usize, parties: usize, topology: Topology, manifest: &[Opening]) -> Self {
        Self::new(Party::dry(me, parties, topology), manifest)
    }

    fn new(party: Party, manifest: &[Opening]) -> Self {
        let manifest = manifest.to_vec();
        Self {
            party,
            manifest,
            ledger: Ledger::default(),
            released: Vec::new(),
        }
    }

    /// The correlations that a dry run has found to be needed, in order.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        self.party.kinds()
    }

    /// This party's parts of everything released, for sealing to the researcher.
    #[must_use]
    pub fn into_released(self) -> Vec<(Opening, Vec<Word>)> {
        self.released
    }

    /// Ends one program of the session and begins the next, with another manifest. Gives back the
    /// ledger and the parts of what was released since the last time.
    pub fn next_program(&mut self, manifest: &[Opening]) -> (Ledger, Vec<(Opening, Vec<Word>)>) {
        self.manifest = manifest.to_vec();
        (std::mem::take(&mut self.ledger), std::mem::take(&mut self.released))
    }

    /// Leaves out correlations that a program which ended early has not used, so that the next one
    /// begins where it was planned to. `planned` are all correlations of the session, in order.
    ///
    /// # Errors
    /// [`MpcError::Wire`] when the dealer's corrections for them cannot be read.
    pub fn skip_to(&mut self, planned: &[Kind], number: u64) -> Result<(), MpcError> {
        self.party.skip_to(planned, number)
    }

    /// Ends the session with a public reason that the other parties get.
    pub fn abort(&mut self, reason: &str) {
        self.party.abort(reason);
    }

    /// What the wire says it has sent; equal to [`Cost::bytes`] or something is wrong.
    #[must_use]
    pub fn traffic(&self) -> Option<Traffic> {
        self.party.wire().map(crate::wire::Wire::traffic)
    }

    fn is_first(&self) -> bool {
        self.party.me() == 0
    }

    /// Bits that only the first party adds: a public 1 in each lane.
    fn ones(&self) -> u128 {
        if self.is_first() { u128::MAX } else { 0 }
    }

    fn declared(&self, opening: Opening, to: Audience) -> Result<(), MpcError> {
        if opening.to == to && self.manifest.contains(&opening) {
            Ok(())
        } else {
            Err(MpcError::NotDeclared { name: opening.name })
        }
    }

    /// Runs `step` on chunks of columns of one length.
    fn chunked(
        &mut self,
        columns: &[&Shared],
        chunk: usize,
        mut step: impl FnMut(&mut Self, &[&[Word]]) -> Result<Vec<Word>, MpcError>,
    ) -> Result<Shared, MpcError> {
        let len = columns.first().map_or(0, |column| column.len());
        if let Some(other) = columns.iter().find(|column| column.len() != len) {
            return Err(MpcError::Shape {
                left: len,
                right: other.len(),
            });
        }
        let mut part = Vec::with_capacity(len);
        for start in (0..len).step_by(chunk.max(1)) {
            let end = (start + chunk).min(len);
            let pieces: Vec<&[Word]> = columns
                .iter()
                .map(|column| &column.part[start..end])
                .collect();
            part.append(&mut step(self, &pieces)?);
        }
        Ok(Shared::from_part(part))
    }

    fn multiply_chunk(&mut self, a: &[Word], b: &[Word]) -> Result<Vec<Word>, MpcError> {
        let len = a.len();
        let drawn = self.party.draw(Kind::Triple { len })?;
        if self.party.is_dry() {
            self.party.exchange(vec![0; 2 * len], false)?;
            return Ok(vec![0; len]);
        }
        let (masks, mut result) = split(drawn.words, drawn.free);
        let values = a.iter().chain(b);
        let opened = values
            .zip(&masks)
            .map(|(x, mask)| x.wrapping_sub(*mask))
            .collect();
        let opened = self.party.exchange(opened, false)?;
        let (d, e) = opened.split_at(len);
        let (mask_a, mask_b) = masks.split_at(len);
        let first = Word::from(self.is_first());
        for (i, result) in result.iter_mut().enumerate() {
            let with_b = mask_b[i].wrapping_add(e[i].wrapping_mul(first));
            let sum = d[i]
                .wrapping_mul(with_b)
                .wrapping_add(e[i].wrapping_mul(mask_a[i]));
            *result = result.wrapping_add(sum);
        }
        Ok(result)
    }

    fn square_chunk(&mut self, a: &[Word]) -> Result<Vec<Word>, MpcError> {
        let drawn = self.party.draw(Kind::Square { len: a.len() })?;
        if self.party.is_dry() {
            return self.party.exchange(vec![0; a.len()], false);
        }
        let (masks, mut result) = split(drawn.words, drawn.free);
        let opened = a
            .iter()
            .zip(&masks)
            .map(|(x, mask)| x.wrapping_sub(*mask))
            .collect();
        let opened = self.party.exchange(opened, false)?;
        let first = Word::from(self.is_first());
        for ((result, d), mask) in result.iter_mut().zip(&opened).zip(&masks) {
            let cross = mask.wrapping_mul(2).wrapping_add(d.wrapping_mul(first));
            *result = result.wrapping_add(d.wrapping_mul(cross));
        }
        Ok(result)
    }

    fn dot_chunk(&mut self, a: &[Word], b: &[Word], len: usize) -> Result<Vec<Word>, MpcError> {
        let (rows, cells) = (a.len() / len.max(1), a.len());
        let drawn = self.party.draw(Kind::Dot { rows, len })?;
        if self.party.is_dry() {
            self.party.exchange(vec![0; 2 * cells], false)?;
            return Ok(vec![0; rows]);
        }
        let (masks, mut result) = split(drawn.words, drawn.free);
        let values = a.iter().chain(b);
        let opened = values
            .zip(&masks)
            .map(|(x, mask)| x.wrapping_sub(*mask))
            .collect();
        let opened = self.party.exchange(opened, false)?;
        let (d, e) = opened.split_at(cells);
        let (mask_a, mask_b) = masks.split_at(cells);
        let first = Word::from(self.is_first());
        for (row, result) in result.iter_mut().enumerate() {
            for i in row * len..(row + 1) * len {
                let with_b = mask_b[i].wrapping_add(e[i].wrapping_mul(first));
                let sum = d[i]
                    .wrapping_mul(with_b)
                    .wrapping_add(e[i].wrapping_mul(mask_a[i]));
                *result = result.wrapping_add(sum);
            }
        }
        Ok(result)
    }

    fn truncate_chunk(&mut self, x: &[Word], shift: u32) -> Result<Vec<Word>, MpcError> {
        const OFFSET: Word = 1 << 126;
        let drawn = self.party.draw(Kind::Truncate {
            len: x.len(),
            shift,
        })?;
        if self.party.is_dry() {
            return self.party.exchange(vec![0; x.len()], false);
        }
        let (masks, tail) = split(drawn.words, drawn.free);
        let first = self.is_first();
        let offset = if first { OFFSET } else { 0 };
        let masked = |(x, mask): (&Word, &Word)| x.wrapping_add(*mask).wrapping_add(offset);
        let opened = self
            .party
            .exchange(x.iter().zip(&masks).map(masked).collect(), false)?;
        let (low, tops) = tail.split_at(x.len());
        let tops: &[u64] = bytemuck::cast_slice(tops);
        let unit = 1 << (127 - shift);
        let shifted_offset = if first { OFFSET >> shift } else { 0 };
        let parts = opened.iter().zip(low).zip(tops).map(|((c, low), top)| {
            // v = msb(c) XOR msb(r), in units of 2^(127-shift)
            let top = Word::from(*top).wrapping_mul(unit);
            let (carry, public) = if c & TOP == 0 {
                (top, 0)
            } else {
                (top.wrapping_neg(), unit)
            };
            let public = public.wrapping_add((c & !TOP) >> shift);
            let public = if first { public } else { 0 };
            public
                .wrapping_add(carry)
                .wrapping_sub(*low)
                .wrapping_sub(shifted_offset)
        });
        Ok(parts.collect())
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
            self.party.exchange(vec![0; lanes], false)?;
            return Ok(circuits::Digits::zeros(words, digits));
        }
        let (masks, monomials) = split(drawn.words, drawn.free);
        let opened = x
            .part
            .iter()
            .zip(&masks)
            .map(|(x, mask)| x.wrapping_add(*mask))
            .collect();
        let opened = self.party.exchange(opened, false)?;
        Ok(circuits::Digits::new(&opened, monomials, self.ones()))
    }

    fn gate_words(&mut self, gate: Gate, variables: &[u128]) -> Result<Vec<u128>, MpcError> {
        let words = variables.len() / gate.variables();
        let drawn = self.party.draw(Kind::Gates { gate, words })?;
        if self.party.is_dry() {
            self.party.exchange(vec![0; variables.len()], true)?;
            return Ok(vec![0; gate.products().len() * words]);
        }
        let masked = variables
            .iter()
            .zip(&drawn.words)
            .map(|(v, mask)| v ^ mask)
            .collect();
        let opened = self.party.exchange(masked, true)?;
        Ok(circuits::evaluate(
            gate,
            words,
            &opened,
            &drawn.words,
            self.ones(),
        ))
    }
}

impl Session for SharedSession {
    fn party(&self) -> usize {
        self.party.me()
    }

    fn parties(&self) -> usize {
        self.party.parties()
    }

    fn constant(&self, values: &[Word]) -> Shared {
        if self.is_first() {
            Shared::from_part(values.to_vec())
        } else {
            Shared::zeros(values.len())
        }
    }

    fn input(&mut self, mine: &[Word]) -> Result<Shared, MpcError> {
        let mut part = mine.to_vec();
        self.party.rerandomise(&mut part);
        Ok(Shared::from_part(part))
    }

    fn multiply_raw(&mut self, a: &Shared, b: &Shared) -> Result<Shared, MpcError> {
        self.chunked(&[a, b], CHUNK, |session, pieces| {
            session.multiply_chunk(pieces[0], pieces[1])
        })
    }

    fn square_raw(&mut self, a: &Shared) -> Result<Shared, MpcError> {
        self.chunked(&[a], CHUNK, |session, pieces| {
            session.square_chunk(pieces[0])
        })
    }

    fn dot_raw(&mut self, a: &Shared, b: &Shared, len: usize) -> Result<Shared, MpcError> {
        if len == 0 || !a.len().is_multiple_of(len) {
            return Err(MpcError::Shape {
                left: a.len(),
                right: len,
            });
        }
        let chunk = (CHUNK / len).max(1) * len;
        self.chunked(&[a, b], chunk, |session, pieces| {
            session.dot_chunk(pieces[0], pieces[1], len)
        })
    }

    fn mask(&mut self, matrix: &Shared, shape: (usize, usize)) -> Result<Masked, MpcError> {
        let len = shape.0 * shape.1;
        if matrix.len() != len {
            return Err(MpcError::Shape {
                left: matrix.len(),
                right: len,
            });
        }
        let drawn = self.party.draw(Kind::Mask { len })?;
        let number = drawn.number;
        if self.party.is_dry() {
            self.party.exchange(vec![0; len], false)?;
            return Ok(Masked {
                number,
                owner: None,
                opened: vec![],
                mask: vec![],
                shape,
            });
        }
        let masked = matrix
            .part
            .iter()
            .zip(&drawn.words)
            .map(|(x, m)| x.wrapping_sub(*m))
            .collect();
        let opened = self.party.exchange(masked, false)?;
        Ok(Masked {
            number,
            owner: None,
            opened,
            mask: drawn.words,
            shape,
        })
    }

    fn mask_own(
        &mut self,
        owner: usize,
        mine: &[Word],
        shape: (usize, usize),
    ) -> Result<Masked, MpcError> {
        let len = shape.0 * shape.1;
        let me = owner == self.party.me();
        if me && mine.len() != len {
            return Err(MpcError::Shape {
                left: mine.len(),
                right: len,
            });
        }
        let drawn = self.party.draw(Kind::OwnMask { len, owner })?;
        let mut opened = Vec::new();
        for start in (0..len).step_by(OWN_CHUNK) {
            let end = (start + OWN_CHUNK).min(len);
            let words = match (me, drawn.words.get(start..end)) {
                (true, Some(masks)) => {
                    let values = mine[start..end].iter().zip(masks);
                    values.map(|(x, mask)| x.wrapping_sub(*mask)).collect()
                }
                (true, None) => vec![0; end - start],
                (false, _) => Vec::new(),
            };
            opened.append(&mut self.party.broadcast(owner, words, end - start)?);
        }
        let mask = if me { drawn.words } else { Vec::new() };
        Ok(Masked {
            number: drawn.number,
            owner: Some(owner),
            opened,
            mask,
            shape,
        })
    }

    fn product(
        &mut self,
        left: &Masked,
        left_transposed: bool,
        right: &Masked,
    ) -> Result<Shared, MpcError> {
        let (m, k) = if left_transposed {
            (left.shape.1, left.shape.0)
        } else {
            left.shape
        };
        let n = right.shape.1;
        if k != right.shape.0 || right.owner.is_some() {
            return Err(MpcError::Shape {
                left: k,
                right: right.shape.0,
            });
        }
        let drawn = self.party.draw(Kind::Product(Product {
            left: left.number,
            left_owner: left.owner,
            left_transposed,
            right: right.number,
            shape: (m, k, n),
        }))?;
        if self.party.is_dry() {
            return Ok(Shared::zeros(m * n));
        }
        let turned = |words: &[Word]| {
            if left_transposed {
                matrix::transpose(words, k, m)
            } else {
                words.to_vec()
            }
        };
        let first = self.is_first();
        let add = |(mask, opened): (&Word, &Word)| {
            if first {
                mask.wrapping_add(*opened)
            } else {
                *mask
            }
        };
        // D ([B] + E at the first party) + [A] E + [AB]
        let with_b: Vec<Word> = right.mask.iter().zip(&right.opened).map(add).collect();
        let mut result = matrix::multiply(&turned(&left.opened), &with_b, (m, k, n));
        add_to(&mut result, &drawn.words);
        if !left.mask.is_empty() {
            let cross = matrix::multiply(&turned(&left.mask), &right.opened, (m, k, n));
            add_to(&mut result, &cross);
        }
        Ok(Shared::from_part(result))
    }

    fn truncate(&mut self, x: &Shared, shift: u32) -> Result<Shared, MpcError> {
        if shift == 0 {
            return Ok(x.clone());
        }
        self.chunked(&[x], CHUNK, |session, pieces| {
            session.truncate_chunk(pieces[0], shift)
        })
    }

    fn negative(&mut self, x: &Shared) -> Result<Bits, MpcError> {
        let mut plane = Vec::with_capacity(lanes_to_words(x.len()));
        for start in (0..x.len()).step_by(CHUNK) {
            let piece = x.slice(start, (start + CHUNK).min(x.len()));
            plane.append(&mut circuits::top_bit(self, &piece)?);
        }
        Ok(Bits::from_plane(plane, x.len()))
    }

    fn bits(&mut self, x: &Shared, from: usize, to: usize) -> Result<Vec<Bits>, MpcError> {
        let to = to.min(LANES);
        let from = from.min(to);
        let mut planes = vec![Vec::new(); to - from];
        for start in (0..x.len()).step_by(CHUNK) {
            let piece = x.slice(start, (start + CHUNK).min(x.len()));
            let mut pieces = circuits::bit_range(self, &piece, from, to)?;
            planes
                .iter_mut()
                .zip(&mut pieces)
                .for_each(|(plane, piece)| plane.append(piece));
        }
        Ok(planes
            .into_iter()
            .map(|plane| Bits::from_plane(plane, x.len()))
            .collect())
    }

    fn gate(&mut self, gate: Gate, variables: &[Bits]) -> Result<Vec<Bits>, MpcError> {
        let lanes = variables.first().map_or(0, Bits::len);
        if variables.len() != gate.variables() || variables.iter().any(|it| it.len() != lanes) {
            return Err(MpcError::Shape {
                left: gate.variables(),
                right: variables.len(),
            });
        }
        let words: Vec<u128> = variables
            .iter()
            .flat_map(|it| it.plane.iter().copied())
            .collect();
        let products = self.gate_words(gate, &words)?;
        Ok(circuits::split_planes(
            &products,
            gate.products().len(),
            lanes,
        ))
    }

    fn not(&self, bits: &Bits) -> Bits {
        let plane = bits.plane.iter().map(|word| word ^ self.ones()).collect();
        Bits::from_plane(plane, bits.len())
    }

    fn to_integers(&mut self, bits: &Bits) -> Result<Shared, MpcError> {
        let mut part = Vec::with_capacity(bits.len());
        for (index, plane) in bits.plane.chunks(CHUNK / LANES).enumerate() {
            let lanes = (bits.len() - index * CHUNK).min(CHUNK);
            let drawn = self.party.draw(Kind::BothWays { lanes })?;
            if self.party.is_dry() {
                self.party.exchange(plane.to_vec(), true)?;
                part.resize(part.len() + lanes, 0);
                continue;
            }
            let (masks, numbers) = split(drawn.words, drawn.free);
            let opened = plane
                .iter()
                .zip(&masks)
                .map(|(bit, mask)| bit ^ mask)
                .collect();
            let opened = self.party.exchange(opened, true)?;
            let first = Word::from(self.is_first());
            part.extend(numbers.iter().enumerate().map(|(lane, number)| {
                if opened[lane / LANES] >> (lane % LANES) & 1 == 1 {
                    first.wrapping_sub(*number)
                } else {
                    *number
                }
            }));
        }
        Ok(Shared::from_part(part))
    }

    fn lookup(&mut self, index: &[Bits], tables: &[Vec<Word>]) -> Result<Vec<Shared>, MpcError> {
        let lanes = index.first().map_or(0, Bits::len);
        let entries = 1_usize << index.len();
        if let Some(table) = tables.iter().find(|table| table.len() != entries) {
            return Err(MpcError::Shape {
                left: entries,
                right: table.len(),
            });
        }
        let bits = u32::try_from(index.len()).unwrap_or(u32::MAX);
        let mut parts = vec![Vec::with_capacity(lanes); tables.len()];
        let chunk_words = (CHUNK / LANES / 4).max(1);
        for start in (0..lanes).step_by(chunk_words * LANES) {
            let chunk = (lanes - start).min(chunk_words * LANES);
            let words = start / LANES..start / LANES + lanes_to_words(chunk);
            let planes = index
                .iter()
                .flat_map(|bits| bits.plane[words.clone()].iter().copied());
            let drawn = self.party.draw(Kind::Indicator { bits, lanes: chunk })?;
            if self.party.is_dry() {
                let planes: Vec<u128> = planes.collect();
                self.party.exchange(planes, true)?;
                parts
                    .iter_mut()
                    .for_each(|part| part.resize(part.len() + chunk, 0));
                continue;
            }
            let (masks, vectors) = split(drawn.words, drawn.free);
            let opened = planes.zip(&masks).map(|(bit, mask)| bit ^ mask).collect();
            let opened = self.party.exchange(opened, true)?;
            circuits::look_up(&opened, &vectors, chunk, tables, &mut parts);
        }
        Ok(parts.into_iter().map(Shared::from_part).collect())
    }

    fn open(&mut self, opening: Opening, x: &Shared) -> Result<Vec<Word>, MpcError> {
        self.declared(opening, Audience::Centres)?;
        let mut part = x.part.clone();
        self.party.rerandomise(&mut part);
        let mut opened = self.party.exchange(part, false)?;
        if self.party.is_dry() {
            opened.fill(0);
        }
        self.ledger.record(opening, x.len());
        Ok(opened)
    }

    fn release(&mut self, opening: Opening, x: &Shared) -> Result<(), MpcError> {
        self.declared(opening, Audience::Researcher)?;
        let mut part = x.part.clone();
        self.party.rerandomise(&mut part);
        self.ledger.record(opening, x.len());
        self.released.push((opening, part));
        Ok(())
    }

    fn cost(&self) -> Cost {
        self.party.cost()
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
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
        return Err(MpcError::Shape {
            left: left.len(),
            right: right.len(),
        });
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

fn split(mut words: Vec<Word>, free: usize) -> (Vec<Word>, Vec<Word>) {
    let tail = words.split_off(free);
    (words, tail)
}

fn add_to(total: &mut [Word], part: &[Word]) {
    total
        .iter_mut()
        .zip(part)
        .for_each(|(total, part)| *total = total.wrapping_add(*part));
}
