//! What a study with noise is charged: its cohort's budget and each patient's own. The same question
//! about the same patients has the same noisy answer, and is charged once.
//!
//! Whether a question is the same is known for sure only when all centres have told each other that
//! their patients are the same as before (`question`). A centre that finds its own part unchanged
//! charges nothing at first, and uses the patients of the earlier answer; when another centre's part
//! turns out to be another, it charges then, before anything is computed.

use crate::budget::{exact_cost, noisy_cost};
use crate::centre::CentreNode;
use crate::control::RunRequest;
use crate::error::NodeError;
use crate::lineage::Cohort;
use crate::question::{Token, question};
use crate::run::Checked;
use crate::state::State;
use konsil_cohort::{Dataset, Predicate, Pseudonym};
use konsil_governance::budget::{Amount, Cost};
use konsil_governance::{CentrePlan, Study, to_hex};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS noisy_answers (
        question BLOB PRIMARY KEY, asked BLOB NOT NULL, session TEXT NOT NULL) STRICT;
";

/// A digest of what is asked.
type Asked = [u8; 32];

/// What a run costs, and whether it looks as if it had been answered before.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) cost: Cost,
    /// What is asked of this centre's patients; `None` for exact results.
    asked: Option<Asked>,
    /// The session of an earlier answer to the same, as far as this centre knows.
    pub(crate) earlier: Option<String>,
}

impl State {
    fn answered(&self, column: &str, digest: &Asked) -> Result<Option<String>, NodeError> {
        let which = format!(
            "SELECT session FROM noisy_answers WHERE {column} = ? ORDER BY rowid DESC LIMIT 1"
        );
        let row = |row: &rusqlite::Row<'_>| row.get(0);
        Ok(self.lock().query_row(&which, [digest], row).optional()?)
    }

    fn note_answer(
        &self,
        question: &Asked,
        (asked, session): (&Asked, &str),
    ) -> Result<(), NodeError> {
        let insert = "INSERT OR REPLACE INTO noisy_answers VALUES (?, ?, ?)";
        self.change(|it| it.execute(insert, params![question, asked, session]))?;
        Ok(())
    }
}

/// All analyses of a study, as the centres' tokens make them.
fn digest(study: &Study, tokens: &[Token], parts: &[&[u8]]) -> Asked {
    let mut digest = Sha256::new();
    for request in &study.analysis {
        let text = question(study, &request.id, tokens);
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn selected(dataset: &Dataset, study: &Study) -> Result<Dataset, NodeError> {
    let condition = &study.cohort.condition;
    if condition.is_empty() {
        return Ok(dataset.clone());
    }
    Ok(Predicate::parse(condition, dataset.dictionary())?.apply(dataset)?)
}

impl CentreNode {
    /// What a run costs. Of a study with noise also whether this centre's part of the question, with
    /// the same patients, has been answered before.
    pub(crate) fn charge(
        &self,
        request: &RunRequest,
        (checked, plan, dataset): (&Checked, &CentrePlan, &Dataset),
    ) -> Result<Charge, NodeError> {
        let (study, snapshot) = (&checked.study, self.desk.dataset_root()?);
        let rows: usize = request.rows_at_most.iter().sum();
        let size = (plan.released, u64::try_from(rows).unwrap_or(u64::MAX));
        let run = (study.study.id.as_str(), request.session.as_str());
        let cohort = (self.config.dataset.as_str(), snapshot.as_str());
        let cost = exact_cost(run, size, cohort, self.clock.now())?;
        let Some(rho) = study.rho_nano() else {
            return Ok(Charge { cost, asked: None, earlier: None });
        };
        let patients = Cohort::of(&selected(dataset, study)?);
        let names = checked.names.join("\n");
        let asked = digest(study, &[], &[names.as_bytes(), snapshot.as_bytes(), patients.digest()]);
        let earlier = self.state.answered("asked", &asked)?;
        Ok(Charge { cost: noisy_cost(cost, rho), asked: Some(asked), earlier })
    }

    /// The patients of a run. Of a study with noise those whose own budget has no room are left out,
    /// here and untold; or all are the patients of the earlier answer, uncharged.
    pub(crate) fn charged(
        &self,
        dataset: Dataset,
        (study, charge): (&Study, &Charge),
    ) -> Result<Dataset, NodeError> {
        let Some(earlier) = &charge.earlier else {
            let full = self.charge_patients(&dataset, study)?;
            let all = dataset.members();
            let keep: Vec<bool> = all.iter().map(|it| !full.contains(it)).collect();
            return Ok(if full.is_empty() { dataset } else { dataset.keep(&keep)? });
        };
        let key = self.desk.key()?;
        let Some(known) = self.state.membership(earlier, &key)? else {
            let what = "the patients of an earlier answer are gone from node.sqlite";
            return Err(NodeError::Consent(what.to_owned()));
        };
        let members = dataset.members();
        let member = |it: &Pseudonym| known.members.binary_search(it).is_ok();
        Ok(dataset.keep(&members.iter().map(member).collect::<Vec<_>>())?)
    }

    /// Charges every patient of the cohort; those whose budget has no room.
    fn charge_patients(
        &self,
        dataset: &Dataset,
        study: &Study,
    ) -> Result<BTreeSet<Pseudonym>, NodeError> {
        let (Some(rho), Some(limit)) = (study.rho_nano(), self.config.budget.patient_rho) else {
            return Ok(BTreeSet::new());
        };
        let Some(cohort) = selected(dataset, study)?.pseudonyms() else {
            let what = "the data set has no identifiers, so that patients have no budgets of their \
                        own; import it with its identifier column";
            return Err(NodeError::Consent(what.to_owned()));
        };
        let names: Vec<String> = cohort.iter().map(|it| to_hex(it)).collect();
        let key = self.desk.key()?;
        let room = self.state.charge_patients(&names, Amount(rho), limit, &key)?;
        Ok(cohort.into_iter().zip(room).filter(|(_, room)| !room).map(|(it, _)| it).collect())
    }

    /// Once all centres' tokens are known: whether the question has been answered before. Where only
    /// this centre's part had, it is charged now.
    ///
    /// # Errors
    /// [`NodeError::Budget`] when a budget does not allow it; nothing was computed.
    pub(crate) fn settle(
        &self,
        charge: &Charge,
        (study, tokens, patients): (&Study, &[Token], &Dataset),
    ) -> Result<bool, NodeError> {
        if charge.asked.is_none() {
            return Ok(false);
        }
        let again = self.state.answered("question", &digest(study, tokens, &[]))?.is_some();
        if again || charge.earlier.is_none() {
            return Ok(again && charge.earlier.is_some());
        }
        self.state.reserve(self.clock.now(), &charge.cost, &self.config.budget)?;
        if self.charge_patients(patients, study)?.is_empty() {
            return Ok(false);
        }
        let what = "another centre's data have changed since this question was answered, and some \
                    patients have no budget for a new answer; ask another question";
        Err(NodeError::Consent(what.to_owned()))
    }

    /// Notes that a question has its answer, before it leaves.
    pub(crate) fn note_answer(
        &self,
        (charge, session): (&Charge, &str),
        (study, tokens): (&Study, &[Token]),
    ) -> Result<(), NodeError> {
        match &charge.asked {
            Some(asked) => self.state.note_answer(&digest(study, tokens, &[]), (asked, session)),
            None => Ok(()),
        }
    }
}
