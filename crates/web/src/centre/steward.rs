//! What stewards see and decide.

use crate::centre::Shared;
use crate::centre::accounts::{Who, check};
use crate::centre::doors::{frame, log};
use crate::forms::{Fields, field, is_own};
use crate::page::{Frame, failed, go, show};
use crate::researcher::unix_lines;
use crate::sessions::Session;
use crate::view;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Form};
use konsil_cohort::dataset_names;
use konsil_geno::geno_names;
use konsil_governance::audit::Event;
use konsil_governance::budget::{Balance, Currency, epsilon, mu_of_exposure};
use konsil_governance::{CentrePolicy, Check, RequestState};
use konsil_net::Identity;
use konsil_node::{
    NodeError, RequestRecord, RequestView, budget_balances, open_key, write_private,
};
use tokio::task::spawn_blocking;

/// Chance of a larger loss that budgets are shown at.
const DELTA: f64 = 1e-6;

pub(crate) type Signed = Extension<Option<Session<Who>>>;

/// Code and words.
type Words = (String, String);

fn words(error: &NodeError) -> Words {
    (error.code().to_owned(), error.to_string())
}

/// Work on the centre's books, which may have to wait for a disk.
pub(crate) async fn waited<T: Send + 'static>(
    office: &Shared,
    work: impl FnOnce(&Shared) -> Result<T, NodeError> + Send + 'static,
) -> Result<T, Words> {
    let office = Shared::clone(office);
    match spawn_blocking(move || work(&office)).await {
        Ok(done) => done.map_err(|error| words(&error)),
        Err(_) => Err(("K0904".to_owned(), "this could not be done".to_owned())),
    }
}

fn trouble(f: Frame, (code, text): &Words) -> Response {
    failed(f, StatusCode::INTERNAL_SERVER_ERROR, (code, text))
}

/// The colour of a request's state.
fn class_of(state: RequestState) -> &'static str {
    match state {
        RequestState::Waiting | RequestState::Question => "warn",
        RequestState::Approved => "ok",
        RequestState::Declined | RequestState::Revoked => "bad",
        RequestState::Consumed | RequestState::Expired => "soft",
    }
}

/// The message that names a state.
fn name_of(state: RequestState) -> String {
    format!("state-{state}")
}

struct RequestLine {
    number: i64,
    study: String,
    researcher: String,
    submitted: String,
    state: String,
    class: &'static str,
    fine: usize,
    open: usize,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct Inbox {
    f: Frame,
    centre: String,
    requests: Vec<RequestLine>,
}

/// `GET /inbox`.
pub(crate) async fn inbox(
    State(office): State<Shared>,
    Extension(session): Signed,
    headers: HeaderMap,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/inbox"));
    let requests = match waited(&office, |office| office.desk.requests()).await {
        Ok(requests) => requests,
        Err(error) => return trouble(f, &error),
    };
    let line = |it: &RequestRecord| {
        let open = it.checks.iter().filter(|it| !it.ok).count();
        RequestLine {
            number: it.number,
            study: it.study.clone(),
            researcher: office.desk.researcher(&it.researcher),
            submitted: view::minute(&it.submitted.to_string()),
            state: name_of(it.state),
            class: class_of(it.state),
            fine: it.checks.len() - open,
            open,
        }
    };
    let requests = requests.iter().rev().map(line).collect();
    show(&Inbox { f, centre: office.desk.centre().to_owned(), requests })
}

/// What is revealed by one analysis.
struct Asked {
    kind: String,
    what: String,
    reveals: Vec<String>,
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    f: Frame,
    centre: String,
    number: i64,
    study: String,
    title: String,
    researcher: String,
    purpose: String,
    ethics: String,
    permit: String,
    centres: String,
    cohort: String,
    variables: String,
    leaves: String,
    asked: Vec<Asked>,
    checks: Vec<Check>,
    guarantee: String,
    approved_by: String,
    signatures_needed: usize,
    state: String,
    class: &'static str,
    note: String,
    decidable: bool,
    revocable: bool,
    trouble: String,
    hash: String,
}

fn page_of(f: Frame, office: &Shared, view: RequestView, trouble: String) -> RequestPage {
    let centre = office.desk.centre().to_owned();
    let analyses = view.study.analysis.iter().zip(&view.plan.analyses);
    let asked = analyses.map(|(request, plan)| Asked {
        kind: request.kind.clone(),
        what: request.formula.clone().unwrap_or_else(|| request.variables.join(", ")),
        reveals: plan.reveals.clone(),
    });
    let asked = asked.collect();
    let permit = view.record.document.body.permit.as_ref();
    let permit =
        permit.map(|it| format!("{} · {} · {}", it.body.id, it.body.body, it.body.valid_to));
    let state = view.record.state;
    let decidable = matches!(
        state,
        RequestState::Waiting
            | RequestState::Question
            | RequestState::Declined
            | RequestState::Revoked
    );
    RequestPage {
        f,
        number: view.record.number,
        study: view.record.study.clone(),
        title: view.study.study.title.clone(),
        researcher: view.researcher,
        purpose: view.study.study.purpose.clone(),
        ethics: view.study.study.ethics.clone(),
        permit: permit.unwrap_or_default(),
        centres: view.plan.centres.join(", "),
        cohort: view.study.cohort.condition.clone(),
        variables: view.variables.join(", "),
        leaves: view::bytes(view.own_bytes),
        asked,
        checks: view.record.checks.clone(),
        guarantee: view.plan.guarantee.clone(),
        approved_by: view.approved_by.join(", "),
        signatures_needed: view.signatures_needed,
        state: name_of(state),
        class: class_of(state),
        note: view.record.note.clone(),
        decidable,
        revocable: state == RequestState::Approved,
        hash: view.record.study_hash.clone(),
        centre,
        trouble,
    }
}

async fn shown(office: &Shared, f: Frame, number: i64, trouble: String) -> Response {
    match waited(office, move |office| office.desk.view(number)).await {
        Ok(view) => show(&page_of(f, office, view, trouble)),
        Err((code, text)) => failed(f, StatusCode::NOT_FOUND, (&code, &text)),
    }
}

/// `GET /requests/{number}`.
pub(crate) async fn request(
    State(office): State<Shared>,
    Path(number): Path<i64>,
    Extension(session): Signed,
    headers: HeaderMap,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), &format!("/requests/{number}")));
    shown(&office, f, number, String::new()).await
}

