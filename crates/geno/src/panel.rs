//! The network's list of variants: public, the same at every centre.
//!
//! A panel is a text: a header, then a line for each variant with exactly one alternative allele, in the
//! order of the genome. Its SHA-256 names it. Files that say the same in another way (`chr` before a
//! chromosome, small letters, the line ends of Windows) are the same panel.

use crate::allele::{BASES_MAX, is_allele};
use crate::chromosome::{Build, Chromosome};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Before the variants.
const HEADER: &str = "#CHROM\tPOS\tID\tREF\tALT";
/// Before the header: the build, where the panel says one.
const BUILD: &str = "##build=";
/// What the store and the analyses count variants with.
const VARIANTS_MAX: usize = (1 << 31) - 1;
/// Bytes of the longest name of a variant.
const ID_MAX: usize = 256;

/// One variant of a panel, with exactly one alternative allele.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant<'a> {
    /// `1` to `22`, `X`, `Y`, `MT`; without `chr`.
    pub chromosome: &'a str,
    /// Position, from 1.
    pub position: u32,
    /// Name; `.` is none.
    pub id: &'a str,
    /// The reference allele.
    pub reference: &'a str,
    /// The alternative allele, whose copies are counted.
    pub alternative: &'a str,
}

/// A public list of variants in the order of the genome.
#[derive(Clone, PartialEq, Eq)]
pub struct Panel {
    text: String,
    /// Where each variant's line begins in the text; then the end.
    starts: Vec<u32>,
    positions: Vec<u32>,
    /// First variant of each chromosome; then the number of all.
    chromosomes: Vec<usize>,
    build: Option<Build>,
    hash: String,
}

impl fmt::Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panel[{}]", self.len())
    }
}

/// Why a panel cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PanelError {
    /// The file.
    #[error("{}: cannot be read or written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line that is none.
    #[error("panel, line {line}: {what}")]
    Line {
        /// Line of the file, from 1.
        line: usize,
        /// What is wrong and what to do.
        what: String,
    },
}

/// A line of a panel, understood.
struct Line<'a> {
    chromosome: Chromosome,
    position: u32,
    reference: &'a str,
    alternative: &'a str,
    /// Whether the text is already as it is written.
    is_canonical: bool,
}

impl Panel {
    /// Reads a panel's file.
    ///
    /// # Errors
    /// [`PanelError`].
    pub fn read(path: &Path) -> Result<Self, PanelError> {
        let failed = |source| PanelError::Io { path: path.to_owned(), source };
        Self::parse(fs::read_to_string(path).map_err(failed)?)
    }

    /// Reads a panel: perhaps `##build=GRCh38`, a header, then chromosome, position, name, reference and
    /// alternative allele of each variant, with tabs between.
    ///
    /// # Errors
    /// [`PanelError::Line`]: no header, a line that is no variant, variants out of order or twice, an
    /// allele that is not A, C, G, T or N, more than 2^31 - 1 variants or 4 GiB.
    pub fn parse(text: String) -> Result<Self, PanelError> {
        let mut panel = Self::empty();
        let (mut at, mut number) = (0, 0);
        let (mut has_header, mut is_canonical) = (false, true);
        let mut last: Option<Chromosome> = None;
        if u32::try_from(text.len()).is_err() {
            return Err(wrong(1, "the panel has more than 4 GiB; divide it"));
        }
        for whole in text.split_inclusive('\n') {
            number += 1;
            let start = u32::try_from(at).unwrap_or(u32::MAX);
            at += whole.len();
            let line = whole.strip_suffix('\n').unwrap_or(whole);
            let line = line.strip_suffix('\r').unwrap_or(line);
            is_canonical &= line.len() + 1 == whole.len();
            if !has_header {
                has_header = panel.header(line, number)?;
                is_canonical &= !line.starts_with("##") || line.starts_with(BUILD);
                continue;
            }
            let parsed = parse_line(line).map_err(|what| wrong(number, what))?;
            panel.check_place(&text, last, &parsed).map_err(|what| wrong(number, what))?;
            is_canonical &= parsed.is_canonical;
            last = Some(parsed.chromosome);
            panel.starts.push(start);
            panel.positions.push(parsed.position);
            for first in panel.chromosomes.iter_mut().skip(parsed.chromosome.index() + 1) {
                *first += 1;
            }
        }
        if !has_header {
            return Err(wrong(1, "there is no header #CHROM POS ID REF ALT, with tabs between"));
        }
        if panel.is_empty() {
            return Err(wrong(number, "the panel has no variant"));
        }
        panel.text = text;
        panel.starts.push(u32::try_from(at).unwrap_or(u32::MAX));
        if !is_canonical {
            return Self::parse(panel.canonical());
        }
        panel.hash = hexadecimal(&Sha256::digest(panel.text.as_bytes()));
        Ok(panel)
    }

