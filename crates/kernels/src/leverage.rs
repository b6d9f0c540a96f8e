//! Which of a centre's rows could have a large leverage in the pooled regression.

/// A pivot below this part of its column's sum of squares belongs to a combination of others.
const DEPENDENT: f64 = 1e-10;

/// The rows of largest leverage among a centre's own, `[count][columns]`, each times the root of its
/// weight; filled up with zeros.
///
/// Rows `x` are `[n][columns]`, `weights` `[n]` or empty for weights of 1. The leverage of a row
/// among its own centre's, `w x' (X'WX)^- x`, is an upper bound of its leverage among all centres',
/// and the leverages sum up to the rank: at most `columns / limit` rows are above a limit.
#[must_use]
pub fn leverage_rows(x: &[f64], weights: &[f64], columns: usize, count: usize) -> Vec<f64> {
    let mut chosen = vec![0.0; count * columns];
    if columns == 0 {
        return chosen;
    }
    let weight = |at: usize| weights.get(at).copied().unwrap_or(1.0).max(0.0);
    let factor = Factor::new(x, &weight, columns);
    let mut leverages: Vec<(f64, usize)> = x
        .chunks(columns)
        .enumerate()
        .map(|(at, row)| (weight(at) * factor.form(row), at))
        .collect();
    leverages.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (into, (_, at)) in chosen.chunks_mut(columns).zip(leverages) {
        let root = weight(at).sqrt();
        let row = x.chunks(columns).nth(at).unwrap_or_default();
        into.iter_mut().zip(row).for_each(|(into, x)| *into = root * x);
    }
    chosen
}

/// The Cholesky factor of the independent columns of `X'WX`, which span the same space as all.
struct Factor {
    kept: Vec<usize>,
    /// Lower triangle over the kept columns, row by row.
    lower: Vec<f64>,
}

impl Factor {
    fn new(x: &[f64], weight: &dyn Fn(usize) -> f64, columns: usize) -> Self {
        let mut gram = vec![0.0; columns * columns];
        for (at, row) in x.chunks(columns).enumerate() {
            let weight = weight(at);
            for (i, a) in row.iter().enumerate() {
                let into = gram[i * columns..][..=i].iter_mut();
                into.zip(row).for_each(|(sum, b)| *sum += weight * a * b);
            }
        }
        let mut factor = Self { kept: Vec::new(), lower: Vec::new() };
        for column in 0..columns {
            let diagonal = gram[column * columns + column];
            let of_kept = |kept: &usize| gram[column * columns + kept];
            let right: Vec<f64> = factor.kept.iter().map(of_kept).collect();
            let solved = factor.solve(right);
            let pivot = diagonal - solved.iter().map(|it| it * it).sum::<f64>();
            if pivot > DEPENDENT * diagonal {
                factor.kept.push(column);
                factor.lower.extend(solved);
                factor.lower.push(pivot.sqrt());
            }
        }
        factor
    }

    /// Solves `L z = right`.
    fn solve(&self, mut right: Vec<f64>) -> Vec<f64> {
        for i in 0..right.len() {
            let row = self.lower.get(i * (i + 1) / 2..).unwrap_or_default();
            let (before, rest) = right.split_at_mut(i);
            let known: f64 = row.iter().zip(before.iter()).map(|(l, z)| l * z).sum();
            if let (Some(value), Some(diagonal)) = (rest.first_mut(), row.get(i)) {
                *value = (*value - known) / diagonal;
            }
        }
        right
    }

    /// `x' (X'WX)^- x`.
    fn form(&self, row: &[f64]) -> f64 {
        let kept = self.kept.iter().map(|at| row.get(*at).copied().unwrap_or(0.0));
        self.solve(kept.collect()).iter().map(|z| z * z).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One row alone in its column has leverage 1 and comes first; a repeated column changes nothing.
    #[test]
    fn rows_that_stand_alone_come_first() {
        let mut x = Vec::new();
        for at in 0..20_u32 {
            let (own, lonely) = (f64::from(at), f64::from(u8::from(at == 13)));
            x.extend([1.0, own, lonely, 2.0 * own]);
        }
        let rows = leverage_rows(&x, &[], 4, 3);
        assert_eq!(rows[..4], [1.0, 13.0, 1.0, 26.0]);
        assert!(rows[4..8] == [1.0, 0.0, 0.0, 0.0] || rows[4..8] == [1.0, 19.0, 0.0, 38.0]);
        let weights = vec![4.0; 20];
        assert_eq!(leverage_rows(&x, &weights, 4, 1), [2.0, 26.0, 2.0, 52.0]);
        let few = leverage_rows(&x[..4], &[], 4, 2);
        assert_eq!(few[4..], [0.0; 4]);
        assert_eq!(leverage_rows(&[], &[], 2, 2), [0.0; 4]);
    }
}
