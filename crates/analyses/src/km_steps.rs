//! The secure steps of survival curves: everything here runs on shares.

use crate::curves::{Leaving, at_risk};
use konsil_mpc::{MpcError, Session, Shared, fixed, linear, normalise, transcendental};
use konsil_ring::{FRACTION_BITS, ONE, Word, encode};

/// Fractional bits of Greenwood's sum: its terms are as small as one over the square of the patients.
pub(crate) const GREENWOOD_BITS: u32 = FRACTION_BITS + GREENWOOD_MORE;
const GREENWOOD_MORE: u32 = 20;

/// Survival of each group on the grid, all columns `[group][point]`.
pub(crate) struct Curves {
    /// Events, integers.
    pub(crate) events: Shared,
    /// Patients at risk, integers.
    pub(crate) at_risk: Shared,
    /// Survival, fixed point.
    pub(crate) survival: Shared,
    /// Greenwood's sum with [`GREENWOOD_BITS`] fractional bits; at least 1 from where nobody survives,
    /// below 1 before.
    pub(crate) greenwood: Shared,
    pub(crate) groups: usize,
    pub(crate) points: usize,
}

impl Curves {
    pub(crate) fn row(&self, column: &Shared, group: usize) -> Shared {
        column.slice(group * self.points, (group + 1) * self.points)
    }

    /// Patients of each group, then events of each.
    pub(crate) fn sizes(&self) -> Shared {
        let events = (0..self.groups).map(|group| self.row(&self.events, group).total());
        let events = Shared::concat(&events.collect::<Vec<_>>());
        Shared::concat([&self.at(&self.at_risk, 0), &events])
    }

    /// One grid point of every group.
    pub(crate) fn at(&self, column: &Shared, place: usize) -> Shared {
        column.pick((0..self.groups).map(|group| group * self.points + place))
    }
}

/// Survival and Greenwood's sums from events and censorings.
///
/// Two divisions for each group and point, and a product tree over the points. Error of survival:
/// one unit for each point, 2e-8 at most for 20,000 points.
pub(crate) fn curves(
    session: &mut dyn Session,
    leaving: &Leaving,
    (groups, points): (usize, usize),
) -> Result<Curves, MpcError> {
    let (events, at_risk) = (&leaving.0, at_risk(leaving, (groups, points)));
    let surviving = at_risk.minus(events);
    // d / n, and d / (n (n - d)); both 0 where nobody is at risk, because d is. Where all die the
    // second is divided by 1 instead of 0, which is more than the whole sum can be before
    let product = session.multiply_raw(&at_risk, &surviving)?;
    let some = linear::reaches(session, &product, 1)?;
    let product = product.plus(&linear::complement(session, &some));
    let divisors = Shared::concat([&at_risk, &product]).integer_to_fixed();
    let finer = events.times_integer(1 << GREENWOOD_MORE);
    let dividends = Shared::concat([events, &finer]).integer_to_fixed();
    let ratios = normalise::divide(session, &dividends, &divisors)?;
    let half = groups * points;
    let factors = fixed::subtract_from(session, ONE, &ratios.slice(0, half));
    let terms = ratios.slice(half, 2 * half);
    let sums: Vec<Shared> = (0..groups)
        .map(|group| terms.slice(group * points, (group + 1) * points).running_sums())
        .collect();
    let survival = running_products(session, &factors, (groups, points))?;
    Ok(Curves {
        events: events.clone(),
        at_risk,
        survival,
        greenwood: Shared::concat(&sums),
        groups,
        points,
    })
}

/// Products of each row from its first element on: `log2(points)` times 2 rounds.
pub(crate) fn running_products(
    session: &mut dyn Session,
    factors: &Shared,
    (groups, points): (usize, usize),
) -> Result<Shared, MpcError> {
    let mut products = factors.clone();
    let mut reach = 1;
    while reach < points {
        // Sklansky: the upper half of every block takes the top of the lower half
        let places: Vec<usize> =
            (0..groups * points).filter(|place| place % points / reach % 2 == 1).collect();
        let top = |place: &usize| {
            let (group, at) = (place / points, place % points);
            group * points + at / (2 * reach) * (2 * reach) + reach - 1
        };
        let upper = products.pick(places.iter().copied());
        let lower = products.pick(places.iter().map(top));
        let product = fixed::multiply(session, &upper, &lower)?;
        products = products.replaced(&places, &product);
        reach *= 2;
    }
    Ok(products)
}

