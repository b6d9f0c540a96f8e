//! A look at one centre's people: missing genotypes, heterozygosity, sex, relatives.
//!
//! All of it is for the centre's own steward, and nothing of it is sent. Frequencies are those of the
//! centre's own people.
//!
//! - *Heterozygosity* is counted at the variants of chromosomes 1 to 22 of which both alleles are there.
//!   With `p` the frequency of the alternative allele among `n` people with a genotype, a person is
//!   homozygous with probability `1 - 2 p (1 - p) 2n / (2n - 1)`; `F = (O - E) / (N - E)` from the
//!   observed and expected numbers `O` and `E` of homozygous genotypes among `N`. It is
//!   `plink2 --het small-sample`.
//! - *Sex* follows from the same number of X, outside the parts that X and Y share: F above 0.8 is a
//!   man's, below 0.2 a woman's. Men count as one copy in the frequencies, and the factor `2n / (2n - 1)`
//!   is not there: `plink1.9 --check-sex`.
//! - *Relatives*: see [`Pair`].
//!
//! # Sources
//!
//! Nei, Estimation of average heterozygosity and genetic distance from a small number of individuals,
//! Genetics 89 (1978), equation 2, for the factor. Manichaikul et al., Robust relationship inference in
//! genome-wide association studies, Bioinformatics 26 (2010), equation 11, for relatives.

mod advice;
mod kinship;

pub use advice::{Advice, Concern};
pub use kinship::Pair;

use crate::bits::LOW;
use crate::chromosome::{Build, Chromosome};
use crate::error::GenoError;
use crate::panel::Panel;
use konsil_cohort::{Genotypes, Sex};
use konsil_kernels::PEOPLE_OF_WORD;
use std::fmt;

/// F on X above which a person is a man, and below which a woman.
const MAN: f64 = 0.8;
const WOMAN: f64 = 0.2;
/// Variants that are read at once.
const AT_ONCE: usize = 1024;
/// What people are told about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeopleOptions {
    /// Part of the variants that a person may lack, 0 to 1.
    pub missing_max: f64,
    /// Standard deviations that a person's F may be from the mean of all.
    pub spread_max: f64,
    /// Kinship from which two people are told of.
    pub kinship_min: f64,
    /// Variants, evenly taken, that relatives are looked for with at most.
    pub kinship_variants: usize,
}

impl Default for PeopleOptions {
    fn default() -> Self {
        Self { missing_max: 0.05, spread_max: 3.0, kinship_min: 0.177, kinship_variants: 100_000 }
    }
}

/// Homozygous genotypes of a person.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Homozygous {
    /// How many there are.
    pub observed: u64,
    /// How many there are of a person whose parents are not related.
    pub expected: f64,
    /// Variants with a genotype, and with both alleles among all people.
    pub called: u64,
}

impl fmt::Debug for Homozygous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Homozygous")
    }
}

impl Homozygous {
    /// The inbreeding coefficient; none without a variant that tells.
    #[must_use]
    pub fn inbreeding(&self) -> Option<f64> {
        let called = as_f64(self.called);
        let room = called - self.expected;
        (room > 0.0).then(|| (as_f64(self.observed) - self.expected) / room)
    }
}

/// What was found about a person. Patient data.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Person {
    /// The sex that file or data set say.
    pub sex: Sex,
    /// Variants without a genotype.
    pub missing: u64,
    /// Variants that somebody has a genotype of, without those of Y.
    pub variants: u64,
    /// On chromosomes 1 to 22.
    pub autosomes: Homozygous,
    /// On X, outside the parts that X and Y share.
    pub x: Homozygous,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person")
    }
}

impl Person {
    /// Part of the variants that the person lacks.
    #[must_use]
    pub fn missing_part(&self) -> f64 {
        as_f64(self.missing) / as_f64(self.variants.max(1))
    }

    /// The sex that X says; unknown in between, and without X.
    #[must_use]
    pub fn sex_by_x(&self) -> Sex {
        match self.x.inbreeding() {
            Some(it) if it > MAN => Sex::Male,
            Some(it) if it < WOMAN => Sex::Female,
            _ => Sex::Unknown,
        }
    }
}

