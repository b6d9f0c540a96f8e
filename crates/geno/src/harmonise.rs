//! Which variant of the panel a variant of a file is, and which allele of it was counted.

use crate::allele::is_opposite;
use crate::panel::{Panel, Variant};
use crate::source::Record;

/// What was found on the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Found(Found),
    /// No variant of the panel is at this position.
    NotOnPanel,
    /// The panel's variants at this position have other alleles.
    OtherAlleles,
    /// The file names no allele.
    NoAlleles,
}

/// A variant of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its number.
    pub(crate) variant: usize,
    /// Whether the file counts the panel's reference allele.
    pub(crate) is_swapped: bool,
    /// Whether the file has the other strand.
    pub(crate) is_other_strand: bool,
    /// Whether the alleles (A and T, or C and G) do not tell the strand.
    pub(crate) is_ambiguous: bool,
}

/// How the alleles of a file are those of a variant; the better first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    is_other_strand: bool,
    is_swapped: bool,
}

/// Finds a variant by chromosome, position and alleles. Alleles as written are preferred to swapped
/// ones, and those to the other strand, which single bases only are tried on.
pub(crate) fn find(panel: &Panel, record: &Record<'_>) -> Match {
    let Some(chromosome) = record.chromosome.filter(|_| record.position > 0) else {
        return Match::NotOnPanel;
    };
    let range = panel.at(chromosome, record.position);
    if range.is_empty() {
        return Match::NotOnPanel;
    }
    if is_unknown(record.counted) && is_unknown(record.other) {
        return Match::NoAlleles;
    }
    let mut best: Option<(Fit, usize)> = None;
    let mut equal = 0;
    for at in range {
        let Some(variant) = panel.variant(at) else { continue };
        let Some(fit) = fit(record, &variant) else { continue };
        equal = if best.is_some_and(|(before, _)| fit == before) { equal + 1 } else { equal };
        if best.is_none_or(|(before, _)| fit < before) {
            (best, equal) = (Some((fit, at)), 1);
        }
    }
    // where one allele is not named, several variants of a position may fit as well
    let Some((fit, at)) = best.filter(|_| equal == 1) else { return Match::OtherAlleles };
    let is_ambiguous = panel.variant(at).is_some_and(|it| is_ambiguous(&it));
    let Fit { is_other_strand, is_swapped } = fit;
    Match::Found(Found { variant: at, is_swapped, is_other_strand, is_ambiguous })
}

/// An allele that a file leaves open: nobody has it.
fn is_unknown(allele: &[u8]) -> bool {
    matches!(allele, b"0" | b".")
}

fn is_ambiguous(variant: &Variant<'_>) -> bool {
    is_opposite(variant.reference.as_bytes(), variant.alternative.as_bytes())
}

fn fit(record: &Record<'_>, variant: &Variant<'_>) -> Option<Fit> {
    let (reference, alternative) = (variant.reference.as_bytes(), variant.alternative.as_bytes());
    let as_written = |own: &[u8], panel: &[u8]| is_unknown(own) || own.eq_ignore_ascii_case(panel);
    let other_strand = |own: &[u8], panel: &[u8]| is_unknown(own) || is_opposite(own, panel);
    let (counted, other) = (record.counted, record.other);
    if as_written(counted, alternative) && as_written(other, reference) {
        return Some(Fit { is_other_strand: false, is_swapped: false });
    }
    if as_written(counted, reference) && as_written(other, alternative) {
        return Some(Fit { is_other_strand: false, is_swapped: true });
    }
    if is_ambiguous(variant) {
        return None;
    }
    let is_other_strand = true;
    if other_strand(counted, alternative) && other_strand(other, reference) {
        return Some(Fit { is_other_strand, is_swapped: false });
    }
    if other_strand(counted, reference) && other_strand(other, alternative) {
        return Some(Fit { is_other_strand, is_swapped: true });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chromosome::Chromosome;

    fn found(position: u32, counted: &str, other: &str) -> String {
        let panel = "#CHROM\tPOS\tID\tREF\tALT\n1\t10\t.\tA\tG\n1\t20\t.\tA\tT\n1\t30\t.\tC\tA\n\
                     1\t30\t.\tC\tT\n1\t40\t.\tAC\tA\n1\t50\t.\tC\tA\n1\t50\t.\tT\tG\n";
        let panel = Panel::parse(panel.to_owned()).unwrap();
        let (counted, other) = (counted.as_bytes(), other.as_bytes());
        let chromosome = Chromosome::parse("1");
        let record = Record { chromosome, position, counted, other, is_split: false };
        match find(&panel, &record) {
            Match::Found(it) => {
                let words = [
                    (it.is_swapped, " swapped"),
                    (it.is_other_strand, " strand"),
                    (it.is_ambiguous, " ambiguous"),
                ];
                let words: String = words.iter().filter(|it| it.0).map(|it| it.1).collect();
                format!("{}{words}", it.variant)
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn variants_are_found_by_position_and_alleles() {
        for (position, counted, other, wanted) in [
            (10, "G", "A", "0"),
            (10, "g", "a", "0"),
            (10, "A", "G", "0 swapped"),
            (10, "C", "T", "0 strand"),
            (10, "T", "C", "0 swapped strand"),
            (10, "C", "A", "OtherAlleles"),
            (10, "GA", "A", "OtherAlleles"),
            (11, "G", "A", "NotOnPanel"),
            (0, "G", "A", "NotOnPanel"),
            // no strand can be told
            (20, "T", "A", "1 ambiguous"),
            (20, "A", "T", "1 swapped ambiguous"),
            (20, "C", "G", "OtherAlleles"),
            // by the alternative allele
            (30, "A", "C", "2"),
            (30, "T", "C", "3"),
            (30, "C", "T", "3 swapped"),
            (30, "A", "G", "3 strand"),
            (40, "A", "AC", "4"),
            (40, "AC", "A", "4 swapped"),
            (40, "T", "GT", "OtherAlleles"),
            // as written before the other strand, which has the same letters
            (50, "A", "C", "5"),
            (50, "G", "T", "6"),
            // nobody here has the other allele
            (10, "0", "A", "0"),
            (10, "0", "G", "0 swapped"),
            (10, "0", "T", "0 strand"),
            (10, "0", "C", "0 swapped strand"),
            (10, "G", ".", "0"),
            (30, "0", "C", "OtherAlleles"),
            (30, "T", "0", "3"),
            (10, "0", "0", "NoAlleles"),
            (10, "", "A", "OtherAlleles"),
        ] {
            assert_eq!(found(position, counted, other), wanted, "{position} {counted} {other}");
        }
        let record =
            Record { chromosome: None, position: 10, counted: b"G", other: b"A", is_split: false };
        let panel = Panel::parse("#CHROM\tPOS\tID\tREF\tALT\n1\t10\t.\tA\tG\n".to_owned()).unwrap();
        assert_eq!(find(&panel, &record), Match::NotOnPanel);
    }
}
