//! TCGA breast cancer: 1,088 patients of six regions, against R on the pooled table.

use crate::reference::{Csv, EXACT, Ledger, json, real, say, shared_set};
use crate::support::{Network, model, number, row_of};
use konsil_analyses::Request;
use konsil_disclosure::{Policy, Residual};
use serde_json::Value;
use std::path::PathBuf;

const REGIONS: [&str; 6] = ["Canada", "Europe", "Midwest", "Northeast", "South", "West"];

/// The regions as centres and, under the name `region`, as a variable. Europe has 9 events and
/// Canada 3, so that the threshold is at its lowest.
fn open() -> Option<(Network, Value, PathBuf)> {
    let folder = shared_set("tcga_brca")?;
    let mut csv = Csv::read(&folder.join("data.csv"));
    csv.derive("region", "centre", str::to_owned);
    csv.keep(&["centre", "region", "age_at_index", "ajcc_pathologic_t_T3", "event", "time"]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data.csv");
    csv.write(&path);
    let network = Network::split(&path, "centre", None);
    let policy = Policy {
        threshold: 3,
        residual: Residual::None,
        exposure_percent_max: 100,
        ..Policy::default()
    };
    let reference = json(&folder.join("reference.json"));
    Some((network.under(policy), reference, folder))
}

#[test]
fn one_curve_equals_r() {
    let Some((network, reference, folder)) = open() else {
        return;
    };
    let run = network.on_shares(&model("km", "Surv(time, event) ~ 1"));
    let mut ledger = Ledger::default();
    ledger.medians(run.table("tidy"), &reference["km_all"], &["All"]);
    ledger.curve(run.table("km"), &Csv::read(&folder.join("ref_km_all.csv")));
    assert!(run.table("km").rows.len() > 20);
    ledger.close("tcga_brca km_all on shares");
    say(&format!("tcga_brca km, one curve: {:?}, {:?}", run.took, run.cost));
}

#[test]
fn curves_by_region_equal_r() {
    let Some((network, reference, folder)) = open() else {
        return;
    };
    let run = network.on_shares(&model("km", "Surv(time, event) ~ region"));
    say(&format!("tcga_brca km by region: {:?}, {:?}", run.took, run.cost));
    let names = REGIONS.map(|name| format!("centre={name}"));
    let mut tidy = run.table("tidy").clone();
    let mut km = run.table("km").clone();
    for row in tidy.rows.iter_mut().chain(&mut km.rows) {
        let name = row[0].text().replace("region=", "centre=");
        row[0] = konsil_analyses::Cell::Text(name);
    }
    let mut ledger = Ledger::default();
    ledger.medians(&tidy, &reference["km_by_centre"], &names.each_ref().map(String::as_str));
    ledger.curve(&km, &Csv::read(&folder.join("ref_km_centre.csv")));
    ledger.log_rank(run.table("glance"), &reference["logrank_centre"]);
    ledger.close("tcga_brca km by region on shares");
}

#[test]
fn log_rank_of_two_groups_equals_r() {
    let Some((network, reference, _)) = open() else {
        return;
    };
    let formula = "Surv(time, event) ~ factor(ajcc_pathologic_t_T3)";
    let run = network.on_ideal(&model("km", formula));
    let mut ledger = Ledger::default();
    ledger.log_rank(run.table("glance"), &reference["logrank_T3"]);
    ledger.close("tcga_brca logrank_T3");
}

#[test]
fn descriptions_equal_r() {
    let Some((network, reference, _)) = open() else {
        return;
    };
    let names = ["age_at_index", "event", "time"];
    let request = Request {
        id: "test".to_owned(),
        kind: "summary".to_owned(),
        variables: names.map(str::to_owned).to_vec(),
        ..Request::default()
    };
    let run = network.on_shares(&request);
    let table = run.table("tidy");
    let mut ledger = Ledger::default();
    for name in names {
        let (row, wanted) = (row_of(table, "variable", name), &reference["describe"][name]);
        for key in ["n", "missing", "mean", "sd", "q25", "median", "q75"] {
            ledger.near(name, key, (number(table, row, key), real(&wanted[key])), EXACT);
        }
    }
    ledger.close("tcga_brca summary on shares");
    say(&format!("tcga_brca summary: {:?}, {:?}", run.took, run.cost));
}
