//! Formulas and designs: refusals with their place, scaling, responses, survival, strata.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use konsil_cohort::{
    CohortError, Dataset, Design, Dictionary, Formula, FormulaError, GroupedSurvival,
    ImportOptions, Response, import,
};
use proptest::prelude::*;

const DICTIONARY: &str = "\
name,type,levels,min,max,decimals,sensitivity
id,category,,,,,identifier
age,integer,,18,110,,quasi
sex,category,F|M,,,,quasi
smoker,category,never|former|current,,,,
one,category,only,,,,
grade,integer,1=low|2=high,,,,
stage,integer,,1,4,,
count,integer,,0,5000,,
open,number,,,,,
crp,number,,0,50,1,
died,boolean,,,,,
event,integer,,0,1,,
status,integer,,1,2,,
start,number,,0,100,1,
months,number,,0,600,1,
";

const PATIENTS: &str = "\
id,age,sex,smoker,one,grade,stage,count,open,crp,died,event,status,start,months
a,40,F,never,only,1,1,10,1.5,0,true,1,2,0,12
b,60,M,former,only,2,4,20,-2.5,1.5,false,0,1,5,24.5
c,,M,current,only,2,3,30,3,5,true,1,2,0,36
d,80,F,,only,1,2,40,4,10,false,0,1,30,48
e,70,M,current,only,2,2,50,5,20,true,1,2,60,60
";

fn dictionary() -> Dictionary {
    Dictionary::parse("hmsp@5", DICTIONARY).unwrap()
}

fn patients() -> Dataset {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("patients.csv");
    std::fs::write(&path, PATIENTS).unwrap();
    import(&path, &dictionary(), &ImportOptions::new("p")).unwrap().0
}

fn expand(text: &str) -> Result<Design, FormulaError> {
    Design::expand(&Formula::parse(text)?, &dictionary())
}

#[test]
fn errors_look_as_promised() {
    let error = expand("Surv(months, died) ~ age + smoke").unwrap_err();
    let expected = "\
error[K0203]: no variable `smoke` in dictionary hmsp v5
  ┌─ formula:1:28
  │ Surv(months, died) ~ age + smoke
  │                            ^^^^^ did you mean `smoker`?
";
    assert_eq!(error.render(), expected);
    assert_eq!(error.position(), (1, 28));
    let wide = Formula::parse("größe ~ 'ä' §").unwrap_err();
    assert_eq!(wide.position(), (1, 13));
    assert!(wide.render().ends_with("            ^\n"));
}

