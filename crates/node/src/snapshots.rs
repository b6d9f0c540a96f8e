//! Frozen data sets: which sealed file is the centre's data set, byte for byte.
//!
//! Who imports a data set freezes it: the root over its file is written into the database and into
//! the log. A run opens the frozen file or nothing; a file that was put there without an import, and
//! never frozen, is used only where the centre's configuration says so (`unfrozen_data`).

use crate::audit::last_event;
use crate::clock::Clock;
use crate::config::{NodeConfig, read_toml};
use crate::desk::Desk;
use crate::error::NodeError;
use crate::keys::open_key;
use crate::state::State;
use konsil_cohort::{CohortError, Dataset, Key, Snapshot, dataset_names, settle, snapshot_root};
use konsil_governance::audit::Event;
use rusqlite::{OptionalExtension, params};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS snapshots (
        seq INTEGER PRIMARY KEY, dataset TEXT NOT NULL, document TEXT NOT NULL) STRICT;
";

/// Makes the sealed data set, as its file is now, the one that studies use. A node may be running.
///
/// # Errors
/// [`NodeError::NoData`] without such a data set, [`NodeError::Cohort`] when it cannot be opened with
/// the centre's key, [`NodeError::Database`].
pub fn freeze(folder: &Path, name: &str, clock: &Clock) -> Result<Snapshot, NodeError> {
    freeze_with((folder, name), &*open_key(folder)?, clock)
}

/// As [`freeze`], with the key that is open already.
///
/// # Errors
/// As [`freeze`].
pub fn freeze_with(
    (folder, name): (&Path, &str),
    key: &Key,
    clock: &Clock,
) -> Result<Snapshot, NodeError> {
    let data = folder.join("data");
    let mut snapshot = Snapshot::of(&data, name, key).map_err(missing(name))?;
    let state = State::join(&folder.join("node.sqlite"))?;
    // the same file again is of the same patients
    let before = state.snapshot((&data, name)).ok().flatten();
    snapshot.origin = before.filter(|it| it.root == snapshot.root).and_then(|it| it.origin);
    state.freeze(clock, &snapshot, &actor(folder, "steward")?)?;
    Ok(snapshot)
}

/// Somebody at a centre, as the log names them; a folder that has joined no network has no name yet.
pub(crate) fn actor(folder: &Path, who: &str) -> Result<String, NodeError> {
    let path = folder.join("konsil.toml");
    if !path.exists() {
        return Ok(who.to_owned());
    }
    Ok(format!("{who}@{}", read_toml::<NodeConfig>(&path)?.name))
}

/// Ends what a rotation of the key was killed in: a data set that was sealed anew takes its place if
/// it is the one that was written down, and goes away if not.
pub(crate) fn settle_all(folder: &Path, state: &State) -> Result<(), NodeError> {
    let data = folder.join("data");
    for name in dataset_names(&data)? {
        let frozen = state.snapshot((&data, &name)).ok().flatten();
        settle((&data, &name), frozen.as_ref().map_or("", |it| &it.root))?;
    }
    Ok(())
}

/// Whether the file of a data set is the frozen one; with `unfrozen`, if any was frozen.
///
/// # Errors
/// [`CohortError::SnapshotMismatch`] when it is not, [`NodeError::NotFrozen`].
pub fn check_frozen(folder: &Path, name: &str, unfrozen: bool) -> Result<(), NodeError> {
    let (path, data) = (folder.join("node.sqlite"), folder.join("data"));
    let frozen = match path.exists() {
        true => State::read(&path)?.snapshot((&data, name))?,
        false => None,
    };
    match frozen {
        Some(frozen) => Ok(frozen.verify(&data)?),
        None if unfrozen => Ok(()),
        None => Err(NodeError::NotFrozen(name.to_owned())),
    }
}

