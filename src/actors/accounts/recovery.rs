//! Recovery from the previous daemon, before the first hold is granted.
//!
//! Possible findings after a `kill -9`, and their treatment:
//! - lines in files that the store has not booked (a settlement was answered before the commit): booked now,
//!   under their own `seq`;
//! - receipts in the outbox whose lines the disk has lost (a power cut): written again;
//! - torn or damaged files: see [`super::mend`];
//! - holds without a receipt: bytes may have been sent, so each is charged in full, with a note in the
//!   receipt;
//! - alerts and receipts that may not have been published: published again, under the same ids.
//!
//! Invariant: repeated, or interrupted and begun anew, recovery books and writes nothing twice. That includes
//! a start that outlasted its deadline: its blocking part goes on, and the next start waits for the end of
//! that part.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::books::{AccountBooks, AccountsShared, in_background};
use super::files::{self, ENDING, ReceiptFiles};
use super::tables::{self, BOOKINGS, BookingRow, FILES, FileMarkRow, HOLDS, OUTBOX, OWED};
use super::{flusher, journal, mend};
use crate::domain::accounts::budget::{BudgetLedger, BudgetScope, HoldId, RunName, SpendRequest};
use crate::domain::accounts::receipt::{Receipt, ReceiptOutcome};
use crate::domain::accounts::window::TimeWindow;
use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder, StoreError, StoreView};
use crate::supervision::ActorError;

/// Hold numbers of one start begin at this times the start's number.
const HOLDS_A_START: u64 = 1 << 32;
/// Bookings read at a time: some megabytes of receipts.
const PAGE: usize = 64;
/// The receipt's note for a call that the daemon did not outlive.
const CUT_OFF: &str = "the daemon ended during the call; its outcome is unknown, so the full hold is charged";

type ReceiptsBySeq = BTreeMap<u64, Arc<Receipt>>;

/// Opens the accounts; a later incarnation of the actor finds them open.
pub(super) async fn open(shared: &Arc<AccountsShared>) -> Result<(), ActorError> {
    let alone = Arc::clone(&shared.opening).lock_owned().await;
    if shared.books.lock().is_open {
        shared.wake.notify_one();
        return Ok(());
    }
    let (start, last_seq) = begin(shared).await?;
    let worker = Arc::clone(shared);
    let (_alone, ordered) = in_background(alone, move || put_in_order(&worker, start, last_seq)).await?;
    ordered?;
    flusher::flush(shared).await?;
    shared.durable.send_replace(shared.books.lock().last_seq);
    // Only now: until the holds are settled in the store, the old journal is their only trace.
    std::fs::create_dir_all(&shared.settings.data_dir)?;
    shared.rotate(&mut shared.journal.lock())?;
    shared.books.lock().is_open = true;
    republish_last_booking(shared, last_seq)?;
    publish_owed(shared).await?;
    Ok(())
}

/// Counts this start; returns its number and the `seq` of the last receipt booked in the store.
pub(super) async fn begin(shared: &AccountsShared) -> Result<(u64, u64), StoreError> {
    let count = |view: &StoreView<'_>| {
        let (changes, start) = tables::count_start(view)?;
        Ok((changes, (start, tables::last_seq(view)?)))
    };
    shared.store.write(count).await
}

/// Repairs files, books and lines; new bookings wait in the queue. Blocks.
pub(super) fn put_in_order(shared: &AccountsShared, start: u64, last_seq: u64) -> Result<(), ActorError> {
    // An earlier start may have been cut off anywhere in here.
    *shared.files.lock() = ReceiptFiles::new(&shared.settings.workdir);
    *shared.books.lock() = AccountBooks::new(BudgetLedger::new(start * HOLDS_A_START), last_seq);
    restore_windows(shared, Timestamp::now())?;
    let unbooked = repair_files(shared, last_seq)?;
    take_in(shared, &unbooked)?;
    charge_left(shared, &unbooked)
}

