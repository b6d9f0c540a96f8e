//! Noise that the centres draw in parts, so that nobody can take it away alone.
//!
//! A noised number is the exact one plus a part of noise from every centre; each part is added to
//! the centre's own share before anything is released, and the exact number is never put together.
//!
//! *Gaussian* parts have the variance `sigma^2 / (N - c)`, so that what is left when `c` centres
//! take theirs away still has `sigma^2`. A sum of discrete Gaussians is not quite one: for parts of
//! a deviation of at least [`PART_DEVIATION_MIN`] units the difference adds less than 1e-12 to
//! epsilon (Kairouz, Liu, Steinke 2021, theorem 1). *Laplace* parts are whole discrete Laplace noise
//! each, so that any one honest centre is enough.
//!
//! The same question to the same patients gets the same noise: the generator is seeded by both.

use prio::dp::Rational;
use prio::dp::distributions::{DiscreteGaussian, DiscreteLaplace};
use rand::distr::Distribution;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroize;

use konsil_ring::Word;

/// Smallest deviation of a part, in units of the noised integer.
pub const PART_DEVIATION_MIN: f64 = 2.0;

/// One unit of a budget: a billionth.
pub const NANO: f64 = 1e9;

/// Parts of a deviation or scale are rounded up to multiples of 2^-16.
const FINE: u128 = 1 << 16;

/// The shape of the noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mechanism {
    /// Discrete Gaussian; accounted for as zero-concentrated differential privacy.
    #[default]
    Gaussian,
    /// Discrete Laplace; pure differential privacy.
    Laplace,
}

/// What an analysis may spend on noise, and how it is drawn. The numbers are public.
#[derive(Clone)]
pub struct Noise {
    /// The shape.
    pub mechanism: Mechanism,
    /// What the whole analysis spends, in billionths: rho of a Gaussian, epsilon of Laplace.
    pub budget_nano: u64,
    /// How many centres may put their parts together.
    pub colluders: u64,
    seed: [u8; 32],
}

impl fmt::Debug for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Noise({:?}, {} nano)", self.mechanism, self.budget_nano)
    }
}

impl PartialEq for Noise {
    fn eq(&self, other: &Self) -> bool {
        let public = |it: &Self| (it.mechanism, it.budget_nano, it.colluders);
        public(self) == public(other)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

/// Why there is no noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// The budget is 0 or the colluders are all.
    #[error("noise needs a budget above 0 and at least one centre that keeps its part to itself")]
    Nothing,
    /// The budget is so large that the noise would be too small to be what it claims.
    #[error(
        "the budget is too large: the noise would be smaller than two units; ask for exact results"
    )]
    TooSmall,
    /// A part has no encoding.
    #[error("noise out of range")]
    Range,
}

/// One kind of number that noise is added to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Query<'a> {
    /// Name within the analysis.
    pub label: &'a str,
    /// What part of the analysis' budget it spends: one of so many.
    pub one_of: usize,
    /// Most that adding or removing one patient changes all its numbers together, in units.
    pub sensitivity: f64,
}

