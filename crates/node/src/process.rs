//! What a daemon's process must not do.

use crate::error::NodeError;
use rlimit::Resource;
use std::path::Path;

/// Forbids core dumps: memory holds patients, shares and keys.
pub(crate) fn no_core_dumps() -> Result<(), NodeError> {
    rlimit::setrlimit(Resource::CORE, 0, 0)
        .map_err(|error| NodeError::io(Path::new("core dumps"), &error))
}
