//! Twelve random designs over 2 to 7 centres against R: ties, weights, strata, a centre without events,
//! one with three patients, one that lacks a level. `vectors/designs.R` made patients and references.

use crate::reference::{Csv, EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, vector};
use konsil_analyses::Request;
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Residual};
use serde_json::Value;

const DICTIONARY: &str = "name,type,levels,min,max,decimals\nx1,number,,0,110,1\nx2,integer,,0,30,\n\
    g,category,a|b|c,,,\nh,category,u|v,,,\nw,integer,,0,4,\ny,number,,-20,70,2\nb,integer,,0,1,\n\
    fu,integer,,1,12,\ncnt,integer,,0,60,\nt,integer,,0,24,\ne,integer,,0,1,\n";

/// The patients of one design, by centre.
fn network(csv: &Csv, wanted: &Value) -> Network {
    let dictionary = Dictionary::parse("designs", DICTIONARY).unwrap();
    let names: Vec<&str> = dictionary.variables.iter().map(|it| it.name.as_str()).collect();
    let places: Vec<usize> = names.iter().map(|name| csv.place(name)).collect();
    let (design, centre) = (csv.place("design"), csv.place("centre"));
    let parties = usize::try_from(wanted["parties"].as_u64().unwrap()).unwrap();
    let mut files = vec![names.join(",") + "\n"; parties];
    let this = wanted["design"].to_string();
    for row in csv.rows.iter().filter(|row| row[design] == this) {
        let at = row[centre].parse::<usize>().unwrap() - 1;
        let cells: Vec<&str> = places.iter().map(|place| row[*place].as_str()).collect();
        files[at] += &(cells.join(",") + "\n");
    }
    // two centres are no network in use; here they are a design
    let policy = Policy {
        residual: Residual::None,
        exposure_percent_max: 100,
        leverage_percent_max: 50,
        centres_min: 2,
        centre_percent_max: 100,
        ..Policy::default()
    };
    Network::new(dictionary, &files).under(policy)
}

fn requests() -> Vec<(&'static str, Request)> {
    let cox = |ties: &str| Request {
        ties: Some(ties.to_owned()),
        ..model("cox", "Surv(t, e) ~ x1 + g + strata(h)")
    };
    let glm = |family: &str, formula: &str| Request {
        family: Some(family.to_owned()),
        ..model("glm", formula)
    };
    vec![
        ("lm", Request { weights: Some("w".to_owned()), ..model("lm", "y ~ x1 + g") }),
        ("binomial", glm("binomial", "b ~ x1 + g + h")),
        ("poisson", glm("poisson", "cnt ~ x2 + h + offset(log(fu))")),
        ("breslow", cox("breslow")),
        ("efron", cox("efron")),
    ]
}

fn hold(networks: impl Iterator<Item = (Network, Value)>, run: fn(&Network, &Request) -> Run) {
    let mut ledger = Ledger::default();
    for (network, wanted) in networks {
        for (key, request) in requests() {
            ledger.coefficients(run(&network, &request).table("tidy"), &wanted[key], EXACT);
        }
        for (kind, formula, table, column, key) in [
            ("kruskal", "x2 ~ g", "tidy", "statistic", "kruskal"),
            ("km", "Surv(t, e) ~ h", "glance", "statistic.log", "logrank"),
            ("t_test", "y ~ h", "tidy", "statistic", "t"),
            ("t_test", "y ~ h", "tidy", "parameter", "t_df"),
            ("chisq", "g ~ h", "tidy", "statistic", "chisq"),
        ] {
            let found = run(&network, &model(kind, formula));
            let pair = (number(found.table(table), 0, column), real(&wanted[key]));
            ledger.near(formula, kind, pair, EXACT);
        }
    }
    ledger.close("random designs");
}

fn designs() -> Vec<(Network, Value)> {
    let csv = Csv::read(&vector("designs.csv"));
    let wanted = json(&vector("designs.json"));
    let all = wanted.as_array().unwrap().iter();
    all.map(|wanted| (network(&csv, wanted), wanted.clone())).collect()
}

#[test]
fn random_designs_equal_r() {
    assert_eq!(designs().len(), 12);
    hold(designs().into_iter(), Network::on_ideal);
}

#[test]
fn random_designs_equal_r_on_shares() {
    hold(designs().into_iter().step_by(3), Network::on_shares);
}
