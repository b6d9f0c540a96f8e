//! What is asked and allowed: studies, plans, the guarantee in words.

pub mod audit;
pub mod budget;
mod guarantee;
mod hex;
mod plan;
mod signing;
mod study;

pub use guarantee::{guarantee, noise_statement};
pub use hex::{from_hex, to_hex};
pub use plan::{
    AnalysisPlan, CentrePlan, Plan, PlanError, Revealed, Stage, network_plan, seed_bytes, stages,
    witness_bytes,
};
pub use signing::{SignatureError, Signed, canonical, hash_of};
pub use study::{Centres, Cohort, ReleaseRules, Study, StudyError, StudyHead};
