//! One queued operation: the caller's decision, its outcome, and the way back to the caller.
//!
//! Invariant: the caller's code runs only in [`StoreOperation::decide`], guarded, so neither a refusal nor a
//! panic reaches the writer; all later code only passes the decision on.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::panic_message;
use super::image::FrozenImage;
use super::{StoreChanges, StoreError, StoreView};

/// The queue's items.
pub(super) enum StoreCommand {
    Operation(Box<dyn StoreOperation>),
    /// Take an image of the last commit; the file is for what is replaced while the image is in use.
    Freeze(File, mpsc::Sender<Result<FrozenImage, StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// An operation, type-erased.
pub(super) trait StoreOperation: Send {
    /// Whether the caller waits for the disk.
    fn durable(&self) -> bool;

    /// Decides and returns the changes: none after a refusal or a panic.
    fn decide(&mut self, view: &StoreView<'_>) -> StoreChanges;

    /// Answers the caller: with the outcome if the commit succeeded, else with the failure.
    fn answer(self: Box<Self>, verdict: Result<(), StoreError>);
}

type OperationResult<R, E> = Result<Result<R, E>, StoreError>;

pub(super) struct WriteOperation<F, R, E> {
    decide: Option<F>,
    outcome: Option<OperationResult<R, E>>,
    reply: oneshot::Sender<OperationResult<R, E>>,
    durable: bool,
    /// A place in the queue, freed when the operation is answered.
    _place: OwnedSemaphorePermit,
}

impl<F, R, E> WriteOperation<F, R, E>
where
    F: FnOnce(&StoreView<'_>) -> Result<(StoreChanges, R), E> + Send,
{
    pub(super) fn new(
        decide: F,
        durable: bool,
        place: OwnedSemaphorePermit,
    ) -> (Self, oneshot::Receiver<OperationResult<R, E>>) {
        let (reply, answer) = oneshot::channel();
        (Self { decide: Some(decide), outcome: None, reply, durable, _place: place }, answer)
    }
}

impl<F, R, E> StoreOperation for WriteOperation<F, R, E>
where
    F: FnOnce(&StoreView<'_>) -> Result<(StoreChanges, R), E> + Send,
    R: Send,
    E: Send,
{
    fn durable(&self) -> bool {
        self.durable
    }

    fn decide(&mut self, view: &StoreView<'_>) -> StoreChanges {
        let Some(decide) = self.decide.take() else { return StoreChanges::none() };
        let decided = catch_unwind(AssertUnwindSafe(|| decide(view)));
        let (changes, outcome) = match decided {
            Ok(Ok((changes, answer))) => match changes.check() {
                Ok(()) => (changes, Ok(Ok(answer))),
                Err(invalid) => (StoreChanges::none(), Err(invalid)),
            },
            Ok(Err(refusal)) => (StoreChanges::none(), Ok(Err(refusal))),
            Err(payload) => {
                let message = panic_message(&*payload);
                (StoreChanges::none(), Err(StoreError::Panicked { message }))
            }
        };
        self.outcome = Some(outcome);
        changes
    }

    fn answer(self: Box<Self>, verdict: Result<(), StoreError>) {
        let answer = match verdict {
            Ok(()) => self.outcome.unwrap_or(Err(StoreError::Closed)),
            Err(fault) => Err(fault),
        };
        // A caller that no longer waits has dropped the receiver; the operation stands all the same.
        let _gone = self.reply.send(answer);
    }
}
