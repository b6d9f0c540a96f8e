//! Cohorts of earlier releases, and how a new cohort differs from them (R6, R13).
//!
//! A centre keeps the patients of each run, sealed (`memberships`), which runs were released without
//! noise, and which patients their groups and columns picked out. Before a later study computes
//! anything, the centres count the patients who are in one of both cohorts, or sets, only; whether
//! the pooled counts are 0 or large enough is decided on shares.

use crate::centre::CentreNode;
use crate::control::RunRequest;
use crate::error::NodeError;
use crate::sets::{Sets, common};
use crate::state::State;
use konsil_cohort::{CohortError, Dataset, Key, Pseudonym, open_bytes, reseal_bytes, seal_bytes};
use konsil_disclosure::Overlaps;
use konsil_governance::{Study, overlaps, to_hex};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Most earlier releases of a centre that a study is compared with: the newest.
pub(crate) const LINEAGE_MAX: usize = 2000;

/// Most of all members together.
const ALL_MAX: usize = 20_000;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS exact_releases (
        session TEXT PRIMARY KEY, digest BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS exact_sets (
        session TEXT PRIMARY KEY, condition TEXT NOT NULL, centres TEXT NOT NULL,
        sets INTEGER NOT NULL, members BLOB NOT NULL) STRICT;
";

/// An earlier release without noise, and of how many sets of patients it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Earlier {
    /// Its session, 32 hexadecimal digits.
    pub session: String,
    /// Groups, and patients whom columns picked out or left.
    pub sets: usize,
    /// Digest of the condition of its cohort.
    pub condition: String,
    /// Its centres.
    pub centres: Vec<String>,
}

/// What a study asks for its patients.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    study: &'a Study,
    centres: &'a [String],
}

impl<'a> Asked<'a> {
    pub(crate) fn of(study: &'a Study, centres: &'a [String]) -> Self {
        Self { study, centres }
    }

    fn condition(self) -> String {
        to_hex(&<[u8; 32]>::from(Sha256::digest(&self.study.cohort.condition)))
    }

    /// Whether this question, rather than imports and withdrawals, makes the difference to an earlier
    /// release: then how many centres of that one take no part.
    fn chosen(self, earlier: &Earlier) -> Option<u64> {
        let here = |it: &&String| self.centres.contains(it);
        let absent = earlier.centres.len() - earlier.centres.iter().filter(here).count();
        let same = earlier.condition == self.condition()
            && absent == 0
            && earlier.centres.len() == self.centres.len();
        (!same).then_some(u64::try_from(absent).unwrap_or(u64::MAX))
    }
}

