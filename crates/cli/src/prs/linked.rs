//! Linked pairs of a scan's variants, from the file that `konsil ld` leaves.

use crate::failure::Failure;
use crate::prs::{Row, read_text};
use std::collections::HashMap;
use std::path::Path;

/// A variant by what it is, not by its name: chromosome, position, alleles in the order of letters.
type Key<'a> = (&'a str, u32, &'a str, &'a str);

fn key<'a>(chromosome: &'a str, position: u32, alleles: (&'a str, &'a str)) -> Key<'a> {
    let (a, b) = alleles;
    (chromosome, position, a.min(b), a.max(b))
}

/// For each row the places of those that it is linked with.
pub(super) fn read(path: &Path, rows: &[Row]) -> Result<Vec<Vec<usize>>, Failure> {
    let text = read_text(path)?;
    let places: HashMap<Key<'_>, usize> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let entry = &row.entry;
            let alleles = (entry.effect_allele.as_str(), entry.other_allele.as_str());
            (key(&entry.chromosome, entry.position, alleles), at)
        })
        .collect();
    parse(&text, &places, rows.len())
        .map_err(|what| Failure::usage(format!("{}{what}", path.display())))
}

fn parse(
    text: &str,
    places: &HashMap<Key<'_>, usize>,
    rows: usize,
) -> Result<Vec<Vec<usize>>, String> {
    const HEADER: &str = "#CHROM\tPOS_A\tID_A\tREF_A\tALT_A\tPOS_B\tID_B\tREF_B\tALT_B";
    let mut linked = vec![Vec::new(); rows];
    let mut has_header = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with('#') {
            has_header |= text == HEADER;
            continue;
        }
        let fields: Vec<&str> = text.split('\t').collect();
        let [chromosome, pos_a, _, ref_a, alt_a, pos_b, _, ref_b, alt_b] = fields[..] else {
            return Err(format!(", line {line}: it has not nine columns with tabs between"));
        };
        let positions = pos_a.parse::<u32>().ok().zip(pos_b.parse::<u32>().ok());
        let (pos_a, pos_b) =
            positions.ok_or_else(|| format!(", line {line}: a position is no number"))?;
        let of = |position: u32, alleles| places.get(&key(chromosome, position, alleles)).copied();
        let both = of(pos_a, (ref_a, alt_a)).zip(of(pos_b, (ref_b, alt_b)));
        let Some((a, b)) = both else { continue };
        for (one, other) in [(a, b), (b, a)] {
            if let Some(into) = linked.get_mut(one) {
                into.push(other);
            }
        }
    }
    if !has_header {
        return Err(
            ": it is no file of linked pairs; konsil ld leaves one, ld.linked.tsv".to_owned()
        );
    }
    Ok(linked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "##panel=x\n#CHROM\tPOS_A\tID_A\tREF_A\tALT_A\tPOS_B\tID_B\tREF_B\tALT_B\n\
                        1\t5\t.\tA\tG\t9\tb\tC\tT\n1\t5\t.\tA\tG\t11\tc\tC\tT\n";

    #[test]
    fn pairs_are_found_by_what_they_are() {
        let places = HashMap::from([(key("1", 5, ("G", "A")), 0), (key("1", 9, ("C", "T")), 1)]);
        assert_eq!(parse(FILE, &places, 2), Ok(vec![vec![1], vec![0]]));
        let wrong = |text: &str| parse(text, &places, 2).unwrap_err();
        assert!(wrong("1\t2\n").contains("line 1"));
        assert!(wrong(&FILE.replace("\t9\t", "\t?\t")).contains("line 3"));
        assert!(wrong("").contains("no file of linked pairs"));
    }
}
