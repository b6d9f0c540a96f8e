//! Comparisons of groups equal R on the made-up patients, on both backends, over three and over seven
//! centres; small groups, wrong questions and constant columns are refused.

use crate::reference::{Ledger, json, real};
use crate::support::{Network, Run, model, number, vector};
use crate::vectors::{seven, three_and_an_empty_one};
use konsil_analyses::{Request, entry, prepare};
use konsil_disclosure::Policy;
use serde_json::Value;

/// The runs of a case: on both backends, on the networks that its numbers hold for.
fn runs(request: &Request, network: &str) -> Vec<Run> {
    let mut networks = match network {
        "seven" => Vec::new(),
        _ => vec![three_and_an_empty_one()],
    };
    if network != "three" {
        networks.push(seven());
    }
    networks.iter().flat_map(|it| [it.on_ideal(request), it.on_shares(request)]).collect()
}

/// Every case of a kind's vector, held to the digits that the registry promises.
fn equals_r(kind: &str) {
    equals_r_in(kind, &format!("{kind}.json"));
}

fn equals_r_in(kind: &str, file: &str) {
    let cases = json(&vector(file));
    let cases = cases.as_array().unwrap();
    assert!(!cases.is_empty(), "no reference for {kind}");
    let bound = 0.1_f64.powi(i32::try_from(entry(kind).unwrap().digits).unwrap());
    let mut ledger = Ledger::default();
    let mut done: Vec<(Value, Vec<Run>)> = Vec::new();
    for case in cases {
        let asked = &case["request"];
        if !done.iter().any(|(known, _)| known == asked) {
            let request: Request = serde_json::from_value(asked.clone()).unwrap();
            let runs = runs(&request, case["network"].as_str().unwrap());
            done.push((asked.clone(), runs));
        }
        let (_, runs) = done.iter().find(|(known, _)| known == asked).unwrap();
        let row = usize::try_from(case["row"].as_u64().unwrap()).unwrap();
        for run in runs {
            let table = run.table(case["table"].as_str().unwrap());
            for (column, wanted) in case["expect"].as_object().unwrap() {
                let pair = (number(table, row, column), real(wanted));
                if column.contains("p.value") {
                    ledger.p_value(&asked.to_string(), pair, bound * 10.0);
                } else {
                    ledger.near(&asked.to_string(), column, pair, bound);
                }
            }
        }
    }
    ledger.close(kind);
}

#[test]
fn t_tests_equal_r() {
    equals_r("t_test");
}

#[test]
fn analysis_of_variance_equals_r() {
    equals_r("oneway");
    equals_r("levene");
}

#[test]
fn rank_tests_equal_r() {
    for kind in ["wilcox", "kruskal", "signed_rank", "ks"] {
        equals_r(kind);
    }
}

#[test]
fn areas_under_curves_equal_proc() {
    equals_r("roc");
}

#[test]
fn validations_equal_r() {
    equals_r("validate");
}

#[test]
fn predictions_of_the_other_centres_equal_r() {
    equals_r("leave_out");
    let run = three_and_an_empty_one().on_ideal(&model("leave_out", "died ~ age + stage"));
    assert!(matches!(run.refused().code(), "K0218" | "K0501" | "K0502"), "{}", run.refused());
    let network = seven();
    let asked = |family: &str, validate: &str| Request {
        family: Some(family.to_owned()),
        validate: Some(validate.to_owned()),
        ..model("glm", "died ~ age + sex")
    };
    let same = network.on_ideal(&asked("binomial", "centre"));
    let own = network.on_ideal(&model("leave_out", "died ~ age + sex"));
    assert_eq!(same.table("calibration"), own.table("calibration"));
    for request in [asked("poisson", "centre"), asked("binomial", "folds")] {
        let error = prepare(&request, &network.dictionary).err().unwrap();
        assert!(error.to_string().contains("by `centre` only"));
    }
    let wrong = prepare(&model("leave_out", "bmi ~ age"), &network.dictionary);
    assert!(wrong.err().unwrap().to_string().contains("two levels"));
}