/// Publishes the previous daemon's last booking again, which may not have been published; consumers drop
/// known receipts. Each booking is published before the next one begins, and one that has left the outbox was
/// published.
fn republish_last_booking(shared: &AccountsShared, last_seq: u64) -> Result<(), StoreError> {
    let mut receipts: Vec<Arc<Receipt>> = shared.store.read(|view| {
        let before = KeyRange::of(..=last_seq);
        let Some((first, ())) = view.range(&OUTBOX, &before, ScanOrder::Descending, 1)?.pop() else {
            return Ok(Vec::new());
        };
        let booking = view.get(&BOOKINGS, &first)?;
        booking.map_or_else(|| Ok(Vec::new()), |booking| tables::receipts_of(view, &booking.pieces))
    })?;
    receipts.sort_by_key(|receipt| receipt.seq);
    if !receipts.is_empty() {
        shared.sink.booked(&receipts);
    }
    Ok(())
}

/// Fills the windows from the receipts of the last day.
fn restore_windows(shared: &AccountsShared, now: Timestamp) -> Result<(), StoreError> {
    let oldest = now.as_millis() - TimeWindow::LONGEST_MS;
    each_booking(
        shared,
        |booking| booking.newest_ms >= oldest,
        |receipts| {
            let mut books = shared.books.lock();
            receipts.iter().for_each(|receipt| books.windows.record(receipt));
        },
    )
}

/// Visits the receipts of the newest bookings, for as long as `go_on` returns true.
fn each_booking(
    shared: &AccountsShared,
    go_on: impl Fn(&BookingRow) -> bool,
    mut visit: impl FnMut(&[Arc<Receipt>]),
) -> Result<(), StoreError> {
    let mut span = KeyRange::all();
    loop {
        let page = shared.store.read(|view| view.range(&BOOKINGS, &span, ScanOrder::Descending, PAGE))?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        span = KeyRange::all().before(last);
        for (_, booking) in &page {
            if !go_on(booking) {
                return Ok(());
            }
            visit(&shared.store.read(|view| tables::receipts_of(view, &booking.pieces))?);
        }
    }
}

/// Repairs files that may be damaged; returns the receipts in them that the store has not booked.
pub(super) fn repair_files(shared: &AccountsShared, last_seq: u64) -> Result<ReceiptsBySeq, ActorError> {
    let folder = shared.files.lock().folder().to_owned();
    let (outbox, marks) = shared.store.read(|view| Ok::<_, StoreError>((outbox(view)?, marks(view)?)))?;
    let mut runs = runs_in(&folder)?;
    runs.extend(outbox.keys().cloned());
    let mut unbooked = ReceiptsBySeq::new();
    for run in runs {
        let path = files::path_of(&folder, &run);
        let wanted = outbox.get(&run).map_or(&[][..], Vec::as_slice);
        let known = marks.get(run.as_str()).copied();
        if wanted.is_empty() && known.is_some() && files::mark_of(&path).ok() == known {
            continue;
        }
        let found = mend::examine(&path)?;
        mend::mend(&path, &found, wanted, || flusher::stored_receipts(shared, &run))?;
        unbooked.extend(found.receipts.into_iter().filter(|(seq, _)| *seq > last_seq));
        shared.files.lock().touched(run);
    }
    Ok(unbooked)
}

fn outbox(view: &StoreView<'_>) -> Result<BTreeMap<RunName, Vec<Arc<Receipt>>>, StoreError> {
    let mut by_run: BTreeMap<RunName, Vec<Arc<Receipt>>> = BTreeMap::new();
    for (first, ()) in view.range(&OUTBOX, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)? {
        let Some(booking) = view.get(&BOOKINGS, &first)? else { continue };
        for receipt in tables::receipts_of(view, &booking.pieces)? {
            by_run.entry(receipt.wanted.run.clone()).or_default().push(receipt);
        }
    }
    Ok(by_run)
}

