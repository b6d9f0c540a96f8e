//! Sets of one centre's patients, as bits in the order of the sorted patients.

use konsil_analyses::AnalysisError;
use konsil_cohort::Pseudonym;
use konsil_cohort::design::Picked;

/// Bytes of the cohort's digest in front of stored sets.
const DIGEST_BYTES: usize = 32;

/// Sets of patients. Patient data.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sets {
    patients: usize,
    /// `[set][patient / 64]`.
    bits: Vec<Vec<u64>>,
}

impl std::fmt::Debug for Sets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sets({})", self.bits.len())
    }
}

impl Sets {
    /// So many sets of nobody.
    pub(crate) fn none(sets: usize, patients: usize) -> Self {
        Self { patients, bits: vec![vec![0; patients.div_ceil(64)]; sets] }
    }

    /// Sets as an analysis picks them out, by row; `rows` gives the patients' order.
    ///
    /// # Errors
    /// [`AnalysisError::Cohort`] when they are not as many as planned.
    pub(crate) fn picked(
        picked: &[Picked],
        (sets, rows): (usize, &[usize]),
    ) -> Result<Self, AnalysisError> {
        if picked.len() != sets {
            let what = "the analysis picks out other groups than planned";
            return Err(konsil_cohort::CohortError::Internal { what }.into());
        }
        let set = |set: &Picked| bits(rows.iter().map(|row| set.get(*row) == Some(&Some(true))));
        Ok(Self { patients: rows.len(), bits: picked.iter().map(set).collect() })
    }

    /// All sets of several.
    pub(crate) fn joined<'a>(all: impl IntoIterator<Item = &'a Self>, patients: usize) -> Self {
        Self { patients, bits: all.into_iter().flat_map(|it| it.bits.iter().cloned()).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.bits.len()
    }

    /// Patients of each set.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = usize> {
        self.bits.iter().map(|set| ones(set.iter().copied()))
    }

    /// Patients in a set and in another one of the same patients.
    pub(crate) fn both(&self, set: usize, (others, other): (&Self, usize)) -> usize {
        match (self.bits.get(set), others.bits.get(other)) {
            (Some(one), Some(other)) => ones(one.iter().zip(other).map(|(a, b)| a & b)),
            _ => 0,
        }
    }

    /// The sets among other patients, `(own place, other place)` of those who are the same.
    pub(crate) fn carried(&self, met: &[(usize, usize)], patients: usize) -> Self {
        let mut carried = Self::none(self.len(), patients);
        for (set, to) in self.bits.iter().zip(&mut carried.bits) {
            for (own, other) in met {
                to[other / 64] |= (set[own / 64] >> (own % 64) & 1) << (other % 64);
            }
        }
        carried
    }

    /// As stored: the cohort's digest, then the bits of each set.
    pub(crate) fn encode(&self, digest: &[u8]) -> Vec<u8> {
        let bits = self.bits.iter().flatten().flat_map(|word| word.to_le_bytes());
        digest.iter().copied().chain(bits).collect()
    }

    /// Stored sets; `None` for those of another cohort, or of another size.
    pub(crate) fn decode(
        bytes: &[u8],
        (digest, sets): (&[u8], usize),
        patients: usize,
    ) -> Option<Self> {
        let (found, bits) = bytes.split_at_checked(DIGEST_BYTES)?;
        let words = patients.div_ceil(64);
        if found != digest || bits.len() != 8 * sets * words {
            return None;
        }
        let all: Vec<u64> =
            bits.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let set = |at: usize| all[at * words..(at + 1) * words].to_vec();
        Some(Self { patients, bits: (0..sets).map(set).collect() })
    }
}

/// Places in two sorted lists of the patients who are in both.
pub(crate) fn common(own: &[Pseudonym], other: &[Pseudonym]) -> Vec<(usize, usize)> {
    let (mut at, mut met) = (0, Vec::new());
    for (place, member) in other.iter().enumerate() {
        while own.get(at).is_some_and(|it| it < member) {
            at += 1;
        }
        if own.get(at) == Some(member) {
            met.push((at, place));
            at += 1;
        }
    }
    met
}

fn bits(members: impl Iterator<Item = bool>) -> Vec<u64> {
    let mut words = Vec::new();
    for (at, member) in members.enumerate() {
        if at % 64 == 0 {
            words.push(0);
        }
        words[at / 64] |= u64::from(member) << (at % 64);
    }
    words
}

fn ones(words: impl Iterator<Item = u64>) -> usize {
    words.map(|word| usize::try_from(word.count_ones()).unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patients(numbers: &[u8]) -> Vec<Pseudonym> {
        numbers.iter().map(|it| [*it; 16]).collect()
    }

    #[test]
    fn common_patients_are_found_at_their_places() {
        let met = common(&patients(&[1, 3, 5, 7]), &patients(&[1, 2, 3, 7, 9]));
        assert_eq!(met, [(0, 0), (1, 2), (3, 3)]);
        assert!(common(&patients(&[1]), &[]).is_empty());
        assert!(common(&[], &patients(&[1])).is_empty());
    }

    // Rows in another order than the patients, one without a value, more than a word of them.
    #[test]
    fn sets_are_counted_carried_and_stored() {
        let rows: Vec<usize> = (0..100).rev().collect();
        let even: Picked = (0..100).map(|row| (row != 4).then_some(row % 2 == 0)).collect();
        let low: Picked = (0..100).map(|row| Some(row < 10)).collect();
        let sets = Sets::picked(&[even, low], (2, &rows)).unwrap();
        assert_eq!(sets.sizes().collect::<Vec<_>>(), [49, 10]);
        assert_eq!(sets.both(0, (&sets, 1)), 4);
        assert!(Sets::picked(&[], (2, &rows)).is_err());
        // of the last ten places, which are rows 9 to 0, every second stays
        let met: Vec<(usize, usize)> = (0..5).map(|at| (90 + 2 * at, 3 + at)).collect();
        let carried = sets.carried(&met, 70);
        assert_eq!(carried.sizes().collect::<Vec<_>>(), [0, 5]);
        let digest = [7; 32];
        let stored = sets.encode(&digest);
        assert_eq!(Sets::decode(&stored, (&digest, 2), 100), Some(sets));
        assert_eq!(Sets::decode(&stored, (&[8; 32], 2), 100), None);
        assert_eq!(Sets::decode(&stored, (&digest, 3), 100), None);
        assert_eq!(Sets::decode(&stored[..20], (&digest, 2), 100), None);
    }
}
