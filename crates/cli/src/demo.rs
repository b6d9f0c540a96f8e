//! The demo: six centres on this computer, a study on real data, the same answer as pooling.
//!
//! The data are facts of a public set (see `demo/make_data.py`); the pooled answer was computed by
//! R from the same file (`demo/reference.R`).

use crate::arguments::DemoOptions;
use crate::data::read_dictionary;
use crate::demo_pages;
use crate::demo_scan::DemoScan;
use crate::example_import;
use crate::failure::Failure;
use crate::lab::Lab;
use crate::results;
use crate::screen::Screen;
use crate::study;
use konsil_analyses::{Cell, Findings, Table};
use konsil_governance::Study;
use konsil_mpc::Topology;
use konsil_node::Outcome;
use konsil_plot::number::{self, Medium};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

const PATIENTS: &str = include_str!("../demo/dialysis.csv");
const DICTIONARY: &str = include_str!("../demo/dictionary.csv");
const STUDY: &str = include_str!("../demo/study.toml");
const REFERENCE: &str = include_str!("../demo/reference.json");

/// Largest relative difference from the pooled answer that passes.
const DIFFERENCE_MAX: f64 = 1e-6;

pub(crate) fn demo(options: &DemoOptions, screen: &Screen) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::file(Path::new("temp"), &error))?;
    let place = options.keep.clone().unwrap_or_else(|| folder.path().join("lab"));
    results::make_place(&options.out)?;
    // a script that is given no terminal must come to its end
    let pages = !options.headless && (options.no_browser || std::io::stdout().is_terminal());
    let begin = Instant::now();
    let version = env!("CARGO_PKG_VERSION");
    screen.note(&format!(
        "Konsil {version} demo: six centres on this computer, 6,805 real patients, nothing leaves it\n"
    ));
    let names: Vec<String> =
        ["acacia", "brauna", "cedro", "figueira", "imbuia", "jatoba"].map(str::to_owned).to_vec();
    // on the pages stewards decide, in scripts a policy
    let lab = Lab::create(&place, &names, pages)?;
    let data = folder.path().join("dialysis.csv");
    let dictionary = folder.path().join("dialysis-dictionary.csv");
    let scan = DemoScan::new(PATIENTS, DICTIONARY)?;
    for (path, text) in [(&data, &scan.table), (&dictionary, &scan.dictionary)] {
        std::fs::write(path, text).map_err(|error| Failure::file(path, &error))?;
    }
    let dictionary = read_dictionary(&dictionary)?;
    lab.import_split("centre", &[data], (&dictionary, &[]), screen)?;
    let panel = example_import::put(&lab, &scan.people, &scan.genotypes)?;
    let run = lab.start()?;
    screen.note(&format!(
        "✓ six centres and a dealer started, a process each  {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    let mut study = Study::parse(STUDY).map_err(konsil_node::NodeError::from)?;
    study.analysis.push(DemoScan::request(&panel));
    let planned = run.researcher.plan(study, Topology::Star)?;
    if pages {
        demo_pages::approve(&lab, (&run.researcher, &planned))?;
    }
    let outcome = study::run_with_progress(&run.researcher, &planned, screen)?;
    let elapsed = begin.elapsed();
    results::write(&planned, &outcome, (results::Place::new(&options.out), elapsed))?;
    let methods = compare(&outcome, &scan)?;
    show(&outcome, &methods, screen);
    let (planned_bytes, sent_bytes) = outcome.bytes();
    let report = options.out.join("report.html");
    screen.note(&format!("Report: {}   ({:.1} s in all)", report.display(), elapsed.as_secs_f64()));
    screen.json_line(&json!({
        "schema": "konsil.demo.v1",
        "methods": methods.iter().map(|(name, difference)| {
            json!({"name": name, "max_relative_difference": difference})
        }).collect::<Vec<Value>>(),
        "planned_bytes": planned_bytes,
        "sent_bytes": sent_bytes,
        "clear_patient_bytes": 0,
        "elapsed_seconds": elapsed.as_secs_f64(),
    }));
    if methods.iter().any(|(_, difference)| *difference > DIFFERENCE_MAX) {
        return Err(Failure::process("the answer differs from the pooled one"));
    }
    if !pages {
        return Ok(());
    }
    let asked = (toml_of(&planned.study)?, &planned.study);
    let place = (options.listen.as_str(), !options.no_browser);
    demo_pages::serve(&lab, ((&asked.0, asked.1), &planned, &outcome), place, screen)
}

/// The study as a file, for the pages.
fn toml_of(study: &Study) -> Result<String, Failure> {
    toml::to_string_pretty(study)
        .map_err(|_| Failure::process("the demo's study cannot be written down"))
}

fn show(outcome: &Outcome, methods: &[(&str, f64)], screen: &Screen) {
    for analysis in &outcome.analyses {
        if let Ok(findings) = &analysis.findings {
            screen.table(&crate::render::findings(findings, screen.colour));
            results::show_scans(findings, screen);
        }
    }
    screen.table("Same answer as pooling all patients?   largest relative difference\n");
    for (name, difference) in methods {
        let verdict = if *difference <= DIFFERENCE_MAX { "✓" } else { "✗" };
        screen.table(&format!("  {name:<28} {difference:>9.1e}  {verdict}"));
    }
    let (planned, sent) = outcome.bytes();
    let exact = |bytes| number::bytes_exact(bytes, Medium::Terminal);
    screen.table(&format!(
        "\nLeft a centre in the clear, patient-derived: 0 B of {} sent (planned {})\n",
        exact(sent),
        exact(planned)
    ));
}

/// The largest relative difference of each method from the pooled answer.
fn compare(outcome: &Outcome, scan: &DemoScan) -> Result<Vec<(&'static str, f64)>, Failure> {
    let reference: Value = serde_json::from_str(REFERENCE)
        .map_err(|_| Failure::process("the demo's reference cannot be read"))?;
    let findings = |id: &str| {
        let analysis = outcome.analyses.iter().find(|it| it.id == id);
        analysis
            .and_then(|it| it.findings.as_ref().ok())
            .ok_or_else(|| Failure::process(format!("the demo's analysis {id} has no result")))
    };
    let (survival, test) = survival(findings("km")?, &reference);
    Ok(vec![
        ("Table 1", table1(findings("table1")?, &reference)),
        ("Kaplan-Meier", survival),
        ("Log-rank test", test),
        ("Logistic regression", logistic(findings("logistic")?, &reference)),
        ("GWAS of made-up genotypes", scan.difference(findings("gwas")?)),
    ])
}

/// Relative difference; the larger of all is what counts. What is not a number counts as infinite.
fn difference(got: Option<f64>, wanted: Option<f64>) -> f64 {
    match (got, wanted) {
        (Some(got), Some(0.0)) => got.abs(),
        (Some(got), Some(wanted)) => ((got - wanted) / wanted).abs(),
        (None, None) => 0.0,
        _ => f64::INFINITY,
    }
}

fn table<'a>(findings: &'a Findings, name: &str) -> Option<&'a Table> {
    findings.tables.iter().find(|table| table.name == name)
}

