//! The registry: one entry for each analysis. Commands, help, plans and study files follow from it.

use crate::analysis::{Analysis, AnalysisError, Prepare, Request};
use crate::{cox, glm, km, lm, summary, table1};
use konsil_cohort::{Dictionary, suggest};
use konsil_mpc::Opening;

/// One analysis.
#[derive(Debug)]
pub struct Entry {
    /// Its name in study files and on the command line.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// A one-line command that runs.
    pub example: &'static str,
    /// Everything it can reveal.
    pub openings: &'static [Opening],
    /// Checks a request against the dictionary.
    pub prepare: Prepare,
}

/// All analyses.
pub const REGISTRY: &[Entry] = &[
    Entry {
        kind: "summary",
        title: "counts, means, standard deviations, quartiles",
        example: "konsil summary age hba1c",
        openings: &summary::OPENINGS,
        prepare: summary::prepare,
    },
    Entry {
        kind: "table1",
        title: "description of a cohort, by groups",
        example: "konsil table1 'arm ~ age + sex'",
        openings: &table1::OPENINGS,
        prepare: table1::prepare,
    },
    Entry {
        kind: "lm",
        title: "linear regression",
        example: "konsil lm 'sysbp ~ age + sex'",
        openings: &lm::OPENINGS,
        prepare: lm::prepare,
    },
    Entry {
        kind: "glm",
        title: "logistic and Poisson regression",
        example: "konsil glm 'died ~ age + sex' --family binomial",
        openings: &glm::OPENINGS,
        prepare: glm::prepare,
    },
    Entry {
        kind: "cox",
        title: "Cox proportional hazards regression",
        example: "konsil cox 'Surv(months, died) ~ age + sex'",
        openings: &cox::OPENINGS,
        prepare: cox::prepare,
    },
    Entry {
        kind: "km",
        title: "Kaplan-Meier curves with log-rank test",
        example: "konsil km 'Surv(months, died) ~ arm'",
        openings: &km::OPENINGS,
        prepare: km::prepare,
    },
];

/// The entry of a kind.
#[must_use]
pub fn entry(kind: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.kind == kind)
}

/// Checks a request against the dictionary.
///
/// # Errors
/// [`AnalysisError`] for an unknown kind or a request that the analysis cannot answer.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let kinds = REGISTRY.iter().map(|entry| entry.kind);
    let entry = entry(&request.kind).ok_or_else(|| {
        let hint = suggest(&request.kind, kinds.clone());
        let hint = hint.map(|kind| format!("; did you mean `{kind}`?")).unwrap_or_default();
        let known = kinds.clone().collect::<Vec<_>>().join(", ");
        let what = format!("no analysis is called `{}`{hint} (there are {known})", request.kind);
        AnalysisError::request(request, what)
    })?;
    (entry.prepare)(request, dictionary)
}
