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

/// Adds reals to fixed-point sums, each rounded to the nearest multiple of 2^-40 first.
///
/// # Errors
/// [`EncodeError`] when a real is not finite or out of range; `sums` is then meaningless.
pub fn add_rounded(sums: &mut [Word], reals: &[f64]) -> Result<(), EncodeError> {
    if reals.iter().all(|real| real.abs() < FAST_MAX) {
        for (sum, real) in sums.iter_mut().zip(reals) {
            *sum = sum.wrapping_add(small_word(*real));
        }
        return Ok(());
    }
    for (sum, real) in sums.iter_mut().zip(reals) {
        *sum = sum.wrapping_add(encode(*real)?);
    }
    Ok(())
}

/// The encoding of a real below [`FAST_MAX`] in magnitude; equal to [`encode`], bit by bit.
fn small_word(real: f64) -> Word {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    const UNIT: f64 = (1_u64 << FRACTION_BITS) as f64;
    // INVARIANT: |real * 2^40| < 2^51, so the sum's last bit is worth 1 and rounding is to nearest.
    let shifted = (real * UNIT + MAGIC)
        .to_bits()
        .wrapping_sub(MAGIC.to_bits());
    i128::from(shifted.cast_signed()).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fast_rounding_is_encoding(real in -1024.0..1024.0_f64, small in -1e-9..1e-9_f64) {
            prop_assert_eq!(small_word(real), encode(real).unwrap());
            prop_assert_eq!(small_word(small), encode(small).unwrap());
        }
    }

    // A number that is none ends the analysis before anything is shared (fault cases 62, 63).
    #[test]
    fn bad_numbers_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, 1e30] {
            assert!(add_rounded(&mut [0, 0], &[1.0, bad]).is_err());
        }
    }
}
