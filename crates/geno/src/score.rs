//! Polygenic scores of one centre's people: weights times copies of alleles, added up.
//!
//! As `plink2 --score` does it: a missing genotype counts as twice the allele's frequency, the average
//! is over all alleles of all variants, and doses count where there are any.

use crate::{Panel, ScoreEntry};
use konsil_kernels::{Doses, Packed, copies_of};
use std::collections::HashMap;
use thiserror::Error;

/// A weight at a variant of the panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight {
    /// Number of the variant in the panel.
    pub variant: usize,
    /// Whether the alternative allele has the weight, not the reference allele.
    pub alternative: bool,
    /// Effect of one copy.
    pub weight: f64,
    /// Frequency of the allele with the weight; NaN where the score does not say.
    pub frequency: f64,
}

/// Why a score cannot be computed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// A block of other people.
    #[error("a block has {found} people, the score is of {expected}; import the genotypes anew")]
    People {
        /// People of the score.
        expected: usize,
        /// People of the block.
        found: usize,
    },
}

/// Scores in the making; patient data.
#[derive(Clone, PartialEq)]
pub struct Scores {
    sums: Vec<f64>,
    used: usize,
    unknown: usize,
}

impl std::fmt::Debug for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scores[{}]", self.sums.len())
    }
}

impl Scores {
    /// Zeros for as many people.
    #[must_use]
    pub fn new(people: usize) -> Self {
        Self { sums: vec![0.0; people], used: 0, unknown: 0 }
    }

    /// Adds the variant at place `at` of a block, with the doses of that block. Where the score does not say the allele's frequency,
    /// it is taken from the people at hand; a variant that nobody has then adds nothing.
    ///
    /// # Errors
    /// [`ScoreError::People`].
    pub fn add(
        &mut self,
        (block, doses): (&Packed, &Doses),
        at: usize,
        weight: &Weight,
    ) -> Result<(), ScoreError> {
        let (expected, found) = (self.sums.len(), block.people());
        if expected != found {
            return Err(ScoreError::People { expected, found });
        }
        if let Some(doses) = doses.of(at) {
            self.add_doses(doses, weight);
            return Ok(());
        }
        let words = block.variant(at);
        let copies = |code: u64| if weight.alternative { code as f64 } else { 2.0 - code as f64 };
        let frequency = if weight.frequency.is_finite() {
            weight.frequency
        } else {
            frequency(words, found, weight.alternative)
        };
        if !frequency.is_finite() {
            self.unknown += 1;
            return Ok(());
        }
        let [none, one, two] = [0, 1, 2].map(|code| weight.weight * copies(code));
        let adds = [none, one, two, weight.weight * 2.0 * frequency];
        for (sums, word) in self.sums.chunks_mut(konsil_kernels::PEOPLE_OF_WORD).zip(words) {
            let mut word = *word;
            for sum in sums {
                *sum += match word & 3 {
                    0 => adds[0],
                    1 => adds[1],
                    2 => adds[2],
                    _ => adds[3],
                };
                word >>= 2;
            }
        }
        self.used += 1;
        Ok(())
    }

    /// The same, of doses.
    fn add_doses(&mut self, doses: &[u16], weight: &Weight) {
        let copies = |dose: &u16| {
            let copies = copies_of(*dose);
            copies.map(|it| if weight.alternative { it } else { 2.0 - it })
        };
        let mut frequency = weight.frequency;
        if !frequency.is_finite() {
            let known = doses.iter().filter_map(copies);
            let (sum, count) = known.fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
            frequency = sum / (2.0 * count);
        }
        if !frequency.is_finite() {
            self.unknown += 1;
            return;
        }
        for (sum, dose) in self.sums.iter_mut().zip(doses) {
            *sum += weight.weight * copies(dose).unwrap_or(2.0 * frequency);
        }
        self.used += 1;
    }

    /// The sum of each person.
    #[must_use]
    pub fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// The average over all alleles of each person, as `plink2 --score` shows it; 0 without variants.
    #[must_use]
    pub fn averages(&self) -> Vec<f64> {
        let alleles = (2 * self.used).max(1) as f64;
        self.sums.iter().map(|it| it / alleles).collect()
    }

    /// Variants that were added.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Variants that nobody has, and whose frequency is not known.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.unknown
    }
}

/// Frequency of an allele among the genotypes that are known.
fn frequency(words: &[u64], people: usize, alternative: bool) -> f64 {
    let (mut known, mut copies) = (0_u64, 0_u64);
    for (at, word) in words.iter().enumerate() {
        let count = people.saturating_sub(at * konsil_kernels::PEOPLE_OF_WORD);
        for person in 0..count.min(konsil_kernels::PEOPLE_OF_WORD) {
            let code = word >> (2 * person) & 3;
            if code < 3 {
                known += 1;
                copies += code;
            }
        }
    }
    let share = copies as f64 / (2 * known) as f64;
    if alternative { share } else { 1.0 - share }
}

