//! The tables of Cox regression, from released numbers.

use crate::analysis::{AnalysisError, Findings};
use crate::cox::{
    BASELINE, COEFFICIENTS, CONCORDANCE, COUNTS, Cox, LIKELIHOOD, PROPORTIONAL, RISK, ROBUST,
    VARIANCES,
};
use crate::fit::{VARIANCE_BITS, standard_errors, tidy};
use crate::statistics::{Z_975, p_chi_squared, p_normal};
use crate::table::{Cell, Table};
use konsil_disclosure::Release;

impl Cox {
    pub(crate) fn findings(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let mut scaled = release.reals(COEFFICIENTS)?;
        let last = scaled.pop().unwrap_or(f64::NAN);
        let estimates = self.model.raw(&scaled);
        let mut tables = vec![self.coefficients(release, &estimates)?];
        let converged = last < 1e-6;
        tables.push(self.glance(release, converged)?);
        if self.proportional {
            tables.push(self.proportional_table(&release.reals(PROPORTIONAL)?));
        }
        if let Some(shown) = self.baseline {
            tables.push(self.baseline_table(release, &estimates, shown)?);
        }
        let mut notes = Vec::new();
        if !converged {
            notes.push(format!(
                "not converged: the last step still changed a coefficient by {last:.2e}"
            ));
        }
        let title = "Cox regression".to_owned();
        Ok(Findings { title, tables, notes, found_percent_below: None, scans: Vec::new() })
    }

    /// Coefficients; with robust variances tests and limits are by these, as R's `summary` has them.
    fn coefficients(&self, release: &Release, estimates: &[f64]) -> Result<Table, AnalysisError> {
        let variances = release.reals_scaled(VARIANCES, VARIANCE_BITS)?;
        let errors = standard_errors(&self.model, &variances, 1.0);
        if !self.robust {
            return Ok(tidy(&self.model, estimates, &errors, (Z_975, &p_normal, true)));
        }
        let variances = release.reals_scaled(ROBUST, VARIANCE_BITS)?;
        let robust = standard_errors(&self.model, &variances, 1.0);
        let mut table = tidy(&self.model, estimates, &robust, (Z_975, &p_normal, true));
        table.columns.insert(2, "std.error");
        if let Some(name) = table.columns.get_mut(3) {
            *name = "robust.se";
        }
        for (row, error) in table.rows.iter_mut().zip(errors) {
            row.insert(2, Cell::Number(error));
        }
        Ok(table)
    }

    fn glance(&self, release: &Release, converged: bool) -> Result<Table, AnalysisError> {
        let number = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
        let likelihood = release.reals(LIKELIHOOD)?;
        let (null, full) = (number(&likelihood, 0), number(&likelihood, 1));
        let counts = release.counts(COUNTS)?;
        let (n, events) = (number(&counts, 0), number(&counts, 1));
        let p = self.model.order() as f64;
        let ratio = 2.0 * (full - null);
        let concordance = match self.concordance {
            true => Cell::Number(number(&release.reals(CONCORDANCE)?, 0)),
            false => Cell::Missing,
        };
        let cells = [
            ("n", Cell::Count(n)),
            ("nevent", Cell::Count(events)),
            ("statistic.log", Cell::Number(ratio)),
            ("p.value.log", Cell::Number(p_chi_squared(ratio, p))),
            ("df", Cell::Count(p)),
            ("logLik.null", Cell::Number(null)),
            ("logLik", Cell::Number(full)),
            ("AIC", Cell::Number(2.0 * (p - full))),
            ("BIC", Cell::Number(p * events.ln() - 2.0 * full)),
            ("nobs", Cell::Count(n)),
            ("concordance", concordance),
            ("iter", Cell::Count(f64::from(self.iterations))),
            ("converged", Cell::Flag(converged)),
        ];
        Ok(Table::of_one("glance", cells))
    }

    /// The test of proportional hazards: each coefficient, then all.
    fn proportional_table(&self, statistics: &[f64]) -> Table {
        let mut table = Table::new("zph", &["term", "statistic", "df", "p.value"]);
        let p = self.model.order();
        let names = self.model.names().chain(["GLOBAL"]);
        for (at, (name, statistic)) in names.zip(statistics).enumerate() {
            let df = if at < p { 1.0 } else { p as f64 };
            let statistic = statistic.max(0.0);
            table.rows.push(vec![
                Cell::Text(name.to_owned()),
                Cell::Number(statistic),
                Cell::Count(df),
                Cell::Number(p_chi_squared(statistic, df)),
            ]);
        }
        table
    }

    /// The hazard of a patient in whom all columns, and the offset, are 0.
    fn baseline_table(
        &self,
        release: &Release,
        estimates: &[f64],
        shown: usize,
    ) -> Result<Table, AnalysisError> {
        let values = release.reals_scaled(BASELINE, VARIANCE_BITS)?;
        let counts = release.counts(RISK)?;
        let moved = estimates.iter().zip(&self.model.columns);
        let moved: f64 = moved.map(|(beta, (centre, _))| beta * centre).sum();
        let factor = (-moved).exp();
        let columns = ["time", "n.risk", "n.event", "hazard"];
        let mut table = Table::new("baseline", &columns);
        let places = self.grid.places(shown).into_iter();
        for ((place, value), count) in places.zip(values).zip(counts.chunks(3)) {
            let [flag, risk, events] = count else {
                continue;
            };
            if *flag > 0.5 {
                table.rows.push(vec![
                    Cell::Number(self.grid.time(place as f64)),
                    Cell::Count(*risk),
                    Cell::Count(*events),
                    Cell::Number(value * factor),
                ]);
            }
        }
        Ok(table)
    }
}