    fn empty() -> Self {
        Self {
            text: String::new(),
            starts: Vec::new(),
            positions: Vec::new(),
            chromosomes: vec![0; Chromosome::COUNT + 1],
            build: None,
            hash: String::new(),
        }
    }

    /// A line before the variants; says whether it is the header.
    fn header(&mut self, line: &str, number: usize) -> Result<bool, PanelError> {
        if line == HEADER {
            return Ok(true);
        }
        if let Some(build) = line.strip_prefix(BUILD) {
            let known = Build::parse(build).filter(|_| self.build.is_none());
            let what = "the build is GRCh37 or GRCh38, and stands there once";
            self.build = Some(known.ok_or_else(|| wrong(number, what))?);
            return Ok(false);
        }
        if line.starts_with("##") {
            return Ok(false);
        }
        Err(wrong(
            number,
            "the header #CHROM POS ID REF ALT, with tabs between, was expected; make a panel with  \
             konsil geno panel FILE",
        ))
    }

    /// Whether a variant may follow those before it.
    fn check_place(
        &self,
        text: &str,
        last: Option<Chromosome>,
        line: &Line<'_>,
    ) -> Result<(), String> {
        if let Some(build) = self.build
            && line.position > build.length(line.chromosome)
        {
            let name = line.chromosome.name();
            return Err(format!(
                "position {} is beyond chromosome {name} of {build}",
                line.position
            ));
        }
        if self.len_so_far() >= VARIANTS_MAX {
            return Err(format!("a panel has at most {VARIANTS_MAX} variants"));
        }
        let before = last.zip(self.positions.last().copied());
        let own = (line.chromosome, line.position);
        match before {
            Some(before) if before > own => {
                Err("variants must be in the order of chromosome (1 to \
                22, X, Y, MT) and position; sort the panel"
                    .to_owned())
            }
            Some(before) if before == own => self.check_alleles(text, line),
            _ => Ok(()),
        }
    }

    /// Whether variants of the same position have other alleles.
    fn check_alleles(&self, text: &str, line: &Line<'_>) -> Result<(), String> {
        let same = self.positions.iter().rev().take_while(|it| **it == line.position).count();
        for start in self.starts.iter().rev().take(same) {
            let start = usize::try_from(*start).unwrap_or(usize::MAX);
            let before = text.get(start..).and_then(|it| it.lines().next());
            let Some(Ok(before)) = before.map(parse_line) else { continue };
            if before.chromosome == line.chromosome
                && before.reference.eq_ignore_ascii_case(line.reference)
                && before.alternative.eq_ignore_ascii_case(line.alternative)
            {
                return Err("the same variant stands in the panel twice; leave one".to_owned());
            }
        }
        Ok(())
    }

    fn len_so_far(&self) -> usize {
        self.positions.len()
    }

    /// The text as it is written.
    fn canonical(&self) -> String {
        let mut text = self.build.map_or_else(String::new, |it| format!("{BUILD}{it}\n"));
        text.push_str(HEADER);
        text.push('\n');
        for variant in self.variants() {
            let Variant { chromosome, position, id, reference, alternative } = variant;
            let (reference, alternative) =
                (reference.to_ascii_uppercase(), alternative.to_ascii_uppercase());
            let _ = writeln!(text, "{chromosome}\t{position}\t{id}\t{reference}\t{alternative}");
        }
        text
    }

