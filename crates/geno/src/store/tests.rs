//! What was stored is read back, and nothing else is.

use super::head::Head;
use super::*;
use konsil_cohort::{Genotypes, Key, Sex, pseudonym_of};
use konsil_kernels::Packed;
use std::fs;
use tempfile::TempDir;

const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

pub(super) struct Place {
    folder: TempDir,
    pub(super) key: Key,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::create(&folder.path().join("key")).unwrap();
        Self { folder, key }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn open(&self, name: &str) -> Result<Store, CohortError> {
        Store::open(&self.data(), name, &self.key)
    }

    pub(super) fn builder(&self, name: &str, variants: usize, people: usize) -> Builder {
        let people: Vec<_> =
            (0..people).map(|it| pseudonym_of(&self.key, &it.to_string())).collect();
        Builder::create(&self.data(), name, (HASH, variants), &people).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.data()).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Genotypes of a variant that follow from its number.
pub(super) fn row(variant: usize, people: usize) -> Vec<u64> {
    let words = (0..people.div_ceil(32)).map(|it| {
        (variant as u64 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(u32::try_from(it).unwrap())
    });
    Packed::new(people, words.collect()).unwrap().words().to_vec()
}

fn stored(place: &Place, name: &str, variants: &[usize], shape: (usize, usize)) -> Store {
    let mut builder = place.builder(name, shape.0, shape.1);
    variants.iter().for_each(|it| builder.put(*it, &row(*it, shape.1)).unwrap());
    let stored = builder.finish(&place.key).unwrap();
    let store = place.open(name).unwrap();
    assert_eq!((stored.variants, stored.digest.as_str()), (variants.len(), store.digest()));
    store
}

// Any part, also over the borders of blocks; variants that were never put are missing.
#[test]
fn every_range_is_read_as_it_was_put() {
    let place = Place::new();
    // 1 kB a variant: blocks of 2,048
    let (variants, people) = (5_000, 4_000);
    let mut order: Vec<usize> = (0..variants).filter(|it| it % 7 != 3).collect();
    // files come in any order: chromosome 10 before chromosome 2
    order.rotate_left(2_500);
    let store = stored(&place, "geno", &order, (variants, people));
    assert_eq!(store.head.shape.blocks(), 3);
    assert_eq!(
        (store.panel_hash(), store.variants(), store.people().len()),
        (HASH, variants, people)
    );
    for (first, count) in [(0, 1), (2_047, 2), (2_040, 2_100), (0, 5_000), (4_999, 1), (10, 0)] {
        let packed = store.read(first, count).unwrap();
        assert_eq!(packed.variants(), count);
        for at in 0..count {
            let variant = first + at;
            let wanted = if variant % 7 == 3 { vec![u64::MAX; 125] } else { row(variant, people) };
            assert_eq!(packed.variant(at), wanted, "{variant}");
        }
    }
    assert!(store.read(4_999, 2).is_err() && store.read(usize::MAX, 2).is_err());
    let sparse = stored(&place, "sparse", &[4_100], (variants, people));
    assert_eq!((sparse.head.stored(), sparse.kept()), (1, 1));
    assert_eq!(sparse.read(4_100, 1).unwrap().variant(0), row(4_100, people));
    assert_eq!(sparse.read(3, 1).unwrap().variant(0), vec![u64::MAX; 125]);
}

#[test]
fn shapes_are_those_of_the_text() {
    for people in [1, 31, 32, 33, 379, 12_000, 500_000, 10_000_000] {
        let shape = Shape::new(6_000_000, people);
        let bytes = shape.words() * WORD_BYTES;
        assert!(bytes <= BLOCK_BYTES || shape.per_block == 1, "{people}");
        assert!(bytes > BLOCK_BYTES / 2 || shape.per_block == 1, "{people}: {bytes}");
        assert!(shape.per_block.is_power_of_two());
    }
    assert_eq!(Shape::new(3, 5).per_block, 4);
}

// Whatever is changed is found: any byte, blocks in each other's place, another name, another store's
// blocks or head.
#[test]
fn any_change_is_found() {
    let place = Place::new();
    let all: Vec<usize> = (0..5_000).collect();
    let shape = (5_000, 4_000);
    let slot = stored(&place, "a", &all, shape).head.shape.slot_bytes();
    stored(&place, "b", &all, shape);
    let blocks = place.data().join("a.geno/blocks");
    let head = place.data().join("a.geno/head");
    let (good, good_head) = (fs::read(&blocks).unwrap(), fs::read(&head).unwrap());
    let whole = |store: Result<Store, CohortError>| store.and_then(|it| it.read(0, 5_000)).is_ok();
    assert!(whole(place.open("a")));
    for at in [0, 11, 12, 5_000, slot - 1, slot, good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        fs::write(&blocks, &changed).unwrap();
        let store = place.open("a").unwrap();
        let error = store.read(0, 5_000).unwrap_err();
        assert!(matches!(error, CohortError::Tampered { .. }), "{at}: {error}");
        // and the next read says so again
        assert!(store.read(0, 5_000).is_err());
    }
    let swapped = [&good[slot..2 * slot], &good[..slot], &good[2 * slot..]].concat();
    fs::write(&blocks, swapped).unwrap();
    assert!(!whole(place.open("a")));
    for changed in [&good[..good.len() - 1], &good[..slot], &[&good[..], &[0]].concat()] {
        fs::write(&blocks, changed).unwrap();
        assert!(matches!(place.open("a"), Err(CohortError::Tampered { .. })));
    }
    fs::write(&blocks, fs::read(place.data().join("b.geno/blocks")).unwrap()).unwrap();
    assert!(!whole(place.open("a")));
    fs::write(&blocks, &good).unwrap();
    for at in (0..good_head.len()).step_by(97) {
        let mut changed = good_head.clone();
        changed[at] ^= 4;
        fs::write(&head, &changed).unwrap();
        assert!(place.open("a").is_err(), "{at}");
    }
    fs::write(&head, fs::read(place.data().join("b.geno/head")).unwrap()).unwrap();
    assert!(!whole(place.open("a")));
    fs::write(&head, &good_head).unwrap();
    assert!(whole(place.open("a")));
    fs::rename(place.data().join("a.geno"), place.data().join("c.geno")).unwrap();
    assert!(matches!(place.open("c"), Err(CohortError::Tampered { .. })));
    assert!(matches!(place.open("../b"), Err(CohortError::DatasetName { .. })));
    assert!(matches!(place.open("none"), Err(CohortError::Io { .. })));
}

// An import that is killed, fails or is given up leaves what was there, and nothing else.
#[test]
fn a_store_takes_its_place_whole_or_not_at_all() {
    let place = Place::new();
    let first = stored(&place, "geno", &[1], (10, 5)).digest().to_owned();
    let mut builder = place.builder("geno", 10, 5);
    builder.put(2, &row(2, 5)).unwrap();
    assert!(builder.put(10, &row(2, 5)).is_err() && builder.put(2, &row(2, 50)).is_err());
    drop(builder);
    assert_eq!(
        (place.files(), place.open("geno").unwrap().digest()),
        (vec!["geno.geno".to_owned()], &*first)
    );
    // killed: the folder stays, until the next import
    let mut killed = place.builder("geno", 10, 5);
    let left = killed.part.clone();
    killed.part = PathBuf::new();
    drop(killed);
    assert!(left.exists());
    let running = place.builder("geno", 10, 5);
    assert!(!left.exists());
    let second = stored(&place, "geno", &[1, 2], (10, 5)).digest().to_owned();
    assert!(running.part.exists() && second != first);
    drop(running);
    assert_eq!(place.files(), ["geno.geno"]);
    use std::os::unix::fs::MetadataExt;
    let mode = |path: &str| fs::metadata(place.data().join(path)).unwrap().mode() & 0o777;
    assert_eq!(
        (mode("geno.geno"), mode("geno.geno/head"), mode("geno.geno/blocks")),
        (0o700, 0o600, 0o600)
    );
}

// Another key of the centre seals the head anew; the blocks and what names the import stay.
#[test]
fn a_rotation_seals_the_head_only() {
    let place = Place::new();
    let digest = stored(&place, "geno", &[1, 9], (10, 5)).digest().to_owned();
    let blocks = fs::read(place.data().join("geno.geno/blocks")).unwrap();
    assert!(!reseal_geno(&place.data(), "geno", &place.key).unwrap());
    let both = place.key.with_new(1).unwrap();
    let before = key_of_geno(&place.data(), "geno").unwrap();
    assert!(reseal_geno(&place.data(), "geno", &both).unwrap());
    assert_ne!(key_of_geno(&place.data(), "geno").unwrap(), before);
    let newest = both.newest_only();
    let store = Store::open(&place.data(), "geno", &newest).unwrap();
    assert_eq!(
        (store.digest(), store.read(9, 1).unwrap().variant(0)),
        (&*digest, row(9, 5).as_slice())
    );
    assert_eq!(fs::read(place.data().join("geno.geno/blocks")).unwrap(), blocks);
    assert!(matches!(place.open("geno"), Err(CohortError::OtherKey { .. })));
    assert_eq!(fs::read_dir(place.data().join("geno.geno")).unwrap().count(), 2);
    assert_eq!(geno_names(&place.data()).unwrap(), ["geno"]);
    assert!(geno_names(&place.data().join("none")).unwrap().is_empty());
}

// A list that is another import's, or was changed, would leave the wrong people out.
#[test]
fn relatives_are_kept_for_this_import_only() {
    let place = Place::new();
    let store = stored(&place, "geno", &[0, 1], (2, 40));
    assert_eq!(store.relatives().unwrap(), None);
    let people: Vec<_> = store.people().iter().copied().skip(30).collect();
    store.keep_relatives(&people).unwrap();
    store.keep_relatives(&people[..3]).unwrap();
    let kept = place.open("geno").unwrap().relatives().unwrap().unwrap();
    assert_eq!(kept, people[..3].iter().copied().collect());
    store.keep_relatives(&[]).unwrap();
    assert_eq!(store.relatives().unwrap().map(|it| it.len()), Some(0));
    let path = place.data().join("geno.geno").join("relatives");
    let sealed = fs::read(&path).unwrap();
    for wrong in [sealed[..5].to_vec(), sealed[1..].to_vec(), [sealed.as_slice(), b"x"].concat()] {
        fs::write(&path, wrong).unwrap();
        assert!(matches!(store.relatives(), Err(CohortError::Tampered { .. })));
    }
    // another import of the same people
    let other = stored(&place, "geno", &[0, 1], (2, 40));
    assert_eq!(other.relatives().unwrap(), None);
    fs::write(&path, &sealed).unwrap();
    assert!(matches!(other.relatives(), Err(CohortError::Tampered { .. })));
}

// Sexes come back, survive a rotation, and a head of version 1 is read as it was: without them, and named
// as before.
#[test]
fn sexes_are_kept_and_older_heads_are_read() {
    let place = Place::new();
    let mut builder = place.builder("geno", 10, 3);
    assert!(builder.set_sexes(&[Sex::Male; 2]).is_err());
    let sexes = [Sex::Female, Sex::Unknown, Sex::Male];
    builder.set_sexes(&sexes).unwrap();
    builder.put(4, &row(4, 3)).unwrap();
    builder.finish(&place.key).unwrap();
    let both = place.key.with_new(1).unwrap();
    assert!(reseal_geno(&place.data(), "geno", &both).unwrap());
    let store = Store::open(&place.data(), "geno", &both).unwrap();
    assert_eq!(store.sexes(), sexes);
    let mut head = Head::open(&place.data(), "geno", &both).unwrap();
    let with_sexes = head.digest();
    let mut bytes = head.to_bytes().to_vec();
    let at = bytes.len() - 4 * head.slots.len() - 3;
    assert_eq!((&bytes[..8], &bytes[at..at + 3]), (&b"KONSILG\x02"[..], &[2, 0, 1][..]));
    bytes[at] = 3;
    assert!(Head::parse(&bytes).is_none());
    head.sexes.clear();
    let older = head.to_bytes().to_vec();
    assert_eq!(&older[..8], b"KONSILG\x01");
    let sealed = konsil_cohort::seal_bytes("genotypes geno", &older, &both).unwrap();
    fs::write(place.data().join("geno.geno/head"), sealed).unwrap();
    let store = Store::open(&place.data(), "geno", &both).unwrap();
    assert_eq!((store.sexes(), store.people().len()), (&[][..], 3));
    assert!(store.digest() == head.digest() && store.digest() != with_sexes);
    assert_eq!(store.read(4, 1).unwrap().variant(0), row(4, 3));
}
