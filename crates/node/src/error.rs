//! What goes wrong at a node or at the researcher's end, each with the code that `explain` knows.

use konsil_analyses::AnalysisError;
use konsil_cohort::{CohortError, Diagnostic};
use konsil_governance::budget::BudgetError;
use konsil_governance::network::NetworkError;
use konsil_governance::{PlanError, Refusal, StudyError};
use konsil_mpc::{MpcError, WireError};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a node, a dealer or a run stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A file or folder.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// Another process uses the folder.
    #[error("{}: another konsil process uses this folder; stop it first", .0.display())]
    InUse(PathBuf),
    /// The node's database.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A database of a later version of the program.
    #[error(
        "{}: its tables have version {found}, this program knows {known}; run the newer program",
        path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version that is known.
        known: i64,
    },
    /// The audit log could not be written.
    #[error(
        "audit-unavailable: the log could not be written ({0}); nothing more is done until the node \
         is started again"
    )]
    AuditUnavailable(String),
    /// An entry of the audit log was changed or is missing.
    #[error(
        "audit-broken: entry {0} of the audit log was changed, or is missing; keep the folder as it \
         is and compare it with a backup and with what the other centres have seen"
    )]
    AuditBroken(u64),
    /// What is stored of a peer's log was changed.
    #[error(
        "audit-broken: what is stored here of the log of {0} was changed; keep the folder as it is \
         and compare it with a backup"
    )]
    WitnessBroken(String),
    /// A log does not contain what was seen of it.
    #[error(
        "rollback-detected: {centre}: {what}; was a backup restored there? its administrator decides \
         with  konsil audit accept-rollback"
    )]
    Rollback {
        /// Whose log.
        centre: String,
        /// What is wrong with it.
        what: String,
    },
    /// Two clocks are too far apart for what is signed with times.
    #[error(
        "clock-skew: the clock of {centre} is {seconds} s off this centre's; set both right (NTP), \
         then run again"
    )]
    ClockSkew {
        /// Whose clock.
        centre: String,
        /// How far it is ahead.
        seconds: i64,
    },
    /// The budget ledger says no.
    #[error(transparent)]
    Budget(Box<BudgetError>),
    /// The log was rolled back, and with it what was spent.
    #[error(
        "budget-void: this centre's log was rolled back, and nobody knows what was spent since the \
         backup; everything counts as spent until its stewards sign:  konsil budget renew"
    )]
    BudgetVoid,
    /// The study.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// No plan can be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The condition of the cohort, with the place in its text.
    #[error("{}", .0.render())]
    Condition(Box<Diagnostic>),
    /// An analysis ended without a result.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// This centre's patients.
    #[error(transparent)]
    Cohort(#[from] CohortError),
    /// Consent cannot be looked up.
    #[error("{0}")]
    Consent(String),
    /// A file about consent that says something of nobody in particular.
    #[error(
        "{0} places of the file cannot be read and may be anybody's, a withdrawal among them; \
         nothing was taken over, correct the file"
    )]
    ConsentFile(usize),
    /// Nothing has been imported yet.
    #[error(
        "has no data set `{0}` yet; import one with  konsil lab import  or  konsil data import"
    )]
    NoData(String),
    /// A data set that was never frozen.
    #[error(
        "snapshot-missing: the data set `{0}` was never frozen, so that nobody could say later on \
         which file a study ran; at the centre:  konsil data freeze {0}  (or, to go on without, \
         unfrozen_data = true  in konsil.toml)"
    )]
    NotFrozen(String),
    /// Links between parties.
    #[error("{}", told(.error, names))]
    Wire {
        /// What happened.
        error: WireError,
        /// Names of the parties, so that a person knows whom it concerns.
        names: Vec<String>,
    },
    /// This centre says no.
    #[error("refused: {0}")]
    Refused(String),
    /// What the plan was made of has changed; a new plan may run.
    #[error("refused: {0}; plan again")]
    Stale(&'static str),
    /// A membership is over.
    #[error(
        "membership-expired: the membership of {name} ended on {last}; the administrator of the \
         network renews it with  konsil network renew {name}  and sends network.json to all"
    )]
    Expired {
        /// Whose.
        name: String,
        /// Its last day.
        last: jiff::civil::Date,
    },
    /// A document of the network that is refused.
    #[error(transparent)]
    Network(Box<NetworkError>),
    /// There is no approval that holds, or the policy does not allow what is asked.
    #[error(transparent)]
    Governance(#[from] Refusal),
    /// The researcher's link to a centre ended.
    #[error("{centre}: peer-lost: the link to its node ended ({}); is it running?", .error.name())]
    Lost {
        /// Which centre.
        centre: String,
        /// How the link ended.
        error: WireError,
    },
    /// A centre ended the run; its own words.
    #[error("{centre}: {text}")]
    Centre {
        /// Which centre.
        centre: String,
        /// The code it gave.
        code: String,
        /// What it said.
        text: String,
    },
    /// A message that is none.
    #[error("{0}: the message is not understood; do both sides run the same version?")]
    Message(&'static str),
    /// Sealing or unsealing failed.
    #[error("the sealed result cannot be opened")]
    Sealed,
    /// No randomness.
    #[error("the system gives no randomness")]
    Random,
}

impl NodeError {
    /// A wire error with the names of the parties.
    #[must_use]
    pub fn wire(error: WireError, names: &[String]) -> Self {
        Self::Wire { error, names: names.to_vec() }
    }

    /// What is wrong with the condition of a cohort.
    pub(crate) fn condition(error: CohortError) -> Self {
        match error {
            CohortError::Predicate(diagnostic) => Self::Condition(diagnostic),
            other => other.into(),
        }
    }

    /// An error about a file, from what the system said.
    #[must_use]
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), what: error.to_string() }
    }

    /// What this centre tells others: paths, disks and patients are its own affair.
    #[must_use]
    pub(crate) fn told(&self) -> String {
        match self.code() {
            COHORT | "K0310" => {
                "its patients cannot be used for this study; the log of its node says why"
                    .to_owned()
            }
            "K0312" | "K0314" | "K0316" | "K0630" | "K0632" | "K0633" | "K0642" | "K0701"
            | "K0703" => {
                "its node cannot use its own files; the log of its node says which".to_owned()
            }
            _ => self.to_string(),
        }
    }

    /// The code under which `konsil explain` tells more.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::File { .. } => "K0701",
            Self::InUse(_) => "K0702",
            Self::Database(_) => "K0703",
            Self::AuditUnavailable(_) => "K0630",
            Self::Rollback { .. } => "K0631",
            Self::AuditBroken(_) | Self::WitnessBroken(_) => "K0632",
            Self::NewerSchema { .. } => "K0633",
            Self::ClockSkew { .. } => "K0635",
            Self::Budget(error) => match **error {
                BudgetError::Exhausted { .. } => "K0640",
                BudgetError::Broken(_) => "K0642",
                _ => "K0641",
            },
            Self::BudgetVoid => "K0643",
            Self::Study(_) => "K0704",
            Self::Plan(PlanError::Analysis(error)) | Self::Analysis(error) => analysis_code(error),
            Self::Plan(_) => "K0705",
            Self::Condition(diagnostic) => diagnostic.code,
            Self::Cohort(CohortError::Tampered { .. } | CohortError::OtherKey { .. }) => "K0312",
            Self::Cohort(CohortError::SnapshotMismatch { .. }) => "K0314",
            Self::Cohort(CohortError::Locked { .. } | CohortError::Passphrase { .. }) => "K0316",
            Self::Cohort(_) => COHORT,
            Self::NoData(_) => "K0313",
            Self::NotFrozen(_) => "K0315",
            Self::Consent(_) => "K0650",
            Self::ConsentFile(_) => "K0651",
            Self::Wire { error, .. } => wire_code(error),
            Self::Refused(_) => "K0601",
            Self::Stale(_) => "K0629",
            Self::Expired { .. } => "K0660",
            Self::Network(error) => error.code(),
            Self::Governance(refusal) => refusal.code(),
            Self::Lost { .. } => "K0411",
            Self::Centre { code, .. } => code,
            Self::Message(_) => "K0430",
            Self::Sealed => "K0431",
            Self::Random => "K0432",
        }
    }
}

