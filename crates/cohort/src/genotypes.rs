//! What a data set knows of its patients' genotypes: where to read them, block by block.

use crate::error::CohortError;
use crate::pseudonym::Pseudonym;
use konsil_kernels::{Doses, Packed};
use std::fmt::Debug;

/// The sex of a person, as far as it decides how many copies of X and Y there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sex {
    /// Nobody says.
    #[default]
    Unknown,
    /// One X.
    Male,
    /// Two X.
    Female,
}

impl Sex {
    /// As PLINK writes it: 1 for men, 2 for women, 0 for neither.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Male => 1,
            Self::Female => 2,
        }
    }

    /// What [`Sex::code`] has written.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        [Self::Unknown, Self::Male, Self::Female].into_iter().find(|it| it.code() == code)
    }

    /// Reads a level or a label of a dictionary, or a field of a file: `M`, `male`, `man`, `männlich`,
    /// `1`, `F`, `female`, `woman`, `w`, `weiblich`, `2`, in any case. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_lowercase().as_str() {
            "1" | "m" | "male" | "man" | "männlich" | "mann" => Some(Self::Male),
            "2" | "f" | "female" | "woman" | "w" | "weiblich" | "frau" => Some(Self::Female),
            _ => None,
        }
    }
}

/// Genotypes of one centre at the variants of a public list, the panel.
pub trait Genotypes: Debug + Send + Sync {
    /// Hash of the panel, in hexadecimal.
    fn panel_hash(&self) -> &str;

    /// Variants of the panel.
    fn variants(&self) -> usize;

    /// Whose they are, in their order: pseudonyms as [`crate::Dataset::pseudonyms`] gives them.
    fn people(&self) -> &[Pseudonym];

    /// The sex of each of [`Genotypes::people`], in their order; empty where the centre knows none.
    ///
    /// Genotypes are copies of the alternative allele whatever the sex: a man's one copy on X, outside
    /// the parts that X and Y share, counts as two, as in PLINK 2's default model.
    fn sexes(&self) -> &[Sex] {
        &[]
    }

    /// The genotypes of all people at `count` variants from number `first`. Variants that the centre
    /// does not have are missing in everybody.
    ///
    /// # Errors
    /// [`CohortError`] for a file that cannot be read or was changed.
    fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError>;

    /// The doses of all people at those of `count` variants from number `first` for which
    /// [`Genotypes::read`] does not say them all, as of imputed variants; none unless they say so.
    ///
    /// # Errors
    /// As [`Genotypes::read`].
    fn doses(&self, _first: usize, _count: usize) -> Result<Doses, CohortError> {
        Ok(Doses::none(self.people().len()))
    }

    /// Keeps, for this centre alone, who of the people has a relative in another centre, in place of who
    /// had been kept before. Genotypes in memory keep nothing unless they say so.
    ///
    /// # Errors
    /// [`CohortError`] for a list that cannot be written.
    fn keep_relatives(&self, _people: &[Pseudonym]) -> Result<(), CohortError> {
        Ok(())
    }
}
