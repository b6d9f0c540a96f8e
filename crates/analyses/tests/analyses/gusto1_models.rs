//! GUSTO-I again: 40,830 patients of 121 groups of centres, by models of levels and of clusters.

use crate::models::text;
use crate::reference::{EXACT, Ledger, json, real, say, shared_set};
use crate::support::{Network, Run, model, number, row_of, vector};
use konsil_analyses::Request;
use serde_json::Value;

fn request(wanted: &Value) -> Request {
    let kind = wanted["kind"].as_str().unwrap();
    let clustered = matches!(kind, "mixed" | "gee");
    Request {
        cluster: clustered.then(|| "grps".to_owned()),
        family: text(&wanted["family"]),
        ..model(kind, wanted["formula"].as_str().unwrap())
    }
}

fn equals(name: &str, run: &Run, wanted: &Value) {
    let (table, mut ledger) = (run.table("tidy"), Ledger::default());
    for (row, one) in wanted["coef"].as_array().unwrap().iter().enumerate() {
        assert_eq!(table.get(row, "term").map(konsil_analyses::Cell::text), text(&one["term"]));
        for (column, key) in [("estimate", "coef"), ("std.error", "se"), ("statistic", "stat")] {
            ledger.near(name, column, (number(table, row, column), real(&one[key])), EXACT);
        }
    }
    if let Some(sd) = wanted["sd"].as_f64() {
        let got = number(table, row_of(table, "term", "sd__(Intercept)"), "estimate");
        ledger.near(name, "sd", (got, sd), EXACT);
    }
    let glance = run.table("glance");
    for (column, key) in [
        ("deviance", "deviance"),
        ("AIC", "aic"),
        ("sigma", "sigma"),
        ("alpha", "alpha"),
        ("gamma", "gamma"),
        ("n.groups", "groups"),
    ] {
        if let Some(wanted) = wanted[key].as_f64() {
            ledger.near(name, key, (number(glance, 0, column), wanted), EXACT);
        }
    }
    ledger.close(&format!("gusto1 {name}"));
}

#[test]
fn models_of_levels_and_clusters_equal_r() {
    let Some(folder) = shared_set("gusto1") else {
        return;
    };
    let network = Network::split(&folder.join("data.csv"), "centre6", None);
    for (name, wanted) in json(&vector("mixed_gusto1.json")).as_object().unwrap() {
        let request = request(wanted);
        equals(name, &network.on_ideal(&request), wanted);
        let run = network.on_shares(&request);
        equals(name, &run, wanted);
        say(&format!("gusto1 {name}, 6 centres: {:?}, {:?}", run.took, run.cost));
    }
}
