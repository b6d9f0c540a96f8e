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
    let fit =
        ["cox", "Surv(months, died) ~ age + arm + stage", "--ties", "breslow", "--out", "fit"];
    konsil(folder, &[&fit[..], &network].concat()).exits(0);
    let validate = ["validate", "fit/cox.model.json", "--out", "judged", "--json"];
    let judged = konsil(folder, &[&validate[..], &network].concat()).exits(0).json();
    let row = &judged["analyses"][0]["tables"][0]["rows"][0];
    assert!((0.55..0.8).contains(&row[0].as_f64().unwrap()), "{judged}");
    assert!(folder.join("judged/concordance.tidy.csv").exists());
    assert!(folder.join("fit/cox.forest.svg").exists());
    assert!(folder.join("judged/validate.decision.svg").exists());
    let adjust = ["adjust", "fit/cox.tidy.csv", "fit/glm.tidy.csv", "--method", "holm", "--json"];
    let adjusted = konsil(folder, &adjust).exits(0).json();
    let tests = adjusted["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 9, "{adjusted}");
    assert!(tests.iter().all(|it| it["adjusted"].as_f64() >= it["p"].as_f64()));
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

// R: power.t.test(delta = 5, sd = 12, power = 0.9)$n is 122.0139; power.prop.test(n = 50, .5, .75)
#[test]
fn sample_sizes_are_those_of_r() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        konsil(folder.path(), &[&["power"][..], &arguments].concat())
    };
    let means = run("means --delta 5 --sd 12 --power 0.9 --json").exits(0).json();
    assert_eq!(means["n"], 123.0);
    let shares = run("shares --p1 0.5 --p2 0.75 --n 50 --json").exits(0).json();
    assert!((shares["power"].as_f64().unwrap() - 0.740_165_901_331).abs() < 1e-9);
    let survival = run("survival --ratio 0.7 --events 0.4 --json").exits(0).json();
    assert_eq!(survival["n"], 617.0);
    for wrong in [
        "means --delta 0 --sd 1",
        "shares --p1 0.5 --p2 1.5",
        "correlation --r 2",
        "groups --groups 1 --between 1 --within 3 --n 20",
        "means --delta 1 --sd 1 --n inf",
    ] {
        run(wrong).exits(2).says(&["no number of patients"]);
    }
    run("means --delta 1 --sd 1 --power 0.9 --n 7").exits(2);
    fs::write(folder.path().join("t.csv"), "term,p.value\na,0.01\nb,1.5\n").unwrap();
    konsil(folder.path(), &["adjust", "t.csv"]).exits(2).says(&["line 3"]);
    konsil(folder.path(), &["adjust", "t.csv", "--column", "q"]).exits(2).says(&["no column `q`"]);
}
