//! Who may enter: signing in and out, and which path belongs to whom.

use crate::centre::Shared;
use crate::centre::accounts::{NAME_MOST, Role, Who, check, current};
use crate::forms::{Fields, bearer, field, is_own};
use crate::page::{Frame, Way, failed, go, language, show, show_as};
use crate::problem::Problem;
use crate::sessions::{Session, same};
use askama::Template;
use axum::Form;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use konsil_governance::RequestState;
use konsil_governance::audit::Event;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Passwords that are looked at in one moment: each takes 19 MiB.
static HASHES: Semaphore = Semaphore::const_new(4);

/// What everybody may see.
const PUBLIC: [&str; 11] = [
    "/",
    "/login",
    "/demo",
    "/oidc/start",
    "/oidc/back",
    "/transparency",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/openapi.json",
    "/api/v1/studies",
];

/// Paths, the first of them each role's home, with the messages that name them; a path without a name is
/// in no menu. Whatever begins with one belongs to these roles.
const DOORS: [(&str, &[Role], &str); 12] = [
    ("/inbox", &[Role::Steward], "nav-inbox"),
    ("/datasets", &[Role::Steward], "nav-datasets"),
    ("/policy", &[Role::Steward], "nav-policy"),
    ("/budget", &[Role::Steward], "nav-budget"),
    ("/node", &[Role::Admin], "nav-node"),
    ("/audit", &[Role::Steward, Role::Admin], "nav-audit"),
    ("/requests", &[Role::Steward], ""),
    ("/logout", &[Role::Steward, Role::Admin], ""),
    ("/api/v1/requests", &[Role::Steward], ""),
    ("/api/v1/budgets", &[Role::Steward], ""),
    ("/api/v1/audit", &[Role::Steward, Role::Admin], ""),
    ("/api/v1/node", &[Role::Admin], ""),
];

/// Roles that may enter a path; `None` for what is public, or is not there.
pub(crate) fn roles_of(path: &str) -> Option<&'static [Role]> {
    if PUBLIC.contains(&path) || path.starts_with("/language/") {
        return None;
    }
    let below = |door: &str| {
        path.strip_prefix(door).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    DOORS.iter().find(|(door, ..)| below(door)).map(|(_, roles, _)| *roles)
}

/// Lets a request through whose path its person's roles may enter.
pub(crate) async fn guarded(
    State(office): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers();
    let mut session = office.sessions.of(headers);
    if let Some(held) = &mut session {
        // rights as they are now, not as they were at signing in
        match current(&office.folder, &held.who.name) {
            Some(who) if who.mark == held.who.mark => held.who = who,
            // a demo's patient has no account and no rights
            None if office.demo_token.is_some() && held.who.roles.is_empty() => {}
            _ => session = None,
        }
    }
    let wanted = roles_of(&path);
    let may = wanted.is_none_or(|roles| {
        session.as_ref().is_some_and(|it| roles.iter().any(|role| it.who.is(*role)))
    });
    if may {
        request.extensions_mut().insert(session);
        return next.run(request).await;
    }
    let is_call = path.starts_with("/api/");
    match session {
        None if is_call => {
            Problem::new(StatusCode::UNAUTHORIZED, "K0905", "sign in first").into_response()
        }
        Some(_) if is_call => Problem::forbidden("this belongs to another role").into_response(),
        None => go("/login"),
        Some(session) => {
            let f = frame(&office, headers, (Some(&session), &path));
            let text = f.t("error-other-role");
            failed(f, StatusCode::FORBIDDEN, ("K0905", &text))
        }
    }
}

