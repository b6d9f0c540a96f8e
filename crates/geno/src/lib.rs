//! Genotypes of one centre: the network's list of variants, files of several kinds, sealed blocks.
//!
//! A file becomes a [`Source`] ([`open`]), its people are [`Linked`] with the centre's patients, its
//! variants are matched with the [`Panel`] ([`import()`]), and what is kept goes into sealed blocks
//! ([`Builder`], [`Store`]).
//!
//! **Invariant:** which variants are analysed follows from the public [`Panel`] alone, never from what
//! some centre has.

mod allele;
mod bcf;
mod bgen;
mod bgzf;
mod bits;
mod calls;
mod chromosome;
mod clump;
mod doses;
mod error;
mod harmonise;
mod header;
mod import;
mod leave_out;
mod lines;
mod links;
mod make;
mod memory;
mod names;
mod open;
mod panel;
mod people;
mod plink;
mod prune;
mod report;
mod score;
mod score_file;
mod source;
mod store;
mod vcf;

pub use calls::HalfCall;
pub use chromosome::{Build, Chromosome};
pub use clump::{Clump, Hit, clump, clump_linked};
pub use error::{GenoError, Place};
pub use import::{ImportOptions, Progress, import};
pub use leave_out::LeaveOut;
pub use links::{Linked, Links};
pub use make::{Made, RefAllele, make_panel};
pub use memory::InMemory;
pub use names::Names;
pub use open::{OpenOptions, open};
pub use panel::{Panel, PanelError, Variant};
pub use people::{Advice, Concern, Homozygous, Pair, People, PeopleOptions, Person};
pub use plink::Plink;
pub use prune::prune;
pub use report::ImportReport;
pub use score::{Matched, ScoreError, Scores, Weight, match_score};
pub use score_file::{ScoreEntry, ScoreFile, ScoreFileError};
pub use source::{Notes, Record, Sample, Source};
pub use store::{Builder, Sink, Store, Stored, geno_names, key_of_geno, reseal_geno};
