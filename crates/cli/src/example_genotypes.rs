//! Made-up genotypes for the demo's and the example's made-up patients: few variants, correlated as
//! neighbours are, with one that acts on a trait.
//!
//! A person's genotypes follow from the person's number alone, so that they are the same however the
//! people are divided among centres. Nothing is read from a file.

use konsil_geno::Panel;
use konsil_kernels::{PEOPLE_OF_WORD, Packed};
use std::fmt::Write;

/// Chromosomes with the number of their variants.
const CHROMOSOMES: [(&str, usize); 3] = [("1", 1000), ("2", 650), ("19", 350)];
/// Bases from one variant to the next.
const SPACING: u32 = 4000;
/// Where the first variant is.
const FIRST: u32 = 43_600_000;
/// Variants that are inherited together, mostly.
const BLOCK: usize = 20;
/// Haplotypes of a block.
const HAPLOTYPES: usize = 6;
/// How often a person's next block is of the same origin.
const KEPT: f64 = 0.75;
/// How often an allele differs from its haplotype's.
const MUTATED: f64 = 0.004;
const MISSING: f64 = 0.01;
/// The variant that acts on the trait: number in the panel.
const CAUSAL: usize = 1000 + 650 + 328;

/// Genotypes of some people.
pub(crate) struct ExampleGenotypes {
    /// The variants.
    pub(crate) panel: Panel,
    /// The people's genotypes at all variants.
    pub(crate) block: Packed,
    /// Copies that each person has of the allele that acts, none of them missing.
    pub(crate) copies: Vec<u8>,
    /// The variant that acts: number in the panel.
    #[cfg(test)]
    pub(crate) causal: usize,
}

/// The variants, and the haplotypes of which all people are made.
struct Pool {
    panel: Panel,
    /// Whether each haplotype has the alternative allele: variant after variant, a bit each.
    alleles: Vec<u8>,
    /// Cumulated frequencies of each block's haplotypes.
    frequencies: Vec<[f64; HAPLOTYPES]>,
}

/// Genotypes of the people with these numbers.
pub(crate) fn genotypes(people: &[u32]) -> Option<ExampleGenotypes> {
    let pool = pool()?;
    let variants = pool.alleles.len();
    let stride = Packed::stride_of(people.len());
    let mut words = vec![0_u64; stride * variants];
    let mut copies = Vec::with_capacity(people.len());
    for (at, person) in people.iter().enumerate() {
        let mut numbers = Numbers::new(u64::from(*person) + 1);
        let both = [pool.haplotype(&mut numbers), pool.haplotype(&mut numbers)];
        let [first, second] = &both;
        for (variant, (a, b)) in first.iter().zip(second).enumerate() {
            let missing = numbers.even() < MISSING;
            let code = if missing { 3 } else { u64::from(a + b) };
            if variant == CAUSAL {
                copies.push(a + b);
            }
            if let Some(word) = words.get_mut(variant * stride + at / PEOPLE_OF_WORD) {
                *word |= code << (2 * (at % PEOPLE_OF_WORD));
            }
        }
    }
    let block = Packed::new(people.len(), words)?;
    Some(ExampleGenotypes {
        panel: pool.panel,
        block,
        copies,
        #[cfg(test)]
        causal: CAUSAL,
    })
}

/// The same pool every time.
fn pool() -> Option<Pool> {
    const BASES: [char; 4] = ['A', 'C', 'G', 'T'];
    let mut numbers = Numbers::new(0);
    let mut text = String::from("#CHROM\tPOS\tID\tREF\tALT\n");
    let (mut alleles, mut frequencies) = (Vec::new(), Vec::new());
    for (chromosome, count) in CHROMOSOMES {
        let mut position = FIRST;
        for at in 0..count {
            if alleles.len() % BLOCK == 0 {
                frequencies.push(numbers.frequencies());
            }
            position += 1 + numbers.below(SPACING) + SPACING / 2;
            let reference = numbers.below(4);
            let alternative = (reference + 1 + numbers.below(3)) % 4;
            let base = |it: u32| BASES.get(it as usize).copied().unwrap_or('A');
            let _fits = writeln!(
                text,
                "{chromosome}\t{position}\tex{chromosome}_{}\t{}\t{}",
                at + 1,
                base(reference),
                base(alternative)
            );
            // some haplotypes have it, neither none nor all
            let all = (1_u32 << HAPLOTYPES) - 1;
            let carriers =
                if alleles.len() == CAUSAL { 0b01_0010 } else { 1 + numbers.below(all - 1) };
            alleles.push(u8::try_from(carriers).unwrap_or(1));
        }
    }
    Some(Pool { panel: Panel::parse(text).ok()?, alleles, frequencies })
}

