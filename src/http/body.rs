//! Bodies passing the edge: bounded on the way in, watched on the way out.
//!
//! Invariant: a request body yields at most the port's limit of bytes and completes before the port's
//! deadline, counted from the first read; a connection counts as running until the answer's body is dropped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::connection::ConnectionPulse;
use super::limits::PortLimits;

#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// More bytes than the port takes.
    #[error("the request body exceeds this port's limit of {0} bytes")]
    TooLarge(u64),
    /// The deadline passed.
    #[error("the request body did not arrive within {0:?}")]
    TooSlow(Duration),
    /// The connection broke, or the chunks are malformed.
    #[error("cannot read the request body: {0}")]
    Broken(#[from] hyper::Error),
}

/// A request body under the limits of a port.
#[derive(Debug)]
pub(super) struct RequestBody {
    inner: Incoming,
    taken: u64,
    max: u64,
    allowed: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, limits: &PortLimits) -> Self {
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

/// An answer's body; reports its end to the connection.
#[derive(Debug)]
pub(super) struct ResponseBody {
    inner: Body,
    pulse: ConnectionPulse,
}

impl ResponseBody {
    pub(super) fn new(inner: Body, pulse: ConnectionPulse) -> Self {
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
