//! The only door out: verdicts on shares before anything is revealed, and the released numbers.
//!
//! **Invariant:** only this crate makes a [`Release`], and only from parts that the centres handed
//! to the researcher under names of the approved manifest.

mod policy;
mod release;

pub use policy::{
    FILLER, Policy, PolicyError, Refusal, admit, large_enough, protect_rows, suppress,
};
pub use release::{Release, ReleaseError, SealedPart};