    /// Writes the panel's file, at once or not at all.
    ///
    /// # Errors
    /// [`PanelError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), PanelError> {
        let failed = |source| PanelError::Io { path: path.to_owned(), source };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = path.with_file_name(format!(".{name}.part"));
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(self.text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&part);
            failed(error)
        })
    }

    /// The panel as text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Number of variants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of the panel as [`Panel::write`] writes it, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The build of its positions, where the panel says it.
    #[must_use]
    pub fn build(&self) -> Option<Build> {
        self.build
    }

    /// Numbers of the variants of a chromosome.
    #[must_use]
    pub fn range(&self, chromosome: Chromosome) -> Range<usize> {
        let first = |at: usize| self.chromosomes.get(at).copied().unwrap_or(self.len());
        first(chromosome.index())..first(chromosome.index() + 1)
    }

    /// Numbers of the variants at a position.
    #[must_use]
    pub fn at(&self, chromosome: Chromosome, position: u32) -> Range<usize> {
        let range = self.range(chromosome);
        let own = self.positions.get(range.clone()).unwrap_or_default();
        let first = own.partition_point(|it| *it < position);
        let count = own.iter().skip(first).take_while(|it| **it == position).count();
        range.start + first..range.start + first + count
    }

    /// One variant.
    #[must_use]
    pub fn variant(&self, at: usize) -> Option<Variant<'_>> {
        let place = |at: usize| usize::try_from(*self.starts.get(at)?).ok();
        let line = self.text.get(place(at)?..place(at + 1)?)?.trim_end();
        let mut fields = line.split('\t');
        Some(Variant {
            chromosome: Chromosome::parse(fields.next()?)?.name(),
            position: fields.next()?.parse().ok()?,
            id: fields.next()?,
            reference: fields.next()?,
            alternative: fields.next()?,
        })
    }

    /// All variants, in order.
    pub fn variants(&self) -> impl Iterator<Item = Variant<'_>> {
        (0..self.len()).filter_map(|at| self.variant(at))
    }
}

fn wrong(line: usize, what: impl Into<String>) -> PanelError {
    PanelError::Line { line, what: what.into() }
}

