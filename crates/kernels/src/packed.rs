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

/// How a genotype counts: by a model of inheritance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Each alternative allele counts one.
    #[default]
    Additive,
    /// One or two of them count one.
    Dominant,
    /// Only two of them count one.
    Recessive,
}

/// The low bit of every genotype of a word.
const LOW: u64 = 0x5555_5555_5555_5555;

impl Coding {
    /// The genotypes of a word, each replaced by what it counts.
    fn of(self, word: u64) -> u64 {
        let (low, high) = (word & LOW, word >> 1 & LOW);
        let missing = low & high;
        match self {
            Self::Additive => word,
            Self::Dominant => (low | high) | missing << 1,
            Self::Recessive => high | missing << 1,
        }
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

    /// The same people at the same variants, each genotype replaced by what it counts.
    #[must_use]
    pub fn coded(&self, coding: Coding) -> Self {
        let words = self.words.iter().map(|word| coding.of(*word)).collect();
        Self { people: self.people, words }
    }

    /// The same people with the copies of X that they have, at variants `from` to before `to`: a man's one
    /// copy, which stands as two, counts one. Whoever has two different ones as a man, and whose sex is
    /// not known, is missing. First as genotypes stand, then as they count. `men` and `unknown` have both
    /// bits of these people set, a word for each [`PEOPLE_OF_WORD`].
    #[must_use]
    pub fn of_x(&self, (men, unknown): (&[u64], &[u64]), (from, to): (usize, usize)) -> [Self; 2] {
        let stride = Self::stride_of(self.people).max(1);
        let mut both = [self.words.clone(), self.words.clone()];
        let [stand, count] = &mut both;
        let places = from * stride..to.min(self.variants()) * stride;
        let people = men.iter().zip(unknown).cycle();
        for (at, (men, unknown)) in places.zip(people) {
            let Some((stand, count)) = stand.get_mut(at).zip(count.get_mut(at)) else { break };
            let (low, high) = (*stand & LOW, *stand >> 1 & LOW);
            let mixed = low & !high & men;
            *stand |= mixed << 1 | unknown;
            let single = high & !low & men & !unknown;
            *count = *stand ^ (single | single << 1);
        }
        both.map(|words| Self { people: self.people, words })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_count_one_or_nothing() {
        // 0, 1, 2, missing, 2, 1
        let packed = Packed::new(6, vec![0b01_10_11_10_01_00]).unwrap();
        let coded = |coding| {
            let coded = packed.coded(coding);
            (0..6).map(|person| coded.genotype(0, person)).collect::<Vec<u8>>()
        };
        assert_eq!(coded(Coding::Additive), [0, 1, 2, MISSING, 2, 1]);
        assert_eq!(coded(Coding::Dominant), [0, 1, 1, MISSING, 1, 1]);
        assert_eq!(coded(Coding::Recessive), [0, 0, 1, MISSING, 1, 0]);
        // two men, two women, two of whom nothing is known; only at the second variant
        let packed = Packed::new(6, vec![0b00_10_01_10_01_10; 2]).unwrap();
        let [stand, count] = packed.of_x((&[0b1111], &[0b1111 << 8]), (1, 2));
        let read =
            |packed: &Packed, at| (0..6).map(|it| packed.genotype(at, it)).collect::<Vec<_>>();
        assert_eq!(read(&stand, 0), read(&packed, 0));
        assert_eq!(read(&stand, 1), [2, MISSING, 2, 1, MISSING, MISSING]);
        assert_eq!(read(&count, 1), [1, MISSING, 2, 1, MISSING, MISSING]);
        assert_eq!(count.words().last().map(|it| it >> 12), Some(u64::MAX >> 12));
        // nobody stands in the padding
        assert_eq!(
            packed.coded(Coding::Recessive).words().first().map(|it| it >> 12),
            Some(u64::MAX >> 12)
        );
    }
}
