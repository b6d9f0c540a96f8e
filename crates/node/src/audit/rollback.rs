//! Logs that were rolled back, and the administrator's word that this is known.

use super::whole;
use crate::centre::CentreNode;
use crate::clock::Clock;
use crate::error::NodeError;
use crate::state::State;
use konsil_governance::audit::Event;
use std::path::Path;

impl State {
    /// Refuses while a rollback of this centre's own log is not accepted.
    ///
    /// # Errors
    /// [`NodeError::Rollback`].
    pub(crate) fn check_rollbacks(&self, name: &str) -> Result<(), NodeError> {
        let connection = self.lock();
        let query = "SELECT peer, size FROM rollbacks WHERE accepted = 0 ORDER BY size DESC";
        let mut query = connection.prepare(query)?;
        let mut rows = query.query([])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let (peer, size): (String, i64) = (row.get(0)?, row.get(1)?);
        let what = format!("the log does not contain the {size} entries that {peer} has seen");
        Err(NodeError::Rollback { centre: name.to_owned(), what })
    }
}

/// Accepts, for the node of a folder, that its own log was rolled back (`peer` is none), or that a
/// peer's was. The node must be stopped. Gives how many entries are known to be lost.
///
/// # Errors
/// [`NodeError::Refused`] when there is nothing to accept; [`NodeError`] of the folder.
pub fn accept_rollback(folder: &Path, peer: Option<&str>) -> Result<u64, NodeError> {
    let node = CentreNode::open(folder, Clock::system())?;
    let name = &node.config.name;
    let query = match peer {
        None => "SELECT coalesce(max(size), 0) FROM rollbacks WHERE accepted = 0 AND ?1 = ?1",
        Some(_) => "SELECT coalesce(max(size), 0) FROM witnessed WHERE name = ?1",
    };
    let whose = peer.unwrap_or(name);
    let seen: i64 = node.state.lock().query_row(query, [whose], |row| row.get(0))?;
    if seen == 0 {
        let what = format!("no rollback of the log of {whose} is known here");
        return Err(NodeError::Refused(what));
    }
    let seen = seen.unsigned_abs();
    let entries = node.state.books().log.head().size;
    let event = Event::new("accept-rollback", whose, &format!("admin@{name}"))
        .with("seen_entries", &seen)
        .with("own_entries", &entries);
    node.state.log_with(node.clock.now(), &[event], |transaction, _| {
        match peer {
            None => transaction.execute("UPDATE rollbacks SET accepted = 1", [])?,
            Some(peer) => transaction.execute("DELETE FROM witnessed WHERE name = ?", [peer])?,
        };
        // checkpoints of what is no more would contradict the log for ever
        transaction.execute("DELETE FROM checkpoints WHERE size > ?", [whole(entries)])?;
        Ok(())
    })?;
    Ok(seen)
}
