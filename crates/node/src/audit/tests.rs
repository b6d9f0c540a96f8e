//! The log under changed rows, full disks and clocks that go wrong.

use super::report::verify;
use super::*;
use crate::centre::CentreNode;
use crate::config::{NodeConfig, Peer, write_toml};
use crate::{Clock, audit_entries, verify_audit};
use konsil_disclosure::Policy;
use konsil_governance::audit::{Answer, Claim, judge};
use konsil_governance::budget::{Cost, Currency, Limits};
use konsil_mpc::BurnLedger;
use konsil_net::Identity;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A centre's folder without patients.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::create(&folder.path().join("identity.key")).unwrap();
    let key = identity.public_key().to_string();
    let peer = |name: &str| Peer { name: name.into(), key: key.clone(), ..Peer::default() };
    let config = NodeConfig {
        unfrozen_data: false,
        genotypes: "geno".to_owned(),
        name: "birke".to_owned(),
        network: "test".to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        dataset: "patients".to_owned(),
        approve_by_policy: true,
        policy: Policy::default(),
        budget: Limits::default(),
        centre: vec![peer("birke")],
        dealer: peer("dealer"),
        researcher: Vec::new(),
    };
    write_toml(&folder.path().join("konsil.toml"), &config).unwrap();
    folder
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn event(number: usize) -> Event {
    Event::new("open", "study", "node@birke").with("numbers", &number)
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

/// Entries of the log that is attacked; a checkpoint is signed at half of them and at all.
const ENTRIES: u64 = 48;

/// Changes one bit of a column of a row. Texts become other texts, or none.
fn flip(connection: &Connection, random: &mut Random) {
    let row = whole(1 + random.below(ENTRIES));
    let integer = |table: &str, column: &str, key: &str, row: i64, bit: u64| {
        // a number that another row has cannot be taken: that row goes first
        let sql = format!(
            "SELECT ({column} | (1 << {bit})) - ({column} & (1 << {bit})) FROM {table} WHERE {key} = {row}"
        );
        let value: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        if column == key {
            let sql = format!("DELETE FROM {table} WHERE {key} = {value}");
            connection.execute(&sql, []).unwrap();
        }
        let sql = format!("UPDATE {table} SET {column} = {value} WHERE {key} = {row}");
        connection.execute(&sql, []).unwrap();
    };
    let mut bytes = |table: &str, column: &str, kind: &str, key: &str, row: i64| {
        let sql = format!("SELECT CAST({column} AS BLOB) FROM {table} WHERE {key} = {row}");
        let mut bytes: Vec<u8> = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        let place = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[place] ^= 1 << random.below(8);
        let sql = format!("UPDATE {table} SET {column} = CAST(? AS {kind}) WHERE {key} = {row}");
        connection.execute(&sql, [bytes]).unwrap();
    };
    let half = whole(ENTRIES / 2);
    match row % 6 {
        0 => bytes("audit_log", "event", "TEXT", "seq", row),
        1 => bytes("audit_log", "hash", "BLOB", "seq", row),
        2 => bytes("checkpoints", "note", "TEXT", "size", half),
        3 => integer("audit_log", "time", "seq", row, random.below(63)),
        4 => integer("audit_log", "clock_back", "seq", row, random.below(63)),
        _ => integer("audit_log", "seq", "seq", row, random.below(63)),
    }
}

/// Takes entries from `from` on away, and all of this centre's own checkpoints.
fn cut(connection: &Connection, from: u64) {
    connection.execute("DELETE FROM audit_log WHERE seq >= ?", [whole(from)]).unwrap();
    connection.execute("DELETE FROM checkpoints", []).unwrap();
}

/// Adds entries that were never written, in order and with the right hashes.
fn forge(connection: &Connection, count: u64) {
    let mut log = Log::default();
    read_log(connection, &mut log).unwrap();
    for number in 0..count {
        let record = log.next(2000, &event(90_000 + usize::try_from(number).unwrap())).unwrap();
        insert(connection, &record).unwrap();
        log.accept(&record).unwrap();
    }
}

/// One attack on the rows, of nine kinds; whether its traces are left for the centre itself.
fn attack(connection: &Connection, random: &mut Random) {
    let row = 1 + random.below(ENTRIES);
    match random.below(9) {
        0..3 => flip(connection, random),
        3 => {
            connection.execute("DELETE FROM audit_log WHERE seq = ?", [whole(row)]).unwrap();
        }
        4 => {
            // two entries change places
            let other = whole(1 + (row + random.below(ENTRIES - 1)) % ENTRIES);
            let change = "UPDATE audit_log SET seq = ?2 WHERE seq = ?1";
            for (from, to) in [(whole(row), -1), (other, whole(row)), (-1, other)] {
                connection.execute(change, [from, to]).unwrap();
            }
        }
        5 => {
            // an entry a second time, at the end
            let sql = "INSERT INTO audit_log SELECT ?2, time, clock_back, event, hash FROM audit_log WHERE seq = ?1";
            connection.execute(sql, [whole(row), whole(ENTRIES + 1)]).unwrap();
        }
        6 => cut(connection, row),
        7 => {
            // an older state, from which the log went on in another way
            cut(connection, row);
            forge(connection, ENTRIES + 3 - row);
        }
        _ => {
            // an entry is put in, and the rest made anew
            cut(connection, row);
            forge(connection, ENTRIES + 1 - row);
        }
    }
}

// Threat 10: an administrator changes, deletes, reorders, cuts or rolls back the log. The centre's
// own check finds it, or a peer that has seen the log before.
#[test]
fn a_thousand_changes_of_the_log_are_all_found() {
    let folder = folder();
    let node = CentreNode::open(folder.path(), Clock::system()).unwrap();
    for number in 0..ENTRIES {
        node.state.log(at(1000 + whole(number)), &event(7)).unwrap();
        if number + 1 == ENTRIES / 2 || number + 1 == ENTRIES {
            node.signed_checkpoint().unwrap();
        }
    }
    let root = node.state.books().log.tree().root(usize::try_from(ENTRIES).unwrap()).unwrap();
    let seen = Claim { size: ENTRIES, root, signature: [0; 64] };
    let key = node.identity.public_key();
    verify(&node.state, &node.config, key).unwrap();
    let (mut by_peer, mut random) = (0, Random(54));
    for number in 0..1000 {
        node.state.lock().execute_batch("BEGIN").unwrap();
        attack(&node.state.lock(), &mut random);
        if verify(&node.state, &node.config, key).is_ok() {
            by_peer += 1;
            let mut log = Log::default();
            read_log(&node.state.lock(), &mut log).unwrap();
            let (size, tree) = (log.head().size, log.tree());
            let root = tree.root(usize::try_from(size).unwrap()).unwrap();
            let places = [seen.size, size].map(|it| usize::try_from(it).unwrap());
            let proof = tree.consistency(places[0], places[1]).unwrap_or_default();
            let answer = Answer { now: Claim { size, root, signature: [0; 64] }, proof };
            assert!(judge(&seen, &answer).is_err(), "change {number} was not found");
        }
        node.state.lock().execute_batch("ROLLBACK").unwrap();
    }
    assert!((100..900).contains(&by_peer), "{by_peer} were left for a peer to find");
    verify(&node.state, &node.config, key).unwrap();
}

// Case 37: order never relies on clocks.
#[test]
fn clock_jumping_back_is_flagged() {
    let folder = folder();
    let state = State::open(&folder.path().join("node.sqlite")).unwrap();
    for second in [1000, 400, 400, 1001] {
        state.log(at(second), &event(1)).unwrap();
    }
    let entries = audit_entries(folder.path(), None, None).unwrap();
    let seen: Vec<_> = entries.iter().map(|(it, _)| (it.time, it.clock_back)).collect();
    assert_eq!(seen, [(1000, false), (1000, true), (1000, true), (1001, false)]);
    assert_eq!(verify_audit(folder.path()).unwrap().clock_back, 2);
}

/// Lets the database grow no further.
fn fill(state: &State) {
    let connection = state.lock();
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages).unwrap();
}

