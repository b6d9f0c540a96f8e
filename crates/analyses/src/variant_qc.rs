//! Quality of each variant of a panel: allele frequency, missing genotypes, genotype counts and
//! Hardy-Weinberg proportions.
//!
//! # Local step
//! Each centre counts, for each variant, its people with one and with two alternative alleles, and
//! those without a genotype.
//!
//! # Secure step
//! Verdicts on shares: whether the variant is too rare or known in too few, and whether each of the
//! three groups of people has enough, also without any one centre's.
//!
//! # Opens
//! To the centres: whether there are enough people; for each variant the verdicts. Not: any count.
//!
//! # Release
//! Number of people; for each variant that passes, how many have a genotype and their alternative
//! alleles; how many have one allele, where all three groups are large enough. The exact test of
//! Hardy-Weinberg proportions is made of these.
//!
//! # Sources
//! See `hardy_weinberg`; rarity: `docs/disclosure.md`, R1 and R2.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::gwas_local::{Linked, Target, have_genotypes};
use crate::gwas_request::{check_shown, floors_of, panel_of};
use crate::gwas_rows::BLOCK;
use crate::gwas_steps::{Floors, Step, Verdict, over_rows};
use crate::hardy_weinberg::hardy_weinberg;
use crate::scan::{GenotypeRow, Scan, Skipped};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::GenotypeCounts;
use konsil_mpc::{Audience, Opening, Session, linear};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 5] = [ADMITTED, crate::gwas::FLOORS, GROUPS, PEOPLE, COUNTS];

const ADMITTED: Opening = Opening {
    name: "variant_qc.admitted",
    says: "Whether enough people and centres have genotypes.",
    to: Audience::Centres,
};
const GROUPS: Opening = Opening {
    name: "variant_qc.groups",
    says: "For each variant, whether one of the three groups of genotypes has too few people.",
    to: Audience::Centres,
};
const PEOPLE: Opening = Opening {
    name: "variant_qc.people",
    says: "How many have genotypes.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "variant_qc.counts",
    says: "For each variant that passes, counts of genotypes and alleles; else why not.",
    to: Audience::Researcher,
};

struct VariantQc {
    panel: String,
    variants: usize,
    floors: Floors,
}

/// Checks a request: the panel, floors.
///
/// # Errors
/// [`AnalysisError`] for anything that makes no sense.
pub fn prepare(
    request: &Request,
    _dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    if request.formula.is_some() || !request.variables.is_empty() {
        return Err(AnalysisError::request(request, "takes no formula and no variables"));
    }
    let (panel, variants) = panel_of(request)?;
    Ok(Box::new(VariantQc { panel, variants, floors: floors_of(request)? }))
}

impl VariantQc {
    /// One block: verdicts, then counts of the variants that pass.
    fn block(
        session: &mut dyn Session,
        step: &Step<'_>,
        counts: &[GenotypeCounts],
    ) -> Result<(), AnalysisError> {
        let verdicts = step.judge(session, counts)?;
        let group = |of: fn(&GenotypeCounts) -> u32| counts.iter().map(of).collect::<Vec<u32>>();
        let none = counts.iter().map(|it| step.known(it).saturating_sub(it.one + it.two)).collect();
        let groups = [group(|it| it.one), group(|it| it.two), none];
        let few = step.few_people(session, &groups)?;
        let few = session.to_integers(&few)?;
        session.narrow(1);
        let some = linear::reaches(session, &over_rows(&few, counts.len()), 1)?;
        let few = session.open(GROUPS, &some)?;
        session.narrow(16);
        let first = session.party() == 0;
        let word = |((it, verdict), few): ((&GenotypeCounts, &Verdict), &Word)| {
            if !verdict.passes() {
                return if first { verdict.word() } else { 0 };
            }
            let one = if *few == 0 { it.one } else { 0 };
            let copies = it.one + 2 * it.two;
            Word::from(step.known(it)) + (Word::from(copies) << 32) + (Word::from(one) << 64)
        };
        let mine: Vec<Word> = counts.iter().zip(&verdicts).zip(&few).map(word).collect();
        let shared = session.input(&mine)?;
        Ok(session.release(COUNTS, &shared)?)
    }
}

fn row(variant: u32, word: Word) -> GenotypeRow {
    let field = |at: u32| u32::try_from(word >> at & 0xffff_ffff).unwrap_or(0);
    let (known, copies, one) = (f64::from(field(0)), f64::from(field(32)), f64::from(field(64)));
    let mut row = GenotypeRow {
        variant,
        observed: known,
        alternative: copies,
        one: f64::NAN,
        two: f64::NAN,
        log10_p: f64::NAN,
        skipped: None,
        linked: None,
    };
    if known == 0.0 {
        row.alternative = f64::NAN;
        row.skipped = Some(Verdict::of_word(word).skipped());
        return row;
    }
    if one > 0.0 {
        row.one = one;
        row.two = (copies - one) / 2.0;
        row.log10_p = hardy_weinberg(row.one, row.two, known - row.one - row.two);
    }
    row
}

impl Analysis for VariantQc {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec![
            format!(
                "for each of {} variants that is common enough: people with a genotype, alleles, \
                 and where groups are large enough how many have one allele",
                self.variants
            ),
            "to the centres: which variants are too rare, known in too few, or have a small group"
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
        check_shown(setting, ("variant_qc", self.variants))?;
        let linked = Linked::new(patients, (&self.panel, self.variants))?;
        let linked = linked.as_ref();
        let people = linked.map_or(0, |it| it.patients.rows());
        let applicants = Applicants { patients: people, parameters: 1, statistics: 0, also: &[] };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let target = Target::counting(linked.map(Linked::everyone), people);
        let all = session.input(&[encode_count(target.patients())])?;
        session.release(PEOPLE, &all)?;
        let step = Step { floors: self.floors, setting, target: &target, patients: &all };
        let genotypes = linked.map(|it| &it.genotypes);
        for first in (0..self.variants).step_by(BLOCK) {
            let block = (first, BLOCK.min(self.variants - first));
            let sums = target.sums(genotypes, block)?;
            Self::block(session, &step, &sums.counts)?;
        }
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let people = release.counts(PEOPLE)?.first().copied().unwrap_or(f64::NAN);
        let words = release.words(COUNTS)?.iter().zip(0..);
        let rows: Vec<GenotypeRow> = words.map(|(word, variant)| row(variant, *word)).collect();
        let counted = |of: &dyn Fn(&GenotypeRow) -> bool| {
            Cell::Count(rows.iter().filter(|row| of(row)).count() as f64)
        };
        let because = |why| move |row: &GenotypeRow| row.skipped == Some(why);
        let glance = Table::of_one(
            "glance",
            [
                ("people", Cell::Count(people)),
                ("variants", Cell::Count(rows.len() as f64)),
                ("passed", counted(&|row| row.skipped.is_none())),
                ("rare", counted(&because(Skipped::Rare))),
                ("missing", counted(&because(Skipped::Missing))),
                ("with.groups", counted(&|row| !row.one.is_nan())),
                ("hwe.below.1e-6", counted(&|row| row.log10_p > 6.0)),
            ],
        );
        let scan = Scan::of_counts(&self.panel, people, rows);
        Ok(Findings {
            title: "Quality of variants".to_owned(),
            tables: vec![glance],
            notes: Vec::new(),
            found_percent_below: None,
            scans: vec![scan],
        })
    }
}
