//! What every analysis is: a request, a run at each centre, and tables at the researcher.

use crate::scan::Scan;
use crate::table::Table;
use konsil_cohort::design::Picked;
use konsil_cohort::{CohortError, Dataset, Dictionary, FormulaError};
use konsil_disclosure::{Noise, NoiseError, Policy, Refusal, Release, ReleaseError};
use konsil_mpc::{MpcError, Opening, Session};
use konsil_ring::EncodeError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What the researcher asks: one `[[analysis]]` of a study file. Public, part of the approval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Name within the study; the result files carry it.
    pub id: String,
    /// Which analysis: a name of the registry.
    pub kind: String,
    /// The model or the grouping, in R's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
    /// Variables to describe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// Groups to compare: a variable with levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// `centre`: judge each centre's patients by the model of the others instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate: Option<String>,
    /// Bins of a histogram.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bins: Option<u32>,
    /// Values of a marker at which cases are told from controls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cutoffs: Vec<f64>,
    /// Nested models to compare, from the smallest to the largest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Distribution of the response: `binomial`, `poisson`, `gamma`, and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// How its mean depends on the columns: `log`, `inverse`, `identity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The variable that has the patients' prior weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Standard errors that hold for unequal variances: `HC0` to `HC3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robust: Option<String>,
    /// What makes patients belong together: a variable, within each centre, or `centre`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `independence` or `exchangeable`: how patients of a cluster are taken to be correlated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corstr: Option<String>,
    /// Whether a linear model with random intercepts is fitted by maximum likelihood, not by REML.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ml: bool,
    /// Whether nothing but the result is opened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// Newton steps; fixed beforehand, so that duration and bytes tell nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
    /// `efron` or `breslow`: how Cox regression treats events at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ties: Option<String>,
    /// For `efron`: most events at one time that it is prepared for; costs grow with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ties_max: Option<u32>,
    /// The coefficients of a fitted model, in the order of its table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coefficients: Vec<f64>,
    /// Compares two variables of the same patients instead of groups.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paired: bool,
    /// Mean, or difference of means, to compare with; 0 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mu: Option<f64>,
    /// Whether the groups' variances are taken to be equal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub var_equal: bool,
    /// `median` or `mean`: from where Levene's test measures distances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<String>,
    /// Times at which a curve is shown, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<u32>,
    /// `log`, `log-log` or `plain`: the scale on which limits of a survival curve are symmetric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conf_type: Option<String>,
    /// `weibull` or `exponential`: distribution of times to an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dist: Option<String>,
    /// Time up to which the mean survival is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmean: Option<f64>,
    /// Whether the baseline's cumulative hazard is shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// Whether Harrell's concordance is computed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub concordance: bool,
    /// Whether hazards are tested for being proportional.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub zph: bool,
    /// Whether groups of a table are compared by standardised differences.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub smd: bool,
    /// Whether groups of a table are compared by tests.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tests: bool,
    /// Mixture of penalties: 0 for ridge, 1 for lasso.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The only penalty, instead of many to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Folds of cross-validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<u32>,
    /// Covariates whose missing values are imputed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<String>,
    /// How many completed sets to make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imputations: Option<u32>,
    /// How often each incomplete variable is imputed anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u32>,
    /// How many clusters to form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<u32>,
    /// From how many places to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<u32>,
    /// Public number from which public random numbers are drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Whether numbers are taken as they are rather than scaled to unit variance.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
    /// Whether groups are tested for a trend in the order of their levels.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trend: bool,
    /// SHA-256 of the panel of variants that are tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panel: Option<String>,
    /// How many variants the panel has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<u32>,
    /// Smallest frequency of the rarer allele at which a variant is tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maf: Option<f64>,
    /// Largest part of patients without genotype at which a variant is tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_max: Option<f64>,
    /// Principal axes of the genotypes that are covariates too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axes: Option<u32>,
    /// `additive`, `dominant` or `recessive`: how genotypes count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coding: Option<String>,
    /// Whether doses of imputed genotypes count, where centres have them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub doses: bool,
    /// Smallest p value of Hardy-Weinberg proportions at which a variant is tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hwe: Option<f64>,
    /// The region of the genome that is tested, for people: `19:44900000-45500000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The region's variants: number of the first, and of the one after the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub range: Vec<u32>,
    /// Variants that are covariates too, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub condition: Vec<String>,
    /// Their numbers in the panel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub condition_at: Vec<u32>,
    /// Further measured traits that are tested with the same covariates in the same patients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<String>,
    /// Heritability by which the polygenic background is fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<f64>,
    /// First variants of the panel's chromosomes, by number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chromosomes: Vec<u32>,
    /// Variants of X of which men have one copy: the first, and the one after the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub x: Vec<u32>,
    /// `one` or `two`: what a man's copy of X counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub men: Option<String>,
    /// Sets of variants that are tested together: their file, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sets: Option<String>,
    /// Each set: its name, then numbers of variants in the panel, with weights as in `12*0.5`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set_list: Vec<String>,
    /// Whether centres are fitted alone, and their effects combined.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub meta: bool,
    /// `spa` or `firth`: how hits are tested once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct: Option<String>,
    /// Largest p value of a hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Most hits that are corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hits_max: Option<u32>,
    /// `all` or `hits`: which variants are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show: Option<String>,
    /// Numbers of the panel's variants that take part, as [`crate::among::listed`] writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub among: Option<String>,
    /// Variants behind each with which it is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Squared correlation above which two variants are linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
    /// Smallest kinship of people who are called related.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinship: Option<f64>,
}