/// Logs until the disk is full; the error.
fn until_full(state: &State) -> NodeError {
    fill(state);
    let long = event(1).with("note", &"x".repeat(3000));
    (0..100).find_map(|_| state.log(at(5), &long).err()).unwrap()
}

pub(crate) fn cost(release: &str) -> Cost {
    Cost {
        study: "s".to_owned(),
        release: release.to_owned(),
        currency: Currency::Dp,
        amount: "0.5".parse().unwrap(),
        lineage: "l".to_owned(),
        year: 2026,
        snapshot: String::new(),
    }
}

// Cases 24 and 28: a write that failed is never tried again. Nothing is changed any more, even when
// there is room again, until the node starts anew; then the log is whole.
#[test]
fn a_log_that_cannot_be_written_stops_everything() {
    let folder = folder();
    let path = folder.path().join("node.sqlite");
    let state = State::open(&path).unwrap();
    let key = konsil_cohort::Key::create(&folder.path().join("some.key")).unwrap();
    assert_eq!(until_full(&state).code(), "K0630");
    let room = state.lock().pragma_update(None, "max_page_count", 1_000_000);
    room.unwrap();
    let now = || (at(6), event(2));
    let refused = [
        state.log(at(6), &event(2)),
        state.begin(now(), "s", ("study", "hash"), (1, "n")),
        state.end(now(), "s", ("released", ""), (1, 1)),
        state.opened((at(6), &[event(2)]), ("s", "a"), &[("n", "centres", 1)]),
        state.reserve(at(6), &cost("r"), &Limits::default()),
        state
            .charge_patients(&["p".to_owned()], "1".parse().unwrap(), "2".parse().unwrap(), &key)
            .map(drop),
        state.check(),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().code(), "K0630");
    }
    assert!(state.burn_ledger("s").burn(1).unwrap_err().contains("audit-unavailable"));
    drop(state);
    let again = State::open(&path).unwrap();
    again.log(at(7), &event(3)).unwrap();
    verify_audit(folder.path()).unwrap();
}

