//! The secure step of a scan, block by block of variants, and how its numbers are laid out.

use crate::analysis::{AnalysisError, Setting};
use crate::gwas::{HARDY_WEINBERG, HITS, STATISTICS};
use crate::gwas_alone::Alone;
use crate::gwas_local::{Coded, Counting};
use crate::gwas_request::Hits;
use crate::gwas_steps::{Counted, Step, Verdict, bytes_for, every, over_columns, word};
use crate::hardy_weinberg::heterozygous_within;
use konsil_kernels::{GenotypeCounts, SCAN_BITS};
use konsil_mpc::{Masked, Session, Shared};
use konsil_ring::Word;
use std::collections::HashMap;

/// Fractional bits of covariates' sums for which seven bytes are enough, so that eight are not sent.
/// Each centre's rounding moves a sum by `2^-20` at most; of a variant that the covariates explain to
/// one half, and whose deviations make up 100, that is less than 1e-6 of the standard error.
const SUM_BITS_MIN: u32 = 19;
/// With fewer people a byte more costs little.
const PEOPLE_MIN: usize = 4096;
/// Fractional bits of what turns covariates' sums when they are sealed.
pub(crate) const TURN_BITS: u32 = 32;
/// Where fractional bits of a count stand beside all of its bits.
pub(crate) const DOSE_BITS_AT: u32 = 32;
/// Bytes of a word.
const WORD_BYTES: usize = 16;

/// How the numbers of a block are laid out. Public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes of squares.
    pub(crate) bytes: usize,
    /// Fractional bits of covariates' sums; squares have twice as many.
    pub(crate) bits: u32,
    /// Fractional bits of scores.
    pub(crate) score_bits: u32,
    /// Whether a score stands in the lower part of the word whose upper part is the square.
    pub(crate) packed: bool,
    /// Bits of a count of alleles.
    pub(crate) count_bits: u32,
    /// Fractional bits of one of doses, within these.
    pub(crate) dose_bits: u32,
    /// Counts of each variant.
    pub(crate) counts: usize,
    pub(crate) traits: usize,
}

/// Bits by which the trait's rest is moved up before it is rounded, so that its sums over a centre's
/// people, at most 2 in magnitude each and times 2, just fit into 63 bits. Of `survival` single rests
/// have no bound, but all of them together, over all centres.
pub(crate) fn score_lift(setting: &Setting, survival: bool) -> u32 {
    let rows = setting.rows_at_most.iter().copied();
    let people = if survival { rows.sum() } else { rows.max().unwrap_or(1) };
    (60 - SCAN_BITS).saturating_sub(bits_of(people))
}

fn bits_of(number: usize) -> u32 {
    usize::BITS - number.max(1).leading_zeros()
}

impl Layout {
    /// `turned`: whether covariates are turned on shares, and scores with them; `survival`: whether
    /// weights add up to the events, at most one for each patient, instead of to a quarter.
    pub(crate) fn of(
        setting: &Setting,
        (traits, counts): (usize, usize),
        (sealed, turned, hits): (bool, bool, bool),
        survival: bool,
    ) -> Self {
        let people: usize = setting.rows_at_most.iter().sum();
        let count_bits = bits_of(2 * people);
        // squares are at most one for each patient, and hits are squares of at most two for each
        let above = if hits { 2 * count_bits } else { bits_of(people) };
        let above = above + 2 * u32::from(survival);
        let fraction = |bytes: u32| (8 * bytes - 1).saturating_sub(above) / 2;
        let score_bits = SCAN_BITS + score_lift(setting, survival);
        let plain = |bytes: u32| {
            let (bits, packed) = (fraction(bytes).min(26), bytes <= 8);
            let bytes = usize::try_from(bytes).unwrap_or(WORD_BYTES);
            let dose_bits = 0;
            Self { bytes, bits, score_bits, packed, count_bits, dose_bits, counts, traits }
        };
        if sealed {
            let bits = fraction(16);
            let score_bits = if turned { bits } else { score_bits };
            return Self { bytes: WORD_BYTES, bits, score_bits, packed: false, ..plain(16) };
        }
        let fewest = 7 + u32::from(people < PEOPLE_MIN) * if hits { 3 } else { 1 };
        let enough = (fewest..16).find(|bytes| fraction(*bytes) >= SUM_BITS_MIN);
        plain(enough.unwrap_or(16))
    }

