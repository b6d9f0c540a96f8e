//! Why genotypes were not imported, or cannot be read.

use crate::panel::PanelError;
use konsil_cohort::CohortError;
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    Whole,
    /// A line, from 1.
    Line(u64),
    /// A byte, from 0.
    Byte(u64),
    /// A variant, from 1.
    Variant(u64),
    /// A person, from 1.
    Person(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Line(line) => write!(f, ", line {line}"),
            Self::Byte(byte) => write!(f, ", byte {byte}"),
            Self::Variant(variant) => write!(f, ", variant {variant}"),
            Self::Person(person) => write!(f, ", person {person}"),
        }
    }
}

/// Why genotypes were not imported, or cannot be read. No variant carries a genotype or a person's id.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GenoError {
    /// A file could not be read or written.
    #[error("{}: cannot be read or written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The panel.
    #[error(transparent)]
    Panel(#[from] PanelError),
    /// A file of genotypes is damaged, or is not what its name says.
    #[error("{}{place}: {what}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        what: String,
    },
    /// A file has a form that another program must convert.
    #[error("{}: {what}; convert it first:  {command}", file.display())]
    Convert {
        /// The file.
        file: PathBuf,
        /// Why.
        what: String,
        /// The command line that converts it.
        command: String,
    },
    /// The link file, or the ids of people.
    #[error("{}{place}: {what}", file.display())]
    Links {
        /// The file.
        file: PathBuf,
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        what: String,
    },
    /// The file and the centre's patients do not belong together.
    #[error("{}: {what}", file.display())]
    People {
        /// The file.
        file: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// The file has positions of another build than the panel.
    #[error("{}: {what}", file.display())]
    Build {
        /// The file.
        file: PathBuf,
        /// Which builds, and what to do.
        what: String,
    },
    /// Genotypes of a kind that cannot be counted.
    #[error("{}{place}: {what}", file.display())]
    Genotype {
        /// The file.
        file: PathBuf,
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        what: String,
    },
    /// Something is larger than any honest file has it.
    #[error("{}{place}: {what}", file.display())]
    Limit {
        /// The file.
        file: PathBuf,
        /// Where.
        place: Place,
        /// What is too large.
        what: String,
    },
    /// The file has no variant of the panel.
    #[error("{}: {what}", file.display())]
    NoVariant {
        /// The file.
        file: PathBuf,
        /// What was found and what to do.
        what: String,
    },
    /// A list of people or variants to leave out.
    #[error("{}{place}: {what}", file.display())]
    LeaveOut {
        /// The file.
        file: PathBuf,
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        what: String,
    },
    /// The sealed store.
    #[error(transparent)]
    Cohort(#[from] CohortError),
}

impl GenoError {
    /// For `konsil explain`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Panel(PanelError::Io { .. }) => "K0701",
            Self::Panel(_) => "K0120",
            Self::File { .. } => "K0121",
            Self::Convert { .. } => "K0122",
            Self::Links { .. } => "K0123",
            Self::People { .. } => "K0124",
            Self::Build { .. } => "K0125",
            Self::Genotype { .. } => "K0126",
            Self::Limit { .. } => "K0127",
            Self::NoVariant { .. } => "K0128",
            Self::LeaveOut { .. } => "K0129",
            Self::Cohort(CohortError::Io { .. }) => "K0701",
            Self::Cohort(CohortError::DatasetName { .. }) => "K0801",
            Self::Cohort(_) => "K0312",
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn file(file: &Path, place: Place, what: impl Into<String>) -> Self {
        Self::File { file: file.to_owned(), place, what: what.into() }
    }

    pub(crate) fn links(file: &Path, place: Place, what: impl Into<String>) -> Self {
        Self::Links { file: file.to_owned(), place, what: what.into() }
    }

    pub(crate) fn people(file: &Path, what: impl Into<String>) -> Self {
        Self::People { file: file.to_owned(), what: what.into() }
    }
}
