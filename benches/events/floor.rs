//! The minimal event stream: axum in front, a number and a text for each event, tokio's broadcast channel
//! behind. Nothing is written, nothing is kept, a client that lags loses events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// As many as the daemon keeps in memory.
const KEPT: usize = 4096;

#[derive(Clone)]
struct Stream {
    events: broadcast::Sender<Utf8Bytes>,
    last: Arc<AtomicU64>,
}

async fn publish(State(stream): State<Stream>, body: Bytes) -> Json<Value> {
    let mut event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let seq = stream.last.fetch_add(1, Ordering::Relaxed) + 1;
    event["seq"] = json!(seq);
    // Without clients there is nobody to send to.
    let clients = stream.events.send(event.to_string().into()).unwrap_or(0);
    Json(json!({ "status": "broadcasted", "clients": clients, "seq": seq }))
}

async fn follow(State(stream): State<Stream>, upgrade: WebSocketUpgrade) -> Response {
    let events = stream.events.subscribe();
    upgrade.on_upgrade(move |socket| send(socket, events))
}

async fn send(mut socket: WebSocket, mut events: broadcast::Receiver<Utf8Bytes>) {
    while let Ok(event) = events.recv().await {
        if socket.send(Message::Text(event)).await.is_err() {
            return;
        }
    }
}

/// Prints the address and serves until killed.
pub(crate) fn side() -> anyhow::Result<()> {
    crate::runtime(2)?.block_on(async {
        let stream = Stream { events: broadcast::channel(KEPT).0, last: Arc::default() };
        let router = Router::new().route("/broadcast", post(publish)).route("/ws", get(follow));
        let address = crate::hop::serve(router.with_state(stream)).await?;
        crate::say(&address.to_string());
        std::future::pending().await
    })
}
