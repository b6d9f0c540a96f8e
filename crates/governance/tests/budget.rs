//! The budget against a public accountant, and under a million operations.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use konsil_governance::budget::{
    Amount, BudgetError, BudgetRecord, Cost, Currency, Ledger, Limits, Scope, Step, epsilon,
};
use serde_json::Value;
use std::collections::HashMap;

const VECTORS: &str = include_str!("vectors/zcdp.json");

// Our epsilon is never above what dp-accounting gives on a grid of orders, within 1e-5 of it, and
// never below the exact epsilon of a Gaussian with the same rho.
#[test]
fn epsilon_is_that_of_a_public_accountant() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 20);
    for case in cases {
        let rho: Amount = case["rho"].as_str().unwrap().parse().unwrap();
        let own = epsilon(rho, case["delta"].as_f64().unwrap());
        let theirs = case["epsilon"].as_f64().unwrap();
        assert!(own <= theirs + 1e-9 && theirs - own < 1e-5, "{case} {own}");
        assert!(own >= case["gaussian"].as_f64().unwrap() - 1e-6, "{case} {own}");
    }
}

/// A small generator of numbers (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Operations of one thread; there are eight.
const OPERATIONS: u64 = 125_000;

fn limits() -> Limits {
    Limits {
        study_rho: Some(Amount(40_000)),
        lineage_year_rho: Some(Amount(100_000)),
        patient_rho: None,
        study_exposure: Some(Amount(30_000)),
        lineage_year_exposure: None,
    }
}

/// A cost of one of nine studies that go on at the time; studies and cohorts come and go, so that
/// budgets are met all the time and there is always room somewhere.
fn cost(random: &mut Random, release: u64) -> Cost {
    let time = release % OPERATIONS / 1000;
    Cost {
        study: format!("s{}", time + random.below(9)),
        release: format!("r{release}"),
        currency: if random.below(2) == 0 { Currency::Dp } else { Currency::Exact },
        amount: Amount(random.below(1200)),
        lineage: format!("l{}", time + random.below(5)),
        year: 2026 + i16::try_from(random.below(2)).unwrap(),
        snapshot: "0".to_owned(),
    }
}

/// What should have been spent, kept in the plainest way.
#[derive(Default)]
struct Plain {
    study: HashMap<(String, Currency), u64>,
    lineage: HashMap<(String, i16, Currency), u64>,
}

impl Plain {
    fn add(&mut self, cost: &Cost, sign: i64) {
        let study = self.study.entry((cost.study.clone(), cost.currency)).or_default();
        *study = study.checked_add_signed(sign * i64::try_from(cost.amount.0).unwrap()).unwrap();
        let key = (cost.lineage.clone(), cost.year, cost.currency);
        let lineage = self.lineage.entry(key).or_default();
        *lineage =
            lineage.checked_add_signed(sign * i64::try_from(cost.amount.0).unwrap()).unwrap();
    }

    fn fits(&self, cost: &Cost) -> bool {
        let of = |found: Option<&u64>| found.copied().unwrap_or(0) + cost.amount.0;
        let study = of(self.study.get(&(cost.study.clone(), cost.currency)));
        let lineage = of(self.lineage.get(&(cost.lineage.clone(), cost.year, cost.currency)));
        match cost.currency {
            Currency::Dp => study <= 40_000 && lineage <= 100_000,
            Currency::Exact => study <= 30_000,
        }
    }

    fn equals(&self, ledger: &Ledger) -> bool {
        self.study.iter().all(|((study, currency), spent)| {
            ledger.spent(&Scope::Study(study.clone()), *currency) == Amount(*spent)
        }) && self.lineage.iter().all(|((lineage, year, currency), spent)| {
            let scope = Scope::LineageYear(lineage.clone(), *year);
            ledger.spent(&scope, *currency) == Amount(*spent)
        })
    }
}

