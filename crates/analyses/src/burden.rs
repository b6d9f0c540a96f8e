//! Rare variants of a gene, or of any set, tested together: burden, SKAT, and SKAT-O.
//!
//! # Local step
//! As in a scan (`gwas`) each centre has what the model without variants leaves of the trait, and its
//! covariates at right angles. For each set of variants it adds up, over its patients, weighted doses
//! times the trait's rest, times each other, and times the covariates. A missing genotype counts as
//! none: the variants are rare. Weights are the researcher's, and public.
//!
//! # Secure step
//! Once the model without variants, as in a scan. For each set one verdict on shares, on how many
//! patients carry any of its variants; for those that pass, the covariates' part is taken out of the
//! doses' products, and traces and sums of powers of that matrix are computed: what the distribution of
//! the statistics follows from.
//!
//! # Opens
//! To the centres: what a scan's model opens; for each set whether too few patients carry a variant of
//! it; of those that pass, how many do. Not: anything of a single variant, sums of any centre.
//!
//! # Release
//! For each set that passes: carriers, sum and sum of squares of its variants' scores, four traces and
//! five sums. Number of patients, the trait's residual sum of squares.
//!
//! # Sources
//! Wu and others (2011), Am. J. Hum. Genet. 89:82: SKAT. Lee, Wu and Lin (2012), Biostatistics 13:762:
//! SKAT-O and its distribution. Liu, Tang and Zhang (2009), Comput. Stat. Data Anal. 53:853: tails of
//! quadratic forms by their first four cumulants.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::burden_steps::{NUMBERS, Sets, run};
use crate::gwas::null_of;
use crate::gwas_axes::Axes;
use crate::gwas_local::Linked;
use crate::gwas_null::{Frame, Null};
use crate::gwas_request::Asked;
use crate::skat_o::{Moments, burden, skat, skat_o};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{decode_scaled, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 12] = [
    crate::gwas::ADMITTED,
    crate::gwas::UNSOUND,
    crate::gwas::APART,
    crate::gwas::COVARIATES,
    crate::glm::ADMITTED,
    crate::glm::UNSOUND,
    crate::glm::APART,
    crate::glm::STEP,
    FEW,
    CARRIERS,
    SETS,
    TOTALS,
];

pub(crate) const FEW: Opening = Opening {
    name: "burden.few",
    says: "For each set of variants, whether too few patients carry any of them.",
    to: Audience::Centres,
};
pub(crate) const CARRIERS: Opening = Opening {
    name: "burden.carriers",
    says: "For each set that passes, how many patients carry any of its variants.",
    to: Audience::Centres,
};
pub(crate) const SETS: Opening = Opening {
    name: "burden.sets",
    says: "For each set that passes: carriers, and what its statistics and their tails follow from.",
    to: Audience::Researcher,
};
const TOTALS: Opening = Opening {
    name: "burden.totals",
    says: "How many patients there are, and the trait's residual sum of squares.",
    to: Audience::Researcher,
};

struct Burden {
    null: Null,
    asked: Asked,
    sets: Sets,
    response: String,
    /// What effects are multiplied by.
    scale: f64,
}

/// Checks a request: a formula, the panel, sets of variants.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary, or sets that make no sense.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let asked = Asked::of(request)?;
    let sets = Sets::of(request, asked.size)?;
    let null = null_of(request, dictionary, (&asked, 0))?;
    let model = null.models()[0];
    if !model.design.has_intercept || model.design.offset.is_some() {
        return Err(error("needs an intercept, and no offset"));
    }
    let scale = match &null {
        Null::Linear(_, traits) => traits.first().map_or(1.0, |it| it.scale),
        Null::Logistic(_) | Null::Survival(_) => 1.0,
    };
    let text = request.formula.as_deref().unwrap_or_default();
    let response = text.split('~').next().unwrap_or_default().trim().to_owned();
    Ok(Box::new(Burden { null, asked, sets, response, scale }))
}

