//! Relatives in different centres: which people share so much of their genome with somebody elsewhere
//! that one of the two should be left out of a scan.
//!
//! # Local step
//! Each centre writes its people's genotypes at some variants as -1, 0 and 1, and counts each person's
//! equal and unequal pairs of alleles. A missing genotype is drawn by the pooled frequency, so that it
//! speaks for nobody's kinship: it makes a kinship smaller by the part that is missing.
//!
//! # Secure step
//! For each two centres one product of their masked matrices: for each pair of people the sum of products
//! `x y`. With what each centre knows of its own, the squared distance `D` of the genotypes is linear in
//! it, and so are both comparisons of a pair, in two bytes. Kinship `1/2 - D / 4h`, with `h` unequal pairs
//! of alleles of whoever has fewer, reaches the limit where `D` is below `(2 - 4 limit) h` for both.
//! Of two related people the one of the later centre is marked; marks are added up.
//!
//! # Opens
//! To the centres: whether there are enough people; for each variant whether it is too rare or missing in
//! too many, else its alleles. Each centre learns which of its own people are marked: the marks are opened
//! under a mask that only their centre knows. Not: who is related to whom, or to which centre's people;
//! kinships; anything about people of the earlier centre of a pair.
//!
//! # Release
//! Number of people and of variants that were used; how many people are marked, and how many pairs are
//! related, where enough people are marked, also without any one centre's (R1, R2).
//!
//! # Sources
//! Manichaikul and others (2010), Bioinformatics 26:2867, equation 11 (KING-robust), written with
//! distances as in PLINK 2's `--make-king`.

use crate::among::Among;
use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::gwas_local::{Linked, Target, have_genotypes};
use crate::gwas_request::{floors_of, panel_of};
use crate::gwas_rows::BLOCK;
use crate::gwas_steps::{Floors, Step, every, over_rows};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Counts, Release, admit, large_enough, suppress};
use konsil_kernels::MISSING;
use konsil_mpc::{Audience, Masked, MpcError, Opening, Session, Shared, linear};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 6] =
    [ADMITTED, crate::gwas::FLOORS, crate::gwas::ALLELES, MARKED, PEOPLE, COUNTS];

const ADMITTED: Opening = Opening {
    name: "relatives.admitted",
    says: "Whether enough people and centres have genotypes.",
    to: Audience::Centres,
};
const MARKED: Opening = Opening {
    name: "relatives.marked",
    says: "For each person whether a relative is in an earlier centre, plus a random number that only \
           this person's centre knows.",
    to: Audience::Centres,
};
const PEOPLE: Opening = Opening {
    name: "relatives.people",
    says: "How many have genotypes, and how many variants were compared.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "relatives.counts",
    says: "How many people have a relative in an earlier centre, and how many pairs there are, where \
           there are enough of them.",
    to: Audience::Researcher,
};

const KINSHIP: f64 = 0.0884;
/// Squared distances of as many variants fit into two bytes.
const VARIANTS_MAX: usize = 8000;
const VARIANTS_MIN: usize = 100;
/// Kinships of unrelated people have a standard deviation of this over the root of the number of variants;
/// a limit lies at least [`DEVIATIONS`] of them above 0.
const DEVIATION: f64 = 0.93;
const DEVIATIONS: f64 = 5.0;
/// Most pairs of people: those of 8 centres with 1,000 people each.
const PAIRS_MAX: usize = 1 << 25;
/// Bytes of products and comparisons.
const BYTES: usize = 2;
/// Bytes of a person's number of relatives.
const COUNT_BYTES: usize = 4;

struct Relatives {
    panel: String,
    variants: usize,
    among: Among,
    floors: Floors,
    kinship: f64,
}

/// One centre's people, as many places as are public. Patient data.
struct Own {
    /// `[variant][place]`: copies less one.
    copies: Vec<Word>,
    /// For each place: equal pairs of alleles.
    equal: Vec<Word>,
    /// For each place: unequal pairs of alleles times `2 - 4 limit`.
    allowed: Vec<Word>,
}

