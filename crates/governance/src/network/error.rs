//! What is wrong with a network's document, each with the code that `explain` knows.

use crate::signing::SignatureError;
use jiff::civil::Date;
use thiserror::Error;

/// Why a document of a network is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// There is no version at all.
    #[error("the network file holds no version")]
    Empty,
    /// A document has no canonical form.
    #[error("the document cannot be written down")]
    Unwritable,
    /// A version is not signed by whom it must be.
    #[error(
        "version {0} of the network was changed, or is not signed by an administrator of the \
         version before; ask for the file again and compare the words by phone"
    )]
    Signature(u32),
    /// A key was exchanged without the old key's consent.
    #[error(
        "version {version} gives {name} another key without consent of the old one; ask {name} by \
         phone whether its key was exchanged"
    )]
    KeyChanged {
        /// The version.
        version: u32,
        /// The member.
        name: String,
    },
    /// A version does not follow the one before.
    #[error(
        "version {found} of the network does not follow version {before}; a version is missing"
    )]
    Gap {
        /// The version before.
        before: u32,
        /// What came.
        found: u32,
    },
    /// A version names another one as the version before it.
    #[error("version {0} of the network was not made from the version before it in this file")]
    Unlinked(u32),
    /// The file ends earlier than what was accepted before.
    #[error("the file ends with version {offered}, version {accepted} was accepted here before")]
    Older {
        /// What the file ends with.
        offered: u32,
        /// What was accepted.
        accepted: u32,
    },
    /// The file tells another history than what was accepted before.
    #[error(
        "version {0} differs from the one that was accepted here before; two lists are in use: \
         compare with the other members"
    )]
    Forked(u32),
    /// A version makes no sense by itself.
    #[error("version {version} of the network: {what}")]
    Malformed {
        /// The version.
        version: u32,
        /// What is wrong.
        what: String,
    },
    /// An invite, join request or rotation that does not hold.
    #[error("{0}")]
    Joining(&'static str),
    /// An invite whose time is over.
    #[error("the invite was valid until {0}; ask the administrator for a new one")]
    InviteExpired(Date),
}

impl NetworkError {
    /// The code under which `konsil explain` tells more.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signature(_) | Self::KeyChanged { .. } | Self::Unlinked(_) => "K0661",
            Self::Gap { .. } | Self::Older { .. } | Self::Forked(_) => "K0662",
            Self::Joining(_) | Self::InviteExpired(_) => "K0663",
            Self::Empty | Self::Unwritable | Self::Malformed { .. } => "K0664",
        }
    }
}

impl From<SignatureError> for NetworkError {
    fn from(_: SignatureError) -> Self {
        Self::Unwritable
    }
}
