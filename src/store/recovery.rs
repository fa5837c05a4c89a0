//! Recovery of the store after an I/O error.
//!
//! After an error redb refuses everything until the file is reopened; reopening also decides how much of the
//! failed commit counts. So the file is opened for reading at once, on an overlay that needs no disk, and the
//! store tries to resume writes: free space for some more, the whole file opened, an empty commit through to
//! the disk. While that fails writes are refused, and the attempt is repeated every
//! [`super::backend::StorageHome::retry_after`], whether or not a write waits.
//!
//! A failed sync is never just repeated: the kernel may have dropped unwritable pages and still show them to
//! readers, so the next sync would succeed without them. So the whole file is rewritten before opening (about
//! a second for 100 MB).
//!
//! Invariant: between a fault and a successful attempt no operation is decided.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use redb::Database;

use super::error::panic_message;
use super::{StoreChanges, StoreError, StoreShared, backend, schema};
use pas_domain::time::Timestamp;

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreStatus {
    Writable,
    /// Not for now; the store keeps trying to resume.
    Refusing {
        /// Start of the refusal.
        since: Timestamp,
        /// The most recent fault.
        reason: String,
    },
    Closed,
}

/// What keeps the store from writing.
#[derive(Debug, Default)]
pub(super) struct StoreRecovery {
    /// The fault, if any, and the time of the last attempt.
    fault: Option<(String, Instant)>,
    /// Why the file is not in its place.
    displaced: Option<String>,
}

impl StoreRecovery {
    /// Whether writes are refused for now.
    pub(super) fn is_pending(&self) -> bool {
        self.fault.is_some()
    }

    /// Looks whether the file is in its place. While it is not, reads go on from the open file, and the path is
    /// never opened: it may lead to another one.
    ///
    /// # Errors
    /// The reason why writes would be lost.
    pub(super) fn look(&mut self, shared: &StoreShared) -> Result<(), StoreError> {
        let found = shared.home.displaced().map(|why| {
            format!("{why} while it was open (`pas backup` still saves its rows; put the file back, and writes go on)")
        });
        if found != self.displaced {
            self.displaced = found;
            match (&self.displaced, &self.fault) {
                (Some(reason), _) => {
                    tracing::error!(
                        store = shared.home.label(),
                        reason,
                        "the store's file is not in its place"
                    );
                    refuse(shared, reason);
                }
                (None, Some((reason, _))) => refuse(shared, reason),
                (None, None) => {
                    tracing::info!(store = shared.home.label(), "the store's file is in its place again");
                    shared.status.send_replace(StoreStatus::Writable);
                }
            }
        }
        match &self.displaced {
            None => Ok(()),
            Some(reason) => Err(unavailable(shared, reason)),
        }
    }

    /// Notes a fault, reopens the file for reading and tries to resume writes.
    pub(super) fn fault(&mut self, shared: &StoreShared, reason: &str) {
        tracing::error!(store = shared.home.label(), reason, "the store failed; opening it again");
        let in_place = self.look(shared);
        read_only(shared);
        match in_place {
            Ok(()) => self.attempt(shared),
            Err(_) => self.fault = Some((reason.to_owned(), Instant::now())),
        }
    }

    /// `Ok` if operations may be decided; attempts recovery when an attempt is due.
    pub(super) fn ready(&mut self, shared: &StoreShared) -> Result<(), StoreError> {
        self.look(shared)?;
        if self.fault.as_ref().is_some_and(|(_, tried)| tried.elapsed() >= shared.home.retry_after()) {
            self.attempt(shared);
        }
        match &self.fault {
            None => Ok(()),
            Some((reason, _)) => Err(unavailable(shared, reason)),
        }
    }

    fn attempt(&mut self, shared: &StoreShared) {
        let was = self.fault.take().map(|(reason, _)| reason);
        match regain(shared) {
            Ok(()) => {
                tracing::info!(store = shared.home.label(), "the store takes writes again");
                shared.status.send_replace(StoreStatus::Writable);
            }
            Err(reason) => {
                if was.as_ref() != Some(&reason) {
                    tracing::error!(store = shared.home.label(), reason, "the store takes no writes");
                    refuse(shared, &reason);
                }
                self.fault = Some((reason, Instant::now()));
            }
        }
    }
}

pub(super) fn unavailable(shared: &StoreShared, reason: &str) -> StoreError {
    StoreError::Unavailable { store: shared.home.label().to_owned(), reason: reason.to_owned() }
}

fn refuse(shared: &StoreShared, reason: &str) {
    shared.status.send_modify(|status| {
        let since = match status {
            StoreStatus::Refusing { since, .. } => *since,
            StoreStatus::Writable | StoreStatus::Closed => Timestamp::now(),
        };
        *status = StoreStatus::Refusing { since, reason: reason.to_owned() };
    });
}

/// Makes reads possible without writes to the disk. Readers wait meanwhile.
fn read_only(shared: &StoreShared) {
    let mut slot = shared.database.write();
    close(&mut slot);
    open_for_reading(shared, &mut slot);
}

fn open_for_reading(shared: &StoreShared, slot: &mut Option<Database>) {
    match backend::open_for_reading(shared.home.as_ref(), &shared.counters) {
        Ok(database) => *slot = Some(database),
        Err(error) => tracing::error!(%error, "the store cannot be read either"),
    }
    // Soft state since the last durable commit is lost, and the failed commit may have taken effect.
    shared.commits.send_modify(|sequence| *sequence += 1);
}

/// Closes the file. Errors and panics of a database that has already failed say nothing new.
fn close(slot: &mut Option<Database>) {
    let database = slot.take();
    let _failed_already = catch_unwind(AssertUnwindSafe(|| drop(database)));
}

/// Resumes writes, or leaves the store readable.
fn regain(shared: &StoreShared) -> Result<(), String> {
    // Reads go on during the rewrite, which may take long.
    if shared.counters.sync_has_failed() {
        shared.home.rewrite().map_err(|error| error.to_string())?;
        shared.counters.rewritten();
    }
    shared.home.probe().map_err(|error| error.to_string())?;
    let mut slot = shared.database.write();
    close(&mut slot);
    match open_for_writing(shared) {
        Ok(database) => {
            *slot = Some(database);
            shared.counters.reopened();
            shared.commits.send_modify(|sequence| *sequence += 1);
            Ok(())
        }
        Err(reason) => {
            open_for_reading(shared, &mut slot);
            Err(reason)
        }
    }
}

/// Opens the file and proves by an empty commit that the disk takes writes.
fn open_for_writing(shared: &StoreShared) -> Result<Database, String> {
    let database = backend::open_database(shared.home.as_ref(), &shared.counters, &shared.images)
        .map_err(|error| error.to_string())?;
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let transaction = database.begin_write().map_err(redb::Error::from)?;
        schema::commit(transaction, &StoreChanges::none())
    }));
    let failure = match tried {
        Ok(Ok(())) => return Ok(database),
        Ok(Err(error)) => error.to_string(),
        Err(payload) => panic_message(&*payload),
    };
    close(&mut Some(database));
    Err(failure)
}
