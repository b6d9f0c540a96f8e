//! Reading the log: entries, verification, proofs. Nothing is written.

use super::{RECORD, read_log, record, record_of};
use crate::config::{NodeConfig, Peer, read_toml};
use crate::dealer::key_of;
use crate::error::NodeError;
use crate::state::State;
use konsil_governance::audit::{
    Checkpoint, EntryProof, Event, Hash, Log, Record, SignedCheckpoint, origin_of,
};
use konsil_governance::to_hex;
use konsil_net::PublicKey;
use serde::Serialize;
use std::path::Path;

/// What a verification found. Everything holds, or there is an error instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// How many entries.
    pub entries: u64,
    /// Time of the first, in seconds since 1970.
    pub since: Option<i64>,
    /// Root of the tree, in hexadecimal.
    pub root: String,
    /// Entries at which the clock had jumped back.
    pub clock_back: u64,
    /// Entries up to which this centre has signed.
    pub signed: u64,
    /// Peers that have co-signed the log, with the entries up to which.
    pub held_by: Vec<(String, u64)>,
    /// Peers whose logs are known here, with their entries.
    pub witnessed: Vec<(String, u64)>,
}

fn open(folder: &Path) -> Result<(State, NodeConfig), NodeError> {
    let config: NodeConfig = read_toml(&folder.join("konsil.toml"))?;
    let path = folder.join("node.sqlite");
    if !path.exists() {
        let what = "no database yet; the node has not been started in this folder".to_owned();
        return Err(NodeError::File { path, what });
    }
    Ok((State::read(&path)?, config))
}

fn own_key(folder: &Path) -> Result<PublicKey, NodeError> {
    Ok(crate::centre::open_identity(folder)?.public_key())
}

/// Verifies the log of a node's folder: the chain, the tree, this centre's signatures, the peers'
/// co-signatures, that no rollback is known, and that the budget
/// ledger ends where the log says. The node may run.
///
/// # Errors
/// [`NodeError::AuditBroken`] with the number of the first wrong entry, [`NodeError::Rollback`],
/// [`NodeError::WitnessBroken`], [`NodeError::Budget`].
pub fn verify_audit(folder: &Path) -> Result<AuditReport, NodeError> {
    let (state, config) = open(folder)?;
    // everything as it is at one moment; the transaction ends with the connection
    state.lock().execute_batch("BEGIN")?;
    verify(&state, &config, own_key(folder)?)
}

pub(super) fn verify(
    state: &State,
    config: &NodeConfig,
    key: PublicKey,
) -> Result<AuditReport, NodeError> {
    let mut log = Log::default();
    read_log(&state.lock(), &mut log)?;
    let entries = log.head().size;
    let count = |sql: &str| state.lock().query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    let since = count("SELECT min(time) FROM audit_log")?;
    let clock_back = count("SELECT count(*) FROM audit_log WHERE clock_back = 1")?.unwrap_or(0);
    let mut report = AuditReport {
        entries,
        since,
        root: to_hex(&root_of(&log, entries)?),
        clock_back: clock_back.unsigned_abs(),
        signed: 0,
        held_by: Vec::new(),
        witnessed: Vec::new(),
    };
    let origin = origin_of(&config.network, &config.name);
    for (stored, note) in notes(state, "SELECT size, note FROM checkpoints ORDER BY size")? {
        let note = SignedCheckpoint::parse(&note).map_err(|_| NodeError::AuditBroken(entries))?;
        let Checkpoint { size, root, .. } = note.checkpoint;
        let own = note.checkpoint.origin == origin && stored == super::whole(size);
        let signed = own && note.verified(&key.0).is_ok();
        if !signed || root_of(&log, size)? != root {
            return Err(NodeError::AuditBroken(size.min(entries)));
        }
        report.signed = size;
        for peer in &config.centre {
            hold(&mut report.held_by, peer, (&config.network, &note));
        }
    }
    for (size, note) in notes(state, "SELECT size, note FROM witnessed ORDER BY name")? {
        let broken = || NodeError::WitnessBroken("a peer".to_owned());
        let note = SignedCheckpoint::parse(&note).map_err(|_| broken())?;
        if size != super::whole(note.checkpoint.size) {
            return Err(broken());
        }
        let of = |it: &&Peer| origin_of(&config.network, &it.name) == note.checkpoint.origin;
        let peer = config.centre.iter().find(of).ok_or_else(broken)?;
        let key = key_of(&peer.key).ok_or_else(broken)?;
        note.verified(&key.0).map_err(|_| broken())?;
        report.witnessed.push((peer.name.clone(), note.checkpoint.size));
    }
    state.check_rollbacks(&config.name)?;
    state.ledger()?;
    Ok(report)
}

