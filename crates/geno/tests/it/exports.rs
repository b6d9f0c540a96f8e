//! The same genotypes as plink2 writes them into other formats, against plink2's counts; see
//! `vectors/make.sh`.

use crate::made::{Centre, counts};
use konsil_cohort::Genotypes;
use konsil_geno::{ImportOptions, Panel, RefAllele, Store, make_panel};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ALL: ImportOptions =
    ImportOptions { missing_max: 1.0, keep_ambiguous: true, leave_out: BTreeSet::new() };

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

fn panel() -> Panel {
    make_panel(&vector("small.bim"), RefAllele::Second, None).unwrap().0
}

fn table(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(vector(name)).unwrap();
    text.lines().skip(1).map(|it| it.split('\t').map(str::to_owned).collect()).collect()
}

/// All genotypes of a store.
fn genotypes(store: &Store) -> Vec<Vec<u8>> {
    let all = store.read(0, store.variants()).unwrap();
    let row = |variant: usize| (0..all.people()).map(|it| all.genotype(variant, it)).collect();
    (0..all.variants()).map(row).collect()
}

// Frequencies and missing genotypes of each variant are plink2's own, also on X and MT.
#[test]
fn counts_are_those_of_plink2() {
    let (panel, centre) = (panel(), Centre::new());
    let (store, report) = centre.import(&[&vector("small.bed")], &panel, &ALL).unwrap();
    assert_eq!((report.read, report.kept), (260, 260));
    let (frequencies, missing) = (table("small.acount"), table("small.vmiss"));
    for (at, variant) in panel.variants().enumerate() {
        let of = |table: &[Vec<String>], column: usize| {
            table.iter().find(|it| it[column] == variant.id).unwrap().clone()
        };
        let (row, missing) = (of(&frequencies, 2), of(&missing, 1));
        assert_eq!((row[3].as_str(), row[4].as_str()), (variant.reference, variant.alternative));
        let number = |text: &str| text.parse::<u64>().unwrap();
        let (copies, called) = counts(&store, at);
        assert_eq!(called, number(&missing[3]) - number(&missing[2]), "{}", variant.id);
        // plink2 counts one copy where people have one
        if !["X", "MT"].contains(&variant.chromosome) {
            assert_eq!((copies, 2 * called), (number(&row[5]), number(&row[6])), "{}", variant.id);
        } else if variant.chromosome == "MT" {
            assert_eq!((copies, called), (2 * number(&row[5]), number(&row[6])), "{}", variant.id);
        }
    }
}

// What plink2 exports is read as the genotypes that it exported.
#[test]
fn exports_are_read_as_the_genotypes_that_they_are_of() {
    let (panel, centre) = (panel(), Centre::new());
    let wanted = genotypes(&centre.import(&[&vector("small.bed")], &panel, &ALL).unwrap().0);
    // the first of these has the reference last
    for name in ["small8.bgen", "small16.bgen", "small-zstd.bgen", "small.vcf.gz", "small.bcf"] {
        let (store, report) = centre.import(&[&vector(name)], &panel, &ALL).unwrap();
        let swapped = if name == "small8.bgen" { 260 } else { 0 };
        assert_eq!((report.kept, report.swapped, report.other_strand), (260, swapped, 0), "{name}");
        assert!(report.notes.haploid > 1_000 && report.notes.half_calls == 0, "{name}");
        assert!(genotypes(&store) == wanted, "{name}");
    }
}

// Doses and probabilities near a whole number are plink2's hard calls with a threshold of 0.1.
#[test]
fn doses_and_probabilities_are_the_calls_of_plink2() {
    let centre = Centre::new();
    let panel = make_panel(&vector("dose.vcf"), RefAllele::Second, None).unwrap().0;
    for name in ["dose.vcf", "dose8.bgen", "dose16.bgen"] {
        let (store, report) = centre.import(&[&vector(name)], &panel, &ALL).unwrap();
        let genotypes = genotypes(&store);
        let mut missing = 0;
        for (row, found) in table("dose.gcount").iter().zip(&genotypes) {
            let wanted: Vec<usize> =
                [4, 5, 6, 9].iter().map(|it| row[*it].parse().unwrap()).collect();
            let count = |genotype: u8| found.iter().filter(|it| **it == genotype).count();
            assert_eq!([0, 1, 2, 3].map(count), *wanted, "{name} {}", row[1]);
            missing += wanted[3] as u64;
        }
        assert!(report.notes.unclear > 100 && report.notes.unclear < missing, "{name}");
    }
}

// A file that is cut is named as such; none of its genotypes is stored.
#[test]
fn exports_that_are_cut_or_damaged_store_nothing() {
    let (panel, centre) = (panel(), Centre::new());
    for name in ["small.vcf.gz", "small.bcf", "small8.bgen", "small-zstd.bgen"] {
        let whole = fs::read(vector(name)).unwrap();
        let path = centre.path(name);
        for end in (1..whole.len()).step_by(whole.len() / 40) {
            fs::write(&path, &whole[..end]).unwrap();
            let error = centre.import(&[&path], &panel, &ALL).unwrap_err();
            assert_eq!(error.code(), "K0121", "{name} {end}: {error}");
            let text = error.to_string();
            let words =
                ["cut", "copy it again", "begins with", "does not begin", "within its header"];
            assert!(words.iter().any(|it| text.contains(it)), "{text}");
        }
        if name.ends_with("bgen") {
            continue;
        }
        for at in (20..whole.len() - 28).step_by(whole.len() / 60) {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            fs::write(&path, changed).unwrap();
            let error = centre.import(&[&path], &panel, &ALL).unwrap_err();
            assert_eq!(error.code(), "K0121", "{name} {at}: {error}");
        }
    }
    assert!(fs::read_dir(centre.path("data")).map_or(0, Iterator::count) == 0);
}

// Positions of another build are refused by the lengths of the header's contigs.
#[test]
fn another_build_is_refused() {
    let centre = Centre::new();
    let path = centre.path("x.vcf");
    let head = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\n";
    let line = "1\t5\t.\tA\tG\t.\t.\t.\tGT\t0/1\n";
    let contig = "##fileformat=VCFv4.2\n##contig=<ID=chr1,assembly=x,length=249250621>\n";
    fs::write(&path, format!("{contig}{head}{line}")).unwrap();
    let panel = |build: &str| {
        Panel::parse(format!("##build={build}\n#CHROM\tPOS\tID\tREF\tALT\n1\t5\t.\tA\tG\n"))
            .unwrap()
    };
    let error = centre.import(&[&path], &panel("GRCh38"), &ALL).unwrap_err();
    assert_eq!(error.code(), "K0125", "{error}");
    assert!(error.to_string().contains("GRCh37"), "{error}");
    assert_eq!(centre.import(&[&path], &panel("GRCh37"), &ALL).unwrap().1.kept, 1);
}
