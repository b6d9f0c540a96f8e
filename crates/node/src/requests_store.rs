//! Requests, approvals and used nonces in a node's database.

use crate::error::NodeError;
use crate::state::State;
use jiff::Timestamp;
use konsil_governance::{Approval, Check, Refusal, RequestState, Signed, StudyRequest};
use rusqlite::TransactionBehavior::Immediate;
use rusqlite::{Row, Transaction, params};

/// Tables of requests.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS requests (
        number INTEGER PRIMARY KEY AUTOINCREMENT, study_hash TEXT NOT NULL, study TEXT NOT NULL,
        researcher TEXT NOT NULL, document TEXT NOT NULL, checks TEXT NOT NULL,
        state TEXT NOT NULL, code TEXT NOT NULL, note TEXT NOT NULL,
        submitted INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS approvals (
        nonce TEXT NOT NULL, signer TEXT NOT NULL, request INTEGER NOT NULL,
        document TEXT NOT NULL, rule TEXT NOT NULL, made INTEGER NOT NULL,
        revoked INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (nonce, signer)) STRICT;
    CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, session TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS refusals (
        researcher TEXT NOT NULL, code TEXT NOT NULL, time INTEGER NOT NULL) STRICT;
";

const REQUESTS: &str = "
    SELECT number, study_hash, study, researcher, document, checks, state, code, note, submitted
    FROM requests";

/// A request in a node's database.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// Its number at this centre.
    pub number: i64,
    /// Hash of the study.
    pub study_hash: String,
    /// Id of the study.
    pub study: String,
    /// Key of the researcher.
    pub researcher: String,
    /// What was sent. The signature is empty where a run came without a request of its own.
    pub document: Signed<StudyRequest>,
    /// What was checked on arrival.
    pub checks: Vec<Check>,
    /// Where it stands.
    pub state: RequestState,
    /// Why, as a code; empty where there is none.
    pub code: String,
    /// Words of the steward or of the policy.
    pub note: String,
    /// When it came.
    pub submitted: Timestamp,
}

/// A request that has just come.
#[derive(Debug)]
pub(crate) struct NewRequest<'a> {
    pub(crate) study_hash: &'a str,
    pub(crate) study: &'a str,
    pub(crate) document: &'a Signed<StudyRequest>,
    pub(crate) checks: &'a [Check],
    pub(crate) state: RequestState,
    pub(crate) code: &'a str,
    pub(crate) note: &'a str,
}

/// A signed approval in the database.
#[derive(Clone, Debug)]
pub(crate) struct StoredApproval {
    pub(crate) document: Signed<Approval>,
    pub(crate) revoked: bool,
}

impl State {
    /// Adds a request. `None` when it would have to wait and `waiting_max` are waiting already.
    pub(crate) fn add_request(
        &self,
        new: &NewRequest<'_>,
        at: Timestamp,
        waiting_max: u32,
    ) -> Result<Option<i64>, NodeError> {
        let connection = self.lock();
        let inserted = connection.execute(
            "INSERT INTO requests
                (study_hash, study, researcher, document, checks, state, code, note, submitted)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ?6 <> 'waiting' OR ?10 >
                (SELECT count(*) FROM requests WHERE state IN ('waiting', 'question'))",
            params![
                new.study_hash,
                new.study,
                new.document.signer,
                json(new.document)?,
                json(&new.checks)?,
                new.state.to_string(),
                new.code,
                new.note,
                at.as_second(),
                waiting_max,
            ],
        )?;
        Ok((inserted == 1).then(|| connection.last_insert_rowid()))
    }

    /// All requests, the newest last.
    ///
    /// # Errors
    /// [`NodeError::Database`].
    pub fn requests(&self) -> Result<Vec<RequestRecord>, NodeError> {
        self.requests_by("ORDER BY number", &[])
    }

    /// One request.
    pub(crate) fn request(&self, number: i64) -> Result<Option<RequestRecord>, NodeError> {
        Ok(self.requests_by("WHERE number = ?", &[&number])?.pop())
    }

    /// A researcher's requests with one study, the newest first.
    pub(crate) fn requests_of(
        &self,
        study_hash: &str,
        researcher: &str,
    ) -> Result<Vec<RequestRecord>, NodeError> {
        let which = "WHERE study_hash = ? AND researcher = ? ORDER BY number DESC";
        self.requests_by(which, &[&study_hash, &researcher])
    }

