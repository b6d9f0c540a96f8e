//! Tables whose totals are known: what is hidden must not follow by subtraction.

use crate::policy::Policy;
use crate::verdicts::less_than;
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
    hide_smallest(session, (verdicts, &kept), &too_few, len)
}

/// Verdicts with 0 for the smallest shown cell of each row for which `wanted` is 1.
fn hide_smallest(
    session: &mut dyn Session,
    (verdicts, kept): (&Shared, &Shared),
    wanted: &Shared,
    len: usize,
) -> Result<Shared, MpcError> {
    let rows = kept.len() / len;
    let spread = |row: &Shared| row.pick((0..rows * len).map(|at| at / len));
    // of a hidden cell and of a shown 0 nothing is left here
    let empty = linear::reaches(session, kept, 1)?;
    let empty = linear::complement(session, &empty);
    let ordered = kept.plus(&empty.times_integer(LAST));
    let smallest = row_minimum(session, &ordered, (rows, len))?;
    // a row of which nothing is left has no neighbour to hide
    let nothing = linear::reaches(session, &smallest, LAST_COUNT)?;
    let some = linear::complement(session, &nothing);
    let wanted = session.multiply_raw(wanted, &some)?;
    // above the smallest: ordered - smallest >= 1
    let above = linear::reaches(session, &ordered.minus(&spread(&smallest)), 1)?;
    let is_smallest = linear::complement(session, &above);
    let also_hidden = session.multiply_raw(&is_smallest, &spread(&wanted))?;
    let keep = linear::complement(session, &also_hidden);
    session.multiply_raw(verdicts, &keep)
}

/// Verdicts such that each row with a small cell hides a large one too, where it has one.
fn accompanied(
    session: &mut dyn Session,
    (verdicts, counts): (&Shared, &Shared),
    (small, large): (&Shared, &Shared),
    len: usize,
) -> Result<Shared, MpcError> {
    let rows = counts.len() / len;
    let totals = |cells: &Shared| {
        let row = |row: usize| cells.slice(row * len, (row + 1) * len).total();
        Shared::concat(&(0..rows).map(row).collect::<Vec<_>>())
    };
    let hidden = linear::complement(session, verdicts);
    let company = session.multiply_raw(&hidden, large)?;
    let both = Shared::concat([&totals(small), &totals(&company)]);
    let both = linear::reaches(session, &both, 1)?;
    let alone = linear::complement(session, &both.slice(rows, 2 * rows));
    let lonely = session.multiply_raw(&both.slice(0, rows), &alone)?;
    let kept = session.multiply_raw(verdicts, counts)?;
    hide_smallest(session, (verdicts, &kept), &lonely, len)
}

/// Verdicts for two-way tables whose row and column totals may both be known, from another table
/// say. Cells `[table][row][column]`.
///
/// First as [`protect_rows`] by rows, then by columns, twice. Then rectangles are closed: a small cell
/// stands in one with a large hidden cell of its row and one of its column when the fourth cell is
/// hidden too, and patients may be moved around in it without a change of any total: the small
/// cell may be as large as the smaller of the two. Where a small cell of known totals has no such
/// rectangle, or the hidden cells of a row or column are few together, the whole table is hidden.
///
/// Costs `4 rows^2 columns` products for each table besides.
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
    let sorted = Sorted::new(session, policy, counts, (rows, columns))?;
    let across = (turned(&sorted.small, (rows, columns)), turned(&sorted.large, (rows, columns)));
    let mut verdicts = verdicts.clone();
    for _ in 0..2 {
        let rowwise = (&sorted.small, &sorted.large);
        verdicts = accompanied(session, (&verdicts, counts), rowwise, columns)?;
        let turned_verdicts = turned(&verdicts, (rows, columns));
        let columnwise = (&across.0, &across.1);
        let turned_verdicts =
            accompanied(session, (&turned_verdicts, &by_columns), columnwise, rows)?;
        verdicts = turned(&turned_verdicts, (columns, rows));
    }
    let (verdicts, open) = sorted.closed(session, &verdicts)?;
    let across = turned(&verdicts, (rows, columns));
    let left = exposed(session, policy, (&verdicts, counts), columns)?;
    let more = exposed(session, policy, (&across, &by_columns), rows)?;
    let of_table = |exposed: &Shared, lines: usize| -> Vec<Shared> {
        (0..tables).map(|at| exposed.slice(at * lines, (at + 1) * lines).total()).collect()
    };
    let sums = of_table(&left, rows).into_iter().zip(of_table(&more, columns));
    let lines = sums.map(|(left, more)| left.plus(&more));
    let sums: Vec<Shared> =
        lines.zip(of_table(&open, cells)).map(|(lines, open)| lines.plus(&open)).collect();
    let wounded = linear::reaches(session, &Shared::concat(&sums), 1)?;
    let whole = linear::complement(session, &wounded);
    session.multiply_raw(&verdicts, &whole.pick((0..counts.len()).map(|at| at / cells)))
}

