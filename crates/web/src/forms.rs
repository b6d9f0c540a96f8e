//! What forms send.

use crate::sessions::same;
use axum::http::{HeaderMap, header};
use std::collections::HashMap;

/// The fields of a form.
pub(crate) type Fields = HashMap<String, String>;

/// A field without blanks around it; empty where it is not there.
pub(crate) fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map(|it| it.trim()).unwrap_or_default()
}

/// Whether a request that changes something comes from the server's own pages: the session's token is in
/// it, and the browser does not say that another page has sent it.
pub(crate) fn is_own(headers: &HeaderMap, token: &str, csrf: &str) -> bool {
    let sender = headers.get("sec-fetch-site").and_then(|it| it.to_str().ok());
    let elsewhere = sender.is_some_and(|it| it != "same-origin" && it != "none");
    same(token, csrf) && !elsewhere
}

/// The token that a call brings in a header.
pub(crate) fn token_of(headers: &HeaderMap) -> &str {
    headers.get("x-csrf-token").and_then(|it| it.to_str().ok()).unwrap_or_default()
}

/// The bearer's token of a call.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_pages_change_something() {
        let mut headers = HeaderMap::new();
        assert!(is_own(&headers, "abc", "abc") && !is_own(&headers, "abd", "abc"));
        assert!(!is_own(&headers, "", ""));
        for (sender, own) in [("same-origin", true), ("cross-site", false), ("same-site", false)] {
            headers.insert("sec-fetch-site", sender.parse().unwrap());
            assert_eq!(is_own(&headers, "abc", "abc"), own, "{sender}");
        }
    }
}
