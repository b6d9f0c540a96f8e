//! What an attacker gets out of a released table whose totals are all known: the exact smallest and
//! largest value of every hidden cell, by flows through the table.

use konsil_disclosure::{Counts, Policy, Residual, large_enough, protect_table};
use konsil_mpc::{Audience, MpcError, Opening, Session};
use konsil_testing::{add_up, ideal};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

const OUT: Opening = Opening { name: "test.out", says: "Verdicts.", to: Audience::Researcher };

/// Which cells of `[row][column]` are shown.
fn shown(counts: &[u64], shape: (usize, usize)) -> Vec<bool> {
    let policy = Policy { residual: Residual::None, ..Policy::default() };
    let program = |session: &mut dyn Session, me: usize| -> Result<(), MpcError> {
        let mine: Vec<u128> =
            counts.iter().map(|it| if me == 0 { u128::from(*it) } else { 0 }).collect();
        let counts = Counts::input(session, &policy, &mine)?;
        let verdicts = large_enough(session, &policy, &counts)?;
        let verdicts = protect_table(session, &policy, (&verdicts, &counts.total), shape)?;
        session.release(OUT, &verdicts)
    };
    add_up(&ideal(3, &[OUT], program), OUT.name).iter().map(|it| *it == 1).collect()
}

/// Stands for no cell.
const OUTSIDE: usize = usize::MAX;

/// A table as the attacker's problem: rows and columns are nodes, hidden cells are edges.
struct Table<'a> {
    counts: &'a [u64],
    hidden: Vec<bool>,
    /// Rows, then columns, whose totals nobody knows.
    free: Vec<bool>,
    shape: (usize, usize),
}

impl Table<'_> {
    /// By how much a hidden cell can be larger (`up`), or smaller, while all totals stay: the largest
    /// flow between its two nodes through the other hidden cells.
    fn slack(&self, cell: usize, up: bool) -> u64 {
        let (rows, columns) = self.shape;
        let mut values = self.counts.to_vec();
        let (row, column) = (cell / columns, rows + cell % columns);
        // larger here is smaller in another cell of the column, larger in that one's row, ...
        let (from, to) = if up { (column, row) } else { (row, column) };
        let bound = if up { u64::MAX } else { self.counts[cell] };
        let mut sent = 0;
        while sent < bound {
            let Some(path) = self.path(&values, (from, to), cell) else { break };
            let room = path.iter().filter(|(_, more)| !more).map(|(at, _)| values[*at]).min();
            let step = room.unwrap_or(bound - sent).min(bound - sent).min(1_000_000);
            for (at, more) in &path {
                values[*at] = if *more { values[*at] + step } else { values[*at] - step };
            }
            sent += step;
            if sent >= 1_000_000 {
                break;
            }
        }
        sent
    }

    /// Cells on a way from a node to another, and whether each becomes larger. A row's cell becomes
    /// larger on the way to its column, a column's smaller on the way to its row.
    fn path(
        &self,
        values: &[u64],
        (from, to): (usize, usize),
        without: usize,
    ) -> Option<Vec<(usize, bool)>> {
        let (rows, columns) = self.shape;
        let mut came: Vec<Option<(usize, usize, bool)>> = vec![None; rows + columns];
        let free = |node: usize| self.free.get(node) == Some(&true);
        let mut next = vec![from];
        while let Some(node) = next.pop() {
            if node == to {
                let (mut at, mut path) = (to, Vec::new());
                while at != from {
                    let (before, cell, more) = came[at]?;
                    path.extend((cell != OUTSIDE).then_some((cell, more)));
                    at = before;
                }
                return Some(path);
            }
            // patients go from one line of unknown total to another by way of nobody's table
            for other in (0..rows + columns).filter(|other| free(node) && free(*other)) {
                if other != from && came[other].is_none() {
                    came[other] = Some((node, OUTSIDE, true));
                    next.push(other);
                }
            }
            let is_row = node < rows;
            for other in if is_row { rows..rows + columns } else { 0..rows } {
                let (row, column) = if is_row { (node, other) } else { (other, node) };
                let cell = row * columns + column - rows;
                let open = self.hidden[cell] && cell != without && (is_row || values[cell] > 0);
                if open && other != from && came[other].is_none() {
                    came[other] = Some((node, cell, is_row));
                    next.push(other);
                }
            }
        }
        None
    }
}

