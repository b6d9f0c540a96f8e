//! Association of traits with each variant of a panel, over all centres: linear regression, or the
//! score test of logistic or Cox regression, with covariates.
//!
//! # Local step
//! Each centre adds up, for each variant, genotypes times each trait without what the covariates say
//! of it, genotypes times the covariates at right angles, and counts of genotypes. Missing genotypes
//! stand for the pooled mean of the variant. Of an event's hits it adds up what a correction needs.
//! With `doses`, doses of imputed genotypes take the place of genotypes, but for who counts as having
//! an allele.
//!
//! # Secure step
//! If asked for, the principal axes of the genotypes (`gwas_axes`), on which each centre's people stand
//! at home and nowhere else, or the polygenic background (`gwas_background`). Once: the model without
//! variants. Then block by block of variants: two verdicts for each on shares;
//! for those that pass, allele counts; squares of the covariates' sums, subtracted from the variant's
//! own sum of squares. What the covariates say is thereby projected out, and nothing is divided:
//! effect and error of a variant follow from two numbers. `sealed`: the covariates are put at right
//! angles, and taken out of the traits, on shares. `meta`: nothing is pooled but the centres' effects,
//! see `gwas_alone`. A survival time is put into few windows first, see `gwas_survival`.
//!
//! # Opens
//! To the centres: whether the cohort is large enough; which covariates cannot be told apart; whether
//! a covariate or a patient stands too much apart; sums of products of the covariates with each other
//! and with the trait (not when sealed); for events the steps of the model; for a
//! survival time how many events there are, at which times windows with enough events end, and in each
//! window the events and sums over the patients at risk of risks and covariates; for principal axes, in
//! each step a number for each of the variants they are made of and each direction; for a background
//! likewise, for each of its variants and each fold; for hits of a measured trait the number of patients
//! and the residual sum of squares; for each variant
//! whether it is too rare, or known in too few; for each that passes, how many patients have a
//! genotype, and their alleles or the sum of their doses; if asked for, whether its genotypes are out of proportion, and whether
//! it is a hit; of hits that are corrected, sums over all patients in each step. Not: anything of a
//! variant that does not pass, sums of any centre.
//!
//! # Release
//! For each variant that passes, or for hits alone: allele count, patients, the numbers from which
//! effect, standard error and p value follow; the traits' residual sums of squares; number of patients.
//!
//! # Sources
//! Frisch and Waugh (1933), Econometrica 1:387: regression on what is left after the covariates. Score
//! test: Rao (1948), Proc. Camb. Philos. Soc. 44:50. Rarity: `docs/disclosure.md`, R1 and R2.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::cox;
use crate::design::Model;
use crate::glm::{self, Glm};
use crate::gwas_axes::Axes;
use crate::gwas_block::Block;
use crate::gwas_hits::{Found, correct};
use crate::gwas_local::{Coded, Linked};
use crate::gwas_null::{Frame, Null, STEPS, STEPS_ALIKE, Trait};
use crate::gwas_request::{Asked, Hits, MAF, check_shown};
use crate::gwas_rows::BLOCK;
use crate::gwas_steps::{Floors, Part, Step};
use crate::gwas_survival::{Survival, is_survival};
use crate::scan::trait_of;
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{encode, encode_count};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 22] = [
    ADMITTED,
    UNSOUND,
    APART,
    COVARIATES,
    AXES,
    BACKGROUND,
    glm::ADMITTED,
    glm::UNSOUND,
    glm::APART,
    glm::STEP,
    cox::STEP,
    WINDOWS,
    RISKS,
    FLOORS,
    ALLELES,
    HARDY_WEINBERG,
    RESIDUAL,
    HITS,
    CORRECTION,
    STATISTICS,
    CORRECTED,
    TOTALS,
];

