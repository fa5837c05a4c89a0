//! Accounts: the durable side of budgets, receipts and metrics; the only way to get a [`Hold`].
//!
//! Owns the ledger in memory, the tables of the accounts, the receipt files and the journal of holds. No
//! decision takes a message: a handle's verb takes a short lock, so that a call without a cap costs some
//! microseconds; the actor brings bookings to the disk ([`flusher`]) and recovers at the start
//! ([`recovery`]).
//!
//! Two things wait for the disk: a hold under a cap (one group commit, shared by all callers at that time),
//! and a settlement with `receipts.fsync = "before-answer"`. Otherwise a settlement's line is written to the
//! page cache when the settlement returns (survives a process kill, not a power cut), on the disk within 5
//! ms, and the store's commit follows.
//!
//! Failure policy: money that cannot be counted is not spent. While the store takes no writes, capped holds
//! fail and others go on until [`AccountsError::Behind`]; a settlement is never dropped.

mod books;
mod files;
mod flusher;
mod journal;
mod mend;
pub mod prices;
mod recovery;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use files::FOLDER;

use books::AccountsShared;
use tables::{BookingItem, HOLDS};

use crate::actors::jobs::finalize::RunCosts;
use crate::config::FsyncTiming;
use crate::domain::accounts::budget::hold::HoldGuard;
use crate::domain::accounts::budget::ledger::NotHeld;
use crate::domain::accounts::budget::{
    BudgetAlert, BudgetScope, BudgetView, Hold, HoldId, OverBudget, RunName, SpendRequest,
};
use crate::domain::accounts::receipt::{Receipt, ReceiptOutcome};
use crate::domain::accounts::window::{TimeWindow, WindowFigures, WindowMetrics};
use crate::domain::ids::RunId;
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreChanges, StoreError};
use crate::supervision::policy::ExitReason;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender,
    WorkerOptions,
};

/// Longest wait for a commit, which takes milliseconds: beyond this the disk is stuck.
const DEADLINE: Duration = Duration::from_secs(10);
/// The receipt's note for a hold dropped by its caller.
const ABANDONED: &str =
    "the caller ended without reporting the outcome of the call; the full hold is charged";

/// Why the accounts declined or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// A budget does not allow the hold.
    #[error(transparent)]
    OverBudget(Box<OverBudget>),
    /// The hold is not open.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// Recovery from the previous daemon has not finished.
    #[error("the accounts are still recovering after the start; try again in a moment")]
    Starting,
    /// Too many settlements wait for the store.
    #[error("no call can be begun: too many settlements wait for the store, which takes no writes")]
    Behind,
    /// The settlement is booked, but neither line nor commit has reached the disk.
    #[error("the receipt is booked, but the disk did not take it within {DEADLINE:?}")]
    Slow,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the accounts service {0}")]
    Call(#[from] CallError),
}

impl AccountsError {
    /// Whether asking again helps: the start continues, or the disk is to recover.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Starting | Self::Behind | Self::Slow => true,
            Self::Store(error) => error.is_passing(),
            Self::Call(error) => *error != CallError::Crashed,
            Self::OverBudget(_) | Self::NotHeld(_) => false,
        }
    }
}

/// Receives receipts and alerts. Must not block.
pub trait AccountsObserver: Send + Sync {
    /// A budget has reached a level. After a crash an alert may be repeated: consumers drop a
    /// [`BudgetAlert::id`] they have seen.
    fn alert(&self, alert: &BudgetAlert);

    /// These receipts, in the order of `seq`, were stored by one booking. After a crash the last booking may
    /// be repeated, with the same receipts; consumers that need all of them read the files.
    fn booked(&self, _receipts: &[Arc<Receipt>]) {}
}

#[derive(Debug, Clone)]
pub struct AccountsSettings {
    /// The folder that contains [`FOLDER`].
    pub workdir: PathBuf,
    /// Folder of PAS's own state, for the journal of holds.
    pub data_dir: PathBuf,
    /// When a receipt must be on the disk.
    pub fsync: FsyncTiming,
}

#[derive(Debug)]
pub enum AccountsMessage {
    /// Sync everything booked so far, the files included.
    Sync(ReplySender<()>),
}

impl ActorMessage for AccountsMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Sync(_) => "sync",
        }
    }
}

/// The accounts' verbs. Cheap to clone.
#[derive(Clone)]
pub struct AccountsHandle {
    shared: Arc<AccountsShared>,
    address: Address<AccountsMessage>,
}

impl fmt::Debug for AccountsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