    /// The same, with so many fractional bits of allele counts.
    pub(crate) fn with_doses(self, dose_bits: u32) -> Self {
        Self { count_bits: self.count_bits + dose_bits, dose_bits, ..self }
    }

    /// Where the released sum of squares begins in its word.
    pub(crate) fn lift(&self) -> u32 {
        u32::try_from(8 * (WORD_BYTES - self.bytes)).unwrap_or(0)
    }

    /// What the researcher needs to read the numbers.
    pub(crate) fn words(&self) -> [Word; 4] {
        let squares = 2 * self.bits + self.lift();
        let lift = if self.packed { self.lift() } else { 0 };
        let counts = Word::from(self.count_bits) | Word::from(self.dose_bits) << DOSE_BITS_AT;
        [squares.into(), self.score_bits.into(), counts, lift.into()]
    }

    /// Counts `[field][variant]` in as few words as they need.
    pub(crate) fn packed_counts(&self, counts: &[Vec<u32>]) -> Vec<Word> {
        let each = Self::in_word(self.count_bits, self.counts).max(1);
        let variants = counts.first().map_or(0, Vec::len);
        let at = |variant: usize| counts.iter().map(move |it| it[variant]);
        let all: Vec<u32> = (0..variants).flat_map(at).collect();
        let word = |some: &[u32]| {
            some.iter().rev().fold(0, |word, it| word << self.count_bits | Word::from(*it))
        };
        all.chunks(each * self.counts).map(word).collect()
    }

    /// Variants whose counts stand in a word.
    pub(crate) fn in_word(count_bits: u32, counts: usize) -> usize {
        usize::try_from(u128::BITS / count_bits.max(1)).unwrap_or(1) / counts.max(1)
    }
}

/// What turns covariates' sums on shares: columns of a square root, and of effects of the covariates
/// on each trait. `[covariate][covariate, then trait]`.
pub(crate) struct Turn {
    pub(crate) right: Masked,
    /// Whether the effects are there.
    pub(crate) traits: bool,
}

/// One block's step at one centre.
pub(crate) struct Block<'a> {
    pub(crate) step: Step<'a>,
    pub(crate) counting: Counting,
    /// Smallest p value of Hardy-Weinberg proportions.
    pub(crate) hardy_weinberg: Option<f64>,
    pub(crate) layout: Layout,
    pub(crate) turn: Option<&'a Turn>,
    /// Which variants stand out, and the size of a score over the root of its square from which on.
    pub(crate) hits: Option<(Hits, f64)>,
    /// Where centres are fitted alone.
    pub(crate) alone: Option<&'a Alone>,
}

/// A variant that stands out: its number in the block, and the mean of its doses.
pub(crate) type Hit = (usize, f64);

/// People whose genotype is known, and their alternative alleles, of each variant.
type Alleles = [(u32, u32)];

/// The numbers of a block at this centre.
struct Own {
    /// `[variant][covariate]`.
    covariates: Vec<f64>,
    /// `[trait][variant]`.
    scores: Vec<Vec<f64>>,
    squares: Vec<f64>,
    /// Counts that are shown of each variant, all 0 but the last where it does not pass.
    counts: Vec<Vec<u32>>,
    means: Vec<f64>,
}