fn text(table: &Table, row: usize, column: &str) -> String {
    table.get(row, column).map(Cell::text).unwrap_or_default()
}

fn number(table: &Table, row: usize, column: &str) -> Option<f64> {
    table.get(row, column).and_then(Cell::number)
}

fn table1(findings: &Findings, reference: &Value) -> f64 {
    let Some(table) = table(findings, "ard") else {
        return f64::INFINITY;
    };
    let rows = (0..table.rows.len()).filter_map(|row| {
        let group = &reference["table1"][text(table, row, "group1_level")];
        let (variable, level) = (text(table, row, "variable"), text(table, row, "variable_level"));
        let wanted = match text(table, row, "stat_name").as_str() {
            "N" if variable.starts_with("..") => group["n"].as_f64(),
            "n" => group[&variable][&level].as_f64(),
            "p" => Some(group[&variable][&level].as_f64()? / group["n"].as_f64()?),
            "N_miss" => Some(0.0),
            stat => group[&variable][stat].as_f64(),
        };
        Some(difference(number(table, row, "stat"), wanted))
    });
    rows.fold(0.0, f64::max)
}

/// Differences of curves and medians, and of the test.
fn survival(findings: &Findings, reference: &Value) -> (f64, f64) {
    let (Some(medians), Some(curve), Some(test)) =
        (table(findings, "tidy"), table(findings, "km"), table(findings, "glance"))
    else {
        return (f64::INFINITY, f64::INFINITY);
    };
    let none = Vec::new();
    let km = &reference["km"];
    let of_group = km["medians"].as_array().unwrap_or(&none).iter().enumerate();
    let of_group = of_group.flat_map(|(row, wanted)| {
        ["records", "events", "median", "conf.low", "conf.high"]
            .map(|column| difference(number(medians, row, column), wanted[column].as_f64()))
    });
    let points = km["curve"].as_array().unwrap_or(&none);
    let of_point = (0..curve.rows.len()).map(|row| {
        let (strata, time) = (text(curve, row, "strata"), number(curve, row, "time"));
        let same = |point: &&Value| point["strata"] == strata && point["time"].as_f64() <= time;
        let wanted = points.iter().rfind(same).and_then(|point| point["surv"].as_f64());
        difference(number(curve, row, "surv"), wanted)
    });
    let curves = of_group.chain(of_point).fold(0.0, f64::max);
    let statistic = difference(number(test, 0, "statistic.log"), km["chisq"].as_f64());
    let counts = (0..test.rows.len()).flat_map(|row| {
        ["observed", "expected"]
            .map(|column| difference(number(test, row, column), km[column][row].as_f64()))
    });
    (curves, counts.fold(statistic, f64::max))
}

fn logistic(findings: &Findings, reference: &Value) -> f64 {
    let (Some(terms), Some(model)) = (table(findings, "tidy"), table(findings, "glance")) else {
        return f64::INFINITY;
    };
    let wanted = &reference["logistic"];
    let of_term = (0..terms.rows.len()).flat_map(|row| {
        ["estimate", "std.error", "statistic"].map(|column| {
            difference(number(terms, row, column), wanted["terms"][row][column].as_f64())
        })
    });
    let of_model = [
        ("deviance", "deviance"),
        ("null.deviance", "null.deviance"),
        ("AIC", "AIC"),
        ("nobs", "n"),
    ]
    .map(|(column, key)| difference(number(model, 0, column), wanted[key].as_f64()));
    of_term.chain(of_model).fold(0.0, f64::max)
}
