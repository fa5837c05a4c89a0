//! A session over WebSocket, from its beginning or after an upgrade from polling.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_websockets::Message;

use super::packet::{self, DISCONNECT, NOOP, PROBE, PROBE_ANSWER, UPGRADE};
use super::session::{Next, Outgoing, Session, Transport};
use crate::actors::event_stream::Board;
use crate::http::edge_info::EdgeInfo;
use crate::http::websocket::{SendFault, ServerSocket, send, text};

/// For a client to try the WebSocket and to change over to it.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes sent before it is seen whether they were taken.
const BATCH: usize = 64 * 1024;

/// A session that polls changes over, if its client goes through with it.
pub(super) async fn take_over(mut socket: ServerSocket, session: Arc<Session>, edge: EdgeInfo) {
    if session.transport() != Transport::Polling {
        return;
    }
    let changed = timeout(PROBE_PATIENCE, probed(&mut socket, &session)).await;
    if changed != Ok(Some(())) {
        if session.transport() == Transport::Probing {
            session.set_transport(Transport::Polling);
        }
        return;
    }
    session.set_transport(Transport::WebSocket);
    serve(socket, session, edge).await;
}

/// The client's two steps: it tries the connection, and (once its poll has ended) changes over.
async fn probed(socket: &mut ServerSocket, session: &Session) -> Option<()> {
    expect(socket, PROBE).await?;
    send(socket, [text(Bytes::from_static(PROBE_ANSWER.as_bytes()))], None).await.ok()?;
    session.set_transport(Transport::Probing);
    expect(socket, UPGRADE).await
}

async fn expect(socket: &mut ServerSocket, packet: &str) -> Option<()> {
    let message = socket.next().await?.ok()?;
    (message.is_text() && &message.as_payload()[..] == packet.as_bytes()).then_some(())
}

/// Carries a session's packets both ways until either side ends it.
pub(super) async fn serve(mut socket: ServerSocket, session: Arc<Session>, edge: EdgeInfo) {
    // A poll that is still under way ends by itself: the transport has changed.
    let mut outgoing = Arc::clone(&session.outgoing).lock_owned().await;
    outgoing.is_by_websocket = true;
    let board = Arc::clone(outgoing.events.board());
    let ended = carry(&mut socket, &session, &mut outgoing, &board, &edge).await;
    session.closed.cancel();
    if let Err(fault) = ended {
        tracing::debug!(%fault, "a client of Socket.IO was cut");
    }
}

async fn carry(
    socket: &mut ServerSocket,
    session: &Session,
    outgoing: &mut Outgoing,
    board: &Board,
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
                    // The library has queued its own answer to a ping.
                    send(socket, [], None).await?;
                }
                Some(Err(_)) | None => return Err(SendFault::Gone),
            },
            next = outgoing.next(session) => {
                let mut batch = Batch::default();
                if let Some(reason) = batch.fill(next, session, outgoing) {
                    batch.send(socket, board).await?;
                    return goodbye(socket, Some(reason)).await;
                }
                batch.send(socket, board).await?;
            }
        }
    }
}

/// Takes in a message; whether the session goes on.
fn take(message: &Message, session: &Session) -> bool {
    if message.is_text() {
        let packet = std::str::from_utf8(message.as_payload()).map_err(|_| packet::Malformed);
        return packet.and_then(packet::read).is_ok_and(|packet| session.take(packet));
    }
    message.is_ping() || message.is_pong()
}

/// Packets that are sent together.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    bytes: usize,
    /// The first event in memory among them.
    oldest: Option<u64>,
}

impl Batch {
    /// Takes a packet and those that are ready behind it; the farewell, when the session is to end.
    fn fill(&mut self, first: Next, session: &Session, outgoing: &mut Outgoing) -> Option<String> {
        let mut next = Some(first);
        while let Some(packet) = next.take() {
            match packet {
                Next::Packet(packet) => self.push(packet),
                Next::Event(event) => {
                    if event.is_in_memory() {
                        self.oldest.get_or_insert(event.seq);
                    }
                    self.push(event.packet().clone());
                }
                Next::Noop => self.push(Bytes::from_static(NOOP.as_bytes())),
                Next::End(reason) => return Some(reason),
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

    async fn send(self, socket: &mut ServerSocket, board: &Board) -> Result<(), SendFault> {
        send(socket, self.messages, self.oldest.map(|seq| (board, seq))).await
    }
}

/// Tells the client that the session is over, and why if there is a reason.
async fn goodbye(socket: &mut ServerSocket, reason: Option<String>) -> Result<(), SendFault> {
    let reason = reason.map(text);
    let rest = [text(Bytes::from_static(DISCONNECT.as_bytes())), Message::close(None, "")];
    send(socket, reason.into_iter().chain(rest), None).await
}
