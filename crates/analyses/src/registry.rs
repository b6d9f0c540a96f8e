//! The registry: one entry for each analysis. Commands, help, plans and study files follow from it.

use crate::analysis::{Analysis, AnalysisError, Prepare, Request};
use crate::{cox, glm, km, lm, options, summary, table1};
use konsil_cohort::{Dictionary, suggest};
use konsil_mpc::Opening;

/// One analysis.
#[derive(Debug)]
pub struct Entry {
    /// Its name in study files and on the command line.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it tells, as patients are told, in English and in German.
    pub says: [&'static str; 2],
    /// A one-line command that runs in the demo's network.
    pub example: &'static str,
    /// The options that it takes: names in [`crate::OPTIONS`].
    pub options: &'static [&'static str],
    /// What it is compared with.
    pub reference: &'static str,
    /// Significant digits in which tests hold estimates to the reference.
    pub digits: u32,
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
        says: ["averages and spread", "Durchschnitte und Streuung"],
        example: "konsil summary age months",
        options: &[],
        reference: "R mean, sd, quantile (type 7)",
        digits: 9,
        openings: &summary::OPENINGS,
        prepare: summary::prepare,
    },
    Entry {
        kind: "table1",
        title: "description of a cohort, by groups",
        says: ["description of groups", "Beschreibung von Gruppen"],
        example: "konsil table1 'died ~ age + disease'",
        options: &["by"],
        reference: "R table, mean, sd, quantile (type 7)",
        digits: 9,
        openings: &table1::OPENINGS,
        prepare: table1::prepare,
    },
    Entry {
        kind: "lm",
        title: "linear regression",
        says: ["what goes along with a measured value", "Zusammenhang mit einem Messwert"],
        example: "konsil lm 'months ~ age + disease'",
        options: &[],
        reference: "R lm",
        digits: 9,
        openings: &lm::OPENINGS,
        prepare: lm::prepare,
    },
    Entry {
        kind: "glm",
        title: "logistic and Poisson regression",
        says: ["what goes along with an event", "Zusammenhang mit einem Ereignis"],
        example: "konsil glm 'died ~ age + disease' --family binomial",
        options: &["family", "iterations", "sealed"],
        reference: "R glm",
        digits: 9,
        openings: &glm::OPENINGS,
        prepare: glm::prepare,
    },
    Entry {
        kind: "cox",
        title: "Cox proportional hazards regression",
        says: [
            "what goes along with the time until an event",
            "Zusammenhang mit der Zeit bis zu einem Ereignis",
        ],
        example: "konsil cox 'Surv(months, died) ~ age + disease'",
        options: &["iterations", "ties", "ties_max"],
        reference: "R survival::coxph",
        digits: 8,
        openings: &cox::OPENINGS,
        prepare: cox::prepare,
    },
    Entry {
        kind: "km",
        title: "Kaplan-Meier curves with log-rank test",
        says: ["course over time", "Verlauf über die Zeit"],
        example: "konsil km 'Surv(months, died) ~ disease'",
        options: &["points"],
        reference: "R survival::survfit, survdiff",
        digits: 9,
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
    options::check(request, entry)?;
    (entry.prepare)(request, dictionary)
}
