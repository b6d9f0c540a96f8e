//! Studies use the data set that was frozen, byte for byte, and no other.

use crate::lab::{CENTRES, Lab};
use std::fs;

const STUDY: &str =
    "[study]\nid = \"age\"\n[[analysis]]\nkind = \"summary\"\nvariables = [\"age\"]\n";

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
