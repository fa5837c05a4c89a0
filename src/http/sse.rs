//! Server-sent events: numbered, resumable, ended cleanly at shutdown.
//!
//! Invariant: every event's id is its sequence number in the source, so a client that reconnects with
//! `Last-Event-ID` (as browsers do automatically) or `?since=` misses nothing that the source still has.
//! Source of the format: WHATWG HTML, "Server-sent events".

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

use super::edge_info::EdgeInfo;
use super::error::ApiError;
use super::extract::ContractQuery;

/// A comment goes out after this much silence: half the timeout of common proxies (30 s), and a client that
/// has gone is soon noticed.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
pub(super) const STILL_HERE: &[u8] = b": still here\n\n";
/// Buffering proxies would delay events.
const UNBUFFERED: HeaderValue = HeaderValue::from_static("no");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent<T> {
    /// Sequence number, after which a client resumes.
    pub id: u64,
    /// The `event:` line.
    pub kind: &'static str,
    /// Sent as one line of JSON.
    pub data: T,
}

/// Extractor: the last sequence number the client has seen, or 0.
///
/// `Last-Event-ID` wins over `?since=`, because a reconnecting browser repeats the old address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinceSeq(pub u64);

#[derive(Deserialize)]
struct SinceQuery {
    #[serde(default)]
    since: u64,
}

impl<S: Sync> FromRequestParts<S> for SinceSeq {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Some(seen) = parts.headers.get(LAST_EVENT_ID) else {
            let ContractQuery(query) = ContractQuery::<SinceQuery>::from_request_parts(parts, state).await?;
            return Ok(Self(query.since));
        };
        let number = seen.to_str().ok().and_then(|text| text.trim().parse().ok());
        number.map(Self).ok_or_else(|| {
            let loc = vec!["header".into(), "Last-Event-ID".into()];
            ApiError::violation(loc, "value_error", "must be the id of an event of this stream")
        })
    }
}

/// Whether the client wants a stream rather than a JSON document.
#[must_use]
pub fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

/// Streams `events` until they end or the daemon shuts down.
pub fn stream<T, S>(events: S, edge: &EdgeInfo) -> Response
where
    T: Serialize + Send + 'static,
    S: Stream<Item = SseEvent<T>> + Send + 'static,
{
    let frames = events
        .take_until(edge.shutdown.clone().cancelled_owned())
        .filter_map(|event| std::future::ready(frame(&event)))
        .map(Ok::<_, Infallible>);
    let mut response =
        Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("still here")).into_response();
    response.headers_mut().insert("x-accel-buffering", UNBUFFERED);
    response
}

/// Streams events whose text exists already, in pieces, until they end or the daemon shuts down.
pub(super) fn text<S>(pieces: S, edge: &EdgeInfo) -> Response
where
    S: Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
{
    let pieces = pieces.take_until(edge.shutdown.clone().cancelled_owned());
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (HeaderName::from_static("x-accel-buffering"), UNBUFFERED),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

fn frame<T: Serialize>(event: &SseEvent<T>) -> Option<Event> {
    let framed = Event::default().id(event.id.to_string()).event(event.kind).json_data(&event.data);
    framed.inspect_err(|error| tracing::error!(kind = event.kind, %error, "cannot send an event")).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn since(
        build: impl FnOnce(axum::http::request::Builder) -> axum::http::request::Builder,
    ) -> Result<SinceSeq, ApiError> {
        let (mut parts, ()) = build(Request::builder()).body(()).unwrap().into_parts();
        SinceSeq::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn a_reconnecting_browser_resumes_where_it_was() {
        assert_eq!(since(|r| r).await.unwrap(), SinceSeq(0));
        assert_eq!(since(|r| r.uri("/e?since=4")).await.unwrap(), SinceSeq(4));
        assert_eq!(since(|r| r.uri("/e?since=4").header("last-event-id", "9")).await.unwrap(), SinceSeq(9));
        assert_eq!(since(|r| r.header("last-event-id", "x")).await.unwrap_err().status(), 422);
        assert_eq!(since(|r| r.uri("/e?since=-1")).await.unwrap_err().status(), 422);
    }

    #[test]
    fn a_stream_is_asked_for_by_accept() {
        let asks = |accept: &str| {
            let request = Request::builder().header("accept", accept).body(Body::empty()).unwrap();
            wants_stream(request.headers())
        };
        assert!(asks("text/event-stream") && asks("application/json, Text/Event-Stream;q=0.9"));
        assert!(!asks("*/*") && !asks("application/json"));
    }
}
