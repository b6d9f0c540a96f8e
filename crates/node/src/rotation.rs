//! Another data key, and everything at rest sealed anew under it.
//!
//! In this order: the list gets the new key beside the old ones; every data set and every sealed row
//! is sealed anew; the old keys leave the list. A process that is killed in between has lost nothing,
//! because the list opens everything at every moment; the next rotation goes on where it was. Who
//! has stolen an older list, or a backup with one, can open what was sealed until then, and knows the
//! lasting secrets: pseudonyms and noise follow from these, and a rotation keeps them.

use crate::cells::{reseal_cells, sealed_columns};
use crate::clock::Clock;
use crate::error::NodeError;
use crate::keys::{CentreKey, open_alone, open_key, replace_key};
use crate::process::occupy;
use crate::snapshots::{actor, settle_all};
use crate::state::State;
use konsil_cohort::{
    Key, KeyId, Snapshot, dataset_names, key_of_bytes, key_of_dataset, reseal_dataset, settle,
};
use konsil_geno::{geno_names, key_of_geno, reseal_geno};
use konsil_governance::audit::Event;
use std::path::Path;

/// Fewer are guessed, whatever Argon2id costs.
const PASSPHRASE_BYTES_MIN: usize = 12;

/// What a rotation has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The key that seals now.
    pub to: KeyId,
    /// Keys that are dropped.
    pub from: Vec<KeyId>,
    /// Data sets and genotypes that were sealed anew.
    pub datasets: usize,
    /// Rows of the database that were sealed anew.
    pub rows: usize,
}

/// A key of a centre's list, and what is sealed under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Its id.
    pub id: KeyId,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// Names of data sets, and of genotypes with `.geno`.
    pub datasets: Vec<String>,
    /// Rows of the database.
    pub rows: usize,
}

/// Where a rotation may be killed: after each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Announced,
    KeyAdded,
    DatasetWaits,
    RootWritten,
    DatasetPlaced,
    GenotypesSealed,
    RowsSealed,
    DropAnnounced,
}

/// Gives a centre another data key, seals everything at rest anew, and drops the old key. The node
/// must be stopped. A rotation that was killed is ended first: then no further key is made.
///
/// # Errors
/// [`NodeError::InUse`] while anybody uses folder or key; [`NodeError::Cohort`] for something that
/// does not open: then no key is dropped; [`NodeError`] of folder and log.
pub fn rotate_key(folder: &Path, clock: &Clock) -> Result<Rotated, NodeError> {
    rotate(folder, clock, &mut |_| Ok(()))
}

/// Puts another passphrase in front of a centre's data key, or takes it away. The node must be stopped.
///
/// # Errors
/// As [`rotate_key`]; [`NodeError::Refused`] for a passphrase of less than 12 bytes.
pub fn set_passphrase(
    folder: &Path,
    clock: &Clock,
    passphrase: Option<&[u8]>,
) -> Result<(), NodeError> {
    if passphrase.is_some_and(|it| it.len() < PASSPHRASE_BYTES_MIN) {
        let what = format!("a passphrase has at least {PASSPHRASE_BYTES_MIN} characters");
        return Err(NodeError::Refused(what));
    }
    let _node = occupy(folder)?;
    let mut key = open_alone(folder)?;
    let locked = key.locked(passphrase)?;
    let state = State::join(&folder.join("node.sqlite"))?;
    let event = Event::new("key-passphrase", "data.key", &actor(folder, "admin")?)
        .with("set", &passphrase.is_some());
    state.log(clock.now(), &event)?;
    replace_key(&mut key, folder, locked)
}

