//! Writing a store.

use super::doses::{Pieces, Writer};
use super::head::{Head, place, write_private};
use super::{
    BLOCKS, EXTENSION, HEAD, KEY_BYTES, Shape, cipher, folder_of, io, open_block, random,
    seal_block, tampered,
};
use aws_lc_rs::aead::LessSafeKey;
use konsil_cohort::{CohortError, Key, Pseudonym, Sex, seal_bytes};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Blocks that are kept open while files are read: one where files are in order.
const OPEN_MAX: usize = 4;

/// Where an import puts genotypes.
pub trait Sink {
    /// Puts the genotypes of one variant in: its number on the panel, and words as
    /// [`konsil_kernels::Packed`] has them. Variants may come in any order; in the panel's it is fast.
    ///
    /// # Errors
    /// [`CohortError::Io`], also for a full disk; [`CohortError::Internal`] for a variant beyond the
    /// panel or of other people.
    fn put(&mut self, variant: usize, words: &[u64]) -> Result<(), CohortError>;

    /// Puts the doses of one variant in, whose genotypes do not say them all. A place that has no use for
    /// them leaves them out.
    ///
    /// # Errors
    /// As [`Sink::put`].
    fn put_doses(&mut self, _variant: usize, _doses: &[u16]) -> Result<(), CohortError> {
        Ok(())
    }
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The folder.
    pub folder: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// Variants with a genotype.
    pub variants: usize,
    /// Of these, variants with doses.
    pub with_doses: usize,
    /// What names this import, in hexadecimal; see [`super::Store::digest`].
    pub digest: String,
}

/// A block in memory.
struct Open {
    block: usize,
    words: Zeroizing<Vec<u64>>,
}

/// A store that is being written. Dropped before [`Builder::finish`] it leaves nothing.
pub struct Builder {
    dir: PathBuf,
    name: String,
    /// Where it is written; empty once it has taken its place.
    pub(super) part: PathBuf,
    file: File,
    cipher: LessSafeKey,
    head: Head,
    /// The block that was used last stands last.
    open: Vec<Open>,
    sealed: Vec<u8>,
    stored: u32,
    /// Nothing before the first doses.
    doses: Option<Writer>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Builder({})", self.name)
    }
}

