//! Sums of columns over people, weighted by doses, where genotypes alone do not say them.

use crate::doses::{DOSE_BITS, DOSE_COPY, Doses};
use crate::packed::{PEOPLE_OF_WORD, Packed};
use crate::scan::{BlockSums, Dose, GenotypeCounts, LANES, Scanner};
use std::num::NonZeroUsize;
use std::thread;

/// People whose values stay in the second-level cache while variants pass by; products of so many do
/// not overflow.
const CHUNK: usize = 512;
/// Variants that pass by.
const VARIANTS: usize = 64;
/// What makes a value one without a sign.
const RAISED: u64 = 1 << 63;

/// Doses of one variant among the people who take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoseCounts {
    /// People whose dose is known.
    pub known: u32,
    /// Those with a dose above 0.
    pub carriers: u32,
    /// Those with a dose below two copies.
    pub others: u32,
    /// Their doses, [`DOSE_BITS`] fractional bits.
    pub sum: u64,
    /// Squares of their doses, twice as many fractional bits.
    pub squares: u64,
}

/// Sums of one variant.
struct Dosed {
    counts: DoseCounts,
    /// `[column]`, padded, with the fractional bits of values and doses; then likewise of values and
    /// squares, of columns that have these.
    observed: Vec<i128>,
    missing: Vec<i64>,
}

/// A person of a chunk, and a dose that is not 0.
type Known = (usize, u64);

impl Scanner {
    /// The sums of a block, doses in place of genotypes wherever there are doses; genotype counts stay
    /// those of genotypes. Each sum is rounded once. On as many threads as there are processors;
    /// a dose that is not 0 takes two multiplications for each column. Nothing for a block, or doses,
    /// of other people.
    #[must_use]
    pub fn scan_doses(&self, block: &Packed, doses: &Doses) -> BlockSums {
        let variants = block.variants();
        let fits = doses.variants().last().is_none_or(|last| *last < variants)
            && (doses.variants().is_empty() || doses.people() == self.people);
        if block.people() != self.people || variants == 0 || !fits {
            return BlockSums::default();
        }
        let mut sums = self.scan_others(block, doses);
        let taking = self.mask.iter().map(|it| it.count_ones()).sum::<u32>() / 2;
        let counted = |it: &GenotypeCounts| DoseCounts {
            known: taking.saturating_sub(it.missing),
            carriers: it.one + it.two,
            others: taking.saturating_sub(it.missing + it.two),
            sum: u64::from(it.one + 2 * it.two) << DOSE_BITS,
            squares: (u64::from(it.one) + 4 * u64::from(it.two)) << (2 * DOSE_BITS),
        };
        sums.doses = sums.counts.iter().map(counted).collect();
        let columns = self.doses.len();
        for (variant, dosed) in doses.variants().iter().zip(self.dosed(doses)) {
            let place = variant * columns..(variant + 1) * columns;
            let observed = sums.observed.get_mut(place.clone()).unwrap_or_default();
            for (column, (into, dose)) in observed.iter_mut().zip(&self.doses).enumerate() {
                let (column, bits) = match dose {
                    Dose::Copies => (column, DOSE_BITS),
                    Dose::Squares => (self.width + column, 2 * DOSE_BITS),
                };
                *into = rounded(dosed.observed.get(column).copied().unwrap_or(0), bits);
            }
            let missing = sums.missing.get_mut(place).unwrap_or_default();
            missing.iter_mut().zip(&dosed.missing).for_each(|(into, it)| *into = *it);
            if let Some(counts) = sums.doses.get_mut(*variant) {
                *counts = dosed.counts;
            }
        }
        sums
    }

    /// The sums of the variants without doses, and counts of all.
    fn scan_others(&self, block: &Packed, doses: &Doses) -> BlockSums {
        if doses.variants().is_empty() {
            return self.scan(block);
        }
        let (variants, columns) = (block.variants(), self.doses.len());
        let mut with_doses = vec![false; variants];
        for variant in doses.variants() {
            with_doses[*variant] = true;
        }
        let others: Vec<usize> = (0..variants).filter(|it| !with_doses[*it]).collect();
        let words: Vec<u64> = others.iter().flat_map(|it| block.variant(*it)).copied().collect();
        let some = Packed::new(self.people, words).map(|it| self.scan(&it)).unwrap_or_default();
        let mut sums = BlockSums {
            counts: self.counts(block),
            observed: vec![0; variants * columns],
            missing: vec![0; variants * columns],
            doses: Vec::new(),
        };
        let rows = |all: &mut Vec<i64>, some: &[i64]| {
            for (variant, row) in others.iter().zip(some.chunks(columns.max(1))) {
                let into = all.get_mut(variant * columns..(variant + 1) * columns);
                into.unwrap_or_default().copy_from_slice(row);
            }
        };
        rows(&mut sums.observed, &some.observed);
        rows(&mut sums.missing, &some.missing);
        sums
    }

