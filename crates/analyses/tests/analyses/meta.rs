//! Meta-analyses against R's centre-wise fits combined by metafor; a centre of three patients, one
//! whose model has no maximum.

use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, vector};
use konsil_analyses::{AnalysisError, Request, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal};
use serde_json::Value;

const DICTIONARY: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
id,,category,,,,,,,,identifier,
dose,Dose,number,mg,,0,10,2,,,clinical,
sex,Sex,category,,F|M,,,,,,clinical,
age,Age,number,a,,18,110,1,,,clinical,
score,Score,number,,,20,90,1,,,clinical,
event,Event,integer,,,0,1,,,,clinical,
falls,Falls,integer,,,0,60,,,,clinical,
years,Years,number,a,,0.5,3,2,,,clinical,
months,Months,integer,mo,,0,24,,,,clinical,
died,Died,integer,,,0,1,,,,clinical,
";

fn network() -> Network {
    let dictionary = Dictionary::parse("trials", DICTIONARY).unwrap();
    let mut network =
        Network::split(&vector("meta.csv"), "centre", Some(dictionary)).with_large_leverage();
    // three more than this must take part
    network.policy.centres_min = 1;
    network
}

fn request_of(wanted: &Value) -> Request {
    let text = |key: &str| wanted[key].as_str().map(str::to_owned);
    Request {
        family: text("family"),
        weights: text("weights"),
        ..model("meta", wanted["formula"].as_str().unwrap())
    }
}

fn meta_is(name: &str, run: &Run, wanted: &Value) {
    let (tidy, spread, mut ledger) =
        (run.table("tidy"), run.table("heterogeneity"), Ledger::default());
    assert_eq!(number(run.table("glance"), 0, "k"), real(&wanted["k"]));
    for (row, term) in wanted["terms"].as_array().unwrap().iter().enumerate() {
        let what = term["term"].as_str().unwrap();
        assert_eq!(tidy.get(2 * row, "term").unwrap().text(), what);
        for (at, method) in ["fixed", "random"].into_iter().enumerate() {
            let of = &term[method];
            for (column, key) in [
                ("estimate", "estimate"),
                ("std.error", "se"),
                ("statistic", "stat"),
                ("conf.low", "low"),
                ("conf.high", "high"),
            ] {
                let pair = (number(tidy, 2 * row + at, column), real(&of[key]));
                ledger.near(what, key, pair, EXACT);
            }
            let pair = (number(tidy, 2 * row + at, "p.value"), real(&of["p"]));
            ledger.p_value(what, pair, 1e-4);
        }
        let of = &term["random"];
        for (column, key) in [("Q", "q"), ("tau2", "tau2"), ("I2", "i2")] {
            ledger.near(what, key, (number(spread, row, column), real(&of[key])), EXACT);
        }
        let h2 = real(&term["fixed"]["h2"]);
        ledger.near(what, "h2", (number(spread, row, "H2"), h2), EXACT);
        ledger.p_value(what, (number(spread, row, "p.value"), real(&of["qp"])), 1e-4);
    }
    ledger.close(&format!("meta {name}"));
}

#[test]
fn meta_equals_r() {
    let network = network();
    for (name, wanted) in json(&vector("meta.json")).as_object().unwrap() {
        meta_is(name, &network.on_ideal(&request_of(wanted)), wanted);
        meta_is(name, &network.on_shares(&request_of(wanted)), wanted);
    }
}

#[test]
fn meta_refuses_what_it_cannot_answer() {
    let network = network();
    let error =
        |request: &Request| prepare(request, &network.dictionary).err().unwrap().to_string();
    let family = |family: &str, formula: &str| Request {
        family: Some(family.to_owned()),
        ..model("meta", formula)
    };
    assert!(error(&family("gamma", "score ~ dose")).contains("gaussian, binomial and poisson"));
    assert!(error(&family("quasipoisson", "falls ~ dose")).contains("gaussian, binomial"));
    assert!(error(&family("binomial", "score ~ dose")).contains("0 or 1"));
    assert!(error(&family("gaussian", "sex ~ dose")).contains("a number"));
    let cox = |formula: &str| model("meta", &format!("Surv(months, died) ~ {formula}"));
    assert!(error(&cox("dose + strata(sex)")).contains("stratum of its own"));
    assert!(error(&cox("dose + offset(age)")).contains("no weights, offset"));
    let both = Request { family: Some("binomial".to_owned()), ..cox("dose") };
    assert!(error(&both).contains("without Surv()"));
    let twice = cox("dose + I(2 * dose)");
    assert!(matches!(network.on_shares(&twice).refused(), AnalysisError::Collinear { .. }));
    let copy = model("meta", "score ~ dose + I(2 * dose)");
    assert!(matches!(network.on_shares(&copy).refused(), AnalysisError::Collinear { .. }));
    // 80 patients are asked of each centre for four coefficients: two have them, three must
    let strict = |percent: u64| Policy {
        parameters_percent_max: percent,
        leverage_percent_max: 50,
        ..Policy::default()
    };
    let many = model("meta", "score ~ dose + sex + age");
    for run in [network.on_ideal(&many), network.on_shares(&many)] {
        assert!(run.findings.is_ok());
    }
    let few = self::network().under(strict(4));
    for run in [few.on_ideal(&many), few.on_shares(&many)] {
        assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
        assert!(run.release.iter().all(|(_, words)| words.is_empty()));
        assert!(run.ledger.lines().iter().any(|it| it.opening.name == "meta.taking_part"));
    }
    let none = self::network().under(Policy { threshold: 400, ..strict(10) });
    assert!(matches!(none.on_shares(&many).refused(), AnalysisError::Withheld(Refusal::TooFew)));
    let counts = family("poisson", "score ~ dose");
    assert!(network.on_ideal(&counts).refused().to_string().contains("fit the family"));
}
