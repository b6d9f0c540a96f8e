//! Signed checkpoints: the state of a log in a few lines, in the format of C2SP `tlog-checkpoint`,
//! signed as a `signed-note`, with co-signatures of peers as in `tlog-cosignature` v1.

use super::tree::Hash;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::fmt;
use thiserror::Error;

/// Kinds of signatures in notes, as `signed-note` and `tlog-cosignature` number them.
const ED25519_KIND: u8 = 1;
const COSIGNATURE_KIND: u8 = 4;

/// Size and root of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: `konsil/NETWORK/CENTRE`.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// The name of a centre's log, as notes allow it: no spaces, no plus.
#[must_use]
pub fn origin_of(network: &str, centre: &str) -> String {
    let plain = |it: char| if it.is_whitespace() || it == '+' { '-' } else { it };
    format!("konsil/{network}/{centre}").chars().map(plain).collect()
}

/// The first bytes of a signature: SHA-256 of name, line feed, kind and key.
#[must_use]
pub fn key_hash(name: &str, kind: u8, key: &[u8; 32]) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', kind]);
    hasher.update(key);
    let digest: Hash = hasher.finalize().into();
    digest.first_chunk::<4>().copied().unwrap_or_default()
}

/// Why a note is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not a checkpoint.
    #[error("not a signed checkpoint")]
    Malformed,
    /// No signature of this name and key, or one that does not belong to this text.
    #[error("the checkpoint has no valid signature of this key")]
    Unsigned,
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteLine {
    /// Who signed: a log's origin, or a peer's.
    pub name: String,
    /// Which key.
    pub key_hash: [u8; 4],
    /// The signature; of a co-signature, time and signature.
    pub signature: Vec<u8>,
}

/// A checkpoint with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The signatures: the log's own first.
    pub lines: Vec<NoteLine>,
}

impl Checkpoint {
    /// The text that the log signs.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The text that a peer co-signs at a time, in seconds since 1970.
    #[must_use]
    pub fn cosigned_body(&self, time: u64) -> String {
        format!("cosignature/v1\ntime {time}\n{}", self.body())
    }

    /// The checkpoint under its log's own signature.
    #[must_use]
    pub fn signed(self, key: &[u8; 32], signature: &[u8; 64]) -> SignedCheckpoint {
        let line = NoteLine {
            name: self.origin.clone(),
            key_hash: key_hash(&self.origin, ED25519_KIND, key),
            signature: signature.to_vec(),
        };
        SignedCheckpoint { checkpoint: self, lines: vec![line] }
    }
}

impl SignedCheckpoint {
    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        let (body, signatures) = text.split_once("\n\n").ok_or(malformed)?;
        let [origin, size, root] = body.split('\n').collect::<Vec<_>>()[..] else {
            return Err(malformed);
        };
        let number: u64 = size.parse().map_err(|_| malformed)?;
        let root = STANDARD.decode(root).map_err(|_| malformed)?;
        let root = Hash::try_from(root).map_err(|_| malformed)?;
        if origin.is_empty() || number.to_string() != size || !signatures.ends_with('\n') {
            return Err(malformed);
        }
        let lines = signatures.lines().map(|line| {
            let (name, rest) = line.strip_prefix("— ")?.split_once(' ')?;
            let bytes = STANDARD.decode(rest).ok()?;
            let (hash, signature) = bytes.split_first_chunk::<4>()?;
            Some(NoteLine { name: name.to_owned(), key_hash: *hash, signature: signature.to_vec() })
        });
        let lines = lines.collect::<Option<Vec<_>>>().ok_or(malformed)?;
        let checkpoint = Checkpoint { origin: origin.to_owned(), size: number, root };
        Ok(Self { checkpoint, lines })
    }

    /// The log's own signature, if it holds under the log's key.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`].
    pub fn verified(&self, key: &[u8; 32]) -> Result<&Checkpoint, NoteError> {
        let origin = &self.checkpoint.origin;
        let line = self.line(origin, key_hash(origin, ED25519_KIND, key))?;
        check(key, self.checkpoint.body().as_bytes(), &line.signature)?;
        Ok(&self.checkpoint)
    }

    /// Adds a peer's co-signature made at a time.
    pub fn cosign(&mut self, name: &str, key: &[u8; 32], (time, signature): (u64, &[u8; 64])) {
        let signature = [&time.to_be_bytes()[..], signature].concat();
        let key_hash = key_hash(name, COSIGNATURE_KIND, key);
        self.lines.push(NoteLine { name: name.to_owned(), key_hash, signature });
    }

    /// The time of a peer's co-signature, if it holds.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`].
    pub fn cosigned(&self, name: &str, key: &[u8; 32]) -> Result<u64, NoteError> {
        let line = self.line(name, key_hash(name, COSIGNATURE_KIND, key))?;
        let (time, signature) =
            line.signature.split_first_chunk::<8>().ok_or(NoteError::Unsigned)?;
        let time = u64::from_be_bytes(*time);
        check(key, self.checkpoint.cosigned_body(time).as_bytes(), signature)?;
        Ok(time)
    }

    fn line(&self, name: &str, key_hash: [u8; 4]) -> Result<&NoteLine, NoteError> {
        let found = self.lines.iter().find(|it| it.name == name && it.key_hash == key_hash);
        found.ok_or(NoteError::Unsigned)
    }
}

