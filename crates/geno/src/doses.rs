//! Doses of one variant, person by person, in parts of a copy.

use konsil_kernels::{DOSE_COPY, DOSE_MISSING, PEOPLE_OF_WORD, dose_of};

/// The nearest dose to a number of copies, which is taken for 0 or 2 beyond these.
pub(crate) fn nearest(copies: f64) -> u16 {
    let parts = (copies.clamp(0.0, 2.0) * f64::from(DOSE_COPY)).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^15")]
    let dose = parts as u16;
    dose
}

/// Doses of some people, in their order.
pub(crate) fn take(doses: &[u16], people: &[u32], taken: &mut Vec<u16>) {
    taken.clear();
    let own = |person: &u32| {
        let at = usize::try_from(*person).unwrap_or(usize::MAX);
        doses.get(at).copied().unwrap_or(DOSE_MISSING)
    };
    taken.extend(people.iter().map(own));
}

/// Counts the other allele instead.
pub(crate) fn swap(doses: &mut [u16]) {
    for dose in doses.iter_mut().filter(|it| **it != DOSE_MISSING) {
        *dose = (2 * DOSE_COPY).saturating_sub(*dose);
    }
}

/// Takes genotypes where doses are missing. Says whether doses say more than genotypes do.
pub(crate) fn complete(doses: &mut [u16], words: &[u64]) -> bool {
    let mut says_more = false;
    for (doses, word) in doses.chunks_mut(PEOPLE_OF_WORD).zip(words) {
        for (at, dose) in doses.iter_mut().enumerate() {
            let genotype = dose_of(u8::try_from(word >> (2 * at) & 3).unwrap_or(3));
            if *dose == DOSE_MISSING {
                *dose = genotype;
            }
            says_more |= *dose != genotype;
        }
    }
    says_more
}

/// How many are missing.
pub(crate) fn missing(doses: &[u16]) -> u64 {
    doses.iter().filter(|it| **it == DOSE_MISSING).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doses_are_taken_swapped_and_completed() {
        let numbers = [0.0, 0.25, 1.999_99, 2.0, -1e-12, 2.1].map(nearest);
        assert_eq!(numbers, [0, 4096, 32_768, 32_768, 0, 32_768]);
        let mut taken = Vec::new();
        take(&[1, 2, DOSE_MISSING], &[2, 0, 9], &mut taken);
        assert_eq!(taken, [DOSE_MISSING, 1, DOSE_MISSING]);
        swap(&mut taken);
        assert_eq!(taken, [DOSE_MISSING, 32_767, DOSE_MISSING]);
        // 33 people: copies 1, missing, 2, 0 ...
        let words = [0b00_10_11_01, u64::MAX];
        let mut doses = vec![DOSE_MISSING; 33];
        assert!(!complete(&mut doses, &words));
        assert_eq!(
            (doses[..4].to_vec(), missing(&doses)),
            (vec![16_384, DOSE_MISSING, 32_768, 0], 2)
        );
        doses[1] = 16_384;
        assert!(complete(&mut doses, &words));
        assert_eq!(missing(&doses), 1);
    }
}
