//! Multiple imputation against R's mice and the truth, within what drawing at random explains; values
//! are missing at random, one centre has three patients. Rubin's rules are held to mice exactly
//! beside their code.

use crate::reference::{json, real, say};
use crate::support::{Network, Run, model, number, row_of, vector};
use konsil_analyses::{AnalysisError, Request, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal};
use serde_json::Value;

const DICTIONARY: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
id,,category,,,,,,,,identifier,
age,Age,integer,a,,18,100,,,,clinical,
group,Group,category,,A|B|C,,,,,,clinical,
smoker,Smokes,integer,,,0,1,,,,clinical,
marker,Marker,number,,,0,110,2,,,clinical,
score,Score,number,,,20,150,2,,,clinical,
event,Event,integer,,,0,1,,,,clinical,
";

fn network() -> Network {
    let dictionary = Dictionary::parse("incomplete", DICTIONARY).unwrap();
    Network::split(&vector("impute.csv"), "centre", Some(dictionary)).with_large_leverage()
}

fn asked(formula: &str, family: &str, imputations: u32, cycles: u32) -> Request {
    Request {
        family: Some(family.to_owned()),
        incomplete: vec!["marker".to_owned(), "smoker".to_owned()],
        imputations: Some(imputations),
        cycles: Some(cycles),
        ..model("impute", formula)
    }
}

/// Estimates within five Monte Carlo errors of mice's, errors within a quarter, the truth within four
/// standard errors, and nearer to it than the complete cases where these are far off.
fn imputed_is(run: &Run, wanted: &Value, imputations: f64) {
    let tidy = run.table("tidy");
    assert_eq!(number(run.table("glance"), 0, "nobs"), real(&wanted["n"]));
    for term in wanted["terms"].as_array().unwrap() {
        let name = term["term"].as_str().unwrap();
        let row = row_of(tidy, "term", name);
        let of = |key: &str| real(&term[key]);
        let (estimate, error) = (number(tidy, row, "estimate"), number(tidy, row, "std.error"));
        let spread = (of("b") * (1.0 / imputations + 1.0 / 200.0)).sqrt();
        let apart = (estimate - of("estimate")) / spread;
        let (ratio, off) = (error / of("se"), (estimate - of("truth")) / error);
        say(&format!("{name}: {apart:.1} Monte Carlo errors, error x {ratio:.2}, truth {off:.1}"));
        assert!(apart.abs() < 5.0, "{name}: {estimate} for {}", of("estimate"));
        assert!((0.75..1.33).contains(&ratio), "{name}: {error} for {}", of("se"));
        assert!(off.abs() < 4.0, "{name}: {estimate}, truth {}", of("truth"));
        let complete = (of("complete_cases") - of("truth")).abs();
        if complete > 4.0 * of("se") {
            assert!((estimate - of("truth")).abs() < complete, "{name}");
        }
        let within = number(tidy, row, "ubar");
        assert!((within / of("ubar") - 1.0).abs() < 0.1, "{name}: {within}");
    }
}

#[test]
fn multiple_imputation_is_that_of_mice() {
    let (network, reference) = (network(), json(&vector("impute.json")));
    for name in ["linear", "logistic"] {
        let wanted = &reference["whole"][name];
        let [formula, family] = ["formula", "family"].map(|key| wanted[key].as_str().unwrap());
        say(name);
        imputed_is(&network.on_ideal(&asked(formula, family, 20, 5)), wanted, 20.0);
        imputed_is(&network.on_shares(&asked(formula, family, 8, 3)), wanted, 8.0);
    }
}

// Where nothing is missing, the model is that of lm and glm, and nothing comes from imputation.
#[test]
fn nothing_missing_is_the_plain_model() {
    let network = network();
    for (family, kind, formula) in
        [("gaussian", "lm", "score ~ age + group"), ("binomial", "glm", "event ~ age + group")]
    {
        let request =
            Request { incomplete: vec!["age".to_owned()], ..asked(formula, family, 2, 1) };
        let plain = network.on_ideal(&model(kind, formula));
        for run in [network.on_ideal(&request), network.on_shares(&request)] {
            let (got, wanted) = (run.table("tidy"), plain.table("tidy"));
            for row in 0..wanted.rows.len() {
                for column in ["estimate", "std.error"] {
                    let (got, wanted) = (number(got, row, column), number(wanted, row, column));
                    assert!((got / wanted - 1.0).abs() < 1e-8, "{column}: {got} for {wanted}");
                }
                assert!(number(got, row, "fmi") < 0.01);
            }
        }
    }
}

#[test]
fn multiple_imputation_refuses_what_it_cannot_answer() {
    let network = network();
    let plain = asked("score ~ age + marker + smoker", "gaussian", 2, 1);
    let error =
        |request: Request| prepare(&request, &network.dictionary).err().unwrap().to_string();
    let incomplete = |names: &[&str]| Request {
        incomplete: names.iter().map(|it| (*it).to_owned()).collect(),
        ..plain.clone()
    };
    assert!(error(incomplete(&[])).contains("1 to 10 incomplete covariates"));
    assert!(error(incomplete(&["score"])).contains("a covariate of the formula"));
    assert!(error(incomplete(&["group"])).contains("a covariate of the formula"));
    assert!(error(incomplete(&["marker", "marker"])).contains("named once"));
    let with = |formula: &str| Request { formula: Some(formula.to_owned()), ..plain.clone() };
    let grouped = Request { incomplete: vec!["group".to_owned()], ..with("score ~ age + group") };
    assert!(error(grouped).contains("3 levels"));
    assert!(error(with("log(score) ~ age + marker + smoker")).contains("as it is"));
    assert!(error(with("score ~ age + marker + smoker - 1")).contains("intercept"));
    assert!(error(Request { imputations: Some(1), ..plain.clone() }).contains("2 to 50"));
    assert!(error(Request { cycles: Some(0), ..plain.clone() }).contains("1 to 20 cycles"));
    let poisson = Request { family: Some("poisson".to_owned()), ..plain.clone() };
    assert!(error(poisson).contains("gaussian and binomial"));
    let numbers = Request { family: Some("binomial".to_owned()), ..plain.clone() };
    assert!(error(numbers).contains("two values"));

    let copy = Request {
        formula: Some("score ~ age + I(3 * age) + marker + smoker".to_owned()),
        ..plain.clone()
    };
    assert!(matches!(network.on_shares(&copy).refused(), AnalysisError::Collinear { .. }));
    // four coefficients and nine numbers of imputation models ask for 1,300 patients at 1 %
    let strict = Policy { parameters_percent_max: 1, ..Policy::default() };
    let strict = self::network().under(strict);
    let none = self::network().under(Policy { threshold: 900, ..Policy::default() });
    for run in [strict.on_ideal(&plain), strict.on_shares(&plain), none.on_shares(&plain)] {
        assert!(matches!(run.refused(), AnalysisError::Withheld(Refusal::TooFew)));
        assert!(run.release.iter().all(|(_, words)| words.is_empty()));
    }
}
