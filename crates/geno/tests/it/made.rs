//! Small files with genotypes of every kind, made from a seed.

use konsil_cohort::{Genotypes, Key};
use konsil_geno::{
    Builder, GenoError, ImportOptions, ImportReport, Linked, OpenOptions, Panel, Store, import,
    open,
};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A generator of numbers, the same everywhere.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A centre's folder.
pub(crate) struct Centre {
    pub(crate) folder: TempDir,
    pub(crate) key: Key,
}

impl Centre {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::create(&folder.path().join("key")).unwrap();
        Self { folder, key }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Imports files, every person as a patient.
    pub(crate) fn import(
        &self,
        files: &[&Path],
        panel: &Panel,
        options: &ImportOptions,
    ) -> Result<(Store, ImportReport), GenoError> {
        self.import_with(files, panel, options, OpenOptions::default())
    }

    /// The same, read in a way of its own.
    pub(crate) fn import_with(
        &self,
        files: &[&Path],
        panel: &Panel,
        options: &ImportOptions,
        how: OpenOptions,
    ) -> Result<(Store, ImportReport), GenoError> {
        let mut sources = Vec::new();
        for file in files {
            sources.push(open(file, &how)?);
        }
        let first = &sources[0];
        let linked = Linked::new(first.file(), first.samples(), None, None, &self.key)?;
        let data = self.path("data");
        let shape = (panel.hash(), panel.len());
        let mut builder = Builder::create(&data, "geno", shape, linked.pseudonyms())?;
        builder.set_sexes(linked.sexes())?;
        let pair = (panel, &linked);
        let report = import(&mut sources, pair, options, Some(&mut builder), &mut |_| ())?;
        builder.finish(&self.key)?;
        Ok((Store::open(&data, "geno", &self.key)?, report))
    }
}

/// Copies of the alternative allele in all people, and people with a genotype, of one variant.
pub(crate) fn counts(store: &Store, variant: usize) -> (u64, u64) {
    let packed = store.read(variant, 1).unwrap();
    let genotypes = (0..packed.people()).map(|it| u64::from(packed.genotype(0, it)));
    let called: Vec<u64> = genotypes.filter(|it| *it < 3).collect();
    (called.iter().sum(), called.len() as u64)
}

/// Writes a PLINK file set: genotypes are copies of A1, 3 for missing.
pub(crate) fn write_plink(path: &Path, bim: &str, fam: &str, genotypes: &[Vec<u8>]) {
    let mut bed = vec![0x6c, 0x1b, 1];
    for row in genotypes {
        for four in row.chunks(4) {
            let bits = four
                .iter()
                .enumerate()
                .map(|(at, it)| [3_u8, 2, 0, 1][usize::from(*it)] << (2 * at));
            bed.push(bits.fold(0, |all, it| all | it));
        }
    }
    fs::write(path, bed).unwrap();
    fs::write(path.with_extension("bim"), bim).unwrap();
    fs::write(path.with_extension("fam"), fam).unwrap();
}

