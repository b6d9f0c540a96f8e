//! A centre's daemon: it listens to its peers and its researchers, and runs what is approved.

use crate::clock::Clock;
use crate::config::{NodeConfig, read_toml};
use crate::control::{Answer, Ask, Description, RunRequest, receive, send};
use crate::desk::Desk;
use crate::error::NodeError;
use crate::membership::{check_joined, check_members, warn_of_ends, warn_of_rules};
use crate::presence;
use crate::requests::RequestStatus;
use crate::run::run;
use crate::snapshots::settle_all;
use crate::state::State;
use konsil_cohort::{Dataset, Dictionary, Secret, rows_at_most};
use konsil_governance::{Signed, StudyRequest};
use konsil_net::{
    Allow, Channel, Hello, Identity, Incoming, Listener, Options, PublicKey, Role, Switchboard,
};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One centre: configuration, keys, data, state.
#[derive(Debug)]
pub struct CentreNode {
    pub(crate) config: NodeConfig,
    pub(crate) identity: Identity,
    pub(crate) board: Arc<Switchboard>,
    pub(crate) state: State,
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) folder: PathBuf,
    pub(crate) desk: Desk,
    _lock: File,
}

impl CentreNode {
    /// Opens a centre's folder: `konsil.toml`, `identity.key`, `data.key`, `data/`, `node.sqlite`.
    ///
    /// # Errors
    /// [`NodeError`] when anything is missing, readable by others, or in use.
    pub fn open(folder: &Path, clock: Clock) -> Result<Self, NodeError> {
        let lock = crate::process::occupy(folder)?;
        let config: NodeConfig = read_toml(&folder.join("konsil.toml"))?;
        config.policy.check().map_err(|error| NodeError::File {
            path: folder.join("konsil.toml"),
            what: format!("[policy]: {error}"),
        })?;
        check_joined(folder, &config)?;
        let state = State::open(&folder.join("node.sqlite"))?;
        settle_all(folder, &state)?;
        let desk = Desk::new(folder, config.clone(), state.clone(), clock.clone());
        // one that is laxer than the network demands refuses each study by name
        desk.own_policy()?;
        Ok(Self {
            identity: open_identity(folder)?,
            board: Arc::new(Switchboard::new()),
            options: Options::default(),
            clock,
            folder: folder.to_owned(),
            state,
            desk,
            config,
            _lock: lock,
        })
    }

    /// This centre's patients, opened with its key.
    ///
    /// # Errors
    /// [`NodeError::NoData`] before the first import, [`NodeError::Cohort`].
    pub(crate) fn patients(&self) -> Result<Dataset, NodeError> {
        self.desk.patients()
    }

    /// What this centre's noise is drawn from; nobody else's.
    pub(crate) fn noise_secret(&self) -> Result<zeroize::Zeroizing<[u8; 32]>, NodeError> {
        Ok(self.desk.key()?.secret(Secret::Noise))
    }

    /// Takes a request in, if the researcher is still a member.
    fn submit(
        &self,
        request: &Signed<StudyRequest>,
        (key, again): (&str, bool),
    ) -> Result<RequestStatus, NodeError> {
        check_members(&self.config, &[], key, self.desk.today())?;
        self.desk.submit(&self.identity, request, (key, again))
    }

    fn describe(&self) -> Result<Description, NodeError> {
        let dataset = self.patients()?;
        let dictionary: &Dictionary = dataset.dictionary();
        Ok(Description {
            centre: self.config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dataset: self.config.dataset.clone(),
            rows_at_most: rows_at_most(dataset.rows()),
            lineage: self.state.lineage()?,
            budget: self.budget_states()?,
            rules: self.desk.policy()?.rules,
            dictionary_name: format!("{}@{}", dictionary.name, dictionary.version),
            dictionary: dictionary.to_csv(),
            dictionary_hash: dataset.dictionary_hash().to_owned(),
        })
    }
}

/// What frames carry of the network's name.
pub(crate) fn network_id(name: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    digest.first_chunk::<16>().copied().unwrap_or_default()
}

pub(crate) fn open_identity(folder: &Path) -> Result<Identity, NodeError> {
    let path = folder.join("identity.key");
    Identity::open(&path).map_err(|error| NodeError::File { path, what: error.to_string() })
}

