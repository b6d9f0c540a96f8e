//! The node's audit log, in its database.
//!
//! **Invariant:** an entry is written before what it says takes effect, in one transaction with the
//! rows that it is about. After any write that failed nothing is written any more until the node is
//! started again: the failed write may or may not be on the disk.

mod report;
mod rollback;
mod witness;

#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod tests;

pub use report::{AuditReport, audit_entries, audit_proof, verify_audit};
pub use rollback::{accept_rollback, renew_budget};
pub(crate) use witness::exchange;

use crate::error::NodeError;
use crate::state::State;
use jiff::Timestamp;
use konsil_governance::audit::{Broken, Event, Hash, Head, Log, Record};
use konsil_governance::budget::Ledger;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};
use std::collections::BTreeMap;

/// Own checkpoints that are kept: every peer has co-signed one of them lately.
const CHECKPOINTS_KEPT: i64 = 64;

/// What follows from log and ledger, beside the database.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) log: Log,
    pub(crate) budget: Ledger,
    closed: Option<Closed>,
}

/// Why nothing may be written any more.
#[derive(Clone, Debug)]
enum Closed {
    /// A write failed.
    Unavailable(String),
    /// An entry was changed.
    Broken(u64),
    /// An entry of the budget was changed.
    BrokenBudget(u64),
}

impl Books {
    /// Whether anything may be written.
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        match &self.closed {
            None => Ok(()),
            Some(Closed::Unavailable(what)) => Err(NodeError::AuditUnavailable(what.clone())),
            Some(Closed::Broken(seq)) => Err(NodeError::AuditBroken(*seq)),
            Some(Closed::BrokenBudget(seq)) => {
                Err(konsil_governance::budget::BudgetError::Broken(*seq).into())
            }
        }
    }

    /// Lets nothing be written any more.
    pub(crate) fn close(&mut self, what: &dyn ToString) {
        self.closed.get_or_insert_with(|| Closed::Unavailable(what.to_string()));
    }

    /// Reads log and ledger. Broken ones are closed, not refused: they may still be looked at.
    pub(crate) fn read(connection: &Connection) -> Result<Self, NodeError> {
        at_one_moment(connection, Self::read_all)
    }

    fn read_all(connection: &Connection) -> Result<Self, NodeError> {
        let mut books = Self::default();
        match read_log(connection, &mut books.log) {
            Err(NodeError::AuditBroken(seq)) => books.closed = Some(Closed::Broken(seq)),
            other => other?,
        }
        let signed: i64 =
            connection.query_row("SELECT coalesce(max(size), 0) FROM checkpoints", [], |row| {
                row.get(0)
            })?;
        // what was signed was there
        let size = books.log.head().size;
        if signed.unsigned_abs() > size && books.closed.is_none() {
            books.closed = Some(Closed::Broken(size + 1));
        }
        let budget = crate::budget::read_budget(connection, &mut books.budget)?;
        let budget = budget.and_then(|()| crate::budget::check_tail(connection, &books.budget));
        if let Err(seq) = budget {
            books.closed.get_or_insert(Closed::BrokenBudget(seq));
        }
        Ok(books)
    }
}

/// Reads several tables as they are at one moment, whoever writes meanwhile.
pub(crate) fn at_one_moment<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, NodeError>,
) -> Result<T, NodeError> {
    if !connection.is_autocommit() {
        return read(connection);
    }
    let transaction = connection.unchecked_transaction()?;
    read(&transaction)
}

/// Reads entries that are not in the log yet into it, after a look at the last one that is.
pub(crate) fn read_log(connection: &Connection, log: &mut Log) -> Result<(), NodeError> {
    let Head { size, hash, .. } = log.head();
    if size > 0 {
        let last = record(connection, size)?;
        if last.is_none_or(|it| it.hash != hash) {
            return Err(NodeError::AuditBroken(size));
        }
    }
    let mut query =
        connection.prepare(&format!("{RECORD} WHERE seq > ? OR seq < 1 ORDER BY seq"))?;
    let mut rows = query.query([whole(size)])?;
    while let Some(row) = rows.next()? {
        let broken = Broken { seq: log.head().size + 1 };
        // a row of other types is a changed row
        let record = record_of(row).map_err(|_| broken);
        record.and_then(|it| log.accept(&it)).map_err(|it| NodeError::AuditBroken(it.seq))?;
    }
    Ok(())
}

/// How entries are read.
pub(crate) const RECORD: &str = "SELECT seq, time, clock_back, event, hash FROM audit_log";

pub(crate) fn record_of(row: &Row<'_>) -> rusqlite::Result<Record> {
    let flag: i64 = row.get(2)?;
    let seq: i64 = row.get(0)?;
    let odd = |column: i64| rusqlite::Error::IntegralValueOutOfRange(0, column);
    Ok(Record {
        seq: u64::try_from(seq).map_err(|_| odd(seq))?,
        time: row.get(1)?,
        clock_back: match flag {
            0 => false,
            1 => true,
            other => return Err(odd(other)),
        },
        event: row.get(3)?,
        hash: row.get::<_, Hash>(4)?,
    })
}

pub(crate) fn record(connection: &Connection, seq: u64) -> Result<Option<Record>, NodeError> {
    let mut query = connection.prepare(&format!("{RECORD} WHERE seq = ?"))?;
    let mut rows = query.query([whole(seq)])?;
    Ok(rows.next()?.and_then(|row| record_of(row).ok()))
}

