//! Loci of a scan: the best variant of each stretch of the genome.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

/// A variant that a scan has tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit<'a> {
    /// Its chromosome.
    pub chromosome: &'a str,
    /// Its position.
    pub position: u32,
    /// `-log10` of its p value.
    pub log10_p: f64,
}

/// The places in `hits` of those that reach a threshold and have no better one that was kept within a
/// distance; best first, equal ones in their order.
///
/// Distance is all that is looked at: whether two variants are correlated needs genotypes. Two real
/// loci that are closer than that count as one.
#[must_use]
pub fn clump(hits: &[Hit<'_>], threshold: f64, distance: u32) -> Vec<usize> {
    let reach = |at: &usize| hits.get(*at).is_some_and(|it| it.log10_p >= threshold);
    let mut order: Vec<usize> = (0..hits.len()).filter(reach).collect();
    let strength = |at: usize| hits.get(at).map_or(f64::NAN, |it| it.log10_p);
    order.sort_by(|a, b| {
        strength(*b).partial_cmp(&strength(*a)).unwrap_or(Ordering::Equal).then(a.cmp(b))
    });
    let mut taken: HashMap<&str, BTreeSet<u32>> = HashMap::new();
    order.retain(|at| {
        let Some(hit) = hits.get(*at) else { return false };
        let near = taken.entry(hit.chromosome).or_default();
        let around = hit.position.saturating_sub(distance)..=hit.position.saturating_add(distance);
        near.range(around).next().is_none() && near.insert(hit.position)
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(chromosome: &str, position: u32, log10_p: f64) -> Hit<'_> {
        Hit { chromosome, position, log10_p }
    }

    // A locus that is told twice, or hidden by one on another chromosome, misleads.
    #[test]
    fn a_locus_is_its_best_variant() {
        let hits = [
            hit("1", 1_000_000, 9.0),
            hit("1", 1_200_000, 12.0),
            hit("1", 1_450_000, 8.0),
            hit("1", 1_450_001, 8.5),
            hit("2", 1_200_000, 8.1),
            hit("2", 5, 7.0),
            hit("2", 6, f64::NAN),
        ];
        assert_eq!(clump(&hits, 7.3, 250_000), [1, 3, 4]);
        assert_eq!(clump(&hits, 0.0, 0), [1, 0, 3, 4, 2, 5]);
        assert_eq!(clump(&hits, 7.3, u32::MAX), [1, 4]);
        assert!(clump(&[], 0.0, 1).is_empty());
    }
}
