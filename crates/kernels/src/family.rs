//! Families of generalised linear models: mean, weight and deviance of one patient.

/// How the mean depends on the linear predictor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The mean is the predictor.
    Identity,
    /// The mean is its exponential.
    Log,
    /// The mean is its reciprocal.
    Inverse,
}

/// The family of a generalised linear model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Family {
    /// 0/1 response, logit link.
    Binomial,
    /// Counts, log link.
    Poisson,
    /// Numbers of one variance.
    Gaussian(Link),
    /// Positive numbers whose standard deviation grows with the mean.
    Gamma(Link),
    /// Counts of variance `mu + mu^2 / theta`, log link.
    NegativeBinomial {
        /// The larger, the nearer to Poisson.
        theta: f64,
    },
}

/// What one patient adds to the sums, all for a prior weight of 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// `(y - mu) mu' / V(mu)`: times `x` the patient's gradient.
    pub(crate) score: f64,
    /// `mu'^2 / V(mu)`.
    pub(crate) weight: f64,
    /// The unit deviance.
    pub(crate) deviance: f64,
    /// `(y - mu)^2 / V(mu)`.
    pub(crate) pearson: f64,
}

/// The smallest predictor of an inverse link, and the smallest mean of an identity link of a positive
/// response: beyond it the model has no mean.
const POSITIVE: f64 = 1e-4;

impl Family {
    /// Whether the response can be one of this family.
    #[must_use]
    pub fn allows(self, y: f64) -> bool {
        match self {
            Self::Binomial => y == 0.0 || y == 1.0,
            Self::Poisson | Self::NegativeBinomial { .. } => y >= 0.0 && y.fract() == 0.0,
            Self::Gaussian(Link::Identity) => y.is_finite(),
            Self::Gaussian(_) | Self::Gamma(_) => y > 0.0,
        }
    }

    /// Variance of a response of this mean, up to the dispersion.
    fn variance(self, mean: f64) -> f64 {
        match self {
            Self::Binomial => mean * (1.0 - mean),
            Self::Poisson => mean,
            Self::Gaussian(_) => 1.0,
            Self::Gamma(_) => mean * mean,
            Self::NegativeBinomial { theta } => mean + mean * mean / theta,
        }
    }

    /// Predictor, mean and derivative of the mean that the first step starts from.
    fn start(self, y: f64) -> (f64, f64, f64) {
        let by = |link, mean: f64| match link {
            Link::Identity => (mean, mean, 1.0),
            Link::Log => (mean.ln(), mean, mean),
            Link::Inverse => (1.0 / mean, mean, -mean * mean),
        };
        match self {
            Self::Binomial => {
                let mean = f64::midpoint(y, 0.5);
                ((mean / (1.0 - mean)).ln(), mean, mean * (1.0 - mean))
            }
            Self::Poisson | Self::NegativeBinomial { .. } => by(Link::Log, y + 0.1),
            Self::Gaussian(link) | Self::Gamma(link) => by(link, y),
        }
    }

    /// Score, weight and the start's working response times its weight.
    pub(crate) fn start_terms(self, y: f64, offset: f64) -> (f64, f64) {
        let (predictor, mean, slope) = self.start(y);
        let variance = self.variance(mean);
        let weight = slope * slope / variance;
        (weight, weight * (predictor - offset) + (y - mean) * slope / variance)
    }

    /// The terms of one patient at a linear predictor (McCullagh and Nelder 1989, chapters 2, 4, 6, 8;
    /// Hilbe 2011, Negative Binomial Regression, 8.2).
    pub(crate) fn unit(self, y: f64, predictor: f64) -> Unit {
        match self {
            Self::Binomial => binomial(y, predictor),
            Self::Poisson => {
                let mean = predictor.exp();
                let log_ratio = if y > 0.0 { y * (y.ln() - predictor) } else { 0.0 };
                let deviance = 2.0 * (log_ratio - (y - mean));
                Unit { score: y - mean, weight: mean, deviance, pearson: square(y - mean) / mean }
            }
            Self::Gaussian(link) => {
                let (mean, slope) = mean_of(link, predictor, f64::NEG_INFINITY);
                let residual = y - mean;
                let squared = residual * residual;
                Unit {
                    score: residual * slope,
                    weight: slope * slope,
                    deviance: squared,
                    pearson: squared,
                }
            }
            Self::Gamma(link) => {
                let (mean, slope) = mean_of(link, predictor, POSITIVE);
                let (relative, slope) = ((y - mean) / mean, slope / mean);
                let deviance = 2.0 * (relative - (y / mean).ln());
                Unit {
                    score: relative * slope,
                    weight: slope * slope,
                    deviance,
                    pearson: relative * relative,
                }
            }
            Self::NegativeBinomial { theta } => {
                let mean = predictor.exp();
                let shrunk = 1.0 + mean / theta;
                let log_ratio = if y > 0.0 { y * (y.ln() - predictor) } else { 0.0 };
                let rest = (y + theta) * ((y + theta) / (mean + theta)).ln();
                Unit {
                    score: (y - mean) / shrunk,
                    weight: mean / shrunk,
                    deviance: 2.0 * (log_ratio - rest),
                    pearson: square(y - mean) / (mean * shrunk),
                }
            }
        }
    }
}

fn square(x: f64) -> f64 {
    x * x
}

/// Mean and its derivative.
fn mean_of(link: Link, predictor: f64, least: f64) -> (f64, f64) {
    match link {
        Link::Identity => (predictor.max(least), 1.0),
        Link::Log => (predictor.exp(), predictor.exp()),
        Link::Inverse => {
            let mean = 1.0 / predictor.max(POSITIVE);
            (mean, -mean * mean)
        }
    }
}

fn binomial(y: f64, predictor: f64) -> Unit {
    let small = (-predictor.abs()).exp();
    let mean = if predictor >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
    let weight = small / ((1.0 + small) * (1.0 + small));
    // -2 log likelihood, without cancellation for large predictors
    let against = if y > 0.5 { -predictor } else { predictor };
    let deviance = 2.0 * (against.max(0.0) + small.ln_1p());
    // (y - mu)^2 / (mu (1 - mu)) is the odds against what happened
    Unit { score: y - mean, weight, deviance, pearson: against.min(40.0).exp() }
}

/// Terms of one patient in `theta` of a negative binomial model at mean `mean`, per relative change
/// of `theta`: score and observed information, and the log likelihood.
///
/// Lawless (1987), Negative binomial and mixed Poisson regression, eq. 2.3 to 2.7.
#[must_use]
pub fn theta_terms(y: f64, predictor: f64, theta: f64) -> [f64; 3] {
    let mean = predictor.exp();
    let total = theta + mean;
    let (mut digamma, mut trigamma, mut gamma) = (0.0, 0.0, 0.0);
    // differences of gamma functions at `y + theta` and `theta`, for a whole number `y`
    let mut step = 0.0;
    while step < y {
        let at = theta + step;
        digamma += 1.0 / at;
        trigamma += 1.0 / (at * at);
        gamma += at.ln();
        step += 1.0;
    }
    let ratio = -(mean / theta).ln_1p();
    let score = digamma + ratio + 1.0 - (y + theta) / total;
    let information = trigamma - 1.0 / theta + 2.0 / total - (y + theta) / (total * total);
    let likelihood = gamma - libm::lgamma(y + 1.0)
        + theta * ratio
        + if y > 0.0 { y * (predictor - total.ln()) } else { 0.0 };
    [theta * score, theta * theta * information, likelihood]
}
