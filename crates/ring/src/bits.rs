//! Bits of many numbers side by side: 128 numbers make a block, and a *plane* holds one bit of each.

/// Numbers in a block, and bits in a plane's word.
pub const LANES: usize = 128;

/// Words that a plane of `lanes` bits needs.
#[must_use]
pub fn lanes_to_words(lanes: usize) -> usize {
    lanes.div_ceil(LANES)
}

/// Turns 128 numbers into their 128 bit planes, and back: bit `j` of word `i` becomes bit `i` of
/// word `j`. Recursive block swap, 7 steps (Warren, *Hacker's Delight*, 7-3).
pub fn transpose(block: &mut [u128; LANES]) {
    let mut width = LANES / 2;
    let mut mask = u128::MAX >> width;
    while width > 0 {
        let mut start = 0;
        while start < LANES {
            let (upper, lower) = block[start..start + 2 * width].split_at_mut(width);
            for (a, b) in upper.iter_mut().zip(lower) {
                let swapped = ((*a >> width) ^ *b) & mask;
                *b ^= swapped;
                *a ^= swapped << width;
            }
            start += 2 * width;
        }
        width /= 2;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn transposing_moves_every_bit(seed in prop::array::uniform32(any::<u128>())) {
            let block: [u128; LANES] =
                std::array::from_fn(|i| seed[i % 32].rotate_left(u32::try_from(i).unwrap()));
            let mut planes = block;
            transpose(&mut planes);
            for (i, word) in block.iter().enumerate() {
                for (j, plane) in planes.iter().enumerate() {
                    prop_assert_eq!((word >> j) & 1, (plane >> i) & 1);
                }
            }
            transpose(&mut planes);
            prop_assert_eq!(planes, block);
        }
    }
}
