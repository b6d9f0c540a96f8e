//! Files of the pages: style, scripts, icon. All of them are in the program.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use konsil_plot::report::style;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// Name, kind, text, digest.
type Asset = (&'static str, &'static str, String, String);

fn assets() -> &'static [Asset] {
    static ASSETS: OnceLock<Vec<Asset>> = OnceLock::new();
    ASSETS.get_or_init(|| {
        let sheet = style().to_owned() + include_str!("../static/konsil.css");
        let script = "text/javascript; charset=utf-8";
        let all = [
            ("konsil.css", "text/css; charset=utf-8", sheet),
            ("konsil.js", script, include_str!("../static/konsil.js").to_owned()),
            ("htmx.min.js", script, include_str!("../static/htmx.min.js").to_owned()),
            ("icon.svg", "image/svg+xml", include_str!("../static/icon.svg").to_owned()),
        ];
        let digest = |text: &str| {
            let digest = Sha256::digest(text.as_bytes());
            digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        all.into_iter()
            .map(|(name, kind, text)| (name, kind, digest(&text), text))
            .map(|(name, kind, digest, text)| (name, kind, text, digest))
            .collect()
    })
}

/// `GET /static/{name}`; a browser asks again only whether it has changed.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, text, digest)) = assets().iter().find(|it| it.0 == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{digest}\"");
    let held = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    if held.is_some_and(|it| it.trim_start_matches("W/") == tag) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let kept = "no-cache".to_owned();
    let kind = (*kind).to_owned();
    let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept), (header::ETAG, tag)];
    (head, text.as_str()).into_response()
}
