//! Sealed data sets: what is saved comes back, and what was touched does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use konsil_cohort::{CohortError, Dataset, Dictionary, ImportOptions, Key, import, load, save};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const CHUNK: usize = 64 * 1024 + 16;

fn dataset(dir: &Path, rows: u32) -> Dataset {
    let text = "name,type,levels,min,max\nx,number,,0,10\nn,integer,,0,1000000\nsex,category,F|M,,\nd,boolean,,,\n";
    let dictionary = Dictionary::parse("hmsp@4", text).unwrap();
    let mut file = "x,n,sex,d\n,,,\n".to_owned();
    for row in 0..rows {
        let sex = if row % 2 == 0 { "F" } else { "M" };
        let x = f64::from(row * 7919 % 10_007) / 1_001.0;
        file.push_str(&format!("{x},{row},{sex},{}\n", row % 3 == 0));
    }
    let path = dir.join("file.csv");
    fs::write(&path, file).unwrap();
    let imported = import(&path, &dictionary, &ImportOptions::new("clinic")).unwrap();
    imported.0
}

#[test]
fn a_data_set_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::create(&dir.path().join("key")).unwrap();
    for rows in [0, 1, 20_000] {
        let dataset = dataset(dir.path(), rows);
        let stored = save(dir.path(), "clinic", &dataset, &key).unwrap();
        assert_eq!(stored.bytes, fs::metadata(&stored.path).unwrap().len());
        let mode = fs::metadata(&stored.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let key = Key::open(&dir.path().join("key")).unwrap();
        let loaded = load(dir.path(), "clinic", &key).unwrap();
        assert_eq!(loaded.batch(), dataset.batch());
        assert_eq!(loaded.dictionary(), dataset.dictionary());
        assert_eq!(loaded.name(), "clinic");
    }
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

// The same data set twice gives different bytes: salt and key are new each time.
#[test]
fn the_content_is_not_readable() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::create(&dir.path().join("key")).unwrap();
    let dataset = dataset(dir.path(), 100);
    let stored = save(dir.path(), "clinic", &dataset, &key).unwrap();
    let first = fs::read(&stored.path).unwrap();
    let again = save(dir.path(), "clinic", &dataset, &key).unwrap();
    assert_ne!(stored.sha256, again.sha256);
    for word in [&b"PAR1"[..], b"konsil.dictionary", b"sex"] {
        assert!(!first.windows(word.len()).any(|window| window == word));
    }
}

#[test]
fn whatever_is_touched_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::create(&dir.path().join("key")).unwrap();
    let stored = save(dir.path(), "clinic", &dataset(dir.path(), 20_000), &key).unwrap();
    let good = fs::read(&stored.path).unwrap();
    let header = 8 + 1 + "clinic".len() + 4 + 32 + 4;
    assert!(good.len() > header + 3 * CHUNK, "too small to swap chunks");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&stored.path, bytes).unwrap();
        let error = load(dir.path(), "clinic", &key).unwrap_err();
        let known = matches!(error, CohortError::Tampered { .. } | CohortError::OtherKey { .. });
        assert!(known, "{what}: {error}");
    };
    for at in (0..header).chain((header..good.len()).step_by(good.len() / 50)) {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        refused(&flipped, &format!("bit of byte {at}"));
    }
    for length in [0, 5, 8, header - 1, header, header + 10, header + CHUNK, good.len() - 1] {
        refused(&good[..length], &format!("cut to {length}"));
    }
    let mut longer = good.clone();
    longer.push(0);
    refused(&longer, "a byte more");
    let mut swapped = good.clone();
    let (first, second) = swapped[header..].split_at_mut(CHUNK);
    first.swap_with_slice(&mut second[..CHUNK]);
    refused(&swapped, "chunks swapped");
    let mut without_second = good[..header + CHUNK].to_vec();
    without_second.extend_from_slice(&good[header + 2 * CHUNK..]);
    refused(&without_second, "a chunk removed");
    fs::write(&stored.path, &good).unwrap();
    assert!(load(dir.path(), "clinic", &key).is_ok());
}

#[test]
fn a_renamed_file_and_another_key_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::create(&dir.path().join("key")).unwrap();
    let stored = save(dir.path(), "clinic", &dataset(dir.path(), 10), &key).unwrap();
    fs::copy(&stored.path, dir.path().join("other.konsil")).unwrap();
    let renamed = load(dir.path(), "other", &key).unwrap_err();
    assert!(matches!(renamed, CohortError::Tampered { .. }), "{renamed}");
    let other = Key::create(&dir.path().join("key2")).unwrap();
    let wrong = load(dir.path(), "clinic", &other).unwrap_err();
    assert!(matches!(wrong, CohortError::OtherKey { .. }), "{wrong}");
    let absent = load(dir.path(), "absent", &key).unwrap_err();
    assert!(matches!(absent, CohortError::Io { .. }));
}

