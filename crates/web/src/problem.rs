//! What a call is answered that fails: RFC 9457, `application/problem+json`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

/// The media type of problems.
const PROBLEM: &str = "application/problem+json";

/// A description as it is served: with this program's version, and problems under their media type.
pub(crate) fn described(mut interface: OpenApi) -> Value {
    interface.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let mut value = serde_json::to_value(interface).unwrap_or_default();
    let paths = value["paths"].as_object_mut().into_iter().flat_map(|it| it.values_mut());
    let operations = paths.filter_map(Value::as_object_mut).flat_map(|it| it.values_mut());
    let responses = operations.filter_map(|it| it.get_mut("responses")?.as_object_mut()).flatten();
    for (_, response) in responses.filter(|(status, _)| status.starts_with(['4', '5'])) {
        let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else {
            continue;
        };
        if let Some(body) = content.remove("application/json") {
            content.insert(PROBLEM.to_owned(), body);
        }
    }
    value
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// In a few words.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What happened, and what to do.
    pub(crate) detail: String,
    /// For `konsil explain`.
    pub(crate) code: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Failed").to_owned();
        Self { title, status: status.as_u16(), detail: detail.into(), code: code.to_owned() }
    }

    /// Something that is not there.
    pub(crate) fn nothing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "K0906", format!("there is no {what}"))
    }

    /// A call without the right to it.
    pub(crate) fn forbidden(what: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "K0905", what)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let text = serde_json::to_string(&self).unwrap_or_default();
        (status, kind, text).into_response()
    }
}
