//! The sealed head of a store.

use super::doses::{Piece, Pieces};
use super::{EXTENSION, HEAD, KEY_BYTES, Shape, folder_of, io, tampered};
use konsil_cohort::pseudonym::PSEUDONYM_BYTES;
use konsil_cohort::{
    CohortError, Key, KeyId, Pseudonym, Sex, key_of_bytes, open_bytes, reseal_bytes,
};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"KONSILG\x02";
/// As heads begin of stores with doses: version 3.
const MAGIC_DOSES: &[u8; 8] = b"KONSILG\x03";
/// As heads begin that know no sexes: version 1.
const MAGIC_SEXLESS: &[u8; 8] = b"KONSILG\x01";
const HASH_BYTES: usize = 64;
/// The block that is nowhere.
const NOWHERE: u32 = u32::MAX;
/// Bytes that say where a block of doses is, and how long.
const PIECE_BYTES: usize = 12;
/// People and blocks of the largest store, before memory is taken for them.
const PEOPLE_MAX: usize = 1 << 24;
const BLOCKS_MAX: usize = 1 << 24;

/// What a store is, and how its blocks open.
pub(super) struct Head {
    pub(super) panel_hash: String,
    pub(super) shape: Shape,
    /// Variants that somebody has a genotype of.
    pub(super) kept: usize,
    pub(super) people: Vec<Pseudonym>,
    /// The sex of each; empty in a head of version 1, which is written as it was read.
    pub(super) sexes: Vec<Sex>,
    /// Where each block stands in the file; `None` for one that nobody has a genotype in.
    pub(super) slots: Vec<Option<u32>>,
    /// Where doses stand.
    pub(super) doses: Pieces,
    pub(super) key: Zeroizing<[u8; KEY_BYTES]>,
}

/// What a head is sealed as.
pub(super) fn place(name: &str) -> String {
    format!("genotypes {name}")
}

