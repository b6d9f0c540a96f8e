//! The bill of materials is what is built, under licences of `deny.toml` only.

use super::{assert_none, root};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

const LIST: &str = "crates/cli/sbom.csv";

struct Row {
    name: String,
    version: String,
    licence: String,
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// The rows of the bill of materials.
fn rows() -> Vec<Row> {
    let text = read(LIST);
    let (head, rows) = text.split_once('\n').expect("a list begins with its head");
    assert_eq!(head, "name,version,licence");
    let row = |line: &str| {
        let fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        let fields: Result<[String; 3], _> = fields.try_into();
        let [name, version, licence] = fields.expect("name, version and licence");
        Row { name, version, licence }
    };
    rows.lines().map(row).collect()
}

/// The licences of `deny.toml`, for every crate and for single ones.
struct Allowed {
    all: BTreeSet<String>,
    exceptions: BTreeSet<(String, String)>,
}

impl Allowed {
    fn read(text: &str) -> Self {
        let table: toml::Table = text.parse().expect("deny.toml is TOML");
        let words = |list: &toml::Value| -> Vec<String> {
            let list = list.as_array().expect("a list of licences");
            list.iter().map(|it| it.as_str().expect("a licence").to_owned()).collect()
        };
        let licences = &table["licenses"];
        let mut exceptions = BTreeSet::new();
        for it in licences["exceptions"].as_array().expect("a list of exceptions") {
            let name = it["crate"].as_str().expect("the name of a crate");
            exceptions.extend(words(&it["allow"]).into_iter().map(|id| (name.to_owned(), id)));
        }
        Self { all: words(&licences["allow"]).into_iter().collect(), exceptions }
    }

    fn one(&self, name: &str, licence: &str) -> bool {
        let exception = (name.to_owned(), licence.to_owned());
        self.all.contains(licence) || self.exceptions.contains(&exception)
    }

    /// Whether an SPDX expression can be met with allowed licences; `None` where it is none.
    fn meets(&self, name: &str, expression: &str) -> Option<bool> {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ");
        let tokens: Vec<&str> = spaced.split_whitespace().collect();
        let (met, rest) = self.either(name, &tokens)?;
        rest.is_empty().then_some(met)
    }

    fn either<'a>(&self, name: &str, tokens: &'a [&'a str]) -> Option<(bool, &'a [&'a str])> {
        let (mut met, mut rest) = self.both(name, tokens)?;
        while let Some(("OR", more)) = rest.split_first().map(|(first, rest)| (*first, rest)) {
            let (other, left) = self.both(name, more)?;
            (met, rest) = (met || other, left);
        }
        Some((met, rest))
    }

    fn both<'a>(&self, name: &str, tokens: &'a [&'a str]) -> Option<(bool, &'a [&'a str])> {
        let (mut met, mut rest) = self.single(name, tokens)?;
        while let Some(("AND", more)) = rest.split_first().map(|(first, rest)| (*first, rest)) {
            let (other, left) = self.single(name, more)?;
            (met, rest) = (met && other, left);
        }
        Some((met, rest))
    }

    fn single<'a>(&self, name: &str, tokens: &'a [&'a str]) -> Option<(bool, &'a [&'a str])> {
        match tokens {
            ["(", rest @ ..] => {
                let (met, rest) = self.either(name, rest)?;
                let (first, rest) = rest.split_first()?;
                (*first == ")").then_some((met, rest))
            }
            [")" | "AND" | "OR" | "WITH", ..] | [] => None,
            [id, "WITH", exception, rest @ ..] => {
                Some((self.one(name, &format!("{id} WITH {exception}")), rest))
            }
            [id, rest @ ..] => Some((self.one(name, id), rest)),
        }
    }
}

// What a data-protection officer is shown must be what runs.
#[test]
fn the_bill_of_materials_is_what_is_built() {
    let script = root().join("scripts/sbom.sh");
    let made = Command::new("bash").arg(script).arg("--print").output().expect("bash runs");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "scripts/sbom.sh: {said}");
    let made = String::from_utf8(made.stdout).expect("a list is text");
    assert!(made == read(LIST), "{LIST} is stale: run `bash scripts/sbom.sh`");
}

// The checksums that the dossier shows are those of the lock file.
#[test]
fn every_library_of_the_bill_is_in_the_lock_file() {
    let lock: toml::Table = read("Cargo.lock").parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("packages");
    let locked: BTreeSet<(&str, &str)> = packages
        .iter()
        .filter_map(|it| Some((it["name"].as_str()?, it["version"].as_str()?)))
        .collect();
    let unknown = |it: &Row| !locked.contains(&(it.name.as_str(), it.version.as_str()));
    let rows = rows().into_iter().filter(unknown);
    let violations: Vec<String> = rows.map(|it| format!("{} {}", it.name, it.version)).collect();
    assert_none("the bill of materials lists what the lock file pins", &violations);
}

#[test]
fn every_licence_is_allowed() {
    let allowed = Allowed::read(&read("deny.toml"));
    let rows = rows();
    assert!(rows.len() > 100, "the bill of materials is not whole");
    let met = |it: &Row| allowed.meets(&it.name, &it.licence) == Some(true);
    let refused = rows.iter().filter(|it| !met(it));
    let line = |it: &Row| format!("{} {}: `{}`", it.name, it.version, it.licence);
    let violations: Vec<String> = refused.map(line).collect();
    assert_none("licences are those of deny.toml", &violations);
}

#[test]
fn a_licence_outside_the_list_is_found() {
    let allowed = Allowed::read(
        "[licenses]\nallow = [\"MIT\", \"ISC\", \"A WITH B\"]\n\
         exceptions = [{ crate = \"one\", allow = [\"MPL-2.0\"] }]\n",
    );
    for (name, expression, wanted) in [
        ("any", "MIT", Some(true)),
        ("any", "GPL-3.0", Some(false)),
        ("any", "GPL-3.0 OR MIT", Some(true)),
        ("any", "GPL-3.0 AND MIT", Some(false)),
        ("any", "GPL-3.0 OR ISC AND MIT", Some(true)),
        ("any", "ISC OR GPL-3.0 AND MIT", Some(true)),
        ("any", "(ISC OR GPL-3.0) AND GPL-3.0", Some(false)),
        ("any", "(ISC OR GPL-3.0) AND (MIT)", Some(true)),
        ("any", "A WITH B OR GPL-3.0", Some(true)),
        ("any", "A", Some(false)),
        ("one", "MPL-2.0 AND MIT", Some(true)),
        ("any", "MPL-2.0 AND MIT", Some(false)),
        ("any", "", None),
        ("any", "MIT/ISC", Some(false)),
        ("any", "MIT ISC", None),
        ("any", "(MIT", None),
        ("any", "MIT OR", None),
    ] {
        assert_eq!(allowed.meets(name, expression), wanted, "{name}: {expression}");
    }
}
