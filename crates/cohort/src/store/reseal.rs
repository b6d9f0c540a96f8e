//! Sealing anew, under the newest key of a list, what an older one has sealed.
//!
//! A data set is sealed anew beside its file; [`settle`] puts the new file in its place. In between
//! whoever keeps the roots of files writes the new one down, so that at any moment one of the two files
//! is the one that is written down.

use super::snapshot::root_of;
use super::{EXTENSION, Key, KeyId, Unopened, parts, path_of, put, rename, seal, unseal};
use crate::error::CohortError;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The longest header: magic, name, id, salt, prefix, and a byte of content.
const HEADER_BYTES_MAX: u64 = 512;

/// A data set that waits beside its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// Root over the file as it is.
    pub before: String,
    /// Root over the file that waits.
    pub root: String,
}

/// Names of the sealed data sets in a folder, in order; none without the folder.
///
/// # Errors
/// [`CohortError::Io`].
pub fn dataset_names(dir: &Path) -> Result<Vec<String>, CohortError> {
    let failed = |source| CohortError::io(dir, source);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|it| it == EXTENSION) && path_of(dir, name).is_ok() {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The key that a data set is sealed under; `None` for a file of the first version, which says none.
///
/// # Errors
/// [`CohortError::Tampered`] for what is no sealed data set, [`CohortError::DatasetName`],
/// [`CohortError::Io`].
pub fn key_of_dataset(dir: &Path, name: &str) -> Result<Option<KeyId>, CohortError> {
    let path = path_of(dir, name)?;
    let mut start = Vec::new();
    let read = File::open(&path).and_then(|file| {
        let mut file = file.take(HEADER_BYTES_MAX);
        file.read_to_end(&mut start)
    });
    read.map_err(|source| CohortError::io(&path, source))?;
    Ok(parts(&start).map_err(|what| Unopened::from(what).of(&path))?.id)
}

/// The key that bytes are sealed under; `None` where they name none, or are nothing sealed.
#[must_use]
pub fn key_of_bytes(sealed: &[u8]) -> Option<KeyId> {
    parts(sealed).ok()?.id
}

/// Seals a data set anew beside its file, if another key than the newest has sealed it. With `frozen`
/// the file must have that root.
///
/// # Errors
/// [`CohortError::SnapshotMismatch`] for another file than the frozen one; as [`super::load`].
pub fn reseal_dataset(
    (dir, name): (&Path, &str),
    frozen: Option<&str>,
    key: &Key,
) -> Result<Option<Resealed>, CohortError> {
    let path = path_of(dir, name)?;
    let sealed = fs::read(&path).map_err(|source| CohortError::io(&path, source))?;
    let root = |bytes: &[u8]| root_of(bytes).map_err(|source| CohortError::io(&path, source));
    let before = root(&sealed)?;
    if frozen.is_some_and(|it| it != before) {
        return Err(CohortError::SnapshotMismatch { file: path, dataset: name.to_owned() });
    }
    let resealed = reseal(name, &sealed, key).map_err(|it| it.named(&path))?;
    let Some(resealed) = resealed else { return Ok(None) };
    put(&waiting(dir, name), &resealed)?;
    Ok(Some(Resealed { before, root: root(&resealed)? }))
}

/// Puts the data set that waits beside a file in its place if it has this root, and takes it away if it
/// has another one. Says whether it took the place.
///
/// # Errors
/// [`CohortError::DatasetName`], [`CohortError::Io`].
pub fn settle((dir, name): (&Path, &str), root: &str) -> Result<bool, CohortError> {
    let (path, waiting) = (path_of(dir, name)?, waiting(dir, name));
    let failed = |source| CohortError::io(&waiting, source);
    let file = match File::open(&waiting) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file.map_err(failed)?,
    };
    let fits = root_of(BufReader::new(file)).map_err(failed)? == root;
    if fits {
        rename(dir, &waiting, &path).map_err(failed)?;
    } else {
        fs::remove_file(&waiting).map_err(failed)?;
    }
    Ok(fits)
}

/// As [`super::seal_bytes`], of what was sealed at the same place before; `None` where the newest key
/// has sealed it.
///
/// # Errors
/// As [`super::open_bytes`].
pub fn reseal_bytes(place: &str, sealed: &[u8], key: &Key) -> Result<Option<Vec<u8>>, CohortError> {
    reseal(place, sealed, key).map_err(|it| it.named(Path::new(place)))
}

/// Why nothing could be sealed anew.
enum Unsealed {
    Unopened(Unopened),
    Other(CohortError),
}

impl Unsealed {
    fn named(self, file: &Path) -> CohortError {
        match self {
            Self::Unopened(unopened) => unopened.of(file),
            Self::Other(error) => error,
        }
    }
}

fn reseal(name: &str, sealed: &[u8], key: &Key) -> Result<Option<Vec<u8>>, Unsealed> {
    let id = parts(sealed).map_err(|what| Unsealed::Unopened(what.into()))?.id;
    let plain = unseal(name, sealed, key).map_err(Unsealed::Unopened)?;
    if id.is_some() && id == key.newest().map(|(id, _)| id) {
        return Ok(None);
    }
    seal(name, &plain, key).map(Some).map_err(Unsealed::Other)
}

/// Where a data set waits: no data set's name begins with a point.
fn waiting(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.next"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{open_bytes, seal_bytes, seal_with};

    // What the first version sealed names no key: each of the list is tried, and it is sealed anew.
    #[test]
    fn what_names_no_key_opens_and_is_sealed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let old = Key::create(&folder.path().join("key")).unwrap();
        let bytes = old.newest().unwrap().1;
        let nameless = seal_with("row", b"patients", (None, bytes)).unwrap();
        assert!(parts(&nameless).unwrap().id.is_none());
        let list = old.with_new(1).unwrap().with_new(2).unwrap();
        assert_eq!(open_bytes("row", &nameless, &list).unwrap().as_slice(), b"patients");
        assert!(open_bytes("other", &nameless, &list).is_err());
        let resealed = reseal_bytes("row", &nameless, &list).unwrap().unwrap();
        assert_eq!(
            open_bytes("row", &resealed, &list.newest_only()).unwrap().as_slice(),
            b"patients"
        );
        assert!(open_bytes("row", &nameless, &list.newest_only()).is_err());
        assert!(reseal_bytes("row", &resealed, &list).unwrap().is_none());
        // also with one key only, which then is named
        let named = reseal_bytes("row", &nameless, &old).unwrap().unwrap();
        assert!(seal_bytes("row", b"patients", &old).unwrap().len() == named.len());
        // the sealed files of this version begin as before, and a name has no other end
        fs::write(folder.path().join("a.konsil"), &nameless).unwrap();
        assert!(matches!(key_of_dataset(folder.path(), "a"), Ok(None)));
    }
}
