//! Windows of time of a survival scan: few, public, each with enough events. Everything is decided on
//! shares, by the rules of survival curves.
//!
//! A window ends at the first of the grid's places at which its part of all events is reached, enough
//! events happened since the window before and will happen after it, and enough patients left follow-up
//! since and will leave it after: all of them, those whom each column picks out, and those whom it
//! leaves. So sums over the patients at risk, of which the differences from window to window are sums
//! over those who left, are never about a few.

use crate::analysis::{AnalysisError, Setting};
use crate::gwas::WINDOWS;
use crate::gwas_steps::over_rows;
use konsil_disclosure::{Counts, Policy, Residual, by_centre, large_enough};
use konsil_mpc::linear::{complement, reaches};
use konsil_mpc::{Session, Shared};
use konsil_ring::Word;

/// Most windows.
pub(crate) const WINDOWS_MAX: usize = 16;
/// Most places at which windows may end.
pub(crate) const PLACES_MAX: usize = 128;

/// One centre's patients who leave follow-up, or nobody's while planning.
pub(crate) struct Leaving<'a> {
    /// The last point of the grid of each patient.
    pub(crate) points: &'a [usize],
    /// Whether there is an event.
    pub(crate) events: &'a [f64],
    /// Whom columns pick out, `[patient][set]`.
    pub(crate) picked: &'a [bool],
    /// Sets that columns pick out.
    pub(crate) sets: usize,
}

/// Windows of time. Public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// The last points of all windows but the last, which ends with the grid.
    ends: Vec<usize>,
    /// Events in all windows.
    pub(crate) events: Word,
}

impl Windows {
    /// The window of a point of the grid.
    pub(crate) fn of(&self, point: usize) -> usize {
        self.ends.iter().filter(|end| point > **end).count()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.ends.len() + 1
    }
}

/// Finds the windows. `places` are the points of the grid at which one may end, rising, without the
/// last. Opens how many events there are, and for each window but the last where it ends. 16 rounds,
/// then 21 for each window.
pub(crate) fn windows(
    session: &mut dyn Session,
    setting: &Setting,
    places: &[usize],
    leaving: &Leaving<'_>,
) -> Result<Windows, AnalysisError> {
    let policy = &setting.policy;
    let left = Left::new(session, policy, places.len(), &leaving.counts(places))?;
    let all = left.sets;
    let events = session.open(WINDOWS, &left.total.slice(left.width - 1, left.width))?;
    let events = events.first().copied().unwrap_or(0);
    let after = large_enough(session, policy, &left.between(None))?;
    let after = over_rows(&after, places.len());
    let parts = left.parts_reached(session, events)?;
    let (mut ends, mut before, mut open) = (Vec::new(), 0, true);
    for step in 0..WINDOWS_MAX - 1 {
        let since = large_enough(session, policy, &left.between(Some(before)))?;
        let since = over_rows(&since, places.len());
        let part = parts.slice(step * places.len(), (step + 1) * places.len());
        let later: Vec<Word> = (0..places.len()).map(|at| Word::from(at >= before)).collect();
        let fine = since.plus(&after).plus(&part).plus(&session.constant(&later));
        let needed = u64::try_from(2 * all + 2).unwrap_or(u64::MAX);
        let fine = reaches(session, &fine, needed)?;
        // places before the first that is fine
        let so_far = reaches(session, &fine.running_sums(), 1)?;
        let skipped = complement(session, &so_far).total();
        session.narrow(2);
        let opened = session.open(WINDOWS, &skipped)?;
        session.narrow(16);
        let place = opened.first().and_then(|it| usize::try_from(*it).ok());
        match place.and_then(|place| Some((place, *places.get(place)?))) {
            Some((place, end)) if open => {
                ends.push(end);
                before = place + 1;
            }
            _ => open = false,
        }
    }
    Ok(Windows { ends, events })
}