fn rotate(
    folder: &Path,
    clock: &Clock,
    reached: &mut dyn FnMut(Step) -> Result<(), NodeError>,
) -> Result<Rotated, NodeError> {
    let _node = occupy(folder)?;
    let mut key = open_alone(folder)?;
    let state = State::join(&folder.join("node.sqlite"))?;
    state.check()?;
    state.seal_earlier(clock.now(), &key)?;
    settle_all(folder, &state)?;
    let admin = actor(folder, "admin")?;
    if key.ids().nth(1).is_none() {
        let next = key.with_new(clock.now().as_second())?;
        let event = Event::new("key-rotate", "data.key", &admin);
        state.log(clock.now(), &with_ids(event, &next))?;
        reached(Step::Announced)?;
        replace_key(&mut key, folder, next)?;
        reached(Step::KeyAdded)?;
    }
    let mut datasets = 0;
    for name in dataset_names(&folder.join("data"))? {
        datasets += usize::from(seal_dataset((folder, &name), (&state, &key), clock, reached)?);
    }
    for name in geno_names(&folder.join("data"))? {
        datasets += usize::from(reseal_geno(&folder.join("data"), &name, &key)?);
        reached(Step::GenotypesSealed)?;
    }
    let event = with_ids(Event::new("key-rows", "node.sqlite", &admin), &key);
    let rows = state.log_with(clock.now(), &[event], |it, _| reseal_cells(it, &key))?;
    reached(Step::RowsSealed)?;
    let event = with_ids(Event::new("key-drop", "data.key", &admin), &key);
    state.log(clock.now(), &event)?;
    reached(Step::DropAnnounced)?;
    let (mut ids, newest) = (key.ids().map(|(id, _)| id).collect::<Vec<_>>(), key.newest_only());
    replace_key(&mut key, folder, newest)?;
    let to = ids.remove(0);
    Ok(Rotated { to, from: ids, datasets, rows })
}

/// The keys of a list, by their ids: the first seals, the others are dropped.
fn with_ids(event: Event, key: &Key) -> Event {
    let ids: Vec<String> = key.ids().map(|(id, _)| id.to_string()).collect();
    let (to, from) = ids.split_first().map(|(to, from)| (to.as_str(), from)).unwrap_or_default();
    event.with("to", &to).with("from", &from.join(" "))
}

/// Seals one data set anew: beside its file, then its root is written down where one was frozen, then
/// it takes the file's place.
fn seal_dataset(
    (folder, name): (&Path, &str),
    (state, key): (&State, &CentreKey),
    clock: &Clock,
    reached: &mut dyn FnMut(Step) -> Result<(), NodeError>,
) -> Result<bool, NodeError> {
    let data = folder.join("data");
    let frozen = state.snapshot((&data, name))?;
    let root = frozen.as_ref().map(|it| it.root.as_str());
    let Some(resealed) = reseal_dataset((&data, name), root, key)? else { return Ok(false) };
    reached(Step::DatasetWaits)?;
    if let Some(frozen) = frozen {
        let origin = Some(frozen.patients_root().to_owned());
        let snapshot = Snapshot { root: resealed.root.clone(), origin, ..frozen };
        state.freeze(clock, &snapshot, &actor(folder, "admin")?)?;
        reached(Step::RootWritten)?;
    }
    settle((&data, name), &resealed.root)?;
    reached(Step::DatasetPlaced)?;
    Ok(true)
}

