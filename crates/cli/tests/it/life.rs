//! The life of a lab: made, filled, asked, left running, stopped.

use crate::lab::{CENTRES, HEADER, Lab, patients};
use crate::process::Ran;
use crate::studies::{ALL, SHORT};
use serde_json::Value;
use std::fs;

/// The sent bytes of a run, which must be the planned ones.
fn exact_bytes(ran: &Ran) -> u64 {
    let json = ran.json();
    assert_eq!(json["schema"], "konsil.run.v1", "{json}");
    assert_eq!(json["planned_bytes"], json["sent_bytes"], "{json}");
    assert_eq!(json["clear_patient_bytes"], 0, "{json}");
    json["sent_bytes"].as_u64().unwrap()
}

const MODEL: &str = "term,estimate,std.error,statistic,p.value,conf.low,conf.high";
const RATIOS: &str = "exp.estimate,exp.conf.low,exp.conf.high";

// Result files have the names and columns that users' scripts read.
#[test]
fn every_analysis_writes_its_files_with_exact_columns() {
    let lab = Lab::with_patients(300, 1);
    lab.write("study.toml", ALL);
    let ran = lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r", "--json"]).exits(0);
    exact_bytes(&ran);
    let columns = [
        ("summary.tidy.csv", "variable,label,n,missing,mean,sd,q25,median,q75,suppressed".to_owned()),
        (
            "table1.ard.csv",
            "group1,group1_level,variable,variable_level,context,stat_name,stat_label,stat,stat_fmt,suppressed"
                .to_owned(),
        ),
        ("lm.tidy.csv", MODEL.to_owned()),
        ("glm.tidy.csv", format!("{MODEL},{RATIOS}")),
        (
            "km.km.csv",
            "strata,time,n.risk,n.event,n.censor,surv,std.err,lower,upper,n.risk.rounded".to_owned(),
        ),
    ];
    for (file, wanted) in columns {
        let text = fs::read_to_string(lab.path("r").join(file)).unwrap();
        assert_eq!(text.lines().next().unwrap(), wanted, "{file}");
        assert!(text.lines().count() > 1, "{file} has no rows");
    }
    for file in ["plan.json", "ledger.json", "study.json", "report.html", "glm.glance.csv"] {
        assert!(lab.path("r").join(file).exists(), "no {file}");
    }
    let ledger: Value =
        serde_json::from_str(&fs::read_to_string(lab.path("r/ledger.json")).unwrap()).unwrap();
    let plan: Value =
        serde_json::from_str(&fs::read_to_string(lab.path("r/plan.json")).unwrap()).unwrap();
    for (centre, planned) in ledger["centres"]
        .as_array()
        .unwrap()
        .iter()
        .zip(plan["sent_bytes_by_centre"].as_array().unwrap())
    {
        assert_eq!(centre["sent_bytes"], *planned, "{centre}");
    }
    // what was opened is what the plan had said, number by number
    for (planned, opened) in
        plan["analyses"].as_array().unwrap().iter().zip(ledger["analyses"].as_array().unwrap())
    {
        assert_eq!(planned["ledger"], opened["revealed"], "{}", planned["id"]);
    }
}

// Traffic tells nothing about patients: other values, the same bytes, at every centre.
#[test]
fn data_of_the_same_shape_send_the_same_bytes() {
    let run = |seed| {
        let lab = Lab::with_patients(240, seed);
        lab.write("study.toml", ALL);
        let plan = lab.konsil(&["lab", "plan", "lab", "study.toml", "--json"]).exits(0).json();
        let ran = lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r", "--json"]).exits(0);
        let ledger: Value =
            serde_json::from_str(&fs::read_to_string(lab.path("r/ledger.json")).unwrap()).unwrap();
        assert_eq!(plan["sent_bytes"], ran.json()["sent_bytes"]);
        (exact_bytes(&ran), plan, ledger["centres"].clone())
    };
    assert_eq!(run(1), run(2));
}

