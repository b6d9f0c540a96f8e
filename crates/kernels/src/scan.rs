//! Sums of columns over people, weighted by genotypes: the local step of a genome-wide scan.

use crate::packed::{PEOPLE_OF_WORD, Packed};
use crate::scan_doses::DoseCounts;
use std::num::NonZeroUsize;
use std::thread;

/// Fractional bits of the sums.
pub const SCAN_BITS: u32 = 40;

/// Variants that are worked on at a time: their sums fit into the second-level cache.
const TILE: usize = 1024;
/// Genotypes in a byte, and values of a byte.
const OF_BYTE: usize = 4;
const BYTES: usize = 256;
/// Columns are padded to a multiple of this.
pub(crate) const LANES: usize = 4;
/// Most lanes of columns that are added up in one go.
const LANES_MAX: usize = 8;

/// The low bit of every genotype of a word.
const LOW: u64 = 0x5555_5555_5555_5555;

/// What a genotype counts as in a column's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dose {
    /// Copies of the alternative allele, 0, 1, 2.
    Copies,
    /// Their square, 0, 1, 4.
    Squares,
}

impl Dose {
    fn of(self, copies: usize) -> i64 {
        match (self, copies) {
            (_, 0 | 3..) => 0,
            (_, 1) => 1,
            (Self::Copies, _) => 2,
            (Self::Squares, _) => 4,
        }
    }
}

/// Genotypes of one variant among the people who take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GenotypeCounts {
    /// People with one alternative allele.
    pub one: u32,
    /// People with two.
    pub two: u32,
    /// People whose genotype is missing.
    pub missing: u32,
}

/// Columns of one centre's people, ready to be added up variant by variant. Patient data.
pub struct Scanner {
    pub(crate) people: usize,
    /// Both bits of everyone who takes part.
    pub(crate) mask: Vec<u64>,
    /// `[person][width]`, people in the order of the genotypes; 0 for those who take no part.
    pub(crate) values: Vec<i64>,
    pub(crate) width: usize,
    pub(crate) doses: Vec<Dose>,
}

/// Sums of one block of variants.
#[derive(Default)]
pub struct BlockSums {
    /// For each variant.
    pub counts: Vec<GenotypeCounts>,
    /// `[variant][column]`: values times doses, [`SCAN_BITS`] fractional bits.
    pub observed: Vec<i64>,
    /// `[variant][column]`: values of those whose genotype is missing.
    pub missing: Vec<i64>,
    /// For each variant, of a scan with doses.
    pub doses: Vec<DoseCounts>,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scanner[{} x {}]", self.people, self.doses.len())
    }
}

impl std::fmt::Debug for BlockSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockSums[{}]", self.counts.len())
    }
}

impl Scanner {
    /// `rows[i]` is the row of person `i` of the genotypes among `values`, `[row][column]`, or nothing
    /// for people who take no part. Each value is rounded once, to [`SCAN_BITS`] fractional bits;
    /// below `2^20` in magnitude the sums of four million people cannot overflow.
    #[must_use]
    pub fn new(rows: &[Option<usize>], values: &[f64], doses: &[Dose]) -> Self {
        const UNIT: f64 = (1_u64 << SCAN_BITS) as f64;
        let columns = doses.len();
        let width = columns.div_ceil(LANES).max(1) * LANES;
        let mut mask = vec![0_u64; Packed::stride_of(rows.len())];
        let mut padded = vec![0_i64; rows.len() * width];
        for (person, row) in rows.iter().enumerate() {
            let Some(row) = row else { continue };
            if let Some(word) = mask.get_mut(person / PEOPLE_OF_WORD) {
                *word |= 3 << (2 * (person % PEOPLE_OF_WORD));
            }
            let from = values.get(row * columns..(row + 1) * columns).unwrap_or_default();
            for (into, value) in padded[person * width..].iter_mut().zip(from) {
                #[expect(clippy::cast_possible_truncation, reason = "saturates; bounded above")]
                let rounded = (value * UNIT).round() as i64;
                *into = rounded;
            }
        }
        Self { people: rows.len(), mask, values: padded, width, doses: doses.to_vec() }
    }