impl State {
    /// Releases without noise, the oldest first.
    pub(crate) fn lineage(&self) -> Result<Vec<Earlier>, NodeError> {
        let connection = self.lock();
        let newest = "SELECT session, coalesce(sets, 0), condition, centres FROM
            (SELECT session, rowid AS at FROM exact_releases ORDER BY rowid DESC LIMIT ?)
            LEFT JOIN exact_sets USING (session) ORDER BY at";
        let mut query = connection.prepare(newest)?;
        let most = i64::try_from(LINEAGE_MAX).unwrap_or(i64::MAX);
        let rows = query.query_map([most], |row| {
            let sets = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
            // releases of the first builds have patients, but no sets
            let text = |at| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
            let centres = serde_json::from_str(&text(3)?).unwrap_or_default();
            Ok(Earlier { session: row.get(0)?, sets, condition: text(2)?, centres })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Which of a release's patients its sets were of, in the order of its sorted patients.
    fn sets_of(&self, session: &str, key: &Key) -> Result<Option<Zeroizing<Vec<u8>>>, NodeError> {
        let which = "SELECT members FROM exact_sets WHERE session = ?";
        let sealed: Option<Vec<u8>> =
            self.lock().query_row(which, [session], |row| row.get(0)).optional()?;
        let open = |sealed: Vec<u8>| open_bytes(&sets_place(session), &sealed, key);
        Ok(sealed.map(open).transpose()?)
    }

    fn cohort_digest(&self, session: &str) -> Result<Option<Vec<u8>>, NodeError> {
        let which = "SELECT digest FROM exact_releases WHERE session = ?";
        Ok(self.lock().query_row(which, [session], |row| row.get(0)).optional()?)
    }
}

fn sets_place(session: &str) -> String {
    format!("sets-{session}")
}

/// Seals the sets of every release anew, where another key than the newest has sealed them; says how
/// many releases that is.
pub(crate) fn reseal_sets(transaction: &Transaction<'_>, key: &Key) -> Result<usize, NodeError> {
    let mut query = transaction.prepare("SELECT session, members FROM exact_sets")?;
    let mut update = transaction.prepare("UPDATE exact_sets SET members = ? WHERE session = ?")?;
    let mut rows = query.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (session, sealed): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if let Some(resealed) = reseal_bytes(&sets_place(&session), &sealed, key)? {
            count += update.execute(params![resealed, session])?;
        }
    }
    Ok(count)
}

/// This centre's part of a cohort.
pub(crate) struct Cohort {
    members: Vec<Pseudonym>,
    /// For each member the row of the data set.
    rows: Vec<usize>,
    digest: Vec<u8>,
}

impl Cohort {
    /// The patients of a data set. Without identifiers a patient is a row of the imported file, so
    /// that of later imports only files that grow at their end are known again.
    pub(crate) fn of(patients: &Dataset) -> Self {
        let members: Vec<Pseudonym> = patients.members();
        let mut rows: Vec<usize> = (0..members.len()).collect();
        rows.sort_unstable_by_key(|row| members[*row]);
        let members: Vec<Pseudonym> = rows.iter().map(|row| members[*row]).collect();
        let digest = digest_of(&members);
        Self { members, rows, digest }
    }

    /// What tells this cohort from another one.
    pub(crate) fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// The patients, sorted.
    pub(crate) fn members(&self) -> &[Pseudonym] {
        &self.members
    }

    /// Rows of the data set in the order of the patients.
    pub(crate) fn rows(&self) -> &[usize] {
        &self.rows
    }
}

/// What an earlier release was about at this centre.
struct Release {
    /// Sorted; `None` when they are those of the present cohort.
    members: Option<Vec<Pseudonym>>,
    sets: Sets,
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
            && known.iter().all(|release| request.lineage.contains(release))
        {
            return Ok(());
        }
        Err(NodeError::Stale("results were released since the plan was made"))
    }

    /// Sets of patients that become comparable, and how many of this centre's are in each, and in one
    /// of two only. `sets` are those of the study's stages, `stages` how many each stage has.
    ///
    /// # Errors
    /// [`NodeError::Cohort`] when the patients of a release are gone or cannot be opened: then
    /// nothing can be compared, and nothing is computed.
    pub(crate) fn overlaps(
        &self,
        (cohort, sets): (&Cohort, &Sets),
        stages: &[usize],
        (lineage, asked): (&[Earlier], Asked<'_>),
    ) -> Result<Overlaps, NodeError> {
        let key = self.desk.key()?;
        let earlier: Vec<usize> = lineage.iter().map(|it| it.sets).collect();
        let mut own = overlaps(stages, &earlier)?;
        own.chosen = lineage.iter().map(|it| asked.chosen(it)).collect();
        let (mut sizes, mut both) = (vec![cohort.members.len()], Vec::new());
        sizes.extend(sets.sizes());
        for it in lineage {
            let release = self.release(it, cohort, &key)?;
            let met = release.members.as_ref().map(|members| common(&cohort.members, members));
            let together = met.as_ref().map_or(cohort.members.len(), Vec::len);
            let size = release.members.as_ref().map_or(cohort.members.len(), Vec::len);
            let carried = met.as_ref().map(|met| sets.carried(met, size));
            sizes.push(size);
            sizes.extend(release.sets.sizes());
            both.push((together, carried.unwrap_or_else(|| sets.clone()), release.sets));
        }
        let mut firsts = Vec::with_capacity(both.len());
        let mut first = 1 + sets.len();
        for it in lineage {
            firsts.push(first);
            first += 1 + it.sets;
        }
        for ((one, other), differ) in own.pairs.iter().zip(&mut own.differ) {
            let at = firsts.partition_point(|it| it <= other);
            let shared = match at.checked_sub(1).and_then(|at| Some((both.get(at)?, firsts[at]))) {
                None => sets.both(one - 1, (sets, other - 1)),
                Some(((together, ..), first)) if first == *other => *together,
                Some(((_, carried, old), first)) => carried.both(one - 1, (old, other - first - 1)),
            };
            *differ = counted(sizes[*one] + sizes[*other] - 2 * shared);
        }
        own.sizes = sizes.into_iter().map(counted).collect();
        Ok(own)
    }

    fn release(&self, it: &Earlier, cohort: &Cohort, key: &Key) -> Result<Release, NodeError> {
        let session = it.session.as_str();
        // patients who are gone would look like a cohort of nobody, far from every other
        let gone = || CohortError::Tampered {
            file: session.into(),
            what: "the patients of this released run are gone from node.sqlite, or not its own",
        };
        let Some(hidden) = self.state.cohort_digest(session)? else {
            // this centre took no part: its patients were not in it
            return Ok(Release { members: Some(Vec::new()), sets: Sets::none(it.sets, 0) });
        };
        let members = if hidden == hide(&cohort.digest, key) {
            None
        } else {
            Some(self.state.membership(session, key)?.ok_or_else(gone)?.members)
        };
        let size = members.as_ref().map_or(cohort.members.len(), Vec::len);
        let digest = members.as_ref().map_or_else(|| cohort.digest.clone(), |it| digest_of(it));
        let sets = match self.state.sets_of(session, key)? {
            None if it.sets == 0 => Sets::none(0, size),
            None => return Err(gone().into()),
            Some(bytes) => Sets::decode(&bytes, (&digest, it.sets), size).ok_or_else(gone)?,
        };
        Ok(Release { members, sets })
    }

    /// Notes that a run is released without noise, before anything of it leaves.
    pub(crate) fn note_release(
        &self,
        session: &str,
        (cohort, sets): (&Cohort, &Sets),
        asked: Asked<'_>,
    ) -> Result<(), NodeError> {
        let key = self.desk.key()?;
        let bytes = Zeroizing::new(sets.encode(&cohort.digest));
        let sealed = seal_bytes(&sets_place(session), &bytes, &key)?;
        let digest = hide(&cohort.digest, &key);
        let condition = asked.condition();
        let centres = serde_json::to_string(asked.centres).unwrap_or_default();
        let count = i64::try_from(sets.len()).unwrap_or(i64::MAX);
        self.state.change(|it| {
            let it = it.unchecked_transaction()?;
            let release = "INSERT OR IGNORE INTO exact_releases VALUES (?, ?)";
            it.execute(release, params![session, digest])?;
            let sets = "INSERT OR IGNORE INTO exact_sets VALUES (?, ?, ?, ?, ?)";
            it.execute(sets, params![session, condition, centres, count, sealed])?;
            it.commit()
        })
    }
}

/// Of a cohort's sorted patients.
fn digest_of(members: &[Pseudonym]) -> Vec<u8> {
    Sha256::digest(members.as_flattened()).to_vec()
}

/// What tells a cohort from another one in the database: without the key nobody can try cohorts.
fn hide(digest: &[u8], key: &Key) -> [u8; 16] {
    key.name_in("exact_releases", &[digest])
}

/// Hides the digests of earlier versions.
pub(crate) fn hide_earlier(transaction: &Transaction<'_>, key: &Key) -> Result<(), NodeError> {
    let mut query = transaction.prepare("SELECT session, digest FROM exact_releases")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let all: Vec<(String, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
    for (session, digest) in all {
        let update = "UPDATE exact_releases SET digest = ? WHERE session = ?";
        transaction.execute(update, params![hide(&digest, key), session])?;
    }
    Ok(())
}

fn counted(patients: usize) -> u64 {
    u64::try_from(patients).unwrap_or(u64::MAX)
}
