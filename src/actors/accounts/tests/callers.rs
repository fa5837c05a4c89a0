//! The callers' view while all goes well, and while the disk does not.

use super::*;

#[tokio::test]
async fn a_call_is_held_settled_and_seen_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let scope = BudgetScope::Run(run("r1"));
    let hold = living.accounts.hold(wanted("r1", 90)).await.unwrap();
    assert_eq!(living.spent(&scope), (0, 90));
    let receipt = living.accounts.settle(hold, paid(40)).await.unwrap();
    assert_eq!((receipt.seq, receipt.outcome.cost), (1, NanoUsd(40)));
    assert_eq!(lines(dir.path(), "r1"), [(1, 40)], "the line is there when the answer leaves");
    assert_eq!(living.spent(&scope), (40, 0));
    assert_eq!(stored(&living.accounts, "r1").await, [(1, 40)]);
    let metrics = living.accounts.metrics(TimeWindow::Minute);
    assert_eq!((metrics.total.requests, metrics.total.tokens, metrics.runs["r1"].cost), (1, 15, NanoUsd(40)));
    living.stop().await;
}

#[tokio::test]
async fn a_released_hold_costs_nothing_and_a_dropped_one_is_charged() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    for capped in [false, true] {
        if capped {
            living.accounts.set_budget(BudgetScope::Run(run("r")), NanoUsd(1_000)).await.unwrap();
        }
        let hold = living.accounts.hold(wanted("r", 10)).await.unwrap();
        living.accounts.release(hold);
    }
    assert_eq!(living.spent(&BudgetScope::Run(run("r"))), (0, 0));
    drop(living.accounts.hold(wanted("r", 10)).await.unwrap());
    assert_eq!(living.spent(&BudgetScope::Run(run("r"))), (10, 0));
    let receipts = living.accounts.receipts(&run("r")).await.unwrap();
    assert_eq!(receipts[0].outcome.status, ReceiptStatus::Error);
    assert_eq!(receipts[0].outcome.error_message.as_deref(), Some(ABANDONED));
    living.stop().await;
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    assert_eq!(stored(&living.accounts, "r").await, [(1, 10)], "nothing of the released ones comes back");
    living.stop().await;
}

#[tokio::test]
async fn a_capped_hold_is_durable_when_it_is_granted_and_given_back_when_its_caller_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    living.accounts.set_budget(BudgetScope::Day, NanoUsd(100)).await.unwrap();
    let hold = living.accounts.hold(wanted("r", 60)).await.unwrap();
    let in_store =
        |id: HoldId| living.store.read(|view| view.contains(&HOLDS, &id.0)).map_err(|e: StoreError| e);
    assert_eq!(in_store(hold.id()), Ok(true));
    let over = living.accounts.hold(wanted("r", 41)).await.unwrap_err();
    let AccountsError::OverBudget(over) = over else { panic!("{over}") };
    assert_eq!((over.scope.clone(), over.left()), (BudgetScope::Day, NanoUsd(40)));
    {
        let leaving = living.accounts.hold(wanted("r", 40));
        let mut leaving = Box::pin(leaving);
        assert!(futures_util::poll!(&mut leaving).is_pending(), "it waits for its commit");
        assert_eq!(living.spent(&BudgetScope::Day), (0, 100));
    }
    assert_eq!(living.spent(&BudgetScope::Day), (0, 60));
    let id = hold.id();
    living.accounts.settle(hold, paid(60)).await.unwrap();
    living.accounts.sync().await.unwrap();
    assert_eq!(in_store(id), Ok(false));
    assert_eq!(living.store.read(|view| view.count(&HOLDS)), Ok::<_, StoreError>(0), "no hold leaks");
    living.stop().await;
}

#[tokio::test]
async fn alerts_are_told_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    living.accounts.set_budget(BudgetScope::Run(run("r")), NanoUsd(100)).await.unwrap();
    for _ in 0..10 {
        let hold = living.accounts.hold(wanted("r", 10)).await.unwrap();
        living.accounts.settle(hold, paid(10)).await.unwrap();
    }
    living.accounts.set_budget(BudgetScope::Run(run("r")), NanoUsd(100)).await.unwrap();
    living.accounts.sync().await.unwrap();
    let ids = ["budget-run:r-1-75", "budget-run:r-1-90", "budget-run:r-1-100"];
    assert_eq!(*living.told.0.lock(), ids);
    living.stop().await;
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    assert!(living.accounts.hold(wanted("r", 1)).await.is_err(), "a budget outlives its daemon");
    assert_eq!(*living.told.0.lock(), [""; 0], "what was told is not told again");
    living.accounts.set_budget(BudgetScope::Run(run("r")), NanoUsd(50)).await.unwrap();
    living.accounts.sync().await.unwrap();
    assert_eq!(living.told.0.lock().len(), 3, "a cap below what is spent says so at once");
    living.stop().await;
}

#[tokio::test]
async fn a_budget_that_is_lifted_refuses_nothing_and_can_be_set_anew() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let scope = BudgetScope::Agent(ScopeLabel::new("coder").unwrap());
    living.accounts.set_budget(scope.clone(), NanoUsd(10)).await.unwrap();
    assert!(living.accounts.hold(wanted("r", 11)).await.is_err());
    assert_eq!(living.accounts.capped_scopes().unwrap(), std::slice::from_ref(&scope));
    living.accounts.lift_budget(scope.clone()).await.unwrap();
    assert_eq!(living.accounts.capped_scopes().unwrap(), []);
    let hold = living.accounts.hold(wanted("r", 11)).await.unwrap();
    living.accounts.settle(hold, paid(9)).await.unwrap();
    living.stop().await;
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    assert_eq!(living.accounts.budget(&scope).unwrap().cap, None, "it stays lifted");
    living.accounts.set_budget(scope.clone(), NanoUsd(10)).await.unwrap();
    living.accounts.sync().await.unwrap();
    assert_eq!(*living.told.0.lock(), ["budget-agent:coder-3-75", "budget-agent:coder-3-90"]);
    living.stop().await;
}

