//! Consent at a node: kept by pseudonym, asked anew at the beginning of every run.

use crate::cells::{RowName, Sealed};
use crate::centre::CentreNode;
use crate::desk::Desk;
use crate::error::NodeError;
use crate::state::State;
use jiff::civil::Date;
use konsil_cohort::{Dataset, Key, Pseudonym, pseudonym_of};
use konsil_governance::audit::Event;
use konsil_governance::consent::{
    Decision, Said, Statement, decide, decide_renewed, is_contradictory, read_ids,
};
use rusqlite::{Connection, Transaction, params};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS consent_sealed (
        row BLOB PRIMARY KEY, patient BLOB NOT NULL, source TEXT NOT NULL,
        lasting INTEGER NOT NULL, statement BLOB NOT NULL) STRICT;
";

/// The table of earlier versions: pseudonyms and statements in the clear.
pub(crate) const EARLIER: &str = "consent_statements";

/// What somebody has said, as JSON.
pub(crate) const STATEMENT: Sealed =
    Sealed { table: "consent_sealed", name: "row", column: "statement" };

/// Statements of the first version, which had no source: they stay until the next import, denials
/// for ever.
const FIRST: &str = "
    CREATE TABLE IF NOT EXISTS consent_statements (
        patient BLOB NOT NULL, source TEXT NOT NULL, lasting INTEGER NOT NULL,
        statement TEXT NOT NULL,
        PRIMARY KEY (patient, source, lasting, statement)) STRICT;
    INSERT OR IGNORE INTO consent_statements
        SELECT patient, 'earlier', statement LIKE '%\"deny\":true%', statement FROM consent;
    DROP TABLE consent;
";

/// Makes the tables, and fills them from those of the first version.
pub(crate) fn make_tables(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    if transaction.table_exists(None, "consent")? {
        transaction.execute_batch(FIRST)?;
    }
    transaction.commit()
}

/// Seals the statements of earlier versions.
pub(crate) fn seal_earlier(transaction: &Transaction<'_>, key: &Key) -> Result<(), NodeError> {
    if !transaction.table_exists(None, EARLIER)? {
        return Ok(());
    }
    let all = "SELECT patient, source, lasting, statement FROM consent_statements";
    let mut query = transaction.prepare(all)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (patient, source, text): (Vec<u8>, String, String) =
            (row.get(0)?, row.get(1)?, row.get(3)?);
        let patient = name_of(&patient, key);
        let row = Row { patient: &patient, source: &source, lasting: row.get(2)?, text: &text };
        row.insert(transaction, key)?;
    }
    drop(rows);
    drop(query);
    Ok(transaction.execute_batch("DROP TABLE consent_statements")?)
}

/// What a patient is called in the register.
fn name_of(pseudonym: &[u8], key: &Key) -> RowName {
    key.name_in("consent patient", &[pseudonym])
}

/// A statement in the register.
struct Row<'a> {
    patient: &'a [u8],
    source: &'a str,
    /// Whether it outlives the next import of its source.
    lasting: bool,
    text: &'a str,
}

impl Row<'_> {
    /// The same statement has the same name, and a row whose columns were changed another one.
    fn name(&self, key: &Key) -> RowName {
        let lasting = [u8::from(self.lasting)];
        let parts = [self.patient, self.source.as_bytes(), &lasting, self.text.as_bytes()];
        key.name_in(STATEMENT.table, &parts)
    }

    fn insert(&self, connection: &Connection, key: &Key) -> Result<(), NodeError> {
        let name = self.name(key);
        let sealed = STATEMENT.seal(&name, self.text.as_bytes(), key)?;
        let insert = "INSERT OR IGNORE INTO consent_sealed VALUES (?, ?, ?, ?, ?)";
        let mut insert = connection.prepare_cached(insert)?;
        insert.execute(params![name, self.patient, self.source, self.lasting, sealed])?;
        Ok(())
    }
}

/// Where statements come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A table.
    Table,
    /// FHIR resources.
    Fhir,
    /// A withdrawal at this centre.
    Withdrawal,
}

impl Source {
    fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Fhir => "fhir",
            Self::Withdrawal => "withdrawal",
        }
    }
}

/// How many people of the consent register have said what. Local: it never leaves the centre.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConsentCounts {
    /// People of whom anything is known.
    pub people: usize,
    /// Their data may be used.
    pub permitted: usize,
    /// Nothing permits it.
    pub not_given: usize,
    /// Something forbids it.
    pub denied: usize,
    /// People of whom something forbids and something permits it.
    pub contradictory: usize,
    /// Of those, people who are permitted, since they have signed anew after all that forbids it.
    pub renewed: usize,
    /// People on the opt-out list.
    pub opted_out: usize,
}

/// What decides from a patient's statements, for a purpose on a day.
type Decide = fn(&[Statement], &str, Date) -> Decision;

type Register = BTreeMap<Vec<u8>, Vec<Statement>>;

impl State {
    /// Whether anybody has said anything.
    fn has_statements(&self) -> Result<bool, NodeError> {
        let any = "SELECT EXISTS (SELECT 1 FROM consent_sealed)";
        Ok(self.lock().query_row(any, [], |row| row.get(0))?)
    }

