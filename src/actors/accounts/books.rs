//! What all callers share: the ledger and the windows in memory, and the way to the disk.
//!
//! Everything is decided in memory under one short lock ([`Books`]); what must outlive the process is
//! handed to the kernel (lines of receipts, the journal) or to the store. Order of the locks: files or
//! journal, then books. Invariants: the queue is in the order of `seq`, which is the order of the lines in
//! every file; a scope that is not in memory stands in the store as it is (so it is let go only when
//! nothing of it waits in the queue).

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::files::Files;
use super::journal::Journal;
use super::tables::{self, Item};
use super::{AccountsError, NewsSink, Settings, flusher};
use crate::domain::budget::ledger::{Cap, NotHeld};
use crate::domain::budget::{Alert, BudgetView, Hold, HoldId, Ledger, Scope, Wanted};
use crate::domain::receipt::{Outcome, Receipt};
use crate::domain::time::Timestamp;
use crate::domain::window::Windows;
use crate::store::{Store, StoreError};

/// Scopes in memory above which idle ones are let go: some 200 bytes each.
const MAX_SCOPES: usize = 4_096;
/// Most settlements that may wait for a store that takes no writes: some 10 MB. Then no call is begun.
const MAX_QUEUE: usize = 16_384;

/// The figures, as they stand.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) ledger: Ledger,
    pub(super) windows: Windows,
    /// What is not durable yet, in order.
    pub(super) queue: VecDeque<Item>,
    pub(super) last_seq: u64,
    /// Open holds that stand in the store, not in the journal.
    pub(super) stored: HashSet<HoldId>,
    /// How often scopes were let go.
    evictions: u64,
    /// Whether what the daemon before left has been put in order.
    pub(super) is_open: bool,
}

/// What the handles and the actor share; outlives the actor's incarnations.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) settings: Settings,
    pub(super) sink: Arc<dyn NewsSink>,
    pub(super) books: Mutex<Books>,
    pub(super) files: Mutex<Files>,
    pub(super) journal: Mutex<Journal>,
    /// Something waits in the queue.
    pub(super) wake: Notify,
    /// Somebody waits for what waits in the queue.
    pub(super) hurry: Notify,
    /// A line was written that is not on the disk.
    pub(super) written: Notify,
    /// The last `seq` that is durable.
    pub(super) durable: watch::Sender<u64>,
    /// Only one at a time takes from the queue.
    pub(super) flushing: tokio::sync::Mutex<()>,
    /// Only one at a time puts in order what the daemon before left.
    pub(super) opening: OneAtATime,
    /// Only one at a time syncs files: the second one must wait for the first one's.
    pub(super) syncing: OneAtATime,
    /// Only one at a time mends files and notes which are whole.
    pub(super) tidying: OneAtATime,
}

/// A lock for work that goes on when its caller is dropped, as work on a blocking thread does: its actor
/// was killed, or its start took too long. The guard goes with the work ([`in_background`]), so that the next
/// incarnation waits for the end of it. Two that mended one file would double its lines, or lose some.
pub(super) type OneAtATime = Arc<tokio::sync::Mutex<()>>;
/// Held by work that must be alone.
pub(super) type Alone = tokio::sync::OwnedMutexGuard<()>;

/// Does blocking work and keeps the guard until it has ended, whatever becomes of the caller.
pub(super) async fn in_background<R: Send + 'static>(
    alone: Alone,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<(Alone, R)> {
    tokio::task::spawn_blocking(move || {
        let result = work();
        (alone, result)
    })
    .await
    .map_err(io::Error::other)
}

