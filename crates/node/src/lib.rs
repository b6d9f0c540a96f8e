//! The daemons: a centre's node and the dealer, and the researcher's end of a run.
//!
//! **Invariant:** a node shows its patients to nothing but its own analyses; what leaves it is
//! shares over authenticated links, and sealed parts of what was approved.

mod audit;
mod budget;
mod centre;
mod clock;
mod config;
mod control;
mod dealer;
mod error;
mod events;
mod process;
mod researcher;
mod run;
mod seal;
mod state;

pub use audit::{AuditReport, accept_rollback, audit_entries, audit_proof, verify_audit};
pub use budget::budget_balances;
pub use centre::{CentreNode, serve_centre};
pub use clock::{Clock, rfc_3339};
pub use config::{
    DealerConfig, NetworkFile, NodeConfig, Peer, read_toml, write_private, write_toml,
};
pub use control::{Description, RunSummary};
pub use dealer::serve_dealer;
pub use error::NodeError;
pub use researcher::{AnalysisResult, Event, Outcome, Researcher, StudyRun};
pub use seal::SEALED_OVERHEAD_BYTES;
pub use state::{RunRecord, State};
