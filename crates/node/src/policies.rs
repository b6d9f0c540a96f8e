//! A centre's policy file, and the floor under it: the rules that the signed list of the network
//! demands of every centre.

use crate::config::NodeConfig;
use crate::desk::Desk;
use crate::error::NodeError;
use konsil_disclosure::Policy;
use konsil_governance::network::{Network, Rules, verify};
use konsil_governance::{CentrePolicy, Refusal, Signed, StandingRule};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The signed list that was taken over last.
const NETWORK_FILE: &str = "network.json";

/// Where a centre's policy is.
fn policy_path(folder: &Path) -> PathBuf {
    folder.join("policy.toml")
}

/// A policy's text as the policy file of a folder.
fn parse(folder: &Path, text: &str) -> Result<CentrePolicy, NodeError> {
    CentrePolicy::parse(text)
        .map_err(|error| NodeError::File { path: policy_path(folder), what: error.to_string() })
}

/// The policy file; without one, the rules of `konsil.toml` and defaults.
fn policy_file(folder: &Path, config: &NodeConfig) -> Result<CentrePolicy, NodeError> {
    let path = policy_path(folder);
    let own = config.policy.clone();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(CentrePolicy { rules: own, ..CentrePolicy::default() });
        }
        Err(error) => return Err(NodeError::io(&path, &error)),
    };
    let mut policy = parse(folder, &text)?;
    if !states_rules(&text) {
        policy.rules = own.clone();
    }
    if own != Policy::default() && own != policy.rules {
        let what = "[rules] differs from [policy] in konsil.toml; keep one of them".to_owned();
        return Err(NodeError::File { path, what });
    }
    Ok(policy)
}

/// Whether a policy file has rules of its own.
fn states_rules(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("rules"))
}

/// What the network demands of its centres, by the signed list in a centre's folder; nothing where
/// no list was taken over, as in labs.
///
/// # Errors
/// [`NodeError::File`], [`NodeError::Network`] when the list cannot be read or was changed.
pub(crate) fn demanded(folder: &Path) -> Result<Option<Rules>, NodeError> {
    let path = folder.join(NETWORK_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(NodeError::io(&path, &error)),
    };
    let chain: Vec<Signed<Network>> = serde_json::from_str(&text)
        .map_err(|error| NodeError::File { path, what: error.to_string() })?;
    Ok(Some(verify(&chain)?.rules.clone()))
}

/// The policy of a folder with all that the node approves by itself, whatever the network demands.
pub(crate) fn own_policy(folder: &Path, config: &NodeConfig) -> Result<CentrePolicy, NodeError> {
    let mut policy = policy_file(folder, config)?;
    if config.approve_by_policy {
        policy.standing.push(StandingRule::default());
    }
    Ok(policy)
}

/// Refuses a policy that is laxer than the network's rules.
pub(crate) fn check_floor(folder: &Path, policy: &CentrePolicy) -> Result<(), NodeError> {
    match demanded(folder)?.map(|it| it.laxer(policy)) {
        Some(laxer) if !laxer.is_empty() => Err(Refusal::Lax(laxer.join("; ")).into()),
        _ => Ok(()),
    }
}

impl Desk {
    /// Where the centre's policy is.
    #[must_use]
    pub fn policy_path(&self) -> PathBuf {
        policy_path(&self.folder)
    }

    /// The policy file; without one, the rules of `konsil.toml` and defaults.
    ///
    /// # Errors
    /// [`NodeError::File`] with line and key of what is wrong.
    pub fn policy_file(&self) -> Result<CentrePolicy, NodeError> {
        policy_file(&self.folder, &self.config)
    }

    /// A policy's text as this centre's policy file.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn parse_policy(&self, text: &str) -> Result<CentrePolicy, NodeError> {
        parse(&self.folder, text)
    }

    /// The centre's policy as it is, be it laxer than the network allows: the file, and where
    /// `konsil.toml` approves by policy a standing rule for everything.
    ///
    /// # Errors
    /// As [`Desk::policy_file`].
    pub fn own_policy(&self) -> Result<CentrePolicy, NodeError> {
        own_policy(&self.folder, &self.config)
    }

    /// The policy in force. One that is laxer than the network's rules lets nothing run.
    ///
    /// # Errors
    /// As [`Desk::policy_file`]; [`Refusal::Lax`].
    pub fn policy(&self) -> Result<CentrePolicy, NodeError> {
        let policy = self.own_policy()?;
        check_floor(&self.folder, &policy)?;
        Ok(policy)
    }

    /// What the network demands of this centre's policy; nothing in labs.
    ///
    /// # Errors
    /// [`NodeError::File`], [`NodeError::Network`].
    pub fn demanded(&self) -> Result<Option<Rules>, NodeError> {
        demanded(&self.folder)
    }

    /// Whether a policy file that is not in force yet would be strict enough for the network.
    ///
    /// # Errors
    /// [`Refusal::Lax`]; as [`Desk::demanded`].
    pub fn check_floor(&self, file: &CentrePolicy) -> Result<(), NodeError> {
        let mut policy = file.clone();
        if self.config.approve_by_policy {
            policy.standing.push(StandingRule::default());
        }
        check_floor(&self.folder, &policy)
    }
}
