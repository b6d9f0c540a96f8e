//! Proportional-odds logistic regression of a response with ordered levels, over all centres.
//!
//! # Local step
//! At public thresholds and coefficients each centre computes gradient, observed information and
//! deviance of its own patients in double precision and rounds every patient's terms to fixed point.
//! Prior weights multiply a patient's terms.
//!
//! # Secure step
//! The sums over the centres are shares already. The information is inverted on shares and multiplied
//! with the gradient: a Newton step. The likelihood is concave; steps start at thresholds of equally
//! likely levels and are shortened in public so that the thresholds keep their order. The number of
//! steps is fixed beforehand. Columns and patients are judged by the Gram matrix.
//!
//! # Opens
//! To the centres: whether the cohort and each level of the response have enough patients; which
//! columns cannot be told apart; whether a column or a patient stands apart; the change of thresholds
//! and coefficients in each step. Not: any centre's sums, the pooled gradient, the information, how
//! many patients have a level.
//!
//! # Release
//! Thresholds, coefficients, their variances, the deviance, the number of patients.
//!
//! # Sources
//! McCullagh (1980), J. R. Stat. Soc. B 42:109; Venables and Ripley (2002), Modern Applied Statistics
//! with S, 7.3. Concavity: Pratt (1981), J. Am. Stat. Assoc. 76:103.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::fit::VARIANCE_BITS;
use crate::levelled::{Levelled, Verdicts, ends, released, settled, variances_of};
use crate::statistics::{ratios, wald};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_kernels::proportional_odds;
use konsil_mpc::{Audience, Opening, Session};
use konsil_ring::encode_count;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 8] =
    [ADMITTED, UNSOUND, APART, STEP, COEFFICIENTS, VARIANCES, DEVIANCE, COUNTS];

const ADMITTED: Opening = Opening {
    name: "ordinal.admitted",
    says: "Whether the cohort and each level of the response have enough patients.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "ordinal.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "ordinal.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const STEP: Opening = Opening {
    name: "ordinal.step",
    says: "The change of thresholds and coefficients in each Newton step.",
    to: Audience::Centres,
};
const COEFFICIENTS: Opening = Opening {
    name: "ordinal.coefficients",
    says: "Thresholds and coefficients, and the size of the last Newton step.",
    to: Audience::Researcher,
};
const VARIANCES: Opening = Opening {
    name: "ordinal.variances",
    says: "The variances of thresholds and coefficients.",
    to: Audience::Researcher,
};
const DEVIANCE: Opening = Opening {
    name: "ordinal.deviance",
    says: "The deviance of the model.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "ordinal.counts",
    says: "How many patients there are over all centres.",
    to: Audience::Researcher,
};

struct Ordinal(Levelled);

/// Checks a request: the response has levels, whose order is the dictionary's.
///
/// # Errors
/// [`AnalysisError`] for a response without three levels, a formula without intercept.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let ordinal = Ordinal(Levelled::new(request, dictionary)?);
    if !ordinal.0.model.design.has_intercept {
        let what = "has thresholds in the place of an intercept; leave `- 1` out of the formula";
        return Err(AnalysisError::request(request, what));
    }
    ordinal.0.check_order(request, ordinal.order())?;
    Ok(Box::new(ordinal))
}

impl Ordinal {
    /// Thresholds between levels.
    fn thresholds(&self) -> usize {
        self.0.levels.len() - 1
    }

    /// Columns without the intercept.
    fn columns(&self) -> usize {
        self.0.model.order() - 1
    }

    fn order(&self) -> usize {
        self.thresholds() + self.columns()
    }

    /// Thresholds of equally likely levels, and coefficients of 0.
    fn start(&self) -> Vec<f64> {
        let levels = self.0.levels.len() as f64;
        let at = |k: usize| {
            let below = (k + 1) as f64 / levels;
            (below / (1.0 - below)).ln()
        };
        let mut start: Vec<f64> = (0..self.thresholds()).map(at).collect();
        start.resize(self.order(), 0.0);
        start
    }

    /// The part of a step that leaves at least a third of every distance between thresholds.
    fn in_order(&self, theta: &[f64], change: &[f64]) -> f64 {
        let (theta, change) = (theta.get(..self.thresholds()), change.get(..self.thresholds()));
        let pairs = theta.unwrap_or_default().windows(2).zip(change.unwrap_or_default().windows(2));
        pairs.fold(1.0, |factor: f64, pair| match pair {
            ([low, high], [down, up]) if up < down => {
                factor.min((high - low) * 2.0 / 3.0 / (down - up))
            }
            _ => factor,
        })
    }

