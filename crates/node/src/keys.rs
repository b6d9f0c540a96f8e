//! Where a centre's data key comes from: the only place that opens it.
//!
//! Whoever has the key open holds the folder with the others who have; a rotation holds it alone.
//! Nobody therefore seals anything under a key that a rotation drops meanwhile.
//!
//! The list is the file `data.key` of the folder or, where systemd passes one, of
//! `$CREDENTIALS_DIRECTORY`. One that is locked takes a passphrase, from the file that
//! `KONSIL_PASSPHRASE_FILE` names or, at a terminal, from a person.

use crate::error::NodeError;
use crate::process::held;
use konsil_cohort::{CohortError, Key, KeyFile};
use std::env;
use std::fs::{self, File};
use std::io::{IsTerminal, Read};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FILE: &str = "data.key";
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const PASSPHRASE_FILE: &str = "KONSIL_PASSPHRASE_FILE";
const PASSPHRASE_BYTES_MAX: usize = 4096;

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
/// read by others, is no key, or is locked by another passphrase or without any at hand.
pub fn open_key(folder: &Path) -> Result<CentreKey, NodeError> {
    let hold = hold(folder)?;
    held(folder, hold.try_lock_shared())?;
    Ok(CentreKey { key: open_list(folder)?, _held: hold })
}

/// As [`open_key`]; makes a key where there is none yet.
///
/// # Errors
/// As [`open_key`]; [`NodeError::File`] where a key is missing that data are sealed with: a new one
/// would open none of them.
pub fn open_or_make_key(folder: &Path) -> Result<CentreKey, NodeError> {
    let (path, is_credential) = key_path(folder);
    if !is_credential && !path.exists() {
        if has_sealed(folder) {
            let what = "it is missing, while data sealed with it are here: bring it back from where it \
                        is kept apart, or move the folder data away and import all anew";
            return Err(NodeError::File { path, what: what.to_owned() });
        }
        Key::create(&path)?;
    }
    open_key(folder)
}

/// Whether a centre's folder has data sets or genotypes.
fn has_sealed(folder: &Path) -> bool {
    let entries = fs::read_dir(folder.join("data")).into_iter().flatten().flatten();
    entries
        .map(|it| it.path())
        .any(|it| it.extension().is_some_and(|it| it == "konsil" || it == "geno"))
}

/// Whether it takes a passphrase to open the key. A key that cannot be read takes none.
pub(crate) fn is_locked(folder: &Path) -> bool {
    let (path, is_credential) = key_path(folder);
    KeyFile::read(&path, is_credential).is_ok_and(|file| file.is_locked())
}

/// Opens the data key for this process alone, to put another list in its place.
///
/// # Errors
/// As [`open_key`]; [`NodeError::File`] for a credential, which nobody can change here.
pub(crate) fn open_alone(folder: &Path) -> Result<CentreKey, NodeError> {
    let hold = hold(folder)?;
    held(folder, hold.try_lock())?;
    let (path, is_credential) = key_path(folder);
    if is_credential {
        let what = "a credential of systemd cannot be changed; put a copy with mode 600 \
                    in place of data.key in the centre's folder, run the command outside the \
                    service, make the credential anew from that file, and remove the file";
        return Err(NodeError::File { path, what: what.to_owned() });
    }
    Ok(CentreKey { key: open_list(folder)?, _held: hold })
}

/// Puts another list in place of the one that is held alone.
pub(crate) fn replace_key(held: &mut CentreKey, folder: &Path, key: Key) -> Result<(), NodeError> {
    key.write(&folder.join(FILE))?;
    held.key = key;
    Ok(())
}

/// A passphrase in a file of its owner's, without the end of its line.
///
/// # Errors
/// [`NodeError::Cohort`] for a file that others may read; [`NodeError::File`].
pub fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    let failed = |error: std::io::Error| NodeError::io(path, &error);
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    // systemd guards what it hands over by a list of its own, which shows as rights of the group
    let handed = env::var_os(CREDENTIALS).is_some_and(|folder| path.starts_with(folder));
    let others = if handed { 0o007 } else { 0o077 };
    if mode & others != 0 {
        return Err(CohortError::KeyFileMode { path: path.to_owned(), mode }.into());
    }
    let mut text = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX));
    let limit = u64::try_from(PASSPHRASE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut text).map_err(failed)?;
    let end = text.trim_ascii_end().len();
    text.truncate(end);
    Ok(text)
}

/// Asks a person for a passphrase, which is not shown.
///
/// # Errors
/// [`NodeError::File`] without a terminal.
pub fn ask_passphrase(question: &str) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    if !std::io::stdin().is_terminal() {
        let what =
            "there is none to ask at; put the passphrase into a file with mode 600".to_owned();
        return Err(NodeError::File { path: "terminal".into(), what });
    }
    let answer = rpassword::prompt_password(format!("{question}: "));
    let answer = answer.map_err(|error| NodeError::io(Path::new("terminal"), &error))?;
    Ok(Zeroizing::new(answer.into_bytes()))
}

fn open_list(folder: &Path) -> Result<Key, NodeError> {
    let (path, is_credential) = key_path(folder);
    let file = KeyFile::read(&path, is_credential)?;
    if !file.is_locked() {
        return Ok(file.open()?);
    }
    let passphrase = match env::var_os(PASSPHRASE_FILE) {
        Some(file) => read_passphrase(Path::new(&file))?,
        None if std::io::stdin().is_terminal() => {
            ask_passphrase(&format!("passphrase of {}", path.display()))?
        }
        None => return Err(CohortError::Locked { path }.into()),
    };
    Ok(file.unlock(&passphrase)?)
}

/// Where the list is, and whether it is a credential.
fn key_path(folder: &Path) -> (PathBuf, bool) {
    let credential = env::var_os(CREDENTIALS).map(|it| Path::new(&it).join(FILE));
    match credential.filter(|it| it.exists()) {
        Some(path) => (path, true),
        None => (folder.join(FILE), false),
    }
}

/// The folder itself is what is locked: it needs no further file.
fn hold(folder: &Path) -> Result<File, NodeError> {
    File::open(folder).map_err(|error| NodeError::io(folder, &error))
}
