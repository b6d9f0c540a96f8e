//! The data key of a centre: a list of keys in one file.
//!
//! The newest key seals, any key opens, and what is sealed names its key. A file of exactly 32 bytes
//! is a list of one key. Any other list is text, a line each: the secrets that outlive a rotation, the
//! keys with the second in which they were made, the newest first, and a digest of it all:
//!
//! ```text
//! konsil key list v1
//! secret noise HEX
//! secret pseudonyms HEX
//! secret rows HEX
//! key 1f0a93c2 1764000000 HEX
//! sum HEX
//! ```

use super::lock::{Lock, Locked, is_locked, unlock};
use super::random;
use crate::error::CohortError;
use aws_lc_rs::hmac;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
pub(super) const ID_BYTES: usize = 4;
/// Enough for hundreds of keys.
const LIST_BYTES_MAX: u64 = 64 << 10;
const TITLE: &str = "konsil key list v1";

type Bytes = Zeroizing<[u8; KEY_BYTES]>;

/// What tells the keys of a list apart, for files and people: it says nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub(super) [u8; ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Secrets of a centre that are no keys: what follows from them must stay the same for ever, so that
/// a rotation keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// What the centre's noise is drawn from: the same question gets the same noise.
    Noise,
    /// What pseudonyms of its patients depend on.
    Pseudonyms,
    /// What the names of patients in tables depend on.
    Rows,
}

impl Secret {
    const ALL: [Self; 3] = [Self::Noise, Self::Pseudonyms, Self::Rows];

    fn word(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Pseudonyms => "pseudonyms",
            Self::Rows => "rows",
        }
    }

    /// As it follows from the key of a file that holds one key only.
    fn of_single(self, key: &Bytes) -> Bytes {
        let mut digest = Sha256::new();
        digest.update(b"konsil derived key v1");
        digest.update(key.as_ref());
        digest.update(self.word());
        Zeroizing::new(digest.finalize().into())
    }
}

#[derive(Clone)]
struct Sealer {
    id: KeyId,
    made: i64,
    bytes: Bytes,
}

impl Sealer {
    fn new(bytes: Bytes, made: i64) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"konsil key id v1");
        digest.update(bytes.as_ref());
        let digest: [u8; 32] = digest.finalize().into();
        Self { id: KeyId(digest.first_chunk().copied().unwrap_or_default()), made, bytes }
    }
}

/// The keys that a centre's patients are sealed with, and its lasting secrets; wiped from memory when
/// dropped.
pub struct Key {
    /// The newest first. INVARIANT: there is one.
    keys: Vec<Sealer>,
    /// In the order of [`Secret::ALL`].
    secrets: [Bytes; Secret::ALL.len()],
    /// What the file is locked with, if it is.
    lock: Option<Lock>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A key file that was read, locked or not.
pub struct KeyFile {
    path: PathBuf,
    content: Zeroizing<Vec<u8>>,
    made: i64,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({})", self.path.display())
    }
}

impl KeyFile {
    /// Reads a key file. A credential of systemd belongs to root; a list of access rights
    /// lets the service read it, which looks like a right of the group.
    ///
    /// # Errors
    /// [`CohortError::KeyFileMode`] where group or others have any permission, [`CohortError::Io`].
    pub fn read(path: &Path, is_credential: bool) -> Result<Self, CohortError> {
        let failed = |source| CohortError::io(path, source);
        let file = File::open(path).map_err(failed)?;
        // Asked of the open file, so that it cannot be exchanged in between.
        let about = file.metadata().map_err(failed)?;
        let mode = about.mode() & 0o777;
        let by_list = is_credential && about.uid() == 0 && mode == 0o440;
        if mode & 0o077 != 0 && !by_list {
            return Err(CohortError::KeyFileMode { path: path.to_owned(), mode });
        }
        let mut content = Zeroizing::new(Vec::with_capacity(4096));
        file.take(LIST_BYTES_MAX).read_to_end(&mut content).map_err(failed)?;
        Ok(Self { path: path.to_owned(), content, made: about.mtime() })
    }

