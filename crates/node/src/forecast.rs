//! What can be said of a planned run before it: how long it will take about, and what it spends of the
//! centres' budgets.

use crate::control::BudgetState;
use crate::researcher::{Researcher, StudyRun};
use konsil_governance::budget::{Amount, Currency};
use konsil_mpc::Topology;
use serde::Serialize;
use std::time::Duration;

/// The line that is taken between centres, in megabits a second.
const MEGABITS: f64 = 100.0;
/// Seconds of a run in which nothing is exchanged: links, data, sealing.
const AROUND: f64 = 0.3;
/// Seconds that a centre works for an exchange, beside the line.
const WORK: f64 = 0.0005;
/// A run may be faster or slower by these factors.
const SPREAD: (f64, f64) = (0.5, 2.5);

/// How long a run will take about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Seconds at least, as a rule.
    pub seconds_from: f64,
    /// Seconds at most, as a rule.
    pub seconds_to: f64,
    /// How long the farthest centre's computer took to take a connection of this one; the lines between
    /// centres are not measured.
    pub round_trip_milliseconds: f64,
    /// The line that is taken between centres.
    pub megabits_taken: f64,
}

/// What a centre's budget has left for a study's data set this year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetForecast {
    /// The centre.
    pub centre: String,
    /// `dp` (rho of results with noise) or `exact` (exposure by exact results).
    pub currency: Currency,
    /// Spent before.
    pub spent: Amount,
    /// What the study adds.
    pub asked: Amount,
    /// The limit.
    pub limit: Amount,
}

impl BudgetForecast {
    /// Whether the study fits.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.spent.plus(self.asked).is_some_and(|sum| sum <= self.limit)
    }
}

/// Seconds of `rounds` exchanges of `bytes` in all, each of which waits for the line.
fn seconds((rounds, bytes): (u64, u64), round_trip: Duration, topology: Topology) -> f64 {
    // through one party there and back; directly one way
    let ways = if topology == Topology::Star { 1.0 } else { 0.5 };
    let line = 8.0 * bytes as f64 / (MEGABITS * 1e6);
    AROUND + rounds as f64 * (ways * round_trip.as_secs_f64() + WORK) + line
}

impl Researcher {
    /// How long a planned run will take about: from its exchanges and bytes, which are known exactly,
    /// and the way to the farthest centre.
    #[must_use]
    pub fn forecast(&self, run: &StudyRun) -> Forecast {
        let bytes = run.plan.sent_bytes_by_centre.iter().copied().max().unwrap_or(0);
        let seconds = seconds((run.plan.rounds, bytes), self.round_trip, run.topology);
        Forecast {
            seconds_from: SPREAD.0 * seconds,
            seconds_to: SPREAD.1 * seconds,
            round_trip_milliseconds: 1000.0 * self.round_trip.as_secs_f64(),
            megabits_taken: MEGABITS,
        }
    }

    /// What a planned run would spend at each centre that has a budget.
    #[must_use]
    pub fn budgets(&self, run: &StudyRun) -> Vec<BudgetForecast> {
        let rho = run.study.rho_nano().map(Amount);
        let lines = run.plan.analyses.iter().flat_map(|it| &it.ledger);
        let numbers = lines.filter(|line| line.to == "researcher").map(|line| line.numbers).sum();
        let rows = u64::try_from(run.plan.rows_at_most).unwrap_or(u64::MAX);
        let exposure = Amount::ratio(numbers, rows).unwrap_or_default();
        let (currency, asked) = rho.map_or((Currency::Exact, exposure), |it| (Currency::Dp, it));
        let centres = run.members.iter().filter_map(|at| self.descriptions().get(*at));
        let of_centre = centres.flat_map(|centre| {
            let fits = centre.budget.iter().filter(|it| it.currency == currency);
            fits.map(|BudgetState { spent, limit, .. }| BudgetForecast {
                centre: centre.centre.clone(),
                currency,
                spent: *spent,
                asked,
                limit: *limit,
            })
        });
        of_centre.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_the_line_counts_by_exchange() {
        let at = |milliseconds, topology| {
            seconds((1000, 12_500_000), Duration::from_millis(milliseconds), topology)
        };
        assert!((at(0, Topology::Mesh) - 1.8).abs() < 1e-9);
        assert!((at(30, Topology::Mesh) - 16.8).abs() < 1e-9);
        assert!((at(30, Topology::Star) - 31.8).abs() < 1e-9);
    }

    #[test]
    fn a_study_fits_to_the_last_billionth() {
        let of = |spent, asked| BudgetForecast {
            centre: "a".to_owned(),
            currency: Currency::Dp,
            spent: Amount(spent),
            asked: Amount(asked),
            limit: Amount(10),
        };
        assert!(of(4, 6).fits());
        assert!(!of(5, 6).fits());
        assert!(!of(u64::MAX, 6).fits());
    }
}
