//! Reals as fixed point in the ring modulo 2^128: two's complement, 40 fractional bits.

use std::fmt;

/// The ring in which shares live.
pub type Word = u128;

/// Fractional bits of a fixed-point number.
pub const FRACTION_BITS: u32 = 40;

/// The fixed-point number 1.
pub const ONE: Word = 1 << FRACTION_BITS;

/// The distance between neighbouring fixed-point numbers, 2^-40 (9.1e-13).
pub const ULP: f64 = 1.0 / (1_u64 << FRACTION_BITS) as f64;

/// Bound on the magnitude of an encoded real, 2^46 (7.0e13).
pub const MAGNITUDE_MAX: f64 = (1_u64 << 46) as f64;

/// Why a real has no fixed-point encoding. Carries no value: the real may be a patient's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Not a number, or infinite.
    NotFinite,
    /// Larger in magnitude than [`MAGNITUDE_MAX`].
    OutOfRange,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFinite => "a number is missing or infinite",
            Self::OutOfRange => "a number is larger than 2^46; use a larger unit",
        })
    }
}

impl std::error::Error for EncodeError {}

/// Encodes a real, rounded to the nearest multiple of 2^-40.
///
/// # Errors
/// [`EncodeError`] when `real` is not finite or not smaller than 2^46 in magnitude.
pub fn encode(real: f64) -> Result<Word, EncodeError> {
    encode_scaled(real, FRACTION_BITS)
}

/// Encodes a real with `fraction_bits` fractional bits, at most 80.
///
/// # Errors
/// As [`encode`].
pub fn encode_scaled(real: f64, fraction_bits: u32) -> Result<Word, EncodeError> {
    if !real.is_finite() {
        return Err(EncodeError::NotFinite);
    }
    if real.abs() >= MAGNITUDE_MAX || fraction_bits > 80 {
        return Err(EncodeError::OutOfRange);
    }
    // INVARIANT: scaling by a power of two is exact and |real| * 2^80 < 2^126.
    let scaled = (real * 2.0_f64.powi(fraction_bits.cast_signed())).round_ties_even();
    #[expect(clippy::cast_possible_truncation, reason = "below 2^126 in magnitude, see above")]
    let integer = scaled as i128;
    Ok(integer.cast_unsigned())
}

/// Encodes a count as a ring integer, without fractional bits.
#[must_use]
pub fn encode_count(count: u64) -> Word {
    Word::from(count)
}

/// The real that a fixed-point number stands for, rounded to 53 bits.
#[must_use]
pub fn decode(word: Word) -> f64 {
    decode_scaled(word, FRACTION_BITS)
}

/// The real of a number with `fraction_bits` fractional bits.
#[must_use]
pub fn decode_scaled(word: Word, fraction_bits: u32) -> f64 {
    word.cast_signed() as f64 / 2.0_f64.powi(fraction_bits.cast_signed())
}

/// The signed integer of a ring element without fractional bits, as a real.
#[must_use]
pub fn decode_count(word: Word) -> f64 {
    word.cast_signed() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Half a unit in the last place, over the whole range.
        #[test]
        fn encoding_is_exact_to_half_a_unit(real in -7.0e13..7.0e13_f64) {
            let back = decode(encode(real).unwrap());
            prop_assert!((back - real).abs() <= (ULP / 2.0).max(real.abs() * 2.3e-16));
        }

        // Addition of encodings is addition of reals.
        #[test]
        fn sums_are_sums(a in -1.0e13..1.0e13_f64, b in -1.0e13..1.0e13_f64) {
            let sum = encode(a).unwrap().wrapping_add(encode(b).unwrap());
            prop_assert!((decode(sum) - (a + b)).abs() <= 2.0 * ULP + (a + b).abs() * 3e-16);
        }
    }

    // Nothing that is no number may enter the ring (fault case 62), nothing may wrap (63).
    #[test]
    fn refuses_what_has_no_encoding() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(encode(bad), Err(EncodeError::NotFinite));
        }
        for bad in [MAGNITUDE_MAX, -MAGNITUDE_MAX, 1e300] {
            assert_eq!(encode(bad), Err(EncodeError::OutOfRange));
        }
        assert_eq!(encode(-0.0), Ok(0));
        assert_eq!(encode(f64::MIN_POSITIVE), Ok(0));
    }
}
