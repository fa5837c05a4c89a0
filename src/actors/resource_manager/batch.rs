//! Decisions on their way to the disk: taken one by one in memory, made durable together.
//!
//! Invariants: one write is under way at a time, so rows reach the disk in the order of the decisions and no
//! crash leaves a grant without the release that made room for it; an answer leaves after the commit of its
//! batch. A batch of attempts alone needs no sync: after a crash nobody attempts anything.

use crate::store::{Changes, Store, StoreError};

/// Tells a caller what became of its decision.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Decisions that are not on disk yet.
#[derive(Default)]
pub(super) struct Batch {
    changes: Changes,
    is_durable: bool,
    answers: Vec<Answer>,
}

impl Batch {
    /// Adds a row to write.
    pub(super) fn write(&mut self, is_durable: bool, edit: impl FnOnce(Changes) -> Changes) {
        self.changes = edit(std::mem::take(&mut self.changes));
        self.is_durable |= is_durable;
    }

    /// Adds a caller who waits for what has been added so far.
    pub(super) fn then(&mut self, answer: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.answers.push(Box::new(answer));
    }

    /// How many wait for it.
    pub(super) fn callers(&self) -> usize {
        self.answers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.answers.is_empty()
    }

    /// Splits into the write and those who wait for it.
    pub(super) fn split(self, store: Store) -> (impl Future<Output = Result<(), StoreError>>, Vec<Answer>) {
        let Self { changes, is_durable, answers } = self;
        let write = async move {
            let decide = move |_: &crate::store::View<'_>| Ok((changes, ()));
            if is_durable { store.write(decide).await } else { store.write_soft(decide).await }
        };
        (write, answers)
    }

    /// Tells all who wait that nothing came of it.
    pub(super) fn fail(self, error: &StoreError) {
        answer(self.answers, &Err(error.clone()));
    }
}

pub(super) fn answer(answers: Vec<Answer>, outcome: &Result<(), StoreError>) {
    for answer in answers {
        answer(outcome.clone());
    }
}
