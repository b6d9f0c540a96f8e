//! What Cox regression computes besides the fit, where asked for: robust variances, the test of
//! proportional hazards, the baseline's hazard. Everything here runs on shares.

use crate::analysis::{AnalysisError, Setting};
use crate::cox::{BASELINE, Cox, Ends, PROPORTIONAL, RISK, ROBUST};
use crate::cox_local::Local;
use crate::cox_scores::{Paths, hazard_steps, sandwich};
use crate::cox_steps::{Course, Parts};
use crate::curves::{Columns, Exact, Places, shown_points};
use crate::design::Clusters;
use crate::fit::{reals, symmetric};
use konsil_disclosure::by_centre;
use konsil_mpc::linear::{inverse, product};
use konsil_mpc::normalise::divide;
use konsil_mpc::{Session, Shared, fixed};
use konsil_ring::Word;

impl Cox {
    /// Releases robust variances and the test of proportional hazards, where asked for.
    pub(crate) fn release_extras(
        &self,
        session: &mut dyn Session,
        (own, strata): (&Local, usize),
        (fit, course): (&Ends, &Course),
    ) -> Result<(), AnalysisError> {
        if self.robust {
            let variances = self.robust(session, own, (fit, course))?;
            session.release(ROBUST, &variances)?;
        }
        if self.proportional {
            let statistics = self.proportional(session, own, (fit, strata))?;
            session.release(PROPORTIONAL, &statistics)?;
        }
        Ok(())
    }

    /// Robust variances of the scaled coefficients.
    fn robust(
        &self,
        session: &mut dyn Session,
        own: &Local,
        (fit, course): (&Ends, &Course),
    ) -> Result<Shared, AnalysisError> {
        let beta = reals(&fit.beta);
        let weights = course.event_weights();
        let paths = Paths::new(session, &fit.parts, (&weights, self.grid.points))?;
        let squares = if *self.model.clusters() == Clusters::None {
            let moments = session.input(&own.moments(&beta)?)?;
            paths.squares_of_patients(session, &moments)?
        } else {
            let count = self.clusters.len();
            let sums = by_centre(session, &own.cluster_sums(&beta, count)?)?;
            paths.squares_of_clusters(session, (&sums, count))?
        };
        Ok(sandwich(session, &fit.inverse, &squares)?)
    }

    /// Statistics of the score test for each coefficient, then for all, against coefficients that
    /// change with the time: with the information `I` and the sums over the times `g`, from which come
    /// the scores `u`, `I1` with `g` and `I2` with `g^2`: `u_j^2 / S_jj` and `u' S^-1 u`,
    /// `S = I2 - I1 I^-1 I1`. Moving and stretching the time changes nothing.
    fn proportional(
        &self,
        session: &mut dyn Session,
        own: &Local,
        (fit, strata): (&Ends, usize),
    ) -> Result<Shared, AnalysisError> {
        let (p, points) = (self.model.order(), self.grid.points);
        let half = (points - 1) as f64 / 2.0;
        let times: Vec<f64> =
            (0..strata * points).map(|at| (at % points) as f64 / half - 1.0).collect();
        let squares: Vec<f64> = times.iter().map(|it| it * it).collect();
        let with_time = fit.parts.counted(session, &times)?;
        let observed = session.input(&own.event_columns(&times)?)?;
        let scores = observed.minus(&with_time.expected(session)?);
        let first = symmetric(&with_time.information(session)?, p);
        let second = fit.parts.counted(session, &squares)?.information(session)?;
        let by_row = fit.inverse.scales.pick((0..p * p).map(|at| at / p));
        let scaled = fixed::multiply(session, &by_row, &first)?;
        let solved = product(session, &fit.inverse.scaled, &scaled, (p, p, p))?;
        let lost = product(session, &scaled.transposed(p, p), &solved, (p, p, p))?;
        let rest = symmetric(&second, p).minus(&lost);
        let diagonal = rest.pick((0..p).map(|at| at * (p + 1)));
        let ratios = divide(session, &scores, &diagonal)?;
        let each = fixed::multiply(session, &ratios, &scores)?;
        let inverse = inverse(session, &rest, p)?;
        let solved = inverse.times(session, &scores)?;
        let all = fixed::dot(session, &scores, &solved, p)?;
        Ok(Shared::concat([&each, &all]))
    }

    /// Releases the points of the baseline's cumulative hazard that may be shown.
    pub(crate) fn release_baseline(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        ((happened, at_risk, own), parts): ((&Shared, &Shared, &[Word]), &Parts),
        shown: usize,
    ) -> Result<(), AnalysisError> {
        let points = self.grid.points;
        let steps = hazard_steps(session, parts)?;
        let hazard = steps.slice(0, points).running_sums();
        let at = self.grid.places(shown);
        let places = Places { curves: 1, points, at: &at };
        let (own_events, own_at_risk) = own.split_at(points);
        let exact = Exact { events: happened, at_risk, own_events, own_at_risk };
        let columns = Columns {
            values: &[places.of(&hazard)],
            happened: places.happened(happened),
            at_risk: places.of(at_risk),
        };
        let shown = shown_points(session, &setting.policy, places, &exact, &columns)?;
        session.release(BASELINE, &shown.values)?;
        Ok(session.release(RISK, &shown.counts)?)
    }
}
