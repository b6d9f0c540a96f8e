//! The dealer's side of the correlations: what to send so that random parts fulfil a relation.
//!
//! **Invariant:** the dealer sees sizes only. It holds the parties' seeds for the length of one
//! session and nothing that depends on a patient.

use crate::correlation::{Correction, DIGIT_BITS, DIGIT_MONOMIALS, Kind, Layout, Product};
use crate::monomials::Gate;
use crate::prg::{Prg, Seed};
use konsil_ring::{LANES, Word};
use std::fmt;

/// Deals for one session.
pub struct Dealer {
    parties: Vec<Prg>,
}

impl Dealer {
    /// A dealer for the parties with these seeds, in their order.
    #[must_use]
    pub fn new(seeds: &[Seed]) -> Self {
        Self { parties: seeds.iter().map(Prg::new).collect() }
    }

    /// The corrections of the correlation numbered `counter`, in words.
    ///
    /// Cost: one expansion of every party's part, and the relation itself.
    #[must_use]
    pub fn deal(&self, counter: u64, kind: &Kind) -> Vec<Word> {
        let layout = kind.layout();
        if layout.corrected_words() == 0 {
            return Vec::new();
        }
        let totals = self.totals(counter, kind, &layout);
        let (free, tail) = totals.split_at(layout.free);
        let wanted = match kind {
            Kind::Product(product) => self.product(product),
            _ => relation(kind, free),
        };
        difference(&layout, wanted, tail)
    }

    /// The parties' parts put together, section by section.
    fn totals(&self, counter: u64, kind: &Kind, layout: &Layout) -> Vec<Word> {
        let mut parties = self.parties.iter();
        let mut totals =
            parties.next().map_or_else(Vec::new, |party| party.expand(counter, layout.words()));
        let mut part = vec![0; layout.words()];
        for party in parties {
            party.fill(counter, &mut part);
            let (free, tail) = part.split_at(layout.free);
            let (free_totals, tail_totals) = totals.split_at_mut(layout.free);
            combine(free_rule(kind), free_totals, free);
            combine_sections(layout, tail_totals, tail);
        }
        totals
    }

    /// The total of a mask that was drawn as number `counter`.
    fn mask(&self, counter: u64, owner: Option<usize>, len: usize) -> Vec<Word> {
        let mut total = vec![0; len];
        let mut part = vec![0; len];
        for (index, party) in self.parties.iter().enumerate() {
            if owner.is_none_or(|owner| owner == index) {
                party.fill(counter, &mut part);
                combine(Correction::Add128, &mut total, &part);
            }
        }
        total
    }

    fn product(&self, it: &Product) -> Vec<Word> {
        let (m, k, n) = it.shape;
        let left = self.mask(it.left, it.left_owner, m * k);
        let left = if it.left_transposed { crate::matrix::transpose(&left, k, m) } else { left };
        let right = self.mask(it.right, None, k * n);
        let mut product = vec![0; m * n];
        crate::matrix::multiply_add(&mut product, &left, &right, it.shape);
        product
    }
}

impl fmt::Debug for Dealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dealer[{}]", self.parties.len())
    }
}

/// How the free words of the parties make up the secret.
fn free_rule(kind: &Kind) -> Correction {
    match kind {
        Kind::Gates { .. } | Kind::BothWays { .. } | Kind::Indicator { .. } => Correction::Xor,
        _ => Correction::Add128,
    }
}

pub(crate) fn combine(rule: Correction, total: &mut [Word], part: &[Word]) {
    match rule {
        Correction::Add128 => {
            for (total, part) in total.iter_mut().zip(part) {
                *total = total.wrapping_add(*part);
            }
        }
        Correction::Xor => {
            for (total, part) in total.iter_mut().zip(part) {
                *total ^= part;
            }
        }
        Correction::Add64 => {
            let total: &mut [u64] = bytemuck::cast_slice_mut(total);
            for (total, part) in total.iter_mut().zip(bytemuck::cast_slice::<_, u64>(part)) {
                *total = total.wrapping_add(*part);
            }
        }
    }
}

/// Combines the corrected sections of `part` into `total`, each by its own rule.
pub(crate) fn combine_sections(layout: &Layout, total: &mut [Word], part: &[Word]) {
    let mut at = 0;
    for (rule, words) in &layout.corrected {
        let end = at + words;
        if let (Some(total), Some(part)) = (total.get_mut(at..end), part.get(at..end)) {
            combine(*rule, total, part);
        }
        at = end;
    }
}

