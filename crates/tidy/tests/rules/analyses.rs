//! Each analysis can be checked in one file, and says what it reveals.

use super::{Source, assert_none, line_of, parts, root, sources};
use std::collections::BTreeMap;
use std::fs;

/// Headings of an analysis' module documentation, in order.
const HEADINGS: [&str; 5] = ["# Local step", "# Secure step", "# Opens", "# Release", "# Sources"];
const REGISTRY: &str = "crates/analyses/src/registry.rs";

/// Values of string fields, such as `kind: "km"`, outside comments, with their places.
fn fields(text: &str, field: &str) -> Vec<(usize, String)> {
    let parts = parts(text);
    let pattern = format!("{field}: \"");
    let found = text.match_indices(&pattern).filter(|(at, _)| parts.code[*at..].starts_with(field));
    let value = |at: usize| text[at + pattern.len()..].split('"').next().unwrap().to_owned();
    found.map(|(at, _)| (at, value(at))).collect()
}

fn kinds(sources: &[Source]) -> Vec<String> {
    let registry = sources.iter().find(|it| it.path == REGISTRY).expect(REGISTRY);
    let kinds: Vec<String> = fields(&registry.text, "kind").into_iter().map(|it| it.1).collect();
    assert!(!kinds.is_empty(), "no `kind: \"…\"` in {REGISTRY}");
    kinds
}

/// What is missing in an analysis' file.
fn missing_parts(kind: &str, text: &str) -> Vec<String> {
    let doc = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let headings: Vec<&str> = doc.filter(|line| line.starts_with("# ")).collect();
    let mut missing = Vec::new();
    if headings != HEADINGS {
        missing.push(format!("{kind}: headings are {headings:?}, not {HEADINGS:?}"));
    }
    if !parts(text).code.contains("pub const OPENINGS") {
        missing.push(format!("{kind}: no `pub const OPENINGS`"));
    }
    missing
}

#[test]
fn every_analysis_documents_its_steps_and_openings() {
    let sources = sources();
    let mut violations = Vec::new();
    for kind in kinds(&sources) {
        let names = [format!("{kind}.rs"), format!("{kind}/mod.rs")];
        let own = |it: &&Source| {
            names.iter().any(|name| it.path == format!("crates/analyses/src/{name}"))
        };
        match sources.iter().find(own) {
            Some(source) => violations.extend(missing_parts(&kind, &source.text)),
            None => violations.push(format!("{kind}: no file crates/analyses/src/{kind}.rs")),
        }
    }
    assert_none("an analysis is one file with its headings and OPENINGS", &violations);
}

#[test]
fn every_analysis_has_a_reference_vector() {
    let folder = root().join("crates/analyses/tests/vectors");
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names: Vec<String> =
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    let vector = |kind: &str| {
        let rest = |name: &&String| name.strip_prefix(kind).map(str::to_owned);
        names
            .iter()
            .filter_map(|name| rest(&name))
            .any(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    let without: Vec<String> = kinds(&sources()).into_iter().filter(|kind| !vector(kind)).collect();
    assert_none("a file in crates/analyses/tests/vectors starts with the analysis' name", &without);
}

#[test]
fn names_of_openings_are_unique() {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut violations = Vec::new();
    for source in sources().iter().filter(|it| it.path.starts_with("crates/analyses/src/")) {
        for (at, name) in fields(&source.text, "name") {
            let place = format!("{}:{}", source.path, line_of(&source.text, at));
            if name.contains('.')
                && let Some(other) = seen.insert(name.clone(), place.clone())
            {
                violations.push(format!("{name} in {place} and {other}"));
            }
        }
    }
    assert!(!seen.is_empty(), "no opening was found");
    assert_none("an opening has a name of its own", &violations);
}

#[test]
fn a_missing_heading_is_found() {
    let doc = HEADINGS.map(|it| format!("//! {it}\n//! Text.\n")).concat();
    let good = format!("//! Mean.\n{doc}\npub const OPENINGS: [Opening; 0] = [];\n");
    assert_eq!(missing_parts("mean", &good).len(), 0);
    assert_eq!(missing_parts("mean", &good.replace("# Opens", "Opens")).len(), 1);
    assert_eq!(missing_parts("mean", "//! Mean.\n// pub const OPENINGS\n").len(), 2);
    assert_eq!(fields("// kind: \"a\"\nkind: \"b\"", "kind"), [(13, "b".to_owned())]);
}
