//! Adjustment of p values for the number of tests.

/// Adjusted p values of Holm's step-down method (1979), Scand. J. Stat. 6: they control the chance of
/// any false finding.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let count = p.len() as f64;
    stepwise(p, |rank| count - rank as f64, false)
}

/// Adjusted p values of Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57: they control the
/// expected part of false findings.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let count = p.len() as f64;
    stepwise(p, |rank| count / (rank as f64 + 1.0), true)
}

/// Multiplies each p value by the factor of its rank, then keeps the order: from the smallest on, or
/// from the largest on.
fn stepwise(p: &[f64], factor: impl Fn(usize) -> f64, from_largest: bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![f64::NAN; p.len()];
    let ranked = order.iter().copied().enumerate();
    let ranked: Vec<(usize, usize)> =
        if from_largest { ranked.rev().collect() } else { ranked.collect() };
    let mut last = if from_largest { 1.0 } else { 0.0 };
    for (rank, at) in ranked {
        let raised = (p[at] * factor(rank)).min(1.0);
        if raised.is_nan() {
            continue;
        }
        last = if from_largest { raised.min(last) } else { raised.max(last) };
        adjusted[at] = last;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    // R: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.5), "holm") and "BH"
    #[test]
    fn adjusted_values_are_those_of_r() {
        let p = [0.01, 0.04, 0.03, 0.005, 0.5];
        let near = |got: &[f64], wanted: [f64; 5]| {
            assert!(got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
        };
        near(&holm(&p), [0.04, 0.09, 0.09, 0.025, 0.5]);
        near(&benjamini_hochberg(&p), [0.025, 0.05, 0.05, 0.025, 0.5]);
        assert!(holm(&[]).is_empty());
    }
}