    /// How raw thresholds, and the scaled coefficients, follow from the parameters.
    fn factors(&self) -> Vec<Vec<f64>> {
        let (thresholds, order) = (self.thresholds(), self.order());
        let row = |at: usize| {
            let mut row = vec![0.0; order];
            row[at] = 1.0;
            if at < thresholds {
                let columns = self.0.model.columns.iter().skip(1);
                let places = row.iter_mut().skip(thresholds).zip(columns);
                places.for_each(|(place, (centre, scale))| *place = centre / scale);
            }
            row
        };
        (0..order).map(row).collect()
    }
}

impl Analysis for Ordinal {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (thresholds, columns) = (self.thresholds(), self.columns());
        vec![
            format!(
                "{thresholds} thresholds and {columns} coefficients, as many standard errors, \
                 deviance, patients"
            ),
            format!(
                "to the centres: thresholds and coefficients after each of {} steps",
                self.0.iterations
            ),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.0.model.understood();
        let order = self.0.levels.join(" < ");
        lines.push(format!("order of the levels: {order}; proportional odds"));
        lines
    }

    fn sets(&self) -> usize {
        self.0.model.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.0.model.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let verdicts = Verdicts { admitted: ADMITTED, unsound: UNSOUND, apart: APART };
        let rows = self.0.admitted(session, setting, (verdicts, self.order()), patients)?;
        let sums = |theta: &[f64]| {
            let (thresholds, beta) = theta.split_at(self.thresholds());
            Ok(proportional_odds(rows.observed(), thresholds, beta)?)
        };
        let shorter = |theta: &[f64], change: &[f64]| self.in_order(theta, change);
        let fit = self.0.fit(session, (STEP, self.start()), &sums, &shorter)?;
        let ends = ends(session, &sums(&fit.theta)?)?;
        let variances = variances_of(session, &ends.inverse, &self.factors())?;
        let known = u64::try_from(rows.y.len()).unwrap_or(u64::MAX);
        let counts = session.input(&[encode_count(known)])?;
        let coefficients = released(session, &fit)?;
        session.release(COEFFICIENTS, &coefficients)?;
        session.release(VARIANCES, &variances)?;
        session.release(DEVIANCE, &ends.deviance)?;
        Ok(session.release(COUNTS, &counts)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut scaled = release.reals(COEFFICIENTS)?;
        let (converged, notes) = settled(scaled.pop().unwrap_or(f64::NAN));
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let number = |numbers: &[f64]| numbers.first().copied().unwrap_or(f64::NAN);
        let (n, deviance) = (number(&release.counts(COUNTS)?), number(&release.reals(DEVIANCE)?));
        let df = self.order() as f64;
        let cells = [
            ("edf", Cell::Count(df)),
            ("logLik", Cell::Number(-deviance / 2.0)),
            ("AIC", Cell::Number(deviance + 2.0 * df)),
            ("BIC", Cell::Number(deviance + df * n.ln())),
            ("deviance", Cell::Number(deviance)),
            ("df.residual", Cell::Count(n - df)),
            ("nobs", Cell::Count(n)),
            ("iter", Cell::Count(f64::from(self.0.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        let tables = vec![self.tidy(&scaled, &variances), Table::of_one("glance", cells)];
        let title = "Proportional-odds logistic regression".to_owned();
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }
}

impl Ordinal {
    /// Coefficients, then thresholds, as R's `polr` has them.
    fn tidy(&self, scaled: &[f64], variances: &[f64]) -> Table {
        let columns = [
            "term",
            "coef.type",
            "estimate",
            "std.error",
            "statistic",
            "p.value",
            "conf.low",
            "conf.high",
            "exp.estimate",
            "exp.conf.low",
            "exp.conf.high",
        ];
        let mut table = Table::new("tidy", &columns);
        let thresholds = self.thresholds();
        let error = |at: usize| variances.get(at).map_or(f64::NAN, |it| it.max(0.0).sqrt());
        let names = self.0.model.names().zip(&self.0.model.columns).skip(1);
        for (at, (name, (_, scale))) in names.enumerate() {
            let at = thresholds + at;
            let estimate = scaled.get(at).map_or(f64::NAN, |it| it / scale);
            table.rows.push(row(name, "coefficient", estimate, error(at) / scale));
        }
        let names = self.0.levels.iter().zip(self.0.levels.iter().skip(1));
        for (at, ((low, high), factors)) in names.zip(self.factors()).enumerate() {
            let estimate = factors.iter().zip(scaled).map(|(a, b)| a * b).sum();
            table.rows.push(row(&format!("{low}|{high}"), "scale", estimate, error(at)));
        }
        table
    }
}

fn row(name: &str, kind: &str, estimate: f64, error: f64) -> Vec<Cell> {
    let numbers = wald(estimate, error);
    let mut row = vec![Cell::Text(name.to_owned()), Cell::Text(kind.to_owned())];
    row.extend(numbers.map(Cell::Number));
    // the odds ratio of a higher level; a threshold has none
    row.extend(ratios(numbers).map(|ratio| match kind {
        "coefficient" => Cell::Number(ratio),
        _ => Cell::Missing,
    }));
    row
}