    /// Whether a researcher has a request under this id that some steward has approved.
    pub(crate) fn has_approved(&self, study: &str, researcher: &str) -> Result<bool, NodeError> {
        let which = "WHERE study = ? AND researcher = ? AND state IN ('approved', 'consumed')";
        Ok(!self.requests_by(which, &[&study, &researcher])?.is_empty())
    }

    fn requests_by(
        &self,
        which: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<RequestRecord>, NodeError> {
        let connection = self.lock();
        let mut query = connection.prepare(&format!("{REQUESTS} {which}"))?;
        let rows = query.query_map(values, record)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Moves a request from one state to another; `false` when it is no longer in the first.
    pub(crate) fn move_request(
        &self,
        number: i64,
        (from, to): (RequestState, RequestState),
        (code, note): (&str, &str),
    ) -> Result<bool, NodeError> {
        let moved = self.writable()?.execute(
            "UPDATE requests SET state = ?, code = ?, note = ? WHERE number = ? AND state = ?",
            params![to.to_string(), code, note, number, from.to_string()],
        )?;
        Ok(moved == 1)
    }

    /// Notes that a request was refused without a steward.
    pub(crate) fn refused(&self, who: &str, code: &str, at: Timestamp) -> Result<(), NodeError> {
        self.writable()?
            .execute("INSERT INTO refusals VALUES (?, ?, ?)", params![who, code, at.as_second()])?;
        Ok(())
    }

    /// How many requests of a researcher were refused since a second, and the first of them.
    pub(crate) fn refused_since(
        &self,
        researcher: &str,
        since: i64,
    ) -> Result<(i64, Option<i64>), NodeError> {
        Ok(self.lock().query_row(
            "SELECT count(*), min(time) FROM refusals WHERE researcher = ? AND time > ?",
            params![researcher, since],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?)
    }

    /// The approvals of a request.
    pub(crate) fn approvals(&self, request: i64) -> Result<Vec<StoredApproval>, NodeError> {
        let connection = self.lock();
        let mut query = connection
            .prepare("SELECT document, revoked FROM approvals WHERE request = ? ORDER BY rowid")?;
        let rows = query.query_map([request], |row| {
            let revoked: i64 = row.get(1)?;
            Ok(StoredApproval { document: read(row, 0)?, revoked: revoked != 0 })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds a steward's approval, and moves the request on when `complete`.
    pub(crate) fn add_approval(
        &self,
        (request, from): (i64, RequestState),
        approval: &Signed<Approval>,
        complete: bool,
        note: &str,
    ) -> Result<bool, NodeError> {
        let mut connection = self.writable()?;
        let transaction = connection.transaction_with_behavior(Immediate)?;
        insert_approval(&transaction, request, approval, "")?;
        let to = if complete { RequestState::Approved } else { from };
        let moved = transaction.execute(
            "UPDATE requests SET state = ?, code = '', note = ? WHERE number = ? AND state = ?",
            params![to.to_string(), note, request, from.to_string()],
        )?;
        if moved == 1 {
            transaction.commit()?;
        }
        Ok(moved == 1)
    }

    /// Adds the node's own approval by a standing rule, if the rule's number for a day allows.
    pub(crate) fn add_standing(
        &self,
        request: i64,
        approval: &Signed<Approval>,
        (rule, per_day): (&str, Option<u32>),
    ) -> Result<bool, NodeError> {
        let mut connection = self.writable()?;
        let transaction = connection.transaction_with_behavior(Immediate)?;
        let since = approval.body.not_before.as_second().saturating_sub(DAY_SECONDS);
        let given: i64 = transaction.query_row(
            "SELECT count(*) FROM approvals WHERE rule = ? AND made > ?",
            params![rule, since],
            |row| row.get(0),
        )?;
        if per_day.is_some_and(|most| given >= i64::from(most)) {
            return Ok(false);
        }
        insert_approval(&transaction, request, approval, rule)?;
        transaction.execute(
            "UPDATE requests SET state = 'approved', note = 'by standing rule' WHERE number = ?",
            [request],
        )?;
        transaction.commit()?;
        Ok(true)
    }

    /// Marks the approvals of a request as taken back.
    pub(crate) fn revoke(&self, request: i64, note: &str) -> Result<bool, NodeError> {
        let mut connection = self.writable()?;
        let transaction = connection.transaction_with_behavior(Immediate)?;
        let moved = transaction.execute(
            "UPDATE requests SET state = 'revoked', code = 'K0617', note = ?
             WHERE number = ? AND state = 'approved'",
            params![note, request],
        )?;
        transaction.execute("UPDATE approvals SET revoked = 1 WHERE request = ?", [request])?;
        transaction.commit()?;
        Ok(moved == 1)
    }

    /// Whether a nonce has been used by a run.
    pub(crate) fn is_consumed(&self, nonce: &str) -> Result<bool, NodeError> {
        Ok(self.lock().query_row(
            "SELECT count(*) FROM nonces WHERE nonce = ?",
            [nonce],
            |row| row.get::<_, i64>(0),
        )? > 0)
    }
}

/// Seconds of a day.
pub(crate) const DAY_SECONDS: i64 = 86_400;

/// Uses up an approval, inside the transaction in which the run begins.
pub(crate) fn consume(
    transaction: &Transaction<'_>,
    (request, nonce): (i64, &str),
    (session, study): (&str, &str),
) -> Result<(), NodeError> {
    let used = transaction.execute(
        "INSERT OR IGNORE INTO nonces (nonce, session) VALUES (?, ?)",
        params![nonce, session],
    )?;
    if used != 1 {
        return Err(Refusal::Consumed(study.to_owned()).into());
    }
    let moved = transaction.execute(
        "UPDATE requests SET state = 'consumed', code = 'K0611' WHERE number = ? AND state = 'approved'",
        [request],
    )?;
    // a steward was faster
    if moved == 1 { Ok(()) } else { Err(Refusal::Revoked(study.to_owned()).into()) }
}

impl State {
    /// Whether a run has used no randomness: nothing that depends on patients has left.
    pub(crate) fn is_unburnt(&self, session: &str) -> Result<bool, NodeError> {
        let count = "SELECT count(*) FROM burnt WHERE session = ?";
        Ok(self.lock().query_row(count, [session], |row| row.get::<_, i64>(0))? == 0)
    }

    /// Gives an approval back that a run without any computation had used up.
    pub(crate) fn give_back(
        &self,
        (request, nonce): (i64, &str),
        session: &str,
    ) -> Result<(), NodeError> {
        let mut connection = self.writable()?;
        let transaction = connection.transaction_with_behavior(Immediate)?;
        let freed = transaction.execute(
            "DELETE FROM nonces WHERE nonce = ?1 AND session = ?2
                AND NOT EXISTS (SELECT 1 FROM burnt WHERE session = ?2)",
            params![nonce, session],
        )?;
        if freed == 1 {
            transaction.execute(
                "UPDATE requests SET state = 'approved', code = '' WHERE number = ? AND state = 'consumed'",
                [request],
            )?;
        }
        Ok(transaction.commit()?)
    }
}

fn insert_approval(
    transaction: &Transaction<'_>,
    request: i64,
    approval: &Signed<Approval>,
    rule: &str,
) -> Result<(), NodeError> {
    transaction.execute(
        "INSERT INTO approvals (nonce, signer, request, document, rule, made)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            approval.body.nonce,
            approval.signer,
            request,
            json(approval)?,
            rule,
            approval.body.not_before.as_second(),
        ],
    )?;
    Ok(())
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, NodeError> {
    serde_json::to_string(value).map_err(|_| NodeError::Message("unwritable document"))
}

/// A JSON document in a column.
fn read<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    let text: String = row.get(at)?;
    serde_json::from_str(&text).map_err(|error| column(at, error))
}

fn column(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
}

fn record(row: &Row<'_>) -> rusqlite::Result<RequestRecord> {
    let state: String = row.get(6)?;
    let unknown = |what: String| column(6, std::io::Error::other(what));
    Ok(RequestRecord {
        number: row.get(0)?,
        study_hash: row.get(1)?,
        study: row.get(2)?,
        researcher: row.get(3)?,
        document: read(row, 4)?,
        checks: read(row, 5)?,
        state: state.parse().map_err(unknown)?,
        code: row.get(7)?,
        note: row.get(8)?,
        submitted: Timestamp::from_second(row.get(9)?).map_err(|error| column(9, error))?,
    })
}
