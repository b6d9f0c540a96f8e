//! Cumulative incidences against R's cmprsk: ties, an empty level, a small arm, a centre without
//! events, one of three patients.

use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, row_of, vector};
use konsil_analyses::{AnalysisError, Cell, Request, Table, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal, Residual, Rounding};
use serde_json::Value;

const DICTIONARY: &str = "name,type,levels,min,max\narm,category,A|B|C|S|D,,\ntime,integer,,0,41\n\
                          status,integer,,0,3\n";
const LAST: &str = "name,type,levels,min,max\narm,category,A|B,,\ntime,integer,,0,12\n\
                    status,category,0|1|2,,\n";

fn network(file: &str, dictionary: &str) -> Network {
    let dictionary = Dictionary::parse("causes", dictionary).unwrap();
    Network::split(&vector(file), "centre", Some(dictionary))
}

fn many_points(formula: &str) -> Request {
    Request { points: Some(1000), ..model("cuminc", formula) }
}

/// Shown points against R's at the same time, or before where R has none later.
fn curves_are(ledger: &mut Ledger, table: &Table, wanted: &Value) {
    assert!(table.rows.len() > 3);
    for row in 0..table.rows.len() {
        let text = |column: &str| table.get(row, column).map(Cell::text).unwrap_or_default();
        let stratum = text("strata").replace("arm=", "").replace("All", "1");
        let (outcome, time) = (text("outcome"), number(table, row, "time"));
        let points = wanted["curves"].as_array().unwrap().iter();
        let found = points
            .filter(|it| it["stratum"] == *stratum && it["cause"] == *outcome)
            .rfind(|it| real(&it["time"]) <= time && !real(&it["est"]).is_nan());
        let what = format!("{stratum} {outcome} at {time}");
        let found = found.unwrap_or_else(|| panic!("{what}"));
        ledger.near(
            &what,
            "estimate",
            (number(table, row, "estimate"), real(&found["est"])),
            EXACT,
        );
        ledger.near(&what, "error", (number(table, row, "std.error"), real(&found["se"])), EXACT);
    }
}

fn tests_are(ledger: &mut Ledger, table: &Table, wanted: &Value) {
    for (row, statistic) in wanted["stat"].as_array().unwrap().iter().enumerate() {
        ledger.near("Gray", "test", (number(table, row, "statistic"), real(statistic)), EXACT);
        ledger.near("Gray", "df", (number(table, row, "df"), real(&wanted["df"])), EXACT);
        ledger.p_value("Gray", (number(table, row, "p.value"), real(&wanted["p"][row])), 1e-4);
    }
}

fn both(network: &Network, request: &Request) -> [Run; 2] {
    [network.on_ideal(request), network.on_shares(request)]
}

// Arm S has too few patients and D none: they show nothing and take no part in the test.
#[test]
fn cuminc_equals_r() {
    let reference = json(&vector("cuminc.json"));
    let network = network("causes.csv", DICTIONARY);
    for run in both(&network, &many_points("Surv(time, status) ~ arm")) {
        let mut ledger = Ledger::default();
        curves_are(&mut ledger, run.table("cuminc"), &reference["arm"]);
        tests_are(&mut ledger, run.table("glance"), &reference["arm"]["tests"]);
        ledger.close("cuminc by arm");
        assert!(number(run.table("glance"), 2, "statistic").is_nan(), "nobody had cause 3");
        let tidy = run.table("tidy");
        let small = row_of(tidy, "strata", "arm=S");
        assert!(number(tidy, small, "records").is_nan() && number(tidy, small, "events").is_nan());
        let curves = run.words("cuminc.curves").chunks(2 * 5 * 3);
        for (at, cells) in curves.flat_map(|place| place.chunks(2).enumerate()) {
            let hidden = at % 5 > 2 || at / 5 == 2;
            assert!(!hidden || cells.iter().all(|word| *word == 0), "{at}");
        }
        let events = run.table("cuminc");
        assert!((0..events.rows.len()).all(|row| number(events, row, "n.event") >= 10.0));
    }
    for run in both(&network, &many_points("Surv(time, status) ~ 1")) {
        let mut ledger = Ledger::default();
        curves_are(&mut ledger, run.table("cuminc"), &reference["all"]);
        ledger.close("cuminc of all");
    }
}

// Where all who are left die of two causes at once, variances and test end as in R.
#[test]
fn cuminc_ends_at_nobody_as_in_r() {
    let reference = json(&vector("cuminc.json"));
    let network = network("causes_last.csv", LAST);
    for run in both(&network, &many_points("Surv(time, status) ~ arm")) {
        let mut ledger = Ledger::default();
        curves_are(&mut ledger, run.table("cuminc"), &reference["last"]);
        tests_are(&mut ledger, run.table("glance"), &reference["last"]["tests"]);
        ledger.close("cuminc to the end");
    }
}

// With rounding and the rule about each centre's own part both backends say the same.
#[test]
fn cuminc_keeps_to_its_rules() {
    let strict = Policy {
        rounding: Rounding::Midpoint6,
        residual: Residual::OneCentre,
        exposure_percent_max: 100,
        ..Policy::default()
    };
    let network = network("causes.csv", DICTIONARY).under(strict);
    let [ideal, shared] = both(&network, &many_points("Surv(time, status) ~ arm"));
    for (name, column) in [("cuminc", "estimate"), ("cuminc", "std.error"), ("glance", "statistic")]
    {
        let (a, b) = (ideal.table(name), shared.table(name));
        assert_eq!(a.rows.len(), b.rows.len());
        for row in 0..a.rows.len() {
            let (a, b) = (number(a, row, column), number(b, row, column));
            assert!((a - b).abs() < 1e-6 * b.abs() || (a.is_nan() && b.is_nan()), "{a} {b}");
        }
    }
}

#[test]
fn cuminc_refuses_what_it_cannot_answer() {
    let dictionary = Dictionary::parse("causes", DICTIONARY).unwrap();
    let error =
        |formula: &str| prepare(&model("cuminc", formula), &dictionary).err().unwrap().to_string();
    assert!(error("Surv(time, I(status > 0)) ~ arm").contains("two causes"));
    assert!(error("Surv(time, status) ~ arm + strata(centre)").contains("without strata"));
    assert!(error("status ~ arm").contains("Surv(time, event)"));
    let strict = Policy { threshold: 390, ..Policy::default() };
    let run = network("causes.csv", DICTIONARY).under(strict);
    let run = run.on_shares(&model("cuminc", "Surv(time, status) ~ arm"));
    assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
    assert!(run.release.iter().all(|(_, words)| words.is_empty()));
}
