//! Generalised estimating equations equal geepack, with clusters within centres and the centres
//! themselves.

use crate::levels::{dictionary, wards};
use crate::models::text;
use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, vector};
use konsil_analyses::{AnalysisError, Cell, Request, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal};
use serde_json::Value;

fn gee(formula: &str, family: &str, cluster: &str) -> Request {
    Request {
        family: Some(family.to_owned()),
        cluster: Some(cluster.to_owned()),
        ..model("gee", formula)
    }
}

fn gee_is(name: &str, run: &Run, wanted: &Value) {
    let mut ledger = Ledger::default();
    ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
    let table = run.table("glance");
    for (column, key) in
        [("alpha", "alpha"), ("gamma", "gamma"), ("nobs", "n"), ("n.clusters", "clusters")]
    {
        ledger.near("model", key, (number(table, 0, column), real(&wanted[key])), EXACT);
    }
    assert_eq!(table.get(0, "converged"), Some(&Cell::Flag(true)));
    ledger.close(&format!("gee {name}"));
}

#[test]
fn gee_equals_geepack() {
    let networks = [wards("centre7"), wards("centre3").with_empty_centre()];
    for (name, wanted) in json(&vector("gee.json")).as_object().unwrap() {
        let cluster = wanted["cluster"].as_str().unwrap();
        let by = if cluster == "ward" { cluster } else { "centre" };
        let [formula, family] = ["formula", "family"].map(|key| wanted[key].as_str().unwrap());
        let request = Request { corstr: text(&wanted["corstr"]), ..gee(formula, family, by) };
        for (column, network) in ["centre7", "centre3"].iter().zip(&networks) {
            if cluster == "ward" || cluster == *column {
                gee_is(name, &network.on_ideal(&request), wanted);
                gee_is(name, &network.on_shares(&request), wanted);
            }
        }
    }
}

#[test]
fn requests_of_estimating_equations_are_explained() {
    let dictionary = dictionary();
    let plain = gee("improved ~ age", "binomial", "ward");
    for (request, words) in [
        (Request { cluster: None, ..plain.clone() }, "needs clusters"),
        (Request { cluster: Some("wards".to_owned()), ..plain.clone() }, "did you mean `ward`"),
        (Request { corstr: Some("ar1".to_owned()), ..plain.clone() }, "exchangeable and indep"),
        (Request { family: Some("gamma".to_owned()), ..plain.clone() }, "binomial, poisson"),
        (Request { family: Some("quasipoisson".to_owned()), ..plain.clone() }, "binomial, poisson"),
        (Request { iterations: Some(3), ..plain.clone() }, "between 6 and 50"),
        (gee("score ~ age", "binomial", "ward"), "two levels"),
        (Request { weights: Some("copies".to_owned()), ..plain }, "does not take `weights`"),
    ] {
        let error = prepare(&request, &dictionary).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn estimating_equations_keep_the_rules() {
    let network = wards("centre7");
    let refused = |network: &Network, request: &Request| {
        let (one, two) = (network.on_ideal(request), network.on_shares(request));
        assert_eq!(one.refused().to_string(), two.refused().to_string());
        assert!(two.release.iter().all(|(_, words)| words.is_empty()));
        two
    };
    let run = refused(&network, &gee("score ~ age + half_age", "gaussian", "ward"));
    assert!(matches!(run.refused(), AnalysisError::Collinear { columns } if columns.len() == 2));
    // from mean and spread of three centres, each could compute the other two's
    let run = refused(&wards("centre3"), &gee("score ~ age", "gaussian", "centre"));
    assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
    // sixty wards are fewer than the threshold
    let strict = Policy { threshold: 70, ..wards("centre7").policy };
    let run = refused(&wards("centre7").under(strict), &gee("score ~ age", "gaussian", "ward"));
    assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
    let run = refused(&network, &gee("older ~ I(age > 60) + sex", "binomial", "ward"));
    assert!(matches!(run.refused(), AnalysisError::Separation), "{}", run.refused());
    let run = refused(&network, &gee("score ~ age + I(age > 89.8)", "gaussian", "ward"));
    assert_eq!(run.refused().code(), "K0502");
    // the patients of a centre add up to the same everywhere: more negative a correlation than there is
    let line = |at: usize| format!("{},{}\n", 30 + at * 7 % 50, [10, 90][at % 2]);
    let centre = |size: usize| format!("age,y\n{}", (0..size).map(line).collect::<String>());
    let text = "name,type,min,max\nage,integer,0,100\ny,integer,0,100\n";
    let even =
        Network::new(Dictionary::parse("even", text).unwrap(), &[20, 60, 100, 20, 60].map(centre));
    let run = refused(&even.with_large_leverage(), &gee("y ~ age", "gaussian", "centre"));
    assert_eq!(run.refused().code(), "K0223", "{}", run.refused());
}
