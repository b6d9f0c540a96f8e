//! The only door out: verdicts on shares before anything is revealed, and the released numbers.
//!
//! **Invariant:** only this crate makes a [`Release`], and only from parts that the centres handed
//! to the researcher under names of the approved manifest.

mod attack;
mod columns;
mod differences;
mod noise;
mod policy;
mod release;
mod rounding;
mod tables;
mod verdicts;

pub use attack::{Described, FOUND_PER_MILLE, attack};
pub use columns::{Candidates, Supports, stand_apart};
pub use differences::{DIFFERENCES, Overlaps, PAIRS_MAX, compare_cohorts};
pub use noise::{Mechanism, NANO, Noise, NoiseError, PART_DEVIATION_MIN, Query};
pub use policy::{Policy, PolicyError, Refusal, Residual, Rounding, Scans};
pub use release::{Release, ReleaseError, SealedPart};
pub use rounding::midpoints;
pub use tables::{FILLER, protect_rows, protect_table};
pub use verdicts::{
    Applicants, Counts, admit, by_centre, evenly_made, large_enough, large_enough_or_zero, require,
    suppress,
};
