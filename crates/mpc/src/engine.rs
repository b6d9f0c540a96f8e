//! The shared backend: what the operations of a session do with shares.

use crate::circuits;
use crate::correlation::{Kind, Product};
use crate::matrix;
use crate::monomials::Gate;
use crate::party::{Links, Party, Topology, WORD_BYTES};
use crate::session::{Audience, Cost, Ledger, Masked, MpcError, Opening, Session};
use crate::shared::{Bits, Shared};
use crate::wire::Traffic;
use konsil_ring::{LANES, Word, lanes_to_words};

/// Elements that are worked on at a time: small enough for the caches, large enough that the
/// network's fixed costs vanish.
pub(crate) const CHUNK: usize = 1 << 14;

/// Words that an owner sends in one message.
const OWN_CHUNK: usize = 1 << 19;

/// A session on shares, live or dry.
#[derive(Debug)]
pub struct SharedSession {
    pub(crate) party: Party,
    /// Bytes that products, signs and openings keep of each number.
    pub(crate) width: usize,
    manifest: Vec<Opening>,
    ledger: Ledger,
    released: Vec<(Opening, Vec<Word>)>,
    listener: Option<Listener>,
}

/// Told how far a program has come: parts that are done, and all parts.
struct Listener(Box<dyn Fn(usize, usize) + Send>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener(..)")
    }
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
        let (ledger, released) = (Ledger::default(), Vec::new());
        Self { party, width: WORD_BYTES, manifest, ledger, released, listener: None }
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
        self.width = WORD_BYTES;
        (std::mem::take(&mut self.ledger), std::mem::take(&mut self.released))
    }

    /// From now on, who is told how far the programs have come.
    pub fn listen(&mut self, listener: Option<Box<dyn Fn(usize, usize) + Send>>) {
        self.listener = listener.map(Listener);
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

    pub(crate) fn is_first(&self) -> bool {
        self.party.me() == 0
    }

    /// Bits that only the first party adds: a public 1 in each lane.
    pub(crate) fn ones(&self) -> u128 {
        if self.is_first() { u128::MAX } else { 0 }
    }

    fn declared(&self, opening: Opening, to: Audience) -> Result<(), MpcError> {
        if opening.to == to && self.manifest.contains(&opening) {
            Ok(())
        } else {
            Err(MpcError::NotDeclared { name: opening.name })
        }
    }
}

impl Session for SharedSession {
    fn party(&self) -> usize {
        self.party.me()
    }

    fn parties(&self) -> usize {
        self.party.parties()
    }

    fn narrow(&mut self, bytes: usize) {
        self.width = bytes.clamp(1, WORD_BYTES);
    }

    fn constant(&self, values: &[Word]) -> Shared {
        if self.is_first() {
            Shared::from_part(values.to_vec())
        } else {
            Shared::zeros(values.len())
        }
    }

    fn input(&mut self, mine: &[Word]) -> Result<Shared, MpcError> {
        // A share is masked by dealt randomness, or re-randomised, before it leaves; see `Party`.
        Ok(Shared::from_part(mine.to_vec()))
    }

    fn multiply_raw(&mut self, a: &Shared, b: &Shared) -> Result<Shared, MpcError> {
        self.chunked(&[a, b], CHUNK, |session, pieces| session.multiply_chunk(pieces[0], pieces[1]))
    }

    fn square_raw(&mut self, a: &Shared) -> Result<Shared, MpcError> {
        self.chunked(&[a], CHUNK, |session, pieces| session.square_chunk(pieces[0]))
    }

    fn dot_raw(&mut self, a: &Shared, b: &Shared, len: usize) -> Result<Shared, MpcError> {
        if len == 0 || !a.len().is_multiple_of(len) {
            return Err(MpcError::Shape { left: a.len(), right: len });
        }
        let chunk = (CHUNK / len).max(1) * len;
        self.chunked(&[a, b], chunk, |session, pieces| session.dot_chunk(pieces[0], pieces[1], len))
    }

    fn masks(&mut self, matrices: &[(&Shared, (usize, usize))]) -> Result<Vec<Masked>, MpcError> {
        let mut masked = Vec::with_capacity(matrices.len());
        let mut words = Vec::new();
        for (matrix, shape) in matrices {
            let len = shape.0 * shape.1;
            if matrix.len() != len {
                return Err(MpcError::Shape { left: matrix.len(), right: len });
            }
            let drawn = self.party.draw(Kind::Mask { len })?;
            if self.party.is_dry() {
                words.resize(words.len() + len, 0);
            } else {
                words.extend(matrix.part.iter().zip(&drawn.words).map(|(x, m)| x.wrapping_sub(*m)));
            }
            let (number, mask) = (drawn.number, drawn.words);
            let (opened, shape, bytes) = (Vec::new(), *shape, self.width);
            masked.push(Masked { number, owner: None, opened, mask, shape, bytes });
        }
        let opened = self.party.exchange_narrow(words, self.width)?;
        let mut rest = opened.as_slice();
        for masked in masked.iter_mut().filter(|_| !self.party.is_dry()) {
            let (own, later) = rest.split_at(masked.shape.0 * masked.shape.1);
            masked.opened = own.to_vec();
            rest = later;
        }
        Ok(masked)
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
            return Err(MpcError::Shape { left: mine.len(), right: len });
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
        let (number, bytes) = (drawn.number, WORD_BYTES);
        Ok(Masked { number, owner: Some(owner), opened, mask, shape, bytes })
    }

