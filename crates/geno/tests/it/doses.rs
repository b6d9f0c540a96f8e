//! Doses of imputed files are kept beside genotypes, and only where these do not say them.

use crate::made::Centre;
use konsil_cohort::Genotypes;
use konsil_geno::{ImportOptions, OpenOptions, Panel, RefAllele, Store, make_panel};
use konsil_kernels::{DOSE_MISSING, copies_of};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ALL: ImportOptions =
    ImportOptions { missing_max: 1.0, keep_ambiguous: true, leave_out: BTreeSet::new() };
const DOSES: fn() -> OpenOptions = || OpenOptions { doses: true, ..OpenOptions::default() };

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// Doses as the text of a VCF says them, `[variant][person]`.
fn written(path: &Path) -> Vec<Vec<Option<f64>>> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|it| !it.starts_with('#'));
    lines.map(|it| it.split('\t').skip(9).map(|it| it.parse().ok()).collect()).collect()
}

fn doses(store: &Store, variant: usize) -> Vec<Option<f64>> {
    let doses = store.doses(variant, 1).unwrap();
    doses.of(0).expect("doses").iter().map(|it| copies_of(*it)).collect()
}

// The text's doses come back to half a part of a copy, and those that plink2 has made probabilities of
// to what 8 or 16 bits are; genotypes stay what they are without doses.
#[test]
fn doses_of_files_are_kept() {
    let centre = Centre::new();
    let panel = make_panel(&vector("dose.vcf"), RefAllele::Second, None).unwrap().0;
    let wanted = written(&vector("dose.vcf"));
    for (name, off) in [("dose.vcf", 0.51 / 16_384.0), ("dose8.bgen", 0.005), ("dose16.bgen", 1e-4)]
    {
        let without = centre.import(&[&vector(name)], &panel, &ALL).unwrap();
        assert_eq!((without.0.with_doses(), without.1.with_doses), (0, 0));
        let calls = without.0.read(0, 40).unwrap();
        let (store, report) = centre.import_with(&[&vector(name)], &panel, &ALL, DOSES()).unwrap();
        assert_eq!((store.with_doses(), report.with_doses, report.kept), (40, 40, 40), "{name}");
        assert!(store.read(0, 40).unwrap() == calls, "{name}");
        for (variant, wanted) in wanted.iter().enumerate() {
            for (found, wanted) in doses(&store, variant).iter().zip(wanted) {
                let near = match (found, wanted) {
                    (Some(found), Some(wanted)) => (found - wanted).abs() <= off,
                    (found, wanted) => found == wanted,
                };
                assert!(near, "{name} {variant}: {found:?} {wanted:?}");
            }
        }
    }
    // an unclear dose is known: what is missing is what has no dose
    let some = ImportOptions { missing_max: 0.15, ..ALL };
    let none = centre.import(&[&vector("dose.vcf")], &panel, &some).unwrap_err();
    assert_eq!(none.code(), "K0128");
    let report = centre.import_with(&[&vector("dose.vcf")], &panel, &some, DOSES()).unwrap().1;
    assert!(report.kept > 35, "{}", report.kept);
}

fn vcf(lines: &str) -> String {
    "##fileformat=VCFv4.2\n##FORMAT=<ID=GT,Number=1,Type=String,Description=\"\">\n\
     ##FORMAT=<ID=DS,Number=A,Type=Float,Description=\"\">\n\
     #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\tC\n"
        .to_owned()
        + lines
}

// Calls stay calls; doses beside them are kept where they say more, turned with their variant.
#[test]
fn doses_beside_calls_are_kept() {
    let centre = Centre::new();
    let panel = "#CHROM\tPOS\tID\tREF\tALT\n1\t1\t.\tA\tG\n1\t2\t.\tG\tA\n1\t3\t.\tA\tG\n\
                 1\t4\t.\tA\tG\n1\t5\t.\tA\tG\n1\t5\t.\tA\tT\nX\t6\t.\tA\tG\n";
    let panel = Panel::parse(panel.to_owned()).unwrap();
    let start = |at: &str| format!("{at}\t.\tA\tG\t.\t.\t.\tGT:DS\t");
    let lines = [
        start("1\t1") + "0/0:0.25\t0/1:1\t./.:1.5",
        // the other way round
        start("1\t2") + "0/0:0.25\t1|1:2\t0/1:.",
        // nothing that calls do not say
        start("1\t3") + "0/0:0\t0/1:.\t1/1:2",
        start("1\t4") + "0/0\t0/1\t./.",
        "1\t5\t.\tA\tG,T\t.\t.\t.\tGT:DS\t0/1:0.9,0.1\t1/2:1,1\t0/0:0,0".to_owned(),
        // one copy: doses of one copy
        start("X\t6") + "0:0.25\t1:1\t0/1:1.25",
    ];
    let path = centre.path("x.vcf");
    fs::write(&path, vcf(&(lines.join("\n") + "\n"))).unwrap();
    let (store, report) = centre.import_with(&[&path], &panel, &ALL, DOSES()).unwrap();
    assert_eq!((report.kept, report.with_doses, store.with_doses()), (7, 5, 5));
    let near = |variant: usize, wanted: [f64; 3]| {
        let found = doses(&store, variant);
        let same = found.iter().zip(wanted).all(|(it, wanted)| (it.unwrap() - wanted).abs() < 4e-5);
        assert!(same, "{variant}: {found:?}");
    };
    near(0, [0.25, 1.0, 1.5]);
    near(1, [1.75, 0.0, 1.0]);
    near(4, [0.9, 1.0, 0.0]);
    near(5, [0.1, 1.0, 0.0]);
    near(6, [0.5, 2.0, 1.25]);
    let all = store.doses(0, 7).unwrap();
    assert_eq!(all.variants(), [0, 1, 4, 5, 6]);
    let calls = store.read(0, 7).unwrap();
    let row = |variant: usize| [0, 1, 2].map(|it| calls.genotype(variant, it));
    assert_eq!([row(0), row(1), row(2), row(3)], [[0, 1, 3], [2, 0, 1], [0, 1, 2], [0, 1, 3]]);
    assert!(all.of(0).is_some_and(|it| !it.contains(&DOSE_MISSING)));
    // a man's dose above one copy is of two: which scale is meant is not known
    fs::write(&path, vcf(&(start("X\t6") + "0:0.25\t1:1.9\t0/1:1.25\n"))).unwrap();
    let error = centre.import_with(&[&path], &panel, &ALL, DOSES()).unwrap_err();
    assert!(error.code() == "K0126" && error.to_string().contains("--doses off"), "{error}");
    assert_eq!(centre.import(&[&path], &panel, &ALL).unwrap().1.kept, 1);
}
