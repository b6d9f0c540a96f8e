//! What a genome-wide scan finds: a row for each variant of the panel, too many for a table of cells.

use konsil_kernels::Coding;
use serde::Serialize;

/// Results of one trait at all variants.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scan {
    /// The trait.
    pub response: String,
    /// How it was tested.
    pub test: ScanTest,
    /// Hash of the panel whose variants the rows are.
    pub panel: String,
    /// Patients with all values.
    pub patients: f64,
    /// Residual degrees of freedom of the t test; 0 for z tests.
    pub freedom: f64,
    /// How genotypes count.
    #[serde(skip)]
    pub coding: Coding,
    /// How hits were tested once more: `SPA` or `FIRTH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected: Option<&'static str>,
    /// Whether centres were fitted alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub meta: bool,
    /// One for each variant, in the panel's order.
    #[serde(skip)]
    pub rows: Vec<ScanRow>,
    /// Counts instead, one for each variant, where nothing was tested against a trait.
    #[serde(skip)]
    pub genotypes: Vec<GenotypeRow>,
}

impl Scan {
    /// Counts alone: nothing was tested against a trait.
    pub(crate) fn of_counts(panel: &str, patients: f64, genotypes: Vec<GenotypeRow>) -> Self {
        Self {
            response: String::new(),
            test: ScanTest::Counts,
            panel: panel.to_owned(),
            patients,
            freedom: 0.0,
            coding: Coding::Additive,
            corrected: None,
            meta: false,
            rows: Vec::new(),
            genotypes,
        }
    }
}

/// The trait of a formula, by which result files are named: what is left of `~`, of a survival time the
/// event.
#[must_use]
pub fn trait_of(formula: &str) -> &str {
    let left = formula.split('~').next().unwrap_or_default().trim();
    let inner = left.strip_prefix("Surv(").and_then(|it| it.strip_suffix(')'));
    inner.and_then(|it| it.rsplit(',').next()).map_or(left, str::trim)
}

/// The test of each variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ScanTest {
    /// Linear regression, t test.
    Linear,
    /// Score test of logistic regression, one-step estimate.
    Score,
    /// Score test of Cox regression, one-step estimate.
    Cox,
    /// None: genotypes were counted.
    Counts,
}

/// Genotypes of one variant.
#[derive(Clone, Debug, PartialEq)]
pub struct GenotypeRow {
    /// Number in the panel, from 0.
    pub variant: u32,
    /// People whose genotype is known.
    pub observed: f64,
    /// Alternative alleles among them.
    pub alternative: f64,
    /// People with one of them; NaN where a group is too small to be shown.
    pub one: f64,
    /// People with two; NaN likewise.
    pub two: f64,
    /// `-log10` of the p value of Hardy-Weinberg proportions; NaN likewise.
    pub log10_p: f64,
    /// Why it has no counts.
    pub skipped: Option<Skipped>,
    /// Where pairs were compared: numbers in the panel of the later variants that it is linked with.
    pub linked: Option<Vec<u32>>,
}

/// One variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanRow {
    /// Number in the panel, from 0.
    pub variant: u32,
    /// Patients whose genotype is known.
    pub observed: f64,
    /// Alternative alleles among them.
    pub alternative: f64,
    /// Effect of one alternative allele; for events the logarithm of the odds ratio, for
    /// a survival time that of the hazard ratio.
    pub beta: f64,
    /// Its standard error.
    pub error: f64,
    /// t or z.
    pub statistic: f64,
    /// `-log10` of the two-sided p value.
    pub log10_p: f64,
    /// Why it was not tested.
    pub skipped: Option<Skipped>,
    /// Whether effect and p value are those of a test that was made once more, as for rare events.
    pub corrected: bool,
    /// Where centres were fitted alone: `-log10 p` that their effects are the same; else NaN.
    pub heterogeneity: f64,
}

/// Why a variant has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Rarer than the floor; nothing about it is released.
    Rare,
    /// Missing in too many patients; nothing about it is released.
    Missing,
    /// A combination of the covariates.
    Collinear,
    /// Its genotypes are not in Hardy-Weinberg proportions.
    Uneven,
    /// No hit, where only hits are shown.
    Hidden,
}

impl Skipped {
    /// As result files say it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Rare => "LOW_MAF",
            Self::Missing => "MISSING",
            Self::Collinear => "VIF_TOO_HIGH",
            Self::Uneven => "HWE",
            Self::Hidden => "NOT_SHOWN",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::trait_of;

    /// Files are named by the event of a survival time.
    #[test]
    fn traits_are_left_of_the_tilde() {
        assert_eq!(trait_of("ldl ~ age"), "ldl");
        assert_eq!(trait_of("Surv(months, died) ~ age"), "died");
        assert_eq!(trait_of(" Surv(a, b, ill)~1"), "ill");
    }
}
