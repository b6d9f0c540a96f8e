//! Documents for data-protection officers and for patients.

use crate::lab::{CENTRES, Lab};
use crate::process::konsil;
use std::fs;

const STUDY: &str = r#"
[study]
id = "ages"
title = "How old are <our> patients?"
purpose = "research"
[[analysis]]
id = "first"
kind = "summary"
variables = ["age"]
"#;

fn dossier(lab: &Lab, centre: &str) -> String {
    lab.konsil(&["dossier", "-C", &format!("lab/centres/{centre}"), "--out", "papers"]).exits(0);
    let page = fs::read_to_string(lab.path("papers/dossier.html")).unwrap();
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    fs::read_to_string(lab.path("papers/dossier.md")).unwrap()
}

/// The bytes of a key as texts that could give it away.
fn forms(bytes: &[u8]) -> Vec<String> {
    let digits: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
    let key = &digits[digits.len().saturating_sub(64)..];
    vec![key.to_owned(), key.to_uppercase(), String::from_utf8_lossy(bytes).into_owned()]
}

// The dossier says what is in force: it changes with policy and members, and holds no secret.
#[test]
fn the_dossier_follows_the_configuration_and_holds_no_secret() {
    let lab = Lab::with_patients(60, 3);
    let before = dossier(&lab, CENTRES[0]);
    for part in [
        "the dealer together with one centre",
        "all other 2 centres",
        "| threshold | 10 |",
        "| crp | C-reactive protein | clinical | mg/L |",
        "| identity.key | Ed25519 | who this node is; signs the log | 0600 |",
        "What we do not promise",
        "| aws-lc-rs | ",
        " | MPL-2.0 AND Apache-2.0 AND MIT | ",
    ] {
        assert!(before.contains(part), "no `{part}` in {before}");
    }
    let folder = lab.path("lab/centres").join(CENTRES[0]);
    for file in ["identity.key", "data.key"] {
        for form in forms(&fs::read(folder.join(file)).unwrap()) {
            assert!(!before.contains(&form), "{file}");
        }
    }
    let config = folder.join("konsil.toml");
    let text = fs::read_to_string(&config).unwrap().replace("threshold = 10", "threshold = 25");
    fs::write(config, text).unwrap();
    let after = dossier(&lab, CENTRES[0]);
    assert!(after.contains("| threshold | 25 |") && after.contains("fewer than 25 patients"));
    konsil(lab.folder.path(), &["lab", "new", "four", "--centres", "a,b,c,d"]).exits(0);
    konsil(lab.folder.path(), &["dossier", "-C", "four/centres/a", "--out", "f"]).exits(0);
    let four = fs::read_to_string(lab.path("f/dossier.md")).unwrap();
    assert!(four.contains("all other 3 centres") && four.contains("no data set has been imported"));
}

// A centre's register of software takes the list of what is shipped: each library with its licence
// and the checksum of its source; what only tests use is not in it.
#[test]
fn the_bill_of_materials_names_every_library_with_its_licence() {
    let folder = tempfile::tempdir().unwrap();
    konsil(folder.path(), &["lab", "new", "lab", "--centres", "a,b,c"]).exits(0);
    konsil(folder.path(), &["dossier", "-C", "lab/centres/a", "--out", "papers"]).exits(0);
    let text = fs::read_to_string(folder.path().join("papers/sbom.json")).unwrap();
    let bill: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    assert_eq!(bill["metadata"]["component"]["name"], "konsil");
    let components = bill["components"].as_array().unwrap();
    let named = |name: &str| components.iter().find(|it| it["name"] == name);
    for it in components {
        assert!(it["licenses"][0]["expression"].as_str().is_some_and(|it| !it.is_empty()), "{it}");
        let own = it["name"].as_str().unwrap().starts_with("konsil-");
        assert_eq!(own, it["hashes"][0]["content"].as_str().is_none(), "{it}");
    }
    assert!(components.len() > 200, "{}", components.len());
    assert!(named("rustls").is_some() && named("konsil-mpc").is_some());
    assert!(named("proptest").is_none() && named("konsil-testing").is_none());
}

// Patients read which studies there were; no count of patients, nothing from the internet.
#[test]
fn the_public_page_tells_studies_and_no_count_of_patients() {
    let lab = Lab::with_patients(180, 5);
    let folder = format!("lab/centres/{}", CENTRES[0]);
    let page = |language: &str| {
        let out = format!("{language}.html");
        let ran = lab.konsil(&[
            "transparency",
            "-C",
            &folder,
            "--lang",
            language,
            "--out",
            &out,
            "--json",
        ]);
        (ran.exits(0).json(), fs::read_to_string(lab.path(&out)).unwrap())
    };
    assert!(page("en").1.contains("There was no study yet."));
    lab.write("study.toml", STUDY);
    lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r"]).exits(0);
    let (json, english) = page("en");
    let study = &json["studies"][0];
    assert_eq!((&study["study"], &study["researcher"]), (&"ages".into(), &"researcher".into()));
    assert_eq!(study["centres"], 3);
    assert!(study["day"].as_str().unwrap().starts_with("20"), "{study}");
    assert!(study["released"][0]["numbers"].as_u64().unwrap() > 0, "{study}");
    for part in [
        "How old are &lt;our&gt; patients? (research)",
        "averages and spread",
        "works together with one centre",
        "fewer than 10 people",
        "lang=\"en\"",
    ] {
        assert!(english.contains(part), "no `{part}` in {english}");
    }
    let german = page("de").1;
    for part in ["Durchschnitte und Streuung", "Zufallszahlen", "lang=\"de\"", "weniger als 10"] {
        assert!(german.contains(part), "no `{part}` in {german}");
    }
    // 180 patients at three centres: 60, told to others as 64
    for text in [english, german] {
        let body = text.split("<body>").nth(1).unwrap();
        for number in [">60<", " 60 ", "180", " 64 ", "192"] {
            assert!(!body.contains(number), "{number} in {body}");
        }
        assert!(!text.contains("http://") && !text.contains("https://"));
    }
}
