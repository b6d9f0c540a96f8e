//! Health for machines: whether the server lives, whether the node could run, numbers for Prometheus.

use crate::centre::Shared;
use crate::centre::doors::collects;
use crate::centre::steward::waited;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use konsil_governance::RequestState;
use konsil_node::{Mark, NodeError, Patient, State as Books, audit_entries, examine};
use std::fmt::Write;

/// `GET /healthz`.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 503 where a run would fail.
pub(crate) async fn ready(State(office): State<Shared>) -> Response {
    let looked = waited(&office, |office| {
        let findings = examine(&office.folder, Patient::Centre, &office.clock);
        Ok(findings.iter().filter(|it| it.mark == Mark::Wrong).count())
    });
    match looked.await {
        Ok(0) => "ready\n".into_response(),
        // what is wrong is for the administrator's page
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

/// One metric: name, kind, help.
fn head(text: &mut String, (name, kind): (&str, &str), help: &str) {
    let _written = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn numbers(office: &Shared) -> Result<String, NodeError> {
    let mut text = String::new();
    head(&mut text, ("konsil_build_info", "gauge"), "The program's version.");
    let version = env!("CARGO_PKG_VERSION");
    let _written = writeln!(text, "konsil_build_info{{version=\"{version}\"}} 1");
    let runs = Books::read(&office.folder.join("node.sqlite"))?.runs()?;
    head(&mut text, ("konsil_jobs_total", "counter"), "Runs by how they ended.");
    for outcome in ["released", "aborted"] {
        let count = runs.iter().filter(|it| it.state == outcome).count();
        let _written = writeln!(text, "konsil_jobs_total{{outcome=\"{outcome}\"}} {count}");
    }
    head(&mut text, ("konsil_jobs_running", "gauge"), "Runs that go on now.");
    let running = runs.iter().filter(|it| it.state == "running").count();
    let _written = writeln!(text, "konsil_jobs_running {running}");
    let requests = office.desk.requests()?;
    head(&mut text, ("konsil_requests_pending", "gauge"), "Requests that wait for a steward.");
    let waiting = requests.iter().filter(|it| it.state == RequestState::Waiting).count();
    let _written = writeln!(text, "konsil_requests_pending {waiting}");
    head(&mut text, ("konsil_audit_sequence", "gauge"), "Entries of the audit log.");
    let entries = audit_entries(&office.folder, None, None)?.len();
    let _written = writeln!(text, "konsil_audit_sequence {entries}");
    let findings = examine(&office.folder, Patient::Centre, &office.clock);
    head(
        &mut text,
        ("konsil_health_findings", "gauge"),
        "Lines of the examination by how well it is.",
    );
    for (mark, name) in [(Mark::Fine, "fine"), (Mark::Look, "look"), (Mark::Wrong, "wrong")] {
        let count = findings.iter().filter(|it| it.mark == mark).count();
        let _written = writeln!(text, "konsil_health_findings{{mark=\"{name}\"}} {count}");
    }
    Ok(text)
}

/// `GET /metrics`, with the token of the folder's `metrics.token`.
pub(crate) async fn metrics(State(office): State<Shared>, headers: HeaderMap) -> Response {
    if !collects(&office, &headers) {
        return (StatusCode::UNAUTHORIZED, "bring the token of metrics.token\n").into_response();
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    match waited(&office, numbers).await {
        Ok(text) => (kind, text).into_response(),
        Err((code, _)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{code}\n")).into_response(),
    }
}
