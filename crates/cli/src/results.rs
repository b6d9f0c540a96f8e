//! What a run leaves: CSV tables, ledger, plan, report; and what the screen shows of it.

use crate::bundle;
use crate::failure::Failure;
use crate::figures;
use crate::gwas_figures;
use crate::gwas_files::{self, Dialect, Ssf, Wanted};
use crate::gwas_summary::Summary;
use crate::linked_files;
use crate::model::Model;
use crate::panels;
use crate::render;
use crate::report;
use crate::screen::Screen;
use crate::variant_files;
use konsil_analyses::{Findings, ScanTest, Table, trait_of};
use konsil_node::{Clock, Outcome, StudyRun, write_private};
use konsil_plot::number::{self, Medium};
use konsil_plot::terminal::{self, TerminalStyle};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Where results go, and in whose columns.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) out: &'a Path,
    pub(crate) dialect: Dialect,
}

impl<'a> Place<'a> {
    pub(crate) fn new(out: &'a Path) -> Self {
        Self { out, dialect: Dialect::Plink }
    }
}

/// Writes all files, shows the results, and fails when nothing was released.
pub(crate) fn finish(
    run: &StudyRun,
    outcome: &Outcome,
    (place, elapsed): (Place<'_>, Duration),
    screen: &Screen,
) -> Result<(), Failure> {
    write(run, outcome, (place, elapsed))?;
    let out = place.out;
    for analysis in &outcome.analyses {
        match &analysis.findings {
            Ok(findings) => {
                screen.table(&render::findings(findings, screen.colour));
                show_scans(findings, screen);
            }
            Err((code, text)) => screen.note(&format!(
                "✗ {} ended without a result\n  {code} {text}\n  Only this fact is released, nothing about the people.",
                analysis.id
            )),
        }
    }
    let (planned, sent) = outcome.bytes();
    let exact = |bytes| number::bytes_exact(bytes, Medium::Terminal);
    let same = if planned == sent { "byte for byte" } else { "ended early" };
    let analyses = outcome.analyses.len();
    let released = outcome.analyses.iter().filter(|it| it.findings.is_ok()).count();
    let verdict = match released {
        0 => "✗ nothing released".to_owned(),
        released if released == analyses => "✓ released".to_owned(),
        released => format!("! {released} of {analyses} analyses released"),
    };
    screen.note(&format!(
        "{verdict} in {:.1} s   planned {} · sent {}, {same} · 0 B of patients in the clear",
        elapsed.as_secs_f64(),
        exact(planned),
        exact(sent)
    ));
    screen.note(&format!("Files in {}; open {}", out.display(), out.join("report.html").display()));
    screen.json_line(&summary(run, outcome, elapsed));
    let mut withheld = outcome.analyses.iter().filter_map(|it| it.findings.as_ref().err());
    match withheld.next_back() {
        Some((code, text)) if outcome.analyses.iter().all(|it| it.findings.is_err()) => {
            Err(Failure::withheld(code, text))
        }
        _ => Ok(()),
    }
}

/// What scans found, in short.
pub(crate) fn show_scans(findings: &Findings, screen: &Screen) {
    for scan in &findings.scans {
        let Some(panel) = panels::of_hash(&scan.panel) else { continue };
        if linked_files::is_linkage(scan) {
            screen.table(&linked_files::line(scan, &panel));
        }
        if scan.test == ScanTest::Counts {
            continue;
        }
        let summary = Summary::of(scan, &panel);
        let lines = summary.lines(scan, &panel).join("\n");
        let table = summary.table(scan, &panel);
        let style = TerminalStyle { width: 100, colour: screen.colour };
        let table = terminal::table(&table.columns, &table.rows, &style);
        screen.table(&format!("{lines}\n{table}"));
    }
}

/// The files of an analysis' scans.
fn write_scans(
    run: &StudyRun,
    (id, findings): (&str, &Findings),
    place: Place<'_>,
) -> Result<(), Failure> {
    for scan in &findings.scans {
        let panel = panels::of_hash(&scan.panel).ok_or_else(|| {
            Failure::usage("the panel's file is needed to name variants: give it by --panel")
        })?;
        let request = run.study.analysis.iter().find(|it| it.id == id);
        if linked_files::is_linkage(scan) {
            linked_files::write(scan, &panel, (place.out, id, request))?;
            continue;
        }
        if scan.test == ScanTest::Counts {
            variant_files::write(scan, &panel, &place.out.join(format!("{id}.variants.tsv")))?;
            continue;
        }
        let formula = request.and_then(|it| it.formula.as_deref()).unwrap_or_default();
        let right = formula.split_once('~').map_or("", |(_, right)| right);
        let ssf = Ssf {
            assembly: panel.build().map_or_else(|| "NR".to_owned(), |it| it.to_string()),
            date: Clock::system().now().strftime("%Y-%m-%d").to_string(),
            covariates: right.split('+').map(|it| it.trim().to_owned()).collect(),
            ..Ssf::default()
        };
        let Place { out, dialect } = place;
        gwas_files::write(scan, &panel, &Wanted { out, id, dialect, ssf: Some(ssf) })?;
        for (name, figure) in gwas_figures::of(scan, &panel, &Summary::of(scan, &panel)) {
            let path = out.join(format!("{id}.{name}.svg"));
            write_private(&path, figure.to_svg().as_bytes())?;
        }
    }
    Ok(())
}

/// The files of a run.
pub(crate) fn write(
    run: &StudyRun,
    outcome: &Outcome,
    (place, elapsed): (Place<'_>, Duration),
) -> Result<(), Failure> {
    let out = place.out;
    for analysis in &outcome.analyses {
        let Ok(findings) = &analysis.findings else {
            remove_tables(out, &analysis.id)?;
            let request = run.study.analysis.iter().find(|it| it.id == analysis.id);
            let formula = request.and_then(|it| it.formula.as_deref()).unwrap_or_default();
            remove_scan(out, &analysis.id, trait_of(formula))?;
            continue;
        };
        for scan in &findings.scans {
            // an earlier one may have had more loci, or another dialect
            remove_scan(out, &analysis.id, &scan.response)?;
        }
        for table in &findings.tables {
            let path = out.join(format!("{}.{}.csv", analysis.id, table.name));
            write_private(&path, csv_text(table)?.as_bytes())?;
        }
        for (name, figure) in figures::of(findings) {
            let path = out.join(format!("{}.{name}.svg", analysis.id));
            write_private(&path, figure.to_svg().as_bytes())?;
        }
        write_model(run, (&analysis.id, findings), out)?;
        write_scans(run, (&analysis.id, findings), place)?;
    }
    let text = |value: &Value| format!("{value:#}\n");
    let plan = serde_json::to_value(&run.plan).unwrap_or_default();
    write_private(&out.join("plan.json"), text(&plan).as_bytes())?;
    write_private(&out.join("ledger.json"), text(&ledger(run, outcome)).as_bytes())?;
    let audit = privacy_audit(run, outcome);
    write_private(&out.join("privacy-audit.json"), text(&audit).as_bytes())?;
    write_private(&out.join("study.json"), run.study.canonical().as_bytes())?;
    let page = report::page(run, outcome, elapsed);
    write_private(&out.join("report.html"), page.as_bytes())?;
    bundle::write(run, outcome, out)
}

/// The model file of an analysis that predicts.
fn write_model(
    run: &StudyRun,
    (id, findings): (&str, &Findings),
    out: &Path,
) -> Result<(), Failure> {
    let requests = &run.study.analysis;
    let request = requests.iter().find(|it| it.id == id);
    let study = (run.plan.study.as_str(), run.plan.study_hash.as_str());
    let Some(model) = request.and_then(|it| Model::of(it, findings, study)) else {
        return Ok(());
    };
    let value = serde_json::to_value(&model).unwrap_or_default();
    let path = out.join(format!("{id}.model.json"));
    Ok(write_private(&path, format!("{value:#}\n").as_bytes())?)
}

/// What was judged before anything was released, and with which numbers.
fn privacy_audit(run: &StudyRun, outcome: &Outcome) -> Value {
    let analyses = run.plan.analyses.iter().zip(&outcome.analyses).map(|(plan, result)| {
        let refused = result.findings.as_ref().err().map(|(code, _)| code);
        json!({
            "id": plan.id,
            "kind": plan.kind,
            "verdict": if refused.is_some() { "refused" } else { "pass" },
            "code": refused,
            "membership_by_likelihood_ratio": plan.exposure,
            "membership_tried": result.findings.as_ref().ok().and_then(|it| it.found_percent_below)
                .map(|below| json!({
                    "attack": "likelihood ratio, each patient with and without the own values",
                    "false_positive_percent": 1, "found_percent_below": below,
                    "patients_at_most": 192, "halvings": 8,
                })),
        })
    });
    json!({
        "schema": "konsil.privacy-audit.v1",
        "study_hash": run.plan.study_hash,
        "rules": run.plan.rules,
        "noise": run.plan.noise,
        "analyses": analyses.collect::<Vec<_>>(),
        "earlier_releases_compared": run.plan.compared.iter().map(|it| it.numbers).sum::<u64>() > 0,
        "version": env!("CARGO_PKG_VERSION"),
        "says": "Rates are averages for one known attack: from public numbers alone, and as tried on \
                 the patients themselves. That no attack is found is no guarantee.",
    })
}

/// Whether a folder has the whole result of this study: the report is written last.
pub(crate) fn is_done(run: &StudyRun, out: &Path) -> bool {
    let kept = std::fs::read_to_string(out.join("study.json")).unwrap_or_default();
    kept == run.study.canonical() && out.join("report.html").exists()
}

/// Takes away what says that a folder's result is whole.
pub(crate) fn begin(out: &Path) -> Result<(), Failure> {
    let report = out.join("report.html");
    match std::fs::remove_file(&report) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file(&report, &error))
        }
        _ => Ok(()),
    }
}

