//! The secure step of a genome-wide scan, block by block.

use crate::analysis::Setting;
use crate::gwas::{ALLELES, FLOORS};
use crate::gwas_local::Target;
use crate::scan::Skipped;
use konsil_disclosure::Residual;
use konsil_kernels::{DOSE_BITS, DoseCounts, GenotypeCounts};
use konsil_mpc::{Bits, Gate, MpcError, Session, Shared};
use konsil_ring::Word;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floors {
    pub(crate) maf: Part,
    pub(crate) missing: Part,
}

/// Why a variant is left out, as centres learn it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) rare: bool,
    pub(crate) missing: bool,
    /// Genotypes are not in the proportions that chance gives.
    pub(crate) uneven: bool,
    /// It is no hit, and nothing else is shown.
    pub(crate) hidden: bool,
}

impl Verdict {
    pub(crate) fn passes(self) -> bool {
        !self.rare && !self.missing && !self.uneven
    }

    /// As it is released in place of counts, which begin with people who have a genotype, none here.
    pub(crate) fn word(self) -> Word {
        Word::from(self.code()) << 32
    }

    pub(crate) fn of_word(word: Word) -> Self {
        Self::of_code(u32::try_from(word >> 32 & 0xff).unwrap_or(0))
    }

    /// As a small number.
    pub(crate) fn code(self) -> u32 {
        let bits = [self.rare, self.missing, self.uneven, self.hidden].into_iter().zip(0..);
        bits.map(|(bit, place)| u32::from(bit) << place).sum()
    }

    pub(crate) fn of_code(code: u32) -> Self {
        let bit = |place: u32| code >> place & 1 != 0;
        Self { rare: bit(0), missing: bit(1), uneven: bit(2), hidden: bit(3) }
    }

    /// What result files say.
    pub(crate) fn skipped(self) -> Skipped {
        match self {
            Self { missing: true, .. } => Skipped::Missing,
            Self { uneven: true, .. } => Skipped::Uneven,
            Self { hidden: true, .. } => Skipped::Hidden,
            _ => Skipped::Rare,
        }
    }
}

/// Fractional bits of a sum of doses that is opened: all that doses have, so that deviations from the mean
/// add up to nothing, as far as those of all people fit into 31 bits: of 65,535 people.
pub(crate) fn dose_bits(setting: &Setting) -> u32 {
    let people: usize = setting.rows_at_most.iter().sum();
    let above = usize::BITS - (2 * people.max(1)).leading_zeros();
    DOSE_BITS.min(31_u32.saturating_sub(above))
}

/// Known genotypes of each variant at this centre, and copies of the alternative allele.
pub(crate) struct Counted {
    /// Fractional bits of the copies.
    pub(crate) bits: u32,
    pub(crate) known: Vec<u32>,
    pub(crate) copies: Vec<u64>,
}

