//! WebSocket (RFC 6455): the handshake, and sending to clients that may not read.
//!
//! Frames are written from texts shared by all clients (tokio-websockets queues handles, not copies).
//! Invariant: a client is sent one batch at a time; a client that reads too slowly, or not before its events
//! are evicted from memory, is disconnected. Failure policy: a request that is no handshake is refused with
//! the reason; a broken connection ends the task.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_websockets::{Limits, Message, ServerBuilder, WebSocketStream};

use super::edge_info::EdgeInfo;
use super::error::ApiError;
use crate::actors::event_stream::EventCache;

/// A WebSocket's server side.
pub(super) type ServerSocket = WebSocketStream<TokioIo<Upgraded>>;

/// Longest time without progress on a batch.
pub(super) const SEND_PATIENCE: Duration = Duration::from_secs(10);
/// Appended to a client's key before it is hashed (RFC 6455, 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Answers a handshake and serves the socket in a task of the edge; any other request is refused. A client's
/// message may have at most `largest` bytes.
pub(super) fn upgrade<F: Future<Output = ()> + Send + 'static>(
    mut request: Request,
    edge: &EdgeInfo,
    largest: usize,
    serve: impl FnOnce(ServerSocket) -> F + Send + 'static,
) -> Response {
    let accept = match accept_key(&request) {
        Ok(accept) => accept,
        Err(refusal) => {
            let mut refused = refusal.into_response();
            // Required for a 426 (RFC 9110, 15.5.22).
            refused.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            return refused;
        }
    };
    let upgrading = hyper::upgrade::on(&mut request);
    edge.spawn(async move {
        match upgrading.await {
            Ok(stream) => {
                let limits = Limits::default().max_payload_len(Some(largest));
                serve(ServerBuilder::new().limits(limits).serve(TokioIo::new(stream))).await;
            }
            Err(error) => tracing::debug!(%error, "a WebSocket client disconnected during the handshake"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Checks the handshake; returns the value of `Sec-WebSocket-Accept`.
fn accept_key(request: &Request) -> Result<HeaderValue, ApiError> {
    let headers = request.headers();
    if request.method() != Method::GET
        || !has_word(headers, &CONNECTION, "upgrade")
        || !has_word(headers, &UPGRADE, "websocket")
    {
        let sentence = "the request is not a WebSocket handshake";
        return Err(ApiError::new(StatusCode::UPGRADE_REQUIRED, sentence));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(ApiError::bad_request("the WebSocket version must be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let Some(key) = key.filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)) else {
        return Err(ApiError::bad_request("Sec-WebSocket-Key must be 16 bytes in base 64"));
    };
    HeaderValue::try_from(accept_of(key)).map_err(|_| ApiError::bad_request("cannot answer the handshake"))
}

fn accept_of(key: &[u8]) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(KEY_SUFFIX);
    STANDARD.encode(hash.finish())
}

fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
}

/// Why a client is disconnected; the client cannot be notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SendFault {
    /// The connection was lost.
    #[error("the connection is gone")]
    Gone,
    /// No progress for [`SEND_PATIENCE`].
    #[error("the client read nothing for {SEND_PATIENCE:?}")]
    Stalled,
    /// An event was evicted from memory before the client had read it.
    #[error("the client fell behind the events in memory")]
    Behind,
}

/// Sends messages. `oldest` is the first in-memory event among them, if any: sending past the eviction would
/// keep that event alive.
pub(super) async fn send(
    socket: &mut ServerSocket,
    messages: impl IntoIterator<Item = Message>,
    oldest: Option<(&EventCache, u64)>,
) -> Result<(), SendFault> {
    let sending = async {
        for message in messages {
            socket.feed(message).await?;
        }
        socket.flush().await
    };
    let behind = async {
        match oldest {
            Some((board, seq)) => board.evicted(seq).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        sent = timeout(SEND_PATIENCE, sending) => match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SendFault::Gone),
            Err(_) => Err(SendFault::Stalled),
        },
        () = behind => Err(SendFault::Behind),
    }
}

/// A text message; events and packets are valid UTF-8.
pub(super) fn text(text: impl Into<Bytes>) -> Message {
    Message::text(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_proved_as_the_standard_says() {
        // The example of RFC 6455, 1.3.
        assert_eq!(accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let status = |change: &dyn Fn(&mut HeaderMap)| {
            let mut request = Request::new(Body::empty());
            let headers = request.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
            change(headers);
            accept_key(&request).err().map(|refusal| refusal.status().as_u16())
        };
        assert_eq!(status(&|_| ()), None);
        assert_eq!(status(&|headers| drop(headers.remove(UPGRADE))), Some(426));
        assert_eq!(status(&|headers| drop(headers.remove(CONNECTION))), Some(426));
        assert_eq!(status(&|headers| drop(headers.remove(SEC_WEBSOCKET_VERSION))), Some(400));
        let short = HeaderValue::from_static("c2hvcnQ=");
        assert_eq!(status(&|headers| drop(headers.insert(SEC_WEBSOCKET_KEY, short.clone()))), Some(400));
    }
}
