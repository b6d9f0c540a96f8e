//! A node's database: runs and how they ended, which correlations are used up, log and budget.

use crate::audit::{Books, whole};
use crate::error::NodeError;
use jiff::Timestamp;
use konsil_governance::audit::Event;
use konsil_mpc::BurnLedger;
use rusqlite::{Connection, OpenFlags, params};
use serde::Serialize;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The database of one node, shared by its threads.
///
/// Locks are taken in this order: connection, books.
#[derive(Clone, Debug)]
pub struct State {
    connection: Arc<Mutex<Connection>>,
    books: Arc<Mutex<Books>>,
}

/// Version of the tables. A database of a later version is not touched.
const SCHEMA_VERSION: i64 = 2;

/// How long a write of another process is waited for.
const BUSY_MAX: Duration = Duration::from_secs(10);

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
    CREATE TABLE IF NOT EXISTS audit_log (
        seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, clock_back INTEGER NOT NULL,
        event TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS witnessed (
        peer TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL,
        note TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS rollbacks (
        peer TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
        accepted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (peer, size, root)) STRICT;
    CREATE TABLE IF NOT EXISTS budget (
        seq INTEGER PRIMARY KEY, text TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
";

const INTERRUPTED: &str =
    "UPDATE runs SET state = 'aborted', reason = 'the node stopped' WHERE state = 'running'";

const RUNS: &str = "
    SELECT session, study, state, reason,
        (SELECT coalesce(max(below), 0) FROM burnt WHERE burnt.session = runs.session),
        (SELECT coalesce(sum(numbers), 0) FROM openings WHERE openings.session = runs.session)
    FROM runs ORDER BY rowid";

/// A run in a node's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunRecord {
    /// 32 hexadecimal digits.
    pub session: String,
    /// Id of the study.
    pub study: String,
    /// `running`, `released` or `aborted`.
    pub state: String,
    /// Why it was aborted: a code, or words.
    pub reason: String,
    /// Correlations of its session that are used up.
    pub burnt: u64,
    /// Numbers that were opened.
    pub opened: u64,
}

impl State {
    /// Opens or makes the database. Runs that were going on when the node stopped end as aborted,
    /// unless the log is broken: then nothing is written.
    ///
    /// # Errors
    /// [`NodeError::Database`]; [`NodeError::NewerSchema`], [`NodeError::File`] for a database that
    /// cannot be written.
    pub fn open(path: &Path) -> Result<Self, NodeError> {
        let state = Self::join(path)?;
        if state.check().is_ok() {
            state.change(|connection| connection.execute(INTERRUPTED, []))?;
        }
        Ok(state)
    }

    /// Opens or makes the database beside a node that may be running.
    pub(crate) fn join(path: &Path) -> Result<Self, NodeError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_MAX)?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if found > SCHEMA_VERSION {
            let path = path.to_owned();
            return Err(NodeError::NewerSchema { path, found, known: SCHEMA_VERSION });
        }
        if connection.is_readonly("main")? {
            let what = "the database cannot be written; make file and folder writable".to_owned();
            return Err(NodeError::File { path: path.to_owned(), what });
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // what is deleted is overwritten
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(crate::counters::SCHEMA)?;
        connection.execute_batch(crate::requests_store::SCHEMA)?;
        connection.execute_batch(crate::lineage::SCHEMA)?;
        connection.execute_batch(crate::charge::SCHEMA)?;
        crate::consent::make_tables(&connection)?;
        connection.execute_batch(crate::memberships::SCHEMA)?;
        connection.execute_batch(crate::snapshots::SCHEMA)?;
        if found < SCHEMA_VERSION {
            connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        let books = Books::read(&connection)?;
        Ok(Self::new(connection, books))
    }

    fn new(connection: Connection, books: Books) -> Self {
        let (connection, books) = (Mutex::new(connection), Mutex::new(books));
        Self { connection: Arc::new(connection), books: Arc::new(books) }
    }

    /// The connection, to read. Who writes takes [`State::writable`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, to write, unless a write has failed before.
    ///
    /// # Errors
    /// [`NodeError::AuditUnavailable`], [`NodeError::AuditBroken`].
    pub(crate) fn writable(&self) -> Result<MutexGuard<'_, Connection>, NodeError> {
        let connection = self.lock();
        self.check()?;
        Ok(connection)
    }

    /// What follows from log and budget. Taken after the connection, never before it.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a run begins, and uses up its approval (request and nonce): both or neither.
    /// `event` says so in the log.
    ///
    /// # Errors
    /// [`NodeError::Refused`] when the session has been used before, [`NodeError::Governance`] when
    /// the approval has been used or taken back.
    pub(crate) fn begin(
        &self,
        (at, event): (Timestamp, Event),
        session: &str,
        (study, hash): (&str, &str),
        approval: (i64, &str),
    ) -> Result<(), NodeError> {
        self.log_with(at, &[event], |transaction, _| {
            let inserted = transaction.execute(
                "INSERT OR IGNORE INTO runs (session, study, study_hash, state) VALUES (?, ?, ?, 'running')",
                params![session, study, hash],
            )?;
            if inserted != 1 {
                let what = "this session has been used; start a new run";
                return Err(NodeError::Refused(what.to_owned()));
            }
            crate::requests_store::consume(transaction, approval, (session, study))
        })
    }

    /// Records how a run ended: `event` says so in the log.
    pub(crate) fn end(
        &self,
        (at, event): (Timestamp, Event),
        session: &str,
        (state, reason): (&str, &str),
        (planned, sent): (u64, u64),
    ) -> Result<(), NodeError> {
        self.log_with(at, &[event], |transaction, _| {
            transaction.execute(
                "UPDATE runs SET state = ?, reason = ?, planned_bytes = ?, sent_bytes = ? WHERE session = ?",
                params![state, reason, whole(planned), whole(sent), session],
            )?;
            Ok(())
        })
    }

    /// Records what an analysis opened, a line and an event each.
    pub(crate) fn opened(
        &self,
        (at, events): (Timestamp, &[Event]),
        (session, analysis): (&str, &str),
        lines: &[(&str, &str, u64)],
    ) -> Result<(), NodeError> {
        self.log_with(at, events, |transaction, _| {
            let mut insert =
                transaction.prepare_cached("INSERT INTO openings VALUES (?, ?, ?, ?, ?)")?;
            for (name, audience, numbers) in lines {
                insert.execute(params![session, analysis, name, audience, whole(*numbers)])?;
            }
            Ok(())
        })
    }

    /// Opens the database of a node, running or not, to read it only.
    ///
    /// # Errors
    /// [`NodeError::Database`], also when there is none.
    pub fn read(path: &Path) -> Result<Self, NodeError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY_MAX)?;
        Ok(Self::new(connection, Books::default()))
    }

    /// All runs, the newest last.
    ///
    /// # Errors
    /// [`NodeError::Database`].
    pub fn runs(&self) -> Result<Vec<RunRecord>, NodeError> {
        let connection = self.lock();
        let mut query = connection.prepare(RUNS)?;
        let rows = query.query_map([], |row| {
            Ok(RunRecord {
                session: row.get(0)?,
                study: row.get(1)?,
                state: row.get(2)?,
                reason: row.get(3)?,
                burnt: row.get::<_, i64>(4)?.unsigned_abs(),
                opened: row.get::<_, i64>(5)?.unsigned_abs(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The ledger of one session's used correlations.
    pub(crate) fn burn_ledger(&self, session: &str) -> SessionLedger {
        SessionLedger { state: self.clone(), session: session.to_owned() }
    }
}

/// Marks correlations of one session as used, on disk, before anything masked with them is sent.
#[derive(Debug)]
pub(crate) struct SessionLedger {
    state: State,
    session: String,
}

impl BurnLedger for SessionLedger {
    fn burn(&mut self, end: u64) -> Result<(), String> {
        let done = self.state.change(|connection| {
            connection.execute(
                "INSERT INTO burnt VALUES (?1, ?2) ON CONFLICT (session) DO UPDATE SET below = ?2 WHERE below < ?2",
                params![self.session, whole(end)],
            )
        });
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
        let approved = "INSERT INTO requests VALUES (?, '', '', '', '', '', 'approved', '', '', 0)";
        state.change(|it| it.execute(approved, [1])).unwrap();
        state.change(|it| it.execute(approved, [2])).unwrap();
        let code = |session: &str, approval| {
            let now = (Timestamp::UNIX_EPOCH, Event::new("run", "study", "node"));
            state
                .begin(now, session, ("study", "hash"), approval)
                .map_err(|it| it.code().to_owned())
        };
        assert_eq!(code("s1", (1, "n1")), Ok(()));
        assert_eq!(code("s1", (2, "n2")), Err("K0601".to_owned()));
        // an approval is for one run, whatever request it is put under
        assert_eq!(code("s2", (2, "n1")), Err("K0611".to_owned()));
        assert_eq!(code("s2", (1, "n2")), Err("K0617".to_owned()));
        // given back while nothing was computed, and not afterwards
        state.give_back((1, "n1"), "s1").unwrap();
        assert_eq!(code("s2", (1, "n1")), Ok(()));
        state.burn_ledger("s2").burn(1).unwrap();
        state.give_back((1, "n1"), "s2").unwrap();
        assert_eq!(code("s3", (1, "n1")), Err("K0611".to_owned()));
        let mut ledger = state.burn_ledger("s1");
        ledger.burn(10).unwrap();
        ledger.burn(20).unwrap();
        assert!(ledger.burn(20).is_err());
        drop((state, ledger));
        let again = State::open(&path).unwrap();
        let run = again.runs().unwrap().remove(0);
        assert_eq!((run.state.as_str(), run.reason.as_str()), ("aborted", "the node stopped"));
        assert_eq!((run.burnt, run.opened), (20, 0));
        assert!(again.burn_ledger("s1").burn(15).is_err());
    }
}
