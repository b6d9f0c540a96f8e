//! Tails of distributions on the logarithmic scale.

/// `-log10` of the two-sided p value of a t statistic.
#[must_use]
pub fn log10_p_student(t: f64, freedom: f64) -> f64 {
    -crate::statistics::p_student(t, freedom).log10()
}

/// `-log10` of the two-sided p value of a z statistic.
#[must_use]
pub fn log10_p_normal(z: f64) -> f64 {
    -crate::statistics::p_normal(z).log10()
}
