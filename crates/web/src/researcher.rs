//! The researcher's server: studies are written, planned, asked for and run from here, and results are
//! added up and kept here, in one folder of the researcher's.
//!
//! It listens on loopback only. Whoever opens its address with the token that it was started with is
//! signed in; a program brings the token with each call.

mod api;
mod bench;
mod editor;
mod jobs;
mod pages;
mod records;
mod run;

pub use bench::{Hooks, Place, Workbench};
pub(crate) use editor::unix_lines;
pub(crate) use pages::language_of;

use crate::assets::asset;
use crate::error::WebError;
use crate::page::{Links, Other};
use crate::serve::{Serving, listen, serve};
use crate::sessions::{Sessions, token};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Bytes of the largest study.
const BODY_MOST: usize = 1 << 20;
/// The file with the token for programs.
const TOKEN_FILE: &str = "ui.token";

/// How the server is started.
#[derive(Clone, Debug)]
pub struct ResearcherOptions {
    /// Where it listens: an address of loopback, port 0 for any.
    pub listen: String,
    /// Pages of other roles, in a demo.
    pub links: Links,
}

/// What every handler has.
pub(crate) struct Desk {
    pub(crate) bench: Arc<Workbench>,
    pub(crate) sessions: Sessions<()>,
    pub(crate) token: String,
    links: Links,
}

pub(crate) type Shared = Arc<Desk>;

impl Desk {
    /// Other roles' pages; this one is the first.
    pub(crate) fn others(&self) -> Vec<Other> {
        let mut others = self.links.others();
        if let Some(first) = others.first_mut() {
            first.here = true;
        }
        others
    }
}

/// Starts the server on a workbench. The token for programs is written into the workbench's folder, for
/// its owner alone.
///
/// # Errors
/// [`WebError::Listen`], [`WebError::File`], [`WebError::Account`] for an address that others could reach.
pub fn serve_researcher(
    bench: Arc<Workbench>,
    options: &ResearcherOptions,
) -> Result<Serving, WebError> {
    let listening = listen(&options.listen)?;
    if !listening.1.ip().is_loopback() {
        let what =
            "the researcher's pages show results: they listen on loopback only, 127.0.0.1:PORT";
        return Err(WebError::Account(what.to_owned()));
    }
    let token = token()?;
    keep_token(&bench.folder, (&listening.1.to_string(), &token))?;
    let url = format!("http://{}/enter?token={token}", listening.1);
    let sessions = Sessions::new(listening.1.port(), false);
    bench.take_up();
    let desk = Desk { bench, sessions, token, links: options.links.clone() };
    let routes = routes(Arc::new(desk));
    serve(listening, routes, (&[], url, false))
}

/// Address and token, a line each.
fn keep_token(folder: &Path, (address, token): (&str, &str)) -> Result<(), WebError> {
    fs::create_dir_all(folder).map_err(|error| WebError::io(folder, &error))?;
    let path = folder.join(TOKEN_FILE);
    let text = format!("http://{address}\n{token}\n");
    konsil_node::write_private(&path, text.as_bytes())?;
    Ok(())
}

fn routes(desk: Shared) -> Router {
    Router::new()
        .route("/", get(pages::home))
        .route("/enter", get(pages::enter))
        .route("/language/{tag}", get(language_of))
        .route("/data", get(pages::data))
        .route("/studies/new", get(editor::show_editor).post(editor::change))
        .route("/studies/check", post(editor::check))
        .route("/jobs", post(pages::start))
        .route("/jobs/{id}", get(run::job))
        .route("/jobs/{id}/progress", get(run::progress))
        .route("/jobs/{id}/cancel", post(run::cancel))
        .route("/jobs/{id}/files/{name}", get(run::file))
        .route("/jobs/{id}/bundle", get(run::bundle))
        .merge(api::routes())
        .layer(DefaultBodyLimit::max(BODY_MOST))
        .fallback(pages::nothing)
        .with_state(desk)
        .route("/static/{name}", get(asset))
}
