//! What a data set knows of its patients' genotypes: where to read them, block by block.

use crate::error::CohortError;
use crate::pseudonym::Pseudonym;
use konsil_kernels::Packed;
use std::fmt::Debug;

/// Genotypes of one centre at the variants of a public list, the panel.
pub trait Genotypes: Debug + Send + Sync {
    /// Hash of the panel, in hexadecimal.
    fn panel_hash(&self) -> &str;

    /// Variants of the panel.
    fn variants(&self) -> usize;

    /// Whose they are, in their order: pseudonyms as [`crate::Dataset::pseudonyms`] gives them.
    fn people(&self) -> &[Pseudonym];

    /// The genotypes of all people at `count` variants from number `first`. Variants that the centre
    /// does not have are missing in everybody.
    ///
    /// # Errors
    /// [`CohortError`] for a file that cannot be read or was changed.
    fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError>;

    /// Keeps, for this centre alone, who of the people has a relative in another centre, in place of who
    /// had been kept before. Genotypes in memory keep nothing unless they say so.
    ///
    /// # Errors
    /// [`CohortError`] for a list that cannot be written.
    fn keep_relatives(&self, _people: &[Pseudonym]) -> Result<(), CohortError> {
        Ok(())
    }
}
