//! Consent as a table: `id,purpose,from,to`, one row for each statement, and if known `signed`, the
//! day of the signature.

use super::{Said, Statement};
use csv::{ReaderBuilder, StringRecord};

/// Longest table, in bytes.
const BYTES_MAX: usize = 1 << 28;

/// Columns, in any order of capitals and spaces.
const COLUMNS: [&str; 5] = ["id", "purpose", "from", "to", "signed"];

/// Reads a table. `purpose` may be `*`; `to` may be empty; a purpose that begins with `!` forbids.
///
/// A row that cannot be understood is a flaw, and leaves its person out.
#[must_use]
pub fn read_table(text: &str) -> Said {
    let mut said = Said::default();
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = reader.records();
    let header = rows.next().and_then(Result::ok).unwrap_or_default();
    let columns: Vec<String> = header.iter().map(|it| it.trim().to_ascii_lowercase()).collect();
    let known = columns == COLUMNS || columns == COLUMNS[..4];
    if !known || text.len() > BYTES_MAX {
        let odd = columns.iter().find(|it| !COLUMNS.contains(&it.as_str()));
        let odd = odd.map(|it| format!(", not `{it}`")).unwrap_or_default();
        let what = format!("the header must be id,purpose,from,to or with ,signed after it{odd}");
        said.flaw(1, &what, &[]);
        return said;
    }
    for row in rows {
        let Ok(row) = row else {
            said.flaw(1, "the table cannot be read", &[]);
            return said;
        };
        let line = row.position().map_or(0, csv::Position::line);
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let id = row.get(0).unwrap_or_default().trim().to_owned();
        if id.contains(['\n', '\r']) {
            said.flaw(line, "has a quote that does not end", &[]);
            return said;
        }
        match statement(&row, columns.len()) {
            Ok(statement) => said.statements.push((id, statement)),
            Err(what) if id.is_empty() => said.flaw(line, what, &[]),
            Err(what) => said.flaw(line, what, &[id]),
        }
    }
    said
}

fn statement(row: &StringRecord, width: usize) -> Result<Statement, &'static str> {
    let cells: Vec<&str> = row.iter().map(str::trim).collect();
    let [id, purpose, from, to, rest @ ..] = cells.as_slice() else {
        return Err("needs a cell for each column of the header");
    };
    if cells.len() != width {
        return Err("needs a cell for each column of the header");
    }
    let (deny, purpose) =
        purpose.strip_prefix('!').map_or((false, *purpose), |purpose| (true, purpose));
    if id.is_empty() || purpose.is_empty() || purpose.contains(['\n', '\r']) {
        return Err("has no id or no purpose");
    }
    let day = |text: &str| text.parse().map_err(|_| "dates are written 2026-11-24");
    let from = day(from)?;
    let to = if to.is_empty() { None } else { Some(day(to)?) };
    if to.is_some_and(|to| to < from) {
        return Err("ends before it begins");
    }
    let signed = match rest.first() {
        None | Some(&"") => None,
        Some(text) => Some(day(text)?),
    };
    let purpose = purpose.to_owned();
    Ok(Statement { purpose, from, to, deny, signed: None }.signed_on(signed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::{Decision, decide, decide_renewed};
    use jiff::civil::date;

    #[test]
    fn rows_are_read_and_flaws_leave_the_person_out() {
        let text = "id,purpose,from,to\nP1,dementia,2024-01-01,\nP2,*,2024-01-01,2024-12-31\n\
            P3,dementia,2024-13-01,\nP3,dementia,2024-01-01,\nP4,dementia,2025-01-01,2024-01-01\n\
            P1,!cancer,2024-01-01,\nP5\n\"Doe, J\",dementia,2024-01-01,\n";
        let said = read_table(text);
        assert_eq!((said.flaws.len(), said.unattributed), (3, 0));
        assert_eq!(said.flaws[0].line, 4);
        let of = |id: &str, purpose: &str| decide(&said.of(id), purpose, date(2025, 6, 1));
        assert_eq!(of("P1", "dementia"), Decision::Permitted);
        assert_eq!(of("P1", "cancer"), Decision::Denied);
        assert_eq!(of("P2", "dementia"), Decision::NotGiven);
        assert_eq!(of("P3", "dementia"), Decision::Denied);
        assert_eq!(of("P4", "dementia"), Decision::Denied);
        assert_eq!(of("Doe, J", "dementia"), Decision::Permitted);
    }

    // The day of a signature may stand in a fifth column, and must where consent is to be renewed.
    #[test]
    fn signatures_of_a_table_renew_consent() {
        let rows = "P1,!*,2020-01-01,,2024-03-01\nP1,*,2025-01-01,,2025-01-01\n\
            P2,!*,2020-01-01,,\nP2,*,2025-01-01,,2025-01-01\n\
            P3,!*,2020-01-01,,2024-03-01\nP3,*,2025-01-01,,\n\
            P4,!*,2020-01-01,,2024-03-01\nP4,*,2020-01-01,,2025-01-01\n\
            P5,*,2020-01-01,,spring\nP6,*,2020-01-01,\n";
        let said = read_table(&format!("id,purpose,from,to,signed\n{rows}"));
        assert_eq!((said.flaws.len(), said.unattributed), (2, 0));
        let of = |id: &str| decide_renewed(&said.of(id), "x", date(2026, 1, 1));
        assert_eq!(of("P1"), Decision::Permitted);
        for id in ["P2", "P3", "P4", "P5", "P6"] {
            assert_eq!(of(id), Decision::Denied, "{id}");
        }
    }

    // What a row says of nobody in particular may be somebody's withdrawal: it is counted, so that the
    // file can be refused.
    #[test]
    fn rows_of_nobody_are_counted() {
        let header = "id,purpose,from,to\n";
        for bad in [
            "who,why\n".to_owned(),
            "id,purpose,from,to,withdrawn\n".to_owned(),
            String::new(),
            format!("{header},!*,2024-01-01,\n"),
            format!("{header}P1,*,2024-01-01,\n\"P2,*,2024-01-01,\nP1,!*,2024-01-01,\n"),
        ] {
            assert_eq!(read_table(&bad).unattributed, 1, "{bad:?}");
        }
        assert!(read_table("id;purpose\n").flaws[0].what.contains("id;purpose"));
    }
}
