//! Where a centre's data key comes from: the only place that opens it.
//!
//! Whoever has the key open holds the folder with the others who have; a rotation holds it alone.
//! Nobody therefore seals anything under a key that a rotation drops meanwhile.

use crate::error::NodeError;
use crate::process::held;
use konsil_cohort::Key;
use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A centre's data key, held open.
#[derive(Debug)]
pub struct CentreKey {
    key: Key,
    _held: File,
}

impl Deref for CentreKey {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.key
    }
}

/// Opens the data key of a centre's folder.
///
/// # Errors
/// [`NodeError::InUse`] while it is rotated; [`NodeError::Cohort`] for a file that is not there, may be
/// read by others, or is no key.
pub fn open_key(folder: &Path) -> Result<CentreKey, NodeError> {
    let hold = hold(folder)?;
    held(folder, hold.try_lock_shared())?;
    Ok(CentreKey { key: Key::open(&key_path(folder))?, _held: hold })
}

/// As [`open_key`]; makes a key where there is none yet.
///
/// # Errors
/// As [`open_key`].
pub fn open_or_make_key(folder: &Path) -> Result<CentreKey, NodeError> {
    let path = key_path(folder);
    if !path.exists() {
        Key::create(&path)?;
    }
    open_key(folder)
}

/// Opens the data key for this process alone, to put another list in its place.
pub(crate) fn open_alone(folder: &Path) -> Result<CentreKey, NodeError> {
    let hold = hold(folder)?;
    held(folder, hold.try_lock())?;
    Ok(CentreKey { key: Key::open(&key_path(folder))?, _held: hold })
}

/// Puts another list in place of the one that is held alone.
pub(crate) fn replace_key(held: &mut CentreKey, folder: &Path, key: Key) -> Result<(), NodeError> {
    key.write(&key_path(folder))?;
    held.key = key;
    Ok(())
}

fn key_path(folder: &Path) -> PathBuf {
    folder.join("data.key")
}

/// The folder itself is what is locked: it needs no further file.
fn hold(folder: &Path) -> Result<File, NodeError> {
    File::open(folder).map_err(|error| NodeError::io(folder, &error))
}