#[test]
fn names_cannot_leave_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::create(&dir.path().join("key")).unwrap();
    let dataset = dataset(dir.path(), 1);
    let long = "a".repeat(65);
    for name in ["", "../x", "a/b", ".x", "Clinic", "-a", "a.b", &long] {
        let error = save(dir.path(), name, &dataset, &key).unwrap_err();
        assert!(matches!(error, CohortError::DatasetName { .. }), "{name}");
        assert!(load(dir.path(), name, &key).is_err());
    }
}

#[test]
fn keys_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let key = Key::create(&path).unwrap();
    assert_eq!(format!("{key:?}"), "Key(..)");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Key::create(&path), Err(CohortError::Io { .. })));
    for mode in [0o640, 0o604, 0o620, 0o610, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Key::open(&path).unwrap_err();
        assert!(error.to_string().contains("key-file-mode"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(Key::open(&path).is_ok());
    for bytes in [31, 33, 0] {
        let path = dir.path().join(format!("short{bytes}"));
        fs::write(&path, vec![1; bytes]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Key::open(&path), Err(CohortError::KeyFile { .. })));
    }
}

// A patient has the same pseudonym in every import of the same centre and another at another; no list
// of columns shows it, and an empty file has none to show.
#[test]
fn patients_are_known_again_by_their_own_centre_only() {
    use konsil_cohort::{ImportOptions, import, pseudonym_of};
    let folder = tempfile::tempdir().unwrap();
    let dictionary = Dictionary::parse(
        "d",
        "name,type,sensitivity,min,max\nid,category,identifier,,\nage,integer,,0,120\n",
    );
    let dictionary = dictionary.unwrap();
    let (key, other) = (
        Key::create(&folder.path().join("a.key")).unwrap(),
        Key::create(&folder.path().join("b.key")).unwrap(),
    );
    let stored = |name: &str, rows: &str, key: &Key| {
        let path = folder.path().join(format!("{name}.csv"));
        fs::write(&path, format!("id,age\n{rows}")).unwrap();
        let dataset = import(&path, &dictionary, &ImportOptions::new(name)).unwrap().0;
        save(folder.path(), name, &dataset, key).unwrap();
        load(folder.path(), name, key).unwrap()
    };
    let first = stored("first", "P1,50\n P2 ,60\n,70\n", &key);
    let again = stored("again", "P2,61\nP3,40\n", &key);
    let elsewhere = stored("elsewhere", "P2,61\n", &other);
    let (a, b, c) =
        (first.pseudonyms().unwrap(), again.pseudonyms().unwrap(), elsewhere.pseudonyms().unwrap());
    assert_eq!(a[1], b[0]);
    assert_eq!(a[1], pseudonym_of(&key, "P2"));
    assert_ne!(a[1], c[0]);
    assert!(a[0] != a[1] && a[1] != a[2]);
    assert_eq!(first.column_names(), ["age"]);
    assert!(first.numeric(":patient").is_err());
    let kept = first.keep(&[false, true]).unwrap();
    assert_eq!((kept.rows(), kept.pseudonyms().unwrap()), (1, vec![a[1]]));
    assert_eq!(stored("empty", "", &key).pseudonyms().unwrap().len(), 0);
}

// Case 27: a snapshot is of one file, byte for byte. One flipped bit anywhere, a cut, a file saved
// anew and an older file put back are all found, without the key.
#[test]
fn a_snapshot_finds_bit_rot_and_older_files() {
    use konsil_cohort::{Snapshot, snapshot_root};
    let dir = tempfile::tempdir().unwrap();
    let key = Key::create(&dir.path().join("key")).unwrap();
    let stored = save(dir.path(), "clinic", &dataset(dir.path(), 20_000), &key).unwrap();
    let good = fs::read(&stored.path).unwrap();
    assert!(good.len() > 3 * CHUNK);
    let snapshot = Snapshot::of(dir.path(), "clinic", &key).unwrap();
    assert_eq!(snapshot.root, snapshot_root(dir.path(), "clinic").unwrap());
    assert_eq!((snapshot.rows_at_most, snapshot.columns.len()), (20_032, 4));
    snapshot.verify(dir.path()).unwrap();
    let frozen = snapshot.load(dir.path(), &key).unwrap();
    let mismatch = |what: &str| {
        let error = snapshot.verify(dir.path()).unwrap_err();
        assert!(matches!(error, CohortError::SnapshotMismatch { .. }), "{what}: {error}");
        let error = snapshot.load(dir.path(), &key).unwrap_err();
        assert!(matches!(error, CohortError::SnapshotMismatch { .. }), "{what}: {error}");
    };
    let places = [0, 8, 9, 20, 47, 60, CHUNK - 1, CHUNK + 51, 2 * CHUNK, good.len() - 1];
    for (bit, place) in places.into_iter().enumerate() {
        let mut bad = good.clone();
        bad[place] ^= 1 << (bit % 8);
        fs::write(&stored.path, &bad).unwrap();
        mismatch(&format!("byte {place}"));
    }
    for end in [0, 5, 40, CHUNK, good.len() - 1] {
        fs::write(&stored.path, &good[..end]).unwrap();
        mismatch(&format!("cut at {end}"));
    }
    save(dir.path(), "clinic", &frozen, &key).unwrap();
    mismatch("saved anew");
    let later = Snapshot::of(dir.path(), "clinic", &key).unwrap();
    fs::write(&stored.path, &good).unwrap();
    snapshot.verify(dir.path()).unwrap();
    assert!(load(dir.path(), "clinic", &key).is_ok());
    let error = later.verify(dir.path()).unwrap_err();
    assert!(error.to_string().contains("data freeze clinic"), "{error}");
}

// Without identifiers a row is known by its place in the file, also after others were left out.
#[test]
fn rows_without_identifiers_keep_their_places() {
    use konsil_cohort::{ImportOptions, Predicate, import};
    let folder = tempfile::tempdir().unwrap();
    let dictionary = Dictionary::parse("d", "name,type,min,max\nage,integer,0,120\n").unwrap();
    let path = folder.path().join("rows.csv");
    fs::write(&path, "age\n50\n60\n70\n").unwrap();
    let dataset = import(&path, &dictionary, &ImportOptions::new("rows")).unwrap().0;
    let key = Key::create(&folder.path().join("a.key")).unwrap();
    save(folder.path(), "rows", &dataset, &key).unwrap();
    let stored = load(folder.path(), "rows", &key).unwrap();
    let all = stored.members();
    let older = Predicate::parse("age >= 60", &dictionary).unwrap().apply(&stored).unwrap();
    assert_eq!(older.members(), all[1..]);
    let younger = Predicate::parse("age < 70", &dictionary).unwrap().apply(&stored).unwrap();
    assert_eq!(younger.members(), all[..2]);
    assert!(stored.pseudonyms().is_none());
    assert_eq!(stored.column_names(), ["age"]);
}

// Each file names its key, and whatever key of the list it is opens it; sealed anew it waits beside its
// file until its root is written down, and the old key opens the old file only.
#[test]
fn older_keys_open_and_the_newest_seals() {
    use konsil_cohort::{key_of_dataset, reseal_dataset, settle, snapshot_root};
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let old = Key::create(&dir.join("key")).unwrap();
    let dataset = dataset(dir, 5000);
    save(dir, "clinic", &dataset, &old).unwrap();
    let list = old.with_new(7).unwrap();
    list.write(&dir.join("key")).unwrap();
    let list = Key::open(&dir.join("key")).unwrap();
    let ids: Vec<_> = list.ids().map(|(id, _)| id).collect();
    assert_eq!(key_of_dataset(dir, "clinic").unwrap(), Some(ids[1]));
    assert!(load(dir, "clinic", &list).is_ok());
    let wrong = reseal_dataset((dir, "clinic"), Some("another root"), &list).unwrap_err();
    assert!(matches!(wrong, CohortError::SnapshotMismatch { .. }), "{wrong}");
    let waiting = reseal_dataset((dir, "clinic"), None, &list).unwrap().unwrap();
    assert_eq!(waiting.before, snapshot_root(dir, "clinic").unwrap());
    // one that is not the one that is written down goes away
    assert!(!settle((dir, "clinic"), &waiting.before).unwrap());
    let waiting = reseal_dataset((dir, "clinic"), Some(&waiting.before), &list).unwrap().unwrap();
    assert_eq!(snapshot_root(dir, "clinic").unwrap(), waiting.before);
    assert!(settle((dir, "clinic"), &waiting.root).unwrap());
    assert!(!settle((dir, "clinic"), &waiting.root).unwrap());
    assert_eq!(snapshot_root(dir, "clinic").unwrap(), waiting.root);
    assert_eq!(reseal_dataset((dir, "clinic"), None, &list).unwrap(), None);
    let error = load(dir, "clinic", &old).unwrap_err();
    assert!(error.to_string().contains(&ids[0].to_string()), "{error}");
    let only = list.newest_only();
    assert_eq!(load(dir, "clinic", &only).unwrap().batch(), dataset.batch());
    assert_eq!(fs::read_dir(dir).unwrap().count(), 3);
}
