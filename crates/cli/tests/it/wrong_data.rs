//! Files of patients that do not fit, and files that look odd but are in order.

use crate::lab::{DICTIONARY, Lab, files, patients};
use crate::process::Ran;
use crate::studies::SHORT;
use std::fs;

fn stored(lab: &Lab) -> usize {
    let files = files(lab.folder.path());
    files.iter().filter(|path| path.extension().is_some_and(|it| it == "konsil")).count()
}

/// Imports patients of whom one cell was changed; nothing may be stored.
fn refused(from: &str, to: &str) -> Ran {
    let lab = Lab::empty();
    let text = patients(60, 41);
    assert!(text.contains(from), "{from}");
    lab.write("patients.csv", &text.replacen(from, to, 1));
    let ran = lab.import("patients.csv");
    assert_eq!(stored(&lab), 0, "something was stored: {ran:#?}");
    ran
}

// A cell that contradicts the dictionary is reported with code, row and text; nothing is stored at
// any centre, also not at those whose part is in order.
#[test]
fn cells_that_do_not_fit_are_reported_and_nothing_is_stored() {
    refused(",F,", ",X,").exits(10).says(&["K0114", "sex", "\"X\"", "--map"]);
    refused(",F,", ",<script>,").exits(10).says(&["K0114"]);
    refused("p0,", "p3,").exits(10).says(&["K0106", "pid"]);
    for (age, code) in
        [("17", "K0101"), ("1e400", "K0103"), ("NaN", "K0103"), ("44.5", "K0104"), ("old", "K0102")]
    {
        let text = patients(60, 41);
        let old = text.lines().nth(1).unwrap();
        let mut cells: Vec<&str> = old.split(',').collect();
        cells[2] = age;
        refused(old, &cells.join(",")).exits(10).says(&[code, "age"]);
    }
    refused("centre,pid,age", "centre,pid,agee").exits(10).says(&["age", "agee"]);
    refused("centre,", "center,").exits(10).says(&["centre", "center"]);
}

// What a text editor, a spreadsheet or another country does to a file is understood or named.
#[test]
fn odd_but_honest_files_are_understood() {
    let text = patients(60, 42);
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let quoted: String =
        text.lines().map(|line| format!("\"{}\"\n", line.replace(',', "\",\""))).collect();
    let german = text.replace(',', ";").replace('.', ",");
    for (what, text) in [("windows", windows), ("quoted", quoted), ("german", german)] {
        let lab = Lab::empty();
        lab.write("patients.csv", &text);
        lab.import("patients.csv").exits(0);
        assert_eq!(stored(&lab), 3, "{what}");
        lab.write("study.toml", SHORT);
        let ran = lab.konsil(&["lab", "run", "lab", "study.toml", "--json"]).exits(0).json();
        let count = &ran["analyses"][0]["tables"][0]["rows"][0][2];
        assert_eq!(count.as_f64(), Some(60.0), "{what}: {ran}");
    }
}

// Bytes that are no text, and files that are no table, are named with their line.
#[test]
fn broken_files_are_named_and_do_not_panic() {
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("header only", crate::lab::HEADER.as_bytes().to_vec()),
        ("zeros", vec![0; 4096]),
        ("a zero in a cell", patients(6, 1).replacen("p3", "p\0", 1).into_bytes()),
        ("an open quote", patients(6, 1).replacen("p3", "\"p3", 1).into_bytes()),
        ("a short line", patients(6, 1).replacen("ahorn,p3,", "", 1).into_bytes()),
        ("an executable", b"\x7fELF\x02\x01\x01".repeat(100)),
    ] {
        let lab = Lab::empty();
        fs::write(lab.path("patients.csv"), &bytes).unwrap();
        let ran = lab.import("patients.csv");
        assert!(matches!(ran.code, Some(2 | 10)), "{what}: {ran:#?}");
        ran.says(&["✗", "konsil explain"]);
        assert_eq!(stored(&lab), 0, "{what}");
    }
    let lab = Lab::empty();
    lab.write("patients.xlsx", "PK");
    lab.import("patients.xlsx").exits(10).says(&[".csv"]);
    lab.import("none.csv").exits(1).says(&["K0701", "none.csv"]);
}

