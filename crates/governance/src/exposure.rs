//! How well released numbers tell a study's patients from others.

use konsil_disclosure::Policy;
use serde::Serialize;

/// The exposure of one analysis, at most: an average over patients for the attacker who knows a
/// person's values (likelihood ratio), no guarantee.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exposure {
    /// Independent numbers about the patients.
    pub statistics: usize,
    /// Fewest patients for which they are released.
    pub patients_min: u64,
    /// Numbers for a hundred patients, at most.
    pub percent_max: f64,
    /// Members found, in percent, at 1 % false positives, at most on average.
    pub found_at_1_percent: f64,
    /// The same at 0.1 %.
    pub found_at_0_1_percent: f64,
}

/// The exposure of an analysis that describes its patients by so many numbers; `None` for none.
#[must_use]
pub fn exposure(statistics: usize, policy: &Policy) -> Option<Exposure> {
    if statistics == 0 {
        return None;
    }
    let patients_min = policy.patients_exposed_min(statistics).max(policy.threshold);
    let part = statistics as f64 / patients_min as f64;
    // upper tails of 1 % and 0.1 % of the normal distribution
    let found = |z: f64| 100.0 * 0.5 * libm::erfc((z - part.sqrt()) / std::f64::consts::SQRT_2);
    Some(Exposure {
        statistics,
        patients_min,
        percent_max: 100.0 * part,
        found_at_1_percent: found(2.326_347_874),
        found_at_0_1_percent: found(3.090_232_306),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The figures of the rule's own description.
    #[test]
    fn exposure_has_the_known_rates() {
        let it = exposure(70, &Policy::default()).unwrap();
        assert_eq!(it.patients_min, 1000);
        assert!((it.found_at_1_percent - 1.96).abs() < 0.01, "{}", it.found_at_1_percent);
        assert!(exposure(0, &Policy::default()).is_none());
        let more = Policy { exposure_percent_max: 50, ..Policy::default() };
        let it = exposure(70, &more).unwrap();
        assert!((it.found_at_1_percent - 5.26).abs() < 0.05, "{}", it.found_at_1_percent);
    }
}
