//! Pearson's correlations of several numbers.
//!
//! # Local step
//! Each centre adds up values and their products over its patients with all values, moved and scaled
//! into the dictionary's ranges.
//!
//! # Secure step
//! Covariances are made of the sums on shares and divided by the standard deviations.
//!
//! # Opens
//! To the centres: whether there are enough patients; which numbers are the same for all of them.
//!
//! # Release
//! Number of patients and the correlations. Neither means nor deviations.
//!
//! # Sources
//! Pearson (1895), Proc. R. Soc. 58; limits: Fisher (1915), Biometrika 10.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{admitted, released, text};
use crate::correlated::Correlated;
use crate::statistics::{Z_975, p_student};
use crate::table::{Cell, Table};
use konsil_cohort::Dictionary;
use konsil_disclosure::Release;
use konsil_mpc::{Audience, Opening, Session};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 4] = [ADMITTED, CONSTANT, COUNTS, CORRELATIONS];

const ADMITTED: Opening = admitted("cor.admitted");
const CONSTANT: Opening = Opening {
    name: "cor.constant",
    says: "For each number, whether it is the same for all patients.",
    to: Audience::Centres,
};
const COUNTS: Opening = released("cor.counts", "How many patients have all values.");
const CORRELATIONS: Opening = released("cor.correlations", "The correlation of every two numbers.");

struct Cor {
    correlated: Correlated,
}

/// Checks a request: two or more numbers.
///
/// # Errors
/// [`AnalysisError`] for anything else.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    Ok(Box::new(Cor { correlated: Correlated::new(request, dictionary)? }))
}

impl Analysis for Cor {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let pairs = self.correlated.pairs().count();
        vec![format!("number of patients, {pairs} correlations")]
    }

    fn understood(&self) -> Vec<String> {
        self.correlated.understood()
    }

    fn statistics(&self) -> usize {
        self.correlated.pairs().count()
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let names = (ADMITTED, CONSTANT);
        let (n, correlations) =
            self.correlated.correlations(session, (setting, names), patients)?;
        session.release(COUNTS, &n)?;
        Ok(session.release(CORRELATIONS, &correlations)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let n = release.counts(COUNTS)?.first().copied().unwrap_or(f64::NAN);
        let correlations = release.reals(CORRELATIONS)?;
        let columns = [
            "variable1",
            "variable2",
            "estimate",
            "statistic",
            "p.value",
            "parameter",
            "conf.low",
            "conf.high",
        ];
        let mut table = Table::new("tidy", &columns);
        for ((first, second), r) in self.correlated.pairs().zip(correlations) {
            let name = |at: usize| text(self.correlated.name(at));
            let df = n - 2.0;
            let t = r * (df / (1.0 - r * r).max(0.0)).sqrt();
            let limit = |side: f64| (r.atanh() + side * Z_975 / (n - 3.0).sqrt()).tanh();
            let numbers = [r, t, p_student(t, df)].map(Cell::Number);
            let mut row = vec![name(first), name(second)];
            row.extend(numbers);
            row.extend([Cell::Count(df), Cell::Number(limit(-1.0)), Cell::Number(limit(1.0))]);
            table.rows.push(row);
        }
        let glance = Table::of_one("glance", [("nobs", Cell::Count(n))]);
        Ok(Findings {
            title: "Correlations".to_owned(),
            tables: vec![table, glance],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
