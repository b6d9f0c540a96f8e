//! What a party holds: additive shares of numbers, XOR shares of bits.

use konsil_ring::{FRACTION_BITS, LANES, Word, lanes_to_words};
use std::fmt;

/// A column of numbers held as shares, one additive part modulo 2^128 at each centre.
///
/// Whether the numbers are integers or fixed point is the caller's knowledge. `Debug` shows the
/// length only: a share is as sensitive as what it hides.
#[derive(Clone, Default)]
pub struct Shared {
    pub(crate) part: Vec<Word>,
}

impl Shared {
    pub(crate) fn from_part(part: Vec<Word>) -> Self {
        Self { part }
    }

    /// How many numbers the column has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.part.len()
    }

    /// Whether the column has no numbers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.part.is_empty()
    }

    /// A column of zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Self::from_part(vec![0; len])
    }

    fn zip(&self, other: &Self, op: impl Fn(Word, Word) -> Word) -> Self {
        debug_assert_eq!(self.len(), other.len(), "columns of one length");
        Self::from_part(self.part.iter().zip(&other.part).map(|(&a, &b)| op(a, b)).collect())
    }

    /// `self + other`, element by element. No messages.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, Word::wrapping_add)
    }

    /// `self - other`, element by element. No messages.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.zip(other, Word::wrapping_sub)
    }

    /// `-self`. No messages.
    #[must_use]
    pub fn negated(&self) -> Self {
        self.times_integer(-1)
    }

    /// Every element times one public integer. No messages.
    #[must_use]
    pub fn times_integer(&self, factor: i128) -> Self {
        let factor = factor.cast_unsigned();
        Self::from_part(self.part.iter().map(|part| part.wrapping_mul(factor)).collect())
    }

    /// Element `i` times the public integer `factors[i]`. No messages.
    #[must_use]
    pub fn times_integers(&self, factors: &[i128]) -> Self {
        let factors = factors.iter().map(|factor| factor.cast_unsigned());
        Self::from_part(self.part.iter().zip(factors).map(|(a, b)| a.wrapping_mul(b)).collect())
    }

    /// Integers turned into fixed point: times 2^40. No messages.
    #[must_use]
    pub fn integer_to_fixed(&self) -> Self {
        self.times_integer(1 << FRACTION_BITS)
    }

    /// The sum of all elements, as a column of one. No messages.
    #[must_use]
    pub fn total(&self) -> Self {
        Self::from_part(vec![self.part.iter().fold(0, |sum, part| sum.wrapping_add(*part))])
    }

    /// Running sums from the first element on. No messages.
    #[must_use]
    pub fn running_sums(&self) -> Self {
        let mut sum: Word = 0;
        Self::from_part(
            (self.part.iter())
                .map(|part| {
                    sum = sum.wrapping_add(*part);
                    sum
                })
                .collect(),
        )
    }

    /// The elements from `start` up to, not including, `end`.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        Self::from_part(self.part.get(start..end).unwrap_or_default().to_vec())
    }

    /// The elements at `places`, in that order. A place beyond the end gives 0.
    #[must_use]
    pub fn pick(&self, places: impl IntoIterator<Item = usize>) -> Self {
        Self::from_part(
            (places.into_iter())
                .map(|place| self.part.get(place).copied().unwrap_or_default())
                .collect(),
        )
    }

    /// The column with the elements at `places` replaced by those of `other`, in that order.
    #[must_use]
    pub fn replaced(&self, places: &[usize], other: &Self) -> Self {
        let mut part = self.part.clone();
        for (place, new) in places.iter().zip(&other.part) {
            if let Some(old) = part.get_mut(*place) {
                *old = *new;
            }
        }
        Self::from_part(part)
    }

    /// Columns put one after another.
    #[must_use]
    pub fn concat<'a>(columns: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::from_part(
            columns.into_iter().flat_map(|column| column.part.iter().copied()).collect(),
        )
    }

    /// The whole column `times` times in a row.
    #[must_use]
    pub fn repeat(&self, times: usize) -> Self {
        Self::from_part(self.part.repeat(times))
    }

    /// The `rows` x `columns` matrix read row by row, turned into its transpose.
    #[must_use]
    pub fn transposed(&self, rows: usize, columns: usize) -> Self {
        self.pick((0..columns).flat_map(|j| (0..rows).map(move |i| i * columns + j)))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared[{}]", self.part.len())
    }
}

/// One bit of each of many numbers, held as XOR shares and packed 128 to a word.
#[derive(Clone, Default)]
pub struct Bits {
    pub(crate) plane: Vec<u128>,
    lanes: usize,
}