/// Checks a request: the panel, floors, which variants, the limit.
///
/// # Errors
/// [`AnalysisError`] for anything that makes no sense.
pub fn prepare(
    request: &Request,
    _dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    if request.formula.is_some() || !request.variables.is_empty() {
        return Err(error("takes no formula and no variables"));
    }
    let (panel, variants) = panel_of(request)?;
    let among = Among::new(request, variants)?;
    if !(VARIANTS_MIN..=VARIANTS_MAX).contains(&among.len()) {
        return Err(error(
            "compares 100 to 8,000 variants, of which no two should be linked: give a list of them by \
             --among, such as the ld.prune.in of `konsil ld`",
        ));
    }
    let kinship = request.kinship.unwrap_or(KINSHIP);
    if !(0.04..=0.45).contains(&kinship) {
        return Err(error("needs a `kinship` from 0.04 to 0.45"));
    }
    let needed = (DEVIATIONS * DEVIATION / kinship).powi(2).ceil();
    if (among.len() as f64) < needed {
        let what = format!(
            "needs at least {needed} variants to tell relatives with a kinship of {kinship} from chance; \
             there are {}",
            among.len()
        );
        return Err(error(&what));
    }
    let floors = floors_of(request)?;
    Ok(Box::new(Relatives { panel, variants, among, floors, kinship }))
}

