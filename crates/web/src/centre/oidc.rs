//! Signing in with the centre's own OpenID Connect server: the authorization code flow with PKCE (OpenID
//! Connect Core 1.0, section 3.1; RFC 7636). Signatures and claims of tokens are checked by `jsonwebtoken`.
//!
//! It says who somebody is, nothing else: rights are those of the account, and a decision needs the password
//! that only this centre keeps. Whoever rules the centre's sign-in server can read, and decide nothing.

mod provider;
mod token;

use crate::centre::Shared;
use crate::centre::accounts::of_oidc;
use crate::centre::doors::{frame, log, sign_in_failed};
use crate::error::WebError;
use crate::page::{Frame, cookie, go, show};
use crate::sessions::{same, token};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provider::{Granted, Provider};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

/// The file in a centre's folder.
const FILE: &str = "oidc.toml";
/// How long somebody may take to sign in elsewhere.
const AWAY_MOST: Duration = Duration::from_secs(600);
/// Sign-ins under way at once.
const PENDING_MOST: usize = 1000;

/// How a centre's people sign in elsewhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The server, as its tokens name it.
    issuer: String,
    /// The name under which the server knows these pages.
    client_id: String,
    /// A file with the client's secret, from the centre's folder on; without it PKCE alone protects.
    client_secret_file: Option<PathBuf>,
    /// Where the server sends people back to: `https://HOST/oidc/back`.
    redirect: String,
    /// The claim that names a person, as `node account add --oidc` was given it.
    #[serde(default = "usual_claim")]
    claim: String,
    /// Certificates of the authorities that are trusted.
    #[serde(default = "system_authorities")]
    ca_file: PathBuf,
}

fn usual_claim() -> String {
    "email".to_owned()
}

fn system_authorities() -> PathBuf {
    PathBuf::from("/etc/ssl/certs/ca-certificates.crt")
}

/// A sign-in under way.
struct Pending {
    nonce: String,
    verifier: String,
    begun: Instant,
}

/// Sign-ins under way, and the server that they are at.
pub(crate) struct Oidc {
    settings: Settings,
    provider: Provider,
    pending: Mutex<HashMap<String, Pending>>,
    cookie: String,
    secure: bool,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Oidc[{}]", self.settings.issuer)
    }
}

impl Oidc {
    /// What a centre's folder says; `None` where nobody signs in elsewhere.
    ///
    /// # Errors
    /// [`WebError::Account`] for addresses without TLS, [`WebError::File`], [`WebError::Node`].
    pub(crate) fn read(
        folder: &Path,
        (port, secure): (u16, bool),
    ) -> Result<Option<Self>, WebError> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let settings: Settings = konsil_node::read_toml(&path)?;
        for address in [&settings.issuer, &settings.redirect] {
            if !is_safe(address) {
                let what = format!("{}: {address} is no https:// address", path.display());
                return Err(WebError::Account(what));
            }
        }
        let secret = settings.client_secret_file.as_ref().map(|file| {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path).map_err(|error| WebError::io(&path, &error));
            text.map(|it| it.trim().to_owned())
        });
        let provider = Provider::new(&settings, secret.transpose()?)?;
        Ok(Some(Self {
            settings,
            provider,
            pending: Mutex::default(),
            cookie: format!("{}konsil-oidc-{port}", if secure { "__Secure-" } else { "" }),
            secure,
        }))
    }

    /// Begins a sign-in: gives its state and where the browser goes.
    fn begin(&self) -> Result<(String, String), String> {
        let random = || token().map_err(|error| error.to_string());
        let (state, nonce, verifier) = (random()?, random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let place = self.provider.discovered()?.authorization_endpoint;
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|_, it| it.begun.elapsed() < AWAY_MOST);
        if pending.len() >= PENDING_MOST {
            return Err("too many people are signing in at this moment".to_owned());
        }
        let begun = Instant::now();
        pending.insert(state.clone(), Pending { nonce: nonce.clone(), verifier, begun });
        let words = [
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.settings.redirect),
            ("scope", "openid profile email"),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let words: Vec<String> =
            words.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let joint = if place.contains('?') { '&' } else { '?' };
        Ok((state, format!("{place}{joint}{}", words.join("&"))))
    }

    /// Ends a sign-in: who has come back, by the claim that names people.
    fn end(&self, state: &str, code: &str) -> Result<String, String> {
        let mut all = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = all.remove(state).filter(|it| it.begun.elapsed() < AWAY_MOST);
        drop(all);
        let pending = pending.ok_or("this sign-in is too old, or not of this browser")?;
        let granted =
            Granted { code, redirect: &self.settings.redirect, verifier: &pending.verifier };
        let (id_token, keys) = self.provider.redeem(&granted)?;
        let expected = token::Expected {
            issuer: &self.settings.issuer,
            client: &self.settings.client_id,
            nonce: &pending.nonce,
            claim: &self.settings.claim,
        };
        token::name_of(&id_token, &keys, &expected)
    }

    fn set_cookie(&self, value: &str, seconds: u64) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        // lax: the browser comes back from another host
        let text = format!(
            "{}={value}; Path=/oidc; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}",
            self.cookie
        );
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }
}

