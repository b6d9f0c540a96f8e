//! What is said of people, against plink2 and plink1.9: see `vectors/people.sh`.

use crate::made::{Centre, Numbers, write_plink};
use konsil_cohort::{Genotypes, Sex};
use konsil_geno::{
    Concern, ImportOptions, Panel, People, PeopleOptions, RefAllele, Store, make_panel,
};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// Lines of a table of plink's, without its head.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|it| it.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Whether a number is what a program has printed with six digits.
fn is_printed(value: f64, printed: &str) -> bool {
    let wanted: f64 = printed.parse().unwrap();
    (value - wanted).abs() <= 0.6e-5 * wanted.abs().max(1e-3)
}

fn look(store: &Store, panel: &Panel, kinship_min: f64) -> People {
    let options = PeopleOptions { kinship_min, ..PeopleOptions::default() };
    People::look_at(store, panel, &options).unwrap()
}

/// A file set as a store, every variant of it, with ids of the people.
fn imported(bed: &Path) -> (Store, Panel, Vec<String>) {
    let (panel, _) = make_panel(&bed.with_extension("bim"), RefAllele::Second, None).unwrap();
    let all = ImportOptions { missing_max: 1.0, keep_ambiguous: true, ..ImportOptions::default() };
    let (store, _) = Centre::new().import(&[bed], &panel, &all).unwrap();
    let fam = fs::read_to_string(bed.with_extension("fam")).unwrap();
    let id = |line: &str| line.split_whitespace().nth(1).unwrap().to_owned();
    (store, panel, fam.lines().map(id).collect())
}

/// Compares heterozygosity with plink2's `--het small-sample`, and gives how many people were.
fn same_heterozygosity(people: &People, ids: &[String], het: &Path) -> usize {
    let mut compared = 0;
    for row in rows(het) {
        let at = ids.iter().position(|it| *it == row[1]).unwrap();
        let own = people.persons[at].autosomes;
        assert_eq!(own.observed.to_string(), row[2], "{}", row[1]);
        assert!(is_printed(own.expected, &row[3]), "{}: {} {}", row[1], own.expected, row[3]);
        assert_eq!(own.called.to_string(), row[4]);
        let f = own.inbreeding().unwrap();
        // F is a difference of large numbers, printed with six digits
        assert!(is_printed(f, &row[5]), "{}: {f} {}", row[1], row[5]);
        compared += 1;
    }
    compared
}

/// Compares kinship with plink2's `--make-king-table`, all pairs from a kinship on.
fn same_kinship(people: &People, ids: &[String], kin: &Path) -> usize {
    let pairs: HashMap<(&str, &str), _> = people
        .pairs
        .iter()
        .map(|it| ((ids[it.people.1].as_str(), ids[it.people.0].as_str()), it))
        .collect();
    let rows = rows(kin);
    for row in &rows {
        let own = pairs[&(row[1].as_str(), row[3].as_str())];
        assert_eq!(own.variants.to_string(), row[4]);
        let part = |count: u64| count as f64 / own.variants as f64;
        assert!(is_printed(part(own.both_heterozygous), &row[5]), "{row:?}");
        assert!(is_printed(part(own.opposite), &row[6]), "{row:?}");
        assert!(is_printed(own.kinship, &row[7]), "{row:?}: {}", own.kinship);
    }
    assert_eq!(pairs.len(), rows.len());
    rows.len()
}

// Missing genotypes, heterozygosity, sex by X and kinship of 61 people are plink's to its last digit.
#[test]
fn people_of_a_small_file_are_as_plink_says() {
    let (store, panel, ids) = imported(&vector("small.bed"));
    let people = look(&store, &panel, 0.030_000_1);
    assert_eq!(same_heterozygosity(&people, &ids, &vector("small.het")), 61);
    assert_eq!(same_kinship(&people, &ids, &vector("small.kin")), 416);
    for (row, person) in rows(&vector("small.smiss")).iter().zip(&people.persons) {
        assert_eq!(person.missing.to_string(), row[2]);
        assert_eq!(person.variants.to_string(), row[3]);
        assert!(is_printed(person.missing_part(), &row[4]));
    }
    for (row, person) in rows(&vector("small.sexcheck")).iter().zip(&people.persons) {
        assert_eq!(person.sex.code().to_string(), row[2]);
        assert_eq!(person.sex_by_x().code().to_string(), row[3]);
        let (f, wanted): (f64, f64) = (person.x.inbreeding().unwrap(), row[5].parse().unwrap());
        // printed with four digits
        assert!((f - wanted).abs() <= 0.6e-3 * wanted.abs().max(0.1), "{f} {wanted}");
    }
    assert_eq!((people.variants, people.kinship_variants), ((180, 60), 180));
    // as a man's the X of a woman, and the other way round
    let text = format!("{people:?} {:?} {:?}", people.persons[0], people.pairs[0]);
    assert_eq!(text, "People[61] Person Pair");
}

/// The shared folder, beside the repository or where KONSIL_SHARED says.
fn shared(bed: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("KONSIL_SHARED").map_or(beside, Into::into);
    let bed = root.join("data").join(bed);
    bed.exists().then_some(bed)
}