impl Leaving<'_> {
    /// Patients who have left up to each place, 0 before the first and all of them at the end,
    /// `[set][1 + place + 1]`: those with an event; all; those picked out by each column, then left by it.
    fn counts(&self, places: &[usize]) -> Vec<Word> {
        let width = places.len() + 2;
        let mut counts = vec![0; self.groups() * width];
        for (row, (point, event)) in self.points.iter().zip(self.events).enumerate() {
            let place = places.iter().filter(|it| *it < point).count();
            let picked = self.picked.get(row * self.sets..(row + 1) * self.sets);
            let picked = picked.unwrap_or_default();
            let members = [*event > 0.0, true].into_iter().chain(picked.iter().copied());
            let members = members.chain(picked.iter().map(|it| !it));
            for (set, _) in members.enumerate().filter(|(_, member)| *member) {
                let from = set * width + 1 + place;
                counts[from..(set + 1) * width].iter_mut().for_each(|it| *it += 1);
            }
        }
        counts
    }

    fn groups(&self) -> usize {
        2 + 2 * self.sets
    }
}

/// Patients of all centres who have left up to each place, `[set][1 + place + 1]`.
struct Left {
    total: Shared,
    /// The same of each centre, `[centre][set][1 + place + 1]`; empty where nobody subtracts.
    parts: Shared,
    sets: usize,
    width: usize,
}

impl Left {
    fn new(
        session: &mut dyn Session,
        policy: &Policy,
        places: usize,
        own: &[Word],
    ) -> Result<Self, AnalysisError> {
        let total = session.input(own)?;
        let parts = match policy.residual {
            Residual::None => Shared::default(),
            _ => by_centre(session, own)?,
        };
        let width = places + 2;
        Ok(Self { total, parts, sets: own.len() / width, width })
    }

    /// Those who leave after the column `before` and up to each place, or after each place,
    /// `[set][place]`.
    fn between(&self, before: Option<usize>) -> Counts {
        let (width, places) = (self.width, self.width - 2);
        let part = |all: &Shared| {
            let cells = |column: &dyn Fn(usize) -> usize| {
                let count = all.len() / width * places;
                all.pick((0..count).map(|at| at / places * width + column(1 + at % places)))
            };
            match before {
                Some(before) => cells(&|at| at).minus(&cells(&|_| before)),
                None => cells(&|_| width - 1).minus(&cells(&|at| at)),
            }
        };
        Counts::of(part(&self.total), part(&self.parts))
    }

    /// Whether the first, second, .. part of all events has happened at each place, `[part][place]`.
    /// 5 rounds.
    fn parts_reached(
        &self,
        session: &mut dyn Session,
        events: Word,
    ) -> Result<Shared, AnalysisError> {
        let happened = self.total.slice(1, self.width - 1).times_integer(WINDOWS_MAX as i128);
        let places = happened.len();
        let least = (1..WINDOWS_MAX)
            .flat_map(|part| std::iter::repeat_n(events.wrapping_mul(part as Word), places));
        let least = session.constant(&least.collect::<Vec<Word>>());
        let short = session.negative(&happened.repeat(WINDOWS_MAX - 1).minus(&least))?;
        let reached = session.not(&short);
        Ok(session.to_integers(&reached)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point belongs to the window that ends at it or later.
    #[test]
    fn points_fall_into_windows() {
        let windows = Windows { ends: vec![3, 7], events: 40 };
        assert_eq!([0, 3, 4, 7, 8, 20].map(|point| windows.of(point)), [0, 0, 1, 1, 2, 2]);
        assert_eq!(windows.count(), 3);
    }

    /// Counts go up from place to place, of each set, and end with everybody.
    #[test]
    fn those_who_left_are_counted_by_place() {
        let leaving = Leaving {
            points: &[0, 4, 9],
            events: &[1.0, 0.0, 1.0],
            picked: &[true, false, true],
            sets: 1,
        };
        let counts = leaving.counts(&[2, 4]);
        assert_eq!(counts, [0, 1, 1, 2, 0, 1, 2, 3, 0, 1, 1, 2, 0, 0, 1, 1]);
    }
}
