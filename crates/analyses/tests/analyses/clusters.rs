//! k-means against R's own Lloyd steps from the same places: clouds apart, patients who form none.

use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, number, patients, vector};
use konsil_analyses::{AnalysisError, Request, Setting, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal, Residual};
use konsil_mpc::{MpcError, Session, Topology};
use serde_json::Value;

const CLOUDS: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
id,,category,,,,,,,,identifier,
height,Height,number,cm,,120,220,1,,,clinical,
weight,Weight,number,kg,,30,200,1,,,clinical,
pulse,Pulse,integer,1/min,,30,160,,,,clinical,
";

fn clouds() -> Network {
    let dictionary = Dictionary::parse("clouds", CLOUDS).unwrap();
    Network::split(&vector("clusters.csv"), "centre", Some(dictionary))
}

fn asked(names: &[&str], k: u32) -> Request {
    Request {
        id: "test".to_owned(),
        kind: "kmeans".to_owned(),
        variables: names.iter().map(|name| (*name).to_owned()).collect(),
        k: Some(k),
        ..Request::default()
    }
}

fn request_of(wanted: &Value) -> Request {
    let whole = |key: &str| wanted[key].as_u64().and_then(|it| u32::try_from(it).ok());
    let names: Vec<&str> =
        wanted["variables"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    Request {
        seed: whole("seed"),
        starts: whole("starts"),
        iterations: whole("iterations"),
        raw: wanted["raw"].as_bool().unwrap(),
        ..asked(&names, whole("k").unwrap())
    }
}

fn clusters_are(name: &str, run: &Run, wanted: &Value) {
    // steps that did not come to their end would show who still moved
    if real(&wanted["iter"]) > real(&wanted["iterations"]) {
        assert_eq!(run.refused().code(), "K0223", "{name}");
        assert!(run.release.iter().all(|(_, words)| words.is_empty()));
        return;
    }
    let (tidy, glance, mut ledger) = (run.table("tidy"), run.table("glance"), Ledger::default());
    let centers = run.table("centers");
    let p = wanted["variables"].as_array().unwrap().len();
    for (row, center) in wanted["centers"].as_array().unwrap().iter().enumerate() {
        for (place, mean) in center.as_array().into_iter().flatten().enumerate() {
            let pair = (number(centers, row * p + place, "center"), real(mean));
            ledger.near(name, "center", pair, EXACT);
        }
        for key in ["size", "withinss"] {
            ledger.near(name, key, (number(tidy, row, key), real(&wanted[key][row])), EXACT);
        }
    }
    ledger.near(name, "totss", (number(glance, 0, "totss"), real(&wanted["totss"])), EXACT);
    ledger.close(&format!("kmeans {name}"));
}

#[test]
fn kmeans_equals_r() {
    let reference = json(&vector("kmeans.json"));
    let networks = [patients("centre7"), patients("centre3").with_empty_centre()];
    for (name, wanted) in reference["patients"].as_object().unwrap() {
        for network in &networks {
            clusters_are(name, &network.on_ideal(&request_of(wanted)), wanted);
        }
    }
    for name in ["two", "one_start"] {
        let wanted = &reference["patients"][name];
        for network in &networks {
            clusters_are(name, &network.on_shares(&request_of(wanted)), wanted);
        }
    }
    for (name, wanted) in reference["clusters"].as_object().unwrap() {
        clusters_are(name, &clouds().on_ideal(&request_of(wanted)), wanted);
        let run = clouds().on_shares_over(&request_of(wanted), Topology::Star);
        clusters_are(name, &run, wanted);
    }
}

// Nothing of the steps is opened: the centres learn seven verdicts and the number of a start.
#[test]
fn kmeans_opens_no_means() {
    let run = clouds().on_shares(&asked(&["height"], 2));
    let opened: Vec<(&str, u64)> =
        run.ledger.lines().iter().map(|it| (it.opening.name, it.numbers)).collect();
    let wanted = [
        ("kmeans.admitted", 1),
        ("kmeans.even", 1),
        ("kmeans.constant", 1),
        ("kmeans.left", 1),
        ("kmeans.best", 3),
        ("kmeans.moving", 1),
        ("kmeans.clusters_even", 1),
        ("kmeans.sizes", 2),
        ("kmeans.squares", 3),
        ("kmeans.centers", 2),
        ("kmeans.moments", 2),
    ];
    assert_eq!(opened, wanted);
}

#[test]
fn kmeans_refuses_what_it_cannot_answer() {
    let network = patients("centre7");
    let error =
        |request: Request| prepare(&request, &network.dictionary).err().unwrap().to_string();
    assert!(error(asked(&["age"], 1)).contains("k, the number of clusters"));
    assert!(error(Request { k: None, ..asked(&["age"], 1) }).contains("from 2 to 10"));
    assert!(error(asked(&["age", "age"], 2)).contains("twice"));
    assert!(error(asked(&[], 2)).contains("1 to 20 numbers"));
    assert!(error(asked(&["sex"], 2)).contains("levels"));
    assert!(error(Request { starts: Some(0), ..asked(&["age"], 2) }).contains("starts from 1"));
    assert!(error(Request { seed: Some(0), ..asked(&["age"], 2) }).contains("a seed from 1"));
    assert!(error(Request { by: Some("sex".to_owned()), ..asked(&["age"], 2) }).contains("`by`"));

    // what a step needs in memory is known beforehand
    let setting = Setting { rows_at_most: vec![1 << 20; 3], ..network.setting() };
    let large = prepare(&asked(&["age", "bmi"], 10), &network.dictionary).unwrap();
    let plan = |session: &mut dyn Session, _: usize| -> Result<String, MpcError> {
        Ok(large.run(session, &setting, None).err().unwrap().to_string())
    };
    let said = konsil_testing::ideal(3, large.openings(), plan);
    assert!(said[0].result.as_ref().unwrap().contains("fewer starts"));
    let few = Request { iterations: Some(40), ..asked(&["age", "bmi"], 4) };
    let constant = network.on_shares(&asked(&["age", "constant"], 2));
    assert!(
        matches!(constant.refused(), AnalysisError::Constant { columns } if columns == &["constant"])
    );
    // 80 patients in each cluster at most: none reaches the threshold in every start
    let strict = || Policy { threshold: 90, exposure_percent_max: 100, ..Policy::default() };
    let refused = |network: Network, request: &Request| {
        let runs = [network.on_ideal(request), network.on_shares(request)];
        for run in runs {
            assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
            assert!(run.release.iter().all(|(_, words)| words.is_empty()));
        }
    };
    let none = Policy { residual: Residual::None, ..strict() };
    refused(patients("centre7").under(none), &few);
    // without the 80 of the largest centre fewer than 60 are left in a cluster of at most 150
    let residual = Policy { threshold: 65, ..strict() };
    refused(patients("centre3").under(residual), &few);
    // one patient has more than a hundredth of a sum
    let even =
        Policy { patient_percent_max: 1, threshold: 10, residual: Residual::None, ..strict() };
    refused(patients("centre7").under(even), &few);
    let many = Policy { threshold: 500, ..Policy::default() };
    refused(patients("centre7").under(many), &few);
}
