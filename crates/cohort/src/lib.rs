//! Patients of one centre: dictionary, import, encrypted data sets, cohorts, formulas.
//!
//! A [`Dictionary`] is public and the same at every centre. [`import()`] checks a centre's file
//! against it and gives a [`Dataset`], which rests on disk only sealed ([`save`], [`load`]). A
//! [`Predicate`] keeps the patients of a cohort, and a [`Design`] turns a model formula into the
//! columns of a model matrix. What a design looks like depends on the formula and the dictionary
//! alone, never on a patient: two centres always agree on it.

pub mod dataset;
pub mod design;
pub mod dictionary;
mod error;
pub mod formula;
mod genotypes;
pub mod import;
pub mod predicate;
pub mod pseudonym;
pub mod store;

pub use dataset::Dataset;
pub use design::{
    Design, DesignColumn, DesignMatrix, GroupedRows, GroupedSurvival, Response, SurvivalTimes,
};
pub use dictionary::{Dictionary, Difference, Kind, Level, Sensitivity, Variable, suggest};
pub use error::{CohortError, Diagnostic};
pub use formula::{Formula, FormulaError};
pub use genotypes::{Genotypes, Sex};
pub use import::{Finding, ImportOptions, ImportReport, import, split_by};
pub use predicate::Predicate;
pub use pseudonym::{PSEUDONYM_BYTES, Pseudonym, pseudonym_of};
pub use store::{
    Key, KeyFile, KeyId, Resealed, Secret, Snapshot, Stored, dataset_names, key_of_bytes,
    key_of_dataset, load, open_bytes, reseal_bytes, reseal_dataset, rows_at_most, save, seal_bytes,
    settle, snapshot_root,
};
