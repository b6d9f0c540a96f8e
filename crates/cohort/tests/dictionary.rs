//! Dictionaries: reading, writing, refusals with their place, proposals from a file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use konsil_cohort::{CohortError, Dictionary, Kind, Sensitivity};
use proptest::prelude::*;
use std::fs;

const HEADER: &str = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes";

fn infer(file: &str, content: &str) -> Result<Dictionary, CohortError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file);
    fs::write(&path, content).unwrap();
    Dictionary::infer("clinic", &path)
}

// The example of the user's guide, without our own column `decimals`.
#[test]
fn a_dictionary_is_read_and_written() {
    let text = "\
name,label,type,unit,levels,min,max,missing,code,sensitivity,notes
age,Age at diagnosis,number,a,,18,110,-99,,quasi,
sex,Sex,category,,F=female|M=male,,,9,SNOMED 263495000,quasi,
hba1c,HbA1c,number,mmol/mol,,10,200,,LOINC 59261-8,clinical,\"a, b\"
died,Died,boolean,,,,,,,clinical,
";
    let dictionary = Dictionary::parse("hmsp@4", text).unwrap();
    assert_eq!(dictionary.title(), "hmsp v4");
    let age = dictionary.variable("age").unwrap();
    assert_eq!(age.range(), Some((18.0, 110.0)));
    assert_eq!(age.missing, ["-99"]);
    assert_eq!(age.step(), None);
    let sex = dictionary.variable("sex").unwrap();
    assert_eq!(sex.kind, Kind::Category);
    assert_eq!(sex.levels[1].label, "male");
    assert_eq!(sex.sensitivity, Sensitivity::Quasi);
    assert_eq!(dictionary.variable("hba1c").unwrap().notes, "a, b");
    assert_eq!(dictionary.variable("died").unwrap().range(), Some((0.0, 1.0)));
    let again = Dictionary::parse("hmsp@4", &dictionary.to_csv()).unwrap();
    assert_eq!(again, dictionary);
    assert_eq!(again.hash(), dictionary.hash());
    assert_eq!(dictionary.hash().len(), 64);
    assert!(dictionary.to_csv().starts_with(HEADER));
}

#[test]
fn steps_follow_the_decimals() {
    let text = "name,type,decimals\nx,number,2\nn,integer,\ny,number,\n";
    let dictionary = Dictionary::parse("d", text).unwrap();
    let step = |name: &str| dictionary.variable(name).unwrap().step();
    assert_eq!(step("x"), Some(0.01));
    assert_eq!(step("n"), Some(1.0));
    assert_eq!(step("y"), None);
}

// Columns may come in any order, with a byte order mark, semicolons and decimal commas.
#[test]
fn spreadsheets_may_write_it() {
    let text = "\u{feff}type;max;name;min\r\nnumber;7,5;x;0,5\r\n";
    let dictionary = Dictionary::parse("d", text).unwrap();
    assert_eq!(dictionary.variable("x").unwrap().range(), Some((0.5, 7.5)));
}

fn assert_refused(text: &str, line: u64, column: &str, word: &str) {
    let error = Dictionary::parse("hmsp", text).unwrap_err();
    let place = format!("line {line}, column `{column}`: ");
    let shown = error.to_string();
    assert!(shown.contains(&place) && shown.contains(word), "{text}: {shown}");
}