impl State {
    /// Makes a file the one that studies use, in the database and in the log.
    pub(crate) fn freeze(
        &self,
        clock: &Clock,
        snapshot: &Snapshot,
        actor: &str,
    ) -> Result<(), NodeError> {
        let name = &snapshot.dataset;
        let document =
            serde_json::to_string(snapshot).map_err(|_| NodeError::Message("snapshot"))?;
        let event = Event::new("freeze", name, actor)
            .with("root", &snapshot.root)
            .with("rows_at_most", &snapshot.rows_at_most)
            .with("dictionary_sha256", &snapshot.dictionary_hash);
        let event = match &snapshot.origin {
            Some(origin) => event.with("sealed_anew_from", origin),
            None => event,
        };
        self.log_with(clock.now(), &[event], |transaction, _| {
            let insert = "INSERT INTO snapshots (dataset, document) VALUES (?, ?)";
            transaction.execute(insert, params![name, document])?;
            Ok(())
        })
    }

    /// What a data set was frozen as last. The log must say the same.
    pub(crate) fn snapshot(
        &self,
        (folder, name): (&Path, &str),
    ) -> Result<Option<Snapshot>, NodeError> {
        let connection = self.lock();
        let query = "SELECT document FROM snapshots WHERE dataset = ? ORDER BY seq DESC LIMIT 1";
        let document: Option<String> =
            connection.query_row(query, [name], |row| row.get(0)).optional()?;
        let logged = last_event(&connection, "freeze", name)?;
        let (document, logged) = match (document, logged) {
            (None, None) => return Ok(None),
            (document, logged) => (document.unwrap_or_default(), logged),
        };
        let logged = logged.and_then(|it| it.facts.get("root").cloned());
        let snapshot: Option<Snapshot> = serde_json::from_str(&document).ok();
        match snapshot.filter(|it| Some(&it.root) == logged.as_ref() && it.dataset == name) {
            Some(snapshot) => Ok(Some(snapshot)),
            None => {
                let (file, dataset) = (folder.join(format!("{name}.konsil")), name.to_owned());
                Err(CohortError::SnapshotMismatch { file, dataset }.into())
            }
        }
    }
}

impl Desk {
    fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the data set was frozen as last; `None` only where studies may run without.
    fn frozen(&self) -> Result<Option<Snapshot>, NodeError> {
        let (folder, name) = (self.data_folder(), self.config.dataset.as_str());
        let frozen = self.state.snapshot((&folder, name))?;
        if frozen.is_some() || self.config.unfrozen_data {
            return Ok(frozen);
        }
        let stored = folder.join(format!("{name}.konsil")).exists();
        let name = name.to_owned();
        Err(if stored { NodeError::NotFrozen(name) } else { NodeError::NoData(name) })
    }

    /// This centre's patients, opened with its key: of the frozen file.
    ///
    /// # Errors
    /// [`NodeError::NoData`] before the first import, [`NodeError::NotFrozen`], [`NodeError::Cohort`].
    pub(crate) fn patients(&self) -> Result<Dataset, NodeError> {
        let key = self.key()?;
        let (folder, name) = (self.data_folder(), self.config.dataset.as_str());
        let dataset = match self.frozen()? {
            Some(snapshot) => snapshot.load(&folder, &key),
            None => konsil_cohort::load(&folder, name, &key),
        };
        self.with_genotypes(dataset.map_err(missing(name))?, &key)
    }

    /// Root of the patients that were frozen last, if any were.
    pub(crate) fn frozen_root(&self) -> Result<Option<String>, NodeError> {
        Ok(self.frozen()?.map(|it| it.patients_root().to_owned()))
    }

    /// Root over the file of the data set, read anew: under another key the patients keep the root of
    /// the file that was frozen first.
    ///
    /// # Errors
    /// [`NodeError::NoData`], [`NodeError::NotFrozen`]; [`CohortError::SnapshotMismatch`] when it is
    /// not the frozen one.
    pub(crate) fn fresh_root(&self) -> Result<String, NodeError> {
        let (folder, name) = (self.data_folder(), self.config.dataset.as_str());
        let root = match self.frozen()? {
            Some(frozen) => frozen.verify(&folder).map(|()| frozen.patients_root().to_owned()),
            None => snapshot_root(&folder, name),
        };
        root.map_err(missing(name))
    }
}

/// A file that is not there as a data set that is not there.
fn missing(name: &str) -> impl Fn(CohortError) -> NodeError {
    move |error| match error {
        CohortError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            NodeError::NoData(name.to_owned())
        }
        other => other.into(),
    }
}
