//! Errors on the wire: the one place that maps a failure to a status and a body.
//!
//! Invariant: every error of every port is `{"detail": "<sentence>"}`, or for a request that breaks
//! the contract `{"detail": [{"loc", "msg", "type"}, …]}` with 422. Failure policy: the cause of an
//! internal error (a panic, a broken store) goes to the log; the client learns only that one occurred.

use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::Uri};
use serde::Serialize;

use crate::store::StoreError;
use crate::supervision::CallError;

pub type ApiResult<T> = Result<T, ApiError>;

/// Longest text of a library's rejection that is passed on; real ones are one sentence.
const MAX_REJECTION_TEXT: usize = 4 * 1024;

/// Default `Retry-After`: a mailbox of a thousand messages is empty by then, and a store whose disk has
/// recovered accepts writes.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// One step of the path to an offending value: a name or an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LocationStep {
    /// A part of the request (`body`, `query`, `path`, `header`) or a field's name.
    Name(Cow<'static, str>),
    /// An array index, from 0.
    Index(usize),
}

impl From<String> for LocationStep {
    fn from(name: String) -> Self {
        Self::Name(Cow::Owned(name))
    }
}

impl From<&'static str> for LocationStep {
    fn from(name: &'static str) -> Self {
        Self::Name(Cow::Borrowed(name))
    }
}

/// One violation of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContractViolation {
    /// The path to the value, such as `["body", "inputs", "source"]`.
    pub loc: Vec<LocationStep>,
    /// A sentence for people.
    pub msg: String,
    /// The kind, for programs: `missing`, `json_invalid`, `string_too_long`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum ErrorDetail {
    Sentence(Cow<'static, str>),
    Violations(Vec<ContractViolation>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {detail:?}")]
pub struct ApiError {
    status: StatusCode,
    detail: ErrorDetail,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// An error with any status; the sentence names the cause and the remedy.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: ErrorDetail::Sentence(detail.into()), retry_after: None }
    }

    /// 400: each field keeps the contract, but the request as a whole is invalid.
    #[must_use]
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: the named thing does not exist.
    #[must_use]
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: the state of the named thing does not allow this.
    #[must_use]
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 429: a quota or budget is used up.
    #[must_use]
    pub fn too_many(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
    }

    /// 503: not possible now (a full queue, a shutdown); a retry may succeed.
    #[must_use]
    pub fn busy(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(BUSY_RETRY)
    }

    /// 500: our fault. The cause is logged here and not shown.
    #[must_use]
    pub fn internal(cause: &(dyn std::fmt::Display + Send + Sync)) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
    }

    /// 422: the request breaks the contract at these paths.
    #[must_use]
    pub fn violations(violations: Vec<ContractViolation>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: ErrorDetail::Violations(violations),
            retry_after: None,
        }
    }

    /// 422 with one path.
    #[must_use]
    pub fn violation(loc: Vec<LocationStep>, kind: &'static str, msg: impl Into<String>) -> Self {
        Self::violations(vec![ContractViolation { loc, msg: msg.into(), kind }])
    }

    /// Adds a `Retry-After` in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The sentence, or the first violation with the path to the field.
    #[must_use]
    pub fn sentence_and_field(&self) -> (String, Option<String>) {
        match &self.detail {
            ErrorDetail::Sentence(sentence) => (sentence.clone().into_owned(), None),
            ErrorDetail::Violations(violations) => {
                violations.first().map_or_else(Default::default, |violation| {
                    let steps = violation.loc.iter().skip(1).map(|step| match step {
                        LocationStep::Name(name) => name.clone().into_owned(),
                        LocationStep::Index(index) => index.to_string(),
                    });
                    let field = steps.collect::<Vec<_>>().join(".");
                    let field = Some(field).filter(|field| !field.is_empty());
                    let place = field.as_ref().map_or_else(String::new, |field| format!("{field}: "));
                    (format!("{place}{}", violation.msg), field)
                })
            }
        }
    }

    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

