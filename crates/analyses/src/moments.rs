//! Counts, means and variances by group, as tests of means need them.

use crate::analysis::{AnalysisError, Setting};
use crate::compared::{Compared, admit_groups, sizes, text};
use crate::describe::{LocalCell, Numeric, magnitudes};
use crate::table::{Cell, Table};
use konsil_disclosure::{Refusal, Release, evenly_made, require};
use konsil_kernels::moments;
use konsil_mpc::{Opening, Session};
use konsil_ring::{ULP, encode_count};

/// Where the numbers go.
#[derive(Clone, Copy)]
pub(crate) struct MomentNames {
    pub(crate) admitted: Opening,
    pub(crate) even: Opening,
    pub(crate) counts: Opening,
    pub(crate) sums: Opening,
}

/// What is known of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GroupMoments {
    pub(crate) n: f64,
    pub(crate) mean: f64,
    pub(crate) variance: f64,
}

/// Judges the groups and releases their counts, sums and sums of squares. 33 rounds.
pub(crate) fn release_moments(
    session: &mut dyn Session,
    setting: &Setting,
    names: MomentNames,
    (numeric, values): (&Numeric, &[Vec<f64>]),
) -> Result<(), AnalysisError> {
    let counts = sizes(values);
    admit_groups(session, names.admitted, setting, (&counts, 2 * values.len()))?;
    let known = |of: &Vec<f64>| of.iter().map(|value| Some(*value)).collect();
    let cells: Vec<LocalCell<'_>> =
        values.iter().map(|of| LocalCell { numeric, values: known(of) }).collect();
    let (largest, sums) = magnitudes(&cells)?;
    let even = evenly_made(session, &setting.policy, (&largest, &sums))?;
    require(session, names.even, &even, Refusal::TooFew)?;
    let mut mine = Vec::with_capacity(2 * cells.len());
    for cell in &cells {
        let sums = moments(cell.values.iter().copied(), numeric.frame())?;
        mine.extend([sums.sum, sums.squares]);
    }
    let counts: Vec<_> = counts.into_iter().map(encode_count).collect();
    let counts = session.input(&counts)?;
    session.release(names.counts, &counts)?;
    let sums = session.input(&mine)?;
    Ok(session.release(names.sums, &sums)?)
}

impl GroupMoments {
    /// The groups of a release.
    pub(crate) fn read(
        release: &Release,
        names: MomentNames,
        numeric: &Numeric,
    ) -> Result<Vec<Self>, AnalysisError> {
        let (counts, sums) = (release.counts(names.counts)?, release.reals(names.sums)?);
        let (centre, scale) = numeric.frame();
        let of = |(n, sums): (&f64, &[f64])| {
            let (sum, squares) = (sums[0], sums.get(1).copied().unwrap_or(f64::NAN));
            let mean = sum / n;
            let variance = (squares - sum * mean) / (n - 1.0);
            // every square was rounded to a unit: less than a few is nothing
            let variance = if variance < 8.0 * ULP { 0.0 } else { variance * scale * scale };
            Self { n: *n, mean: centre + scale * mean, variance }
        };
        Ok(counts.iter().zip(sums.chunks(2)).map(of).collect())
    }

    /// The table of groups.
    pub(crate) fn table(groups: &[Self], compared: &Compared) -> Table {
        let mut table = Table::new("groups", &["group", "n", "mean", "sd"]);
        for (at, it) in groups.iter().enumerate() {
            let name = compared.group(at);
            let name = if name.is_empty() { &compared.numeric.name } else { name };
            table.rows.push(vec![
                text(name),
                Cell::Count(it.n),
                Cell::Number(it.mean),
                Cell::Number(it.variance.sqrt()),
            ]);
        }
        table
    }
}