impl Shared {
    pub(super) fn new(store: Store, settings: Settings, sink: Arc<dyn NewsSink>) -> Self {
        let files = Mutex::new(Files::new(&settings.workdir));
        let journal = Mutex::new(Journal::new(&settings.data_dir));
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
            opening: OneAtATime::default(),
            syncing: OneAtATime::default(),
            tidying: OneAtATime::default(),
        }
    }

    /// Holds money in memory; whether a cap had a say in it.
    pub(super) fn reserve(&self, wanted: &Wanted, at: Timestamp) -> Result<(Hold, bool), AccountsError> {
        let scopes: Vec<Scope> = wanted.scopes().collect();
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

    /// Does something with these scopes in memory.
    pub(super) fn with_scopes<R>(
        &self,
        scopes: &[Scope],
        at: Timestamp,
        act: impl FnOnce(&mut Books) -> R,
    ) -> Result<R, StoreError> {
        loop {
            let mut books = self.books.lock();
            let missing: Vec<&Scope> = scopes.iter().filter(|scope| !books.ledger.knows(scope)).collect();
            if missing.is_empty() {
                return Ok(act(&mut books));
            }
            let evictions = books.evictions;
            drop(books);
            let standings = self.store.read(|view| {
                missing.iter().map(|scope| tables::standing(view, scope)).collect::<Result<Vec<_>, _>>()
            })?;
            let mut books = self.books.lock();
            // If a scope was let go since, what was read may be older than that.
            if books.evictions == evictions {
                for (scope, standing) in missing.into_iter().zip(standings) {
                    let alerts = books.ledger.admit(scope.clone(), standing, at);
                    books.owe(alerts);
                }
            }
        }
    }

    /// Books a settlement: ledger, windows, queue, and the line in its file. Also whether that line is
    /// with the kernel.
    pub(super) fn settle(&self, id: HoldId, outcome: Outcome) -> Result<(Arc<Receipt>, bool), NotHeld> {
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

    /// Gives a hold back.
    pub(super) fn release(&self, id: HoldId) -> Result<(), NotHeld> {
        let was_stored = {
            let mut books = self.books.lock();
            books.ledger.release(id, Timestamp::now())?;
            let was_stored = books.stored.remove(&id);
            if was_stored {
                books.queue.push_back(Item::Released(id));
            }
            was_stored
        };
        if was_stored {
            // Until its row is gone, a crash would charge it.
            self.wake.notify_one();
            self.hurry.notify_one();
        } else if let Err(error) = self.journal.lock().released(id) {
            tracing::warn!(%id, %error, "a hold that was given back may be charged after a crash");
        }
        Ok(())
    }

    /// Notes a hold without a cap in the journal, which is begun anew when it has grown long.
    pub(super) fn note(&self, id: HoldId, wanted: &Wanted) -> io::Result<()> {
        let mut journal = self.journal.lock();
        if journal.is_long() {
            self.rotate(&mut journal)?;
            return Ok(()); // The hold is open, so the new journal has it.
        }
        journal.held(id, wanted)
    }

    /// Begins the journal anew.
    pub(super) fn rotate(&self, journal: &mut Journal) -> io::Result<()> {
        let books = self.books.lock();
        let open = books.ledger.open_holds().filter(|(id, _)| !books.stored.contains(id));
        journal.rotate(books.last_seq + 1, open)
    }

    /// A budget as it stands.
    pub(super) fn view(&self, scope: &Scope, at: Timestamp) -> Result<BudgetView, StoreError> {
        let view = self.with_scopes(std::slice::from_ref(scope), at, |books| books.ledger.view(scope, at))?;
        Ok(view.unwrap_or(BudgetView { cap: None, settled: Default::default(), held: Default::default() }))
    }

    /// Puts a cap that is stored in force.
    pub(super) fn set_cap(&self, scope: &Scope, cap: Cap, at: Timestamp) -> Result<(), StoreError> {
        self.with_scopes(std::slice::from_ref(scope), at, |books| {
            let alerts = books.ledger.set_cap(scope, cap, at);
            books.owe(alerts);
        })?;
        self.wake.notify_one();
        Ok(())
    }
}

impl Books {
    /// Books that are not open yet.
    pub(super) fn new(ledger: Ledger, last_seq: u64) -> Self {
        Self { ledger, last_seq, ..Self::default() }
    }

    pub(super) fn settle(&mut self, id: HoldId, outcome: Outcome) -> Result<Arc<Receipt>, NotHeld> {
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

    /// Numbers a receipt and queues it.
    pub(super) fn book(&mut self, id: HoldId, wanted: Wanted, outcome: Outcome) -> Arc<Receipt> {
        self.last_seq += 1;
        let receipt = Arc::new(Receipt::new(self.last_seq, id, wanted, outcome));
        self.take_in(&receipt);
        receipt
    }

    /// Counts and queues a receipt that has its number.
    pub(super) fn take_in(&mut self, receipt: &Arc<Receipt>) {
        self.last_seq = self.last_seq.max(receipt.seq);
        self.windows.record(receipt);
        self.queue.push_back(Item::Receipt(Arc::clone(receipt)));
    }

    pub(super) fn owe(&mut self, alerts: Vec<Alert>) {
        self.queue.extend(alerts.into_iter().map(|alert| Item::Alert(Arc::new(alert))));
    }

    /// Lets idle scopes go when there are many; all changes up to `saved` are durable.
    pub(super) fn let_go(&mut self, saved: u64) {
        if self.ledger.scopes() > MAX_SCOPES {
            self.ledger.evict_idle(saved);
            self.evictions += 1;
        }
    }
}