#[test]
fn refusals_name_line_and_column() {
    let row = |row: &str| format!("{HEADER}\n{row}\n");
    let cases = [
        (String::new(), 1, "name", "empty"),
        ("name,type,lable\n".to_owned(), 1, "lable", "did you mean `label`"),
        ("name,type,foo\n".to_owned(), 1, "foo", "known are"),
        ("name,type,name\n".to_owned(), 1, "name", "twice"),
        ("name,label\n".to_owned(), 1, "type", "missing"),
        ("name,type\nx,number\nx,number\n".to_owned(), 3, "name", "twice"),
        ("name,type\nx,number,3\n".to_owned(), 2, "name", "3 fields"),
        (row("1x,,number,,,,,,,,,"), 2, "name", "not a variable name"),
        (row("TRUE,,number,,,,,,,,,"), 2, "name", "not a variable name"),
        (row("x,,numeric,,,,,,,,,"), 2, "type", "number"),
        (row("x,,date,,,,,,,,,"), 2, "type", "not one of"),
        (row("x,,category,,,,,,,,,"), 2, "levels", "needs levels"),
        (row("x,,category,,F|F,,,,,,,"), 2, "levels", "twice"),
        (row("x,,category,,F||M,,,,,,,"), 2, "levels", "without a code"),
        (row("x,,boolean,,F|M,,,,,,,"), 2, "levels", "no levels"),
        (row("x,,integer,,1|b,,,,,,,"), 2, "levels", "not an integer"),
        (row("x,,number,,,abc,,,,,,"), 2, "min", "not a number"),
        (row("x,,number,,,1e999,,,,,,"), 2, "min", "not a number"),
        (row("x,,integer,,,1.5,,,,,,"), 2, "min", "not an integer"),
        (row("x,,number,,,5,3,,,,,"), 2, "max", "below min"),
        (row("x,,category,,F|M,1,,,,,,"), 2, "min", "no min"),
        (row("x,,number,,,,,99,,,,"), 2, "decimals", "whole number"),
        (row("x,,integer,,,,,1,,,,"), 2, "decimals", "only a number"),
        (row("x,,category,,F|M,,,,F,,,"), 2, "missing", "is a level"),
        (row("x,,number,,,,,,a||b,,,"), 2, "missing", "empty field"),
        (row("x,,number,,,,,,,,secret,"), 2, "sensitivity", "not one of"),
    ];
    for (text, line, column, word) in cases {
        assert_refused(&text, line, column, word);
    }
    assert!(Dictionary::parse("hmsp@0", "name,type\n").is_err());
    assert!(Dictionary::parse("hmsp@x", "name,type\n").is_err());
    let levels: Vec<String> = (0..1_001).map(|level| format!("l{level}")).collect();
    let many = row(&format!("x,,category,,{},,,,,,,", levels.join("|")));
    assert!(Dictionary::parse("hmsp", &many).is_err());
}

#[test]
fn a_file_proposes_a_dictionary() {
    let mut file = "id,Age at dx,crp,grade,event,sex,ok,name,empty\n".to_owned();
    for row in 0..80 {
        let sex = if row % 2 == 0 { "M" } else { "F" };
        let crp = if row == 3 { "NA".to_owned() } else { format!("{}.25", row * 2) };
        file.push_str(&format!(
            "{row},{},{crp},{},{},{sex},{},name {row},\n",
            23 + row % 76,
            1 + row % 4,
            row % 2,
            row % 3 == 0,
        ));
    }
    let dictionary = infer("clinic.csv", &file).unwrap();
    let variable = |name: &str| dictionary.variable(name).unwrap();
    assert_eq!(variable("id").sensitivity, Sensitivity::Identifier);
    let age = variable("Age_at_dx");
    assert_eq!((age.kind, age.label.as_str()), (Kind::Integer, "Age at dx"));
    let (min, max) = age.range().unwrap();
    assert!(min < 23.0 && max > 98.0, "{min} {max}");
    let crp = variable("crp");
    assert_eq!((crp.kind, crp.decimals), (Kind::Number, Some(2)));
    assert_eq!(crp.missing, ["NA"]);
    assert_eq!(crp.min, Some(0.0));
    assert_eq!(variable("grade").range(), Some((1.0, 4.0)));
    assert_eq!(variable("event").kind, Kind::Integer);
    assert_eq!(variable("event").range(), Some((0.0, 1.0)));
    let codes: Vec<&str> = variable("sex").levels.iter().map(|l| l.code.as_str()).collect();
    assert_eq!(codes, ["F", "M"]);
    assert_eq!(variable("sex").sensitivity, Sensitivity::Quasi);
    assert_eq!(variable("ok").kind, Kind::Boolean);
    assert_eq!(variable("name").sensitivity, Sensitivity::Identifier);
    assert!(variable("name").levels.is_empty());
    assert_eq!(variable("empty").range(), None);
    let again = Dictionary::parse("clinic", &dictionary.to_csv()).unwrap();
    assert_eq!(again, dictionary);
    assert!(infer("clinic.csv", "a b,a-b\n1,2\n").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_a_dictionary_or_refused(text in "(\\PC|[\n,;|=\"]){0,120}") {
        let _ = Dictionary::parse("d", &text);
        let _ = Dictionary::parse("d", &format!("{HEADER}\n{text}"));
    }

    // What infer() proposes must be readable, and its bounds must hold the file's numbers.
    #[test]
    fn proposals_hold_the_numbers(numbers in prop::collection::vec(-1e6_f64..1e6, 1..20)) {
        let mut file = "x\n".to_owned();
        for number in &numbers {
            file.push_str(&format!("{number:.3}\n"));
        }
        let dictionary = infer("x.csv", &file).unwrap();
        let again = Dictionary::parse("clinic", &dictionary.to_csv()).unwrap();
        let (min, max) = again.variable("x").unwrap().range().unwrap();
        for number in numbers {
            prop_assert!(min <= number + 0.001 && number <= max + 0.001);
        }
    }
}
