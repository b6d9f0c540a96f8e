//! A look at the people of genotypes, and leaving some out.

use crate::lab::Lab;
use std::fs;

const PEOPLE: usize = 60;
const VARIANTS: usize = 300;

/// A lab with patients, and genotypes of 60 people: the second is the first once more, the third lacks
/// a fifth of the variants, the fourth is a woman by X and a man by the file.
fn lab() -> Lab {
    let lab = crate::geno::lab();
    let mut seed = 5_u64;
    let mut below = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    let (mut bim, mut bed) = (String::new(), vec![0x6c_u8, 0x1b, 1]);
    for at in 0..VARIANTS {
        let x = at >= 200;
        let chromosome = if x { "X" } else { "1" };
        bim += &format!("{chromosome}\tv{at}\t0\t{}\tC\tT\n", 3_000_000 + at);
        let often = 20 + below(60);
        let mut codes = Vec::new();
        for person in 0..PEOPLE {
            let (one, other) = (below(100) < often, below(100) < often);
            let is_man = person.is_multiple_of(2);
            let copies = u8::from(one) + u8::from(if x && is_man { one } else { other });
            codes.push([3_u8, 2, 0][usize::from(copies)]);
        }
        codes[1] = codes[0];
        if at % 5 == 0 {
            codes[2] = 1;
        }
        for four in codes.chunks(4) {
            bed.push(four.iter().enumerate().fold(0, |byte, (at, code)| byte | code << (2 * at)));
        }
    }
    let sex = |at: usize| if at == 3 || at == 1 { 1 } else { 1 + at % 2 };
    let fam: String = (0..PEOPLE).map(|at| format!("F{at} G{at} 0 0 {} -9\n", sex(at))).collect();
    lab.write("all.fam", &fam);
    lab.write("all.bim", &bim);
    fs::write(lab.path("all.bed"), bed).unwrap();
    lab.konsil(&["geno", "panel", "all.bim", "--build", "GRCh38"]).exits(0);
    lab
}

