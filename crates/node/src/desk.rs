//! A centre's desk: its folder as node and stewards see it. Policy, data set, requests; the node may
//! run or not.

use crate::clock::Clock;
use crate::config::{NodeConfig, read_toml};
use crate::error::NodeError;
use crate::keys::{CentreKey, open_key};
use crate::state::State;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use konsil_governance::audit::Event;
use konsil_governance::{Bound, CentrePolicy, SignatureError};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Time of change, size, root.
type Known = (SystemTime, u64, String);

/// A centre's folder, for whoever decides there.
#[derive(Clone, Debug)]
pub struct Desk {
    pub(crate) config: NodeConfig,
    pub(crate) folder: PathBuf,
    pub(crate) state: State,
    pub(crate) clock: Clock,
    root: Arc<Mutex<Option<Known>>>,
    /// Opened once: a passphrase is asked for once.
    key: Arc<Mutex<Option<Arc<CentreKey>>>>,
}

impl Desk {
    /// Opens a centre's folder beside a node that may be running.
    ///
    /// # Errors
    /// [`NodeError`] when configuration or database cannot be used.
    pub fn open(folder: &Path, clock: Clock) -> Result<Self, NodeError> {
        let config: NodeConfig = read_toml(&folder.join("konsil.toml"))?;
        let state = State::join(&folder.join("node.sqlite"))?;
        Ok(Self::new(folder, config, state, clock))
    }

    pub(crate) fn new(folder: &Path, config: NodeConfig, state: State, clock: Clock) -> Self {
        let (root, key) = (Arc::default(), Arc::default());
        Self { config, folder: folder.to_owned(), state, clock, root, key }
    }

    /// The centre's data key.
    ///
    /// # Errors
    /// As [`open_key`].
    pub(crate) fn key(&self) -> Result<Arc<CentreKey>, NodeError> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.as_ref() {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(open_key(&self.folder)?);
        self.state.seal_earlier(self.clock.now(), &key)?;
        *known = Some(Arc::clone(&key));
        Ok(key)
    }

    /// Name of the centre.
    #[must_use]
    pub fn centre(&self) -> &str {
        &self.config.name
    }

    /// Name of the data set that studies use.
    #[must_use]
    pub fn dataset(&self) -> &str {
        &self.config.dataset
    }

    /// Root over the file of the data set, computed anew when the file's time or size has changed,
    /// or another file was frozen.
    ///
    /// # Errors
    /// [`NodeError::NoData`], [`NodeError::File`]; [`NodeError::Cohort`] when the file is not the
    /// frozen one.
    pub fn dataset_root(&self) -> Result<String, NodeError> {
        let path = self.folder.join("data").join(format!("{}.konsil", self.config.dataset));
        let fail = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => NodeError::NoData(self.config.dataset.clone()),
            _ => NodeError::io(&path, &error),
        };
        let about = fs::metadata(&path).map_err(fail)?;
        let (time, size) = (about.modified().map_err(fail)?, about.len());
        let frozen = self.frozen_root()?;
        let mut known = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, bytes, root)) = known.as_ref()
            && (*at, *bytes) == (time, size)
            && frozen.is_none_or(|frozen| frozen == *root)
        {
            return Ok(root.clone());
        }
        let root = self.fresh_root()?;
        *known = Some((time, size, root.clone()));
        Ok(root)
    }

    /// What an approval given now would be bound to.
    pub(crate) fn bound(
        &self,
        study: &str,
        policy: &CentrePolicy,
        permit: &str,
    ) -> Result<Bound, NodeError> {
        Ok(Bound {
            centre: self.config.name.clone(),
            network: self.config.network.clone(),
            study: study.to_owned(),
            dataset: self.dataset_root()?,
            policy: policy.hash().map_err(unwritable)?,
            permit: permit.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The day, in UTC.
    pub(crate) fn today(&self) -> Date {
        self.clock.now().to_zoned(TimeZone::UTC).date()
    }

    /// Writes into the centre's log; what cannot be logged must not happen.
    ///
    /// # Errors
    /// [`NodeError::Database`].
    pub fn log(&self, event: &Event) -> Result<(), NodeError> {
        self.state.log(self.clock.now(), event)
    }

    /// The node as an actor of the log.
    pub(crate) fn node(&self) -> String {
        format!("node@{}", self.config.name)
    }

    /// Name of a researcher by the key.
    #[must_use]
    pub fn researcher(&self, key: &str) -> String {
        let known = self.config.researcher.iter().find(|it| it.key == key);
        known.map_or_else(|| short(key), |it| it.name.clone())
    }
}

/// The first digits of a key, for people.
pub(crate) fn short(key: &str) -> String {
    format!("key {}…", key.get(..12).unwrap_or(key))
}

/// A document without a canonical form.
pub(crate) fn unwritable(_: SignatureError) -> NodeError {
    NodeError::Message("unwritable document")
}
