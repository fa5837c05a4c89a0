//! State shared by all callers: the ledger and the windows in memory, and the way to the disk.
//!
//! Everything is decided in memory under one short lock ([`AccountBooks`]); anything that must outlive the
//! process is written to the page cache (receipt lines, the journal) or to the store. Order of the locks:
//! files or journal, then books. Invariants: the queue is in the order of `seq`, as are the lines in every
//! file; a scope that is not in memory is current in the store (so it is evicted only when none of its items
//! waits in the queue).

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::files::ReceiptFiles;
use super::journal::HoldJournal;
use super::tables::{self, BookingItem};
use super::{AccountsError, AccountsObserver, AccountsSettings, flusher};
use crate::domain::accounts::budget::ledger::{BudgetCap, NotHeld};
use crate::domain::accounts::budget::{
    BudgetAlert, BudgetLedger, BudgetScope, BudgetView, Hold, HoldId, SpendRequest,
};
use crate::domain::accounts::receipt::{Receipt, ReceiptOutcome};
use crate::domain::accounts::window::UsageWindows;
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

/// Scopes in memory above which idle ones are evicted: some 200 bytes each.
const MAX_SCOPES: usize = 4_096;
/// Most settlements that may wait for a store that takes no writes: some 10 MB. Beyond that no call is begun.
const MAX_QUEUE: usize = 16_384;

/// The current figures.
#[derive(Debug, Default)]
pub(super) struct AccountBooks {
    pub(super) ledger: BudgetLedger,
    pub(super) windows: UsageWindows,
    /// Items that are not durable yet, in order.
    pub(super) queue: VecDeque<BookingItem>,
    pub(super) last_seq: u64,
    /// Open holds recorded in the store, not in the journal.
    pub(super) stored: HashSet<HoldId>,
    evictions: u64,
    /// Whether recovery from the previous daemon has finished.
    pub(super) is_open: bool,
}

/// Shared by the handles and the actor; outlives the actor's incarnations.
pub(super) struct AccountsShared {
    pub(super) store: Store,
    pub(super) settings: AccountsSettings,
    pub(super) sink: Arc<dyn AccountsObserver>,
    pub(super) books: Mutex<AccountBooks>,
    pub(super) files: Mutex<ReceiptFiles>,
    pub(super) journal: Mutex<HoldJournal>,
    /// The queue has an item.
    pub(super) wake: Notify,
    /// A caller waits for the queue.
    pub(super) hurry: Notify,
    /// A line was written that is not on the disk.
    pub(super) written: Notify,
    /// The last `seq` that is durable.
    pub(super) durable: watch::Sender<u64>,
    /// Only one task at a time takes from the queue.
    pub(super) flushing: tokio::sync::Mutex<()>,
    /// Only one task at a time recovers from the previous daemon.
    pub(super) opening: ExclusiveLock,
    /// Only one task at a time syncs files: the second must wait for the first one's sync.
    pub(super) syncing: ExclusiveLock,
    /// Only one task at a time mends files and notes which are whole.
    pub(super) tidying: ExclusiveLock,
}

/// A lock for work that outlives its caller, as work on a blocking thread does (the actor was killed, or the
/// start took too long). The guard moves with the work ([`in_background`]), so the next incarnation waits for
/// the end of that work. Two tasks mending one file would double lines or lose some.
pub(super) type ExclusiveLock = Arc<tokio::sync::Mutex<()>>;
/// Held by work that must run alone.
pub(super) type ExclusiveGuard = tokio::sync::OwnedMutexGuard<()>;

/// Runs blocking work and keeps the guard until the work has ended, even if the caller is dropped.
pub(super) async fn in_background<R: Send + 'static>(
    alone: ExclusiveGuard,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<(ExclusiveGuard, R)> {
    tokio::task::spawn_blocking(move || {
        let result = work();
        (alone, result)
    })
    .await
    .map_err(io::Error::other)
}

impl AccountsShared {
    pub(super) fn new(store: Store, settings: AccountsSettings, sink: Arc<dyn AccountsObserver>) -> Self {
        let files = Mutex::new(ReceiptFiles::new(&settings.workdir));
        let journal = Mutex::new(HoldJournal::new(&settings.data_dir));
        Self {
            store,
            settings,
            sink,
            books: Mutex::default(),
            files,
            journal,
            wake: Notify::new(),
            hurry: Notify::new(),
            written: Notify::new(),
            durable: watch::Sender::new(0),
            flushing: tokio::sync::Mutex::new(()),
            opening: ExclusiveLock::default(),
            syncing: ExclusiveLock::default(),
            tidying: ExclusiveLock::default(),
        }
    }

    /// Reserves a hold in memory; also returns whether any scope has a cap.
    pub(super) fn reserve(
        &self,
        wanted: &SpendRequest,
        at: Timestamp,
    ) -> Result<(Hold, bool), AccountsError> {
        let scopes: Vec<BudgetScope> = wanted.scopes().collect();
        self.with_scopes(&scopes, at, |books| {
            if !books.is_open {
                return Err(AccountsError::Starting);
            }
            if books.queue.len() >= MAX_QUEUE {
                return Err(AccountsError::Behind);
            }
            let capped = books.ledger.is_capped(wanted);
            let hold = books.ledger.reserve(wanted.clone(), at).map_err(AccountsError::OverBudget)?;
            if capped {
                books.stored.insert(hold.id());
            }
            Ok((hold, capped))
        })?
    }