impl Noise {
    /// Noise of a budget. `secret` is this centre's own, `question` names what is asked of whom.
    #[must_use]
    pub fn new(
        mechanism: Mechanism,
        (budget_nano, colluders): (u64, u64),
        (secret, question): (&[u8; 32], &[u8]),
    ) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"konsil noise v1");
        digest.update(secret);
        digest.update(question);
        Self { mechanism, budget_nano, colluders, seed: digest.finalize().into() }
    }

    /// Deviation of one centre's part of a Gaussian, or the scale of a Laplace part, in units.
    ///
    /// # Errors
    /// [`NoiseError`].
    pub fn part_size(&self, centres: usize, query: &Query<'_>) -> Result<f64, NoiseError> {
        let honest = u64::try_from(centres).unwrap_or(0).saturating_sub(self.colluders);
        if self.budget_nano == 0 || honest == 0 || query.one_of == 0 {
            return Err(NoiseError::Nothing);
        }
        let budget = self.budget_nano as f64 / NANO / query.one_of as f64;
        let size = match self.mechanism {
            Mechanism::Gaussian => {
                query.sensitivity * (1.0 / (2.0 * budget)).sqrt() / (honest as f64).sqrt()
            }
            Mechanism::Laplace => query.sensitivity / budget,
        };
        // a little more rather than less, for the rounding of these operations
        let size = size * (1.0 + 1e-12);
        if size < PART_DEVIATION_MIN { Err(NoiseError::TooSmall) } else { Ok(size) }
    }

    /// Deviation of the whole noise, in units: what a reader of the result needs to know.
    ///
    /// # Errors
    /// [`NoiseError`].
    pub fn deviation(&self, centres: usize, query: &Query<'_>) -> Result<f64, NoiseError> {
        let part = self.part_size(centres, query)?;
        let root = (centres as f64).sqrt();
        Ok(match self.mechanism {
            Mechanism::Gaussian => part * root,
            Mechanism::Laplace => part * std::f64::consts::SQRT_2 * root,
        })
    }

    /// This centre's parts for `count` numbers, as integers modulo 2^128.
    ///
    /// # Errors
    /// [`NoiseError`].
    pub fn parts(
        &self,
        centres: usize,
        query: &Query<'_>,
        count: usize,
    ) -> Result<Vec<Word>, NoiseError> {
        let size = self.part_size(centres, query)?;
        let size = Rational::from_unsigned(fine(size)?, FINE).map_err(|_| NoiseError::Range)?;
        let mut digest = Sha256::new();
        digest.update(self.seed);
        digest.update(query.label.as_bytes());
        let mut generator = ChaCha20Rng::from_seed(digest.finalize().into());
        let whole = |part: Result<i128, _>| {
            part.map(i128::cast_unsigned).map_err(|_: ()| NoiseError::Range)
        };
        match self.mechanism {
            Mechanism::Gaussian => {
                let source = DiscreteGaussian::new(size).map_err(|_| NoiseError::Range)?;
                let draw = |_| i128::try_from(source.sample(&mut generator)).map_err(|_| ());
                (0..count).map(draw).map(whole).collect()
            }
            Mechanism::Laplace => {
                let source = DiscreteLaplace::new(size).map_err(|_| NoiseError::Range)?;
                let draw = |_| i128::try_from(source.sample(&mut generator)).map_err(|_| ());
                (0..count).map(draw).map(whole).collect()
            }
        }
    }
}

