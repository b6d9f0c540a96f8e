//! The secure steps of survival curves: everything here runs on shares.

use konsil_disclosure::{Counts, Policy, Residual, Rounding, by_centre, large_enough, midpoints};
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
    fn row(&self, column: &Shared, group: usize) -> Shared {
        column.slice(group * self.points, (group + 1) * self.points)
    }

    /// Patients of each group, then events of each.
    pub(crate) fn sizes(&self) -> Shared {
        let events = (0..self.groups).map(|group| self.row(&self.events, group).total());
        let events = Shared::concat(&events.collect::<Vec<_>>());
        Shared::concat([&self.at(&self.at_risk, 0), &events])
    }

    /// One grid point of every group.
    fn at(&self, column: &Shared, place: usize) -> Shared {
        column.pick((0..self.groups).map(|group| group * self.points + place))
    }
}

/// Events and censorings, `[group][point]`, integers.
pub(crate) type Leaving = (Shared, Shared);

/// Patients at risk, from those who leave later.
pub(crate) fn at_risk((events, censored): &Leaving, (groups, points): (usize, usize)) -> Shared {
    let leaving = events.plus(censored);
    let backwards = |group: usize| (0..points).rev().map(move |at| group * points + at);
    let rows: Vec<Shared> = (0..groups)
        .map(|group| leaving.pick(backwards(group)).running_sums().pick((0..points).rev()))
        .collect();
    Shared::concat(&rows)
}

