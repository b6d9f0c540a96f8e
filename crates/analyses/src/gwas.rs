//! Association of a trait with each variant of a panel, over all centres: linear regression, or the
//! score test of logistic regression, with covariates.
//!
//! # Local step
//! Each centre adds up, for each variant, genotypes times the trait without what the covariates say
//! of it, genotypes times the covariates at right angles, and counts of genotypes. Missing genotypes
//! stand for the pooled mean of the variant.
//!
//! # Secure step
//! If asked for, the principal axes of the genotypes (`gwas_axes`), on which each centre's people stand
//! at home and nowhere else. Once: the model without variants. Then block by block of variants: two verdicts for each on shares;
//! for those that pass, allele counts; squares of the covariates' sums, subtracted from the variant's
//! own sum of squares. What the covariates say is thereby projected out, and nothing is divided:
//! effect and error of a variant follow from two numbers.
//!
//! # Opens
//! To the centres: whether the cohort is large enough; which covariates cannot be told apart; whether
//! a covariate or a patient stands too much apart; sums of products of the covariates with each other
//! and with the trait (for events the steps of the model and its information); for principal axes, in
//! each step a number for each of the variants they are made of and each direction; for each variant
//! whether it is too rare, or known in too few; for each that passes, how many patients have a
//! genotype, and their alleles. Not: anything of a variant that does not pass, sums of any centre.
//!
//! # Release
//! For each variant that passes: allele count, patients, the two numbers from which effect, standard
//! error and p value follow; the trait's residual sum of squares; number of patients.
//!
//! # Sources
//! Frisch and Waugh (1933), Econometrica 1:387: regression on what is left after the covariates. Score
//! test: Rao (1948), Proc. Camb. Philos. Soc. 44:50. Rarity: `docs/disclosure.md`, R1 and R2.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::{Model, Rows};
use crate::fit::{check_apart, reals, sound_inverse};
use crate::glm::{self, Glm};
use crate::gwas_axes::{Axes, eigenvalue_table};
use crate::gwas_local::{Linked, Target, have_genotypes};
use crate::gwas_steps::{Floors, Part, Step, Verdict, score_lift, square_bits};
use crate::local_fit::{cholesky, solve_with};
use crate::log_tails::{Student, normal};
use crate::scan::{Scan, ScanRow, ScanTest, Skipped};
use crate::table::{Cell, Table};
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{BlockSums, Family, SCAN_BITS, fit_sums, gram_sums, predictor, scores};
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, decode_scaled, encode, encode_count};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 13] = [
    ADMITTED,
    UNSOUND,
    APART,
    COVARIATES,
    AXES,
    glm::ADMITTED,
    glm::UNSOUND,
    glm::APART,
    glm::STEP,
    FLOORS,
    ALLELES,
    STATISTICS,
    TOTALS,
];

const ADMITTED: Opening = Opening {
    name: "gwas.admitted",
    says: "Whether enough patients and centres have genotypes and all values.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "gwas.collinear",
    says: "For each covariate, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "gwas.apart",
    says: "Whether a covariate or a patient stands too much apart.",
    to: Audience::Centres,
};
const COVARIATES: Opening = Opening {
    name: "gwas.covariates",
    says: "Sums of products of the covariates with each other, and with a measured trait.",
    to: Audience::Centres,
};
pub(crate) const AXES: Opening = Opening {
    name: "gwas.axes",
    says: "For principal axes only: how they weigh the variants, in each step of finding them.",
    to: Audience::Centres,
};
pub(crate) const FLOORS: Opening = Opening {
    name: "gwas.floors",
    says: "For each variant, whether it is too rare, and whether too few patients have a genotype.",
    to: Audience::Centres,
};
pub(crate) const ALLELES: Opening = Opening {
    name: "gwas.alleles",
    says: "For each variant that passes, how many patients have a genotype, and their alleles.",
    to: Audience::Centres,
};
pub(crate) const STATISTICS: Opening = Opening {
    name: "gwas.statistics",
    says: "For each variant that passes, allele count, effect and standard error; else why not.",
    to: Audience::Researcher,
};
const TOTALS: Opening = Opening {
    name: "gwas.totals",
    says: "How many patients there are, and the trait's residual sum of squares.",
    to: Audience::Researcher,
};

