//! The centre's interface for programs, `/api/v1`, and its description.

use crate::centre::Shared;
use crate::centre::steward::{Signed, waited};
use crate::problem::{Problem, described};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use konsil_node::{
    Mark, Patient, RequestRecord, audit_entries, budget_balances, examine, verify_audit,
};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/openapi.json", get(description))
        .route("/api/v1/studies", get(studies))
        .route("/api/v1/requests", get(requests))
        .route("/api/v1/requests/{number}", get(request))
        .route("/api/v1/budgets", get(budgets))
        .route("/api/v1/node", get(node))
        .route("/api/v1/audit", get(audit))
        .route("/api/v1/audit/verification", get(verification))
}

/// The description of the interface, OpenAPI 3.1.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Konsil, centre",
        description = "What a centre's stewards and administrators see, read only: decisions are signed \
                       on the pages or the command line. Calls bring the session of a signed-in person."
    ),
    paths(studies, requests, request, budgets, node, audit, verification),
    components(schemas(
        Problem,
        RequestView,
        CheckView,
        StudyView,
        BudgetView,
        FindingView,
        EntryView,
        Verified
    ))
)]
struct Interface;

async fn description() -> Response {
    Json(described(Interface::openapi())).into_response()
}

fn problem((code, text): (String, String)) -> Problem {
    let status =
        if code == "K0601" { StatusCode::NOT_FOUND } else { StatusCode::INTERNAL_SERVER_ERROR };
    Problem::new(status, &code, text)
}

/// A study that has released something, as the public may know it.
#[derive(Serialize, ToSchema)]
struct StudyView {
    study: String,
    title: String,
    purpose: String,
    researcher: String,
    day: Option<String>,
    centres: u64,
    numbers: u64,
}

/// Studies that have used the centre's data. Public.
#[utoipa::path(get, path = "/api/v1/studies", responses((status = 200, body = [StudyView])))]
async fn studies(State(office): State<Shared>) -> Result<Response, Problem> {
    let all = waited(&office, |office| office.desk.public_studies()).await.map_err(problem)?;
    let study = |it: &konsil_node::PublicStudy| StudyView {
        study: it.study.clone(),
        title: it.title.clone(),
        purpose: it.purpose.clone(),
        researcher: it.researcher.clone(),
        day: it.day.map(|it| it.to_string()),
        centres: u64::try_from(it.centres).unwrap_or(u64::MAX),
        numbers: it.released.iter().map(|it| it.numbers).sum(),
    };
    Ok(Json(all.iter().map(study).collect::<Vec<_>>()).into_response())
}

/// Something that was checked on arrival.
#[derive(Serialize, ToSchema)]
struct CheckView {
    ok: bool,
    text: String,
}

/// A request.
#[derive(Serialize, ToSchema)]
struct RequestView {
    number: i64,
    study: String,
    study_hash: String,
    researcher: String,
    state: String,
    code: String,
    note: String,
    submitted: String,
    checks: Vec<CheckView>,
}

fn view(office: &Shared, it: &RequestRecord) -> RequestView {
    let check = |it: &konsil_governance::Check| CheckView { ok: it.ok, text: it.text.clone() };
    RequestView {
        number: it.number,
        study: it.study.clone(),
        study_hash: it.study_hash.clone(),
        researcher: office.desk.researcher(&it.researcher),
        state: it.state.to_string(),
        code: it.code.clone(),
        note: it.note.clone(),
        submitted: it.submitted.to_string(),
        checks: it.checks.iter().map(check).collect(),
    }
}

