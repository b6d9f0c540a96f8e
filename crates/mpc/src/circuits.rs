//! Comparison and bit decomposition on planes of XOR-shared bits.
//!
//! A number `x` is opened as `c = x + r`. Its bits are those of `c - r`, so everything hangs on the
//! borrow. The dealer has dealt all products of the bits of `r` within each digit of four, so that
//! a digit's own borrow and whether it passes one on are linear in what the party holds, given `c`.
//! Digits are then combined four at a time (radix-4 carry tree; the prefix version is Sklansky's).

use crate::correlation::{DIGIT_BITS, DIGIT_MONOMIALS};
use crate::engine::SharedSession;
use crate::monomials::{Gate, expansions, fold};
use crate::session::MpcError;
use crate::shared::{Bits, Shared, planes};
use konsil_ring::{LANES, Word, lanes_to_words};

/// Shares of one borrow bit and one pass-on bit, a word for each block.
#[derive(Clone)]
struct Carry {
    borrow: Vec<u128>,
    passes: Vec<u128>,
}

/// A masked and opened column, read digit by digit.
pub(crate) struct Digits {
    opened: Vec<Vec<u128>>,
    monomials: Vec<u128>,
    words: usize,
    ones: u128,
}

impl Digits {
    pub(crate) fn new(opened: &[Word], monomials: Vec<u128>, ones: u128) -> Self {
        let words = lanes_to_words(opened.len());
        Self { opened: planes(opened), monomials, words, ones }
    }

    pub(crate) fn zeros(words: usize, digits: usize) -> Self {
        let monomials = vec![0; words * digits * DIGIT_MONOMIALS];
        Self { opened: vec![vec![0; words]; LANES], monomials, words, ones: 0 }
    }

    /// The share of the product `set` of mask bits of a digit, in block `word`.
    fn monomial(&self, digit: usize, set: usize, word: usize) -> u128 {
        if set == 0 {
            self.ones
        } else {
            self.monomials[(digit * DIGIT_MONOMIALS + set - 1) * self.words + word]
        }
    }

    /// The carry of the lowest `bits` bits of a digit.
    fn carry(&self, digit: usize, bits: usize) -> Carry {
        let mut carry = Carry { borrow: vec![0; self.words], passes: vec![0; self.words] };
        for word in 0..self.words {
            let clear: [u128; DIGIT_BITS] =
                std::array::from_fn(|bit| !self.opened[digit * DIGIT_BITS + bit][word]);
            let mut terms = [0; 1 << DIGIT_BITS];
            for (set, term) in terms.iter_mut().enumerate().take(1 << bits) {
                *term = self.monomial(digit, set, word);
            }
            // borrow: at the highest bit where c and r differ, c has 0 and r has 1
            for bit in 0..bits {
                let above = bits - bit - 1;
                let mut with_bit = [0; 1 << (DIGIT_BITS - 1)];
                for (set, term) in with_bit.iter_mut().enumerate().take(1 << above) {
                    *term = terms[set << (bit + 1) | 1 << bit];
                }
                let equal_above = fold(&mut with_bit[..1 << above], &clear[bit + 1..bits]);
                carry.borrow[word] ^= equal_above & clear[bit];
            }
            carry.passes[word] = fold(&mut terms[..1 << bits], &clear[..bits]);
        }
        carry
    }

    /// The share of bit `bit` of `c XOR r`, in block `word`.
    fn difference(&self, bit: usize, word: usize) -> u128 {
        let mask = self.monomial(bit / DIGIT_BITS, 1 << (bit % DIGIT_BITS), word);
        mask ^ (self.opened[bit][word] & self.ones)
    }
}

