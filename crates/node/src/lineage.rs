//! Cohorts of earlier releases, and how a new cohort differs from them (R6, R13).
//!
//! A centre keeps the patients of each run, sealed (`memberships`), and which runs were released
//! without noise. Before a later study computes anything, the centres count the
//! patients who are in one of both cohorts only; whether the pooled counts are 0 or large enough is
//! decided on shares.

use crate::centre::CentreNode;
use crate::control::RunRequest;
use crate::error::NodeError;
use crate::state::State;
use konsil_cohort::{CohortError, Dataset, Key, Pseudonym};
use konsil_governance::Study;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

/// Most earlier releases of a centre that a study is compared with: the newest.
pub(crate) const LINEAGE_MAX: usize = 2000;

/// Most of all members together.
const ALL_MAX: usize = 20_000;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS exact_releases (
        session TEXT PRIMARY KEY, digest BLOB NOT NULL) STRICT;
";

impl State {
    /// Sessions of releases without noise, the oldest first.
    pub(crate) fn lineage(&self) -> Result<Vec<String>, NodeError> {
        let connection = self.lock();
        let newest = "SELECT session FROM
            (SELECT session, rowid AS at FROM exact_releases ORDER BY rowid DESC LIMIT ?) ORDER BY at";
        let mut query = connection.prepare(newest)?;
        let most = i64::try_from(LINEAGE_MAX).unwrap_or(i64::MAX);
        let rows = query.query_map([most], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn cohort_digest(&self, session: &str) -> Result<Option<Vec<u8>>, NodeError> {
        let which = "SELECT digest FROM exact_releases WHERE session = ?";
        Ok(self.lock().query_row(which, [session], |row| row.get(0)).optional()?)
    }
}

/// This centre's part of a cohort.
pub(crate) struct Cohort {
    members: Vec<Pseudonym>,
    digest: Vec<u8>,
}

impl Cohort {
    /// The patients of a data set. Without identifiers a patient is a row of the imported file, so
    /// that of later imports only files that grow at their end are known again.
    pub(crate) fn of(patients: &Dataset) -> Self {
        let mut members: Vec<Pseudonym> = patients.members();
        members.sort_unstable();
        let digest = Sha256::digest(members.as_flattened()).to_vec();
        Self { members, digest }
    }

    /// What tells this cohort from another one.
    pub(crate) fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// The patients, sorted.
    pub(crate) fn members(&self) -> &[Pseudonym] {
        &self.members
    }

    /// How many patients are in one of both only. Both are sorted.
    fn differs(&self, other: &[Pseudonym]) -> u64 {
        let (mut at, mut common) = (0, 0_u64);
        for member in other {
            while self.members.get(at).is_some_and(|own| own < member) {
                at += 1;
            }
            if self.members.get(at) == Some(member) {
                common += 1;
                at += 1;
            }
        }
        let size = |members: &[Pseudonym]| u64::try_from(members.len()).unwrap_or(u64::MAX);
        size(&self.members) + size(other) - 2 * common
    }
}

impl CentreNode {
    /// Checks that a request names every release that this centre knows of; a study with noise names
    /// none, because its results have no exact difference.
    pub(crate) fn check_lineage(
        &self,
        request: &RunRequest,
        study: &Study,
    ) -> Result<(), NodeError> {
        let exact = study.noise_budget().is_none();
        let known = if exact { self.state.lineage()? } else { Vec::new() };
        if request.lineage.len() <= if exact { ALL_MAX } else { 0 }
            && known.iter().all(|session| request.lineage.contains(session))
        {
            return Ok(());
        }
        let what = "results were released since the plan was made; plan again";
        Err(NodeError::Refused(what.to_owned()))
    }

    /// For each earlier release, how many of this centre's patients are in one cohort only.
    ///
    /// # Errors
    /// [`NodeError::Cohort`] when the patients of a release are gone or cannot be opened: then
    /// nothing can be compared, and nothing is computed.
    pub(crate) fn differences(
        &self,
        cohort: &Cohort,
        lineage: &[String],
    ) -> Result<Vec<u64>, NodeError> {
        let key = Key::open(&self.folder.join("data.key"))?;
        let mut differences = Vec::with_capacity(lineage.len());
        for session in lineage {
            differences.push(match self.state.cohort_digest(session)? {
                Some(digest) if digest == cohort.digest => 0,
                Some(_) => {
                    // patients who are gone would look like a cohort of nobody, far from every other
                    let gone = CohortError::Tampered {
                        file: session.into(),
                        what: "the patients of this released run are gone from node.sqlite",
                    };
                    let earlier = self.state.membership(session, &key)?.ok_or(gone)?;
                    cohort.differs(&earlier.members)
                }
                // this centre took no part: its patients were not in it
                None => cohort.differs(&[]),
            });
        }
        Ok(differences)
    }

    /// Notes that a run is released without noise, before anything of it leaves.
    pub(crate) fn note_release(&self, session: &str, cohort: &Cohort) -> Result<(), NodeError> {
        let insert = "INSERT OR IGNORE INTO exact_releases VALUES (?, ?)";
        self.state.change(|it| it.execute(insert, params![session, cohort.digest]))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_count_those_in_one_cohort_only() {
        let of = |numbers: &[u8]| numbers.iter().map(|it| [*it; 16]).collect::<Vec<Pseudonym>>();
        let cohort = Cohort { members: of(&[1, 3, 5, 7]), digest: Vec::new() };
        assert_eq!(cohort.differs(&of(&[1, 3, 5, 7])), 0);
        assert_eq!(cohort.differs(&of(&[1, 2, 3, 7, 9])), 3);
        assert_eq!(cohort.differs(&[]), 4);
        assert_eq!(Cohort { members: Vec::new(), digest: Vec::new() }.differs(&of(&[4])), 1);
    }
}
