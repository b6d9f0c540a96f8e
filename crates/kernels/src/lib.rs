//! Exact local sums in fixed point: what a centre computes on its own rows.
//!
//! **Invariant:** every row's term is rounded to fixed point once and added with wrapping addition,
//! so that the bytes are the same however the rows were split among threads or machines.

mod correlated;
mod doses;
mod family;
mod intercepts;
mod levels;
mod leverage;
mod lifetimes;
mod moments;
mod packed;
mod planes;
mod regression;
mod risk;
mod scan;
mod scan_doses;
mod survival;

pub use correlated::{Correlated, EquationSums};
pub use doses::{DOSE_BITS, DOSE_COPY, DOSE_MISSING, Doses, copies_of, dose_of};
pub use family::{Family, Link, theta_terms};
pub use intercepts::{Intercepts, LaplaceSums, LinearSums, unit};
pub use levels::{multinomial, proportional_odds};
pub use leverage::leverage_rows;
pub use lifetimes::Lifetimes;
pub use moments::{Moments, counts_at_most, moments};
pub use packed::{Coding, MISSING, PEOPLE_OF_WORD, Packed};
pub use planes::{PairSums, Planes};
pub use regression::{
    FitSums, GramSums, Observed, fit_sums, gram_sums, predictor, scores, start_sums, start_weights,
    triangle,
};
pub use risk::{FollowUp, RiskSums, risk_sums};
pub use scan::{BlockSums, Dose, GenotypeCounts, SCAN_BITS, Scanner};
pub use scan_doses::DoseCounts;
pub use survival::{GridCounts, grid_counts, grid_place};

use konsil_ring::{EncodeError, FRACTION_BITS, Word, encode};

/// 1.5 * 2^52: a scaled real below 2^51 in magnitude that is added to it is rounded to a whole
/// number, and the sum's sign and exponent stay those of this one.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// Bits of sign and exponent, and those of [`MAGIC`] itself.
const HIGH_BITS: u64 = 0xfff << 52;

/// Rows whose rounded terms, each below 2^51 in magnitude, fit into 64 bits together.
const SMALL_ROWS_MAX: u32 = 2048;

/// Fixed-point sums of many columns. Every term is rounded to the nearest multiple of 2^-40 once;
/// addition wraps, so that the result does not depend on order or grouping.
#[derive(Clone)]
pub struct Sums {
    words: Vec<Word>,
    /// Rounded terms of the last rows, before they are added to `words`.
    small: Vec<i64>,
    rows: u32,
}

impl std::fmt::Debug for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sums[{}]", self.words.len())
    }
}

impl Sums {
    /// Sums of `columns` columns, all 0.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        Self { words: vec![0; columns], small: vec![0; columns], rows: 0 }
    }

    /// Adds one row, a term for each column.
    ///
    /// # Errors
    /// [`EncodeError`] when a term is not finite or out of range.
    pub fn add(&mut self, terms: &[f64]) -> Result<(), EncodeError> {
        // NaN, infinity and whatever is too large show in the high bits of one of the sums
        let mut odd = 0;
        for (sum, term) in self.small.iter_mut().zip(terms) {
            let small = small_bits(*term);
            odd |= small ^ MAGIC.to_bits();
            *sum = sum.wrapping_add(small_integer(small));
        }
        if odd & HIGH_BITS == 0 {
            self.rows += 1;
            if self.rows == SMALL_ROWS_MAX {
                self.flush();
            }
            return Ok(());
        }
        for (sum, term) in self.small.iter_mut().zip(terms) {
            *sum = sum.wrapping_sub(small_integer(small_bits(*term)));
        }
        add_rounded(&mut self.words, terms)
    }

    fn flush(&mut self) {
        for (word, small) in self.words.iter_mut().zip(&mut self.small) {
            *word = word.wrapping_add(i128::from(*small).cast_unsigned());
            *small = 0;
        }
        self.rows = 0;
    }

    /// The sums.
    #[must_use]
    pub fn finish(mut self) -> Vec<Word> {
        self.flush();
        self.words
    }
}

/// Adds reals to fixed-point sums, each rounded to the nearest multiple of 2^-40 first.
///
/// # Errors
/// [`EncodeError`] when a real is not finite or out of range; `sums` is then meaningless.
pub fn add_rounded(sums: &mut [Word], reals: &[f64]) -> Result<(), EncodeError> {
    for (sum, real) in sums.iter_mut().zip(reals) {
        *sum = sum.wrapping_add(encode(*real)?);
    }
    Ok(())
}

/// A real times 2^40 on top of [`MAGIC`].
fn small_bits(real: f64) -> u64 {
    const UNIT: f64 = (1_u64 << FRACTION_BITS) as f64;
    (real * UNIT + MAGIC).to_bits()
}

/// The rounded integer in such a sum whose high bits are right; equal to [`encode`], bit by bit.
fn small_integer(bits: u64) -> i64 {
    bits.wrapping_sub(MAGIC.to_bits()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fast_rounding_is_encoding(real in -2047.9..2047.9_f64, small in -1e-9..1e-9_f64) {
            for real in [real, small] {
                let bits = small_bits(real);
                prop_assert_eq!((bits ^ MAGIC.to_bits()) & HIGH_BITS, 0);
                let word = i128::from(small_integer(bits)).cast_unsigned();
                prop_assert_eq!(word, encode(real).unwrap());
            }
        }
    }

    // Rows of all magnitudes give the sum of their encodings, whatever way they take.
    #[test]
    fn sums_are_sums_of_encodings() {
        let mut sums = Sums::new(2);
        let mut expected = [0; 2];
        for row in 0..10_000_u32 {
            let terms = [f64::from(row) * 0.3 - 900.0, -2047.99];
            sums.add(&terms).unwrap();
            add_rounded(&mut expected, &terms).unwrap();
        }
        assert_eq!(sums.finish(), expected);
    }

    // A number that is none ends the analysis before anything is shared (fault cases 62, 63).
    #[test]
    fn bad_numbers_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, 1e30] {
            assert!(add_rounded(&mut [0, 0], &[1.0, bad]).is_err());
            assert!(Sums::new(2).add(&[1.0, bad]).is_err());
        }
    }
}
