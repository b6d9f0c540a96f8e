//! What the database holds about patients: sealed under the centre's key, each cell bound to table,
//! row and column. A cell that is moved does not open.
//!
//! Rows are looked up by names that depend on the key and on the table ([`Key::name_in`]): a patient
//! has another one in each table, and whoever has the database alone cannot tell whose row it is.

use crate::error::NodeError;
use crate::lineage::reseal_sets;
use crate::memberships::reseal_memberships;
use crate::state::State;
use jiff::Timestamp;
use konsil_cohort::{CohortError, Key, open_bytes, reseal_bytes, seal_bytes};
use konsil_governance::audit::Event;
use konsil_governance::to_hex;
use rusqlite::{Connection, Transaction, params};
use zeroize::Zeroizing;

/// What a row is called in its table.
pub(crate) type RowName = [u8; 16];

/// A column whose cells are sealed, with the column that names its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    pub(crate) table: &'static str,
    pub(crate) name: &'static str,
    pub(crate) column: &'static str,
}

/// All of them but those of runs, which are bound to more than their rows.
const ALL: [Sealed; 2] = [crate::counters::SPENT, crate::consent::STATEMENT];

impl Sealed {
    /// At most 64 bytes.
    fn place(self, row: &RowName) -> String {
        format!("{}|{}|{}", self.table, to_hex(row), self.column)
    }

    pub(crate) fn seal(self, row: &RowName, plain: &[u8], key: &Key) -> Result<Vec<u8>, NodeError> {
        Ok(seal_bytes(&self.place(row), plain, key)?)
    }

    /// Opens the cell of a row.
    ///
    /// # Errors
    /// [`NodeError::Cohort`] for a cell of another row, column or table, a changed one, or another key.
    pub(crate) fn open(
        self,
        row: &RowName,
        sealed: &[u8],
        key: &Key,
    ) -> Result<Zeroizing<Vec<u8>>, NodeError> {
        Ok(open_bytes(&self.place(row), sealed, key)?)
    }

    /// A cell that opens, and says what it cannot.
    pub(crate) fn wrong(self, row: &RowName, what: &'static str) -> NodeError {
        CohortError::Tampered { file: self.place(row).into(), what }.into()
    }

    fn reseal(self, transaction: &Transaction<'_>, key: &Key) -> Result<usize, NodeError> {
        let Self { table, name, column } = self;
        let mut query = transaction.prepare(&format!("SELECT {name}, {column} FROM {table}"))?;
        let update = format!("UPDATE {table} SET {column} = ? WHERE {name} = ?");
        let mut update = transaction.prepare(&update)?;
        let mut rows = query.query([])?;
        let mut resealed = Vec::new();
        while let Some(row) = rows.next()? {
            let (row, sealed): (RowName, Vec<u8>) = (row.get(0)?, row.get(1)?);
            resealed.extend(reseal_bytes(&self.place(&row), &sealed, key)?.map(|it| (row, it)));
        }
        drop(rows);
        for (row, sealed) in &resealed {
            update.execute(params![sealed, row])?;
        }
        Ok(resealed.len())
    }
}

/// Seals every cell anew that another key than the newest has sealed; says how many.
pub(crate) fn reseal_cells(transaction: &Transaction<'_>, key: &Key) -> Result<usize, NodeError> {
    let mut count = reseal_memberships(transaction, key)? + reseal_sets(transaction, key)?;
    for sealed in ALL {
        count += sealed.reseal(transaction, key)?;
    }
    Ok(count)
}

/// The sealed columns of a database, with their tables.
pub(crate) fn sealed_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_runs = [("memberships", "members"), ("exact_sets", "members")];
    of_runs.into_iter().chain(ALL.map(|it| (it.table, it.column)))
}

impl State {
    /// Seals what earlier versions have stored about patients in the clear, once.
    ///
    /// # Errors
    /// [`NodeError::Database`], [`NodeError::AuditUnavailable`]; [`NodeError::Cohort`] without random
    /// numbers.
    pub(crate) fn seal_earlier(&self, at: Timestamp, key: &Key) -> Result<(), NodeError> {
        if !is_earlier(&self.lock())? {
            return Ok(());
        }
        self.log_made(at, |transaction, _| {
            // another process was faster
            if !is_earlier(transaction)? {
                return Ok(((), Vec::new()));
            }
            crate::counters::seal_earlier(transaction, key)?;
            crate::consent::seal_earlier(transaction, key)?;
            crate::lineage::hide_earlier(transaction, key)?;
            Ok(((), vec![Event::new("key-rows", "node.sqlite", "node")]))
        })?;
        // what was in the clear leaves the file that waits beside the database, too
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        Ok(self.lock().query_row(checkpoint, [], |_| Ok(()))?)
    }
}

fn is_earlier(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(connection.table_exists(None, crate::counters::EARLIER)?
        || connection.table_exists(None, crate::consent::EARLIER)?)
}