impl Bits {
    pub(crate) fn from_plane(plane: Vec<u128>, lanes: usize) -> Self {
        debug_assert_eq!(plane.len(), lanes_to_words(lanes), "a word for each block");
        Self { plane, lanes }
    }

    /// All zero.
    #[must_use]
    pub fn zeros(lanes: usize) -> Self {
        Self::from_plane(vec![0; lanes_to_words(lanes)], lanes)
    }

    /// How many bits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes == 0
    }

    /// Planes of one length put side by side, each filled up to whole words, so that one operation
    /// works on all. [`Bits::unstack`] takes them apart.
    #[must_use]
    pub fn stack<'a>(planes: impl IntoIterator<Item = &'a Self>) -> Self {
        let plane: Vec<u128> = planes.into_iter().flat_map(|bits| bits.plane.clone()).collect();
        let lanes = plane.len() * LANES;
        Self::from_plane(plane, lanes)
    }

    /// Takes apart what [`Bits::stack`] put together from planes of `lanes` bits.
    #[must_use]
    pub fn unstack(&self, lanes: usize) -> Vec<Self> {
        let words = lanes_to_words(lanes).max(1);
        (self.plane.chunks(words)).map(|plane| Self::from_plane(plane.to_vec(), lanes)).collect()
    }

    /// The bits from place `from` to `to` (not included); none beyond the end. No messages.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.lanes);
        let lanes = to.saturating_sub(from);
        let word = |at: usize| self.plane.get(at).copied().unwrap_or(0);
        let (first, shift) = (from / LANES, from % LANES);
        let mut plane: Vec<u128> = (first..first + lanes_to_words(lanes))
            .map(|at| match shift {
                0 => word(at),
                _ => word(at) >> shift | word(at + 1) << (LANES - shift),
            })
            .collect();
        if let Some(last) = plane.last_mut().filter(|_| !lanes.is_multiple_of(LANES)) {
            *last &= (1 << (lanes % LANES)) - 1;
        }
        Self::from_plane(plane, lanes)
    }

    /// One after another, without gaps. No messages.
    #[must_use]
    pub fn concat(parts: &[Self]) -> Self {
        let lanes = parts.iter().map(Self::len).sum();
        let mut plane = vec![0_u128; lanes_to_words(lanes)];
        let mut place = 0;
        for part in parts {
            let part = part.slice(0, part.lanes);
            let shift = place % LANES;
            for (at, word) in (place / LANES..).zip(&part.plane) {
                plane[at] |= word << shift;
                if let Some(next) = plane.get_mut(at + 1).filter(|_| shift > 0) {
                    *next |= word >> (LANES - shift);
                }
            }
            place += part.lanes;
        }
        Self::from_plane(plane, lanes)
    }

    /// `self XOR other`, bit by bit. No messages.
    #[must_use]
    pub fn xor(&self, other: &Self) -> Self {
        let plane = self.plane.iter().zip(&other.plane).map(|(a, b)| a ^ b).collect();
        Self::from_plane(plane, self.lanes)
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bits[{}]", self.lanes)
    }
}

/// The bit planes of a column: plane `k` has bit `k` of every number; lanes beyond the end are 0.
pub(crate) fn planes(column: &[Word]) -> Vec<Vec<u128>> {
    let words = lanes_to_words(column.len());
    let mut planes = vec![vec![0; words]; LANES];
    for (index, chunk) in column.chunks(LANES).enumerate() {
        let mut block = [0; LANES];
        block[..chunk.len()].copy_from_slice(chunk);
        konsil_ring::transpose(&mut block);
        for (plane, word) in planes.iter_mut().zip(block) {
            plane[index] = word;
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_cut_and_joined() {
        let lanes = 300;
        let bit = |at: usize| at * at % 7 < 3;
        let mut plane = vec![0_u128; lanes_to_words(lanes)];
        (0..lanes).filter(|at| bit(*at)).for_each(|at| plane[at / LANES] |= 1 << (at % LANES));
        let bits = Bits::from_plane(plane, lanes);
        for (from, to) in [(0, 300), (0, 128), (1, 2), (5, 5), (100, 299), (128, 300), (77, 400)] {
            let part = bits.slice(from, to);
            assert_eq!(part.len(), to.min(lanes) - from);
            let set = |at: usize| part.plane[at / LANES] >> (at % LANES) & 1 == 1;
            assert!((0..part.len()).all(|at| set(at) == bit(from + at)), "{from} {to}");
        }
        let parts = [(0, 7), (7, 7), (7, 140), (140, 300)].map(|(from, to)| bits.slice(from, to));
        let joined = Bits::concat(&parts);
        assert_eq!((joined.plane, joined.lanes), (bits.plane, lanes));
    }
}