// The everyday path: up, status, one-line questions over network.toml, down.
#[test]
fn a_lab_that_is_up_answers_one_line_questions() {
    let lab = Lab::with_patients(240, 3);
    lab.konsil(&["lab", "up", "lab"]).exits(0).says(&["3 centres", "Next:"]);
    let status = lab.konsil(&["lab", "status", "lab", "--json"]).exits(0).json();
    for (at, centre) in status["centres"].as_array().unwrap().iter().enumerate() {
        assert_eq!(centre["name"], CENTRES[at]);
        assert_eq!(centre["patients"], 80);
        assert!(centre["process"].is_u64(), "{centre}");
    }
    // the same lab by another path is the same lab
    let other = lab.path("lab").join("..").join("lab");
    let again = lab.konsil(&["lab", "up", &other.to_string_lossy()]);
    again.exits(2).says(&["running", "lab down"]);
    for question in [
        &["summary", "age", "crp"][..],
        &["table1", "arm ~ age + sex"],
        &["lm", "crp ~ age + sex"],
        &["glm", "died ~ age + sex"],
        &["km", "Surv(months, died) ~ arm", "--cohort", "age >= 40"],
    ] {
        let network = ["--network", "lab/network.toml", "--out", "r", "--json"];
        exact_bytes(&lab.konsil(&[question, &network].concat()).exits(0));
        let plan = lab.konsil(&[question, &network, &["-n"]].concat()).exits(0).json();
        assert_eq!(plan["schema"], "konsil.plan.v1");
        assert_eq!(plan["clear_patient_bytes"], 0);
    }
    // a study file by the lab's own command uses the processes that are there
    lab.write("study.toml", SHORT);
    exact_bytes(&lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r", "--json"]).exits(0));
    lab.konsil(&["plan", "study.toml", "--network", "lab/network.toml"]).exits(0);
    let runs =
        lab.konsil(&["node", "runs", "--dir", "lab/centres/ahorn", "--json"]).exits(0).json();
    let runs = runs["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|run| run["state"] == "released" && run["burnt"].as_u64() > Some(0)));
    lab.konsil(&["lab", "down", "lab"]).exits(0).says(&["4 processes ended"]);
    lab.konsil(&["lab", "down", "lab"]).exits(0).says(&["not running"]);
    let status = lab.konsil(&["lab", "status", "lab", "--json"]).exits(0).json();
    assert!(status["centres"].as_array().unwrap().iter().all(|it| it["process"].is_null()));
    // up again at once: the folders are free
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    lab.konsil(&["lab", "down", "lab"]).exits(0);
}

// Centres that import their own files, as they would in real life.
#[test]
fn centres_import_one_by_one() {
    let lab = Lab::empty();
    lab.write("study.toml", SHORT);
    let before = lab.konsil(&["lab", "run", "lab", "study.toml"]);
    before.exits(10).says(&["K0313", "ahorn", "no data set", "lab import"]);
    let all = patients(120, 4);
    for centre in CENTRES {
        let own = all.lines().filter(|line| line.starts_with(centre));
        let text: Vec<&str> = [HEADER].into_iter().chain(own).collect();
        lab.write("own.csv", &text.join("\n"));
        let dictionary = ["--dict", "dictionary.csv", "--centre", centre, "own.csv"];
        let ran = lab.konsil(&[&["lab", "import", "lab"], &dictionary[..]].concat()).exits(0);
        ran.says(&[centre, "40 patients"]);
    }
    exact_bytes(&lab.konsil(&["lab", "run", "lab", "study.toml", "--json"]).exits(0));
    let list =
        lab.konsil(&["data", "list", "--dir", "lab/centres/eiche", "--json"]).exits(0).json();
    assert_eq!(list["datasets"][0]["patients"], 40);
}

// A later run that is withheld must not leave the earlier one's tables as if they were its own.
#[test]
fn a_withheld_run_leaves_no_tables_of_an_earlier_one() {
    let lab = Lab::with_patients(120, 5);
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    let network = ["--network", "lab/network.toml", "--out", "r"];
    lab.konsil(&[&["summary", "age"], &network[..]].concat()).exits(0);
    assert!(lab.path("r/summary.tidy.csv").exists());
    let few = lab.konsil(&[&["summary", "age", "--cohort", "age > 100"], &network[..]].concat());
    few.exits(6).says(&["K0501", "nothing released"]);
    assert!(!lab.path("r/summary.tidy.csv").exists());
    lab.konsil(&["lab", "down", "lab"]).exits(0);
}
