//! The secure steps of cumulative incidences: everything here runs on shares.
//!
//! In one group, at one time: `n` patients at risk, `d_j` events of cause j, `d` of all causes,
//! `S` the survival of all causes, `S-` before the time, `F_j` the incidence of cause j.

use crate::km_steps::{GREENWOOD_BITS, running_products};
use konsil_mpc::linear::{complement, product, reaches};
use konsil_mpc::normalise::{divide, divide_each};
use konsil_mpc::{MpcError, Session, Shared, fixed};
use konsil_ring::{FRACTION_BITS, ONE, Word};

/// What numbers as small as one over the square of the patients are multiplied with.
const FINER: i128 = 1 << (GREENWOOD_BITS - FRACTION_BITS);

/// Groups, causes and points of the grid. Public.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) groups: usize,
    pub(crate) causes: usize,
    pub(crate) points: usize,
}

impl Shape {
    /// Numbers of one column over all groups.
    fn cells(self) -> usize {
        self.groups * self.points
    }

    /// One cause's part, `[group][point]`, of `[cause][group][point]`.
    fn cause(self, column: &Shared, cause: usize) -> Shared {
        column.slice(cause * self.cells(), (cause + 1) * self.cells())
    }

    /// One row of points.
    fn row(self, column: &Shared, row: usize) -> Shared {
        column.slice(row * self.points, (row + 1) * self.points)
    }

    /// Running sums of each row of points.
    fn running(self, column: &Shared) -> Shared {
        let rows = column.len() / self.points.max(1);
        let sums = (0..rows).map(|row| self.row(column, row).running_sums());
        Shared::concat(&sums.collect::<Vec<_>>())
    }

    /// What each row was at the point before, `start` at the first.
    fn before(self, session: &dyn Session, column: &Shared, start: Word) -> Shared {
        let rows = column.len() / self.points.max(1);
        let first = session.constant(&[start]);
        let moved = |row: usize| {
            let row = self.row(column, row);
            Shared::concat([&first, &row.slice(0, self.points - 1)])
        };
        Shared::concat(&(0..rows).map(moved).collect::<Vec<_>>())
    }

    /// The sum over the groups at each point.
    fn over_groups(self, column: &Shared) -> Shared {
        let zeros = Shared::zeros(self.points);
        (0..self.groups).fold(zeros, |sum, group| sum.plus(&self.row(column, group)))
    }
}

/// Incidences on the grid.
pub(crate) struct Incidences {
    shape: Shape,
    /// Events, integers, `[cause][group][point]`.
    pub(crate) deaths: Shared,
    /// Patients at risk, integers, `[group][point]`.
    pub(crate) at_risk: Shared,
    /// Survival of all causes, `[group][point]`.
    survival: Shared,
    /// Incidence of each cause, `[cause][group][point]`.
    pub(crate) incidence: Shared,
    /// `d (n - d) / (n - 1)` of each cause, then of all causes but it, `[2][cause][group][point]`.
    spread: Shared,
    /// 1 where someone is left after the point, `[group][point]`.
    left: Shared,
}

/// Incidences of Aalen and Johansen. Error of each: a unit for each point. About 110 rounds.
pub(crate) fn incidences(
    session: &mut dyn Session,
    (deaths, at_risk): (&Shared, &Shared),
    shape: Shape,
) -> Result<Incidences, MpcError> {
    let causes = shape.causes;
    let all = all_causes(deaths, shape);
    let rest = all.repeat(causes).minus(deaths);
    let ratios = divide_each(session, &deaths.integer_to_fixed(), &at_risk.integer_to_fixed())?;
    let of_all = all_causes(&ratios, shape);
    let factors = fixed::subtract_from(session, ONE, &of_all);
    let survival = running_products(session, &factors, (shape.groups, shape.points))?;
    let before = shape.before(session, &survival, ONE);
    let steps = fixed::multiply(session, &ratios, &before.repeat(causes))?;
    let events = Shared::concat([deaths, &rest]);
    let others = at_risk.repeat(2 * causes).minus(&events);
    let tops = session.multiply_raw(&events, &others)?.integer_to_fixed();
    let one_less = fixed::add_public(session, at_risk, Word::MAX).integer_to_fixed();
    let spread = divide_each(session, &tops, &one_less)?;
    let left = reaches(session, &at_risk.minus(&all), 1)?;
    Ok(Incidences {
        shape,
        deaths: deaths.clone(),
        at_risk: at_risk.clone(),
        survival,
        incidence: shape.running(&steps),
        spread,
        left,
    })
}

