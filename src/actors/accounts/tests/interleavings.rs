//! The law of the accounts under any order of work, faults and crashes: an answered call has one receipt, in
//! the store and in the run's file, and every other call that may have been sent is charged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// The last has a cap and its holds in the store; the others have theirs in the journal.
const RUNS: [&str; 3] = ["a", "b", "capped"];
const CAP: u64 = 2_000;

/// How far the start after a crash gets before being killed too.
#[derive(Debug, Clone, Copy)]
enum CrashPoint {
    Nowhere,
    FilesMended,
    LinesWritten,
    Booked,
}

/// The killed process's progress with one more settlement, whose caller has no answer.
#[derive(Debug, Clone, Copy)]
enum InFlightSettlement {
    Nothing,
    /// Numbered, nothing else.
    InMemory,
    /// Booked by the store ahead of the line.
    InStore,
    /// A part of the line is written.
    HalfALine,
}

#[derive(Debug, Clone, Copy)]
enum InterleavingStep {
    Hold {
        run: usize,
        worst: u64,
    },
    Settle {
        hold: usize,
    },
    Release {
        hold: usize,
    },
    Abandon {
        hold: usize,
    },
    Flush,
    Sync,
    Tidy,
    /// The sync of a run's file fails; the file takes no lines until mended.
    SyncFails {
        run: usize,
    },
    Crash {
        in_flight: InFlightSettlement,
        cut: CrashPoint,
    },
}

fn step() -> impl Strategy<Value = InterleavingStep> {
    let cut = prop_oneof![
        Just(CrashPoint::Nowhere),
        Just(CrashPoint::FilesMended),
        Just(CrashPoint::LinesWritten),
        Just(CrashPoint::Booked)
    ];
    let in_flight = prop_oneof![
        Just(InFlightSettlement::Nothing),
        Just(InFlightSettlement::InMemory),
        Just(InFlightSettlement::InStore),
        Just(InFlightSettlement::HalfALine)
    ];
    prop_oneof![
        6 => (0..RUNS.len(), 1_u64..100).prop_map(|(run, worst)| InterleavingStep::Hold { run, worst }),
        5 => any::<usize>().prop_map(|hold| InterleavingStep::Settle { hold }),
        1 => any::<usize>().prop_map(|hold| InterleavingStep::Release { hold }),
        1 => any::<usize>().prop_map(|hold| InterleavingStep::Abandon { hold }),
        2 => Just(InterleavingStep::Flush),
        1 => Just(InterleavingStep::Sync),
        2 => Just(InterleavingStep::Tidy),
        1 => (0..RUNS.len()).prop_map(|run| InterleavingStep::SyncFails { run }),
        2 => (in_flight, cut).prop_map(|(in_flight, cut)| InterleavingStep::Crash { in_flight, cut }),
    ]
}

/// A daemon's accounts without their actor, and all promises made to callers so far.
struct InterleavingWorld {
    dir: tempfile::TempDir,
    doomed: Option<UnflushedAccounts>,
    open: Vec<Hold>,
    /// The possible costs in the one receipt of a hold; none for a released hold.
    promised: BTreeMap<u64, BTreeSet<u64>>,
}

