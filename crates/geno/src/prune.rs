//! Thinning: a set of variants none of which is linked with another.

use std::cmp::Ordering;

/// Which variants are kept. `frequencies` are those of the rarer allele, none for variants that are not
/// to be kept; `linked[i]` are later variants that variant `i` is linked with.
///
/// Variants are looked at from the most frequent rarer allele to the least, equal ones in their order; one
/// is kept unless it is linked with one that was kept. So no two that are kept are linked, each that is
/// left out is linked with one at least as frequent, and the order of windows plays no part. As PLINK's
/// `--indep-pairwise`, of a linked pair it keeps the more frequent one.
#[must_use]
pub fn prune(frequencies: &[Option<f64>], linked: &[Vec<usize>]) -> Vec<bool> {
    let mut both = vec![Vec::new(); frequencies.len()];
    for (first, others) in linked.iter().enumerate() {
        for second in others {
            for (one, other) in [(first, *second), (*second, first)] {
                if let Some(into) = both.get_mut(one) {
                    into.push(other);
                }
            }
        }
    }
    let frequency = |at: usize| frequencies.get(at).copied().flatten();
    let mut order: Vec<usize> =
        (0..frequencies.len()).filter(|at| frequency(*at).is_some()).collect();
    order.sort_by(|a, b| {
        frequency(*b).partial_cmp(&frequency(*a)).unwrap_or(Ordering::Equal).then(a.cmp(b))
    });
    let mut kept = vec![false; frequencies.len()];
    for at in order {
        let near = both.get(at).map_or(&[][..], Vec::as_slice);
        let free = !near.iter().any(|other| kept.get(*other).copied().unwrap_or(false));
        if let Some(kept) = kept.get_mut(at) {
            *kept = free;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_frequent_is_kept() {
        let frequencies = [Some(0.1), Some(0.3), Some(0.2), Some(0.2), None, Some(0.4)];
        let linked = [vec![1, 2], vec![2], vec![3], vec![], vec![5], vec![]];
        // 1 before its neighbours; 3 is free since 2 has gone
        assert_eq!(prune(&frequencies, &linked), [false, true, false, true, false, true]);
        let same = [Some(0.2); 3];
        assert_eq!(prune(&same, &[vec![1], vec![2], vec![]]), [true, false, true]);
        assert!(prune(&[], &[]).is_empty());
        // what is not there is linked with nothing
        assert_eq!(prune(&[Some(0.1)], &[vec![7]]), [true]);
    }
}
