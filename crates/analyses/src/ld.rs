//! Linkage: which neighbouring variants are so correlated that one says what the other does.
//!
//! # Local step
//! Each centre counts, for each variant, alleles and missing genotypes; then, for each pair of
//! neighbours, it adds up the products of what their genotypes differ from the pooled means by.
//! A missing genotype differs by nothing, which is to put the mean in its place.
//!
//! # Secure step
//! The verdicts of a scan. For each pair the pooled sum is a share; its square is compared with the
//! limit times the product of both variants' sums of squares. One square and one comparison a pair;
//! the sums of squares are masked once for all pairs of a variant.
//!
//! # Opens
//! To the centres: whether there are enough people; for each variant the verdicts; for those that pass,
//! how many have a genotype, and their alleles. Not: anything about a pair, the sums of squares, from
//! which groups of few people would follow.
//!
//! # Release
//! Number of people; for each variant that passes, people and alleles, unless a policy shows hits of scans
//! alone (R11); for each pair whether its squared
//! correlation is above the limit, and nothing else of it.
//!
//! # Sources
//! Hill and Robertson (1968), Theor. Appl. Genet. 38:226: the squared correlation of two loci; here of
//! genotypes, as PLINK's `--r2` and `--indep-pairwise` have it. Rarity: `docs/disclosure.md`, R1 and R2.

use crate::among::Among;
use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::gwas_local::{Linked, Target, have_genotypes};
use crate::gwas_request::{floors_of, panel_of};
use crate::gwas_rows::BLOCK;
use crate::gwas_steps::{Floors, Step, Verdict, over_rows, word};
use crate::scan::{GenotypeRow, Scan, Skipped};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, Scans, admit};
use konsil_kernels::{GenotypeCounts, PairSums, Planes};
use konsil_mpc::{Audience, MpcError, Opening, Session, Shared};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 6] =
    [ADMITTED, crate::gwas::FLOORS, crate::gwas::ALLELES, PEOPLE, COUNTS, LINKED];

const ADMITTED: Opening = Opening {
    name: "ld.admitted",
    says: "Whether enough people and centres have genotypes.",
    to: Audience::Centres,
};
const PEOPLE: Opening =
    Opening { name: "ld.people", says: "How many have genotypes.", to: Audience::Researcher };
const COUNTS: Opening = Opening {
    name: "ld.counts",
    says: "For each variant that passes, people with a genotype and alleles (where policies show all \
           variants); else why not.",
    to: Audience::Researcher,
};
const LINKED: Opening = Opening {
    name: "ld.linked",
    says: "For each variant, with which of the next ones it is correlated above the limit.",
    to: Audience::Researcher,
};

const WINDOW: u32 = 50;
const WINDOW_MAX: u32 = 1000;
const R2: f64 = 0.2;
/// Variants whose pairs are compared at a time.
const ROWS: usize = 1024;
/// Variants that one product of sums of squares is about.
const TILE: usize = 64;
/// Pairs whose answers share a word.
const OF_WORD: usize = 64;
/// In place of the counts of a variant that passes, where they are not shown.
const WITHOUT_COUNTS: Word = 1 << 64;
/// Fewest fractional bits of a pair's sum.
const BITS_MIN: u32 = 12;

struct Ld {
    panel: String,
    variants: usize,
    among: Among,
    floors: Floors,
    window: usize,
    /// Squared correlation.
    limit: f64,
}

/// One variant after the verdicts.
#[derive(Clone, Copy, Default)]
struct Judged {
    passes: bool,
    /// Pooled mean of the genotypes.
    mean: f64,
    /// This centre's counts.
    counts: GenotypeCounts,
    /// This centre's people whose genotype is known.
    known: u32,
}

