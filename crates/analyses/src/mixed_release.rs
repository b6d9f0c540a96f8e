//! What a model with random intercepts shows: coefficients, standard deviations, a line about the whole.

use crate::analysis::{AnalysisError, Findings};
use crate::fit::{VARIANCE_BITS, standard_errors};
use crate::levelled::settled;
use crate::mixed::{COEFFICIENTS, COUNTS, LIKELIHOOD, Mixed, VARIANCES};
use crate::statistics::{ratios, wald};
use crate::table::{Cell, Table};
use konsil_disclosure::Release;

/// A standard deviation of the intercepts of a logistic model beyond which clusters are all but of one
/// outcome.
const APART: f64 = 6.0;

/// Released numbers in the response's own unit.
struct Numbers {
    /// Standard deviation of the intercepts.
    intercepts: f64,
    /// Standard deviation of the residuals; 1 for a logistic model.
    sigma: f64,
    likelihood: f64,
    n: f64,
    clusters: f64,
}

fn number(numbers: &[f64], at: usize) -> f64 {
    numbers.get(at).copied().unwrap_or(f64::NAN)
}

impl Mixed {
    /// Turns the released numbers into tables.
    pub(crate) fn findings(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut scaled = release.reals(COEFFICIENTS)?;
        let (converged, mut notes) = settled(scaled.pop().unwrap_or(f64::NAN));
        let ratio = scaled.pop().unwrap_or(f64::NAN);
        let numbers = self.numbers(release, ratio)?;
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let (middle, half) = self.moved;
        let mut estimates: Vec<f64> = self.model.raw(&scaled).iter().map(|it| it * half).collect();
        if let Some(intercept) = estimates.first_mut() {
            *intercept += middle;
        }
        let spread = if self.logistic { 1.0 } else { numbers.sigma * numbers.sigma };
        let errors = standard_errors(&self.model, &variances, spread);
        if ratio == 0.0 {
            notes.push(
                "singular: clusters differ no more than by chance; the fit is the one without random \
                 intercepts"
                    .to_owned(),
            );
        }
        if self.logistic && numbers.intercepts > APART {
            notes.push(
                "clusters differ so much that most have one outcome only; Laplace's approximation is \
                 poor there"
                    .to_owned(),
            );
        }
        if !self.logistic {
            notes.push("p values and limits are from the normal distribution".to_owned());
        }
        let kind = if self.logistic { "Logistic" } else { "Linear" };
        let title = format!("{kind} regression with random intercepts");
        let tables =
            vec![self.tidy(&estimates, &errors, &numbers), self.glance(&numbers, ratio, converged)];
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }

    fn numbers(&self, release: &Release, ratio: f64) -> Result<Numbers, AnalysisError> {
        let (counts, sums) = (release.counts(COUNTS)?, release.reals(LIKELIHOOD)?);
        let (n, clusters) = (number(&counts, 0), number(&counts, 1));
        if self.logistic {
            let (intercepts, likelihood) = (ratio.sqrt(), number(&sums, 0));
            return Ok(Numbers { intercepts, sigma: 1.0, likelihood, n, clusters });
        }
        let p = self.model.order() as f64;
        let freedom = if self.restricted { n - p } else { n };
        let sigma = (number(&sums, 0) / freedom).sqrt() * self.moved.1;
        // the determinant of raw columns, of which moving changes nothing
        let scales: f64 = self.model.columns.iter().map(|(_, scale)| scale.ln()).sum();
        let scales = if self.restricted { 2.0 * scales } else { 0.0 };
        let likelihood = -0.5
            * (number(&sums, 1)
                + scales
                + freedom * (1.0 + (2.0 * std::f64::consts::PI * sigma * sigma).ln()));
        Ok(Numbers { intercepts: ratio.sqrt() * sigma, sigma, likelihood, n, clusters })
    }

    /// Coefficients, then standard deviations, in the columns of R's `broom.mixed`.
    fn tidy(&self, estimates: &[f64], errors: &[f64], numbers: &Numbers) -> Table {
        let mut columns = vec![
            "effect",
            "group",
            "term",
            "estimate",
            "std.error",
            "statistic",
            "p.value",
            "conf.low",
            "conf.high",
        ];
        if self.logistic {
            columns.extend(["exp.estimate", "exp.conf.low", "exp.conf.high"]);
        }
        let mut table = Table::new("tidy", &columns);
        let text = |text: &str| Cell::Text(text.to_owned());
        for ((name, estimate), error) in self.model.names().zip(estimates).zip(errors) {
            let numbers = wald(*estimate, *error);
            let mut row = vec![text("fixed"), Cell::Missing, text(name)];
            row.extend(numbers.map(Cell::Number));
            if self.logistic {
                row.extend(ratios(numbers).map(Cell::Number));
            }
            table.rows.push(row);
        }
        let mut deviations = vec![(self.group(), "sd__(Intercept)", numbers.intercepts)];
        if !self.logistic {
            deviations.push(("Residual", "sd__Observation", numbers.sigma));
        }
        for (group, name, value) in deviations {
            let mut row = vec![text("ran_pars"), text(group), text(name), Cell::Number(value)];
            row.resize(columns.len(), Cell::Missing);
            table.rows.push(row);
        }
        table
    }

    /// One line about the model as a whole.
    fn glance(&self, numbers: &Numbers, ratio: f64, converged: bool) -> Table {
        let Numbers { sigma, likelihood, n, clusters, .. } = *numbers;
        let df = self.parameters() as f64;
        // residuals of a logistic model have the variance of the logistic distribution
        let rest = if self.logistic { std::f64::consts::PI.powi(2) / 3.0 } else { 1.0 };
        let criterion =
            if self.restricted { Cell::Number(-2.0 * likelihood) } else { Cell::Missing };
        let deviance =
            if self.restricted { Cell::Missing } else { Cell::Number(-2.0 * likelihood) };
        let cells = [
            ("nobs", Cell::Count(n)),
            ("n.groups", Cell::Count(clusters)),
            ("sigma", if self.logistic { Cell::Missing } else { Cell::Number(sigma) }),
            ("icc", Cell::Number(ratio / (ratio + rest))),
            ("logLik", Cell::Number(likelihood)),
            ("AIC", Cell::Number(2.0 * df - 2.0 * likelihood)),
            ("BIC", Cell::Number(df * n.ln() - 2.0 * likelihood)),
            ("REMLcrit", criterion),
            ("deviance", deviance),
            ("df.residual", Cell::Count(n - df)),
            ("singular", Cell::Flag(ratio == 0.0)),
            ("iter", Cell::Count(f64::from(self.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        Table::of_one("glance", cells)
    }
}
