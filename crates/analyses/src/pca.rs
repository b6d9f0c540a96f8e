//! Principal components of several numbers, each scaled to unit variance.
//!
//! # Local step
//! Each centre adds up values and their products over its patients with all values, moved and scaled
//! into the dictionary's ranges.
//!
//! # Secure step
//! Correlations are computed on shares. Components are functions of the correlations and determine
//! them, so that these are what is released.
//!
//! # Opens
//! To the centres: whether there are enough patients; which numbers are the same for all of them.
//!
//! # Release
//! Number of patients and the correlations, from which the researcher computes the components. No
//! patient's scores.
//!
//! # Sources
//! Hotelling (1933), J. Educ. Psychol. 24; eigenvalues by Jacobi's rotations, Golub and Van Loan
//! (2013), Matrix Computations, 8.5.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{admitted, released, text};
use crate::correlated::{Correlated, eigen};
use crate::table::{Cell, Table};
use konsil_cohort::Dictionary;
use konsil_disclosure::Release;
use konsil_mpc::{Audience, Opening, Session};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 4] = [ADMITTED, CONSTANT, COUNTS, CORRELATIONS];

const ADMITTED: Opening = admitted("pca.admitted");
const CONSTANT: Opening = Opening {
    name: "pca.constant",
    says: "For each number, whether it is the same for all patients.",
    to: Audience::Centres,
};
const COUNTS: Opening = released("pca.counts", "How many patients have all values.");
const CORRELATIONS: Opening = released("pca.correlations", "The correlation of every two numbers.");

struct Pca {
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
    Ok(Box::new(Pca { correlated: Correlated::new(request, dictionary)? }))
}

impl Analysis for Pca {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (p, pairs) = (self.correlated.len(), self.correlated.pairs().count());
        vec![format!("number of patients, {p} components, which amount to {pairs} correlations")]
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
        let p = self.correlated.len();
        let mut matrix = vec![0.0; p * p];
        for at in 0..p {
            matrix[at * p + at] = 1.0;
        }
        for ((first, second), r) in self.correlated.pairs().zip(correlations) {
            matrix[first * p + second] = r;
            matrix[second * p + first] = r;
        }
        let components = eigen(&matrix, p);
        let mut loadings = Table::new("rotation", &["variable", "component", "loading"]);
        let mut tidy = Table::new("tidy", &["component", "sdev", "percent", "cumulative"]);
        let mut sum = 0.0;
        for (at, (value, vector)) in components.iter().enumerate() {
            sum += value;
            let part = |value: f64| Cell::Number(value / p as f64);
            let name = format!("PC{}", at + 1);
            let deviation = Cell::Number(value.max(0.0).sqrt());
            tidy.rows.push(vec![text(&name), deviation, part(*value), part(sum)]);
            for (variable, loading) in vector.iter().enumerate() {
                let of = text(self.correlated.name(variable));
                loadings.rows.push(vec![of, text(&name), Cell::Number(*loading)]);
            }
        }
        let glance = Table::of_one("glance", [("nobs", Cell::Count(n))]);
        Ok(Findings {
            title: "Principal components".to_owned(),
            tables: vec![tidy, loadings, glance],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
