//! The budget ledger on disk: several connections, several threads, crashes.

use jiff::Timestamp;
use konsil_governance::budget::{Amount, Cost, Currency, Limits, Scope};
use konsil_node::State;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

const THREADS: u64 = 4;
const OPERATIONS: u64 = 520;

fn cost(study: u64, release: &str, amount: u64) -> Cost {
    Cost {
        study: format!("s{study}"),
        release: release.to_owned(),
        currency: if amount.is_multiple_of(2) { Currency::Dp } else { Currency::Exact },
        amount: Amount(amount),
        lineage: "patients".to_owned(),
        year: 2026,
        snapshot: String::new(),
    }
}

fn limits() -> Limits {
    Limits {
        study_rho: Some(Amount(20_000)),
        lineage_year_rho: Some(Amount(45_000)),
        patient_rho: None,
        study_exposure: Some(Amount(20_000)),
        lineage_year_exposure: Some(Amount(45_000)),
    }
}

/// One thread's operations, each with an own connection now and then; how many were refused.
fn operate(path: &Path, number: u64) -> u64 {
    let now = Timestamp::UNIX_EPOCH;
    let (mut state, mut refused) = (State::open(path).unwrap(), 0);
    let mut open = Vec::new();
    let mut random = number;
    for step in 0..OPERATIONS {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = random >> 33;
        match draw % 8 {
            0..5 => {
                let release = format!("t{number}-{step}");
                let cost = cost(draw % 3, &release, 50 + draw % 501);
                match state.reserve(now, &cost, &limits()) {
                    Ok(()) => open.push(release),
                    Err(error) => {
                        assert_eq!(error.code(), "K0640", "{error}");
                        refused += 1;
                    }
                }
            }
            5 => {
                if let Some(release) = open.pop() {
                    state.commit(now, &release).unwrap();
                }
            }
            6 => {
                if let Some(release) = open.pop() {
                    assert!(state.refund(now, &release, ("crash", false)).is_err());
                    state.refund(now, &release, ("nothing was opened", true)).unwrap();
                }
            }
            // the process dies and starts again: what it had reserved stays spent
            _ => state = State::open(path).unwrap(),
        }
    }
    refused
}

// Invariant I4 on the disk: over two thousand operations from four processes' worth of connections,
// never overdrawn; the balances follow from the entries alone.
#[test]
fn concurrent_operations_on_disk_never_overdraw() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sqlite");
    drop(State::open(&path).unwrap());
    let refused: u64 = thread::scope(|scope| {
        let path = &path;
        let threads: Vec<_> =
            (1..=THREADS).map(|number| scope.spawn(move || operate(path, number))).collect();
        threads.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert!(refused > 20, "the limits were hardly met: {refused}");
    let ledger = State::read(&path).unwrap().ledger().unwrap();
    let again = State::open(&path).unwrap().ledger().unwrap();
    assert_eq!(ledger, again);
    assert!(ledger.size() > 500);
    for balance in ledger.balances(&limits()) {
        assert!(balance.spent <= balance.limit.unwrap(), "{balance:?}");
    }
}

// Case 54: what is left is enough for one of two. Exactly one gets it, the other is told.
#[test]
fn of_two_reservations_at_once_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = folder.path().join(format!("{round}.sqlite"));
        let states = [State::open(&path).unwrap(), State::open(&path).unwrap()];
        let start = Barrier::new(2);
        let results: Vec<Result<(), String>> = thread::scope(|scope| {
            let start = &start;
            let reserve = |(number, state): (usize, &State)| {
                let (state, cost) = (state.clone(), cost(1, &format!("r{number}"), 12_000));
                scope.spawn(move || {
                    start.wait();
                    let reserved = state.reserve(Timestamp::UNIX_EPOCH, &cost, &limits());
                    reserved.map_err(|error| error.to_string())
                })
            };
            let threads: Vec<_> = states.iter().enumerate().map(reserve).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 1);
        let error = results.into_iter().find_map(Result::err).unwrap();
        assert_eq!(
            error,
            "budget-exhausted: study `s1` would spend 0.000012 rho, 0.000008 of 0.00002 left"
        );
        let spent = states[0].ledger().unwrap().spent(&Scope::Study("s1".to_owned()), Currency::Dp);
        assert_eq!(spent, Amount(12_000));
    }
}

// Patients' counters stay at the centre; a full one leaves its patient out.
#[test]
fn patients_are_charged_until_their_counter_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("node.sqlite")).unwrap();
    let all = ["a".to_owned(), "b".to_owned()];
    let key = konsil_cohort::Key::create(&folder.path().join("data.key")).unwrap();
    let charge = |who: &[String], amount| {
        state.charge_patients(who, Amount(amount), Amount(10), &key).unwrap()
    };
    assert_eq!(charge(&all[..1], 7), [true]);
    assert_eq!(charge(&all, 4), [false, true]);
    assert_eq!(charge(&all, 3), [true, true]);
    assert_eq!(charge(&all, 1), [false, true]);
}
