//! Products of several secret bits in one round.
//!
//! The dealer masks each bit `v` with a random bit `a` and deals shares of every product of masks
//! that the result needs. The parties open `d = v XOR a` and expand
//! `prod v_i = prod (d_i XOR a_i) = XOR over S of (prod of d outside S) * (prod of a in S)`,
//! which is linear in the dealt shares (Beaver's triple for more than two factors: Beaver 1991;
//! with a dealer, Damgard, Nielsen, Nielsen, Ranellucci, eprint 2016/695, section 3).
//! A *gate* is a list of such products over the same variables.

/// Which products a batch of gates computes. Every gate is evaluated on whole planes of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// All `k` variables multiplied, and every product of the first `j` of them, `2 <= j < k`.
    Prefix(u8),
    /// Combines `k` neighbouring carry blocks, highest first: variables
    /// `p_{k-1}, .., p_0, g_{k-2}, .., g_0`; products `p_{k-1} .. p_{i+1} g_i` and all the `p`.
    Carry(u8),
}

impl Gate {
    /// How many variables the gate reads.
    #[must_use]
    pub fn variables(self) -> usize {
        match self {
            Self::Prefix(k) => usize::from(k),
            Self::Carry(k) => 2 * usize::from(k) - 1,
        }
    }

    /// The products, each a set of variables given as a bit mask (variable `i` is bit `i`).
    #[must_use]
    pub fn products(self) -> Vec<u32> {
        match self {
            Self::Prefix(k) => (2..=u32::from(k)).map(|j| (1 << j) - 1).collect(),
            Self::Carry(k) => {
                let k = u32::from(k);
                let chain = |length: u32| (1_u32 << length) - 1;
                let carries = (1..k).map(|used| chain(used) | 1 << (k + used - 1));
                carries.chain([chain(k)]).collect()
            }
        }
    }

    /// All products of at least two masks that the dealer deals, ascending as bit masks.
    #[must_use]
    pub fn monomials(self) -> Vec<u32> {
        let all = 1_u32 << self.variables();
        let products = self.products();
        (1..all)
            .filter(|set| set.count_ones() >= 2)
            .filter(|set| products.iter().any(|product| product & set == *set))
            .collect()
    }
}

/// For one product of a gate: where the shares of its sub-products stand among the dealt planes.
#[derive(Clone, Debug)]
pub(crate) struct Expansion {
    /// The product's variables.
    pub(crate) variables: Vec<usize>,
    /// For each subset of them (as a local bit mask, from 1): index of the dealt plane.
    pub(crate) planes: Vec<usize>,
}

/// The expansions of a gate. Dealt planes: first the masks, then [`Gate::monomials`].
pub(crate) fn expansions(gate: Gate) -> Vec<Expansion> {
    let monomials = gate.monomials();
    let place = |set: u32| {
        if set.count_ones() == 1 {
            usize::try_from(set.trailing_zeros()).unwrap_or_default()
        } else {
            gate.variables() + monomials.iter().position(|it| *it == set).unwrap_or_default()
        }
    };
    (gate.products().into_iter())
        .map(|product| {
            let variables: Vec<usize> =
                (0..gate.variables()).filter(|i| product >> i & 1 == 1).collect();
            let planes = (1_u32..1 << variables.len())
                .map(|local| {
                    let chosen = variables.iter().enumerate().filter(|(i, _)| local >> i & 1 == 1);
                    place(chosen.fold(0, |set, (_, variable)| set | 1 << variable))
                })
                .collect();
            Expansion { variables, planes }
        })
        .collect()
}

/// Evaluates a product from shares `terms[S]` of the mask products (`terms[0]` is the share of 1)
/// and the opened differences, folding one variable after the other, the last first.
/// `terms` holds `2^differences.len()` words and is used up.
pub(crate) fn fold(terms: &mut [u128], differences: &[u128]) -> u128 {
    let mut half = terms.len() / 2;
    for difference in differences.iter().rev() {
        let (low, high) = terms.split_at_mut(half);
        for (without, with) in low.iter_mut().zip(high) {
            *without = *with ^ (*without & difference);
        }
        half /= 2;
    }
    terms[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    // With one party the shares are the bits themselves: every gate equals its definition on all
    // inputs and all masks.
    #[test]
    fn gates_equal_their_definition() {
        for gate in
            [Gate::Prefix(2), Gate::Prefix(4), Gate::Carry(2), Gate::Carry(3), Gate::Carry(4)]
        {
            let n = gate.variables();
            for value in 0..1_u32 << n {
                let mask = value.wrapping_mul(0x9e37_79b9) >> 7;
                let bit = |word: u32, i: usize| u128::from(word >> i & 1);
                let of_masks = |set: u32| u128::from(mask & set == set);
                let dealt: Vec<u128> = (0..n)
                    .map(|i| bit(mask, i))
                    .chain(gate.monomials().into_iter().map(of_masks))
                    .collect();
                for (product, expansion) in gate.products().into_iter().zip(expansions(gate)) {
                    let differences: Vec<u128> = (expansion.variables.iter())
                        .map(|&i| bit(value, i) ^ bit(mask, i))
                        .collect();
                    let mut terms: Vec<u128> = std::iter::once(1)
                        .chain(expansion.planes.iter().map(|&at| dealt[at]))
                        .collect();
                    let expected = u128::from(value & product == product);
                    assert_eq!(fold(&mut terms, &differences), expected);
                }
            }
        }
    }

    #[test]
    fn sizes_of_gates() {
        assert_eq!(Gate::Prefix(4).monomials().len(), 11);
        assert_eq!(Gate::Carry(2).monomials().len(), 2);
        assert_eq!(Gate::Carry(4).monomials().len(), 22);
    }
}
