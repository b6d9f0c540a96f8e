//! Proof that an entry is in a log, in one file that is checked without the log: C2SP
//! `tlog-proof`, with the entry itself in the `extra` line, which by itself is worth nothing: what is
//! proven is its hash.

use super::checkpoint::{Checkpoint, NoteError, SignedCheckpoint};
use super::tree::{Hash, leaf_hash, verify_inclusion};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use thiserror::Error;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// An entry with the path from it to a signed root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// The entry's canonical JSON.
    pub entry: String,
    /// Its place in the tree, from 0: its number less one.
    pub index: u64,
    /// Hashes beside the way to the root.
    pub path: Vec<Hash>,
    /// The signed root.
    pub checkpoint: SignedCheckpoint,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not a proof.
    #[error("not a proof of an entry")]
    Malformed,
    /// The checkpoint.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// The entry is not in the tree, or not at this place.
    #[error("the entry is not in the log that was signed")]
    Excluded,
}

impl EntryProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`ProofError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let malformed = ProofError::Malformed;
        let (head, note) = text.split_once("\n\n").ok_or(malformed)?;
        let mut lines = head.split('\n');
        let first = lines.next() == Some(FIRST_LINE);
        let extra = lines.next().and_then(|it| it.strip_prefix("extra ")).ok_or(malformed)?;
        let index = lines.next().and_then(|it| it.strip_prefix("index ")).ok_or(malformed)?;
        let entry = STANDARD.decode(extra).map_err(|_| malformed)?;
        let entry = String::from_utf8(entry).map_err(|_| malformed)?;
        let hash = |line: &str| Hash::try_from(STANDARD.decode(line).ok()?).ok();
        let path = lines.map(hash).collect::<Option<Vec<_>>>().ok_or(malformed)?;
        let place: u64 = index.parse().map_err(|_| malformed)?;
        if place.to_string() != index {
            return Err(malformed);
        }
        let checkpoint = SignedCheckpoint::parse(note)?;
        if first { Ok(Self { entry, index: place, path, checkpoint }) } else { Err(malformed) }
    }

    /// The signed state of the log that contains the entry, if everything holds under the log's
    /// key.
    ///
    /// # Errors
    /// [`ProofError::Note`], [`ProofError::Excluded`].
    pub fn verified(&self, key: &[u8; 32]) -> Result<&Checkpoint, ProofError> {
        let checkpoint = self.checkpoint.verified(key)?;
        let leaf = leaf_hash(self.entry.as_bytes());
        let tree = (checkpoint.size, &checkpoint.root);
        let holds = verify_inclusion(&leaf, self.index, tree, &self.path);
        if holds { Ok(checkpoint) } else { Err(ProofError::Excluded) }
    }
}

impl fmt::Display for EntryProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = STANDARD.encode(&self.entry);
        writeln!(f, "{FIRST_LINE}\nextra {entry}\nindex {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::Log;
    use super::super::event::Event;
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    // A file that anyone with the centre's key can check, and that nobody can change.
    #[test]
    fn a_proof_stands_alone_and_every_byte_of_it_counts() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let (mut log, mut texts) = (Log::default(), Vec::new());
        for time in 0..21 {
            let record = log.next(time, &Event::new("run", "s", "node")).unwrap();
            texts.push(record.text(&log.head().hash));
            log.accept(&record).unwrap();
        }
        let root = log.tree().root(21).unwrap();
        let checkpoint = Checkpoint { origin: "konsil/n/c".to_owned(), size: 21, root };
        let signature = pair.sign(checkpoint.body().as_bytes()).as_ref().try_into().unwrap();
        let proof = EntryProof {
            entry: texts[13].clone(),
            index: 13,
            path: log.tree().inclusion(13, 21).unwrap(),
            checkpoint: checkpoint.signed(&key, &signature),
        };
        let text = proof.to_string();
        let again = EntryProof::parse(&text).unwrap();
        assert_eq!(again, proof);
        assert_eq!(again.verified(&key).unwrap().size, 21);
        // numbers have one form, lines end in one way
        for bad in [
            text.replace("index 13", "index 013"),
            text.replace("index 13", "index +13"),
            text.replace('\n', "\r\n"),
            text.replace("index 13\n", "index 13\n\n"),
            text.replace("@v1", "@v2"),
        ] {
            assert!(EntryProof::parse(&bad).is_err(), "{bad}");
        }
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let holds = EntryProof::parse(&changed).is_ok_and(|it| it.verified(&key).is_ok());
            assert!(!holds, "byte {at} may be changed");
        }
    }
}
