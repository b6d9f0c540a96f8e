//! p values on a logarithmic scale, for scans of millions of variants: as small as `1e-100000`, where
//! a probability itself would be 0.
//!
//! All functions give `-log10` of a p value, right to 1e-9 for tails up to 100,000, in less than a
//! microsecond. What is no number, or a distribution that does not exist, gives NaN.
//!
//! # Sources
//! N. M. Temme, *The asymptotic expansion of the incomplete gamma functions*, 1979, whose
//! substitution is used for Student's t; W. H. Press et al., *Numerical Recipes*, 3rd edition, 6.2 and
//! 6.4, for continued fractions; C. Loader, *Fast and accurate computation of binomial
//! probabilities*, 2000, for densities without cancellation.

use std::f64::consts::{LN_2, LN_10, PI, SQRT_2};

/// Relative size of a term that no longer changes a sum.
const NEGLIGIBLE: f64 = 1e-17;
/// Steps after which a series or fraction that has not settled is given up: never reached for
/// degrees of freedom below 1e9.
const STEPS_MAX: u32 = 100_000;

/// `-log10` of the two-sided p value of a standard normal statistic.
///
/// ```
/// # use konsil_analyses::log_tails::normal;
/// assert!((normal(1.959963984540054) - 1.301029995663981).abs() < 1e-12);
/// ```
#[must_use]
pub fn normal(z: f64) -> f64 {
    let z = z.abs();
    if z < BEYOND_ERFC {
        return (-libm::erfc(z / SQRT_2).log10()).abs();
    }
    (z * z / 2.0 - mills(z).ln() - HALF_LN_2_OVER_PI) / LN_10
}

/// `-log10` of the two-sided p value of a t statistic. For many statistics with the same degrees of
/// freedom see [`Student`].
#[must_use]
pub fn student(t: f64, freedom: f64) -> f64 {
    Student::new(freedom).tail(t)
}

/// `-log10` of the upper tail of a chi-squared statistic.
#[must_use]
pub fn chi_squared(x: f64, freedom: f64) -> f64 {
    if x.is_nan() || freedom.is_nan() || freedom <= 0.0 {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 0.0;
    }
    if x.is_infinite() {
        return f64::INFINITY;
    }
    if freedom == 1.0 {
        return normal(x.sqrt());
    }
    let (a, x) = (freedom / 2.0, x / 2.0);
    if x < a + 1.0 {
        let mut term = 1.0 / a;
        let mut sum = term;
        let mut n = a;
        for _ in 0..STEPS_MAX {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * NEGLIGIBLE {
                break;
            }
        }
        let lower = (ln_gamma_density(a, x) + sum.ln()).exp();
        return complement(lower);
    }
    let odd = |step: f64| 2.0 * step + 1.0 + x - a;
    let even = |step: f64| -step * (step - a);
    let fraction = continued_fraction(odd, even);
    -(ln_gamma_density(a, x) - fraction.ln()) / LN_10
}

/// The chi-squared statistic with one degree of freedom whose p value has this `-log10`.
///
/// Right to 1e-9 of itself from 1e-6 on.
#[must_use]
pub fn chi_squared_of(log10_p: f64) -> f64 {
    if log10_p.is_nan() {
        return f64::NAN;
    }
    if log10_p <= 0.0 {
        return 0.0;
    }
    // the tail is convex in z: Newton's steps settle from above, after the first
    let mut z = (2.0 * LN_10 * log10_p).sqrt();
    for _ in 0..64 {
        let slope = 1.0 / (mills(z) * LN_10);
        let step = (normal(z) - log10_p) / slope;
        z = (z - step).max(z / 16.0);
        if step.abs() <= 1e-14 * z {
            break;
        }
    }
    z * z
}

/// Student's t distribution with some degrees of freedom, prepared for many statistics.
#[derive(Clone, Copy, Debug)]
pub struct Student {
    freedom: f64,
    /// Logarithm of the density at 0 over that of the standard normal distribution.
    ln_height: f64,
}

impl Student {
    /// The distribution; degrees of freedom that are not positive give NaN for every statistic,
    /// infinite ones the normal distribution.
    #[must_use]
    pub fn new(freedom: f64) -> Self {
        let a = freedom / 2.0;
        let ln_height = if a >= 10.0 {
            half_step_series(a)
        } else {
            libm::lgamma(a + 0.5) - libm::lgamma(a) - 0.5 * a.ln()
        };
        Self { freedom, ln_height }
    }

    /// `-log10` of the two-sided p value of a statistic.
    #[must_use]
    pub fn tail(&self, t: f64) -> f64 {
        let df = self.freedom;
        if t.is_nan() || df.is_nan() || df <= 0.0 {
            return f64::NAN;
        }
        if t == 0.0 {
            return 0.0;
        }
        if t.is_infinite() {
            return f64::INFINITY;
        }
        if df.is_infinite() {
            return normal(t);
        }
        let ratio = t * t / df;
        let y =
            if ratio.is_finite() { ratio.ln_1p() } else { 2.0 * (t.abs().ln() - 0.5 * df.ln()) };
        if df >= SERIES_FREEDOM_MIN && y <= SERIES_Y_MAX {
            self.near_normal(y)
        } else {
            self.by_fraction(ratio, y)
        }
    }

