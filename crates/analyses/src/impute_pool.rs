//! Rubin's rules: one estimate from those of several completed sets.

/// What is known of a coefficient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PooledEstimate {
    pub(crate) estimate: f64,
    pub(crate) error: f64,
    pub(crate) df: f64,
    /// Mean of the variances; variance of the estimates.
    pub(crate) within: f64,
    pub(crate) between: f64,
    /// Relative increase of the variance, its part that is due to missing values, and the fraction
    /// of information that is missing.
    pub(crate) riv: f64,
    pub(crate) lambda: f64,
    pub(crate) fmi: f64,
}

/// Least part of the variance due to missing values that the degrees of freedom see, as in mice.
const LAMBDA_LEAST: f64 = 1e-4;

/// Combines estimates and their variances; `freedom` are the degrees of freedom of complete data.
/// Rubin (1987), Multiple Imputation for Nonresponse in Surveys, 3.3; Barnard and Rubin (1999),
/// Biometrika 86:948.
pub(crate) fn pool(estimates: &[f64], variances: &[f64], freedom: f64) -> PooledEstimate {
    let m = estimates.len() as f64;
    let estimate = estimates.iter().sum::<f64>() / m;
    let within = variances.iter().sum::<f64>() / m;
    let squares = estimates.iter().map(|it| (it - estimate).powi(2));
    let between = squares.sum::<f64>() / (m - 1.0);
    let extra = (1.0 + 1.0 / m) * between;
    let total = within + extra;
    let (riv, lambda) = (extra / within, extra / total);
    let seen = lambda.max(LAMBDA_LEAST);
    let old = (m - 1.0) / (seen * seen);
    let observed = (freedom + 1.0) / (freedom + 3.0) * freedom * (1.0 - seen);
    let df = old * observed / (old + observed);
    let fmi = (riv + 2.0 / (df + 3.0)) / (riv + 1.0);
    PooledEstimate { estimate, error: total.sqrt(), df, within, between, riv, lambda, fmi }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    // mice::pool on the estimates of the same completed sets.
    #[test]
    fn pooling_equals_mice() {
        let vector = include_str!("../tests/vectors/impute.json");
        let vector: Value = serde_json::from_str(vector).unwrap();
        let list = |value: &Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
        };
        for case in vector["pooled"].as_array().unwrap() {
            let freedom = case["dfcom"].as_f64().unwrap();
            for term in case["terms"].as_array().unwrap() {
                let got = pool(&list(&term["estimates"]), &list(&term["variances"]), freedom);
                for (got, key) in [
                    (got.estimate, "estimate"),
                    (got.error, "se"),
                    (got.df, "df"),
                    (got.within, "ubar"),
                    (got.between, "b"),
                    (got.riv, "riv"),
                    (got.lambda, "lambda"),
                    (got.fmi, "fmi"),
                ] {
                    let wanted = term[key].as_f64().unwrap();
                    assert!((got - wanted).abs() <= 1e-9 * wanted.abs(), "{key}: {got} {wanted}");
                }
            }
        }
    }
}
