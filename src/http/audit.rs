//! The audit of what is done by way of the orchestrator's port: one layer over the routes that steer.
//!
//! Invariant: such a request reaches its handler only after it has been written down, and its answer leaves
//! only after its end has been. A request that the edge's guard refuses is no act and not written down.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::error::{ApiError, ApiResult};
use super::extract::whole;
use crate::actors::steering::{Note, SteerError, Steering};
use crate::domain::steering::Who;

/// Says who acts, for the audit.
pub const ACTOR: HeaderName = HeaderName::from_static("x-pas-actor");

/// Longest part of a refusal that is written down, in bytes.
const MAX_REFUSAL: usize = 2_000;
/// Longest reason and target that are written down, in characters; a longer one is refused by its handler.
const MAX_TEXT: usize = 1_000;

/// Who acts: what the request says, or `otherwise`.
///
/// # Errors
/// 400 for a name that cannot stand in the audit.
pub fn who(headers: &HeaderMap, otherwise: &'static str) -> ApiResult<Who> {
    let Some(name) = headers.get(ACTOR) else { return Ok(Who::by_way_of(otherwise)) };
    let name = Who::new(name.to_str().unwrap_or_default());
    name.map_err(|nameless| ApiError::bad_request(format!("the {ACTOR} header: {nameless}")))
}

/// A layer for routes of the form `/{kind}/{target}` and `/{kind}/{target}/{action}`.
pub async fn written_down(State(steering): State<Steering>, request: Request, next: Next) -> Response {
    match through(&steering, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn through(steering: &Steering, request: Request, next: Next) -> ApiResult<Response> {
    let who = who(request.headers(), "api")?;
    let (parts, body) = request.into_parts();
    let body = whole(body).await?;
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut way = parts.uri.path().split('/').skip(2);
    let target = shortened(way.next().unwrap_or_default());
    let action = way.next().or(said["decision"].as_str()).unwrap_or("decide");
    let note =
        Note { who, action: shortened(action), target, reason: said["reason"].as_str().map(shortened) };
    let entry = steering.begin(note).await?;
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if response.status().is_success() {
        steering.end(entry, None).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| ApiError::internal(&error))?.to_bytes();
    steering.end(entry, Some(refusal(&body))).await?;
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

impl From<SteerError> for ApiError {
    fn from(error: SteerError) -> Self {
        match error {
            SteerError::Unknown(text) => Self::not_found(text),
            SteerError::Refused(text) => Self::conflict(text),
            SteerError::Incomplete(field, what) => {
                Self::violation(vec!["body".into(), field.into()], "missing", what)
            }
            SteerError::Job(error) => error.into(),
            SteerError::Control(error) => error.into(),
            SteerError::Resources(error) => error.into(),
            SteerError::Audit(_) => Self::busy(error.to_string()),
            SteerError::Call(error) => error.into(),
        }
    }
}
