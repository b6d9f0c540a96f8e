//! What rho and exposure mean. For showing: nothing here decides.

use super::amount::Amount;

/// The smallest epsilon for which rho-zCDP is shown to give (epsilon, delta)-differential privacy:
/// the minimum over alpha > 1 of
/// `alpha rho + ln(1 - 1/alpha) + ln(1 / (alpha delta)) / (alpha - 1)`.
///
/// Tighter than `rho + 2 sqrt(rho ln(1/delta))` (Bun and Steinke 2016, Proposition 1.3), by about
/// 5 to 10 % where budgets lie. Absolute error below 1e-9 of the formula's minimum.
///
/// # Sources
/// Canonne, Kamath, Steinke: The Discrete Gaussian for Differential Privacy (arXiv 2004.00010 v4),
/// Proposition 12 with the Rényi divergence `alpha rho` of zCDP (their Corollary 13).
#[must_use]
pub fn epsilon(rho: Amount, delta: f64) -> f64 {
    let rho = rho.shown();
    if rho == 0.0 {
        return 0.0;
    }
    if !(delta > 0.0 && delta < 1.0) {
        return f64::INFINITY;
    }
    let bound = |log: f64| {
        // alpha - 1, from its logarithm: the minimum may lie anywhere above 1
        let less = libm::exp(log);
        let alpha = 1.0 + less;
        let tail = (libm::log(1.0 / delta) - libm::log(alpha)) / less;
        alpha * rho + libm::log(less / alpha) + tail
    };
    let (mut low, mut high) = (-20.0, 40.0);
    // the bound falls, then rises, in alpha; thirds of the interval close in on its minimum
    for _ in 0..200 {
        let third = (high - low) / 3.0;
        if bound(low + third) < bound(high - third) { high -= third } else { low += third }
    }
    bound(f64::midpoint(low, high)).max(0.0)
}

/// mu of Gaussian differential privacy of a Gaussian release that costs rho: sqrt(2 rho). A worst
/// case, guaranteed.
///
/// # Sources
/// Dong, Roth, Su: Gaussian Differential Privacy (2022); Bun and Steinke 2016, Proposition 1.6.
#[must_use]
pub fn mu_of_rho(rho: Amount) -> f64 {
    libm::sqrt(2.0 * rho.shown())
}

/// Power, as mu, of the likelihood-ratio attack on exact releases with this exposure: sqrt(m_eff /
/// n). An average case of one attack: no guarantee, and never to be added to [`mu_of_rho`].
#[must_use]
pub fn mu_of_exposure(exposure: Amount) -> f64 {
    libm::sqrt(exposure.shown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tight_form_is_below_the_simple_one() {
        for nano in [1_000, 5_000_000, 100_000_000, 500_000_000, 2_000_000_000, 50_000_000_000] {
            let amount = Amount(nano);
            let rho = amount.shown();
            for delta in [1e-12, 1e-6, 1e-3] {
                let simple = rho + 2.0 * (rho * (1.0_f64 / delta).ln()).sqrt();
                let tight = epsilon(amount, delta);
                assert!(tight <= simple && tight > 0.5 * simple - 0.02, "{rho} {delta} {tight}");
            }
        }
        assert!(epsilon(Amount(0), 1e-6).abs() < 1e-12);
        assert!(epsilon(Amount(1), 0.0).is_infinite());
        assert!((mu_of_rho(Amount(500_000_000)) - 1.0).abs() < 1e-12);
        assert!((mu_of_exposure(Amount(250_000_000)) - 0.5).abs() < 1e-12);
    }
}