/// What plink2 says of a file's people, where it is installed: heterozygosity, and all pairs from a
/// kinship on.
fn plink2(bed: &Path, folder: &Path, kinship_min: f64) -> Option<[PathBuf; 2]> {
    let out = folder.join("plink");
    let ran = Command::new("plink2")
        .arg("--bfile")
        .arg(bed.with_extension(""))
        .args(["--silent", "--threads", "2", "--het", "small-sample", "--make-king-table"])
        .args(["--king-table-filter", &kinship_min.to_string(), "--out"])
        .arg(&out)
        .output();
    assert!(ran.ok()?.status.success(), "plink2 ends with an error");
    Some([out.with_extension("het"), out.with_extension("kin0")])
}

// The same of whole sets, every person and every pair that is near enough: 379 Europeans, 517 people of
// 19 populations, and 600 made-up people with 100,000 variants.
#[test]
fn people_of_shared_files_are_as_plink2_says() {
    for (bed, kinship_min) in [
        ("geno_eur379/EUR_subset.bed", 0.02),
        ("geno_bigsnpr517/example.bed", 0.05),
        ("geno_sim600x100k/sim.bed", 0.04),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let found = shared(bed).and_then(|bed| {
            let tables = plink2(&bed, folder.path(), kinship_min)?;
            Some((bed, tables))
        });
        let Some((path, [het, kin])) = found else {
            let note = format!("skipped: no plink2, or no shared/data/{bed}\n");
            std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes()).unwrap();
            continue;
        };
        let (store, panel, ids) = imported(&path);
        let people = look(&store, &panel, kinship_min);
        assert_eq!(same_heterozygosity(&people, &ids, &het), ids.len());
        assert!(same_kinship(&people, &ids, &kin) > 10, "{bed}");
    }
}

/// A family: 40 strangers, then a child of the first two, and the third once more; the fourth is a poor
/// sample, the fifth a mixture of two, the sixth of another sex than the file says.
fn family(folder: &Path) -> PathBuf {
    let mut numbers = Numbers(7);
    let (mut bim, mut rows) = (String::new(), Vec::new());
    for at in 0..1_500 {
        let x = at >= 1_200;
        let chromosome = if x { "X".to_owned() } else { (1 + at / 60).to_string() };
        bim += &format!("{chromosome}\tv{at}\t0\t{}\tA\tG\n", 3_000_000 + at);
        let often = 20 + numbers.below(60);
        let mut allele = || u8::from(numbers.below(100) < often);
        let pairs: Vec<[u8; 2]> = (0..40).map(|_| [allele(), allele()]).collect();
        let both = |it: &[u8; 2]| it[0] + it[1];
        let is_man = |person: usize| person.is_multiple_of(2);
        let copies = |person: usize, it: &[u8; 2]| {
            if x && is_man(person) { 2 * it[0] } else { both(it) }
        };
        let mut row: Vec<u8> =
            pairs.iter().enumerate().map(|(person, it)| copies(person, it)).collect();
        // with somebody who is not in the file
        let other = allele() + allele();
        if !x && row[4] != other {
            row[4] = 1;
        }
        // father 0, mother 1, a daughter
        row.push(if x {
            pairs[0][0] + pairs[1][usize::from(at % 2 == 0)]
        } else {
            pairs[0][usize::from(at % 3 == 0)] + pairs[1][usize::from(at % 2 == 0)]
        });
        row.push(row[2]);
        if at % 10 == 0 {
            row[3] = 3;
        }
        rows.push(row);
    }
    let sex = |person: usize| match person {
        5 => 1,
        40 => 2,
        41 => 1,
        it => 1 + it % 2,
    };
    let fam: String = (0..42).map(|it| format!("F{it} P{it} 0 0 {} -9\n", sex(it))).collect();
    let bed = folder.join("family.bed");
    write_plink(&bed, &bim, &fam, &rows);
    bed
}

// Each concern is found in the person who has it, and in nobody else; of a pair of relatives one is left
// out, and of a child and its parents the child alone.
#[test]
fn odd_people_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (store, panel, _) = imported(&family(folder.path()));
    assert_eq!(store.sexes()[..2], [Sex::Male, Sex::Female]);
    let people = look(&store, &panel, 0.177);
    let pairs: Vec<_> = people.pairs.iter().map(|it| it.people).collect();
    assert_eq!(pairs[0], (2, 41));
    // a mixture seems to be a relative of others
    let mut sorted: Vec<_> = pairs.into_iter().filter(|it| it.0 != 4 && it.1 != 4).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, [(0, 40), (1, 40), (2, 41)]);
    assert!(people.pairs[0].kinship > 0.49 && people.pairs[1].kinship < 0.3);
    let mut found: Vec<(usize, Concern, bool)> =
        people.advice().iter().map(|it| (it.person, it.concern, it.leave_out)).collect();
    found.sort_by_key(|it| (it.0, !it.2));
    let relatives = [
        (0, Concern::Relative(40), false),
        (1, Concern::Relative(40), false),
        (2, Concern::Same(41), false),
        (3, Concern::Missing, true),
        (4, Concern::TooHeterozygous, true),
        (5, Concern::OtherSex, true),
        (40, Concern::Relative(0), true),
        (40, Concern::Relative(1), true),
        (41, Concern::Same(2), true),
    ];
    assert_eq!(found, relatives);
}
