//! A formula or the condition of a cohort, as a researcher sends it to centres: understood, or
//! refused with a place in its text.
#![no_main]

use konsil_cohort::{Design, Dictionary, Formula, Predicate};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const DICTIONARY: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
pid,Patient,category,,,,,,,,identifier,
age,Age,integer,a,,18,110,,,,quasi,
sex,Sex,category,,F=female|M=male,,,,,,quasi,
months,Follow-up,number,mo,,0,600,1,,,clinical,
died,Died,boolean,,,,,,,,clinical,
";

static KNOWN: LazyLock<Dictionary> =
    LazyLock::new(|| Dictionary::parse("fuzz", DICTIONARY).unwrap());

fuzz_target!(|text: &str| {
    if let Err(error) = Predicate::parse(text, &KNOWN) {
        assert!(!error.to_string().is_empty());
    }
    match Formula::parse(text) {
        Ok(formula) => {
            match Design::expand(&formula, &KNOWN) {
                Ok(design) => assert!(!design.describe().is_empty()),
                Err(error) => assert!(error.render().contains(error.code)),
            }
        }
        Err(error) => assert!(error.render().contains(error.code)),
    }
});
