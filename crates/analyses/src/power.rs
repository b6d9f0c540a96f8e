//! Power and sample size of planned comparisons. Nothing here sees a patient.
//!
//! # Sources
//! Cohen (1988), Statistical Power Analysis for the Behavioral Sciences; noncentral t: Lenth (1989),
//! Appl. Stat. 38:185 (AS 243); survival: Schoenfeld (1983), Biometrics 39:499; correlation: Fisher's
//! transformation.

use statrs::distribution::{ContinuousCDF, FisherSnedecor, Normal, StudentsT};
use statrs::function::beta::beta_reg;

/// Largest number of patients of a group that is looked for.
const N_MAX: f64 = 1e7;

/// A comparison that is planned. Tests are two-sided.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Design {
    /// A difference of two means, `n` patients in each group; R's `power.t.test`.
    Means {
        /// The difference.
        delta: f64,
        /// The standard deviation within a group.
        sd: f64,
    },
    /// A mean against a number, or pairs: `n` patients or pairs.
    OneMean {
        /// The difference.
        delta: f64,
        /// The standard deviation, of pairs that of their differences.
        sd: f64,
    },
    /// Two shares, `n` patients in each group; R's `power.prop.test`.
    Shares {
        /// The first share.
        first: f64,
        /// The second share.
        second: f64,
    },
    /// Means of several groups, `n` patients in each; R's `power.anova.test`.
    Groups {
        /// How many groups.
        groups: u32,
        /// The variance of the groups' means.
        between: f64,
        /// The variance within a group.
        within: f64,
    },
    /// A hazard ratio, `n` patients in both groups together.
    Survival {
        /// The ratio of the hazards.
        ratio: f64,
        /// The part of all patients who have the event.
        events: f64,
        /// The part of all patients in the first group.
        part: f64,
    },
    /// A correlation other than 0, `n` patients.
    Correlation {
        /// The correlation.
        r: f64,
    },
}

impl Design {
    fn makes_sense(&self) -> bool {
        let part = |it: f64| it > 0.0 && it < 1.0;
        let above = |it: f64| it > 0.0 && it.is_finite();
        match *self {
            Self::Means { delta, sd } | Self::OneMean { delta, sd } => {
                delta.is_finite() && above(sd)
            }
            Self::Shares { first, second } => part(first) && part(second),
            Self::Groups { groups, between, within } => {
                groups >= 2 && between >= 0.0 && between.is_finite() && above(within)
            }
            Self::Survival { ratio, events, part: first } => {
                above(ratio) && events > 0.0 && events <= 1.0 && part(first)
            }
            Self::Correlation { r } => r.abs() < 1.0,
        }
    }
}

/// The power of a design with `n` patients at a level of significance; not a number where the design
/// makes no sense.
///
/// ```
/// use konsil_analyses::power::{Design, power};
/// let design = Design::Means { delta: 1.0, sd: 1.0 };
/// assert!((power(design, 20.0, 0.05) - 0.868_952_8).abs() < 1e-6);
/// ```
#[must_use]
pub fn power(design: Design, n: f64, level: f64) -> f64 {
    if !((1e-12..1.0).contains(&level) && n > 1.0 && n <= N_MAX && design.makes_sense()) {
        return f64::NAN;
    }
    let z = normal_quantile(1.0 - level / 2.0);
    match design {
        Design::Means { delta, sd } => t_power((delta / sd, 2.0), n, level),
        Design::OneMean { delta, sd } => t_power((delta / sd, 1.0), n, level),
        Design::Shares { first, second } => {
            let sum = first + second;
            let alike = (sum * (1.0 - sum / 2.0)).sqrt();
            let apart = (first * (1.0 - first) + second * (1.0 - second)).sqrt();
            normal((n.sqrt() * (first - second).abs() - z * alike) / apart)
        }
        Design::Groups { groups, between, within } => {
            let groups = f64::from(groups);
            let (first, second) = (groups - 1.0, (n - 1.0) * groups);
            let shift = first * n * between / within;
            let quantile = f_quantile(1.0 - level, (first, second));
            1.0 - noncentral_f(quantile, (first, second), shift)
        }
        Design::Survival { ratio, events, part } => {
            let information = n * events * part * (1.0 - part);
            normal(information.sqrt() * ratio.ln().abs() - z)
        }
        Design::Correlation { r } => normal((n - 3.0).max(0.0).sqrt() * r.atanh().abs() - z),
    }
}

