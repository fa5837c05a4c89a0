//! Port 6102: the event stream, as Socket.IO, as plain WebSocket and as server-sent events.
//!
//! All three send events in the same order and resume after a sequence number (`since`).

mod pieces;
mod socket_io;
mod websocket;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::check::RequestChecks;
use super::edge_info::EdgeInfo;
use super::error::{ApiError, ApiResult};
use super::extract::ContractQuery;
use super::list::{ListLimits, ListPage, ListParams};
use super::page::HealthReporter;
use super::sse::{self, KEEP_ALIVE, SinceSeq};
use crate::actors::event_stream::{EventCache, EventFollower, EventStreamHandle, PublishError};
use crate::domain::event::{SwarmEventDraft, kind};
use pieces::{EventEvictedError, PartialText};

/// Paths whose bodies need not be JSON: Engine.IO's polling sends text, and `/broadcast` answers invalid JSON
/// itself.
pub const OWN_BODIES: &[&str] = &["/socket.io/", "/broadcast"];
/// Connections of this port: a thousand clients, plus some that reconnect before their old connection ends.
pub const MAX_CONNECTIONS: usize = 1200;
const MAX_KIND: usize = 100;
pub fn routes(events: EventStreamHandle) -> Router {
    let router = Router::new()
        .route("/broadcast", post(broadcast))
        .route("/events", get(follow))
        .route("/events/recent", get(recent))
        .route("/ws", get(websocket::connect));
    router.with_state(events.clone()).merge(socket_io::routes(events))
}

/// The fields of `/health`: clients, and the events in memory.
#[must_use]
pub fn health(events: &EventStreamHandle) -> HealthReporter {
    let board = Arc::clone(events.cache());
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
struct BroadcastBody {
    #[serde(default = "unknown")]
    event_type: String,
    #[serde(default)]
    data: Value,
}

fn unknown() -> String {
    kind::UNKNOWN.to_owned()
}

/// Publishes an event from outside. Invalid JSON gets the answer that the contract's clients know.
async fn broadcast(State(events): State<EventStreamHandle>, body: Bytes) -> ApiResult<Response> {
    let wanted = match serde_json::from_slice::<BroadcastBody>(&body) {
        Ok(wanted) => wanted,
        Err(error) => {
            let told = json!({ "error": format!("the body must be a JSON object with event_type and data: {error}") });
            return Ok((StatusCode::BAD_REQUEST, Json(told)).into_response());
        }
    };
    RequestChecks::body().len("event_type", &wanted.event_type, 1..=MAX_KIND).done()?;
    let event_type = wanted.event_type.clone();
    let seq = events.publish_written(SwarmEventDraft::new(wanted.event_type, wanted.data)).await?;
    let clients = events.cache().clients();
    let told = json!({ "status": "broadcasted", "event_type": event_type, "clients": clients, "seq": seq });
    Ok(Json(told).into_response())
}

#[derive(Deserialize)]
struct RecentQuery {
    event_type: Option<String>,
}

/// The newest events in memory, newest last; the next page has those before them.
async fn recent(
    State(events): State<EventStreamHandle>,
    params: ListParams,
    ContractQuery(RecentQuery { event_type }): ContractQuery<RecentQuery>,
) -> ApiResult<Response> {
    let board = Arc::clone(events.cache());
    let before = params.after::<u64>()?.unwrap_or(u64::MAX);
    let is_meant = |kind: &str| event_type.as_deref().is_none_or(|meant| meant == kind);
    let all = board.newest_where(usize::MAX, |event| is_meant(&event.event_type));
    let older = all.partition_point(|sent| sent.head.seq < before);
    let page = &all[older.saturating_sub(params.limit(ListLimits::USUAL))..older];
    let first = page.first().map(|sent| sent.head.seq);
    let more = first.filter(|first| all.first().is_some_and(|oldest| oldest.head.seq < *first));
    let numbers = page.iter().map(|sent| sent.head.seq).collect();
    let mut answer = ListPage::new(numbers, all.len(), more.as_ref()).answer("events");
    // Events go out one by one, so that a client that does not read keeps none of them in memory.
    answer["events"] = json!([]);
    let answer = answer.to_string();
    let (head, tail) = answer.split_once("[]").unwrap_or((&answer, ""));
    let mut hands = VecDeque::from([PartialText::own(format!("{head}[").into())]);
    for (index, sent) in page.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        hands.push_back(PartialText::json(&sent.text(), comma.into(), ""));
    }
    hands.push_back(PartialText::own(format!("]{tail}").into()));
    Ok(([(CONTENT_TYPE, "application/json")], body_of(hands, board)).into_response())
}

/// A body whose texts are looked up as the client reads.
fn body_of(hands: VecDeque<PartialText>, board: Arc<EventCache>) -> Body {
    Body::from_stream(stream::unfold(hands, move |mut hands| {
        let board = Arc::clone(&board);
        async move {
            loop {
                match hands.front_mut()?.next(&board) {
                    Ok(Some(piece)) => return Some((Ok(piece), hands)),
                    Ok(None) => drop(hands.pop_front()),
                    Err(left) => return Some((Err(left), VecDeque::new())),
                }
            }
        }
    }))
}

/// Whether the client sent a sequence number; without one it follows from now on.
#[derive(Deserialize)]
struct SseQuery {
    since: Option<u64>,
}

async fn follow(
    State(events): State<EventStreamHandle>,
    Extension(edge): Extension<EdgeInfo>,
    ContractQuery(said): ContractQuery<SseQuery>,
    headers: axum::http::HeaderMap,
    SinceSeq(since): SinceSeq,
) -> Response {
    let resumes = said.since.is_some() || headers.contains_key("last-event-id");
    let follower = events.follow(resumes.then_some(since));
    let follow = SseFollow { board: Arc::clone(follower.cache()), follower, hand: None, is_last: false };
    let pieces = stream::unfold(follow, async |mut follow| {
        let piece = follow.piece().await?;
        Some((piece.map_err(io::Error::other), follow))
    });
    sse::text(pieces, &edge)
}

/// A client of server-sent events: one event after the other, at the client's pace.
struct SseFollow {
    follower: EventFollower,
    board: Arc<EventCache>,
    hand: Option<PartialText>,
    is_last: bool,
}

impl SseFollow {
    /// The next piece; a client that is too slow gets an error event and the end.
    async fn piece(&mut self) -> Option<Result<Bytes, EventEvictedError>> {
        loop {
            if let Some(hand) = &mut self.hand {
                match hand.next(&self.board) {
                    Ok(None) => self.hand = None,
                    Ok(Some(piece)) => return Some(Ok(piece)),
                    Err(left) => {
                        (self.hand, self.is_last) = (None, true);
                        return Some(Err(left));
                    }
                }
            }
            if self.is_last {
                return None;
            }
            self.hand = Some(match timeout(KEEP_ALIVE, self.follower.next(0)).await {
                Err(_) => PartialText::own(Bytes::from_static(sse::STILL_HERE)),
                Ok(next) => match next? {
                    Ok(events) => {
                        let event = events.first()?;
                        let head = format!("id: {}\nevent: event\ndata: ", event.seq);
                        PartialText::json(event, head, "\n\n")
                    }
                    Err(slow) => {
                        self.is_last = true;
                        let seen = self.follower.seen();
                        let told = json!({ "error": slow.to_string(), "since": seen });
                        PartialText::own(format!("id: {seen}\nevent: error\ndata: {told}\n\n").into())
                    }
                },
            });
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Call(error) => error.into(),
            PublishError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            PublishError::Disk(_) => Self::busy(format!("{error}; free some space and send it again")),
        }
    }
}
