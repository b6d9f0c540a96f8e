//! Expansion of short seeds into ring elements: AES-256 in counter mode.

use aes::Aes256;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher};
use konsil_ring::Word;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroize;

type Counter = ctr::CtrCore<Aes256, ctr::flavors::Ctr64BE>;

/// A 256-bit seed. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Wraps 32 fresh random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seed that depends on this one and on a public label.
    #[must_use]
    pub fn derive(&self, label: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"konsil seed v1");
        digest.update(self.0);
        digest.update(label);
        Self(digest.finalize().into())
    }

    /// The bytes, for the one message that carries them to their owner.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A keyed generator whose output is addressed by a stream number, never by what was drawn before.
#[derive(Clone)]
pub struct Prg(Aes256);

impl Prg {
    /// A generator for one seed.
    #[must_use]
    pub fn new(seed: &Seed) -> Self {
        Self(Aes256::new(&(*seed.expose()).into()))
    }

    /// The first `words` words of the stream numbered `stream`.
    #[must_use]
    pub fn expand(&self, stream: u64, words: usize) -> Vec<Word> {
        let mut expanded = vec![0; words];
        self.mask(stream, &mut expanded);
        expanded
    }

    /// Fills `into` with the stream numbered `stream`, from its beginning.
    pub fn fill(&self, stream: u64, into: &mut [Word]) {
        into.fill(0);
        self.mask(stream, into);
    }

    /// XORs the stream onto `into`.
    fn mask(&self, stream: u64, into: &mut [Word]) {
        let mut nonce = [0_u8; 16];
        nonce[..8].copy_from_slice(&stream.to_be_bytes());
        let core = Counter::inner_iv_init(self.0.clone(), &nonce.into());
        let mut cipher = aes::cipher::StreamCipherCoreWrapper::from_core(core);
        cipher.apply_keystream(bytemuck::cast_slice_mut(into));
    }
}

impl fmt::Debug for Prg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prg(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two parties must expand the same bytes, and no stream may show another.
    #[test]
    fn streams_are_reproducible_and_apart() {
        let seed = Seed::new([7; 32]);
        let (mut a, mut b, mut c) = ([0; 9], [0; 9], [0; 9]);
        Prg::new(&seed).fill(3, &mut a);
        Prg::new(&seed).fill(3, &mut b);
        Prg::new(&seed).fill(4, &mut c);
        assert_eq!(a, b);
        assert!(a.iter().all(|word| !c.contains(word)));
        assert_eq!(format!("{seed:?}"), "Seed(..)");
    }
}
