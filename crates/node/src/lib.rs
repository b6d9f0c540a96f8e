//! The daemons: a centre's node and the dealer, and the researcher's end of a run.
//!
//! **Invariant:** a node shows its patients to nothing but its own analyses; what leaves it is
//! shares over authenticated links, and sealed parts of what was approved.

mod admission;
mod asking;
mod audit;
mod budget;
mod cells;
mod centre;
mod charge;
mod clock;
mod config;
mod consent;
mod control;
mod counters;
mod dealer;
mod decisions;
mod desk;
mod dictionaries;
mod doctor;
mod error;
mod events;
mod forecast;
mod genotypes;
mod keys;
mod lifecycle;
mod lineage;
mod membership;
mod memberships;
mod policies;
mod presence;
mod process;
mod question;
mod requests;
mod requests_store;
mod researcher;
mod rotation;
mod run;
mod scores;
mod seal;
mod sets;
mod snapshots;
mod state;
mod transparency;

pub use asking::Answers;
pub use audit::{
    AuditReport, accept_rollback, audit_entries, audit_proof, renew_budget, verify_audit,
};
pub use budget::{Balances, budget_balances};
pub use centre::{CentreNode, serve_centre, serve_centre_by};
pub use clock::{Clock, rfc_3339};
pub use config::{
    DealerConfig, NetworkFile, NodeConfig, Peer, read_toml, write_private, write_toml,
};
pub use consent::{ConsentCounts, Source};
pub use control::{BudgetState, Description, Presence, RunSummary};
pub use dealer::serve_dealer;
pub use decisions::RequestView;
pub use desk::Desk;
pub use dictionaries::{accepted_csv, accepted_path};
pub use doctor::{Finding, Mark, Patient, examine};
pub use error::NodeError;
pub use forecast::{BudgetForecast, Forecast};
pub use genotypes::freeze_genotypes;
pub use keys::{CentreKey, ask_passphrase, open_key, open_or_make_key, read_passphrase};
pub use memberships::{Membership, SubjectUse};
pub use presence::knock;
pub use requests::RequestStatus;
pub use requests_store::RequestRecord;
pub use researcher::{AnalysisResult, Event, Outcome, Researcher, StudyRun};
pub use rotation::{KeyUse, Rotated, key_uses, rotate_key, set_passphrase};
pub use seal::SEALED_OVERHEAD_BYTES;
pub use snapshots::{check_frozen, freeze, freeze_with};
pub use state::{RunRecord, State};
pub use transparency::{PublicRelease, PublicStudy};
