//! What a genome-wide scan is asked for: which variants, by which model of inheritance, what is shown.

use crate::analysis::{AnalysisError, Request, Setting};
use crate::gwas_local::Counting;
use crate::gwas_steps::{Floors, Part};
use konsil_disclosure::Scans;
use konsil_kernels::Coding;

/// Floors unless the request says otherwise.
pub(crate) const MAF: f64 = 0.01;
const MISSING_MAX: f64 = 0.05;
/// Most variants of a panel.
const VARIANTS_MAX: u32 = 1 << 26;
/// Most variants that a scan is conditioned on.
const CONDITIONS_MAX: usize = 10;
/// Most chromosomes, unplaced pieces included.
const CHROMOSOMES_MAX: usize = 100;
/// Largest p value of a hit unless the request says otherwise.
const BELOW: f64 = 1e-4;
/// Most hits that are corrected unless the request says otherwise, and at all.
const HITS: u32 = 500;
const HITS_MAX: u32 = 5000;

/// How hits are tested once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Correct {
    /// p values by the saddle point.
    Saddle,
    /// Effects and p values by Firth's penalty.
    Firth,
}

impl Correct {
    /// As result files say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Saddle => "SPA",
            Self::Firth => "FIRTH",
        }
    }
}

/// Variants that stand out: which, and what is done with them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hits {
    /// Largest p value.
    pub(crate) below: f64,
    /// Whether nothing is shown of all others.
    pub(crate) alone: bool,
    pub(crate) correct: Option<Correct>,
    /// Most of them that are corrected.
    pub(crate) most: usize,
}

/// What is asked besides the model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) panel: String,
    /// Variants of the panel.
    pub(crate) size: usize,
    /// The first variant that is tested, and the one after the last.
    pub(crate) range: (usize, usize),
    pub(crate) floors: Floors,
    pub(crate) counting: Counting,
    /// Smallest p value of Hardy-Weinberg proportions.
    pub(crate) hardy_weinberg: Option<f64>,
    /// Variants that are covariates too, by number, rising, with their names.
    pub(crate) conditions: Vec<(usize, String)>,
    pub(crate) hits: Option<Hits>,
    pub(crate) sealed: bool,
    /// Heritability by which the polygenic background is fitted.
    pub(crate) background: Option<f64>,
    /// First variants of the panel's chromosomes.
    starts: Vec<usize>,
    /// Whether centres are fitted alone and their effects combined.
    pub(crate) meta: bool,
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

/// Most variants of which numbers are shown where a policy shows hits of scans alone (R11).
const SHOWN_MAX: usize = 1000;

