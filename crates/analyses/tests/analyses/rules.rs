//! The disclosure rules R1 to R9, one by one, on both backends.

use crate::support::{Network, Run, ard, model, number, row_of, summary};
use konsil_analyses::Request;
use konsil_cohort::Dictionary;
use konsil_disclosure::{Mechanism, Noise, Policy, Residual, Rounding};

const DICTIONARY: &str = "name,type,levels,min,max,decimals\nage,integer,,0,120,\n\
    cost,number,,0,1000000,0\nsex,category,F|M,,,\narm,category,A|B,,,\nrare,integer,,0,1,\n\
    bmi,number,,10,60,1\ndied,integer,,0,1,\ntime,integer,,0,9,\nevent,integer,,0,1,\n";

/// One made-up patient.
#[derive(Clone)]
struct Patient {
    age: usize,
    cost: usize,
    sex: &'static str,
    arm: &'static str,
    rare: usize,
    bmi: f64,
    died: usize,
    event: usize,
}

/// An ordinary patient: nothing about them stands out.
fn ordinary(at: usize) -> Patient {
    Patient {
        age: 30 + at * 7 % 40,
        cost: 1000 + at * 37 % 500,
        sex: ["F", "M"][at % 2],
        arm: ["A", "B"][at / 2 % 2],
        rare: 0,
        bmi: 20.0 + ((at * at) % 97) as f64 / 10.0,
        died: at * 5 % 7 % 2,
        event: at % 3 % 2,
    }
}

/// Centres of so many ordinary patients, changed one by one.
fn centres(sizes: &[usize], mut change: impl FnMut(usize, usize, &mut Patient)) -> Network {
    let mut files = Vec::new();
    let mut number = 0;
    for (centre, size) in sizes.iter().enumerate() {
        let mut csv = "age,cost,sex,arm,rare,bmi,died,time,event\n".to_owned();
        for at in 0..*size {
            let mut it = ordinary(number);
            change(centre, at, &mut it);
            let line = format!(
                "{},{},{},{},{},{},{},{},{}\n",
                it.age,
                it.cost,
                it.sex,
                it.arm,
                it.rare,
                it.bmi,
                it.died,
                number * 5 % 8,
                it.event
            );
            csv.push_str(&line);
            number += 1;
        }
        files.push(csv);
    }
    Network::new(Dictionary::parse("rules", DICTIONARY).unwrap(), &files).under(Policy::default())
}

/// Runs on both backends, which must agree.
fn both(network: &Network, request: &Request) -> Run {
    let (ideal, shared) = (network.on_ideal(request), network.on_shares(request));
    match (&ideal.findings, &shared.findings) {
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
        (Ok(_), Ok(_)) => {}
        _ => panic!("{:?} and {:?}", ideal.findings.is_ok(), shared.findings.is_ok()),
    }
    shared
}

fn code(network: &Network, request: &Request) -> Option<&'static str> {
    both(network, request).findings.as_ref().err().map(konsil_analyses::AnalysisError::code)
}

// R2: 30 patients have the level, 25 of them at one centre; without it the others show 5.
#[test]
fn what_is_left_without_one_centre_is_judged() {
    let network = centres(&[60, 60, 60], |centre, at, it| {
        it.sex = if (centre == 0 && at < 25) || (centre == 1 && at < 5) { "M" } else { "F" };
    });
    let request = model("table1", "~ sex");
    let males = |policy: Policy| {
        let network = Network { policy, ..copy(&network) };
        ard(both(&network, &request).table("ard"), ("", "sex", "M", "n"))
    };
    let pooled_only = Policy { residual: Residual::None, ..Policy::default() };
    let shown = |number: f64| !number.is_nan();
    assert!(shown(males(pooled_only)), "30 are enough");
    assert!(!shown(males(Policy::default())), "5 are left without the first centre");
    let all_but_one = Policy { residual: Residual::AllButOne, ..Policy::default() };
    assert!(!shown(males(all_but_one)), "the second centre brings 5");
}

