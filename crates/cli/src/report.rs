//! The report: one self-contained page.

use crate::figures;
use crate::gwas_figures;
use crate::gwas_summary::Summary;
use crate::linked_files;
use crate::panels;
use crate::render;
use konsil_analyses::{Cell, Findings, ScanTest, Table};
use konsil_node::{Outcome, StudyRun};
use konsil_plot::number::Medium;
use konsil_plot::report::{Question, Report, Revealed, Section, Status};
use konsil_plot::table::{Cell as Shown, Column, Table as ShownTable};
use std::time::Duration;

/// The page of a run.
pub(crate) fn page(run: &StudyRun, outcome: &Outcome, elapsed: Duration) -> String {
    of(run, outcome, elapsed).to_html()
}

/// The report of a run.
pub(crate) fn of(run: &StudyRun, outcome: &Outcome, elapsed: Duration) -> Report {
    let (planned_bytes, sent_bytes) = outcome.bytes();
    let status = Status {
        centres: run.plan.centres.len(),
        patients: patients(outcome),
        planned_bytes,
        sent_bytes,
        clear_bytes: 0,
        elapsed,
    };
    let head = &run.study.study;
    let title = if head.title.is_empty() { &head.id } else { &head.title };
    let mut report = Report::new(title.clone(), status).question(Question {
        study: head.id.clone(),
        purpose: head.purpose.clone(),
        centres: run.plan.centres.clone(),
    });
    let cohort = &run.study.cohort.condition;
    let cohort = if cohort.is_empty() { "all patients" } else { cohort };
    report = report.understood("cohort", cohort);
    for analysis in &run.plan.analyses {
        report = report.understood(analysis.id.clone(), understood(&analysis.understood));
    }
    for analysis in &outcome.analyses {
        report = report.section(match &analysis.findings {
            Ok(findings) => section(&analysis.id, findings),
            Err((code, text)) => Section::new(analysis.id.clone())
                .note(format!("No result ({code}): {text}. Only this fact is released.")),
        });
        for line in &analysis.ledger {
            report = report.revealed(Revealed {
                name: line.name.clone(),
                says: line.says.clone(),
                to: line.to.clone(),
                numbers: line.numbers,
            });
        }
    }
    report = report.section(privacy(run, outcome));
    let rounds = outcome.centres.first().map_or(0, |(_, summary)| summary.rounds);
    report
        .guarantee(run.plan.guarantee.clone())
        .method("konsil", env!("CARGO_PKG_VERSION"))
        .method("study", run.plan.study_hash.clone())
        .method("session", outcome.session.clone())
        .method("secret sharing", "additive, modulo 2^128, fixed point with 40 fractional bits")
        .method("rounds", rounds.to_string())
        .method("correlations", run.plan.correlations.to_string())
        .method("links", "TLS 1.3, X25519MLKEM768, Ed25519 identities; results sealed with X-Wing")
}

/// What was judged before anything was released.
fn privacy(run: &StudyRun, outcome: &Outcome) -> Section {
    let columns = vec![
        Column::words("analysis"),
        Column::words("verdict"),
        Column::numbers("members found, at most on average"),
        Column::numbers("members found when tried"),
    ];
    let rows = run.plan.analyses.iter().zip(&outcome.analyses).map(|(plan, result)| {
        let verdict = match &result.findings {
            Ok(_) => "released".to_owned(),
            Err((code, _)) => format!("withheld, {code}"),
        };
        let bound = plan.exposure.as_ref().map(|it| format!("{:.1} %", it.found_at_1_percent));
        let tried = result.findings.as_ref().ok().and_then(|it| it.found_percent_below);
        let tried = tried.map(|below| format!("< {below} %"));
        let cell = |text: Option<String>| text.map_or_else(|| Shown::muted("–"), Shown::new);
        vec![Shown::new(plan.id.clone()), Shown::new(verdict), cell(bound), cell(tried)]
    });
    let table = ShownTable {
        caption: "Members found at 1 % false positives".to_owned(),
        columns,
        rows: rows.collect(),
    };
    let noise =
        run.plan.noise.clone().unwrap_or_else(|| {
            "No noise: results are exact, and protected by rules only.".to_owned()
        });
    Section::new("Privacy audit")
        .note(format!(
            "Judged on shares before anything was released: {}.",
            run.plan.rules.in_words()
        ))
        .note(noise)
        .note(
            "A membership attack knows a person's values and asks whether the person was among \
               the patients. That none is found is no guarantee.",
        )
        .table(table)
}

/// The lines of an explanation as one text, without the blanks that align them in a terminal.
fn understood(lines: &[String]) -> String {
    let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
    lines.iter().map(words).collect::<Vec<_>>().join("; ")
}

/// The number of patients, where an analysis has released it.
fn patients(outcome: &Outcome) -> Option<f64> {
    let findings = outcome.analyses.iter().filter_map(|it| it.findings.as_ref().ok());
    let of_model = |table: &Table| table.get(0, "nobs").and_then(Cell::number);
    let of_ard = |table: &Table| {
        let at = table.columns.iter().position(|name| *name == "stat_name")?;
        let rows = table.rows.iter().enumerate();
        let sizes = rows.filter(|(_, row)| row.get(at) == Some(&Cell::Text("N".to_owned())));
        let sizes = sizes.filter(|(row, _)| {
            table.get(*row, "context") == Some(&Cell::Text("total_n".to_owned()))
        });
        let sizes: Vec<Option<f64>> =
            sizes.map(|(row, _)| table.get(row, "stat").and_then(Cell::number)).collect();
        sizes.into_iter().try_fold(0.0, |sum, size| Some(sum + size?)).filter(|sum| *sum > 0.0)
    };
    let tables = findings.flat_map(|it| &it.tables);
    tables.filter_map(|table| of_model(table).or_else(|| of_ard(table))).reduce(f64::max)
}

fn section(id: &str, findings: &Findings) -> Section {
    let mut section = Section::new(format!("{}: {id}", findings.title));
    for note in &findings.notes {
        section = section.note(note.clone());
    }
    for scan in findings.scans.iter().filter(|it| linked_files::is_linkage(it)) {
        if let Some(panel) = panels::of_hash(&scan.panel) {
            section = section.note(format!("{}.", linked_files::line(scan, &panel)));
        }
    }
    for scan in findings.scans.iter().filter(|it| it.test != ScanTest::Counts) {
        let Some(panel) = panels::of_hash(&scan.panel) else { continue };
        let summary = Summary::of(scan, &panel);
        for line in summary.lines(scan, &panel) {
            section = section.note(format!("{}: {line}.", scan.response));
        }
        for (_, figure) in gwas_figures::of(scan, &panel, &summary) {
            section = section.figure(figure);
        }
        section = section.table(summary.table(scan, &panel));
    }
    for (_, figure) in figures::of(findings) {
        section = section.figure(figure);
    }
    render::tables(findings, Medium::Html).into_iter().fold(section, Section::table)
}