/// Variants of a block.
pub(crate) const BLOCK: usize = 8192;
/// Floors unless the request says otherwise.
const MAF: f64 = 0.01;
const MISSING_MAX: f64 = 0.05;
/// Principal axes are of variants at least as frequent.
const AXES_MAF: f64 = 0.05;
/// Most principal axes.
const AXES_MAX: u32 = 10;
/// Most variants of a panel.
const VARIANTS_MAX: u32 = 1 << 26;
/// A variant whose deviations are explained by the covariates up to this part is one of them.
const EXPLAINED: f64 = 1e-6;

struct Gwas {
    null: Null,
    axes: Axes,
    panel: String,
    variants: usize,
    floors: Floors,
    response: String,
}

/// The model without variants: as in the formula, and with principal axes.
enum Null {
    /// Of a measured trait, with the centre and scale of the response.
    Linear(Box<[Model; 2]>, (f64, f64)),
    /// Of an event.
    Logistic(Box<[Glm; 2]>),
}

/// Checks a request: a formula, the panel, floors.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary, or anything that makes no sense.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let (panel, variants) = panel_of(request)?;
    let floors = floors_of(request)?;
    let axes = request.axes.unwrap_or(0);
    if axes > AXES_MAX {
        return Err(error("takes at most 10 axes"));
    }
    let names: Vec<String> = (1..=axes).map(|axis| format!("axis{axis}")).collect();
    // an event is one, whether said or not
    let mut request = request.clone();
    if request.family.is_none()
        && matches!(Model::new(&request, dictionary)?.design.response, Response::Binary)
    {
        request.family = Some("binomial".to_owned());
    }
    let request = &request;
    let null = match request.family.as_deref() {
        None | Some("gaussian") => {
            let model = Model::new(request, dictionary)?;
            let response = match &model.design.response {
                Response::Numeric { centre, scale } => (*centre, *scale),
                _ => return Err(error("has an event as trait; take family binomial")),
            };
            let whole = model.with_names(&names);
            Null::Linear(Box::new([model, whole]), response)
        }
        Some("binomial") => {
            let glm = Glm::new(request, dictionary)?;
            let model = glm.model.with_names(&names);
            let whole = Glm::new(request, dictionary)?.of_model(model);
            Null::Logistic(Box::new([glm, whole]))
        }
        Some(_) => return Err(error("takes family gaussian or binomial")),
    };
    let model = null.models()[0];
    if !model.design.has_intercept || model.design.offset.is_some() {
        return Err(error("needs an intercept, and no offset"));
    }
    let text = request.formula.as_deref().unwrap_or_default();
    let response = text.split('~').next().unwrap_or_default().trim().to_owned();
    let common = Part::of(AXES_MAF.max(request.maf.unwrap_or(MAF))).unwrap_or(floors.maf);
    let axes = Axes {
        count: usize::try_from(axes).unwrap_or(0),
        panel: variants,
        floors: Floors { maf: common, ..floors },
    };
    Ok(Box::new(Gwas { null, axes, panel, variants, floors, response }))
}

/// Hash and size of the panel that a request names.
///
/// # Errors
/// [`AnalysisError::Request`].
pub(crate) fn panel_of(request: &Request) -> Result<(String, usize), AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let (Some(panel), Some(variants)) = (&request.panel, request.variants) else {
        return Err(error("needs a panel: --panel FILE, or `panel` in a study file"));
    };
    if panel.len() != 64 || !panel.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(error("has a `panel` that is no SHA-256; give the panel's file by --panel"));
    }
    if !(1..=VARIANTS_MAX).contains(&variants) {
        return Err(error("needs a panel of 1 to 67,108,864 variants"));
    }
    Ok((panel.clone(), usize::try_from(variants).unwrap_or(usize::MAX)))
}

/// The floors that a request sets.
///
/// # Errors
/// [`AnalysisError::Request`].
pub(crate) fn floors_of(request: &Request) -> Result<Floors, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let maf = request.maf.unwrap_or(MAF);
    let missing = request.missing_max.unwrap_or(MISSING_MAX);
    if !(0.0..0.5).contains(&maf) || !(0.0..=0.5).contains(&missing) {
        return Err(error("needs `maf` from 0 to 0.5 and `missing_max` from 0 to 0.5"));
    }
    let fits = Part::of(maf).zip(Part::of(missing));
    let (maf, missing) =
        fits.ok_or_else(|| error("takes `maf` and `missing_max` with at most six decimals"))?;
    Ok(Floors { maf, missing })
}

