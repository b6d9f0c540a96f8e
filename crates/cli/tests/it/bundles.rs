//! A result's folder: its files are known by their hashes, and the question can be asked again.

use crate::lab::Lab;
use crate::studies::ALL;
use serde_json::Value;
use std::fs;

#[test]
fn a_result_is_verified_and_run_again() {
    let lab = Lab::with_patients(300, 11);
    lab.write("study.toml", ALL);
    let held = lab.held();
    held.run("study.toml", "first").exits(0);
    let text = fs::read_to_string(lab.path("first/ro-crate-metadata.json")).unwrap();
    let crate_: Value = serde_json::from_str(&text).unwrap();
    let graph = crate_["@graph"].as_array().unwrap();
    let files: Vec<&str> = graph
        .iter()
        .filter(|it| it["@type"] == "File")
        .map(|it| it["@id"].as_str().unwrap())
        .collect();
    assert!(files.contains(&"report.html") && files.contains(&"study.json"), "{files:?}");
    let action = graph.iter().find(|it| it["@type"] == "CreateAction").unwrap();
    assert_eq!(action["actionStatus"], "http://schema.org/CompletedActionStatus");
    let verified = lab.konsil(&["result", "verify", "first", "--json"]).exits(0).json();
    assert_eq!(verified["files"].as_array().unwrap().len(), files.len());

    let again = |folder: &str, out: &str| {
        let network = ["--network", "lab/network.toml", "--json", "--out", out];
        lab.konsil(&[&["result", "rerun", folder], &network[..]].concat())
    };
    let compared = again("first", "second").exits(0).json();
    assert!(compared["numbers"].as_u64().unwrap() > 50, "{compared}");
    assert!(compared["largest_relative_difference"].as_f64().unwrap() < 1e-4);
    again("first", "first").exits(2).says(&["another folder"]);

    // a changed number, a lost file, a name that leads out of the folder
    let table = lab.path("first").join(files.iter().find(|it| it.ends_with(".csv")).unwrap());
    let before = fs::read_to_string(&table).unwrap();
    fs::write(&table, before.replace('1', "2")).unwrap();
    again("first", "third").exits(9).says(&["K0803", "is not the file that was written"]);
    fs::remove_file(&table).unwrap();
    lab.konsil(&["result", "verify", "first"]).exits(9).says(&["K0803", "is missing"]);
    let out = text.replace("\"@id\": \"report.html\"", "\"@id\": \"../study.toml\"");
    fs::write(lab.path("first/ro-crate-metadata.json"), out).unwrap();
    lab.konsil(&["result", "verify", "first"]).exits(9).says(&["K0803", "outside"]);
    lab.konsil(&["result", "verify", "lab"]).exits(1).says(&["K0701", "ro-crate-metadata.json"]);
}

#[test]
fn a_report_is_printed_by_a_browser_that_is_there() {
    let lab = Lab::empty();
    fs::create_dir(lab.path("r")).unwrap();
    lab.write("r/report.html", "<h1>Report</h1>");
    let pdf = |browser: &str| lab.konsil(&["result", "pdf", "r", "--browser", browser]);
    pdf("no-such-browser").exits(2).says(&["browser"]);
    pdf("true").exits(1).says(&["did not print"]);
    lab.konsil(&["result", "pdf", "none"]).exits(1).says(&["K0701"]);
}

// A new key would open none of the data that the lost one sealed.
#[test]
fn a_lost_key_is_not_made_anew_over_sealed_data() {
    let lab = Lab::with_patients(60, 3);
    let centre = lab.centre("ahorn");
    fs::rename(centre.join("data.key"), lab.path("kept.key")).unwrap();
    let said = lab.import("patients.csv");
    assert!(said.code != Some(0) && said.err.contains("data.key"), "{said:#?}");
    assert!(!centre.join("data.key").exists());
    fs::rename(lab.path("kept.key"), centre.join("data.key")).unwrap();
    lab.import("patients.csv").exits(0);
}
