//! Random intercepts equal lme4: linear by both likelihoods, logistic by Laplace's approximation, with
//! clusters within centres and the centres themselves, and where clusters do not differ.

use crate::levels::{dictionary, wards};
use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, row_of, vector};
use konsil_analyses::{AnalysisError, Cell, Request, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal};
use serde_json::Value;

fn mixed(formula: &str, family: &str, cluster: &str) -> Request {
    Request {
        family: Some(family.to_owned()),
        cluster: Some(cluster.to_owned()),
        ..model("mixed", formula)
    }
}

fn mixed_is(name: &str, run: &Run, wanted: &Value) {
    let (table, mut ledger) = (run.table("tidy"), Ledger::default());
    let coefficients = wanted["coef"].as_array().unwrap();
    let logistic = wanted["family"] == "binomial";
    assert_eq!(table.rows.len(), coefficients.len() + if logistic { 1 } else { 2 });
    for (row, one) in coefficients.iter().enumerate() {
        assert_eq!(table.get(row, "term").map(Cell::text).as_deref(), one["term"].as_str());
        for (column, key) in [("estimate", "coef"), ("std.error", "se"), ("statistic", "stat")] {
            ledger.near(name, column, (number(table, row, column), real(&one[key])), EXACT);
        }
        ledger.p_value(name, (number(table, row, "p.value"), real(&one["p"])), 1e-4);
    }
    let mut deviations = vec![("sd__(Intercept)", "sd")];
    if !logistic {
        deviations.push(("sd__Observation", "sigma"));
    }
    for (term, key) in deviations {
        let got = number(table, row_of(table, "term", term), "estimate");
        ledger.near(name, key, (got, real(&wanted[key])), EXACT);
    }
    let table = run.table("glance");
    for (column, key) in
        [("logLik", "loglik"), ("AIC", "aic"), ("nobs", "n"), ("n.groups", "groups")]
    {
        ledger.near(name, key, (number(table, 0, column), real(&wanted[key])), EXACT);
    }
    let flag = |column: &str| table.get(0, column).cloned();
    assert_eq!(flag("converged"), Some(Cell::Flag(true)), "{name}");
    assert_eq!(flag("singular"), wanted["singular"].as_bool().map(Cell::Flag), "{name}");
    let said = run.found().notes.iter().any(|note| note.starts_with("singular"));
    assert_eq!(Some(said), wanted["singular"].as_bool());
    ledger.close(&format!("mixed {name}"));
}

#[test]
fn random_intercepts_equal_lme4() {
    let networks = [wards("centre7"), wards("centre3").with_empty_centre()];
    for (name, wanted) in json(&vector("mixed.json")).as_object().unwrap() {
        let cluster = wanted["cluster"].as_str().unwrap();
        let by = if cluster == "ward" { cluster } else { "centre" };
        let [formula, family] = ["formula", "family"].map(|key| wanted[key].as_str().unwrap());
        let request = Request { ml: wanted["ml"] == true, ..mixed(formula, family, by) };
        for (column, network) in ["centre7", "centre3"].iter().zip(&networks) {
            if cluster == "ward" || cluster == *column {
                mixed_is(name, &network.on_ideal(&request), wanted);
                mixed_is(name, &network.on_shares(&request), wanted);
            }
        }
    }
}

#[test]
fn requests_of_random_intercepts_are_explained() {
    let dictionary = dictionary();
    let plain = mixed("improved ~ age", "binomial", "ward");
    for (request, words) in [
        (Request { cluster: None, ..plain.clone() }, "needs clusters"),
        (Request { cluster: Some("wards".to_owned()), ..plain.clone() }, "did you mean `ward`"),
        (Request { ml: true, ..plain.clone() }, "always by maximum likelihood"),
        (Request { family: Some("poisson".to_owned()), ..plain.clone() }, "gaussian and binomial"),
        (Request { iterations: Some(3), ..plain.clone() }, "between 8 and 50"),
        (mixed("score ~ age", "binomial", "ward"), "two levels"),
        (mixed("score ~ factor(ward)", "gaussian", "ward"), "at most 40"),
        (Request { weights: Some("copies".to_owned()), ..plain }, "does not take `weights`"),
    ] {
        let error = prepare(&request, &dictionary).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn random_intercepts_keep_the_rules() {
    let network = wards("centre7");
    let refused = |network: &Network, request: &Request| {
        let (one, two) = (network.on_ideal(request), network.on_shares(request));
        assert_eq!(one.refused().to_string(), two.refused().to_string());
        assert!(two.release.iter().all(|(_, words)| words.is_empty()));
        two
    };
    // from mean and spread of three centres, each could compute the other two's
    let run = refused(&wards("centre3"), &mixed("score ~ age", "gaussian", "centre"));
    assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
    for (response, family) in [("score", "gaussian"), ("improved", "binomial")] {
        let of = |right: &str| mixed(&format!("{response} ~ {right}"), family, "ward");
        let run = refused(&network, &of("age + half_age"));
        assert!(
            matches!(run.refused(), AnalysisError::Collinear { columns } if columns.len() == 2)
        );
        // sixty wards are fewer than the threshold
        let strict = Policy { threshold: 70, ..wards("centre7").policy };
        let run = refused(&wards("centre7").under(strict), &of("age"));
        assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
        assert_eq!(refused(&network, &of("age + I(age > 89.8)")).refused().code(), "K0502");
    }
    let run = refused(&network, &mixed("older ~ I(age > 60) + sex", "binomial", "ward"));
    assert!(matches!(run.refused(), AnalysisError::Separation), "{}", run.refused());
    // hardly two patients have the same age
    let run = refused(&even(), &mixed("y ~ 1", "gaussian", "age"));
    assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
    // patients of a ward are all the same: the ratio of the variances runs to infinity
    let run = refused(&network, &mixed("ward ~ age", "gaussian", "ward"));
    assert_eq!(run.refused().code(), "K0223", "{}", run.refused());
    // each ward has one outcome only
    let run = network.on_ideal(&mixed("I(ward > 30) ~ age", "binomial", "ward"));
    assert!(run.found().notes.iter().any(|note| note.contains("one outcome only")));
}

/// Three centres whose patients all have an age of their own.
fn even() -> Network {
    let line = |at: usize| format!("{},{}\n", 20 + at, at * 37 % 101);
    let centre = |size: usize| format!("age,y\n{}", (0..size).map(line).collect::<String>());
    let text = "name,type,min,max\nage,integer,0,100\ny,integer,0,100\n";
    Network::new(Dictionary::parse("even", text).unwrap(), &[30, 40, 50].map(centre))
}
