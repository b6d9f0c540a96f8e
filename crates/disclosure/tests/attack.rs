//! The membership attack finds as many as it should, on both backends.

use konsil_disclosure::{Described, FOUND_PER_MILLE, Policy, Refusal, attack};
use konsil_mpc::{Audience, MpcError, Opening, Session, Topology};
use konsil_testing::{add_up, ideal, shared};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::atomic::{AtomicUsize, Ordering};

const ATTACKED: Opening =
    Opening { name: "test.attacked", says: "Whether too many.", to: Audience::Centres };
const FOUND: Opening = Opening { name: "test.found", says: "The rate.", to: Audience::Researcher };
const CENTRES: usize = 3;

/// Patients `[centre][patient][number]`.
type Data = Vec<Vec<Vec<f64>>>;

/// Independent numbers of so many patients of each centre, drawn by `draw`.
fn draw(
    (each, numbers, seed): (usize, usize, u64),
    draw: impl Fn(&mut ChaCha20Rng) -> f64,
) -> Data {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let mut patient = || (0..numbers).map(|_| draw(&mut random)).collect::<Vec<f64>>();
    (0..CENTRES).map(|_| (0..each).map(|_| patient()).collect()).collect()
}

/// Nearly normal, in [-1, 1].
fn usual(random: &mut ChaCha20Rng) -> f64 {
    (0..6).map(|_| random.random_range(-1.0..1.0)).sum::<f64>() / 6.0
}

/// What the attack says: the rate's place, or none when it is refused.
fn tried(data: &Data, counts: bool, live: bool) -> Option<u128> {
    let policy = Policy::default();
    let refused = AtomicUsize::new(0);
    let program = |session: &mut dyn Session, me: usize| -> Result<(), MpcError> {
        let own = data.get(me).map_or(&[][..], Vec::as_slice);
        let column = |at: usize| own.iter().map(|it| it[at]).collect();
        let counts = vec![counts; data[0][0].len()];
        let described = Described { counts: &counts, patients: own.len(), column: &column };
        match attack(session, (ATTACKED, FOUND), &policy, &described) {
            Ok(()) => Ok(()),
            Err(Refusal::Mpc(error)) => Err(error),
            Err(_) => {
                refused.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    };
    let openings = [ATTACKED, FOUND];
    let run = if live {
        shared(CENTRES, Topology::Mesh, &openings, program)
    } else {
        ideal(CENTRES, &openings, program)
    };
    (refused.into_inner() == 0).then(|| add_up(&run, FOUND.name)[0])
}

fn percent(place: u128) -> f64 {
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    FOUND_PER_MILLE.get(place).map_or(100.0, |it| *it as f64 / 10.0)
}

// m/n of 0.07 lets 2.0 % be found, 0.25 3.4 %, 1 9.2 %; of 20 samples the middle one is near that.
#[test]
fn as_many_are_found_as_the_numbers_tell() {
    let middle = |each: usize, numbers: usize| {
        let run = |seed| tried(&draw((each, numbers, seed), usual), false, false);
        let mut places: Vec<f64> = (0..15).filter_map(run).map(percent).collect();
        places.sort_by(f64::total_cmp);
        (places.len(), places.get(places.len() / 2).copied())
    };
    let (passed, found) = middle(200, 42);
    assert!(passed == 15 && (1.5..=3.0).contains(&found.unwrap()), "{passed} {found:?}");
    let (passed, found) = middle(100, 75);
    assert!(passed > 10 && (3.0..=5.0).contains(&found.unwrap()), "{passed} {found:?}");
    let (passed, _) = middle(50, 150);
    assert!(passed < 3, "{passed}");
}

// Counts of fewer than ten are suppressed and help no attacker; as other numbers they would.
#[test]
fn suppressed_counts_find_nobody() {
    let rare = |random: &mut ChaCha20Rng| f64::from(u8::from(random.random_bool(0.01)));
    let data = draw((60, 40, 5), rare);
    let have = |number: usize| data.iter().flatten().filter(|it| it[number] > 0.0).count();
    assert!((0..40).all(|number| have(number) < 10));
    assert_eq!(tried(&data, true, false), Some(0));
    assert_ne!(tried(&data, false, false), Some(0));
}

// What is usual passes, also for few patients: at the limit of exposure, one in twenty at most fails.
#[test]
fn usual_descriptions_pass() {
    let passes = |each: usize, numbers: usize| {
        let run = |seed: &u64| tried(&draw((each, numbers, *seed), usual), false, false).is_some();
        (100..140).filter(run).count()
    };
    for (each, numbers) in [(15, 2), (30, 6), (70, 14)] {
        assert!(
            passes(each, numbers) >= 38,
            "{} of 40 at {each} x {numbers}",
            passes(each, numbers)
        );
    }
}

// Rounding on shares moves a score that is next to a threshold at most.
#[test]
fn both_backends_find_the_same() {
    for (each, numbers) in [(40, 4), (3, 1), (80, 60)] {
        let data = draw((each, numbers, 7), usual);
        let (one, other) = (tried(&data, false, false), tried(&data, false, true));
        let near = one == other || one.zip(other).is_some_and(|(a, b)| a.abs_diff(b) <= 1);
        assert!(near, "{one:?} {other:?}");
    }
}
