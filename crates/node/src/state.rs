//! A node's database: runs and how they ended, and which correlations are used up.

use crate::error::NodeError;
use konsil_mpc::BurnLedger;
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The database of one node, shared by its threads.
#[derive(Clone, Debug)]
pub struct State(Arc<Mutex<Connection>>);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS runs (
        session TEXT PRIMARY KEY, study TEXT NOT NULL, study_hash TEXT NOT NULL,
        state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
        planned_bytes INTEGER NOT NULL DEFAULT 0, sent_bytes INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE IF NOT EXISTS burnt (
        session TEXT PRIMARY KEY, below INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS openings (
        session TEXT NOT NULL, analysis TEXT NOT NULL, name TEXT NOT NULL,
        audience TEXT NOT NULL, numbers INTEGER NOT NULL) STRICT;
";

impl State {
    /// Opens or makes the database. Runs that were going on when the node stopped end as aborted.
    ///
    /// # Errors
    /// [`NodeError::Database`].
    pub fn open(path: &Path) -> Result<Self, NodeError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        connection.execute(
            "UPDATE runs SET state = 'aborted', reason = 'the node stopped' WHERE state = 'running'",
            [],
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a run begins.
    ///
    /// # Errors
    /// [`NodeError::Refused`] when the session has been used before.
    pub(crate) fn begin(&self, session: &str, study: &str, hash: &str) -> Result<(), NodeError> {
        let inserted = self.lock().execute(
            "INSERT OR IGNORE INTO runs (session, study, study_hash, state) VALUES (?, ?, ?, 'running')",
            params![session, study, hash],
        )?;
        if inserted == 1 {
            Ok(())
        } else {
            Err(NodeError::Refused("this session has been used; start a new run".to_owned()))
        }
    }

    /// Records how a run ended.
    pub(crate) fn end(
        &self,
        session: &str,
        (state, reason): (&str, &str),
        (planned, sent): (u64, u64),
    ) -> Result<(), NodeError> {
        self.lock().execute(
            "UPDATE runs SET state = ?, reason = ?, planned_bytes = ?, sent_bytes = ? WHERE session = ?",
            params![state, reason, whole(planned), whole(sent), session],
        )?;
        Ok(())
    }

    /// Records what was opened.
    pub(crate) fn opened(
        &self,
        session: &str,
        analysis: &str,
        (name, audience): (&str, &str),
        numbers: u64,
    ) -> Result<(), NodeError> {
        self.lock().execute(
            "INSERT INTO openings VALUES (?, ?, ?, ?, ?)",
            params![session, analysis, name, audience, whole(numbers)],
        )?;
        Ok(())
    }

    /// All runs: session, study, state, reason; the newest last.
    ///
    /// # Errors
    /// [`NodeError::Database`].
    pub fn runs(&self) -> Result<Vec<[String; 4]>, NodeError> {
        let connection = self.lock();
        let mut query =
            connection.prepare("SELECT session, study, state, reason FROM runs ORDER BY rowid")?;
        let rows = query.query_map([], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The ledger of one session's used correlations.
    pub(crate) fn burn_ledger(&self, session: &str) -> SessionLedger {
        SessionLedger { state: self.clone(), session: session.to_owned() }
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Marks correlations of one session as used, on disk, before anything masked with them is sent.
#[derive(Debug)]
pub(crate) struct SessionLedger {
    state: State,
    session: String,
}

impl BurnLedger for SessionLedger {
    fn burn(&mut self, end: u64) -> Result<(), String> {
        let done = self.state.lock().execute(
            "INSERT INTO burnt VALUES (?1, ?2) ON CONFLICT (session) DO UPDATE SET below = ?2 WHERE below < ?2",
            params![self.session, whole(end)],
        );
        match done {
            Ok(1) => Ok(()),
            Ok(_) => Err("correlations of this session are used up".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_used_once_and_an_interrupted_run_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.sqlite");
        let state = State::open(&path).unwrap();
        state.begin("s1", "study", "hash").unwrap();
        assert!(state.begin("s1", "study", "hash").is_err());
        let mut ledger = state.burn_ledger("s1");
        ledger.burn(10).unwrap();
        ledger.burn(20).unwrap();
        assert!(ledger.burn(20).is_err());
        drop((state, ledger));
        let again = State::open(&path).unwrap();
        assert_eq!(again.runs().unwrap()[0][2..], ["aborted", "the node stopped"]);
        assert!(again.burn_ledger("s1").burn(15).is_err());
    }
}