// Each reason to set a variant aside, each way to match one, with counts; and the genotypes that are
// stored are those of the panel's alternative allele.
#[test]
fn variants_are_matched_counted_and_set_aside() {
    let centre = Centre::new();
    let panel = "#CHROM\tPOS\tID\tREF\tALT\n1\t10\t.\tA\tG\n1\t20\t.\tC\tT\n1\t30\t.\tA\tC\n1\t40\t.\tA\tT\n\
                 1\t50\t.\tC\tG\n1\t60\t.\tG\tC\n1\t70\t.\tA\tG\n2\t5\t.\tT\tC\n2\t9\t.\tT\tC\n";
    let panel = Panel::parse(panel.to_owned()).unwrap();
    let people = 40;
    let fam: String = (0..people).map(|it| format!("0 P{it} 0 0 0 -9\n")).collect();
    // (line of the .bim, copies of A1 of the first person, of the others)
    let lines = [
        ("2 a 0 9 C T", 2, 0),  // as written, before its chromosome's order
        ("1 b 0 10 G A", 1, 0), // as written
        ("1 c 0 20 C T", 2, 1), // the other way round
        ("1 d 0 30 T G", 0, 1), // the other strand, the other way round
        ("1 e 0 40 T A", 2, 0), // ambiguous, but rare
        ("1 f 0 50 G C", 0, 1), // ambiguous, near a half
        ("1 g 0 60 G C", 2, 0), // ambiguous, rare, the other way round
        ("1 h 0 70 T A", 0, 0), // other alleles
        ("1 i 0 70 G A", 3, 3), // missing
        ("1 j 0 10 G A", 2, 2), // twice
        ("1 k 0 11 G A", 2, 2), // not on the panel
        ("7 k 0 11 G A", 2, 2), // not on the panel
        ("2 l 0 5 0 T", 0, 0),  // nobody has the other allele
    ];
    let bim: String = lines.iter().map(|it| format!("{}\n", it.0)).collect();
    let row = |(_, first, others): &(&str, u8, u8)| {
        (0..people).map(|it| if it == 0 { *first } else { *others }).collect::<Vec<u8>>()
    };
    let rows: Vec<Vec<u8>> = lines.iter().map(row).collect();
    let path = centre.path("x.bed");
    write_plink(&path, &bim, &fam, &rows);
    let (store, report) = centre.import(&[&path], &panel, &ImportOptions::default()).unwrap();
    let found: Vec<_> = (0..panel.len()).map(|it| counts(&store, it)).collect();
    assert_eq!(
        found,
        [(1, 40), (39, 40), (41, 40), (2, 40), (0, 0), (78, 40), (0, 0), (0, 40), (2, 40)]
    );
    let wanted = ImportReport {
        read: 13,
        kept: 7,
        panel: 9,
        not_on_panel: 2,
        other_alleles: 1,
        duplicates: 1,
        missing: 1,
        ambiguous: 1,
        swapped: 3,
        other_strand: 1,
        ..ImportReport::default()
    };
    assert_eq!(report, wanted);
    let keep = ImportOptions { keep_ambiguous: true, missing_max: 1.0, ..ImportOptions::default() };
    let (store, report) = centre.import(&[&path], &panel, &keep).unwrap();
    assert_eq!((report.kept, report.ambiguous, report.missing), (9, 0, 0));
    assert_eq!((counts(&store, 4), counts(&store, 6)), ((39, 40), (0, 0)));
    let elsewhere = Panel::parse("#CHROM\tPOS\tID\tREF\tALT\n3\t10\t.\tA\tG\n".to_owned()).unwrap();
    let error = centre.import(&[&path], &elsewhere, &keep).unwrap_err();
    assert_eq!(error.code(), "K0128", "{error}");
    // what was stored before is there still
    assert_eq!(Store::open(&centre.path("data"), "geno", &centre.key).unwrap().kept(), 9);
    assert_eq!(fs::read_dir(centre.path("data")).unwrap().count(), 1);
}

// A file for each chromosome, in the order of a shell's *, and people in another order in one.
#[test]
fn several_files_are_one_import() {
    let centre = Centre::new();
    let mut numbers = Numbers(5);
    let mut panel = "#CHROM\tPOS\tID\tREF\tALT\n".to_owned();
    let people = 50;
    let mut genotypes = Vec::new();
    for chromosome in 1..=12_u32 {
        let (mut bim, mut rows) = (String::new(), Vec::new());
        for position in 1..=9 {
            panel.push_str(&format!("{chromosome}\t{position}\t.\tA\tG\n"));
            bim.push_str(&format!("{chromosome} . 0 {position} G A\n"));
            let row: Vec<u8> =
                (0..people).map(|_| u8::try_from(numbers.below(3)).unwrap()).collect();
            genotypes.push(row.clone());
            rows.push(if chromosome == 2 { row.into_iter().rev().collect() } else { row });
        }
        let ids: Vec<usize> = match chromosome {
            2 => (0..people).rev().collect(),
            _ => (0..people).collect(),
        };
        let fam: String = ids.iter().map(|it| format!("0 P{it} 0 0 0 -9\n")).collect();
        write_plink(&centre.path(&format!("chr{chromosome}.bed")), &bim, &fam, &rows);
    }
    let panel = Panel::parse(panel).unwrap();
    let order = [1, 10, 11, 12, 2, 3, 4, 5, 6, 7, 8, 9];
    let files: Vec<PathBuf> = order.iter().map(|it| centre.path(&format!("chr{it}"))).collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (store, report) = centre.import(&files, &panel, &ImportOptions::default()).unwrap();
    assert_eq!((report.kept, report.read), (108, 108));
    let packed = store.read(0, 108).unwrap();
    for (variant, row) in genotypes.iter().enumerate() {
        let found: Vec<u8> = (0..people).map(|it| packed.genotype(variant, it)).collect();
        assert_eq!(&found, row, "{variant}");
    }
    let fam: String = (1..people).map(|it| format!("0 P{it} 0 0 0 -9\n")).collect();
    write_plink(&centre.path("less.bed"), "1 . 0 1 G A\n", &fam, &[vec![0; people - 1]]);
    let two = [files[0], &centre.path("less")];
    let error = centre.import(&two, &panel, &ImportOptions::default()).unwrap_err();
    assert_eq!(error.code(), "K0124", "{error}");
}
