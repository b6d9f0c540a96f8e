//! Which versions of its dictionary a centre has accepted: what `konsil dict accept` has written into
//! the folder `dictionary`.

use crate::error::NodeError;
use konsil_cohort::Dictionary;
use konsil_governance::network::is_name;
use konsil_governance::{Proposal, Signed};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Versions with the hashes of what they say.
pub(crate) type Accepted = BTreeMap<u32, String>;

/// Where the proposal is that was accepted last of a dictionary, in a centre's folder.
#[must_use]
pub fn accepted_path(folder: &Path, name: &str) -> PathBuf {
    folder.join("dictionary").join(format!("{name}.json"))
}

/// Where an accepted version of a dictionary is, ready for an import.
#[must_use]
pub fn accepted_csv(folder: &Path, name: &str, version: u32) -> PathBuf {
    folder.join("dictionary").join(format!("{name}@{version}.csv"))
}

/// All versions of a dictionary that a centre has accepted by proposal, each with its hash; none where
/// it has accepted none.
///
/// # Errors
/// [`NodeError::File`], [`NodeError::Cohort`] for a file that cannot be read.
pub(crate) fn accepted_versions(folder: &Path, name: &str) -> Result<Accepted, NodeError> {
    // a proposal's name is always one
    if !is_name(name) || !accepted_path(folder, name).exists() {
        return Ok(Accepted::new());
    }
    let path = accepted_path(folder, name);
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| NodeError::io(path, &error));
    let wrong = |what: String| NodeError::File { path: path.clone(), what };
    let last: Signed<Proposal> =
        serde_json::from_str(&read(&path)?).map_err(|error| wrong(error.to_string()))?;
    let last = last.body.parsed().map_err(|error| wrong(error.to_string()))?;
    let mut accepted = Accepted::from([(last.version, last.hash())]);
    let places = folder.join("dictionary");
    for entry in fs::read_dir(&places).map_err(|error| NodeError::io(&places, &error))? {
        let entry = entry.map_err(|error| NodeError::io(&places, &error))?;
        let stem =
            entry.file_name().to_str().and_then(|it| it.strip_suffix(".csv")).map(str::to_owned);
        let Some(title) = stem else { continue };
        let version = title.strip_prefix(name).and_then(|it| it.strip_prefix('@'));
        let version = version.and_then(|it| it.parse::<u32>().ok());
        if let Some(version) = version.filter(|it| *it < last.version) {
            let earlier = Dictionary::parse(&title, &read(&entry.path())?)?;
            accepted.insert(version, earlier.hash());
        }
    }
    Ok(accepted)
}
