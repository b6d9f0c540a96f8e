//! Which sets of patients may not be subtracted from each other, on both backends.

use konsil_disclosure::{DIFFERENCES, Overlaps, Policy, Refusal, compare_cohorts};
use konsil_mpc::{MpcError, Session, Topology};
use konsil_testing::{ideal, shared};
use std::sync::atomic::{AtomicUsize, Ordering};

/// One pair of sets, each number by centre.
#[derive(Clone, Copy)]
struct Pair {
    sizes: [[u64; 4]; 2],
    differ: [u64; 4],
    cohorts: bool,
    chosen: Option<u64>,
}

const COHORTS: Pair =
    Pair { sizes: [[100; 4], [110; 4]], differ: [10; 4], cohorts: true, chosen: Some(0) };
const SETS: Pair = Pair { cohorts: false, ..COHORTS };

/// Whether the pair is refused, the same on both backends.
fn refused(pair: Pair) -> bool {
    let [asked, refused] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let program = |session: &mut dyn Session, me: usize| -> Result<(), MpcError> {
        let chosen = if pair.cohorts { vec![pair.chosen] } else { Vec::new() };
        let sizes = pair.sizes.iter().map(|it| it[me]).collect();
        let own = Overlaps { sizes, pairs: vec![(0, 1)], chosen, differ: vec![pair.differ[me]] };
        asked.fetch_add(1, Ordering::Relaxed);
        match compare_cohorts(session, &Policy::default(), &own) {
            Ok(()) => Ok(()),
            Err(Refusal::Mpc(error)) => Err(error),
            Err(_) => {
                refused.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    };
    ideal(4, &[DIFFERENCES], program);
    shared(4, Topology::Mesh, &[DIFFERENCES], program);
    // four centres of each backend, and the plan, which refuses nothing
    let (asked, refused) = (asked.into_inner(), refused.into_inner());
    assert!(asked == 9 && (refused == 0 || refused == 8), "{refused} of {asked}");
    refused > 0
}

// R6, R13: the patients in whom two sets differ are none or enough.
#[test]
fn a_few_patients_are_not_subtracted() {
    for pair in [COHORTS, SETS] {
        assert!(!refused(pair));
        assert!(!refused(Pair { differ: [0; 4], ..pair }));
        assert!(refused(Pair { differ: [1, 0, 0, 0], ..pair }));
        assert!(refused(Pair { differ: [3, 2, 2, 2], ..pair }));
        // enough, but not for the centre that knows its own 9
        assert!(refused(Pair { differ: [9, 1, 1, 0], ..pair }));
    }
}

// R3: a difference that the question makes and that is one centre's alone shows that centre's sums,
// as all centres against all but one do. Imports and withdrawals at one centre are no question.
#[test]
fn a_question_does_not_single_a_centre_out() {
    let alone = Pair { differ: [0, 0, 90, 0], ..COHORTS };
    assert!(refused(alone));
    assert!(refused(Pair { differ: [0, 50, 90, 0], ..COHORTS }));
    assert!(!refused(Pair { differ: [20, 50, 90, 0], ..COHORTS }));
    assert!(refused(Pair { differ: [0; 4], chosen: Some(1), ..COHORTS }));
    assert!(refused(Pair { chosen: Some(1), ..alone }));
    assert!(!refused(Pair { chosen: Some(2), ..alone }));
    assert!(!refused(Pair { differ: [0; 4], chosen: Some(3), ..COHORTS }));
    assert!(!refused(Pair { chosen: None, ..alone }));
    assert!(refused(Pair { chosen: None, differ: [0, 0, 3, 0], ..alone }));
}

// What is suppressed cannot be subtracted; cohorts are compared whatever their size.
#[test]
fn sets_too_small_to_be_shown_do_not_matter() {
    let few = Pair { differ: [1, 1, 0, 0], ..SETS };
    let small = [2, 2, 2, 2];
    assert!(refused(few));
    for side in 0..2 {
        let mut sizes = few.sizes;
        sizes[side] = small;
        assert!(!refused(Pair { sizes, ..few }));
        assert!(refused(Pair { sizes, cohorts: true, ..few }));
    }
}