/// What a steward has decided.
struct Decision {
    number: i64,
    what: String,
    note: String,
    password: String,
    who: Who,
}

/// Whether the password that was given again is the account's. Wrong ones are counted, and in the log.
fn trusted(office: &Shared, who: &Who, password: &str) -> bool {
    if office.demo_token.is_some() {
        return true;
    }
    let trusted = office.sessions.waits(&who.name).is_none()
        && check(&office.folder, &who.name, password).is_some();
    office.sessions.tried(&who.name, trusted);
    if !trusted {
        log(office, false, &who.name);
    }
    trusted
}

/// Signs a decision with the steward's key, once the password was given again.
fn decided(office: &Shared, decision: &Decision) -> Result<(), NodeError> {
    let refuse = |what: &str| Err(NodeError::Refused(what.to_owned()));
    let Decision { number, what, note, password, who } = decision;
    let Some(key) = &who.key else {
        return refuse(
            "this account has no steward's key; konsil node account add NAME --key FILE",
        );
    };
    if !trusted(office, who, password) {
        return refuse("the password is not the one of this account, or was wrong too often");
    }
    let path = office.folder.join(key);
    let key =
        Identity::open(&path).map_err(|error| NodeError::File { path, what: error.to_string() })?;
    match what.as_str() {
        "approve" => office.desk.approve(*number, &key, note).map(|_| ()),
        "decline" => office.desk.decline(*number, &key, note),
        "ask" => office.desk.ask(*number, &key, note),
        "revoke" => office.desk.revoke(*number, &key, note),
        _ => refuse("decide by approve, decline, ask or revoke"),
    }
}

/// `POST /requests/{number}`.
pub(crate) async fn decide(
    State(office): State<Shared>,
    Path(number): Path<i64>,
    Extension(session): Signed,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let path = format!("/requests/{number}");
    let f = frame(&office, &headers, (session.as_ref(), &path));
    let Some(session) = session.filter(|it| is_own(&headers, field(&fields, "csrf"), &it.csrf))
    else {
        let text = f.t("form-old");
        return failed(f, StatusCode::FORBIDDEN, ("K0905", &text));
    };
    let decision = Decision {
        number,
        what: field(&fields, "do").to_owned(),
        note: field(&fields, "note").to_owned(),
        password: fields.get("password").cloned().unwrap_or_default(),
        who: session.who,
    };
    if decision.note.is_empty() && ["decline", "ask"].contains(&decision.what.as_str()) {
        let text = f.t("request-note-needed");
        return shown(&office, f, number, text).await;
    }
    match waited(&office, move |office| decided(office, &decision)).await {
        Ok(()) => go(&path),
        Err((code, text)) => shown(&office, f, number, format!("{code} {text}")).await,
    }
}