impl Null {
    /// The model of the formula, and with principal axes.
    fn models(&self) -> [&Model; 2] {
        match self {
            Self::Linear(models, _) => [&models[0], &models[1]],
            Self::Logistic(glms) => [&glms[0].model, &glms[1].model],
        }
    }

    /// The whole model.
    fn model(&self) -> &Model {
        self.models()[1]
    }

    fn is_weighted(&self) -> bool {
        matches!(self, Self::Logistic(_))
    }

    /// Covariates that are projected out of each variant.
    fn covariates(&self) -> usize {
        self.model().order() - usize::from(!self.is_weighted())
    }
}

/// The full symmetric matrix of an opened triangle.
fn full(triangle: &[f64], order: usize) -> Vec<f64> {
    let at = |row: usize, column: usize| {
        let (row, column) = (row.max(column), row.min(column));
        triangle.get(row * (row + 1) / 2 + column).copied().unwrap_or(0.0)
    };
    (0..order * order).map(|cell| at(cell / order, cell % order)).collect()
}

impl Gwas {
    /// The target of nobody, while planning.
    fn planned(&self, eigenvalues: Vec<Word>) -> (Target, Vec<Word>) {
        let target = Target::nobody(self.null.covariates(), self.null.is_weighted());
        (target, [vec![0], eigenvalues].concat())
    }

    /// The target of a linear scan, with the residual sum of squares.
    fn linear(
        &self,
        (centre, scale): (f64, f64),
        session: &mut dyn Session,
        setting: &Setting,
        linked: Option<&Linked>,
    ) -> Result<(Target, Vec<Word>), AnalysisError> {
        let [given, model] = self.null.models();
        let mut rows = given.rows(linked.map(|it| &it.patients))?;
        let order = model.order();
        let parameters = (order + 1).max(self.axes.parameters());
        let patients = rows.y.len();
        let applicants = Applicants { patients, parameters, statistics: 0, also: &[] };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let eigenvalues = self.put_axes(session, setting, (linked, &mut rows))?;
        rows.y.iter_mut().for_each(|y| *y = (*y - centre) / scale);
        let sums = gram_sums(rows.observed(), order)?;
        let products = session.input(&sums.products)?;
        let with_response = session.input(&sums.with_response)?;
        let inverse = sound_inverse(session, UNSOUND, model, &products)?;
        check_apart(session, APART, (model, setting), (&rows, &[]), &inverse)?;
        let all = Shared::concat([&products, &with_response]);
        let opened = reals(&session.open(COVARIATES, &all)?);
        let Some(linked) = linked else {
            return Ok(self.planned(eigenvalues));
        };
        let (triangle, with_response) = opened.split_at(opened.len().saturating_sub(order));
        let information = full(triangle, order);
        let unsound = || AnalysisError::Collinear { columns: vec!["a covariate".to_owned()] };
        let lower = cholesky(&information, order).ok_or_else(unsound)?;
        let beta = solve_with(&lower, with_response);
        let fitted = rows.x.chunks(order).map(|row| predictor(row, &beta, 0.0));
        let rest: Vec<f64> = rows.y.iter().zip(fitted).map(|(y, fitted)| y - fitted).collect();
        let squares = sum_of(rest.iter().map(|it| it * it))?;
        let rest = lifted(rest, setting);
        let target = Target::new(linked, &rows, (&rest, &[]), (&information, order))?;
        Ok((target, [vec![squares], eigenvalues].concat()))
    }

    /// Puts principal axes beside the covariates of the formula; the eigenvalues as public words.
    fn put_axes(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (linked, rows): (Option<&Linked>, &mut Rows),
    ) -> Result<Vec<Word>, AnalysisError> {
        if self.axes.count == 0 {
            return Ok(Vec::new());
        }
        let placed = self.axes.place(session, setting, (linked, rows))?;
        let order = self.null.models()[0].order();
        rows.beside(order, (&placed.scores, self.axes.count));
        let public = |value: &f64| encode(if session.party() == 0 { *value } else { 0.0 });
        Ok(placed.eigenvalues.iter().map(public).collect::<Result<_, _>>()?)
    }

