//! Versions of the shared dictionary: proposed by a member, accepted by each centre.

use crate::signing::Signed;
use konsil_cohort::Dictionary;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Domain of a proposal's signature.
pub const PROPOSAL: &str = "dictionary proposal";

/// A dictionary that a member proposes to all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Name of the network.
    pub network: String,
    /// Name of the dictionary.
    pub name: String,
    /// From 1 without gaps.
    pub version: u32,
    /// The dictionary as CSV.
    pub dictionary: String,
    /// Hash of the version before; empty in the first.
    pub previous: String,
}

/// Why a proposal is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProposalError {
    /// Changed, or signed by somebody else.
    #[error("the proposal was changed, or is not signed by a centre of the network")]
    Signature,
    /// It does not continue what was accepted.
    #[error("{name}@{proposed} does not follow {name}@{accepted}, which was accepted here")]
    Order {
        /// The dictionary.
        name: String,
        /// Its proposed version.
        proposed: u32,
        /// The version that was accepted, 0 for none.
        accepted: u32,
    },
    /// It is no dictionary.
    #[error(transparent)]
    Dictionary(#[from] konsil_cohort::CohortError),
}

impl ProposalError {
    /// The code under which `konsil explain` tells more.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signature => "K0667",
            Self::Order { .. } => "K0668",
            Self::Dictionary(_) => "K0115",
        }
    }
}

impl Proposal {
    /// The dictionary.
    ///
    /// # Errors
    /// [`ProposalError::Dictionary`].
    pub fn parsed(&self) -> Result<Dictionary, ProposalError> {
        Ok(Dictionary::parse(&format!("{}@{}", self.name, self.version), &self.dictionary)?)
    }
}

/// Checks a proposal against the centres' keys and what was accepted before. The first one that a
/// centre accepts may have any version.
///
/// # Errors
/// [`ProposalError`].
pub fn check_proposal(
    proposal: &Signed<Proposal>,
    (network, keys): (&str, &[String]),
    accepted: Option<&Proposal>,
) -> Result<Dictionary, ProposalError> {
    let body = &proposal.body;
    if !keys.contains(&proposal.signer)
        || proposal.verified(PROPOSAL).is_err()
        || body.network != network
    {
        return Err(ProposalError::Signature);
    }
    if let Some(before) = accepted {
        let hash = before.parsed()?.hash();
        let follows = body.name == before.name
            && body.version == before.version.saturating_add(1)
            && body.previous == hash;
        if !follows {
            let (name, proposed, accepted) = (body.name.clone(), body.version, before.version);
            return Err(ProposalError::Order { name, proposed, accepted });
        }
    }
    body.parsed()
}