impl Counted {
    /// Of doses, their sums rounded to fewer bits.
    pub(crate) fn of_doses(doses: &[DoseCounts], bits: u32) -> Self {
        let down = DOSE_BITS - bits.min(DOSE_BITS);
        let rounded = |it: &DoseCounts| (it.sum + ((1 << down) >> 1)) >> down;
        let known = doses.iter().map(|it| it.known).collect();
        Self { bits, known, copies: doses.iter().map(rounded).collect() }
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
pub(crate) fn bytes_for(most: u128) -> usize {
    let bits = usize::try_from(u128::BITS - most.leading_zeros()).unwrap_or(usize::MAX) + 1;
    bits.div_ceil(8)
}

/// A real in fixed point.
pub(crate) fn word(real: f64, bits: u32) -> Word {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; magnitudes are bounded by n")]
    let whole = (real * f64::from(bits).exp2()).round() as i128;
    whole.cast_unsigned()
}

impl Step<'_> {
    /// Which variants are too rare, or known in too few patients.
    pub(crate) fn judge(
        &self,
        session: &mut dyn Session,
        counts: &[GenotypeCounts],
    ) -> Result<Vec<Verdict>, MpcError> {
        self.judge_groups(session, &self.counted(counts), &self.carriers(counts, &[]))
    }

    /// People who have each allele by their genotypes. Where what each centre brings must be nothing or
    /// enough, of doses also those who may have it.
    pub(crate) fn carriers(
        &self,
        counts: &[GenotypeCounts],
        doses: &[DoseCounts],
    ) -> Vec<Vec<u32>> {
        let with_two = |it: &GenotypeCounts| it.one + it.two;
        let others = |it: &GenotypeCounts| self.known(it).saturating_sub(it.two);
        let mut groups: Vec<Vec<u32>> =
            vec![counts.iter().map(with_two).collect(), counts.iter().map(others).collect()];
        if !doses.is_empty() && self.setting.policy.residual == Residual::AllButOne {
            groups.push(doses.iter().map(|it| it.carriers).collect());
            groups.push(doses.iter().map(|it| it.others).collect());
        }
        groups
    }

    /// Genotypes as whole copies.
    pub(crate) fn counted(&self, counts: &[GenotypeCounts]) -> Counted {
        let known = counts.iter().map(|it| self.known(it)).collect();
        let copies = counts.iter().map(|it| u64::from(it.one + 2 * it.two)).collect();
        Counted { bits: 0, known, copies }
    }

    /// The same, with these groups of people, two or four, of which none may be small.
    pub(crate) fn judge_groups(
        &self,
        session: &mut dyn Session,
        counted: &Counted,
        groups: &[Vec<u32>],
    ) -> Result<Vec<Verdict>, MpcError> {
        let Floors { maf, missing } = self.floors;
        let variants = counted.known.len();
        let known: Vec<Word> = counted.known.iter().map(|it| Word::from(*it)).collect();
        let copies: Vec<Word> = counted.copies.iter().map(|it| Word::from(*it)).collect();
        let (known, copies) = (session.input(&known)?, session.input(&copies)?);
        let others = known.times_integer(2 << counted.bits).minus(&copies);
        let least = known.times_integer((2 * maf.of) << counted.bits);
        let all = self.patients.repeat(variants);
        let tests = [
            copies.times_integer(maf.all).minus(&least),
            others.times_integer(maf.all).minus(&least),
            known.times_integer(missing.all).minus(&all.times_integer(missing.all - missing.of)),
        ];
        let people: usize = self.setting.rows_at_most.iter().sum();
        let most = (2 * people as u128 * maf.all.unsigned_abs()) << counted.bits;
        let most = most.max(2 * people as u128 * missing.all.unsigned_abs());
        session.narrow(bytes_for(most));
        let below = session.negative(&Shared::concat(&tests))?;
        let few = self.few_people(session, groups)?;
        // common enough: no test and no group says otherwise
        let (below, few) = (session.not(&below), session.not(&few));
        let planes = |bits: &Bits, count: usize| -> Vec<Bits> {
            (0..count).map(|at| bits.slice(at * variants, (at + 1) * variants)).collect()
        };
        let tests = planes(&below, 3);
        let all = [tests.get(..2).unwrap_or_default(), &planes(&few, groups.len())].concat();
        let common = every(session, all)?;
        let missing = tests.into_iter().nth(2).unwrap_or(common.clone());
        let fine = session.to_integers(&Bits::concat(&[common, missing]))?;
        let (common, enough) = (fine.slice(0, variants), fine.slice(variants, 2 * variants));
        session.narrow(1);
        let all = session.constant(&vec![3; variants]);
        let flags = all.minus(&common).minus(&enough.times_integer(2));
        let opened = session.open(FLOORS, &flags)?;
        session.narrow(16);
        let verdict = |flags: &Word| Verdict {
            rare: flags & 1 != 0,
            missing: flags & 2 != 0,
            ..Verdict::default()
        };
        Ok(opened.iter().map(verdict).collect())
    }

    /// Patients of this centre whose genotype is known.
    pub(crate) fn known(&self, counts: &GenotypeCounts) -> u32 {
        u32::try_from(self.target.patients()).unwrap_or(u32::MAX).saturating_sub(counts.missing)
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
        // only where no others make up for it the sum falls far below 0
        let low = if policy.residual == Residual::AllButOne { least * parties } else { threshold };
        let most = (low * parties + least).unsigned_abs();
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
        self.alleles_of(session, &self.counted(counts), verdicts)
    }

    /// The same, of what was counted, with its fractional bits.
    pub(crate) fn alleles_of(
        &self,
        session: &mut dyn Session,
        counted: &Counted,
        verdicts: &[Verdict],
    ) -> Result<Vec<(u32, u32)>, MpcError> {
        let passing = |(number, verdict): (u64, &Verdict)| {
            Word::from(if verdict.passes() { number } else { 0 })
        };
        let known = counted.known.iter().map(|it| u64::from(*it)).zip(verdicts).map(passing);
        let copies = counted.copies.iter().copied().zip(verdicts).map(passing);
        let mine: Vec<Word> = known.chain(copies).collect();
        let shared = session.input(&mine)?;
        let people: usize = self.setting.rows_at_most.iter().sum();
        session.narrow(bytes_for((2 * people as u128) << counted.bits));
        let opened = session.open(ALLELES, &shared)?;
        let number = |word: &Word| u32::try_from(*word).unwrap_or(0);
        let (known, copies) = opened.split_at(verdicts.len().min(opened.len()));
        Ok(known.iter().map(number).zip(copies.iter().map(number)).collect())
    }
}

/// Lane by lane, whether all of two, four or more bits are set.
pub(crate) fn every(session: &mut dyn Session, mut bits: Vec<Bits>) -> Result<Bits, MpcError> {
    while bits.len() > 1 {
        let few = bits.len().min(4);
        let rest = bits.split_off(few);
        let gate = Gate::Prefix(u8::try_from(few).unwrap_or(4));
        let product = session.gate(gate, &bits)?.pop();
        bits = product.into_iter().chain(rest).collect();
    }
    bits.pop().ok_or(MpcError::Shape { left: 0, right: 1 })
}

/// The sums of `[row][len]` over the rows.
pub(crate) fn over_rows(cells: &Shared, len: usize) -> Shared {
    let rows = cells.len().checked_div(len).unwrap_or(0);
    let row = |at: usize| cells.slice(at * len, (at + 1) * len);
    (0..rows).fold(Shared::zeros(len), |sum, at| sum.plus(&row(at)))
}

/// The sums of `[row][columns]` over the columns.
pub(crate) fn over_columns(cells: &Shared, columns: usize, rows: usize) -> Shared {
    over_rows(&cells.transposed(rows, columns), rows)
}
