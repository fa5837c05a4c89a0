//! The audit of steering through the orchestrator's port: one layer over the steering routes.
//!
//! Invariant: a steering request reaches the handler only after the audit entry is written, and the answer
//! leaves only after the outcome is written. A request refused by the edge's guard is no act and leaves no
//! entry.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::error::{ApiError, ApiResult};
use super::extract::collect_body;
use crate::actors::steering::{AuditNote, SteeringError, SteeringHandle};
use crate::domain::steering::PrincipalName;

/// Names the acting principal, for the audit log.
pub const ACTOR: HeaderName = HeaderName::from_static("x-pas-actor");

/// Longest recorded part of a refusal, in bytes.
const MAX_REFUSAL: usize = 2_000;
/// Longest recorded reason and target, in characters; the handler refuses longer ones.
const MAX_TEXT: usize = 1_000;

/// The acting principal: the request's header, or `otherwise`.
///
/// # Errors
/// 400 for a name that the audit log does not take.
pub fn who(headers: &HeaderMap, otherwise: &'static str) -> ApiResult<PrincipalName> {
    let Some(name) = headers.get(ACTOR) else { return Ok(PrincipalName::by_way_of(otherwise)) };
    let name = PrincipalName::new(name.to_str().unwrap_or_default());
    name.map_err(|nameless| ApiError::bad_request(format!("the {ACTOR} header: {nameless}")))
}

/// A layer for routes of the form `/{kind}/{target}` and `/{kind}/{target}/{action}`.
pub async fn written_down(State(steering): State<SteeringHandle>, request: Request, next: Next) -> Response {
    match through(&steering, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn through(steering: &SteeringHandle, request: Request, next: Next) -> ApiResult<Response> {
    let who = who(request.headers(), "api")?;
    let (parts, body) = request.into_parts();
    let body = collect_body(body).await?;
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut way = parts.uri.path().split('/').skip(2);
    let target = shortened(way.next().unwrap_or_default());
    let action = way.next().or(said["decision"].as_str()).unwrap_or("decide");
    let note =
        AuditNote { who, action: shortened(action), target, reason: said["reason"].as_str().map(shortened) };
    let entry = steering.begin(note).await?;
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if response.status().is_success() {
        steering.end(entry, Ok(String::new())).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| ApiError::internal(&error))?.to_bytes();
    steering.end(entry, Err(refusal(&body))).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The sentence of an error's body.
fn refusal(body: &[u8]) -> String {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut text = told["detail"].as_str().map_or_else(|| told["detail"].to_string(), str::to_owned);
    text.truncate(text.floor_char_boundary(MAX_REFUSAL));
    text
}

impl From<SteeringError> for ApiError {
    fn from(error: SteeringError) -> Self {
        match error {
            SteeringError::Unknown(text) => Self::not_found(text),
            SteeringError::Refused(text) => Self::conflict(text),
            SteeringError::Incomplete(field, what) => {
                Self::violation(vec!["body".into(), field.into()], "missing", what)
            }
            SteeringError::Job(error) => error.into(),
            SteeringError::Control(error) => error.into(),
            SteeringError::Resources(error) => error.into(),
            SteeringError::Audit(_) => Self::busy(error.to_string()),
            SteeringError::Call(error) => error.into(),
        }
    }
}