/// The scale on which limits of survival are symmetric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// `S`.
    Plain,
    /// `ln S`.
    Log,
    /// `ln(-ln S)`.
    LogLog,
}

impl Scale {
    /// Limits of a survival with the standard error of its logarithm, at the researcher. None where
    /// nobody survives, and on the scale of [`Scale::LogLog`] none where everybody does.
    pub(crate) fn limits(self, survival: f64, error: f64, z: f64) -> (f64, f64) {
        let at_most_one = |it: f64| if it > 1.0 { 1.0 } else { it };
        match self {
            Self::Plain => {
                let half = z * error * survival;
                let low = survival - half;
                (if low < 0.0 { 0.0 } else { low }, at_most_one(survival + half))
            }
            Self::Log => {
                let factor = (z * error).exp();
                (survival / factor, at_most_one(survival * factor))
            }
            Self::LogLog => {
                // whose survival has no error has lost nobody
                let log = if error > 0.0 { survival.ln() } else { f64::NAN };
                let factor = (z * error / log).exp();
                ((log / factor).exp(), (log * factor).exp())
            }
        }
    }

    /// The squared distance of each survival from 1/2 on this scale, and the squared half width of its
    /// limits, both with [`GREENWOOD_BITS`].
    ///
    /// With `H = -ln S` limits include 1/2 when `(S - 1/2)^2 < z^2 S^2 G`, `(ln 2S)^2 < z^2 G`, or
    /// `(H ln(H / ln 2))^2 < z^2 G`.
    fn distances(
        self,
        session: &mut dyn Session,
        curves: &Curves,
        z: f64,
    ) -> Result<(Shared, Shared), MpcError> {
        let survival = &curves.survival;
        let reach = fixed::scale(session, &curves.greenwood, z * z)?;
        let (distance, reach) = match self {
            Self::Plain => {
                let squares = fixed::square(session, survival)?;
                let distance = fixed::add_public(session, survival, (ONE / 2).wrapping_neg());
                (distance, fixed::multiply(session, &squares, &reach)?)
            }
            Self::Log => (transcendental::ln(session, &survival.times_integer(2))?, reach),
            Self::LogLog => {
                let hazard = transcendental::ln(session, survival)?.negated();
                // where nobody has died yet any small number does: there is no error either
                let least = session.constant(&vec![ONE >> 20; hazard.len()]);
                let hazard = fixed::maximum(session, &hazard, &least)?;
                let ratio = fixed::scale(session, &hazard, std::f64::consts::LN_2.recip())?;
                let logs = transcendental::ln(session, &ratio)?;
                (fixed::multiply(session, &hazard, &logs)?, reach)
            }
        };
        let squares = fixed::square(session, &distance)?;
        Ok((squares.times_integer(1 << GREENWOOD_MORE), reach))
    }
}

