//! Data sets at rest: Parquet inside AES-256-GCM, in chunks.
//!
//! A file is a header and sealed chunks of 64 KiB. The header names the key of the centre's list;
//! the data key is derived (HKDF-SHA-256) from that key and a random salt in the header, so that it
//! serves one file only. Chunk `i` has the
//! nonce `prefix (4 bytes) | i (7 bytes) | 1 if last else 0`, and every chunk is bound to the whole
//! header, which holds the data set's name: cutting, changing, swapping chunks and renaming the
//! file are all found. Putting back an older file of the same name is not found by [`load`], but by a
//! [`Snapshot`].
//!
//! The plain text exists in memory only.

mod key;
mod lock;
mod reseal;
mod snapshot;

pub use key::{Key, KeyFile, KeyId, Secret};
pub use reseal::{
    Resealed, dataset_names, key_of_bytes, key_of_dataset, reseal_bytes, reseal_dataset, settle,
};
pub use snapshot::{Snapshot, rows_at_most, snapshot_root};

use crate::dataset::{Dataset, batch_of};
use crate::dictionary::{Dictionary, hex};
use crate::error::CohortError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use bytes::Bytes;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"KONSILD\x02";
/// As files begin that do not name their key: version 1.
const MAGIC_NAMELESS: &[u8; 8] = b"KONSILD\x01";
const CHUNK_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;
const SALT_BYTES: usize = 32;
const PREFIX_BYTES: usize = 4;
const EXTENSION: &str = "konsil";
const INFO: &[u8] = b"konsil data set v1";

/// What [`save`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The sealed file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the sealed file, in hexadecimal.
    pub sha256: String,
}

/// Seals a data set into `<dir>/<name>.konsil`, replacing an earlier one at once or not at all.
///
/// # Errors
/// [`CohortError::DatasetName`] and [`CohortError::Io`].
pub fn save(dir: &Path, name: &str, dataset: &Dataset, key: &Key) -> Result<Stored, CohortError> {
    let path = path_of(dir, name)?;
    let plain = to_parquet(&dataset.under(key)?)?;
    let sealed = seal(name, &plain, key)?;
    fs::create_dir_all(dir).map_err(|source| CohortError::io(dir, source))?;
    put(&path, &sealed)?;
    Ok(Stored { bytes: sealed.len() as u64, sha256: hex(&Sha256::digest(&sealed)), path })
}

/// Opens a sealed data set of `<dir>/<name>.konsil`.
///
/// # Errors
/// [`CohortError::Tampered`] if anything but what [`save`] wrote under that name with that key is
/// found, [`CohortError::OtherKey`] if it names a key that the list does not hold;
/// [`CohortError::DatasetName`] and [`CohortError::Io`].
pub fn load(dir: &Path, name: &str, key: &Key) -> Result<Dataset, CohortError> {
    let path = path_of(dir, name)?;
    let sealed = fs::read(&path).map_err(|source| CohortError::io(&path, source))?;
    let plain = unseal(name, &sealed, key).map_err(|unopened| unopened.of(&path))?;
    let unread = |_| Unopened::Tampered("the sealed table cannot be read").of(&path);
    from_parquet(name, plain).map_err(unread)
}

/// Seals bytes under a centre's key. `place` (64 bytes at most) says what they are; opened under
/// another one they are nothing.
///
/// # Errors
/// [`CohortError::Internal`] without random numbers.
pub fn seal_bytes(place: &str, plain: &[u8], key: &Key) -> Result<Vec<u8>, CohortError> {
    seal(place, plain, key)
}

/// Opens what [`seal_bytes`] sealed.
///
/// # Errors
/// [`CohortError::Tampered`] for anything else, [`CohortError::OtherKey`] under another key.
pub fn open_bytes(
    place: &str,
    sealed: &[u8],
    key: &Key,
) -> Result<Zeroizing<Vec<u8>>, CohortError> {
    unseal(place, sealed, key).map_err(|unopened| unopened.of(Path::new(place)))
}

/// Why something sealed does not open.
enum Unopened {
    Tampered(&'static str),
    OtherKey(KeyId),
}

impl Unopened {
    fn of(self, file: &Path) -> CohortError {
        let file = file.to_owned();
        match self {
            Self::Tampered(what) => CohortError::Tampered { file, what },
            Self::OtherKey(id) => CohortError::OtherKey { file, key: id.to_string() },
        }
    }
}

impl From<&'static str> for Unopened {
    fn from(what: &'static str) -> Self {
        Self::Tampered(what)
    }
}

