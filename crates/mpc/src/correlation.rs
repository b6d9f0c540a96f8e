//! Correlated randomness: which kinds there are, and how each is laid out.
//!
//! A correlation is addressed by its number in the session. Every party expands its part of number
//! `t` from its own seed, stream `t`: first the *free* words, which are random and need no message,
//! then the *corrected* words. One party adds (or XORs) to the latter what the dealer sends it, so
//! that the parts together fulfil the relation. A number is used once.

use crate::monomials::Gate;
use konsil_ring::{LANES, lanes_to_words};

/// Bits of a digit: comparisons read the opened number four bits at a time.
pub(crate) const DIGIT_BITS: usize = 4;

/// Products of the four mask bits of a digit, the empty one left out.
pub(crate) const DIGIT_MONOMIALS: usize = (1 << DIGIT_BITS) - 1;

/// One batch of correlated randomness. All fields are public.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `a`, `b` free; `c = a * b`. One element each.
    Triple {
        /// Elements.
        len: usize,
    },
    /// `a` free; `c = a * a`.
    Square {
        /// Elements.
        len: usize,
    },
    /// `a`, `b` free, `[rows][len]`; `c[row]` is the sum of `a * b` over the row.
    Dot {
        /// Rows.
        rows: usize,
        /// Elements of a row.
        len: usize,
    },
    /// `r` free; `r_low >> shift` modulo 2^128 and the top bit of `r` modulo 2^64 (`r_low`: without
    /// the top bit).
    Truncate {
        /// Elements.
        len: usize,
        /// Bits cut off.
        shift: u32,
    },
    /// `r` free, one per lane; all products of its bits within each of the lowest `digits` groups of
    /// four, as XOR-shared planes `[digit][set]`.
    Borrow {
        /// Numbers; the last block is filled up.
        lanes: usize,
        /// Groups of four bits.
        digits: usize,
    },
    /// Masks of a gate's variables, free; its monomials, corrected. Planes `[variable][word]`.
    Gates {
        /// The gate.
        gate: Gate,
        /// Words of each plane.
        words: usize,
    },
    /// A random bit for each lane, as a plane, free; the same bits modulo 2^128.
    BothWays {
        /// Bits.
        lanes: usize,
    },
    /// For each lane a random number below `2^bits` as planes, free; its indicator vector modulo
    /// 2^128, `[lane][value]`.
    Indicator {
        /// Bits of the number.
        bits: u32,
        /// Numbers.
        lanes: usize,
    },
    /// Random elements known to nobody, free; they mask an operand of later products.
    Mask {
        /// Elements.
        len: usize,
    },
    /// Random elements that only `owner` knows; the others' parts are 0.
    OwnMask {
        /// Elements.
        len: usize,
        /// The party.
        owner: usize,
    },
    /// The product of two masks dealt before, as matrices.
    Product(Product),
}

/// The product `A B` of two masked matrices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Product {
    /// Number of the correlation that masks `A`.
    pub left: u64,
    /// The party that owns `A`'s mask, if one does.
    pub left_owner: Option<usize>,
    /// Whether `A`'s mask is stored as the transpose.
    pub left_transposed: bool,
    /// Number of the correlation that masks `B`.
    pub right: u64,
    /// Rows of `A`, columns of `A`, columns of `B`.
    pub shape: (usize, usize, usize),
}

/// How corrected words are combined with what the dealer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Correction {
    /// Addition modulo 2^128, word by word.
    Add128,
    /// Addition modulo 2^64, half-word by half-word.
    Add64,
    /// XOR.
    Xor,
}

/// Words of each part of a kind, in the order in which they are expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) free: usize,
    pub(crate) corrected: Vec<(Correction, usize)>,
}

impl Layout {
    pub(crate) fn words(&self) -> usize {
        self.free + self.corrected_words()
    }

    pub(crate) fn corrected_words(&self) -> usize {
        self.corrected.iter().map(|(_, words)| words).sum()
    }
}

