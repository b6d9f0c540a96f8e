//! Exact quantiles over all centres by bisection on public thresholds.
//!
//! Values lie on a public grid of the dictionary (range and decimals). In each step every centre
//! counts its values up to a threshold; whether the pooled count is beyond the rank is decided on
//! shares and opened. The path of these answers is the quantile's own binary expansion, so that it
//! reveals the quantile and nothing else; where too few patients have a value, every answer is 0.

use konsil_kernels::counts_at_most;
use konsil_mpc::{MpcError, Opening, Session, Shared, linear};
use konsil_ring::{Word, encode_count};

/// The quartiles' places are multiples of a quarter: ranks are kept four times as large.
const QUARTERS: i128 = 4;

/// The grid of one variable: `start + i * step` for `0 <= i < points`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Grid {
    pub(crate) start: f64,
    pub(crate) step: f64,
    pub(crate) points: u64,
}

impl Grid {
    pub(crate) fn value(&self, place: u64) -> f64 {
        self.start + place as f64 * self.step
    }

    /// Steps of a bisection over the grid.
    pub(crate) fn steps(&self) -> u32 {
        u64::BITS - self.points.saturating_sub(1).leading_zeros()
    }
}

/// One column to find quartiles of: this centre's values, ascending, and the variable's grid.
pub(crate) struct Column<'a> {
    pub(crate) sorted: &'a [f64],
    pub(crate) grid: Grid,
}

/// Finds the lower order statistics `x_(j)` and the next ones for all three quartiles of every
/// column: places on the grid, `[column][quartile][lower, upper]`.
///
/// `known` are the pooled counts, `verdicts` 1 where there are enough. Each step opens 6 numbers
/// for each column, and costs 7 rounds.
pub(crate) fn quartiles(
    session: &mut dyn Session,
    opening: Opening,
    columns: &[Column<'_>],
    (known, verdicts): (&Shared, &Shared),
) -> Result<Vec<u64>, MpcError> {
    const EACH: usize = 6;
    let len = columns.len() * EACH;
    // x_(j) is the smallest value whose count exceeds q (n - 1), the next one needs one more
    let quarters: Vec<i128> = (0..len).map(|at| i128::from(at as u64 % 6 / 2) + 1).collect();
    let next: Vec<Word> = (0..len).map(|at| encode_count(4 * (at as u64 % 2))).collect();
    let spread = |column: &Shared| column.pick((0..len).map(|at| at / EACH));
    let ranks = spread(known).times_integers(&quarters);
    let offset: Vec<Word> =
        quarters.iter().zip(&next).map(|(q, next)| next.wrapping_sub(q.cast_unsigned())).collect();
    let ranks = ranks.plus(&session.constant(&offset));
    let verdicts = spread(verdicts);
    let mut low = vec![0_u64; len];
    let mut high: Vec<u64> =
        (columns.iter()).flat_map(|column| [column.grid.points.saturating_sub(1); EACH]).collect();
    let steps = columns.iter().map(|column| column.grid.steps()).max().unwrap_or(0);
    for _ in 0..steps {
        let middle: Vec<u64> = low.iter().zip(&high).map(|(l, h)| u64::midpoint(*l, *h)).collect();
        let counts: Vec<Word> = (middle.iter().enumerate())
            .map(|(at, place)| {
                let Column { sorted, grid } = &columns[at / EACH];
                // half a step above the point, so that rounding cannot move a value
                let threshold = grid.value(*place) + grid.step / 2.0;
                encode_count(counts_at_most(sorted, threshold))
            })
            .collect();
        let counts = session.input(&counts)?.times_integer(QUARTERS);
        // beyond: 4 count > rank, that is rank - 4 count < 0
        let beyond = session.negative(&ranks.minus(&counts))?;
        let beyond = session.to_integers(&beyond)?;
        let below = linear::complement(session, &beyond);
        let answer = session.multiply_raw(&below, &verdicts)?;
        for (at, answer) in session.open(opening, &answer)?.into_iter().enumerate() {
            if low[at] >= high[at] {
                continue;
            }
            if answer == 0 {
                high[at] = middle[at];
            } else {
                low[at] = middle[at] + 1;
            }
        }
    }
    Ok(low)
}

/// Quartiles as R's type 7 from order statistics and the count: `[q25, median, q75]`.
pub(crate) fn interpolate(places: &[u64], grid: Grid, known: f64) -> [f64; 3] {
    std::array::from_fn(|quartile| {
        let rank = (quartile as f64 + 1.0) / 4.0 * (known - 1.0);
        let at =
            |i: usize| places.get(2 * quartile + i).map_or(f64::NAN, |place| grid.value(*place));
        let (lower, upper) = (at(0), at(1));
        let fraction = rank - rank.floor();
        if fraction == 0.0 { lower } else { lower + fraction * (upper - lower) }
    })
}
