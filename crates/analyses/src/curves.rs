//! What every curve over the time grid shares: patients at risk, rounding, and which points of it may
//! be shown. Everything here runs on shares.

use konsil_disclosure::{Counts, Policy, Residual, Rounding, by_centre, large_enough, midpoints};
use konsil_mpc::{MpcError, Session, Shared};
use konsil_ring::Word;

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
    points: usize,
) -> Result<Leaving, MpcError> {
    let both = Shared::concat([&exact.0, &exact.1]);
    let counts = rounded_rows(session, policy, &both, points)?;
    let events = exact.0.len();
    Ok((counts.slice(0, events), counts.slice(events, counts.len())))
}

/// The same of any rows of points.
fn rounded_rows(
    session: &mut dyn Session,
    policy: &Policy,
    exact: &Shared,
    points: usize,
) -> Result<Shared, MpcError> {
    if policy.rounding == Rounding::None {
        return Ok(exact.clone());
    }
    let rows = |column: &Shared| -> Vec<Shared> {
        let count = column.len() / points.max(1);
        (0..count).map(|row| column.slice(row * points, (row + 1) * points)).collect()
    };
    let sums: Vec<Shared> = rows(exact).iter().map(Shared::running_sums).collect();
    let sums = midpoints(session, &Shared::concat(&sums))?;
    let steps: Vec<Shared> = (rows(&sums).iter())
        .map(|row| row.minus(&Shared::concat([&Shared::zeros(1), &row.slice(0, points - 1)])))
        .collect();
    Ok(Shared::concat(&steps))
}

/// One centre's patients at risk, from those who leave later, `[row][point]`.
pub(crate) fn own_at_risk(events: &[Word], censored: &[Word], points: usize) -> Vec<Word> {
    let mut at_risk: Vec<Word> =
        events.iter().zip(censored).map(|(event, lost)| event.wrapping_add(*lost)).collect();
    for row in at_risk.chunks_mut(points.max(1)) {
        let mut later: Word = 0;
        for count in row.iter_mut().rev() {
            later = later.wrapping_add(*count);
            *count = later;
        }
    }
    at_risk
}

/// Curves on the grid, and the places at which they may be shown. Public.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    /// How many curves.
    pub(crate) curves: usize,
    /// Points of the grid.
    pub(crate) points: usize,
    /// Points that may be shown, in order.
    pub(crate) at: &'a [usize],
}

impl Places<'_> {
    /// A column `[curve][point]` at these places, `[place][curve]`.
    pub(crate) fn of(&self, column: &Shared) -> Shared {
        let places = self.at.iter();
        column.pick(places.flat_map(|at| (0..self.curves).map(move |it| it * self.points + at)))
    }

    /// The same of a centre's own column.
    pub(crate) fn own(&self, column: &[Word]) -> Vec<Word> {
        let places = self.at.iter();
        let cells = places.flat_map(|at| (0..self.curves).map(move |it| it * self.points + at));
        cells.map(|at| column.get(at).copied().unwrap_or_default()).collect()
    }

    /// Events up to each place, `[place][curve]`.
    pub(crate) fn happened(&self, events: &Shared) -> Shared {
        let row = |it: usize| events.slice(it * self.points, (it + 1) * self.points).running_sums();
        self.of(&Shared::concat(&(0..self.curves).map(row).collect::<Vec<_>>()))
    }

    fn own_happened(&self, events: &[Word]) -> Vec<Word> {
        let mut sums = events.to_vec();
        for row in sums.chunks_mut(self.points.max(1)) {
            let mut sum: Word = 0;
            for count in row.iter_mut() {
                sum = sum.wrapping_add(*count);
                *count = sum;
            }
        }
        self.own(&sums)
    }
}

/// The exact counts by which points are judged, `[curve][point]`.
pub(crate) struct Exact<'a> {
    /// Events over all centres.
    pub(crate) events: &'a Shared,
    /// Patients at risk over all centres.
    pub(crate) at_risk: &'a Shared,
    /// This centre's events.
    pub(crate) own_events: &'a [Word],
    /// This centre's patients at risk.
    pub(crate) own_at_risk: &'a [Word],
}

