//! Doses of imputed genotypes: copies of the alternative allele in parts.

/// One copy. Doses are whole numbers of its parts, as PLINK 2 keeps them.
pub const DOSE_COPY: u16 = 1 << DOSE_BITS;
/// Fractional bits of a dose.
pub const DOSE_BITS: u32 = 14;
/// The dose that nobody knows.
pub const DOSE_MISSING: u16 = u16::MAX;

/// Doses of one centre's people at those variants of a block where genotypes alone do not say them.
/// Patient data.
///
/// A dose is 0 to `2 * DOSE_COPY`; anything above is missing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Doses {
    people: usize,
    /// Rising.
    variants: Vec<usize>,
    /// `[variant][person]`.
    doses: Vec<u16>,
}

impl std::fmt::Debug for Doses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Doses[{} x {}]", self.variants.len(), self.people)
    }
}

impl Doses {
    /// Of no variant yet.
    #[must_use]
    pub fn none(people: usize) -> Self {
        Self { people, variants: Vec::new(), doses: Vec::new() }
    }

    /// Adds the doses of a variant, given by its place in the block. Says whether it did: not after a
    /// later variant, and not those of other people.
    pub fn push(&mut self, variant: usize, doses: &[u16]) -> bool {
        let fits =
            doses.len() == self.people && self.variants.last().is_none_or(|it| *it < variant);
        if fits {
            self.variants.push(variant);
            self.doses.extend_from_slice(doses);
        }
        fits
    }

    /// People of each variant.
    #[must_use]
    pub fn people(&self) -> usize {
        self.people
    }

    /// Places of the variants that have doses, rising.
    #[must_use]
    pub fn variants(&self) -> &[usize] {
        &self.variants
    }

    /// The doses of the variant at a place of the block; none where genotypes say them.
    #[must_use]
    pub fn of(&self, variant: usize) -> Option<&[u16]> {
        let at = self.variants.binary_search(&variant).ok()?;
        self.doses.get(at * self.people..(at + 1) * self.people)
    }
}

/// A dose as copies; none where it is missing.
#[must_use]
pub fn copies_of(dose: u16) -> Option<f64> {
    (dose <= 2 * DOSE_COPY).then(|| f64::from(dose) / f64::from(DOSE_COPY))
}

/// The dose of a genotype, as [`crate::Packed`] has it.
#[must_use]
pub fn dose_of(genotype: u8) -> u16 {
    if genotype > 2 { DOSE_MISSING } else { u16::from(genotype) * DOSE_COPY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doses_are_found_by_their_variant() {
        let mut doses = Doses::none(2);
        assert!(doses.push(3, &[1, 2]) && doses.push(5, &[3, DOSE_MISSING]));
        assert!(!doses.push(5, &[1, 2]) && !doses.push(6, &[1]));
        assert_eq!((doses.variants(), doses.people()), (&[3, 5][..], 2));
        assert_eq!((doses.of(5), doses.of(4)), (Some(&[3, DOSE_MISSING][..]), None));
        assert_eq!([0, 1, 2, 3].map(dose_of), [0, 16_384, 32_768, DOSE_MISSING]);
        assert_eq!([8192, 32_768, 32_769].map(copies_of), [Some(0.5), Some(2.0), None]);
    }
}
