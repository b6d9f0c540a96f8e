//! Home, dictionary, signing in.

use crate::page::{Frame, Way, failed, go, language, own_path, show};
use crate::researcher::Shared;
use crate::researcher::bench::{Known, Words, Workbench};
use crate::researcher::records::Job;
use crate::sessions::{Session, same};
use crate::texts::Language;
use crate::view;
use crate::{forms, researcher::editor};
use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use konsil_cohort::{Kind, Variable};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Paths of the menu, with the messages that name them.
const WAYS: [(&str, &str); 3] =
    [("/", "nav-studies"), ("/studies/new", "nav-new"), ("/data", "nav-data")];

/// What stands around a page of the researcher.
pub(crate) fn frame(
    desk: &Shared,
    headers: &HeaderMap,
    (session, path): (Option<&Session<()>>, &str),
) -> Frame {
    let language = language(headers);
    let way = |(to, name): &(&str, &'static str)| Way {
        path: (*to).to_owned(),
        name,
        here: path == *to,
        waiting: 0,
    };
    Frame {
        language,
        ways: session.map(|_| WAYS.iter().map(way).collect()).unwrap_or_default(),
        who: session.map(|_| language.text("role-researcher", &[])).unwrap_or_default(),
        csrf: session.map(|it| it.csrf.clone()).unwrap_or_default(),
        path: path.to_owned(),
        // nobody else learns the tokens of a demo
        others: session.map(|_| desk.others()).unwrap_or_default(),
        leaves: false,
    }
}

/// The session of a request, or the page that says how to get one.
pub(crate) fn signed_in(
    desk: &Shared,
    headers: &HeaderMap,
    path: &str,
) -> Result<(Session<()>, Frame), Box<Response>> {
    match desk.sessions.of(headers) {
        Some(session) => {
            let frame = frame(desk, headers, (Some(&session), path));
            Ok((session, frame))
        }
        None => {
            let f = frame(desk, headers, (None, path));
            let text = f.t("enter-needed");
            Err(Box::new(failed(f, StatusCode::UNAUTHORIZED, ("K0905", &text))))
        }
    }
}

/// The same for a form that changes something: only from the session's own pages.
pub(crate) fn own_form(
    desk: &Shared,
    headers: &HeaderMap,
    (path, token): (&str, &str),
) -> Result<Frame, Box<Response>> {
    let (session, f) = signed_in(desk, headers, path)?;
    if forms::is_own(headers, token, &session.csrf) {
        return Ok(f);
    }
    let text = f.t("form-old");
    Err(Box::new(failed(f, StatusCode::FORBIDDEN, ("K0905", &text))))
}

/// Work that waits for files or centres.
pub(crate) async fn waited<T: Send + 'static>(
    bench: &Arc<Workbench>,
    work: impl FnOnce(&Arc<Workbench>) -> Result<T, Words> + Send + 'static,
) -> Result<T, Words> {
    let bench = Arc::clone(bench);
    let done = spawn_blocking(move || work(&bench)).await;
    done.unwrap_or_else(|_| Err(("K0904".to_owned(), "this could not be done".to_owned())))
}

#[derive(serde::Deserialize)]
pub(crate) struct Enter {
    #[serde(default)]
    token: String,
    #[serde(default)]
    to: String,
}

/// `GET /enter?token=`: signs in whoever has the token that the program has shown.
pub(crate) async fn enter(
    State(desk): State<Shared>,
    Query(asked): Query<Enter>,
    headers: HeaderMap,
) -> Response {
    const NAME: &str = "researcher";
    let waits = desk.sessions.waits(NAME).is_some();
    let fits = same(&asked.token, &desk.token);
    desk.sessions.tried(NAME, fits);
    let begun = if fits && !waits { desk.sessions.begin(()).ok() } else { None };
    let Some(cookie) = begun else {
        let f = frame(&desk, &headers, (None, "/"));
        let text = f.t("enter-wrong");
        return failed(f, StatusCode::UNAUTHORIZED, ("K0905", &text));
    };
    ([(header::SET_COOKIE, cookie)], go(own_path(&asked.to))).into_response()
}

#[derive(serde::Deserialize)]
pub(crate) struct Back {
    #[serde(default)]
    back: String,
}

/// `GET /language/{tag}`: keeps the language, and goes back.
pub(crate) async fn language_of(Path(tag): Path<String>, Query(back): Query<Back>) -> Response {
    let Some(language) = Language::of_tag(&tag) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let year = 365 * 24 * 60 * 60;
    let cookie =
        format!("konsil-language={}; Path=/; SameSite=Lax; Max-Age={year}", language.tag());
    ([(header::SET_COOKIE, cookie)], go(own_path(&back.back))).into_response()
}

/// A job in the list.
struct Line {
    id: String,
    title: String,
    kinds: String,
    created: String,
    state: &'static str,
    class: &'static str,
}