fn parse_line(line: &str) -> Result<Line<'_>, String> {
    let mut fields = line.split('\t');
    let mut field = || fields.next().ok_or("a line has five fields, with tabs between");
    let (name, digits, id) = (field()?, field()?, field()?);
    let (reference, alternative) = (field()?, field()?);
    if fields.next().is_some() {
        return Err("a line has five fields, with tabs between".to_owned());
    }
    let chromosome = Chromosome::parse(name).ok_or("chromosomes are 1 to 22, X, Y and MT")?;
    let is_number = !digits.starts_with('+');
    let position: u32 = digits
        .parse()
        .ok()
        .filter(|it| *it > 0 && is_number)
        .ok_or("the position is no whole number from 1")?;
    if id.is_empty() || id.len() > ID_MAX || id.contains(|it: char| it.is_control() || it == ' ') {
        return Err(format!("a name has 1 to {ID_MAX} characters without spaces; . is none"));
    }
    let is_upper = is_allele(reference.as_bytes()) && is_allele(alternative.as_bytes());
    if !is_upper {
        for allele in [reference, alternative] {
            if !is_allele(allele.to_ascii_uppercase().as_bytes()) {
                return Err(format!(
                    "an allele has 1 to {BASES_MAX} of the letters A, C, G, T, N; each alternative \
                     allele has a line of its own"
                ));
            }
        }
    }
    if reference.eq_ignore_ascii_case(alternative) {
        return Err("both alleles are the same".to_owned());
    }
    let is_plain = name == chromosome.name() && !digits.starts_with('0');
    let is_canonical = is_upper && is_plain;
    Ok(Line { chromosome, position, reference, alternative, is_canonical })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "##build=GRCh38\n#CHROM\tPOS\tID\tREF\tALT\n1\t100\trs1\tA\tG\n\
                         1\t200\trs2\tC\tT\n1\t200\trs2\tC\tG\n22\t5\t.\tAC\tA\nX\t7\trs3\tG\tT\n";

    #[test]
    fn variants_are_found_by_number_chromosome_and_position() {
        let panel = Panel::parse(SMALL.to_owned()).unwrap();
        assert_eq!((panel.len(), panel.build()), (5, Some(Build::Grch38)));
        let one = Chromosome::parse("1").unwrap();
        assert_eq!((panel.range(one), panel.at(one, 200), panel.at(one, 150)), (0..3, 1..3, 1..1));
        let x = Chromosome::parse("X").unwrap();
        assert_eq!((panel.range(x), panel.at(x, 7)), (4..5, 4..5));
        assert!(panel.range(Chromosome::parse("5").unwrap()).is_empty());
        let third = panel.variant(3).unwrap();
        assert_eq!((third.chromosome, third.position, third.reference), ("22", 5, "AC"));
        assert_eq!((third.alternative, third.id, panel.variant(5)), ("A", ".", None));
        assert_eq!(panel.variants().count(), 5);
    }

    // The hash names what a panel says, and is that of the file as it is written.
    #[test]
    fn the_same_panel_in_other_words_has_the_same_hash() {
        let panel = Panel::parse(SMALL.to_owned()).unwrap();
        let other = SMALL.replace("\n1\t", "\nchr01\t").replace("\tA\tG", "\ta\tg");
        let other = other.replace("\nX\t", "\n23\t").replace('\n', "\r\n");
        let other = Panel::parse(other.trim_end().to_owned()).unwrap();
        assert_eq!((other.hash(), other.text()), (panel.hash(), SMALL));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("panel.tsv");
        panel.write(&path).unwrap();
        assert_eq!(Panel::read(&path).unwrap(), panel);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let without = Panel::parse(SMALL.replacen("##build=GRCh38\n", "", 1)).unwrap();
        assert_ne!(without.hash(), panel.hash());
    }

    #[test]
    fn lines_that_are_none_are_named() {
        let long = "A".repeat(1001);
        let cases = [
            ("X\t7\trs3\tG\tT\n", "", 0, ""),
            ("#CHROM\t", "#CHROM ", 2, "header"),
            ("##build=GRCh38", "##build=hg17", 1, "GRCh37"),
            ("1\t100\t", "1\t300\t", 4, "order"),
            ("22\t5\t", "2\t5\t", 0, ""),
            ("X\t7\t", "21\t7\t", 7, "order"),
            ("rs2\tC\tG", "rs9\tc\tt", 5, "twice"),
            ("rs2\tC\tG", "rs2\tC\tG,T", 5, "line of its own"),
            ("rs2\tC\tG", "rs2\tC\t<DEL>", 5, "A, C, G, T, N"),
            ("rs2\tC\tG", "rs2\tC\tC", 5, "same"),
            ("\t100\t", "\t0\t", 3, "position"),
            ("\t100\t", "\t+100\t", 3, "position"),
            ("\t100\t", "\t4294967296\t", 3, "position"),
            ("X\t7\t", "X\t156040896\t", 7, "beyond"),
            ("\trs1\t", "\t\t", 3, "name"),
            ("\trs1\t", "\trs 1\t", 3, "name"),
            ("1\t100", "HLA\t100", 3, "chromosomes"),
            ("A\tG\n", "A\n", 3, "five fields"),
            ("A\tG\n", "A\tG\t.\n", 3, "five fields"),
            ("A\tG\n", "A\tG\n\n", 4, "five fields"),
            ("AC\tA\n", &format!("{long}\tA\n"), 6, "1000"),
        ];
        for (from, to, line, word) in cases {
            let parsed = Panel::parse(SMALL.replacen(from, to, 1));
            match parsed {
                Ok(_) => assert_eq!(line, 0, "{to:?}"),
                Err(PanelError::Line { line: found, what }) => {
                    assert_eq!(found, line, "{to:?}: {what}");
                    assert!(what.contains(word), "{to:?}: {what}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        for empty in ["", "#CHROM\tPOS\tID\tREF\tALT\n", "1\t2\t.\tA\tC\n"] {
            assert!(Panel::parse(empty.to_owned()).is_err());
        }
    }
}
