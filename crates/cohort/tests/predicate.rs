//! Cohort definitions: what they keep, what is refused, and one canonical spelling.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use konsil_cohort::{
    CohortError, Dataset, Diagnostic, Dictionary, ImportOptions, Predicate, import,
};
use proptest::prelude::*;

const DICTIONARY: &str = "\
name,type,levels,min,max,sensitivity
id,category,,,,identifier
age,integer,,18,110,
sex,category,F|M,,,
smoker,category,never|former|it's,,,
crp,number,,-100,100,
x.y,number,,-100,100,
dx_ad,boolean,,,,
event,integer,,0,1,
order,integer,,0,9,
";
const PATIENTS: &str = "\
id,age,sex,smoker,crp,x.y,dx_ad,event,order
1,40,F,never,0,1,true,1,0
2,50,M,former,1.5,2,false,0,1
3,60,M,it's,-2,,true,,2
4,,F,,3,4,,1,3
5,80,,never,,5,true,0,4
";

fn dictionary() -> Dictionary {
    Dictionary::parse("hmsp@4", DICTIONARY).unwrap()
}

fn patients() -> Dataset {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.csv");
    std::fs::write(&path, PATIENTS).unwrap();
    import(&path, &dictionary(), &ImportOptions::new("p")).unwrap().0
}

fn parse(text: &str) -> Result<Predicate, Diagnostic> {
    Predicate::parse(text, &dictionary()).map_err(|error| match error {
        CohortError::Predicate(diagnostic) => *diagnostic,
        other => panic!("{other}"),
    })
}

/// Which patients a definition keeps, by their value of `order`.
fn kept(predicate: &Predicate) -> Vec<f64> {
    let cohort = predicate.apply(&patients()).unwrap();
    cohort.numeric("order").unwrap().into_iter().flatten().collect()
}

#[test]
fn definitions_keep_the_right_patients() {
    let cases: [(&str, &[f64]); 33] = [
        ("dx_ad and age >= 50", &[2., 4.]),
        ("age >= 50 AND NOT dx_ad", &[1.]),
        ("event", &[0., 3.]),
        ("not event", &[1., 4.]),
        ("event = 1", &[0., 3.]),
        ("dx_ad = false", &[1.]),
        ("dx_ad <> true", &[1.]),
        ("dx_ad = 1", &[0., 2., 4.]),
        ("true", &[0., 1., 2., 3., 4.]),
        ("false or sex = 'F'", &[0., 3.]),
        ("sex <> 'F'", &[1., 2.]),
        ("'M' = sex", &[1., 2.]),
        ("sex in ('F', 'M')", &[0., 1., 2., 3.]),
        ("smoker not in ('never')", &[1., 2.]),
        ("smoker = 'it''s'", &[2.]),
        ("age in (40, 60)", &[0., 2.]),
        ("age not in (40, 60)", &[1., 4.]),
        ("age between 50 and 60", &[1., 2.]),
        ("age not between 50 and 60", &[0., 4.]),
        ("crp is null", &[4.]),
        ("(sex) is not null and smoker is null", &[3.]),
        ("dx_ad is null", &[3.]),
        ("abs(crp) > 1.4", &[1., 2., 3.]),
        ("coalesce(crp, \"x.y\", 0) >= 3", &[3., 4.]),
        ("least(crp, x.y) < 1", &[0., 2.]),
        ("greatest(crp, x.y) >= 4", &[3., 4.]),
        ("age / 10 - 1 * 2 > 3", &[2., 4.]),
        ("-crp >= 0", &[0., 2.]),
        ("crp * -1 >= 0", &[0., 2.]),
        ("1 / crp > 0", &[1., 3.]),
        ("crp / crp > 0 or crp * 1e308 * 1e10 > 0", &[1., 2., 3.]),
        ("age = 40 or age = 50 or age = 80", &[0., 1., 4.]),
        ("\"order\" < 2 and + age > 45", &[1.]),
    ];
    for (text, expected) in cases {
        let predicate = parse(text).unwrap_or_else(|error| panic!("{}", error.render()));
        assert_eq!(kept(&predicate), expected, "{text}");
        let canonical = predicate.to_sql();
        let again = parse(&canonical).unwrap_or_else(|error| panic!("{}", error.render()));
        assert_eq!(again.to_sql(), canonical, "{text}");
        assert_eq!(kept(&again), expected, "{canonical}");
    }
    let predicate = parse("sex='F' AnD age>=50").unwrap();
    assert_eq!(predicate.to_sql(), "(sex = 'F') AND (age >= 50)");
    assert_eq!(predicate.variables_used(), ["age", "sex"]);
}

