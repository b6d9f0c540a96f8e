//! Cox regression of real sets against R on the pooled tables.

use crate::reference::{Ledger, json, real, say, shared_set};
use crate::support::{Network, Run, model, number, row_of};
use serde_json::Value;

/// R stops when the likelihood changes by a billionth, which leaves its coefficients seven digits.
const BOUND: f64 = 1e-6;

fn compare(title: &str, run: &Run, wanted: &Value) {
    let mut ledger = Ledger::default();
    let table = run.table("tidy");
    for one in wanted["coef"].as_array().unwrap() {
        let term = one["term"].as_str().unwrap();
        let row = row_of(table, "term", term);
        ledger.near(term, "estimate", (number(table, row, "estimate"), real(&one["coef"])), BOUND);
        ledger.near(term, "error", (number(table, row, "std.error"), real(&one["se"])), BOUND);
    }
    let glance = run.table("glance");
    for (column, key) in [
        ("n", "n"),
        ("nevent", "events"),
        ("logLik.null", "loglik_null"),
        ("logLik", "loglik"),
        ("statistic.log", "lrt_chisq"),
    ] {
        ledger.near("model", key, (number(glance, 0, column), real(&wanted[key])), BOUND);
    }
    ledger.close(title);
    say(&format!("{title}: {:?}, {:?}", run.took, run.cost));
}

/// A set, split into centres by a column; fits of its reference as R wrote them.
fn check(set: &str, column: &str, (fits, shares): (&[&str], bool)) {
    let Some(folder) = shared_set(set) else {
        return;
    };
    let reference = json(&folder.join("reference.json"));
    let network = Network::split(&folder.join("data.csv"), column, None).with_large_leverage();
    for fit in fits {
        let wanted = &reference[*fit]["breslow"];
        let request = model("cox", wanted["formula"].as_str().unwrap());
        let run = if shares { network.on_shares(&request) } else { network.on_ideal(&request) };
        compare(&format!("{set} {fit}"), &run, wanted);
    }
}

#[test]
fn lung_cancer_equals_r() {
    check("ncctg_lung", "centre6", (&["cox", "cox2"], true));
}

#[test]
fn breast_cancer_equals_r() {
    check("gbsg2", "centre6", (&["cox"], true));
    check("gbsg2", "centre", (&["cox_strat"], false));
}

#[test]
fn tumour_atlas_equals_r() {
    check("tcga_brca", "centre", (&["cox_age", "cox"], false));
}

#[test]
fn heart_attacks_equal_r() {
    check("whas500", "centre6", (&["cox"], true));
    check("whas500", "centre", (&["cox_strat"], false));
}

#[test]
fn dialysis_equals_r() {
    check("dialysis_brazil", "centre6", (&["cox"], false));
    check("dialysis_brazil", "centre", (&["cox_strat"], false));
}

#[test]
fn aids_equals_r() {
    check("aids_australia", "centre", (&["cox_strat"], false));
}

#[test]
fn intensive_care_equals_r() {
    check("support2", "centre6", (&["cox"], false));
}
