//! The header of a VCF, which a BCF has too: contigs, people, and the numbers that a BCF has for names.

use crate::chromosome::{Build, Chromosome};
use crate::error::{GenoError, Place};
use crate::lines::text;
use crate::make::contig;
use crate::source::Sample;
use konsil_cohort::Sex;
use std::collections::HashMap;
use std::path::Path;

/// Columns before those of people.
const FIXED: [&str; 9] = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"];
/// Names of a header, before memory is taken for more.
const NAMES_MAX: usize = 1 << 20;

/// What a header says.
#[derive(Default)]
pub(crate) struct Header {
    pub(crate) build: Option<Build>,
    pub(crate) samples: Vec<Sample>,
    /// Chromosomes by a BCF's number.
    pub(crate) contigs: HashMap<usize, Option<Chromosome>>,
    /// A BCF's number of `GT` and `DS`.
    pub(crate) keys: HashMap<String, usize>,
    /// Names of filters, fields and formats that have a number.
    names: HashMap<String, usize>,
}

impl Header {
    pub(crate) fn new() -> Self {
        let mut header = Self::default();
        header.names.insert("PASS".to_owned(), 0);
        header
    }

    /// Takes one line in; says whether it was the last, with the people.
    pub(crate) fn line(
        &mut self,
        line: &[u8],
        file: &Path,
        place: Place,
    ) -> Result<bool, GenoError> {
        let wrong = |what: &str| GenoError::file(file, place, what);
        if let Some(meta) = line.strip_prefix(b"##") {
            self.meta(meta).map_err(wrong)?;
            return Ok(false);
        }
        let line = text(line).ok_or_else(|| wrong("the header is no UTF-8"))?;
        let mut columns = line.split('\t');
        if !FIXED.iter().all(|name| columns.next() == Some(name)) {
            return Err(wrong(
                "the header's last line is #CHROM POS ID REF ALT QUAL FILTER INFO FORMAT and people, \
                 with tabs between; a file without people has no genotypes",
            ));
        }
        self.samples = columns.enumerate().map(|(at, id)| sample(id, at)).collect();
        if let Some(at) = self.samples.iter().position(|it| it.id.is_empty()) {
            return Err(GenoError::links(file, place, format!("person {} has no id", at + 1)));
        }
        match self.samples.is_empty() {
            true => Err(wrong("the file has no people")),
            false => Ok(true),
        }
    }

    fn meta(&mut self, meta: &[u8]) -> Result<(), &'static str> {
        if let Some((chromosome, length)) = contig(meta)
            && let Some(build) = Build::of_length(chromosome, length)
        {
            if self.build.is_some_and(|it| it != build) {
                return Err("the contigs have lengths of GRCh37 and of GRCh38");
            }
            self.build = Some(build);
        }
        let Some((kind, rest)) = text(meta).and_then(|it| it.split_once("=<")) else {
            return Ok(());
        };
        let value = |key: &str| rest.split([',', '>']).find_map(|it| it.strip_prefix(key));
        let Some(id) = value("ID=") else { return Ok(()) };
        let own = value("IDX=").and_then(|it| it.parse().ok());
        if self.contigs.len().max(self.names.len()) >= NAMES_MAX {
            return Err("the header has more than a million names");
        }
        match kind {
            "contig" => {
                let at = own.unwrap_or(self.contigs.len());
                self.contigs.insert(at, Chromosome::parse(id));
            }
            "FILTER" | "INFO" | "FORMAT" => {
                let next = self.names.len();
                let at = *self.names.entry(id.to_owned()).or_insert(own.unwrap_or(next));
                if kind == "FORMAT" {
                    self.keys.insert(id.to_owned(), at);
                }
            }
            _ => (),
        }
        Ok(())
    }
}

/// A person; PLINK writes family and person with `_` between, often the same twice, or 0 for no family.
fn sample(id: &str, at: usize) -> Sample {
    let half = (id.len() / 2, id.len() / 2 + 1);
    let halves = (id.get(..half.0), id.get(half.0..half.1), id.get(half.1..));
    let other = match halves {
        (Some(one), Some("_"), Some(other)) if one == other => Some(one),
        _ => id.strip_prefix("0_"),
    };
    let other = other.filter(|it| !it.is_empty()).map(str::to_owned);
    let place = Place::Person(at as u64 + 1);
    Sample { id: id.to_owned(), other, sex: Sex::Unknown, place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_before_ids_are_known() {
        for (id, other) in [
            ("P1_P1", Some("P1")),
            ("A_B_A_B", Some("A_B")),
            ("0_P1", Some("P1")),
            ("F1_P1", None),
            ("P1", None),
            ("_", None),
            ("é_é", Some("é")),
            ("P 1", None),
        ] {
            assert_eq!(sample(id, 0).other.as_deref(), other, "{id}");
        }
    }

    #[test]
    fn builds_and_numbers_are_read() {
        let mut header = Header::new();
        let lines = [
            "##fileformat=VCFv4.3",
            "##FILTER=<ID=PASS,Description=\"a, ID=x\">",
            "##contig=<ID=chr2>",
            "##contig=<ID=HLA*A,length=9>",
            "##contig=<ID=chr22,length=50818468,IDX=7>",
            "##INFO=<ID=DS,Number=1>",
            "##FORMAT=<ID=DS,Number=A,Type=Float>",
            "##FORMAT=<ID=GT,Number=1,IDX=9>",
        ];
        let (file, place) = (Path::new("x"), Place::Line(1));
        for line in lines {
            assert!(!header.line(line.as_bytes(), file, place).unwrap());
        }
        assert_eq!(header.build, Some(Build::Grch38));
        let contigs = [0, 1, 7].map(|it| header.contigs.get(&it).copied().flatten());
        assert_eq!(contigs, [Chromosome::parse("2"), None, Chromosome::parse("22")]);
        assert_eq!((header.keys["DS"], header.keys["GT"]), (1, 9));
        let last = format!("{}\tA\tB", FIXED.join("\t"));
        assert!(header.line(last.as_bytes(), file, place).unwrap());
        assert_eq!(header.samples.len(), 2);
        for bad in ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", &FIXED.join("\t"), "1\t2", ""]
        {
            assert_eq!(header.line(bad.as_bytes(), file, place).unwrap_err().code(), "K0121");
        }
        let empty = format!("{}\tA\t", FIXED.join("\t"));
        let empty = header.line(empty.as_bytes(), file, place).unwrap_err();
        assert!(empty.to_string().contains("person 2 has no id"), "{empty}");
        let other = header.line(b"##contig=<ID=1,length=249250621>", file, place).unwrap_err();
        assert!(other.to_string().contains("GRCh37 and of GRCh38"));
    }
}
