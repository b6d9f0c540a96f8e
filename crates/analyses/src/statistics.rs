//! Tail probabilities and quantiles at the researcher.

use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor, StudentsT};

/// The 97.5 % point of the standard normal distribution.
pub(crate) const Z_975: f64 = 1.959_963_984_540_054;

/// Two-sided p value of a standard normal statistic; accurate to 1e-13 far into the tail.
pub(crate) fn p_normal(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// What is shown of an estimate with a normal distribution: itself, its error, their quotient, the
/// two-sided p value, both limits.
pub(crate) fn wald(estimate: f64, error: f64) -> [f64; 6] {
    let z = estimate / error;
    [estimate, error, z, p_normal(z), estimate - Z_975 * error, estimate + Z_975 * error]
}

/// The ratio and its limits, of what [`wald`] gives on the logarithmic scale.
pub(crate) fn ratios([estimate, _, _, _, low, high]: [f64; 6]) -> [f64; 3] {
    [estimate, low, high].map(f64::exp)
}

/// Two-sided p value of a t statistic.
pub(crate) fn p_student(t: f64, df: f64) -> f64 {
    let tail = |t: f64| StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |it| 2.0 * it.sf(t));
    upper_tail(t.abs(), tail)
}

/// The 97.5 % point of a t distribution.
pub(crate) fn t_975(df: f64) -> f64 {
    StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |it| it.inverse_cdf(0.975))
}

/// Upper tail of a chi-squared statistic.
pub(crate) fn p_chi_squared(x: f64, df: f64) -> f64 {
    upper_tail(x, |x| ChiSquared::new(df).map_or(f64::NAN, |it| it.sf(x)))
}

/// Upper tail of an F statistic.
pub(crate) fn p_fisher(f: f64, df1: f64, df2: f64) -> f64 {
    upper_tail(f, |f| FisherSnedecor::new(df1, df2).map_or(f64::NAN, |it| it.sf(f)))
}

/// Two-sided p value of `x` of `n` coins, `x` the smaller side.
pub(crate) fn p_binomial_half(x: f64, n: f64) -> f64 {
    let log = |k: f64| libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
    let mut sum = 0.0;
    let mut k = 0.0;
    while k <= x {
        sum += (log(k) - n * std::f64::consts::LN_2).exp();
        k += 1.0;
    }
    (2.0 * sum).min(1.0)
}

/// The tail beyond a statistic that may be none or infinite, where the library would panic.
fn upper_tail(statistic: f64, tail: impl Fn(f64) -> f64) -> f64 {
    if statistic.is_nan() {
        f64::NAN
    } else if statistic <= 0.0 {
        1.0
    } else if statistic.is_infinite() {
        0.0
    } else {
        tail(statistic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A perfect fit or a constant response gives such statistics; they must not stop a report.
    #[test]
    fn statistics_that_are_no_numbers_have_a_tail() {
        for df in [-1.0, 0.0, 1.0, 40.0] {
            assert!(p_student(f64::NAN, df).is_nan());
            assert_eq!(p_student(f64::NEG_INFINITY, df), 0.0);
            assert_eq!(p_fisher(f64::INFINITY, 2.0, df), 0.0);
            assert_eq!(p_fisher(-1e-9, 2.0, df), 1.0);
            assert!(p_chi_squared(f64::NAN, df).is_nan());
        }
        assert!((p_student(2.0, 10.0) - 0.073_388_034_770_740_4).abs() < 1e-12);
        assert!((p_chi_squared(3.84, 1.0) - 0.050_043_521_248_705).abs() < 1e-12);
        assert!((p_fisher(4.0, 2.0, 20.0) - 0.034_571_613_033_607_7).abs() < 1e-12);
        assert!(p_student(1e3, 1e6) >= 0.0 && p_fisher(1e6, 3.0, 1e6) >= 0.0);
    }
}