/// Places of the median, of the point where the curve falls below it, of its lower and of its upper
/// limit, plus one, `[4][group]`; 0 where the curve does not get there.
///
/// The two places of the median differ where the curve runs level at 1/2: then it is their middle,
/// as in R. The lower limit is the first point where `S <= 1/2` or 1/2 is within the limits of `S`, the
/// upper one where `S <= 1/2` and it is not. They end where nobody survives.
pub(crate) fn medians(
    session: &mut dyn Session,
    curves: &Curves,
    (scale, z): (Scale, f64),
) -> Result<Shared, MpcError> {
    let cells = curves.groups * curves.points;
    let (squares, reach) = scale.distances(session, curves, z)?;
    // the curve's rounding must not move a median that lies on a step
    let tolerance = encode(1e-7)?;
    let less = |bound: Word| fixed::add_public(session, &curves.survival, bound.wrapping_neg());
    let above_half = less(ONE / 2 + tolerance);
    let at_half = less(ONE / 2 - tolerance);
    // 1 - 1/n is the most that the sum can be while anyone survives
    let one = (1 << GREENWOOD_BITS) - (1 << GREENWOOD_MORE);
    let dying = fixed::add_public(session, &curves.greenwood, Word::wrapping_neg(one));
    let signs = [above_half, at_half, squares.minus(&reach), dying];
    let signs = session.negative(&Shared::concat(&signs))?;
    let signs = session.to_integers(&signs)?;
    let sign = |at: usize| signs.slice(at * cells, (at + 1) * cells);
    let (half, below, near, alive) = (sign(0), sign(1), sign(2), sign(3));
    let both = session.multiply_raw(&half, &near)?;
    let limits = Shared::concat([&half.plus(&near).minus(&both), &half.minus(&both)]);
    let limits = session.multiply_raw(&limits, &alive.repeat(2))?;
    let reached = Shared::concat([&half, &below, &limits]);
    first_places(session, &reached, (4 * curves.groups, curves.points))
}

/// Fractional bits of a stretch of time in units of the grid's step.
const STRETCH_BITS: u32 = 20;

/// Time from each point of the grid to the next, up to a horizon; what lies between time 0 and the
/// first point comes before all. In units of the step, [`STRETCH_BITS`].
pub(crate) fn stretches((first, horizon): (f64, f64), points: usize) -> Vec<i128> {
    let unit = f64::from(1_u32 << STRETCH_BITS);
    let place = |at: usize| (at as f64).min((horizon - first).max(0.0));
    let mut all = vec![first.min(horizon)];
    all.extend((0..points).map(|at| place(at + 1) - place(at)));
    // what lies beyond the last point belongs to it
    if let Some(last) = all.last_mut() {
        *last += (horizon - first - points as f64).max(0.0);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 20,000 steps and their 2^20 parts"
    )]
    all.into_iter().map(|it| (it * unit).round() as i128).collect()
}

/// The area under each curve from time 0 to a horizon, as part of the horizon, and its variance with
/// [`GREENWOOD_BITS`], `[2][group]`.
///
/// The variance is `sum_i A_i^2 d_i / (n_i (n_i - d_i))` with the area `A_i` from the i-th point on
/// (Klein and Moeschberger 2003, 4.5.2). Error of the area: 2^-39 of the horizon for each point. 5
/// rounds.
pub(crate) fn restricted_means(
    session: &mut dyn Session,
    curves: &Curves,
    stretches: &[i128],
) -> Result<Shared, MpcError> {
    let (groups, points) = (curves.groups, curves.points);
    let total: i128 = stretches.iter().sum::<i128>().max(1);
    let (before, after) = stretches.split_at(1);
    let part = |sum: &Shared| sum.times_integer((1 << 80) / total);
    let backwards = |column: &Shared| column.pick((0..points).rev());
    let areas = |group: usize| {
        let stretched = curves.row(&curves.survival, group).times_integers(after);
        backwards(&backwards(&stretched).running_sums())
    };
    let areas = Shared::concat(&(0..groups).map(areas).collect::<Vec<_>>());
    // by 80 bits; a truncation takes off 63 at most
    let areas = session.truncate(part(&areas), 40)?;
    let areas = session.truncate(areas, 40)?;
    let squares = fixed::square(session, &areas)?;
    let terms = |group: usize| {
        let sums = curves.row(&curves.greenwood, group);
        sums.minus(&Shared::concat([&Shared::zeros(1), &sums.slice(0, points - 1)]))
    };
    let terms = Shared::concat(&(0..groups).map(terms).collect::<Vec<_>>());
    let variances = fixed::dot(session, &squares, &terms, points)?;
    let start = encode(before.iter().sum::<i128>() as f64 / total as f64)?;
    let whole = fixed::add_public(session, &curves.at(&areas, 0), start);
    Ok(Shared::concat([&whole, &variances]))
}

