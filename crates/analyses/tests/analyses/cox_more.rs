//! Cox regression with robust variances, clusters, case weights, test of proportional hazards and
//! baseline against R; ties, strata, late entry, a centre without events, one of three patients.

use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Run, model, number, patients, row_of, vector};
use konsil_analyses::{Request, prepare};
use konsil_disclosure::{Policy, Residual, Rounding};
use serde_json::Value;

fn request_of(wanted: &Value) -> Request {
    let text = |key: &str| wanted[key].as_str().map(str::to_owned);
    let cluster = text("ask");
    let robust = wanted["robust"].is_array() && cluster.is_none();
    Request {
        ties: text("ties"),
        weights: text("weights"),
        robust: robust.then(|| "HC0".to_owned()),
        cluster,
        zph: wanted["zph"].is_array(),
        concordance: has_concordance(wanted),
        baseline: wanted["baseline"].is_array(),
        points: wanted["baseline"].is_array().then_some(1000),
        // so many events at a time are not to be expected of the events alone
        ties_max: (wanted["ties"] == "efron").then_some(24),
        ..model("cox", wanted["formula"].as_str().unwrap())
    }
}

/// Whether the concordance can be asked for: no strata, late entry, weights.
fn has_concordance(wanted: &Value) -> bool {
    let formula = wanted["formula"].as_str().unwrap();
    let plain = !["strata", "entry"].iter().any(|it| formula.contains(it));
    plain && !wanted["weights"].is_string()
}

fn all(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().map(real).collect(),
        one => vec![real(one)],
    }
}

fn baseline_is(ledger: &mut Ledger, run: &Run, wanted: &Value) {
    let table = run.table("baseline");
    assert!(table.rows.len() > 3);
    let points = wanted.as_array().unwrap();
    for row in 0..table.rows.len() {
        let now = number(table, row, "time");
        let last = points.iter().rfind(|it| real(&it["time"]) <= now).unwrap();
        let pair = (number(table, row, "hazard"), real(&last["hazard"]));
        ledger.near(&format!("at {now}"), "hazard", pair, EXACT);
        assert!(number(table, row, "n.event") >= 10.0 && number(table, row, "n.risk") >= 10.0);
    }
}

fn cox_is(name: &str, run: &Run, wanted: &Value) {
    let mut ledger = Ledger::default();
    let table = run.table("tidy");
    let terms: Vec<&str> = match &wanted["term"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => vec![one.as_str().unwrap()],
    };
    let robust = wanted["robust"] != Value::Null;
    for (at, term) in terms.iter().enumerate() {
        let row = row_of(table, "term", term);
        let of = |key: &str| all(&wanted[key])[at];
        ledger.near(term, "estimate", (number(table, row, "estimate"), of("coef")), EXACT);
        ledger.near(term, "error", (number(table, row, "std.error"), of("se")), EXACT);
        if robust {
            ledger.near(term, "robust", (number(table, row, "robust.se"), of("robust")), EXACT);
            let z = of("coef") / of("robust");
            ledger.near(term, "statistic", (number(table, row, "statistic"), z), EXACT);
        }
    }
    let glance = run.table("glance");
    for (column, key) in
        [("n", "n"), ("nevent", "events"), ("logLik.null", "loglik_null"), ("logLik", "loglik")]
    {
        ledger.near("model", key, (number(glance, 0, column), real(&wanted[key])), EXACT);
    }
    if has_concordance(wanted) {
        let pair = (number(glance, 0, "concordance"), real(&wanted["concordance"]));
        ledger.near("model", "concordance", pair, EXACT);
    }
    if wanted["zph"].is_array() {
        let table = run.table("zph");
        assert_eq!(table.rows.len(), terms.len() + 1);
        for (row, (statistic, p)) in
            all(&wanted["zph"]).into_iter().zip(all(&wanted["zph_p"])).enumerate()
        {
            ledger.near("zph", "zph", (number(table, row, "statistic"), statistic), EXACT);
            ledger.p_value("zph", (number(table, row, "p.value"), p), 1e-4);
        }
    }
    if wanted["baseline"].is_array() {
        baseline_is(&mut ledger, run, &wanted["baseline"]);
    }
    ledger.close(&format!("cox {name}"));
}

fn check(chosen: &[&str]) {
    let reference = json(&vector("cox_more.json"));
    for name in chosen {
        let wanted = &reference[*name];
        let request = request_of(wanted);
        let seven = patients("centre7").with_large_leverage();
        let four = patients("centre3").with_empty_centre().with_large_leverage();
        let of_three = name.ends_with('3');
        let of_seven = name.ends_with('7');
        for (network, skipped) in [(&seven, of_three), (&four, of_seven)] {
            if !skipped {
                cox_is(name, &network.on_ideal(&request), wanted);
                cox_is(name, &network.on_shares(&request), wanted);
            }
        }
    }
}

#[test]
fn cox_robust_proportional_and_baseline_equal_r() {
    check(&["efron", "breslow"]);
}

#[test]
fn cox_extras_with_strata_offset_and_late_entry_equal_r() {
    check(&["strata", "offset", "late"]);
}

#[test]
fn cox_with_case_weights_equals_r() {
    check(&["weights", "weights_breslow", "weights_age"]);
}

#[test]
fn cox_with_clusters_equals_r() {
    check(&["centre7", "centre3", "late7", "stage7", "stage3"]);
}

#[test]
fn cox_extras_that_make_no_sense_are_refused() {
    let dictionary = crate::support::dictionary();
    let asked = |formula: &str, change: &dyn Fn(&mut Request)| {
        let mut request = model("cox", formula);
        change(&mut request);
        prepare(&request, &dictionary).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let plain = "Surv(time, event) ~ age";
    let robust = |kind: &str| Some(kind.to_owned());
    assert!(asked(plain, &|it| it.robust = robust("HC3")).contains("HC0"));
    let late = "Surv(entry, time, event) ~ age";
    assert!(asked(late, &|it| it.robust = robust("HC0")).contains("needs cluster"));
    let strata = "Surv(time, event) ~ age + strata(sex)";
    assert!(asked(strata, &|it| it.baseline = true).contains("without strata"));
    assert!(asked(strata, &|it| it.concordance = true).contains("without strata"));
    assert!(asked(plain, &|it| it.cluster = robust("bmi")).contains("list of levels"));
    assert!(asked(plain, &|it| it.cluster = robust("id")).contains("no variable"));
    assert!(asked(plain, &|it| it.weights = robust("entry")).contains("never below 0"));
    // rounded counts of curves would be undone by a baseline of exact ones
    let rounded = Policy {
        rounding: Rounding::Midpoint6,
        residual: Residual::None,
        exposure_percent_max: 100,
        ..Policy::default()
    };
    let request = Request { baseline: true, ..model("cox", plain) };
    let run = patients("centre7").under(rounded).on_ideal(&request);
    assert!(run.refused().to_string().contains("rounded"));
    assert!(run.release.iter().all(|(_, words)| words.is_empty()));
}
