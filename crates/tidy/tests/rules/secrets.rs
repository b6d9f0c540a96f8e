//! Secrets have no derived text.

use super::{Source, assert_none, has_word, is_word, line_of, parts, sources};

/// Types that hold shares, keys, masks, patients, or sums of one centre's patients.
const SECRET: [&str; 16] = [
    "Shared",
    "Bits",
    "Seed",
    "Prg",
    "Masked",
    "DesignMatrix",
    "Dataset",
    "Membership",
    "Said",
    "Key",
    "Identity",
    "Rows",
    "Moments",
    "GramSums",
    "FitSums",
    "GridCounts",
];
/// Traits that would write them out.
const WRITES: [&str; 2] = ["Debug", "Serialize"];

fn derived_text(source: &Source) -> Vec<String> {
    let code = parts(&source.text).code;
    let mut found = Vec::new();
    for keyword in ["struct ", "enum "] {
        for (at, _) in code.match_indices(keyword) {
            let after = &code[at + keyword.len()..];
            let name = after.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap();
            if !SECRET.contains(&name) || !is_word(&code, at, keyword.len() - 1) {
                continue;
            }
            // Attributes hold no brace or semicolon: the item before ends at the last one.
            let start = code[..at].rfind(['{', '}', ';']).map_or(0, |it| it + 1);
            let attributes = &code[start..at];
            for attribute in attributes.split("derive(").skip(1) {
                let traits = attribute.split(')').next().unwrap();
                for name_of_trait in WRITES.iter().filter(|it| has_word(traits, it)) {
                    let line = line_of(&code, at);
                    found.push(format!("{}:{line}: {name} derives {name_of_trait}", source.path));
                }
            }
        }
    }
    found
}

#[test]
fn secrets_derive_no_text() {
    let violations: Vec<String> = sources().iter().flat_map(derived_text).collect();
    assert_none("shares, keys and patients have no derived Debug or Serialize", &violations);
}

#[test]
fn every_secret_type_exists() {
    let code: Vec<String> = sources().iter().map(|it| parts(&it.text).code).collect();
    let there = |name: &&str| code.iter().any(|it| has_word(it, &format!("struct {name}")));
    let gone: Vec<String> =
        SECRET.iter().filter(|it| !there(it)).map(|it| (*it).to_owned()).collect();
    assert_none("a secret type that was renamed is renamed in the rule", &gone);
}

#[test]
fn a_derived_text_is_found() {
    let found = |text: &str| {
        let (path, text) = ("crates/mpc/src/lib.rs".to_owned(), text.to_owned());
        derived_text(&Source { path, text }).len()
    };
    assert_eq!(found("#[derive(Clone, Debug)]\n/// A share.\npub struct Shared {\n}"), 1);
    assert_eq!(found("#[derive(\n    Clone,\n    serde::Serialize,\n)]\nstruct Key(u8);"), 1);
    assert_eq!(found("#[derive(Debug)]\nstruct A;\n#[derive(Clone)]\nstruct Key;"), 0);
    assert_eq!(found("#[derive(Debug)]\nstruct Keyring;"), 0);
}
