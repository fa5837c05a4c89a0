//! Brings booked receipts to the disk: lines first, then the queue into the store.
//!
//! Three rhythms. Lines are synced within [`SYNC`] of being written: that bounds the loss in a power cut, and
//! one sync of a file is the cheapest way. Settlements gather for [`GATHER`] and are booked by one commit; a
//! crash before that is repaired from the lines. Once in [`TIDY`] the store notes which files are whole, and
//! the outbox drops the copies for them. A caller that must wait for the store hurries the commit.
//!
//! Failure policy: while the store takes no writes the queue stays and is retried; unsynced lines stay in the
//! outbox, and failed files are mended from the store; a failed sync is never repeated on the same file.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::books::{AccountsShared, in_background};
use super::files::{self, DirtyRuns};
use super::mend;
use super::tables::{self, BOOKINGS, BookingItem, FILES, OUTBOX, OWED};
use crate::domain::accounts::budget::RunName;
use crate::domain::accounts::receipt::Receipt;
use crate::store::{KeyRange, ScanOrder, StoreChanges, StoreError};

/// How long lines may be in the page cache only, before their sync begins: together with the sync within the
/// promised 5 ms on a fast disk.
const SYNC: Duration = Duration::from_millis(3);
/// How long settlements gather before a commit for which nobody waits: under full load the commits then cost
/// some hundredths of a core, and watchers see figures at most that old.
const GATHER: Duration = Duration::from_millis(50);
/// Most items of one booking: larger ones would delay the store's other writers.
pub(super) const MAX_ITEMS: usize = 1_024;
/// Pause before a refused booking is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// Time between two notes of which files are whole. A start examines the files not noted.
pub(super) const TIDY: Duration = Duration::from_secs(1);
/// Bookings dropped from the outbox by one write.
const MAX_PRUNED: usize = 4_096;

/// Books for as long as the actor lives.
pub(super) async fn keep_flushing(shared: Arc<AccountsShared>) {
    loop {
        shared.wake.notified().await;
        // Whether the time is up or a caller waits: book now.
        let _ = tokio::time::timeout(GATHER, shared.hurry.notified()).await;
        if flush(&shared).await.is_err() {
            return; // The daemon ends; the next start books what is in the files.
        }
    }
}

/// Syncs lines for as long as the actor lives.
pub(super) async fn keep_syncing(shared: Arc<AccountsShared>) {
    loop {
        shared.written.notified().await;
        tokio::time::sleep(SYNC).await;
        if let Err(error) = sync(&shared).await {
            tracing::error!(%error, "receipts may not be on the disk; the store will have them within moments");
        }
    }
}

/// Keeps the store's notes of the files current for as long as the actor lives.
pub(super) async fn keep_tidy(shared: Arc<AccountsShared>) {
    let mut ticks = tokio::time::interval(TIDY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = tidy(&shared).await {
            tracing::warn!(%error, "receipt files could not be synced; trying again");
        }
    }
}