/// The keys of a centre's list, the newest first, and what is sealed under each. What names no key, or
/// one that the list does not hold, is counted under none.
///
/// # Errors
/// As [`open_key`]; [`NodeError::Cohort`] for a file that is no data set, [`NodeError::Database`].
pub fn key_uses(folder: &Path) -> Result<Vec<KeyUse>, NodeError> {
    let key = open_key(folder)?;
    let used = |(id, made)| KeyUse { id, made, datasets: Vec::new(), rows: 0 };
    let mut uses: Vec<KeyUse> = key.ids().map(used).collect();
    let data = folder.join("data");
    for name in dataset_names(&data)? {
        let id = key_of_dataset(&data, &name)?;
        uses.iter_mut()
            .filter(|it| Some(it.id) == id)
            .for_each(|it| it.datasets.push(name.clone()));
    }
    for name in geno_names(&data)? {
        let id = key_of_geno(&data, &name)?;
        let name = format!("{name}.geno");
        uses.iter_mut()
            .filter(|it| Some(it.id) == id)
            .for_each(|it| it.datasets.push(name.clone()));
    }
    let path = folder.join("node.sqlite");
    if !path.exists() {
        return Ok(uses);
    }
    let state = State::read(&path)?;
    let connection = state.lock();
    for (table, column) in sealed_columns() {
        if !connection.table_exists(None, table)? {
            continue;
        }
        let mut query = connection.prepare(&format!("SELECT {column} FROM {table}"))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let id = key_of_bytes(&row.get::<_, Vec<u8>>(0)?);
            uses.iter_mut().filter(|it| Some(it.id) == id).for_each(|it| it.rows += 1);
        }
    }
    Ok(uses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshots::freeze;
    use jiff::Timestamp;
    use konsil_cohort::{
        Dictionary, Genotypes, ImportOptions, Secret, import, load, pseudonym_of, save,
    };
    use konsil_geno::{Builder, Sink, Store};
    use std::fs;
    use tempfile::TempDir;

    const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    /// A folder with genotypes, a frozen data set, one that was never frozen, and the patients of two runs.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::create(&folder.path().join("data.key")).unwrap();
        let dictionary =
            "name,type,sensitivity,min,max\nid,category,identifier,,\nage,integer,,0,120\n";
        let dictionary = Dictionary::parse("d", dictionary).unwrap();
        let file = folder.path().join("patients.csv");
        fs::write(&file, "id,age\nP1,50\nP2,60\n").unwrap();
        let options = ImportOptions::new("patients");
        let dataset = import(&file, &dictionary, &options).unwrap().0;
        fs::remove_file(file).unwrap();
        for name in ["frozen", "loose"] {
            save(&folder.path().join("data"), name, &dataset, &key).unwrap();
        }
        let place = (folder.path().join("data"), [pseudonym_of(&key, "P1")]);
        for name in ["g1", "g2"] {
            let mut geno = Builder::create(&place.0, name, (HASH, 3), &place.1).unwrap();
            geno.put(2, &[u64::MAX << 2 | 1]).unwrap();
            geno.finish(&key).unwrap();
        }
        freeze(folder.path(), "frozen", &clock()).unwrap();
        let state = State::open(&folder.path().join("node.sqlite")).unwrap();
        let patient = pseudonym_of(&key, "P1");
        for session in ["s1", "s2"] {
            let run = (session, "age", "dementia");
            state.record_membership(Timestamp::UNIX_EPOCH, run, &[patient], &key).unwrap();
        }
        let patients = [konsil_governance::to_hex(&patient)];
        let (amount, limit) = ("1".parse().unwrap(), "1".parse().unwrap());
        state.charge_patients(&patients, amount, limit, &key).unwrap();
        folder
    }

    fn clock() -> Clock {
        Clock::new(|| Timestamp::from_second(1_800_000_000).unwrap())
    }

    /// Everything opens with the centre's key, the frozen data set is the frozen one, and a patient is
    /// known as before.
    fn assert_whole(folder: &Path, origin: &str) {
        let (key, data) = (open_key(folder).unwrap(), folder.join("data"));
        let state = State::open(&folder.join("node.sqlite")).unwrap();
        settle_all(folder, &state).unwrap();
        let frozen = state.snapshot((&data, "frozen")).unwrap().unwrap();
        let patients = frozen.load(&data, &key).unwrap().pseudonyms().unwrap();
        assert_eq!((frozen.patients_root(), patients.len()), (origin, 2));
        assert_eq!(load(&data, "loose", &key).unwrap().pseudonyms().unwrap(), patients);
        let members: Vec<_> =
            state.memberships(&key).unwrap().into_iter().flat_map(|it| it.members).collect();
        assert_eq!(members, [pseudonym_of(&key, "P1"); 2]);
        assert_eq!(patients[0], members[0]);
        // the counter of the patient is still full
        let (amount, limit) = ("1".parse().unwrap(), "1".parse().unwrap());
        let names = [konsil_governance::to_hex(&patients[0])];
        assert_eq!(state.charge_patients(&names, amount, limit, &key).unwrap(), [false]);
        for name in ["g1", "g2"] {
            let geno = Store::open(&data, name, &key).unwrap();
            assert_eq!(
                (geno.people(), geno.read(2, 1).unwrap().genotype(0, 0)),
                (&patients[..1], 1)
            );
        }
        let names: Vec<_> = dataset_names(&data).unwrap();
        assert_eq!(fs::read_dir(&data).unwrap().count(), names.len() + 2, "something is left");
    }

    // Case 31 of the key: a process that is killed after any step of a rotation has lost nothing, and
    // the next rotation ends it. The patients keep pseudonyms, noise and root.
    #[test]
    fn a_rotation_killed_at_any_step_loses_nothing_and_is_ended_by_the_next() {
        let steps = [
            Step::Announced,
            Step::KeyAdded,
            Step::DatasetWaits,
            Step::RootWritten,
            Step::DatasetPlaced,
            Step::GenotypesSealed,
            Step::RowsSealed,
            Step::DropAnnounced,
        ];
        for (step, times) in steps.iter().flat_map(|it| [(*it, 1), (*it, 2)]) {
            let folder = folder();
            let path = folder.path();
            let old = Key::open(&path.join("data.key")).unwrap();
            let origin = konsil_cohort::snapshot_root(&path.join("data"), "frozen").unwrap();
            let mut left = times;
            let killed = rotate(path, &clock(), &mut |reached| {
                left -= i32::from(reached == step);
                if left == 0 { Err(NodeError::Random) } else { Ok(()) }
            });
            // the second time is not reached by each step
            assert!(killed.is_err() || times == 2, "{step:?}");
            let is_done = killed.is_ok();
            assert_whole(path, &origin);
            if !is_done {
                rotate_key(path, &clock()).unwrap();
            }
            let new = Key::open(&path.join("data.key")).unwrap();
            let ids = |key: &Key| key.ids().map(|it| it.0).collect::<Vec<_>>();
            assert_eq!(ids(&new).len(), 1, "{step:?}");
            assert_ne!(ids(&new), ids(&old), "{step:?}");
            assert_eq!(new.secret(Secret::Noise), old.secret(Secret::Noise));
            assert_whole(path, &origin);
            assert!(load(&path.join("data"), "frozen", &old).is_err());
            let uses = key_uses(path).unwrap();
            let used = (uses.len(), uses[0].rows, uses[0].datasets.len(), uses[0].made);
            assert_eq!(used, (1, 3, 4, 1_800_000_000), "{step:?}");
        }
    }

    // A data set that is not the frozen one is not made the frozen one by a rotation, and no key is
    // dropped that something may still need.
    #[test]
    fn a_rotation_seals_no_foreign_file_and_keeps_what_it_needs() {
        let folder = folder();
        let path = folder.path();
        let (frozen, loose) = (path.join("data/frozen.konsil"), path.join("data/loose.konsil"));
        let good = fs::read(&frozen).unwrap();
        let key = Key::open(&path.join("data.key")).unwrap();
        let other = load(&path.join("data"), "frozen", &key).unwrap();
        save(&path.join("data"), "frozen", &other, &key).unwrap();
        assert_eq!(rotate_key(path, &clock()).unwrap_err().code(), "K0314");
        fs::write(&frozen, &good).unwrap();
        let foreign = tempfile::tempdir().unwrap();
        let elsewhere = Key::create(&foreign.path().join("key")).unwrap();
        save(&path.join("data"), "loose", &other, &elsewhere).unwrap();
        assert_eq!(rotate_key(path, &clock()).unwrap_err().code(), "K0312");
        assert_eq!(Key::open(&path.join("data.key")).unwrap().ids().count(), 2);
        fs::remove_file(loose).unwrap();
        assert_eq!(rotate_key(path, &clock()).unwrap().from.len(), 1);
    }

    // Whoever has the key open might seal something under it.
    #[test]
    fn nobody_rotates_a_key_that_is_in_use() {
        let folder = folder();
        let used = open_key(folder.path()).unwrap();
        let again = open_key(folder.path()).unwrap();
        drop(again);
        assert_eq!(rotate_key(folder.path(), &clock()).unwrap_err().code(), "K0702");
        drop(used);
        let node = occupy(folder.path()).unwrap();
        assert_eq!(rotate_key(folder.path(), &clock()).unwrap_err().code(), "K0702");
        drop(node);
        rotate_key(folder.path(), &clock()).unwrap();
    }
}