impl Pool {
    /// A chromosome set as one parent gives it: 0 or 1 for each variant.
    fn haplotype(&self, numbers: &mut Numbers) -> Vec<u8> {
        let mut held = 0;
        let mut alleles = Vec::with_capacity(self.alleles.len());
        for (block, carriers) in self.alleles.chunks(BLOCK).enumerate() {
            if block == 0 || numbers.even() > KEPT {
                let at = numbers.even();
                let frequencies = self.frequencies.get(block);
                held = frequencies.map_or(0, |it| it.iter().filter(|end| **end < at).count());
            }
            for carriers in carriers {
                let changed = u8::from(numbers.even() < MUTATED);
                alleles.push((carriers >> held.min(HAPLOTYPES - 1) & 1) ^ changed);
            }
        }
        alleles
    }
}

/// Numbers that look random, the same ones for the same begin (SplitMix64: begins that are neighbours
/// give numbers that are not).
struct Numbers(u64);

impl Numbers {
    fn new(begin: u64) -> Self {
        Self(begin.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Evenly between 0 and 1.
    fn even(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(((self.next() >> 32) * u64::from(bound)) >> 32).unwrap_or(0)
    }

    /// Frequencies of a block's haplotypes, added up: none of them is rare.
    fn frequencies(&mut self) -> [f64; HAPLOTYPES] {
        let parts: [f64; HAPLOTYPES] = std::array::from_fn(|_| 0.15 - self.even().ln());
        let total: f64 = parts.iter().sum();
        let mut sum = 0.0;
        parts.map(|it| {
            sum += it / total;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(from: u32, to: u32) -> ExampleGenotypes {
        genotypes(&(from..to).collect::<Vec<u32>>()).unwrap()
    }

    /// Copies at a variant with the mean in place of what is missing.
    fn copies(of: &ExampleGenotypes, variant: usize) -> Vec<f64> {
        let all: Vec<u8> =
            (0..of.block.people()).map(|it| of.block.genotype(variant, it)).collect();
        let known: Vec<f64> = all.iter().filter(|it| **it < 3).map(|it| f64::from(*it)).collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        all.iter().map(|it| if *it < 3 { f64::from(*it) } else { mean }).collect()
    }

    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let mean = |it: &[f64]| it.iter().sum::<f64>() / it.len() as f64;
        let (ma, mb) = (mean(a), mean(b));
        let sum = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
            x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
        };
        sum(a, ma, b, mb).powi(2) / (sum(a, ma, a, ma) * sum(b, mb, b, mb))
    }

    // The demo compares centres with a pooled file: both must have the same people.
    #[test]
    fn people_are_the_same_at_every_centre() {
        let (all, part) = (people(0, 90), people(40, 90));
        assert_eq!(all.panel.hash(), part.panel.hash());
        for variant in [0, 777, all.causal, 1999] {
            for person in 0..50 {
                let own = part.block.genotype(variant, person);
                assert_eq!(own, all.block.genotype(variant, person + 40));
            }
        }
        assert_eq!(part.copies, all.copies[40..]);
    }

    #[test]
    fn genotypes_look_real() {
        let of = people(0, 1500);
        assert_eq!((of.panel.len(), of.block.variants(), of.block.people()), (2000, 2000, 1500));
        let causal = of.panel.variant(of.causal).unwrap();
        assert_eq!(causal.chromosome, "19");
        let shares: Vec<f64> =
            (0..2000).map(|it| copies(&of, it).iter().sum::<f64>() / 3000.0).collect();
        assert!(shares.iter().filter(|it| (0.05..0.95).contains(*it)).count() > 1700);
        assert!((0.1..0.5).contains(&shares[of.causal]), "{}", shares[of.causal]);
        let missing = (0..1500).filter(|it| of.block.genotype(5, *it) == 3).count();
        assert!((3..40).contains(&missing), "{missing}");
        // neighbours are correlated, far ones are not; genotypes are in Hardy-Weinberg proportions
        let at: Vec<Vec<f64>> = (0..400).map(|it| copies(&of, it)).collect();
        let mean = |distance: usize| {
            let pairs = (0..60).map(|it| correlation(&at[3 * it], &at[3 * it + distance]));
            pairs.sum::<f64>() / 60.0
        };
        let [near, next, far] = [mean(1), mean(15), mean(200)];
        assert!(near > 0.1 && near > next && next > far && far < 0.02, "{near} {next} {far}");
        let share = shares[of.causal];
        let two = of.copies.iter().filter(|it| **it == 2).count() as f64 / 1500.0;
        assert!((two - share * share).abs() < 0.03);
    }
}
