//! Events over plain WebSocket: one text message an event, from `?since=` on.
//!
//! Failure policy: a client that takes nothing for [`SEND_PATIENCE`], or falls behind what is in memory,
//! is closed with 1013 and the number to come back with.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{interval, timeout};

use super::super::extract::ContractQuery;
use super::super::server::EdgeInfo;
use crate::actors::event_stream::{Events, Follower};

/// Longest time a client may take no message.
const SEND_PATIENCE: Duration = Duration::from_secs(10);
/// A ping goes out this often, so that a client that has vanished is found.
const PING: Duration = Duration::from_secs(20);
/// Largest message of a client; it has nothing to say but `ping`.
const MAX_MESSAGE: usize = 4 * 1024;

#[derive(Deserialize)]
pub(super) struct From {
    since: Option<u64>,
}

pub(super) async fn upgrade(
    State(events): State<Events>,
    Extension(edge): Extension<EdgeInfo>,
    ContractQuery(From { since }): ContractQuery<From>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let follower = events.follow(since);
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| serve(socket, follower, edge))
}

async fn serve(socket: WebSocket, mut follower: Follower, edge: EdgeInfo) {
    let (mut sink, mut incoming) = socket.split();
    let mut pings = interval(PING);
    let goodbye = loop {
        let messages = tokio::select! {
            () = edge.shutdown.cancelled() => break Some((close_code::AWAY, "the daemon is stopping".to_owned())),
            message = incoming.next() => match message {
                Some(Ok(Message::Text(text))) if text.trim() == "ping" => {
                    vec![json!({ "type": "pong", "last_seq": follower.seen() }).to_string().into()]
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                Some(Ok(_)) => continue,
            },
            _ = pings.tick() => vec![Message::Ping(Vec::new().into())],
            newer = follower.next() => match newer {
                Some(Ok(events)) => events.iter().filter_map(|sent| text(&sent.json)).collect(),
                Some(Err(slow)) => break Some((close_code::AGAIN, slow.to_string())),
                None => break Some((close_code::AWAY, "the daemon is stopping".to_owned())),
            },
        };
        let sending = async {
            for message in messages {
                sink.feed(message).await?;
            }
            sink.flush().await
        };
        match timeout(SEND_PATIENCE, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break None,
            Err(_) => {
                break Some((
                    close_code::AGAIN,
                    format!("too slow: nothing was taken for {SEND_PATIENCE:?}"),
                ));
            }
        }
    };
    if let Some((code, reason)) = goodbye {
        let frame = CloseFrame { code, reason: reason.into() };
        // A client that is gone cannot be told.
        let _ = timeout(SEND_PATIENCE, sink.send(Message::Close(Some(frame)))).await;
    }
}

/// The event's text, without a copy.
fn text(json: &axum::body::Bytes) -> Option<Message> {
    Utf8Bytes::try_from(json.clone()).ok().map(Message::Text)
}
