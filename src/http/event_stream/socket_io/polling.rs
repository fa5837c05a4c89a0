//! A session by long polling: `GET` brings packets, `POST` takes them.
//!
//! Invariant: the body of a poll is made as hyper takes it ([`TextInHand`]), so a poll whose client reads
//! nothing costs its connection's buffer. Failure policy: a poll that is broken off after its first packet
//! ends the session: what it had taken is lost, and the client comes back with a number.

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

use super::super::pieces::{LeftMemory, TextInHand};
use super::packet::{self, DISCONNECT, NOOP, SEPARATOR};
use super::session::{Next, Outgoing, Session};
use super::{EngineFault, MAX_PAYLOAD};
use crate::actors::event_stream::Board;
use crate::http::extract::whole;

/// Bytes after which a poll's body ends; the client polls for the rest.
const POLL_BYTES: usize = 256 * 1024;
/// A client may poll anew a moment before its last poll is put away here.
const TURN_PATIENCE: Duration = Duration::from_secs(1);

/// Packets of a client.
pub(super) async fn post(session: &Session, body: Body) -> Result<Response, EngineFault> {
    let body = whole(Body::new(Limited::new(body, MAX_PAYLOAD))).await;
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
pub(super) async fn get(session: &Arc<Session>) -> Result<Response, EngineFault> {
    let turn = timeout(TURN_PATIENCE, Arc::clone(&session.outgoing).lock_owned()).await;
    let mut outgoing = turn.map_err(|_| EngineFault::BadRequest)?;
    let first = tokio::select! {
        first = outgoing.next(session) => first,
        () = session.closed.cancelled() => return Err(EngineFault::UnknownSession),
    };
    let board = Arc::clone(outgoing.events.board());
    let mut poll =
        Poll { session: Arc::clone(session), outgoing, board, hand: None, sent: 0, is_last: false };
    poll.begin(first);
    let pieces = stream::unfold(Some(poll), |poll| async move {
        let mut poll = poll?;
        match poll.piece() {
            Ok(Some(piece)) => Some((Ok(piece), Some(poll))),
            Ok(None) => {
                poll.put_away();
                None
            }
            // The session is closed by dropping the poll.
            Err(left) => Some((Err(io::Error::other(left)), None)),
        }
    });
    Ok(answer(Body::from_stream(pieces)))
}

pub(super) fn answer(body: Body) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=UTF-8"), (CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

/// A poll whose answer is on its way.
struct Poll {
    session: Arc<Session>,
    outgoing: OwnedMutexGuard<Outgoing>,
    board: Arc<Board>,
    hand: Option<TextInHand>,
    sent: usize,
    is_last: bool,
}

impl Poll {
    fn begin(&mut self, next: Next) {
        self.hand = Some(match next {
            Next::Packet(packet) => TextInHand::own(packet),
            Next::Event(event) => TextInHand::packet(&event),
            Next::Noop => {
                self.is_last = true;
                TextInHand::own(Bytes::from_static(NOOP.as_bytes()))
            }
            Next::End(reason) => {
                self.is_last = true;
                self.session.closed.cancel();
                TextInHand::own(format!("{reason}{SEPARATOR}{DISCONNECT}").into())
            }
        });
    }

    /// The next piece of the body; `None` at its end.
    fn piece(&mut self) -> Result<Option<Bytes>, LeftMemory> {
        if let Some(hand) = &mut self.hand
            && let Some(piece) = hand.next(&self.board)?
        {
            self.sent += piece.len();
            return Ok(Some(piece));
        }
        if self.is_last || self.sent >= POLL_BYTES {
            return Ok(None);
        }
        // Only what is there already: the client has something to read.
        let Some(next) = self.outgoing.next(&self.session).now_or_never() else { return Ok(None) };
        if matches!(next, Next::Noop) {
            return Ok(None);
        }
        self.begin(next);
        Ok(Some(Bytes::from_static(b"\x1e")))
    }

    /// The answer has left as a whole.
    fn put_away(&mut self) {
        self.hand = None;
        self.is_last = true;
        self.sent = 0;
        self.outgoing.let_go();
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        let is_put_away = self.hand.is_none();
        if !is_put_away {
            self.session.closed.cancel();
        }
    }
}
