//! What is refused, with which words, and that nothing is released when it is.

use crate::support::{Network, Run, model, number, patients};
use konsil_analyses::{AnalysisError, Request, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Refusal};

/// Runs on both backends; both must be refused, and the first is given back.
fn refused(network: &Network, request: &Request) -> Run {
    let on_shares = network.on_shares(request);
    let run = network.on_ideal(request);
    assert_eq!(on_shares.refused().to_string(), run.refused().to_string());
    for run in [&run, &on_shares] {
        assert!(run.release.iter().all(|(_, words)| words.is_empty()), "nothing is released");
    }
    run
}

fn withheld(network: &Network, request: &Request) {
    let run = refused(network, request);
    let error = run.refused();
    assert!(matches!(error, AnalysisError::Withheld(Refusal::TooFew)), "{error}");
    assert_eq!(error.code(), "K0501");
    // one bit is all that the centres learn
    let numbers: u64 = run.ledger.lines().iter().map(|line| line.numbers).sum();
    assert_eq!(numbers, 1);
}

fn each_kind() -> [Request; 11] {
    let by_centre = |request| Request { cluster: Some("centre".to_owned()), ..request };
    [
        crate::support::summary(&["age"]),
        model("table1", "arm ~ sex"),
        model("lm", "bmi ~ age"),
        model("glm", "died ~ age"),
        model("km", "Surv(time, event) ~ arm"),
        model("cox", "Surv(time, event) ~ age"),
        model("survreg", "Surv(I(time + 1), event) ~ age"),
        model("ordinal", "arm ~ age"),
        model("multinom", "arm ~ age"),
        by_centre(model("gee", "died ~ age")),
        by_centre(model("mixed", "bmi ~ age")),
    ]
}

/// Three centres of a few patients each.
fn few(sizes: [usize; 3]) -> Network {
    let dictionary = "name,type,levels,min,max,decimals\nage,number,,0,100,0\nsex,category,F|M,,,\n\
        arm,category,A|B|C,,,\nbmi,number,,10,60,1\ndied,integer,,0,1,\ntime,integer,,0,9,\n\
        event,integer,,0,1,\n";
    let centre = |size: usize| {
        let row = |at: usize| {
            let (age, bmi) = (30 + at * 7 % 60, 20 + at * at % 30);
            format!("{age},F,A,{bmi},{},{},1\n", at % 2, at % 9)
        };
        let rows: String = (0..size).map(row).collect();
        format!("age,sex,arm,bmi,died,time,event\n{rows}")
    };
    Network::new(Dictionary::parse("few", dictionary).unwrap(), &sizes.map(centre))
}

#[test]
fn fewer_than_the_threshold_are_refused() {
    for request in each_kind() {
        withheld(&few([3, 3, 3]), &request);
    }
    // twenty are enough for two parameters
    let enough = few([8, 6, 6]).with_large_leverage();
    assert!(enough.on_ideal(&model("lm", "bmi ~ age")).findings.is_ok());
}

// With two centres each could take its own part away from everything.
#[test]
fn two_contributing_centres_are_refused() {
    for request in each_kind() {
        withheld(&few([20, 20, 0]), &request);
    }
}

#[test]
fn a_stricter_policy_is_obeyed() {
    let strict = Policy { threshold: 250, ..Policy::default() };
    for request in each_kind() {
        withheld(&patients("centre7").under(strict.clone()), &request);
    }
}

// An outcome that all or none have: fewer than the threshold have the other one.
#[test]
fn an_outcome_without_both_values_is_refused() {
    let network = patients("centre7");
    withheld(&network, &model("glm", "I(age > 18) ~ bmi"));
    withheld(&network, &model("glm", "I(age > 99) ~ bmi"));
    withheld(&network, &model("km", "Surv(time, I(age > 99)) ~ arm"));
}

fn collinear(formula: &str, kind: &str, expected: &[&str]) {
    for sealed in [false, kind == "glm"] {
        let request = Request { sealed, ..model(kind, formula) };
        let run = refused(&patients("centre7"), &request);
        let AnalysisError::Collinear { columns } = run.refused() else {
            panic!("{}", run.refused());
        };
        assert_eq!(columns, expected, "{formula}");
        assert_eq!(run.refused().code(), "K0218");
    }
}

// The dictionary has a stage V, no patient has.
#[test]
fn an_unused_level_is_named() {
    collinear("bmi ~ age + stage", "lm", &["stageV"]);
    collinear("died ~ age + stage", "glm", &["stageV"]);
}