    fn product(
        &mut self,
        left: &Masked,
        left_transposed: bool,
        right: &Masked,
    ) -> Result<Shared, MpcError> {
        let (m, k) = if left_transposed { (left.shape.1, left.shape.0) } else { left.shape };
        let n = right.shape.1;
        if k != right.shape.0 || right.owner.is_some() {
            return Err(MpcError::Shape { left: k, right: right.shape.0 });
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
            if left_transposed { matrix::transpose(words, k, m) } else { words.to_vec() }
        };
        let first = self.is_first();
        let add = |(mask, opened): (&Word, &Word)| {
            if first { mask.wrapping_add(*opened) } else { *mask }
        };
        // [AB] + D ([B] + E at the first party) + [A] E, the two products as one: [D|A] [B'; E]
        let mut below: Vec<Word> = right.mask.iter().zip(&right.opened).map(add).collect();
        let mut beside = turned(&left.opened);
        let mut inner = k;
        if !left.mask.is_empty() {
            beside = matrix::beside(&beside, &turned(&left.mask), m);
            below.extend_from_slice(&right.opened);
            inner = 2 * k;
        }
        let mut result = drawn.words;
        if left.bytes.min(right.bytes) <= matrix::SMALL_BYTES {
            matrix::multiply_add_small(&mut result, &beside, &below, (inner, n));
        } else {
            matrix::multiply_add(&mut result, &beside, &below, (m, inner, n));
        }
        Ok(Shared::from_part(result))
    }

    fn truncate(&mut self, mut x: Shared, shift: u32) -> Result<Shared, MpcError> {
        if shift > 0 {
            for chunk in x.part.chunks_mut(CHUNK) {
                self.truncate_chunk(chunk, shift)?;
            }
        }
        Ok(x)
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
            planes.iter_mut().zip(&mut pieces).for_each(|(plane, piece)| plane.append(piece));
        }
        Ok(planes.into_iter().map(|plane| Bits::from_plane(plane, x.len())).collect())
    }

    fn gates(&mut self, batches: &[(Gate, Vec<Bits>)]) -> Result<Vec<Vec<Bits>>, MpcError> {
        let mut words = Vec::with_capacity(batches.len());
        for (gate, variables) in batches {
            let lanes = variables.first().map_or(0, Bits::len);
            if variables.len() != gate.variables() || variables.iter().any(|it| it.len() != lanes) {
                return Err(MpcError::Shape { left: gate.variables(), right: variables.len() });
            }
            words.push((*gate, variables.iter().flat_map(|it| it.plane.iter().copied()).collect()));
        }
        let products = self.gate_words(&words)?;
        let cut = |((gate, variables), products): (&(Gate, Vec<Bits>), Vec<u128>)| {
            let lanes = variables.first().map_or(0, Bits::len);
            circuits::split_planes(&products, gate.products().len(), lanes)
        };
        Ok(batches.iter().zip(products).map(cut).collect())
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
            let opened = plane.iter().zip(&masks).map(|(bit, mask)| bit ^ mask).collect();
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
            return Err(MpcError::Shape { left: entries, right: table.len() });
        }
        let bits = u32::try_from(index.len()).unwrap_or(u32::MAX);
        let mut parts = vec![Vec::with_capacity(lanes); tables.len()];
        let chunk_words = (CHUNK / LANES / 4).max(1);
        for start in (0..lanes).step_by(chunk_words * LANES) {
            let chunk = (lanes - start).min(chunk_words * LANES);
            let words = start / LANES..start / LANES + lanes_to_words(chunk);
            let planes = index.iter().flat_map(|bits| bits.plane[words.clone()].iter().copied());
            let drawn = self.party.draw(Kind::Indicator { bits, lanes: chunk })?;
            if self.party.is_dry() {
                let planes: Vec<u128> = planes.collect();
                self.party.exchange(planes, true)?;
                parts.iter_mut().for_each(|part| part.resize(part.len() + chunk, 0));
                continue;
            }
            let (masks, vectors) = drawn.words.split_at(drawn.free);
            let opened = planes.zip(masks).map(|(bit, mask)| bit ^ mask).collect();
            let opened = self.party.exchange(opened, true)?;
            circuits::look_up(&opened, vectors, chunk, tables, &mut parts);
        }
        Ok(parts.into_iter().map(Shared::from_part).collect())
    }

    fn open(&mut self, opening: Opening, x: &Shared) -> Result<Vec<Word>, MpcError> {
        self.declared(opening, Audience::Centres)?;
        let mut part = x.part.clone();
        self.party.rerandomise(&mut part);
        let mut opened = self.party.exchange_narrow(part, self.width)?;
        if self.party.is_dry() {
            opened.fill(0);
        }
        opened.iter_mut().for_each(|word| *word = signed(*word, self.width));
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

    fn tell(&self, done: usize, of: usize) {
        if let Some(Listener(listener)) = &self.listener {
            listener(done, of);
        }
    }

    fn cost(&self) -> Cost {
        self.party.cost()
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// The number that the lowest bytes of a word are in two's complement.
pub(crate) fn signed(word: Word, bytes: usize) -> Word {
    let above = 8 * (WORD_BYTES - bytes.clamp(1, WORD_BYTES));
    ((word << above).cast_signed() >> above).cast_unsigned()
}

pub(crate) fn split(mut words: Vec<Word>, free: usize) -> (Vec<Word>, Vec<Word>) {
    let tail = words.split_off(free);
    (words, tail)
}
