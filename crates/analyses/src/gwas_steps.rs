//! The secure step of a genome-wide scan, block by block.

use crate::analysis::{AnalysisError, Setting};
use crate::gwas::{ALLELES, FLOORS, STATISTICS};
use crate::gwas_local::Target;
use crate::scan::Skipped;
use konsil_disclosure::Residual;
use konsil_kernels::{BlockSums, GenotypeCounts, SCAN_BITS};
use konsil_mpc::{Bits, MpcError, Session, Shared, linear};
use konsil_ring::Word;

/// Fractional bits of covariates' sums for which seven bytes are enough, so that eight are not sent.
const SUM_BITS_MIN: u32 = 24;

/// A limit such as 0.05, as a fraction of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) of: i128,
    pub(crate) all: i128,
}

impl Part {
    /// The fraction that a number of at most six decimals is.
    pub(crate) fn of(number: f64) -> Option<Self> {
        let mut all = 1_i128;
        for _ in 0..=6 {
            let scaled = number * all as f64;
            if (scaled - scaled.round()).abs() < 1e-9 * all as f64 {
                #[expect(clippy::cast_possible_truncation, reason = "at most a million")]
                let of = scaled.round() as i128;
                return Some(Self { of, all });
            }
            all *= 10;
        }
        None
    }
}

/// Which variants are tested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floors {
    pub(crate) maf: Part,
    pub(crate) missing: Part,
}

/// Why a variant is left out, as centres learn it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) rare: bool,
    pub(crate) missing: bool,
}

impl Verdict {
    pub(crate) fn passes(self) -> bool {
        !self.rare && !self.missing
    }

    /// As it is released in place of counts, which begin with people who have a genotype, none here.
    pub(crate) fn word(self) -> Word {
        Word::from(self.rare) << 32 | Word::from(self.missing) << 33
    }

    pub(crate) fn of_word(word: Word) -> Self {
        Self { rare: word >> 32 & 1 != 0, missing: word >> 33 & 1 != 0 }
    }

    /// What result files say.
    pub(crate) fn skipped(self) -> Skipped {
        if self.missing { Skipped::Missing } else { Skipped::Rare }
    }
}

/// One block's step at one centre.
pub(crate) struct Step<'a> {
    pub(crate) floors: Floors,
    pub(crate) setting: &'a Setting,
    pub(crate) target: &'a Target,
    /// Patients of all centres, shared.
    pub(crate) patients: &'a Shared,
}

/// Bytes that hold numbers of a magnitude, with their sign.
fn bytes_for(most: u128) -> usize {
    let bits = usize::try_from(u128::BITS - most.leading_zeros()).unwrap_or(usize::MAX) + 1;
    bits.div_ceil(8)
}

/// Bytes of the squares of covariates' sums, and fractional bits of the sums: the squares of a variant's
/// deviations, at most one for each patient, have twice as many and still fit.
fn square_width(setting: &Setting) -> (usize, u32) {
    let people: usize = setting.rows_at_most.iter().sum();
    let bits = usize::BITS - people.max(1).leading_zeros();
    let fraction = |bytes: u32| (8 * bytes - 1).saturating_sub(bits) / 2;
    if fraction(7) >= SUM_BITS_MIN { (7, fraction(7)) } else { (8, fraction(8)) }
}

/// Where the released sum of squares begins in its word.
fn lift(bytes: usize) -> u32 {
    u32::try_from(128 - 8 * bytes).unwrap_or(0)
}

/// Fractional bits of the released sum of squares.
pub(crate) fn square_bits(setting: &Setting) -> u32 {
    let (bytes, bits) = square_width(setting);
    lift(bytes) + 2 * bits
}

/// Bits by which the trait's rest is moved up before it is rounded, so that its sums over a centre's
/// people, at most 2 in magnitude each and times 2, just fit into 63 bits.
pub(crate) fn score_lift(setting: &Setting) -> u32 {
    let people = setting.rows_at_most.iter().copied().max().unwrap_or(1).max(1);
    (60 - SCAN_BITS).saturating_sub(usize::BITS - people.leading_zeros())
}

