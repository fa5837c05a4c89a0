//! The accounts as a whole: the callers' view, and the next start's recovery after a crash.
//!
//! These tests crash by leaving the shared part without an actor: nothing is flushed and nothing ends in
//! order, so files, journal and store are as a `kill -9` would leave them. The real signal is sent in
//! `tests/it/accounts_kill.rs`.

mod callers;
mod crashes;
mod interleavings;

use std::path::Path;

use parking_lot::Mutex;

use super::*;
use crate::domain::accounts::budget::{CallKey, ScopeLabel};
use crate::domain::accounts::receipt::ReceiptStatus;
use crate::domain::usage::{ServiceTier, TokenUsage};
use crate::supervision::RootHandle;
use crate::supervision::policy::SupervisorPolicy;

/// Records the ids of alerts and the numbers of receipts.
#[derive(Debug, Default)]
struct RecordingObserver(Mutex<Vec<String>>, Mutex<Vec<u64>>);

impl AccountsObserver for RecordingObserver {
    fn alert(&self, alert: &BudgetAlert) {
        self.0.lock().push(alert.id());
    }

    fn booked(&self, receipts: &[Arc<Receipt>]) {
        self.1.lock().extend(receipts.iter().map(|receipt| receipt.seq));
    }
}

fn run(name: &str) -> RunName {
    RunName::new(name).unwrap()
}

fn wanted(name: &str, worst: u64) -> SpendRequest {
    SpendRequest {
        call: CallKey { request_id: "r".into(), attempt: 1 },
        run: run(name),
        job: None,
        agent: ScopeLabel::new("coder").unwrap(),
        lane: None,
        provider: "p".into(),
        model: "m".into(),
        worst: NanoUsd(worst),
    }
}

fn paid(cost: u64) -> ReceiptOutcome {
    ReceiptOutcome {
        status: ReceiptStatus::Success,
        usage: TokenUsage { input: 10, output: 5, ..TokenUsage::default() },
        error_message: None,
        ..ReceiptOutcome::unknown(NanoUsd(cost), Timestamp::now(), 7, "")
    }
}

fn settings(dir: &Path, fsync: FsyncTiming) -> AccountsSettings {
    AccountsSettings { workdir: dir.to_owned(), data_dir: dir.join(".pas"), fsync }
}

async fn store(dir: &Path) -> Store {
    let file = dir.join("pas.redb");
    // The writer thread closes the previous handle a moment after the last clone is gone.
    let open = move || loop {
        match Store::open(&file) {
            Err(crate::store::OpenError::AlreadyOpen { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    };
    tokio::task::spawn_blocking(open).await.unwrap()
}

/// Accounts under a supervisor.
struct SupervisedAccounts {
    accounts: AccountsHandle,
    root: RootHandle,
    store: Store,
    told: Arc<RecordingObserver>,
}

impl SupervisedAccounts {
    async fn start(dir: &Path, fsync: FsyncTiming) -> Self {
        let (store, told) = (store(dir).await, Arc::<RecordingObserver>::default());
        let system = ActorSystem::default();
        let sink: Arc<dyn AccountsObserver> = Arc::<RecordingObserver>::clone(&told);
        let options = WorkerOptions::default();
        let (spec, accounts) = spec(&system, "accounts", options, store.clone(), settings(dir, fsync), sink);
        let root = system.start("root", SupervisorPolicy::default(), vec![spec]).await.unwrap();
        Self { accounts, root, store, told }
    }

    async fn stop(self) {
        self.root.shutdown().await;
        self.store.close().await.unwrap();
    }

    fn spent(&self, scope: &BudgetScope) -> (u64, u64) {
        let view = self.accounts.budget(scope).unwrap();
        (view.settled.0, view.held.0)
    }
}

/// Accounts whose actor does nothing: settlements stay in memory and in the page cache.
struct UnflushedAccounts(AccountsHandle);

impl UnflushedAccounts {
    async fn start(dir: &Path) -> Self {
        let shared = Arc::new(AccountsShared::new(
            store(dir).await,
            settings(dir, FsyncTiming::After),
            Arc::<RecordingObserver>::default(),
        ));
        recovery::open(&shared).await.unwrap();
        let system = ActorSystem::default();
        let own = Arc::clone(&shared);
        let (_, address) = system.worker("never-started", WorkerOptions::default(), move |_| {
            let shared = Arc::clone(&own);
            async move { Ok(AccountsState { shared }) }
        });
        Self(AccountsHandle { shared, address })
    }

    /// Open holds stay open: their guards would charge them.
    async fn crash(self, open: Vec<Hold>) {
        self.0.shared.store.close().await.unwrap();
        open.into_iter().for_each(std::mem::forget);
    }
}

/// The lines of a run's file: `seq` and cost of each.
fn lines(dir: &Path, name: &str) -> Vec<(u64, u64)> {
    let text = std::fs::read_to_string(dir.join(FOLDER).join(format!("{name}.jsonl"))).unwrap();
    text.lines()
        .map(|line| crate::domain::accounts::receipt::wire::receipt_of(line.as_bytes()).unwrap())
        .map(|receipt| (receipt.seq, receipt.outcome.cost.0))
        .collect()
}

async fn stored(accounts: &AccountsHandle, name: &str) -> Vec<(u64, u64)> {
    let receipts = accounts.receipts(&run(name)).await.unwrap();
    receipts.iter().map(|receipt| (receipt.seq, receipt.outcome.cost.0)).collect()
}