/// Checks a request: the panel, floors, the window, the limit.
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
    let window = request.window.unwrap_or(WINDOW);
    if !(1..=WINDOW_MAX).contains(&window) {
        return Err(error("needs a `window` of 1 to 1000 variants"));
    }
    let limit = request.r2.unwrap_or(R2);
    if !(0.001..=0.999).contains(&limit) {
        return Err(error("needs an `r2` from 0.001 to 0.999"));
    }
    let among = Among::new(request, variants)?;
    let floors = floors_of(request)?;
    let window = usize::try_from(window).unwrap_or(usize::MAX);
    Ok(Box::new(Ld { panel, variants, among, floors, window, limit }))
}

/// Bytes of squares, and fractional bits of what is squared: at most one for each person.
fn width(setting: &Setting) -> (usize, u32) {
    let people: usize = setting.rows_at_most.iter().sum();
    let bits = usize::BITS - people.max(1).leading_zeros();
    let fraction = |bytes: u32| ((8 * bytes - 1) / 2).saturating_sub(bits);
    let bytes = (4..15).find(|bytes| fraction(*bytes) >= BITS_MIN).unwrap_or(15);
    (usize::try_from(bytes).unwrap_or(15), fraction(bytes))
}

impl Judged {
    /// This centre's sum of squares about the pooled mean.
    fn squares(&self) -> f64 {
        if !self.passes {
            return 0.0;
        }
        let (one, two) = (f64::from(self.counts.one), f64::from(self.counts.two));
        one + 4.0 * two - self.mean * (2.0 * (one + 2.0 * two) - self.mean * f64::from(self.known))
    }

    /// This centre's sum of products with another variant, both about their pooled means.
    fn products(&self, other: &Self, sums: &PairSums) -> f64 {
        if !self.passes || !other.passes {
            return 0.0;
        }
        let [people, first, second, products] =
            [sums.people, sums.first, sums.second, sums.products].map(f64::from);
        products - self.mean * second - other.mean * (first - self.mean * people)
    }
}

impl Ld {
    /// Verdicts and allele counts of all variants; releases the counts.
    fn judge(
        &self,
        session: &mut dyn Session,
        step: &Step<'_>,
        linked: Option<&Linked>,
    ) -> Result<Vec<Judged>, AnalysisError> {
        let mut judged = Vec::with_capacity(self.among.len());
        // numbers of all variants are not shown where policies show hits of scans alone (R11)
        let hidden = step.setting.policy.scans == Scans::Hits;
        for first in (0..self.among.len()).step_by(BLOCK) {
            let count = BLOCK.min(self.among.len() - first);
            let block = self.among.read(linked, (first, count))?;
            let counts = step.target.sums_of(block.as_ref(), count)?.counts;
            let verdicts = step.judge(session, &counts)?;
            let alleles = step.alleles(session, &counts, &verdicts)?;
            session.narrow(16);
            let mut public = Vec::with_capacity(count);
            for ((counts, verdict), (known, copies)) in counts.iter().zip(&verdicts).zip(&alleles) {
                let passes = verdict.passes();
                let shown = if hidden {
                    WITHOUT_COUNTS
                } else {
                    Word::from(*copies) << 32 | Word::from(*known)
                };
                public.push(if passes { shown } else { verdict.word() });
                let mean = f64::from(*copies) / f64::from((*known).max(1));
                judged.push(Judged { passes, mean, counts: *counts, known: step.known(counts) });
            }
            let public = session.constant(&public);
            session.release(COUNTS, &public)?;
        }
        Ok(judged)
    }

    /// This centre's sums of the pairs of `rows` variants from place `first`, `[row][window]`.
    fn products(
        &self,
        linked: Option<&Linked>,
        judged: &[Judged],
        (first, rows): (usize, usize),
    ) -> Result<Vec<f64>, AnalysisError> {
        let ahead = (rows + self.window).min(judged.len() - first);
        let Some(linked) = linked else { return Ok(vec![0.0; rows * self.window]) };
        let Some(block) = self.among.read(Some(linked), (first, ahead))? else {
            return Ok(vec![0.0; rows * self.window]);
        };
        let taking: Vec<bool> = linked.everyone().iter().map(Option::is_some).collect();
        let sums = Planes::new(&block, &taking).neighbours(rows, self.window);
        let none = Judged::default();
        let at = |place: usize| judged.get(first + place).unwrap_or(&none);
        let pairs = sums.chunks(self.window).enumerate().flat_map(|(row, sums)| {
            (row + 1..).zip(sums).map(move |(other, sums)| at(row).products(at(other), sums))
        });
        Ok(pairs.collect())
    }