/// Refused formulas: text, code, a word of the message.
const REFUSED: [(&str, &str, &str); 75] = [
    ("", "K0201", "missing"),
    ("y", "K0201", "expected `~`"),
    ("y ~", "K0201", "missing"),
    ("y ~ a ~ b", "K0201", "one `~`"),
    ("crp ~ (age", "K0201", "expected `)`"),
    ("crp ~ age)", "K0201", "without its `(`"),
    ("crp ~ age sex", "K0201", "operator"),
    ("crp ~ 'F", "K0201", "quote"),
    ("crp ~ `age", "K0201", "not closed"),
    ("crp ~ age %foo% sex", "K0201", "between %"),
    ("crp ~ age $ sex", "K0201", "character"),
    ("crp ~ 2x", "K0201", "runs into"),
    ("crp ~ I(1e999)", "K0201", "too large"),
    ("crp ~ I(age = 3)", "K0212", "one argument"),
    ("crp ~ age = 3", "K0201", "operator"),
    ("crp ~ I(18 < age < 60)", "K0201", "chained"),
    ("crp ~ 'x\\q'", "K0201", "escape"),
    ("crp ~ age + 2", "K0204", "0 and 1"),
    ("crp ~ 'F'", "K0204", "constant"),
    ("crp ~ age^sex", "K0204", "power"),
    ("crp ~ age^11", "K0204", "power"),
    ("crp ~ id", "K0205", "identifies"),
    ("crp ~ scale(age)", "K0206", "not available yet"),
    ("crp ~ poly(age, 2)", "K0206", "not available yet"),
    ("crp ~ bs(age, 3)", "K0206", "not available yet"),
    ("crp ~ age + cluster(id)", "K0206", "not available yet"),
    ("crp ~ I(cut(age, c(0, 50)) == 'x')", "K0209", "not a level"),
    ("crp ~ I(cut(age, c(0, 50)) == '(0,50]')", "K0206", "cannot be compared"),
    ("crp ~ cut(age, c(0, 50), labels = c(1))", "K0212", "breaks"),
    ("crp ~ lgo(age)", "K0207", "unknown function"),
    ("crp ~ I(offset(age))", "K0208", "cannot stand"),
    ("crp ~ log(Surv(months, died))", "K0208", "cannot stand"),
    ("crp ~ strata(sex):age", "K0208", "not available"),
    ("crp ~ I(age:sex)", "K0208", "inside a call"),
    ("crp ~ I(sex == 'X')", "K0209", "not a level"),
    ("~ age", "K0210", "response"),
    ("crp ~ age + crp", "K0210", "right side"),
    ("cut(age, c(0, 50)) ~ sex", "K0210", "response"),
    ("crp ~ log(sex)", "K0211", "category"),
    ("crp ~ I(sex < 'M')", "K0211", "no order"),
    ("crp ~ I(sex == 1)", "K0211", "in quotes"),
    ("crp ~ I(age == 'F')", "K0211", "number"),
    ("crp ~ I(age & died)", "K0211", "condition"),
    ("crp ~ factor(crp)", "K0211", "levels"),
    ("crp ~ factor(count)", "K0211", "levels"),
    ("crp ~ factor(log(age))", "K0211", "calculated"),
    ("crp ~ one", "K0211", "one level"),
    ("crp ~ c(1, 2)", "K0211", "not a term"),
    ("Surv(months, status) ~ age", "K0211", "event"),
    ("crp ~ cut(age, 3)", "K0212", "listed"),
    ("crp ~ cut(age, c(1, 1))", "K0212", "different breaks"),
    ("crp ~ cut(age)", "K0212", "breaks"),
    ("crp ~ log(age, 1)", "K0212", "base"),
    ("crp ~ pmin()", "K0212", "need arguments"),
    ("crp ~ exp(age, sex)", "K0212", "one argument"),
    ("crp ~ strata()", "K0212", "variable"),
    ("crp ~ offset(age, sex)", "K0212", "one argument"),
    ("Surv(months) ~ age", "K0212", "time and event"),
    ("Surv(time = months, died) ~ age", "K0212", "without names"),
    ("crp ~ ns(age)", "K0212", "df or knots"),
    ("crp ~ ns(age, 2.5)", "K0212", "whole number"),
    ("crp ~ ns(age, 3, knots = 50)", "K0212", "df or knots"),
    ("crp ~ ns(age, knots = c(50, 50))", "K0212", "different knots"),
    ("crp ~ ns(age, knots = c(5, 60), Boundary.knots = c(30, 80))", "K0212", "between"),
    ("crp ~ ns(sex, 3)", "K0211", "category"),
    ("crp ~ rcs(age, c(-1e12, 50, 60))", "K0212", "below 10^9"),
    ("crp ~ rcs(age, 2)", "K0212", "knots"),
    ("crp ~ rcs(age, c(30, 50))", "K0212", "three knots"),
    ("crp ~ log(ns(age, 3))", "K0211", "a number is needed"),
    ("crp ~ factor(sex, levels = c('F', 'X'))", "K0209", "not a level"),
    ("crp ~ factor(sex, levels = c(1, 2))", "K0211", "do not fit"),
    ("crp ~ relevel(sex, ref = 'X')", "K0209", "not a level"),
    ("crp ~ I(factor(sex, levels = c('M', 'F')) == 'M')", "K0206", "cannot be compared"),
    ("crp ~ 0", "K0213", "no column"),
    ("Surv(months, died) ~ 1", "K0213", "no column"),
];

