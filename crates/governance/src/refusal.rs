//! Why a centre does not let a study run, each reason with a code of its own.

use crate::duo::DuoMismatch;
use crate::permit::PermitFault;
use thiserror::Error;

/// A centre's no. Says what to do, and nothing about patients.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody has approved the study here.
    #[error("approval-missing: {0}")]
    Missing(String),
    /// The approval has been used.
    #[error(
        "approval-consumed: the approval of `{0}` has been used for a run; ask for another with  konsil submit"
    )]
    Consumed(String),
    /// The approval is for another study.
    #[error(
        "study-changed: what was approved under the name `{0}` is another study, member list, centre or network than this one; send it again with  konsil submit"
    )]
    Edited(String),
    /// The data set is not the one that the approval names.
    #[error(
        "data-changed: the data set is not the one that was approved; send the study again with  konsil submit"
    )]
    Dataset,
    /// The policy is not the one under which the approval was given.
    #[error(
        "policy-changed: the centre's policy has changed since the approval; send the study again with  konsil submit"
    )]
    Policy,
    /// Another version of the program.
    #[error(
        "version-changed: konsil {approved} was approved, konsil {running} is running; send the study again with  konsil submit"
    )]
    Version {
        /// The version in the approval.
        approved: String,
        /// The version that runs.
        running: String,
    },
    /// Outside the approval's time.
    #[error(
        "approval-expired: the approval holds from {not_before} to {expires}; ask for another with  konsil submit"
    )]
    Expired {
        /// Its first moment.
        not_before: String,
        /// Its last.
        expires: String,
    },
    /// Taken back.
    #[error("approval-revoked: the approval of `{0}` was taken back; ask the centre's steward")]
    Revoked(String),
    /// Signed by somebody who may not.
    #[error(
        "not-a-steward: the approval is signed by {0}, which is not a steward of this centre; a steward in policy.toml must approve"
    )]
    NoRight(String),
    /// The permit, at a moment.
    #[error("permit-not-valid: {0}")]
    Permit(PermitFault),
    /// Data use.
    #[error("data-use-mismatch: {0}")]
    Duo(DuoMismatch),
    /// The purpose is not among those allowed here.
    #[error("purpose-not-allowed: {0}")]
    Purpose(String),
    /// The analysis is not among those allowed here.
    #[error(
        "analysis-not-allowed: this centre does not take part in `{kind}` (it allows {allowed}); leave it out or run without this centre"
    )]
    Analysis {
        /// The kind of analysis.
        kind: String,
        /// Those that are allowed.
        allowed: String,
    },
    /// The queue is full.
    #[error("queue-full: {0}")]
    TooMany(String),
    /// A steward has said no.
    #[error("declined: {0}")]
    Declined(String),
    /// A variable that this centre has not imported.
    #[error(
        "not-offered: this centre's data set has no `{0}`; leave it out or run without this centre"
    )]
    NotOffered(String),
    /// The study is for another version of the dictionary, or the centre has not accepted its own.
    #[error(
        "dictionary-not-accepted: {0}; the centre's steward looks at  konsil dict accept  and imports again"
    )]
    Dictionary(String),
    /// The centre's policy is laxer than the network's rules.
    #[error(
        "policy-too-lax: {0}; this centre's administrator corrects it with  konsil policy edit  and konsil.toml"
    )]
    Lax(String),
}

impl Refusal {
    /// The code for `konsil explain`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "K0610",
            Self::Consumed(_) => "K0611",
            Self::Edited(_) => "K0612",
            Self::Dataset => "K0613",
            Self::Policy => "K0614",
            Self::Version { .. } => "K0615",
            Self::Expired { .. } => "K0616",
            Self::Revoked(_) => "K0617",
            Self::NoRight(_) => "K0618",
            Self::Permit(_) => "K0620",
            Self::Duo(_) => "K0621",
            Self::Purpose(_) => "K0622",
            Self::Analysis { .. } => "K0623",
            Self::TooMany(_) => "K0624",
            Self::Declined(_) => "K0625",
            Self::NotOffered(_) => "K0626",
            Self::Lax(_) => "K0627",
            Self::Dictionary(_) => "K0628",
        }
    }
}