    /// Whether it takes a passphrase to open it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        is_locked(&self.content)
    }

    /// The list in a file that is not locked.
    ///
    /// # Errors
    /// [`CohortError::Locked`] where it is locked, [`CohortError::KeyFile`] where it is neither 32 bytes
    /// nor an undamaged list.
    pub fn open(self) -> Result<Key, CohortError> {
        if self.is_locked() {
            return Err(CohortError::Locked { path: self.path });
        }
        let key = Key::parse(&self.content, self.made);
        key.ok_or(CohortError::KeyFile { path: self.path })
    }

    /// The list in a locked file.
    ///
    /// # Errors
    /// [`CohortError::Passphrase`] for another passphrase, [`CohortError::KeyFile`] for a damaged file.
    pub fn unlock(self, passphrase: &[u8]) -> Result<Key, CohortError> {
        let (list, lock) = match unlock(&self.content, passphrase) {
            Ok(opened) => opened,
            Err(Locked::Wrong) => return Err(CohortError::Passphrase { path: self.path }),
            Err(Locked::Damaged) => return Err(CohortError::KeyFile { path: self.path }),
        };
        let key = Key::parse(&list, self.made).ok_or(CohortError::KeyFile { path: self.path })?;
        Ok(Key { lock: Some(lock), ..key })
    }
}

