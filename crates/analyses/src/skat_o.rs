//! Distributions of burden, SKAT and SKAT-O from cumulants, as the researcher computes them.
//!
//! `K` is the covariance of the scores of a set's variants, but for the trait's variance. A statistic
//! `(1 - rho) sum s^2 + rho (sum s)^2` is a sum of chi-squared variables, weighted by the eigenvalues of
//! `K ((1 - rho) I + rho 1 1')`, whose sums of powers follow from `tr K^k` and `1' K^k 1`.
//!
//! # Sources
//! Lee, Wu and Lin (2012), Biostatistics 13:762, section 3 and appendix. Liu, Tang and Zhang (2009),
//! Comput. Stat. Data Anal. 53:853; for small tails with matched kurtosis: Lee and others (2012), Am. J.
//! Hum. Genet. 91:224.

use crate::log_tails::{chi_squared, normal};

/// Mixtures of burden (1) and SKAT (0) that SKAT-O tries.
const RHOS: [f64; 8] = [0.0, 0.01, 0.04, 0.09, 0.16, 0.25, 0.5, 1.0];
/// Points of the integral, over normal deviates from 0 to the limit.
const POINTS: u32 = 4000;
const LIMIT: f64 = 8.5;

/// What is released of a set, in units of its carriers.
pub(crate) struct Moments {
    /// Sum of the scores.
    pub(crate) score: f64,
    /// Sum of their squares.
    pub(crate) squares: f64,
    /// `tr K^k`, k from 1 to 4.
    pub(crate) traces: [f64; 4],
    /// `1' K^k 1`, k from 1 to 5.
    pub(crate) sums: [f64; 5],
}

/// The chi-squared variable that stands for a quadratic form: mean and deviation of the form, degrees
/// of freedom.
struct Matched {
    mean: f64,
    deviation: f64,
    freedom: f64,
}

impl Matched {
    /// By sums of powers of the eigenvalues.
    fn of([first, second, third, fourth]: [f64; 4]) -> Self {
        let skewness = third / second.powf(1.5);
        let kurtosis = fourth / (second * second);
        // with the kurtosis matched, or, where that has no solution, skewness and kurtosis
        let freedom = if skewness * skewness > kurtosis {
            let a = 1.0 / (skewness - (skewness * skewness - kurtosis).sqrt());
            let shift = skewness * a.powi(3) - a * a;
            a * a - 2.0 * shift
        } else {
            1.0 / kurtosis
        };
        Self { mean: first, deviation: (2.0 * second).sqrt(), freedom }
    }

    /// The chi-squared value at a value of the form.
    fn value(&self, q: f64) -> f64 {
        let standard = (q - self.mean) / self.deviation;
        (standard * (2.0 * self.freedom).sqrt() + self.freedom).max(0.0)
    }

    /// The p value.
    fn tail(&self, q: f64) -> f64 {
        10_f64.powf(-chi_squared(self.value(q), self.freedom))
    }

    /// The value of the form at a p value.
    fn at(&self, p: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.freedom + 1.0);
        let least = -p.log10();
        while chi_squared(high, self.freedom) < least && high < 1e8 {
            high *= 2.0;
        }
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            if chi_squared(middle, self.freedom) < least { low = middle } else { high = middle }
        }
        let standard = (high - self.freedom) / (2.0 * self.freedom).sqrt();
        standard * self.deviation + self.mean
    }
}

impl Moments {
    /// Effect and standard error of a weighted allele, from the burden test.
    pub(crate) fn effect(&self, variance: f64, carriers: f64) -> (f64, f64) {
        let [information, ..] = self.sums;
        // scores are divided by the root of the carriers, information by the carriers
        let beta = self.score / (information * carriers.sqrt());
        (beta, (variance / (information * carriers)).sqrt())
    }

    /// Sums of powers of the eigenvalues at a mixture.
    fn powers(&self, rho: f64) -> [f64; 4] {
        let (a, b) = (1.0 - rho, rho);
        let [t1, t2, t3, t4] = self.traces;
        let [s1, s2, s3, s4, _] = self.sums;
        [
            a * t1 + b * s1,
            a * a * t2 + 2.0 * a * b * s2 + b * b * s1 * s1,
            a.powi(3) * t3
                + 3.0 * a * a * b * s3
                + 3.0 * a * b * b * s1 * s2
                + b.powi(3) * s1.powi(3),
            a.powi(4) * t4
                + 4.0 * a.powi(3) * b * s4
                + a * a * b * b * (4.0 * s1 * s3 + 2.0 * s2 * s2)
                + 4.0 * a * b.powi(3) * s1 * s1 * s2
                + b.powi(4) * s1.powi(4),
        ]
    }

