//! The accounts as a whole: what callers see, and what the next start finds after a crash.
//!
//! A crash is made by leaving the shared part without its actor: nothing is flushed, nothing ended in
//! order; what is then in the files, the journal and the store is what a `kill -9` would leave. The real
//! signal is sent in `tests/it/accounts_kill.rs`.

mod callers;
mod crashes;
mod interleavings;

use std::path::Path;

use parking_lot::Mutex;

use super::*;
use crate::domain::budget::{CallKey, Label};
use crate::domain::receipt::Status;
use crate::domain::usage::Usage;
use crate::supervision::RootHandle;
use crate::supervision::policy::SupervisorPolicy;

/// Remembers the ids of the alerts and the numbers of the receipts it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>, Mutex<Vec<u64>>);

impl NewsSink for Told {
    fn alert(&self, alert: &Alert) {
        self.0.lock().push(alert.id());
    }

    fn booked(&self, receipts: &[Arc<Receipt>]) {
        self.1.lock().extend(receipts.iter().map(|receipt| receipt.seq));
    }
}

fn run(name: &str) -> RunName {
    RunName::new(name).unwrap()
}

fn wanted(name: &str, worst: u64) -> Wanted {
    Wanted {
        call: CallKey { request_id: "r".into(), attempt: 1 },
        run: run(name),
        job: None,
        agent: Label::new("coder").unwrap(),
        lane: None,
        provider: "p".into(),
        model: "m".into(),
        worst: NanoUsd(worst),
    }
}

fn paid(cost: u64) -> Outcome {
    Outcome {
        status: Status::Success,
        usage: Usage { input: 10, output: 5, ..Usage::default() },
        error_message: None,
        ..Outcome::unknown(NanoUsd(cost), Timestamp::now(), 7, "")
    }
}

fn settings(dir: &Path, fsync: Fsync) -> Settings {
    Settings { workdir: dir.to_owned(), data_dir: dir.join(".pas"), fsync }
}

async fn store(dir: &Path) -> Store {
    let file = dir.join("pas.redb");
    // The handle before is closed by its writer thread, a moment after the last clone is gone.
    let open = move || loop {
        match Store::open(&file) {
            Err(crate::store::OpenError::AlreadyOpen { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    };
    tokio::task::spawn_blocking(open).await.unwrap()
}

/// Accounts under a supervisor.
struct Living {
    accounts: Accounts,
    root: RootHandle,
    store: Store,
    told: Arc<Told>,
}

impl Living {
    async fn start(dir: &Path, fsync: Fsync) -> Self {
        let (store, told) = (store(dir).await, Arc::<Told>::default());
        let system = ActorSystem::default();
        let sink: Arc<dyn NewsSink> = Arc::<Told>::clone(&told);
        let options = WorkerOptions::default();
        let (spec, accounts) = spec(&system, "accounts", options, store.clone(), settings(dir, fsync), sink);
        let root = system.start("root", SupervisorPolicy::default(), vec![spec]).await.unwrap();
        Self { accounts, root, store, told }
    }

    async fn stop(self) {
        self.root.shutdown().await;
        self.store.close().await.unwrap();
    }

    fn spent(&self, scope: &Scope) -> (u64, u64) {
        let view = self.accounts.budget(scope).unwrap();
        (view.settled.0, view.held.0)
    }
}

/// Accounts whose actor does nothing: what they settle stays in memory and in the kernel.
struct Doomed(Accounts);

impl Doomed {
    async fn start(dir: &Path) -> Self {
        let shared =
            Arc::new(Shared::new(store(dir).await, settings(dir, Fsync::After), Arc::<Told>::default()));
        recovery::open(&shared).await.unwrap();
        let system = ActorSystem::default();
        let own = Arc::clone(&shared);
        let (_, address) = system.worker("never-started", WorkerOptions::default(), move |_| {
            let shared = Arc::clone(&own);
            async move { Ok(State { shared }) }
        });
        Self(Accounts { shared, address })
    }

    /// Holds that are open stay open: their guards would charge them.
    async fn crash(self, open: Vec<Hold>) {
        self.0.shared.store.close().await.unwrap();
        open.into_iter().for_each(std::mem::forget);
    }
}

/// The lines of a run's file: `seq` and cost of each.
fn lines(dir: &Path, name: &str) -> Vec<(u64, u64)> {
    let text = std::fs::read_to_string(dir.join(FOLDER).join(format!("{name}.jsonl"))).unwrap();
    text.lines()
        .map(|line| crate::domain::receipt::wire::receipt_of(line.as_bytes()).unwrap())
        .map(|receipt| (receipt.seq, receipt.outcome.cost.0))
        .collect()
}

async fn stored(accounts: &Accounts, name: &str) -> Vec<(u64, u64)> {
    let receipts = accounts.receipts(&run(name)).await.unwrap();
    receipts.iter().map(|receipt| (receipt.seq, receipt.outcome.cost.0)).collect()
}
