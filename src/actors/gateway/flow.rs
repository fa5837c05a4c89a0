//! A stream under way: its pieces, and its settlement at the end.
//!
//! Invariants: the last piece tells how it ended, and the attempt is settled before that piece is given; a
//! cancellation ends it between two pieces. Dropped before its end, its hold is charged ([`super::leaving`]
//! reads on so that it is not).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::attempt::Attempt;
use super::call::{GatewayError, Piece};
use super::cancels::Place;
use crate::actors::accounts::AccountsError;
use crate::domain::usage::Usage;
use crate::llm::{ChunkStream, Failure, FailureKind};

/// A stream under way.
pub(super) struct Flow {
    /// Taken at the end.
    attempt: Option<Attempt>,
    chunks: Box<ChunkStream>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Settles the attempt; gives the last piece.
    ending: Option<BoxFuture<'static, Piece>>,
    _place: Place,
}

impl Flow {
    pub(super) fn new(attempt: Attempt, chunks: Box<ChunkStream>, place: Place) -> Self {
        let cancelled = Box::pin(place.cancellation());
        Self { attempt: Some(attempt), chunks, cancelled, ending: None, _place: place }
    }

    /// The next item of the vendor's stream; `None` at its end.
    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Piece, Failure>>> {
        if self.cancelled.poll_unpin(context).is_ready() {
            return Poll::Ready(Some(Err(GatewayError::cancelled())));
        }
        let item = ready!(self.chunks.poll_next_unpin(context));
        Poll::Ready(item.map(|item| item.map(Piece::Said)))
    }
}

impl Stream for Flow {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        let this = &mut *self;
        if this.attempt.is_some() {
            match ready!(this.poll_item(context)) {
                Some(Ok(piece)) => return Poll::Ready(Some(piece)),
                ended => {
                    let (usage, attempt) = (this.chunks.usage(), this.attempt.take());
                    this.ending = attempt.map(|attempt| match ended {
                        Some(Err(failure)) => cut(attempt, failure).boxed(),
                        _ => finished(attempt, usage).boxed(),
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

async fn finished(attempt: Attempt, usage: Option<Usage>) -> Piece {
    match attempt.succeeded(usage).await {
        Ok(receipt) => Piece::Finished { usage, receipt },
        Err(error) => Piece::Failed(unsettled(&error)),
    }
}

async fn cut(attempt: Attempt, failure: Failure) -> Piece {
    // Whatever the failure says: the vendor has begun to answer.
    let failure = Failure { may_cost: true, ..failure };
    if let Err(error) = attempt.failed(&failure).await {
        tracing::error!(%error, "a cut stream could not be settled");
    }
    Piece::Failed(failure)
}

/// The answer is whole, but its receipt could not be kept: the client is told, and not given more.
fn unsettled(error: &AccountsError) -> Failure {
    tracing::error!(%error, "a call could not be settled");
    Failure::new(FailureKind::Cut, "the accounts could not be kept; the daemon's log says more")
}
