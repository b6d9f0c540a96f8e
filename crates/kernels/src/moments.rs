//! Counts, sums and ranks of one column.

use crate::add_rounded;
use konsil_ring::{EncodeError, Word};

/// Sums of one column of one centre.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Moments {
    /// Patients with a value.
    pub known: Word,
    /// Patients without.
    pub missing: Word,
    /// Sum of `(x - centre) / scale`, fixed point.
    pub sum: Word,
    /// Sum of the squares, fixed point.
    pub squares: Word,
}

impl std::fmt::Debug for Moments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Moments(..)")
    }
}

/// Sums of a column moved by `centre` and divided by `scale`, both public.
///
/// # Errors
/// [`EncodeError`] for a value that is not finite or out of range.
pub fn moments(
    column: impl IntoIterator<Item = Option<f64>>,
    (centre, scale): (f64, f64),
) -> Result<Moments, EncodeError> {
    let mut sums = [0; 2];
    let mut counted = Moments::default();
    for value in column {
        if let Some(value) = value {
            let z = (value - centre) / scale;
            add_rounded(&mut sums, &[z, z * z])?;
            counted.known += 1;
        } else {
            counted.missing += 1;
        }
    }
    [counted.sum, counted.squares] = sums;
    Ok(counted)
}

/// How many of the ascending `sorted` values are at most `threshold`.
#[must_use]
pub fn counts_at_most(sorted: &[f64], threshold: f64) -> u64 {
    let count = sorted.partition_point(|value| *value <= threshold);
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_ring::decode;

    #[test]
    fn sums_of_a_small_column() {
        let column = [Some(1.0), None, Some(4.0), Some(7.0)];
        let sums = moments(column, (4.0, 3.0)).unwrap();
        assert_eq!((sums.known, sums.missing), (3, 1));
        assert_eq!((decode(sums.sum), decode(sums.squares)), (0.0, 2.0));
        assert_eq!(counts_at_most(&[1.0, 4.0, 4.0, 7.0], 4.0), 3);
    }
}
