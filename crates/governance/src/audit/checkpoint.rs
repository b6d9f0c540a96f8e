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

/// Most signatures of a note that is read; a reader must take 16 at least.
const SIGNATURES_MAX: usize = 100;

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
    let plain = |it: char| if is_of_name(it) { it } else { '-' };
    format!("konsil/{network}/{centre}").chars().map(plain).collect()
}

/// Whether a character may stand in a name: no spaces of any kind, no plus, no control characters.
fn is_of_name(it: char) -> bool {
    !it.is_whitespace() && !it.is_control() && it != '+'
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
    /// Reads a note. Logs of centres have no extension lines, so that a note with some is refused.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        if text.bytes().any(|it| it.is_ascii_control() && it != b'\n') {
            return Err(malformed);
        }
        let (body, signatures) = text.rsplit_once("\n\n").ok_or(malformed)?;
        let [origin, size, root] = body.split('\n').collect::<Vec<_>>()[..] else {
            return Err(malformed);
        };
        let number: u64 = size.parse().map_err(|_| malformed)?;
        let root = STANDARD.decode(root).map_err(|_| malformed)?;
        let root = Hash::try_from(root).map_err(|_| malformed)?;
        if origin.is_empty() || number.to_string() != size {
            return Err(malformed);
        }
        let signatures = signatures.strip_suffix('\n').ok_or(malformed)?;
        let lines = signatures.split('\n').map(|line| {
            let (name, rest) = line.strip_prefix("— ")?.split_once(' ')?;
            if name.is_empty() || !name.chars().all(is_of_name) {
                return None;
            }
            let bytes = STANDARD.decode(rest).ok()?;
            let (hash, signature) = bytes.split_first_chunk::<4>()?;
            Some(NoteLine { name: name.to_owned(), key_hash: *hash, signature: signature.to_vec() })
        });
        let lines = lines.take(SIGNATURES_MAX + 1).collect::<Option<Vec<_>>>().ok_or(malformed)?;
        if lines.len() > SIGNATURES_MAX {
            return Err(malformed);
        }
        let checkpoint = Checkpoint { origin: origin.to_owned(), size: number, root };
        Ok(Self { checkpoint, lines })
    }

    /// The log's own signature, if it holds under the log's key.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`].
    pub fn verified(&self, key: &[u8; 32]) -> Result<&Checkpoint, NoteError> {
        let origin = &self.checkpoint.origin;
        for line in self.lines_of(origin, key_hash(origin, ED25519_KIND, key))? {
            check(key, self.checkpoint.body().as_bytes(), &line.signature)?;
        }
        Ok(&self.checkpoint)
    }

    /// Adds a peer's co-signature made at a time.
    pub fn cosign(&mut self, name: &str, key: &[u8; 32], (time, signature): (u64, &[u8; 64])) {
        let signature = [&time.to_be_bytes()[..], signature].concat();
        let key_hash = key_hash(name, COSIGNATURE_KIND, key);
        self.lines.push(NoteLine { name: name.to_owned(), key_hash, signature });
    }

    /// The time of a peer's co-signature, if it holds; of several the latest.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`].
    pub fn cosigned(&self, name: &str, key: &[u8; 32]) -> Result<u64, NoteError> {
        let mut latest = 0;
        for line in self.lines_of(name, key_hash(name, COSIGNATURE_KIND, key))? {
            let (time, signature) =
                line.signature.split_first_chunk::<8>().ok_or(NoteError::Unsigned)?;
            let time = u64::from_be_bytes(*time);
            if i64::try_from(time).is_err() {
                return Err(NoteError::Unsigned);
            }
            check(key, self.checkpoint.cosigned_body(time).as_bytes(), signature)?;
            latest = latest.max(time);
        }
        Ok(latest)
    }

    /// The signatures of one key, at least one. All must hold: of a known key none may be wrong.
    fn lines_of(&self, name: &str, key_hash: [u8; 4]) -> Result<Vec<&NoteLine>, NoteError> {
        let own = |it: &&NoteLine| it.name == name && it.key_hash == key_hash;
        let own: Vec<&NoteLine> = self.lines.iter().filter(own).collect();
        if own.is_empty() { Err(NoteError::Unsigned) } else { Ok(own) }
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

    // Made by another program (Python's hashlib, base64 and cryptography, whose Ed25519 is OpenSSL's)
    // after the texts of C2SP, from the same two seeds.
    #[test]
    fn the_bytes_are_those_of_another_program() {
        let wanted = "konsil/demo-net/north\n7\nAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\n\n\
            \u{2014} konsil/demo-net/north c6NuDx0cguYkYDoOMNFohspsM9ONEgq31SxGlP2NQhneXt/p6E8tFdDR\
            3GH1flNxkP8FjOmRoTXuJmEBohN1Cu9BcQ4=\n\
            \u{2014} konsil/demo-net/south 9QVfZAAAAABlU/EA7u3Ndw60ieaUmYVJRPG9I0uHcC3XEIF9xDDIhkdK\
            7uX0agV8G4X13ISPprVG78Z4ayPLXoAoU52T4u5FuaDZDA==\n";
        assert_eq!(signed().0.to_string(), wanted);
    }

    // Public keys of Go's module checksum database and of the tests of its `note` package, with the
    // ids that are written beside them.
    #[test]
    fn ids_of_keys_are_those_of_published_keys() {
        for (name, id, key) in [
            (
                "sum.golang.org",
                [0x03, 0x3d, 0xe0, 0xae],
                "zjNy11rR7l7Nr4cnKT1LER2H6zdTHXyG1NMAPw64Cfw=",
            ),
            (
                "PeterNeumann",
                [0xc7, 0x4f, 0x20, 0xa3],
                "GlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=",
            ),
        ] {
            let key: [u8; 32] = STANDARD.decode(key).unwrap().try_into().unwrap();
            assert_eq!(key_hash(name, ED25519_KIND, &key), id, "{name}");
            assert_ne!(key_hash(name, COSIGNATURE_KIND, &key), id);
        }
    }

    // The example of `tlog-cosignature`: where id, time and signature lie, and what is signed.
    #[test]
    fn the_example_of_the_text_is_read_and_written_again() {
        let note = "example.com/behind-the-sofa\n20852163\n\
            CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URY\
            N7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZC\
            B9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let read = SignedCheckpoint::parse(note).unwrap();
        assert_eq!(read.checkpoint.size, 20_852_163);
        let [log, witness] = &read.lines[..] else { panic!("two signatures") };
        assert_eq!((log.signature.len(), log.key_hash), (64, [0x03, 0x3d, 0xe0, 0xae]));
        assert_eq!((witness.signature.len(), witness.key_hash), (72, [0x8d, 0x66, 0xcf, 0x3f]));
        let time = u64::from_be_bytes(*witness.signature.first_chunk().unwrap());
        assert_eq!(time, 1_679_315_147);
        let start = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUY";
        assert!(read.checkpoint.cosigned_body(time).starts_with(start));
        assert!(read.checkpoint.cosigned_body(time).ends_with("q2I=\n"));
        assert_eq!(read.to_string(), note);
    }

    // Sixteen signatures must be read. Strangers' are passed over; a second one of a known key must
    // hold too.
    #[test]
    fn other_signatures_are_passed_over_and_wrong_ones_of_a_known_key_are_not() {
        let (mut note, log_key, peer_key) = signed();
        let peer = "konsil/demo-net/south";
        for it in 0..20 {
            let name = format!("w{it}");
            note.lines.push(NoteLine { name, key_hash: [it; 4], signature: vec![it; 72] });
        }
        let note = SignedCheckpoint::parse(&note.to_string()).unwrap();
        assert!(note.verified(&log_key).is_ok());
        let mut twice = note.clone();
        twice.cosign(peer, &peer_key, (1_800_000_000, &[7; 64]));
        assert_eq!(twice.cosigned(peer, &peer_key), Err(NoteError::Unsigned));
        let later = sign(&pair(2).0, &note.checkpoint.cosigned_body(1_800_000_000));
        twice.lines.pop();
        twice.cosign(peer, &peer_key, (1_800_000_000, &later));
        assert_eq!(twice.cosigned(peer, &peer_key), Ok(1_800_000_000));
        let beyond = u64::MAX;
        let signature = sign(&pair(2).0, &note.checkpoint.cosigned_body(beyond));
        let mut never = note.clone();
        never.lines.retain(|it| it.name != peer);
        never.cosign(peer, &peer_key, (beyond, &signature));
        assert_eq!(never.cosigned(peer, &peer_key), Err(NoteError::Unsigned));
        let many = SignedCheckpoint { lines: vec![note.lines[0].clone(); 101], ..note };
        assert_eq!(SignedCheckpoint::parse(&many.to_string()), Err(NoteError::Malformed));
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
            format!("{good}\n"),
            good.replace('\n', "\r\n"),
            good.replace("demo-net", "demo\u{1}net"),
            good.replace("— konsil", "— +konsil"),
            good.replace("— konsil/demo-net", "— konsil/demo\u{2003}net"),
            good.replace("— konsil/demo-net/south", "— "),
            good.replace("=\n\n", "=\nan extension\n\n"),
        ] {
            assert_eq!(SignedCheckpoint::parse(&bad), Err(NoteError::Malformed), "{bad}");
        }
    }
}