/// The first place whose flag is 1 of each row, plus one; 0 when none is. Flags may go back to 0 (a
/// confidence limit can), so that they are first made to stay. 5 rounds.
fn first_places(
    session: &mut dyn Session,
    flags: &Shared,
    (rows, points): (usize, usize),
) -> Result<Shared, MpcError> {
    let row = |column: &Shared, at: usize| column.slice(at * points, (at + 1) * points);
    let counts: Vec<Shared> = (0..rows).map(|at| row(flags, at).running_sums()).collect();
    let stays = linear::reaches(session, &Shared::concat(&counts), 1)?;
    let places: Vec<i128> = (1..).take(points).collect();
    let firsts = (0..rows).map(|at| {
        let stays = row(&stays, at);
        let before = Shared::concat([&Shared::zeros(1), &stays.slice(0, points - 1)]);
        stays.minus(&before).times_integers(&places).total()
    });
    Ok(Shared::concat(&firsts.collect::<Vec<_>>()))
}

/// What the log-rank test is made of, on shares, fixed point.
struct LogRank {
    /// Events of each group.
    observed: Shared,
    /// Events expected if all groups were alike.
    expected: Shared,
    /// Covariance of the differences, `[group][group]`.
    covariance: Shared,
}

/// What is compared: events and patients at risk, `[group][time]`, the times of all strata one after
/// another.
pub(crate) struct Compared {
    pub(crate) events: Shared,
    pub(crate) at_risk: Shared,
    pub(crate) groups: usize,
    pub(crate) times: usize,
}

impl Compared {
    fn row(&self, column: &Shared, group: usize) -> Shared {
        column.slice(group * self.times, (group + 1) * self.times)
    }
}

/// The log-rank test over the groups with enough patients: the statistic, and, where `shown`,
/// observed and expected events. Fixed point, `[statistic, observed.., expected..]`; with `trend` the
/// statistic of the trend as well, empty otherwise.
pub(crate) fn log_rank(
    session: &mut dyn Session,
    compared: &Compared,
    (taking_part, shown): (&Shared, &Shared),
    trend: bool,
) -> Result<(Shared, Shared), MpcError> {
    let sums = log_rank_sums(session, compared, taking_part)?;
    let differences = sums.observed.minus(&sums.expected);
    let statistic = quadratic_form(session, (&differences, &sums.covariance), taking_part)?;
    let trend = if trend { trend_statistic(session, &sums)? } else { Shared::default() };
    let each = Shared::concat([&sums.observed, &sums.expected]);
    let each = session.multiply_raw(&shown.repeat(2), &each)?;
    Ok((Shared::concat([&statistic, &each]), trend))
}

/// `(s'd)^2 / s'Vs` with the scores 1, 2, .. of the groups in the dictionary's order, groups that take
/// no part left out (Tarone 1975). Moving the scores changes nothing, because differences and rows of
/// `V` add up to 0: they are moved to their middle.
fn trend_statistic(session: &mut dyn Session, sums: &LogRank) -> Result<Shared, MpcError> {
    let groups = sums.observed.len();
    let count = i128::try_from(groups).unwrap_or(0);
    let scores: Vec<i128> = (0..count).map(|at| 2 * at + 1 - count).collect();
    let differences = sums.observed.minus(&sums.expected);
    let sum = differences.times_integers(&scores).total();
    let pairs: Vec<i128> =
        scores.iter().flat_map(|row| scores.iter().map(move |column| row * column)).collect();
    let variance = sums.covariance.times_integers(&pairs).total();
    let ratio = normalise::divide(session, &sum, &variance)?;
    fixed::multiply(session, &ratio, &sum)
}

