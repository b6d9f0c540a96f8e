//! Genotypes of one block of variants, two bits each.

/// Genotypes of one centre's people at some variants. Patient data.
///
/// A genotype is the number of alternative alleles, 0, 1 or 2; 3 stands for a missing one. Person
/// `i` of a variant is bits `2 (i % 32)` and above of its word `i / 32`; what is left of the last
/// word is missing.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed {
    people: usize,
    words: Vec<u64>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed[{} x {}]", self.variants(), self.people)
    }
}

/// The genotype that nobody has called.
pub const MISSING: u8 = 3;

/// People in a word.
pub const PEOPLE_OF_WORD: usize = 32;

impl Packed {
    /// Words that each variant takes.
    #[must_use]
    pub fn stride_of(people: usize) -> usize {
        people.div_ceil(PEOPLE_OF_WORD)
    }

    /// Genotypes as they are stored: [`Packed::stride_of`] words for each variant. `None` when the
    /// words are no whole number of variants. Padding is made missing.
    #[must_use]
    pub fn new(people: usize, mut words: Vec<u64>) -> Option<Self> {
        let stride = Self::stride_of(people);
        if stride == 0 || !words.len().is_multiple_of(stride) {
            return None;
        }
        let used = people % PEOPLE_OF_WORD;
        if used > 0 {
            for last in words.iter_mut().skip(stride - 1).step_by(stride) {
                *last |= u64::MAX << (2 * used);
            }
        }
        Some(Self { people, words })
    }

    /// People of each variant.
    #[must_use]
    pub fn people(&self) -> usize {
        self.people
    }

    /// Variants.
    #[must_use]
    pub fn variants(&self) -> usize {
        self.words.len() / Self::stride_of(self.people).max(1)
    }

    /// The words of one variant; none for a variant that is not there.
    #[must_use]
    pub fn variant(&self, at: usize) -> &[u64] {
        let stride = Self::stride_of(self.people);
        self.words.get(at * stride..(at + 1) * stride).unwrap_or_default()
    }

    /// All words, variant after variant.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The genotype of one person, [`MISSING`] where there is none.
    #[must_use]
    pub fn genotype(&self, variant: usize, person: usize) -> u8 {
        let word = self.variant(variant).get(person / PEOPLE_OF_WORD).copied();
        let bits = word.map_or(3, |word| word >> (2 * (person % PEOPLE_OF_WORD)) & 3);
        u8::try_from(bits).unwrap_or(MISSING)
    }
}
