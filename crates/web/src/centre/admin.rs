//! What administrators see: the node's health, its runs, its log.

use crate::centre::Shared;
use crate::centre::doors::frame;
use crate::centre::steward::{Signed, waited};
use crate::forms::{Fields, field, is_own};
use crate::page::{Frame, failed, show};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Form};
use jiff::Timestamp;
use konsil_governance::audit::{Event, Record};
use konsil_node::{Mark, Patient, RunRecord, State as Books, audit_entries, examine, verify_audit};

/// Entries and runs that a page shows.
const SHOWN: usize = 200;

struct FindingLine {
    class: &'static str,
    text: String,
    fix: String,
}

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage {
    f: Frame,
    centre: String,
    version: &'static str,
    findings: Vec<FindingLine>,
    wrong: usize,
    runs: Vec<RunRecord>,
}

/// `GET /node`.
pub(crate) async fn node(
    State(office): State<Shared>,
    Extension(session): Signed,
    headers: HeaderMap,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/node"));
    let looked = waited(&office, |office| {
        let findings = examine(&office.folder, Patient::Centre, &office.clock);
        let runs = Books::read(&office.folder.join("node.sqlite"))?.runs()?;
        Ok((findings, runs))
    });
    let (findings, mut runs) = match looked.await {
        Ok(it) => it,
        Err((code, text)) => return failed(f, StatusCode::INTERNAL_SERVER_ERROR, (&code, &text)),
    };
    runs.reverse();
    runs.truncate(SHOWN);
    let wrong = findings.iter().filter(|it| it.mark == Mark::Wrong).count();
    let line = |it: konsil_node::Finding| FindingLine {
        class: match it.mark {
            Mark::Fine => "ok",
            Mark::Look => "warn",
            _ => "bad",
        },
        text: it.text,
        fix: it.fix,
    };
    let findings = findings.into_iter().map(line).collect();
    let (centre, version) = (office.desk.centre().to_owned(), env!("CARGO_PKG_VERSION"));
    show(&NodePage { f, centre, version, findings, wrong, runs })
}

struct EntryLine {
    seq: u64,
    time: String,
    kind: String,
    subject: String,
    actor: String,
    facts: String,
}

fn entry((record, event): &(Record, Event)) -> EntryLine {
    let time = Timestamp::from_second(record.time).map(|it| it.to_string()).unwrap_or_default();
    let facts = event.facts.iter().map(|(name, value)| {
        let short: String = value.chars().take(24).collect();
        let dots = if value.chars().count() > 24 { "…" } else { "" };
        format!("{name} {short}{dots}")
    });
    EntryLine {
        seq: record.seq,
        time: time.replace('T', " ").trim_end_matches('Z').to_owned(),
        kind: event.kind.clone(),
        subject: event.subject.clone(),
        actor: event.actor.clone(),
        facts: facts.collect::<Vec<_>>().join(" · "),
    }
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    f: Frame,
    study: String,
    entries: Vec<EntryLine>,
    all: usize,
    verified: Vec<String>,
    trouble: String,
}

#[derive(serde::Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    study: String,
}

async fn page(
    office: &Shared,
    f: Frame,
    study: String,
    (verified, trouble): (Vec<String>, String),
) -> Response {
    let of = study.clone();
    let read = waited(office, move |office| {
        audit_entries(&office.folder, Some(of.as_str()).filter(|it| !it.is_empty()), None)
    });
    match read.await {
        Ok(mut entries) => {
            let all = entries.len();
            entries.reverse();
            entries.truncate(SHOWN);
            let entries = entries.iter().map(entry).collect();
            show(&AuditPage { f, study, entries, all, verified, trouble })
        }
        Err((code, text)) => failed(f, StatusCode::INTERNAL_SERVER_ERROR, (&code, &text)),
    }
}

/// `GET /audit?study=`.
pub(crate) async fn audit(
    State(office): State<Shared>,
    Query(of): Query<Of>,
    Extension(session): Signed,
    headers: HeaderMap,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/audit"));
    page(&office, f, of.study, (Vec::new(), String::new())).await
}

/// `POST /audit`: checks the whole log now.
pub(crate) async fn verify(
    State(office): State<Shared>,
    Extension(session): Signed,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/audit"));
    let csrf = session.as_ref().map(|it| it.csrf.as_str()).unwrap_or_default();
    if !is_own(&headers, field(&fields, "csrf"), csrf) {
        let text = f.t("form-old");
        return failed(f, StatusCode::FORBIDDEN, ("K0905", &text));
    }
    let said = match waited(&office, |office| verify_audit(&office.folder)).await {
        Ok(report) => {
            let root = report.root.get(..16).unwrap_or_default().to_owned();
            let mut lines = vec![
                f.t1("audit-unbroken", "entries", report.entries),
                f.t1("audit-root", "root", root),
            ];
            for (peer, entries) in &report.held_by {
                lines.push(f.t2("audit-held", &("peer", peer), &("entries", entries)));
            }
            (lines, String::new())
        }
        Err((code, text)) => (Vec::new(), format!("{code} {text}")),
    };
    page(&office, f, String::new(), said).await
}