// Every refusal: the code, and a word of the message or advice.
#[test]
fn refusals_name_what_is_wrong() {
    let cases = [
        ("", "K0301", "SQL"),
        ("age >", "K0301", "SQL"),
        ("age > 5 age", "K0301", "end"),
        ("age > 5; drop table p", "K0301", "end"),
        ("age > 5 -- all", "K0301", "comments"),
        ("age /* x */ > 5", "K0301", "comments"),
        ("'open", "K0301", "SQL"),
        ("agee > 5", "K0303", "`age`"),
        ("sex = \"M\"", "K0303", "single quotes"),
        ("Age > 5", "K0303", "`age`"),
        ("id = '1'", "K0304", "identifies"),
        ("id is not null", "K0304", "identifies"),
        ("sex like 'F%'", "K0305", "not allowed"),
        ("age in (select age from p)", "K0305", "not allowed"),
        ("exists (select 1)", "K0305", "not allowed"),
        ("(select true)", "K0305", "not allowed"),
        ("cast(age as text) = '5'", "K0305", "not allowed"),
        ("age::text = '5'", "K0305", "not allowed"),
        ("sqrt(age) > 5", "K0305", "not allowed"),
        ("random() > 0.5", "K0305", "not allowed"),
        ("row_number() over () < 5", "K0305", "not allowed"),
        ("abs(distinct age) > 1", "K0305", "not allowed"),
        ("case when age > 5 then true else false end", "K0305", "not allowed"),
        ("age % 2 = 0", "K0305", "not allowed"),
        ("age = null", "K0305", "not allowed"),
        ("age = ?", "K0305", "not allowed"),
        ("dx_ad is true", "K0305", "not allowed"),
        ("age", "K0306", "condition"),
        ("sex", "K0306", "condition"),
        ("'F'", "K0306", "condition"),
        ("age and dx_ad", "K0306", "condition"),
        ("sex < 'M'", "K0306", "no order"),
        ("sex = 1", "K0306", "category"),
        ("sex + 1 > 1", "K0306", "category"),
        ("sex in (1)", "K0306", "levels"),
        ("age in ('F')", "K0306", "number"),
        ("age in (crp + 1)", "K0306", "plain numbers"),
        ("age > 'F'", "K0306", "number"),
        ("(age > 5) > 1", "K0306", "number"),
        ("abs(age, 1) > 1", "K0306", "arguments"),
        ("least() > 1", "K0306", "arguments"),
        ("(age > 5) is null", "K0306", "variable"),
        ("age > 1e999", "K0306", "too large"),
        ("crp = 1.5", "K0307", "equality"),
        ("crp <> 0", "K0307", "equality"),
        ("crp in (1, 2)", "K0307", "equality"),
        ("age / 2 = 20", "K0307", "equality"),
        ("coalesce(age, crp) = 1", "K0307", "equality"),
        ("sex = 'X'", "K0309", "not a level"),
        ("smoker in ('never', 'formre')", "K0309", "former"),
    ];
    for (text, code, word) in cases {
        let error = parse(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert_eq!(error.code, code, "{text}: {error}");
        assert!(error.to_string().contains(word), "{text}: {error}");
        assert!(error.render().contains("┌─ where:"), "{text}");
    }
}

#[test]
fn errors_point_at_the_place() {
    let error = parse("dx_ad\n  and agee > 5").unwrap_err();
    assert_eq!(error.position(), (2, 7));
    assert!(error.render().contains("^^^^ did you mean `age`?"), "{}", error.render());
}

#[test]
fn large_definitions_are_refused_before_they_hurt() {
    let deep = format!("{}age > 5{}", "(".repeat(2_000), ")".repeat(2_000));
    let nots = format!("{}dx_ad", "not ".repeat(1_000));
    let long = format!("age > 5{}", " ".repeat(4_100));
    let sums = format!("age{} > 5", "+1".repeat(2_000));
    let calls = format!("{}age{} > 5", "abs(".repeat(40), ")".repeat(40));
    let signs = format!("age > {}1", "- ".repeat(2_000));
    assert!(parse(&nots).is_err());
    for text in [deep, long, sums, calls, signs] {
        let error = parse(&text).unwrap_err();
        assert_eq!(error.code, "K0302", "{error}");
    }
    for link in [" is null", "::int", " collate x", "[1]", "=1", ".a", "||1"] {
        let chain = format!("age{}", link.repeat(4_000 / link.len()));
        assert!(parse(&chain).is_err(), "{link}");
    }
}

// A long list of conditions is not deep, and runs.
#[test]
fn long_chains_are_fine() {
    let ages: Vec<String> = (18..110).map(|age| format!("age = {age}")).collect();
    let predicate = parse(&ages.join(" or ")).unwrap();
    assert_eq!(kept(&predicate), [0.0, 1.0, 2.0, 4.0]);
    let flags = parse(&vec!["dx_ad"; 400].join(" and ")).unwrap();
    assert_eq!(kept(&flags), [0.0, 2.0, 4.0]);
    let nested = format!("{}age{} > 45", "abs(".repeat(20), ")".repeat(20));
    assert_eq!(kept(&parse(&nested).unwrap()), [1.0, 2.0, 4.0]);
}

#[test]
fn other_dictionaries_and_absent_columns_are_refused() {
    let other = Dictionary::parse("hmsp@5", "name,type\nage,integer\n").unwrap();
    let predicate = Predicate::parse("age > 5", &other).unwrap();
    let error = predicate.apply(&patients()).unwrap_err();
    assert!(matches!(error, CohortError::OtherDictionary { .. }));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.csv");
    std::fs::write(&path, "age\n40\n").unwrap();
    let options = ImportOptions { allow_missing_columns: true, ..ImportOptions::new("p") };
    let (dataset, _) = import(&path, &dictionary(), &options).unwrap();
    let predicate = parse("crp > 5 or age > 5").unwrap();
    assert_eq!(predicate.apply(&dataset).unwrap().rows(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
        if let Err(error) = parse(&text) {
            let _ = error.render();
        }
    }

    #[test]
    fn any_sequence_of_tokens_is_executed_or_refused(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "age", "sex", "crp", "dx_ad", "event", "and", "or", "not", "in", "between", "is",
                "null", "(", ")", ",", "'F'", "1", "0", "1e308", "+", "-", "*", "/", "=", "<",
                ">=", "abs(", "coalesce(", "least(", "case", "select", "true", "::", "[", "{",
            ]),
            0..25,
        )
    ) {
        let text = tokens.join(" ");
        match parse(&text) {
            Ok(predicate) => {
                let again = parse(&predicate.to_sql()).unwrap();
                prop_assert_eq!(kept(&predicate), kept(&again));
            }
            Err(error) => { let _ = error.render(); }
        }
    }
}