    /// The sums of all variants with doses, in their order.
    fn dosed(&self, doses: &Doses) -> Vec<Dosed> {
        let rows: Vec<&[u16]> = doses.variants().iter().filter_map(|it| doses.of(*it)).collect();
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = rows.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let mut running = Vec::new();
            for rows in rows.chunks(share) {
                running.push(scope.spawn(move || {
                    rows.chunks(VARIANTS).flat_map(|it| self.pass(it)).collect::<Vec<_>>()
                }));
            }
            let done = running
                .into_iter()
                .flat_map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            done.collect()
        })
    }

    /// The sums of some variants, people chunk by chunk.
    fn pass(&self, rows: &[&[u16]]) -> Vec<Dosed> {
        let width = self.width;
        let nothing = || Dosed {
            counts: DoseCounts::default(),
            observed: vec![0; 2 * width],
            missing: vec![0; width],
        };
        let mut all: Vec<Dosed> = rows.iter().map(|_| nothing()).collect();
        let mut known = Vec::with_capacity(CHUNK);
        for first in (0..self.people).step_by(CHUNK) {
            let values = self.values.get(first * width..).unwrap_or_default();
            for (row, dosed) in rows.iter().zip(&mut all) {
                let own = row.iter().skip(first).take(CHUNK);
                self.look(own, (first, values), &mut known, dosed);
                for lane in (0..width).step_by(LANES) {
                    add_lane(&known, (values, width), lane, &mut dosed.observed);
                }
                let squares = self.doses.iter().enumerate().filter(|it| *it.1 == Dose::Squares);
                for (column, _) in squares {
                    let sum = known.iter().map(|(at, dose)| {
                        let value = values.get(at * width + column).copied().unwrap_or(0);
                        // below 2^63 and at most 2^30: a chunk's sum stays below 2^102
                        i128::from(value) * i128::from(dose * dose)
                    });
                    if let Some(into) = dosed.observed.get_mut(width + column) {
                        *into += sum.sum::<i128>();
                    }
                }
            }
        }
        all
    }

    /// Counts a chunk's doses, and finds those that are not 0; the values of those who miss theirs are
    /// added up.
    fn look<'a>(
        &self,
        doses: impl Iterator<Item = &'a u16>,
        (first, values): (usize, &[i64]),
        known: &mut Vec<Known>,
        dosed: &mut Dosed,
    ) {
        known.clear();
        for (at, dose) in doses.enumerate() {
            let person = first + at;
            let mask = self.mask.get(person / PEOPLE_OF_WORD).copied().unwrap_or(0);
            if mask >> (2 * (person % PEOPLE_OF_WORD)) & 1 == 0 {
                continue;
            }
            if *dose > 2 * DOSE_COPY {
                let values = values.get(at * self.width..).unwrap_or_default();
                let missing = dosed.missing.iter_mut().zip(values);
                missing.for_each(|(sum, it)| *sum = sum.wrapping_add(*it));
                continue;
            }
            dosed.counts.known += 1;
            dosed.counts.others += u32::from(*dose < 2 * DOSE_COPY);
            if *dose > 0 {
                dosed.counts.carriers += 1;
                let dose = u64::from(*dose);
                dosed.counts.sum += dose;
                dosed.counts.squares += dose * dose;
                known.push((at, dose));
            }
        }
    }
}

/// Adds doses times values of a few columns: as products of halves, which fit into 64 bits.
fn add_lane(known: &[Known], (values, width): (&[i64], usize), lane: usize, observed: &mut [i128]) {
    let (mut low, mut high, mut doses) = ([0_u64; LANES], [0_u64; LANES], 0_u64);
    for (at, dose) in known {
        let values = values.get(at * width + lane..).and_then(|it| it.first_chunk::<LANES>());
        let Some(values) = values else { continue };
        doses = doses.wrapping_add(*dose);
        for column in 0..LANES {
            let raised = values[column].cast_unsigned() ^ RAISED;
            low[column] = low[column].wrapping_add((raised & 0xffff_ffff).wrapping_mul(*dose));
            high[column] = high[column].wrapping_add((raised >> 32).wrapping_mul(*dose));
        }
    }
    let raised = i128::from(doses) << 63;
    let into = observed.iter_mut().skip(lane).zip(low.iter().zip(&high));
    into.for_each(|(into, (low, high))| {
        *into += i128::from(*low) + (i128::from(*high) << 32) - raised;
    });
}

