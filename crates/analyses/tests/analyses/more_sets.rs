//! Trials and cohorts against the numbers of R that lie beside their tables. Skipped,
//! visibly, where the sets are not there.

use crate::reference::{Csv, EXACT, Ledger, json, real, say, shared_set};
use crate::support::{Network, model, number, row_of};
use konsil_analyses::{Request, Table};
use serde_json::Value;

/// A set's patients by centre, the named columns only, and R's numbers.
fn open(
    name: &str,
    centre: &str,
    columns: &[&str],
    fits: fn(&str) -> bool,
) -> Option<(Network, Value)> {
    let folder = shared_set(name)?;
    let mut csv = Csv::read(&folder.join("data.csv"));
    csv.derive("place", centre, str::to_owned);
    csv.keep(&[&["place"], columns].concat());
    // whole numbers that were written with a decimal
    for value in csv.rows.iter_mut().flatten() {
        if let Some(whole) = value.strip_suffix(".0") {
            *value = whole.to_owned();
        }
    }
    let last = columns.len();
    csv.rows.retain(|row| fits(&row[last]));
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data.csv");
    csv.write(&path);
    let network = Network::split(&path, "place", None).with_large_leverage();
    Some((network, json(&folder.join("reference.json"))))
}

fn everybody(_: &str) -> bool {
    true
}

/// A fit's coefficients; R calls the statistic of Cox regression z.
fn fit_is(title: &str, table: &Table, wanted: &Value) {
    fit_is_within(title, table, (wanted, EXACT));
}

fn fit_is_within(title: &str, table: &Table, (wanted, bound): (&Value, f64)) {
    let mut wanted = wanted["coef"].clone();
    for one in wanted.as_array_mut().unwrap() {
        if one["stat"].is_null() {
            one["stat"] = one["z"].clone();
        }
    }
    let mut ledger = Ledger::default();
    ledger.coefficients(table, &wanted, bound);
    ledger.close(title);
}

#[test]
fn colon_cancer_trial_equals_r() {
    let columns = [
        "rx", "sex", "age", "obstruct", "perfor", "adhere", "differ", "extent", "surg", "node4",
        "event", "time",
    ];
    let Some((network, reference)) = open("colon", "centre", &columns, everybody) else {
        return;
    };
    for ties in ["breslow", "efron"] {
        for (key, others) in [
            ("cox", "+ sex + age + obstruct + perfor + adhere + differ + extent + surg + node4"),
            ("cox_rx", ""),
        ] {
            let arms = r#"factor(rx, levels = c("Obs", "Lev", "Lev+5FU"))"#;
            let formula = format!("Surv(time, event) ~ {arms} {others}");
            let request = Request { ties: Some(ties.to_owned()), ..model("cox", &formula) };
            let run = network.on_ideal(&request);
            let wanted = &reference[key][ties];
            fit_is(&format!("colon {key} {ties}"), run.table("tidy"), wanted);
            let mut ledger = Ledger::default();
            let glance = run.table("glance");
            let pair = (number(glance, 0, "logLik"), real(&wanted["loglik"]));
            ledger.near(key, "likelihood", pair, EXACT);
            ledger.close(key);
        }
    }
    let run = network.on_ideal(&model("km", "Surv(time, event) ~ rx"));
    let mut ledger = Ledger::default();
    ledger.log_rank(run.table("glance"), &reference["logrank_rx"]);
    ledger.close("colon log-rank");
}

#[test]
fn hiv_trial_equals_r() {
    let columns = [
        "arms", "treat", "age", "wtkg", "karnof", "cd40", "hemo", "homo", "drugs", "race",
        "gender", "symptom", "str2", "cd420", "event", "time",
    ];
    let Some((network, reference)) = open("actg175", "centre6", &columns, everybody) else {
        return;
    };
    let formula = "Surv(time, event) ~ factor(arms) + age + wtkg + karnof + cd40 + hemo + homo + \
                   drugs + race + gender + symptom + str2";
    let request = Request { ties: Some("efron".to_owned()), ..model("cox", formula) };
    let run = network.on_shares(&request);
    fit_is("actg175 cox", run.table("tidy"), &reference["cox_full"]["efron"]);
    say(&format!("actg175 cox: {:?}, {:?}", run.took, run.cost));
    for (key, formula) in [
        ("ate_cd420_ancova", "cd420 ~ treat + cd40 + age + wtkg + karnof + gender + race + str2"),
        ("interaction", "cd420 ~ treat * age + cd40"),
    ] {
        let run = network.on_shares(&model("lm", formula));
        fit_is(&format!("actg175 {key}"), run.table("tidy"), &reference[key]);
        let mut ledger = Ledger::default();
        let pair = (number(run.table("glance"), 0, "r.squared"), real(&reference[key]["r2"]));
        ledger.near(key, "r2", pair, EXACT);
        ledger.close(key);
    }
    let run = network.on_shares(&model("t_test", "cd420 ~ treat"));
    let (tidy, wanted) = (run.table("tidy"), &reference["ate_cd420_unadj"]);
    let mut ledger = Ledger::default();
    for (column, value) in [
        ("statistic", &wanted["welch_t"]),
        ("parameter", &wanted["df"]),
        ("conf.low", &wanted["ci"][0]),
        ("conf.high", &wanted["ci"][1]),
    ] {
        ledger.near("t test", column, (number(tidy, 0, column), real(value)), EXACT);
    }
    ledger.close("actg175 t test");
    let run = network.on_ideal(&model("km", "Surv(time, event) ~ factor(arms)"));
    let mut ledger = Ledger::default();
    ledger.log_rank(run.table("glance"), &reference["logrank_arms"]);
    ledger.close("actg175 log-rank");
}

