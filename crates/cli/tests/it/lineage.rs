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

/// A study of several analyses, `kind|formula` each.
fn ask_all(lab: &Lab, analyses: &[&str], out: &str) -> Ran {
    let mut study = format!("[study]\nid = \"{out}\"\nmin_centres = 3\n");
    for (at, analysis) in analyses.iter().enumerate() {
        let (kind, formula) = analysis.split_once('|').unwrap();
        study.push_str(&format!(
            "[[analysis]]\nid = \"a{at}\"\nkind = \"{kind}\"\nformula = \"{formula}\"\n"
        ));
    }
    lab.write("study.toml", &study);
    lab.konsil(&["lab", "run", "lab", "study.toml", "--out", out, "--json"])
}

// R6: groups and columns of one analysis and of another, in one study or in two, that differ by a
// few patients are a result about these few. The same column in several models is none, nor are
// groups that differ by many.
#[test]
fn groups_and_columns_that_differ_by_a_few_are_refused() {
    let lab = Lab::with_patients(360, 51);
    let refused = |ran: Ran| assert_eq!(ran.exits(6).json()["code"], "K0503");
    let ran =
        ask_all(&lab, &["lm|crp ~ I(age > 50)", "lm|crp ~ sex + I(age > 50)"], "same").exits(0);
    assert_eq!(ran.json()["planned_bytes"], ran.json()["sent_bytes"]);
    refused(ask_all(&lab, &["lm|crp ~ sex + I(age > 51)"], "later"));
    refused(ask_all(&lab, &["glm|died ~ I(age > 51)"], "other-kind"));
    ask_all(&lab, &["lm|crp ~ sex + I(age > 65)"], "far").exits(0);
    let fresh = Lab::with_patients(360, 51);
    refused(ask_all(&fresh, &["lm|crp ~ I(age > 50)", "lm|crp ~ I(age > 51)"], "at-once"));
    // groups of tables and curves are sets too, also against the columns of models
    ask_all(&fresh, &["table1|sex ~ age", "km|Surv(months, died) ~ sex"], "groups").exits(0);
    let few = "I((sex == 'F') & (age > 26))";
    refused(ask_all(&fresh, &[&format!("lm|crp ~ {few}")], "nearly-the-women"));
}

// R3: all centres, then all but one: the difference would be that centre's own result. Several
// centres that join or leave together, and the same centres with more patients, are none.
#[test]
fn all_centres_but_one_are_refused() {
    let patients = patients(480, 9);
    let lines = patients.lines().enumerate().map(|(at, line)| match at % 4 {
        3 => line.replacen(CENTRES[(at + 2) % 3], "linde", 1),
        _ => line.to_owned(),
    });
    let lab = Lab::of(&[CENTRES[0], CENTRES[1], CENTRES[2], "linde"]);
    lab.write("patients.csv", &lines.collect::<Vec<_>>().join("\n"));
    lab.import("patients.csv").exits(0);
    ask_all(&lab, &["lm|crp ~ age"], "all").exits(0);
    std::fs::write(lab.centre("linde").join("policy.toml"), "analyses = [\"km\"]\n").unwrap();
    let ran = ask_all(&lab, &["lm|crp ~ age"], "without");
    ran.says(&["goes on without linde", "K0503"]).exits(6);
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