impl From<NetworkError> for NodeError {
    fn from(error: NetworkError) -> Self {
        Self::Network(Box::new(error))
    }
}

impl From<BudgetError> for NodeError {
    fn from(error: BudgetError) -> Self {
        Self::Budget(Box::new(error))
    }
}

/// This centre's patients cannot be used as asked.
const COHORT: &str = "K0311";

fn analysis_code(error: &AnalysisError) -> &str {
    match error {
        AnalysisError::Mpc(MpcError::Wire(error)) => wire_code(error),
        AnalysisError::Mpc(MpcError::NotDeclared { .. }) => "K0425",
        AnalysisError::Mpc(MpcError::Burn(_)) => "K0426",
        AnalysisError::Cohort(_) => COHORT,
        other => other.code(),
    }
}

/// The code of a link's error.
fn wire_code(error: &WireError) -> &'static str {
    match error {
        WireError::PeerLost { .. } => "K0411",
        WireError::PeerTooSlow { .. } => "K0412",
        WireError::VersionMismatch { .. } => "K0413",
        WireError::SessionMismatch { .. } => "K0414",
        WireError::ProtocolOrder { .. } => "K0415",
        WireError::FrameTruncated => "K0416",
        WireError::FrameTooLarge { .. } => "K0417",
        WireError::ShapeMismatch { .. } => "K0418",
        WireError::PqRequired => "K0419",
        WireError::IdentityMismatch => "K0420",
        WireError::DealerIncomplete => "K0421",
        WireError::DealerCorrupt => "K0422",
        WireError::Aborted { .. } => "K0423",
        _ => "K0424",
    }
}

/// The error with the party's name instead of its number.
fn told(error: &WireError, names: &[String]) -> String {
    let name =
        |party: &usize| names.get(*party).cloned().unwrap_or_else(|| format!("party {party}"));
    match error {
        WireError::PeerLost { party, round } => {
            format!("peer-lost: {} went away in round {round}; is its node running?", name(party))
        }
        WireError::PeerTooSlow { party } => {
            format!("peer-too-slow: {} sends too slowly; look at its line", name(party))
        }
        WireError::Aborted { party, reason } => {
            format!("peer-aborted: {} ended the run: {reason}", name(party))
        }
        WireError::VersionMismatch { mine, yours } => format!(
            "version-mismatch: we speak protocol {mine}, the peer {yours}; run the same version"
        ),
        other => other.to_string(),
    }
}