/// What stands around a page.
pub(crate) fn frame(
    office: &Shared,
    headers: &HeaderMap,
    (session, path): (Option<&Session<Who>>, &str),
) -> Frame {
    let language = language(headers);
    let may = |roles: &[Role]| session.is_some_and(|it| roles.iter().any(|role| it.who.is(*role)));
    let doors = DOORS.iter().filter(|(_, roles, name)| !name.is_empty() && may(roles));
    let waiting = if may(&[Role::Steward]) { waiting(office) } else { 0 };
    let mut ways: Vec<Way> = doors
        .map(|(door, _, name)| Way {
            path: (*door).to_owned(),
            name,
            here: path == *door,
            waiting: if *door == "/inbox" { waiting } else { 0 },
        })
        .collect();
    let public = |path_of: &str, name| Way {
        path: path_of.to_owned(),
        name,
        here: path == path_of,
        waiting: 0,
    };
    ways.push(public("/transparency", "nav-transparency"));
    if session.is_none() {
        ways.push(public("/login", "nav-login"));
    }
    // nobody else learns the tokens of a demo
    let mut others = if session.is_some() { office.links.others() } else { Vec::new() };
    for other in &mut others {
        let own = office.demo_token.as_ref().is_some_and(|it| other.path.contains(it.as_str()));
        other.here = own && is_here(&other.path, session);
    }
    Frame {
        language,
        ways,
        who: session
            .map(|it| format!("{} · {}", it.who.name, office.desk.centre()))
            .unwrap_or_default(),
        csrf: session.map(|it| it.csrf.clone()).unwrap_or_default(),
        path: path.to_owned(),
        others,
        leaves: session.is_some() && office.demo_token.is_none(),
    }
}

/// Whether a link of the demo leads to the role that is looking.
fn is_here(path: &str, session: Option<&Session<Who>>) -> bool {
    let role = path.rsplit_once("as=").map_or("", |(_, it)| it);
    match session {
        Some(session) => {
            (role == "steward" && session.who.is(Role::Steward))
                || (role == "admin" && session.who.is(Role::Admin))
                || (role == "patient" && session.who.roles.is_empty())
        }
        None => false,
    }
}

fn waiting(office: &Shared) -> usize {
    let requests = office.desk.requests().unwrap_or_default();
    requests.iter().filter(|it| it.state == RequestState::Waiting).count()
}

/// `GET /`: to the first page of whoever comes.
pub(crate) async fn first(session: axum::Extension<Option<Session<Who>>>) -> Response {
    let Some(session) = &session.0 else { return go("/transparency") };
    let home = DOORS.iter().find(|(_, roles, _)| roles.iter().any(|role| session.who.is(*role)));
    go(home.map_or("/transparency", |(door, ..)| door))
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    f: Frame,
    centre: String,
    name: String,
    trouble: String,
    /// Whether people may sign in at the centre's sign-in server.
    elsewhere: bool,
}

fn login_page(office: &Shared, f: Frame, (name, trouble): (String, String)) -> Login {
    let elsewhere = office.oidc.is_some();
    Login { f, centre: office.desk.centre().to_owned(), name, trouble, elsewhere }
}

/// The page of signing in, with why signing in elsewhere did not.
pub(crate) fn sign_in_failed(office: &Shared, headers: &HeaderMap, what: &str) -> Response {
    let f = frame(office, headers, (None, "/login"));
    let trouble = f.t1("login-elsewhere-failed", "what", what);
    show_as(StatusCode::UNAUTHORIZED, &login_page(office, f, (String::new(), trouble)))
}

/// `GET /login`.
pub(crate) async fn login(State(office): State<Shared>, headers: HeaderMap) -> Response {
    let f = frame(&office, &headers, (None, "/login"));
    show(&login_page(&office, f, (String::new(), String::new())))
}

