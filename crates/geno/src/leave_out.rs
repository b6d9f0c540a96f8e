//! People and variants that a steward leaves out of an import.
//!
//! A list is a text with one id a line. What follows a tab is for people: the reason. Empty lines and
//! lines that begin with `#` are passed over.

use crate::chromosome::Chromosome;
use crate::error::{GenoError, Place};
use crate::panel::Panel;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

/// Bytes of the largest list.
const FILE_MAX: u64 = 1 << 30;

/// A list of ids. Patient data.
pub struct LeaveOut {
    file: PathBuf,
    /// Ids with their lines.
    ids: Vec<(String, u64)>,
}

impl fmt::Debug for LeaveOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaveOut[{}]", self.ids.len())
    }
}

impl LeaveOut {
    /// Reads a list.
    ///
    /// # Errors
    /// [`GenoError::LeaveOut`] for a list without an id, or no text in UTF-8; [`GenoError::Limit`] for
    /// more than 1 GiB; [`GenoError::Io`].
    pub fn read(file: &Path) -> Result<Self, GenoError> {
        let failed = |source| GenoError::io(file, source);
        if std::fs::metadata(file).map_err(failed)?.len() > FILE_MAX {
            let what = "a list of more than 1 GiB".to_owned();
            return Err(GenoError::Limit { file: file.to_owned(), place: Place::Whole, what });
        }
        let bytes = std::fs::read(file).map_err(failed)?;
        let mut list = Self { file: file.to_owned(), ids: Vec::new() };
        let Ok(text) = str::from_utf8(&bytes) else {
            return Err(list.wrong(Place::Whole, "the list is no text in UTF-8"));
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, text) in (1..).zip(text.lines()) {
            let id = text.split('\t').next().unwrap_or_default().trim();
            if !id.is_empty() && !id.starts_with('#') {
                list.ids.push((id.to_owned(), line));
            }
        }
        match list.ids.is_empty() {
            true => Err(list.wrong(Place::Whole, "the list has no id: give one a line")),
            false => Ok(list),
        }
    }

    /// How many ids the list has; at least one.
    #[expect(clippy::len_without_is_empty, reason = "no list is empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Ids with their lines.
    pub(crate) fn ids(&self) -> &[(String, u64)] {
        &self.ids
    }

    pub(crate) fn wrong(&self, place: Place, what: impl Into<String>) -> GenoError {
        GenoError::LeaveOut { file: self.file.clone(), place, what: what.into() }
    }

    /// Numbers of the panel's variants that the list names: by the panel's name, as
    /// `CHROMOSOME:POSITION` (all variants there), or as `CHROMOSOME:POSITION:ALLELE:ALLELE` in either
    /// order; and how many ids of the list are on the panel.
    ///
    /// # Errors
    /// [`GenoError::LeaveOut`] where none is.
    pub fn variants(&self, panel: &Panel) -> Result<(BTreeSet<usize>, usize), GenoError> {
        let mut found = BTreeSet::new();
        let mut known = 0;
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (id, _) in &self.ids {
            let places = by_place(id, panel);
            known += usize::from(!places.is_empty());
            if places.is_empty() {
                *names.entry(id).or_default() += 1;
            }
            found.extend(places);
        }
        if !names.is_empty() {
            for (at, variant) in panel.variants().enumerate() {
                if let Some(count) = names.get_mut(variant.id) {
                    known += std::mem::take(count);
                    found.insert(at);
                }
            }
        }
        match known {
            0 => Err(self.wrong(
                Place::Whole,
                "none of its variants is on the panel; write them as the panel names them, or as \
                 1:12345 or 1:12345:A:G in the panel's build",
            )),
            known => Ok((found, known)),
        }
    }
}

/// The variants of a panel that `1:12345` or `1:12345:A:G` mean.
fn by_place(id: &str, panel: &Panel) -> Vec<usize> {
    let parts: Vec<&str> = id.split(':').collect();
    let (chromosome, position, alleles) = match parts.as_slice() {
        [chromosome, position] => (chromosome, position, None),
        [chromosome, position, one, other] => (chromosome, position, Some((one, other))),
        _ => return Vec::new(),
    };
    let chromosome = Chromosome::parse(chromosome);
    let Some((chromosome, position)) = chromosome.zip(position.parse().ok()) else {
        return Vec::new();
    };
    let is_meant = |at: &usize| {
        let (Some(variant), Some((one, other))) = (panel.variant(*at), alleles) else {
            return alleles.is_none();
        };
        let is = |a: &str, b: &str| {
            variant.reference.eq_ignore_ascii_case(a) && variant.alternative.eq_ignore_ascii_case(b)
        };
        is(one, other) || is(other, one)
    };
    panel.at(chromosome, position).filter(is_meant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANEL: &str = "#CHROM\tPOS\tID\tREF\tALT\n1\t5\trs1\tA\tG\n1\t5\trs2\tA\tT\n\
                         2\t9\t.\tC\tCT\nX\t7\t2:9\tA\tC\n";

    fn list(text: impl AsRef<[u8]>) -> Result<LeaveOut, GenoError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.txt");
        std::fs::write(&file, text).unwrap();
        LeaveOut::read(&file)
    }

    #[test]
    fn variants_are_named_in_three_ways() {
        let panel = Panel::parse(PANEL.to_owned()).unwrap();
        let found = |text: &str| {
            let (variants, known) = list(text).unwrap().variants(&panel).unwrap();
            (variants.into_iter().collect::<Vec<_>>(), known)
        };
        assert_eq!(found("# a note\n\nrs2\tstrand\nrs9\n"), (vec![1], 1));
        assert_eq!(found("\u{feff}chr1:5\r\n"), (vec![0, 1], 1));
        assert_eq!(found("1:5:g:a\n23:7\n1:5:A:C\n"), (vec![0, 3], 2));
        assert_eq!(found("2:9:CT:C\nrs1\nrs1\n"), (vec![0, 2], 3));
        for text in ["rs9\n", "1:6\n", "1:5:A:C\n", "1:x\n", "1:5:A\n"] {
            let error = list(text).unwrap().variants(&panel).unwrap_err();
            assert_eq!(error.code(), "K0129");
            assert!(error.to_string().contains("none of its variants"), "{error}");
        }
    }

    #[test]
    fn lists_without_ids_are_refused() {
        for (text, words) in
            [(&b""[..], "no id"), (b"#a\n\n \t x\n", "no id"), (b"\xff\n", "UTF-8")]
        {
            let error = list(text).unwrap_err();
            assert!(error.code() == "K0129" && error.to_string().contains(words), "{error}");
        }
        let error = LeaveOut::read(Path::new("none/at/all")).unwrap_err();
        assert_eq!(error.code(), "K0701");
    }
}