    /// The sums of a block, on as many threads as there are processors. Nothing for a block of other
    /// people.
    #[must_use]
    pub fn scan(&self, block: &Packed) -> BlockSums {
        let variants = block.variants();
        if block.people() != self.people || variants == 0 {
            return BlockSums::default();
        }
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let tiles: Vec<(usize, usize)> =
            (0..variants).step_by(TILE).map(|at| (at, (at + TILE).min(variants))).collect();
        let share = tiles.len().div_ceil(threads).max(1);
        let parts: Vec<BlockSums> = thread::scope(|scope| {
            let work = |tiles: &'_ [(usize, usize)]| {
                let tiles = tiles.to_vec();
                scope.spawn(move || {
                    tiles.into_iter().map(|tile| self.tile(block, tile)).collect::<Vec<_>>()
                })
            };
            let running: Vec<_> = tiles.chunks(share).map(work).collect();
            let done = running
                .into_iter()
                .flat_map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            done.collect()
        });
        let mut all = BlockSums::default();
        for mut part in parts {
            all.counts.append(&mut part.counts);
            all.observed.append(&mut part.observed);
            all.missing.append(&mut part.missing);
        }
        all
    }

    /// Genotype counts of a block alone. Nothing for a block of other people.
    #[must_use]
    pub fn counts(&self, block: &Packed) -> Vec<GenotypeCounts> {
        if block.people() != self.people {
            return Vec::new();
        }
        let stride = self.mask.len().max(1);
        block.words().chunks(stride).map(|words| self.count(words, &mut [])).collect()
    }

    /// Sums of the values of everyone who takes part, for each column.
    #[must_use]
    pub fn totals(&self) -> Vec<i64> {
        let mut totals = vec![0_i64; self.doses.len()];
        for row in self.values.chunks(self.width) {
            totals.iter_mut().zip(row).for_each(|(sum, it)| *sum = sum.wrapping_add(*it));
        }
        totals
    }

    fn tile(&self, block: &Packed, (from, to): (usize, usize)) -> BlockSums {
        let count = to - from;
        let mut padded = vec![0_i64; count * self.width];
        let stride = self.mask.len();
        let words = block.words().get(from * stride..to * stride).unwrap_or_default();
        let mut bytes = vec![0_u8; 8 * count];
        let mut table = vec![0_i64; BYTES * self.width];
        for at in 0..stride {
            split_bytes(words, (at, stride), &mut bytes);
            for (byte, column) in bytes.chunks(count).enumerate() {
                let first = at * PEOPLE_OF_WORD + byte * OF_BYTE;
                if first >= self.people {
                    break;
                }
                self.fill_table(first, &mut table);
                self.add(column, &table, &mut padded);
            }
        }
        let mut missing = vec![0_i64; count * self.width];
        let rows = words.chunks(stride).zip(missing.chunks_mut(self.width));
        let counts = rows.map(|(words, missing)| self.count(words, missing)).collect();
        let (observed, missing) = (self.unpadded(&padded), self.unpadded(&missing));
        BlockSums { counts, observed, missing, doses: Vec::new() }
    }

    /// For every byte of four genotypes, from person `first`, the sums that it adds.
    fn fill_table(&self, first: usize, table: &mut [i64]) {
        let width = self.width;
        table[..width].fill(0);
        for person in 0..OF_BYTE {
            let values = self.values.get((first + person) * width..(first + person + 1) * width);
            let known = 1 << (2 * person);
            let (below, above) = table.split_at_mut(known * width);
            let above = &mut above[..3 * known * width];
            for (copies, into) in (1..).zip(above.chunks_mut(known * width)) {
                for (into, from) in into.chunks_mut(width).zip(below.chunks(width)) {
                    into.copy_from_slice(from);
                    let Some(values) = values else { continue };
                    for ((into, value), dose) in into.iter_mut().zip(values).zip(&self.doses) {
                        *into = into.wrapping_add(value.wrapping_mul(dose.of(copies)));
                    }
                }
            }
        }
    }

    /// Adds the entries of a table to the sums of each variant.
    fn add(&self, bytes: &[u8], table: &[i64], sums: &mut [i64]) {
        let width = self.width;
        match width / LANES {
            1 => add_lanes::<4>(bytes, table, sums),
            2 => add_lanes::<8>(bytes, table, sums),
            3 => add_lanes::<12>(bytes, table, sums),
            4 => add_lanes::<16>(bytes, table, sums),
            5 => add_lanes::<20>(bytes, table, sums),
            6 => add_lanes::<24>(bytes, table, sums),
            7 => add_lanes::<28>(bytes, table, sums),
            LANES_MAX => add_lanes::<32>(bytes, table, sums),
            _ => {
                for (byte, sums) in bytes.iter().zip(sums.chunks_mut(width)) {
                    let entry = table.get(usize::from(*byte) * width..).unwrap_or_default();
                    sums.iter_mut().zip(entry).for_each(|(sum, it)| *sum = sum.wrapping_add(*it));
                }
            }
        }
    }

    /// Genotype counts of one variant; the values of those who miss it are added to `missing`.
    fn count(&self, words: &[u64], missing: &mut [i64]) -> GenotypeCounts {
        let mut counts = GenotypeCounts::default();
        for (at, (word, mask)) in words.iter().zip(&self.mask).enumerate() {
            let (low, high) = (word & LOW & mask, word >> 1 & LOW & mask);
            let mut both = low & high;
            counts.one += (low & !high).count_ones();
            counts.two += (high & !low).count_ones();
            counts.missing += both.count_ones();
            while both != 0 {
                let place = both.trailing_zeros();
                let person = at * PEOPLE_OF_WORD + usize::try_from(place / 2).unwrap_or(0);
                let values = self.values.get(person * self.width..).unwrap_or_default();
                missing.iter_mut().zip(values).for_each(|(sum, it)| *sum = sum.wrapping_add(*it));
                both &= both - 1;
            }
        }
        counts
    }

    fn unpadded(&self, padded: &[i64]) -> Vec<i64> {
        let columns = self.doses.len();
        if columns == self.width {
            return padded.to_vec();
        }
        padded.chunks(self.width).flat_map(|row| row.iter().take(columns).copied()).collect()
    }
}