    /// The limit times the products of both variants' sums of squares, `[row][window]`.
    fn allowed(&self, session: &mut dyn Session, squares: &Shared) -> Result<Shared, MpcError> {
        let rows = squares.len() - self.window;
        let tiles: Vec<(usize, usize)> =
            (0..rows).step_by(TILE).map(|at| (at, TILE.min(rows - at))).collect();
        let columns = |(at, count): &(usize, usize)| squares.slice(*at, at + count + self.window);
        let left: Vec<Shared> = tiles.iter().map(|it| squares.slice(it.0, it.0 + it.1)).collect();
        let right: Vec<Shared> = tiles.iter().map(columns).collect();
        let matrices = left.iter().map(|it| (it, (it.len(), 1)));
        let matrices: Vec<(&Shared, (usize, usize))> =
            matrices.chain(right.iter().map(|it| (it, (1, it.len())))).collect();
        let masked = session.masks(&matrices)?;
        let (left, right) = masked.split_at(tiles.len());
        let mut allowed = Vec::with_capacity(tiles.len());
        for ((left, right), (_, count)) in left.iter().zip(right).zip(&tiles) {
            let all = session.product(left, false, right)?;
            let wide = count + self.window;
            let next = |row: usize| (1..=self.window).map(move |step| row * wide + row + step);
            allowed.push(all.pick((0..*count).flat_map(next)));
        }
        Ok(Shared::concat(&allowed))
    }

    /// One block of pairs: products, comparison, release of the answers.
    fn compare(
        &self,
        session: &mut dyn Session,
        (products, squares): (&[f64], &[f64]),
        (bytes, bits): (usize, u32),
    ) -> Result<(), AnalysisError> {
        let root = self.limit.sqrt();
        let squares: Vec<Word> = squares.iter().map(|it| word(root * it, bits)).collect();
        let products: Vec<Word> = products.iter().map(|it| word(*it, bits)).collect();
        let squares = session.input(&squares)?;
        let products = session.input(&products)?;
        session.narrow(bytes);
        let allowed = self.allowed(session, &squares)?;
        let squared = session.square_raw(&products)?;
        let above = session.negative(&allowed.minus(&squared))?;
        session.narrow(16);
        let above = session.to_integers(&above)?;
        let rows = above.len() / self.window;
        let mut words = Vec::new();
        for from in (0..self.window).step_by(OF_WORD) {
            let steps = from..(from + OF_WORD).min(self.window);
            let places = steps.clone().flat_map(|step| {
                let window = self.window;
                (0..rows).map(move |row| row * window + step)
            });
            let factors: Vec<i128> =
                (0..steps.len()).flat_map(|bit| std::iter::repeat_n(1_i128 << bit, rows)).collect();
            words.push(over_rows(&above.pick(places).times_integers(&factors), rows));
        }
        Ok(session.release(LINKED, &Shared::concat(&words))?)
    }

    /// All pairs, block by block.
    fn pairs(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (linked, judged): (Option<&Linked>, &[Judged]),
    ) -> Result<(), AnalysisError> {
        let width = width(setting);
        for first in (0..judged.len()).step_by(ROWS) {
            let rows = ROWS.min(judged.len() - first);
            let products = self.products(linked, judged, (first, rows))?;
            let mut squares: Vec<f64> =
                judged.iter().skip(first).take(rows + self.window).map(Judged::squares).collect();
            // beyond the last variant nothing is linked
            squares.resize(rows + self.window, 0.0);
            self.compare(session, (&products, &squares), width)?;
        }
        Ok(())
    }