/// How a score's variants were found in a panel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Found with the alternative allele as the one with the weight.
    pub as_alternative: usize,
    /// Found with the reference allele as the one with the weight.
    pub as_reference: usize,
    /// Of these, found on the other strand.
    pub other_strand: usize,
    /// Of these, A/T or C/G: the same on both strands, taken as they stand.
    pub palindromes: usize,
    /// Not in the panel.
    pub absent: usize,
    /// In the panel with other alleles.
    pub other_alleles: usize,
}

impl Matched {
    /// Variants that were found.
    #[must_use]
    pub fn found(&self) -> usize {
        self.as_alternative + self.as_reference
    }
}

/// Finds a score's variants in a panel, by chromosome, position and alleles; in the panel's order.
/// Alleles may be swapped, or written for the other strand where that cannot be confused.
#[must_use]
pub fn match_score(entries: &[ScoreEntry], panel: &Panel) -> (Vec<Weight>, Matched) {
    let mut wanted: HashMap<(&str, u32), Vec<usize>> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        wanted.entry((entry.chromosome.as_str(), entry.position)).or_default().push(at);
    }
    let mut weights = Vec::new();
    let mut matched = Matched::default();
    let mut state = vec![State::Absent; entries.len()];
    for (variant, it) in panel.variants().enumerate() {
        let Some(places) = wanted.get(&(it.chromosome, it.position)) else { continue };
        for at in places {
            let (Some(entry), Some(state)) = (entries.get(*at), state.get_mut(*at)) else {
                continue;
            };
            if *state == State::Found {
                continue;
            }
            let Some((alternative, turned)) = orientation(entry, it.reference, it.alternative)
            else {
                *state = State::OtherAlleles;
                continue;
            };
            *state = State::Found;
            matched.as_alternative += usize::from(alternative);
            matched.as_reference += usize::from(!alternative);
            matched.other_strand += usize::from(turned);
            let palindrome = complement(it.reference).as_deref() == Some(it.alternative);
            matched.palindromes += usize::from(palindrome);
            let Weight { weight, frequency, .. } = entry.weight();
            weights.push(Weight { variant, alternative, weight, frequency });
        }
    }
    matched.absent = state.iter().filter(|it| **it == State::Absent).count();
    matched.other_alleles = state.iter().filter(|it| **it == State::OtherAlleles).count();
    (weights, matched)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Absent,
    OtherAlleles,
    Found,
}

/// Whether the allele with the weight is the alternative one, and whether it is written for the other
/// strand. The alleles as they stand come first, so that A/T and C/G are never turned.
fn orientation(entry: &ScoreEntry, reference: &str, alternative: &str) -> Option<(bool, bool)> {
    let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let plain = |effect: &str, other: &str| {
        let other_is = |it: &str| other.is_empty() || is(other, it);
        if is(effect, alternative) && other_is(reference) {
            Some(true)
        } else if is(effect, reference) && other_is(alternative) {
            Some(false)
        } else {
            None
        }
    };
    if let Some(found) = plain(&entry.effect_allele, &entry.other_allele) {
        return Some((found, false));
    }
    // without the other allele a turned one could be any
    if entry.other_allele.is_empty() {
        return None;
    }
    let turned = plain(&complement(&entry.effect_allele)?, &complement(&entry.other_allele)?);
    turned.map(|it| (it, true))
}

