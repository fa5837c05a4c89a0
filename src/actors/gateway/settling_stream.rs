//! A stream in flight: its events, and its settlement at the end.
//!
//! Invariants: the last event reports the ending, and the attempt is settled before that event is yielded; a
//! cancellation ends the stream between two events. Dropped before its end, the stream is charged its full
//! hold ([`super::detach`] reads on to avoid that).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::attempt::CallAttempt;
use super::call::{GatewayError, ModelStreamEvent};
use super::in_flight::InFlightGuard;
use crate::actors::accounts::AccountsError;
use crate::domain::usage::TokenUsage;
use crate::llm::{ChunkStream, VendorFailure, VendorFailureKind};

pub(super) struct SettlingStream {
    /// Taken at the end.
    attempt: Option<CallAttempt>,
    chunks: Box<ChunkStream>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Settles the attempt; yields the last event.
    ending: Option<BoxFuture<'static, ModelStreamEvent>>,
    _place: InFlightGuard,
}

impl SettlingStream {
    pub(super) fn new(attempt: CallAttempt, chunks: Box<ChunkStream>, place: InFlightGuard) -> Self {
        let cancelled = Box::pin(place.cancellation());
        Self { attempt: Some(attempt), chunks, cancelled, ending: None, _place: place }
    }

    /// The next item of the vendor's stream; `None` at its end.
    fn poll_item(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<ModelStreamEvent, VendorFailure>>> {
        if self.cancelled.poll_unpin(context).is_ready() {
            return Poll::Ready(Some(Err(GatewayError::cancelled())));
        }
        let item = ready!(self.chunks.poll_next_unpin(context));
        Poll::Ready(item.map(|item| item.map(ModelStreamEvent::Item)))
    }
}

impl Stream for SettlingStream {
    type Item = ModelStreamEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ModelStreamEvent>> {
        let this = &mut *self;
        if this.attempt.is_some() {
            match ready!(this.poll_item(context)) {
                Some(Ok(piece)) => return Poll::Ready(Some(piece)),
                ended => {
                    let (usage, attempt) = (this.chunks.usage(), this.attempt.take());
                    let last = this.chunks.ending();
                    this.ending = attempt.map(|attempt| match ended {
                        Some(Err(failure)) => cut(attempt, failure).boxed(),
                        _ => finished(attempt, usage, last).boxed(),
                    });
                }
            }
        }
        let Some(ending) = &mut this.ending else { return Poll::Ready(None) };
        let last = ready!(ending.poll_unpin(context));
        this.ending = None;
        Poll::Ready(Some(last))
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
