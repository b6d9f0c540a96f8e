//! A fitted model is a file: other patients' risks follow from it, and it can be judged.

use crate::process::konsil;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn lab(folder: &Path) {
    konsil(folder, &["lab", "new", "lab", "--example"]).exits(0);
    konsil(folder, &["lab", "up", "lab"]).exits(0);
}

fn down(folder: &Path) {
    konsil(folder, &["lab", "down", "lab"]).exits(0);
}

fn column(text: &str, name: &str) -> Vec<f64> {
    let mut lines = text.lines();
    let at = lines.next().unwrap().split(',').position(|it| it == name).unwrap();
    lines.map(|line| line.split(',').nth(at).unwrap().parse().unwrap_or(f64::NAN)).collect()
}

// The mean of the predicted risks is the part of cases, as in every logistic model with an intercept:
// that holds only when each patient's own values meet their own coefficients.
#[test]
fn a_model_file_predicts_and_is_validated() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    lab(folder);
    let network = ["--network", "lab/network.toml"];
    let formula = "died ~ age + arm + stage + log(crp + 1)";
    let fit = ["glm", formula, "--family", "binomial", "--out", "fit"];
    konsil(folder, &[&fit[..], &network].concat()).exits(0);
    let model = "fit/glm.model.json";
    let predict = ["predict", model, "lab/example.csv", "--dict", "lab/dictionary.csv"];
    let said = konsil(folder, &[&predict[..], &["--json"]].concat()).exits(0).json();
    let text = fs::read_to_string(folder.join("predictions.csv")).unwrap();
    let (risks, died) = (column(&text, "risk"), column(&text, "died"));
    let known: Vec<(f64, f64)> =
        risks.into_iter().zip(died).filter(|(risk, _)| risk.is_finite()).collect();
    assert_eq!(said["predicted"], known.len());
    assert!(said["without"].as_u64() > Some(10), "some lack a value of crp: {said}");
    let sum = |pick: fn(&(f64, f64)) -> f64| known.iter().map(pick).sum::<f64>();
    let (predicted, observed) = (sum(|it| it.0), sum(|it| it.1));
    assert!((predicted / observed - 1.0).abs() < 1e-9, "{predicted} {observed}");
    let validate = ["validate", model, "--out", "judged", "--json"];
    let judged = konsil(folder, &[&validate[..], &network].concat()).exits(0).json();
    let rows = judged["analyses"][0]["tables"][0]["rows"].as_array().unwrap();
    let estimate = |measure: &str| {
        let row = rows.iter().find(|it| it[0] == measure).unwrap();
        row[1].as_f64().unwrap()
    };
    assert!((estimate("calibration slope") - 1.0).abs() < 1e-6);
    assert!((estimate("observed/expected") - 1.0).abs() < 1e-9);
    assert!((0.6..0.9).contains(&estimate("auc")));
    let brier = known.iter().map(|(risk, died)| (risk - died).powi(2)).sum::<f64>();
    assert!((estimate("brier") - brier / known.len() as f64).abs() < 1e-9);
    down(folder);
}

#[test]
fn what_is_no_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let model = r#"{"schema": "konsil.model.v1", "kind": "lm", "formula": "y ~ x", "study": "s",
        "study_hash": "", "terms": [{"term": "(Intercept)", "estimate": 1, "std_error": 1},
        {"term": "x", "estimate": 2, "std_error": 1}]}"#;
    let good: Value = serde_json::from_str(model).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("model.json", model);
    write("d.csv", "name,type,min,max\nx,integer,0,9\ny,integer,0,99\n");
    write("p.csv", "x,note\n3,a\n,b\n5,\"c,d\"\n");
    let run = |model: &str, file: &str| {
        konsil(folder, &["predict", model, file, "--dict", "d.csv", "--quiet"])
    };
    run("model.json", "p.csv").exits(0);
    let text = fs::read_to_string(folder.join("predictions.csv")).unwrap();
    assert_eq!(text, "x,note,linear.predictor,mean\n3,a,7,7\n,b,,\n5,\"c,d\",11,11\n");
    let mut other = good.clone();
    other["schema"] = "konsil.model.v9".into();
    write("other.json", &other.to_string());
    run("other.json", "p.csv").exits(2).says(&["konsil.model.v9"]);
    let mut fewer = good;
    fewer["terms"].as_array_mut().unwrap().pop();
    write("fewer.json", &fewer.to_string());
    run("fewer.json", "p.csv").exits(2).says(&["column `x`"]);
    write("no.json", "{");
    run("no.json", "p.csv").exits(2).says(&["no model file"]);
    run("model.json", "nobody.csv").exits(2).says(&["nobody.csv"]);
    write("wild.csv", "x\n77\n");
    let ran = run("model.json", "wild.csv").exits(10);
    assert!(!ran.err.contains("panicked"), "{ran:?}");
}
