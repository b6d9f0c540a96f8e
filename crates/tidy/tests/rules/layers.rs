//! Crates depend downward only.

use super::{Source, assert_none, crates, texts};

/// Every crate, bottom first, with the crates of ours that it may be built on.
const LAYERS: [(&str, &[&str]); 15] = [
    ("ring", &[]),
    ("mpc", &["ring"]),
    ("kernels", &["ring"]),
    ("cohort", &["kernels", "ring"]),
    ("plot", &[]),
    ("geno", &["cohort", "kernels", "ring"]),
    ("testing", &["mpc", "ring"]),
    ("disclosure", &["mpc", "ring"]),
    ("net", &["mpc"]),
    ("analyses", &["cohort", "disclosure", "kernels", "mpc", "ring"]),
    ("governance", &["analyses", "cohort", "disclosure", "kernels", "mpc", "ring"]),
    (
        "node",
        &[
            "analyses",
            "cohort",
            "disclosure",
            "geno",
            "governance",
            "kernels",
            "mpc",
            "net",
            "plot",
            "ring",
        ],
    ),
    (
        "web",
        &[
            "analyses",
            "cohort",
            "disclosure",
            "geno",
            "governance",
            "kernels",
            "mpc",
            "net",
            "node",
            "plot",
            "ring",
        ],
    ),
    (
        "cli",
        &[
            "analyses",
            "cohort",
            "disclosure",
            "geno",
            "governance",
            "kernels",
            "mpc",
            "net",
            "node",
            "plot",
            "ring",
            "web",
        ],
    ),
    ("tidy", &[]),
];

/// Crates that only tests may use.
const FOR_TESTS: [&str; 2] = ["testing", "tidy"];

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|(known, _)| *known == name)
}

/// Upward dependencies of a manifest.
fn upward(manifest: &Source) -> Vec<String> {
    let name = manifest.krate();
    let Some(own) = layer(name) else {
        return vec![format!("{name} has no layer yet: add it to LAYERS")];
    };
    let mut section = String::new();
    let mut found = Vec::new();
    for line in manifest.text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        }
        // `konsil-x = …` in a section, or a section `[dependencies.konsil-x]`.
        let entry = if line.starts_with('[') { section.rsplit('.').next() } else { Some(line) };
        let Some(entry) = entry.and_then(|it| it.strip_prefix("konsil-")) else {
            continue;
        };
        if !section.contains("dependencies") {
            continue;
        }
        let used = entry.split(|it: char| !it.is_ascii_alphanumeric() && it != '-').next().unwrap();
        let for_tests = FOR_TESTS.contains(&used);
        let fine = match section.contains("dev-dependencies") {
            true => for_tests || layer(used).is_some_and(|it| it < own),
            false => LAYERS[own].1.contains(&used),
        };
        if !fine {
            found.push(format!("{name} may not depend on {used} ([{section}])"));
        }
    }
    found
}

#[test]
fn crates_depend_downward_only() {
    let manifests = texts().into_iter().filter(Source::is_manifest);
    let violations: Vec<String> = manifests.flat_map(|it| upward(&it)).collect();
    assert_none("crates depend downward only", &violations);
}

#[test]
fn every_layer_is_a_crate() {
    let crates = crates();
    let gone = LAYERS.iter().filter(|(name, _)| !crates.iter().any(|it| it == name));
    let gone: Vec<String> = gone.map(|(name, _)| (*name).to_owned()).collect();
    assert_none("every crate of LAYERS exists", &gone);
}

#[test]
fn an_upward_dependency_is_found() {
    let manifest =
        |text: &str| Source { path: "crates/mpc/Cargo.toml".to_owned(), text: text.to_owned() };
    let found = |text: &str| upward(&manifest(text)).len();
    assert_eq!(found("[dependencies]\nkonsil-ring.workspace = true\n"), 0);
    assert_eq!(found("[dependencies]\nkonsil-net.workspace = true\n"), 1);
    assert_eq!(found("[dependencies.konsil-net]\nworkspace = true\n"), 1);
    assert_eq!(found("[dependencies]\nkonsil-testing = {}\n"), 1);
    assert_eq!(found("[dev-dependencies]\nkonsil-testing = {}\nkonsil-cli = {}\n"), 1);
}
