//! Genotypes that are kept in memory, to be looked at before they are stored.

use crate::store::Sink;
use konsil_cohort::{CohortError, Genotypes, Pseudonym, Sex};
use konsil_kernels::Packed;
use std::fmt;
use zeroize::Zeroizing;

/// The variant that nobody has.
const NOWHERE: u32 = u32::MAX;

/// Genotypes of one centre's people in memory: two bits each of what was put in. Patient data.
pub struct InMemory {
    panel_hash: String,
    people: Vec<Pseudonym>,
    sexes: Vec<Sex>,
    /// Of each variant of the panel: its place among those that were put in.
    places: Vec<u32>,
    words: Zeroizing<Vec<u64>>,
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InMemory[{} x {}]", self.places.len(), self.people.len())
    }
}

impl InMemory {
    /// Without a genotype, for people and a panel with this hash and number of variants.
    #[must_use]
    pub fn new((panel_hash, variants): (&str, usize), people: &[Pseudonym], sexes: &[Sex]) -> Self {
        Self {
            panel_hash: panel_hash.to_owned(),
            people: people.to_vec(),
            sexes: sexes.to_vec(),
            places: vec![NOWHERE; variants],
            words: Zeroizing::new(Vec::new()),
        }
    }

    fn stride(&self) -> usize {
        Packed::stride_of(self.people.len())
    }
}

impl Sink for InMemory {
    fn put(&mut self, variant: usize, words: &[u64]) -> Result<(), CohortError> {
        let wrong = || CohortError::Internal { what: "a variant that has no place in memory" };
        let stride = self.stride();
        let place = self.places.get_mut(variant).filter(|_| words.len() == stride);
        let place = place.ok_or_else(wrong)?;
        *place = u32::try_from(self.words.len() / stride.max(1)).map_err(|_| wrong())?;
        self.words.extend_from_slice(words);
        Ok(())
    }
}

impl Genotypes for InMemory {
    fn panel_hash(&self) -> &str {
        &self.panel_hash
    }

    fn variants(&self) -> usize {
        self.places.len()
    }

    fn people(&self) -> &[Pseudonym] {
        &self.people
    }

    fn sexes(&self) -> &[Sex] {
        &self.sexes
    }

    fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError> {
        let beyond = CohortError::Internal { what: "variants beyond the panel" };
        let end = first.checked_add(count);
        let places = end.and_then(|end| self.places.get(first..end)).ok_or(beyond)?;
        let stride = self.stride();
        let mut words = Vec::with_capacity(count * stride);
        for place in places {
            let begin = usize::try_from(*place).unwrap_or(usize::MAX).saturating_mul(stride);
            match self.words.get(begin..begin.saturating_add(stride)) {
                Some(own) if *place != NOWHERE => words.extend_from_slice(own),
                _ => words.extend(std::iter::repeat_n(u64::MAX, stride)),
            }
        }
        Packed::new(self.people.len(), words)
            .ok_or(CohortError::Internal { what: "genotypes of nobody" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_back() {
        let mut memory = InMemory::new(("hash", 4), &[[1; 16]; 33], &[Sex::Male; 33]);
        memory.put(2, &[5, u64::MAX << 2]).unwrap();
        memory.put(0, &[6, u64::MAX << 2]).unwrap();
        assert!(memory.put(4, &[0, 0]).is_err() && memory.put(1, &[0]).is_err());
        let all = memory.read(0, 4).unwrap();
        let rows: Vec<u64> = (0..4).map(|at| all.variant(at)[0]).collect();
        assert_eq!(rows, [6, u64::MAX, 5, u64::MAX]);
        assert_eq!((memory.variants(), memory.sexes().len(), memory.panel_hash()), (4, 33, "hash"));
        assert!(memory.read(3, 2).is_err() && memory.read(usize::MAX, 2).is_err());
    }
}