// The steward sees whom to look at, gets a line for each person and a list for the import, and those of
// the list are not imported; what JSON says names nobody.
#[test]
fn odd_people_are_told_and_left_out() {
    let lab = lab();
    let folder = lab.centre("ahorn");
    let folder = folder.to_str().unwrap();
    let files = ["all.bed", "--panel", "panel.tsv", "--id-map", "links.csv", "-C", folder];
    let check = |more: &[&str]| lab.konsil(&[&["geno", "check"][..], &files, more].concat());
    let ran = check(&["--out", "people.tsv", "--suggest", "out.txt"]).exits(0);
    let ran = ran.says(&["Nothing was stored", "✓ out.txt  3 people"]);
    for words in [
        "60 people, 200 variants of chromosomes 1 to 22, 100 of X",
        "sex by X   31 men",
        "1 pairs with a kinship of 0.177 or more, by 200 variants",
        "4 people to look at, 3 of them to leave out",
        "more than 5 % missing: a poor sample; leave out",
        "X says another sex",
        "the same person as G0, or a twin; leave out",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let table = fs::read_to_string(lab.path("people.tsv")).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|it| it.split('\t').collect()).collect();
    assert!(lines.len() == 61 && lines.iter().all(|it| it.len() == 17), "{table}");
    assert_eq!((lines[2][0], lines[2][13], lines[2][15]), ("G1", "G0", "1"));
    assert_eq!((lines[3][0], lines[3][2], lines[3][3], lines[3][15]), ("G2", "60", "300", "1"));
    assert_eq!((lines[4][0], lines[4][1], lines[4][11], lines[4][15]), ("G3", "1", "2", "1"));
    let list = fs::read_to_string(lab.path("out.txt")).unwrap();
    assert!(list.contains("G1\tthe same person as G0") && list.lines().count() == 4, "{list}");
    check(&["--out", "people.tsv"]).exits(2).says(&["people.tsv exists"]);
    check(&["--no-people", "--out", "x.tsv"]).exits(2);
    let json = check(&["--json"]).exits(0);
    assert!(!json.out.contains("G1"), "{}", json.out);
    let json = json.json();
    let look = |what: &str| json["look"][what].as_u64().unwrap();
    assert_eq!(
        ["people", "pairs", "missing", "other_sex", "same", "leave_out"].map(look),
        [60, 1, 1, 1, 2, 3]
    );
    assert!(check(&["--no-people", "--json"]).exits(0).json()["look"].is_null());
    assert!(!fs::read_dir(folder).unwrap().any(|it| it.unwrap().file_name() == "geno.geno"));

    lab.write("no.txt", "v0\n1:3000001:C:T\n1:99\n");
    let leave = ["--exclude", "out.txt", "--exclude-variants", "no.txt"];
    let import = [&["geno", "import"][..], &files, &leave].concat();
    lab.konsil(&import).exits(0).says(&[
        "57 of 60 people linked",
        "3 of the list left out",
        "2 of the list to leave out",
        "1 variants to leave out are not on the panel",
        "sexes: 29 men, 28 women, 0 unknown",
    ]);
    let people = |more: &[&str]| lab.konsil(&[&["geno", "people", "-C", folder], more].concat());
    let ran = people(&["--id-map", "links.csv", "--out", "after.tsv"]).exits(0);
    assert!(ran.out.contains("57 people, 198 variants"), "{}", ran.out);
    assert!(ran.out.contains("0 pairs"), "{}", ran.out);
    let table = fs::read_to_string(lab.path("after.tsv")).unwrap();
    assert!(!table.contains("G1\t") && table.contains("G4\t"), "{table}");
    people(&["--name", "none"]).exits(1);
    let own = lab.centre("ahorn").join("data/geno.panel.tsv");
    let text = fs::read_to_string(&own).unwrap();
    fs::write(&own, text.replace("\tv7\t", "\tv07\t")).unwrap();
    people(&[]).exits(2).says(&["is not the panel"]);
    let doctor = lab.konsil(&["node", "doctor", "-C", folder]);
    for words in
        ["298 of 300 variants", "of the 57 people of `geno`", "! the genotypes are of panel"]
    {
        assert!(doctor.out.contains(words), "{words}: {}", doctor.out);
    }
    fs::write(&own, text).unwrap();
    let doctor = lab.konsil(&["node", "doctor", "-C", folder]);
    assert!(doctor.out.contains("is beside the genotypes"), "{}", doctor.out);
}

// Lists that would keep somebody in, and a variable that says no sex, end the import before anything is
// stored.
#[test]
fn wrong_lists_and_sexes_are_refused() {
    let lab = lab();
    let folder = lab.centre("ahorn");
    let folder = folder.to_str().unwrap();
    let files = ["all.bed", "--panel", "panel.tsv", "--id-map", "links.csv", "-C", folder];
    let import = |more: &[&str]| lab.konsil(&[&["geno", "import"][..], &files, more].concat());
    let everybody: String = (0..PEOPLE).map(|at| format!("G{at}\n")).collect();
    for (text, code, words) in [
        ("G1\nG99\n", "K0129", "out.txt, line 2: nobody"),
        ("# none\n", "K0129", "no id"),
        (everybody.as_str(), "K0124", "left out"),
    ] {
        lab.write("out.txt", text);
        import(&["--exclude", "out.txt"]).exits(10).says(&[code, words]);
    }
    lab.write("out.txt", "rs1\n");
    import(&["--exclude-variants", "out.txt"]).exits(10).says(&["K0129", "on the panel"]);
    import(&["--exclude", "none.txt"]).exits(1).says(&["K0701"]);
    import(&["--sex", "sexx"]).exits(10).says(&["sex"]);
    import(&["--sex", "crp"]).says(&["crp"]);
    import(&["--sex", "arm"]).exits(2).says(&["--sex arm", "F=female|M=male"]);
    assert!(!lab.centre("ahorn").join("data/geno.geno").exists());
    // sexes of the data set are added; who has another one in the file is of unknown sex
    let ran = import(&["--sex", "sex"]).exits(0);
    ran.says(&["have another sex in the data set", "look whether samples were mixed up"]);
}
