//! Which patients each run used, for the patients' own centre only.
//!
//! Written when a run begins, before anything is computed, whatever becomes of it. The pseudonyms are
//! sealed under the centre's key together with what names the run: a row that is moved to another run
//! does not open.

use crate::centre::CentreNode;
use crate::clock::rfc_3339;
use crate::desk::Desk;
use crate::error::NodeError;
use crate::state::{RunRecord, State};
use jiff::Timestamp;
use konsil_cohort::{
    CohortError, Key, Pseudonym, open_bytes, pseudonym_of, reseal_bytes, seal_bytes,
};
use konsil_governance::StudyHead;
use konsil_governance::budget::{BudgetEntry, Step};
use rusqlite::{Transaction, params};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS memberships (
        session TEXT PRIMARY KEY, study TEXT NOT NULL, label TEXT NOT NULL,
        time INTEGER NOT NULL, members BLOB NOT NULL) STRICT;
";

/// A run, and the patients of this centre whose data it used. Patient data.
#[derive(Clone, PartialEq, Eq)]
pub struct Membership {
    /// 32 hexadecimal digits.
    pub session: String,
    /// Id of the study.
    pub study: String,
    /// Purpose of the study.
    pub label: String,
    /// When it began, in seconds since 1970.
    pub time: i64,
    /// The patients, sorted.
    pub members: Vec<Pseudonym>,
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Membership({:?}, {:?})", self.session, self.study)
    }
}

/// What a patient's data were used for in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubjectUse {
    /// The run and how it ended.
    #[serde(flatten)]
    pub run: RunRecord,
    /// Purpose of the study.
    pub purpose: String,
    /// When it began, UTC.
    pub began: String,
    /// What it cost, such as `0.0044 rho`; empty when nothing was spent.
    pub budget: String,
}

fn place(session: &str) -> String {
    format!("members-{session}")
}

/// What names a run, in front of its patients.
fn named((session, study, label): (&str, &str, &str), time: i64) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [session, study, label] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.update(time.to_be_bytes());
    digest.finalize().into()
}

impl State {
    /// Keeps the patients of a run: its session, the study, its purpose.
    ///
    /// # Errors
    /// [`NodeError::Cohort`] without random numbers, [`NodeError::Database`] also when the session
    /// has patients already.
    pub fn record_membership(
        &self,
        at: Timestamp,
        (session, study, label): (&str, &str, &str),
        members: &[Pseudonym],
        key: &Key,
    ) -> Result<(), NodeError> {
        let time = at.as_second();
        let mut sorted = members.to_vec();
        sorted.sort_unstable();
        let run = named((session, study, label), time);
        let plain = zeroize::Zeroizing::new([&run, sorted.as_flattened()].concat());
        let sealed = seal_bytes(&place(session), &plain, key)?;
        self.change(|connection| {
            let insert = "INSERT INTO memberships VALUES (?, ?, ?, ?, ?)";
            connection.execute(insert, params![session, study, label, time, sealed])
        })?;
        Ok(())
    }

    /// The patients of every run, the newest last.
    ///
    /// # Errors
    /// [`NodeError::Cohort`] for a row that was changed, or with another key; [`NodeError::Database`].
    pub fn memberships(&self, key: &Key) -> Result<Vec<Membership>, NodeError> {
        self.memberships_by("ORDER BY rowid", &[], key)
    }

    /// The patients of one run; `None` for a run that this centre has not begun.
    pub(crate) fn membership(
        &self,
        session: &str,
        key: &Key,
    ) -> Result<Option<Membership>, NodeError> {
        Ok(self.memberships_by("WHERE session = ?", &[&session], key)?.pop())
    }

    fn memberships_by(
        &self,
        which: &str,
        values: &[&dyn rusqlite::ToSql],
        key: &Key,
    ) -> Result<Vec<Membership>, NodeError> {
        let connection = self.lock();
        let columns = "SELECT session, study, label, time, members FROM memberships";
        let mut query = connection.prepare(&format!("{columns} {which}"))?;
        let mut rows = query.query(values)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let (session, study, label): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let (time, sealed): (i64, Vec<u8>) = (row.get(3)?, row.get(4)?);
            let plain = open_bytes(&place(&session), &sealed, key)?;
            let run = named((&session, &study, &label), time);
            let members = plain.strip_prefix(&run).ok_or_else(|| CohortError::Tampered {
                file: place(&session).into(),
                what: "the patients are those of another run",
            })?;
            let members = members.as_chunks().0.to_vec();
            all.push(Membership { session, study, label, time, members });
        }
        Ok(all)
    }

    /// What each run has spent.
    fn spent_by_run(&self) -> Result<BTreeMap<String, String>, NodeError> {
        let connection = self.lock();
        let mut query = connection.prepare("SELECT text FROM budget ORDER BY seq")?;
        let mut rows = query.query([])?;
        let mut spent = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let entry: BudgetEntry = serde_json::from_str(&row.get::<_, String>(0)?)
                .map_err(|_| NodeError::Message("budget"))?;
            let cost = entry.cost;
            match entry.step {
                Step::Refund => spent.remove(&cost.release),
                _ => spent.insert(cost.release, format!("{} {}", cost.amount, cost.currency)),
            };
        }
        Ok(spent)
    }
}