struct SetLine {
    name: String,
    patients: String,
    dictionary: String,
    used: bool,
}

#[derive(Template)]
#[template(path = "datasets.html")]
struct Datasets {
    f: Frame,
    sets: Vec<SetLine>,
    genotypes: Vec<String>,
    root: String,
    trouble: String,
}

fn sets_of(office: &Shared) -> Result<(Vec<SetLine>, Vec<String>), NodeError> {
    let key = open_key(&office.folder)?;
    let folder = office.folder.join("data");
    let mut sets = Vec::new();
    for name in dataset_names(&folder)? {
        let set = konsil_cohort::load(&folder, &name, &key)?;
        sets.push(SetLine {
            patients: view::count(u64::try_from(set.rows()).unwrap_or(u64::MAX)),
            dictionary: set.dictionary().title(),
            used: name == office.desk.dataset(),
            name,
        });
    }
    Ok((sets, geno_names(&folder)?))
}

/// `GET /datasets`.
pub(crate) async fn datasets(
    State(office): State<Shared>,
    Extension(session): Signed,
    headers: HeaderMap,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/datasets"));
    let root = waited(&office, |office| office.desk.dataset_root()).await;
    let trouble = root.as_ref().err().map(|(code, text)| format!("{code} {text}"));
    let root = root.map(|it| it.get(..16).unwrap_or_default().to_owned()).unwrap_or_default();
    match waited(&office, sets_of).await {
        Ok((sets, genotypes)) => {
            show(&Datasets { f, sets, genotypes, root, trouble: trouble.unwrap_or_default() })
        }
        Err(error) => self::trouble(f, &error),
    }
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    f: Frame,
    policy: CentrePolicy,
    rules: String,
    text: String,
    trouble: String,
    saved: bool,
}

fn policy_page(
    f: Frame,
    policy: CentrePolicy,
    (text, trouble): (Option<String>, String),
) -> PolicyPage {
    let text = text.unwrap_or_else(|| toml::to_string_pretty(&policy).unwrap_or_default());
    PolicyPage { f, rules: policy.rules.in_words(), policy, text, trouble, saved: false }
}

/// `GET /policy`.
pub(crate) async fn policy(
    State(office): State<Shared>,
    Extension(session): Signed,
    headers: HeaderMap,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/policy"));
    match waited(&office, |office| office.desk.policy_file()).await {
        Ok(policy) => show(&policy_page(f, policy, (None, String::new()))),
        Err(error) => trouble(f, &error),
    }
}

/// A policy with what the form's fields say.
fn changed(mut policy: CentrePolicy, fields: &Fields) -> Option<CentrePolicy> {
    let on = |name: &str| fields.contains_key(name);
    policy.rules.threshold = field(fields, "threshold").parse().ok()?;
    policy.rules.centres_min = field(fields, "centres_min").parse().ok()?;
    policy.approval_days = field(fields, "approval_days").parse().ok()?;
    policy.refusals_per_day = field(fields, "refusals_per_day").parse().ok()?;
    policy.two_person = on("two_person");
    policy.needs_permit = on("needs_permit");
    policy.consent_required = on("consent_required");
    let listed = |name: &str| {
        let words = field(fields, name).split([',', ' ']).map(str::trim);
        words.filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<String>>()
    };
    policy.purposes = listed("purposes");
    policy.analyses = listed("analyses");
    Some(policy)
}

/// A policy as a file. Rules that are as before stay where they stand, in this file or the configuration.
fn policy_text(policy: &CentrePolicy, before: &CentrePolicy) -> String {
    let Ok(mut table) = toml::Table::try_from(policy) else { return String::new() };
    if policy.rules == before.rules {
        table.remove("rules");
    }
    toml::to_string_pretty(&table).unwrap_or_default()
}

