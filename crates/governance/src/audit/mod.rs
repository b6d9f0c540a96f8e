//! The audit log: what happened at a node, in an order that cannot be changed afterwards.
//!
//! Entries form a chain (each names the SHA-256 of the one before) and a Merkle tree (RFC 6962), of
//! which a node signs checkpoints. Whoever has seen a checkpoint notices when anything before it
//! is changed, left out or rolled back.
//!
//! **Invariant:** everything here is pure: bytes in, bytes or verdicts out.

mod chain;
mod checkpoint;
mod event;
mod export;
mod proof;
mod tree;
mod witness;

pub use chain::{Broken, Head, Log, Record};
pub use checkpoint::{Checkpoint, NoteError, NoteLine, SignedCheckpoint, key_hash, origin_of};
pub use event::Event;
pub use export::{ENTERPRISE_OF_EXAMPLES, Exported, to_fhir, to_syslog};
pub use proof::{EntryProof, ProofError};
pub use tree::{Hash, Tree, leaf_hash, verify_consistency, verify_inclusion};
pub use witness::{
    ANSWER_BYTES, Answer, CLAIM_BYTES, Claim, PROOF_HASHES_MAX, Rollback, WITNESS_BYTES, judge,
};