    /// All that is known, by the names of patients in the register.
    fn consent(&self, key: &Key) -> Result<Register, NodeError> {
        let connection = self.lock();
        let all = "SELECT row, patient, source, lasting, statement FROM consent_sealed";
        let mut query = connection.prepare(all)?;
        let mut rows = query.query([])?;
        let mut register = Register::new();
        while let Some(row) = rows.next()? {
            let (name, sealed): (RowName, Vec<u8>) = (row.get(0)?, row.get(4)?);
            let (patient, source): (Vec<u8>, String) = (row.get(1)?, row.get(2)?);
            let plain = STATEMENT.open(&name, &sealed, key)?;
            let text = std::str::from_utf8(&plain).unwrap_or_default();
            let row = Row { patient: &patient, source: &source, lasting: row.get(3)?, text };
            if row.name(key) != name {
                return Err(STATEMENT.wrong(&name, "the columns are those of another statement"));
            }
            // what cannot be read any more forbids
            let statement =
                serde_json::from_str(text).unwrap_or_else(|_| Statement::withdrawal(Date::MIN));
            register.entry(patient).or_default().push(statement);
        }
        Ok(register)
    }
}

impl Desk {
    /// Takes in what people have said, in place of what the same source said before, or with `add`
    /// besides it. What a source forbids stays, whatever it says later. Gives how many people it is
    /// about.
    ///
    /// # Errors
    /// [`NodeError::ConsentFile`] when anything in it may be anybody's; [`NodeError::Cohort`] without
    /// the centre's key, [`NodeError::Database`].
    pub fn take_consent(&self, said: &Said, source: Source, add: bool) -> Result<usize, NodeError> {
        if said.unattributed > 0 {
            return Err(NodeError::ConsentFile(said.unattributed));
        }
        let key = self.key()?;
        let unreadable = Statement::withdrawal(Date::MIN);
        let lasting = said.statements.iter().map(|(id, it)| (id, it, it.deny));
        let all = lasting.chain(said.unreadable.iter().map(|id| (id, &unreadable, false)));
        let mut rows = Vec::with_capacity(said.statements.len());
        for (id, statement, lasting) in all {
            let text =
                serde_json::to_string(statement).map_err(|_| NodeError::Message("consent"))?;
            rows.push((name_of(&pseudonym_of(&key, id), &key), lasting, text));
        }
        let people: BTreeSet<&RowName> = rows.iter().map(|(patient, ..)| patient).collect();
        let people = people.len();
        let event =
            Event::new("consent", &self.config.dataset, &format!("steward@{}", self.centre()))
                .with("source", &source.word())
                .with("statements", &said.statements.len())
                .with("flaws", &said.flaws.len());
        self.state.log_with(self.clock.now(), &[event], |transaction, _| {
            if !add {
                let old = "DELETE FROM consent_sealed
                    WHERE lasting = 0 AND source IN (?, 'earlier')";
                transaction.execute(old, [source.word()])?;
            }
            let source = source.word();
            rows.iter().try_for_each(|(patient, lasting, text)| {
                Row { patient, source, lasting: *lasting, text }.insert(transaction, &key)
            })
        })?;
        Ok(people)
    }

    /// How many people of the register permit a purpose today.
    ///
    /// # Errors
    /// [`NodeError::Consent`] when the opt-out list cannot be read, [`NodeError::Database`].
    pub fn consent_counts(&self, purpose: &str) -> Result<ConsentCounts, NodeError> {
        let said = self.state.consent(&*self.key()?)?;
        let (today, decide) = (self.today(), self.decider()?);
        let opted_out = self.opted_out()?.len();
        let mut counts =
            ConsentCounts { people: said.len(), opted_out, ..ConsentCounts::default() };
        for own in said.values() {
            let (decision, both) =
                (decide(own, purpose, today), is_contradictory(own, purpose, today));
            counts.contradictory += usize::from(both);
            counts.renewed += usize::from(both && decision == Decision::Permitted);
            *match decision {
                Decision::Permitted => &mut counts.permitted,
                Decision::Denied => &mut counts.denied,
                _ => &mut counts.not_given,
            } += 1;
        }
        Ok(counts)
    }

    /// How this centre's policy decides from what a patient has said.
    fn decider(&self) -> Result<Decide, NodeError> {
        Ok(if self.policy_file()?.renewed_consent { decide_renewed } else { decide })
    }

    /// Identifiers that a centre's opt-out list names; none without a list.
    fn opted_out(&self) -> Result<BTreeSet<Pseudonym>, NodeError> {
        let Some(name) = self.policy_file()?.opt_out else {
            return Ok(BTreeSet::new());
        };
        let path = self.folder.join(name);
        let unreachable = |what: &str| {
            NodeError::Consent(format!(
                "opt-out-unreachable: the list {} {what}; no study starts without it",
                path.display()
            ))
        };
        let text = fs::read_to_string(&path)
            .map_err(|error| unreachable(&format!("cannot be read ({error})")))?;
        let ids = read_ids(&text).map_err(|what| unreachable(&what))?;
        let key = self.key()?;
        Ok(ids.iter().map(|id| pseudonym_of(&key, id)).collect())
    }

