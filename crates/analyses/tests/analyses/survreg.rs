//! Weibull and exponential regression against R: ties, offsets, case weights, a centre without
//! events, one of three patients.

use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, vector};
use konsil_analyses::{AnalysisError, Request, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal};
use serde_json::Value;

fn dictionary() -> Dictionary {
    let text = std::fs::read_to_string(vector("patients.dictionary.csv")).unwrap();
    let text = text.replace("time,Time,integer,mo,,0,40", "time,Time,integer,mo,,0,41");
    Dictionary::parse("lifetimes", &text).unwrap()
}

fn network(column: &str) -> Network {
    let network = Network::split(&vector("lifetimes.csv"), column, Some(dictionary()));
    network.with_large_leverage()
}

fn request_of(wanted: &Value) -> Request {
    let text = |key: &str| wanted[key].as_str().map(str::to_owned);
    Request {
        dist: text("dist"),
        weights: text("weights"),
        ..model("survreg", wanted["formula"].as_str().unwrap())
    }
}

fn survreg_is(name: &str, run: &Run, wanted: &Value) {
    let mut ledger = Ledger::default();
    ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
    let glance = run.table("glance");
    for (column, key) in [
        ("nobs", "n"),
        ("scale", "scale"),
        ("logLik.null", "loglik_null"),
        ("logLik", "loglik"),
        ("AIC", "aic"),
    ] {
        ledger.near("model", key, (number(glance, 0, column), real(&wanted[key])), EXACT);
    }
    ledger.close(&format!("survreg {name}"));
}

#[test]
fn survreg_equals_r() {
    let reference = json(&vector("survreg.json"));
    let (seven, four) = (network("centre7"), network("centre3").with_empty_centre());
    for (name, wanted) in reference.as_object().unwrap() {
        for network in [&seven, &four] {
            survreg_is(name, &network.on_ideal(&request_of(wanted)), wanted);
            survreg_is(name, &network.on_shares(&request_of(wanted)), wanted);
        }
    }
}

#[test]
fn survreg_refuses_what_it_cannot_answer() {
    let dictionary = dictionary();
    let error = |formula: &str, dist: &str| {
        let request = Request { dist: Some(dist.to_owned()), ..model("survreg", formula) };
        prepare(&request, &dictionary).err().unwrap().to_string()
    };
    let plain = "Surv(time, event) ~ age";
    assert!(error(plain, "lognormal").contains("weibull and exponential"));
    assert!(error("Surv(time, event) ~ age + strata(sex)", "weibull").contains("strata()"));
    assert!(error("Surv(entry, time, event) ~ age", "weibull").contains("late"));
    assert!(error("bmi ~ age", "weibull").contains("Surv(time, event)"));
    let run = network("centre7").on_shares(&model("survreg", "Surv(time, event) ~ age + half_age"));
    assert!(matches!(run.refused(), AnalysisError::Collinear { columns } if columns.len() == 2));
    assert!(run.release.iter().all(|(_, words)| words.is_empty()));
    let strict = Policy { threshold: 200, ..Policy::default() };
    let run = network("centre7").under(strict).on_shares(&model("survreg", plain));
    assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
    // time 0 has no logarithm
    let run = crate::support::patients("centre7").on_ideal(&model("survreg", plain));
    assert!(run.refused().to_string().contains("log(time)"), "{}", run.refused());
    // whoever has `event` has an event: the coefficient runs to infinity
    let separated = model("survreg", "Surv(time, event) ~ age + I(event > 0)");
    let run = network("centre7").on_ideal(&separated);
    assert!(matches!(run.refused(), AnalysisError::Separation), "{}", run.refused());
}