/// `POST /login`.
pub(crate) async fn sign_in(
    State(office): State<Shared>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let name = field(&fields, "name").to_owned();
    let f = frame(&office, &headers, (None, "/login"));
    let sender = headers.get("sec-fetch-site").and_then(|it| it.to_str().ok());
    let foreign = sender.is_some_and(|it| it != "same-origin" && it != "none");
    let trouble = match office.sessions.waits(&name) {
        _ if foreign => f.t("form-old"),
        Some(seconds) => f.t1("login-wait", "seconds", seconds),
        None if name.chars().count() > NAME_MOST => f.t("login-wrong"),
        None => {
            // counted before it is looked at: tries at the same moment count too
            office.sessions.tried(&name, false);
            let _turn = HASHES.acquire().await;
            let password = fields.get("password").cloned().unwrap_or_default();
            let (folder, tried) = (office.folder.clone(), name.clone());
            let checked = spawn_blocking(move || check(&folder, &tried, &password)).await;
            let who = checked.ok().flatten();
            if who.is_some() {
                office.sessions.tried(&name, true);
            }
            log(&office, who.is_some(), &name);
            match who.and_then(|who| office.sessions.renew(&headers, who).ok()) {
                Some(cookie) => return ([(header::SET_COOKIE, cookie)], go("/")).into_response(),
                None => f.t("login-wrong"),
            }
        }
    };
    show_as(StatusCode::UNAUTHORIZED, &login_page(&office, f, (name, trouble)))
}

/// Says in the log who signed in, or that somebody could not.
pub(crate) fn log(office: &Shared, signed_in: bool, name: &str) {
    let kind = if signed_in { "sign-in" } else { "sign-in-refused" };
    let known = current(&office.folder, name).is_some();
    // what is no account's name may be a password that went into the wrong field
    let actor = if known { name } else { "unknown" };
    let event = Event::new(kind, office.desk.centre(), actor);
    // signing in must not fail because the node holds the log
    let _logged = office.desk.log(&event);
}

/// `POST /logout`.
pub(crate) async fn leave(
    State(office): State<Shared>,
    headers: HeaderMap,
    session: axum::Extension<Option<Session<Who>>>,
    Form(fields): Form<Fields>,
) -> Response {
    let csrf = session.0.as_ref().map(|it| it.csrf.as_str()).unwrap_or_default();
    if !is_own(&headers, field(&fields, "csrf"), csrf) {
        return go("/");
    }
    let cookie = office.sessions.end(&headers);
    let forget = (HeaderName::from_static("clear-site-data"), "\"cache\", \"storage\"".to_owned());
    ([(header::SET_COOKIE, cookie), forget], go("/login")).into_response()
}

#[derive(serde::Deserialize)]
pub(crate) struct Demo {
    #[serde(default)]
    token: String,
    #[serde(default, rename = "as")]
    role: String,
}

/// `GET /demo?token=&as=`: in a demo, signs in as steward or administrator, or out as a patient.
pub(crate) async fn demo(
    State(office): State<Shared>,
    headers: HeaderMap,
    Query(asked): Query<Demo>,
) -> Response {
    let fits = office.demo_token.as_ref().is_some_and(|it| same(it, &asked.token));
    if !fits {
        return go("/login");
    }
    let who = match asked.role.as_str() {
        "patient" => {
            Some(Who { name: "patient".to_owned(), roles: Vec::new(), key: None, mark: None })
        }
        "admin" => current(&office.folder, "admin"),
        _ => current(&office.folder, "steward"),
    };
    match who.and_then(|who| office.sessions.renew(&headers, who).ok()) {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], go("/")).into_response(),
        None => go("/login"),
    }
}

/// Any other path.
pub(crate) async fn nothing(
    State(office): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if uri.path().starts_with("/api/") {
        return Problem::nothing("such resource").into_response();
    }
    let session = office.sessions.of(&headers);
    let f = frame(&office, &headers, (session.as_ref(), "/"));
    let text = f.t("error-no-page");
    failed(f, StatusCode::NOT_FOUND, ("K0906", &text))
}

/// Whether a collector brings its token.
pub(crate) fn collects(office: &Shared, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|it| same(it, &office.metrics_token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_roles() {
        assert_eq!(roles_of("/inbox"), Some(&[Role::Steward][..]));
        assert_eq!(roles_of("/requests/7"), Some(&[Role::Steward][..]));
        assert_eq!(roles_of("/node"), Some(&[Role::Admin][..]));
        assert_eq!(roles_of("/api/v1/requests/7"), Some(&[Role::Steward][..]));
        assert_eq!(roles_of("/transparency"), None);
        assert_eq!(roles_of("/nodes"), None);
    }
}