/// The folder for the results, made before a run, so that no result is lost for want of a place.
pub(crate) fn make_place(out: &Path) -> Result<(), Failure> {
    let fail = |error: &std::io::Error| Failure::file(out, error);
    std::fs::create_dir_all(out).map_err(|error| fail(&error))?;
    let probe = out.join(".konsil");
    write_private(&probe, b"")?;
    std::fs::remove_file(&probe).map_err(|error| fail(&error))
}

/// An earlier run's tables and figures of an analysis that now has none: nobody shall take them for its result.
fn remove_tables(out: &Path, id: &str) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::file(out, &error);
    for entry in std::fs::read_dir(out).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let parts: Vec<&str> = name.split('.').collect();
        let is_table = matches!(parts.as_slice(), [of, _, "csv" | "svg"] if *of == id);
        let rest = name.strip_prefix(id).and_then(|it| it.strip_prefix('.'));
        if is_table || rest.is_some_and(|it| linked_files::ENDS.contains(&it)) {
            std::fs::remove_file(&path).map_err(fail)?;
        }
    }
    Ok(())
}

/// An earlier scan's files and figures of the same trait, likewise.
fn remove_scan(out: &Path, id: &str, response: &str) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::file(out, &error);
    let begin = format!("{id}.{response}.");
    for entry in std::fs::read_dir(out).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let rest = name.strip_prefix(&begin);
        if rest.is_some_and(|rest| gwas_files::ENDS.iter().any(|end| rest.ends_with(end))) {
            std::fs::remove_file(&path).map_err(fail)?;
        }
    }
    Ok(())
}

