//! Counts become midpoints of six, on both backends.

use konsil_disclosure::midpoints;
use konsil_mpc::{Audience, MpcError, Opening, Session, Topology};
use konsil_testing::{add_up, ideal, shared};
use proptest::prelude::*;

const OUT: Opening =
    Opening { name: "test.out", says: "Rounded counts.", to: Audience::Researcher };

fn rounded(counts: &[u128]) -> Vec<u128> {
    let program = |session: &mut dyn Session, me: usize| -> Result<(), MpcError> {
        let mine: Vec<u128> = counts.iter().map(|it| if me == 1 { *it } else { 0 }).collect();
        let counts = session.input(&mine)?;
        let rounded = midpoints(session, &counts)?;
        session.release(OUT, &rounded)
    };
    let out = add_up(&ideal(3, &[OUT], program), OUT.name);
    assert_eq!(add_up(&shared(3, Topology::Mesh, &[OUT], program), OUT.name), out);
    out
}

fn expected(count: u128) -> u128 {
    (count.div_ceil(6) * 6).saturating_sub(3)
}

// Every rest of six near 0, and the ends of the range, where the reciprocal's rounding shows.
#[test]
fn counts_become_the_middle_of_their_six() {
    let largest = (1 << 32) - 1;
    let counts: Vec<u128> = (0..40).chain(largest - 40..=largest).collect();
    let wanted: Vec<u128> = counts.iter().map(|it| expected(*it)).collect();
    assert_eq!(wanted[..8], [0, 3, 3, 3, 3, 3, 3, 9]);
    assert_eq!(rounded(&counts), wanted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_count_becomes_the_middle_of_its_six(
        counts in prop::collection::vec(0..1_u128 << 32, 1..50),
    ) {
        let wanted: Vec<u128> = counts.iter().map(|it| expected(*it)).collect();
        prop_assert_eq!(rounded(&counts), wanted);
    }
}