impl InterleavingWorld {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let doomed = UnflushedAccounts::start(dir.path()).await;
        doomed.0.set_budget(BudgetScope::Run(run("capped")), NanoUsd(CAP)).await.unwrap();
        Self { dir, doomed: Some(doomed), open: Vec::new(), promised: BTreeMap::new() }
    }

    fn accounts(&self) -> &AccountsHandle {
        &self.doomed.as_ref().unwrap().0
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(FOLDER).join(format!("{name}.jsonl"))
    }

    /// One of the open holds, if any.
    fn take(&mut self, number: usize) -> Option<Hold> {
        (!self.open.is_empty()).then(|| self.open.swap_remove(number % self.open.len()))
    }

    async fn take_step(&mut self, step: InterleavingStep) {
        match step {
            InterleavingStep::Hold { run, worst } => {
                if let Ok(hold) = self.accounts().hold(wanted(RUNS[run], worst)).await {
                    self.promised.insert(hold.id().0, [worst].into());
                    self.open.push(hold);
                }
            }
            InterleavingStep::Settle { hold } => {
                let Some(hold) = self.take(hold) else { return };
                let (id, cost) = (hold.id(), hold.amount().0 / 2);
                self.promised.insert(id.0, [cost].into());
                self.settle(hold, cost).await;
            }
            InterleavingStep::Release { hold } => {
                let Some(hold) = self.take(hold) else { return };
                self.promised.insert(hold.id().0, BTreeSet::new());
                self.accounts().release(hold);
                // A caller never learns when a release is durable; flushing makes sure here.
                flusher::flush(&self.accounts().shared).await.unwrap();
            }
            InterleavingStep::Abandon { hold } => drop(self.take(hold)),
            InterleavingStep::Flush => flusher::flush(&self.accounts().shared).await.unwrap(),
            InterleavingStep::Sync => flusher::sync(&self.accounts().shared).await.unwrap(),
            InterleavingStep::Tidy => flusher::tidy(&self.accounts().shared).await.unwrap(),
            InterleavingStep::SyncFails { run: number } => {
                self.accounts().shared.files.lock().doubt(&run(RUNS[number]));
            }
            InterleavingStep::Crash { in_flight, cut } => self.crash(in_flight, cut).await,
        }
    }

    /// Settles as a caller does, with the flusher running meanwhile, as settling may wait for the store.
    async fn settle(&self, hold: Hold, cost: u64) {
        let accounts = self.accounts();
        let (settled, flushed) = tokio::join!(accounts.settle(hold, paid(cost)), async {
            accounts.shared.wake.notified().await;
            flusher::flush(&accounts.shared).await
        });
        settled.unwrap();
        flushed.unwrap();
    }

    async fn crash(&mut self, in_flight: InFlightSettlement, cut: CrashPoint) {
        self.leave(in_flight).await;
        self.die().await;
        self.be_cut_off(cut).await;
        self.doomed = Some(UnflushedAccounts::start(self.dir.path()).await);
    }

    /// Takes the last settlement as far as given.
    async fn leave(&mut self, in_flight: InFlightSettlement) {
        let Some(hold) = self.take(0) else { return };
        let (id, cost) = (hold.id(), hold.amount().0 / 2);
        let shared = Arc::clone(&self.accounts().shared);
        if matches!(in_flight, InFlightSettlement::Nothing) {
            self.open.push(hold);
            return;
        }
        self.promised.entry(id.0).or_default().insert(cost);
        let receipt = shared.books.lock().settle(hold.into_id(), paid(cost)).unwrap();
        match in_flight {
            InFlightSettlement::InStore => flusher::flush(&shared).await.unwrap(),
            InFlightSettlement::HalfALine => {
                let line = crate::domain::accounts::receipt::wire::line_of(&receipt).unwrap();
                let file = self.file(receipt.wanted.run.as_str());
                let taking = std::fs::OpenOptions::new().append(true).open(file);
                // Before the first line a run has no file.
                if let Ok(mut file) = taking {
                    file.write_all(&line[..line.len() / 2]).unwrap();
                }
            }
            InFlightSettlement::InMemory | InFlightSettlement::Nothing => {}
        }
    }

    async fn die(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.doomed.take().unwrap().crash(open).await;
    }

    /// A start that is killed halfway.
    async fn be_cut_off(&self, cut: CrashPoint) {
        let dir = self.dir.path();
        let shared = AccountsShared::new(
            super::store(dir).await,
            settings(dir, FsyncTiming::After),
            Arc::<RecordingObserver>::default(),
        );
        let shared = Arc::new(shared);
        let (start, last_seq) = recovery::begin(&shared).await.unwrap();
        match cut {
            CrashPoint::Nowhere => {}
            CrashPoint::FilesMended => drop(recovery::repair_files(&shared, last_seq).unwrap()),
            CrashPoint::LinesWritten => recovery::put_in_order(&shared, start, last_seq).unwrap(),
            CrashPoint::Booked => {
                recovery::put_in_order(&shared, start, last_seq).unwrap();
                flusher::flush(&shared).await.unwrap();
            }
        }
        shared.store.close().await.unwrap();
    }

    /// Kills the daemon once more and compares everything with the promises.
    async fn check(mut self) -> Result<(), TestCaseError> {
        self.die().await;
        let living = SupervisedAccounts::start(self.dir.path(), FsyncTiming::After).await;
        living.accounts.sync().await.unwrap();
        let (mut by_hold, mut seqs) = (BTreeMap::new(), BTreeSet::new());
        for name in RUNS {
            let stored = living.accounts.receipts(&run(name)).await.unwrap();
            let text = std::fs::read_to_string(self.file(name)).unwrap_or_default();
            let mut filed: Vec<Receipt> = text
                .lines()
                .map(|line| crate::domain::accounts::receipt::wire::receipt_of(line.as_bytes()).unwrap())
                .collect();
            filed.sort_by_key(|receipt| receipt.seq);
            let in_store: Vec<&Receipt> = stored.iter().map(|receipt| &**receipt).collect();
            prop_assert_eq!(filed.iter().collect::<Vec<_>>(), in_store, "{}: file and store", name);
            let spent: u64 = filed.iter().map(|receipt| receipt.outcome.cost.0).sum();
            prop_assert_eq!(living.spent(&BudgetScope::Run(run(name))), (spent, 0), "{}: the ledger", name);
            prop_assert!(name != "capped" || spent <= CAP);
            for receipt in filed {
                prop_assert!(seqs.insert(receipt.seq), "seq {} stands twice", receipt.seq);
                let cost = receipt.outcome.cost.0;
                prop_assert!(by_hold.insert(receipt.hold.0, cost).is_none(), "a hold has two receipts");
            }
        }
        for (hold, costs) in &self.promised {
            let cost = by_hold.remove(hold);
            prop_assert!(
                cost.map_or(costs.is_empty(), |cost| costs.contains(&cost)),
                "hold {} has {:?}, promised was one of {:?}",
                hold,
                cost,
                costs
            );
        }
        prop_assert!(by_hold.is_empty(), "receipts of no hold: {by_hold:?}");
        living.stop().await;
        Ok(())
    }
}

