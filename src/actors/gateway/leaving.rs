//! Work that outlives whoever waits for it: a caller that leaves does not stop the payment.
//!
//! The caller's own task drives the work, so a call costs no task and no message. Dropped before its end,
//! the work is handed to the gateway's actor, which drains it within a bound. Invariant: a call whose
//! hold was taken is either driven to its receipt, or dropped whole, and then its hold is charged.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};

use crate::supervision::Address;

use super::Message;

/// Whether the caller has left; shared with the work, which begins nothing new then.
pub(super) type Left = Arc<AtomicBool>;

fn hand_over(to: &Address<Message>, left: &Left, rest: BoxFuture<'static, ()>) {
    left.store(true, Ordering::Release);
    if to.cast(Message::Drain(rest)).is_err() {
        tracing::warn!("the rest of a call cannot be drained; it is charged at its hold");
    }
}

/// A future that goes on without its caller.
pub(super) struct Kept<T: Send + 'static> {
    work: Option<BoxFuture<'static, T>>,
    left: Left,
    to: Address<Message>,
}

impl<T: Send + 'static> Kept<T> {
    pub(super) fn new(work: BoxFuture<'static, T>, left: Left, to: Address<Message>) -> Self {
        Self { work: Some(work), left, to }
    }
}

impl<T: Send + 'static> Future for Kept<T> {
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

impl<T: Send + 'static> Drop for Kept<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let rest = async move { drop(work.await) };
            hand_over(&self.to, &self.left, Box::pin(rest));
        }
    }
}

/// A stream that is read to its end without its caller.
pub(super) struct KeptStream<T: Send + 'static> {
    pieces: Option<BoxStream<'static, T>>,
    left: Left,
    to: Address<Message>,
}

impl<T: Send + 'static> KeptStream<T> {
    pub(super) fn new(pieces: BoxStream<'static, T>, left: Left, to: Address<Message>) -> Self {
        Self { pieces: Some(pieces), left, to }
    }
}

impl<T: Send + 'static> Stream for KeptStream<T> {
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

impl<T: Send + 'static> Drop for KeptStream<T> {
    fn drop(&mut self) {
        if let Some(mut pieces) = self.pieces.take() {
            let rest = async move { while pieces.next().await.is_some() {} };
            hand_over(&self.to, &self.left, Box::pin(rest));
        }
    }
}
