//! Limits, means, trend and strata of Kaplan-Meier curves against R.

use crate::reference::{Csv, EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, row_of, vector};
use konsil_analyses::{Request, prepare};
use konsil_disclosure::{Policy, Residual, Rounding};
use serde_json::Value;

fn reference() -> Value {
    json(&vector("km_more.json"))
}

fn seven() -> Network {
    crate::support::patients("centre7")
}

fn three() -> Network {
    crate::support::patients("centre3")
}

fn everywhere(request: &Request) -> [Run; 4] {
    let (seven, four) = (seven(), three().with_empty_centre());
    [
        seven.on_ideal(request),
        seven.on_shares(request),
        four.on_ideal(request),
        four.on_shares(request),
    ]
}

/// The points of R as a table.
fn table_of(points: &Value) -> Csv {
    let names = ["stratum", "time", "n_risk", "surv", "se", "lower95", "upper95"];
    let text = |one: &Value, name: &str| match &one[name] {
        Value::String(text) => text.clone(),
        Value::Null => "NA".to_owned(),
        other => other.to_string(),
    };
    let rows = points.as_array().unwrap().iter();
    let rows = rows.map(|one| names.iter().map(|name| text(one, name)).collect()).collect();
    Csv { headers: names.map(str::to_owned).to_vec(), rows }
}

#[test]
fn km_limits_of_each_scale_equal_r() {
    let reference = reference();
    for (name, scale) in [("plain", "plain"), ("loglog", "log-log")] {
        let request = Request {
            points: Some(1000),
            conf_type: Some(scale.to_owned()),
            ..model("km", "Surv(time, event) ~ arm")
        };
        for run in everywhere(&request) {
            let wanted = &reference[name];
            let mut ledger = Ledger::default();
            ledger.medians(run.table("tidy"), &wanted["medians"], &["arm=A", "arm=B", "arm=C"]);
            ledger.curve(run.table("km"), &table_of(&wanted["points"]));
            ledger.close(&format!("km {scale}"));
        }
    }
}

#[test]
fn km_means_up_to_a_time_equal_r() {
    let reference = reference();
    for (name, right, labels) in
        [("mean_arm", "arm", &["arm=A", "arm=B", "arm=C"][..]), ("mean_all", "1", &["All"][..])]
    {
        let wanted = &reference[name];
        let of = |key: &str, at: usize| match &wanted[key] {
            Value::Array(all) => real(&all[at]),
            one => real(one),
        };
        let request = Request {
            rmean: wanted["horizon"].as_f64(),
            ..model("km", &format!("Surv(time, event) ~ {right}"))
        };
        for run in everywhere(&request) {
            let mut ledger = Ledger::default();
            let table = run.table("tidy");
            for (at, label) in labels.iter().enumerate() {
                let row = row_of(table, "strata", label);
                ledger.near(label, "rmean", (number(table, row, "rmean"), of("mean", at)), EXACT);
                let pair = (number(table, row, "rmean.std.error"), of("se", at));
                ledger.near(label, "error", pair, EXACT);
            }
            ledger.close("km means");
        }
    }
}

// With few patients left at the horizon there is no mean, and no word of it.
#[test]
fn km_means_need_patients_at_the_horizon() {
    let request = Request { rmean: Some(39.0), ..model("km", "Surv(time, event) ~ arm") };
    for run in everywhere(&request) {
        assert!(number(run.table("tidy"), 0, "rmean").is_nan());
        assert!(run.words("km.means").iter().all(|word| *word == 0));
        assert_eq!(run.words("km.means").len(), 9);
    }
}

fn test_is(run: &Run, wanted: &Value) {
    let mut ledger = Ledger::default();
    ledger.log_rank(run.table("glance"), wanted);
    let trend = run.table("trend");
    ledger.near("trend", "trend", (number(trend, 0, "statistic"), real(&wanted["trend"])), EXACT);
    ledger.p_value("trend", (number(trend, 0, "p.value"), real(&wanted["trend_p"])), 1e-4);
    ledger.close(&format!("km test {}", wanted["formula"]));
}

#[test]
fn km_trend_and_strata_equal_r() {
    let reference = reference();
    for (name, wanted) in reference["tests"].as_object().unwrap() {
        let formula = wanted["formula"].as_str().unwrap();
        let asked = |formula: &str| Request { trend: true, ..model("km", formula) };
        // R knows the centres by a variable, Konsil by themselves
        if let Some(column) = ["centre3", "centre7"].into_iter().find(|it| formula.contains(it)) {
            let request = asked(&formula.replace(column, "centre"));
            let network = if name == "centres" { three().with_empty_centre() } else { seven() };
            test_is(&network.on_ideal(&request), wanted);
            test_is(&network.on_shares(&request), wanted);
            continue;
        }
        for run in everywhere(&asked(formula)) {
            test_is(&run, wanted);
        }
    }
}

// Rounded counts and the rule about each centre's own part go through all that was asked for.
#[test]
fn km_keeps_to_its_rules_with_strata_and_means() {
    let strict = Policy {
        rounding: Rounding::Midpoint6,
        residual: Residual::OneCentre,
        exposure_percent_max: 100,
        ..Policy::default()
    };
    let network = three().under(strict);
    let request = Request {
        trend: true,
        rmean: Some(12.0),
        ..model("km", "Surv(time, event) ~ arm + strata(sex)")
    };
    let (ideal, shared) = (network.on_ideal(&request), network.on_shares(&request));
    for (name, column) in
        [("tidy", "rmean"), ("trend", "statistic"), ("glance", "statistic.log"), ("km", "surv")]
    {
        let (a, b) = (ideal.table(name), shared.table(name));
        assert_eq!(a.rows.len(), b.rows.len());
        for row in 0..a.rows.len() {
            let (a, b) = (number(a, row, column), number(b, row, column));
            assert!((a - b).abs() < 1e-6 * b.abs() || (a.is_nan() && b.is_nan()), "{a} {b}");
        }
    }
    assert!(number(ideal.table("tidy"), 0, "rmean") > 6.0);
}

#[test]
fn km_requests_that_make_no_sense_are_explained() {
    let dictionary = crate::support::dictionary();
    let asked = |change: &dyn Fn(&mut Request)| {
        let mut request = model("km", "Surv(time, event) ~ arm");
        change(&mut request);
        prepare(&request, &dictionary).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(asked(&|it| it.conf_type = Some("logit".to_owned())).contains("log-log and plain"));
    assert!(asked(&|it| it.rmean = Some(41.0)).contains("within the range"));
    assert!(asked(&|it| it.rmean = Some(0.0)).contains("within the range"));
    let alone = Some("Surv(time, event) ~ 1".to_owned());
    let trend = |it: &mut Request| (it.formula, it.trend) = (alone.clone(), true);
    assert!(asked(&trend).contains("needs groups"));
}