/// `d' V^- d` for the differences `d` and their covariance `V`, whose rows add up to 0.
///
/// `V + a 11'` over the groups that take part, and 1 in the diagonal for the others, is invertible
/// and gives the same form, whatever `a > 0`; the mean variance keeps it well conditioned.
pub(crate) fn quadratic_form(
    session: &mut dyn Session,
    (differences, covariance): (&Shared, &Shared),
    taking_part: &Shared,
) -> Result<Shared, MpcError> {
    let groups = taking_part.len();
    let cells = groups * groups;
    let diagonal = |at: usize| at / groups == at % groups;
    let trace = covariance.pick((0..cells).filter(|at| diagonal(*at))).total();
    let mean = fixed::scale(session, &trace, 1.0 / groups as f64)?;
    let of_row = taking_part.pick((0..cells).map(|at| at / groups));
    let pairs = session.multiply_raw(&of_row, &taking_part.repeat(groups))?;
    let ridge = session.multiply_raw(&pairs, &mean.repeat(cells))?;
    let left_out = linear::complement(session, taking_part).integer_to_fixed();
    let left_out =
        left_out.pick((0..cells).map(|at| if diagonal(at) { at / groups } else { groups }));
    let matrix = covariance.plus(&ridge).plus(&left_out);
    let inverse = linear::inverse(session, &matrix, groups)?;
    let solved = inverse.times(session, differences)?;
    fixed::dot(session, differences, &solved, groups)
}

/// Observed, expected, covariance of the groups that take part; 0 for the others.
fn log_rank_sums(
    session: &mut dyn Session,
    compared: &Compared,
    verdicts: &Shared,
) -> Result<LogRank, MpcError> {
    let (groups, points) = (compared.groups, compared.times);
    // groups that are too small take no part, as if the cohort were without them
    let spread = verdicts.pick((0..groups * points).map(|at| at / points));
    let kept = session.multiply_raw(
        &Shared::concat([&spread, &spread]),
        &Shared::concat([&compared.events, &compared.at_risk]),
    )?;
    let (events, at_risk) =
        (kept.slice(0, groups * points), kept.slice(groups * points, 2 * groups * points));
    let over_groups = |column: &Shared| {
        (0..groups).fold(Shared::zeros(points), |sum, group| sum.plus(&compared.row(column, group)))
    };
    let (all_events, all_risk) = (over_groups(&events), over_groups(&at_risk));
    let one_less = fixed::add_public(session, &all_risk, Word::MAX);
    let surviving = all_risk.minus(&all_events);
    let variance_top = session.multiply_raw(&all_events, &surviving)?;
    let tops = Shared::concat([&at_risk, &variance_top]).integer_to_fixed();
    let bottoms = Shared::concat([&all_risk.repeat(groups), &one_less]).integer_to_fixed();
    let ratios = normalise::divide(session, &tops, &bottoms)?;
    let shares = ratios.slice(0, groups * points);
    let weights = ratios.slice(groups * points, (groups + 1) * points);
    let expected = session.dot_raw(&shares, &all_events.repeat(groups), points)?;
    let weighted = fixed::multiply(session, &shares, &weights.repeat(groups))?;
    let mut left = Vec::with_capacity(groups * groups);
    let mut right = Vec::with_capacity(groups * groups);
    for g in 0..groups {
        for h in 0..groups {
            left.push(compared.row(&weighted, g));
            right.push(compared.row(&shares, h));
        }
    }
    let products = session.dot_raw(&Shared::concat(&left), &Shared::concat(&right), points)?;
    let products = session.truncate(products, FRACTION_BITS)?;
    let totals: Vec<Shared> = (0..groups).map(|g| compared.row(&weighted, g).total()).collect();
    let totals = Shared::concat(&totals);
    let diagonal = totals.pick(
        (0..groups * groups).map(
            |at| {
                if at / groups == at % groups { at / groups } else { groups }
            },
        ),
    );
    let observed: Vec<Shared> = (0..groups).map(|g| compared.row(&events, g).total()).collect();
    let observed = Shared::concat(&observed).integer_to_fixed();
    let covariance = diagonal.minus(&products);
    Ok(LogRank { observed, expected, covariance })
}
