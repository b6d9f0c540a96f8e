//! The local step of Cox regression: one centre's sums over its own patients.

use crate::analysis::AnalysisError;
use konsil_disclosure::Supports;
use konsil_kernels::{FollowUp, add_rounded, risk_sums, triangle};
use konsil_ring::{Word, encode};

/// One centre's patients.
pub(crate) struct Local {
    /// Columns, moved and scaled, `[patient][p]`.
    pub(crate) x: Vec<f64>,
    pub(crate) offset: Vec<f64>,
    /// Case weights; empty for 1.
    pub(crate) weights: Vec<f64>,
    /// Index of each patient's cluster at this centre; empty without clusters.
    pub(crate) clusters: Vec<usize>,
    /// By stratum: which patients, and their follow-up.
    pub(crate) strata: Vec<(Vec<usize>, Vec<FollowUp>)>,
    pub(crate) supports: Supports,
    /// How many patients have the event.
    pub(crate) events: u64,
    /// Columns of the design.
    pub(crate) p: usize,
    /// Points of the grid.
    pub(crate) points: usize,
}

/// One patient in a sum: place among all points of all strata, first and last; whether there is an
/// event; weight, risk, columns.
struct Member<'a> {
    before: Option<usize>,
    to: usize,
    event: bool,
    weight: f64,
    predictor: f64,
    risk: f64,
    x: &'a [f64],
    row: usize,
}

impl Local {
    fn row(&self, row: usize) -> &[f64] {
        self.x.get(row * self.p..(row + 1) * self.p).unwrap_or_default()
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.get(row).copied().unwrap_or(1.0)
    }

