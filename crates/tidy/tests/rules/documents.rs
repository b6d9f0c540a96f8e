//! Documents name what there is, and nothing points at a machine.

use super::{Source, assert_none, crates, line_of, root, sources, texts};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const ARCHITECTURE_LINES_MAX: usize = 250;
/// Where error codes are explained.
const EXPLAIN: &str = "crates/cli/src/explain";

/// Folders of a machine, in pieces: this file must pass too.
const FOLDERS: [[&str; 2]; 4] = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"]];
/// Hosts of package registries.
const REGISTRIES: [[&str; 2]; 9] = [
    ["//crates", ".io"],
    ["index.crates", ".io"],
    ["static.crates", ".io"],
    ["pypi", ".org"],
    ["pythonhosted", ".org"],
    ["registry.npmjs", ".org"],
    ["proxy.golang", ".org"],
    ["deb.debian", ".org"],
    ["cran.r-project", ".org"],
];

fn machine_words(source: &Source) -> Vec<String> {
    let words = FOLDERS.iter().chain(&REGISTRIES).map(|it| it.concat());
    let mut found = Vec::new();
    for word in words {
        for (at, _) in source.text.match_indices(&word) {
            found.push(format!("{}:{}: {word}", source.path, line_of(&source.text, at)));
        }
    }
    found
}

/// Codes such as `K0217`, in order.
fn codes(text: &str) -> BTreeSet<String> {
    let code = |at: usize| {
        let code = text.get(at..at + 5)?;
        let digits = code[1..].chars().all(|it| it.is_ascii_digit());
        (digits && super::is_word(text, at, 5)).then(|| code.to_owned())
    };
    text.match_indices("K0").filter_map(|(at, _)| code(at)).collect()
}

#[test]
fn no_file_names_this_machine_or_a_registry() {
    let violations: Vec<String> = texts().iter().flat_map(machine_words).collect();
    assert_none("no folder of this machine and no registry's host", &violations);
}

/// A mirror's address in the lock file would tie every build to one network.
#[test]
fn the_lock_file_knows_the_public_index_only() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    let index = ["registry+https://github.com/rust-lang/crates", ".io-index"].concat();
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let others = sources.filter(|it| it.trim_matches('"') != index);
    let others: BTreeSet<String> = others.map(str::to_owned).collect();
    assert_none("packages come from the public index", &others.into_iter().collect::<Vec<_>>());
}

#[test]
fn the_architecture_names_every_crate() {
    let text = fs::read_to_string(root().join(ARCHITECTURE));
    let text = text.expect("ARCHITECTURE.md is at the repository's root");
    let lines = text.lines().count();
    let named = |name: &str| {
        [format!("`{name}`"), format!("konsil-{name}"), format!("crates/{name}")]
            .iter()
            .any(|it| text.contains(it))
    };
    let mut violations: Vec<String> = crates().into_iter().filter(|it| !named(it)).collect();
    if lines > ARCHITECTURE_LINES_MAX {
        violations.push(format!("{lines} lines, {ARCHITECTURE_LINES_MAX} are allowed"));
    }
    assert_none("ARCHITECTURE.md is short and names every crate as `name`", &violations);
}

#[test]
fn every_error_code_is_explained() {
    let texts = texts();
    let explains: Vec<&Source> = texts.iter().filter(|it| it.path.starts_with(EXPLAIN)).collect();
    assert!(!explains.is_empty(), "there is no {EXPLAIN}.rs or {EXPLAIN}/ yet");
    let explained: BTreeSet<String> = explains.iter().flat_map(|it| codes(&it.text)).collect();
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources().iter().filter(|it| it.part() == "src") {
        for code in codes(&source.text).difference(&explained) {
            users.entry(code.clone()).or_default().push(source.path.clone());
        }
    }
    let violation =
        |(code, files): (&String, &Vec<String>)| format!("{code} of {}", files.join(", "));
    let violations: Vec<String> = users.iter().map(violation).collect();
    assert_none("`konsil explain` knows every code", &violations);
}

#[test]
fn machine_words_and_codes_are_found() {
    let source = |text: String| Source { path: "README.md".to_owned(), text };
    assert_eq!(machine_words(&source(["see /wo", "rk/a"].concat())).len(), 1);
    assert_eq!(machine_words(&source("the work/a, a crate".to_owned())).len(), 0);
    let found: Vec<String> = codes("\"K0217\", K0114: xK0300 K03 K02171").into_iter().collect();
    assert_eq!(found, ["K0114", "K0217"]);
}

/// A table of requirements is worth what its last column shows.
#[test]
fn tests_that_the_asvs_table_names_are_there() {
    let table = fs::read_to_string(root().join("docs/asvs.csv")).expect("docs/asvs.csv");
    let code: String = sources().iter().map(|it| it.text.as_str()).collect();
    let mut violations = Vec::new();
    for (line, text) in (1..).zip(table.lines()).skip(1) {
        let tests = text.rsplit(',').next().unwrap_or_default();
        for test in tests.split_whitespace() {
            let there = if test.contains('/') {
                root().join(test).exists()
            } else {
                code.contains(&format!("fn {test}("))
            };
            if !there {
                violations.push(format!("docs/asvs.csv:{line}: {test}"));
            }
        }
    }
    assert_none("every test that the table names is there", &violations);
}
