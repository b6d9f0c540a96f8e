//! Cox regression of real sets against R on the pooled tables.

use crate::reference::{Ledger, json, real, say, shared_set};
use crate::support::{Network, Run, model, number, row_of};
use konsil_analyses::Request;
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

/// A set, split into centres by a column; fits of its reference as R wrote them, by Breslow, and by
/// Efron prepared for `ties` events at a time: 0 for the usual number, none for Breslow only.
fn check(set: &str, column: &str, (fits, shares): (&[&str], bool), ties: Option<u32>) {
    let Some(folder) = shared_set(set) else {
        return;
    };
    let reference = json(&folder.join("reference.json"));
    let network = Network::split(&folder.join("data.csv"), column, None).with_large_leverage();
    for fit in fits {
        for method in ["efron", "breslow"].into_iter().skip(usize::from(ties.is_none())) {
            let Some(wanted) = reference[*fit].get(method) else {
                assert_eq!(method, "efron", "every fit has one by Breslow");
                continue;
            };
            let formula = wanted["formula"].as_str().unwrap();
            let request = Request {
                ties: Some(method.to_owned()),
                ties_max: ties.filter(|most| *most > 0 && method == "efron"),
                ..model("cox", formula)
            };
            let run = if shares { network.on_shares(&request) } else { network.on_ideal(&request) };
            compare(&format!("{set} {fit} {method}"), &run, wanted);
        }
    }
}

#[test]
fn lung_cancer_equals_r() {
    check("ncctg_lung", "centre6", (&["cox", "cox2"], true), Some(0));
}

#[test]
fn breast_cancer_equals_r() {
    check("gbsg2", "centre6", (&["cox"], true), Some(0));
    check("gbsg2", "centre", (&["cox_strat"], false), Some(0));
}

#[test]
fn tumour_atlas_equals_r() {
    check("tcga_brca", "centre", (&["cox_age", "cox"], false), Some(0));
}

#[test]
fn heart_attacks_equal_r() {
    check("whas500", "centre6", (&["cox"], false), Some(16));
    check("whas500", "centre", (&["cox_strat"], false), Some(16));
}

#[test]
fn dialysis_equals_r() {
    check("dialysis_brazil", "centre6", (&["cox"], false), Some(256));
    check("dialysis_brazil", "centre", (&["cox_strat"], false), None);
}

#[test]
fn aids_equals_r() {
    check("aids_australia", "centre", (&["cox_strat"], false), Some(16));
}

#[test]
fn intensive_care_equals_r() {
    check("support2", "centre6", (&["cox"], false), None);
}
