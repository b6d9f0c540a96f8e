//! Robust variances of Cox regression: the sum over patients, or clusters, of the squares of their
//! scores. Everything here runs on shares.
//!
//! The score of a patient with weight w, risk r and columns x whose follow-up ends at t is
//! `w e (x - E_t) - w r (x L - M)`: `e` is 1 with an event, `E_t` the mean over the risk set, `L` the
//! cumulative hazard and `M` the cumulative `E dL` up to t. With Efron's ties those who have the
//! event lose, at t, the part `f` of each of its steps (Lin and Wei 1989, J. Am. Stat. Assoc.
//! 84:1074; Therneau and Grambsch 2000, 7).

use crate::cox_steps::{Parts, STRETCH};
use konsil_mpc::linear::{Inverse, product};
use konsil_mpc::normalise::divide_each;
use konsil_mpc::{MpcError, Session, Shared, fixed};
use konsil_ring::FRACTION_BITS;

/// What scores need at each point of all strata.
pub(crate) struct Paths {
    /// Means over the risk sets, averaged over ties, `[p][point]`.
    means: Shared,
    /// Cumulative hazards of those who end without and with an event, `[point]` each.
    hazards: [Shared; 2],
    /// Cumulative `E dL` of the same, `[p][point]` each.
    moved: [Shared; 2],
    points: usize,
    p: usize,
}

/// Running sums along the points of each stratum, of rows of strata.
fn running(column: &Shared, points: usize) -> Shared {
    let strata = column.len() / points.max(1);
    let row = |at: usize| column.slice(at * points, (at + 1) * points).running_sums();
    Shared::concat(&(0..strata).map(row).collect::<Vec<_>>())
}

/// Steps of the cumulative hazard with 60 fractional bits, `[2][point]`: of those without an event at
/// the point; and, with ties, what those with one lose.
pub(crate) fn hazard_steps(session: &mut dyn Session, parts: &Parts) -> Result<Shared, MpcError> {
    let [all, lost, ..] = &parts.weights;
    let both = Shared::concat([all, lost]);
    fixed::multiply(session, &parts.hazard.repeat(2), &both)
}

impl Paths {
    /// From the parts at the last coefficients; `weights` are the sums of the events' weights, 0 where
    /// there are none, and `points` those of one stratum.
    pub(crate) fn new(
        session: &mut dyn Session,
        parts: &Parts,
        (weights, points): (&Shared, usize),
    ) -> Result<Self, MpcError> {
        let (p, all) = (parts.p, parts.points);
        let means = if parts.ties() {
            let factors =
                Shared::concat([&parts.weights[0].repeat(p), &parts.weights[1].repeat(p)]);
            let both = Shared::concat([&parts.means, &parts.of_events]);
            let both = fixed::multiply(session, &both, &factors)?;
            let sums = both.slice(0, p * all).minus(&both.slice(p * all, 2 * p * all));
            divide_each(session, &sums, weights)?
        } else {
            parts.means.clone()
        };
        let hazards = hazard_steps(session, parts)?;
        let moved = Self::moved(session, parts)?;
        let (steps, lost) = (hazards.slice(0, all), hazards.slice(all, 2 * all));
        let (moved, moved_less) = (moved.slice(0, p * all), moved.slice(p * all, 2 * p * all));
        let (steps, moved) = (running(&steps, points), running(&moved, points));
        let columns = [&steps, &steps.minus(&lost), &moved, &moved.minus(&moved_less)];
        let columns = session.truncate(Shared::concat(columns), STRETCH.trailing_zeros())?;
        let column = |from: usize, to: usize| columns.slice(from * all, to * all);
        Ok(Self {
            means,
            hazards: [column(0, 1), column(1, 2)],
            moved: [column(2, 2 + p), column(2 + p, 2 + 2 * p)],
            points: all,
            p,
        })
    }

    /// Steps of `E dL` with 60 fractional bits, `[2][p][point]`, as [`hazard_steps`].
    fn moved(session: &mut dyn Session, parts: &Parts) -> Result<Shared, MpcError> {
        let p = parts.p;
        let weights = |at: usize| parts.weights[at].repeat(p);
        let all = p * parts.points;
        if !parts.ties() {
            let sums = fixed::multiply(session, &parts.means, &weights(2))?;
            let moved = fixed::multiply(session, &parts.hazard.repeat(p), &sums)?;
            return Ok(Shared::concat([&moved, &Shared::zeros(all)]));
        }
        let (means, of_events) = (&parts.means, &parts.of_events);
        let columns = Shared::concat([means, means, of_events, of_events]);
        let factors = Shared::concat([&weights(2), &weights(3), &weights(3), &weights(4)]);
        let products = fixed::multiply(session, &columns, &factors)?;
        let sums = products.slice(0, 2 * all).minus(&products.slice(2 * all, 4 * all));
        fixed::multiply(session, &parts.hazard.repeat(2 * p), &sums)
    }

