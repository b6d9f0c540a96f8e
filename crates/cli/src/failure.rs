//! What ends a command: a text for people, a code for `explain`, an exit status for scripts.

use konsil_cohort::{CohortError, FormulaError};
use konsil_governance::network::NetworkError;
use konsil_node::NodeError;
use std::path::Path;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened, where, what to do.
    pub(crate) text: String,
    /// For `konsil explain`.
    pub(crate) code: String,
    /// Exit status.
    pub(crate) exit: u8,
}

impl Failure {
    /// A wrong use of the command.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: "K0801".to_owned(), exit: 2 }
    }

    /// A file or folder.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        NodeError::io(path, error).into()
    }

    /// A process of the lab.
    pub(crate) fn process(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: "K0802".to_owned(), exit: 1 }
    }

    /// A proof that proves nothing.
    pub(crate) fn proof(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: "K0634".to_owned(), exit: 9 }
    }

    /// A permit that is none.
    pub(crate) fn permit(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: "K0620".to_owned(), exit: 5 }
    }

    /// Any other code, with its exit status.
    pub(crate) fn coded(code: &str, text: impl Into<String>) -> Self {
        Self { text: text.into(), code: code.to_owned(), exit: exit_of(code) }
    }

    /// All results were withheld.
    pub(crate) fn withheld(code: &str, text: &str) -> Self {
        Self { text: text.to_owned(), code: code.to_owned(), exit: 6 }
    }
}

/// The exit status of a code, as `konsil explain exit-codes` lists them.
pub(crate) fn exit_of(code: &str) -> u8 {
    let number = code.get(1..).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0);
    match number {
        101..=199 | 310 | 311 | 313 | 315 => 10,
        201..=213 | 220 | 301..=309 | 664 | 704 | 705 | 801 => 2,
        217 | 218 | 501..=509 => 6,
        411 | 412 | 421 | 423 | 424 | 629 => 8,
        312 | 314 | 413..=420 | 422 | 425 | 426 | 430 | 431 | 630..=632 | 634 | 642 => 9,
        661..=663 | 665 | 667 | 668 | 803 | 804 => 9,
        601..=628 | 660 => 5,
        640 | 641 | 643 => 7,
        650 => 5,
        651 | 652 => 10,
        _ => 1,
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        if let NodeError::Cohort(
            file @ (CohortError::Io { .. }
            | CohortError::KeyFileMode { .. }
            | CohortError::KeyFile { .. }),
        ) = error
        {
            // of the centre's own folder: it may be named here
            return file.into();
        }
        let code = error.code().to_owned();
        Self { text: error.to_string(), exit: exit_of(&code), code }
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        NodeError::from(error).into()
    }
}

impl From<CohortError> for Failure {
    fn from(error: CohortError) -> Self {
        let (code, text) = match &error {
            // the report stays at the centre: this is the centre's own screen
            CohortError::CheckFailed(report) => {
                (report.groups.first().map_or("K0101", |group| group.code), report.to_text())
            }
            CohortError::Io { path, source } => ("K0701", format!("{}: {source}", path.display())),
            CohortError::KeyFileMode { .. } | CohortError::KeyFile { .. } => {
                ("K0701", error.to_string())
            }
            CohortError::Tampered { .. } | CohortError::OtherKey { .. } => {
                ("K0312", error.to_string())
            }
            CohortError::SnapshotMismatch { .. } => ("K0314", error.to_string()),
            CohortError::Locked { .. } | CohortError::Passphrase { .. } => {
                ("K0316", error.to_string())
            }
            CohortError::Mapping { .. } | CohortError::DatasetName { .. } => {
                ("K0801", error.to_string())
            }
            CohortError::Dictionary { .. } => ("K0115", error.to_string()),
            CohortError::Formula(it) | CohortError::Predicate(it) => (it.code, it.render()),
            _ => ("K0116", error.to_string()),
        };
        Self { text, code: code.to_owned(), exit: exit_of(code) }
    }
}

impl From<FormulaError> for Failure {
    fn from(error: FormulaError) -> Self {
        Self { text: error.render(), code: error.code.to_owned(), exit: 2 }
    }
}
