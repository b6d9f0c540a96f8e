//! What all pages share: language, who looks, where one may go.

use crate::texts::Language;
use askama::Template;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use std::fmt::Display;
use std::sync::{Arc, OnceLock};

/// Of a path in a menu: where it leads, the message that names it, whether this is the page.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) path: String,
    pub(crate) name: &'static str,
    pub(crate) here: bool,
    /// How many things wait there.
    pub(crate) waiting: usize,
}

/// Another role's pages, in a demo.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) here: bool,
}

/// Pages of other roles, in a demo: address and name of each, known once all servers are there.
#[derive(Clone, Debug, Default)]
pub struct Links(Arc<OnceLock<Vec<(String, String)>>>);

impl Links {
    /// Says them, once.
    pub fn set(&self, links: Vec<(String, String)>) {
        // the first word counts
        let _set = self.0.set(links);
    }

    /// All of them.
    pub(crate) fn others(&self) -> Vec<Other> {
        let links = self.0.get().into_iter().flatten();
        let other = |(path, name): &(String, String)| Other {
            path: path.clone(),
            name: name.clone(),
            here: false,
        };
        links.map(other).collect()
    }
}

/// What stands around a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) language: Language,
    pub(crate) ways: Vec<Way>,
    /// Who looks; empty for the public.
    pub(crate) who: String,
    /// Token of the session, for forms; empty for the public.
    pub(crate) csrf: String,
    /// The path of the page, for the other language.
    pub(crate) path: String,
    pub(crate) others: Vec<Other>,
    /// Whether one can leave.
    pub(crate) leaves: bool,
}

impl Frame {
    /// A message.
    pub(crate) fn t(&self, name: &str) -> String {
        self.language.text(name, &[])
    }

    /// A message with one value.
    pub(crate) fn t1(&self, name: &str, key: &str, value: impl Display) -> String {
        self.language.text(name, &[(key, &value.to_string())])
    }

    /// A message with two values.
    pub(crate) fn t2(
        &self,
        name: &str,
        (key, value): &(&str, impl Display),
        (other, second): &(&str, impl Display),
    ) -> String {
        self.language.text(name, &[(key, &value.to_string()), (other, &second.to_string())])
    }

    pub(crate) fn tag(&self) -> &'static str {
        self.language.tag()
    }

    /// The other language: its tag and name.
    pub(crate) fn other_language(&self) -> (&'static str, &'static str) {
        match self.language {
            Language::English => ("de", "Deutsch"),
            Language::German => ("en", "English"),
        }
    }
}

/// The language of a request: of its cookie, else of the browser.
pub(crate) fn language(headers: &HeaderMap) -> Language {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let cookie = cookie(text(header::COOKIE), "konsil-language").and_then(Language::of_tag);
    cookie.or_else(|| Language::accepted(text(header::ACCEPT_LANGUAGE))).unwrap_or_default()
}

/// A cookie's value.
pub(crate) fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let pairs = header.split(';').filter_map(|it| it.trim().split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

/// A page, or a plain word that it cannot be shown.
pub(crate) fn show(page: &impl Template) -> Response {
    show_as(StatusCode::OK, page)
}

/// The same with another status.
pub(crate) fn show_as(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be shown").into_response(),
    }
}

/// A path of this server that a request names, or the first page. What a browser could take for another
/// host is none: two slashes, also with a blank or a turned one between.
pub(crate) fn own_path(path: &str) -> &str {
    let begins = path.starts_with('/') && !path.starts_with("//");
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    if begins && path.chars().all(plain) { path } else { "/" }
}

/// To another page, after something was done.
pub(crate) fn go(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path.to_owned())]).into_response()
}

/// Why there is no page.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    pub(crate) f: Frame,
    pub(crate) heading: String,
    pub(crate) code: String,
    pub(crate) text: String,
}

/// Says on a page what went wrong.
pub(crate) fn failed(f: Frame, status: StatusCode, (code, text): (&str, &str)) -> Response {
    let name = match status {
        StatusCode::NOT_FOUND => "error-not-found",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "error-forbidden",
        _ => "error-failed",
    };
    let heading = f.t(name);
    show_as(status, &ErrorPage { f, heading, code: code.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn no_path_leads_to_another_host() {
        assert_eq!(own_path("/jobs/1?x=y#z"), "/jobs/1?x=y#z");
        let others =
            ["", "a", "//a", "/\\a", "/\t/a", "/ /a", "https://a", "/a\r\nb: c", "/\u{7f}/a"];
        for other in others {
            assert_eq!(own_path(other), "/", "{other:?}");
        }
    }
}
