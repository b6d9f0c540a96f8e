//! Configuration files: a node's `konsil.toml`, the network's list, and how they are written.

use crate::error::NodeError;
use jiff::civil::Date;
use konsil_disclosure::Policy;
use konsil_governance::budget::Limits;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A member of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Name, as people say it.
    pub name: String,
    /// Public key, 64 hexadecimal digits.
    pub key: String,
    /// `host:port`; empty where it is told with each run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Last day of its membership; none in labs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
}

/// A centre's `konsil.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// This centre's name.
    pub name: String,
    /// Name of the network; all members have the same.
    pub network: String,
    /// Where to listen; port 0 takes a free one.
    #[serde(default = "loopback")]
    pub listen: String,
    /// Name of the data set that studies run on.
    #[serde(default)]
    pub dataset: String,
    /// Name of the genotypes of its patients, if there are any.
    #[serde(default = "usual_genotypes", skip_serializing_if = "is_usual_genotypes")]
    pub genotypes: String,
    /// Whether studies may run on a data set that was never frozen, so that nobody can say later which
    /// file it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfrozen_data: bool,
    /// Whether requests within the policy run without a person's approval (labs and demos).
    #[serde(default)]
    pub approve_by_policy: bool,
    /// The least that this centre insists on.
    #[serde(default)]
    pub policy: Policy,
    /// The most that may be spent of the privacy budget.
    #[serde(default)]
    pub budget: Limits,
    /// All centres of the network, this one included.
    #[serde(default)]
    pub centre: Vec<Peer>,
    /// The dealer; none before a network was joined.
    #[serde(default)]
    pub dealer: Peer,
    /// Who may send studies.
    #[serde(default)]
    pub researcher: Vec<Peer>,
}

/// Name of genotypes unless the configuration says otherwise.
fn usual_genotypes() -> String {
    "geno".to_owned()
}

fn is_usual_genotypes(name: &String) -> bool {
    *name == usual_genotypes()
}

/// The dealer's `konsil.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DealerConfig {
    /// Name of the network.
    pub network: String,
    /// Where to listen; port 0 takes a free one.
    #[serde(default = "loopback")]
    pub listen: String,
    /// The centres it deals for.
    #[serde(default)]
    pub centre: Vec<Peer>,
}

/// The researcher's view of a network: `network.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// Name of the network.
    pub network: String,
    /// The researcher's key file, relative to this file.
    pub identity: String,
    /// The centres, with addresses.
    #[serde(default)]
    pub centre: Vec<Peer>,
    /// The dealer, with address.
    pub dealer: Peer,
}

fn loopback() -> String {
    "127.0.0.1:0".to_owned()
}

/// Reads a configuration file.
///
/// # Errors
/// [`NodeError::File`] with line and column of what is wrong.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, NodeError> {
    let text = fs::read_to_string(path).map_err(|error| NodeError::io(path, &error))?;
    toml::from_str(&text).map_err(|error| NodeError::File {
        path: path.to_owned(),
        what: error.to_string().trim_end().to_owned(),
    })
}

/// Writes a configuration file.
///
/// # Errors
/// [`NodeError::File`].
pub fn write_toml<T: Serialize>(path: &Path, value: &T) -> Result<(), NodeError> {
    let text = toml::to_string_pretty(value)
        .map_err(|error| NodeError::File { path: path.to_owned(), what: error.to_string() })?;
    write_private(path, text.as_bytes())
}

/// Writes a file that only its owner may read, by way of a new file, so that it is never half there.
///
/// # Errors
/// [`NodeError::File`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    let fail = |error: std::io::Error| NodeError::io(path, &error);
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(fail)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&new, path)).map_err(|error| {
        // a part of a file is of no use; what was there before still stands
        let _gone = fs::remove_file(&new);
        NodeError::io(path, &error)
    })
}