/// Shares of the top bit of each number, of as many bits as the session's numbers have.
pub(crate) fn top_bit(session: &mut SharedSession, x: &Shared) -> Result<Vec<u128>, MpcError> {
    let bits = 8 * session.width;
    let count = bits / DIGIT_BITS;
    let digits = session.open_digits(x, count)?;
    let carries = (0..count).map(|digit| {
        // the top bit itself is not part of what borrows from it
        digits.carry(digit, if digit + 1 == count { DIGIT_BITS - 1 } else { DIGIT_BITS })
    });
    let mut carries: Vec<Carry> = carries.collect();
    while carries.len() > 1 {
        let groups: Vec<Vec<&Carry>> =
            carries.chunks(4).map(|group| group.iter().rev().collect()).collect();
        carries = combine(session, &groups)?;
    }
    let borrow = carries.first().map(|carry| carry.borrow.clone()).unwrap_or_default();
    let borrows = borrow.iter().enumerate();
    Ok(borrows.map(|(word, borrow)| borrow ^ digits.difference(bits - 1, word)).collect())
}

/// Shares of the bits `from..to` of each number.
pub(crate) fn bit_range(
    session: &mut SharedSession,
    x: &Shared,
    from: usize,
    to: usize,
) -> Result<Vec<Vec<u128>>, MpcError> {
    let used = to.div_ceil(DIGIT_BITS);
    let digits = session.open_digits(x, used)?;
    let into = borrows_into(session, &digits, used)?;
    let words = digits.words;
    // borrow into bit j of a digit: the carry of the bits below, or passed on from below the digit
    let inner: Vec<(usize, Carry)> = (from..to)
        .filter(|bit| bit % DIGIT_BITS != 0)
        .map(|bit| (bit, digits.carry(bit / DIGIT_BITS, bit % DIGIT_BITS)))
        .collect();
    let from_below = inner.iter().filter(|(bit, _)| bit / DIGIT_BITS > 0);
    let mut variables = Vec::new();
    variables.extend(from_below.clone().flat_map(|(_, carry)| carry.passes.iter()));
    variables.extend(from_below.clone().flat_map(|(bit, _)| into[bit / DIGIT_BITS].iter()));
    let passed = session.gate_words(&[(Gate::Prefix(2), variables)])?.pop().unwrap_or_default();
    let mut passed = passed.chunks(words.max(1));
    let mut carries = inner.iter();
    let mut planes = Vec::with_capacity(to - from);
    for bit in from..to {
        let digit = bit / DIGIT_BITS;
        let mut plane: Vec<u128> = (0..words).map(|word| digits.difference(bit, word)).collect();
        if bit % DIGIT_BITS == 0 {
            xor_to(&mut plane, &into[digit]);
        } else if let Some((_, carry)) = carries.next() {
            xor_to(&mut plane, &carry.borrow);
            if digit > 0 {
                xor_to(&mut plane, passed.next().unwrap_or_default());
            }
        }
        planes.push(plane);
    }
    Ok(planes)
}

/// Shares of the borrow into each digit; the lowest has none.
fn borrows_into(
    session: &mut SharedSession,
    digits: &Digits,
    used: usize,
) -> Result<Vec<Vec<u128>>, MpcError> {
    let mut prefixes: Vec<Carry> =
        (0..used.saturating_sub(1)).map(|digit| digits.carry(digit, DIGIT_BITS)).collect();
    let mut size = 1;
    while size < prefixes.len() {
        let mut places = Vec::new();
        let mut groups = Vec::new();
        for at in 0..prefixes.len() {
            let block = at / size % 4;
            if block > 0 {
                let start = at / (4 * size) * (4 * size);
                let below = (0..block).rev().map(|lower| &prefixes[start + (lower + 1) * size - 1]);
                places.push(at);
                groups.push(std::iter::once(&prefixes[at]).chain(below).collect::<Vec<_>>());
            }
        }
        let combined = combine(session, &groups)?;
        places.into_iter().zip(combined).for_each(|(at, carry)| prefixes[at] = carry);
        size *= 4;
    }
    let none = std::iter::once(vec![0; digits.words]);
    Ok(none.chain(prefixes.into_iter().map(|carry| carry.borrow)).collect())
}

