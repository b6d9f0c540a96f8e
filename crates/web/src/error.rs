//! What goes wrong before a page is shown.

use konsil_node::NodeError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a server of pages does not start or cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WebError {
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("{path}: {what}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Something of the accounts.
    #[error("{0}")]
    Account(String),
    /// The system gave no random bytes, or a texts' file is broken.
    #[error("{0}")]
    Internal(&'static str),
    /// Something of the centre's folder.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl WebError {
    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), what: error.to_string() }
    }

    /// For `konsil explain`.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Listen { .. } => "K0901",
            Self::File { .. } => "K0902",
            Self::Account(_) => "K0903",
            Self::Internal(_) => "K0904",
            Self::Node(error) => error.code(),
        }
    }
}