/// Some 100,000 operations on one ledger: reservations, of which two are made at once and one is
/// written first; commits; refunds; and crashes, after which only what was written is there.
fn operate(seed: u64) -> (u64, u64) {
    let mut random = Random(seed);
    let (mut ledger, mut plain) = (Ledger::default(), Plain::default());
    let mut written: Vec<BudgetRecord> = Vec::new();
    let mut open: Vec<Cost> = Vec::new();
    let mut refused = 0;
    for number in 0..OPERATIONS {
        match random.below(100) {
            0..60 => {
                let one = cost(&mut random, number);
                let result = ledger.reserve(&one, &limits());
                assert_eq!(result.is_ok(), plain.fits(&one), "the filter is exact");
                let Ok(record) = result else {
                    refused += 1;
                    continue;
                };
                if random.below(10) == 0 {
                    continue; // a crash before the entry was written: nothing has happened
                }
                let rival = cost(&mut random, number + OPERATIONS);
                let second = ledger.reserve(&rival, &limits());
                ledger.accept(&record).unwrap();
                written.push(record);
                plain.add(&one, 1);
                // the second of two at once was made for a ledger that is no more
                assert!(second.is_err() || ledger.accept(&second.unwrap()).is_err());
                assert_eq!(ledger.reserve(&one, &limits()), Err(BudgetError::Repeated));
                open.push(one);
            }
            60..97 if !open.is_empty() => {
                let at = usize::try_from(random.below(open.len() as u64)).unwrap();
                let one = open.swap_remove(at);
                let refund = random.below(2) == 0;
                let record = if refund {
                    assert!(ledger.refund(&one.release, "crashed", false).is_err());
                    assert!(ledger.refund(&one.release, " ", true).is_err());
                    ledger.refund(&one.release, "nothing was opened", true)
                } else {
                    ledger.commit(&one.release)
                };
                let record = record.unwrap();
                let entry = ledger.accept(&record).unwrap();
                assert_eq!(entry.step == Step::Refund, refund);
                written.push(record);
                if refund {
                    plain.add(&one, -1);
                }
                assert_eq!(ledger.commit(&one.release), Err(BudgetError::NotReserved));
            }
            97 if number % 512 == 0 => {
                // the process dies; the next one has the entries only
                let mut again = Ledger::default();
                written.iter().for_each(|record| drop(again.accept(record).unwrap()));
                assert_eq!(again, ledger);
                ledger = again;
            }
            _ => {}
        }
    }
    assert!(plain.equals(&ledger), "balances follow from the entries");
    assert_eq!(ledger.open().count(), open.len(), "a crash leaves reservations spent");
    (ledger.size(), refused)
}

// Never overdrawn, whatever comes in whatever order (invariant I4); a million operations.
#[test]
fn a_million_operations_never_overdraw() {
    let threads: Vec<_> = (1..=8).map(|seed| std::thread::spawn(move || operate(seed))).collect();
    let counts = threads.into_iter().map(|it| it.join().unwrap());
    let (written, refused) = counts.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    assert!(refused > 50_000 && written > 200_000, "{refused} refused, {written} written");
}

// The refusal says what is asked and what is left.
#[test]
fn the_refusal_is_one_sentence_with_numbers() {
    let limits = Limits { study_rho: Some("3".parse().unwrap()), ..Limits::default() };
    let mut ledger = Ledger::default();
    let mut cost = cost(&mut Random(1), 1);
    (cost.study, cost.currency) = ("ad".to_owned(), Currency::Dp);
    cost.amount = "2.75".parse().unwrap();
    ledger.accept(&ledger.reserve(&cost, &limits).unwrap()).unwrap();
    (cost.release, cost.amount) = ("r2".to_owned(), "0.4".parse().unwrap());
    assert_eq!(
        ledger.reserve(&cost, &limits).unwrap_err().to_string(),
        "budget-exhausted: study `ad` would spend 0.40 rho, 0.25 of 3.00 left"
    );
    // the other currency is another budget
    cost.currency = Currency::Exact;
    ledger.reserve(&cost, &limits).unwrap();
}

// Changed, missing and exchanged entries are found.
#[test]
fn a_changed_ledger_is_found() {
    let mut random = Random(3);
    let mut ledger = Ledger::default();
    let mut records = Vec::new();
    for number in 0..6 {
        let record = ledger.reserve(&cost(&mut random, number), &Limits::default()).unwrap();
        ledger.accept(&record).unwrap();
        records.push(record);
    }
    let read = |records: &[BudgetRecord]| {
        let mut ledger = Ledger::default();
        records.iter().try_for_each(|it| ledger.accept(it).map(drop))
    };
    assert_eq!(read(&records), Ok(()));
    let mut changed = records.clone();
    changed[3].text = changed[3].text.replace("\"year\":2026", "\"year\":2025");
    changed[3].text = changed[3].text.replace("\"year\":2027", "\"year\":2025");
    assert_eq!(read(&changed), Err(BudgetError::Broken(4)));
    let mut missing = records.clone();
    missing.remove(2);
    assert_eq!(read(&missing), Err(BudgetError::Broken(3)));
    records.swap(1, 2);
    assert_eq!(read(&records), Err(BudgetError::Broken(2)));
}
