//! Regression models equal R: families, weights, robust and cluster standard errors.

use crate::reference::{EXACT, Ledger, json, real};
use crate::support::{Network, Run, model, number, patients, vector};
use konsil_analyses::Request;
use serde_json::Value;

/// Seven centres, and three with an empty fourth.
fn networks() -> [Network; 2] {
    let four = patients("centre3").with_empty_centre();
    [patients("centre7"), four].map(Network::with_large_leverage)
}

/// A text of the reference.
pub(crate) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn request(kind: &str, wanted: &Value) -> Request {
    let [family, link, weights] = ["family", "link", "weights"].map(|key| text(&wanted[key]));
    Request { family, link, weights, ..model(kind, wanted["formula"].as_str().unwrap()) }
}

fn glance(ledger: &mut Ledger, run: &Run, wanted: &Value, pairs: &[(&str, &str)], bound: f64) {
    for (column, key) in pairs {
        let got = number(run.table("glance"), 0, column);
        ledger.near("model", key, (got, real(&wanted[*key])), bound);
    }
}

#[test]
fn families_and_weights_equal_r() {
    for (name, wanted) in json(&vector("glm_models.json")).as_object().unwrap() {
        let request = request("glm", wanted);
        for network in networks() {
            for run in [network.on_ideal(&request), network.on_shares(&request)] {
                let mut ledger = Ledger::default();
                ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
                let mut pairs = vec![
                    ("deviance", "deviance"),
                    ("logLik", "loglik"),
                    ("AIC", "aic"),
                    ("BIC", "bic"),
                ];
                if !request.formula.as_deref().unwrap().contains("offset") {
                    pairs.push(("null.deviance", "null_deviance"));
                }
                if real(&wanted["dispersion"]) != 1.0 {
                    pairs.push(("dispersion", "dispersion"));
                }
                glance(&mut ledger, &run, wanted, &pairs, EXACT);
                if name == "negative_binomial" {
                    let table = run.table("theta");
                    let pair = (number(table, 0, "theta"), real(&wanted["theta"]));
                    ledger.near(name, "theta", pair, EXACT);
                    let pair = (number(table, 0, "std.error"), real(&wanted["theta_se"]));
                    ledger.near(name, "theta error", pair, EXACT);
                }
                ledger.close(&format!("glm {name}"));
            }
        }
    }
}

#[test]
fn robust_standard_errors_equal_r() {
    let [seven, four] = networks();
    for (name, wanted) in json(&vector("lm_models.json")).as_object().unwrap() {
        let asked = request(wanted["kind"].as_str().unwrap(), wanted);
        let check = |request: &Request, key: &str, network: &Network, also_shares: bool| {
            let mut runs = vec![network.on_ideal(request)];
            runs.extend(also_shares.then(|| network.on_shares(request)));
            for run in runs {
                let mut ledger = Ledger::default();
                ledger.coefficients(run.table("tidy"), &wanted[key], EXACT);
                ledger.close(&format!("{name} {key}"));
            }
        };
        for kind in ["HC0", "HC1", "HC2", "HC3"] {
            let request = Request { robust: Some(kind.to_owned()), ..asked.clone() };
            check(&request, kind, &seven, kind == "HC3");
            check(&request, kind, &four, kind == "HC0");
        }
        let by = |name: &str| Request { cluster: Some(name.to_owned()), ..asked.clone() };
        check(&by("months"), "months7", &seven, true);
        check(&by("months"), "months3", &four, false);
        check(&by("centre"), "centre7", &seven, false);
        check(&by("centre"), "centre3", &four, true);
    }
}

#[test]
fn weighted_linear_regression_equals_r() {
    let reference = json(&vector("lm_models.json"));
    for name in ["lm", "lm_weighted"] {
        let wanted = &reference[name];
        let request = request("lm", wanted);
        for network in networks() {
            for run in [network.on_ideal(&request), network.on_shares(&request)] {
                let mut ledger = Ledger::default();
                ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
                let pairs = [
                    ("nobs", "n"),
                    ("logLik", "loglik"),
                    ("AIC", "aic"),
                    ("sigma", "sigma"),
                    ("r.squared", "r2"),
                    ("statistic", "f"),
                ];
                glance(&mut ledger, &run, wanted, &pairs, EXACT);
                ledger.close(&format!("lm {name}"));
            }
        }
    }
}