/// What was found about a centre's people. Patient data.
#[derive(Clone, PartialEq)]
pub struct People {
    /// Each, in the order of the genotypes.
    pub persons: Vec<Person>,
    /// Pairs of relatives, the nearest first.
    pub pairs: Vec<Pair>,
    /// Variants of chromosomes 1 to 22 and of X that were looked at.
    pub variants: (usize, usize),
    /// Variants that relatives were looked for with.
    pub kinship_variants: usize,
    /// What was asked for.
    pub options: PeopleOptions,
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "People[{}]", self.persons.len())
    }
}

impl People {
    /// Looks at people: one pass over all genotypes, and one over those that relatives are found with,
    /// which are held in memory, three bits each. Pairs take time that grows with the square of the
    /// people: some 10 ns for 64 variants of a pair.
    ///
    /// # Errors
    /// [`GenoError::Cohort`] for genotypes that cannot be read.
    pub fn look_at(
        genotypes: &dyn Genotypes,
        panel: &Panel,
        options: &PeopleOptions,
    ) -> Result<Self, GenoError> {
        let people = genotypes.people().len();
        let mut look = Look::new(people, genotypes.sexes());
        let mut autosomes = Vec::new();
        let mut first = 0;
        while first < genotypes.variants() {
            let count = AT_ONCE.min(genotypes.variants() - first);
            let block = genotypes.read(first, count)?;
            for at in 0..count {
                let part = part_of(panel, first + at);
                if look.variant(block.variant(at), part) && part == Part::Autosome {
                    autosomes.push(first + at);
                }
            }
            first += count;
        }
        let step = autosomes.len().div_ceil(options.kinship_variants.max(1)).max(1);
        let chosen: Vec<usize> = autosomes.iter().copied().step_by(step).collect();
        let planes = kinship::Planes::read(genotypes, &chosen)?;
        let pairs = planes.pairs(options.kinship_min);
        Ok(Self {
            persons: look.persons(),
            pairs,
            variants: (autosomes.len(), look.x_variants),
            kinship_variants: chosen.len(),
            options: *options,
        })
    }
}

/// What a variant tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Autosome,
    /// X outside the parts that X and Y share.
    X,
    /// The parts that X and Y share, and MT: nothing but whether genotypes are missing.
    Neither,
    /// Women have none.
    Y,
}

fn part_of(panel: &Panel, variant: usize) -> Part {
    let Some(it) = panel.variant(variant) else { return Part::Neither };
    match it.chromosome {
        "X" => {
            let own = Build::own_part_of_x(panel.build());
            if own.contains(&it.position) { Part::X } else { Part::Neither }
        }
        "Y" => Part::Y,
        name if Chromosome::parse(name).is_some_and(|it| !it.may_be_haploid()) => Part::Autosome,
        _ => Part::Neither,
    }
}

/// Counts of one part of the genome.
struct Tally {
    variants: u64,
    expected: f64,
    /// Of each person.
    heterozygous: Vec<u32>,
    missing: Vec<u32>,
    /// What `expected` has too much.
    missing_expected: Vec<f64>,
}

impl Tally {
    fn new(people: usize) -> Self {
        Self {
            variants: 0,
            expected: 0.0,
            heterozygous: vec![0; people],
            missing: vec![0; people],
            missing_expected: vec![0.0; people],
        }
    }

    /// Takes a variant in, with the probability to be homozygous.
    fn add(&mut self, words: &[u64], expected: f64) {
        self.variants += 1;
        self.expected += expected;
        each(words, |word| word & !(word >> 1) & LOW, &mut self.heterozygous, |it| *it += 1);
        each(words, missing_of, &mut self.missing, |it| *it += 1);
        each(words, missing_of, &mut self.missing_expected, |it| *it += expected);
    }

    fn homozygous(&self, person: usize) -> Homozygous {
        let of = |counts: &[u32]| u64::from(counts.get(person).copied().unwrap_or_default());
        let called = self.variants - of(&self.missing);
        let missing = self.missing_expected.get(person).copied().unwrap_or_default();
        let observed = called - of(&self.heterozygous);
        Homozygous { observed, expected: self.expected - missing, called }
    }
}