/// The sum over the causes, `[group][point]`.
fn all_causes(column: &Shared, shape: Shape) -> Shared {
    let zeros = Shared::zeros(shape.cells());
    (0..shape.causes).fold(zeros, |sum, cause| sum.plus(&shape.cause(column, cause)))
}

impl Incidences {
    /// Variances of the incidences with [`GREENWOOD_BITS`], at the points that `pick` takes out of a
    /// column `[cause][group][point]`.
    ///
    /// With `a = d (n - d) / ((n - 1) (n - all)^2)` of the cause and `b` of the other causes, the sums
    /// over the points `v1 = F^2 b + (S + F)^2 a`, `v2 = F b + (S + F) a`, `v3 = a + b` give
    /// `v1 + F^2 v3 - 2 F v2` (Marubini and Valsecchi 1995, 10.4). Where all die, `n - all` is 0:
    /// there `a` has `n` for it and `S-` for `S + F`, in `v1` only.
    pub(crate) fn variances(
        &self,
        session: &mut dyn Session,
        pick: &dyn Fn(&Shared) -> Shared,
    ) -> Result<Shared, MpcError> {
        let (shape, causes) = (self.shape, self.shape.causes);
        let cells = causes * shape.cells();
        let after = self.at_risk.minus(&all_causes(&self.deaths, shape));
        let end = complement(session, &self.left);
        let squares = session.square_raw(&Shared::concat([&after, &self.at_risk]))?;
        let (after, all) =
            (squares.slice(0, after.len()), squares.slice(after.len(), 2 * after.len()));
        let divisor = after.plus(&session.multiply_raw(&end, &all)?).integer_to_fixed();
        let terms = divide_each(session, &self.spread.times_integer(FINER), &divisor)?;
        let before = shape.before(session, &self.survival, ONE).repeat(causes);
        let incidence = &self.incidence;
        let weight = self.survival.repeat(causes).plus(incidence);
        let moved = session.multiply_raw(&end.repeat(causes), &before.minus(incidence))?;
        let weight = weight.plus(&moved);
        let kept = session.multiply_raw(&self.left.repeat(2 * causes), &terms)?;
        let (own, others) = (kept.slice(0, cells), kept.slice(cells, 2 * cells));
        let squares = fixed::square(session, &Shared::concat([incidence, &weight]))?;
        let factors = Shared::concat([&squares, incidence, &weight]);
        let terms = [&others, &terms.slice(0, cells), &others, &own];
        let sums = fixed::multiply(session, &factors, &Shared::concat(terms))?;
        let part = |at: usize| sums.slice(at * cells, (at + 1) * cells);
        let sums = [part(0).plus(&part(1)), part(2).plus(&part(3)), own.plus(&others)];
        let [first, second, third] = sums.map(|it| pick(&shape.running(&it)));
        let incidence = pick(incidence);
        let both = Shared::concat([&third, &second]);
        let both = fixed::multiply(session, &both, &incidence.repeat(2))?;
        let (third, second) =
            (both.slice(0, incidence.len()), both.slice(incidence.len(), both.len()));
        let third = fixed::multiply(session, &third, &incidence)?;
        Ok(first.plus(&third).minus(&second.times_integer(2)))
    }

    /// Gray's statistic for each cause, over the groups that take part, `[cause]`. About 330 rounds
    /// for each cause.
    pub(crate) fn gray(
        &self,
        session: &mut dyn Session,
        taking_part: &Shared,
    ) -> Result<Shared, MpcError> {
        let common = Common::new(session, self, taking_part)?;
        let mut statistics = Vec::new();
        for cause in 0..self.shape.causes {
            let (scores, variance) = common.test(session, self, cause)?;
            let form = (&scores, &variance);
            statistics.push(crate::km_steps::quadratic_form(session, form, taking_part)?);
        }
        Ok(Shared::concat(&statistics))
    }
}