#[test]
fn columns_that_depend_on_each_other_are_named() {
    collinear("bmi ~ age + half_age + sex", "lm", &["age", "half_age"]);
    collinear("died ~ age + half_age + sex", "glm", &["age", "half_age"]);
    collinear("Surv(time, event) ~ age + half_age + sex", "cox", &["age", "half_age"]);
}

// Everyone above 62 has `old`: the coefficient runs to infinity.
#[test]
fn separation_is_said() {
    let network = patients("centre7");
    for iterations in [None, Some(25), Some(50)] {
        let request = Request { iterations, ..model("glm", "old ~ I(age > 62) + sex") };
        let run = refused(&network, &request);
        assert!(matches!(run.refused(), AnalysisError::Separation), "{}", run.refused());
        let run = refused(&network, &Request { iterations, ..model("glm", "old ~ age + sex") });
        assert!(matches!(run.refused(), AnalysisError::Separation), "{}", run.refused());
    }
    let tied = Request {
        ties: Some("efron".to_owned()),
        ties_max: Some(2),
        ..model("cox", "Surv(time, event) ~ age")
    };
    let run = refused(&network, &tied);
    assert_eq!(run.refused().code(), "K0219");
    // whoever has an event is one of those with it
    let run = refused(&network, &model("cox", "Surv(time, event) ~ age + I(event > 0)"));
    assert!(matches!(run.refused(), AnalysisError::Separation), "{}", run.refused());
    // sealed, nobody but the researcher may know: the result says that it did not converge
    let sealed = Request { sealed: true, ..model("glm", "old ~ I(age > 62) + sex") };
    for run in [network.on_ideal(&sealed), network.on_shares(&sealed)] {
        assert!(run.found().notes[0].contains("not converged"), "{:?}", run.found().notes);
    }
}

#[test]
fn a_constant_response_has_no_variance() {
    let network = patients("centre7");
    for run in [
        network.on_ideal(&model("lm", "constant ~ age + sex")),
        network.on_shares(&model("lm", "constant ~ age + sex")),
    ] {
        let (tidy, glance) = (run.table("tidy"), run.table("glance"));
        assert!((number(tidy, 0, "estimate") - 4.0).abs() < 1e-9);
        for row in 1..3 {
            assert!(number(tidy, row, "estimate").abs() < 1e-9);
        }
        assert!(number(glance, 0, "sigma") < 1e-4, "{}", number(glance, 0, "sigma"));
        assert!(number(glance, 0, "r.squared").is_nan());
    }
}

#[test]
fn requests_that_make_no_sense_are_explained() {
    let dictionary = crate::support::dictionary();
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = model("glm", "died ~ age");
        change(&mut request);
        request
    };
    for (request, words) in [
        (model("gml", "died ~ age"), "did you mean `glm`?"),
        (model("glm", "bmi ~ age"), "0 or 1"),
        (with(&|it| it.family = Some("gama".to_owned())), "binomial and poisson"),
        (with(&|it| it.iterations = Some(1)), "between 2 and 50"),
        (with(&|it| it.formula = None), "needs a formula"),
        (model("lm", "Surv(time, event) ~ age"), "use km"),
        (model("lm", "bmi ~ age + strata(sex)"), "strata()"),
        (model("km", "Surv(bmi, event) ~ age"), "age"),
        (crate::support::summary(&["sex"]), "table1"),
        (crate::support::summary(&["agee"]), "did you mean `age`?"),
        (crate::support::summary(&["id"]), "names patients"),
        (crate::support::summary(&[]), "names no variables"),
        (model("table1", "arm ~ log(age)"), "names of variables only"),
        (model("table1", "bmi ~ age"), "no levels"),
        (model("lm", "bmi ~ agee"), "age"),
    ] {
        let error = prepare(&request, &dictionary).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
    }
}

// A centre whose responses do not fit the family ends the run; the others do not wait for it.
#[test]
fn a_response_that_does_not_fit_ends_the_run() {
    let mut network = few([10, 10, 10]);
    let request = Request { family: Some("poisson".to_owned()), ..model("glm", "bmi ~ age") };
    let odd = "age,sex,arm,bmi,died,time,event\n50,F,A,22.5,0,1,1\n";
    let odd = Network::new(network.dictionary.clone(), &[odd]);
    network.centres[1] = odd.centres[0].clone();
    let run = network.on_shares(&request);
    assert!(run.refused().to_string().contains("does not fit the family"));
}
