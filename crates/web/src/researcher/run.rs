//! A job's page: how far it is, and what came out.

use crate::forms::{Fields, field};
use crate::page::{Frame, failed, go, show};
use crate::researcher::Shared;
use crate::researcher::pages::{own_form, signed_in};
use crate::researcher::records::{Job, JobState};
use crate::view;
use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fs;
use std::io::{self, Cursor};
use zip::write::SimpleFileOptions;

/// The steps of a job, by the messages that name them.
const STEPS: [&str; 6] =
    ["step-plan", "step-approvals", "step-local", "step-secure", "step-disclosure", "step-release"];

struct StepLine {
    name: &'static str,
    class: &'static str,
}

struct CentreLine {
    name: String,
    state: &'static str,
    class: &'static str,
    percent: usize,
    says: String,
    planned: String,
    sent: String,
    same: bool,
}

/// What changes while a job goes on.
#[derive(Template)]
#[template(path = "progress.html")]
struct Progress {
    f: Frame,
    job: Job,
    chip: &'static str,
    class: &'static str,
    steps: Vec<StepLine>,
    centres: Vec<CentreLine>,
    planned: String,
    sent: String,
    elapsed: String,
    over: bool,
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    f: Frame,
    id: String,
    title: String,
    created: String,
    progress: Progress,
    /// Results as HTML that the report has made; empty without.
    body: String,
    tables: Vec<String>,
    others: Vec<String>,
    guarantee: String,
    waits: bool,
}

/// What a centre does in a job: the message that names it, its colour, percent.
fn state_of(job: &Job, at: usize) -> (&'static str, &'static str, usize) {
    let Some(centre) = job.centres.get(at) else { return ("stage-none", "soft", 0) };
    let of = job.plan.analyses.len().max(1);
    let percent = (100 * centre.done + usize::try_from(centre.percent).unwrap_or(0)) / of;
    match (centre.stage.as_str(), centre.approval.as_str()) {
        ("done", _) => ("stage-done", "ok", 100),
        ("", "approved") => ("stage-approved", "ok", 0),
        ("", "waiting") => ("stage-asked", "warn", 0),
        ("", "question") => ("stage-question", "warn", 0),
        ("", "") => ("stage-none", "soft", 0),
        ("", _) => ("stage-declined", "bad", 0),
        ("connect", _) => ("stage-connect", "run", 0),
        ("seal", _) => ("stage-seal", "run", percent.max(95)),
        _ => ("stage-computes", "run", percent.min(99)),
    }
}

fn progress_of(f: Frame, job: Job) -> Progress {
    let step = job.step();
    let over = job.state.is_over();
    let failed = over && job.state != JobState::Released;
    let steps = STEPS.iter().enumerate().map(|(at, name)| {
        let class = match at {
            at if at < step => "done",
            at if at == step && failed => "failed",
            at if at == step && !over => "now",
            _ => "",
        };
        StepLine { name, class }
    });
    let centres = job.centres.iter().enumerate().map(|(at, centre)| {
        let (state, class, percent) = state_of(&job, at);
        CentreLine {
            name: centre.name.clone(),
            state,
            class,
            percent,
            says: centre.note.clone(),
            planned: view::bytes(centre.planned_bytes),
            sent: if centre.sent_bytes > 0 {
                view::bytes_exact(centre.sent_bytes)
            } else {
                String::new()
            },
            same: centre.sent_bytes == centre.planned_bytes,
        }
    });
    let sent = if job.sent_bytes > 0 { view::bytes_exact(job.sent_bytes) } else { String::new() };
    Progress {
        steps: steps.collect(),
        centres: centres.collect(),
        planned: view::bytes_exact(job.plan.sent_bytes),
        sent,
        elapsed: view::seconds(job.elapsed_seconds),
        chip: job.state.name(),
        class: job.state.class(),
        over,
        f,
        job,
    }
}

