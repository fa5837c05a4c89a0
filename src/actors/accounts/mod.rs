//! Accounts: the durable side of budgets, receipts and metrics; the one way to get a [`Hold`].
//!
//! Owns the ledger in memory, the tables of the accounts, the files of receipts and the journal of holds.
//! Callers decide nothing by message: a handle's verb takes a short lock, so that a call without a cap
//! costs some microseconds; the actor brings what was booked to the disk ([`flusher`]) and puts the past in
//! order when it starts ([`recovery`]).
//!
//! What waits for the disk: a hold under a cap (one group commit, shared by all who ask at that time), and
//! a settlement where `receipts.fsync = "before-answer"`. Otherwise a settlement's line is with the kernel
//! when it returns (it survives `kill -9`), on the disk within 5 ms, and the store's commit follows.
//!
//! Failure policy: money that cannot be counted is not spent. While the store takes no writes, capped
//! holds fail and others go on until [`AccountsError::Behind`]; what was settled is never dropped.

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

use books::Shared;
use tables::{HOLDS, Item};

use crate::actors::jobs::closing::RunCosts;
use crate::config::Fsync;
use crate::domain::budget::hold::Guard;
use crate::domain::budget::ledger::NotHeld;
use crate::domain::budget::{Alert, BudgetView, Hold, HoldId, OverBudget, RunName, Scope, Wanted};
use crate::domain::ids::RunId;
use crate::domain::money::NanoUsd;
use crate::domain::receipt::{Outcome, Receipt};
use crate::domain::time::Timestamp;
use crate::domain::window::{Figures, Metrics, Window};
use crate::store::{Changes, Store, StoreError};
use crate::supervision::policy::ExitReason;
use crate::supervision::{
    Actor, ActorError, ActorSystem, Address, CallError, ChildSpec, Context, Message as ActorMessage, Reply,
    WorkerOptions,
};

/// Longest wait for a commit: it takes milliseconds, so beyond this the disk is stuck.
const DEADLINE: Duration = Duration::from_secs(10);
/// What a receipt says of a hold whose caller went without a word.
const ABANDONED: &str = "the caller ended without saying what became of the call; it is charged at its hold";

/// Why the accounts did not do what they were asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// A budget does not allow it.
    #[error(transparent)]
    OverBudget(Box<OverBudget>),
    /// The hold is not open.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// What the daemon before left is not in order yet.
    #[error("the accounts are being put in order after the start; try again in a moment")]
    Starting,
    /// Too many settlements wait for the store.
    #[error("no call can be begun: too many settlements wait for the store, which takes no writes")]
    Behind,
    /// The settlement is booked, but neither its line nor its commit is through.
    #[error("the receipt is booked, but the disk did not take it within {DEADLINE:?}")]
    Slow,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the accounts: {0}")]
    Call(#[from] CallError),
}

impl AccountsError {
    /// Whether asking again helps: the start goes on, or the disk is to recover.
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

/// Who is told of receipts and alerts. Must not block.
pub trait NewsSink: Send + Sync {
    /// A budget has reached a level. After a crash an alert may be told again: whoever shows it drops an
    /// [`Alert::id`] it has seen.
    fn alert(&self, alert: &Alert);

    /// These receipts, in the order of their `seq`, are in the store by one booking. After a crash the last
    /// booking may be told again, with the same receipts; whoever must know all of them reads the files.
    fn booked(&self, _receipts: &[Arc<Receipt>]) {}
}

/// What the accounts are set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// [`FOLDER`] is made below it.
    pub workdir: PathBuf,
    /// Folder of PAS's own state, for the journal of holds.
    pub data_dir: PathBuf,
    /// When a receipt must be on the disk.
    pub fsync: Fsync,
}

/// What the actor is asked.
#[derive(Debug)]
pub enum Message {
    /// Bring everything booked so far to the disk, the files included.
    Sync(Reply<()>),
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Sync(_) => "sync",
        }
    }
}

/// The accounts' verbs. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    shared: Arc<Shared>,
    address: Address<Message>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