fn copy(network: &Network) -> Network {
    Network {
        dictionary: network.dictionary.clone(),
        centres: network.centres.clone(),
        policy: network.policy.clone(),
        noise: network.noise.clone(),
    }
}

// R2, N-1 mode: every centre brings 12, so that each is hidden among the threshold even from all others.
#[test]
fn large_parts_are_shown_even_to_all_but_one() {
    let network = centres(&[60, 60, 60], |_, at, it| it.sex = if at < 12 { "M" } else { "F" });
    let policy = Policy { residual: Residual::AllButOne, ..Policy::default() };
    let run = both(&network.under(policy), &model("table1", "~ sex"));
    assert!((ard(run.table("ard"), ("", "sex", "M", "n")) - 36.0).abs() < 1e-9);
}

// R3: a cohort that nearly all comes from one centre is that centre's own.
#[test]
fn one_centre_may_not_be_nearly_all() {
    let request = summary(&["age"]);
    assert_eq!(code(&centres(&[400, 15, 15], |_, _, _| ()), &request), Some("K0501"));
    assert_eq!(code(&centres(&[200, 15, 15], |_, _, _| ()), &request), None);
}

// R3: a mean that one patient decides is about that patient.
#[test]
fn one_patient_may_not_decide_a_mean() {
    let network = centres(&[30, 30, 30], |centre, at, it| {
        if (centre, at) == (1, 3) {
            it.cost = 900_000;
        }
    });
    let run = both(&network, &summary(&["cost", "age"]));
    let table = run.table("tidy");
    assert!(number(table, row_of(table, "variable", "cost"), "mean").is_nan());
    assert!(number(table, row_of(table, "variable", "age"), "mean") > 30.0);
}

// R4: 72 patients allow 7 parameters, not 9.
#[test]
fn parameters_need_patients() {
    // so few patients have large leverages, which another rule judges
    let policy = Policy { leverage_percent_max: 50, ..Policy::default() };
    let network = centres(&[24, 24, 24], |_, _, _| ()).under(policy);
    assert_eq!(code(&network, &model("lm", "bmi ~ age + I(age^2) + sex + arm + died")), None);
    let many = "bmi ~ age + I(age^2) + I(age^3) + sex + arm + died + sex:arm + cost";
    assert_eq!(code(&network, &model("lm", many)), Some("K0501"));
}

// R5: a level that 4 patients have would be those four patients' mean.
#[test]
fn a_thin_column_is_refused() {
    let thin = |patients: usize| {
        centres(&[60, 60, 60], move |_, at, it| it.rare = usize::from(at < patients))
    };
    assert_eq!(code(&thin(1), &model("lm", "bmi ~ age + rare")), Some("K0502"));
    assert_eq!(code(&thin(1), &model("glm", "died ~ age + rare")), Some("K0502"));
    assert_eq!(code(&thin(6), &model("lm", "bmi ~ age + rare")), None);
    let sealed = Request { sealed: true, ..model("glm", "died ~ age + rare") };
    assert_eq!(code(&thin(1), &sealed), Some("K0502"));
    // nearly everybody is as thin as nearly nobody
    let full = centres(&[60, 60, 60], |_, at, it| it.rare = usize::from(at > 0));
    assert_eq!(code(&full, &model("lm", "bmi ~ age + rare")), Some("K0502"));
}

// R6: two columns that differ for one patient give that patient's value (Huth et al. 2023).
#[test]
fn two_columns_that_differ_for_one_patient_are_refused() {
    let network = centres(&[60, 60, 60], |centre, at, it| {
        if (centre, at) == (2, 7) {
            it.age = 71;
        } else if it.age > 68 {
            it.age -= 5;
        }
    });
    let attack = "bmi ~ I(age > 50) + I(age > 50 & age < 71)";
    assert_eq!(code(&network, &model("lm", attack)), Some("K0502"));
    assert_eq!(code(&network, &model("lm", "bmi ~ I(age > 50) + I(age > 60)")), None);
}

