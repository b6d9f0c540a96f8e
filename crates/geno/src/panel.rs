//! The network's list of variants: public, the same at every centre.

use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// First line of a panel's file.
const HEADER: &str = "#CHROM\tPOS\tID\tREF\tALT";

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
    /// Where each variant's line begins; then the end.
    lines: Vec<usize>,
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
    #[error("{}: cannot be read", path.display())]
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

impl Panel {
    /// Reads a panel's file.
    ///
    /// # Errors
    /// [`PanelError`].
    pub fn read(path: &Path) -> Result<Self, PanelError> {
        let failed = |source| PanelError::Io { path: path.to_owned(), source };
        Self::parse(std::fs::read_to_string(path).map_err(failed)?)
    }

    /// Reads a panel: a header, then chromosome, position, name, reference and alternative allele of
    /// each variant, with tabs between.
    ///
    /// # Errors
    /// [`PanelError::Line`].
    pub fn parse(text: String) -> Result<Self, PanelError> {
        let wrong = |line, what: &str| PanelError::Line { line, what: what.to_owned() };
        if text.lines().next() != Some(HEADER) {
            return Err(wrong(1, "the first line is not #CHROM POS ID REF ALT, with tabs between"));
        }
        let mut lines = Vec::new();
        let mut at = HEADER.len() + 1;
        for (number, line) in text.lines().enumerate().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [_, position, _, _, _] = fields.as_slice() else {
                return Err(wrong(number + 1, "a line has five fields"));
            };
            if position.parse::<u32>().is_err() {
                return Err(wrong(number + 1, "the position is no number"));
            }
            lines.push(at);
            at += line.len() + 1;
        }
        lines.push(at.min(text.len() + 1));
        let digest = Sha256::digest(text.as_bytes());
        let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { text, lines, hash })
    }

    /// Number of variants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len().saturating_sub(1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of the file, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// One variant.
    #[must_use]
    pub fn variant(&self, at: usize) -> Option<Variant<'_>> {
        let line =
            self.text.get(*self.lines.get(at)?..self.lines.get(at + 1)?.saturating_sub(1))?;
        let mut fields = line.split('\t');
        Some(Variant {
            chromosome: fields.next()?,
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