/// Books the waiting queue into the store, however long the store refuses; gives up when the store is closed.
/// Items that arrive meanwhile gather for the next time: queueing them wakes [`keep_flushing`].
///
/// # Errors
/// [`StoreError::Closed`]: the waiting items are not in the store.
pub(super) async fn flush(shared: &Arc<AccountsShared>) -> Result<(), StoreError> {
    let _one = shared.flushing.lock().await;
    let mut left = shared.books.lock().queue.len();
    let mut is_told = false;
    while left > 0 {
        let (items, seen) = {
            let books = shared.books.lock();
            let items: Vec<BookingItem> = books.queue.iter().take(MAX_ITEMS.min(left)).cloned().collect();
            let is_all = items.len() == books.queue.len();
            (items, is_all.then(|| books.ledger.revision()))
        };
        let (count, items) = (items.len(), Arc::new(items));
        let booked = Arc::clone(&items);
        let written =
            shared.store.write(move |view| Ok::<_, StoreError>((tables::booking(view, &booked)?, ()))).await;
        match written {
            Ok(()) => {
                done(shared, &items, count, seen).await;
                left -= count;
            }
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!(%error, "settlements wait in memory and in their files");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    Ok(())
}

async fn done(shared: &Arc<AccountsShared>, items: &[BookingItem], count: usize, seen: Option<u64>) {
    {
        let mut books = shared.books.lock();
        books.queue.drain(..count);
        if let Some(seen) = seen {
            books.let_go(seen);
        }
    }
    let newest = items.iter().rev().find_map(|item| match item {
        BookingItem::Receipt(receipt) => Some(receipt.seq),
        _ => None,
    });
    if let Some(newest) = newest {
        shared.durable.send_replace(newest);
    }
    let (mut booked, mut published) = (Vec::with_capacity(count), Vec::new());
    for item in items {
        match item {
            BookingItem::Receipt(receipt) => booked.push(Arc::clone(receipt)),
            BookingItem::Alert(alert) => {
                shared.sink.alert(alert);
                published.push(alert.id());
            }
            BookingItem::Released(_) => {}
        }
    }
    if !booked.is_empty() {
        shared.sink.booked(&booked);
    }
    forget_alerts(shared, published).await;
}

/// Removes alerts that were published. If that write is lost they are published again, under the same ids.
pub(super) async fn forget_alerts(shared: &AccountsShared, ids: Vec<String>) {
    if ids.is_empty() {
        return;
    }
    let forget = move |_: &crate::store::StoreView<'_>| {
        let changes = ids.iter().fold(StoreChanges::none(), |changes, id| changes.delete(&OWED, id));
        Ok::<_, StoreError>((changes, ()))
    };
    if let Err(error) = shared.store.write_soft(forget).await {
        tracing::warn!(%error, "published alerts may be published again");
    }
}

/// Syncs lines that are only in the page cache.
pub(super) async fn sync(shared: &Arc<AccountsShared>) -> io::Result<()> {
    let alone = Arc::clone(&shared.syncing).lock_owned().await;
    let (unsynced, folder) = {
        let mut files = shared.files.lock();
        (files.unsynced(), files.folder().to_owned())
    };
    if unsynced.is_empty() {
        return Ok(());
    }
    let worker = Arc::clone(shared);
    in_background(alone, move || sync_files(&worker, &unsynced, &folder)).await?.1
}

/// The sync and the handling of failures, which happens even when nobody waits any more.
fn sync_files(
    shared: &AccountsShared,
    unsynced: &files::UnsyncedFiles,
    folder: &std::path::Path,
) -> io::Result<()> {
    let (failed, names) = unsynced.sync(folder);
    let mut files = shared.files.lock();
    for (run, error) in failed {
        tracing::error!(%run, %error, "a receipt file could not be synced; it is rewritten from the store");
        files.doubt(&run);
    }
    if names.is_err() {
        files.doubt_names();
    }
    names
}

/// Mends failed files, syncs the others, notes them as whole, and drops their part of the outbox.
pub(super) async fn tidy(shared: &Arc<AccountsShared>) -> io::Result<()> {
    let alone = Arc::clone(&shared.tidying).lock_owned().await;
    flush(shared).await.map_err(io::Error::other)?;
    let dirty = shared.files.lock().dirty();
    if dirty.runs.is_empty() && dirty.broken.is_empty() {
        return Ok(());
    }
    // Examined before the sync: the next start examines lines written meanwhile.
    let worker = Arc::clone(shared);
    let (_alone, looked) = in_background(alone, move || examine_files(&worker, dirty)).await?;
    let (dirty, mut up_to, mut marks) = looked?;
    sync(shared).await?;
    // A mark means that all lines are in the store. Lines written during the sync must be there first.
    flush(shared).await.map_err(io::Error::other)?;
    {
        let files = shared.files.lock();
        if dirty.runs.iter().any(|run| files.is_broken(run)) {
            up_to = 0;
        }
        marks.retain(|(run, _)| !files.is_broken(run));
    }
    let pruned = shared.store.write_soft(move |view| prune(view, up_to, &marks)).await;
    pruned.map_err(io::Error::other)?;
    // Last, so that an interrupted run is repeated.
    shared.files.lock().noted(&dirty);
    Ok(())
}

type FileMarks = Vec<(RunName, Option<tables::FileMarkRow>)>;

/// Mends failed files; returns their marks, and the receipt up to which they are whole.
fn examine_files(shared: &AccountsShared, dirty: DirtyRuns) -> io::Result<(DirtyRuns, u64, FileMarks)> {
    let mut up_to = dirty.up_to;
    for run in &dirty.broken {
        let mended = mend_one(shared, run);
        if !mended.as_ref().is_ok_and(|is_whole| *is_whole) {
            up_to = 0;
        }
        if let Err(error) = mended {
            tracing::error!(%run, %error, "a receipt file cannot be mended yet; the store has its receipts");
        }
    }
    let folder = shared.files.lock().folder().to_owned();
    let marks = files::marks_of(&folder, &dirty.runs)?;
    Ok((dirty, up_to, marks))
}

/// Repairs a failed file from the store; returns whether the file takes lines again.
fn mend_one(shared: &AccountsShared, run: &RunName) -> io::Result<bool> {
    let (path, is_doubtful) = {
        let files = shared.files.lock();
        (files::path_of(files.folder(), run), files.is_doubtful(run))
    };
    let stored = stored_receipts(shared, run)?;
    let newest = stored.last().map_or(0, |receipt| receipt.seq);
    let mut found = mend::examine(&path)?;
    found.is_damaged |= is_doubtful;
    mend::mend(&path, &found, &stored, || Ok(Vec::new()))?;
    Ok(shared.files.lock().mended(run, newest))
}

/// All receipts of a run in the store.
pub(super) fn stored_receipts(shared: &AccountsShared, run: &RunName) -> io::Result<Vec<Arc<Receipt>>> {
    shared
        .store
        .read::<_, StoreError>(|view| tables::receipts_of_run(view, run.as_str()))
        .map_err(io::Error::other)
}

/// Clears the outbox up to a receipt, and stores the files' marks.
fn prune(
    view: &crate::store::StoreView<'_>,
    up_to: u64,
    marks: &FileMarks,
) -> Result<(StoreChanges, ()), StoreError> {
    let mut changes = StoreChanges::none();
    for (run, mark) in marks {
        let run = run.to_string();
        changes = match mark {
            Some(mark) => changes.put(&FILES, &run, mark),
            None => changes.delete(&FILES, &run),
        };
    }
    for (first, ()) in view.range(&OUTBOX, &KeyRange::of(..=up_to), ScanOrder::Ascending, MAX_PRUNED)? {
        let booking = view.get(&BOOKINGS, &first)?;
        if booking.is_none_or(|booking| booking.last_seq <= up_to) {
            changes = changes.delete(&OUTBOX, &first);
        }
    }
    Ok((changes, ()))
}
