//! Getting back to work after an I/O error.
//!
//! redb refuses every write after an error until its file is opened again, which also settles what of
//! the failed commit counts. So: close, open at once (reads go on with the settled state), then see
//! whether there is room to write; while there is none, or the file cannot be opened, writes are
//! refused and the attempt is repeated every [`super::backend::Home::retry_after`].
//!
//! A failed sync is never just repeated: the kernel may have dropped what it could not write and yet
//! show it to readers, so the next sync would succeed without it. Hence the whole file is written
//! anew before it is opened (about a second for 100 MB).
//!
//! Invariant: between a fault and a successful attempt no operation is decided.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::{Shared, StoreError, backend};

/// What is wrong, if anything, and when it was last tried.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    fault: Option<(String, Instant)>,
}

impl Recovery {
    /// Whether writes are refused for now.
    pub(super) fn is_pending(&self) -> bool {
        self.fault.is_some()
    }

    /// Takes note of a fault, closes the file and tries to open it again.
    pub(super) fn fault(&mut self, shared: &Shared, reason: &str) {
        tracing::error!(store = shared.home.label(), reason, "the store failed; opening it again");
        close(shared);
        self.attempt(shared);
    }

    /// `Ok` if operations may be decided; tries to get there if it is time to.
    pub(super) fn ready(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if self.fault.as_ref().is_some_and(|(_, tried)| tried.elapsed() >= shared.home.retry_after()) {
            self.attempt(shared);
        }
        match &self.fault {
            None => Ok(()),
            Some((reason, _)) => Err(unavailable(shared, reason)),
        }
    }

    fn attempt(&mut self, shared: &Shared) {
        let was = self.fault.take().map(|(reason, _)| reason);
        match reopen(shared).and_then(|()| shared.home.probe().map_err(|error| error.to_string())) {
            Ok(()) => tracing::info!(store = shared.home.label(), "the store takes writes again"),
            Err(reason) => {
                if was.as_ref() != Some(&reason) {
                    tracing::error!(store = shared.home.label(), reason, "the store takes no writes");
                }
                self.fault = Some((reason, Instant::now()));
            }
        }
    }
}

pub(super) fn unavailable(shared: &Shared, reason: &str) -> StoreError {
    StoreError::Unavailable { store: shared.home.label().to_owned(), reason: reason.to_owned() }
}

/// Closes the file. Errors and panics of a database that has already failed tell nothing new.
fn close(shared: &Shared) {
    let database = shared.database.write().take();
    let _failed_already = catch_unwind(AssertUnwindSafe(|| drop(database)));
}

fn reopen(shared: &Shared) -> Result<(), String> {
    if shared.database.read().is_some() {
        return Ok(());
    }
    if shared.counters.sync_has_failed() {
        shared.home.rewrite().map_err(|error| error.to_string())?;
        shared.counters.rewritten();
    }
    let database =
        backend::open_database(shared.home.as_ref(), &shared.counters).map_err(|error| error.to_string())?;
    *shared.database.write() = Some(database);
    shared.counters.reopened();
    // Soft state since the last durable commit is gone, the failed commit may have taken effect.
    shared.commits.send_modify(|sequence| *sequence += 1);
    Ok(())
}
