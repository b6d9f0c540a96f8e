//! The researcher's interface for programs, `/api/v1`, and its description.

use crate::forms::{bearer, is_own, token_of};
use crate::problem::{Problem, described};
use crate::researcher::Shared;
use crate::researcher::bench::Words;
use crate::researcher::editor::toml_of;
use crate::researcher::pages::waited;
use crate::researcher::records::{
    AnalysisView, BudgetView, CentreState, ForecastView, Job, JobState, PlanView, RevealedView,
};
use crate::researcher::run::{bundle_of, file_of};
use crate::sessions::same;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use konsil_analyses::REGISTRY;
use konsil_governance::Study;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{OpenApi, ToSchema};

/// Jobs of a page.
const PAGE: usize = 50;
/// Events that wait for a slow listener.
const EVENTS_AHEAD: usize = 16;
/// Letters of the longest idempotency key.
const KEY_MOST: usize = 200;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(health))
        .route("/api/openapi.json", get(description))
        .route("/api/v1/centres", get(centres))
        .route("/api/v1/dictionary", get(dictionary))
        .route("/api/v1/analyses", get(analyses))
        .route("/api/v1/plans", post(plan))
        .route("/api/v1/jobs", get(jobs).post(start))
        .route("/api/v1/jobs/{id}", get(job))
        .route("/api/v1/jobs/{id}/cancel", post(cancel))
        .route("/api/v1/jobs/{id}/events", get(events))
        .route("/api/v1/jobs/{id}/files/{name}", get(file))
        .route("/api/v1/jobs/{id}/bundle", get(bundle))
}

/// The description of the interface, OpenAPI 3.1.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Konsil, researcher",
        description = "Plans and runs studies over a network of centres, from the researcher's own \
                       computer. Calls bring the token of the file ui.token as a bearer's."
    ),
    paths(
        health, centres, dictionary, analyses, plan, jobs, start, job, cancel, events, file, bundle
    ),
    components(schemas(
        Problem,
        Asked,
        StudyText,
        Centre,
        Kind,
        Job,
        JobState,
        CentreState,
        PlanView,
        ForecastView,
        BudgetView,
        AnalysisView,
        RevealedView,
        Jobs,
        VariableView,
        DictionaryView
    ))
)]
struct Interface;

async fn description() -> Response {
    Json(described(Interface::openapi())).into_response()
}

/// Whether the server is there.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It is there.")))]
async fn health() -> &'static str {
    "ok\n"
}

/// Lets a call through: with the token, or with a session, and for changes its form's token.
fn admit(desk: &Shared, headers: &HeaderMap, changes: bool) -> Result<(), Problem> {
    if let Some(token) = bearer(headers) {
        // of 256 random bits: nobody guesses it, and waiting would only lock out who has it
        return if same(token, &desk.token) { Ok(()) } else { Err(unknown()) };
    }
    let session = desk.sessions.of(headers).ok_or_else(unknown)?;
    if changes && !is_own(headers, token_of(headers), &session.csrf) {
        return Err(Problem::forbidden("the call lacks the session's x-csrf-token"));
    }
    Ok(())
}

fn unknown() -> Problem {
    let what = "bring the token of ui.token: `Authorization: Bearer TOKEN`";
    Problem::new(StatusCode::UNAUTHORIZED, "K0905", what)
}

/// What a code means in HTTP.
fn problem((code, text): Words) -> Problem {
    let status = match code.get(..3) {
        Some("K04") => StatusCode::BAD_GATEWAY,
        _ if code == "K0910" => StatusCode::UNPROCESSABLE_ENTITY,
        Some("K09") => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, &code, text)
}

/// A centre of the network.
#[derive(Serialize, ToSchema)]
struct Centre {
    centre: String,
    version: String,
    dataset: String,
    /// Patients, rounded up.
    rows_at_most: u64,
    dictionary: String,
    dictionary_hash: String,
}

/// The centres of the network, as they say of themselves.
#[utoipa::path(get, path = "/api/v1/centres", responses(
    (status = 200, body = [Centre]), (status = 401, body = Problem), (status = 502, body = Problem)))]