#[tokio::test]
async fn before_answer_means_that_the_store_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::BeforeAnswer).await;
    let hold = living.accounts.hold(wanted("r", 10)).await.unwrap();
    living.accounts.settle(hold, paid(10)).await.unwrap();
    let rows = living.store.read(|view| tables::receipts_of_run(view, "r")).unwrap();
    assert_eq!(rows.len(), 1);
    living.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_mended_from_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let path = dir.path().join(FOLDER).join("r.jsonl");
    std::fs::create_dir_all(&path).unwrap(); // A folder in the file's place.
    for cost in [1, 2] {
        let hold = living.accounts.hold(wanted("r", 10)).await.unwrap();
        living.accounts.settle(hold, paid(cost)).await.unwrap();
    }
    assert_eq!(
        stored(&living.accounts, "r").await,
        [(1, 1), (2, 2)],
        "the store took them before the answer"
    );
    std::fs::remove_dir(&path).unwrap();
    living.accounts.sync().await.unwrap();
    assert_eq!(lines(dir.path(), "r"), [(1, 1), (2, 2)]);
    let hold = living.accounts.hold(wanted("r", 10)).await.unwrap();
    living.accounts.settle(hold, paid(3)).await.unwrap();
    assert_eq!(lines(dir.path(), "r"), [(1, 1), (2, 2), (3, 3)]);
    living.stop().await;
}

#[tokio::test]
async fn a_file_whose_sync_failed_is_written_anew_and_not_synced_again() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let settle = async |cost| {
        let hold = living.accounts.hold(wanted("r", 10)).await.unwrap();
        living.accounts.settle(hold, paid(cost)).await.unwrap();
    };
    settle(1).await;
    living.accounts.shared.files.lock().doubt(&run("r"));
    settle(2).await;
    assert_eq!(stored(&living.accounts, "r").await, [(1, 1), (2, 2)], "the store took it before the answer");
    living.accounts.sync().await.unwrap();
    assert_eq!(lines(dir.path(), "r"), [(1, 1), (2, 2)]);
    let names = std::fs::read_dir(dir.path().join(FOLDER)).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().contains("damaged")).count(), 1, "set aside");
    settle(3).await;
    assert_eq!(lines(dir.path(), "r").len(), 3);
    living.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_share_commits_and_never_overspend() {
    const CALLERS: u64 = 256;
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let scope = BudgetScope::Run(run("r"));
    // Every caller wants 100 and spends 50, so about half of the callers fit at once, and all in two rounds.
    living.accounts.set_budget(scope.clone(), NanoUsd(CALLERS * 50)).await.unwrap();
    let commits = living.store.metrics().durable_commits;
    let calls = (0..CALLERS).map(|_| async {
        match living.accounts.hold(wanted("r", 100)).await {
            Ok(hold) => living.accounts.settle(hold, paid(50)).await.map(|_| true),
            Err(AccountsError::OverBudget(over)) => {
                assert!(over.settled.0 + over.held.0 + 100 > over.cap.0, "refused though it fits");
                Ok(false)
            }
            Err(other) => Err(other),
        }
    });
    let answers = futures_util::future::join_all(calls).await;
    let granted = answers.into_iter().map(Result::unwrap).filter(|granted| *granted).count() as u64;
    assert_eq!(living.spent(&scope), (granted * 50, 0));
    let left = CALLERS * 50 - granted * 50;
    assert!(living.accounts.hold(wanted("r", left + 1)).await.is_err());
    let last = living.accounts.hold(wanted("r", left)).await.expect("all that is left can be had");
    living.accounts.release(last);
    let commits = living.store.metrics().durable_commits - commits;
    assert!(commits * 4 < granted, "{granted} durable holds took {commits} commits");
    assert_eq!(stored(&living.accounts, "r").await.len() as u64, granted);
    living.stop().await;
}

#[tokio::test]
async fn scopes_that_are_let_go_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    for n in 0..50 {
        let hold = living.accounts.hold(wanted(&format!("r{n}"), 10)).await.unwrap();
        living.accounts.settle(hold, paid(n)).await.unwrap();
    }
    living.accounts.set_budget(BudgetScope::Run(run("r7")), NanoUsd(8)).await.unwrap();
    living.accounts.sync().await.unwrap();
    {
        let mut books = living.accounts.shared.books.lock();
        let now = books.ledger.revision();
        books.ledger.evict_idle(now);
        assert_eq!(books.ledger.scopes(), 0);
    }
    assert_eq!(living.spent(&BudgetScope::Run(run("r49"))), (49, 0));
    assert_eq!(living.spent(&BudgetScope::Day), ((0..50).sum(), 0));
    let over = living.accounts.hold(wanted("r7", 2)).await.unwrap_err();
    assert!(matches!(over, AccountsError::OverBudget(over) if over.settled == NanoUsd(7)));
    living.stop().await;
}

/// Not a bench, but a figure to look at: `cargo test --release … -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints what a call without a cap costs; no claim"]
async fn the_price_of_a_call_without_a_cap() {
    const CALLS: u32 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let (start, cpu) = (std::time::Instant::now(), cpu_time::ProcessTime::now());
    for _ in 0..CALLS {
        let hold = living.accounts.hold(wanted("r", 10)).await.unwrap();
        living.accounts.settle(hold, paid(5)).await.unwrap();
    }
    println!("wall {:?} a call, processor {:?}", start.elapsed() / CALLS, cpu.elapsed() / CALLS);
    living.stop().await;
}