    fn statistic(&self, rho: f64, variance: f64) -> f64 {
        ((1.0 - rho) * self.squares + rho * self.score * self.score) / variance
    }

    /// Sums of powers of the eigenvalues of what is left of `K` beside the burden's direction.
    fn beside(&self) -> [f64; 4] {
        let [t1, t2, t3, t4] = self.traces;
        let [s1, s2, s3, s4, s5] = self.sums;
        [
            t1 - s2 / s1,
            t2 - 2.0 * s3 / s1 + (s2 / s1).powi(2),
            t3 - 3.0 * s4 / s1 + 3.0 * s2 * s3 / (s1 * s1) - (s2 / s1).powi(3),
            t4 - 4.0 * s5 / s1 + (4.0 * s2 * s4 + 2.0 * s3 * s3) / (s1 * s1)
                - 4.0 * s2 * s2 * s3 / s1.powi(3)
                + (s2 / s1).powi(4),
        ]
    }
}

/// The density of a normal deviate.
fn density(deviate: f64) -> f64 {
    (-deviate * deviate / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The p value of the burden test: the scores' sum.
pub(crate) fn burden(moments: &Moments, variance: f64) -> f64 {
    let [information, ..] = moments.sums;
    10_f64.powf(-chi_squared(moments.score * moments.score / (variance * information), 1.0))
}

/// The p value of SKAT: the scores' squares.
pub(crate) fn skat(moments: &Moments, variance: f64) -> f64 {
    Matched::of(moments.powers(0.0)).tail(moments.statistic(0.0, variance))
}

/// The p value of SKAT-O, and the mixture that fits best.
pub(crate) fn skat_o(moments: &Moments, variance: f64) -> (f64, f64) {
    let mixtures: Vec<(f64, Matched)> =
        RHOS.iter().map(|rho| (*rho, Matched::of(moments.powers(*rho)))).collect();
    let tried = mixtures
        .iter()
        .map(|(rho, matched)| (matched.tail(moments.statistic(*rho, variance)), *rho));
    let (least, best) =
        tried.fold((1.0, 0.0), |best: (f64, f64), it| if it.0 < best.0 { it } else { best });
    let [s1, s2, s3, ..] = moments.sums;
    let beside = moments.beside();
    let alone = beside[1] <= 1e-9 * moments.traces[1];
    if alone || least <= 0.0 {
        // one direction only: all mixtures are the burden test
        return (burden(moments, variance), 1.0);
    }
    // the smallest p value as a bound for each mixture
    let bounds: Vec<(f64, f64, f64)> = mixtures
        .iter()
        .map(|(rho, matched)| (*rho, matched.at(least), rho * s1 + (1.0 - rho) * s2 / s1))
        .collect();
    let between = 4.0 * (s3 / s1 - (s2 / s1).powi(2)).max(0.0);
    let [first, second, _, fourth] = beside;
    let whole = 2.0 * second + between;
    let freedom = second * second / fourth;
    // beyond this deviate the burden test alone is as extreme
    let (_, most, share) = bounds.last().copied().unwrap_or((1.0, f64::INFINITY, 1.0));
    let end = (most / share).max(0.0).sqrt().min(LIMIT);
    let step = end / f64::from(POINTS);
    let mut outside = 10_f64.powf(-normal(end));
    for point in 0..=POINTS {
        let deviate = step * f64::from(point);
        let chi = deviate * deviate;
        let bound = bounds
            .iter()
            .filter(|(rho, ..)| *rho < 1.0)
            .map(|(rho, most, share)| (most - share * chi) / (1.0 - rho))
            .fold(f64::INFINITY, f64::min);
        let standard = (bound - first) / whole.sqrt();
        let value = standard * (2.0 * freedom).sqrt() + freedom;
        let beyond = if value <= 0.0 { 1.0 } else { 10_f64.powf(-chi_squared(value, freedom)) };
        // the trapezoid rule, for deviates of both signs
        let weight = if point == 0 || point == POINTS { step } else { 2.0 * step };
        outside += weight * beyond * density(deviate);
    }
    // not below the smallest p value, nor above that of all mixtures together
    let p = outside.clamp(least, 1.0);
    (p.min(least * RHOS.len() as f64).min(1.0), best)
}
