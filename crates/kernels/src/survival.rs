//! Events and censorings on a public time grid.

use konsil_ring::Word;

/// Counts of one group of one centre at each grid point.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GridCounts {
    /// Events at the point.
    pub events: Vec<Word>,
    /// Censorings at the point.
    pub censored: Vec<Word>,
}

impl std::fmt::Debug for GridCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GridCounts[{}]", self.events.len())
    }
}

/// The first point of the grid `start, start + step, ..` of `points` that is not before a time; the last
/// for times beyond.
#[must_use]
pub fn grid_place(time: f64, (start, step): (f64, f64), points: usize) -> usize {
    // a time that should be on the grid may be off by rounding
    let place = ((time - start) / step - 1e-6).ceil().max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and the cast saturates"
    )]
    let place = place as usize;
    place.min(points.saturating_sub(1))
}

/// Counts patients on the grid `start, start + step, ..` of `points`. A time between two points
/// counts at the later one, a time beyond the last at the last.
#[must_use]
pub fn grid_counts(
    patients: impl IntoIterator<Item = (f64, bool)>,
    (start, step): (f64, f64),
    points: usize,
) -> GridCounts {
    let mut counts = GridCounts { events: vec![0; points], censored: vec![0; points] };
    for (time, event) in patients {
        let place = grid_place(time, (start, step), points);
        let column = if event { &mut counts.events } else { &mut counts.censored };
        if let Some(count) = column.get_mut(place) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_fall_on_the_grid() {
        let patients = [(0.1, true), (0.2, true), (0.25, false), (9.0, false), (0.0, true)];
        let counts = grid_counts(patients, (0.0, 0.1), 4);
        assert_eq!(counts.events, [1, 1, 1, 0]);
        assert_eq!(counts.censored, [0, 0, 0, 2]);
    }
}