/// Puts a policy in force that can be used here, and says so in the log.
fn put_policy(office: &Shared, (text, who, password): (&str, &Who, &str)) -> Result<(), NodeError> {
    if !trusted(office, who, password) {
        let what = "the password is not the one of this account, or was wrong too often; the policy \
                    stays as it was";
        return Err(NodeError::Refused(what.to_owned()));
    }
    let policy = office.desk.parse_policy(text)?;
    office.desk.check_floor(&policy)?;
    let before = office.desk.policy_file()?;
    if policy.steward != before.steward {
        let what = "stewards are added and removed by  konsil steward,  which others sign";
        return Err(NodeError::Refused(what.to_owned()));
    }
    let hash = policy.hash().map_err(|_| NodeError::Message("policy"))?;
    let event = Event::new("policy", office.desk.centre(), &who.name).with("hash", &hash);
    let path = office.desk.policy_path();
    let earlier = std::fs::read(&path).ok();
    write_private(&path, text.as_bytes())?;
    // a policy that does not go with the centre's configuration would stop every study, and one that is
    // in no log would be nobody's
    if let Err(error) = office.desk.policy().and_then(|_| office.desk.log(&event)) {
        match earlier {
            Some(earlier) => write_private(&path, &earlier)?,
            None => std::fs::remove_file(&path)
                .map_err(|error| NodeError::File { path, what: error.to_string() })?,
        }
        return Err(error);
    }
    Ok(())
}

/// `POST /policy`: by the form's fields, or as a file.
pub(crate) async fn change_policy(
    State(office): State<Shared>,
    Extension(session): Signed,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/policy"));
    let Some(session) = session.filter(|it| is_own(&headers, field(&fields, "csrf"), &it.csrf))
    else {
        let text = f.t("form-old");
        return failed(f, StatusCode::FORBIDDEN, ("K0905", &text));
    };
    let before = match waited(&office, |office| office.desk.policy_file()).await {
        Ok(policy) => policy,
        Err(error) => return trouble(f, &error),
    };
    let text = if field(&fields, "do") == "file" {
        unix_lines(field(&fields, "text"))
    } else {
        let Some(policy) = changed(before.clone(), &fields) else {
            let text = f.t("policy-numbers");
            return show(&policy_page(f, before, (None, text)));
        };
        policy_text(&policy, &before)
    };
    let password = fields.get("password").cloned().unwrap_or_default();
    let (put, who) = (text.clone(), session.who);
    let done = waited(&office, move |office| put_policy(office, (&put, &who, &password))).await;
    match done {
        Ok(()) => {
            let policy = office.desk.policy_file().unwrap_or(before);
            let page = policy_page(f, policy, (None, String::new()));
            show(&PolicyPage { saved: true, ..page })
        }
        Err((code, what)) => show(&policy_page(f, before, (Some(text), format!("{code} {what}")))),
    }
}

struct BalanceLine {
    scope: String,
    currency: String,
    spent: String,
    means: String,
    left: String,
    percent: u32,
    limited: bool,
}

fn balance_line(it: &Balance) -> BalanceLine {
    let means = match it.currency {
        Currency::Dp => format!("ε {:.2}, δ {DELTA:e}", epsilon(it.spent, DELTA)),
        Currency::Exact => format!("μ {:.2}", mu_of_exposure(it.spent)),
    };
    let number = |text: String| text.parse::<f64>().unwrap_or(0.0);
    let part =
        it.limit.map(|limit| number(it.spent.to_string()) / number(limit.to_string()).max(1e-12));
    let percent = (0..=100_u32).rev().find(|at| f64::from(*at) <= 100.0 * part.unwrap_or(0.0));
    BalanceLine {
        scope: it.scope.to_string(),
        currency: it.currency.to_string(),
        spent: it.spent.to_string(),
        means,
        left: it.limit.map(|limit| limit.minus(it.spent).to_string()).unwrap_or_default(),
        percent: percent.unwrap_or(0),
        limited: it.limit.is_some(),
    }
}

#[derive(Template)]
#[template(path = "budget.html")]
struct BudgetPage {
    f: Frame,
    balances: Vec<BalanceLine>,
    void: bool,
    open: usize,
}

/// `GET /budget`.
pub(crate) async fn budget(
    State(office): State<Shared>,
    Extension(session): Signed,
    headers: HeaderMap,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/budget"));
    match waited(&office, |office| budget_balances(&office.folder)).await {
        Ok(all) => {
            let balances = all.balances.iter().map(balance_line).collect();
            show(&BudgetPage { f, balances, void: all.void, open: all.open.len() })
        }
        Err(error) => trouble(f, &error),
    }
}