async fn centres(State(desk): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    admit(&desk, &headers, false)?;
    let known = waited(&desk.bench, |bench| bench.known()).await.map_err(problem)?;
    let centre = |it: &konsil_node::Description| Centre {
        centre: it.centre.clone(),
        version: it.version.clone(),
        dataset: it.dataset.clone(),
        rows_at_most: u64::try_from(it.rows_at_most).unwrap_or(u64::MAX),
        dictionary: it.dictionary_name.clone(),
        dictionary_hash: it.dictionary_hash.clone(),
    };
    Ok(Json(known.centres.iter().map(centre).collect::<Vec<_>>()).into_response())
}

/// A variable that all centres have.
#[derive(Serialize, ToSchema)]
struct VariableView {
    name: String,
    label: String,
    kind: String,
    unit: Option<String>,
    levels: Vec<String>,
    min: Option<f64>,
    max: Option<f64>,
    code: String,
}

/// The dictionary that all centres share.
#[derive(Serialize, ToSchema)]
struct DictionaryView {
    title: String,
    variables: Vec<VariableView>,
}

/// The shared dictionary.
#[utoipa::path(get, path = "/api/v1/dictionary", responses(
    (status = 200, body = DictionaryView), (status = 401, body = Problem),
    (status = 502, body = Problem)))]
async fn dictionary(State(desk): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    admit(&desk, &headers, false)?;
    let known = waited(&desk.bench, |bench| bench.known()).await.map_err(problem)?;
    let variable = |it: &konsil_cohort::Variable| VariableView {
        name: it.name.clone(),
        label: it.label.clone(),
        kind: it.kind.word().to_owned(),
        unit: it.unit.clone(),
        levels: it.levels.iter().map(|it| it.code.clone()).collect(),
        min: it.min,
        max: it.max,
        code: it.code.clone(),
    };
    let variables = known.dictionary.variables.iter().map(variable).collect();
    Ok(Json(DictionaryView { title: known.dictionary.title(), variables }).into_response())
}

/// A kind of analysis.
#[derive(Serialize, ToSchema)]
struct Kind {
    kind: &'static str,
    title: &'static str,
    options: Vec<&'static str>,
    example: &'static str,
}

/// The kinds of analysis that there are.
#[utoipa::path(get, path = "/api/v1/analyses", responses(
    (status = 200, body = [Kind]), (status = 401, body = Problem)))]
async fn analyses(State(desk): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    admit(&desk, &headers, false)?;
    let kind = |it: &konsil_analyses::Entry| Kind {
        kind: it.kind,
        title: it.title,
        options: it.options.to_vec(),
        example: it.example,
    };
    Ok(Json(REGISTRY.iter().map(kind).collect::<Vec<_>>()).into_response())
}

/// A study: the text of its file, or the same as JSON.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum StudyText {
    /// TOML.
    File(String),
    /// The same tables and keys.
    Tables(serde_json::Map<String, serde_json::Value>),
}

/// What plans and jobs are made of.
#[derive(Deserialize, ToSchema)]
struct Asked {
    study: StudyText,
}

/// The text of a study that a call brings.
fn study_of(body: &[u8]) -> Result<String, Problem> {
    let unread = |error: serde_json::Error| {
        Problem::new(StatusCode::BAD_REQUEST, "K0908", format!("the call cannot be read: {error}"))
    };
    let asked: Asked = serde_json::from_slice(body).map_err(unread)?;
    match asked.study {
        StudyText::File(text) => Ok(text),
        StudyText::Tables(tables) => {
            let value = serde_json::Value::Object(tables);
            let study: Study = serde_json::from_value(value).map_err(unread)?;
            Ok(toml_of(&study))
        }
    }
}

/// What a study will reveal, leave and cost. Patients are not looked at.
#[utoipa::path(post, path = "/api/v1/plans", request_body = Asked, responses(
    (status = 200, body = PlanView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 422, body = Problem), (status = 502, body = Problem)))]
async fn plan(
    State(desk): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    admit(&desk, &headers, true)?;
    let text = study_of(&body)?;
    let planned = waited(&desk.bench, move |bench| bench.plan_view(bench.read(&text)?)).await;
    Ok(Json(planned.map_err(problem)?).into_response())
}

#[derive(Deserialize)]
struct After {
    after: Option<String>,
}

/// Jobs, the newest first.
#[derive(Serialize, ToSchema)]
struct Jobs {
    jobs: Vec<Job>,
    /// The last job's id, where there are more: for `?after=`.
    next: Option<String>,
}

/// All jobs, a page at a time.
#[utoipa::path(get, path = "/api/v1/jobs",
    params(("after" = Option<String>, Query, description = "The last job of the page before.")),
    responses((status = 200, body = Jobs), (status = 401, body = Problem)))]