// R7: an indicator that is written so that it is 0 in nobody singles out as few as a plain one.
#[test]
fn shifted_indicators_of_a_few_are_refused() {
    let thin = |patients: usize| {
        centres(&[60, 60, 60], move |_, at, it| it.rare = usize::from(at < patients))
    };
    let shifted = model("lm", "bmi ~ age + I(1 + (rare == 1))");
    assert_eq!(code(&thin(1), &shifted), Some("K0502"));
    assert_eq!(code(&thin(3), &shifted), Some("K0502"), "nine patients");
    assert_eq!(code(&thin(6), &shifted), None);
}

// R7: one extreme patient decides the slope; their response could be read from it.
#[test]
fn a_patient_who_decides_the_fit_is_refused() {
    let extreme = |cost: usize| {
        centres(&[60, 60, 60], move |centre, at, it| {
            if (centre, at) == (0, 11) {
                it.cost = cost;
            }
        })
    };
    assert_eq!(code(&extreme(500_000), &model("lm", "bmi ~ age + cost")), Some("K0502"));
    assert_eq!(code(&extreme(500_000), &model("glm", "died ~ cost")), Some("K0502"));
    assert_eq!(code(&extreme(1500), &model("lm", "bmi ~ age + cost")), None);
    // a combination of columns that is not 0 in one patient only is the same
    let network = centres(&[60, 60, 60], |centre, at, it| {
        it.age = if (centre, at) == (1, 1) { 51 } else { 30 + 2 * (at % 20) };
    });
    let hinges = "bmi ~ pmax(age, 50) + pmax(age, 51) + pmax(age, 52)";
    assert_eq!(code(&network, &model("lm", hinges)), Some("K0502"));
}

// R8: quartiles of 39 patients have fewer than ten on either side.
#[test]
fn quartiles_need_patients_on_either_side() {
    for (size, shown) in [(13, false), (14, true)] {
        let lax = Policy { exposure_percent_max: 100, found_percent_max: 100, ..Policy::default() };
        let network = centres(&[size, size, size], |_, _, _| ()).under(lax);
        let run = both(&network, &summary(&["age"]));
        let table = run.table("tidy");
        assert!(number(table, 0, "mean") > 30.0);
        assert_eq!(!number(table, 0, "median").is_nan(), shown);
        let lowest = number(table, 0, "q25");
        assert_eq!(lowest.is_nan(), !shown);
        // what is not shown was not found either
        let places = run.words("summary.quartiles");
        assert_eq!(places.iter().all(|it| *it == 0), !shown);
    }
}

// R9: between two shown points at least ten events happen, also without any one centre's.
#[test]
fn curves_show_no_step_of_few() {
    let network = centres(&[80, 80, 80], |_, _, it| it.event = 1);
    let run = both(&network, &model("km", "Surv(time, event) ~ 1"));
    let table = run.table("km");
    assert!(table.rows.len() > 3);
    for row in 0..table.rows.len() {
        assert!(number(table, row, "n.event") >= 15.0, "10 without one of three equal centres");
        assert!(number(table, row, "n.risk") >= 15.0);
    }
    // all events at one centre: to it, the others' part is nothing; to them, it is one centre's own
    let lopsided = centres(&[80, 80, 80], |centre, at, it| {
        it.event = usize::from(centre == 0 || at < 2);
    });
    let run = both(&lopsided, &model("km", "Surv(time, event) ~ 1"));
    assert!(run.findings.is_err() || run.table("km").rows.is_empty());
}

