//! Frozen genotypes: which import is the centre's.
//!
//! Who imports genotypes freezes them: what names the import is written into the log. A run opens
//! those or nothing; others are used only where the configuration says so (`unfrozen_data`).

use crate::audit::last_event;
use crate::clock::Clock;
use crate::desk::Desk;
use crate::error::NodeError;
use crate::snapshots::actor;
use crate::state::State;
use konsil_cohort::{CohortError, Dataset, Genotypes, Key, rows_at_most};
use konsil_geno::{Store, geno_names};
use konsil_governance::audit::Event;
use std::path::Path;
use std::sync::Arc;

/// Of the log.
const KIND: &str = "genotypes";

/// Makes the genotypes of a centre's folder, as they are now, those that studies use; gives what names
/// the import. A node may be running.
///
/// # Errors
/// [`NodeError::Cohort`] where they cannot be opened, [`NodeError`] of the log.
pub fn freeze_genotypes(
    (folder, name): (&Path, &str),
    key: &Key,
    clock: &Clock,
) -> Result<String, NodeError> {
    let store = Store::open(&folder.join("data"), name, key)?;
    let event = Event::new(KIND, name, &actor(folder, "steward")?)
        .with("digest", &store.digest())
        .with("panel_sha256", &store.panel_hash())
        .with("people_at_most", &rows_at_most(store.people().len()));
    State::join(&folder.join("node.sqlite"))?.log(clock.now(), &event)?;
    Ok(store.digest().to_owned())
}

/// Whether genotypes are of the frozen import; with `unfrozen`, if any was frozen.
///
/// # Errors
/// [`NodeError::NotFrozen`]; [`CohortError::SnapshotMismatch`] for another import.
pub(crate) fn check_frozen_import(
    state: &State,
    (folder, name): (&Path, &str),
    store: &Store,
    unfrozen: bool,
) -> Result<(), NodeError> {
    let frozen = last_event(&state.lock(), KIND, name)?;
    match frozen.as_ref().map(|it| it.facts.get("digest").map(String::as_str)) {
        Some(Some(digest)) if digest == store.digest() => Ok(()),
        None if unfrozen => Ok(()),
        None => Err(NodeError::NotFrozen(name.to_owned())),
        Some(_) => {
            let (file, dataset) = (folder.join(format!("{name}.geno")), name.to_owned());
            Err(CohortError::SnapshotMismatch { file, dataset }.into())
        }
    }
}

impl Desk {
    /// The patients with their genotypes, where the centre has imported some: of the frozen import.
    ///
    /// # Errors
    /// [`NodeError::NotFrozen`]; [`CohortError::SnapshotMismatch`] for another import;
    /// [`NodeError::Cohort`] for one that does not open.
    pub(crate) fn with_genotypes(&self, dataset: Dataset, key: &Key) -> Result<Dataset, NodeError> {
        let (folder, name) = (self.folder.join("data"), self.config.genotypes.as_str());
        if name.is_empty() || !geno_names(&folder)?.iter().any(|it| it == name) {
            return Ok(dataset);
        }
        let store = Store::open(&folder, name, key)?;
        check_frozen_import(&self.state, (&folder, name), &store, self.config.unfrozen_data)?;
        Ok(dataset.with_genotypes(Arc::new(store)))
    }
}