async fn jobs(
    State(desk): State<Shared>,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&desk, &headers, false)?;
    let mut jobs = desk.bench.board.all();
    if let Some(at) = query.after.and_then(|id| jobs.iter().position(|it| it.id == id)) {
        jobs.drain(..=at);
    }
    let more = jobs.len() > PAGE;
    jobs.truncate(PAGE);
    let next = jobs.last().filter(|_| more).map(|it| it.id.clone());
    Ok(Json(Jobs { jobs, next }).into_response())
}

/// Asks all centres for a study, which runs when all have said yes. The same `Idempotency-Key` gives the
/// same job.
#[utoipa::path(post, path = "/api/v1/jobs", request_body = Asked,
    params(("Idempotency-Key" = Option<String>, Header, description = "Of the caller's choice.")),
    responses((status = 202, body = Job), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem)))]
async fn start(
    State(desk): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    admit(&desk, &headers, true)?;
    let key = headers.get("idempotency-key").and_then(|it| it.to_str().ok()).unwrap_or_default();
    if key.len() > KEY_MOST {
        let what = "an idempotency key has at most 200 letters";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "K0908", what));
    }
    let text = study_of(&body)?;
    let key = key.to_owned();
    let started = waited(&desk.bench, move |bench| bench.start_once(&text, &key)).await;
    let job = started.map_err(problem)?;
    let place = [(header::LOCATION, format!("/api/v1/jobs/{}", job.id))];
    Ok((StatusCode::ACCEPTED, place, Json(job)).into_response())
}

/// One job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Job), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn job(
    State(desk): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&desk, &headers, false)?;
    let job = desk.bench.board.job(&id).ok_or_else(|| Problem::nothing("such job"))?;
    Ok(Json(job).into_response())
}

/// Ends a job that waits for approvals.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", params(("id" = String, Path)), responses(
    (status = 200, body = Job), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
async fn cancel(
    State(desk): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&desk, &headers, true)?;
    desk.bench.board.job(&id).ok_or_else(|| Problem::nothing("such job"))?;
    if !desk.bench.cancel(&id) {
        let what = "it no longer waits; what centres compute goes to its end";
        return Err(Problem::new(StatusCode::CONFLICT, "K0909", what));
    }
    let job = desk.bench.board.job(&id).ok_or_else(|| Problem::nothing("such job"))?;
    Ok(Json(job).into_response())
}

/// A job's changes as server-sent events, each the whole job; the last one when it is over.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/events", params(("id" = String, Path)), responses(
    (status = 200, description = "Server-sent events named `job`."), (status = 401, body = Problem),
    (status = 404, body = Problem)))]
async fn events(
    State(desk): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&desk, &headers, false)?;
    let changes = desk.bench.board.changes();
    let first = desk.bench.board.job(&id).ok_or_else(|| Problem::nothing("such job"))?;
    Ok(Sse::new(stream(desk, (id, first), changes))
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// The job as it is, then at each change, to its end.
fn stream(
    desk: Shared,
    (id, first): (String, Job),
    mut changes: broadcast::Receiver<String>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
    tokio::spawn(async move {
        let mut job = Some(first);
        while let Some(now) = job {
            let event = Event::default().event("job").json_data(&now).unwrap_or_default();
            if sender.send(Ok(event)).await.is_err() || now.state.is_over() {
                return;
            }
            // who falls behind is told of the job as it is
            while let Ok(other) = changes.recv().await {
                if other == id {
                    break;
                }
            }
            job = desk.bench.board.job(&id);
        }
    });
    ReceiverStream::new(receiver)
}

/// All files of a job's result, as one zip: an RO-Crate with the profile Process Run Crate.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/bundle", params(("id" = String, Path)), responses(
    (status = 200, description = "A zip file.", content_type = "application/zip"),
    (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn bundle(
    State(desk): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&desk, &headers, false)?;
    bundle_of(&desk, &id).ok_or_else(|| Problem::nothing("such result"))
}

/// A file of a job's result.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/files/{name}",
    params(("id" = String, Path), ("name" = String, Path)), responses(
    (status = 200, description = "The file."), (status = 401, body = Problem),
    (status = 404, body = Problem)))]
async fn file(
    State(desk): State<Shared>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&desk, &headers, false)?;
    file_of(&desk, &id, &name).ok_or_else(|| Problem::nothing("such file"))
}