impl Kind {
    pub(crate) fn layout(&self) -> Layout {
        let plain =
            |free, corrected| Layout { free, corrected: vec![(Correction::Add128, corrected)] };
        match *self {
            Self::Triple { len } => plain(2 * len, len),
            Self::Square { len } => plain(len, len),
            Self::Dot { rows, len } => plain(2 * rows * len, rows),
            Self::Truncate { len, .. } => Layout {
                free: len,
                corrected: vec![(Correction::Add128, len), (Correction::Add64, len.div_ceil(2))],
            },
            Self::Borrow { lanes, digits } => Layout {
                free: lanes_to_words(lanes) * LANES,
                corrected: vec![(
                    Correction::Xor,
                    lanes_to_words(lanes) * digits * DIGIT_MONOMIALS,
                )],
            },
            Self::Gates { gate, words } => Layout {
                free: gate.variables() * words,
                corrected: vec![(Correction::Xor, gate.monomials().len() * words)],
            },
            Self::BothWays { lanes } => plain(lanes_to_words(lanes), lanes),
            Self::Indicator { bits, lanes } => {
                plain(lanes_to_words(lanes) * usize::try_from(bits).unwrap_or(0), lanes << bits)
            }
            Self::Mask { len } | Self::OwnMask { len, .. } => plain(len, 0),
            Self::Product(Product { shape: (m, _, n), .. }) => plain(0, m * n),
        }
    }

    /// Bytes that the dealer sends for this batch.
    #[must_use]
    pub fn correction_bytes(&self) -> usize {
        16 * self.layout().corrected_words()
    }

    /// How many correlations the batch has, for the account of a run: one for each product,
    /// truncated number, compared digit, gate bit, converted bit or looked-up number.
    #[must_use]
    pub fn count(&self) -> u64 {
        let count = match *self {
            Self::Triple { len } | Self::Square { len } | Self::Truncate { len, .. } => len,
            Self::Dot { rows, len } => rows * len,
            Self::Borrow { lanes, digits } => lanes * digits,
            Self::Gates { words, .. } => words * LANES,
            Self::BothWays { lanes } | Self::Indicator { lanes, .. } => lanes,
            Self::Mask { .. } | Self::OwnMask { .. } => 0,
            Self::Product(Product { shape: (m, k, n), .. }) => m * k * n,
        };
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Appends the batch's description to a message for the dealer.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let fields: Vec<u64> = match self {
            Self::Triple { len } => vec![0, wide(*len)],
            Self::Square { len } => vec![1, wide(*len)],
            Self::Dot { rows, len } => vec![2, wide(*rows), wide(*len)],
            Self::Truncate { len, shift } => vec![3, wide(*len), u64::from(*shift)],
            Self::Borrow { lanes, digits } => vec![4, wide(*lanes), wide(*digits)],
            Self::Gates { gate: Gate::Prefix(k), words } => vec![5, u64::from(*k), wide(*words)],
            Self::Gates { gate: Gate::Carry(k), words } => vec![6, u64::from(*k), wide(*words)],
            Self::BothWays { lanes } => vec![7, wide(*lanes)],
            Self::Indicator { bits, lanes } => vec![8, u64::from(*bits), wide(*lanes)],
            Self::Mask { len } => vec![9, wide(*len)],
            Self::OwnMask { len, owner } => vec![10, wide(*len), wide(*owner)],
            Self::Product(it) => vec![
                11,
                it.left,
                it.left_owner.map_or(0, |owner| wide(owner) + 1),
                u64::from(it.left_transposed),
                it.right,
                wide(it.shape.0),
                wide(it.shape.1),
                wide(it.shape.2),
            ],
        };
        for mut field in fields {
            while field >= 0x80 {
                into.push(u8::try_from(field & 0x7f).unwrap_or(0) | 0x80);
                field >>= 7;
            }
            into.push(u8::try_from(field).unwrap_or(0));
        }
    }

    /// Reads one description and moves `from` behind it. `None` when the bytes mean nothing or ask
    /// for more than the dealer serves in one batch.
    pub fn decode(from: &mut &[u8]) -> Option<Self> {
        let tag = varint(from)?;
        let kind = match tag {
            0 => Self::Triple { len: size(from)? },
            1 => Self::Square { len: size(from)? },
            2 => Self::Dot { rows: size(from)?, len: size(from)? },
            3 => Self::Truncate {
                len: size(from)?,
                shift: u32::try_from(varint(from)?).ok().filter(|it| (1..127).contains(it))?,
            },
            4 => Self::Borrow {
                lanes: size(from)?,
                digits: Some(size(from)?).filter(|it| *it <= LANES / DIGIT_BITS)?,
            },
            5 => Self::Gates { gate: Gate::Prefix(arity(from)?), words: size(from)? },
            6 => Self::Gates { gate: Gate::Carry(arity(from)?), words: size(from)? },
            7 => Self::BothWays { lanes: size(from)? },
            8 => Self::Indicator {
                bits: u32::try_from(varint(from)?).ok().filter(|it| (1..=10).contains(it))?,
                lanes: size(from)?,
            },
            9 => Self::Mask { len: size(from)? },
            10 => Self::OwnMask { len: size(from)?, owner: size(from)? },
            11 => Self::Product(Product {
                left: varint(from)?,
                left_owner: size(from)?.checked_sub(1),
                left_transposed: varint(from)? == 1,
                right: varint(from)?,
                shape: (size(from)?, size(from)?, size(from)?),
            }),
            _ => return None,
        };
        kind.fits().then_some(kind)
    }

    /// Whether the batch stays below the dealer's limit of 2^28 words; checked before allocation.
    fn fits(&self) -> bool {
        const WORDS_MAX: u128 = 1 << 28;
        let wide = |len: usize| u128::try_from(len).unwrap_or(u128::MAX);
        let words = match *self {
            Self::Dot { rows, len } => 3 * wide(rows) * wide(len),
            Self::Indicator { bits, lanes } => wide(lanes) << bits,
            Self::Gates { words, .. } => 64 * wide(words),
            Self::Product(Product { shape: (m, k, n), .. }) => {
                (wide(m) * wide(n)).max(wide(m) * wide(k)).max(wide(k) * wide(n))
            }
            Self::Borrow { lanes, .. } => 8 * wide(lanes),
            Self::Triple { len }
            | Self::Square { len }
            | Self::Truncate { len, .. }
            | Self::Mask { len }
            | Self::OwnMask { len, .. }
            | Self::BothWays { lanes: len } => 3 * wide(len),
        };
        words <= WORDS_MAX
    }
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn size(from: &mut &[u8]) -> Option<usize> {
    usize::try_from(varint(from)?).ok().filter(|it| *it <= 1 << 28)
}

