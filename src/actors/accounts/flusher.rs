//! Brings what is booked to the disk: the queue into the store, then the files, then prunes the outbox.
//!
//! A settlement is durable with the group commit that takes its part of the queue, begun within
//! [`GATHER`]; the files are synced once in [`TIDY`], and only then does the outbox forget what it kept for
//! them. Failure policy: while the store takes no writes the queue stays and is tried again; what could
//! not be synced stays in the outbox, and files that failed are mended from the store.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::books::Shared;
use super::files::{self, Dirty};
use super::mend;
use super::tables::{self, FILES, Item, OUTBOX, OWED};
use crate::domain::budget::RunName;
use crate::domain::receipt::Receipt;
use crate::store::{Changes, Order, Span, StoreError};

/// How long settlements gather before they are committed: with the commit itself the promise of 5 ms on
/// a fast disk.
const GATHER: Duration = Duration::from_millis(2);
/// Most items of one booking: larger ones would hold up the store's other writers.
pub(super) const MAX_ITEMS: usize = 1_024;
/// Pause before a refused booking is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// Between two syncs of the files. A power cut costs them at most this; the store has it all.
pub(super) const TIDY: Duration = Duration::from_secs(1);
/// Bookings forgotten by one write.
const MAX_PRUNED: usize = 4_096;

/// Keeps flushing for as long as the actor lives.
pub(super) async fn keep_flushing(shared: Arc<Shared>) {
    loop {
        shared.wake.notified().await;
        tokio::time::sleep(GATHER).await;
        flush(&shared).await;
    }
}

/// Keeps the files on the disk for as long as the actor lives.
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

/// Empties the queue into the store, however long the store refuses; gives up when it is closed.
pub(super) async fn flush(shared: &Arc<Shared>) {
    let _one = shared.flushing.lock().await;
    let mut is_told = false;
    loop {
        let (items, seen) = {
            let books = shared.books.lock();
            let items: Vec<Item> = books.queue.iter().take(MAX_ITEMS).cloned().collect();
            let is_all = items.len() == books.queue.len();
            (items, is_all.then(|| books.ledger.now()))
        };
        if items.is_empty() {
            return;
        }
        let (count, items) = (items.len(), Arc::new(items));
        let booked = Arc::clone(&items);
        let written =
            shared.store.write(move |view| Ok::<_, StoreError>((tables::booking(view, &booked)?, ()))).await;
        match written {
            Ok(()) => done(shared, &items, count, seen).await,
            Err(StoreError::Closed) => return,
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!(%error, "settlements wait in memory and in their files");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
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
    let mut published = Vec::new();
    for item in items {
        match item {
            Item::Receipt(receipt) => shared.sink.receipt(receipt),
            Item::Alert(alert) => {
                shared.sink.alert(alert);
                published.push(alert.id());
            }
            _ => {}
        }
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

/// Mends files that failed, syncs those that were written to, and forgets their part of the outbox.
pub(super) async fn tidy(shared: &Arc<Shared>) -> io::Result<()> {
    let _one = shared.tidying.lock().await;
    flush(shared).await;
    let dirty = shared.files.lock().dirty();
    if dirty.runs.is_empty() && dirty.broken.is_empty() {
        return Ok(());
    }
    let worker = Arc::clone(shared);
    let synced = tokio::task::spawn_blocking(move || sync(&worker, dirty)).await;
    let (dirty, up_to, marks) = synced.map_err(io::Error::other)??;
    // A mark says: all lines are in the store. Lines that came during the sync must be there first.
    flush(shared).await;
    let pruned = shared.store.write_soft(move |view| prune(view, up_to, &marks)).await;
    pruned.map_err(io::Error::other)?;
    // Last, so that whatever was cut off before is done once more.
    shared.files.lock().synced(&dirty);
    Ok(())
}

type Marks = Vec<(RunName, Option<tables::Mark>)>;

fn sync(shared: &Shared, dirty: Dirty) -> io::Result<(Dirty, u64, Marks)> {
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
    let marks = files::sync(&folder, &dirty.runs)?;
    Ok((dirty, up_to, marks))
}

/// Brings a file that failed in line with the store; whether it takes lines again.
fn mend_one(shared: &Shared, run: &RunName) -> io::Result<bool> {
    let path = files::path_of(shared.files.lock().folder(), run);
    let stored = stored_receipts(shared, run)?;
    let newest = stored.last().map_or(0, |receipt| receipt.seq);
    mend::mend(&path, &mend::examine(&path)?, &stored, || Ok(Vec::new()))?;
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
        let booking = view.get(&tables::BOOKINGS, &first)?;
        if booking.is_none_or(|booking| booking.last_seq <= up_to) {
            changes = changes.delete(&OUTBOX, &first);
        }
    }
    Ok((changes, ()))
}