/// Events and censorings such that those up to each point are rounded by the policy: everything that
/// follows knows rounded counts only (R9). 6 rounds where anything is rounded.
pub(crate) fn rounded(
    session: &mut dyn Session,
    policy: &Policy,
    exact: &Leaving,
    (groups, points): (usize, usize),
) -> Result<Leaving, MpcError> {
    if policy.rounding == Rounding::None {
        return Ok(exact.clone());
    }
    let both = Shared::concat([&exact.0, &exact.1]);
    let rows = |column: &Shared| -> Vec<Shared> {
        (0..2 * groups).map(|row| column.slice(row * points, (row + 1) * points)).collect()
    };
    let sums: Vec<Shared> = rows(&both).iter().map(Shared::running_sums).collect();
    let sums = midpoints(session, &Shared::concat(&sums))?;
    let steps: Vec<Shared> = (rows(&sums).iter())
        .map(|row| row.minus(&Shared::concat([&Shared::zeros(1), &row.slice(0, points - 1)])))
        .collect();
    let steps = Shared::concat(&steps);
    let half = groups * points;
    Ok((steps.slice(0, half), steps.slice(half, 2 * half)))
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
fn running_products(
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

/// Places of the median, of the point where the curve falls below it, of its lower and of its upper
/// limit, plus one, `[4][group]`; 0 where the curve does not get there.
///
/// The two places of the median differ where the curve runs level at 1/2: then it is their middle,
/// as in R. The lower limit is the first point where `S <= 1/2` or `(ln 2S)^2 <= z^2 G`, the upper
/// one where `S <= 1/2` and not that: limits on the log scale, which end where nobody survives.
pub(crate) fn medians(
    session: &mut dyn Session,
    curves: &Curves,
    z: f64,
) -> Result<Shared, MpcError> {
    let cells = curves.groups * curves.points;
    let logs = transcendental::ln(session, &curves.survival.times_integer(2))?;
    let squares = fixed::square(session, &logs)?;
    let squares = squares.times_integer(1 << GREENWOOD_MORE);
    let reach = fixed::scale(session, &curves.greenwood, z * z)?;
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

/// What may be shown of the curves.
pub(crate) struct Shown {
    /// `[place][group][survival, greenwood]`, 0 where not shown.
    pub(crate) values: Shared,
    /// `[place][group][shown, at risk, events since the last shown]`, integers.
    pub(crate) counts: Shared,
}

/// Decides place after place: enough events since the last shown place, enough patients at risk,
/// also without those who may subtract theirs (R2, R9). Judged are the `exact` counts; shown is what
/// the curves are made of, which may be rounded. `mine` are this centre's events, then censorings,
/// `[group][point]`. About 13 rounds for each place.
pub(crate) fn shown_points(
    session: &mut dyn Session,
    policy: &Policy,
    (curves, exact): (&Curves, &Leaving),
    (mine, places): (&[Word], &[usize]),
) -> Result<Shown, MpcError> {
    let groups = curves.groups;
    let happened = |events: &Shared| {
        let rows = (0..groups).map(|group| curves.row(events, group).running_sums());
        Shared::concat(&rows.collect::<Vec<_>>())
    };
    let (happened, truly) = (happened(&curves.events), happened(&exact.0));
    let exact_risk = at_risk(exact, (groups, curves.points));
    let own = OwnCounts::new(session, policy, mine, (groups, curves.points, places))?;
    let mut since = Shared::concat([&Shared::zeros(groups), &own.zeros(groups)]);
    let mut before = since.clone();
    let (mut values, mut counts) = (Vec::new(), Vec::new());
    let risk: Vec<Shared> = places.iter().map(|at| curves.at(&exact_risk, *at)).collect();
    let all_risk = Counts::of(Shared::concat(&risk), own.at_risk.clone());
    let enough_risk = large_enough(session, policy, &all_risk)?;
    for (index, place) in places.iter().enumerate() {
        // what may be shown of each group, its exact count, then every centre's
        let pooled = [curves.at(&happened, *place), curves.at(&truly, *place)];
        let now = Shared::concat([&pooled[0], &pooled[1], &own.at(index, groups)]);
        since = since.plus(&now.minus(&before));
        before = now;
        let pooled = since.slice(groups, 2 * groups);
        let judged = Counts::of(pooled, since.slice(2 * groups, since.len()));
        let enough = large_enough(session, policy, &judged)?;
        let at_risk = enough_risk.slice(index * groups, (index + 1) * groups);
        let show = session.multiply_raw(&enough, &at_risk)?;
        let columns = [
            curves.at(&curves.survival, *place),
            curves.at(&curves.greenwood, *place),
            curves.at(&curves.at_risk, *place),
            since.clone(),
        ];
        let all = Shared::concat(&columns);
        let masked = session.multiply_raw(&show.repeat(all.len() / groups.max(1)), &all)?;
        let part = |at: usize| masked.slice(at * groups, (at + 1) * groups);
        values.push(Shared::concat([&part(0), &part(1)]).transposed(2, groups));
        counts.push(Shared::concat([&show, &part(2), &part(3)]).transposed(3, groups));
        since = since.minus(&masked.slice(3 * groups, masked.len()));
    }
    Ok(Shown { values: Shared::concat(&values), counts: Shared::concat(&counts) })
}

/// What each centre brings to the counts at the places that may be shown.
struct OwnCounts {
    /// Events up to each place, `[centre][place][group]`.
    happened: Shared,
    /// Patients at risk, `[centre][place][group]`.
    at_risk: Shared,
    places: usize,
}

impl OwnCounts {
    fn new(
        session: &mut dyn Session,
        policy: &Policy,
        mine: &[Word],
        (groups, points, places): (usize, usize, &[usize]),
    ) -> Result<Self, MpcError> {
        if policy.residual == Residual::None {
            let (happened, at_risk) = (Shared::default(), Shared::default());
            return Ok(Self { happened, at_risk, places: places.len() });
        }
        let (events, censored) = mine.split_at(groups * points);
        let count = |column: &[Word], group: usize, from: usize, to: usize| {
            let row = column.get(group * points..).unwrap_or_default();
            row.get(from..to)
                .unwrap_or_default()
                .iter()
                .fold(0, |sum: Word, it| sum.wrapping_add(*it))
        };
        let (mut happened, mut at_risk) = (Vec::new(), Vec::new());
        for place in places {
            for group in 0..groups {
                happened.push(count(events, group, 0, place + 1));
                let later = count(events, group, *place, points);
                at_risk.push(later.wrapping_add(count(censored, group, *place, points)));
            }
        }
        let (happened, at_risk) = (by_centre(session, &happened)?, by_centre(session, &at_risk)?);
        Ok(Self { happened, at_risk, places: places.len() })
    }

    /// Zeros for the pooled count of each group and every centre's.
    fn zeros(&self, groups: usize) -> Shared {
        Shared::zeros(groups + self.happened.len() / self.places.max(1))
    }

    /// Events of each centre up to a place, `[centre][group]`.
    fn at(&self, place: usize, groups: usize) -> Shared {
        let width = (self.places * groups).max(1);
        let centres = self.happened.len() / width;
        let row = |centre: usize| {
            let start = centre * width + place * groups;
            self.happened.slice(start, start + groups)
        };
        Shared::concat(&(0..centres).map(row).collect::<Vec<_>>())
    }
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

/// The log-rank test over the groups with enough patients: the statistic, and, where `shown`,
/// observed and expected events. Fixed point, `[statistic, observed.., expected..]`.
pub(crate) fn log_rank(
    session: &mut dyn Session,
    curves: &Curves,
    (taking_part, shown): (&Shared, &Shared),
) -> Result<Shared, MpcError> {
    let sums = log_rank_sums(session, curves, taking_part)?;
    let statistic = log_rank_statistic(session, &sums, taking_part)?;
    let each = Shared::concat([&sums.observed, &sums.expected]);
    let each = session.multiply_raw(&shown.repeat(2), &each)?;
    Ok(Shared::concat([&statistic, &each]))
}

/// `d' V^- d` for the differences `d` and their covariance `V`, whose rows add up to 0.
///
/// `V + a 11'` over the groups that take part, and 1 in the diagonal for the others, is invertible
/// and gives the same form, whatever `a > 0`; the mean variance keeps it well conditioned.
fn log_rank_statistic(
    session: &mut dyn Session,
    sums: &LogRank,
    taking_part: &Shared,
) -> Result<Shared, MpcError> {
    let groups = taking_part.len();
    let cells = groups * groups;
    let diagonal = |at: usize| at / groups == at % groups;
    let trace = sums.covariance.pick((0..cells).filter(|at| diagonal(*at))).total();
    let mean = fixed::scale(session, &trace, 1.0 / groups as f64)?;
    let of_row = taking_part.pick((0..cells).map(|at| at / groups));
    let pairs = session.multiply_raw(&of_row, &taking_part.repeat(groups))?;
    let ridge = session.multiply_raw(&pairs, &mean.repeat(cells))?;
    let left_out = linear::complement(session, taking_part).integer_to_fixed();
    let left_out =
        left_out.pick((0..cells).map(|at| if diagonal(at) { at / groups } else { groups }));
    let matrix = sums.covariance.plus(&ridge).plus(&left_out);
    let inverse = linear::inverse(session, &matrix, groups)?;
    let differences = sums.observed.minus(&sums.expected);
    let solved = inverse.times(session, &differences)?;
    fixed::dot(session, &differences, &solved, groups)
}

/// Observed, expected, covariance of the groups that take part; 0 for the others.
fn log_rank_sums(
    session: &mut dyn Session,
    curves: &Curves,
    verdicts: &Shared,
) -> Result<LogRank, MpcError> {
    let (groups, points) = (curves.groups, curves.points);
    // groups that are too small take no part, as if the cohort were without them
    let spread = verdicts.pick((0..groups * points).map(|at| at / points));
    let kept = session.multiply_raw(
        &Shared::concat([&spread, &spread]),
        &Shared::concat([&curves.events, &curves.at_risk]),
    )?;
    let (events, at_risk) =
        (kept.slice(0, groups * points), kept.slice(groups * points, 2 * groups * points));
    let over_groups = |column: &Shared| {
        (0..groups).fold(Shared::zeros(points), |sum, group| sum.plus(&curves.row(column, group)))
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
            left.push(curves.row(&weighted, g));
            right.push(curves.row(&shares, h));
        }
    }
    let products = session.dot_raw(&Shared::concat(&left), &Shared::concat(&right), points)?;
    let products = session.truncate(products, FRACTION_BITS)?;
    let totals: Vec<Shared> = (0..groups).map(|g| curves.row(&weighted, g).total()).collect();
    let totals = Shared::concat(&totals);
    let diagonal = totals.pick(
        (0..groups * groups).map(
            |at| {
                if at / groups == at % groups { at / groups } else { groups }
            },
        ),
    );
    let observed: Vec<Shared> = (0..groups).map(|g| curves.row(&events, g).total()).collect();
    let observed = Shared::concat(&observed).integer_to_fixed();
    let covariance = diagonal.minus(&products);
    Ok(LogRank { observed, expected, covariance })
}
