//! One queued operation: the caller's decision, its outcome, and the way back to the caller.
//!
//! Invariant: the caller's code runs only in [`Operation::decide`], guarded, so that neither a refusal
//! nor a panic reaches the writer; everything after it only hands over what was decided.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::panic_message;
use super::{Changes, StoreError, View};

/// What the queue carries.
pub(super) enum Command {
    Operation(Box<dyn Operation>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// An operation without its types.
pub(super) trait Operation: Send {
    /// Whether the caller waits for the disk.
    fn durable(&self) -> bool;

    /// Decides, and returns what to change: nothing after a refusal or a panic.
    fn decide(&mut self, view: &View<'_>) -> Changes;

    /// Tells the caller: the outcome if the commit succeeded, else why it did not.
    fn answer(self: Box<Self>, verdict: Result<(), StoreError>);
}

type Answer<R, E> = Result<Result<R, E>, StoreError>;

pub(super) struct Write<F, R, E> {
    decide: Option<F>,
    outcome: Option<Answer<R, E>>,
    reply: oneshot::Sender<Answer<R, E>>,
    durable: bool,
    /// The place in the queue, given back when the operation is answered.
    _place: OwnedSemaphorePermit,
}

impl<F, R, E> Write<F, R, E>
where
    F: FnOnce(&View<'_>) -> Result<(Changes, R), E> + Send,
{
    pub(super) fn new(
        decide: F,
        durable: bool,
        place: OwnedSemaphorePermit,
    ) -> (Self, oneshot::Receiver<Answer<R, E>>) {
        let (reply, answer) = oneshot::channel();
        (Self { decide: Some(decide), outcome: None, reply, durable, _place: place }, answer)
    }
}

impl<F, R, E> Operation for Write<F, R, E>
where
    F: FnOnce(&View<'_>) -> Result<(Changes, R), E> + Send,
    R: Send,
    E: Send,
{
    fn durable(&self) -> bool {
        self.durable
    }

    fn decide(&mut self, view: &View<'_>) -> Changes {
        let Some(decide) = self.decide.take() else { return Changes::none() };
        let decided = catch_unwind(AssertUnwindSafe(|| decide(view)));
        let (changes, outcome) = match decided {
            Ok(Ok((changes, answer))) => match changes.check() {
                Ok(()) => (changes, Ok(Ok(answer))),
                Err(invalid) => (Changes::none(), Err(invalid)),
            },
            Ok(Err(refusal)) => (Changes::none(), Ok(Err(refusal))),
            Err(payload) => {
                let message = panic_message(&*payload);
                (Changes::none(), Err(StoreError::Panicked { message }))
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
        // A caller that no longer waits has dropped its end; the operation stands all the same.
        let _gone = self.reply.send(answer);
    }
}
