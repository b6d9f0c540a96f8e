//! What a generalised linear regression shows: coefficients, and a line about the model as a whole.

use crate::analysis::{AnalysisError, Findings};
use crate::fit::{VARIANCE_BITS, standard_errors, tidy};
use crate::glm::{COEFFICIENTS, CONSTANTS, COUNTS, DEVIANCE, Glm, PEARSON, THETA, VARIANCES};
use crate::statistics::{Z_975, p_normal, p_student, t_975};
use crate::table::{Cell, Table};
use konsil_disclosure::Release;
use konsil_kernels::{Family, Link};

/// Released numbers in the responses' own unit.
struct Numbers {
    deviance: f64,
    n: f64,
    clusters: f64,
    parameters: f64,
    /// `w y`, two sums by family, `w`.
    constants: [f64; 4],
    /// `theta`, its information per relative change, log likelihood.
    theta: [f64; 3],
    dispersion: f64,
}

fn number(numbers: &[f64], at: usize) -> f64 {
    numbers.get(at).copied().unwrap_or(f64::NAN)
}

impl Glm {
    /// Turns the released numbers into tables.
    pub(crate) fn findings(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let numbers = self.numbers(release)?;
        let mut scaled = release.reals(COEFFICIENTS)?;
        let last = scaled.pop().unwrap_or(f64::NAN);
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let factor = self.factor();
        let estimates: Vec<f64> = self.model.raw(&scaled).iter().map(|it| it * factor).collect();
        let df = numbers.n - numbers.parameters;
        let spread = match self.robust {
            Some(robust) => robust.factor(numbers.n, numbers.parameters, numbers.clusters),
            None if self.kind.dispersion => numbers.dispersion,
            None => 1.0,
        };
        let mut errors = standard_errors(&self.model, &variances, spread);
        errors.iter_mut().for_each(|it| *it *= factor);
        let student = self.kind.dispersion && self.robust.is_none();
        let p_t = |t: f64| p_student(t, df);
        let exponentiate = match self.kind.family {
            Family::Gaussian(link) | Family::Gamma(link) => link == Link::Log,
            _ => true,
        };
        let inference: (f64, &dyn Fn(f64) -> f64, bool) = if student {
            (t_975(df), &p_t, exponentiate)
        } else {
            (Z_975, &p_normal, exponentiate)
        };
        let tidy = tidy(&self.model, &estimates, &errors, inference);
        let converged = last < 1e-6;
        let mut tables = vec![tidy, self.glance(&numbers, converged)];
        if matches!(self.kind.family, Family::NegativeBinomial { .. }) {
            let [theta, information, _] = numbers.theta;
            let error = theta / information.sqrt();
            let cells = [("theta", Cell::Number(theta)), ("std.error", Cell::Number(error))];
            tables.push(Table::of_one("theta", cells));
        }
        let mut notes = Vec::new();
        if !converged {
            notes.push(format!(
                "not converged: the last step still changed a coefficient by {last:.2e}"
            ));
        }
        notes.extend(self.robust.map(|it| it.note()));
        let title = self.kind.title.to_owned();
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }

    fn numbers(&self, release: &Release) -> Result<Numbers, AnalysisError> {
        let counts = release.counts(COUNTS)?;
        let constants = release.reals(CONSTANTS)?;
        let constants = [0, 1, 2, 3].map(|at| number(&constants, at));
        let theta = match self.kind.family {
            Family::NegativeBinomial { .. } => release.reals(THETA)?,
            _ => Vec::new(),
        };
        let pearson = if self.kind.dispersion { number(&release.reals(PEARSON)?, 0) } else { 0.0 };
        let (n, parameters) = (number(&counts, 0), self.model.order() as f64);
        Ok(Numbers {
            deviance: number(&release.reals(DEVIANCE)?, 0),
            n,
            clusters: number(&counts, 1),
            parameters,
            constants,
            theta: [0, 1, 2].map(|at| number(&theta, at)),
            dispersion: pearson / (n - parameters),
        })
    }

    /// Deviance of the model without columns, and AIC; of responses divided by the unit.
    fn null_and_aic(&self, numbers: &Numbers) -> (f64, f64) {
        let Numbers { deviance, n, parameters, constants, .. } = *numbers;
        let [total, first, second, weight] = constants;
        let share = total / weight;
        match self.kind.family {
            Family::Binomial => {
                let null = -2.0 * (total * share.ln() + (weight - total) * (1.0 - share).ln());
                (null, deviance + 2.0 * parameters)
            }
            Family::Poisson => {
                // log likelihood = (saturated one) - deviance / 2
                let saturated = first - total - second;
                let null = 2.0 * (first - total * share.ln());
                (null, deviance - 2.0 * saturated + 2.0 * parameters)
            }
            Family::NegativeBinomial { .. } => {
                let [theta, _, likelihood] = numbers.theta;
                let rest = (total + weight * theta) * (share + theta).ln();
                let null = 2.0 * (first - total * share.ln() - second + rest);
                (null, 2.0 * (parameters + 1.0) - 2.0 * likelihood)
            }
            Family::Gaussian(_) => {
                let raw = self.unit * self.unit;
                let variance = 2.0 * std::f64::consts::PI * deviance * raw / n;
                let aic = n * (variance.ln() + 1.0) + 2.0 - second + 2.0 * parameters;
                (first - total * share, aic)
            }
            Family::Gamma(_) => {
                let logs = first + weight * self.unit.ln();
                let shape = weight / deviance;
                let inner = shape * shape.ln() - shape - libm::lgamma(shape);
                let likelihood = weight * inner - logs - weight / 2.0;
                (-2.0 * (first - weight * share.ln()), 2.0 + 2.0 * parameters - 2.0 * likelihood)
            }
        }
    }

    /// One line about the model as a whole, in broom's columns.
    fn glance(&self, numbers: &Numbers, converged: bool) -> Table {
        let (null, aic) = self.null_and_aic(numbers);
        let squared = match self.kind.family {
            Family::Gaussian(_) => self.unit * self.unit,
            _ => 1.0,
        };
        let (n, parameters) = (numbers.n, numbers.parameters);
        let extra = match self.kind.family {
            Family::Gaussian(_) | Family::Gamma(_) | Family::NegativeBinomial { .. } => 1.0,
            _ => 0.0,
        };
        let likelihood = parameters + extra - aic / 2.0;
        let bic = (parameters + extra) * n.ln() - 2.0 * likelihood;
        let plain = self.model.design.has_intercept && self.model.design.offset.is_none();
        let cell = |shown: bool, cell: Cell| if shown { cell } else { Cell::Missing };
        let known = self.kind.likelihood;
        let binomial = self.kind.family == Family::Binomial && !self.model.is_weighted();
        let dispersion = numbers.dispersion * squared;
        let cells = [
            ("null.deviance", cell(plain, Cell::Number(null * squared))),
            ("df.null", cell(plain, Cell::Count(n - 1.0))),
            ("logLik", cell(known, Cell::Number(likelihood))),
            ("AIC", cell(known, Cell::Number(aic))),
            ("BIC", cell(known, Cell::Number(bic))),
            ("deviance", Cell::Number(numbers.deviance * squared)),
            ("df.residual", Cell::Count(n - parameters)),
            ("nobs", Cell::Count(n)),
            ("nevent", cell(binomial, Cell::Count(numbers.constants[0]))),
            ("dispersion", cell(self.kind.dispersion, Cell::Number(dispersion))),
            ("iter", Cell::Count(f64::from(self.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        Table::of_one("glance", cells)
    }
}