proptest! {
    // A case opens the store some five times and syncs some fifty: 64 take seconds.
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn an_answered_call_has_its_receipt_whatever_happens(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = InterleavingWorld::new().await;
            for step in steps {
                world.take_step(step).await;
            }
            world.check().await
        })?;
    }
}

/// A start whose deadline passes is dropped, but the blocking part goes on. Beside living accounts that part
/// would charge the same holds again and give new numbers to answered receipts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_of_a_start_that_was_cut_off_ends_before_the_next_begins() {
    let dir = tempfile::tempdir().unwrap();
    let doomed = UnflushedAccounts::start(dir.path()).await;
    let open = doomed.0.hold(wanted("a", 30)).await.unwrap();
    let paid_for = doomed.0.hold(wanted("a", 30)).await.unwrap();
    doomed.0.settle(paid_for, paid(4)).await.unwrap();
    doomed.crash(vec![open]).await;
    // Reading this file blocks until someone writes.
    let slow = dir.path().join(FOLDER).join("slow.jsonl");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &slow, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let store = store(dir.path()).await;
    let shared = Arc::new(AccountsShared::new(
        store,
        settings(dir.path(), FsyncTiming::After),
        Arc::<RecordingObserver>::default(),
    ));
    let opening = Arc::clone(&shared);
    let cut_off =
        tokio::runtime::Handle::current().spawn(async move { recovery::open(&opening).await.is_ok() });
    let writer = loop {
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
        match rustix::fs::open(&slow, flags, rustix::fs::Mode::empty()) {
            Ok(writer) => break writer,
            Err(_nobody_reads_yet) => tokio::task::yield_now().await,
        }
    };
    cut_off.abort();
    assert!(cut_off.await.unwrap_err().is_cancelled());
    std::fs::remove_file(&slow).unwrap();
    assert!(shared.opening.try_lock().is_err(), "it is still at work");
    drop(writer);
    recovery::open(&shared).await.unwrap();
    flusher::tidy(&shared).await.unwrap();
    assert_eq!(lines(dir.path(), "a"), [(1, 4), (2, 30)]);
    assert_eq!(shared.view(&BudgetScope::Run(run("a")), Timestamp::now()).unwrap().settled, NanoUsd(34));
    shared.store.close().await.unwrap();
}
