//! Tables whose totals are known: what is hidden must not follow by subtraction.

use crate::policy::Policy;
use konsil_mpc::{MpcError, Session, Shared, fixed, linear};

/// A cell that only fills up a row; larger than any count, smaller than a hidden one.
pub const FILLER: u128 = 1 << 40;

/// Verdicts for the cells of tables whose row totals are known: `verdicts` and, where the hidden
/// cells of a row have fewer patients together than the threshold, 0 for its smallest shown cell too,
/// because the total gives the sum of the hidden ones away. A shown 0 protects nothing and stays.
/// Cells `[row][len]`; fill up shorter rows with [`FILLER`] and verdict 1.
///
/// Rounds: 7 for each halving of a row, and 20.
///
/// # Errors
/// [`MpcError::Shape`], [`MpcError::Wire`].
pub fn protect_rows(
    session: &mut dyn Session,
    policy: &Policy,
    (verdicts, counts): (&Shared, &Shared),
    len: usize,
) -> Result<Shared, MpcError> {
    if len == 0 || counts.len() != verdicts.len() || !counts.len().is_multiple_of(len) {
        return Err(MpcError::Shape { left: counts.len(), right: len });
    }
    let rows = counts.len() / len;
    let spread = |row: &Shared| row.pick((0..rows * len).map(|at| at / len));
    let totals = |cells: &Shared| {
        let row = |row: usize| cells.slice(row * len, (row + 1) * len).total();
        Shared::concat(&(0..rows).map(row).collect::<Vec<_>>())
    };
    let hidden = linear::complement(session, verdicts);
    let kept = session.multiply_raw(verdicts, counts)?;
    let patients = totals(&counts.minus(&kept));
    let enough = linear::reaches(session, &patients, policy.threshold)?;
    let any = linear::reaches(session, &totals(&hidden), 1)?;
    let too_few = session.multiply_raw(&any, &linear::complement(session, &enough))?;
    // of a hidden cell and of a shown 0 nothing is left here
    let empty = linear::reaches(session, &kept, 1)?;
    let empty = linear::complement(session, &empty);
    let ordered = kept.plus(&empty.times_integer(LAST));
    let smallest = row_minimum(session, &ordered, (rows, len))?;
    // a row of which nothing is left has no neighbour to hide
    let nothing = linear::reaches(session, &smallest, LAST_COUNT)?;
    let some = linear::complement(session, &nothing);
    let too_few = session.multiply_raw(&too_few, &some)?;
    // above the smallest: ordered - smallest >= 1
    let above = linear::reaches(session, &ordered.minus(&spread(&smallest)), 1)?;
    let is_smallest = linear::complement(session, &above);
    let also_hidden = session.multiply_raw(&is_smallest, &spread(&too_few))?;
    let keep = linear::complement(session, &also_hidden);
    session.multiply_raw(verdicts, &keep)
}

/// Verdicts for two-way tables whose row and column totals may both be known, from another table
/// say: as [`protect_rows`] by rows, then by columns, twice. Where that is not enough, because one
/// cure made another wound, the whole table is hidden. Cells `[table][row][column]`.
///
/// # Errors
/// As [`protect_rows`].
pub fn protect_table(
    session: &mut dyn Session,
    policy: &Policy,
    (verdicts, counts): (&Shared, &Shared),
    (rows, columns): (usize, usize),
) -> Result<Shared, MpcError> {
    let cells = rows * columns;
    if cells == 0 || !counts.len().is_multiple_of(cells) {
        return Err(MpcError::Shape { left: counts.len(), right: cells });
    }
    if rows == 1 {
        return protect_rows(session, policy, (verdicts, counts), columns);
    }
    let tables = counts.len() / cells;
    let turned = |column: &Shared, (rows, columns): (usize, usize)| {
        let table = |at: usize| column.slice(at * cells, (at + 1) * cells);
        let turned = (0..tables).map(|at| table(at).transposed(rows, columns));
        Shared::concat(&turned.collect::<Vec<_>>())
    };
    let by_columns = turned(counts, (rows, columns));
    let mut verdicts = verdicts.clone();
    for _ in 0..2 {
        verdicts = protect_rows(session, policy, (&verdicts, counts), columns)?;
        let across = turned(&verdicts, (rows, columns));
        let across = protect_rows(session, policy, (&across, &by_columns), rows)?;
        verdicts = turned(&across, (columns, rows));
    }
    let across = turned(&verdicts, (rows, columns));
    let left = exposed(session, policy, (&verdicts, counts), columns)?;
    let more = exposed(session, policy, (&across, &by_columns), rows)?;
    let of_table = |exposed: &Shared, lines: usize| -> Vec<Shared> {
        (0..tables).map(|at| exposed.slice(at * lines, (at + 1) * lines).total()).collect()
    };
    let sums = of_table(&left, rows).into_iter().zip(of_table(&more, columns));
    let sums: Vec<Shared> = sums.map(|(left, more)| left.plus(&more)).collect();
    let wounded = linear::reaches(session, &Shared::concat(&sums), 1)?;
    let whole = linear::complement(session, &wounded);
    session.multiply_raw(&verdicts, &whole.pick((0..counts.len()).map(|at| at / cells)))
}

/// For each row, 1 where its hidden cells have too few patients together although some of its
/// patients are shown. 18 rounds.
fn exposed(
    session: &mut dyn Session,
    policy: &Policy,
    (verdicts, counts): (&Shared, &Shared),
    len: usize,
) -> Result<Shared, MpcError> {
    let rows = counts.len() / len.max(1);
    let row = |column: &Shared, at: usize| column.slice(at * len, (at + 1) * len).total();
    let totals =
        |column: &Shared| Shared::concat(&(0..rows).map(|at| row(column, at)).collect::<Vec<_>>());
    let kept = session.multiply_raw(verdicts, counts)?;
    let hidden = totals(&counts.minus(&kept));
    let without = linear::complement(session, verdicts);
    let any = linear::reaches(session, &totals(&without), 1)?;
    // a filler is shown to nobody
    let filler = fixed::add_public(session, &kept, (FILLER - 1).wrapping_neg());
    let shown = linear::reaches(session, &Shared::concat([&kept, &filler]), 1)?;
    let shown = shown.slice(0, kept.len()).minus(&shown.slice(kept.len(), 2 * kept.len()));
    let some = linear::reaches(session, &totals(&shown), 1)?;
    let enough = linear::reaches(session, &hidden, policy.threshold)?;
    let few = session.multiply_raw(&any, &linear::complement(session, &enough))?;
    session.multiply_raw(&few, &some)
}

/// Larger than [`FILLER`].
const LAST: i128 = 1 << 41;
const LAST_COUNT: u64 = 1 << 41;

/// The smallest of each row of `[rows][len]`.
fn row_minimum(
    session: &mut dyn Session,
    cells: &Shared,
    (rows, len): (usize, usize),
) -> Result<Shared, MpcError> {
    let negated = cells.negated().transposed(rows, len);
    let mut left: Vec<Shared> =
        (0..len).map(|at| negated.slice(at * rows, (at + 1) * rows)).collect();
    while left.len() > 1 {
        let pairs = left.chunks_exact(2);
        let rest = pairs.remainder().to_vec();
        let first = Shared::concat(pairs.clone().map(|pair| &pair[0]));
        let second = Shared::concat(pairs.clone().map(|pair| &pair[1]));
        let larger = fixed::maximum(session, &first, &second)?;
        left = (0..pairs.len()).map(|at| larger.slice(at * rows, (at + 1) * rows)).collect();
        left.extend(rest);
    }
    Ok(left.pop().unwrap_or_default().negated())
}
