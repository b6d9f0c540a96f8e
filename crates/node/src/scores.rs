//! Scores that a study brings, of this centre's own patients.

use crate::centre::CentreNode;
use crate::error::NodeError;
use konsil_analyses::AnalysisError;
use konsil_cohort::Dataset;
use konsil_geno::{Scores, Weight};
use konsil_governance::{Study, StudyScore};
use std::collections::HashMap;

impl CentreNode {
    /// The patients who have the study's scores, as further variables: those with genotypes.
    ///
    /// # Errors
    /// [`NodeError::Study`] for a score that cannot be used; [`AnalysisError::Genotypes`] for a centre
    /// that has none, or of another panel; [`NodeError::Cohort`].
    pub(crate) fn scored(&self, dataset: Dataset, study: &Study) -> Result<Dataset, NodeError> {
        let Some(dictionary) = study.extended(dataset.dictionary())? else { return Ok(dataset) };
        let mut scored = dataset;
        for score in &study.score {
            let values = values(&scored, score)?;
            scored = scored.with_computed(&dictionary, &score.name, &values)?;
            let has: Vec<bool> = values.iter().map(Option::is_some).collect();
            scored = scored.keep(&has)?;
        }
        Ok(scored)
    }
}

/// The score of each patient.
fn values(patients: &Dataset, score: &StudyScore) -> Result<Vec<Option<f64>>, NodeError> {
    let wrong = |what| Err(AnalysisError::Genotypes { what }.into());
    let Some(genotypes) = patients.genotypes() else {
        return wrong("this centre has imported none; konsil geno import");
    };
    let variants = usize::try_from(score.panel_variants).unwrap_or(usize::MAX);
    if genotypes.panel_hash() != score.panel || genotypes.variants() != variants {
        return wrong("this centre has those of another panel; konsil geno list shows which");
    }
    let Some(own) = patients.pseudonyms() else {
        return wrong("the patients have no identifiers, by which genotypes are found");
    };
    let people = genotypes.people();
    let mut scores = Scores::new(people.len());
    for (at, (variant, weight)) in score.variants.iter().zip(&score.weights).enumerate() {
        let variant = usize::try_from(*variant).unwrap_or(usize::MAX);
        let frequency = score.frequencies.get(at).copied().unwrap_or(f64::NAN);
        let weight = Weight { variant, alternative: true, weight: *weight, frequency };
        let (block, doses) = (genotypes.read(variant, 1)?, genotypes.doses(variant, 1)?);
        if scores.add((&block, &doses), 0, &weight).is_err() {
            return wrong("a block is of other people; import them again");
        }
    }
    let sums = scores.sums().iter().map(|it| it + score.constant);
    let of: HashMap<_, f64> = people.iter().copied().zip(sums).collect();
    Ok(own.iter().map(|patient| of.get(patient).copied()).collect())
}