/// What is fixed for a run besides the request. Public.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The disclosure rules in force.
    pub policy: Policy,
    /// Rows of each centre's data set, rounded up to a public bucket.
    pub rows_at_most: Vec<usize>,
    /// What this analysis spends on noise; `None` for exact results.
    pub noise: Option<Noise>,
}

/// One centre's patients of the cohort; `None` while planning.
pub type Patients<'a> = Option<&'a Dataset>;

/// What an analysis ends with at the researcher.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    /// Heading for reports.
    pub title: String,
    /// Result tables.
    pub tables: Vec<Table>,
    /// Remarks: what was suppressed, whether it converged.
    pub notes: Vec<String>,
    /// Of a description: percent of its patients that a membership attack finds at 1 % false
    /// positives, less than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_percent_below: Option<f64>,
    /// Results of a genome-wide scan, a trait each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<Scan>,
}

/// A request that was checked against the dictionary.
pub trait Analysis: Send + Sync {
    /// Everything the analysis can reveal; the session refuses the rest.
    fn openings(&self) -> &'static [Opening];

    /// What will be revealed, in words and numbers, for the plan. One line each.
    fn reveals(&self) -> Vec<String>;

    /// How the question was understood (the expanded design), for the plan.
    fn understood(&self) -> Vec<String>;

    /// Independent numbers about the patients that are described exactly; 0 for models and curves,
    /// which other rules limit.
    fn statistics(&self) -> usize {
        0
    }

    /// Whether results can be noised; otherwise a study that asks for noise is refused.
    fn takes_noise(&self) -> bool {
        false
    }

    /// How many sets of patients the results are about: everybody, or each group; and those whom a
    /// column picks out or leaves. Public.
    fn sets(&self) -> usize {
        1
    }

    /// These sets among one centre's patients, [`Analysis::sets`] of them.
    ///
    /// # Errors
    /// [`AnalysisError::Cohort`] for a data set of another dictionary.
    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        Ok(vec![vec![Some(true); patients.rows()]])
    }

    /// Runs at one centre: local step, secure step, release.
    ///
    /// # Errors
    /// [`AnalysisError`]; the same at all centres unless one of them fails alone.
    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError>;

    /// Turns the released numbers into tables, at the researcher.
    ///
    /// # Errors
    /// [`AnalysisError::Release`] when numbers are missing.
    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError>;
}