/// What may be shown at the places; counts may be rounded ones. Each `[place][curve]`.
pub(crate) struct Columns<'a> {
    /// Numbers of the curve.
    pub(crate) values: &'a [Shared],
    /// Events up to the place.
    pub(crate) happened: Shared,
    /// Patients at risk.
    pub(crate) at_risk: Shared,
}

/// What may be shown of the curves.
pub(crate) struct Shown {
    /// `[place][curve][value]`, 0 where not shown.
    pub(crate) values: Shared,
    /// `[place][curve][shown, at risk, events since the last shown]`, integers.
    pub(crate) counts: Shared,
}

/// Decides place after place: enough events since the last shown place, enough patients at risk,
/// also without those who may subtract theirs (R2, R9). Judged are the exact counts; shown is what
/// the curves are made of. About 13 rounds for each place.
pub(crate) fn shown_points(
    session: &mut dyn Session,
    policy: &Policy,
    places: Places<'_>,
    exact: &Exact<'_>,
    columns: &Columns<'_>,
) -> Result<Shown, MpcError> {
    let curves = places.curves;
    let truly = places.happened(exact.events);
    let own = OwnCounts::new(session, policy, places, exact)?;
    let mut since = Shared::concat([&Shared::zeros(curves), &own.zeros(curves)]);
    let mut before = since.clone();
    let (mut values, mut counts) = (Vec::new(), Vec::new());
    let all_risk = Counts::of(places.of(exact.at_risk), own.at_risk.clone());
    let enough_risk = large_enough(session, policy, &all_risk)?;
    for index in 0..places.at.len() {
        let at = |column: &Shared| column.slice(index * curves, (index + 1) * curves);
        // what may be shown of each curve, its exact count, then every centre's
        let now = [&at(&columns.happened), &at(&truly), &own.at(index, curves)];
        let now = Shared::concat(now);
        since = since.plus(&now.minus(&before));
        before = now;
        let pooled = since.slice(curves, 2 * curves);
        let judged = Counts::of(pooled, since.slice(2 * curves, since.len()));
        let enough = large_enough(session, policy, &judged)?;
        let show = session.multiply_raw(&enough, &at(&enough_risk))?;
        let mut all: Vec<Shared> = columns.values.iter().map(at).collect();
        let width = all.len();
        all.extend([at(&columns.at_risk), since.clone()]);
        let all = Shared::concat(&all);
        let masked = session.multiply_raw(&show.repeat(all.len() / curves.max(1)), &all)?;
        let part = |from: usize, to: usize| masked.slice(from * curves, to * curves);
        values.push(part(0, width).transposed(width, curves));
        let counted = Shared::concat([&show, &part(width, width + 2)]);
        counts.push(counted.transposed(3, curves));
        since = since.minus(&masked.slice((width + 1) * curves, masked.len()));
    }
    Ok(Shown { values: Shared::concat(&values), counts: Shared::concat(&counts) })
}

/// What each centre brings to the counts at the places that may be shown.
struct OwnCounts {
    /// Events up to each place, `[centre][place][curve]`.
    happened: Shared,
    /// Patients at risk, `[centre][place][curve]`.
    at_risk: Shared,
    places: usize,
}

impl OwnCounts {
    fn new(
        session: &mut dyn Session,
        policy: &Policy,
        places: Places<'_>,
        exact: &Exact<'_>,
    ) -> Result<Self, MpcError> {
        let count = places.at.len();
        if policy.residual == Residual::None {
            let (happened, at_risk) = (Shared::default(), Shared::default());
            return Ok(Self { happened, at_risk, places: count });
        }
        let happened = by_centre(session, &places.own_happened(exact.own_events))?;
        let at_risk = by_centre(session, &places.own(exact.own_at_risk))?;
        Ok(Self { happened, at_risk, places: count })
    }

    /// Zeros for the pooled count of each curve and every centre's.
    fn zeros(&self, curves: usize) -> Shared {
        Shared::zeros(curves + self.happened.len() / self.places.max(1))
    }

    /// Events of each centre up to a place, `[centre][curve]`.
    fn at(&self, place: usize, curves: usize) -> Shared {
        let width = (self.places * curves).max(1);
        let centres = self.happened.len() / width;
        let row = |centre: usize| {
            let start = centre * width + place * curves;
            self.happened.slice(start, start + curves)
        };
        Shared::concat(&(0..centres).map(row).collect::<Vec<_>>())
    }
}
