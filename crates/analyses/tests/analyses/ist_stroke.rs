//! International Stroke Trial: 19,435 patients, six regional groups of countries, against R.

use crate::reference::{Csv, EXACT, Ledger, json, real, say, shared_set};
use crate::support::{Network, ard, model, number, row_of};
use konsil_analyses::Request;
use serde_json::Value;
use std::path::PathBuf;

/// The derived columns of the reference script.
fn open() -> Option<(Network, Value, PathBuf)> {
    let folder = shared_set("ist_stroke")?;
    let mut csv = Csv::read(&folder.join("data.csv"));
    let flag = |yes: bool| u8::from(yes).to_string();
    csv.derive("asp", "RXASP", |it| flag(it == "Y"));
    csv.derive("hep", "RXHEP", |it| flag(it != "N"));
    csv.derive("depdead", "OCCODE", |it| match it {
        "1" | "2" => "1".to_owned(),
        "3" | "4" => "0".to_owned(),
        _ => String::new(),
    });
    csv.derive("dead14", "ID14", |it| flag(it == "1"));
    csv.derive("event", "DIED", |it| if it.is_empty() { String::new() } else { flag(it == "1") });
    csv.derive("time", "TD", |it| match it.parse::<f64>() {
        Ok(days) => days.max(0.5).to_string(),
        Err(_) => String::new(),
    });
    csv.keep(&[
        "centre6", "AGE", "SEX", "RDELAY", "RCONSC", "RATRIAL", "RSBP", "STYPE", "RXASP", "RXHEP",
        "OCCODE", "TD", "asp", "hep", "depdead", "dead14", "event", "time",
    ]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data.csv");
    csv.write(&path);
    let reference = json(&folder.join("reference.json"));
    Some((Network::split(&path, "centre6", None), reference, folder))
}

fn glm_is(network: &Network, formula: &str, wanted: &Value, title: &str) {
    let run = network.on_shares(&model("glm", formula));
    let mut ledger = Ledger::default();
    ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
    for (column, key) in [
        ("deviance", "deviance"),
        ("null.deviance", "null_deviance"),
        ("AIC", "aic"),
        ("nobs", "n"),
        ("nevent", "events"),
    ] {
        let pair = (number(run.table("glance"), 0, column), real(&wanted[key]));
        ledger.near("model", key, pair, EXACT);
    }
    ledger.close(title);
    say(&format!("{title}: {:?}, {:?}", run.took, run.cost));
}

const DEAD14: &str = "dead14 ~ asp + hep + AGE + I(SEX == 'M') + RCONSC + RSBP + RDELAY + STYPE";
const DEPDEAD: &str = "depdead ~ asp + hep + AGE + I(SEX == 'M') + RCONSC + RSBP + RDELAY \
     + STYPE + I(RATRIAL == 'Y')";

#[test]
fn logistic_regressions_equal_r() {
    let Some((network, reference, _)) = open() else {
        return;
    };
    glm_is(&network, DEPDEAD, &reference["glm_depdead"], "ist_stroke glm_depdead on shares");
    glm_is(&network, DEAD14, &reference["glm_dead14"], "ist_stroke glm_dead14 on shares");
}

#[test]
fn curves_by_aspirin_equal_r() {
    let Some((network, reference, folder)) = open() else {
        return;
    };
    let request = Request { points: Some(400), ..model("km", "Surv(time, event) ~ factor(asp)") };
    let run = network.on_ideal(&request);
    let mut tidy = run.table("tidy").clone();
    let mut km = run.table("km").clone();
    for row in tidy.rows.iter_mut().chain(&mut km.rows) {
        let name = row[0].text().replace("factor(asp)=", "asp=");
        row[0] = konsil_analyses::Cell::Text(name);
    }
    let mut ledger = Ledger::default();
    ledger.medians(&tidy, &reference["km_asp"], &["asp=0", "asp=1"]);
    ledger.curve(&km, &Csv::read(&folder.join("ref_km_asp.csv")));
    ledger.log_rank(run.table("glance"), &reference["logrank_asp"]);
    assert!(km.rows.len() > 40, "{} points", km.rows.len());
    ledger.close("ist_stroke km_asp");
}

#[test]
fn descriptions_equal_r() {
    let Some((network, reference, _)) = open() else {
        return;
    };
    let names = ["AGE", "RDELAY", "RSBP", "dead14", "depdead", "OCCODE", "TD"];
    let request = Request {
        id: "test".to_owned(),
        kind: "summary".to_owned(),
        variables: names.map(str::to_owned).to_vec(),
        ..Request::default()
    };
    let run = network.on_ideal(&request);
    let table = run.table("tidy");
    let mut ledger = Ledger::default();
    for name in names {
        let (row, wanted) = (row_of(table, "variable", name), &reference["describe"][name]);
        for key in ["n", "missing", "mean", "sd", "q25", "median", "q75"] {
            // how many lack a value is hidden where it is fewer than 10, but not 0
            let (got, wanted) = (number(table, row, key), real(&wanted[key]));
            if key == "missing" && wanted > 0.0 && wanted < 10.0 {
                assert!(got.is_nan(), "{name}");
                continue;
            }
            ledger.near(name, key, (got, wanted), EXACT);
        }
    }
    ledger.close("ist_stroke summary");
}

// Cross-tables of the reference are columns of a table 1.
#[test]
fn table_one_equals_r() {
    let Some((network, reference, _)) = open() else {
        return;
    };
    let run = network.on_shares(&model("table1", "RXASP ~ depdead + dead14 + STYPE + AGE"));
    let table = run.table("ard");
    let count = |group, variable, level| ard(table, (group, variable, level, "n"));
    let mut ledger = Ledger::default();
    for (variable, key) in [("depdead", "asp_depdead"), ("dead14", "asp_dead14")] {
        let counts = &reference[key]["counts"];
        for (row, group) in ["N", "Y"].into_iter().enumerate() {
            for (column, level) in ["0", "1"].into_iter().enumerate() {
                let pair = (count(group, variable, level), real(&counts[row][column]));
                ledger.near(variable, "count", pair, EXACT);
            }
        }
    }
    for (level, total) in reference["describe"]["STYPE"]["counts"].as_object().unwrap() {
        let sum = count("N", "STYPE", level) + count("Y", "STYPE", level);
        ledger.near(level, "level", (sum, real(total)), EXACT);
    }
    ledger.close("ist_stroke table1 on shares");
    say(&format!("ist_stroke table1: {:?}, {:?}", run.took, run.cost));
}