fn check(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
    let key = UnparsedPublicKey::new(&ED25519, key);
    key.verify(message, signature).map_err(|_| NoteError::Unsigned)
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.checkpoint.body())?;
        for line in &self.lines {
            let bytes = [&line.key_hash[..], &line.signature].concat();
            writeln!(f, "— {} {}", line.name, STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    fn pair(seed: u8) -> (Ed25519KeyPair, [u8; 32]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let key = pair.public_key().as_ref().try_into().unwrap();
        (pair, key)
    }

    fn sign(pair: &Ed25519KeyPair, text: &str) -> [u8; 64] {
        pair.sign(text.as_bytes()).as_ref().try_into().unwrap()
    }

    fn signed() -> (SignedCheckpoint, [u8; 32], [u8; 32]) {
        let ((log, log_key), (peer, peer_key)) = (pair(1), pair(2));
        let origin = origin_of("demo net", "north");
        let checkpoint = Checkpoint { origin, size: 7, root: [3; 32] };
        let signature = sign(&log, &checkpoint.body());
        let cosignature = sign(&peer, &checkpoint.cosigned_body(1_700_000_000));
        let mut note = checkpoint.signed(&log_key, &signature);
        note.cosign("konsil/demo-net/south", &peer_key, (1_700_000_000, &cosignature));
        (note, log_key, peer_key)
    }

    // The bytes of a note are read by other programs.
    #[test]
    fn notes_are_the_lines_that_others_read() {
        let (note, log_key, peer_key) = signed();
        let text = note.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["konsil/demo-net/north", "7"]);
        assert_eq!(lines[2], "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=");
        assert!(lines[3].is_empty() && lines[4].starts_with("— konsil/demo-net/north "));
        let again = SignedCheckpoint::parse(&text).unwrap();
        assert_eq!(again, note);
        assert_eq!(again.verified(&log_key).unwrap().size, 7);
        assert_eq!(again.cosigned("konsil/demo-net/south", &peer_key), Ok(1_700_000_000));
    }

    #[test]
    fn signatures_bind_size_root_origin_time_and_key() {
        let (note, log_key, peer_key) = signed();
        let unsigned = Err(NoteError::Unsigned);
        assert_eq!(note.verified(&peer_key).map(|_| ()), unsigned);
        let changes: [&dyn Fn(&mut SignedCheckpoint); 4] = [
            &|it| it.checkpoint.size = 8,
            &|it| it.checkpoint.root = [4; 32],
            &|it| it.lines[0].signature[5] ^= 1,
            &|it| it.lines[0].key_hash[0] ^= 1,
        ];
        for change in changes {
            let mut other = note.clone();
            change(&mut other);
            assert_eq!(other.verified(&log_key).map(|_| ()), unsigned);
        }
        let mut later = note;
        later.lines[1].signature[7] ^= 1;
        let peer = "konsil/demo-net/south";
        assert_eq!(later.cosigned(peer, &peer_key), Err(NoteError::Unsigned));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let good = signed().0.to_string();
        for bad in [
            String::new(),
            good.replace("\n7\n", "\n07\n"),
            good.replace("\n7\n", "\n-7\n"),
            good.replace("\n\n", "\n"),
            good.replace("— ", "- "),
            good.replace("AwM", "A!M"),
            good.trim_end().to_owned(),
        ] {
            assert_eq!(SignedCheckpoint::parse(&bad), Err(NoteError::Malformed), "{bad}");
        }
    }
}
