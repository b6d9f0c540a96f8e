//! Genotypes of a centre and of a lab, from files to blocks.

use crate::lab::{CENTRES, Lab, files, patients};
use crate::studies::SHORT;
use std::fs;

/// Genotypes in a store's folder.
fn stored(lab: &Lab) -> usize {
    files(lab.folder.path()).iter().filter(|path| path.ends_with("blocks")).count()
}

/// A lab with patients, and PLINK files of all of them, with a link file that says whose each is.
pub(crate) fn lab() -> Lab {
    let lab = Lab::with_patients(60, 7);
    let rows = patients(60, 7);
    let rows = rows.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let people: Vec<(String, String)> =
        rows.map(|cells| (cells[0].to_owned(), cells[1].to_owned())).collect();
    let fam: String = (0..people.len()).map(|at| format!("F{at} G{at} 0 0 0 -9\n")).collect();
    let links = people.iter().enumerate();
    let links: String =
        links.map(|(at, (centre, pid))| format!("G{at},{pid},{centre}\n")).collect();
    lab.write("all.fam", &fam);
    lab.write("links.csv", &format!("sample,patient,centre\n{links}"));
    lab.write("all.bim", "1 rs1 0 100 G A\n2 rs2 0 100 T C\n3 rs3 0 5 A G\n");
    let bed = [&[0x6c, 0x1b, 1][..], &[0b10_11_00_11; 15], &[0b11; 15], &[0b01_01_01_01; 15]];
    fs::write(lab.path("all.bed"), bed.concat()).unwrap();
    lab
}

// Panel, import by centre, list, rotation of a centre's key; each centre has its own people only, and
// no genotype or id is in the clear.
#[test]
fn genotypes_go_to_the_centres_of_their_people() {
    let lab = lab();
    let panel = ["geno", "panel", "all.bim", "--build", "GRCh38"];
    lab.konsil(&panel).exits(0).says(&["3 variants", "GRCh38"]);
    lab.konsil(&panel).exits(2).says(&["panel.tsv exists"]);
    let split = ["lab", "geno", "lab", "--panel", "panel.tsv", "--split-by", "links.csv:centre"];
    let ran = lab.konsil(&[&split[..], &["all.bed"]].concat()).exits(0);
    ran.says(&["ahorn", "G0 → p0", "2 variants kept, of 3", "1 missing >5 %"]);
    assert_eq!(stored(&lab), 3);
    let panel = fs::read(lab.path("panel.tsv")).unwrap();
    assert_eq!(fs::read(lab.path("lab/panel.tsv")).unwrap(), panel);
    let mut people = 0;
    for centre in CENTRES {
        let folder = lab.centre(centre);
        assert_eq!(fs::read(folder.join("data/geno.panel.tsv")).unwrap(), panel);
        let folder = folder.to_str().unwrap().to_owned();
        let list = lab.konsil(&["geno", "list", "-C", &folder, "--json"]).exits(0).json();
        let own = &list["genotypes"][0];
        assert_eq!((own["kept"].as_u64(), own["name"].as_str()), (Some(2), Some("geno")));
        people += own["people"].as_u64().unwrap();
        lab.konsil(&["node", "key", "rotate", "-C", &folder]).exits(0).says(&["2 data sets"]);
        let again = lab.konsil(&["geno", "list", "-C", &folder, "--json"]).exits(0).json();
        assert_eq!(again, list);
        let keys = lab.konsil(&["node", "key", "list", "-C", &folder]).exits(0);
        assert!(keys.out.contains("patients geno.geno"), "{keys:?}");
    }
    assert_eq!(people, 60);
    // one centre's file, by its own command; a check stores nothing
    let folder = lab.centre("ahorn");
    let folder = folder.to_str().unwrap();
    let files = ["all.bed", "--panel", "panel.tsv", "--id-map", "links.csv", "-C", folder];
    let before = fs::read(lab.centre("ahorn").join("data/geno.geno/head")).unwrap();
    lab.konsil(&[&["geno", "check"][..], &files].concat()).exits(0).says(&["Nothing was stored"]);
    assert_eq!(fs::read(lab.centre("ahorn").join("data/geno.geno/head")).unwrap(), before);
    let import =
        [&["geno", "import", "--missing-max", "1", "--name", "second"][..], &files].concat();
    lab.konsil(&import).exits(0).says(&[
        "60 of 60 people",
        "without clinical data",
        "3 variants kept",
    ]);
    assert_eq!(stored(&lab), 4);
}

// The same of other kinds of files: what is wrong in the middle stores nothing either.
#[test]
fn wrong_genotypes_in_the_middle_store_nothing() {
    let lab = lab();
    lab.konsil(&["geno", "panel", "all.bim", "--build", "GRCh38"]).exits(0);
    let head =
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tp0\tp3\n";
    let good = format!("{head}1\t100\t.\tA\tG\t.\t.\t.\tGT\t0/1\t1|1\n");
    let import = |arguments: &[&str]| {
        let start = ["lab", "geno", "lab", "--panel", "panel.tsv", "--centre", "ahorn", "x.vcf"];
        lab.konsil(&[&start[..], arguments].concat())
    };
    let other = "2\t100\t.\tC\tT\t.\t.\t.\tGT\t";
    for (text, code, words) in [
        (format!("{good}{other}0/0/1\t0/0\n"), "K0126", "line 4: person 1"),
        (format!("{good}{other}0/0\n"), "K0121", "line 4"),
        (format!("{good}{other}0\t0/0\n"), "K0126", "one copy"),
        (good.replace("=VCF", "=XCF"), "K0121", "line 1"),
        (good.replace("\tp3", "\tp0"), "K0123", "person 2: the same id as in person 1"),
        (good.replace("##f", "##contig=<ID=1,length=249250621>\n##f"), "K0121", "line 1"),
        (good.replace("\n#C", "\n##contig=<ID=1,length=249250621>\n#C"), "K0125", "GRCh37"),
        (good.replace("\tp0\tp3", "\tx\ty"), "K0124", "--id-map"),
    ] {
        lab.write("x.vcf", &text);
        import(&[]).exits(10).says(&[code, words]);
    }
    lab.write("x.vcf", &format!("{good}{other}./1\t0/0\n"));
    import(&["--half-call", "error"]).exits(10).says(&["K0126", "--half-call missing"]);
    let left = files(lab.folder.path());
    assert!(!left.iter().any(|it| it.to_string_lossy().contains("geno")), "{left:?}");
    import(&["--half-call", "reference"]).exits(0).says(&["1 half calls", "2 variants kept"]);
    assert_eq!(stored(&lab), 1);
}

