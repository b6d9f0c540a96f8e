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
        let frozen = last_event(&self.state.lock(), KIND, name)?;
        match frozen.as_ref().map(|it| it.facts.get("digest").map(String::as_str)) {
            Some(Some(digest)) if digest == store.digest() => {}
            None if self.config.unfrozen_data => {}
            None => return Err(NodeError::NotFrozen(name.to_owned())),
            Some(_) => {
                let (file, dataset) = (folder.join(format!("{name}.geno")), name.to_owned());
                return Err(CohortError::SnapshotMismatch { file, dataset }.into());
            }
        }
        Ok(dataset.with_genotypes(Arc::new(store)))
    }
}
