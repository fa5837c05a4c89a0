//! Events over plain WebSocket: one text message per event, from `?since=` on.
//!
//! Failure policy: a client that reads nothing for [`SEND_PATIENCE`](super::super::websocket::SEND_PATIENCE),
//! or falls behind the events in memory, is disconnected; a client that still reads gets close code 1013
//! with the number to resume from.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio::time::interval;
use tokio_websockets::{CloseCode, Message};

use super::super::edge_info::EdgeInfo;
use super::super::extract::ContractQuery;
use super::super::websocket::{ServerSocket, send, text, upgrade};
use crate::actors::event_stream::{EventFollower, EventStreamHandle, EventText};

/// Ping interval, to find clients that have vanished.
const PING: Duration = Duration::from_secs(20);
/// Largest message of a client; clients only send `ping`.
const MAX_MESSAGE: usize = 4 * 1024;
/// Bytes sent before the next flush.
const BATCH: usize = 64 * 1024;
/// "Try again later" (IANA's registry of close codes).
const AGAIN: u16 = 1013;

#[derive(Deserialize)]
pub(super) struct WebSocketQuery {
    since: Option<u64>,
}

pub(super) async fn connect(
    State(events): State<EventStreamHandle>,
    Extension(edge): Extension<EdgeInfo>,
    ContractQuery(WebSocketQuery { since }): ContractQuery<WebSocketQuery>,
    request: Request,
) -> Response {
    let (follower, of_task) = (events.follow(since), edge.clone());
    upgrade(request, &edge, MAX_MESSAGE, move |socket| serve(socket, follower, of_task))
}

/// The outcome of the select in [`serve`].
enum SocketTurn {
    Events(Vec<EventText>),
    Answer(Option<Message>),
    Goodbye(CloseCode, String),
    Gone,
}

async fn serve(mut socket: ServerSocket, mut follower: EventFollower, edge: EdgeInfo) {
    let board = Arc::clone(follower.cache());
    let mut pings = interval(PING);
    let again = CloseCode::try_from(AGAIN).unwrap_or(CloseCode::GOING_AWAY);
    loop {
        let turn = tokio::select! {
            () = edge.shutdown.cancelled() => stopping(),
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_close() => SocketTurn::Gone,
                Some(Ok(message)) => SocketTurn::Answer(answer(&message, follower.seen())),
                Some(Err(_)) | None => SocketTurn::Gone,
            },
            _ = pings.tick() => SocketTurn::Answer(Some(Message::ping(""))),
            newer = follower.next(BATCH) => match newer {
                Some(Ok(events)) => SocketTurn::Events(events),
                Some(Err(slow)) => SocketTurn::Goodbye(again, slow.to_string()),
                None => stopping(),
            },
        };
        let sent = match turn {
            SocketTurn::Gone => return,
            SocketTurn::Goodbye(code, reason) => {
                // The client may have gone already.
                let _ = send(&mut socket, [Message::close(Some(code), short(&reason))], None).await;
                return;
            }
            // Flush even without an answer of ours: the library has queued a pong.
            SocketTurn::Answer(answer) => send(&mut socket, answer, None).await,
            SocketTurn::Events(events) => {
                let oldest = events.first().filter(|event| event.is_in_memory()).map(|event| event.seq);
                let messages: Vec<Message> = events.iter().map(|event| text(event.json())).collect();
                send(&mut socket, messages, oldest.map(|seq| (&*board, seq))).await
            }
        };
        if let Err(fault) = sent {
            tracing::debug!(since = follower.seen(), %fault, "closed an event stream client");
            return;
        }
    }
}

/// The part of a reason that fits into a close frame.
fn short(reason: &str) -> &str {
    /// A control frame has 125 bytes, and the code takes two.
    const MOST: usize = 123;
    &reason[..reason.floor_char_boundary(MOST)]
}

fn stopping() -> SocketTurn {
    SocketTurn::Goodbye(CloseCode::GOING_AWAY, "the daemon is stopping".to_owned())
}

fn answer(message: &Message, last_seq: u64) -> Option<Message> {
    let is_ping = message.is_text() && message.as_payload().trim_ascii() == b"ping";
    is_ping.then(|| text(json!({ "type": "pong", "last_seq": last_seq }).to_string()))
}