#[test]
fn concordances_equal_r() {
    equals_r("concordance");
    let network = three_and_an_empty_one();
    let ask = |formula: &str, coefficients: &[f64]| {
        let coefficients = coefficients.to_vec();
        let request = Request { coefficients, ..model("concordance", formula) };
        prepare(&request, &network.dictionary).err().unwrap().to_string()
    };
    assert!(ask("Surv(time, event) ~ age", &[100.0]).contains("steps"));
    assert!(ask("Surv(time, event) ~ age + sex", &[0.1]).contains("1 coefficients for 2"));
    assert!(ask("Surv(time, event) ~ age + strata(sex)", &[0.1]).contains("strata"));
    let few = Request {
        coefficients: vec![0.1; 5],
        ..model("concordance", "Surv(time, event) ~ age + stage")
    };
    for run in [network.on_ideal(&few), network.on_shares(&few)] {
        assert!(matches!(run.refused().code(), "K0218" | "K0502"), "{}", run.refused());
    }
}

#[test]
fn tests_of_tables_equal_r() {
    for kind in ["chisq", "fisher", "mcnemar", "cmh"] {
        equals_r(kind);
    }
}

/// Small bins are hidden; a bin that is hidden alone takes a neighbour along.
#[test]
fn histograms_equal_r() {
    equals_r("histogram");
    let network = three_and_an_empty_one();
    let request = Request { bins: Some(10), ..variables("histogram", &["age"]) };
    for run in [network.on_ideal(&request), network.on_shares(&request)] {
        let table = run.table("histogram");
        let counts: Vec<f64> = (0..table.rows.len()).map(|row| number(table, row, "n")).collect();
        assert!(counts.iter().all(|it| it.is_nan() || *it >= 10.0), "{counts:?}");
    }
    let ask = |request: Request| prepare(&request, &network.dictionary).err().unwrap().to_string();
    assert!(ask(Request { bins: Some(1), ..request }).contains("2 to 100"));
    assert!(ask(variables("histogram", &["sex"])).contains("levels"));
    let far = Request { cutoffs: vec![500.0], ..model("roc", "age ~ died") };
    assert!(ask(far).contains("cutoffs"));
}

/// Predictions that are the same for all, or badly wrong, are never reported as well calibrated.
#[test]
fn a_recalibration_that_did_not_settle_shows_no_slope() {
    let network = three_and_an_empty_one();
    let judged = |coefficients: &[f64]| {
        let coefficients = coefficients.to_vec();
        let request = Request { coefficients, ..model("validate", "died ~ age") };
        network.on_ideal(&request)
    };
    let run = judged(&[0.4, 0.0]);
    assert!(number(run.table("tidy"), 4, "estimate").is_nan());
    assert!(run.found().notes[0].contains("did not settle"), "{:?}", run.found().notes);
    // far off: the same slope as of the gentle model, less steep by the factor
    let gentle = judged(&[-3.2, 0.045]);
    let steep = judged(&[-20.0, 0.28]);
    let slope = |run: &Run| number(run.table("tidy"), 4, "estimate");
    let wanted = slope(&gentle) * 0.045 / 0.28;
    // predictors are cut off at 16
    assert!((slope(&steep) / wanted - 1.0).abs() < 0.05, "{} {wanted}", slope(&steep));
}

/// Whom a request describes beyond everybody: what is compared between requests.
#[test]
fn limits_of_the_researchers_choice_are_sets() {
    let network = three_and_an_empty_one();
    let sizes = |request: &Request| -> Vec<usize> {
        let analysis = prepare(request, &network.dictionary).unwrap();
        let all: Vec<Vec<usize>> = network
            .centres
            .iter()
            .map(|centre| {
                let sets = analysis.pick(centre).unwrap();
                assert_eq!(sets.len(), analysis.sets());
                sets.iter().map(|set| set.iter().filter(|it| **it == Some(true)).count()).collect()
            })
            .collect();
        (0..all[0].len()).map(|at| all.iter().map(|it| it[at]).sum()).collect()
    };
    let roc = |cutoff: f64| Request { cutoffs: vec![cutoff], ..model("roc", "age ~ died") };
    let (first, second) = (sizes(&roc(64.0)), sizes(&roc(64.5)));
    assert_eq!(first.len(), 4);
    assert!(first[2] > second[2] && first[0] == second[0]);
    // a formula that leaves patients out is about others
    let everybody = sizes(&model("lm", "bmi ~ age"))[0];
    let fewer = sizes(&model("lm", "bmi ~ age + cut(months, c(-1, 20, 30))"))[0];
    let listed = sizes(&model("lm", "bmi ~ factor(stage, levels = c('I', 'II'))"))[0];
    assert!(fewer < everybody && listed < everybody, "{everybody} {fewer} {listed}");
    // an indicator between splines picks out patients; a spline's number does not
    let plain = prepare(&model("lm", "bmi ~ rcs(age, 3)"), &network.dictionary).unwrap();
    assert_eq!(plain.sets(), 3);
    let hidden = "bmi ~ rcs(age, c(40, 60, 80)):I((visits > 3) * 1):rcs(months, c(6, 12, 20))";
    let hidden = prepare(&model("lm", hidden), &network.dictionary).unwrap();
    assert_eq!(hidden.sets(), 1 + 2 * 4);
}

