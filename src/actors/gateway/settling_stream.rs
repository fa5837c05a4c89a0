//! A stream in flight: its events, and its settlement at the end.
//!
//! Invariants: the last event reports the ending, and the attempt is settled before that event is yielded; a
//! cancellation ends the stream between two events. A stream that nobody waits for any more, because its
//! caller left or its job was cancelled, is closed at its vendor at once and charged by the part that was seen;
//! the settlement of a caller who left is finished by the gateway's actor.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::attempt::CallAttempt;
use super::call::{GatewayError, ModelRequest, ModelStreamEvent};
use super::in_flight::InFlightGuard;
use super::{GatewayHandle, detach};
use crate::actors::accounts::AccountsError;
use crate::domain::usage::TokenUsage;
use crate::llm::{ChunkStream, VendorFailure, VendorFailureKind};

/// Why an abandoned call ended, in its receipt.
const LEFT: &str = "the caller left before the end; charged by what was seen of the answer";

/// A stream whose vendor still answers.
pub(super) struct OpenStream {
    pub(super) attempt: CallAttempt,
    pub(super) chunks: Box<ChunkStream>,
    /// For the count of the prompt, where the vendor has reported none.
    pub(super) ask: ModelRequest,
    pub(super) model: String,
}

pub(super) struct SettlingStream {
    /// Taken at the end.
    open: Option<OpenStream>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Settles the attempt; yields the last event.
    ending: Option<BoxFuture<'static, ModelStreamEvent>>,
    gateway: GatewayHandle,
    _place: InFlightGuard,
}

impl SettlingStream {
    pub(super) fn new(open: OpenStream, gateway: GatewayHandle, place: InFlightGuard) -> Self {
        let cancelled = Box::pin(place.cancellation());
        Self { open: Some(open), cancelled, ending: None, gateway, _place: place }
    }

    /// The next piece; `None`: the stream has ended, and [`Self::ending`] says how.
    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<ModelStreamEvent>> {
        if self.cancelled.poll_unpin(context).is_ready() {
            let failure = GatewayError::cancelled();
            let why = failure.message.clone();
            let settled = self.open.take().map(|open| open.abandon(self.gateway.clone(), why));
            self.ending = settled.map(|settled| {
                async move { settled.map(|()| ModelStreamEvent::Failed(failure)).await }.boxed()
            });
            return Poll::Ready(None);
        }
        let Some(open) = &mut self.open else { return Poll::Ready(None) };
        let ended = match ready!(open.chunks.poll_next_unpin(context)) {
            Some(Ok(item)) => return Poll::Ready(Some(ModelStreamEvent::Item(item))),
            Some(Err(failure)) => Some(failure),
            None => None,
        };
        if let Some(OpenStream { attempt, mut chunks, .. }) = self.open.take() {
            self.ending = Some(match ended {
                Some(failure) => cut(attempt, failure).boxed(),
                None => finished(attempt, chunks.usage(), chunks.ending()).boxed(),
            });
        }
        Poll::Ready(None)
    }
}

impl Stream for SettlingStream {
    type Item = ModelStreamEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ModelStreamEvent>> {
        let this = &mut *self;
        if this.open.is_some()
            && let Some(piece) = ready!(this.poll_item(context))
        {
            return Poll::Ready(Some(piece));
        }
        let Some(ending) = &mut this.ending else { return Poll::Ready(None) };
        let last = ready!(ending.poll_unpin(context));
        this.ending = None;
        Poll::Ready(Some(last))
    }
}

impl Drop for SettlingStream {
    fn drop(&mut self) {
        let rest = match (self.open.take(), self.ending.take()) {
            (Some(open), _) => open.abandon(self.gateway.clone(), LEFT.to_owned()),
            (None, Some(ending)) => ending.map(drop).boxed(),
            (None, None) => return,
        };
        detach::hand_over(&self.gateway.address, rest);
    }
}

impl OpenStream {
    /// Closes the connection now; the future settles the call.
    fn abandon(self, gateway: GatewayHandle, why: String) -> BoxFuture<'static, ()> {
        let Self { attempt, chunks, ask, model } = self;
        let seen = chunks.leave();
        async move {
            let settled = if seen.is_whole {
                attempt.succeeded(seen.usage).await
            } else {
                let (usage, why) = gateway.estimate(&ask, &model, seen, why).await;
                attempt.abandoned(why, usage).await
            };
            if let Err(error) = settled {
                tracing::error!(%error, "an abandoned call could not be settled");
            }
        }
        .boxed()
    }
}

async fn finished(attempt: CallAttempt, usage: Option<TokenUsage>, ending: Vec<u8>) -> ModelStreamEvent {
    match attempt.succeeded(usage).await {
        Ok(receipt) => ModelStreamEvent::Finished { usage, receipt, ending },
        Err(error) => ModelStreamEvent::Failed(unsettled(&error)),
    }
}

async fn cut(attempt: CallAttempt, failure: VendorFailure) -> ModelStreamEvent {
    // Regardless of the failure: the vendor has begun to answer.
    let failure = VendorFailure { may_cost: true, ..failure };
    if let Err(error) = attempt.failed(&failure).await {
        tracing::error!(%error, "a cut stream could not be settled");
    }
    ModelStreamEvent::Failed(failure)
}

/// The answer is complete, but its receipt could not be written: the client gets an error and nothing more.
fn unsettled(error: &AccountsError) -> VendorFailure {
    tracing::error!(%error, "a call could not be settled");
    VendorFailure::new(
        VendorFailureKind::Cut,
        "the call could not be accounted for; the daemon's log says more",
    )
}