/// What the tests of all causes share. Gray's sets at risk `R_k = n_k / S_k-` are those that would
/// be under observation without censoring and other causes.
struct Common {
    /// Patients at risk of groups that take part.
    at_risk: Shared,
    /// Events of all causes in groups that take part, `[cause][group][point]`.
    deaths: Shared,
    /// `S-`, `[group][point]`.
    before: Shared,
    /// `R_k`.
    sets: Shared,
    /// The sum of `R_k` over the groups, `[point]`.
    all: Shared,
    /// `w_k = R_k / sum R`.
    parts: Shared,
    /// `w_i (1(i = k) - w_k)`, `[i][k][point]`.
    outer: Shared,
}

impl Common {
    fn new(
        session: &mut dyn Session,
        of: &Incidences,
        taking_part: &Shared,
    ) -> Result<Self, MpcError> {
        let shape = of.shape;
        let (groups, points, causes) = (shape.groups, shape.points, shape.causes);
        let spread = taking_part.pick((0..shape.cells()).map(|at| at / points));
        let columns = Shared::concat([&of.at_risk, &of.deaths]);
        let kept = session.multiply_raw(&spread.repeat(1 + causes), &columns)?;
        let (at_risk, deaths) =
            (kept.slice(0, shape.cells()), kept.slice(shape.cells(), kept.len()));
        let before = shape.before(session, &of.survival, ONE);
        let sets = divide(session, &at_risk.integer_to_fixed(), &before)?;
        let all = shape.over_groups(&sets);
        let parts = divide_each(session, &sets, &all)?;
        let row = |group: usize| shape.row(&parts, group);
        let by_row: Vec<Shared> = (0..groups).map(|group| row(group).repeat(groups)).collect();
        let mixed = fixed::multiply(session, &Shared::concat(&by_row), &parts.repeat(groups))?;
        let diagonal = |group: usize| {
            let zeros = |count: usize| Shared::zeros(count * points);
            Shared::concat([&zeros(group), &row(group), &zeros(groups - group - 1)])
        };
        let diagonal = Shared::concat(&(0..groups).map(diagonal).collect::<Vec<_>>());
        let outer = diagonal.minus(&mixed);
        Ok(Self { at_risk, deaths, before, sets, all, parts, outer })
    }

    /// Scores and their covariance for one cause (Gray 1988, with weight 1).
    ///
    /// With `f` the incidence of all groups together, `d` the events of the cause in all groups, and
    /// `C_ik` the sum over later points of `w_i (1(i = k) - w_k) d / (1 - f-)`:
    /// `V_ij = sum_t sum_k u_k Q_ik Q_jk + v_k P_ik P_jk`,
    /// `Q_ik = 1(i = k) - w_i + C_ik (S_k - 1 + f) / m_k`, `P_ik = C_ik (1 - f) / m_k`,
    /// `u_k = w_k d (n_k - d w_k) / (n_k - w_k)`, `v_k` the spread of the other causes, and `m_k` the
    /// patients left after the point. This is Gray's recursion with its sums taken to the end.
    fn test(
        &self,
        session: &mut dyn Session,
        of: &Incidences,
        cause: usize,
    ) -> Result<(Shared, Shared), MpcError> {
        let shape = of.shape;
        let (groups, points) = (shape.groups, shape.points);
        let deaths = shape.cause(&self.deaths, cause);
        let all_deaths = shape.over_groups(&deaths);
        let scores = self.scores(session, of, (cause, &deaths, &all_deaths))?;
        let steps = divide(session, &all_deaths.integer_to_fixed(), &self.all)?;
        let incidence = steps.running_sums();
        let surviving = fixed::subtract_from(session, ONE, &incidence);
        let before = fixed::subtract_from(session, ONE, &shape.before(session, &incidence, 0));
        let rate = divide(session, &all_deaths.integer_to_fixed(), &before)?;
        let later = self.later(session, shape, &rate)?;
        let (first, second) = self.factors(session, of, &surviving)?;
        let factors = Shared::concat([&first.repeat(groups), &second.repeat(groups)]);
        let moved = session.multiply_raw(&later.repeat(2), &factors)?;
        let moved = session.truncate(moved, GREENWOOD_BITS)?;
        let pairs = groups * shape.cells();
        let mut plain = Vec::with_capacity(groups * groups);
        let ones = session.constant(&vec![ONE; points]);
        for i in 0..groups {
            for k in 0..groups {
                let own = if i == k { ones.clone() } else { Shared::zeros(points) };
                plain.push(own.minus(&shape.row(&self.parts, i)));
            }
        }
        let q = Shared::concat(&plain).plus(&moved.slice(0, pairs));
        let p = moved.slice(pairs, 2 * pairs);
        let weights = self.weights(session, &all_deaths)?;
        let spread = shape.cause(&of.spread, of.shape.causes + cause);
        // [i][k][point] of both kinds, each times its weight [k][point]
        let both = Shared::concat([&q, &p]);
        let weights = Shared::concat([&weights.repeat(groups), &spread.repeat(groups)]);
        let weighted = fixed::multiply(session, &both, &weights)?;
        let width = shape.cells();
        let by_group = |column: &Shared| {
            let row = |i: usize| {
                let of = |first: usize| column.slice(first + i * width, first + (i + 1) * width);
                Shared::concat([&of(0), &of(pairs)])
            };
            Shared::concat(&(0..groups).map(row).collect::<Vec<_>>())
        };
        let right = by_group(&weighted).transposed(groups, 2 * width);
        let variance = product(session, &by_group(&both), &right, (groups, 2 * width, groups))?;
        Ok((scores, variance))
    }