#[test]
fn chosen_coefficients_need_ranges_and_no_response() {
    let network = three_and_an_empty_one();
    let ask = |kind: &str, formula: &str, coefficients: &[f64]| {
        let coefficients = coefficients.to_vec();
        let request = Request { coefficients, ..model(kind, formula) };
        prepare(&request, &network.dictionary).err().unwrap().to_string()
    };
    assert!(ask("validate", "died ~ log(visits)", &[-1.0, 0.1]).contains("range"));
    assert!(ask("concordance", "Surv(time, event) ~ log(visits)", &[0.1]).contains("range"));
    let probe = ask("concordance", "Surv(time, event) ~ pmin(time, 5)", &[0.1]);
    assert!(probe.contains("both sides"), "{probe}");
}

/// Bands of risk and cutoffs are merged until all have enough cases and controls, also without any one
/// centre's.
#[test]
fn merged_bands_are_large_enough_without_any_centre() {
    let policy = Policy { exposure_percent_max: 100, ..Policy::default() };
    let network = seven().under(policy);
    let chosen =
        Request { coefficients: vec![-3.2, 0.045, 0.35], ..model("validate", "died ~ age + sex") };
    let (ideal, shares) = (network.on_ideal(&chosen), network.on_shares(&chosen));
    let table = shares.table("calibration");
    assert_eq!(table, ideal.table("calibration"));
    assert!(table.rows.len() > 1);
    for row in 0..table.rows.len() {
        let (n, cases) = (number(table, row, "n"), number(table, row, "cases"));
        assert!(cases >= 10.0 && n - cases >= 10.0, "{n} {cases}");
    }
    let cutoffs = Request { cutoffs: vec![50.0, 55.0, 64.5], ..model("roc", "age ~ died") };
    let run = network.on_shares(&cutoffs);
    let table = run.table("cutoffs");
    assert!(number(table, 0, "sensitivity").is_nan() && number(table, 2, "sensitivity") > 0.5);
}

/// Differences between groups come from numbers that are shown anyway; a hidden one has none.
#[test]
fn differences_in_table_1_equal_r() {
    equals_r_in("table1", "table1_comparison.json");
    let network = three_and_an_empty_one();
    let request = Request { smd: true, tests: true, ..model("table1", "arm ~ rare") };
    let run = network.on_shares(&request);
    let table = run.table("comparison");
    assert!(number(table, 0, "smd").is_nan() && number(table, 0, "p.value").is_nan());
    assert!(table.get(0, "method").unwrap().text().contains("suppressed"));
    let alone = Request { smd: true, ..model("table1", "~ age") };
    assert!(prepare(&alone, &network.dictionary).err().unwrap().to_string().contains("groups"));
}

#[test]
fn correlations_equal_r() {
    for kind in ["cor", "spearman", "pca"] {
        equals_r(kind);
    }
}

fn variables(kind: &str, names: &[&str]) -> Request {
    let variables = names.iter().map(|name| (*name).to_owned()).collect();
    Request { id: "test".to_owned(), kind: kind.to_owned(), variables, ..Request::default() }
}

/// A group with too few patients, a cell with too few: nothing is released, on both backends.
#[test]
fn small_groups_are_refused() {
    let network = three_and_an_empty_one();
    let kinds = [
        model("oneway", "bmi ~ stage"),
        model("levene", "bmi ~ stage"),
        model("kruskal", "bmi ~ stage"),
        model("chisq", "stage ~ sex"),
        model("fisher", "rare ~ arm"),
        variables("mcnemar", &["old", "constant"]),
    ];
    for request in &kinds[..5] {
        for run in [network.on_ideal(request), network.on_shares(request)] {
            assert_eq!(run.refused().code(), "K0501", "{}", request.kind);
            assert!(run.release.iter().all(|(_, words)| words.is_empty()), "{}", request.kind);
        }
    }
    assert!(prepare(&kinds[5], &network.dictionary).is_err());
}

