//! What a daemon's process must not do.

use crate::error::NodeError;
use rlimit::Resource;
use std::fs::{File, TryLockError};
use std::path::Path;

/// Takes a folder for this process as long as the file is held.
pub(crate) fn occupy(folder: &Path) -> Result<File, NodeError> {
    let path = folder.join("lock");
    let lock = File::create(&path).map_err(|error| NodeError::io(&path, &error))?;
    held(folder, lock.try_lock())?;
    Ok(lock)
}

/// What became of a lock on a folder.
pub(crate) fn held(folder: &Path, lock: Result<(), TryLockError>) -> Result<(), NodeError> {
    lock.map_err(|error| match error {
        TryLockError::WouldBlock => NodeError::InUse(folder.to_owned()),
        TryLockError::Error(error) => NodeError::io(folder, &error),
    })
}

/// Forbids core dumps: memory holds patients, shares and keys.
pub(crate) fn no_core_dumps() -> Result<(), NodeError> {
    rlimit::setrlimit(Resource::CORE, 0, 0)
        .map_err(|error| NodeError::io(Path::new("core dumps"), &error))
}
