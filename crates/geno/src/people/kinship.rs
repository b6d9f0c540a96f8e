//! Relatives: KING's estimator between all pairs of people.

use super::as_f64;
use crate::error::GenoError;
use konsil_cohort::Genotypes;
use konsil_kernels::PEOPLE_OF_WORD;
use std::fmt;
use std::thread;
use zeroize::Zeroizing;

/// Variants of a word.
const BITS: usize = 64;
/// Words of a person that are compared at once, so that a tile of people stays near the processor.
const CHUNK: usize = 64;
/// People of a tile.
const TILE: usize = 32;
const PLANES: usize = 3;

/// Two people, and how near they are. Patient data.
///
/// KING's estimator for people of a population with structure. Of the variants that both have, `h` are
/// those at which both are heterozygous, `o` those at which they have opposite homozygous genotypes, `a`
/// and `b` those at which the one, or the other, is heterozygous. The kinship is
/// `1/2 - (4 o + (a - h) + (b - h)) / (4 min(a, b))`: 0.5 for the same person or identical twins (from
/// 0.354), 0.25 in the first degree (from 0.177), 0.125 in the second.
#[derive(Clone, Copy, PartialEq)]
pub struct Pair {
    /// Numbers of the two, the smaller first.
    pub people: (usize, usize),
    /// Variants that both have a genotype of.
    pub variants: u64,
    /// Variants at which both are heterozygous.
    pub both_heterozygous: u64,
    /// Variants at which they have opposite homozygous genotypes.
    pub opposite: u64,
    /// The kinship coefficient.
    pub kinship: f64,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pair")
    }
}

/// Genotypes person by person: a bit of each variant for heterozygous, for called, for two copies of
/// the alternative allele.
pub(super) struct Planes {
    people: usize,
    /// Of each chunk, of each person: the planes one after another.
    bits: Zeroizing<Vec<u64>>,
}

/// Counts of a pair.
#[derive(Clone, Copy, Default)]
struct Counts {
    variants: u64,
    both: u64,
    opposite: u64,
    first: u64,
    second: u64,
}

impl Planes {
    /// Reads genotypes of some variants.
    pub(super) fn read(genotypes: &dyn Genotypes, variants: &[usize]) -> Result<Self, GenoError> {
        let people = genotypes.people().len();
        let words = variants.len().div_ceil(BITS).next_multiple_of(CHUNK);
        let bits = Zeroizing::new(vec![0; people * words * PLANES]);
        let mut planes = Self { people, bits };
        for (at, variant) in variants.iter().enumerate() {
            let block = genotypes.read(*variant, 1)?;
            planes.put(at, block.variant(0));
        }
        Ok(planes)
    }

    fn put(&mut self, variant: usize, genotypes: &[u64]) {
        let (word, bit) = (variant / BITS, variant % BITS);
        let size = CHUNK * PLANES;
        let chunk = (word / CHUNK) * self.people * size;
        let own = self.bits.get_mut(chunk..).unwrap_or_default().chunks_mut(size);
        for (person, planes) in own.take(self.people).enumerate() {
            let packed = genotypes.get(person / PEOPLE_OF_WORD).copied().unwrap_or(u64::MAX);
            let genotype = packed >> (2 * (person % PEOPLE_OF_WORD)) & 3;
            let set = [genotype == 1, genotype != 3, genotype == 2];
            let words = planes.iter_mut().skip(word % CHUNK).step_by(CHUNK);
            for (own, is_set) in words.zip(set) {
                *own |= u64::from(is_set) << bit;
            }
        }
    }

    /// Pairs from a kinship on, the nearest first.
    pub(super) fn pairs(&self, kinship_min: f64) -> Vec<Pair> {
        let tiles = self.people.div_ceil(TILE);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(tiles.max(1));
        let mut pairs: Vec<Pair> = thread::scope(|scope| {
            let work = |first: usize| move || self.rows(first, threads, kinship_min);
            let running: Vec<_> = (0..threads).map(|it| scope.spawn(work(it))).collect();
            running.into_iter().filter_map(|it| it.join().ok()).flatten().collect()
        });
        pairs.sort_by(|a, b| b.kinship.total_cmp(&a.kinship).then(a.people.cmp(&b.people)));
        pairs
    }

    /// Pairs of every so many-th tile with all later people.
    fn rows(&self, first: usize, step: usize, kinship_min: f64) -> Vec<Pair> {
        let tiles = self.people.div_ceil(TILE);
        let mut found = Vec::new();
        for row in (first..tiles).step_by(step) {
            for column in row..tiles {
                self.tile((row, column), kinship_min, &mut found);
            }
        }
        found
    }

    fn tile(&self, (row, column): (usize, usize), kinship_min: f64, found: &mut Vec<Pair>) {
        let size = CHUNK * PLANES;
        let of = |tile: usize| tile * TILE..((tile + 1) * TILE).min(self.people);
        let mut counts = vec![Counts::default(); TILE * TILE];
        for chunk in self.bits.chunks(self.people * size) {
            let planes = |person: usize| chunk.get(person * size..(person + 1) * size);
            for (first, counts) in of(row).zip(counts.chunks_mut(TILE)) {
                for (second, counts) in of(column).zip(counts) {
                    if first < second
                        && let (Some(a), Some(b)) = (planes(first), planes(second))
                    {
                        counts.add(a, b);
                    }
                }
            }
        }
        for (first, counts) in of(row).zip(counts.chunks(TILE)) {
            for (second, counts) in of(column).zip(counts) {
                if first < second
                    && let Some(kinship) = counts.kinship().filter(|it| *it >= kinship_min)
                {
                    let Counts { variants, both, opposite, .. } = *counts;
                    let people = (first, second);
                    found.push(Pair {
                        people,
                        variants,
                        both_heterozygous: both,
                        opposite,
                        kinship,
                    });
                }
            }
        }
    }
}

impl Counts {
    /// Takes a chunk of both people in.
    fn add(&mut self, a: &[u64], b: &[u64]) {
        let ([a_het, a_called, a_two], [b_het, b_called, b_two]) = (parts(a), parts(b));
        let ones = |it: u64| u64::from(it.count_ones());
        let all = a_het.iter().zip(a_called).zip(a_two);
        for (((a_het, a_called), a_two), ((b_het, b_called), b_two)) in
            all.zip(b_het.iter().zip(b_called).zip(b_two))
        {
            let (a_none, b_none) = (a_called & !a_het & !a_two, b_called & !b_het & !b_two);
            self.variants += ones(a_called & b_called);
            self.both += ones(a_het & b_het);
            self.opposite += ones((a_none & b_two) | (a_two & b_none));
            self.first += ones(a_het & b_called);
            self.second += ones(a_called & b_het);
        }
    }

    /// None where one of the two is heterozygous nowhere.
    fn kinship(&self) -> Option<f64> {
        let (less, more) = (self.first.min(self.second), self.first.max(self.second));
        let apart = 4 * self.opposite + (less - self.both) + (more - self.both);
        (less > 0).then(|| 0.5 - as_f64(apart) / (4.0 * as_f64(less)))
    }
}

/// The three planes of a chunk.
fn parts(chunk: &[u64]) -> [&[u64]; PLANES] {
    let mut parts = chunk.chunks(CHUNK);
    [(); PLANES].map(|()| parts.next().unwrap_or_default())
}
