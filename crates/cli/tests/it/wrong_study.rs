//! Questions that cannot be asked, or that get no answer; each with its code and exit status.

use crate::lab::{CENTRES, Lab};
use crate::process::Ran;
use crate::studies::{ALL, SHORT, short_where};
use std::fs;

const NETWORK: [&str; 2] = ["--network", "lab/network.toml"];

/// A lab with patients whose processes run.
fn up() -> Lab {
    let lab = Lab::with_patients(240, 31);
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    lab
}

fn run(lab: &Lab, study: &str) -> Ran {
    lab.write("study.toml", study);
    lab.konsil(&["run", "study.toml", "--network", "lab/network.toml", "--out", "r", "--json"])
}

fn ask(lab: &Lab, question: &[&str]) -> Ran {
    lab.konsil(&[question, &NETWORK, &["--out", "r"]].concat())
}

// A mistake in a formula or condition is shown at its place, with what was probably meant.
#[test]
fn mistakes_in_formulas_and_conditions_are_pointed_at() {
    let lab = up();
    let typo = ask(&lab, &["lm", "crp ~ agee + sex"]).exits(2);
    typo.says(&["K0203", "formula:1:7", "│       ^^^^", "did you mean `age`?"]);
    ask(&lab, &["lm", "crp ~"]).exits(2).says(&["K0201"]);
    ask(&lab, &["lm", "crp age"]).exits(2).says(&["K0220", "formula"]);
    ask(&lab, &["lm", "crp ~ pid"]).exits(2).says(&["K0205"]);
    ask(&lab, &["lm", "crp ~ system('id')"]).exits(2).says(&["K0207"]);
    ask(&lab, &["summary", "agee"]).exits(2).says(&["did you mean `age`?"]);
    ask(&lab, &["glm", "died ~ age", "--family", "gama"]).exits(2).says(&["binomial"]);
    for (condition, code, says) in [
        ("agee > 50", "K0303", "did you mean `age`?"),
        ("age >", "K0301", "where:1:"),
        ("pid = 'p1'", "K0304", "pid"),
        ("crp = 1.5", "K0307", "crp"),
        ("sex = 'X'", "K0309", "sex"),
        ("sex > 1", "K0306", "sex"),
        ("age > 1; drop table runs", "K0301", "^"),
        ("age > 1 union select pid from patients", "K03", "^"),
        ("age > 1 -- and sex = 'F'", "K03", "^"),
        ("(select count(*) from patients) > 1", "K03", "^"),
        ("pg_read_file('/etc/passwd') is not null", "K03", "^"),
        ("аge > 1", "K03", "^"),
    ] {
        let ran = ask(&lab, &["summary", "age", "--cohort", condition]);
        ran.exits(2).says(&[code, says, "konsil explain"]);
    }
}

// A condition of ten million letters or ten thousand brackets is refused in a moment.
#[test]
fn enormous_questions_are_refused_quickly() {
    let lab = up();
    let nested = format!("{}age > 1{}", "(".repeat(10_000), ")".repeat(10_000));
    let long = format!("age > 1{}", " or age > 1".repeat(1_000_000));
    let not = format!("{} age > 1", "not ".repeat(100_000));
    for condition in [nested, long, not] {
        let ran = run(&lab, &short_where(&condition)).exits(2).says(&["K0302"]);
        assert!(ran.elapsed.as_secs() < 10, "{:?}", ran.elapsed);
        assert!(ran.err.len() < 10_000, "{} bytes of explanation", ran.err.len());
    }
    let formula = format!("age ~ {}crp{}", "(".repeat(10_000), ")".repeat(10_000));
    lab.write(
        "deep.toml",
        &SHORT
            .replace("kind = \"summary\"", "kind = \"lm\"")
            .replace("variables = [\"age\"]", &format!("formula = \"{formula}\"")),
    );
    let ran = lab.konsil(&[&["plan", "deep.toml"], &NETWORK[..]].concat());
    ran.exits(2).says(&["K0202"]);
}