// What is refused: too few clusters, weights below 0, counts without more spread than Poisson's.
#[test]
fn weights_and_clusters_keep_the_rules() {
    let network = patients("centre7");
    let clustered = Request { cluster: Some("sex".to_owned()), ..model("lm", "bmi ~ age") };
    // two sexes at seven centres are fourteen clusters, at three centres six
    assert!(network.on_ideal(&clustered).findings.is_ok());
    assert_eq!(patients("centre3").on_ideal(&clustered).refused().code(), "K0501");
    for (request, words) in [
        (Request { weights: Some("entry".to_owned()), ..model("lm", "bmi ~ age") }, "below 0"),
        (Request { weights: Some("agee".to_owned()), ..model("lm", "bmi ~ age") }, "did you mean"),
        (Request { cluster: Some("id".to_owned()), ..model("lm", "bmi ~ age") }, "no variable"),
        (Request { robust: Some("HC7".to_owned()), ..model("lm", "bmi ~ age") }, "HC0, HC1"),
        (
            Request { sealed: true, robust: Some("HC0".to_owned()), ..model("glm", "died ~ age") },
            "can be sealed",
        ),
        (
            Request {
                family: Some("gamma".to_owned()),
                link: Some("logit".to_owned()),
                ..model("glm", "bmi ~ age")
            },
            "inverse, log, identity",
        ),
    ] {
        let error = konsil_analyses::prepare(&request, &network.dictionary).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
    let flat = Request {
        family: Some("negative_binomial".to_owned()),
        ..model("glm", "died ~ age + sex")
    };
    assert_eq!(network.on_shares(&flat).refused().code(), "K0223");
}

// Under separation too, where other logistic regressions have no maximum.
#[test]
fn penalised_logistic_regression_equals_its_equations() {
    for (name, wanted) in json(&vector("firth.json")).as_object().unwrap() {
        let request = model("firth", wanted["formula"].as_str().unwrap());
        for network in networks() {
            for run in [network.on_ideal(&request), network.on_shares(&request)] {
                let mut ledger = Ledger::default();
                ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
                let pairs = [("nobs", "n"), ("logLik.penalised", "penalised")];
                glance(&mut ledger, &run, wanted, &pairs, EXACT);
                ledger.close(&format!("firth {name}"));
            }
        }
    }
}

#[test]
fn nested_models_equal_r() {
    for (name, wanted) in json(&vector("anova.json")).as_object().unwrap() {
        let models = wanted["models"].as_array().into_iter().flatten();
        let request = Request {
            formula: text(&wanted["formula"]),
            family: text(&wanted["family"]),
            models: models.filter_map(text).collect(),
            ..model("anova", "")
        };
        for network in networks() {
            for run in [network.on_ideal(&request), network.on_shares(&request)] {
                let (table, mut ledger) = (run.table("anova"), Ledger::default());
                let rows = wanted["rows"].as_array().unwrap();
                assert_eq!(table.rows.len(), rows.len());
                for (at, row) in rows.iter().enumerate() {
                    for (column, key) in [("df.residual", "rest"), ("residual", "residual")] {
                        ledger.near(name, key, (number(table, at, column), real(&row[key])), EXACT);
                    }
                    let pair = (number(table, at, "statistic"), real(&row["statistic"]));
                    ledger.near(name, "statistic", pair, EXACT);
                    if at > 0 {
                        ledger.p_value(name, (number(table, at, "p.value"), real(&row["p"])), 1e-4);
                    }
                }
                ledger.close(&format!("anova {name}"));
            }
        }
    }
}

#[test]
fn comparisons_and_penalties_keep_the_rules() {
    let network = patients("centre7");
    let collinear = model("firth", "died ~ age + half_age + sex");
    assert_eq!(network.on_shares(&collinear).refused().code(), "K0218");
    assert_eq!(network.on_ideal(&model("firth", "I(age > 99) ~ bmi")).refused().code(), "K0501");
    assert_eq!(network.on_ideal(&model("anova", "bmi ~ age + half_age")).refused().code(), "K0218");
    let models = |models: &[&str]| Request {
        formula: None,
        models: models.iter().map(|it| (*it).to_owned()).collect(),
        ..model("anova", "")
    };
    for (request, words) in [
        (models(&["bmi ~ age + sex", "bmi ~ age"]), "smallest to the largest"),
        (models(&["bmi ~ age", "months ~ age + sex"]), "one response"),
        (models(&["bmi ~ age"]), "2 to 20"),
        (model("anova", "bmi ~ age - 1"), "intercept"),
        (model("firth", "bmi ~ age"), "0 or 1"),
    ] {
        let error = konsil_analyses::prepare(&request, &network.dictionary).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}
