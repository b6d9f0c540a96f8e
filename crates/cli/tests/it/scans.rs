//! A scan chromosome by chromosome, interrupted and called again.

use crate::process::konsil;
use std::fs;

// What is done stays done; what is not, or answers another question, is done now.
#[test]
fn an_interrupted_scan_goes_on_with_what_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    konsil(folder, &["lab", "new", "lab", "--example"]).exits(0);
    konsil(folder, &["lab", "up", "lab"]).exits(0);
    let scan = |formula: &str, more: &[&str]| {
        let words = ["gwas", formula, "--panel", "lab/panel.tsv", "--network", "lab/network.toml"];
        konsil(folder, &[&words[..], &["--by-chromosome", "--out", "scan"], more].concat())
    };
    let first = scan("ldl ~ age", &[]).exits(0);
    let parts = fs::read_dir(folder.join("scan")).unwrap().count();
    assert!(parts > 1 && !first.err.contains("done before"), "{first:?}");
    let panel = fs::read_to_string(folder.join("lab/panel.tsv")).unwrap();
    let chromosome = |line: &str| line.split('\t').next().unwrap().to_owned();
    let mut lines = panel.lines().filter(|it| !it.starts_with('#'));
    let last = chromosome(lines.next_back().unwrap());
    // the last one was interrupted
    let report = folder.join(format!("scan/chr{last}/report.html"));
    fs::remove_file(&report).unwrap();
    let again = scan("ldl ~ age", &[]).exits(0);
    assert_eq!(again.err.matches("done before").count(), parts - 1, "{again:?}");
    assert!(report.exists());
    let other = scan("ldl ~ age + sex", &["--dry-run"]).exits(0);
    assert!(!other.err.contains("done before"), "{other:?}");
    scan("ldl ~ age", &["--region", "1"]).exits(2).says(&["not both"]);
    konsil(folder, &["lab", "down", "lab"]).exits(0);
}