// A study file's mistakes are named with line and key.
#[test]
fn mistakes_in_study_files_are_named() {
    let lab = up();
    let with = |from: &str, to: &str| {
        assert!(ALL.contains(from), "{from}");
        run(&lab, &ALL.replacen(from, to, 1))
    };
    with("formula =", "formul =").exits(2).says(&["K0704", "line", "did you mean `formula`?"]);
    with("kind = \"km\"", "kind = \"kmm\"").exits(2).says(&["K0220", "kmm", "km"]);
    with("id = \"lm\"", "id = \"../../lm\"").exits(2).says(&["K0704", "../../lm"]);
    with("id = \"lm\"", "id = \"glm\"").exits(2).says(&["K0704", "twice"]);
    with("id = \"all-kinds\"", "id = \"a/b\"").exits(2).says(&["K0704", "letters"]);
    with("[study]", "[study]\nmin_centres = 2").exits(2).says(&["K0704", "3 centres"]);
    with("[study]", "[study]\ncentres = [\"ahorm\"]").exits(2).says(&["ahorm", "ahorn"]);
    with("[study]", "[study]\ncentres = [\"ahorn\", \"eiche\"]").exits(2).says(&["K0705", "3"]);
    with("[study]", "[studie]").exits(2).says(&["K0704", "studie"]);
    with("[[analysis]]", "[release]\nepsilon = 0.5\n[[analysis]]").exits(2).says(&["noise"]);
    with("[[analysis]]", "[release]\nepsilon = 50\n[[analysis]]").exits(2).says(&["between 0"]);
    lab.konsil(&[&["run", "none.toml"], &NETWORK[..]].concat()).exits(1).says(&["none.toml"]);
    run(&lab, "\u{feff}[study").exits(2).says(&["K0704", "line 1"]);
    run(&lab, "").exits(2).says(&["K0704", "study"]);
    assert!(!lab.path("r").exists(), "a place for results that never came");
}

// A centre's rules stand above a study's.
#[test]
fn a_threshold_below_the_policy_is_refused() {
    let lab = up();
    let below = run(&lab, &format!("{SHORT}\n[release]\nthreshold = 9\n")).exits(5);
    below.says(&["K0601", CENTRES[0], "threshold 9", "at least 10"]);
    let above = format!("{SHORT}\n[release]\nthreshold = {}\n", i64::MAX);
    run(&lab, &above).exits(5).says(&["K0601"]);
    let zero = format!("{SHORT}\n[release]\nzero_cells = true\n");
    run(&lab, &zero).exits(5).says(&["K0601", "counts of 0"]);
    assert!(fs::read_dir(lab.path("r")).unwrap().next().is_none(), "something was released");
}

// Too few patients: the fact is all there is, on every screen and in every file.
#[test]
fn too_few_patients_release_no_count() {
    let lab = up();
    for condition in ["age > 109", "age = 44 and sex = 'F' and arm = 'old'"] {
        let ran = run(
            &lab,
            &ALL.replace(
                "[[analysis]]\nid = \"summary\"",
                &format!("[cohort]\nwhere = \"{condition}\"\n\n[[analysis]]\nid = \"summary\"",),
            ),
        );
        let ran = ran.exits(6).says(&["K0501", "Only this fact is released"]);
        for line in ran.out.lines().chain(ran.err.lines()) {
            assert!(!line.contains("patients: "), "{line}");
        }
        let summary: serde_json::Value =
            serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
        for analysis in summary["analyses"].as_array().unwrap() {
            assert_eq!(analysis["tables"], serde_json::json!([]));
            assert_eq!(analysis["withheld"]["code"], "K0501");
        }
        let left = fs::read_dir(lab.path("r")).unwrap();
        let tables = left
            .filter(|it| it.as_ref().unwrap().path().extension().is_some_and(|end| end == "csv"));
        assert_eq!(tables.count(), 0);
        // how long it took and how much was sent is the same for no patient and for a few
        let ledger = fs::read_to_string(lab.path("r/ledger.json")).unwrap();
        let ledger: serde_json::Value = serde_json::from_str(&ledger).unwrap();
        for analysis in ledger["analyses"].as_array().unwrap() {
            let revealed = analysis["revealed"].as_array().unwrap();
            assert!(revealed.iter().all(|line| line["to"] == "centres"), "{analysis}");
        }
    }
}

// Models without an answer say which columns are to blame, and nothing about patients.
#[test]
fn models_without_an_answer_are_withheld_by_name() {
    let lab = up();
    let twice = ask(&lab, &["lm", "crp ~ age + I(2 * age)"]).exits(6);
    twice.says(&["K0218", "collinear", "age", "I(2 * age)"]);
    let sum = ask(&lab, &["glm", "died ~ age + months + I(age + months)"]).exits(6);
    sum.says(&["K0218", "I(age + months)"]);
    let separated = ask(&lab, &["glm", "died ~ I(died / 10)"]).exits(6);
    separated.says(&["K0217", "separation", "drop a term"]);
    assert!(!lab.path("r/glm.tidy.csv").exists());
}