// R14: of 2,000 random tables of 2 to 5 groups and 2 to 6 levels, many of them with small cells, no
// small cell can be computed from what is shown and all totals, and none is known to be small. Cells
// of a row or column that is small itself are not asked for: its total would tell as much.
#[test]
fn no_small_cell_can_be_computed() {
    let mut random = ChaCha20Rng::seed_from_u64(14);
    let (mut small, mut determined, mut known_small, mut whole) = (0, 0, 0, 0);
    for _ in 0..2000 {
        let shape = (random.random_range(2..=5), random.random_range(2..=6));
        let largest: [u64; 5] = [6, 15, 40, 200, 1000];
        let counts: Vec<u64> = (0..shape.0 * shape.1)
            .map(|_| {
                let below = largest[random.random_range(0..5)];
                random.random_range(0..below)
            })
            .collect();
        let hidden: Vec<bool> = shown(&counts, shape).iter().map(|it| !it).collect();
        whole += usize::from(hidden.iter().all(|it| *it));
        let sum = |cells: Vec<usize>| cells.iter().map(|at| counts[*at]).sum::<u64>();
        let rows: Vec<u64> =
            (0..shape.0).map(|row| sum((row * shape.1..(row + 1) * shape.1).collect())).collect();
        let columns: Vec<u64> = (0..shape.1)
            .map(|column| sum((0..shape.0).map(|row| row * shape.1 + column).collect()))
            .collect();
        // totals by groups and by levels, as tables without the other protect them
        let free = [shown(&rows, (1, shape.0)), shown(&columns, (1, shape.1))].concat();
        let free = free.iter().map(|it| !it).collect();
        let table = Table { counts: &counts, hidden, free, shape };
        for cell in (0..counts.len()).filter(|cell| (1..10).contains(&counts[*cell])) {
            assert!(table.hidden[cell]);
            if rows[cell / shape.1] < 10 || columns[cell % shape.1] < 10 {
                continue;
            }
            small += 1;
            let (up, down) = (table.slack(cell, true), table.slack(cell, false));
            determined += usize::from(up + down == 0);
            known_small += usize::from(counts[cell] + up < 10);
        }
    }
    assert!(small > 4000, "{small} small cells; {whole} of 2000 tables are hidden");
    assert_eq!((determined, known_small), (0, 0));
}

// What protection costs where one level is rare, as in most first tables: few cells.
#[test]
fn usual_tables_lose_few_cells() {
    let mut random = ChaCha20Rng::seed_from_u64(15);
    let (mut hidden, mut small, mut all, mut whole) = (0, 0, 0, 0);
    for _ in 0..1000 {
        let shape = (random.random_range(2..=3), random.random_range(3..=5));
        let counts: Vec<u64> = (0..shape.0 * shape.1)
            .map(|at| {
                let rare = at % shape.1 == 0;
                random.random_range(if rare { 0..30 } else { 20..300 })
            })
            .collect();
        let shown = shown(&counts, shape);
        all += counts.len();
        small += counts.iter().filter(|it| **it < 10).count();
        hidden += shown.iter().filter(|it| !**it).count();
        whole += usize::from(shown.iter().all(|it| !it));
    }
    assert!(hidden < 5 * small && whole < 150, "{small} of {all}, {hidden} hidden, {whole} whole");
}

// The attacker of this test finds what there is to find.
#[test]
fn unprotected_tables_are_computed() {
    let counts = [40, 3, 20, 50, 60, 70];
    let alone = Table {
        counts: &counts,
        hidden: vec![false, true, false, false, false, false],
        free: Vec::new(),
        shape: (2, 3),
    };
    assert_eq!((alone.slack(1, true), alone.slack(1, false)), (0, 0));
    // a square of hidden cells moves together: 3 goes to 0 or up to 3 + 20
    let hidden = vec![false, true, true, false, true, true];
    let square = Table { counts: &counts, hidden, free: Vec::new(), shape: (2, 3) };
    assert_eq!((square.slack(1, true), square.slack(1, false)), (20, 3));
    // two in one row only: nothing moves, because the columns know
    let row = Table {
        counts: &counts,
        hidden: vec![true, true, false, false, false, false],
        free: Vec::new(),
        shape: (2, 3),
    };
    assert_eq!((row.slack(1, true), row.slack(1, false)), (0, 0));
}
