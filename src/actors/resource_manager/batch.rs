//! Decisions on their way to the disk: made one by one in memory, made durable together.
//!
//! Invariants: one write at a time, so rows reach the disk in the order of the decisions and no crash leaves
//! a grant without the release that made room for it; an answer leaves after the commit of the batch. A batch
//! with nothing but rows of attempts needs no sync, because after a crash no attempt is running.

use crate::store::{Store, StoreChanges, StoreError};

/// Answers a caller with the outcome of the write.
pub(super) type BatchReply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Decisions that are not on disk yet.
#[derive(Default)]
pub(super) struct ResourceBatch {
    changes: StoreChanges,
    is_durable: bool,
    answers: Vec<BatchReply>,
}

impl ResourceBatch {
    /// Adds a row to write.
    pub(super) fn write(&mut self, is_durable: bool, edit: impl FnOnce(StoreChanges) -> StoreChanges) {
        self.changes = edit(std::mem::take(&mut self.changes));
        self.is_durable |= is_durable;
    }

    /// Adds a caller that waits for everything added so far.
    pub(super) fn then(&mut self, answer: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.answers.push(Box::new(answer));
    }

    /// The number of waiting callers.
    pub(super) fn callers(&self) -> usize {
        self.answers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.answers.is_empty()
    }

    /// Splits into the write and the waiting callers.
    pub(super) fn split(
        self,
        store: Store,
    ) -> (impl Future<Output = Result<(), StoreError>>, Vec<BatchReply>) {
        let Self { changes, is_durable, answers } = self;
        let write = async move {
            let decide = move |_: &crate::store::StoreView<'_>| Ok((changes, ()));
            if is_durable { store.write(decide).await } else { store.write_soft(decide).await }
        };
        (write, answers)
    }

    /// Answers all waiting callers with the error.
    pub(super) fn fail(self, error: &StoreError) {
        answer(self.answers, &Err(error.clone()));
    }
}

pub(super) fn answer(answers: Vec<BatchReply>, outcome: &Result<(), StoreError>) {
    for answer in answers {
        answer(outcome.clone());
    }
}
