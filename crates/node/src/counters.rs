//! What each patient of this centre has been charged, in the node's database.

use crate::cells::{RowName, Sealed};
use crate::error::NodeError;
use crate::state::State;
use konsil_cohort::Key;
use konsil_governance::budget::{Amount, PatientCounters};
use konsil_governance::from_hex;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS patient_counters (
        patient BLOB PRIMARY KEY, spent BLOB NOT NULL) STRICT;
";

/// The table of earlier versions: pseudonyms in hexadecimal and amounts, in the clear.
pub(crate) const EARLIER: &str = "patient_budget";

/// What a patient has been charged, in 10^-9, eight bytes.
pub(crate) const SPENT: Sealed =
    Sealed { table: "patient_counters", name: "patient", column: "spent" };

impl State {
    /// Charges patients of this centre, by local pseudonym, and says for each whether the counter
    /// had room; who had none is left out of the release.
    ///
    /// # Errors
    /// [`NodeError::AuditUnavailable`], [`NodeError::Database`]; [`NodeError::Cohort`] for a counter
    /// that does not open.
    pub fn charge_patients(
        &self,
        pseudonyms: &[String],
        amount: Amount,
        limit: Amount,
        key: &Key,
    ) -> Result<Vec<bool>, NodeError> {
        self.change_sealed(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let mut spent = BTreeMap::new();
            for pseudonym in pseudonyms {
                let before = read(&transaction, &row_of(pseudonym, key), key)?;
                spent.extend(before.map(|it| (pseudonym.clone(), it)));
            }
            let mut counters = PatientCounters::new(spent);
            let charged = counters.charge(pseudonyms, amount, limit);
            for (pseudonym, charged) in pseudonyms.iter().zip(&charged) {
                if *charged {
                    write(&transaction, &row_of(pseudonym, key), counters.spent(pseudonym), key)?;
                }
            }
            transaction.commit()?;
            Ok(charged)
        })
    }
}

fn row_of(pseudonym: &str, key: &Key) -> RowName {
    key.name_in(SPENT.table, &[pseudonym.as_bytes()])
}

fn read(connection: &Connection, row: &RowName, key: &Key) -> Result<Option<Amount>, NodeError> {
    let mut query =
        connection.prepare_cached("SELECT spent FROM patient_counters WHERE patient = ?")?;
    let sealed: Option<Vec<u8>> = query.query_row([row], |row| row.get(0)).optional()?;
    let Some(sealed) = sealed else { return Ok(None) };
    let plain = SPENT.open(row, &sealed, key)?;
    let bytes = plain.as_slice().try_into();
    let nano = bytes.map_err(|_| SPENT.wrong(row, "the counter is no number"))?;
    Ok(Some(Amount(u64::from_be_bytes(nano))))
}

fn write(
    connection: &Connection,
    row: &RowName,
    spent: Amount,
    key: &Key,
) -> Result<(), NodeError> {
    let sealed = SPENT.seal(row, &spent.0.to_be_bytes(), key)?;
    let mut insert =
        connection.prepare_cached("INSERT OR REPLACE INTO patient_counters VALUES (?, ?)")?;
    insert.execute(params![row, sealed])?;
    Ok(())
}

/// Seals the counters of earlier versions.
pub(crate) fn seal_earlier(transaction: &Transaction<'_>, key: &Key) -> Result<(), NodeError> {
    if !transaction.table_exists(None, EARLIER)? {
        return Ok(());
    }
    let mut query = transaction.prepare("SELECT pseudonym, spent FROM patient_budget")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (pseudonym, nano): (String, i64) = (row.get(0)?, row.get(1)?);
        // what is no pseudonym is nobody's counter
        if from_hex(&pseudonym).is_some() {
            write(transaction, &row_of(&pseudonym, key), Amount(nano.unsigned_abs()), key)?;
        }
    }
    drop(rows);
    drop(query);
    Ok(transaction.execute_batch("DROP TABLE patient_budget")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn state() -> (tempfile::TempDir, State, Key) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("node.sqlite")).unwrap();
        let key = Key::create(&folder.path().join("data.key")).unwrap();
        (folder, state, key)
    }

    // A counter belongs to its patient and its table: put elsewhere it does not open, and nobody is
    // charged.
    #[test]
    fn a_counter_moved_to_another_patient_does_not_open() {
        let (_folder, state, key) = state();
        let all = ["aa".to_owned(), "bb".to_owned()];
        let charge = || state.charge_patients(&all, Amount(3), Amount(10), &key);
        assert_eq!(charge().unwrap(), [true, true]);
        let read = |row: &str| {
            let query = "SELECT spent FROM patient_counters WHERE patient = ?";
            let row = row_of(row, &key);
            state.lock().query_row(query, [row], |row| row.get::<_, Vec<u8>>(0)).unwrap()
        };
        let put = |row: &str, cell: &[u8]| {
            let update = "UPDATE patient_counters SET spent = ? WHERE patient = ?";
            let row = row_of(row, &key);
            assert_eq!(state.change(|it| it.execute(update, params![cell, row])).unwrap(), 1);
        };
        let own = read("aa");
        put("aa", &read("bb"));
        assert_eq!(charge().unwrap_err().code(), "K0312");
        let row = row_of("aa", &key);
        let of_consent = crate::consent::STATEMENT.seal(&row, &[0; 8], &key).unwrap();
        put("aa", &of_consent);
        assert_eq!(charge().unwrap_err().code(), "K0312");
        put("aa", &own);
        let again: Vec<_> = (0..3).map(|_| charge().unwrap()).collect();
        assert_eq!(again, [[true, true], [true, true], [false, false]]);
        let other = key.with_new(0).unwrap().newest_only();
        let charge = state.charge_patients(&all, Amount(0), Amount(10), &other);
        assert_eq!(charge.unwrap_err().code(), "K0312");
    }

    // What an earlier version has counted is still spent, and its table is gone.
    #[test]
    fn counters_of_earlier_versions_are_sealed_and_still_spent() {
        let (_folder, state, key) = state();
        let earlier = "CREATE TABLE patient_budget (
                pseudonym TEXT PRIMARY KEY, spent INTEGER NOT NULL) STRICT;
            INSERT INTO patient_budget VALUES ('00ff', 8)";
        state.change(|it| it.execute_batch(earlier)).unwrap();
        for _ in 0..2 {
            state.seal_earlier(Timestamp::UNIX_EPOCH, &key).unwrap();
        }
        let patients = ["00ff".to_owned(), "11ff".to_owned()];
        let charged = state.charge_patients(&patients, Amount(3), Amount(10), &key).unwrap();
        assert_eq!(charged, [false, true]);
        assert!(!state.lock().table_exists(None, EARLIER).unwrap());
    }
}