/// R11: refuses to show numbers of very many variants, unless the centres' policies allow that.
///
/// # Errors
/// [`AnalysisError::Request`].
pub(crate) fn check_shown(
    setting: &Setting,
    (kind, variants): (&str, usize),
) -> Result<(), AnalysisError> {
    if setting.policy.scans == Scans::All || variants <= SHOWN_MAX {
        return Ok(());
    }
    let what = "shows numbers of more than 1,000 variants, and a centre's policy shows hits of scans \
                alone (R11): ask for fewer variants, gwas with show = \"hits\", or ask the centre for \
                `scans = \"all\"` in its policy";
    Err(AnalysisError::Request { id: kind.to_owned(), what: what.to_owned() })
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// [`AnalysisError::Request`].
    pub(crate) fn of(request: &Request) -> Result<Self, AnalysisError> {
        let error = |what: &str| AnalysisError::request(request, what);
        let (panel, size) = panel_of(request)?;
        let coding = match request.coding.as_deref() {
            None | Some("additive") => Coding::Additive,
            Some("dominant") => Coding::Dominant,
            Some("recessive") => Coding::Recessive,
            Some(_) => return Err(error("takes coding additive, dominant or recessive")),
        };
        let counting = counting_of(request, (coding, size))?;
        if request.hwe.is_some_and(|it| !(1e-200..=0.1).contains(&it)) {
            return Err(error("needs `hwe`, the smallest p value, from 1e-200 to 0.1"));
        }
        if request.doses && (coding != Coding::Additive || request.hwe.is_some()) {
            return Err(error(
                "takes doses with coding additive and without hwe, which is about genotypes",
            ));
        }
        let hits = hits_of(request)?;
        if request.sealed && hits.is_some_and(|it| it.correct.is_some()) {
            return Err(error("corrects hits only when it is not sealed"));
        }
        if request.meta && (request.sealed || hits.is_some() || request.hwe.is_some()) {
            return Err(error(
                "combines centres by meta without sealed, hwe, and what is for hits",
            ));
        }
        Ok(Self {
            panel,
            size,
            range: range_of(request, size)?,
            floors: floors_of(request)?,
            counting,
            hardy_weinberg: request.hwe,
            conditions: conditions_of(request, size)?,
            hits,
            sealed: request.sealed,
            background: background_of(request)?,
            starts: starts_of(request, size)?,
            meta: request.meta,
        })
    }

    /// The chromosomes' variants, each from the first to before the last number.
    pub(crate) fn whole_chromosomes(&self) -> Vec<(usize, usize)> {
        let ends = self.starts.iter().skip(1).copied().chain([self.size]);
        self.starts.iter().copied().zip(ends).collect()
    }

    /// The same, as far as they are tested.
    pub(crate) fn chromosomes(&self) -> Vec<(usize, usize)> {
        let within = |(first, end): (usize, usize)| {
            let (first, end) = (first.max(self.range.0), end.min(self.range.1));
            (first < end).then_some((first, end))
        };
        self.whole_chromosomes().into_iter().filter_map(within).collect()
    }

    /// Variants that are tested.
    pub(crate) fn variants(&self) -> usize {
        self.range.1 - self.range.0
    }

    /// What is said of it in a plan, line by line.
    pub(crate) fn understood(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.variants() < self.size {
            lines.push(format!("variants {} to {} of the panel", self.range.0 + 1, self.range.1));
        }
        if self.counting.doses {
            lines.push("doses count where genotypes were imputed".to_owned());
        }
        match self.counting.coding {
            Coding::Additive => {}
            Coding::Dominant => lines.push("one alternative allele counts as two do".to_owned()),
            Coding::Recessive => lines.push("only two alternative alleles count".to_owned()),
        }
        if self.counting.single {
            lines.push("a man's copy of X counts one, and a woman's two count two".to_owned());
        }
        if let Some(heritability) = self.background {
            lines.push(format!(
                "each chromosome is tested against what the others leave of the trait, by ridge \
                 regression at a heritability of {heritability}"
            ));
        }
        if self.meta {
            lines.push("each centre is fitted alone; effects by inverse variances".to_owned());
        }
        if !self.conditions.is_empty() {
            let names: Vec<&str> = self.conditions.iter().map(|(_, name)| name.as_str()).collect();
            lines.push(format!("variants as covariates: {}", names.join(", ")));
        }
        lines
    }
}

/// The run of variants that is tested.
fn range_of(request: &Request, size: usize) -> Result<(usize, usize), AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    match request.range.as_slice() {
        [] if request.region.is_some() => {
            Err(error("has a region but no `range`: give the panel's file by --panel"))
        }
        [] => Ok((0, size)),
        [first, end] if first < end && place(*end) <= size => Ok((place(*first), place(*end))),
        _ => Err(error(
            "needs a `range` of two numbers, the first variant and the one after the last",
        )),
    }
}

