//! Rings modulo a power of two.

/// The integers modulo 2^`BITS`, with wrapping arithmetic.
///
/// The engine computes modulo 2^128. Wider and narrower rings stand here so that authenticated
/// shares (value and tag modulo 2^(k+s)) can replace plain ones without a change in the analyses.
pub trait Ring: Copy + Eq + Send + Sync + 'static {
    /// Width in bits.
    const BITS: u32;
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;

    /// `self + other`, modulo 2^`BITS`.
    #[must_use]
    fn plus(self, other: Self) -> Self;

    /// `self - other`, modulo 2^`BITS`.
    #[must_use]
    fn minus(self, other: Self) -> Self;

    /// `self * other`, modulo 2^`BITS`.
    #[must_use]
    fn times(self, other: Self) -> Self;

    /// The element that stands for a signed integer, sign-extended or cut to the width.
    #[must_use]
    fn of_integer(value: i128) -> Self;

    /// The low 128 bits.
    #[must_use]
    fn low(self) -> u128;
}

impl Ring for u128 {
    const BITS: u32 = 128;
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }

    fn of_integer(value: i128) -> Self {
        value.cast_unsigned()
    }

    fn low(self) -> u128 {
        self
    }
}

impl Ring for u64 {
    const BITS: u32 = 64;
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "reduction modulo 2^64 is what the ring means"
    )]
    fn of_integer(value: i128) -> Self {
        value.cast_unsigned() as Self
    }

    fn low(self) -> u128 {
        u128::from(self)
    }
}

/// The integers modulo 2^192: 128 bits of value and 64 bits of statistical security for tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wide192 {
    low: u128,
    high: u64,
}

impl Wide192 {
    /// The element `high * 2^128 + low`.
    #[must_use]
    pub fn new(low: u128, high: u64) -> Self {
        Self { low, high }
    }

    /// The top 64 bits.
    #[must_use]
    pub fn high(self) -> u64 {
        self.high
    }
}

impl Ring for Wide192 {
    const BITS: u32 = 192;
    const ZERO: Self = Self { low: 0, high: 0 };
    const ONE: Self = Self { low: 1, high: 0 };

    fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        let high = self.high.wrapping_add(other.high).wrapping_add(u64::from(carry));
        Self { low, high }
    }

    fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        let high = self.high.wrapping_sub(other.high).wrapping_sub(u64::from(borrow));
        Self { low, high }
    }

    fn times(self, other: Self) -> Self {
        let (low, above) = self.low.carrying_mul_parts(other.low);
        let cross = u64::of_integer(self.low.cast_signed())
            .wrapping_mul(other.high)
            .wrapping_add(u64::of_integer(other.low.cast_signed()).wrapping_mul(self.high));
        Self { low, high: above.wrapping_add(cross) }
    }

    fn of_integer(value: i128) -> Self {
        let high = if value < 0 { u64::MAX } else { 0 };
        Self { low: value.cast_unsigned(), high }
    }

    fn low(self) -> u128 {
        self.low
    }
}

/// The product of two 128-bit numbers: low 128 bits, and the next 64.
trait CarryingParts {
    fn carrying_mul_parts(self, other: Self) -> (u128, u64);
}

impl CarryingParts for u128 {
    fn carrying_mul_parts(self, other: Self) -> (u128, u64) {
        const HALF: u128 = u64::MAX as u128;
        let (a0, a1) = (self & HALF, self >> 64);
        let (b0, b1) = (other & HALF, other >> 64);
        let middle = ((a0 * b0) >> 64) + ((a0 * b1) & HALF) + ((a1 * b0) & HALF);
        let high = (middle >> 64) + ((a0 * b1) >> 64) + ((a1 * b0) >> 64);
        let above = high.wrapping_add(a1.wrapping_mul(b1));
        (self.wrapping_mul(other), u64::of_integer(above.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn laws<R: Ring + std::fmt::Debug>(a: R, b: R, c: R) {
        assert_eq!(a.plus(b), b.plus(a));
        assert_eq!(a.times(b), b.times(a));
        assert_eq!(a.plus(b).minus(b), a);
        assert_eq!(a.times(b.plus(c)), a.times(b).plus(a.times(c)));
        assert_eq!(a.times(b).times(c), a.times(b.times(c)));
        assert_eq!(a.times(R::ONE), a);
        assert_eq!(a.plus(R::ZERO), a);
        assert_eq!(R::of_integer(-1).plus(R::ONE), R::ZERO);
    }

    proptest! {
        // Every protocol rests on these laws; a wrong carry would show as a wrong statistic.
        #[test]
        fn rings_obey_the_laws(a: (u128, u64), b: (u128, u64), c: (u128, u64)) {
            laws(a.0, b.0, c.0);
            laws(a.1, b.1, c.1);
            laws(Wide192::new(a.0, a.1), Wide192::new(b.0, b.1), Wide192::new(c.0, c.1));
        }

        // The narrow ring is the wide one seen through its low bits.
        #[test]
        fn low_bits_agree(a: u128, b: u128) {
            let wide = Wide192::new(a, 7).times(Wide192::new(b, 9));
            prop_assert_eq!(wide.low(), a.wrapping_mul(b));
        }
    }
}