fn word(real: f64, bits: u32) -> Word {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; magnitudes are bounded by n")]
    let whole = (real * f64::from(bits).exp2()).round() as i128;
    whole.cast_unsigned()
}

impl Step<'_> {
    /// Judges a block, opens verdicts and allele counts, releases what may be shown.
    pub(crate) fn run(
        &self,
        session: &mut dyn Session,
        sums: &BlockSums,
    ) -> Result<(), AnalysisError> {
        let verdicts = self.judge(session, &sums.counts)?;
        let alleles = self.alleles(session, &sums.counts, &verdicts)?;
        session.narrow(16);
        let (bytes, bits) = square_width(self.setting);
        let covariates = self.target.covariates;
        let variants = verdicts.len();
        let mut local = vec![0; covariates * variants];
        let (mut squares, mut scores) = (vec![0; variants], vec![0; variants]);
        let mut public = vec![0; variants];
        let mut row = vec![0.0; covariates];
        for (at, (verdict, (known, copies))) in verdicts.iter().zip(&alleles).enumerate() {
            if !verdict.passes() {
                public[at] = verdict.word();
                continue;
            }
            public[at] = u128::from(*copies) << 32 | u128::from(*known);
            let mean = *copies as f64 / (*known as f64).max(1.0);
            let moved = self.target.moved((sums, at), mean, &mut row);
            (scores[at], squares[at]) =
                (word(moved.score, SCAN_BITS), word(moved.square, 2 * bits));
            let into = local.get_mut(at * covariates..(at + 1) * covariates).unwrap_or_default();
            into.iter_mut().zip(&row).for_each(|(into, it)| *into = word(*it, bits));
        }
        let shared = session.input(&local)?;
        session.narrow(bytes);
        let projected = session.square_raw(&shared)?;
        session.narrow(16);
        let rest = session.input(&squares)?.minus(&over_columns(&projected, covariates, variants));
        // known in its lowest bytes only: these become the highest; below them stand public counts
        let lifted = rest.times_integer(1 << lift(bytes)).plus(&session.constant(&public));
        let scores = session.input(&scores)?;
        Ok(session.release(STATISTICS, &Shared::concat([&lifted, &scores]))?)
    }

    /// Which variants are too rare, or known in too few patients.
    pub(crate) fn judge(
        &self,
        session: &mut dyn Session,
        counts: &[GenotypeCounts],
    ) -> Result<Vec<Verdict>, MpcError> {
        let Floors { maf, missing } = self.floors;
        let variants = counts.len();
        let known: Vec<Word> = counts.iter().map(|it| Word::from(self.known(it))).collect();
        let copies: Vec<Word> = counts.iter().map(|it| Word::from(it.one + 2 * it.two)).collect();
        let (known, copies) = (session.input(&known)?, session.input(&copies)?);
        let others = known.times_integer(2).minus(&copies);
        let least = known.times_integer(2 * maf.of);
        let all = self.patients.repeat(variants);
        let tests = [
            copies.times_integer(maf.all).minus(&least),
            others.times_integer(maf.all).minus(&least),
            known.times_integer(missing.all).minus(&all.times_integer(missing.all - missing.of)),
        ];
        let people: usize = self.setting.rows_at_most.iter().sum();
        let most = 2 * people as u128 * maf.all.max(missing.all).unsigned_abs();
        session.narrow(bytes_for(most));
        let below = session.negative(&Shared::concat(&tests))?;
        let few = self.few_carriers(session, counts)?;
        let below = session.to_integers(&below)?;
        let few = session.to_integers(&few)?;
        let rare = below.slice(0, 2 * variants);
        let rare = over_rows(&Shared::concat([&rare, &few]), variants);
        session.narrow(1);
        let rare = linear::reaches(session, &rare, 1)?;
        let missing = below.slice(2 * variants, 3 * variants);
        let opened = session.open(FLOORS, &rare.plus(&missing.times_integer(2)))?;
        session.narrow(16);
        let verdict = |flags: &Word| Verdict { rare: flags & 1 != 0, missing: flags & 2 != 0 };
        Ok(opened.iter().map(verdict).collect())
    }

    /// Patients of this centre whose genotype is known.
    pub(crate) fn known(&self, counts: &GenotypeCounts) -> u32 {
        u32::try_from(self.target.patients()).unwrap_or(u32::MAX).saturating_sub(counts.missing)
    }

    /// For each variant, whether too few people carry the alternative, then the reference allele.
    fn few_carriers(
        &self,
        session: &mut dyn Session,
        counts: &[GenotypeCounts],
    ) -> Result<Bits, MpcError> {
        let with_two = |it: &GenotypeCounts| it.one + it.two;
        let others = |it: &GenotypeCounts| self.known(it).saturating_sub(it.two);
        let groups = [counts.iter().map(with_two).collect(), counts.iter().map(others).collect()];
        self.few_people(session, &groups)
    }

    /// For each group of people and variant, whether the group has too few (R1), also without those of
    /// any one centre (R2): of a centre's people no more count than the threshold, so that twice the
    /// threshold leaves enough whoever subtracts. `[group][variant]`, of `groups` at this centre.
    pub(crate) fn few_people(
        &self,
        session: &mut dyn Session,
        groups: &[Vec<u32>],
    ) -> Result<Bits, MpcError> {
        let policy = &self.setting.policy;
        let threshold = i128::from(policy.threshold);
        let parties = i128::try_from(session.parties()).unwrap_or(i128::MAX);
        let least = if policy.residual == Residual::OneCentre { 2 * threshold } else { threshold };
        let counted = |carriers: u32| {
            let own = i128::from(carriers);
            // what each centre brings must be nothing or enough: else no others make up for it
            if policy.residual == Residual::AllButOne && own > 0 && own < threshold {
                return -least * parties;
            }
            own.min(threshold)
        };
        let mine: Vec<Word> =
            groups.iter().flatten().map(|it| counted(*it).cast_unsigned()).collect();
        let shared = session.input(&mine)?;
        let most = (least * parties * parties + least).unsigned_abs();
        session.narrow(bytes_for(most));
        let shifted = vec![(-least).cast_unsigned(); shared.len()];
        let room = shared.plus(&session.constant(&shifted));
        session.negative(&room)
    }

    /// Known genotypes and copies of the alternative allele, of the variants that pass.
    pub(crate) fn alleles(
        &self,
        session: &mut dyn Session,
        counts: &[GenotypeCounts],
        verdicts: &[Verdict],
    ) -> Result<Vec<(u32, u32)>, MpcError> {
        let passing =
            |number: u32, verdict: &Verdict| Word::from(if verdict.passes() { number } else { 0 });
        let both = counts.iter().zip(verdicts);
        let known = both.clone().map(|(it, verdict)| passing(self.known(it), verdict));
        let copies = both.map(|(it, verdict)| passing(it.one + 2 * it.two, verdict));
        let mine: Vec<Word> = known.chain(copies).collect();
        let shared = session.input(&mine)?;
        let people: usize = self.setting.rows_at_most.iter().sum();
        session.narrow(bytes_for(2 * people as u128));
        let opened = session.open(ALLELES, &shared)?;
        let number = |word: &Word| u32::try_from(*word).unwrap_or(0);
        let (known, copies) = opened.split_at(counts.len().min(opened.len()));
        Ok(known.iter().map(number).zip(copies.iter().map(number)).collect())
    }
}

/// The sums of `[row][len]` over the rows.
pub(crate) fn over_rows(cells: &Shared, len: usize) -> Shared {
    let rows = cells.len().checked_div(len).unwrap_or(0);
    let row = |at: usize| cells.slice(at * len, (at + 1) * len);
    (0..rows).fold(Shared::zeros(len), |sum, at| sum.plus(&row(at)))
}

/// The sums of `[row][columns]` over the columns.
fn over_columns(cells: &Shared, columns: usize, rows: usize) -> Shared {
    over_rows(&cells.transposed(rows, columns), rows)
}
