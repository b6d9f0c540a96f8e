//! Snapshots: what identifies a sealed data set as it was at one moment.
//!
//! The root is that of the Merkle tree of RFC 6962, section 2.1, whose leaves are the header of the
//! sealed file and its sealed chunks, in order. Salt and nonces are new whenever a data set is saved:
//! no two saved files have the same root, even with the same patients. The file without its key is
//! enough to compute it, and it says nothing about a patient.

use super::{
    CHUNK_BYTES, MAGIC, PREFIX_BYTES, SALT_BYTES, TAG_BYTES, Unopened, from_parquet, path_of,
    unseal,
};
use crate::dataset::Dataset;
use crate::dictionary::hex;
use crate::error::CohortError;
use crate::store::Key;
use crate::store::key::ID_BYTES;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Rows are told in steps of this.
const ROWS_BUCKET: usize = 64;

type Hash = [u8; 32];

/// A data set as it was at one moment. Nothing in it is about a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Name of the data set.
    pub dataset: String,
    /// Root over the sealed file, 64 hexadecimal digits.
    pub root: String,
    /// Root over the file that was frozen first, where the same patients have been sealed anew since
    /// under another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Number of patients, rounded up; see [`rows_at_most`].
    pub rows_at_most: usize,
    /// Names of the columns, in order.
    pub columns: Vec<String>,
    /// Hash of the dictionary.
    pub dictionary_hash: String,
}

impl Snapshot {
    /// Describes the sealed data set `<dir>/<name>.konsil`.
    ///
    /// # Errors
    /// As [`crate::load`].
    pub fn of(dir: &Path, name: &str, key: &Key) -> Result<Self, CohortError> {
        let (dataset, root) = open(dir, name, key, None)?;
        Ok(Self {
            dataset: name.to_owned(),
            root,
            origin: None,
            rows_at_most: rows_at_most(dataset.rows()),
            columns: dataset.column_names(),
            dictionary_hash: dataset.dictionary_hash().to_owned(),
        })
    }

    /// What these patients are known by, under whichever key they are sealed.
    #[must_use]
    pub fn patients_root(&self) -> &str {
        self.origin.as_deref().unwrap_or(&self.root)
    }

    /// Whether the sealed file is still, byte for byte, the one that was described.
    ///
    /// # Errors
    /// [`CohortError::SnapshotMismatch`] for any other file, also an older one of the same name;
    /// [`CohortError::Io`].
    pub fn verify(&self, dir: &Path) -> Result<(), CohortError> {
        check(dir, &self.dataset, &snapshot_root(dir, &self.dataset)?, &self.root)
    }

    /// The data set, if the file is the one that was described: what is checked is what is opened.
    ///
    /// # Errors
    /// As [`Snapshot::verify`] and [`crate::load`].
    pub fn load(&self, dir: &Path, key: &Key) -> Result<Dataset, CohortError> {
        open(dir, &self.dataset, key, Some(&self.root)).map(|(dataset, _)| dataset)
    }
}

/// The root over the sealed file `<dir>/<name>.konsil`, in hexadecimal. The file is read in pieces.
///
/// # Errors
/// [`CohortError::DatasetName`], [`CohortError::Io`].
pub fn snapshot_root(dir: &Path, name: &str) -> Result<String, CohortError> {
    let path = path_of(dir, name)?;
    let read = || root_of(BufReader::new(File::open(&path)?));
    read().map_err(|source| CohortError::io(&path, source))
}

/// A number of rows as others may know it: rounded up to a multiple of 64, at least 64.
#[must_use]
pub fn rows_at_most(rows: usize) -> usize {
    rows.div_ceil(ROWS_BUCKET).max(1) * ROWS_BUCKET
}

fn open(
    dir: &Path,
    name: &str,
    key: &Key,
    expected: Option<&str>,
) -> Result<(Dataset, String), CohortError> {
    let path = path_of(dir, name)?;
    let sealed = fs::read(&path).map_err(|source| CohortError::io(&path, source))?;
    let root = root_of(sealed.as_slice()).map_err(|source| CohortError::io(&path, source))?;
    if let Some(expected) = expected {
        check(dir, name, &root, expected)?;
    }
    let plain = unseal(name, &sealed, key).map_err(|unopened| unopened.of(&path))?;
    let unread = |_| Unopened::Tampered("the sealed table cannot be read").of(&path);
    Ok((from_parquet(name, plain).map_err(unread)?, root))
}

fn check(dir: &Path, name: &str, found: &str, expected: &str) -> Result<(), CohortError> {
    if found == expected {
        return Ok(());
    }
    Err(CohortError::SnapshotMismatch { file: path_of(dir, name)?, dataset: name.to_owned() })
}

/// The leaves put together are the file, and its own bytes say where they end: another file has
/// another root.
pub(super) fn root_of(mut file: impl Read) -> io::Result<String> {
    let mut tree = Tree::default();
    // up to and with the length of the name, then the rest of the header
    let mut header = piece(&mut file, MAGIC.len() + 1)?;
    let name = header.get(MAGIC.len()).copied().map_or(0, usize::from);
    let id = if header.starts_with(MAGIC) { ID_BYTES } else { 0 };
    header.extend(piece(&mut file, name + id + SALT_BYTES + PREFIX_BYTES)?);
    tree.push(&header);
    loop {
        let chunk = piece(&mut file, CHUNK_BYTES + TAG_BYTES)?;
        if chunk.is_empty() {
            return Ok(hex(&tree.root()));
        }
        tree.push(&chunk);
    }
}

fn piece(file: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(bytes);
    file.take(bytes as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

/// Roots of complete subtrees, the largest first, each with its number of leaves.
#[derive(Default)]
struct Tree(Vec<(usize, Hash)>);

impl Tree {
    fn push(&mut self, leaf: &[u8]) {
        let mut last = (1, hash(0, &[leaf]));
        while let Some((_, left)) = self.0.pop_if(|(leaves, _)| *leaves == last.0) {
            last = (2 * last.0, hash(1, &[&left, &last.1]));
        }
        self.0.push(last);
    }

    fn root(self) -> Hash {
        let right_to_left = self.0.into_iter().rev().map(|(_, root)| root);
        let root = right_to_left.reduce(|right, left| hash(1, &[&left, &right]));
        root.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

/// SHA-256 of a prefix (0 for leaves, 1 for nodes) and parts.
fn hash(prefix: u8, parts: &[&[u8]]) -> Hash {
    let mut digest = Sha256::new();
    digest.update([prefix]);
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962, section 2.1, as it is written there.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => hash(0, &[leaf]),
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                hash(1, &[&by_definition(left), &by_definition(right)])
            }
        }
    }

    #[test]
    fn the_tree_is_that_of_the_definition() {
        for count in 0..40_u8 {
            let leaves: Vec<Vec<u8>> = (0..count).map(|it| vec![it; usize::from(it)]).collect();
            let mut tree = Tree::default();
            leaves.iter().for_each(|leaf| tree.push(leaf));
            assert_eq!(tree.root(), by_definition(&leaves), "{count}");
        }
    }

    // Cut anywhere, also within the header: another root, and no failure.
    #[test]
    fn every_length_has_its_own_root() {
        let mut file = MAGIC.to_vec();
        file.push(3);
        file.extend_from_slice(&[7; 80]);
        let roots: Vec<String> =
            (0..=file.len()).map(|end| root_of(&file[..end]).unwrap()).collect();
        let mut distinct = roots.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), roots.len());
    }
}