// Case 23: what cannot be reserved durably is not computed: the reservation fails, the ledger is as
// before, and the node takes part in nothing more.
#[test]
fn a_full_disk_at_reserve_computes_nothing() {
    let folder = folder();
    let state = State::open(&folder.path().join("node.sqlite")).unwrap();
    state.reserve(at(4), &cost("first"), &Limits::default()).unwrap();
    fill(&state);
    let mut refused = None;
    for number in 0..200 {
        let release = format!("r{number}");
        if let Err(error) = state.reserve(at(5), &cost(&release), &Limits::default()) {
            refused = Some((number, error));
            break;
        }
    }
    let (reserved, error) = refused.unwrap();
    assert_eq!(error.code(), "K0630");
    assert_eq!(state.check().unwrap_err().code(), "K0630");
    assert_eq!(state.ledger().unwrap().open().count(), reserved + 1);
    let entries = audit_entries(folder.path(), None, None).unwrap();
    assert_eq!(entries.len(), reserved + 1, "log and ledger have the same entries");
}

// Case 26: a last entry that is not what was written is named, and nothing is added to it.
#[test]
fn a_torn_last_entry_is_named_and_nothing_follows_it() {
    let folder = folder();
    let path = folder.path().join("node.sqlite");
    let state = State::open(&path).unwrap();
    (0..5).for_each(|number| state.log(at(1), &event(number)).unwrap());
    let sql = "UPDATE audit_log SET event = substr(event, 1, 20) WHERE seq = 5";
    state.lock().execute(sql, []).unwrap();
    drop(state);
    let node = CentreNode::open(folder.path(), Clock::system()).unwrap();
    let error = node.log_start().unwrap_err();
    assert_eq!(error.code(), "K0632");
    assert!(error.to_string().contains("entry 5 "), "{error}");
    assert_eq!(verify_audit(folder.path()).unwrap_err().code(), "K0632");
    let count: i64 = node
        .state
        .lock()
        .query_row("SELECT count(*) FROM audit_log", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 5);
}

