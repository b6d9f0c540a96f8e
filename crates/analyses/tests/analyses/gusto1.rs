//! GUSTO-I: 40,830 patients of 16 regions, against R on the pooled table.

use crate::reference::{EXACT, Ledger, json, real, say, shared_set};
use crate::support::{Network, Run, ard, model, number, row_of};
use konsil_analyses::Request;
use serde_json::Value;
use std::path::Path;

fn open(column: &str) -> Option<(Network, Value)> {
    let folder = shared_set("gusto1")?;
    let reference = json(&folder.join("reference.json"));
    Some((split(&folder, column), reference))
}

fn split(folder: &Path, column: &str) -> Network {
    Network::split(&folder.join("data.csv"), column, None)
}

fn glm_is(run: &Run, wanted: &Value, bound: f64, title: &str) {
    let mut ledger = Ledger::default();
    ledger.coefficients(run.table("tidy"), &wanted["coef"], bound);
    let glance = run.table("glance");
    for (column, key) in [
        ("deviance", "deviance"),
        ("null.deviance", "null_deviance"),
        ("AIC", "aic"),
        ("nobs", "n"),
        ("nevent", "events"),
    ] {
        let pair = (number(glance, 0, column), real(&wanted[key]));
        ledger.near("model", key, pair, bound);
    }
    ledger.close(title);
}

const LEE: &str = "day30 ~ age + factor(Killip) + pmin(sysbp, 120) + pulse + pmi + miloc";
const FULL: &str = "day30 ~ age + sex + factor(Killip) + pmin(sysbp, 120) + pulse + pmi + miloc \
     + dia + htn + smk + ste + height + weight + prevcabg + tx";

#[test]
fn linear_regression_equals_r() {
    let Some((network, reference)) = open("centre") else {
        return;
    };
    let wanted = &reference["lm_sysbp"];
    let run = network.on_ideal(&model("lm", "sysbp ~ age + sex + pulse + dia + factor(Killip)"));
    let mut ledger = Ledger::default();
    ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
    let glance = run.table("glance");
    for (column, key) in [
        ("r.squared", "r2"),
        ("adj.r.squared", "adj_r2"),
        ("sigma", "sigma"),
        ("deviance", "rss"),
        ("nobs", "n"),
    ] {
        ledger.near("model", key, (number(glance, 0, column), real(&wanted[key])), EXACT);
    }
    let f = (number(glance, 0, "statistic"), real(&wanted["f"][0]));
    ledger.near("model", "F", f, EXACT);
    ledger.close("gusto1 lm_sysbp");
}

#[test]
fn logistic_regressions_equal_r() {
    let Some((network, reference)) = open("centre") else {
        return;
    };
    let run = network.on_ideal(&model("glm", LEE));
    glm_is(&run, &reference["lee_like"], EXACT, "gusto1 lee_like");
    let run = network.on_ideal(&model("glm", FULL));
    glm_is(&run, &reference["full"], EXACT, "gusto1 full");
}

#[test]
fn logistic_regression_of_sixteen_centres_on_shares() {
    let Some((network, reference)) = open("centre") else {
        return;
    };
    let run = network.on_shares(&model("glm", LEE));
    glm_is(&run, &reference["lee_like"], EXACT, "gusto1 lee_like on shares");
    say(&format!("gusto1 lee_like, 16 centres: {:?}, {:?}", run.took, run.cost));
}

#[test]
fn sealed_logistic_regression_equals_r() {
    let Some((network, reference)) = open("centre6") else {
        return;
    };
    let sealed = Request { sealed: true, iterations: Some(7), ..model("glm", LEE) };
    let run = network.on_shares(&sealed);
    say(&format!("gusto1 sealed, 6 centres: {:?}, {:?}", run.took, run.cost));
    assert_eq!(run.ledger.lines().iter().filter(|it| it.opening.name == "glm.step").count(), 0);
    glm_is(&run, &reference["lee_like"], 1e-4, "gusto1 lee_like sealed");
}

#[test]
fn descriptions_equal_r() {
    let Some((network, reference)) = open("centre") else {
        return;
    };
    let described = &reference["describe"];
    let numeric = |name: &&str| described[*name]["mean"].is_number();
    let names: Vec<String> = [
        "age", "pulse", "sysbp", "height", "weight", "day30", "ste", "htn", "pan", "fam", "dia",
        "sho", "hig", "hyp", "hrt", "ttr", "ant", "prevcvd", "prevcabg", "grpl", "grps", "regl",
        "tpa",
    ]
    .iter()
    .filter(|name| numeric(name))
    .map(|name| (*name).to_owned())
    .collect();
    let request = Request {
        id: "test".to_owned(),
        kind: "summary".to_owned(),
        variables: names.clone(),
        ..Request::default()
    };
    let run = network.on_ideal(&request);
    let table = run.table("tidy");
    let mut ledger = Ledger::default();
    for name in &names {
        let (row, wanted) = (row_of(table, "variable", name), &described[name]);
        for key in ["n", "missing", "mean", "sd", "q25", "median", "q75"] {
            let pair = (number(table, row, key), real(&wanted[key]));
            ledger.near(name, key, pair, EXACT);
        }
    }
    ledger.close("gusto1 summary");
}

#[test]
fn table_one_equals_r() {
    let Some((network, reference)) = open("centre") else {
        return;
    };
    let run = network.on_shares(&model("table1", "tx ~ day30 + Killip + age + sysbp"));
    let table = run.table("ard");
    let mut ledger = Ledger::default();
    for (row, tx) in ["SK", "SK+tPA", "tPA"].into_iter().enumerate() {
        for (column, level) in ["0", "1"].into_iter().enumerate() {
            let wanted = real(&reference["death_by_tx"]["counts"][row][column]);
            let got = ard(table, (tx, "day30", level, "n"));
            ledger.near(tx, "count", (got, wanted), EXACT);
        }
        let size = real(&reference["describe"]["tx"]["counts"][tx]);
        let got = ard(table, (tx, "..ard_total_n..", "", "N"));
        ledger.near(tx, "size", (got, size), EXACT);
    }
    for (level, wanted) in reference["describe"]["Killip"]["counts"].as_object().unwrap() {
        let counts = ["SK", "SK+tPA", "tPA"].map(|tx| ard(table, (tx, "Killip", level, "n")));
        ledger.near(level, "level", (counts.iter().sum(), real(wanted)), EXACT);
    }
    let means = ["SK", "SK+tPA", "tPA"]
        .map(|tx| ard(table, (tx, "age", "", "mean")) * ard(table, (tx, "age", "", "N")));
    let mean = means.iter().sum::<f64>() / 40_830.0;
    ledger.near("age", "mean", (mean, real(&reference["describe"]["age"]["mean"])), EXACT);
    ledger.close("gusto1 table1 on shares");
    say(&format!("gusto1 table1, 16 centres: {:?}, {:?}", run.took, run.cost));
}