/// How genotypes count, on X too.
fn counting_of(
    request: &Request,
    (coding, size): (Coding, usize),
) -> Result<Counting, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    let x = match request.x.as_slice() {
        [] => None,
        [first, end] if first < end && place(*end) <= size => Some((place(*first), place(*end))),
        _ => return Err(error("needs as `x` the first variant of X and the one after the last")),
    };
    let single = match request.men.as_deref() {
        None | Some("two") => false,
        Some("one") => true,
        Some(_) => return Err(error("counts a man's copy of X as one or two")),
    };
    if !single {
        return Ok(Counting { coding, doses: request.doses, x, single });
    }
    let Some((first, end)) = x else {
        return Err(error("has `men` but no variants of X: give the panel's file by --panel"));
    };
    let conditions = request.condition_at.iter().any(|it| (first..end).contains(&place(*it)));
    if coding != Coding::Additive || request.doses || request.correct.is_some() || conditions {
        return Err(error(
            "counts a man's copy of X as one only with coding additive, without doses, without a \
             correction of hits, and not conditioned on variants of X",
        ));
    }
    Ok(Counting { coding, doses: false, x, single })
}

fn background_of(request: &Request) -> Result<Option<f64>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let Some(heritability) = request.background else { return Ok(None) };
    if !(0.01..=0.99).contains(&heritability) {
        return Err(error("needs a heritability from 0.01 to 0.99 for the background"));
    }
    let other = request.sealed || request.meta || !request.traits.is_empty();
    if other || request.family.as_deref() == Some("binomial") {
        return Err(error(
            "fits a background for one measured trait, not sealed, not by meta, family gaussian",
        ));
    }
    Ok(Some(heritability))
}

/// First variants of the chromosomes; one chromosome where nothing is said.
fn starts_of(request: &Request, size: usize) -> Result<Vec<usize>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let starts = request.chromosomes.iter().map(|it| usize::try_from(*it).unwrap_or(usize::MAX));
    let starts: Vec<usize> = starts.collect();
    if request.background.is_some() && starts.len() < 2 {
        return Err(error(
            "needs a panel of two chromosomes at least for a background, and --panel its file",
        ));
    }
    let rising = starts.windows(2).all(|pair| pair[0] < pair[1]);
    let sound =
        starts.first().is_none_or(|it| *it == 0) && starts.last().is_none_or(|it| *it < size);
    if !rising || !sound || starts.len() > CHROMOSOMES_MAX {
        return Err(error("has `chromosomes` that are no rising numbers of variants from 0"));
    }
    Ok(if starts.is_empty() { vec![0] } else { starts })
}

fn conditions_of(request: &Request, size: usize) -> Result<Vec<(usize, String)>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    if request.condition.len() != request.condition_at.len() {
        return Err(error("has variants to condition on without numbers: give --panel its file"));
    }
    let place = |at: &u32| usize::try_from(*at).unwrap_or(usize::MAX);
    let numbers = request.condition_at.iter().map(place);
    let mut conditions: Vec<(usize, String)> =
        numbers.zip(request.condition.iter().cloned()).collect();
    conditions.sort();
    conditions.dedup_by_key(|(number, _)| *number);
    if conditions.len() > CONDITIONS_MAX || conditions.iter().any(|(number, _)| *number >= size) {
        return Err(error("takes at most 10 variants of the panel to condition on"));
    }
    Ok(conditions)
}

fn hits_of(request: &Request) -> Result<Option<Hits>, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let correct = match request.correct.as_deref() {
        None => None,
        Some("spa") => Some(Correct::Saddle),
        Some("firth") => Some(Correct::Firth),
        Some(_) => return Err(error("corrects hits by spa or firth")),
    };
    let alone = match request.show.as_deref() {
        None | Some("all") => false,
        Some("hits") => true,
        Some(_) => return Err(error("shows all or hits")),
    };
    let below = request.below.unwrap_or(BELOW);
    if !(1e-100..=0.05).contains(&below) {
        return Err(error("needs `below`, the largest p value of a hit, from 1e-100 to 0.05"));
    }
    let most = request.hits_max.unwrap_or(HITS);
    if !(1..=HITS_MAX).contains(&most) {
        return Err(error("corrects 1 to 5000 hits"));
    }
    if correct.is_none() && !alone {
        let given = request.below.is_some() || request.hits_max.is_some();
        return if given {
            Err(error("needs show = hits or a correction for `below` and `hits_max`"))
        } else {
            Ok(None)
        };
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    Ok(Some(Hits { below, alone, correct, most }))
}
