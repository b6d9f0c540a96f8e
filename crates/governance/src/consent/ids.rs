//! Lists of identifiers: who has opted out, who withdraws.

use csv::ReaderBuilder;

/// Reads a list, one identifier to a line, or a CSV with a column `id`. A list of nobody has the line
/// `id` only.
///
/// # Errors
/// What is wrong, for a list of which anybody might be missed: empty, cut within quotes, separated by
/// something else than commas.
pub fn read_ids(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut ids = Vec::new();
    let mut column = None;
    for row in reader.records() {
        let row = row.map_err(|_| "is not a list of identifiers".to_owned())?;
        let line = row.position().map_or(0, csv::Position::line);
        let known = match column {
            Some(known) => known,
            None => {
                let header = row.iter().position(|cell| cell.trim().eq_ignore_ascii_case("id"));
                column = Some(header.unwrap_or(0));
                if header.is_some() {
                    continue;
                }
                0
            }
        };
        let id = row.get(known).unwrap_or_default().trim();
        if id.is_empty() || id.contains(['\n', '\r', ';', '\t', '"']) {
            return Err(format!("line {line} has no identifier; write one to a line"));
        }
        ids.push(id.to_owned());
    }
    match column {
        Some(_) => Ok(ids),
        None => Err("is empty; a list of nobody has the line  id  only".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Nobody on a list is missed because of how it is written; a list that cannot be read is none.
    #[test]
    fn lists_are_read_whole_or_not_at_all() {
        let read = |text: &str| read_ids(text).unwrap();
        assert_eq!(read("P1\nP2\n"), ["P1", "P2"]);
        assert_eq!(read("\u{feff}P1\r\n\r\n P2 "), ["P1", "P2"]);
        assert_eq!(read("\u{feff}ID,since\nP1,2024-01-01\n\"P2\",\n"), ["P1", "P2"]);
        assert_eq!(read("since,id\n2024-01-01,P1\n"), ["P1"]);
        assert_eq!(read("id\n"), Vec::<String>::new());
        for bad in ["", "\n", "P1;2024\n", "P1\n\"P2\nP3\n", "id,x\n,y\n", "a\tb\n"] {
            assert!(read_ids(bad).is_err(), "{bad:?}");
        }
    }
}
