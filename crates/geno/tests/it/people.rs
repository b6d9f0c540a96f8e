//! The 379 Europeans of the 1000 Genomes Project, against plink2's own counts.

use crate::made::Centre;
use flate2::read::GzDecoder;
use konsil_cohort::Genotypes;
use konsil_geno::{ImportOptions, RefAllele, make_panel};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The shared folder, beside the repository or where KONSIL_SHARED says.
fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("KONSIL_SHARED").map_or(beside, Into::into);
    let folder = root.join("data/geno_eur379");
    if folder.join("EUR_subset.bed").exists() {
        return Some(folder);
    }
    let note = "skipped: no shared/data/geno_eur379 beside the repository, set KONSIL_SHARED\n";
    std::io::stderr().write_all(note.as_bytes()).unwrap();
    None
}

fn table(path: &Path) -> Vec<Vec<String>> {
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().skip(1).map(|it| it.split_whitespace().map(str::to_owned).collect()).collect()
}

// Counts of alternative alleles and of missing genotypes are plink2's, for each of 54,051 variants.
#[test]
fn counts_of_379_people_are_those_of_plink2() {
    let Some(data) = data() else { return };
    let centre = Centre::new();
    let bim = data.join("EUR_subset.bim");
    let (panel, made) = make_panel(&bim, RefAllele::Second, None).unwrap();
    let keep = ImportOptions { keep_ambiguous: true, missing_max: 1.0, ..ImportOptions::default() };
    let bed = data.join("EUR_subset.bed");
    let (store, report) = centre.import(&[&bed], &panel, &keep).unwrap();
    assert_eq!((report.read, report.kept, made.kept), (54_051, 54_051, 54_051));
    let missing = table(&data.join("ref_vmiss.gz"));
    let mut wanted: HashMap<String, (u64, u64)> = HashMap::new();
    for (counts, missing) in table(&data.join("ref_acount.gz")).iter().zip(&missing) {
        let number = |row: &[String], at: usize| row[at].parse::<u64>().unwrap();
        // ID, REF, ALT and their counts
        assert_eq!(counts[1], missing[1]);
        let called = number(missing, 3) - number(missing, 2);
        assert_eq!(number(counts, 5), 2 * called);
        wanted.insert(
            format!("{} {} {}", counts[1], counts[2], counts[3]),
            (number(counts, 4), called),
        );
    }
    let all = store.read(0, panel.len()).unwrap();
    for (at, variant) in panel.variants().enumerate() {
        let name = format!("{} {} {}", variant.id, variant.reference, variant.alternative);
        let genotypes = (0..all.people()).map(|it| u64::from(all.genotype(at, it)));
        let (copies, called) = genotypes
            .filter(|it| *it < 3)
            .fold((0, 0), |(copies, called), it| (copies + it, called + 1));
        assert_eq!(wanted.get(&name), Some(&(copies, called)), "{name}");
    }
    // as a centre would: strands of A/T and C/G near a half are set aside, and nothing else
    let (_, usual) = centre.import(&[&bed], &panel, &ImportOptions::default()).unwrap();
    assert_eq!(usual.kept + usual.ambiguous, 54_051);
    assert!(usual.ambiguous > 0 && usual.ambiguous < 3_000, "{usual:?}");
}
