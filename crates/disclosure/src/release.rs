//! Released numbers: the sum of the parts that the centres sealed to the researcher.

use konsil_mpc::Opening;
use konsil_ring::{FRACTION_BITS, Word, decode_scaled};
use std::collections::BTreeMap;
use std::fmt;

/// One centre's parts of everything released under one name, in order.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedPart {
    /// Name of the opening.
    pub name: String,
    /// The parts.
    pub words: Vec<Word>,
}

impl fmt::Debug for SealedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedPart({}[{}])", self.name, self.words.len())
    }
}

/// Why parts don't make a release.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The centres sent parts of different names or lengths.
    Differs {
        /// The name, or the first one that is missing.
        name: String,
    },
    /// Something was released that the manifest doesn't list, or not released that it lists.
    NotDeclared {
        /// Its name.
        name: String,
    },
    /// A number that the analysis needs is not there.
    Missing {
        /// Its name.
        name: &'static str,
    },
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { name } => {
                write!(f, "the centres' parts of `{name}` do not fit together")
            }
            Self::NotDeclared { name } => write!(f, "`{name}` is not in the approved manifest"),
            Self::Missing { name } => write!(f, "`{name}` was not released"),
        }
    }
}

impl std::error::Error for ReleaseError {}

/// The released numbers of one analysis, put together by the researcher's process.
#[derive(Clone, Debug, Default)]
pub struct Release {
    values: BTreeMap<String, Vec<Word>>,
}

impl Release {
    /// Adds up the parts of all centres.
    ///
    /// # Errors
    /// [`ReleaseError::Differs`], [`ReleaseError::NotDeclared`].
    pub fn add_up(parts: &[Vec<SealedPart>], manifest: &[Opening]) -> Result<Self, ReleaseError> {
        let mut values: BTreeMap<String, Vec<Word>> = BTreeMap::new();
        for (index, centre) in parts.iter().enumerate() {
            let mut seen: BTreeMap<&str, Vec<Word>> = BTreeMap::new();
            for part in centre {
                if !manifest.iter().any(|opening| opening.name == part.name) {
                    return Err(ReleaseError::NotDeclared { name: part.name.clone() });
                }
                seen.entry(&part.name).or_default().extend_from_slice(&part.words);
            }
            if index == 0 {
                values = seen.into_iter().map(|(name, words)| (name.to_owned(), words)).collect();
                continue;
            }
            for (name, total) in &mut values {
                let part = seen.remove(name.as_str()).filter(|part| part.len() == total.len());
                let part = part.ok_or_else(|| ReleaseError::Differs { name: name.clone() })?;
                total.iter_mut().zip(part).for_each(|(total, part)| {
                    *total = total.wrapping_add(part);
                });
            }
            if let Some(name) = seen.into_keys().next() {
                return Err(ReleaseError::Differs { name: name.to_owned() });
            }
        }
        Ok(Self { values })
    }

    /// The numbers as they were added up, for such as hold several numbers in one.
    ///
    /// # Errors
    /// [`ReleaseError::Missing`].
    pub fn words(&self, opening: Opening) -> Result<&[Word], ReleaseError> {
        let words = self.values.get(opening.name).map(Vec::as_slice);
        words.ok_or(ReleaseError::Missing { name: opening.name })
    }

    /// Fixed-point numbers with the usual 40 fractional bits.
    ///
    /// # Errors
    /// [`ReleaseError::Missing`].
    pub fn reals(&self, opening: Opening) -> Result<Vec<f64>, ReleaseError> {
        self.reals_scaled(opening, FRACTION_BITS)
    }

    /// Fixed-point numbers with another number of fractional bits.
    ///
    /// # Errors
    /// [`ReleaseError::Missing`].
    pub fn reals_scaled(&self, opening: Opening, bits: u32) -> Result<Vec<f64>, ReleaseError> {
        Ok(self.words(opening)?.iter().map(|word| decode_scaled(*word, bits)).collect())
    }

    /// Counts.
    ///
    /// # Errors
    /// [`ReleaseError::Missing`].
    pub fn counts(&self, opening: Opening) -> Result<Vec<f64>, ReleaseError> {
        self.reals_scaled(opening, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_mpc::Audience;

    const SUM: Opening = Opening { name: "a.sum", says: "A sum.", to: Audience::Researcher };

    fn part(name: &str, words: &[Word]) -> Vec<SealedPart> {
        vec![SealedPart { name: name.to_owned(), words: words.to_vec() }]
    }

    #[test]
    fn parts_that_fit_are_added_and_others_refused() {
        let fits = [part("a.sum", &[1, 2]), part("a.sum", &[Word::MAX, 5])];
        let release = Release::add_up(&fits, &[SUM]).unwrap();
        assert_eq!(release.counts(SUM).unwrap(), [0.0, 7.0]);
        let shorter = [part("a.sum", &[1, 2]), part("a.sum", &[1])];
        assert!(Release::add_up(&shorter, &[SUM]).is_err());
        let extra = [part("a.sum", &[1]), [part("a.sum", &[1]), part("a.sum", &[1])].concat()];
        assert!(Release::add_up(&extra, &[SUM]).is_err());
        let foreign = [part("b.sum", &[1])];
        assert!(Release::add_up(&foreign, &[SUM]).is_err());
    }
}