// R9: every number of a rounded curve follows from counts up to each time that are midpoints of six.
#[test]
fn rounded_curves_are_made_of_midpoints_only() {
    let happens = |at: usize| !at.is_multiple_of(5);
    let network = centres(&[80, 80, 80], |_, at, it| it.event = usize::from(happens(at)));
    let network = network.under(Policy { rounding: Rounding::Midpoint6, ..Policy::default() });
    let run = both(&network, &model("km", "Surv(time, event) ~ 1"));
    let table = run.table("km");
    assert!(table.rows.len() > 3);
    let until = |time: f64, events: bool| {
        let own = (0..80_usize).filter(|at| happens(*at) == events && (at * 5 % 8) as f64 <= time);
        (3 * own.count()).div_ceil(6).saturating_mul(6).saturating_sub(3) as f64
    };
    let all = until(9.0, true) + until(9.0, false);
    assert_eq!(number(run.table("tidy"), 0, "records"), all);
    assert_eq!(number(run.table("tidy"), 0, "events"), until(9.0, true));
    let (mut survival, mut row) = (1.0, 0);
    for time in 0..=9 {
        let (now, before) = (f64::from(time), f64::from(time) - 1.0);
        let at_risk = all - until(before, true) - until(before, false);
        let events = until(now, true) - until(before, true);
        survival *= if at_risk > 0.0 { 1.0 - events / at_risk } else { 1.0 };
        if row < table.rows.len() && number(table, row, "time") == now {
            assert!((number(table, row, "surv") - survival).abs() < 1e-9);
            assert_eq!(number(table, row, "n.risk"), at_risk);
            row += 1;
        }
    }
    assert_eq!(row, table.rows.len());
}

// R14: the lonely hidden cell of a level would follow from the level's total in another table.
#[test]
fn columns_of_a_table_hide_a_second_cell() {
    let network = centres(&[90, 90, 90], |_, at, it| {
        it.arm = if at < 45 { "A" } else { "B" };
        it.rare = usize::from((45..46).contains(&at) || (10..35).contains(&at));
    });
    let run = both(&network, &model("table1", "arm ~ rare"));
    let table = run.table("ard");
    for arm in ["A", "B"] {
        assert!(ard(table, (arm, "rare", "1", "n")).is_nan(), "{arm}");
    }
}

// With noise there are no verdicts: every count carries noise of the planned size, no quartile is
// found, and the same question has the same answer.
#[test]
fn noised_tables_have_noise_everywhere() {
    let network = centres(&[90, 90, 90], |_, _, _| ());
    let run = |question: &[u8]| {
        let noise = Noise::new(Mechanism::Gaussian, (50_000_000, 1), (&[3; 32], question));
        let network = Network { noise: Some(noise), ..copy(&network) };
        both_noised(&network, &model("table1", "arm ~ sex + age"))
    };
    let exact = both(&network, &model("table1", "arm ~ sex + age"));
    let (first, again, other) = (run(b"one"), run(b"one"), run(b"two"));
    assert_eq!(first.table("ard"), again.table("ard"));
    assert_ne!(first.table("ard"), other.table("ard"));
    let of = |run: &Run, arm, level| ard(run.table("ard"), (arm, "sex", level, "n"));
    for arm in ["A", "B"] {
        for level in ["F", "M"] {
            let change = of(&first, arm, level) - of(&exact, arm, level);
            // rho 0.05 / 5 each: a deviation of 7, three equal parts of which two must do
            assert!(change.abs() < 60.0, "{change}");
        }
        assert!(ard(first.table("ard"), (arm, "age", "", "median")).is_nan());
        let mean = ard(first.table("ard"), (arm, "age", "", "mean"));
        assert!((20.0..80.0).contains(&mean), "{mean}");
    }
    let changes: f64 =
        ["F", "M"].iter().map(|it| (of(&first, "A", it) - of(&exact, "A", it)).abs()).sum();
    assert!(changes > 0.5);
}

/// Runs on both backends, which draw the same noise.
fn both_noised(network: &Network, request: &Request) -> Run {
    let (ideal, shared) = (network.on_ideal(request), network.on_shares(request));
    assert_eq!(ideal.words("table1.levels"), shared.words("table1.levels"));
    shared
}

// Many numbers about few patients tell who is among them; the limit is on numbers for a patient.
#[test]
fn many_numbers_about_few_are_refused() {
    let network = centres(&[30, 30, 30], |_, _, _| ());
    assert_eq!(code(&network, &summary(&["age", "bmi"])), None);
    assert_eq!(code(&network, &summary(&["age", "bmi", "cost"])), Some("K0501"));
    assert_eq!(code(&network, &model("table1", "arm ~ age + bmi")), Some("K0501"));
}