/// The number of patients at which a design has a power; as [`Design`] counts them, before rounding up.
/// `None` where no number below 10^7 has it.
#[must_use]
pub fn patients(design: Design, wanted: f64, level: f64) -> Option<f64> {
    let least = match design {
        Design::Correlation { .. } => 4.0,
        _ => 2.0,
    };
    let enough = |n: f64| power(design, n, level) >= wanted;
    if !(wanted > level && wanted < 1.0 && enough(N_MAX)) {
        return None;
    }
    if enough(least) {
        return Some(least);
    }
    let (mut low, mut high) = (least, N_MAX);
    for _ in 0..200 {
        // first by size, then by distance
        let middle = if high > 2.0 * low { (low * high).sqrt() } else { f64::midpoint(low, high) };
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// As R with `strict = FALSE`: the tail on the other side is left out.
fn t_power((effect, samples): (f64, f64), n: f64, level: f64) -> f64 {
    let df = (n - 1.0) * samples;
    let shift = (n / samples).sqrt() * effect.abs();
    if !shift.is_finite() {
        return f64::NAN;
    }
    1.0 - noncentral_t(t_quantile(1.0 - level / 2.0, df), df, shift)
}

/// A quantile of the t distribution; of many degrees of freedom by Cornish and Fisher's expansion, whose
/// error is below 1e-12 there.
fn t_quantile(p: f64, df: f64) -> f64 {
    if df < 1e4 {
        return StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |it| it.inverse_cdf(p));
    }
    let z = normal_quantile(p);
    let (first, second) = (z.powi(3) + z, 5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z);
    z + first / (4.0 * df) + second / (96.0 * df * df)
}

/// A quantile of the F distribution, by bisection.
fn f_quantile(p: f64, (first, second): (f64, f64)) -> f64 {
    let Ok(central) = FisherSnedecor::new(first, second) else {
        return f64::NAN;
    };
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..120 {
        let middle = f64::midpoint(low, high);
        if central.cdf(middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

fn normal(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

fn normal_quantile(p: f64) -> f64 {
    Normal::new(0.0, 1.0).map_or(f64::NAN, |it| it.inverse_cdf(p))
}

/// `P(T <= t)` for `t > 0` and a shift of 0 or more, as a mixture of beta distributions.
fn noncentral_t(t: f64, df: f64, shift: f64) -> f64 {
    // far out, and with many degrees of freedom, it is normal about its shift
    if shift > 37.0 || df > 1e6 {
        let narrow = 1.0 / (4.0 * df);
        return normal((t * (1.0 - narrow) - shift) / (1.0 + t * t * 2.0 * narrow).sqrt());
    }
    let x = t * t / (t * t + df);
    let half = shift * shift / 2.0;
    let (b, log) = (df / 2.0, half.ln());
    let mut sum = 0.0;
    let mut j = 0.0;
    loop {
        let weight = |order: f64| {
            if half > 0.0 {
                (order * log - half - libm::lgamma(order + 1.0)).exp()
            } else {
                f64::from(u8::from(order == 0.0))
            }
        };
        let even = weight(j) * beta_reg(j + 0.5, b, x);
        let odd = if half > 0.0 {
            (j * log - half - libm::lgamma(j + 1.5)).exp() * shift / std::f64::consts::SQRT_2
                * beta_reg(j + 1.0, b, x)
        } else {
            0.0
        };
        sum += even + odd;
        if j > half && even + odd < 1e-17 || j > 5000.0 {
            break;
        }
        j += 1.0;
    }
    (normal(-shift) + sum / 2.0).min(1.0)
}

/// `P(F <= f)`, as a Poisson mixture of beta distributions.
fn noncentral_f(f: f64, (first, second): (f64, f64), shift: f64) -> f64 {
    // so far out nothing is left below
    if shift > 100.0 * (first * f + 200.0) {
        return 0.0;
    }
    let x = first * f / (first * f + second);
    let half = shift / 2.0;
    let term = |j: f64| {
        let weight = if half > 0.0 {
            (j * half.ln() - half - libm::lgamma(j + 1.0)).exp()
        } else {
            f64::from(u8::from(j == 0.0))
        };
        weight * beta_reg(first / 2.0 + j, second / 2.0, x)
    };
    // the weights have their mass about half the shift
    let reach = 40.0 + 12.0 * half.sqrt();
    let (mut j, last) = ((half - reach).floor().max(0.0), half + reach);
    let mut sum = 0.0;
    while j <= last {
        sum += term(j);
        j += 1.0;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    // R 4.2: power.t.test, power.prop.test, power.anova.test
    const POWERS: [f64; 6] = [
        0.868_952_801_692,
        0.683_510_255_271,
        0.641_072_877_643,
        0.740_165_901_331,
        0.353_559_423_815,
        0.645_158_611_396,
    ];

    #[test]
    fn powers_are_those_of_r() {
        for (design, n, level, wanted) in [
            (Design::Means { delta: 1.0, sd: 1.0 }, 20.0, 0.05, POWERS[0]),
            (Design::Means { delta: 2.5, sd: 10.0 }, 300.0, 0.01, POWERS[1]),
            (Design::OneMean { delta: 0.5, sd: 1.2 }, 33.0, 0.05, POWERS[2]),
            (Design::Shares { first: 0.5, second: 0.75 }, 50.0, 0.05, POWERS[3]),
            (Design::Groups { groups: 4, between: 1.0, within: 3.0 }, 5.0, 0.05, POWERS[4]),
            (Design::Groups { groups: 3, between: 0.4, within: 9.0 }, 120.0, 0.01, POWERS[5]),
        ] {
            let got = power(design, n, level);
            assert!((got - wanted).abs() < 1e-9, "{design:?}: {got} for {wanted}");
            let found = patients(design, got, level).unwrap();
            assert!((found - n).abs() < 1e-4 * n, "{design:?}: {found} for {n}");
        }
        // far from the centre both forms of the noncentral t agree
        let design = Design::Means { delta: 0.02, sd: 1.0 };
        let (n, z) = (40_000.0_f64, normal_quantile(0.975));
        assert!((power(design, n, 0.05) - normal((n / 2.0).sqrt() * 0.02 - z)).abs() < 1e-4);
        let survival = Design::Survival { ratio: 0.7, events: 0.4, part: 0.5 };
        let events = ((z + normal_quantile(0.8)) / 0.7_f64.ln()).powi(2) * 4.0;
        assert!((patients(survival, 0.8, 0.05).unwrap() - events / 0.4).abs() < 1e-3);
        let r = patients(Design::Correlation { r: 0.3 }, 0.8, 0.05).unwrap();
        assert!((r - 84.927).abs() < 1e-2, "{r}");
    }

    #[test]
    fn senseless_designs_have_no_power() {
        assert!(power(Design::Means { delta: 0.0, sd: 0.0 }, 20.0, 0.05).is_nan());
        assert!(power(Design::Correlation { r: 1.5 }, 20.0, 0.05).is_nan());
        let groups = |groups| Design::Groups { groups, between: 1.0, within: 3.0 };
        assert!(power(groups(1), 20.0, 0.05).is_nan());
        assert!(power(groups(3), f64::INFINITY, 0.05).is_nan());
        assert!(power(Design::Means { delta: 1.0, sd: 1.0 }, 20.0, 1e-17).is_nan());
        assert!(
            power(Design::Survival { ratio: 0.0, events: 0.4, part: 0.5 }, 99.0, 0.05).is_nan()
        );
        assert!(power(Design::Means { delta: 1.0, sd: 1.0 }, 20.0, 1.5).is_nan());
        assert_eq!(patients(Design::Means { delta: 0.0, sd: 1.0 }, 0.8, 0.05), None);
        assert_eq!(patients(Design::Shares { first: 0.5, second: 0.9 }, 1.0, 0.05), None);
    }
}
