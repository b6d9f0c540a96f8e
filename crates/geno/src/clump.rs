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
/// Distance is all that is looked at: two real loci that are closer than that count as one. Where it is
/// known which variants are linked, see [`clump_linked`].
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

/// A variant with those that are explained by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clump {
    /// The best of them: its place in the hits.
    pub index: usize,
    /// The others, in their order.
    pub members: Vec<usize>,
}

/// Clumps of linked variants, as PLINK's `--clump` makes them: the best variant that is in none begins
/// one, and takes those in none that are linked with it and within a distance. Variants that reach
/// `thresholds.0` begin clumps, those that reach `thresholds.1` are taken. `linked[i]` are places of hits
/// that hit `i` is linked with, in both directions.
#[must_use]
pub fn clump_linked(
    hits: &[Hit<'_>],
    thresholds: (f64, f64),
    distance: u32,
    linked: &[Vec<usize>],
) -> Vec<Clump> {
    let strength = |at: usize| hits.get(at).map_or(f64::NAN, |it| it.log10_p);
    let mut order: Vec<usize> =
        (0..hits.len()).filter(|at| strength(*at) >= thresholds.0).collect();
    order.sort_by(|a, b| {
        strength(*b).partial_cmp(&strength(*a)).unwrap_or(Ordering::Equal).then(a.cmp(b))
    });
    let mut taken = vec![false; hits.len()];
    let mut clumps = Vec::new();
    for index in order {
        if taken.get(index).copied().unwrap_or(true) {
            continue;
        }
        let mut members = Vec::new();
        for other in linked.get(index).map_or(&[][..], Vec::as_slice) {
            let (Some(own), Some(hit)) = (hits.get(index), hits.get(*other)) else { continue };
            let near = own.chromosome == hit.chromosome
                && own.position.abs_diff(hit.position) <= distance
                && hit.log10_p >= thresholds.1;
            if let Some(taken) = taken.get_mut(*other).filter(|taken| near && !**taken) {
                *taken = true;
                members.push(*other);
            }
        }
        if let Some(taken) = taken.get_mut(index) {
            *taken = true;
        }
        members.retain(|it| *it != index);
        members.sort_unstable();
        clumps.push(Clump { index, members });
    }
    clumps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clump_takes_what_is_linked_and_near() {
        let hits = [
            hit("1", 1_000, 9.0),
            hit("1", 2_000, 12.0),
            hit("1", 3_000, 8.0),
            hit("1", 900_000, 8.0),
            hit("1", 4_000, 3.0),
            hit("1", 5_000, 1.0),
        ];
        let linked = [vec![1, 2], vec![0, 3, 4, 5], vec![0], vec![1], vec![1], vec![1]];
        let clumps = clump_linked(&hits, (7.3, 2.0), 250_000, &linked);
        let found: Vec<(usize, Vec<usize>)> =
            clumps.into_iter().map(|it| (it.index, it.members)).collect();
        // 2 is linked with 0 only, which is in a clump already: it begins its own
        assert_eq!(found, [(1, vec![0, 4]), (2, vec![]), (3, vec![])]);
        assert_eq!(clump_linked(&hits, (7.3, 2.0), 1, &[]).len(), 4);
    }

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
