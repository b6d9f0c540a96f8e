//! Tables of counts that are released with a verdict each.

use crate::analysis::{AnalysisError, Setting};
use konsil_disclosure::{Counts, large_enough_or_zero, protect_table, suppress};
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