impl Builder {
    /// Begins a store `NAME.geno` in a folder, for these people, of a panel with this hash and number of
    /// variants. What imports that were killed have left behind is removed.
    ///
    /// # Errors
    /// [`CohortError::DatasetName`], [`CohortError::Io`], [`CohortError::Internal`] without people.
    pub fn create(
        dir: &Path,
        name: &str,
        (panel_hash, variants): (&str, usize),
        people: &[Pseudonym],
    ) -> Result<Self, CohortError> {
        folder_of(dir, name)?;
        if people.is_empty() || variants == 0 {
            return Err(CohortError::Internal { what: "a store without people or variants" });
        }
        fs::create_dir_all(dir).map_err(|source| io(dir, source))?;
        remove_left(dir, name);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        random(key.as_mut())?;
        let mut suffix = [0_u8; 8];
        random(&mut suffix)?;
        let suffix: String = suffix.iter().map(|byte| format!("{byte:02x}")).collect();
        let part = dir.join(format!(".{name}.{suffix}.{EXTENSION}-part"));
        let blocks = part.join(BLOCKS);
        let make = || {
            DirBuilder::new().mode(0o700).create(&part)?;
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create_new(true).mode(0o600).open(&blocks)?;
            // while it is locked, no other import takes it for one that was killed
            file.lock()?;
            Ok(file)
        };
        let file = make().map_err(|source| io(&blocks, source))?;
        let shape = Shape::new(variants, people.len());
        let (panel_hash, people) = (panel_hash.to_owned(), people.to_vec());
        let cipher = cipher(&key)?;
        let slots = vec![None; shape.blocks()];
        let sexes = vec![Sex::Unknown; shape.people];
        Ok(Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            part,
            file,
            cipher,
            head: Head {
                panel_hash,
                shape,
                kept: 0,
                people,
                sexes,
                slots,
                doses: Pieces::default(),
                key,
            },
            open: Vec::new(),
            sealed: Vec::new(),
            stored: 0,
            doses: None,
        })
    }

    /// Says the sex of each of the people, in their order.
    ///
    /// # Errors
    /// [`CohortError::Internal`] for another number of people.
    pub fn set_sexes(&mut self, sexes: &[Sex]) -> Result<(), CohortError> {
        if sexes.len() != self.head.people.len() {
            return Err(CohortError::Internal { what: "sexes of another number of people" });
        }
        sexes.clone_into(&mut self.head.sexes);
        Ok(())
    }

    /// Makes a block the last of the open ones.
    fn fetch(&mut self, block: usize) -> Result<(), CohortError> {
        if self.open.last().is_some_and(|it| it.block == block) {
            return Ok(());
        }
        if let Some(at) = self.open.iter().position(|it| it.block == block) {
            let open = self.open.remove(at);
            self.open.push(open);
            return Ok(());
        }
        if self.open.len() == OPEN_MAX {
            let oldest = self.open.remove(0);
            self.seal(&oldest)?;
        }
        let words = self.reopened(block)?;
        self.open.push(Open { block, words });
        Ok(())
    }

    /// A block that was sealed before, or an empty one.
    fn reopened(&mut self, block: usize) -> Result<Zeroizing<Vec<u64>>, CohortError> {
        let shape = self.head.shape;
        let Some(slot) = self.head.slots.get(block).copied().flatten() else {
            return Ok(Zeroizing::new(vec![u64::MAX; shape.words()]));
        };
        let path = self.part.join(BLOCKS);
        self.sealed.resize(shape.slot_bytes(), 0);
        let at = u64::from(slot) * shape.slot_bytes() as u64;
        self.file.read_exact_at(&mut self.sealed, at).map_err(|source| io(&path, source))?;
        let mut words = Zeroizing::new(Vec::with_capacity(shape.words()));
        open_block(&self.cipher, (shape, block), &mut self.sealed, &mut words)
            .ok_or_else(|| tampered(&path, "a block was changed while it was imported"))?;
        Ok(words)
    }

    fn seal(&mut self, open: &Open) -> Result<(), CohortError> {
        let shape = self.head.shape;
        seal_block(&self.cipher, (shape, open.block), &open.words, &mut self.sealed)?;
        let stored = self.stored;
        let slot = self.head.slots.get_mut(open.block);
        let slot = slot.ok_or(CohortError::Internal { what: "a block beyond the store" })?;
        let at = *slot.get_or_insert(stored);
        self.stored += u32::from(at == stored);
        let at = u64::from(at) * shape.slot_bytes() as u64;
        let written = self.file.write_all_at(&self.sealed, at);
        written.map_err(|source| io(&self.part.join(BLOCKS), source))
    }

    /// Seals what is open, and the head under the centre's key, and puts the store in its place, instead
    /// of an earlier one: at once, and for good.
    ///
    /// # Errors
    /// [`CohortError::Io`], [`CohortError::Internal`] without random numbers.
    pub fn finish(mut self, key: &Key) -> Result<Stored, CohortError> {
        for open in std::mem::take(&mut self.open) {
            self.seal(&open)?;
        }
        if let Some(doses) = self.doses.take() {
            self.head.doses = doses.finish(&self.cipher)?;
        }
        let sealed = seal_bytes(&place(&self.name), &self.head.to_bytes(), key)?;
        let head = self.part.join(HEAD);
        let folder = folder_of(&self.dir, &self.name)?;
        let write = || {
            self.file.sync_all()?;
            write_private(&head, &sealed)?;
            File::open(&self.part)?.sync_all()?;
            Ok(self.file.metadata()?.len() + sealed.len() as u64 + self.head.doses.end())
        };
        let bytes = write().map_err(|source| io(&self.part, source))?;
        take_place(&self.part, &folder).map_err(|source| io(&folder, source))?;
        File::open(&self.dir).and_then(|it| it.sync_all()).map_err(|source| io(&folder, source))?;
        let (variants, digest) = (self.head.kept, self.head.digest());
        let with_doses = self.head.doses.variants;
        Ok(Stored { folder, bytes, variants, with_doses, digest })
    }
}

impl Sink for Builder {
    fn put(&mut self, variant: usize, words: &[u64]) -> Result<(), CohortError> {
        let shape = self.head.shape;
        if variant >= shape.variants || words.len() != shape.stride() {
            return Err(CohortError::Internal {
                what: "a variant that the store has no place for",
            });
        }
        let (block, within) = (variant / shape.per_block, variant % shape.per_block);
        self.fetch(block)?;
        let begin = within * shape.stride();
        let own = self.open.last_mut().and_then(|it| it.words.get_mut(begin..begin + words.len()));
        if let Some(own) = own {
            own.copy_from_slice(words);
        }
        self.head.kept += 1;
        Ok(())
    }

    fn put_doses(&mut self, variant: usize, doses: &[u16]) -> Result<(), CohortError> {
        let writer = match &mut self.doses {
            Some(writer) => writer,
            none => none.insert(Writer::create(&self.part, self.head.shape)?),
        };
        writer.put(&self.cipher, variant, doses)
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // what is there is the earlier store, or what was not finished
        let _ = fs::remove_dir_all(&self.part);
    }
}

/// Puts a folder in the place of another, which then stands where the first one was.
fn take_place(part: &Path, folder: &Path) -> std::io::Result<()> {
    if !folder.exists() {
        return fs::rename(part, folder);
    }
    Ok(renameat_with(CWD, part, CWD, folder, RenameFlags::EXCHANGE)?)
}

/// Removes what imports of this name have left that were killed.
fn remove_left(dir: &Path, name: &str) {
    let (begin, end) = (format!(".{name}."), format!(".{EXTENSION}-part"));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        let is_left = file.starts_with(&begin) && file.ends_with(&end);
        let is_used = || {
            let blocks = File::open(entry.path().join(BLOCKS));
            blocks.is_ok_and(|it| it.try_lock().is_err())
        };
        if is_left && !is_used() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
