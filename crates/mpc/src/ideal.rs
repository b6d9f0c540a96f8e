//! The ideal backend: what a session computes, in the clear, among threads of one process.
//!
//! It is the definition that the shared backend is tested against: every operation is exact integer
//! arithmetic on the sum of what the centres bring. It exists for tests and mock runs only; nothing
//! here ever sees a network.

use crate::engine::signed;
use crate::monomials::Gate;
use crate::party::WORD_BYTES;
use crate::session::{Audience, Cost, Ledger, Masked, MpcError, Opening, Session};
use crate::shared::{Bits, Shared, planes};
use crate::wire::WireError;
use konsil_ring::{LANES, Word, lanes_to_words};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Where the centres of an ideal session meet.
#[derive(Debug)]
pub struct Table {
    parties: usize,
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Default)]
struct State {
    arrived: usize,
    generation: u64,
    sum: Vec<Word>,
    result: Vec<Word>,
    fits: bool,
    gone: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State[generation {}]", self.generation)
    }
}

impl Table {
    /// A table for this many centres.
    #[must_use]
    pub fn new(parties: usize) -> Arc<Self> {
        Arc::new(Self { parties, state: Mutex::default(), turned: Condvar::new() })
    }

    /// One centre has left; the others must not wait for it.
    fn leave(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).gone = true;
        self.turned.notify_all();
    }

    fn add_up(&self, mine: &[Word]) -> Result<Vec<Word>, MpcError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.arrived == 0 {
            state.sum = mine.to_vec();
            state.fits = true;
        } else {
            state.fits &= state.sum.len() == mine.len();
            let sum = state.sum.iter_mut().zip(mine);
            sum.for_each(|(sum, mine)| *sum = sum.wrapping_add(*mine));
        }
        state.arrived += 1;
        let generation = state.generation;
        if state.arrived == self.parties {
            state.arrived = 0;
            state.generation += 1;
            state.result = std::mem::take(&mut state.sum);
            self.turned.notify_all();
        }
        while state.generation == generation {
            if state.gone {
                return Err(WireError::PeerLost { party: 0, round: generation }.into());
            }
            state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.fits {
            Ok(state.result.clone())
        } else {
            Err(MpcError::Shape { left: state.result.len(), right: mine.len() })
        }
    }
}

/// What the parts of narrow numbers that mean nothing are spoilt with.
const SPOILT: Word = 0xa5a5_5a5a_a5a5_5a5a_a5a5_5a5a_a5a5_5a5b;

/// One centre's end of the ideal session.
#[derive(Debug)]
pub struct IdealSession {
    me: usize,
    table: Arc<Table>,
    width: usize,
    manifest: Vec<Opening>,
    ledger: Ledger,
    released: Vec<(Opening, Vec<Word>)>,
}

impl IdealSession {
    /// The end of party `me`.
    #[must_use]
    pub fn new(me: usize, table: Arc<Table>, manifest: &[Opening]) -> Self {
        let manifest = manifest.to_vec();
        Self {
            me,
            table,
            width: WORD_BYTES,
            manifest,
            ledger: Ledger::default(),
            released: Vec::new(),
        }
    }

    /// Everything released, already put together; empty at all parties but the first, so that
    /// adding up the parties' parts gives the values as it does on shares.
    #[must_use]
    pub fn into_released(mut self) -> Vec<(Opening, Vec<Word>)> {
        let mut released = std::mem::take(&mut self.released);
        if self.me > 0 {
            released.iter_mut().for_each(|(_, words)| words.fill(0));
        }
        released
    }

    /// Numbers as they are known in the width in force: what stands above it is spoilt, so that tests
    /// find whoever uses it.
    fn narrowed(&self, mut x: Shared) -> Shared {
        if self.width < WORD_BYTES {
            let spoilt = SPOILT << (8 * self.width);
            x.part.iter_mut().for_each(|word| *word ^= spoilt);
        }
        x
    }

    fn declared(&self, opening: Opening, to: Audience) -> Result<(), MpcError> {
        if opening.to == to && self.manifest.contains(&opening) {
            Ok(())
        } else {
            Err(MpcError::NotDeclared { name: opening.name })
        }
    }
}

impl Drop for IdealSession {
    fn drop(&mut self) {
        self.table.leave();
    }
}

fn zip(a: &Shared, b: &Shared, op: impl Fn(Word, Word) -> Word) -> Result<Shared, MpcError> {
    if a.len() != b.len() {
        return Err(MpcError::Shape { left: a.len(), right: b.len() });
    }
    Ok(Shared::from_part(a.part.iter().zip(&b.part).map(|(&a, &b)| op(a, b)).collect()))
}

fn bit(plane: &[u128], lane: usize) -> bool {
    plane[lane / LANES] >> (lane % LANES) & 1 == 1
}

impl Session for IdealSession {
    fn party(&self) -> usize {
        self.me
    }

    fn parties(&self) -> usize {
        self.table.parties
    }

    fn narrow(&mut self, bytes: usize) {
        self.width = bytes.clamp(1, WORD_BYTES);
    }

    fn constant(&self, values: &[Word]) -> Shared {
        Shared::from_part(values.to_vec())
    }

    fn input(&mut self, mine: &[Word]) -> Result<Shared, MpcError> {
        self.table.add_up(mine).map(Shared::from_part)
    }

    fn multiply_raw(&mut self, a: &Shared, b: &Shared) -> Result<Shared, MpcError> {
        Ok(self.narrowed(zip(a, b, Word::wrapping_mul)?))
    }

    fn square_raw(&mut self, a: &Shared) -> Result<Shared, MpcError> {
        Ok(self.narrowed(zip(a, a, Word::wrapping_mul)?))
    }

