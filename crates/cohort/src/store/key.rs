//! The key file of a centre.

use super::random;
use crate::error::CohortError;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;

/// The key that a centre's data sets are sealed with; wiped from memory when dropped.
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// Makes a new key file of 32 random bytes that only its owner may read.
    ///
    /// # Errors
    /// [`CohortError::Io`], also where the file is already there: a key is never overwritten.
    pub fn create(path: &Path) -> Result<Self, CohortError> {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        random(bytes.as_mut())?;
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(bytes.as_ref())?;
            file.sync_all()
        };
        write().map_err(|source| CohortError::io(path, source))?;
        Ok(Self(bytes))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`CohortError::KeyFileMode`] where group or others have any permission,
    /// [`CohortError::KeyFile`] where it does not hold exactly 32 bytes, and [`CohortError::Io`].
    pub fn open(path: &Path) -> Result<Self, CohortError> {
        let failed = |source| CohortError::io(path, source);
        let file = File::open(path).map_err(failed)?;
        // Asked of the open file, so that it cannot be exchanged in between.
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CohortError::KeyFileMode { path: path.to_owned(), mode });
        }
        let mut content = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        let limit = KEY_BYTES as u64 + 1;
        file.take(limit).read_to_end(&mut content).map_err(failed)?;
        let not_a_key = |_| CohortError::KeyFile { path: path.to_owned() };
        let bytes: [u8; KEY_BYTES] = content.as_slice().try_into().map_err(not_a_key)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// Another secret of the centre's, which depends on this key and on a public label.
    #[must_use]
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut digest = Sha256::new();
        digest.update(b"konsil derived key v1");
        digest.update(self.0.as_ref());
        digest.update(label.as_bytes());
        Zeroizing::new(digest.finalize().into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }
}