    /// The places of the variants with which each one is linked, in the order of the variants.
    fn linked(&self, words: &[Word]) -> Vec<Vec<u32>> {
        let of_row = self.window.div_ceil(OF_WORD);
        let mut linked = Vec::with_capacity(self.among.len());
        for block in words.chunks(ROWS * of_row) {
            let rows = block.len() / of_row;
            for row in 0..rows {
                let first = linked.len();
                let mut others = Vec::new();
                for (part, words) in block.chunks(rows).enumerate() {
                    let word = words.get(row).copied().unwrap_or(0);
                    let steps = (0..OF_WORD).filter(|bit| word >> bit & 1 == 1);
                    let places = steps.map(|bit| first + 1 + part * OF_WORD + bit);
                    others.extend(places.map(|at| self.among.number(at)));
                }
                linked.push(others);
            }
        }
        linked
    }
}

fn row(variant: u32, word: Word, linked: Vec<u32>) -> GenotypeRow {
    let field = |at: u32| f64::from(u32::try_from(word >> at & 0xffff_ffff).unwrap_or(0));
    let known = field(0);
    let passes = known > 0.0 || word & WITHOUT_COUNTS != 0;
    GenotypeRow {
        variant,
        observed: if passes && known == 0.0 { f64::NAN } else { known },
        alternative: if known > 0.0 { field(32) } else { f64::NAN },
        one: f64::NAN,
        two: f64::NAN,
        log10_p: f64::NAN,
        skipped: (!passes).then(|| Verdict::of_word(word).skipped()),
        linked: Some(linked),
    }
}

impl Analysis for Ld {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let variants = self.among.len();
        vec![
            format!(
                "for each of {variants} variants with which of the next {} it is correlated above r² {}; \
                 of those that are common enough people with a genotype and alleles; people in all",
                self.window, self.limit
            ),
            "to the centres: which variants are too rare or known in too few people; of the others \
             the allele count; nothing about pairs"
                .to_owned(),
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
        let linked = Linked::new(patients, (&self.panel, self.variants))?;
        let linked = linked.as_ref();
        let people = linked.map_or(0, |it| it.patients.rows());
        let applicants = Applicants { patients: people, parameters: 1, statistics: 0, also: &[] };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let target = Target::counting(linked.map(Linked::everyone), people);
        let all = session.input(&[encode_count(target.patients())])?;
        session.release(PEOPLE, &all)?;
        let step = Step { floors: self.floors, setting, target: &target, patients: &all };
        let judged = self.judge(session, &step, linked)?;
        self.pairs(session, setting, (linked, &judged))
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let people = release.counts(PEOPLE)?.first().copied().unwrap_or(f64::NAN);
        let linked = self.linked(release.words(LINKED)?);
        let words = release.words(COUNTS)?.iter().zip(linked).enumerate();
        let rows = words.map(|(at, (word, linked))| row(self.among.number(at), *word, linked));
        let rows: Vec<GenotypeRow> = rows.collect();
        let counted = |skipped: Option<Skipped>| {
            Cell::Count(rows.iter().filter(|row| row.skipped == skipped).count() as f64)
        };
        let glance = Table::of_one(
            "glance",
            [
                ("people", Cell::Count(people)),
                ("variants", Cell::Count(rows.len() as f64)),
                ("passed", counted(None)),
                ("rare", counted(Some(Skipped::Rare))),
                ("missing", counted(Some(Skipped::Missing))),
            ],
        );
        let scan = Scan::of_counts(&self.panel, people, rows);
        Ok(Findings {
            title: "Linkage of variants".to_owned(),
            tables: vec![glance],
            notes: Vec::new(),
            found_percent_below: None,
            scans: vec![scan],
        })
    }
}