/// Notes that a peer has co-signed the log up to a size; the greatest counts.
fn hold(held_by: &mut Vec<(String, u64)>, peer: &Peer, (network, note): (&str, &SignedCheckpoint)) {
    let Some(key) = key_of(&peer.key) else { return };
    if note.cosigned(&origin_of(network, &peer.name), &key.0).is_ok() {
        held_by.retain(|(name, _)| *name != peer.name);
        held_by.push((peer.name.clone(), note.checkpoint.size));
    }
}

fn root_of(log: &Log, size: u64) -> Result<Hash, NodeError> {
    let root = usize::try_from(size).ok().and_then(|size| log.tree().root(size));
    // fewer entries than were signed: the first that is missing is named
    root.ok_or(NodeError::AuditBroken(log.head().size + 1))
}

/// Stored sizes and notes. A note that is no text any more is read as none.
fn notes(state: &State, query: &str) -> Result<Vec<(i64, String)>, NodeError> {
    let connection = state.lock();
    let mut query = connection.prepare(query)?;
    let note = |row: &rusqlite::Row<'_>| row.get::<_, String>(1).unwrap_or_default();
    let rows = query.query_map([], |row| Ok((row.get(0)?, note(row))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Entries from a time on (seconds since 1970), about a study or about everything, the newest last.
///
/// # Errors
/// [`NodeError::AuditBroken`] for an entry that cannot be read; the chain is not verified here.
pub fn audit_entries(
    folder: &Path,
    study: Option<&str>,
    since: Option<i64>,
) -> Result<Vec<(Record, Event)>, NodeError> {
    let (state, _) = open(folder)?;
    let connection = state.lock();
    let mut query = connection.prepare(&format!("{RECORD} WHERE time >= ? ORDER BY seq"))?;
    let mut rows = query.query([since.unwrap_or(i64::MIN)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let broken = || NodeError::AuditBroken(seq.unsigned_abs());
        let record = record_of(row).map_err(|_| broken())?;
        let event: Event = serde_json::from_str(&record.event).map_err(|_| broken())?;
        let about = |study: &str| {
            event.subject == study || event.facts.get("study").is_some_and(|it| it == study)
        };
        if study.is_none_or(about) {
            entries.push((record, event));
        }
    }
    Ok(entries)
}

/// The proof that an entry is in the log, under this centre's signature of now.
///
/// # Errors
/// [`NodeError::Refused`] when there is no such entry, [`NodeError::AuditBroken`].
pub fn audit_proof(folder: &Path, seq: u64) -> Result<EntryProof, NodeError> {
    let (state, config) = open(folder)?;
    let connection = state.lock();
    let mut log = Log::default();
    read_log(&connection, &mut log)?;
    let size = log.head().size;
    let missing = || NodeError::Refused(format!("the log has entries 1 to {size}, no {seq}"));
    let index = seq.checked_sub(1).ok_or_else(missing)?;
    let found = record(&connection, seq)?.ok_or_else(missing)?;
    let previous = record(&connection, index)?.map_or([0; 32], |it| it.hash);
    let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let path = log.tree().inclusion(place(index), place(size)).ok_or_else(missing)?;
    let identity = crate::centre::open_identity(folder)?;
    let origin = origin_of(&config.network, &config.name);
    let checkpoint = Checkpoint { origin, size, root: root_of(&log, size)? };
    let signature = identity.sign(checkpoint.body().as_bytes()).map_err(|error| {
        NodeError::File { path: folder.join("identity.key"), what: error.to_string() }
    })?;
    Ok(EntryProof {
        entry: found.text(&previous),
        index,
        path,
        checkpoint: checkpoint.signed(&identity.public_key().0, &signature),
    })
}
