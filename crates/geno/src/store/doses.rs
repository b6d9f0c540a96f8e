//! Doses at rest, beside the genotypes of the variants that have any.
//!
//! Blocks of some variants each, packed with zstd and then sealed as blocks of genotypes are. A row
//! in which everybody's dose is missing stands for a variant without doses; a block without doses is
//! not stored. A block that is added to after it was sealed is written anew, behind the others.

use super::{Shape, io, random, tampered};
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use konsil_cohort::CohortError;
use konsil_kernels::{DOSE_MISSING, Doses};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// The file.
pub(super) const DOSES: &str = "doses";
/// Genotypes that take as much as a dose.
const OF_DOSE: usize = 8;
const DOSE_BYTES: usize = 2;
/// Blocks that are kept open while files are read: one where files are in order.
const OPEN_MAX: usize = 4;
/// How hard zstd tries: doses come as fast as they are read.
const LEVEL: i32 = 1;

/// Bytes that a sealed block may have beyond those that it is made of, were none of them packed.
const SEALED_MORE: usize = 4096;

/// Where a sealed block stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at: u64,
    pub(super) bytes: u32,
}

/// Where all blocks stand; empty for a store without doses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces {
    pub(super) each: Vec<Option<Piece>>,
    /// Variants that have doses.
    pub(super) variants: usize,
}

impl Pieces {
    /// Bytes of the file: what was written last ends it.
    pub(super) fn end(&self) -> u64 {
        let ends = self.each.iter().flatten().map(|it| it.at.saturating_add(u64::from(it.bytes)));
        ends.max().unwrap_or(0)
    }
}

impl Shape {
    /// Variants of a block of doses.
    pub(super) fn doses_per_block(self) -> usize {
        (self.per_block / OF_DOSE).max(1)
    }

    pub(super) fn dose_blocks(self) -> usize {
        self.variants.div_ceil(self.doses_per_block())
    }

    /// Bytes of a block of doses before it is packed.
    fn dose_bytes(self) -> usize {
        self.doses_per_block() * self.people * DOSE_BYTES
    }

    /// What a block of doses is bound to.
    fn doses_bound(self, block: usize) -> Aad<Vec<u8>> {
        let mut bytes = b"konsil doses v1".to_vec();
        for number in [block, self.dose_blocks(), self.variants, self.people, self.per_block] {
            bytes.extend_from_slice(&(number as u64).to_be_bytes());
        }
        Aad::from(bytes)
    }
}

/// A block in memory: rows of doses, two bytes each.
struct Open {
    block: usize,
    rows: Zeroizing<Vec<u8>>,
}

/// The doses of a store that is being written.
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    shape: Shape,
    pieces: Pieces,
    /// The block that was used last stands last.
    open: Vec<Open>,
    end: u64,
}

impl Writer {
    pub(super) fn create(folder: &Path, shape: Shape) -> Result<Self, CohortError> {
        let path = folder.join(DOSES);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| io(&path, source))?;
        let pieces = Pieces { each: vec![None; shape.dose_blocks()], variants: 0 };
        Ok(Self { path, file, shape, pieces, open: Vec::new(), end: 0 })
    }

    /// Puts the doses of one variant in.
    pub(super) fn put(
        &mut self,
        cipher: &LessSafeKey,
        variant: usize,
        doses: &[u16],
    ) -> Result<(), CohortError> {
        let (shape, per_block) = (self.shape, self.shape.doses_per_block());
        if variant >= shape.variants || doses.len() != shape.people {
            return Err(CohortError::Internal { what: "doses that the store has no place for" });
        }
        let (block, within) = (variant / per_block, variant % per_block);
        let place = match self.open.iter().position(|it| it.block == block) {
            Some(at) => self.open.remove(at),
            None => {
                if self.open.len() == OPEN_MAX {
                    let oldest = self.open.remove(0);
                    self.seal(cipher, &oldest)?;
                }
                Open { block, rows: self.reopened(cipher, block)? }
            }
        };
        self.open.push(place);
        let row = shape.people * DOSE_BYTES;
        let own = self.open.last_mut().and_then(|it| it.rows.get_mut(within * row..));
        let cells = own.unwrap_or_default().as_chunks_mut::<DOSE_BYTES>().0;
        cells.iter_mut().zip(doses).for_each(|(into, dose)| *into = dose.to_le_bytes());
        self.pieces.variants += 1;
        Ok(())
    }

    /// A block that was sealed before, or an empty one.
    fn reopened(
        &self,
        cipher: &LessSafeKey,
        block: usize,
    ) -> Result<Zeroizing<Vec<u8>>, CohortError> {
        let mut rows = Zeroizing::new(Vec::new());
        match self.pieces.each.get(block).copied().flatten() {
            Some(piece) => {
                let place = (self.shape, block, piece);
                open_piece((&self.path, &self.file), cipher, place, &mut rows)?;
            }
            None => rows.resize(self.shape.dose_bytes(), u8::MAX),
        }
        Ok(rows)
    }

    fn seal(&mut self, cipher: &LessSafeKey, open: &Open) -> Result<(), CohortError> {
        let refused = |what: &'static str| CohortError::Internal { what };
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce)?;
        let packed = zstd::bulk::compress(&open.rows, LEVEL);
        let mut packed = packed.map_err(|_| refused("a block of doses could not be packed"))?;
        let bound = self.shape.doses_bound(open.block);
        let tag = cipher
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), bound, &mut packed)
            .map_err(|_| refused("a block of doses could not be sealed"))?;
        let sealed = [&nonce[..], &packed, tag.as_ref()].concat();
        let bytes = u32::try_from(sealed.len());
        let bytes = bytes.map_err(|_| refused("a block of doses is too large"))?;
        let written = self.file.write_all_at(&sealed, self.end);
        written.map_err(|source| io(&self.path, source))?;
        if let Some(piece) = self.pieces.each.get_mut(open.block) {
            *piece = Some(Piece { at: self.end, bytes });
        }
        self.end += u64::from(bytes);
        Ok(())
    }

    /// Seals what is open, for good; where all stands.
    pub(super) fn finish(mut self, cipher: &LessSafeKey) -> Result<Pieces, CohortError> {
        for open in std::mem::take(&mut self.open) {
            self.seal(cipher, &open)?;
        }
        self.file.sync_all().map_err(|source| io(&self.path, source))?;
        Ok(self.pieces)
    }
}

