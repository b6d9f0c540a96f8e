//! `McNemar`'s test of two answers of the same patients.
//!
//! # Local step
//! Each centre counts its patients by both variables, which have the same two levels.
//!
//! # Secure step
//! The sums over the centres are shares already. Whether the two counts of patients whose answers
//! differ are large enough is judged on shares.
//!
//! # Opens
//! To the centres: whether enough patients changed in either direction.
//!
//! # Release
//! How many patients changed in either direction, and the number of patients.
//!
//! # Sources
//! McNemar (1947), Psychometrika 12; correction for continuity: Edwards (1948), Psychometrika 13.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{admitted, release_is_short, released, text};
use crate::crossed::Crossed;
use crate::statistics::{Z_975, p_binomial_half, p_chi_squared};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_mpc::{Opening, Session};
use konsil_ring::encode_count;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 2] = [ADMITTED, COUNTS];

const ADMITTED: Opening = admitted("mcnemar.admitted");
const COUNTS: Opening = released(
    "mcnemar.counts",
    "How many patients have the first level first only, second only, and how many there are.",
);

struct Mcnemar {
    crossed: Crossed,
}

/// Checks a request: two variables with the same two levels.
///
/// # Errors
/// [`AnalysisError`] for anything else.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let crossed = Crossed::new(request, dictionary)?;
    if crossed.shape() != (2, 2) || crossed.rows.levels != crossed.columns.levels {
        let what = "compares two variables with the same two levels";
        return Err(AnalysisError::request(request, what));
    }
    Ok(Box::new(Mcnemar { crossed }))
}

impl Analysis for Mcnemar {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec!["3 counts of patients, 1 test".to_owned()]
    }

    fn understood(&self) -> Vec<String> {
        self.crossed.understood()
    }

    fn statistics(&self) -> usize {
        2
    }

    fn sets(&self) -> usize {
        self.crossed.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.crossed.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let counts = self.crossed.counts(patients)?;
        let known = counts.iter().sum::<u64>();
        let &[_, first, second, _] = &counts[..] else {
            return Ok(());
        };
        let applicants = Applicants {
            patients: usize::try_from(known).unwrap_or(usize::MAX),
            parameters: 0,
            statistics: self.statistics(),
            also: &[first, second],
        };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let counts = session.input(&[first, second, known].map(encode_count))?;
        Ok(session.release(COUNTS, &counts)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let counts = release.counts(COUNTS)?;
        let &[b, c, n] = &counts[..] else {
            return Err(release_is_short(COUNTS));
        };
        let apart = (b - c).abs();
        let statistic = if apart > 0.0 { (apart - 1.0).powi(2) / (b + c) } else { 0.0 };
        let (ratio, error) = (b / c, (1.0 / b + 1.0 / c).sqrt());
        let limit = |side: f64| (ratio.ln() + side * Z_975 * error).exp();
        let tidy = Table::of_one(
            "tidy",
            [
                ("statistic", Cell::Number(statistic)),
                ("p.value", Cell::Number(p_chi_squared(statistic, 1.0))),
                ("parameter", Cell::Count(1.0)),
                ("p.value.exact", Cell::Number(p_binomial_half(b.min(c), b + c))),
                ("odds.ratio", Cell::Number(ratio)),
                ("conf.low", Cell::Number(limit(-1.0))),
                ("conf.high", Cell::Number(limit(1.0))),
                ("first.only", Cell::Count(b)),
                ("second.only", Cell::Count(c)),
                ("nobs", Cell::Count(n)),
                ("method", text("McNemar's chi-squared test with continuity correction")),
            ],
        );
        Ok(Findings {
            title: "McNemar's test".to_owned(),
            tables: vec![tidy],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
