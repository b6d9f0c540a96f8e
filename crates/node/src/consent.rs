//! Consent at a node: kept by pseudonym, asked anew at the beginning of every run.

use crate::centre::CentreNode;
use crate::desk::Desk;
use crate::error::NodeError;
use crate::state::State;
use konsil_cohort::{Dataset, Key, Predicate, Pseudonym, pseudonym_of};
use konsil_governance::audit::Event;
use konsil_governance::budget::Amount;
use konsil_governance::consent::{Decision, Said, Statement, decide};
use konsil_governance::{Study, to_hex};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS consent (
        patient BLOB NOT NULL, statement TEXT NOT NULL,
        PRIMARY KEY (patient, statement)) STRICT;
";

impl State {
    fn consent(&self) -> Result<BTreeMap<Vec<u8>, Vec<Statement>>, NodeError> {
        let connection = self.lock();
        let mut query = connection.prepare("SELECT patient, statement FROM consent")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        let mut all: BTreeMap<Vec<u8>, Vec<Statement>> = BTreeMap::new();
        for row in rows {
            let (patient, text) = row?;
            // what cannot be read any more forbids
            let statement = serde_json::from_str(&text)
                .unwrap_or_else(|_| Statement::withdrawal(jiff::civil::Date::MIN));
            all.entry(patient).or_default().push(statement);
        }
        Ok(all)
    }
}

impl Desk {
    /// Adds what people have said. With `replace`, all that was known before but withdrawals goes.
    /// Gives how many people it is about.
    ///
    /// # Errors
    /// [`NodeError::Cohort`] without the centre's key, [`NodeError::Database`].
    pub fn add_consent(&self, said: &Said) -> Result<usize, NodeError> {
        let key = Key::open(&self.folder.join("data.key"))?;
        let mut rows = Vec::with_capacity(said.statements.len());
        for (id, statement) in &said.statements {
            let text =
                serde_json::to_string(statement).map_err(|_| NodeError::Message("consent"))?;
            rows.push((pseudonym_of(&key, id), text));
        }
        let people: BTreeSet<&Pseudonym> = rows.iter().map(|(patient, _)| patient).collect();
        let people = people.len();
        let event =
            Event::new("consent", &self.config.dataset, &format!("steward@{}", self.centre()))
                .with("statements", &rows.len())
                .with("flaws", &said.flaws.len());
        self.state.log_with(self.clock.now(), &[event], |transaction, _| {
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO consent VALUES (?, ?)")?;
            for (patient, text) in &rows {
                insert.execute(params![patient.as_slice(), text])?;
            }
            Ok(())
        })?;
        Ok(people)
    }

    /// Identifiers that a centre's opt-out list names; none without a list.
    fn opted_out(&self) -> Result<BTreeSet<Pseudonym>, NodeError> {
        let Some(name) = self.policy_file()?.opt_out else {
            return Ok(BTreeSet::new());
        };
        let path = self.folder.join(name);
        let text = fs::read_to_string(&path).map_err(|error| {
            NodeError::Consent(format!(
                "opt-out-unreachable: the list {} cannot be read ({error}); no study starts without it",
                path.display()
            ))
        })?;
        let key = Key::open(&self.folder.join("data.key"))?;
        let ids = text.lines().map(str::trim).filter(|id| !id.is_empty() && *id != "id");
        Ok(ids.map(|id| pseudonym_of(&key, id)).collect())
    }

    /// The patients whose data may be used for a purpose today.
    pub(crate) fn consenting(&self, dataset: Dataset, purpose: &str) -> Result<Dataset, NodeError> {
        let opted_out = self.opted_out()?;
        let required = self.policy_file()?.consent_required;
        if !required && opted_out.is_empty() {
            return Ok(dataset);
        }
        let Some(patients) = dataset.pseudonyms() else {
            let what = "the data set has no identifiers, so that consent cannot be looked up; import \
                        it with its identifier column";
            return Err(NodeError::Consent(what.to_owned()));
        };
        let said = if required { self.state.consent()? } else { BTreeMap::new() };
        let today = self.today();
        let may = |patient: &Pseudonym| {
            let own = said.get(patient.as_slice()).map(Vec::as_slice).unwrap_or_default();
            let given = !required || decide(own, purpose, today) == Decision::Permitted;
            given && !opted_out.contains(patient)
        };
        Ok(dataset.keep(&patients.iter().map(may).collect::<Vec<_>>())?)
    }
}

impl CentreNode {
    /// As [`Desk::consenting`], with the study's purpose.
    pub(crate) fn consenting(&self, dataset: Dataset, purpose: &str) -> Result<Dataset, NodeError> {
        self.desk.consenting(dataset, purpose)
    }

    /// Charges every patient of the cohort for a study with noise, and leaves out, here and untold,
    /// those whose own budget has no room for it.
    pub(crate) fn charged(&self, dataset: Dataset, study: &Study) -> Result<Dataset, NodeError> {
        let (Some(rho), Some(limit)) = (study.rho_nano(), self.config.budget.patient_rho) else {
            return Ok(dataset);
        };
        let condition = &study.cohort.condition;
        let cohort = if condition.is_empty() {
            dataset.clone()
        } else {
            Predicate::parse(condition, dataset.dictionary())?.apply(&dataset)?
        };
        let (Some(cohort), Some(all)) = (cohort.pseudonyms(), dataset.pseudonyms()) else {
            let what = "the data set has no identifiers, so that patients have no budgets of their \
                        own; import it with its identifier column";
            return Err(NodeError::Consent(what.to_owned()));
        };
        let names: Vec<String> = cohort.iter().map(|it| to_hex(it)).collect();
        let room = self.state.charge_patients(&names, Amount(rho), limit)?;
        let full: BTreeSet<Pseudonym> =
            cohort.iter().zip(room).filter(|(_, room)| !room).map(|(it, _)| *it).collect();
        let keep: Vec<bool> = all.iter().map(|it| !full.contains(it)).collect();
        Ok(dataset.keep(&keep)?)
    }
}