    /// Runs a function on these scopes in memory.
    pub(super) fn with_scopes<R>(
        &self,
        scopes: &[BudgetScope],
        at: Timestamp,
        act: impl FnOnce(&mut AccountBooks) -> R,
    ) -> Result<R, StoreError> {
        loop {
            let mut books = self.books.lock();
            let missing: Vec<&BudgetScope> =
                scopes.iter().filter(|scope| !books.ledger.knows(scope)).collect();
            if missing.is_empty() {
                return Ok(act(&mut books));
            }
            let evictions = books.evictions;
            drop(books);
            let standings = self.store.read(|view| {
                missing.iter().map(|scope| tables::standing(view, scope)).collect::<Result<Vec<_>, _>>()
            })?;
            let mut books = self.books.lock();
            // If a scope was evicted since, the values read may be older than the eviction.
            if books.evictions == evictions {
                for (scope, standing) in missing.into_iter().zip(standings) {
                    let alerts = books.ledger.admit(scope.clone(), standing, at);
                    books.owe(alerts);
                }
            }
        }
    }

    /// Books a settlement: ledger, windows, queue, and the line in the run's file. Also returns whether that
    /// line is written.
    pub(super) fn settle(
        &self,
        id: HoldId,
        outcome: ReceiptOutcome,
    ) -> Result<(Arc<Receipt>, bool), NotHeld> {
        let mut files = self.files.lock();
        let (receipt, is_crowded) = {
            let mut books = self.books.lock();
            (books.settle(id, outcome)?, books.queue.len() >= flusher::MAX_ITEMS)
        };
        let written = files.append(&receipt);
        drop(files);
        self.written.notify_one();
        self.wake.notify_one();
        if is_crowded {
            self.hurry.notify_one();
        }
        if let Err(error) = &written {
            let run = &receipt.wanted.run;
            tracing::error!(%run, %error, "a receipt is not in its file; it will be once the file is mended");
        }
        Ok((receipt, written.is_ok()))
    }

    pub(super) fn release(&self, id: HoldId) -> Result<(), NotHeld> {
        let was_stored = {
            let mut books = self.books.lock();
            books.ledger.release(id, Timestamp::now())?;
            let was_stored = books.stored.remove(&id);
            if was_stored {
                books.queue.push_back(BookingItem::Released(id));
            }
            was_stored
        };
        if was_stored {
            // Until the hold's row is gone, a crash would charge the hold.
            self.wake.notify_one();
            self.hurry.notify_one();
        } else if let Err(error) = self.journal.lock().released(id) {
            tracing::warn!(%id, %error, "a released hold may be charged after a crash");
        }
        Ok(())
    }

    /// Notes a hold without a cap in the journal; rotates a long journal.
    pub(super) fn note(&self, id: HoldId, wanted: &SpendRequest) -> io::Result<()> {
        let mut journal = self.journal.lock();
        if journal.is_long() {
            self.rotate(&mut journal)?;
            return Ok(()); // The hold is open, so the new journal has it.
        }
        journal.held(id, wanted)
    }

    pub(super) fn rotate(&self, journal: &mut HoldJournal) -> io::Result<()> {
        let books = self.books.lock();
        let open = books.ledger.open_holds().filter(|(id, _)| !books.stored.contains(id));
        journal.rotate(books.last_seq + 1, open)
    }

    /// A budget's current figures.
    pub(super) fn view(&self, scope: &BudgetScope, at: Timestamp) -> Result<BudgetView, StoreError> {
        let view = self.with_scopes(std::slice::from_ref(scope), at, |books| books.ledger.view(scope, at))?;
        Ok(view.unwrap_or(BudgetView { cap: None, settled: Default::default(), held: Default::default() }))
    }

    /// Puts a stored cap in force.
    pub(super) fn set_cap(
        &self,
        scope: &BudgetScope,
        cap: BudgetCap,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.with_scopes(std::slice::from_ref(scope), at, |books| {
            let alerts = books.ledger.set_cap(scope, cap, at);
            books.owe(alerts);
        })?;
        self.wake.notify_one();
        Ok(())
    }
}

impl AccountBooks {
    /// Books that are not open yet.
    pub(super) fn new(ledger: BudgetLedger, last_seq: u64) -> Self {
        Self { ledger, last_seq, ..Self::default() }
    }

    pub(super) fn settle(&mut self, id: HoldId, outcome: ReceiptOutcome) -> Result<Arc<Receipt>, NotHeld> {
        let settled = self.ledger.settle(id, outcome.cost, outcome.at)?;
        self.stored.remove(&id);
        if settled.excess.0 > 0 {
            let (model, excess) = (&settled.wanted.model, settled.excess);
            tracing::error!(%id, model, %excess, "a call cost more than was held for it; check its price");
        }
        let receipt = self.book(id, settled.wanted, outcome);
        self.owe(settled.alerts);
        Ok(receipt)
    }

    pub(super) fn book(&mut self, id: HoldId, wanted: SpendRequest, outcome: ReceiptOutcome) -> Arc<Receipt> {
        self.last_seq += 1;
        let receipt = Arc::new(Receipt::new(self.last_seq, id, wanted, outcome));
        self.take_in(&receipt);
        receipt
    }

    /// Counts and queues a numbered receipt.
    pub(super) fn take_in(&mut self, receipt: &Arc<Receipt>) {
        self.last_seq = self.last_seq.max(receipt.seq);
        self.windows.record(receipt);
        self.queue.push_back(BookingItem::Receipt(Arc::clone(receipt)));
    }

    pub(super) fn owe(&mut self, alerts: Vec<BudgetAlert>) {
        self.queue.extend(alerts.into_iter().map(|alert| BookingItem::Alert(Arc::new(alert))));
    }

    /// Evicts idle scopes when there are many; all changes up to `saved` are durable.
    pub(super) fn let_go(&mut self, saved: u64) {
        if self.ledger.scopes() > MAX_SCOPES {
            self.ledger.evict_idle(saved);
            self.evictions += 1;
        }
    }
}