impl Accounts {
    /// Holds `wanted.worst` in every scope of the call, or nothing. Under a cap it is durable when this
    /// returns; without one it is with the kernel.
    ///
    /// # Errors
    /// [`AccountsError::OverBudget`] says which scope refused and what is left. After any error nothing
    /// is held.
    pub async fn hold(&self, wanted: Wanted) -> Result<Hold, AccountsError> {
        let (hold, is_capped) = self.shared.reserve(&wanted, Timestamp::now())?;
        let granted: Arc<dyn Guard> = Arc::<Shared>::clone(&self.shared);
        let id = hold.id();
        if !is_capped && self.shared.note(id, &wanted).is_ok() {
            return Ok(hold.guarded(granted));
        }
        let hold = hold.guarded(Arc::new(GiveBack(Arc::clone(&self.shared))));
        self.shared.books.lock().stored.insert(id);
        let put = move |_: &crate::store::View<'_>| Ok((Changes::none().put(&HOLDS, &id.0, &wanted), ()));
        self.shared.store.write::<_, AccountsError>(put).await?;
        Ok(hold.guarded(granted))
    }

    /// Settles a hold: its receipt is booked, and its line is with the kernel when this returns.
    ///
    /// # Errors
    /// [`AccountsError::Slow`] when the line could not be written and the store did not take it either.
    pub async fn settle(&self, hold: Hold, outcome: Outcome) -> Result<Arc<Receipt>, AccountsError> {
        let (receipt, is_written) = self.shared.settle(hold.into_id(), outcome)?;
        if !is_written || self.shared.settings.fsync == Fsync::BeforeAnswer {
            self.durable(receipt.seq).await?;
        }
        Ok(receipt)
    }

    /// Gives back a hold for whose call nothing was sent; it has no receipt.
    pub fn release(&self, hold: Hold) {
        if let Err(error) = self.shared.release(hold.into_id()) {
            tracing::error!(%error, "a hold could not be given back");
        }
    }

    /// Sets a scope's budget; durable and in force when this returns. The same amount again changes
    /// nothing; another one raises its alerts anew.
    ///
    /// # Errors
    /// The store's; then the budget before may be in force, or this one after the next start.
    pub async fn set_budget(&self, scope: Scope, cap: NanoUsd) -> Result<(), AccountsError> {
        self.put_cap(scope, Some(cap)).await
    }

    /// Lifts a scope's budget; durable and out of force when this returns. What was spent stays booked.
    ///
    /// # Errors
    /// As [`Accounts::set_budget`].
    pub async fn lift_budget(&self, scope: Scope) -> Result<(), AccountsError> {
        self.put_cap(scope, None).await
    }

    async fn put_cap(&self, scope: Scope, amount: Option<NanoUsd>) -> Result<(), AccountsError> {
        let named = scope.clone();
        let put = move |view: &crate::store::View<'_>| tables::setting(view, &named, amount);
        let cap = self.shared.store.write::<_, StoreError>(put).await?;
        Ok(self.shared.set_cap(&scope, cap, Timestamp::now())?)
    }

    /// The scopes that have a budget, in the order of their names.
    ///
    /// # Errors
    /// The store's.
    pub fn capped_scopes(&self) -> Result<Vec<Scope>, AccountsError> {
        Ok(self.shared.store.read(tables::capped)?)
    }

    /// A budget as it stands.
    ///
    /// # Errors
    /// The store's, for a scope that is not in memory.
    pub fn budget(&self, scope: &Scope) -> Result<BudgetView, AccountsError> {
        Ok(self.shared.view(scope, Timestamp::now())?)
    }

    /// The open holds whose call `is_meant`: what calls under way may cost at most.
    #[must_use]
    pub fn open_holds(&self, is_meant: impl Fn(&Wanted) -> bool) -> Vec<(HoldId, Wanted)> {
        let books = self.shared.books.lock();
        let open = books.ledger.open_holds().filter(|(_, wanted)| is_meant(wanted));
        open.map(|(id, wanted)| (id, wanted.clone())).collect()
    }

