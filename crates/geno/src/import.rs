//! From files to a store: match, check, count, put.

use crate::bits::{count, swap, take};
use crate::doses;
use crate::error::GenoError;
use crate::harmonise::{Found, Match, find};
use crate::links::Linked;
use crate::panel::Panel;
use crate::report::ImportReport;
use crate::source::Source;
use crate::store::Sink;
use std::collections::BTreeSet;

/// Variants between two reports of progress.
const PROGRESS: u64 = 1 << 14;
/// Frequencies of the alternative allele at which strands of A/T and C/G cannot be told apart.
const NEAR_HALF: std::ops::RangeInclusive<f64> = 0.4..=0.6;

/// What is set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// Part of the stored people in whom a variant may be missing, 0 to 1.
    pub missing_max: f64,
    /// Whether variants of A and T, or C and G, near 50 % are kept: for files whose strand is known to
    /// be the panel's.
    pub keep_ambiguous: bool,
    /// Numbers of the panel's variants that are left out.
    pub leave_out: BTreeSet<usize>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { missing_max: 0.05, keep_ambiguous: false, leave_out: BTreeSet::new() }
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which file, from 0.
    pub file: usize,
    /// Bytes of it that were read, and all of them.
    pub bytes: (u64, u64),
    /// Variants of all files so far.
    pub variants: u64,
}

/// What an import keeps in mind.
struct Import<'a> {
    panel: &'a Panel,
    people: usize,
    options: &'a ImportOptions,
    report: ImportReport,
    /// A bit for each variant of the panel that is stored.
    seen: Vec<u64>,
    words: Vec<u64>,
    taken: Vec<u64>,
    doses: Vec<u16>,
}