/// A call without an answer: the actor's mailbox is full, the actor is down, or it crashed.
impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Crashed => Self::internal(&"an actor crashed while handling a request"),
            CallError::Busy | CallError::Gone | CallError::Timeout(_) => {
                Self::busy(format!("the service {error}; retry shortly"))
            }
        }
    }
}

/// A refusing store probes the disk several times a second, so a retry is worthwhile.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_passing() || error == StoreError::Closed {
            Self::busy(error.to_string())
        } else {
            Self::internal(&error)
        }
    }
}

/// The sentence and field of an error, kept beside the contract's form for ports with another form.
#[derive(Debug, Clone)]
pub(super) struct RefusalReason {
    /// The cause and the remedy.
    pub(super) sentence: String,
    /// The offending field.
    pub(super) param: Option<String>,
}

const INTERNAL: &str = "internal error; see the daemon's log";

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(serde_json::json!({ "detail": self.detail }))).into_response();
        let (sentence, param) = self.sentence_and_field();
        response.extensions_mut().insert(RefusalReason { sentence, param });
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Answers for a handler that panicked; the panic's message goes to the log only.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a panic without a message)");
    ApiError::internal(&format!("a handler panicked: {message}")).into_response()
}

/// Converts axum's own errors (unknown path, wrong method, a library's rejection) to the contract's form,
/// and keeps their headers (`Allow`).
pub(super) async fn in_contract_form(response: Response, method: &Method, uri: &Uri) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || has_own_form(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let detail = rejection_text(body).await.unwrap_or_else(|| default_sentence(status, method, uri));
    let error = ApiError::new(status, detail).into_response();
    for (name, value) in error.headers() {
        parts.headers.insert(name, value.clone());
    }
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    parts.extensions.extend(error.extensions().clone());
    Response::from_parts(parts, error.into_body())
}

fn has_own_form(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return false };
    !kind.as_bytes().starts_with(b"text/plain")
}

async fn rejection_text(body: Body) -> Option<String> {
    let bytes = to_bytes(body, MAX_REJECTION_TEXT).await.ok()?;
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    (!text.trim().is_empty()).then_some(text)
}

/// The versions in the paths of the vendors' APIs: some clients expect them in the base URL, others add them.
const VERSIONS: [&str; 2] = ["v1", "v1beta"];

fn default_sentence(status: StatusCode, method: &Method, uri: &Uri) -> String {
    match status {
        StatusCode::NOT_FOUND => {
            let path = uri.path();
            match VERSIONS.iter().find(|version| path.starts_with(&format!("/{version}/{version}/"))) {
                Some(version) => format!(
                    "no resource at {path}: the client adds /{version} itself, so leave it out of its base URL"
                ),
                None => format!("no resource at {path}; GET / lists the endpoints of this port"),
            }
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            format!("{} does not support {method}; the Allow header lists its methods", uri.path())
        }
        StatusCode::INTERNAL_SERVER_ERROR => INTERNAL.to_owned(),
        other => other.canonical_reason().unwrap_or("the request failed").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn json(response: Response) -> serde_json::Value {
        serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn errors_have_the_contract_form() {
        let response =
            ApiError::busy("the queue is full").retry_after(Duration::from_millis(1500)).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(json(response).await, serde_json::json!({"detail": "the queue is full"}));

        let loc = vec!["body".into(), LocationStep::Index(3)];
        let response = ApiError::violation(loc, "missing", "this field is required").into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(
            json(response).await,
            serde_json::json!({"detail": [
                {"loc": ["body", 3], "msg": "this field is required", "type": "missing"}
            ]})
        );
    }

    #[tokio::test]
    async fn an_inner_cause_is_not_shown() {
        let response = ApiError::internal(&"the key file is at a secret place").into_response();
        assert_eq!(response.status(), 500);
        assert_eq!(json(response).await["detail"], INTERNAL);
    }
}