/// A sum without its last bits, rounded to the nearest.
fn rounded(sum: i128, bits: u32) -> i64 {
    let rounded = (sum + (1 << (bits - 1))) >> bits;
    i64::try_from(rounded).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DOSE_MISSING, copies_of, dose_of};

    /// Genotypes of 9 variants, and doses of most of them.
    fn made(people: usize) -> (Packed, Doses) {
        let mut state = 11_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 40
        };
        let words =
            (0..9 * Packed::stride_of(people)).map(|_| next() << 40 ^ next() << 20 ^ next());
        let block = Packed::new(people, words.collect()).unwrap();
        let mut doses = Doses::none(people);
        for variant in [0, 1, 3, 4, 5, 8] {
            let dose = |_| match next() % 8 {
                0 => DOSE_MISSING,
                1..4 => 0,
                // everybody's greatest at one variant
                _ if variant == 4 => 2 * DOSE_COPY,
                _ => u16::try_from(next() % 32_769).unwrap(),
            };
            assert!(doses.push(variant, &(0..people).map(dose).collect::<Vec<_>>()));
        }
        (block, doses)
    }

    // Values so large that sums just fit, in more people than a chunk has, beside variants without doses.
    #[test]
    fn sums_are_those_of_single_doses() {
        for (people, columns) in [(1, 1), (33, 3), (1_500, 13)] {
            let (block, doses) = made(people);
            let rows: Vec<Option<usize>> =
                (0..people).map(|it| (it % 7 != 2).then_some(it)).collect();
            let most = 1024.0;
            let value = |at: usize| ((at * 7919 % 1_000_003) as f64 / 500_001.5 - 1.0) * most;
            let values: Vec<f64> = (0..people * columns).map(value).collect();
            let kinds: Vec<Dose> = (0..columns)
                .map(|at| if at % 3 == 2 { Dose::Squares } else { Dose::Copies })
                .collect();
            let scanner = Scanner::new(&rows, &values, &kinds);
            let sums = scanner.scan_doses(&block, &doses);
            assert_eq!(sums.counts, scanner.scan(&block).counts);
            for variant in 0..9 {
                let mut counts = DoseCounts::default();
                let (mut observed, mut missing) = (vec![0_i128; columns], vec![0_i64; columns]);
                for person in (0..people).filter(|it| rows[*it].is_some()) {
                    let own = doses.of(variant).map(|it| it[person]);
                    let dose = own.unwrap_or_else(|| dose_of(block.genotype(variant, person)));
                    let known = copies_of(dose).is_some();
                    if known {
                        counts.known += 1;
                        counts.carriers += u32::from(dose > 0);
                        counts.others += u32::from(dose < 2 * DOSE_COPY);
                        counts.sum += u64::from(dose);
                        counts.squares += u64::from(dose).pow(2);
                    }
                    for column in 0..columns {
                        let value = scanner.values[person * scanner.width + column];
                        match (known, kinds[column]) {
                            (false, _) => missing[column] += value,
                            // in 28 bits both
                            (_, Dose::Copies) => {
                                observed[column] +=
                                    (i128::from(value) * i128::from(dose)) << DOSE_BITS;
                            }
                            _ => observed[column] += i128::from(value) * i128::from(dose).pow(2),
                        }
                    }
                }
                let at = variant * columns..(variant + 1) * columns;
                assert_eq!(sums.doses[variant], counts, "{variant}");
                assert_eq!(sums.missing[at.clone()], missing, "{variant}");
                let wanted: Vec<i64> = observed.iter().map(|it| rounded(*it, 28)).collect();
                assert_eq!(sums.observed[at], wanted, "{variant}");
            }
        }
    }

    #[test]
    fn without_doses_sums_are_those_of_genotypes() {
        let (block, _) = made(40);
        let rows: Vec<Option<usize>> = (0..40).map(Some).collect();
        let values: Vec<f64> = (0..80).map(|it| f64::from(it) - 20.0).collect();
        let scanner = Scanner::new(&rows, &values, &[Dose::Copies, Dose::Squares]);
        let (plain, dosed) = (scanner.scan(&block), scanner.scan_doses(&block, &Doses::none(40)));
        assert_eq!((plain.observed, plain.missing), (dosed.observed, dosed.missing));
        assert!(plain.doses.is_empty() && dosed.doses.len() == 9);
        // those of other people, or beyond the block
        let mut beyond = Doses::none(40);
        assert!(beyond.push(9, &[0; 40]));
        let mut others = Doses::none(41);
        assert!(others.push(0, &[0; 41]));
        assert!(scanner.scan_doses(&block, &beyond).counts.is_empty());
        assert!(scanner.scan_doses(&block, &others).counts.is_empty());
    }
}