impl AccountsHandle {
    /// Reserves `wanted.worst` in every scope of the call, or nothing. On return a hold under a cap is
    /// durable, a hold without one is in the page cache.
    ///
    /// # Errors
    /// [`AccountsError::OverBudget`] names the scope that refused and the budget left there. After any error
    /// there is no hold.
    pub async fn hold(&self, wanted: SpendRequest) -> Result<Hold, AccountsError> {
        let (hold, is_capped) = self.shared.reserve(&wanted, Timestamp::now())?;
        let granted: Arc<dyn HoldGuard> = Arc::<AccountsShared>::clone(&self.shared);
        let id = hold.id();
        if !is_capped && self.shared.note(id, &wanted).is_ok() {
            return Ok(hold.guarded(granted));
        }
        let hold = hold.guarded(Arc::new(UngrantedHoldGuard(Arc::clone(&self.shared))));
        self.shared.books.lock().stored.insert(id);
        let put =
            move |_: &crate::store::StoreView<'_>| Ok((StoreChanges::none().put(&HOLDS, &id.0, &wanted), ()));
        self.shared.store.write::<_, AccountsError>(put).await?;
        Ok(hold.guarded(granted))
    }

    /// Whether a scope of the call has a cap.
    ///
    /// # Errors
    /// The store's, for a scope that is not in memory.
    pub fn is_capped(&self, wanted: &SpendRequest) -> Result<bool, AccountsError> {
        let scopes: Vec<BudgetScope> = wanted.scopes().collect();
        Ok(self.shared.with_scopes(&scopes, Timestamp::now(), |books| books.ledger.is_capped(wanted))?)
    }

    /// Settles a hold. On return the receipt is booked and its line is in the page cache.
    ///
    /// # Errors
    /// [`AccountsError::Slow`] when the line could not be written and the store did not take the receipt
    /// either.
    pub async fn settle(&self, hold: Hold, outcome: ReceiptOutcome) -> Result<Arc<Receipt>, AccountsError> {
        let (receipt, is_written) = self.shared.settle(hold.into_id(), outcome)?;
        if !is_written || self.shared.settings.fsync == FsyncTiming::BeforeAnswer {
            self.durable(receipt.seq).await?;
        }
        Ok(receipt)
    }

    /// Releases the hold of a call that was never sent, without a receipt.
    pub fn release(&self, hold: Hold) {
        if let Err(error) = self.shared.release(hold.into_id()) {
            tracing::error!(%error, "a hold could not be released");
        }
    }

    /// Sets a scope's budget; durable and in force when this returns. The same amount again changes nothing;
    /// another one resets the scope's alerts.
    ///
    /// # Errors
    /// The store's; then the old budget may be in force, or the new one after the next start.
    pub async fn set_budget(&self, scope: BudgetScope, cap: NanoUsd) -> Result<(), AccountsError> {
        self.put_cap(scope, Some(cap)).await
    }

    /// Lifts a scope's budget; durable and out of force when this returns. Spent money stays booked.
    ///
    /// # Errors
    /// As [`AccountsHandle::set_budget`].
    pub async fn lift_budget(&self, scope: BudgetScope) -> Result<(), AccountsError> {
        self.put_cap(scope, None).await
    }

    async fn put_cap(&self, scope: BudgetScope, amount: Option<NanoUsd>) -> Result<(), AccountsError> {
        let named = scope.clone();
        let put = move |view: &crate::store::StoreView<'_>| tables::setting(view, &named, amount);
        let cap = self.shared.store.write::<_, StoreError>(put).await?;
        Ok(self.shared.set_cap(&scope, cap, Timestamp::now())?)
    }

    /// The scopes that have a budget, in the order of their names.
    ///
    /// # Errors
    /// The store's.
    pub fn capped_scopes(&self) -> Result<Vec<BudgetScope>, AccountsError> {
        Ok(self.shared.store.read(tables::capped)?)
    }

    /// A budget's current figures.
    ///
    /// # Errors
    /// The store's, for a scope that is not in memory.
    pub fn budget(&self, scope: &BudgetScope) -> Result<BudgetView, AccountsError> {
        Ok(self.shared.view(scope, Timestamp::now())?)
    }

    /// The open holds whose call `is_meant`: the most that calls in flight may cost.
    #[must_use]
    pub fn open_holds(&self, is_meant: impl Fn(&SpendRequest) -> bool) -> Vec<(HoldId, SpendRequest)> {
        let books = self.shared.books.lock();
        let open = books.ledger.open_holds().filter(|(_, wanted)| is_meant(wanted));
        open.map(|(id, wanted)| (id, wanted.clone())).collect()
    }

