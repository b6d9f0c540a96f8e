//! Comparison of two means: Student's and Welch's t test, one sample, and pairs.
//!
//! # Local step
//! Each centre counts its patients by group and adds up their values and squares, moved and scaled
//! into the dictionary's range.
//!
//! # Secure step
//! The sums over the centres are shares already. Whether each group has enough patients, and whether
//! one patient makes too much of a sum, is judged on shares.
//!
//! # Opens
//! To the centres: whether each group has enough patients; whether one patient has too large a part.
//!
//! # Release
//! Number of patients, sum and sum of squares of each group, from which mean, standard deviation and
//! test follow.
//!
//! # Sources
//! Welch (1947), Biometrika 34, equation 28 for the degrees of freedom; Hedges (1981), J. Educ.
//! Stat. 6, for the effect size and its variance.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{Compared, admitted, released, text};
use crate::moments::{GroupMoments, MomentNames, release_moments};
use crate::statistics::{Z_975, p_student, t_975};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{Audience, Opening, Session};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 4] = [ADMITTED, EVEN, COUNTS, SUMS];

const ADMITTED: Opening = admitted("t_test.admitted");
const EVEN: Opening = Opening {
    name: "t_test.uneven",
    says: "Whether one patient has too large a part in the sum of a group.",
    to: Audience::Centres,
};
const COUNTS: Opening = released("t_test.counts", "How many patients each group has.");
const SUMS: Opening =
    released("t_test.sums", "Sum and sum of squares of each group over all centres.");

struct TTest {
    compared: Compared,
    mu: f64,
    var_equal: bool,
}

/// Checks a request: `y ~ group` of two levels, `y ~ 1`, or with `paired` two variables.
///
/// # Errors
/// [`AnalysisError`] for anything else.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let compared = if request.paired {
        Compared::paired(request, dictionary)?
    } else {
        Compared::new(request, dictionary, 1..=2)?
    };
    let (mu, var_equal) = (request.mu.unwrap_or(0.0), request.var_equal);
    if !mu.is_finite() {
        return Err(AnalysisError::request(request, "needs a finite number as mu"));
    }
    Ok(Box::new(TTest { compared, mu, var_equal }))
}

impl Analysis for TTest {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let groups = self.compared.groups();
        vec![format!(
            "{groups} group sizes, {groups} means, {groups} standard deviations, 1 t test"
        )]
    }

    fn understood(&self) -> Vec<String> {
        self.compared.understood()
    }

    fn statistics(&self) -> usize {
        2 * self.compared.groups()
    }

    fn sets(&self) -> usize {
        self.compared.groups()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.compared.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let names = MomentNames { admitted: ADMITTED, even: EVEN, counts: COUNTS, sums: SUMS };
        let values = self.compared.values(patients)?;
        release_moments(session, setting, names, (&self.compared.numeric, &values))
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let names = MomentNames { admitted: ADMITTED, even: EVEN, counts: COUNTS, sums: SUMS };
        let groups = GroupMoments::read(release, names, &self.compared.numeric)?;
        let tidy = match &groups[..] {
            [only] => one_sample(only, self.mu, self.compared.minus.is_some()),
            [first, second] => two_samples(first, second, (self.mu, self.var_equal)),
            _ => Table::new("tidy", &[]),
        };
        let tables = vec![tidy, GroupMoments::table(&groups, &self.compared)];
        Ok(Findings {
            title: "t test".to_owned(),
            tables,
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

fn row(
    method: &str,
    (difference, error, df): (f64, f64, f64),
    mu: f64,
    (d, d_error): (f64, f64),
) -> Table {
    let t = (difference - mu) / error;
    let half = t_975(df) * error;
    Table::of_one(
        "tidy",
        [
            ("estimate", Cell::Number(difference)),
            ("statistic", Cell::Number(t)),
            ("p.value", Cell::Number(p_student(t, df))),
            ("parameter", Cell::Number(df)),
            ("conf.low", Cell::Number(difference - half)),
            ("conf.high", Cell::Number(difference + half)),
            ("stderr", Cell::Number(error)),
            ("effect.size", Cell::Number(d)),
            ("effect.low", Cell::Number(d - Z_975 * d_error)),
            ("effect.high", Cell::Number(d + Z_975 * d_error)),
            ("method", text(method)),
        ],
    )
}

fn one_sample(it: &GroupMoments, mu: f64, paired: bool) -> Table {
    let error = (it.variance / it.n).sqrt();
    let d = (it.mean - mu) / it.variance.sqrt();
    let d_error = (1.0 / it.n + d * d / (2.0 * it.n)).sqrt();
    let method = if paired { "Paired t test" } else { "One sample t test" };
    row(method, (it.mean, error, it.n - 1.0), mu, (d, d_error))
}

fn two_samples(a: &GroupMoments, b: &GroupMoments, (mu, var_equal): (f64, bool)) -> Table {
    let df = a.n + b.n - 2.0;
    let pooled = ((a.n - 1.0) * a.variance + (b.n - 1.0) * b.variance) / df;
    let difference = a.mean - b.mean;
    // Hedges' correction for small samples
    let d = (difference - mu) / pooled.sqrt() * (1.0 - 3.0 / (4.0 * df - 1.0));
    let d_error = ((a.n + b.n) / (a.n * b.n) + d * d / (2.0 * (a.n + b.n))).sqrt();
    if var_equal {
        let error = (pooled * (1.0 / a.n + 1.0 / b.n)).sqrt();
        return row("Two sample t test", (difference, error, df), mu, (d, d_error));
    }
    let (u, v) = (a.variance / a.n, b.variance / b.n);
    let welch = (u + v).powi(2) / (u * u / (a.n - 1.0) + v * v / (b.n - 1.0));
    row("Welch two sample t test", (difference, (u + v).sqrt(), welch), mu, (d, d_error))
}
