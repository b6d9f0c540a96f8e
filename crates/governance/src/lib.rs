//! What is asked and allowed: studies, policies, permits, approvals, plans, the guarantee in words.

mod approval;
pub mod audit;
pub mod budget;
mod checks;
pub mod consent;
mod duo;
mod exposure;
mod guarantee;
mod hex;
pub mod network;
mod permit;
mod plan;
mod policy;
mod proposal;
mod refusal;
mod score;
mod signing;
mod study;

pub use approval::{APPROVAL, Approval, Bound, Member, REQUEST, RequestState, StudyRequest};
pub use checks::{Asked, Check, judge, purpose_of, variables_used};
pub use duo::{Duo, DuoMismatch, UseTerms, duo_match};
pub use exposure::{Exposure, exposure};
pub use guarantee::{guarantee, noise_statement};
pub use hex::{from_hex, to_hex};
pub use permit::{Format, Moment, PERMIT, Permit, PermitFault, PermitFlaw, PermitUse, Purpose};
pub use plan::{
    AnalysisPlan, CentrePlan, Plan, PlanError, Revealed, Stage, TOKEN_BYTES, network_plan,
    overlaps, seed_bytes, stages, token_bytes, witness_bytes,
};
pub use policy::{CentrePolicy, Person, PolicyFileError, StandingRule};
pub use proposal::{PROPOSAL, Proposal, ProposalError, check_proposal};
pub use refusal::Refusal;
pub use score::StudyScore;
pub use signing::{SignatureError, Signed, canonical, hash_of};
pub use study::{Centres, Cohort, ReleaseRules, Study, StudyError, StudyHead};