pub(crate) const ADMITTED: Opening = Opening {
    name: "gwas.admitted",
    says: "Whether enough patients and centres have genotypes and all values.",
    to: Audience::Centres,
};
pub(crate) const UNSOUND: Opening = Opening {
    name: "gwas.collinear",
    says: "For each covariate, whether it is a combination of others.",
    to: Audience::Centres,
};
pub(crate) const APART: Opening = Opening {
    name: "gwas.apart",
    says: "Whether a covariate or a patient stands too much apart.",
    to: Audience::Centres,
};
pub(crate) const COVARIATES: Opening = Opening {
    name: "gwas.covariates",
    says: "Sums of products of the covariates with each other, and with measured traits (not when \
           sealed).",
    to: Audience::Centres,
};
pub(crate) const AXES: Opening = Opening {
    name: "gwas.axes",
    says: "For principal axes only: how they weigh the variants, in each step of finding them.",
    to: Audience::Centres,
};
pub(crate) const BACKGROUND: Opening = Opening {
    name: "gwas.background",
    says: "For a polygenic background only: sums over all patients for each of its variants, in each \
           step, and for each covariate.",
    to: Audience::Centres,
};
pub(crate) const WINDOWS: Opening = Opening {
    name: "gwas.windows",
    says: "For a survival time only: how many events there are, at which of 127 times at most 16 windows \
           with enough events end, and how many events each has.",
    to: Audience::Centres,
};
pub(crate) const RISKS: Opening = Opening {
    name: "gwas.risks",
    says: "For a survival time only: for each window, sums over the patients at risk of their risks, and \
           of each covariate times the risks.",
    to: Audience::Centres,
};
pub(crate) const FLOORS: Opening = Opening {
    name: "gwas.floors",
    says: "For each variant, whether it is too rare, and whether too few patients have a genotype.",
    to: Audience::Centres,
};
pub(crate) const ALLELES: Opening = Opening {
    name: "gwas.alleles",
    says: "For each variant that passes, how many patients have a genotype, and their alleles or, if \
           asked for, the sum of their doses.",
    to: Audience::Centres,
};
pub(crate) const HARDY_WEINBERG: Opening = Opening {
    name: "gwas.proportions",
    says: "If asked for: for each variant that passes, whether its genotypes are out of proportion.",
    to: Audience::Centres,
};
pub(crate) const RESIDUAL: Opening = Opening {
    name: "gwas.residual",
    says: "For hits of a measured trait only: number of patients, residual sum of squares.",
    to: Audience::Centres,
};
pub(crate) const HITS: Opening = Opening {
    name: "gwas.hits",
    says: "If asked for: for each variant, whether its p value is small enough for a hit.",
    to: Audience::Centres,
};
pub(crate) const CORRECTION: Opening = Opening {
    name: "gwas.correction",
    says: "For hits that are tested once more: sums over all patients, in each step.",
    to: Audience::Centres,
};
pub(crate) const STATISTICS: Opening = Opening {
    name: "gwas.statistics",
    says: "For each variant that passes, allele count, effect and standard error; else why not.",
    to: Audience::Researcher,
};
pub(crate) const CORRECTED: Opening = Opening {
    name: "gwas.corrected",
    says: "Effect, standard error and p value of hits that were tested once more.",
    to: Audience::Researcher,
};
pub(crate) const TOTALS: Opening = Opening {
    name: "gwas.totals",
    says: "How many patients there are; the traits' residual sums of squares, or how many events and \
           windows of a survival time.",
    to: Audience::Researcher,
};

/// The options that it takes.
pub const OPTIONS: &[&str] = &[
    "axes",
    "background",
    "below",
    "chromosomes",
    "coding",
    "condition",
    "condition_at",
    "correct",
    "doses",
    "family",
    "hits_max",
    "hwe",
    "iterations",
    "maf",
    "men",
    "meta",
    "missing_max",
    "panel",
    "range",
    "region",
    "sealed",
    "show",
    "traits",
    "variants",
    "x",
];

/// Principal axes are of variants at least as frequent.
const AXES_MAF: f64 = 0.05;
/// Most principal axes.
const AXES_MAX: u32 = 10;
/// Most traits of one pass.
const TRAITS_MAX: usize = 50;

