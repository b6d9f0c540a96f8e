//! Tables with known row totals give no small count away, on both backends.

use konsil_disclosure::{Counts, FILLER, Policy, Residual, large_enough, protect_rows, suppress};
use konsil_mpc::{Audience, MpcError, Opening, Session, Shared, Topology};
use konsil_testing::{add_up, ideal, shared};
use proptest::prelude::*;

const OUT: Opening =
    Opening { name: "test.out", says: "Verdicts and masked counts.", to: Audience::Researcher };

fn policy(zero_cells: bool) -> Policy {
    Policy { zero_cells, residual: Residual::None, ..Policy::default() }
}

/// Verdicts, then masked counts, of pooled `counts` in rows of `len`.
fn protected(counts: &[u128], len: usize, policy: &Policy) -> (Vec<u128>, Vec<u128>) {
    let program = |session: &mut dyn Session, me: usize| -> Result<(), MpcError> {
        let mine: Vec<u128> = counts.iter().map(|it| if me == 0 { *it } else { 0 }).collect();
        let counts = Counts::input(session, policy, &mine)?;
        let verdicts = large_enough(session, policy, &counts)?;
        let counts = counts.total;
        let verdicts = protect_rows(session, policy, (&verdicts, &counts), len)?;
        let masked = suppress(session, &verdicts, &counts)?;
        session.release(OUT, &Shared::concat([&verdicts, &masked]))
    };
    let out = add_up(&ideal(3, &[OUT], program), OUT.name);
    assert_eq!(add_up(&shared(3, Topology::Mesh, &[OUT], program), OUT.name), out);
    let (verdicts, masked) = out.split_at(counts.len());
    (verdicts.to_vec(), masked.to_vec())
}

// What hides behind a total is none or at least the threshold, or the row is hidden wholly.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn totals_give_no_small_count_away(
        rows in prop::collection::vec(prop::collection::vec(0..30_u128, 4), 1..5),
        zero_cells: bool,
    ) {
        let policy = policy(zero_cells);
        let counts = rows.concat();
        let (verdicts, masked) = protected(&counts, 4, &policy);
        for (row, (verdicts, masked)) in
            rows.iter().zip(verdicts.chunks(4).zip(masked.chunks(4)))
        {
            let hidden: Vec<usize> = (0..4).filter(|at| verdicts[*at] == 0).collect();
            let sum: u128 = hidden.iter().map(|at| row[*at]).sum();
            let shown_patients: u128 = masked.iter().sum();
            prop_assert!(hidden.is_empty() || sum >= 10 || shown_patients == 0);
            for at in 0..4 {
                prop_assert_eq!(masked[at], row[at] * verdicts[at]);
                let may_show = row[at] >= 10 || (zero_cells && row[at] == 0);
                prop_assert!(may_show || verdicts[at] == 0);
            }
        }
    }
}

#[test]
fn the_smallest_neighbour_hides_a_lonely_cell() {
    let (verdicts, _) = protected(&[40, 3, 20, 50, 40, 12, 20, 50], 4, &policy(false));
    assert_eq!(verdicts, [1, 0, 0, 1, 1, 1, 1, 1]);
    // two that are few together, too
    let (verdicts, _) = protected(&[40, 3, 4, 50, 40, 9, 9, 50], 4, &policy(false));
    assert_eq!(verdicts, [0, 0, 0, 1, 1, 0, 0, 1]);
    // a filler is never what hides it
    let (verdicts, _) = protected(&[40, 3, FILLER, 50], 4, &policy(false));
    assert_eq!(verdicts[..2], [0, 0]);
}