impl From<&Job> for Line {
    fn from(job: &Job) -> Self {
        let kinds: Vec<&str> = job.plan.analyses.iter().map(|it| it.kind.as_str()).collect();
        Self {
            id: job.id.clone(),
            title: job.title.clone(),
            kinds: kinds.join(", "),
            created: view::minute(&job.created),
            state: job.state.name(),
            class: job.state.class(),
        }
    }
}

/// A centre on the first page.
struct CentreLine {
    name: String,
    rows: String,
    version: String,
}

fn centre_lines(known: &Known) -> Vec<CentreLine> {
    let line = |it: &konsil_node::Description| CentreLine {
        name: it.centre.clone(),
        rows: view::count(u64::try_from(it.rows_at_most).unwrap_or(u64::MAX)),
        version: it.version.clone(),
    };
    known.centres.iter().map(line).collect()
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    f: Frame,
    jobs: Vec<Line>,
    centres: Vec<CentreLine>,
    trouble: String,
}

/// `GET /`.
pub(crate) async fn home(State(desk): State<Shared>, headers: HeaderMap) -> Response {
    let (_, f) = match signed_in(&desk, &headers, "/") {
        Ok(it) => it,
        Err(page) => return *page,
    };
    let jobs = desk.bench.board.all().iter().map(Line::from).collect();
    let known = waited(&desk.bench, |bench| bench.known()).await;
    let (centres, trouble) = match known {
        Ok(known) => (centre_lines(&known), String::new()),
        Err((code, text)) => (Vec::new(), format!("{code} {text}")),
    };
    show(&Home { f, jobs, centres, trouble })
}

/// A variable of the dictionary.
struct VariableLine {
    name: String,
    label: String,
    kind: &'static str,
    unit: String,
    values: String,
    code: String,
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "kind-number",
        Kind::Integer => "kind-integer",
        Kind::Boolean => "kind-boolean",
        Kind::Category => "kind-category",
    }
}

fn variable_line(it: &Variable) -> VariableLine {
    let levels: Vec<&str> = it.levels.iter().map(|it| it.code.as_str()).collect();
    let range = match (it.min, it.max) {
        (Some(min), Some(max)) => format!("{min} – {max}"),
        (Some(min), None) => format!("≥ {min}"),
        (None, Some(max)) => format!("≤ {max}"),
        (None, None) => String::new(),
    };
    VariableLine {
        name: it.name.clone(),
        label: it.label.clone(),
        kind: kind_name(it.kind),
        unit: it.unit.clone().unwrap_or_default(),
        values: if levels.is_empty() { range } else { levels.join(" · ") },
        code: it.code.clone(),
    }
}

#[derive(Template)]
#[template(path = "data.html")]
struct Data {
    f: Frame,
    sought: String,
    title: String,
    variables: Vec<VariableLine>,
    centres: Vec<CentreLine>,
}

#[derive(serde::Deserialize)]
pub(crate) struct Sought {
    #[serde(default)]
    q: String,
}

/// `GET /data?q=`: the dictionary that the centres share.
pub(crate) async fn data(
    State(desk): State<Shared>,
    Query(sought): Query<Sought>,
    headers: HeaderMap,
) -> Response {
    let (_, f) = match signed_in(&desk, &headers, "/data") {
        Ok(it) => it,
        Err(page) => return *page,
    };
    let known = match waited(&desk.bench, |bench| bench.known()).await {
        Ok(known) => known,
        Err((code, text)) => return failed(f, StatusCode::BAD_GATEWAY, (&code, &text)),
    };
    let q = sought.q.trim().to_lowercase();
    let fits = |it: &&Variable| {
        let texts = [&it.name, &it.label, &it.code];
        texts.iter().any(|text| text.to_lowercase().contains(&q))
    };
    let variables = known.dictionary.variables.iter().filter(fits).map(variable_line).collect();
    let title = known.dictionary.title();
    show(&Data { f, sought: sought.q, title, variables, centres: centre_lines(&known) })
}

/// `POST /jobs`: a study is asked for.
pub(crate) async fn start(
    State(desk): State<Shared>,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let value = |name: &str| {
        pairs.iter().find(|(key, _)| key == name).map(|(_, it)| it.clone()).unwrap_or_default()
    };
    let f = match own_form(&desk, &headers, ("/studies/new", &value("csrf"))) {
        Ok(f) => f,
        Err(page) => return *page,
    };
    let text = editor::unix_lines(&value("toml"));
    match waited(&desk.bench, move |bench| bench.start(&text)).await {
        Ok(job) => go(&format!("/jobs/{}", job.id)),
        Err((code, text)) => failed(f, StatusCode::UNPROCESSABLE_ENTITY, (&code, &text)),
    }
}

/// Any other path.
pub(crate) async fn nothing(State(desk): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    if uri.path().starts_with("/api/") {
        return crate::problem::Problem::nothing("such resource").into_response();
    }
    let session = desk.sessions.of(&headers);
    let f = frame(&desk, &headers, (session.as_ref(), "/"));
    let text = f.t("error-no-page");
    failed(f, StatusCode::NOT_FOUND, ("K0906", &text))
}