    /// Events of each group minus those expected if all groups were alike.
    fn scores(
        &self,
        session: &mut dyn Session,
        of: &Incidences,
        (cause, deaths, all_deaths): (usize, &Shared, &Shared),
    ) -> Result<Shared, MpcError> {
        let shape = of.shape;
        let incidence = shape.before(session, &shape.cause(&of.incidence, cause), 0);
        let free = fixed::subtract_from(session, ONE, &incidence);
        let sets = fixed::multiply(session, &self.sets, &free)?;
        let parts = divide_each(session, &sets, &shape.over_groups(&sets))?;
        let all_deaths = all_deaths.repeat(shape.groups);
        let expected = session.dot_raw(&parts, &all_deaths, shape.points)?;
        let observed = (0..shape.groups).map(|group| shape.row(deaths, group).total());
        let observed = Shared::concat(&observed.collect::<Vec<_>>());
        Ok(observed.integer_to_fixed().minus(&expected))
    }

    /// `C_ik`, `[i][k][point]`: the sum over the points after each.
    fn later(
        &self,
        session: &mut dyn Session,
        shape: Shape,
        rate: &Shared,
    ) -> Result<Shared, MpcError> {
        let rows = shape.groups * shape.groups;
        let steps = fixed::multiply(session, &self.outer, &rate.repeat(rows))?;
        let sums = shape.running(&steps);
        let last = sums
            .pick((0..sums.len()).map(|at| at / shape.points * shape.points + shape.points - 1));
        Ok(last.minus(&sums))
    }

    /// `(S_k - 1 + f) / m_k`, where nobody is left `S_k- / n_k`; and `(1 - f) / m_k`, there 0; with
    /// [`GREENWOOD_BITS`].
    fn factors(
        &self,
        session: &mut dyn Session,
        of: &Incidences,
        surviving: &Shared,
    ) -> Result<(Shared, Shared), MpcError> {
        let shape = of.shape;
        let cells = shape.cells();
        let surviving = surviving.repeat(shape.groups);
        let first = of.survival.minus(&surviving).minus(&self.before);
        let end = complement(session, &of.left);
        let columns = Shared::concat([&first, &surviving, &self.at_risk]);
        let flags = Shared::concat([&of.left, &of.left, &end]);
        let chosen = session.multiply_raw(&flags, &columns)?;
        let part = |at: usize| chosen.slice(at * cells, (at + 1) * cells);
        let tops = Shared::concat([&part(0).plus(&self.before), &part(1)]);
        let left = self.at_risk.minus(&all_causes(&self.deaths, shape));
        let bottom = left.plus(&part(2)).integer_to_fixed();
        let factors = divide_each(session, &tops.times_integer(FINER), &bottom)?;
        Ok((factors.slice(0, cells), factors.slice(cells, 2 * cells)))
    }

    /// `u_k = w_k d (n_k - d w_k) / (n_k - w_k)`, `[k][point]`.
    fn weights(&self, session: &mut dyn Session, all_deaths: &Shared) -> Result<Shared, MpcError> {
        let groups = self.parts.len() / all_deaths.len().max(1);
        let at_risk = self.at_risk.integer_to_fixed();
        let share = session.multiply_raw(&self.parts, &all_deaths.repeat(groups))?;
        let top = fixed::multiply(session, &share, &at_risk.minus(&share))?;
        divide(session, &top, &at_risk.minus(&self.parts))
    }
}
