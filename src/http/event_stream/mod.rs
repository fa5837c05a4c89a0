//! Port 6102: the event stream, as Socket.IO, as plain WebSocket and as server-sent events.
//!
//! All three follow the same order of events and resume after a number (`since`).

mod socket_io;
mod websocket;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::Checks;
use super::error::{ApiError, ApiResult};
use super::extract::ContractQuery;
use super::page::Health;
use super::server::EdgeInfo;
use super::sse::{self, Since, SseEvent};
use crate::actors::event_stream::{Events, PublishError};
use crate::domain::event::{Draft, SwarmEvent, kind};

/// Paths whose bodies need not be JSON: Engine.IO's polling sends text, and `/broadcast` answers what is
/// no JSON in a form of its own.
pub const OWN_BODIES: &[&str] = &["/socket.io/", "/broadcast"];
/// Connections of this port: a thousand clients, and some that come again before they are missed.
pub const MAX_CONNECTIONS: usize = 1200;
/// Most events in one answer of `/events/recent`.
const MAX_RECENT: usize = 1000;
/// Longest name of a kind of event.
const MAX_KIND: usize = 100;
/// Events that a new client of Socket.IO is given (the contract).
const HISTORY: usize = 100;

/// The routes of this port, without the common ones.
pub fn routes(events: Events) -> Router {
    let router = Router::new()
        .route("/broadcast", post(broadcast))
        .route("/events", get(follow))
        .route("/events/recent", get(recent))
        .route("/ws", get(websocket::upgrade));
    socket_io::route(router, events.clone()).with_state(events)
}

/// What `/health` says: who listens, and what is kept in memory.
#[must_use]
pub fn health(events: &Events) -> Health {
    let board = Arc::clone(events.board());
    Arc::new(move || {
        let told = [
            ("service", json!("event_stream")),
            ("connected_clients", json!(board.clients())),
            ("buffered_events", json!(board.len())),
            ("last_seq", json!(board.last())),
        ];
        let told: Map<_, _> = told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Box::pin(std::future::ready(Ok(told)))
    })
}

#[derive(Deserialize)]
struct Broadcast {
    #[serde(default = "unknown")]
    event_type: String,
    #[serde(default)]
    data: Value,
}

fn unknown() -> String {
    kind::UNKNOWN.to_owned()
}

/// Takes an event from outside. What is no JSON is answered in the words of the contract's clients.
async fn broadcast(State(events): State<Events>, body: Bytes) -> ApiResult<Response> {
    let wanted = match serde_json::from_slice::<Broadcast>(&body) {
        Ok(wanted) => wanted,
        Err(error) => {
            let told = json!({ "error": format!("the body must be a JSON object with event_type and data: {error}") });
            return Ok((StatusCode::BAD_REQUEST, Json(told)).into_response());
        }
    };
    Checks::body().len("event_type", &wanted.event_type, 1..=MAX_KIND).done()?;
    let event_type = wanted.event_type.clone();
    let seq = events.publish_written(Draft::new(wanted.event_type, wanted.data)).await?;
    let clients = events.board().clients();
    let told = json!({ "status": "broadcasted", "event_type": event_type, "clients": clients, "seq": seq });
    Ok(Json(told).into_response())
}

#[derive(Deserialize)]
struct Newest {
    #[serde(default = "default_limit")]
    limit: usize,
}

fn default_limit() -> usize {
    50
}

async fn recent(
    State(events): State<Events>,
    ContractQuery(Newest { limit }): ContractQuery<Newest>,
) -> ApiResult<Json<Value>> {
    Checks::query().range("limit", &limit, 1..=MAX_RECENT).done()?;
    let newest = events.board().newest(limit);
    let newest: Vec<&SwarmEvent> = newest.iter().map(|sent| &sent.event).collect();
    Ok(Json(json!({ "events": newest })))
}

/// Whether a client said what it has seen; without, it follows what is to come.
#[derive(Deserialize)]
struct Said {
    since: Option<u64>,
}

async fn follow(
    State(events): State<Events>,
    Extension(edge): Extension<EdgeInfo>,
    ContractQuery(said): ContractQuery<Said>,
    headers: axum::http::HeaderMap,
    Since(since): Since,
) -> Response {
    let resumes = said.since.is_some() || headers.contains_key("last-event-id");
    sse::stream(one_by_one(&events, resumes.then_some(since)), &edge)
}

/// Events one by one; ends after telling a client that is too slow.
fn one_by_one(events: &Events, since: Option<u64>) -> impl Stream<Item = SseEvent<Value>> + Send + use<> {
    stream::unfold(Some(events.follow(since)), |follower| async {
        let mut follower = follower?;
        let batch: Vec<_> = match follower.next().await? {
            Ok(batch) => batch
                .iter()
                .filter_map(|sent| {
                    let data = serde_json::to_value(&sent.event).ok()?;
                    Some(SseEvent { id: sent.event.seq, kind: "event", data })
                })
                .collect(),
            Err(error) => {
                let told = json!({ "error": error.to_string(), "since": follower.seen() });
                return Some((
                    stream::iter(vec![SseEvent { id: follower.seen(), kind: "error", data: told }]),
                    None,
                ));
            }
        };
        Some((stream::iter(batch), Some(follower)))
    })
    .flatten()
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Call(error) => error.into(),
            PublishError::Disk(_) => Self::busy(format!("{error}; free some space and send it again")),
        }
    }
}