    /// The target of a score test.
    fn logistic(
        &self,
        [given, glm]: [&Glm; 2],
        session: &mut dyn Session,
        setting: &Setting,
        linked: Option<&Linked>,
    ) -> Result<(Target, Vec<Word>), AnalysisError> {
        let mut rows = given.admitted(session, setting, linked.map(|it| &it.patients))?;
        if self.axes.count > 0 {
            let (patients, parameters) = (rows.y.len(), self.axes.parameters());
            let applicants = Applicants { patients, parameters, statistics: 0, also: &[] };
            admit(session, ADMITTED, &setting.policy, applicants)?;
        }
        let eigenvalues = self.put_axes(session, setting, (linked, &mut rows))?;
        let order = glm.model.order();
        let beta = reals(&glm.open_fit(session, setting, &rows)?.known);
        let sums = fit_sums(Family::Binomial, rows.observed(), &beta)?;
        let information = session.input(&sums.information)?;
        let information = full(&reals(&session.open(COVARIATES, &information)?), order);
        let Some(linked) = linked else {
            return Ok(self.planned(eigenvalues));
        };
        let (rest, weights) = scores(Family::Binomial, rows.observed(), &beta);
        let rest = lifted(rest, setting);
        let target = Target::new(linked, &rows, (&rest, &weights), (&information, order))?;
        Ok((target, [vec![0], eigenvalues].concat()))
    }

    /// All blocks of variants: the next one is added up while centres work on the last.
    fn scan(
        &self,
        session: &mut dyn Session,
        step: &Step<'_>,
        linked: Option<&Linked>,
    ) -> Result<(), AnalysisError> {
        let blocks = (0..self.variants).step_by(BLOCK);
        let blocks = blocks.map(|first| (first, BLOCK.min(self.variants - first)));
        let genotypes = linked.map(|it| &it.genotypes);
        let (sender, receiver) = sync_channel::<Result<BlockSums, AnalysisError>>(1);
        thread::scope(|scope| {
            scope.spawn(move || {
                for block in blocks {
                    // a step that failed has hung up
                    if sender.send(step.target.sums(genotypes, block)).is_err() {
                        return;
                    }
                }
            });
            receiver.into_iter().try_for_each(|sums| step.run(session, &sums?))
        })
    }

    /// One variant's row.
    fn row(&self, variant: u32, (first, score): (Word, f64), totals: &Totals) -> ScanRow {
        let low = u64::try_from(first & u128::from(u64::MAX)).unwrap_or(0);
        let (known, copies) = (low & 0xffff_ffff, low >> 32);
        let squares = decode_scaled(first, totals.bits);
        let mut row = ScanRow {
            variant,
            observed: known as f64,
            alternative: copies as f64,
            beta: f64::NAN,
            error: f64::NAN,
            statistic: f64::NAN,
            log10_p: f64::NAN,
            skipped: None,
        };
        if known == 0 {
            row.alternative = f64::NAN;
            row.skipped = Some(Verdict::of_word(first).skipped());
            return row;
        }
        if squares <= EXPLAINED * row.alternative.min(2.0 * row.observed - row.alternative) {
            row.skipped = Some(Skipped::Collinear);
            return row;
        }
        let beta = score / squares;
        match &self.null {
            Null::Linear(_, (_, scale)) => {
                let rest = (totals.squares - score * beta) / totals.freedom;
                let error = (rest / squares).max(0.0).sqrt();
                row.beta = beta * scale;
                row.error = error * scale;
                row.statistic = beta / error;
                row.log10_p = totals.student.tail(row.statistic);
            }
            Null::Logistic(_) => {
                row.beta = beta;
                row.error = squares.sqrt().recip();
                row.statistic = score / squares.sqrt();
                row.log10_p = normal(row.statistic);
            }
        }
        row
    }
}

/// What all rows of a scan share.
struct Totals {
    bits: u32,
    squares: f64,
    freedom: f64,
    student: Student,
}

/// The trait's rest in a smaller unit.
fn lifted(mut rest: Vec<f64>, setting: &Setting) -> Vec<f64> {
    let factor = f64::from(score_lift(setting)).exp2();
    rest.iter_mut().for_each(|it| *it *= factor);
    rest
}

fn sum_of(terms: impl Iterator<Item = f64>) -> Result<Word, AnalysisError> {
    let mut sum: Word = 0;
    for term in terms {
        sum = sum.wrapping_add(encode(term)?);
    }
    Ok(sum)
}