/// Seals the patients of every run anew, where another key than the newest has sealed them; says how
/// many runs that is.
pub(crate) fn reseal_memberships(
    transaction: &Transaction<'_>,
    key: &Key,
) -> Result<usize, NodeError> {
    let mut query = transaction.prepare("SELECT session, members FROM memberships")?;
    let mut update = transaction.prepare("UPDATE memberships SET members = ? WHERE session = ?")?;
    let mut rows = query.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (session, sealed): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if let Some(resealed) = reseal_bytes(&place(&session), &sealed, key)? {
            count += update.execute(params![resealed, session])?;
        }
    }
    Ok(count)
}

impl CentreNode {
    /// Keeps the patients of a run that begins.
    pub(crate) fn keep_membership(
        &self,
        session: &str,
        study: &StudyHead,
        members: &[Pseudonym],
    ) -> Result<(), NodeError> {
        let key = self.desk.key()?;
        let run = (session, study.id.as_str(), study.purpose.as_str());
        self.state.record_membership(self.clock.now(), run, members, &key)
    }
}

impl Desk {
    /// Runs in which data of a patient of this centre were used, the newest last: also those that
    /// were withheld or aborted.
    ///
    /// # Errors
    /// [`NodeError::Cohort`] when key or rows cannot be opened, [`NodeError::Database`].
    pub fn uses_of(&self, identifier: &str) -> Result<Vec<SubjectUse>, NodeError> {
        let key = self.key()?;
        let patient = pseudonym_of(&key, identifier);
        let memberships = self.state.memberships(&key)?;
        let spent = self.state.spent_by_run()?;
        let runs = self.state.runs()?;
        let used = memberships.into_iter().filter(|it| it.members.binary_search(&patient).is_ok());
        let mut uses = Vec::new();
        for it in used {
            let Some(run) = runs.iter().find(|run| run.session == it.session).cloned() else {
                continue;
            };
            let budget = spent.get(&it.session).cloned().unwrap_or_default();
            uses.push(SubjectUse { run, purpose: it.label, began: rfc_3339(it.time), budget });
        }
        Ok(uses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Patients come back sorted, under the centre's own key and for their own run only.
    #[test]
    fn patients_of_a_run_are_bound_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("node.sqlite")).unwrap();
        let key = Key::create(&folder.path().join("a.key")).unwrap();
        let other = Key::create(&folder.path().join("b.key")).unwrap();
        let patient = |it: u8| [it; 16];
        let at = Timestamp::UNIX_EPOCH;
        let record = |session: &str, members: &[Pseudonym]| {
            state.record_membership(at, (session, "age", "dementia"), members, &key)
        };
        record("s1", &[patient(2), patient(1)]).unwrap();
        record("s2", &[]).unwrap();
        assert!(record("s1", &[]).is_err());
        let all = state.memberships(&key).unwrap();
        assert_eq!(
            (all.len(), all[0].session.as_str(), all[0].label.as_str()),
            (2, "s1", "dementia")
        );
        assert_eq!(all[0].members, [patient(1), patient(2)]);
        assert_eq!(format!("{:?}", all[0]), "Membership(\"s1\", \"age\")");
        assert!(state.memberships(&other).is_err());
        for change in [
            "UPDATE memberships SET label = 'cancer' WHERE session = 's1'",
            "UPDATE memberships SET time = 9, label = 'dementia' WHERE session = 's1'",
            "UPDATE memberships SET time = 0, members = (SELECT members FROM memberships WHERE session = 's2') WHERE session = 's1'",
        ] {
            state.change(|it| it.execute(change, [])).unwrap();
            assert!(state.memberships(&key).is_err(), "{change}");
        }
    }
}
