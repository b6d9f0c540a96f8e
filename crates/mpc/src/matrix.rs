//! Plain matrices of ring elements, row by row: the local part of shared matrix products.

use konsil_ring::Word;

/// The sum of element-wise products, modulo 2^128.
#[must_use]
pub(crate) fn dot(a: &[Word], b: &[Word]) -> Word {
    let mut sums = [0_u128; 4];
    let (chunks_a, chunks_b) = (a.chunks_exact(4), b.chunks_exact(4));
    let tail = chunks_a.remainder().iter().zip(chunks_b.remainder());
    let rest = tail.fold(0_u128, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(*b)));
    for (a, b) in chunks_a.zip(chunks_b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = sum.wrapping_add(a.wrapping_mul(*b));
        }
    }
    sums.iter().fold(rest, |sum, part| sum.wrapping_add(*part))
}

/// The transpose of a `rows` x `columns` matrix.
#[must_use]
pub(crate) fn transpose(matrix: &[Word], rows: usize, columns: usize) -> Vec<Word> {
    const TILE: usize = 16;
    let mut turned = vec![0; rows * columns];
    for row_tile in (0..rows).step_by(TILE) {
        for column_tile in (0..columns).step_by(TILE) {
            for row in row_tile..(row_tile + TILE).min(rows) {
                for column in column_tile..(column_tile + TILE).min(columns) {
                    turned[column * rows + row] = matrix[row * columns + column];
                }
            }
        }
    }
    turned
}

/// Adds the product of an `m` x `k` and a `k` x `n` matrix to `sum`, modulo 2^128.
///
/// Dot products of rows with rows of the transposed right factor, two by two, so that every loaded
/// element is used twice.
pub(crate) fn multiply_add(
    sum: &mut [Word],
    left: &[Word],
    right: &[Word],
    (_, k, n): (usize, usize, usize),
) {
    if k == 0 || n == 0 {
        return;
    }
    let right = transpose(right, k, n);
    for (rows, out) in left.chunks(2 * k).zip(sum.chunks_mut(2 * n)) {
        let (first, second) = rows.split_at(k);
        if second.is_empty() {
            for (column, out) in right.chunks(k).zip(out) {
                *out = out.wrapping_add(dot(first, column));
            }
            continue;
        }
        let (out_first, out_second) = out.split_at_mut(n);
        let pairs = out_first.chunks_mut(2).zip(out_second.chunks_mut(2));
        for (columns, (out_first, out_second)) in right.chunks(2 * k).zip(pairs) {
            let (c, d) = columns.split_at(k);
            if d.is_empty() {
                out_first[0] = out_first[0].wrapping_add(dot(first, c));
                out_second[0] = out_second[0].wrapping_add(dot(second, c));
                continue;
            }
            let ([first_c, first_d], [second_c, second_d]) = (out_first, out_second) else {
                continue;
            };
            let mut sums = [*first_c, *first_d, *second_c, *second_d];
            for (((a, b), c), d) in first.iter().zip(second).zip(c).zip(d) {
                sums[0] = sums[0].wrapping_add(a.wrapping_mul(*c));
                sums[1] = sums[1].wrapping_add(a.wrapping_mul(*d));
                sums[2] = sums[2].wrapping_add(b.wrapping_mul(*c));
                sums[3] = sums[3].wrapping_add(b.wrapping_mul(*d));
            }
            [*first_c, *first_d, *second_c, *second_d] = sums;
        }
    }
}

/// Two matrices of the same number of rows, side by side.
pub(crate) fn beside(left: &[Word], right: &[Word], rows: usize) -> Vec<Word> {
    let (a, b) = (left.len() / rows.max(1), right.len() / rows.max(1));
    let mut both = Vec::with_capacity(left.len() + right.len());
    for (left, right) in left.chunks(a.max(1)).zip(right.chunks(b.max(1))) {
        both.extend_from_slice(left);
        both.extend_from_slice(right);
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tiles_equal_the_definition(m in 0..6_usize, k in 0..6_usize, n in 0..6_usize, seed: u128) {
            let entry = |i: usize| seed.wrapping_mul(i as u128 * 2 + 1).rotate_left(17);
            let left: Vec<Word> = (0..m * k).map(entry).collect();
            let right: Vec<Word> = (0..k * n).map(|i| entry(i + 1000)).collect();
            let mut product = vec![0; m * n];
            multiply_add(&mut product, &left, &right, (m, k, n));
            for i in 0..m {
                for j in 0..n {
                    let expected = (0..k).fold(0_u128, |sum, l| {
                        sum.wrapping_add(left[i * k + l].wrapping_mul(right[l * n + j]))
                    });
                    prop_assert_eq!(product[i * n + j], expected);
                }
            }
        }
    }
}
