//! Events over plain WebSocket: one text message an event, from `?since=` on.
//!
//! Failure policy: a client that takes nothing for [`SEND_PATIENCE`](super::super::websocket::SEND_PATIENCE),
//! or falls behind what is in memory, is cut; where it still reads, it is closed with 1013 and the number
//! to come back with.

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
use crate::actors::event_stream::{EventText, Events, Follower};

/// A ping goes out this often, so that a client that has vanished is found.
const PING: Duration = Duration::from_secs(20);
/// Largest message of a client; it has nothing to say but `ping`.
const MAX_MESSAGE: usize = 4 * 1024;
/// Bytes sent before it is seen whether they were taken.
const BATCH: usize = 64 * 1024;
/// "Try again later" (IANA's registry of close codes).
const AGAIN: u16 = 1013;

#[derive(Deserialize)]
pub(super) struct From {
    since: Option<u64>,
}

pub(super) async fn connect(
    State(events): State<Events>,
    Extension(edge): Extension<EdgeInfo>,
    ContractQuery(From { since }): ContractQuery<From>,
    request: Request,
) -> Response {
    let (follower, of_task) = (events.follow(since), edge.clone());
    upgrade(request, &edge, MAX_MESSAGE, move |socket| serve(socket, follower, of_task))
}

/// What the select of [`serve`] came to.
enum Turn {
    Events(Vec<EventText>),
    Answer(Option<Message>),
    Goodbye(CloseCode, String),
    Gone,
}

async fn serve(mut socket: ServerSocket, mut follower: Follower, edge: EdgeInfo) {
    let board = Arc::clone(follower.board());
    let mut pings = interval(PING);
    let again = CloseCode::try_from(AGAIN).unwrap_or(CloseCode::GOING_AWAY);
    loop {
        let turn = tokio::select! {
            () = edge.shutdown.cancelled() => stopping(),
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_close() => Turn::Gone,
                Some(Ok(message)) => Turn::Answer(answer(&message, follower.seen())),
                Some(Err(_)) | None => Turn::Gone,
            },
            _ = pings.tick() => Turn::Answer(Some(Message::ping(""))),
            newer = follower.next(BATCH) => match newer {
                Some(Ok(events)) => Turn::Events(events),
                Some(Err(slow)) => Turn::Goodbye(again, slow.to_string()),
                None => stopping(),
            },
        };
        let sent = match turn {
            Turn::Gone => return,
            Turn::Goodbye(code, reason) => {
                // It may have left already.
                let _ = send(&mut socket, [Message::close(Some(code), short(&reason))], None).await;
                return;
            }
            // Also without an answer: the library has queued its own to a ping.
            Turn::Answer(answer) => send(&mut socket, answer, None).await,
            Turn::Events(events) => {
                let oldest = events.first().filter(|event| event.is_in_memory()).map(|event| event.seq);
                let messages: Vec<Message> = events.iter().map(|event| text(event.json())).collect();
                send(&mut socket, messages, oldest.map(|seq| (&*board, seq))).await
            }
        };
        if let Err(fault) = sent {
            tracing::debug!(since = follower.seen(), %fault, "a client of the event stream was cut");
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

fn stopping() -> Turn {
    Turn::Goodbye(CloseCode::GOING_AWAY, "the daemon is stopping".to_owned())
}

fn answer(message: &Message, last_seq: u64) -> Option<Message> {
    let is_ping = message.is_text() && message.as_payload().trim_ascii() == b"ping";
    is_ping.then(|| text(json!({ "type": "pong", "last_seq": last_seq }).to_string()))
}