/// The eight bytes of word `at` of each variant, `[byte][variant]`.
fn split_bytes(words: &[u64], (at, stride): (usize, usize), bytes: &mut [u8]) {
    let count = bytes.len() / 8;
    let mut columns = bytes.chunks_mut(count);
    let mut next = || columns.next().unwrap_or_default();
    let mut into: [&mut [u8]; 8] = std::array::from_fn(|_| next());
    for (variant, word) in words.iter().skip(at).step_by(stride).enumerate() {
        for (column, byte) in into.iter_mut().zip(word.to_le_bytes()) {
            if let Some(place) = column.get_mut(variant) {
                *place = byte;
            }
        }
    }
}

fn add_lanes<const WIDTH: usize>(bytes: &[u8], table: &[i64], sums: &mut [i64]) {
    let (entries, _) = table.as_chunks::<WIDTH>();
    let Some(entries) = entries.first_chunk::<BYTES>() else { return };
    let (sums, _) = sums.as_chunks_mut::<WIDTH>();
    for (byte, sums) in bytes.iter().zip(sums) {
        let entry = &entries[usize::from(*byte)];
        for lane in 0..WIDTH {
            sums[lane] = sums[lane].wrapping_add(entry[lane]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Genotypes, everybody's values, who takes part.
    fn made(
        people: usize,
        variants: usize,
        columns: usize,
    ) -> (Packed, Vec<f64>, Vec<Option<usize>>) {
        let mut state = 7_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let stride = Packed::stride_of(people);
        let words =
            (0..stride * variants).map(|_| next() << 33 | next() << 2 | next() & 3).collect();
        let values = (0..people * columns)
            .map(|_| f64::from(u32::try_from(next() % 4096).unwrap()) / 512.0 - 4.0);
        let values: Vec<f64> = values.collect();
        // in another order than the genotypes, and not everyone
        let rows =
            (0..people).map(|person| (next() % 5 > 0).then_some(people - 1 - person)).collect();
        (Packed::new(people, words).unwrap(), values, rows)
    }

    #[test]
    fn sums_are_those_of_single_genotypes() {
        for (people, variants, columns) in [(1, 1, 1), (33, 5, 3), (200, 2500, 12), (64, 40, 37)] {
            let (block, values, rows) = made(people, variants, columns);
            let doses: Vec<Dose> = (0..columns)
                .map(|at| if at % 3 == 2 { Dose::Squares } else { Dose::Copies })
                .collect();
            let scanner = Scanner::new(&rows, &values, &doses);
            let sums = scanner.scan(&block);
            assert_eq!(sums.counts.len(), variants);
            for variant in (0..variants).step_by(variants / 5 + 1) {
                let (mut observed, mut missing) = (vec![0.0; columns], vec![0.0; columns]);
                let mut counts = GenotypeCounts::default();
                for (person, row) in rows.iter().enumerate() {
                    let Some(row) = row else { continue };
                    let copies = block.genotype(variant, person);
                    match copies {
                        0 => {}
                        1 => counts.one += 1,
                        2 => counts.two += 1,
                        _ => counts.missing += 1,
                    }
                    for column in 0..columns {
                        let value = values[row * columns + column];
                        if copies == 3 {
                            missing[column] += value;
                        } else {
                            let dose = if column % 3 == 2 { copies * copies } else { copies };
                            observed[column] += value * f64::from(dose);
                        }
                    }
                }
                let real = |sum: &i64| *sum as f64 / (1_u64 << SCAN_BITS) as f64;
                assert_eq!(sums.counts[variant], counts);
                let at = variant * columns..(variant + 1) * columns;
                assert_eq!(
                    sums.observed[at.clone()].iter().map(real).collect::<Vec<_>>(),
                    observed
                );
                assert_eq!(sums.missing[at].iter().map(real).collect::<Vec<_>>(), missing);
            }
        }
    }

    #[test]
    fn foreign_blocks_have_no_sums() {
        let (block, values, mut rows) = made(40, 3, 2);
        rows.pop();
        let scanner = Scanner::new(&rows, &values, &[Dose::Copies; 2]);
        assert!(scanner.scan(&block).counts.is_empty());
    }
}
