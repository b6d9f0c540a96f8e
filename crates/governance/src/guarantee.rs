//! The guarantee, generated from the protocol in force and never written by hand.

use crate::study::{ReleaseRules, Study};
use konsil_disclosure::{Mechanism, NANO};

/// What has to happen for a centre's patients to become readable, with `centres` centres, a dealer,
/// and parties that follow the protocol; and what the results give away, with noise or without.
#[must_use]
pub fn guarantee(centres: usize, noised: bool) -> String {
    let released = if noised {
        "What is released has noise, of which a centre can take its own part away only"
    } else {
        "What is released is exact: all other centres together can subtract their own patients from it"
    };
    let others = centres.saturating_sub(1);
    format!(
        "A centre's data stay unreadable unless all other {others} centres work together against it, \
         or the dealer together with one centre. All parties are taken to follow the protocol; a \
         party that sends wrong numbers can spoil the result and is not caught in this mode. {released}."
    )
}

/// What the noise of a study promises, from the numbers in force; `None` for exact results.
#[must_use]
pub fn noise_statement(study: &Study) -> Option<String> {
    let (mechanism, budget) = study.noise_budget()?;
    let colluders = study.policy().noise_colluders;
    let ReleaseRules { epsilon, delta, .. } = study.release;
    let spent = budget as f64 / NANO;
    let (shape, loss) = match mechanism {
        Mechanism::Laplace => ("Laplace", format!("epsilon {epsilon}")),
        _ => ("Gaussian", format!("rho {spent:.6}, that is epsilon {epsilon} at delta {delta:e}")),
    };
    Some(format!(
        "Every released number has discrete {shape} noise: {loss} for the whole study. Unit: one \
         patient of one centre, added or removed; who is known to two centres counts at both. Each centre draws a part by exact \
         integer arithmetic and adds it to its share; what {colluders} of them take away again is made \
         up for. Nobody sees a number without noise. Not covered: whether the cohort of an analysis is \
         large enough, one exact bit each. The same question to the same patients gets the same noise; \
         when any centre's patients change, the noise of all does."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Leaving out the dealer would be false.
    #[test]
    fn the_dealer_is_always_named() {
        assert!(guarantee(6, false).contains("all other 5 centres"));
        assert!(guarantee(6, false).contains("the dealer together with one centre"));
        assert!(guarantee(6, true).contains("the dealer together with one centre"));
        assert!(guarantee(6, true).contains("noise") && guarantee(6, false).contains("exact"));
    }
}
