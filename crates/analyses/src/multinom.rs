//! Multinomial logistic regression of a response with several levels, over all centres.
//!
//! # Local step
//! At public coefficients each centre computes gradient, information and deviance of its own patients
//! in double precision and rounds every patient's terms to fixed point. Prior weights multiply a
//! patient's terms.
//!
//! # Secure step
//! The sums over the centres are shares already. The information of all coefficients of all levels is
//! inverted on shares and multiplied with the gradient: a Newton step from 0. The likelihood is
//! concave. The number of steps is fixed beforehand. Columns and patients are judged by the Gram
//! matrix.
//!
//! # Opens
//! To the centres: whether the cohort and each level of the response have enough patients; which
//! columns cannot be told apart; whether a column or a patient stands apart; the change of the
//! coefficients in each step. Not: any centre's sums, the pooled gradient, the information, how many
//! patients have a level.
//!
//! # Release
//! The coefficients of each level against the first, their variances, the deviance, the number of
//! patients.
//!
//! # Sources
//! Agresti (2013), Categorical Data Analysis, 8.1; Venables and Ripley (2002), Modern Applied
//! Statistics with S, 7.3.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::fit::VARIANCE_BITS;
use crate::levelled::{Levelled, Verdicts, ends, released, settled, variances_of};
use crate::statistics::{ratios, wald};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_kernels::multinomial;
use konsil_mpc::{Audience, Opening, Session};
use konsil_ring::encode_count;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 8] =
    [ADMITTED, UNSOUND, APART, STEP, COEFFICIENTS, VARIANCES, DEVIANCE, COUNTS];

const ADMITTED: Opening = Opening {
    name: "multinom.admitted",
    says: "Whether the cohort and each level of the response have enough patients.",
    to: Audience::Centres,
};
const UNSOUND: Opening = Opening {
    name: "multinom.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "multinom.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const STEP: Opening = Opening {
    name: "multinom.step",
    says: "The change of the coefficients in each Newton step.",
    to: Audience::Centres,
};
const COEFFICIENTS: Opening = Opening {
    name: "multinom.coefficients",
    says: "The coefficients, and the size of the last Newton step.",
    to: Audience::Researcher,
};
const VARIANCES: Opening = Opening {
    name: "multinom.variances",
    says: "The variances of the coefficients.",
    to: Audience::Researcher,
};
const DEVIANCE: Opening = Opening {
    name: "multinom.deviance",
    says: "The deviance of the model.",
    to: Audience::Researcher,
};
const COUNTS: Opening = Opening {
    name: "multinom.counts",
    says: "How many patients there are over all centres.",
    to: Audience::Researcher,
};

struct Multinom(Levelled);

/// Checks a request: the response has levels, the first of which the others are compared with.
///
/// # Errors
/// [`AnalysisError`] for a response without three levels, too many parameters, an offset.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let multinom = Multinom(Levelled::new(request, dictionary)?);
    if multinom.0.model.design.offset.is_some() {
        return Err(AnalysisError::request(request, "takes no offset"));
    }
    multinom.0.check_order(request, multinom.order())?;
    Ok(Box::new(multinom))
}

impl Multinom {
    /// Levels that are compared with the first.
    fn others(&self) -> &[String] {
        self.0.levels.get(1..).unwrap_or_default()
    }

    fn order(&self) -> usize {
        self.others().len() * self.0.model.order()
    }

    /// How raw intercepts, and the scaled coefficients, follow from the parameters.
    fn factors(&self) -> Vec<Vec<f64>> {
        let (columns, order) = (self.0.model.order(), self.order());
        let intercept = self.0.model.intercept_factors();
        let row = |at: usize| {
            let mut row = vec![0.0; order];
            row[at] = 1.0;
            if at.is_multiple_of(columns) && self.0.model.design.has_intercept {
                row[at..at + columns].copy_from_slice(&intercept);
            }
            row
        };
        (0..order).map(row).collect()
    }
}

impl Analysis for Multinom {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let order = self.order();
        vec![
            format!("{order} coefficients, {order} standard errors, deviance, patients"),
            format!("to the centres: the coefficients after each of {} steps", self.0.iterations),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.0.model.understood();
        let first = self.0.levels.first().map_or("", String::as_str);
        lines.push(format!("{} against {first}", self.others().join(", ")));
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
        let columns = self.0.model.order();
        let sums = |theta: &[f64]| Ok(multinomial(rows.observed(), columns, theta)?);
        let start = vec![0.0; self.order()];
        let fit = self.0.fit(session, (STEP, start), &sums, &|_, _| 1.0)?;
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
            ("deviance", Cell::Number(deviance)),
            ("AIC", Cell::Number(deviance + 2.0 * df)),
            ("BIC", Cell::Number(deviance + df * n.ln())),
            ("nobs", Cell::Count(n)),
            ("iter", Cell::Count(f64::from(self.0.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        let tables = vec![self.tidy(&scaled, &variances), Table::of_one("glance", cells)];
        let title = "Multinomial logistic regression".to_owned();
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }
}

impl Multinom {
    /// The coefficients of each level against the first.
    fn tidy(&self, scaled: &[f64], variances: &[f64]) -> Table {
        let columns = [
            "y.level",
            "term",
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
        let columns = self.0.model.order();
        let of_levels = scaled.chunks(columns).zip(variances.chunks(columns));
        for (level, (scaled, variances)) in self.others().iter().zip(of_levels) {
            let estimates = self.0.model.raw(scaled);
            let named = self.0.model.names().zip(&self.0.model.columns);
            for ((name, (_, scale)), (estimate, variance)) in
                named.zip(estimates.iter().zip(variances))
            {
                let error = variance.max(0.0).sqrt() / scale;
                let numbers = wald(*estimate, error);
                let mut row = vec![Cell::Text(level.clone()), Cell::Text(name.to_owned())];
                row.extend(numbers.into_iter().chain(ratios(numbers)).map(Cell::Number));
                table.rows.push(row);
            }
        }
        table
    }
}