/// Coefficients are free, so that they must not pick out patients: a column of a few is refused, and a
/// step at a value is refused before anybody is looked at.
#[test]
fn chosen_coefficients_pick_out_nobody() {
    let network = three_and_an_empty_one();
    let with = |formula: &str, coefficients: &[f64]| Request {
        coefficients: coefficients.to_vec(),
        ..model("validate", formula)
    };
    let few = with("died ~ age + stage", &[-3.0, 0.04, 0.1, 0.1, 5.0, 0.0]);
    for run in [network.on_ideal(&few), network.on_shares(&few)] {
        assert!(matches!(run.refused().code(), "K0218" | "K0502"), "{}", run.refused());
        assert!(run.release.iter().all(|(_, words)| words.is_empty()));
    }
    let step = prepare(&with("died ~ age", &[-6205.0, 100.0]), &network.dictionary);
    assert!(step.err().unwrap().to_string().contains("steps"));
}

/// One patient whose value makes most of a group's sum.
#[test]
fn one_patient_may_not_make_a_groups_sum() {
    let dictionary = "name,type,levels,min,max\ngroup,category,X|Y,,\ncost,integer,,0,100000\n";
    let dictionary = konsil_cohort::Dictionary::parse("costs", dictionary).unwrap();
    let centre = |most: u32| {
        let row = |at: u32| format!("{},{}\n", ["X", "Y"][usize::from(at % 2 == 1)], 1 + at % 3);
        let rows: String = (0..60).map(row).collect();
        format!("group,cost\n{rows}X,{most}\n")
    };
    for (most, refused) in [(3, false), (100_000, true)] {
        let network = Network::new(dictionary.clone(), &[centre(2), centre(most), centre(1)]);
        for kind in ["t_test", "oneway"] {
            let run = network.on_shares(&model(kind, "cost ~ group"));
            assert_eq!(run.findings.is_err(), refused, "{kind} {most}");
        }
    }
}

#[test]
fn constant_columns_are_named() {
    let network = three_and_an_empty_one();
    for kind in ["cor", "pca"] {
        let run = network.on_shares(&variables(kind, &["age", "constant", "bmi"]));
        assert_eq!(run.refused().code(), "K0222");
        assert!(run.refused().to_string().contains("constant"), "{}", run.refused());
    }
}

/// What is asked wrongly is refused before any patient is looked at, in words that help.
#[test]
fn wrong_questions_are_answered_with_advice() {
    let network = three_and_an_empty_one();
    let with = |kind: &str, formula: &str, set: &dyn Fn(&mut Request)| {
        let mut request = model(kind, formula);
        set(&mut request);
        request
    };
    let none: &dyn Fn(&mut Request) = &|_| {};
    let cases = [
        (with("t_test", "bmi ~ arm", none), "has 3 levels"),
        (with("t_test", "bmi ~ bmi", none), "no levels"),
        (with("t_test", "died ~ sex", none), "chisq"),
        (with("t_test", "bmi ~ sexx", none), "did you mean"),
        (with("t_test", "bmi ~ sex", &|it| it.mu = Some(f64::NAN)), "finite"),
        (with("t_test", "bmi ~ sex", &|it| it.family = Some("x".to_owned())), "does not take"),
        (with("levene", "bmi ~ sex", &|it| it.center = Some("mode".to_owned())), "median and mean"),
        (with("signed_rank", "bmi ~ 1", &|it| it.mu = Some(0.05)), "grid"),
        (with("chisq", "arm ~ arm", none), "itself"),
        (with("validate", "died ~ age", none), "0 coefficients for 2 columns"),
        (with("validate", "bmi ~ age", none), "logistic"),
        (with("cmh", "died ~ sex", none), "strata"),
        (with("cmh", "died ~ arm + stage", none), "two levels"),
        (variables("spearman", &["age", "half_age"]), "too many"),
        (variables("cor", &["age"]), "2 to"),
        (variables("cor", &["age", "age"]), "twice"),
        (variables("mcnemar", &["died", "sex"]), "same two levels"),
    ];
    for (request, words) in cases {
        let error = prepare(&request, &network.dictionary).err().map(|it| it.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains(words), "{}: {error}", request.kind);
    }
}