fn path_of(dir: &Path, name: &str) -> Result<PathBuf, CohortError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let starts = name.starts_with(plain);
    let rest = name.chars().all(|c| plain(c) || c == '-' || c == '_');
    if !starts || !rest || name.len() > 64 {
        return Err(CohortError::DatasetName { name: name.to_owned() });
    }
    Ok(dir.join(format!("{name}.{EXTENSION}")))
}

/// Puts a file that only its owner may read in place of an earlier one, at once or not at all; it
/// survives a power cut once this returns.
fn put(path: &Path, bytes: &[u8]) -> Result<(), CohortError> {
    let failed = |source| CohortError::io(path, source);
    let dir = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut suffix = [0_u8; 8];
    random(&mut suffix)?;
    let temporary = dir.join(format!(".{name}.{}.part", hex(&suffix)));
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().and_then(|()| rename(dir, &temporary, path)).map_err(|source| {
        // Without the rename the earlier file still stands; the part is useless.
        let _ = fs::remove_file(&temporary);
        failed(source)
    })
}

fn rename(dir: &Path, from: &Path, to: &Path) -> std::io::Result<()> {
    fs::rename(from, to)?;
    // The rename itself must survive a power cut.
    File::open(dir)?.sync_all()
}

fn random(bytes: &mut [u8]) -> Result<(), CohortError> {
    getrandom::fill(bytes)
        .map_err(|_| CohortError::Internal { what: "the operating system gave no random bytes" })
}

/// The header; without an id as version 1 wrote it.
fn header(
    name: &str,
    id: Option<KeyId>,
    salt: &[u8; SALT_BYTES],
    prefix: &[u8; PREFIX_BYTES],
) -> Vec<u8> {
    let mut header = if id.is_some() { MAGIC } else { MAGIC_NAMELESS }.to_vec();
    // A name has at most 64 bytes, see `path_of`.
    header.push(u8::try_from(name.len()).unwrap_or(0));
    header.extend_from_slice(name.as_bytes());
    header.extend(id.iter().flat_map(|it| it.0));
    header.extend_from_slice(salt);
    header.extend_from_slice(prefix);
    header
}

fn data_key(key: &[u8], salt: &[u8; SALT_BYTES]) -> Option<LessSafeKey> {
    let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(key);
    let expanded = pseudorandom.expand(&[INFO], &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(expanded)))
}

fn nonce(prefix: &[u8; PREFIX_BYTES], chunk: usize, last: bool) -> Nonce {
    let mut bytes = [0_u8; 12];
    let counter = (chunk as u64).to_be_bytes();
    let fields = prefix.iter().chain(counter.iter().skip(1)).copied().chain([u8::from(last)]);
    for (byte, field) in bytes.iter_mut().zip(fields) {
        *byte = field;
    }
    Nonce::assume_unique_for_key(bytes)
}

fn seal(name: &str, plain: &[u8], key: &Key) -> Result<Vec<u8>, CohortError> {
    let newest = key.newest();
    let (id, key) = newest.ok_or(CohortError::Internal { what: "there is no key" })?;
    seal_with(name, plain, (Some(id), key))
}

fn seal_with(
    name: &str,
    plain: &[u8],
    (id, key): (Option<KeyId>, &[u8]),
) -> Result<Vec<u8>, CohortError> {
    let (mut salt, mut prefix) = ([0_u8; SALT_BYTES], [0_u8; PREFIX_BYTES]);
    random(&mut salt)?;
    random(&mut prefix)?;
    let Some(data_key) = data_key(key, &salt) else {
        return Err(CohortError::Internal { what: "the data key could not be made" });
    };
    let header = header(name, id, &salt, &prefix);
    let mut sealed = header.clone();
    let chunks = plain.chunks(CHUNK_BYTES);
    let count = chunks.len();
    for (index, chunk) in chunks.enumerate() {
        let nonce = nonce(&prefix, index, index + 1 == count);
        let mut buffer = Zeroizing::new(chunk.to_vec());
        let tag = data_key
            .seal_in_place_separate_tag(nonce, Aad::from(&header), &mut buffer)
            .map_err(|_| CohortError::Internal { what: "a chunk could not be sealed" })?;
        sealed.extend_from_slice(&buffer);
        sealed.extend_from_slice(tag.as_ref());
    }
    Ok(sealed)
}

/// Something sealed, taken apart.
struct Parts<'a> {
    name: &'a [u8],
    /// The key that it names; version 1 names none.
    id: Option<KeyId>,
    salt: &'a [u8; SALT_BYTES],
    prefix: &'a [u8; PREFIX_BYTES],
    chunks: &'a [u8],
}

