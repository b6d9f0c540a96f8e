//! The public time grid of survival analyses.

use konsil_cohort::Dictionary;

/// Most points of the time grid.
const GRID_MAX: f64 = 20_000.0;

/// Times `start, start + step, ..`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TimeGrid {
    pub(crate) start: f64,
    pub(crate) step: f64,
    pub(crate) points: usize,
}

impl TimeGrid {
    /// The grid of a time of the dictionary: its range in steps of its unit.
    pub(crate) fn new(
        time: &str,
        range: Option<(f64, f64)>,
        dictionary: &Dictionary,
    ) -> Result<Self, String> {
        let Some((low, high)) = range else {
            return Err(format!("`{time}` needs min and max in the dictionary"));
        };
        let step = dictionary.variable(time).and_then(|it| it.step()).unwrap_or(1.0);
        let points = ((high - low) / step).round() + 1.0;
        if !(2.0..=GRID_MAX).contains(&points) {
            return Err(format!(
                "has {points} grid points; 2 to 20000 are possible: declare fewer decimals, or a \
                 smaller max"
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 2 and 20000, see above"
        )]
        let points = points as usize;
        Ok(Self { start: low, step, points })
    }

    /// The first point that is not before a time; the last for times beyond.
    pub(crate) fn place(&self, time: f64) -> usize {
        konsil_kernels::grid_place(time, (self.start, self.step), self.points)
    }

    /// The time of a point, without the dust of binary fractions.
    pub(crate) fn time(&self, place: f64) -> f64 {
        ((self.start + place * self.step) * 1e9).round() / 1e9
    }

    /// The last time.
    pub(crate) fn last(&self) -> f64 {
        self.time((self.points - 1) as f64)
    }

    /// Points at which a curve may be shown: evenly spread, the last one included.
    pub(crate) fn places(&self, shown: usize) -> Vec<usize> {
        (1..=shown).map(|at| at * self.points / shown - 1).collect()
    }

    /// How the grid is described in a plan.
    pub(crate) fn describe(&self, time: &str) -> String {
        format!(
            "time {time} from {} to {} in steps of {} ({} points, exact where that is the data's unit)",
            self.start,
            self.last(),
            self.step,
            self.points
        )
    }
}
