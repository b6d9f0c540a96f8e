//! Headers that every answer has, and hosts that requests may name.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The pages' own scripts and styles only, no other host; figures bring the one style sheet whose digest
/// is named, and nothing else that stands in a page counts as script or style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-STYLE'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'; frame-src 'self'";

/// Hosts by which a server may be called: who names another one was led here by a name that was turned
/// to this address.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    names: Arc<Vec<String>>,
    /// Whether browsers come over TLS only.
    secure: bool,
}

impl Hosts {
    pub(crate) fn new(names: Vec<String>, secure: bool) -> Self {
        Self { names: Arc::new(names), secure }
    }

    fn knows(&self, host: &str) -> bool {
        self.names.iter().any(|it| it.eq_ignore_ascii_case(host))
    }
}

/// The digest of the style sheet that figures bring, as a policy names it.
fn figure_digest() -> String {
    STANDARD.encode(Sha256::digest(konsil_plot::svg::style().as_bytes()))
}

/// Refuses foreign hosts, and puts the headers on.
pub(crate) async fn guarded(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let mut response = if hosts.knows(host) {
        next.run(request).await
    } else {
        let what = "this server is called by another name; give that name with --host";
        (StatusCode::MISDIRECTED_REQUEST, what).into_response()
    };
    let own = response.headers_mut();
    let policy = POLICY.replace("STYLE", &figure_digest());
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        own.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    }
    let fixed = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ("x-frame-options", "SAMEORIGIN"),
    ];
    for (name, value) in fixed {
        own.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if hosts.secure {
        let year = HeaderValue::from_static("max-age=31536000");
        own.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    own.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