fn arity(from: &mut &[u8]) -> Option<u8> {
    u8::try_from(varint(from)?).ok().filter(|it| (2..=4).contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // The dealer reads these bytes from a party: any bytes must be an answer, never a panic.
        #[test]
        fn decoding_is_total(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            while let Some(kind) = Kind::decode(&mut rest) {
                let mut again = Vec::new();
                kind.encode(&mut again);
                prop_assert_eq!(Kind::decode(&mut again.as_slice()), Some(kind));
            }
        }
    }

    #[test]
    fn every_kind_survives_the_way_to_the_dealer() {
        let kinds = [
            Kind::Triple { len: 300 },
            Kind::Square { len: 1 },
            Kind::Dot { rows: 3, len: 200 },
            Kind::Truncate { len: 5, shift: 44 },
            Kind::Borrow { lanes: 129, digits: 21 },
            Kind::Gates { gate: Gate::Prefix(3), words: 2 },
            Kind::Gates { gate: Gate::Carry(4), words: 2 },
            Kind::BothWays { lanes: 9 },
            Kind::Indicator { bits: 6, lanes: 4 },
            Kind::Mask { len: 10 },
            Kind::OwnMask { len: 10, owner: 2 },
            Kind::Product(Product {
                left: 9,
                left_owner: Some(0),
                left_transposed: true,
                right: 10,
                shape: (2, 5, 2),
            }),
        ];
        let mut bytes = Vec::new();
        kinds.iter().for_each(|kind| kind.encode(&mut bytes));
        let mut rest = bytes.as_slice();
        for kind in kinds {
            assert_eq!(Kind::decode(&mut rest), Some(kind));
        }
        assert!(rest.is_empty());
    }
}
