//! Keys as words, to be compared by phone.

use super::is_key;
use crate::hex::from_hex;
use bip39::Language;
use sha2::{Digest, Sha256};

/// How many words stand for a key: 55 bits of its SHA-256.
pub const WORDS: usize = 5;

/// Bits of a word: the list has 2,048.
const WORD_BITS: u32 = 11;

/// Five words for a public key; `None` when it is none.
#[must_use]
pub fn words(key: &str) -> Option<String> {
    let bytes = from_hex(key).filter(|_| is_key(key))?;
    let digest = Sha256::digest(&bytes);
    let mut bits = u64::from_be_bytes(*digest.first_chunk::<8>()?);
    let list = Language::English.word_list();
    let mut words = Vec::with_capacity(WORDS);
    for _ in 0..WORDS {
        let number = usize::try_from(bits >> (u64::BITS - WORD_BITS)).ok()?;
        words.push(*list.get(number)?);
        bits <<= WORD_BITS;
    }
    Some(words.join("-"))
}