    /// With `s² = df ln(1 + t²/df)` the upper tail is `h ∫ φ(s) g(s²/df) ds` from `s(t)` on, where `h`
    /// is the height and `g(y) = sqrt(y / (1 - exp(-y)))`: the terms of its series are moments of a
    /// normal tail.
    fn near_normal(&self, y: f64) -> f64 {
        let df = self.freedom;
        let z = (df * y).sqrt();
        // moment and coefficient, both over the density at z: m[k] = z^(2k-1) + (2k-1) m[k-1]
        let mut moment = mills(z);
        let mut power = z;
        let mut sum = moment;
        let mut odd = 1.0;
        // each is divided by df with every step, so that neither grows
        for coefficient in SERIES {
            moment = (power + odd * moment) / df;
            power *= y;
            odd += 2.0;
            let term = coefficient * moment;
            sum += term;
            if term.abs() < sum * NEGLIGIBLE {
                break;
            }
        }
        let ln_upper = self.ln_height + sum.ln() - z * z / 2.0;
        (-(ln_upper + HALF_LN_2_OVER_PI) / LN_10).max(0.0)
    }

    /// The incomplete beta function at `1 / (1 + t²/df)`; `y` is minus its logarithm.
    fn by_fraction(&self, ratio: f64, y: f64) -> f64 {
        let a = self.freedom / 2.0;
        // ln B(a, 1/2) = ln Γ(1/2) - (ln Γ(a + 1/2) - ln Γ(a))
        let ln_beta = 0.5 * PI.ln() - self.ln_height - 0.5 * a.ln();
        let x = (-y).exp();
        let rest = if ratio.is_finite() { ratio / (1.0 + ratio) } else { 1.0 };
        let ln_front = -a * y + 0.5 * rest.ln() - ln_beta;
        if rest == 0.0 {
            return 0.0;
        }
        if x < (a + 1.0) / (a + 2.5) {
            let ln_tail = ln_front - a.ln() + beta_fraction(a, 0.5, x).ln();
            return (-ln_tail / LN_10).max(0.0);
        }
        let middle = (ln_front + LN_2).exp() * beta_fraction(0.5, a, rest);
        complement(middle)
    }
}

/// From here on the normal tail is taken from its asymptotic fraction.
const BEYOND_ERFC: f64 = 25.0;
/// `ln(2 / π) / 2`: twice the normal density at 0.
const HALF_LN_2_OVER_PI: f64 = -0.225_791_352_644_727_43;
/// Fewest degrees of freedom at which [`SERIES`] has 1e-12 left over.
const SERIES_FREEDOM_MIN: f64 = 20.0;
/// Largest `ln(1 + t²/df)` likewise; the series converges below 2π.
const SERIES_Y_MAX: f64 = 1.0;
/// Coefficients of `y`, `y²` and so on of `sqrt(y / (1 - exp(-y)))`.
const SERIES: [f64; 16] = [
    0.25,
    0.010_416_666_666_666_666,
    -0.002_604_166_666_666_666_7,
    -9.765_625e-5,
    5.154_079_861_111_111e-5,
    1.275_602_471_891_534_3e-6,
    -1.110_097_087_880_291e-6,
    -1.967_058_400_418_182_3e-8,
    2.483_631_988_471_568e-8,
    3.396_661_996_038_674_5e-10,
    -5.690_071_833_942_187e-10,
    -6.337_230_155_667_13e-12,
    1.325_131_515_587_890_4e-11,
    1.246_835_896_099_680_3e-13,
    -3.122_999_378_063_188_6e-13,
    -2.546_988_626_356_897e-15,
];

/// `-log10(1 - p)` of the probability of the other side.
fn complement(p: f64) -> f64 {
    (-p.min(1.0)).ln_1p().abs() / LN_10
}

/// Mills' ratio of the normal distribution: upper tail over density, at `z >= 0`.
fn mills(z: f64) -> f64 {
    if z < BEYOND_ERFC {
        return libm::erfc(z / SQRT_2) * (z * z / 2.0).exp() * (PI / 2.0).sqrt();
    }
    let mut fraction = z;
    for k in [12.0, 11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        fraction = z + k / fraction;
    }
    1.0 / fraction
}

/// `ln Γ(a + 1/2) - ln Γ(a) - ln(a) / 2` for `a >= 10`, to 1e-13.
fn half_step_series(a: f64) -> f64 {
    let square = 1.0 / (a * a);
    let terms = [-1.0 / 8.0, 1.0 / 192.0, -1.0 / 640.0, 17.0 / 14336.0, -31.0 / 18432.0];
    terms.iter().rev().fold(0.0, |sum, it| sum * square + it) / a
}