/// Over TLS, or within this computer.
fn is_safe(address: &str) -> bool {
    let local = ["http://127.0.0.1:", "http://localhost:"];
    address.starts_with("https://") || local.iter().any(|it| address.starts_with(it))
}

/// A word of an address (RFC 3986, section 2.3).
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `GET /oidc/start`: to the centre's sign-in server.
pub(crate) async fn start(State(office): State<Shared>, headers: HeaderMap) -> Response {
    let sender = headers.get("sec-fetch-site").and_then(|it| it.to_str().ok());
    // nobody is signed in because another page wants it
    if office.oidc.is_none() || sender == Some("cross-site") {
        return go("/login");
    }
    let worker = std::sync::Arc::clone(&office);
    let begun = spawn_blocking(move || worker.oidc.as_ref().map(Oidc::begin)).await;
    match begun.ok().flatten() {
        Some(Ok((state, place))) => {
            let Some(oidc) = &office.oidc else { return go("/login") };
            let mut response = go(&place);
            response
                .headers_mut()
                .append(header::SET_COOKIE, oidc.set_cookie(&state, AWAY_MOST.as_secs()));
            response
        }
        Some(Err(what)) => sign_in_failed(&office, &headers, &what),
        None => sign_in_failed(&office, &headers, "try again"),
    }
}

/// What the sign-in server sends a browser back with.
#[derive(Deserialize)]
pub(crate) struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
}

/// A page that leads on: a session's cookie is sent only from these pages, and the browser comes from others.
#[derive(Template)]
#[template(path = "signed-in.html")]
struct SignedIn {
    f: Frame,
}

/// `GET /oidc/back`: from the centre's sign-in server.
pub(crate) async fn back(
    State(office): State<Shared>,
    headers: HeaderMap,
    back: Result<Query<Back>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let (Some(oidc), Ok(Query(back))) = (&office.oidc, back) else { return go("/login") };
    let sent = headers.get(header::COOKIE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let own = cookie(sent, &oidc.cookie).is_some_and(|it| same(it, &back.state));
    if !own || !back.error.is_empty() || back.code.is_empty() {
        log(&office, false, "");
        return sign_in_failed(
            &office,
            &headers,
            "the sign-in server did not let you in, or the page is too old",
        );
    }
    let worker = std::sync::Arc::clone(&office);
    let ended = spawn_blocking(move || {
        let oidc = worker.oidc.as_ref()?;
        let name = oidc.end(&back.state, &back.code);
        Some(name.map(|name| of_oidc(&worker.folder, &name)))
    })
    .await;
    let what = match ended.ok().flatten() {
        Some(Ok(Some(who))) => {
            log(&office, true, &who.name);
            match office.sessions.renew(&headers, who) {
                Ok(session) => {
                    let f = frame(&office, &headers, (None, "/"));
                    let mut response = show(&SignedIn { f }).into_response();
                    let all = response.headers_mut();
                    if let Ok(session) = HeaderValue::from_str(&session) {
                        all.append(header::SET_COOKIE, session);
                    }
                    all.append(header::SET_COOKIE, oidc.set_cookie("", 0));
                    return response;
                }
                Err(error) => error.to_string(),
            }
        }
        Some(Ok(None)) => "you have no account here; ask the administrator".to_owned(),
        Some(Err(what)) => what,
        None => "try again".to_owned(),
    };
    log(&office, false, "");
    sign_in_failed(&office, &headers, &what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_safe_and_their_words_encoded() {
        assert!(is_safe("https://a.example/x") && is_safe("http://127.0.0.1:80/"));
        assert!(!is_safe("http://a.example") && !is_safe("http://127.0.0.1.example:80/"));
        assert_eq!(encoded("a b&c=ü/"), "a%20b%26c%3D%C3%BC%2F");
    }

    #[test]
    fn settings_without_tls_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let read = || Oidc::read(folder.path(), (1, true));
        assert!(read().unwrap().is_none());
        let put = |issuer: &str| {
            let text = format!(
                "issuer = \"{issuer}\"\nclient_id = \"konsil\"\nredirect = \"https://a.example/oidc/back\"\n"
            );
            konsil_node::write_private(&folder.path().join(FILE), text.as_bytes()).unwrap();
        };
        put("http://sso.example");
        assert!(read().unwrap_err().to_string().contains("https"));
        put("https://sso.example");
        let oidc = read();
        assert!(oidc.is_ok_and(|it| it.is_some_and(|it| it.settings.claim == "email")));
    }
}
