//! Regressions of responses with levels equal R: proportional odds, multinomial logit.

use crate::models::text;
use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, vector};
use konsil_analyses::{AnalysisError, Cell, Request, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal};
use serde_json::Value;

/// The dictionary of the patients in wards.
pub(crate) fn dictionary() -> Dictionary {
    let text = std::fs::read_to_string(vector("wards.dictionary.csv")).unwrap();
    Dictionary::parse("wards", &text).unwrap()
}

/// The patients in wards, by one of the two columns that name a centre.
pub(crate) fn wards(column: &str) -> Network {
    let network = Network::split(&vector("wards.csv"), column, Some(dictionary()));
    network.with_large_leverage()
}

fn request_of(kind: &str, wanted: &Value) -> Request {
    let formula = wanted["formula"].as_str().unwrap();
    Request { weights: text(&wanted["weights"]), ..model(kind, formula) }
}

/// Seven centres, one of them with three patients; and three with an empty fourth; both backends.
fn runs(request: &Request) -> Vec<Run> {
    let networks = [wards("centre7"), wards("centre3").with_empty_centre()];
    networks.iter().flat_map(|it| [it.on_ideal(request), it.on_shares(request)]).collect()
}

fn glance(ledger: &mut Ledger, run: &Run, wanted: &Value) {
    let table = run.table("glance");
    for (column, key) in [("deviance", "deviance"), ("AIC", "aic"), ("edf", "edf")] {
        ledger.near("model", key, (number(table, 0, column), real(&wanted[key])), EXACT);
    }
    assert_eq!(table.get(0, "converged"), Some(&Cell::Flag(true)));
}

#[test]
fn ordinal_equals_r() {
    for (name, wanted) in json(&vector("ordinal.json")).as_object().unwrap() {
        for run in runs(&request_of("ordinal", wanted)) {
            let mut ledger = Ledger::default();
            ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
            glance(&mut ledger, &run, wanted);
            let n = (number(run.table("glance"), 0, "nobs"), real(&wanted["patients"]));
            ledger.near("model", "n", n, EXACT);
            ledger.close(&format!("ordinal {name}"));
        }
    }
}

#[test]
fn multinom_equals_r() {
    for (name, wanted) in json(&vector("multinom.json")).as_object().unwrap() {
        for run in runs(&request_of("multinom", wanted)) {
            let (table, mut ledger) = (run.table("tidy"), Ledger::default());
            let coefficients = wanted["coef"].as_array().unwrap();
            assert_eq!(table.rows.len(), coefficients.len());
            for (row, one) in coefficients.iter().enumerate() {
                for (column, key) in [("y.level", "level"), ("term", "term")] {
                    assert_eq!(table.get(row, column).map(Cell::text), text(&one[key]));
                }
                for (column, key) in
                    [("estimate", "coef"), ("std.error", "se"), ("statistic", "stat")]
                {
                    let pair = (number(table, row, column), real(&one[key]));
                    ledger.near(name, column, pair, EXACT);
                }
                ledger.p_value(name, (number(table, row, "p.value"), real(&one["p"])), 1e-4);
            }
            glance(&mut ledger, &run, wanted);
            let n = (number(run.table("glance"), 0, "nobs"), real(&wanted["n"]));
            ledger.near("model", "n", n, EXACT);
            ledger.close(&format!("multinom {name}"));
        }
    }
}

#[test]
fn requests_without_levels_are_explained() {
    let dictionary = dictionary();
    for (kind, formula, words) in [
        ("ordinal", "score ~ age", "three levels or more"),
        ("ordinal", "sex ~ age", "three levels or more"),
        ("ordinal", "improved ~ age", "three levels or more"),
        ("ordinal", "grade ~ age - 1", "thresholds in the place"),
        ("multinom", "sex ~ age", "there is glm"),
        ("multinom", "course ~ age + offset(spread)", "no offset"),
        ("multinom", "course ~ age + factor(days)", "parameters; at most 64"),
        ("multinom", "course ~ grade:factor(days)", "columns after expansion"),
        ("ordinal", "grade ~ ages", "ages"),
    ] {
        let error = prepare(&model(kind, formula), &dictionary).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
    let few = Request { iterations: Some(1), ..model("ordinal", "grade ~ age") };
    assert!(prepare(&few, &dictionary).err().unwrap().to_string().contains("between 2 and 50"));
    let clustered = Request { cluster: Some("ward".to_owned()), ..model("ordinal", "grade ~ age") };
    assert!(prepare(&clustered, &dictionary).is_err());
}

#[test]
fn responses_with_levels_keep_the_rules() {
    let network = wards("centre7");
    for (kind, response) in [("ordinal", "grade"), ("multinom", "course")] {
        let refused = |network: &Network, right: &str| {
            let request = model(kind, &format!("{response} ~ {right}"));
            let (one, two) = (network.on_ideal(&request), network.on_shares(&request));
            assert_eq!(one.refused().to_string(), two.refused().to_string());
            assert!(two.release.iter().all(|(_, words)| words.is_empty()));
            one
        };
        let run = refused(&network, "age + half_age");
        assert!(
            matches!(run.refused(), AnalysisError::Collinear { columns } if columns.len() == 2)
        );
        // some level has fewer patients than the threshold
        let strict = Policy { threshold: 130, ..network.policy.clone() };
        let run = refused(&wards("centre7").under(strict), "age");
        assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
        let numbers: u64 = run.ledger.lines().iter().map(|line| line.numbers).sum();
        assert_eq!(numbers, 1);
        // the response itself, by another name, as a column
        let level = if kind == "ordinal" { "mild" } else { "home" };
        let run = refused(&network, &format!("I({response} == \"{level}\") + age"));
        assert!(matches!(run.refused(), AnalysisError::Separation), "{}", run.refused());
        // one patient alone in a column
        let run = refused(&network, "age + I(age > 89.8)");
        assert_eq!(run.refused().code(), "K0502");
    }
    // a level that nobody has
    let text = std::fs::read_to_string(vector("wards.dictionary.csv")).unwrap();
    let text = text.replace("home|rehab|ward", "home|rehab|ward|other");
    let wider = Dictionary::parse("wards", &text).unwrap();
    let network = Network::split(&vector("wards.csv"), "centre7", Some(wider));
    let run = network.on_shares(&model("multinom", "course ~ age"));
    assert_eq!(run.refused().code(), "K0501");
}