/// The bases of the other strand, in its direction.
fn complement(allele: &str) -> Option<String> {
    let base = |it: char| match it.to_ascii_uppercase() {
        'A' => Some('T'),
        'C' => Some('G'),
        'G' => Some('C'),
        'T' => Some('A'),
        _ => None,
    };
    allele.chars().rev().map(base).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScoreFile;

    const PEOPLE: usize = 70;
    const VARIANTS: usize = 40;
    /// What `plink2 --score` 2.00a3.5 says of the genotypes below, with the frequencies of the people
    /// and with given ones; made by `scripts/references/scores.py`.
    const EXPECTED: &str = include_str!("../tests/vectors/scores.csv");

    /// Genotypes that the script makes in the same way.
    fn genotype(variant: usize, person: usize) -> u64 {
        match (variant * 7919 + person * 10_473 + variant * person * 31) % 23 {
            0..9 => 0,
            9..16 => 1,
            16..21 => 2,
            _ => 3,
        }
    }

    fn weight(variant: usize, given: bool) -> Weight {
        Weight {
            variant,
            alternative: !variant.is_multiple_of(3),
            weight: (variant as f64 * 0.7).sin() / 4.0,
            frequency: if given { 0.1 + variant as f64 / 100.0 } else { f64::NAN },
        }
    }

    fn block() -> Packed {
        let mut words = vec![0_u64; VARIANTS * Packed::stride_of(PEOPLE)];
        for variant in 0..VARIANTS {
            for person in 0..PEOPLE {
                let word = variant * Packed::stride_of(PEOPLE) + person / 32;
                words[word] |= genotype(variant, person) << (2 * (person % 32));
            }
        }
        Packed::new(PEOPLE, words).unwrap()
    }

    // A score that differs from PLINK's cannot be compared with any published one.
    #[test]
    fn scores_are_those_of_plink() {
        let block = block();
        for (given, column) in [(false, 1), (true, 2)] {
            let mut scores = Scores::new(PEOPLE);
            for variant in 0..VARIANTS {
                let none = Doses::none(PEOPLE);
                scores.add((&block, &none), variant, &weight(variant, given)).unwrap();
            }
            let averages = scores.averages();
            for (line, found) in EXPECTED.lines().skip(1).zip(&averages) {
                let expected: f64 = line.split(',').nth(column).unwrap().parse().unwrap();
                assert!(
                    (found - expected).abs() < 6e-6 * expected.abs().max(1e-3),
                    "{line} {found}"
                );
            }
            assert_eq!(EXPECTED.lines().count(), PEOPLE + 1);
            assert_eq!((scores.used(), scores.unknown()), (VARIANTS, 0));
        }
    }

    #[test]
    fn a_variant_that_nobody_has_adds_nothing() {
        let block = Packed::new(3, vec![u64::MAX]).unwrap();
        let mut scores = Scores::new(3);
        let none = Doses::none(3);
        scores.add((&block, &none), 0, &weight(1, false)).unwrap();
        assert_eq!((scores.used(), scores.unknown()), (0, 1));
        assert_eq!(scores.averages(), [0.0; 3]);
        let known = Weight { weight: 2.0, frequency: 0.25, ..weight(1, true) };
        scores.add((&block, &none), 0, &known).unwrap();
        assert_eq!(scores.sums(), [1.0; 3]);
        assert!(Scores::new(4).add((&block, &none), 0, &weight(1, false)).is_err());
    }

    // Doses in place of genotypes; the frequency is theirs too.
    #[test]
    fn doses_count_where_there_are_any() {
        let block = Packed::new(3, vec![0b00_10_01]).unwrap();
        let mut doses = Doses::none(3);
        assert!(doses.push(0, &[8_192, 24_576, konsil_kernels::DOSE_MISSING]));
        for (alternative, wanted) in [(true, [1.0, 3.0, 2.0]), (false, [3.0, 1.0, 2.0])] {
            let mut scores = Scores::new(3);
            let of = Weight { alternative, weight: 2.0, ..weight(1, false) };
            scores.add((&block, &doses), 0, &of).unwrap();
            assert_eq!((scores.sums(), scores.used()), (&wanted[..], 1));
        }
    }

    // A weight on the wrong allele turns a risk into its opposite.
    #[test]
    fn alleles_are_matched_swapped_and_turned() {
        let panel = "#CHROM\tPOS\tID\tREF\tALT\n1\t10\ta\tA\tG\n1\t20\tb\tA\tG\n1\t30\tc\tA\tG\n\
                     1\t30\tc2\tA\tC\n1\t40\td\tA\tT\n1\t50\te\tA\tG\n2\t10\tf\tCT\tC\nX\t10\tg\tA\tG\n";
        let panel = Panel::parse(panel.to_owned()).unwrap();
        let file = "#genome_build=GRCh38\nchr_name\tchr_position\teffect_allele\tother_allele\t\
                    effect_weight\n1\t10\tG\tA\t1\n1\t20\tA\tG\t2\n1\t30\tG\tT\t3\n1\t40\tT\tA\t4\n\
                    1\t50\tC\tA\t5\nchr2\t10\tC\tCT\t6\n3\t1\tA\tC\t7\nX\t10\tG\t\t8\n";
        let file = ScoreFile::parse(file).unwrap();
        let (weights, matched) = match_score(&file.entries, &panel);
        let found: Vec<(usize, bool, f64)> =
            weights.iter().map(|it| (it.variant, it.alternative, it.weight)).collect();
        assert_eq!(
            found,
            [
                (0, true, 1.0),
                (1, false, 2.0),
                (3, true, 3.0),
                (4, true, 4.0),
                (6, true, 6.0),
                (7, true, 8.0)
            ]
        );
        let expected = Matched {
            as_alternative: 5,
            as_reference: 1,
            other_strand: 1,
            palindromes: 1,
            absent: 1,
            other_alleles: 1,
        };
        assert_eq!((matched.clone(), matched.found()), (expected, 6));
    }
}