// Mistakes in how an import is called.
#[test]
fn wrong_imports_say_what_to_write() {
    let lab = Lab::empty();
    lab.write("patients.csv", &patients(60, 43));
    let import = |arguments: &[&str]| {
        lab.konsil(&[&["lab", "import", "lab", "--dict", "dictionary.csv"], arguments].concat())
    };
    import(&["--centre", "ahorm", "patients.csv"]).exits(2).says(&["did you mean `ahorn`?"]);
    import(&["--centre", "../ahorn", "patients.csv"]).exits(2).says(&["no centre"]);
    import(&["patients.csv"]).exits(2).says(&["--centre", "--split-by"]);
    import(&["--split-by", "sex", "patients.csv"]).exits(2).says(&["2 values", "3 centres"]);
    import(&["--split-by", "nothing", "patients.csv"]).exits(10).says(&["nothing", "columns are"]);
    import(&["--split-by", "centre", "--map", "sexx.d=missing", "patients.csv"])
        .exits(2)
        .says(&["K0801", "did you mean `sex`?"]);
    lab.konsil(&["lab", "import", "none", "--dict", "dictionary.csv", "--centre", "a", "x.csv"])
        .exits(2)
        .says(&["no lab", "lab new"]);
    let data =
        ["data", "import", "patients.csv", "--dict", "dictionary.csv", "--dir", "own", "--as"];
    lab.konsil(&[&data[..], &["../patients"]].concat()).exits(2).says(&["../patients", "a-z"]);
    assert_eq!(stored(&lab), 0);
    lab.konsil(&[&data[..], &["patients"]].concat()).exits(0).says(&["60 patients", "sha256"]);
    lab.konsil(&["data", "check", "patients.csv", "--dict", "dictionary.csv"]).exits(0);
    // levels are declared, never guessed: --map is how a steward says what a text means
    lab.write("odd.csv", &patients(60, 43).replacen(",F,", ",X,", 1));
    let map = ["--split-by", "centre", "--map", "sex.X=missing", "odd.csv"];
    import(&map).exits(0);
}

// A dictionary is checked before it is used; a mistake has line and column.
#[test]
fn mistakes_in_dictionaries_are_named() {
    let lab = Lab::empty();
    for (from, to, says) in [
        ("age,Age,integer", "age,Age,integr", &["line 3", "`type`"][..]),
        ("age,Age,", "sex,Age,", &["twice"]),
        ("F=female|M=male", "", &["line 4"]),
        ("18,110", "110,18", &["line 3"]),
        ("name,label", "nam,label", &["name"]),
    ] {
        assert!(DICTIONARY.contains(from), "{from}");
        lab.write("bad.csv", &DICTIONARY.replacen(from, to, 1));
        lab.konsil(&["dict", "check", "bad.csv"]).exits(10).says(&["K0115"]).says(says);
    }
    lab.konsil(&["dict", "check", "dictionary.csv"]).exits(0).says(&["7 variables"]);
    lab.write("patients.csv", &patients(60, 44));
    lab.konsil(&["dict", "init", "mine", "--from", "patients.csv"]).exits(0);
    lab.konsil(&["dict", "init", "mine", "--from", "patients.csv"]).exits(2).says(&["exists"]);
    lab.konsil(&["dict", "check", "mine.csv"]).exits(0);
}

// Centres that imported under different dictionaries do not compute with each other.
#[test]
fn different_dictionaries_are_refused_by_name() {
    let lab = Lab::with_patients(120, 45);
    lab.write("dictionary.csv", &DICTIONARY.replace("18,110", "18,111"));
    let own = patients(120, 45).replace("eiche,", "x,").replace("birke,", "x,");
    lab.write("own.csv", &own);
    lab.konsil(&[
        "lab",
        "import",
        "lab",
        "--dict",
        "dictionary.csv",
        "--centre",
        "eiche",
        "own.csv",
    ])
    .exits(0);
    lab.write("study.toml", SHORT);
    let ran = lab.konsil(&["lab", "run", "lab", "study.toml"]).exits(5);
    ran.says(&["different dictionaries", "ahorn", "eiche", "import again"]);
}

// Levels that a spreadsheet would run as a formula stay texts in every table.
#[test]
fn formulas_in_levels_stay_texts_in_results() {
    let lab = Lab::empty();
    lab.write("dictionary.csv", &DICTIONARY.replace("old|new", "+cmd(1)|@<script>alert(1)"));
    let text =
        patients(240, 46).replace(",old,", ",+cmd(1),").replace(",new,", ",@<script>alert(1),");
    lab.write("patients.csv", &text);
    lab.import("patients.csv").exits(0);
    lab.write(
        "study.toml",
        "[study]\nid = \"x\"\n[[analysis]]\nid = \"t\"\nkind = \"table1\"\nby = \"arm\"\nvariables = [\"age\"]\n",
    );
    lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r"]).exits(0);
    let table = fs::read_to_string(lab.path("r/t.ard.csv")).unwrap();
    assert!(table.contains("'+cmd(1)") && table.contains("'@<script>"), "{table}");
    for cell in table.lines().flat_map(|line| line.split(',')) {
        assert!(!cell.starts_with(['=', '@', '+']), "{cell}");
    }
    let report = fs::read_to_string(lab.path("r/report.html")).unwrap();
    assert!(!report.contains("<script>alert"), "script in the report");
}
