//! The centre's server: stewards decide, administrators look after the node, patients read what their
//! data are used for.
//!
//! It works on the centre's folder beside the node. Whoever signs in has roles, and each path belongs to
//! roles; what is public is listed too.

mod accounts;
mod admin;
mod api;
mod doors;
mod metrics;
mod oidc;
mod patient;
mod steward;

pub use accounts::{Account, NewAccount, Role, add_account, read_accounts, remove_account};

use crate::assets::asset;
use crate::centre::accounts::Who;
use crate::centre::oidc::Oidc;
use crate::error::WebError;
use crate::page::Links;
use crate::researcher::language_of;
use crate::serve::{Serving, listen, serve};
use crate::sessions::{Sessions, token};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use konsil_node::{Clock, Desk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the largest form.
const BODY_MOST: usize = 1 << 20;

/// How the server is started.
#[derive(Clone, Debug)]
pub struct CentreOptions {
    /// Where it listens.
    pub listen: String,
    /// Names by which browsers call it, such as that of a proxy before it.
    pub hosts: Vec<String>,
    /// Whether browsers reach it over TLS, by a proxy: cookies are sent over TLS only then.
    pub secure: bool,
    /// Pages of other roles, in a demo, where nobody needs a password; `None` for a centre of patients.
    pub demo: Option<Links>,
}

/// What every handler has.
pub(crate) struct Office {
    pub(crate) folder: PathBuf,
    pub(crate) desk: Desk,
    pub(crate) sessions: Sessions<Who>,
    pub(crate) clock: Clock,
    /// Signs a demo's visitor in, as whom the path says.
    pub(crate) demo_token: Option<String>,
    pub(crate) metrics_token: String,
    pub(crate) links: Links,
    /// The centre's own sign-in server.
    pub(crate) oidc: Option<Oidc>,
}

pub(crate) type Shared = Arc<Office>;

/// The file with the token that a collector of metrics brings.
const METRICS_TOKEN: &str = "metrics.token";

/// Starts the server of a centre's folder.
///
/// # Errors
/// [`WebError::Listen`], [`WebError::Node`] for a folder that is no centre's, [`WebError::Account`] for an
/// address that others can reach without TLS before it.
pub fn serve_centre_pages(folder: &Path, options: &CentreOptions) -> Result<Serving, WebError> {
    let desk = Desk::open(folder, Clock::system())?;
    let listening = listen(&options.listen)?;
    if !listening.1.ip().is_loopback() && !options.secure {
        let what = "passwords and results would cross the network in the clear: listen on loopback, with \
                    a proxy that speaks TLS before it, and say --behind-tls";
        return Err(WebError::Account(what.to_owned()));
    }
    let demo_token = options.demo.as_ref().map(|_| token()).transpose()?;
    let address = listening.1;
    let url = match &demo_token {
        Some(token) => format!("http://{address}/demo?token={token}"),
        None => format!("http://{address}/"),
    };
    let metrics_token = token()?;
    konsil_node::write_private(&folder.join(METRICS_TOKEN), metrics_token.as_bytes())?;
    let office = Office {
        folder: folder.to_owned(),
        desk,
        sessions: Sessions::new(address.port(), options.secure),
        clock: Clock::system(),
        demo_token,
        metrics_token,
        links: options.demo.clone().unwrap_or_default(),
        oidc: Oidc::read(folder, (address.port(), options.secure))?,
    };
    serve(listening, routes(Arc::new(office)), (&options.hosts, url, options.secure))
}

fn routes(office: Shared) -> Router {
    Router::new()
        .route("/", get(doors::first))
        .route("/login", get(doors::login).post(doors::sign_in))
        .route("/logout", post(doors::leave))
        .route("/demo", get(doors::demo))
        .route("/oidc/start", get(oidc::start))
        .route("/oidc/back", get(oidc::back))
        .route("/language/{tag}", get(language_of))
        .route("/inbox", get(steward::inbox))
        .route("/requests/{number}", get(steward::request).post(steward::decide))
        .route("/datasets", get(steward::datasets))
        .route("/policy", get(steward::policy).post(steward::change_policy))
        .route("/budget", get(steward::budget))
        .route("/node", get(admin::node))
        .route("/audit", get(admin::audit).post(admin::verify))
        .route("/transparency", get(patient::transparency))
        .route("/healthz", get(metrics::health))
        .route("/readyz", get(metrics::ready))
        .route("/metrics", get(metrics::metrics))
        .merge(api::routes())
        .layer(from_fn_with_state(Arc::clone(&office), doors::guarded))
        .layer(DefaultBodyLimit::max(BODY_MOST))
        .fallback(doors::nothing)
        .with_state(office)
        .route("/static/{name}", get(asset))
}
