//! The numbers of events, kept in the store too: a lost, cut or replaced event file never leads to a number
//! given twice.
//!
//! Owns the table `event_numbers`, one row. The files say the last number exactly, but only if they are those
//! that were written, so the row says how far numbers may have been given ([`EventNumberRow::reserved`]),
//! written ahead a block at a time, and how far they surely were ([`EventNumberRow::last`]), noted behind.
//! Files that end before that number, or that were written before the machine started again, are not
//! believed: then numbers go on behind the reserved ones, and some are left out.
//!
//! Failure policy: while the store takes no writes, events go on (its own alert is one of them), and numbers
//! beyond the reserved ones rest on the files alone.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::event_cache::EventCache;
use crate::store::{Store, StoreChanges, StoreError, StoreTable, StoreView};

const NUMBERS: StoreTable<String, EventNumberRow> = StoreTable::new("event_numbers");
const KEY: &str = "hmi";
/// Numbers reserved at once: one commit for that many events, and the most that a lost file leaves out.
const BLOCK: u64 = 8192;
/// Longest wait for a reservation: a store that hangs must not stop the alert about it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two notes of the last number.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// Linux's name of the time since the machine started; elsewhere every start counts as another one.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct EventNumberRow {
    /// A number that the files reach, if they are the ones written.
    last: u64,
    /// The highest number that may have been given.
    reserved: u64,
    /// The run of the machine in which `last` was noted: a power cut can take lines from the files.
    boot: String,
    /// The daemon ended in order, so `last` is exact.
    is_exact: bool,
}

/// Reserves numbers, for the one writer of events.
pub(super) struct EventNumbers {
    store: Store,
    boot: String,
    reserved: u64,
    is_failing: bool,
}

impl EventNumbers {
    pub(super) fn new(store: Store) -> Self {
        let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        Self { store, boot, reserved: 0, is_failing: false }
    }

    /// The first number to give in this process, if the files end with `files`.
    pub(super) fn first_free(&self, files: u64) -> u64 {
        match self.store.read(|view| view.get(&NUMBERS, &KEY.to_owned())) {
            Ok(row) => first_free(row.as_ref(), files, &self.boot),
            Err(error) => {
                tracing::warn!(%error, "the last event number is taken from the event files alone");
                files + 1
            }
        }
    }

    /// Makes sure that the numbers from `next` to `last` are reserved. `is_turning`: the events go to another
    /// file than those before, which must be missed should it be lost.
    pub(super) async fn reserve(&mut self, next: u64, last: u64, is_turning: bool) {
        if last <= self.reserved && !is_turning {
            return;
        }
        let (boot, reserved) = (self.boot.clone(), self.reserved.max(last + BLOCK));
        let write = change(&self.store, true, move |row| {
            let reserved = row.reserved.max(reserved);
            EventNumberRow { last: row.last.max(next), reserved, boot, is_exact: false }
        });
        let failure = match timeout(PATIENCE, write).await {
            Ok(Ok(())) => {
                (self.reserved, self.is_failing) = (reserved, false);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store takes too long".to_owned(),
        };
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(error = failure, "event numbers are not kept in the store for now");
        }
    }

    /// Notes the last number at an orderly end.
    pub(super) async fn end(store: &Store, last: u64) {
        let noted = change(store, true, move |row| EventNumberRow { last, is_exact: true, ..row });
        match timeout(PATIENCE, noted).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last event number is not in the store"),
            Err(_) => tracing::warn!("the last event number is not in the store: it takes too long"),
        }
    }
}

/// Notes the last number while events come. Soft: a crash loses the last second's note.
pub(super) async fn keep_noting(store: Store, cache: Arc<EventCache>) {
    let mut changes = cache.changes();
    while changes.changed().await.is_ok() {
        tokio::time::sleep(NOTE_EVERY).await;
        let last = *changes.borrow_and_update();
        let noted = change(&store, false, move |row| EventNumberRow { last: row.last.max(last), ..row });
        // The next event is the next try; a store that refuses writes says so itself.
        if let Err(error) = noted.await {
            tracing::debug!(%error, "the last event number was not noted");
        }
    }
}

async fn change(
    store: &Store,
    is_durable: bool,
    change: impl FnOnce(EventNumberRow) -> EventNumberRow + Send + 'static,
) -> Result<(), StoreError> {
    let write = move |view: &StoreView<'_>| {
        let row = view.get(&NUMBERS, &KEY.to_owned())?.unwrap_or_default();
        Ok((StoreChanges::none().put(&NUMBERS, &KEY.to_owned(), &change(row)), ()))
    };
    if is_durable { store.write(write).await } else { store.write_soft(write).await }
}

fn first_free(row: Option<&EventNumberRow>, files: u64, boot: &str) -> u64 {
    let Some(row) = row else { return files + 1 };
    let is_same_run = !boot.is_empty() && row.boot == boot;
    let given = if row.is_exact {
        row.last
    } else if is_same_run && files >= row.last {
        files
    } else {
        row.reserved
    };
    given.max(files) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::memory_store;

    fn row(last: u64, is_exact: bool) -> EventNumberRow {
        EventNumberRow { last, reserved: last + BLOCK, boot: "b".into(), is_exact }
    }

    #[test]
    fn files_are_believed_only_if_they_are_the_ones_written() {
        assert_eq!(first_free(None, 7, "b"), 8, "a store of an older build");
        assert_eq!(first_free(Some(&row(100, false)), 130, "b"), 131, "killed: the files say it exactly");
        for lost in [0, 99] {
            assert_eq!(first_free(Some(&row(100, false)), lost, "b"), 100 + BLOCK + 1);
            assert_eq!(first_free(Some(&row(100, true)), lost, "b"), 101, "an orderly end says it exactly");
        }
        for boot in ["c", ""] {
            assert_eq!(first_free(Some(&row(100, false)), 130, boot), 100 + BLOCK + 1, "a power cut");
        }
        let unknown = EventNumberRow { boot: String::new(), ..row(100, false) };
        assert_eq!(first_free(Some(&unknown), 130, ""), 100 + BLOCK + 1);
        assert_eq!(first_free(Some(&row(100, false)), 100 + 2 * BLOCK, "c"), 101 + 2 * BLOCK);
    }

    #[tokio::test]
    async fn a_block_is_one_commit_and_a_new_file_is_noted() {
        let (store, _) = memory_store();
        let mut numbers = EventNumbers::new(store.clone());
        let commits = || store.metrics().durable_commits;
        for next in 1..=BLOCK {
            numbers.reserve(next, next, next == 1).await;
        }
        assert_eq!(commits(), 1);
        numbers.reserve(BLOCK + 2, BLOCK + 2, false).await;
        assert_eq!(commits(), 2);
        numbers.reserve(BLOCK + 3, BLOCK + 3, true).await;
        assert_eq!(commits(), 3);
        assert_eq!(numbers.first_free(BLOCK + 3), BLOCK + 4);
        assert!(numbers.first_free(BLOCK + 2) > BLOCK + 4, "the new file was lost");
        EventNumbers::end(&store, BLOCK + 9).await;
        assert_eq!(numbers.first_free(0), BLOCK + 10);
        numbers.reserve(BLOCK + 10, BLOCK + 10, true).await;
        assert!(numbers.first_free(0) > BLOCK + 11, "no longer exact");
    }
}