fn missing_of(word: u64) -> u64 {
    word & (word >> 1) & LOW
}

/// Does something for each person whose low bit is set in a mask of the genotypes.
fn each<T>(words: &[u64], mask: impl Fn(u64) -> u64, values: &mut [T], act: impl Fn(&mut T)) {
    for (word, values) in words.iter().zip(values.chunks_mut(PEOPLE_OF_WORD)) {
        let mut left = mask(*word);
        while left != 0 {
            let person = left.trailing_zeros() / 2;
            // what is left of the last word is nobody
            if let Some(value) = usize::try_from(person).ok().and_then(|it| values.get_mut(it)) {
                act(value);
            }
            left &= left - 1;
        }
    }
}

/// Counts in the making.
struct Look {
    people: usize,
    sexes: Vec<Sex>,
    /// The low bits of men.
    men: Vec<u64>,
    autosomes: Tally,
    x: Tally,
    x_variants: usize,
    variants: u64,
    missing: Vec<u32>,
}

/// Counts of a variant: copies of the alternative allele, copies of both, people with a genotype.
struct Copies {
    alternative: u64,
    all: u64,
}

impl Look {
    fn new(people: usize, sexes: &[Sex]) -> Self {
        let mut known = sexes.to_vec();
        known.resize(people, Sex::Unknown);
        let mut men = vec![0_u64; people.div_ceil(PEOPLE_OF_WORD)];
        for (person, _) in known.iter().enumerate().filter(|(_, it)| **it == Sex::Male) {
            if let Some(word) = men.get_mut(person / PEOPLE_OF_WORD) {
                *word |= 1 << (2 * (person % PEOPLE_OF_WORD));
            }
        }
        Self {
            people,
            sexes: known,
            men,
            autosomes: Tally::new(people),
            x: Tally::new(people),
            x_variants: 0,
            variants: 0,
            missing: vec![0; people],
        }
    }

    /// Takes a variant in; says whether somebody has a genotype.
    fn variant(&mut self, words: &[u64], part: Part) -> bool {
        let copies = self.copies(words, part);
        if copies.all == 0 {
            return false;
        }
        if part != Part::Y {
            self.variants += 1;
            each(words, missing_of, &mut self.missing, |it| *it += 1);
        }
        self.x_variants += usize::from(part == Part::X);
        // one allele alone tells nothing
        if copies.alternative == 0 || copies.alternative == copies.all {
            return true;
        }
        let all = as_f64(copies.all);
        let p = as_f64(copies.alternative) / all;
        let heterozygous = 2.0 * p * (1.0 - p);
        match part {
            Part::Autosome => self.autosomes.add(words, 1.0 - heterozygous * all / (all - 1.0)),
            Part::X => self.x.add(words, 1.0 - heterozygous),
            Part::Neither | Part::Y => {}
        }
        true
    }

    fn copies(&self, words: &[u64], part: Part) -> Copies {
        let (mut alternative, mut all) = (0, 0);
        let count = |mask: u64| u64::from(mask.count_ones());
        for (word, men) in words.iter().zip(&self.men) {
            let (high, low) = (word >> 1 & LOW, word & LOW);
            let (one, two, none) = (low & !high, high & !low, LOW & !high & !low);
            // of men on X, one copy; a heterozygous one is none
            let men = if part == Part::X { *men } else { 0 };
            alternative += count(one & !men) + 2 * count(two & !men) + count(two & men);
            all += 2 * count((one | two | none) & !men) + count((two | none) & men);
        }
        Copies { alternative, all }
    }

    fn persons(&self) -> Vec<Person> {
        let person = |at: usize| Person {
            sex: self.sexes.get(at).copied().unwrap_or_default(),
            missing: u64::from(self.missing.get(at).copied().unwrap_or_default()),
            variants: self.variants,
            autosomes: self.autosomes.homozygous(at),
            x: self.x.homozygous(at),
        };
        (0..self.people).map(person).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of genotypes are far below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