/// Why an analysis cannot be asked, or ended without a result. Never carries a value.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The formula.
    #[error("{}", .0.render())]
    Formula(FormulaError),
    /// A request that makes no sense.
    #[error("analysis `{id}`: {what}")]
    Request {
        /// The analysis.
        id: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// This centre's patients cannot be used.
    #[error(transparent)]
    Cohort(#[from] CohortError),
    /// A local sum has no fixed-point encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Disclosure control withheld the result.
    #[error("{0}")]
    Withheld(Refusal),
    /// The secure computation.
    #[error(transparent)]
    Mpc(MpcError),
    /// Columns that are linear combinations of others; names are public.
    #[error("collinear: {} cannot be told apart from other columns; leave one out", columns.join(", "))]
    Collinear {
        /// Names of the columns.
        columns: Vec<String>,
    },
    /// Numbers that are the same for all patients; names are public.
    #[error("constant: {} {} the same for all patients; leave {} out", columns.join(", "), if columns.len() == 1 { "is" } else { "are" }, if columns.len() == 1 { "it" } else { "them" })]
    Constant {
        /// Names of the variables.
        columns: Vec<String>,
    },
    /// More events at one time than Efron's method is prepared for.
    #[error(
        "some time has more than {most} events, which Efron's method is not prepared for; ask with a \
         larger ties_max, or with ties = \"breslow\""
    )]
    Ties {
        /// How many it is prepared for.
        most: usize,
    },
    /// A coefficient runs to infinity.
    #[error(
        "separation: the columns predict the response (almost) alone; drop a term, or merge levels"
    )]
    Separation,
    /// Steps that came to no end.
    #[error("not settled: {what}")]
    Unsettled {
        /// What did not settle, and what to do.
        what: &'static str,
    },
    /// Genotypes that are not those of the request.
    #[error("genotypes: {what}")]
    Genotypes {
        /// What is wrong and what to do.
        what: &'static str,
    },
    /// Noise that cannot be drawn as asked.
    #[error("noise: {0}")]
    Noise(#[from] NoiseError),
    /// The researcher's side.
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

impl AnalysisError {
    /// The code under which `konsil explain` tells more.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Formula(error) => error.code,
            Self::Request { .. } => "K0220",
            Self::Cohort(_) => "K0311",
            Self::Encode(_) => "K0310",
            Self::Withheld(Refusal::Mpc(_)) | Self::Mpc(_) => "K0401",
            Self::Withheld(Refusal::Revealing) => "K0502",
            Self::Withheld(Refusal::Differencing) => "K0503",
            Self::Withheld(Refusal::Exposed) => "K0504",
            Self::Withheld(_) => "K0501",
            Self::Collinear { .. } => "K0218",
            Self::Separation => "K0217",
            Self::Constant { .. } => "K0222",
            Self::Ties { .. } => "K0219",
            Self::Unsettled { .. } => "K0223",
            Self::Genotypes { .. } => "K0224",
            Self::Noise(_) => "K0221",
            Self::Release(_) => "K0402",
        }
    }

    /// A request error.
    #[must_use]
    pub fn request(request: &Request, what: impl Into<String>) -> Self {
        Self::Request { id: request.id.clone(), what: what.into() }
    }
}

impl From<MpcError> for AnalysisError {
    fn from(error: MpcError) -> Self {
        Self::Mpc(error)
    }
}

impl From<FormulaError> for AnalysisError {
    fn from(error: FormulaError) -> Self {
        Self::Formula(error)
    }
}

impl From<Refusal> for AnalysisError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Mpc(error) => Self::Mpc(error),
            other => Self::Withheld(other),
        }
    }
}

/// What a request is prepared from.
pub(crate) type Prepare = fn(&Request, &Dictionary) -> Result<Box<dyn Analysis>, AnalysisError>;