/// A prepared scan.
pub(crate) struct Gwas {
    pub(crate) null: Null,
    pub(crate) axes: Axes,
    pub(crate) asked: Asked,
    /// The first trait.
    pub(crate) response: String,
}

/// Checks a request: a formula, the panel, floors, what is done with hits.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary, or anything that makes no sense.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let asked = Asked::of(request)?;
    let axes = request.axes.unwrap_or(0);
    if axes > AXES_MAX {
        return Err(error("takes at most 10 axes"));
    }
    let null = if is_survival(request, dictionary)? {
        let names = names_of(&asked, axes);
        Null::Survival(Box::new(Survival::of(request, dictionary, &names)?))
    } else {
        null_of(request, dictionary, (&asked, axes))?
    };
    let design = &null.models()[0].design;
    let moved = design.has_intercept || matches!(null, Null::Survival(_));
    if !moved || design.offset.is_some() {
        return Err(error("needs an intercept, and no offset"));
    }
    if asked.background.is_some() && null.is_weighted() {
        return Err(error("fits a background for a measured trait only"));
    }
    if let Some(hits) = asked.hits {
        if null.traits() > 1 {
            return Err(error("finds hits of one trait at a time"));
        }
        if hits.correct.is_some() && !null.is_weighted() {
            return Err(error("corrects hits of an event only, family binomial"));
        }
    }
    let response = trait_of(request.formula.as_deref().unwrap_or_default()).to_owned();
    let common = Part::of(AXES_MAF.max(request.maf.unwrap_or(MAF))).unwrap_or(asked.floors.maf);
    let axes = Axes {
        count: usize::try_from(axes).unwrap_or(0),
        panel: asked.size,
        floors: Floors { maf: common, ..asked.floors },
    };
    Ok(Box::new(Gwas { null, axes, asked, response }))
}

/// Covariates besides the formula's.
fn names_of(asked: &Asked, axes: u32) -> Vec<String> {
    let axes = (1..=axes).map(|axis| format!("axis{axis}"));
    axes.chain(asked.conditions.iter().map(|(_, name)| name.clone())).collect()
}

/// The model without variants, of a measured trait or an event.
pub(crate) fn null_of(
    request: &Request,
    dictionary: &Dictionary,
    (asked, axes): (&Asked, u32),
) -> Result<Null, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let names = names_of(asked, axes);
    // an event is one, whether said or not
    let mut request = request.clone();
    if request.family.is_none()
        && matches!(Model::new(&request, dictionary)?.design.response, Response::Binary)
    {
        request.family = Some("binomial".to_owned());
    }
    match request.family.as_deref() {
        None | Some("gaussian") => {
            let mut model = Model::new(&request, dictionary)?;
            let traits = traits_of(&request, dictionary, &model)?;
            model.also_complete_in(&request.traits);
            let whole = model.with_names(&names);
            Ok(Null::Linear(Box::new([model, whole]), traits))
        }
        Some("binomial") if !request.traits.is_empty() => {
            Err(error("takes further traits with family gaussian only"))
        }
        Some("binomial") => {
            request.iterations = Some(request.iterations.unwrap_or(STEPS));
            let glm = Glm::new(&request, dictionary)?;
            let model = glm.model.with_names(&names);
            let whole = Glm::new(&request, dictionary)?.of_model(model);
            Ok(Null::Logistic(Box::new([glm, whole])))
        }
        Some(_) => Err(error("takes family gaussian or binomial")),
    }
}