impl Block<'_> {
    /// Judges a block, opens verdicts and allele counts, releases what may be shown. Gives the hits.
    pub(crate) fn run(
        &self,
        session: &mut dyn Session,
        coded: &Coded,
    ) -> Result<Vec<Hit>, AnalysisError> {
        if let Some(alone) = self.alone {
            self.run_alone(session, coded, alone)?;
            return Ok(Vec::new());
        }
        let (groups, counted) = (self.groups(coded), self.counted(coded));
        let mut verdicts = self.step.judge_groups(session, &counted, &groups)?;
        let alleles = self.step.alleles_of(session, &counted, &verdicts)?;
        if let Some(limit) = self.hardy_weinberg {
            self.check_proportions(session, limit, (coded, &alleles), &mut verdicts)?;
        }
        let doses = if self.counting.recodes() {
            self.step.alleles(session, &coded.sums.counts, &verdicts)?
        } else {
            alleles.clone()
        };
        session.narrow(16);
        let mut own = self.own(coded, &verdicts, (&alleles, &doses));
        let variants = verdicts.len();
        let (projected, turned) = self.projected(session, &own.covariates, variants)?;
        let squares = own.squares.iter().map(|it| word(*it, 2 * self.layout.bits));
        let mut rest = session.input(&squares.collect::<Vec<Word>>())?.minus(&projected);
        let scores = own.scores.iter().flatten().map(|it| word(*it, self.layout.score_bits));
        let mut scores = session.input(&scores.collect::<Vec<Word>>())?;
        if let Some(turned) = turned {
            scores = scores.minus(&turned);
        }
        let mut found = Vec::new();
        if let Some((hits, threshold)) = self.hits {
            let hit = self.find_hits(session, &own, &rest, threshold)?;
            let places = hit.iter().enumerate().filter(|(_, hit)| **hit);
            found = places.map(|(at, _)| (at, own.means[at])).collect();
            if hits.alone {
                let shown: Vec<i128> = hit.iter().map(|hit| i128::from(*hit)).collect();
                rest = rest.times_integers(&shown);
                scores = scores.times_integers(&shown);
                own.hide(&verdicts, &hit);
            }
        }
        self.release(session, (&rest, &scores), &own.counts)?;
        Ok(found)
    }

    /// What is counted of each variant: doses where these count.
    pub(crate) fn counted(&self, coded: &Coded) -> Counted {
        if coded.sums.doses.is_empty() {
            return self.step.counted(&coded.counts);
        }
        Counted::of_doses(&coded.sums.doses, self.layout.dose_bits)
    }

    /// People of whom none may be few: who have each allele, and who count anything or nothing.
    pub(crate) fn groups(&self, coded: &Coded) -> Vec<Vec<u32>> {
        let known = |it: &GenotypeCounts| self.step.known(it);
        let some = |it: &GenotypeCounts| it.one + it.two;
        let of = |counts: &[GenotypeCounts], group: &dyn Fn(&GenotypeCounts) -> u32| {
            counts.iter().map(group).collect::<Vec<u32>>()
        };
        let mut groups = self.step.carriers(&coded.counts, &coded.sums.doses);
        if self.counting.recodes() {
            groups.push(of(&coded.sums.counts, &some));
            groups.push(of(&coded.sums.counts, &|it| known(it).saturating_sub(some(it))));
        }
        groups
    }

    /// Opens, for each variant that passes, whether its genotypes are out of proportion. Given the
    /// alleles, that is so where too few or too many people have two different ones. Of X nothing is said.
    fn check_proportions(
        &self,
        session: &mut dyn Session,
        limit: f64,
        (coded, alleles): (&Coded, &Alleles),
        verdicts: &mut [Verdict],
    ) -> Result<(), AnalysisError> {
        let mut known = HashMap::new();
        let mut within = |alleles: &(u32, u32)| -> (i128, i128) {
            let (low, high) = *known
                .entry(*alleles)
                .or_insert_with(|| heterozygous_within(alleles.0, alleles.1, limit));
            (i128::from(low), i128::from(high))
        };
        let people: usize = self.step.setting.rows_at_most.iter().sum();
        let all = i128::try_from(people).unwrap_or(i128::MAX);
        let mut bounds: Vec<(i128, i128)> = alleles.iter().map(&mut within).collect();
        // men have one copy, so nothing follows from how few have two different ones
        let (from, to) = coded.x.unwrap_or_default();
        bounds.get_mut(from..to).unwrap_or_default().fill((0, all));
        let passing = coded.counts.iter().zip(verdicts.iter());
        let one = passing.map(|(it, verdict)| if verdict.passes() { it.one } else { 0 });
        let one = session.input(&one.map(Word::from).collect::<Vec<Word>>())?;
        let low: Vec<Word> = bounds.iter().map(|(low, _)| (-low).cast_unsigned()).collect();
        let high: Vec<Word> = bounds.iter().map(|(_, high)| high.cast_unsigned()).collect();
        let tests = [one.plus(&session.constant(&low)), session.constant(&high).minus(&one)];
        session.narrow(bytes_for(2 * people as u128));
        let outside = session.negative(&Shared::concat(&tests))?;
        let inside = session.not(&outside);
        let count = verdicts.len();
        let both = vec![inside.slice(0, count), inside.slice(count, 2 * count)];
        let inside = every(session, both)?;
        let outside = session.not(&inside);
        let outside = session.to_integers(&outside)?;
        session.narrow(1);
        let opened = session.open(HARDY_WEINBERG, &outside)?;
        session.narrow(16);
        for (verdict, outside) in verdicts.iter_mut().zip(opened) {
            verdict.uneven = verdict.passes() && outside != 0;
        }
        Ok(())
    }

    /// This centre's numbers of the variants that pass.
    fn own(
        &self,
        coded: &Coded,
        verdicts: &[Verdict],
        (alleles, doses): (&Alleles, &Alleles),
    ) -> Own {
        let (variants, target) = (verdicts.len(), self.step.target);
        let mut own = Own {
            covariates: vec![0.0; target.covariates * variants],
            scores: vec![vec![0.0; variants]; target.traits],
            squares: vec![0.0; variants],
            counts: vec![vec![0; variants]; self.layout.counts],
            means: vec![0.0; variants],
        };
        let mut scores = vec![0.0; target.traits];
        let mut row = vec![0.0; target.covariates];
        for (at, verdict) in verdicts.iter().enumerate() {
            if !verdict.passes() {
                own.counts[1][at] = verdict.code();
                continue;
            }
            let (known, copies) = alleles.get(at).copied().unwrap_or_default();
            let (_, counted) = doses.get(at).copied().unwrap_or_default();
            for (into, count) in own.counts.iter_mut().zip([known, copies, counted]) {
                into[at] = count;
            }
            let unit = (-f64::from(self.layout.dose_bits)).exp2();
            own.means[at] = f64::from(counted) * unit / f64::from(known).max(1.0);
            own.squares[at] =
                target.moved((&coded.sums, at), own.means[at], (&mut scores, &mut row));
            own.scores.iter_mut().zip(&scores).for_each(|(into, it)| into[at] = *it);
            let place = at * target.covariates..(at + 1) * target.covariates;
            own.covariates.get_mut(place).unwrap_or_default().copy_from_slice(&row);
        }
        own
    }

    /// The part of each variant's squares that the covariates explain, and where they are turned on
    /// shares the part of the scores, `[trait][variant]`.
    fn projected(
        &self,
        session: &mut dyn Session,
        covariates: &[f64],
        variants: usize,
    ) -> Result<(Shared, Option<Shared>), AnalysisError> {
        let count = self.step.target.covariates;
        let bits = self.layout.bits;
        let Some(turn) = self.turn else {
            let sums: Vec<Word> = covariates.iter().map(|it| word(*it, bits)).collect();
            let shared = session.input(&sums)?;
            session.narrow(self.layout.bytes);
            let squares = session.square_raw(&shared)?;
            session.narrow(16);
            return Ok((over_columns(&squares, count, variants), None));
        };
        let bits = bits.saturating_sub(TURN_BITS);
        let sums: Vec<Word> = covariates.iter().map(|it| word(*it, bits)).collect();
        let shared = session.input(&sums)?;
        let masked = session.mask(&shared, (variants, count))?;
        let product = session.product(&masked, false, &turn.right)?;
        let width = turn.right.shape().1;
        let column = |column: usize| (0..variants).map(move |at| at * width + column);
        let places = (0..variants).flat_map(|at| (0..count).map(move |column| at * width + column));
        let squares = session.square_raw(&product.pick(places))?;
        let turned = product.pick((count..width).flat_map(column));
        let turned = turn.traits.then_some(turned);
        Ok((over_columns(&squares, count, variants), turned))
    }

    /// Opens which variants stand out: `(score / threshold)^2` above the square.
    fn find_hits(
        &self,
        session: &mut dyn Session,
        own: &Own,
        rest: &Shared,
        threshold: f64,
    ) -> Result<Vec<bool>, AnalysisError> {
        let bits = self.layout.bits;
        let scores = own.scores.iter().flatten();
        let coarse: Vec<Word> = scores.map(|it| word(it / threshold, bits)).collect();
        let mut coarse = session.input(&coarse)?;
        if let Some(effects) = self.turn.filter(|it| it.traits) {
            coarse = coarse.minus(&self.turned_coarse(session, own, effects, threshold)?);
        }
        session.narrow(self.layout.bytes);
        let squares = session.square_raw(&coarse)?;
        let below = session.negative(&rest.minus(&squares))?;
        let below = session.to_integers(&below)?;
        session.narrow(1);
        let opened = session.open(HITS, &below)?;
        session.narrow(16);
        Ok(opened.iter().map(|it| *it != 0).collect())
    }

    /// What covariates explain of coarse scores.
    fn turned_coarse(
        &self,
        session: &mut dyn Session,
        own: &Own,
        turn: &Turn,
        threshold: f64,
    ) -> Result<Shared, AnalysisError> {
        let (count, width) = turn.right.shape();
        let variants = own.squares.len();
        let bits = self.layout.bits.saturating_sub(TURN_BITS);
        let sums: Vec<Word> = own.covariates.iter().map(|it| word(it / threshold, bits)).collect();
        let shared = session.input(&sums)?;
        let masked = session.mask(&shared, (variants, count))?;
        let product = session.product(&masked, false, &turn.right)?;
        Ok(product.pick(
            (count..width).flat_map(|column| (0..variants).map(move |at| at * width + column)),
        ))
    }

    /// Releases squares, scores and counts.
    fn release(
        &self,
        session: &mut dyn Session,
        (rest, scores): (&Shared, &Shared),
        counts: &[Vec<u32>],
    ) -> Result<(), AnalysisError> {
        let (layout, variants) = (&self.layout, rest.len());
        // known in its lowest bytes only: these become the highest
        let lifted = rest.times_integer(1 << layout.lift());
        let score = |at: usize| scores.slice(at * variants, (at + 1) * variants);
        let mut parts = Vec::new();
        if layout.packed {
            parts.push(lifted.plus(&score(0)));
            for first in (1..layout.traits).step_by(2) {
                let both = if first + 1 < layout.traits {
                    score(first + 1).times_integer(1 << 64)
                } else {
                    Shared::zeros(variants)
                };
                parts.push(score(first).plus(&both));
            }
        } else {
            parts.push(lifted);
            parts.push(scores.clone());
        }
        parts.push(session.constant(&layout.packed_counts(counts)));
        Ok(session.release(STATISTICS, &Shared::concat(&parts))?)
    }
}

impl Own {
    /// Leaves nothing of variants that are no hits.
    fn hide(&mut self, verdicts: &[Verdict], hits: &[bool]) {
        let hidden = Verdict { hidden: true, ..Verdict::default() }.code();
        for (at, (verdict, hit)) in verdicts.iter().zip(hits).enumerate() {
            if verdict.passes() && !hit {
                for (field, counts) in self.counts.iter_mut().enumerate() {
                    counts[at] = if field == 1 { hidden } else { 0 };
                }
            }
        }
    }
}