fn parts(sealed: &[u8]) -> Result<Parts<'_>, &'static str> {
    let short = "the header is cut";
    let (magic, rest) = sealed.split_first_chunk::<8>().ok_or(short)?;
    if magic != MAGIC && magic != MAGIC_NAMELESS {
        return Err("it is no sealed data set of this version");
    }
    let (length, rest) = rest.split_first().ok_or(short)?;
    let (name, rest) = rest.split_at_checked(usize::from(*length)).ok_or(short)?;
    let (id, rest) = if magic == MAGIC {
        let (id, rest) = rest.split_first_chunk().ok_or(short)?;
        (Some(KeyId(*id)), rest)
    } else {
        (None, rest)
    };
    let (salt, rest) = rest.split_first_chunk().ok_or(short)?;
    let (prefix, chunks) = rest.split_first_chunk().ok_or(short)?;
    Ok(Parts { name, id, salt, prefix, chunks })
}

fn unseal(name: &str, sealed: &[u8], key: &Key) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let parts = parts(sealed)?;
    if parts.name != name.as_bytes() {
        return Err("it was saved under another name".into());
    }
    if parts.chunks.is_empty() {
        return Err("it has no content".into());
    }
    let mut opened = Err(parts.id.map_or("there is no key".into(), Unopened::OtherKey));
    for key in key.openers(parts.id) {
        opened = unseal_with(name, &parts, key).map_err(Unopened::from);
        if opened.is_ok() {
            break;
        }
    }
    opened
}

fn unseal_with(
    name: &str,
    parts: &Parts<'_>,
    key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let Parts { id, salt, prefix, chunks, .. } = parts;
    let header = header(name, *id, salt, prefix);
    let data_key = data_key(key, salt).ok_or("the data key could not be made")?;
    let chunks = chunks.chunks(CHUNK_BYTES + TAG_BYTES);
    let count = chunks.len();
    let mut plain = Zeroizing::new(Vec::with_capacity(count * CHUNK_BYTES));
    for (index, chunk) in chunks.enumerate() {
        let nonce = nonce(prefix, index, index + 1 == count);
        let mut buffer = Zeroizing::new(chunk.to_vec());
        let opened = data_key
            .open_in_place(nonce, Aad::from(&header), &mut buffer)
            .map_err(|_| "the content does not fit its seal, or the key is another one")?;
        plain.extend_from_slice(opened);
    }
    Ok(plain)
}

fn to_parquet(dataset: &Dataset) -> Result<Zeroizing<Vec<u8>>, CohortError> {
    let unwritten = |_| CohortError::Internal { what: "the table could not be written" };
    let dictionary = dataset.dictionary();
    let note = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_key_value_metadata(Some(vec![
            note("konsil.dictionary.name", dictionary.name.clone()),
            note("konsil.dictionary.version", dictionary.version.to_string()),
            note("konsil.dictionary", dictionary.to_csv()),
            note("konsil.rows", dataset.rows().to_string()),
        ]))
        .build();
    let mut buffer = Zeroizing::new(Vec::new());
    let schema: SchemaRef = dataset.batch().schema();
    let mut writer =
        ArrowWriter::try_new(&mut *buffer, schema, Some(properties)).map_err(unwritten)?;
    writer.write(dataset.batch()).map_err(unwritten)?;
    writer.close().map_err(unwritten)?;
    Ok(buffer)
}

fn from_parquet(name: &str, plain: Zeroizing<Vec<u8>>) -> Result<Dataset, CohortError> {
    let unread = || CohortError::Internal { what: "the table could not be read" };
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(Bytes::from_owner(plain)).map_err(|_| unread())?;
    let notes = builder.metadata().file_metadata().key_value_metadata();
    let notes = notes.cloned().unwrap_or_default();
    let note = |key: &str| {
        let found = notes.iter().find(|note| note.key == key);
        found.and_then(|note| note.value.clone()).ok_or_else(unread)
    };
    let title =
        format!("{}@{}", note("konsil.dictionary.name")?, note("konsil.dictionary.version")?);
    let dictionary = Dictionary::parse(&title, &note("konsil.dictionary")?)?;
    let rows: usize = note("konsil.rows")?.parse().map_err(|_| unread())?;
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(|_| unread())?;
    let batches: Vec<_> = reader.collect::<Result<_, _>>().map_err(|_| unread())?;
    let batch = concat_batches(&schema, &batches).map_err(|_| unread())?;
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, array)| (field.name().clone(), Arc::clone(array)));
    // The schema is rebuilt without the notes, so that a loaded data set equals the saved one.
    let batch = batch_of(columns.collect(), rows)?;
    Dataset::new(name, Arc::new(dictionary), batch)
}
