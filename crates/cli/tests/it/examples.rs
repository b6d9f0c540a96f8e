//! The examples of the help: each runs as printed in the lab made for them, and what it opens and
//! costs stands in `docs/analyses.md`.

use crate::process::{Ran, konsil};
use konsil_analyses::{REGISTRY, VARIANTS};
use std::fmt::Write;
use std::path::Path;

/// The words of a command line, as a shell would split them.
fn words(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate();
    let split = quoted.flat_map(|(at, part)| {
        if at % 2 == 1 {
            vec![part.to_owned()]
        } else {
            part.split_whitespace().map(str::to_owned).collect()
        }
    });
    split.skip(1).collect()
}

fn run(folder: &Path, line: &str, more: &[&str]) -> Ran {
    let mut words = words(line);
    words.extend(["--network", "lab/network.toml", "--json"].map(str::to_owned));
    words.extend(more.iter().map(|word| (*word).to_owned()));
    konsil(folder, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What is said of a method in a row of the document.
struct Method {
    kind: &'static str,
    title: &'static str,
    example: &'static str,
    reference: &'static str,
    digits: u32,
}

/// Every analysis, and after each its variants.
fn methods() -> Vec<Method> {
    let mut methods = Vec::new();
    for it in REGISTRY {
        let (kind, digits) = (it.kind, it.digits);
        let (title, example, reference) = (it.title, it.example, it.reference);
        methods.push(Method { kind, title, example, reference, digits });
        for it in VARIANTS.iter().filter(|it| it.kind == kind) {
            let (title, example, reference) = (it.title, it.example, it.reference);
            let digits = it.digits.unwrap_or(digits);
            methods.push(Method { kind, title, example, reference, digits });
        }
    }
    methods
}

/// A row of the document: what an analysis opens and costs in the example's lab.
fn row(folder: &Path, method: &Method) -> String {
    let plan = run(folder, method.example, &["--dry-run"]).exits(0).json();
    let opened: Vec<String> = plan["analyses"][0]["ledger"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let name = line["name"].as_str().unwrap();
            let (_, short) = name.split_once('.').unwrap();
            format!("{short} {}", line["numbers"])
        })
        .collect();
    let bytes = plan["sent_bytes"].as_u64().unwrap();
    let (mega, hundredths) = (bytes / 1_000_000, bytes / 10_000 % 100);
    format!(
        "| `{}` | {} | `{}` | {} | {} | {mega}.{hundredths:02} | {} | {} |",
        method.kind,
        method.title,
        method.example.replace('|', "\\|"),
        opened.join(", "),
        plan["rounds"],
        method.reference,
        method.digits,
    )
}

#[test]
fn every_example_of_the_help_runs_as_printed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    konsil(folder, &["lab", "new", "lab", "--example"]).exits(0);
    konsil(folder, &["lab", "up", "lab"]).exits(0);
    let mut failed = String::new();
    let mut rows = String::new();
    for (at, method) in methods().iter().enumerate() {
        let out = format!("out{at}");
        let ran = run(folder, method.example, &["--out", &out]);
        if ran.code != Some(0) || !folder.join(out).join("report.html").exists() {
            let _ok = writeln!(failed, "{}\n{}{}", method.example, ran.out, ran.err);
            continue;
        }
        let _ok = writeln!(rows, "{}", row(folder, method));
    }
    konsil(folder, &["lab", "down", "lab"]).exits(0);
    assert!(failed.is_empty(), "{failed}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/analyses.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, _) = text.split_once("<!-- rows -->\n").unwrap();
    let wanted = format!("{head}<!-- rows -->\n{rows}");
    if std::env::var_os("KONSIL_WRITE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
        return;
    }
    assert_eq!(text, wanted, "docs/analyses.md is stale: run this test with KONSIL_WRITE_DOCS=1");
}