    /// All receipts of a run, by `seq`, including those booked a moment ago.
    ///
    /// # Errors
    /// The store's.
    pub async fn receipts(&self, run: &RunName) -> Result<Vec<Arc<Receipt>>, AccountsError> {
        // The waiting ones first: receipts committed meanwhile are in both and counted once.
        let waiting: Vec<Arc<Receipt>> = {
            let books = self.shared.books.lock();
            let of_run = |item: &BookingItem| match item {
                BookingItem::Receipt(receipt) if receipt.wanted.run == *run => Some(Arc::clone(receipt)),
                _ => None,
            };
            books.queue.iter().filter_map(of_run).collect()
        };
        let (store, run) = (self.shared.store.clone(), run.clone());
        let read = move || store.read(|view| tables::receipts_of_run(view, run.as_str()));
        let mut found = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| StoreError::Panicked { message: error.to_string() })??;
        let booked = found.last().map_or(0, |receipt| receipt.seq);
        found.extend(waiting.into_iter().filter(|receipt| receipt.seq > booked));
        Ok(found)
    }

    /// The metrics of a window that ends now.
    #[must_use]
    pub fn metrics(&self, window: TimeWindow) -> WindowMetrics {
        self.shared.books.lock().windows.metrics(window, Timestamp::now())
    }

    /// The slices of a window that ends now, oldest first.
    #[must_use]
    pub fn slices(&self, window: TimeWindow) -> Vec<(Timestamp, WindowFigures)> {
        self.shared.books.lock().windows.slices(window, Timestamp::now())
    }

    /// Syncs everything booked so far, the files included.
    ///
    /// # Errors
    /// [`AccountsError::Call`] when the disk takes too long.
    pub async fn sync(&self) -> Result<(), AccountsError> {
        Ok(self.address.call(DEADLINE, AccountsMessage::Sync).await?)
    }

    async fn durable(&self, seq: u64) -> Result<(), AccountsError> {
        self.shared.hurry.notify_one();
        let mut durable = self.shared.durable.subscribe();
        let reached = tokio::time::timeout(DEADLINE, durable.wait_for(|newest| *newest >= seq)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(AccountsError::Slow),
        }
    }
}

impl RunCosts for AccountsHandle {
    fn receipts_of<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Vec<Arc<Receipt>>, String>> {
        Box::pin(async move { self.receipts(&RunName::from(run)).await.map_err(|error| error.to_string()) })
    }
}

/// Guards a hold not yet granted to its caller: if the caller leaves, or the store refuses, the hold is
/// released.
struct UngrantedHoldGuard(Arc<AccountsShared>);

impl HoldGuard for UngrantedHoldGuard {
    fn abandoned(&self, id: HoldId) {
        if let Err(error) = self.0.release(id) {
            tracing::error!(%error, "a hold that was not granted could not be released");
        }
    }
}

impl HoldGuard for AccountsShared {
    fn abandoned(&self, id: HoldId) {
        let amount = self.books.lock().ledger.open(id).map(|wanted| wanted.worst);
        let Some(amount) = amount else { return };
        tracing::warn!(%id, "a call's hold was dropped; it is charged");
        if let Err(error) = self.settle(id, ReceiptOutcome::unknown(amount, Timestamp::now(), 0, ABANDONED)) {
            tracing::error!(%error, "a dropped hold could not be charged");
        }
    }
}

/// The actor: brings bookings to the disk.
struct AccountsState {
    shared: Arc<AccountsShared>,
}

impl Actor for AccountsState {
    type Message = AccountsMessage;

    async fn handle(
        &mut self,
        message: AccountsMessage,
        context: &ActorContext<AccountsMessage>,
    ) -> Result<(), ActorError> {
        let AccountsMessage::Sync(reply) = message;
        let shared = Arc::clone(&self.shared);
        context.spawn(async move {
            match flusher::tidy(&shared).await {
                Ok(()) => reply.send(()),
                // Unanswered, so that the caller gets an error.
                Err(error) => tracing::warn!(%error, "receipts could not be synced"),
            }
        });
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        if let Err(error) = flusher::tidy(&self.shared).await {
            tracing::warn!(%error, "not all receipt files are on the disk; the next start examines them");
        }
    }
}

fn is_refused(error: &ActorError) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(StoreError::is_passing)
}

/// Recovers the accounts once the store takes writes; no hold is granted before.
async fn open_later(shared: Arc<AccountsShared>) {
    while shared.store.writable().await.is_ok() {
        match recovery::open(&shared).await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(%error, "the accounts have not recovered yet; trying again");
                tokio::time::sleep(flusher::TIDY).await;
            }
        }
    }
}

/// The accounts as a child of a supervisor, and their handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    store: Store,
    settings: AccountsSettings,
    sink: Arc<dyn AccountsObserver>,
) -> (ChildSpec, AccountsHandle) {
    let shared = Arc::new(AccountsShared::new(store, settings, sink));
    let own = Arc::clone(&shared);
    let (spec, address) = system.worker(name, options, move |context: ActorContext<AccountsMessage>| {
        let shared = Arc::clone(&own);
        async move {
            match recovery::open(&shared).await {
                Err(error) if is_refused(&error) => context.spawn(open_later(Arc::clone(&shared))),
                opened => opened?,
            }
            context.spawn(flusher::keep_flushing(Arc::clone(&shared)));
            context.spawn(flusher::keep_syncing(Arc::clone(&shared)));
            context.spawn(flusher::keep_tidy(Arc::clone(&shared)));
            Ok(AccountsState { shared })
        }
    });
    (spec, AccountsHandle { shared, address })
}