// A signed entry that is gone is found without a peer.
#[test]
fn a_cut_tail_that_was_signed_is_found_at_start() {
    let folder = folder();
    let node = CentreNode::open(folder.path(), Clock::system()).unwrap();
    (0..5).for_each(|number| node.state.log(at(1), &event(number)).unwrap());
    node.signed_checkpoint().unwrap();
    node.state.lock().execute("DELETE FROM audit_log WHERE seq = 5", []).unwrap();
    drop(node);
    let error = CentreNode::open(folder.path(), Clock::system()).unwrap().log_start().unwrap_err();
    assert!(error.code() == "K0632" && error.to_string().contains("entry 5 "), "{error}");
}

// The budget's last entries are bound to the log: they cannot be cut off without a trace.
#[test]
fn a_cut_budget_is_found() {
    let folder = folder();
    let path = folder.path().join("node.sqlite");
    let state = State::open(&path).unwrap();
    for release in ["r1", "r2", "r3"] {
        state.reserve(at(1), &cost(release), &Limits::default()).unwrap();
    }
    state.refund(at(2), "r2", ("nothing was opened", true)).unwrap();
    verify_audit(folder.path()).unwrap();
    state.lock().execute("DELETE FROM budget WHERE seq = 4", []).unwrap();
    drop(state);
    let error = verify_audit(folder.path()).unwrap_err();
    assert!(error.code() == "K0642" && error.to_string().contains("entry 4 "), "{error}");
    let state = State::open(&path).unwrap();
    assert_eq!(state.log(at(3), &event(1)).unwrap_err().code(), "K0642");
}

// Case 35: tables of a later version are not touched.
#[test]
fn a_newer_database_is_refused() {
    let folder = folder();
    let path = folder.path().join("node.sqlite");
    drop(State::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = CentreNode::open(folder.path(), Clock::system()).unwrap_err();
    assert_eq!(error.code(), "K0633");
    assert!(error.to_string().contains("version 99"), "{error}");
}

// Case 30: a folder that takes no files is named.
#[test]
fn a_read_only_folder_is_named() {
    let error = CentreNode::open(Path::new("/proc/self"), Clock::system()).unwrap_err();
    assert_eq!(error.code(), "K0701");
    assert!(error.to_string().contains("/proc/self/lock"), "{error}");
}

// What another process of the centre wrote is continued, not overwritten.
#[test]
fn two_processes_write_one_log() {
    let folder = folder();
    let path = folder.path().join("node.sqlite");
    let states = [State::open(&path).unwrap(), State::open(&path).unwrap()];
    for number in 0..10 {
        states[number % 2].log(at(1), &event(number)).unwrap();
    }
    assert_eq!(verify_audit(folder.path()).unwrap().entries, 10);
    assert!(format!("{:?}", Clock::new(|| at(1))).contains("1970"));
}

// `audit verify` stays quick for years of entries: a bound with room for a busy computer.
#[test]
fn a_hundred_thousand_entries_are_verified_quickly() {
    let folder = folder();
    let node = CentreNode::open(folder.path(), Clock::system()).unwrap();
    {
        let mut connection = node.state.lock();
        let transaction = connection.transaction().unwrap();
        let mut log = Log::default();
        for number in 0..100_000 {
            let record = log.next(1000, &event(number)).unwrap();
            insert(&transaction, &record).unwrap();
            log.accept(&record).unwrap();
        }
        transaction.commit().unwrap();
    }
    drop(node);
    let node = CentreNode::open(folder.path(), Clock::system()).unwrap();
    node.signed_checkpoint().unwrap();
    let begin = Instant::now();
    let report = verify_audit(folder.path()).unwrap();
    let elapsed = begin.elapsed();
    assert_eq!((report.entries, report.signed), (100_000, 100_000));
    assert!(elapsed < Duration::from_secs(8), "{elapsed:?}");
}
