//! Genotypes at rest: a sealed head and sealed blocks.
//!
//! `NAME.geno` is a folder with two files or more. `blocks` holds blocks of the panel's variants, each sealed
//! with AES-256-GCM under a key of this import's own, its nonce random, bound to its number and the
//! number of all: a block that was changed, cut, or stands at another's place does not open. `head` says
//! whose genotypes they are, of which panel, where each block stands, and the key of the blocks; it is
//! sealed under the centre's key and bound to the name, so that another key of the centre seals the head
//! anew and no block. A block nobody has a genotype in is not stored.
//!
//! Where genotypes were imputed, a third file has the doses of those variants for which genotypes do not
//! say them all: `doses`, in sealed blocks likewise. Another, `relatives`, is there once a study has looked
//! for relatives in other centres.
//!
//! A store is written into a folder beside its place and takes that place at once, when it is whole.

mod doses;
mod head;
mod read;
mod relatives;
mod write;

pub use head::{geno_names, key_of_geno, reseal_geno};
pub use read::Store;
pub use write::{Builder, Sink, Stored};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use konsil_cohort::CohortError;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const WORD_BYTES: usize = 8;
/// About what a block takes.
const BLOCK_BYTES: usize = 2 << 20;
const EXTENSION: &str = "geno";
const HEAD: &str = "head";
const BLOCKS: &str = "blocks";
/// Characters of the longest name.
const NAME_MAX: usize = 48;

/// How genotypes are cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    variants: usize,
    people: usize,
    /// Variants of a block; also the last has as many, padded with missing ones.
    per_block: usize,
}

impl Shape {
    fn new(variants: usize, people: usize) -> Self {
        let row = konsil_kernels::Packed::stride_of(people) * WORD_BYTES;
        let most = (BLOCK_BYTES / row.max(1)).max(1);
        // the largest power of two up to that
        let per_block = (most / 2 + 1).next_power_of_two();
        let per_block = per_block.min(variants.next_power_of_two());
        Self { variants, people, per_block }
    }

    /// Words of a variant.
    fn stride(self) -> usize {
        konsil_kernels::Packed::stride_of(self.people)
    }

    fn words(self) -> usize {
        self.per_block * self.stride()
    }

    /// Bytes of a sealed block.
    fn slot_bytes(self) -> usize {
        NONCE_LEN + self.words() * WORD_BYTES + TAG_BYTES
    }

    fn blocks(self) -> usize {
        self.variants.div_ceil(self.per_block.max(1))
    }

    /// What a block is bound to.
    fn bound(self, block: usize) -> Aad<Vec<u8>> {
        let mut bytes = b"konsil genotypes v1".to_vec();
        for number in [block, self.blocks(), self.variants, self.people, self.per_block] {
            bytes.extend_from_slice(&(number as u64).to_be_bytes());
        }
        Aad::from(bytes)
    }
}

/// The folder of a store.
fn folder_of(dir: &Path, name: &str) -> Result<PathBuf, CohortError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let rest = name.chars().all(|c| plain(c) || c == '-' || c == '_');
    if !name.starts_with(plain) || !rest || name.len() > NAME_MAX {
        return Err(CohortError::DatasetName { name: name.to_owned() });
    }
    Ok(dir.join(format!("{name}.{EXTENSION}")))
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey, CohortError> {
    let key = UnboundKey::new(&AES_256_GCM, key);
    let key =
        key.map_err(|_| CohortError::Internal { what: "the key of the blocks cannot be used" })?;
    Ok(LessSafeKey::new(key))
}

fn random(bytes: &mut [u8]) -> Result<(), CohortError> {
    getrandom::fill(bytes)
        .map_err(|_| CohortError::Internal { what: "the operating system gave no random bytes" })
}

fn io(path: &Path, source: std::io::Error) -> CohortError {
    CohortError::Io { path: path.to_owned(), source }
}

fn tampered(path: &Path, what: &'static str) -> CohortError {
    CohortError::Tampered { file: path.to_owned(), what }
}

/// Seals a block: nonce, sealed words, tag.
fn seal_block(
    cipher: &LessSafeKey,
    (shape, block): (Shape, usize),
    words: &[u64],
    sealed: &mut Vec<u8>,
) -> Result<(), CohortError> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    sealed.clear();
    sealed.extend_from_slice(&nonce);
    words.iter().for_each(|word| sealed.extend_from_slice(&word.to_le_bytes()));
    let nonce = Nonce::assume_unique_for_key(nonce);
    let plain = sealed.get_mut(NONCE_LEN..).unwrap_or_default();
    let tag = cipher
        .seal_in_place_separate_tag(nonce, shape.bound(block), plain)
        .map_err(|_| CohortError::Internal { what: "a block could not be sealed" })?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(())
}

/// Opens a sealed block into words; what was sealed is overwritten.
fn open_block(
    cipher: &LessSafeKey,
    (shape, block): (Shape, usize),
    sealed: &mut [u8],
    words: &mut Zeroizing<Vec<u64>>,
) -> Option<()> {
    let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = cipher.open_in_place(nonce, shape.bound(block), rest).ok()?;
    words.clear();
    words.extend(plain.as_chunks::<WORD_BYTES>().0.iter().map(|it| u64::from_le_bytes(*it)));
    (words.len() == shape.words()).then_some(())
}

#[cfg(test)]
mod dose_tests;
#[cfg(test)]
mod tests;