/// The formula's trait and the further ones.
fn traits_of(
    request: &Request,
    dictionary: &Dictionary,
    model: &Model,
) -> Result<Vec<Trait>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let text = request.formula.as_deref().unwrap_or_default();
    let first = text.split('~').next().unwrap_or_default().trim();
    if request.traits.len() >= TRAITS_MAX {
        return Err(error("takes at most 50 traits"));
    }
    let mut traits = Vec::new();
    for name in std::iter::once(first).chain(request.traits.iter().map(String::as_str)) {
        if traits.iter().any(|it: &Trait| it.name == name) {
            return Err(error("names a trait twice"));
        }
        let further = !traits.is_empty();
        if further && model.design.variables_used().iter().any(|used| used == name) {
            return Err(error("has a further trait that is in the formula too"));
        }
        let own;
        let design = if further {
            if dictionary.variable(name).is_none() {
                return Err(error("needs variables of the dictionary as further traits"));
            }
            let single = Request { formula: Some(format!("{name} ~ 1")), ..request.clone() };
            own = Model::new(&single, dictionary)?;
            &own.design
        } else {
            &model.design
        };
        match &design.response {
            Response::Numeric { centre, scale } => {
                let (name, centre, scale) = (name.to_owned(), *centre, *scale);
                traits.push(Trait { name, centre, scale });
            }
            _ => return Err(error("has an event as trait; take family binomial")),
        }
    }
    Ok(traits)
}

impl Gwas {
    /// Counts that are shown of each variant.
    pub(crate) fn counts(&self) -> usize {
        if self.asked.counting.recodes() { 3 } else { 2 }
    }

    /// What centres learn of the model without variants.
    fn opened_of_model(&self) -> Option<String> {
        let order = self.null.model().order();
        let products = order * (order + 1) / 2;
        match &self.null {
            _ if self.asked.meta => None,
            Null::Linear(..) if self.asked.sealed => None,
            Null::Linear(_, traits) => Some(format!(
                "to the centres: {products} sums of products of the {order} covariates, {} with the \
                 trait",
                order * traits.len()
            )),
            Null::Logistic(glms) => {
                let steps = glms[1].iterations + STEPS_ALIKE;
                let information = if self.asked.sealed {
                    String::new()
                } else {
                    format!(", and {products} numbers of their information")
                };
                Some(format!(
                    "to the centres: the {order} coefficients of the covariates after each of \
                     {steps} steps{information}"
                ))
            }
            Null::Survival(survival) => Some(survival.reveals()),
        }
    }