impl Key {
    /// Makes a new key file of 32 random bytes that only its owner may read.
    ///
    /// # Errors
    /// [`CohortError::Io`], also where the file is already there: a key is never overwritten.
    pub fn create(path: &Path) -> Result<Self, CohortError> {
        let bytes = fresh()?;
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(bytes.as_ref())?;
            file.sync_all()?;
            Ok(file.metadata()?.mtime())
        };
        let made = write().map_err(|source| CohortError::io(path, source))?;
        Ok(Self::single(bytes, made))
    }

    /// Reads a key file that is not locked.
    ///
    /// # Errors
    /// As [`KeyFile::read`] and [`KeyFile::open`].
    pub fn open(path: &Path) -> Result<Self, CohortError> {
        KeyFile::read(path, false)?.open()
    }

    /// Puts the list in place of a key file, at once or not at all, and for good; locked as it was.
    ///
    /// # Errors
    /// [`CohortError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), CohortError> {
        let text = self.to_text();
        match &self.lock {
            Some(lock) => super::put(path, &lock.seal(&text)?),
            None => super::put(path, &text),
        }
    }

    /// The same list under another passphrase, or under none.
    ///
    /// # Errors
    /// [`CohortError::Internal`] without random numbers or memory.
    pub fn locked(&self, passphrase: Option<&[u8]>) -> Result<Self, CohortError> {
        let lock = passphrase.map(Lock::new).transpose()?;
        Ok(Self { keys: self.keys.clone(), secrets: self.secrets.clone(), lock })
    }

    /// The same list with a new key in front, which seals from now on.
    ///
    /// # Errors
    /// [`CohortError::Internal`] without random numbers.
    pub fn with_new(&self, made: i64) -> Result<Self, CohortError> {
        let mut new = Sealer::new(fresh()?, made);
        while self.keys.iter().any(|it| it.id == new.id) {
            new = Sealer::new(fresh()?, made);
        }
        let keys = [new].into_iter().chain(self.keys.iter().cloned()).collect();
        Ok(Self { keys, secrets: self.secrets.clone(), lock: self.lock.clone() })
    }

    /// The same list without any key but the newest.
    #[must_use]
    pub fn newest_only(&self) -> Self {
        let keys = self.keys.iter().take(1).cloned().collect();
        Self { keys, secrets: self.secrets.clone(), lock: self.lock.clone() }
    }

    /// Every key with the second, since 1970, in which it was made; the newest first.
    pub fn ids(&self) -> impl Iterator<Item = (KeyId, i64)> {
        self.keys.iter().map(|it| (it.id, it.made))
    }

    /// A lasting secret of the centre's.
    #[must_use]
    pub fn secret(&self, which: Secret) -> Zeroizing<[u8; 32]> {
        let known = Secret::ALL.iter().zip(&self.secrets).find(|(it, _)| **it == which);
        known.map(|(_, secret)| secret.clone()).unwrap_or_default()
    }

    /// What stands in a table for something that is looked up there: HMAC-SHA-256 of its parts, so that
    /// nobody without the list can tell what it is, or that it stands in another table too.
    #[must_use]
    pub fn name_in(&self, table: &str, parts: &[&[u8]]) -> [u8; 16] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.secret(Secret::Rows).as_slice());
        let mut tag = hmac::Context::with_key(&secret);
        for part in [table.as_bytes()].iter().chain(parts) {
            tag.update(&(part.len() as u64).to_be_bytes());
            tag.update(part);
        }
        tag.sign().as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The key that seals.
    pub(super) fn newest(&self) -> Option<(KeyId, &[u8])> {
        self.keys.first().map(|it| (it.id, it.bytes.as_slice()))
    }

    /// The keys that may open: the one with this id, or all where nobody wrote an id down.
    pub(super) fn openers(&self, id: Option<KeyId>) -> impl Iterator<Item = &[u8]> {
        let fit = self.keys.iter().filter(move |it| id.is_none_or(|id| it.id == id));
        fit.map(|it| it.bytes.as_slice())
    }

    fn single(bytes: Bytes, made: i64) -> Self {
        let secrets = Secret::ALL.map(|secret| secret.of_single(&bytes));
        Self { keys: vec![Sealer::new(bytes, made)], secrets, lock: None }
    }

    /// `made` is when the file was written: a single key has no date of its own.
    fn parse(content: &[u8], made: i64) -> Option<Self> {
        // a list that was cut to 32 bytes is no key
        let is_list = content.starts_with(TITLE.as_bytes());
        if let Ok(bytes) = <[u8; KEY_BYTES]>::try_from(content)
            && !is_list
        {
            return Some(Self::single(Zeroizing::new(bytes), made));
        }
        let text = std::str::from_utf8(content).ok()?;
        let (body, sum) = text.strip_suffix('\n')?.rsplit_once("\nsum ")?;
        if *from_hex(sum)? != sum_of(body) {
            return None;
        }
        let mut lines = body.lines();
        (lines.next()? == TITLE).then_some(())?;
        let mut secrets: [Bytes; Secret::ALL.len()] = Default::default();
        for (secret, place) in Secret::ALL.iter().zip(&mut secrets) {
            let (word, value) = lines.next()?.strip_prefix("secret ")?.split_once(' ')?;
            (word == secret.word()).then_some(())?;
            *place = from_hex(value)?;
        }
        let keys: Vec<Sealer> = lines.map(sealer).collect::<Option<_>>()?;
        (!keys.is_empty()).then_some(Self { keys, secrets, lock: None })
    }

    fn to_text(&self) -> Zeroizing<Vec<u8>> {
        // room for all of it, so that no copy is left behind by a growing text
        let lines = self.keys.len() + Secret::ALL.len() + 2;
        let mut text = Zeroizing::new(String::with_capacity(128 * lines));
        text.push_str(TITLE);
        for (secret, value) in Secret::ALL.iter().zip(&self.secrets) {
            text.push_str(&format!("\nsecret {} ", secret.word()));
            push_hex(&mut text, value.as_ref());
        }
        for Sealer { id, made, bytes } in &self.keys {
            text.push_str(&format!("\nkey {id} {made} "));
            push_hex(&mut text, bytes.as_ref());
        }
        let sum = sum_of(&text);
        text.push_str("\nsum ");
        push_hex(&mut text, &sum);
        text.push('\n');
        Zeroizing::new(std::mem::take(&mut *text).into_bytes())
    }
}

fn fresh() -> Result<Bytes, CohortError> {
    let mut bytes = Bytes::default();
    random(bytes.as_mut())?;
    Ok(bytes)
}

fn sealer(line: &str) -> Option<Sealer> {
    let mut fields = line.strip_prefix("key ")?.split(' ');
    let (id, made, bytes) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
    let sealer = Sealer::new(from_hex(bytes)?, made);
    (fields.next().is_none() && sealer.id.to_string() == id).then_some(sealer)
}

