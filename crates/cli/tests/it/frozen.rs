//! Studies use the data set that was frozen, byte for byte, and no other.

use crate::lab::{CENTRES, Lab};
use std::fs;

const STUDY: &str =
    "[study]\nid = \"age\"\n[[analysis]]\nkind = \"summary\"\nvariables = [\"age\"]\n";

// A file that was put there without an import was frozen by nobody: no study runs on it, unless the
// centre's own configuration says so.
#[test]
fn a_data_set_that_was_never_frozen_is_refused() {
    let lab = Lab::with_patients(360, 92);
    lab.write("age.toml", STUDY);
    let run = |out: &str| lab.konsil(&["lab", "run", "lab", "age.toml", "--out", out]);
    let folder = lab.centre(CENTRES[1]);
    let dir = folder.to_string_lossy().into_owned();
    // a centre whose database knows nothing of the file
    for file in ["node.sqlite", "node.sqlite-wal", "node.sqlite-shm"] {
        let _gone = fs::remove_file(folder.join(file));
    }
    run("unfrozen").exits(10).says(&["K0315", CENTRES[1], "konsil data freeze patients"]);
    let doctor = lab.konsil(&["node", "doctor", "-C", &dir]).exits(1);
    assert!(doctor.out.contains("✗ snapshot-missing"), "{}", doctor.out);
    let config = folder.join("konsil.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("unfrozen_data = true\n{text}")).unwrap();
    run("allowed").exits(0);
    fs::write(&config, text).unwrap();
    run("again").exits(10).says(&["K0315"]);
    lab.konsil(&["data", "freeze", "patients", "-C", &dir]).exits(0);
    run("frozen").exits(0);
}

// Case 27: bit rot and an older file put back refuse every study at once; what was replaced on
// purpose is frozen anew.
#[test]
fn a_data_set_that_is_not_the_frozen_one_is_refused() {
    let lab = Lab::with_patients(360, 91);
    lab.write("age.toml", STUDY);
    let run = |out: &str| lab.konsil(&["lab", "run", "lab", "age.toml", "--out", out]);
    let folder = lab.centre(CENTRES[1]);
    let dir = folder.to_string_lossy().into_owned();
    let file = folder.join("data/patients.konsil");
    let good = fs::read(&file).unwrap();
    run("good").exits(0);
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&file, &bad).unwrap();
    run("rot").exits(9).says(&["K0314"]);
    // a file that is no data set of this centre cannot be frozen
    lab.konsil(&["data", "freeze", "patients", "-C", &dir]).exits(9).says(&["K0312"]);
    lab.konsil(&["data", "freeze", "nothing", "-C", &dir]).exits(10).says(&["K0313"]);
    fs::write(&file, &good).unwrap();
    run("again").exits(0);
    lab.konsil(&["data", "freeze", "patients", "-C", &dir, "--json"]).exits(0);
    lab.import("patients.csv").exits(0);
    run("anew").exits(0);
    fs::write(&file, &good).unwrap();
    run("old").exits(9).says(&["K0314"]);
    lab.konsil(&["data", "freeze", "patients", "-C", &dir]).exits(0).says(&["frozen as"]);
    run("refrozen").exits(0);
}
