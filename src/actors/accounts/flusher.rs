//! Brings what is booked to the disk: lines of receipts first, then the queue into the store.
//!
//! Three rhythms. Lines are synced within [`SYNC`] of being written: that is what a power cut may cost,
//! and one sync of a file is the cheapest way to it. Settlements gather for [`GATHER`] and are booked by one
//! commit; a crash before that is mended from the lines. Once in [`TIDY`] the store notes which files are
//! whole, and the outbox forgets what it kept for them. Whoever must wait for the store hurries it.
//!
//! Failure policy: while the store takes no writes the queue stays and is tried again; what could not be
//! synced stays in the outbox, and files that failed are mended from the store; a sync that failed is never
//! repeated on the same file.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::books::{Shared, in_background};
use super::files::{self, Dirty};
use super::mend;
use super::tables::{self, BOOKINGS, FILES, Item, OUTBOX, OWED};
use crate::domain::budget::RunName;
use crate::domain::receipt::Receipt;
use crate::store::{Changes, Order, Span, StoreError};

/// How long lines may be with the kernel only, before their sync begins: with the sync itself the promise of
/// 5 ms on a fast disk.
const SYNC: Duration = Duration::from_millis(3);
/// How long settlements gather before they are committed, where nobody waits for it: under full load their
/// commits then cost some hundredths of a core, and what a watcher is told is that old at most.
const GATHER: Duration = Duration::from_millis(50);
/// Most items of one booking: larger ones would hold up the store's other writers.
pub(super) const MAX_ITEMS: usize = 1_024;
/// Pause before a refused booking is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// Between two notes of which files are whole. A start looks over those that are not noted.
pub(super) const TIDY: Duration = Duration::from_secs(1);
/// Bookings forgotten by one write.
const MAX_PRUNED: usize = 4_096;

/// Keeps booking for as long as the actor lives.
pub(super) async fn keep_flushing(shared: Arc<Shared>) {
    loop {
        shared.wake.notified().await;
        // Whether time is up or somebody waits: it is booked now.
        let _ = tokio::time::timeout(GATHER, shared.hurry.notified()).await;
        if flush(&shared).await.is_err() {
            return; // The daemon ends; the next start books what is in the files.
        }
    }
}

/// Keeps lines on the disk for as long as the actor lives.
pub(super) async fn keep_syncing(shared: Arc<Shared>) {
    loop {
        shared.written.notified().await;
        tokio::time::sleep(SYNC).await;
        if let Err(error) = sync(&shared).await {
            tracing::error!(%error, "receipts may not be on the disk; the store has them within moments");
        }
    }
}

/// Keeps the store's notes of the files for as long as the actor lives.
pub(super) async fn keep_tidy(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TIDY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = tidy(&shared).await {
            tracing::warn!(%error, "files of receipts could not be brought to the disk; trying again");
        }
    }
}

