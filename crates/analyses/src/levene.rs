//! Levene's test of equal variances, about medians (Brown and Forsythe) or means.
//!
//! # Local step
//! Each centre counts its patients of each group at each point of the number's public grid.
//!
//! # Secure step
//! The centre of each group is computed on shares: the median by comparing running sums with half of
//! the group, the mean as a quotient kept as numerator and denominator. Comparing every point with
//! it says which values lie above; absolute and squared distances are then products of shares.
//!
//! # Opens
//! To the centres: whether each group has enough patients.
//!
//! # Release
//! Group sizes; for each group the sum of the absolute and of the squared distances from its centre.
//!
//! # Sources
//! Levene (1960), in: Contributions to Probability and Statistics; Brown and Forsythe (1974), J. Am.
//! Stat. Assoc. 69.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{Compared, admit_groups, admitted, group_totals, released, sizes, text};
use crate::statistics::p_fisher;
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{MpcError, Opening, Session, Shared, linear};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 3] = [ADMITTED, COUNTS, DISTANCES];

const ADMITTED: Opening = admitted("levene.admitted");
const COUNTS: Opening = released("levene.counts", "How many patients each group has.");
const DISTANCES: Opening = released(
    "levene.distances",
    "Sum of absolute and of squared distances from the centre of each group.",
);

struct Levene {
    compared: Compared,
    mean: bool,
}

/// Checks a request: `y ~ group`, `center = "median"` or `"mean"`.
///
/// # Errors
/// [`AnalysisError`] for anything else, and for a grid with too many points.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let compared = Compared::ranked(request, dictionary, 2..=20)?;
    let mean = match request.center.as_deref() {
        None | Some("median") => false,
        Some("mean") => true,
        Some(other) => {
            let what = format!("has no center `{other}`; there are median and mean");
            return Err(AnalysisError::request(request, what));
        }
    };
    Ok(Box::new(Levene { compared, mean }))
}

impl Analysis for Levene {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let groups = self.compared.groups();
        vec![format!(
            "{groups} group sizes, {groups} mean distances, {groups} mean squared distances"
        )]
    }

    fn understood(&self) -> Vec<String> {
        self.compared.understood_on_grid()
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
        let values = self.compared.values(patients)?;
        admit_groups(session, ADMITTED, setting, (&sizes(&values), self.statistics()))?;
        let points = self.compared.points();
        let counts = session.input(&self.compared.histogram(&values))?;
        let totals = group_totals(&counts, points);
        let centres = self.centres(session, &counts, &totals)?;
        let distances = distances(session, (&counts, points), &centres)?;
        session.release(COUNTS, &totals)?;
        Ok(session.release(DISTANCES, &distances)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (counts, sums) = (release.counts(COUNTS)?, release.counts(DISTANCES)?);
        let groups = counts.len();
        let step = self.compared.numeric.grid.step;
        // distances are multiples of half a step, or of the step divided by the group's size
        let part = |n: f64| step / if self.mean { n } else { 2.0 };
        let means: Vec<f64> =
            (0..groups).map(|at| part(counts[at]) * sums[at] / counts[at]).collect();
        let squares: f64 = (0..groups).map(|at| part(counts[at]).powi(2) * sums[groups + at]).sum();
        let n: f64 = counts.iter().sum();
        let all = counts.iter().zip(&means).map(|(n, mean)| n * mean).sum::<f64>() / n;
        let spread = |(n, mean): (&f64, &f64)| n * (mean - all).powi(2);
        let between: f64 = counts.iter().zip(&means).map(spread).sum();
        let own: f64 = counts.iter().zip(&means).map(|(n, mean)| n * mean * mean).sum();
        let (df, residual) = (groups as f64 - 1.0, n - groups as f64);
        let statistic = between / df / ((squares - own) / residual);
        let method = if self.mean { "Levene's test (mean)" } else { "Levene's test (median)" };
        let tidy = Table::of_one(
            "tidy",
            [
                ("statistic", Cell::Number(statistic)),
                ("p.value", Cell::Number(p_fisher(statistic, df, residual))),
                ("df", Cell::Count(df)),
                ("df.residual", Cell::Count(residual)),
                ("method", text(method)),
            ],
        );
        let mut table = Table::new("groups", &["group", "n", "mean.distance"]);
        for (at, (n, mean)) in counts.iter().zip(&means).enumerate() {
            let name = text(self.compared.group(at));
            table.rows.push(vec![name, Cell::Count(*n), Cell::Number(*mean)]);
        }
        Ok(Findings {
            title: "Levene's test".to_owned(),
            tables: vec![tidy, table],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

/// Centres of the groups in parts of a step: `numerator / denominator`.
struct Centres {
    numerators: Shared,
    denominators: Shared,
}

impl Levene {
    fn centres(
        &self,
        session: &mut dyn Session,
        counts: &Shared,
        totals: &Shared,
    ) -> Result<Centres, MpcError> {
        let (groups, points) = (self.compared.groups(), self.compared.points());
        if self.mean {
            let weighted = counts.times_integers(&places(groups, points));
            let numerators = group_totals(&weighted, points);
            return Ok(Centres { numerators, denominators: totals.clone() });
        }
        // the two order statistics next to the middle: as many points lie before them as have less
        // than half of the group, and at most half of it, up to them
        let spread =
            |column: &Shared| column.pick((0..groups * points).map(|at| at / points.max(1)));
        let running: Vec<Shared> = (0..groups)
            .map(|at| counts.slice(at * points, (at + 1) * points).running_sums())
            .collect();
        let doubled = Shared::concat(&running).times_integer(2);
        let room = doubled.minus(&spread(totals));
        let one = session.constant(&vec![1; room.len()]);
        let below = session.negative(&Shared::concat([&room, &room.minus(&one)]))?;
        let below = session.to_integers(&below)?;
        let (lower, upper) = (below.slice(0, room.len()), below.slice(room.len(), below.len()));
        let numerators = group_totals(&lower, points).plus(&group_totals(&upper, points));
        let denominators = session.constant(&vec![2; groups]);
        Ok(Centres { numerators, denominators })
    }
}

/// `0 .. points` for each group.
fn places(groups: usize, points: usize) -> Vec<i128> {
    let points = i128::try_from(points).unwrap_or(i128::MAX);
    (0..groups).flat_map(|_| 0..points).collect()
}

/// Sums of absolute, then of squared distances of `denominator * place` from the numerator, by group.
/// 8 rounds.
fn distances(
    session: &mut dyn Session,
    (counts, points): (&Shared, usize),
    centres: &Centres,
) -> Result<Shared, MpcError> {
    let groups = centres.numerators.len();
    let spread = |column: &Shared| column.pick((0..groups * points).map(|at| at / points.max(1)));
    let scaled = spread(&centres.denominators).times_integers(&places(groups, points));
    let apart = scaled.minus(&spread(&centres.numerators));
    let below = session.negative(&apart)?;
    let below = session.to_integers(&below)?;
    let sign = linear::complement(session, &below).minus(&below);
    let magnitudes = session.multiply_raw(&sign, &apart)?;
    let squares = session.square_raw(&apart)?;
    let left = Shared::concat([counts, counts]);
    session.dot_raw(&left, &Shared::concat([&magnitudes, &squares]), points)
}