impl Head {
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let magic = match (self.sexes.is_empty(), self.doses.each.is_empty()) {
            (true, _) => MAGIC_SEXLESS,
            (false, true) => MAGIC,
            (false, false) => MAGIC_DOSES,
        };
        let mut bytes = Zeroizing::new(magic.to_vec());
        bytes.extend_from_slice(self.key.as_ref());
        bytes.extend_from_slice(self.panel_hash.as_bytes());
        let Shape { variants, people, per_block } = self.shape;
        for number in [variants, people, per_block, self.kept] {
            bytes.extend_from_slice(&(number as u64).to_be_bytes());
        }
        self.people.iter().for_each(|it| bytes.extend_from_slice(it));
        bytes.extend(self.sexes.iter().map(|it| it.code()));
        for slot in &self.slots {
            bytes.extend_from_slice(&slot.unwrap_or(NOWHERE).to_be_bytes());
        }
        if magic == MAGIC_DOSES {
            bytes.extend_from_slice(&(self.doses.variants as u64).to_be_bytes());
            for piece in &self.doses.each {
                let (at, length) = piece.map_or((0, 0), |it| (it.at, it.bytes));
                bytes.extend_from_slice(&at.to_be_bytes());
                bytes.extend_from_slice(&length.to_be_bytes());
            }
        }
        bytes
    }

    /// Reads a head that opened; `None` for what this version does not write.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk::<KEY_BYTES>()?;
        let (hash, mut rest) = rest.split_first_chunk::<HASH_BYTES>()?;
        let panel_hash = str::from_utf8(hash).ok()?.to_owned();
        let mut numbers = [0_usize; 4];
        for number in &mut numbers {
            let (bytes, after) = rest.split_first_chunk()?;
            (*number, rest) = (usize::try_from(u64::from_be_bytes(*bytes)).ok()?, after);
        }
        let [variants, people, per_block, kept] = numbers;
        let shape = Shape { variants, people, per_block };
        let has_doses = magic == MAGIC_DOSES;
        let has_sexes = magic == MAGIC || has_doses;
        let is_known = has_sexes || magic == MAGIC_SEXLESS;
        if !is_known || shape != Shape::new(variants, people) || people == 0 {
            return None;
        }
        let blocks = shape.blocks();
        if people > PEOPLE_MAX || blocks > BLOCKS_MAX {
            return None;
        }
        let (pseudonyms, rest) = rest.split_at_checked(people * PSEUDONYM_BYTES)?;
        let (sexes, rest) = rest.split_at_checked(if has_sexes { people } else { 0 })?;
        let (slots, rest) = rest.split_at_checked(blocks * size_of::<u32>())?;
        let sexes: Option<Vec<Sex>> = sexes.iter().map(|code| Sex::of_code(*code)).collect();
        let sexes = sexes?;
        let (people, slots) = (pseudonyms.as_chunks().0.to_vec(), slots.as_chunks::<4>().0);
        let slot = |bytes: &[u8; 4]| Some(u32::from_be_bytes(*bytes)).filter(|it| *it != NOWHERE);
        let slots = slots.iter().map(slot).collect();
        let doses = if has_doses { pieces(rest, shape)? } else { Pieces::default() };
        let key = Zeroizing::new(*key);
        let is_whole = has_doses || rest.is_empty();
        is_whole.then_some(Self { panel_hash, shape, kept, people, sexes, slots, doses, key })
    }

    /// What names this import: it is the same under every key of the centre, and says nothing.
    pub(super) fn digest(&self) -> String {
        let digest = Sha256::digest(self.to_bytes().as_slice());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Blocks of the file.
    pub(super) fn stored(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    pub(super) fn open(dir: &Path, name: &str, key: &Key) -> Result<Self, CohortError> {
        let path = folder_of(dir, name)?.join(HEAD);
        let sealed = fs::read(&path).map_err(|source| io(&path, source))?;
        let named = |error| match error {
            CohortError::Tampered { what, .. } => tampered(&path, what),
            CohortError::OtherKey { key, .. } => CohortError::OtherKey { file: path.clone(), key },
            other => other,
        };
        let plain = open_bytes(&place(name), &sealed, key).map_err(named)?;
        Self::parse(&plain).ok_or_else(|| tampered(&path, "the head is none of this version"))
    }
}

/// What a head says of doses, after all else.
fn pieces(bytes: &[u8], shape: Shape) -> Option<Pieces> {
    let (variants, bytes) = bytes.split_first_chunk()?;
    let variants = usize::try_from(u64::from_be_bytes(*variants)).ok()?;
    let (each, rest) = bytes.as_chunks::<PIECE_BYTES>();
    let piece = |bytes: &[u8; PIECE_BYTES]| {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        let at = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let bytes = u32::from_be_bytes([i, j, k, l]);
        (bytes > 0).then_some(Piece { at, bytes })
    };
    let is_whole = rest.is_empty() && each.len() == shape.dose_blocks();
    is_whole.then(|| Pieces { each: each.iter().map(piece).collect(), variants })
}

/// Names of the stores in a folder, in order; none without the folder.
///
/// # Errors
/// [`CohortError::Io`].
pub fn geno_names(dir: &Path) -> Result<Vec<String>, CohortError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| io(dir, source))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| io(dir, source))?.path();
        let name = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|it| it == EXTENSION) && folder_of(dir, name).is_ok() {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The key of the centre that a store's head is sealed under.
///
/// # Errors
/// [`CohortError::DatasetName`], [`CohortError::Io`].
pub fn key_of_geno(dir: &Path, name: &str) -> Result<Option<KeyId>, CohortError> {
    let path = folder_of(dir, name)?.join(HEAD);
    Ok(key_of_bytes(&fs::read(&path).map_err(|source| io(&path, source))?))
}

/// Seals the head of a store anew, if another key than the newest has sealed it, at once or not at all.
/// Says whether it did.
///
/// # Errors
/// [`CohortError::Tampered`] and [`CohortError::OtherKey`] for a head that does not open,
/// [`CohortError::Io`].
pub fn reseal_geno(dir: &Path, name: &str, key: &Key) -> Result<bool, CohortError> {
    Head::open(dir, name, key)?;
    let path = folder_of(dir, name)?.join(HEAD);
    let sealed = fs::read(&path).map_err(|source| io(&path, source))?;
    let Some(resealed) = reseal_bytes(&place(name), &sealed, key)? else { return Ok(false) };
    let part = path.with_extension("part");
    let write = || {
        write_private(&part, &resealed)?;
        fs::rename(&part, &path)?;
        File::open(path.parent().unwrap_or(dir))?.sync_all()
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&part);
        io(&path, source)
    })?;
    Ok(true)
}

/// Writes a file that only its owner may read, for good.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
