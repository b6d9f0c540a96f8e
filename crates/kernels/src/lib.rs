//! Exact local sums in fixed point: what a centre computes on its own rows.
//!
//! **Invariant:** every row's term is rounded to fixed point once and added with wrapping addition,
//! so that the bytes are the same however the rows were split among threads or machines.

mod moments;
mod regression;
mod survival;

pub use moments::{Moments, counts_at_most, moments};
pub use regression::{Family, FitSums, GramSums, fit_sums, gram_sums, start_sums, triangle};
pub use survival::{GridCounts, grid_counts};

use konsil_ring::{EncodeError, FRACTION_BITS, Word, encode};

/// Magnitude up to which a real is rounded by adding 1.5 * 2^52 to its scaled value.
const FAST_MAX: f64 = 1024.0;

/// Rows whose rounded terms, each below 2^50 in magnitude, fit into 64 bits together.
const SMALL_ROWS_MAX: u32 = 4096;

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
        // the largest magnitude, or NaN, decides for the whole row
        let largest =
            terms.iter().fold(
                0.0_f64,
                |largest, term| {
                    if term.abs() <= largest { largest } else { term.abs() }
                },
            );
        if largest < FAST_MAX {
            for (sum, term) in self.small.iter_mut().zip(terms) {
                *sum = sum.wrapping_add(small_integer(*term));
            }
            self.rows += 1;
            if self.rows == SMALL_ROWS_MAX {
                self.flush();
            }
            return Ok(());
        }
        for (sum, term) in self.words.iter_mut().zip(terms) {
            *sum = sum.wrapping_add(encode(*term)?);
        }
        Ok(())
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

/// A real below [`FAST_MAX`] in magnitude, times 2^40, rounded; equal to [`encode`], bit by bit.
fn small_integer(real: f64) -> i64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    const UNIT: f64 = (1_u64 << FRACTION_BITS) as f64;
    // INVARIANT: |real * 2^40| < 2^50, so the sum's last bit is worth 1 and rounding is to nearest.
    (real * UNIT + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fast_rounding_is_encoding(real in -1024.0..1024.0_f64, small in -1e-9..1e-9_f64) {
            for real in [real, small] {
                let word = i128::from(small_integer(real)).cast_unsigned();
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
            let terms = [f64::from(row) * 0.3 - 900.0, -1023.99];
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