/// `GET /jobs/{id}`.
pub(crate) async fn job(
    State(desk): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let path = format!("/jobs/{id}");
    let (_, f) = match signed_in(&desk, &headers, &path) {
        Ok(it) => it,
        Err(page) => return *page,
    };
    let found = desk.bench.board.job(&id).zip(desk.bench.board.folder_of(&id));
    let Some((job, folder)) = found else {
        let text = f.t("error-no-job");
        return failed(f, StatusCode::NOT_FOUND, ("K0906", &text));
    };
    let body = if job.state == JobState::Released {
        fs::read_to_string(folder.join("body.html")).unwrap_or_default()
    } else {
        String::new()
    };
    let is_table =
        |it: &&String| [".csv", ".tsv", ".tsv.gz", ".svg"].iter().any(|end| it.ends_with(end));
    let (tables, others): (Vec<&String>, Vec<&String>) = job.files.iter().partition(is_table);
    let owned = |names: Vec<&String>| names.into_iter().cloned().collect();
    show(&JobPage {
        id,
        title: job.title.clone(),
        created: view::minute(&job.created),
        body,
        tables: owned(tables),
        others: owned(others),
        guarantee: job.plan.guarantee.clone(),
        waits: job.state == JobState::Waiting,
        progress: progress_of(f.clone(), job),
        f,
    })
}

/// `GET /jobs/{id}/progress`: the part of the page that changes.
pub(crate) async fn progress(
    State(desk): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (_, f) = match signed_in(&desk, &headers, &format!("/jobs/{id}")) {
        Ok(it) => it,
        Err(page) => return *page,
    };
    match desk.bench.board.job(&id) {
        Some(job) => show(&progress_of(f, job)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `POST /jobs/{id}/cancel`: while it waits.
pub(crate) async fn cancel(
    State(desk): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let path = format!("/jobs/{id}");
    if let Err(page) = own_form(&desk, &headers, (&path, field(&fields, "csrf"))) {
        return *page;
    }
    desk.bench.cancel(&id);
    go(&path)
}

fn kind_of(name: &str) -> &'static str {
    let ends = [
        (".html", "text/html; charset=utf-8"),
        (".svg", "image/svg+xml; charset=utf-8"),
        (".json", "application/json"),
        (".csv", "text/csv; charset=utf-8"),
        (".gz", "application/gzip"),
    ];
    let found = ends.iter().find(|(end, _)| name.ends_with(end));
    found.map_or("text/plain; charset=utf-8", |(_, kind)| kind)
}

/// A file of a job's result, by a name that the job lists: nothing else of the disk can be asked for.
pub(crate) fn file_of(desk: &Shared, id: &str, name: &str) -> Option<Response> {
    let job = desk.bench.board.job(id)?;
    let known = job.files.iter().find(|it| *it == name)?;
    let bytes = fs::read(desk.bench.board.folder_of(id)?.join(known)).ok()?;
    let kind = [(header::CONTENT_TYPE, kind_of(known))];
    let mut response = (kind, bytes).into_response();
    if known == "report.html" {
        // the report is one page with its own style inside, and nothing else
        let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; frame-ancestors 'self'";
        let value = header::HeaderValue::from_static(policy);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, value);
    } else if !known.ends_with(".svg") {
        let value = format!("attachment; filename=\"{known}\"");
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
    }
    Some(response)
}

/// All files of a result as one zip.
pub(crate) fn bundle_of(desk: &Shared, id: &str) -> Option<Response> {
    let job = desk.bench.board.job(id).filter(|it| !it.files.is_empty())?;
    let folder = desk.bench.board.folder_of(id)?;
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // results are the researcher's own, as their files are
    let options = SimpleFileOptions::default().unix_permissions(0o600).large_file(true);
    for name in &job.files {
        let mut file = fs::File::open(folder.join(name)).ok()?;
        writer.start_file(format!("{id}/{name}"), options).ok()?;
        io::copy(&mut file, &mut writer).ok()?;
    }
    let bytes = writer.finish().ok()?.into_inner();
    let name = format!("attachment; filename=\"konsil-{id}.zip\"");
    let head =
        [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Some((head, bytes).into_response())
}

/// `GET /jobs/{id}/bundle`.
pub(crate) async fn bundle(
    State(desk): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (_, f) = match signed_in(&desk, &headers, &format!("/jobs/{id}")) {
        Ok(it) => it,
        Err(page) => return *page,
    };
    bundle_of(&desk, &id).unwrap_or_else(|| {
        let text = f.t("error-no-file");
        failed(f, StatusCode::NOT_FOUND, ("K0906", &text))
    })
}

/// `GET /jobs/{id}/files/{name}`.
pub(crate) async fn file(
    State(desk): State<Shared>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let (_, f) = match signed_in(&desk, &headers, &format!("/jobs/{id}")) {
        Ok(it) => it,
        Err(page) => return *page,
    };
    file_of(&desk, &id, &name).unwrap_or_else(|| {
        let text = f.t("error-no-file");
        failed(f, StatusCode::NOT_FOUND, ("K0906", &text))
    })
}
