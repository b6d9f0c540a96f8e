//! The demo.

use crate::process::konsil;
use serde_json::Value;

// What scripts read from the demo: the schema, the same answer as pooling, exact bytes.
#[test]
fn the_demo_equals_the_pooled_answer_and_sends_what_it_planned() {
    let folder = tempfile::tempdir().unwrap();
    let ran = konsil(folder.path(), &["demo", "--headless", "--json"]).exits(0);
    assert_eq!(ran.out.lines().count(), 1, "JSON only: {}", ran.out);
    let json = ran.json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    let wanted = [
        "clear_patient_bytes",
        "elapsed_seconds",
        "methods",
        "planned_bytes",
        "schema",
        "sent_bytes",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(json["schema"], "konsil.demo.v1");
    let methods = json["methods"].as_array().unwrap();
    assert!(methods.len() >= 4, "{json}");
    for method in methods {
        assert_eq!(method.as_object().unwrap().len(), 2, "{method}");
        assert!(method["name"].as_str().is_some_and(|name| !name.is_empty()), "{method}");
        let difference = method["max_relative_difference"].as_f64();
        assert!(difference.is_some_and(|it| (0.0..=1e-6).contains(&it)), "{method}");
    }
    assert_eq!(json["planned_bytes"], json["sent_bytes"]);
    assert!(json["sent_bytes"].as_u64() > Some(100_000), "{json}");
    assert_eq!(json["clear_patient_bytes"], Value::from(0));
    assert!(json["elapsed_seconds"].as_f64() > Some(0.0), "{json}");
    assert!(folder.path().join("konsil-demo/report.html").exists());
}

// A demo that cannot write its results says so before it starts anything.
#[test]
fn a_demo_without_a_place_for_results_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let ran = konsil(folder.path(), &["demo", "--headless", "--out", "file/x"]);
    let ran = ran.exits(1).says(&["K0701", "file/x"]);
    assert!(!ran.err.contains("started"), "{}", ran.err);
}