/// Reads all variants of some files, and puts those that are kept into a store, if there is one.
///
/// # Errors
/// [`GenoError`] of the files; [`GenoError::Build`] where file and panel have different builds,
/// [`GenoError::People`] where the files have different people, [`GenoError::NoVariant`] where nothing
/// is kept.
pub fn import(
    sources: &mut [Box<dyn Source>],
    (panel, linked): (&Panel, &Linked),
    options: &ImportOptions,
    mut store: Option<&mut dyn Sink>,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport, GenoError> {
    let people = linked.pseudonyms().len();
    let report = ImportReport { panel: panel.len() as u64, ..ImportReport::default() };
    let seen = vec![0; panel.len().div_ceil(64)];
    let (words, taken) = (Vec::new(), Vec::new());
    let doses = Vec::new();
    let mut import = Import { panel, people, options, report, seen, words, taken, doses };
    for (file, source) in sources.iter_mut().enumerate() {
        import.check_build(source.as_ref())?;
        let places = linked.places(source.file(), source.samples())?;
        let mut left = PROGRESS;
        while let Some(found) = import.next(source.as_mut())? {
            if let Some(found) = found {
                import.variant(source.as_mut(), found, (places.as_deref(), &mut store))?;
            }
            left -= 1;
            if left == 0 {
                left = PROGRESS;
                let (bytes, variants) = (source.progress(), import.report.read);
                progress(Progress { file, bytes, variants });
            }
        }
        let (bytes, variants) = (source.progress(), import.report.read);
        progress(Progress { file, bytes, variants });
        import.add_notes(source.as_ref());
    }
    let last = sources.last().map(|it| it.file().to_owned()).unwrap_or_default();
    if import.report.kept == 0 {
        return Err(GenoError::NoVariant { file: last, what: nothing(&import.report) });
    }
    Ok(import.report)
}

impl Import<'_> {
    fn check_build(&mut self, source: &dyn Source) -> Result<(), GenoError> {
        let Some(build) = source.build() else { return Ok(()) };
        let other = self.panel.build().or(self.report.build).filter(|it| *it != build);
        self.report.build = Some(build);
        match other {
            None => Ok(()),
            Some(other) => Err(GenoError::Build {
                file: source.file().to_owned(),
                what: format!(
                    "its positions are of {build} by the lengths of its contigs, those of the panel \
                     (or of the file before) of {other}; lift the file over, or use a panel of {build}"
                ),
            }),
        }
    }

    /// The next variant of a file: none after the last, and nothing for one that is set aside.
    fn next(
        &mut self,
        source: &mut dyn Source,
    ) -> Result<Option<Option<(Found, bool)>>, GenoError> {
        let Some(record) = source.next()? else { return Ok(None) };
        self.report.read += 1;
        let is_split = record.is_split;
        let found = match find(self.panel, &record) {
            Match::Found(found) => found,
            Match::NotOnPanel => {
                self.report.not_on_panel += 1;
                return Ok(Some(None));
            }
            Match::OtherAlleles | Match::NoAlleles => {
                self.report.other_alleles += 1;
                return Ok(Some(None));
            }
        };
        if self.options.leave_out.contains(&found.variant) {
            self.report.left_out += 1;
            return Ok(Some(None));
        }
        if self.seen.get(found.variant / 64).is_some_and(|it| it >> (found.variant % 64) & 1 == 1) {
            self.report.duplicates += 1;
            return Ok(Some(None));
        }
        Ok(Some(Some((found, is_split))))
    }

    /// Genotypes of a variant of the panel: kept or set aside.
    fn variant(
        &mut self,
        source: &mut dyn Source,
        (found, is_split): (Found, bool),
        (places, store): (Option<&[u32]>, &mut Option<&mut dyn Sink>),
    ) -> Result<(), GenoError> {
        source.genotypes(&mut self.words)?;
        let words = match places {
            None => &mut self.words,
            Some(places) => {
                take(&self.words, places, &mut self.taken);
                &mut self.taken
            }
        };
        match places {
            None => source.doses().clone_into(&mut self.doses),
            Some(_) if source.doses().is_empty() => self.doses.clear(),
            Some(places) => doses::take(source.doses(), places, &mut self.doses),
        }
        if found.is_swapped {
            swap(words);
            doses::swap(&mut self.doses);
        }
        let has_doses = doses::complete(&mut self.doses, words);
        let (copies, missing) = count(words, self.people);
        let unknown = if has_doses { doses::missing(&self.doses) } else { missing };
        if as_f64(unknown) > self.options.missing_max * as_f64(self.people as u64) {
            self.report.missing += 1;
            return Ok(());
        }
        let called = as_f64(self.people as u64 - missing);
        let is_near_half = NEAR_HALF.contains(&(as_f64(copies) / (2.0 * called)));
        if found.is_ambiguous && is_near_half && !self.options.keep_ambiguous {
            self.report.ambiguous += 1;
            return Ok(());
        }
        if let Some(store) = store {
            store.put(found.variant, words)?;
            if has_doses {
                store.put_doses(found.variant, &self.doses)?;
            }
        }
        if let Some(seen) = self.seen.get_mut(found.variant / 64) {
            *seen |= 1 << (found.variant % 64);
        }
        self.report.kept += 1;
        self.report.with_doses += u64::from(has_doses);
        self.report.swapped += u64::from(found.is_swapped);
        self.report.other_strand += u64::from(found.is_other_strand);
        self.report.split += u64::from(is_split);
        Ok(())
    }

    fn add_notes(&mut self, source: &dyn Source) {
        let (notes, own) = (&mut self.report.notes, source.notes());
        notes.half_calls += own.half_calls;
        notes.haploid += own.haploid;
        notes.unclear += own.unclear;
    }
}

/// Why nothing was kept.
fn nothing(report: &ImportReport) -> String {
    let ImportReport { read, not_on_panel, other_alleles, missing, .. } = report;
    format!(
        "none of its {read} variants is kept: {not_on_panel} are not on the panel, {other_alleles} have \
         other alleles, {missing} are missing in too many people; look whether panel and file have the \
         same build"
    )
}

#[expect(clippy::cast_precision_loss, reason = "counts of people are far below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