/// A table as CSV. Texts that a spreadsheet would take for a formula get an apostrophe.
fn csv_text(table: &Table) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fail = |_| Failure::process("a result table cannot be written");
    writer.write_record(&table.columns).map_err(fail)?;
    for row in &table.rows {
        let cells = row.iter().map(|cell| {
            let text = cell.text();
            let formula = cell.number().is_none() && text.starts_with(['=', '+', '@', '-']);
            if formula { format!("'{text}") } else { text }
        });
        writer.write_record(cells).map_err(fail)?;
    }
    let bytes =
        writer.into_inner().map_err(|_| Failure::process("a result table cannot be written"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What was revealed and sent.
fn ledger(run: &StudyRun, outcome: &Outcome) -> Value {
    let analyses = outcome.analyses.iter().map(|it| {
        json!({
            "id": it.id, "kind": it.kind, "revealed": it.ledger, "rounds": it.rounds,
            "withheld": it.findings.as_ref().err().map(|(code, _)| code),
        })
    });
    let centres = outcome.centres.iter().map(|(name, summary)| {
        json!({
            "centre": name, "planned_bytes": summary.planned_bytes,
            "sent_bytes": summary.sent_bytes, "rounds": summary.rounds,
        })
    });
    let (planned, sent) = outcome.bytes();
    json!({
        "schema": "konsil.ledger.v1",
        "study": run.plan.study, "study_hash": run.plan.study_hash, "session": outcome.session,
        "analyses": analyses.collect::<Vec<_>>(), "centres": centres.collect::<Vec<_>>(),
        "planned_bytes": planned, "sent_bytes": sent, "clear_patient_bytes": 0,
    })
}

/// Everything of a run in one value.
pub(crate) fn summary(run: &StudyRun, outcome: &Outcome, elapsed: Duration) -> Value {
    let (planned, sent) = outcome.bytes();
    let analyses = outcome.analyses.iter().map(|it| {
        let (tables, notes, withheld) = match &it.findings {
            Ok(findings) => (json!(findings.tables), json!(findings.notes), Value::Null),
            Err((code, text)) => (json!([]), json!([]), json!({"code": code, "text": text})),
        };
        let scans = it.findings.as_ref().map_or(&[][..], |findings| &findings.scans);
        let scans = scans.iter().filter_map(|scan| {
            let panel = panels::of_hash(&scan.panel)?;
            if linked_files::is_linkage(scan) {
                return Some(linked_files::json(scan, &panel));
            }
            if scan.test == ScanTest::Counts {
                return None;
            }
            Some(Summary::of(scan, &panel).json(scan, &panel))
        });
        json!({
            "id": it.id, "kind": it.kind, "tables": tables, "notes": notes, "withheld": withheld,
            "scans": scans.collect::<Vec<_>>(),
            "rounds": it.rounds, "elapsed_seconds": it.elapsed.as_secs_f64(),
        })
    });
    json!({
        "schema": "konsil.run.v1", "study": run.plan.study, "session": outcome.session,
        "analyses": analyses.collect::<Vec<_>>(),
        "planned_bytes": planned, "sent_bytes": sent, "clear_patient_bytes": 0,
        "secure_seconds": outcome.secure().as_secs_f64(), "elapsed_seconds": elapsed.as_secs_f64(),
    })
}
