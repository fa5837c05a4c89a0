//! A session over long polling: `GET` fetches packets, `POST` sends them.
//!
//! Invariant: hyper pulls the body of a poll piece by piece ([`PartialText`]), so a client that reads nothing
//! costs only its connection's buffer. Failure policy: a poll broken off after the first packet ends the
//! session: the packets of the poll are lost, and the client resumes by number.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures_util::{FutureExt as _, stream};
use http_body_util::Limited;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::super::pieces::{EventEvictedError, PartialText};
use super::packet::{self, DISCONNECT, NOOP, SEPARATOR};
use super::session::{EngineSession, OutgoingItem, SessionOutput};
use super::{EngineFault, MAX_PAYLOAD};
use crate::actors::event_stream::EventCache;
use crate::http::extract::collect_body;

/// Size at which a poll's body ends; the client polls for the rest.
const POLL_BYTES: usize = 256 * 1024;
/// A client may poll again a moment before the last poll is dropped here.
const TURN_PATIENCE: Duration = Duration::from_secs(1);

/// Packets of a client.
pub(super) async fn post(session: &EngineSession, body: Body) -> Result<Response, EngineFault> {
    let body = collect_body(Body::new(Limited::new(body, MAX_PAYLOAD))).await;
    let body = body.map_err(|_| EngineFault::BadRequest)?;
    let text = std::str::from_utf8(&body).map_err(|_| EngineFault::BadRequest)?;
    for packet in text.split(SEPARATOR) {
        let Ok(packet) = packet::read(packet) else {
            session.closed.cancel();
            return Err(EngineFault::BadRequest);
        };
        if !session.take(packet) {
            session.closed.cancel();
        }
    }
    Ok(answer(Body::from("ok")))
}

/// Waits for packets and answers with them.
pub(super) async fn get(session: &Arc<EngineSession>) -> Result<Response, EngineFault> {
    let turn = timeout(TURN_PATIENCE, Arc::clone(&session.outgoing).lock_owned()).await;
    let mut outgoing = turn.map_err(|_| EngineFault::BadRequest)?;
    let first = tokio::select! {
        first = outgoing.next(session) => first,
        () = session.closed.cancelled() => return Err(EngineFault::UnknownSession),
    };
    let board = Arc::clone(outgoing.events.cache());
    let mut poll =
        PendingPoll { session: Arc::clone(session), outgoing, board, hand: None, sent: 0, is_last: false };
    poll.begin(first);
    let pieces = stream::unfold(Some(poll), |poll| async move {
        let mut poll = poll?;
        match poll.piece() {
            Ok(Some(piece)) => Some((Ok(piece), Some(poll))),
            Ok(None) => {
                poll.put_away();
                None
            }
            // Dropping the poll closes the session.
            Err(left) => Some((Err(io::Error::other(left)), None)),
        }
    });
    Ok(answer(Body::from_stream(pieces)))
}

pub(super) fn answer(body: Body) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=UTF-8"), (CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

/// A poll whose answer is being sent.
struct PendingPoll {
    session: Arc<EngineSession>,
    outgoing: OwnedMutexGuard<SessionOutput>,
    board: Arc<EventCache>,
    hand: Option<PartialText>,
    sent: usize,
    is_last: bool,
}

impl PendingPoll {
    fn begin(&mut self, next: OutgoingItem) {
        self.hand = Some(match next {
            OutgoingItem::Packet(packet) => PartialText::own(packet),
            OutgoingItem::Event(event) => PartialText::packet(&event),
            OutgoingItem::Noop => {
                self.is_last = true;
                PartialText::own(Bytes::from_static(NOOP.as_bytes()))
            }
            OutgoingItem::End(reason) => {
                self.is_last = true;
                self.session.closed.cancel();
                PartialText::own(format!("{reason}{SEPARATOR}{DISCONNECT}").into())
            }
        });
    }

    /// The next piece of the body; `None` at the end.
    fn piece(&mut self) -> Result<Option<Bytes>, EventEvictedError> {
        if let Some(hand) = &mut self.hand
            && let Some(piece) = hand.next(&self.board)?
        {
            self.sent += piece.len();
            return Ok(Some(piece));
        }
        if self.is_last || self.sent >= POLL_BYTES {
            return Ok(None);
        }
        // Only packets that are ready: the client already has something to read.
        let Some(next) = self.outgoing.next(&self.session).now_or_never() else { return Ok(None) };
        if matches!(next, OutgoingItem::Noop) {
            return Ok(None);
        }
        self.begin(next);
        Ok(Some(Bytes::from_static(b"\x1e")))
    }

    /// The complete answer has been sent.
    fn put_away(&mut self) {
        self.hand = None;
        self.is_last = true;
        self.sent = 0;
        self.outgoing.let_go();
    }
}

impl Drop for PendingPoll {
    fn drop(&mut self) {
        let is_put_away = self.hand.is_none();
        if !is_put_away {
            self.session.closed.cancel();
        }
    }
}