#[test]
fn smoking_cohort_equals_r() {
    let columns = [
        "qsmk",
        "sex",
        "race",
        "age",
        "education",
        "smokeintensity",
        "smokeyrs",
        "exercise",
        "active",
        "wt71",
        "wt82_71",
        "death",
        "wt82",
    ];
    let known = |wt82: &str| !wt82.is_empty();
    let Some((network, reference)) = open("nhefs", "centre6", &columns, known) else {
        return;
    };
    let others = "sex + race + age + I(age^2) + factor(education) + smokeintensity + \
                  I(smokeintensity^2) + smokeyrs + I(smokeyrs^2) + factor(exercise) + \
                  factor(active) + wt71 + I(wt71^2)";
    let request = Request {
        family: Some("binomial".to_owned()),
        ..model("glm", &format!("qsmk ~ {others}"))
    };
    let run = network.on_shares(&request);
    // four squares of wide ranges: the raw intercept's variance is a small difference of large numbers,
    // so that its error has six digits only
    fit_is_within("nhefs propensity", run.table("tidy"), (&reference["propensity"], 5e-6));
    say(&format!("nhefs glm, 18 columns: {:?}, {:?}", run.took, run.cost));
    let formula = "wt82_71 ~ qsmk + sex + race + age + I(age^2) + factor(education) + \
                   smokeintensity + smokeyrs + factor(exercise) + factor(active) + wt71 + I(wt71^2)";
    let run = network.on_shares(&model("lm", formula));
    fit_is("nhefs outcome", run.table("tidy"), &reference["outcome_regression"]);
}

#[test]
fn four_centres_equal_r() {
    let columns = [
        "disease", "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang",
        "oldpeak",
    ];
    let Some((network, reference)) = open("heart_uci", "centre", &columns, everybody) else {
        return;
    };
    let formula = "disease ~ age + sex + factor(cp) + trestbps + chol + fbs + factor(restecg) + \
                   thalach + exang + oldpeak";
    let request = Request { family: Some("binomial".to_owned()), ..model("glm", formula) };
    let run = network.on_shares(&request);
    fit_is("heart_uci glm", run.table("tidy"), &reference["flamby_like"]);
    say(&format!("heart_uci glm: {:?}, {:?}", run.took, run.cost));
    let run = network.on_shares(&model("cmh", "disease ~ sex + centre"));
    let (tidy, wanted) = (run.table("tidy"), &reference["mh_sex"]);
    let mut ledger = Ledger::default();
    let pair = (number(tidy, 0, "estimate"), real(&wanted["common_or"]));
    ledger.near("mh", "odds ratio", pair, EXACT);
    ledger.near("mh", "low", (number(tidy, 0, "conf.low"), real(&wanted["ci"][0])), EXACT);
    ledger.close("heart_uci Mantel-Haenszel");
    let run = network.on_shares(&model("chisq", "sex ~ disease"));
    let mut ledger = Ledger::default();
    let pair = (
        number(run.table("tidy"), 0, "statistic.uncorrected"),
        real(&reference["disease_by_sex"]["chisq"]),
    );
    ledger.near("chisq", "statistic", pair, EXACT);
    ledger.close("heart_uci chi-squared");
}

#[test]
fn dementia_sessions_equal_r() {
    let columns = ["nwbv", "age", "sex", "group", "mr_delay"];
    let Some((network, reference)) = open("oasis2_long", "centre6", &columns, everybody) else {
        return;
    };
    let run =
        network.on_shares(&model("lm", "nwbv ~ age + sex + I(group != 'Nondemented') + mr_delay"));
    fit_is("oasis2_long lm", run.table("tidy"), &reference["lm_nwbv_all"]);
    let row = row_of(run.table("tidy"), "term", "mr_delay");
    assert!(number(run.table("tidy"), row, "p.value") > 0.5);
}
