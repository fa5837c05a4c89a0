//! Events over Socket.IO v4 (and later), as the contract's clients expect them.
//!
//! On connecting a client gets `connected`, then `event_history` (the last hundred, if any), then one
//! `event` for each. A client that says in its `auth` or query what it has seen (`since`) gets what it
//! missed as `event`s instead of the history. It may send `ping` and `request_history`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde::Deserialize;
use serde_json::json;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::{SendError, SocketError, SocketIo};
use tokio_util::sync::CancellationToken;

use super::HISTORY;
use crate::actors::event_stream::{Events, Sent};
use crate::domain::event::SwarmEvent;
use crate::domain::time::Timestamp;

/// Packets that may wait for one client in the library's queue.
const QUEUE: usize = 256;
/// Pause before a full queue is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// A client whose queue stays full for so many pauses (10 s) is too slow.
const FULL_PAUSES: u32 = 2000;
/// Largest packet of a client.
const MAX_PAYLOAD: u64 = 64 * 1024;

/// Adds Socket.IO at `/socket.io/` to a router.
pub(super) fn route<S: Clone + Send + Sync + 'static>(router: Router<S>, events: Events) -> Router<S> {
    let (service, io) = SocketIo::builder().max_buffer_size(QUEUE).max_payload(MAX_PAYLOAD).build_svc();
    io.ns("/", async move |socket: SocketRef, TryData(auth): TryData<Auth>| {
        let since = auth.ok().and_then(|auth| auth.since).or_else(|| since_of_query(&socket));
        serve(socket, events.clone(), since).await;
    });
    router.route_service("/socket.io/", service)
}

#[derive(Debug, Deserialize)]
struct Auth {
    since: Option<u64>,
}

fn since_of_query(socket: &SocketRef) -> Option<u64> {
    let query = socket.req_parts().uri.query()?;
    query.split('&').find_map(|pair| pair.strip_prefix("since=")?.parse().ok())
}

async fn serve(socket: SocketRef, events: Events, since: Option<u64>) {
    let gone = CancellationToken::new();
    let left = gone.clone();
    socket.on_disconnect(async move || left.cancel());
    let board = Arc::clone(events.board());
    socket.on("ping", async |socket: SocketRef| {
        // A client that is gone needs no answer.
        let _ = socket.emit("pong", &json!({ "timestamp": Timestamp::now() }));
    });
    socket.on("request_history", async move |socket: SocketRef| {
        let _ = socket.emit("event_history", &[history(&board.newest(HISTORY))]);
    });
    // Followed from before the history is read, so that nothing falls in between.
    let newest = events.board().newest(HISTORY);
    let begin = since.or_else(|| newest.last().map(|sent| sent.event.seq));
    let mut follower = events.follow(begin);
    let hello = json!({
        "status": "connected", "server_time": Timestamp::now(), "buffered_events": events.board().len(),
    });
    if emit(&socket, "connected", &hello).await.is_err() {
        return;
    }
    if since.is_none()
        && !newest.is_empty()
        && emit(&socket, "event_history", &[history(&newest)]).await.is_err()
    {
        return;
    }
    loop {
        let batch = tokio::select! {
            () = gone.cancelled() => return,
            batch = follower.next() => batch,
        };
        let reason = match batch {
            Some(Ok(batch)) => match send(&socket, &batch).await {
                Ok(()) => continue,
                Err(reason) => reason,
            },
            Some(Err(slow)) => Some(slow.to_string()),
            None => Some("the daemon is stopping".to_owned()),
        };
        if let Some(reason) = reason {
            let _ = socket.emit("disconnect_reason", &json!({ "reason": reason, "since": follower.seen() }));
        }
        // It may have gone by itself in the meantime.
        let _ = socket.disconnect();
        return;
    }
}

fn history(newest: &[Arc<Sent>]) -> Vec<&SwarmEvent> {
    newest.iter().map(|sent| &sent.event).collect()
}

async fn send(socket: &SocketRef, batch: &[Arc<Sent>]) -> Result<(), Option<String>> {
    for sent in batch {
        emit(socket, "event", &sent.event).await?;
    }
    Ok(())
}

/// Emits, waiting while the client's queue is full.
///
/// # Errors
/// The reason to tell the client, or nothing when it is gone.
async fn emit(
    socket: &SocketRef,
    name: &str,
    data: &(impl serde::Serialize + ?Sized),
) -> Result<(), Option<String>> {
    for _ in 0..FULL_PAUSES {
        match socket.emit(name, data) {
            Ok(()) => return Ok(()),
            Err(SendError::Socket(SocketError::InternalChannelFull)) => tokio::time::sleep(FULL_PAUSE).await,
            Err(SendError::Socket(SocketError::Closed)) => return Err(None),
            Err(SendError::Serialize(error)) => {
                tracing::error!(name, %error, "an event cannot be sent");
                return Ok(());
            }
        }
    }
    Err(Some(format!("too slow: nothing was taken for {:?}", FULL_PAUSE * FULL_PAUSES)))
}