#[test]
fn refusals_name_what_is_wrong() {
    for (text, code, word) in REFUSED {
        let error = expand(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert_eq!(error.code, code, "{text}: {error}");
        assert!(error.message.contains(word), "{text}: {error}");
        assert!(error.render().contains("┌─ formula:1:"), "{text}");
    }
}

#[test]
fn large_formulas_are_refused_before_they_hurt() {
    let deep = format!("crp ~ {}age{}", "(".repeat(2_000), ")".repeat(2_000));
    assert_eq!(expand(&deep).unwrap_err().code, "K0202");
    let signs = format!("crp ~ {}age", "-".repeat(4_000));
    assert_eq!(expand(&signs).unwrap_err().code, "K0202");
    let long = format!("crp ~ age{}", " ".repeat(5_000));
    assert_eq!(expand(&long).unwrap_err().code, "K0202");
    let chain = format!("crp ~ age{}", "+age".repeat(1_000));
    assert_eq!(expand(&chain).unwrap_err().code, "K0202");
    let factors: Vec<String> = (1..=7)
        .map(|i| {
            let breaks: Vec<String> = (0..9).map(|b| (b * 10 + i).to_string()).collect();
            format!("cut(age, c({}))", breaks.join(","))
        })
        .collect();
    let columns = format!("crp ~ {}", factors.join(":"));
    assert_eq!(expand(&columns).unwrap_err().code, "K0202");
}

#[test]
fn scaling_comes_from_the_dictionary() {
    let design = expand("crp ~ age + sex + I(age^2) + log(crp) + open + age:sex + event").unwrap();
    let found: Vec<(&str, f64, f64)> =
        design.columns.iter().map(|c| (c.name.as_str(), c.centre, c.scale)).collect();
    let expected = [
        ("(Intercept)", 0.0, 1.0),
        ("age", 64.0, 46.0),
        ("sexM", 0.0, 1.0),
        ("I(age^2)", (324.0 + 12_100.0) / 2.0, (12_100.0 - 324.0) / 2.0),
        ("log(crp)", 0.0, 1.0),
        ("open", 0.0, 1.0),
        ("event", 0.0, 1.0),
        ("age:sexM", 55.0, 55.0),
    ];
    assert_eq!(found, expected);
    assert_eq!(design.response, Response::Numeric { centre: 25.0, scale: 25.0 });
    assert_eq!(design.variables_used(), ["crp", "age", "sex", "open", "event"]);
    assert!(design.describe().contains("age:sexM"));
    let through_zero = expand("crp ~ age - 1").unwrap();
    assert_eq!(through_zero.columns[0].centre, 0.0);
    assert_eq!(through_zero.columns[0].scale, 110.0);
}

#[test]
fn responses_are_recognised() {
    for text in ["died ~ age", "event ~ age", "sex ~ age", "I(crp > 5) ~ age"] {
        assert_eq!(expand(text).unwrap().response, Response::Binary, "{text}");
    }
    let matrix = expand("smoker ~ sex").unwrap().matrix(&patients()).unwrap();
    assert_eq!(matrix.y, [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(matrix.left_out_missing, 1);
    let design = expand("Surv(start, months, status == 2) ~ sex").unwrap();
    assert!(!design.has_intercept);
    let expected = Response::Survival { time_range: Some((0.0, 600.0)), delayed_entry: true };
    assert_eq!(design.response, expected);
}

#[test]
fn matrices_hold_complete_patients_row_by_row() {
    let design = expand("crp ~ age + sex + offset(log(count))").unwrap();
    let matrix = design.matrix(&patients()).unwrap();
    assert_eq!((matrix.rows, matrix.columns, matrix.left_out_missing), (4, 3, 1));
    let expected = [1., 40., 0., 1., 60., 1., 1., 80., 0., 1., 70., 1.];
    assert_eq!(matrix.x, expected);
    assert_eq!(matrix.y, [0.0, 1.5, 10.0, 20.0]);
    assert_eq!(matrix.offset[1], 20_f64.ln());
    assert_eq!(format!("{matrix:?}"), "DesignMatrix(4 x 3)");
    assert_eq!(design.offset.as_deref(), Some("offset(log(count))"));
}

#[test]
fn survival_has_times_events_and_strata() {
    let formula = "Surv(months, died) ~ crp + strata(sex, grade) + strata(centre)";
    let design = expand(formula).unwrap();
    assert_eq!(design.strata, ["sex", "grade"]);
    assert_eq!(design.strata_count, 4);
    assert!(design.strata_by_centre);
    let matrix = design.matrix(&patients()).unwrap();
    assert_eq!(matrix.strata, [0, 3, 3, 0, 3]);
    assert!(matrix.y.is_empty());
    let survival = matrix.survival.unwrap();
    assert_eq!(survival.time, [12.0, 24.5, 36.0, 48.0, 60.0]);
    assert_eq!(survival.event, [true, false, true, false, true]);
    assert!(survival.start.is_none());
    let late = expand("Surv(start, months, died) ~ crp").unwrap();
    let error = late.matrix(&patients()).unwrap_err();
    assert!(matches!(error, CohortError::StartAfterEnd { .. }), "{error}");
}

// A term without a finite value is named; the patient's value is not.
#[test]
fn terms_that_are_not_finite_are_named() {
    for text in ["age ~ log(crp)", "age ~ sqrt(open)", "age ~ I(1/crp)", "log(crp) ~ sex"] {
        let error = expand(text).unwrap().matrix(&patients()).unwrap_err();
        assert!(matches!(error, CohortError::NotFinite { .. }), "{text}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("-2.5") && !shown.contains(" 0 "), "{shown}");
    }
}

#[test]
fn patients_outside_the_breaks_are_left_out() {
    let design = expand("crp ~ cut(age, c(40, 65, 75))").unwrap();
    assert!(design.notes().iter().any(|note| note.contains("left out")));
    let matrix = design.matrix(&patients()).unwrap();
    assert_eq!((matrix.rows, matrix.left_out_missing), (2, 3));
    assert_eq!(matrix.x, [1.0, 0.0, 1.0, 1.0]);
    let all = expand("crp ~ cut(age, c(17, 65, 110))").unwrap();
    assert!(all.notes().is_empty());
}

#[test]
fn levels_of_integers_come_from_the_dictionary() {
    let names = |text: &str| -> Vec<String> {
        let design = expand(text).unwrap();
        design.columns.iter().map(|c| c.name.clone()).collect()
    };
    let stage = ["(Intercept)", "factor(stage)2", "factor(stage)3", "factor(stage)4"];
    assert_eq!(names("crp ~ factor(stage)"), stage);
    assert_eq!(names("crp ~ factor(grade)"), ["(Intercept)", "factor(grade)2"]);
    assert_eq!(names("crp ~ factor(event)"), ["(Intercept)", "factor(event)1"]);
    assert_eq!(names("crp ~ factor(died)"), ["(Intercept)", "factor(died)TRUE"]);
}

#[test]
fn groups_come_from_one_factor() {
    let plan = |text: &str| GroupedSurvival::plan(&Formula::parse(text).unwrap(), &dictionary());
    let by_smoker = plan("Surv(months, died) ~ smoker").unwrap();
    assert_eq!(by_smoker.labels, ["never", "former", "current"]);
    assert_eq!((by_smoker.time.as_str(), by_smoker.event.as_str()), ("months", "died"));
    let rows = by_smoker.rows(&patients()).unwrap();
    assert_eq!(rows.group, [0, 1, 2, 2]);
    assert_eq!(rows.time, [12.0, 24.5, 36.0, 60.0]);
    assert_eq!(rows.left_out_missing, 1);
    let all = plan("Surv(months, event) ~ 1").unwrap();
    assert_eq!(all.labels, ["All"]);
    assert_eq!(all.rows(&patients()).unwrap().group, [0; 5]);
    let condition = plan("Surv(months, event) ~ I(age > 50)").unwrap();
    assert_eq!(condition.labels, ["FALSE", "TRUE"]);
    assert_eq!(condition.rows(&patients()).unwrap().group, [0, 1, 1, 1]);
    let strata = plan("Surv(months, event) ~ smoker + strata(sex)").unwrap();
    assert_eq!((strata.strata_count, strata.strata_by_centre), (2, false));
    assert_eq!(strata.strata, ["sex"]);
    let rows = strata.rows(&patients()).unwrap();
    assert!(rows.stratum.iter().all(|it| *it < 2) && rows.stratum.len() == rows.time.len());
    let centres = plan("Surv(months, event) ~ strata(centre)").unwrap();
    assert_eq!((centres.labels.len(), centres.strata_by_centre), (1, true));
    let causes =
        |text: &str| GroupedSurvival::plan_causes(&Formula::parse(text).unwrap(), &dictionary());
    // of three levels the first means censored
    let smoker = causes("Surv(months, smoker) ~ sex").unwrap();
    assert_eq!(smoker.causes, ["former", "current"]);
    let rows = smoker.rows(&patients()).unwrap();
    assert!(rows.cause.iter().zip(&rows.event).all(|(cause, event)| (*cause > 0) == *event));
    assert_eq!(causes("Surv(months, sex) ~ 1").unwrap_err().code, "K0212");
    assert_eq!(causes("Surv(months, crp) ~ 1").unwrap_err().code, "K0211");
    for (text, code) in [
        ("Surv(months, died) ~ sex:strata(smoker)", "K0208"),
        ("crp ~ sex", "K0210"),
        ("~ sex", "K0210"),
        ("Surv(start, months, died) ~ sex", "K0210"),
        ("Surv(months, died) ~ sex + smoker", "K0208"),
        ("Surv(months, died) ~ sex:smoker", "K0208"),
        ("Surv(months, died) ~ crp", "K0211"),
        ("Surv(months, died) ~ sxe", "K0203"),
    ] {
        assert_eq!(plan(text).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn another_dictionary_is_refused() {
    let other = DICTIONARY.replace("18,110", "18,120");
    let other = Dictionary::parse("hmsp@6", &other).unwrap();
    let design = Design::expand(&Formula::parse("crp ~ age").unwrap(), &other).unwrap();
    let error = design.matrix(&patients()).unwrap_err();
    assert!(matches!(error, CohortError::OtherDictionary { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // No text may bring a centre down.
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
        if let Err(error) = expand(&text) {
            let _ = error.render();
        }
    }

    #[test]
    fn any_sequence_of_tokens_is_parsed_or_refused(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "~", "+", "-", "*", "/", "^", ":", "%in%", "(", ")", "0", "1", "2", ".", "age",
                "sex", "died", "crp", "I(", "log(", "factor(", "cut(", "c(", "Surv(", "strata(",
                "offset(", ",", "==", "<", "&", "|", "!", "'F'", "1e9", "smoker", "pmin(",
            ]),
            0..30,
        )
    ) {
        let text = format!("crp ~ {}", tokens.join(" "));
        match expand(&text) {
            Ok(design) => { let _ = (design.describe(), design.matrix(&patients())); }
            Err(error) => { let _ = error.render(); }
        }
    }

    // R's spelling of a formula means the same formula.
    #[test]
    fn a_formula_written_back_means_the_same(
        tokens in prop::collection::vec(
            prop::sample::select(vec!["age", "sex", "I(age^2)", "log(crp)", "smoker", "(sex + age)"]),
            1..6,
        ),
        operators in prop::collection::vec(prop::sample::select(vec!["+", "*", ":", "/", "-"]), 5),
    ) {
        let mut text = format!("months ~ {}", tokens[0]);
        for (operator, token) in operators.iter().zip(&tokens[1..]) {
            text.push_str(&format!("{operator}{token}"));
        }
        let names = |text: &str| {
            expand(text).map(|d| d.columns.into_iter().map(|c| c.name).collect::<Vec<_>>()).ok()
        };
        let again = Formula::parse(&text).unwrap().to_string();
        prop_assert_eq!(names(&text), names(&again));
    }
}