    /// Every patient, with the risk at these coefficients.
    fn members(&self, beta: &[f64]) -> impl Iterator<Item = Member<'_>> {
        let strata = self.strata.iter().enumerate();
        let all = strata.flat_map(|(stratum, (rows, follow_up))| {
            rows.iter().zip(follow_up).map(move |(row, it)| (stratum, *row, *it))
        });
        all.map(move |(stratum, row, it)| {
            let first = stratum * self.points;
            let before = it.from.checked_sub(1).map(|before| first + before);
            let (x, weight) = (self.row(row), self.weight(row));
            let eta: f64 = x.iter().zip(beta).map(|(x, b)| x * b).sum();
            let predictor = eta + self.offset.get(row).copied().unwrap_or(0.0);
            let (to, event, risk) = (first + it.to, it.event, predictor.exp());
            Member { before, to, event, weight, predictor, risk, x, row }
        })
    }

    /// Sums over the risk sets, `[column][stratum][point]`; with `efron` also those over the events.
    pub(crate) fn sums(&self, beta: &[f64], efron: bool) -> Result<Vec<Word>, AnalysisError> {
        let (p, points, strata) = (self.p, self.points, self.strata.len());
        let both = 1 + usize::from(efron);
        let mut columns = vec![vec![0; strata * points]; both * (1 + p + p * (p + 1) / 2)];
        for (stratum, (rows, follow_up)) in self.strata.iter().enumerate() {
            let x: Vec<f64> = rows.iter().flat_map(|row| self.row(*row)).copied().collect();
            // a weight is a factor of the risk
            let offset = |row: &usize| {
                self.offset.get(*row).copied().unwrap_or(0.0) + self.weight(*row).ln()
            };
            let offset: Vec<f64> = rows.iter().map(offset).collect();
            let sums = risk_sums((&x, &offset), follow_up, beta, points)?;
            let all = sums.columns.iter().chain(&sums.of_events);
            for (into, column) in columns.iter_mut().zip(all) {
                into[stratum * points..(stratum + 1) * points].copy_from_slice(column);
            }
        }
        Ok(columns.concat())
    }

    /// Events and patients at risk, `[2][stratum][point]`.
    pub(crate) fn counts(&self) -> Vec<Word> {
        let (points, strata) = (self.points, self.strata.len());
        let mut counts = vec![0; 2 * strata * points];
        for (stratum, (_, follow_up)) in self.strata.iter().enumerate() {
            for it in follow_up {
                if it.event {
                    counts[stratum * points + it.to] += 1;
                }
                for at in it.from..=it.to {
                    counts[(strata + stratum) * points + at] += 1;
                }
            }
        }
        counts
    }

    /// The weighted sum of the events' columns, each event counted `times` its point.
    pub(crate) fn event_columns(&self, times: &[f64]) -> Result<Vec<Word>, AnalysisError> {
        let mut sums = vec![0; self.p];
        for it in self.members(&vec![0.0; self.p]).filter(|it| it.event) {
            let factor = it.weight * times.get(it.to).copied().unwrap_or(1.0);
            let terms: Vec<f64> = it.x.iter().map(|x| factor * x).collect();
            add_rounded(&mut sums, &terms)?;
        }
        Ok(sums)
    }

    /// The sum of the events' weights at each point, `[stratum][point]`.
    pub(crate) fn event_weights(&self) -> Result<Vec<Word>, AnalysisError> {
        let mut sums = vec![0.0; self.strata.len() * self.points];
        for it in self.members(&vec![0.0; self.p]).filter(|it| it.event) {
            sums[it.to] += it.weight;
        }
        Ok(encoded(&sums)?)
    }

    /// The weighted sum of the events' linear predictors.
    pub(crate) fn predictors(&self, beta: &[f64]) -> f64 {
        let events = self.members(beta).filter(|it| it.event);
        events.map(|it| it.weight * it.predictor).sum()
    }

    /// Each patient's linear predictor, point where follow-up ends, and whether there is an event.
    pub(crate) fn predicted(&self, beta: &[f64]) -> impl Iterator<Item = (f64, usize, bool)> {
        self.members(beta).map(|it| (it.predictor, it.to, it.event))
    }

    /// Second moments at the point where each patient's follow-up ends: columns `1, x, x x'` times
    /// `w^2` and `w^2 r` of the events, `w^2 r^2` of the others and of the events, with weight `w` and
    /// risk `r`; `[4][column][point]`.
    pub(crate) fn moments(&self, beta: &[f64]) -> Result<Vec<Word>, AnalysisError> {
        let (p, points) = (self.p, self.strata.len() * self.points);
        let width = 1 + p + p * (p + 1) / 2;
        let mut sums = vec![0.0; 4 * width * points];
        let mut terms = vec![0.0; width];
        for it in self.members(beta) {
            let square = it.weight * it.weight;
            let last = square * it.risk * it.risk;
            let forms: &[(usize, f64)] = if it.event {
                &[(0, square), (1, square * it.risk), (3, last)]
            } else {
                &[(2, last)]
            };
            for (form, factor) in forms {
                terms[0] = *factor;
                terms[1..=p].iter_mut().zip(it.x).for_each(|(term, x)| *term = x * factor);
                triangle(it.x, *factor, &mut terms[1 + p..]);
                for (column, term) in terms.iter().enumerate() {
                    sums[(form * width + column) * points + it.to] += term;
                }
            }
        }
        Ok(encoded(&sums)?)
    }

    /// What the scores of each of `clusters` clusters are made of, weighted sums: of the events'
    /// columns, `[cluster][p]`; of the events at each point, `[cluster][point]`; of `1, x` times the
    /// risk of those who end without an event, less those who come after the point, then of those who
    /// end with one, `[2][cluster][1 + p][point]`.
    pub(crate) fn cluster_sums(
        &self,
        beta: &[f64],
        clusters: usize,
    ) -> Result<Vec<Word>, AnalysisError> {
        let (p, points) = (self.p, self.strata.len() * self.points);
        let mut columns = vec![0.0; clusters * p];
        let mut events = vec![0.0; clusters * points];
        let mut risks = vec![0.0; 2 * clusters * (1 + p) * points];
        for it in self.members(beta) {
            let cluster = self.clusters.get(it.row).copied().unwrap_or(0);
            let risk = it.weight * it.risk;
            if it.event {
                events[cluster * points + it.to] += it.weight;
                let own = columns[cluster * p..(cluster + 1) * p].iter_mut().zip(it.x);
                own.for_each(|(sum, x)| *sum += it.weight * x);
            }
            let first = |class: usize| (class * clusters + cluster) * (1 + p) * points;
            for (column, x) in std::iter::once(&1.0).chain(it.x).enumerate() {
                risks[first(usize::from(it.event)) + column * points + it.to] += risk * x;
                if let Some(before) = it.before {
                    risks[first(0) + column * points + before] -= risk * x;
                }
            }
        }
        Ok(encoded(&[columns, events, risks].concat())?)
    }
}

fn encoded(numbers: &[f64]) -> Result<Vec<Word>, konsil_ring::EncodeError> {
    numbers.iter().map(|it| encode(*it)).collect()
}