/// A number from 0 to 1 that looks random, the same one for the same place (SplitMix64).
fn drawn(centre: usize, person: usize, variant: usize, allele: u64) -> f64 {
    let wide = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
    let mixed = [wide(centre), wide(person), wide(variant), allele].into_iter();
    let mixed = mixed.fold(0x9e37_79b9_7f4a_7c15, |state: u64, it| {
        let state = (state ^ it).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ state >> 31
    });
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

impl Relatives {
    /// The pooled means of the variants, none for those that do not pass.
    fn means(
        &self,
        session: &mut dyn Session,
        step: &Step<'_>,
        linked: Option<&Linked>,
    ) -> Result<Vec<Option<f64>>, AnalysisError> {
        let mut means = Vec::with_capacity(self.among.len());
        for first in (0..self.among.len()).step_by(BLOCK) {
            let count = BLOCK.min(self.among.len() - first);
            let block = self.among.read(linked, (first, count))?;
            let counts = step.target.sums_of(block.as_ref(), count)?.counts;
            let verdicts = step.judge(session, &counts)?;
            let alleles = step.alleles(session, &counts, &verdicts)?;
            session.narrow(16);
            means.extend(verdicts.iter().zip(alleles).map(|(verdict, (known, copies))| {
                verdict.passes().then(|| f64::from(copies) / f64::from(known.max(1)))
            }));
        }
        Ok(means)
    }

    /// This centre's people; nobody while planning.
    fn own(
        &self,
        (linked, places, me): (Option<&Linked>, usize, usize),
        means: &[Option<f64>],
    ) -> Result<Own, AnalysisError> {
        let mut copies = vec![0; means.len() * places];
        let (mut equal, mut unequal) = (vec![0_u64; places], vec![0_u64; places]);
        for first in (0..means.len()).step_by(BLOCK) {
            let count = BLOCK.min(means.len() - first);
            let Some(block) = self.among.read(linked, (first, count))? else { break };
            let Some(linked) = linked else { break };
            for (at, mean) in means.iter().skip(first).take(count).enumerate() {
                let Some(mean) = mean else { continue };
                let into = (first + at) * places;
                let into = copies.get_mut(into..into + places).unwrap_or_default();
                for (person, row) in linked.everyone().iter().enumerate() {
                    let Some(row) = *row else { continue };
                    let mut genotype = block.genotype(at, person);
                    if genotype == MISSING {
                        let allele = |it| u8::from(drawn(me, row, first + at, it) < mean / 2.0);
                        genotype = allele(0) + allele(1);
                    }
                    let (Some(into), Some(equal), Some(unequal)) =
                        (into.get_mut(row), equal.get_mut(row), unequal.get_mut(row))
                    else {
                        continue;
                    };
                    *into = (i128::from(genotype) - 1).cast_unsigned();
                    *(if genotype == 1 { unequal } else { equal }) += 1;
                }
            }
        }
        let part = 2.0 - 4.0 * self.kinship;
        #[expect(clippy::cast_possible_truncation, reason = "at most twice 8,000")]
        let allowed = |it: &u64| ((*it as f64 * part).round() as i128).cast_unsigned();
        let allowed = unequal.iter().map(allowed).collect();
        Ok(Own { copies, equal: equal.into_iter().map(Word::from).collect(), allowed })
    }

    /// For each person of each centre, how many relatives earlier centres have.
    fn relatives(
        &self,
        session: &mut dyn Session,
        sizes: &[usize],
        own: &Own,
    ) -> Result<Vec<Shared>, AnalysisError> {
        let me = session.party();
        let variants = self.among.len();
        let mut of_centre = |mine: &[Word], (centre, size): (usize, usize)| {
            let nothing = vec![0; if centre == me { 0 } else { size }];
            session.input(if centre == me { mine } else { &nothing })
        };
        let (mut equal, mut allowed) = (Vec::new(), Vec::new());
        for (centre, size) in sizes.iter().enumerate() {
            equal.push(of_centre(&own.equal, (centre, *size))?);
            allowed.push(of_centre(&own.allowed, (centre, *size))?);
        }
        let mut masked = Vec::with_capacity(sizes.len());
        // one centre after the other: these matrices are what takes memory
        for (centre, size) in sizes.iter().enumerate() {
            let cells = variants * size;
            let nothing = vec![0; if centre == me { 0 } else { cells }];
            let matrix = session.input(if centre == me { &own.copies } else { &nothing })?;
            session.narrow(BYTES);
            masked.push(session.mask(&matrix, (variants, *size))?);
        }
        let mut relatives = Vec::with_capacity(sizes.len());
        for (later, size) in sizes.iter().enumerate() {
            let mut found = Shared::zeros(*size);
            for earlier in 0..later {
                let of = |column: &[Shared]| {
                    let at = |it: usize| column.get(it).cloned().unwrap_or_default();
                    (at(earlier), at(later))
                };
                let pairs = (of(&equal), of(&allowed));
                if let (Some(first), Some(second)) = (masked.get(earlier), masked.get(later)) {
                    let related = related(session, (first, second), pairs)?;
                    found = found.plus(&over_rows(&related, *size));
                }
            }
            relatives.push(found);
        }
        session.narrow(16);
        Ok(relatives)
    }
}

/// For each pair `[person][other]` of two centres' people, 1 where they are related.
fn related(
    session: &mut dyn Session,
    (first, second): (&Masked, &Masked),
    ((equal, other_equal), (allowed, other_allowed)): ((Shared, Shared), (Shared, Shared)),
) -> Result<Shared, MpcError> {
    let (rows, columns) = (equal.len(), other_equal.len());
    let products = session.product(first, true, second)?;
    let along =
        |column: &Shared| column.pick((0..rows).flat_map(|row| std::iter::repeat_n(row, columns)));
    let distance = along(&equal).plus(&other_equal.repeat(rows)).minus(&products.times_integer(2));
    let near = session.negative(&distance.minus(&along(&allowed)))?;
    let near_too = session.negative(&distance.minus(&other_allowed.repeat(rows)))?;
    let both = every(session, vec![near, near_too])?;
    session.to_integers(&both)
}

/// Bytes that nobody else knows.
fn random(count: usize) -> Result<Vec<Word>, AnalysisError> {
    let mut bytes = vec![0_u8; count];
    getrandom::fill(&mut bytes).map_err(|_| AnalysisError::Unsettled {
        what: "the operating system gave no random numbers; run again",
    })?;
    Ok(bytes.into_iter().map(Word::from).collect())
}

/// Opens the marks of each centre's people to that centre; which places of this one are marked.
fn tell(
    session: &mut dyn Session,
    sizes: &[usize],
    marks: &Shared,
) -> Result<Vec<bool>, AnalysisError> {
    let me = session.party();
    let before: usize = sizes.iter().take(me).sum();
    let size = sizes.get(me).copied().unwrap_or(0);
    let mask = random(size)?;
    let mut placed = vec![0; marks.len()];
    if let Some(into) = placed.get_mut(before..before + size) {
        into.copy_from_slice(&mask);
    }
    let placed = session.input(&placed)?;
    session.narrow(1);
    let opened = session.open(MARKED, &marks.plus(&placed))?;
    session.narrow(16);
    let own = opened.iter().skip(before).zip(&mask);
    Ok(own.map(|(word, mask)| word.wrapping_sub(*mask) & 0xff == 1).collect())
}

impl Analysis for Relatives {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec![
            format!(
                "how many people have a relative (kinship from {}) in a centre that stands before theirs \
                 in the study's list, and how many such pairs there are, if enough; people, variants",
                self.kinship
            ),
            "to each centre: which of its own people these are, nothing about anybody else"
                .to_owned(),
            format!(
                "to the centres: which of {} variants are too rare or known in too few people; of the \
                 others the allele count",
                self.among.len()
            ),
        ]
    }

    fn understood(&self) -> Vec<String> {
        Vec::new()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        Ok(vec![have_genotypes(patients).into_iter().map(Some).collect()])
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let sizes = setting.rows_at_most.as_slice();
        let all: usize = sizes.iter().sum();
        let pairs: usize = sizes.iter().map(|it| it * (all - it)).sum();
        if pairs / 2 > PAIRS_MAX {
            let what = "there are more than 33,554,432 pairs of people in different centres; compare the \
                        people of some centres, or of a condition (--where), at a time";
            return Err(AnalysisError::Genotypes { what });
        }
        let linked = Linked::new(patients, (&self.panel, self.variants))?;
        let linked = linked.as_ref();
        let people = linked.map_or(0, |it| it.patients.rows());
        let applicants = Applicants { patients: people, parameters: 1, statistics: 0, also: &[] };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let target = Target::counting(linked.map(Linked::everyone), people);
        let count = session.input(&[encode_count(target.patients())])?;
        let step = Step { floors: self.floors, setting, target: &target, patients: &count };
        let means = self.means(session, &step, linked)?;
        let used = means.iter().filter(|it| it.is_some()).count();
        let used = session.constant(&[encode_count(u64::try_from(used).unwrap_or(u64::MAX))]);
        session.release(PEOPLE, &Shared::concat([&count, &used]))?;
        let me = session.party();
        let places = sizes.get(me).copied().unwrap_or(0);
        let own = self.own((linked, places, me), &means)?;
        let relatives = self.relatives(session, sizes, &own)?;
        session.narrow(COUNT_BYTES);
        let marks = linear::reaches(session, &Shared::concat(&relatives), 1)?;
        session.narrow(16);
        let marked = tell(session, sizes, &marks)?;
        // a centre that cannot keep its list ends the run before anything is released
        if let Some(linked) = linked {
            let whose = linked.patients.pseudonyms().unwrap_or_default();
            let marked: Vec<_> =
                whose.into_iter().zip(marked).filter(|it| it.1).map(|it| it.0).collect();
            linked.genotypes.keep_relatives(&marked)?;
        }
        let mut from = 0;
        let mut parts = Vec::with_capacity(sizes.len());
        for size in sizes {
            parts.push(marks.slice(from, from + size).total());
            from += size;
        }
        let counts = Counts::of(marks.total(), Shared::concat(&parts));
        let enough = large_enough(session, &setting.policy, &counts)?;
        let numbers = Shared::concat([&counts.total, &Shared::concat(&relatives).total()]);
        let shown = suppress(session, &enough.repeat(2), &numbers)?;
        session.release(COUNTS, &Shared::concat([&enough, &shown]))?;
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let number = |words: &[f64], at: usize| words.get(at).copied().unwrap_or(f64::NAN);
        let (people, counts) = (release.counts(PEOPLE)?, release.counts(COUNTS)?);
        let enough = number(&counts, 0) > 0.5;
        let shown =
            |at: usize| if enough { Cell::Count(number(&counts, at)) } else { Cell::Missing };
        let glance = Table::of_one(
            "glance",
            [
                ("people", Cell::Count(number(&people, 0))),
                ("variants", Cell::Count(number(&people, 1))),
                ("kinship", Cell::Text(self.kinship.to_string())),
                ("related.pairs", shown(2)),
                ("marked.people", shown(1)),
            ],
        );
        let own = "Each centre has the list of its own people who have a relative in an earlier centre: \
                   konsil geno relatives.";
        let few = "So few people are marked, if any, that their number is not shown.";
        let notes = if enough { vec![own] } else { vec![few, own] };
        Ok(Findings {
            title: "Relatives in different centres".to_owned(),
            tables: vec![glance],
            notes: notes.into_iter().map(str::to_owned).collect(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
