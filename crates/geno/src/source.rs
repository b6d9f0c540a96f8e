//! What every kind of genotype file gives: people, then variants one after another.

use crate::chromosome::{Build, Chromosome};
use crate::error::{GenoError, Place};
use konsil_cohort::Sex;
use std::fmt;
use std::path::Path;

/// A person of a file, as the file names them. Patient data.
#[derive(Clone, PartialEq, Eq)]
pub struct Sample {
    /// The id.
    pub(crate) id: String,
    /// Another way to write it: with the family, or without it.
    pub(crate) other: Option<String>,
    /// The sex, where the file says it.
    pub(crate) sex: Sex,
    /// Where it stands in its file.
    pub(crate) place: Place,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sample({:?})", self.place)
    }
}

/// A variant of a file with one counted allele.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The chromosome; `None` for one that no panel has.
    pub chromosome: Option<Chromosome>,
    /// Position, from 1; 0 is none.
    pub position: u32,
    /// The allele whose copies [`Source::genotypes`] counts; `0` or `.` where the file names none.
    pub counted: &'a [u8],
    /// The other allele, likewise.
    pub other: &'a [u8],
    /// Whether the file has several alternative alleles here, of which this is one.
    pub is_split: bool,
}

/// What had to be decided while genotypes were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Genotypes of which one allele was called only.
    pub half_calls: u64,
    /// Genotypes of one copy, of chromosomes that have one in some people.
    pub haploid: u64,
    /// Doses or probabilities that are no clear genotype, which therefore is missing.
    pub unclear: u64,
}

/// A file of genotypes, read from its beginning to its end.
pub trait Source {
    /// The file.
    fn file(&self) -> &Path;

    /// Its people, in its order.
    fn samples(&self) -> &[Sample];

    /// The build of its positions, where it says one.
    fn build(&self) -> Option<Build>;

    /// The next variant; `None` after the last.
    ///
    /// # Errors
    /// [`GenoError`] for a file that is damaged or cut.
    fn next(&mut self) -> Result<Option<Record<'_>>, GenoError>;

    /// Genotypes of the variant that [`Source::next`] gave last: copies of its counted allele, as
    /// [`konsil_kernels::Packed`] has them, padded with missing ones.
    ///
    /// # Errors
    /// [`GenoError`] for genotypes that cannot be counted.
    fn genotypes(&mut self, words: &mut Vec<u64>) -> Result<(), GenoError>;

    /// Doses that were read with these genotypes, of all people of the file: copies of the counted allele
    /// in parts of [`konsil_kernels::DOSE_COPY`], [`konsil_kernels::DOSE_MISSING`] where there is none;
    /// empty where the file has no doses, or they are not kept.
    fn doses(&self) -> &[u16] {
        &[]
    }

    /// Where that variant is.
    fn place(&self) -> Place;

    /// Bytes that were read, and bytes of the file.
    fn progress(&self) -> (u64, u64);

    /// What had to be decided so far.
    fn notes(&self) -> Notes {
        Notes::default()
    }
}
