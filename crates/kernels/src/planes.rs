//! Genotypes as planes of bits: products of two variants by counting bits.

use crate::packed::{PEOPLE_OF_WORD, Packed};
use std::num::NonZeroUsize;
use std::thread;

/// The low bit of every genotype of a word.
const LOW: u64 = 0x5555_5555_5555_5555;
/// Planes of a variant: at least one copy, two copies, known.
const PLANES: usize = 3;

/// Genotypes of the people who take part, a bit of each in a word. Patient data.
pub struct Planes {
    /// Words of a plane.
    words: usize,
    /// `[variant][plane][word]`.
    bits: Vec<u64>,
    /// For each variant people whose genotype is known, and their copies.
    totals: Vec<(u32, u32)>,
    people: u32,
}

/// Sums over the people whose genotype is known at both of two variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairSums {
    /// How many people.
    pub people: u32,
    /// Their copies at the first variant.
    pub first: u32,
    /// Their copies at the second.
    pub second: u32,
    /// Products of the copies.
    pub products: u32,
}

impl std::fmt::Debug for Planes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Planes[{} x {}]", self.totals.len(), self.people)
    }
}

impl Planes {
    /// The planes of a block; `takes_part[i]` is about person `i` of the genotypes.
    #[must_use]
    pub fn new(block: &Packed, takes_part: &[bool]) -> Self {
        let words = block.people().div_ceil(u64::BITS as usize);
        let mut mask = vec![0_u64; words];
        for (person, _) in takes_part.iter().take(block.people()).enumerate().filter(|it| *it.1) {
            mask[person / 64] |= 1 << (person % 64);
        }
        let people = mask.iter().map(|it| it.count_ones()).sum();
        let variants = block.variants();
        let mut bits = Vec::with_capacity(variants * PLANES * words);
        let mut totals = Vec::with_capacity(variants);
        for variant in 0..variants {
            let packed = block.variant(variant);
            let plane = |of: fn(u64) -> u64| {
                let both = packed.chunks(u64::BITS as usize / PEOPLE_OF_WORD);
                let joined = both.map(move |pair| {
                    let half = |at: usize| pair.get(at).map_or(0, |word| even_bits(of(*word)));
                    half(0) | half(1) << PEOPLE_OF_WORD
                });
                joined.zip(&mask).map(|(word, mask)| word & mask)
            };
            let start = bits.len();
            bits.extend(plane(|word| (word ^ word >> 1) & LOW));
            bits.extend(plane(|word| word >> 1 & !word & LOW));
            bits.extend(plane(|word| !(word & word >> 1) & LOW));
            let ones = |at: usize| -> u32 {
                let plane = &bits[start + at * words..start + (at + 1) * words];
                plane.iter().map(|it| it.count_ones()).sum()
            };
            totals.push((ones(2), ones(0) + ones(1)));
        }
        Self { words, bits, totals, people }
    }

    /// Variants.
    #[must_use]
    pub fn variants(&self) -> usize {
        self.totals.len()
    }

    /// Sums of each of the first `rows` variants with each of the next `window`, `[row][window]`; zeros
    /// beyond the last variant. On as many threads as there are processors; a pair takes a few
    /// operations for each 64 people.
    #[must_use]
    pub fn neighbours(&self, rows: usize, window: usize) -> Vec<PairSums> {
        let mut sums = vec![PairSums::default(); rows * window];
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = rows.div_ceil(threads).max(1);
        thread::scope(|scope| {
            for (part, into) in sums.chunks_mut(share * window.max(1)).enumerate() {
                scope.spawn(move || {
                    for (row, into) in into.chunks_mut(window.max(1)).enumerate() {
                        let first = part * share + row;
                        for (second, into) in (first + 1..self.variants()).zip(into) {
                            *into = self.pair(first, second);
                        }
                    }
                });
            }
        });
        sums
    }

    /// The sums of one pair; zeros for variants that are not there.
    #[must_use]
    pub fn pair(&self, first: usize, second: usize) -> PairSums {
        let (Some(own), Some(other)) = (self.totals.get(first), self.totals.get(second)) else {
            return PairSums::default();
        };
        let [some, two, known] = self.planes(first);
        let [other_some, other_two, other_known] = self.planes(second);
        let mut products = 0;
        for (((a, b), c), d) in some.iter().zip(two).zip(other_some).zip(other_two) {
            products += (a & c).count_ones() + (a & d).count_ones();
            products += (b & c).count_ones() + (b & d).count_ones();
        }
        if own.0 == self.people && other.0 == self.people {
            return PairSums { people: self.people, first: own.1, second: other.1, products };
        }
        let mut sums = PairSums { products, ..PairSums::default() };
        for (((known, a), b), other) in known.iter().zip(some).zip(two).zip(other_known) {
            sums.people += (known & other).count_ones();
            sums.first += (a & other).count_ones() + (b & other).count_ones();
        }
        for ((known, c), d) in known.iter().zip(other_some).zip(other_two) {
            sums.second += (c & known).count_ones() + (d & known).count_ones();
        }
        sums
    }

    fn planes(&self, variant: usize) -> [&[u64]; PLANES] {
        let start = variant * PLANES * self.words;
        std::array::from_fn(|at| &self.bits[start + at * self.words..][..self.words])
    }
}

/// The bits at even places, moved together.
fn even_bits(word: u64) -> u64 {
    let word = word & LOW;
    let word = (word | word >> 1) & 0x3333_3333_3333_3333;
    let word = (word | word >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    let word = (word | word >> 4) & 0x00ff_00ff_00ff_00ff;
    let word = (word | word >> 8) & 0x0000_ffff_0000_ffff;
    (word | word >> 16) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_single_genotypes() {
        let mut state = 3_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for people in [1, 31, 64, 65, 200] {
            let stride = Packed::stride_of(people);
            let variants = 9;
            let mut words: Vec<u64> =
                (0..stride * variants).map(|_| next() << 33 | next() << 2 | next() & 3).collect();
            // two variants that nobody misses
            words[..2 * stride].iter_mut().for_each(|word| *word &= LOW);
            let block = Packed::new(people, words).unwrap();
            let taking: Vec<bool> = (0..people).map(|_| next() % 4 > 0).collect();
            let planes = Planes::new(&block, &taking);
            let sums = planes.neighbours(variants, 4);
            for first in 0..variants {
                for step in 1..=4 {
                    let second = first + step;
                    let mut wanted = PairSums::default();
                    for person in (0..people).filter(|it| taking[*it] && second < variants) {
                        let (a, b) =
                            (block.genotype(first, person), block.genotype(second, person));
                        if a < 3 && b < 3 {
                            wanted.people += 1;
                            wanted.first += u32::from(a);
                            wanted.second += u32::from(b);
                            wanted.products += u32::from(a * b);
                        }
                    }
                    assert_eq!(sums[first * 4 + step - 1], wanted, "{people} {first} {second}");
                }
            }
        }
    }
}
