//! A session over WebSocket, from the start or after an upgrade from polling.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_websockets::Message;

use super::packet::{self, DISCONNECT, NOOP, PROBE, PROBE_ANSWER, UPGRADE};
use super::session::{EngineSession, EngineTransport, OutgoingItem, SessionOutput};
use crate::actors::event_stream::EventCache;
use crate::http::edge_info::EdgeInfo;
use crate::http::websocket::{SendFault, ServerSocket, send, text};

/// Time for a client to probe the WebSocket and switch over.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes sent before the next flush.
const BATCH: usize = 64 * 1024;

/// Upgrades a polling session, if the client completes both steps.
pub(super) async fn take_over(mut socket: ServerSocket, session: Arc<EngineSession>, edge: EdgeInfo) {
    if session.transport() != EngineTransport::Polling {
        return;
    }
    let changed = timeout(PROBE_PATIENCE, probed(&mut socket, &session)).await;
    if changed != Ok(Some(())) {
        if session.transport() == EngineTransport::Probing {
            session.set_transport(EngineTransport::Polling);
        }
        return;
    }
    session.set_transport(EngineTransport::WebSocket);
    serve(socket, session, edge).await;
}

/// The client's two steps: probe the connection, then (once the poll has ended) switch over.
async fn probed(socket: &mut ServerSocket, session: &EngineSession) -> Option<()> {
    expect(socket, PROBE).await?;
    send(socket, [text(Bytes::from_static(PROBE_ANSWER.as_bytes()))], None).await.ok()?;
    session.set_transport(EngineTransport::Probing);
    expect(socket, UPGRADE).await
}

async fn expect(socket: &mut ServerSocket, packet: &str) -> Option<()> {
    let message = socket.next().await?.ok()?;
    (message.is_text() && &message.as_payload()[..] == packet.as_bytes()).then_some(())
}

/// Carries a session's packets both ways until either side ends the session.
pub(super) async fn serve(mut socket: ServerSocket, session: Arc<EngineSession>, edge: EdgeInfo) {
    // A pending poll ends unasked, since the transport has changed.
    let mut outgoing = Arc::clone(&session.outgoing).lock_owned().await;
    outgoing.is_by_websocket = true;
    let board = Arc::clone(outgoing.events.cache());
    let ended = carry(&mut socket, &session, &mut outgoing, &board, &edge).await;
    session.closed.cancel();
    if let Err(fault) = ended {
        tracing::debug!(%fault, "closed a Socket.IO client");
    }
}

async fn carry(
    socket: &mut ServerSocket,
    session: &EngineSession,
    outgoing: &mut SessionOutput,
    board: &EventCache,
    edge: &EdgeInfo,
) -> Result<(), SendFault> {
    loop {
        tokio::select! {
            () = session.closed.cancelled() => return goodbye(socket, None).await,
            () = edge.shutdown.cancelled() => return goodbye(socket, None).await,
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_close() => return Ok(()),
                Some(Ok(message)) => {
                    if !take(&message, session) {
                        return goodbye(socket, None).await;
                    }
                    // The library has queued a pong.
                    send(socket, [], None).await?;
                }
                Some(Err(_)) | None => return Err(SendFault::Gone),
            },
            next = outgoing.next(session) => {
                let mut batch = PacketBatch::default();
                if let Some(reason) = batch.fill(next, session, outgoing) {
                    batch.send(socket, board).await?;
                    return goodbye(socket, Some(reason)).await;
                }
                batch.send(socket, board).await?;
            }
        }
    }
}

/// Handles a message; false ends the session.
fn take(message: &Message, session: &EngineSession) -> bool {
    if message.is_text() {
        let packet = std::str::from_utf8(message.as_payload()).map_err(|_| packet::MalformedPacket);
        return packet.and_then(packet::read).is_ok_and(|packet| session.take(packet));
    }
    message.is_ping() || message.is_pong()
}

/// Packets sent together.
#[derive(Default)]
struct PacketBatch {
    messages: Vec<Message>,
    bytes: usize,
    /// The first in-memory event among them.
    oldest: Option<u64>,
}

impl PacketBatch {
    /// Takes a packet and all ready ones behind it; returns the farewell when the session is to end.
    fn fill(
        &mut self,
        first: OutgoingItem,
        session: &EngineSession,
        outgoing: &mut SessionOutput,
    ) -> Option<String> {
        let mut next = Some(first);
        while let Some(packet) = next.take() {
            match packet {
                OutgoingItem::Packet(packet) => self.push(packet),
                OutgoingItem::Event(event) => {
                    if event.is_in_memory() {
                        self.oldest.get_or_insert(event.seq);
                    }
                    self.push(event.packet().clone());
                }
                OutgoingItem::Noop => self.push(Bytes::from_static(NOOP.as_bytes())),
                OutgoingItem::End(reason) => return Some(reason),
            }
            if self.bytes < BATCH {
                next = outgoing.next(session).now_or_never();
            }
        }
        None
    }

    fn push(&mut self, packet: Bytes) {
        self.bytes += packet.len();
        self.messages.push(text(packet));
    }

    async fn send(self, socket: &mut ServerSocket, board: &EventCache) -> Result<(), SendFault> {
        send(socket, self.messages, self.oldest.map(|seq| (board, seq))).await
    }
}

/// Closes the session with the client, with the reason if there is one.
async fn goodbye(socket: &mut ServerSocket, reason: Option<String>) -> Result<(), SendFault> {
    let reason = reason.map(text);
    let rest = [text(Bytes::from_static(DISCONNECT.as_bytes())), Message::close(None, "")];
    send(socket, reason.into_iter().chain(rest), None).await
}