/// Combines groups of up to four neighbouring carries, the highest first, in one round.
fn combine(session: &mut SharedSession, groups: &[Vec<&Carry>]) -> Result<Vec<Carry>, MpcError> {
    let mut batches = Vec::new();
    let mut places = Vec::new();
    for arity in 2..=4_u8 {
        let size = usize::from(arity);
        let chosen: Vec<usize> = (0..groups.len()).filter(|&at| groups[at].len() == size).collect();
        if chosen.is_empty() {
            continue;
        }
        let gate = Gate::Carry(arity);
        let mut variables = Vec::new();
        // p of each block, then g of all blocks but the highest
        for variable in 0..gate.variables() {
            for &at in &chosen {
                variables.extend_from_slice(if variable < size {
                    &groups[at][variable].passes
                } else {
                    &groups[at][variable - size + 1].borrow
                });
            }
        }
        batches.push((gate, variables));
        places.push(chosen);
    }
    let products = session.gate_words(&batches)?;
    let alone = |group: &Vec<&Carry>| match group.as_slice() {
        [carry] => Some((*carry).clone()),
        _ => None,
    };
    let mut combined: Vec<Option<Carry>> = groups.iter().map(alone).collect();
    for (chosen, products) in places.into_iter().zip(products) {
        let words = groups[chosen[0]][0].borrow.len();
        let stride = chosen.len() * words;
        for (index, &at) in chosen.iter().enumerate() {
            let last = groups[at].len() - 1;
            let mut borrow = groups[at][0].borrow.clone();
            for product in 0..last {
                xor_to(&mut borrow, &products[product * stride + index * words..][..words]);
            }
            let passes = products[last * stride + index * words..][..words].to_vec();
            combined[at] = Some(Carry { borrow, passes });
        }
    }
    Ok(combined.into_iter().flatten().collect())
}

/// The products of a gate from opened differences and dealt planes.
pub(crate) fn evaluate(
    gate: Gate,
    words: usize,
    opened: &[u128],
    dealt: &[u128],
    ones: u128,
) -> Vec<u128> {
    let mut products = Vec::with_capacity(gate.products().len() * words);
    for expansion in expansions(gate) {
        let mut terms = [0; 16];
        let mut differences = [0; 4];
        let terms = &mut terms[..=expansion.planes.len()];
        let differences = &mut differences[..expansion.variables.len()];
        for word in 0..words {
            terms[0] = ones;
            for (term, plane) in terms[1..].iter_mut().zip(&expansion.planes) {
                *term = dealt[plane * words + word];
            }
            for (difference, variable) in differences.iter_mut().zip(&expansion.variables) {
                *difference = opened[variable * words + word];
            }
            products.push(fold(terms, differences));
        }
    }
    products
}

/// Cuts planes that stand one after another.
pub(crate) fn split_planes(words: &[u128], count: usize, lanes: usize) -> Vec<Bits> {
    let each = lanes_to_words(lanes);
    (0..count).map(|at| Bits::from_plane(words[at * each..][..each].to_vec(), lanes)).collect()
}

/// Adds up the entries of public tables that the shifted indicator vectors select.
pub(crate) fn look_up(
    opened: &[u128],
    vectors: &[Word],
    lanes: usize,
    tables: &[Vec<Word>],
    parts: &mut [Vec<Word>],
) {
    let entries = tables.first().map_or(1, Vec::len);
    let words = lanes_to_words(lanes);
    let mut moved = vec![0; entries];
    for (lane, vector) in vectors.chunks(entries).enumerate() {
        let bit = |plane: &[u128]| usize::from(plane[lane / LANES] >> (lane % LANES) & 1 == 1);
        let planes = opened.chunks(words.max(1)).enumerate();
        let shift = planes.fold(0, |shift, (place, plane)| shift | bit(plane) << place);
        // the indicator, moved to where the secret place is
        for (place, share) in vector.iter().enumerate() {
            moved[place ^ shift] = *share;
        }
        for (table, part) in tables.iter().zip(parts.iter_mut()) {
            part.push(crate::matrix::dot(table, &moved));
        }
    }
}

fn xor_to(total: &mut [u128], part: &[u128]) {
    total.iter_mut().zip(part).for_each(|(total, part)| *total ^= part);
}
