//! Tables of counts that are released with verdicts.

use crate::analysis::{AnalysisError, Setting};
use konsil_disclosure::{
    Counts, Residual, by_centre, large_enough, large_enough_or_zero, protect_table, suppress,
};
use konsil_mpc::{Opening, Session, Shared};
use konsil_ring::Word;

/// Judges, protects and releases this centre's part of a table, row by row: verdict and count of each
/// cell, the count 0 where it is hidden. `zero` says where a count of 0 is not small.
pub(crate) fn release_cells(
    session: &mut dyn Session,
    (setting, opening): (&Setting, Opening),
    (cells, zero): (&[Word], &[bool]),
    shape: (usize, usize),
) -> Result<(), AnalysisError> {
    let policy = &setting.policy;
    let counts = Counts::input(session, policy, cells)?;
    let verdicts = large_enough_or_zero(session, policy, (&counts, zero))?;
    let counts = counts.total;
    let verdicts = protect_table(session, policy, (&verdicts, &counts), shape)?;
    let masked = suppress(session, &verdicts, &counts)?;
    let both = Shared::concat([&verdicts, &masked]).transposed(2, cells.len());
    Ok(session.release(opening, &both)?)
}

/// A released cell: its count, unless it is hidden.
pub(crate) fn shown(released: &[f64], at: usize) -> Option<f64> {
    match released.chunks(2).nth(at) {
        Some([verdict, count]) if *verdict > 0.5 => Some(*count),
        _ => None,
    }
}

/// Judges limits between bands one after the other, and releases those that may be shown: a limit is
/// shown where, in every group, enough patients have come since the last shown one, and enough are
/// left. Bands with few patients so become part of their neighbours, and no cell is small, whichever
/// way shown limits are subtracted.
///
/// `cells` is this centre's part, `[group][band]`. Released is `[limit][shown, patients of each group
/// since the last shown limit]`, 0 where not shown. About 14 rounds for each limit.
pub(crate) fn release_merged(
    session: &mut dyn Session,
    (setting, opening): (&Setting, Opening),
    cells: &[Word],
    groups: usize,
) -> Result<(), AnalysisError> {
    let policy = &setting.policy;
    let bands = cells.len() / groups.max(1);
    let total = session.input(cells)?;
    let parts = match policy.residual {
        Residual::None => Shared::default(),
        _ => by_centre(session, cells)?,
    };
    // of each band: the pooled count of every group, then every centre's
    let all = Shared::concat([&total, &parts]);
    let rows = all.len() / bands.max(1);
    let band = |at: usize| all.pick((0..rows).map(|row| row * bands + at));
    let zeros = Shared::zeros(rows);
    let whole = (0..bands).fold(zeros.clone(), |sum, at| sum.plus(&band(at)));
    let (mut seen, mut since) = (zeros.clone(), zeros);
    let mut released = Vec::new();
    for at in 0..bands.saturating_sub(1) {
        seen = seen.plus(&band(at));
        since = since.plus(&band(at));
        let left = whole.minus(&seen);
        let both =
            |from: usize| [since.slice(from, from + groups), left.slice(from, from + groups)];
        let judged = |row: usize| Shared::concat(&both(row * groups));
        let centres: Vec<Shared> = (1..rows / groups.max(1)).map(judged).collect();
        let counts = Counts::of(judged(0), Shared::concat(&centres));
        let mut show = large_enough(session, policy, &counts)?;
        while show.len() > 1 {
            let half = show.len() / 2;
            let rest = show.slice(2 * half, show.len());
            let product =
                session.multiply_raw(&show.slice(0, half), &show.slice(half, 2 * half))?;
            show = Shared::concat([&product, &rest]);
        }
        let shown = session.multiply_raw(&show.repeat(rows), &since)?;
        released.push(Shared::concat([&show, &shown.slice(0, groups)]));
        since = since.minus(&shown);
    }
    Ok(session.release(opening, &Shared::concat(&released))?)
}

/// The bands between the limits that are shown: the first band of each, the first after it, and the
/// counts of each group. The last takes what is left of the totals.
pub(crate) fn merged(released: &[f64], totals: &[f64]) -> Vec<(usize, usize, Vec<f64>)> {
    let width = 1 + totals.len();
    let (mut all, mut from, mut left) = (Vec::new(), 0, totals.to_vec());
    for (at, limit) in released.chunks(width).enumerate() {
        let Some((_, counts)) = limit.split_first().filter(|(shown, _)| **shown > 0.5) else {
            continue;
        };
        left.iter_mut().zip(counts).for_each(|(left, count)| *left -= count);
        all.push((from, at + 1, counts.to_vec()));
        from = at + 1;
    }
    all.push((from, released.len() / width + 1, left));
    all
}