/// All requests, the newest last. For stewards.
#[utoipa::path(get, path = "/api/v1/requests", responses((status = 200, body = [RequestView]),
    (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn requests(State(office): State<Shared>, _session: Signed) -> Result<Response, Problem> {
    let all = waited(&office, |office| office.desk.requests()).await.map_err(problem)?;
    Ok(Json(all.iter().map(|it| view(&office, it)).collect::<Vec<_>>()).into_response())
}

/// One request. For stewards.
#[utoipa::path(get, path = "/api/v1/requests/{number}", params(("number" = i64, Path)), responses(
    (status = 200, body = RequestView), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn request(
    State(office): State<Shared>,
    number: Result<Path<i64>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let Path(number) = number.map_err(|_| Problem::nothing("such request"))?;
    let all = waited(&office, |office| office.desk.requests()).await.map_err(problem)?;
    let found = all.iter().find(|it| it.number == number);
    let found = found.ok_or_else(|| Problem::nothing("such request"))?;
    Ok(Json(view(&office, found)).into_response())
}

/// What a budget has spent.
#[derive(Serialize, ToSchema)]
struct BudgetView {
    scope: String,
    currency: String,
    spent: String,
    limit: Option<String>,
}

/// What was spent of each budget. For stewards.
#[utoipa::path(get, path = "/api/v1/budgets", responses((status = 200, body = [BudgetView]),
    (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn budgets(State(office): State<Shared>) -> Result<Response, Problem> {
    let all = waited(&office, |office| budget_balances(&office.folder)).await.map_err(problem)?;
    let budget = |it: &konsil_governance::budget::Balance| BudgetView {
        scope: it.scope.to_string(),
        currency: it.currency.to_string(),
        spent: it.spent.to_string(),
        limit: it.limit.map(|it| it.to_string()),
    };
    Ok(Json(all.balances.iter().map(budget).collect::<Vec<_>>()).into_response())
}

/// One line of the examination.
#[derive(Serialize, ToSchema)]
struct FindingView {
    /// `fine`, `look` or `wrong`.
    mark: &'static str,
    text: String,
    fix: String,
}

/// The node's health. For administrators.
#[utoipa::path(get, path = "/api/v1/node", responses((status = 200, body = [FindingView]),
    (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn node(State(office): State<Shared>) -> Result<Response, Problem> {
    let looked =
        waited(&office, |office| Ok(examine(&office.folder, Patient::Centre, &office.clock)));
    let finding = |it: konsil_node::Finding| FindingView {
        mark: match it.mark {
            Mark::Fine => "fine",
            Mark::Look => "look",
            _ => "wrong",
        },
        text: it.text,
        fix: it.fix,
    };
    let all = looked.await.map_err(problem)?;
    Ok(Json(all.into_iter().map(finding).collect::<Vec<_>>()).into_response())
}

/// An entry of the log.
#[derive(Serialize, ToSchema)]
struct EntryView {
    seq: u64,
    time: String,
    kind: String,
    subject: String,
    actor: String,
    facts: std::collections::BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct Of {
    study: Option<String>,
    after: Option<i64>,
}

/// Entries of a page.
const PAGE: usize = 500;

/// The log, 500 entries at a time. For stewards and administrators.
#[utoipa::path(get, path = "/api/v1/audit", params(
    ("study" = Option<String>, Query, description = "Only what concerns this study."),
    ("after" = Option<i64>, Query, description = "Only entries with a larger number.")),
    responses((status = 200, body = [EntryView]), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn audit(
    State(office): State<Shared>,
    of: Result<Query<Of>, axum::extract::rejection::QueryRejection>,
    Extension(_session): Signed,
) -> Result<Response, Problem> {
    let unread = |_| Problem::new(StatusCode::BAD_REQUEST, "K0908", "`after` is a number");
    let Query(of) = of.map_err(unread)?;
    let study = of.study.clone();
    let read = waited(&office, move |office| audit_entries(&office.folder, study.as_deref(), None));
    let entries = read.await.map_err(problem)?;
    let after = of.after.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
    let later = entries.iter().filter(|(record, _)| record.seq > after);
    let entry =
        |(record, event): &(konsil_governance::audit::Record, konsil_governance::audit::Event)| {
            let time = Timestamp::from_second(record.time).map(|it| it.to_string());
            EntryView {
                seq: record.seq,
                time: time.unwrap_or_default(),
                kind: event.kind.clone(),
                subject: event.subject.clone(),
                actor: event.actor.clone(),
                facts: event.facts.clone(),
            }
        };
    Ok(Json(later.take(PAGE).map(entry).collect::<Vec<_>>()).into_response())
}

/// What a check of the whole log has found.
#[derive(Serialize, ToSchema)]
struct Verified {
    entries: u64,
    root: String,
    signed: u64,
}

/// Checks the whole log now. For stewards and administrators.
#[utoipa::path(get, path = "/api/v1/audit/verification", responses((status = 200, body = Verified),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 500, body = Problem)))]
async fn verification(State(office): State<Shared>) -> Result<Response, Problem> {
    let report = waited(&office, |office| verify_audit(&office.folder)).await.map_err(problem)?;
    let (entries, root, signed) = (report.entries, report.root, report.signed);
    Ok(Json(Verified { entries, root, signed }).into_response())
}
