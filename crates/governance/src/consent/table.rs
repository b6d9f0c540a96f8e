//! Consent as a table: `id,purpose,from,to`, one row for each statement.

use super::{Flaw, Said, Statement};

/// Longest table, in bytes.
const BYTES_MAX: usize = 1 << 28;

/// Reads a table. `purpose` may be `*`; `to` may be empty; a purpose that begins with `!` forbids.
///
/// A row that cannot be understood is a flaw, and a person with a flaw should be left out: the
/// identifier of such a row, where it has one, gets a statement that forbids everything.
#[must_use]
pub fn read_table(text: &str) -> Said {
    let mut said = Said::default();
    let mut lines = text.trim_start_matches('\u{feff}').lines().zip(1_usize..);
    let header = lines.next().map(|(line, _)| line.replace(' ', "").to_ascii_lowercase());
    if header.as_deref() != Some("id,purpose,from,to") || text.len() > BYTES_MAX {
        let what = "the header must be id,purpose,from,to".to_owned();
        said.flaws.push(Flaw { line: 1, what });
        return said;
    }
    for (line, number) in lines.filter(|(line, _)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        match statement(&cells) {
            Ok((id, statement)) => said.statements.push((id, statement)),
            Err(what) => {
                said.flaws.push(Flaw { line: number, what: what.to_owned() });
                if let Some(id) = cells.first().filter(|id| !id.is_empty()) {
                    said.statements
                        .push(((*id).to_owned(), Statement::withdrawal(jiff::civil::Date::MIN)));
                }
            }
        }
    }
    said
}

fn statement(cells: &[&str]) -> Result<(String, Statement), &'static str> {
    let [id, purpose, from, to] = cells else {
        return Err("needs four cells: id, purpose, from, to");
    };
    if id.is_empty() || purpose.is_empty() {
        return Err("has no id or no purpose");
    }
    let day = |text: &str| text.parse().map_err(|_| "dates are written 2026-11-24");
    let (deny, purpose) =
        purpose.strip_prefix('!').map_or((false, *purpose), |purpose| (true, purpose));
    let from = day(from)?;
    let to = if to.is_empty() { None } else { Some(day(to)?) };
    if to.is_some_and(|to| to < from) {
        return Err("ends before it begins");
    }
    Ok(((*id).to_owned(), Statement { purpose: purpose.to_owned(), from, to, deny }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::{Decision, decide};
    use jiff::civil::date;

    #[test]
    fn rows_are_read_and_flaws_leave_the_person_out() {
        let text = "id,purpose,from,to\nP1,dementia,2024-01-01,\nP2,*,2024-01-01,2024-12-31\n\
            P3,dementia,2024-13-01,\nP3,dementia,2024-01-01,\nP4,dementia,2025-01-01,2024-01-01\n\
            P1,!cancer,2024-01-01,\nP5\n";
        let said = read_table(text);
        assert_eq!(said.flaws.len(), 3);
        assert_eq!(said.flaws[0].line, 4);
        let of = |id: &str, purpose: &str| {
            let own: Vec<Statement> = said
                .statements
                .iter()
                .filter(|(it, _)| it == id)
                .map(|(_, it)| it.clone())
                .collect();
            decide(&own, purpose, date(2025, 6, 1))
        };
        assert_eq!(of("P1", "dementia"), Decision::Permitted);
        assert_eq!(of("P1", "cancer"), Decision::Denied);
        assert_eq!(of("P2", "dementia"), Decision::NotGiven);
        assert_eq!(of("P3", "dementia"), Decision::Denied);
        assert_eq!(of("P4", "dementia"), Decision::Denied);
        assert_eq!(read_table("who,why\n").flaws.len(), 1);
    }
}
