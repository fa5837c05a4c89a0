//! Work that outlives its caller: a caller that goes away does not stop the payment.
//!
//! The caller's own task drives the work, so a call costs no task and no message. Dropped before its end, the
//! work is handed to the gateway's actor, which finishes it within a time limit. Invariant: a call with a hold
//! is either driven to its receipt or dropped whole, and then charged its full hold.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::supervision::Address;

use super::GatewayMessage;

/// Cancelled when the caller has gone; shared with the work, which then begins nothing new and waits for no
/// stream.
pub(super) type CallerGone = CancellationToken;

/// Leaves the rest of a call to the gateway's actor.
pub(super) fn hand_over(to: &Address<GatewayMessage>, rest: BoxFuture<'static, ()>) {
    if to.cast(GatewayMessage::Drain(rest)).is_err() {
        tracing::warn!("the rest of a call cannot be finished; the call is charged its full hold");
    }
}

/// Finishes the rest of a call whose caller has gone. The vendor makes a whole answer all the same, so it is waited
/// for as long as the call might have taken, and charged by its usage; after that the connection is closed and the
/// full hold charged.
pub(super) async fn finish(rest: BoxFuture<'static, ()>, patience: Duration) {
    if tokio::time::timeout(patience, rest).await.is_err() {
        tracing::info!("a call took too long after its caller had gone; it was ended");
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
            self.caller_gone.cancel();
            hand_over(&self.to, Box::pin(async move { drop(work.await) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::llm::CallDeadlines;

    #[tokio::test(start_paused = true)]
    async fn a_whole_answer_is_waited_for_as_long_as_it_may_take() {
        let patience = CallDeadlines::default().overall;
        let (told, heard) = tokio::sync::oneshot::channel();
        let answer = async move {
            sleep(Duration::from_secs(599)).await;
            let _ = told.send(());
        };
        finish(answer.boxed(), patience).await;
        assert_eq!(heard.await, Ok(()), "it was settled");
        let begun = Instant::now();
        finish(std::future::pending().boxed(), patience).await;
        assert_eq!(begun.elapsed(), patience, "and no longer");
    }
}