impl Burden {
    fn table(&self, release: &Release, variance: f64) -> Result<Table, AnalysisError> {
        let columns = [
            "set",
            "variants",
            "carriers",
            "estimate",
            "std.error",
            "p.burden",
            "p.skat",
            "p.skat_o",
            "rho",
        ];
        let mut table = Table::new("sets", &columns);
        let words = release.words(SETS)?;
        for (set, words) in self.sets.all.iter().zip(words.chunks(NUMBERS)) {
            let count = |number: usize| Cell::Count(number as f64);
            let mut row = vec![Cell::Text(set.name.clone()), count(set.variants.len())];
            let carriers = words.first().copied().unwrap_or(0);
            if carriers == 0 {
                row.push(Cell::Missing);
                row.extend(std::iter::repeat_n(Cell::Missing, columns.len() - 3));
                table.rows.push(row);
                continue;
            }
            let number = |at: usize, bits: u32| {
                words.get(at).map_or(f64::NAN, |it| decode_scaled(*it, bits))
            };
            let moments = Moments {
                score: number(1, 40),
                squares: number(2, 80),
                traces: [number(3, 40), number(4, 80), number(5, 80), number(6, 80)],
                sums: [number(7, 40), number(8, 80), number(9, 80), number(10, 80), number(11, 80)],
            };
            let carriers = decode_scaled(carriers, 0);
            let (beta, error) = moments.effect(variance, carriers);
            let unit = self.scale / set.largest;
            let (p, rho) = skat_o(&moments, variance);
            row.extend([
                Cell::Count(carriers),
                Cell::Number(beta * unit),
                Cell::Number(error * unit),
                Cell::Number(burden(&moments, variance)),
                Cell::Number(skat(&moments, variance)),
                Cell::Number(p),
                Cell::Number(rho),
            ]);
            table.rows.push(row);
        }
        Ok(table)
    }
}

impl Analysis for Burden {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let order = self.null.model().order();
        vec![
            format!(
                "for each of {} sets of variants that enough patients carry: carriers, three p \
                 values, effect of a weighted allele; patients in all",
                self.sets.all.len()
            ),
            format!(
                "to the centres: the model of the {order} covariates without variants, as in a scan; \
                 which sets too few patients carry, of the others how many do"
            ),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.null.models()[0].understood();
        let variants: usize = self.sets.all.iter().map(|it| it.variants.len()).sum();
        lines.push(format!("{} sets of {variants} variants", self.sets.all.len()));
        lines
    }

    fn sets(&self) -> usize {
        self.null.models()[0].sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.null.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let linked = Linked::new(patients, (&self.asked.panel, self.asked.size))?;
        let linked = linked.as_ref();
        let axes = Axes { count: 0, panel: self.asked.size, floors: self.asked.floors };
        let frame = Frame { asked: &self.asked, axes: &axes, setting, linked };
        let fitted = self.null.fit(session, &frame)?;
        let patients = session.input(&[encode_count(fitted.target.patients())])?;
        session.release(TOTALS, &Shared::concat([&patients, &fitted.squares]))?;
        let here = linked.zip(fitted.basis.as_ref());
        run(session, setting, &self.sets, (here, self.null.model().order()))
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let totals = release.words(TOTALS)?;
        let total =
            |at: usize, bits: u32| totals.get(at).map_or(f64::NAN, |it| decode_scaled(*it, bits));
        let patients = total(0, 0);
        let variance = match &self.null {
            Null::Linear(..) => total(1, 40) / (patients - self.null.model().order() as f64),
            Null::Logistic(_) | Null::Survival(_) => 1.0,
        };
        let table = self.table(release, variance)?;
        let tested =
            table.rows.iter().filter(|row| !matches!(row.get(2), Some(Cell::Missing))).count();
        let glance = Table::of_one(
            "glance",
            [
                ("nobs", Cell::Count(patients)),
                ("sets", Cell::Count(table.rows.len() as f64)),
                ("tested", Cell::Count(tested as f64)),
            ],
        );
        Ok(Findings {
            title: format!("Rare variants together: {}", self.response),
            tables: vec![table, glance],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