    /// All blocks of variants: the next one is added up while centres work on the last.
    fn scan(
        &self,
        session: &mut dyn Session,
        parts: &[(Block<'_>, (usize, usize))],
        linked: Option<&Linked>,
    ) -> Result<Vec<Found>, AnalysisError> {
        let blocks: Vec<(&Block<'_>, (usize, usize))> = parts
            .iter()
            .flat_map(|(block, range)| blocks_of(*range).map(move |place| (block, place)))
            .collect();
        let genotypes = linked.map(|it| &it.genotypes);
        let (sender, receiver) = sync_channel::<Result<Coded, AnalysisError>>(1);
        let mut found = Vec::new();
        thread::scope(|scope| {
            let waiting: Vec<_> =
                blocks.iter().map(|(block, place)| (block.step.target, *place)).collect();
            scope.spawn(move || {
                for (target, place) in waiting {
                    // a step that failed has hung up
                    if sender.send(target.coded(genotypes, place, self.asked.counting)).is_err() {
                        return;
                    }
                }
            });
            for ((coded, (block, (first, _))), done) in receiver.into_iter().zip(&blocks).zip(1..) {
                let hits = block.run(session, &coded?)?;
                let place = |(at, mean)| Found { variant: first + at, mean };
                found.extend(hits.into_iter().map(place));
                session.tell(done, blocks.len());
            }
            Ok(found)
        })
    }

    /// Runs of variants that share a target.
    pub(crate) fn parts(&self) -> Vec<(usize, usize)> {
        if self.asked.background.is_some() {
            self.asked.chromosomes()
        } else {
            vec![self.asked.range]
        }
    }
}

/// What finding hits reveals.
fn revealed_of(hits: Hits) -> String {
    let steps = match hits.correct {
        Some(_) => format!("; of the first {} of them sums in each step", hits.most),
        None => String::new(),
    };
    format!("to the centres: which variants have p of at most {}{steps}", hits.below)
}

/// Blocks of a run of variants: the first, and how many.
pub(crate) fn blocks_of((first, end): (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    (first..end).step_by(BLOCK).map(move |at| (at, BLOCK.min(end - at)))
}

impl Analysis for Gwas {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let hits = self.asked.hits;
        let which = match hits {
            Some(hits) if hits.alone => format!("with p of at most {}", hits.below),
            _ => "that is common enough".to_owned(),
        };
        let traits = match self.null.traits() {
            1 => String::new(),
            traits => format!(" for each of {traits} traits"),
        };
        let mut lines = vec![format!(
            "for each of {} variants {which}: effect, standard error, p value{traits}, allele count, \
             patients; patients in all, {}",
            self.asked.variants(),
            match self.null {
                Null::Survival(_) => "events and windows",
                _ => "residual sum of squares",
            }
        )];
        lines.extend(self.opened_of_model());
        if self.axes.count > 0 {
            lines.push(format!(
                "{} eigenvalues; to the centres: {} numbers for each of {} variants, which make the \
                 axes",
                self.axes.count,
                self.axes.parameters(),
                self.axes.variants()
            ));
        }
        if self.asked.background.is_some() {
            lines.push(format!(
                "to the centres: {} numbers for each of {} variants, which make the background",
                crate::gwas_background::OPENED_EACH,
                self.axes.variants()
            ));
        }
        let alleles = if self.asked.counting.doses {
            "sum of doses, in parts of a copy down to 1/16384"
        } else {
            "allele count"
        };
        lines.push(format!(
            "to the centres: which variants are too rare or known in too few patients; of the others \
             the {alleles}"
        ));
        lines.extend(hits.map(revealed_of));
        lines
    }

    fn understood(&self) -> Vec<String> {
        let model = match &self.null {
            Null::Survival(survival) => survival.understood(),
            null => null.models()[0].understood(),
        };
        [model, self.asked.understood()].concat()
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
        if !self.asked.hits.is_some_and(|it| it.alone) {
            check_shown(setting, ("gwas", self.asked.variants()))?;
        }
        let linked = Linked::new(patients, (&self.asked.panel, self.asked.size))?;
        let linked = linked.as_ref();
        let frame = Frame { asked: &self.asked, axes: &self.axes, setting, linked };
        let fitted = self.null.fit(session, &frame)?;
        let target = &fitted.target;
        let patients = session.input(&[encode_count(target.patients())])?;
        let public = fitted.eigenvalues.iter().map(|it| encode(*it));
        let public = public.collect::<Result<Vec<_>, _>>()?;
        let (layout, public) =
            (session.constant(&fitted.layout.words()), session.constant(&public));
        let totals = [&patients, &layout, &fitted.squares, &public];
        session.release(TOTALS, &Shared::concat(totals))?;
        let floors = self.asked.floors;
        let block = |target, threshold: f64| Block {
            step: Step { floors, setting, target, patients: &patients },
            counting: self.asked.counting,
            hardy_weinberg: self.asked.hardy_weinberg,
            layout: fitted.layout,
            turn: fitted.turn.as_ref(),
            hits: self.asked.hits.map(|hits| (hits, threshold)),
            alone: fitted.alone.as_ref(),
        };
        let threshold = |at: usize| fitted.thresholds.get(at).copied().unwrap_or(1.0);
        let parts: Vec<(Block<'_>, (usize, usize))> = if fitted.parts.is_empty() {
            vec![(block(target, threshold(0)), self.asked.range)]
        } else {
            let each = fitted.parts.iter().enumerate();
            each.map(|(at, it)| (block(&it.target, threshold(at)), it.range)).collect()
        };
        let found = self.scan(session, &parts, linked)?;
        let basis = linked.zip(fitted.basis.as_ref());
        match self.asked.hits.and_then(|hits| Some((hits.correct?, hits.most))) {
            Some((how, most)) => {
                correct(session, (how, most), (&found, self.asked.counting), (target, basis))
            }
            None => Ok(()),
        }
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        self.findings(release)
    }
}