impl Analysis for Gwas {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let order = self.null.model().order();
        let mut lines = vec![format!(
            "for each of {} variants that is common enough: effect, standard error, p value, allele \
             count, patients; patients in all, residual sum of squares",
            self.variants
        )];
        lines.push(match &self.null {
            Null::Linear(..) => format!(
                "to the centres: {} sums of products of the {order} covariates, {order} with the trait",
                order * (order + 1) / 2
            ),
            Null::Logistic(glms) => format!(
                "to the centres: the {order} coefficients of the covariates after each of {} steps, \
                 and {} numbers of their information",
                glms[1].iterations,
                order * (order + 1) / 2
            ),
        });
        if self.axes.count > 0 {
            lines.push(format!(
                "{} eigenvalues; to the centres: {} numbers for each of {} variants, which make the \
                 axes",
                self.axes.count,
                self.axes.parameters(),
                self.axes.variants()
            ));
        }
        lines.push(
            "to the centres: which variants are too rare or known in too few patients; of the others \
             the allele count"
                .to_owned(),
        );
        lines
    }

    fn understood(&self) -> Vec<String> {
        self.null.models()[0].understood()
    }

    fn sets(&self) -> usize {
        self.null.models()[0].sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let mut picked = self.null.models()[0].pick(patients)?;
        let linked = have_genotypes(patients);
        for set in &mut picked {
            for (entry, linked) in set.iter_mut().zip(&linked) {
                *entry = entry.filter(|_| *linked);
            }
        }
        Ok(picked)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let linked = Linked::new(patients, (&self.panel, self.variants))?;
        let linked = linked.as_ref();
        let (target, own) = match &self.null {
            Null::Linear(_, response) => self.linear(*response, session, setting, linked)?,
            Null::Logistic(glms) => {
                self.logistic([&glms[0], &glms[1]], session, setting, linked)?
            }
        };
        let patients = session.input(&[encode_count(target.patients())])?;
        let bits = [square_bits(setting), score_lift(setting)].map(Word::from);
        let totals = [&patients, &session.constant(&bits), &session.input(&own)?];
        session.release(TOTALS, &Shared::concat(totals))?;
        let step = Step { floors: self.floors, setting, target: &target, patients: &patients };
        self.scan(session, &step, linked)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let totals = release.words(TOTALS)?;
        let total = |at: usize| totals.get(at).copied().unwrap_or_default();
        let patients = decode_scaled(total(0), 0);
        let freedom = patients - self.null.model().order() as f64 - 1.0;
        let bits = |at: usize| u32::try_from(total(at)).unwrap_or(0);
        let (bits, lift) = (bits(1), bits(2));
        let squares = decode_scaled(total(3), SCAN_BITS);
        let values = totals.iter().skip(4).map(|it| decode_scaled(*it, SCAN_BITS));
        let values: Vec<f64> = values.collect();
        let totals = Totals { bits, squares, freedom, student: Student::new(freedom) };
        let mut rows = Vec::with_capacity(self.variants);
        for block in release.words(STATISTICS)?.chunks(2 * BLOCK) {
            let (first, scores) = block.split_at(block.len() / 2);
            for (first, score) in first.iter().zip(scores) {
                let variant = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                let score = decode_scaled(*score, SCAN_BITS + lift);
                rows.push(self.row(variant, (*first, score), &totals));
            }
        }
        let counted = |skipped: Option<Skipped>| {
            Cell::Count(rows.iter().filter(|row| row.skipped == skipped).count() as f64)
        };
        let glance = Table::of_one(
            "glance",
            [
                ("nobs", Cell::Count(patients)),
                ("variants", Cell::Count(rows.len() as f64)),
                ("tested", counted(None)),
                ("rare", counted(Some(Skipped::Rare))),
                ("missing", counted(Some(Skipped::Missing))),
                ("collinear", counted(Some(Skipped::Collinear))),
            ],
        );
        let linear = matches!(self.null, Null::Linear(..));
        let scan = Scan {
            response: self.response.clone(),
            test: if linear { ScanTest::Linear } else { ScanTest::Score },
            panel: self.panel.clone(),
            patients,
            freedom: if linear { freedom } else { 0.0 },
            rows,
            genotypes: Vec::new(),
        };
        Ok(Findings {
            title: format!("Genome-wide scan of {}", self.response),
            tables: [vec![glance], eigenvalue_table(&values)].concat(),
            notes: Vec::new(),
            found_percent_below: None,
            scans: vec![scan],
        })
    }
}