    fn dot_raw(&mut self, a: &Shared, b: &Shared, len: usize) -> Result<Shared, MpcError> {
        if len == 0 || !a.len().is_multiple_of(len) || a.len() != b.len() {
            return Err(MpcError::Shape { left: a.len(), right: b.len() });
        }
        let rows = a.part.chunks(len).zip(b.part.chunks(len));
        Ok(self.narrowed(Shared::from_part(rows.map(|(a, b)| crate::matrix::dot(a, b)).collect())))
    }

    fn masks(&mut self, matrices: &[(&Shared, (usize, usize))]) -> Result<Vec<Masked>, MpcError> {
        let mask = |(matrix, shape): &(&Shared, (usize, usize))| {
            if matrix.len() != shape.0 * shape.1 {
                return Err(MpcError::Shape { left: matrix.len(), right: shape.0 * shape.1 });
            }
            let opened = self.narrowed((*matrix).clone()).part;
            let (shape, bytes) = (*shape, self.width);
            Ok(Masked { number: 0, owner: None, opened, mask: Vec::new(), shape, bytes })
        };
        matrices.iter().map(mask).collect()
    }

    fn mask_own(
        &mut self,
        owner: usize,
        mine: &[Word],
        shape: (usize, usize),
    ) -> Result<Masked, MpcError> {
        let len = shape.0 * shape.1;
        let zeros = vec![0; len];
        let opened = self.table.add_up(if owner == self.me { mine } else { &zeros })?;
        let bytes = WORD_BYTES;
        Ok(Masked { number: 0, owner: Some(owner), opened, mask: Vec::new(), shape, bytes })
    }

    fn product(
        &mut self,
        left: &Masked,
        left_transposed: bool,
        right: &Masked,
    ) -> Result<Shared, MpcError> {
        let (rows, columns) = left.shape;
        let (turned, m, k) = if left_transposed {
            (crate::matrix::transpose(&left.opened, rows, columns), columns, rows)
        } else {
            (left.opened.clone(), rows, columns)
        };
        if k != right.shape.0 {
            return Err(MpcError::Shape { left: k, right: right.shape.0 });
        }
        let mut product = vec![0; m * right.shape.1];
        crate::matrix::multiply_add(&mut product, &turned, &right.opened, (m, k, right.shape.1));
        Ok(Shared::from_part(product))
    }

    fn truncate(&mut self, mut x: Shared, shift: u32) -> Result<Shared, MpcError> {
        x.part.iter_mut().for_each(|x| *x = (x.cast_signed() >> shift).cast_unsigned());
        Ok(x)
    }

    fn negative(&mut self, x: &Shared) -> Result<Bits, MpcError> {
        let top = 8 * self.width - 1;
        Ok(self.bits(x, top, top + 1)?.pop().unwrap_or_default())
    }

    fn bits(&mut self, x: &Shared, from: usize, to: usize) -> Result<Vec<Bits>, MpcError> {
        let planes = planes(&x.part).into_iter().take(to).skip(from);
        Ok(planes.map(|plane| Bits::from_plane(plane, x.len())).collect())
    }

    fn gates(&mut self, batches: &[(Gate, Vec<Bits>)]) -> Result<Vec<Vec<Bits>>, MpcError> {
        batches.iter().map(|(gate, variables)| products_of(*gate, variables)).collect()
    }

    fn not(&self, bits: &Bits) -> Bits {
        Bits::from_plane(bits.plane.iter().map(|word| !word).collect(), bits.len())
    }

    fn to_integers(&mut self, bits: &Bits) -> Result<Shared, MpcError> {
        let numbers = (0..bits.len()).map(|lane| Word::from(bit(&bits.plane, lane)));
        Ok(Shared::from_part(numbers.collect()))
    }

    fn lookup(&mut self, index: &[Bits], tables: &[Vec<Word>]) -> Result<Vec<Shared>, MpcError> {
        let lanes = index.first().map_or(0, Bits::len);
        let place = |lane: usize| {
            let bits = index.iter().enumerate();
            bits.fold(0, |place, (i, bits)| place | usize::from(bit(&bits.plane, lane)) << i)
        };
        let places: Vec<usize> = (0..lanes).map(place).collect();
        let look = |table: &Vec<Word>| {
            let entry = |place: &usize| table.get(*place).copied().unwrap_or_default();
            Shared::from_part(places.iter().map(entry).collect())
        };
        Ok(tables.iter().map(look).collect())
    }

    fn open(&mut self, opening: Opening, x: &Shared) -> Result<Vec<Word>, MpcError> {
        self.declared(opening, Audience::Centres)?;
        self.ledger.record(opening, x.len());
        Ok(x.part.iter().map(|word| signed(*word, self.width)).collect())
    }

    fn release(&mut self, opening: Opening, x: &Shared) -> Result<(), MpcError> {
        self.declared(opening, Audience::Researcher)?;
        self.ledger.record(opening, x.len());
        self.released.push((opening, x.part.clone()));
        Ok(())
    }

    fn cost(&self) -> Cost {
        Cost::default()
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

fn products_of(gate: Gate, variables: &[Bits]) -> Result<Vec<Bits>, MpcError> {
    let lanes = variables.first().map_or(0, Bits::len);
    if variables.len() != gate.variables() {
        return Err(MpcError::Shape { left: gate.variables(), right: variables.len() });
    }
    let product = |set: u32| {
        let chosen = variables.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
        chosen.fold(vec![u128::MAX; lanes_to_words(lanes)], |product, (_, bits)| {
            product.iter().zip(&bits.plane).map(|(a, b)| a & b).collect()
        })
    };
    let products = gate.products().into_iter();
    Ok(products.map(|set| Bits::from_plane(product(set), lanes)).collect())
}