/// A size in multiples of 1 / [`FINE`], rounded up.
fn fine(size: f64) -> Result<u128, NoiseError> {
    let scaled = (size * FINE as f64).ceil();
    // whole numbers of this size are far below 2^100, so that the cast is exact
    if !(1.0..1e30).contains(&scaled) {
        return Err(NoiseError::Range);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    Ok(scaled as u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Query<'_> = Query { label: "count", one_of: 1, sensitivity: 1.0 };

    fn noise(mechanism: Mechanism, budget_nano: u64, question: u32) -> Noise {
        Noise::new(mechanism, (budget_nano, 1), (&[7; 32], &question.to_be_bytes()))
    }

    fn signed(words: &[Word]) -> Vec<i128> {
        words.iter().map(|word| word.cast_signed()).collect()
    }

    // Asking again must not average the noise away; asking something else must not repeat it.
    #[test]
    fn the_same_question_has_the_same_noise() {
        let parts = |question| noise(Mechanism::Gaussian, 5_000_000, question).parts(6, &COUNT, 40);
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
        let other = Query { label: "sum", ..COUNT };
        assert_ne!(parts(1), noise(Mechanism::Gaussian, 5_000_000, 1).parts(6, &other, 40));
        let stranger =
            Noise::new(Mechanism::Gaussian, (5_000_000, 1), (&[8; 32], &1_u32.to_be_bytes()));
        assert_ne!(parts(1), stranger.parts(6, &COUNT, 40));
    }

    #[test]
    fn sizes_are_those_of_the_mechanism() {
        // rho 0.005 is a deviation of 10; five of six parts must have it together
        let part = noise(Mechanism::Gaussian, 5_000_000, 1).part_size(6, &COUNT).unwrap();
        assert!((part - 10.0 / 5.0_f64.sqrt()).abs() < 1e-9);
        let whole = noise(Mechanism::Gaussian, 5_000_000, 1).deviation(6, &COUNT).unwrap();
        assert!((whole - 10.0 * (6.0_f64 / 5.0).sqrt()).abs() < 1e-9);
        assert_eq!(
            noise(Mechanism::Gaussian, 2_000_000_000, 1).part_size(6, &COUNT),
            Err(NoiseError::TooSmall)
        );
        assert_eq!(noise(Mechanism::Gaussian, 0, 1).part_size(6, &COUNT), Err(NoiseError::Nothing));
        assert_eq!(noise(Mechanism::Laplace, 1, 1).part_size(1, &COUNT), Err(NoiseError::Nothing));
    }

    /// Totals of the parts of the honest centres, many times.
    fn totals(mechanism: Mechanism, budget_nano: u64, runs: u32, honest: u8) -> Vec<i128> {
        let mut totals = vec![0; 64 * runs as usize];
        for centre in 0..honest {
            for run in 0..runs {
                let noise =
                    Noise::new(mechanism, (budget_nano, 1), (&[centre; 32], &run.to_be_bytes()));
                let parts = signed(&noise.parts(usize::from(honest) + 1, &COUNT, 64).unwrap());
                let into = &mut totals[64 * run as usize..][..64];
                into.iter_mut().zip(parts).for_each(|(total, part)| *total += part);
            }
        }
        totals
    }

    // What is left when one of four centres takes its part away has the variance that is claimed.
    #[test]
    fn the_honest_parts_have_the_claimed_variance() {
        let totals = totals(Mechanism::Gaussian, 5_000_000, 400, 3);
        let n = totals.len() as f64;
        let mean = totals.iter().map(|it| *it as f64).sum::<f64>() / n;
        let variance = totals.iter().map(|it| (*it as f64 - mean).powi(2)).sum::<f64>() / (n - 1.0);
        assert!(mean.abs() < 5.0 * 10.0 / n.sqrt(), "mean {mean}");
        // five standard errors of a variance
        assert!((variance / 100.0 - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "variance {variance}");
    }

    /// A lower bound, at five standard errors, of the epsilon at `delta` that distinguishes a count
    /// from the next larger one by the best threshold.
    fn empirical_epsilon(totals: &[i128], delta: f64) -> f64 {
        let n = totals.len() as f64;
        let mut best = 0.0_f64;
        for threshold in -40..40_i128 {
            let rate = |shift: i128| {
                totals.iter().filter(|it| **it + shift > threshold).count() as f64 / n
            };
            let error = |rate: f64| 5.0 * (rate * (1.0 - rate) / n).sqrt() + 5.0 / n;
            let (with, without) = (rate(1), rate(0));
            let (low, high) = (with - error(with) - delta, without + error(without));
            if low > 0.0 {
                best = best.max((low / high).ln());
            }
        }
        best
    }

    // The sampler may not leak more than it says; and the test must see a sampler that does.
    #[test]
    fn empirical_epsilon_is_below_the_claim() {
        // rho 0.02: epsilon = rho + 2 sqrt(rho ln 1/delta)
        let delta = 1e-6_f64;
        let claim = 0.02 + 2.0 * (0.02 * (1.0 / delta).ln()).sqrt();
        let gaussian = empirical_epsilon(&totals(Mechanism::Gaussian, 20_000_000, 500, 3), delta);
        assert!(gaussian <= claim, "{gaussian} above {claim}");
        let laplace = empirical_epsilon(&totals(Mechanism::Laplace, 400_000_000, 500, 1), 0.0);
        assert!(laplace > 0.2 && laplace <= 0.4, "{laplace}");
        let broken: Vec<i128> =
            totals(Mechanism::Laplace, 400_000_000, 500, 1).iter().map(|it| it / 4).collect();
        assert!(empirical_epsilon(&broken, 0.0) > 0.4);
    }
}
