//! The families of generalised linear regression by their names.

use crate::analysis::{AnalysisError, Request};
use konsil_kernels::{Family, Link};

/// A family with what follows from its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Kind {
    pub(crate) family: Family,
    /// Whether the variance has a factor that is estimated.
    pub(crate) dispersion: bool,
    /// Whether there is a likelihood.
    pub(crate) likelihood: bool,
    /// The report's heading.
    pub(crate) title: &'static str,
}

/// The family and link of a request.
pub(crate) fn kind(request: &Request) -> Result<Kind, AnalysisError> {
    let error = |what: &str| AnalysisError::request(request, what);
    let link = |allowed: &[&str]| -> Result<Link, AnalysisError> {
        let asked = request.link.as_deref().or(allowed.first().copied()).unwrap_or_default();
        match asked {
            "identity" if allowed.contains(&asked) => Ok(Link::Identity),
            "log" if allowed.contains(&asked) => Ok(Link::Log),
            "inverse" if allowed.contains(&asked) => Ok(Link::Inverse),
            _ => Err(error(&format!("has the links {}", allowed.join(", ")))),
        }
    };
    let of = |family, dispersion, likelihood, title| Kind { family, dispersion, likelihood, title };
    let name = request.family.as_deref().unwrap_or("binomial");
    if matches!(name, "binomial" | "quasibinomial") && request.link.as_deref() != Some("logit") {
        let none = request.link.is_none();
        none.then_some(()).ok_or_else(|| error("has the link logit"))?;
    }
    Ok(match name {
        "binomial" => of(Family::Binomial, false, true, "Logistic regression"),
        "quasibinomial" => of(Family::Binomial, true, false, "Quasi-binomial regression"),
        "poisson" => {
            link(&["log"])?;
            of(Family::Poisson, false, true, "Poisson regression")
        }
        "quasipoisson" => {
            link(&["log"])?;
            of(Family::Poisson, true, false, "Quasi-Poisson regression")
        }
        "negative_binomial" => {
            link(&["log"])?;
            let family = Family::NegativeBinomial { theta: 1.0 };
            of(family, false, true, "Negative binomial regression")
        }
        "gaussian" => {
            let link = link(&["identity", "log", "inverse"])?;
            of(Family::Gaussian(link), true, true, "Gaussian regression")
        }
        "gamma" => {
            let link = link(&["inverse", "log", "identity"])?;
            of(Family::Gamma(link), true, true, "Gamma regression")
        }
        _ => {
            let known = "knows the families binomial and poisson, quasibinomial and quasipoisson, \
                         negative_binomial, gaussian, gamma";
            return Err(error(known));
        }
    })
}