/// Brings what waits in the queue into the store, however long the store refuses; gives up when it is
/// closed. What comes meanwhile gathers for the next time: whoever queues it wakes [`keep_flushing`].
///
/// # Errors
/// [`StoreError::Closed`]: what waited is not in the store.
pub(super) async fn flush(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let _one = shared.flushing.lock().await;
    let mut left = shared.books.lock().queue.len();
    let mut is_told = false;
    while left > 0 {
        let (items, seen) = {
            let books = shared.books.lock();
            let items: Vec<Item> = books.queue.iter().take(MAX_ITEMS.min(left)).cloned().collect();
            let is_all = items.len() == books.queue.len();
            (items, is_all.then(|| books.ledger.now()))
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

async fn done(shared: &Arc<Shared>, items: &[Item], count: usize, seen: Option<u64>) {
    {
        let mut books = shared.books.lock();
        books.queue.drain(..count);
        if let Some(seen) = seen {
            books.let_go(seen);
        }
    }
    let newest = items.iter().rev().find_map(|item| match item {
        Item::Receipt(receipt) => Some(receipt.seq),
        _ => None,
    });
    if let Some(newest) = newest {
        shared.durable.send_replace(newest);
    }
    let (mut booked, mut published) = (Vec::with_capacity(count), Vec::new());
    for item in items {
        match item {
            Item::Receipt(receipt) => booked.push(Arc::clone(receipt)),
            Item::Alert(alert) => {
                shared.sink.alert(alert);
                published.push(alert.id());
            }
            Item::Released(_) => {}
        }
    }
    if !booked.is_empty() {
        shared.sink.booked(&booked);
    }
    forget_alerts(shared, published).await;
}

/// Forgets that alerts were owed. If that is lost they are published again, under the same ids.
pub(super) async fn forget_alerts(shared: &Shared, ids: Vec<String>) {
    if ids.is_empty() {
        return;
    }
    let forget = move |_: &crate::store::View<'_>| {
        let changes = ids.iter().fold(Changes::none(), |changes, id| changes.delete(&OWED, id));
        Ok::<_, StoreError>((changes, ()))
    };
    if let Err(error) = shared.store.write_soft(forget).await {
        tracing::warn!(%error, "alerts that were published may be published once more");
    }
}

/// Brings lines to the disk that are with the kernel only.
pub(super) async fn sync(shared: &Arc<Shared>) -> io::Result<()> {
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

/// The sync itself, and what its failures mean: noted also when nobody waits for it any more.
fn sync_files(shared: &Shared, unsynced: &files::Unsynced, folder: &std::path::Path) -> io::Result<()> {
    let (failed, names) = unsynced.sync(folder);
    let mut files = shared.files.lock();
    for (run, error) in failed {
        tracing::error!(%run, %error, "a file of receipts could not be synced; it is written anew from the store");
        files.doubt(&run);
    }
    if names.is_err() {
        files.doubt_names();
    }
    names
}

/// Mends files that failed, syncs the others, notes them as whole, and forgets their part of the outbox.
pub(super) async fn tidy(shared: &Arc<Shared>) -> io::Result<()> {
    let alone = Arc::clone(&shared.tidying).lock_owned().await;
    flush(shared).await.map_err(io::Error::other)?;
    let dirty = shared.files.lock().dirty();
    if dirty.runs.is_empty() && dirty.broken.is_empty() {
        return Ok(());
    }
    // Looked at before the sync: what is written meanwhile is looked at by the next start.
    let worker = Arc::clone(shared);
    let (_alone, looked) = in_background(alone, move || look(&worker, dirty)).await?;
    let (dirty, mut up_to, mut marks) = looked?;
    sync(shared).await?;
    // A mark says: all lines are in the store. Lines that came during the sync must be there first.
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
    // Last, so that whatever was cut off before is done once more.
    shared.files.lock().noted(&dirty);
    Ok(())
}

type Marks = Vec<(RunName, Option<tables::Mark>)>;

/// Mends what failed; how the files look then, and up to which receipt they are whole.
fn look(shared: &Shared, dirty: Dirty) -> io::Result<(Dirty, u64, Marks)> {
    let mut up_to = dirty.up_to;
    for run in &dirty.broken {
        let mended = mend_one(shared, run);
        if !mended.as_ref().is_ok_and(|is_whole| *is_whole) {
            up_to = 0;
        }
        if let Err(error) = mended {
            tracing::error!(%run, %error, "the file of receipts cannot be mended yet; the store has them");
        }
    }
    let folder = shared.files.lock().folder().to_owned();
    let marks = files::marks_of(&folder, &dirty.runs)?;
    Ok((dirty, up_to, marks))
}

/// Brings a file that failed in line with the store; whether it takes lines again.
fn mend_one(shared: &Shared, run: &RunName) -> io::Result<bool> {
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

/// All receipts of a run that the store has.
pub(super) fn stored_receipts(shared: &Shared, run: &RunName) -> io::Result<Vec<Arc<Receipt>>> {
    shared
        .store
        .read::<_, StoreError>(|view| tables::receipts_of_run(view, run.as_str()))
        .map_err(io::Error::other)
}

/// Forgets the outbox up to a receipt, and notes how the files look.
fn prune(view: &crate::store::View<'_>, up_to: u64, marks: &Marks) -> Result<(Changes, ()), StoreError> {
    let mut changes = Changes::none();
    for (run, mark) in marks {
        let run = run.to_string();
        changes = match mark {
            Some(mark) => changes.put(&FILES, &run, mark),
            None => changes.delete(&FILES, &run),
        };
    }
    for (first, ()) in view.range(&OUTBOX, &Span::of(..=up_to), Order::Ascending, MAX_PRUNED)? {
        let booking = view.get(&BOOKINGS, &first)?;
        if booking.is_none_or(|booking| booking.last_seq <= up_to) {
            changes = changes.delete(&OUTBOX, &first);
        }
    }
    Ok((changes, ()))
}
