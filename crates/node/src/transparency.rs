//! What a centre may tell the public about its studies: questions and what was learned, no patients.

use crate::desk::Desk;
use crate::error::NodeError;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use konsil_governance::{Signed, Study, StudyRequest};
use rusqlite::{Row, params};
use serde::Serialize;

/// Released runs with the request that they belong to and the time at which they ended.
const STUDIES: &str = "
    SELECT runs.session, runs.study,
        (SELECT document FROM requests WHERE requests.study_hash = runs.study_hash
            ORDER BY number DESC LIMIT 1),
        (SELECT researcher FROM requests WHERE requests.study_hash = runs.study_hash
            ORDER BY number DESC LIMIT 1),
        (SELECT time FROM audit_log WHERE json_extract(event, '$.kind') = 'end'
            AND json_extract(event, '$.facts.session') = runs.session LIMIT 1)
    FROM runs WHERE runs.state = 'released' ORDER BY runs.rowid DESC";

const RELEASED: &str = "
    SELECT analysis, name, numbers FROM openings WHERE session = ? AND audience = 'researcher'
    ORDER BY rowid";

/// Numbers that were released under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicRelease {
    /// Id of the analysis in its study.
    pub analysis: String,
    /// Kind of the analysis: `summary`, `km`, ….
    pub kind: String,
    /// Name of the opening.
    pub name: String,
    /// How many numbers.
    pub numbers: u64,
}

/// A study that was run, as the public may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicStudy {
    /// Its id.
    pub study: String,
    /// Its title; may be empty.
    pub title: String,
    /// Its purpose; may be empty.
    pub purpose: String,
    /// Who asked.
    pub researcher: String,
    /// The day on which it ended, UTC.
    pub day: Option<Date>,
    /// How many centres took part.
    pub centres: usize,
    /// What was released.
    pub released: Vec<PublicRelease>,
}

impl Desk {
    /// All studies that have released something, the newest first.
    ///
    /// # Errors
    /// [`NodeError::Database`].
    pub fn public_studies(&self) -> Result<Vec<PublicStudy>, NodeError> {
        let connection = self.state.lock();
        let mut query = connection.prepare(STUDIES)?;
        let rows = query.query_map([], found)?.collect::<Result<Vec<_>, _>>()?;
        let mut released = connection.prepare(RELEASED)?;
        let mut studies = Vec::with_capacity(rows.len());
        for it in rows {
            let request: Option<Signed<StudyRequest>> =
                it.document.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let study: Option<Study> =
                request.as_ref().and_then(|it| serde_json::from_str(&it.body.study).ok());
            let kind_of = |id: &str| {
                let known = study.iter().flat_map(|it| &it.analysis).find(|it| it.id == id);
                known.map(|it| it.kind.clone()).unwrap_or_default()
            };
            let lines = released.query_map(params![it.session], |row| {
                let analysis: String = row.get(0)?;
                let kind = kind_of(&analysis);
                let numbers = row.get::<_, i64>(2)?.unsigned_abs();
                Ok(PublicRelease { analysis, kind, name: row.get(1)?, numbers })
            })?;
            let released = lines.collect::<Result<_, _>>()?;
            let time = it.time.and_then(|it| Timestamp::from_second(it).ok());
            let key = it.researcher.unwrap_or_default();
            studies.push(PublicStudy {
                study: it.study,
                title: study.as_ref().map(|it| it.study.title.clone()).unwrap_or_default(),
                purpose: study.as_ref().map(|it| it.study.purpose.clone()).unwrap_or_default(),
                researcher: self.researcher(&key),
                day: time.map(|it| it.to_zoned(TimeZone::UTC).date()),
                centres: request.map_or(0, |it| it.body.members.len()),
                released,
            });
        }
        Ok(studies)
    }
}

/// A row of [`STUDIES`].
struct Found {
    session: String,
    study: String,
    document: Option<String>,
    researcher: Option<String>,
    time: Option<i64>,
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        session: row.get(0)?,
        study: row.get(1)?,
        document: row.get(2)?,
        researcher: row.get(3)?,
        time: row.get(4)?,
    })
}
