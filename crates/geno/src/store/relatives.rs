//! Who of a store's people has a relative in another centre, as a study has found it.
//!
//! The file `relatives` lies in the store's folder, sealed under the key of its blocks and bound to the
//! import: a new import begins without one.

use super::read::Store;
use super::{TAG_BYTES, io, random, tampered};
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use konsil_cohort::{CohortError, PSEUDONYM_BYTES, Pseudonym};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Name of the file.
pub(super) const RELATIVES: &str = "relatives";

fn bound(digest: &str) -> Aad<Vec<u8>> {
    Aad::from([b"konsil relatives v1\n", digest.as_bytes()].concat())
}

/// Writes the list in place of an earlier one, at once or not at all.
pub(super) fn write(
    folder: &Path,
    (cipher, digest): (&LessSafeKey, &str),
    people: &[Pseudonym],
) -> Result<(), CohortError> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let mut plain = people.concat();
    cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(digest), &mut plain)
        .map_err(|_| CohortError::Internal { what: "the list of relatives could not be sealed" })?;
    let sealed = [nonce.as_slice(), &plain].concat();
    let (path, part) = (folder.join(RELATIVES), folder.join(format!(".{RELATIVES}.part")));
    let write = || {
        match fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        super::head::write_private(&part, &sealed)?;
        fs::rename(&part, &path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| io(&path, source))
}

impl Store {
    /// Who of the people has a relative in a centre that stands before this one, as the last study that
    /// looked for relatives has found; nothing where none has.
    ///
    /// # Errors
    /// [`CohortError::Tampered`] for a list that was changed, or of another import; [`CohortError::Io`].
    pub fn relatives(&self) -> Result<Option<HashSet<Pseudonym>>, CohortError> {
        let path = self.folder().join(RELATIVES);
        let mut sealed = match fs::read(&path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io(&path, source)),
        };
        let damaged = || tampered(&path, "it is not the list that a study has left");
        if sealed.len() < NONCE_LEN + TAG_BYTES {
            return Err(damaged());
        }
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(damaged)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.cipher().open_in_place(nonce, bound(self.digest()), rest);
        let plain = opened.map_err(|_| damaged())?;
        let (people, rest) = plain.as_chunks::<PSEUDONYM_BYTES>();
        if !rest.is_empty() {
            return Err(damaged());
        }
        Ok(Some(people.iter().copied().collect()))
    }
}
