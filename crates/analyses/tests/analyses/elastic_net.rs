//! Penalised regression against R's glmnet with the same folds; a centre of three patients.

use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, vector};
use konsil_analyses::{AnalysisError, Request, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal};
use serde_json::Value;

const DICTIONARY: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
id,,category,,,,,,,,identifier,
age,Age,integer,a,,18,100,,,,clinical,
marker1,Marker 1,number,,,0,100,1,,,clinical,
marker2,Marker 2,number,,,0,100,1,,,clinical,
marker3,Marker 3,number,,,0,100,1,,,clinical,
marker4,Marker 4,number,,,0,100,1,,,clinical,
marker5,Marker 5,number,,,0,100,1,,,clinical,
level,Level,category,,low|middle|high,,,,,,clinical,
pressure,Pressure,number,mmHg,,60,260,1,,,clinical,
ill,Ill,integer,,,0,1,,,,clinical,
";

fn network() -> Network {
    let dictionary = Dictionary::parse("markers", DICTIONARY).unwrap();
    Network::split(&vector("elastic_net.csv"), "centre", Some(dictionary)).with_large_leverage()
}

fn request_of(wanted: &Value) -> Request {
    let whole = |key: &str| wanted[key].as_u64().and_then(|it| u32::try_from(it).ok());
    Request {
        alpha: wanted["alpha"].as_f64(),
        lambda: wanted["lambda"].as_f64(),
        folds: whole("folds"),
        seed: whole("seed"),
        ..model("elastic_net", wanted["formula"].as_str().unwrap())
    }
}

fn path_is(name: &str, run: &Run, wanted: &Value) {
    let (tidy, curve, glance) = (run.table("tidy"), run.table("curve"), run.table("glance"));
    let mut ledger = Ledger::default();
    let terms = wanted["terms"].as_array().unwrap();
    for (at, term) in terms.iter().enumerate() {
        let term = term.as_str().unwrap();
        assert_eq!(tidy.get(at, "term").unwrap().text(), term);
        for (side, key) in ["coef_min", "coef_1se"].into_iter().enumerate() {
            let got = number(tidy, side * terms.len() + at, "estimate");
            ledger.near(term, key, (got, real(&wanted[key][at])), EXACT);
        }
    }
    for (row, one) in wanted["curve"].as_array().unwrap().iter().enumerate() {
        let what = format!("penalty {row}");
        for (column, key) in
            [("lambda", "lambda"), ("estimate", "mean"), ("std.error", "se"), ("nzero", "nonzero")]
        {
            ledger.near(&what, key, (number(curve, row, column), real(&one[key])), EXACT);
        }
    }
    for (column, key) in [("lambda.min", "lambda_min"), ("lambda.1se", "lambda_1se"), ("nobs", "n")]
    {
        ledger.near(name, key, (number(glance, 0, column), real(&wanted[key])), EXACT);
    }
    assert!(run.found().notes.is_empty(), "{name}: all settled");
    ledger.close(&format!("elastic_net {name}"));
}

#[test]
fn penalised_regression_equals_r() {
    let network = network();
    for (name, wanted) in json(&vector("elastic_net.json")).as_object().unwrap() {
        let request = request_of(wanted);
        path_is(name, &network.on_ideal(&request), wanted);
        path_is(name, &network.on_shares(&request), wanted);
    }
}

#[test]
fn penalised_regression_refuses_what_it_cannot_answer() {
    let network = network();
    let plain = model("elastic_net", "pressure ~ age + marker1");
    let error =
        |request: Request| prepare(&request, &network.dictionary).err().unwrap().to_string();
    assert!(error(Request { alpha: Some(1.5), ..plain.clone() }).contains("from 0 (ridge)"));
    assert!(error(Request { lambda: Some(0.0), ..plain.clone() }).contains("lambda above 0"));
    assert!(error(Request { folds: Some(2), ..plain.clone() }).contains("3 to 10 folds"));
    assert!(error(Request { iterations: Some(5), ..plain.clone() }).contains("10 to 200"));
    assert!(error(model("elastic_net", "level ~ age")).contains("a number"));
    assert!(error(model("elastic_net", "pressure ~ 1")).contains("a column"));
    assert!(error(model("elastic_net", "pressure ~ age - 1")).contains("an intercept"));
    let copy = model("elastic_net", "pressure ~ age + I(2 * age)");
    assert!(matches!(network.on_shares(&copy).refused(), AnalysisError::Collinear { .. }));
    let strict = |threshold| Policy { threshold, leverage_percent_max: 50, ..Policy::default() };
    // 358 patients in five folds are 72 to each at most
    for threshold in [80, 400] {
        let few = self::network().under(strict(threshold));
        for run in [few.on_ideal(&plain), few.on_shares(&plain)] {
            assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
            assert!(run.release.iter().all(|(_, words)| words.is_empty()));
        }
    }
}

// Nothing but verdicts and two choices is opened to the centres.
#[test]
fn penalised_regression_opens_no_coefficients() {
    let run = network().on_shares(&model("elastic_net", "pressure ~ age + marker1"));
    let lines = run.ledger.lines().iter().map(|it| (it.opening.name, it.numbers));
    let wanted = [
        ("elastic_net.admitted", 1),
        ("elastic_net.collinear", 3),
        ("elastic_net.apart", 1),
        ("elastic_net.constant", 3),
        ("elastic_net.least", 25),
        ("elastic_net.within", 25),
        ("elastic_net.coefficients", 6),
        ("elastic_net.top", 3),
        ("elastic_net.curve", 50),
        ("elastic_net.left", 25),
        ("elastic_net.counts", 1),
        ("elastic_net.unsettled", 1),
    ];
    assert_eq!(lines.collect::<Vec<_>>(), wanted);
}