/// What the cells of tables are: bits, `[table][row][column]`.
struct Sorted {
    /// Neither 0 nor enough.
    small: Shared,
    /// Enough, and no filler.
    large: Shared,
    /// In a row and a column with enough patients: the totals of others are not shown, and a small one
    /// tells as much as a cell.
    known: Shared,
    shape: (usize, usize),
}

impl Sorted {
    fn new(
        session: &mut dyn Session,
        policy: &Policy,
        counts: &Shared,
        (rows, columns): (usize, usize),
    ) -> Result<Self, MpcError> {
        let (len, cells) = (counts.len(), rows * columns);
        let row = |at: usize| counts.slice(at * columns, (at + 1) * columns).total();
        let row_totals = Shared::concat(&(0..len / columns).map(row).collect::<Vec<_>>());
        let column = |at: usize| {
            let first = at / columns * cells + at % columns;
            counts.pick((0..rows).map(|row| first + row * columns)).total()
        };
        let column_totals = Shared::concat(&(0..len / rows).map(column).collect::<Vec<_>>());
        let all = Shared::concat([counts, &row_totals, &column_totals]);
        let below = [
            less_than(session, &all, policy.threshold),
            less_than(session, counts, 1),
            less_than(session, counts, FILLER.try_into().unwrap_or(u64::MAX)),
        ];
        let below = session.negative(&Shared::concat(&below))?;
        let below = session.to_integers(&below)?;
        let (few, rest) = (below.slice(0, len), below.slice(all.len(), below.len()));
        let known = linear::complement(session, &below.slice(len, all.len()));
        let rows_known = known.pick((0..len).map(|at| at / columns));
        let of_column = |at| len / columns + at / cells * columns + at % columns;
        let columns_known = known.pick((0..len).map(of_column));
        Ok(Self {
            known: session.multiply_raw(&rows_known, &columns_known)?,
            small: few.minus(&rest.slice(0, len)),
            large: rest.slice(len, 2 * len).minus(&few),
            shape: (rows, columns),
        })
    }

    /// Closes rectangles of hidden cells: the new verdicts, and for each cell 1 where it is small, its
    /// totals may be known, and no rectangle protects it.
    fn closed(
        &self,
        session: &mut dyn Session,
        verdicts: &Shared,
    ) -> Result<(Shared, Shared), MpcError> {
        let hidden = linear::complement(session, verdicts);
        let large = session.multiply_raw(&self.large, &hidden)?;
        let corners = chained(session, (&large, &large), &self.small, self.shape)?;
        let corners = linear::reaches(session, &corners, 1)?;
        let verdicts = session.multiply_raw(verdicts, &linear::complement(session, &corners))?;
        let hidden = linear::complement(session, &verdicts);
        // the fourth cell may be anything that is hidden; the large ones are those from before
        let protected = chained(session, (&large, &large), &hidden, self.shape)?;
        let protected = linear::reaches(session, &protected, 1)?;
        let open = linear::complement(session, &protected);
        let open = session.multiply_raw(&self.small, &open)?;
        Ok((verdicts, session.multiply_raw(&open, &self.known)?))
    }
}

/// `left middle' right` of each table, integers: sums over two cells of a row and two of a column.
fn chained(
    session: &mut dyn Session,
    (left, right): (&Shared, &Shared),
    middle: &Shared,
    (rows, columns): (usize, usize),
) -> Result<Shared, MpcError> {
    let (cells, square) = (rows * columns, rows * rows);
    let tables = left.len() / cells;
    // [table][row][other row][column]
    let places = || {
        (0..tables * square * columns).map(|at| {
            let (table, rest) = (at / (square * columns), at % (square * columns));
            (table * cells, rest / (rows * columns), rest / columns % rows, rest % columns)
        })
    };
    let one = left.pick(places().map(|(first, row, _, at)| first + row * columns + at));
    let other = middle.pick(places().map(|(first, _, row, at)| first + row * columns + at));
    let products = session.multiply_raw(&one, &other)?;
    let sum = |at: usize| products.slice(at * columns, (at + 1) * columns).total();
    let met = Shared::concat(&(0..tables * square).map(sum).collect::<Vec<_>>());
    let met = met.pick((0..tables * square * columns).map(|at| at / columns));
    let last = right.pick(places().map(|(first, _, row, at)| first + row * columns + at));
    let products = session.multiply_raw(&met, &last)?;
    let sum = |at: usize| {
        let (row, column) = (at / columns, at % columns);
        products.pick((0..rows).map(|other| (row * rows + other) * columns + column)).total()
    };
    Ok(Shared::concat(&(0..tables * cells).map(sum).collect::<Vec<_>>()))
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