// Whatever is wrong is named, and nothing is stored at any centre.
#[test]
fn wrong_genotype_files_store_nothing() {
    let lab = lab();
    lab.konsil(&["geno", "panel", "all.bim"]).exits(0).says(&["--build"]);
    let import = |arguments: &[&str]| {
        lab.konsil(&[&["lab", "geno", "lab", "--panel", "panel.tsv"], arguments].concat())
    };
    let split = ["--split-by", "links.csv:centre", "all.bed"];
    import(&["all.bed"]).exits(2).says(&["--centre", "--split-by"]);
    import(&["--split-by", "links.csv", "all.bed"]).exits(2).says(&["links.csv:centre"]);
    import(&["--split-by", "links.csv:center", "all.bed"]).exits(10).says(&["K0123", "centre"]);
    import(&["--split-by", "links.csv:patient", "all.bed"]).exits(2).says(&["60 values"]);
    import(&["--centre", "ahorm", "all.bed"]).exits(2).says(&["did you mean `ahorn`?"]);
    import(&["--centre", "ahorn", "all.bed"]).exits(10).says(&["K0124", "--id-map"]);
    import(&["--missing-max", "2", "--centre", "ahorn", "all.bed"]).exits(2).says(&["0.05"]);
    import(&["--centre", "ahorn", "all.pgen"]).exits(10).says(&["K0122", "plink2 --pfile all"]);
    import(&["--centre", "ahorn", "none"]).exits(10).says(&["K0121", "known"]);
    let good = fs::read(lab.path("all.bed")).unwrap();
    for (bytes, code, word) in [
        (&good[..good.len() - 1], "K0121", "47 bytes"),
        (&[0x6c, 0x1b, 0, 1], "K0122", "plink1.9 --bfile"),
        (b"\x1f\x8b\x08\x00", "K0121", "byte 0"),
    ] {
        fs::write(lab.path("all.bed"), bytes).unwrap();
        import(&split).exits(10).says(&[code, word]);
    }
    fs::write(lab.path("all.bed"), &good).unwrap();
    let panel = fs::read_to_string(lab.path("panel.tsv")).unwrap();
    lab.write("panel.tsv", &panel.replace("2\t100", "1\t99"));
    import(&split).exits(10).says(&["K0120", "line 3"]);
    lab.write("panel.tsv", &panel.replace("\t100\t", "\t101\t").replace("\t5\t", "\t6\t"));
    import(&split).exits(10).says(&["K0128", "same build"]);
    lab.write("panel.tsv", &panel);
    assert_eq!(stored(&lab), 0);
    let left = files(lab.folder.path());
    assert!(!left.iter().any(|it| it.to_string_lossy().contains("geno")), "{left:?}");
    let empty = Lab::empty();
    for name in ["all.bed", "all.bim", "all.fam", "links.csv", "panel.tsv"] {
        fs::copy(lab.path(name), empty.path(name)).unwrap();
    }
    let arguments = [&["lab", "geno", "lab", "--panel", "panel.tsv"][..], &split].concat();
    empty.konsil(&arguments).exits(10).says(&["K0313", "no patients"]);
}

// Studies use the genotypes that were frozen: an earlier import that is put back, and one that was never
// imported here, stop them until they are frozen on purpose.
#[test]
fn genotypes_that_are_not_the_frozen_ones_are_refused() {
    let lab = lab();
    lab.konsil(&["geno", "panel", "all.bim"]).exits(0);
    let split = ["lab", "geno", "lab", "--panel", "panel.tsv", "--split-by", "links.csv:centre"];
    let import = || lab.konsil(&[&split[..], &["all.bed"]].concat()).exits(0);
    import();
    lab.write("study.toml", SHORT);
    let run = |out: &str| lab.konsil(&["lab", "run", "lab", "study.toml", "--out", out]);
    run("first").exits(0);
    let folder = lab.centre("birke");
    let (now, before) = (folder.join("data/geno.geno"), lab.path("before"));
    fs::rename(&now, &before).unwrap();
    import();
    run("second").exits(0);
    fs::remove_dir_all(&now).unwrap();
    fs::rename(&before, &now).unwrap();
    run("third").exits(9).says(&["K0314"]);
    let freeze = ["data", "freeze", "geno", "-C", folder.to_str().unwrap()];
    lab.konsil(&freeze).exits(0).says(&["frozen as"]);
    run("fourth").exits(0);
    let log = lab.konsil(&["audit", "log", "-C", folder.to_str().unwrap()]).exits(0);
    assert_eq!(log.out.matches("genotypes").count(), 3, "{log:?}");
    lab.konsil(&["audit", "verify", "-C", folder.to_str().unwrap()]).exits(0);
}