/// Logarithm of `x^a exp(-x) / Γ(a)`, without the cancellation of its parts.
fn ln_gamma_density(a: f64, x: f64) -> f64 {
    if a < 10.0 {
        return a * x.ln() - x - libm::lgamma(a);
    }
    let square = 1.0 / (a * a);
    let terms = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0];
    let stirling = terms.iter().rev().fold(0.0, |sum, it| sum * square + it) / a;
    let away = (x - a) / a;
    0.5 * (a / (2.0 * PI)).ln() - stirling - a * (away - away.ln_1p())
}

/// `b0 + a1 / (b1 + a2 / (b2 + …))` by Lentz's method.
fn continued_fraction(b: impl Fn(f64) -> f64, a: impl Fn(f64) -> f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |it: f64| if it.abs() < TINY { TINY } else { it };
    let mut value = away(b(0.0));
    let (mut c, mut d) = (value, 0.0);
    let mut step = 0.0;
    for _ in 0..STEPS_MAX {
        step += 1.0;
        d = 1.0 / away(b(step) + a(step) * d);
        c = away(b(step) + a(step) / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// The continued fraction of the incomplete beta function, without what stands before it.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let part = |step: f64| {
        let m = (step / 2.0).floor();
        if step % 2.0 == 0.0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        }
    };
    1.0 / continued_fraction(|_| 1.0, part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ChiSquared, ContinuousCDF, StudentsT};

    /// Made by `scripts/references/log_tails.py` with mpmath to 25 digits.
    const TABLE: &str = include_str!("../tests/vectors/log_tails.csv");

    // Tests of a scan are read at their extremes: an error there is a wrong locus.
    #[test]
    fn tails_agree_with_a_table_of_25_digits() {
        let mut lines = 0;
        for line in TABLE.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |at: usize| fields[at].parse::<f64>().unwrap();
            let (statistic, df, expected) = (number(1), number(2), number(3));
            let found = match fields[0] {
                "t" => student(-statistic, df),
                "z" => normal(statistic),
                _ => chi_squared(statistic, df),
            };
            assert!((found - expected).abs() < 1e-9, "{line}: {found}");
            lines += 1;
        }
        assert!(lines > 250);
    }

    // Where a p value is not small, the usual library is right too.
    #[test]
    fn tails_agree_with_plain_distributions() {
        for df in [1.0, 2.5, 8.0, 19.9, 20.0, 73.0, 5000.0] {
            let student_t = StudentsT::new(0.0, 1.0, df).unwrap();
            let chi = ChiSquared::new(df).unwrap();
            for step in 1..60 {
                let t = f64::from(step) * 0.1;
                let plain = -(2.0 * student_t.sf(t)).log10();
                assert!((student(t, df) - plain).abs() < 1e-7, "t {t} {df}");
                let x = df * t;
                let plain = chi.sf(x);
                if plain > 1e-9 {
                    assert!((chi_squared(x, df) + plain.log10()).abs() < 1e-6, "chi {x} {df}");
                }
            }
        }
    }

    // Two ways of computing the same tail meet without a step.
    #[test]
    fn tails_have_no_step_where_methods_change() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-8 * (1.0 + a), "{a} {b}");
        close(normal(BEYOND_ERFC - 1e-12), normal(BEYOND_ERFC + 1e-12));
        for t in [0.01, 1.0, 4.0, 30.0] {
            close(student(t, SERIES_FREEDOM_MIN - 1e-9), student(t, SERIES_FREEDOM_MIN));
        }
        for df in [20.0, 300.0, 1e5] {
            let t = (df * (SERIES_Y_MAX.exp() - 1.0)).sqrt();
            close(student(t * (1.0 - 1e-13), df), student(t * (1.0 + 1e-13), df));
        }
        close(chi_squared(12.0 - 1e-11, 10.0), chi_squared(12.0 + 1e-11, 10.0));
    }

    #[test]
    fn odd_statistics_have_a_tail() {
        for df in [-1.0, 0.0, f64::NAN] {
            assert!(student(1.0, df).is_nan() && chi_squared(1.0, df).is_nan());
        }
        for df in [0.1, 1.0, 40.0, 1e9, f64::INFINITY] {
            assert!(student(f64::NAN, df).is_nan());
            assert_eq!(student(0.0, df), 0.0);
            assert_eq!(student(f64::NEG_INFINITY, df), f64::INFINITY);
            assert!(student(1e200, df) > student(1e150, df));
        }
        assert_eq!(chi_squared(-1.0, 3.0), 0.0);
        assert_eq!(chi_squared(f64::INFINITY, 3.0), f64::INFINITY);
        assert!(normal(f64::NAN).is_nan() && normal(0.0) == 0.0);
        assert_eq!(normal(f64::INFINITY), f64::INFINITY);
    }

    #[test]
    fn a_statistic_comes_back_from_its_p_value() {
        for x in [1e-6, 0.01, 0.454_936_423_119_572_7, 3.84, 29.7, 600.0, 450_000.0] {
            let back = chi_squared_of(chi_squared(x, 1.0));
            assert!((back / x - 1.0).abs() < 1e-9, "{x}: {back}");
        }
        assert_eq!(chi_squared_of(0.0), 0.0);
        assert!(chi_squared_of(f64::NAN).is_nan());
    }
}