/// The doses of an opened store. Holds one block in memory at a time.
pub(super) struct Reader {
    path: PathBuf,
    file: File,
    block: Option<usize>,
    rows: Zeroizing<Vec<u8>>,
}

impl Reader {
    /// Opens the file, which must be as long as its head says.
    pub(super) fn open(folder: &Path, pieces: &Pieces) -> Result<Self, CohortError> {
        let path = folder.join(DOSES);
        let file = File::open(&path).map_err(|source| io(&path, source))?;
        let size = file.metadata().map_err(|source| io(&path, source))?.len();
        if size != pieces.end() {
            return Err(tampered(&path, "it was cut, or something was added"));
        }
        Ok(Self { path, file, block: None, rows: Zeroizing::new(Vec::new()) })
    }

    /// The doses of `count` variants from `first`, as far as these have any.
    pub(super) fn read(
        &mut self,
        cipher: &LessSafeKey,
        (shape, pieces): (Shape, &Pieces),
        (first, end): (usize, usize),
    ) -> Result<Doses, CohortError> {
        let per_block = shape.doses_per_block();
        let mut doses = Doses::none(shape.people);
        let mut row = Zeroizing::new(Vec::with_capacity(shape.people));
        for variant in first..end {
            let block = variant / per_block;
            let Some(piece) = pieces.each.get(block).copied().flatten() else { continue };
            if self.block != Some(block) {
                self.block = None;
                let from = (self.path.as_path(), &self.file);
                open_piece(from, cipher, (shape, block, piece), &mut self.rows)?;
                self.block = Some(block);
            }
            let begin = variant % per_block * shape.people * DOSE_BYTES;
            let own = self.rows.get(begin..begin + shape.people * DOSE_BYTES).unwrap_or_default();
            row.clear();
            row.extend(own.as_chunks().0.iter().map(|it| u16::from_le_bytes(*it)));
            if row.iter().any(|dose| *dose != DOSE_MISSING) && !doses.push(variant - first, &row) {
                return Err(tampered(&self.path, "a block has another size"));
            }
        }
        Ok(doses)
    }
}

/// Opens a sealed block into rows.
fn open_piece(
    (path, file): (&Path, &File),
    cipher: &LessSafeKey,
    (shape, block, piece): (Shape, usize, Piece),
    rows: &mut Zeroizing<Vec<u8>>,
) -> Result<(), CohortError> {
    let wrong = || tampered(path, "a block does not fit its seal");
    let bytes = usize::try_from(piece.bytes).map_err(|_| wrong())?;
    if bytes > SEALED_MORE + 2 * shape.dose_bytes() {
        return Err(wrong());
    }
    let mut sealed = vec![0; bytes];
    file.read_exact_at(&mut sealed, piece.at).map_err(|source| io(path, source))?;
    let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(wrong)?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = cipher.open_in_place(nonce, shape.doses_bound(block), rest).map_err(|_| wrong())?;
    rows.clear();
    rows.resize(shape.dose_bytes(), 0);
    let read = zstd::bulk::decompress_to_buffer(plain, rows.as_mut_slice());
    sealed.zeroize();
    if read.is_ok_and(|it| it == shape.dose_bytes()) { Ok(()) } else { Err(wrong()) }
}
