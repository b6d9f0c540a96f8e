//! Reading a store, block by block.

use super::doses::Reader;
use super::head::Head;
use super::{BLOCKS, Shape, cipher, folder_of, io, open_block, relatives, tampered};
use aws_lc_rs::aead::LessSafeKey;
use konsil_cohort::{CohortError, Genotypes, Key, Pseudonym, Sex};
use konsil_kernels::{Doses, Packed};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// A centre's genotypes, opened. Holds one block in memory at a time.
pub struct Store {
    path: PathBuf,
    file: File,
    cipher: LessSafeKey,
    pub(super) head: Head,
    digest: String,
    last: Mutex<Last>,
    /// Nothing without doses.
    doses: Option<Mutex<Reader>>,
}

/// The block that was read last.
struct Last {
    block: Option<usize>,
    words: Zeroizing<Vec<u64>>,
    sealed: Vec<u8>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { variants, people, .. } = self.head.shape;
        write!(f, "Store[{variants} x {people}]")
    }
}

impl Store {
    /// Opens the store `NAME.geno` of a folder.
    ///
    /// # Errors
    /// [`CohortError::Tampered`] for a head that was changed or renamed, or blocks of another number
    /// than it says, or no doses where it says that there are; [`CohortError::OtherKey`], [`CohortError::DatasetName`], [`CohortError::Io`].
    pub fn open(dir: &Path, name: &str, key: &Key) -> Result<Self, CohortError> {
        let head = Head::open(dir, name, key)?;
        let path = folder_of(dir, name)?.join(BLOCKS);
        let file = File::open(&path).map_err(|source| io(&path, source))?;
        let size = file.metadata().map_err(|source| io(&path, source))?.len();
        let wanted = head.stored() as u64 * head.shape.slot_bytes() as u64;
        if size != wanted {
            return Err(tampered(&path, "it was cut, or something was added"));
        }
        let cipher = cipher(&head.key)?;
        let last = Last { block: None, words: Zeroizing::new(Vec::new()), sealed: Vec::new() };
        let (digest, last) = (head.digest(), Mutex::new(last));
        let mut doses = None;
        if !head.doses.each.is_empty() {
            let folder = path.parent().unwrap_or(dir);
            doses = Some(Mutex::new(Reader::open(folder, &head.doses)?));
        }
        Ok(Self { path, file, cipher, head, digest, last, doses })
    }

    /// What names this import, in hexadecimal: no two imports have the same, and another key of the
    /// centre does not change it. It says nothing about a patient.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The store's folder.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// The key of its blocks.
    pub(super) fn cipher(&self) -> &LessSafeKey {
        &self.cipher
    }

    /// Variants of the panel that somebody has a genotype of.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.head.kept
    }

    /// Variants that have doses.
    #[must_use]
    pub fn with_doses(&self) -> usize {
        self.head.doses.variants
    }

    /// The first variant and the one after the last, where all are of the panel.
    fn range(&self, first: usize, count: usize) -> Result<(usize, usize), CohortError> {
        let end = first.checked_add(count).filter(|it| *it <= self.head.shape.variants);
        let end = end.ok_or(CohortError::Internal { what: "variants beyond the panel" })?;
        Ok((first, end))
    }

    /// Brings a block into memory.
    fn load(&self, block: usize, last: &mut Last) -> Result<(), CohortError> {
        if last.block == Some(block) {
            return Ok(());
        }
        last.block = None;
        let shape = self.head.shape;
        let Some(slot) = self.head.slots.get(block).copied().flatten() else {
            last.words.clear();
            last.words.resize(shape.words(), u64::MAX);
            last.block = Some(block);
            return Ok(());
        };
        last.sealed.resize(shape.slot_bytes(), 0);
        let at = u64::from(slot) * shape.slot_bytes() as u64;
        self.file.read_exact_at(&mut last.sealed, at).map_err(|source| io(&self.path, source))?;
        open_block(&self.cipher, (shape, block), &mut last.sealed, &mut last.words)
            .ok_or_else(|| tampered(&self.path, "a block does not fit its seal"))?;
        last.block = Some(block);
        Ok(())
    }
}

impl Genotypes for Store {
    fn panel_hash(&self) -> &str {
        &self.head.panel_hash
    }

    fn variants(&self) -> usize {
        self.head.shape.variants
    }

    fn people(&self) -> &[Pseudonym] {
        &self.head.people
    }

    fn sexes(&self) -> &[Sex] {
        &self.head.sexes
    }

    fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError> {
        let shape = self.head.shape;
        let (first, end) = self.range(first, count)?;
        let stride = shape.stride();
        let mut words = Vec::with_capacity(count * stride);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = first;
        while at < end {
            let (block, within) = (at / shape.per_block, at % shape.per_block);
            self.load(block, &mut last)?;
            let own = (shape.per_block - within).min(end - at);
            let begin = within * stride;
            words
                .extend_from_slice(last.words.get(begin..begin + own * stride).unwrap_or_default());
            at += own;
        }
        Packed::new(shape.people, words)
            .ok_or(CohortError::Internal { what: "a block of another size" })
    }

    fn doses(&self, first: usize, count: usize) -> Result<Doses, CohortError> {
        let (shape, range) = (self.head.shape, self.range(first, count)?);
        let Some(doses) = &self.doses else { return Ok(Doses::none(shape.people)) };
        let mut doses = doses.lock().unwrap_or_else(PoisonError::into_inner);
        doses.read(&self.cipher, (shape, &self.head.doses), range)
    }

    fn keep_relatives(&self, people: &[Pseudonym]) -> Result<(), CohortError> {
        relatives::write(self.folder(), (&self.cipher, &self.digest), people)
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        // opened blocks were written over what was sealed
        zeroize::Zeroize::zeroize(&mut self.sealed);
    }
}