/// `wanted - tail`, section by section.
fn difference(layout: &Layout, mut wanted: Vec<Word>, tail: &[Word]) -> Vec<Word> {
    let mut at = 0;
    for (rule, words) in &layout.corrected {
        let range = at..at + words;
        let wanted = wanted.get_mut(range.clone()).unwrap_or_default();
        let tail = tail.get(range).unwrap_or_default();
        match rule {
            Correction::Add128 => {
                wanted.iter_mut().zip(tail).for_each(|(w, t)| *w = w.wrapping_sub(*t));
            }
            Correction::Xor => wanted.iter_mut().zip(tail).for_each(|(w, t)| *w ^= t),
            Correction::Add64 => {
                let wanted: &mut [u64] = bytemuck::cast_slice_mut(wanted);
                let tail: &[u64] = bytemuck::cast_slice(tail);
                wanted.iter_mut().zip(tail).for_each(|(w, t)| *w = w.wrapping_sub(*t));
            }
        }
        at += words;
    }
    wanted
}

/// The corrected words that belong to the total of the free ones.
fn relation(kind: &Kind, free: &[Word]) -> Vec<Word> {
    match *kind {
        Kind::Triple { len } => {
            let (a, b) = free.split_at(len);
            a.iter().zip(b).map(|(a, b)| a.wrapping_mul(*b)).collect()
        }
        Kind::Square { .. } => free.iter().map(|a| a.wrapping_mul(*a)).collect(),
        Kind::Dot { rows, len } => {
            let (a, b) = free.split_at(rows * len);
            let dot = |(a, b): (&[Word], &[Word])| crate::matrix::dot(a, b);
            a.chunks(len.max(1)).zip(b.chunks(len.max(1))).map(dot).collect()
        }
        Kind::Truncate { len, shift } => truncation(free, len, shift),
        Kind::Borrow { digits, .. } => borrow(free, digits),
        Kind::Gates { gate, words } => gates(free, gate, words),
        Kind::BothWays { lanes } => {
            (0..lanes).map(|lane| free[lane / LANES] >> (lane % LANES) & 1).collect()
        }
        Kind::Indicator { bits, lanes } => indicator(free, bits, lanes),
        Kind::Mask { .. } | Kind::OwnMask { .. } | Kind::Product(_) => Vec::new(),
    }
}

fn truncation(r: &[Word], len: usize, shift: u32) -> Vec<Word> {
    const LOW: Word = Word::MAX >> 1;
    let mut words: Vec<Word> = r.iter().map(|r| (r & LOW) >> shift).collect();
    words.resize(len + len.div_ceil(2), 0);
    let tops: &mut [u64] = bytemuck::cast_slice_mut(&mut words[len..]);
    for (top, r) in tops.iter_mut().zip(r) {
        *top = u64::from(r >> 127 == 1);
    }
    words
}

/// Planes `[digit][set]`, each with a word for every block.
fn borrow(r: &[Word], digits: usize) -> Vec<Word> {
    let planes = crate::shared::planes(r);
    let blocks = r.len() / LANES;
    let mut words = vec![0; blocks * digits * DIGIT_MONOMIALS];
    for digit in 0..digits {
        for set in 1..=DIGIT_MONOMIALS {
            let at = (digit * DIGIT_MONOMIALS + set - 1) * blocks;
            let bits = (0..DIGIT_BITS).filter(|bit| set >> bit & 1 == 1);
            let into = &mut words[at..at + blocks];
            into.fill(u128::MAX);
            for bit in bits {
                let plane = &planes[digit * DIGIT_BITS + bit];
                into.iter_mut().zip(plane).for_each(|(word, plane)| *word &= plane);
            }
        }
    }
    words
}

fn gates(masks: &[Word], gate: Gate, words: usize) -> Vec<Word> {
    let mut products = Vec::with_capacity(gate.monomials().len() * words);
    for set in gate.monomials() {
        let chosen = (0..gate.variables()).filter(|variable| set >> variable & 1 == 1);
        let start = products.len();
        products.resize(start + words, u128::MAX);
        for variable in chosen {
            let mask = &masks[variable * words..][..words];
            products[start..].iter_mut().zip(mask).for_each(|(product, mask)| *product &= mask);
        }
    }
    products
}

fn indicator(planes: &[Word], bits: u32, lanes: usize) -> Vec<Word> {
    let blocks = konsil_ring::lanes_to_words(lanes);
    let mut vector = vec![0; lanes << bits];
    for (lane, values) in vector.chunks_mut(1 << bits).enumerate() {
        let bit = |plane: &[Word]| usize::from(plane[lane / LANES] >> (lane % LANES) & 1 == 1);
        let value = planes
            .chunks(blocks)
            .enumerate()
            .fold(0, |value, (place, plane)| value | bit(plane) << place);
        values[value] = 1;
    }
    vector
}