fn sum_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
}

pub(super) fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        bytes.push(digit(*high)? << 4 | digit(*low)?);
    }
    rest.is_empty().then_some(bytes)
}

fn from_hex(text: &str) -> Option<Bytes> {
    Some(Zeroizing::new(unhex(text)?.as_slice().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, content: &[u8]) -> Result<Key, CohortError> {
        let path = folder.join("key");
        crate::store::put(&path, content)?;
        Key::open(&path)
    }

    // What a rotation must not change is the same for one key and for every list that comes of it.
    #[test]
    fn lasting_secrets_survive_every_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let single = open(folder.path(), &[7; 32]).unwrap();
        // as the first version derived it
        let noise =
            Sha256::digest([b"konsil derived key v1".as_slice(), &[7; 32], b"noise"].concat());
        assert_eq!(single.secret(Secret::Noise).as_slice(), noise.as_slice());
        let list = single.with_new(20).unwrap().with_new(30).unwrap();
        let again = open(folder.path(), &list.to_text()).unwrap();
        let (ids, before): (Vec<_>, Vec<_>) = (again.ids().collect(), list.ids().collect());
        assert_eq!((ids.len(), &ids), (3, &before));
        assert_eq!((ids[0].1, ids[1].1), (30, 20));
        let newest = open(folder.path(), &again.newest_only().to_text()).unwrap();
        assert_eq!(newest.ids().collect::<Vec<_>>(), ids[..1]);
        for secret in Secret::ALL {
            assert_eq!(newest.secret(secret), single.secret(secret));
        }
        assert_ne!(single.secret(Secret::Noise), single.secret(Secret::Pseudonyms));
    }

    // A list that is cut or changed anywhere is none: a wrong secret would make other pseudonyms.
    #[test]
    fn a_damaged_key_list_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let good = Key::single(Zeroizing::new([9; 32]), 5).with_new(6).unwrap().to_text();
        assert!(open(folder.path(), &good).is_ok());
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            let error = open(folder.path(), &bad).unwrap_err();
            assert!(matches!(error, CohortError::KeyFile { .. }), "byte {at}: {error}");
            assert!(open(folder.path(), &good[..at]).is_err(), "cut at {at}");
        }
    }

    // A locked list opens with its passphrase and nothing else, stays locked when it is written again,
    // and nothing of it can be changed.
    #[test]
    fn a_locked_list_opens_with_its_passphrase_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let plain = open(folder.path(), &[7; 32]).unwrap();
        plain.locked(Some(b"correct horse")).unwrap().write(&path).unwrap();
        let file = || KeyFile::read(&path, false).unwrap();
        assert!(file().is_locked());
        assert!(matches!(Key::open(&path), Err(CohortError::Locked { .. })));
        let wrong = file().unlock(b"correct horsf").unwrap_err();
        assert!(wrong.to_string().contains("passphrase"), "{wrong}");
        let key = file().unlock(b"correct horse").unwrap();
        assert_eq!(key.secret(Secret::Noise), plain.secret(Secret::Noise));
        key.with_new(1).unwrap().write(&path).unwrap();
        assert_eq!(file().unlock(b"correct horse").unwrap().ids().count(), 2);
        let good = std::fs::read(&path).unwrap();
        assert!(!good.windows(8).any(|it| it == b"07070707"));
        let places = [3, 27, 30, 35, 41, 43, 50, 80, 100, 300, good.len() - 2, good.len() - 1];
        for at in places {
            let mut bad = good.clone();
            bad[at] ^= 1;
            crate::store::put(&path, &bad).unwrap();
            assert!(file().unlock(b"correct horse").is_err(), "byte {at}");
            crate::store::put(&path, &good[..at]).unwrap();
            assert!(file().unlock(b"correct horse").is_err(), "cut at {at}");
        }
        crate::store::put(&path, &good).unwrap();
        file().unlock(b"correct horse").unwrap().locked(None).unwrap().write(&path).unwrap();
        assert_eq!(Key::open(&path).unwrap().ids().count(), 2);
    }
}
