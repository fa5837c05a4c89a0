//! Bodies on their way through the edge: bounded on the way in, watched on the way out.
//!
//! Invariant: a request body yields at most the port's limit of bytes and is complete within its
//! time, counted from the first wait for it; a connection counts as running until its answer's body
//! is dropped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::connection::Pulse;
use super::limits::Limits;

/// Why a request body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// More bytes than the port takes.
    #[error("the request body is larger than the {0} bytes that this port takes")]
    TooLarge(u64),
    /// Not complete in time.
    #[error("the request body was not complete within {0:?}; send it faster")]
    TooSlow(Duration),
    /// The connection broke, or the chunks are malformed.
    #[error("the request body could not be read: {0}")]
    Broken(#[from] hyper::Error),
}

/// A request body under the limits of its port.
#[derive(Debug)]
pub(super) struct RequestBody {
    inner: Incoming,
    taken: u64,
    max: u64,
    allowed: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, limits: &Limits) -> Self {
        Self { inner, taken: 0, max: limits.max_body, allowed: limits.body_read, alarm: None }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if polled.is_pending() {
            let allowed = this.allowed;
            let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(allowed)));
            ready!(alarm.as_mut().poll(cx));
            return Poll::Ready(Some(Err(BodyError::TooSlow(allowed))));
        }
        let Some(frame) = ready!(polled).transpose()? else { return Poll::Ready(None) };
        this.taken += frame.data_ref().map_or(0, |data| data.len() as u64);
        if this.taken > this.max {
            return Poll::Ready(Some(Err(BodyError::TooLarge(this.max))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body; tells the connection when it is over.
#[derive(Debug)]
pub(super) struct ResponseBody {
    inner: Body,
    pulse: Pulse,
}

impl ResponseBody {
    pub(super) fn new(inner: Body, pulse: Pulse) -> Self {
        Self { inner, pulse }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.pulse.response_ended();
    }
}