impl State {
    /// Writes an event into the log. What cannot be logged must not happen: call this first, and
    /// stop when it fails.
    ///
    /// # Errors
    /// [`NodeError::AuditUnavailable`] now and from now on when it cannot be written,
    /// [`NodeError::AuditBroken`] when an entry was changed.
    pub fn log(&self, at: Timestamp, event: &Event) -> Result<(), NodeError> {
        self.log_with(at, std::slice::from_ref(event), |_, _| Ok(()))
    }

    /// Makes a change and writes events about it, both or neither.
    ///
    /// # Errors
    /// As [`State::log`]; what `change` refuses, which then has not happened and is not logged.
    pub(crate) fn log_with<T>(
        &self,
        at: Timestamp,
        events: &[Event],
        change: impl FnOnce(&Transaction<'_>, &mut Ledger) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        self.log_made(at, |transaction, ledger| {
            change(transaction, ledger).map(|value| (value, events.to_vec()))
        })
    }

    /// Makes a change that says what is to be logged about it, both or neither.
    ///
    /// # Errors
    /// As [`State::log_with`].
    pub(crate) fn log_made<T>(
        &self,
        at: Timestamp,
        change: impl FnOnce(&Transaction<'_>, &mut Ledger) -> Result<(T, Vec<Event>), NodeError>,
    ) -> Result<T, NodeError> {
        let mut connection = self.lock();
        let mut books = self.books();
        books.check()?;
        match written(&mut connection, &mut books, at.as_second(), change) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(refused)) => Err(refused),
            Err(NodeError::AuditBroken(seq)) => {
                books.closed.get_or_insert(Closed::Broken(seq));
                Err(NodeError::AuditBroken(seq))
            }
            Err(error) => {
                books.close(&error);
                books.check().map(|()| Err(error))?
            }
        }
    }

    /// A change that is not logged by itself. Nothing is changed once a write has failed.
    ///
    /// # Errors
    /// [`NodeError::AuditUnavailable`], [`NodeError::AuditBroken`], [`NodeError::Database`].
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, NodeError> {
        self.change_sealed(|connection| Ok(change(connection)?))
    }

    /// As [`State::change`], with what may fail for other reasons than the database.
    ///
    /// # Errors
    /// As [`State::change`]; what `change` refuses.
    pub(crate) fn change_sealed<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let connection = self.writable()?;
        change(&connection).inspect_err(|error| {
            if let NodeError::Database(error) = error
                && is_of_the_disk(error)
            {
                self.books().close(error);
            }
        })
    }

    /// Whether anything may be written still.
    ///
    /// # Errors
    /// [`NodeError::AuditUnavailable`], [`NodeError::AuditBroken`].
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        self.books().check()
    }
}

/// The transaction. The outer error is of the log and closes it, the inner one is of the change.
fn written<T>(
    connection: &mut Connection,
    books: &mut Books,
    time: i64,
    change: impl FnOnce(&Transaction<'_>, &mut Ledger) -> Result<(T, Vec<Event>), NodeError>,
) -> Result<Result<T, NodeError>, NodeError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // another process of this centre may have written meanwhile
    read_log(&transaction, &mut books.log)?;
    if let Err(seq) = crate::budget::read_budget(&transaction, &mut books.budget)? {
        books.closed.get_or_insert(Closed::BrokenBudget(seq));
        return Ok(Err(konsil_governance::budget::BudgetError::Broken(seq).into()));
    }
    let (value, events) = match change(&transaction, &mut books.budget) {
        Ok(made) => made,
        Err(NodeError::Database(error)) if is_of_the_disk(&error) => return Err(error.into()),
        Err(refused) => return Ok(Err(refused)),
    };
    let mut head = books.log.head();
    let mut records = Vec::with_capacity(events.len());
    for event in &events {
        let record = head.next(time, event).map_err(|_| NodeError::Message("audit"))?;
        insert(&transaction, &record)?;
        head = Head::from(&record);
        records.push(record);
    }
    transaction.commit()?;
    for record in &records {
        books.log.accept(record).map_err(|it| NodeError::AuditBroken(it.seq))?;
    }
    Ok(Ok(value))
}

pub(crate) fn insert(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO audit_log VALUES (?, ?, ?, ?, ?)")?
        .execute(params![
            whole(record.seq),
            record.time,
            record.clock_back,
            record.event,
            record.hash
        ])
        .map(drop)
}

/// Whether the operating system refused, so that nobody knows what is on the disk.
fn is_of_the_disk(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::NotADatabase
        )
    )
}

/// The last logged event of a kind about a subject.
pub(crate) fn last_event(
    connection: &Connection,
    kind: &str,
    subject: &str,
) -> Result<Option<Event>, NodeError> {
    let any = Event {
        kind: kind.into(),
        subject: subject.into(),
        actor: String::new(),
        facts: BTreeMap::new(),
    };
    let text = konsil_governance::canonical(&any).map_err(|_| NodeError::Message("audit"))?;
    let Some((start, _)) = text.split_once("\"actor\"") else { return Ok(None) };
    let mut query = connection.prepare(
        "SELECT event FROM audit_log WHERE substr(event, 1, length(?1)) = ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let mut rows = query.query([start])?;
    let text: Option<String> = rows.next()?.map(|row| row.get(0)).transpose()?;
    Ok(text.and_then(|it| serde_json::from_str(&it).ok()))
}

pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