fn marks(view: &StoreView<'_>) -> Result<BTreeMap<String, FileMarkRow>, StoreError> {
    Ok(view.range(&FILES, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?.into_iter().collect())
}

/// The runs that have a file.
fn runs_in(folder: &Path) -> io::Result<BTreeSet<RunName>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let mut runs = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        let run = name.to_str().and_then(|name| name.strip_suffix(ENDING)).map(RunName::new);
        runs.extend(run.and_then(Result::ok));
    }
    Ok(runs)
}

/// Books receipts that are in the files already.
fn take_in(shared: &AccountsShared, unbooked: &ReceiptsBySeq) -> Result<(), StoreError> {
    for receipt in unbooked.values() {
        let (wanted, outcome) = (&receipt.wanted, &receipt.outcome);
        let scopes: Vec<BudgetScope> = wanted.scopes().collect();
        shared.with_scopes(&scopes, outcome.at, |books| {
            books.take_in(receipt);
            let alerts = books.ledger.charge(wanted, outcome.cost, outcome.at);
            books.owe(alerts);
        })?;
    }
    if !unbooked.is_empty() {
        tracing::info!(receipts = unbooked.len(), "booked receipts that a crash had kept out of the store");
    }
    Ok(())
}

/// Charges holds without a receipt.
fn charge_left(shared: &AccountsShared, unbooked: &ReceiptsBySeq) -> Result<(), ActorError> {
    let mut open = noted(shared)?;
    let rows: Vec<(u64, SpendRequest)> = shared.store.read::<_, StoreError>(|view| {
        view.range(&HOLDS, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)
    })?;
    open.extend(rows.into_iter().map(|(id, wanted)| (HoldId(id), wanted)));
    for receipt in unbooked.values() {
        open.remove(&receipt.hold);
    }
    let now = Timestamp::now();
    for (id, wanted) in open {
        tracing::warn!(hold = %id, held = %wanted.worst, model = wanted.model, "a call was cut off: its full hold is charged");
        let scopes: Vec<BudgetScope> = wanted.scopes().collect();
        let mut files = shared.files.lock();
        let receipt = shared.with_scopes(&scopes, now, |books| {
            let alerts = books.ledger.charge(&wanted, wanted.worst, now);
            let outcome = ReceiptOutcome::unknown(wanted.worst, now, 0, CUT_OFF);
            let receipt = books.book(id, wanted, outcome);
            books.owe(alerts);
            receipt
        })?;
        if let Err(error) = files.append(&receipt) {
            tracing::error!(%error, run = %receipt.wanted.run, "a receipt is not in its file yet; the store has it");
        }
    }
    Ok(())
}

/// Holds of the journal without a receipt in the store.
fn noted(shared: &AccountsShared) -> Result<BTreeMap<HoldId, SpendRequest>, ActorError> {
    let mut left = journal::read(&shared.settings.data_dir)?;
    if !left.held.is_empty() {
        each_booking(
            shared,
            |booking| booking.last_seq >= left.first_seq,
            |receipts| receipts.iter().for_each(|receipt| drop(left.held.remove(&receipt.hold))),
        )?;
    }
    Ok(left.held)
}

async fn publish_owed(shared: &AccountsShared) -> Result<(), StoreError> {
    let owed =
        shared.store.read(|view| view.range(&OWED, &KeyRange::all(), ScanOrder::Ascending, usize::MAX))?;
    let mut alerts: Vec<_> = owed.into_iter().map(|(_, alert)| alert).collect();
    alerts.sort_by_key(|alert: &crate::domain::accounts::budget::BudgetAlert| (alert.at, alert.level));
    alerts.iter().for_each(|alert| shared.sink.alert(alert));
    flusher::forget_alerts(
        shared,
        alerts.iter().map(crate::domain::accounts::budget::BudgetAlert::id).collect(),
    )
    .await;
    Ok(())
}
