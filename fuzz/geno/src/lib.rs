//! The readers of genotype files, and one way to drive them all.
//!
//! `konsil-geno` stands on `konsil-cohort`, which takes a data base engine with it that builds for the
//! better part of an hour under a sanitizer. Its readers need none of that. So their files themselves
//! are taken in here, and what they know of a centre, the error of a sealed store, has a stand-in.

#![expect(dead_code, reason = "a target uses what it needs of the readers")]

extern crate self as konsil_cohort;

mod read;

#[path = "../../../crates/geno/src"]
mod readers {
    pub(crate) mod allele;
    pub(crate) mod bcf;
    pub(crate) mod bgen;
    pub(crate) mod bgzf;
    pub(crate) mod bits;
    pub(crate) mod calls;
    pub(crate) mod chromosome;
    pub(crate) mod error;
    pub(crate) mod harmonise;
    pub(crate) mod header;
    pub(crate) mod lines;
    pub(crate) mod make;
    pub(crate) mod open;
    pub(crate) mod panel;
    pub(crate) mod plink;
    pub(crate) mod source;
    pub(crate) mod vcf;
}

use readers::{
    allele, bcf, bgen, bgzf, bits, calls, chromosome, error, harmonise, header, lines, make, open,
    panel, plink, source, vcf,
};

pub use read::read;

/// As `konsil_cohort::CohortError`, of which readers make none.
#[derive(Debug, thiserror::Error)]
pub enum CohortError {
    /// A file.
    #[error("cannot be read")]
    Io {},
    /// A name.
    #[error("no name")]
    DatasetName {},
    /// Anything else.
    #[error("no store")]
    Other,
}

/// As `konsil_cohort::Sex`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sex {
    /// Nobody says.
    #[default]
    Unknown,
    /// One X.
    Male,
}

impl Sex {
    /// Reads a field of a file.
    pub fn parse(text: &str) -> Option<Self> {
        (text == "1").then_some(Self::Male)
    }
}