    /// The sum of squared scores of all patients from the pooled second moments at the points where
    /// they end, `[4][1 + p + p (p + 1) / 2][point]`; `[p][p]`. Patients are at risk from the start.
    pub(crate) fn squares_of_patients(
        &self,
        session: &mut dyn Session,
        moments: &Shared,
    ) -> Result<Shared, MpcError> {
        let (p, points) = (self.p, self.points);
        let pairs = p * (p + 1) / 2;
        let form = |at: usize, from: usize, to: usize| {
            let first = at * (1 + p + pairs);
            moments.slice((first + from) * points, (first + to) * points)
        };
        let count = |at: usize| form(at, 0, 1).repeat(p);
        let column = |at: usize| form(at, 1, 1 + p);
        let [without, with] = &self.hazards;
        let [moved, moved_with] = &self.moved;
        let (without_p, with_p) = (without.repeat(p), with.repeat(p));
        let factors = [&with_p, &with_p, &without_p, &self.means, &self.means, moved_with, moved];
        let columns = [column(1), column(3), column(2), count(0), count(1), count(3), count(2)];
        let both = (Shared::concat(&columns), Shared::concat(factors));
        let products = fixed::multiply(session, &both.0, &both.1)?;
        let part = |at: usize| products.slice(at * p * points, (at + 1) * p * points);
        // each left side is doubled where its transpose is added later
        let of_means = part(0).minus(&column(0)).times_integer(2).plus(&part(3));
        let of_with = column(1).minus(&part(4)).minus(&part(1)).times_integer(2).plus(&part(5));
        let of_without = part(2).times_integer(-2).plus(&part(6));
        let wide = |columns: [&Shared; 3]| {
            let row = |k: usize| {
                Shared::concat(&columns.map(|it| it.slice(k * points, (k + 1) * points)))
            };
            Shared::concat(&(0..p).map(row).collect::<Vec<_>>())
        };
        let left = wide([&of_means, &of_with, &of_without]);
        let right = wide([&self.means, moved_with, moved]).transposed(p, 3 * points);
        let sum = product(session, &left, &right, (p, 3 * points, p))?;
        let sum = sum.plus(&sum.transposed(p, p));
        let squared = Shared::concat([without, with]);
        let squared = fixed::square(session, &squared)?;
        let factors = Shared::concat([&with.times_integer(-2), &squared]);
        let row = |k: usize| {
            let of = |at: usize| form(at, 1 + p + k, 2 + p + k);
            Shared::concat([&of(1), &of(2), &of(3)])
        };
        let rows = Shared::concat(&(0..pairs).map(row).collect::<Vec<_>>());
        let squares = product(session, &rows, &factors, (pairs, 3 * points, 1))?;
        let own = (0..pairs).map(|k| form(0, 1 + p + k, 2 + p + k).total());
        let squares = squares.plus(&Shared::concat(&own.collect::<Vec<_>>()));
        let squares = crate::fit::symmetric(&squares, p);
        session.truncate(sum.plus(&squares.times_integer(2)), 1)
    }

    /// The sum of squared scores of clusters from their sums, as
    /// [`crate::cox_local::Local::cluster_sums`] has them, of all centres one after another.
    pub(crate) fn squares_of_clusters(
        &self,
        session: &mut dyn Session,
        (sums, clusters): (&Shared, usize),
    ) -> Result<Shared, MpcError> {
        let (p, points) = (self.p, self.points);
        let each = clusters * (p + points + 2 * (1 + p) * points);
        let centres = sums.len() / each.max(1);
        let (mut own, mut rows, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for centre in 0..centres {
            let first = centre * each;
            own.push(sums.slice(first, first + clusters * p));
            let events = first + clusters * p;
            let risks = events + clusters * points;
            for cluster in 0..clusters {
                let at = events + cluster * points;
                rows.push(sums.slice(at, at + points).negated());
                let start = |class: usize| risks + (class * clusters + cluster) * (1 + p) * points;
                rows.extend([0, 1].map(|class| sums.slice(start(class), start(class) + points)));
                for k in 1..=p {
                    let at = |class: usize| start(class) + k * points;
                    columns.extend([0, 1].map(|class| sums.slice(at(class), at(class) + points)));
                }
            }
        }
        let count = centres * clusters;
        let [moved, moved_with] = &self.moved;
        let right = |k: usize| {
            let of = |column: &Shared| column.slice(k * points, (k + 1) * points);
            Shared::concat([&of(&self.means), &of(moved), &of(moved_with)])
        };
        let right = Shared::concat(&(0..p).map(right).collect::<Vec<_>>());
        let right = right.transposed(p, 3 * points);
        let first = product(session, &Shared::concat(&rows), &right, (count, 3 * points, p))?;
        let hazards = Shared::concat(&self.hazards);
        let columns = Shared::concat(&columns);
        let second = product(session, &columns, &hazards, (count * p, 2 * points, 1))?;
        let scores = Shared::concat(&own).plus(&first).minus(&second);
        product(session, &scores.transposed(count, p), &scores, (p, count, p))
    }
}

/// The diagonal of `I^-1 B I^-1` with 60 fractional bits, `[p]`. About 12 rounds.
pub(crate) fn sandwich(
    session: &mut dyn Session,
    inverse: &Inverse,
    squares: &Shared,
) -> Result<Shared, MpcError> {
    let p = inverse.scales.len();
    let by_row = inverse.scales.pick((0..p * p).map(|at| at / p));
    let half = fixed::multiply(session, squares, &by_row)?;
    let scaled = fixed::multiply(session, &half, &inverse.scales.repeat(p))?;
    let left = product(session, &inverse.scaled, &scaled, (p, p, p))?;
    // the inverse is symmetric: the diagonal is that of the rows' products
    let diagonal = fixed::dot(session, &left, &inverse.scaled, p)?;
    let raw = session.multiply_raw(&diagonal, &inverse.scales)?;
    let fine = session.truncate(raw, 2 * FRACTION_BITS - 60)?;
    let raw = session.multiply_raw(&fine, &inverse.scales)?;
    session.truncate(raw, FRACTION_BITS)
}