    /// All receipts of a run, by `seq`, those included that were booked a moment ago.
    ///
    /// # Errors
    /// The store's.
    pub async fn receipts(&self, run: &RunName) -> Result<Vec<Arc<Receipt>>, AccountsError> {
        // First what waits: what is committed meanwhile is in both and counted once.
        let waiting: Vec<Arc<Receipt>> = {
            let books = self.shared.books.lock();
            let of_run = |item: &Item| match item {
                Item::Receipt(receipt) if receipt.wanted.run == *run => Some(Arc::clone(receipt)),
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

    /// What calls came to in a window that ends now.
    #[must_use]
    pub fn metrics(&self, window: Window) -> Metrics {
        self.shared.books.lock().windows.metrics(window, Timestamp::now())
    }

    /// The slices of a window that ends now, oldest first.
    #[must_use]
    pub fn slices(&self, window: Window) -> Vec<(Timestamp, Figures)> {
        self.shared.books.lock().windows.slices(window, Timestamp::now())
    }

    /// Brings everything booked so far to the disk, the files included.
    ///
    /// # Errors
    /// [`AccountsError::Call`] when the disk takes too long.
    pub async fn sync(&self) -> Result<(), AccountsError> {
        Ok(self.address.call(DEADLINE, Message::Sync).await?)
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

impl RunCosts for Accounts {
    fn receipts_of<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Vec<Arc<Receipt>>, String>> {
        Box::pin(async move { self.receipts(&RunName::from(run)).await.map_err(|error| error.to_string()) })
    }
}

/// Watches a hold that nobody has been granted yet: if its caller leaves, or the store refuses, it is given
/// back.
struct GiveBack(Arc<Shared>);

impl Guard for GiveBack {
    fn abandoned(&self, id: HoldId) {
        if let Err(error) = self.0.release(id) {
            tracing::error!(%error, "a hold that was not granted could not be given back");
        }
    }
}

impl Guard for Shared {
    fn abandoned(&self, id: HoldId) {
        let amount = self.books.lock().ledger.open(id).map(|wanted| wanted.worst);
        let Some(amount) = amount else { return };
        tracing::warn!(%id, "a call's hold was dropped; it is charged");
        if let Err(error) = self.settle(id, Outcome::unknown(amount, Timestamp::now(), 0, ABANDONED)) {
            tracing::error!(%error, "a dropped hold could not be charged");
        }
    }
}

/// The actor: brings what is booked to the disk.
struct State {
    shared: Arc<Shared>,
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        let Message::Sync(reply) = message;
        let shared = Arc::clone(&self.shared);
        context.spawn(async move {
            match flusher::tidy(&shared).await {
                Ok(()) => reply.send(()),
                // Unanswered, the caller learns that it did not happen.
                Err(error) => tracing::warn!(%error, "receipts could not be brought to the disk"),
            }
        });
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        if let Err(error) = flusher::tidy(&self.shared).await {
            tracing::warn!(%error, "files of receipts are not all on the disk; the next start looks them over");
        }
    }
}

fn is_refused(error: &ActorError) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(StoreError::is_passing)
}

/// Puts the accounts in order when the store takes writes; no hold is granted before.
async fn open_later(shared: Arc<Shared>) {
    while shared.store.writable().await.is_ok() {
        match recovery::open(&shared).await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(%error, "the accounts are not in order yet; trying again");
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
    settings: Settings,
    sink: Arc<dyn NewsSink>,
) -> (ChildSpec, Accounts) {
    let shared = Arc::new(Shared::new(store, settings, sink));
    let own = Arc::clone(&shared);
    let (spec, address) = system.worker(name, options, move |context: Context<Message>| {
        let shared = Arc::clone(&own);
        async move {
            match recovery::open(&shared).await {
                Err(error) if is_refused(&error) => context.spawn(open_later(Arc::clone(&shared))),
                opened => opened?,
            }
            context.spawn(flusher::keep_flushing(Arc::clone(&shared)));
            context.spawn(flusher::keep_syncing(Arc::clone(&shared)));
            context.spawn(flusher::keep_tidy(Arc::clone(&shared)));
            Ok(State { shared })
        }
    });
    (spec, Accounts { shared, address })
}