/// Runs a centre until the process ends. `ready` is told the address it listens on.
///
/// # Errors
/// [`NodeError`] when the folder or the address cannot be used.
pub fn serve_centre(folder: &Path, ready: impl FnOnce(String)) -> Result<(), NodeError> {
    serve_centre_by(Clock::system(), folder, ready)
}

/// As [`serve_centre`], with any clock.
///
/// # Errors
/// As [`serve_centre`].
pub fn serve_centre_by(
    clock: Clock,
    folder: &Path,
    ready: impl FnOnce(String),
) -> Result<(), NodeError> {
    crate::process::no_core_dumps()?;
    let node = Arc::new(CentreNode::open(folder, clock)?);
    // nobody is there to be asked later
    if crate::keys::is_locked(folder) {
        node.desk.key()?;
    }
    node.log_start()?;
    warn_of_ends(&node.config, node.desk.today());
    warn_of_rules(&node.desk);
    let peers = node.config.centre.iter().chain(&node.config.researcher);
    let keys: Vec<PublicKey> = peers.filter_map(|peer| crate::dealer::key_of(&peer.key)).collect();
    let allow: Allow = Arc::new(move |key| keys.contains(key));
    let handler = {
        let node = Arc::clone(&node);
        move |incoming: Result<Incoming, konsil_net::Refused>| {
            let Ok(incoming) = incoming else { return };
            match incoming.hello.role {
                Role::Centre if presence::is_knock(&incoming.hello) => {
                    let _gone = presence::answer(incoming, (&node.clock, &node.options));
                }
                Role::Centre => node.board.put(incoming),
                Role::Researcher => answer(&node, incoming),
                Role::Dealer => incoming.refuse("identity-mismatch"),
            }
        }
    };
    let listen = node.config.listen.clone();
    let listener = Listener::bind(listen.as_str(), &node.identity, allow, &node.options, handler)
        .map_err(|error| NodeError::wire(error, &[]))?;
    ready(listener.local_address().to_string());
    wait_for_ever()
}

/// The threads do the work; the process ends by a signal.
pub(crate) fn wait_for_ever() -> Result<(), NodeError> {
    loop {
        std::thread::park();
    }
}

/// Serves one researcher's connection until it closes.
fn answer(node: &CentreNode, incoming: Incoming) {
    let key = incoming.peer_key.to_string();
    if !node.config.researcher.iter().any(|peer| peer.key == key) {
        incoming.refuse("identity-mismatch");
        return;
    }
    let theirs = incoming.hello;
    let mine = Hello { from: theirs.to, to: theirs.from, role: Role::Centre, ..theirs };
    let Ok(channel) = incoming.accept(&mine, &node.options) else {
        return;
    };
    while let Ok(ask) = receive::<Ask>(&channel) {
        let answered = match ask {
            Ask::Describe => match node.describe() {
                Ok(description) => send(&channel, &Answer::Description(description)),
                Err(error) => fail(&channel, &error),
            },
            Ask::Presence => send(&channel, &presence::mine(&node.clock)),
            Ask::Submit { request, again } => match node.submit(&request, (&key, again)) {
                Ok(status) => send(&channel, &Answer::Requested(status)),
                Err(error) => fail(&channel, &error),
            },
            Ask::Run(request) => serve_run(node, &channel, (&request, &key)),
        };
        if answered.is_err() {
            return;
        }
    }
}

fn serve_run(
    node: &CentreNode,
    channel: &Channel,
    (request, key): (&RunRequest, &str),
) -> Result<(), NodeError> {
    let progress = |stage: &str, analysis: &str| {
        let (stage, analysis) = (stage.to_owned(), analysis.to_owned());
        // a researcher that went away does not end the run here; the result finds nobody
        let _sent = send(channel, &Answer::Progress { stage, analysis });
    };
    match run(node, (request, key), &progress) {
        Ok(summary) => send(channel, &Answer::Done(Box::new(summary))),
        Err(error) => fail(channel, &error),
    }
}

/// Tells the researcher as much as others may know, and this centre's log the rest.
fn fail(channel: &Channel, error: &NodeError) -> Result<(), NodeError> {
    let (code, text) = (error.code().to_owned(), error.told());
    let cause = std::error::Error::source(error).map(|it| format!(" ({it})")).unwrap_or_default();
    let _closed = writeln!(std::io::stderr().lock(), "{code} {error}{cause}");
    send(channel, &Answer::Failed { code, text })
}
