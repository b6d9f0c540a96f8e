//! The sign-in server: what it says of itself, its keys, and a token for a code.

use crate::centre::oidc::Settings;
use crate::error::WebError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// How long what a server says of itself is taken without asking again.
const FRESH: Duration = Duration::from_secs(3600);
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the longest answer.
const ANSWER_MOST: u64 = 1 << 18;

/// What a server says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Discovered {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// The server, and how it is spoken to.
pub(super) struct Provider {
    issuer: String,
    client: String,
    secret: Option<String>,
    agent: ureq::Agent,
    known: Mutex<Option<(Instant, Discovered)>>,
}

/// What is redeemed for a token.
pub(super) struct Granted<'a> {
    pub(super) code: &'a str,
    pub(super) redirect: &'a str,
    pub(super) verifier: &'a str,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Provider {
    /// Reads the authorities; asks nobody yet.
    pub(super) fn new(settings: &Settings, secret: Option<String>) -> Result<Self, WebError> {
        let path = &settings.ca_file;
        // a server within this computer may do without
        let pem = if path.exists() {
            std::fs::read(path).map_err(|error| WebError::io(path, &error))?
        } else {
            Vec::new()
        };
        let roots = parse_pem(&pem).filter_map(|it| match it {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(PATIENCE))
            // where a server sends us is not where it is asked to
            .max_redirects(0)
            .build();
        Ok(Self {
            issuer: settings.issuer.clone(),
            client: settings.client_id.clone(),
            secret,
            agent: config.new_agent(),
            known: Mutex::default(),
        })
    }

    fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T, String> {
        if !super::is_safe(address) {
            return Err(format!("the sign-in server names an address without TLS: {address}"));
        }
        let answer = self.agent.get(address).call();
        read(answer.map_err(|error| format!("the sign-in server does not answer: {error}"))?)
    }

    /// What the server says of itself.
    pub(super) fn discovered(&self) -> Result<Discovered, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, it)) = known.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(it.clone());
        }
        let base = self.issuer.trim_end_matches('/');
        let it: Discovered = self.get(&format!("{base}/.well-known/openid-configuration"))?;
        if it.issuer != self.issuer {
            return Err(format!(
                "the sign-in server calls itself {}, not {}",
                it.issuer, self.issuer
            ));
        }
        for address in [&it.authorization_endpoint, &it.token_endpoint, &it.jwks_uri] {
            if !super::is_safe(address) {
                return Err(format!("the sign-in server names an address without TLS: {address}"));
            }
        }
        *known = Some((Instant::now(), it.clone()));
        Ok(it)
    }

    /// A token for a code (OpenID Connect Core 1.0, section 3.1.3), and the keys that it may be signed with.
    pub(super) fn redeem(&self, granted: &Granted<'_>) -> Result<(String, JwkSet), String> {
        let it = self.discovered()?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", granted.code),
            ("redirect_uri", granted.redirect),
            ("client_id", &self.client),
            ("code_verifier", granted.verifier),
        ];
        let mut request = self.agent.post(&it.token_endpoint);
        if let Some(secret) = &self.secret {
            // both are encoded first (RFC 6749, section 2.3.1)
            let pair = format!("{}:{}", super::encoded(&self.client), super::encoded(secret));
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        }
        let answer = request.send_form(form);
        let tokens: Tokens =
            read(answer.map_err(|error| format!("the sign-in server gives no token: {error}"))?)?;
        Ok((tokens.id_token, self.get(&it.jwks_uri)?))
    }
}

fn read<T: DeserializeOwned>(mut answer: ureq::http::Response<ureq::Body>) -> Result<T, String> {
    let unread = |error: &dyn std::fmt::Display| {
        format!("the sign-in server's answer cannot be read: {error}")
    };
    let body = answer.body_mut().with_config().limit(ANSWER_MOST).read_to_vec();
    serde_json::from_slice(&body.map_err(|error| unread(&error))?).map_err(|error| unread(&error))
}
