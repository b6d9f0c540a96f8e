//! Cohorts of one study after the other.

use crate::lab::{CENTRES, Lab, patients};
use crate::process::Ran;

/// A study about the patients who meet a condition.
fn ask(lab: &Lab, condition: &str, out: &str) -> Ran {
    let study = format!(
        "[study]\nid = \"{out}\"\n[cohort]\nwhere = \"{condition}\"\n[[analysis]]\nkind = \"lm\"\nformula = \"crp ~ age\"\n"
    );
    lab.write("study.toml", &study);
    lab.konsil(&["lab", "run", "lab", "study.toml", "--out", out, "--json"])
}

// R6, R13: two cohorts that differ by a few patients are a study about these few, in one study after
// the other and after an import that adds one patient; the same cohort again is not.
#[test]
fn cohorts_that_differ_by_a_few_are_refused() {
    let lab = Lab::with_patients(360, 51);
    ask(&lab, "age >= 40", "first").exits(0);
    ask(&lab, "age >= 40", "again").exits(0);
    let refused = ask(&lab, "age >= 41", "next").exits(6).says(&["K0503"]);
    assert_eq!(refused.json()["code"], "K0503");
    // a cohort that differs by enough, then a third one that differs from the second by a few
    ask(&lab, "age >= 60", "older").exits(0);
    ask(&lab, "age >= 60 and not (age = 75 and arm = 'new')", "almost").exits(6).says(&["K0503"]);
    // one patient more at one centre
    lab.write("patients.csv", &format!("{}ahorn,p9999,70,F,old,12,0,3.5\n", patients(360, 51)));
    lab.import("patients.csv").exits(0);
    ask(&lab, "age >= 40", "grown").exits(6).says(&["K0503"]);
    // with noise there is no exact difference
    lab.write(
        "noise.toml",
        "[study]\nid = \"noise\"\n[cohort]\nwhere = \"age >= 41\"\n[release]\nepsilon = 1.0\n[[analysis]]\nkind = \"table1\"\nvariables = [\"sex\"]\n",
    );
    lab.konsil(&["lab", "run", "lab", "noise.toml", "--out", "noise"]).exits(0);
}

// A patient is told which releases had their data; nobody else's identifier finds anything.
#[test]
fn a_patient_is_told_what_their_data_were_used_for() {
    let lab = Lab::with_patients(360, 52);
    ask(&lab, "age >= 40", "first").exits(0);
    let text = patients(360, 52);
    let of = |wanted: bool| {
        let mut rows = text.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
        let fits = |row: &Vec<&str>| {
            row[0] == CENTRES[0] && (row[2].parse::<u32>().unwrap() >= 40) == wanted
        };
        rows.find(fits).unwrap()[1].to_owned()
    };
    let folder = lab.centre(CENTRES[0]);
    let report = |id: &str| {
        lab.write("id.txt", &format!("{id}\n"));
        let dir = folder.to_string_lossy();
        let ran = lab.konsil(&["subject-report", "-C", &dir, "--id-file", "id.txt", "--json"]);
        ran.exits(0).json()["runs"].as_array().unwrap().clone()
    };
    let found = report(&of(true));
    assert_eq!((found.len(), found[0]["study"].as_str()), (1, Some("first")));
    assert!(found[0]["budget"].as_str().unwrap().ends_with("exposure"), "{found:?}");
    assert!(found[0]["began"].as_str().unwrap().ends_with('Z'), "{found:?}");
    assert!(report(&of(false)).is_empty());
    // runs with noise use data too
    lab.write(
        "noise.toml",
        "[study]\nid = \"noise\"\npurpose = \"dementia\"\n[release]\nepsilon = 1.0\n[[analysis]]\nkind = \"table1\"\nvariables = [\"sex\"]\n",
    );
    lab.konsil(&["lab", "run", "lab", "noise.toml", "--out", "noise"]).exits(0);
    let found = report(&of(false));
    assert_eq!((found.len(), found[0]["purpose"].as_str()), (1, Some("dementia")));
    assert!(found[0]["budget"].as_str().unwrap().ends_with("rho"), "{found:?}");
    assert!(report("nobody").is_empty());
}
