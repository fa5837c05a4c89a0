//! Work that outlives its caller: a caller that goes away does not stop the payment.
//!
//! The caller's own task drives the work, so a call costs no task and no message. Dropped before its end, the
//! work is handed to the gateway's actor, which drains it within a time limit. Invariant: a call with a hold
//! is either driven to its receipt or dropped whole, and then charged its full hold.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};

use crate::supervision::Address;

use super::GatewayMessage;

/// Whether the caller has gone; shared with the work, which then begins nothing new.
pub(super) type CallerGone = Arc<AtomicBool>;

fn hand_over(to: &Address<GatewayMessage>, left: &CallerGone, rest: BoxFuture<'static, ()>) {
    left.store(true, Ordering::Release);
    if to.cast(GatewayMessage::Drain(rest)).is_err() {
        tracing::warn!("the rest of a call cannot be drained; the call is charged its full hold");
    }
}

/// A future that continues without its caller.
pub(super) struct DetachOnDrop<T: Send + 'static> {
    work: Option<BoxFuture<'static, T>>,
    caller_gone: CallerGone,
    to: Address<GatewayMessage>,
}

impl<T: Send + 'static> DetachOnDrop<T> {
    pub(super) fn new(work: BoxFuture<'static, T>, left: CallerGone, to: Address<GatewayMessage>) -> Self {
        Self { work: Some(work), caller_gone: left, to }
    }
}

impl<T: Send + 'static> Future for DetachOnDrop<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for DetachOnDrop<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let rest = async move { drop(work.await) };
            hand_over(&self.to, &self.caller_gone, Box::pin(rest));
        }
    }
}

/// A stream that is read to its end without its caller.
pub(super) struct DetachStreamOnDrop<T: Send + 'static> {
    pieces: Option<BoxStream<'static, T>>,
    left: CallerGone,
    to: Address<GatewayMessage>,
}

impl<T: Send + 'static> DetachStreamOnDrop<T> {
    pub(super) fn new(pieces: BoxStream<'static, T>, left: CallerGone, to: Address<GatewayMessage>) -> Self {
        Self { pieces: Some(pieces), left, to }
    }
}

impl<T: Send + 'static> Stream for DetachStreamOnDrop<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let polled = pieces.poll_next_unpin(context);
        if matches!(polled, Poll::Ready(None)) {
            self.pieces = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for DetachStreamOnDrop<T> {
    fn drop(&mut self) {
        if let Some(mut pieces) = self.pieces.take() {
            let rest = async move { while pieces.next().await.is_some() {} };
            hand_over(&self.to, &self.left, Box::pin(rest));
        }
    }
}
