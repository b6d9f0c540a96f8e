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
/// Dot products of rows with rows of the transposed right factor, with half the multiplications:
/// `x1 y1 + x2 y2 = (x1 + y2)(x2 + y1) - x1 x2 - y1 y2`, where the last two terms belong to a row or
/// a column alone (Winograd, A New Algorithm for Inner Product, 1968; exact in any commutative
/// ring). Two rows at a time, so that every loaded column is used twice.
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
    let own: Vec<Word> = right.chunks(k).map(pairs).collect();
    for (rows, out) in left.chunks(2 * k).zip(sum.chunks_mut(2 * n)) {
        let (first, second) = rows.split_at(k);
        let (out_first, out_second) = out.split_at_mut(n);
        let columns = right.chunks(k).zip(&own).zip(out_first);
        if second.is_empty() {
            for ((column, _), out) in columns {
                *out = out.wrapping_add(dot(first, column));
            }
            continue;
        }
        let (own_first, own_second) = (pairs(first), pairs(second));
        for (((column, own), out_first), out_second) in columns.zip(out_second) {
            let sums = mixed_pairs((first, second), column);
            *out_first = out_first.wrapping_add(sums.0).wrapping_sub(own_first.wrapping_add(*own));
            *out_second =
                out_second.wrapping_add(sums.1).wrapping_sub(own_second.wrapping_add(*own));
        }
    }
}

/// Bytes of numbers that [`multiply_add_small`] keeps.
pub(crate) const SMALL_BYTES: usize = 2;

/// As [`multiply_add`], right in the lowest two bytes only: processors multiply eight such numbers or
/// more at a time.
pub(crate) fn multiply_add_small(
    sum: &mut [Word],
    left: &[Word],
    right: &[Word],
    (k, n): (usize, usize),
) {
    if k == 0 || n == 0 {
        return;
    }
    let small = |words: &[Word]| -> Vec<u16> {
        words.iter().map(|it| u16::try_from(it & 0xffff).unwrap_or(0)).collect()
    };
    let (left, right) = (small(left), small(&transpose(right, k, n)));
    for (row, out) in left.chunks(k).zip(sum.chunks_mut(n)) {
        for (column, out) in right.chunks(k).zip(out) {
            let products = row.iter().zip(column).map(|(a, b)| a.wrapping_mul(*b));
            *out = out.wrapping_add(Word::from(products.fold(0, u16::wrapping_add)));
        }
    }
}

/// The sum of `x1 x2` over the pairs of a row; an odd last element has no part in it.
fn pairs(row: &[Word]) -> Word {
    row.as_chunks::<2>().0.iter().fold(0, |sum, [a, b]| sum.wrapping_add(a.wrapping_mul(*b)))
}

/// For two rows, the sum of `(x1 + y2)(x2 + y1)` over their pairs with those of a column, and the
/// product of odd last elements.
fn mixed_pairs((first, second): (&[Word], &[Word]), column: &[Word]) -> (Word, Word) {
    let ((first, first_last), (second, second_last)) =
        (first.as_chunks::<2>(), second.as_chunks::<2>());
    let (column, column_last) = column.as_chunks::<2>();
    let mut sums = (0_u128, 0_u128);
    for (([a, b], [c, d]), [y, z]) in first.iter().zip(second).zip(column) {
        sums.0 = sums.0.wrapping_add(a.wrapping_add(*z).wrapping_mul(b.wrapping_add(*y)));
        sums.1 = sums.1.wrapping_add(c.wrapping_add(*z).wrapping_mul(d.wrapping_add(*y)));
    }
    if let ([a], [c], [y]) = (first_last, second_last, column_last) {
        sums.0 = sums.0.wrapping_add(a.wrapping_mul(*y));
        sums.1 = sums.1.wrapping_add(c.wrapping_mul(*y));
    }
    sums
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
            let mut small = vec![7; m * n];
            multiply_add_small(&mut small, &left, &right, (k, n));
            for (small, whole) in small.iter().zip(&product) {
                prop_assert_eq!(small.wrapping_sub(whole.wrapping_add(7)) & 0xffff, 0);
            }
        }
    }
}
