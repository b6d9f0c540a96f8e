//! What centres tell each other about their logs at the beginning of a run, and the verdict.
//!
//! Three messages of fixed length to each peer, in this order: the **claim** (what I last saw of
//! your log, under your own signature), the **answer** (my log now, signed, and the proof that it
//! continues what you saw), the **co-signature** of the answer. The answer is made after the claim
//! came, so that a log that was only busy meanwhile is never taken for one that was rolled back.

use super::checkpoint::Checkpoint;
use super::tree::{Hash, verify_consistency};
use thiserror::Error;

/// Most hashes of a consistency proof: enough for 2^39 entries. Proofs are padded to it.
pub const PROOF_HASHES_MAX: usize = 40;
/// Length of a claim.
pub const CLAIM_BYTES: usize = 8 + 32 + 64;
/// Length of an answer.
pub const ANSWER_BYTES: usize = CLAIM_BYTES + 8 + 32 * PROOF_HASHES_MAX;
/// Length of a co-signature: time and signature.
pub const WITNESS_BYTES: usize = 8 + 64;

/// Size, root and the log's own signature over them, as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// How many entries; 0 when nothing was seen yet.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// The log's signature over its checkpoint.
    pub signature: [u8; 64],
}

impl Claim {
    /// Nothing was seen yet.
    pub const NOTHING: Self = Self { size: 0, root: [0; 32], signature: [0; 64] };

    /// The bytes that are sent.
    #[must_use]
    pub fn encode(&self) -> [u8; CLAIM_BYTES] {
        let mut bytes = [0; CLAIM_BYTES];
        let parts = [&self.size.to_le_bytes()[..], &self.root, &self.signature].concat();
        bytes.copy_from_slice(&parts);
        bytes
    }

    /// What the bytes say; `None` for too few.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<8>()?;
        let (root, rest) = rest.split_first_chunk::<32>()?;
        let signature = *rest.first_chunk::<64>()?;
        Some(Self { size: u64::from_le_bytes(*size), root: *root, signature })
    }

    /// The checkpoint of the log called `origin` that is claimed.
    #[must_use]
    pub fn checkpoint(&self, origin: &str) -> Checkpoint {
        Checkpoint { origin: origin.to_owned(), size: self.size, root: self.root }
    }
}

/// A log as it is now, and the proof that it continues what the peer saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The log now.
    pub now: Claim,
    /// From what the peer saw to now.
    pub proof: Vec<Hash>,
}

impl Answer {
    /// The bytes that are sent; `None` for a proof that is too long.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        if self.proof.len() > PROOF_HASHES_MAX {
            return None;
        }
        let mut bytes = self.now.encode().to_vec();
        bytes.extend(u64::try_from(self.proof.len()).ok()?.to_le_bytes());
        bytes.extend(self.proof.iter().flatten());
        bytes.resize(ANSWER_BYTES, 0);
        Some(bytes)
    }

    /// What the bytes say; `None` for a wrong length or a count that does not fit.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (now, rest) = bytes.split_at_checked(CLAIM_BYTES)?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        if bytes.len() != ANSWER_BYTES || count > PROOF_HASHES_MAX {
            return None;
        }
        let hashes = rest.chunks_exact(32).filter_map(|it| it.first_chunk::<32>().copied());
        Some(Self { now: Claim::decode(now)?, proof: hashes.take(count).collect() })
    }
}

/// How a log contradicts what was seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rollback {
    /// Fewer entries than were seen.
    #[error("the log has {now} entries, {seen} were seen before")]
    Shorter {
        /// Entries seen before.
        seen: u64,
        /// Entries now.
        now: u64,
    },
    /// Other entries than were seen.
    #[error("the log does not contain the {seen} entries that were seen before")]
    Other {
        /// Entries seen before.
        seen: u64,
    },
    /// The answer is not signed by the log's key.
    #[error("the checkpoint of the log is not signed by its key")]
    Unsigned,
}

/// Whether an answer continues what was seen of a log. Its signature is checked elsewhere.
///
/// # Errors
/// [`Rollback`].
pub fn judge(seen: &Claim, answer: &Answer) -> Result<(), Rollback> {
    if answer.now.size < seen.size {
        return Err(Rollback::Shorter { seen: seen.size, now: answer.now.size });
    }
    let (old, new) = ((seen.size, &seen.root), (answer.now.size, &answer.now.root));
    let holds = seen.size == 0 || verify_consistency(old, new, &answer.proof);
    if holds { Ok(()) } else { Err(Rollback::Other { seen: seen.size }) }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Tree, leaf_hash};
    use super::*;

    fn tree(size: usize, salt: usize) -> Tree {
        let mut tree = Tree::default();
        (0..size).for_each(|at| tree.push(leaf_hash(&(at + salt).to_le_bytes())));
        tree
    }

    fn claim(tree: &Tree, size: usize) -> Claim {
        Claim { size: size as u64, root: tree.root(size).unwrap(), signature: [5; 64] }
    }

    // Lengths depend on nothing: neither on the log nor on the proof.
    #[test]
    fn messages_have_one_length_and_come_back() {
        let tree = tree(100, 0);
        let answer = Answer { now: claim(&tree, 100), proof: tree.consistency(37, 100).unwrap() };
        let bytes = answer.encode().unwrap();
        assert_eq!(bytes.len(), ANSWER_BYTES);
        assert_eq!(Answer::decode(&bytes), Some(answer.clone()));
        assert_eq!(Claim::decode(&answer.now.encode()), Some(answer.now.clone()));
        assert_eq!(Answer::decode(&bytes[1..]), None);
        let mut many = bytes;
        many[CLAIM_BYTES] = 41;
        assert_eq!(Answer::decode(&many), None);
        let long = Answer { proof: vec![[0; 32]; PROOF_HASHES_MAX + 1], ..answer };
        assert_eq!(long.encode(), None);
    }

    #[test]
    fn a_log_that_is_shorter_or_another_is_found() {
        let (own, other) = (tree(100, 0), tree(100, 1));
        let answer = |of: &Tree, old: usize, new: usize| Answer {
            now: claim(of, new),
            proof: of.consistency(old, new).unwrap(),
        };
        for seen in 1..=100 {
            let was = claim(&own, seen);
            assert_eq!(judge(&was, &answer(&own, seen, 100)), Ok(()));
            assert!(judge(&was, &answer(&other, seen, 100)).is_err());
            let short = Answer { now: claim(&own, seen - 1), proof: Vec::new() };
            assert!(matches!(judge(&was, &short), Err(Rollback::Shorter { .. })));
        }
        assert_eq!(judge(&Claim::NOTHING, &answer(&own, 0, 100)), Ok(()));
    }
}
