//! Doses come back as they were put in, and nothing else does.

use super::head::Head;
use super::tests::{Place, row};
use super::*;
use konsil_cohort::Genotypes;
use konsil_kernels::DOSE_MISSING;
use std::fs;

/// 1 kB a variant: blocks of 2,048 variants, of 256 with doses.
const SHAPE: (usize, usize) = (5_000, 4_000);

/// Doses of a variant that follow from its number.
fn doses(variant: usize) -> Vec<u16> {
    let dose = |person: usize| match (variant * 31 + person * 7_919) % 40_009 {
        it @ 0..=32_768 => u16::try_from(it).unwrap(),
        32_769..34_000 => DOSE_MISSING,
        _ => 0,
    };
    (0..SHAPE.1).map(dose).collect()
}

fn has_doses(variant: usize) -> bool {
    variant.is_multiple_of(97) && !(1_000..3_000).contains(&variant)
}

/// A store of all variants in an order that comes back to each block.
fn stored(place: &Place, name: &str) -> Store {
    let mut builder = place.builder(name, SHAPE.0, SHAPE.1);
    let order = (0..SHAPE.0).map(|it| (it * 1_931 + 7) % SHAPE.0);
    for variant in order.filter(|it| it.is_multiple_of(97)) {
        builder.put(variant, &row(variant, SHAPE.1)).unwrap();
        if has_doses(variant) {
            builder.put_doses(variant, &doses(variant)).unwrap();
        }
    }
    assert!(builder.put_doses(SHAPE.0, &doses(0)).is_err());
    assert!(builder.put_doses(0, &[0]).is_err());
    let with_doses = (0..SHAPE.0).filter(|it| has_doses(*it)).count();
    assert_eq!(builder.finish(&place.key).unwrap().with_doses, with_doses);
    place.open(name).unwrap()
}

#[test]
fn doses_are_read_as_they_were_put() {
    let place = Place::new();
    let store = stored(&place, "geno");
    for (first, count) in [(0, 1), (0, 300), (250, 2), (2_990, 2_010), (4_999, 1)] {
        let read = store.doses(first, count).unwrap();
        let wanted: Vec<usize> = (0..count).filter(|it| has_doses(first + it)).collect();
        assert_eq!((read.variants(), read.people()), (wanted.as_slice(), SHAPE.1));
        for at in wanted {
            assert_eq!(read.of(at), Some(doses(first + at).as_slice()), "{first} {at}");
        }
    }
    assert!(store.doses(4_999, 2).is_err());
    assert_eq!(store.read(97, 1).unwrap().variant(0), row(97, SHAPE.1));
    // nobody's doses are no file
    let mut builder = place.builder("plain", 10, 5);
    builder.put(2, &row(2, 5)).unwrap();
    assert_eq!(builder.finish(&place.key).unwrap().with_doses, 0);
    assert!(!place.data().join("plain.geno/doses").exists());
    assert!(place.open("plain").unwrap().doses(0, 10).unwrap().variants().is_empty());
}

// Whatever is changed is found: any byte, pieces in each other's place, another store's doses, none.
#[test]
fn any_change_of_doses_is_found() {
    let place = Place::new();
    let store = stored(&place, "a");
    stored(&place, "b");
    let path = place.data().join("a.geno/doses");
    let good = fs::read(&path).unwrap();
    let whole = || place.open("a").and_then(|it| it.doses(0, SHAPE.0)).is_ok();
    assert!(whole());
    let pieces: Vec<_> = store.head.doses.each.iter().flatten().copied().collect();
    for piece in &pieces {
        let at = usize::try_from(piece.at).unwrap();
        let end = at + usize::try_from(piece.bytes).unwrap();
        for place_of in [at, at + 11, at + 12, end - 1] {
            let mut changed = good.clone();
            changed[place_of] ^= 1;
            fs::write(&path, &changed).unwrap();
            let store = place.open("a").unwrap();
            let error = store.doses(0, SHAPE.0).unwrap_err();
            assert!(matches!(error, CohortError::Tampered { .. }), "{place_of}: {error}");
            assert!(store.doses(0, SHAPE.0).is_err());
        }
    }
    for changed in [&good[..good.len() - 1], &[], &[&good[..], &[0]].concat()] {
        fs::write(&path, changed).unwrap();
        assert!(matches!(place.open("a"), Err(CohortError::Tampered { .. })));
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(place.open("a"), Err(CohortError::Io { .. })));
    fs::write(&path, fs::read(place.data().join("b.geno/doses")).unwrap()).unwrap();
    assert!(!whole());
    fs::write(&path, &good).unwrap();
    assert!(whole());
    // a head that says another place
    let mut head = Head::open(&place.data(), "a", &place.key).unwrap();
    head.doses.each.swap(0, 1);
    let sealed = konsil_cohort::seal_bytes("genotypes a", &head.to_bytes(), &place.key).unwrap();
    fs::write(place.data().join("a.geno/head"), sealed).unwrap();
    assert!(!whole());
}

// A head of version 2 is that of a store without doses; one of version 3 survives a rotation and names
// the import by where doses stand, too.
#[test]
fn heads_say_where_doses_stand() {
    let place = Place::new();
    let store = stored(&place, "geno");
    let bytes = store.head.to_bytes().to_vec();
    assert_eq!(&bytes[..8], b"KONSILG\x03");
    let again = Head::parse(&bytes).unwrap();
    assert!(again.doses == store.head.doses && again.digest() == store.digest());
    for wrong in
        [&bytes[..bytes.len() - 1], &bytes[..bytes.len() - 12], &[&bytes[..], &[0]].concat()]
    {
        assert!(Head::parse(wrong).is_none());
    }
    let mut without = Head::parse(&bytes).unwrap();
    without.doses = doses::Pieces::default();
    let older = without.to_bytes();
    assert_eq!(&older[..8], b"KONSILG\x02");
    assert!(Head::parse(&older).unwrap().doses.each.is_empty());
    assert!(Head::parse(&[&older[..], &[0; 12]].concat()).is_none());
    let both = place.key.with_new(1).unwrap();
    assert!(reseal_geno(&place.data(), "geno", &both).unwrap());
    let store = Store::open(&place.data(), "geno", &both.newest_only()).unwrap();
    assert_eq!(store.doses(97, 1).unwrap().of(0), Some(doses(97).as_slice()));
}