    /// The patients whose data may be used for a purpose today. Who has said no is left out whatever the
    /// policy says; where it asks for consent, so is who has said nothing.
    pub(crate) fn consenting(&self, dataset: Dataset, purpose: &str) -> Result<Dataset, NodeError> {
        let opted_out = self.opted_out()?;
        let required = self.policy_file()?.consent_required;
        let any_said = self.state.has_statements()?;
        if !required && !any_said && opted_out.is_empty() {
            return Ok(dataset);
        }
        let Some(patients) = dataset.pseudonyms() else {
            let what = "the data set has no identifiers, so that consent cannot be looked up; import \
                        it with its identifier column";
            return Err(NodeError::Consent(what.to_owned()));
        };
        let (key, today, decide) = (self.key()?, self.today(), self.decider()?);
        let said = if any_said { self.state.consent(&key)? } else { Register::new() };
        let may = |patient: &Pseudonym| {
            let own = said.get(name_of(patient, &key).as_slice());
            let own = own.map(Vec::as_slice).unwrap_or_default();
            let in_use = match decide(own, purpose, today) {
                Decision::Permitted => true,
                Decision::NotGiven => !required,
                _ => false,
            };
            in_use && !opted_out.contains(patient)
        };
        Ok(dataset.keep(&patients.iter().map(may).collect::<Vec<_>>())?)
    }
}

impl CentreNode {
    /// As [`Desk::consenting`], with the study's purpose.
    pub(crate) fn consenting(&self, dataset: Dataset, purpose: &str) -> Result<Dataset, NodeError> {
        self.desk.consenting(dataset, purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A database of an earlier version keeps what it knows: permits until the next import, denials
    // for ever.
    #[test]
    fn statements_of_earlier_versions_are_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.sqlite");
        let permit = Statement { deny: false, ..Statement::withdrawal(Date::MIN) };
        let earlier = Connection::open(&path).unwrap();
        let table = "CREATE TABLE consent (patient BLOB NOT NULL, statement TEXT NOT NULL,
            PRIMARY KEY (patient, statement)) STRICT";
        earlier.execute(table, []).unwrap();
        for (patient, statement) in [(1_u8, &permit), (2, &Statement::withdrawal(Date::MIN))] {
            let text = serde_json::to_string(statement).unwrap();
            let insert = "INSERT INTO consent VALUES (?, ?)";
            earlier.execute(insert, params![[patient; 16], text]).unwrap();
        }
        drop(earlier);
        let key = Key::create(&folder.path().join("data.key")).unwrap();
        for _ in 0..2 {
            let state = State::open(&path).unwrap();
            state.seal_earlier(jiff::Timestamp::UNIX_EPOCH, &key).unwrap();
            let known = state.consent(&key).unwrap();
            let name = name_of(&[1; 16], &key).to_vec();
            assert_eq!((known.len(), &known[&name]), (2, &vec![permit.clone()]));
            let count = "SELECT count(*) FROM consent_sealed WHERE lasting = 1";
            let lasting: i64 = state.lock().query_row(count, [], |row| row.get(0)).unwrap();
            assert_eq!(lasting, 1);
            assert!(!state.lock().table_exists(None, EARLIER).unwrap());
        }
    }

    // A statement belongs to its patient, its source and its row: whatever is moved or changed stops
    // the register, and nobody's denial becomes somebody else's.
    #[test]
    fn statements_moved_between_rows_do_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("node.sqlite")).unwrap();
        let key = Key::create(&folder.path().join("data.key")).unwrap();
        let statement = |deny| Statement { deny, ..Statement::withdrawal(Date::MIN) };
        let fill = || {
            state.change(|it| it.execute("DELETE FROM consent_sealed", [])).unwrap();
            for (patient, deny) in [([1_u8; 16], true), ([2; 16], false), ([2; 16], false)] {
                let text = serde_json::to_string(&statement(deny)).unwrap();
                let patient = name_of(&patient, &key);
                let row = Row { patient: &patient, source: "table", lasting: deny, text: &text };
                row.insert(&state.lock(), &key).unwrap();
            }
            let known = state.consent(&key).unwrap();
            assert_eq!(known.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        };
        for change in [
            "UPDATE consent_sealed SET patient = (SELECT patient FROM consent_sealed WHERE lasting = 0)",
            "UPDATE consent_sealed SET lasting = 0",
            "UPDATE consent_sealed SET source = 'fhir' WHERE lasting = 1",
            "UPDATE consent_sealed SET statement = (SELECT statement FROM consent_sealed WHERE lasting = 0)",
            "UPDATE consent_sealed SET row = zeroblob(16) WHERE lasting = 1",
        ] {
            fill();
            state.change(|it| it.execute(change, [])).unwrap();
            assert_eq!(state.consent(&key).unwrap_err().code(), "K0312", "{change}");
        }
    }
}
